/*
 * ftps_preload.c - what pure-ftpd lacks, put before its calls with LD_PRELOAD. A library of its own: it knows libc and nothing of ceir.
 *
 * Why. pure-ftpd answers "226 File successfully transferred" when a client is killed in the middle of an upload: the end of the stream
 * without TLS's close_notify counts as the end of the file, and its upload script and transfer log tell of such a file as of any other.
 * Also both tell after the answer is on its way, or before anybody has taken the file. A register must not take half a file, and must not
 * say 226 for what it can still lose. So:
 *
 * - SSL_read: an end without close_notify (RFC 8446 6.1) is an error, of a data channel and of the control channel. A data channel that
 *   ended in order makes the upload complete, and its file gets mode 0400: from then on nobody can write to it, and a mark is on the disk
 *   that outlives a crash.
 * - open of the transfer log: gives a connection to ceird, made before the session goes into its folder.
 * - write to it: the line of a complete upload goes to ceird and the session waits for the answer, one byte. Only 'k', the file is in the
 *   queue and on the disk, lets the session go on to its 226. Anything else ends the session. Lines of other transfers are dropped.
 * - open for writing, rename, unlink, link only inside the folder /in of the session's root; mkdir and rmdir never.
 * - listen: with a longer queue. syslog: to standard error, where ceird reads it. No /dev/log is needed, and two servers on one machine are told apart.
 * - setuid: a session keeps no capability. setgroups, seteuid do nothing when the server was not started as root: there is one user only,
 *   in a user name space (ftps_guard.c).
 *
 * Environment: CEIR_FTPS_NOTICE, the socket's path, the same that pure-ftpd has as its transfer log (-O clf:PATH). pure-ftpd has no threads.
 */
/* The names below must be the ones that are linked: no open64 in place of open, no checked variants. */
#undef _FILE_OFFSET_BITS
#undef _FORTIFY_SOURCE

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#define BACKLOG 512
#define ANSWER_S 120        /* how long a session waits for ceird */
#define COMPLETE_MODE 0400u /* also in ftps_home.c */
#define RECEIVED_SHUTDOWN 2 /* SSL_RECEIVED_SHUTDOWN of OpenSSL, whose headers are not needed for three functions */
#define WANT_READ 2         /* SSL_ERROR_WANT_READ */
#define WANT_WRITE 3        /* SSL_ERROR_WANT_WRITE */
#define SCOREBOARD "/var/run/pure-ftpd" /* of pure-ftpwho; nobody needs it, and servers would share it */

int SSL_read(void *ssl, void *bytes, int n);
void SSL_free(void *ssl);
void __syslog_chk(int priority, int flag, const char *format, ...);
void syslog(int priority, const char *format, ...);
void openlog(const char *ident, int option, int facility);
void closelog(void);

static char notice_path[sizeof(((struct sockaddr_un *)0)->sun_path)];
static int notice = -1;       /* to ceird; each session has its own */
static bool notice_opened;    /* once: later the same path is a client's */
static bool as_root, in_session;
static dev_t in_dev;          /* of the folder /in */
static ino_t in_ino;
static void *control;         /* SSL of the control channel: the first one that is read */
static bool control_known;
static bool complete;         /* the last data channel ended in order */
static int upload = -1;       /* the file that was last opened for writing, during the running command */

static int (*real_read)(void *, void *, int);
static int (*real_shutdown)(const void *);
static int (*real_error)(const void *, int);
static void (*real_free)(void *);

/* A void pointer is no pointer to a function in ISO C; POSIX says that dlsym's can be copied into one. */
static void find(void *function, const char *name)
{
	void *found = dlsym(RTLD_NEXT, name);

	if (!found)
		_exit(70);
	memcpy(function, &found, sizeof found);
}

__attribute__((constructor)) static void begin(void)
{
	const char *path = getenv("CEIR_FTPS_NOTICE");

	if (!path || strlen(path) >= sizeof notice_path)
		_exit(70);
	memcpy(notice_path, path, strlen(path) + 1);
	as_root = getuid() == 0;
	find(&real_read, "SSL_read");
	find(&real_shutdown, "SSL_get_shutdown");
	find(&real_error, "SSL_get_error");
	find(&real_free, "SSL_free");
	unsetenv("LD_PRELOAD");
	unsetenv("CEIR_FTPS_NOTICE");
}

/* ---- the end of a stream ---- */

static void command_came(void)
{
	complete = false;
	upload = -1;
}

static void data_ended(void)
{
	complete = true;
	if (upload >= 0)
		(void)fchmod(upload, COMPLETE_MODE);
}

int SSL_read(void *ssl, void *bytes, int n)
{
	int got = real_read(ssl, bytes, n);

	if (!control_known) {
		control = ssl;
		control_known = true;
	}
	if (got > 0) {
		if (ssl == control)
			command_came();
		return got;
	}
	if (real_shutdown(ssl) & RECEIVED_SHUTDOWN) {
		if (ssl != control)
			data_ended();
		return 0;
	}
	int error = real_error(ssl, got);
	errno = error == WANT_READ || error == WANT_WRITE ? EAGAIN : ECONNRESET;
	return -1;
}

/* Memory that was the control channel's (CCC, RFC 4217 6) may come back as a data channel's. */
void SSL_free(void *ssl)
{
	if (ssl == control)
		control = NULL;
	real_free(ssl);
}

/* ---- to ceird ---- */

static int notice_connect(void)
{
	struct sockaddr_un to = {.sun_family = AF_UNIX};
	struct timeval limit = {.tv_sec = ANSWER_S};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -1;
	memcpy(to.sun_path, notice_path, sizeof to.sun_path);
	if (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit) != 0 ||
		setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit) != 0 ||
		connect(fd, (struct sockaddr *)&to, sizeof to) != 0) {
		close(fd);
		return -1;
	}
	return fd;
}

static ssize_t raw_write(int fd, const void *bytes, size_t n)
{
	return syscall(SYS_write, fd, bytes, n);
}

/* The whole line, and the answer to it. */
static bool notice_taken(const char *line, size_t n)
{
	char answer = 'n';
	ssize_t got;

	while (n > 0) {
		ssize_t sent = send(notice, line, n, MSG_NOSIGNAL);

		if (sent < 0 && errno == EINTR)
			continue;
		if (sent <= 0)
			return false;
		line += sent;
		n -= (size_t)sent;
	}
	do
		got = recv(notice, &answer, 1, 0);
	while (got < 0 && errno == EINTR);
	return got == 1 && answer == 'k';
}

ssize_t write(int fd, const void *bytes, size_t n)
{
	const char *line = bytes;

	if (notice < 0 || fd != notice)
		return raw_write(fd, bytes, n);
	/* A download, or an upload that broke off: "HOST - ACCOUNT [DATE] "GET ...". Names are encoded and cannot hold this. */
	if (!complete || !memmem(line, n, "] \"PUT ", 7))
		return (ssize_t)n;
	complete = false;
	if (!notice_taken(line, n))
		_exit(1);
	return (ssize_t)n;
}

/* ---- files ---- */

/* The last folder of a path is the session's /in itself. Sessions make no folder and no link, so a look is enough. */
static bool inside_in(const char *path)
{
	const char *slash = strrchr(path, '/');
	char parent[4096];
	struct stat st;
	size_t n = slash ? (size_t)(slash - path) : 0;

	if (!in_session)
		return true;
	if (n >= sizeof parent)
		return false;
	memcpy(parent, path, n);
	parent[n] = '\0';
	if (!slash || slash == path)
		memcpy(parent, slash ? "/" : ".", 2);
	return in_ino != 0 && stat(parent, &st) == 0 && st.st_dev == in_dev && st.st_ino == in_ino;
}

static int refuse(void)
{
	errno = EACCES;
	return -1;
}

static int open_session(const char *path, int flags, mode_t mode)
{
	bool writes = (flags & O_ACCMODE) != O_RDONLY || (flags & (O_CREAT | O_TRUNC));
	int fd;

	if (writes && strcmp(path, "/.ftpquota") != 0 && !inside_in(path))
		return refuse();
	fd = (int)syscall(SYS_openat, AT_FDCWD, path, flags, mode);
	if ((flags & O_ACCMODE) == O_WRONLY)
		upload = fd;
	return fd;
}

int open(const char *path, int flags, ...)
{
	mode_t mode = 0;
	va_list ap;

	if (flags & O_CREAT) {
		va_start(ap, flags);
		mode = va_arg(ap, mode_t);
		va_end(ap);
	}
	if (in_session)
		return open_session(path, flags, mode);
	if (!notice_opened && strcmp(path, notice_path) == 0) {
		notice_opened = true;
		notice = notice_connect();
		if (notice < 0)
			_exit(1); /* without ceird nothing can be taken */
		return notice;
	}
	if (strncmp(path, SCOREBOARD, sizeof SCOREBOARD - 1) == 0)
		return refuse();
	return (int)syscall(SYS_openat, AT_FDCWD, path, flags, mode);
}

int open64(const char *path, int flags, ...) __attribute__((alias("open")));

int unlink(const char *path)
{
	return inside_in(path) ? (int)syscall(SYS_unlinkat, AT_FDCWD, path, 0) : refuse();
}

int rename(const char *from, const char *to)
{
	return inside_in(from) && inside_in(to) ? (int)syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, 0) : refuse();
}

int link(const char *from, const char *to)
{
	return inside_in(from) && inside_in(to) ? (int)syscall(SYS_linkat, AT_FDCWD, from, AT_FDCWD, to, 0) : refuse();
}

int mkdir(const char *path, mode_t mode)
{
	(void)path;
	(void)mode;
	return refuse();
}

int rmdir(const char *path)
{
	(void)path;
	return refuse();
}

/* pure-ftpd lets a few connections wait that come together; who comes then must try again after a second, and later. */
int listen(int fd, int backlog)
{
	return (int)syscall(SYS_listen, fd, backlog < BACKLOG ? BACKLOG : backlog);
}

/* ---- who one is ---- */

static void session_begins(void)
{
	struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct none[2] = {{0, 0, 0}, {0, 0, 0}};
	struct stat st;

	if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) != 0 || syscall(SYS_capset, &head, none) != 0)
		_exit(1);
	if (stat("/in", &st) == 0 && S_ISDIR(st.st_mode)) {
		in_dev = st.st_dev;
		in_ino = st.st_ino;
	}
	in_session = true;
}

int setuid(uid_t uid)
{
	int failed = (int)syscall(SYS_setuid, uid);

	if (!failed && uid != 0)
		session_begins();
	return failed;
}

int setgroups(size_t n, const gid_t *groups)
{
	return as_root ? (int)syscall(SYS_setgroups, n, groups) : 0;
}

int seteuid(uid_t uid)
{
	return as_root ? (int)syscall(SYS_setresuid, -1, uid, -1) : 0;
}

/* ---- the log ---- */

__attribute__((format(printf, 2, 0))) static void say(int priority, const char *format, va_list ap)
{
	char line[1024];
	int head = snprintf(line, sizeof line, "<%d>", priority & 7);
	int n = vsnprintf(line + head, sizeof line - (size_t)head - 1, format, ap);
	size_t end = n < 0 ? (size_t)head : strlen(line);

	/* One line a write, so that those of several sessions do not mix. */
	for (size_t i = 0; i < end; i++)
		if ((unsigned char)line[i] < ' ')
			line[i] = '?';
	line[end] = '\n';
	(void)!raw_write(2, line, end + 1);
}

__attribute__((format(printf, 3, 4))) void __syslog_chk(int priority, int flag, const char *format, ...)
{
	va_list ap;

	(void)flag;
	va_start(ap, format);
	say(priority, format, ap);
	va_end(ap);
}

__attribute__((format(printf, 2, 3))) void syslog(int priority, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	say(priority, format, ap);
	va_end(ap);
}

void openlog(const char *ident, int option, int facility)
{
	(void)ident;
	(void)option;
	(void)facility;
}

void closelog(void)
{
}

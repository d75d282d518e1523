/*
 * remote_ftp.c - all of libcurl.
 *
 * One easy handle in a multi handle of its own: the multi handle keeps the control connection, and its poll can be woken from another thread. libcurl
 * is told everything that it would else take from its surroundings: no .netrc, no proxy, no authorities but one file, no protocol but FTP.
 */
#include "remote/remote_internal.h"

#include <curl/curl.h>
#include <errno.h>
#include <inttypes.h>
#include <linux/sockios.h>
#include <poll.h>
#include <string.h>
#include <strings.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#define CONNECT_S 30L
#define POLL_MS 1000
#define SOCKETS 8
#define LINGER_US (5 * 1000000LL)

struct remote_ftp {
	CURL *easy;
	CURLM *multi;
	struct str host;                /* copy */
	uint16_t port;
	bool implicit;
	_Atomic bool stop;
	bool bad;                       /* user or password would end a command and begin another */
	enum remote_reached reached;
	bool logged_in;                 /* on the connection at hand */
	char detail[CURL_ERROR_SIZE], error[REMOTE_WHY];
	int sockets[SOCKETS];           /* open ones; -1: none */
	int newest;                     /* the one opened last: while a file goes up, its data channel */
	bool up;                        /* a file goes up */
	int64_t timeout_us;
	struct buf *names;              /* list */
	int fd;                         /* get, put */
	uint64_t at, end;
	enum ceir_err local;            /* what we could not do ourselves */
};

/* ---- what libcurl calls ---- */

static size_t drop(char *p, size_t size, size_t n, void *ctx)
{
	(void)p;
	(void)ctx;
	return size * n;
}

static size_t take_names(char *p, size_t size, size_t n, void *ctx)
{
	struct remote_ftp *f = ctx;

	buf_put(f->names, p, size * n);
	if (f->names->failed)
		f->local = CEIR_ELIMIT;
	return f->local ? 0 : size * n;
}

static size_t take_bytes(char *p, size_t size, size_t n, void *ctx)
{
	struct remote_ftp *f = ctx;

	n *= size;
	if (n > f->end - f->at)
		f->local = CEIR_ELIMIT;
	else
		f->local = fd_write_all(f->fd, p, n);
	if (f->local)
		return 0;
	f->at += n;
	return n;
}

/*
 * Until all of it has reached the other machine. libcurl 7.88 closes a data channel without waiting: with TLS 1.3 there may be tickets in it that nobody
 * has read, so that the system says RST and throws away what is not yet sent; and where its buffer is full, close_notify is not said.
 */
static void wait_sent(const struct remote_ftp *f)
{
	int left, least = INT_MAX;
	int64_t until_us = 0;

	while (!f->stop && f->newest >= 0 && ioctl(f->newest, SIOCOUTQ, &left) == 0 && left > 0) {
		if (left < least) {
			least = left;
			until_us = clock_mono_us() + f->timeout_us;
		} else if (clock_mono_us() > until_us) {
			return;
		}
		poll(NULL, 0, 5);
	}
}

/* What the other side still says is read until it closes: it has read all of ours then. Not for ever: some close only when they see us go. */
static void linger(const struct remote_ftp *f, int fd)
{
	int64_t until_us = clock_mono_us() + LINGER_US;
	struct pollfd p = {.fd = fd, .events = POLLIN};
	char dropped[4096];

	if (shutdown(fd, SHUT_WR))
		return;
	while (!f->stop && clock_mono_us() < until_us) {
		ssize_t got = poll(&p, 1, 100) > 0 ? recv(fd, dropped, sizeof dropped, MSG_DONTWAIT) : 1;

		if (got == 0 || (got < 0 && errno != EINTR && errno != EAGAIN))
			return;
	}
}

static size_t give_bytes(char *p, size_t size, size_t n, void *ctx)
{
	struct remote_ftp *f = ctx;
	uint64_t want = f->end - f->at < size * n ? f->end - f->at : size * n;
	ssize_t got;

	if (!want)
		wait_sent(f);
	do
		got = pread(f->fd, p, (size_t)want, (off_t)f->at);
	while (got < 0 && errno == EINTR);
	if (got < 0 || (want && !got)) {
		f->local = got < 0 ? ceir_err_of_errno(errno) : CEIR_ESTATE;
		return CURL_READFUNC_ABORT;
	}
	f->at += (uint64_t)got;
	return (size_t)got;
}

static int seek_bytes(void *ctx, curl_off_t offset, int origin)
{
	struct remote_ftp *f = ctx;

	if (origin != SEEK_SET || offset < 0 || (uint64_t)offset > f->end)
		return CURL_SEEKFUNC_FAIL;
	f->at = (uint64_t)offset;
	return CURL_SEEKFUNC_OK;
}

/* Replies on the control channel, line by line: whether the login is over. The texts of a stranger are not kept. */
static size_t take_reply(char *p, size_t size, size_t n, void *ctx)
{
	struct remote_ftp *f = ctx;
	struct str line = {p, size * n};

	if (str_starts(line, STR("220")))
		f->logged_in = false;
	else if (str_starts(line, STR("230")))
		f->logged_in = true;
	if (f->logged_in)
		f->reached = REMOTE_LOGGED_IN;
	return size * n;
}

static int progress(void *ctx, curl_off_t dt, curl_off_t dn, curl_off_t ut, curl_off_t un)
{
	struct remote_ftp *f = ctx;

	(void)dt;
	(void)dn;
	(void)ut;
	(void)un;
	return f->stop;
}

/* Not for the processes that we start; and known to us, so that nothing of it waits for a server that is silent when all is to end. */
static curl_socket_t open_socket(void *ctx, curlsocktype purpose, struct curl_sockaddr *a)
{
	struct remote_ftp *f = ctx;
	int fd = socket(a->family, a->socktype | SOCK_CLOEXEC, a->protocol);

	(void)purpose;
	f->newest = fd;
	for (size_t i = 0; i < SOCKETS && fd >= 0; i++)
		if (f->sockets[i] < 0) {
			f->sockets[i] = fd;
			break;
		}
	return fd < 0 ? CURL_SOCKET_BAD : fd;
}

static int close_socket(void *ctx, curl_socket_t fd)
{
	struct remote_ftp *f = ctx;

	if (f->up && fd == f->newest && f->at == f->end)
		linger(f, fd);
	if (fd == f->newest)
		f->newest = -1;
	for (size_t i = 0; i < SOCKETS; i++)
		if (f->sockets[i] == fd)
			f->sockets[i] = -1;
	return close(fd);
}

/* ---- life ---- */

#define SET(option, value) (err = err ? err : curl_easy_setopt(f->easy, option, value))

/* What is the same for all calls. */
static CURLcode set_up(struct remote_ftp *f, const struct remote_ftp_server *s, const char *user, const char *password)
{
	CURLcode err = CURLE_OK;
	long timeout_s = s->timeout_s ? (long)s->timeout_s : 60;

	SET(CURLOPT_PROTOCOLS_STR, "ftp,ftps");
	SET(CURLOPT_REDIR_PROTOCOLS_STR, "ftps");
	SET(CURLOPT_PATH_AS_IS, 1L);
	SET(CURLOPT_USERNAME, user);
	SET(CURLOPT_PASSWORD, password);
	SET(CURLOPT_NETRC, (long)CURL_NETRC_IGNORED);
	SET(CURLOPT_PROXY, "");
	SET(CURLOPT_USE_SSL, (long)CURLUSESSL_ALL);
	SET(CURLOPT_FTPSSLAUTH, (long)CURLFTPAUTH_TLS);
	SET(CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
	SET(CURLOPT_SSL_VERIFYPEER, 1L);
	SET(CURLOPT_SSL_VERIFYHOST, 2L);
	SET(CURLOPT_CAINFO, s->ca);
	SET(CURLOPT_CAPATH, NULL);
	SET(CURLOPT_FTP_SKIP_PASV_IP, 1L);
	SET(CURLOPT_FTP_CREATE_MISSING_DIRS, (long)CURLFTP_CREATE_DIR_NONE);
	SET(CURLOPT_CONNECTTIMEOUT, timeout_s < CONNECT_S ? timeout_s : CONNECT_S);
	SET(CURLOPT_FTP_RESPONSE_TIMEOUT, timeout_s);
	SET(CURLOPT_LOW_SPEED_LIMIT, 1L);
	SET(CURLOPT_LOW_SPEED_TIME, timeout_s);
	SET(CURLOPT_TCP_KEEPALIVE, 1L);
	SET(CURLOPT_NOSIGNAL, 1L);
	SET(CURLOPT_QUICK_EXIT, 1L);
	SET(CURLOPT_NOPROGRESS, 0L);
	SET(CURLOPT_XFERINFOFUNCTION, progress);
	SET(CURLOPT_XFERINFODATA, f);
	SET(CURLOPT_HEADERFUNCTION, take_reply);
	SET(CURLOPT_HEADERDATA, f);
	SET(CURLOPT_WRITEDATA, f);
	SET(CURLOPT_READFUNCTION, give_bytes);
	SET(CURLOPT_READDATA, f);
	SET(CURLOPT_SEEKFUNCTION, seek_bytes);
	SET(CURLOPT_SEEKDATA, f);
	SET(CURLOPT_OPENSOCKETFUNCTION, open_socket);
	SET(CURLOPT_OPENSOCKETDATA, f);
	SET(CURLOPT_CLOSESOCKETFUNCTION, close_socket);
	SET(CURLOPT_CLOSESOCKETDATA, f);
	SET(CURLOPT_ERRORBUFFER, f->detail);
	return err;
}

static bool has_control(struct str s)
{
	for (size_t i = 0; i < s.n; i++)
		if ((unsigned char)s.p[i] < 0x20 || s.p[i] == 0x7f)
			return true;
	return false;
}

static char *text_of(struct str s)
{
	return strndup(s.n ? s.p : "", s.n);
}

enum ceir_err remote_ftp_new(const struct remote_ftp_server *s, struct remote_ftp **out)
{
	struct remote_ftp *f = calloc(1, sizeof *f);
	char *user = text_of(s->user), *password = text_of(s->password), *host = text_of(s->host);
	bool have = f && user && password && host;

	if (have) {
		*f = (struct remote_ftp){.easy = curl_easy_init(), .multi = curl_multi_init(), .host = {host, s->host.n}, .port = s->port,
			.implicit = s->implicit, .bad = has_control(s->user) || has_control(s->password), .fd = -1, .newest = -1,
			.timeout_us = (s->timeout_s ? s->timeout_s : 60) * INT64_C(1000000)};
		for (size_t i = 0; i < SOCKETS; i++)
			f->sockets[i] = -1;
		host = NULL;
		have = f->easy && f->multi && !set_up(f, s, user, password);
	}
	if (password)
		explicit_bzero(password, strlen(password));
	free(user);
	free(password);
	free(host);
	if (!have) {
		remote_ftp_free(f);
		return CEIR_ENOMEM;
	}
	*out = f;
	return CEIR_OK;
}

void remote_ftp_free(struct remote_ftp *f)
{
	if (!f)
		return;
	/* libcurl would say QUIT and wait for an answer. */
	for (size_t i = 0; i < SOCKETS && f->easy; i++)
		if (f->sockets[i] >= 0)
			shutdown(f->sockets[i], SHUT_RDWR);
	if (f->multi)
		curl_multi_cleanup(f->multi);
	if (f->easy)
		curl_easy_cleanup(f->easy);
	free((char *)f->host.p);
	free(f);
}

void remote_ftp_stop(struct remote_ftp *f)
{
	f->stop = true;
	curl_multi_wakeup(f->multi);
}

const char *remote_ftp_error(const struct remote_ftp *f)
{
	return f->error;
}

void remote_ftp_begin(struct remote_ftp *f)
{
	f->reached = REMOTE_NOT_TRIED;
}

enum remote_reached remote_ftp_reached(const struct remote_ftp *f)
{
	return f->reached;
}

/* ---- one call ---- */

static CURLcode perform(struct remote_ftp *f)
{
	CURLcode result = CURLE_ABORTED_BY_CALLBACK;
	CURLMcode err = curl_multi_add_handle(f->multi, f->easy);
	int running = 1, left;
	const CURLMsg *msg;

	if (err)
		return CURLE_OUT_OF_MEMORY;
	while (!f->stop && !err && running) {
		err = curl_multi_perform(f->multi, &running);
		if (!err && running)
			err = curl_multi_poll(f->multi, NULL, 0, POLL_MS, NULL);
	}
	while ((msg = curl_multi_info_read(f->multi, &left)))
		if (msg->msg == CURLMSG_DONE)
			result = msg->data.result;
	curl_multi_remove_handle(f->multi, f->easy);
	return err ? CURLE_OUT_OF_MEMORY : result;
}

/* What the usual replies mean (RFC 959 4.2, RFC 2228, RFC 4217): the server's own words are a stranger's, and may repeat what it was told. */
static const char *reply_text(long code)
{
	static const struct {
		long code;
		const char *text;
	} texts[] = {{421, "service not available"}, {425, "no data connection"}, {426, "transfer broken off"}, {431, "TLS not available"},
		{450, "file not available now"}, {451, "fault of the server"}, {452, "no space left"}, {500, "command not known"}, {501, "name not taken"},
		{502, "command not known"}, {504, "not done with this parameter"}, {522, "TLS session not taken up"}, {530, "login refused"},
		{532, "account needed"}, {534, "TLS refused"}, {550, "not there, or not allowed"}, {551, "page type not known"}, {552, "no space left"},
		{553, "name not allowed"}};

	for (size_t i = 0; i < CEIR_COUNT(texts); i++)
		if (texts[i].code == code)
			return texts[i].text;
	return "refused";
}

static const char *fault_text(CURLcode c)
{
	switch (c) {
	case CURLE_COULDNT_RESOLVE_HOST:
		return "the host's address is not known";
	case CURLE_COULDNT_CONNECT:
		return "no connection";
	case CURLE_OPERATION_TIMEDOUT:
		return "no answer in time";
	case CURLE_SSL_CONNECT_ERROR:
		return "no TLS connection";
	case CURLE_PEER_FAILED_VERIFICATION:
		return "the server's certificate is not good";
	case CURLE_SSL_CACERT_BADFILE:
		return "the certificates of authorities cannot be read";
	case CURLE_USE_SSL_FAILED:
		return "the server does not speak TLS";
	case CURLE_LOGIN_DENIED:
		return "the server refuses the user or the password";
	case CURLE_REMOTE_ACCESS_DENIED:
		return "there is no such folder, or it is not open to us";
	case CURLE_SEND_ERROR:
	case CURLE_RECV_ERROR:
	case CURLE_GOT_NOTHING:
	case CURLE_PARTIAL_FILE:
		return "the connection broke";
	case CURLE_WEIRD_SERVER_REPLY:
		return "the server does not speak FTP";
	case CURLE_FTP_CANT_GET_HOST:
	case CURLE_FTP_WEIRD_PASV_REPLY:
	case CURLE_FTP_WEIRD_227_FORMAT:
		return "no data channel (passive mode)";
	default:
		return "it failed";
	}
}

/* "put NAME into FOLDER: the server's certificate is not good (...)". */
static void say(struct remote_ftp *f, const char *what, struct str name, struct str folder, CURLcode c, long reply)
{
	char shown[256], where[256], detail[CURL_ERROR_SIZE];

	remote_line(name, shown, sizeof shown);
	remote_line(folder, where, sizeof where);
	remote_line(str_of(f->detail), detail, sizeof detail);
	int n = snprintf(f->error, sizeof f->error, "%s%s%s%s%s: ", what, shown[0] ? " " : "", shown, where[0] ? " in " : "", where);
	size_t at = n < 0 ? 0 : (size_t)n < sizeof f->error ? (size_t)n : sizeof f->error - 1;

	if (f->local)
		snprintf(f->error + at, sizeof f->error - at, "%s", ceir_err_text(f->local));
	else if (reply >= 400 && f->logged_in && reply != 421)
		snprintf(f->error + at, sizeof f->error - at, "the server answers %ld (%s)%s%s", reply, reply_text(reply),
			c == CURLE_REMOTE_ACCESS_DENIED ? ": " : "", c == CURLE_REMOTE_ACCESS_DENIED ? fault_text(c) : "");
	else
		snprintf(f->error + at, sizeof f->error - at, "%s%s%s%s", fault_text(c), detail[0] ? " (" : "", detail, detail[0] ? ")" : "");
}

static enum ceir_err failed(const struct remote_ftp *f, CURLcode c, long reply)
{
	if (f->stop)
		return CEIR_ECLOSED;
	if (f->local)
		return f->local;
	/* A folder that is not open is no fault of one file. */
	if (c == CURLE_REMOTE_ACCESS_DENIED || !f->logged_in)
		return CEIR_EIO;
	return c == CURLE_REMOTE_FILE_NOT_FOUND || reply == 550 ? CEIR_ENOENT : reply >= 500 ? CEIR_EPERM : CEIR_EIO;
}

/* What the call before may have left. */
static CURLcode clear(struct remote_ftp *f)
{
	CURLcode err = CURLE_OK;

	SET(CURLOPT_UPLOAD, 0L);
	SET(CURLOPT_APPEND, 0L);        /* libcurl itself sets it to resume */
	SET(CURLOPT_NOBODY, 0L);
	SET(CURLOPT_FILETIME, 0L);
	SET(CURLOPT_DIRLISTONLY, 0L);
	SET(CURLOPT_RESUME_FROM_LARGE, (curl_off_t)0);
	SET(CURLOPT_INFILESIZE_LARGE, (curl_off_t)-1);
	SET(CURLOPT_PREQUOTE, NULL);
	SET(CURLOPT_WRITEFUNCTION, drop);
	f->up = false;
	f->local = CEIR_OK;
	f->detail[0] = '\0';
	f->at = f->end = 0;
	return err;
}

/* The address of name in folder, for the call that follows. */
static enum ceir_err aim(struct remote_ftp *f, struct str folder, struct str name)
{
	struct buf url = BUF_INIT(16384);
	enum ceir_err err = remote_url(&url, f->implicit, f->host, f->port, folder, name);

	if (f->bad || err == CEIR_EINVAL) {
		snprintf(f->error, sizeof f->error, "%s holds a character that FTP cannot carry", f->bad ? "the user or the password" : "the host, a folder or a file's name");
		err = CEIR_EINVAL;
	}
	buf_char(&url, '\0');
	if (!err && (url.failed || clear(f) || curl_easy_setopt(f->easy, CURLOPT_URL, url.p)))
		err = CEIR_ENOMEM;
	if (err && err != CEIR_EINVAL)
		snprintf(f->error, sizeof f->error, "%s", ceir_err_text(err));
	buf_free(&url);
	return err;
}

static enum ceir_err call(struct remote_ftp *f, const char *what, struct str folder, struct str name)
{
	long reply = 0;

	if (f->reached == REMOTE_NOT_TRIED)
		f->reached = REMOTE_NO_LOGIN;
	CURLcode c = perform(f);
	curl_easy_getinfo(f->easy, CURLINFO_RESPONSE_CODE, &reply);
	if (!c && !f->local) {
		f->reached = REMOTE_LOGGED_IN;
		return CEIR_OK;
	}
	say(f, what, name, folder, c, reply);
	return failed(f, c, reply);
}

/* ---- calls ---- */

/* The data channel was open (1xx), and what came are lines: the last may have been cut. */
static bool has_begun(struct remote_ftp *f)
{
	long reply = 0;

	curl_easy_getinfo(f->easy, CURLINFO_RESPONSE_CODE, &reply);
	while (f->names->n && f->names->p[f->names->n - 1] != '\n')
		f->names->n--;
	return f->logged_in && !f->local && reply >= 100 && reply < 200;
}

enum ceir_err remote_ftp_list(struct remote_ftp *f, struct str folder, struct buf *out, bool *whole)
{
	CURLcode err = CURLE_OK;
	enum ceir_err e = aim(f, folder, STR(""));

	*whole = true;

	if (e)
		return e;
	f->names = out;
	SET(CURLOPT_DIRLISTONLY, 1L);
	SET(CURLOPT_WRITEFUNCTION, take_names);
	e = err ? CEIR_ENOMEM : call(f, "cannot list the files", folder, STR(""));
	if (e == CEIR_EIO && has_begun(f)) {
		*whole = false;
		return CEIR_OK;
	}
	/* Some servers say 550 when there is none. Of a folder that is not there the refusal came before, to CWD. */
	return e == CEIR_ENOENT ? CEIR_OK : e;
}

enum ceir_err remote_ftp_stat(struct remote_ftp *f, struct str folder, struct str name, struct remote_stat *out)
{
	CURLcode err = CURLE_OK;
	curl_off_t size = -1, mtime = -1;
	enum ceir_err e = aim(f, folder, name);

	if (e)
		return e;
	SET(CURLOPT_NOBODY, 1L);
	SET(CURLOPT_FILETIME, 1L);
	e = err ? CEIR_ENOMEM : call(f, "cannot look at", folder, name);
	if (e)
		return e;
	curl_easy_getinfo(f->easy, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &size);
	curl_easy_getinfo(f->easy, CURLINFO_FILETIME_T, &mtime);
	if (size < 0) {
		say(f, "cannot look at", name, folder, CURLE_OK, 502);
		return CEIR_ESTATE;
	}
	*out = (struct remote_stat){.size = (uint64_t)size, .mtime_s = mtime > (curl_off_t)UINT32_MAX ? (int64_t)UINT32_MAX : mtime};
	return CEIR_OK;
}

enum ceir_err remote_ftp_get(struct remote_ftp *f, struct str folder, struct str name, uint64_t offset, uint64_t size, int fd)
{
	CURLcode err = CURLE_OK;
	enum ceir_err e = aim(f, folder, name);

	if (e)
		return e;
	f->fd = fd;
	f->at = offset;
	f->end = size;
	SET(CURLOPT_RESUME_FROM_LARGE, (curl_off_t)offset);
	SET(CURLOPT_WRITEFUNCTION, take_bytes);
	e = err ? CEIR_ENOMEM : call(f, "cannot fetch", folder, name);
	/* All of it is here, as SIZE says over the control channel: a data channel whose end was not said (close_notify) took nothing away. */
	if (e && e != CEIR_ECLOSED && !f->local && f->at == f->end)
		e = CEIR_OK;
	if (!e && f->at < f->end) {
		snprintf(f->error, sizeof f->error, "cannot fetch the whole file: %" PRIu64 " of %" PRIu64 " bytes came", f->at, f->end);
		e = CEIR_EIO;
	}
	return e;
}

enum ceir_err remote_ftp_put(struct remote_ftp *f, struct str folder, struct str name, uint64_t offset, uint64_t size, int fd)
{
	CURLcode err = CURLE_OK;
	enum ceir_err e = aim(f, folder, name);

	if (e)
		return e;
	f->fd = fd;
	f->end = size;
	f->up = true;
	SET(CURLOPT_UPLOAD, 1L);
	SET(CURLOPT_INFILESIZE_LARGE, (curl_off_t)size);
	SET(CURLOPT_RESUME_FROM_LARGE, (curl_off_t)offset);
	e = err ? CEIR_ENOMEM : call(f, "cannot write", folder, name);
	return e == CEIR_ENOENT ? CEIR_EPERM : e;
}

/* Commands in a folder. */
static enum ceir_err command(struct remote_ftp *f, const char *what, struct str folder, struct str name, const char *const *verbs, const struct str *names,
	size_t n)
{
	struct curl_slist *list = NULL;
	CURLcode err = CURLE_OK;
	char line[REMOTE_NAME + 32];
	enum ceir_err e = aim(f, folder, STR(""));

	for (size_t i = 0; i < n && !e; i++) {
		snprintf(line, sizeof line, "%s %.*s", verbs[i], (int)names[i].n, names[i].p);
		struct curl_slist *more = curl_slist_append(list, line);

		if (!more)
			e = CEIR_ENOMEM;
		else
			list = more;
	}
	if (!e) {
		SET(CURLOPT_NOBODY, 1L);
		SET(CURLOPT_PREQUOTE, list);
		e = err ? CEIR_ENOMEM : call(f, what, folder, name);
	}
	curl_easy_setopt(f->easy, CURLOPT_PREQUOTE, NULL);
	curl_slist_free_all(list);
	return e;
}

enum ceir_err remote_ftp_rename(struct remote_ftp *f, struct str folder, struct str from, struct str to)
{
	enum ceir_err e = command(f, "cannot rename the whole file to", folder, to, (const char *const[]){"RNFR", "RNTO"}, (const struct str[]){from, to}, 2);

	return e == CEIR_ENOENT ? CEIR_EPERM : e;
}

enum ceir_err remote_ftp_delete(struct remote_ftp *f, struct str folder, struct str name)
{
	return command(f, "cannot delete", folder, name, (const char *const[]){"DELE"}, &name, 1);
}

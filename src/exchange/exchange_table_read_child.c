/*
 * exchange_table_read_child.c - ceir-table as a child: it has the file as its input, a pipe as its output, and nothing else of ours: no other files, no
 * environment, no terminal. It takes its own rights away (ceir_table.c); here it is only bounded in time and believed nothing.
 */
#include "exchange/exchange_table_read.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define READ_BYTES ((size_t)64 << 10)
#define PIPE_BYTES (1 << 20)
#define PROGRAM "ceir-table"
#define WAITS 4              /* wall clock to processor time, on a busy machine */
#define PATIENCE_MAX_S 86400
#define NUMBER_BYTES 24

/* Beside the running program, where a build has it; else where it was installed. */
static void helper_path(const struct table_limits *limits, char *out, size_t size)
{
	ssize_t n;
	char *slash;

	if (limits->helper != NULL) {
		snprintf(out, size, "%s", limits->helper);
		return;
	}
	n = readlink("/proc/self/exe", out, size - 1);
	if (n > 0) {
		out[n] = '\0';
		slash = strrchr(out, '/');
		if (slash != NULL && (size_t)(slash + 1 - out) + sizeof(PROGRAM) <= size) {
			memcpy(slash + 1, PROGRAM, sizeof(PROGRAM));
			if (access(out, X_OK) == 0)
				return;
		}
	}
	snprintf(out, size, "%s", CEIR_LIBEXECDIR "/" PROGRAM);
}

/*
 * The file for the child: opened anew where that is allowed, so that it can be read only and its place in it is not the caller's. A number that none of
 * the child's standard ones can be mistaken for.
 */
static int file_for_child(int fd)
{
	char path[32];
	int own, high;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	own = open(path, O_RDONLY | O_CLOEXEC);
	high = fcntl(own >= 0 ? own : fd, F_DUPFD_CLOEXEC, 3);
	if (own >= 0)
		close(own);
	return high;
}

static int pipe_high(int out[2])
{
	int low[2];

	if (pipe2(low, O_CLOEXEC) != 0)
		return -1;
	out[0] = fcntl(low[0], F_DUPFD_CLOEXEC, 3);
	out[1] = fcntl(low[1], F_DUPFD_CLOEXEC, 3);
	close(low[0]);
	close(low[1]);
	if (out[0] >= 0 && out[1] >= 0) {
		(void)fcntl(out[0], F_SETPIPE_SZ, PIPE_BYTES); /* fewer changes between the two; the default does too */
		return 0;
	}
	if (out[0] >= 0)
		close(out[0]);
	if (out[1] >= 0)
		close(out[1]);
	return -1;
}

static int prepare(posix_spawn_file_actions_t *files, posix_spawnattr_t *how, int file, int output)
{
	sigset_t none, all;
	int e;

	sigemptyset(&none);
	sigfillset(&all);
	e = posix_spawn_file_actions_adddup2(files, file, 0);
	e = e ? e : posix_spawn_file_actions_adddup2(files, output, 1);
	e = e ? e : posix_spawn_file_actions_addopen(files, 2, "/dev/null", O_WRONLY, 0);
	e = e ? e : posix_spawn_file_actions_addclosefrom_np(files, 3);
	e = e ? e : posix_spawnattr_setsigmask(how, &none);
	e = e ? e : posix_spawnattr_setsigdefault(how, &all);
	return e ? e : posix_spawnattr_setflags(how, POSIX_SPAWN_SETSID | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
}

/* errno, or 0. */
static int spawn(const char *path, char *const *argv, int file, int output, pid_t *pid)
{
	char *const no_environment[] = {NULL};
	posix_spawn_file_actions_t files;
	posix_spawnattr_t how;
	int e = posix_spawn_file_actions_init(&files);

	if (e)
		return e;
	e = posix_spawnattr_init(&how);
	if (!e) {
		e = prepare(&files, &how, file, output);
		e = e ? e : posix_spawn(pid, path, &files, &how, argv, no_environment);
		posix_spawnattr_destroy(&how);
	}
	posix_spawn_file_actions_destroy(&files);
	return e;
}

static int start(int file, int output, const struct table_limits *limits, pid_t *pid)
{
	char path[4096], parent[NUMBER_BYTES], memory[NUMBER_BYTES], cpu[NUMBER_BYTES], unpacked[NUMBER_BYTES], ratio[NUMBER_BYTES], name[] = PROGRAM;
	char *const argv[] = {name, parent, memory, cpu, unpacked, ratio, NULL};
	int e;

	helper_path(limits, path, sizeof(path));
	snprintf(parent, sizeof(parent), "%ld", (long)getpid());
	snprintf(memory, sizeof(memory), "%u", limits->memory_mib);
	snprintf(cpu, sizeof(cpu), "%u", limits->cpu_s);
	snprintf(unpacked, sizeof(unpacked), "%llu", (unsigned long long)limits->unpacked_bytes);
	snprintf(ratio, sizeof(ratio), "%u", limits->ratio);
	e = spawn(path, argv, file, output, pid);
	if (e)
		log_error("exchange", "cannot start %s, which reads spreadsheets and archives: %s; is it installed beside ceird?", path, strerror(e));
	return e;
}

enum ceir_err table_child_start(int fd, const struct table_limits *limits, struct table_child *out)
{
	unsigned patience_s = limits->cpu_s < PATIENCE_MAX_S / WAITS ? limits->cpu_s * WAITS : PATIENCE_MAX_S;
	int file = file_for_child(fd), ends[2], e;

	*out = (struct table_child){.patience_ms = (int)patience_s * 1000};
	if (file < 0)
		return ceir_err_of_errno(errno);
	if (pipe_high(ends) != 0) {
		e = errno;
		close(file);
		return ceir_err_of_errno(e);
	}
	e = start(file, ends[1], limits, &out->pid);
	close(file);
	close(ends[1]);
	if (e) {
		out->pid = 0;
		close(ends[0]);
		return ceir_err_of_errno(e);
	}
	out->pipe = ends[0];
	return CEIR_OK;
}

/* Waits for the end of the child, which is certain; how it ended. */
static int reap(struct table_child *c)
{
	int status = 0;
	pid_t got;

	do
		got = waitpid(c->pid, &status, 0);
	while (got < 0 && errno == EINTR);
	close(c->pipe);
	*c = (struct table_child){0};
	return got < 0 ? 0 : status;
}

void table_child_end(struct table_child *c)
{
	if (c->pid == 0)
		return;
	kill(c->pid, SIGKILL); /* not yet waited for: the number is still its own */
	reap(c);
}

/*
 * The pipe is at its end: the child dies, or has. One that only closed it would go on for ever. CEIR_ENOENT: *why is the file's matter; CEIR_EIO: it has
 * read nothing of it.
 */
static enum ceir_err ended(struct table_child *c, enum table_why *why)
{
	bool heard = c->heard;
	int status, tries = 0;
	siginfo_t info;

	do
		info.si_pid = 0;
	while (waitid(P_PID, (id_t)c->pid, &info, WEXITED | WNOWAIT | WNOHANG) == 0 && info.si_pid == 0 && tries++ < 100 && poll(NULL, 0, 10) == 0);
	if (info.si_pid == 0)
		kill(c->pid, SIGKILL);
	status = reap(c);
	if (!heard && WIFEXITED(status) && WEXITSTATUS(status) == TABLE_EXIT_UNFIT) {
		log_error("exchange", "ceir-table, which reads spreadsheets and archives, cannot take its own rights away here, and reads nothing; see docs/operations.md");
		return CEIR_EIO;
	}
	*why = WIFSIGNALED(status) && WTERMSIG(status) == SIGXCPU ? TABLE_WHY_CPU : TABLE_WHY_SHEET;
	return CEIR_ENOENT;
}

enum ceir_err table_child_more(void *child, struct buf *frames, enum table_why *why)
{
	struct table_child *c = child;
	struct pollfd p = {c->pipe, POLLIN, 0};
	char *to = buf_reserve(frames, READ_BYTES);
	ssize_t n;
	int ready;

	if (to == NULL)
		return CEIR_ENOMEM;
	if (c->pid == 0)
		return CEIR_ENOENT;
	do {
		ready = poll(&p, 1, c->patience_ms);
		n = ready > 0 ? read(c->pipe, to, READ_BYTES) : ready;
	} while (n < 0 && errno == EINTR);
	if (n < 0)
		return ceir_err_of_errno(errno);
	if (ready > 0 && n > 0) {
		frames->n += (size_t)n;
		c->heard = true;
		return CEIR_OK;
	}
	if (ready != 0)
		return ended(c, why);
	table_child_end(c);
	*why = TABLE_WHY_CPU;
	return CEIR_ENOENT;
}

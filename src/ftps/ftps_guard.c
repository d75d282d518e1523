/*
 * ftps_guard.c - a process between ceird and pure-ftpd, so that nothing is left behind, whoever dies and however.
 *
 * pure-ftpd makes two processes a session, and they go on when it dies. The guard is the first process of a PID name space: when it ends, the
 * kernel kills all of them. Where no such name space may be made, they are one process group, and the guard's last deed is to kill it. It ends
 * when the program ends or the lifeline, a pipe that only ceird writes to, is closed; a kill -9 of ceird closes it, too.
 *
 * Not root: the guard is in a user name space of its own as well, where it has the right to chroot and pure-ftpd, started by it, has it too
 * (an ambient capability). The one user of that space is ceird's. ftps_preload.c takes the right away from a session when it is in its folder.
 *
 * The child is a copy of a process with many threads, of which only one goes on: from clone to exec it may make system calls and nothing else,
 * no malloc, no lock, no log. They are made by number, because libc's functions may be a sanitizer's, with locks of their own.
 */
#include "ftps/ftps_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/close_range.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define LIFE 3 /* descriptors of the guard */
#define LOG 4
#define STOP_TRIES 250 /* of STOP_MS each: how long the program may take to stop listening */
#define STOP_MS 20

/* Texts that are made before the clone. */
struct maps {
	char uid[48], gid[48];
	size_t uid_n, gid_n;
	bool needed;
};

static pid_t raw_clone(unsigned long flags)
{
	return (pid_t)syscall(SYS_clone, flags | SIGCHLD, 0, 0, 0, 0);
}

static int raw_open(const char *path, int flags)
{
	return (int)syscall(SYS_openat, AT_FDCWD, path, flags, 0);
}

static pid_t raw_wait(pid_t pid, int *status, int flags)
{
	return (pid_t)syscall(SYS_wait4, pid, status, flags, NULL);
}

/* ms < 0: for ever. */
static void raw_poll(struct pollfd *p, unsigned n, long ms)
{
	struct timespec limit = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};

	(void)syscall(SYS_ppoll, p, n, ms < 0 ? NULL : &limit, NULL, 0);
}

static bool raw_dup(int from, int to)
{
	return syscall(SYS_dup3, from, to, 0) == to;
}

_Noreturn static void raw_exit(int status)
{
	for (;;)
		(void)syscall(SYS_exit_group, status);
}

/* The kernel's sets are of 64 signals. */
static bool raw_mask(uint64_t blocked)
{
	return syscall(SYS_rt_sigprocmask, SIG_SETMASK, &blocked, NULL, sizeof blocked) == 0;
}

static bool put(const char *path, const char *text, size_t n)
{
	int fd = raw_open(path, O_WRONLY | O_CLOEXEC);
	bool done = fd >= 0 && syscall(SYS_write, fd, text, n) == (long)n;

	if (fd >= 0)
		(void)syscall(SYS_close, fd);
	return done;
}

/* We are ourselves in there, and nobody else is anybody. user_namespaces(7) */
static bool enter_user_space(const struct maps *m)
{
	struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
	const uint32_t chroot_right = 1u << CAP_SYS_CHROOT;
	struct __user_cap_data_struct caps[2] = {{chroot_right, chroot_right, chroot_right}, {0, 0, 0}};

	return put("/proc/self/setgroups", "deny", 4) && put("/proc/self/uid_map", m->uid, m->uid_n) && put("/proc/self/gid_map", m->gid, m->gid_n) &&
		syscall(SYS_capset, &head, caps) == 0 && syscall(SYS_prctl, PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_SYS_CHROOT, 0, 0) == 0;
}

_Noreturn static void become_program(const struct ftps_plan *plan)
{
	(void)syscall(SYS_prctl, PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
	if (raw_mask(0) && raw_dup(LOG, 2) && syscall(SYS_close_range, 3u, ~0u, 0u) == 0)
		(void)syscall(SYS_execve, plan->program, plan->argv, plan->envp);
	raw_exit(127);
}

static pid_t start_program(const struct ftps_plan *plan)
{
	pid_t pid = raw_clone(0);

	if (pid == 0)
		become_program(plan);
	return pid;
}

/* Only these descriptors stay: the locks and sockets of ceird must not live longer than it. */
static bool keep_descriptors(int life, int log)
{
	int null = raw_open("/dev/null", O_RDWR | O_CLOEXEC);
	int l = (int)syscall(SYS_fcntl, life, F_DUPFD_CLOEXEC, 10), g = (int)syscall(SYS_fcntl, log, F_DUPFD_CLOEXEC, 10);

	if (null == 0) /* dup3 does not take the same twice */
		null = (int)syscall(SYS_fcntl, null, F_DUPFD_CLOEXEC, 10);
	return null > 2 && l >= 0 && g >= 0 && raw_dup(null, 0) && raw_dup(null, 1) && raw_dup(null, 2) && raw_dup(l, LIFE) && raw_dup(g, LOG) &&
		syscall(SYS_close_range, 5u, ~0u, 0u) == 0;
}

/* Everything that has ended; true when the program is among it. */
static bool reap(pid_t program, int *status)
{
	bool ended = false;
	pid_t pid;
	int s;

	while ((pid = raw_wait(-1, &s, WNOHANG)) > 0) {
		if (pid != program)
			continue;
		ended = true;
		*status = s;
	}
	return ended;
}

/* As the first process of a name space that is all; else the whole group goes, we with it, and the status is a signal. */
_Noreturn static void end(int status)
{
	if (syscall(SYS_getpid) != 1 && status != 2)
		(void)syscall(SYS_kill, 0, SIGKILL);
	raw_exit(status);
}

/* The old one stops listening before the new one begins; its sessions go on. */
static pid_t replace(const struct ftps_plan *plan, pid_t program)
{
	pid_t gone = 0;
	int status;

	(void)syscall(SYS_kill, program, SIGTERM);
	for (int i = 0; gone == 0 && i < STOP_TRIES; i++) {
		gone = raw_wait(program, &status, WNOHANG);
		if (gone == 0)
			raw_poll(NULL, 0, STOP_MS);
	}
	if (gone == 0 && syscall(SYS_kill, program, SIGKILL) == 0)
		(void)raw_wait(program, &status, 0);
	return start_program(plan);
}

/* What woke it is read and thrown away: what has ended is asked of the kernel. */
static int open_ended(void)
{
	const uint64_t child = (uint64_t)1 << (SIGCHLD - 1);

	return raw_mask(~(uint64_t)0) ? (int)syscall(SYS_signalfd4, -1, &child, sizeof child, SFD_CLOEXEC | SFD_NONBLOCK) : -1;
}

_Noreturn static void guard_run(const struct ftps_plan *plan, const struct maps *m, int life)
{
	int status = 0, ended;
	pid_t program;

	(void)syscall(SYS_setpgid, 0, 0);
	(void)syscall(SYS_prctl, PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
	if ((m->needed && !enter_user_space(m)) || !keep_descriptors(life, plan->log))
		end(2);
	ended = open_ended();
	program = start_program(plan);
	if (ended < 0 || program < 0)
		end(2);
	for (;;) {
		struct pollfd p[] = {{.fd = LIFE, .events = POLLIN}, {.fd = ended, .events = POLLIN}};
		struct signalfd_siginfo info;
		char what;

		raw_poll(p, 2, -1);
		while (syscall(SYS_read, ended, &info, sizeof info) > 0)
			;
		if (p[0].revents) {
			if (syscall(SYS_read, LIFE, &what, 1) != 1)
				end(0);
			program = replace(plan, program);
		}
		if (reap(program, &status))
			end(WIFEXITED(status) && WEXITSTATUS(status) == 127 ? 2 : 1);
	}
}

enum ceir_err ftps_guard_start(const struct ftps_plan *plan, pid_t *guard, int *lifeline)
{
	unsigned long spaces = CLONE_NEWPID | (getuid() ? CLONE_NEWUSER : 0);
	struct maps m = {.needed = getuid() != 0};
	int ends[2];
	pid_t pid;

	m.uid_n = (size_t)snprintf(m.uid, sizeof m.uid, "%u %u 1", (unsigned)getuid(), (unsigned)getuid());
	m.gid_n = (size_t)snprintf(m.gid, sizeof m.gid, "%u %u 1", (unsigned)getgid(), (unsigned)getgid());
	if (pipe2(ends, O_CLOEXEC) != 0)
		return ceir_err_of_errno(errno);
	pid = raw_clone(spaces);
	if (pid < 0 && !m.needed)
		pid = raw_clone(0); /* a container that may not: the group does */
	if (pid == 0) {
		(void)syscall(SYS_close, ends[1]);
		guard_run(plan, &m, ends[0]);
	}
	close(ends[0]);
	if (pid < 0) {
		enum ceir_err err = errno == EPERM ? CEIR_EPERM : ceir_err_of_errno(errno);

		close(ends[1]);
		return err;
	}
	*guard = pid;
	*lifeline = ends[1];
	return CEIR_OK;
}

/* ftps_internal.h - what the files of this room share. */
#ifndef CEIR_FTPS_INTERNAL_H
#define CEIR_FTPS_INTERNAL_H

#include <limits.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/types.h>

#include "ftps/ftps.h"
#include "ftps/ftps_text.h"

#define FTPS_ROOM "ftps"
#define FTPS_WORKERS 4u      /* logins looked at together; Argon2 has its own turns behind them */
#define FTPS_WAITING 256u    /* logins that wait; more are refused at once */
#define FTPS_CONNECTIONS 4096u

/* ---- folders (ftps_home.c) ----------------------------------------------------------------------------------------- */

struct ftps_owner {
	uid_t uid;                       /* of sessions */
	gid_t gid;
	bool root;                       /* ceird is root and sessions are somebody else */
};

/*
 * Before a session: in/ belongs to the session's user and to nobody else, out/ can be read by it, and the quota's count is what really lies
 * in in/ (pure-ftpd adds and does not see that files are taken away). Any thread.
 */
enum ceir_err ftps_home_prepare(const char *home, const struct ftps_owner *o) CEIR_MUST_USE;
/* The quota's count again. */
enum ceir_err ftps_home_count(const char *home, const struct ftps_owner *o) CEIR_MUST_USE;
/* Calls found(ctx, name) for every file of in/ that is complete and was not taken: a crash came between. */
enum ceir_err ftps_home_complete(const char *home, void (*found)(void *ctx, const char *name), void *ctx) CEIR_MUST_USE;

/* ---- sockets (ftps_socket.c) --------------------------------------------------------------------------------------- */

/* A listening unix socket of mode 0600; what stood there is removed. CEIR_ERANGE: the path is too long for a socket. */
enum ceir_err ftps_socket_listen(const char *path, int *fd) CEIR_MUST_USE;
/* An address and port as text into host and port; port 0: a free one was found. *family is AF_INET or AF_INET6. */
enum ceir_err ftps_socket_resolve(const char *listen, char host[64], unsigned *port) CEIR_MUST_USE;
/* Whether somebody answers there. */
bool ftps_socket_answers(const char *host, unsigned port);

/* ---- the daemon's process (ftps_guard.c) --------------------------------------------------------------------------- */

/* Everything is made before the process is, because between fork and exec only system calls are allowed. */
struct ftps_plan {
	const char *program;
	char *const *argv, *const *envp;
	int log;                         /* its standard error */
};

/*
 * Starts a guard: a process that starts the program and lives as long as it and as `lifeline` does. When the caller closes the lifeline or dies,
 * however it dies, the guard kills the program and all sessions. A byte written to the lifeline: another program is started and the old one
 * stops listening, its sessions go on. The guard's exit status: 0 stopped, 1 the program ended, 2 it cannot be started (errno in *why_not is not
 * known; the log has it). Not root: in a user name space of its own, where it may chroot.
 */
enum ceir_err ftps_guard_start(const struct ftps_plan *plan, pid_t *guard, int *lifeline) CEIR_MUST_USE;

/* ---- the server ---------------------------------------------------------------------------------------------------- */

struct ftps_server {
	struct ftps_settings settings;
	struct registry *registry;
	struct files *files;
	struct ftps_owner owner;
	char dir[PATH_MAX];              /* DIR/ftps, absolute */
	char login_path[PATH_MAX], notice_path[PATH_MAX], pem_path[PATH_MAX], pid_path[PATH_MAX], preload[PATH_MAX];
	char host[64], address[80];
	unsigned port, first_port, last_port;
	int wake;                        /* eventfd: readable when stopping */
	atomic_bool stopping;
	atomic_bool hopeless;            /* the daemon cannot be started at all */

	/* ftps_login.c */
	int login_fd;
	pthread_t login_acceptor, login_workers[FTPS_WORKERS];
	unsigned n_workers;
	bool login_accepting;
	pthread_mutex_t login_lock;      /* the queue */
	pthread_cond_t login_came;
	struct ftps_waiting {
		int fd;
		int64_t since_us;
	} waiting[FTPS_WAITING];         /* a ring */
	unsigned first_waiting, n_waiting;

	/* ftps_take.c */
	int notice_fd;
	pthread_t taker;
	bool taking;
	atomic_bool heard;               /* a session has come: ftps_preload.c is in force */

	/* ftps_daemon.c */
	int log_read, log_write;
	pthread_t logger, supervisor;
	bool logging, supervising;
	pthread_mutex_t guard_lock;      /* the next four */
	pthread_cond_t guard_changed;
	pid_t guard;                     /* 0: none runs */
	int lifeline;                    /* -1: none */
};

enum ceir_err ftps_login_start(struct ftps_server *s) CEIR_MUST_USE;
void ftps_login_stop(struct ftps_server *s);
enum ceir_err ftps_take_start(struct ftps_server *s) CEIR_MUST_USE;
void ftps_take_stop(struct ftps_server *s);
/* The account's folder as a session sees it from outside, without links: pure-ftpd tells of files by that path. */
enum ceir_err ftps_take_home(struct ftps_server *s, struct str account, char home[PATH_MAX]) CEIR_MUST_USE;
/* The file is complete: into the queue. */
enum ceir_err ftps_take_file(struct ftps_server *s, struct str account, const char *name) CEIR_MUST_USE;
enum ceir_err ftps_daemon_start(struct ftps_server *s) CEIR_MUST_USE;
void ftps_daemon_reload(struct ftps_server *s);
void ftps_daemon_stop(struct ftps_server *s);

#endif

/* remote_internal.h - what the files of this room share. */
#ifndef CEIR_REMOTE_INTERNAL_H
#define CEIR_REMOTE_INTERNAL_H

#include <limits.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "remote/remote.h"
#include "remote/remote_text.h"

#define REMOTE_ROOM "remote"

/* ---- remote_ftp.c: one server, over libcurl. One thread; the control connection stays open between two calls ---- */

struct remote_ftp;
struct remote_ftp_server {
	struct str host, user, password; /* copied; the password by libcurl alone */
	uint16_t port;
	bool implicit;
	const char *ca;                  /* PEM file, read at each new connection */
	unsigned timeout_s;
};
/* What is there of a file. */
struct remote_stat {
	uint64_t size;
	int64_t mtime_s;                 /* within 32 bits without a sign: a file of ours can be given it */
};
/* CEIR_ENOMEM. A host, user or password that FTP cannot carry makes each call fail. */
enum ceir_err remote_ftp_new(const struct remote_ftp_server *s, struct remote_ftp **out) CEIR_MUST_USE;
void remote_ftp_free(struct remote_ftp *f); /* NULL is allowed */
/* Any thread: what is under way ends at once with CEIR_ECLOSED, and so does all that is asked later. */
void remote_ftp_stop(struct remote_ftp *f);

/*
 * Calls below: CEIR_ECLOSED: stopped; CEIR_ENOENT: the server has no such file; CEIR_EPERM: it refused (5xx); others: it did not come about. In all
 * but the first remote_ftp_error() says what was tried and why it failed, in one line without secrets or texts of the server.
 */
const char *remote_ftp_error(const struct remote_ftp *f);
/* How far the calls since the last remote_ftp_begin() came. */
enum remote_reached { REMOTE_NOT_TRIED, REMOTE_NO_LOGIN, REMOTE_LOGGED_IN };
void remote_ftp_begin(struct remote_ftp *f);
enum remote_reached remote_ftp_reached(const struct remote_ftp *f);

/*
 * Names in a folder (NLST), as they come. CEIR_ELIMIT: more than REMOTE_LISTING_BYTES. Not *whole: the data channel ended without TLS's close_notify, as
 * that of some servers always does; there may be more, which somebody on the way has cut off.
 */
enum ceir_err remote_ftp_list(struct remote_ftp *f, struct str folder, struct buf *out, bool *whole) CEIR_MUST_USE;
/* SIZE and MDTM (RFC 3659 3, 4). mtime_s is -1 where the server does not know MDTM. CEIR_ESTATE: it does not know SIZE. */
enum ceir_err remote_ftp_stat(struct remote_ftp *f, struct str folder, struct str name, struct remote_stat *out) CEIR_MUST_USE;
/* From offset on (REST), behind what fd holds; CEIR_ELIMIT: more than size came. CEIR_OK: size is reached. */
enum ceir_err remote_ftp_get(struct remote_ftp *f, struct str folder, struct str name, uint64_t offset, uint64_t size, int fd) CEIR_MUST_USE;
/* The first size bytes of fd, from offset on (APPE), or all of them (STOR). */
enum ceir_err remote_ftp_put(struct remote_ftp *f, struct str folder, struct str name, uint64_t offset, uint64_t size, int fd) CEIR_MUST_USE;
enum ceir_err remote_ftp_rename(struct remote_ftp *f, struct str folder, struct str from, struct str to) CEIR_MUST_USE;
enum ceir_err remote_ftp_delete(struct remote_ftp *f, struct str folder, struct str name) CEIR_MUST_USE;

/* ---- remote.c: who is served ---- */

struct remotes {
	struct remote_settings s;
	struct registry *r;
	struct files *files;             /* NULL: none */
	char dir[PATH_MAX];              /* DIR/remote */
	_Atomic bool stopping;
	pthread_mutex_t lock;            /* guards what follows, and each worker's ended */
	pthread_cond_t wake;             /* stopping, or somebody's stop or ended */
	struct remote_worker *workers;   /* the supervisor's list */
	size_t too_many;                 /* remotes above max, as last logged */
	uint64_t change_seq;
	int64_t change_at_us;            /* when change_seq was read */
	pthread_t supervisor;
	bool running;
};

/* The last number of the change log, not older than half a second. */
uint64_t remotes_change_seq(struct remotes *m);

/* ---- remote_worker.c: one remote, one thread ---- */

#define REMOTE_WAYS 3
#define REMOTE_WHY 512

/* Of one list. */
struct remote_list {
	bool looked;
	uint64_t looked_seq;             /* changes up to here brought no row */
	int64_t not_before_us;
};

struct remote_worker {
	struct remotes *m;
	struct remote_worker *next;
	struct arena *arena;             /* the texts of c */
	struct reg_remote c;             /* without password and ca */
	struct str ca;                   /* PEM, until it is written */
	char dir[PATH_MAX], capath[PATH_MAX]; /* DIR/remote/ID */
	struct remote_ftp *ftp;
	pthread_t thread;
	bool running;                    /* the thread was started: the supervisor's */
	_Atomic bool stop;
	bool ended;                      /* m->lock */
	bool seen;                       /* the supervisor's: in the present look */

	/* The thread's own. */
	int out, in;                     /* DIR/remote/ID/out, in */
	char boot[40];                   /* which run of the kernel this is */
	bool gone;                       /* the register has no such remote any more */
	bool prepared;
	unsigned failures[REMOTE_WAYS], down; /* in a row: of a way; and of the server as a whole */
	int64_t not_before_us[REMOTE_WAYS], up_again_us;
	char file[REMOTE_NAME], why[REMOTE_WHY]; /* of the failure at hand */
	/* remote_push.c */
	struct remote_list lists[REG_LISTS];
	bool spool_empty;
	struct remote_looks *answers;
	int64_t answers_dir_ns;          /* when out/ changed, as of the last whole look; 0: look again */
	/* remote_fetch.c */
	struct remote_looks *looks;
	bool pending;                    /* in/ holds what may still have to be put into the queue */
	int64_t pending_us, next_look_us; /* not before then */
	bool forget;                     /* a look was not finished, so what it missed is not known */
	size_t skipped;                  /* names of the last listing */
};

/* Makes it and starts its thread. password and ca of c are copied, the others' texts too. */
enum ceir_err remote_worker_start(struct remotes *m, const struct reg_remote *c, struct remote_worker **out) CEIR_MUST_USE;
void remote_worker_stop(struct remote_worker *w);  /* returns at once; w->ended says when */
void remote_worker_free(struct remote_worker *w);  /* ended; joins */
bool remote_stopping(const struct remote_worker *w);
/* Sets why; returns err. */
enum ceir_err remote_fail(struct remote_worker *w, enum ceir_err err, const char *format, ...) CEIR_PRINTF(3, 4);
/* What libcurl said; returns err. */
enum ceir_err remote_fail_ftp(struct remote_worker *w, enum ceir_err err);
/* A failure that does not hold up what comes after it: the first of them is kept, and given back at the end. */
struct remote_kept {
	enum ceir_err err;
	char file[REMOTE_NAME], why[REMOTE_WHY];
};
void remote_keep(const struct remote_worker *w, struct remote_kept *kept, enum ceir_err err);
enum ceir_err remote_kept(struct remote_worker *w, const struct remote_kept *kept) CEIR_MUST_USE; /* sets file and why */
/* An event of the register, durable. CEIR_ECLOSED: the remote is gone. */
enum ceir_err remote_note(struct remote_worker *w, const struct reg_remote_event *e) CEIR_MUST_USE;
void remote_name_set(struct remote_worker *w, struct str name); /* the file at hand */

/*
 * DIR/remote/ID/begun.WAY: which transfer left the unfinished file that the next one goes on with; what another left is done anew. Not synced: it
 * counts for this run of the kernel alone.
 */
bool remote_begun(struct remote_worker *w, enum reg_remote_way way, struct str name, uint64_t size, int64_t mtime_s);
enum ceir_err remote_begin(struct remote_worker *w, enum reg_remote_way way, struct str name, uint64_t size, int64_t mtime_s) CEIR_MUST_USE;
void remote_begun_forget(struct remote_worker *w, enum reg_remote_way way);
/* SHA-256 of the first size bytes. */
enum ceir_err remote_hash(struct remote_worker *w, int fd, uint64_t size, uint8_t out[32]) CEIR_MUST_USE;

/* Files as they were at the last look, in the order of their names. */
struct remote_look {
	struct str name;
	uint64_t size;
	int64_t mtime_s;
	bool done, told;                 /* known to the register; its refusal is noted */
};
struct remote_looks {
	struct arena *arena;
	struct remote_look *v;
	size_t n, max;
};
struct remote_looks *remote_looks_new(void); /* NULL: memory */
void remote_looks_free(struct remote_looks *l);
/* CEIR_ENOMEM. The name is copied. Put in order by remote_looks_sort(). */
enum ceir_err remote_looks_add(struct remote_looks *l, const struct remote_look *look) CEIR_MUST_USE;
void remote_looks_sort(struct remote_looks *l);
struct remote_look *remote_looks_find(const struct remote_looks *l, struct str name); /* l may be NULL */
/* Tells the register to forget all others of this way, when one of before (NULL: nothing is known of before) is missing in l. */
enum ceir_err remote_looks_forget(struct remote_worker *w, enum reg_remote_way way, const struct remote_looks *before, const struct remote_looks *l)
	CEIR_MUST_USE;

/* ---- what there is to do; each CEIR_OK when there is nothing ---- */

/* remote_push.c */
enum ceir_err remote_push_lists(struct remote_worker *w) CEIR_MUST_USE;
enum ceir_err remote_push_answers(struct remote_worker *w) CEIR_MUST_USE;
void remote_spool_clean(struct remote_worker *w); /* at the start */
/* remote_lists.c: the next file of a list. name[0] 0: there is nothing new. Else NAME, NAME.sig and NAME.mark are in out/, durable. */
enum ceir_err remote_list_make(struct remote_worker *w, enum reg_list_kind list, char name[REMOTE_NAME]) CEIR_MUST_USE;
/* remote_fetch.c */
enum ceir_err remote_fetch_pending(struct remote_worker *w) CEIR_MUST_USE;
enum ceir_err remote_fetch(struct remote_worker *w) CEIR_MUST_USE;

#endif

/* files_internal.h - what the files of this room share. */
#ifndef CEIR_FILES_INTERNAL_H
#define CEIR_FILES_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "files/files.h"
#include "files/files_types.h"

#define FILES_ROOM "files"
#define FILES_NAME 256     /* of a file, NUL included: NAME_MAX + 1 */
#define FILES_SHOWN 200    /* bytes of it in the names of answers: room for what is added */
#define FILES_SEQ 17       /* 16 hexadecimal digits: microseconds of its coming, unique in a queue; files are done in this order */
#define FILES_TRID 64

/* An account's folder. In a list that only grows; clid, op and folder never change but under the lock. */
struct files_account {
	struct files_account *next;
	char clid[65], op[65];         /* op: code of its operator, or empty */
	char folder[REG_FOLDER_NAME];
	bool active, seen;             /* as of the last look; seen in the present one */
	bool busy;                     /* a thread does one of its files: one at a time, in their order */
	int64_t not_before_us;         /* something could not be done: not again before */
	int64_t later_us;              /* after so long; 0: the last one was done */
	enum ceir_err in_err;          /* files_scan.c: why a file of in/ could not be taken, in the last look */
	struct still *still;           /* files_scan.c: what lies in in/ */
};

struct files {
	struct files_settings s;
	struct registry *r;
	int root;                      /* DIR/files */
	_Atomic bool stopping;
	pthread_mutex_t lock;          /* guards the accounts and waiting */
	pthread_cond_t wake;
	struct files_account *accounts;
	uint64_t last_seq;
	pthread_t threads[64], scanner;
	unsigned n_threads;
	bool scans;                    /* the scanner was started */
};

/* ---- files.c ---- */

/* The account; made, with its folders, when it is new. NULL: memory or the system, logged. */
struct files_account *files_account_find(struct files *f, struct str clid, struct str op);
/* Folder of an account: "queue", "ftp/in", "ftp/out", "ftp/out/lists"; never through a link. -1: errno. The caller closes. */
int files_open_folder(const struct files *f, const struct files_account *a, const char *which);
void files_wake(struct files *f);

/* ---- files_queue.c ---- */

/* The oldest file of a queue. CEIR_ENOENT: none. */
enum ceir_err files_queue_first(int queue, char seq[FILES_SEQ]) CEIR_MUST_USE;
/* Name under which it came; sets name[0] to 0 when nobody knows. */
void files_queue_name(int queue, const char *seq, char name[FILES_NAME]);
enum ceir_err files_queue_done(int queue, const char *seq) CEIR_MUST_USE;
/* At the start: what a crash left of a file that did not come. */
void files_queue_clean(int queue);

/* ---- files_scan.c: once a second ---- */

void *files_scan_run(void *files);

/* ---- files_command.c: commands of a session ---- */

struct files_session {
	struct reg_session *s;
	struct arena *arena;           /* of one command; the caller resets it */
	struct buf out;
	size_t lang;
	void (*take)(void *ctx, const struct reg_reply *reply); /* looks at the data of a reply; may be called twice; NULL */
	void *ctx;
	/* Of the last reply. */
	unsigned code;
	char svtrid[REG_SVTRID_MAX];
	char element[65];              /* of the first detail, or empty */
	struct buf text;               /* what was wrong, or the code's text: one line */
};
/* CEIR_EPERM, CEIR_ELIMIT as reg_session_of(). */
enum ceir_err files_session_open(struct files *f, const struct files_account *a, struct files_session *out) CEIR_MUST_USE;
void files_session_close(struct files_session *s);
/*
 * Executes and settles. CEIR_OK: answered, whatever the code. CEIR_ESTATE: not now (2400), CEIR_ECLOSED: the account may no longer; the row is not
 * answered, and will be tried again.
 */
enum ceir_err files_execute(struct files_session *s, struct reg_command *c) CEIR_MUST_USE;
/* What is executed, as text for the audit row's digest: "create permit\nid=...\n". .p NULL: memory. */
struct str files_request(struct arena *a, const struct reg_command *c);
struct files_job;
/*
 * Did a command of the file's account with this clTRID succeed since the file came? Then code and svTRID of s are its, and name (may be NULL) what it
 * was about, in the arena.
 */
enum ceir_err files_done_before(struct files_session *s, const struct files_job *j, const char *cltrid, bool *done, struct str *name) CEIR_MUST_USE;
/* An answer of this face's own, as if a command had been refused. */
void files_say(struct files_session *s, unsigned code, const char *element, const char *english, struct str value);
/* One line: control characters become spaces. */
void files_put_line(struct buf *out, struct str s);

/* ---- files_do.c: one file ---- */

struct files_job {
	struct files *f;
	struct files_account *a;
	int queue, out, fd;
	char seq[FILES_SEQ], name[FILES_NAME];
	char shown[FILES_NAME];        /* the name as part of a name in out/ */
	const struct files_type *type; /* NULL: the name does not say */
	char trid[FILES_TRID];         /* begins the clTRIDs: derived from when it came, its name and its bytes */
	size_t lang;                   /* of what this face itself says in the answer: the account's */
	struct table_reader *table;
	struct files_plan plan;
	struct stat st;                /* as it was when this try began */
	bool changed;                  /* its bytes are not what they were when work on it began */
};
/* Does the oldest file of an account. CEIR_ENOENT: there is none. CEIR_ECLOSED: stopping. Others: not now, logged. */
enum ceir_err files_do(struct files *f, struct files_account *a) CEIR_MUST_USE;
bool files_stopping(const struct files_job *j);
/* Opens the table from its start and makes the plan. CEIR_EINVAL: refused, files_refuse() has been called with what is wrong. */
enum ceir_err files_table_open(struct files_job *j) CEIR_MUST_USE;
/* Answers the file as a whole, with one row. english may hold {0}. */
enum ceir_err files_refuse(struct files_job *j, unsigned code, const char *english, struct str what) CEIR_MUST_USE;
/* Gives a new hidden file in out/; the name is ".SEQ.what". */
int files_temporary(const struct files_job *j, const char *what, char name[64]);
/* Synced, renamed to SHOWN.what.ENDING; fd is closed whatever the outcome. */
enum ceir_err files_show(const struct files_job *j, int fd, const char *temporary, const char *what, const char *ending) CEIR_MUST_USE;

/* The whole answer is one row: SHOWN.answer.csv with these columns (record: what a row is). */
enum ceir_err files_answer_line(struct files_job *j, const char *record, const char *const *names, const struct str *cells, size_t n) CEIR_MUST_USE;

enum ceir_err files_do_rows(struct files_job *j) CEIR_MUST_USE;
enum ceir_err files_do_check(struct files_job *j) CEIR_MUST_USE;
enum ceir_err files_do_application(struct files_job *j) CEIR_MUST_USE;
enum ceir_err files_do_delivery(struct files_job *j) CEIR_MUST_USE;
enum ceir_err files_do_epp(struct files_job *j) CEIR_MUST_USE;

/* ---- files_answer.c: NAME.answer.FORM and NAME.rejects.FORM ---- */

struct files_answer;
/* The columns are the upload's without ours; then more (n_more names, may be 0), code, message, svTRID. */
enum ceir_err files_answer_new(struct files_job *j, const char *const *more, size_t n_more, struct files_answer **out) CEIR_MUST_USE;
/* row NULL: a line about the file as a whole. text: one line. reject: code of the reason; NULL: not refused. */
enum ceir_err files_answer_row(struct files_answer *a, const struct table_row *row, const struct str *more, unsigned code, struct str text,
	struct str svtrid, const char *reject) CEIR_MUST_USE;
/* What could not be read behind the last row. */
enum ceir_err files_answer_broken(struct files_answer *a, const char *why) CEIR_MUST_USE;
/* Both are in out/, durable; frees, whatever the outcome. */
enum ceir_err files_answer_finish(struct files_answer *a) CEIR_MUST_USE;
void files_answer_drop(struct files_answer *a); /* NULL is allowed */

#endif

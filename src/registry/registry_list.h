/*
 * registry_list.h - lists for operators: what the files that make and keep them share.
 *
 * What stands in a list is decided by the entry of the IMEI itself (verdicts_get_entry), without the verdict of its whole TAC: a
 * barred TAC is one row of the black list, which counts before what other lists say of its IMEIs, and brings no change in those.
 *
 *   black        IMEI, date, reasons       every black IMEI; a barred TAC as 8 digits; what is locked to a subscriber
 *   grey         IMEI, IMSI, MSISDN, date, reasons   the operator's own subscribers with grey IMEIs, who must be told; not those of
 *   `exceptions`
 *   exceptions   IMEI, IMSI, MSISDN        subscribers who may use a black, locked or cloned IMEI
 *   white        IMEI
 *
 * Golden IMEIs are neither black nor grey, and white.
 *
 * A whole list is at least as new as its sequence number, and so is a delta: an IMEI that changes while the file is made may stand
 * there as it is afterwards; its change comes in the next delta again, which takes back whatever the IMEI was at any time between.
 */
#ifndef CEIR_REGISTRY_LIST_H
#define CEIR_REGISTRY_LIST_H

#include "exchange/exchange.h"
#include "registry/registry_class.h"

/* One list of one operator, to be made. */
struct reg_list_job {
	struct registry *r;
	uint8_t op;                   /* number of the operator */
	char code[REG_FOLDER_NAME];   /* its public key */
	enum reg_list_kind kind;
	int64_t from, to;             /* sequence numbers; from -1: the whole list */
	int64_t behind;               /* changes from `from` up to here are known to bring no row; 0: nothing is known */
	int64_t from_s, to_s, now_us; /* when these changes were made (0: there is none); now */
	enum list_format format;
	enum list_packing packing;
	/*
	 * The layout of DIRBS-Core 16, whole lists only. It knows no TAC in a list: the IMEIs of a barred one that networks have seen are black one by one,
	 * and no longer grey. A notification has a number and a day, an exception an IMSI; what has none is left out.
	 */
	bool dirbs;
};

/* registry_list_make.c. Whole lists and deltas into one file. */
enum ceir_err reg_list_make(const struct reg_list_job *job, const char *path, struct list_info *info);
/* Would it have a row? Nothing is written. */
enum ceir_err reg_list_any(const struct reg_list_job *job, bool *any);

/* ---- registry_list_file.c: files made, found again, recorded ---- */

#define REG_LIST_PATH 4096
#define REG_LIST_NAME 96

struct reg_list_file {
	const struct reg_list_job *job;
	struct list_info info;
	char name[REG_LIST_NAME], digest[65], signature[129];
};

/* DIR/FOLDER/OPERATOR, made when missing. */
enum ceir_err reg_list_folder(const struct registry *r, const char *folder, const char *code, char out[REG_LIST_PATH]);
void reg_list_file_name(const struct reg_list_job *job, char out[REG_LIST_NAME]);
/* Makes job's file as .NAME.tmp in dir, synced with its folder; digest and signature. One at a time, others wait. */
enum ceir_err reg_list_file_make(const char *dir, struct reg_list_file *f);
/* Would job's file have a row? Takes its turn with those that are made. */
enum ceir_err reg_list_file_any(const struct reg_list_job *job, bool *any);
/* .NAME.tmp becomes NAME, durably. */
enum ceir_err reg_list_file_show(const char *dir, const char *name);
/* Its row of evidence; name as it is recorded. */
enum ceir_err reg_list_file_record(struct exec *x, const struct reg_list_file *f, const char *name, int64_t tx);
/* The same file as made before, or made now: *fd open for reading. */
enum ceir_err reg_list_file_get(struct registry *r, const char *dir, struct reg_list_file *f, int64_t tx, int *fd);
/* Removes all but the newest of the files whose names begin so, and their signatures. */
void reg_list_tidy(const char *dir, const char *prefix, unsigned keep);
/* Removes what was never shown (names that begin with a dot). Nobody is making a list in this folder. */
void reg_list_clean(const char *dir);
/* When the change of this number was made; 0: there is none. */
enum ceir_err reg_list_change_time(struct store_conn *db, int64_t seq, int64_t *at_s);
/* The last change that the verdict table has followed. Not on the writer's thread. */
enum ceir_err reg_list_settled(struct registry *r, int64_t *seq);

/* ---- registry_list_outbox.c ---- */

struct reg_lists {
	pthread_mutex_t making;       /* one list at a time: each uses the disk and a core */
	uint8_t sign[crypto_sign_SECRETKEYBYTES];

	pthread_mutex_t lock;
	pthread_cond_t wake;
	bool due;                     /* lock; verdicts have changed */
	bool stop;                    /* lock */
	bool running;                 /* the thread was started */
	pthread_t thread;
	pthread_cond_t news;          /* a file with rows was made, or who waits is to look whether he still wants to */
	uint64_t made[256][REG_LISTS]; /* lock; so many */
	/* The thread's. */
	int64_t done;                 /* up to here all outboxes have been served; -1: not yet known */
	unsigned operators;           /* so many */
	int64_t behind[256][REG_LISTS]; /* up to here there was no row since the last file; 0: not known */
};

/* ---- shared by the makers ---- */

struct reg_list_pair {
	uint64_t imsi, msisdn;        /* 0: any */
	bool in_force, lock;
};

struct reg_list_make {
	const struct reg_list_job *job;
	struct list_writer *writer;   /* NULL: the first row ends the making with CEIR_EEXIST */
	bool any;                     /* there was a row */
	struct reg_tables *tables;
	const struct policy *policy;
	struct triplets_view *view;
	struct store_conn *db;
	struct verdicts_reader *reader;
	const char *change;           /* of the rows that are put now; NULL: a whole list */
	struct reg_list_pair *pairs;  /* of the IMEI asked for last */
	size_t n_pairs, max_pairs;
};

/* What counts of one IMEI. */
struct reg_list_state {
	uint64_t imei;
	struct verdict v;
	bool has_record;
	struct policy_class record;
	const struct reg_golden *golden;
	bool own_black;               /* its own entry is black; in v that of its TAC may stand before it (dirbs) */
};
void reg_list_look(struct reg_list_make *m, uint64_t imei, struct reg_list_state *s);
bool reg_list_is_black(const struct reg_list_state *s);
bool reg_list_is_grey(const struct reg_list_state *s);
bool reg_list_is_white(const struct reg_list_state *s);
/* The genuine pair of a clone may use it. */
bool reg_list_has_genuine(const struct reg_list_state *s);

/* One row; imsi or msisdn 0: left out; day 0: none; reasons NULL: the column is not there. */
enum ceir_err reg_list_put(struct reg_list_make *m, uint64_t imei, uint64_t imsi, uint64_t msisdn, int32_t day, const char *reasons);
/* The row of a black IMEI, of one that is locked, of a barred TAC (reason NULL: removed). */
enum ceir_err reg_list_put_black(struct reg_list_make *m, const struct reg_list_state *s);
enum ceir_err reg_list_put_locked(struct reg_list_make *m, uint64_t imei);
enum ceir_err reg_list_put_tac(struct reg_list_make *m, struct tac tac, const char *reason);
/* Its genuine pair, if it is the operator's own. */
enum ceir_err reg_list_put_genuine(struct reg_list_make *m, const struct reg_list_state *s);
/* Is this subscriber the operator's own; one that is nobody's of ours goes to whoever saw it, or (seen_by 0) to all. */
bool reg_list_own(const struct reg_list_make *m, uint64_t imsi, uint64_t msisdn, uint8_t seen_by);

/*
 * May it have been the operator's own at some time? Its own network saw it, or its IMSI is one of its own: it learns nothing that
 * it did not know.
 */
bool reg_list_once_own(const struct reg_list_make *m, const struct triplet *t);

/*
 * Listings bound to a subscriber that let him, into m->pairs, those that ended as well. *locked: it works only with such a
 * subscriber; *unlocked: it once did.
 */
enum ceir_err reg_list_pairs(struct reg_list_make *m, uint64_t imei, bool *locked, bool *unlocked);
bool reg_list_excepted(const struct reg_list_make *m, uint64_t imsi, uint64_t msisdn);
/* Is one of the first n of m->pairs in force and of this very IMSI and MSISDN? */
bool reg_list_listed(const struct reg_list_make *m, uint64_t imsi, uint64_t msisdn, size_t n);
/* IMEIs with such a listing, each once. */
enum ceir_err reg_list_paired(struct reg_list_make *m, struct reg_keys *out);

/*
 * The subscribers of one IMEI, fed row by row in the order of the triplets. Puts those who must be told (m->change); removals: and
 * all others of this operator as removed.
 */
struct reg_list_subscribers {
	struct reg_list_make *m;
	const struct reg_list_state *state;
	bool told, removals, paired;  /* told: the IMEI is grey */
	int64_t from_s;               /* seen since then */
	char reasons[256];
	uint64_t imsi, msisdn;        /* the pair whose rows come now: several operators may have seen it */
	bool open, member, ours;
};
enum ceir_err reg_list_subscribers_begin(struct reg_list_subscribers *s, struct reg_list_make *m, const struct reg_list_state *state,
	bool removals);
enum ceir_err reg_list_subscriber(void *subscribers, const struct triplet *t);
enum ceir_err reg_list_subscribers_end(struct reg_list_subscribers *s);
/* All of it, with a look at the triplets. */
enum ceir_err reg_list_subscribers(struct reg_list_make *m, const struct reg_list_state *state, bool removals);

/* Is the subscriber reminded on a day behind `from` up to `to` of the block to come? */
bool reg_list_notice(const struct policy_params *p, const struct policy_class *record, int32_t from, int32_t to);

/* ---- registry_list.c, for those who wait ---- */

/* The operator's number; 0: there is none. */
uint8_t reg_list_operator(struct registry *r, struct str code);

/* registry_list_delta.c */
enum ceir_err reg_list_delta(struct reg_list_make *m);
/* IMEIs that are put together at once; only tests change it. */
extern size_t reg_list_pass;

#endif

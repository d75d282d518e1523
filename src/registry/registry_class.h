/*
 * registry_class.h - the door's part of the classification, shared by its files and by the lists: the policy in force, the tables it
 * looks into, and the thread that follows what networks see.
 *
 * Locks: `lock` protects every member marked so and is held for a few instructions only. A policy and a set of tables never change once
 * they are published; whoever takes tables gives them back, and the last to do so frees them.
 */
#ifndef CEIR_REGISTRY_CLASS_H
#define CEIR_REGISTRY_CLASS_H

#include "registry/registry_internal.h"

/* Numbers of one operator. Disjoint and ascending once loaded. Keys of equal numbers of digits sort as numbers do. */
struct reg_range {
	uint64_t from, to;            /* MSISDN keys, both included */
	uint8_t op;
};

struct reg_watch {
	uint64_t imei;
	int64_t row;                  /* WATCH_ID */
	int64_t since_us;             /* when it was made */
	int64_t until_us;             /* 0: open */
};

/* An IMEI that is never blocked, by its keyed hash. */
struct reg_golden {
	uint8_t hash[16];
	int64_t since_us;
};

struct reg_tables {
	_Atomic unsigned uses;
	struct policy_tac *tacs;
	struct policy_operator *operators;
	size_t n_tacs, n_operators;
	struct reg_range *ranges;
	size_t n_ranges;
	struct reg_golden *golden;    /* ascending */
	size_t n_golden;
	struct reg_watch *watches;    /* ascending by IMEI */
	size_t n_watches;
	char operator_codes[256][33]; /* by number; empty: none */
};

/* registry_class_tables.c. The caller gives the tables back. CEIR_ENOMEM, CEIR_ESTORE. */
enum ceir_err reg_tables_load(struct store_conn *db, struct reg_tables **out);
void reg_tables_give(struct reg_tables *t);
uint8_t reg_tables_home(const struct reg_tables *t, uint64_t imsi_key, uint64_t msisdn_key);
/* NULL: it is not golden. */
const struct reg_golden *reg_tables_golden(const struct registry *r, const struct reg_tables *t, uint64_t imei_key);
/* The next watch of an IMEI that has not ended, behind `last` (NULL: the first); NULL: none. */
const struct reg_watch *reg_tables_watch(const struct reg_tables *t, uint64_t imei_key, int64_t now_us, const struct reg_watch *last);

/* A policy that is or was in force since the server started: kept until it stops, so that nobody needs to give it back. */
struct reg_policy {
	struct policy *policy;
	struct reg_policy *older;
};

/* A policy that somebody wants tried or put in force. */
struct reg_wish {
	int64_t version;
	bool dry, force;
	struct reg_wish *next;
};

/* A watched IMEI was seen. */
struct reg_hit {
	int64_t row;                  /* WATCH_ID */
	int64_t at_s;
};

#define REG_HITS_MAX 1024         /* watches waiting to be told at once; more are told by the next sighting */
#define REG_TOUCHED_MAX 262144    /* more IMEIs waiting than that become a full run */
#define REG_DELIVERED_MAX 1024
#define REG_CLASS_ROWS 4096       /* rows of the register derived in one job */

/* Keys of IMEIs that wait. */
struct reg_keys {
	uint64_t *imeis;
	size_t n, max;
};

struct reg_class {
	struct classify *classify;
	struct verdicts_reader *reader;       /* the thread's */

	pthread_mutex_t lock;
	pthread_cond_t wake;
	struct reg_policy *policies;          /* lock; newest, the one in force, first */
	/* Apart from the lock, under which keys are sorted: every check takes the tables. Held for moments; the inner of the two. */
	pthread_mutex_t tables_lock;
	struct reg_tables *tables;            /* tables_lock */
	bool tables_stale;                    /* lock */
	bool stop, running;                   /* lock; running: the thread was started */
	bool busy;                            /* lock; the thread is at something */
	/*
	 * lock; IMEIs with a new subscriber. Once a full run is due, which finds the others by itself, only those that are grey: the
	 * lists of operators name subscribers, and no run knows which of them are new.
	 */
	struct reg_keys touched;
	struct verdicts_reader *touch_reader; /* lock */
	bool all_grey;                        /* lock; which subscribers are new is not known: those of every grey IMEI are told again */
	bool run_due;                         /* lock */
	bool hold;                            /* lock; more deliveries are about to be applied: runs wait */
	struct reg_hit hits[REG_HITS_MAX];    /* lock; watched IMEIs that were seen */
	size_t n_hits;                        /* lock */
	int64_t delivered[REG_DELIVERED_MAX]; /* lock; row ids whose run is due or under way */
	size_t n_delivered;                   /* lock */
	struct reg_wish *wishes;              /* lock; oldest first */
	_Atomic bool cancel;                  /* a run under way shall stop: the server stops */
	_Atomic int64_t classified_us;        /* when the last full run ended */
	_Atomic int32_t day;                  /* of the last full run that ended; 0: none */

	pthread_t thread;
	/* The thread's alone. */
	_Atomic int64_t run_at_us;            /* a run for tables that have changed; 0: none */
	unsigned file_number;                 /* of the newest records' file */
	bool rederive;                        /* a policy was left half in force: the next run derives every row that has a record */
	bool watches_due;                     /* after a start: what was seen of watched IMEIs may not have been told */
	struct reg_keys batch;                /* what was touched, while it is worked on */
};

/* Nothing waits and nothing is under way. For tests. */
bool reg_class_idle(struct registry *r);

struct reg_tables *reg_class_tables_take(struct registry *r);
/* Golden: permitted whatever its verdict, and nobody shall see that it is golden. True: *v was another. */
bool reg_spare_golden(const struct registry *r, const struct reg_tables *t, struct imei imei, struct verdict *v);
/* Puts a policy in force; it is the class's from now on. CEIR_ENOMEM: p is freed. */
enum ceir_err reg_class_policy_set(struct reg_class *c, struct policy *p);

/* ---- registry_class_touch.c: IMEIs that were just seen ---- */

enum ceir_err reg_keys_add(struct reg_keys *k, uint64_t imei);
/* Under the lock: keeps keys, all of them or (run_due) only the grey ones. */
void reg_class_keep(struct registry *r, const uint64_t *imeis, size_t n);
/* Sorts, each once; grey: only those that are grey now. */
void reg_class_sort(struct registry *r, struct reg_keys *k, bool grey);
/* Puts IMEIs (ascending, each once) through the conditions, and tells their new subscribers. */
enum ceir_err reg_class_touch(struct registry *r, const uint64_t *imeis, size_t n);
/* New subscribers alone: of these IMEIs (only_grey: that are grey), of all that are grey. */
enum ceir_err reg_class_subscribers(struct registry *r, const uint64_t *imeis, size_t n, bool only_grey);
enum ceir_err reg_class_all_grey(struct registry *r);
/*
 * The golden list is another: lists are made anew. Who is golden no longer is named, and told as before; who became so is not
 * (registry_list_delta.c looks for him).
 */
enum ceir_err reg_class_golden_changed(struct registry *r, const struct reg_tables *old, const struct reg_tables *fresh);
/* Lists name conditions that block: those of this mask do or do not by the policy that is in force now, and did not or did before. */
enum ceir_err reg_class_reasons(struct registry *r, uint32_t mask);

/* ---- registry_class_renew.c ---- */

/* Reads the tables anew when they are stale, and does what follows from the difference. */
enum ceir_err reg_class_renew(struct registry *r);

/* ---- registry_class_watch.c ---- */

/* After a start: what the triplets say of watched IMEIs and nobody was told. */
enum ceir_err reg_class_watches(struct registry *r);
/* Under the lock. */
void reg_class_hit(struct reg_class *c, struct reg_hit hit);

/* Tells who watches. The hits are taken out by the thread. */
enum ceir_err reg_class_tell(struct registry *r, const struct reg_hit *hits, size_t n);

/* ---- registry_class_write.c: from changes to the register ---- */

/*
 * Writes changes as one job: rows derived, the others in bulk; afterwards the verdict table follows. logged: the records go into
 * the change log (they are in no file yet). *last: highest sequence number written, unchanged when none.
 */
enum ceir_err reg_class_write(struct registry *r, const struct policy *policy, const struct classify_change *changes, size_t n, bool logged,
	int64_t transaction, int64_t *last);
/* While a change is derived: the record that the register will have. NULL: none such. This thread's. */
const struct classify_change *reg_class_deriving(const struct policy **policy);
/* What a change that is to be derived would do to the verdict. Nothing is written. */
enum ceir_err reg_class_judge(struct exec *x, const struct policy *policy, const struct classify_change *c, uint16_t *before,
	uint16_t *after);
/* Derives rows of the register anew with the records that count now. *last as above. */
enum ceir_err reg_class_derive(struct registry *r, const uint64_t *imeis, size_t n, int64_t *last);

/* ---- registry_class_run.c: full runs ---- */

/* One full run with the policy in force. */
enum ceir_err reg_class_run(struct registry *r);
/* Tries a draft, or puts it in force. */
enum ceir_err reg_class_fulfil(struct registry *r, const struct reg_wish *wish);

/* What is known of a run whose changes are all in the register. */
struct reg_class_state {
	char file[40];                /* empty: none */
	int64_t seq;                  /* records of later changes are not in the file */
	int32_t day;
	int64_t pending;              /* version of a policy whose changes are only partly in the register; 0: none */
	bool clean;                   /* the server stopped with everything told */
};
enum ceir_err reg_class_state_load(struct store_conn *db, struct reg_class_state *out);

#endif

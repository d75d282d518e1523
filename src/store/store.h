/*
 * store.h - the register on disk. All SQL of ceir is in this room.
 *
 * One database (SQLite, WAL, synchronous=FULL). One writer thread executes jobs one after the other and commits many of them
 * at once (group commit); a job's submitter is told only after the commit is on disk. Readers have connections of their own
 * and see the last commit. Tables of the register proper are described by struct store_table, so that the same few functions
 * read and write all of them; what must be fast or has its own form (IMEIs, changes, audit, application rows, messages) has
 * its own functions.
 *
 * Threads: a struct store_tx is used by the writer thread inside a job only; a struct store_conn by one thread at a time.
 */
#ifndef CEIR_STORE_H
#define CEIR_STORE_H

#include "base/base.h"
#include "ident/ident.h"

struct store;
struct store_conn; /* a reading connection, or the writer's own */

/* ---- values and tables -------------------------------------------------------------------------------------------- */

enum store_type { STORE_INT, STORE_TEXT, STORE_BLOB };

struct store_val {
	enum store_type type;
	bool null;
	int64_t i;
	struct str s; /* text or blob */
};

struct store_val store_null(void);
struct store_val store_int(int64_t i);
struct store_val store_text(struct str s);  /* .p NULL gives null */
struct store_val store_blob(const void *bytes, size_t n);

struct store_column {
	const char *name;
	enum store_type type;
	const char *constraint; /* of the DDL; NULL */
};

/* Column 0 is always the integer primary key. */
struct store_table {
	const char *name;
	const struct store_column *columns;
	int n;
	const char *indexes; /* DDL after the table; NULL */
};

#define STORE_MAX_COLUMNS 32

/* Column numbers; the tables are defined in store_schema.c beside their DDL. */
enum { IMPORTER_ID, IMPORTER_CODE, IMPORTER_NAME, IMPORTER_ADDRESS, IMPORTER_COUNTRY, IMPORTER_EMAIL, IMPORTER_VOICE, IMPORTER_STATUS,
	IMPORTER_CR_ID, IMPORTER_CR_AT, IMPORTER_UP_ID, IMPORTER_UP_AT, IMPORTER_N };
enum { PERMIT_ID, PERMIT_CODE, PERMIT_IMPORTER, PERMIT_ISSUED, PERMIT_EX, PERMIT_STATUS, PERMIT_CR_ID, PERMIT_CR_AT, PERMIT_UP_ID,
	PERMIT_UP_AT, PERMIT_N };
enum { POSITION_ID, POSITION_NUMBER, POSITION_PERMIT, POSITION_CERTIFICATE, POSITION_MANUFACTURER, POSITION_MODEL, POSITION_COUNTRY,
	POSITION_QUANTITY, POSITION_PRICE, POSITION_CURRENCY, POSITION_USED, POSITION_N };
enum { CERTIFICATE_ID, CERTIFICATE_CODE, CERTIFICATE_ISSUED, CERTIFICATE_EX, CERTIFICATE_HOLDER, CERTIFICATE_MANUFACTURER,
	CERTIFICATE_MODEL, CERTIFICATE_STATUS, CERTIFICATE_CR_ID, CERTIFICATE_CR_AT, CERTIFICATE_UP_ID, CERTIFICATE_UP_AT, CERTIFICATE_N };
enum { CERTIFICATE_TAC_ID, CERTIFICATE_TAC_TAC, CERTIFICATE_TAC_CERTIFICATE, CERTIFICATE_TAC_N };
enum { TAC_ID, TAC_CODE, TAC_MANUFACTURER, TAC_MODEL, TAC_BRAND, TAC_TYPE, TAC_RAT, TAC_SIMS, TAC_ALLOCATED, TAC_STATUS, TAC_CR_ID,
	TAC_CR_AT, TAC_UP_ID, TAC_UP_AT, TAC_N };
enum { APPLICATION_ID, APPLICATION_CODE, APPLICATION_IMPORTER, APPLICATION_PERMIT, APPLICATION_POSITION, APPLICATION_KIND,
	APPLICATION_REFERENCE, APPLICATION_STATUS, APPLICATION_ROWS, APPLICATION_DEVICES, APPLICATION_ACCEPTED, APPLICATION_REFUSED,
	APPLICATION_NEXT_PART, APPLICATION_TX, APPLICATION_CR_ID, APPLICATION_CR_AT, APPLICATION_SUBMITTED_AT, APPLICATION_DONE_AT,
	APPLICATION_UP_ID, APPLICATION_UP_AT, APPLICATION_N };
enum { LISTING_ID, LISTING_CODE, LISTING_IMEI, LISTING_TAC, LISTING_COLOUR, LISTING_REASON, LISTING_GROUND, LISTING_PAIR, LISTING_IMSI,
	LISTING_MSISDN, LISTING_SINCE, LISTING_UNTIL, LISTING_STAGE, LISTING_STATUS, LISTING_ROLE, LISTING_NEXT_AT, LISTING_CR_ID,
	LISTING_CR_AT, LISTING_UP_ID, LISTING_UP_AT, LISTING_END_ID, LISTING_END_AT, LISTING_END_GROUND, LISTING_N };
enum { ACCOUNT_ID, ACCOUNT_CODE, ACCOUNT_ROLE, ACCOUNT_PW, ACCOUNT_IMPORTER, ACCOUNT_OPERATOR, ACCOUNT_STATUS, ACCOUNT_FAILS,
	ACCOUNT_LOCKED_UNTIL, ACCOUNT_LAST_LOGIN, ACCOUNT_CR_ID, ACCOUNT_CR_AT, ACCOUNT_UP_ID, ACCOUNT_UP_AT, ACCOUNT_FTPS,
	ACCOUNT_LANG, ACCOUNT_N };
enum { ACCOUNT_CERT_ID, ACCOUNT_CERT_SHA256, ACCOUNT_CERT_ACCOUNT, ACCOUNT_CERT_N };
enum { TAG_ID, TAG_IMEI, TAG_TYPE, TAG_VALUE, TAG_N };
enum { TRANSFER_ID, TRANSFER_IMEI, TRANSFER_FROM, TRANSFER_TO, TRANSFER_STATUS, TRANSFER_RE_ID, TRANSFER_RE_AT, TRANSFER_AC_ID,
	TRANSFER_AC_AT, TRANSFER_N };
enum { AUDIT_SEQ, AUDIT_AT, AUDIT_ACCOUNT, AUDIT_ROLE, AUDIT_CERTIFICATE, AUDIT_ADDRESS, AUDIT_CLTRID, AUDIT_VERB, AUDIT_OBJECT,
	AUDIT_NAME, AUDIT_CODE, AUDIT_REQUEST, AUDIT_RESPONSE, AUDIT_HASH, AUDIT_N };

enum { OPERATOR_ID, OPERATOR_CODE, OPERATOR_NAME, OPERATOR_STATUS, OPERATOR_USUAL, OPERATOR_CR_ID, OPERATOR_CR_AT, OPERATOR_UP_ID,
	OPERATOR_UP_AT, OPERATOR_N }; /* id: the operator's number in the triplet store, 1..255; usual: lines of its last full delivery */
enum { OPERATOR_PLMN_ID, OPERATOR_PLMN_PLMN, OPERATOR_PLMN_OPERATOR, OPERATOR_PLMN_N }; /* plmn: "25501", unique */
enum { PORTABILITY_ID, PORTABILITY_CODE, PORTABILITY_FROM, PORTABILITY_TO, PORTABILITY_OPERATOR, PORTABILITY_SINCE, PORTABILITY_CR_ID,
	PORTABILITY_CR_AT, PORTABILITY_N }; /* from, to: numbers as integers, of equal length */
enum { DELIVERY_ID, DELIVERY_CODE, DELIVERY_OPERATOR, DELIVERY_KIND, DELIVERY_CLIENT_ID, DELIVERY_NAME, DELIVERY_STATUS, DELIVERY_STAGED,
	DELIVERY_DIGEST, DELIVERY_BYTES, DELIVERY_LINES, DELIVERY_TAKEN, DELIVERY_REFUSED, DELIVERY_MALFORMED, DELIVERY_SUSPICIOUS,
	DELIVERY_FRESH, DELIVERY_AGAIN, DELIVERY_RETURNED, DELIVERY_GONE, DELIVERY_HOLD, DELIVERY_RECEIVED_AT, DELIVERY_APPLIED_AT,
	DELIVERY_CLASSIFIED_AT, DELIVERY_GROUND, DELIVERY_TX, DELIVERY_CR_ID, DELIVERY_CR_AT, DELIVERY_UP_ID, DELIVERY_UP_AT, DELIVERY_N };
enum { POLICY_ROW_ID, POLICY_ROW_CODE, POLICY_ROW_STATUS, POLICY_ROW_PARAMS, POLICY_ROW_CONDITIONS, POLICY_ROW_DRY_RUN, POLICY_ROW_GROUND,
	POLICY_ROW_ACTIVE_AT, POLICY_ROW_CR_ID, POLICY_ROW_CR_AT, POLICY_ROW_UP_ID, POLICY_ROW_UP_AT, POLICY_ROW_N };
	/* id is the version. params, conditions, dry_run: JSON texts whose form is the registry's */
enum { GOLDEN_ID, GOLDEN_HASH, GOLDEN_CR_ID, GOLDEN_CR_AT, GOLDEN_N }; /* hash: keyed, so that the database does not say whom */
enum { WATCH_ID, WATCH_CODE, WATCH_IMEI, WATCH_GROUND, WATCH_UNTIL, WATCH_STATUS, WATCH_ACCOUNT, WATCH_LAST_SEEN, WATCH_CR_ID, WATCH_CR_AT,
	WATCH_UP_ID, WATCH_UP_AT, WATCH_N };
enum { LIST_FILE_ID, LIST_FILE_OPERATOR, LIST_FILE_LIST, LIST_FILE_FROM, LIST_FILE_TO, LIST_FILE_NAME, LIST_FILE_ROWS, LIST_FILE_BYTES,
	LIST_FILE_DIGEST, LIST_FILE_AT, LIST_FILE_TX, LIST_FILE_N }; /* every list file ever made: evidence */
enum { LIST_ACK_ID, LIST_ACK_OPERATOR, LIST_ACK_LIST, LIST_ACK_SEQ, LIST_ACK_AT, LIST_ACK_ACCOUNT, LIST_ACK_N };
enum { REMOTE_ID, REMOTE_CODE, REMOTE_ACCOUNT, REMOTE_HOST, REMOTE_PORT, REMOTE_TLS, REMOTE_USER, REMOTE_PW, REMOTE_CA, REMOTE_LISTS_TO,
	REMOTE_LISTS, REMOTE_FORMAT, REMOTE_PACKING, REMOTE_ANSWERS_TO, REMOTE_FETCH_FROM, REMOTE_KEEP, REMOTE_INTERVAL, REMOTE_STATUS,
	REMOTE_FAILURES, REMOTE_ERROR, REMOTE_FAILED_AT, REMOTE_DONE_AT, REMOTE_CR_ID, REMOTE_CR_AT, REMOTE_UP_ID, REMOTE_UP_AT, REMOTE_N };
enum { REMOTE_FILE_ID, REMOTE_FILE_REMOTE, REMOTE_FILE_WAY, REMOTE_FILE_NAME, REMOTE_FILE_SIZE, REMOTE_FILE_MTIME, REMOTE_FILE_AT,
	REMOTE_FILE_N }; /* way: 'fetch', 'answer': what was exchanged and may still lie where it came from; 'list': name a list, size how far it is */

extern const struct store_table STORE_OPERATOR, STORE_OPERATOR_PLMN, STORE_PORTABILITY, STORE_DELIVERY, STORE_POLICY, STORE_GOLDEN, STORE_WATCH,
	STORE_LIST_FILE, STORE_LIST_ACK, STORE_REMOTE, STORE_REMOTE_FILE;
extern const struct store_table STORE_IMPORTER, STORE_PERMIT, STORE_POSITION, STORE_CERTIFICATE, STORE_CERTIFICATE_TAC, STORE_TAC,
	STORE_APPLICATION, STORE_LISTING, STORE_ACCOUNT, STORE_ACCOUNT_CERT, STORE_TAG, STORE_TRANSFER, STORE_AUDIT;

/* ---- open, close -------------------------------------------------------------------------------------------------- */

/* Makes an empty register. CEIR_EEXIST when path exists. */
enum ceir_err store_create(const char *path) CEIR_MUST_USE;
/* Opens, starts the writer. cache_bytes: page cache of the writer. CEIR_ECORRUPT: not a register of this version. */
enum ceir_err store_open(const char *path, int64_t cache_bytes, struct store **out) CEIR_MUST_USE;
/* Executes what was submitted, then stops. No other call may run or follow. NULL is allowed. */
void store_close(struct store *s);

/*
 * A reading connection, from a pool. Waits while all are in use, unless this thread has one already; give it back on the thread that took it, and hold
 * none while you wait for something else. NULL: memory, or the database cannot be opened.
 */
struct store_conn *store_reader(struct store *s);
void store_reader_done(struct store *s, struct store_conn *c);
/* A connection without a writer, read-only, for `ceird verify` beside a running server. */
enum ceir_err store_open_readonly(const char *path, struct store_conn **out) CEIR_MUST_USE;
void store_close_readonly(struct store_conn *c);
/* Between begin and end all reads of the connection see the same commit. */
enum ceir_err store_snapshot_begin(struct store_conn *c) CEIR_MUST_USE;
void store_snapshot_end(struct store_conn *c);

/* ---- the writer ---------------------------------------------------------------------------------------------------- */

/* Where submitters wait. One thread owns it. */
struct store_waiter;
struct store_waiter *store_waiter_new(void);
void store_waiter_free(struct store_waiter *w);

/*
 * A piece of work for the writer's thread. run() may be executed twice: when a commit of many jobs fails, each is tried
 * again alone; so it must begin afresh each time and keep its effects outside the database to itself until done().
 * An error of run() takes back all it did. done() is called after the commit is on disk, in order of the jobs, before
 * waiters are told; what readers see in memory is published there.
 */
struct store_job {
	enum ceir_err (*run)(struct store_conn *c, void *arg);
	void (*done)(void *arg);       /* NULL: nothing to publish */
	void (*settled)(void *arg, enum ceir_err result); /* last touch by the writer, success or not; NULL. May free the job */
	void *arg;
	struct store_waiter *waiter;   /* NULL: nobody waits */
	bool bulk;                     /* long: committed alone, and only after the short ones before it */
	/*
	 * Need not be on the disk when it is settled, only in the database file: a kill cannot take it back, a power failure can
	 * within STORE_RELAXED_MS. A group of nothing else is committed without waiting for the disk.
	 */
	bool relaxed;
	enum ceir_err result;          /* valid after store_wait */
	struct store_job *next;        /* the store's */
};

/* Any thread. The job must live until it is settled. */
void store_submit(struct store *s, struct store_job *job);
/*
 * Until all jobs submitted with this waiter are settled. The first error of any of them since the last wait.
 */
enum ceir_err store_wait(struct store_waiter *w) CEIR_MUST_USE;
/* submit + wait with a waiter of its own; the job's result. */
enum ceir_err store_run(struct store *s, struct store_job *job) CEIR_MUST_USE;

/* Inside a job: what follows can be taken back alone. */
enum ceir_err store_mark(struct store_conn *c) CEIR_MUST_USE;
enum ceir_err store_unmark(struct store_conn *c, bool keep) CEIR_MUST_USE;

#define STORE_RELAXED_MS 100

struct store_stats {
	uint64_t commits, jobs;
};
void store_stats(const struct store *s, struct store_stats *out);

/* ---- rows ----------------------------------------------------------------------------------------------------------- */

/* The row whose column has this value into row[0..n-1]; texts in the arena. CEIR_ENOENT. */
enum ceir_err store_get(struct store_conn *c, const struct store_table *t, int column, struct store_val value, struct arena *arena,
	struct store_val *row) CEIR_MUST_USE;
/* row[0] null: the database numbers it. CEIR_EEXIST: a unique column has the value already. */
enum ceir_err store_insert(struct store_conn *c, const struct store_table *t, const struct store_val *row, int64_t *id) CEIR_MUST_USE;
/* Sets the columns of mask (bit = column number). */
enum ceir_err store_update(struct store_conn *c, const struct store_table *t, int64_t id, uint32_t mask, const struct store_val *row)
	CEIR_MUST_USE;
enum ceir_err store_delete(struct store_conn *c, const struct store_table *t, int64_t id) CEIR_MUST_USE;

enum store_op { STORE_EQ, STORE_NE, STORE_LT, STORE_LE, STORE_GT, STORE_GE };
struct store_filter {
	int column;
	enum store_op op;
	struct store_val value;
};
struct store_query {
	const struct store_table *table;
	const struct store_filter *filters; /* all must hold */
	size_t n_filters;
	int sort;                           /* column; equal values in order of column 0 */
	bool descending;
	bool after;                         /* only rows behind (after_value, after_id) */
	struct store_val after_value;
	int64_t after_id;
	uint32_t limit;                     /* 0: no limit */
	bool keep;                          /* the statement is ours and frequent: keep it prepared. row() must not select the same */
};
/* Calls row() for each; texts are good until it returns. Stops at the first error row() returns, and returns it. */
typedef enum ceir_err (*store_row)(void *ctx, const struct store_val *row);
enum ceir_err store_select(struct store_conn *c, const struct store_query *q, store_row row, void *ctx) CEIR_MUST_USE;
/* How many rows, at most max (then *count == max). */
enum ceir_err store_count(struct store_conn *c, const struct store_query *q, uint64_t max, uint64_t *count) CEIR_MUST_USE;
/* Adds to an integer column; CEIR_ERANGE, nothing changed, when the result would pass the row's column `ceiling`. */
enum ceir_err store_add(struct store_conn *c, const struct store_table *t, int64_t id, int column, int64_t delta, int ceiling) CEIR_MUST_USE;

/* ---- IMEIs and the change log ---------------------------------------------------------------------------------------- */

/* What the register holds of one IMEI. */
struct store_imei {
	struct imei imei;
	uint16_t verdict;      /* packed, as the last change said */
	int64_t change;        /* sequence number of that change */
	int64_t application;   /* row id of the application that registered it; 0: not a device */
	uint64_t device;       /* key of the device's first IMEI when it has several; 0: one IMEI */
	int64_t owner;         /* row id of the importer it was transferred to; 0: the application's */
	bool withdrawn;        /* the registration was withdrawn */
};
enum ceir_err store_imei_get(struct store_conn *c, struct imei imei, struct store_imei *row) CEIR_MUST_USE; /* CEIR_ENOENT */
enum ceir_err store_imei_insert(struct store_conn *c, const struct store_imei *row) CEIR_MUST_USE;
enum ceir_err store_imei_update(struct store_conn *c, const struct store_imei *row) CEIR_MUST_USE;
/*
 * The IMEIs of one device, ascending; at most max. Of one application, because an IMEI that was withdrawn keeps its device's key
 * while the key's IMEI may have become another device since.
 */
enum ceir_err store_imei_device(struct store_conn *c, uint64_t device, int64_t application, struct imei *out, size_t max, size_t *n)
	CEIR_MUST_USE;
/* Rows from <= imei <= to in ascending order. A callback error stops and is returned. */
typedef enum ceir_err (*store_imei_row)(void *ctx, const struct store_imei *row);
enum ceir_err store_imei_scan(struct store_conn *c, struct imei from, struct imei to, bool descending, uint32_t limit, store_imei_row row, void *ctx)
	CEIR_MUST_USE;
/* Key and verdict of the rows from <= imei <= to, ascending: what the verdict table is rebuilt from, twice as fast as a scan. */
typedef enum ceir_err (*store_verdict_row)(void *ctx, struct imei imei, uint16_t verdict);
enum ceir_err store_imei_verdicts(struct store_conn *c, struct imei from, struct imei to, store_verdict_row row, void *ctx) CEIR_MUST_USE;
/* How many rows from <= imei <= to, at most max (then *count == max). */
enum ceir_err store_imei_count(struct store_conn *c, struct imei from, struct imei to, uint64_t max, uint64_t *count) CEIR_MUST_USE;
/* Smallest and largest key; CEIR_ENOENT when there is no row. */
enum ceir_err store_imei_bounds(struct store_conn *c, struct imei *low, struct imei *high) CEIR_MUST_USE;

enum store_scope {
	STORE_SCOPE_IMEI = 0,
	STORE_SCOPE_TAC = 1,         /* the verdict of every IMEI of a TAC; imei holds its first */
	STORE_SCOPE_SUBSCRIBER = 2,  /* verdict as before, but it has another subscriber, or a pair lock or exception came or went */
	STORE_SCOPE_RECORD = 3,      /* verdict as before, the classification's record is another */
};
/* The classification's record (struct policy_class) as it goes through the change log; all zero: none comes with the change. */
struct store_class {
	uint32_t mask;
	int32_t since_day, block_day, resolved_day;
	uint64_t genuine_imsi, genuine_msisdn;
	uint32_t was_mask;
};
struct store_change {
	int64_t seq;
	enum store_scope scope;
	struct imei imei;       /* may be above IMEI_MAX: what a network sent in place of an IMEI (triplets.h) */
	uint16_t verdict;       /* packed, after the change */
	uint16_t before;        /* packed, before it */
	bool has_record;
	struct store_class record;
	int64_t at_s;           /* seconds since 1970 */
	int64_t transaction;    /* audit sequence number of the command that caused it */
};
/*
 * Writer only: many changes at once, of one moment and one transaction (at_s, transaction of the first), ascending or not; they get the next numbers in
 * the order given. Kept as packed blocks of some ten thousand (about 6 bytes a change), not as rows. *first: number of changes[0].
 */
enum ceir_err store_change_bulk(struct store_conn *c, const struct store_change *changes, size_t n, int64_t *first) CEIR_MUST_USE;
/* Changes with after < seq <= upto (0: to the end) in order, rows and blocks alike. A callback error stops and is returned. CEIR_ECORRUPT: a block is damaged. */
typedef enum ceir_err (*store_change_item)(void *ctx, const struct store_change *change);
enum ceir_err store_change_scan(struct store_conn *c, int64_t after, int64_t upto, store_change_item item, void *ctx) CEIR_MUST_USE;

/* Small facts of the register under a name ("class.file", "list.seq"): text. CEIR_ENOENT: none. */
enum ceir_err store_meta_get(struct store_conn *c, const char *name, struct arena *a, struct str *value) CEIR_MUST_USE;
enum ceir_err store_meta_set(struct store_conn *c, const char *name, struct str value) CEIR_MUST_USE; /* writer only */

/* Writer only. Numbers without gaps; *seq is the new number. */
enum ceir_err store_change_append(struct store_conn *c, const struct store_change *change, int64_t *seq) CEIR_MUST_USE;
/* Writer only: the number the next change will get. */
int64_t store_change_next(const struct store_conn *c);
enum ceir_err store_change_get(struct store_conn *c, int64_t seq, struct store_change *out) CEIR_MUST_USE;
enum ceir_err store_change_last(struct store_conn *c, int64_t *seq) CEIR_MUST_USE; /* 0: none */
/* The last change of every TAC that ever had one (not its time and transaction). Reads the whole log: for verify. */
typedef enum ceir_err (*store_change_row)(void *ctx, const struct store_change *change);
enum ceir_err store_change_tacs(struct store_conn *c, store_change_row row, void *ctx) CEIR_MUST_USE;

/* ---- applications' rows ------------------------------------------------------------------------------------------------ */

/* Some thousand rows of one application. The blobs' form is the registry's. */
struct store_part {
	int64_t application;
	int64_t number;       /* its first line: unique, ascending */
	int64_t first_line;   /* 1.. */
	int64_t rows;
	struct str data;      /* the rows */
	struct str results;   /* one byte a row; .n 0: not decided */
};
enum ceir_err store_part_insert(struct store_conn *c, const struct store_part *p) CEIR_MUST_USE;
enum ceir_err store_part_results(struct store_conn *c, int64_t application, int64_t number, struct str results) CEIR_MUST_USE;
/* data and results in the arena. CEIR_ENOENT. */
enum ceir_err store_part_get(struct store_conn *c, int64_t application, int64_t number, struct arena *a, struct store_part *out) CEIR_MUST_USE;
/* The part that holds a line. CEIR_ENOENT. */
enum ceir_err store_part_find(struct store_conn *c, int64_t application, int64_t line, int64_t *number) CEIR_MUST_USE;

/* ---- messages (EPP poll) ------------------------------------------------------------------------------------------------ */

struct store_message {
	int64_t id;
	int64_t account;   /* row id */
	int64_t at_us;
	int64_t kind;      /* the registry's table of texts */
	struct str args[4];
	size_t n_args;
};
enum ceir_err store_message_put(struct store_conn *c, const struct store_message *m) CEIR_MUST_USE;
/* The oldest, and how many there are. CEIR_ENOENT: none (*count 0). */
enum ceir_err store_message_first(struct store_conn *c, int64_t account, struct arena *a, struct store_message *out, uint64_t *count)
	CEIR_MUST_USE;
/* CEIR_ENOENT: no such message of this account. *left: how many remain. */
enum ceir_err store_message_ack(struct store_conn *c, int64_t account, int64_t id, uint64_t *left) CEIR_MUST_USE;

/* ---- ripples: work that a change of a paper causes, kept until done ------------------------------------------------------ */

/* Every device of these applications gets its verdict anew. */
struct store_ripple {
	int64_t id;
	struct str code;           /* public key of the permit, certificate or importer */
	int64_t kind;             /* the registry's */
	int64_t application, part; /* next to do */
	int64_t transaction;
};
enum ceir_err store_ripple_put(struct store_conn *c, const struct store_ripple *r) CEIR_MUST_USE;
enum ceir_err store_ripple_first(struct store_conn *c, struct arena *a, struct store_ripple *out) CEIR_MUST_USE; /* CEIR_ENOENT */
enum ceir_err store_ripple_step(struct store_conn *c, int64_t id, int64_t application, int64_t part) CEIR_MUST_USE;
enum ceir_err store_ripple_done(struct store_conn *c, int64_t id) CEIR_MUST_USE;

/* ---- audit log ------------------------------------------------------------------------------------------------------------ */

#define STORE_HASH 32

struct store_audit {
	int64_t seq;            /* set by the store */
	int64_t at_us;          /* time of the svTRID; unique */
	struct str account, role, address, cltrid, verb, object, name;
	const uint8_t *certificate; /* SHA-256, NULL: none */
	int64_t code;
	uint8_t request[STORE_HASH], response[STORE_HASH];
	uint8_t hash[STORE_HASH]; /* set by the store */
};
/*
 * Writer only. hash = BLAKE2b-256(hash of the row before || this row), the row as store_audit.c says. Sets seq and hash.
 */
enum ceir_err store_audit_append(struct store_conn *c, struct store_audit *a) CEIR_MUST_USE;
/* Writer only: the number the next row will get. */
int64_t store_audit_next(const struct store_conn *c);
/* Last row: number, time, hash. Zeros when the log is empty. */
enum ceir_err store_audit_head(struct store_conn *c, int64_t *seq, int64_t *at_us, uint8_t hash[STORE_HASH]) CEIR_MUST_USE;
/* Walks the whole chain. report() gets a line for each fault. CEIR_ECORRUPT when there was one. */
typedef void (*store_report)(void *ctx, const char *line);
enum ceir_err store_audit_verify(struct store_conn *c, store_report report, void *ctx) CEIR_MUST_USE;
/* Hash of row seq as stored. CEIR_ENOENT. */
enum ceir_err store_audit_hash(struct store_conn *c, int64_t seq, uint8_t hash[STORE_HASH]) CEIR_MUST_USE;

/* ---- verify --------------------------------------------------------------------------------------------------------------- */

/* SQLite's own integrity check, the change log without gaps, and every IMEI's last change. CEIR_ECORRUPT when faulty. */
enum ceir_err store_verify(struct store_conn *c, store_report report, void *ctx) CEIR_MUST_USE;

#endif

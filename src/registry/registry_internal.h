/* registry_internal.h - what the files of the door share. */
#ifndef CEIR_REGISTRY_INTERNAL_H
#define CEIR_REGISTRY_INTERNAL_H

#include <pthread.h>
#include <sodium.h>
#include <stdatomic.h>

#include "classify/classify.h"
#include "policy/policy.h"
#include "registry/registry.h"
#include "store/store.h"

#define DIGEST 32
#define SECOND_US 1000000LL

struct registry {
	struct reg_settings settings; /* texts are our copies */
	struct store *store;
	struct verdicts *verdicts;
	uint8_t digest_key[DIGEST];   /* keys/audit.key: keyed digests of requests that hold a password, or name a golden IMEI */
	uint8_t golden_key[crypto_shorthash_siphashx24_KEYBYTES]; /* derived from it */
	_Atomic int64_t last_trid_us; /* every svTRID has a microsecond of its own */
	_Atomic uint64_t accounts_version; /* rises with every change of an account: sessions look again */
	_Atomic uint64_t commands, refused, transforms;
	_Atomic uint64_t sealed_told;  /* remotes (bit: id modulo 64) whose password does not open, which the log has said */

	pthread_mutex_t sessions_lock;
	struct reg_session *sessions; /* logged in */

	pthread_mutex_t hash_lock;    /* Argon2 takes much memory: few at once */
	pthread_cond_t hash_free;
	unsigned hashing;

	pthread_t worker;             /* registry_work.c */
	bool working;                 /* it was started */
	pthread_mutex_t work_lock;
	pthread_cond_t work;
	bool work_waiting, stop;      /* under work_lock */
	int64_t stuck;                /* the last application that could not be decided; the worker's */

	struct triplets *triplets;    /* DIR/triplets */
	struct reg_class *class;      /* registry_class.c: policy in force, tables, classification, its thread */
	struct reg_intake *intake;    /* registry_delivery.c: deliveries that wait, their thread, the inbox */
	struct reg_lists *lists;      /* registry_list.c: list files, outbox, their thread */
};

/* Who a session is, once logged in. */
struct reg_who {
	int64_t account;              /* row id; 0: the register's own inbox, which has no account */
	char clid[17];
	enum reg_role role;
	char importer[33];            /* public key; of role importer */
	char operator[33];            /* public key; of role operator */
	size_t lang;                  /* i18n index; REG_LANG_OF_ACCOUNT: the account says none, or one that is gone */
};

struct reg_session {
	struct registry *r;
	struct reg_client client;
	struct reg_who who;
	size_t lang;
	unsigned failed_logins;
	bool ended;
	uint64_t accounts_version;    /* as of the last look at the account */
	bool http;                    /* logged in through HTTP: an operator's password may have been enough */
	bool of_folder;               /* reg_session_of(): nothing was asked for but the account */
	bool ftps;                    /* logged in through FTPS: the password was enough */
	struct verdicts_reader *reader;
	struct store_waiter *waiter;
	struct reg_session *next;     /* of registry.sessions */
};

/* A verdict to be shown to readers once the transaction is on disk. */
struct reg_publication {
	struct imei imei;
	struct verdict verdict;
	bool whole_tac;
	struct reg_publication *next;
};

/* What is found out about a login before it is written. */
struct reg_attempt {
	enum ceir_err err;
	struct store_val account[ACCOUNT_N];
	uint64_t accounts_version;    /* before the account was read */
	bool known;                   /* account and certificate belong together: failures count */
	bool ok;
	bool full;                    /* too many sessions of this account */
	struct str read_hash;         /* of the password, as it was read */
	char new_hash[crypto_pwhash_STRBYTES];
};

/* One execution of one command, or of a piece of background work. */
struct exec {
	struct registry *r;
	struct reg_session *s;        /* NULL: background */
	const struct reg_command *c;
	struct store_conn *db;
	struct arena *arena;
	struct reg_reply *reply;
	int64_t now_us;
	int64_t transaction;          /* audit number it will have; writer only */
	struct str audit_name;        /* what the command was about, when the key does not say it */
	struct reg_publication *publications;
	bool accounts_changed, wake_worker, wake_intake;
	bool tables_changed;          /* operators, portability, TACs, golden or watch list: reg_class_tables_changed() after the commit */
	int64_t policy_version;       /* reg_class_policy() after the commit; 0: none */
	bool policy_dry, policy_force;
	struct reg_attempt *attempt;  /* login */
	char *password_hash;          /* account create and update: Argon2id of the pw in the command */
	void *arg;                    /* background work */
};

typedef enum ceir_err (*reg_handler)(struct exec *x);

/* ---- registry_reply.c: answers ---- */

/* Refuses the command: code, the offending element, its value, why. Returns CEIR_OK, so that handlers can `return refuse(...)`. */
enum ceir_err reg_refuse(struct exec *x, enum reg_code code, const char *element, struct str value, const char *reason);
static inline bool reg_refused(const struct exec *x) { return x->reply->code >= 2000; }
/* Appends one value; skipped when text.p is NULL. Keeps the order of the calls. */
struct reg_list {
	struct reg_node *head, **tail;
};
void reg_list_init(struct reg_list *l);
enum ceir_err reg_list_add(struct exec *x, struct reg_list *l, const struct reg_field *fields, const char *name, struct str text);
enum ceir_err reg_list_group(struct exec *x, struct reg_list *l, const struct reg_field *fields, const char *name, struct reg_node *child);
/* A value as text, by the field's type; .p NULL when v is null. */
struct str reg_print(struct exec *x, const struct reg_field *f, struct store_val v);
struct str reg_print_u64(struct exec *x, uint64_t v);
struct str reg_print_time(struct exec *x, int64_t us);
struct str reg_print_imei(struct exec *x, struct imei imei);
bool reg_sees(const struct exec *x, const struct reg_field *f);

/* ---- registry_record.c: values in, rows out ---- */

/* Parses a value by its field's type. False: refused. */
bool reg_parse(struct exec *x, const struct reg_field *f, struct str text, struct store_val *v);
/* The first node of that name, or NULL. */
struct reg_node *reg_node_find(struct reg_node *list, const char *name);
/* Every single value of the list into its column. needed: also that no REG_NEEDED field is missing. False: refused. */
bool reg_row(struct exec *x, const struct reg_field *fields, struct reg_node *list, bool needed, struct store_val *row, uint32_t *mask);
/* Values of a row that this session may see. */
enum ceir_err reg_row_nodes(struct exec *x, const struct reg_field *fields, const struct store_val *row, struct reg_list *out);
/* The object that the command's key names. False: refused (2303, 2005), or *err. */
bool reg_load(struct exec *x, const struct store_table *t, struct store_val *row, enum ceir_err *err);
/* By public key; false when there is none (nothing refused), or *err. */
bool reg_find(struct exec *x, const struct store_table *t, struct str code, struct store_val *row, enum ceir_err *err);
/* row[cr or up] = this account, now. */
void reg_stamp(struct exec *x, struct store_val *row, int id_column, uint32_t *mask);
bool reg_val_is(struct store_val v, const char *text);
/* store_insert, with an existing key as 2302. */
enum ceir_err reg_insert(struct exec *x, const struct store_table *t, const struct store_val *row, int64_t *id);
/* Answer of create: the key and crDate. */
enum ceir_err reg_created(struct exec *x, struct str key);
/* One transaction id's text from its microsecond. */
void reg_svtrid(const struct registry *r, int64_t us, char out[REG_SVTRID_MAX]);

/* ---- registry_paper.c ---- */

/* All fields of an object's row, with its lists, as this session sees them. */
enum ceir_err reg_object_nodes(struct exec *x, const struct reg_object *o, const struct store_val *row, struct reg_node **out);
const struct store_table *reg_object_table(const struct reg_object *o); /* NULL: imei */
/* Position `number` of a permit's row. CEIR_ENOENT. */
enum ceir_err reg_position(struct exec *x, int64_t permit, int64_t number, struct store_val *row);
/* Deletes every row whose column `parent` is id. */
enum ceir_err reg_delete_list(struct exec *x, const struct store_table *t, int parent, int64_t id);

/* ---- registry_verdict.c: facts -> verdict -> change ---- */

/* Registration state of the application that registered a device. */
enum ceir_err reg_registration(struct exec *x, int64_t application, enum policy_registration *out);
/* The facts of one IMEI; row NULL: the register has none. */
enum ceir_err reg_facts(struct exec *x, struct imei imei, const struct store_imei *row, enum policy_registration registration,
	struct policy_facts *facts);
/* Row and facts of one IMEI. fresh: the register has no row; *row is then an empty one. */
enum ceir_err reg_judge(struct exec *x, struct imei imei, struct store_imei *row, bool *fresh, struct policy_facts *facts);
/* Derives an IMEI's verdict anew; writes the change and publishes it when it differs. */
enum ceir_err reg_derive(struct exec *x, struct imei imei);
/* Stores a row with a new verdict: change, row, publication. fresh: there is no row yet. */
enum ceir_err reg_put_verdict(struct exec *x, struct store_imei *row, struct verdict v, bool fresh);
/* Reason of the black listing in force for a whole TAC; 0 none. */
enum ceir_err reg_tac_black(struct exec *x, int64_t tac, uint8_t *reason);
/* Same for a TAC: change and publication when it differs from before. */
enum ceir_err reg_derive_tac(struct exec *x, int64_t tac, uint8_t reason_before);
/* On the writer's thread, after the commit. */
void reg_publish(struct registry *r, struct reg_publication *newest);

/* ---- registry_intake.c: is this IMEI acceptable? ---- */

struct reg_tac_facts;
/* What the papers say to every row of one application. */
struct reg_papers {
	bool personal;                /* no permit: nothing to check */
	bool importer_inactive, position_missing;
	enum policy_paper permit, certificate;
	struct store_val position[POSITION_N], certificate_row[CERTIFICATE_N];
	int64_t left;                 /* units of the position not used */
	struct reg_tac_facts *tacs;   /* looked up so far */
};
enum ceir_err reg_papers_load(struct exec *x, const struct store_val *application, struct reg_papers *p);
/* A device's rows as typed. dup may be NULL. results[n] get policy results; *good when all were accepted. keys of well-formed ones. */
enum ceir_err reg_intake(struct exec *x, struct reg_papers *p, const struct str *imeis, const bool *dup, unsigned n, uint8_t *results,
	struct imei *keys, bool *good);
/* Registers the accepted IMEIs of one device under an application. */
enum ceir_err reg_register(struct exec *x, int64_t application, const struct imei *keys, unsigned n);

/* ---- registry_rows.c: the form of an application's rows in the database ---- */

/* Encodes devices as one part's data. *rows: how many IMEIs. */
enum ceir_err reg_rows_encode(struct arena *a, const struct reg_device *devices, size_t n, struct str *data, int64_t *rows);
struct reg_row_raw {
	struct str imei;              /* as typed; in buffer or in data */
	bool first;                   /* of its device */
	char buffer[IMEI_DIGITS + 1];
};
/* Row i of data that holds `rows` rows. CEIR_ECORRUPT. */
enum ceir_err reg_rows_decode(struct str data, int64_t rows, int64_t i, struct reg_row_raw *out);

/* ---- registry.c ---- */

/* A key of keys/: n bytes, in the file as hexadecimal digits. CEIR_ECORRUPT; the log says which. */
enum ceir_err reg_key_read(const struct reg_settings *s, const char *name, uint8_t *key, size_t n);

/* ---- handlers ---- */

enum ceir_err reg_check_paper(struct exec *x);
enum ceir_err reg_info_paper(struct exec *x);
enum ceir_err reg_importer_create(struct exec *x), reg_importer_update(struct exec *x), reg_importer_delete(struct exec *x);
enum ceir_err reg_permit_create(struct exec *x), reg_permit_update(struct exec *x), reg_permit_delete(struct exec *x);
enum ceir_err reg_certificate_create(struct exec *x), reg_certificate_update(struct exec *x), reg_certificate_delete(struct exec *x);
enum ceir_err reg_paper_renew(struct exec *x);
enum ceir_err reg_tac_create(struct exec *x), reg_tac_update(struct exec *x), reg_tac_delete(struct exec *x);
enum ceir_err reg_account_create(struct exec *x), reg_account_update(struct exec *x), reg_account_delete(struct exec *x);
enum ceir_err reg_listing_create(struct exec *x), reg_listing_update(struct exec *x), reg_listing_end(struct exec *x);
/* The clock: is any listing due; brings up to 64 of them into force or to their end. */
enum ceir_err reg_listing_due(struct store_conn *db, int64_t now_us, bool *any);
enum ceir_err reg_listing_tick(struct exec *x);
enum ceir_err reg_imei_check(struct exec *x), reg_imei_info(struct exec *x), reg_imei_create(struct exec *x);
enum ceir_err reg_imei_update(struct exec *x), reg_imei_delete(struct exec *x), reg_imei_transfer(struct exec *x);
enum ceir_err reg_application_create(struct exec *x), reg_application_update(struct exec *x), reg_application_delete(struct exec *x);
enum ceir_err reg_application_info(struct exec *x);
enum ceir_err reg_query_run(struct exec *x);
enum ceir_err reg_poll(struct exec *x);
struct device;
/*
 * One device's IMEI as imei:info shows it. CEIR_ENOENT: not in the register. *before: the one shown before it in this answer, whose papers are
 * not read again when they are the same (a page of a thousand devices has few applications); NULL: none. This one takes its place.
 */
enum ceir_err reg_imei_nodes(struct exec *x, struct imei imei, struct device **before, struct reg_node **out, bool *own);

/* ---- registry_login.c ---- */

/* In this order: prepare and claim in the session's thread, write as a job, finish when it is on disk (or was not written). */
enum ceir_err reg_login_prepare(struct exec *x);
void reg_login_claim(struct exec *x);
enum ceir_err reg_login_write(struct exec *x);
void reg_login_finish(struct exec *x, bool written);
/* Looks at the account again when any account changed. False: the session must end. */
bool reg_session_valid(struct reg_session *s, struct arena *arena);
void reg_session_leave(struct reg_session *s);
/* For what belongs to an operator and to no account: the language of its active accounts that have one, when they agree; else English. */
size_t reg_operator_lang(struct registry *r, const char *code);
/* Argon2id; waits its turn. out is crypto_pwhash_STRBYTES. */
enum ceir_err reg_password_hash(struct registry *r, struct str password, char *out);

/* ---- registry_message.c ---- */

enum reg_message_kind { REG_MESSAGE_APPLICATION_DONE = 1, REG_MESSAGE_TRANSFER_REQUESTED, REG_MESSAGE_TRANSFER_DECIDED,
	REG_MESSAGE_APPLICATION_PENDING, REG_MESSAGE_LIST_READY, REG_MESSAGE_DELIVERY_HELD, REG_MESSAGE_DELIVERY_DECIDED, REG_MESSAGE_WATCH_SEEN,
	REG_MESSAGE_POLICY_TRIED, REG_MESSAGE_POLICY_ACTIVE, REG_MESSAGE_POLICY_GUARDED, REG_MESSAGE_RUN_GUARDED,
	REG_MESSAGE_REMOTE_FAILS, REG_MESSAGE_REMOTE_WORKS, REG_MESSAGES };
enum ceir_err reg_message_to(struct exec *x, struct str clid, enum reg_message_kind kind, const struct str *args, size_t n);
/* To every active account (the first 64) of an importer, or of a role. */
enum ceir_err reg_message_to_role(struct exec *x, enum reg_role role, enum reg_message_kind kind, const struct str *args, size_t n);
enum ceir_err reg_message_to_importer(struct exec *x, struct str importer, enum reg_message_kind kind, const struct str *args, size_t n);
enum ceir_err reg_message_to_operator(struct exec *x, struct str operator_code, enum reg_message_kind kind, const struct str *args, size_t n);

/* ---- registry_work.c ---- */

enum ceir_err reg_work_start(struct registry *r);
void reg_work_wake(struct registry *r);
void reg_work_stop(struct registry *r);

/* A ripple: what kind of paper changed. Stored: numbers never change. */
enum reg_ripple_kind { REG_RIPPLE_IMPORTER = 1, REG_RIPPLE_PERMIT, REG_RIPPLE_CERTIFICATE };
enum ceir_err reg_ripple(struct exec *x, enum reg_ripple_kind kind, struct str code);

/* ---- registry_class.c: the policy in force and the classification ---- */

/* Opens policy, tables and records and fills the verdict table with what comes from the triplets; after store and triplets are open. */
enum ceir_err reg_class_open(struct registry *r);
/* Only what facts are made of, for a look beside a running server: policy and records. close as usual. */
enum ceir_err reg_class_open_readonly(struct registry *r, struct store_conn *db, int32_t *day);
enum ceir_err reg_class_start(struct registry *r);   /* its thread */
void reg_class_stop(struct registry *r);
void reg_class_close(struct registry *r);
/*
 * These IMEIs (keys, ascending) were seen with a subscriber they were not seen with before, or returned. Any thread; returns at once. Their verdicts follow
 * within a fraction of a second; too many at once become a full run.
 */
void reg_class_touched(struct registry *r, const uint64_t *imeis, size_t n);
/* Of IMEIs that will be told of in this way when a full run looks at all the others: keeps those that are grey now. Returns how many. Any thread. */
size_t reg_class_grey(struct registry *r, uint64_t *imeis, size_t n);
/* Is any IMEI of any colour at all? */
bool reg_class_any(const struct registry *r);
/* These were seen, known ones too: who watches one of them is told. Any thread; returns at once; costs next to nothing while nobody watches. */
void reg_class_seen(struct registry *r, const struct sighting *rows, size_t n);
/* A delivery was applied: a full run when it was large or full. When the run has ended DELIVERY_CLASSIFIED_AT of the delivery is set. */
void reg_class_delivered(struct registry *r, int64_t delivery, bool run);
/* Full runs wait while this holds: more deliveries are about to be applied, and one run serves them all. What is just seen is followed as ever. */
void reg_class_hold(struct registry *r, bool hold);
/* The policy in force now; good until the register is closed. Any thread. */
const struct policy *reg_policy(struct registry *r);
/* Operators, portability, TACs, golden or watch list changed: tables are read anew. On the writer's thread, after the commit, or at start. */
void reg_class_tables_changed(struct registry *r);
/* Number of the operator whose subscriber this is: portability table, else number block, else IMSI; 0: none of ours. Any thread. */
uint8_t reg_class_home(struct registry *r, uint64_t imsi_key, uint64_t msisdn_key);
/* Golden: never blocked, whatever the verdict says. Applied where answers and lists are made, not in what is stored. Any thread. */
bool reg_class_golden(struct registry *r, uint64_t imei_key);
/* Keyed hash under which an IMEI stands on the golden list. */
void reg_golden_hash(const struct registry *r, uint64_t imei_key, uint8_t hash[16]);
/* Facts of the classification of one IMEI, added to those of the register (reg_facts calls it). */
void reg_class_facts(struct exec *x, struct imei imei, struct policy_facts *facts);
/* The draft (row id is the version) shall be tried (dry) or come into force; writer's thread, after the commit. */
void reg_class_policy(struct registry *r, int64_t version, bool dry, bool force);
enum ceir_err reg_verdict_info(struct exec *x);
/* The verdict of an IMEI as everybody is told it (row NULL: there is none), and since when; since->p NULL: not known, or not to be shown. */
enum ceir_err reg_told_verdict(struct exec *x, struct imei imei, const struct store_imei *row, struct verdict *v, struct str *since);

/* ---- registry_policy.c: policy as an object; params and conditions as JSON texts ---- */
enum ceir_err reg_policy_create(struct exec *x), reg_policy_update(struct exec *x), reg_policy_delete(struct exec *x);
/* Compiles a stored version. CEIR_ECORRUPT. */
enum ceir_err reg_policy_load(const struct store_val *row, struct policy **out);
/* All fields of a version's row. */
enum ceir_err reg_policy_nodes(struct exec *x, const struct store_val *row, struct reg_node **out);
/* Writer only: version 1 with the defaults, in force, when the register has no version at all. */
enum ceir_err reg_policy_first(struct store_conn *c, int64_t now_us);
/* ---- registry_operator.c ---- */
enum ceir_err reg_operator_create(struct exec *x), reg_operator_update(struct exec *x);
enum ceir_err reg_portability_create(struct exec *x), reg_portability_delete(struct exec *x);
/* ---- registry_watch.c ---- */
enum ceir_err reg_golden_check(struct exec *x), reg_golden_create(struct exec *x), reg_golden_delete(struct exec *x);
enum ceir_err reg_watch_create(struct exec *x), reg_watch_update(struct exec *x), reg_watch_delete(struct exec *x);
void reg_golden_key(struct registry *r); /* derives it; digest_key is there */
/* The clock: is any watch over; ends up to 64 of them. */
enum ceir_err reg_watch_due(struct store_conn *db, int64_t now_us, bool *any);
enum ceir_err reg_watch_tick(struct exec *x);
/* ---- registry_delivery.c, registry_inbox.c ---- */
/* The triplet store at DIR/triplets, with what the policy in force says of it. */
enum ceir_err reg_triplets_open(struct registry *r);
enum ceir_err reg_intake_open(struct registry *r);   /* tidies up what a crash left, starts the thread and looks at the inbox */
void reg_intake_close(struct registry *r);
void reg_intake_wake(struct registry *r);            /* a delivery can be applied, or was refused; after the commit */
void reg_intake_stats(const struct registry *r, struct reg_stats *out);
/* create: in the session's thread before the job, the job, and after it (takes x->c->delivery over, whatever the outcome). */
enum ceir_err reg_delivery_prepare(struct exec *x), reg_delivery_create(struct exec *x);
void reg_delivery_finish(struct exec *x);
enum ceir_err reg_delivery_update(struct exec *x), reg_delivery_info(struct exec *x);
/* Why a delivery was held, as sentences in the session's language. */
enum ceir_err reg_delivery_holds(struct exec *x, struct reg_list *out, const struct store_val *row);
/* ---- registry_triplet.c ---- */
enum ceir_err reg_triplet_create(struct exec *x), reg_triplet_query(struct exec *x);
/* ---- registry_list.c ---- */
enum ceir_err reg_lists_open(struct registry *r);
void reg_lists_close(struct registry *r);
/* Verdicts have changed up to seq: lists are due. Any thread. */
void reg_lists_due(struct registry *r, int64_t seq);
enum ceir_err reg_list_info(struct exec *x), reg_list_update(struct exec *x), reg_list_query(struct exec *x);

/* ---- registry_session.c ---- */

/*
 * Of a command that reads, x->db: given back before it waits for what may take long (a list that is made), and taken again behind that. It sees what is
 * newest then. Nothing is left open by a take that fails.
 */
void reg_reader_give(struct exec *x);
enum ceir_err reg_reader_take(struct exec *x) CEIR_MUST_USE;

/* ---- registry_remote.c ---- */
enum ceir_err reg_remote_create(struct exec *x), reg_remote_update(struct exec *x), reg_remote_delete(struct exec *x);
/* The values of a remote's field that may repeat. */
enum ceir_err reg_remote_nodes(struct exec *x, const struct reg_field *f, struct reg_list *out, const struct store_val *row);

/* ---- registry_session.c ---- */

/* Executes fn as one job of the writer, without a command: background work. */
enum ceir_err reg_write(struct registry *r, struct arena *arena, reg_handler fn, void *arg, bool bulk);
/* The same, committed alone; done(arg) is called on the writer's thread after the commit, before reg_write_done returns. */
enum ceir_err reg_write_done(struct registry *r, struct arena *arena, reg_handler fn, void (*done)(void *), void *arg);
/* A microsecond that no transaction of this register ever had or will have: for an audit row of background work. */
int64_t reg_trid_us(struct registry *r);

#endif

/*
 * registry.h - THE DOOR. Every face (EPP, later HTTP, files, desks) turns bytes into a struct reg_command, calls
 * reg_execute() and turns the struct reg_reply into bytes. Who may, is it valid, do it, audit it, answer: all in here.
 *
 * A command is one transaction: it has a client and a server transaction id, stands in the audit log whatever its outcome,
 * and when it changed something that is on disk before reg_execute() returns.
 */
#ifndef CEIR_REGISTRY_H
#define CEIR_REGISTRY_H

#include "base/base.h"
#include "ident/ident.h"
#include "verdicts/verdicts.h"

/* ---- words -------------------------------------------------------------------------------------------------------- */

enum reg_role {
	REG_ROLE_NONE = 0,   /* not logged in */
	REG_ROLE_IMPORTER,
	REG_ROLE_CUSTOMS,
	REG_ROLE_LEA,
	REG_ROLE_TAX,
	REG_ROLE_NRA,
	REG_ROLE_ADMIN,
	REG_ROLE_OPERATOR,
	REG_ROLE_POS,
	REG_ROLES
};
#define REG_BIT(x) (1u << (x))
#define REG_ALL_ROLES (REG_BIT(REG_ROLES) - 2u)
const char *reg_role_name(unsigned role); /* "importer", ... */

enum reg_verb {
	REG_HELLO, REG_LOGIN, REG_LOGOUT, REG_POLL, /* of the session, no object */
	REG_CHECK, REG_INFO, REG_CREATE, REG_UPDATE, REG_DELETE, REG_RENEW, REG_TRANSFER, REG_QUERY,
	REG_VERBS
};
const char *reg_verb_name(unsigned verb);

/* RFC 5730 section 3. */
enum reg_code {
	REG_DONE = 1000, REG_PENDING = 1001, REG_NO_MESSAGES = 1300, REG_MESSAGE = 1301, REG_BYE = 1500,
	REG_UNKNOWN_COMMAND = 2000, REG_SYNTAX = 2001, REG_USE = 2002, REG_MISSING = 2003, REG_RANGE = 2004, REG_VALUE = 2005,
	REG_VERSION = 2100, REG_UNIMPL_COMMAND = 2101, REG_UNIMPL_OPTION = 2102, REG_UNIMPL_EXTENSION = 2103,
	REG_BILLING = 2104, REG_NOT_RENEWABLE = 2105, REG_NOT_TRANSFERABLE = 2106,
	REG_AUTHENTICATION = 2200, REG_AUTHORIZATION = 2201, REG_AUTHINFO = 2202,
	REG_PENDING_TRANSFER = 2300, REG_NO_PENDING_TRANSFER = 2301, REG_EXISTS = 2302, REG_NOT_FOUND = 2303,
	REG_STATUS = 2304, REG_ASSOCIATION = 2305, REG_POLICY = 2306, REG_UNIMPL_OBJECT = 2307, REG_DATA_POLICY = 2308,
	REG_FAILED = 2400, REG_FAILED_CLOSING = 2500, REG_AUTH_CLOSING = 2501, REG_LIMIT_CLOSING = 2502,
};
/* The RFC's text of a code, English, marked for translation; NULL for a number that is not in the list. */
const char *reg_code_text(unsigned code);

/* ---- objects and fields: one table, read by the door, every face, ceirctl and the documentation -------------------- */

enum reg_type {
	REG_TEXT,      /* normalized text, 1..255 characters unless max says otherwise */
	REG_TOKEN,     /* identifier: printable, no white space at the ends, 1..64 */
	REG_IMEI,      /* 15 digits, Luhn */
	REG_TAC,       /* 8 digits */
	REG_IMSI, REG_MSISDN,
	REG_DATE,      /* xsd:date */
	REG_TIME,      /* xsd:dateTime */
	REG_UINT,      /* decimal, 0..max */
	REG_PRICE,     /* decimal, at most 12 digits before and 4 behind the point, not negative */
	REG_CURRENCY,  /* ISO 4217, three capitals */
	REG_COUNTRY,   /* ISO 3166-1 alpha-2, two capitals */
	REG_ENUM,      /* one of .choices */
	REG_SECRET,    /* password: in, never out */
	REG_HEX32,     /* 64 hexadecimal digits: SHA-256 fingerprint */
	REG_GROUP,     /* has .fields */
};

enum reg_field_flag {
	REG_KEY = 1,       /* names the object; given by the client unless REG_SERVER */
	REG_NEEDED = 2,    /* must be in create */
	REG_MANY = 4,      /* may repeat; in update through add and rem */
	REG_SERVER = 8,    /* set by the server: only in answers */
	REG_FIXED = 16,    /* create only, no update */
	REG_FILTER = 32,   /* query may filter by it */
	REG_SORT = 64,     /* query may sort by it */
	REG_CLEARS = 128,  /* REG_TEXT: may be empty, which takes away what there was */
	REG_LINES = 256,   /* REG_TEXT: may have line ends; clients read it from a file */
};

struct reg_field {
	const char *name;               /* element name and JSON key */
	enum reg_type type;
	unsigned flags;                 /* enum reg_field_flag */
	unsigned see;                   /* REG_BIT(role) of those who see it in answers; 0: all who may read the object */
	uint64_t max;                   /* REG_UINT: largest value; REG_TEXT/REG_TOKEN: longest, in characters; 0: the type's own */
	const char *const *choices;     /* REG_ENUM: NULL-terminated */
	const struct reg_field *fields; /* REG_GROUP: ends with .name == NULL */
	int column;                     /* where the store keeps it; registry and store only */
};

struct reg_object {
	const char *name;               /* "permit": conventional prefix and word of ceirctl */
	const char *uri;                /* namespace */
	const struct reg_field *fields; /* in the order of the schema; ends with .name == NULL; the first is the key */
	unsigned may[REG_VERBS];        /* REG_BIT(role) of those who may; 0: the object does not have the verb (2101) */
	unsigned own[REG_VERBS];        /* of these, the roles that reach only their own objects */
};

extern const struct reg_object *const reg_objects[]; /* NULL-terminated */
const struct reg_object *reg_object_by_name(struct str name); /* NULL: none */
const struct reg_object *reg_object_by_uri(struct str uri);
/* Has it a field REG_SECRET: what creates or changes it is secret (struct reg_command). */
bool reg_object_has_secret(const struct reg_object *o);
/* What a value of this type must look like, for people: English, a catalogue key. NULL for plain texts and groups. */
const char *reg_type_expects(enum reg_type type);
const struct reg_field *reg_field_find(const struct reg_field *fields, struct str name); /* NULL: none */

/* ---- commands ------------------------------------------------------------------------------------------------------ */

/* One value, or one group of values. Siblings in the order given. All in the command's arena. */
struct reg_node {
	const struct reg_field *field;
	struct str text;                /* not for groups */
	struct reg_node *child;         /* groups */
	struct reg_node *next;
};

enum reg_transfer_op { REG_OP_QUERY, REG_OP_REQUEST, REG_OP_APPROVE, REG_OP_REJECT, REG_OP_CANCEL };
enum reg_compare { REG_EQ, REG_NE, REG_LT, REG_LE, REG_GT, REG_GE, REG_PREFIX };

struct reg_filter {
	struct str field;
	enum reg_compare op;
	struct str value;
};

struct reg_query {
	const struct reg_filter *filters;
	size_t n_filters;
	struct str sort;                /* field, empty: key */
	bool descending;
	uint32_t limit;                 /* 0: 100; at most 1000 */
	struct str cursor;              /* of the page before; empty: first page */
	bool count;                     /* also say how many there are (up to 1,000,000, then "at least") */
	bool count_only;
};

/* In place of an index of i18n: nobody has said a language. The account's, or English when it has none. */
#define REG_LANG_OF_ACCOUNT SIZE_MAX

struct reg_login {
	struct str clid, pw, newpw;     /* newpw.p NULL: none */
	size_t lang;                    /* index of i18n; the face has resolved the tag. REG_LANG_OF_ACCOUNT */
	/*
	 * HTTP. by_certificate: no clid and pw; the account is the one active account that the client's certificate belongs to, and the
	 * certificate is proof enough. Else, without a certificate, name and password do for an account of an operator that has no certificate.
	 */
	bool http, by_certificate;
	/* FTPS: never a certificate; name and password do for an account whose field ftps is "yes", and for no other. Not together with http. */
	bool ftps;
};

/* A row of an application: one device. */
struct reg_device {
	const struct str *imeis;        /* 1..5, as typed */
	unsigned n;
};

struct reg_detail;

struct reg_command {
	enum reg_verb verb;
	const struct reg_object *object; /* NULL for session verbs */
	struct str cltrid;               /* empty: none */
	struct str request;              /* the bytes as received, for the digest */
	bool secret;                     /* request holds a password: the digest is keyed */

	struct reg_node *key;            /* info, update, delete, renew, transfer: the object's name */
	const struct str *names;         /* check: as typed */
	size_t n_names;
	struct reg_node *set;            /* create: all fields; update: chg; renew: curExDate and exDate */
	struct reg_node *add, *rem;      /* update */
	const struct reg_device *devices;/* application create and update: rows */
	size_t n_devices;
	uint64_t after;                  /* application info: result rows behind this line number ... */
	uint32_t rows;                   /* ... at most so many (0: none; at most 10,000) */
	enum reg_transfer_op op;
	const struct reg_query *query;   /* REG_QUERY */
	struct reg_delivery *delivery;   /* delivery create: what was received; the door takes it over */
	struct str body;                 /* triplet create: sightings, JSON */
	bool body_is_csv;                /* or CSV as of a delivery */
	const struct reg_list_request *list; /* list info that makes a file; NULL: only its state */
	bool want_file;                  /* delivery info: also its report of rejects, as reply->file */
	const struct reg_login *login;   /* REG_LOGIN */
	bool poll_ack;                   /* REG_POLL: ack of msgid, else req */
	struct str msgid;

	/*
	 * A command the face itself refuses (syntax, schema, unknown extension): code and details. It is not executed but
	 * audited and answered like any other. 0: not refused.
	 */
	enum reg_code refused;
	const struct reg_detail *refused_details;
};

/* ---- replies ------------------------------------------------------------------------------------------------------- */

/* What was wrong with what: RFC 5730 extValue. */
struct reg_detail {
	const char *uri;                 /* namespace of the element; NULL: the EPP namespace */
	const char *element;             /* offending element's name; never NULL */
	struct str value;                /* its text as given, at most 255 bytes of it, always UTF-8 */
	const char *reason;              /* English, a catalogue key; never NULL */
	const struct reg_detail *next;
};

enum reg_data { REG_DATA_NONE, REG_DATA_CHECK, REG_DATA_INFO, REG_DATA_CREATE, REG_DATA_RENEW, REG_DATA_TRANSFER, REG_DATA_PENDING,
	REG_DATA_QUERY };

struct reg_check_item {
	struct str name;
	const char *reason;              /* NULL: available without remark */
	bool avail;
	bool has_verdict;                /* imei:check of a valid IMEI */
	struct verdict verdict;
};

/* One result row of an application. */
struct reg_row {
	uint64_t line;                   /* 1.. in the order submitted */
	struct str imei;                 /* as typed */
	bool first_of_device;            /* false: further IMEI of the device of the row before */
	const char *result;              /* "pending" "accepted" "refused" */
	const char *code;                /* machine-readable reason, NULL unless refused: "luhn", "tac-unknown", ... */
	const char *reason;              /* English sentence, catalogue key; NULL unless refused */
};

struct reg_page {
	const struct reg_object *object;
	struct reg_node **items;         /* field list of each item */
	size_t n_items;
	struct str next;                 /* cursor of the next page; empty: this is the last */
	bool has_count, count_is_floor;
	uint64_t count;
};

struct reg_message {
	uint64_t count;                  /* messages in the queue */
	struct str id;
	int64_t at_us;                   /* when it was queued */
	const char *english;             /* text with {0}.. ; NULL in an ack */
	struct str args[4];
	size_t n_args;
};

/* ---- deliveries and lists: bodies too large for a command ---------------------------------------------------------- */

/* A delivery while it is received: unpacked, read and staged piece by piece, in constant memory. One thread. */
struct reg_delivery;
struct reg_session;
struct registry;
struct reg_delivery_start {
	bool full;                      /* the whole subscriber base */
	struct str id;                  /* the client's own name for it (header or ?id=), 1..64 printable; empty: none */
	struct str name;                /* file name, empty: none */
	int64_t at_s;                   /* time of lines that say none; 0: now */
};
/*
 * CEIR_EPERM: the session may not deliver (execute the create without it: the door refuses and audits). CEIR_ELIMIT: too many at once of this operator.
 * CEIR_EINVAL: id or name is not as expected. Nothing is visible before the create command.
 */
enum ceir_err reg_delivery_begin(struct reg_session *s, const struct reg_delivery_start *start, struct reg_delivery **out) CEIR_MUST_USE;
/* CEIR_EINVAL: the body cannot be read as a delivery (reg_delivery_why says why); the rest of it may be thrown away, then execute the create, which is refused. */
enum ceir_err reg_delivery_feed(struct reg_delivery *d, struct str bytes) CEIR_MUST_USE;
/* The client went away, or the create was never executed. NULL is allowed. */
void reg_delivery_drop(struct reg_delivery *d);

enum reg_list_kind { REG_LIST_BLACK, REG_LIST_GREY, REG_LIST_EXCEPTIONS, REG_LIST_WHITE, REG_LISTS };
const char *reg_list_name(unsigned list); /* "black" "grey" "exceptions" "white" */
enum reg_list_format { REG_LIST_CSV, REG_LIST_XML };
enum reg_packing { REG_PLAIN, REG_GZIP, REG_ZSTD };

struct reg_list_request {
	bool delta;                     /* what changed since sequence number `since`; else the whole list */
	int64_t since;
	bool dirbs;                     /* the layout of DIRBS-Core 16 (docs/formats.md): whole lists but the white one, CSV */
	enum reg_list_format format;
	enum reg_packing packing;
};

/*
 * Waits until there is something new for who asks: c is a list:info with a delta in c->list. CEIR_OK: the delta has rows by now;
 * CEIR_ETIMEOUT: wait_us have passed; CEIR_ECLOSED: enough(face) said so. It is asked some times a second and after reg_list_wake(), must
 * be quick and must not call the door. Any other error: there is nothing to wait for (no right, no such list, operator or number); the
 * command itself says why. Then, in each case, execute the command: waiting is no part of it, holds no reader of the database and is not
 * audited. Looks when it begins, and when a file of this list was made (settings.lists_s; 0: nobody makes any). Not on the writer's thread.
 */
enum ceir_err reg_list_wait(struct reg_session *s, const struct reg_command *c, int64_t wait_us, bool (*enough)(void *face), void *face)
	CEIR_MUST_USE;
/* All who wait ask enough() now. Any thread. */
void reg_list_wake(struct registry *r);

/* A file as an answer. */
struct reg_file {
	int fd;                         /* open for reading, the face's to close */
	uint64_t bytes, rows;
	int64_t from, to;               /* sequence numbers of the change log; from 0: a full list */
	char media_type[48];            /* "text/csv; charset=utf-8", ... without packing */
	char digest[65];                /* SHA-256 of the bytes as sent, hex; good as an entity tag */
	char signature[129];            /* Ed25519 by keys/audit-sign.key over the line that docs/formats.md says, hex */
	char name[96];                  /* for whoever stores it */
};

#define REG_SVTRID_MAX 65

struct reg_reply {
	enum reg_code code;
	const struct reg_detail *details;
	char svtrid[REG_SVTRID_MAX];
	enum reg_data data;
	const struct reg_object *object; /* whose data follows */
	struct reg_node *fields;         /* INFO, CREATE, RENEW, TRANSFER, PENDING */
	const struct reg_check_item *checks; /* CHECK */
	size_t n_checks;
	const struct reg_row *rows;      /* INFO of an application */
	size_t n_rows;
	const struct reg_page *page;     /* QUERY */
	const struct reg_message *message; /* msgQ */
	struct reg_file *file;           /* NULL: none */
};

/* ---- the door ------------------------------------------------------------------------------------------------------ */

struct reg_settings {
	const char *dir;                 /* data folder: ceir.db and keys/ below it */
	const char *svtrid_prefix;       /* "UKR" */
	bool require_cltrid;             /* transforms without clTRID are refused (2003) */
	unsigned max_failed_logins;      /* on one connection, then 2501; and of one account, then it is locked for lock_s */
	unsigned lock_s;
	unsigned max_sessions_account;
	unsigned argon2_memory_kib;
	uint64_t max_application_rows;
	int64_t cache_bytes;             /* of the database's writer */
	uint64_t triplets_memory;        /* bytes for sorting and for sightings in memory */
	unsigned threads;                /* for applying deliveries and classifying */
	unsigned max_sightings;          /* in one triplet create */
	unsigned max_deliveries_operator;/* being received at once */
	unsigned lists_s;                /* lists and notices are made at most so often, in seconds; 0: only on request */
	unsigned outbox_keep;            /* files of each kind kept in an operator's outbox */
};

/* Creates the database and the first account. password: UTF-8. fp: SHA-256 of the account's certificate. */
enum ceir_err registry_create(const struct reg_settings *s, const char *clid, struct str password, const uint8_t fp[32]) CEIR_MUST_USE;
/* Opens, rebuilds the verdict table, starts the writer and the workers. */
enum ceir_err registry_open(const struct reg_settings *s, struct registry **r) CEIR_MUST_USE;
/* No session may be left. Finishes what was accepted, then stops. */
void registry_close(struct registry *r);

/*
 * Checks everything: SQLite's integrity, references, the change log (no gap, last change equals the verdict), the
 * verdicts against the rules, the audit chain. Each fault is one line to report(ctx, line). CEIR_ECORRUPT when any. The
 * server need not be stopped. head: an exported head that must lie on the chain, or empty.
 */
enum ceir_err registry_verify(const struct reg_settings *s, struct str head, void (*report)(void *ctx, const char *line), void *ctx)
	CEIR_MUST_USE;
/* The head of the audit chain as one JSON line, signed with keys/audit-sign.key (Ed25519). */
enum ceir_err registry_audit_head(const struct reg_settings *s, struct buf *out) CEIR_MUST_USE;

struct reg_client {
	char address[64];                /* numeric, with port */
	bool has_certificate;
	uint8_t certificate_sha256[32];
};

/* A conversation, before and after login. One thread at a time. NULL: memory. */
struct reg_session *reg_session_new(struct registry *r, const struct reg_client *client);
void reg_session_free(struct reg_session *s);
/*
 * A session of an active account, for a face that knows without a password who it is: whoever wrote into the account's own folder. Counts among the
 * account's sessions, and ends with the account as after a login; its certificates are not asked for. It speaks the account's language, or, when that
 * has none, lang (i18n index). CEIR_EPERM: there is no such active account; CEIR_ELIMIT: it has too many sessions already; others: the system.
 */
enum ceir_err reg_session_of(struct registry *r, struct str clid, const struct reg_client *client, size_t lang, struct reg_session **out) CEIR_MUST_USE;
/* The language of an active account, i18n index; `otherwise` when it has none or cannot be asked. */
size_t reg_account_lang(struct registry *r, struct str clid, size_t otherwise);
/* Every active account, in no order; op: code of its operator, empty for other roles. The texts are good until the call returns. */
typedef void (*reg_account_row)(void *ctx, struct str clid, struct str op);
enum ceir_err reg_accounts_active(struct registry *r, reg_account_row row, void *ctx) CEIR_MUST_USE;
/* A public key (of an account, an operator) as the name of a folder: what a file system might read otherwise stands as %XX. */
#define REG_FOLDER_NAME 132
void reg_folder_name(struct str id, char out[REG_FOLDER_NAME]);
size_t reg_session_lang(const struct reg_session *s);   /* i18n index; 0 before login */
/* The language from here on (HTTP says one with each request): i18n index, or REG_LANG_OF_ACCOUNT. */
void reg_session_speak(struct reg_session *s, size_t lang);
enum reg_role reg_session_role(const struct reg_session *s); /* REG_ROLE_NONE before login */
/* Why the connection should close after the present reply (2500, 2501, 2502, 1500, account suspended); false: go on. */
bool reg_session_ended(const struct reg_session *s);

/*
 * Called once for each command, when the reply is complete and before it is durable, possibly on the writer's thread: turns
 * the reply into bytes appended to out. Must not call the door.
 */
typedef void (*reg_render)(void *face, const struct reg_command *c, const struct reg_reply *reply, struct buf *out);

/*
 * Executes one command of a session. The reply's bytes are appended to out by render. Commands that only read return as
 * soon as the reply is rendered; their audit rows become durable together: call reg_settle() before sending the bytes.
 * Commands that change something return when they are durable. The arena serves the command and its reply.
 */
void reg_execute(struct reg_session *s, const struct reg_command *c, struct arena *arena, reg_render render, void *face, struct buf *out);
/*
 * Waits until every command of this session so far stands in the audit log. An error means that none of the answers
 * rendered since the last settle may be sent: answer 2400 instead for each.
 */
enum ceir_err reg_settle(struct reg_session *s) CEIR_MUST_USE;

/* ---- remotes: FTPS servers of others, with which src/remote exchanges files for an account ------------------------- */

/* An active remote of an active account (object "remote"). Texts are in the arena they were asked into. */
struct reg_remote {
	int64_t id;                      /* never used again for another */
	struct str code, account, op;    /* op: code of the account's operator; empty: it has none, and gets no lists */
	struct str host, user;
	uint16_t port;
	bool implicit;                   /* TLS from the first byte (port 990); else AUTH TLS (RFC 4217) */
	struct str password;             /* in the clear: wipe the arena's copy (sodium_memzero) when it is not needed any more */
	struct str ca;                   /* PEM of who may have signed the server's certificate; empty: those of the system */
	struct str lists_to, answers_to, fetch_from; /* folders over there; empty: nothing of that kind */
	unsigned lists;                  /* REG_BIT(enum reg_list_kind) */
	enum reg_list_format format;
	enum reg_packing packing;
	bool keep;                       /* what was fetched stays there; else it is deleted there when it is taken */
	unsigned interval_s;             /* between two looks for files to fetch */
	int64_t changed_us;              /* when the settings were changed last: failures before then do not count */
};
typedef void (*reg_remote_row)(void *ctx, const struct reg_remote *remote);
enum ceir_err reg_remotes_active(struct registry *r, struct arena *arena, reg_remote_row row, void *ctx) CEIR_MUST_USE;

enum reg_remote_way { REG_REMOTE_LIST, REG_REMOTE_ANSWER, REG_REMOTE_FETCH };

/* What came of one transfer, or of a try. */
struct reg_remote_event {
	enum reg_remote_way way;
	struct str file;                 /* its name; empty: it failed before there was one */
	uint64_t bytes;
	int64_t mtime_s;                 /* ANSWER, FETCH: tell this file from a later one of the same name */
	uint8_t sha256[32];
	enum reg_list_kind list;         /* LIST */
	int64_t to;                      /* LIST: the remote has the list up to this sequence number */
	const char *error;               /* NULL: done; else why not, one line for people, without secrets */
};
/*
 * One transaction, durable on return: an audit row (verb transfer, object remote; account: the remote's), what is remembered of the file, and the
 * state that remote:info shows. The fifth failure in a row is told to the administrators' queues; the first success after it too. CEIR_ENOENT: the remote is gone.
 */
enum ceir_err reg_remote_note(struct registry *r, int64_t remote, const struct reg_remote_event *e) CEIR_MUST_USE;
/* Up to which sequence number the remote has a list; -1: it has none. */
enum ceir_err reg_remote_has(struct registry *r, int64_t remote, enum reg_list_kind list, int64_t *seq) CEIR_MUST_USE;
/* Was this file (ANSWER, FETCH) noted as done? */
enum ceir_err reg_remote_known(struct registry *r, int64_t remote, enum reg_remote_way way, struct str name, uint64_t size, int64_t mtime_s, bool *known)
	CEIR_MUST_USE;
/* Forgets the files of this way that no longer lie where they came from: all but these names. */
enum ceir_err reg_remote_forget(struct registry *r, int64_t remote, enum reg_remote_way way, const struct str *names, size_t n) CEIR_MUST_USE;

/* NAME.sig of a list file, as in outboxes: one JSON object and a line end (docs/formats.md). */
void reg_list_signature_print(struct buf *out, struct str op, enum reg_list_kind list, const struct reg_file *f);

/* Numbers for the log and later for metrics; any thread. */
struct reg_stats {
	uint64_t commands, refused, transforms, commits, verdicts, verdict_bytes, audit_seq, change_seq;
	uint64_t triplets, triplet_bytes, sightings, deliveries_waiting; /* waiting: received and not yet applied, held ones too */
	int64_t classified_us;           /* when the last full classification ended; 0: never */
};
void registry_stats(const struct registry *r, struct reg_stats *out);

#endif

/*
 * store_schema.c - the tables. The DDL of the register's tables is generated from the same column lists that every query is
 * built from, so the two cannot differ. Times are microseconds since 1970 (UTC), dates are days since 1970-01-01, prices are
 * ten-thousandths, an IMEI is its 14 digits as a number.
 *
 * References between papers (permit -> importer, position -> certificate) are by public key, which never changes: what an
 * auditor reads with the sqlite3 shell is what stood in the command.
 */
#include "store/store_internal.h"

#define INT(col) {.name = col, .type = STORE_INT}
#define TEXT(col) {.name = col, .type = STORE_TEXT}
#define NEED_INT(col) {.name = col, .type = STORE_INT, .constraint = "NOT NULL"}
#define NEED_TEXT(col) {.name = col, .type = STORE_TEXT, .constraint = "NOT NULL"}
#define KEY_TEXT(col) {.name = col, .type = STORE_TEXT, .constraint = "NOT NULL UNIQUE"}
#define HISTORY TEXT("cr_id"), INT("cr_at"), TEXT("up_id"), INT("up_at")

#define TABLE(symbol, table, count, cols, idx) \
	const struct store_table symbol = {.name = table, .columns = cols, .n = count, .indexes = idx}; \
	_Static_assert(sizeof(cols) / sizeof((cols)[0]) == count, table)

static const struct store_column importer_columns[] = {INT("id"), KEY_TEXT("code"), NEED_TEXT("name"), TEXT("address"), TEXT("country"),
	TEXT("email"), TEXT("voice"), NEED_TEXT("status"), HISTORY};
TABLE(STORE_IMPORTER, "importer", IMPORTER_N, importer_columns, "CREATE INDEX importer_name ON importer(name)");

static const struct store_column permit_columns[] = {INT("id"), KEY_TEXT("code"), NEED_TEXT("importer"), NEED_INT("issued"), NEED_INT("ex"),
	NEED_TEXT("status"), HISTORY};
TABLE(STORE_PERMIT, "permit", PERMIT_N, permit_columns, "CREATE INDEX permit_importer ON permit(importer)");

static const struct store_column position_columns[] = {INT("id"), NEED_INT("number"), NEED_INT("permit"), NEED_TEXT("certificate"),
	NEED_TEXT("manufacturer"), NEED_TEXT("model"), NEED_TEXT("country"), NEED_INT("quantity"), NEED_INT("price"), NEED_TEXT("currency"),
	NEED_INT("used")};
TABLE(STORE_POSITION, "position", POSITION_N, position_columns, "CREATE UNIQUE INDEX position_number ON position(permit, number);"
	"CREATE INDEX position_certificate ON position(certificate)");

static const struct store_column certificate_columns[] = {INT("id"), KEY_TEXT("code"), NEED_INT("issued"), NEED_INT("ex"), TEXT("holder"),
	NEED_TEXT("manufacturer"), NEED_TEXT("model"), NEED_TEXT("status"), HISTORY};
TABLE(STORE_CERTIFICATE, "certificate", CERTIFICATE_N, certificate_columns, NULL);

static const struct store_column certificate_tac_columns[] = {INT("id"), NEED_INT("tac"), NEED_INT("certificate")};
TABLE(STORE_CERTIFICATE_TAC, "certificate_tac", CERTIFICATE_TAC_N, certificate_tac_columns,
	"CREATE UNIQUE INDEX certificate_tac_pair ON certificate_tac(certificate, tac);"
	"CREATE INDEX certificate_tac_tac ON certificate_tac(tac)");

static const struct store_column tac_columns[] = {INT("id"), {.name = "code", .type = STORE_INT, .constraint = "NOT NULL UNIQUE"},
	NEED_TEXT("manufacturer"), NEED_TEXT("model"), TEXT("brand"), TEXT("type"), TEXT("rat"), INT("sims"), INT("allocated"),
	NEED_TEXT("status"), HISTORY};
TABLE(STORE_TAC, "tac", TAC_N, tac_columns, "CREATE INDEX tac_manufacturer ON tac(manufacturer, model)");

/*
 * next_part: the last line that has a result. tx: audit number of its submission. Parts are numbered by their first line.
 */
static const struct store_column application_columns[] = {INT("id"), KEY_TEXT("code"), TEXT("importer"), TEXT("permit"), INT("position"),
	NEED_TEXT("kind"), TEXT("reference"), NEED_TEXT("status"), NEED_INT("rows"), NEED_INT("devices"), NEED_INT("accepted"),
	NEED_INT("refused"), NEED_INT("next_part"), NEED_INT("tx"), TEXT("cr_id"), INT("cr_at"), INT("submitted_at"), INT("done_at"),
	TEXT("up_id"), INT("up_at")};
TABLE(STORE_APPLICATION, "application", APPLICATION_N, application_columns,
	"CREATE INDEX application_submitted ON application(id) WHERE status = 'submitted';"
	"CREATE INDEX application_permit ON application(permit);CREATE INDEX application_importer ON application(importer);"
	"CREATE INDEX application_cr ON application(cr_id)");

/* next_at: when the clock must look at it next (begin or end of its time); NULL when never. */
static const struct store_column listing_columns[] = {INT("id"), KEY_TEXT("code"), INT("imei"), INT("tac"), NEED_TEXT("colour"),
	NEED_TEXT("reason"), NEED_TEXT("ground"), TEXT("pair"), TEXT("imsi"), TEXT("msisdn"), NEED_INT("since"), INT("until"), TEXT("stage"),
	NEED_TEXT("status"), NEED_TEXT("role"), INT("next_at"), HISTORY, TEXT("end_id"), INT("end_at"), TEXT("end_ground")};
TABLE(STORE_LISTING, "listing", LISTING_N, listing_columns, "CREATE INDEX listing_imei ON listing(imei) WHERE imei IS NOT NULL;"
	"CREATE INDEX listing_tac ON listing(tac) WHERE tac IS NOT NULL;CREATE INDEX listing_next ON listing(next_at) WHERE next_at IS NOT NULL");

/*
 * ftps, since version 3: "yes" when the password alone opens the FTPS face. lang, since version 4: a language tag of i18n. Both stand last,
 * where the migrations put them.
 */
static const struct store_column account_columns[] = {INT("id"), KEY_TEXT("code"), NEED_TEXT("role"), NEED_TEXT("pw"), TEXT("importer"),
	TEXT("operator"), NEED_TEXT("status"), NEED_INT("fails"), INT("locked_until"), INT("last_login"), HISTORY,
	TEXT("ftps"), TEXT("lang")};
TABLE(STORE_ACCOUNT, "account", ACCOUNT_N, account_columns, NULL);

static const struct store_column account_cert_columns[] = {INT("id"), {.name = "sha256", .type = STORE_BLOB, .constraint = "NOT NULL"},
	NEED_INT("account")};
TABLE(STORE_ACCOUNT_CERT, "account_cert", ACCOUNT_CERT_N, account_cert_columns,
	"CREATE UNIQUE INDEX account_cert_pair ON account_cert(account, sha256)");

static const struct store_column tag_columns[] = {INT("id"), NEED_INT("imei"), NEED_TEXT("type"), NEED_TEXT("value")};
TABLE(STORE_TAG, "tag", TAG_N, tag_columns, "CREATE UNIQUE INDEX tag_imei ON tag(imei, type, value)");

static const struct store_column transfer_columns[] = {INT("id"), NEED_INT("imei"), NEED_TEXT("from_importer"), NEED_TEXT("to_importer"),
	NEED_TEXT("status"), NEED_TEXT("re_id"), NEED_INT("re_at"), TEXT("ac_id"), INT("ac_at")};
TABLE(STORE_TRANSFER, "transfer", TRANSFER_N, transfer_columns, "CREATE INDEX transfer_imei ON transfer(imei)");

/* The audit log; store_audit.c defines the hash. The index by clTRID is what a client asks by after a lost connection. */
static const struct store_column audit_columns[] = {INT("seq"), NEED_INT("at"), TEXT("account"), TEXT("role"),
	{.name = "certificate", .type = STORE_BLOB}, TEXT("address"), TEXT("cltrid"), NEED_TEXT("verb"), TEXT("object"), TEXT("name"),
	NEED_INT("code"), {.name = "request", .type = STORE_BLOB, .constraint = "NOT NULL"},
	{.name = "response", .type = STORE_BLOB, .constraint = "NOT NULL"}, {.name = "hash", .type = STORE_BLOB, .constraint = "NOT NULL"}};
TABLE(STORE_AUDIT, "audit", AUDIT_N, audit_columns, "CREATE INDEX audit_at ON audit(at);"
	"CREATE INDEX audit_cltrid ON audit(cltrid) WHERE cltrid IS NOT NULL");

/* id: the operator's number in the triplet store. usual: lines of its last full delivery, what the next one is measured by. */
static const struct store_column operator_columns[] = {{.name = "id", .type = STORE_INT, .constraint = "CHECK(id BETWEEN 1 AND 255)"},
	KEY_TEXT("code"), NEED_TEXT("name"), NEED_TEXT("status"), NEED_INT("usual"), HISTORY};
TABLE(STORE_OPERATOR, "operator", OPERATOR_N, operator_columns, NULL);

static const struct store_column operator_plmn_columns[] = {INT("id"), KEY_TEXT("plmn"), NEED_INT("operator")};
TABLE(STORE_OPERATOR_PLMN, "operator_plmn", OPERATOR_PLMN_N, operator_plmn_columns,
	"CREATE INDEX operator_plmn_operator ON operator_plmn(operator)");

static const struct store_column portability_columns[] = {INT("id"), KEY_TEXT("code"), NEED_INT("first"), NEED_INT("last"),
	NEED_TEXT("operator"), INT("since"), TEXT("cr_id"), INT("cr_at")};
TABLE(STORE_PORTABILITY, "portability", PORTABILITY_N, portability_columns,
	"CREATE UNIQUE INDEX portability_range ON portability(first, last)");

/* staged: name of the file that holds what was received and not yet applied. hold: why it waits, codes separated by commas. */
static const struct store_column delivery_columns[] = {INT("id"), KEY_TEXT("code"), NEED_TEXT("operator"), NEED_TEXT("kind"),
	TEXT("client_id"), TEXT("name"), NEED_TEXT("status"), TEXT("staged"), {.name = "digest", .type = STORE_BLOB, .constraint = "NOT NULL"},
	NEED_INT("bytes"), NEED_INT("lines"), NEED_INT("taken"), NEED_INT("refused"), NEED_INT("malformed"), NEED_INT("suspicious"),
	INT("fresh"), INT("again"), INT("returned"), INT("gone"), TEXT("hold"), NEED_INT("received_at"), INT("applied_at"),
	INT("classified_at"), TEXT("ground"), NEED_INT("tx"), HISTORY};
TABLE(STORE_DELIVERY, "delivery", DELIVERY_N, delivery_columns,
	"CREATE INDEX delivery_open ON delivery(status) WHERE status IN ('received', 'held', 'released');"
	"CREATE INDEX delivery_client ON delivery(operator, client_id) WHERE client_id IS NOT NULL;"
	"CREATE INDEX delivery_digest ON delivery(operator, digest)");

/* id is the version. params, conditions and dry_run are JSON: registry_policy.c says which. One row at most is active. */
static const struct store_column policy_columns[] = {INT("id"), KEY_TEXT("code"), NEED_TEXT("status"), NEED_TEXT("params"),
	NEED_TEXT("conditions"), TEXT("dry_run"), NEED_TEXT("ground"), INT("active_at"), HISTORY};
TABLE(STORE_POLICY, "policy", POLICY_ROW_N, policy_columns, "CREATE INDEX policy_status ON policy(status)");

/* hash: SipHash-2-4-128 of the IMEI, keyed, so that who reads the database does not learn whom. */
static const struct store_column golden_columns[] = {INT("id"), {.name = "hash", .type = STORE_BLOB, .constraint = "NOT NULL UNIQUE"},
	TEXT("cr_id"), INT("cr_at")};
TABLE(STORE_GOLDEN, "golden", GOLDEN_N, golden_columns, NULL);

static const struct store_column watch_columns[] = {INT("id"), KEY_TEXT("code"), NEED_INT("imei"), NEED_TEXT("ground"), INT("until"),
	NEED_TEXT("status"), NEED_INT("account"), INT("last_seen"), HISTORY};
TABLE(STORE_WATCH, "watch", WATCH_N, watch_columns, "CREATE INDEX watch_imei ON watch(imei);"
	"CREATE INDEX watch_until ON watch(until) WHERE status = 'active'");

/* Every list file ever made: evidence of what an operator was given. */
static const struct store_column list_file_columns[] = {INT("id"), NEED_TEXT("operator"), NEED_TEXT("list"), NEED_INT("from_seq"),
	NEED_INT("to_seq"), NEED_TEXT("name"), NEED_INT("rows"), NEED_INT("bytes"),
	{.name = "digest", .type = STORE_BLOB, .constraint = "NOT NULL"}, NEED_INT("at"), NEED_INT("tx")};
TABLE(STORE_LIST_FILE, "list_file", LIST_FILE_N, list_file_columns, "CREATE INDEX list_file_of ON list_file(operator, list, to_seq)");

static const struct store_column list_ack_columns[] = {INT("id"), NEED_TEXT("operator"), NEED_TEXT("list"), NEED_INT("seq"), NEED_INT("at"),
	NEED_TEXT("account")};
TABLE(STORE_LIST_ACK, "list_ack", LIST_ACK_N, list_ack_columns, "CREATE UNIQUE INDEX list_ack_of ON list_ack(operator, list)");

/* pw: sealed by the registry. lists: names between spaces. keep: yes or no. */
static const struct store_column remote_columns[] = {INT("id"), KEY_TEXT("code"), NEED_TEXT("account"), NEED_TEXT("host"), NEED_INT("port"),
	NEED_TEXT("tls"), NEED_TEXT("user"), {.name = "pw", .type = STORE_BLOB, .constraint = "NOT NULL"}, TEXT("ca"), TEXT("lists_to"),
	TEXT("lists"), TEXT("format"), TEXT("packing"), TEXT("answers_to"), TEXT("fetch_from"), TEXT("keep"), NEED_INT("interval"),
	NEED_TEXT("status"), NEED_INT("failures"), TEXT("error"), INT("failed_at"), INT("done_at"), HISTORY};
TABLE(STORE_REMOTE, "remote", REMOTE_N, remote_columns, "CREATE INDEX remote_account ON remote(account)");

/* mtime: seconds, as the other side says; it and size tell a file from a later one of the same name. Of a list the size is its sequence number. */
static const struct store_column remote_file_columns[] = {INT("id"), NEED_INT("remote"), NEED_TEXT("way"), NEED_TEXT("name"), NEED_INT("size"),
	NEED_INT("mtime"), NEED_INT("at")};
TABLE(STORE_REMOTE_FILE, "remote_file", REMOTE_FILE_N, remote_file_columns,
	"CREATE UNIQUE INDEX remote_file_name ON remote_file(remote, way, name)");

const struct store_table *const store_tables[] = {&STORE_IMPORTER, &STORE_PERMIT, &STORE_POSITION, &STORE_CERTIFICATE,
	&STORE_CERTIFICATE_TAC, &STORE_TAC, &STORE_APPLICATION, &STORE_LISTING, &STORE_ACCOUNT, &STORE_ACCOUNT_CERT, &STORE_TAG,
	&STORE_TRANSFER, &STORE_AUDIT,
	/* Since version 2. */
	&STORE_OPERATOR, &STORE_OPERATOR_PLMN, &STORE_PORTABILITY, &STORE_DELIVERY, &STORE_POLICY, &STORE_GOLDEN, &STORE_WATCH, &STORE_LIST_FILE,
	&STORE_LIST_ACK,
	/* Since version 4. */
	&STORE_REMOTE, &STORE_REMOTE_FILE, NULL};
const size_t store_tables_v1 = 13, store_tables_v2 = 22;

void store_put_ddl(struct buf *sql, const struct store_table *t)
{
	static const char *const types[] = {"INTEGER", "TEXT", "BLOB"};

	buf_printf(sql, "CREATE TABLE %s(", t->name);
	for (int k = 0; k < t->n; k++)
		buf_printf(sql, "%s%s %s %s %s", k ? ", " : "", t->columns[k].name, types[t->columns[k].type], k == 0 ? "PRIMARY KEY" : "",
			t->columns[k].constraint ? t->columns[k].constraint : "");
	buf_printf(sql, ");%s;", t->indexes ? t->indexes : "");
}

/*
 * imei: one row for every IMEI that is a device or ever stood on a list. Columns that are NULL in most rows stand last and
 * cost a byte each: a row takes about 30 bytes, and fifty million must fit. state: 1 = registration withdrawn.
 * change: one row for each change that came alone; store_change.c says what a record and a block hold.
 */
const char store_extra_ddl[] =
	"CREATE TABLE imei(imei INTEGER PRIMARY KEY, verdict INTEGER NOT NULL, chg INTEGER NOT NULL, application INTEGER, device INTEGER,"
	" owner INTEGER, state INTEGER);"
	"CREATE INDEX imei_device ON imei(device) WHERE device IS NOT NULL;"
	"CREATE INDEX imei_owner ON imei(owner) WHERE owner IS NOT NULL;"
	"CREATE TABLE change(seq INTEGER PRIMARY KEY, imei INTEGER NOT NULL, verdict INTEGER NOT NULL, at INTEGER NOT NULL,"
	" tx INTEGER NOT NULL, scope INTEGER, before INTEGER, record BLOB);"
	"CREATE TABLE application_part(application INTEGER NOT NULL, number INTEGER NOT NULL, first_line INTEGER NOT NULL,"
	" rows INTEGER NOT NULL, results BLOB, data BLOB NOT NULL, PRIMARY KEY(application, number));"
	"CREATE TABLE message(id INTEGER PRIMARY KEY AUTOINCREMENT, account INTEGER NOT NULL, at INTEGER NOT NULL, kind INTEGER NOT NULL,"
	" a0 TEXT, a1 TEXT, a2 TEXT, a3 TEXT);"
	"CREATE INDEX message_account ON message(account, id);"
	"CREATE TABLE ripple(id INTEGER PRIMARY KEY AUTOINCREMENT, kind INTEGER NOT NULL, code TEXT NOT NULL, application INTEGER NOT NULL,"
	" part INTEGER NOT NULL, tx INTEGER NOT NULL);";

/*
 * change_block: the changes first .. first + n - 1, all of one moment and one transaction; store_change.c says how they are
 * packed. meta: small facts of the registry under a name.
 */
const char store_extra_ddl2[] =
	"CREATE TABLE change_block(first INTEGER PRIMARY KEY, n INTEGER NOT NULL, at INTEGER NOT NULL, tx INTEGER NOT NULL, data BLOB NOT NULL);"
	"CREATE TABLE meta(name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;";

/*
 * A change says since version 2 what the verdict was before it; the old rows are told by the log itself. An account may name an
 * operator that was free text until now: such an operator is made, with no network of its own yet.
 */
static const char migration2[] =
	"ALTER TABLE change ADD COLUMN before INTEGER;ALTER TABLE change ADD COLUMN record BLOB;"
	"UPDATE change SET before = p.was FROM (SELECT seq AS s, nullif(lag(verdict) OVER (PARTITION BY imei, scope ORDER BY seq), 0) AS was"
	" FROM change) AS p WHERE p.s = change.seq AND p.was IS NOT NULL;"
	"INSERT INTO operator(code, name, status, usual, cr_id, cr_at)"
	" SELECT operator, operator, 'active', 0, 'ceir', min(cr_at) FROM account WHERE operator IS NOT NULL GROUP BY operator;";

/* An account may be let in by its password over FTPS since version 3; none is until somebody says so. */
static const char migration3[] = "ALTER TABLE account ADD COLUMN ftps TEXT;";

static const char migration4[] = "ALTER TABLE account ADD COLUMN lang TEXT;";

/* What a register of version 1 lacks. */
static void put_migration2(struct buf *sql)
{
	for (size_t i = store_tables_v1; i < store_tables_v2; i++)
		store_put_ddl(sql, store_tables[i]);
	buf_c(sql, store_extra_ddl2);
	buf_c(sql, migration2);
}

enum ceir_err store_migrate(struct store_conn *c, int64_t from)
{
	struct buf sql = BUF_INIT(65536);
	enum ceir_err err;

	buf_c(&sql, "BEGIN IMMEDIATE;");
	if (from < 2)
		put_migration2(&sql);
	if (from < 3)
		buf_c(&sql, migration3);
	for (size_t i = store_tables_v2; store_tables[i]; i++)
		store_put_ddl(&sql, store_tables[i]);
	buf_c(&sql, migration4);
	buf_printf(&sql, "PRAGMA user_version = %d;COMMIT", STORE_VERSION);
	buf_char(&sql, '\0');
	err = sql.failed ? CEIR_ENOMEM : store_exec(c, sql.p);
	if (err && !sqlite3_get_autocommit(c->db))
		(void)store_exec(c, "ROLLBACK");
	if (!err)
		log_info("store", "the register was brought from version %lld to %d", (long long)from, STORE_VERSION);
	buf_free(&sql);
	return err;
}

/*
 * store_conn.c - one connection: opening, the statement cache, values, and the few functions that read and write the rows of
 * every table.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "store/store_internal.h"

struct store_val store_null(void)
{
	return (struct store_val){.type = STORE_INT, .null = true};
}

struct store_val store_int(int64_t i)
{
	return (struct store_val){.type = STORE_INT, .i = i};
}

struct store_val store_text(struct str s)
{
	return (struct store_val){.type = STORE_TEXT, .null = s.p == NULL, .s = s};
}

struct store_val store_blob(const void *bytes, size_t n)
{
	return (struct store_val){.type = STORE_BLOB, .null = bytes == NULL, .s = {bytes, n}};
}

enum ceir_err store_fail(struct store_conn *c, int rc, const char *what)
{
	switch (rc & 0xff) {
	case SQLITE_OK:
	case SQLITE_DONE:
	case SQLITE_ROW:
		return CEIR_OK;
	case SQLITE_CONSTRAINT:
		/* A key that is taken is an answer; any other constraint (NOT NULL) is a fault of ours. */
		if (rc == SQLITE_CONSTRAINT_UNIQUE || rc == SQLITE_CONSTRAINT_PRIMARYKEY || rc == SQLITE_CONSTRAINT_ROWID)
			return CEIR_EEXIST;
		break;
	case SQLITE_NOMEM:
		return CEIR_ENOMEM;
	default:
		break;
	}
	log_error("store", "%s: %s (SQLite %d, errno %d)", what, c->db ? sqlite3_errmsg(c->db) : sqlite3_errstr(rc), rc,
		c->db ? sqlite3_system_errno(c->db) : 0);
	if ((rc & 0xff) == SQLITE_FULL || (c->db && sqlite3_system_errno(c->db) == ENOSPC))
		return CEIR_ENOSPC;
	if ((rc & 0xff) == SQLITE_CORRUPT || (rc & 0xff) == SQLITE_NOTADB)
		return CEIR_ECORRUPT;
	return (rc & 0xff) == SQLITE_IOERR ? CEIR_EIO : CEIR_ESTORE;
}

enum ceir_err store_exec(struct store_conn *c, const char *sql)
{
	return store_fail(c, sqlite3_exec(c->db, sql, NULL, NULL, NULL), sql);
}

enum ceir_err store_conn_open(const char *path, int flags, struct store_conn **out)
{
	struct store_conn *c = calloc(1, sizeof *c);
	enum ceir_err err;

	if (!c)
		return CEIR_ENOMEM;
	/* A connection is used by one thread at a time, so SQLite need not lock. */
	err = store_fail(c, sqlite3_open_v2(path, &c->db, flags | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE, NULL), path);
	if (!err)
		err = store_fail(c, sqlite3_busy_timeout(c->db, 10000), "busy_timeout");
	if (!err)
		err = store_exec(c, "PRAGMA trusted_schema = 0; PRAGMA temp_store = MEMORY; PRAGMA wal_autocheckpoint = 0");
	if (err) {
		store_conn_close(c);
		return err;
	}
	*out = c;
	return CEIR_OK;
}

void store_conn_close(struct store_conn *c)
{
	if (!c)
		return;
	for (size_t i = 0; i < STORE_STATEMENTS; i++) {
		sqlite3_finalize(c->cache[i].stmt);
		free(c->cache[i].sql);
	}
	sqlite3_close(c->db);
	free(c);
}

sqlite3_stmt *store_sql(struct store_conn *c, const char *sql)
{
	uint32_t h = 2166136261u; /* FNV-1a */
	struct store_statement *slot;

	for (const char *p = sql; *p; p++)
		h = (h ^ (uint8_t)*p) * 16777619u;
	for (slot = &c->cache[h % STORE_STATEMENTS]; slot->sql; slot = &c->cache[++h % STORE_STATEMENTS])
		if (strcmp(slot->sql, sql) == 0) {
			sqlite3_reset(slot->stmt);
			return slot->stmt;
		}
	CEIR_ASSERT(c->cached < STORE_STATEMENTS - 1);
	if (store_fail(c, sqlite3_prepare_v3(c->db, sql, -1, SQLITE_PREPARE_PERSISTENT, &slot->stmt, NULL), sql))
		return NULL;
	slot->sql = strdup(sql);
	if (!slot->sql) {
		sqlite3_finalize(slot->stmt);
		slot->stmt = NULL;
		return NULL;
	}
	c->cached++;
	return slot->stmt;
}

void store_bind(sqlite3_stmt *s, int i, struct store_val v)
{
	/* Texts outlive the step: every caller steps and resets before it returns. A NULL pointer would bind NULL. */
	const char *p = v.s.n ? v.s.p : "";
	int rc;

	if (v.null)
		rc = sqlite3_bind_null(s, i);
	else if (v.type == STORE_INT)
		rc = sqlite3_bind_int64(s, i, v.i);
	else if (v.type == STORE_TEXT)
		rc = sqlite3_bind_text64(s, i, p, v.s.n, SQLITE_STATIC, SQLITE_UTF8);
	else
		rc = sqlite3_bind_blob64(s, i, p, v.s.n, SQLITE_STATIC);
	CEIR_ASSERT(rc == SQLITE_OK || rc == SQLITE_NOMEM || rc == SQLITE_TOOBIG);
}

struct str store_column_str(sqlite3_stmt *s, int i)
{
	const char *p = sqlite3_column_blob(s, i);

	return (struct str){p, (size_t)sqlite3_column_bytes(s, i)};
}

struct store_val store_column_val(sqlite3_stmt *s, int i, enum store_type type)
{
	if (sqlite3_column_type(s, i) == SQLITE_NULL)
		return (struct store_val){.type = type, .null = true};
	if (type == STORE_INT)
		return store_int(sqlite3_column_int64(s, i));
	struct str text = store_column_str(s, i);
	return (struct store_val){.type = type, .s = {text.p ? text.p : "", text.n}};
}

enum ceir_err store_step(struct store_conn *c, sqlite3_stmt *s, const char *what)
{
	int rc = sqlite3_step(s);
	enum ceir_err err = store_fail(c, rc, what);

	sqlite3_reset(s);
	return err;
}

enum ceir_err store_snapshot_begin(struct store_conn *c)
{
	/* A deferred transaction takes its snapshot at the first read. */
	enum ceir_err err = store_exec(c, "BEGIN");
	sqlite3_stmt *s = err ? NULL : store_sql(c, "SELECT count(*) FROM ripple");

	if (!err)
		err = s ? store_step(c, s, "snapshot") : CEIR_ESTORE;
	if (err)
		store_snapshot_end(c);
	return err;
}

void store_snapshot_end(struct store_conn *c)
{
	/* Nothing was written, so either outcome will do; but the connection goes back to the pool and must not stay in the past. */
	if (!sqlite3_get_autocommit(c->db) && store_exec(c, "COMMIT"))
		(void)store_exec(c, "ROLLBACK");
}

/* ---- rows ---- */

/* "SELECT id, code, ... FROM name" */
static void put_select(struct buf *sql, const struct store_table *t)
{
	buf_c(sql, "SELECT ");
	for (int i = 0; i < t->n; i++) {
		buf_c(sql, i ? ", " : "");
		buf_c(sql, t->columns[i].name);
	}
	buf_c(sql, " FROM ");
	buf_c(sql, t->name);
}

#define SQL_MAX 2048

/* Statements of rows are built in place: no allocation on the hot paths. */
struct text {
	char s[SQL_MAX];
	struct buf b;
};

static void text_init(struct text *t)
{
	t->b = (struct buf){.p = t->s, .cap = SQL_MAX - 1, .max = SQL_MAX - 1};
}

static const char *text_end(struct text *t)
{
	CEIR_ASSERT(!t->b.failed && t->b.p == t->s);
	t->s[t->b.n] = '\0';
	return t->s;
}

enum ceir_err store_get(struct store_conn *c, const struct store_table *t, int column, struct store_val value, struct arena *arena,
	struct store_val *row)
{
	struct text sql;
	enum ceir_err err = CEIR_OK;

	text_init(&sql);
	put_select(&sql.b, t);
	buf_c(&sql.b, " WHERE ");
	buf_c(&sql.b, t->columns[column].name);
	buf_c(&sql.b, " = ? LIMIT 1");
	sqlite3_stmt *s = store_sql(c, text_end(&sql));
	if (!s)
		return CEIR_ESTORE;
	store_bind(s, 1, value);
	int rc = sqlite3_step(s);
	if (rc == SQLITE_ROW) {
		for (int i = 0; i < t->n && !err; i++) {
			row[i] = store_column_val(s, i, t->columns[i].type);
			if (!row[i].null && row[i].type != STORE_INT) {
				row[i].s = arena_str(arena, row[i].s);
				err = row[i].s.p ? CEIR_OK : CEIR_ENOMEM;
			}
		}
	} else {
		err = rc == SQLITE_DONE ? CEIR_ENOENT : store_fail(c, rc, t->name);
	}
	sqlite3_reset(s);
	return err;
}

enum ceir_err store_insert(struct store_conn *c, const struct store_table *t, const struct store_val *row, int64_t *id)
{
	struct text sql;

	text_init(&sql);
	buf_c(&sql.b, "INSERT INTO ");
	buf_c(&sql.b, t->name);
	buf_c(&sql.b, " VALUES (");
	for (int i = 0; i < t->n; i++)
		buf_c(&sql.b, i ? ", ?" : "?");
	buf_c(&sql.b, ")");
	sqlite3_stmt *s = store_sql(c, text_end(&sql));
	if (!s)
		return CEIR_ESTORE;
	for (int i = 0; i < t->n; i++)
		store_bind(s, i + 1, row[i]);
	enum ceir_err err = store_step(c, s, t->name);
	if (!err && id)
		*id = sqlite3_last_insert_rowid(c->db);
	return err;
}

enum ceir_err store_update(struct store_conn *c, const struct store_table *t, int64_t id, uint32_t mask, const struct store_val *row)
{
	struct text sql;
	int bound = 0;

	if (!mask)
		return CEIR_OK;
	text_init(&sql);
	buf_c(&sql.b, "UPDATE ");
	buf_c(&sql.b, t->name);
	for (int i = 0; i < t->n; i++)
		if (mask & 1u << i) {
			buf_c(&sql.b, bound++ ? ", " : " SET ");
			buf_c(&sql.b, t->columns[i].name);
			buf_c(&sql.b, " = ?");
		}
	buf_c(&sql.b, " WHERE ");
	buf_c(&sql.b, t->columns[0].name);
	buf_c(&sql.b, " = ?");
	/* Which columns change is up to clients, in hundreds of combinations: beyond the first they do not get into the cache. */
	bool keep = c->cached < STORE_STATEMENTS / 2;
	sqlite3_stmt *s = NULL;
	if (keep)
		s = store_sql(c, text_end(&sql));
	else if (store_fail(c, sqlite3_prepare_v2(c->db, text_end(&sql), -1, &s, NULL), t->name))
		s = NULL;
	if (!s)
		return CEIR_ESTORE;
	bound = 0;
	for (int i = 0; i < t->n; i++)
		if (mask & 1u << i)
			store_bind(s, ++bound, row[i]);
	store_bind(s, ++bound, store_int(id));
	enum ceir_err err = store_step(c, s, t->name);
	if (!keep)
		sqlite3_finalize(s);
	return err ? err : sqlite3_changes(c->db) == 1 ? CEIR_OK : CEIR_ENOENT;
}

enum ceir_err store_delete(struct store_conn *c, const struct store_table *t, int64_t id)
{
	struct text sql;

	text_init(&sql);
	buf_printf(&sql.b, "DELETE FROM %s WHERE %s = ?", t->name, t->columns[0].name);
	sqlite3_stmt *s = store_sql(c, text_end(&sql));
	if (!s)
		return CEIR_ESTORE;
	store_bind(s, 1, store_int(id));
	enum ceir_err err = store_step(c, s, t->name);
	return err ? err : sqlite3_changes(c->db) == 1 ? CEIR_OK : CEIR_ENOENT;
}

enum ceir_err store_add(struct store_conn *c, const struct store_table *t, int64_t id, int column, int64_t delta, int ceiling)
{
	struct text sql;
	const char *col = t->columns[column].name;

	text_init(&sql);
	buf_printf(&sql.b, "UPDATE %s SET %s = %s + ?1 WHERE %s = ?2 AND %s + ?1 <= %s AND %s + ?1 >= 0", t->name, col, col,
		t->columns[0].name, col, t->columns[ceiling].name, col);
	sqlite3_stmt *s = store_sql(c, text_end(&sql));
	if (!s)
		return CEIR_ESTORE;
	store_bind(s, 1, store_int(delta));
	store_bind(s, 2, store_int(id));
	enum ceir_err err = store_step(c, s, t->name);
	return err ? err : sqlite3_changes(c->db) == 1 ? CEIR_OK : CEIR_ERANGE;
}

/* The conditions of a query; values are bound in the same order by bind_where(). */
static void put_where(struct buf *sql, const struct store_query *q)
{
	static const char *const ops[] = {" = ?", " <> ?", " < ?", " <= ?", " > ?", " >= ?"};
	const char *glue = " WHERE ";

	for (size_t i = 0; i < q->n_filters; i++, glue = " AND ") {
		buf_c(sql, glue);
		buf_c(sql, q->table->columns[q->filters[i].column].name);
		buf_c(sql, ops[q->filters[i].op]);
	}
	if (q->after)
		buf_printf(sql, "%s(%s, %s) %s (?, ?)", glue, q->table->columns[q->sort].name, q->table->columns[0].name,
			q->descending ? "<" : ">");
}

static void bind_where(sqlite3_stmt *s, const struct store_query *q)
{
	int bound = 0;

	for (size_t i = 0; i < q->n_filters; i++)
		store_bind(s, ++bound, q->filters[i].value);
	if (q->after) {
		store_bind(s, ++bound, q->after_value);
		store_bind(s, ++bound, store_int(q->after_id));
	}
}

enum ceir_err store_select(struct store_conn *c, const struct store_query *q, store_row row, void *ctx)
{
	struct store_val vals[STORE_MAX_COLUMNS];
	struct text sql;
	const char *order = q->descending ? "DESC" : "ASC";
	sqlite3_stmt *s = NULL;

	text_init(&sql);
	put_select(&sql.b, q->table);
	put_where(&sql.b, q);
	if (q->sort)
		buf_printf(&sql.b, " ORDER BY %s %s, %s %s", q->table->columns[q->sort].name, order, q->table->columns[0].name, order);
	else
		buf_printf(&sql.b, " ORDER BY %s %s", q->table->columns[0].name, order);
	if (q->limit)
		buf_printf(&sql.b, " LIMIT %u", q->limit);
	/* A stranger chooses filters and order of a query, so those statements are not kept. */
	enum ceir_err err = CEIR_OK;
	if (q->keep)
		err = (s = store_sql(c, text_end(&sql))) ? CEIR_OK : CEIR_ESTORE;
	else
		err = store_fail(c, sqlite3_prepare_v2(c->db, text_end(&sql), -1, &s, NULL), q->table->name);
	if (err)
		return err;
	bind_where(s, q);
	int rc;
	while ((rc = sqlite3_step(s)) == SQLITE_ROW && !err) {
		for (int i = 0; i < q->table->n; i++)
			vals[i] = store_column_val(s, i, q->table->columns[i].type);
		err = row(ctx, vals);
	}
	if (!err)
		err = store_fail(c, rc, q->table->name);
	if (q->keep)
		sqlite3_reset(s);
	else
		sqlite3_finalize(s);
	return err;
}

enum ceir_err store_count(struct store_conn *c, const struct store_query *q, uint64_t max, uint64_t *count)
{
	struct text sql;
	sqlite3_stmt *s = NULL;
	struct store_query all = *q;

	all.after = false;
	text_init(&sql);
	buf_printf(&sql.b, "SELECT count(*) FROM (SELECT 1 FROM %s", q->table->name);
	put_where(&sql.b, &all);
	buf_printf(&sql.b, " LIMIT %llu)", (unsigned long long)max);
	enum ceir_err err = store_fail(c, sqlite3_prepare_v2(c->db, text_end(&sql), -1, &s, NULL), q->table->name);
	if (err)
		return err;
	bind_where(s, &all);
	int rc = sqlite3_step(s);
	if (rc == SQLITE_ROW)
		*count = (uint64_t)sqlite3_column_int64(s, 0);
	err = store_fail(c, rc, q->table->name);
	sqlite3_finalize(s);
	return err;
}

enum ceir_err store_mark(struct store_conn *c)
{
	sqlite3_stmt *s = store_sql(c, "SAVEPOINT job");

	return s ? store_step(c, s, "savepoint") : CEIR_ESTORE;
}

enum ceir_err store_unmark(struct store_conn *c, bool keep)
{
	enum ceir_err err = CEIR_OK;
	sqlite3_stmt *s;

	if (!keep) {
		s = store_sql(c, "ROLLBACK TO job");
		err = s ? store_step(c, s, "rollback to savepoint") : CEIR_ESTORE;
		if (!err)
			err = store_heads_load(c); /* the logs' numbers go back with their rows */
	}
	if (!err) {
		s = store_sql(c, "RELEASE job");
		err = s ? store_step(c, s, "release savepoint") : CEIR_ESTORE;
	}
	return err;
}

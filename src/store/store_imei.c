/* store_imei.c - what has its own form: IMEIs, the rows of applications, messages and ripples. The change log is in store_change.c. */
#include <string.h>

#include "store/store_internal.h"

/* ---- IMEIs ---- */

#define IMEI_COLUMNS "imei, verdict, chg, application, device, owner, state"

static void read_imei(sqlite3_stmt *s, struct store_imei *row)
{
	/* A NULL reads as 0, which is what 0 means in the struct. */
	row->imei.n = (uint64_t)sqlite3_column_int64(s, 0);
	row->verdict = (uint16_t)sqlite3_column_int(s, 1);
	row->change = sqlite3_column_int64(s, 2);
	row->application = sqlite3_column_int64(s, 3);
	row->device = (uint64_t)sqlite3_column_int64(s, 4);
	row->owner = sqlite3_column_int64(s, 5);
	row->withdrawn = sqlite3_column_int(s, 6) != 0;
}

enum ceir_err store_imei_get(struct store_conn *c, struct imei imei, struct store_imei *row)
{
	sqlite3_stmt *s = store_sql(c, "SELECT " IMEI_COLUMNS " FROM imei WHERE imei = ?");

	if (!s)
		return CEIR_ESTORE;
	store_bind(s, 1, store_int((int64_t)imei.n));
	int rc = sqlite3_step(s);
	enum ceir_err err = rc == SQLITE_DONE ? CEIR_ENOENT : store_fail(c, rc, "imei");
	if (!err)
		read_imei(s, row);
	sqlite3_reset(s);
	return err;
}

static enum ceir_err put_imei(struct store_conn *c, const char *sql, const struct store_imei *row)
{
	sqlite3_stmt *s = store_sql(c, sql);

	if (!s)
		return CEIR_ESTORE;
	sqlite3_bind_int64(s, 1, (int64_t)row->imei.n);
	sqlite3_bind_int64(s, 2, row->verdict);
	sqlite3_bind_int64(s, 3, row->change);
	store_bind(s, 4, store_int_or_null(row->application));
	store_bind(s, 5, store_int_or_null((int64_t)row->device));
	store_bind(s, 6, store_int_or_null(row->owner));
	store_bind(s, 7, store_int_or_null(row->withdrawn));
	return store_step(c, s, "imei");
}

enum ceir_err store_imei_insert(struct store_conn *c, const struct store_imei *row)
{
	return put_imei(c, "INSERT INTO imei VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)", row);
}

enum ceir_err store_imei_update(struct store_conn *c, const struct store_imei *row)
{
	enum ceir_err err = put_imei(c, "UPDATE imei SET verdict = ?2, chg = ?3, application = ?4, device = ?5, owner = ?6, state = ?7"
		" WHERE imei = ?1", row);

	return err ? err : sqlite3_changes(c->db) == 1 ? CEIR_OK : CEIR_ENOENT;
}

enum ceir_err store_imei_device(struct store_conn *c, uint64_t device, int64_t application, struct imei *out, size_t max, size_t *n)
{
	sqlite3_stmt *s = store_sql(c, "SELECT imei FROM imei WHERE device = ? AND application = ? ORDER BY imei LIMIT ?");
	int rc;

	if (!s)
		return CEIR_ESTORE;
	store_bind(s, 1, store_int((int64_t)device));
	store_bind(s, 2, store_int(application));
	store_bind(s, 3, store_int((int64_t)max));
	for (*n = 0; (rc = sqlite3_step(s)) == SQLITE_ROW; ++*n)
		out[*n].n = (uint64_t)sqlite3_column_int64(s, 0);
	sqlite3_reset(s);
	return store_fail(c, rc, "device");
}

enum ceir_err store_imei_scan(struct store_conn *c, struct imei from, struct imei to, bool descending, uint32_t limit, store_imei_row row,
	void *ctx)
{
	const char *sql = descending ? "SELECT " IMEI_COLUMNS " FROM imei WHERE imei BETWEEN ? AND ? ORDER BY imei DESC LIMIT ?"
		: "SELECT " IMEI_COLUMNS " FROM imei WHERE imei BETWEEN ? AND ? ORDER BY imei LIMIT ?";
	sqlite3_stmt *s = NULL;
	struct store_imei r;
	enum ceir_err err = store_fail(c, sqlite3_prepare_v2(c->db, sql, -1, &s, NULL), "imei scan");
	int rc;

	if (err)
		return err;
	store_bind(s, 1, store_int((int64_t)from.n));
	store_bind(s, 2, store_int((int64_t)to.n));
	store_bind(s, 3, store_int(limit ? (int64_t)limit : -1));
	while ((rc = sqlite3_step(s)) == SQLITE_ROW && !err) {
		read_imei(s, &r);
		err = row(ctx, &r);
	}
	if (!err)
		err = store_fail(c, rc, "imei scan");
	sqlite3_finalize(s);
	return err;
}

enum ceir_err store_imei_verdicts(struct store_conn *c, struct imei from, struct imei to, store_verdict_row row, void *ctx)
{
	sqlite3_stmt *s = store_sql(c, "SELECT imei, verdict FROM imei WHERE imei BETWEEN ? AND ? ORDER BY imei");
	enum ceir_err err = CEIR_OK;
	int rc;

	if (!s)
		return CEIR_ESTORE;
	store_bind(s, 1, store_int((int64_t)from.n));
	store_bind(s, 2, store_int((int64_t)to.n));
	while ((rc = sqlite3_step(s)) == SQLITE_ROW && !err)
		err = row(ctx, (struct imei){(uint64_t)sqlite3_column_int64(s, 0)}, (uint16_t)sqlite3_column_int(s, 1));
	if (!err)
		err = store_fail(c, rc, "verdicts");
	sqlite3_reset(s);
	return err;
}

enum ceir_err store_imei_count(struct store_conn *c, struct imei from, struct imei to, uint64_t max, uint64_t *count)
{
	sqlite3_stmt *s = store_sql(c, "SELECT count(*) FROM (SELECT 1 FROM imei WHERE imei BETWEEN ? AND ? LIMIT ?)");

	if (!s)
		return CEIR_ESTORE;
	store_bind(s, 1, store_int((int64_t)from.n));
	store_bind(s, 2, store_int((int64_t)to.n));
	store_bind(s, 3, store_int((int64_t)max));
	int rc = sqlite3_step(s);
	*count = rc == SQLITE_ROW ? (uint64_t)sqlite3_column_int64(s, 0) : 0;
	sqlite3_reset(s);
	return store_fail(c, rc, "imei count");
}

enum ceir_err store_imei_bounds(struct store_conn *c, struct imei *low, struct imei *high)
{
	sqlite3_stmt *s = store_sql(c, "SELECT (SELECT min(imei) FROM imei), (SELECT max(imei) FROM imei)");

	if (!s)
		return CEIR_ESTORE;
	int rc = sqlite3_step(s);
	enum ceir_err err = store_fail(c, rc, "imei bounds");
	if (!err && sqlite3_column_type(s, 0) == SQLITE_NULL)
		err = CEIR_ENOENT;
	low->n = (uint64_t)sqlite3_column_int64(s, 0);
	high->n = (uint64_t)sqlite3_column_int64(s, 1);
	sqlite3_reset(s);
	return err;
}

/* ---- rows of applications ---- */

enum ceir_err store_part_insert(struct store_conn *c, const struct store_part *p)
{
	sqlite3_stmt *s = store_sql(c, "INSERT INTO application_part VALUES (?, ?, ?, ?, ?, ?)");

	if (!s)
		return CEIR_ESTORE;
	store_bind(s, 1, store_int(p->application));
	store_bind(s, 2, store_int(p->number));
	store_bind(s, 3, store_int(p->first_line));
	store_bind(s, 4, store_int(p->rows));
	store_bind(s, 5, p->results.n ? store_blob(p->results.p, p->results.n) : store_null());
	store_bind(s, 6, store_blob(p->data.p, p->data.n));
	return store_step(c, s, "application part");
}

enum ceir_err store_part_results(struct store_conn *c, int64_t application, int64_t number_, struct str results)
{
	sqlite3_stmt *s = store_sql(c, "UPDATE application_part SET results = ? WHERE application = ? AND number = ?");

	if (!s)
		return CEIR_ESTORE;
	store_bind(s, 1, store_blob(results.p, results.n));
	store_bind(s, 2, store_int(application));
	store_bind(s, 3, store_int(number_));
	enum ceir_err err = store_step(c, s, "application results");
	return err ? err : sqlite3_changes(c->db) == 1 ? CEIR_OK : CEIR_ENOENT;
}

enum ceir_err store_part_get(struct store_conn *c, int64_t application, int64_t number_, struct arena *a, struct store_part *out)
{
	sqlite3_stmt *s = store_sql(c, "SELECT first_line, rows, results, data FROM application_part WHERE application = ? AND number = ?");

	if (!s)
		return CEIR_ESTORE;
	store_bind(s, 1, store_int(application));
	store_bind(s, 2, store_int(number_));
	int rc = sqlite3_step(s);
	enum ceir_err err = rc == SQLITE_DONE ? CEIR_ENOENT : store_fail(c, rc, "application part");
	if (!err) {
		*out = (struct store_part){.application = application, .number = number_, .first_line = sqlite3_column_int64(s, 0),
			.rows = sqlite3_column_int64(s, 1), .results = arena_str(a, store_column_str(s, 2)),
			.data = arena_str(a, store_column_str(s, 3))};
		if (!out->results.p || !out->data.p)
			err = CEIR_ENOMEM;
	}
	sqlite3_reset(s);
	return err;
}

enum ceir_err store_part_find(struct store_conn *c, int64_t application, int64_t line, int64_t *number_)
{
	/* The last part that begins at or before the line: one step down the index, however many parts there are. */
	sqlite3_stmt *s = store_sql(c, "SELECT number, first_line + rows FROM application_part WHERE application = ? AND number <= ?"
		" ORDER BY number DESC LIMIT 1");

	if (!s)
		return CEIR_ESTORE;
	store_bind(s, 1, store_int(application));
	store_bind(s, 2, store_int(line));
	int rc = sqlite3_step(s);
	enum ceir_err err = rc == SQLITE_DONE ? CEIR_ENOENT : store_fail(c, rc, "application part");
	if (!err && line >= sqlite3_column_int64(s, 1))
		err = CEIR_ENOENT;
	else if (!err)
		*number_ = sqlite3_column_int64(s, 0);
	sqlite3_reset(s);
	return err;
}

/* ---- messages ---- */

enum ceir_err store_message_put(struct store_conn *c, const struct store_message *m)
{
	sqlite3_stmt *s = store_sql(c, "INSERT INTO message(account, at, kind, a0, a1, a2, a3) VALUES (?, ?, ?, ?, ?, ?, ?)");

	if (!s)
		return CEIR_ESTORE;
	store_bind(s, 1, store_int(m->account));
	store_bind(s, 2, store_int(m->at_us));
	store_bind(s, 3, store_int(m->kind));
	for (size_t i = 0; i < CEIR_COUNT(m->args); i++)
		store_bind(s, 4 + (int)i, i < m->n_args ? store_text(m->args[i]) : store_null());
	return store_step(c, s, "message");
}

static enum ceir_err message_count(struct store_conn *c, int64_t account, uint64_t *count)
{
	sqlite3_stmt *s = store_sql(c, "SELECT count(*) FROM message WHERE account = ?");

	if (!s)
		return CEIR_ESTORE;
	store_bind(s, 1, store_int(account));
	int rc = sqlite3_step(s);
	*count = rc == SQLITE_ROW ? (uint64_t)sqlite3_column_int64(s, 0) : 0;
	sqlite3_reset(s);
	return store_fail(c, rc, "message count");
}

enum ceir_err store_message_first(struct store_conn *c, int64_t account, struct arena *a, struct store_message *out, uint64_t *count)
{
	sqlite3_stmt *s = store_sql(c, "SELECT id, at, kind, a0, a1, a2, a3 FROM message WHERE account = ? ORDER BY id LIMIT 1");
	enum ceir_err err = message_count(c, account, count);

	if (err || !s)
		return err ? err : CEIR_ESTORE;
	store_bind(s, 1, store_int(account));
	int rc = sqlite3_step(s);
	err = rc == SQLITE_DONE ? CEIR_ENOENT : store_fail(c, rc, "message");
	if (!err) {
		*out = (struct store_message){.id = sqlite3_column_int64(s, 0), .account = account, .at_us = sqlite3_column_int64(s, 1),
			.kind = sqlite3_column_int64(s, 2)};
		while (out->n_args < CEIR_COUNT(out->args) && sqlite3_column_type(s, 3 + (int)out->n_args) != SQLITE_NULL) {
			out->args[out->n_args] = arena_str(a, store_column_str(s, 3 + (int)out->n_args));
			err = out->args[out->n_args++].p ? err : CEIR_ENOMEM;
		}
	}
	sqlite3_reset(s);
	return err;
}

enum ceir_err store_message_ack(struct store_conn *c, int64_t account, int64_t id, uint64_t *left)
{
	sqlite3_stmt *s = store_sql(c, "DELETE FROM message WHERE id = ? AND account = ?");

	if (!s)
		return CEIR_ESTORE;
	store_bind(s, 1, store_int(id));
	store_bind(s, 2, store_int(account));
	enum ceir_err err = store_step(c, s, "message");
	if (!err && sqlite3_changes(c->db) != 1)
		err = CEIR_ENOENT;
	return err ? err : message_count(c, account, left);
}

/* ---- ripples ---- */

enum ceir_err store_ripple_put(struct store_conn *c, const struct store_ripple *r)
{
	sqlite3_stmt *s = store_sql(c, "INSERT INTO ripple(kind, code, application, part, tx) VALUES (?, ?, ?, ?, ?)");

	if (!s)
		return CEIR_ESTORE;
	store_bind(s, 1, store_int(r->kind));
	store_bind(s, 2, store_text(r->code));
	store_bind(s, 3, store_int(r->application));
	store_bind(s, 4, store_int(r->part));
	store_bind(s, 5, store_int(r->transaction));
	return store_step(c, s, "ripple");
}

enum ceir_err store_ripple_first(struct store_conn *c, struct arena *a, struct store_ripple *out)
{
	sqlite3_stmt *s = store_sql(c, "SELECT id, kind, code, application, part, tx FROM ripple ORDER BY id LIMIT 1");

	if (!s)
		return CEIR_ESTORE;
	int rc = sqlite3_step(s);
	enum ceir_err err = rc == SQLITE_DONE ? CEIR_ENOENT : store_fail(c, rc, "ripple");
	if (!err) {
		*out = (struct store_ripple){.id = sqlite3_column_int64(s, 0), .kind = sqlite3_column_int64(s, 1),
			.code = arena_str(a, store_column_str(s, 2)), .application = sqlite3_column_int64(s, 3),
			.part = sqlite3_column_int64(s, 4), .transaction = sqlite3_column_int64(s, 5)};
		err = out->code.p ? CEIR_OK : CEIR_ENOMEM;
	}
	sqlite3_reset(s);
	return err;
}

enum ceir_err store_ripple_step(struct store_conn *c, int64_t id, int64_t application, int64_t part)
{
	sqlite3_stmt *s = store_sql(c, "UPDATE ripple SET application = ?, part = ? WHERE id = ?");

	if (!s)
		return CEIR_ESTORE;
	store_bind(s, 1, store_int(application));
	store_bind(s, 2, store_int(part));
	store_bind(s, 3, store_int(id));
	return store_step(c, s, "ripple");
}

enum ceir_err store_ripple_done(struct store_conn *c, int64_t id)
{
	sqlite3_stmt *s = store_sql(c, "DELETE FROM ripple WHERE id = ?");

	if (!s)
		return CEIR_ESTORE;
	store_bind(s, 1, store_int(id));
	return store_step(c, s, "ripple");
}

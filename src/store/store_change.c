/*
 * store_change.c - the change log: every change of a verdict under a number, without gaps, for ever. What comes alone is a row of the
 * table `change`, what a classification changes stands in packed blocks (store_change_block.c). Rows and blocks share the numbers: none
 * is in both, and together they are 1..last.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <zstd.h>

#include "store/store_change.h"

#define BLOCK_LEAST 64 /* fewer are rows */
#define LEVEL 1

/* ---- writing ---- */

int64_t store_change_next(const struct store_conn *c)
{
	return c->change_seq + 1;
}

enum ceir_err store_change_append(struct store_conn *c, const struct store_change *change, int64_t *seq)
{
	sqlite3_stmt *s = store_sql(c, "INSERT INTO change(seq, imei, verdict, at, tx, scope, before, record) VALUES (?, ?, ?, ?, ?, ?, ?, ?)");
	uint8_t record[STORE_CHANGE_BYTES];

	if (!s)
		return CEIR_ESTORE;
	sqlite3_bind_int64(s, 1, c->change_seq + 1);
	sqlite3_bind_int64(s, 2, (int64_t)change->imei.n);
	sqlite3_bind_int64(s, 3, change->verdict);
	sqlite3_bind_int64(s, 4, change->at_s);
	sqlite3_bind_int64(s, 5, change->transaction);
	store_bind(s, 6, store_int_or_null(change->scope));
	store_bind(s, 7, store_int_or_null(change->before));
	store_bind(s, 8, change->has_record ? store_blob(record, (size_t)(store_class_put(record, &change->record) - record)) : store_null());
	enum ceir_err err = store_step(c, s, "change");
	if (!err)
		*seq = ++c->change_seq;
	return err;
}

/* The next n changes. */
static enum ceir_err put_block(struct store_conn *c, size_t n, int64_t at_s, int64_t tx, const uint8_t *data, size_t size)
{
	sqlite3_stmt *s = store_sql(c, "INSERT INTO change_block VALUES (?, ?, ?, ?, ?)");

	if (!s)
		return CEIR_ESTORE;
	sqlite3_bind_int64(s, 1, c->change_seq + 1);
	sqlite3_bind_int64(s, 2, (int64_t)n);
	sqlite3_bind_int64(s, 3, at_s);
	sqlite3_bind_int64(s, 4, tx);
	store_bind(s, 5, store_blob(data, size));
	enum ceir_err err = store_step(c, s, "block of changes");
	if (!err)
		c->change_seq += (int64_t)n;
	return err;
}

static enum ceir_err append_each(struct store_conn *c, const struct store_change *changes, size_t n)
{
	enum ceir_err err = CEIR_OK;
	int64_t seq;

	for (size_t i = 0; i < n && !err; i++) {
		struct store_change one = changes[i];

		one.at_s = changes[0].at_s;
		one.transaction = changes[0].transaction;
		err = store_change_append(c, &one, &seq);
	}
	return err;
}

enum ceir_err store_change_bulk(struct store_conn *c, const struct store_change *changes, size_t n, int64_t *first)
{
	size_t room = ZSTD_compressBound(STORE_BLOCK_BYTES), size;
	ZSTD_CCtx *z = NULL;
	uint8_t *raw = NULL;
	enum ceir_err err = CEIR_OK;

	for (size_t i = 0; i < n; i++)
		CEIR_ASSERT(changes[i].scope != STORE_SCOPE_TAC);
	*first = c->change_seq + 1;
	if (n < BLOCK_LEAST)
		return append_each(c, changes, n);
	z = ZSTD_createCCtx();
	raw = malloc(STORE_BLOCK_BYTES + room);
	if (!z || !raw || ZSTD_isError(ZSTD_CCtx_setParameter(z, ZSTD_c_checksumFlag, 1))
		|| ZSTD_isError(ZSTD_CCtx_setParameter(z, ZSTD_c_compressionLevel, LEVEL)))
		err = CEIR_ENOMEM;
	for (size_t at = 0, k; at < n && !err; at += k) {
		k = n - at < STORE_BLOCK_CHANGES ? n - at : STORE_BLOCK_CHANGES;
		size = ZSTD_compress2(z, raw + STORE_BLOCK_BYTES, room, raw, store_block_pack(changes + at, k, c->change_seq + 1, raw));
		err = ZSTD_isError(size) ? CEIR_ENOMEM
			: put_block(c, k, changes[0].at_s, changes[0].transaction, raw + STORE_BLOCK_BYTES, size);
	}
	free(raw);
	ZSTD_freeCCtx(z);
	return err;
}

/* ---- reading ---- */

/* The block in the present row: first, n, at, tx, data. */
static enum ceir_err read_block(sqlite3_stmt *s, struct store_block *b)
{
	b->first = sqlite3_column_int64(s, 0);
	b->n = sqlite3_column_int64(s, 1);
	b->at_s = sqlite3_column_int64(s, 2);
	b->tx = sqlite3_column_int64(s, 3);
	if (store_block_unpack(b, store_column_str(s, 4)))
		return CEIR_OK;
	log_error("store", "change log: the block of changes that begins with number %" PRId64 " is damaged", b->first);
	return CEIR_ECORRUPT;
}

#define ROW_COLUMNS "seq, imei, verdict, at, tx, scope, before, record"

static enum ceir_err read_row(sqlite3_stmt *s, struct store_change *out)
{
	struct str record = store_column_str(s, 7);
	struct store_packed r = {(const uint8_t *)record.p, (const uint8_t *)record.p + record.n, false};

	*out = (struct store_change){.seq = sqlite3_column_int64(s, 0), .imei.n = (uint64_t)sqlite3_column_int64(s, 1),
		.verdict = (uint16_t)sqlite3_column_int(s, 2), .at_s = sqlite3_column_int64(s, 3), .transaction = sqlite3_column_int64(s, 4),
		.scope = (enum store_scope)sqlite3_column_int(s, 5), .before = (uint16_t)sqlite3_column_int(s, 6), .has_record = record.n > 0};
	if (!out->has_record)
		return CEIR_OK;
	store_class_get(&r, &out->record);
	if (!r.bad && r.p == r.end)
		return CEIR_OK;
	log_error("store", "change log: the record of change %" PRId64 " is damaged", out->seq);
	return CEIR_ECORRUPT;
}

static enum ceir_err get_from_block(struct store_conn *c, int64_t seq, struct store_change *out)
{
	sqlite3_stmt *s = store_sql(c, "SELECT first, n, at, tx, data FROM change_block WHERE first <= ? ORDER BY first DESC LIMIT 1");
	struct store_block b;
	enum ceir_err err = s ? store_block_new(&b) : CEIR_ESTORE;

	if (!s)
		return err;
	store_bind(s, 1, store_int(seq));
	int rc = err ? SQLITE_DONE : sqlite3_step(s);
	if (!err && (rc == SQLITE_DONE || (rc == SQLITE_ROW && seq >= sqlite3_column_int64(s, 0) + sqlite3_column_int64(s, 1))))
		err = CEIR_ENOENT;
	else if (!err)
		err = store_fail(c, rc, "change");
	if (!err)
		err = read_block(s, &b);
	if (!err)
		*out = b.changes[seq - b.first];
	sqlite3_reset(s);
	store_block_free(&b);
	return err;
}

enum ceir_err store_change_get(struct store_conn *c, int64_t seq, struct store_change *out)
{
	sqlite3_stmt *s = store_sql(c, "SELECT " ROW_COLUMNS " FROM change WHERE seq = ?");

	if (!s)
		return CEIR_ESTORE;
	store_bind(s, 1, store_int(seq));
	int rc = sqlite3_step(s);
	enum ceir_err err = rc == SQLITE_DONE ? CEIR_ENOENT : store_fail(c, rc, "change");
	if (!err)
		err = read_row(s, out);
	sqlite3_reset(s);
	return err == CEIR_ENOENT ? get_from_block(c, seq, out) : err;
}

/* ---- scanning: rows and blocks merged by number ---- */

struct scan {
	struct store_conn *c;
	sqlite3_stmt *rows, *blocks; /* each before its next, or NULL when there are no more */
	int64_t after, upto;
	struct store_block block;
	store_change_item item;
	void *ctx;
};

static enum ceir_err prepare(struct scan *s, const char *sql, int64_t from, sqlite3_stmt **out)
{
	enum ceir_err err = store_fail(s->c, sqlite3_prepare_v2(s->c->db, sql, -1, out, NULL), "changes");

	if (!err) {
		store_bind(*out, 1, store_int(from));
		store_bind(*out, 2, store_int(s->upto));
	}
	return err;
}

/* One step; the statement is closed and NULL when there are no more. */
static enum ceir_err next(struct scan *s, sqlite3_stmt **stmt)
{
	int rc = sqlite3_step(*stmt);
	enum ceir_err err = store_fail(s->c, rc, "changes");

	if (rc != SQLITE_ROW) {
		sqlite3_finalize(*stmt);
		*stmt = NULL;
	}
	return err;
}

static enum ceir_err take_row(struct scan *s)
{
	struct store_change change;
	enum ceir_err err = read_row(s->rows, &change);

	if (!err && change.seq != s->after + 1)
		err = CEIR_ECORRUPT;
	if (!err)
		err = s->item(s->ctx, &change);
	s->after++;
	return err ? err : next(s, &s->rows);
}

static enum ceir_err take_block(struct scan *s)
{
	enum ceir_err err = read_block(s->blocks, &s->block);

	if (!err && (s->block.first > s->after + 1 || s->block.first + s->block.n <= s->after + 1))
		err = CEIR_ECORRUPT;
	for (int64_t i = s->after + 1 - s->block.first; !err && i < s->block.n && s->block.first + i <= s->upto; i++) {
		err = s->item(s->ctx, &s->block.changes[i]);
		s->after++;
	}
	return err ? err : next(s, &s->blocks);
}

enum ceir_err store_change_scan(struct store_conn *c, int64_t after, int64_t upto, store_change_item item, void *ctx)
{
	struct scan s = {.c = c, .after = after < 0 ? 0 : after, .upto = upto > 0 ? upto : INT64_MAX, .item = item, .ctx = ctx};
	enum ceir_err err = store_block_new(&s.block);

	if (!err)
		err = prepare(&s, "SELECT " ROW_COLUMNS " FROM change WHERE seq > ? AND seq <= ? ORDER BY seq", s.after, &s.rows);
	/* The block that holds the first number wanted may begin before it; one step down the index finds it. */
	if (!err)
		err = prepare(&s, "SELECT first, n, at, tx, data FROM change_block WHERE first >= coalesce((SELECT first FROM change_block"
			" WHERE first <= ?1 + 1 AND first + n > ?1 + 1 ORDER BY first DESC LIMIT 1), ?1 + 1) AND first <= ?2 ORDER BY first",
			s.after, &s.blocks);
	if (!err)
		err = next(&s, &s.rows);
	if (!err)
		err = next(&s, &s.blocks);
	while (!err && (s.rows || s.blocks)) {
		bool block = s.blocks && (!s.rows || sqlite3_column_int64(s.blocks, 0) < sqlite3_column_int64(s.rows, 0));

		err = block ? take_block(&s) : take_row(&s);
	}
	sqlite3_finalize(s.rows);
	sqlite3_finalize(s.blocks);
	store_block_free(&s.block);
	return err;
}

enum ceir_err store_change_tacs(struct store_conn *c, store_change_row row, void *ctx)
{
	/* Of a GROUP BY with one max(), SQLite takes the other columns from the row that has it. Blocks hold no TACs. */
	sqlite3_stmt *s = store_sql(c, "SELECT max(seq), imei, verdict FROM change WHERE scope = 1 GROUP BY imei");
	enum ceir_err err = CEIR_OK;
	int rc = SQLITE_DONE;

	if (!s)
		return CEIR_ESTORE;
	while (!err && (rc = sqlite3_step(s)) == SQLITE_ROW) {
		struct store_change change = {.seq = sqlite3_column_int64(s, 0), .scope = STORE_SCOPE_TAC,
			.imei.n = (uint64_t)sqlite3_column_int64(s, 1), .verdict = (uint16_t)sqlite3_column_int(s, 2)};

		err = row(ctx, &change);
	}
	sqlite3_reset(s);
	return err ? err : store_fail(c, rc, "changes of TACs");
}

/* One integer of a statement without parameters. */
static enum ceir_err number(struct store_conn *c, const char *sql, int64_t *n)
{
	sqlite3_stmt *s = store_sql(c, sql);

	if (!s)
		return CEIR_ESTORE;
	int rc = sqlite3_step(s);
	*n = rc == SQLITE_ROW ? sqlite3_column_int64(s, 0) : 0;
	sqlite3_reset(s);
	return store_fail(c, rc, sql);
}

enum ceir_err store_change_last(struct store_conn *c, int64_t *seq)
{
	/* Two steps down two indexes. */
	return number(c, "SELECT max(coalesce((SELECT max(seq) FROM change), 0),"
		" coalesce((SELECT first + n - 1 FROM change_block ORDER BY first DESC LIMIT 1), 0))", seq);
}

/* ---- verify ---- */

/* Faults of one kind shown; more say nothing new. */
#define SHOWN 20

/*
 * A change of an IMEI that the register has a row of is made through that row, which names it as its last: a block holds such
 * changes of IMEIs that had no row at that time only.
 */
static enum ceir_err check_rows(struct store_conn *c, const struct store_block *b, store_report report, void *ctx, unsigned *faults)
{
	sqlite3_stmt *s = store_sql(c, "SELECT chg FROM imei WHERE imei = ?");
	enum ceir_err err = s ? CEIR_OK : CEIR_ESTORE;
	char line[160];

	for (int64_t i = 0; i < b->n && !err; i++) {
		if (b->changes[i].scope != STORE_SCOPE_IMEI || b->changes[i].imei.n > IMEI_MAX)
			continue;
		store_bind(s, 1, store_int((int64_t)b->changes[i].imei.n));
		int rc = sqlite3_step(s);
		err = store_fail(c, rc, "imei");
		if (rc == SQLITE_ROW && sqlite3_column_int64(s, 0) < b->changes[i].seq && (*faults)++ < SHOWN) {
			snprintf(line, sizeof line, "change behind the one its IMEI names as the last: %" PRId64, b->changes[i].seq);
			report(ctx, line);
		}
		sqlite3_reset(s);
	}
	return err;
}

enum ceir_err store_change_verify(struct store_conn *c, store_report report, void *ctx, bool *faulty)
{
	sqlite3_stmt *s = store_sql(c, "SELECT first, n, at, tx, data FROM change_block ORDER BY first");
	struct store_block b;
	char line[160];
	unsigned faults = 0;
	int64_t imeis;
	enum ceir_err err = s ? number(c, "SELECT count(*) FROM (SELECT 1 FROM imei LIMIT 1)", &imeis) : CEIR_ESTORE;
	int rc = SQLITE_DONE;

	if (err)
		return err;
	err = store_block_new(&b);
	while (!err && (rc = sqlite3_step(s)) == SQLITE_ROW) {
		err = read_block(s, &b);
		if (!err && imeis)
			err = check_rows(c, &b, report, ctx, &faults);
		if (err != CEIR_ECORRUPT)
			continue;
		/* It is named, and the others are looked at. */
		err = CEIR_OK;
		if (faults++ < SHOWN) {
			snprintf(line, sizeof line, "change log: damaged block of changes, which begins with number: %" PRId64, b.first);
			report(ctx, line);
		}
	}
	sqlite3_reset(s);
	store_block_free(&b);
	*faulty |= faults > 0;
	return err ? err : store_fail(c, rc, "blocks of changes");
}

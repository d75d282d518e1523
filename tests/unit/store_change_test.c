/*
 * The change log: rows and packed blocks under one sequence of numbers, against a plain array; what is damaged or missing is named; and
 * a register of the version before is brought up to date.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <sqlite3.h>

#include "store/store.h"

#include "test_amount.h"
#include "test_folder.h"

struct fixture {
	char dir[48], path[72];
	struct store *store;
	struct store_conn *db;        /* a reader */
	struct store_change *model;   /* what must stand in the log */
	size_t n;
};

static void open_(struct fixture *f)
{
	assert_int_equal(store_open(f->path, 1 << 20, &f->store), CEIR_OK);
	f->db = store_reader(f->store);
	assert_non_null(f->db);
}

static void close_(struct fixture *f)
{
	store_reader_done(f->store, f->db);
	store_close(f->store);
}

static int make(void **state)
{
	struct fixture *f = calloc(1, sizeof *f);

	assert_non_null(f);
	log_setup(stderr, false, LOG_ERROR_);
	assert_true(test_folder(f->dir, sizeof f->dir, "ceir-change"));
	snprintf(f->path, sizeof f->path, "%s/ceir.db", f->dir);
	assert_int_equal(store_create(f->path), CEIR_OK);
	f->model = calloc(200000, sizeof *f->model);
	assert_non_null(f->model);
	open_(f);
	*state = f;
	return 0;
}

static int destroy(void **state)
{
	struct fixture *f = *state;
	char command[80];

	close_(f);
	snprintf(command, sizeof command, "rm -r %s", f->dir);
	assert_int_equal(system(command), 0);
	free(f->model);
	free(f);
	return 0;
}

static void sql(const struct fixture *f, const char *text)
{
	sqlite3 *db;

	assert_int_equal(sqlite3_open(f->path, &db), SQLITE_OK);
	if (sqlite3_exec(db, text, NULL, NULL, NULL) != SQLITE_OK)
		fail_msg("%s: %s", text, sqlite3_errmsg(db));
	sqlite3_close(db);
}

static int64_t sql_number(const struct fixture *f, const char *text)
{
	sqlite3 *db;
	sqlite3_stmt *s;

	assert_int_equal(sqlite3_open(f->path, &db), SQLITE_OK);
	assert_int_equal(sqlite3_prepare_v2(db, text, -1, &s, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_step(s), SQLITE_ROW);
	int64_t n = sqlite3_column_int64(s, 0);
	sqlite3_finalize(s);
	sqlite3_close(db);
	return n;
}

static uint64_t random_(void)
{
	static uint64_t x = 88172645463325252u;

	x ^= x << 13;
	x ^= x >> 7;
	return x ^= x << 17;
}

/* ---- writing ---- */

struct piece {
	struct fixture *f;
	size_t n;
	bool bulk;
};

static enum ceir_err write_piece(struct store_conn *c, void *arg)
{
	struct piece *p = arg;
	struct fixture *f = p->f;
	int64_t first = store_change_next(c), seq;
	enum ceir_err err = CEIR_OK;

	assert_int_equal(first, (int64_t)f->n + 1);
	if (p->bulk)
		err = store_change_bulk(c, f->model + f->n, p->n, &seq);
	for (size_t i = 0; !p->bulk && i < p->n && !err; i++)
		err = store_change_append(c, &f->model[f->n + i], &seq);
	if (p->n && p->bulk)
		assert_int_equal(seq, first);
	assert_int_equal(store_change_next(c), first + (int64_t)p->n);
	return err;
}

static void put(struct fixture *f, size_t n, bool bulk)
{
	struct piece p = {f, n, bulk};
	struct store_job job = {.run = write_piece, .arg = &p};

	assert_int_equal(store_run(f->store, &job), CEIR_OK);
	f->n += n;
}

/* n changes behind those of the model: like a classification (ascending, few kinds) or of every form there is. */
static void invent(struct fixture *f, size_t n, bool wild)
{
	uint64_t imei = 35000000000000u + random_() % 1000000000u;
	int64_t at = (int64_t)(1790000000 + random_() % 1000), tx = (int64_t)f->n + 1;

	for (size_t i = 0; i < n; i++) {
		struct store_change *c = &f->model[f->n + i];

		imei += 1 + random_() % 300;
		*c = (struct store_change){.seq = (int64_t)(f->n + i) + 1, .imei.n = imei, .verdict = (uint16_t)(random_() % 8 ? 0x3e : 0x3f),
			.before = 0, .has_record = true, .record = {.mask = 1u << random_() % 3, .since_day = 20782, .block_day = 20872}, .at_s = at,
			.transaction = tx};
		if (!wild)
			continue;
		c->scope = (enum store_scope)(random_() % 2 * 2 + random_() % 2); /* any but that of a TAC */
		if (c->scope == STORE_SCOPE_TAC)
			c->scope = STORE_SCOPE_IMEI;
		c->imei.n = random_() >> random_() % 64;
		c->verdict = (uint16_t)random_();
		c->before = (uint16_t)random_();
		c->has_record = random_() % 2;
		c->record = (struct store_class){0};
		if (c->has_record)
			c->record = (struct store_class){(uint32_t)random_(), (int32_t)random_(), (int32_t)random_(), (int32_t)random_(), random_(), random_(),
				(uint32_t)random_()};
	}
}

/* ---- reading ---- */

static void assert_same(const struct store_change *a, const struct store_change *b)
{
	assert_int_equal(a->seq, b->seq);
	assert_int_equal(a->scope, b->scope);
	assert_true(a->imei.n == b->imei.n);
	assert_int_equal(a->verdict, b->verdict);
	assert_int_equal(a->before, b->before);
	assert_int_equal(a->at_s, b->at_s);
	assert_int_equal(a->transaction, b->transaction);
	assert_int_equal(a->has_record, b->has_record);
	assert_int_equal(a->record.mask, b->record.mask);
	assert_int_equal(a->record.was_mask, b->record.was_mask);
	assert_int_equal(a->record.since_day, b->record.since_day);
	assert_int_equal(a->record.block_day, b->record.block_day);
	assert_int_equal(a->record.resolved_day, b->record.resolved_day);
	assert_true(a->record.genuine_imsi == b->record.genuine_imsi && a->record.genuine_msisdn == b->record.genuine_msisdn);
}

struct walk {
	struct fixture *f;
	size_t at, n;
};

static enum ceir_err walk(void *ctx, const struct store_change *c)
{
	struct walk *w = ctx;

	assert_true(w->at < w->f->n);
	assert_same(c, &w->f->model[w->at++]);
	w->n++;
	return CEIR_OK;
}

static void assert_scan(struct fixture *f, int64_t after, int64_t upto)
{
	struct walk w = {f, (size_t)after, 0};
	size_t end = upto && (size_t)upto < f->n ? (size_t)upto : f->n;

	assert_int_equal(store_change_scan(f->db, after, upto, walk, &w), CEIR_OK);
	assert_int_equal(w.n, end > (size_t)after ? end - (size_t)after : 0);
}

static void no_line(void *ctx, const char *line)
{
	(void)ctx;
	fail_msg("%s", line);
}

static void against_an_array(void **state)
{
	struct fixture *f = *state;
	static const size_t sizes[] = {0, 1, 63, 64, 65, 1000, 16383, 16384, 16385, 40000, 3, 500, 7};
	struct store_change c;
	int64_t last;

	for (size_t i = 0; i < CEIR_COUNT(sizes); i++) {
		invent(f, sizes[i], i % 2);
		put(f, sizes[i], true);
		invent(f, 1 + i % 5, true);
		put(f, 1 + i % 5, false);
	}
	assert_int_equal(store_change_last(f->db, &last), CEIR_OK);
	assert_int_equal(last, f->n);
	assert_true(sql_number(f, "SELECT count(*) FROM change_block") >= 9);
	for (int i = 0; i < 300; i++) {
		int64_t seq = 1 + (int64_t)(random_() % f->n);

		assert_int_equal(store_change_get(f->db, seq, &c), CEIR_OK);
		assert_same(&c, &f->model[seq - 1]);
	}
	assert_int_equal(store_change_get(f->db, 0, &c), CEIR_ENOENT);
	assert_int_equal(store_change_get(f->db, (int64_t)f->n + 1, &c), CEIR_ENOENT);
	assert_scan(f, 0, 0);
	assert_scan(f, (int64_t)f->n, 0);
	for (int i = 0; i < TEST_AMOUNT(40, 8); i++)
		assert_scan(f, (int64_t)(random_() % f->n), (int64_t)(random_() % f->n));
	/* After a restart the numbers go on. */
	close_(f);
	open_(f);
	invent(f, 100, true);
	put(f, 100, true);
	assert_scan(f, (int64_t)f->n - 200, 0);
}

static enum ceir_err taken_back(struct store_conn *c, void *arg)
{
	struct fixture *f = arg;
	int64_t first = store_change_next(c), seq;

	assert_int_equal(store_mark(c), CEIR_OK);
	assert_int_equal(store_change_bulk(c, f->model, 20000, &seq), CEIR_OK);
	assert_int_equal(store_unmark(c, false), CEIR_OK);
	assert_int_equal(store_change_next(c), first);
	return CEIR_OK;
}

static void taken_back_blocks_leave_no_gap(void **state)
{
	struct fixture *f = *state;
	struct store_job job = {.run = taken_back, .arg = f};

	invent(f, 20000, false);
	put(f, 20000, true);
	assert_int_equal(store_run(f->store, &job), CEIR_OK);
	invent(f, 20000, false);
	put(f, 20000, true);
	assert_scan(f, 0, 0);
	sql(f, "INSERT INTO audit(seq, at, verb, code, request, response, hash) VALUES (30000, 1, 'query', 1000, x'', x'', x'')");
	assert_int_equal(store_verify(f->db, no_line, NULL), CEIR_OK);
}

static enum ceir_err stop_at_third(void *ctx, const struct store_change *c)
{
	++*(int *)ctx;
	return c->seq == 3 ? CEIR_ELIMIT : CEIR_OK;
}

static void a_callback_stops_the_scan(void **state)
{
	struct fixture *f = *state;
	int n = 0;

	invent(f, 1000, false);
	put(f, 1000, true);
	assert_int_equal(store_change_scan(f->db, 0, 0, stop_at_third, &n), CEIR_ELIMIT);
	assert_int_equal(n, 3);
}

static void size_on_disk(void **state)
{
	struct fixture *f = *state;

	invent(f, 160000, false);
	put(f, 160000, true);
	double bytes = (double)sql_number(f, "SELECT sum(length(data)) FROM change_block") / 160000;
	print_message("%.2f bytes a change\n", bytes);
	assert_true(bytes < 6);
}

/* ---- damage ---- */

struct lines {
	char last[200];
	unsigned n;
};

static void note_line(void *ctx, const char *line)
{
	struct lines *l = ctx;

	snprintf(l->last, sizeof l->last, "%s", line);
	l->n++;
}

static enum ceir_err ignore(void *ctx, const struct store_change *c)
{
	(void)ctx;
	(void)c;
	return CEIR_OK;
}

/* Three blocks of 1000, the second changed by this SQL: reading it fails, the others are there, verify says which. */
static void damage(struct fixture *f, const char *text)
{
	struct store_change c;
	struct lines l = {.n = 0};

	sql(f, text);
	assert_int_equal(store_change_get(f->db, 500, &c), CEIR_OK);
	assert_same(&c, &f->model[499]);
	assert_int_equal(store_change_get(f->db, 1500, &c), CEIR_ECORRUPT);
	assert_int_equal(store_change_get(f->db, 2500, &c), CEIR_OK);
	assert_int_equal(store_change_scan(f->db, 0, 0, ignore, NULL), CEIR_ECORRUPT);
	assert_scan(f, 2000, 0);
	assert_int_equal(store_verify(f->db, note_line, &l), CEIR_ECORRUPT);
	assert_non_null(strstr(l.last, "damaged block of changes, which begins with number: 1001"));
	sql(f, "UPDATE change_block SET data = (SELECT data FROM good) WHERE first = 1001");
}

/* Bits of one byte of the second block. */
static void flip(const struct fixture *f, int at, unsigned bits)
{
	sqlite3 *db;
	sqlite3_blob *blob;
	unsigned char byte;

	assert_int_equal(sqlite3_open(f->path, &db), SQLITE_OK);
	assert_int_equal(sqlite3_blob_open(db, "main", "change_block", "data", 1001, 1, &blob), SQLITE_OK);
	assert_int_equal(sqlite3_blob_read(blob, &byte, 1, at), SQLITE_OK);
	byte ^= (unsigned char)bits;
	assert_int_equal(sqlite3_blob_write(blob, &byte, 1, at), SQLITE_OK);
	assert_int_equal(sqlite3_blob_close(blob), SQLITE_OK);
	sqlite3_close(db);
}

static void damaged_blocks(void **state)
{
	struct fixture *f = *state;
	for (int i = 0; i < 3; i++) {
		invent(f, 1000, true);
		put(f, 1000, true);
	}
	sql(f, "CREATE TABLE good(data); INSERT INTO good SELECT data FROM change_block WHERE first = 1001");
	int64_t size = sql_number(f, "SELECT length(data) FROM good");
	FILE *nowhere = fopen("/dev/null", "w");
	log_setup(nowhere, false, LOG_ERROR_); /* each damage is told a dozen times */
	damage(f, "UPDATE change_block SET data = x'' WHERE first = 1001");
	damage(f, "UPDATE change_block SET data = substr(data, 1, length(data) - 1) WHERE first = 1001");
	/* A good block, but of other numbers. */
	damage(f, "UPDATE change_block SET data = (SELECT data FROM change_block WHERE first = 1) WHERE first = 1001");
	/* A bit anywhere behind the magic number and the descriptor, one bit of which zstd does not use. */
	for (int i = 0; i < 60; i++) {
		flip(f, 5 + (int)(random_() % (uint64_t)(size - 5)), 1u << i % 8);
		damage(f, "SELECT 1");
	}
	log_setup(stderr, false, LOG_ERROR_);
	fclose(nowhere);
	assert_scan(f, 0, 0);
}

static void assert_fault(struct fixture *f, const char *text, const char *fault)
{
	struct lines l = {.n = 0};

	sql(f, text);
	assert_int_equal(store_verify(f->db, note_line, &l), CEIR_ECORRUPT);
	if (!strstr(l.last, fault))
		fail_msg("%s: \"%s\"", text, l.last);
}

static void gaps_and_overlaps(void **state)
{
	struct fixture *f = *state;

	sql(f, "INSERT INTO audit(seq, at, verb, code, request, response, hash) VALUES (100, 1, 'query', 1000, x'', x'', x'')");
	for (int i = 0; i < 3; i++) {
		invent(f, 100, false);
		for (size_t k = 0; k < 100; k++)
			f->model[f->n + k].transaction = 1;
		put(f, 100, i != 1);
	}
	assert_int_equal(store_verify(f->db, no_line, NULL), CEIR_OK);
	/* A block names an IMEI that has a row whose last change is an earlier one. */
	char text[160];
	snprintf(text, sizeof text, "INSERT INTO imei(imei, verdict, chg) SELECT imei, verdict, seq FROM change WHERE seq = 150;"
		"UPDATE imei SET imei = %llu;"
		"UPDATE change SET imei = %llu WHERE seq = 150", (unsigned long long)f->model[250].imei.n, (unsigned long long)f->model[250].imei.n);
	assert_fault(f, text, "change behind the one its IMEI names as the last: 251");
	sql(f, "DELETE FROM imei");
	assert_fault(f, "UPDATE change SET seq = 50 WHERE seq = 150", "numbers of this block stand in the log twice: 1");
	assert_int_equal(store_change_scan(f->db, 0, 0, ignore, NULL), CEIR_ECORRUPT);
	sql(f, "UPDATE change SET seq = 150 WHERE seq = 50");
	assert_fault(f, "DELETE FROM change WHERE seq = 120", "sequence numbers have gaps; the last is: 300");
	assert_int_equal(store_change_scan(f->db, 0, 0, ignore, NULL), CEIR_ECORRUPT);
	assert_fault(f, "DELETE FROM change_block WHERE first = 1", "sequence numbers have gaps");
}

/* ---- meta ---- */

static enum ceir_err put_meta(struct store_conn *c, void *arg)
{
	(void)arg;
	assert_int_equal(store_meta_set(c, "class.file", STR("class-1.seg")), CEIR_OK);
	assert_int_equal(store_meta_set(c, "class.file", STR("class-2.seg")), CEIR_OK);
	return store_meta_set(c, "empty", STR(""));
}

static void meta(void **state)
{
	struct fixture *f = *state;
	struct arena *a = arena_new(0);
	struct store_job job = {.run = put_meta};
	struct str value;

	assert_int_equal(store_meta_get(f->db, "class.file", a, &value), CEIR_ENOENT);
	assert_int_equal(store_run(f->store, &job), CEIR_OK);
	assert_int_equal(store_meta_get(f->db, "class.file", a, &value), CEIR_OK);
	assert_true(str_eq_c(value, "class-2.seg"));
	assert_int_equal(store_meta_get(f->db, "empty", a, &value), CEIR_OK);
	assert_int_equal(value.n, 0);
	arena_free(a);
}

/* ---- the version before ---- */

/* As a register of version 1 was: what came since is taken out. */
static const char version1[] =
	"DROP TABLE operator; DROP TABLE operator_plmn; DROP TABLE portability; DROP TABLE delivery; DROP TABLE policy; DROP TABLE golden;"
	"DROP TABLE watch; DROP TABLE list_file; DROP TABLE list_ack; DROP TABLE change_block; DROP TABLE meta;"
	"DROP TABLE remote; DROP TABLE remote_file; ALTER TABLE account DROP COLUMN lang; ALTER TABLE account DROP COLUMN ftps;"
	"ALTER TABLE change DROP COLUMN before; ALTER TABLE change DROP COLUMN record; PRAGMA user_version = 1;"
	"INSERT INTO audit(seq, at, verb, code, request, response, hash) VALUES (9, 1, 'query', 1000, x'', x'', x'');"
	"INSERT INTO change VALUES (1, 10, 62, 5, 1, NULL), (2, 11, 63, 5, 1, NULL), (3, 10, 63, 6, 2, NULL),"
	" (4, 35000000000000, 3, 6, 2, 1), (5, 10, 1, 7, 3, NULL);"
	"INSERT INTO imei(imei, verdict, chg) VALUES (10, 1, 5), (11, 63, 2);"
	"INSERT INTO account(code, role, pw, operator, status, fails, cr_at) VALUES ('a', 'operator', 'x', 'MNO-1', 'active', 0, 3),"
	" ('b', 'operator', 'x', 'MNO-1', 'active', 0, 2), ('c', 'operator', 'x', 'MNO-2', 'active', 0, 4), ('d', 'lea', 'x', NULL, 'active', 0, 4)";

static void brought_up_from_version_1(void **state)
{
	struct fixture *f = *state;
	static const uint16_t before[] = {0, 0, 62, 0, 63};
	struct arena *a = arena_new(0);
	struct store_val row[OPERATOR_N];
	struct store_conn *c;
	struct store_change change;

	close_(f);
	sql(f, version1);
	assert_int_equal(store_open_readonly(f->path, &c), CEIR_ECORRUPT); /* looking changes nothing */
	open_(f);
	for (int64_t i = 1; i <= 5; i++) {
		assert_int_equal(store_change_get(f->db, i, &change), CEIR_OK);
		assert_int_equal(change.before, before[i - 1]);
		assert_false(change.has_record);
	}
	assert_int_equal(store_get(f->db, &STORE_OPERATOR, OPERATOR_CODE, store_text(STR("MNO-2")), a, row), CEIR_OK);
	assert_true(row[OPERATOR_ID].i == 2 && row[OPERATOR_CR_AT].i == 4);
	assert_int_equal(sql_number(f, "SELECT count(*) FROM operator"), 2);
	assert_int_equal(sql_number(f, "PRAGMA user_version"), 4);
	assert_int_equal(sql_number(f, "SELECT count(*) FROM account WHERE ftps IS NULL"), 4);
	assert_int_equal(store_verify(f->db, no_line, NULL), CEIR_OK);
	/* The next start finds it as it is. */
	close_(f);
	open_(f);
	f->n = 5;
	invent(f, 100, false);
	put(f, 100, true);
	arena_free(a);
}

/* How much of a register of today one of version 2 or 3 lacks. */
static void bring_up(struct fixture *f, const char *lacks)
{
	struct store_conn *c;

	close_(f);
	sql(f, "INSERT INTO account(code, role, pw, status, fails) VALUES ('a', 'lea', 'x', 'active', 0);"
		"DROP TABLE remote; DROP TABLE remote_file; ALTER TABLE account DROP COLUMN lang");
	sql(f, lacks);
	assert_int_equal(store_open_readonly(f->path, &c), CEIR_ECORRUPT);
	open_(f);
	assert_int_equal(sql_number(f, "PRAGMA user_version"), 4);
	assert_int_equal(sql_number(f, "SELECT count(*) FROM account WHERE code = 'a' AND ftps IS NULL AND lang IS NULL"), 1);
	assert_int_equal(sql_number(f, "SELECT count(*) FROM remote"), 0);
	assert_int_equal(sql_number(f, "SELECT count(*) FROM remote_file"), 0);
}

static void brought_up_from_version_2(void **state)
{
	bring_up(*state, "ALTER TABLE account DROP COLUMN ftps; PRAGMA user_version = 2");
}

static void brought_up_from_version_3(void **state)
{
	bring_up(*state, "PRAGMA user_version = 3");
}

int main(void)
{
#define TEST(t) cmocka_unit_test_setup_teardown(t, make, destroy)
	const struct CMUnitTest tests[] = {TEST(against_an_array), TEST(taken_back_blocks_leave_no_gap), TEST(a_callback_stops_the_scan),
		TEST(size_on_disk), TEST(damaged_blocks), TEST(gaps_and_overlaps), TEST(meta), TEST(brought_up_from_version_1), TEST(brought_up_from_version_2),
		TEST(brought_up_from_version_3)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

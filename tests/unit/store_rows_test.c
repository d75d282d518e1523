/*
 * The register on disk, one thread: creation and versions, rows of any table, IMEIs and changes, parts, messages, ripples,
 * savepoints. What the writer does is run as its jobs.
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

#include "test_folder.h"

struct fixture {
	char dir[48], path[72];
	struct store *store;
	struct store_conn *db; /* a reader */
	struct arena *arena;
};

static int make(void **state)
{
	struct fixture *f = calloc(1, sizeof *f);

	assert_non_null(f);
	log_setup(stderr, false, LOG_ERROR_);
	assert_true(test_folder(f->dir, sizeof f->dir, "ceir-store"));
	snprintf(f->path, sizeof f->path, "%s/ceir.db", f->dir);
	assert_int_equal(store_create(f->path), CEIR_OK);
	assert_int_equal(store_open(f->path, 1 << 20, &f->store), CEIR_OK);
	f->arena = arena_new(0);
	f->db = store_reader(f->store);
	assert_non_null(f->db);
	*state = f;
	return 0;
}

static int destroy(void **state)
{
	struct fixture *f = *state;
	char command[80];

	store_reader_done(f->store, f->db);
	store_close(f->store);
	arena_free(f->arena);
	snprintf(command, sizeof command, "rm -r %s", f->dir);
	assert_int_equal(system(command), 0);
	free(f);
	return 0;
}

static void sql(const struct fixture *f, const char *text)
{
	sqlite3 *db;

	assert_int_equal(sqlite3_open(f->path, &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, text, NULL, NULL, NULL), SQLITE_OK);
	sqlite3_close(db);
}

/* Executes fn on the writer's thread. */
struct call {
	struct fixture *f;
	enum ceir_err (*fn)(struct fixture *f, struct store_conn *c);
};

static enum ceir_err call(struct store_conn *c, void *arg)
{
	struct call *k = arg;

	return k->fn(k->f, c);
}

static enum ceir_err write_(struct fixture *f, enum ceir_err (*fn)(struct fixture *f, struct store_conn *c))
{
	struct call k = {f, fn};
	struct store_job job = {.run = call, .arg = &k};

	return store_run(f->store, &job);
}

/* ---- creation ---- */

static void created_once(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(store_create(f->path), CEIR_EEXIST);
	char other[80];
	snprintf(other, sizeof other, "%s/no/such/folder.db", f->dir);
	assert_int_not_equal(store_create(other), CEIR_OK);
}

static void not_a_register(void **state)
{
	struct fixture *f = *state;
	struct store *s;
	struct store_conn *c;
	char path[80];

	snprintf(path, sizeof path, "%s/none.db", f->dir);
	assert_int_not_equal(store_open(path, 1 << 20, &s), CEIR_OK);
	assert_int_not_equal(access(path, F_OK), 0); /* opening makes nothing */
	FILE *file = fopen(path, "w");
	fputs("this is no database, but long enough to look like one: the header of SQLite has a hundred bytes, and so has this text.", file);
	fclose(file);
	assert_int_equal(store_open(path, 1 << 20, &s), CEIR_ECORRUPT);
	assert_int_equal(store_open_readonly(path, &c), CEIR_ECORRUPT);
	remove(path);
	sql(&(struct fixture){.path = "/tmp/ceir-store-plain.db"}, "CREATE TABLE t(a)");
	assert_int_equal(store_open("/tmp/ceir-store-plain.db", 1 << 20, &s), CEIR_ECORRUPT);
	remove("/tmp/ceir-store-plain.db");
}

static void another_version(void **state)
{
	struct fixture *f = *state;
	struct store *s;
	char path[80];

	snprintf(path, sizeof path, "%s/newer.db", f->dir);
	assert_int_equal(store_create(path), CEIR_OK);
	sqlite3 *db;
	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, "PRAGMA user_version = 999", NULL, NULL, NULL), SQLITE_OK);
	sqlite3_close(db);
	assert_int_equal(store_open(path, 1 << 20, &s), CEIR_ECORRUPT);
}

/* ---- rows ---- */

static const char hostile[] = "O'Brien\"; DROP TABLE importer; -- \xd0\x96\x01 \0 tail";

static void importer_row(struct store_val *row, const char *code, struct str name)
{
	for (int i = 0; i < IMPORTER_N; i++)
		row[i] = store_null();
	row[IMPORTER_CODE] = store_text(str_of(code));
	row[IMPORTER_NAME] = store_text(name);
	row[IMPORTER_STATUS] = store_text(STR("active"));
	row[IMPORTER_CR_AT] = store_int(-5);
}

static enum ceir_err insert_hostile(struct fixture *f, struct store_conn *c)
{
	struct store_val row[IMPORTER_N];

	(void)f;
	importer_row(row, "H", (struct str){hostile, sizeof hostile - 1});
	return store_insert(c, &STORE_IMPORTER, row, NULL);
}

static void round_trip_of_hostile_text(void **state)
{
	struct fixture *f = *state;
	struct store_val row[IMPORTER_N];

	assert_int_equal(write_(f, insert_hostile), CEIR_OK);
	assert_int_equal(store_get(f->db, &STORE_IMPORTER, IMPORTER_CODE, store_text(STR("H")), f->arena, row), CEIR_OK);
	assert_true(str_eq(row[IMPORTER_NAME].s, (struct str){hostile, sizeof hostile - 1}));
	assert_true(row[IMPORTER_EMAIL].null);
	assert_int_equal(row[IMPORTER_CR_AT].i, -5);
	assert_int_equal(store_get(f->db, &STORE_IMPORTER, IMPORTER_NAME, store_text((struct str){hostile, sizeof hostile - 1}), f->arena, row),
		CEIR_OK);
	assert_int_equal(store_get(f->db, &STORE_IMPORTER, IMPORTER_CODE, store_text(STR("h' OR 1=1")), f->arena, row), CEIR_ENOENT);
	/* A key twice is told apart from a missing value, which is a fault of ours. */
	assert_int_equal(write_(f, insert_hostile), CEIR_EEXIST);
}

static enum ceir_err insert_nameless(struct fixture *f, struct store_conn *c)
{
	struct store_val row[IMPORTER_N];

	(void)f;
	importer_row(row, "N", (struct str){NULL, 0});
	return store_insert(c, &STORE_IMPORTER, row, NULL);
}

static void missing_value_is_no_duplicate(void **state)
{
	struct fixture *f = *state;

	log_setup(stderr, false, LOG_ERROR_);
	assert_int_equal(write_(f, insert_nameless), CEIR_ESTORE);
}

static enum ceir_err insert_hundred(struct fixture *f, struct store_conn *c)
{
	enum ceir_err err = CEIR_OK;

	for (int i = 0; i < 100 && !err; i++) {
		struct store_val row[IMPORTER_N];

		importer_row(row, arena_printf(f->arena, "I%03d", i).p, i % 2 ? STR("odd") : STR("even"));
		err = store_insert(c, &STORE_IMPORTER, row, NULL);
	}
	return err;
}

struct seen {
	unsigned n, stop_at;
	int64_t last_id;
	char last[16];
};

static enum ceir_err see(void *ctx, const struct store_val *row)
{
	struct seen *s = ctx;

	s->n++;
	s->last_id = row[IMPORTER_ID].i;
	snprintf(s->last, sizeof s->last, "%.*s", (int)row[IMPORTER_CODE].s.n, row[IMPORTER_CODE].s.p);
	return s->n == s->stop_at ? CEIR_ELIMIT : CEIR_OK;
}

static void select_and_count(void **state)
{
	struct fixture *f = *state;
	struct store_filter odd = {IMPORTER_NAME, STORE_EQ, store_text(STR("odd"))};
	struct store_query q = {.table = &STORE_IMPORTER, .filters = &odd, .n_filters = 1, .sort = IMPORTER_CODE, .limit = 7};
	struct seen s = {0};
	uint64_t count;

	assert_int_equal(write_(f, insert_hundred), CEIR_OK);
	assert_int_equal(store_select(f->db, &q, see, &s), CEIR_OK);
	assert_int_equal(s.n, 7);
	assert_string_equal(s.last, "I013");
	/* Pages, each behind the one before. */
	for (unsigned page = 1; s.n; page++) {
		q.after = true;
		q.after_value = store_text(str_of(s.last));
		q.after_id = s.last_id;
		s.n = 0;
		assert_int_equal(store_select(f->db, &q, see, &s), CEIR_OK);
		assert_int_equal(s.n, page < 7 ? 7 : page == 7 ? 1 : 0);
	}
	assert_string_equal(s.last, "I099");
	assert_int_equal(store_count(f->db, &q, 1000, &count), CEIR_OK);
	assert_int_equal(count, 50); /* whatever the page */
	assert_int_equal(store_count(f->db, &q, 20, &count), CEIR_OK);
	assert_int_equal(count, 20);
	/* A sort column that is the same in all rows: the id decides. */
	q = (struct store_query){.table = &STORE_IMPORTER, .sort = IMPORTER_NAME, .descending = true};
	s = (struct seen){.stop_at = 3};
	assert_int_equal(store_select(f->db, &q, see, &s), CEIR_ELIMIT);
	assert_int_equal(s.n, 3);
	assert_string_equal(s.last, "I095");
}

static enum ceir_err update_every_mask(struct fixture *f, struct store_conn *c)
{
	struct store_val row[TAC_N];
	enum ceir_err err;

	for (int i = 0; i < TAC_N; i++)
		row[i] = store_null();
	row[TAC_CODE] = store_int(35210605);
	row[TAC_MANUFACTURER] = row[TAC_MODEL] = row[TAC_STATUS] = store_text(STR("x"));
	err = store_insert(c, &STORE_TAC, row, &row[TAC_ID].i);
	/* Which columns change is up to clients: hundreds of statements, and more than the cache holds. */
	for (uint32_t mask = 1; mask < 512 && !err; mask++) {
		row[TAC_SIMS] = store_int(mask);
		err = store_update(c, &STORE_TAC, row[TAC_ID].i, mask << TAC_MANUFACTURER | 1u << TAC_SIMS, row);
	}
	(void)f;
	return err;
}

static void every_combination_of_columns_can_be_updated(void **state)
{
	struct fixture *f = *state;
	struct store_val row[TAC_N];

	assert_int_equal(write_(f, update_every_mask), CEIR_OK);
	assert_int_equal(store_get(f->db, &STORE_TAC, TAC_CODE, store_int(35210605), f->arena, row), CEIR_OK);
	assert_int_equal(row[TAC_SIMS].i, 511);
}

static enum ceir_err update_nobody(struct fixture *f, struct store_conn *c)
{
	struct store_val row[IMPORTER_N];

	(void)f;
	importer_row(row, "X", STR("x"));
	assert_int_equal(store_update(c, &STORE_IMPORTER, 4711, 1u << IMPORTER_NAME, row), CEIR_ENOENT);
	assert_int_equal(store_update(c, &STORE_IMPORTER, 4711, 0, row), CEIR_OK);
	assert_int_equal(store_delete(c, &STORE_IMPORTER, 4711), CEIR_ENOENT);
	return CEIR_OK;
}

static void update_of_nothing(void **state)
{
	assert_int_equal(write_(*state, update_nobody), CEIR_OK);
}

static enum ceir_err count_units(struct fixture *f, struct store_conn *c)
{
	struct store_val row[POSITION_N];
	int64_t id;

	(void)f;
	for (int i = 0; i < POSITION_N; i++)
		row[i] = store_text(STR("x"));
	row[POSITION_ID] = store_null();
	row[POSITION_NUMBER] = row[POSITION_PERMIT] = row[POSITION_PRICE] = store_int(1);
	row[POSITION_USED] = store_int(0);
	row[POSITION_QUANTITY] = store_int(5);
	assert_int_equal(store_insert(c, &STORE_POSITION, row, &id), CEIR_OK);
	assert_int_equal(store_add(c, &STORE_POSITION, id, POSITION_USED, 5, POSITION_QUANTITY), CEIR_OK);
	assert_int_equal(store_add(c, &STORE_POSITION, id, POSITION_USED, 1, POSITION_QUANTITY), CEIR_ERANGE);
	assert_int_equal(store_add(c, &STORE_POSITION, id, POSITION_USED, INT64_MAX, POSITION_QUANTITY), CEIR_ERANGE);
	assert_int_equal(store_add(c, &STORE_POSITION, id, POSITION_USED, -6, POSITION_QUANTITY), CEIR_ERANGE);
	assert_int_equal(store_add(c, &STORE_POSITION, id, POSITION_USED, -5, POSITION_QUANTITY), CEIR_OK);
	assert_int_equal(store_add(c, &STORE_POSITION, 4711, POSITION_USED, 1, POSITION_QUANTITY), CEIR_ERANGE);
	return CEIR_OK;
}

static void ceilings(void **state)
{
	assert_int_equal(write_(*state, count_units), CEIR_OK);
}

/* ---- savepoints ---- */

static enum ceir_err put_change(struct store_conn *c, uint64_t imei)
{
	struct store_change change = {.imei = {imei}, .verdict = 5, .at_s = 1};
	struct store_imei row = {.imei = {imei}, .verdict = 5, .change = store_change_next(c)};
	enum ceir_err err = store_imei_insert(c, &row);

	return err ? err : store_change_append(c, &change, &change.seq);
}

static enum ceir_err with_savepoints(struct fixture *f, struct store_conn *c)
{
	(void)f;
	assert_int_equal(store_mark(c), CEIR_OK);
	assert_int_equal(put_change(c, 1), CEIR_OK);
	assert_int_equal(store_unmark(c, true), CEIR_OK);
	assert_int_equal(store_mark(c), CEIR_OK);
	assert_int_equal(put_change(c, 2), CEIR_OK);
	assert_int_equal(put_change(c, 3), CEIR_OK);
	assert_int_equal(store_unmark(c, false), CEIR_OK);
	/* What was taken back has not used up numbers: a gap would look like a deleted change. */
	assert_int_equal(store_change_next(c), 2);
	return put_change(c, 4);
}

static void no_line(void *ctx, const char *line)
{
	(void)ctx;
	fail_msg("%s", line);
}

static void taken_back_changes_leave_no_gap(void **state)
{
	struct fixture *f = *state;
	struct store_change change;
	struct store_imei row;
	int64_t last;

	assert_int_equal(write_(f, with_savepoints), CEIR_OK);
	assert_int_equal(store_change_last(f->db, &last), CEIR_OK);
	assert_int_equal(last, 2);
	assert_int_equal(store_change_get(f->db, 2, &change), CEIR_OK);
	assert_int_equal(change.imei.n, 4);
	assert_int_equal(store_change_get(f->db, 3, &change), CEIR_ENOENT);
	assert_int_equal(store_imei_get(f->db, (struct imei){2}, &row), CEIR_ENOENT);
	assert_int_equal(store_verify(f->db, no_line, NULL), CEIR_OK);
}

/* ---- IMEIs ---- */

static enum ceir_err put_imeis(struct fixture *f, struct store_conn *c)
{
	enum ceir_err err = CEIR_OK;

	(void)f;
	for (uint64_t i = 1; i <= 6 && !err; i++) {
		/* 1..3 one device of application 7, 4..6 the same key of application 8. */
		struct store_imei row = {.imei = {i * 10}, .verdict = (uint16_t)i, .change = (int64_t)i, .application = i < 4 ? 7 : 8, .device = 10,
			.owner = (int64_t)i, .withdrawn = i == 2};

		err = store_imei_insert(c, &row);
	}
	struct store_imei twice = {.imei = {10}, .change = 9};
	assert_int_equal(store_imei_insert(c, &twice), CEIR_EEXIST);
	struct store_imei none = {.imei = {11}, .change = 9};
	assert_int_equal(store_imei_update(c, &none), CEIR_ENOENT);
	return err;
}

static enum ceir_err note_imei(void *ctx, const struct store_imei *row)
{
	struct seen *s = ctx;

	s->n++;
	s->last_id = (int64_t)row->imei.n;
	return CEIR_OK;
}

static void imeis(void **state)
{
	struct fixture *f = *state;
	struct store_imei row;
	struct imei list[5], low, high;
	struct seen s = {0};
	size_t n;

	assert_int_equal(store_imei_bounds(f->db, &low, &high), CEIR_ENOENT);
	assert_int_equal(write_(f, put_imeis), CEIR_OK);
	assert_int_equal(store_imei_get(f->db, (struct imei){20}, &row), CEIR_OK);
	assert_true(row.withdrawn && row.owner == 2 && row.device == 10 && row.application == 7 && row.verdict == 2 && row.change == 2);
	/* IMEIs that once belonged to a device of this key are not its. */
	assert_int_equal(store_imei_device(f->db, 10, 7, list, 5, &n), CEIR_OK);
	assert_int_equal(n, 3);
	assert_int_equal(list[2].n, 30);
	assert_int_equal(store_imei_device(f->db, 10, 8, list, 2, &n), CEIR_OK);
	assert_int_equal(n, 2);
	assert_int_equal(store_imei_bounds(f->db, &low, &high), CEIR_OK);
	assert_true(low.n == 10 && high.n == 60);
	assert_int_equal(store_imei_scan(f->db, (struct imei){11}, (struct imei){50}, true, 3, note_imei, &s), CEIR_OK);
	assert_true(s.n == 3 && s.last_id == 30);
}

/* ---- parts ---- */

static enum ceir_err put_parts(struct fixture *f, struct store_conn *c)
{
	struct store_part p = {.application = 3, .data = STR("data\0with nul")};
	enum ceir_err err = CEIR_OK;

	for (int64_t line = 1; line <= 21 && !err; line += 10) {
		p.number = p.first_line = line;
		p.rows = line == 21 ? 1 : 10;
		err = store_part_insert(c, &p);
	}
	assert_int_equal(store_part_insert(c, &p), CEIR_EEXIST);
	assert_int_equal(store_part_results(c, 3, 99, STR("r")), CEIR_ENOENT);
	(void)f;
	return err ? err : store_part_results(c, 3, 11, STR("\1\2\3"));
}

static void parts(void **state)
{
	struct fixture *f = *state;
	static const int64_t of[][2] = {{1, 1}, {10, 1}, {11, 11}, {20, 11}, {21, 21}};
	struct store_part p;
	int64_t number;

	assert_int_equal(write_(f, put_parts), CEIR_OK);
	for (size_t i = 0; i < CEIR_COUNT(of); i++) {
		assert_int_equal(store_part_find(f->db, 3, of[i][0], &number), CEIR_OK);
		assert_int_equal(number, of[i][1]);
	}
	assert_int_equal(store_part_find(f->db, 3, 22, &number), CEIR_ENOENT);
	assert_int_equal(store_part_find(f->db, 3, 0, &number), CEIR_ENOENT);
	assert_int_equal(store_part_find(f->db, 2, 1, &number), CEIR_ENOENT);
	assert_int_equal(store_part_get(f->db, 3, 11, f->arena, &p), CEIR_OK);
	assert_true(p.rows == 10 && p.results.n == 3 && str_eq(p.data, STR("data\0with nul")));
	assert_int_equal(store_part_get(f->db, 3, 1, f->arena, &p), CEIR_OK);
	assert_int_equal(p.results.n, 0);
	assert_int_equal(store_part_get(f->db, 3, 2, f->arena, &p), CEIR_ENOENT);
}

/* ---- messages and ripples ---- */

static enum ceir_err put_messages(struct fixture *f, struct store_conn *c)
{
	uint64_t left;

	(void)f;
	for (int64_t i = 0; i < 3; i++) {
		struct store_message m = {.account = 5, .at_us = i, .kind = i + 1, .args = {STR(""), STR("b")}, .n_args = i == 2 ? 2 : 0};

		assert_int_equal(store_message_put(c, &m), CEIR_OK);
	}
	assert_int_equal(store_message_ack(c, 6, 1, &left), CEIR_ENOENT); /* somebody else's */
	assert_int_equal(store_message_ack(c, 5, 1, &left), CEIR_OK);
	assert_int_equal(left, 2);
	assert_int_equal(store_message_ack(c, 5, 1, &left), CEIR_ENOENT);
	assert_int_equal(store_message_ack(c, 5, 2, &left), CEIR_OK);
	return CEIR_OK;
}

static void messages(void **state)
{
	struct fixture *f = *state;
	struct store_message m;
	uint64_t count;

	assert_int_equal(store_message_first(f->db, 5, f->arena, &m, &count), CEIR_ENOENT);
	assert_int_equal(count, 0);
	assert_int_equal(write_(f, put_messages), CEIR_OK);
	assert_int_equal(store_message_first(f->db, 5, f->arena, &m, &count), CEIR_OK);
	assert_true(m.id == 3 && m.kind == 3 && count == 1 && m.n_args == 2 && m.args[0].n == 0 && str_eq(m.args[1], STR("b")));
}

static enum ceir_err put_ripples(struct fixture *f, struct store_conn *c)
{
	struct store_ripple r = {.code = STR("CT-1"), .kind = 2, .transaction = 9};

	assert_int_equal(store_ripple_put(c, &r), CEIR_OK);
	r.code = STR("CT-2");
	assert_int_equal(store_ripple_put(c, &r), CEIR_OK);
	assert_int_equal(store_ripple_first(c, f->arena, &r), CEIR_OK);
	assert_int_equal(store_ripple_step(c, r.id, 4, 40), CEIR_OK);
	assert_int_equal(store_ripple_first(c, f->arena, &r), CEIR_OK);
	assert_true(r.application == 4 && r.part == 40 && r.transaction == 9 && str_eq(r.code, STR("CT-1")));
	return store_ripple_done(c, r.id);
}

static void ripples(void **state)
{
	struct fixture *f = *state;
	struct store_ripple r;

	assert_int_equal(store_ripple_first(f->db, f->arena, &r), CEIR_ENOENT);
	assert_int_equal(write_(f, put_ripples), CEIR_OK);
	assert_int_equal(store_ripple_first(f->db, f->arena, &r), CEIR_OK);
	assert_true(str_eq(r.code, STR("CT-2")));
}

/* ---- snapshots ---- */

static void snapshot_stays(void **state)
{
	struct fixture *f = *state;
	struct store_query q = {.table = &STORE_IMPORTER};
	uint64_t n;

	assert_int_equal(store_snapshot_begin(f->db), CEIR_OK);
	assert_int_equal(write_(f, insert_hundred), CEIR_OK);
	assert_int_equal(store_count(f->db, &q, 1000, &n), CEIR_OK);
	assert_int_equal(n, 0);
	store_snapshot_end(f->db);
	assert_int_equal(store_count(f->db, &q, 1000, &n), CEIR_OK);
	assert_int_equal(n, 100);
	/* Beginning twice fails, and leaves the connection usable. */
	assert_int_equal(store_snapshot_begin(f->db), CEIR_OK);
	assert_int_not_equal(store_snapshot_begin(f->db), CEIR_OK);
	assert_int_equal(store_snapshot_begin(f->db), CEIR_OK);
	store_snapshot_end(f->db);
	store_snapshot_end(f->db);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, make, destroy)
	const struct CMUnitTest tests[] = {TEST(created_once), TEST(not_a_register), TEST(another_version), TEST(round_trip_of_hostile_text),
		TEST(missing_value_is_no_duplicate), TEST(select_and_count), TEST(every_combination_of_columns_can_be_updated),
		TEST(update_of_nothing), TEST(ceilings), TEST(taken_back_changes_leave_no_gap), TEST(imeis), TEST(parts), TEST(messages),
		TEST(ripples), TEST(snapshot_stays)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

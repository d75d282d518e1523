/* The audit chain and the change log against somebody with the sqlite3 shell: whatever he does shows. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <sqlite3.h>

#include "store/store.h"

#include "test_folder.h"

#define ROWS 9

static char dir[48], path[72];

static enum ceir_err fill(struct store_conn *c, void *arg)
{
	static const uint8_t certificate[STORE_HASH] = {1, 2, 3};
	enum ceir_err err = CEIR_OK;

	(void)arg;
	for (int64_t i = 1; i <= ROWS && !err; i++) {
		struct store_audit a = {.at_us = 1000 * i, .account = STR("lea1"), .role = STR("lea"), .address = STR("127.0.0.1:1"),
			.cltrid = i % 2 ? STR("ABC-1") : (struct str){NULL, 0}, .verb = STR("create"), .object = STR("listing"), .name = STR(""),
			.certificate = i % 3 ? certificate : NULL, .code = 1000, .request = {9}, .response = {8}};
		struct store_change change = {.imei = {(uint64_t)i}, .verdict = (uint16_t)i, .at_s = i, .transaction = i};
		struct store_imei row = {.imei = change.imei, .verdict = change.verdict, .change = i};

		err = store_audit_append(c, &a);
		err = err ? err : store_imei_insert(c, &row);
		err = err ? err : store_change_append(c, &change, &change.seq);
	}
	return err;
}

static int make(void **state)
{
	struct store_job job = {.run = fill};
	struct store *store;

	(void)state;
	log_setup(stderr, false, LOG_ERROR_);
	assert_true(test_folder(dir, sizeof dir, "ceir-audit"));
	snprintf(path, sizeof path, "%s/ceir.db", dir);
	assert_int_equal(store_create(path), CEIR_OK);
	assert_int_equal(store_open(path, 1 << 20, &store), CEIR_OK);
	assert_int_equal(store_run(store, &job), CEIR_OK);
	store_close(store);
	return 0;
}

static int destroy(void **state)
{
	char command[80];

	(void)state;
	snprintf(command, sizeof command, "rm -r %s", dir);
	return system(command);
}

static void sql(const char *text)
{
	sqlite3 *db;
	char *why = NULL;

	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	if (sqlite3_exec(db, text, NULL, NULL, &why) != SQLITE_OK)
		fail_msg("%s: %s", text, why);
	sqlite3_close(db);
}

static void count(void *ctx, const char *line)
{
	assert_true(line[0]);
	++*(unsigned *)ctx;
}

static unsigned faults(enum ceir_err (*verify)(struct store_conn *, store_report, void *))
{
	struct store_conn *c;
	unsigned n = 0;

	assert_int_equal(store_open_readonly(path, &c), CEIR_OK);
	enum ceir_err err = verify(c, count, &n);
	assert_int_equal(err, n ? CEIR_ECORRUPT : CEIR_OK);
	store_close_readonly(c);
	return n;
}

static void sound(void **state)
{
	(void)state;
	assert_int_equal(faults(store_audit_verify), 0);
	assert_int_equal(faults(store_verify), 0);
}

static void tampering_with_the_audit_log(void **state)
{
	static const char *const acts[] = {
		"UPDATE audit SET code = 2201 WHERE seq = 4",
		"UPDATE audit SET at = at + 1 WHERE seq = 4",
		"UPDATE audit SET account = 'lea2' WHERE seq = 4",
		"UPDATE audit SET account = NULL WHERE seq = 4",
		"UPDATE audit SET account = CAST(account AS BLOB) || x'00' WHERE seq = 4",
		"UPDATE audit SET role = 'nra' WHERE seq = 4",
		"UPDATE audit SET certificate = NULL WHERE seq = 4",
		"UPDATE audit SET certificate = zeroblob(31) WHERE seq = 4",
		"UPDATE audit SET address = '10.0.0.1:1' WHERE seq = 4",
		"UPDATE audit SET cltrid = NULL WHERE seq = 5",
		"UPDATE audit SET cltrid = '' WHERE seq = 4",
		"UPDATE audit SET verb = 'info' WHERE seq = 4",
		"UPDATE audit SET object = 'tac', name = 'x' WHERE seq = 4",
		"UPDATE audit SET name = 'x' WHERE seq = 4",
		/* A byte moved over the border of two columns. */
		"UPDATE audit SET verb = 'creat', object = 'elisting' WHERE seq = 4",
		"UPDATE audit SET request = zeroblob(32) WHERE seq = 4",
		"UPDATE audit SET response = request WHERE seq = 4",
		"UPDATE audit SET hash = zeroblob(32) WHERE seq = 4",
		"UPDATE audit SET hash = x'00' WHERE seq = 4",
		"UPDATE audit SET hash = (SELECT hash FROM audit WHERE seq = 3) WHERE seq = 4",
		"DELETE FROM audit WHERE seq = 4",
		"DELETE FROM audit WHERE seq = 1",
		/* Two rows swapped, and a row removed with the numbers closed up. */
		"UPDATE audit SET seq = -1 WHERE seq = 4; UPDATE audit SET seq = 4 WHERE seq = 5; UPDATE audit SET seq = 5 WHERE seq = -1",
		"DELETE FROM audit WHERE seq = 4; UPDATE audit SET seq = seq - 1 WHERE seq > 4",
		/* One more in the middle, a copy of another. */
		"UPDATE audit SET seq = -seq WHERE seq > 4; UPDATE audit SET seq = 1 - seq WHERE seq < 0;"
			"INSERT INTO audit SELECT 5, at, account, role, certificate, address, cltrid, verb, object, name, code, request, response, hash"
			" FROM audit WHERE seq = 4",
	};

	(void)state;
	for (size_t i = 0; i < CEIR_COUNT(acts); i++) {
		sql(acts[i]);
		unsigned n = faults(store_audit_verify);
		if (n == 0)
			fail_msg("not noticed: %s", acts[i]);
		destroy(NULL);
		make(NULL);
	}
}

/* A tail that is cut off is a chain as well: only an exported head tells. That is what store_audit_hash() is for. */
static void a_tail_that_is_cut_off(void **state)
{
	struct store_conn *c;
	uint8_t head[STORE_HASH], hash[STORE_HASH];
	int64_t seq, at;

	(void)state;
	assert_int_equal(store_open_readonly(path, &c), CEIR_OK);
	assert_int_equal(store_audit_head(c, &seq, &at, head), CEIR_OK);
	assert_true(seq == ROWS && at == 1000 * ROWS);
	assert_int_equal(store_audit_hash(c, ROWS, hash), CEIR_OK);
	assert_memory_equal(hash, head, STORE_HASH);
	store_close_readonly(c);
	sql("DELETE FROM audit WHERE seq = 9");
	assert_int_equal(faults(store_audit_verify), 0);
	assert_true(faults(store_verify) > 0); /* here a change names it */
	assert_int_equal(store_open_readonly(path, &c), CEIR_OK);
	assert_int_equal(store_audit_hash(c, ROWS, hash), CEIR_ENOENT);
	store_close_readonly(c);
}

static void tampering_with_the_register(void **state)
{
	static const char *const acts[] = {
		"DELETE FROM change WHERE seq = 4",
		"DELETE FROM change WHERE seq = 1",
		"DELETE FROM change WHERE seq = 9",
		"DELETE FROM change; UPDATE imei SET chg = 0",
		"UPDATE change SET verdict = 3 WHERE seq = 4",
		"UPDATE imei SET verdict = 3 WHERE imei = 4",
		"UPDATE imei SET chg = 5 WHERE imei = 4",
		"DELETE FROM imei WHERE imei = 4",
		"UPDATE change SET seq = 99 WHERE seq = 9",
		"UPDATE change SET scope = 1 WHERE seq = 9",
		"UPDATE change SET tx = 77 WHERE seq = 9",
		"UPDATE imei SET application = 12 WHERE imei = 4",
		"UPDATE imei SET owner = 12 WHERE imei = 4",
		"INSERT INTO application_part VALUES (1, 1, 1, 1, NULL, x'00')",
		"INSERT INTO permit(code, importer, issued, ex, status) VALUES ('P', 'nobody', 0, 1, 'valid')",
		"INSERT INTO message(account, at, kind) VALUES (55, 0, 1)",
		"INSERT INTO position VALUES (1, 1, 1, 'C', 'm', 'm', 'KR', 5, 1, 'USD', 6)",
	};

	(void)state;
	for (size_t i = 0; i < CEIR_COUNT(acts); i++) {
		sql(acts[i]);
		unsigned n = faults(store_verify);
		if (n == 0)
			fail_msg("not noticed: %s", acts[i]);
		destroy(NULL);
		make(NULL);
	}
}

static void a_damaged_page(void **state)
{
	static const char garbage[4096];

	(void)state;
	sql("PRAGMA wal_checkpoint(TRUNCATE)");
	FILE *file = fopen(path, "r+");
	assert_non_null(file);
	assert_int_equal(fseek(file, 4096 * 20, SEEK_SET), 0);
	assert_int_equal(fwrite(garbage, sizeof garbage, 1, file), 1);
	fclose(file);
	log_setup(fopen("/dev/null", "w"), false, LOG_ERROR_);
	assert_true(faults(store_verify) > 0);
	log_setup(stderr, false, LOG_ERROR_);
}

/* The chain goes on where it stood when the register is opened again. */
static void the_chain_goes_on(void **state)
{
	struct store *store;

	(void)state;
	sql("DELETE FROM imei; DELETE FROM change");
	for (int i = 0; i < 3; i++) {
		struct store_job job = {.run = fill};

		assert_int_equal(store_open(path, 1 << 20, &store), CEIR_OK);
		assert_int_equal(store_run(store, &job), CEIR_OK);
		store_close(store);
		sql("DELETE FROM imei; DELETE FROM change");
	}
	assert_int_equal(faults(store_audit_verify), 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, make, destroy)
	const struct CMUnitTest tests[] = {TEST(sound), TEST(tampering_with_the_audit_log), TEST(a_tail_that_is_cut_off),
		TEST(tampering_with_the_register), TEST(a_damaged_page), TEST(the_chain_goes_on)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

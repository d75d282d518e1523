/* ctl_dirbs_test.c - lists in order, and what differs between two: whoever applies it to the one has the other. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ctl/ctl_dirbs.h"
#include "test_folder.h"

static char folder[256];

static const char *write_list(const char *name, const char *text)
{
	static char paths[2][512];
	static unsigned next;
	char *path = paths[next++ % 2];
	FILE *f;

	snprintf(path, sizeof paths[0], "%s/%s", folder, name);
	f = fopen(path, "w");
	assert_non_null(f);
	fputs(text, f);
	fclose(f);
	return path;
}

static enum ceir_err note(void *ctx, enum dirbs_change change, struct str row)
{
	struct buf *b = ctx;

	buf_printf(b, "%c%.*s|", "+-~"[change], (int)str_trim(row).n, row.p);
	return CEIR_OK;
}

static void differs(const char *from, const char *to, unsigned keys, const char *expected)
{
	struct dirbs_list a, b;
	struct buf said = BUF_INIT(0);

	assert_int_equal(dirbs_list_open(write_list("from.csv", from), keys, &a), CEIR_OK);
	assert_int_equal(dirbs_list_open(write_list("to.csv", to), keys, &b), CEIR_OK);
	assert_int_equal(dirbs_compare(&a, &b, note, &said), CEIR_OK);
	buf_char(&said, '\0');
	assert_string_equal(said.p, expected);
	buf_free(&said);
	dirbs_list_close(&a);
	dirbs_list_close(&b);
}

static void test_differences(void **state)
{
	(void)state;
	differs("imei\r\n", "imei\r\n", 1, "");
	differs("imei,block_date,reasons\r\n2,d,r\r\n1,d,r\r\n", "imei,block_date,reasons\r\n3,d,r\r\n1,e,r\r\n", 1, "~1,e,r|-2,d,r|+3,d,r|");
	/* Keys of another length, and what is no IMEI, in whatever order they come. */
	differs("i,b,r\r\n123,,\r\n12,,\r\n#ab,,\r\n", "i,b,r\r\n12,,\r\n124,,\r\n", 1, "-#ab,,|-123,,|+124,,|");
	/* Who changes his number is another row; a row that comes twice counts once. */
	differs("imei,imsi,msisdn\r\n1,2,3\r\n1,2,\r\n1,2,3\r\n", "imei,imsi,msisdn\r\n1,2,4\r\n1,2,3\r\n", 3, "-1,2,|+1,2,4|");
}

static void test_looking(void **state)
{
	struct dirbs_list l;

	(void)state;
	assert_int_equal(dirbs_list_open(write_list("l.csv", "imei,imsi,msisdn\n77,5,6\n7,5,\n123,4,5\n#a,1,2\n"), 3, &l), CEIR_OK);
	assert_int_equal(l.n, 4);
	static const char *const there[] = {"7,", "77,", "123,", "#a,", "77,5,", "7,5,"}, *const not_there[] = {"1,", "12,", "777,", "77,6,", "8,", "#,"};
	for (size_t i = 0; i < CEIR_COUNT(there); i++)
		assert_true(dirbs_list_has(&l, str_of(there[i])));
	for (size_t i = 0; i < CEIR_COUNT(not_there); i++)
		assert_false(dirbs_list_has(&l, str_of(not_there[i])));
	dirbs_list_close(&l);
	assert_int_equal(dirbs_columns(STR("1,2,3\n"), 2).n, 4);
	assert_int_equal(dirbs_columns(STR("1,2,3\n"), 3).n, 0);
}

static void test_what_is_no_list(void **state)
{
	static const char *const bad[] = {"imei,imsi,msisdn\n1,2,3", "imei", "imei,imsi,msisdn\n1,2\n", "imei,imsi,msisdn\n\n"};
	struct dirbs_list l, empty;
	struct buf said = BUF_INIT(0);

	(void)state;
	for (size_t i = 0; i < CEIR_COUNT(bad); i++) {
		assert_int_equal(dirbs_list_open(write_list("l.csv", bad[i]), 3, &l), CEIR_EINVAL);
		assert_null(l.map);
	}
	assert_int_equal(dirbs_list_open("/nonexistent-folder/l.csv", 3, &empty), CEIR_OK);
	assert_int_equal(empty.n, 0);
	assert_false(dirbs_list_has(&empty, STR("1,")));
	assert_int_equal(dirbs_list_open(write_list("l.csv", "a,b,c\n1,2,3\n"), 3, &l), CEIR_OK);
	assert_int_equal(dirbs_compare(&empty, &l, note, &said), CEIR_OK);
	assert_true(str_eq_c(buf_view(&said), "+1,2,3|"));
	buf_free(&said);
	dirbs_list_close(&l);
	dirbs_list_close(&empty);
}

/* ---- at random: the differences lead from one to the other ---- */

#define N 400

struct applied {
	int rows[N]; /* 0: not there; else what stands in the row */
};

static enum ceir_err apply(void *ctx, enum dirbs_change change, struct str row)
{
	struct applied *a = ctx;
	int key = atoi(row.p), rest = atoi(row.p + dirbs_columns(row, 1).n);

	assert_true((change == DIRBS_ADDED) == !a->rows[key]);
	if (change == DIRBS_REMOVED)
		assert_int_equal(a->rows[key], rest);
	a->rows[key] = change == DIRBS_REMOVED ? 0 : rest;
	return CEIR_OK;
}

static void random_list(struct buf *text, struct applied *rows, unsigned *seed)
{
	int order[N];

	for (int i = 0; i < N; i++)
		order[i] = i;
	for (int i = N - 1; i > 0; i--) {
		int k = rand_r(seed) % (i + 1), t = order[i];
		order[i] = order[k];
		order[k] = t;
	}
	buf_c(text, "imei,rest\r\n");
	for (int i = 0; i < N; i++) {
		int k = order[i], r = rand_r(seed) % 3;

		rows->rows[k] = r;
		if (r)
			buf_printf(text, "%d,%d\r\n", k, r);
	}
	buf_char(text, '\0');
}

static void test_at_random(void **state)
{
	unsigned seed = 7;

	(void)state;
	for (unsigned round = 0; round < 50; round++) {
		struct buf from = BUF_INIT(0), to = BUF_INIT(0);
		struct applied now = {.rows = {0}}, then = {.rows = {0}};
		struct dirbs_list a, b;

		random_list(&from, &now, &seed);
		random_list(&to, &then, &seed);
		assert_int_equal(dirbs_list_open(write_list("from.csv", from.p), 1, &a), CEIR_OK);
		assert_int_equal(dirbs_list_open(write_list("to.csv", to.p), 1, &b), CEIR_OK);
		assert_int_equal(dirbs_compare(&a, &b, apply, &now), CEIR_OK);
		assert_memory_equal(&now, &then, sizeof now);
		dirbs_list_close(&a);
		dirbs_list_close(&b);
		buf_free(&from);
		buf_free(&to);
	}
}

static int make(void **state)
{
	(void)state;
	return test_folder(folder, sizeof folder, "ceir-dirbs") ? 0 : -1;
}

static int destroy(void **state)
{
	static const char *const names[] = {"l.csv", "from.csv", "to.csv", ""};
	char path[512];

	(void)state;
	for (size_t i = 0; i < CEIR_COUNT(names); i++) {
		snprintf(path, sizeof path, "%s/%s", folder, names[i]);
		remove(path);
	}
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_differences), cmocka_unit_test(test_looking), cmocka_unit_test(test_what_is_no_list),
		cmocka_unit_test(test_at_random)};

	return cmocka_run_group_tests(tests, make, destroy);
}

/* The form of an application's rows: whatever a person types comes back to the letter, and a damaged blob is told. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "registry/registry_internal.h"

static struct arena *arena;

static const struct str typed[] = {STR("352106050544203"), STR(""), STR("0"), STR("000000000000000"), STR("999999999999999"),
	STR("35210605054420"), STR("3521060505442030"), STR("35210605054420x"), STR("352106050544203\0"), STR("\xff\xfe\x00\x01"),
	STR("+52106050544203"), STR(" 35210605054420"), STR("\xd0\x96\xd0\x96"),
	STR("0123456789012345678901234567890123456789012345678901234567890123")};

static void round_trip(void **state)
{
	struct reg_device devices[CEIR_COUNT(typed)];
	struct reg_row_raw raw;
	struct str data;
	int64_t rows;

	(void)state;
	/* Devices of 1, 2, 3.. IMEIs out of the same list, again and again from another place. */
	for (size_t from = 0; from + 3 <= CEIR_COUNT(typed); from++) {
		size_t n = 0, at = from;

		for (unsigned k = 1; at + k <= CEIR_COUNT(typed); at += k, k = k % 3 + 1)
			devices[n++] = (struct reg_device){&typed[at], k};
		assert_int_equal(reg_rows_encode(arena, devices, n, &data, &rows), CEIR_OK);
		assert_int_equal(rows, at - from);
		int64_t row = 0;
		for (size_t d = 0; d < n; d++)
			for (unsigned k = 0; k < devices[d].n; k++, row++) {
				assert_int_equal(reg_rows_decode(data, rows, row, &raw), CEIR_OK);
				assert_true(str_eq(raw.imei, devices[d].imeis[k]));
				assert_int_equal(raw.first, k == 0);
			}
		assert_int_equal(reg_rows_decode(data, rows, row, &raw), CEIR_ECORRUPT);
		assert_int_equal(reg_rows_decode(data, rows, -1, &raw), CEIR_ECORRUPT);
		assert_int_equal(reg_rows_decode(data, rows, INT64_MAX, &raw), CEIR_ECORRUPT);
		assert_int_equal(reg_rows_decode(data, INT64_MAX, 0, &raw), CEIR_ECORRUPT);
	}
}

static void a_long_text_is_cut_between_characters(void **state)
{
	char text[256];
	struct str imei, data;
	struct reg_device device = {&imei, 1};
	struct reg_row_raw raw;
	int64_t rows;

	(void)state;
	for (size_t lead = 0; lead < 4; lead++)
		for (size_t n = 60; n < 80; n++) {
			memset(text, 'x', lead);
			for (size_t i = lead; i + 1 < sizeof text; i += 2)
				memcpy(text + i, "\xd0\x96", 2);
			imei = (struct str){text, lead + (n - lead) / 2 * 2};
			assert_int_equal(reg_rows_encode(arena, &device, 1, &data, &rows), CEIR_OK);
			assert_int_equal(reg_rows_decode(data, rows, 0, &raw), CEIR_OK);
			assert_true(str_is_utf8(raw.imei));
			assert_true(raw.imei.n <= 64 && raw.imei.n >= (imei.n < 61 ? imei.n : 61));
			assert_true(str_starts(imei, raw.imei));
		}
	/* Bytes that are no text at all are cut as well. */
	memset(text, 0x80, sizeof text);
	imei = (struct str){text, sizeof text};
	assert_int_equal(reg_rows_encode(arena, &device, 1, &data, &rows), CEIR_OK);
	assert_int_equal(reg_rows_decode(data, rows, 0, &raw), CEIR_OK);
	assert_in_range(raw.imei.n, 60, 64);
}

/* Every bit of a small blob turned, and every length: never a read outside of it. */
static void damaged(void **state)
{
	struct reg_device devices[] = {{typed, 3}, {typed + 5, 3}};
	struct reg_row_raw raw;
	struct str data;
	int64_t rows;

	(void)state;
	assert_int_equal(reg_rows_encode(arena, devices, 2, &data, &rows), CEIR_OK);
	for (size_t bit = 0; bit < data.n * 8; bit++) {
		char *copy = malloc(data.n);

		memcpy(copy, data.p, data.n);
		copy[bit / 8] = (char)(copy[bit / 8] ^ 1 << bit % 8);
		for (int64_t i = 0; i < rows; i++)
			if (reg_rows_decode((struct str){copy, data.n}, rows, i, &raw) == CEIR_OK)
				for (size_t k = 0; k < raw.imei.n; k++)
					assert_int_equal(raw.imei.p[k], *(volatile const char *)&raw.imei.p[k]);
		free(copy);
	}
	for (size_t n = 0; n < data.n; n++) {
		char *copy = malloc(n + 1);

		memcpy(copy, data.p, n);
		for (int64_t i = 0; i < rows; i++)
			(void)(reg_rows_decode((struct str){copy, n}, rows, i, &raw) == CEIR_OK);
		free(copy);
	}
}

static void nothing(void **state)
{
	struct reg_row_raw raw;
	struct str data;
	int64_t rows;

	(void)state;
	assert_int_equal(reg_rows_encode(arena, NULL, 0, &data, &rows), CEIR_OK);
	assert_int_equal(rows, 0);
	assert_int_equal(reg_rows_decode(data, 0, 0, &raw), CEIR_ECORRUPT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(round_trip), cmocka_unit_test(a_long_text_is_cut_between_characters),
		cmocka_unit_test(damaged), cmocka_unit_test(nothing)};
	arena = arena_new(0);
	int rc = cmocka_run_group_tests(tests, NULL, NULL);

	arena_free(arena);
	return rc;
}

/* RFC 3339 instants and calendar days. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>
#include <time.h>

#include "base/base.h"

static void every_day_goes_both_ways(void **state)
{
	char text[DATE_MAX];
	int32_t first, last, back;

	(void)state;
	assert_int_equal(date_parse(STR("1900-01-01"), &first), CEIR_OK);
	assert_int_equal(date_parse(STR("9999-12-31"), &last), CEIR_OK);
	assert_int_equal(first, -25567);
	assert_int_equal(last, 2932896);
	for (int32_t d = first; d <= last; d++) {
		date_print(d, text);
		if (date_parse(str_of(text), &back) != CEIR_OK || back != d)
			fail_msg("%d -> %s", d, text);
	}
}

static void days_agree_with_the_c_library(void **state)
{
	char text[DATE_MAX], expected[32];

	(void)state;
	for (int32_t d = -700000; d < 2900000; d += 997) {
		time_t t = (time_t)d * 86400;
		struct tm tm;

		assert_non_null(gmtime_r(&t, &tm));
		snprintf(expected, sizeof(expected), "%04d-%02d-%02d", tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday);
		date_print(d, text);
		assert_string_equal(text, expected);
	}
}

static void dates_that_do_not_exist(void **state)
{
	static const char *const bad[] = {"", "2023-02-29", "1900-02-29", "2100-02-29", "2024-02-30", "2024-04-31", "2024-13-01",
		"2024-00-10", "2024-01-00", "2024-01-32", "2024-1-01", "24-01-01", "2024/01/01", "2024-01-01Z", "2024-01-01 ",
		" 2024-01-01", "2024-01-0a", "20240101", "-2024-01-01", "2024-01", "2024-01-1"};
	int32_t days = 12345;

	(void)state;
	for (size_t i = 0; i < CEIR_COUNT(bad); i++)
		assert_int_equal(date_parse(str_of(bad[i]), &days), CEIR_EINVAL);
	assert_int_equal(date_parse(STR("1899-12-31"), &days), CEIR_ERANGE);
	assert_int_equal(days, 12345);
	assert_int_equal(date_parse(STR("2024-02-29"), &days), CEIR_OK);
	assert_int_equal(date_parse(STR("2000-02-29"), &days), CEIR_OK);
	assert_int_equal(date_parse(STR("2015-12-12"), &days), CEIR_OK);
	assert_int_equal(days, 16781);
}

static void instants_are_parsed(void **state)
{
	static const struct {
		const char *text;
		int64_t us;
	} cases[] = {
		{"1970-01-01T00:00:00Z", 0},
		{"1970-01-01T00:00:00.000001Z", 1},
		{"1969-12-31T23:59:59.999999Z", -1},
		{"1970-01-01t00:00:00z", 0},
		{"1970-01-01T02:00:00+02:00", 0},
		{"1969-12-31T18:30:00-05:30", 0},
		{"1970-01-01T00:00:00-00:00", 0},
		{"2026-11-24T23:42:05.123456789Z", 1795563725123456},
		{"2026-11-24T23:42:05.1Z", 1795563725100000},
		{"2016-12-31T23:59:60Z", 1483228800000000}, /* a leap second that was */
		{"2017-01-01T00:59:60.5+01:00", 1483228800500000},
		{"2024-02-29T12:00:00Z", 1709208000000000},
	};

	(void)state;
	for (size_t i = 0; i < CEIR_COUNT(cases); i++) {
		int64_t us = 77;

		assert_int_equal(time_parse(str_of(cases[i].text), &us), CEIR_OK);
		assert_true(us == cases[i].us);
	}
}

static void instants_that_do_not_exist(void **state)
{
	static const char *const bad[] = {"", "2026-11-24", "2026-11-24T23:42:05", "2026-11-24 23:42:05Z", "2026-11-24T23:42Z",
		"2026-11-24T24:00:00Z", "2026-11-24T23:60:00Z", "2026-11-24T23:42:61Z", "2026-11-24T23:42:60Z",
		"2026-11-24T23:59:60Z", "2026-11-24T23:42:05.Z", "2026-11-24T23:42:05,1Z", "2026-11-24T23:42:05+0200",
		"2026-11-24T23:42:05+02", "2026-11-24T23:42:05+24:00", "2026-11-24T23:42:05+02:60", "2026-11-24T23:42:05ZZ",
		"2026-11-24T23:42:05Z ", "2023-02-29T00:00:00Z", "0000-01-01T00:00:00+00:01", "9999-12-31T23:59:59-00:01",
		"9999-12-31T23:59:60Z", "2026-11-24T2x:42:05Z"};
	int64_t us = 77;

	(void)state;
	for (size_t i = 0; i < CEIR_COUNT(bad); i++)
		assert_int_equal(time_parse(str_of(bad[i]), &us), CEIR_EINVAL);
	assert_true(us == 77);
}

static void instants_are_printed(void **state)
{
	static const char *const texts[] = {"0000-01-01T00:00:00.000000Z", "1969-12-31T23:59:59.999999Z",
		"1970-01-01T00:00:00.000000Z", "2026-11-24T23:42:05.123456Z", "9999-12-31T23:59:59.999999Z"};
	char out[TIME_RFC3339_MAX];
	int64_t us;

	(void)state;
	for (size_t i = 0; i < CEIR_COUNT(texts); i++) {
		assert_int_equal(time_parse(str_of(texts[i]), &us), CEIR_OK);
		time_rfc3339(us, out);
		assert_string_equal(out, texts[i]);
	}
	time_rfc3339(INT64_MAX, out);
	assert_string_equal(out, "9999-12-31T23:59:59.999999Z");
	time_rfc3339(INT64_MIN, out);
	assert_string_equal(out, "0000-01-01T00:00:00.000000Z");
	assert_int_equal(date_of_us(-1), -1);
	assert_int_equal(date_of_us(0), 0);
	assert_int_equal(date_of_us(86399999999), 0);
	assert_int_equal(date_of_us(86400000000), 1);
}

static void clocks_run(void **state)
{
	int64_t before = clock_mono_us();

	(void)state;
	assert_true(clock_real_us() > 1700000000000000);
	assert_true(clock_mono_us() >= before);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_day_goes_both_ways),
		cmocka_unit_test(days_agree_with_the_c_library),
		cmocka_unit_test(dates_that_do_not_exist),
		cmocka_unit_test(instants_are_parsed),
		cmocka_unit_test(instants_that_do_not_exist),
		cmocka_unit_test(instants_are_printed),
		cmocka_unit_test(clocks_run),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

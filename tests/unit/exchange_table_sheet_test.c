/* Within ceir-table: numbers and dates of spreadsheets; and the frames it sends, from one that may be believed and from one that may not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <string.h>
#include <unistd.h>

#include "exchange/exchange_table_sheet.h"
#include "exchange_table_world.h"

static void number(const char *text, const char *expected, enum table_fault fault)
{
	char out[TABLE_NUMBER_BYTES];
	double v;

	assert_int_equal(table_number_parse(str_of(text), &v, out), fault);
	assert_string_equal(out, expected);
}

static void numbers(void **state)
{
	(void)state;
	number("0", "0", TABLE_GOOD);
	number("-0", "0", TABLE_GOOD);
	number("007", "7", TABLE_GOOD);
	number(" 352106000000007 ", "352106000000007", TABLE_GOOD);
	number("3.52106000000007E+14", "352106000000007", TABLE_GOOD);
	number("352106000000007.0", "352106000000007", TABLE_GOOD);
	number("999999999999999", "999999999999999", TABLE_GOOD);
	number("1000000000000000", "1000000000000000", TABLE_FAULT_PRECISION);
	number("3.52106000000007E+15", "3521060000000070", TABLE_FAULT_PRECISION);
	number("352106000000007.5", "352106000000008", TABLE_FAULT_PRECISION);
	number("1.1000000000000001", "1.1", TABLE_GOOD);
	number("0.30000000000000004", "0.3", TABLE_GOOD);
	number("-12.50", "-12.5", TABLE_GOOD);
	number("1E-7", "0.0000001", TABLE_GOOD);
	number("100", "100", TABLE_GOOD);
	number("1E+2", "100", TABLE_GOOD);
	number("1E+40", "1.00000000000000e+40", TABLE_FAULT_PRECISION);
	number("1E+400", "#NUM!", TABLE_FAULT_CELL);
	number("0x10", "0x10", TABLE_FAULT_CELL);
	number("1,5", "1,5", TABLE_FAULT_CELL);
	number("abc", "abc", TABLE_FAULT_CELL);
	number("", "#NUM!", TABLE_FAULT_CELL);
	number("nan", "#NUM!", TABLE_FAULT_CELL);
}

/* Every number of up to 15 digits is its own text, by whichever way it comes. */
static void numbers_of_15_digits(void **state)
{
	uint64_t x = 88172645463325252u;

	(void)state;
	for (int i = 0; i < 20000; i++) {
		char expected[32], exponent[40], out[TABLE_NUMBER_BYTES];
		double v;

		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		snprintf(expected, sizeof(expected), "%llu", (unsigned long long)(x % 1000000000000000u));
		snprintf(exponent, sizeof(exponent), "%.14E", (double)(x % 1000000000000000u));
		assert_int_equal(table_number_text((double)(x % 1000000000000000u), out), TABLE_GOOD);
		assert_string_equal(out, expected);
		assert_int_equal(table_number_parse(str_of(exponent), &v, out), TABLE_GOOD);
		assert_string_equal(out, expected);
	}
}

static void date(double serial, bool from_1904, const char *expected, enum table_cell_type expected_type)
{
	char out[TABLE_NUMBER_BYTES];
	enum table_cell_type type;
	enum table_fault fault = table_date_text(serial, from_1904, &type, out);

	if (expected == NULL) {
		assert_int_equal(fault, TABLE_FAULT_CELL);
		return;
	}
	assert_int_equal(fault, TABLE_GOOD);
	assert_string_equal(out, expected);
	assert_int_equal(type, expected_type);
}

static void dates(void **state)
{
	(void)state;
	date(1, false, "1900-01-01", TABLE_DATE);
	date(59, false, "1900-02-28", TABLE_DATE);
	date(60, false, NULL, 0);
	date(61, false, "1900-03-01", TABLE_DATE);
	date(25569, false, "1970-01-01", TABLE_DATE);
	date(46351, false, "2026-11-25", TABLE_DATE);
	date(46351.4166782407, false, "2026-11-25T10:00:01Z", TABLE_DATE);
	date(46351.9999999, false, "2026-11-26", TABLE_DATE);
	date(46351 - 1462, true, "2026-11-25", TABLE_DATE);
	date(0, true, "1904-01-01", TABLE_DATE);
	date(0.5, false, "12:00:00", TABLE_TEXT);
	date(2958465, false, "9999-12-31", TABLE_DATE);
	date(2958465.99999999, false, NULL, 0);
	date(2958466, false, NULL, 0);
	date(-1, false, NULL, 0);
	date(NAN, false, NULL, 0);
}

static void formats(void **state)
{
	(void)state;
	assert_true(table_format_id_is_date(14) && table_format_id_is_date(22) && table_format_id_is_date(45) && table_format_id_is_date(47));
	assert_false(table_format_id_is_date(0) || table_format_id_is_date(13) || table_format_id_is_date(23) || table_format_id_is_date(49));
	assert_true(table_format_is_date(STR("dd\\.mm\\.yyyy")));
	assert_true(table_format_is_date(STR("[$-422]D MMMM YYYY")));
	assert_true(table_format_is_date(STR("h:mm")));
	assert_false(table_format_is_date(STR("General")));
	assert_false(table_format_is_date(STR("0.00E+00")));
	assert_false(table_format_is_date(STR("\"day\" 0\\d_d*y")));
	assert_false(table_format_is_date(STR("[Red]0;[Red]d")));
	assert_false(table_format_is_date(STR("\"open d")));
	assert_false(table_format_is_date(STR("0\\")));
}

/* ---- frames ---- */

static enum ceir_err collect(void *ctx, struct str frames)
{
	buf_str(ctx, frames);
	return CEIR_OK;
}

static void frames_go_round(void **state)
{
	struct buf sent = BUF_INIT(0);
	struct table_encoder e = {.frames = BUF_INIT(0), .out = collect, .ctx = &sent};
	struct table_cell cells[TABLE_COLUMNS_MAX];
	struct table_frame frame;
	struct table_row row;
	struct str in;

	(void)state;
	table_encode_form(&e, TABLE_XLSX);
	table_encode_row(&e, 5000000000u);
	table_encode_cell(&e, 1, TABLE_TEXT, STR(" Ї "));
	table_encode_cell(&e, 2, TABLE_TEXT, STR("  "));
	table_encode_cell(&e, 63, TABLE_NUMBER, STR("12"));
	table_encode_fault(&e, TABLE_FAULT_CELL, 64);
	table_encode_fault(&e, TABLE_FAULT_COLUMNS, 0); /* the first one counts */
	table_encode_row_end(&e);
	table_encode_row(&e, 5000000001u); /* blank */
	table_encode_row_end(&e);
	table_encode_row(&e, 5000000002u); /* never ended */
	table_encode_cell(&e, 0, TABLE_TEXT, STR("x"));
	assert_int_equal(table_encode_end(&e, TABLE_WHY_BOMB), CEIR_OK);
	in = buf_view(&sent);
	for (size_t n = 0; n < TABLE_FRAME_HEAD + 1; n++) {
		struct str part = {in.p, n};

		assert_int_equal(table_frame_take(&part, &frame), CEIR_ENOENT);
		assert_int_equal(part.n, n);
	}
	assert_int_equal(table_frame_take(&in, &frame), CEIR_OK);
	assert_true(frame.type == TABLE_FRAME_FORM && frame.body.p[0] == TABLE_XLSX);
	assert_int_equal(table_frame_take(&in, &frame), CEIR_OK);
	assert_int_equal(table_frame_row(frame.body, cells, &row), CEIR_OK);
	assert_true(row.line == 5000000000u && row.n == 64 && row.fault == TABLE_FAULT_CELL && row.column == 64);
	assert_true(str_eq_c(cells[1].text, "Ї") && cells[1].type == TABLE_TEXT && cells[2].type == TABLE_EMPTY && str_eq_c(cells[63].text, "12"));
	assert_int_equal(table_frame_take(&in, &frame), CEIR_OK);
	assert_true(frame.type == TABLE_FRAME_FAIL && frame.body.p[0] == TABLE_WHY_BOMB && in.n == 0);
	buf_free(&e.frames);
	buf_free(&sent);
}

static enum ceir_err row_of(struct str body)
{
	struct table_cell cells[TABLE_COLUMNS_MAX];
	struct table_row row;

	return table_frame_row(body, cells, &row);
}

#define LINE "\1\0\0\0\0\0\0\0"

static void frames_not_believed(void **state)
{
	static const struct str frames[] = {STR("\0\0\0\0\0"), STR("\6\0\0\0\0"), STR("\2\xff\xff\xff\xff"), STR("\2\1\0\x40\0"), STR("\1\0\0\0\0"),
		STR("\1\1\0\0\0\5"), STR("\1\2\0\0\0\1\1"), STR("\2\4\0\0\0aaaa"), STR("\3\0\0\0\0"), STR("\4\1\0\0\0a"), STR("\5\1\0\0\0\0"), STR("\5\1\0\0\0\xff")};
	static const struct str rows[] = {STR(LINE "\6\0\0"), STR(LINE "\0\x41\0"), STR(LINE "\0\0\1"), STR(LINE "\0\0\1\0\1\2\0a"), STR(LINE "\0\0\1\0\1\0\0"),
		STR(LINE "\0\0\1\0\0\1\0a"), STR(LINE "\0\0\1\0\5\1\0a"), STR(LINE "\0\0\1\x40\1\1\0a"), STR(LINE "\0\0\1\0\1\1\0\xff"), STR(LINE "\0\0\1\0\1\1\0\0"),
		STR(LINE "\0\0\2\1\1\1\0a\1\1\1\0b"), STR(LINE "\0\0\2\1\1\1\0a\0\1\1\0b"), STR(LINE "\0\0\1\0\1\1\0ab"), STR(LINE "\0\0\1\0\1\xff\xff"), STR("")};

	(void)state;
	for (size_t i = 0; i < CEIR_COUNT(frames); i++) {
		struct str in = frames[i];
		struct table_frame frame;

		assert_int_equal(table_frame_take(&in, &frame), CEIR_EINVAL);
	}
	assert_int_equal(row_of(STR(LINE "\0\0\2\0\1\1\0a\1\1\1\0b")), CEIR_OK);
	for (size_t i = 0; i < CEIR_COUNT(rows); i++)
		assert_int_equal(row_of(rows[i]), CEIR_EINVAL);
}

static void every_why_has_a_text(void **state)
{
	(void)state;
	for (unsigned w = 1; w < TABLE_WHYS; w++)
		assert_true(strlen(table_why_text((enum table_why)w)) > 10);
	for (unsigned f = 0; f < TABLE_FAULTS; f++)
		assert_true(table_fault_code(f) != NULL && strlen(table_fault_text(f)) > 10);
	assert_null(table_fault_code(TABLE_FAULTS));
}

/* ---- the parser within the test, where the sanitizers see it ---- */

static enum ceir_err refuse(void *ctx, struct str frames)
{
	(void)ctx, (void)frames;
	return CEIR_EIO;
}

static void parser_in_process(void **state)
{
	static const char *const fixtures[] = {"permits.xlsx", "permits.xls"};
	const struct table_sheet_limits limits = {1 << 30, 1000, 1 << 20};

	(void)state;
	for (size_t i = 0; i < CEIR_COUNT(fixtures); i++) {
		struct buf sent = BUF_INIT(0);
		struct table_frame frame;
		size_t rows = 0;
		struct str in;
		int fd = table_fixture(fixtures[i]);

		assert_int_equal(table_sheet_run(fd, &limits, collect, &sent), CEIR_OK);
		in = buf_view(&sent);
		while (table_frame_take(&in, &frame) == CEIR_OK)
			rows += frame.type == TABLE_FRAME_ROW;
		assert_int_equal(rows, 6);
		assert_true(frame.type == TABLE_FRAME_END && in.n == 0);
		assert_int_equal(table_sheet_run(fd, &limits, refuse, NULL), CEIR_EIO);
		close(fd);
		buf_free(&sent);
	}
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(numbers),
		cmocka_unit_test(numbers_of_15_digits),
		cmocka_unit_test(dates),
		cmocka_unit_test(formats),
		cmocka_unit_test(frames_go_round),
		cmocka_unit_test(frames_not_believed),
		cmocka_unit_test(every_why_has_a_text),
		cmocka_unit_test(parser_in_process),
	};

	table_world_args(argc, argv);
	return cmocka_run_group_tests(tests, NULL, NULL);
}

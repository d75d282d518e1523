/*
 * CSV, in and out. A file is written here as one string and what the reader made of it as another: fields in <>, a bad
 * line as !line:field:text of the fault!; each case is read whole and cut into pieces of every small size.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "exchange/exchange.h"

static const char *const short_faults[CSV_FAULTS] = {"good", "long", "fields", "nul", "utf8", "open", "after", "utf16"};

static void show_row(struct buf *out, const struct csv_row *row, enum csv_step step)
{
	if (step == CSV_BAD_ROW) {
		buf_printf(out, "!%lu:%zu:%s!", (unsigned long)row->line, row->field, short_faults[row->fault]);
		return;
	}
	assert_int_equal(row->fault, CSV_GOOD);
	buf_printf(out, "%lu", (unsigned long)row->line);
	for (size_t i = 0; i < row->count; i++) {
		buf_char(out, '<');
		buf_str(out, row->fields[i]);
		buf_char(out, '>');
	}
}

static void read_in_pieces(struct str file, size_t piece, const struct csv_limits *limits, struct buf *out)
{
	struct csv_reader *r = csv_new(limits);
	struct csv_row row;
	enum csv_step step;

	assert_non_null(r);
	for (;;) {
		while ((step = csv_next(r, &row)) == CSV_ROW || step == CSV_BAD_ROW)
			show_row(out, &row, step);
		if (step == CSV_END)
			break;
		if (file.n == 0) {
			csv_finish(r);
		} else {
			size_t n = piece < file.n ? piece : file.n;
			/* On the heap and of this size, so that ASan sees a read behind it. */
			char *copy = malloc(n);

			assert_non_null(copy);
			memcpy(copy, file.p, n);
			csv_feed(r, (struct str){copy, n});
			file = (struct str){file.p + n, file.n - n};
			while ((step = csv_next(r, &row)) == CSV_ROW || step == CSV_BAD_ROW)
				show_row(out, &row, step);
			assert_int_equal(step, CSV_MORE);
			free(copy);
		}
	}
	assert_int_equal(csv_next(r, &row), CSV_END);
	csv_free(r);
}

static void expect(struct str file, const struct csv_limits *limits, const char *expected)
{
	for (size_t piece = 1; piece <= file.n + 1; piece += piece < 20 ? 1 : file.n) {
		struct buf out = BUF_INIT(0);

		read_in_pieces(file, piece, limits, &out);
		if (!str_eq_c(buf_view(&out), expected))
			fail_msg("pieces of %zu: got %.*s, expected %s", piece, (int)out.n, out.p == NULL ? "" : out.p, expected);
		buf_free(&out);
	}
}

static void plain_rows(void **state)
{
	(void)state;
	expect(STR(""), NULL, "");
	expect(STR("\n\n  \r\n"), NULL, "");
	expect(STR("a"), NULL, "1<a>");
	expect(STR("a,b\nc,d\n"), NULL, "1<a><b>2<c><d>");
	expect(STR("a,b\r\nc,d\r\n"), NULL, "1<a><b>2<c><d>");
	expect(STR("a,b\rc,d\r"), NULL, "1<a><b>2<c><d>");
	expect(STR("a,b\r\rc,d"), NULL, "1<a><b>3<c><d>");
	expect(STR("a\n\n\r\n  \nb"), NULL, "1<a>5<b>");
	expect(STR(",\n,,\n"), NULL, "1<><>2<><><>");
	expect(STR("a, b ,c"), NULL, "1<a>< b ><c>");
	expect(STR("\xef\xbb\xbf"
		   "a,b\n"),
		NULL, "1<a><b>");
	expect(STR("\xef\xbb\xbf"), NULL, "");
	expect(STR("\xef\xbb"), NULL, "!1:1:utf8!");
}

static void separators(void **state)
{
	(void)state;
	expect(STR("a;b\n1,5;2\n"), NULL, "1<a><b>2<1,5><2>");
	expect(STR("1,5;2,5\n"), NULL, "1<1,5><2,5>");
	expect(STR("352106050544203,5\n"), NULL, "1<352106050544203><5>");
	expect(STR("a\tb,c;d\te\n"), NULL, "1<a><b,c;d><e>");
	expect(STR("a,b,c;d\n"), NULL, "1<a><b><c;d>");
	expect(STR("\"a;b;c\",d\n"), NULL, "1<a;b;c><d>");
	expect(STR("\n\na;b\n"), NULL, "3<a><b>");
	expect(STR("sep=;\na,b;c\n"), NULL, "2<a,b><c>");
	expect(STR("sep=|\na,b|c\n"), NULL, "2<a,b><c>");
	expect(STR("\xef\xbb\xbfsep=\t\r\na,b\tc\n"), NULL, "2<a,b><c>");
	expect(STR("sep=;x\n"), NULL, "1<sep=><x>");
	expect(STR("sep=x\n"), NULL, "1<sep=x>");
	expect(STR("a,b;c\n"), &(struct csv_limits){.separator = ';'}, "1<a,b><c>");
	expect(STR("sep=;\n"), &(struct csv_limits){.separator = ','}, "1<sep=;>");
}

static void quotes(void **state)
{
	(void)state;
	expect(STR("\"a\",\"b\"\n"), NULL, "1<a><b>");
	expect(STR("\"a,b\",\"\"\n"), NULL, "1<a,b><>");
	expect(STR("\"say \"\"hi\"\"\",\"\"\"\"\n"), NULL, "1<say \"hi\"><\">");
	expect(STR("\"a\"  ,  \"b\" \n"), NULL, "1<a><b>");
	expect(STR("\"a\nb\r\nc\",d\ne\n"), NULL, "1<a\nb\r\nc><d>4<e>");
	expect(STR("x,\"a\n\n\"\"\nb\",\"c\n\"\ny"), NULL, "1<x><a\n\n\"\nb><c\n>6<y>");
	expect(STR("=\"0123\",=\"\"\n"), NULL, "1<0123><>");
	expect(STR("5\" screen,a\"b\"c\n"), NULL, "1<5\" screen><a\"b\"c>");
	expect(STR("\"a\"\"\"\"b\",\"c\"\n"), NULL, "1<a\"\"b><c>");
	expect(STR("\"a\""), NULL, "1<a>");
	expect(STR("\"a\"\r"), NULL, "1<a>");
}

static void wrong_quotes_cost_one_line(void **state)
{
	(void)state;
	expect(STR("a\n\"b\"c,d\ne\n"), NULL, "1<a>!2:1:after!3<e>");
	expect(STR("a,\"b\n"), NULL, "!1:2:open!");
	expect(STR("a,\"b"), NULL, "!1:2:open!");
	expect(STR("a,\"b\nc,d\ne,f\n"), NULL, "!1:2:open!2<c><d>3<e><f>");
	expect(STR("a,\"b\nc,d\ne,\"f\ng\n"), NULL, "!1:2:after!2<c><d>!3:2:open!4<g>");
	expect(STR("\"a\n1\n2\n3\n4\n"), &(struct csv_limits){.record_lines = 2}, "!1:1:open!2<1>3<2>4<3>5<4>");
	expect(STR("\"a\n1\"\n2\n"), &(struct csv_limits){.record_lines = 2}, "1<a\n1>3<2>");
	expect(STR("\"a\n1\"\n2\n"), &(struct csv_limits){.record_lines = 1}, "!1:1:open!2<1\">3<2>");
	expect(STR("x,\"aaaaaaa\nb\n"), &(struct csv_limits){.line_bytes = 10}, "!1:2:open!2<b>");
	expect(STR("\"a\nb\"c\nd"), NULL, "!1:1:after!2<b\"c>3<d>");
}

static void wrong_bytes(void **state)
{
	(void)state;
	expect(STR("a,b\0c\nd\n"), NULL, "!1:2:nul!2<d>");
	expect(STR("a,b,\xff\nd\n"), NULL, "!1:3:utf8!2<d>");
	expect(STR("a,\"b\n\xe2\x82\"\nd\n"), NULL, "!1:2:utf8!3<d>");
	expect(STR("\"a\"\0,b\nd"), NULL, "!1:1:after!2<d>");
	expect(STR("\0\n\0"), NULL, "!1:1:nul!!2:1:nul!");
	expect(STR("\xff\xfe"
		   "a\0,\0b\0\n\0a\0"),
		NULL, "!1:0:utf16!");
	expect(STR("\xfe\xff\0a\0\n"), NULL, "!1:0:utf16!");
	expect(STR("\xff\xfe"), NULL, "!1:0:utf16!");
	for (int f = 0; f < CSV_FAULTS; f++)
		assert_true(strlen(csv_fault_text((enum csv_fault)f)) > 10);
}

static void limits_are_exact(void **state)
{
	const struct csv_limits l = {.line_bytes = 8, .fields = 3};

	(void)state;
	expect(STR("12345678\n1\n"), &l, "1<12345678>2<1>");
	expect(STR("12345678\r\n1\n"), &l, "1<12345678>2<1>");
	expect(STR("123456789\n1\n"), &l, "!1:0:long!2<1>");
	expect(STR("123456789012345678901234567890\r\n1\n"), &l, "!1:0:long!2<1>");
	expect(STR("123456789\r1\n"), &l, "!1:0:long!2<1>");
	expect(STR("1\n123456789"), &l, "1<1>!2:0:long!");
	expect(STR("1\n123456789\r"), &l, "1<1>!2:0:long!");
	expect(STR("1,2,3\n1,2,3,4\n1,2,\n1,2,,\n5\n"), &l, "1<1><2><3>!2:0:fields!3<1><2><>!4:0:fields!5<5>");
	expect(STR("\"1\",2,,4\n5\n"), &l, "!1:0:fields!2<5>");
}

static void a_bad_row_shows_what_came(void **state)
{
	struct csv_reader *r = csv_new(NULL);
	struct csv_row row;

	(void)state;
	csv_feed(r, STR("a,\"b\"x,c\r\nq,\"1\n2\"z\n"));
	csv_finish(r);
	assert_int_equal(csv_next(r, &row), CSV_BAD_ROW);
	assert_true(str_eq_c(row.raw, "a,\"b\"x,c"));
	assert_int_equal(row.count, 0);
	assert_int_equal(csv_next(r, &row), CSV_BAD_ROW);
	assert_true(str_eq_c(row.raw, "q,\"1"));
	assert_int_equal(csv_next(r, &row), CSV_ROW);
	assert_true(str_eq_c(row.fields[0], "2\"z"));
	assert_int_equal(csv_separator(r), ',');
	csv_free(r);
	csv_free(NULL);
}

static void a_line_longer_than_the_window(void **state)
{
	struct buf file = BUF_INIT(0), out = BUF_INIT(0);

	(void)state;
	for (int i = 0; i < 300000; i++)
		buf_c(&file, i % 7 == 0 ? "\"" : "x");
	buf_c(&file, "\nnext\n");
	for (size_t piece = 1000; piece <= 1000000; piece *= 10)
		read_in_pieces(buf_view(&file), piece, NULL, &out);
	assert_true(str_eq_c(buf_view(&out), "!1:0:long!2<next>!1:0:long!2<next>!1:0:long!2<next>!1:0:long!2<next>"));
	buf_free(&file);
	buf_free(&out);
}

/* Counts rows of a file made of `times` copies of `line`. */
static void count(struct str line, size_t times, size_t *good, size_t *bad, uint64_t *last_line)
{
	struct csv_reader *r = csv_new(NULL);
	struct buf chunk = BUF_INIT(0);
	struct csv_row row;
	enum csv_step step;

	*good = *bad = 0;
	for (int i = 0; i < 1000; i++)
		buf_str(&chunk, line);
	for (size_t fed = 0; fed <= times / 1000; fed++) {
		if (fed < times / 1000)
			csv_feed(r, buf_view(&chunk));
		else
			csv_finish(r);
		while ((step = csv_next(r, &row)) == CSV_ROW || step == CSV_BAD_ROW) {
			*good += step == CSV_ROW;
			*bad += step == CSV_BAD_ROW;
			*last_line = row.line;
		}
	}
	assert_int_equal(step, CSV_END);
	buf_free(&chunk);
	csv_free(r);
}

static void a_million_lines(void **state)
{
	static const struct {
		struct str line;
		size_t good, bad;
	} cases[] = {
		{STR("352106050544203,Samsung,GT-P3100\n"), 1000000, 0},
		{STR("352106050544203,\0\n"), 0, 1000000},
		{STR("\xff\xff\r\n"), 0, 1000000},
		{STR("\"a\"b\n"), 0, 1000000},
		{STR("\"\"\"x\n"), 0, 1000000}, /* each opens and none closes */
		{STR("\"open\n"), 0, 1000000},
	};

	(void)state;
	for (size_t i = 0; i < CEIR_COUNT(cases); i++) {
		size_t good, bad;
		uint64_t last_line = 0;
		int64_t start = clock_mono_us();

		count(cases[i].line, 1000000, &good, &bad, &last_line);
		print_message("%zu: %.2f million lines/s\n", i, 1e6 / (double)(clock_mono_us() - start));
		assert_int_equal(good, cases[i].good);
		assert_int_equal(bad, cases[i].bad);
		assert_int_equal(last_line, 1000000);
	}
}

static void header_names(void **state)
{
	const struct str fields[] = {STR("IMEI"), STR(" Model "), STR("")};
	const struct csv_row header = {.fields = fields, .count = 3};
	size_t column = 9;

	(void)state;
	assert_true(csv_header_find(&header, "imei", &column));
	assert_int_equal(column, 0);
	assert_true(csv_header_find(&header, "MODEL", &column));
	assert_int_equal(column, 1);
	assert_false(csv_header_find(&header, "mode", &column));
	assert_int_equal(column, 1);
}

static void fields_are_written(void **state)
{
	const struct str plain[] = {STR("a"), STR("b;c"), STR("d,e"), STR("f\"g"), STR("h\ni"), STR(""), STR("=1+1")};
	const struct str formulas[] = {
		STR("=1"), STR("+1"), STR("-1"), STR("@x"), STR("\tx"), STR("\rx"), STR("=\"x\""), STR("1=1"), STR("")};
	const struct str empty = STR("");
	struct buf b = BUF_INIT(0);

	(void)state;
	csv_put_row(&b, plain, CEIR_COUNT(plain), ',', CSV_VERBATIM);
	csv_put_row(&b, plain, 3, ';', CSV_VERBATIM);
	csv_put_row(&b, formulas, CEIR_COUNT(formulas), ',', CSV_NO_FORMULAS);
	csv_put_row(&b, &empty, 1, ',', CSV_VERBATIM);
	assert_true(str_eq_c(buf_view(&b), "a,b;c,\"d,e\",\"f\"\"g\",\"h\ni\",,=1+1\r\n"
					   "a;\"b;c\";d,e\r\n"
					   "'=1,'+1,'-1,'@x,'\tx,\"'\rx\",\"'=\"\"x\"\"\",1=1,\r\n"
					   "\"\"\r\n"));
	expect(buf_view(&b), NULL,
		"1<a><b;c><d,e><f\"g><h\ni><><=1+1>3<a;\"b;c\";d><e>"
		"4<'=1><'+1><'-1><'@x><'\tx><'\rx><'=\"x\"><1=1><>6<>");
	buf_free(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(plain_rows),
		cmocka_unit_test(separators),
		cmocka_unit_test(quotes),
		cmocka_unit_test(wrong_quotes_cost_one_line),
		cmocka_unit_test(wrong_bytes),
		cmocka_unit_test(limits_are_exact),
		cmocka_unit_test(a_bad_row_shows_what_came),
		cmocka_unit_test(a_line_longer_than_the_window),
		cmocka_unit_test(a_million_lines),
		cmocka_unit_test(header_names),
		cmocka_unit_test(fields_are_written),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

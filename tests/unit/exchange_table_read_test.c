/* Tables as they come: every form, packed and plain, whole and broken, as spreadsheets write them and as strangers might. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "exchange_table_world.h"
#include "test_amount.h"
#include "test_folder.h"
#include "test_packing.h"

#define RECORDS "<records xmlns='urn:ceir:params:xml:ns:records-1.0' type='permit'>"
#define SHEET(rows) STR("<worksheet><sheetData>" rows "</sheetData></worksheet>")
#define TEXT(t) "<c t='inlineStr'><is><t>" t "</t></is></c>"

static void expect(const char *file, const char *expected)
{
	table_expect(table_file(str_of(file)), expected);
}

static void expect_why(struct str file, enum ceir_err err, const char *words)
{
	table_expect_why(table_file(file), NULL, err, words);
}

/* ---- CSV ---- */

static void csv_rows(void **state)
{
	(void)state;
	expect("a,b,c\n1, 2 ,3\n", "csv: a|b|c\n2 1|2|3\n");
	expect("\xef\xbb\xbf" "a;b\r\n\r\n;;\n1\n\n2;3;;\n", "csv: a|b\n4 1|\n6 2|3\n");
	expect("a\tb\n\"x\ty\"\tz\n", "csv: a|b\n2 x\ty|z\n");
	expect("a|b\nx|y\n", "csv: a|b\n2 x|y\n");
	expect("a|b,c\nx|y,z\n", "csv: a|b|c\n2 x|y|z\n");
	expect("a,,c\nx,,\n", "csv: a||c\n2 x||\n");
	expect("one\n", "csv: one\n");
	expect("one", "csv: one\n");
	expect("a,b\n=\"0123\",\"in \"\"quotes\"\"\"\n", "csv: a|b\n2 0123|in \"quotes\"\n");
}

static void csv_bad_rows(void **state)
{
	(void)state;
	expect("a,b\n1,2,3\n4,5\n", "csv: a|b\n2 [columns@0] 1|2\n3 4|5\n");
	expect("a,b\n\"open,2\n4,5\n", "csv: a|b\n2 [line@1] |\n3 4|5\n");
	expect("a,b\n\xd0\xaf,1\n\xff\xfe,2\n3,4\n", "csv: a|b\n2 \xd0\xaf|1\n3 [line@1] |\n4 3|4\n");
	expect("a,b\n3.52106E+14,1\n1,\"3,52106E+14\"\n3E+14,\n5E+1,E+14\n3.5E+14x,a3.5E+14\n",
		"csv: a|b\n2 [exponent@1] 3.52106E+14|1\n3 [exponent@2] 1|3,52106E+14\n4 [exponent@1] 3E+14|\n5 5E+1|E+14\n6 3.5E+14x|a3.5E+14\n");
}

static void csv_sizes(void **state)
{
	struct buf file = BUF_INIT(0), out = BUF_INIT(0);

	(void)state;
	buf_c(&file, "a,b\n");
	for (size_t i = 0; i < TABLE_CELL_MAX; i++)
		buf_char(&file, 'x');
	buf_c(&file, ",1\n");
	for (size_t i = 0; i < TABLE_CELL_MAX / 2 + 1; i++)
		buf_c(&file, "\xd0\xaf");
	buf_c(&file, ",2\n");
	for (size_t i = 0; i < 2000000; i++)
		buf_char(&file, 'y');
	buf_c(&file, "\n3,4\n");
	table_dump(table_file(buf_view(&file)), NULL, &out);
	buf_char(&out, '\0');
	assert_true(strncmp(out.p, "csv: a|b\n2 xxx", 14) == 0);
	assert_non_null(strstr(out.p, "xxx|1\n3 [cell@1] "));
	assert_non_null(strstr(out.p, "\xd0\xaf|2\n4 [line@0] |\n5 3|4\n"));
	buf_free(&file);
	buf_free(&out);
}

static void csv_width(void **state)
{
	struct buf file = BUF_INIT(0), expected = BUF_INIT(0);

	(void)state;
	buf_c(&expected, "csv: ");
	for (int i = 1; i <= 64; i++) {
		buf_printf(&file, "c%d;", i);
		buf_printf(&expected, "%sc%d", i > 1 ? "|" : "", i);
	}
	buf_c(&file, ";;;\n");
	buf_c(&expected, "\n");
	buf_char(&expected, '\0');
	table_expect(table_file(buf_view(&file)), expected.p);
	file.n -= 4;
	buf_c(&file, "c65\n");
	table_expect_why(table_file(buf_view(&file)), NULL, CEIR_ELIMIT, "more than 64 columns");
	buf_free(&file);
	buf_free(&expected);
}

static void csv_windows_1251(void **state)
{
	(void)state;
	/* "Київ", "№ 5 «Їжак»" */
	expect("city,name\n\xca\xe8\xbf\xe2,\xb9 5 \xab\xaf\xe6\xe0\xea\xbb\nplain,x\n\xa5\xb4\xaa\xba\xb2\xb3,\n",
		"csv: city|name\n2 Київ|№ 5 «Їжак»\n3 plain|x\n4 ҐґЄєІі|\ncp1251\n");
	expect("\xec\xee\xe4\xe5\xeb\xfc\r\xc0\r", "csv: модель\n2 А\ncp1251\n");
	/* What is valid UTF-8 by chance is not taken for it once the file has shown what it is. */
	expect("a\n\xca\xe8\xbf\xe2\n\xd0\xb0\n", "csv: a\n2 Київ\n3 Р°\ncp1251\n");
	/* A byte that the code page does not have; bytes that are more signs than letters; a file that has shown itself as UTF-8. */
	expect("a\n\xca\xe8\x98\n", "csv: a\n2 [line@1] \n");
	expect("a\n\xa9\xae\xc0\xb1\n", "csv: a\n2 [line@1] \n");
	expect("a\n\xd0\xaf\n\xca\xe8\xbf\xe2\n", "csv: a\n2 Я\n3 [line@1] \n");
	expect("\xef\xbb\xbf" "a\n\xca\xe8\xbf\xe2\n", "csv: a\n2 [line@1] \n");
}

/* UTF-16 of ASCII and of what is given as units. */
static void utf16(struct buf *out, const char *ascii, const uint16_t *units, size_t n, bool big)
{
	for (; *ascii != '\0'; ascii++) {
		buf_char(out, big ? '\0' : *ascii);
		buf_char(out, big ? *ascii : '\0');
	}
	for (size_t i = 0; i < n; i++) {
		buf_char(out, (char)(big ? units[i] >> 8 : units[i]));
		buf_char(out, (char)(big ? units[i] : units[i] >> 8));
	}
}

static void csv_utf16(void **state)
{
	static const uint16_t city[] = {0x41a, 0x438, 0x457, 0x432, 0xd83d, 0xde00, '\r', '\n'}, half[] = {0xd83d};

	(void)state;
	for (int big = 0; big < 2; big++) {
		struct buf file = BUF_INIT(0);

		buf_put(&file, big ? "\xfe\xff" : "\xff\xfe", 2);
		utf16(&file, "a\tb\r\nx\t", city, CEIR_COUNT(city), big);
		utf16(&file, "y\t\"in\tquotes\"\r\nz\t", half, 1, big);
		table_expect(table_file(buf_view(&file)), "csv: a|b\n2 x|Київ😀\n3 y|in\tquotes\n4 [line@2] |\n");
		buf_free(&file);
	}
}

/* Blocks are cut somewhere: no line is lost, no character broken. */
static void csv_long(void **state)
{
	(void)state;
	for (int encoding = 0; encoding < 3; encoding++) {
		struct buf file = BUF_INIT(0), expected = BUF_INIT(0);
		uint16_t unit = 0x44f;

		if (encoding == 2)
			buf_put(&file, "\xff\xfe", 2);
		for (int i = 0; i < 30000; i++) {
			char line[32];

			snprintf(line, sizeof(line), "%.*s%d", i % 13, "abcdefghijklmnop", i);
			if (encoding == 2) {
				utf16(&file, line, &unit, 1, false);
				utf16(&file, "\n", NULL, 0, false);
			} else {
				buf_printf(&file, "%s%s\n", line, encoding == 0 ? "я" : "\xff");
			}
			if (i == 0)
				buf_printf(&expected, "csv: %sя\n", line);
			else
				buf_printf(&expected, "%d %sя\n", i + 1, line);
		}
		buf_c(&expected, encoding == 1 ? "cp1251\n" : "");
		buf_char(&expected, '\0');
		table_expect(table_file(buf_view(&file)), expected.p);
		buf_free(&file);
		buf_free(&expected);
	}
}

static void no_table(void **state)
{
	(void)state;
	expect_why(STR(""), CEIR_EINVAL, "empty");
	expect_why(STR("\n\n ; ;\n"), CEIR_EINVAL, "empty");
	expect_why(STR("\xef\xbb\xbf"), CEIR_EINVAL, "empty");
	expect_why(STR("%PDF-1.4\n1 0 obj\n"), CEIR_EINVAL, "not a table");
	expect_why(STR("\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\1"), CEIR_EINVAL, "not a table");
	expect_why(STR("\x7f" "ELF\2\1\1\0\0\0\0\0\0\0\0\0"), CEIR_EINVAL, "not a table");
	expect_why(STR("\"a,b\n1,2\n"), CEIR_EINVAL, "names of the columns");
}

static void rows_limit(void **state)
{
	const struct table_limits two = {.rows = 2};
	struct buf out = BUF_INIT(0);

	(void)state;
	table_dump(table_file(STR("a\n1\n2\n")), &two, &out);
	assert_true(str_eq_c(buf_view(&out), "csv: a\n2 1\n3 2\n"));
	buf_free(&out);
	table_expect_why(table_file(STR("a\n1\n2\n3\n")), &two, CEIR_ELIMIT, "more rows");
}

/* ---- XML ---- */

static void xml_rows(void **state)
{
	(void)state;
	expect(RECORDS "\n<permit><id>1</id><number> A-1 &amp; co </number><tag>x</tag><tag>y</tag></permit>\n"
		"<permit/><permit><number><![CDATA[<2>]]></number>\n<id/></permit>\n<permit><tag>3.5E+14</tag></permit></records>",
		"xml: id|number|tag\n2 1|A-1 & co|x y\n3 |<2>|\n5 [exponent@3] ||3.5E+14\n");
	expect("\xef\xbb\xbf<?xml version='1.0'?>\n<!-- c --><r:records xmlns:r='urn:ceir:params:xml:ns:records-1.0'><r:p/><r:p><r:a>Ї</r:a></r:p></r:records>",
		"xml: a\n2 Ї\n");
	expect("<?xml version='1.0' encoding='windows-1251'?>" RECORDS "<p><a>\xca\xe8\xbf\xe2</a></p></records>", "xml: a\n1 Київ\n");
}

static void xml_bad_rows(void **state)
{
	(void)state;
	expect(RECORDS "<p><a>1</a></p>\n<p><a>2</a><b>3</b></p>\n<p>text<a>4</a></p>\n<p><a>5</a></p></records>",
		"xml: a\n1 1\n2 [columns@0] 2\n3 [line@0] 4\n4 5\n");
}

static void xml_refused(void **state)
{
	struct buf file = BUF_INIT(0);

	(void)state;
	expect_why(STR("<records><p><a>1</a></p></records>"), CEIR_EINVAL, "expected the XML element records");
	expect_why(STR("<html><body/></html>"), CEIR_EINVAL, "expected the XML element records");
	expect_why(STR("<!DOCTYPE records [<!ENTITY a 'b'>]>" RECORDS "<p><a>&a;</a></p></records>"), CEIR_EINVAL, "DOCTYPE");
	expect_why(STR(RECORDS "<p><a>&a;</a></p></records>"), CEIR_EINVAL, "well-formed");
	expect_why(STR(RECORDS "<p><a><b/></a></p></records>"), CEIR_EINVAL, "nested too deeply");
	expect_why(STR(RECORDS "</records>"), CEIR_EINVAL, "empty");
	expect_why(STR(RECORDS "<p><a>1</a></p>"), CEIR_EINVAL, "well-formed");
	expect(RECORDS "<p><a>1</a></p>\n<p><a>2</b></p></records>", "xml: a\n1 1\nwhy the file is not well-formed XML from here on\n");
	buf_c(&file, RECORDS "<p>");
	for (int i = 0; i < 65; i++)
		buf_printf(&file, "<c%d/>", i);
	buf_c(&file, "</p></records>");
	table_expect_why(table_file(buf_view(&file)), NULL, CEIR_ELIMIT, "more than 64 columns");
	buf_free(&file);
}

static void xml_long(void **state)
{
	struct buf file = BUF_INIT(0), expected = BUF_INIT(0);

	(void)state;
	buf_c(&file, RECORDS "\n");
	buf_c(&expected, "xml: imei|model\n");
	for (int i = 0; i < 20000; i++) {
		buf_printf(&file, "<permit><imei>35210600%07d</imei><model>Їжак</model></permit>\n", i);
		buf_printf(&expected, "%d 35210600%07d|Їжак\n", i + 2, i);
	}
	buf_c(&file, "<permit><imei>");
	for (size_t i = 0; i < 200000; i++)
		buf_c(&file, "€");
	buf_c(&file, "</imei></permit></records>");
	buf_printf(&expected, "20002 [cell@1] ");
	for (size_t i = 0; i < TABLE_CELL_MAX / 3; i++)
		buf_c(&expected, "€");
	buf_c(&expected, "|\n");
	{
		struct buf out = BUF_INIT(0);

		table_dump(table_file(buf_view(&file)), NULL, &out);
		assert_true(out.n >= expected.n - 200);
		assert_memory_equal(out.p, expected.p, expected.n - 200);
		buf_free(&out);
	}
	buf_free(&file);
	buf_free(&expected);
}

/* What the schema allows, and what it does not. */
static void xml_schema(void **state)
{
	static const struct {
		const char *file;
		bool valid;
	} cases[] = {
		{RECORDS "<permit><id>1</id><tag>a</tag><tag>b</tag></permit><permit/></records>", true},
		{RECORDS "</records>", true},
		{"<records xmlns='urn:other'/>", false},
		{RECORDS "<p xmlns='urn:other'/></records>", false},
		{RECORDS "text</records>", false},
	};

	(void)state;
	for (size_t i = 0; i < CEIR_COUNT(cases); i++) {
		char path[] = "/tmp/table-test-XXXXXX", command[8192];
		int fd = mkstemp(path);

		assert_int_equal(fd_write_all(fd, cases[i].file, strlen(cases[i].file)), CEIR_OK);
		close(fd);
		snprintf(command, sizeof(command), "xmllint --noout --nonet --schema %s/schemas/records-1.0.xsd %s 2>/dev/null", table_source, path);
		assert_int_equal(system(command) == 0, cases[i].valid);
		unlink(path);
	}
}

/* ---- spreadsheets ---- */

static void fixture_xlsx(void **state)
{
	(void)state;
	table_expect(table_fixture("permits.xlsx"),
		"xlsx: imei|model|issued|changed|valid|price\n"
		"2 012106000000008|Телефон «Їжак» & Co|d<2026-11-25>|d<2026-11-25T10:00:01Z>|b<yes>|n<1.1>\n"
		"3 n<352106000000007>|plain|||b<no>|n<-5>\n"
		"5 [precision@1] n<3521060000000070>|||||\n"
		"6 [exponent@1] 3.52106E+14|||||\n"
		"7 |aб||||n<2.2>\n");
}

static void fixture_xls(void **state)
{
	(void)state;
	table_expect(table_fixture("permits.xls"),
		"xls: imei|model|issued|changed|valid|price\n"
		"2 012106000000008|Телефон «Їжак» & Co|d<2026-11-25>|d<2026-11-25T10:00:01Z>|b<yes>|n<1.1>\n"
		"3 n<352106000000007>|plain|||b<no>|n<-5>\n"
		"5 [precision@1] n<3521060000000071>|||||\n"
		"6 [exponent@1] 3.52106E+14|||||\n"
		"7 |aб||||n<2.2>\n");
}

static void xlsx_cells(void **state)
{
	static const char strings[] = "<sst><si><t>one</t></si><si><r><t>t</t></r><r><t xml:space='preserve'>wo </t></r><rPh><t>no</t></rPh></si><si/></sst>";
	static const char styles[] = "<styleSheet><numFmts><numFmt numFmtId='164' formatCode='dd.mm.yyyy'/><numFmt numFmtId='165' formatCode='\"day\" 0.00'/></numFmts>"
				     "<cellStyleXfs><xf numFmtId='14'/></cellStyleXfs><cellXfs><xf numFmtId='0'/><xf numFmtId='14'/><xf numFmtId='164'/><xf numFmtId='165'/></cellXfs></styleSheet>";

	(void)state;
	table_expect(table_xlsx(SHEET("<row r='2'><c r='A2' t='s'><v>0</v></c><c r='C2' t='s'><v>1</v></c><c r='D2' t='str'><f>x</f><v>four</v></c></row>"
				      "<row r='4'><c r='D4' s='1'><v>46351</v></c></row>"
				      "<row r='5'><c r='A5'><v>3.52106E+14</v></c><c r='B5' t='e'><v>#N/A</v></c></row>"
				      "<row><c s='2'><v>1.25</v></c><c s='3'><v>1.50</v></c><c t='b'><v>1</v></c><c t='d'><v>2026-11-25T00:00:00</v></c></row>"
				      "<row r='9'><c r='A9' t='s'><v>2</v></c><c r='E9'><v>1</v></c></row>"
				      "<row r='10'><c r='BA10'/><c r='CA10' s='1'/></row><row r='11'><c r='XFD11'><v>1</v></c></row>"),
			     strings, styles),
		"xlsx: one||two|four\n"
		"4 |||d<2026-11-25>\n"
		"5 [cell@2] n<352106000000000>|#N/A||\n"
		"6 d<1900-01-01T06:00:00Z>|n<1.5>|b<yes>|d<2026-11-25>\n"
		"9 [columns@0] |||\n"
		"11 [columns@0] |||\n");
}

static void xlsx_refused(void **state)
{
	static const struct table_entry ods[] = {{"mimetype", STR("application/vnd.oasis.opendocument.spreadsheet")}, {"content.xml", STR("<x/>")}, {NULL, {NULL, 0}}};
	static const struct table_entry docx[] = {{"[Content_Types].xml", STR("<Types/>")},
		{"_rels/.rels", STR("<R><Relationship Type='urn:x/officeDocument' Target='word/document.xml'/></R>")}, {"word/document.xml", STR("<d/>")}, {NULL, {NULL, 0}}};

	(void)state;
	table_expect_why(table_zip(ods, NULL), NULL, CEIR_EINVAL, "OpenDocument");
	table_expect_why(table_zip(docx, NULL), NULL, CEIR_EINVAL, "no sheet");
	table_expect_why(table_xlsx(SHEET(""), NULL, NULL), NULL, CEIR_EINVAL, "empty");
	table_expect_why(table_xlsx(STR("<worksheet><sheetData><row>" TEXT("a")), NULL, NULL), NULL, CEIR_EINVAL, "cannot be read as a spreadsheet");
	table_expect_why(table_xlsx(SHEET("<row>" TEXT("a") "</row><row><c t='s'><v>7</v></c></row>"), NULL, NULL), NULL, CEIR_EINVAL, "cannot be read as a spreadsheet");
	table_expect_why(table_xlsx(SHEET("<row><c r='B1'><v>1</v></c><c r='A1'><v>1</v></c></row>"), NULL, NULL), NULL, CEIR_EINVAL, "cannot be read");
	table_expect_why(table_xlsx(STR("<!DOCTYPE w [<!ENTITY a 'b'>]><worksheet>&a;</worksheet>"), NULL, NULL), NULL, CEIR_EINVAL, "DOCTYPE");
	table_expect_why(table_xlsx(SHEET("<row><c r='BM1'><v>1</v></c></row>"), NULL, NULL), NULL, CEIR_ELIMIT, "more than 64 columns");
}

/* ---- packed ---- */

static const char csv_file[] = "imei;model\n352106000000007;x\n";
static const char csv_expected[] = "csv: imei|model\n2 352106000000007|x\n";

static void archives(void **state)
{
	const struct table_entry one[] = {{"a/", {NULL, 0}}, {"a/b.csv", str_of(csv_file)}, {"__MACOSX/a/._b.csv", STR("junk")}, {"a/.DS_Store", STR("junk")}, {NULL, {NULL, 0}}};
	const struct table_entry two[] = {{"a.csv", str_of(csv_file)}, {"b.csv", str_of(csv_file)}, {NULL, {NULL, 0}}};
	const struct table_entry none[] = {{"a/", {NULL, 0}}, {NULL, {NULL, 0}}};

	(void)state;
	table_expect(table_zip(one, NULL), csv_expected);
	table_expect_why(table_zip(two, NULL), NULL, CEIR_EINVAL, "more than one file");
	table_expect_why(table_zip(none, NULL), NULL, CEIR_EINVAL, "no file");
	table_expect_why(table_zip(one, "secret"), NULL, CEIR_EINVAL, "password");
}

static void archive_damaged(void **state)
{
	struct buf text = BUF_INIT(0);
	struct table_entry one[] = {{"a.csv", {NULL, 0}}, {NULL, {NULL, 0}}};
	struct stat st;
	int fd;

	(void)state;
	for (int i = 0; i < 5000; i++)
		buf_printf(&text, "%d,%d\n", i, i * 7919 % 10007);
	one[0].bytes = buf_view(&text);
	fd = table_zip(one, NULL);
	assert_int_equal(pwrite(fd, "\xff\xff\xff\xff\xff\xff", 6, 500), 6);
	table_expect_why(fd, NULL, CEIR_EINVAL, "ZIP archive is damaged");
	fd = table_zip(one, NULL);
	assert_int_equal(fstat(fd, &st), 0);
	assert_int_equal(ftruncate(fd, st.st_size - 30), 0);
	table_expect_why(fd, NULL, CEIR_EINVAL, "ZIP archive is damaged");
	buf_free(&text);
}

static struct str content(int fd, struct buf *b)
{
	char chunk[65536];
	ssize_t n;
	off_t at = 0;

	while ((n = pread(fd, chunk, sizeof(chunk), at)) > 0) {
		buf_put(b, chunk, (size_t)n);
		at += n;
	}
	close(fd);
	return buf_view(b);
}

static void layers(void **state)
{
	struct buf b[5] = {BUF_INIT(0), BUF_INIT(0), BUF_INIT(0), BUF_INIT(0), BUF_INIT(0)};
	struct table_entry one[] = {{"a", {NULL, 0}}, {NULL, {NULL, 0}}};

	(void)state;
	test_gzip(&b[0], str_of(csv_file));
	table_expect(table_file(buf_view(&b[0])), csv_expected);
	test_zstd(&b[1], buf_view(&b[0]));
	table_expect(table_file(buf_view(&b[1])), csv_expected);
	test_gzip(&b[2], buf_view(&b[1]));
	table_expect_why(table_file(buf_view(&b[2])), NULL, CEIR_EINVAL, "more than twice");
	one[0].bytes = buf_view(&b[0]);
	table_expect(table_zip(one, NULL), csv_expected);
	one[0].bytes = buf_view(&b[1]);
	table_expect_why(table_zip(one, NULL), NULL, CEIR_EINVAL, "more than twice");
	/* A workbook in an archive, packed once more. */
	one[0].bytes = content(table_xlsx(SHEET("<row>" TEXT("a") "</row><row><c><v>1</v></c></row>"), NULL, NULL), &b[3]);
	table_expect(table_zip(one, NULL), "xlsx: a\n2 n<1>\n");
	buf_clear(&b[2]);
	test_zstd(&b[4], content(table_zip(one, NULL), &b[2]));
	table_expect(table_file(buf_view(&b[4])), "xlsx: a\n2 n<1>\n");
	/* Cut off, and nothing in it. */
	table_expect_why(table_file((struct str){b[0].p, b[0].n - 3}), NULL, CEIR_EINVAL, "damaged or cut off");
	buf_clear(&b[0]);
	test_gzip(&b[0], STR(""));
	table_expect_why(table_file(buf_view(&b[0])), NULL, CEIR_EINVAL, "empty");
	for (size_t i = 0; i < CEIR_COUNT(b); i++)
		buf_free(&b[i]);
}

/* ---- bombs, and children that fail ---- */

/* Packs to a thousandth and less. */
static void fill(struct buf *b, const char *text, size_t n)
{
	while (b->n < n)
		buf_c(b, text);
}

static void bombs(void **state)
{
	const struct table_limits narrow = {.ratio = 100}, small = {.unpacked_bytes = 1 << 20};
	struct buf text = BUF_INIT(0), packed = BUF_INIT(0), sheet = BUF_INIT(0);
	struct table_entry one[] = {{"a.csv", {NULL, 0}}, {NULL, {NULL, 0}}};

	(void)state;
	fill(&text, "a,b\n", 4 << 20);
	one[0].bytes = buf_view(&text);
	test_gzip(&packed, buf_view(&text));
	table_expect_why(table_file(buf_view(&packed)), &narrow, CEIR_ELIMIT, "far more");
	table_expect_why(table_file(buf_view(&packed)), &small, CEIR_ELIMIT, "larger than allowed");
	table_expect_why(table_zip(one, NULL), &narrow, CEIR_ELIMIT, "far more");
	table_expect_why(table_zip(one, NULL), &small, CEIR_ELIMIT, "larger than allowed");
	buf_c(&sheet, "<worksheet><sheetData>");
	fill(&sheet, "<row><c t='b'><v>1</v></c></row>", 4 << 20);
	table_expect_why(table_xlsx(buf_view(&sheet), NULL, NULL), &narrow, CEIR_ELIMIT, "far more");
	table_expect_why(table_xlsx(buf_view(&sheet), NULL, NULL), &small, CEIR_ELIMIT, "larger than allowed");
	buf_free(&text);
	buf_free(&packed);
	buf_free(&sheet);
}

static void xlsx_memory(void **state)
{
	const struct table_limits little = {.memory_mib = 64, .ratio = 100000};
	struct buf strings = BUF_INIT(0);

	(void)state;
	buf_c(&strings, "<sst>");
	fill(&strings, "<si><t>0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789</t></si>", 40 << 20);
	buf_c(&strings, "</sst>");
	buf_char(&strings, '\0');
	table_expect_why(table_xlsx(SHEET("<row>" TEXT("a") "</row>"), strings.p, NULL), &little, CEIR_ELIMIT, "more memory");
	buf_free(&strings);
}

/* A million cells in a row, a billion rows by number, a cell without end, elements without end: each costs no more than reading it. */
static void xlsx_hostile(void **state)
{
	const struct table_limits any = {.ratio = 100000};
	struct buf sheet = BUF_INIT(0);

	(void)state;
	buf_c(&sheet, "<worksheet><sheetData><row>" TEXT("a") "</row><row r='1000000000'>");
	fill(&sheet, "<c><v>1</v></c>", 3 << 20);
	buf_c(&sheet, "</row></sheetData></worksheet>");
	table_expect(table_xlsx(buf_view(&sheet), NULL, NULL), "xlsx: a\n1000000000 [columns@0] n<1>\n");
	buf_clear(&sheet);
	buf_c(&sheet, "<worksheet><sheetData><row>" TEXT("a") "</row><row><c t='str'><v>");
	fill(&sheet, "endless ", 3 << 20);
	buf_c(&sheet, "</v></c></row></sheetData></worksheet>");
	{
		struct buf out = BUF_INIT(0);

		table_dump(table_xlsx(buf_view(&sheet), NULL, NULL), &any, &out);
		assert_true(out.n > 32000 && out.n < 33000);
		assert_memory_equal(out.p, "xlsx: a\n2 [cell@1] endless", 26);
		buf_free(&out);
	}
	buf_clear(&sheet);
	fill(&sheet, "<a>", 1 << 20);
	table_expect_why(table_xlsx(buf_view(&sheet), NULL, NULL), &any, CEIR_EINVAL, "cannot be read as a spreadsheet");
	buf_free(&sheet);
}

static void xls_hostile(void **state)
{
	struct buf file = BUF_INIT(0);
	struct str whole = content(table_fixture("permits.xls"), &file);

	(void)state;
	expect_why((struct str){whole.p, 512}, CEIR_EINVAL, "spreadsheet");
	expect_why((struct str){whole.p, 3000}, CEIR_EINVAL, "spreadsheet");
	/* A compound file without a workbook: what a workbook of today becomes by a password. */
	for (size_t at = 512; at + 128 <= file.n; at += 128)
		if (memcmp(file.p + at, "W\0o\0r\0k\0b\0", 10) == 0)
			file.p[at] = 'X';
	table_expect_why(table_file(buf_view(&file)), NULL, CEIR_EINVAL, "password");
	buf_free(&file);
}

/* In place of ceir-table: a shell script. words NULL: it is not the file's matter. */
static void with_helper(const char *script, enum ceir_err err, const char *words)
{
	char path[] = "/tmp/table-test-XXXXXX";
	const struct table_limits l = {.helper = path, .cpu_s = 1};
	int fd = mkstemp(path), table = table_xlsx(SHEET(""), NULL, NULL);
	struct table_reader *t;

	assert_int_equal(fd_write_all(fd, script, strlen(script)), CEIR_OK);
	fchmod(fd, 0700);
	close(fd);
	if (words) {
		table_expect_why(table, &l, err, words);
	} else {
		assert_int_equal(table_open(table, &l, &t), err);
		assert_null(t);
		close(table);
	}
	unlink(path);
}

static void children_that_fail(void **state)
{
	(void)state;
	with_helper("#!/bin/sh\nexit 0\n", CEIR_EINVAL, "cannot be read as a spreadsheet");
	with_helper("#!/bin/sh\nkill -9 $$\n", CEIR_EINVAL, "cannot be read as a spreadsheet");
	with_helper("#!/bin/sh\nkill -XCPU $$\n", CEIR_ELIMIT, "longer than allowed");
	with_helper("#!/bin/sh\necho something else entirely\n", CEIR_EINVAL, "cannot be read as a spreadsheet");
	with_helper("#!/bin/sh\nexec 1>&-\nwhile :; do :; done\n", CEIR_EINVAL, "cannot be read as a spreadsheet");
	with_helper("#!/bin/sh\nprintf '\\001\\001\\000\\000\\000\\002\\003'; exit 0\n", CEIR_EINVAL, "cannot be read as a spreadsheet");
}

/* Where ceir-table cannot be caged nothing is said of the file; one that has begun to read it cannot say so any more. */
static void a_child_that_is_unfit(void **state)
{
	(void)state;
	log_setup(stderr, false, LOG_ERROR_);
	with_helper("#!/bin/sh\nexit 3\n", CEIR_EIO, NULL);
	with_helper("#!/bin/sh\nprintf '\\001\\001\\000\\000\\000\\002'; exit 3\n", CEIR_EINVAL, "cannot be read as a spreadsheet");
}

static void child_that_hangs(void **state)
{
	(void)state;
	with_helper("#!/bin/sh\nexec sleep 600\n", CEIR_ELIMIT, "longer than allowed");
}

static void no_helper(void **state)
{
	const struct table_limits l = table_limits_here((struct table_limits){.helper = "/nonexistent/ceir-table"});
	struct table_reader *t;
	int fd = table_xlsx(SHEET(""), NULL, NULL);

	(void)state;
	log_setup(stderr, false, LOG_ERROR_);
	assert_int_equal(table_open(fd, &l, &t), CEIR_ENOENT);
	assert_null(t);
	close(fd);
}

/* ---- where ceir-table is ---- */

#define READ_ONE "--read-one"

/* As another program: reads a workbook with that helper, or with whatever it finds. Its exit status: the error. */
static int read_one(const char *helper)
{
	const struct table_limits l = table_limits_here((struct table_limits){.helper = helper});
	struct table_reader *t;
	int fd = table_xlsx(SHEET("<row>" TEXT("a") "</row>"), NULL, NULL);

	log_setup(stderr, false, LOG_ERROR_);
	enum ceir_err err = table_open(fd, &l, &t);

	table_close(t);
	return -(int)err;
}

static void copy_file(const char *from, const char *to)
{
	struct buf bytes = BUF_INIT(0);

	assert_int_equal(file_read(from, (size_t)1 << 30, &bytes), CEIR_OK);
	assert_int_equal(file_write(to, buf_view(&bytes), 0700), CEIR_OK);
	buf_free(&bytes);
}

/* Runs a copy of this program that stands in the folder; its exit status, and what it logged. */
static int run_there(const char *folder, struct buf *log)
{
	char program[512], out[512], line[2048];

	snprintf(program, sizeof(program), "%s/program", folder);
	snprintf(out, sizeof(out), "%s/log", folder);
	copy_file("/proc/self/exe", program);
	snprintf(line, sizeof(line), "%s " READ_ONE " 2> %s", program, out);
	int status = system(line);
	buf_clear(log);
	assert_int_equal(file_read(out, 1 << 20, log), CEIR_OK);
	buf_char(log, '\0');
	unlink(program);
	unlink(out);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* Beside the running program when it can be run there; else where it was installed, and nowhere else. */
static void helper_is_found(void **state)
{
	char folder[256], beside[512], helper[4096];
	struct buf log = BUF_INIT(0);

	(void)state;
	assert_true(test_folder(folder, sizeof(folder), "table-helper"));
	snprintf(beside, sizeof(beside), "%s/ceir-table", folder);
	assert_non_null(realpath(table_helper, helper));
	assert_int_equal(symlink(helper, beside), 0);
	assert_int_equal(run_there(folder, &log), 0);
	unlink(beside);
	/* What is no program is passed over. Where a ceir is installed its own is taken. */
	assert_int_equal(file_write(beside, STR("#!/bin/sh\nexit 0\n"), 0600), CEIR_OK);
	if (run_there(folder, &log) != 0) {
		assert_non_null(strstr(log.p, "/ceir/ceir-table, which reads spreadsheets"));
		assert_null(strstr(log.p, folder));
	}
	/* What is there is taken, whatever it is. */
	assert_int_equal(file_write(beside, STR("#!/bin/sh\nexit 3\n"), 0700), CEIR_OK);
	assert_int_equal(run_there(folder, &log), -CEIR_EIO);
	unlink(beside);
	assert_int_equal(rmdir(folder), 0);
	buf_free(&log);
}

/* A process whose parent this one is; 0: there is none. */
static pid_t child_of_this(void)
{
	DIR *proc = opendir("/proc");
	const struct dirent *d;
	pid_t found = 0;

	assert_non_null(proc);
	while (found == 0 && (d = readdir(proc)) != NULL) {
		struct buf status = BUF_INIT(0);
		char path[300], parent[40];

		snprintf(path, sizeof(path), "/proc/%s/status", d->d_name);
		snprintf(parent, sizeof(parent), "\nPPid:\t%d\n", (int)getpid());
		if (d->d_name[0] >= '0' && d->d_name[0] <= '9' && file_read(path, 1 << 20, &status) == CEIR_OK) {
			buf_char(&status, '\0');
			if (strstr(status.p, parent) != NULL)
				found = (pid_t)atoi(d->d_name);
		}
		buf_free(&status);
	}
	closedir(proc);
	return found;
}

/* A sheet that no pipe holds: its reader's child waits in the middle of it. */
static int long_sheet(void)
{
	struct buf sheet = BUF_INIT(0);
	int fd;

	buf_c(&sheet, "<worksheet><sheetData>");
	for (int i = 0; i < 200000; i++)
		buf_printf(&sheet, "<row><c><v>%d</v></c></row>", i);
	buf_c(&sheet, "</sheetData></worksheet>");
	fd = table_xlsx(buf_view(&sheet), NULL, NULL);
	buf_free(&sheet);
	return fd;
}

/* The caller's place in the file is its own, whoever reads; a reader that is left early leaves no child behind. */
static void leaves_nothing(void **state)
{
	const struct table_limits l = table_limits_here((struct table_limits){0});
	struct table_reader *t;
	struct table_row row;
	int fd = long_sheet();

	(void)state;
	assert_int_equal(lseek(fd, 7, SEEK_SET), 7);
	assert_int_equal(table_open(fd, &l, &t), CEIR_OK);
	assert_int_equal(table_next(t, &row), CEIR_OK);
	assert_int_equal(lseek(fd, 0, SEEK_CUR), 7);
	assert_true(child_of_this() > 0);
	table_close(t);
	assert_int_equal(child_of_this(), 0);
	close(fd);
}

/* Every file the child has open is the table, its pipe, or nothing. */
static void files_of_child(pid_t pid, const char *table)
{
	char folder[64], path[400], target[300];
	const struct dirent *d;
	DIR *fds;

	snprintf(folder, sizeof(folder), "/proc/%d/fd", (int)pid);
	fds = opendir(folder);
	assert_non_null(fds);
	while ((d = readdir(fds)) != NULL) {
		ssize_t n;

		snprintf(path, sizeof(path), "%s/%s", folder, d->d_name);
		n = readlink(path, target, sizeof(target) - 1);
		if (n < 0)
			continue; /* . and .. */
		target[n] = '\0';
		if (strcmp(target, table) != 0 && strncmp(target, "pipe:", 5) != 0 && strcmp(target, "/dev/null") != 0)
			fail_msg("%s: %s", path, target);
	}
	closedir(fds);
}

/* What the system says of the child: the filter is on, nothing of this process has come along. */
static void child_is_caged(void **state)
{
	const struct table_limits l = table_limits_here((struct table_limits){0});
	int fd = long_sheet(), secret = open("/etc/passwd", O_RDONLY); /* without O_CLOEXEC */
	struct buf status = BUF_INIT(0), environment = BUF_INIT(0);
	char path[64], table[300];
	struct table_reader *t;
	ssize_t n;
	pid_t pid;

	(void)state;
	setenv("CEIR_TEST_SECRET", "x", 1);
	assert_int_equal(table_open(fd, &l, &t), CEIR_OK); /* a row has come: the child is past its preparations */
	pid = child_of_this();
	snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
	assert_int_equal(file_read(path, 1 << 20, &status), CEIR_OK);
	buf_char(&status, '\0');
	assert_non_null(strstr(status.p, "NoNewPrivs:\t1"));
	if (!CEIR_SANITIZED) /* as in ceir_table.c */
		assert_non_null(strstr(status.p, "Seccomp:\t2"));
	snprintf(path, sizeof(path), "/proc/%d/environ", (int)pid);
	assert_int_equal(file_read(path, 1 << 20, &environment), CEIR_OK);
	assert_int_equal(environment.n, 0);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	n = readlink(path, table, sizeof(table) - 1);
	assert_true(n > 0);
	table[n] = '\0';
	files_of_child(pid, table);
	assert_int_equal(getsid(pid), pid);
	table_close(t);
	close(secret);
	close(fd);
	buf_free(&status);
	buf_free(&environment);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(csv_rows),
		cmocka_unit_test(csv_bad_rows),
		cmocka_unit_test(csv_sizes),
		cmocka_unit_test(csv_width),
		cmocka_unit_test(csv_windows_1251),
		cmocka_unit_test(csv_utf16),
		cmocka_unit_test(csv_long),
		cmocka_unit_test(no_table),
		cmocka_unit_test(rows_limit),
		cmocka_unit_test(xml_rows),
		cmocka_unit_test(xml_bad_rows),
		cmocka_unit_test(xml_refused),
		cmocka_unit_test(xml_long),
		cmocka_unit_test(xml_schema),
		cmocka_unit_test(fixture_xlsx),
		cmocka_unit_test(fixture_xls),
		cmocka_unit_test(xlsx_cells),
		cmocka_unit_test(xlsx_refused),
		cmocka_unit_test(archives),
		cmocka_unit_test(archive_damaged),
		cmocka_unit_test(layers),
		cmocka_unit_test(bombs),
		cmocka_unit_test(xlsx_memory),
		cmocka_unit_test(xlsx_hostile),
		cmocka_unit_test(xls_hostile),
		cmocka_unit_test(children_that_fail),
		cmocka_unit_test(child_that_hangs),
		cmocka_unit_test(a_child_that_is_unfit),
		cmocka_unit_test(helper_is_found),
		cmocka_unit_test(no_helper),
		cmocka_unit_test(leaves_nothing),
		cmocka_unit_test(child_is_caged),
	};

	if ((argc == 2 || argc == 3) && strcmp(argv[1], READ_ONE) == 0)
		return read_one(argv[2]);
	table_world_args(argc, argv);
	return cmocka_run_group_tests(tests, NULL, NULL);
}

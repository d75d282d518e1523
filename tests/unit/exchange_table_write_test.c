/*
 * Tables out: what is written can be read with other libraries: CSV with our reader, XML with libxml2, workbooks with libzip and libxml2; every
 * character, every limit; a file that cannot be written whole is told.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <dirent.h>
#include <fcntl.h>
#include <libxml/parser.h>
#include <libxml/tree.h>
#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zip.h>

#include "exchange/exchange.h"
#include "exchange/exchange_table.h"

static char dir[] = "/tmp/ceir-table-XXXXXX";
static char path[64];
static int scratch, file;

static const char *const columns[] = {"imei", "name", "note"};
#define N CEIR_COUNT(columns)

static struct table_writer *begin(enum table_form form)
{
	struct table_writer *w;

	assert_int_equal(ftruncate(file, 0), 0);
	assert_int_equal(lseek(file, 0, SEEK_SET), 0);
	assert_int_equal(table_writer_new(file, form, "device", columns, N, false, scratch, &w), CEIR_OK);
	return w;
}

static enum ceir_err row(struct table_writer *w, struct str a, struct str b, struct str c)
{
	const struct str cells[] = {a, b, c};

	return table_writer_row(w, cells);
}

static struct buf slurp(void)
{
	struct buf b = BUF_INIT(64 << 20);

	assert_int_equal(file_read(path, 64 << 20, &b), CEIR_OK);
	return b;
}

static void assert_file(const char *text)
{
	struct buf b = slurp();

	buf_char(&b, '\0');
	assert_string_equal(b.p, text);
	buf_free(&b);
}

static int open_files(void)
{
	DIR *d = opendir("/proc/self/fd");
	int n = 0;

	assert_non_null(d);
	while (readdir(d))
		n++;
	closedir(d);
	return n;
}

/* ---- a workbook, read ---- */

static char *part(const char *name, size_t *n)
{
	int why;
	zip_t *zip = zip_open(path, ZIP_RDONLY | ZIP_CHECKCONS, &why);
	zip_stat_t st;

	assert_non_null(zip);
	assert_int_equal(zip_stat(zip, name, 0, &st), 0);
	zip_file_t *f = zip_fopen(zip, name, 0);
	char *text = calloc(1, st.size + 1);
	assert_int_equal(zip_fread(f, text, st.size), st.size);
	*n = st.size;
	zip_fclose(f);
	zip_discard(zip);
	return text;
}

static xmlDoc *sheet_read(void)
{
	size_t n;
	char *text = part("xl/worksheets/sheet1.xml", &n);
	xmlDoc *doc = xmlReadMemory(text, (int)n, NULL, NULL, XML_PARSE_NONET | XML_PARSE_HUGE);

	assert_non_null(doc);
	free(text);
	return doc;
}

static xmlNode *child(xmlNode *parent, const char *name, const char *reference)
{
	for (xmlNode *c = parent ? parent->children : NULL; c; c = c->next) {
		xmlChar *r = xmlGetProp(c, (const xmlChar *)"r");
		bool same = strcmp((const char *)c->name, name) == 0 && (!reference || (r && strcmp((const char *)r, reference) == 0));

		xmlFree(r);
		if (same)
			return c;
	}
	return NULL;
}

/* The text of a cell, NULL when there is none; it must be one of text. */
static char *cell(xmlDoc *doc, const char *column, unsigned number)
{
	char name[16], line[16];
	xmlChar *text = NULL;

	snprintf(line, sizeof line, "%u", number);
	snprintf(name, sizeof name, "%s%u", column, number);
	xmlNode *c = child(child(child(xmlDocGetRootElement(doc), "sheetData", NULL), "row", line), "c", name);
	if (c) {
		xmlChar *type = xmlGetProp(c, (const xmlChar *)"t");
		assert_string_equal((char *)type, "inlineStr");
		xmlFree(type);
		text = xmlNodeGetContent(c);
	}
	return (char *)text;
}

static void assert_cell(xmlDoc *doc, const char *column, unsigned number, const char *want)
{
	char *text = cell(doc, column, number);

	if (want)
		assert_string_equal(text, want);
	else
		assert_null(text);
	xmlFree(text);
}

/* ---- forms ---- */

static void test_names(void **state)
{
	(void)state;
	assert_string_equal(table_form_name(TABLE_CSV), "csv");
	assert_string_equal(table_form_name(TABLE_XLS), "xls");
	assert_string_equal(table_form_name(TABLE_XLSX), "xlsx");
	assert_string_equal(table_form_name(TABLE_XML), "xml");
	assert_null(table_form_name(TABLE_FORMS));
}

static void test_csv(void **state)
{
	struct table_writer *w = begin(TABLE_CSV);

	(void)state;
	assert_int_equal(row(w, STR("004400000000000"), STR("A, \"B\"\nC"), STR("=1+1")), CEIR_OK);
	assert_int_equal(row(w, STR(""), STR("Київ"), STR("")), CEIR_OK);
	assert_int_equal(table_writer_finish(w), CEIR_OK);
	assert_file("imei,name,note\r\n004400000000000,\"A, \"\"B\"\"\nC\",=1+1\r\n,Київ,\r\n");
}

static void test_csv_for_people(void **state)
{
	const struct str cells[] = {STR("=HYPERLINK(1)")};
	struct table_writer *w;

	(void)state;
	assert_int_equal(ftruncate(file, 0), 0);
	assert_int_equal(lseek(file, 0, SEEK_SET), 0);
	assert_int_equal(table_writer_new(file, TABLE_CSV, "device", columns, 1, true, -1, &w), CEIR_OK);
	assert_int_equal(table_writer_row(w, cells), CEIR_OK);
	assert_int_equal(table_writer_finish(w), CEIR_OK);
	assert_file("imei\r\n'=HYPERLINK(1)\r\n");
}

static void test_xml(void **state)
{
	struct table_writer *w = begin(TABLE_XML);

	(void)state;
	assert_int_equal(row(w, STR("004400000000000"), STR("<A & \"B\">]]>"), STR("a\tb\r\nc")), CEIR_OK);
	assert_int_equal(row(w, STR(""), STR("x\0y\x01\x1f\x7fz"), STR("\xff|\xc3|\xed\xa0\x80|\xef\xbf\xbf|\xf0\x9f\x93\xb1")), CEIR_OK);
	assert_int_equal(row(w, STR(""), STR(""), STR("")), CEIR_OK);
	assert_int_equal(table_writer_finish(w), CEIR_OK);
	assert_file("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
		    "<records xmlns=\"urn:ceir:params:xml:ns:records-1.0\" type=\"device\">\n"
		    "<device><imei>004400000000000</imei><name>&lt;A &amp; \"B\"&gt;]]&gt;</name><note>a\tb&#13;\nc</note></device>\n"
		    "<device><name>x\xef\xbf\xbdy\xef\xbf\xbd\xef\xbf\xbd\x7fz</name><note>\xef\xbf\xbd|\xef\xbf\xbd|"
		    "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd|\xef\xbf\xbd|\xf0\x9f\x93\xb1</note></device>\n"
		    "<device></device>\n</records>\n");
	struct buf b = slurp();
	xmlDoc *doc = xmlReadMemory(b.p, (int)b.n, NULL, NULL, XML_PARSE_NONET);
	assert_non_null(doc);
	xmlNode *first = child(xmlDocGetRootElement(doc), "device", NULL);
	xmlChar *name = xmlNodeGetContent(child(first, "name", NULL)), *note = xmlNodeGetContent(child(first, "note", NULL));
	assert_string_equal((char *)name, "<A & \"B\">]]>");
	assert_string_equal((char *)note, "a\tb\r\nc");
	xmlFree(name);
	xmlFree(note);
	xmlFreeDoc(doc);
	buf_free(&b);
}

static void test_xlsx(void **state)
{
	int before = open_files();
	struct table_writer *w = begin(TABLE_XLSX);
	size_t n;

	(void)state;
	assert_int_equal(row(w, STR("004400000000000"), STR("<A & \"B\">"), STR("=1+1")), CEIR_OK);
	assert_int_equal(row(w, STR(""), STR(""), STR("")), CEIR_OK);
	assert_int_equal(row(w, STR("352106000000007"), STR(""), STR(" Київ \xf0\x9f\x93\xb1 \xff\0 x")), CEIR_OK);
	assert_int_equal(table_writer_finish(w), CEIR_OK);
	assert_int_equal(open_files(), before);
	xmlDoc *doc = sheet_read();
	assert_cell(doc, "A", 1, "imei");
	assert_cell(doc, "B", 1, "name");
	assert_cell(doc, "C", 1, "note");
	assert_cell(doc, "A", 2, "004400000000000");
	assert_cell(doc, "B", 2, "<A & \"B\">");
	assert_cell(doc, "C", 2, "=1+1"); /* a text, not a formula */
	assert_cell(doc, "A", 3, NULL);
	assert_cell(doc, "A", 4, "352106000000007");
	assert_cell(doc, "B", 4, NULL);
	assert_cell(doc, "C", 4, " Київ \xf0\x9f\x93\xb1 \xef\xbf\xbd\xef\xbf\xbd x");
	xmlFreeDoc(doc);
	char *sheet = part("xl/worksheets/sheet1.xml", &n), *styles = part("xl/styles.xml", &n), *book = part("xl/workbook.xml", &n);
	assert_non_null(strstr(sheet, "state=\"frozen\""));
	assert_non_null(strstr(styles, "<b/>"));
	assert_non_null(strstr(styles, "numFmtId=\"49\"")); /* "@" */
	assert_non_null(strstr(book, "<sheet name=\"device\""));
	free(sheet);
	free(styles);
	free(book);
}

/* The table goes where the file stands, and nothing else of it is touched. */
static void test_behind_what_is_there(void **state)
{
	struct table_writer *w;

	(void)state;
	for (unsigned form = 0; form < TABLE_FORMS; form++) {
		if (form == TABLE_XLS)
			continue;
		assert_int_equal(ftruncate(file, 0), 0);
		assert_int_equal(pwrite(file, "head", 4, 0), 4);
		assert_int_equal(lseek(file, 4, SEEK_SET), 4);
		assert_int_equal(table_writer_new(file, form, "device", columns, N, false, scratch, &w), CEIR_OK);
		assert_int_equal(row(w, STR("1"), STR("2"), STR("3")), CEIR_OK);
		assert_int_equal(table_writer_finish(w), CEIR_OK);
		struct buf b = slurp();
		assert_memory_equal(b.p, "head", 4);
		assert_memory_equal(b.p + 4, form == TABLE_CSV ? "imei" : form == TABLE_XML ? "<?xm" : "PK\3\4", 4);
		buf_free(&b);
	}
}

/* ---- limits ---- */

static void test_cells_of_a_workbook(void **state)
{
	struct table_writer *w = begin(TABLE_XLSX);
	size_t n = 32767;
	char *text = malloc(4 * n + 4);

	(void)state;
	for (size_t i = 0; i <= n; i++)
		memcpy(text + 2 * i, "\xd0\x96", 2);
	assert_int_equal(row(w, STR("1"), (struct str){text, 2 * n}, STR("")), CEIR_OK);
	assert_int_equal(row(w, STR("2"), (struct str){text, 2 * n + 2}, STR("")), CEIR_ERANGE);
	for (size_t i = 0; i < n; i++) /* two units each */
		memcpy(text + 4 * i, "\xf0\x9f\x93\xb1", 4);
	assert_int_equal(row(w, STR("3"), (struct str){text, 4 * (n / 2)}, STR("")), CEIR_OK);
	assert_int_equal(row(w, STR("4"), (struct str){text, 4 * (n / 2 + 1)}, STR("")), CEIR_ERANGE);
	assert_int_equal(row(w, STR("5"), STR(""), STR("")), CEIR_OK); /* what did not fit left nothing behind */
	assert_int_equal(table_writer_finish(w), CEIR_OK);
	xmlDoc *doc = sheet_read();
	assert_cell(doc, "A", 2, "1");
	assert_cell(doc, "A", 3, "3");
	assert_cell(doc, "A", 4, "5");
	xmlFreeDoc(doc);
	free(text);
}

/* Blank rows cost nothing, so a full sheet is quick to have. */
static void test_rows_of_a_workbook(void **state)
{
	struct table_writer *w = begin(TABLE_XLSX);

	(void)state;
	for (unsigned i = 0; i < 1048574; i++)
		assert_int_equal(row(w, STR(""), STR(""), STR("")), CEIR_OK);
	assert_int_equal(row(w, STR("last"), STR(""), STR("")), CEIR_OK);
	assert_int_equal(row(w, STR("over"), STR(""), STR("")), CEIR_ERANGE);
	assert_int_equal(table_writer_finish(w), CEIR_OK);
	xmlDoc *doc = sheet_read();
	assert_cell(doc, "A", 1048576, "last");
	xmlFreeDoc(doc);
}

static void test_what_cannot_be_a_table(void **state)
{
	static const char *const bad[] = {"", "1a", "a b", "a:b", "-a", "a<b", "ім'я"};
	const char *many[TABLE_COLUMNS_MAX + 1], *one[1];
	struct table_writer *w = NULL;
	int before = open_files();

	(void)state;
	for (size_t i = 0; i < CEIR_COUNT(many); i++)
		many[i] = "a";
	assert_int_equal(table_writer_new(file, TABLE_XLS, "device", columns, N, false, scratch, &w), CEIR_EINVAL);
	assert_int_equal(table_writer_new(file, TABLE_FORMS, "device", columns, N, false, scratch, &w), CEIR_EINVAL);
	assert_int_equal(table_writer_new(file, TABLE_CSV, "device", columns, 0, false, scratch, &w), CEIR_EINVAL);
	assert_int_equal(table_writer_new(file, TABLE_CSV, "device", many, CEIR_COUNT(many), false, scratch, &w), CEIR_ELIMIT);
	assert_int_not_equal(table_writer_new(file, TABLE_XLSX, "device", columns, N, false, -1, &w), CEIR_OK);
	for (size_t i = 0; i < CEIR_COUNT(bad); i++) {
		one[0] = bad[i];
		assert_int_equal(table_writer_new(file, TABLE_XML, "device", one, 1, false, scratch, &w), CEIR_EINVAL);
		assert_int_equal(table_writer_new(file, TABLE_XML, bad[i], columns, N, false, scratch, &w), CEIR_EINVAL);
		assert_int_equal(table_writer_new(file, TABLE_XLSX, bad[i], columns, N, false, scratch, &w), CEIR_EINVAL);
	}
	assert_null(w);
	assert_int_equal(open_files(), before);
	table_writer_drop(NULL);
}

static void test_drop(void **state)
{
	int before = open_files();

	(void)state;
	for (unsigned form = 0; form < TABLE_FORMS; form++)
		for (unsigned rows = 0; form != TABLE_XLS && rows < 3; rows++) {
			struct table_writer *w = begin(form);
			for (unsigned i = 0; i < rows; i++)
				assert_int_equal(row(w, STR("1"), STR("2"), STR("3")), CEIR_OK);
			table_writer_drop(w);
			assert_file("");
			assert_int_equal(open_files(), before);
		}
}

/* ---- faults ---- */

static enum ceir_err write_table(enum table_form form, unsigned rows)
{
	char text[32];
	struct table_writer *w;
	enum ceir_err err = table_writer_new(file, form, "device", columns, N, false, scratch, &w);

	if (err)
		return err;
	for (unsigned i = 0; !err && i < rows; i++) {
		snprintf(text, sizeof text, "%015u", i * 7919u);
		err = row(w, str_of(text), STR("Company-Importer-of-mobile-devices"), STR("x"));
	}
	if (err) {
		table_writer_drop(w);
		return err;
	}
	return table_writer_finish(w);
}

static void limit_files(rlim_t bytes)
{
	struct rlimit limit;

	assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
	limit.rlim_cur = bytes;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

/*
 * Wherever files cannot grow any more, also the temporary ones, which of a workbook are longer than it is: an error, or a file that is whole.
 * libxlsxwriter speaks to standard error of what it noticed.
 */
static void test_no_space(void **state)
{
	enum { ROWS = 400 };
	unsigned errors[TABLE_FORMS] = {0}, wholes[TABLE_FORMS] = {0};
	int before = open_files(), said = dup(STDERR_FILENO), null = open("/dev/null", O_WRONLY | O_CLOEXEC);

	(void)state;
	signal(SIGXFSZ, SIG_IGN);
	fflush(stderr);
	dup2(null, STDERR_FILENO);
	for (unsigned form = 0; form < TABLE_FORMS; form++) {
		if (form == TABLE_XLS)
			continue;
		for (rlim_t limit = 256; limit < 120000; limit += limit < 16000 ? 509 : 1021) {
			assert_int_equal(ftruncate(file, 0), 0);
			assert_int_equal(lseek(file, 0, SEEK_SET), 0);
			limit_files(limit);
			enum ceir_err err = write_table(form, ROWS);
			limit_files(RLIM_INFINITY);
			errors[form] += err != CEIR_OK;
			wholes[form] += err == CEIR_OK;
			if (err || form != TABLE_XLSX)
				continue;
			xmlDoc *doc = sheet_read();
			assert_cell(doc, "A", ROWS + 1, "000000003159681");
			xmlFreeDoc(doc);
		}
		assert_true(errors[form] > 10 && wholes[form] > 10);
	}
	dup2(said, STDERR_FILENO);
	close(said);
	close(null);
	signal(SIGXFSZ, SIG_DFL);
	assert_int_equal(open_files(), before);
}

/* A pipe whose reader has gone, and an error that stays. */
static void test_nobody_reads(void **state)
{
	int ends[2];
	struct table_writer *w;
	enum ceir_err err = CEIR_OK;

	(void)state;
	signal(SIGPIPE, SIG_IGN);
	for (unsigned form = 0; form < TABLE_FORMS; form++) {
		if (form == TABLE_XLS)
			continue;
		assert_int_equal(pipe(ends), 0);
		close(ends[0]);
		assert_int_equal(table_writer_new(ends[1], form, "device", columns, N, false, scratch, &w), CEIR_OK);
		for (unsigned i = 0; i < 20000 && !err; i++)
			err = row(w, STR("352106000000007"), STR("2"), STR("3"));
		assert_int_equal(err != CEIR_OK, form != TABLE_XLSX);
		if (err)
			assert_int_equal(row(w, STR("1"), STR("2"), STR("3")), err);
		assert_int_not_equal(table_writer_finish(w), CEIR_OK);
		close(ends[1]);
		err = CEIR_OK;
	}
	signal(SIGPIPE, SIG_DFL);
}

/* Longer than any buffer on the way. */
static void test_many_rows(void **state)
{
	enum { ROWS = 20000 };
	struct csv_row r;
	uint64_t n = 0;

	(void)state;
	for (unsigned form = 0; form < TABLE_FORMS; form++) {
		if (form == TABLE_XLS)
			continue;
		assert_int_equal(ftruncate(file, 0), 0);
		assert_int_equal(lseek(file, 0, SEEK_SET), 0);
		assert_int_equal(write_table(form, ROWS), CEIR_OK);
		if (form == TABLE_XLSX) {
			xmlDoc *doc = sheet_read();
			assert_int_equal(xmlChildElementCount(child(xmlDocGetRootElement(doc), "sheetData", NULL)), ROWS + 1);
			xmlFreeDoc(doc);
			continue;
		}
		struct buf b = slurp();
		if (form == TABLE_XML) {
			xmlDoc *doc = xmlReadMemory(b.p, (int)b.n, NULL, NULL, XML_PARSE_NONET);
			assert_int_equal(xmlChildElementCount(xmlDocGetRootElement(doc)), ROWS);
			xmlFreeDoc(doc);
		} else {
			struct csv_reader *reader = csv_new(NULL);
			csv_feed(reader, buf_view(&b));
			while (csv_next(reader, &r) == CSV_ROW)
				n += r.count == N;
			csv_free(reader);
			assert_int_equal(n, ROWS + 1);
		}
		buf_free(&b);
	}
}

static int setup(void **state)
{
	(void)state;
	if (!mkdtemp(dir))
		return -1;
	snprintf(path, sizeof path, "%s/table", dir);
	file = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	scratch = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return file < 0 || scratch < 0 ? -1 : 0;
}

/* No temporary file has stayed: the folder can be removed. */
static int teardown(void **state)
{
	(void)state;
	xmlCleanupParser();
	return unlink(path) || rmdir(dir) ? -1 : 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_names), cmocka_unit_test(test_csv), cmocka_unit_test(test_csv_for_people),
		cmocka_unit_test(test_xml), cmocka_unit_test(test_xlsx), cmocka_unit_test(test_behind_what_is_there),
		cmocka_unit_test(test_cells_of_a_workbook), cmocka_unit_test(test_rows_of_a_workbook), cmocka_unit_test(test_what_cannot_be_a_table),
		cmocka_unit_test(test_drop), cmocka_unit_test(test_no_space), cmocka_unit_test(test_nobody_reads), cmocka_unit_test(test_many_rows)};

	return cmocka_run_group_tests(tests, setup, teardown);
}

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zip.h>

#include "exchange_table_world.h"

const char *table_source, *table_helper;
static int scratch = -1;

void table_world_args(int argc, char **argv)
{
	CEIR_ASSERT(argc == 3);
	table_source = argv[1];
	table_helper = argv[2];
	scratch = open("/tmp", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

int table_file(struct str bytes)
{
	int fd = open("/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(fd_write_all(fd, bytes.p, bytes.n), CEIR_OK);
	return fd;
}

int table_fixture(const char *name)
{
	char path[4096];
	int fd;

	snprintf(path, sizeof(path), "%s/tests/fixtures/tables/%s", table_source, name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	return fd;
}

int table_zip(const struct table_entry *entries, const char *password)
{
	char path[] = "/tmp/table-test-XXXXXX";
	int fd = mkstemp(path), code;
	zip_t *z = zip_open(path, ZIP_TRUNCATE, &code);

	assert_non_null(z);
	for (; entries->name != NULL; entries++) {
		zip_int64_t at;

		if (entries->bytes.p == NULL) {
			assert_true(zip_dir_add(z, entries->name, ZIP_FL_ENC_UTF_8) >= 0);
			continue;
		}
		at = zip_file_add(z, entries->name, zip_source_buffer(z, entries->bytes.p, entries->bytes.n, 0), ZIP_FL_ENC_UTF_8);
		assert_true(at >= 0);
		if (password != NULL)
			assert_int_equal(zip_file_set_encryption(z, (zip_uint64_t)at, ZIP_EM_AES_256, password), 0);
	}
	assert_int_equal(zip_close(z), 0);
	close(fd);
	fd = open(path, O_RDWR | O_CLOEXEC);
	assert_true(fd >= 0);
	unlink(path);
	return fd;
}

#define TYPES "http://schemas.openxmlformats.org/officeDocument/2006/relationships/"

int table_xlsx(struct str sheet, const char *strings, const char *styles)
{
	const struct table_entry parts[] = {
		{"[Content_Types].xml", STR("<Types xmlns='http://schemas.openxmlformats.org/package/2006/content-types'/>")},
		{"_rels/.rels", STR("<Relationships><Relationship Id='r1' Type='" TYPES "officeDocument' Target='xl/workbook.xml'/></Relationships>")},
		/* The second relation belongs to the first sheet. */
		{"xl/workbook.xml", STR("<workbook xmlns:r='urn:r'><sheets><sheet name='a' r:id='r2'/><sheet name='b' r:id='r1'/></sheets></workbook>")},
		{"xl/_rels/workbook.xml.rels", STR("<Relationships><Relationship Id='r1' Type='" TYPES "worksheet' Target='worksheets/other.xml'/>"
			"<Relationship Id='r2' Type='" TYPES "worksheet' Target='/xl/worksheets/first.xml'/><Relationship Id='r3' Type='" TYPES "styles' Target='styles.xml'/>"
			"<Relationship Id='r4' Type='" TYPES "sharedStrings' Target='sharedStrings.xml'/></Relationships>")},
		{"xl/worksheets/first.xml", sheet},
		{"xl/worksheets/other.xml", STR("<worksheet><sheetData><row><c t='inlineStr'><is><t>other</t></is></c></row></sheetData></worksheet>")},
		{"xl/sharedStrings.xml", strings != NULL ? str_of(strings) : STR("<sst/>")},
		{"xl/styles.xml", styles != NULL ? str_of(styles) : STR("<styleSheet/>")},
		{NULL, {NULL, 0}},
	};

	return table_zip(parts, NULL);
}

struct table_limits table_limits_here(struct table_limits l)
{
	l.scratch_fd = scratch;
	if (l.helper == NULL)
		l.helper = table_helper;
	return l;
}

static void dump_row(const struct table_row *row, struct buf *out)
{
	static const char letters[] = {[TABLE_EMPTY] = '-', [TABLE_TEXT] = 't', [TABLE_NUMBER] = 'n', [TABLE_DATE] = 'd', [TABLE_BOOL] = 'b'};

	buf_printf(out, "%llu ", (unsigned long long)row->line);
	if (row->fault != TABLE_GOOD)
		buf_printf(out, "[%s@%zu] ", table_fault_code(row->fault), row->column);
	for (size_t i = 0; i < row->n; i++) {
		const struct table_cell *c = &row->cells[i];

		assert_true((c->type == TABLE_EMPTY) == (c->text.n == 0));
		if (i > 0)
			buf_char(out, '|');
		if (c->type > TABLE_TEXT)
			buf_printf(out, "%c<%.*s>", letters[c->type], (int)c->text.n, c->text.p);
		else
			buf_str(out, c->text);
	}
	buf_char(out, '\n');
}

static enum ceir_err dump(int fd, const struct table_limits *limits, struct buf *out)
{
	static const char *const forms[] = {"csv", "xls", "xlsx", "xml"};
	struct table_reader *t = NULL;
	enum ceir_err err = table_open(fd, limits, &t);
	const struct str *names;
	struct table_row row;
	size_t n;

	assert_non_null(t);
	n = table_columns(t, &names);
	if (err == CEIR_OK) {
		buf_printf(out, "%s: ", forms[table_form_of(t)]);
		for (size_t i = 0; i < n; i++)
			buf_printf(out, "%s%.*s", i > 0 ? "|" : "", (int)names[i].n, names[i].p != NULL ? names[i].p : "");
		buf_char(out, '\n');
		while ((err = table_next(t, &row)) == CEIR_OK) {
			assert_int_equal(row.n, n);
			dump_row(&row, out);
		}
		assert_int_equal(table_next(t, &row), err); /* and stays there */
	}
	if (table_is_cp1251(t))
		buf_c(out, "cp1251\n");
	if (err != CEIR_ENOENT)
		buf_printf(out, "why %s\n", table_why(t));
	table_close(t);
	close(fd);
	return err;
}

void table_dump(int fd, const struct table_limits *limits, struct buf *out)
{
	const struct table_limits l = table_limits_here(limits != NULL ? *limits : (struct table_limits){0});

	(void)dump(fd, &l, out);
}

void table_expect(int fd, const char *expected)
{
	struct buf out = BUF_INIT(0);

	table_dump(fd, NULL, &out);
	buf_char(&out, '\0');
	assert_string_equal(out.p, expected);
	buf_free(&out);
}

void table_expect_why(int fd, const struct table_limits *limits, enum ceir_err expected, const char *words)
{
	const struct table_limits l = table_limits_here(limits != NULL ? *limits : (struct table_limits){0});
	struct buf out = BUF_INIT(0);
	enum ceir_err err = dump(fd, &l, &out);
	const char *why;

	buf_char(&out, '\0');
	why = strstr(out.p, "why ");
	if (err != expected || why == NULL || strstr(why, words) == NULL)
		fail_msg("%s: expected \"%s\" (%s)\n%s", ceir_err_text(err), words, ceir_err_text(expected), out.p);
	buf_free(&out);
}

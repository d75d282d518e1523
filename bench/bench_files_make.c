/*
 * bench_files_make.c - files as programs of others write them: CSV and XML with the writers that are measured elsewhere, workbooks by hand, so
 * that it is known what stands in them (ECMA-376 part 1, 18).
 */
#include "bench_files.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zip.h>

#include "exchange/exchange_table.h"

static const char *const names[] = {"imei", "permit", "position"};
#define COLUMNS CEIR_COUNT(names)

/* ---- CSV, XML ---- */

static enum ceir_err put_rows(struct table_writer *w, uint64_t first, uint64_t rows)
{
	char imei[IMEI_DIGITS + 1];
	struct str cells[COLUMNS] = {{imei, IMEI_DIGITS}, str_of(BENCH_PERMIT), STR("1")};
	enum ceir_err err = CEIR_OK;

	for (uint64_t i = 0; i < rows && !err; i++) {
		imei_print(bench_device(first + i), imei);
		err = table_writer_row(w, cells);
	}
	return err;
}

static enum ceir_err make_text(const char *path, enum table_form form, uint64_t first, uint64_t rows)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	struct table_writer *w;
	enum ceir_err err = fd < 0 ? CEIR_EIO : table_writer_new(fd, form, "application", names, COLUMNS, false, -1, &w);

	if (!err && (err = put_rows(w, first, rows)))
		table_writer_drop(w);
	else if (!err)
		err = table_writer_finish(w);
	if (fd >= 0)
		close(fd);
	return err;
}

/* ---- XLSX ---- */

static const char types[] =
	"<?xml version=\"1.0\" encoding=\"UTF-8\" standalone=\"yes\"?>\n"
	"<Types xmlns=\"http://schemas.openxmlformats.org/package/2006/content-types\">"
	"<Default Extension=\"rels\" ContentType=\"application/vnd.openxmlformats-package.relationships+xml\"/>"
	"<Default Extension=\"xml\" ContentType=\"application/xml\"/>"
	"<Override PartName=\"/xl/workbook.xml\" ContentType=\"application/vnd.openxmlformats-officedocument.spreadsheetml.sheet.main+xml\"/></Types>";
static const char root[] =
	"<?xml version=\"1.0\" encoding=\"UTF-8\" standalone=\"yes\"?>\n"
	"<Relationships xmlns=\"http://schemas.openxmlformats.org/package/2006/relationships\"><Relationship Id=\"rId1\" "
	"Type=\"http://schemas.openxmlformats.org/officeDocument/2006/relationships/officeDocument\" Target=\"xl/workbook.xml\"/></Relationships>";
static const char workbook[] =
	"<?xml version=\"1.0\" encoding=\"UTF-8\" standalone=\"yes\"?>\n"
	"<workbook xmlns=\"http://schemas.openxmlformats.org/spreadsheetml/2006/main\" "
	"xmlns:r=\"http://schemas.openxmlformats.org/officeDocument/2006/relationships\"><sheets><sheet name=\"Sheet1\" sheetId=\"1\" r:id=\"rId1\"/>"
	"</sheets></workbook>";
static const char relations[] =
	"<?xml version=\"1.0\" encoding=\"UTF-8\" standalone=\"yes\"?>\n"
	"<Relationships xmlns=\"http://schemas.openxmlformats.org/package/2006/relationships\"><Relationship Id=\"rId1\" "
	"Type=\"http://schemas.openxmlformats.org/officeDocument/2006/relationships/worksheet\" Target=\"worksheets/sheet1.xml\"/><Relationship "
	"Id=\"rId2\" Type=\"http://schemas.openxmlformats.org/officeDocument/2006/relationships/sharedStrings\" Target=\"sharedStrings.xml\"/>"
	"</Relationships>";

/* Numbers of the shared strings: names of the columns, permit, position, then (when shared) the IMEIs. */
enum { STRING_PERMIT = COLUMNS, STRING_POSITION, STRING_FIRST };

static void put_cell(struct buf *b, size_t column, uint64_t row, enum bf_cells cells, uint64_t string, const char *text)
{
	buf_c(b, "<c r=\"");
	buf_char(b, (char)('A' + column));
	buf_u64(b, row);
	if (cells == BF_INLINE) {
		buf_c(b, "\" t=\"inlineStr\"><is><t>");
		buf_c(b, text);
		buf_c(b, "</t></is></c>");
		return;
	}
	buf_c(b, cells == BF_SHARED ? "\" t=\"s\"><v>" : "\"><v>");
	if (cells == BF_SHARED)
		buf_u64(b, string);
	else
		buf_c(b, text);
	buf_c(b, "</v></c>");
}

static void row_begin(struct buf *b, uint64_t row)
{
	buf_c(b, "<row r=\"");
	buf_u64(b, row);
	buf_c(b, "\" spans=\"1:3\">");
}

static void put_sheet(struct buf *b, enum bf_cells cells, uint64_t first, uint64_t rows)
{
	const enum bf_cells texts = cells == BF_INLINE ? BF_INLINE : BF_SHARED;
	char imei[IMEI_DIGITS + 1];

	buf_c(b, "<?xml version=\"1.0\" encoding=\"UTF-8\" standalone=\"yes\"?>\n"
		 "<worksheet xmlns=\"http://schemas.openxmlformats.org/spreadsheetml/2006/main\"><sheetData>");
	row_begin(b, 1);
	for (size_t i = 0; i < COLUMNS; i++)
		put_cell(b, i, 1, texts, i, names[i]);
	buf_c(b, "</row>");
	for (uint64_t i = 0; i < rows; i++) {
		imei_print(bench_device(first + i), imei);
		row_begin(b, i + 2);
		put_cell(b, 0, i + 2, cells, STRING_FIRST + i, imei);
		put_cell(b, 1, i + 2, texts, STRING_PERMIT, BENCH_PERMIT);
		put_cell(b, 2, i + 2, cells == BF_NUMBERS ? BF_NUMBERS : texts, STRING_POSITION, "1");
		buf_c(b, "</row>");
	}
	buf_c(b, "</sheetData></worksheet>");
}

static void put_string(struct buf *b, const char *text)
{
	buf_c(b, "<si><t>");
	buf_c(b, text);
	buf_c(b, "</t></si>");
}

static void put_strings(struct buf *b, enum bf_cells cells, uint64_t first, uint64_t rows)
{
	char imei[IMEI_DIGITS + 1];

	buf_c(b, "<?xml version=\"1.0\" encoding=\"UTF-8\" standalone=\"yes\"?>\n"
		 "<sst xmlns=\"http://schemas.openxmlformats.org/spreadsheetml/2006/main\">");
	for (size_t i = 0; i < COLUMNS; i++)
		put_string(b, names[i]);
	put_string(b, BENCH_PERMIT);
	put_string(b, "1");
	for (uint64_t i = 0; cells == BF_SHARED && i < rows; i++) {
		imei_print(bench_device(first + i), imei);
		put_string(b, imei);
	}
	buf_c(b, "</sst>");
}

/* The bytes stay the caller's until the archive is closed. */
static bool add_part(zip_t *zip, const char *name, struct str bytes)
{
	zip_source_t *source = zip_source_buffer(zip, bytes.p, bytes.n, 0);

	return source && zip_file_add(zip, name, source, 0) >= 0;
}

static enum ceir_err make_xlsx(const char *path, enum bf_cells cells, uint64_t first, uint64_t rows)
{
	struct buf sheet = BUF_INIT(0), strings = BUF_INIT(0);
	int why;
	zip_t *zip = zip_open(path, ZIP_CREATE | ZIP_TRUNCATE, &why);
	bool good = zip != NULL;

	put_sheet(&sheet, cells, first, rows);
	put_strings(&strings, cells, first, rows);
	good = good && !sheet.failed && !strings.failed && add_part(zip, "[Content_Types].xml", str_of(types)) &&
	       add_part(zip, "_rels/.rels", str_of(root)) && add_part(zip, "xl/workbook.xml", str_of(workbook)) &&
	       add_part(zip, "xl/_rels/workbook.xml.rels", str_of(relations)) && add_part(zip, "xl/sharedStrings.xml", buf_view(&strings)) &&
	       add_part(zip, "xl/worksheets/sheet1.xml", buf_view(&sheet));
	if (zip && (!good || zip_close(zip) != 0)) {
		zip_discard(zip);
		good = false;
	}
	buf_free(&sheet);
	buf_free(&strings);
	return good ? CEIR_OK : CEIR_EIO;
}

enum ceir_err bf_make(const char *path, enum bf_cells cells, uint64_t first, uint64_t rows)
{
	const char *dot = strrchr(path, '.');
	const char *form = dot ? dot + 1 : "";

	if (strcmp(form, "csv") == 0 || strcmp(form, "xml") == 0)
		return make_text(path, form[0] == 'c' ? TABLE_CSV : TABLE_XML, first, rows);
	if (strcmp(form, "xlsx") == 0)
		return make_xlsx(path, cells, first, rows);
	return strcmp(form, "xls") == 0 ? bf_make_xls(path, first, rows) : CEIR_EINVAL;
}

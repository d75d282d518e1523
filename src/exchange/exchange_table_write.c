/*
 * exchange_table_write.c - tables out: CSV and XML here, through a buffer to the file; workbooks in exchange_table_write_xlsx.c.
 *
 *   CSV   names, then rows; comma, CRLF; fields are quoted where they must be
 *   XML   <records xmlns="urn:ceir:params:xml:ns:records-1.0" type="permit">, and for each row <permit> with an element for each cell
 */
#include "exchange/exchange_table.h"

#include <stdlib.h>
#include <string.h>

#include "exchange/exchange.h"
#include "exchange/exchange_table_write.h"

#define CHUNK ((size_t)256 << 10)
#define NAME_MAX_BYTES 64u /* of an element */
#define REPLACEMENT "\xEF\xBF\xBD"

struct table_writer {
	int fd;
	enum table_form form;
	const char *record;
	const char *const *names;
	size_t n;
	bool for_people;
	struct buf out;          /* not yet in the file */
	struct table_xlsx *xlsx; /* NULL: another form */
	enum ceir_err err;       /* the first; what was written is not the table any more */
};

const char *table_form_name(unsigned form)
{
	static const char *const names[TABLE_FORMS] = {"csv", "xls", "xlsx", "xml"};

	return form < TABLE_FORMS ? names[form] : NULL;
}

/* ---- text ---- */

/* Bytes of the character that text begins with, 1 when there is none; *good: XML may hold it. XML 1.0 2.2: Char. */
static size_t char_of_xml(struct str text, bool *good)
{
	unsigned char c = (unsigned char)text.p[0];
	size_t n = 1;

	if (c < 0x80) {
		*good = c >= 0x20 || c == '\t' || c == '\n' || c == '\r';
		return n;
	}
	n = str_utf8_len(text);
	*good = n > 0 && !(n == 3 && (memcmp(text.p, "\xEF\xBF\xBE", 3) == 0 || memcmp(text.p, "\xEF\xBF\xBF", 3) == 0));
	return n ? n : 1;
}

/* What stands for a byte that cannot stand for itself between tags; NULL: it can. */
static const char *reference(char c)
{
	switch (c) {
	case '&':
		return "&amp;";
	case '<':
		return "&lt;";
	case '>':
		return "&gt;";
	case '\r': /* a parser would make a line feed of it (XML 1.0 2.11) */
		return "&#13;";
	default:
		return NULL;
	}
}

void table_put_text(struct buf *out, struct str text, bool markup)
{
	size_t from = 0, i = 0;

	while (i < text.n) {
		bool good;
		size_t n = char_of_xml((struct str){text.p + i, text.n - i}, &good);
		const char *instead = !good ? REPLACEMENT : markup ? reference(text.p[i]) : NULL;

		if (instead) {
			buf_put(out, text.p + from, i - from);
			buf_c(out, instead);
			from = i + n;
		}
		i += n;
	}
	if (text.n > from)
		buf_put(out, text.p + from, text.n - from);
}

/* ---- rows ---- */

static enum ceir_err flush(struct table_writer *w)
{
	if (!w->err && w->out.failed)
		w->err = CEIR_ENOMEM;
	if (!w->err && w->out.n)
		w->err = fd_write_all(w->fd, w->out.p, w->out.n);
	buf_clear(&w->out);
	return w->err;
}

static void xml_row(struct table_writer *w, const struct str *cells)
{
	struct buf *b = &w->out;

	buf_char(b, '<');
	buf_c(b, w->record);
	buf_char(b, '>');
	for (size_t i = 0; i < w->n; i++) {
		if (!cells[i].n)
			continue;
		buf_char(b, '<');
		buf_c(b, w->names[i]);
		buf_char(b, '>');
		table_put_text(b, cells[i], true);
		buf_c(b, "</");
		buf_c(b, w->names[i]);
		buf_char(b, '>');
	}
	buf_c(b, "</");
	buf_c(b, w->record);
	buf_c(b, ">\n");
}

enum ceir_err table_writer_row(struct table_writer *w, const struct str *cells)
{
	if (w->err)
		return w->err;
	if (w->form == TABLE_XLSX) {
		enum ceir_err err = table_xlsx_row(w->xlsx, cells);

		return err == CEIR_ERANGE ? err : (w->err = err); /* what does not fit is left out; what is there is still a workbook */
	}
	if (w->form == TABLE_XML)
		xml_row(w, cells);
	else
		csv_put_row(&w->out, cells, w->n, ',', w->for_people ? CSV_NO_FORMULAS : CSV_VERBATIM);
	return w->out.n < CHUNK && !w->out.failed ? CEIR_OK : flush(w);
}

/* ---- begin and end ---- */

/* A name that can stand in a tag: ASCII, of the names that XML allows (1.0 2.3), without a colon. */
static bool is_element_name(const char *name)
{
	size_t n = strlen(name);
	bool good = n > 0 && n <= NAME_MAX_BYTES;

	for (size_t i = 0; good && i < n; i++) {
		char c = name[i];
		bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';

		good = letter || (i > 0 && ((c >= '0' && c <= '9') || c == '-' || c == '.'));
	}
	return good;
}

static enum ceir_err names_check(const struct table_writer *w)
{
	bool good = w->n > 0 && (w->form == TABLE_CSV || is_element_name(w->record)); /* such a name can be a sheet's, too */

	if (w->n > TABLE_COLUMNS_MAX)
		return CEIR_ELIMIT;
	for (size_t i = 0; good && w->form == TABLE_XML && i < w->n; i++)
		good = is_element_name(w->names[i]);
	return good ? CEIR_OK : CEIR_EINVAL;
}

static void put_head(struct table_writer *w)
{
	struct str names[TABLE_COLUMNS_MAX];

	if (w->form == TABLE_XML) {
		buf_c(&w->out, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<records xmlns=\"urn:ceir:params:xml:ns:records-1.0\" type=\"");
		buf_c(&w->out, w->record);
		buf_c(&w->out, "\">\n");
		return;
	}
	for (size_t i = 0; i < w->n; i++)
		names[i] = str_of(w->names[i]);
	csv_put_row(&w->out, names, w->n, ',', CSV_VERBATIM);
}

enum ceir_err table_writer_new(int fd, enum table_form form, const char *record, const char *const *names, size_t n, bool for_people, int scratch_fd,
	struct table_writer **out)
{
	struct table_writer *w;
	enum ceir_err err;

	if (form != TABLE_CSV && form != TABLE_XLSX && form != TABLE_XML)
		return CEIR_EINVAL;
	w = calloc(1, sizeof *w);
	if (!w)
		return CEIR_ENOMEM;
	*w = (struct table_writer){.fd = fd, .form = form, .record = record, .names = names, .n = n, .for_people = for_people, .out = BUF_INIT(0)};
	err = names_check(w);
	if (!err && form == TABLE_XLSX)
		err = table_xlsx_new(record, names, n, scratch_fd, &w->xlsx);
	else if (!err)
		put_head(w);
	if (err) {
		table_writer_drop(w);
		return err;
	}
	*out = w;
	return CEIR_OK;
}

enum ceir_err table_writer_finish(struct table_writer *w)
{
	enum ceir_err err;

	if (w->form == TABLE_XML)
		buf_c(&w->out, "</records>\n");
	err = flush(w);
	if (!err && w->xlsx)
		err = table_xlsx_finish(w->xlsx, w->fd);
	table_writer_drop(w);
	return err;
}

void table_writer_drop(struct table_writer *w)
{
	if (!w)
		return;
	table_xlsx_free(w->xlsx);
	buf_free(&w->out);
	free(w);
}

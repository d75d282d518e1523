/* exchange_table_read_frames.c - rows to frames and back; the format is in exchange_table_frames.h. */
#include "exchange/exchange_table_frames.h"

#include <string.h>

#define ROW_HEAD 11   /* line, fault, column, cells */
#define CELL_HEAD 4
#define FLUSH_BYTES ((size_t)60 << 10)

static const char *const whys[TABLE_WHYS] = {
	[TABLE_WHY_NONE] = "",
	[TABLE_WHY_EMPTY] = N_("the file is empty; expected a row of column names and rows below it"),
	[TABLE_WHY_BINARY] = N_("the file is not a table; expected CSV, XLS, XLSX or XML"),
	[TABLE_WHY_HEADER] = N_("the first line cannot be read; expected the names of the columns"),
	[TABLE_WHY_DAMAGED] = N_("the packed file is damaged or cut off; pack it again"),
	[TABLE_WHY_LAYERS] = N_("the file is packed more than twice; pack it once"),
	[TABLE_WHY_SHEET] = N_("the file cannot be read as a spreadsheet"),
	[TABLE_WHY_NO_SHEET] = N_("the workbook has no sheet with cells"),
	[TABLE_WHY_PASSWORD] = N_("the file is protected by a password; save it without one"),
	[TABLE_WHY_ODS] = N_("OpenDocument files are not read; save the table as XLSX or CSV"),
	[TABLE_WHY_OLD] = N_("the spreadsheet is of a kind from before 1997; save it as XLSX or CSV"),
	[TABLE_WHY_ZIP] = N_("the ZIP archive is damaged or cut off; pack it again"),
	[TABLE_WHY_ZIP_EMPTY] = N_("the ZIP archive holds no file"),
	[TABLE_WHY_ZIP_MANY] = N_("the ZIP archive holds more than one file; pack one table alone"),
	[TABLE_WHY_XML] = N_("the file is not well-formed XML from here on"),
	[TABLE_WHY_XML_ROOT] = N_("expected the XML element records of the namespace urn:ceir:params:xml:ns:records-1.0"),
	[TABLE_WHY_XML_DEPTH] = N_("the XML elements are nested too deeply; expected records, in them a record, in it its fields"),
	[TABLE_WHY_XML_DOCTYPE] = N_("XML with a document type declaration (DOCTYPE) is not read"),
	[TABLE_WHY_WIDE] = N_("the table has more than 64 columns"),
	[TABLE_WHY_ROWS] = N_("the table has more rows than allowed"),
	[TABLE_WHY_BOMB] = N_("the file unpacks to far more than a table would; it is not read"),
	[TABLE_WHY_LARGE] = N_("the unpacked file is larger than allowed"),
	[TABLE_WHY_MEMORY] = N_("the spreadsheet needs more memory than allowed; save it as CSV"),
	[TABLE_WHY_CPU] = N_("reading the spreadsheet takes longer than allowed; save it as CSV"),
};

const char *table_why_text(enum table_why why)
{
	CEIR_ASSERT((unsigned)why < TABLE_WHYS);
	return whys[why];
}

enum ceir_err table_why_err(enum table_why why)
{
	return why == TABLE_WHY_NONE ? CEIR_OK : why >= TABLE_WHY_LIMITS ? CEIR_ELIMIT : CEIR_EINVAL;
}

/* ---- encoding ---- */

void table_text_add(struct buf *text, const char *p, size_t n)
{
	size_t room, take;

	while (text->n == 0 && n > 0 && (*p == ' ' || *p == '\n' || *p == '\r' || *p == '\t'))
		p++, n--;
	if (n == 0 || text->n >= TABLE_TEXT_MAX)
		return;
	room = text->n < TABLE_CELL_MAX + 4 ? TABLE_CELL_MAX + 4 - text->n : 0;
	take = n < room ? n : room;
	while (take < n && take > 0 && ((unsigned char)p[take] & 0xc0u) == 0x80u)
		take--;
	buf_put(text, p, take);
	while (take < n && text->n < TABLE_TEXT_MAX && !text->failed)
		buf_char(text, '.');
}

void table_text_utf8(struct buf *b, uint32_t c)
{
	char out[4];
	size_t n = 0;

	if (c < 0x80) {
		out[n++] = (char)c;
	} else if (c < 0x800) {
		out[n++] = (char)(0xc0 | c >> 6);
	} else if (c < 0x10000) {
		out[n++] = (char)(0xe0 | c >> 12);
		out[n++] = (char)(0x80 | (c >> 6 & 0x3f));
	} else {
		out[n++] = (char)(0xf0 | c >> 18);
		out[n++] = (char)(0x80 | (c >> 12 & 0x3f));
		out[n++] = (char)(0x80 | (c >> 6 & 0x3f));
	}
	if (c >= 0x80)
		out[n++] = (char)(0x80 | (c & 0x3f));
	buf_put(b, out, n);
}

static void put_u32(char *p, uint32_t v)
{
	for (int i = 0; i < 4; i++)
		p[i] = (char)(v >> 8 * i);
}

static void hand_over(struct table_encoder *e)
{
	if (!e->err && e->frames.failed)
		e->err = CEIR_ENOMEM;
	if (!e->err && e->frames.n)
		e->err = e->out(e->ctx, buf_view(&e->frames));
	buf_clear(&e->frames);
}

static void put_frame(struct table_encoder *e, enum table_frame_type type, struct str body)
{
	char head[TABLE_FRAME_HEAD] = {(char)type};

	put_u32(head + 1, (uint32_t)body.n);
	buf_put(&e->frames, head, sizeof(head));
	buf_str(&e->frames, body);
	if (e->frames.n >= FLUSH_BYTES)
		hand_over(e);
}

void table_encode_form(struct table_encoder *e, unsigned form)
{
	put_frame(e, TABLE_FRAME_FORM, (struct str){&(char){(char)form}, 1});
}

void table_encode_data(struct table_encoder *e, struct str bytes)
{
	CEIR_ASSERT(bytes.n > 0 && bytes.n <= TABLE_FRAME_MAX);
	put_frame(e, TABLE_FRAME_DATA, bytes);
}

void table_encode_row(struct table_encoder *e, uint64_t line)
{
	char head[TABLE_FRAME_HEAD + ROW_HEAD] = {TABLE_FRAME_ROW};

	CEIR_ASSERT(!e->open);
	e->open = true;
	e->row = e->frames.n;
	e->cells = e->column = 0;
	e->fault = TABLE_GOOD;
	put_u32(head + TABLE_FRAME_HEAD, (uint32_t)line);
	put_u32(head + TABLE_FRAME_HEAD + 4, (uint32_t)(line >> 32));
	buf_put(&e->frames, head, sizeof(head));
}

/* At most n bytes of s, no character cut. */
static struct str cut(struct str s, size_t n)
{
	while (n > 0 && ((unsigned char)s.p[n] & 0xc0u) == 0x80u)
		n--;
	return (struct str){s.p, n};
}

void table_encode_cell(struct table_encoder *e, size_t column, enum table_cell_type type, struct str text)
{
	char head[CELL_HEAD];

	CEIR_ASSERT(e->open && column < TABLE_COLUMNS_MAX);
	text = str_trim(text);
	if (text.n > TABLE_CELL_MAX) {
		table_encode_fault(e, TABLE_FAULT_CELL, column + 1);
		text = cut(text, TABLE_CELL_MAX);
	}
	if (text.n == 0)
		return;
	head[0] = (char)column;
	head[1] = (char)type;
	head[2] = (char)text.n;
	head[3] = (char)(text.n >> 8);
	buf_put(&e->frames, head, sizeof(head));
	buf_str(&e->frames, text);
	e->cells++;
}

void table_encode_fault(struct table_encoder *e, enum table_fault fault, size_t column)
{
	if (e->fault != TABLE_GOOD)
		return;
	e->fault = fault;
	e->column = column;
}

void table_encode_row_end(struct table_encoder *e)
{
	char *head = e->frames.p + e->row;

	CEIR_ASSERT(e->open);
	e->open = false;
	if (e->frames.failed)
		return;
	if (e->cells == 0 && e->fault == TABLE_GOOD) {
		e->frames.n = e->row;
		return;
	}
	put_u32(head + 1, (uint32_t)(e->frames.n - e->row - TABLE_FRAME_HEAD));
	head[TABLE_FRAME_HEAD + 8] = (char)e->fault;
	head[TABLE_FRAME_HEAD + 9] = (char)e->column;
	head[TABLE_FRAME_HEAD + 10] = (char)e->cells;
	if (e->frames.n >= FLUSH_BYTES)
		hand_over(e);
}

enum ceir_err table_encode_end(struct table_encoder *e, enum table_why why)
{
	if (e->open) { /* cut off in the middle of a row */
		e->frames.n = e->row;
		e->open = false;
	}
	if (!e->err && why == TABLE_WHY_NONE)
		put_frame(e, TABLE_FRAME_END, (struct str){NULL, 0});
	else if (!e->err)
		put_frame(e, TABLE_FRAME_FAIL, (struct str){&(char){(char)why}, 1});
	hand_over(e);
	return e->err;
}

/* ---- decoding ---- */

static uint32_t get_u32(const char *p)
{
	uint32_t v = 0;

	for (int i = 0; i < 4; i++)
		v |= (uint32_t)(unsigned char)p[i] << 8 * i;
	return v;
}

static struct str after(struct str s, size_t n)
{
	return (struct str){s.p + n, s.n - n};
}

static bool body_fits(enum table_frame_type type, struct str body)
{
	switch (type) {
	case TABLE_FRAME_FORM:
		return body.n == 1 && (unsigned char)body.p[0] <= TABLE_FORM_PACKED;
	case TABLE_FRAME_FAIL:
		return body.n == 1 && body.p[0] != TABLE_WHY_NONE && (unsigned char)body.p[0] < TABLE_WHYS;
	case TABLE_FRAME_END:
		return body.n == 0;
	case TABLE_FRAME_DATA:
		return body.n > 0;
	case TABLE_FRAME_ROW:
		return body.n >= ROW_HEAD;
	}
	return false;
}

enum ceir_err table_frame_take(struct str *in, struct table_frame *out)
{
	size_t n;

	if (in->n < TABLE_FRAME_HEAD)
		return CEIR_ENOENT;
	n = get_u32(in->p + 1);
	if (n > TABLE_FRAME_MAX || in->p[0] < TABLE_FRAME_FORM || in->p[0] > TABLE_FRAME_FAIL)
		return CEIR_EINVAL;
	if (in->n - TABLE_FRAME_HEAD < n)
		return CEIR_ENOENT;
	*out = (struct table_frame){(enum table_frame_type)in->p[0], {in->p + TABLE_FRAME_HEAD, n}};
	*in = after(*in, TABLE_FRAME_HEAD + n);
	return body_fits(out->type, out->body) ? CEIR_OK : CEIR_EINVAL;
}

/* One cell off the front of *body into cells; *next: the least column that may follow. */
static bool cell_take(struct str *body, struct table_cell *cells, size_t *next)
{
	size_t column, n;
	unsigned type;

	if (body->n < CELL_HEAD)
		return false;
	column = (unsigned char)body->p[0];
	type = (unsigned char)body->p[1];
	n = (size_t)(unsigned char)body->p[2] | (size_t)(unsigned char)body->p[3] << 8;
	*body = after(*body, CELL_HEAD);
	if (column < *next || column >= TABLE_COLUMNS_MAX || type <= TABLE_EMPTY || type > TABLE_BOOL || n == 0 || n > TABLE_CELL_MAX || body->n < n)
		return false;
	cells[column] = (struct table_cell){{body->p, n}, (enum table_cell_type)type};
	*body = after(*body, n);
	*next = column + 1;
	return str_is_utf8(cells[column].text);
}

enum ceir_err table_frame_row(struct str body, struct table_cell *cells, struct table_row *row)
{
	size_t n, next = 0, column;
	unsigned fault;

	if (body.n < ROW_HEAD)
		return CEIR_EINVAL;
	for (size_t i = 0; i < TABLE_COLUMNS_MAX; i++)
		cells[i] = (struct table_cell){{NULL, 0}, TABLE_EMPTY};
	fault = (unsigned char)body.p[8];
	column = (unsigned char)body.p[9];
	n = (unsigned char)body.p[10];
	*row = (struct table_row){.line = get_u32(body.p) | (uint64_t)get_u32(body.p + 4) << 32, .cells = cells, .fault = (enum table_fault)fault, .column = column};
	if (fault >= TABLE_FAULTS || column > TABLE_COLUMNS_MAX)
		return CEIR_EINVAL;
	body = after(body, ROW_HEAD);
	while (n-- > 0)
		if (!cell_take(&body, cells, &next))
			return CEIR_EINVAL;
	row->n = next;
	return body.n == 0 ? CEIR_OK : CEIR_EINVAL;
}

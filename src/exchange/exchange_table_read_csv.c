/*
 * exchange_table_read_csv.c - CSV as people save it: UTF-8, Windows-1251, or UTF-16 ("Unicode text" of a spreadsheet).
 *
 * Lines go to csv_next() as they are while they are UTF-8. The first line with bytes above 0x7f decides for the file: UTF-8 when it is that, else
 * Windows-1251 when the bytes make sense so; a line of a UTF-8 file that is broken stays a broken line.
 */
#include "exchange/exchange_table_read.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "exchange/exchange.h"

#define BLOCK_BYTES ((size_t)64 << 10)
#define SEGMENT_MAX ((size_t)256 << 10)  /* a line that is longer is converted in pieces */
#define LINE_BYTES_MAX ((size_t)1 << 20)
#define FIELDS_MAX 1024                  /* spreadsheets write rows of separators; what is behind the columns must be empty */
#define RECORD_LINES_MAX 64

enum encoding { ENCODING_UNKNOWN, ENCODING_UTF8, ENCODING_CP1251, ENCODING_UTF16LE, ENCODING_UTF16BE };

struct table_csv {
	int fd;
	off_t at;
	bool ended;
	enum encoding encoding;
	struct csv_reader *csv;      /* made when the first line is there */
	struct buf raw;              /* read; the first `taken` of it have been fed */
	size_t taken;
	struct buf text;             /* what was fed, when it had to be converted */
};

/* 0x80..0xbf of Windows-1251; 0xc0..0xff are U+0410..U+044F. 0: no character. */
static const uint16_t cp1251[64] = {
	0x0402, 0x0403, 0x201a, 0x0453, 0x201e, 0x2026, 0x2020, 0x2021, 0x20ac, 0x2030, 0x0409, 0x2039, 0x040a, 0x040c, 0x040b, 0x040f, /* 80 */
	0x0452, 0x2018, 0x2019, 0x201c, 0x201d, 0x2022, 0x2013, 0x2014, 0x0000, 0x2122, 0x0459, 0x203a, 0x045a, 0x045c, 0x045b, 0x045f, /* 90 */
	0x00a0, 0x040e, 0x045e, 0x0408, 0x00a4, 0x0490, 0x00a6, 0x00a7, 0x0401, 0x00a9, 0x0404, 0x00ab, 0x00ac, 0x00ad, 0x00ae, 0x0407, /* a0 */
	0x00b0, 0x00b1, 0x0406, 0x0456, 0x0491, 0x00b5, 0x00b6, 0x00b7, 0x0451, 0x2116, 0x0454, 0x00bb, 0x0458, 0x0405, 0x0455, 0x0457, /* b0 */
};

enum ceir_err table_csv_new(int fd, struct table_csv **out)
{
	*out = calloc(1, sizeof(**out));
	if (*out == NULL)
		return CEIR_ENOMEM;
	(*out)->fd = fd;
	return CEIR_OK;
}

void table_csv_free(struct table_csv *c)
{
	if (c == NULL)
		return;
	csv_free(c->csv);
	buf_free(&c->raw);
	buf_free(&c->text);
	free(c);
}

bool table_csv_is_cp1251(const struct table_csv *c)
{
	return c->encoding == ENCODING_CP1251;
}

/* ---- encodings ---- */

static uint32_t cp1251_of(unsigned char c)
{
	return c < 0x80 ? c : c >= 0xc0 ? 0x0410u + c - 0xc0u : cp1251[c - 0x80];
}

/* Cyrillic letters are most of what is not ASCII, and nothing is there that the code page does not have. */
static bool is_cp1251(struct str line)
{
	size_t high = 0, letters = 0;

	for (size_t i = 0; i < line.n; i++) {
		unsigned char c = (unsigned char)line.p[i];
		uint32_t u = cp1251_of(c);

		if (u == 0 || (c < 0x20 && c != '\t' && c != '\r' && c != '\n'))
			return false;
		high += c >= 0x80;
		/* Dashes, quotation marks and the sign of a number stand in Cyrillic texts as letters do. */
		letters += c >= 0x80 && ((u >= 0x0400 && u < 0x0500) || (u >= 0x2010 && u < 0x2030) || u == 0x2116 || u == 0xab || u == 0xbb || u == 0xa0);
	}
	return high > 0 && letters * 2 >= high;
}

static bool is_ascii(struct str s)
{
	for (size_t i = 0; i < s.n; i++)
		if ((unsigned char)s.p[i] >= 0x80)
			return false;
	return true;
}

static void put_line(struct table_csv *c, struct str line)
{
	if (c->encoding == ENCODING_UNKNOWN && !is_ascii(line)) {
		if (str_is_utf8(line))
			c->encoding = ENCODING_UTF8;
		else if (is_cp1251(line))
			c->encoding = ENCODING_CP1251;
	}
	if (c->encoding != ENCODING_CP1251 || is_ascii(line) || !is_cp1251(line)) {
		buf_str(&c->text, line);
		return;
	}
	for (size_t i = 0; i < line.n; i++)
		table_text_utf8(&c->text, cp1251_of((unsigned char)line.p[i]));
}

static size_t line_length(struct str s)
{
	size_t i = 0;

	while (i < s.n && s.p[i] != '\n' && s.p[i] != '\r')
		i++;
	return i < s.n ? i + 1 : i;
}

/* What of the block is fed: itself while it is UTF-8, else its lines converted. */
static struct str convert_lines(struct table_csv *c, struct str block)
{
	if (c->encoding == ENCODING_UTF8 || (c->encoding == ENCODING_UNKNOWN && is_ascii(block)))
		return block;
	if (c->encoding == ENCODING_UNKNOWN && str_is_utf8(block)) {
		c->encoding = ENCODING_UTF8;
		return block;
	}
	while (block.n > 0) {
		size_t n = line_length(block);

		put_line(c, (struct str){block.p, n});
		block = (struct str){block.p + n, block.n - n};
	}
	return buf_view(&c->text);
}

static uint32_t unit_at(const struct table_csv *c, const char *p)
{
	const unsigned char *u = (const unsigned char *)p;

	return c->encoding == ENCODING_UTF16BE ? (uint32_t)u[0] << 8 | u[1] : (uint32_t)u[1] << 8 | u[0];
}

/* UTF-16 to text; bytes taken. Half a pair becomes a byte that no UTF-8 has: the line is found to be bad. */
static size_t convert_utf16(struct table_csv *c, struct str block)
{
	size_t i = 0;

	while (i + 2 <= block.n) {
		uint32_t u = unit_at(c, block.p + i), low = i + 4 <= block.n ? unit_at(c, block.p + i + 2) : 0;

		if (u >= 0xd800 && u < 0xdc00 && i + 4 > block.n && !c->ended)
			break;
		i += 2;
		if (u >= 0xd800 && u < 0xdc00 && low >= 0xdc00 && low < 0xe000) {
			table_text_utf8(&c->text, 0x10000 + ((u - 0xd800) << 10) + (low - 0xdc00));
			i += 2;
		} else if (u >= 0xd800 && u < 0xe000) {
			buf_char(&c->text, '\xff');
		} else {
			table_text_utf8(&c->text, u);
		}
	}
	if (c->ended && i < block.n) {
		buf_char(&c->text, '\xff');
		i = block.n;
	}
	return i;
}

/* ---- blocks ---- */

/* Appends what the file has next to raw. */
static enum ceir_err read_more(struct table_csv *c)
{
	char *to;
	ssize_t n;

	if (c->taken > 0) {
		memmove(c->raw.p, c->raw.p + c->taken, c->raw.n - c->taken);
		c->raw.n -= c->taken;
		c->taken = 0;
	}
	to = buf_reserve(&c->raw, BLOCK_BYTES);
	if (to == NULL)
		return CEIR_ENOMEM;
	do
		n = pread(c->fd, to, BLOCK_BYTES, c->at);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return ceir_err_of_errno(errno);
	c->ended = n == 0;
	c->at += n;
	c->raw.n += (size_t)n;
	return CEIR_OK;
}

/* How much of raw can be converted: whole lines, or all of it at the end. 0: more must be read. */
static size_t whole_lines(const struct table_csv *c)
{
	size_t n = c->raw.n;

	if (c->ended)
		return n;
	while (n > 0 && c->raw.p[n - 1] != '\n' && c->raw.p[n - 1] != '\r')
		n--;
	if (n > 0 || c->raw.n < SEGMENT_MAX)
		return n;
	/* A piece of a line: no character may be cut, be it UTF-8. */
	for (n = c->raw.n; n > c->raw.n - 4 && ((unsigned char)c->raw.p[n - 1] & 0xc0u) == 0x80u; n--)
		;
	return (unsigned char)c->raw.p[n - 1] >= 0xc0u ? n - 1 : n;
}

static void begin(struct table_csv *c)
{
	struct str head = buf_view(&c->raw);

	if (str_starts(head, STR("\xff\xfe")))
		c->encoding = ENCODING_UTF16LE;
	else if (str_starts(head, STR("\xfe\xff")))
		c->encoding = ENCODING_UTF16BE;
	else if (str_starts(head, STR("\xef\xbb\xbf")))
		c->encoding = ENCODING_UTF8;
	if (c->encoding == ENCODING_UTF16LE || c->encoding == ENCODING_UTF16BE)
		c->taken = 2;
}

/* A vertical bar separates when nothing else in the first line could. */
static bool has_bars(struct str text)
{
	struct str line = {text.p, line_length(text)};

	return line.n > 0 && memchr(line.p, '|', line.n) != NULL && memchr(line.p, ',', line.n) == NULL && memchr(line.p, ';', line.n) == NULL &&
	       memchr(line.p, '\t', line.n) == NULL;
}

static enum ceir_err csv_begin(struct table_csv *c, struct str text)
{
	const struct csv_limits limits = {.line_bytes = LINE_BYTES_MAX, .fields = FIELDS_MAX, .record_lines = RECORD_LINES_MAX, .separator = has_bars(text) ? '|' : '\0'};

	c->csv = csv_new(&limits);
	return c->csv == NULL ? CEIR_ENOMEM : CEIR_OK;
}

/* The next block of text to the CSV reader, or its end. */
static enum ceir_err feed(struct table_csv *c)
{
	struct str text = {NULL, 0};
	enum ceir_err err = CEIR_OK;

	buf_clear(&c->text);
	while (!err && text.n == 0 && !c->ended) {
		bool first = c->at == 0;
		struct str block;
		size_t n;

		err = read_more(c);
		if (err)
			return err;
		if (first)
			begin(c);
		block = (struct str){c->raw.p + c->taken, c->raw.n - c->taken}; /* never NULL: room has been made */
		if (c->encoding == ENCODING_UTF16LE || c->encoding == ENCODING_UTF16BE) {
			c->taken += convert_utf16(c, block);
			text = buf_view(&c->text);
		} else {
			n = whole_lines(c);
			text = n > 0 ? convert_lines(c, (struct str){block.p, n}) : text;
			c->taken += n;
		}
		err = c->text.failed ? CEIR_ENOMEM : CEIR_OK;
	}
	if (!err && c->csv == NULL)
		err = csv_begin(c, text);
	if (!err && text.n > 0)
		csv_feed(c->csv, text);
	if (!err && c->ended)
		csv_finish(c->csv);
	return err;
}

/* ---- rows ---- */

static void bad_row(const struct csv_row *in, struct table_row *row)
{
	row->fault = in->fault == CSV_TOO_MANY_FIELDS ? TABLE_FAULT_COLUMNS : TABLE_FAULT_LINE;
	row->column = in->field <= TABLE_COLUMNS_MAX ? in->field : 0;
}

static struct str cut(struct str s)
{
	size_t n = TABLE_CELL_MAX;

	while (n > 0 && ((unsigned char)s.p[n] & 0xc0u) == 0x80u)
		n--;
	return (struct str){s.p, n};
}

static void put_fault(struct table_row *row, enum table_fault fault, size_t column)
{
	if (row->fault != TABLE_GOOD)
		return;
	row->fault = fault;
	row->column = column;
}

static void put_cells(const struct csv_row *in, struct table_cell *cells, struct table_row *row)
{
	for (size_t i = 0; i < in->count; i++) {
		struct str s = str_trim(in->fields[i]);

		if (s.n == 0)
			continue;
		if (i >= TABLE_COLUMNS_MAX) {
			put_fault(row, TABLE_FAULT_COLUMNS, 0);
			return;
		}
		if (s.n > TABLE_CELL_MAX) {
			put_fault(row, TABLE_FAULT_CELL, i + 1);
			s = cut(s);
		}
		cells[i] = (struct table_cell){s, TABLE_TEXT};
		row->n = i + 1;
	}
}

enum ceir_err table_csv_next(struct table_csv *c, bool named, struct table_cell *cells, struct table_row *row, enum table_why *why)
{
	struct csv_row in;
	enum csv_step step;

	for (;;) {
		step = c->csv != NULL ? csv_next(c->csv, &in) : CSV_MORE;
		if (step == CSV_END)
			return CEIR_ENOENT;
		if (step == CSV_MORE) {
			enum ceir_err err = feed(c);

			if (err)
				return err;
			continue;
		}
		for (size_t i = 0; i < TABLE_COLUMNS_MAX; i++)
			cells[i] = (struct table_cell){{NULL, 0}, TABLE_EMPTY};
		*row = (struct table_row){.line = in.line, .cells = cells};
		if (step == CSV_BAD_ROW)
			bad_row(&in, row);
		else
			put_cells(&in, cells, row);
		if (!named && row->fault != TABLE_GOOD) {
			*why = row->fault == TABLE_FAULT_COLUMNS ? TABLE_WHY_WIDE : TABLE_WHY_HEADER;
			return table_why_err(*why);
		}
		if (row->n > 0 || row->fault != TABLE_GOOD)
			return CEIR_OK;
	}
}

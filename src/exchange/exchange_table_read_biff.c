/*
 * exchange_table_read_biff.c - what FreeXL does not tell of an XLS: results of formulas, booleans and error values. Without it such cells would be empty, or
 * numbers, and nobody would know.
 *
 * An XLS is a compound file ([MS-CFB]): sectors of 512 or 4096 bytes behind a header, chained by a table that FreeXL has read. Its stream "Workbook" is
 * records ([MS-XLS]): type (2 bytes), length (2), body; little-endian. First those of the workbook up to EOF, then each sheet's from its BOF to its EOF.
 *
 *   FORMAT   1e 04   id (2), text           XF        e0 00   font (2), id of a format (2)
 *   DATEMODE 22 00   1: days from 1904 (2)  BOUNDSHEET 85 00  where the sheet's BOF is (4), visible (1), type (1; 0: sheet)
 *   FORMULA  06 00   row (2), column (2), XF (2), result (8): a number, or ff ff at its end and first 0: text follows, 1: boolean, 2: error, 3: nothing
 *   STRING   07 02   the text that follows  BOOLERR   05 02   row (2), column (2), XF (2), value (1), is it an error (1)
 *   text: characters (2), 1 when they have two bytes each, else Latin-1 (1), characters
 */
#include "exchange/exchange_table_biff.h"

#include <freexl.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define HEADER_BYTES 512
#define SECTOR_MAX 4096
#define RECORD_MAX 8224      /* longer ones go on in CONTINUE records */
#define ENTRY_BYTES 128      /* of the directory */
#define MINI_BYTES 4096      /* a stream smaller than that lies in a stream of the root's, in sectors of their own */
#define MINI_SECTOR_BYTES 64
#define END_OF_CHAIN 0xfffffffau /* and above: no sector */

enum record { FORMULA = 0x06, END = 0x0a, DATEMODE = 0x22, BOUNDSHEET = 0x85, XF = 0xe0, BOOLERR = 0x205, STRING = 0x207, FORMAT = 0x41e, BEGIN = 0x809 };

struct stream {
	int fd;
	const void *xls;
	uint32_t sector_bytes, first, sector, in_sector;
	uint64_t left, size;
	bool loaded;
	unsigned char bytes[SECTOR_MAX];
	bool is_mini;                /* all of it stands in mini */
	unsigned char mini[MINI_BYTES];
};

struct record_body {
	unsigned type;
	size_t n;
	unsigned char bytes[RECORD_MAX];
};

struct reader {
	struct stream s;
	struct record_body record;
	struct table_biff *out;
	uint32_t sheet_at;
	bool sheet_found, from_1904;
	struct buf date_formats;     /* ids (2 bytes each) of formats of their own that are dates */
	struct buf dates;            /* a byte for each XF: it is a date */
	bool text_follows;           /* of the last cell */
};

static uint32_t get(const unsigned char *p, size_t n)
{
	uint32_t v = 0;

	while (n-- > 0)
		v = v << 8 | p[n];
	return v;
}

/* ---- stream ---- */

static bool load(struct stream *s)
{
	uint64_t at = ((uint64_t)s->sector + 1) * s->sector_bytes;
	ssize_t n = pread(s->fd, s->bytes, s->sector_bytes, (off_t)at);

	if (n > 0 && n < (ssize_t)s->sector_bytes) /* the last one of a file may be short */
		memset(s->bytes + n, 0, s->sector_bytes - (size_t)n);
	s->loaded = n > 0;
	return s->loaded;
}

/* On to the sector where in_sector lies. A chain that goes round ends with `left`, which the file's size bounds. */
static bool settle(struct stream *s)
{
	while (s->in_sector >= s->sector_bytes) {
		unsigned next;

		if (freexl_get_FAT_entry(s->xls, s->sector, &next) != FREEXL_OK || next >= END_OF_CHAIN)
			return false;
		s->sector = next;
		s->in_sector -= s->sector_bytes;
		s->loaded = false;
	}
	return s->loaded || load(s);
}

/* to may be NULL: skips. */
static bool take(struct stream *s, unsigned char *to, size_t n)
{
	if (n > s->left)
		return false;
	if (s->is_mini && to != NULL)
		memcpy(to, s->mini + (s->size - s->left), n);
	s->left -= n;
	while (n > 0 && !s->is_mini) {
		size_t part;

		if (!settle(s))
			return false;
		part = s->sector_bytes - s->in_sector < n ? s->sector_bytes - s->in_sector : n;
		if (to != NULL) {
			memcpy(to, s->bytes + s->in_sector, part);
			to += part;
		}
		s->in_sector += (uint32_t)part;
		n -= part;
	}
	return true;
}

static void rewind_to(struct stream *s, uint32_t first, uint64_t size)
{
	s->first = s->sector = first;
	s->in_sector = 0;
	s->left = s->size = size;
	s->loaded = false;
}

/* Name, as UTF-16 with its NUL, at the entry's begin; its length in bytes at 64, type at 66 (2: stream), first sector at 116, size at 120. */
static bool is_workbook(const unsigned char *entry)
{
	static const char name[] = "W\0o\0r\0k\0b\0o\0o\0k\0\0";

	return get(entry + 64, 2) == sizeof(name) && entry[66] == 2 && memcmp(entry, name, sizeof(name)) == 0;
}

struct place {
	uint32_t first, size;
};

static struct place place_of(const unsigned char *entry)
{
	return (struct place){get(entry + 116, 4), get(entry + 120, 4)};
}

/* A small stream: its sectors are parts of the root's stream, their chain a table of its own, in the stream that begins at `table`. */
static bool load_mini(struct stream *s, struct place root, uint32_t table, struct place at, uint64_t most)
{
	uint32_t sector = at.first;
	unsigned char next[4];

	for (size_t done = 0; done < at.size; done += MINI_SECTOR_BYTES) {
		rewind_to(s, root.first, root.size);
		if (!take(s, NULL, (size_t)sector * MINI_SECTOR_BYTES) || !take(s, s->mini + done, MINI_SECTOR_BYTES))
			return false;
		rewind_to(s, table, most);
		if (!take(s, NULL, (size_t)sector * sizeof(next)) || !take(s, next, sizeof(next)))
			return false;
		sector = get(next, sizeof(next));
	}
	s->is_mini = true;
	rewind_to(s, 0, at.size);
	return true;
}

static bool find_workbook(struct stream *s)
{
	unsigned char header[HEADER_BYTES], entry[ENTRY_BYTES];
	off_t end = lseek(s->fd, 0, SEEK_END);
	struct place root, at = {0, 0};
	unsigned sector_bytes;

	if (end <= 0 || pread(s->fd, header, sizeof(header), 0) != HEADER_BYTES ||
		freexl_get_info(s->xls, FREEXL_CFBF_SECTOR_SIZE, &sector_bytes) != FREEXL_OK || (sector_bytes != 512 && sector_bytes != 4096))
		return false;
	s->sector_bytes = sector_bytes;
	rewind_to(s, get(header + 48, 4), (uint64_t)end);
	if (!take(s, entry, sizeof(entry)))
		return false;
	root = place_of(entry); /* always the first */
	while (at.size == 0 && take(s, entry, sizeof(entry)))
		if (is_workbook(entry))
			at = place_of(entry);
	if (at.size == 0 || at.size > (uint64_t)end || root.size > (uint64_t)end)
		return false;
	if (at.size < MINI_BYTES)
		return load_mini(s, root, get(header + 60, 4), at, (uint64_t)end);
	rewind_to(s, at.first, at.size);
	return true;
}

/* ---- records ---- */

static bool record_next(struct reader *r)
{
	unsigned char head[4];
	size_t n;

	if (!take(&r->s, head, sizeof(head)))
		return false;
	r->record.type = get(head, 2);
	n = get(head + 2, 2);
	r->record.n = n < RECORD_MAX ? n : RECORD_MAX;
	return take(&r->s, r->record.bytes, r->record.n) && take(&r->s, NULL, n - r->record.n);
}

/* UTF-16 or Latin-1 to UTF-8. Half a pair is U+FFFD. Returns false when the text goes on in another record. */
static bool put_text(struct buf *out, const unsigned char *p, size_t n)
{
	size_t characters, width;

	if (n < 3)
		return false;
	characters = get(p, 2);
	width = p[2] & 1u ? 2 : 1;
	for (size_t i = 3; characters-- > 0; i += width) {
		uint32_t c, low;

		if (i + width > n)
			return false;
		c = get(p + i, width);
		if (c >= 0xd800 && c < 0xdc00 && i + 4 <= n && characters > 0 && (low = get(p + i + 2, 2)) >= 0xdc00 && low < 0xe000) {
			c = 0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00);
			i += 2;
			characters--;
		}
		table_text_utf8(out, (c >= 0xd800 && c < 0xe000) || c == 0 ? 0xfffd : c);
	}
	return true;
}

static bool format_is_date(const struct reader *r, unsigned id)
{
	if (id < 164)
		return table_format_id_is_date(id);
	for (size_t i = 0; i + 2 <= r->date_formats.n; i += 2)
		if (get((const unsigned char *)r->date_formats.p + i, 2) == id)
			return true;
	return false;
}

static void take_format(struct reader *r)
{
	struct buf text = BUF_INIT(0);

	if (r->record.n > 5 && put_text(&text, r->record.bytes + 2, r->record.n - 2) && table_format_is_date(buf_view(&text)))
		buf_put(&r->date_formats, r->record.bytes, 2);
	buf_free(&text);
}

static void take_global(struct reader *r)
{
	const unsigned char *p = r->record.bytes;

	if (r->record.type == FORMAT) {
		take_format(r);
	} else if (r->record.type == XF && r->record.n >= 4) {
		buf_char(&r->dates, format_is_date(r, get(p + 2, 2)));
	} else if (r->record.type == DATEMODE && r->record.n >= 2) {
		r->from_1904 = get(p, 2) == 1;
	} else if (r->record.type == BOUNDSHEET && r->record.n >= 6 && !r->sheet_found && p[5] == 0) {
		r->sheet_at = get(p, 4);
		r->sheet_found = true;
	}
}

/* ---- cells ---- */

static const char *error_text(unsigned code)
{
	switch (code) {
	case 0x00:
		return "#NULL!";
	case 0x07:
		return "#DIV/0!";
	case 0x0f:
		return "#VALUE!";
	case 0x17:
		return "#REF!";
	case 0x1d:
		return "#NAME?";
	case 0x24:
		return "#NUM!";
	default:
		return "#N/A";
	}
}

/* A new cell, its text to be added at the end of the texts. */
static struct table_biff_cell *cell_new(struct reader *r, enum table_cell_type type, enum table_fault fault)
{
	struct table_biff *b = r->out;
	char *at = buf_reserve(&b->cells, sizeof(struct table_biff_cell));
	struct table_biff_cell *c = (struct table_biff_cell *)(void *)at;

	if (at == NULL)
		return NULL;
	b->cells.n += sizeof(*c);
	*c = (struct table_biff_cell){get(r->record.bytes, 2), get(r->record.bytes + 2, 2), type, fault, b->texts.n, 0};
	return c;
}

static void cell_text(struct reader *r, enum table_cell_type type, enum table_fault fault, const char *text)
{
	struct table_biff_cell *c = cell_new(r, type, fault);

	if (c == NULL)
		return;
	buf_c(&r->out->texts, text);
	c->text_n = strlen(text);
}

static void put_bool(struct reader *r, unsigned value, bool is_error)
{
	if (is_error)
		cell_text(r, TABLE_TEXT, TABLE_FAULT_CELL, error_text(value));
	else
		cell_text(r, TABLE_BOOL, TABLE_GOOD, value ? "yes" : "no");
}

static void put_number(struct reader *r, const unsigned char *p)
{
	enum table_cell_type type = TABLE_NUMBER;
	size_t format = get(r->record.bytes + 4, 2);
	uint64_t bits = get(p, 4) | (uint64_t)get(p + 4, 4) << 32;
	char text[TABLE_NUMBER_BYTES];
	enum table_fault fault;
	double v;

	memcpy(&v, &bits, sizeof(v));
	if (format < r->dates.n && r->dates.p[format])
		fault = table_date_text(v, r->from_1904, &type, text);
	else
		fault = table_number_text(v, text);
	cell_text(r, type, fault, text);
}

static void take_formula(struct reader *r)
{
	const unsigned char *result = r->record.bytes + 6;

	if (r->record.n < 14)
		return;
	if (result[6] != 0xff || result[7] != 0xff) {
		put_number(r, result);
	} else if (result[0] == 0) {
		r->text_follows = cell_new(r, TABLE_TEXT, TABLE_GOOD) != NULL;
	} else if (result[0] < 3) {
		put_bool(r, result[2], result[0] == 2);
	}
}

static void take_string(struct reader *r)
{
	struct table_biff *b = r->out;
	struct table_biff_cell *last = (struct table_biff_cell *)(void *)(b->cells.p + b->cells.n - sizeof(*last));

	if (!put_text(&b->texts, r->record.bytes, r->record.n))
		last->fault = TABLE_FAULT_CELL;
	last->text_n = b->texts.n - last->text_at;
	r->text_follows = false;
}

static void take_cell(struct reader *r)
{
	if (r->record.type == FORMULA) {
		r->text_follows = false;
		take_formula(r);
	} else if (r->record.type == BOOLERR && r->record.n >= 8) {
		put_bool(r, r->record.bytes[6], r->record.bytes[7] != 0);
	} else if (r->record.type == STRING && r->text_follows) {
		take_string(r);
	}
}

/* Records up to the EOF that belongs to the first BOF: charts within a sheet have their own. */
static bool walk(struct reader *r, void (*with)(struct reader *))
{
	unsigned depth = 0;

	do {
		if (!record_next(r))
			return false;
		if (r->record.type == BEGIN)
			depth++;
		else if (depth == 0)
			return false;
		else if (r->record.type == END)
			depth--;
		else if (depth == 1)
			with(r);
	} while (depth > 0);
	return true;
}

static int by_place(const void *a, const void *b)
{
	const struct table_biff_cell *x = a, *y = b;

	if (x->row != y->row)
		return x->row < y->row ? -1 : 1;
	return (x->column > y->column) - (x->column < y->column);
}

static enum table_why read_all(struct reader *r)
{
	struct table_biff *b = r->out;

	if (!find_workbook(&r->s) || !walk(r, take_global))
		return TABLE_WHY_SHEET;
	if (!r->sheet_found)
		return TABLE_WHY_NO_SHEET;
	rewind_to(&r->s, r->s.first, r->s.size);
	if (!take(&r->s, NULL, r->sheet_at) || !walk(r, take_cell))
		return TABLE_WHY_SHEET;
	if (b->cells.failed || b->texts.failed || r->dates.failed || r->date_formats.failed)
		return TABLE_WHY_MEMORY;
	b->n = b->cells.n / sizeof(struct table_biff_cell);
	if (b->n > 0)
		qsort(b->cells.p, b->n, sizeof(struct table_biff_cell), by_place);
	return TABLE_WHY_NONE;
}

enum table_why table_biff_read(int fd, const void *xls, struct table_biff *out)
{
	struct reader *r = calloc(1, sizeof(*r));
	enum table_why why;

	*out = (struct table_biff){0};
	if (r == NULL)
		return TABLE_WHY_MEMORY;
	r->s.fd = fd;
	r->s.xls = xls;
	r->out = out;
	why = read_all(r);
	buf_free(&r->date_formats);
	buf_free(&r->dates);
	free(r);
	return why;
}

void table_biff_free(struct table_biff *b)
{
	buf_free(&b->cells);
	buf_free(&b->texts);
}

const struct table_biff_cell *table_biff_at(const struct table_biff *b, size_t i)
{
	return i < b->n ? (const struct table_biff_cell *)(const void *)b->cells.p + i : NULL;
}

/*
 * exchange_csv_read.c - streaming CSV reader.
 *
 * The window holds the row being read and what was fetched ahead:
 *
 *   0 ..... start ........... line_start ........ scan .............. end ..... capacity
 *           the row begins    its last line,      no line end in      bytes read
 *                             maybe not complete  [line_start, scan)
 *
 * A line is looked at only when all of it is there, so a field is never split. A row is one line, or more when a line ends
 * inside quotes; then `split` keeps where splitting stopped, and no byte is split twice however a row is spread over lines.
 *
 * When a row of several lines turns out to be wrong (quote never closed, text behind the closing quote), only its first line
 * is given up and reading starts again behind it. So one stray quote does not swallow the file; a line is read at most
 * record_lines times, which keeps hostile input linear.
 */
#include "exchange/exchange.h"

#include <stdlib.h>
#include <string.h>

#define LINE_BYTES_DEFAULT ((size_t)64 << 10)
#define FIELDS_DEFAULT 64
#define RECORD_LINES_DEFAULT 16
#define STEP_BYTES ((size_t)64 << 10)
#define LINE_END_BYTES 2

struct csv_reader {
	struct csv_limits limits;
	char separator; /* 0: not known yet */
	bool begun;     /* the byte order mark has been dealt with */
	bool finished;  /* no chunk comes after this one */
	bool useless;   /* UTF-16: nothing more comes out */
	bool skipping;  /* inside a line that was too long */

	struct str chunk; /* fed, not yet in the window */
	char *window;
	size_t capacity, start, line_start, scan, end;

	uint64_t line;     /* number of the row's first line */
	size_t lines;      /* complete lines of the row so far */
	size_t first_end;  /* content of the row's first line ends here, */
	size_t first_next; /* the line after it begins here; both counted from start */

	struct {
		size_t count;  /* fields complete */
		size_t at;     /* counted from start: the next byte to look at */
		size_t opened; /* counted from start: first byte behind the opening quote */
		bool in_quotes;
	} split;
	struct str *fields;
};

static const char *const fault_texts[CSV_FAULTS] = {
	[CSV_GOOD] = N_("the line is well formed"),
	[CSV_LINE_TOO_LONG] = N_("the line is longer than allowed"),
	[CSV_TOO_MANY_FIELDS] = N_("the line has more fields than allowed"),
	[CSV_NUL_BYTE] = N_("the field contains a NUL byte; expected text in UTF-8"),
	[CSV_NOT_UTF8] = N_("the field is not valid UTF-8"),
	[CSV_QUOTE_OPEN] = N_("the quotation mark at the start of the field is not closed"),
	[CSV_AFTER_QUOTE] = N_("expected a separator or the end of the line after the closing quotation mark"),
	[CSV_UTF16] = N_("the file is in UTF-16; save it as CSV in UTF-8"),
};

const char *csv_fault_text(enum csv_fault fault)
{
	CEIR_ASSERT((unsigned)fault < CSV_FAULTS);
	return fault_texts[fault];
}

struct csv_reader *csv_new(const struct csv_limits *limits)
{
	struct csv_reader *r = calloc(1, sizeof(*r));

	if (r == NULL)
		return NULL;
	if (limits != NULL)
		r->limits = *limits;
	if (r->limits.line_bytes == 0)
		r->limits.line_bytes = LINE_BYTES_DEFAULT;
	if (r->limits.fields == 0)
		r->limits.fields = FIELDS_DEFAULT;
	if (r->limits.record_lines == 0)
		r->limits.record_lines = RECORD_LINES_DEFAULT;
	r->separator = r->limits.separator;
	CEIR_ASSERT(r->separator == 0 || ((unsigned char)r->separator < 0x80 && strchr("\" \r\n", r->separator) == NULL));
	r->line = 1;
	if (size_add(r->limits.line_bytes, STEP_BYTES + LINE_END_BYTES, &r->capacity))
		r->window = malloc(r->capacity);
	r->fields = calloc(r->limits.fields, sizeof(*r->fields));
	if (r->window == NULL || r->fields == NULL) {
		csv_free(r);
		return NULL;
	}
	return r;
}

void csv_free(struct csv_reader *r)
{
	if (r == NULL)
		return;
	free(r->window);
	free(r->fields);
	free(r);
}

void csv_feed(struct csv_reader *r, struct str chunk)
{
	CEIR_ASSERT(r->chunk.n == 0 && !r->finished);
	r->chunk = chunk;
}

void csv_finish(struct csv_reader *r)
{
	r->finished = true;
}

char csv_separator(const struct csv_reader *r)
{
	return r->separator;
}

/* Moves the row to the front of the window; its fields found so far move with it. */
static void compact(struct csv_reader *r)
{
	if (r->start == 0)
		return;
	memmove(r->window, r->window + r->start, r->end - r->start);
	for (size_t i = 0; i < r->split.count; i++)
		r->fields[i].p -= r->start;
	r->line_start -= r->start;
	r->scan -= r->start;
	r->end -= r->start;
	r->start = 0;
}

/* More of the chunk into the window; false when there is none. */
static bool refill(struct csv_reader *r)
{
	size_t n;

	if (r->chunk.n == 0)
		return false;
	/* Only when the window is full, so that small chunks do not move a long line again and again. */
	if (r->end == r->capacity)
		compact(r);
	n = r->capacity - r->end;
	if (n > r->chunk.n)
		n = r->chunk.n;
	CEIR_ASSERT(n > 0); /* the caller has cut a row that is longer than the limit */
	memcpy(r->window + r->end, r->chunk.p, n);
	r->end += n;
	r->chunk = (struct str){r->chunk.p + n, r->chunk.n - n};
	return true;
}

static bool at_end(const struct csv_reader *r)
{
	return r->finished && r->chunk.n == 0;
}

/* Offset of the first CR or LF in p[0..n-1], or n. Eight bytes a step: a byte equal to c becomes zero in w ^ c...c. */
static size_t find_line_end(const char *p, size_t n)
{
	const uint64_t ones = 0x0101010101010101u, tops = 0x8080808080808080u;
	size_t i = 0;

	for (; i + 8 <= n; i += 8) {
		uint64_t w, lf, cr;

		memcpy(&w, p + i, 8);
		lf = w ^ (ones * '\n');
		cr = w ^ (ones * '\r');
		if ((((lf - ones) & ~lf) | ((cr - ones) & ~cr)) & tops)
			break;
	}
	while (i < n && p[i] != '\n' && p[i] != '\r')
		i++;
	return i;
}

/* Where the content of the line at line_start ends and where the next line begins. false: its end is not there yet. */
static bool line_find(struct csv_reader *r, size_t *content_end, size_t *next)
{
	size_t at = r->scan + find_line_end(r->window + r->scan, r->end - r->scan);

	r->scan = at;
	*content_end = *next = at;
	if (at == r->end)
		return at_end(r) && at > r->line_start;
	*next = at + 1;
	if (r->window[at] == '\r') {
		if (at + 1 == r->end && !at_end(r))
			return false; /* an LF may follow */
		if (at + 1 < r->end && r->window[at + 1] == '\n')
			*next = at + 2;
	}
	return true;
}

/* The next row begins at an offset of the window, `lines` lines further on. */
static void row_begin(struct csv_reader *r, size_t start, size_t lines)
{
	r->start = r->line_start = r->scan = start;
	r->line += lines;
	r->lines = 0;
	memset(&r->split, 0, sizeof(r->split));
}

/* Reports the row's first line as bad and goes on behind it, even when the row has more lines. */
static enum csv_step give_up_line(struct csv_reader *r, enum csv_fault fault, size_t field, struct csv_row *row)
{
	*row = (struct csv_row){.line = r->line, .fault = fault, .field = field, .raw = {r->window + r->start, r->first_end}};
	row_begin(r, r->start + r->first_next, 1);
	return CSV_BAD_ROW;
}

static enum csv_step too_long(struct csv_reader *r, struct csv_row *row)
{
	if (r->lines > 0)
		return give_up_line(r, CSV_QUOTE_OPEN, r->split.count + 1, row);
	*row = (struct csv_row){.line = r->line, .fault = CSV_LINE_TOO_LONG, .raw = {r->window + r->start, r->limits.line_bytes}};
	r->skipping = true;
	return CSV_BAD_ROW;
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* A comma between digits says nothing: "1,5;2,5" has decimal commas, and "1,2" is separated by the default anyway. */
static bool is_decimal_comma(struct str line, size_t i)
{
	return line.p[i] == ',' && i > 0 && i + 1 < line.n && is_digit(line.p[i - 1]) && is_digit(line.p[i + 1]);
}

/*
 * The most frequent candidate outside quotes; on a tie the earlier one, and the last when there is none at all. A bar separates when nothing
 * else does: the GSMA's file of TACs.
 */
static char separator_of(struct str line)
{
	static const char candidates[] = {'\t', ';', ','};
	size_t counts[CEIR_COUNT(candidates)] = {0}, best = CEIR_COUNT(candidates) - 1, bars = 0;
	bool in_quotes = false;

	for (size_t i = 0; i < line.n; i++) {
		in_quotes ^= line.p[i] == '"';
		if (in_quotes || is_decimal_comma(line, i))
			continue;
		for (size_t c = 0; c < CEIR_COUNT(candidates); c++)
			counts[c] += line.p[i] == candidates[c];
		bars += line.p[i] == '|';
	}
	for (size_t c = CEIR_COUNT(candidates); c-- > 0;)
		if (counts[c] >= counts[best] && counts[c] > 0)
			best = c;
	return bars && !counts[best] ? '|' : candidates[best];
}

/* Learns the separator from the first line; true when the line said nothing else ("sep=;"). */
static bool learn_separator(struct csv_reader *r, struct str line)
{
	if (line.n == 5 && str_starts(line, STR("sep=")) && strchr(",;\t|", line.p[4]) != NULL && line.p[4] != '\0') {
		r->separator = line.p[4];
		return true;
	}
	r->separator = separator_of(line);
	return false;
}

static size_t skip_spaces(const char *row, size_t at, size_t end)
{
	while (at < end && row[at] == ' ')
		at++;
	return at;
}

/* Goes on in a quoted field at split.at. CSV_QUOTE_OPEN: the row goes on in the next line. */
static enum csv_fault split_quoted(struct csv_reader *r, const char *row, size_t end)
{
	size_t at = r->split.at;

	for (;;) {
		const char *quote = memchr(row + at, '"', end - at);

		if (quote == NULL) {
			r->split.at = end;
			return CSV_QUOTE_OPEN;
		}
		at = (size_t)(quote - row) + 1;
		if (at == end || row[at] != '"')
			break;
		at++;
	}
	r->split.in_quotes = false;
	r->fields[r->split.count] = (struct str){row + r->split.opened, at - 1 - r->split.opened};
	at = skip_spaces(row, at, end);
	if (at < end && row[at] != r->separator)
		return CSV_AFTER_QUOTE;
	r->split.at = at;
	return CSV_GOOD;
}

static bool opens_quotes(const char *row, size_t at, size_t end, size_t *opened)
{
	at = skip_spaces(row, at, end);
	if (at < end && row[at] == '=')
		at++; /* ="0123": how spreadsheets are told to keep a leading zero */
	if (at == end || row[at] != '"')
		return false;
	*opened = at + 1;
	return true;
}

/* Splits row[split.at .. end) into fields; each turn of the loop is one field. */
static enum csv_fault split_row(struct csv_reader *r, size_t end, bool quotes)
{
	const char *row = r->window + r->start;

	for (;;) {
		if (r->split.count == r->limits.fields)
			return CSV_TOO_MANY_FIELDS;
		if (!r->split.in_quotes && quotes && opens_quotes(row, r->split.at, end, &r->split.opened)) {
			r->split.in_quotes = true;
			r->split.at = r->split.opened;
		}
		if (r->split.in_quotes) {
			enum csv_fault fault = split_quoted(r, row, end);

			if (fault != CSV_GOOD)
				return fault;
		} else {
			const char *from = row + r->split.at;
			const char *to = memchr(from, r->separator, end - r->split.at);

			if (to == NULL)
				to = row + end;
			r->fields[r->split.count] = (struct str){from, (size_t)(to - from)};
			r->split.at = (size_t)(to - row);
		}
		r->split.count++;
		if (r->split.at == end)
			return CSV_GOOD;
		r->split.at++;
	}
}

/* "" in quoted fields becomes ". Done last: a row that is given up must be found again as it came. */
static void undouble_quotes(struct csv_reader *r)
{
	char *row = r->window + r->start;

	for (size_t i = 0; i < r->split.count; i++) {
		struct str *f = &r->fields[i];
		/* Only a quoted field has a quote right before it. */
		char *to = f->p > row && f->p[-1] == '"' && f->n > 0 ? memchr(f->p, '"', f->n) : NULL;
		const char *from = to, *end = f->p + f->n;

		if (to == NULL)
			continue;
		while (from < end) {
			from += *from == '"';
			*to++ = *from++;
		}
		f->n = (size_t)(to - f->p);
	}
}

/* The first field that is no text. */
static enum csv_fault text_fault(const struct csv_reader *r, size_t *field)
{
	for (size_t i = 0; i < r->split.count; i++) {
		struct str f = r->fields[i];

		*field = i + 1;
		if (f.n > 0 && memchr(f.p, '\0', f.n) != NULL)
			return CSV_NUL_BYTE;
		if (!str_is_utf8(f))
			return CSV_NOT_UTF8;
	}
	return CSV_GOOD;
}

/* A row is complete up to `end` (counted from start): splits it. *step is set, or false is returned: more lines needed. */
static bool row_finish(struct csv_reader *r, size_t end, size_t next, struct csv_row *row, enum csv_step *step)
{
	struct str text = {r->window + r->start, end};
	bool quotes = r->lines > 0 || memchr(text.p, '"', text.n) != NULL;
	enum csv_fault fault = split_row(r, end, quotes);
	size_t field = r->split.count + 1;

	if (r->lines == 0) {
		r->first_end = end;
		r->first_next = next - r->start;
	}
	if (fault == CSV_QUOTE_OPEN && r->lines + 1 < r->limits.record_lines) {
		r->lines++;
		r->line_start = r->scan = next;
		return false;
	}
	if (fault != CSV_GOOD) {
		*step = give_up_line(r, fault, fault == CSV_TOO_MANY_FIELDS ? 0 : field, row);
		return true;
	}
	if (!str_is_utf8(text))
		fault = text_fault(r, &field);
	if (fault != CSV_GOOD) {
		*row = (struct csv_row){.line = r->line, .fault = fault, .field = field, .raw = text};
		*step = CSV_BAD_ROW;
	} else {
		if (quotes)
			undouble_quotes(r);
		*row = (struct csv_row){.line = r->line, .fields = r->fields, .count = r->split.count};
		*step = CSV_ROW;
	}
	row_begin(r, next, r->lines + 1);
	return true;
}

/* Byte order mark at the very beginning. true: *step is set. */
static bool encoding_check(struct csv_reader *r, struct csv_row *row, enum csv_step *step)
{
	struct str head;

	while (r->end < 3 && refill(r))
		;
	if (r->end < 3 && !r->finished) {
		*step = CSV_MORE;
		return true;
	}
	head = (struct str){r->window, r->end};
	r->begun = true;
	if (str_starts(head, STR("\xff\xfe")) || str_starts(head, STR("\xfe\xff"))) {
		r->useless = true;
		*row = (struct csv_row){.line = 1, .fault = CSV_UTF16, .raw = {r->window, 2}};
		*step = CSV_BAD_ROW;
		return true;
	}
	if (str_starts(head, STR("\xef\xbb\xbf")))
		row_begin(r, 3, 0);
	return false;
}

/* The rest of a line that was too long: dropped up to its end, or as far as the window goes. */
static void skip_line(struct csv_reader *r, bool complete, size_t next)
{
	row_begin(r, complete ? next : r->scan, complete);
	r->skipping = !complete;
}

/* No further line is there: fetch it (true), or *step says why not. */
static bool more_lines(struct csv_reader *r, struct csv_row *row, enum csv_step *step)
{
	if (refill(r))
		return true;
	if (!r->finished)
		*step = CSV_MORE;
	else if (r->lines > 0)
		*step = give_up_line(r, CSV_QUOTE_OPEN, r->split.count + 1, row);
	else
		*step = CSV_END;
	return false;
}

/* A first line that is no row: blank, or one that names the separator. */
static bool is_no_row(struct csv_reader *r, struct str line)
{
	return skip_spaces(line.p, 0, line.n) == line.n || (r->separator == 0 && learn_separator(r, line));
}

enum csv_step csv_next(struct csv_reader *r, struct csv_row *row)
{
	enum csv_step step;

	*row = (struct csv_row){.line = r->line};
	if (r->useless) {
		r->chunk.n = 0;
		return r->finished ? CSV_END : CSV_MORE;
	}
	if (!r->begun && encoding_check(r, row, &step))
		return step;
	for (;;) {
		size_t content_end, next;
		bool complete = line_find(r, &content_end, &next);

		if (r->skipping) {
			skip_line(r, complete, next);
		} else if (content_end - r->start > r->limits.line_bytes) {
			return too_long(r, row);
		} else if (complete) {
			struct str line = {r->window + r->start, content_end - r->start};

			if (r->lines == 0 && is_no_row(r, line))
				row_begin(r, next, 1);
			else if (row_finish(r, line.n, next, row, &step))
				return step;
			continue;
		}
		if (!complete && !more_lines(r, row, &step))
			return step;
	}
}

/*
 * exchange.h - file formats that people and programs exchange with the register. Bytes in, rows out, and back; what a row
 * means is decided elsewhere.
 *
 * CSV as in RFC 4180, and as people really send it:
 *   separators   , ; or tab, found in the first line (a line "sep=;" of a spreadsheet says so itself) or fixed
 *   line ends    LF, CRLF or CR, mixed too; the last line may lack its own; blank lines are passed over
 *   quotes       "a ""quoted"" field", with line breaks inside (bounded), spaces around the quotes, ="0123" of spreadsheets;
 *                a quote in the middle of a field that does not begin with one stands for itself
 *   encoding     UTF-8, with or without byte order mark
 * What is wrong with a line is told with its number and field, and the lines after it are still read. A quote that is
 * never closed costs its own line only: reading goes on at the next one.
 *
 * A reader takes constant memory: the longest line + 64 KiB. It belongs to one thread at a time.
 */
#ifndef CEIR_EXCHANGE_H
#define CEIR_EXCHANGE_H

#include "base/base.h"

/* Zero in a member: its default. */
struct csv_limits {
	size_t line_bytes;   /* longest row [65536] */
	size_t fields;       /* most fields in a row [64] */
	size_t record_lines; /* most lines that one row with line breaks inside quotes may span [16] */
	char separator;      /* [found in the first line] */
};

enum csv_fault {
	CSV_GOOD = 0,
	CSV_LINE_TOO_LONG,
	CSV_TOO_MANY_FIELDS,
	CSV_NUL_BYTE,
	CSV_NOT_UTF8,
	CSV_QUOTE_OPEN,  /* no closing quote within the limits */
	CSV_AFTER_QUOTE, /* something between a closing quote and the separator */
	CSV_UTF16,       /* the whole file; nothing is read from it */
	CSV_FAULTS
};
/* What was expected; marked for translation with N_. */
const char *csv_fault_text(enum csv_fault fault);

/* Fields and raw point into the reader and hold until the next csv_next, csv_feed or csv_free. */
struct csv_row {
	uint64_t line;            /* of the file, from 1; the first one of a row that spans several */
	const struct str *fields; /* unquoted; count of them; none in a bad row */
	size_t count;
	enum csv_fault fault; /* CSV_BAD_ROW only, else CSV_GOOD */
	size_t field;         /* CSV_BAD_ROW: from 1; 0 when it is the line as a whole */
	struct str raw;       /* CSV_BAD_ROW: the line as it came, at most line_bytes of it; any byte may be in it */
};

enum csv_step {
	CSV_ROW,
	CSV_BAD_ROW,
	CSV_MORE, /* all of the chunk has been taken: feed or finish */
	CSV_END,
};

struct csv_reader;

/* limits may be NULL. NULL: memory. */
struct csv_reader *csv_new(const struct csv_limits *limits);
void csv_free(struct csv_reader *r); /* NULL is allowed */
/* The next bytes of the file, of any size, cut anywhere; they must stay until csv_next returns CSV_MORE. */
void csv_feed(struct csv_reader *r, struct str chunk);
/* The chunk fed last was the end of the file. */
void csv_finish(struct csv_reader *r);
enum csv_step csv_next(struct csv_reader *r, struct csv_row *row);
/* The separator in use; 0 while the first line has not been seen. */
char csv_separator(const struct csv_reader *r);
/* Column of a name, compared without case (ASCII) and without spaces around it. false: no such column. */
bool csv_header_find(const struct csv_row *header, const char *name, size_t *column);

enum csv_style {
	CSV_VERBATIM,
	/*
	 * For files that people open in a spreadsheet: a field that would be run as a formula (it begins with = + - @, tab or
	 * CR) gets an apostrophe before it. Not for files that a program reads back: "+380..." changes.
	 */
	CSV_NO_FORMULAS,
};
/* One field, quoted only where it must be. */
void csv_put_field(struct buf *out, struct str field, char separator, enum csv_style style);
/* A row and its CRLF. */
void csv_put_row(struct buf *out, const struct str *fields, size_t count, char separator, enum csv_style style);

#endif

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
#include "triplets/triplets.h"

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

/* ---- streams of unknown packing ------------------------------------------------------------------------------------- */

/*
 * Unpacks a body while it comes in: gzip (RFC 1952, several members), zstd (RFC 8878, several frames) or plain, told apart by the first
 * bytes, not by a name. max_ratio: output bytes per input byte, counted from the second MiB of output on, above which it is a bomb (CEIR_ELIMIT);
 * 0: no limit. One thread at a time.
 */
struct unpack;
struct unpack *unpack_new(unsigned max_ratio); /* NULL: memory */
void unpack_free(struct unpack *u);
/* Calls out() with what can be unpacked so far; an error of out() stops and is returned. CEIR_EINVAL: damaged. */
typedef enum ceir_err (*unpack_out)(void *ctx, struct str bytes);
enum ceir_err unpack_feed(struct unpack *u, struct str bytes, unpack_out out, void *ctx) CEIR_MUST_USE;
/* The body has ended. CEIR_EINVAL: it was cut off. */
enum ceir_err unpack_finish(struct unpack *u, unpack_out out, void *ctx) CEIR_MUST_USE;

/* ---- deliveries: triplets as operators write them ------------------------------------------------------------------- */

/* Why a line or a field of it is not as expected. Codes on the wire and in reports; numbers never change. */
enum delivery_fault {
	DELIVERY_GOOD = 0,
	DELIVERY_IMEI_EMPTY,       /* refused */
	DELIVERY_IMEI_MALFORMED,   /* taken, counted, reported: kept under triplet_malformed_key() */
	DELIVERY_IMEI_SUSPICIOUS,  /* 15 digits, the last neither 0 nor the check digit: taken, counted, not reported */
	DELIVERY_IMSI_EMPTY,       /* refused */
	DELIVERY_IMSI_BAD,         /* refused: not 14 or 15 digits */
	DELIVERY_MSISDN_BAD,       /* refused: not 5 to 15 digits; an empty one is taken */
	DELIVERY_TIME_BAD,         /* refused: no date or time, or one that does not exist */
	DELIVERY_TIME_FUTURE,      /* refused: more than a day ahead */
	DELIVERY_EVENT_BAD,        /* taken without it, reported */
	DELIVERY_RAT_BAD,          /* taken without it, reported */
	DELIVERY_CELL_BAD,         /* taken without it, reported: longer than 31 characters, or not printable */
	DELIVERY_COLUMNS,          /* refused: another number of fields than the header or the first line has */
	DELIVERY_QUOTE,            /* refused: a quote that is not closed, or followed by text */
	DELIVERY_TOO_LONG,         /* refused: a line above 64 KiB */
	DELIVERY_EXPONENT,         /* refused: an IMEI that a spreadsheet turned into 3.52106E+14 */
	DELIVERY_FAULTS
};
const char *delivery_fault_code(unsigned fault);    /* "imei-malformed"; NULL outside the range */
const char *delivery_fault_text(unsigned fault);    /* English sentence: what was expected; a catalogue key */
bool delivery_fault_refuses(unsigned fault);        /* the line is not taken */

struct delivery_counts {
	uint64_t lines;                  /* data lines, header and empty lines not counted */
	uint64_t taken, refused;         /* taken + refused == lines */
	uint64_t malformed, suspicious;  /* of those taken: IMEI */
	/* For the gate. */
	uint64_t imei_empty, imsi_empty, msisdn_empty;
	uint64_t imei_unclean, imsi_unclean;   /* not empty, and not 14..16 / 14..15 digits */
	uint64_t imsi_foreign, msisdn_foreign; /* of those given */
	uint64_t imei_zero, imei_one;    /* IMEIs that begin with 0, with 1 */
	uint64_t imei_13;                /* of 13 digits: a leading zero may have been lost */
	uint64_t times;                  /* lines that said when */
	uint32_t first_s, last_s;        /* earliest and latest time; 0 when there is none */
};

struct delivery_reject {
	uint64_t line;                   /* of the file, 1.. */
	enum delivery_fault fault;
	struct str field;                /* name of the column */
	struct str raw;                  /* the line as it came, without its end; at most 1 KiB of it */
};

/* Where the reader hands over. Any error of these stops the reader and is returned by feed or finish. */
struct delivery_sink {
	void *ctx;
	/* Up to some thousand at once. cells NULL: none of them has one. */
	enum ceir_err (*rows)(void *ctx, const struct sighting *rows, const struct str *cells, size_t n);
	enum ceir_err (*reject)(void *ctx, const struct delivery_reject *reject);
};

struct delivery_format {
	int64_t now_s;                   /* for times in the future */
	uint32_t default_s;              /* time of lines that say none */
	const char *home_mcc;            /* MCCs of the country, comma separated: "255" */
	const char *country_code;        /* E.164: "380" */
};

struct delivery_reader;
/* NULL: memory. The format's texts must outlive the reader. */
struct delivery_reader *delivery_reader_new(const struct delivery_format *f, const struct delivery_sink *sink);
void delivery_reader_free(struct delivery_reader *r);
/*
 * CSV, unpacked, in pieces of any size: header optional (then the columns are imei, imsi, msisdn[, time[, event[, rat[, cell]]]]), separator
 * comma, semicolon, tab or vertical bar, quotes, CRLF or LF, BOM. Times: date, RFC 3339, seconds or milliseconds since 1970, yyyymmdd.
 * Bad lines cost themselves only. CEIR_EINVAL: the whole cannot be read as such a file (a header without imei or imsi, UTF-16, binary); then
 * delivery_reader_why() says it.
 */
enum ceir_err delivery_reader_feed(struct delivery_reader *r, struct str bytes) CEIR_MUST_USE;
enum ceir_err delivery_reader_finish(struct delivery_reader *r) CEIR_MUST_USE;
const char *delivery_reader_why(const struct delivery_reader *r); /* English, a catalogue key */
void delivery_reader_counts(const struct delivery_reader *r, struct delivery_counts *out);

/*
 * Sightings in real time: a JSON array of objects (or an object with an array "sightings") {"imei": "..", "imsi": "..", "msisdn": "..", "time":
 * "..", "event": "..", "rat": "..", "cell": ".."}; numbers are taken for digits strings where they are exact. At most max items: CEIR_ELIMIT. `line` of a
 * reject is the item's number, 1... What was handed over before an error is to be thrown away. *why: English, when the body is not such a document (CEIR_EINVAL).
 */
enum ceir_err delivery_json(struct str body, const struct delivery_format *f, const struct delivery_sink *sink, size_t max, struct delivery_counts *counts,
	const char **why) CEIR_MUST_USE;

/* The report of what was not taken as it came, CSV: line,field,code,reason,original. Header with reject NULL. lang: i18n index. */
void delivery_reject_print(struct buf *out, size_t lang, const struct delivery_reject *reject);

/*
 * Does the whole delivery look wrong, so that a person must see it first? Shares in thousandths.
 */
struct delivery_gate {
	unsigned empty, unclean, foreign;      /* more than: [50] [50] [100]; lines refused for no empty field are unclean */
	unsigned size;                         /* a full delivery smaller than that share of usual [750] */
	unsigned leading_zero;                 /* IMEIs of 13 digits, or more beginning with 1 than with 0 where it never was: [10] */
	uint64_t min_lines;                    /* smaller deliveries are not judged by shares [1000] */
};
enum delivery_hold { DELIVERY_HOLD_EMPTY = 1, DELIVERY_HOLD_UNCLEAN = 2, DELIVERY_HOLD_FOREIGN = 4, DELIVERY_HOLD_SIZE = 8, DELIVERY_HOLD_ZEROS = 16 };
/* Bits of enum delivery_hold; 0: pass. usual: lines of the operator's last full deliveries, 0: unknown or not a full one. */
unsigned delivery_gate_check(const struct delivery_gate *g, const struct delivery_counts *c, uint64_t usual);
const char *delivery_hold_text(unsigned bit); /* English sentence of one bit, a catalogue key */

/* ---- list files: what operators' registers (EIR) read ---------------------------------------------------------------- */

enum list_format { LIST_CSV, LIST_XML };
enum list_packing { LIST_PLAIN, LIST_GZIP, LIST_ZSTD };

/* What stands at the head of the file (XML: attributes of the root), and its columns. Texts are ASCII. */
struct list_head {
	const char *name, *op;           /* "black"; code of the operator */
	int64_t from, to;                /* sequence numbers; from 0: the whole list */
	int64_t created_us;
	const char *const *columns;      /* NULL-terminated; the first is "change" in a delta */
	bool crlf;                       /* CSV: lines end as in RFC 4180 */
};

struct list_info {
	uint64_t rows, bytes;
	uint8_t sha256[32];              /* of the file as it is, packed or not */
};

struct list_writer;
/* Makes the file (CEIR_EEXIST when there is one). One thread. The head's texts must outlive the writer. */
enum ceir_err list_writer_new(const char *path, enum list_format format, enum list_packing packing, const struct list_head *head,
	struct list_writer **out) CEIR_MUST_USE;
/* One row: as many fields as there are columns; an empty one is an empty field, in XML no element. */
enum ceir_err list_writer_row(struct list_writer *w, const struct str *fields) CEIR_MUST_USE;
/* Ends and syncs the file (not its folder), frees the writer whatever the outcome. On an error the file is removed. */
enum ceir_err list_writer_finish(struct list_writer *w, struct list_info *info) CEIR_MUST_USE;
void list_writer_drop(struct list_writer *w); /* and the file; NULL is allowed */

#endif

/*
 * exchange_delivery.h - what the files of the delivery reader share. Private to src/exchange.
 *
 * A line goes one of two ways. The general way cuts it into fields (exchange_delivery_split.c), whatever quotes, spaces and
 * columns it has, and judges them (exchange_delivery_row.c). The fast way (exchange_delivery_fast.c) takes lines that look like
 * the one before: the same text before the IMEI and behind the MSISDN - nothing, or a date, say - and between them three bare
 * numbers. What it does not take, and nothing else, goes the general way; both give the same for the same line.
 */
#ifndef CEIR_EXCHANGE_DELIVERY_H
#define CEIR_EXCHANGE_DELIVERY_H

#include "exchange/exchange.h"

enum delivery_column {
	COLUMN_IMEI,
	COLUMN_IMSI,
	COLUMN_MSISDN,
	COLUMN_TIME,
	COLUMN_EVENT,
	COLUMN_RAT,
	COLUMN_CELL,
	DELIVERY_COLUMN_COUNT,
	COLUMN_NONE = DELIVERY_COLUMN_COUNT, /* of the line as a whole; or a column that nobody asked for */
};

#define DELIVERY_FIELDS 64        /* most fields in a line */
#define DELIVERY_LINE_BYTES 65536 /* longest line, CR included, LF not */
#define DELIVERY_RAW_BYTES 1024   /* of a line that is reported */
#define DELIVERY_BATCH 4096       /* rows handed over at once */
#define DELIVERY_MEMO_BYTES 48    /* longest text before the IMEI, and behind the MSISDN, on the fast way */
#define DELIVERY_TIME_BYTES 40    /* longest time looked at */

/* "imei", "imsi" ...; "" for COLUMN_NONE. */
struct str delivery_column_name(enum delivery_column column);
/* Of a name in a header, any case, with its synonyms. COLUMN_NONE: none of them. */
enum delivery_column delivery_column_find(struct str name);

/* ---- judging one row (exchange_delivery_row.c) ------------------------------------------------------------------------ */

/* What is ours and what is foreign, ready to be compared. */
struct delivery_home {
	bool all; /* no MCC was named: no IMSI is foreign */
	bool mcc[1000];
	char code[8];   /* country code, */
	uint8_t code_n; /* its digits; 0: no MSISDN is foreign */
};

struct delivery_judge {
	struct delivery_format format;
	struct delivery_home home;
	struct delivery_counts counts;
	/* The time looked at last: most lines of a file say the same. */
	char time_text[DELIVERY_TIME_BYTES];
	size_t time_n; /* 0: none yet */
	enum delivery_fault time_fault;
	uint32_t time_s;
};

struct delivery_judged {
	struct sighting row;         /* when taken */
	struct str cell;             /* into the fields; empty: none */
	enum delivery_fault fault;   /* to be reported; DELIVERY_GOOD: nothing to report */
	enum delivery_column column; /* of the fault */
	bool taken;
	bool said_time;
};

void delivery_judge_init(struct delivery_judge *j, const struct delivery_format *f);
/* One row of DELIVERY_COLUMN_COUNT trimmed fields; empty: the column is not there or has nothing. Counts it. */
void delivery_judge_row(struct delivery_judge *j, const struct str *fields, struct delivery_judged *out);
/* A line that cannot be judged by its fields. */
void delivery_judge_refuse(struct delivery_judge *j);
void delivery_count_time(struct delivery_counts *c, uint32_t at_s, uint64_t lines);

/* ---- handing over (exchange_delivery_row.c) ----------------------------------------------------------------------------- */

struct delivery_batch {
	struct delivery_sink sink;
	size_t n;
	bool any_cell;
	struct sighting rows[DELIVERY_BATCH];
	struct str cells[DELIVERY_BATCH]; /* all of them are set when any_cell */
	char text[DELIVERY_BATCH][TRIPLET_CELL_MAX + 1];
};

enum ceir_err delivery_batch_add(struct delivery_batch *b, const struct sighting *row, struct str cell) CEIR_MUST_USE;
enum ceir_err delivery_batch_flush(struct delivery_batch *b) CEIR_MUST_USE;

/* ---- cutting lines (exchange_delivery_split.c) --------------------------------------------------------------------------- */

struct delivery_line {
	struct str fields[DELIVERY_FIELDS];
	size_t count;
};

/* Fields unquoted (in place) and trimmed. DELIVERY_QUOTE: of field count, from 0; DELIVERY_COLUMNS: too many. */
enum delivery_fault delivery_split(char *text, size_t n, char separator, struct delivery_line *out);
/* The same of a line in which there are no quotes. */
enum delivery_fault delivery_split_plain(struct str text, char separator, struct delivery_line *out);
/* The likeliest separator of a line; 0 when it has none. */
char delivery_separator_find(struct str line);

/* ---- the reader ------------------------------------------------------------------------------------------------------------ */

/* How the line before looked, if its three numbers stood side by side. */
struct delivery_memo {
	bool ready;
	size_t prefix_n, suffix_n; /* the suffix ends with LF */
	char prefix[DELIVERY_MEMO_BYTES], suffix[DELIVERY_MEMO_BYTES];
	uint32_t at_s;
	uint8_t event, rat;
	bool said_time;
};

struct delivery_reader {
	struct delivery_judge judge;
	enum ceir_err failed;                    /* once: for ever */
	const char *why;                         /* CEIR_EINVAL */
	uint64_t line;                           /* lines begun and ended so far */
	bool learnt;                             /* separator and columns are known */
	char separator;                          /* 0: not known */
	size_t columns;                          /* fields of every line */
	uint8_t place[DELIVERY_FIELDS];          /* which column stands there: enum delivery_column */
	uint8_t field_of[DELIVERY_COLUMN_COUNT]; /* the other way round; DELIVERY_FIELDS: nowhere */
	struct delivery_memo memo;
	bool skipping;  /* inside a line that is too long; its beginning is in carry */
	size_t carry_n; /* beginning of a line whose end was not fed yet */
	char carry[DELIVERY_LINE_BYTES + 1];
	char scratch[DELIVERY_LINE_BYTES]; /* a line with quotes, to be unquoted */
	struct delivery_batch batch;
};

/*
 * Takes lines from p on that look like the memo, as long as there is room in the batch and they end well before `end`. Returns
 * where the first one begins that was not taken.
 */
const char *delivery_fast(struct delivery_reader *r, const char *p, const char *end);
/* The line from text to text + n, LF not included but there, was judged good: the fast way may go on like this. */
void delivery_memo_set(
	struct delivery_reader *r, const char *text, size_t n, const struct str *fields, const struct delivery_judged *judged);

#endif

/*
 * exchange_delivery.c - the reader of deliveries: pieces into lines, the first of them into columns, the others into rows.
 *
 * Pieces are read where they lie; only a line that is cut by the end of a piece is copied, into carry. A line ends with LF (a CR
 * before it belongs to the end), whatever quotes are open: no field of a delivery has line breaks, and a quote that was never
 * closed costs its own line only.
 */
#include "exchange/exchange_delivery.h"

#include <stdlib.h>
#include <string.h>

static const char why_utf16[] = N_("the file is in UTF-16; save it as CSV in UTF-8");
static const char why_binary[] = N_("the file is not text; expected CSV, plain or packed with gzip or zstd");
static const char why_columns[] = N_("the header names no column imei or no column imsi");
static const char why_twice[] = N_("the header names a column twice");

struct delivery_reader *delivery_reader_new(const struct delivery_format *f, const struct delivery_sink *sink)
{
	/* Not zeroed as a whole: the large arrays are written before they are read. */
	struct delivery_reader *r = malloc(sizeof(*r));

	if (r == NULL)
		return NULL;
	delivery_judge_init(&r->judge, f);
	r->failed = CEIR_OK;
	r->why = NULL;
	r->line = 0;
	r->learnt = false;
	r->separator = '\0';
	r->columns = 0;
	r->memo.ready = false;
	r->skipping = false;
	r->carry_n = 0;
	r->batch.sink = *sink;
	r->batch.n = 0;
	r->batch.any_cell = false;
	return r;
}

void delivery_reader_free(struct delivery_reader *r)
{
	free(r);
}

const char *delivery_reader_why(const struct delivery_reader *r)
{
	return r->why;
}

void delivery_reader_counts(const struct delivery_reader *r, struct delivery_counts *out)
{
	*out = r->judge.counts;
}

/* The file as a whole cannot be read. */
static enum ceir_err give_up(struct delivery_reader *r, const char *why)
{
	r->why = why;
	return CEIR_EINVAL;
}

static enum ceir_err report(struct delivery_reader *r, enum delivery_fault fault, enum delivery_column column, struct str raw)
{
	struct delivery_reject reject = {.line = r->line, .fault = fault, .field = delivery_column_name(column), .raw = raw};

	if (reject.raw.n > DELIVERY_RAW_BYTES)
		reject.raw.n = DELIVERY_RAW_BYTES;
	return r->batch.sink.reject(r->batch.sink.ctx, &reject);
}

static enum ceir_err refuse(struct delivery_reader *r, enum delivery_fault fault, enum delivery_column column, struct str raw)
{
	delivery_judge_refuse(&r->judge);
	return report(r, fault, column, raw);
}

/* ---- columns ---------------------------------------------------------------------------------------------------------- */

/* Field i is that column; false: another one is already. */
static bool place(struct delivery_reader *r, size_t i, enum delivery_column column)
{
	r->place[i] = (uint8_t)column;
	if (column == COLUMN_NONE)
		return true;
	if (r->field_of[column] != DELIVERY_FIELDS)
		return false;
	r->field_of[column] = (uint8_t)i;
	return true;
}

static void columns_begin(struct delivery_reader *r, size_t columns)
{
	r->columns = columns;
	r->learnt = true;
	memset(r->field_of, DELIVERY_FIELDS, sizeof(r->field_of));
}

/* A header has a name that we know, or several fields and no digit in any of them. */
static bool is_header(const struct delivery_line *line)
{
	bool digit = false;

	for (size_t i = 0; i < line->count; i++) {
		if (delivery_column_find(line->fields[i]) != COLUMN_NONE)
			return true;
		for (size_t k = 0; k < line->fields[i].n; k++)
			digit |= line->fields[i].p[k] >= '0' && line->fields[i].p[k] <= '9';
	}
	return !digit && line->count > 1;
}

static enum ceir_err header_learn(struct delivery_reader *r, const struct delivery_line *line)
{
	columns_begin(r, line->count);
	for (size_t i = 0; i < line->count; i++)
		if (!place(r, i, delivery_column_find(line->fields[i])))
			return give_up(r, why_twice);
	if (r->field_of[COLUMN_IMEI] == DELIVERY_FIELDS || r->field_of[COLUMN_IMSI] == DELIVERY_FIELDS)
		return give_up(r, why_columns);
	return CEIR_OK;
}

/* "sep=;" of a spreadsheet. */
static bool names_separator(struct delivery_reader *r, struct str text)
{
	if (text.n != 5 || !str_starts(text, STR("sep=")) || text.p[4] == '\0' || strchr(",;\t|", text.p[4]) == NULL)
		return false;
	r->separator = text.p[4];
	return true;
}

/*
 * A line cut into fields. memo_n: of the line with its CR when its fields stand in it as it came and its LF follows, else 0.
 */
static enum ceir_err row_take(struct delivery_reader *r, struct str text, const struct delivery_line *line, size_t memo_n)
{
	struct str fields[DELIVERY_COLUMN_COUNT];
	struct delivery_judged judged;
	enum ceir_err err = CEIR_OK;

	if (line->count != r->columns)
		return refuse(r, DELIVERY_COLUMNS, COLUMN_NONE, text);
	for (size_t i = 0; i < DELIVERY_COLUMN_COUNT; i++)
		fields[i] = r->field_of[i] < line->count ? line->fields[r->field_of[i]] : (struct str){"", 0};
	delivery_judge_row(&r->judge, fields, &judged);
	if (judged.fault != DELIVERY_GOOD)
		err = report(r, judged.fault, judged.column, text);
	else if (memo_n > 0)
		delivery_memo_set(r, text.p, memo_n, fields, &judged);
	if (err == CEIR_OK && judged.taken)
		err = delivery_batch_add(&r->batch, &judged.row, judged.cell);
	return err;
}

/* Nothing is known of the columns yet. A line that cannot be a header nor a row costs itself only. */
static enum ceir_err learn(struct delivery_reader *r, struct str text)
{
	char separator = r->separator;
	struct delivery_line line;
	enum delivery_fault fault;

	if (memchr(text.p, '\0', text.n) != NULL)
		return give_up(r, why_binary);
	if (r->separator == '\0' && names_separator(r, text))
		return CEIR_OK;
	if (separator == '\0')
		separator = delivery_separator_find(text);
	memcpy(r->scratch, text.p, text.n);
	fault = delivery_split(r->scratch, text.n, separator != '\0' ? separator : ',', &line);
	if (fault == DELIVERY_QUOTE)
		return refuse(r, fault, COLUMN_NONE, text);
	r->separator = separator;
	if (fault == DELIVERY_GOOD && is_header(&line))
		return header_learn(r, &line);
	if (fault != DELIVERY_GOOD || line.count < COLUMN_IMSI + 1 || line.count > DELIVERY_COLUMN_COUNT) {
		r->separator = '\0';
		return refuse(r, DELIVERY_COLUMNS, COLUMN_NONE, text);
	}
	columns_begin(r, line.count);
	for (size_t i = 0; i < line.count; i++)
		(void)place(r, i, (enum delivery_column)i);
	return row_take(r, text, &line, 0);
}

/* ---- lines ------------------------------------------------------------------------------------------------------------ */

static enum delivery_column column_at(const struct delivery_reader *r, size_t field)
{
	return field < r->columns ? (enum delivery_column)r->place[field] : COLUMN_NONE;
}

/* The very first line: byte order marks. */
static enum ceir_err encoding_check(struct delivery_reader *r, struct str *text)
{
	if (str_starts(*text, STR("\xff\xfe")) || str_starts(*text, STR("\xfe\xff")))
		return give_up(r, why_utf16);
	if (str_starts(*text, STR("\xef\xbb\xbf")))
		*text = (struct str){text->p + 3, text->n - 3};
	return CEIR_OK;
}

/* One line without its LF, which stands behind it unless the file ends there. */
static enum ceir_err line_take(struct delivery_reader *r, struct str text, bool at_end)
{
	struct delivery_line line;
	enum delivery_fault fault;
	enum ceir_err err;
	size_t memo_n;

	r->line++;
	if (r->line == 1 && (err = encoding_check(r, &text)) != CEIR_OK)
		return err;
	memo_n = at_end ? 0 : text.n;
	if (text.n > 0 && text.p[text.n - 1] == '\r')
		text.n--;
	if (str_trim(text).n == 0)
		return CEIR_OK;
	if (!r->learnt)
		return learn(r, text);
	if (memchr(text.p, '"', text.n) == NULL) {
		fault = delivery_split_plain(text, r->separator, &line);
	} else {
		memcpy(r->scratch, text.p, text.n);
		fault = delivery_split(r->scratch, text.n, r->separator, &line);
		memo_n = 0;
	}
	if (fault != DELIVERY_GOOD)
		return refuse(r, fault, fault == DELIVERY_QUOTE ? column_at(r, line.count) : COLUMN_NONE, text);
	return row_take(r, text, &line, memo_n);
}

/* A line above the limit: what came first of it is in text. */
static enum ceir_err line_too_long(struct delivery_reader *r, struct str text)
{
	enum ceir_err err = CEIR_OK;

	r->line++;
	if (r->line == 1)
		err = encoding_check(r, &text);
	if (err == CEIR_OK && !r->learnt && memchr(text.p, '\0', text.n < DELIVERY_RAW_BYTES ? text.n : DELIVERY_RAW_BYTES) != NULL)
		err = give_up(r, why_binary);
	return err == CEIR_OK ? refuse(r, DELIVERY_TOO_LONG, COLUMN_NONE, text) : err;
}

/* ---- pieces ----------------------------------------------------------------------------------------------------------- */

/* More of a line whose end has not come. What is above the limit is not kept. */
static void carry_add(struct delivery_reader *r, struct str part)
{
	size_t room = sizeof(r->carry) - r->carry_n;

	if (part.n >= room) {
		part.n = room;
		r->skipping = true;
	}
	if (part.n > 0)
		memcpy(r->carry + r->carry_n, part.p, part.n);
	r->carry_n += part.n;
}

/* The line in carry is complete. */
static enum ceir_err carry_take(struct delivery_reader *r, bool at_end)
{
	struct str text = {r->carry, r->carry_n};
	enum ceir_err err = r->skipping ? line_too_long(r, text) : line_take(r, text, at_end);

	r->carry_n = 0;
	r->skipping = false;
	return err;
}

/* All lines that end in p .. end; the rest goes to carry, which is empty. */
static enum ceir_err piece_take(struct delivery_reader *r, const char *p, const char *end)
{
	enum ceir_err err = CEIR_OK;

	while (err == CEIR_OK && p < end) {
		const char *lf;

		p = delivery_fast(r, p, end);
		if (r->batch.n == DELIVERY_BATCH) {
			err = delivery_batch_flush(&r->batch);
			continue;
		}
		lf = p < end ? memchr(p, '\n', (size_t)(end - p)) : NULL;
		if (lf == NULL) {
			carry_add(r, (struct str){p, (size_t)(end - p)});
			break;
		}
		if (lf - p > DELIVERY_LINE_BYTES)
			err = line_too_long(r, (struct str){p, (size_t)(lf - p)});
		else
			err = line_take(r, (struct str){p, (size_t)(lf - p)}, false);
		p = lf + 1;
	}
	return err;
}

enum ceir_err delivery_reader_feed(struct delivery_reader *r, struct str bytes)
{
	const char *p = bytes.p, *end = bytes.p + bytes.n;

	if (r->failed != CEIR_OK || bytes.n == 0)
		return r->failed;
	if (r->carry_n > 0) {
		const char *lf = memchr(p, '\n', bytes.n);

		carry_add(r, (struct str){p, (size_t)((lf != NULL ? lf : end) - p)});
		if (lf == NULL)
			return CEIR_OK;
		p = lf + 1;
		r->failed = carry_take(r, false);
	}
	if (r->failed == CEIR_OK)
		r->failed = piece_take(r, p, end);
	return r->failed;
}

enum ceir_err delivery_reader_finish(struct delivery_reader *r)
{
	if (r->failed == CEIR_OK && r->carry_n > 0)
		r->failed = carry_take(r, true);
	if (r->failed == CEIR_OK)
		r->failed = delivery_batch_flush(&r->batch);
	return r->failed;
}

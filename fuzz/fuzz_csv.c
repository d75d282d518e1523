/*
 * CSV: the rows do not depend on where the input is cut, every row keeps to the limits, and rows that are written again read
 * as the same rows. The first byte is the size of the pieces.
 */
#include <stdlib.h>
#include <string.h>

#include "exchange/exchange.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct csv_limits limits = {.line_bytes = 200, .fields = 8, .record_lines = 4};

/* Every field of a good row is text, and the lines only go up. */
static void row_check(const struct csv_row *row, enum csv_step step, uint64_t *line)
{
	CEIR_ASSERT(row->line > *line);
	*line = row->line;
	CEIR_ASSERT(row->count <= limits.fields && row->raw.n <= limits.line_bytes);
	CEIR_ASSERT((step == CSV_ROW) == (row->fault == CSV_GOOD) && (step == CSV_ROW) == (row->count > 0));
	for (size_t i = 0; i < row->count; i++)
		CEIR_ASSERT(str_is_utf8(row->fields[i]));
}

/* All rows, written again: bad ones as their fault, good ones as CSV when `only_good`. */
static void read_all(struct str file, size_t piece, const struct csv_limits *l, bool only_good, struct buf *out)
{
	struct csv_reader *r = csv_new(l);
	struct csv_row row;
	enum csv_step step;
	uint64_t line = 0;

	CEIR_ASSERT(r != NULL);
	while ((step = csv_next(r, &row)) != CSV_END) {
		size_t n = piece < file.n ? piece : file.n;

		if (step == CSV_MORE && n == 0) {
			csv_finish(r);
		} else if (step == CSV_MORE) {
			csv_feed(r, (struct str){file.p, n});
			file = (struct str){file.p + n, file.n - n};
		} else {
			row_check(&row, step, &line);
			if (step == CSV_ROW)
				csv_put_row(out, row.fields, row.count, ',', CSV_VERBATIM);
			if (!only_good)
				buf_printf(out, "%lu %zu %d\n", (unsigned long)row.line, row.field, (int)row.fault);
		}
	}
	csv_free(r);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct buf whole = BUF_INIT(0), pieces = BUF_INIT(0), good = BUF_INIT(0), again = BUF_INIT(0);
	/* Quotes double and every field may gain some: wider limits for what was written here. */
	const struct csv_limits wide = {.separator = ',', .line_bytes = 4096, .record_lines = 4096, .fields = 8};
	struct str file;

	if (size == 0)
		return 0;
	file = (struct str){(const char *)data + 1, size - 1};
	read_all(file, SIZE_MAX, &limits, false, &whole);
	read_all(file, (size_t)data[0] + 1, &limits, false, &pieces);
	CEIR_ASSERT(str_eq(buf_view(&whole), buf_view(&pieces)));

	buf_c(&good, "header\r\n"); /* so that no field stands where a byte order mark would */
	read_all(file, SIZE_MAX, &limits, true, &good);
	read_all(buf_view(&good), SIZE_MAX, &wide, true, &again);
	CEIR_ASSERT(str_eq(buf_view(&good), buf_view(&again)));
	buf_free(&whole);
	buf_free(&pieces);
	buf_free(&good);
	buf_free(&again);
	return 0;
}

/*
 * Frames as a child that a file has taken over would send them: what is taken for a row is one in all its parts, and becomes the same bytes when it is
 * sent again.
 */
#include <stdlib.h>
#include <string.h>

#include "exchange/exchange_table_frames.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static enum ceir_err collect(void *ctx, struct str frames)
{
	buf_str(ctx, frames);
	return CEIR_OK;
}

static bool is_trimmed(const struct table_cell *cells)
{
	for (size_t i = 0; i < TABLE_COLUMNS_MAX; i++)
		if (str_trim(cells[i].text).n != cells[i].text.n)
			return false;
	return true;
}

static void row_again(struct str frame, const struct table_row *row)
{
	struct buf sent = BUF_INIT(0);
	struct table_encoder e = {.frames = BUF_INIT(0), .out = collect, .ctx = &sent};

	table_encode_row(&e, row->line);
	for (size_t i = 0; i < row->n; i++)
		if (row->cells[i].type != TABLE_EMPTY)
			table_encode_cell(&e, i, row->cells[i].type, row->cells[i].text);
	table_encode_fault(&e, row->fault, row->column);
	table_encode_row_end(&e);
	CEIR_ASSERT(table_encode_end(&e, TABLE_WHY_NONE) == CEIR_OK);
	CEIR_ASSERT(sent.n == frame.n + TABLE_FRAME_HEAD && memcmp(sent.p, frame.p, frame.n) == 0);
	buf_free(&e.frames);
	buf_free(&sent);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str in = {(const char *)data, size}, before = in;
	struct table_cell cells[TABLE_COLUMNS_MAX];
	struct table_frame frame;
	struct table_row row;

	while (table_frame_take(&in, &frame) == CEIR_OK) {
		CEIR_ASSERT(in.n < before.n && frame.body.n + TABLE_FRAME_HEAD == before.n - in.n);
		if (frame.type == TABLE_FRAME_ROW && table_frame_row(frame.body, cells, &row) == CEIR_OK) {
			CEIR_ASSERT(row.n <= TABLE_COLUMNS_MAX && row.column <= TABLE_COLUMNS_MAX && row.fault < TABLE_FAULTS);
			/* The encoder trims, leaves out what is blank, and keeps the column of a fault only. */
			if (is_trimmed(cells) && row.n > 0 && (row.fault != TABLE_GOOD || row.column == 0))
				row_again((struct str){before.p, before.n - in.n}, &row);
		}
		before = in;
	}
	return 0;
}

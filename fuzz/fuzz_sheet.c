/*
 * What ceir-table does with a file, without its cage: XLSX and other archives as they are, or (by the first byte) one part of a workbook as its XML. All
 * that comes out is frames as they are described, the last of which is an end. XLS is left out: FreeXL has faults of its own.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "exchange/exchange_table_sheet.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static enum ceir_err collect(void *ctx, struct str frames)
{
	buf_str(ctx, frames);
	return CEIR_OK;
}

static void frames_check(struct str in)
{
	struct table_cell cells[TABLE_COLUMNS_MAX];
	struct table_frame frame = {0};
	struct table_row row;

	while (in.n > 0) {
		CEIR_ASSERT(frame.type != TABLE_FRAME_END && frame.type != TABLE_FRAME_FAIL);
		CEIR_ASSERT(table_frame_take(&in, &frame) == CEIR_OK);
		CEIR_ASSERT(frame.type != TABLE_FRAME_ROW || table_frame_row(frame.body, cells, &row) == CEIR_OK);
	}
	CEIR_ASSERT(frame.type == TABLE_FRAME_END || frame.type == TABLE_FRAME_FAIL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct table_sheet_limits limits = {1 << 20, 100, 1 << 20};
	struct buf frames = BUF_INIT(0);

	if (size == 0)
		return 0;
	if (data[0] < TABLE_PARTS) {
		CEIR_ASSERT(table_sheet_part((enum table_sheet_part)data[0], (struct str){(const char *)data + 1, size - 1}, collect, &frames) == CEIR_OK);
	} else {
		int fd = memfd_create("sheet", MFD_CLOEXEC);

		if (size < 2 || memcmp(data, "\xd0\xcf", 2) != 0) {
			CEIR_ASSERT(fd >= 0 && fd_write_all(fd, data, size) == CEIR_OK);
			CEIR_ASSERT(table_sheet_run(fd, &limits, collect, &frames) == CEIR_OK);
		}
		close(fd);
	}
	if (frames.n > 0)
		frames_check(buf_view(&frames));
	buf_free(&frames);
	return 0;
}

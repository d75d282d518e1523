/*
 * Tables that are read in this process: CSV of every encoding, XML, and these packed. Whatever comes in, a row has as many cells as there are columns, and
 * these are text of a size that is promised. Spreadsheets and archives go to a child: fuzz_sheet and fuzz_frames have its two ends.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "exchange/exchange_table.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void row_check(const struct table_row *row, size_t columns)
{
	CEIR_ASSERT(row->n == columns && row->line > 0 && row->fault < TABLE_FAULTS && row->column <= columns);
	for (size_t i = 0; i < row->n; i++) {
		struct str s = row->cells[i].text;

		CEIR_ASSERT((s.n == 0) == (row->cells[i].type == TABLE_EMPTY) && s.n <= TABLE_CELL_MAX);
		CEIR_ASSERT(str_is_utf8(s));
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static int scratch = -1;
	struct table_limits limits = {.rows = 1000, .unpacked_bytes = 1 << 20, .ratio = 100, .helper = "/nonexistent"};
	struct table_reader *t = NULL;
	const struct str *names;
	struct table_row row;
	enum ceir_err err;
	size_t n;
	int fd;

	if (scratch < 0) {
		scratch = open("/tmp", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		log_set_level(LOG_ERROR_);
	}
	if (size >= 2 && (memcmp(data, "PK", 2) == 0 || memcmp(data, "\xd0\xcf", 2) == 0))
		return 0;
	limits.scratch_fd = scratch;
	fd = memfd_create("table", MFD_CLOEXEC);
	CEIR_ASSERT(fd >= 0 && fd_write_all(fd, data, size) == CEIR_OK);
	err = table_open(fd, &limits, &t);
	CEIR_ASSERT((t == NULL) == (err != CEIR_OK && err != CEIR_EINVAL && err != CEIR_ELIMIT));
	if (t != NULL) {
		n = table_columns(t, &names);
		CEIR_ASSERT(n <= TABLE_COLUMNS_MAX && (n > 0) == (err == CEIR_OK));
		while (err == CEIR_OK && (err = table_next(t, &row)) == CEIR_OK)
			row_check(&row, n);
		CEIR_ASSERT(err == CEIR_ENOENT || *table_why(t) != '\0');
		table_close(t);
	}
	close(fd);
	return 0;
}

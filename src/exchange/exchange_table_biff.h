/* exchange_table_biff.h - cells of an XLS that FreeXL does not tell: results of formulas, booleans, error values. Private to the room. */
#ifndef CEIR_EXCHANGE_TABLE_BIFF_H
#define CEIR_EXCHANGE_TABLE_BIFF_H

#include "exchange/exchange_table_sheet.h"

struct table_biff_cell {
	uint32_t row, column;        /* from 0 */
	enum table_cell_type type;
	enum table_fault fault;
	size_t text_at, text_n;      /* in texts */
};

struct table_biff {
	struct buf cells, texts;
	size_t n;
};

/* Of the first sheet, BIFF8, by place; xls: FreeXL's handle of the same file. */
enum table_why table_biff_read(int fd, const void *xls, struct table_biff *out);
void table_biff_free(struct table_biff *b);
const struct table_biff_cell *table_biff_at(const struct table_biff *b, size_t i); /* NULL behind the last one */

#endif

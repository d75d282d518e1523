/*
 * exchange_table_read_xls.c - XLS through FreeXL, which reads the whole file into memory, and opens by path: /proc/self/fd/FD.
 *
 * FreeXL tells a boolean as a number, and an error value or the result of a formula as an empty cell: these come from exchange_table_read_biff.c.
 */
#include "exchange/exchange_table_biff.h"

#include <freexl.h>
#include <string.h>

static enum table_why why_of(int code)
{
	switch (code) {
	case FREEXL_INSUFFICIENT_MEMORY:
		return TABLE_WHY_MEMORY;
	case FREEXL_BIFF_WORKBOOK_NOT_FOUND: /* how a workbook of today with a password looks from outside */
		return TABLE_WHY_PASSWORD;
	default:
		return TABLE_WHY_SHEET;
	}
}

/* "2026-11-25", "2026-11-25 10:00:00" or "10:00:00" of FreeXL. */
static void put_date(struct table_grid *g, size_t column, const char *text)
{
	struct str s = str_of(text);
	char out[TABLE_NUMBER_BYTES];

	if (s.n == 19 && s.p[10] == ' ' && strcmp(s.p + 11, "00:00:00") != 0) {
		snprintf(out, sizeof(out), "%.10sT%sZ", text, text + 11);
		s = str_of(out);
	} else if (s.n == 19) {
		s.n = 10;
	}
	table_grid_cell(g, column, TABLE_DATE, s);
}

static void put_cell(struct table_grid *g, size_t column, const FreeXL_CellValue *cell)
{
	switch (cell->type) {
	case FREEXL_CELL_INT:
		table_grid_number(g, column, cell->value.int_value);
		break;
	case FREEXL_CELL_DOUBLE:
		table_grid_number(g, column, cell->value.double_value);
		break;
	case FREEXL_CELL_TEXT:
	case FREEXL_CELL_SST_TEXT:
	case FREEXL_CELL_TIME:
		table_grid_cell(g, column, TABLE_TEXT, str_of(cell->value.text_value));
		break;
	case FREEXL_CELL_DATE:
	case FREEXL_CELL_DATETIME:
		put_date(g, column, cell->value.text_value);
		break;
	default:
		break;
	}
}

struct sheet {
	const void *xls;
	unsigned rows;               /* as FreeXL counts them */
	unsigned short columns;
	struct table_biff own;
	size_t next;                 /* of own */
};

/* The cell that FreeXL does not tell, when there is one at this place. */
static bool put_own(struct table_grid *g, struct sheet *s, unsigned row, unsigned column)
{
	const struct table_biff_cell *c;

	while ((c = table_biff_at(&s->own, s->next)) != NULL && (c->row < row || (c->row == row && c->column < column)))
		s->next++; /* the same place twice */
	if (c == NULL || c->row != row || c->column != column)
		return false;
	s->next++;
	table_grid_cell(g, column, c->type, c->text_n > 0 ? (struct str){s->own.texts.p + c->text_at, c->text_n} : (struct str){NULL, 0});
	if (c->fault != TABLE_GOOD)
		table_encode_fault(g->e, c->fault, column < TABLE_COLUMNS_MAX ? column + 1 : 0);
	return true;
}

static int put_row(struct table_grid *g, struct sheet *s, unsigned row, unsigned columns)
{
	int code = FREEXL_OK;

	table_grid_row(g, (uint64_t)row + 1);
	for (unsigned c = 0; code == FREEXL_OK && c < columns; c++) {
		FreeXL_CellValue cell;

		if (put_own(g, s, row, c) || row >= s->rows || c >= s->columns)
			continue;
		code = freexl_get_cell_value(s->xls, row, (unsigned short)c, &cell);
		if (code == FREEXL_OK)
			put_cell(g, c, &cell);
	}
	table_grid_row_end(g);
	return code;
}

static enum table_why put_rows(struct sheet *s, struct table_grid *g)
{
	int code = freexl_worksheet_dimensions(s->xls, &s->rows, &s->columns);
	unsigned rows = s->rows, columns = s->columns;
	const struct table_biff_cell *c;

	for (size_t i = 0; code == FREEXL_OK && (c = table_biff_at(&s->own, i)) != NULL; i++) {
		rows = c->row >= rows ? c->row + 1 : rows;
		columns = c->column >= columns ? c->column + 1 : columns;
	}
	for (unsigned r = 0; code == FREEXL_OK && r < rows && !g->e->err && g->why == TABLE_WHY_NONE; r++)
		code = put_row(g, s, r, columns);
	return g->why != TABLE_WHY_NONE ? g->why : code == FREEXL_OK ? TABLE_WHY_NONE : why_of(code);
}

static enum table_why read_sheet(int fd, const void *xls, struct table_encoder *e)
{
	struct table_grid g = {.e = e};
	struct sheet s = {.xls = xls};
	enum table_why why;
	unsigned info;

	if (freexl_get_info(xls, FREEXL_BIFF_PASSWORD, &info) == FREEXL_OK && info == FREEXL_BIFF_OBFUSCATED)
		return TABLE_WHY_PASSWORD;
	if (freexl_get_info(xls, FREEXL_BIFF_VERSION, &info) != FREEXL_OK || info != FREEXL_BIFF_VER_8)
		return TABLE_WHY_OLD;
	if (freexl_get_info(xls, FREEXL_BIFF_SHEET_COUNT, &info) != FREEXL_OK || info == 0 || freexl_select_active_worksheet(xls, 0) != FREEXL_OK)
		return TABLE_WHY_NO_SHEET;
	why = table_biff_read(fd, xls, &s.own);
	if (why == TABLE_WHY_NONE)
		why = put_rows(&s, &g);
	table_biff_free(&s.own);
	return why;
}

enum table_why table_sheet_xls(int fd, struct table_encoder *e)
{
	const void *xls = NULL;
	enum table_why why;
	char path[32];
	int code;

	table_encode_form(e, TABLE_XLS);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	code = freexl_open(path, &xls);
	why = code != FREEXL_OK ? why_of(code) : read_sheet(fd, xls, e);
	if (xls != NULL)
		freexl_close(xls);
	return why;
}

/*
 * exchange_table_write.h - the workbook behind a table_writer. One thread.
 */
#ifndef CEIR_EXCHANGE_TABLE_WRITE_H
#define CEIR_EXCHANGE_TABLE_WRITE_H

#include "exchange/exchange_table.h"

/*
 * Appends text as XML 1.0 can hold it (2.2): characters that it forbids, and bytes that are not UTF-8, become U+FFFD. markup: & < > and CR are
 * written as references, so that a parser gives back what was put in.
 */
void table_put_text(struct buf *out, struct str text, bool markup);

struct table_xlsx;
/* name: of the sheet, cut to the 31 characters that one may have; names: the bold first row. Errors as of table_writer_new. */
enum ceir_err table_xlsx_new(const char *name, const char *const *names, size_t n, int scratch_fd, struct table_xlsx **out) CEIR_MUST_USE;
/* CEIR_ERANGE: the sheet is full, or a cell is longer than 32,767 characters; the row is not in the workbook, what stands before it is. */
enum ceir_err table_xlsx_row(struct table_xlsx *x, const struct str *cells) CEIR_MUST_USE;
/* Writes the whole workbook into fd from where it stands. Nothing may follow but table_xlsx_free. */
enum ceir_err table_xlsx_finish(struct table_xlsx *x, int fd) CEIR_MUST_USE;
void table_xlsx_free(struct table_xlsx *x); /* NULL is allowed */

#endif

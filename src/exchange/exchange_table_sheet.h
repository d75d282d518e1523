/*
 * exchange_table_sheet.h - parsing of spreadsheets and archives: what runs in the program ceir-table, and in its tests. Private to the room. Files of
 * strangers meet libzip, libxml2 and FreeXL here: nothing but that program may call it in production.
 */
#ifndef CEIR_EXCHANGE_TABLE_SHEET_H
#define CEIR_EXCHANGE_TABLE_SHEET_H

#include <libxml/parser.h>
#include <zip.h>

#include "exchange/exchange_table_frames.h"

struct table_sheet_limits {
	uint64_t unpacked_bytes;     /* of all that is unpacked of the file */
	unsigned ratio;              /* of that to the file's size, from the second MiB on */
	size_t text_bytes;           /* shared strings of a workbook, each of two tables */
};

/*
 * Reads a file (XLS, XLSX or another ZIP archive) and writes it as frames. Opens nothing but, for XLS, /proc/self/fd/FD by fopen(3). What is wrong with
 * the file is told by the last frame; an error is one of out().
 */
enum ceir_err table_sheet_run(int fd, const struct table_sheet_limits *limits, table_frames_out out, void *ctx) CEIR_MUST_USE;

/* A part of a workbook alone, as its XML: for the fuzzer. */
enum table_sheet_part { TABLE_PART_SHEET, TABLE_PART_STYLES, TABLE_PART_STRINGS, TABLE_PART_WORKBOOK, TABLE_PART_RELATIONS, TABLE_PARTS };
enum ceir_err table_sheet_part(enum table_sheet_part part, struct str xml, table_frames_out out, void *ctx) CEIR_MUST_USE;

/* ---- numbers and dates ---- */

#define TABLE_NUMBER_BYTES 64
/* Digits without exponent. TABLE_FAULT_PRECISION: more than 15 of them; TABLE_FAULT_CELL: no number. out holds something to show then. */
enum table_fault table_number_text(double v, char out[TABLE_NUMBER_BYTES]);
/* The same of the text of an XLSX cell; *value for dates. */
enum table_fault table_number_parse(struct str text, double *value, char out[TABLE_NUMBER_BYTES]);
/* A serial number of days to what struct table_cell says; a time without a day is TABLE_TEXT "10:00:00". TABLE_FAULT_CELL: no date. */
enum table_fault table_date_text(double serial, bool from_1904, enum table_cell_type *type, char out[TABLE_NUMBER_BYTES]);
/* ECMA-376 18.8.30, 18.8.31: numbers of that format are dates or times. */
bool table_format_id_is_date(unsigned id);
bool table_format_is_date(struct str format);

/* ---- within the parser ---- */

/* The sheet under way, of either form. */
struct table_grid {
	struct table_encoder *e;
	enum table_why why;          /* set: stop */
	uint64_t row;                /* number of the last one */
	size_t next;                 /* least column that may follow in this row */
	bool named;                  /* the row of names has gone out */
};

void table_grid_row(struct table_grid *g, uint64_t number);
void table_grid_cell(struct table_grid *g, size_t column, enum table_cell_type type, struct str text);
void table_grid_number(struct table_grid *g, size_t column, double v);
void table_grid_row_end(struct table_grid *g);

/* An archive being unpacked, and how much has come out of it. */
struct table_zip {
	zip_t *zip;
	const struct table_sheet_limits *limits;
	uint64_t packed, unpacked;
	enum table_why why;          /* of reading: set, nothing more is read */
};

/* Bytes read, 0 at the end, -1: z->why. */
zip_int64_t table_zip_read(struct table_zip *z, zip_file_t *f, void *to, size_t n);
/* NULL: z->why. */
zip_file_t *table_zip_open(struct table_zip *z, zip_uint64_t index);

enum table_why table_sheet_xls(int fd, struct table_encoder *e);
enum table_why table_sheet_xlsx(struct table_zip *z, struct table_encoder *e);

#endif

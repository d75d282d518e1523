/*
 * exchange_table.h - tables: rows of cells, whatever file they come in or go out as. Bytes in, rows out, and back; what a column means is
 * decided elsewhere.
 *
 * In: CSV (exchange.h says how tolerant), XLS (BIFF8, FreeXL), XLSX (ECMA-376, libzip and libxml2), XML records (schemas/records-1.0.xsd);
 * each plain, or as the one file of a ZIP archive, or packed with gzip or zstd. The form is told by the content, never by the name.
 * Spreadsheets and archives are unpacked and parsed in a child process without rights (program ceir-table: no files, no network, no other
 * programs, bounded memory and processor time), because their parsers have had faults and files come from strangers.
 * Out: CSV, XLSX (libxlsxwriter), XML records.
 *
 * The first row of CSV and spreadsheets names the columns; in XML the names of elements do. Of a workbook the first sheet counts.
 */
#ifndef CEIR_EXCHANGE_TABLE_H
#define CEIR_EXCHANGE_TABLE_H

#include "base/base.h"

#define TABLE_COLUMNS_MAX 64       /* of one file; a wider one is refused (CEIR_ELIMIT) */
#define TABLE_CELL_MAX 32767       /* bytes of one cell; a longer one makes the row bad */

enum table_form { TABLE_CSV, TABLE_XLS, TABLE_XLSX, TABLE_XML, TABLE_FORMS };
const char *table_form_name(unsigned form); /* "csv" "xls" "xlsx" "xml": also the ending of a file's name */

/* What a spreadsheet made of what was typed. CSV and XML cells are texts. */
enum table_cell_type {
	TABLE_EMPTY,
	TABLE_TEXT,
	TABLE_NUMBER,  /* .text: its digits, exact up to 15 of them ("352106000000007"), never in exponent form */
	TABLE_DATE,    /* .text: 2026-11-25, or 2026-11-25T10:00:00Z when it has a time */
	TABLE_BOOL,    /* .text: "yes" or "no" */
};

/* What is wrong with a row as a row. Codes stand in answers: they never change. */
enum table_fault {
	TABLE_GOOD = 0,
	TABLE_FAULT_LINE,        /* "line": too long, not text, a quote not closed; csv_fault says more */
	TABLE_FAULT_COLUMNS,     /* "columns": more cells than columns */
	TABLE_FAULT_CELL,        /* "cell": longer than TABLE_CELL_MAX, or an error value of a spreadsheet (#N/A) */
	TABLE_FAULT_PRECISION,   /* "precision": a number of more than 15 digits: a spreadsheet has rounded it */
	TABLE_FAULT_EXPONENT,    /* "exponent": 3.52106E+14 as text: a spreadsheet has rounded it before this file was written */
	TABLE_FAULTS
};
const char *table_fault_code(unsigned fault);
const char *table_fault_text(unsigned fault); /* English sentence, a catalogue key */

struct table_cell {
	struct str text;             /* UTF-8, trimmed; bytes of Windows-1251 (without being UTF-8) are taken as that: table_is_cp1251() */
	enum table_cell_type type;
};

/* Holds until the next call of the reader. */
struct table_row {
	uint64_t line;               /* of a CSV or XML file; of a spreadsheet the row's number; from 1 */
	const struct table_cell *cells; /* as many as there are columns; those not given are TABLE_EMPTY */
	size_t n;
	enum table_fault fault;      /* not TABLE_GOOD: what is there can still be shown, not used */
	size_t column;               /* of the fault, from 1; 0: the row as a whole */
};

struct table_limits {
	uint64_t rows;               /* 0: 100 million */
	uint64_t unpacked_bytes;     /* 0: 64 GiB */
	unsigned ratio;              /* unpacked to packed bytes, from the second MiB on: above it is a bomb; 0: 1000 */
	unsigned memory_mib, cpu_s;  /* of the child; 0: 1024 and 600 */
	const char *helper;          /* path of ceir-table; NULL: beside the running program, else where it was installed */
	int scratch_fd;              /* folder in which nameless temporary files (O_TMPFILE, else unlinked at once) may be made */
};

struct table_reader;
/*
 * Reads a regular file from its start; fd stays the caller's and must stay open. CEIR_EINVAL: not a table (why() says), also an empty file;
 * CEIR_ELIMIT: a limit; others: the system. *out is set on CEIR_EINVAL and CEIR_ELIMIT too, for why(), and must be freed. One thread,
 * which must not end before table_close(): a child dies with the thread that started it.
 */
enum ceir_err table_open(int fd, const struct table_limits *limits, struct table_reader **out) CEIR_MUST_USE;
void table_close(struct table_reader *t); /* NULL is allowed; ends the child */
enum table_form table_form_of(const struct table_reader *t);
bool table_is_cp1251(const struct table_reader *t); /* so far */
/* Names of the columns, trimmed, as written. For XML: local names in the order they first appear in the first record. */
size_t table_columns(const struct table_reader *t, const struct str **names);
/* Next row; blank rows are passed over. CEIR_ENOENT: the end. CEIR_EINVAL, CEIR_ELIMIT: what follows cannot be read; why() says. */
enum ceir_err table_next(struct table_reader *t, struct table_row *row) CEIR_MUST_USE;
const char *table_why(const struct table_reader *t); /* English sentence, a catalogue key */

/* ---- out ---- */

struct table_writer;
/*
 * Writes into fd (a regular file or, for CSV and XML, anything) from where it stands; fd stays the caller's. Constant memory: libxlsxwriter's
 * constant_memory mode, its temporary file in scratch_fd's folder. record: XML element of a row, "permit"; also the sheet's name. names must outlive
 * the writer; CEIR_EINVAL: none, or one that cannot be an element's (XML), or a sheet's. XLSX holds 1,048,575 rows and cells of 32,767 characters:
 * CEIR_ERANGE costs the row that is more, every other error the table. XLSX and XML: what XML 1.0 cannot hold becomes U+FFFD. CSV: cells beginning with = + - @ get an apostrophe only when for_people.
 */
enum ceir_err table_writer_new(int fd, enum table_form form, const char *record, const char *const *names, size_t n, bool for_people, int scratch_fd,
	struct table_writer **out) CEIR_MUST_USE;
enum ceir_err table_writer_row(struct table_writer *w, const struct str *cells) CEIR_MUST_USE; /* n of them; empty: no cell, no element */
enum ceir_err table_writer_finish(struct table_writer *w) CEIR_MUST_USE;                      /* writes what is left; frees, whatever the outcome */
void table_writer_drop(struct table_writer *w);                                                /* NULL is allowed */

#endif

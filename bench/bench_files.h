/*
 * bench_files.h - tables and files: what the programs bench_files (tables by themselves, files put into a folder) and bench_ftps (files by
 * FTPS) share. Rows are those of an application: device k of the population (bench.h) under the one permit of the bench's register.
 */
#ifndef CEIR_BENCH_FILES_H
#define CEIR_BENCH_FILES_H

#include "bench.h"

/* ---- files to be read (bench_files_make.c) ---------------------------------------------------------------------------------- */

/* How the cells of a workbook hold their text: three ways that programs have. */
enum bf_cells {
	BF_SHARED,  /* as Excel saves texts: each once, in a part of their own */
	BF_INLINE,  /* in the cell itself, as libraries write that have little memory */
	BF_NUMBERS, /* IMEIs typed as numbers, other texts shared */
};

/* columns imei, permit, position; names the file's form by the ending of path: csv, xml, xlsx, xls (at most 65,535 rows). */
enum ceir_err bf_make(const char *path, enum bf_cells cells, uint64_t first, uint64_t rows) CEIR_MUST_USE;
/* bench_files_xls.c: a workbook of BIFF8. */
enum ceir_err bf_make_xls(const char *path, uint64_t first, uint64_t rows) CEIR_MUST_USE;
#define BF_XLS_ROWS 65535u

/* ---- tables (bench_files_tables.c) -------------------------------------------------------------------------------------------- */

/*
 * Writes and reads tables of so many rows in every form in the folder dir, each in a process of its own; a line for each. helper: ceir-table.
 * What was read is compared with the population.
 */
enum ceir_err bf_tables(const char *dir, const char *helper, uint64_t rows) CEIR_MUST_USE;

/* ---- a file done (bench_files_drop.c) ------------------------------------------------------------------------------------------ */

struct bf_drop {
	const char *file;    /* what is put, CSV */
	const char *name;    /* as which */
	const char *home;    /* DIR/files/ACCOUNT/ftp */
	const char *way;     /* "folder", "ftps" */
	uint64_t rows;       /* in it, each of which must come back with code 1000 */
	pid_t server;        /* 0: not measured */
	/* Brings the file into in/; returns when whoever sends it is told that it is there. */
	enum ceir_err (*put)(const struct bf_drop *d);
	void *ctx;
};
/* Puts the file, waits for its answer in out/, counts its rows: one line. */
enum ceir_err bf_drop(const struct bf_drop *d) CEIR_MUST_USE;
/* The folder face: a copy beside in/, durable, then a rename into it. */
enum ceir_err bf_put_folder(const struct bf_drop *d) CEIR_MUST_USE;
/* Rows of an answer in CSV that have this code; *rows: all of them. */
uint64_t bf_answer_count(struct str answer, const char *code, uint64_t *rows);

#endif

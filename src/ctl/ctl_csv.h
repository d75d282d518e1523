/*
 * ctl_csv.h - a CSV file row by row, in constant memory, with its bad lines counted and told.
 */
#ifndef CEIR_CTL_CSV_H
#define CEIR_CTL_CSV_H

#include "base/base.h"
#include "exchange/exchange.h"

struct ctl_csv {
	const char *name; /* of the file, for messages */
	int fd;
	struct csv_reader *reader;
	char *chunk;
	bool ended, broken;   /* broken: reading failed, and was complained about */
	uint64_t bytes, size; /* read so far; of the file, 0: not known */
	uint64_t bad;         /* lines left out */
	FILE *rejects;        /* where they go as CSV; NULL: nowhere */
};

/* "-": standard input. rejects NULL: none. Complains and gives an error when a file cannot be opened. */
enum ceir_err ctl_csv_open(struct ctl_csv *f, const char *name, const char *rejects) CEIR_MUST_USE;
/* The next good row; false at the end. Bad ones are told by the way. */
bool ctl_csv_next(struct ctl_csv *f, struct csv_row *row);
/* A row that cannot be used: counted, told on stderr (the first few), written to the rejects (all). */
void ctl_csv_reject(struct ctl_csv *f, const struct csv_row *row, const char *reason);
void ctl_csv_close(struct ctl_csv *f);

#endif

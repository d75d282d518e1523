/* files_journal.h - what of a file has been answered, kept beside it until the answer is written. */
#ifndef CEIR_FILES_JOURNAL_H
#define CEIR_FILES_JOURNAL_H

#include "files/files_internal.h"

/* Rows first .. first + n - 1 of the file, and what became of them. */
struct files_entry {
	uint64_t first, n;
	unsigned code;
	struct str svtrid, reject, text; /* reject: code of the reason when refused; may be empty */
};

struct files_journal;
/*
 * Opens SEQ.journal or makes it. rows: how many rows of the file it answers; 0 when it is new. A row at its end that is not whole is cut off. Sets
 * j->trid to what it was when the journal was begun, and j->changed when that differs.
 */
enum ceir_err files_journal_open(struct files_job *j, struct files_journal **out, uint64_t *rows, bool *made) CEIR_MUST_USE;
/* Entries come in the order of the file, without a gap. They are durable after the next sync. */
enum ceir_err files_journal_put(struct files_journal *l, const struct files_entry *e) CEIR_MUST_USE;
enum ceir_err files_journal_sync(struct files_journal *l) CEIR_MUST_USE;
/* Reads from the beginning, after the last put. CEIR_ENOENT: the end. The entry is good until the next call. */
enum ceir_err files_journal_next(struct files_journal *l, struct files_entry *e) CEIR_MUST_USE;
void files_journal_close(struct files_journal *l); /* NULL is allowed */

#endif

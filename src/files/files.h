/*
 * files.h - the file face: what an account's system or office puts into its folder is done, and answered beside it ("off-line mode").
 *
 *   DIR/files/ACCOUNT/ftp/in/    files to be done; ACCOUNT as reg_folder_name() writes it
 *   DIR/files/ACCOUNT/ftp/out/   answers, reject files, results; an operator's list files in out/lists/
 *   DIR/files/ACCOUNT/queue/     complete and taken, not yet done; not reachable for the account
 *
 * A file is a table (exchange_table.h) of records of one type, or EPP commands (XML). Its name says which: TYPE, then "-", "_" or ".", then whatever the
 * sender likes: permit-2026-11.xlsx, stolen_list.csv, check-shop7.csv, epp-night.xml. Each row is a command of the account's session: same rights,
 * validation and transactions as on-line; each row of the answer carries the svTRID. This face holds no rule.
 *
 * Threads: functions below from any thread.
 */
#ifndef CEIR_FILES_H
#define CEIR_FILES_H

#include <limits.h>

#include "base/base.h"
#include "registry/registry.h"

struct files_settings {
	const char *dir;                 /* data folder */
	const char *helper;              /* ceir-table; NULL: table_limits.helper's default */
	unsigned threads;                /* files done at once; 0: they are taken and wait */
	unsigned keep_days;              /* answers in out/ are removed after so many [30] */
	bool scan_in;                    /* take what lies still in in/: when no FTPS server says what is complete */
	unsigned still_s;                /* for so many seconds; 0: as soon as it is seen, when everybody writes under another name and renames */
	uint64_t max_bytes;              /* in one account's queue; what would pass it stays in in/ [16 GiB] */
	unsigned max_files;              /* the same [1000] */
	unsigned ends_percent;           /* of what is listed a whole list may end without being forced to [10] */
	size_t lang;                     /* of the answers to accounts that have no language of their own: i18n index */
};

struct files;
/* Begins to do what is in the queues. The texts of s must outlive it; zeros in numbers: the default. */
enum ceir_err files_new(const struct files_settings *s, struct registry *r, struct files **out) CEIR_MUST_USE;
void files_stop(struct files *f);        /* what is under way stops at the next row; it is in the queue and goes on at the next start */
void files_free(struct files *f);        /* NULL is allowed */
/* Makes the account's folders where needed; path of .../ACCOUNT/ftp. */
enum ceir_err files_home(struct files *f, struct str clid, char out[PATH_MAX]) CEIR_MUST_USE;
/*
 * in/NAME is complete: moved into the queue, durable on return, and done soon. Exactly once: a crash at any moment leaves it in in/, or in the
 * queue. name: without a slash, not beginning with a point; only a regular file with no other name is taken, never through a link. CEIR_EINVAL,
 * CEIR_ENOENT; CEIR_ELIMIT: the account's queue is full; system's. The name is gone from in/, the inode is the same: whoever writes into in/ must
 * have closed the file. One that is changed all the same is told so in its answer.
 */
enum ceir_err files_uploaded(struct files *f, struct str clid, const char *name) CEIR_MUST_USE;
/*
 * As files_uploaded(), of a file that lies elsewhere on the same file system and was fetched for the account: PATH is gone and in the queue as NAME,
 * or still there. Any name is taken that has no slash and does not begin with a point. Errors as there.
 */
enum ceir_err files_put(struct files *f, struct str clid, const char *name, const char *path) CEIR_MUST_USE;

/* The types of records and their columns as the table of docs/files.md. */
void files_types_print(struct buf *out);

#endif

/*
 * segment.h - immutable sorted files of columns: what the triplet store and the classification keep on disk.
 *
 * A segment holds rows of up to SEGMENT_COLUMNS unsigned 64-bit columns, sorted by the first `keys` columns (ascending,
 * compared one after the other), no two rows with the same key; and, when the schema says so, some bytes of its own for a
 * few of the rows. Rows stand in blocks of SEGMENT_BLOCK; in a block each column is packed in as few bits as its values need,
 * with a CRC32C over the block; a sparse index (the first key of each block) stands at the end, and a filter if wanted. A file is
 * written once, synced, and from then on only read, through mmap. The format, byte by byte, is in segment_format.h.
 *
 * Threads: a writer belongs to one thread at a time. An open segment may be read by any number of threads at once, each with
 * a cursor of its own. Nothing is allocated by reading.
 */
#ifndef CEIR_SEGMENT_H
#define CEIR_SEGMENT_H

#include "base/base.h"

#define SEGMENT_COLUMNS 10
#define SEGMENT_BLOCK 128      /* rows in a block; the last one may have fewer */
#define SEGMENT_EXTRA_MAX 4096 /* bytes of one row */

struct segment_schema {
	uint32_t kind;         /* stands in the file; a file of another kind is refused */
	unsigned columns;      /* 1..SEGMENT_COLUMNS */
	unsigned keys;         /* 1..columns */
	bool extra;            /* rows may have bytes of their own */
	bool filter;           /* for the writer: see segment_may_have(); costs a byte for each value of the first column */
};

/* Rows as columns: col[c][i] is column c of row i. */
struct segment_rows {
	size_t n;
	const uint64_t *col[SEGMENT_COLUMNS];
	const struct str *extra; /* of each row; NULL: none has any */
};

struct segment_info {
	uint64_t rows, bytes;
	uint64_t first[SEGMENT_COLUMNS], last[SEGMENT_COLUMNS]; /* keys of the first and last row; zeros when there is none */
};

/* ---- writing ------------------------------------------------------------------------------------------------------ */

struct segment_writer;
/* Creates path (CEIR_EEXIST when there is one). */
enum ceir_err segment_writer_new(const char *path, const struct segment_schema *schema, struct segment_writer **out) CEIR_MUST_USE;
/*
 * Appends rows, any number. Keys must rise strictly, also from one call to the next: CEIR_EINVAL, and the writer can only be
 * dropped. CEIR_ENOSPC, CEIR_EIO likewise.
 */
enum ceir_err segment_writer_add(struct segment_writer *w, const struct segment_rows *rows) CEIR_MUST_USE;
/* Writes index and footer, syncs the file (not its folder), frees the writer whatever the outcome. On an error the file is removed. */
enum ceir_err segment_writer_finish(struct segment_writer *w, struct segment_info *info) CEIR_MUST_USE;
/* Gives up: frees the writer, removes the file. NULL is allowed. */
void segment_writer_drop(struct segment_writer *w);

/* ---- reading ------------------------------------------------------------------------------------------------------ */

struct segment;
/*
 * Maps the file and checks header, footer and index (not the blocks: those are checked when they are read). CEIR_ECORRUPT: not
 * a segment of this schema, cut off, or damaged; the log says what and where. CEIR_ENOENT: no such file.
 */
enum ceir_err segment_open(const char *path, const struct segment_schema *schema, struct segment **out) CEIR_MUST_USE;
/* No cursor may be in use. NULL is allowed. */
void segment_close(struct segment *s);
void segment_get_info(const struct segment *s, struct segment_info *info);

/*
 * Where a reader stands. About 12 KiB; on the stack or in the caller's struct; needs no freeing. Set `segment` to NULL before the first
 * use (zeroing all of it costs more than a seek). A cursor may go on to another segment at any time.
 */
struct segment_cursor {
	const struct segment *segment;
	uint64_t serial;         /* which opening of a segment: private */
	uint64_t block;          /* number of the block that is decoded */
	unsigned n;              /* rows in it; 0: at the end */
	unsigned at;             /* the row in it where segment_seek() stopped */
	uint64_t col[SEGMENT_COLUMNS][SEGMENT_BLOCK];
	struct str extra[SEGMENT_BLOCK]; /* into the mapped file; valid only when has_extra */
	bool has_extra;          /* some row of the block has bytes */
	bool whole;              /* all rows of all columns are decoded: private */
	const uint8_t *rest;     /* where the second column stands: private */
};

/*
 * Decodes the block of the first row whose key is not below key[0..n_key-1] (n_key <= keys; a prefix counts as the lowest key
 * that begins with it) and sets `at` to it. n == 0: there is none. A block already decoded in this cursor is not decoded
 * again. CEIR_ECORRUPT: a block fails its CRC; the log names file and block.
 */
enum ceir_err segment_seek(struct segment_cursor *c, const struct segment *s, const uint64_t *key, unsigned n_key) CEIR_MUST_USE;
/*
 * As segment_seek(), but only to a row whose first column is key[0]; at == n: there is none. Cheaper, because of the columns behind
 * the first only the rows that begin with key[0] are decoded: of the others in the block nothing but the first column may be looked
 * at. The CRC of a block is checked by the first find that comes to it and then, while the segment is open, no more: its bytes do not
 * change. n_key is at least 1. The cursor is good for segment_next(), which decodes all of the next block, and for another seek or find.
 */
enum ceir_err segment_find(struct segment_cursor *c, const struct segment *s, const uint64_t *key, unsigned n_key) CEIR_MUST_USE;
/*
 * Begins to fetch the block that segment_find() of the key will decode first, and does not wait for it: for a segment that is searched
 * right after another one.
 */
void segment_hint(const struct segment *s, uint64_t key);
/* The same of what segment_hint() will read in the index: for keys that are known long before they are searched. */
void segment_hint_index(const struct segment *s, uint64_t key);
/*
 * False: no row's first column is `first`. True: perhaps. One line of memory. Files of up to two million values know, when they were
 * written with schema.filter; the others say true.
 */
bool segment_may_have(const struct segment *s, uint64_t first);
/* Decodes the next block, at = 0. n == 0: there is none. */
enum ceir_err segment_next(struct segment_cursor *c) CEIR_MUST_USE;
/*
 * Cuts the segment into `parts` of about the same number of rows: bounds[i] is the first column of the first row of part
 * i + 1, for i in 0..parts-2; equal first columns are never cut apart, so parts may be empty.
 */
void segment_split(const struct segment *s, unsigned parts, uint64_t *bounds);

/* Reads every block: CRC, order of keys, values against the index. Each fault is one line to report(). CEIR_ECORRUPT when any. */
enum ceir_err segment_verify(const struct segment *s, void (*report)(void *ctx, const char *line), void *ctx) CEIR_MUST_USE;

/* ---- tools of the trade, for whoever keeps such files -------------------------------------------------------------- */

/* CRC32C (Castagnoli, RFC 3720 B.4), with the processor's instruction where there is one. crc of the bytes before, 0 to begin. */
uint32_t crc32c(uint32_t crc, const void *bytes, size_t n);

/*
 * Sorts n records of `size` bytes (a multiple of 8, 16..64) ascending by the 64-bit words whose indexes are in words[0..n_words-1],
 * most significant first; stable. Radix sort; bits that are the same in all records cost nothing. scratch holds n records too.
 * The result is in records. threads: 1 or more; blocks until done. CEIR_ENOMEM: the records are in no order, some of them twice.
 */
enum ceir_err sort_records(void *records, void *scratch, size_t n, size_t size, const unsigned *words, unsigned n_words, unsigned threads)
	CEIR_MUST_USE;

#endif

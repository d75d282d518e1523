/*
 * triplets_format.h - what the triplet store keeps on disk, byte by byte. Numbers are little-endian. Private to src/triplets.
 *
 * A store is one folder. All file names are made of a number that is never used twice, ten decimal digits:
 *
 *   MANIFEST            text, below. Replaced atomically (MANIFEST.tmp, fsync, rename, fsync of the folder)
 *   LOCK                empty; locked with flock() by the process that has the store open
 *   NNNNNNNNNN.seg      a segment (src/segment/segment_format.h) of one of the three trees, or a run of a staged delivery
 *   NNNNNNNNNN.journal  sightings not yet in segments, below
 *   NNNNNNNNNN.batches  numbers of the batches last taken, below
 *
 * Only what MANIFEST names counts; at open every other file of these kinds is a leftover of a crash and is removed.
 *
 * MANIFEST: lines of words with one space between and LF behind; numbers are decimal.
 *   ceir-triplets 1                                   the form; another number is refused
 *   next FILE DELIVERY                                the lowest numbers not yet used
 *   journal FILE                                      one line each, rising; the last is the one that is being written
 *   batches FILE                                      none: no such line
 *   full OP MIN_S MAX_S                               sightings of OP's last full delivery that was applied: earliest, latest
 *   segment TREE FILE GROUP ROWS BYTES                TREE 0..2; segments of one GROUP have no IMEI in common
 *   staged ID OP ROWS MIN_S MAX_S N FILE ... FILE     N runs
 *   applied ID ROWS DISTINCT FRESH AGAIN RETURNED GONE   applied, and not yet forgotten
 *   crc XXXXXXXX                                      CRC32C of all bytes before this line, eight hexadecimal digits
 *
 * Trees. Tree 0 (kind TRP1, 8 columns, 4 keys, extra bytes):
 *   0 IMEI key  1 IMSI key  2 MSISDN key  3 operator  4 first_s  5 last_s - episode_s  6 episode_s - first_s
 *   7 event | RAT << 8 of the last sighting
 *   extra, only of rows that have a cell or earlier episodes: a byte, the length of the cell; the cell; then of each earlier
 *   episode, the latest first, two LEB128 numbers: seconds from its end to the begin of the one after it, and its length.
 * Tree 1 (kind TRP2, 2 columns, both keys): IMSI key, IMEI key. Tree 2 (kind TRP3, likewise): MSISDN key, IMSI key.
 * Runs of a staged delivery have the form of tree 0.
 *
 * NNNNNNNNNN.journal: 16 bytes: "CEIRJRN1", the file's number (8). Then records, each:
 *   length of the payload (4), CRC32C of the payload (4), payload:
 *   kind 1 (1), operator (1), flags (2; 1: cells follow each row), rows (4), batch (8); of each row:
 *   IMEI (8), IMSI (8), MSISDN (8), at_s (4), event (1), RAT (1); with flag 1: length of the cell (1), cell
 * A record that is not whole at the end of the last journal was never acknowledged, and is cut off at open.
 *
 * NNNNNNNNNN.batches: "CEIRBAT1", then of each operator that has any: operator (4), how many (4), that many numbers (8 each),
 * oldest first; at the end CRC32C of all before (4).
 */
#ifndef CEIR_TRIPLETS_FORMAT_H
#define CEIR_TRIPLETS_FORMAT_H

#include <string.h>

#include "segment/segment.h"
#include "triplets/triplets.h"

enum { TREE_TRIPLETS, TREE_IMSI, TREE_MSISDN, TREES };
enum { COL_IMEI, COL_IMSI, COL_MSISDN, COL_OP, COL_FIRST, COL_LENGTH, COL_OFFSET, COL_MARK, COLS };

#define TRIPLETS_OPS 256
#define TRIPLETS_KEYS 4           /* of tree 0; the others have 2 */
#define TRIPLETS_EPISODES_MAX 255 /* earlier ones kept of one triplet; the oldest go first */
#define TRIPLETS_BATCHES 65536    /* numbers remembered of one operator */
#define TRIPLETS_PATH_MAX 1024

#define JOURNAL_MAGIC "CEIRJRN1"
#define JOURNAL_HEADER 16
#define JOURNAL_RECORD 8          /* length and CRC */
#define JOURNAL_PAYLOAD 16        /* before the rows */
#define JOURNAL_ROW 30            /* without cell */
#define JOURNAL_CELLS 1u
#define JOURNAL_PAYLOAD_MAX (256u << 20)
#define BATCHES_MAGIC "CEIRBAT1"
#define BATCHES_FILE_MAX ((size_t)TRIPLETS_OPS * (TRIPLETS_BATCHES * 8u + 8u) + 12u)
#define MANIFEST_MAX ((size_t)256 << 20)

extern const struct segment_schema triplets_schemas[TREES];

static inline unsigned tree_keys(unsigned tree) { return tree == TREE_TRIPLETS ? TRIPLETS_KEYS : 2; }

static inline void put_u32(char *p, uint32_t v)
{
	for (unsigned i = 0; i < 4; i++)
		p[i] = (char)(v >> 8 * i & 0xff);
}

static inline void put_u64(char *p, uint64_t v)
{
	for (unsigned i = 0; i < 8; i++)
		p[i] = (char)(v >> 8 * i & 0xff);
}

static inline uint32_t get_u32(const char *p)
{
	uint32_t v = 0;

	for (unsigned i = 0; i < 4; i++)
		v |= (uint32_t)(unsigned char)p[i] << 8 * i;
	return v;
}

static inline uint64_t get_u64(const char *p)
{
	return get_u32(p) | (uint64_t)get_u32(p + 4) << 32;
}

/* ---- MANIFEST in memory ------------------------------------------------------------------------------------------ */

struct manifest_segment {
	unsigned tree;
	uint64_t file, group, rows, bytes;
};

struct manifest_staged {
	uint64_t id, rows;
	uint8_t op;
	uint32_t min_s, max_s;
	uint64_t *files;
	size_t n_files;
};

struct manifest_applied {
	uint64_t id;
	struct triplets_counts counts;
};

struct manifest_full {
	bool known;
	uint32_t min_s, max_s;
};

struct manifest {
	uint64_t next_file, next_delivery;
	uint64_t batches; /* 0: none */
	struct manifest_full full[TRIPLETS_OPS];
	uint64_t *journals;
	size_t n_journals;
	struct manifest_segment *segments;
	size_t n_segments;
	struct manifest_staged *staged;
	size_t n_staged;
	struct manifest_applied *applied;
	size_t n_applied;
};

void manifest_clear(struct manifest *m);
/* *to need not be initialised; on an error it is cleared. */
enum ceir_err manifest_copy(struct manifest *to, const struct manifest *from) CEIR_MUST_USE;
void manifest_print(const struct manifest *m, struct buf *out);
/* CEIR_ECORRUPT: *why (static) says what, *line where (0: the whole). *m is cleared then. */
enum ceir_err manifest_parse(struct str text, struct manifest *m, const char **why, size_t *line) CEIR_MUST_USE;
enum ceir_err manifest_add_journal(struct manifest *m, uint64_t file) CEIR_MUST_USE;
enum ceir_err manifest_add_segment(struct manifest *m, const struct manifest_segment *s) CEIR_MUST_USE;
/* Takes s->files over, also on an error. */
enum ceir_err manifest_add_staged(struct manifest *m, const struct manifest_staged *s) CEIR_MUST_USE;
enum ceir_err manifest_add_applied(struct manifest *m, const struct manifest_applied *a) CEIR_MUST_USE;
void manifest_remove_journals(struct manifest *m, uint64_t below); /* all with a lower number */
void manifest_remove_segment(struct manifest *m, uint64_t file);
struct manifest_staged *manifest_find_staged(const struct manifest *m, uint64_t id); /* NULL: none */
void manifest_remove_staged(struct manifest *m, uint64_t id);
const struct manifest_applied *manifest_find_applied(const struct manifest *m, uint64_t id);
void manifest_remove_applied(struct manifest *m, uint64_t id);

/* ---- journal ----------------------------------------------------------------------------------------------------- */

struct journal_batch {
	uint64_t batch;
	uint8_t op;
	bool cells;
	uint32_t n;
	const char *rows; /* n rows, checked to be whole */
	size_t bytes;
};

/* Appends a record; buf->failed on want of memory. The caller keeps to JOURNAL_PAYLOAD_MAX. */
void journal_put(struct buf *out, uint8_t op, uint64_t batch, const struct sighting *rows, const struct str *cells, size_t n);
/* The record that begins at p. CEIR_ENOENT: not whole. CEIR_ECORRUPT: CRC or form wrong. *size: of the whole record. */
enum ceir_err journal_get(struct str p, struct journal_batch *b, size_t *size) CEIR_MUST_USE;
/* Takes the next row off b. b->n must not be 0. *cell points into the record. */
void journal_row(struct journal_batch *b, struct sighting *s, struct str *cell);
/* Where the next whole record with a right CRC begins, searched from `from` on; bytes.n: nowhere. */
size_t journal_resync(struct str bytes, size_t from);

/* ---- numbers of batches ------------------------------------------------------------------------------------------ */

struct batches; /* the last TRIPLETS_BATCHES numbers of each operator; not locked, its owner sees to that */
struct batches *batches_new(void);
void batches_free(struct batches *b);
bool batches_has(const struct batches *b, uint8_t op, uint64_t number);
enum ceir_err batches_add(struct batches *b, uint8_t op, uint64_t number) CEIR_MUST_USE;
void batches_print(const struct batches *b, struct buf *out);
enum ceir_err batches_parse(struct str bytes, struct batches *b) CEIR_MUST_USE;

#endif

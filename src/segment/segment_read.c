/*
 * segment_read.c - blocks decoded, and found.
 *
 * A seek goes through the index (segment_index.c), which knows only the first column. Where it is the same in many blocks (an IMEI with a
 * million subscribers), the rest of the search decodes the blocks it looks at: a logarithm of them, each with its CRC checked, so that
 * a damaged one is reported and not believed.
 *
 * segment_find(), which is what look-ups do, decodes the first column of a block and goes on only with the rows that it wants. The CRC
 * is that of the whole block all the same, and takes longer than the rest: so it is checked by the first find in a block and not again
 * while the file is open. segment_seek() and segment_next(), by which files are read in order and merged, check it each time.
 */
#include "segment/segment_internal.h"

#define ROOM "segment"
#define PREFETCH_BYTES 2048

/* ---- decoding -------------------------------------------------------------------------------------------------------- */

/* The area of own bytes: exactly p..end-1. */
static bool extra_decode(struct segment_cursor *c, const uint8_t *p, const uint8_t *end, unsigned n)
{
	const uint8_t *const bitmap = p;
	if ((size_t)(end - p) < (n + 7) / 8)
		return false;
	p += (n + 7) / 8;
	if (n % 8 && bitmap[n / 8] >> n % 8)
		return false;
	for (unsigned i = 0; i < n; i++) {
		size_t length = 0;
		if (bitmap[i / 8] >> i % 8 & 1) {
			if (p == end)
				return false;
			length = *p++;
			if (length >= 0x80) {
				if (p == end)
					return false;
				length = (length & 0x7f) | (size_t)*p++ << 7;
			}
			if (length == 0 || length > SEGMENT_EXTRA_MAX)
				return false;
		}
		c->extra[i] = (struct str){NULL, length};
	}
	for (unsigned i = 0; i < n; i++) {
		if (c->extra[i].n > (size_t)(end - p))
			return false;
		if (c->extra[i].n)
			c->extra[i].p = (const char *)p;
		p += c->extra[i].n;
	}
	return p == end;
}

/* Begins to fetch the lines of a block into the cache, all at once. */
static void fetch(const uint8_t *begin, const uint8_t *end)
{
	for (const uint8_t *line = begin; line < end && line < begin + PREFETCH_BYTES; line += 64)
		__builtin_prefetch(line);
}

/* Whether the CRC of a block, begin..end-1, is right; then it is marked. */
static bool crc_check(const struct segment *s, uint64_t block, const uint8_t *begin, const uint8_t *end)
{
	uint8_t number[8];

	store64(number, block);
	if (load32(begin) != crc32c(crc32c(0, number, sizeof number), begin + 4, (size_t)(end - begin) - 4))
		return false;
	block_set_good(s, block);
	return true;
}

/* Checks the CRC (check: also when it was right before), before anything else is read, and the flags; decodes the first column. */
static const char *decode_first(const struct segment *s, uint64_t block, bool check, struct segment_cursor *c)
{
	const uint8_t *const begin = s->map + segment_start(s, block), *const end = s->map + segment_start(s, block + 1);
	const uint64_t before = block * SEGMENT_BLOCK;
	const unsigned n = s->info.rows - before < SEGMENT_BLOCK ? (unsigned)(s->info.rows - before) : SEGMENT_BLOCK;

	check = check || !block_is_good(s, block);
	fetch(begin, end); /* after a seek the block is in memory, not in the cache */
	c->n = 0;
	if (check && !crc_check(s, block, begin, end))
		return "CRC is wrong";
	const bool has_extra = begin[4] == SEGMENT_FLAG_EXTRA;
	if (begin[4] & ~SEGMENT_FLAG_EXTRA || (has_extra && !s->schema.extra))
		return "unknown flags";
	const struct column_form first = {.base = segment_first(s, block)};
	c->rest = column_decode(&first, true, begin + SEGMENT_BLOCK_HEAD_BYTES, end, n, c->col[0]);
	if (!c->rest)
		return "a column is malformed";
	c->segment = s;
	c->serial = s->serial;
	c->block = block;
	c->n = n;
	c->at = 0;
	c->has_extra = has_extra;
	c->whole = false;
	return NULL;
}

/* Rows from..to-1 of the other columns of the block whose first one is decoded. */
static const char *decode_others(const struct segment *s, struct segment_cursor *c, unsigned from, unsigned to)
{
	const uint8_t *const end = s->map + segment_start(s, c->block + 1), *p = c->rest;
	const unsigned n = c->n;

	c->n = 0;
	for (unsigned i = 1; i < s->schema.columns; i++) {
		p = column_decode_part(&s->form[i], p, end, n, from, to, c->col[i]);
		if (!p)
			return "a column is malformed";
	}
	if (c->has_extra ? !extra_decode(c, p, end, n) : p != end)
		return "what follows the columns is malformed";
	c->n = n;
	c->whole = from == 0 && to == n;
	return NULL;
}

const char *segment_decode(const struct segment *s, uint64_t block, struct segment_cursor *c)
{
	const char *why = decode_first(s, block, true, c);
	return why ? why : decode_others(s, c, 0, c->n);
}

/* At the end: no row. */
static void stop(struct segment_cursor *c, const struct segment *s)
{
	c->segment = s;
	c->serial = s->serial;
	c->block = s->blocks;
	c->n = 0;
	c->at = 0;
	c->has_extra = false;
}

static bool stands_at(const struct segment_cursor *c, const struct segment *s, uint64_t block)
{
	return c->segment == s && c->serial == s->serial && c->n > 0 && c->block == block;
}

static enum ceir_err damaged(struct segment_cursor *c, const struct segment *s, uint64_t block, const char *why)
{
	stop(c, s);
	log_error(ROOM, "%s: block %llu of %llu, at byte %llu: %s", s->name, (unsigned long long)block, (unsigned long long)s->blocks,
		(unsigned long long)segment_start(s, block), why);
	return CEIR_ECORRUPT;
}

/* Decodes the block, unless it is; whole: all columns of it, and its CRC is checked again: such blocks are copied into other files. */
static enum ceir_err load(struct segment_cursor *c, const struct segment *s, uint64_t block, bool whole)
{
	const char *why = stands_at(c, s, block) ? NULL : decode_first(s, block, whole, c);
	if (!why && whole && !c->whole)
		why = decode_others(s, c, 0, c->n);
	return why ? damaged(c, s, block, why) : CEIR_OK;
}

/* ---- finding --------------------------------------------------------------------------------------------------------- */

/* <0, 0, >0: row i of the decoded block against the key. */
static int row_compare(const struct segment_cursor *c, unsigned i, const uint64_t *key, unsigned n_key)
{
	for (unsigned k = 0; k < n_key; k++)
		if (c->col[k][i] != key[k])
			return c->col[k][i] < key[k] ? -1 : 1;
	return 0;
}

/* The first of rows from..to-1 of the decoded block that is not below the key; to: none. */
static unsigned row_find(const struct segment_cursor *c, unsigned from, unsigned to, const uint64_t *key, unsigned n_key)
{
	while (from < to) {
		const unsigned middle = from + (to - from) / 2;
		if (row_compare(c, middle, key, n_key) < 0)
			from = middle + 1;
		else
			to = middle;
	}
	return from;
}

/*
 * Of blocks from..to-1, which all begin with key[0], how many begin below the key (with: or with it). They are decoded into c.
 */
static enum ceir_err ties_below(struct segment_cursor *c, const struct segment *s, uint64_t from, uint64_t to, const uint64_t *key,
	unsigned n_key, bool with, uint64_t *below)
{
	const uint64_t begin = from;
	while (from < to) {
		const uint64_t middle = from + (to - from) / 2;
		const enum ceir_err err = load(c, s, middle, true);
		if (err)
			return err;
		const int order = row_compare(c, 0, key, n_key);
		if (order < 0 || (with && order == 0))
			from = middle + 1;
		else
			to = middle;
	}
	*below = from - begin;
	return CEIR_OK;
}

/*
 * The last block that begins below the key, if any, else the first: the row is in it, or the first one of the next. Of a whole key, which
 * can be there only once: that begins below it or with it.
 */
static enum ceir_err block_find(struct segment_cursor *c, const struct segment *s, const uint64_t *key, unsigned n_key, uint64_t *block)
{
	const bool whole = n_key == s->schema.keys;
	uint64_t below = blocks_below(s, key[0], whole && n_key == 1);
	if (n_key > 1 && below < s->blocks && segment_first(s, below) == key[0]) {
		uint64_t ties;
		const enum ceir_err err = ties_below(c, s, below, blocks_below(s, key[0], true), key, n_key, whole, &ties);
		if (err)
			return err;
		below += ties;
	}
	*block = below > 0 ? below - 1 : 0;
	return CEIR_OK;
}

/* Whether the decoded block is the one block_find() would find, seen from the index alone. */
static bool still_right(const struct segment_cursor *c, const struct segment *s, uint64_t key)
{
	return c->segment == s && c->serial == s->serial && c->n > 0 && c->col[0][0] < key &&
	       (c->block + 1 == s->blocks || segment_first(s, c->block + 1) > key);
}

/* The block where a row that is not below the key is, or it is the first one of the next. s has blocks. */
static enum ceir_err block_of(struct segment_cursor *c, const struct segment *s, const uint64_t *key, unsigned n_key, uint64_t *block)
{
	*block = 0;
	if (n_key > 0 && still_right(c, s, key[0]))
		*block = c->block;
	else if (n_key > 0)
		return block_find(c, s, key, n_key, block);
	return CEIR_OK;
}

enum ceir_err segment_seek(struct segment_cursor *c, const struct segment *s, const uint64_t *key, unsigned n_key)
{
	uint64_t block;

	CEIR_ASSERT(n_key <= s->schema.keys);
	if (s->blocks == 0) {
		stop(c, s);
		return CEIR_OK;
	}
	enum ceir_err err = block_of(c, s, key, n_key, &block);
	if (!err)
		err = load(c, s, block, true);
	if (err)
		return err;
	c->at = row_find(c, 0, c->n, key, n_key);
	return c->at < c->n ? CEIR_OK : segment_next(c);
}

/* The same of one column: the first row that is not below key. The processor cannot guess where, so there is no branch to guess. */
static unsigned first_row_find(const struct segment_cursor *c, uint64_t key)
{
	const uint64_t *v = c->col[0];
	unsigned n = c->n;
	while (n > 1) {
		const unsigned half = n / 2;
		v += half * (size_t)(v[half - 1] < key);
		n -= half;
	}
	return (unsigned)(v - c->col[0]) + (*v < key);
}

/* segment_find() in one block. */
static enum ceir_err find_in(struct segment_cursor *c, const struct segment *s, uint64_t block, const uint64_t *key, unsigned n_key)
{
	const enum ceir_err err = load(c, s, block, false);
	if (err)
		return err;
	const unsigned from = first_row_find(c, key[0]);
	unsigned to = from;
	while (to < c->n && c->col[0][to] == key[0])
		to++;
	c->at = c->n;
	if (from == to)
		return CEIR_OK;
	const char *why = c->whole ? NULL : decode_others(s, c, from, to);
	if (why)
		return damaged(c, s, block, why);
	const unsigned at = n_key > 1 ? row_find(c, from, to, key, n_key) : from;
	if (at < to)
		c->at = at;
	return CEIR_OK;
}

enum ceir_err segment_find(struct segment_cursor *c, const struct segment *s, const uint64_t *key, unsigned n_key)
{
	uint64_t block;

	CEIR_ASSERT(n_key > 0 && n_key <= s->schema.keys);
	if (s->blocks == 0) {
		stop(c, s);
		return CEIR_OK;
	}
	enum ceir_err err = block_of(c, s, key, n_key, &block);
	if (!err)
		err = find_in(c, s, block, key, n_key);
	if (!err && c->at == c->n && block + 1 < s->blocks && segment_first(s, block + 1) == key[0])
		err = find_in(c, s, block + 1, key, n_key);
	return err;
}

void segment_hint(const struct segment *s, uint64_t key)
{
	if (s->blocks == 0)
		return;
	const uint64_t below = blocks_below(s, key, s->schema.keys == 1), block = below > 0 ? below - 1 : 0;
	fetch(s->map + segment_start(s, block), s->map + segment_start(s, block + 1));
}

enum ceir_err segment_next(struct segment_cursor *c)
{
	const struct segment *s = c->segment;
	if (c->n == 0 || c->block + 1 >= s->blocks) {
		stop(c, s);
		return CEIR_OK;
	}
	return load(c, s, c->block + 1, true);
}

void segment_split(const struct segment *s, unsigned parts, uint64_t *bounds)
{
	CEIR_ASSERT(parts > 0);
	/* Blocks are as good as rows here. Divided first, so that nothing overflows. */
	for (unsigned i = 0; i + 1 < parts; i++)
		bounds[i] = s->blocks ? segment_first(s, s->blocks / parts * (i + 1) + s->blocks % parts * (i + 1) / parts) : 0;
}

/*
 * segment_index.c - from a key to a block.
 *
 * The first column of each block's first row stands in the file, in order. Above it, in memory, is a tree whose every node is a piece of
 * FANOUT of them, 128 bytes: of each piece its first one makes the level above, until one piece is left. A search reads one piece of
 * each level, and waits for memory once or twice where a binary search would have waited a dozen times. The tree is a fifteenth of the
 * table below it, half a byte a block.
 *
 * The bitmap of blocks whose CRC was right is here too: a bit a block.
 */
#include "segment/segment_internal.h"

#include <stdlib.h>

#define FANOUT 16u
#define LINE 64u

static uint64_t pieces(uint64_t n)
{
	return n / FANOUT + (n % FANOUT != 0);
}

/* Fills what is behind the entries of the last piece with the highest number. */
static void level_pad(uint64_t *level, uint64_t n)
{
	for (uint64_t i = n; i % FANOUT; i++)
		level[i] = UINT64_MAX;
}

enum ceir_err index_build(struct segment *s)
{
	uint64_t size[SEGMENT_LEVELS], n = s->blocks, room = 0;
	unsigned levels = 0;

	s->good = calloc((size_t)(s->blocks / 64 + 1), sizeof *s->good);
	if (!s->good)
		return CEIR_ENOMEM;
	while (n > FANOUT && levels < SEGMENT_LEVELS) {
		n = pieces(n);
		size[levels++] = n;
		room += pieces(n) * FANOUT;
	}
	s->levels = levels;
	if (levels == 0)
		return CEIR_OK;
	/* No overflow: there are fewer blocks than bytes in the file. */
	s->tree = aligned_alloc(LINE, (size_t)room * sizeof *s->tree);
	if (!s->tree)
		return CEIR_ENOMEM;
	uint64_t *level = s->tree;
	for (unsigned k = 0; k < levels; k++) {
		for (uint64_t i = 0; i < size[k]; i++)
			level[i] = k == 0 ? htole64(segment_first(s, i * FANOUT)) : s->level[k - 1][i * FANOUT];
		level_pad(level, size[k]);
		s->level[k] = level;
		level += pieces(size[k]) * FANOUT;
	}
	return CEIR_OK;
}

void index_free(struct segment *s)
{
	free(s->good);
	free(s->tree);
}

/* How many of FANOUT keys of the file are below v. No branch, and no sum that waits for the one before. */
static inline unsigned keys_below(const uint8_t *keys, uint64_t v)
{
#define BELOW(i) (unsigned)(load64(keys + 8u * (i)) < v)
	return BELOW(0) + BELOW(1) + BELOW(2) + BELOW(3) + BELOW(4) + BELOW(5) + BELOW(6) + BELOW(7) + BELOW(8) + BELOW(9) + BELOW(10) +
	       BELOW(11) + BELOW(12) + BELOW(13) + BELOW(14) + BELOW(15);
#undef BELOW
}

/*
 * From the top of the tree to the piece of the table in the file where v belongs. False: no block begins below v,
 * which only the topmost piece can tell: every other one begins with a number that is below v.
 */
static bool piece_find(const struct segment *s, uint64_t v, uint64_t *piece)
{
	uint64_t at = 0;

	for (unsigned k = s->levels; k-- > 0;) {
		const unsigned below = keys_below((const uint8_t *)(s->level[k] + at * FANOUT), v);
		if (below == 0)
			return false;
		at = at * FANOUT + below - 1;
	}
	*piece = at;
	return true;
}

/* Begins to fetch the piece, and where its blocks begin, which is asked for next. */
static void piece_hint(const struct segment *s, uint64_t piece)
{
	const uint8_t *const keys = s->first + piece * FANOUT * 8;

	__builtin_prefetch(keys);
	__builtin_prefetch(keys + LINE);
	__builtin_prefetch(s->start + piece * FANOUT * 4);
}

uint64_t blocks_below(const struct segment *s, uint64_t v, bool equal)
{
	uint64_t piece, n = 0;

	if (equal && v == UINT64_MAX)
		return s->blocks;
	v += equal;
	if (!piece_find(s, v, &piece))
		return 0;
	piece_hint(s, piece);
	const uint64_t from = piece * FANOUT, left = s->blocks - from;
	const uint8_t *const keys = s->first + from * 8;
	if (left >= FANOUT)
		return from + keys_below(keys, v);
	while (n < left && load64(keys + n * 8) < v)
		n++;
	return from + n;
}

void segment_hint_index(const struct segment *s, uint64_t key)
{
	uint64_t piece;

	if (s->blocks > 0 && piece_find(s, key, &piece))
		piece_hint(s, piece);
}

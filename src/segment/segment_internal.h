/* segment_internal.h - what the files of this room share. Not for other rooms; tests and the fuzz target look in. */
#ifndef CEIR_SEGMENT_INTERNAL_H
#define CEIR_SEGMENT_INTERNAL_H

#include <stdatomic.h>

#include "segment/segment.h"
#include "segment/segment_format.h"

/* ---- numbers of w bits (segment_pack.c) ---------------------------------------------------------------------------- */

/* Bytes of n numbers of w bits. */
static inline size_t packed_bytes(size_t n, unsigned w)
{
	return (n * w + 7) / 8;
}
static inline unsigned bits_of(uint64_t v)
{
	return v ? 64u - (unsigned)__builtin_clzll(v) : 0;
}
/* A mask of the low w bits, w 0..64. */
static inline uint64_t low_bits(unsigned w)
{
	return w < 64 ? (UINT64_C(1) << w) - 1 : UINT64_MAX;
}

/*
 * Packing goes by eight numbers at a time: in[] has n rounded up to eight, all of them below 2^w, and out room for as many, and
 * 8 bytes more. Unpacking likewise reads up to PACK_SLACK bytes behind the packed numbers, and writes n rounded up to eight.
 */
#define PACK_SLACK 72u
void segment_pack(const uint64_t *in, unsigned n, unsigned w, uint8_t *out);
/* Adds base, modulo 2^64, to each number. */
void segment_unpack(const uint8_t *in, unsigned n, unsigned w, uint64_t base, uint64_t *out);

/* The portable way of crc32c(), for processors without the instruction. */
uint32_t crc32c_portable(uint32_t crc, const void *bytes, size_t n);

/* ---- a dictionary of the high parts of a column, while it is written (segment_dictionary.c) ------------------------- */

struct dictionary_slot {
	uint64_t high;
	uint32_t number; /* + 1; 0: empty */
};

/* value[i] << shift is entry i. A high part gets in when it is seen for the second time, so that noise stays out. */
struct dictionary {
	unsigned shift;
	unsigned slot_bits;
	uint32_t n, room;
	uint64_t *value;
	struct dictionary_slot *slot;
	uint64_t *once; /* high parts seen once, by hash; a newer one pushes an older one out */
};

#define DICTIONARY_SAMPLE 65536u /* rows by which it is decided whether a dictionary is worth it */

/*
 * A dictionary for a column of which sample[0..DICTIONARY_SAMPLE-1] is typical and takes so many bits a row without one; *out is NULL
 * when none would help. CEIR_ENOMEM.
 */
enum ceir_err dictionary_choose(const uint64_t *sample, double bits, struct dictionary **out) CEIR_MUST_USE;
void dictionary_free(struct dictionary *d); /* NULL is allowed */
#define DICTIONARY_NONE UINT32_MAX
static inline unsigned dictionary_hash(uint64_t high, unsigned bits)
{
	return (unsigned)((high ^ high >> 32) * UINT64_C(0x9e3779b97f4a7c15) >> (64 - bits));
}
uint32_t dictionary_search(struct dictionary *d, uint64_t high);
/* The number of a high part, given one now if need be; DICTIONARY_NONE. Nearly all of them are where they belong. */
static inline uint32_t dictionary_number(struct dictionary *d, uint64_t high)
{
	const struct dictionary_slot *slot = &d->slot[dictionary_hash(high, d->slot_bits)];
	return slot->high == high && slot->number ? slot->number - 1 : dictionary_search(d, high);
}

/* ---- the filter, while it is written (segment_filter.c) --------------------------------------------------------------- */

struct filter_maker {
	bool wanted;
	uint64_t last;
	size_t n, room;
	uint32_t *hash; /* of each distinct value */
};
/* Values in order, any number. When there are too many, or memory is out, there will be no filter. */
void filter_add(struct filter_maker *f, const uint64_t *first, size_t n);
/* The bytes, on the heap, and how many lines they are; NULL and 0: there is none. */
uint8_t *filter_make(const struct filter_maker *f, uint32_t *lines);
void filter_drop(struct filter_maker *f);

/* ---- one column of one block (segment_encode.c, segment_decode.c) --------------------------------------------------- */

/* What a writer knows of a column. */
struct column_coder {
	bool first;           /* the first column: its base stands in the index */
	bool started;
	uint64_t base;        /* as in the footer; some row of the first block */
	unsigned blocks;      /* counted for trying things now and then */
	bool middle_won;      /* a base from the middle was better the last time it was tried */
	bool dictionary_won;  /* likewise the dictionary, against offsets */
	uint64_t sample_bytes;
	uint32_t sampled;
	uint64_t *sample;     /* NULL: decided */
	struct dictionary *dictionary;
};

#define COLUMN_BYTES_MAX (12u + 2 * SEGMENT_BLOCK * 8u + SEGMENT_BLOCK + PACK_SLACK)
/*
 * Writes the shortest form of v[0..n-1] to out (COLUMN_BYTES_MAX bytes) and returns how long it is. rising: v never falls, and deltas
 * may be used.
 */
size_t column_encode(struct column_coder *c, const uint64_t *v, unsigned n, bool rising, uint8_t *out);

/* What a reader knows of a column. */
struct column_form {
	uint64_t base;
	const uint8_t *dictionary;
	uint32_t entries;
	unsigned shift;
};

/*
 * Reads a column of n rows from p, which must end before `end` (PACK_SLACK bytes behind that can be read); gives where the next one
 * begins, or NULL: these bytes are no column. out has SEGMENT_BLOCK places.
 */
const uint8_t *column_decode(const struct column_form *f, bool first, const uint8_t *p, const uint8_t *end, unsigned n, uint64_t *out);
/* The same of a column that is not the first, but only out[from..to-1] is good afterwards; from < to <= n. */
const uint8_t *column_decode_part(const struct column_form *f, const uint8_t *p, const uint8_t *end, unsigned n, unsigned from, unsigned to,
	uint64_t *out);

/* ---- an open segment (segment_open.c, segment_index.c, segment_read.c) ----------------------------------------------- */

#define SEGMENT_LEVELS 15 /* of 16 each: more than 2^60 blocks */

struct segment {
	char *name;
	const uint8_t *map;
	size_t bytes;
	bool mapped;                  /* by us; else the bytes are the caller's */
	uint64_t serial;              /* of this opening: a cursor left over from another segment must not match */
	struct segment_schema schema;
	uint64_t blocks, groups, index;
	const uint8_t *group, *first, *start; /* the tables of the index */
	const uint8_t *filter;
	uint32_t filter_lines;        /* 0: there is none */
	uint64_t *tree;               /* above `first`: level[0] has the first key of every 16 blocks, level[1] of every 256, ... */
	const uint64_t *level[SEGMENT_LEVELS];
	unsigned levels;
	/*
	 * A bit of each block: its CRC was right. Relaxed: the bytes of a block never change, so that it is all the same which of them are
	 * read before the bit, and two who check one block at a time do no harm.
	 */
	_Atomic uint64_t *good;
	struct column_form form[SEGMENT_COLUMNS];
	struct segment_info info;
};

/* As segment_open() of bytes in memory, which stay the caller's; name is for the log. */
enum ceir_err segment_open_bytes(const void *bytes, size_t n, const char *name, const struct segment_schema *schema, struct segment **out)
	CEIR_MUST_USE;
static inline uint64_t segment_first(const struct segment *s, uint64_t block)
{
	return load64(s->first + block * 8);
}
/* Where a block begins in the file; block == blocks: where the index does. */
static inline uint64_t segment_start(const struct segment *s, uint64_t block)
{
	if (block == s->blocks)
		return s->index;
	return load64(s->group + block / SEGMENT_GROUP * SEGMENT_GROUP_BYTES) + load32(s->start + block * 4);
}
/* The tree over the index, and room for the marks of good blocks. CEIR_ENOMEM: index_free() all the same. */
enum ceir_err index_build(struct segment *s) CEIR_MUST_USE;
void index_free(struct segment *s);
/* Blocks whose first column begins below v (equal: or with it). */
uint64_t blocks_below(const struct segment *s, uint64_t v, bool equal);
static inline bool block_is_good(const struct segment *s, uint64_t block)
{
	return atomic_load_explicit(&s->good[block / 64], memory_order_relaxed) >> block % 64 & 1;
}
static inline void block_set_good(const struct segment *s, uint64_t block)
{
	if (!block_is_good(s, block))
		atomic_fetch_or_explicit(&s->good[block / 64], UINT64_C(1) << block % 64, memory_order_relaxed);
}
/* Decodes a block, checking its CRC, into c, which then stands at its first row; what is wrong with it, NULL: nothing. */
const char *segment_decode(const struct segment *s, uint64_t block, struct segment_cursor *c);

#endif

/*
 * segment_filter.c - which values the first column has not: a Bloom filter of one cache line a value.
 *
 * A store of three segments a tree would decode a block of each for every look-up, though only one of them has the row. Asking the filter
 * costs one line of memory, and where the value is not there it says so 97 times in 100. Only segments of moderate size have one: what
 * is large most often has what is asked for, and the filter would cost more than it saves.
 */
#include "segment/segment_internal.h"

#include <stdlib.h>

#define ROOM_FIRST 4096u /* values */
#define FILTER_MASK (SEGMENT_FILTER_LINE * 8u - 1)

/* Stands on disk, so it never changes. */
static uint32_t filter_hash(uint64_t v)
{
	v ^= v >> 32;
	v *= UINT64_C(0x9e3779b97f4a7c15);
	v ^= v >> 29;
	v *= UINT64_C(0xbf58476d1ce4e5b9);
	return (uint32_t)(v >> 32);
}

/* Where the line of a value begins; *bits: four numbers of nine bits, which of its bits are set. */
static size_t filter_line(uint32_t hash, uint32_t lines, uint64_t *bits)
{
	*bits = hash * UINT64_C(0x94d049bb133111eb) >> 28;
	return (size_t)((uint64_t)hash * lines >> 32) * SEGMENT_FILTER_LINE;
}

bool segment_may_have(const struct segment *s, uint64_t first)
{
	uint64_t bits;

	if (s->filter_lines == 0)
		return true;
	const uint8_t *const line = s->filter + filter_line(filter_hash(first), s->filter_lines, &bits);
	unsigned all = 1;
	for (unsigned i = 0; i < SEGMENT_FILTER_BITS; i++, bits >>= 9)
		all &= (unsigned)line[(bits & FILTER_MASK) / 8] >> (bits & 7);
	return all & 1;
}

static bool make_room(struct filter_maker *f)
{
	const size_t room = f->room ? f->room * 2 : ROOM_FIRST;
	uint32_t *v = f->n < SEGMENT_FILTER_MAX ? realloc(f->hash, room * sizeof *v) : NULL;
	if (!v)
		return false;
	f->hash = v;
	f->room = room;
	return true;
}

void filter_add(struct filter_maker *f, const uint64_t *first, size_t n)
{
	for (size_t i = 0; f->wanted && i < n; i++) {
		if (f->n > 0 && first[i] == f->last)
			continue;
		if (f->n == f->room && !make_room(f)) {
			filter_drop(f); /* too many; or no memory: then it goes without */
			return;
		}
		f->last = first[i];
		f->hash[f->n++] = filter_hash(first[i]);
	}
}

uint8_t *filter_make(const struct filter_maker *f, uint32_t *lines)
{
	const uint32_t n = (uint32_t)((f->n * SEGMENT_FILTER_BITS_EACH + FILTER_MASK) / (FILTER_MASK + 1));
	uint8_t *const bytes = n ? calloc(n, SEGMENT_FILTER_LINE) : NULL;

	*lines = bytes ? n : 0;
	for (size_t i = 0; bytes && i < f->n; i++) {
		uint64_t bits;
		uint8_t *const line = bytes + filter_line(f->hash[i], n, &bits);
		for (unsigned k = 0; k < SEGMENT_FILTER_BITS; k++, bits >>= 9)
			line[(bits & FILTER_MASK) / 8] |= (uint8_t)(1u << (bits & 7));
	}
	return bytes;
}

void filter_drop(struct filter_maker *f)
{
	free(f->hash);
	*f = (struct filter_maker){0};
}

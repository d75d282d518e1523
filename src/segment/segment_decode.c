/* segment_decode.c - the columns of a block, read with distrust: a CRC that is right does not make the bytes honest. */
#include "segment/segment_internal.h"

struct head {
	unsigned coding, width, count, wide;
	uint64_t base;
};

/* Head, base and what follows up to the packed numbers. NULL: cannot be. */
static const uint8_t *head_read(const struct column_form *f, bool first, const uint8_t *p, const uint8_t *end, unsigned n, struct head *h)
{
	if (p == end)
		return NULL;
	const unsigned head = *p++, base_bytes = head >> SEGMENT_HEAD_BASE_SHIFT;
	const bool exceptions = head & SEGMENT_HEAD_EXCEPTIONS;
	*h = (struct head){.coding = head & SEGMENT_HEAD_CODING, .base = f->base};
	if ((head & SEGMENT_HEAD_ZERO) || base_bytes > 8 || (base_bytes > 0 && (first || h->coding == SEGMENT_DICTIONARY)))
		return NULL;
	if (first && h->coding != SEGMENT_CONSTANT && h->coding != SEGMENT_DELTAS)
		return NULL;
	const size_t rest = base_bytes + (h->coding != SEGMENT_CONSTANT) + (exceptions ? 2u : 0u);
	if ((size_t)(end - p) < rest)
		return NULL;
	uint64_t z = 0;
	for (unsigned i = 0; i < base_bytes; i++)
		z |= (uint64_t)*p++ << 8 * i;
	h->base += z >> 1 ^ (0 - (z & 1));
	if (h->coding == SEGMENT_CONSTANT)
		return exceptions ? NULL : p;
	h->width = *p++;
	if (exceptions) {
		h->count = *p++;
		h->wide = *p++;
		if (h->count == 0 || h->count > n || h->wide == 0 || h->wide > 64)
			return NULL;
	}
	return h->width <= 64 ? p : NULL;
}

/* Exceptions into numbers[], positions checked; NULL: cannot be. */
static const uint8_t *exceptions_read(const struct head *h, const uint8_t *p, const uint8_t *end, unsigned n, uint64_t *numbers)
{
	const size_t bytes = h->count + packed_bytes(h->count, h->wide);
	if ((size_t)(end - p) < bytes)
		return NULL;
	for (unsigned i = 0; i < h->count; i++)
		if (p[i] >= n)
			return NULL;
	segment_unpack(p + h->count, h->count, h->wide, 0, numbers);
	return p + bytes;
}

/* Numbers into rows from..to-1. Whatever the number, only entries that exist are read. */
static bool dictionary_apply(const struct column_form *f, unsigned from, unsigned to, uint64_t *out)
{
	const uint64_t mask = low_bits(f->shift);
	bool good = f->entries > 0;
	if (!good)
		return false;
	for (unsigned i = from; i < to; i++) {
		const uint64_t number = out[i] >> f->shift;
		const bool there = number < f->entries;
		good &= there;
		out[i] = load64(f->dictionary + (there ? number : 0) * 8) | (out[i] & mask);
	}
	return good;
}

/* They never fall: whoever searches the rows may rely on it. */
static bool deltas_apply(uint64_t base, unsigned n, uint64_t *out)
{
	bool good = out[0] == 0;
	for (unsigned i = 0; i < n; i++) {
		out[i] += base;
		good &= out[i] >= base;
		base = out[i];
	}
	return good;
}

/*
 * The form of all n rows is checked, but only rows from..to-1 are decoded; and some around them, since packed numbers go by eight, and
 * deltas need all that come before.
 */
static const uint8_t *decode(const struct column_form *f, bool first, const uint8_t *p, const uint8_t *end, unsigned n, unsigned from,
	unsigned to, uint64_t *out)
{
	struct head h;
	uint64_t numbers[SEGMENT_BLOCK];

	p = head_read(f, first, p, end, n, &h);
	if (!p)
		return NULL;
	from = h.coding == SEGMENT_DELTAS ? 0 : from / 8 * 8;
	if (h.coding == SEGMENT_CONSTANT) {
		segment_unpack(p, to - from, 0, h.base, out + from);
		return p;
	}
	const size_t bytes = packed_bytes(n, h.width);
	if ((size_t)(end - p) < bytes)
		return NULL;
	segment_unpack(p + from / 8 * h.width, to - from, h.width, h.coding == SEGMENT_OFFSETS ? h.base : 0, out + from);
	const uint8_t *const positions = p + bytes;
	p = h.count ? exceptions_read(&h, positions, end, n, numbers) : positions;
	if (!p)
		return NULL;
	if (h.coding == SEGMENT_DICTIONARY) {
		/* What stands in the place of an exception is 0, an entry like any other. */
		if (!dictionary_apply(f, from, to, out))
			return NULL;
		for (unsigned i = 0; i < h.count; i++)
			out[positions[i]] = numbers[i];
		return p;
	}
	if (h.count && h.width + h.wide > 64)
		return NULL;
	for (unsigned i = 0; i < h.count; i++)
		if (positions[i] >= from && positions[i] < to)
			out[positions[i]] += numbers[i] << h.width;
	return h.coding == SEGMENT_DELTAS && !deltas_apply(h.base, to, out) ? NULL : p;
}

const uint8_t *column_decode(const struct column_form *f, bool first, const uint8_t *p, const uint8_t *end, unsigned n, uint64_t *out)
{
	return decode(f, first, p, end, n, 0, n, out);
}

const uint8_t *column_decode_part(const struct column_form *f, const uint8_t *p, const uint8_t *end, unsigned n, unsigned from, unsigned to,
	uint64_t *out)
{
	return decode(f, false, p, end, n, from, to, out);
}

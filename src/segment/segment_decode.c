/* segment_decode.c - the columns of a block, read with distrust: a CRC that is right does not make the bytes honest. */
#include "segment/segment_internal.h"

struct head {
	unsigned coding, width, count, wide;
	uint64_t base;
};

struct exceptions {
	unsigned n;
	const uint8_t *row;
	uint64_t number[SEGMENT_BLOCK];
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

/* Positions checked, all of them; numbers only when one of the rows from..to-1 is among them. NULL: cannot be. */
static const uint8_t *exceptions_read(const struct head *h, const uint8_t *p, const uint8_t *end, unsigned n, unsigned from, unsigned to,
	struct exceptions *e)
{
	const size_t bytes = h->count + packed_bytes(h->count, h->wide);
	bool any = false, good = true;
	if ((size_t)(end - p) < bytes)
		return NULL;
	for (unsigned i = 0; i < h->count; i++) {
		good &= p[i] < n;
		any |= p[i] >= from && p[i] < to;
	}
	e->row = p;
	e->n = any ? h->count : 0;
	if (any)
		segment_unpack(p + h->count, h->count, h->wide, 0, e->number);
	return good ? p + bytes : NULL;
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

#define SUM_BITS 55u /* SEGMENT_BLOCK numbers of so few bits, and as many exceptions, have a sum below 2^64 */

/*
 * Eight rows at a time, each the sum of at most eight numbers and what came before them: a sum over one number after the other would
 * wait for each addition. Numbers so small that they cannot overflow among themselves. out is rounded up to eight.
 */
static bool small_deltas_apply(uint64_t base, unsigned n, uint64_t *out)
{
	const uint64_t begin = base;
	const bool good = out[0] == 0;
	for (unsigned i = n; i % 8; i++)
		out[i] = 0;
	for (unsigned i = 0; i < n; i += 8) {
		uint64_t *const v = out + i;
		const uint64_t a = v[0] + v[1], b = v[2] + v[3], c = v[4] + v[5], d = v[6] + v[7], ab = a + b, abc = ab + c;
		v[0] += base;
		v[2] += base + a;
		v[4] += base + ab;
		v[6] += base + abc;
		v[1] = base + a;
		v[3] = base + ab;
		v[5] = base + abc;
		base += ab + (c + d);
		v[7] = base;
	}
	return good && base >= begin;
}

/* They never fall: whoever searches the rows may rely on it. bits: of the highest number. */
static bool deltas_apply(uint64_t base, unsigned n, unsigned bits, uint64_t *out)
{
	if (bits <= SUM_BITS)
		return small_deltas_apply(base, n, out);
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
	const unsigned wanted = from;
	struct head h;
	struct exceptions e;

	e.n = 0;
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
	p += bytes;
	if (h.count)
		p = exceptions_read(&h, p, end, n, from, to, &e);
	if (!p)
		return NULL;
	if (h.coding == SEGMENT_DICTIONARY) {
		/* What stands in the place of an exception is 0, an entry like any other. */
		if (!dictionary_apply(f, wanted, to, out))
			return NULL;
		for (unsigned i = 0; i < e.n; i++)
			out[e.row[i]] = e.number[i];
		return p;
	}
	if (h.count && h.width + h.wide > 64)
		return NULL;
	for (unsigned i = 0; i < e.n; i++)
		if (e.row[i] >= from && e.row[i] < to)
			out[e.row[i]] += e.number[i] << h.width;
	return h.coding == SEGMENT_DELTAS && !deltas_apply(h.base, to, h.width + h.wide, out) ? NULL : p;
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

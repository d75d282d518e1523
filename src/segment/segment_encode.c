/*
 * segment_encode.c - the shortest form of a column of a block.
 *
 * Candidates are weighed by a histogram of how many bits their numbers need: the width that costs least, with what does not fit into it
 * as exceptions, so that one foreign number does not widen 127 others.
 */
#include "segment/segment_internal.h"

#define TRY_EVERY 8u             /* blocks, for a candidate that has not won the last time */
#define EXCEPTION_ALWAYS 65u     /* class of a number that has no form: it must be an exception */
#define CLASSES (EXCEPTION_ALWAYS + 1)
#define EXCEPTIONS_COST_BITS 16u /* their count and width */

struct plan {
	enum segment_coding coding;
	unsigned width, wide; /* bits of a number; of an exception, 0: there is none */
	unsigned cost_bits;
	uint64_t base;
	uint64_t number[SEGMENT_BLOCK];
};

static unsigned base_bytes(uint64_t z)
{
	return (bits_of(z) + 7) / 8;
}

static uint64_t zigzag(uint64_t difference)
{
	return difference << 1 ^ (0 - (difference >> 63));
}

/*
 * The best width for numbers of which count[b] have b bits. whole: bits of an exception when it is the row itself; 0: it is the bits
 * that do not fit.
 */
static void plan_width(struct plan *p, const unsigned count[CLASSES], unsigned n, unsigned whole)
{
	unsigned top = 64, exceptions = count[EXCEPTION_ALWAYS], best = UINT32_MAX;
	while (top > 0 && count[top] == 0)
		top--;
	for (unsigned w = top;; w--) {
		const unsigned wide = !exceptions ? 0 : whole ? whole : top - w;
		const unsigned cost = n * w + exceptions * (8 + wide) + (exceptions ? EXCEPTIONS_COST_BITS : 0);
		if (cost < best) {
			best = cost;
			p->width = w;
			p->wide = wide;
		}
		exceptions += count[w];
		if (w == 0 || exceptions * 9 >= best) /* narrower ones can only cost more */
			break;
	}
	p->cost_bits += best;
}

static void plan_offsets(struct plan *p, const uint64_t *v, unsigned n, uint64_t base)
{
	unsigned count[CLASSES] = {0};
	p->coding = SEGMENT_OFFSETS;
	p->base = base;
	for (unsigned i = 0; i < n; i++) {
		p->number[i] = v[i] - base;
		count[bits_of(p->number[i])]++;
	}
	p->cost_bits = 0;
	plan_width(p, count, n, 0);
}

static void plan_deltas(struct plan *p, const uint64_t *v, unsigned n)
{
	unsigned count[CLASSES] = {0};
	p->coding = SEGMENT_DELTAS;
	p->base = v[0];
	p->number[0] = 0;
	count[0] = 1;
	for (unsigned i = 1; i < n; i++) {
		p->number[i] = v[i] - v[i - 1];
		count[bits_of(p->number[i])]++;
	}
	p->cost_bits = 0;
	plan_width(p, count, n, 0);
}

static void plan_dictionary(struct plan *p, struct dictionary *d, const uint64_t *v, unsigned n, unsigned whole)
{
	unsigned count[CLASSES] = {0};
	const uint64_t mask = low_bits(d->shift);
	p->coding = SEGMENT_DICTIONARY;
	p->base = 0;
	for (unsigned i = 0; i < n; i++) {
		const uint32_t number = dictionary_number(d, v[i] >> d->shift);
		const bool none = number == DICTIONARY_NONE;
		p->number[i] = none ? UINT64_MAX : (uint64_t)number << d->shift | (v[i] & mask);
		count[none ? EXCEPTION_ALWAYS : bits_of(p->number[i])]++;
	}
	p->cost_bits = 0;
	plan_width(p, count, n, whole);
}

/*
 * A base from the middle of the rows, for blocks in which a few are far below the others: around one of the rows (the median of nine)
 * the narrowest band that is worth its exceptions; then the lowest row in it. What is below wraps around and becomes an exception.
 */
static uint64_t base_from_middle(const uint64_t *v, unsigned n)
{
	uint64_t nine[9];
	unsigned count[CLASSES] = {0};
	for (unsigned i = 0; i < 9; i++) {
		const uint64_t x = v[i * (n - 1) / 8];
		unsigned at = i;
		for (; at > 0 && nine[at - 1] > x; at--)
			nine[at] = nine[at - 1];
		nine[at] = x;
	}
	const uint64_t middle = nine[4];
	for (unsigned i = 0; i < n; i++)
		count[bits_of(v[i] > middle ? v[i] - middle : middle - v[i])]++;
	struct plan band = {.cost_bits = 0};
	plan_width(&band, count, n, 64);
	const uint64_t reach = low_bits(band.width), low = middle > reach ? middle - reach : 0;
	uint64_t base = middle;
	for (unsigned i = 0; i < n; i++)
		if (v[i] >= low && v[i] < base)
			base = v[i];
	return base;
}

/* Writes what is no constant: head, base, numbers. v: the rows, for the exceptions of a dictionary. */
static uint8_t *plan_write(struct plan *p, const uint64_t *v, unsigned n, uint64_t z, uint8_t *out)
{
	uint8_t position[SEGMENT_BLOCK];
	uint64_t exception[SEGMENT_BLOCK + 8];
	const uint64_t mask = low_bits(p->width);
	unsigned count = 0;

	for (unsigned i = 0; p->wide && i < n; i++) {
		if (p->number[i] <= mask)
			continue;
		exception[count] = p->coding == SEGMENT_DICTIONARY ? v[i] : p->number[i] >> p->width;
		position[count++] = (uint8_t)i;
		p->number[i] = p->coding == SEGMENT_DICTIONARY ? 0 : p->number[i] & mask;
	}
	const unsigned bytes = base_bytes(z);
	*out++ = (uint8_t)((unsigned)p->coding | (count ? SEGMENT_HEAD_EXCEPTIONS : 0) | bytes << SEGMENT_HEAD_BASE_SHIFT);
	store64(out, z);
	out += bytes;
	*out++ = (uint8_t)p->width;
	if (count) {
		*out++ = (uint8_t)count;
		*out++ = (uint8_t)p->wide;
	}
	for (unsigned i = n; i % 8; i++)
		p->number[i] = 0;
	segment_pack(p->number, n, p->width, out);
	out += packed_bytes(n, p->width);
	if (count == 0)
		return out;
	memcpy(out, position, count);
	out += count;
	for (unsigned i = count; i % 8; i++)
		exception[i] = 0;
	segment_pack(exception, count, p->wide, out);
	return out + packed_bytes(count, p->wide);
}

static void sample_take(struct column_coder *c, const uint64_t *v, unsigned n, size_t bytes)
{
	const unsigned room = DICTIONARY_SAMPLE - c->sampled, take = n < room ? n : room;
	memcpy(c->sample + c->sampled, v, take * sizeof *v);
	c->sampled += take;
	c->sample_bytes += bytes;
}

/* The best of the forms for rows that are not all the same; two plans, one of which is returned. */
static struct plan *plan_choose(struct column_coder *c, struct plan two[2], const uint64_t *v, unsigned n, uint64_t min, uint64_t max)
{
	struct plan *best = &two[0], *other = &two[1], *swap;
#define BETTER() (swap = best, best = other, other = swap)
	const bool now = c->blocks % TRY_EVERY == 0;
	if (!c->dictionary || !c->dictionary_won || now) {
		plan_offsets(best, v, n, min);
		best->cost_bits += 8 * base_bytes(zigzag(min - c->base));
	} else {
		best->cost_bits = UINT32_MAX;
	}
	if (c->dictionary && (c->dictionary_won || now)) {
		plan_dictionary(other, c->dictionary, v, n, bits_of(max));
		c->dictionary_won = other->cost_bits < best->cost_bits;
		if (c->dictionary_won)
			BETTER();
	}
	if (n > 9 && (c->middle_won || now)) {
		const uint64_t middle = base_from_middle(v, n);
		plan_offsets(other, v, n, middle);
		other->cost_bits += 8 * base_bytes(zigzag(middle - c->base));
		c->middle_won = other->cost_bits < best->cost_bits;
		if (c->middle_won)
			BETTER();
	}
#undef BETTER
	return best;
}

size_t column_encode(struct column_coder *c, const uint64_t *v, unsigned n, bool rising, uint8_t *out)
{
	uint64_t min = v[0], max = v[0];
	for (unsigned i = 1; i < n; i++) {
		min = v[i] < min ? v[i] : min;
		max = v[i] > max ? v[i] : max;
	}
	if (!c->started) {
		c->started = true;
		c->base = c->first ? 0 : v[n / 2];
	}
	c->blocks++;
	uint8_t *end = out;
	if (min == max) {
		const uint64_t z = c->first ? 0 : zigzag(min - c->base);
		*end++ = (uint8_t)(SEGMENT_CONSTANT | base_bytes(z) << SEGMENT_HEAD_BASE_SHIFT);
		store64(end, z);
		end += base_bytes(z);
	} else {
		struct plan two[2], *best = &two[0];
		if (rising)
			plan_deltas(best, v, n);
		else
			best = plan_choose(c, two, v, n, min, max);
		const bool no_base = c->first || best->coding == SEGMENT_DICTIONARY;
		end = plan_write(best, v, n, no_base ? 0 : zigzag(best->base - c->base), out);
	}
	if (c->sample)
		sample_take(c, v, n, (size_t)(end - out));
	return (size_t)(end - out);
}

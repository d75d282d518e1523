/*
 * segment_dictionary.c - numbers for the high parts of a column, when there are few of them.
 *
 * An IMEI is one of some thousand type codes and a serial number: 47 bits, but 13 + 20 when the type codes are numbered. Nobody
 * tells the writer where to cut: it looks at the first rows and takes the cut that makes a row shortest.
 */
#include "segment/segment_internal.h"

#include <stdlib.h>

#define SHIFT_STEP 4u
#define SHIFT_LAST 40u
#define CHECKED (DICTIONARY_SAMPLE / 8) /* rows of the sample by which the others are checked */
#define KNOWN (DICTIONARY_SAMPLE - CHECKED)
#define BITS_MIN 4.0 /* of a row: below that it is not worth looking */
#define ONCE_BITS 12u
#define SLOT_BITS_FIRST 10u
#define PROBES 16u /* whoever chooses values so that they collide does not slow the writer down */

struct pair {
	uint64_t v, count;
};

/* NULL: there is no room near where it belongs. */
static struct dictionary_slot *slot_find(const struct dictionary *d, uint64_t high)
{
	const unsigned mask = (1u << d->slot_bits) - 1, from = dictionary_hash(high, d->slot_bits);
	for (unsigned i = 0; i < PROBES; i++) {
		struct dictionary_slot *slot = &d->slot[(from + i) & mask];
		if (slot->number == 0 || slot->high == high)
			return slot;
	}
	return NULL;
}

/* False when memory is out: the dictionary then stays as it is. */
static bool dictionary_grow(struct dictionary *d)
{
	struct dictionary grown = *d;
	if (d->n == d->room) {
		uint64_t *value = realloc(d->value, (size_t)d->room * 2 * sizeof *value);
		if (!value)
			return false;
		d->value = value;
		d->room *= 2;
	}
	if (d->n < 1u << (d->slot_bits - 1))
		return true;
	grown.slot_bits = d->slot_bits + 1;
	grown.slot = calloc((size_t)1 << grown.slot_bits, sizeof *grown.slot);
	if (!grown.slot)
		return false;
	for (uint32_t i = 0; i < d->n; i++) {
		struct dictionary_slot *slot = slot_find(&grown, d->value[i]);
		if (slot)
			*slot = (struct dictionary_slot){d->value[i], i + 1};
	}
	free(d->slot);
	d->slot = grown.slot;
	d->slot_bits = grown.slot_bits;
	return true;
}

static uint32_t dictionary_admit(struct dictionary *d, uint64_t high)
{
	if (d->n == SEGMENT_DICTIONARY_MAX || !dictionary_grow(d))
		return DICTIONARY_NONE;
	struct dictionary_slot *slot = slot_find(d, high);
	if (!slot)
		return DICTIONARY_NONE;
	d->value[d->n] = high;
	*slot = (struct dictionary_slot){high, ++d->n};
	return d->n - 1;
}

uint32_t dictionary_search(struct dictionary *d, uint64_t high)
{
	const struct dictionary_slot *slot = slot_find(d, high);
	if (slot && slot->number)
		return slot->number - 1;
	uint64_t *once = &d->once[dictionary_hash(high, ONCE_BITS)];
	if (*once == high)
		return dictionary_admit(d, high);
	*once = high;
	return DICTIONARY_NONE;
}

void dictionary_free(struct dictionary *d)
{
	if (!d)
		return;
	free(d->value);
	free(d->slot);
	free(d->once);
	free(d);
}

static struct dictionary *dictionary_new(unsigned shift)
{
	struct dictionary *d = calloc(1, sizeof *d);
	if (!d)
		return NULL;
	*d = (struct dictionary){.shift = shift, .slot_bits = SLOT_BITS_FIRST, .room = 1u << (SLOT_BITS_FIRST - 1)};
	d->value = malloc(d->room * sizeof *d->value);
	d->slot = calloc((size_t)1 << SLOT_BITS_FIRST, sizeof *d->slot);
	d->once = calloc((size_t)1 << ONCE_BITS, sizeof *d->once);
	if (d->value && d->slot && d->once)
		return d;
	dictionary_free(d);
	return NULL;
}

/* Ascending by v, or falling by count. pairs has room for n more. */
static enum ceir_err pairs_sort(struct pair *pairs, size_t n, bool by_count)
{
	const unsigned word = by_count;
	return sort_records(pairs, pairs + n, n, sizeof *pairs, &word, 1, 1);
}

/*
 * How many high parts two sorted parts of the sample have, and how many rows of the second part have one that the first part has: when
 * these are few, most high parts have not been seen yet and their number says nothing.
 */
static void shift_count(const struct pair *a, const struct pair *b, unsigned shift, uint32_t *distinct, uint32_t *known)
{
	uint32_t i = 0, j = 0;
	*distinct = *known = 0;
	while (i < KNOWN || j < CHECKED) {
		const uint64_t x = i < KNOWN ? a[i].v >> shift : UINT64_MAX, y = j < CHECKED ? b[j].v >> shift : UINT64_MAX;
		const uint64_t high = x < y ? x : y;
		const uint32_t i_before = i, j_before = j;
		while (i < KNOWN && a[i].v >> shift == high)
			i++;
		while (j < CHECKED && b[j].v >> shift == high)
			j++;
		++*distinct;
		if (i > i_before)
			*known += j - j_before;
	}
}

/* The cut that makes a row shortest; 64: none does. */
static unsigned shift_choose(const struct pair *a, const struct pair *b, double bits)
{
	unsigned best = 64;
	double best_bits = bits - 1;
	for (unsigned shift = 0; shift <= SHIFT_LAST && shift < bits; shift += SHIFT_STEP) {
		uint32_t distinct, known;
		shift_count(a, b, shift, &distinct, &known);
		const double row_bits = shift + bits_of(distinct - 1);
		if (known >= CHECKED - CHECKED / 8 && row_bits < best_bits) {
			best = shift;
			best_bits = row_bits;
		}
	}
	return best;
}

/* Numbers for what the sample has more than once, the most frequent first: they get the short numbers. */
static enum ceir_err dictionary_begin(struct dictionary *d, struct pair *pairs)
{
	enum ceir_err err = pairs_sort(pairs, DICTIONARY_SAMPLE, false);
	size_t n = 0;
	if (err)
		return err;
	for (size_t i = 0; i < DICTIONARY_SAMPLE; i++) {
		const uint64_t high = pairs[i].v >> d->shift;
		if (n == 0 || pairs[n - 1].v != high)
			pairs[n++] = (struct pair){high, UINT64_MAX};
		pairs[n - 1].count--;
	}
	err = pairs_sort(pairs, n, true);
	if (err)
		return err;
	for (size_t i = 0; i < n && pairs[i].count < UINT64_MAX - 1; i++)
		(void)dictionary_admit(d, pairs[i].v);
	return CEIR_OK;
}

enum ceir_err dictionary_choose(const uint64_t *sample, double bits, struct dictionary **out)
{
	const unsigned word = 0;
	unsigned shift;
	enum ceir_err err;

	*out = NULL;
	if (bits < BITS_MIN)
		return CEIR_OK;
	struct pair *const pairs = malloc(2 * DICTIONARY_SAMPLE * sizeof *pairs);
	if (!pairs)
		return CEIR_ENOMEM;
	for (size_t i = 0; i < DICTIONARY_SAMPLE; i++)
		pairs[i] = (struct pair){sample[i], 0};
	struct pair *const checked = pairs + KNOWN, *const scratch = pairs + DICTIONARY_SAMPLE;
	err = sort_records(checked, scratch, CHECKED, sizeof *pairs, &word, 1, 1);
	if (!err)
		err = sort_records(pairs, scratch, KNOWN, sizeof *pairs, &word, 1, 1);
	if (err)
		goto out;
	shift = shift_choose(pairs, checked, bits);
	if (shift == 64)
		goto out;
	err = CEIR_ENOMEM;
	*out = dictionary_new(shift);
	if (*out)
		err = dictionary_begin(*out, pairs);
	if (err) {
		dictionary_free(*out);
		*out = NULL;
	}
out:
	free(pairs);
	return err;
}

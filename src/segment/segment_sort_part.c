/*
 * segment_sort_part.c - sorts a part on one thread: dealt out by the highest digit, then each hand likewise.
 *
 * A part is dealt out from one buffer into the other by a digit of up to 11 bits of (key - lowest key); so after one deal, two when keys
 * cluster, hands fit the cache, and after another one they have a handful of records, which insertion finishes. Only bits in which
 * keys differ are looked at. Each deal makes the range of keys narrower by the factor of its digits, so a word takes at most
 * 64 / 5 of them whatever the keys are: nothing is quadratic, and a million equal keys go on with the next word. Dealing keeps
 * the order of equals, and so does insertion: the sort is stable.
 */
#include "segment/segment_sort.h"

#include <string.h>

#define INSERT_MAX 24u          /* records that insertion sorts */
#define DIGIT_BITS_MIN 5u
#define RECORDS_A_DIGIT_BITS 2u /* digits are as many as records / 4 */
#define CUT_MIN 65536u          /* records from which on the digit is fitted */
#define CUT_SAMPLE 256u
#define CUT_OUTSIDE 4u          /* keys of the sample that may stand outside, at each end */

/* ---- the loops that touch every record, made for each size of it ----------------------------------------------------- */

#define INLINE static inline __attribute__((always_inline))

INLINE uint64_t key_of(const uint8_t *record, unsigned word)
{
	uint64_t v;
	memcpy(&v, record + (size_t)word * 8, sizeof v);
	return v;
}

INLINE size_t digit_of(const struct sort_digit *d, uint64_t key)
{
	const uint64_t above = key > d->low ? key - d->low : 0, digit = above >> d->shift;
	return digit < d->last ? (size_t)digit : d->last;
}

INLINE void bounds(const uint8_t *r, size_t n, size_t size, unsigned word, uint64_t *min, uint64_t *max)
{
	uint64_t low = key_of(r, word), high = low;
	for (size_t i = 1; i < n; i++) {
		const uint64_t v = key_of(r + i * size, word);
		low = v < low ? v : low;
		high = v > high ? v : high;
	}
	*min = low;
	*max = high;
}

INLINE void count_digits(const uint8_t *r, size_t n, size_t size, const struct sort_digit *digit, size_t *count)
{
	const struct sort_digit d = *digit;
	for (size_t i = 0; i < n; i++)
		count[digit_of(&d, key_of(r + i * size, d.word))]++;
}

INLINE void scatter(const uint8_t *from, uint8_t *to, size_t n, size_t size, const struct sort_digit *digit, size_t *place)
{
	const struct sort_digit d = *digit;
	for (size_t i = 0; i < n; i++, from += size)
		memcpy(to + size * place[digit_of(&d, key_of(from, d.word))]++, from, size);
}

INLINE bool is_less(const uint8_t *a, const uint8_t *b, const unsigned *words, unsigned n_words)
{
	for (unsigned k = 0; k < n_words; k++) {
		const uint64_t x = key_of(a, words[k]), y = key_of(b, words[k]);
		if (x != y)
			return x < y;
	}
	return false;
}

/* from may be to. */
INLINE void insertion(const uint8_t *from, uint8_t *to, size_t n, size_t size, const unsigned *words, unsigned n_words)
{
	uint8_t record[64];
	for (size_t i = 0; i < n; i++) {
		size_t at = i;
		memcpy(record, from + i * size, size);
		for (; at > 0 && is_less(record, to + (at - 1) * size, words, n_words); at--)
			memcpy(to + at * size, to + (at - 1) * size, size);
		memcpy(to + at * size, record, size);
	}
}

#define EACH_SIZE(size, call)                                                                                                       \
	switch (size) {                                                                                                             \
	case 16:                                                                                                                    \
		call(16);                                                                                                           \
		break;                                                                                                              \
	case 24:                                                                                                                    \
		call(24);                                                                                                           \
		break;                                                                                                              \
	case 32:                                                                                                                    \
		call(32);                                                                                                           \
		break;                                                                                                              \
	case 40:                                                                                                                    \
		call(40);                                                                                                           \
		break;                                                                                                              \
	default:                                                                                                                    \
		call(size);                                                                                                         \
	}

void sort_bounds(const uint8_t *records, size_t n, size_t size, unsigned word, uint64_t *min, uint64_t *max)
{
#define CALL(s) bounds(records, n, s, word, min, max)
	EACH_SIZE(size, CALL)
#undef CALL
}

void sort_count(const uint8_t *records, size_t n, size_t size, const struct sort_digit *d, size_t *count)
{
#define CALL(s) count_digits(records, n, s, d, count)
	EACH_SIZE(size, CALL)
#undef CALL
}

void sort_scatter(const uint8_t *from, uint8_t *to, size_t n, size_t size, const struct sort_digit *d, size_t *place)
{
#define CALL(s) scatter(from, to, n, s, d, place)
	EACH_SIZE(size, CALL)
#undef CALL
}

static void insert(const struct sort_job *job, const struct sort_part *p)
{
	uint8_t *const to = p->stay ? p->at : p->other;
	const unsigned *const words = job->words + p->k;
	const unsigned n_words = job->n_words - p->k;
#define CALL(s) insertion(p->at, to, p->n, s, words, n_words)
	EACH_SIZE(job->size, CALL)
#undef CALL
}

/* ---- digits ---------------------------------------------------------------------------------------------------------- */

static unsigned bit_length(uint64_t v)
{
	return v ? 64u - (unsigned)__builtin_clzll(v) : 0;
}

static void sort_keys(uint64_t *v, unsigned n)
{
	for (unsigned i = 1; i < n; i++) {
		const uint64_t x = v[i];
		unsigned at = i;
		for (; at > 0 && v[at - 1] > x; at--)
			v[at] = v[at - 1];
		v[at] = x;
	}
}

/* Makes min..max what nearly all keys of a sample lie in. */
static void cut(const struct sort_job *job, const struct sort_part *p, uint64_t *min, uint64_t *max)
{
	uint64_t sample[CUT_SAMPLE];
	for (unsigned i = 0; i < CUT_SAMPLE; i++)
		sample[i] = key_of(p->at + p->n / CUT_SAMPLE * i * job->size, job->words[p->k]);
	sort_keys(sample, CUT_SAMPLE);
	const uint64_t low = sample[CUT_OUTSIDE], high = sample[CUT_SAMPLE - 1 - CUT_OUTSIDE], margin = (high - low) / 8;
	*min = low - *min > margin ? low - margin : *min;
	*max = *max - high > margin ? high + margin : *max;
}

struct sort_digit sort_digit_of(const struct sort_job *job, struct sort_part *p, uint64_t min, uint64_t max)
{
	unsigned bits = bit_length(p->n) - 1;
	bits = bits > RECORDS_A_DIGIT_BITS + DIGIT_BITS_MIN ? bits - RECORDS_A_DIGIT_BITS : DIGIT_BITS_MIN;
	bits = bits < SORT_DIGIT_BITS ? bits : SORT_DIGIT_BITS;
	if (!p->cut && p->n >= CUT_MIN) {
		uint64_t low = min, high = max;
		cut(job, p, &low, &high);
		if (low < high && high - low < (max - min) / 4) {
			min = low;
			max = high;
			p->cut = true;
		}
	}
	const unsigned range = bit_length(max - min);
	const unsigned shift = range > bits ? range - bits : 0;
	return (struct sort_digit){.word = job->words[p->k], .low = min, .shift = shift, .last = (1u << bits) - 1};
}

/* ---- a part ---------------------------------------------------------------------------------------------------------- */

size_t sort_workspace(const struct sort_job *job)
{
	/* A word is at most 64 bits of digits, 11 at a time, the last one perhaps for less; and once more when the digit was fitted. */
	return (size_t)job->n_words * (64 / SORT_DIGIT_BITS + 3) * SORT_DIGITS;
}

/* Recursion ends: each call looks at fewer bits of the words that are left. */
void sort_sequential(const struct sort_job *job, struct sort_part p, size_t *count)
{
	uint64_t min = 0, max = 0;

	if (p.n <= INSERT_MAX) {
		insert(job, &p);
		return;
	}
	for (; p.k < job->n_words; p.k++, p.cut = false) {
		sort_bounds(p.at, p.n, job->size, job->words[p.k], &min, &max);
		if (min != max)
			break;
	}
	if (p.k == job->n_words) {
		if (!p.stay)
			memcpy(p.other, p.at, p.n * job->size);
		return;
	}
	const struct sort_digit d = sort_digit_of(job, &p, min, max);
	memset(count, 0, (d.last + 1) * sizeof *count);
	sort_count(p.at, p.n, job->size, &d, count);
	size_t place = 0;
	for (unsigned i = 0; i <= d.last; i++) {
		const size_t n = count[i];
		count[i] = place;
		place += n;
	}
	sort_scatter(p.at, p.other, p.n, job->size, &d, count);
	/* count[i] is now where hand i ends. */
	size_t from = 0;
	for (unsigned i = 0; i <= d.last; i++) {
		const size_t n = count[i] - from;
		const struct sort_part hand = {p.other + from * job->size, p.at + from * job->size, n, p.k, p.cut, !p.stay};
		if (n > 0)
			sort_sequential(job, hand, count + d.last + 1);
		from = count[i];
	}
}

/*
 * triplets_memory.c - sorted runs of sightings in memory. A batch becomes a small run; runs of like size are joined, so that there
 * are few, and a row is moved a handful of times before its generation is written as segments. Readers need no lock: a run never
 * changes.
 */
#include "triplets/triplets_internal.h"

#include <stdlib.h>

#define FILTER_BITS_PER_ROW 16

static uint64_t hash(uint64_t imei)
{
	imei ^= imei >> 31;
	imei *= UINT64_C(0x9e3779b97f4a7c15);
	return imei ^ imei >> 29;
}

/* Three bits of one word, so that a look costs one line of cache: of a run whose filter is as full as can be, one look in a hundred errs. */
static uint64_t filter_bits(uint64_t h)
{
	return UINT64_C(1) << (h & 63) | UINT64_C(1) << (h >> 6 & 63) | UINT64_C(1) << (h >> 12 & 63);
}

bool memory_may_have(const struct memory *m, uint64_t imei)
{
	const uint64_t h = hash(imei), bits = filter_bits(h);

	return (m->filter[h >> m->filter_shift] & bits) == bits;
}

void memory_may_have_rows(const struct memory *m, const struct row *rows, size_t n, bool *maybe)
{
	/* No branch: the processor has many of these reads under way. */
	for (size_t i = 0; i < n; i++)
		maybe[i] |= memory_may_have(m, rows[i].key[0]);
}

static bool make_filter(struct memory *m)
{
	unsigned bits = 1; /* of the number of words */

	while (bits < 34 && UINT64_C(64) << bits < (uint64_t)m->n * FILTER_BITS_PER_ROW)
		bits++;
	m->filter_shift = 64 - bits;
	m->filter = calloc((size_t)1 << bits, sizeof(*m->filter));
	if (!m->filter)
		return false;
	m->bytes += ((size_t)1 << bits) * sizeof(*m->filter);
	for (size_t i = 0; i < m->n; i++) {
		const uint64_t h = hash(m->rows[i].key[0]);
		m->filter[h >> m->filter_shift] |= filter_bits(h);
	}
	return true;
}

void memory_unref(struct memory *m)
{
	if (!m || atomic_fetch_sub_explicit(&m->refs, 1, memory_order_acq_rel) != 1)
		return;
	free(m->rows);
	free(m->pairs[0]);
	free(m->pairs[1]);
	free(m->extra);
	free(m->filter);
	free(m);
}

static struct memory *memory_alloc(size_t rows, size_t pairs_a, size_t pairs_b, size_t extra)
{
	struct memory *m = calloc(1, sizeof(*m));

	if (!m)
		return NULL;
	atomic_init(&m->refs, 1);
	m->rows = malloc((rows ? rows : 1) * sizeof(*m->rows));
	m->pairs[0] = malloc((pairs_a ? pairs_a : 1) * sizeof(*m->pairs[0]));
	m->pairs[1] = malloc((pairs_b ? pairs_b : 1) * sizeof(*m->pairs[1]));
	m->extra = malloc(extra ? extra : 1);
	m->bytes = sizeof(*m) + rows * sizeof(*m->rows) + (pairs_a + pairs_b) * sizeof(*m->pairs[0]) + extra;
	if (m->rows && m->pairs[0] && m->pairs[1] && m->extra)
		return m;
	memory_unref(m);
	return NULL;
}

/* Room was made for it. */
static void memory_put(struct memory *m, const struct row *row)
{
	struct row *to = &m->rows[m->n++];

	*to = *row;
	to->tag = 0;
	if (row->extra.n == 0)
		return;
	memcpy(m->extra + m->extra_bytes, row->extra.p, row->extra.n);
	to->extra.p = m->extra + m->extra_bytes;
	m->extra_bytes += row->extra.n;
}

static int pair_cmp(const void *a, const void *b)
{
	const uint64_t *x = a, *y = b;

	if (x[0] != y[0])
		return x[0] < y[0] ? -1 : 1;
	return x[1] < y[1] ? -1 : x[1] > y[1];
}

static void pairs_sort(uint64_t (*v)[2], size_t *n)
{
	static const unsigned words[] = {0, 1};
	size_t distinct = 0;
	void *scratch = *n > 256 ? malloc(*n * sizeof(*v)) : NULL;

	if (!scratch || sort_records(v, scratch, *n, sizeof(*v), words, 2, 1) != CEIR_OK)
		qsort(v, *n, sizeof(*v), pair_cmp);
	free(scratch);
	for (size_t i = 0; i < *n; i++) {
		if (distinct && pair_cmp(v[distinct - 1], v[i]) == 0)
			continue;
		v[distinct][0] = v[i][0];
		v[distinct++][1] = v[i][1];
	}
	*n = distinct;
}

struct memory *memory_new(const struct row *rows, const bool *fresh, size_t n, unsigned generation)
{
	size_t extra = 0, pairs = 0;

	for (size_t i = 0; i < n; i++) {
		extra += rows[i].extra.n;
		pairs += !fresh || fresh[i];
	}
	struct memory *m = memory_alloc(n, pairs, pairs, extra);
	if (!m)
		return NULL;
	m->generation = generation;
	for (size_t i = 0; i < n; i++) {
		const uint64_t *key = rows[i].key;
		memory_put(m, &rows[i]);
		if (fresh && !fresh[i])
			continue;
		m->pairs[0][m->n_pairs[0]][0] = key[1];
		m->pairs[0][m->n_pairs[0]++][1] = key[0];
		if (key[2] == 0)
			continue;
		m->pairs[1][m->n_pairs[1]][0] = key[2];
		m->pairs[1][m->n_pairs[1]++][1] = key[1];
	}
	pairs_sort(m->pairs[0], &m->n_pairs[0]);
	pairs_sort(m->pairs[1], &m->n_pairs[1]);
	if (make_filter(m))
		return m;
	memory_unref(m);
	return NULL;
}

static void join_pairs(struct memory *m, const struct memory *a, const struct memory *b, unsigned which)
{
	size_t i = 0, k = 0, n = 0;
	uint64_t (*out)[2] = m->pairs[which];

	while (i < a->n_pairs[which] || k < b->n_pairs[which]) {
		int order = i == a->n_pairs[which] ? 1 : k == b->n_pairs[which] ? -1 : pair_cmp(a->pairs[which][i], b->pairs[which][k]);
		const uint64_t *from = order <= 0 ? a->pairs[which][i] : b->pairs[which][k];
		out[n][0] = from[0];
		out[n++][1] = from[1];
		i += order <= 0;
		k += order >= 0;
	}
	m->n_pairs[which] = n;
}

/* Extra bytes of two joined rows are never more than both: at most a length byte and five more for an episode, checked here. */
static bool extra_fits(const struct memory *m, const struct row *row, size_t room)
{
	return row->extra.n <= room - m->extra_bytes;
}

struct memory *memory_join(const struct memory *a, const struct memory *b, struct combiner *c)
{
	size_t i = 0, k = 0;
	/* A joined row may need an episode of its own that neither had: 11 bytes. */
	size_t room = a->extra_bytes + b->extra_bytes + 12 * (a->n < b->n ? a->n : b->n);
	struct memory *m = memory_alloc(a->n + b->n, a->n_pairs[0] + b->n_pairs[0], a->n_pairs[1] + b->n_pairs[1], room);

	if (!m)
		return NULL;
	m->generation = a->generation;
	while (i < a->n || k < b->n) {
		int order = i == a->n ? 1 : k == b->n ? -1 : row_cmp(&a->rows[i], &b->rows[k]);
		struct row joined;
		if (order != 0) {
			memory_put(m, order < 0 ? &a->rows[i] : &b->rows[k]);
		} else {
			struct row both[2] = {a->rows[i], b->rows[k]};
			if (combine_rows(c, both, 2, &joined) || !extra_fits(m, &joined, room))
				goto fail;
			memory_put(m, &joined);
		}
		i += order <= 0;
		k += order >= 0;
	}
	join_pairs(m, a, b, 0);
	join_pairs(m, a, b, 1);
	if (make_filter(m))
		return m;
fail:
	memory_unref(m);
	return NULL;
}

static bool is_below(const uint64_t *row, const uint64_t *key, unsigned n_key)
{
	for (unsigned i = 0; i < n_key; i++)
		if (row[i] != key[i])
			return row[i] < key[i];
	return false;
}

size_t memory_seek(const struct memory *m, const uint64_t *key, unsigned n_key)
{
	size_t from = 0, n = m->n;

	while (n > 0) {
		size_t half = n / 2;
		if (is_below(m->rows[from + half].key, key, n_key)) {
			from += half + 1;
			n -= half + 1;
		} else {
			n = half;
		}
	}
	return from;
}

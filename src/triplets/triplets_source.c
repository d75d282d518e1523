/* triplets_source.c - sources of rows in order, and the tournament that merges them. */
#include "triplets/triplets_internal.h"

#include <stdlib.h>

static void source_end(struct source *s)
{
	for (unsigned i = 0; i < TRIPLETS_KEYS; i++)
		s->key[i] = UINT64_MAX;
}

void source_set_key(struct source *s)
{
	const uint64_t *from = NULL;

	if (s->kind == SOURCE_SEGMENT) {
		for (unsigned i = 0; i < s->keys; i++)
			s->key[i] = s->cursor->col[i][s->at];
	} else if (s->kind == SOURCE_ROWS) {
		from = s->row == s->row_end ? NULL : s->row->key;
	} else {
		from = s->pair == s->pair_end ? NULL : *s->pair;
	}
	if (s->kind != SOURCE_SEGMENT && !from) {
		source_end(s);
		return;
	}
	for (unsigned i = 0; from && i < s->keys; i++)
		s->key[i] = from[i];
	if (s->key[0] > s->to)
		source_end(s);
}

enum ceir_err source_next_block(struct source *s)
{
	enum ceir_err err = segment_next(s->cursor);

	s->at = 0;
	s->n = s->cursor->n;
	if (err || s->n == 0)
		source_end(s);
	else
		source_set_key(s);
	return err;
}

static void source_init(struct source *s, enum source_kind kind, unsigned keys, uint64_t to)
{
	memset(s, 0, sizeof(*s));
	s->kind = kind;
	s->rank = kind == SOURCE_SEGMENT ? RANK_STORED : RANK_MEMORY;
	s->keys = keys;
	s->to = to;
}

enum ceir_err source_segment(struct source *s, const struct part *p, struct segment_cursor *c, const uint64_t *from, unsigned n_from,
	uint64_t to)
{
	source_init(s, SOURCE_SEGMENT, tree_keys(p->tree), to);
	s->cursor = c;
	enum ceir_err err = segment_seek(c, p->segment, from, n_from);
	s->at = c->at;
	s->n = c->n;
	if (err || s->n == 0)
		source_end(s);
	else
		source_set_key(s);
	return err;
}

enum ceir_err source_segment_find(struct source *s, const struct part *p, struct segment_cursor *c, const uint64_t *from, unsigned n_from)
{
	source_init(s, SOURCE_SEGMENT, tree_keys(p->tree), from[0]);
	s->cursor = c;
	enum ceir_err err = segment_find(c, p->segment, from, n_from);
	s->at = c->at;
	s->n = c->n;
	if (err || s->at == s->n)
		source_end(s);
	else
		source_set_key(s);
	return err;
}

void source_rows(struct source *s, const struct memory *m, const uint64_t *from, unsigned n_from, uint64_t to)
{
	source_init(s, SOURCE_ROWS, TRIPLETS_KEYS, to);
	s->row = m->rows + memory_seek(m, from, n_from);
	s->row_end = m->rows + m->n;
	source_set_key(s);
}

void source_pairs(struct source *s, const struct memory *m, unsigned which, const uint64_t *from, unsigned n_from, uint64_t to)
{
	size_t at = 0, n = m->n_pairs[which];

	source_init(s, SOURCE_PAIRS, 2, to);
	while (n > 0) {
		const uint64_t *pair = m->pairs[which][at + n / 2];
		if (pair[0] < from[0] || (n_from > 1 && pair[0] == from[0] && pair[1] < from[1])) {
			at += n / 2 + 1;
			n -= n / 2 + 1;
		} else {
			n /= 2;
		}
	}
	s->pair = (const uint64_t (*)[2])(m->pairs[which] + at);
	s->pair_end = (const uint64_t (*)[2])(m->pairs[which] + m->n_pairs[which]);
	source_set_key(s);
}

void source_get(const struct source *s, struct row *row)
{
	if (s->kind == SOURCE_ROWS) {
		*row = *s->row;
		return;
	}
	const struct segment_cursor *c = s->cursor;
	for (unsigned i = 0; i < TRIPLETS_KEYS; i++)
		row->key[i] = s->key[i];
	row->first_s = (uint32_t)c->col[COL_FIRST][s->at];
	row->episode_s = row->first_s + (uint32_t)c->col[COL_OFFSET][s->at];
	row->last_s = row->episode_s + (uint32_t)c->col[COL_LENGTH][s->at];
	row->mark = (uint16_t)c->col[COL_MARK][s->at];
	row->tag = 0;
	row->extra = c->has_extra ? c->extra[s->at] : (struct str){NULL, 0};
}

/* ---- tournament -------------------------------------------------------------------------------------------------- */

enum ceir_err merge_init(struct merge *m, unsigned cap)
{
	*m = (struct merge){.cap = cap};
	if (cap == 0)
		cap = 1;
	m->sources = calloc(cap, sizeof(*m->sources));
	m->node = calloc(2 * (size_t)cap, sizeof(*m->node));
	m->group = calloc(cap, sizeof(*m->group));
	m->rank = calloc(cap, 1);
	if (m->sources && m->node && m->group && m->rank)
		return CEIR_OK;
	merge_free(m);
	return CEIR_ENOMEM;
}

void merge_free(struct merge *m)
{
	free(m->sources);
	free(m->node);
	free(m->group);
	free(m->rank);
	*m = (struct merge){0};
}

static bool is_less(const struct merge *m, unsigned a, unsigned b)
{
	const uint64_t *x = m->sources[a].key, *y = m->sources[b].key;

	for (unsigned i = 0; i < TRIPLETS_KEYS; i++)
		if (x[i] != y[i])
			return x[i] < y[i];
	return false;
}

/* node[1..n-1] hold the losers of each match, node[0] the winner; the leaf of source i is n + i. */
void merge_start(struct merge *m)
{
	unsigned *winner = m->node + m->cap; /* of the match at each node, while building */

	m->node[0] = 0;
	for (unsigned at = m->n; at-- > 1;) {
		unsigned a = 2 * at >= m->n ? 2 * at - m->n : winner[2 * at];
		unsigned b = 2 * at + 1 >= m->n ? 2 * at + 1 - m->n : winner[2 * at + 1];
		bool less = is_less(m, b, a);
		winner[at] = less ? b : a;
		m->node[at] = less ? a : b;
		if (at == 1)
			m->node[0] = winner[at];
	}
}

void merge_replay(struct merge *m)
{
	unsigned s = m->node[0];

	for (unsigned at = (m->n + s) / 2; at >= 1; at /= 2)
		if (is_less(m, m->node[at], s)) {
			unsigned loser = s;
			s = m->node[at];
			m->node[at] = loser;
		}
	m->node[0] = s;
}

static bool same_key(const uint64_t *a, const uint64_t *b)
{
	return a[0] == b[0] && a[1] == b[1] && a[2] == b[2] && a[3] == b[3];
}

enum ceir_err merge_take(struct merge *m)
{
	uint64_t key[TRIPLETS_KEYS];

	memcpy(key, merge_top(m)->key, sizeof(key));
	m->n_group = 0;
	do {
		struct source *s = merge_top(m);
		source_get(s, &m->group[m->n_group]);
		m->rank[m->n_group++] = (unsigned char)s->rank;
		enum ceir_err err = source_advance(s);
		if (err)
			return err;
		merge_replay(m);
	} while (same_key(merge_top(m)->key, key));
	return CEIR_OK;
}

enum ceir_err merge_take_pair(struct merge *m, uint64_t pair[2])
{
	pair[0] = merge_top(m)->key[0];
	pair[1] = merge_top(m)->key[1];
	do {
		enum ceir_err err = source_advance(merge_top(m));
		if (err)
			return err;
		merge_replay(m);
	} while (merge_top(m)->key[0] == pair[0] && merge_top(m)->key[1] == pair[1]);
	return CEIR_OK;
}

/* The winner beat the second best: that is among the losers on its way. */
uint64_t merge_runner_up(const struct merge *m)
{
	uint64_t key = UINT64_MAX;

	for (unsigned at = (m->n + m->node[0]) / 2; at >= 1; at /= 2)
		if (m->sources[m->node[at]].key[0] < key)
			key = m->sources[m->node[at]].key[0];
	return key;
}

unsigned source_rows_below(const struct source *s, uint64_t end)
{
	const uint64_t *first = s->cursor->col[0];
	unsigned from = s->at, n = s->n - s->at;

	if (first[s->n - 1] < end)
		return n;
	while (n > 0) {
		unsigned half = n / 2;
		if (first[from + half] < end) {
			from += half + 1;
			n -= half + 1;
		} else {
			n = half;
		}
	}
	return from - s->at;
}

/*
 * triplets_lookup.c - views, and looking up by IMEI, IMSI and MSISDN. Only segments whose range has the key are asked, and of
 * those and of runs in memory only where no filter rules it out; what several of them know of one triplet is joined.
 */
#include "triplets/triplets_internal.h"

#include <stdlib.h>

/* With a limit, no more pairs are gathered for an MSISDN: one that a million IMSIs share must not cost a million. */
#define FOUND_MAX 65536

struct triplets_view *triplets_view_new(struct triplets *t)
{
	struct triplets_view *v = malloc(sizeof(*v));

	if (!v)
		return NULL;
	v->t = t;
	v->version = triplets_version(t);
	for (unsigned tree = 0; tree < TREES; tree++)
		v->cursors[tree] = NULL;
	v->rows = v->pairs = v->outer = (struct merge){0};
	combiner_init(&v->combiner, t->gap_s, 0);
	v->found = NULL;
	v->n_found = v->cap_found = 0;
	return v;
}

void triplets_view_free(struct triplets_view *v)
{
	if (!v)
		return;
	for (unsigned tree = 0; tree < TREES; tree++) {
		for (size_t i = 0; v->cursors[tree] && i < v->version->trees[tree].n; i++)
			free(v->cursors[tree][i]);
		free(v->cursors[tree]);
	}
	merge_free(&v->rows);
	merge_free(&v->pairs);
	merge_free(&v->outer);
	combiner_free(&v->combiner);
	free(v->found);
	version_unref(v->version);
	free(v);
}

enum ceir_err view_cursor(struct triplets_view *v, unsigned tree, size_t i, struct segment_cursor **c)
{
	if (!v->cursors[tree]) {
		v->cursors[tree] = calloc(v->version->trees[tree].n, sizeof(*v->cursors[tree]));
		if (!v->cursors[tree])
			return CEIR_ENOMEM;
	}
	if (!v->cursors[tree][i]) {
		struct segment_cursor *fresh = malloc(sizeof(*fresh)); /* 12 KiB that need no zeros */
		if (!fresh)
			return CEIR_ENOMEM;
		fresh->segment = NULL;
		fresh->block = 0;
		fresh->n = fresh->at = 0;
		fresh->has_extra = false;
		v->cursors[tree][i] = fresh;
	}
	*c = v->cursors[tree][i];
	return CEIR_OK;
}

/* Whether the segment may have rows that begin with the key. */
static bool covers(const struct part *p, uint64_t key)
{
	return p->info.rows && key >= p->info.first[0] && key <= p->info.last[0] && segment_may_have(p->segment, key);
}

/* The first segment that has the key in its range is asked at once; the blocks of the others come into the cache meanwhile. */
static void hint_all(const struct parts *parts, uint64_t key)
{
	bool others = false;

	for (size_t i = 0; i < parts->n; i++) {
		if (!covers(parts->v[i], key))
			continue;
		if (others)
			segment_hint(parts->v[i]->segment, key);
		others = true;
	}
}

/* All sources of a tree that may have rows whose first key is from[0], from from[] on. */
static enum ceir_err open_sources(struct triplets_view *v, struct merge *m, unsigned tree, const uint64_t *from, unsigned n_from)
{
	const struct parts *parts = &v->version->trees[tree];
	enum ceir_err err = m->sources ? CEIR_OK : merge_init(m, (unsigned)(parts->n + v->version->n_runs));

	m->n = 0;
	hint_all(parts, from[0]);
	for (size_t i = 0; i < parts->n && !err; i++) {
		struct segment_cursor *c;
		if (!covers(parts->v[i], from[0]))
			continue;
		err = view_cursor(v, tree, i, &c);
		if (!err)
			err = source_segment_find(&m->sources[m->n], parts->v[i], c, from, n_from);
		m->n += !err && !source_ended(&m->sources[m->n]);
	}
	for (size_t i = 0; i < v->version->n_runs && !err; i++) {
		const struct memory *run = v->version->runs[i];
		if (tree == TREE_TRIPLETS && !memory_may_have(run, from[0]))
			continue;
		if (tree == TREE_TRIPLETS)
			source_rows(&m->sources[m->n], run, from, n_from, from[0]);
		else
			source_pairs(&m->sources[m->n], run, tree - 1, from, n_from, from[0]);
		m->n += !source_ended(&m->sources[m->n]);
	}
	if (!err && m->n)
		merge_start(m);
	return err;
}

/* What a look-up still has to give, and to whom. */
struct giving {
	uint32_t limit, given; /* limit 0: no limit */
	triplets_row row;
	void *ctx;
};

static bool is_enough(const struct giving *g)
{
	return g->limit && g->given >= g->limit;
}

static enum ceir_err give(struct triplets_view *v, struct giving *g)
{
	struct row row;
	struct triplet t;
	enum ceir_err err = combine_rows(&v->combiner, v->rows.group, v->rows.n_group, &row);

	if (err)
		return err;
	(void)row_triplet(&row, v->episodes, &t);
	g->given++;
	return g->row(g->ctx, &t);
}

/* Rows whose first n_prefix keys are those of prefix. */
static enum ceir_err give_prefix(struct triplets_view *v, const uint64_t *prefix, unsigned n_prefix, struct giving *g)
{
	enum ceir_err err = open_sources(v, &v->rows, TREE_TRIPLETS, prefix, n_prefix);

	while (!err && !merge_ended(&v->rows) && !is_enough(g)) {
		const uint64_t *key = merge_top(&v->rows)->key;
		for (unsigned i = 1; i < n_prefix; i++)
			if (key[i] != prefix[i])
				return CEIR_OK;
		err = merge_take(&v->rows);
		if (!err)
			err = give(v, g);
	}
	return err;
}

enum ceir_err triplets_by_imei(struct triplets_view *v, uint64_t imei, const struct triplet *after, uint32_t limit, triplets_row row,
	void *ctx)
{
	struct giving g = {.limit = limit, .row = row, .ctx = ctx};

	if (!after)
		return give_prefix(v, &imei, 1, &g);
	const uint64_t from[TRIPLETS_KEYS] = {imei, after->imsi, after->msisdn, after->op};
	enum ceir_err err = open_sources(v, &v->rows, TREE_TRIPLETS, from, TRIPLETS_KEYS);
	while (!err && !merge_ended(&v->rows) && !is_enough(&g)) {
		err = merge_take(&v->rows);
		if (!err && memcmp(v->rows.group[0].key, from, sizeof(from)) != 0)
			err = give(v, &g);
	}
	return err;
}

enum ceir_err triplets_by_imsi(struct triplets_view *v, uint64_t imsi, uint32_t limit, triplets_row row, void *ctx)
{
	struct giving g = {.limit = limit, .row = row, .ctx = ctx};
	enum ceir_err err = open_sources(v, &v->pairs, TREE_IMSI, &imsi, 1);

	while (!err && !merge_ended(&v->pairs) && !is_enough(&g)) {
		uint64_t pair[2];
		err = merge_take_pair(&v->pairs, pair);
		if (!err)
			err = give_prefix(v, (uint64_t[]){pair[1], imsi}, 2, &g);
	}
	return err;
}

/* ---- by MSISDN --------------------------------------------------------------------------------------------------- */

static enum ceir_err found_add(struct triplets_view *v, uint64_t imei, uint64_t imsi)
{
	if (v->n_found == v->cap_found) {
		size_t cap = v->cap_found ? v->cap_found * 2 : 16;
		void *more = realloc(v->found, cap * sizeof(*v->found));
		if (!more)
			return CEIR_ENOMEM;
		v->found = more;
		v->cap_found = cap;
	}
	v->found[v->n_found][0] = imei;
	v->found[v->n_found++][1] = imsi;
	return CEIR_OK;
}

static int found_cmp(const void *a, const void *b)
{
	const uint64_t *x = a, *y = b;

	if (x[0] != y[0])
		return x[0] < y[0] ? -1 : 1;
	return x[1] < y[1] ? -1 : x[1] > y[1];
}

/* All (IMEI, IMSI) where the MSISDN may be. */
static enum ceir_err find_pairs(struct triplets_view *v, uint64_t msisdn, size_t max)
{
	enum ceir_err err = open_sources(v, &v->outer, TREE_MSISDN, &msisdn, 1);

	v->n_found = 0;
	while (!err && !merge_ended(&v->outer) && v->n_found < max) {
		uint64_t outer[2], pair[2];
		err = merge_take_pair(&v->outer, outer);
		if (!err)
			err = open_sources(v, &v->pairs, TREE_IMSI, &outer[1], 1);
		while (!err && !merge_ended(&v->pairs) && v->n_found < max) {
			err = merge_take_pair(&v->pairs, pair);
			if (!err)
				err = found_add(v, pair[1], pair[0]);
		}
	}
	if (!err && v->n_found > 1)
		qsort(v->found, v->n_found, sizeof(*v->found), found_cmp);
	return err;
}

enum ceir_err triplets_by_msisdn(struct triplets_view *v, uint64_t msisdn, uint32_t limit, triplets_row row, void *ctx)
{
	struct giving g = {.limit = limit, .row = row, .ctx = ctx};

	if (msisdn == 0)
		return CEIR_OK; /* "none" is not looked up */
	size_t max = limit == 0 ? SIZE_MAX : limit > FOUND_MAX ? limit : FOUND_MAX;
	enum ceir_err err = find_pairs(v, msisdn, max);
	for (size_t i = 0; i < v->n_found && !err && !is_enough(&g); i++)
		err = give_prefix(v, (uint64_t[]){v->found[i][0], v->found[i][1], msisdn}, 3, &g);
	return err;
}

/* ---- one triplet ------------------------------------------------------------------------------------------------- */

void view_hint(const struct triplets_view *v, uint64_t imei, bool index)
{
	const struct parts *parts = &v->version->trees[TREE_TRIPLETS];

	for (size_t i = 0; i < parts->n; i++) {
		if (!covers(parts->v[i], imei))
			continue;
		if (index)
			segment_hint_index(parts->v[i]->segment, imei);
		else
			segment_hint(parts->v[i]->segment, imei);
	}
}

/* The triplet in the runs in memory, to the group of v->rows; whether any has it. */
static bool probe_memory(struct triplets_view *v, const uint64_t key[TRIPLETS_KEYS])
{
	struct merge *m = &v->rows;
	const unsigned before = m->n_group;

	for (size_t i = 0; i < v->version->n_runs; i++) {
		const struct memory *run = v->version->runs[i];
		if (!memory_may_have(run, key[0]))
			continue;
		size_t at = memory_seek(run, key, TRIPLETS_KEYS);
		if (at < run->n && memcmp(run->rows[at].key, key, sizeof(run->rows[at].key)) == 0)
			m->group[m->n_group++] = run->rows[at];
	}
	return m->n_group > before;
}

enum ceir_err view_probe(struct triplets_view *v, const uint64_t key[TRIPLETS_KEYS], bool *stored, bool *memory, struct row *out)
{
	const struct parts *parts = &v->version->trees[TREE_TRIPLETS];
	struct merge *m = &v->rows;
	enum ceir_err err = m->sources ? CEIR_OK : merge_init(m, (unsigned)(parts->n + v->version->n_runs));
	struct source s;

	*stored = false;
	m->n_group = 0;
	for (size_t i = 0; i < parts->n && !err; i++) {
		struct segment_cursor *c;
		if (!covers(parts->v[i], key[0]))
			continue;
		err = view_cursor(v, TREE_TRIPLETS, i, &c);
		if (!err)
			err = source_segment_find(&s, parts->v[i], c, key, TRIPLETS_KEYS);
		if (!err && memcmp(s.key, key, sizeof(s.key)) == 0) {
			source_get(&s, &m->group[m->n_group++]);
			*stored = true;
		}
	}
	*memory = *memory && !err && probe_memory(v, key);
	if (!err && m->n_group)
		err = combine_rows(&v->combiner, m->group, m->n_group, out);
	return err;
}

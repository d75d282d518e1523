/* triplets_pairs.c - all pairs of a tree in order; whole pieces of a block at once where only one segment has something to say. */
#include "triplets/triplets_internal.h"

#include <stdlib.h>

#define PAIRS 512

struct pairs_scan {
	struct merge merge;
	struct segment_cursor *cursors;
	triplets_pairs give;
	void *ctx;
	size_t n;
	uint64_t first[PAIRS], second[PAIRS]; /* where sources meet */
};

static enum ceir_err pairs_flush(struct pairs_scan *s)
{
	enum ceir_err err = s->n ? s->give(s->ctx, s->first, s->second, s->n) : CEIR_OK;

	s->n = 0;
	return err;
}

/* n pairs of the winner's block, as they stand there. */
static enum ceir_err pairs_piece(struct pairs_scan *s, struct source *from, unsigned n)
{
	enum ceir_err err = pairs_flush(s);

	if (!err)
		err = s->give(s->ctx, from->cursor->col[0] + from->at, from->cursor->col[1] + from->at, n);
	from->at += n;
	if (err)
		return err;
	if (from->at == from->n)
		return source_next_block(from);
	source_set_key(from);
	return CEIR_OK;
}

static enum ceir_err pairs_all(struct pairs_scan *s)
{
	struct merge *m = &s->merge;
	enum ceir_err err = CEIR_OK;

	while (!merge_ended(m) && !err) {
		struct source *top = merge_top(m);
		uint64_t end = merge_runner_up(m), pair[2];
		unsigned n = top->kind == SOURCE_SEGMENT ? source_rows_below(top, end <= top->to ? end : top->to + 1) : 0;
		if (n) {
			err = pairs_piece(s, top, n);
			merge_replay(m);
			continue;
		}
		err = merge_take_pair(m, pair);
		s->first[s->n] = pair[0];
		s->second[s->n] = pair[1];
		if (!err && ++s->n == PAIRS)
			err = pairs_flush(s);
	}
	return err ? err : pairs_flush(s);
}

enum ceir_err triplets_scan_pairs(struct triplets_view *v, enum triplets_tree tree, uint64_t from, uint64_t to, triplets_pairs pairs,
	void *ctx)
{
	const struct parts *parts = &v->version->trees[tree];
	struct pairs_scan *s = malloc(sizeof(*s));
	enum ceir_err err = CEIR_ENOMEM;

	if (!s)
		return CEIR_ENOMEM;
	s->give = pairs;
	s->ctx = ctx;
	s->n = 0;
	s->cursors = calloc(parts->n ? parts->n : 1, sizeof(*s->cursors));
	if (to == UINT64_MAX)
		to--;
	if (merge_init(&s->merge, (unsigned)(parts->n + v->version->n_runs)) || !s->cursors)
		goto out;
	err = CEIR_OK;
	for (size_t i = 0; i < parts->n && !err; i++)
		if (parts->v[i]->info.rows && parts->v[i]->info.first[0] <= to && parts->v[i]->info.last[0] >= from)
			err = source_segment(&s->merge.sources[s->merge.n++], parts->v[i], &s->cursors[i], &from, 1, to);
	for (size_t i = 0; i < v->version->n_runs && !err; i++)
		source_pairs(&s->merge.sources[s->merge.n++], v->version->runs[i], (unsigned)tree - 1, &from, 1, to);
	if (!err && s->merge.n) {
		merge_start(&s->merge);
		err = pairs_all(s);
	}
out:
	merge_free(&s->merge);
	free(s->cursors);
	free(s);
	return err;
}

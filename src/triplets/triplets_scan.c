/*
 * triplets_scan.c - all triplets in order. Where only one segment has rows for a while, whole pieces of its blocks are converted
 * without comparing row by row; only where sources meet is there a merge.
 */
#include "triplets/triplets_internal.h"

#include <stdlib.h>

#define SCAN_ROWS 512
#define SCAN_EPISODES 1024
#define SCAN_BYTES (32 << 10)

struct scan {
	struct merge merge;
	struct segment_cursor *cursors;
	struct combiner combiner;
	triplets_rows give;
	void *ctx;
	size_t n, n_episodes, n_bytes;
	struct triplet rows[SCAN_ROWS];
	struct triplet_episode episodes[SCAN_EPISODES];
	char bytes[SCAN_BYTES]; /* cells of joined rows */
};

static enum ceir_err scan_flush(struct scan *s)
{
	enum ceir_err err = s->n ? s->give(s->ctx, s->rows, s->n) : CEIR_OK;

	s->n = s->n_episodes = s->n_bytes = 0;
	return err;
}

static enum ceir_err scan_put(struct scan *s, struct row *row)
{
	enum ceir_err err = CEIR_OK;

	if (s->n == SCAN_ROWS || s->n_episodes > SCAN_EPISODES - TRIPLETS_EPISODES_MAX || s->n_bytes > SCAN_BYTES - SEGMENT_EXTRA_MAX)
		err = scan_flush(s);
	/* Bytes of a joined row are the combiner's, until the next one. */
	if (row->extra.n && row->extra.p == s->combiner.extra) {
		memcpy(s->bytes + s->n_bytes, row->extra.p, row->extra.n);
		row->extra.p = s->bytes + s->n_bytes;
		s->n_bytes += row->extra.n;
	}
	s->n_episodes += row_triplet(row, s->episodes + s->n_episodes, &s->rows[s->n++]);
	return err;
}

/* Rows without bytes of their own. */
static void convert(const struct segment_cursor *c, unsigned at, unsigned n, struct triplet *out)
{
	for (unsigned i = at; i < at + n; i++, out++) {
		uint32_t first = (uint32_t)c->col[COL_FIRST][i], episode = first + (uint32_t)c->col[COL_OFFSET][i];
		*out = (struct triplet){.imei = c->col[COL_IMEI][i], .imsi = c->col[COL_IMSI][i], .msisdn = c->col[COL_MSISDN][i],
			.op = (uint8_t)c->col[COL_OP][i], .first_s = first, .episode_s = episode,
			.last_s = episode + (uint32_t)c->col[COL_LENGTH][i], .event = (uint8_t)c->col[COL_MARK][i],
			.rat = (uint8_t)(c->col[COL_MARK][i] >> 8)};
	}
}

/* n rows of the winner that no other source has anything to say about. */
static enum ceir_err scan_piece(struct scan *s, struct source *from, unsigned n)
{
	enum ceir_err err = CEIR_OK;

	if (from->cursor->has_extra) {
		for (unsigned i = 0; i < n && !err; i++) {
			struct row row;
			source_set_key(from);
			source_get(from, &row);
			err = scan_put(s, &row);
			from->at++;
		}
	} else {
		if (n > SCAN_ROWS - s->n)
			err = scan_flush(s);
		convert(from->cursor, from->at, n, s->rows + s->n);
		s->n += n;
		from->at += n;
	}
	if (err)
		return err;
	if (from->at == from->n)
		return source_next_block(from);
	source_set_key(from);
	return CEIR_OK;
}

static enum ceir_err scan_all(struct scan *s)
{
	struct merge *m = &s->merge;
	enum ceir_err err = CEIR_OK;

	while (!merge_ended(m) && !err) {
		struct source *top = merge_top(m);
		uint64_t end = merge_runner_up(m);
		unsigned n = 0;
		if (top->kind == SOURCE_SEGMENT)
			n = source_rows_below(top, end <= top->to ? end : top->to + 1);
		if (n) {
			err = scan_piece(s, top, n);
			merge_replay(m);
			continue;
		}
		struct row row;
		err = merge_take(m);
		if (!err)
			err = combine_rows(&s->combiner, m->group, m->n_group, &row);
		if (!err)
			err = scan_put(s, &row);
	}
	return err ? err : scan_flush(s);
}

enum ceir_err triplets_scan(struct triplets_view *v, uint64_t from, uint64_t to, triplets_rows rows, void *ctx)
{
	const struct parts *parts = &v->version->trees[TREE_TRIPLETS];
	struct scan *s = malloc(sizeof(*s));
	enum ceir_err err = CEIR_ENOMEM;

	if (!s)
		return CEIR_ENOMEM;
	s->give = rows;
	s->ctx = ctx;
	s->n = s->n_episodes = s->n_bytes = 0;
	combiner_init(&s->combiner, v->t->gap_s, 0);
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
		source_rows(&s->merge.sources[s->merge.n++], v->version->runs[i], &from, 1, to);
	if (!err && s->merge.n) {
		merge_start(&s->merge);
		err = scan_all(s);
	}
out:
	merge_free(&s->merge);
	combiner_free(&s->combiner);
	free(s->cursors);
	free(s);
	return err;
}

/* ---- cutting into parts ------------------------------------------------------------------------------------------ */

#define SAMPLES 64 /* of one source */

struct sample {
	uint64_t imei, weight;
};

static int sample_cmp(const void *a, const void *b)
{
	const struct sample *x = a, *y = b;

	return x->imei < y->imei ? -1 : x->imei > y->imei;
}

static size_t sample_part(const struct part *p, struct sample *out)
{
	uint64_t bounds[SAMPLES];

	if (p->info.rows == 0)
		return 0;
	segment_split(p->segment, SAMPLES, bounds);
	for (unsigned i = 0; i < SAMPLES; i++)
		out[i] = (struct sample){i ? bounds[i - 1] : p->info.first[0], p->info.rows / SAMPLES + 1};
	return SAMPLES;
}

static size_t sample_run(const struct memory *m, struct sample *out)
{
	for (unsigned i = 0; i < SAMPLES && m->n; i++)
		out[i] = (struct sample){m->rows[m->n * i / SAMPLES].key[0], m->n / SAMPLES + 1};
	return m->n ? SAMPLES : 0;
}

void parts_split(const struct parts *a, const struct parts *b, const struct version *memory, unsigned n, uint64_t *bounds)
{
	size_t runs = memory ? memory->n_runs : 0, count = 0;
	struct sample *samples = calloc(a->n + (b ? b->n : 0) + runs + 1, SAMPLES * sizeof(*samples));
	uint64_t total = 0, sum = 0;

	bounds[0] = 0;
	for (unsigned i = 1; i <= n; i++)
		bounds[i] = UINT64_MAX;
	if (!samples)
		return; /* one part has all: slower, and right */
	for (size_t i = 0; i < a->n; i++)
		count += sample_part(a->v[i], samples + count);
	for (size_t i = 0; b && i < b->n; i++)
		count += sample_part(b->v[i], samples + count);
	for (size_t i = 0; i < runs; i++)
		count += sample_run(memory->runs[i], samples + count);
	qsort(samples, count, sizeof(*samples), sample_cmp);
	for (size_t i = 0; i < count; i++)
		total += samples[i].weight;
	unsigned next = 1;
	for (size_t i = 0; i < count && next < n; i++) {
		while (next < n && sum >= total / n * next)
			bounds[next++] = samples[i].imei;
		sum += samples[i].weight;
	}
	free(samples);
}

void triplets_split(struct triplets_view *v, unsigned parts, uint64_t *bounds)
{
	parts_split(&v->version->trees[TREE_TRIPLETS], NULL, v->version, parts ? parts : 1, bounds);
}

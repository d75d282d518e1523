/*
 * triplets_apply_work.c - the rows of deliveries merged, counted and written; on several threads when they are many, each with a range
 * of IMEIs and files of its own.
 */
#include "triplets/triplets_apply.h"

#include <stdlib.h>

#define THREAD_ROWS 65536 /* fewer a thread are not worth one */

struct worker {
	struct apply *a;
	uint64_t from, to;             /* IMEIs */
	struct triplets_counts counts[TRIPLETS_APPLY_MAX]; /* of each delivery */
	uint64_t stood;                /* triplets of the (one) delivery that the full one before may have had */
	struct parts out;
	struct touched *touched;
	struct combiner combiner;
	struct sink *sink;
	struct pair_sorter pairs[2];
	struct segment_cursor *cursors;
	struct merge merge;
	enum ceir_err err;
};

/* ---- what a worker does with one triplet ------------------------------------------------------------------------- */

/* The delivery of a row's operator; NULL: none is being applied. */
static const struct apply_one *delivery_of(const struct apply *a, const struct row *row)
{
	unsigned i = a->of_op[row->key[3] & 0xff];

	return i ? &a->ones[i - 1] : NULL;
}

/* Whether a triplet can have stood in the operator's last full delivery, by its times. */
static bool stood_before(const struct apply_one *one, const struct row *row)
{
	return one && one->full && one->before.known && row->first_s <= one->before.max_s && row->last_s >= one->before.min_s;
}

/* One triplet of the delivery; known: NULL when nobody knows it; stored: a segment does. */
static enum ceir_err count_row(struct worker *w, const struct row *row, const struct row *known, bool stored)
{
	const struct apply *a = w->a;
	const struct apply_one *one = delivery_of(a, row);
	bool returned = known && row->episode_s > known->last_s && row->episode_s - known->last_s > a->t->gap_s;
	enum ceir_err err = CEIR_OK;

	if (!one)
		return CEIR_ECORRUPT; /* a run of one operator with a row of another */
	struct triplets_counts *counts = &w->counts[one - a->ones];
	counts->distinct++;
	counts->again += known != NULL;
	counts->fresh += !known;
	counts->returned += returned;
	w->stood += known && stood_before(one, known);
	if (a->wants_touched && (!known || returned))
		err = touched_add(w->touched, row->key[0]);
	if (!err && !stored)
		err = pair_sorter_add(&w->pairs[0], row->key[1], row->key[0], &w->out);
	if (!err && !stored && row->key[2])
		err = pair_sorter_add(&w->pairs[1], row->key[2], row->key[1], &w->out);
	return err;
}

/* A triplet that is known and not in the delivery of its operator. */
static void count_absent(struct worker *w, const struct row *known)
{
	const struct apply_one *one = delivery_of(w->a, known);

	if (stood_before(one, known))
		w->counts[one - w->a->ones].gone++;
}

/* A key that only one source has: most of them. */
static enum ceir_err merge_single(struct worker *w)
{
	struct row *row = &w->merge.group[0];
	enum ceir_err err = CEIR_OK;

	if (w->merge.rank[0] == RANK_DELIVERY)
		err = count_row(w, row, NULL, false);
	else
		count_absent(w, row);
	if (err || w->merge.rank[0] == RANK_MEMORY)
		return err; /* only in memory: the flusher's */
	/* Episodes may be old enough to be forgotten. */
	if (row->extra.n)
		err = combine_rows(&w->combiner, row, 1, row);
	return err ? err : sink_row(w->sink, row);
}

/* A key for which several sources have rows: those that are known first. */
static enum ceir_err merge_group(struct worker *w)
{
	struct merge *m = &w->merge;
	struct row known = {0}, row = {0};
	unsigned n_known = 0;
	bool stored = false;
	enum ceir_err err = CEIR_OK;

	for (unsigned i = 0; i < m->n_group; i++) {
		stored = stored || m->rank[i] == RANK_STORED;
		if (m->rank[i] == RANK_DELIVERY)
			continue;
		struct row other = m->group[n_known];
		unsigned char rank = m->rank[n_known];
		m->group[n_known] = m->group[i];
		m->rank[n_known++] = m->rank[i];
		m->group[i] = other;
		m->rank[i] = rank;
	}
	bool delivered = n_known < m->n_group;
	if (n_known)
		err = combine_rows(&w->combiner, m->group, n_known, &known);
	if (!err && delivered)
		err = combine_rows(&w->combiner, m->group + n_known, m->n_group - n_known, &row);
	if (!err && delivered)
		err = count_row(w, &row, n_known ? &known : NULL, stored);
	else if (!err)
		count_absent(w, &known);
	if (err || (!delivered && !stored))
		return err; /* only in memory: the flusher's */
	err = combine_rows(&w->combiner, m->group, m->n_group, &row);
	return err ? err : sink_row(w->sink, &row);
}

static enum ceir_err merge_large(struct worker *w)
{
	struct merge *m = &w->merge;
	enum ceir_err err = CEIR_OK;

	while (!merge_ended(m) && !err) {
		err = merge_take(m);
		if (!err)
			err = m->n_group == 1 ? merge_single(w) : merge_group(w);
	}
	return err;
}

/* A damaged block (the log names it) must not keep a delivery out: its triplets count as new. */
static enum ceir_err merge_small(struct worker *w, struct triplets_view *v)
{
	struct merge *m = &w->merge;
	enum ceir_err err = CEIR_OK;

	while (!merge_ended(m) && !err) {
		struct row row, known = {0};
		bool stored, memory = true;
		err = merge_take(m);
		if (!err && !merge_ended(m))
			view_hint(v, merge_top(m)->key[0], false);
		if (!err)
			err = combine_rows(&w->combiner, m->group, m->n_group, &row);
		if (!err)
			err = sink_row(w->sink, &row);
		if (err)
			break;
		err = view_probe(v, row.key, &stored, &memory, &known);
		if (err == CEIR_ECORRUPT || err == CEIR_EIO) {
			stored = memory = false;
			err = CEIR_OK;
		}
		if (!err)
			err = count_row(w, &row, stored || memory ? &known : NULL, stored);
	}
	return err;
}

/* ---- a worker ---------------------------------------------------------------------------------------------------- */

static enum ceir_err add_parts(struct worker *w, const struct parts *parts, enum source_rank rank, size_t cursor)
{
	enum ceir_err err = CEIR_OK;

	for (size_t i = 0; i < parts->n && !err; i++) {
		const struct segment_info *info = &parts->v[i]->info;
		if (info->rows == 0 || info->first[0] > w->to || info->last[0] < w->from)
			continue;
		struct source *s = &w->merge.sources[w->merge.n++];
		err = source_segment(s, parts->v[i], &w->cursors[cursor + i], &w->from, 1, w->to);
		s->rank = rank;
	}
	return err;
}

/* The run's segments, and when `all`, what is stored and what is in memory. */
static enum ceir_err worker_open(struct worker *w, bool all, size_t sorters)
{
	struct apply *a = w->a;
	const struct parts *stored = &a->version->trees[TREE_TRIPLETS];
	size_t n = a->runs.n + stored->n + a->version->n_runs;

	combiner_init(&w->combiner, a->t->gap_s, all ? triplets_forget_before_s(a->t) : 0);
	for (unsigned i = 0; i < 2; i++)
		pair_sorter_init(&w->pairs[i], a->t, TREE_IMSI + i, a->t->sorter_bytes / sorters / 2);
	w->sink = sink_new(a->t, TREE_TRIPLETS);
	w->cursors = calloc(a->runs.n + stored->n + 1, sizeof(*w->cursors));
	enum ceir_err err = merge_init(&w->merge, (unsigned)n);
	if (!w->sink || !w->cursors)
		err = CEIR_ENOMEM;
	if (!err)
		err = add_parts(w, &a->runs, RANK_DELIVERY, 0);
	if (!err && all)
		err = add_parts(w, stored, RANK_STORED, a->runs.n);
	for (size_t i = 0; i < a->version->n_runs && !err && all; i++)
		source_rows(&w->merge.sources[w->merge.n++], a->version->runs[i], &w->from, 1, w->to);
	if (!err && w->merge.n)
		merge_start(&w->merge);
	return err;
}

static enum ceir_err worker_finish(struct worker *w, uint64_t group)
{
	enum ceir_err err = sink_finish(w->sink, group, &w->out);

	for (unsigned i = 0; i < 2 && !err; i++)
		err = pair_sorter_finish(&w->pairs[i], &w->out);
	return err;
}

static void worker_close(struct worker *w)
{
	sink_free(w->sink);
	for (unsigned i = 0; i < 2; i++)
		pair_sorter_free(&w->pairs[i]);
	free(w->cursors);
	merge_free(&w->merge);
	combiner_free(&w->combiner);
	w->sink = NULL;
	w->cursors = NULL;
}

/* What the worker made and counted goes to the delivery; or, after an error, away. */
static enum ceir_err worker_give(struct worker *w, enum ceir_err err)
{
	struct apply *a = w->a;

	for (size_t i = 0; i < w->out.n && !err; i++)
		err = parts_add(&a->add, part_ref(w->out.v[i]));
	if (err)
		parts_kill(&w->out);
	else
		parts_clear(&w->out);
	for (size_t i = 0; i < a->n; i++) {
		a->ones[i].counts.distinct += w->counts[i].distinct;
		a->ones[i].counts.fresh += w->counts[i].fresh;
		a->ones[i].counts.again += w->counts[i].again;
		a->ones[i].counts.returned += w->counts[i].returned;
		a->ones[i].counts.gone += w->counts[i].gone;
	}
	return err;
}

/* ---- large ------------------------------------------------------------------------------------------------------- */

struct large {
	struct worker w;
	uint64_t group;
	unsigned workers;
	pthread_t thread;
	bool has_thread;
};

static void *run_large(void *arg)
{
	struct large *l = arg;

	l->w.err = worker_open(&l->w, true, l->workers);
	if (!l->w.err)
		l->w.err = merge_large(&l->w);
	if (!l->w.err)
		l->w.err = worker_finish(&l->w, l->group);
	worker_close(&l->w);
	return NULL;
}

uint64_t parts_rows(const struct parts *p)
{
	uint64_t rows = 0;

	for (size_t i = 0; i < p->n; i++)
		rows += p->v[i]->info.rows;
	return rows;
}

static unsigned count_workers(const struct apply *a)
{
	uint64_t rows = parts_rows(&a->runs) + parts_rows(&a->version->trees[TREE_TRIPLETS]);
	unsigned n = a->t->settings.threads < APPLY_THREADS_MAX ? a->t->settings.threads : APPLY_THREADS_MAX;

	while (n > 1 && rows / n < THREAD_ROWS)
		n--;
	return n;
}

enum ceir_err apply_large(struct apply *a)
{
	struct large l[APPLY_THREADS_MAX] = {0};
	uint64_t bounds[APPLY_THREADS_MAX + 1], group = triplets_new_file(a->t);
	unsigned n = count_workers(a);
	enum ceir_err err = CEIR_OK;

	parts_split(&a->runs, &a->version->trees[TREE_TRIPLETS], NULL, n, bounds);
	for (unsigned i = 0; i < n; i++) {
		l[i] = (struct large){.w = {.a = a, .from = bounds[i], .to = bounds[i + 1] - 1, .touched = &a->touched[i]}, .group = group, .workers = n};
		if (bounds[i] == bounds[i + 1])
			continue;
		if (i + 1 < n && thread_start("ceir-apply", run_large, &l[i], &l[i].thread) == CEIR_OK)
			l[i].has_thread = true;
		else
			run_large(&l[i]);
	}
	for (unsigned i = 0; i < n; i++) {
		if (l[i].has_thread)
			(void)pthread_join(l[i].thread, NULL);
		err = err ? err : l[i].w.err;
	}
	for (unsigned i = 0; i < n; i++)
		err = worker_give(&l[i].w, err);
	a->n_touched = n;
	return err;
}

/* ---- small ------------------------------------------------------------------------------------------------------- */

struct standing {
	const struct apply_one *one;
	uint64_t n;
};

static enum ceir_err count_standing(void *ctx, const struct triplet *rows, size_t n)
{
	struct standing *s = ctx;

	for (size_t i = 0; i < n; i++)
		s->n += rows[i].op == s->one->staged.op && rows[i].first_s <= s->one->before.max_s && rows[i].last_s >= s->one->before.min_s;
	return CEIR_OK;
}

static enum ceir_err count_gone(struct triplets_view *v, struct worker *w)
{
	const struct apply_one *one = &w->a->ones[0];
	struct standing s = {.one = one};

	if (!one->full || !one->before.known)
		return CEIR_OK;
	enum ceir_err err = triplets_scan(v, 0, UINT64_MAX, count_standing, &s);
	w->counts[0].gone = s.n > w->stood ? s.n - w->stood : 0;
	if (err == CEIR_ECORRUPT || err == CEIR_EIO) {
		log_error(ROOM, "%s: delivery %llu: what is gone cannot be counted: %s", w->a->t->dir, (unsigned long long)one->staged.id,
			ceir_err_text(err));
		w->counts[0].gone = 0;
		err = CEIR_OK;
	}
	return err;
}

enum ceir_err apply_small(struct apply *a)
{
	struct worker w = {.a = a, .from = 0, .to = UINT64_MAX - 1, .touched = &a->touched[0]};
	struct triplets_view *v = triplets_view_new(a->t);
	enum ceir_err err = CEIR_ENOMEM;

	if (v) {
		/* The same version as the rest of the delivery uses. */
		version_unref(v->version);
		v->version = version_ref(a->version);
		err = worker_open(&w, false, 1);
	}
	if (!err)
		err = merge_small(&w, v);
	if (!err)
		err = worker_finish(&w, 0);
	if (!err)
		err = count_gone(v, &w);
	if (v)
		worker_close(&w);
	triplets_view_free(v);
	a->n_touched = 1;
	return worker_give(&w, err);
}

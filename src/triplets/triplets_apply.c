/*
 * triplets_apply.c - staged deliveries become part of the store, with one change of MANIFEST.
 *
 * Large ones are merged with all segments of the first tree, in ranges of IMEIs, one thread each, into new segments that take the
 * place of all of them; all that wait at once, because the merge costs what the store is large, not what they are. A small one becomes
 * a segment of its own beside them, and each of its triplets is looked up to be counted. In both cases triplets that no segment
 * had bring their pairs. What is only in memory counts as known, but is written by the flusher.
 */
#include "triplets/triplets_apply.h"

#include <stdlib.h>
#include <unistd.h>

#define LARGE_PART 8 /* larger than this part of the first tree: merged with it */

static enum ceir_err edit_apply(void *ctx, struct manifest *m)
{
	struct apply *a = ctx;
	enum ceir_err err = CEIR_OK;

	for (size_t i = 0; i < a->n && !err; i++) {
		const struct apply_one *one = &a->ones[i];
		struct manifest_applied done = {one->staged.id, one->counts};

		manifest_remove_staged(m, one->staged.id);
		if (one->full && one->staged.rows)
			m->full[one->staged.op] = (struct manifest_full){true, one->staged.min_s, one->staged.max_s};
		err = manifest_add_applied(m, &done);
	}
	return err;
}

/* CEIR_EEXIST: applied before, counts are set. CEIR_ENOENT: no such delivery. */
static enum ceir_err find(struct triplets *t, struct triplets_item *item, struct apply_one *one)
{
	enum ceir_err err = CEIR_OK;

	*one = (struct apply_one){.full = item->full, .item = item};
	pthread_mutex_lock(&t->manifest_lock);
	const struct manifest_staged *s = manifest_find_staged(&t->manifest, item->id);
	const struct manifest_applied *done = manifest_find_applied(&t->manifest, item->id);
	if (done) {
		item->counts = done->counts;
		err = CEIR_EEXIST;
	} else if (!s) {
		err = CEIR_ENOENT;
	} else {
		one->staged = *s;
		one->before = t->manifest.full[s->op];
		one->staged.files = calloc(s->n_files ? s->n_files : 1, sizeof(*s->files));
		if (!one->staged.files)
			err = CEIR_ENOMEM;
		for (size_t i = 0; i < s->n_files && !err; i++)
			one->staged.files[i] = s->files[i];
	}
	pthread_mutex_unlock(&t->manifest_lock);
	return err;
}

static enum ceir_err open_runs(struct apply *a, const struct apply_one *one)
{
	enum ceir_err err = CEIR_OK;

	for (size_t i = 0; i < one->staged.n_files && !err; i++) {
		struct part *p = NULL;
		err = part_open(a->t->dir, TREE_TRIPLETS, one->staged.files[i], 0, &p);
		if (!err)
			err = parts_add(&a->runs, p);
	}
	return err;
}

static enum ceir_err switch_to(struct apply *a, const struct parts *remove)
{
	enum ceir_err err = triplets_switch(a->t, &(struct change){.add = &a->add, .remove = remove, .edit = edit_apply, .ctx = a});

	for (size_t i = 0; i < a->runs.n && !err; i++)
		atomic_store_explicit(&a->runs.v[i]->dead, true, memory_order_relaxed);
	return err;
}

static void start_over(struct apply *a)
{
	parts_kill(&a->add);
	for (size_t i = 0; i < a->n; i++)
		a->ones[i].counts = (struct triplets_counts){.rows = a->ones[i].staged.rows};
	for (unsigned i = 0; i < APPLY_THREADS_MAX; i++) {
		touched_free(&a->touched[i]);
		touched_init(&a->touched[i], a->t);
	}
	version_unref(a->version);
	a->version = triplets_version(a->t);
}

static bool is_large(const struct apply *a)
{
	return parts_rows(&a->runs) > parts_rows(&a->version->trees[TREE_TRIPLETS]) / LARGE_PART;
}

static enum ceir_err merge_all(struct apply *a)
{
	struct triplets *t = a->t;

	atomic_fetch_add_explicit(&t->cancel[TREE_TRIPLETS], 1, memory_order_relaxed);
	pthread_mutex_lock(&t->merge_lock[TREE_TRIPLETS]);
	atomic_fetch_sub_explicit(&t->cancel[TREE_TRIPLETS], 1, memory_order_relaxed);
	start_over(a);
	enum ceir_err err = apply_large(a);
	if (!err)
		err = switch_to(a, &a->version->trees[TREE_TRIPLETS]);
	pthread_mutex_unlock(&t->merge_lock[TREE_TRIPLETS]);
	return err;
}

/* CEIR_ESTATE: several, but they cannot be merged with the store in one go; one at a time, then. */
static enum ceir_err apply_either(struct apply *a)
{
	enum ceir_err err;

	start_over(a);
	if (is_large(a)) {
		err = merge_all(a);
		if (err != CEIR_ECORRUPT && err != CEIR_EIO)
			return err;
		if (a->n == 1)
			log_error(ROOM, "%s: delivery %llu is put beside what is stored, which cannot be read in full", a->t->dir,
				(unsigned long long)a->ones[0].staged.id);
		start_over(a);
	}
	if (a->n > 1)
		return CEIR_ESTATE;
	err = apply_small(a);
	return err ? err : switch_to(a, NULL);
}

static struct apply *apply_new(struct triplets *t, bool wants_touched)
{
	struct apply *a = calloc(1, sizeof(*a));

	if (!a)
		return NULL;
	a->t = t;
	a->wants_touched = wants_touched;
	for (unsigned i = 0; i < APPLY_THREADS_MAX; i++)
		touched_init(&a->touched[i], t);
	return a;
}

static void apply_free(struct apply *a)
{
	for (size_t i = 0; i < a->n; i++)
		free(a->ones[i].staged.files);
	parts_clear(&a->runs);
	parts_kill(&a->add);
	for (unsigned i = 0; i < APPLY_THREADS_MAX; i++)
		touched_free(&a->touched[i]);
	version_unref(a->version);
	free(a);
}

/* Those that are staged, of the items from..to-1. The others have their error. */
static enum ceir_err open_items(struct apply *a, struct triplets_item *items, size_t n)
{
	enum ceir_err err = CEIR_OK;

	for (size_t i = 0; i < n && !err; i++) {
		struct apply_one *one = &a->ones[a->n];

		items[i].err = find(a->t, &items[i], one);
		if (items[i].err == CEIR_ENOMEM)
			return CEIR_ENOMEM;
		if (items[i].err)
			continue;
		a->n++;
		if (a->of_op[one->staged.op])
			return CEIR_EINVAL;
		a->of_op[one->staged.op] = (uint8_t)a->n;
		err = open_runs(a, one);
	}
	return err;
}

static void report(struct apply *a, triplets_touched touched, void *ctx)
{
	for (size_t i = 0; i < a->n; i++) {
		a->ones[i].item->counts = a->ones[i].counts;
		atomic_fetch_add_explicit(&a->t->sightings, a->ones[i].staged.rows, memory_order_relaxed);
	}
	for (unsigned i = 0; i < a->n_touched && touched; i++)
		if (touched_report(&a->touched[i], touched, ctx))
			log_error(ROOM, "%s: delivery %llu: its new IMEIs cannot all be named", a->t->dir, (unsigned long long)a->ones[0].staged.id);
}

static enum ceir_err apply_items(struct triplets *t, struct triplets_item *items, size_t n, triplets_touched touched, void *ctx)
{
	struct apply *a = apply_new(t, touched != NULL);

	if (!a)
		return CEIR_ENOMEM;
	enum ceir_err err = open_items(a, items, n);
	if (!err && a->n)
		err = apply_either(a);
	if (!err) {
		parts_clear(&a->add); /* the version has them */
		report(a, touched, ctx);
	}
	apply_free(a);
	return err;
}

enum ceir_err triplets_apply_many(struct triplets *t, struct triplets_item *items, size_t n, triplets_touched touched, void *ctx)
{
	if (n > TRIPLETS_APPLY_MAX)
		return CEIR_EINVAL;
	pthread_mutex_lock(&t->apply_lock);
	enum ceir_err err = apply_items(t, items, n, touched, ctx);
	if (err == CEIR_ESTATE) {
		err = CEIR_OK;
		for (size_t i = 0; i < n; i++) {
			enum ceir_err own = apply_items(t, &items[i], 1, touched, ctx);

			items[i].err = own ? own : items[i].err;
		}
	}
	pthread_mutex_unlock(&t->apply_lock);
	if (!err)
		triplets_wake_merger(t);
	return err;
}

enum ceir_err triplets_apply(struct triplets *t, uint64_t id, bool full, triplets_touched touched, void *ctx,
	struct triplets_counts *counts)
{
	struct triplets_item item = {.id = id, .full = full};
	enum ceir_err err = triplets_apply_many(t, &item, 1, touched, ctx);

	if (!err || err == CEIR_EEXIST)
		err = item.err;
	if (!err || err == CEIR_EEXIST)
		*counts = item.counts;
	return err;
}

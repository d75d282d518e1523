/*
 * triplets_flush.c - a frozen generation of memory becomes segments, on a thread of its own. Sightings go on meanwhile into the
 * next generation and the next journal; when MANIFEST names the segments, the old journals go.
 */
#include "triplets/triplets_internal.h"

#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#define RETRY_S 1

/* Sources of one generation: its rows, or its pairs of one tree. */
static void add_sources(struct merge *m, const struct version *v, unsigned generation, unsigned tree)
{
	static const uint64_t lowest[1] = {0};

	for (size_t i = 0; i < v->n_runs; i++) {
		if (v->runs[i]->generation != generation)
			continue;
		if (tree == TREE_TRIPLETS)
			source_rows(&m->sources[m->n++], v->runs[i], lowest, 1, UINT64_MAX - 1);
		else
			source_pairs(&m->sources[m->n++], v->runs[i], tree - 1, lowest, 1, UINT64_MAX - 1);
	}
	merge_start(m);
}

static enum ceir_err write_tree(struct triplets *t, struct merge *m, struct combiner *c, struct sink *sink)
{
	enum ceir_err err = CEIR_OK;
	struct row row;
	uint64_t pair[2];

	while (!merge_ended(m) && !err) {
		if (sink->tree == TREE_TRIPLETS) {
			err = merge_take(m);
			if (!err)
				err = combine_rows(c, m->group, m->n_group, &row);
			if (!err)
				err = sink_row(sink, &row);
		} else {
			err = merge_take_pair(m, pair);
			if (!err)
				err = sink_pair(sink, pair);
		}
	}
	(void)t;
	return err;
}

static enum ceir_err write_generation(struct triplets *t, const struct version *v, unsigned generation, struct parts *out)
{
	enum ceir_err err = CEIR_OK;

	for (unsigned tree = 0; tree < TREES && !err; tree++) {
		struct merge m;
		struct combiner c;
		struct sink *sink = sink_new(t, tree);
		combiner_init(&c, t->gap_s, 0);
		err = merge_init(&m, (unsigned)v->n_runs);
		if (!sink)
			err = CEIR_ENOMEM;
		if (!err) {
			add_sources(&m, v, generation, tree);
			err = write_tree(t, &m, &c, sink);
		}
		if (!err)
			err = sink_finish(sink, 0, out);
		sink_free(sink);
		merge_free(&m);
		combiner_free(&c);
	}
	return err;
}

struct flushing {
	uint64_t journals, batches;  /* lower journals go; the new file of batches */
	uint64_t gone[64], n_gone;   /* journals that are removed afterwards; more of them go at the next open */
	uint64_t old_batches;
};

static enum ceir_err edit_flush(void *ctx, struct manifest *m)
{
	struct flushing *f = ctx;

	f->n_gone = 0;
	for (size_t i = 0; i < m->n_journals && f->n_gone < CEIR_COUNT(f->gone); i++)
		if (m->journals[i] < f->journals)
			f->gone[f->n_gone++] = m->journals[i];
	f->old_batches = m->batches;
	manifest_remove_journals(m, f->journals);
	m->batches = f->batches;
	return CEIR_OK;
}

static void remove_old(struct triplets *t, const struct flushing *f)
{
	char path[TRIPLETS_PATH_MAX];

	for (size_t i = 0; i < f->n_gone; i++) {
		file_path(t->dir, f->gone[i], "journal", path);
		(void)unlink(path);
	}
	if (f->old_batches) {
		file_path(t->dir, f->old_batches, "batches", path);
		(void)unlink(path);
	}
}

/* What is frozen does not change before this is done, so it is read without the lock. */
static enum ceir_err flush_frozen(struct triplets *t, unsigned generation)
{
	char path[TRIPLETS_PATH_MAX];
	struct parts out = {0};
	struct version *v = triplets_version(t);
	struct flushing f = {.journals = t->frozen_journals, .batches = triplets_new_file(t)};

	enum ceir_err err = write_generation(t, v, generation, &out);
	version_unref(v);
	file_path(t->dir, f.batches, "batches", path);
	if (!err)
		err = file_write(path, buf_view(&t->frozen_batches), 0600);
	if (!err)
		err = triplets_switch(t, &(struct change){.add = &out, .edit = edit_flush, .ctx = &f, .frozen = true});
	if (err) {
		parts_kill(&out);
		(void)unlink(path);
		return err;
	}
	parts_clear(&out);
	remove_old(t, &f);
	return CEIR_OK;
}

/* Waits a moment before the next try, unless the store is being closed or somebody wants it now. t->lock is held. */
static void wait_a_moment(struct triplets *t)
{
	struct timespec until;

	(void)clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += RETRY_S;
	while (!t->stop && t->flush_err && pthread_cond_timedwait(&t->flush_wanted, &t->lock, &until) == 0)
		;
}

void *flusher_run(void *arg)
{
	struct triplets *t = arg;

	pthread_mutex_lock(&t->lock);
	while (!t->stop) {
		if (!t->frozen) {
			pthread_cond_wait(&t->flush_wanted, &t->lock);
			continue;
		}
		unsigned generation = t->generation - 1;
		pthread_mutex_unlock(&t->lock);
		enum ceir_err err = flush_frozen(t, generation);
		if (err)
			log_error(ROOM, "%s: sightings stay in memory and in the journal, they cannot be written as segments: %s", t->dir, ceir_err_text(err));
		else
			triplets_wake_merger(t);
		pthread_mutex_lock(&t->lock);
		t->flush_err = err;
		t->frozen = err != CEIR_OK;
		pthread_cond_broadcast(&t->flush_done);
		if (err)
			wait_a_moment(t);
	}
	pthread_mutex_unlock(&t->lock);
	return NULL;
}

/*
 * triplets_merge.c - segments made into fewer, in the background.
 *
 * A look-up asks every segment whose range has its key, so there must not be many. Segments of one group have no IMEI in common
 * and count as one. Groups are merged when four or more of like size have come together (each at most twice as large as all the
 * smaller ones of the choice together), so that a row is rewritten a few times in its life; and whenever there are more than GROUPS_MAX.
 *
 * That leaves a few, and each costs a look-up its time. So a quiet store, in which nothing is being applied and nothing was applied or
 * flushed lately, is tidied:
 *   after 5 seconds   all groups of a tree become one when those beside the largest hold at least a sixteenth (QUIET_PART) of its rows:
 *                     what is rewritten is at most seventeen times what had come;
 *   after 60 seconds  more than two groups become one where that is not much to write (triplets_quiet.rows); in a larger tree those
 *                     beside the largest become one, and the largest stays: a thousand millions are not rewritten for a small delivery.
 * Each is tried once after a change, gives way as all merges do, and is not tried again in a tree that turned out to be damaged.
 */
#include "triplets/triplets_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define GROUPS_MERGE 4
#define GROUPS_MAX 12
#define SMALL_ROWS 16384 /* groups below count as of one size */
#define CHECK_ROWS 4096  /* between two looks whether to stop */
#define QUIET_PART 16
#define LONG_QUIET 12 /* times triplets_quiet.us */
#define NICE 10

struct triplets_quiet triplets_quiet = {.us = 5000000, .rows = UINT64_C(1) << 26};

/* How long nothing has changed, and so how much may be merged. */
enum pace { PACE_AT_ONCE, PACE_QUIET, PACE_LONG_QUIET, PACES, PACE_ALL = PACES };

static enum ceir_err merge_rows_out(struct triplets *t, struct merge *m, struct sink *sink, _Atomic unsigned *cancel)
{
	struct combiner c;
	struct row row;
	enum ceir_err err = CEIR_OK;

	combiner_init(&c, t->gap_s, triplets_forget_before_s(t));
	for (size_t n = 0; !merge_ended(m) && !err; n++) {
		if (cancel && n % CHECK_ROWS == 0 && atomic_load_explicit(cancel, memory_order_relaxed))
			err = CEIR_ECLOSED;
		if (!err)
			err = merge_take(m);
		if (!err)
			err = combine_rows(&c, m->group, m->n_group, &row);
		if (!err)
			err = sink_row(sink, &row);
	}
	combiner_free(&c);
	return err;
}

static enum ceir_err merge_pairs_out(struct merge *m, struct sink *sink, _Atomic unsigned *cancel)
{
	uint64_t pair[2];
	enum ceir_err err = CEIR_OK;

	for (size_t n = 0; !merge_ended(m) && !err; n++) {
		if (cancel && n % CHECK_ROWS == 0 && atomic_load_explicit(cancel, memory_order_relaxed))
			err = CEIR_ECLOSED;
		if (!err)
			err = merge_take_pair(m, pair);
		if (!err)
			err = sink_pair(sink, pair);
	}
	return err;
}

enum ceir_err merge_parts(struct triplets *t, unsigned tree, const struct parts *from, _Atomic unsigned *cancel, struct parts *out)
{
	static const uint64_t lowest[1] = {0};
	struct merge m;
	struct sink *sink = sink_new(t, tree);
	struct segment_cursor *cursors = calloc(from->n ? from->n : 1, sizeof(*cursors));
	enum ceir_err err = merge_init(&m, (unsigned)from->n);

	if (!sink || !cursors)
		err = CEIR_ENOMEM;
	for (size_t i = 0; i < from->n && !err; i++)
		err = source_segment(&m.sources[m.n++], from->v[i], &cursors[i], lowest, 1, UINT64_MAX - 1);
	if (!err) {
		merge_start(&m);
		err = tree == TREE_TRIPLETS ? merge_rows_out(t, &m, sink, cancel) : merge_pairs_out(&m, sink, cancel);
	}
	if (!err)
		err = sink_finish(sink, 0, out);
	sink_free(sink);
	free(cursors);
	merge_free(&m);
	return err;
}

/* Merges and puts the result in the place of what it was made of. merge_lock of the tree is held. */
static enum ceir_err replace(struct triplets *t, unsigned tree, const struct parts *from, _Atomic unsigned *cancel)
{
	struct parts out = {0};
	enum ceir_err err = merge_parts(t, tree, from, cancel, &out);

	if (!err)
		err = triplets_switch(t, &(struct change){.add = &out, .remove = from});
	if (!err)
		atomic_fetch_add_explicit(&t->merges, 1, memory_order_relaxed);
	if (err)
		parts_kill(&out);
	else
		parts_clear(&out);
	return err;
}

/* ---- which ------------------------------------------------------------------------------------------------------- */

struct group {
	uint64_t id, rows;
};

static int group_cmp(const void *a, const void *b)
{
	const struct group *x = a, *y = b;

	if (x->rows != y->rows)
		return x->rows < y->rows ? -1 : 1;
	return x->id < y->id ? -1 : x->id > y->id;
}

/* Groups of a tree, smallest first. */
static size_t list_groups(const struct parts *parts, struct group *groups)
{
	size_t n = 0;

	for (size_t i = 0; i < parts->n; i++) {
		size_t g = 0;
		while (g < n && groups[g].id != parts->v[i]->group)
			g++;
		if (g == n)
			groups[n++] = (struct group){parts->v[i]->group, 0};
		groups[g].rows += parts->v[i]->info.rows;
	}
	qsort(groups, n, sizeof(*groups), group_cmp);
	return n;
}

/* How many of the groups from `first` on are of like size. */
static size_t like(const struct group *groups, size_t n, size_t first)
{
	uint64_t rows = groups[first].rows;
	size_t end = first + 1;

	for (; end < n; end++) {
		if (groups[end].rows > SMALL_ROWS && groups[end].rows > 2 * rows)
			break;
		rows += groups[end].rows;
	}
	return end - first;
}

/* The groups [*first, *first + returned) are to be merged at once; 0: none. */
static size_t choose_like(const struct group *groups, size_t n, size_t *first)
{
	for (*first = 0; *first + GROUPS_MERGE <= n; (*first)++) {
		size_t count = like(groups, n, *first);
		if (count >= GROUPS_MERGE)
			return count;
	}
	*first = 0;
	return n > GROUPS_MAX ? n - GROUPS_MAX + 2 : 0;
}

/* How many of the groups, from the smallest on, are to be merged in a quiet store; 0: none. */
static size_t choose_quiet(const struct group *groups, size_t n, bool is_long, uint64_t rows_max)
{
	uint64_t rest = 0;

	if (n < 2)
		return 0;
	for (size_t i = 0; i + 1 < n; i++)
		rest += groups[i].rows;
	const uint64_t largest = groups[n - 1].rows;
	if (rest >= largest / QUIET_PART)
		return n;
	if (!is_long || n == 2)
		return 0;
	return rest + largest <= rows_max ? n : n - 1;
}

static size_t choose(const struct triplets *t, const struct group *groups, size_t n, enum pace pace, size_t *first)
{
	*first = 0;
	if (pace == PACE_AT_ONCE)
		return choose_like(groups, n, first);
	return pace == PACE_ALL ? n : choose_quiet(groups, n, pace == PACE_LONG_QUIET, t->quiet.rows);
}

/* Parts of the groups chosen, as references; from is empty when there is nothing to do. */
static enum ceir_err collect(const struct triplets *t, const struct parts *parts, enum pace pace, struct parts *from)
{
	struct group *groups = calloc(parts->n ? parts->n : 1, sizeof(*groups));
	size_t first = 0;
	enum ceir_err err = CEIR_OK;

	if (!groups)
		return CEIR_ENOMEM;
	size_t n = list_groups(parts, groups), count = choose(t, groups, n, pace, &first);
	for (size_t i = 0; i < parts->n && !err; i++)
		for (size_t g = first; g < first + count && !err; g++)
			if (parts->v[i]->group == groups[g].id)
				err = parts_add(from, part_ref(parts->v[i]));
	free(groups);
	return err;
}

/* One merge of a tree. *did: there was one to do. merge_lock is held. */
static enum ceir_err merge_tree(struct triplets *t, unsigned tree, enum pace pace, _Atomic unsigned *cancel, bool *did)
{
	struct parts from = {0};
	struct version *v = triplets_version(t);
	enum ceir_err err = collect(t, &v->trees[tree], pace, &from);
	const bool all = pace == PACE_ALL;

	*did = !err && from.n > (all ? 1 : 0);
	/* Old episodes are to be forgotten even where there is nothing to merge. */
	if (!err && all && from.n == 1 && tree == TREE_TRIPLETS && t->settings.keep_episode_days)
		*did = true;
	version_unref(v); /* from holds the parts */
	if (*did)
		err = replace(t, tree, &from, cancel);
	parts_clear(&from);
	return err;
}

/* ---- the thread -------------------------------------------------------------------------------------------------- */

void triplets_wake_merger(struct triplets *t)
{
	pthread_mutex_lock(&t->lock);
	t->merge_now = true;
	t->changed_us = clock_mono_us();
	pthread_cond_signal(&t->merge_wanted);
	pthread_mutex_unlock(&t->lock);
}

/* Merges of all trees until there are none to do, or somebody else has the tree. */
static void merge_all(struct triplets *t, enum pace pace)
{
	for (unsigned tree = 0; tree < TREES; tree++) {
		bool did = pace == PACE_AT_ONCE || !t->is_damaged[tree];
		enum ceir_err err = CEIR_OK;
		while (did && !err && !atomic_load_explicit(&t->cancel[tree], memory_order_relaxed)) {
			if (pthread_mutex_trylock(&t->merge_lock[tree]) != 0)
				break; /* who has it wakes this thread afterwards */
			err = merge_tree(t, tree, pace, &t->cancel[tree], &did);
			pthread_mutex_unlock(&t->merge_lock[tree]);
		}
		if (err == CEIR_ECORRUPT || err == CEIR_EIO)
			t->is_damaged[tree] = true;
		if (err && err != CEIR_ECLOSED)
			log_error(ROOM, "%s: segments of tree %u cannot be merged, they stay as they are: %s", t->dir, tree, ceir_err_text(err));
	}
}

/* A delivery changes the store only at its end: until then it is not quiet. */
static bool is_applying(struct triplets *t)
{
	if (pthread_mutex_trylock(&t->apply_lock) != 0)
		return true;
	pthread_mutex_unlock(&t->apply_lock);
	return false;
}

/*
 * Waits until there may be something to merge, and says at which pace; before, *pace is the one that is next. false: look again.
 * t->lock is held, but not while it waits.
 */
static bool wait_for_work(struct triplets *t, enum pace *pace)
{
	if (t->merge_now) {
		t->merge_now = false;
		*pace = PACE_AT_ONCE;
		return true;
	}
	if (*pace == PACES) {
		(void)pthread_cond_wait(&t->merge_wanted, &t->lock);
		return false;
	}
	const int64_t due_us = t->changed_us + t->quiet.us * (*pace == PACE_LONG_QUIET ? LONG_QUIET : 1);
	const struct timespec due = {.tv_sec = (time_t)(due_us / 1000000), .tv_nsec = (long)(due_us % 1000000 * 1000)};
	return pthread_cond_timedwait(&t->merge_wanted, &t->lock, &due) == ETIMEDOUT && !t->merge_now && !t->stop;
}

void *merger_run(void *arg)
{
	struct triplets *t = arg;
	enum pace pace = PACES;

	/* The thread's own priority (Linux): receiving and looking up come first. */
	(void)setpriority(PRIO_PROCESS, (id_t)syscall(SYS_gettid), NICE);
	pthread_mutex_lock(&t->lock);
	while (!t->stop) {
		if (!wait_for_work(t, &pace))
			continue;
		pthread_mutex_unlock(&t->lock);
		const bool is_quiet = pace == PACE_AT_ONCE || !is_applying(t);
		if (is_quiet)
			merge_all(t, pace);
		pthread_mutex_lock(&t->lock);
		if (is_quiet)
			pace++;
		else
			t->changed_us = clock_mono_us();
	}
	pthread_mutex_unlock(&t->lock);
	return NULL;
}

enum ceir_err triplets_compact(struct triplets *t)
{
	enum ceir_err err = triplets_flush(t);

	for (unsigned tree = 0; tree < TREES && !err; tree++) {
		bool did;
		atomic_fetch_add_explicit(&t->cancel[tree], 1, memory_order_relaxed);
		pthread_mutex_lock(&t->merge_lock[tree]);
		atomic_fetch_sub_explicit(&t->cancel[tree], 1, memory_order_relaxed);
		err = merge_tree(t, tree, PACE_ALL, NULL, &did);
		pthread_mutex_unlock(&t->merge_lock[tree]);
	}
	triplets_wake_merger(t);
	return err;
}

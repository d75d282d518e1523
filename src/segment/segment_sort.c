/*
 * segment_sort.c - sort_records(): what is too big for one thread's share is dealt out by all threads together, each its slice of the
 * records; the hands are then taken by whichever thread is free.
 */
#include "segment/segment_sort.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#define THREADS_MAX 64u
#define ALONE_MAX 65536u  /* records one thread sorts before others could help */
#define SHARES 16u        /* a hand is small enough when each thread has that many of its size */

/* Parts still to be sorted. Taken by number once no more are added. */
struct parts {
	struct sort_part *part;
	size_t n, room;
};

struct team {
	const struct sort_job *job;
	unsigned threads;
	struct parts small, big;
	atomic_size_t next;      /* of small; relaxed: the parts were complete before the threads began */
	size_t *count[THREADS_MAX]; /* SORT_DIGITS places, or a workspace: each thread its own */
	/* the deal that is being done, set before the threads begin */
	const struct sort_part *deal;
	struct sort_digit digit;
	uint64_t min[THREADS_MAX], max[THREADS_MAX];
};

struct member {
	struct team *team;
	unsigned number;
	void (*work)(struct team *t, unsigned number);
};

static void *member_run(void *arg)
{
	struct member *m = arg;
	m->work(m->team, m->number);
	return NULL;
}

/* work() for every number below threads, at the same time; for want of a thread, one after the other. */
static void team_run(struct team *t, void (*work)(struct team *, unsigned))
{
	struct member member[THREADS_MAX];
	pthread_t thread[THREADS_MAX];
	bool started[THREADS_MAX] = {false};

	for (unsigned i = 1; i < t->threads; i++) {
		member[i] = (struct member){t, i, work};
		started[i] = thread_start("sort", member_run, &member[i], &thread[i]) == CEIR_OK;
	}
	work(t, 0);
	for (unsigned i = 1; i < t->threads; i++) {
		if (started[i])
			CEIR_ASSERT(pthread_join(thread[i], NULL) == 0);
		else
			work(t, i);
	}
}

static bool parts_add(struct parts *list, const struct sort_part *p)
{
	if (list->n == list->room) {
		const size_t room = list->room ? list->room * 2 : 1024;
		struct sort_part *part = realloc(list->part, room * sizeof *part);
		if (!part)
			return false;
		list->part = part;
		list->room = room;
	}
	list->part[list->n++] = *p;
	return true;
}

/* ---- one part, all threads ------------------------------------------------------------------------------------------- */

static size_t slice(const struct team *t, unsigned i)
{
	const size_t n = t->deal->n;
	return n / t->threads * i + n % t->threads * i / t->threads;
}

static void bounds_work(struct team *t, unsigned i)
{
	const size_t from = slice(t, i), size = t->job->size;
	sort_bounds(t->deal->at + from * size, slice(t, i + 1) - from, size, t->job->words[t->deal->k], &t->min[i], &t->max[i]);
}

static void count_work(struct team *t, unsigned i)
{
	const size_t from = slice(t, i), size = t->job->size;
	memset(t->count[i], 0, SORT_DIGITS * sizeof *t->count[i]);
	sort_count(t->deal->at + from * size, slice(t, i + 1) - from, size, &t->digit, t->count[i]);
}

static void scatter_work(struct team *t, unsigned i)
{
	const size_t from = slice(t, i), size = t->job->size;
	sort_scatter(t->deal->at + from * size, t->deal->other, slice(t, i + 1) - from, size, &t->digit, t->count[i]);
}

static void copy_work(struct team *t, unsigned i)
{
	const size_t from = slice(t, i) * t->job->size, to = slice(t, i + 1) * t->job->size;
	memcpy(t->deal->other + from, t->deal->at + from, to - from);
}

/* The word by which to deal, min and max of it; false: all records are equal. */
static bool word_find(struct team *t, struct sort_part *p, uint64_t *min, uint64_t *max)
{
	for (; p->k < t->job->n_words; p->k++, p->cut = false) {
		team_run(t, bounds_work);
		*min = t->min[0];
		*max = t->max[0];
		for (unsigned i = 1; i < t->threads; i++) {
			*min = t->min[i] < *min ? t->min[i] : *min;
			*max = t->max[i] > *max ? t->max[i] : *max;
		}
		if (*min != *max)
			return true;
	}
	return false;
}

/* Deals a part out; its hands go to the lists. False: memory. */
static bool deal(struct team *t, struct sort_part p, size_t small_max)
{
	uint64_t min, max;
	t->deal = &p;
	if (!word_find(t, &p, &min, &max)) {
		if (!p.stay)
			team_run(t, copy_work);
		return true;
	}
	t->digit = sort_digit_of(t->job, &p, min, max);
	team_run(t, count_work);
	/* Slice after slice in each digit: the order of equals is kept. */
	size_t place = 0;
	for (unsigned d = 0; d <= t->digit.last; d++)
		for (unsigned i = 0; i < t->threads; i++) {
			const size_t n = t->count[i][d];
			t->count[i][d] = place;
			place += n;
		}
	team_run(t, scatter_work);
	const size_t size = t->job->size, *end = t->count[t->threads - 1];
	for (unsigned d = 0; d <= t->digit.last; d++) {
		const size_t from = d ? end[d - 1] : 0;
		const struct sort_part hand = {p.other + from * size, p.at + from * size, end[d] - from, p.k, p.cut, !p.stay};
		if (hand.n > 0 && !parts_add(hand.n > small_max ? &t->big : &t->small, &hand))
			return false;
	}
	return true;
}

/* ---- many parts, each one thread --------------------------------------------------------------------------------------- */

static void small_work(struct team *t, unsigned number)
{
	for (;;) {
		const size_t i = atomic_fetch_add_explicit(&t->next, 1, memory_order_relaxed);
		if (i >= t->small.n)
			return;
		sort_sequential(t->job, t->small.part[i], t->count[number]);
	}
}

static enum ceir_err sort_together(struct team *t, const struct sort_part *all)
{
	const size_t share = all->n / ((size_t)t->threads * SHARES), small_max = share > ALONE_MAX ? share : ALONE_MAX;
	if (!parts_add(all->n > small_max ? &t->big : &t->small, all))
		return CEIR_ENOMEM;
	while (t->big.n > 0) {
		const struct sort_part p = t->big.part[--t->big.n];
		if (!deal(t, p, small_max))
			return CEIR_ENOMEM;
	}
	team_run(t, small_work);
	return CEIR_OK;
}

enum ceir_err sort_records(void *records, void *scratch, size_t n, size_t size, const unsigned *words, unsigned n_words, unsigned threads)
{
	const struct sort_job job = {size, words, n_words};
	const struct sort_part all = {records, scratch, n, 0, false, true};
	struct team t = {.job = &job, .threads = threads < THREADS_MAX ? threads : THREADS_MAX};
	enum ceir_err err = CEIR_ENOMEM;

	CEIR_ASSERT(size >= 16 && size <= 64 && size % 8 == 0 && threads > 0 && n_words > 0);
	for (unsigned k = 0; k < n_words; k++)
		CEIR_ASSERT(words[k] < size / 8);
	if (n <= ALONE_MAX)
		t.threads = 1;
	for (unsigned i = 0; i < t.threads; i++) {
		t.count[i] = malloc(sort_workspace(&job) * sizeof *t.count[i]);
		if (!t.count[i])
			goto out;
	}
	if (t.threads == 1)
		sort_sequential(&job, all, t.count[0]);
	else if (sort_together(&t, &all))
		goto out;
	err = CEIR_OK;
out:
	for (unsigned i = 0; i < t.threads; i++)
		free(t.count[i]);
	free(t.small.part);
	free(t.big.part);
	return err;
}

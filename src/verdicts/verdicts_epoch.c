/*
 * verdicts_epoch.c - when memory that readers may still hold is given back: epochs.
 *
 * The writer first unlinks an array (seq_cst store of the new address), then retires it with the present epoch e.
 * verdicts_reclaim() moves the epoch to e + 1 and frees what was retired at e or before, unless a reader stands in an epoch
 * <= e. Why no reader can hold what is freed - U is the unlinking store, L the look of reclaim at a reader's epoch:
 *
 * 1. L sees 0, or a value from an earlier visit of the reader. Then L comes before the store of the present visit's
 *    verdicts_enter() in the one order of all seq_cst operations; U comes before L (same thread); the reader's loads of
 *    addresses are seq_cst and come after its store. So they come after U and find the new address. What the reader did in
 *    the earlier visit happened before its store that L read (release, acquire), hence before the free.
 * 2. L sees an epoch x > e of the present visit. The reader loaded x from a store that the writer made after U; that load
 *    acquires, so the reader's later loads find the new address.
 * 3. L sees x <= e: nothing retired at x or later is freed.
 *
 * No fences are needed, and on x86-64 the price is one locked instruction in verdicts_enter().
 */
#include "verdicts/verdicts_internal.h"

#include <stdlib.h>
#include <string.h>

enum ceir_err verdicts_epoch_reserve(struct verdicts *t)
{
	if (t->n_retired < t->cap_retired)
		return CEIR_OK;
	size_t cap = t->cap_retired ? t->cap_retired : 32;
	size_t bytes;
	if (!size_mul(cap, 2 * sizeof *t->retired, &bytes))
		return CEIR_ENOMEM;
	void *grown = realloc(t->retired, bytes);
	if (!grown)
		return CEIR_ENOMEM;
	t->retired = grown;
	t->cap_retired = 2 * cap;
	return CEIR_OK;
}

void verdicts_epoch_retire(struct verdicts *t, void *memory, size_t bytes)
{
	CEIR_ASSERT(t->n_retired < t->cap_retired);
	t->retired[t->n_retired++] = (struct verdicts_retired){
		.memory = memory, .bytes = bytes, .epoch = atomic_load_explicit(&t->epoch, memory_order_relaxed)};
}

void verdicts_epoch_clear(struct verdicts *t)
{
	CEIR_ASSERT(!t->readers);
	for (size_t i = 0; i < t->n_retired; i++)
		free(t->retired[i].memory);
	free(t->retired);
}

/* The oldest epoch in which a reader stands; `now` when there is none older. */
static uint64_t oldest_reader(struct verdicts *t, uint64_t now)
{
	uint64_t oldest = now;
	pthread_mutex_lock(&t->readers_lock);
	for (struct verdicts_reader *r = t->readers; r; r = r->next) {
		uint64_t epoch = atomic_load_explicit(&r->epoch, memory_order_seq_cst);
		if (epoch && epoch < oldest)
			oldest = epoch;
	}
	pthread_mutex_unlock(&t->readers_lock);
	return oldest;
}

void verdicts_reclaim(struct verdicts *t)
{
	if (t->n_retired == 0)
		return;
	uint64_t now = atomic_load_explicit(&t->epoch, memory_order_relaxed) + 1;
	atomic_store_explicit(&t->epoch, now, memory_order_seq_cst);
	uint64_t oldest = oldest_reader(t, now);
	size_t n = 0;
	while (n < t->n_retired && t->retired[n].epoch < oldest) {
		verdicts_uncount(t, t->retired[n].bytes);
		free(t->retired[n++].memory);
	}
	t->n_retired -= n;
	memmove(t->retired, t->retired + n, t->n_retired * sizeof *t->retired);
}

struct verdicts_reader *verdicts_reader_new(struct verdicts *t)
{
	void *memory;
	if (posix_memalign(&memory, VERDICTS_CACHE_LINE, sizeof(struct verdicts_reader)))
		return NULL;
	struct verdicts_reader *r = memory;
	memset(r, 0, sizeof *r);
	atomic_init(&r->epoch, 0);
	r->table = t;
	pthread_mutex_lock(&t->readers_lock);
	r->next = t->readers;
	if (r->next)
		r->next->before = r;
	t->readers = r;
	pthread_mutex_unlock(&t->readers_lock);
	return r;
}

void verdicts_reader_free(struct verdicts_reader *r)
{
	if (!r)
		return;
	CEIR_ASSERT(atomic_load_explicit(&r->epoch, memory_order_relaxed) == 0);
	pthread_mutex_lock(&r->table->readers_lock);
	if (r->before)
		r->before->next = r->next;
	else
		r->table->readers = r->next;
	if (r->next)
		r->next->before = r->before;
	pthread_mutex_unlock(&r->table->readers_lock);
	free(r);
}

void verdicts_enter(struct verdicts_reader *r)
{
	CEIR_ASSERT(atomic_load_explicit(&r->epoch, memory_order_relaxed) == 0);
	uint64_t epoch = atomic_load_explicit(&r->table->epoch, memory_order_acquire);
	atomic_store_explicit(&r->epoch, epoch, memory_order_seq_cst);
}

void verdicts_leave(struct verdicts_reader *r)
{
	atomic_store_explicit(&r->epoch, 0, memory_order_release);
}

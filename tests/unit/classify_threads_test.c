/*
 * The classification with everything at once: one thread runs, notes and switches as the register's writer does, others look
 * records up, scan them all, touch what was seen, and sightings and verdicts come in. Meant for ThreadSanitizer as much as for
 * the asserts.
 */
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "classify_world.h"
#include "test_amount.h"

#define ROUNDS TEST_AMOUNT(25u, 12u)
#define NOTES 40u
#define MARK_FIRST 500000u   /* IMEIs that only this test notes, under a TAC of their own */
#define MARK_TAC 35999999u
#define MARKS 2000u

static struct world *w;
static _Atomic bool stop;
static _Atomic unsigned marked;  /* so many marks were noted */
static _Atomic uint64_t looks, scans, touches, wrong;

static uint64_t mark_of(unsigned i)
{
	return imei_make((struct tac){MARK_TAC}, MARK_FIRST + i * 7919 % 100000).n;
}

/* Never the same twice, so that a lost or mixed-up record shows. */
static struct policy_class mark_record(unsigned i)
{
	return (struct policy_class){.mask = 4, .since_day = WORLD_DAY + 1, .block_day = WORLD_DAY + 1000 + (int32_t)i,
		.genuine_imsi = i + 1};
}

static void *look_up_all_the_time(void *arg)
{
	(void)arg;
	uint64_t n = 0;
	while (!atomic_load(&stop)) {
		unsigned have = atomic_load_explicit(&marked, memory_order_acquire);
		unsigned i = have ? (unsigned)(n * 31 % have) : 0;
		struct policy_class record, right = mark_record(i);
		if (have && (!classify_get(w->c, mark_of(i), &record) || !world_same_record(&record, &right)))
			atomic_fetch_add(&wrong, 1);
		if (classify_get(w->c, mark_of(i) + 1000000, &record))
			atomic_fetch_add(&wrong, 1);
		(void)classify_is_newer(w->c, mark_of(i));
		n++;
	}
	atomic_fetch_add(&looks, n);
	return NULL;
}

struct scanning {
	uint64_t next;
	unsigned marks;
};

static enum ceir_err on_record(void *ctx, uint64_t imei, const struct policy_class *record)
{
	struct scanning *s = ctx;
	if (imei < s->next || record->since_day < WORLD_DAY)
		atomic_fetch_add(&wrong, 1);
	s->next = imei + 1;
	s->marks += imei / IMEI_SERIALS == MARK_TAC;
	return CEIR_OK;
}

static void *scan_all_the_time(void *arg)
{
	(void)arg;
	while (!atomic_load(&stop)) {
		struct scanning s = {0};
		uint64_t in_file, in_memory;
		unsigned least = atomic_load_explicit(&marked, memory_order_acquire);
		if (classify_scan(w->c, 0, on_record, &s) || s.marks < least)
			atomic_fetch_add(&wrong, 1);
		classify_count(w->c, &in_file, &in_memory);
		atomic_fetch_add(&scans, 1);
	}
	return NULL;
}

static void *touch_all_the_time(void *arg)
{
	(void)arg;
	uint64_t imeis[20];
	struct classify_change changes[20];
	for (unsigned round = 0; !atomic_load(&stop); round++) {
		struct world_env e;
		size_t n = 0, at = round * 20 % (WORLD_DEVICES - 20);
		for (unsigned i = 0; i < 20; i++)
			imeis[i] = w->device[at + i].imei;
		world_env_new(w, w->policies[0], round % 2, &e);
		if (classify_touch(w->c, &e.env, imeis, 20, changes, &n) || n > 20)
			atomic_fetch_add(&wrong, 1);
		world_env_free(&e);
		atomic_fetch_add(&touches, 1);
	}
	return NULL;
}

/* The register's writer beside a run: notes, verdicts. */
static void *run_once(void *arg)
{
	struct classify_run **r = arg;
	struct world_env e;
	char name[32];
	snprintf(name, sizeof name, "class-%u.seg", ++w->files);
	world_env_new(w, w->policies[0], true, &e);
	if (classify_run_new(w->c, &e.env, 2, name, w->files % 5 == 0, NULL, r))
		atomic_fetch_add(&wrong, 1);
	world_env_free(&e);
	return NULL;
}

static void note_marks(unsigned n)
{
	const struct verdict grey = {.colour = VERDICT_GREY, .reason = VERDICT_UNREGISTERED_SEEN};
	for (unsigned i = 0; i < n; i++) {
		unsigned at = atomic_load_explicit(&marked, memory_order_relaxed);
		if (at == MARKS)
			return;
		const struct policy_class record = mark_record(at);
		const struct imei imei = {mark_of(at)};
		assert_int_equal(classify_note(w->c, imei.n, &record), CEIR_OK);
		assert_int_equal(verdicts_set(w->verdicts, imei, grey), CEIR_OK);
		verdicts_reclaim(w->verdicts);
		atomic_store_explicit(&marked, at + 1, memory_order_release);
		sched_yield();
	}
}

static void take_changes(struct classify_run *r)
{
	static struct classify_change changes[500];
	size_t n;
	do {
		assert_int_equal(classify_run_next(r, changes, CEIR_COUNT(changes), &n), CEIR_OK);
		for (size_t i = 0; i < n; i++) {
			if (changes[i].derive || changes[i].imei > IMEI_MAX || classify_is_newer(w->c, changes[i].imei))
				continue;
			const struct imei imei = {changes[i].imei};
			assert_int_equal(verdicts_set(w->verdicts, imei, verdict_unpack(changes[i].after)), CEIR_OK);
		}
	} while (n);
	verdicts_reclaim(w->verdicts);
}

static void everything_at_once(void **state)
{
	(void)state;
	static void *(*const busy[])(void *) = {look_up_all_the_time, look_up_all_the_time, scan_all_the_time, touch_all_the_time};
	pthread_t threads[CEIR_COUNT(busy)], runner;
	uint64_t seen[200];
	w = malloc(sizeof *w);
	assert_non_null(w);
	world_new(w, 5);
	w->day++;
	world_see(w, 200, seen);
	for (size_t i = 0; i < CEIR_COUNT(busy); i++)
		assert_int_equal(pthread_create(&threads[i], NULL, busy[i], NULL), 0);
	for (unsigned round = 0; round < ROUNDS; round++) {
		struct classify_run *r = NULL;
		note_marks(NOTES / 2);
		assert_int_equal(pthread_create(&runner, NULL, run_once, &r), 0);
		note_marks(NOTES);
		world_see(w, 100, seen);
		pthread_join(runner, NULL);
		assert_non_null(r);
		note_marks(NOTES / 4);
		if (w->files % 5 && round % 7 != 3) {
			take_changes(r);
			assert_int_equal(classify_switch(w->c, r), CEIR_OK);
		}
		classify_run_free(r);
	}
	atomic_store(&stop, true);
	for (size_t i = 0; i < CEIR_COUNT(busy); i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(atomic_load(&wrong), 0);
	assert_true(atomic_load(&looks) && atomic_load(&scans) && atomic_load(&touches));
	for (unsigned i = 0; i < atomic_load(&marked); i++) {
		struct policy_class record, right = mark_record(i);
		assert_true(classify_get(w->c, mark_of(i), &record));
		assert_true(world_same_record(&record, &right));
	}
	world_free(w);
	free(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(everything_at_once),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/*
 * The triplet store with threads: views read while sightings come, deliveries are applied and segments merged. What was acknowledged
 * before a view was taken is in it, whole. Meant for ThreadSanitizer as much as for the asserts.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "triplets_world.h"

#define RUN_US (4 * 1000000ll)
#define MEMORY_BYTES (256u << 10)
#define BATCH 200u

static struct triplets *store;
static _Atomic bool stop;
static _Atomic uint32_t sighted[2], applied; /* rounds that were acknowledged */
static _Atomic uint64_t looks, wrong;

/* Thread `who` makes round k: its rows are no other's. */
static struct sighting row_of(unsigned who, uint32_t k, unsigned i)
{
	uint64_t n = ((uint64_t)k * BATCH + i) * 3 + who;

	return (struct sighting){.imei = 35000000000000u + n * 7919 % 100000, .imsi = triplet_imsi_key((struct imsi){255010000000000u + n, 15}),
		.msisdn = triplet_msisdn_key((struct msisdn){380500000000u + n, 12}), .at_s = WORLD_BEGIN_S + k};
}

static void fill(unsigned who, uint32_t k, struct sighting rows[BATCH])
{
	for (unsigned i = 0; i < BATCH; i++)
		rows[i] = row_of(who, k, i);
}

static void ignore(void *ctx, const uint64_t *imeis, size_t n)
{
	(void)imeis;
	*(uint64_t *)ctx += n;
}

static void *sight_thread(void *arg)
{
	unsigned who = *(unsigned *)arg;
	struct sighting rows[BATCH];
	uint64_t n = 0;

	for (uint32_t k = 0; !atomic_load(&stop); k++) {
		fill(who, k, rows);
		if (triplets_sight(store, 1, 2 * k + who + 1, rows, NULL, BATCH, ignore, &n) != CEIR_OK)
			atomic_fetch_add(&wrong, 1);
		atomic_store(&sighted[who], k + 1);
	}
	return NULL;
}

static void *apply_thread(void *arg)
{
	struct sighting rows[BATCH];
	struct triplets_intake *in;
	struct triplets_counts c;
	uint64_t id, n = 0;

	(void)arg;
	for (uint32_t k = 0; !atomic_load(&stop); k++) {
		fill(2, k, rows);
		if (triplets_intake_new(store, 1, &in) != CEIR_OK || triplets_intake_add(in, rows, NULL, BATCH) != CEIR_OK ||
			triplets_intake_stage(in, &id) != CEIR_OK || triplets_apply(store, id, k % 3 == 0, ignore, &n, &c) != CEIR_OK ||
			c.fresh != BATCH || triplets_forget(store, id) != CEIR_OK)
			atomic_fetch_add(&wrong, 1);
		atomic_store(&applied, k + 1);
	}
	return NULL;
}

static void *compact_thread(void *arg)
{
	struct triplets_stats s;

	(void)arg;
	while (!atomic_load(&stop)) {
		if (triplets_compact(store) != CEIR_OK)
			atomic_fetch_add(&wrong, 1);
		triplets_get_stats(store, &s);
	}
	return NULL;
}

struct counted {
	struct sighting must;
	unsigned n;
};

static enum ceir_err count(void *ctx, const struct triplet *t)
{
	struct counted *c = ctx;

	c->n += t->imei == c->must.imei && t->imsi == c->must.imsi && t->msisdn == c->must.msisdn && t->last_s == c->must.at_s;
	return CEIR_OK;
}

static enum ceir_err count_rows(void *ctx, const struct triplet *rows, size_t n)
{
	(void)rows;
	*(uint64_t *)ctx += n;
	return CEIR_OK;
}

static void *read_thread(void *arg)
{
	uint64_t seed = *(unsigned *)arg;

	for (unsigned round = 0; !atomic_load(&stop); round++) {
		uint32_t rounds[3] = {atomic_load(&sighted[0]), atomic_load(&sighted[1]), atomic_load(&applied)};
		struct triplets_view *v = triplets_view_new(store);
		for (unsigned i = 0; v && i < 100; i++) {
			unsigned who = i % 3;
			if (rounds[who] == 0)
				continue;
			struct counted c = {.must = row_of(who, (uint32_t)(world_random(&seed) % rounds[who]), (unsigned)(world_random(&seed) % BATCH))};
			enum ceir_err err = i % 7 < 3   ? triplets_by_imei(v, c.must.imei, NULL, 0, count, &c)
					    : i % 7 < 5 ? triplets_by_imsi(v, c.must.imsi, 0, count, &c)
							: triplets_by_msisdn(v, c.must.msisdn, 0, count, &c);
			if (err != CEIR_OK || c.n != 1)
				atomic_fetch_add(&wrong, 1);
			atomic_fetch_add(&looks, 1);
		}
		uint64_t n = 0, bounds[3];
		if (v && round % 16 == 0) {
			triplets_split(v, 2, bounds);
			if (triplets_scan(v, bounds[0], bounds[1] - (bounds[1] > 0), count_rows, &n) != CEIR_OK ||
				triplets_scan(v, bounds[1], UINT64_MAX, count_rows, &n) != CEIR_OK)
				atomic_fetch_add(&wrong, 1);
			if (bounds[1] > 0 && n < ((uint64_t)rounds[0] + rounds[1] + rounds[2]) * BATCH)
				atomic_fetch_add(&wrong, 1);
		}
		if (!v)
			atomic_fetch_add(&wrong, 1);
		triplets_view_free(v);
	}
	return NULL;
}

static void test_threads(void **state)
{
	static unsigned numbers[] = {0, 1, 2, 3};
	void *(*const runs[])(void *) = {sight_thread, sight_thread, apply_thread, compact_thread, read_thread, read_thread};
	pthread_t threads[CEIR_COUNT(runs)];
	char *dir = world_folder();
	struct triplets_settings s = world_settings(dir, MEMORY_BYTES);

	(void)state;
	world_quiet_us(1000);
	assert_int_equal(triplets_open(&s, &store), CEIR_OK);
	for (unsigned i = 0; i < CEIR_COUNT(runs); i++)
		assert_int_equal(thread_start("test", runs[i], &numbers[i % 4], &threads[i]), CEIR_OK);
	for (int64_t end_us = clock_mono_us() + RUN_US; clock_mono_us() < end_us;)
		assert_int_equal(triplets_verify(dir, NULL, NULL), CEIR_OK); /* while the server runs */
	atomic_store(&stop, true);
	for (unsigned i = 0; i < CEIR_COUNT(runs); i++)
		assert_int_equal(pthread_join(threads[i], NULL), 0);
	printf("%llu look-ups, %u + %u batches, %u deliveries\n", (unsigned long long)looks, sighted[0], sighted[1], applied);
	assert_int_equal(wrong, 0);
	assert_true(looks > 0 && sighted[0] > 0 && sighted[1] > 0 && applied > 0);
	triplets_close(store);
	world_verify(dir);
	world_remove(dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_threads)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

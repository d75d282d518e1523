/*
 * The verdict table with threads: readers look up while the writer grows, changes and reclaims; loaders fill in parallel.
 * Meant for ThreadSanitizer as much as for the asserts.
 */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "verdicts/verdicts.h"

#define READERS 3
#define TACS 64u
#define STABLE 40u     /* serial numbers per TAC set before the readers start, never changed */
#define FIRST_LIVE 500000u
#define ROUNDS 4000u

static struct verdicts *table;
static _Atomic bool stop;
static _Atomic uint32_t published; /* live serial numbers below this are set in every TAC */
static _Atomic uint64_t looks, wrong;

static struct imei imei_of(uint32_t tac, uint32_t serial)
{
	return imei_make((struct tac){35000000 + tac * 7}, serial);
}

/* A verdict that can be told from the IMEI, so that a mixed-up word shows. */
static struct verdict verdict_of(uint32_t tac, uint32_t serial)
{
	return verdict_unpack((uint16_t)((tac * 31 + serial * 7) % 0x3ff + 1));
}

static bool right(uint32_t tac, uint32_t serial)
{
	struct verdict v;
	return verdicts_get_entry(table, imei_of(tac, serial), &v) && verdict_pack(v) == verdict_pack(verdict_of(tac, serial));
}

/*
 * Stable keys, what was published before the visit began, a TAC that may be added just now, a flickering key that has one
 * of two values, and absent ones.
 */
static bool look_around(uint32_t n)
{
	uint32_t tac = n % TACS;
	uint32_t live = atomic_load_explicit(&published, memory_order_acquire);
	struct verdict v;
	if (!right(tac, n / TACS % STABLE))
		return false;
	if (live && !right(tac, FIRST_LIVE + n / TACS % live))
		return false;
	struct imei fresh = imei_make((struct tac){n * 7 % ROUNDS}, 1);
	if (verdicts_get(table, fresh, &v) && verdict_pack(v) != verdict_pack(verdict_of(0, 1)))
		return false;
	if (!verdicts_get(table, imei_of(tac, 900000), &v) || (v.reason != VERDICT_STOLEN && v.reason != VERDICT_LOST))
		return false;
	return !verdicts_get_entry(table, imei_of(tac, 999999), &v) && !verdicts_get(table, imei_of(tac + 1000000, 0), &v);
}

static void *read_all_the_time(void *arg)
{
	(void)arg;
	struct verdicts_reader *r = verdicts_reader_new(table);
	uint32_t n = 0;
	while (r && !atomic_load(&stop)) {
		verdicts_enter(r);
		for (unsigned i = 0; i < 50; i++)
			if (!look_around(n++))
				atomic_fetch_add(&wrong, 1);
		verdicts_leave(r);
		if (n % 5000 == 0) { /* sessions come and go */
			verdicts_reader_free(r);
			r = verdicts_reader_new(table);
		}
	}
	verdicts_reader_free(r);
	atomic_fetch_add(&looks, n);
	return NULL;
}

static void write_round(uint32_t round)
{
	for (uint32_t tac = 0; tac < TACS; tac++) {
		enum verdict_reason reason = round % 2 ? VERDICT_STOLEN : VERDICT_LOST;
		struct verdict flicker = {.colour = VERDICT_BLACK, .reason = (uint8_t)reason};
		struct verdict barred = {.colour = round % 3 ? VERDICT_BLACK : VERDICT_UNKNOWN, .reason = VERDICT_BARRED_TAC};
		uint32_t live = FIRST_LIVE + round;
		assert_int_equal(verdicts_set(table, imei_of(tac, 900000), flicker), CEIR_OK);
		assert_int_equal(verdicts_set(table, imei_of(tac, live), verdict_of(tac, live)), CEIR_OK);
		assert_int_equal(verdicts_set_tac(table, imei_tac(imei_of(tac, 0)), barred), CEIR_OK);
	}
	/* New TACs, so that the directory grows too; far away from those that readers expect to be unknown. */
	assert_int_equal(verdicts_set(table, imei_make((struct tac){round}, 1), verdict_of(0, 1)), CEIR_OK);
	atomic_store_explicit(&published, round + 1, memory_order_release);
	verdicts_reclaim(table);
}

static void readers_beside_the_writer(void **state)
{
	(void)state;
	table = verdicts_new();
	assert_non_null(table);
	const struct verdict lost = {.colour = VERDICT_BLACK, .reason = VERDICT_LOST};
	for (uint32_t tac = 0; tac < TACS; tac++) {
		for (uint32_t s = 0; s < STABLE; s++)
			assert_int_equal(verdicts_load(table, imei_of(tac, s), verdict_of(tac, s)), CEIR_OK);
		assert_int_equal(verdicts_load(table, imei_of(tac, 900000), lost), CEIR_OK);
	}
	pthread_t threads[READERS];
	for (unsigned i = 0; i < READERS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, read_all_the_time, NULL), 0);
	for (uint32_t round = 0; round < ROUNDS; round++)
		write_round(round);
	atomic_store(&stop, true);
	for (unsigned i = 0; i < READERS; i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(atomic_load(&wrong), 0);
	assert_true(atomic_load(&looks) > 0);
	verdicts_free(table);
}

/* Memory stays while a reader is inside, and goes when it has left; a reader that entered later does not hold it. */
static void reclaim_waits_for_the_reader(void **state)
{
	(void)state;
	table = verdicts_new();
	assert_non_null(table);
	struct verdicts_reader *early = verdicts_reader_new(table), *late = verdicts_reader_new(table);
	assert_true(early && late);
	uint64_t entries, kept, freed;
	verdicts_enter(early);
	for (uint32_t s = 0; s < 400000; s++)
		assert_int_equal(verdicts_set(table, imei_of(0, s), verdict_of(0, s)), CEIR_OK);
	verdicts_reclaim(table);
	verdicts_stat(table, &entries, &kept);
	assert_true(kept > 4000000);
	verdicts_enter(late);
	assert_true(right(0, 399999));
	verdicts_reclaim(table);
	verdicts_stat(table, &entries, &freed);
	assert_int_equal(freed, kept);
	verdicts_leave(early);
	verdicts_reclaim(table);
	verdicts_stat(table, &entries, &freed);
	assert_true(freed < 2200000);
	assert_true(right(0, 0) && right(0, 399999));
	verdicts_leave(late);
	verdicts_reader_free(early);
	verdicts_reader_free(late);
	verdicts_reader_free(NULL);
	verdicts_free(table);
}

static void *load_half(void *arg)
{
	uint32_t half = *(const uint32_t *)arg;
	for (uint32_t tac = half; tac < 3000; tac += 2)
		for (uint32_t s = 0; s < 20; s++)
			if (verdicts_load(table, imei_of(tac, s), verdict_of(tac, s)))
				return arg;
	return NULL;
}

static void loaders_side_by_side(void **state)
{
	(void)state;
	table = verdicts_new();
	assert_non_null(table);
	uint32_t halves[2] = {0, 1};
	pthread_t threads[2];
	for (unsigned i = 0; i < 2; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, load_half, &halves[i]), 0);
	for (unsigned i = 0; i < 2; i++) {
		void *failed;
		pthread_join(threads[i], &failed);
		assert_null(failed);
	}
	for (uint32_t tac = 0; tac < 3000; tac++)
		for (uint32_t s = 0; s < 20; s++)
			assert_true(right(tac, s));
	uint64_t entries, bytes;
	verdicts_stat(table, &entries, &bytes);
	assert_int_equal(entries, 60000);
	verdicts_free(table);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(readers_beside_the_writer),
		cmocka_unit_test(reclaim_waits_for_the_reader),
		cmocka_unit_test(loaders_side_by_side),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

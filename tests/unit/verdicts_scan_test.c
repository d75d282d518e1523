/*
 * The verdict table in the order of IMEIs: against a naive list, through every form of a TAC's words, what `row` means, and
 * while the writer grows everything (for ThreadSanitizer).
 */
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "verdicts/verdicts.h"

#include "test_amount.h"

static uint64_t random_state = 0x2545f4914f6cdd1du;

static uint32_t random_below(uint32_t n)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return (uint32_t)((random_state >> 32) * n >> 32);
}

static struct imei imei_of(uint32_t tac, uint32_t serial)
{
	return imei_make((struct tac){tac}, serial);
}

static bool same(struct verdict a, struct verdict b)
{
	return verdict_pack(a) == verdict_pack(b) && a.row == b.row;
}

/* What the scan said, in order. */
struct seen {
	struct verdicts_item *items;
	size_t n, cap, calls, stop_after;
};

static enum ceir_err take(void *ctx, const struct verdicts_item *items, size_t n)
{
	struct seen *s = ctx;
	s->calls++;
	if (s->stop_after && s->calls > s->stop_after)
		return CEIR_ECLOSED;
	assert_true(n > 0);
	for (size_t i = 0; i < n; i++) {
		if (s->n == s->cap) {
			s->cap = s->cap ? 2 * s->cap : 1024;
			s->items = realloc(s->items, s->cap * sizeof *s->items);
			assert_non_null(s->items);
		}
		s->items[s->n++] = items[i];
	}
	return CEIR_OK;
}

/* TACs with a few, hundreds, thousands of entries, and enough for the dense form. */
static const uint32_t tacs[] = {99999999, 7, 0, 35210605, 86000000, 35210606, 1024003};
static const uint32_t counts[] = {3, 8, 47, 300, 20000, 1, 300000};
#define TACS CEIR_COUNT(tacs)
static uint16_t model[TACS][IMEI_SERIALS]; /* 0x400: row, else packed */

static struct verdicts *random_table(void)
{
	struct verdicts *t = verdicts_new();
	assert_non_null(t);
	for (size_t i = 0; i < TACS; i++) {
		for (uint32_t k = 0; k < counts[i]; k++) {
			uint32_t serial = random_below(4) ? random_below(IMEI_SERIALS) : k % 2 ? IMEI_SERIALS - 1 - k : k;
			uint16_t bits = (uint16_t)(random_below(20) ? random_below(0x800) : random_below(2) * 0x400u);
			struct verdict v = verdict_unpack(bits);
			v.row = (bits & 0x400) != 0;
			struct imei imei = imei_of(tacs[i], serial);
			assert_int_equal(k % 2 ? verdicts_load(t, imei, v) : verdicts_set(t, imei, v), CEIR_OK);
			model[i][serial] = bits;
		}
	}
	verdicts_reclaim(t);
	return t;
}

static size_t tac_index(uint32_t rank)
{
	size_t best = 0;
	for (size_t i = 0; i < TACS; i++) {
		uint32_t below = 0;
		for (size_t k = 0; k < TACS; k++)
			below += tacs[k] < tacs[i];
		if (below == rank)
			best = i;
	}
	return best;
}

static void compare(const struct verdicts *t, struct verdicts_reader *r, struct imei from, struct imei to, unsigned colours)
{
	struct seen seen = {0};
	assert_int_equal(verdicts_scan(t, r, from, to, colours, take, &seen), CEIR_OK);
	size_t n = 0;
	for (uint32_t rank = 0; rank < TACS; rank++) {
		size_t i = tac_index(rank);
		for (uint32_t s = 0; s < IMEI_SERIALS; s++) {
			struct imei imei = imei_of(tacs[i], s);
			if (model[i][s] == 0 || !(colours >> (model[i][s] & 3) & 1) || imei.n < from.n || imei.n > to.n)
				continue;
			if (n >= seen.n || seen.items[n].imei.n != imei.n || verdict_pack(seen.items[n].verdict) != (model[i][s] & 0x3ff) ||
				seen.items[n].verdict.row != (model[i][s] >> 10 & 1))
				fail_msg("TAC %u serial %u is not item %zu of %zu", tacs[i], s, n, seen.n);
			n++;
		}
	}
	assert_int_equal(n, seen.n);
	free(seen.items);
}

static void against_a_naive_list(void **state)
{
	(void)state;
	struct verdicts *t = random_table();
	struct verdicts_reader *r = verdicts_reader_new(t);
	assert_non_null(r);
	const struct imei low = {0}, high = {IMEI_MAX};
	for (unsigned colours = 0; colours < 16; colours += 3)
		compare(t, r, low, high, colours);
	for (unsigned i = 0; i < 20; i++) {
		struct imei a = imei_of(tacs[random_below(TACS)], random_below(IMEI_SERIALS));
		struct imei b = imei_of(tacs[random_below(TACS)], random_below(IMEI_SERIALS));
		compare(t, r, a.n < b.n ? a : b, a.n < b.n ? b : a, random_below(16));
	}
	compare(t, r, imei_of(7, 0), imei_of(7, 999999), 15);
	compare(t, r, high, (struct imei){UINT64_MAX}, 15);
	struct seen none = {0};
	assert_int_equal(verdicts_scan(t, r, high, low, 15, take, &none), CEIR_OK);
	assert_int_equal(none.calls, 0);
	struct seen stopped = {.stop_after = 2};
	assert_int_equal(verdicts_scan(t, r, low, high, 15, take, &stopped), CEIR_ECLOSED);
	assert_int_equal(stopped.calls, 3);
	free(stopped.items);
	verdicts_reader_free(r);
	verdicts_free(t);
}

static void an_empty_table_has_nothing_to_scan(void **state)
{
	(void)state;
	struct verdicts *t = verdicts_new();
	struct verdicts_reader *r = verdicts_reader_new(t);
	assert_true(t && r);
	struct seen none = {0};
	assert_int_equal(verdicts_scan(t, r, (struct imei){0}, (struct imei){IMEI_MAX}, 15, take, &none), CEIR_OK);
	assert_int_equal(none.calls, 0);
	verdicts_reader_free(r);
	verdicts_free(t);
}

/* `row` is kept and told, and never makes an entry of what is none. */
static void row_is_kept_and_told(void **state)
{
	(void)state;
	struct verdicts *t = verdicts_new();
	assert_non_null(t);
	const struct verdict white = {.colour = VERDICT_WHITE, .reason = VERDICT_REGISTERED, .registered = true, .row = true};
	const struct verdict grey = {.colour = VERDICT_GREY, .reason = VERDICT_UNREGISTERED_SEEN};
	const struct verdict bare = {.row = true};
	const struct verdict barred = {.colour = VERDICT_BLACK, .reason = VERDICT_BARRED_TAC};
	assert_int_equal(verdict_pack(white), 0x105); /* what is stored does not say it */
	assert_false(verdict_unpack(0xffff).row);
	struct verdict v, many[3], entries[3], of_tac[3];
	const struct imei imeis[3] = {imei_of(1, 1), imei_of(1, 2), imei_of(1, 3)};
	assert_int_equal(verdicts_set(t, imeis[0], white), CEIR_OK);
	assert_int_equal(verdicts_load(t, imeis[1], bare), CEIR_OK);
	assert_int_equal(verdicts_set(t, imeis[2], grey), CEIR_OK);
	assert_true(verdicts_get(t, imeis[0], &v) && same(v, white));
	assert_true(verdicts_get_entry(t, imeis[0], &v) && same(v, white));
	assert_false(verdicts_get(t, imeis[1], &v));
	assert_true(same(v, bare));
	assert_false(verdicts_get_entry(t, imeis[1], &v));
	assert_true(same(v, bare));
	assert_true(verdicts_get(t, imeis[2], &v) && same(v, grey));
	assert_int_equal(verdicts_set_tac(t, (struct tac){1}, barred), CEIR_OK);
	verdicts_get_many(t, imeis, 3, many);
	verdicts_get_apart(t, imeis, 3, entries, of_tac);
	for (unsigned i = 0; i < 3; i++) {
		assert_int_equal(many[i].reason, VERDICT_BARRED_TAC);
		assert_int_equal(many[i].row, i < 2);
		assert_true(same(entries[i], i == 0 ? white : i == 1 ? bare : grey));
		assert_true(same(of_tac[i], barred));
	}
	assert_int_equal(verdicts_set(t, imeis[0], (struct verdict){0}), CEIR_OK);
	assert_false(verdicts_get_entry(t, imeis[0], &v) || v.row);
	verdicts_free(t);
}

static void many_apart_are_what_one_by_one_are(void **state)
{
	(void)state;
	struct verdicts *t = random_table();
	const struct verdict barred_tac = {.colour = VERDICT_BLACK, .reason = VERDICT_BARRED_TAC};
	for (size_t i = 0; i < TACS; i += 2)
		assert_int_equal(verdicts_set_tac(t, (struct tac){tacs[i]}, barred_tac), CEIR_OK);
	enum { N = 10007 };
	static struct imei imeis[N];
	static struct verdict entries[N], of_tac[N];
	for (size_t i = 0; i < N; i++)
		imeis[i] = imei_of(tacs[random_below(TACS)] ^ (random_below(5) == 0), random_below(IMEI_SERIALS));
	verdicts_get_apart(t, imeis, N, entries, of_tac);
	for (size_t i = 0; i < N; i++) {
		struct verdict entry, both;
		verdicts_get_entry(t, imeis[i], &entry);
		assert_true(same(entry, entries[i]));
		bool barred = of_tac[i].colour == VERDICT_BLACK;
		verdicts_get(t, imeis[i], &both);
		assert_int_equal(barred && entry.colour != VERDICT_BLACK && entry.reason != VERDICT_GOLDEN, !same(entry, both));
	}
	verdicts_get_apart(t, imeis, 0, NULL, NULL);
	verdicts_free(t);
}

static enum ceir_err take_tac(void *ctx, struct tac tac, struct verdict verdict)
{
	uint64_t *sum = ctx;
	assert_true(tac.n >= sum[0]);
	assert_int_equal(verdict.reason, VERDICT_BARRED_TAC);
	sum[0] = tac.n + 1;
	sum[1]++;
	return sum[1] == 1500 ? CEIR_ECLOSED : CEIR_OK;
}

static void tacs_that_have_a_verdict(void **state)
{
	(void)state;
	struct verdicts *t = verdicts_new();
	assert_non_null(t);
	const struct verdict barred = {.colour = VERDICT_BLACK, .reason = VERDICT_BARRED_TAC};
	uint64_t sum[2] = {0};
	assert_int_equal(verdicts_scan_tacs(t, NULL, take_tac, sum), CEIR_OK);
	for (uint32_t i = 0; i < 3000; i++) {
		struct tac tac = {(uint32_t)(i * UINT64_C(2654435761) % 100000000)};
		assert_int_equal(verdicts_set_tac(t, tac, barred), CEIR_OK);
		if (i % 3)
			assert_int_equal(verdicts_set_tac(t, tac, (struct verdict){0}), CEIR_OK);
	}
	assert_int_equal(verdicts_scan_tacs(t, NULL, take_tac, sum), CEIR_OK);
	assert_int_equal(sum[1], 1000);
	sum[0] = 0;
	assert_int_equal(verdicts_scan_tacs(t, NULL, take_tac, sum), CEIR_ECLOSED);
	verdicts_free(t);
}

/* ---- beside a writer ------------------------------------------------------------------------------------------------ */

#define LIVE_TACS 40u
#define ROUNDS TEST_AMOUNT(3000u, 1000u)

static struct verdicts *table;
static _Atomic uint32_t published; /* serial numbers below this are set in every TAC */
static _Atomic bool stop;
static _Atomic uint64_t scans, wrong;

struct watch {
	uint64_t next, n, least;
};

static struct verdict verdict_for(struct imei imei)
{
	struct verdict v = verdict_unpack((uint16_t)(imei.n * 31 % 0x3ff + 1));
	v.row = imei.n & 1;
	return v;
}

static enum ceir_err watch_items(void *ctx, const struct verdicts_item *items, size_t n)
{
	struct watch *w = ctx;
	for (size_t i = 0; i < n; i++) {
		if (items[i].imei.n < w->next || !same(items[i].verdict, verdict_for(items[i].imei)))
			atomic_fetch_add(&wrong, 1);
		w->next = items[i].imei.n + 1;
	}
	w->n += n;
	return CEIR_OK;
}

static void *scan_all_the_time(void *arg)
{
	(void)arg;
	struct verdicts_reader *r = verdicts_reader_new(table);
	while (r && !atomic_load(&stop)) {
		struct watch w = {.least = (uint64_t)LIVE_TACS * atomic_load_explicit(&published, memory_order_acquire)};
		if (verdicts_scan(table, r, (struct imei){0}, (struct imei){IMEI_MAX}, 15, watch_items, &w) || w.n < w.least)
			atomic_fetch_add(&wrong, 1);
		atomic_fetch_add(&scans, 1);
	}
	verdicts_reader_free(r);
	return NULL;
}

static void scans_beside_the_writer(void **state)
{
	(void)state;
	table = verdicts_new();
	assert_non_null(table);
	pthread_t threads[2];
	for (unsigned i = 0; i < 2; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, scan_all_the_time, NULL), 0);
	for (uint32_t round = 0; round < ROUNDS; round++) {
		for (uint32_t tac = 0; tac < LIVE_TACS; tac++) {
			struct imei imei = imei_of(35000000 + tac * 7, (round * 7919) % IMEI_SERIALS);
			assert_int_equal(verdicts_set(table, imei, verdict_for(imei)), CEIR_OK);
		}
		struct imei other = imei_of(round * 11, 5); /* new TACs, so that chunks and the directory grow */
		assert_int_equal(verdicts_set(table, other, verdict_for(other)), CEIR_OK);
		atomic_store_explicit(&published, round + 1, memory_order_release);
		verdicts_reclaim(table);
	}
	while (atomic_load(&scans) < 4)
		sched_yield();
	atomic_store(&stop, true);
	for (unsigned i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(atomic_load(&wrong), 0);
	verdicts_free(table);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_empty_table_has_nothing_to_scan),
		cmocka_unit_test(row_is_kept_and_told),
		cmocka_unit_test(against_a_naive_list),
		cmocka_unit_test(many_apart_are_what_one_by_one_are),
		cmocka_unit_test(tacs_that_have_a_verdict),
		cmocka_unit_test(scans_beside_the_writer),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

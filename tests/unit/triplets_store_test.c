/* The triplet store case by case: keys, names, a hot IMEI, numbers of batches, old episodes, MANIFEST and journal as bytes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "triplets/triplets_internal.h"
#include "test_amount.h"
#include "triplets_world.h"

/* ---- keys -------------------------------------------------------------------------------------------------------- */

static void round_trip(const char *text, bool malformed)
{
	char out[TRIPLET_IMEI_TEXT];
	uint64_t key = malformed ? triplet_malformed_key(str_of(text)) : strtoull(text, NULL, 10), back = 0;

	assert_int_equal(triplet_is_malformed(key), malformed);
	triplet_imei_print(key, out);
	assert_int_equal(triplet_imei_parse(str_of(out), &back), CEIR_OK);
	assert_int_equal(back, key);
	if (out[0] != '#')
		assert_string_equal(out, text);
}

static void test_keys(void **state)
{
	static const char *const malformed[] = {"1", "0", "0000", "12345", "1234567890123", "0000000000000", "00000000000000", "111111111111111",
		"9999999999999999", "", "A0000012345678", "12345678901234567", "\xff\xfe", "35-000000-000000"};
	uint64_t key;

	(void)state;
	for (size_t i = 0; i < CEIR_COUNT(malformed); i++)
		round_trip(malformed[i], true);
	round_trip("35824009103642", false);
	round_trip("01000000000001", false);
	assert_int_equal(triplet_imei_parse(STR("490154203237518"), &key), CEIR_OK);
	assert_int_equal(key, 49015420323751u);
	assert_int_equal(triplet_imei_parse(STR("490154203237517"), &key), CEIR_EINVAL);
	assert_int_equal(triplet_imei_parse(STR("4901542032375101"), &key), CEIR_EINVAL);
	assert_int_equal(triplet_imei_parse(STR(""), &key), CEIR_EINVAL);
	assert_int_equal(triplet_imei_parse(STR("#0123456789abcdeg"), &key), CEIR_EINVAL);
	assert_int_equal(triplet_imei_parse(STR("#0123456789abcdg"), &key), CEIR_EINVAL);
	assert_int_not_equal(triplet_malformed_key(STR("0")), triplet_malformed_key(STR("00")));
	struct imsi i = triplet_imsi(triplet_imsi_key((struct imsi){1010000000001u, 14}));
	assert_true(i.n == 1010000000001u && i.digits == 14);
	struct msisdn m = triplet_msisdn(triplet_msisdn_key((struct msisdn){7, 5}));
	assert_true(m.n == 7 && m.digits == 5);
	assert_int_equal(triplet_msisdn_key((struct msisdn){0, 0}), 0);
}

static void test_names(void **state)
{
	uint8_t v;

	(void)state;
	for (unsigned i = 1; i < TRIPLET_EVENTS; i++) {
		assert_int_equal(triplet_event_find(str_of(triplet_event_name(i)), &v), CEIR_OK);
		assert_int_equal(v, i);
	}
	for (unsigned i = 1; i < TRIPLET_RATS; i++) {
		assert_int_equal(triplet_rat_find(str_of(triplet_rat_name(i)), &v), CEIR_OK);
		assert_int_equal(v, i);
	}
	assert_string_equal(triplet_event_name(0), "");
	assert_null(triplet_event_name(TRIPLET_EVENTS));
	assert_null(triplet_rat_name(TRIPLET_RATS));
	assert_int_equal(triplet_event_find(STR(""), &v), CEIR_ENOENT);
	assert_int_equal(triplet_rat_find(STR("6g"), &v), CEIR_ENOENT);
	assert_int_equal(triplet_rat_find(STR("5G"), &v), CEIR_OK);
	assert_int_equal(v, TRIPLET_NR);
	assert_int_equal(triplet_rat_find(STR("006"), &v), CEIR_OK);
	assert_int_equal(v, TRIPLET_LTE);
}

/* ---- a hot IMEI -------------------------------------------------------------------------------------------------- */

#define HOT 35000000000001u
#define SUBSCRIBERS TEST_AMOUNT(1000000u, 200000u)
#define MORE 50000u
#define PAGE 100u

static struct sighting hot_row(uint64_t i)
{
	return (struct sighting){.imei = HOT, .imsi = triplet_imsi_key((struct imsi){255010000000000u + i, 15}),
		.msisdn = triplet_msisdn_key((struct msisdn){380000000000u + i * 7, 12}), .at_s = WORLD_BEGIN_S};
}

struct page {
	struct triplet last;
	unsigned n;
	uint64_t sum;
};

static enum ceir_err page_row(void *ctx, const struct triplet *t)
{
	struct page *p = ctx;

	if (p->n++)
		assert_true(t->imsi > p->last.imsi);
	p->last = *t;
	p->sum += triplet_imsi(t->imsi).n - 255010000000000u;
	return CEIR_OK;
}

static void load_hot(struct triplets *t)
{
	static struct sighting rows[MORE];
	struct triplets_intake *in;
	struct triplets_counts c;
	uint64_t id;

	assert_int_equal(triplets_intake_new(t, 1, &in), CEIR_OK);
	for (uint64_t i = 0; i < SUBSCRIBERS; i++) {
		struct sighting s = hot_row(i * 7919 % SUBSCRIBERS);
		assert_int_equal(triplets_intake_add(in, &s, NULL, 1), CEIR_OK);
	}
	assert_int_equal(triplets_intake_stage(in, &id), CEIR_OK);
	assert_int_equal(triplets_apply(t, id, true, NULL, NULL, &c), CEIR_OK);
	assert_int_equal(c.fresh, SUBSCRIBERS);
	for (uint64_t i = 0; i < MORE; i++)
		rows[i] = hot_row(SUBSCRIBERS + i);
	assert_int_equal(triplets_sight(t, 1, 0, rows, NULL, MORE, NULL, NULL), CEIR_OK);
}

/* Of this thread: what others do on the machine does not count. */
static int64_t cpu_us(void)
{
	struct timespec t;

	assert_int_equal(clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t), 0);
	return t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

/* Each page must cost what a page costs: reading from the beginning, or sorting memory, would take milliseconds. */
static void test_hot_imei(void **state)
{
	char *dir = world_folder();
	struct triplets_settings s = world_settings(dir, 256u << 20);
	struct triplets *t;
	uint64_t pages = 0;
	struct page p = {0};

	(void)state;
	assert_int_equal(triplets_open(&s, &t), CEIR_OK);
	load_hot(t);
	struct triplets_view *v = triplets_view_new(t);
	assert_non_null(v);
	int64_t begin_us = cpu_us();
	for (unsigned before = 1; before != p.n; pages++) {
		struct triplet after = p.last;
		before = p.n;
		assert_int_equal(triplets_by_imei(v, HOT, before ? &after : NULL, PAGE, page_row, &p), CEIR_OK);
	}
	int64_t us = cpu_us() - begin_us;
	uint64_t all = SUBSCRIBERS + MORE;
	assert_int_equal(p.n, all);
	assert_int_equal(p.sum, all * (all - 1) / 2);
	printf("%llu pages, %.1f us each\n", (unsigned long long)pages, (double)us / (double)pages);
	assert_true(us / (int64_t)pages < 2000);
	triplets_view_free(v);
	triplets_close(t);
	world_remove(dir);
}

/* ---- numbers of batches ------------------------------------------------------------------------------------------ */

static void test_batches(void **state)
{
	struct batches *b = batches_new(), *back = batches_new();
	struct buf bytes = BUF_INIT(0);

	(void)state;
	for (uint64_t i = 1; i <= TRIPLETS_BATCHES + 1000; i++) {
		assert_false(batches_has(b, 7, i * 977));
		assert_int_equal(batches_add(b, 7, i * 977), CEIR_OK);
		assert_int_equal(batches_add(b, 7, i * 977), CEIR_OK);
	}
	assert_int_equal(batches_add(b, 255, 1), CEIR_OK);
	batches_print(b, &bytes);
	assert_int_equal(batches_parse(buf_view(&bytes), back), CEIR_OK);
	for (uint64_t i = 1; i <= TRIPLETS_BATCHES + 1000; i++) {
		assert_int_equal(batches_has(b, 7, i * 977), i > 1000);
		assert_int_equal(batches_has(back, 7, i * 977), i > 1000);
	}
	assert_false(batches_has(b, 8, 977 * 2000));
	assert_true(batches_has(back, 255, 1));
	for (size_t i = 0; i < bytes.n; i += 997) {
		struct batches *none = batches_new();
		bytes.p[i] = (char)(bytes.p[i] ^ 4);
		assert_int_equal(batches_parse(buf_view(&bytes), none), CEIR_ECORRUPT);
		bytes.p[i] = (char)(bytes.p[i] ^ 4);
		batches_free(none);
	}
	batches_free(b);
	batches_free(back);
	buf_free(&bytes);
}

/* The number of a batch that went into a segment long ago is remembered, also by the next process. */
static void test_batch_number_survives_flush(void **state)
{
	char *dir = world_folder();
	struct triplets_settings s = world_settings(dir, 64u << 20);
	struct triplets *t;
	struct sighting row = hot_row(1);

	(void)state;
	for (unsigned round = 0; round < 3; round++) {
		assert_int_equal(triplets_open(&s, &t), CEIR_OK);
		assert_int_equal(triplets_sight(t, 1, 42, &row, NULL, 1, NULL, NULL), round ? CEIR_EEXIST : CEIR_OK);
		assert_int_equal(triplets_sight(t, 2, 42 + round, &row, NULL, 1, NULL, NULL), CEIR_OK);
		assert_int_equal(triplets_compact(t), CEIR_OK);
		triplets_close(t);
	}
	world_verify(dir);
	world_remove(dir);
}

/* ---- old episodes ------------------------------------------------------------------------------------------------ */

static enum ceir_err take_row(void *ctx, const struct triplet *t)
{
	struct page *p = ctx;

	p->n++;
	p->last = *t;
	return CEIR_OK;
}

static void test_retention(void **state)
{
	char *dir = world_folder();
	struct triplets_settings s = world_settings(dir, 64u << 20);
	struct triplets *t;
	uint32_t now_s = (uint32_t)(clock_real_us() / 1000000), days[] = {400, 300, 200, 20, 10, 1};
	struct page p = {0};

	(void)state;
	s.keep_episode_days = 100;
	assert_int_equal(triplets_open(&s, &t), CEIR_OK);
	for (unsigned i = 0; i < CEIR_COUNT(days); i++) {
		struct sighting row = hot_row(1);
		row.at_s = now_s - days[i] * WORLD_DAY_S;
		assert_int_equal(triplets_sight(t, 1, 0, &row, NULL, 1, NULL, NULL), CEIR_OK);
	}
	struct triplets_view *v = triplets_view_new(t);
	assert_int_equal(triplets_by_imei(v, HOT, NULL, 0, take_row, &p), CEIR_OK);
	assert_int_equal(p.last.n_episodes, 5);
	triplets_view_free(v);
	assert_int_equal(triplets_compact(t), CEIR_OK);
	assert_int_equal(triplets_compact(t), CEIR_OK);
	v = triplets_view_new(t);
	assert_int_equal(triplets_by_imei(v, HOT, NULL, 0, take_row, &p), CEIR_OK);
	assert_int_equal(p.last.n_episodes, 2); /* 20 and 10 days ago */
	assert_int_equal(p.last.first_s, now_s - 400 * WORLD_DAY_S);
	assert_int_equal(p.last.episode_s, now_s - 1 * WORLD_DAY_S);
	triplets_view_free(v);
	triplets_close(t);
	world_remove(dir);
}

/* ---- limits ------------------------------------------------------------------------------------------------------ */

static void test_refused(void **state)
{
	char *dir = world_folder();
	struct triplets_settings s = world_settings(dir, 64u << 20);
	struct triplets *t;
	struct triplets_intake *in;
	struct sighting bad = {.imei = UINT64_MAX};
	struct page p = {0};
	struct triplets_counts c;
	uint64_t id;

	(void)state;
	assert_int_equal(triplets_open(&s, &t), CEIR_OK);
	assert_int_equal(triplets_intake_new(t, 0, &in), CEIR_ERANGE);
	assert_int_equal(triplets_sight(t, 0, 1, &bad, NULL, 1, NULL, NULL), CEIR_ERANGE);
	assert_int_equal(triplets_sight(t, 1, 1, &bad, NULL, 1, NULL, NULL), CEIR_EINVAL);
	assert_int_equal(triplets_intake_new(t, 1, &in), CEIR_OK);
	assert_int_equal(triplets_intake_add(in, &bad, NULL, 1), CEIR_EINVAL);
	assert_int_equal(triplets_intake_stage(in, &id), CEIR_OK);
	assert_int_equal(triplets_apply(t, id, true, NULL, NULL, &c), CEIR_OK);
	assert_int_equal(c.rows + c.distinct + c.gone, 0);
	assert_int_equal(triplets_apply(t, 999, true, NULL, NULL, &c), CEIR_ENOENT);
	struct triplets_view *v = triplets_view_new(t);
	uint64_t bounds[5];
	triplets_split(v, 4, bounds);
	assert_true(bounds[0] == 0 && bounds[4] == UINT64_MAX);
	assert_int_equal(triplets_by_msisdn(v, 0, 0, take_row, &p), CEIR_OK);
	assert_int_equal(p.n, 0);
	triplets_view_free(v);
	triplets_close(t);
	world_verify(dir);
	assert_int_equal(triplets_verify("/nonexistent/folder", NULL, NULL), CEIR_OK);
	s.gap_days = 0;
	assert_int_equal(triplets_open(&s, &t), CEIR_ERANGE);
	world_remove(dir);
}

/* ---- a quiet store ----------------------------------------------------------------------------------------------- */

#define QUIET_US 50000

/* Triplets from..from+n-1, each with an IMEI, an IMSI and an MSISDN of its own; applied. */
static void deliver(struct triplets *t, uint64_t from, uint64_t n)
{
	struct triplets_intake *in;
	struct triplets_counts c;
	uint64_t id;

	assert_int_equal(triplets_intake_new(t, 1, &in), CEIR_OK);
	for (uint64_t i = from; i < from + n; i++) {
		struct sighting s = hot_row(i);
		s.imei = 35000000000000u + i * 7919 % 1000003;
		assert_int_equal(triplets_intake_add(in, &s, NULL, 1), CEIR_OK);
	}
	assert_int_equal(triplets_intake_stage(in, &id), CEIR_OK);
	assert_int_equal(triplets_apply(t, id, false, NULL, NULL, &c), CEIR_OK);
	assert_int_equal(c.fresh, n);
}

static bool has_segments(struct triplets *t, size_t rows, size_t pairs)
{
	struct triplets_stats s;

	triplets_get_stats(t, &s);
	return s.segments[TREE_TRIPLETS] == rows && s.segments[TREE_IMSI] == pairs && s.segments[TREE_MSISDN] == pairs;
}

static void wait_us(int64_t us)
{
	assert_int_equal(usleep((useconds_t)us), 0);
}

/* Waits long enough for what happens in a quiet store to be over. Returns how many merges there have been. */
static uint64_t settled(struct triplets *t, size_t rows, size_t pairs)
{
	struct triplets_stats s;

	for (unsigned i = 0; i < 400 && !has_segments(t, rows, pairs); i++)
		wait_us(QUIET_US);
	wait_us(20 * QUIET_US);
	assert_true(has_segments(t, rows, pairs));
	triplets_get_stats(t, &s);
	return s.merges;
}

static void all_are_there(struct triplets *t, uint64_t n)
{
	struct triplets_view *v = triplets_view_new(t);

	for (uint64_t i = 0; i < n; i += 37) {
		const struct sighting s = hot_row(i);
		struct page p = {0};
		assert_int_equal(triplets_by_msisdn(v, s.msisdn, 0, page_row, &p), CEIR_OK);
		assert_true(p.n == 1 && p.last.imsi == s.imsi && p.last.imei == 35000000000000u + i * 7919 % 1000003);
	}
	triplets_view_free(v);
}

/* Those beside the largest hold more than a sixteenth of it: soon there is one segment in each tree, and then nothing more to do. */
static void test_quiet_merges_all(void **state)
{
	char *dir = world_folder();
	struct triplets_settings s = world_settings(dir, 64u << 20);
	struct triplets *t;

	(void)state;
	world_quiet_us(QUIET_US);
	assert_int_equal(triplets_open(&s, &t), CEIR_OK);
	deliver(t, 0, 40000);
	deliver(t, 40000, 1500);
	deliver(t, 41500, 1500);
	const uint64_t merges = settled(t, 1, 1);
	wait_us(20 * QUIET_US);
	assert_int_equal(settled(t, 1, 1), merges);
	all_are_there(t, 43000);
	triplets_close(t);
	world_verify(dir);
	world_remove(dir);
}

/* A small delivery does not make a large tree be written again; several of them become one, for themselves when the tree is too large. */
static void test_quiet_spares_the_largest(void **state)
{
	char *dir = world_folder();
	struct triplets_settings s = world_settings(dir, 64u << 20);
	struct triplets *t;
	const uint64_t rows = triplets_quiet.rows;

	(void)state;
	s.threads = 1;
	world_quiet_us(QUIET_US);
	triplets_quiet.rows = 50000;
	assert_int_equal(triplets_open(&s, &t), CEIR_OK);
	deliver(t, 0, 60000);
	const uint64_t merges = settled(t, 1, 1);
	deliver(t, 60000, 1000);
	assert_int_equal(settled(t, 2, 2), merges);
	deliver(t, 61000, 1000);
	assert_int_equal(settled(t, 2, 2), merges + 3);
	triplets_close(t);
	triplets_quiet.rows = rows;
	assert_int_equal(triplets_open(&s, &t), CEIR_OK);
	assert_int_equal(settled(t, 2, 2), 0);
	deliver(t, 62000, 100);
	assert_int_equal(settled(t, 1, 1), 3);
	all_are_there(t, 62100);
	triplets_close(t);
	world_verify(dir);
	world_remove(dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_keys), cmocka_unit_test(test_names), cmocka_unit_test(test_hot_imei),
		cmocka_unit_test(test_batches), cmocka_unit_test(test_batch_number_survives_flush), cmocka_unit_test(test_retention),
		cmocka_unit_test(test_refused), cmocka_unit_test(test_quiet_merges_all), cmocka_unit_test(test_quiet_spares_the_largest)};

	log_setup(stderr, false, LOG_ERROR_);
	return cmocka_run_group_tests(tests, NULL, NULL);
}

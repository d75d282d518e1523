/* Deliveries applied together and the same one by one: the same counts, the same store. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "test_amount.h"
#include "triplets_world.h"

#define OPERATORS 4u
#define ROUNDS 3u
#define ROWS TEST_AMOUNT(60000u, 12000u)

/* Triplet i of an operator as it is delivered in one round: some are left out, some come again, some are new. */
static bool row_of(uint64_t seed, unsigned op, unsigned round, unsigned i, struct sighting *out)
{
	uint64_t x = seed + i, y = seed * 31 + i * 8 + round;
	uint64_t r = world_random(&x), s = world_random(&y);

	if (s % 10 == 0 || (round == 0 && r % 7 == 0))
		return false;
	*out = (struct sighting){.imei = 35000000000000u + r % 50000, .imsi = triplet_imsi_key((struct imsi){255010000000000u + op * 10000000000u + i, 15}),
		.msisdn = triplet_msisdn_key((struct msisdn){380500000000u + op * 1000000u + i, 12}),
		.at_s = WORLD_BEGIN_S + round * 5 * WORLD_DAY_S + (uint32_t)(s % 1000)};
	return true;
}

static uint64_t stage(struct triplets *t, uint64_t seed, unsigned op, unsigned round)
{
	struct triplets_intake *in;
	struct sighting row;
	uint64_t id;

	assert_int_equal(triplets_intake_new(t, (uint8_t)op, &in), CEIR_OK);
	for (unsigned i = 0; i < ROWS; i++)
		if (row_of(seed, op, round, i, &row))
			assert_int_equal(triplets_intake_add(in, &row, NULL, 1), CEIR_OK);
	assert_int_equal(triplets_intake_stage(in, &id), CEIR_OK);
	return id;
}

struct all {
	struct triplet *rows;
	size_t n;
};

static enum ceir_err keep(void *ctx, const struct triplet *rows, size_t n)
{
	struct all *a = ctx;

	for (size_t i = 0; i < n; i++)
		a->rows[a->n++] = rows[i];
	return CEIR_OK;
}

static struct all everything(struct triplets *t)
{
	struct all a = {.rows = calloc(OPERATORS * ROUNDS * ROWS, sizeof *a.rows)};
	struct triplets_view *v = triplets_view_new(t);

	assert_true(a.rows && v);
	assert_int_equal(triplets_scan(v, 0, UINT64_MAX, keep, &a), CEIR_OK);
	triplets_view_free(v);
	return a;
}

static void same_store(struct triplets *together, struct triplets *alone)
{
	struct all a = everything(together), b = everything(alone);

	assert_int_equal(a.n, b.n);
	for (size_t i = 0; i < a.n; i++)
		assert_true(a.rows[i].imei == b.rows[i].imei && a.rows[i].imsi == b.rows[i].imsi && a.rows[i].msisdn == b.rows[i].msisdn
			&& a.rows[i].op == b.rows[i].op && a.rows[i].first_s == b.rows[i].first_s && a.rows[i].last_s == b.rows[i].last_s
			&& a.rows[i].n_episodes == b.rows[i].n_episodes);
	free(a.rows);
	free(b.rows);
}

struct stores {
	char *dir[2];
	struct triplets *t[2];
};

static struct stores open_stores(void)
{
	struct stores s;

	for (unsigned i = 0; i < 2; i++) {
		s.dir[i] = world_folder();
		struct triplets_settings settings = world_settings(s.dir[i], 64u << 20);
		assert_int_equal(triplets_open(&settings, &s.t[i]), CEIR_OK);
	}
	return s;
}

static void close_stores(struct stores *s)
{
	for (unsigned i = 0; i < 2; i++) {
		triplets_close(s->t[i]);
		world_verify(s->dir[i]);
		world_remove(s->dir[i]);
	}
}

static void test_together(void **state)
{
	uint64_t seed = world_seed();
	struct stores s = open_stores();

	(void)state;
	for (unsigned round = 0; round < ROUNDS; round++) {
		struct triplets_item items[OPERATORS + 1] = {0};

		for (unsigned op = 1; op <= OPERATORS; op++)
			items[op - 1] = (struct triplets_item){.id = stage(s.t[0], seed, op, round), .full = op != 2};
		items[OPERATORS].id = 1000000; /* there is none */
		assert_int_equal(triplets_apply_many(s.t[0], items, OPERATORS + 1, NULL, NULL), CEIR_OK);
		assert_int_equal(items[OPERATORS].err, CEIR_ENOENT);
		for (unsigned op = 1; op <= OPERATORS; op++) {
			struct triplets_counts c;

			assert_int_equal(triplets_apply(s.t[1], stage(s.t[1], seed, op, round), op != 2, NULL, NULL, &c), CEIR_OK);
			assert_int_equal(items[op - 1].err, CEIR_OK);
			assert_memory_equal(&items[op - 1].counts, &c, sizeof c);
			assert_true(c.fresh && (round ? c.again : !c.again) && (!round || op == 2 || c.gone));
		}
		/* Once more: exactly once. */
		assert_int_equal(triplets_apply_many(s.t[0], items, OPERATORS, NULL, NULL), CEIR_OK);
		for (unsigned i = 0; i < OPERATORS; i++)
			assert_int_equal(items[i].err, CEIR_EEXIST);
		same_store(s.t[0], s.t[1]);
	}
	close_stores(&s);
}

/* Two of one operator cannot be told apart: nothing is done. */
static void test_one_operator_twice(void **state)
{
	struct stores s = open_stores();
	struct triplets_item items[2] = {{.id = stage(s.t[0], 1, 3, 0)}, {.id = stage(s.t[0], 1, 3, 1)}};
	uint64_t ids[4];

	(void)state;
	assert_int_equal(triplets_apply_many(s.t[0], items, 2, NULL, NULL), CEIR_EINVAL);
	assert_int_equal(triplets_staged(s.t[0], ids, 4), 2);
	assert_int_equal(triplets_apply_many(s.t[0], items, TRIPLETS_APPLY_MAX + 1, NULL, NULL), CEIR_EINVAL);
	close_stores(&s);
}

/* Small ones go beside what is stored, one after the other. */
static void test_small(void **state)
{
	struct stores s = open_stores();
	struct triplets_item items[2];
	struct triplets_counts c;
	struct sighting row;

	(void)state;
	assert_int_equal(triplets_apply(s.t[0], stage(s.t[0], 7, 1, 1), true, NULL, NULL, &c), CEIR_OK);
	for (unsigned op = 2; op < 4; op++) {
		struct triplets_intake *in;

		assert_int_equal(triplets_intake_new(s.t[0], (uint8_t)op, &in), CEIR_OK);
		for (unsigned i = 0; i < 10; i++)
			if (row_of(7, op, 2, i, &row))
				assert_int_equal(triplets_intake_add(in, &row, NULL, 1), CEIR_OK);
		items[op - 2] = (struct triplets_item){.full = true};
		assert_int_equal(triplets_intake_stage(in, &items[op - 2].id), CEIR_OK);
	}
	assert_int_equal(triplets_apply_many(s.t[0], items, 2, NULL, NULL), CEIR_OK);
	for (unsigned i = 0; i < 2; i++) {
		assert_int_equal(items[i].err, CEIR_OK);
		assert_true(items[i].counts.fresh > 0 && items[i].counts.fresh == items[i].counts.distinct);
	}
	close_stores(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_together), cmocka_unit_test(test_one_operator_twice), cmocka_unit_test(test_small)};

	log_setup(stderr, false, LOG_ERROR_);
	return cmocka_run_group_tests(tests, NULL, NULL);
}

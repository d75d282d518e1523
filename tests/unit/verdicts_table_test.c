/* The verdict table on one thread: against a naive map, through every size of a TAC's words, and with verdicts of TACs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "verdicts/verdicts.h"

static uint64_t random_state = 0x9e3779b97f4a7c15u;

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
	return a.colour == b.colour && a.reason == b.reason && a.registered == b.registered && a.pair == b.pair;
}

/* Numbers that stand in databases. */
static void packed_form(void **state)
{
	(void)state;
	assert_int_equal(verdict_pack((struct verdict){0}), 0);
	assert_int_equal(verdict_pack((struct verdict){.colour = VERDICT_BLACK}), 3);
	const struct verdict registered = {.colour = VERDICT_WHITE, .reason = VERDICT_REGISTERED, .registered = true};
	assert_int_equal(verdict_pack(registered), 0x105);
	assert_int_equal(verdict_pack((struct verdict){.reason = 63, .pair = true}), 0x2fc);
	assert_int_equal(VERDICT_STOLEN, 5);
	assert_int_equal(VERDICT_GOLDEN, 12);
	assert_int_equal(VERDICT_CLONE, 16);
	for (uint16_t packed = 0; packed < 0x400; packed++)
		assert_int_equal(verdict_pack(verdict_unpack(packed)), packed);
	assert_true(same(verdict_unpack(0xfd05), verdict_unpack(0x105)));
}

static void names(void **state)
{
	(void)state;
	assert_string_equal(verdict_colour_name(VERDICT_UNKNOWN), "unknown");
	assert_string_equal(verdict_colour_name(VERDICT_BLACK), "black");
	assert_string_equal(verdict_colour_name(4), "unknown");
	assert_string_equal(verdict_reason_name(VERDICT_REGISTERED), "registered");
	assert_string_equal(verdict_reason_name(VERDICT_BARRED_TAC), "barred-tac");
	assert_non_null(verdict_reason_name(VERDICT_REASONS));
	assert_non_null(verdict_reason_text(1000));
	for (unsigned i = 0; i < VERDICT_REASONS; i++) {
		assert_non_null(verdict_reason_name(i));
		assert_non_null(verdict_reason_text(i));
	}
}

static void empty_table(void **state)
{
	(void)state;
	struct verdicts *t = verdicts_new();
	assert_non_null(t);
	struct verdict v = {.colour = 3, .reason = 3, .registered = true, .pair = true};
	assert_false(verdicts_get(t, imei_of(0, 0), &v));
	assert_true(same(v, (struct verdict){0}));
	assert_false(verdicts_get(t, imei_of(99999999, 999999), &v));
	assert_false(verdicts_get_entry(t, imei_of(35210605, 54420), &v));
	uint64_t entries = 1, bytes = 0;
	verdicts_stat(t, &entries, &bytes);
	assert_int_equal(entries, 0);
	assert_in_range(bytes, 1, 100000);
	/* Saying that nothing is known makes no entry. */
	assert_int_equal(verdicts_set(t, imei_of(35210605, 1), (struct verdict){0}), CEIR_OK);
	assert_int_equal(verdicts_set_tac(t, (struct tac){35210605}, (struct verdict){0}), CEIR_OK);
	verdicts_reclaim(t);
	verdicts_stat(t, &entries, &bytes);
	assert_int_equal(entries, 0);
	verdicts_free(t);
	verdicts_free(NULL);
}

/* The naive map: some TACs, all their serial numbers, packed verdicts. */
#define TACS 5u
static const uint32_t tacs[TACS] = {0, 1024003, 35210605, 86000000, 99999999};
static const uint32_t bounds[TACS] = {7, 300, 20000, IMEI_SERIALS, IMEI_SERIALS}; /* serial numbers used */
static uint16_t model[TACS][IMEI_SERIALS];
static bool ever[TACS][IMEI_SERIALS];

static uint64_t model_entries(void)
{
	uint64_t n = 0;
	for (uint32_t t = 0; t < TACS; t++)
		for (uint32_t s = 0; s < IMEI_SERIALS; s++)
			n += ever[t][s];
	return n;
}

static void compare_many(const struct verdicts *t)
{
	static struct imei imeis[10007];
	static struct verdict out[CEIR_COUNT(imeis)];
	static uint16_t want[CEIR_COUNT(imeis)];
	for (size_t n = CEIR_COUNT(imeis); n > 0; n /= 3) {
		for (size_t k = 0; k < n; k++) {
			uint32_t i = random_below(TACS), s = random_below(bounds[i] + bounds[i] / 4) % IMEI_SERIALS;
			bool unknown = random_below(20) == 0;
			imeis[k] = imei_of(tacs[i] + unknown * (i == TACS - 1 ? -1u : 1u), s);
			want[k] = unknown ? 0 : model[i][s];
		}
		verdicts_get_many(t, imeis, n, out);
		for (size_t k = 0; k < n; k++)
			assert_int_equal(verdict_pack(out[k]), want[k]);
	}
	verdicts_get_many(t, NULL, 0, NULL);
}

static void compare_all(const struct verdicts *t)
{
	compare_many(t);
	uint64_t entries, bytes;
	verdicts_stat(t, &entries, &bytes);
	assert_int_equal(entries, model_entries());
	for (uint32_t i = 0; i < TACS; i++) {
		for (uint32_t s = 0; s < IMEI_SERIALS; s++) {
			struct verdict v;
			bool found = verdicts_get(t, imei_of(tacs[i], s), &v);
			if (found != (model[i][s] != 0) || verdict_pack(v) != model[i][s])
				fail_msg("TAC %u serial %u: %x instead of %x", tacs[i], s, verdict_pack(v), model[i][s]);
		}
	}
}

typedef enum ceir_err (*setter)(struct verdicts *, struct imei, struct verdict);

static void random_steps(struct verdicts *t, setter set, unsigned n)
{
	for (unsigned step = 0; step < n; step++) {
		uint32_t i = random_below(TACS), s = random_below(bounds[i]);
		uint16_t packed = random_below(10) ? (uint16_t)random_below(0x400) : 0;
		assert_int_equal(set(t, imei_of(tacs[i], s), verdict_unpack(packed)), CEIR_OK);
		model[i][s] = packed;
		ever[i][s] |= packed != 0;
		struct verdict v;
		i = random_below(TACS);
		s = random_below(bounds[i]);
		assert_int_equal(verdicts_get_entry(t, imei_of(tacs[i], s), &v), model[i][s] != 0);
		assert_int_equal(verdict_pack(v), model[i][s]);
		if (step % 1000 == 0)
			verdicts_reclaim(t);
	}
}

/* Two of the TACs pass the switch to the dense form on the way. */
static void against_a_naive_map(void **state)
{
	(void)state;
	struct verdicts *t = verdicts_new();
	assert_non_null(t);
	random_steps(t, verdicts_load, 20000);
	compare_all(t);
	random_steps(t, verdicts_set, 3000000);
	compare_all(t);
	uint64_t entries, bytes;
	verdicts_stat(t, &entries, &bytes);
	assert_in_range(bytes, 4000000, 4400000); /* two dense TACs, and little else: what was outgrown was given back */
	verdicts_free(t);
}

/* The same number of entries in every order gives the same answers, at each count where the words grow and one beside. */
static void every_size(void **state)
{
	(void)state;
	struct verdicts *t = verdicts_new();
	assert_non_null(t);
	const struct verdict white = {.colour = VERDICT_WHITE, .reason = VERDICT_REGISTERED, .registered = true};
	uint32_t step = 7919; /* prime to 1,000,000: visits every serial number once */
	uint32_t next = 8, serial = 0;
	for (uint32_t n = 1; n <= 400000; n++) {
		assert_int_equal(verdicts_set(t, imei_of(35210605, serial), white), CEIR_OK);
		serial = (serial + step) % IMEI_SERIALS;
		if (n != next && n != next + 1)
			continue;
		struct verdict v;
		for (uint32_t i = 0, s = 0; i < n + 100; i++, s = (s + step) % IMEI_SERIALS)
			assert_int_equal(verdicts_get(t, imei_of(35210605, s), &v), i < n);
		next = n == next ? next : next + next / 4;
	}
	uint64_t entries, bytes;
	verdicts_stat(t, &entries, &bytes);
	assert_int_equal(entries, 400000);
	assert_in_range(bytes, 7000000, 7500000); /* readers might be at work: nothing was reclaimed yet */
	verdicts_reclaim(t);
	verdicts_stat(t, &entries, &bytes);
	assert_in_range(bytes, 2000000, 2100000);
	verdicts_free(t);
}

static void many_tacs_with_one_entry(void **state)
{
	(void)state;
	struct verdicts *t = verdicts_new();
	assert_non_null(t);
	const struct verdict grey = {.colour = VERDICT_GREY, .reason = VERDICT_UNREGISTERED_SEEN};
	for (uint32_t i = 0; i < 100000; i++)
		assert_int_equal(verdicts_set(t, imei_of(i * 997, i), grey), CEIR_OK);
	verdicts_reclaim(t);
	for (uint32_t i = 0; i < 100000; i++) {
		struct verdict v;
		assert_true(verdicts_get(t, imei_of(i * 997, i), &v) && same(v, grey));
		assert_false(verdicts_get(t, imei_of(i * 997, i + 1), &v));
		assert_false(verdicts_get(t, imei_of(i * 997 + 1, i), &v));
	}
	uint64_t entries, bytes;
	verdicts_stat(t, &entries, &bytes);
	assert_int_equal(entries, 100000);
	assert_in_range(bytes, 1, 12000000);
	verdicts_free(t);
}

static void whole_tac(void **state)
{
	(void)state;
	struct verdicts *t = verdicts_new();
	assert_non_null(t);
	const struct tac tac = {35210605};
	const struct verdict barred = {.colour = VERDICT_BLACK, .reason = VERDICT_BARRED_TAC};
	const struct verdict entries[] = {
		{.colour = VERDICT_WHITE, .reason = VERDICT_REGISTERED, .registered = true},
		{.colour = VERDICT_GREY, .reason = VERDICT_LISTED_GREY, .pair = true},
		{.colour = VERDICT_UNKNOWN, .reason = VERDICT_NEVER_HEARD, .pair = true},
		{.colour = VERDICT_BLACK, .reason = VERDICT_STOLEN, .registered = true, .pair = true},
		{.colour = VERDICT_BLACK, .reason = VERDICT_UNREGISTERED_SEEN},
		{.colour = VERDICT_WHITE, .reason = VERDICT_GOLDEN, .registered = true},
	};
	struct verdict v;
	for (uint32_t i = 0; i < CEIR_COUNT(entries); i++)
		assert_int_equal(verdicts_set(t, imei_of(tac.n, i), entries[i]), CEIR_OK);
	assert_int_equal(verdicts_set_tac(t, tac, barred), CEIR_OK);
	for (uint32_t i = 0; i < CEIR_COUNT(entries); i++) {
		struct verdict want = i < 3 ? barred : entries[i];
		want.registered = entries[i].registered;
		want.pair = entries[i].pair;
		assert_true(verdicts_get(t, imei_of(tac.n, i), &v));
		assert_true(same(v, want));
		assert_true(verdicts_get_entry(t, imei_of(tac.n, i), &v));
		assert_true(same(v, entries[i]));
	}
	assert_true(verdicts_get(t, imei_of(tac.n, 999999), &v));
	assert_true(same(v, barred));
	assert_false(verdicts_get_entry(t, imei_of(tac.n, 999999), &v));
	assert_false(verdicts_get(t, imei_of(tac.n + 1, 0), &v));
	assert_int_equal(verdicts_set_tac(t, tac, (struct verdict){.reason = VERDICT_BARRED_TAC}), CEIR_OK);
	for (uint32_t i = 0; i < CEIR_COUNT(entries); i++)
		assert_true(verdicts_get(t, imei_of(tac.n, i), &v) && same(v, entries[i]));
	assert_false(verdicts_get(t, imei_of(tac.n, 999999), &v));
	verdicts_free(t);
}

/* An entry whose last reason went away is no entry, in both forms of words, and can come back. */
static void back_to_nothing(void **state)
{
	(void)state;
	struct verdicts *t = verdicts_new();
	assert_non_null(t);
	const struct verdict black = {.colour = VERDICT_BLACK, .reason = VERDICT_LOST};
	struct verdict v;
	for (uint32_t count = 1; count <= 350000; count += 349999) {
		for (uint32_t s = 0; s < count; s++)
			assert_int_equal(verdicts_load(t, imei_of(1, s), black), CEIR_OK);
		assert_int_equal(verdicts_set(t, imei_of(1, 0), (struct verdict){0}), CEIR_OK);
		assert_false(verdicts_get(t, imei_of(1, 0), &v));
		assert_int_equal(verdict_pack(v), 0);
		assert_int_equal(verdicts_set(t, imei_of(1, 0), black), CEIR_OK);
		assert_true(verdicts_get(t, imei_of(1, 0), &v) && same(v, black));
		uint64_t entries, bytes;
		verdicts_stat(t, &entries, &bytes);
		assert_int_equal(entries, count);
	}
	verdicts_free(t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(packed_form),
		cmocka_unit_test(names),
		cmocka_unit_test(empty_table),
		cmocka_unit_test(against_a_naive_map),
		cmocka_unit_test(every_size),
		cmocka_unit_test(many_tacs_with_one_entry),
		cmocka_unit_test(whole_tac),
		cmocka_unit_test(back_to_nothing),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* From matches to dates: every transition, what the verdict sees of it, and that no date is ever brought forward. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "policy/policy.h"

enum { UNREGISTERED = 1, CLONE = 2, OTHER = 4, MALFORMED = 8, TAC = 16, INFORMS = 32, STICKY = 64 };
#define DAY 20000

static const struct policy_condition_text conditions[] = {
	{{"unregistered", 12}, {"not-registered", 14}, 90, true, false},
	{{"clone", 5}, {"clone-threshold and not barred", 30}, 30, true, false},
	{{"other", 5}, {"test-tac and not-registered", 27}, 60, true, false},
	{{"malformed", 9}, {"malformed", 9}, 20, true, false},
	{{"tac", 3}, {"tac-unknown and not malformed", 29}, 0, true, false},
	{{"informs", 7}, {"watched", 7}, 5, false, false},
	{{"sticky", 6}, {"barred", 6}, 60, true, true},
};

static struct policy *policy_of(const struct policy_condition_text *c, size_t n, int32_t amnesty_from, int32_t amnesty_until)
{
	struct policy_params params;
	struct policy *p = NULL;
	char why[200] = "";
	policy_defaults(&params);
	params.amnesty_from = amnesty_from;
	params.amnesty_until = amnesty_until;
	if (policy_new(3, &params, c, n, why, sizeof(why), &p) != CEIR_OK)
		fail_msg("%s", why);
	return p;
}

/* An IMEI's record as days go by. */
struct life {
	const struct policy *p;
	struct policy_class c;
	uint32_t first_s;
	bool changed;
};

static bool same(const struct policy_class *a, const struct policy_class *b)
{
	return a->mask == b->mask && a->was_mask == b->was_mask && a->since_day == b->since_day && a->block_day == b->block_day &&
	       a->resolved_day == b->resolved_day && a->genuine_imsi == b->genuine_imsi && a->genuine_msisdn == b->genuine_msisdn;
}

static void on(struct life *l, int32_t day, uint32_t mask)
{
	struct policy_matched m = {.mask = mask,
		.first_s = l->first_s,
		.last_s = (uint32_t)day * 86400u,
		.imsis = 1,
		.genuine_imsi = 7,
		.genuine_msisdn = 8};
	struct policy_class before = l->c, alone;
	l->changed = policy_classify(l->p, &before, &m, day, &l->c);
	/* The same of nothing and of a zeroed record. */
	if (!before.mask && !before.resolved_day) {
		assert_true(policy_classify(l->p, NULL, &m, day, &alone) == l->changed);
		assert_true(same(&alone, &l->c));
	}
	assert_true(l->changed == !same(&before, &l->c));
	/* A second look on the same day changes nothing. */
	assert_false(policy_classify(l->p, &l->c, &m, day, &alone));
}

#define IS(life, m, since, block, resolved)                                                                                        \
	do {                                                                                                                       \
		assert_int_equal((life).c.mask, (m));                                                                              \
		assert_int_equal((life).c.since_day, (since));                                                                     \
		assert_int_equal((life).c.block_day, (block));                                                                     \
		assert_int_equal((life).c.resolved_day, (resolved));                                                               \
	} while (0)

static struct life born(const struct policy *p)
{
	return (struct life){.p = p, .first_s = (DAY - 100) * 86400u};
}

static unsigned colour(const struct life *l, int32_t day)
{
	struct policy_facts f = {0};
	policy_class_facts(l->p, &l->c, day, &f);
	return policy_verdict(&f).colour;
}

static unsigned reason(const struct life *l, int32_t day)
{
	struct policy_facts f = {0};
	policy_class_facts(l->p, &l->c, day, &f);
	return policy_verdict(&f).reason;
}

static int setup(void **state)
{
	*state = policy_of(conditions, CEIR_COUNT(conditions), 0, 0);
	return 0;
}

static int teardown(void **state)
{
	policy_free(*state);
	return 0;
}

static void first_match(void **state)
{
	struct life l = born(*state);
	on(&l, DAY, 0);
	assert_false(l.changed);
	IS(l, 0, 0, 0, 0);
	on(&l, DAY, UNREGISTERED);
	assert_true(l.changed);
	IS(l, UNREGISTERED, DAY, DAY + 90, 0);
	assert_int_equal(colour(&l, DAY), VERDICT_GREY);
	assert_int_equal(colour(&l, DAY + 89), VERDICT_GREY);
	assert_int_equal(colour(&l, DAY + 90), VERDICT_BLACK);
	assert_int_equal(reason(&l, DAY), VERDICT_UNREGISTERED_SEEN);
	/* Of several the fewest days. */
	l = born(*state);
	on(&l, DAY, UNREGISTERED | CLONE | OTHER);
	IS(l, UNREGISTERED | CLONE | OTHER, DAY, DAY + 30, 0);
	assert_int_equal(reason(&l, DAY), VERDICT_CLONE);
	/* No days of grace: black at once. */
	l = born(*state);
	on(&l, DAY, TAC);
	IS(l, TAC, DAY, DAY, 0);
	assert_int_equal(colour(&l, DAY), VERDICT_BLACK);
	assert_int_equal(reason(&l, DAY), VERDICT_TAC_UNALLOCATED);
	/* Bits that the policy does not have. */
	l = born(*state);
	on(&l, DAY, 1u << 20);
	IS(l, 0, 0, 0, 0);
}

static void reasons(void **state)
{
	static const struct {
		uint32_t mask;
		unsigned reason;
	} table[] = {{UNREGISTERED, VERDICT_UNREGISTERED_SEEN}, {CLONE, VERDICT_CLONE}, {OTHER, VERDICT_CONDITION},
		{MALFORMED, VERDICT_MALFORMED}, {TAC, VERDICT_TAC_UNALLOCATED}, {INFORMS, VERDICT_NEVER_HEARD},
		{STICKY, VERDICT_CONDITION}, {OTHER | UNREGISTERED, VERDICT_CONDITION},
		{MALFORMED | TAC | CLONE, VERDICT_MALFORMED}, {TAC | CLONE, VERDICT_TAC_UNALLOCATED}};
	for (size_t i = 0; i < CEIR_COUNT(table); i++) {
		struct life l = born(*state);
		on(&l, DAY, table[i].mask);
		assert_int_equal(reason(&l, DAY), table[i].reason);
	}
}

static void informing_only(void **state)
{
	struct life l = born(*state);
	on(&l, DAY, INFORMS);
	IS(l, INFORMS, DAY, 0, 0);
	assert_int_equal(colour(&l, DAY + 1000), VERDICT_UNKNOWN);
	/* Then one that blocks: its days count from its own first match. */
	on(&l, DAY + 50, INFORMS | CLONE);
	IS(l, INFORMS | CLONE, DAY, DAY + 80, 0);
	/* Only informing again: no date. And once more: a new date. */
	on(&l, DAY + 60, INFORMS);
	IS(l, INFORMS, DAY, 0, 0);
	on(&l, DAY + 70, CLONE);
	IS(l, CLONE, DAY, DAY + 100, 0);
}

static void more_and_fewer(void **state)
{
	struct life l = born(*state);
	on(&l, DAY, UNREGISTERED);
	on(&l, DAY + 10, UNREGISTERED | TAC);
	IS(l, UNREGISTERED | TAC, DAY, DAY + 90, 0);
	on(&l, DAY + 20, TAC | CLONE);
	IS(l, TAC | CLONE, DAY, DAY + 90, 0);
	on(&l, DAY + 30, CLONE);
	IS(l, CLONE, DAY, DAY + 90, 0);
	assert_int_equal(colour(&l, DAY + 89), VERDICT_GREY);
	assert_int_equal(colour(&l, DAY + 90), VERDICT_BLACK);
}

static void resolved_before_the_date(void **state)
{
	struct life l = born(*state);
	on(&l, DAY, UNREGISTERED | INFORMS);
	on(&l, DAY + 40, 0);
	IS(l, 0, DAY, DAY + 90, DAY + 40);
	assert_int_equal(l.c.was_mask, UNREGISTERED);
	assert_int_equal(colour(&l, DAY + 400), VERDICT_UNKNOWN);
	on(&l, DAY + 41, 0);
	assert_false(l.changed);
	struct life again = l;
	/* The same thing on the eve of the date it was told: the date stands. */
	on(&again, DAY + 89, UNREGISTERED);
	IS(again, UNREGISTERED, DAY, DAY + 90, 0);
	/* On the day itself: nobody expected it any more. */
	again = l;
	on(&again, DAY + 90, UNREGISTERED);
	IS(again, UNREGISTERED, DAY + 90, DAY + 180, 0);
	/* Another thing. */
	again = l;
	on(&again, DAY + 50, CLONE);
	IS(again, CLONE, DAY + 50, DAY + 80, 0);
	again = l;
	on(&again, DAY + 50, CLONE | UNREGISTERED);
	IS(again, CLONE | UNREGISTERED, DAY, DAY + 90, 0);
	/* What only informed before and now: the record lives, the date does not. */
	again = l;
	on(&again, DAY + 50, INFORMS);
	IS(again, INFORMS, DAY + 50, 0, 0);
}

static void resolved_when_black(void **state)
{
	struct life l = born(*state);
	on(&l, DAY, CLONE);
	on(&l, DAY + 100, 0);
	IS(l, 0, DAY, DAY + 30, DAY + 100);
	assert_int_equal(colour(&l, DAY + 100), VERDICT_UNKNOWN);
	struct life again = l;
	on(&again, DAY + 130, CLONE);
	IS(again, CLONE, DAY, DAY + 30, 0);
	assert_int_equal(colour(&again, DAY + 130), VERDICT_BLACK);
	again = l;
	on(&again, DAY + 131, CLONE);
	IS(again, CLONE, DAY + 131, DAY + 161, 0);
	again = l;
	on(&again, DAY + 101, UNREGISTERED);
	IS(again, UNREGISTERED, DAY + 101, DAY + 191, 0);
}

static void sticky_stays(void **state)
{
	struct life l = born(*state);
	on(&l, DAY, STICKY | UNREGISTERED);
	on(&l, DAY + 10, 0);
	IS(l, STICKY, DAY, DAY + 60, 0);
	on(&l, DAY + 1000, 0);
	assert_false(l.changed);
	assert_int_equal(colour(&l, DAY + 1000), VERDICT_BLACK);
	/* A new version in which it is sticky no more. */
	struct policy_condition_text c[CEIR_COUNT(conditions)];
	memcpy(c, conditions, sizeof(c));
	c[6].sticky = false;
	struct policy *later = policy_of(c, CEIR_COUNT(c), 0, 0);
	l.p = later;
	on(&l, DAY + 1001, 0);
	IS(l, 0, DAY, DAY + 60, DAY + 1001);
	policy_free(later);
}

static void another_policy(void **state)
{
	struct policy_condition_text c[CEIR_COUNT(conditions)];
	for (unsigned change = 0; change < 5; change++) {
		memcpy(c, conditions, sizeof(c));
		if (change == 0)
			c[0].grace_days = 5;
		if (change == 1)
			c[0].grace_days = 500;
		if (change == 2)
			c[0].blocking = false;
		if (change == 3)
			c[0].name.n = 0; /* dropped: the bit is not used any more */
		if (change == 4)
			c[0].sticky = true;
		struct policy *later = policy_of(c, CEIR_COUNT(c), 0, 0);
		struct life l = born(*state);
		on(&l, DAY, UNREGISTERED);
		l.p = later;
		on(&l, DAY + 10, UNREGISTERED);
		if (change == 2) {
			IS(l, UNREGISTERED, DAY, 0, 0);
			assert_int_equal(colour(&l, DAY + 500), VERDICT_GREY); /* tracked, never blocked */
			l.p = *state;
			on(&l, DAY + 20, UNREGISTERED);
			IS(l, UNREGISTERED, DAY, DAY + 110, 0);
		} else if (change == 3) {
			IS(l, 0, DAY, DAY + 90, DAY + 10);
			assert_int_equal(colour(&l, DAY + 500), VERDICT_UNKNOWN);
		} else {
			IS(l, UNREGISTERED, DAY, DAY + 90, 0);
		}
		policy_free(later);
	}
}

static void genuine_stays(void **state)
{
	const struct policy *p = *state;
	struct policy_class c = {0}, after;
	struct policy_matched m = {.mask = CLONE, .first_s = 1, .last_s = 2, .genuine_imsi = 7, .genuine_msisdn = 8};
	policy_classify(p, &c, &m, DAY, &c);
	assert_int_equal(c.genuine_imsi, 7);
	/* Later another pair was used longer. */
	m.genuine_imsi = 9;
	m.genuine_msisdn = 0;
	assert_false(policy_classify(p, &c, &m, DAY + 50, &after));
	assert_int_equal(after.genuine_imsi, 7);
	/* No clone any more, another condition: nobody is. */
	m.mask = UNREGISTERED;
	policy_classify(p, &c, &m, DAY + 50, &after);
	assert_int_equal(after.genuine_imsi, 0);
	assert_int_equal(after.genuine_msisdn, 0);
	/* Resolved, and again soon: who was. Again late: who is now. */
	struct policy_matched none = {0};
	policy_classify(p, &c, &none, DAY + 50, &c);
	assert_int_equal(c.genuine_imsi, 7);
	m.mask = CLONE;
	policy_classify(p, &c, &m, DAY + 51, &after);
	assert_int_equal(after.genuine_imsi, 7);
	policy_classify(p, &c, &m, DAY + 500, &after);
	assert_int_equal(after.genuine_imsi, 9);
	assert_int_equal(after.genuine_msisdn, 0);
}

static void amnesty(void **state)
{
	(void)state;
	struct policy *p = policy_of(conditions, CEIR_COUNT(conditions), DAY, DAY + 100),
		      *before = policy_of(conditions, CEIR_COUNT(conditions), 0, 0);
	struct life l = born(p);
	/* Before the first day it is not in force. */
	on(&l, DAY - 1, UNREGISTERED);
	IS(l, UNREGISTERED, DAY - 1, DAY + 89, 0);
	on(&l, DAY, UNREGISTERED);
	IS(l, UNREGISTERED | POLICY_AMNESTY, DAY - 1, 0, 0);
	assert_int_equal(colour(&l, DAY), VERDICT_WHITE);
	assert_int_equal(reason(&l, DAY + 5000), VERDICT_AMNESTY);
	/* For ever, also when the policy has no amnesty any more. */
	l.p = before;
	on(&l, DAY + 5000, UNREGISTERED | OTHER);
	IS(l, UNREGISTERED | OTHER | POLICY_AMNESTY, DAY - 1, 0, 0);
	assert_int_equal(reason(&l, DAY + 5000), VERDICT_AMNESTY);
	on(&l, DAY + 5001, 0);
	IS(l, POLICY_AMNESTY, DAY - 1, 0, DAY + 5001);
	on(&l, DAY + 5002, UNREGISTERED);
	IS(l, UNREGISTERED | POLICY_AMNESTY, DAY + 5002, 0, 0);

	/* First seen on the last day, found later: granted. The day after: not. */
	l = born(p);
	l.first_s = (DAY + 100) * 86400u + 86399u;
	on(&l, DAY + 300, UNREGISTERED);
	IS(l, UNREGISTERED | POLICY_AMNESTY, DAY + 300, 0, 0);
	l = born(p);
	l.first_s = (DAY + 101) * 86400u;
	on(&l, DAY + 300, UNREGISTERED);
	IS(l, UNREGISTERED, DAY + 300, DAY + 390, 0);

	/* A clone's days count from the end of the amnesty, and then it is blocked. */
	l = born(p);
	on(&l, DAY + 10, UNREGISTERED | CLONE);
	IS(l, UNREGISTERED | CLONE | POLICY_AMNESTY, DAY + 10, DAY + 101 + 30, 0);
	assert_int_equal(reason(&l, DAY + 10), VERDICT_CLONE);
	assert_int_equal(colour(&l, DAY + 130), VERDICT_GREY);
	assert_int_equal(colour(&l, DAY + 131), VERDICT_BLACK);
	on(&l, DAY + 140, UNREGISTERED);
	assert_int_equal(colour(&l, DAY + 140), VERDICT_WHITE);
	/* So are malformed IMEIs and unknown TACs; no days of grace: the day after the last. */
	l = born(p);
	on(&l, DAY + 100, TAC | MALFORMED);
	IS(l, TAC | MALFORMED | POLICY_AMNESTY, DAY + 100, DAY + 101, 0);
	/* A clone of an amnestied device found after the end gets days of its own. */
	l = born(p);
	on(&l, DAY + 10, UNREGISTERED);
	on(&l, DAY + 200, UNREGISTERED | CLONE);
	IS(l, UNREGISTERED | CLONE | POLICY_AMNESTY, DAY + 10, DAY + 230, 0);
	/* An amnesty that begins later moves a date that stands, and never forward. */
	l = born(before);
	on(&l, DAY - 10, CLONE);
	IS(l, CLONE, DAY - 10, DAY + 20, 0);
	l.p = p;
	on(&l, DAY + 5, CLONE);
	IS(l, CLONE | POLICY_AMNESTY, DAY - 10, DAY + 131, 0);
	/* What only informs earns none, and what is not seen has none. */
	l = born(p);
	on(&l, DAY + 5, INFORMS);
	IS(l, INFORMS, DAY + 5, 0, 0);
	struct policy_matched none = {.mask = 0};
	struct policy_class c;
	policy_classify(p, NULL, &none, DAY + 5, &c);
	assert_int_equal(c.mask, 0);
	policy_free(before);
	policy_free(p);
}

/* Facts are set, and those of another IMEI in the struct are cleared; `seen` is left when it was true. */
static void facts_of_a_record(void **state)
{
	struct policy_facts f;
	memset(&f, 1, sizeof(f));
	policy_class_facts(*state, NULL, DAY, &f);
	assert_true(f.seen && f.golden && f.pair);
	assert_false(f.grace_over || f.malformed || f.tac_unallocated || f.clone || f.condition || f.amnesty);
	f.seen = false;
	struct policy_class c = {.mask = INFORMS};
	policy_class_facts(*state, &c, DAY, &f);
	assert_false(f.seen);
	c = (struct policy_class){.mask = CLONE | MALFORMED | TAC | OTHER | POLICY_AMNESTY, .block_day = DAY};
	policy_class_facts(*state, &c, DAY - 1, &f);
	assert_true(f.seen && f.malformed && f.tac_unallocated && f.clone && f.condition && f.amnesty && !f.grace_over);
	policy_class_facts(*state, &c, DAY, &f);
	assert_true(f.grace_over);
	/* A date that is only remembered. */
	c = (struct policy_class){.was_mask = CLONE, .block_day = DAY, .resolved_day = DAY};
	policy_class_facts(*state, &c, DAY + 9, &f);
	assert_false(f.grace_over || f.clone);
}

static uint32_t dice(uint64_t *seed, uint32_t sides)
{
	*seed = *seed * 6364136223846793005 + 1442695040888963407;
	return (uint32_t)(*seed >> 33) % sides;
}

/*
 * Lives at random, with changes of policy: a date that is told is never brought forward while the matter lasts, and nobody is
 * blocked without the days of grace, unless the same thing comes back.
 */
static void never_forward(void **state)
{
	(void)state;
	uint64_t seed = 42;
	for (unsigned round = 0; round < 3000; round++) {
		struct life l = {.p = NULL, .first_s = 86400u * (DAY - dice(&seed, 50))};
		struct policy_condition_text c[CEIR_COUNT(conditions)];
		struct policy *p = NULL;
		int32_t day = DAY;
		for (unsigned step = 0; step < 12; step++, day += (int32_t)dice(&seed, 40)) {
			if (!p || dice(&seed, 4) == 0) {
				struct policy *old = p;
				memcpy(c, conditions, sizeof(c));
				for (size_t i = 0; i < CEIR_COUNT(c); i++)
					c[i].grace_days = 1 + dice(&seed, 100);
				p = dice(&seed, 3) ? policy_of(c, CEIR_COUNT(c), 0, 0)
						   : policy_of(c, CEIR_COUNT(c), DAY + 20, DAY + 100);
				l.p = p;
				policy_free(old);
			}
			struct policy_class before = l.c;
			on(&l, day, dice(&seed, 3) ? dice(&seed, 128) : 0);
			uint32_t least = UINT32_MAX;
			for (size_t i = 0; i < CEIR_COUNT(c); i++)
				if (l.c.mask >> i & 1 && c[i].blocking && c[i].grace_days < least)
					least = c[i].grace_days;
			if (l.c.since_day == before.since_day && before.block_day && l.c.block_day)
				assert_true(l.c.block_day >= before.block_day);
			if (l.c.block_day && l.c.block_day != before.block_day)
				assert_true(l.c.block_day >= day + (int32_t)least);
			if (l.c.mask)
				assert_true(l.c.since_day > 0 && l.c.since_day <= day);
			if (before.mask & POLICY_AMNESTY)
				assert_true(l.c.mask & POLICY_AMNESTY);
			assert_true(!l.c.resolved_day || !(l.c.mask & ~POLICY_AMNESTY));
			assert_true(!l.c.was_mask || l.c.resolved_day);
		}
		policy_free(p);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(first_match, setup, teardown),
		cmocka_unit_test_setup_teardown(reasons, setup, teardown),
		cmocka_unit_test_setup_teardown(informing_only, setup, teardown),
		cmocka_unit_test_setup_teardown(more_and_fewer, setup, teardown),
		cmocka_unit_test_setup_teardown(resolved_before_the_date, setup, teardown),
		cmocka_unit_test_setup_teardown(resolved_when_black, setup, teardown),
		cmocka_unit_test_setup_teardown(sticky_stays, setup, teardown),
		cmocka_unit_test_setup_teardown(another_policy, setup, teardown),
		cmocka_unit_test_setup_teardown(genuine_stays, setup, teardown),
		cmocka_unit_test(amnesty),
		cmocka_unit_test_setup_teardown(facts_of_a_record, setup, teardown),
		cmocka_unit_test(never_forward),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

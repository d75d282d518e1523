/* Facts of one IMEI that are no matter of many IMSIs (policy_clone_test.c has these); and IMEIs with very many subscribers. */
#include "policy_rows.h"

/* ---- what the tables say -------------------------------------------------------------------------------------------- */

static bool match_imei(const char *rule, uint64_t imei)
{
	struct triplet t = triplet(IMSI(1), 0, 1, 10, 0);
	t.imei = imei;
	return gather_imei(rule, imei, &t, 1).mask;
}

static void malformed(void **state)
{
	(void)state;
	assert_true(match_imei("malformed", 0));
	assert_true(match_imei("malformed", 11111111111111));
	assert_true(match_imei("malformed", 99999999999999));
	assert_true(match_imei("malformed", IMEI_MAX + 1));
	assert_true(match_imei("malformed", UINT64_MAX));
	assert_false(match_imei("malformed", 11111111111112));
	assert_false(match_imei("malformed", 1));
}

static void test_tac(void **state)
{
	(void)state;
	assert_true(match_imei("test-tac", 2000000000001));  /* RBI 02 */
	assert_true(match_imei("test-tac", 1));              /* RBI 00 */
	assert_false(match_imei("test-tac", 1000000000001)); /* RBI 01: PTCRB */
	assert_false(match_imei("test-tac", IMEI));
	assert_false(match_imei("test-tac", 0));
}

static const struct policy_tac tacs[] = {
	{.tac = 35000000, .allocated = true, .rats = 1u << TRIPLET_GSM | 1u << TRIPLET_LTE, .type = 2},
	{.tac = 35000001, .allocated = false, .rats = 1u << TRIPLET_GSM},
	{.tac = 35000003, .allocated = true, .type = 3},
};

static void tac_unknown(void **state)
{
	(void)state;
	struct triplet t = triplet(IMSI(1), 0, 1, 10, 0);
	uint64_t none = 35000002000001, withdrawn = 35000001000001;
	assert_int_equal(gather_imei("tac-unknown", none, &t, 1).mask, 0); /* no table is loaded */
	tables.tacs = tacs;
	tables.n_tacs = CEIR_COUNT(tacs);
	assert_int_equal(gather_imei("tac-unknown", none, &t, 1).mask, 1);
	assert_int_equal(gather_imei("tac-unknown", withdrawn, &t, 1).mask, 1);
	assert_int_equal(gather_imei("tac-unknown", IMEI, &t, 1).mask, 0);
	assert_int_equal(gather_imei("tac-unknown", IMEI_MAX + 5, &t, 1).mask, 0);
	assert_int_equal(gather_imei("tac-unknown", 0, &t, 1).mask, 0);
	/* First seen ten days ago is not more than ten days ago; a second more is. */
	assert_int_equal(gather_imei("tac-unknown(days=10)", none, &t, 1).mask, 0);
	assert_int_equal(gather_imei("tac-unknown-rbi(35=10)", none, &t, 1).mask, 0);
	assert_int_equal(gather_imei("tac-unknown-rbi(01=10 other=9)", none, &t, 1).mask, 1);
	assert_int_equal(gather_imei("tac-unknown-rbi", none, &t, 1).mask, 0); /* 35 has 20 days */
	assert_int_equal(gather_imei("tac-unknown-rbi", 44000002000001, &t, 1).mask, 1);
	t.first_s--;
	assert_int_equal(gather_imei("tac-unknown(days=10)", none, &t, 1).mask, 1);
	assert_int_equal(gather_imei("tac-unknown-rbi(35=10)", none, &t, 1).mask, 1);
}

static void registration_and_listings(void **state)
{
	(void)state;
	tables.tacs = tacs;
	tables.n_tacs = CEIR_COUNT(tacs);
	uint64_t modem = 35000003000001;
	assert_true(match_imei("not-registered", IMEI));
	assert_true(match_imei("not-registered", modem));
	assert_false(match_imei("not-registered(exempt=modem)", modem));
	assert_false(match_imei("not-registered(exempt=router, modem)", modem));
	assert_true(match_imei("not-registered(exempt=router exempt=iot)", modem));
	assert_true(match_imei("not-registered(exempt=modem)", IMEI));
	assert_true(match_imei("not-registered(exempt=modem)", 35000002000001)); /* not in the table */
	assert_true(match_imei("type(modem)", modem));
	assert_true(match_imei("type(smartphone modem)", modem));
	assert_false(match_imei("type(smartphone)", modem));
	assert_false(match_imei("barred or stolen or watched", IMEI));
	known.registered = true;
	assert_false(match_imei("not-registered", IMEI));
	known.black_reason = POLICY_REASON_FRAUD;
	assert_true(match_imei("barred", IMEI));
	assert_false(match_imei("stolen", IMEI));
	known.black_reason = POLICY_REASON_STOLEN;
	assert_true(match_imei("stolen", IMEI));
	known.black_reason = POLICY_REASON_LOST;
	assert_true(match_imei("stolen", IMEI));
	assert_false(match_imei("watched", IMEI));
	known.watched = true;
	assert_true(match_imei("watched", IMEI));
}

static void rat_impossible(void **state)
{
	(void)state;
	struct triplet t[2] = {triplet(IMSI(1), 0, 1, 10, 0), triplet(IMSI(2), 0, 1, 10, 0)};
	t[1].rat = TRIPLET_NR;
	assert_false(match("rat-impossible", t, 2)); /* no table */
	tables.tacs = tacs;
	tables.n_tacs = CEIR_COUNT(tacs);
	assert_true(match("rat-impossible", t, 2));
	t[1].rat = TRIPLET_LTE;
	assert_false(match("rat-impossible", t, 2));
	t[1].rat = TRIPLET_RAT_NONE;
	assert_false(match("rat-impossible", t, 2));
	t[1].rat = TRIPLET_NR;
	assert_int_equal(gather_imei("rat-impossible", 35000003000001, t, 2).mask, 0); /* not known what it has */
	assert_int_equal(gather_imei("rat-impossible", 35000001000001, t, 2).mask, 0); /* not allocated */
}

static void subscribers(void **state)
{
	(void)state;
	static const struct policy_operator operators[] = {{1, 25501, 5}, {2, 255001, 6}, {3, 25503, 5}};
	struct triplet own = triplet(UINT64_C(255010000000001), 0, 1, 10, 0),
		       other = triplet(UINT64_C(255990000000001), 0, 1, 10, 0),
		       foreign = triplet(UINT64_C(310260000000001), 0, 1, 10, 0),
		       six = triplet(UINT64_C(255001000000001), 0, 1, 10, 0);
	tables.operators = operators;
	tables.n_operators = CEIR_COUNT(operators);
	assert_int_equal(policy_operator_of_imsi(&tables, own.imsi), 1);
	assert_int_equal(policy_operator_of_imsi(&tables, six.imsi), 2);
	assert_int_equal(policy_operator_of_imsi(&tables, other.imsi), 0);
	assert_int_equal(policy_operator_of_imsi(&tables, triplet_imsi_key((struct imsi){25503000000001, 14})), 3);
	assert_int_equal(policy_operator_of_imsi(&tables, UINT64_MAX), 0);
	assert_true(match("subscriber(own)", &own, 1));
	assert_true(match("subscriber(own)", &six, 1));
	assert_true(match("subscriber(domestic)", &own, 1));
	assert_false(match("subscriber(foreign)", &own, 1));
	assert_false(match("subscriber(own)", &other, 1));
	assert_true(match("subscriber(domestic)", &other, 1));
	assert_true(match("subscriber(foreign)", &foreign, 1));
	assert_false(match("subscriber(domestic)", &foreign, 1));
	struct triplet mixed[] = {own, other}, abroad[] = {own, foreign};
	assert_false(match("subscriber(own)", mixed, 2));
	assert_true(match("subscriber(domestic) and not subscriber(own)", mixed, 2));
	assert_true(match("subscriber(domestic) and subscriber(own)", mixed, 1));
	assert_true(match("subscriber(domestic)", mixed, 2));
	assert_false(match("subscriber(domestic) or subscriber(foreign)", abroad, 2));
}

static void roamer(void **state)
{
	(void)state;
	uint64_t foreign = UINT64_C(310260000000001);
	struct triplet t = triplet(foreign, 0, 1, 89, 0), home = triplet(IMSI(1), 0, 1, 0, 0);
	assert_true(match("roamer", &t, 1)); /* 90 days */
	t = triplet(foreign, 0, 1, 90, 0);
	assert_false(match("roamer", &t, 1)); /* 91 */
	assert_false(match("roamer", &home, 1));
	/* Seen by two operators on the same days: 60 days; by the second one later: 120. */
	struct triplet two[] = {triplet(foreign, 0, 1, 59, 0), triplet(foreign, 0, 2, 59, 0)};
	assert_true(match("roamer", two, 2));
	two[1] = triplet(foreign, 0, 2, 150, 91);
	assert_false(match("roamer", two, 2));
	/* Two SIMs, 60 days each. */
	two[1] = triplet(foreign + 1, 0, 2, 150, 91);
	assert_true(match("roamer", two, 2));
	/* Episodes: last year's visit does not count, this spring's does. */
	struct triplet_episode e[] = {{NOW - 700 * DAY, NOW - 370 * DAY}, {NOW - 200 * DAY, NOW - 171 * DAY}};
	t = triplet(foreign, 0, 1, 59, 0);
	t.first_s = e[0].from_s;
	t.episodes = e;
	t.n_episodes = 2;
	assert_true(match("roamer", &t, 1)); /* 30 + 60 */
	e[1].to_s += DAY;
	assert_false(match("roamer", &t, 1));
	/* The year is 365 days with today. */
	t = triplet(foreign, 0, 1, 400, 275);
	assert_true(match("roamer", &t, 1));
	t = triplet(foreign, 0, 1, 400, 274);
	assert_false(match("roamer", &t, 1));
}

/* ---- rotation, swaps ------------------------------------------------------------------------------------------------ */

static unsigned calls;

static unsigned imeis_of_imsi(void *ctx, uint64_t imsi, uint32_t from_s, unsigned max)
{
	const unsigned *imeis = ctx;
	assert_int_equal(from_s, NOW - 30 * DAY);
	calls++;
	unsigned n = imeis[imsi - IMSI(0)];
	return n < max ? n : max;
}

static bool swapped(void *ctx, uint64_t msisdn, uint32_t within_s, uint32_t from_s)
{
	(void)ctx;
	assert_int_equal(within_s, 48 * 3600);
	assert_int_equal(from_s, NOW - 30 * DAY);
	calls++;
	return msisdn == MSISDN(7);
}

static void questions(void **state)
{
	(void)state;
	unsigned imeis[] = {1, 10, 9};
	struct triplet t[] = {triplet(IMSI(0), MSISDN(0), 1, 20, 0), triplet(IMSI(0), MSISDN(7), 1, 20, 0),
		triplet(IMSI(1), MSISDN(1), 1, 20, 0), triplet(IMSI(2), 0, 1, 20, 0)};
	assert_false(match("rotation or sim-swap", t, 4)); /* nobody to ask */
	tables.imeis_of_imsi = imeis_of_imsi;
	tables.swapped = swapped;
	tables.ctx = imeis;
	calls = 0;
	assert_true(match("rotation(imeis=10 days=30)", t, 4));
	assert_int_equal(calls, 2); /* each IMSI once, and no more than needed */
	imeis[1] = 9;
	assert_false(match("rotation(imeis=10 days=30)", t, 4));
	imeis[1] = 10;
	t[2].last_s = NOW - 30 * DAY - 1; /* not seen with this IMEI lately */
	assert_false(match("rotation(imeis=10 days=30)", t, 4));
	calls = 0;
	assert_true(match("sim-swap(hours=48)", t, 4));
	assert_int_equal(calls, 2);
	t[1].msisdn = MSISDN(6);
	calls = 0;
	assert_false(match("sim-swap(hours=48)", t, 4));
	assert_int_equal(calls, 2); /* of MSISDN 1 it was too long ago, and the last has none */
	/* Not asked when the rest has decided already. */
	calls = 0;
	assert_false(match("barred and rotation", t, 4));
	assert_true(match("not-registered or sim-swap", t, 4));
	assert_int_equal(calls, 0);
}

/* ---- very many ------------------------------------------------------------------------------------------------------ */

static void hot_imei(void **state)
{
	(void)state;
	struct policy *p = compile("clone-threshold(imsis=300000 days=30)");
	struct policy_gather *g = policy_gather_new(p, &tables);
	struct policy_matched m;
	struct triplet t[500];
	assert_non_null(g);
	/* 300,000 subscribers with two numbers each, one of them twice; the genuine one comes late. */
	for (unsigned total = 300000; total >= 299999; total--) {
		policy_gather_begin(g, IMEI, &known, NOW);
		for (unsigned i = 0; i < total;) {
			size_t n = 0;
			for (; n < 500 && i < total; i++) {
				t[n++] = triplet(IMSI(i), MSISDN(i), 1, i == 290000 ? 21 : 20, 0);
				t[n++] = triplet(IMSI(i), MSISDN(1000000 + i / 2), 1, 20, 1);
			}
			policy_gather_add(g, t, n);
		}
		policy_gather_end(g, &m);
		assert_int_equal(m.mask, total == 300000);
		assert_int_equal(m.imsis, total);
		assert_int_equal(m.genuine_imsi, m.mask ? IMSI(290000) : 0);
		if (m.msisdns < 450000 * 0.93 || m.msisdns > 450000 * 1.07)
			fail_msg("%llu MSISDNs of 450000", (unsigned long long)m.msisdns);
	}
	/* Nothing of it is left for the next one. */
	t[0] = triplet(IMSI(1), MSISDN(1), 1, 1, 0);
	policy_gather_begin(g, IMEI + 1, &known, NOW);
	policy_gather_add(g, t, 1);
	policy_gather_end(g, &m);
	assert_int_equal(m.mask, 0);
	assert_int_equal(m.imsis, 1);
	assert_int_equal(m.msisdns, 1);
	assert_int_equal(m.first_s, NOW - DAY);
	/* And without a row nothing matches. */
	policy_gather_begin(g, IMEI + 2, &known, NOW);
	policy_gather_end(g, &m);
	assert_int_equal(m.mask, 0);
	assert_int_equal(m.imsis, 0);
	policy_gather_free(g);
	policy_free(p);
}

/* Rows around the limit: kept, and one more. MSISDNs are exact while there are few of them. */
static void around_the_limit(void **state)
{
	(void)state;
	struct triplet *t = malloc((POLICY_GATHER_MAX + 1) * sizeof(*t));
	assert_non_null(t);
	for (unsigned i = 0; i <= POLICY_GATHER_MAX; i++)
		t[i] = triplet(IMSI(i), i % 3 ? MSISDN(i % 1000) : 0, 1, 20, 0);
	for (unsigned n = POLICY_GATHER_MAX - 1; n <= POLICY_GATHER_MAX + 1; n++) {
		struct policy_matched m = gather_imei("clone-threshold(imsis=4096 days=30)", IMEI, t, n);
		assert_int_equal(m.mask, n >= 4096);
		assert_int_equal(m.imsis, n);
		assert_int_equal(m.msisdns, 1000);
	}
	assert_true(match("clone-daily(mean=1000 days=30)", t, POLICY_GATHER_MAX + 1));
	assert_true(match("clone-simultaneous(times=1000 days=30)", t, POLICY_GATHER_MAX + 1));
	assert_true(match("sim-box(imsis=4096 days=30 row=2)", t, POLICY_GATHER_MAX + 1));
	free(t);
}

/* A TAC's answers are kept from one IMEI to the next: not for those they do not hold for. */
static void one_after_another(void **state)
{
	(void)state;
	tables.tacs = tacs;
	tables.n_tacs = CEIR_COUNT(tacs);
	struct policy *p = compile("barred or malformed or not-registered(exempt=smartphone other) and not test-tac or watched or "
				   "type(modem) or tac-unknown and "
				   "not test-tac and not-registered");
	struct policy_gather *g = policy_gather_new(p, &tables);
	const struct {
		uint64_t imei;
		struct policy_known known;
		unsigned want;
	} steps[] = {
		{35000000000001, {0}, 0},
		{35000000000002, {.black_reason = 1}, 1},
		{35000000000003, {0}, 0},
		{35000000000004, {.registered = true}, 0},
		{35000000000005, {.watched = true}, 1},
		{35000003000001, {0}, 1},
		{35000003000002, {.registered = true}, 1},
		{35000000000001, {.registered = true}, 0},
		{35000003000003, {0}, 1},
		{IMEI_MAX, {0}, 1},
		{IMEI_MAX + 1, {0}, 1},
		{1, {0}, 0},
		{0, {0}, 1},
		{2, {0}, 0},
		{11111111111110, {.registered = true}, 0},
		{11111111111111, {.registered = true}, 1},
		{11111111111112, {.registered = true}, 0},
		{35000000000001, {0}, 0},
	};
	struct triplet t = triplet(IMSI(1), 0, 1, 1, 0);
	assert_non_null(g);
	for (size_t i = 0; i < CEIR_COUNT(steps); i++) {
		struct policy_matched m;
		policy_gather_begin(g, steps[i].imei, &steps[i].known, NOW + (i & 1));
		policy_gather_add(g, &t, 1);
		policy_gather_end(g, &m);
		assert_int_equal(m.mask, steps[i].want);
	}
	policy_gather_free(g);
	policy_free(p);
}

/* What one IMEI was seen with says nothing of the next. */
static void another_imei(void **state)
{
	(void)state;
	tables.tacs = tacs;
	tables.n_tacs = CEIR_COUNT(tacs);
	struct policy *p = compile("rat-impossible");
	struct policy_gather *g = policy_gather_new(p, &tables);
	struct triplet t = triplet(IMSI(1), 0, 1, 1, 0);
	assert_non_null(g);
	for (unsigned i = 0; i < 4; i++) {
		struct policy_matched m;
		t.rat = i % 2 ? TRIPLET_LTE : TRIPLET_NR;
		policy_gather_begin(g, IMEI + i, &known, NOW);
		policy_gather_add(g, &t, 1);
		policy_gather_end(g, &m);
		assert_int_equal(m.mask, i % 2 == 0);
	}
	policy_gather_free(g);
	policy_free(p);
}

/* One gather, another day: windows move. */
static void another_day(void **state)
{
	(void)state;
	static const char *const rules[] = {"clone-threshold(imsis=2 days=30)", "clone-daily(mean=2 days=30)"};
	for (size_t i = 0; i < CEIR_COUNT(rules); i++) {
		struct policy *p = compile(rules[i]);
		struct policy_gather *g = policy_gather_new(p, &tables);
		struct triplet t[2] = {triplet(IMSI(1), 0, 1, 9, 0), triplet(IMSI(2), 0, 1, 9, 0)};
		assert_non_null(g);
		for (uint32_t later = 0; later < 50; later += 40) {
			struct policy_matched m;
			policy_gather_begin(g, IMEI, &known, NOW + later * DAY);
			policy_gather_add(g, t, 2);
			policy_gather_end(g, &m);
			assert_int_equal(m.mask, later == 0);
		}
		policy_gather_free(g);
		policy_free(p);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(malformed, clean),
		cmocka_unit_test_setup(test_tac, clean),
		cmocka_unit_test_setup(tac_unknown, clean),
		cmocka_unit_test_setup(registration_and_listings, clean),
		cmocka_unit_test_setup(rat_impossible, clean),
		cmocka_unit_test_setup(subscribers, clean),
		cmocka_unit_test_setup(roamer, clean),
		cmocka_unit_test_setup(questions, clean),
		cmocka_unit_test_setup(hot_imei, clean),
		cmocka_unit_test_setup(around_the_limit, clean),
		cmocka_unit_test_setup(one_after_another, clean),
		cmocka_unit_test_setup(another_imei, clean),
		cmocka_unit_test_setup(another_day, clean),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

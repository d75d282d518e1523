/* Conditions over many IMSIs of one IMEI: each at its threshold and one below, and what honest use never looks like. */
#include "policy_rows.h"

static void clone_threshold(void **state)
{
	(void)state;
	struct triplet t[6];
	for (unsigned i = 0; i < 6; i++)
		t[i] = triplet(IMSI(i), MSISDN(i), 1, 100, 30);
	assert_true(match("clone-threshold(imsis=5 days=30)", t, 5));
	assert_false(match("clone-threshold(imsis=5 days=30)", t, 4));
	assert_true(match("clone-threshold", t, 5));
	/* The last of five was last seen a second too long ago. */
	t[4].last_s--;
	assert_false(match("clone-threshold(imsis=5 days=30)", t, 5));
	assert_true(match("clone-threshold(imsis=5 days=30)", t, 6));
	assert_true(match("clone-threshold(imsis=5 days=31)", t, 5));
	/* One IMSI under several MSISDNs and operators is one. */
	for (unsigned i = 0; i < 5; i++)
		t[i] = triplet(IMSI(i < 4 ? i : 3), MSISDN(i), (uint8_t)(i + 1), 10, 0);
	assert_false(match("clone-threshold(imsis=5 days=30)", t, 5));
	assert_true(match("clone-threshold(imsis=4 days=30)", t, 5));
	/* Two windows at once. */
	t[0] = triplet(IMSI(0), 0, 1, 100, 50);
	assert_true(match("clone-threshold(imsis=4 days=60) and not clone-threshold(imsis=4 days=30)", t, 5));
}

static void clone_daily(void **state)
{
	(void)state;
	struct triplet t[4] = {triplet(IMSI(0), 0, 1, 2, 0), triplet(IMSI(1), 0, 1, 2, 0), triplet(IMSI(2), 0, 1, 2, 0)};
	assert_true(match("clone-daily(mean=2.0 days=30 min-days=3)", t, 2));
	assert_false(match("clone-daily(mean=2.001 days=30 min-days=3)", t, 2));
	assert_false(match("clone-daily(mean=2.0 days=30 min-days=4)", t, 2));
	assert_true(match("clone-daily(mean=3 days=30 min-days=3)", t, 3));
	/* One of two comes a day late: 5 IMSI days in 3. */
	t[1] = triplet(IMSI(1), 0, 1, 1, 0);
	assert_false(match("clone-daily(mean=2.0 days=30 min-days=3)", t, 2));
	assert_true(match("clone-daily(mean=1.666)", t, 2));
	assert_false(match("clone-daily(mean=1.667)", t, 2));
	/* Days before the window do not count, nor do days without anybody. */
	t[0] = triplet(IMSI(0), 0, 1, 60, 25);
	t[1] = triplet(IMSI(1), 0, 1, 27, 20);
	assert_true(match("clone-daily(mean=1.3 days=30 min-days=10)", t, 2)); /* 29..20, two on 27 26 25 */
	assert_false(match("clone-daily(mean=1.301 days=30 min-days=10)", t, 2));
	assert_false(match("clone-daily(mean=1.3 days=30 min-days=11)", t, 2));
	/* A SIM after the other: two on the day of the change only. */
	t[0] = triplet(IMSI(0), 0, 1, 20, 10);
	t[1] = triplet(IMSI(1), 0, 1, 10, 0);
	assert_false(match("clone-daily(mean=1.1 days=30 min-days=3)", t, 2));
	/* The same IMSI under two numbers or operators is one. */
	t[0] = triplet(IMSI(0), MSISDN(1), 1, 20, 0);
	t[1] = triplet(IMSI(0), MSISDN(2), 2, 20, 0);
	assert_false(match("clone-daily(mean=1.001 days=30 min-days=3)", t, 2));
	/* All 64 days there are. */
	t[0] = triplet(IMSI(0), 0, 1, 100, 0);
	t[1] = triplet(IMSI(1), 0, 1, 63, 0);
	assert_true(match("clone-daily(mean=2 days=64 min-days=64)", t, 2));
}

/* Two IMSIs on the same days, `runs` times three days with a day between. */
static bool side_by_side(const char *rule, unsigned runs, uint32_t days, uint64_t msisdn_a, uint64_t msisdn_b)
{
	struct triplet_episode e[2][8];
	struct triplet t[2] = {triplet(IMSI(0), msisdn_a, 1, 0, 0), triplet(IMSI(1), msisdn_b, 2, 0, 0)};
	for (unsigned i = 0; i < 2; i++) {
		for (unsigned r = 0; r < runs; r++) {
			uint32_t last = NOW - (runs - 1 - r) * 5 * DAY;
			e[i][r] = (struct triplet_episode){last - (days - 1) * DAY, last};
		}
		t[i].first_s = e[i][0].from_s;
		t[i].episode_s = e[i][runs - 1].from_s;
		t[i].last_s = e[i][runs - 1].to_s;
		t[i].episodes = e[i];
		t[i].n_episodes = (uint16_t)(runs - 1);
	}
	return match(rule, t, 2);
}

static void clone_simultaneous(void **state)
{
	(void)state;
	const char *rule = "clone-simultaneous(times=3 days=30)";
	assert_true(side_by_side(rule, 3, 3, 0, 0));
	assert_false(side_by_side(rule, 2, 3, 0, 0));
	assert_true(side_by_side(rule, 3, 4, MSISDN(1), MSISDN(2)));
	/* Two days in common may be an hour around midnight. */
	assert_false(side_by_side(rule, 6, 2, 0, 0));
	/* A ported number or a new SIM: one subscriber. */
	assert_false(side_by_side(rule, 3, 3, MSISDN(1), MSISDN(1)));
	/* Runs at 0, 5, 10 days; the window cuts the third. */
	assert_true(side_by_side("clone-simultaneous(times=3 days=13)", 3, 3, 0, 0));
	assert_false(side_by_side("clone-simultaneous(times=3 days=12)", 3, 3, 0, 0));

	/* One after the other, each change within a day: never, however often. */
	struct triplet t[80];
	for (unsigned i = 0; i < 10; i++)
		t[i] = triplet(IMSI(i), 0, 1, 3 * i + 3, 3 * i);
	assert_false(match("clone-simultaneous(times=1 days=60)", t, 10));
	/* The same IMSI at two operators: national roaming. */
	t[0] = triplet(IMSI(0), MSISDN(1), 1, 20, 0);
	t[1] = triplet(IMSI(0), MSISDN(2), 2, 20, 0);
	assert_false(match("clone-simultaneous(times=1 days=60)", t, 2));
	/* Three at a time are three pairs. */
	for (unsigned i = 0; i < 80; i++)
		t[i] = triplet(IMSI(i), 0, 1, 20, 0);
	assert_true(match("clone-simultaneous(times=3 days=60)", t, 3));
	assert_false(match("clone-simultaneous(times=4 days=60)", t, 3));
	assert_true(match("clone-simultaneous(times=1000 days=60)", t, 80));
	/* A number that changed: the latest counts. */
	struct triplet changed[] = {triplet(IMSI(0), MSISDN(1), 1, 40, 20), triplet(IMSI(0), MSISDN(2), 1, 20, 0),
		triplet(IMSI(1), MSISDN(2), 1, 10, 0)};
	assert_false(match("clone-simultaneous(times=1 days=60)", changed, 3));
	changed[2].msisdn = MSISDN(1);
	assert_true(match("clone-simultaneous(times=1 days=60)", changed, 3));
}

static void genuine_pair(void **state)
{
	(void)state;
	const char *rule = "clone-threshold(imsis=3 days=3650)";
	struct triplet t[] = {triplet(IMSI(1), MSISDN(1), 1, 20, 10), triplet(IMSI(2), MSISDN(2), 1, 30, 19),
		triplet(IMSI(3), MSISDN(3), 1, 40, 30)};
	struct policy_matched m = gather_imei(rule, IMEI, t, 3);
	assert_int_equal(m.mask, 1);
	assert_int_equal(m.genuine_imsi, IMSI(2));
	assert_int_equal(m.genuine_msisdn, MSISDN(2));
	assert_int_equal(m.imsis, 3);
	assert_int_equal(m.msisdns, 3);
	assert_int_equal(m.first_s, NOW - 40 * DAY);
	assert_int_equal(m.last_s, NOW - 10 * DAY);
	/* Ten days each: the one seen first. */
	t[1] = triplet(IMSI(2), MSISDN(2), 1, 30, 20);
	m = gather_imei(rule, IMEI, t, 3);
	assert_int_equal(m.genuine_imsi, IMSI(3));
	/* Seen first at the same time too: the lowest IMSI. */
	t[2] = triplet(IMSI(3), MSISDN(3), 1, 30, 20);
	m = gather_imei(rule, IMEI, t, 3);
	assert_int_equal(m.genuine_imsi, IMSI(2));
	/* Episodes add up: 5 + 6 days. */
	struct triplet_episode e = {NOW - 100 * DAY, NOW - 95 * DAY};
	t[0] = triplet(IMSI(1), MSISDN(1), 1, 6, 0);
	t[0].first_s = e.from_s;
	t[0].episodes = &e;
	t[0].n_episodes = 1;
	m = gather_imei(rule, IMEI, t, 3);
	assert_int_equal(m.genuine_imsi, IMSI(1));
	/* Operators do not: three see 6 days each of IMSI 3. */
	struct triplet many[] = {t[0], triplet(IMSI(2), 0, 1, 5, 0), triplet(IMSI(3), MSISDN(3), 1, 6, 0),
		triplet(IMSI(3), MSISDN(3), 2, 6, 0), triplet(IMSI(3), MSISDN(3), 3, 6, 0)};
	m = gather_imei(rule, IMEI, many, 5);
	assert_int_equal(m.genuine_imsi, IMSI(1));
	assert_int_equal(m.msisdns, 2);
	/* Seen first by whichever operator saw it first. */
	struct triplet tie[] = {triplet(IMSI(1), 0, 1, 11, 1), triplet(IMSI(2), 0, 1, 10, 0), triplet(IMSI(2), 0, 2, 12, 10),
		triplet(IMSI(3), 0, 1, 5, 0)};
	m = gather_imei(rule, IMEI, tie, 4);
	assert_int_equal(m.genuine_imsi, IMSI(2));
	/* No clone: none is named. */
	m = gather_imei("not-registered", IMEI, t, 3);
	assert_int_equal(m.mask, 1);
	assert_int_equal(m.genuine_imsi, 0);
	/* A clone by another condition than the one that matches. */
	m = gather_imei("not clone-threshold", IMEI, t, 3);
	assert_int_equal(m.genuine_imsi, 0);
}

static void sim_box(void **state)
{
	(void)state;
	struct triplet t[60];
	const char *rule = "sim-box(imsis=20 days=30 row=10)";
	/* 20 IMSIs, 10 of whose numbers are in a row with a step of 3; the others far apart. */
	for (unsigned i = 0; i < 20; i++)
		t[i] = triplet(IMSI(i), i < 10 ? MSISDN(1000 + 3 * i) : MSISDN(5000 + 100 * i), 1, 1, 0);
	assert_true(match(rule, t, 20));
	assert_false(match(rule, t, 19));
	assert_false(match("sim-box(imsis=20 days=30 row=11)", t, 20));
	/* Another number between them does not break the row; a gap does. */
	t[15].msisdn = MSISDN(1001);
	assert_true(match(rule, t, 20));
	t[5].msisdn = MSISDN(1016);
	assert_false(match(rule, t, 20));
	t[5].msisdn = MSISDN(1015);
	/* Last seen too long ago: 19 are left. */
	t[19].last_s = NOW - 30 * DAY - 1;
	assert_false(match(rule, t, 20));
	t[19].last_s = NOW - 30 * DAY;
	assert_true(match(rule, t, 20));
	/* Another operator's. */
	t[19].op = 2;
	assert_false(match(rule, t, 20));
	assert_true(match("sim-box(imsis=19 days=30 row=10)", t, 20));
	t[19].op = 1;
	t[3].op = 2;
	t[20] = triplet(IMSI(20), 0, 1, 1, 0);
	assert_false(match(rule, t, 21)); /* 20 of one, but the row has a gap */
	/* A step of 10 is one, of 11 is none. */
	for (unsigned step = 10; step <= 11; step++) {
		for (unsigned i = 0; i < 20; i++)
			t[i] = triplet(IMSI(i), MSISDN(1000 + step * i), 1, 1, 0);
		assert_true(match(rule, t, 20) == (step == 10));
	}
	/* No numbers at all. */
	for (unsigned i = 0; i < 20; i++)
		t[i].msisdn = 0;
	assert_false(match(rule, t, 20));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(clone_threshold, clean),
		cmocka_unit_test_setup(clone_daily, clean),
		cmocka_unit_test_setup(clone_simultaneous, clean),
		cmocka_unit_test_setup(genuine_pair, clean),
		cmocka_unit_test_setup(sim_box, clean),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Rules of conditions as people write them: what they mean, and what is said of those that are wrong. Parameters of a policy. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "policy/policy.h"

#define DAY 86400
#define NOW (20000 * (int64_t)DAY + 3600)

static struct policy *compile(const char *rule, char *why, size_t why_size)
{
	struct policy_params params;
	struct policy_condition_text c = {.name = STR("x"), .rule = str_of(rule), .grace_days = 30, .blocking = true};
	struct policy *p = NULL;
	policy_defaults(&params);
	why[0] = 0;
	enum ceir_err err = policy_new(1, &params, &c, 1, why, why_size, &p);
	assert_true(err == CEIR_OK || err == CEIR_EINVAL);
	assert_true((err == CEIR_OK) == (p != NULL));
	return p;
}

/* Does the rule match an IMEI of a test TAC (or not) that is registered (or not), black (or not), watched (or not)? */
static bool holds(const char *rule, bool test, bool registered, bool black, bool watched)
{
	char why[200];
	struct policy *p = compile(rule, why, sizeof(why));
	if (!p)
		fail_msg("%s: %s", rule, why);
	struct policy_tables t = {0};
	struct policy_known known = {.registered = registered, .black_reason = black ? POLICY_REASON_FRAUD : 0, .watched = watched};
	struct policy_gather *g = policy_gather_new(p, &t);
	struct triplet row = {.imei = test ? 2000000000001 : 35000000000001,
		.imsi = 255010000000001,
		.first_s = NOW - 9,
		.last_s = NOW - 9,
		.episode_s = NOW - 9,
		.op = 1};
	struct policy_matched m;
	assert_non_null(g);
	policy_gather_begin(g, row.imei, &known, NOW);
	policy_gather_add(g, &row, 1);
	policy_gather_end(g, &m);
	/* Nothing here depends on rows, so what may match does. */
	assert_int_equal(policy_may_match(p, &t, row.imei, &known), m.mask);
	policy_gather_free(g);
	policy_free(p);
	return m.mask;
}

static void expressions(void **state)
{
	(void)state;
	/* a: test-tac, b: not-registered, c: barred, d: watched; by their truth tables. */
	for (unsigned n = 0; n < 16; n++) {
		bool a = n & 1, b = n & 2, c = n & 4, d = n & 8;
		const struct {
			const char *rule;
			bool want;
		} rules[] = {
			{"test-tac", a},
			{"not test-tac", !a},
			{"not not test-tac", a},
			{"test-tac and not-registered", a && b},
			{"test-tac or not-registered", a || b},
			{"test-tac or not-registered and barred", a || (b && c)},
			{"test-tac and not-registered or barred", (a && b) || c},
			{"(test-tac or not-registered) and barred", (a || b) && c},
			{"test-tac and (not-registered or barred)", a && (b || c)},
			{"not (test-tac or not-registered) and barred", !(a || b) && c},
			{"not (test-tac and not-registered) or watched", !(a && b) || d},
			{"not(not(test-tac)or barred)and not(watched)", !(!a || c) && !d},
			{"test-tac and not-registered and barred and watched", a && b && c && d},
			{"test-tac or not-registered or barred or watched", a || b || c || d},
			{"(test-tac or barred) and (not-registered or watched)", (a || c) && (b || d)},
			{"test-tac and barred or not-registered and watched", (a && c) || (b && d)},
			{"  (\t( test-tac ) )\n", a},
			{"test-tac and not test-tac", false},
			{"malformed or stolen", false},
			{"test-tac and test-tac or test-tac", a},
		};
		for (size_t i = 0; i < CEIR_COUNT(rules); i++) {
			if (holds(rules[i].rule, a, !b, c, d) != rules[i].want)
				fail_msg("%s: a %d b %d c %d d %d", rules[i].rule, a, b, c, d);
		}
	}
}

/* An expression made at random, with its truth over the four facts. */
struct maker {
	char text[4000];
	size_t n;
	unsigned facts;
	uint64_t seed;
};

static unsigned dice(struct maker *m, unsigned sides)
{
	m->seed = m->seed * 6364136223846793005 + 1442695040888963407;
	return (unsigned)(m->seed >> 33) % sides;
}

static void put(struct maker *m, const char *s)
{
	m->n += (size_t)snprintf(m->text + m->n, sizeof(m->text) - m->n, "%s", s);
}

/* Bit i of the result: truth when the four facts are the bits of i. */
static unsigned make(struct maker *m, unsigned depth)
{
	static const char *const names[] = {"test-tac", "not-registered", "barred", "watched"};
	static const unsigned truth[] = {0xaaaa, 0xcccc, 0xf0f0, 0xff00};
	unsigned kind = depth ? dice(m, 5) : 0;
	if (kind <= 1) {
		unsigned f = dice(m, 4);
		m->facts++;
		put(m, names[f]);
		return truth[f];
	}
	if (kind == 2) {
		put(m, "not (");
		unsigned t = make(m, depth - 1);
		put(m, ")");
		return ~t & 0xffff;
	}
	put(m, "(");
	unsigned left = make(m, depth - 1);
	put(m, kind == 3 ? ") and (" : ") or (");
	unsigned right = make(m, depth - 1);
	put(m, ")");
	return kind == 3 ? left & right : left | right;
}

static void random_expressions(void **state)
{
	(void)state;
	unsigned done = 0;
	for (uint64_t seed = 1; done < 300; seed++) {
		struct maker m = {.seed = seed};
		unsigned truth = make(&m, 5);
		if (m.facts > 32 || m.n > 1000)
			continue;
		done++;
		for (unsigned i = 0; i < 16; i++)
			if (holds(m.text, i & 1, !(i & 2), i & 4, i & 8) != (truth >> i & 1))
				fail_msg("%s at %u", m.text, i);
	}
}

static void errors(void **state)
{
	(void)state;
	static const struct {
		const char *rule, *why;
	} wrong[] = {
		{"", "column 1: expected a fact, \"not\" or \"(\""},
		{"   ", "column 4: expected a fact, \"not\" or \"(\""},
		{"clone", "column 1: expected a fact: there is none of this name"},
		{"malformed and", "column 14: expected a fact, \"not\" or \"(\""},
		{"malformed or Malformed", "column 14: expected a fact, \"not\" or \"(\""},
		{"malformed malformed", "column 11: expected \"and\", \"or\" or the end"},
		{"malformed)", "column 10: expected \"and\", \"or\" or the end"},
		{"(malformed", "column 11: expected \")\", \"and\" or \"or\""},
		{"malformed()", "column 10: expected \"and\", \"or\" or the end"},
		{"clone-threshold(imsis=)", "column 23: expected a number after imsis= (2 to 1000000)"},
		{"clone-threshold(imsis=x)", "column 23: expected a number after imsis= (2 to 1000000)"},
		{"clone-threshold(imsis=1)", "column 23: expected a number after imsis= (2 to 1000000)"},
		{"clone-threshold(imsis=99999999999999999999)", "column 23: expected a number after imsis= (2 to 1000000)"},
		{"clone-threshold(imsis=5 imsis=5)", "column 25: expected each parameter once"},
		{"clone-threshold(imsis 5)", "column 23: expected \"=\" after imsis"},
		{"clone-threshold(imeis=5)", "column 17: expected one of imsis=, days="},
		{"clone-threshold(imsis=5", "column 24: expected a parameter or \")\""},
		{"clone-threshold(imsis=5;)", "column 24: expected a parameter or \")\""},
		{"clone-daily(mean=1.0)", "column 18: expected a number after mean= (1.001 to 1000)"},
		{"clone-daily(mean=2.0001)", "column 18: expected a number after mean= (1.001 to 1000)"},
		{"clone-daily(mean=2.x)", "column 18: expected a number after mean= (1.001 to 1000)"},
		{"clone-daily(days=65)", "column 18: expected a number after days= (1 to 64)"},
		{"clone-daily(days=3 min-days=4)", "column 1: expected min-days not above days"},
		{"tac-unknown-rbi(1=4)", "column 17: expected two digits of a reporting body, or other"},
		{"tac-unknown-rbi(01=)", "column 20: expected a number after 01= (0 to 3650)"},
		{"tac-unknown-rbi(other)", "column 22: expected \"=\" after other"},
		{"type", "column 5: expected \"(\" after type"},
		{"type()", "column 6: expected a type: handset, smartphone, modem, tablet, iot, wearable, router or other"},
		{"type(modem lorry)",
			"column 12: expected a type: handset, smartphone, modem, tablet, iot, wearable, router or other"},
		{"not-registered(modem)", "column 16: expected exempt="},
		{"not-registered(exempt=)",
			"column 23: expected a type: handset, smartphone, modem, tablet, iot, wearable, router or other"},
		{"subscriber", "column 11: expected \"(\" after subscriber"},
		{"subscriber(ours)", "column 12: expected own, domestic or foreign"},
		{"subscriber(own foreign)", "column 16: expected \")\""},
	};
	for (size_t i = 0; i < CEIR_COUNT(wrong); i++) {
		char why[200], want[200];
		struct policy *p = compile(wrong[i].rule, why, sizeof(why));
		snprintf(want, sizeof(want), "condition x, %s", wrong[i].why);
		assert_null(p);
		assert_string_equal(why, want);
	}
}

static void limits(void **state)
{
	(void)state;
	char rule[2000], why[200];
	/* 16 brackets within each other, and one more. */
	snprintf(rule, sizeof(rule), "(((((((((((((((((malformed)))))))))))))))))");
	struct policy *p = compile(rule, why, sizeof(why));
	assert_null(p);
	assert_string_equal(why, "condition x, column 17: expected at most 16 brackets and \"not\" within each other");
	snprintf(rule, sizeof(rule), "((((((((((((((((malformed))))))))))))))))");
	p = compile(rule, why, sizeof(why));
	assert_non_null(p);
	policy_free(p);
	/* 32 facts, and one more. */
	for (unsigned facts = 32; facts <= 33; facts++) {
		rule[0] = 0;
		for (unsigned i = 0; i < facts; i++)
			snprintf(rule + strlen(rule), sizeof(rule) - strlen(rule), "%sbarred", i ? " or " : "");
		p = compile(rule, why, sizeof(why));
		assert_true((p != NULL) == (facts == 32));
		policy_free(p);
	}
	assert_string_equal(why, "condition x, column 321: expected at most 32 facts in one condition");
	memset(rule, ' ', 1001);
	rule[1001] = 0;
	memcpy(rule, "malformed", 9);
	assert_null(compile(rule, why, sizeof(why)));
	assert_string_equal(why, "condition x, column 1001: expected at most 1000 characters");
	rule[1000] = 0;
	p = compile(rule, why, sizeof(why));
	assert_non_null(p);
	policy_free(p);
	/* What is said fits whatever room there is. */
	char little[8];
	assert_null(compile("clone", little, sizeof(little)));
	assert_string_equal(little, "conditi");
}

/* 64 different facts in all, shared by equal conditions. */
static void many_facts(void **state)
{
	(void)state;
	struct policy_params params;
	struct policy_condition_text c[3];
	char rules[3][1000] = {"", "", ""}, names[3][4] = {"a", "b", "c"}, why[200];
	struct policy *p = NULL;
	policy_defaults(&params);
	for (unsigned i = 0; i < 65; i++) {
		char *rule = rules[i / 32];
		snprintf(rule + strlen(rule), sizeof(rules[0]) - strlen(rule), "%srotation(imeis=%u)", *rule ? " or " : "", i + 2);
	}
	for (size_t i = 0; i < 3; i++)
		c[i] = (struct policy_condition_text){.name = str_of(names[i]), .rule = str_of(rules[i])};
	assert_int_equal(policy_new(1, &params, c, 3, why, sizeof(why), &p), CEIR_EINVAL);
	assert_string_equal(why, "condition c, column 1: expected at most 64 different facts in all conditions together");
	c[2].rule = c[0].rule;
	assert_int_equal(policy_new(1, &params, c, 3, why, sizeof(why), &p), CEIR_OK);
	policy_free(p);
}

static void conditions(void **state)
{
	(void)state;
	struct policy_params params;
	char why[200];
	struct policy *p = NULL;
	struct policy_condition_text c[POLICY_CONDITIONS + 1] = {
		{.name = STR("one"), .rule = STR("malformed"), .grace_days = 7, .blocking = true},
		{.name = {NULL, 0}, .rule = STR("never read")},
		{.name = STR("three-3"), .rule = STR("barred"), .sticky = true},
	};
	policy_defaults(&params);
	assert_int_equal(policy_new(17, &params, c, 3, why, sizeof(why), &p), CEIR_OK);
	assert_int_equal(policy_version(p), 17);
	assert_int_equal(policy_condition_count(p), 3);
	assert_true(str_eq_c(policy_condition(p, 0)->name, "one"));
	assert_true(policy_condition(p, 0)->name.p != c[0].name.p);
	assert_int_equal(policy_condition(p, 0)->grace_days, 7);
	assert_int_equal(policy_condition(p, 1)->name.n, 0);
	assert_true(str_eq_c(policy_condition(p, 2)->rule, "barred"));
	assert_null(policy_condition(p, 3));
	assert_int_equal(policy_params(p)->lookback_days, 180);
	policy_free(p);
	p = NULL;

	c[2].name = STR("one");
	assert_int_equal(policy_new(1, &params, c, 3, why, sizeof(why), &p), CEIR_EINVAL);
	assert_string_equal(why, "condition 3: expected a name that no other condition has");
	c[2].name = STR("Three");
	assert_int_equal(policy_new(1, &params, c, 3, why, sizeof(why), &p), CEIR_EINVAL);
	assert_string_equal(why, "condition 3: expected a name of a to z, 0 to 9 and -");
	c[2].name = STR("abcdefghijklmnopqrstuvwxyz0123456");
	assert_int_equal(policy_new(1, &params, c, 3, why, sizeof(why), &p), CEIR_EINVAL);
	c[2].name.n--;
	assert_int_equal(policy_new(1, &params, c, 3, why, sizeof(why), &p), CEIR_OK);
	policy_free(p);
	p = NULL;
	c[2].grace_days = 3651;
	assert_int_equal(policy_new(1, &params, c, 3, why, sizeof(why), &p), CEIR_EINVAL);
	assert_int_equal(policy_new(0, &params, c, 1, why, sizeof(why), &p), CEIR_EINVAL);
	assert_int_equal(policy_new(1, &params, c, POLICY_CONDITIONS + 1, why, sizeof(why), &p), CEIR_EINVAL);
	assert_string_equal(why, "expected at most 24 conditions");
	assert_int_equal(policy_new(1, &params, NULL, 0, why, sizeof(why), &p), CEIR_OK);
	assert_null(policy_condition(p, 0));
	policy_free(p);
}

static void refuse(const struct policy_params *params, const char *begin)
{
	char why[200] = "";
	struct policy *p = NULL;
	assert_int_equal(policy_new(1, params, NULL, 0, why, sizeof(why), &p), CEIR_EINVAL);
	assert_null(p);
	if (strncmp(why, begin, strlen(begin)) != 0)
		fail_msg("\"%s\" does not begin with \"%s\"", why, begin);
}

static void parameters(void **state)
{
	(void)state;
	struct policy_params good, q;
	policy_defaults(&good);
	q = good, q.grace_days = 3651, refuse(&q, "grace_days: expected 0 to 3650");
	q = good, q.lookback_days = 0, refuse(&q, "lookback_days:");
	q = good, q.gap_days = 0, refuse(&q, "gap_days:");
	q = good, q.roamer_days = 366, refuse(&q, "roamer_days:");
	q = good, q.guard_share = 1001, refuse(&q, "guard_share:");
	q = good, q.gate_empty = 1001, refuse(&q, "gate_empty:");
	q = good, q.gate_zeros = 1001, refuse(&q, "gate_zeros:");
	q = good, q.notice_days[1] = 75, refuse(&q, "notice_days:");
	q = good, q.notice_days[1] = 0, refuse(&q, "notice_days:");
	q = good, q.amnesty_from = 2, q.amnesty_until = 1, refuse(&q, "amnesty:");
	q = good, q.amnesty_until = 1, refuse(&q, "amnesty:");
	q = good, q.amnesty_from = 1, refuse(&q, "amnesty:");
	q = good, strcpy(q.home_mcc, ""), refuse(&q, "home_mcc:");
	q = good, strcpy(q.home_mcc, "25"), refuse(&q, "home_mcc:");
	q = good, strcpy(q.home_mcc, "255,"), refuse(&q, "home_mcc:");
	q = good, strcpy(q.home_mcc, "255,,259"), refuse(&q, "home_mcc:");
	q = good, memset(q.home_mcc, '2', sizeof(q.home_mcc)), refuse(&q, "home_mcc:");
	q = good, strcpy(q.country_code, ""), refuse(&q, "country_code:");
	q = good, strcpy(q.country_code, "0"), refuse(&q, "country_code:");
	q = good, memset(q.country_code, '3', sizeof(q.country_code)), refuse(&q, "country_code:");

	char why[200];
	struct policy *p = NULL;
	q = good, strcpy(q.home_mcc, "255, 259"), q.amnesty_from = 1, q.amnesty_until = 1,
	memset(q.notice_days, 0, sizeof(q.notice_days));
	assert_int_equal(policy_new(1, &q, NULL, 0, why, sizeof(why), &p), CEIR_OK);
	policy_free(p);
}

static void defaults_compile(void **state)
{
	(void)state;
	struct policy_params params;
	char why[200] = "";
	struct policy *p = NULL;
	size_t n = 0;
	policy_defaults(&params);
	while (POLICY_DEFAULT_CONDITIONS[n].name.p)
		n++;
	assert_int_equal(n, 9);
	if (policy_new(1, &params, POLICY_DEFAULT_CONDITIONS, n, why, sizeof(why), &p) != CEIR_OK)
		fail_msg("%s", why);
	policy_free(p);
}

static void words_of_tables(void **state)
{
	(void)state;
	static const char *const types[] = {NULL, "handset", "smartphone", "modem", "tablet", "iot", "wearable", "router", "other"};
	for (unsigned i = 1; i < CEIR_COUNT(types); i++)
		assert_int_equal(policy_tac_type(str_of(types[i])), i);
	assert_int_equal(policy_tac_type(STR("")), 0);
	assert_int_equal(policy_tac_type(STR("lorry")), 0);
	assert_int_equal(policy_tac_type(STR(" Smartphone ")), 2);
	assert_int_equal(policy_tac_type(STR("Mobile Phone/Feature phone")), 1);
	assert_int_equal(policy_tac_type(STR("WLAN Router")), 7);

	static const unsigned gsm = 1u << TRIPLET_GSM, umts = 1u << TRIPLET_UMTS, lte = 1u << TRIPLET_LTE, nr = 1u << TRIPLET_NR,
			      cdma = 1u << TRIPLET_CDMA, nbiot = 1u << TRIPLET_NBIOT;
	assert_int_equal(policy_rats(STR("")), 0);
	assert_int_equal(policy_rats(STR("Bluetooth, WLAN, N/A")), 0);
	assert_int_equal(policy_rats(STR("2G,3G,4G")), gsm | umts | lte);
	assert_int_equal(policy_rats(STR("GSM UMTS LTE")), gsm | umts | lte);
	assert_int_equal(policy_rats(STR("GSM850 (GPRS),WCDMA FDD Band I,LTE FDD BAND 3,NR 5G FR1 n78")), gsm | umts | lte | nr);
	assert_int_equal(policy_rats(STR("WCDMA")), umts);
	assert_int_equal(policy_rats(STR("TD-SCDMA")), umts);
	assert_int_equal(policy_rats(STR("CDMA2000")), cdma);
	assert_int_equal(policy_rats(STR("nb-iot")), nbiot);
	assert_int_equal(policy_rats(STR("LTE CAT-NB1")), lte | nbiot);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(expressions),
		cmocka_unit_test(random_expressions),
		cmocka_unit_test(errors),
		cmocka_unit_test(limits),
		cmocka_unit_test(many_facts),
		cmocka_unit_test(conditions),
		cmocka_unit_test(parameters),
		cmocka_unit_test(defaults_compile),
		cmocka_unit_test(words_of_tables),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

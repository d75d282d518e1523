/*
 * Facts over random triplets against a reference that counts day by day and pair by pair, slowly and plainly: what the gather
 * says of an IMEI is what anyone would say who looks at its rows.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "policy/policy.h"

#include "test_amount.h"

#define DAY_S 86400
#define TODAY 20000
#define NOW ((int64_t)TODAY * DAY_S + 7777)
#define ROWS 40
#define ROUNDS TEST_AMOUNT(20000u, 2000u)
#define EPISODES 4

struct world {
	uint64_t seed;
	struct triplet rows[ROWS];
	struct triplet_episode episodes[ROWS][EPISODES];
	size_t n;
	bool dense; /* all in the last weeks */
};

static uint32_t dice(struct world *w, uint32_t sides)
{
	w->seed = w->seed * 6364136223846793005 + 1442695040888963407;
	return (uint32_t)(w->seed >> 33) % sides;
}

/* ---- the reference -------------------------------------------------------------------------------------------------- */

/* Was it present on that day? */
static bool present(const struct triplet *t, int64_t day)
{
	int64_t from = t->episode_s / DAY_S, to = t->last_s / DAY_S;
	if (from <= day && day <= to)
		return true;
	for (size_t i = 0; i < t->n_episodes; i++)
		if (t->episodes[i].from_s / DAY_S <= day && day <= t->episodes[i].to_s / DAY_S)
			return true;
	return false;
}

static bool imsi_present(const struct world *w, uint64_t imsi, int64_t day)
{
	for (size_t i = 0; i < w->n; i++)
		if (w->rows[i].imsi == imsi && present(&w->rows[i], day))
			return true;
	return false;
}

/* Different IMSIs, in their order. */
static size_t imsis_of(const struct world *w, uint64_t *imsis)
{
	size_t n = 0;
	for (size_t i = 0; i < w->n; i++)
		if (!n || imsis[n - 1] != w->rows[i].imsi)
			imsis[n++] = w->rows[i].imsi;
	return n;
}

static unsigned threshold(const struct world *w, unsigned days)
{
	uint64_t imsis[ROWS];
	size_t n = imsis_of(w, imsis);
	unsigned count = 0;
	for (size_t i = 0; i < n; i++) {
		bool in = false;
		for (size_t r = 0; r < w->n; r++)
			in |= w->rows[r].imsi == imsis[i] && w->rows[r].last_s >= NOW - (int64_t)days * DAY_S;
		count += in;
	}
	return count;
}

static bool daily(const struct world *w, double mean, unsigned days, unsigned min_days)
{
	uint64_t imsis[ROWS];
	size_t n = imsis_of(w, imsis);
	unsigned seen = 0, total = 0;
	for (int64_t day = TODAY - (int64_t)days + 1; day <= TODAY; day++) {
		unsigned on_day = 0;
		for (size_t i = 0; i < n; i++)
			on_day += imsi_present(w, imsis[i], day);
		seen += on_day > 0;
		total += on_day;
	}
	return seen >= min_days && total >= mean * seen - 1e-9;
}

static uint64_t latest_msisdn(const struct world *w, uint64_t imsi)
{
	uint64_t msisdn = 0;
	int64_t at = -1;
	for (size_t i = 0; i < w->n; i++) {
		if (w->rows[i].imsi == imsi && w->rows[i].msisdn && w->rows[i].last_s >= at) {
			at = w->rows[i].last_s;
			msisdn = w->rows[i].msisdn;
		}
	}
	return msisdn;
}

static unsigned simultaneous(const struct world *w, unsigned days)
{
	uint64_t imsis[ROWS];
	size_t n = imsis_of(w, imsis);
	unsigned times = 0;
	for (size_t a = 0; a < n; a++) {
		for (size_t b = 0; b < a; b++) {
			uint64_t number = latest_msisdn(w, imsis[a]);
			if (number && number == latest_msisdn(w, imsis[b]))
				continue;
			unsigned run = 0;
			for (int64_t day = TODAY - (int64_t)days + 1; day <= TODAY; day++) {
				run = imsi_present(w, imsis[a], day) && imsi_present(w, imsis[b], day) ? run + 1 : 0;
				times += run == 3;
			}
		}
	}
	return times;
}

static bool has_number(const struct world *w, uint8_t op, unsigned days, uint64_t msisdn)
{
	for (size_t i = 0; i < w->n; i++)
		if (w->rows[i].op == op && w->rows[i].msisdn == msisdn && w->rows[i].last_s >= NOW - (int64_t)days * DAY_S)
			return true;
	return false;
}

static bool sim_box(const struct world *w, unsigned imsis, unsigned days, unsigned row)
{
	for (unsigned op = 1; op < 4; op++) {
		uint64_t last = UINT64_MAX;
		unsigned count = 0, longest = 0;
		for (size_t i = 0; i < w->n; i++) {
			const struct triplet *t = &w->rows[i];
			if (t->op != op || t->last_s < NOW - (int64_t)days * DAY_S)
				continue;
			count += t->imsi != last;
			last = t->imsi;
			for (unsigned step = 1; step <= 10 && t->msisdn; step++) {
				unsigned length = 1;
				while (has_number(w, t->op, days, t->msisdn + (uint64_t)length * step))
					length++;
				longest = length > longest ? length : longest;
			}
		}
		if (count >= imsis && longest >= row)
			return true;
	}
	return false;
}

static unsigned most_days(const struct world *w)
{
	uint64_t imsis[ROWS];
	size_t n = imsis_of(w, imsis);
	unsigned most = 0;
	for (size_t i = 0; i < n; i++) {
		unsigned days = 0;
		for (int64_t day = TODAY - 364; day <= TODAY; day++)
			days += imsi_present(w, imsis[i], day);
		most = days > most ? days : most;
	}
	return most;
}

static bool all_of_mcc(const struct world *w, bool home)
{
	for (size_t i = 0; i < w->n; i++)
		if ((w->rows[i].imsi / UINT64_C(1000000000000) == 255) != home)
			return false;
	return true;
}

static void genuine(const struct world *w, uint64_t *imsi, uint64_t *msisdn)
{
	int64_t best = -1, best_first = 0;
	for (size_t i = 0; i < w->n; i++) {
		const struct triplet *t = &w->rows[i];
		int64_t most = 0, first = INT64_MAX;
		for (size_t r = 0; r < w->n; r++) {
			const struct triplet *u = &w->rows[r];
			if (u->imsi != t->imsi || u->msisdn != t->msisdn)
				continue;
			int64_t presence = (int64_t)u->last_s - u->episode_s;
			for (size_t e = 0; e < u->n_episodes; e++)
				presence += (int64_t)u->episodes[e].to_s - u->episodes[e].from_s;
			most = presence > most ? presence : most;
			first = u->first_s < first ? u->first_s : first;
		}
		if (most > best || (most == best && first < best_first)) {
			best = most;
			best_first = first;
			*imsi = t->imsi;
			*msisdn = t->msisdn;
		}
	}
}

/* ---- rows at random ------------------------------------------------------------------------------------------------- */

static int by_key(const void *a, const void *b)
{
	const struct triplet *x = a, *y = b;
	if (x->imsi != y->imsi)
		return x->imsi < y->imsi ? -1 : 1;
	if (x->msisdn != y->msisdn)
		return x->msisdn < y->msisdn ? -1 : 1;
	return (x->op > y->op) - (x->op < y->op);
}

static void make_times(struct world *w, struct triplet *t, struct triplet_episode *episodes)
{
	uint32_t end = (uint32_t)(NOW + (dice(w, 20) ? 0 : DAY_S)) - dice(w, w->dense ? 10 * DAY_S : 80 * DAY_S);
	uint32_t length = dice(w, 3) ? dice(w, (w->dense ? 12 : 40) * DAY_S) : dice(w, DAY_S);
	t->last_s = end;
	t->episode_s = t->first_s = end - length;
	t->n_episodes = (uint16_t)(dice(w, 3) ? 0 : dice(w, EPISODES + 1));
	for (size_t i = t->n_episodes; i-- > 0;) {
		episodes[i].to_s = t->first_s - DAY_S - dice(w, (w->dense ? 5 : 60) * DAY_S);
		episodes[i].from_s = t->first_s = episodes[i].to_s - dice(w, (w->dense ? 5 : 60) * DAY_S);
	}
	t->episodes = episodes;
}

static void make_rows(struct world *w)
{
	static const uint64_t prefixes[] = {UINT64_C(255010000000000), UINT64_C(255060000000000), UINT64_C(310260000000000)};
	unsigned kind = dice(w, 4), numbers = 1 + dice(w, 60), imsis = 1 + dice(w, 30), most = dice(w, 2) ? ROWS : 3;
	struct triplet rows[ROWS];
	size_t n = 1 + dice(w, most);
	w->dense = dice(w, 2);
	for (size_t i = 0; i < n; i++) {
		struct triplet *t = &rows[i];
		*t = (struct triplet){.imei = 35000000000001, .op = (uint8_t)(1 + (dice(w, 4) ? 0 : dice(w, 3)))};
		t->imsi = prefixes[kind < 3 ? kind : dice(w, 3)] + dice(w, imsis);
		t->msisdn = dice(w, 8) ? (UINT64_C(380670000000) + dice(w, numbers)) | UINT64_C(12) << 50 : 0;
	}
	qsort(rows, n, sizeof(rows[0]), by_key);
	w->n = 0;
	for (size_t i = 0; i < n; i++) {
		if (i && by_key(&rows[i], &rows[i - 1]) == 0)
			continue;
		make_times(w, &rows[i], w->episodes[w->n]);
		w->rows[w->n++] = rows[i];
	}
}

enum { RULES = 14 };

static void expect(const struct world *w, bool want[RULES])
{
	want[0] = threshold(w, 30) >= 5;
	want[1] = threshold(w, 60) >= 2;
	want[2] = daily(w, 2.0, 30, 3);
	want[3] = daily(w, 1.25, 64, 20);
	want[4] = daily(w, 4.5, 10, 1);
	want[5] = simultaneous(w, 30) >= 3;
	want[6] = simultaneous(w, 64) >= 1;
	want[7] = sim_box(w, 5, 30, 4);
	want[8] = sim_box(w, 10, 60, 6);
	want[9] = all_of_mcc(w, false);
	want[10] = all_of_mcc(w, true);
	want[11] = all_of_mcc(w, false) && most_days(w) <= 90;
	want[12] = (want[0] || want[5]) && !want[7];
	want[13] = !(want[10] && !want[6]) || want[4];
}

static void check(const struct world *w, struct policy_gather *g, unsigned times[RULES], uint64_t seed)
{
	bool want[RULES];
	struct policy_matched m;
	struct policy_known known = {0};
	uint64_t imsi = 0, msisdn = 0, imsis[ROWS];
	expect(w, want);
	genuine(w, &imsi, &msisdn);
	policy_gather_begin(g, w->rows[0].imei, &known, NOW);
	for (size_t i = 0, n; i < w->n; i += n) { /* in pieces */
		n = (i + seed) % 3 + 1;
		n = n > w->n - i ? w->n - i : n;
		policy_gather_add(g, w->rows + i, n);
	}
	policy_gather_end(g, &m);
	for (unsigned i = 0; i < RULES; i++) {
		if ((m.mask >> i & 1) != want[i])
			fail_msg("seed %llu: rule %u of %zu rows: %d expected", (unsigned long long)seed, i, w->n, want[i]);
		times[i] += want[i];
	}
	assert_int_equal(m.imsis, imsis_of(w, imsis));
	bool clone = m.mask & 0x307f;
	assert_int_equal(m.genuine_imsi, clone ? imsi : 0);
	assert_int_equal(m.genuine_msisdn, clone ? msisdn : 0);
	unsigned numbers = 0;
	for (size_t i = 0; i < w->n; i++) {
		bool fresh = w->rows[i].msisdn != 0;
		for (size_t j = 0; j < i; j++)
			fresh &= w->rows[j].msisdn != w->rows[i].msisdn;
		numbers += fresh;
	}
	assert_int_equal(m.msisdns, numbers);
}

static void against_the_reference(void **state)
{
	(void)state;
	static const char *const rules[RULES] = {"clone-threshold(imsis=5 days=30)", "clone-threshold(days=60, imsis=2)",
		"clone-daily", "clone-daily(mean=1.25 days=64 min-days=20)", "clone-daily(mean=4.5 days=10 min-days=1)",
		"clone-simultaneous", "clone-simultaneous(times=1 days=64)", "sim-box(imsis=5 days=30 row=4)",
		"sim-box(imsis=10 days=60 row=6)", "subscriber(foreign)", "subscriber(domestic)", "roamer",
		"(clone-threshold or clone-simultaneous) and not sim-box(imsis=5 days=30 row=4)",
		"not (subscriber(domestic) and not clone-simultaneous(times=1 days=64)) or clone-daily(days=10 mean=4.5 min-days=1)"};
	struct policy_params params;
	struct policy_condition_text c[RULES];
	char names[RULES][8], why[200] = "";
	struct policy *p = NULL;
	struct policy_tables tables = {0};
	unsigned times[RULES] = {0}, rounds = ROUNDS;
	policy_defaults(&params);
	for (size_t i = 0; i < RULES; i++) {
		snprintf(names[i], sizeof(names[i]), "r%zu", i);
		c[i] = (struct policy_condition_text){.name = str_of(names[i]), .rule = str_of(rules[i]), .blocking = true};
	}
	if (policy_new(1, &params, c, RULES, why, sizeof(why), &p) != CEIR_OK)
		fail_msg("%s", why);
	struct policy_gather *g = policy_gather_new(p, &tables);
	struct world *w = malloc(sizeof(*w));
	assert_non_null(g);
	assert_non_null(w);
	for (uint64_t seed = 1; seed <= rounds; seed++) {
		w->seed = seed;
		make_rows(w);
		check(w, g, times, seed);
	}
	/* A rule that always or never holds would prove nothing. */
	for (unsigned i = 0; i < RULES; i++)
		if (times[i] < rounds / 200 || times[i] > rounds - rounds / 200)
			fail_msg("rule %u held %u times of %u", i, times[i], rounds);
	free(w);
	policy_gather_free(g);
	policy_free(p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(against_the_reference)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

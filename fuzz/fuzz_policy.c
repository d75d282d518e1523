/*
 * Rules of conditions: the first line is the rule, what follows makes rows. Whatever compiles says the same twice, matches
 * only what may match, and its opposite matches whenever it does not.
 */
#include <stdlib.h>
#include <string.h>

#include "policy/policy.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define NOW (20000u * 86400u)
#define ROWS 8

static const struct policy_tac tacs[] = {
	{.tac = 35000000, .allocated = true, .rats = 1u << TRIPLET_LTE, .type = 2},
	{.tac = 86000000, .allocated = false},
};
static const struct policy_operator operators[] = {{1, 25501, 5}};

static unsigned imeis_of_imsi(void *ctx, uint64_t imsi, uint32_t from_s, unsigned max)
{
	(void)ctx;
	(void)from_s;
	return max > imsi % 16 ? (unsigned)(imsi % 16) : max;
}

static bool swapped(void *ctx, uint64_t msisdn, uint32_t within_s, uint32_t from_s)
{
	(void)ctx;
	(void)from_s;
	return msisdn % 16 < within_s / 86400;
}

static struct policy *compile(struct str rule, struct str opposite)
{
	struct policy_params params;
	struct policy_condition_text c[2] = {
		{.name = STR("rule"), .rule = rule, .blocking = true}, {.name = STR("opposite"), .rule = opposite}};
	struct policy *p = NULL;
	char why[160] = "";
	policy_defaults(&params);
	enum ceir_err err = policy_new(1, &params, c, opposite.n ? 2 : 1, why, sizeof(why), &p);
	if (err == CEIR_OK)
		return p;
	CEIR_ASSERT(p == NULL);
	CEIR_ASSERT(err != CEIR_EINVAL || str_starts(str_of(why), STR("condition rule, column ")) || opposite.n);
	return NULL;
}

static size_t make_rows(const uint8_t *data, size_t size, struct triplet rows[ROWS])
{
	size_t n = 0;
	for (; n < ROWS && size >= 6; n++, data += 6, size -= 6) {
		uint32_t last = NOW - data[0] * 86400u / 4, first = last - data[1] * 86400u / 4;
		rows[n] = (struct triplet){.imei = 35000000000001,
			.imsi = (data[2] & 1 ? UINT64_C(255010000000000) : UINT64_C(310260000000000)) + data[2],
			.msisdn = data[3] ? (380670000000u + data[3]) | UINT64_C(12) << 50 : 0,
			.op = data[4] % 3 + 1u,
			.rat = data[5] % TRIPLET_RATS,
			.first_s = first,
			.last_s = last,
			.episode_s = first};
	}
	return n;
}

static uint32_t evaluate(const struct policy *p, uint64_t imei, unsigned bits, const struct triplet *rows, size_t n)
{
	const struct policy_tables tables = {
		tacs, CEIR_COUNT(tacs), operators, CEIR_COUNT(operators), imeis_of_imsi, swapped, NULL};
	const struct policy_known known = {.registered = bits & 1, .black_reason = bits >> 1 & 1, .watched = bits >> 2 & 1};
	struct policy_matched m;
	struct policy_gather *g = policy_gather_new(p, &tables);
	if (!g)
		abort();
	policy_gather_begin(g, imei, &known, NOW);
	policy_gather_add(g, rows, n);
	policy_gather_end(g, &m);
	CEIR_ASSERT(!(m.mask & ~policy_may_match(p, &tables, imei, &known)));
	policy_gather_free(g);
	return m.mask;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const uint64_t imeis[] = {35000000000001, 86000000000001, 1, IMEI_MAX + 1, 99000000000001};
	const uint8_t *end = size ? memchr(data, '\n', size) : NULL;
	size_t n_rule = end ? (size_t)(end - data) : size;
	struct str rule = {(const char *)data, n_rule};
	struct triplet rows[ROWS];
	char opposite[1100];
	struct policy *alone = compile(rule, (struct str){NULL, 0});
	if (!alone)
		return 0;
	size_t n = end ? make_rows(end + 1, size - n_rule - 1, rows) : 0;
	int length = snprintf(opposite, sizeof(opposite), "not (%.*s)", (int)n_rule, rule.p);
	struct policy *both = compile(rule, (struct str){opposite, (size_t)length}); /* NULL: too deep or too long by now */
	for (size_t i = 0; i < CEIR_COUNT(imeis); i++) {
		uint32_t mask = evaluate(alone, imeis[i], (unsigned)i + (unsigned)n, rows, n);
		CEIR_ASSERT(mask == evaluate(alone, imeis[i], (unsigned)i + (unsigned)n, rows, n));
		if (both && n)
			CEIR_ASSERT(evaluate(both, imeis[i], (unsigned)i + (unsigned)n, rows, n) == (mask ? 1 : 2));
	}
	policy_free(both);
	policy_free(alone);
	return 0;
}

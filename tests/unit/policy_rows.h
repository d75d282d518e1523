/*
 * policy_rows.h - triplets of one IMEI and a rule to put them through, for the tests of conditions.
 */
#ifndef CEIR_TEST_POLICY_ROWS_H
#define CEIR_TEST_POLICY_ROWS_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "policy/policy.h"

#define DAY 86400u
#define TODAY 20000u
#define NOW (TODAY * DAY + 43200)
#define IMEI UINT64_C(35000000000001)
#define IMSI(n) (UINT64_C(255010000000000) + (n))
/* The key of +3806700..., 12 digits. */
#define MSISDN(n) ((UINT64_C(380670000000) + (n)) | UINT64_C(12) << 50)

static struct policy_tables tables;
static struct policy_known known;

/* Present from so many days before today to so many. */
static inline struct triplet triplet(uint64_t imsi, uint64_t msisdn, uint8_t op, uint32_t from, uint32_t to)
{
	uint32_t first = NOW - from * DAY, last = NOW - to * DAY;
	return (struct triplet){
		.imei = IMEI, .imsi = imsi, .msisdn = msisdn, .op = op, .first_s = first, .last_s = last, .episode_s = first};
}

static inline struct policy *compile(const char *rule)
{
	struct policy_params params;
	struct policy_condition_text c = {.name = STR("x"), .rule = str_of(rule), .grace_days = 30, .blocking = true};
	struct policy *p = NULL;
	char why[200] = "";
	policy_defaults(&params);
	if (policy_new(1, &params, &c, 1, why, sizeof(why), &p) != CEIR_OK)
		fail_msg("%s", why);
	return p;
}

static inline struct policy_matched gather_imei(const char *rule, uint64_t imei, const struct triplet *rows, size_t n)
{
	struct policy *p = compile(rule);
	struct policy_gather *g = policy_gather_new(p, &tables);
	struct policy_matched m;
	assert_non_null(g);
	policy_gather_begin(g, imei, &known, NOW);
	policy_gather_add(g, rows, n);
	policy_gather_end(g, &m);
	if (m.mask)
		assert_int_not_equal(policy_may_match(p, &tables, imei, &known), 0);
	policy_gather_free(g);
	policy_free(p);
	return m;
}

static inline bool match(const char *rule, const struct triplet *rows, size_t n)
{
	return gather_imei(rule, IMEI, rows, n).mask;
}

static inline int clean(void **state)
{
	(void)state;
	tables = (struct policy_tables){0};
	known = (struct policy_known){0};
	return 0;
}

#endif

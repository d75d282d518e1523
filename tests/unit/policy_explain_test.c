/* A verdict in sentences: which ones, in which order, with which dates; and that no subscriber is named. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "policy/policy.h"

#define DAY 20000 /* 2024-10-04 */

static struct policy *policy_of(bool restrictive)
{
	struct policy_params params;
	struct policy *p = NULL;
	char why[200] = "";
	size_t n = 0;
	policy_defaults(&params);
	params.restrictive = restrictive;
	while (POLICY_DEFAULT_CONDITIONS[n].name.p)
		n++;
	if (policy_new(12, &params, POLICY_DEFAULT_CONDITIONS, n, why, sizeof(why), &p) != CEIR_OK)
		fail_msg("%s", why);
	return p;
}

/* All lines with their arguments, one under the other. */
static void explain(const struct policy *p, struct policy_facts f, const struct policy_class *c, int32_t today, char text[4000])
{
	struct policy_reason lines[POLICY_REASONS];
	if (c)
		policy_class_facts(p, c, today, &f);
	size_t n = policy_explain(p, &f, c, today, lines);
	struct buf out = BUF_INIT(0);
	assert_in_range(n, 3, POLICY_REASONS);
	for (size_t i = 0; i < n; i++) {
		struct str args[3];
		for (unsigned a = 0; a < lines[i].n_args; a++)
			args[a] = str_of(lines[i].args[a]);
		i18n_format(&out, 0, lines[i].english, args, lines[i].n_args);
		buf_char(&out, '\n');
	}
	assert_false(out.failed);
	snprintf(text, 4000, "%.*s", (int)out.n, out.p);
	assert_null(strchr(text, '{'));
	buf_free(&out);
}

static int setup(void **state)
{
	*state = policy_of(false);
	return 0;
}

static int teardown(void **state)
{
	policy_free(*state);
	return 0;
}

static void stolen_and_registered(void **state)
{
	char text[4000];
	explain(*state, (struct policy_facts){.black_reason = POLICY_REASON_STOLEN, .registration = POLICY_REGISTERED}, NULL, DAY,
		text);
	assert_string_equal(text, "The device is blocked\n"
				  "The device was reported stolen\n"
				  "The device is registered\n"
				  "Rule 2 of the verdict decided; the rules before it do not apply\n"
				  "The IMEI is not among those that are never blocked\n"
				  "Version 12 of the country's policy was applied\n");
}

static void unregistered(void **state)
{
	char text[4000];
	struct policy_class c = {.mask = 1u << 2 | 1u << 6, .since_day = DAY - 10, .block_day = DAY + 80};
	explain(*state, (struct policy_facts){0}, &c, DAY, text);
	assert_string_equal(text, "The device may be used for now; it is blocked from 2024-12-23 on, 80 days from today, unless "
				  "the matter is set right before\n"
				  "The device was seen on a network but is not registered\n"
				  "Rule 12 of the verdict decided; the rules before it do not apply\n"
				  "The IMEI is not among those that are never blocked\n"
				  "The IMEI is not on the black list\n"
				  "The IMEI is not held to be malformed\n"
				  "The IMEI is not held to be of a model that was never allocated\n"
				  "The IMEI is not held to be copied to several devices\n"
				  "The device is not registered\n"
				  "The IMEI is not on the white list\n"
				  "No registration of the device was taken back\n"
				  "The IMEI is not on the grey list\n"
				  "The device is not under the amnesty for devices in use before the register began\n"
				  "No other condition that leads to a block applies\n"
				  "Condition not-registered applies; it leads to a block 90 days after it was first found\n"
				  "Condition rat-impossible applies; it only informs\n"
				  "A condition was first found to apply on 2024-09-24\n"
				  "Version 12 of the country's policy was applied\n");
	explain(*state, (struct policy_facts){0}, &c, DAY + 80, text);
	assert_non_null(strstr(text, "The device has been blocked since 2024-12-23\n"));
}

static void clone_of_a_registered_device(void **state)
{
	char text[4000];
	struct policy_class c = {.mask = 1u << 4,
		.since_day = DAY,
		.block_day = DAY + 30,
		.genuine_imsi = UINT64_C(255010123456789),
		.genuine_msisdn = UINT64_C(380671234567) | UINT64_C(12) << 50};
	explain(*state, (struct policy_facts){.registration = POLICY_REGISTERED, .pair = true}, &c, DAY, text);
	assert_string_equal(text, "The device may be used for now; it is blocked from 2024-11-03 on, 30 days from today, unless "
				  "the matter is set right before\n"
				  "Several devices use this IMEI\n"
				  "The device is registered\n"
				  "Rule 5 of the verdict decided; the rules before it do not apply\n"
				  "The IMEI is not among those that are never blocked\n"
				  "The IMEI is not on the black list\n"
				  "The IMEI is not held to be malformed\n"
				  "The IMEI is not held to be of a model that was never allocated\n"
				  "Condition clone applies; it leads to a block 30 days after it was first found\n"
				  "A condition was first found to apply on 2024-10-04\n"
				  "The subscriber who has used this IMEI longest is not blocked\n"
				  "For some subscribers of this IMEI another decision holds\n"
				  "Version 12 of the country's policy was applied\n");
	assert_null(strstr(text, "123456"));
}

static void outcomes(void **state)
{
	char text[4000];
	struct policy *restrictive = policy_of(true);
	explain(*state, (struct policy_facts){0}, NULL, DAY, text);
	assert_non_null(strstr(
		text, "The device may be used: nothing is held against it\nThe IMEI is not in the register and was never seen"));
	assert_non_null(strstr(text, "Rule 13 "));
	explain(restrictive, (struct policy_facts){0}, NULL, DAY, text);
	assert_non_null(strstr(text, "The device may not be used: in this country"));
	explain(*state, (struct policy_facts){.registration = POLICY_REGISTERED, .grey_reason = POLICY_REASON_FRAUD}, NULL, DAY,
		text);
	assert_non_null(strstr(text, "no date of a block is set\n"));
	assert_non_null(strstr(text, "The device is registered, but it is on the grey list too\n"));
	explain(*state, (struct policy_facts){.registration = POLICY_PERMIT_REVOKED}, NULL, DAY, text);
	assert_non_null(strstr(text, "The import permit of the device was revoked\n"));
	assert_non_null(strstr(text, "The device was registered, but the registration no longer counts\n"));
	/* What was once found, and is no more. */
	struct policy_class c = {.was_mask = 4, .since_day = DAY - 100, .block_day = DAY - 10, .resolved_day = DAY - 20};
	explain(*state, (struct policy_facts){.registration = POLICY_REGISTERED}, &c, DAY, text);
	assert_non_null(strstr(text, "The device may be used\nThe device is registered\n"));
	assert_non_null(strstr(text, "No condition has applied since 2024-09-14\n"));
	/* Amnesty. */
	c = (struct policy_class){.mask = 4 | POLICY_AMNESTY, .since_day = DAY - 100};
	explain(*state, (struct policy_facts){0}, &c, DAY, text);
	assert_non_null(strstr(text, "The device may be used\nThe device was in use before the register began\n"));
	policy_free(restrictive);
}

/* The most lines there can be: they fit, and conditions beyond eight are counted. */
static void everything_at_once(void **state)
{
	(void)state;
	struct policy_params params;
	struct policy_condition_text c[POLICY_CONDITIONS];
	char names[POLICY_CONDITIONS][33], why[200], text[4000];
	struct policy *p = NULL;
	policy_defaults(&params);
	for (unsigned i = 0; i < POLICY_CONDITIONS; i++) {
		snprintf(names[i], sizeof(names[i]), "a-name-of-thirty-two-characters%c", 'a' + (int)i);
		c[i] = (struct policy_condition_text){
			.name = str_of(names[i]), .rule = STR("barred"), .grace_days = 3650, .blocking = true};
	}
	c[0].rule = STR("malformed"), c[1].rule = STR("tac-unknown"), c[2].rule = STR("clone-daily"),
	c[3].rule = STR("not-registered");
	assert_int_equal(policy_new(INT64_MAX, &params, c, POLICY_CONDITIONS, why, sizeof(why), &p), CEIR_OK);
	struct policy_class record = {.mask = (1u << POLICY_CONDITIONS) - 1,
		.since_day = 2900000,
		.block_day = 2900000,
		.resolved_day = 2900000,
		.genuine_imsi = 1};
	for (unsigned golden = 0; golden < 2; golden++) {
		explain(p,
			(struct policy_facts){.golden = golden,
				.pair = true,
				.black_reason = 1,
				.white_reason = 7,
				.grey_reason = 1,
				.registration = POLICY_WITHDRAWN},
			&record, DAY, text);
		assert_non_null(strstr(text, "Condition a-name-of-thirty-two-charactersh applies; it leads to a block 3650 days"));
		assert_null(strstr(text, "charactersi"));
		assert_non_null(strstr(text, "16 more conditions apply\n"));
		assert_non_null(strstr(text, "Version 9223372036854775807 of"));
	}
	policy_free(p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(stolen_and_registered, setup, teardown),
		cmocka_unit_test_setup_teardown(unregistered, setup, teardown),
		cmocka_unit_test_setup_teardown(clone_of_a_registered_device, setup, teardown),
		cmocka_unit_test_setup_teardown(outcomes, setup, teardown),
		cmocka_unit_test(everything_at_once),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

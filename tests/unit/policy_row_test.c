/* Registration: the decision on a row, its codes, papers on a day, and whether two papers name the same model. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "policy/policy.h"

/* One obstacle each, in the order in which they must be told. */
static const struct {
	struct policy_row_facts facts;
	enum policy_result result;
	unsigned number; /* as stored since the first register */
	const char *code;
} obstacles[] = {
	{{.fault = IMEI_EMPTY}, POLICY_REFUSED_EMPTY, 2, "empty"},
	{{.fault = IMEI_NOT_DIGITS}, POLICY_REFUSED_NOT_DIGITS, 3, "not-digits"},
	{{.fault = IMEI_TOO_SHORT}, POLICY_REFUSED_TOO_SHORT, 4, "too-short"},
	{{.fault = IMEI_TOO_LONG}, POLICY_REFUSED_TOO_LONG, 5, "too-long"},
	{{.fault = IMEI_BAD_LUHN}, POLICY_REFUSED_LUHN, 6, "luhn"},
	{{.fault = IMEI_ALL_SAME}, POLICY_REFUSED_ALL_SAME, 7, "all-same"},
	{{.test_tac = true}, POLICY_REFUSED_TEST_TAC, 8, "test-tac"},
	{{.duplicate = true}, POLICY_REFUSED_DUPLICATE, 9, "duplicate"},
	{{.too_many_imeis = true}, POLICY_REFUSED_TOO_MANY_IMEIS, 10, "too-many-imeis"},
	{{.importer_inactive = true}, POLICY_REFUSED_IMPORTER_INACTIVE, 11, "importer-inactive"},
	{{.permit = POLICY_PAPER_REVOKED}, POLICY_REFUSED_PERMIT_REVOKED, 12, "permit-revoked"},
	{{.permit = POLICY_PAPER_NOT_YET}, POLICY_REFUSED_PERMIT_NOT_YET, 13, "permit-not-yet-valid"},
	{{.permit = POLICY_PAPER_EXPIRED}, POLICY_REFUSED_PERMIT_EXPIRED, 14, "permit-expired"},
	{{.position_missing = true}, POLICY_REFUSED_POSITION_MISSING, 15, "position-missing"},
	{{.certificate = POLICY_PAPER_REVOKED}, POLICY_REFUSED_CERTIFICATE_REVOKED, 16, "certificate-revoked"},
	{{.certificate = POLICY_PAPER_NOT_YET}, POLICY_REFUSED_CERTIFICATE_NOT_YET, 17, "certificate-not-yet-valid"},
	{{.certificate = POLICY_PAPER_EXPIRED}, POLICY_REFUSED_CERTIFICATE_EXPIRED, 18, "certificate-expired"},
	{{.tac_unknown = true}, POLICY_REFUSED_TAC_UNKNOWN, 19, "tac-unknown"},
	{{.tac_withdrawn = true}, POLICY_REFUSED_TAC_WITHDRAWN, 20, "tac-withdrawn"},
	{{.tac_not_covered = true}, POLICY_REFUSED_TAC_NOT_COVERED, 21, "tac-not-covered"},
	{{.model_mismatch = true}, POLICY_REFUSED_MODEL_MISMATCH, 22, "model-mismatch"},
	{{.device_mixed = true}, POLICY_REFUSED_DEVICE_MIXED, 23, "device-mixed"},
	{{.blacklisted = true}, POLICY_REFUSED_BLACKLISTED, 24, "blacklisted"},
	{{.registered = true}, POLICY_REFUSED_REGISTERED, 25, "registered"},
	{{.partner_refused = true}, POLICY_REFUSED_DEVICE_PARTNER, 26, "device-partner"},
	{{.quantity_exceeded = true}, POLICY_REFUSED_QUANTITY, 27, "quantity"},
};

static struct policy_row_facts both(const struct policy_row_facts *a, const struct policy_row_facts *b)
{
	return (struct policy_row_facts){
		.fault = a->fault ? a->fault : b->fault,
		.test_tac = a->test_tac || b->test_tac,
		.duplicate = a->duplicate || b->duplicate,
		.too_many_imeis = a->too_many_imeis || b->too_many_imeis,
		.importer_inactive = a->importer_inactive || b->importer_inactive,
		.permit = a->permit ? a->permit : b->permit,
		.position_missing = a->position_missing || b->position_missing,
		.certificate = a->certificate ? a->certificate : b->certificate,
		.tac_unknown = a->tac_unknown || b->tac_unknown,
		.tac_withdrawn = a->tac_withdrawn || b->tac_withdrawn,
		.tac_not_covered = a->tac_not_covered || b->tac_not_covered,
		.model_mismatch = a->model_mismatch || b->model_mismatch,
		.device_mixed = a->device_mixed || b->device_mixed,
		.blacklisted = a->blacklisted || b->blacklisted,
		.registered = a->registered || b->registered,
		.partner_refused = a->partner_refused || b->partner_refused,
		.quantity_exceeded = a->quantity_exceeded || b->quantity_exceeded,
	};
}

static void nothing_against_it(void **state)
{
	(void)state;
	assert_int_equal(policy_row(&(struct policy_row_facts){0}), POLICY_ACCEPTED);
	assert_int_equal(POLICY_PENDING, 0);
	assert_int_equal(POLICY_ACCEPTED, 1);
}

static void each_obstacle_and_every_pair(void **state)
{
	(void)state;
	assert_int_equal(CEIR_COUNT(obstacles), POLICY_RESULTS - POLICY_REFUSED_EMPTY);
	for (size_t i = 0; i < CEIR_COUNT(obstacles); i++) {
		assert_int_equal(policy_row(&obstacles[i].facts), obstacles[i].result);
		for (size_t j = i + 1; j < CEIR_COUNT(obstacles); j++) {
			struct policy_row_facts f = both(&obstacles[i].facts, &obstacles[j].facts);
			assert_int_equal(policy_row(&f), obstacles[i].result);
		}
	}
}

static void codes_and_texts(void **state)
{
	(void)state;
	for (size_t i = 0; i < CEIR_COUNT(obstacles); i++) {
		assert_int_equal(obstacles[i].result, obstacles[i].number);
		assert_true(policy_result_is_refusal(obstacles[i].number));
		assert_string_equal(policy_result_code(obstacles[i].number), obstacles[i].code);
		assert_non_null(policy_result_text(obstacles[i].number));
		for (size_t j = 0; j < i; j++)
			assert_string_not_equal(policy_result_text(obstacles[i].number), policy_result_text(obstacles[j].number));
	}
	static const unsigned others[] = {POLICY_PENDING, POLICY_ACCEPTED, POLICY_RESULTS, 255, 1000000};
	for (size_t i = 0; i < CEIR_COUNT(others); i++) {
		assert_false(policy_result_is_refusal(others[i]));
		assert_null(policy_result_code(others[i]));
		assert_null(policy_result_text(others[i]));
	}
}

static void papers_on_a_day(void **state)
{
	(void)state;
	assert_int_equal(policy_paper_on(false, 100, 200, 99), POLICY_PAPER_NOT_YET);
	assert_int_equal(policy_paper_on(false, 100, 200, 100), POLICY_PAPER_VALID);
	assert_int_equal(policy_paper_on(false, 100, 200, 200), POLICY_PAPER_VALID);
	assert_int_equal(policy_paper_on(false, 100, 200, 201), POLICY_PAPER_EXPIRED);
	assert_int_equal(policy_paper_on(false, 100, 100, 100), POLICY_PAPER_VALID);
	assert_int_equal(policy_paper_on(true, 100, 200, 99), POLICY_PAPER_REVOKED);
	assert_int_equal(policy_paper_on(true, 100, 200, 150), POLICY_PAPER_REVOKED);
	assert_int_equal(policy_paper_on(true, 100, 200, 201), POLICY_PAPER_REVOKED);
}

static void models(void **state)
{
	(void)state;
	static const struct {
		const char *tac_manufacturer, *tac_model, *pos_manufacturer, *pos_model;
		bool agree;
	} cases[] = {
		{"Samsung", "GT-P3100", "Samsung", "GT-P3100", true},
		{"Samsung", "Samsung GT-P3100", "SAMSUNG", "gt-p3100", true},
		{"Samsung", "GT P3100", "Samsung", "GTP3100", true},
		{" Samsung", "GT-P3100 ", "Samsung", "\tGT--P3100", true},
		{"Sony Ericsson", "SonyEricsson K750", "Sony-Ericsson", "K750", true},
		{"Samsung", "samsung-GT-P3100", "Samsung", "Samsung GT-P3100", true},
		{"Samsung", "GT-P3100", "Samsung", "GT-P3110", false},
		{"Samsung", "GT-P3100", "Samsung", "GT-P310", false},
		{"Samsung", "GT-P310", "Samsung", "GT-P3100", false},
		{"Samsung", "GT-P3100", "Sansung", "GT-P3100", false},
		{"Samsung Korea", "GT-P3100", "Samsung", "GT-P3100", false},
		{"LG", "LGM-V300", "LG", "M-V300", false},       /* no gap: it may be part of the name */
		{"LG", "LGM-V300", "LG", "LG LGM-V300", true},
		{"HTC", "HTC", "HTC", "htc", true},              /* a model named like its maker */
		{"HTC", "HTC - ", "HTC", "HTC", true},           /* nothing would be left */
		{"HTC", "HTC HTC One", "HTC", "One", false},     /* once, not as often as it goes */
		{"Nokia", "105", "Nokia", "1050", false},
		{"", "", "", "", false},
		{"Samsung", "", "Samsung", "", false},
		{"", "X1", "", "X1", false},
		{" - ", "X1", "-", "X1", false},
		{"Samsung", " - ", "Samsung", "-", false},
		{"Ümit", "Ü1", "Ümit", "Ü1", true},
		{"Ümit", "Ü1", "ümit", "ü1", false},             /* only ASCII is folded */
	};
	for (size_t i = 0; i < CEIR_COUNT(cases); i++) {
		struct str tm = str_of(cases[i].tac_manufacturer), tn = str_of(cases[i].tac_model);
		struct str pm = str_of(cases[i].pos_manufacturer), pn = str_of(cases[i].pos_model);
		if (policy_model_agrees(tm, tn, pm, pn) != cases[i].agree || policy_model_agrees(pm, pn, tm, tn) != cases[i].agree)
			fail_msg("%s %s / %s %s", tm.p, tn.p, pm.p, pn.p);
	}
	struct str none = {NULL, 0};
	assert_false(policy_model_agrees(none, none, none, none));
	assert_false(policy_model_agrees(STR("A\0B"), STR("X"), STR("A"), STR("X")));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_against_it),
		cmocka_unit_test(each_obstacle_and_every_pair),
		cmocka_unit_test(codes_and_texts),
		cmocka_unit_test(papers_on_a_day),
		cmocka_unit_test(models),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

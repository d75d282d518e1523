/* IMSI and MSISDN. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "ident/ident.h"

static void imsis(void **state)
{
	struct imsi imsi = {1, 1};
	char text[16];

	(void)state;
	assert_int_equal(imsi_parse(STR("255011234567890"), &imsi), CEIR_OK);
	assert_true(imsi.n == 255011234567890 && imsi.digits == 15);
	assert_int_equal(imsi_parse(STR("00101123456789"), &imsi), CEIR_OK);
	assert_true(imsi.n == 101123456789 && imsi.digits == 14);
	imsi_print(imsi, text);
	assert_string_equal(text, "00101123456789");
	assert_int_equal(imsi_parse(STR(""), &imsi), CEIR_ERANGE);
	assert_int_equal(imsi_parse(STR("2550112345678"), &imsi), CEIR_ERANGE);
	assert_int_equal(imsi_parse(STR("2550112345678901"), &imsi), CEIR_ERANGE);
	assert_int_equal(imsi_parse(STR("25501123456789x"), &imsi), CEIR_EINVAL);
	assert_int_equal(imsi_parse(STR("x5501123456789"), &imsi), CEIR_EINVAL);
	assert_int_equal(imsi_parse(STR("255x"), &imsi), CEIR_EINVAL);
	assert_int_equal(imsi_parse(STR("+25501123456789"), &imsi), CEIR_EINVAL);
	assert_true(imsi.n == 101123456789 && imsi.digits == 14);
}

static void msisdns(void **state)
{
	static const char *const good[] = {"12345", "123456", "1234567", "12345678", "123456789", "1234567890", "12345678901",
		"380501234567", "1234567890123", "12345678901234", "123456789012345", "00000", "012345"};
	struct msisdn msisdn = {1, 1};
	char text[16];

	(void)state;
	for (size_t i = 0; i < CEIR_COUNT(good); i++) {
		assert_int_equal(msisdn_parse(str_of(good[i]), &msisdn), CEIR_OK);
		msisdn_print(msisdn, text);
		assert_string_equal(text, good[i]);
	}
	assert_int_equal(msisdn_parse(STR("+380501234567"), &msisdn), CEIR_OK);
	assert_true(msisdn.n == 380501234567 && msisdn.digits == 12);
	assert_int_equal(msisdn_parse(STR(""), &msisdn), CEIR_ERANGE);
	assert_int_equal(msisdn_parse(STR("+"), &msisdn), CEIR_ERANGE);
	assert_int_equal(msisdn_parse(STR("+1234"), &msisdn), CEIR_ERANGE);
	assert_int_equal(msisdn_parse(STR("1234567890123456"), &msisdn), CEIR_ERANGE);
	assert_int_equal(msisdn_parse(STR("++38050123456"), &msisdn), CEIR_EINVAL);
	assert_int_equal(msisdn_parse(STR("38050 1234567"), &msisdn), CEIR_EINVAL);
	assert_int_equal(msisdn_parse(STR("12x45"), &msisdn), CEIR_EINVAL);
	assert_true(msisdn.n == 380501234567 && msisdn.digits == 12);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(imsis),
		cmocka_unit_test(msisdns),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

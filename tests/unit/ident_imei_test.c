/* IMEI, IMEISV, TAC, MEID. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "ident/ident.h"

/* Luhn digit by digit, as TS 23.003 annex B.2 writes it down: the slow judge of the fast code. */
static unsigned luhn_by_hand(const char digits[14])
{
	unsigned sum = 0;

	for (int i = 0; i < 14; i++) {
		unsigned d = (unsigned)(digits[i] - '0') * (i % 2 == 1 ? 2 : 1);

		sum += d / 10 + d % 10;
	}
	return (10 - sum % 10) % 10;
}

static void typed_imeis(void **state)
{
	static const struct {
		struct str text;
		enum imei_fault fault;
	} cases[] = {
		{STR("352106050544203"), IMEI_GOOD},
		{STR("490154203237518"), IMEI_GOOD},
		{STR("000000000000018"), IMEI_GOOD},
		{STR("999999999999989"), IMEI_BAD_LUHN},
		{STR("352106150345703"), IMEI_BAD_LUHN},
		{STR("352106050544204"), IMEI_BAD_LUHN},
		{STR("532106050544203"), IMEI_BAD_LUHN}, /* two digits swapped */
		{STR(""), IMEI_EMPTY},
		{STR("3521060505442"), IMEI_TOO_SHORT},
		{STR("35210605054420"), IMEI_TOO_SHORT},
		{STR("3521060505442030"), IMEI_TOO_LONG},
		{STR("35210605054420301"), IMEI_TOO_LONG},
		{STR("35210605054420E"), IMEI_NOT_DIGITS},
		{STR("O52106050544203"), IMEI_NOT_DIGITS},
		{STR("3521060505442O3"), IMEI_NOT_DIGITS},
		{STR("352106-050544203"), IMEI_NOT_DIGITS},
		{STR(" 52106050544203"), IMEI_NOT_DIGITS},
		{STR("3521060505442 "), IMEI_NOT_DIGITS},
		{STR("35210605054420\0"), IMEI_NOT_DIGITS},
		{STR("35210605\xff"
		     "544203"),
			IMEI_NOT_DIGITS},
		{STR("\xd9\xa3\xd9\xa5"), IMEI_NOT_DIGITS}, /* Arabic-Indic digits */
		{STR("x"), IMEI_NOT_DIGITS},
		{STR("000000000000000"), IMEI_ALL_SAME},
		{STR("111111111111119"), IMEI_ALL_SAME},
		{STR("999999999999999"), IMEI_ALL_SAME},
	};

	(void)state;
	for (size_t i = 0; i < CEIR_COUNT(cases); i++) {
		struct imei imei = {42};

		if (imei_parse(cases[i].text, &imei) != cases[i].fault)
			fail_msg("case %zu: %.*s", i, (int)cases[i].text.n, cases[i].text.p);
		assert_true(cases[i].fault == IMEI_GOOD ? imei.n == strtoull(cases[i].text.p, NULL, 10) / 10 : imei.n == 42);
	}
	for (int f = 0; f < IMEI_FAULTS; f++)
		assert_true(strlen(imei_fault_text((enum imei_fault)f)) > 10);
}

static void every_byte_at_every_place(void **state)
{
	(void)state;
	for (size_t place = 0; place < IMEI_DIGITS; place++) {
		for (int c = 0; c < 256; c++) {
			char text[IMEI_DIGITS + 1] = "352106050544203";
			struct imei imei;
			enum imei_fault expected, fault;

			text[place] = (char)c;
			if (c < '0' || c > '9')
				expected = IMEI_NOT_DIGITS;
			else
				expected = luhn_by_hand(text) == (unsigned)(text[14] - '0') ? IMEI_GOOD : IMEI_BAD_LUHN;
			fault = imei_parse((struct str){text, IMEI_DIGITS}, &imei);
			assert_int_equal(fault, expected);
		}
	}
}

static void numbers_go_both_ways(void **state)
{
	uint64_t random = 88172645463325252u;
	char text[IMEI_DIGITS + 1];

	(void)state;
	for (int i = 0; i < 300000; i++) {
		struct imei imei, back, pieces;

		random ^= random << 13;
		random ^= random >> 7;
		random ^= random << 17;
		imei.n = random % (IMEI_MAX + 1) % (i % 2 == 0 ? IMEI_MAX + 1 : 1000000 + (uint64_t)i);
		imei_print(imei, text);
		if (imei_check_digit(imei) != luhn_by_hand(text) || strlen(text) != IMEI_DIGITS)
			fail_msg("%s", text);
		if (imei.n != 0 && (imei_parse(str_of(text), &back) != IMEI_GOOD || back.n != imei.n))
			fail_msg("%s", text);
		pieces = imei_make(imei_tac(imei), imei_serial(imei));
		assert_true(pieces.n == imei.n);
	}
	imei_print((struct imei){0}, text);
	assert_string_equal(text, "000000000000000");
	imei_print((struct imei){IMEI_MAX}, text);
	assert_string_equal(text, "999999999999994");
}

static void imeis_of_networks(void **state)
{
	static const struct {
		const char *text;
		enum imei_fault fault;
		uint64_t n;
		enum imei_form form;
		unsigned svn;
	} cases[] = {
		{"35210605054420", IMEI_GOOD, 35210605054420, IMEI_FORM_14, 0},
		{"352106050544203", IMEI_GOOD, 35210605054420, IMEI_FORM_15_LUHN, 0},
		{"352106050544200", IMEI_GOOD, 35210605054420, IMEI_FORM_15_SPARE, 0},
		{"352106050544207", IMEI_GOOD, 35210605054420, IMEI_FORM_15_SUSPECT, 0},
		{"3521060505442078", IMEI_GOOD, 35210605054420, IMEI_FORM_16, 78},
		{"3521060505442000", IMEI_GOOD, 35210605054420, IMEI_FORM_16, 0},
		{"9999999999999899", IMEI_GOOD, 99999999999998, IMEI_FORM_16, 99},
		{"", IMEI_EMPTY, 0, 0, 0},
		{"3521060505442", IMEI_TOO_SHORT, 0, 0, 0},
		{"35210605054420301", IMEI_TOO_LONG, 0, 0, 0},
		{"3521060505442a", IMEI_NOT_DIGITS, 0, 0, 0},
		{"a521060505442030", IMEI_NOT_DIGITS, 0, 0, 0},
		{"35210605:544203", IMEI_NOT_DIGITS, 0, 0, 0},
		{"00000000000000", IMEI_ALL_SAME, 0, 0, 0},
		{"555555555555550", IMEI_ALL_SAME, 0, 0, 0},
		{"1111111111111142", IMEI_ALL_SAME, 0, 0, 0},
	};

	(void)state;
	for (size_t i = 0; i < CEIR_COUNT(cases); i++) {
		struct imei imei = {42};
		enum imei_form form = IMEI_FORM_16;
		unsigned svn = 1000;

		assert_int_equal(imei_parse_network(str_of(cases[i].text), &imei, &form, &svn), cases[i].fault);
		assert_int_equal(imei_parse_network(str_of(cases[i].text), &imei, NULL, NULL), cases[i].fault);
		if (cases[i].fault == IMEI_GOOD) {
			assert_true(imei.n == cases[i].n);
			assert_int_equal(form, cases[i].form);
			assert_int_equal(svn, cases[i].svn);
		} else {
			assert_true(imei.n == 42 && svn == 1000);
		}
	}
}

static void a_check_digit_of_zero_is_not_spare(void **state)
{
	struct imei imei;
	enum imei_form form;

	(void)state;
	/* 35210605054426: check digit 0 */
	for (imei.n = 35210605054420; imei_check_digit(imei) != 0; imei.n++)
		;
	char text[IMEI_DIGITS + 1];
	imei_print(imei, text);
	assert_int_equal(imei_parse_network(str_of(text), &imei, &form, NULL), IMEI_GOOD);
	assert_int_equal(form, IMEI_FORM_15_LUHN);
}

static void tacs(void **state)
{
	struct tac tac = {7};
	char text[TAC_DIGITS + 1];

	(void)state;
	assert_int_equal(tac_parse(STR("35210605"), &tac), CEIR_OK);
	assert_int_equal(tac.n, 35210605);
	assert_int_equal(tac_rbi(tac), 35);
	assert_false(tac_is_test(tac));
	assert_int_equal(tac_parse(STR("3521060"), &tac), CEIR_EINVAL);
	assert_int_equal(tac_parse(STR("352106050"), &tac), CEIR_EINVAL);
	assert_int_equal(tac_parse(STR("3521060x"), &tac), CEIR_EINVAL);
	assert_int_equal(tac_parse(STR(""), &tac), CEIR_EINVAL);
	assert_int_equal(tac.n, 35210605);
	assert_int_equal(tac_parse(STR("00100123"), &tac), CEIR_OK);
	tac_print(tac, text);
	assert_string_equal(text, "00100123");
	assert_true(tac_is_test(tac));
	assert_false(tac_is_test((struct tac){1012345})); /* RBI 01 */
	assert_true(tac_is_test((struct tac){2012345}));
	assert_true(tac_is_test((struct tac){9999999}));
	assert_false(tac_is_test((struct tac){10000000}));
	assert_false(tac_is_test((struct tac){99999999}));
}

static void meids(void **state)
{
	(void)state;
	assert_true(meid_is_valid(STR("A0000000002329")));
	assert_true(meid_is_valid(STR("fF00000000232f")));
	assert_false(meid_is_valid(STR("90000000002329"))); /* IMEI range */
	assert_false(meid_is_valid(STR("A000000000232")));
	assert_false(meid_is_valid(STR("A00000000023290")));
	assert_false(meid_is_valid(STR("A000000000232G")));
	assert_false(meid_is_valid(STR("")));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(typed_imeis),
		cmocka_unit_test(every_byte_at_every_place),
		cmocka_unit_test(numbers_go_both_ways),
		cmocka_unit_test(imeis_of_networks),
		cmocka_unit_test(a_check_digit_of_zero_is_not_spare),
		cmocka_unit_test(tacs),
		cmocka_unit_test(meids),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

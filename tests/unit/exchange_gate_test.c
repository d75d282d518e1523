/* The gate: which deliveries a person must see first. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "exchange/exchange.h"

static const struct delivery_gate gate = {
	.empty = 50, .unclean = 50, .foreign = 100, .size = 750, .leading_zero = 10, .min_lines = 1000};

static unsigned check(struct delivery_counts c, uint64_t usual)
{
	return delivery_gate_check(&gate, &c, usual);
}

static struct delivery_counts of(uint64_t lines)
{
	return (struct delivery_counts){.lines = lines, .taken = lines};
}

static void a_good_delivery_passes(void **state)
{
	struct delivery_counts c = of(10000);

	(void)state;
	c.imei_zero = 3000;
	c.suspicious = 9000;
	assert_int_equal(check(c, 0), 0);
	assert_int_equal(check(c, 10000), 0);
	assert_int_equal(check(of(0), 0), 0);
}

static void each_share_holds_only_above_its_limit(void **state)
{
	static const struct {
		size_t member;
		uint64_t at;
		unsigned bit;
	} cases[] = {
		{offsetof(struct delivery_counts, imei_empty), 500, DELIVERY_HOLD_EMPTY},
		{offsetof(struct delivery_counts, imsi_empty), 500, DELIVERY_HOLD_EMPTY},
		{offsetof(struct delivery_counts, msisdn_empty), 500, DELIVERY_HOLD_EMPTY},
		{offsetof(struct delivery_counts, imei_unclean), 500, DELIVERY_HOLD_UNCLEAN},
		{offsetof(struct delivery_counts, imsi_unclean), 500, DELIVERY_HOLD_UNCLEAN},
		{offsetof(struct delivery_counts, refused), 500, DELIVERY_HOLD_UNCLEAN},
		{offsetof(struct delivery_counts, imsi_foreign), 1000, DELIVERY_HOLD_FOREIGN},
		{offsetof(struct delivery_counts, msisdn_foreign), 1000, DELIVERY_HOLD_FOREIGN},
		{offsetof(struct delivery_counts, imei_13), 100, DELIVERY_HOLD_ZEROS},
		{offsetof(struct delivery_counts, imei_one), 100, DELIVERY_HOLD_ZEROS},
	};

	(void)state;
	for (size_t i = 0; i < CEIR_COUNT(cases); i++) {
		struct delivery_counts c = of(10000);

		memcpy((char *)&c + cases[i].member, &cases[i].at, sizeof(uint64_t));
		assert_int_equal(check(c, 0), 0);
		*(uint64_t *)(void *)((char *)&c + cases[i].member) += 1;
		assert_int_equal(check(c, 0), cases[i].bit);
	}
}

static void foreign_is_a_share_of_those_that_were_given(void **state)
{
	struct delivery_counts c = of(10000);

	(void)state;
	c.msisdn_empty = 400;
	c.msisdn_foreign = 960;
	assert_int_equal(check(c, 0), 0);
	c.msisdn_foreign = 961;
	assert_int_equal(check(c, 0), DELIVERY_HOLD_FOREIGN);
}

static void empty_fields_are_not_unclean_as_well(void **state)
{
	struct delivery_counts c = of(10000);

	(void)state;
	c.imei_empty = 900;
	c.refused = 900;
	assert_int_equal(check(c, 0), DELIVERY_HOLD_EMPTY);
}

static void ones_are_normal_where_zeros_are_more(void **state)
{
	struct delivery_counts c = of(10000);

	(void)state;
	c.imei_one = 2000;
	c.imei_zero = 2000;
	assert_int_equal(check(c, 0), 0);
	c.imei_zero = 1999;
	assert_int_equal(check(c, 0), DELIVERY_HOLD_ZEROS);
}

static void a_small_one_is_held_by_its_size_alone(void **state)
{
	struct delivery_counts c = of(999);

	(void)state;
	c.imei_empty = c.imsi_foreign = c.imei_13 = 999;
	assert_int_equal(check(c, 0), 0);
	assert_int_equal(check(c, 1333), DELIVERY_HOLD_SIZE);
	assert_int_equal(check(c, 1332), 0);
	assert_int_equal(check(of(0), 10), DELIVERY_HOLD_SIZE);
	assert_int_equal(check(of(7), 10), DELIVERY_HOLD_SIZE);
	assert_int_equal(check(of(8), 10), 0);
	assert_int_equal(check(of(UINT64_MAX / 2), UINT64_MAX), DELIVERY_HOLD_SIZE);
	assert_int_equal(check(of(UINT64_MAX), UINT64_MAX), 0);
}

static void every_bit_has_a_text(void **state)
{
	(void)state;
	for (unsigned bit = 1; bit <= DELIVERY_HOLD_ZEROS; bit <<= 1)
		assert_non_null(delivery_hold_text(bit));
	assert_null(delivery_hold_text(0));
	assert_null(delivery_hold_text(3));
	assert_null(delivery_hold_text(DELIVERY_HOLD_ZEROS << 1));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_good_delivery_passes),
		cmocka_unit_test(each_share_holds_only_above_its_limit),
		cmocka_unit_test(foreign_is_a_share_of_those_that_were_given),
		cmocka_unit_test(empty_fields_are_not_unclean_as_well),
		cmocka_unit_test(ones_are_normal_where_zeros_are_more),
		cmocka_unit_test(a_small_one_is_held_by_its_size_alone),
		cmocka_unit_test(every_bit_has_a_text),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

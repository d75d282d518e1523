/* The verdict of an IMEI: every combination of facts against the rules written as a list; and the words for reasons. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "policy/policy.h"

struct outcome {
	unsigned colour, reason;
};

static unsigned black_reason(unsigned listing)
{
	if (listing == POLICY_REASON_STOLEN)
		return VERDICT_STOLEN;
	return listing == POLICY_REASON_LOST ? VERDICT_LOST : VERDICT_LISTED_BLACK;
}

/* The rules in their order, for reading against policy.h. */
static struct outcome by_the_book(const struct policy_facts *f)
{
	static const unsigned back[] = {[POLICY_WITHDRAWN] = VERDICT_WITHDRAWN,
		[POLICY_IMPORTER_REVOKED] = VERDICT_IMPORTER_REVOKED,
		[POLICY_PERMIT_REVOKED] = VERDICT_PERMIT_REVOKED,
		[POLICY_CERTIFICATE_REVOKED] = VERDICT_CERTIFICATE_REVOKED};
	const unsigned grace = f->grace_over ? VERDICT_BLACK : VERDICT_GREY;
	const struct {
		bool applies;
		struct outcome outcome;
	} rules[] = {
		{f->golden, {VERDICT_WHITE, VERDICT_GOLDEN}},
		{f->black_reason != 0, {VERDICT_BLACK, black_reason(f->black_reason)}},
		{f->seen && f->malformed, {grace, VERDICT_MALFORMED}},
		{f->seen && f->tac_unallocated, {grace, VERDICT_TAC_UNALLOCATED}},
		{f->clone, {grace, VERDICT_CLONE}},
		{f->registration == POLICY_REGISTERED && f->grey_reason == 0, {VERDICT_WHITE, VERDICT_REGISTERED}},
		{f->white_reason != 0, {VERDICT_WHITE, VERDICT_LISTED_WHITE}},
		{f->registration >= POLICY_WITHDRAWN, {VERDICT_GREY, back[f->registration]}},
		{f->grey_reason != 0, {VERDICT_GREY, VERDICT_LISTED_GREY}},
		{f->amnesty, {VERDICT_WHITE, VERDICT_AMNESTY}},
		{f->condition, {grace, VERDICT_CONDITION}},
		{f->seen, {grace, VERDICT_UNREGISTERED_SEEN}},
		{true, {VERDICT_UNKNOWN, VERDICT_NEVER_HEARD}},
	};
	size_t i = 0;
	while (!rules[i].applies)
		i++;
	return rules[i].outcome;
}

static void check_one(const struct policy_facts *f)
{
	struct outcome want = by_the_book(f);
	struct verdict v = policy_verdict(f);
	bool stands = f->registration != POLICY_NOT_REGISTERED && f->registration != POLICY_WITHDRAWN;
	if (v.colour != want.colour || v.reason != want.reason || v.registered != stands ||
		v.pair != (f->pair || want.reason == VERDICT_CLONE))
		fail_msg("registration %d black %d grey %d white %d golden %d seen %d grace %d malformed %d unallocated %d clone %d "
			 "condition %d amnesty %d: %s/%s",
			(int)f->registration, f->black_reason, f->grey_reason, f->white_reason, f->golden, f->seen,
			f->grace_over, f->malformed, f->tac_unallocated, f->clone, f->condition, f->amnesty,
			verdict_colour_name(v.colour), verdict_reason_name(v.reason));
}

/* What no order of rules may lose, whatever else is known. */
static void check_promises(const struct policy_facts *f)
{
	struct verdict v = policy_verdict(f);
	if (f->golden)
		assert_int_not_equal(v.colour, VERDICT_BLACK);
	else if (f->black_reason)
		assert_int_equal(v.colour, VERDICT_BLACK);
	if (!f->black_reason && !f->seen && !f->clone && !f->condition)
		assert_int_not_equal(v.colour, VERDICT_BLACK);
	if (!f->grace_over && !f->black_reason)
		assert_int_not_equal(v.colour, VERDICT_BLACK);
	struct policy_facts worse = *f;
	worse.black_reason = POLICY_REASON_STOLEN;
	worse.golden = false;
	assert_int_equal(policy_verdict(&worse).reason, VERDICT_STOLEN);
	struct verdict again = verdict_unpack(verdict_pack(v));
	assert_int_equal(again.colour, v.colour);
	assert_int_equal(again.reason, v.reason);
	assert_true(again.registered == v.registered && again.pair == v.pair);
}

static void every_combination(void **state)
{
	(void)state;
	enum { REGISTRATIONS = POLICY_CERTIFICATE_REVOKED + 1, R = POLICY_LISTING_REASONS, FLAGS = 512 };
	for (unsigned n = 0; n < REGISTRATIONS * R * R * R * FLAGS; n++) {
		unsigned flags = n % FLAGS, reasons = n / FLAGS % (R * R * R);
		struct policy_facts f = {
			.registration = (enum policy_registration)(n / (FLAGS * R * R * R)),
			.black_reason = (uint8_t)(reasons % R),
			.grey_reason = (uint8_t)(reasons / R % R),
			.white_reason = (uint8_t)(reasons / R / R),
			.golden = flags & 1,
			.pair = flags >> 1 & 1,
			.seen = flags >> 2 & 1,
			.grace_over = flags >> 3 & 1,
			.malformed = flags >> 4 & 1,
			.tac_unallocated = flags >> 5 & 1,
			.clone = flags >> 6 & 1,
			.condition = flags >> 7 & 1,
			.amnesty = flags >> 8 & 1,
		};
		check_one(&f);
		check_promises(&f);
	}
}

/* Every reason has a name and a text of its own: names are codes on the wire. */
static void reason_names(void **state)
{
	(void)state;
	assert_string_equal(verdict_reason_name(VERDICT_AMNESTY), "amnesty");
	assert_string_equal(verdict_reason_name(VERDICT_CONDITION), "condition");
	for (unsigned i = 0; i < VERDICT_REASONS; i++) {
		assert_non_null(verdict_reason_name(i));
		assert_non_null(verdict_reason_text(i));
		for (unsigned j = 0; j < i; j++) {
			assert_string_not_equal(verdict_reason_name(i), verdict_reason_name(j));
			assert_string_not_equal(verdict_reason_text(i), verdict_reason_text(j));
		}
	}
}

static void barred_tac(void **state)
{
	(void)state;
	struct verdict v = policy_tac_verdict(0);
	assert_int_equal(verdict_pack(v), 0);
	for (uint8_t reason = POLICY_REASON_STOLEN; reason < POLICY_LISTING_REASONS; reason++) {
		v = policy_tac_verdict(reason);
		assert_int_equal(v.colour, VERDICT_BLACK);
		assert_int_equal(v.reason, VERDICT_BARRED_TAC);
		assert_false(v.registered || v.pair);
	}
}

static void listing_reason_names(void **state)
{
	(void)state;
	static const char *const names[] = {NULL, "stolen", "lost", "fraud", "court", "clone", "barred", "evidence", "recovered",
		"other"};
	assert_int_equal(CEIR_COUNT(names), POLICY_LISTING_REASONS);
	assert_null(policy_listing_reason_name(0));
	assert_null(policy_listing_reason_name(POLICY_LISTING_REASONS));
	for (unsigned i = 1; i < POLICY_LISTING_REASONS; i++) {
		unsigned found = 0;
		assert_string_equal(policy_listing_reason_name(i), names[i]);
		assert_int_equal(policy_listing_reason_find(str_of(names[i]), &found), CEIR_OK);
		assert_int_equal(found, i);
	}
	unsigned untouched = 77;
	assert_int_equal(policy_listing_reason_find(STR("Stolen"), &untouched), CEIR_ENOENT);
	assert_int_equal(policy_listing_reason_find(STR("stole"), &untouched), CEIR_ENOENT);
	assert_int_equal(policy_listing_reason_find(STR(""), &untouched), CEIR_ENOENT);
	assert_int_equal(untouched, 77);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_combination),
		cmocka_unit_test(reason_names),
		cmocka_unit_test(barred_tac),
		cmocka_unit_test(listing_reason_names),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

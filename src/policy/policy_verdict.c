/*
 * policy_verdict.c - the verdict of an IMEI and of a TAC, and the names of the reasons of listings. The order of rules is
 * that of policy.h.
 */
#include "policy/policy_internal.h"

static struct verdict verdict_of(enum verdict_colour colour, enum verdict_reason reason)
{
	return (struct verdict){.colour = (uint8_t)colour, .reason = (uint8_t)reason};
}

static struct verdict black_listing(uint8_t reason)
{
	switch (reason) {
	case POLICY_REASON_STOLEN:
		return verdict_of(VERDICT_BLACK, VERDICT_STOLEN);
	case POLICY_REASON_LOST:
		return verdict_of(VERDICT_BLACK, VERDICT_LOST);
	default:
		return verdict_of(VERDICT_BLACK, VERDICT_LISTED_BLACK);
	}
}

/* Why a registration no longer makes the device white; VERDICT_NEVER_HEARD when nothing was taken back. */
static enum verdict_reason taken_back(enum policy_registration registration)
{
	switch (registration) {
	case POLICY_WITHDRAWN:
		return VERDICT_WITHDRAWN;
	case POLICY_IMPORTER_REVOKED:
		return VERDICT_IMPORTER_REVOKED;
	case POLICY_PERMIT_REVOKED:
		return VERDICT_PERMIT_REVOKED;
	case POLICY_CERTIFICATE_REVOKED:
		return VERDICT_CERTIFICATE_REVOKED;
	case POLICY_NOT_REGISTERED:
	case POLICY_REGISTERED:
		break;
	}
	return VERDICT_NEVER_HEARD;
}

uint32_t policy_rules_that_hold(const struct policy_facts *f)
{
	return (uint32_t)f->golden << RULE_GOLDEN | (uint32_t)(f->black_reason != 0) << RULE_BLACK_LISTING |
		(uint32_t)(f->malformed && f->seen) << RULE_MALFORMED | (uint32_t)(f->tac_unallocated && f->seen) << RULE_TAC_UNALLOCATED |
		(uint32_t)f->clone << RULE_CLONE | (uint32_t)(f->registration == POLICY_REGISTERED && !f->grey_reason) << RULE_REGISTERED |
		(uint32_t)(f->white_reason != 0) << RULE_WHITE_LISTING |
		(uint32_t)(f->registration >= POLICY_WITHDRAWN) << RULE_TAKEN_BACK |
		(uint32_t)(f->grey_reason != 0) << RULE_GREY_LISTING | (uint32_t)f->amnesty << RULE_AMNESTY |
		(uint32_t)f->condition << RULE_CONDITION | (uint32_t)f->seen << RULE_SEEN | UINT32_C(1) << RULE_NEVER_HEARD;
}

struct verdict policy_rule_verdict(unsigned rule, const struct policy_facts *f)
{
	enum verdict_colour by_grace = f->grace_over ? VERDICT_BLACK : VERDICT_GREY;

	switch (rule) {
	case RULE_GOLDEN:
		return verdict_of(VERDICT_WHITE, VERDICT_GOLDEN);
	case RULE_BLACK_LISTING:
		return black_listing(f->black_reason);
	case RULE_MALFORMED:
		return verdict_of(by_grace, VERDICT_MALFORMED);
	case RULE_TAC_UNALLOCATED:
		return verdict_of(by_grace, VERDICT_TAC_UNALLOCATED);
	case RULE_CLONE:
		return verdict_of(by_grace, VERDICT_CLONE);
	case RULE_REGISTERED:
		return verdict_of(VERDICT_WHITE, VERDICT_REGISTERED);
	case RULE_WHITE_LISTING:
		return verdict_of(VERDICT_WHITE, VERDICT_LISTED_WHITE);
	case RULE_TAKEN_BACK:
		return verdict_of(VERDICT_GREY, taken_back(f->registration));
	case RULE_GREY_LISTING:
		return verdict_of(VERDICT_GREY, VERDICT_LISTED_GREY);
	case RULE_AMNESTY:
		return verdict_of(VERDICT_WHITE, VERDICT_AMNESTY);
	case RULE_CONDITION:
		return verdict_of(by_grace, VERDICT_CONDITION);
	case RULE_SEEN:
		return verdict_of(by_grace, VERDICT_UNREGISTERED_SEEN);
	default:
		return verdict_of(VERDICT_UNKNOWN, VERDICT_NEVER_HEARD);
	}
}

unsigned policy_first_rule(const struct policy_facts *f)
{
	return (unsigned)__builtin_ctz(policy_rules_that_hold(f));
}

struct verdict policy_verdict(const struct policy_facts *facts)
{
	struct verdict v = policy_rule_verdict(policy_first_rule(facts), facts);
	v.registered = facts->registration != POLICY_NOT_REGISTERED && facts->registration != POLICY_WITHDRAWN;
	v.pair = facts->pair || v.reason == VERDICT_CLONE;
	return v;
}

struct verdict policy_tac_verdict(uint8_t black_reason)
{
	return black_reason ? verdict_of(VERDICT_BLACK, VERDICT_BARRED_TAC) : verdict_of(VERDICT_UNKNOWN, VERDICT_NEVER_HEARD);
}

static const char *const listing_reasons[POLICY_LISTING_REASONS] = {
	[POLICY_REASON_STOLEN] = "stolen",
	[POLICY_REASON_LOST] = "lost",
	[POLICY_REASON_FRAUD] = "fraud",
	[POLICY_REASON_COURT] = "court",
	[POLICY_REASON_CLONE] = "clone",
	[POLICY_REASON_BARRED] = "barred",
	[POLICY_REASON_EVIDENCE] = "evidence",
	[POLICY_REASON_RECOVERED] = "recovered",
	[POLICY_REASON_OTHER] = "other",
};

const char *policy_listing_reason_name(unsigned reason)
{
	return reason < POLICY_LISTING_REASONS ? listing_reasons[reason] : NULL;
}

enum ceir_err policy_listing_reason_find(struct str name, unsigned *reason)
{
	for (unsigned i = POLICY_REASON_STOLEN; i < POLICY_LISTING_REASONS; i++) {
		if (str_eq_c(name, listing_reasons[i])) {
			*reason = i;
			return CEIR_OK;
		}
	}
	return CEIR_ENOENT;
}

/*
 * policy_verdict.c - the verdict of an IMEI and of a TAC, and the names of the reasons of listings. The order of rules is
 * that of policy.h.
 */
#include "policy/policy.h"

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

static struct verdict first_rule(const struct policy_facts *f)
{
	enum verdict_colour by_grace = f->grace_over ? VERDICT_BLACK : VERDICT_GREY;
	enum verdict_reason back = taken_back(f->registration);

	if (f->golden)
		return verdict_of(VERDICT_WHITE, VERDICT_GOLDEN);
	if (f->black_reason)
		return black_listing(f->black_reason);
	if (f->malformed && f->seen)
		return verdict_of(by_grace, VERDICT_MALFORMED);
	if (f->tac_unallocated && f->seen)
		return verdict_of(by_grace, VERDICT_TAC_UNALLOCATED);
	if (f->registration == POLICY_REGISTERED && !f->grey_reason)
		return verdict_of(VERDICT_WHITE, VERDICT_REGISTERED);
	if (f->white_reason)
		return verdict_of(VERDICT_WHITE, VERDICT_LISTED_WHITE);
	if (back != VERDICT_NEVER_HEARD)
		return verdict_of(VERDICT_GREY, back);
	if (f->grey_reason)
		return verdict_of(VERDICT_GREY, VERDICT_LISTED_GREY);
	if (f->seen)
		return verdict_of(by_grace, VERDICT_UNREGISTERED_SEEN);
	return verdict_of(VERDICT_UNKNOWN, VERDICT_NEVER_HEARD);
}

struct verdict policy_verdict(const struct policy_facts *facts)
{
	struct verdict v = first_rule(facts);
	v.registered = facts->registration != POLICY_NOT_REGISTERED && facts->registration != POLICY_WITHDRAWN;
	v.pair = facts->pair;
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

/*
 * policy_row.c - is this IMEI of an application accepted, and if not, why: the rules of registration, and their texts.
 */
#include "policy/policy.h"

static const struct {
	const char *code, *text;
} refusals[POLICY_RESULTS] = {
	[POLICY_REFUSED_EMPTY] = {"empty", N_("No IMEI was given")},
	[POLICY_REFUSED_NOT_DIGITS] = {"not-digits", N_("An IMEI consists of the digits 0 to 9 only")},
	[POLICY_REFUSED_TOO_SHORT] = {"too-short", N_("The IMEI is too short: it must have 15 digits")},
	[POLICY_REFUSED_TOO_LONG] = {"too-long", N_("The IMEI is too long: it must have 15 digits")},
	[POLICY_REFUSED_LUHN] = {"luhn", N_("The last digit of the IMEI is wrong: please check it for a typing error")},
	[POLICY_REFUSED_ALL_SAME] = {"all-same", N_("All digits of the IMEI are the same: no device has this number")},
	[POLICY_REFUSED_TEST_TAC] = {"test-tac", N_("The IMEI belongs to a test device that may not be sold")},
	[POLICY_REFUSED_DUPLICATE] = {"duplicate", N_("The IMEI stands in this application more than once")},
	[POLICY_REFUSED_TOO_MANY_IMEIS] = {"too-many-imeis", N_("A device can have at most 5 IMEIs")},
	[POLICY_REFUSED_IMPORTER_INACTIVE] = {"importer-inactive", N_("The importer is suspended or struck off the register")},
	[POLICY_REFUSED_PERMIT_REVOKED] = {"permit-revoked", N_("The import permit was revoked")},
	[POLICY_REFUSED_PERMIT_NOT_YET] = {"permit-not-yet-valid", N_("The import permit is not valid yet")},
	[POLICY_REFUSED_PERMIT_EXPIRED] = {"permit-expired", N_("The import permit has expired")},
	[POLICY_REFUSED_POSITION_MISSING] = {"position-missing", N_("The import permit has no such position")},
	[POLICY_REFUSED_CERTIFICATE_REVOKED] = {"certificate-revoked", N_("The certificate of conformity was revoked")},
	[POLICY_REFUSED_CERTIFICATE_NOT_YET] = {"certificate-not-yet-valid", N_("The certificate of conformity is not valid yet")},
	[POLICY_REFUSED_CERTIFICATE_EXPIRED] = {"certificate-expired", N_("The certificate of conformity has expired")},
	[POLICY_REFUSED_TAC_UNKNOWN] = {"tac-unknown", N_("The first 8 digits of the IMEI belong to no known model")},
	[POLICY_REFUSED_TAC_WITHDRAWN] = {"tac-withdrawn", N_("The model that the IMEI belongs to is no longer allowed")},
	[POLICY_REFUSED_TAC_NOT_COVERED] = {"tac-not-covered", N_("The certificate of conformity does not cover this model")},
	[POLICY_REFUSED_MODEL_MISMATCH] = {"model-mismatch", N_("The permit's position is for another model than the IMEI's")},
	[POLICY_REFUSED_DEVICE_MIXED] = {"device-mixed", N_("The IMEIs of this device belong to different models")},
	[POLICY_REFUSED_BLACKLISTED] = {"blacklisted", N_("The IMEI is on the black list")},
	[POLICY_REFUSED_REGISTERED] = {"registered", N_("The IMEI is registered already")},
	[POLICY_REFUSED_DEVICE_PARTNER] = {"device-partner", N_("Another IMEI of the same device was refused")},
	[POLICY_REFUSED_QUANTITY] = {"quantity", N_("The quantity of the permit's position is used up")},
};

const char *policy_result_code(unsigned result)
{
	return policy_result_is_refusal(result) ? refusals[result].code : NULL;
}

const char *policy_result_text(unsigned result)
{
	return policy_result_is_refusal(result) ? refusals[result].text : NULL;
}

enum policy_paper policy_paper_on(bool revoked, int32_t issued_days, int32_t ex_days, int32_t today_days)
{
	if (revoked)
		return POLICY_PAPER_REVOKED;
	if (today_days < issued_days)
		return POLICY_PAPER_NOT_YET;
	return today_days > ex_days ? POLICY_PAPER_EXPIRED : POLICY_PAPER_VALID;
}

static enum policy_result imei_fault_result(enum imei_fault fault)
{
	switch (fault) {
	case IMEI_EMPTY:
		return POLICY_REFUSED_EMPTY;
	case IMEI_TOO_SHORT:
		return POLICY_REFUSED_TOO_SHORT;
	case IMEI_TOO_LONG:
		return POLICY_REFUSED_TOO_LONG;
	case IMEI_BAD_LUHN:
		return POLICY_REFUSED_LUHN;
	case IMEI_ALL_SAME:
		return POLICY_REFUSED_ALL_SAME;
	case IMEI_GOOD:
	case IMEI_NOT_DIGITS:
	case IMEI_FAULTS:
		break;
	}
	return POLICY_REFUSED_NOT_DIGITS;
}

static enum policy_result paper_result(enum policy_paper paper, enum policy_result revoked, enum policy_result not_yet,
	enum policy_result expired)
{
	switch (paper) {
	case POLICY_PAPER_REVOKED:
		return revoked;
	case POLICY_PAPER_NOT_YET:
		return not_yet;
	case POLICY_PAPER_VALID:
	case POLICY_PAPER_EXPIRED:
		break;
	}
	return expired;
}

enum policy_result policy_row(const struct policy_row_facts *f)
{
	if (f->fault != IMEI_GOOD)
		return imei_fault_result(f->fault);
	if (f->test_tac)
		return POLICY_REFUSED_TEST_TAC;
	if (f->duplicate)
		return POLICY_REFUSED_DUPLICATE;
	if (f->too_many_imeis)
		return POLICY_REFUSED_TOO_MANY_IMEIS;
	if (f->importer_inactive)
		return POLICY_REFUSED_IMPORTER_INACTIVE;
	if (f->permit != POLICY_PAPER_VALID)
		return paper_result(f->permit, POLICY_REFUSED_PERMIT_REVOKED, POLICY_REFUSED_PERMIT_NOT_YET,
			POLICY_REFUSED_PERMIT_EXPIRED);
	if (f->position_missing)
		return POLICY_REFUSED_POSITION_MISSING;
	if (f->certificate != POLICY_PAPER_VALID)
		return paper_result(f->certificate, POLICY_REFUSED_CERTIFICATE_REVOKED, POLICY_REFUSED_CERTIFICATE_NOT_YET,
			POLICY_REFUSED_CERTIFICATE_EXPIRED);
	if (f->tac_unknown)
		return POLICY_REFUSED_TAC_UNKNOWN;
	if (f->tac_withdrawn)
		return POLICY_REFUSED_TAC_WITHDRAWN;
	if (f->tac_not_covered)
		return POLICY_REFUSED_TAC_NOT_COVERED;
	if (f->model_mismatch)
		return POLICY_REFUSED_MODEL_MISMATCH;
	if (f->device_mixed)
		return POLICY_REFUSED_DEVICE_MIXED;
	if (f->blacklisted)
		return POLICY_REFUSED_BLACKLISTED;
	if (f->registered)
		return POLICY_REFUSED_REGISTERED;
	if (f->partner_refused)
		return POLICY_REFUSED_DEVICE_PARTNER;
	if (f->quantity_exceeded)
		return POLICY_REFUSED_QUANTITY;
	return POLICY_ACCEPTED;
}

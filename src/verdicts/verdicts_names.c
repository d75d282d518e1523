/*
 * verdicts_names.c - the packed form of a verdict, and the words for it. Both are contracts: with the database and with
 * everyone who reads an answer.
 */
#include "verdicts/verdicts.h"

uint16_t verdict_pack(struct verdict v)
{
	CEIR_ASSERT(v.colour <= VERDICT_BLACK && v.reason < 64);
	return (uint16_t)(v.colour | v.reason << 2 | v.registered << 8 | v.pair << 9);
}

struct verdict verdict_unpack(uint16_t packed)
{
	return (struct verdict){
		.colour = packed & 3,
		.reason = packed >> 2 & 63,
		.registered = packed >> 8 & 1,
		.pair = packed >> 9 & 1,
	};
}

const char *verdict_colour_name(unsigned colour)
{
	static const char *const names[] = {"unknown", "white", "grey", "black"};
	return colour < CEIR_COUNT(names) ? names[colour] : names[VERDICT_UNKNOWN];
}

static const struct {
	const char *name, *text;
} reasons[VERDICT_REASONS] = {
	[VERDICT_NEVER_HEARD] = {"never-heard", N_("The IMEI is not in the register and was never seen on a network")},
	[VERDICT_REGISTERED] = {"registered", N_("The device is registered")},
	[VERDICT_LISTED_WHITE] = {"listed-white", N_("The IMEI is on the white list")},
	[VERDICT_LISTED_GREY] = {"listed-grey", N_("The IMEI is on the grey list")},
	[VERDICT_LISTED_BLACK] = {"listed-black", N_("The IMEI is on the black list")},
	[VERDICT_STOLEN] = {"stolen", N_("The device was reported stolen")},
	[VERDICT_LOST] = {"lost", N_("The device was reported lost")},
	[VERDICT_BARRED_TAC] = {"barred-tac", N_("Devices of this model are barred from use")},
	[VERDICT_WITHDRAWN] = {"withdrawn", N_("The registration of the device was withdrawn")},
	[VERDICT_PERMIT_REVOKED] = {"permit-revoked", N_("The import permit of the device was revoked")},
	[VERDICT_CERTIFICATE_REVOKED] = {"certificate-revoked", N_("The certificate of conformity of the device was revoked")},
	[VERDICT_IMPORTER_REVOKED] = {"importer-revoked", N_("The importer of the device was struck off the register")},
	[VERDICT_GOLDEN] = {"golden", N_("The IMEI is never blocked")},
	[VERDICT_MALFORMED] = {"malformed", N_("The device reports an IMEI that is not valid")},
	[VERDICT_TAC_UNALLOCATED] = {"tac-unallocated", N_("The IMEI belongs to no model that was ever allocated")},
	[VERDICT_UNREGISTERED_SEEN] = {"unregistered-seen", N_("The device was seen on a network but is not registered")},
	[VERDICT_CLONE] = {"clone", N_("Several devices use this IMEI")},
	[VERDICT_AMNESTY] = {"amnesty", N_("The device was in use before the register began")},
	[VERDICT_CONDITION] = {"condition", N_("A condition of the country's policy applies to the device")},
};
_Static_assert(VERDICT_REASONS <= 64, "a reason has six bits");

const char *verdict_reason_name(unsigned reason)
{
	return reason < VERDICT_REASONS ? reasons[reason].name : "unknown";
}

const char *verdict_reason_text(unsigned reason)
{
	return reason < VERDICT_REASONS ? reasons[reason].text : N_("Unknown reason");
}

/*
 * policy.h - the rules of the country, as pure functions: facts in, verdict out. No state, no I/O, any thread.
 */
#ifndef CEIR_POLICY_H
#define CEIR_POLICY_H

#include "base/base.h"
#include "ident/ident.h"
#include "verdicts/verdicts.h"

/* What the register holds against the registration of a device; the first that applies. */
enum policy_registration {
	POLICY_NOT_REGISTERED = 0,
	POLICY_REGISTERED,
	POLICY_WITHDRAWN,          /* the registration itself was withdrawn */
	POLICY_IMPORTER_REVOKED,
	POLICY_PERMIT_REVOKED,
	POLICY_CERTIFICATE_REVOKED,
};

enum policy_listing_reason {   /* stored in the database: numbers never change */
	POLICY_REASON_STOLEN = 1,
	POLICY_REASON_LOST,
	POLICY_REASON_FRAUD,
	POLICY_REASON_COURT,       /* court order or criminal case */
	POLICY_REASON_CLONE,
	POLICY_REASON_BARRED,      /* not approved for use; the usual reason for a whole TAC */
	POLICY_REASON_EVIDENCE,    /* white: a recorded decision */
	POLICY_REASON_RECOVERED,
	POLICY_REASON_OTHER,
	POLICY_LISTING_REASONS
};
const char *policy_listing_reason_name(unsigned reason); /* "stolen"...; NULL outside the range */
/* CEIR_ENOENT: no such name. */
enum ceir_err policy_listing_reason_find(struct str name, unsigned *reason) CEIR_MUST_USE;

/* All that is known of one IMEI at one moment. Zero-initialise; what is not known stays zero. */
struct policy_facts {
	enum policy_registration registration;
	bool golden;
	/* Listings in force now that hold for every subscriber (no pair); reason of the one that counts, 0 when none. */
	uint8_t black_reason, grey_reason, white_reason; /* enum policy_listing_reason */
	bool pair;                 /* a listing in force is bound to an IMSI or MSISDN */
	bool seen;                 /* seen on a network (fed by the triplets) */
	bool grace_over;           /* the date fixed at the first notice has passed */
	bool malformed;
	bool tac_unallocated;
};

/*
 * Verdict of an IMEI for any subscriber, the first rule that applies:
 *   1. golden                             white  golden
 *   2. black listing                      black  stolen, lost, else listed-black
 *   3. malformed, and seen                grey, black after grace
 *   4. TAC never allocated, and seen      grey, black after grace
 *   5. registered, no grey listing        white  registered
 *   6. white listing                      white  listed-white
 *   7. registration withdrawn or revoked  grey   withdrawn, importer-, permit-, certificate-revoked
 *   8. grey listing                       grey   listed-grey
 *   9. seen                               grey, black after grace
 *  10. never heard of                     unknown
 * A grey listing of a registered device gives grey: it is made on purpose and only tracks; a white listing is a decision as
 * well and stands before it. `registered` of the result says that the device stands in the register, also when one of its
 * papers was revoked; not when the registration itself was withdrawn. `pair` is passed on.
 */
struct verdict policy_verdict(const struct policy_facts *facts);

/* Verdict of a whole TAC: barred; black_reason 0 gives VERDICT_UNKNOWN. */
struct verdict policy_tac_verdict(uint8_t black_reason);

/* How an authority's listing is bound to a subscriber. */
enum policy_pair { POLICY_PAIR_NONE = 0, POLICY_PAIR_ONLY, POLICY_PAIR_EXCEPT };

/* ---- registration: one IMEI of an application ---------------------------------------------------------------------- */

/* What was decided on a row. Stored in the database, one byte a row: numbers never change, new ones are added at the end. */
enum policy_result {
	POLICY_PENDING = 0,                   /* not yet decided */
	POLICY_ACCEPTED = 1,
	POLICY_REFUSED_EMPTY = 2,             /* from here on refusals */
	POLICY_REFUSED_NOT_DIGITS = 3,
	POLICY_REFUSED_TOO_SHORT = 4,
	POLICY_REFUSED_TOO_LONG = 5,
	POLICY_REFUSED_LUHN = 6,
	POLICY_REFUSED_ALL_SAME = 7,
	POLICY_REFUSED_TEST_TAC = 8,
	POLICY_REFUSED_DUPLICATE = 9,
	POLICY_REFUSED_TOO_MANY_IMEIS = 10,
	POLICY_REFUSED_IMPORTER_INACTIVE = 11,
	POLICY_REFUSED_PERMIT_REVOKED = 12,
	POLICY_REFUSED_PERMIT_NOT_YET = 13,
	POLICY_REFUSED_PERMIT_EXPIRED = 14,
	POLICY_REFUSED_POSITION_MISSING = 15,
	POLICY_REFUSED_CERTIFICATE_REVOKED = 16,
	POLICY_REFUSED_CERTIFICATE_NOT_YET = 17,
	POLICY_REFUSED_CERTIFICATE_EXPIRED = 18,
	POLICY_REFUSED_TAC_UNKNOWN = 19,
	POLICY_REFUSED_TAC_WITHDRAWN = 20,
	POLICY_REFUSED_TAC_NOT_COVERED = 21,
	POLICY_REFUSED_MODEL_MISMATCH = 22,
	POLICY_REFUSED_DEVICE_MIXED = 23,
	POLICY_REFUSED_BLACKLISTED = 24,
	POLICY_REFUSED_REGISTERED = 25,
	POLICY_REFUSED_DEVICE_PARTNER = 26,
	POLICY_REFUSED_QUANTITY = 27,
	POLICY_RESULTS
};

static inline bool policy_result_is_refusal(unsigned result)
{
	return result >= POLICY_REFUSED_EMPTY && result < POLICY_RESULTS;
}
/* Code on the wire and in files, "tac-unknown"; NULL unless result is a refusal. */
const char *policy_result_code(unsigned result);
/* English sentence for the importer, a catalogue key; NULL unless result is a refusal. */
const char *policy_result_text(unsigned result);

#define POLICY_DEVICE_IMEIS 5 /* a device has at most so many */

/* A permit or certificate on the day that counts. */
enum policy_paper { POLICY_PAPER_VALID = 0, POLICY_PAPER_REVOKED, POLICY_PAPER_NOT_YET, POLICY_PAPER_EXPIRED };
/* revoked, and the days between which the paper holds, both included. */
enum policy_paper policy_paper_on(bool revoked, int32_t issued_days, int32_t ex_days, int32_t today_days);

/*
 * What stands against one IMEI of an application. All zero: nothing does. The caller finds the facts in the order of the
 * rules and may stop at the first: later ones do not change the result.
 */
struct policy_row_facts {
	enum imei_fault fault;         /* of the IMEI as typed */
	bool test_tac;
	bool duplicate;                /* stood in this application before, in this device or another */
	bool too_many_imeis;           /* the device has more than POLICY_DEVICE_IMEIS */
	bool importer_inactive;        /* suspended or revoked */
	enum policy_paper permit;
	bool position_missing;         /* the permit has no such position any more */
	enum policy_paper certificate; /* the position's */
	bool tac_unknown;              /* not in the register's table of TACs */
	bool tac_withdrawn;            /* its allocation was withdrawn */
	bool tac_not_covered;          /* the certificate neither lists the TAC nor is for its model */
	bool model_mismatch;           /* policy_model_agrees() says no */
	bool device_mixed;             /* IMEIs of this device name different models */
	bool blacklisted;              /* the IMEI or its TAC */
	bool registered;               /* already, by whomever */
	bool partner_refused;          /* another IMEI of this device was refused for a reason of its own */
	bool quantity_exceeded;        /* the position has no unit left for this device */
};

/*
 * POLICY_ACCEPTED or the first refusal in the order of the struct: what the importer can see on the phone itself, then the
 * papers, then the model, then what the register knows. Quantity comes last: only a device that is otherwise good takes a
 * unit, so a device refused for another reason never costs one.
 */
enum policy_result policy_row(const struct policy_row_facts *facts);

/*
 * Do the TAC table and a paper name the same model? ASCII letters without case; spaces, tabs and hyphens do not count; a
 * manufacturer repeated before the model, set off by one of them, is dropped ("Samsung GT-P3100" is "GT-P3100" of Samsung,
 * "LGM-V300" of LG stays). Everything else must be the same and nothing may be empty: when in doubt they do not agree.
 */
bool policy_model_agrees(struct str tac_manufacturer, struct str tac_model, struct str pos_manufacturer,
	struct str pos_model);

#endif

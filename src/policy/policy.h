/*
 * policy.h - the rules of the country, as pure functions: facts in, verdict out. No state, no I/O, any thread.
 */
#ifndef CEIR_POLICY_H
#define CEIR_POLICY_H

#include "base/base.h"
#include "ident/ident.h"
#include "triplets/triplets.h"
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
	bool clone;                /* a clone condition matches that blocks */
	bool condition;            /* another blocking condition matches (seen is true as well) */
	bool amnesty;              /* in use when the register began: white */
};

/*
 * Verdict of an IMEI for any subscriber, the first rule that applies:
 *   1. golden                             white  golden
 *   2. black listing                      black  stolen, lost, else listed-black
 *   3. malformed, and seen                grey, black after grace
 *   4. TAC never allocated, and seen      grey, black after grace
 *   5. clone                              grey, black after grace; its genuine pair is an exception
 *   6. registered, no grey listing        white  registered
 *   7. white listing                      white  listed-white
 *   8. registration withdrawn or revoked  grey   withdrawn, importer-, permit-, certificate-revoked
 *   9. grey listing                       grey   listed-grey
 *  10. amnesty                            white  amnesty
 *  11. another blocking condition         grey, black after grace
 *  12. seen                               grey, black after grace
 *  13. never heard of                     unknown
 * A grey listing of a registered device gives grey: it is made on purpose and only tracks; a white listing is a decision as
 * well and stands before it. `registered` of the result says that the device stands in the register, also when one of its
 * papers was revoked; not when the registration itself was withdrawn. `pair` is passed on, and set for a clone: the
 * answer for its genuine pair is another.
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

/* ---- the policy of a country: versioned data ------------------------------------------------------------------------ */

/* Where it says "share" a number is in thousandths. Defaults in brackets; policy_defaults() has them. */
struct policy_params {
	bool restrictive;            /* never heard of: prohibited, not permitted [no] (ITU-T Q-series Supplement 73) */
	uint32_t grace_days;         /* from the first notice to the block, for rules that name none [90] */
	uint32_t notice_days[4];     /* notices so many days before the block, descending; 0: none [75 50 25 1] */
	uint32_t lookback_days;      /* subscribers seen in that time are told [180] */
	uint32_t gap_days;           /* an absence longer than this ends an episode [30] */
	uint32_t keep_episode_days;  /* [0: for ever] */
	uint32_t roamer_days;        /* a foreign SIM is permitted so many days a year [90] */
	int32_t amnesty_from, amnesty_until; /* days since 1970, both included; first seen up to `until`: white for ever; 0 0: none */
	uint32_t guard_share;        /* of all IMEIs with a verdict that one run may turn black, or one policy change in any way [100] */
	uint32_t gate_empty, gate_unclean, gate_foreign, gate_size, gate_zeros; /* of a delivery [50 50 100 750 10] */
	char home_mcc[32];           /* comma separated [255] */
	char country_code[4];        /* E.164 [380] */
};

/* One condition as written by a person. */
struct policy_condition_text {
	struct str name;             /* [a-z0-9-], 1..32: the reason in lists */
	struct str rule;             /* see policy_new() */
	uint32_t grace_days;
	bool blocking;               /* grey, then black when the days are over; else it only informs */
	bool sticky;                 /* once matched, matched for ever */
};

#define POLICY_CONDITIONS 24     /* at most; bit numbers of masks */

struct policy;                   /* one version; immutable, any thread */

void policy_defaults(struct policy_params *out);
/* The conditions of a new register, written as text: NULL-terminated name. Covers every rule of the verdict. */
extern const struct policy_condition_text POLICY_DEFAULT_CONDITIONS[];
/*
 * Checks parameters and compiles the rules. Condition i is bit i of every mask, for ever: a new version of the policy keeps
 * each name at its bit and leaves the bit of one that is dropped unused (empty name; its rule is not read). n: at most
 * POLICY_CONDITIONS. A rule is an expression of facts with `and`, `or` (`and` binds more closely), `not` and brackets, at
 * most 16 deep and 32 facts long; nothing is evaluated that is not needed.
 *
 * Facts, with parameters in brackets, separated by spaces or commas (defaults when left out):
 *   malformed                       the IMEI is none, all zeros, or all the same digit
 *   tac-unknown(days=0)             its TAC is in no allocation table, and it was first seen more than `days` ago
 *   tac-unknown-rbi(01=40 35=20 86=19 91=20 99=69 other=0)   the same with a delay for each reporting body (without brackets: these)
 *   test-tac                        a TAC for tests
 *   not-registered                  no registration and no white listing; types of the TAC table may be exempt:
 *                                   not-registered(exempt=modem, router)
 *   barred                          black listing of the IMEI or its TAC
 *   stolen                          black listing, stolen or lost
 *   watched                         on a watch list
 *   rat-impossible                  seen with a radio technology that no model of that manufacturer and name has
 *   clone-threshold(imsis=5 days=30)            at least so many distinct IMSIs in so many days
 *   clone-daily(mean=2.0 days=30 min-days=3)    distinct IMSIs present on each day, averaged over the days it was seen, at least
 *                                               so many; days: <= 64
 *   clone-simultaneous(times=3 days=30)         so often were two IMSIs present side by side for more than a day; days: <= 64
 *   sim-box(imsis=20 days=30 row=10)            so many IMSIs at one operator, so many of their MSISDNs in a row
 *   rotation(imeis=10 days=30)                  one of its IMSIs went through so many IMEIs in so many days
 *   sim-swap(hours=48 days=30)                  one of its MSISDNs changed IMSI and IMEI within so many hours, in the last so many days
 *   subscriber(own | domestic | foreign)        all IMSIs it was seen with are of: an operator of the table, the home MCC (own ones
 *                                               too), another MCC
 *   roamer                          subscriber(foreign), and none of these IMSIs was present on more than roamer_days of the last 365 days
 *   type(modem)                     device type of the TAC table; several: any of them
 * Present: on every UTC day from the beginning of an episode to its end (absences up to gap_days lie within an episode). Side
 * by side: a run of three or more days in a row on which both IMSIs were present, which is more than 24 hours for sure: one
 * SIM following another in one phone never is. Two IMSIs whose latest MSISDNs are the same number (a new SIM, a ported
 * number) are one subscriber and never side by side; neither is one IMSI seen by two operators (national roaming). In a row:
 * the longest arithmetic progression among the MSISDNs with a step of 1 to 10.
 *
 * CEIR_EINVAL: *why (at most why_size bytes, English) names the condition, the place, and what was expected. version: its
 * number, 1...
 */
enum ceir_err policy_new(int64_t version, const struct policy_params *params, const struct policy_condition_text *conditions, size_t n,
	char *why, size_t why_size, struct policy **out) CEIR_MUST_USE;
void policy_free(struct policy *p);
const struct policy_params *policy_params(const struct policy *p);
int64_t policy_version(const struct policy *p);
size_t policy_condition_count(const struct policy *p);
/* Name, rule as written, grace, flags of condition i; NULL behind the last. Texts belong to the policy. */
const struct policy_condition_text *policy_condition(const struct policy *p, size_t i);

/* ---- conditions over the triplets of one IMEI ----------------------------------------------------------------------- */

/* What the tables say of a TAC. */
struct policy_tac {
	uint32_t tac;
	bool allocated;
	uint8_t rats;                /* bit per enum triplet_rat that any model of that manufacturer and name has; 0: not known */
	uint8_t type;                /* index of policy_tac_type(); 0: not said */
};
uint8_t policy_tac_type(struct str name); /* "handset" "smartphone" "modem" "tablet" "iot" "wearable" "router" "other": 1..; 0: unknown */
/* Bits of enum triplet_rat from a text such as "2G,3G,4G" or "GSM UMTS LTE"; 0: nothing known. */
uint8_t policy_rats(struct str text);

/* A range of subscriber numbers of one operator. */
struct policy_operator {
	uint8_t op;                  /* 1..255 */
	uint32_t mccmnc;             /* 25501; with three-digit MNC 255001 */
	uint8_t digits;              /* 5 or 6 */
};
/* Sorted tables the evaluation looks into; the caller owns them, they stay as they are meanwhile. */
struct policy_tables {
	const struct policy_tac *tacs;  /* ascending by tac */
	size_t n_tacs;                  /* 0: no TAC table is loaded: tac-unknown never matches */
	const struct policy_operator *operators;
	size_t n_operators;
	/*
	 * Questions about other IMEIs, for rotation and sim-swap; NULL: those facts never match. Distinct IMEIs of an IMSI since
	 * `from_s`, at most max.
	 */
	unsigned (*imeis_of_imsi)(void *ctx, uint64_t imsi, uint32_t from_s, unsigned max);
	/* Did this MSISDN change IMSI and IMEI within so many seconds, the later time at or after from_s? */
	bool (*swapped)(void *ctx, uint64_t msisdn, uint32_t within_s, uint32_t from_s);
	void *ctx;
};
/* Operator (number) whose own subscriber an IMSI is; 0: none of the table. */
uint8_t policy_operator_of_imsi(const struct policy_tables *t, uint64_t imsi_key);

/* What the register says of one IMEI, beside its triplets. */
struct policy_known {
	bool registered;             /* or white listing */
	uint8_t black_reason;        /* enum policy_listing_reason of the listing in force, of the IMEI or (barred) its TAC; 0 none */
	bool watched;
};

/*
 * Gathers the triplets of one IMEI, as many as come, in constant memory: begin, add any number of times, then end. One
 * thread; not to be shared. IMSIs are counted exactly, however many there are. Of an IMEI with more rows than
 * POLICY_GATHER_MAX the MSISDNs are an estimate (2 %), and facts that look at single days or numbers (clone-daily,
 * clone-simultaneous, sim-box, rotation, sim-swap) see the first POLICY_GATHER_MAX rows. IMEIs in ascending order are
 * fastest: the answers for a TAC are kept until the next one comes.
 */
#define POLICY_GATHER_MAX 4096
struct policy_gather;
struct policy_gather *policy_gather_new(const struct policy *p, const struct policy_tables *t); /* NULL: memory. Both must outlive it */
void policy_gather_free(struct policy_gather *g);
void policy_gather_begin(struct policy_gather *g, uint64_t imei, const struct policy_known *known, int64_t now_s);
/* Rows of that IMEI in the order (IMSI, MSISDN, operator). */
void policy_gather_add(struct policy_gather *g, const struct triplet *rows, size_t n);

struct policy_matched {
	uint32_t mask;               /* bit per condition that matches */
	uint32_t first_s, last_s;    /* over all its triplets */
	uint64_t imsis, msisdns;     /* distinct */
	/*
	 * The pair used longest (all its episodes together, at the operator where that is most; then the one seen first; then
	 * the lowest IMSI): kept as an exception when a condition about clones matches. 0: none does.
	 */
	uint64_t genuine_imsi, genuine_msisdn;
};
/* No rows: nothing matches. */
void policy_gather_end(struct policy_gather *g, struct policy_matched *out);
/*
 * Which conditions can match this IMEI at all, before any triplet is added: when 0, add and end may be left out. For
 * look-ups, to spare reading the triplets; in a scan begin, add and end of an IMEI with few rows cost less than this.
 */
uint32_t policy_may_match(const struct policy *p, const struct policy_tables *t, uint64_t imei, const struct policy_known *known);

/* ---- from matches to dates ------------------------------------------------------------------------------------------- */

/* What the classification keeps of one IMEI for which a condition ever matched. Days since 1970. */
#define POLICY_AMNESTY (UINT32_C(1) << 31) /* bit in policy_class.mask: amnesty was granted; it is never taken back */
struct policy_class {
	uint32_t mask;               /* conditions that match now, sticky ones included; and POLICY_AMNESTY */
	uint32_t was_mask;           /* blocking conditions that matched until resolved_day; 0 while something matches */
	int32_t since_day;           /* the first match */
	/* When it turns black: earliest of its blocking conditions; 0: none blocks. Once set it moves only in favour of the subscriber. */
	int32_t block_day;
	int32_t resolved_day;        /* when nothing matched any more; 0: something does */
	uint64_t genuine_imsi, genuine_msisdn; /* of a clone */
};
/*
 * The record after an evaluation. before NULL: there was none. The date of a block is fixed when a blocking condition first
 * matches; it does not move when more of them match, when the policy's days change, or when the same thing is found again
 * within its days of grace (policy_class.c has every transition). No days of grace: black at once. Only informing conditions:
 * block_day is 0. During an amnesty days of grace count from its end; a device first seen before its end gets POLICY_AMNESTY
 * for ever. `before` and `after` may be the same object. true: *after differs.
 */
bool policy_classify(const struct policy *p, const struct policy_class *before, const struct policy_matched *m, int32_t today,
	struct policy_class *after);
/*
 * Facts of the classification, for policy_verdict(): seen, grace_over, malformed, tac_unallocated, clone, condition, amnesty.
 * c NULL: no record, nothing ever matched. Of these only `seen` is left as it was when it is true: let this function set it,
 * for an exempt type or a roamer that was seen is not one "seen and not registered"; where a policy has no condition that
 * asks for not-registered, nothing is. A type exempt stays "never heard of".
 */
void policy_class_facts(const struct policy *p, const struct policy_class *c, int32_t today, struct policy_facts *facts);

/* ---- explain ---------------------------------------------------------------------------------------------------------- */

/* One line of an explanation: English, a catalogue key with {0}.. , and its arguments. */
struct policy_reason {
	const char *english;
	char args[3][48];
	unsigned n_args;
};
#define POLICY_REASONS 32
/*
 * For whom it may be shown: it names no subscriber (IMSI, MSISDN). Why an IMEI has its verdict: the facts that hold, the rule
 * of policy_verdict() that decided and those that would have come first but do not hold, the conditions with their dates, the
 * policy's version. facts: as given to policy_verdict(), those of policy_class_facts() among them. c may be NULL. The first
 * line says what holds. Returns how many lines.
 */
size_t policy_explain(const struct policy *p, const struct policy_facts *facts, const struct policy_class *c, int32_t today,
	struct policy_reason out[POLICY_REASONS]);

#endif

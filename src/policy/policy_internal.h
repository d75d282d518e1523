/*
 * policy_internal.h - a compiled policy, shared by the files of this room.
 */
#ifndef CEIR_POLICY_INTERNAL_H
#define CEIR_POLICY_INTERNAL_H

#include "policy/policy.h"

#define POLICY_DAY_S 86400u
#define POLICY_DAYS_MAX 64   /* longest window of facts that look at single days: one bit each */
#define POLICY_FACTS 64      /* different facts in all conditions together: bit numbers */
#define POLICY_STEPS 32      /* facts in one condition */
#define POLICY_DEPTH 16      /* brackets and `not` within each other */
#define POLICY_RULE_MAX 1000 /* characters of a rule */
#define POLICY_NAME_MAX 32
#define POLICY_GRACE_MAX 3650
#define POLICY_RBIS 100 /* reporting bodies: the first two digits of a TAC */
#define POLICY_FEW 4    /* IMEIs with at most so many IMSIs have a shorter way */

enum policy_fact_kind {
	FACT_MALFORMED,
	FACT_TAC_UNKNOWN,
	FACT_TAC_UNKNOWN_RBI,
	FACT_TEST_TAC,
	FACT_NOT_REGISTERED,
	FACT_BARRED,
	FACT_STOLEN,
	FACT_WATCHED,
	FACT_RAT_IMPOSSIBLE,
	FACT_CLONE_THRESHOLD,
	FACT_CLONE_DAILY,
	FACT_CLONE_SIMULTANEOUS,
	FACT_SIM_BOX,
	FACT_ROTATION,
	FACT_SIM_SWAP,
	FACT_SUBSCRIBER,
	FACT_ROAMER,
	FACT_TYPE,
	FACT_KINDS
};

/* Rules of policy_verdict(), in their order; the numbers are those of policy.h. */
enum policy_rule {
	RULE_GOLDEN = 1,
	RULE_BLACK_LISTING,
	RULE_MALFORMED,
	RULE_TAC_UNALLOCATED,
	RULE_CLONE,
	RULE_REGISTERED,
	RULE_WHITE_LISTING,
	RULE_TAKEN_BACK,
	RULE_GREY_LISTING,
	RULE_AMNESTY,
	RULE_CONDITION,
	RULE_SEEN,
	RULE_NEVER_HEARD
};
/* Bit per rule that would apply, were it the first. The last always does. */
uint32_t policy_rules_that_hold(const struct policy_facts *f);
unsigned policy_first_rule(const struct policy_facts *f);
/* What the rule says when it applies. */
struct verdict policy_rule_verdict(unsigned rule, const struct policy_facts *f);

enum policy_subscriber { SUBSCRIBER_OWN = 1, SUBSCRIBER_DOMESTIC, SUBSCRIBER_FOREIGN };

/* One fact with its parameters; unused members are zero, so that equal facts are equal bytes. */
struct policy_fact {
	uint8_t kind;   /* enum policy_fact_kind */
	uint8_t window; /* index in policy.windows, of facts that count IMSIs */
	uint16_t types; /* bit per type of the TAC table: exempt, or asked for */
	uint32_t count; /* imsis, mean (thousandths), times, imeis, enum policy_subscriber */
	uint32_t days;
	uint32_t extra; /* min-days, row, hours */
	uint16_t rbi_days[POLICY_RBIS];
};

/* A step asks one fact and says which step is next: jumps only go forward. */
#define POLICY_ACCEPT (-1)
#define POLICY_REJECT (-2)
struct policy_step {
	uint8_t fact;
	int8_t yes, no;
};

struct policy_program {
	uint8_t n; /* 0: bit not used */
	struct policy_step steps[POLICY_STEPS];
};

/* What a condition is about, for the verdict: the first of these that its rule asks for (and not for its opposite). */
enum policy_about { ABOUT_CLONE, ABOUT_MALFORMED, ABOUT_TAC, ABOUT_OTHER, ABOUT_UNREGISTERED, ABOUTS };

struct policy {
	int64_t version;
	struct policy_params params;
	size_t n;
	struct policy_condition_text conditions[POLICY_CONDITIONS];
	struct policy_program programs[POLICY_CONDITIONS];
	unsigned n_facts;
	struct policy_fact facts[POLICY_FACTS];
	unsigned n_windows;
	uint32_t windows[POLICY_FACTS]; /* different windows, days, in which IMSIs are counted */
	uint32_t used;                  /* conditions there are */
	uint32_t blocking, sticky;      /* of these */
	uint32_t about[ABOUTS];         /* of these, each in one */
	uint32_t few[POLICY_FEW + 1];   /* conditions that can match an IMEI with so many IMSIs */
	bool needs_days;                /* a fact looks at single days */
	bool needs_year;                /* roamer */
	bool needs_subscriber;          /* whose the IMSIs are */
	bool needs_own;                 /* and whether those of the home MCC are an operator's of the table */
	uint64_t home[16];              /* bit per MCC */
	char *texts;                    /* names and rules, as written */
};

/* What is known of an IMEI before its triplets. */
struct policy_static {
	uint64_t imei;
	const struct policy_known *known;
	const struct policy_tac *tac; /* NULL: in no table */
	const struct policy_tables *tables;
};

enum policy_answer { ANSWER_NO, ANSWER_YES, ANSWER_OPEN };

/*
 * Compiles one rule into *program and adds its facts to p. On error *column (from 1) is the place and why says what was
 * expected. *about is what it is about.
 */
enum ceir_err policy_compile(struct policy *p, struct str rule, struct policy_program *program, enum policy_about *about,
	size_t *column, char *why, size_t why_size) CEIR_MUST_USE;

/* Answer of a fact without triplets; ANSWER_OPEN when it depends on them. */
enum policy_answer policy_static_answer(const struct policy_fact *f, const struct policy_static *s);
/* Conditions among `which` that can match when open facts may turn out either way. */
uint32_t policy_possible(const struct policy *p, uint32_t which, const struct policy_static *s);
/* Row of a TAC; NULL: none. */
const struct policy_tac *policy_find_tac(const struct policy_tables *t, uint64_t imei);
unsigned policy_mcc(uint64_t imsi_key);
bool policy_is_home(const struct policy *p, uint64_t imsi_key);

/* ---- one IMEI's rows ------------------------------------------------------------------------------------------------ */

/* What is kept of a row. */
struct policy_kept {
	uint64_t imsi, msisdn;
	uint64_t days; /* bit d: present d days before today */
	uint32_t first_s, last_s;
	uint32_t presence_s; /* all episodes together */
	uint8_t op, rat;
};

/* Distinct numbers: exact up to its capacity, then of a sample whose rate halves as often as need be (Wegman's adaptive sampling,
 * error 2 %). */
#define POLICY_SAMPLE 8192
struct policy_sample {
	unsigned level, n;
	uint64_t slots[POLICY_SAMPLE]; /* hashes, open addressing; 0: empty */
};
void policy_sample_clear(struct policy_sample *s);
void policy_sample_add(struct policy_sample *s, uint64_t value);
uint64_t policy_sample_count(const struct policy_sample *s);

struct policy_pair_use {
	uint64_t imsi, msisdn;
	uint32_t presence_s, first_s;
};

struct policy_gather {
	const struct policy *p;
	const struct policy_tables *t;
	/* Of the TAC looked at last. */
	bool tac_known;
	uint32_t tac;
	const struct policy_tac *tac_row;
	bool can_known[2];
	uint32_t can[2]; /* conditions possible for a good IMEI of it: not registered, registered; on no list */
	/* Of this IMEI. */
	struct policy_known known;
	struct policy_static fixed;
	int64_t now_s;
	uint32_t today;                /* day of now_s */
	uint32_t from_s[POLICY_FACTS]; /* begin of each window */
	uint64_t rows;
	unsigned n;   /* rows kept */
	bool spilled; /* more rows came than are kept: each is folded in as it comes */
	/* Totals, over all rows folded in. */
	uint32_t first_s, last_s;
	uint64_t imsis;
	uint64_t last_imsi; /* the one folded in last; UINT64_MAX: none */
	uint8_t rats;
	uint8_t subscribers;            /* bit per enum policy_subscriber: DOMESTIC without own ones */
	uint64_t counts[POLICY_FACTS];  /* IMSIs of each window */
	uint64_t counted[POLICY_FACTS]; /* the IMSI counted last */
	struct policy_pair_use pair, genuine;
	/* Days of the last 365 on which the foreign IMSI that comes just now was present, and the most of any. */
	uint64_t year[6], year_imsi;
	uint32_t year_most;
	/* Facts asked for. */
	uint64_t asked, answers;
	struct policy_kept kept[POLICY_GATHER_MAX];
	uint64_t scratch[POLICY_GATHER_MAX], scratch2[POLICY_GATHER_MAX];
	struct policy_sample sample; /* MSISDNs, when spilled */
};

/* Does the condition match? After all rows are folded in. */
bool policy_matches(struct policy_gather *g, unsigned condition);
/* Over the rows kept. */
bool policy_clone_daily(struct policy_gather *g, const struct policy_fact *f);
bool policy_clone_simultaneous(struct policy_gather *g, const struct policy_fact *f);
bool policy_sim_box(struct policy_gather *g, const struct policy_fact *f);
/* Distinct MSISDNs. */
uint64_t policy_count_msisdns(struct policy_gather *g);

#endif

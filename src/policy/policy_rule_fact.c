/*
 * policy_rule_fact.c - the facts a rule may name, and their parameters: one table.
 */
#include <string.h>

#include "policy/policy_rule.h"

enum member { MEMBER_COUNT, MEMBER_DAYS, MEMBER_EXTRA };

/* One parameter: a whole number, or one with three decimals, kept in thousandths. */
struct parameter {
	const char *key;
	enum member member;
	bool decimal;
	uint32_t min, max, def;
};

#define PARAMETERS 3
#define DAYS(max, def)                                                                                                             \
	{                                                                                                                          \
		"days", MEMBER_DAYS, false, 1, (max), (def)                                                                        \
	}
#define IMSIS_MAX 1000000u

static const struct fact_name {
	const char *name;
	enum { TAKES_NONE, TAKES_NUMBERS, TAKES_TYPES, TAKES_TYPES_KEY, TAKES_RBIS, TAKES_SUBSCRIBER } takes;
	struct parameter parameters[PARAMETERS];
} names[FACT_KINDS] = {
	[FACT_MALFORMED] = {"malformed", TAKES_NONE, {{0}}},
	[FACT_TAC_UNKNOWN] = {"tac-unknown", TAKES_NUMBERS, {{"days", MEMBER_DAYS, false, 0, POLICY_GRACE_MAX, 0}}},
	[FACT_TAC_UNKNOWN_RBI] = {"tac-unknown-rbi", TAKES_RBIS, {{0}}},
	[FACT_TEST_TAC] = {"test-tac", TAKES_NONE, {{0}}},
	[FACT_NOT_REGISTERED] = {"not-registered", TAKES_TYPES_KEY, {{0}}},
	[FACT_BARRED] = {"barred", TAKES_NONE, {{0}}},
	[FACT_STOLEN] = {"stolen", TAKES_NONE, {{0}}},
	[FACT_WATCHED] = {"watched", TAKES_NONE, {{0}}},
	[FACT_RAT_IMPOSSIBLE] = {"rat-impossible", TAKES_NONE, {{0}}},
	[FACT_CLONE_THRESHOLD] = {"clone-threshold", TAKES_NUMBERS,
		{{"imsis", MEMBER_COUNT, false, 2, IMSIS_MAX, 5}, DAYS(POLICY_GRACE_MAX, 30)}},
	[FACT_CLONE_DAILY] = {"clone-daily", TAKES_NUMBERS,
		{{"mean", MEMBER_COUNT, true, 1001, 1000000, 2000}, DAYS(POLICY_DAYS_MAX, 30),
			{"min-days", MEMBER_EXTRA, false, 1, POLICY_DAYS_MAX, 3}}},
	[FACT_CLONE_SIMULTANEOUS] = {"clone-simultaneous", TAKES_NUMBERS,
		{{"times", MEMBER_COUNT, false, 1, 1000, 3}, DAYS(POLICY_DAYS_MAX, 30)}},
	[FACT_SIM_BOX] = {"sim-box", TAKES_NUMBERS,
		{{"imsis", MEMBER_COUNT, false, 2, POLICY_GATHER_MAX, 20}, DAYS(POLICY_GRACE_MAX, 30),
			{"row", MEMBER_EXTRA, false, 2, 1000, 10}}},
	[FACT_ROTATION] = {"rotation", TAKES_NUMBERS,
		{{"imeis", MEMBER_COUNT, false, 2, IMSIS_MAX, 10}, DAYS(POLICY_GRACE_MAX, 30)}},
	[FACT_SIM_SWAP] = {"sim-swap", TAKES_NUMBERS, {{"hours", MEMBER_EXTRA, false, 1, 8760, 48}, DAYS(POLICY_GRACE_MAX, 30)}},
	[FACT_SUBSCRIBER] = {"subscriber", TAKES_SUBSCRIBER, {{0}}},
	[FACT_ROAMER] = {"roamer", TAKES_NONE, {{0}}},
	[FACT_TYPE] = {"type", TAKES_TYPES, {{0}}},
};

/* Delays of tac-unknown-rbi when none are given. */
static const uint8_t usual_delays[][2] = {{1, 40}, {35, 20}, {86, 19}, {91, 20}, {99, 69}};

static uint32_t *member_of(struct policy_fact *f, enum member m)
{
	return m == MEMBER_COUNT ? &f->count : m == MEMBER_DAYS ? &f->days : &f->extra;
}

/* "2", "2.5", "2.125": at most three decimals. */
static enum ceir_err parse_decimal(struct str word, struct str fraction, uint32_t max, uint32_t *thousandths)
{
	uint64_t whole, part = 0;
	if (fraction.n > 3 || str_u64(word, max / 1000, &whole) != CEIR_OK)
		return CEIR_EINVAL;
	if (fraction.n && str_u64(fraction, 999, &part) != CEIR_OK)
		return CEIR_EINVAL;
	for (size_t i = fraction.n; i < 3; i++)
		part *= 10;
	*thousandths = (uint32_t)(whole * 1000 + part);
	return CEIR_OK;
}

static enum ceir_err number_expected(struct policy_parser *r, const struct parameter *p, size_t at)
{
	char range[96];
	if (p->decimal)
		snprintf(range, sizeof(range), " after %s= (%u.%03u to %u)", p->key, p->min / 1000, p->min % 1000, p->max / 1000);
	else
		snprintf(range, sizeof(range), " after %s= (%u to %u)", p->key, p->min, p->max);
	return policy_rule_expected(r, at, "a number", range);
}

static enum ceir_err parse_number(struct policy_parser *r, const struct parameter *p, uint32_t *value)
{
	policy_rule_space(r);
	size_t at = r->at;
	uint64_t n = 0;
	uint32_t thousandths = 0;
	enum ceir_err err;
	struct str word = policy_rule_word(r);
	if (p->decimal) {
		struct str fraction = {NULL, 0};
		if (r->at < r->text.n && r->text.p[r->at] == '.') {
			r->at++;
			fraction = policy_rule_word(r);
		}
		err = parse_decimal(word, fraction, p->max, &thousandths);
		n = thousandths;
	} else {
		err = str_u64(word, p->max, &n);
	}
	if (err != CEIR_OK || n < p->min || n > p->max)
		return number_expected(r, p, at);
	*value = (uint32_t)n;
	return CEIR_OK;
}

/* The key and "=": *key is empty, and nothing taken, at the closing bracket. */
static enum ceir_err parse_key(struct policy_parser *r, size_t *at, struct str *key)
{
	while (policy_rule_take(r, ','))
		;
	policy_rule_space(r);
	*at = r->at;
	*key = policy_rule_word(r);
	if (!key->n && !(r->at < r->text.n && r->text.p[r->at] == ')'))
		return policy_rule_expected(r, r->at, "a parameter or \")\"", "");
	return CEIR_OK;
}

static const struct parameter *find_parameter(const struct fact_name *name, struct str key)
{
	for (size_t i = 0; i < PARAMETERS && name->parameters[i].key; i++)
		if (str_eq_c(key, name->parameters[i].key))
			return &name->parameters[i];
	return NULL;
}

static enum ceir_err parse_numbers(struct policy_parser *r, const struct fact_name *name, struct policy_fact *f)
{
	bool given[3] = {false, false, false};
	for (;;) {
		struct str key;
		size_t at;
		enum ceir_err err = parse_key(r, &at, &key);
		if (err != CEIR_OK || !key.n)
			return err;
		const struct parameter *p = find_parameter(name, key);
		if (!p) {
			char list[96] = "";
			for (size_t i = 0; i < PARAMETERS && name->parameters[i].key; i++) {
				size_t n = strlen(list);
				snprintf(list + n, sizeof(list) - n, "%s%s=", i ? ", " : " ", name->parameters[i].key);
			}
			return policy_rule_expected(r, at, "one of", list);
		}
		if (given[p->member])
			return policy_rule_expected(r, at, "each parameter once", "");
		given[p->member] = true;
		if (!policy_rule_take(r, '='))
			return policy_rule_expected(r, r->at, "\"=\" after ", p->key);
		err = parse_number(r, p, member_of(f, p->member));
		if (err != CEIR_OK)
			return err;
	}
}

static enum ceir_err parse_types(struct policy_parser *r, bool with_key, struct policy_fact *f)
{
	for (bool first = true;; first = false) {
		struct str word;
		size_t at;
		enum ceir_err err = parse_key(r, &at, &word);
		if (err != CEIR_OK)
			return err;
		if (with_key && str_eq_c(word, "exempt")) {
			if (!policy_rule_take(r, '='))
				return policy_rule_expected(r, r->at, "\"=\" after exempt", "");
			policy_rule_space(r);
			at = r->at;
			word = policy_rule_word(r);
		} else if (!word.n && !first) {
			return CEIR_OK;
		} else if (with_key && first) {
			return policy_rule_expected(r, at, "exempt=", "");
		}
		uint8_t type = policy_tac_type(word);
		if (!type)
			return policy_rule_expected(
				r, at, "a type: handset, smartphone, modem, tablet, iot, wearable, router or other", "");
		f->types |= (uint16_t)(1u << type);
	}
}

static enum ceir_err parse_rbis(struct policy_parser *r, struct policy_fact *f)
{
	char rbi_key[8];
	const struct parameter delay = {rbi_key, MEMBER_DAYS, false, 0, POLICY_GRACE_MAX, 0};
	bool given[POLICY_RBIS] = {false};
	uint32_t other = 0, days;
	for (;;) {
		struct str key;
		size_t at;
		uint64_t rbi = 0;
		enum ceir_err err = parse_key(r, &at, &key);
		if (err != CEIR_OK)
			return err;
		if (!key.n)
			break;
		bool is_other = str_eq_c(key, "other");
		if (!is_other && (key.n != 2 || str_u64(key, POLICY_RBIS - 1, &rbi) != CEIR_OK))
			return policy_rule_expected(r, at, "two digits of a reporting body, or other", "");
		snprintf(rbi_key, sizeof(rbi_key), "%.*s", (int)key.n, key.p);
		if (!policy_rule_take(r, '='))
			return policy_rule_expected(r, r->at, "\"=\" after ", rbi_key);
		err = parse_number(r, &delay, &days);
		if (err != CEIR_OK)
			return err;
		if (is_other) {
			other = days;
		} else {
			f->rbi_days[rbi] = (uint16_t)days;
			given[rbi] = true;
		}
	}
	for (size_t i = 0; i < POLICY_RBIS; i++)
		if (!given[i])
			f->rbi_days[i] = (uint16_t)other;
	return CEIR_OK;
}

static enum ceir_err parse_subscriber(struct policy_parser *r, struct policy_fact *f)
{
	static const char *const kinds[] = {
		[SUBSCRIBER_OWN] = "own", [SUBSCRIBER_DOMESTIC] = "domestic", [SUBSCRIBER_FOREIGN] = "foreign"};
	policy_rule_space(r);
	size_t at = r->at;
	struct str word = policy_rule_word(r);
	for (uint32_t i = SUBSCRIBER_OWN; i < CEIR_COUNT(kinds); i++)
		if (str_eq_c(word, kinds[i]))
			f->count = i;
	return f->count ? CEIR_OK : policy_rule_expected(r, at, "own, domestic or foreign", "");
}

static void set_defaults(const struct fact_name *name, struct policy_fact *f)
{
	for (size_t i = 0; i < PARAMETERS && name->parameters[i].key; i++)
		*member_of(f, name->parameters[i].member) = name->parameters[i].def;
}

static enum ceir_err parse_parameters(struct policy_parser *r, const struct fact_name *name, struct policy_fact *f)
{
	enum ceir_err err = CEIR_OK;
	if (name->takes == TAKES_NUMBERS)
		err = parse_numbers(r, name, f);
	else if (name->takes == TAKES_TYPES || name->takes == TAKES_TYPES_KEY)
		err = parse_types(r, name->takes == TAKES_TYPES_KEY, f);
	else if (name->takes == TAKES_RBIS)
		err = parse_rbis(r, f);
	else if (name->takes == TAKES_SUBSCRIBER)
		err = parse_subscriber(r, f);
	if (err == CEIR_OK && !policy_rule_take(r, ')'))
		err = policy_rule_expected(r, r->at, "\")\"", "");
	return err;
}

/* IMSIs are counted by window: facts with the same days share one. */
static void place_window(struct policy *p, struct policy_fact *f)
{
	unsigned i = 0;
	while (i < p->n_windows && p->windows[i] != f->days)
		i++;
	if (i == p->n_windows && i < POLICY_FACTS)
		p->windows[p->n_windows++] = f->days;
	f->window = (uint8_t)i;
}

enum ceir_err policy_rule_fact(struct policy_parser *r, struct policy_fact *fact)
{
	policy_rule_space(r);
	size_t at = r->at;
	struct str word = policy_rule_word(r);
	uint8_t kind = 0;
	while (kind < FACT_KINDS && !str_eq_c(word, names[kind].name))
		kind++;
	if (kind == FACT_KINDS)
		return policy_rule_expected(r, at, "a fact", word.n ? ": there is none of this name" : ", \"not\" or \"(\"");
	const struct fact_name *name = &names[kind];
	memset(fact, 0, sizeof(*fact));
	fact->kind = kind;
	set_defaults(name, fact);
	bool needs = name->takes == TAKES_TYPES || name->takes == TAKES_SUBSCRIBER;
	if (name->takes == TAKES_NONE || !policy_rule_take(r, '(')) {
		if (needs)
			return policy_rule_expected(r, r->at, "\"(\" after ", name->name);
		for (size_t i = 0; kind == FACT_TAC_UNKNOWN_RBI && i < CEIR_COUNT(usual_delays); i++)
			fact->rbi_days[usual_delays[i][0]] = usual_delays[i][1];
	} else {
		enum ceir_err err = parse_parameters(r, name, fact);
		if (err != CEIR_OK)
			return err;
	}
	if (kind == FACT_CLONE_DAILY && fact->extra > fact->days)
		return policy_rule_expected(r, at, "min-days not above days", "");
	if (kind == FACT_CLONE_THRESHOLD || kind == FACT_SIM_BOX)
		place_window(r->policy, fact);
	return CEIR_OK;
}

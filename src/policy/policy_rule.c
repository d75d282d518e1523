/*
 * policy_rule.c - compiles the rule of a condition: recursive descent straight into steps that jump forward.
 *
 *   rule   = term *( "or" term )
 *   term   = factor *( "and" factor )
 *   factor = "not" factor / "(" rule ")" / fact
 *   fact   = name [ "(" parameters ")" ]              policy_rule_fact.c
 *
 * Each part of a rule compiled so far is a range of steps with loose ends: the exits that mean "true" and those that mean
 * "false". `and` ties the true exits of its left side to the first step of its right side, `or` the false ones, `not` swaps
 * the two. There is no tree.
 */
#include <string.h>

#include "policy/policy_rule.h"

/* Loose ends, a bit per step: exits by its yes and by its no that mean true, and that mean false. */
struct part {
	uint32_t true_yes, true_no, false_yes, false_no;
	int8_t first;
};

_Static_assert(POLICY_STEPS <= 32, "a bit per step");
_Static_assert(POLICY_FACTS <= 64, "a bit per fact");

static enum ceir_err parse_rule(struct policy_parser *r, unsigned depth, bool negated, struct part *out);

enum ceir_err policy_rule_expected(struct policy_parser *r, size_t at, const char *what, const char *where)
{
	if (!r->failed) {
		r->failed = true;
		r->column = at + 1;
		snprintf(r->why, r->why_size, "expected %s%s", what, where);
	}
	return CEIR_EINVAL;
}

static bool is_word(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-';
}

void policy_rule_space(struct policy_parser *r)
{
	while (r->at < r->text.n &&
		(r->text.p[r->at] == ' ' || r->text.p[r->at] == '\t' || r->text.p[r->at] == '\n' || r->text.p[r->at] == '\r'))
		r->at++;
}

bool policy_rule_take(struct policy_parser *r, char c)
{
	policy_rule_space(r);
	if (r->at >= r->text.n || r->text.p[r->at] != c)
		return false;
	r->at++;
	return true;
}

struct str policy_rule_word(struct policy_parser *r)
{
	policy_rule_space(r);
	size_t from = r->at;
	while (r->at < r->text.n && is_word(r->text.p[r->at]))
		r->at++;
	return (struct str){r->text.p + from, r->at - from};
}

static bool take_keyword(struct policy_parser *r, const char *keyword)
{
	policy_rule_space(r);
	size_t before = r->at;
	if (str_eq_c(policy_rule_word(r), keyword))
		return true;
	r->at = before;
	return false;
}

static void tie(struct policy_program *program, uint32_t yes, uint32_t no, int8_t to)
{
	for (uint8_t i = 0; i < program->n; i++) {
		if (yes >> i & 1)
			program->steps[i].yes = to;
		if (no >> i & 1)
			program->steps[i].no = to;
	}
}

/* The fact's number in the policy: equal facts of different conditions are asked once. */
static enum ceir_err place_fact(struct policy_parser *r, const struct policy_fact *fact, size_t at, uint8_t *number)
{
	struct policy *p = r->policy;
	for (unsigned i = 0; i < p->n_facts; i++) {
		if (memcmp(&p->facts[i], fact, sizeof(*fact)) == 0) {
			*number = (uint8_t)i;
			return CEIR_OK;
		}
	}
	if (p->n_facts == POLICY_FACTS)
		return policy_rule_expected(r, at, "at most 64 different facts in all conditions together", "");
	p->facts[p->n_facts] = *fact;
	*number = (uint8_t)p->n_facts++;
	return CEIR_OK;
}

static enum ceir_err add_step(struct policy_parser *r, const struct policy_fact *fact, size_t at, bool negated, struct part *out)
{
	uint8_t number = 0, step = r->program->n;
	if (step == POLICY_STEPS)
		return policy_rule_expected(r, at, "at most 32 facts in one condition", "");
	enum ceir_err err = place_fact(r, fact, at, &number);
	if (err != CEIR_OK)
		return err;
	r->program->steps[step] = (struct policy_step){.fact = number, .yes = POLICY_ACCEPT, .no = POLICY_REJECT};
	r->program->n++;
	if (!negated)
		r->kinds |= UINT32_C(1) << fact->kind;
	*out = (struct part){.true_yes = UINT32_C(1) << step, .false_no = UINT32_C(1) << step, .first = (int8_t)step};
	return CEIR_OK;
}

static enum ceir_err parse_factor(struct policy_parser *r, unsigned depth, bool negated, struct part *out)
{
	policy_rule_space(r);
	size_t at = r->at;
	bool not = take_keyword(r, "not"), bracket = !not &&policy_rule_take(r, '(');
	if ((not || bracket) && depth == POLICY_DEPTH)
		return policy_rule_expected(r, at, "at most 16 brackets and \"not\" within each other", "");
	if (not ) {
		struct part part;
		enum ceir_err err = parse_factor(r, depth + 1, !negated, &part);
		if (err == CEIR_OK)
			*out = (struct part){part.false_yes, part.false_no, part.true_yes, part.true_no, part.first};
		return err;
	}
	if (bracket) {
		enum ceir_err err = parse_rule(r, depth + 1, negated, out);
		if (err == CEIR_OK && !policy_rule_take(r, ')'))
			err = policy_rule_expected(r, r->at, "\")\", \"and\" or \"or\"", "");
		return err;
	}
	struct policy_fact fact;
	enum ceir_err err = policy_rule_fact(r, &fact);
	return err == CEIR_OK ? add_step(r, &fact, at, negated, out) : err;
}

static enum ceir_err parse_term(struct policy_parser *r, unsigned depth, bool negated, struct part *out)
{
	enum ceir_err err = parse_factor(r, depth, negated, out);
	while (err == CEIR_OK && take_keyword(r, "and")) {
		struct part right;
		err = parse_factor(r, depth, negated, &right);
		if (err != CEIR_OK)
			break;
		tie(r->program, out->true_yes, out->true_no, right.first);
		*out = (struct part){right.true_yes, right.true_no, out->false_yes | right.false_yes,
			out->false_no | right.false_no, out->first};
	}
	return err;
}

static enum ceir_err parse_rule(struct policy_parser *r, unsigned depth, bool negated, struct part *out)
{
	enum ceir_err err = parse_term(r, depth, negated, out);
	while (err == CEIR_OK && take_keyword(r, "or")) {
		struct part right;
		err = parse_term(r, depth, negated, &right);
		if (err != CEIR_OK)
			break;
		tie(r->program, out->false_yes, out->false_no, right.first);
		*out = (struct part){
			out->true_yes | right.true_yes, out->true_no | right.true_no, right.false_yes, right.false_no, out->first};
	}
	return err;
}

static enum policy_about about_of(uint32_t kinds)
{
	static const uint32_t clones =
		UINT32_C(1) << FACT_CLONE_THRESHOLD | UINT32_C(1) << FACT_CLONE_DAILY | UINT32_C(1) << FACT_CLONE_SIMULTANEOUS;
	static const uint32_t plain = UINT32_C(1) << FACT_NOT_REGISTERED | UINT32_C(1) << FACT_SUBSCRIBER |
				      UINT32_C(1) << FACT_ROAMER | UINT32_C(1) << FACT_TYPE;
	if (kinds & clones)
		return ABOUT_CLONE;
	if (kinds & UINT32_C(1) << FACT_MALFORMED)
		return ABOUT_MALFORMED;
	if (kinds & (UINT32_C(1) << FACT_TAC_UNKNOWN | UINT32_C(1) << FACT_TAC_UNKNOWN_RBI))
		return ABOUT_TAC;
	/* "Not registered, by our own subscriber, and a handset" is still nothing but not registered. */
	return kinds & UINT32_C(1) << FACT_NOT_REGISTERED && !(kinds & ~plain) ? ABOUT_UNREGISTERED : ABOUT_OTHER;
}

enum ceir_err policy_compile(struct policy *p, struct str rule, struct policy_program *program, enum policy_about *about,
	size_t *column, char *why, size_t why_size)
{
	struct policy_parser r = {.policy = p, .text = rule, .program = program, .why = why, .why_size = why_size};
	struct part whole;
	*program = (struct policy_program){0};
	enum ceir_err err = rule.n > POLICY_RULE_MAX ? policy_rule_expected(&r, POLICY_RULE_MAX, "at most 1000 characters", "")
						     : parse_rule(&r, 0, false, &whole);
	if (err == CEIR_OK) {
		policy_rule_space(&r);
		if (r.at < rule.n)
			err = policy_rule_expected(&r, r.at, "\"and\", \"or\" or the end", "");
	}
	if (err != CEIR_OK) {
		*column = r.column;
		return err;
	}
	tie(program, whole.true_yes, whole.true_no, POLICY_ACCEPT);
	tie(program, whole.false_yes, whole.false_no, POLICY_REJECT);
	*about = about_of(r.kinds);
	return CEIR_OK;
}

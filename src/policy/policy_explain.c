/*
 * policy_explain.c - a verdict in sentences, for a police officer and for a subscriber. No sentence names a subscriber.
 */
#include "policy/policy_internal.h"

#define CONDITIONS_SHOWN 8

/*
 * One line for what holds in the end, one for each rule (13 at most: those before the first that applies, that one, and those
 * behind it that would apply), its number, conditions, how many more of them, two of dates, exceptions, pairs, version.
 */
_Static_assert(1 + RULE_NEVER_HEARD + 1 + CONDITIONS_SHOWN + 1 + 2 + 3 <= POLICY_REASONS, "every line has its place");

struct lines {
	struct policy_reason *out;
	size_t n;
};

static struct policy_reason *line(struct lines *l, const char *english)
{
	struct policy_reason *r = &l->out[l->n++];
	r->english = english;
	r->n_args = 0;
	return r;
}

static void arg_text(struct policy_reason *r, struct str s)
{
	snprintf(r->args[r->n_args++], sizeof(r->args[0]), "%.*s", (int)s.n, s.p);
}

static void arg_number(struct policy_reason *r, int64_t n)
{
	snprintf(r->args[r->n_args++], sizeof(r->args[0]), "%lld", (long long)n);
}

static void arg_date(struct policy_reason *r, int32_t day)
{
	char date[DATE_MAX];
	date_print(day, date);
	arg_text(r, str_of(date));
}

/* Why a rule before the deciding one does not apply. */
static const char *const not_applied[] = {
	[RULE_GOLDEN] = N_("The IMEI is not among those that are never blocked"),
	[RULE_BLACK_LISTING] = N_("The IMEI is not on the black list"),
	[RULE_MALFORMED] = N_("The IMEI is not held to be malformed"),
	[RULE_TAC_UNALLOCATED] = N_("The IMEI is not held to be of a model that was never allocated"),
	[RULE_CLONE] = N_("The IMEI is not held to be copied to several devices"),
	[RULE_REGISTERED] = N_("The device is not registered"),
	[RULE_WHITE_LISTING] = N_("The IMEI is not on the white list"),
	[RULE_TAKEN_BACK] = N_("No registration of the device was taken back"),
	[RULE_GREY_LISTING] = N_("The IMEI is not on the grey list"),
	[RULE_AMNESTY] = N_("The device is not under the amnesty for devices in use before the register began"),
	[RULE_CONDITION] = N_("No other condition that leads to a block applies"),
	[RULE_SEEN] = N_("The device is not among those that were seen on a network and have to be registered"),
};

static const char *why_not(unsigned rule, const struct policy_facts *f)
{
	if (rule == RULE_REGISTERED && f->registration == POLICY_REGISTERED)
		return N_("The device is registered, but it is on the grey list too");
	if (rule == RULE_REGISTERED && f->registration != POLICY_NOT_REGISTERED)
		return N_("The device was registered, but the registration no longer counts");
	return not_applied[rule];
}

static bool goes_by_date(unsigned rule)
{
	return rule == RULE_MALFORMED || rule == RULE_TAC_UNALLOCATED || rule == RULE_CLONE || rule == RULE_CONDITION ||
	       rule == RULE_SEEN;
}

static void put_deadline(struct lines *l, int32_t block_day, int32_t today)
{
	struct policy_reason *r = line(l, N_("The device may be used for now; it is blocked from {0} on, {1} days from today, "
					     "unless the matter is set right before"));
	arg_date(r, block_day);
	arg_number(r, block_day - (int64_t)today);
}

static void put_outcome(
	struct lines *l, const struct policy *p, unsigned rule, struct verdict v, const struct policy_class *c, int32_t today)
{
	bool dated = goes_by_date(rule) && c && c->block_day && c->mask & p->blocking;
	if (v.colour == VERDICT_WHITE)
		line(l, N_("The device may be used"));
	else if (v.colour == VERDICT_GREY && dated)
		put_deadline(l, c->block_day, today);
	else if (v.colour == VERDICT_GREY)
		line(l, N_("The device may be used for now; no date of a block is set"));
	else if (v.colour == VERDICT_BLACK && dated)
		arg_date(line(l, N_("The device has been blocked since {0}")), c->block_day);
	else if (v.colour == VERDICT_BLACK)
		line(l, N_("The device is blocked"));
	else if (p->params.restrictive)
		line(l, N_("The device may not be used: in this country devices that the register does not know are blocked"));
	else
		line(l, N_("The device may be used: nothing is held against it"));
}

static void put_rules(struct lines *l, const struct policy_facts *f, unsigned decides)
{
	uint32_t hold = policy_rules_that_hold(f);
	for (unsigned rule = decides; rule < RULE_NEVER_HEARD || rule == decides; rule++)
		if (hold >> rule & 1 && !(rule == RULE_SEEN && f->registration == POLICY_REGISTERED))
			line(l, verdict_reason_text(policy_rule_verdict(rule, f).reason));
	arg_number(line(l, N_("Rule {0} of the verdict decided; the rules before it do not apply")), decides);
	for (unsigned rule = RULE_GOLDEN; rule < decides; rule++)
		line(l, why_not(rule, f));
}

static void put_conditions(struct lines *l, const struct policy *p, uint32_t mask)
{
	unsigned shown = 0, more = 0;
	for (mask &= p->used; mask; mask &= mask - 1) {
		const struct policy_condition_text *c = &p->conditions[__builtin_ctz(mask)];
		if (shown == CONDITIONS_SHOWN) {
			more++;
			continue;
		}
		shown++;
		struct policy_reason *r =
			line(l, c->blocking ? N_("Condition {0} applies; it leads to a block {1} days after it was first found")
					    : N_("Condition {0} applies; it only informs"));
		arg_text(r, c->name);
		if (c->blocking)
			arg_number(r, c->grace_days);
	}
	if (more)
		arg_number(line(l, N_("{0} more conditions apply")), more);
}

static void put_dates(struct lines *l, const struct policy *p, const struct policy_class *c)
{
	if (c->since_day)
		arg_date(line(l, N_("A condition was first found to apply on {0}")), c->since_day);
	if (c->resolved_day)
		arg_date(line(l, N_("No condition has applied since {0}")), c->resolved_day);
	if (c->genuine_imsi && c->mask & p->blocking & p->about[ABOUT_CLONE])
		line(l, N_("The subscriber who has used this IMEI longest is not blocked"));
}

size_t policy_explain(const struct policy *p, const struct policy_facts *facts, const struct policy_class *c, int32_t today,
	struct policy_reason out[POLICY_REASONS])
{
	struct lines l = {.out = out};
	unsigned rule = policy_first_rule(facts);
	put_outcome(&l, p, rule, policy_rule_verdict(rule, facts), c, today);
	put_rules(&l, facts, rule);
	if (c) {
		put_conditions(&l, p, c->mask);
		put_dates(&l, p, c);
	}
	if (facts->pair)
		line(&l, N_("For some subscribers of this IMEI another decision holds"));
	arg_number(line(&l, N_("Version {0} of the country's policy was applied")), p->version);
	CEIR_ASSERT(l.n <= POLICY_REASONS);
	return l.n;
}

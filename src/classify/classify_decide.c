/* classify_decide.c - one IMEI: what the register says of it, its new record, its verdict, and whether that is to be reported. */
#include "classify/classify_internal.h"

static uint8_t black_reason(struct verdict entry)
{
	switch (entry.reason) {
	case VERDICT_STOLEN:
		return POLICY_REASON_STOLEN;
	case VERDICT_LOST:
		return POLICY_REASON_LOST;
	case VERDICT_LISTED_BLACK:
		return POLICY_REASON_OTHER;
	case VERDICT_BARRED_TAC:
		return POLICY_REASON_BARRED;
	default:
		return 0;
	}
}

void class_known(const struct class_rules *rules, uint64_t imei, struct verdict entry, struct verdict tac, struct policy_known *known)
{
	const struct classify_env *env = rules->env;
	*known = (struct policy_known){0};
	/* Without a row the entry came from here, and says nothing that the triplets do not. */
	if (entry.row) {
		known->registered = entry.registered || entry.reason == VERDICT_LISTED_WHITE;
		known->black_reason = black_reason(entry);
	}
	if (!known->black_reason && tac.colour == VERDICT_BLACK)
		known->black_reason = POLICY_REASON_BARRED;
	if (env->watched)
		known->watched = env->watched(env->ctx, imei);
}

/* Of an IMEI that the register has no row of: only the record counts. */
static uint16_t verdict_on(const struct class_rules *rules, const struct policy_class *record, int32_t day)
{
	struct policy_facts facts = {0};
	policy_class_facts(rules->env->policy, record, day, &facts);
	return verdict_pack(policy_verdict(&facts));
}

/* Has its block day come since the old file, so that a verdict which nobody else derives is another? */
static bool day_came(const struct class_rules *rules, const struct policy_class *record)
{
	return !rules->touch && record->block_day != 0 && record->block_day > rules->since && record->block_day <= rules->today;
}

bool class_decide(const struct class_rules *rules, uint64_t imei, struct verdict entry, const struct policy_class *old,
	const struct policy_matched *m, struct classify_change *change, bool *keep, unsigned *colour)
{
	static const struct policy_class none;
	struct policy_class *record = &change->record;
	bool differs = m && policy_classify(rules->env->policy, old, m, rules->today, record);
	if (!differs)
		*record = old ? *old : none;
	*keep = differs || old;
	change->imei = imei;
	change->derive = entry.row;
	change->before = change->after = verdict_pack(entry);
	if (entry.row) {
		*colour = entry.colour;
		return differs || (old && (rules->rederive || day_came(rules, old)));
	}
	if (imei > IMEI_MAX)
		change->before = old ? verdict_on(rules, old, rules->touch ? rules->today : rules->since) : 0;
	change->after = *keep ? verdict_on(rules, record, rules->today) : 0;
	*colour = change->after & 3; /* bits 0-1 of a packed verdict */
	return differs || change->before != change->after;
}

/*
 * policy_facts.c - what each fact means: from the tables alone, or over the rows of an IMEI. Each is found out at most once
 * an IMEI.
 */
#include "policy/policy_internal.h"

/* ---- without triplets ----------------------------------------------------------------------------------------------- */

static enum policy_answer answer(bool yes)
{
	return yes ? ANSWER_YES : ANSWER_NO;
}

/* TS 23.003 6.2.1: an IMEI has 14 digits; all of them the same, or zero, is what a phone without one sends. */
static bool is_malformed(uint64_t imei)
{
	return imei > IMEI_MAX || imei % UINT64_C(11111111111111) == 0;
}

static uint32_t unknown_delay(const struct policy_fact *f, uint64_t imei)
{
	if (f->kind == FACT_TAC_UNKNOWN)
		return f->days;
	return f->rbi_days[imei / (IMEI_SERIALS * UINT64_C(1000000))];
}

static enum policy_answer tac_unknown(const struct policy_fact *f, const struct policy_static *s)
{
	if (!s->tables->n_tacs || is_malformed(s->imei) || (s->tac && s->tac->allocated))
		return ANSWER_NO;
	return unknown_delay(f, s->imei) ? ANSWER_OPEN : ANSWER_YES;
}

static bool has_type(const struct policy_static *s, uint16_t types)
{
	return s->tac && s->tac->type && s->tac->type < 16 && types >> s->tac->type & 1;
}

enum policy_answer policy_static_answer(const struct policy_fact *f, const struct policy_static *s)
{
	uint8_t black = s->known->black_reason;
	switch ((enum policy_fact_kind)f->kind) {
	case FACT_MALFORMED:
		return answer(is_malformed(s->imei));
	case FACT_TAC_UNKNOWN:
	case FACT_TAC_UNKNOWN_RBI:
		return tac_unknown(f, s);
	case FACT_TEST_TAC:
		return answer(!is_malformed(s->imei) && tac_is_test(imei_tac((struct imei){s->imei})));
	case FACT_NOT_REGISTERED:
		return answer(!s->known->registered && !has_type(s, f->types));
	case FACT_BARRED:
		return answer(black != 0);
	case FACT_STOLEN:
		return answer(black == POLICY_REASON_STOLEN || black == POLICY_REASON_LOST);
	case FACT_WATCHED:
		return answer(s->known->watched);
	case FACT_RAT_IMPOSSIBLE:
		return s->tac && s->tac->allocated && s->tac->rats ? ANSWER_OPEN : ANSWER_NO;
	case FACT_ROTATION:
		return s->tables->imeis_of_imsi ? ANSWER_OPEN : ANSWER_NO;
	case FACT_SIM_SWAP:
		return s->tables->swapped ? ANSWER_OPEN : ANSWER_NO;
	case FACT_TYPE:
		return answer(has_type(s, f->types));
	case FACT_CLONE_THRESHOLD:
	case FACT_CLONE_DAILY:
	case FACT_CLONE_SIMULTANEOUS:
	case FACT_SIM_BOX:
	case FACT_SUBSCRIBER:
	case FACT_ROAMER:
	case FACT_KINDS:
		break;
	}
	return ANSWER_OPEN;
}

/* ---- over the rows -------------------------------------------------------------------------------------------------- */

static uint32_t seconds_ago(const struct policy_gather *g, uint32_t days)
{
	int64_t from = g->now_s - (int64_t)days * POLICY_DAY_S;
	return from < 0 ? 0 : from > UINT32_MAX ? UINT32_MAX : (uint32_t)from;
}

static bool rotation(struct policy_gather *g, const struct policy_fact *f)
{
	uint32_t from_s = seconds_ago(g, f->days);
	uint64_t asked = UINT64_MAX;
	for (unsigned i = 0; i < g->n; i++) {
		const struct policy_kept *k = &g->kept[i];
		if (k->last_s < from_s || k->imsi == asked)
			continue;
		asked = k->imsi;
		if (g->t->imeis_of_imsi(g->t->ctx, k->imsi, from_s, f->count) >= f->count)
			return true;
	}
	return false;
}

static bool sim_swap(struct policy_gather *g, const struct policy_fact *f)
{
	uint32_t from_s = seconds_ago(g, f->days);
	uint64_t asked = 0;
	for (unsigned i = 0; i < g->n; i++) {
		const struct policy_kept *k = &g->kept[i];
		if (!k->msisdn || k->last_s < from_s || k->msisdn == asked)
			continue;
		asked = k->msisdn;
		if (g->t->swapped(g->t->ctx, k->msisdn, f->extra * 3600, from_s))
			return true;
	}
	return false;
}

static bool subscriber(const struct policy_gather *g, uint32_t asked)
{
	unsigned own = 1u << SUBSCRIBER_OWN, domestic = 1u << SUBSCRIBER_DOMESTIC, foreign = 1u << SUBSCRIBER_FOREIGN;
	unsigned allowed = asked == SUBSCRIBER_OWN ? own : asked == SUBSCRIBER_DOMESTIC ? own | domestic : foreign;
	return g->subscribers && !(g->subscribers & ~allowed);
}

static bool dynamic_answer(struct policy_gather *g, const struct policy_fact *f)
{
	switch ((enum policy_fact_kind)f->kind) {
	case FACT_TAC_UNKNOWN:
	case FACT_TAC_UNKNOWN_RBI:
		return g->now_s - (int64_t)g->first_s > (int64_t)unknown_delay(f, g->fixed.imei) * POLICY_DAY_S;
	case FACT_RAT_IMPOSSIBLE:
		return g->rats & ~g->fixed.tac->rats;
	case FACT_CLONE_THRESHOLD:
		return g->counts[f->window] >= f->count;
	case FACT_CLONE_DAILY:
		return policy_clone_daily(g, f);
	case FACT_CLONE_SIMULTANEOUS:
		return policy_clone_simultaneous(g, f);
	case FACT_SIM_BOX:
		return g->counts[f->window] >= f->count && policy_sim_box(g, f);
	case FACT_ROTATION:
		return rotation(g, f);
	case FACT_SIM_SWAP:
		return sim_swap(g, f);
	case FACT_SUBSCRIBER:
		return subscriber(g, f->count);
	case FACT_ROAMER:
		return subscriber(g, SUBSCRIBER_FOREIGN) && g->year_most <= g->p->params.roamer_days;
	default:
		break;
	}
	return false;
}

static bool fact(struct policy_gather *g, unsigned i)
{
	uint64_t bit = UINT64_C(1) << i;
	if (!(g->asked & bit)) {
		const struct policy_fact *f = &g->p->facts[i];
		enum policy_answer a = policy_static_answer(f, &g->fixed);
		bool yes = a == ANSWER_OPEN ? dynamic_answer(g, f) : a == ANSWER_YES;
		g->asked |= bit;
		g->answers |= yes ? bit : 0;
	}
	return g->answers & bit;
}

bool policy_matches(struct policy_gather *g, unsigned condition)
{
	const struct policy_step *steps = g->p->programs[condition].steps;
	int at = 0;
	while (at >= 0)
		at = fact(g, steps[at].fact) ? steps[at].yes : steps[at].no;
	return at == POLICY_ACCEPT;
}

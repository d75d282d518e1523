/*
 * policy_class.c - from matches to dates. A date that a subscriber was told is never brought forward:
 *
 *   before                     now                                    date of the block
 *   nothing                    a blocking condition matches           today + the fewest days of grace of those that match
 *   informing only             a blocking condition matches           the same: the date counts from its first match
 *   blocking                   the same, more, fewer, other ones      stays
 *   blocking                   another policy, other days             stays
 *   blocking                   only informing ones (or the policy     none; should it match again, a new date
 *                              blocks by them no more)
 *   blocking                   nothing matches                        stays in the record as a memory, holds for nothing
 *   resolved, was not black    the same thing, before the date        stays: the subscriber was told it
 *                              the same thing, later                  new
 *   resolved, was black        the same thing, within its grace       stays, so it is black at once: coming and going is no way out
 *                              after the resolution
 *                              the same thing, later                  new
 *   resolved                   another thing                          new
 *
 * The same thing: one of the blocking conditions that matched when it was resolved (was_mask). "New" also sets since_day.
 * During an amnesty days of grace count from its end, and a date that stands is moved there (later, never earlier). Amnesty
 * is for devices that are not registered or match an `other` condition: these get no date; clones, malformed IMEIs and TACs
 * that were never allocated keep theirs.
 */
#include <string.h>

#include "policy/policy_internal.h"

_Static_assert(POLICY_CONDITIONS <= 31, "amnesty has the last bit");

static bool amnesty_now(const struct policy *p, int32_t today)
{
	const struct policy_params *q = &p->params;
	return q->amnesty_until && today >= q->amnesty_from && today <= q->amnesty_until;
}

/* Seen early enough: known only of those that are seen at all. */
static bool seen_before_end(const struct policy *p, const struct policy_matched *m, int32_t today)
{
	const struct policy_params *q = &p->params;
	return q->amnesty_until && today >= q->amnesty_from && m->last_s &&
	       (int32_t)(m->first_s / POLICY_DAY_S) <= q->amnesty_until;
}

/* Fewest days of grace of these conditions. */
static uint32_t grace_of(const struct policy *p, uint32_t mask)
{
	uint32_t least = UINT32_MAX;
	for (; mask; mask &= mask - 1) {
		uint32_t grace = p->conditions[__builtin_ctz(mask)].grace_days;
		if (grace < least)
			least = grace;
	}
	return least == UINT32_MAX ? 0 : least;
}

static int32_t new_date(const struct policy *p, uint32_t dated, int32_t today)
{
	int32_t from = amnesty_now(p, today) ? p->params.amnesty_until + 1 : today;
	return from + (int32_t)grace_of(p, dated);
}

/* Is what matches now a matter of its own, or the one that the record is about? */
static bool is_fresh(const struct policy *p, const struct policy_class *b, uint32_t dated, int32_t today)
{
	if (!b->resolved_day)
		return !(b->mask & ~POLICY_AMNESTY);
	uint32_t same = dated & b->was_mask;
	if (!same || !b->block_day)
		return true;
	if (b->resolved_day < b->block_day)
		return today >= b->block_day;
	return today > b->resolved_day + (int32_t)grace_of(p, same);
}

static void resolve(const struct policy *p, const struct policy_class *b, int32_t today, struct policy_class *a)
{
	*a = *b;
	if (b->mask & ~POLICY_AMNESTY) {
		a->mask = b->mask & POLICY_AMNESTY;
		a->was_mask = b->mask & p->blocking;
		a->resolved_day = today;
	}
}

static void set_genuine(
	const struct policy *p, const struct policy_class *b, const struct policy_matched *m, bool fresh, struct policy_class *a)
{
	if (!(a->mask & p->about[ABOUT_CLONE]))
		return;
	/* Who was found to hold the genuine phone keeps it: a copy must not become genuine by being used longer. */
	bool keep = !fresh && b->genuine_imsi;
	a->genuine_imsi = keep ? b->genuine_imsi : m->genuine_imsi;
	a->genuine_msisdn = keep ? b->genuine_msisdn : m->genuine_msisdn;
}

static bool same_class(const struct policy_class *a, const struct policy_class *b)
{
	return a->mask == b->mask && a->was_mask == b->was_mask && a->since_day == b->since_day && a->block_day == b->block_day &&
	       a->resolved_day == b->resolved_day && a->genuine_imsi == b->genuine_imsi && a->genuine_msisdn == b->genuine_msisdn;
}

bool policy_classify(const struct policy *p, const struct policy_class *before, const struct policy_matched *m, int32_t today,
	struct policy_class *after)
{
	static const struct policy_class none = {0};
	const struct policy_class b = before ? *before : none;
	struct policy_class a = {0};
	uint32_t now = (m->mask & p->used) | (b.mask & p->sticky);

	if (!now) {
		resolve(p, &b, today, &a);
		*after = a;
		return !same_class(&a, &b);
	}
	uint32_t dated = now & p->blocking;
	bool amnesty = b.mask & POLICY_AMNESTY || (dated && seen_before_end(p, m, today));
	if (amnesty)
		dated &= ~(p->about[ABOUT_OTHER] | p->about[ABOUT_UNREGISTERED]);
	bool fresh = is_fresh(p, &b, dated, today);
	a.mask = now | (amnesty ? POLICY_AMNESTY : 0);
	a.since_day = fresh ? today : b.since_day;
	if (dated)
		a.block_day = fresh || !b.block_day ? new_date(p, dated, today) : b.block_day;
	if (dated && amnesty_now(p, today) && a.block_day < new_date(p, dated, today))
		a.block_day = new_date(p, dated, today);
	set_genuine(p, &b, m, fresh, &a);
	*after = a;
	return !same_class(&a, &b);
}

void policy_class_facts(const struct policy *p, const struct policy_class *c, int32_t today, struct policy_facts *facts)
{
	uint32_t mask = c ? c->mask : 0, blocking = mask & p->blocking;
	facts->seen = facts->seen || blocking || (mask & p->about[ABOUT_UNREGISTERED]);
	facts->grace_over = blocking && c->block_day && today >= c->block_day;
	facts->malformed = blocking & p->about[ABOUT_MALFORMED];
	facts->tac_unallocated = blocking & p->about[ABOUT_TAC];
	facts->clone = blocking & p->about[ABOUT_CLONE];
	facts->condition = blocking & p->about[ABOUT_OTHER];
	facts->amnesty = mask & POLICY_AMNESTY;
}

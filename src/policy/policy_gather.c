/*
 * policy_gather.c - the rows of one IMEI: the first POLICY_GATHER_MAX are kept, in short; all are folded into totals. An IMEI
 * with more is folded row by row from then on, so that one with a million subscribers takes no more memory than one with four
 * thousand.
 */
#include <stdlib.h>
#include <string.h>

#include "policy/policy_internal.h"

struct policy_gather *policy_gather_new(const struct policy *p, const struct policy_tables *t)
{
	struct policy_gather *g = calloc(1, sizeof(*g));
	if (!g)
		return NULL;
	g->p = p;
	g->t = t;
	g->now_s = INT64_MIN;
	return g;
}

void policy_gather_free(struct policy_gather *g)
{
	free(g);
}

/* now_s and whatever follows from it; the same for all IMEIs of a run. */
static void set_now(struct policy_gather *g, int64_t now_s)
{
	g->now_s = now_s;
	int64_t now = now_s < 0 ? 0 : now_s > UINT32_MAX ? UINT32_MAX : now_s;
	g->today = (uint32_t)(now / POLICY_DAY_S);
	for (unsigned i = 0; i < g->p->n_windows; i++) {
		int64_t from = now - (int64_t)g->p->windows[i] * POLICY_DAY_S;
		g->from_s[i] = from < 0 ? 0 : (uint32_t)from;
	}
}

static void set_tac(struct policy_gather *g, uint64_t imei)
{
	uint32_t tac = imei > IMEI_MAX ? UINT32_MAX : (uint32_t)(imei / IMEI_SERIALS);
	if (g->tac_known && g->tac == tac)
		return;
	g->tac_known = true;
	g->tac = tac;
	g->tac_row = policy_find_tac(g->t, imei);
	g->can_known[0] = g->can_known[1] = false;
}

void policy_gather_begin(struct policy_gather *g, uint64_t imei, const struct policy_known *known, int64_t now_s)
{
	if (now_s != g->now_s)
		set_now(g, now_s);
	set_tac(g, imei);
	g->known = *known;
	g->fixed = (struct policy_static){.imei = imei, .known = &g->known, .tac = g->tac_row, .tables = g->t};
	g->rows = 0;
	g->n = 0;
	g->spilled = false;
	g->first_s = UINT32_MAX;
	g->last_s = 0;
	g->imsis = 0;
	g->last_imsi = UINT64_MAX;
	g->rats = 0;
	g->subscribers = 0;
	g->asked = g->answers = 0;
	g->pair = g->genuine = (struct policy_pair_use){.imsi = UINT64_MAX};
	g->year_imsi = UINT64_MAX;
	g->year_most = 0;
	for (unsigned i = 0; i < g->p->n_windows; i++) {
		g->counts[i] = 0;
		g->counted[i] = UINT64_MAX;
	}
}

/* ---- one row in short ----------------------------------------------------------------------------------------------- */

/* Bits of the days from..to, as days before today; days to come count as today. */
static uint64_t day_bits(uint32_t today, uint32_t from_s, uint32_t to_s)
{
	uint32_t from = from_s / POLICY_DAY_S, to = to_s / POLICY_DAY_S;
	uint32_t newest = to >= today ? 0 : today - to, oldest = from >= today ? 0 : today - from;
	if (newest >= POLICY_DAYS_MAX || oldest < newest)
		return 0;
	uint64_t up_to = oldest >= POLICY_DAYS_MAX - 1 ? UINT64_MAX : (UINT64_C(1) << (oldest + 1)) - 1;
	return up_to & ~((UINT64_C(1) << newest) - 1);
}

#define YEAR_DAYS 365u

static void year_days(struct policy_gather *g, uint32_t from_s, uint32_t to_s)
{
	uint32_t from = from_s / POLICY_DAY_S, to = to_s / POLICY_DAY_S;
	uint32_t newest = to >= g->today ? 0 : g->today - to, oldest = from >= g->today ? 0 : g->today - from;
	if (oldest >= YEAR_DAYS)
		oldest = YEAR_DAYS - 1;
	for (uint32_t d = newest; d <= oldest; d = (d / 64 + 1) * 64) {
		uint32_t last = oldest / 64 == d / 64 ? oldest % 64 : 63;
		g->year[d / 64] |= (UINT64_MAX << d % 64) & (UINT64_MAX >> (63 - last));
	}
}

static void end_year(struct policy_gather *g)
{
	uint32_t days = 0;
	for (size_t i = 0; i < CEIR_COUNT(g->year); i++) {
		days += (uint32_t)__builtin_popcountll(g->year[i]);
		g->year[i] = 0;
	}
	if (days > g->year_most)
		g->year_most = days;
}

/* The days of a foreign IMSI: one that is seen by three operators at a time is still there only once. */
static void add_year(struct policy_gather *g, const struct triplet *row)
{
	if (row->imsi != g->year_imsi) {
		if (g->year_imsi != UINT64_MAX)
			end_year(g);
		g->year_imsi = row->imsi;
	}
	year_days(g, row->episode_s, row->last_s);
	for (uint16_t i = row->n_episodes; i-- > 0;) {
		if (g->today > row->episodes[i].to_s / POLICY_DAY_S + YEAR_DAYS)
			break;
		year_days(g, row->episodes[i].from_s, row->episodes[i].to_s);
	}
}

static inline uint32_t span(uint32_t from_s, uint32_t to_s)
{
	return to_s > from_s ? to_s - from_s : 0;
}

static void shorten(struct policy_gather *g, const struct triplet *row, struct policy_kept *k)
{
	uint32_t presence = span(row->episode_s, row->last_s);
	uint64_t days = g->p->needs_days ? day_bits(g->today, row->episode_s, row->last_s) : 0;
	for (uint16_t i = row->n_episodes; i-- > 0;) {
		const struct triplet_episode *e = &row->episodes[i];
		presence += span(e->from_s, e->to_s);
		if (g->p->needs_days)
			days |= day_bits(g->today, e->from_s, e->to_s);
	}
	*k = (struct policy_kept){.imsi = row->imsi,
		.msisdn = row->msisdn,
		.days = days,
		.first_s = row->first_s,
		.last_s = row->last_s,
		.presence_s = presence,
		.op = row->op,
		.rat = row->rat};
	if (g->p->needs_year && !policy_is_home(g->p, row->imsi))
		add_year(g, row);
}

/* ---- totals --------------------------------------------------------------------------------------------------------- */

static inline void take_genuine(struct policy_gather *g)
{
	const struct policy_pair_use *a = &g->pair, *b = &g->genuine;
	if (a->imsi == UINT64_MAX)
		return;
	/* Rows come by IMSI: what was there before has the lower one. */
	if (b->imsi == UINT64_MAX || a->presence_s > b->presence_s || (a->presence_s == b->presence_s && a->first_s < b->first_s))
		g->genuine = *a;
}

static unsigned subscriber_of(const struct policy_gather *g, uint64_t imsi)
{
	bool home = policy_is_home(g->p, imsi);
	if ((!home || g->p->needs_own) && policy_operator_of_imsi(g->t, imsi))
		return SUBSCRIBER_OWN;
	return home ? SUBSCRIBER_DOMESTIC : SUBSCRIBER_FOREIGN;
}

static inline void fold(struct policy_gather *g, const struct policy_kept *k)
{
	if (k->first_s < g->first_s)
		g->first_s = k->first_s;
	if (k->last_s > g->last_s)
		g->last_s = k->last_s;
	if (k->rat && k->rat < 8)
		g->rats = (uint8_t)(g->rats | 1u << k->rat);
	if (k->imsi != g->last_imsi) {
		g->imsis++;
		g->last_imsi = k->imsi;
		if (g->p->needs_subscriber)
			g->subscribers = (uint8_t)(g->subscribers | 1u << subscriber_of(g, k->imsi));
	}
	if (k->imsi != g->pair.imsi || k->msisdn != g->pair.msisdn) {
		take_genuine(g);
		g->pair = (struct policy_pair_use){
			.imsi = k->imsi, .msisdn = k->msisdn, .presence_s = k->presence_s, .first_s = k->first_s};
	} else {
		/* Seen by several operators: the longest counts, for it is mostly one phone seen by all of them at a time. */
		if (k->presence_s > g->pair.presence_s)
			g->pair.presence_s = k->presence_s;
		if (k->first_s < g->pair.first_s)
			g->pair.first_s = k->first_s;
	}
	for (unsigned i = 0; i < g->p->n_windows; i++) {
		if (k->last_s >= g->from_s[i] && k->imsi != g->counted[i]) {
			g->counts[i]++;
			g->counted[i] = k->imsi;
		}
	}
}

static void spill(struct policy_gather *g)
{
	g->spilled = true;
	policy_sample_clear(&g->sample);
	for (unsigned i = 0; i < g->n; i++) {
		fold(g, &g->kept[i]);
		policy_sample_add(&g->sample, g->kept[i].msisdn);
	}
}

void policy_gather_add(struct policy_gather *g, const struct triplet *rows, size_t n)
{
	g->rows += n;
	for (size_t i = 0; i < n; i++) {
		if (g->n < POLICY_GATHER_MAX) {
			shorten(g, &rows[i], &g->kept[g->n++]);
			continue;
		}
		struct policy_kept k;
		if (!g->spilled)
			spill(g);
		shorten(g, &rows[i], &k);
		fold(g, &k);
		policy_sample_add(&g->sample, k.msisdn);
	}
}

/* ---- the end -------------------------------------------------------------------------------------------------------- */

/* Conditions possible for this IMEI; of good IMEIs on no list it is the same for a whole TAC. */
static uint32_t possible(struct policy_gather *g)
{
	uint64_t imei = g->fixed.imei;
	if (g->known.black_reason || g->known.watched || imei > IMEI_MAX || imei % UINT64_C(11111111111111) == 0)
		return policy_possible(g->p, g->p->used, &g->fixed);
	unsigned registered = g->known.registered;
	if (!g->can_known[registered]) {
		g->can[registered] = policy_possible(g->p, g->p->used, &g->fixed);
		g->can_known[registered] = true;
	}
	return g->can[registered];
}

void policy_gather_end(struct policy_gather *g, struct policy_matched *out)
{
	*out = (struct policy_matched){0};
	if (!g->rows)
		return;
	for (unsigned i = 0; !g->spilled && i < g->n; i++)
		fold(g, &g->kept[i]);
	if (g->year_imsi != UINT64_MAX)
		end_year(g);
	out->first_s = g->first_s;
	out->last_s = g->last_s;
	out->imsis = g->imsis;
	out->msisdns = g->n == 1 ? g->kept[0].msisdn != 0 : policy_count_msisdns(g);
	uint32_t which = possible(g);
	if (g->imsis <= POLICY_FEW)
		which &= g->p->few[g->imsis];
	for (; which; which &= which - 1) {
		unsigned i = (unsigned)__builtin_ctz(which);
		if (policy_matches(g, i))
			out->mask |= UINT32_C(1) << i;
	}
	if (out->mask & g->p->about[ABOUT_CLONE]) {
		take_genuine(g);
		out->genuine_imsi = g->genuine.imsi;
		out->genuine_msisdn = g->genuine.msisdn;
	}
}

uint32_t policy_may_match(const struct policy *p, const struct policy_tables *t, uint64_t imei, const struct policy_known *known)
{
	struct policy_static s = {.imei = imei, .known = known, .tac = policy_find_tac(t, imei), .tables = t};
	return policy_possible(p, p->used, &s);
}

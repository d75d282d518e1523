/*
 * policy_clone.c - facts over many IMSIs of one IMEI: how many a day, which side by side, whose numbers are in a row. Only
 * asked when there are enough of them. Over the rows kept: of an IMEI with more than POLICY_GATHER_MAX rows the first of
 * these tell enough.
 */
#include <stdlib.h>
#include <string.h>

#include "policy/policy_internal.h"

/* Bits of the last `days` days. */
static uint64_t window_bits(uint32_t days)
{
	return days >= POLICY_DAYS_MAX ? UINT64_MAX : (UINT64_C(1) << days) - 1;
}

static void count_days(uint32_t *counts, uint64_t days)
{
	for (; days; days &= days - 1)
		counts[__builtin_ctzll(days)]++;
}

bool policy_clone_daily(struct policy_gather *g, const struct policy_fact *f)
{
	uint32_t counts[POLICY_DAYS_MAX] = {0};
	uint64_t window = window_bits(f->days), days = 0, seen = 0, total = 0;
	if (g->imsis * 1000 < f->count)
		return false;
	for (unsigned i = 0; i < g->n; i++) {
		days |= g->kept[i].days & window;
		if (i + 1 == g->n || g->kept[i + 1].imsi != g->kept[i].imsi) {
			count_days(counts, days);
			days = 0;
		}
	}
	for (size_t d = 0; d < POLICY_DAYS_MAX; d++) {
		seen += counts[d] != 0;
		total += counts[d];
	}
	return seen >= f->extra && seen && total * 1000 >= seen * f->count;
}

/* Of a set of days, those with which a run of three begins. */
static uint64_t runs_of_three(uint64_t days)
{
	return days & days >> 1 & days >> 2;
}

/* Days and latest MSISDN of each IMSI that has a run of three; returns how many. */
static unsigned by_imsi(struct policy_gather *g, uint64_t window)
{
	uint64_t days = 0, msisdn = 0;
	uint32_t latest_s = 0;
	unsigned n = 0;
	for (unsigned i = 0; i < g->n; i++) {
		const struct policy_kept *k = &g->kept[i];
		days |= k->days & window;
		if (k->msisdn && k->last_s >= latest_s) {
			msisdn = k->msisdn;
			latest_s = k->last_s;
		}
		if (i + 1 < g->n && g->kept[i + 1].imsi == k->imsi)
			continue;
		if (runs_of_three(days)) {
			g->scratch[n] = days;
			g->scratch2[n++] = msisdn;
		}
		days = msisdn = 0;
		latest_s = 0;
	}
	return n;
}

/*
 * All pairs, and yet short: a run of three has 62 places to begin, so of 63 IMSIs two are side by side, and each further one
 * adds another; the loop ends before it has looked at 62 + times of them, unless they share their MSISDNs.
 */
bool policy_clone_simultaneous(struct policy_gather *g, const struct policy_fact *f)
{
	uint32_t times = 0;
	if (g->imsis < 2)
		return false;
	unsigned n = by_imsi(g, window_bits(f->days));
	for (unsigned i = 1; i < n; i++) {
		for (unsigned j = 0; j < i; j++) {
			uint64_t runs = runs_of_three(g->scratch[i] & g->scratch[j]);
			if (!runs || (g->scratch2[i] && g->scratch2[i] == g->scratch2[j]))
				continue;
			times += (uint32_t)__builtin_popcountll(runs & ~(runs << 1));
			if (times >= f->count)
				return true;
		}
	}
	return false;
}

/* ---- SIM boxes ------------------------------------------------------------------------------------------------------ */

static int compare(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
	return (x > y) - (x < y);
}

/* Sorts, drops what is equal and 0; returns how many are left. */
static unsigned sort_distinct(uint64_t *v, unsigned n)
{
	if (n <= 16) {
		for (unsigned i = 1; i < n; i++)
			for (unsigned j = i; j > 0 && v[j] < v[j - 1]; j--) {
				uint64_t swap = v[j];
				v[j] = v[j - 1];
				v[j - 1] = swap;
			}
	} else {
		qsort(v, n, sizeof(*v), compare);
	}
	unsigned kept = 0;
	for (unsigned i = 0; i < n; i++)
		if (v[i] && (!kept || v[i] != v[kept - 1]))
			v[kept++] = v[i];
	return kept;
}

/* Is there an arithmetic progression of so many numbers, with this step? length: room for n. */
static bool in_a_row(const uint64_t *v, uint64_t *length, unsigned n, unsigned step, uint32_t row)
{
	unsigned back = 0;
	for (unsigned i = 0; i < n; i++) {
		while (v[back] + step < v[i])
			back++;
		length[i] = v[back] + step == v[i] ? length[back] + 1 : 1;
		if (length[i] >= row)
			return true;
	}
	return false;
}

static bool row_of_operator(struct policy_gather *g, uint8_t op, uint32_t from_s, uint32_t row)
{
	unsigned n = 0;
	for (unsigned i = 0; i < g->n; i++)
		if (g->kept[i].op == op && g->kept[i].last_s >= from_s)
			g->scratch[n++] = g->kept[i].msisdn;
	n = sort_distinct(g->scratch, n);
	for (unsigned step = 1; n >= row && step <= 10; step++)
		if (in_a_row(g->scratch, g->scratch2, n, step, row))
			return true;
	return false;
}

bool policy_sim_box(struct policy_gather *g, const struct policy_fact *f)
{
	uint32_t imsis[256] = {0};
	uint64_t counted[256];
	uint32_t from_s = g->from_s[f->window];
	memset(counted, 0xff, sizeof(counted));
	for (unsigned i = 0; i < g->n; i++) {
		const struct policy_kept *k = &g->kept[i];
		if (k->last_s >= from_s && counted[k->op] != k->imsi) {
			counted[k->op] = k->imsi;
			imsis[k->op]++;
		}
	}
	for (unsigned op = 0; op < 256; op++)
		if (imsis[op] >= f->count && row_of_operator(g, (uint8_t)op, from_s, f->extra))
			return true;
	return false;
}

/* ---- how many MSISDNs ----------------------------------------------------------------------------------------------- */

static uint64_t hash(uint64_t x)
{
	x ^= x >> 33;
	x *= UINT64_C(0xff51afd7ed558ccd);
	x ^= x >> 33;
	x *= UINT64_C(0xc4ceb9fe1a85ec53);
	return x ^ x >> 33;
}

void policy_sample_clear(struct policy_sample *s)
{
	memset(s, 0, sizeof(*s));
}

static bool in_sample(const struct policy_sample *s, uint64_t h)
{
	return !(h & ((UINT64_C(1) << s->level) - 1));
}

/* The place is taken from the high bits: the low ones are all zero in a sample. */
static bool put(struct policy_sample *s, uint64_t h)
{
	size_t at = h >> 51 & (POLICY_SAMPLE - 1);
	while (s->slots[at] && s->slots[at] != h)
		at = (at + 1) & (POLICY_SAMPLE - 1);
	bool fresh = !s->slots[at];
	s->slots[at] = h;
	return fresh;
}

/* Halves the rate until the sample is half empty again. */
static void thin(struct policy_sample *s)
{
	uint64_t room[POLICY_SAMPLE / 2 + 1];
	while (s->n > POLICY_SAMPLE / 2 && s->level < 32) {
		unsigned n = 0;
		s->level++;
		for (size_t i = 0; i < POLICY_SAMPLE; i++)
			if (s->slots[i] && in_sample(s, s->slots[i]))
				room[n++] = s->slots[i];
		memset(s->slots, 0, sizeof(s->slots));
		s->n = n;
		while (n)
			(void)put(s, room[--n]);
	}
}

void policy_sample_add(struct policy_sample *s, uint64_t value)
{
	uint64_t h = hash(value); /* 0 of 0 only */
	if (!h || !in_sample(s, h))
		return;
	s->n += put(s, h);
	if (s->n > POLICY_SAMPLE / 2)
		thin(s);
}

uint64_t policy_sample_count(const struct policy_sample *s)
{
	return (uint64_t)s->n << s->level;
}

uint64_t policy_count_msisdns(struct policy_gather *g)
{
	if (g->spilled) {
		uint64_t estimate = policy_sample_count(&g->sample);
		return g->sample.level && estimate < POLICY_GATHER_MAX ? POLICY_GATHER_MAX : estimate;
	}
	for (unsigned i = 0; i < g->n; i++)
		g->scratch[i] = g->kept[i].msisdn;
	return sort_distinct(g->scratch, g->n);
}

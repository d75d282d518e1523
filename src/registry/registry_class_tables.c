/*
 * registry_class_tables.c - what the classification and the lists look into: TACs, operators, numbers, golden and watched IMEIs,
 * read from the database into sorted arrays. Made anew when one of them changes.
 */
#include <stdlib.h>
#include <string.h>

#include "registry/registry_class.h"

/* ---- arrays that grow ---- */

/* Room for one more item; NULL: memory. */
static void *grow(void **items, size_t n, size_t size)
{
	size_t bytes;

	if (n & (n - 1))
		return (char *)*items + n * size;
	if (!size_mul(n ? 2 * n : 1, size, &bytes))
		return NULL;
	void *p = realloc(*items, bytes);
	if (!p)
		return NULL;
	*items = p;
	return (char *)p + n * size;
}

/* qsort() must not be called without an array. */
static void sort_items(void *items, size_t n, size_t size, int (*compare)(const void *, const void *))
{
	if (n)
		qsort(items, n, size, compare);
}

/* ---- TACs ---- */

struct model {
	struct policy_tac tac;
	uint64_t name;                /* hash of manufacturer and model, without case */
};

struct loading {
	struct reg_tables *t;
	struct model *models;
	size_t n_models;
	int64_t now_us;
};

static uint64_t name_hash(struct str a, struct str b)
{
	uint64_t h = UINT64_C(0xcbf29ce484222325);

	for (int i = 0; i < 2; i++) {
		struct str s = i ? b : a;

		for (size_t k = 0; k <= s.n; k++) {
			uint8_t c = k < s.n ? (uint8_t)s.p[k] : 0xff;

			h = (h ^ (c >= 'A' && c <= 'Z' ? c + 32u : c)) * UINT64_C(0x100000001b3);
		}
	}
	return h;
}

static enum ceir_err add_tac(void *ctx, const struct store_val *row)
{
	struct loading *l = ctx;
	struct model *m = grow((void **)&l->models, l->n_models, sizeof *m);

	if (!m)
		return CEIR_ENOMEM;
	*m = (struct model){.tac = {.tac = (uint32_t)row[TAC_CODE].i, .allocated = reg_val_is(row[TAC_STATUS], "allocated"),
		.rats = row[TAC_RAT].null ? 0 : policy_rats(row[TAC_RAT].s), .type = row[TAC_TYPE].null ? 0 : policy_tac_type(row[TAC_TYPE].s)},
		.name = name_hash(row[TAC_MANUFACTURER].s, row[TAC_MODEL].s)};
	l->n_models++;
	return CEIR_OK;
}

static int by_name(const void *a, const void *b)
{
	uint64_t x = ((const struct model *)a)->name, y = ((const struct model *)b)->name;

	return x < y ? -1 : x > y;
}

static int by_tac(const void *a, const void *b)
{
	uint32_t x = ((const struct policy_tac *)a)->tac, y = ((const struct policy_tac *)b)->tac;

	return x < y ? -1 : x > y;
}

/* One model has many TACs, and what one of them says of its radio the others may leave out. */
static enum ceir_err finish_tacs(struct loading *l)
{
	struct reg_tables *t = l->t;

	sort_items(l->models, l->n_models, sizeof *l->models, by_name);
	for (size_t i = 0, end; i < l->n_models; i = end) {
		uint8_t rats = 0;

		for (end = i; end < l->n_models && l->models[end].name == l->models[i].name; end++)
			rats |= l->models[end].tac.rats;
		for (size_t k = i; k < end; k++)
			l->models[k].tac.rats = rats;
	}
	t->tacs = calloc(l->n_models + 1, sizeof *t->tacs);
	if (!t->tacs)
		return CEIR_ENOMEM;
	for (size_t i = 0; i < l->n_models; i++)
		t->tacs[i] = l->models[i].tac;
	t->n_tacs = l->n_models;
	sort_items(t->tacs, t->n_tacs, sizeof *t->tacs, by_tac);
	return CEIR_OK;
}

/* ---- operators and their numbers ---- */

static enum ceir_err add_operator(void *ctx, const struct store_val *row)
{
	struct loading *l = ctx;

	if (row[OPERATOR_ID].i < 1 || row[OPERATOR_ID].i > 255 || row[OPERATOR_CODE].s.n > 32)
		return CEIR_ECORRUPT;
	memcpy(l->t->operator_codes[row[OPERATOR_ID].i], row[OPERATOR_CODE].s.p, row[OPERATOR_CODE].s.n);
	return CEIR_OK;
}

/* 0: no operator of that name. */
static uint8_t operator_number(const struct reg_tables *t, struct str code)
{
	for (unsigned i = 1; i < 256; i++)
		if (t->operator_codes[i][0] && str_eq_c(code, t->operator_codes[i]))
			return (uint8_t)i;
	return 0;
}

static enum ceir_err add_plmn(void *ctx, const struct store_val *row)
{
	struct loading *l = ctx;
	struct policy_operator *o;
	uint64_t plmn;

	if (str_u64(row[OPERATOR_PLMN_PLMN].s, 999999, &plmn))
		return CEIR_ECORRUPT;
	o = grow((void **)&l->t->operators, l->t->n_operators, sizeof *o);
	if (!o)
		return CEIR_ENOMEM;
	*o = (struct policy_operator){.op = (uint8_t)row[OPERATOR_PLMN_OPERATOR].i, .mccmnc = (uint32_t)plmn,
		.digits = (uint8_t)row[OPERATOR_PLMN_PLMN].s.n};
	l->t->n_operators++;
	return CEIR_OK;
}

static int by_plmn(const void *a, const void *b)
{
	const struct policy_operator *x = a, *y = b;

	return x->digits != y->digits ? x->digits - y->digits : x->mccmnc < y->mccmnc ? -1 : x->mccmnc > y->mccmnc;
}

static enum ceir_err add_range(void *ctx, const struct store_val *row)
{
	struct loading *l = ctx;
	struct reg_range *range;
	struct msisdn from = {(uint64_t)row[PORTABILITY_FROM].i, 1}, to = {(uint64_t)row[PORTABILITY_TO].i, 1};

	if (!row[PORTABILITY_SINCE].null && row[PORTABILITY_SINCE].i > date_of_us(l->now_us))
		return CEIR_OK;
	for (uint64_t n = from.n; n >= 10; n /= 10)
		from.digits++;
	to.digits = from.digits;
	range = grow((void **)&l->t->ranges, l->t->n_ranges, sizeof *range);
	if (!range)
		return CEIR_ENOMEM;
	*range = (struct reg_range){triplet_msisdn_key(from), triplet_msisdn_key(to), operator_number(l->t, row[PORTABILITY_OPERATOR].s)};
	l->t->n_ranges++;
	return CEIR_OK;
}

/* Wider ranges first where they begin alike: the narrower one lies inside. */
static int by_from(const void *a, const void *b)
{
	const struct reg_range *x = a, *y = b;

	return x->from != y->from ? (x->from < y->from ? -1 : 1) : x->to > y->to ? -1 : x->to < y->to;
}

struct flat {
	struct reg_range *out;
	size_t n;
	uint64_t at;                  /* numbers below are done */
};

/* The part of a range from where we stand up to `to`. */
static enum ceir_err emit(struct flat *f, const struct reg_range *range, uint64_t to)
{
	struct reg_range *r;

	if (f->at > to)
		return CEIR_OK;
	r = grow((void **)&f->out, f->n, sizeof *r);
	if (!r)
		return CEIR_ENOMEM;
	*r = (struct reg_range){f->at, to, range->op};
	f->n++;
	f->at = to + 1;
	return CEIR_OK;
}

#define NESTED 32 /* ranges inside each other; a number block, blocks given away of it, a ported number: three in practice */

/* Nested ranges to disjoint ones: the narrowest that holds a number counts. */
static enum ceir_err flatten(struct reg_tables *t)
{
	struct flat f = {.n = 0};
	struct reg_range stack[NESTED];
	size_t depth = 0;
	enum ceir_err err = CEIR_OK;

	sort_items(t->ranges, t->n_ranges, sizeof *t->ranges, by_from);
	for (size_t i = 0; i <= t->n_ranges && !err; i++) {
		uint64_t from = i < t->n_ranges ? t->ranges[i].from : UINT64_MAX;

		for (; depth && stack[depth - 1].to < from && !err; depth--)
			err = emit(&f, &stack[depth - 1], stack[depth - 1].to);
		if (i == t->n_ranges || err)
			break;
		if (depth)
			err = emit(&f, &stack[depth - 1], from - 1);
		f.at = from;
		if (depth == NESTED)
			return free(f.out), CEIR_ELIMIT;
		stack[depth++] = t->ranges[i];
	}
	free(t->ranges);
	t->ranges = f.out;
	t->n_ranges = f.n;
	return err;
}

uint8_t reg_tables_home(const struct reg_tables *t, uint64_t imsi_key, uint64_t msisdn_key)
{
	size_t low = 0, high = t->n_ranges;

	while (msisdn_key && low < high) {
		size_t middle = low + (high - low) / 2;

		if (t->ranges[middle].to < msisdn_key)
			low = middle + 1;
		else
			high = middle;
	}
	if (msisdn_key && low < t->n_ranges && t->ranges[low].from <= msisdn_key && t->ranges[low].op)
		return t->ranges[low].op;
	struct policy_tables pt = {.operators = t->operators, .n_operators = t->n_operators};
	return policy_operator_of_imsi(&pt, imsi_key);
}

/* ---- golden and watched ---- */

static int by_hash(const void *a, const void *b)
{
	return memcmp(((const struct reg_golden *)a)->hash, ((const struct reg_golden *)b)->hash, sizeof ((const struct reg_golden *)a)->hash);
}

static enum ceir_err add_golden(void *ctx, const struct store_val *row)
{
	struct loading *l = ctx;
	struct reg_golden *g = grow((void **)&l->t->golden, l->t->n_golden, sizeof *g);

	if (!g)
		return CEIR_ENOMEM;
	if (row[GOLDEN_HASH].s.n != sizeof g->hash)
		return CEIR_ECORRUPT;
	memcpy(g->hash, row[GOLDEN_HASH].s.p, sizeof g->hash);
	g->since_us = row[GOLDEN_CR_AT].i;
	l->t->n_golden++;
	return CEIR_OK;
}

const struct reg_golden *reg_tables_golden(const struct registry *r, const struct reg_tables *t, uint64_t imei_key)
{
	struct reg_golden key;

	if (!t->n_golden)
		return NULL;
	reg_golden_hash(r, imei_key, key.hash);
	return bsearch(&key, t->golden, t->n_golden, sizeof key, by_hash);
}

static enum ceir_err add_watch(void *ctx, const struct store_val *row)
{
	struct loading *l = ctx;
	struct reg_watch *w;

	if (!reg_val_is(row[WATCH_STATUS], "active"))
		return CEIR_OK;
	w = grow((void **)&l->t->watches, l->t->n_watches, sizeof *w);
	if (!w)
		return CEIR_ENOMEM;
	*w = (struct reg_watch){.imei = (uint64_t)row[WATCH_IMEI].i, .row = row[WATCH_ID].i, .since_us = row[WATCH_CR_AT].i,
		.until_us = row[WATCH_UNTIL].null ? 0 : row[WATCH_UNTIL].i};
	l->t->n_watches++;
	return CEIR_OK;
}

static int by_imei(const void *a, const void *b)
{
	uint64_t x = ((const struct reg_watch *)a)->imei, y = ((const struct reg_watch *)b)->imei;

	return x < y ? -1 : x > y;
}

static size_t first_watch(const struct reg_tables *t, uint64_t imei_key)
{
	size_t low = 0, high = t->n_watches;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (t->watches[middle].imei < imei_key)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

const struct reg_watch *reg_tables_watch(const struct reg_tables *t, uint64_t imei_key, int64_t now_us, const struct reg_watch *last)
{
	for (size_t i = last ? (size_t)(last - t->watches) + 1 : first_watch(t, imei_key); i < t->n_watches && t->watches[i].imei == imei_key; i++)
		if (!t->watches[i].until_us || t->watches[i].until_us > now_us)
			return &t->watches[i];
	return NULL;
}

/* ---- all of them ---- */

static enum ceir_err load_one(struct store_conn *db, const struct store_table *table, store_row row, struct loading *l)
{
	struct store_query q = {.table = table};

	return store_select(db, &q, row, l);
}

static enum ceir_err load_tables(struct store_conn *db, struct loading *l)
{
	struct reg_tables *t = l->t;
	enum ceir_err err = load_one(db, &STORE_TAC, add_tac, l);

	if (!err)
		err = finish_tacs(l);
	if (!err)
		err = load_one(db, &STORE_OPERATOR, add_operator, l);
	if (!err)
		err = load_one(db, &STORE_OPERATOR_PLMN, add_plmn, l);
	if (!err)
		err = load_one(db, &STORE_PORTABILITY, add_range, l);
	if (!err)
		err = flatten(t);
	if (!err)
		err = load_one(db, &STORE_GOLDEN, add_golden, l);
	if (!err)
		err = load_one(db, &STORE_WATCH, add_watch, l);
	if (err)
		return err;
	sort_items(t->operators, t->n_operators, sizeof *t->operators, by_plmn);
	sort_items(t->golden, t->n_golden, sizeof *t->golden, by_hash);
	sort_items(t->watches, t->n_watches, sizeof *t->watches, by_imei);
	return CEIR_OK;
}

enum ceir_err reg_tables_load(struct store_conn *db, struct reg_tables **out)
{
	struct loading l = {.t = calloc(1, sizeof *l.t), .now_us = clock_real_us()};
	enum ceir_err err = l.t ? CEIR_OK : CEIR_ENOMEM;

	if (err)
		return err;
	atomic_init(&l.t->uses, 1);
	err = load_tables(db, &l);
	free(l.models);
	if (err)
		reg_tables_give(l.t);
	else
		*out = l.t;
	return err;
}

void reg_tables_give(struct reg_tables *t)
{
	if (!t || atomic_fetch_sub(&t->uses, 1) != 1)
		return;
	free(t->tacs);
	free(t->operators);
	free(t->ranges);
	free(t->golden);
	free(t->watches);
	free(t);
}

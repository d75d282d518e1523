/*
 * registry_class_renew.c - tables that have changed: read anew, and what follows from the difference.
 *
 *   TACs, operators     a full run a little later: they are facts of conditions, and come by the hundred
 *   watches             their IMEIs are looked at: being watched is a fact as well
 *   whose a number is   the grey IMEIs of the subscribers that have changed hands are told again, for the operators' lists
 *   golden              lists are made anew: they are spared where answers and lists are made
 */
#include <stdlib.h>
#include <string.h>

#include "registry/registry_class.h"

#define TABLES_RUN_S 15
#define NUMBERS_MAX 50000 /* more numbers than that have changed hands: every grey IMEI is told again */

/* ---- what is the same ---- */

static bool same_tacs(const struct reg_tables *a, const struct reg_tables *b)
{
	bool same = a->n_tacs == b->n_tacs;

	for (size_t i = 0; same && i < a->n_tacs; i++)
		same = a->tacs[i].tac == b->tacs[i].tac && a->tacs[i].allocated == b->tacs[i].allocated && a->tacs[i].rats == b->tacs[i].rats
			&& a->tacs[i].type == b->tacs[i].type;
	return same;
}

static bool same_operators(const struct reg_tables *a, const struct reg_tables *b)
{
	bool same = a->n_operators == b->n_operators;

	for (size_t i = 0; same && i < a->n_operators; i++)
		same = a->operators[i].op == b->operators[i].op && a->operators[i].mccmnc == b->operators[i].mccmnc
			&& a->operators[i].digits == b->operators[i].digits;
	return same;
}

/* ---- numbers that changed hands ---- */

struct moved {
	struct registry *r;
	struct triplets_view *view;
	uint64_t numbers;
	bool too_many;
};

static enum ceir_err see(void *ctx, const struct triplet *t)
{
	const struct moved *m = ctx;

	reg_class_touched(m->r, &t->imei, 1);
	return CEIR_OK;
}

/* Numbers from..to are another operator's now. */
static enum ceir_err moved(struct moved *m, uint64_t from, uint64_t to)
{
	enum ceir_err err = CEIR_OK;

	if (to - from >= NUMBERS_MAX - m->numbers) {
		m->too_many = true;
		return CEIR_OK;
	}
	m->numbers += to - from + 1;
	for (uint64_t n = from; n <= to && !err; n++)
		err = triplets_by_msisdn(m->view, n, 0, see, m);
	return err;
}

/* Operator of the numbers from `at` on, and up to which number that holds. *i: the range that ends at or behind `at`; moves on. */
static uint8_t operator_at(const struct reg_tables *t, size_t *i, uint64_t at, uint64_t *to)
{
	while (*i < t->n_ranges && t->ranges[*i].to < at)
		++*i;
	if (*i == t->n_ranges) {
		*to = UINT64_MAX;
		return 0;
	}
	bool inside = t->ranges[*i].from <= at;

	*to = inside ? t->ranges[*i].to : t->ranges[*i].from - 1;
	return inside ? t->ranges[*i].op : 0;
}

static enum ceir_err compare_numbers(struct moved *m, const struct reg_tables *old, const struct reg_tables *fresh)
{
	size_t i = 0, k = 0;
	enum ceir_err err = CEIR_OK;

	for (uint64_t at = 0, to = 0; to != UINT64_MAX && !err && !m->too_many; at = to + 1) {
		uint64_t a, b;
		uint8_t was = operator_at(old, &i, at, &a), is = operator_at(fresh, &k, at, &b);

		to = a < b ? a : b;
		if (was != is)
			err = moved(m, at, to);
	}
	return err;
}

/* ---- listings bound to a number that changed hands ---- */

struct bound {
	const struct reg_tables *old, *fresh;
	struct reg_keys imeis;
};

static enum ceir_err see_listing(void *ctx, const struct store_val *row)
{
	struct bound *b = ctx;
	struct msisdn number;

	if (row[LISTING_IMEI].null || row[LISTING_MSISDN].null || msisdn_parse(row[LISTING_MSISDN].s, &number))
		return CEIR_OK;
	uint64_t key = triplet_msisdn_key(number);
	if (reg_tables_home(b->old, 0, key) == reg_tables_home(b->fresh, 0, key))
		return CEIR_OK;
	return reg_keys_add(&b->imeis, (uint64_t)row[LISTING_IMEI].i);
}

/* Whoever is excepted from a lock must not be blocked by his new operator, which has the lock but not the exception. */
static enum ceir_err renew_listings(struct registry *r, const struct reg_tables *old, const struct reg_tables *fresh)
{
	struct store_filter f[] = {{LISTING_STATUS, STORE_EQ, store_text(STR("inForce"))}, {LISTING_MSISDN, STORE_NE, store_text(STR(""))}};
	struct store_query q = {.table = &STORE_LISTING, .filters = f, .n_filters = 2};
	struct bound b = {.old = old, .fresh = fresh};
	struct store_conn *db = store_reader(r->store);
	enum ceir_err err = db ? store_select(db, &q, see_listing, &b) : CEIR_ESTORE;

	store_reader_done(r->store, db);
	reg_class_sort(r, &b.imeis, false);
	if (!err)
		err = reg_class_subscribers(r, b.imeis.imeis, b.imeis.n, false);
	free(b.imeis.imeis);
	return err;
}

static void tell_all(struct reg_class *c)
{
	pthread_mutex_lock(&c->lock);
	c->all_grey = true;
	pthread_mutex_unlock(&c->lock);
}

static enum ceir_err renew_homes(struct registry *r, const struct reg_tables *old, const struct reg_tables *fresh)
{
	struct moved m = {.r = r, .too_many = !same_operators(old, fresh)};
	enum ceir_err err = CEIR_OK;

	if (!m.too_many) {
		m.view = triplets_view_new(r->triplets);
		err = m.view ? compare_numbers(&m, old, fresh) : CEIR_ENOMEM;
		if (m.view)
			triplets_view_free(m.view);
	}
	if (!err && m.too_many)
		tell_all(r->class);
	return err;
}

/* ---- watches ---- */

/* Watches of t that o does not have; true when there are such. */
static bool renew_watches(struct registry *r, const struct reg_tables *t, const struct reg_tables *o)
{
	bool any = false;

	for (size_t i = 0; i < t->n_watches; i++) {
		if (reg_tables_watch(o, t->watches[i].imei, 0, NULL))
			continue;
		reg_class_touched(r, &t->watches[i].imei, 1);
		any = true;
	}
	return any;
}

/* ---- golden ---- */

static bool same_golden(const struct reg_tables *a, const struct reg_tables *b)
{
	bool same = a->n_golden == b->n_golden;

	for (size_t i = 0; same && i < a->n_golden; i++)
		same = memcmp(a->golden[i].hash, b->golden[i].hash, sizeof a->golden[i].hash) == 0;
	return same;
}

/* ---- all of it ---- */

static enum ceir_err follow(struct registry *r, const struct reg_tables *old, const struct reg_tables *fresh)
{
	struct reg_class *c = r->class;

	if (!c->run_at_us && (!same_tacs(old, fresh) || !same_operators(old, fresh)))
		c->run_at_us = clock_mono_us() + TABLES_RUN_S * SECOND_US;
	renew_watches(r, old, fresh);
	/* What was seen between the watch and now was looked up in the old table. */
	enum ceir_err err = renew_watches(r, fresh, old) ? reg_class_watches(r) : CEIR_OK;
	if (!err)
		err = renew_listings(r, old, fresh);
	if (!err && !same_golden(old, fresh))
		err = reg_class_golden_changed(r, old, fresh);
	return err ? err : renew_homes(r, old, fresh);
}

enum ceir_err reg_class_renew(struct registry *r)
{
	struct reg_class *c = r->class;
	struct reg_tables *fresh = NULL;
	struct store_conn *db;

	pthread_mutex_lock(&c->lock);
	bool stale = c->tables_stale;
	c->tables_stale = false;
	pthread_mutex_unlock(&c->lock);
	struct reg_tables *old = c->tables; /* nobody else puts others in their place */
	if (!stale)
		return CEIR_OK;
	db = store_reader(r->store);
	enum ceir_err err = db ? reg_tables_load(db, &fresh) : CEIR_ESTORE;
	store_reader_done(r->store, db);
	if (!err) {
		pthread_mutex_lock(&c->tables_lock);
		c->tables = fresh;
		pthread_mutex_unlock(&c->tables_lock);
		err = follow(r, old, fresh);
		reg_tables_give(old);
	} else {
		reg_class_tables_changed(r);
	}
	if (err && fresh)
		tell_all(c); /* the difference will not be seen again */
	return err;
}

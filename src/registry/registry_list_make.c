/*
 * registry_list_make.c - whole lists: one pass over the verdict table, the triplets or the records. registry_list.h says what
 * stands in them.
 */
#include <stdlib.h>
#include <string.h>

#include "registry/registry_list.h"

static const char *const columns[REG_LISTS][7] = {
	[REG_LIST_BLACK] = {"change", "imei", "block_date", "reasons", NULL},
	[REG_LIST_GREY] = {"change", "imei", "imsi", "msisdn", "block_date", "reasons", NULL},
	[REG_LIST_EXCEPTIONS] = {"change", "imei", "imsi", "msisdn", NULL},
	[REG_LIST_WHITE] = {"change", "imei", NULL},
};

#define SERIALS UINT64_C(1000000) /* of one TAC: 3GPP TS 23.003 6.2.1 */

/* ---- black ---- */

static enum ceir_err black_items(void *ctx, const struct verdicts_item *items, size_t n)
{
	struct reg_list_make *m = ctx;
	enum ceir_err err = CEIR_OK;

	for (size_t i = 0; i < n && !err; i++) {
		struct reg_list_state s;

		reg_list_look(m, items[i].imei.n, &s);
		if (reg_list_is_black(&s))
			err = reg_list_put_black(m, &s);
	}
	return err;
}

/* ---- the IMEIs of a barred TAC, where the layout has no row for it ---- */

struct barred {
	struct reg_list_make *m;
	uint64_t imei;                /* the last one; 0: none yet */
	int32_t day;                  /* since when the TAC is barred */
};

static enum ceir_err earliest(void *ctx, const struct store_val *row)
{
	int32_t *day = ctx, of = date_of_us(row[row[LISTING_SINCE].null ? LISTING_CR_AT : LISTING_SINCE].i);

	if (reg_val_is(row[LISTING_COLOUR], "black") && (!*day || of < *day))
		*day = of;
	return CEIR_OK;
}

/* Those that are black by themselves have their row already. */
static enum ceir_err barred_rows(void *ctx, const struct triplet *rows, size_t n)
{
	struct barred *b = ctx;
	enum ceir_err err = CEIR_OK;

	for (size_t i = 0; i < n && !err; i++) {
		struct reg_list_state s;

		if (rows[i].imei == b->imei)
			continue;
		b->imei = rows[i].imei;
		reg_list_look(b->m, b->imei, &s);
		if (reg_list_is_black(&s) && !s.own_black)
			err = reg_list_put(b->m, b->imei, 0, 0, b->day, verdict_reason_name(s.v.reason));
	}
	return err;
}

static enum ceir_err barred_imeis(struct reg_list_make *m, struct tac tac)
{
	struct barred b = {.m = m};
	struct store_filter f[] = {{LISTING_TAC, STORE_EQ, store_int((int64_t)tac.n)}, {LISTING_STATUS, STORE_EQ, store_text(STR("inForce"))}};
	struct store_query q = {.table = &STORE_LISTING, .filters = f, .n_filters = 2};
	enum ceir_err err = store_select(m->db, &q, earliest, &b.day);

	return err ? err : triplets_scan(m->view, tac.n * SERIALS, tac.n * SERIALS + SERIALS - 1, barred_rows, &b);
}

static enum ceir_err black_tac(void *ctx, struct tac tac, struct verdict v)
{
	struct reg_list_make *m = ctx;

	if (v.colour != VERDICT_BLACK)
		return CEIR_OK;
	return m->job->dirbs ? barred_imeis(m, tac) : reg_list_put_tac(m, tac, verdict_reason_name(v.reason));
}

/* What is no IMEI has no entry in the table. */
static enum ceir_err black_malformed(void *ctx, uint64_t imei, const struct policy_class *record)
{
	struct reg_list_make *m = ctx;
	struct reg_list_state s;

	(void)record;
	reg_list_look(m, imei, &s);
	return reg_list_is_black(&s) ? reg_list_put_black(m, &s) : CEIR_OK;
}

/* IMEIs that are not black themselves but work only with one subscriber. */
static enum ceir_err black_locked(struct reg_list_make *m)
{
	struct reg_keys paired = {0};
	enum ceir_err err = reg_list_paired(m, &paired);

	for (size_t i = 0; i < paired.n && !err; i++) {
		struct reg_list_state s;
		bool locked, unlocked;

		reg_list_look(m, paired.imeis[i], &s);
		if (reg_list_is_black(&s) || s.golden)
			continue;
		err = reg_list_pairs(m, s.imei, &locked, &unlocked);
		if (!err && locked)
			err = reg_list_put_locked(m, s.imei);
	}
	free(paired.imeis);
	return err;
}

static enum ceir_err make_black(struct reg_list_make *m)
{
	struct registry *r = m->job->r;
	enum ceir_err err = verdicts_scan_tacs(r->verdicts, m->reader, black_tac, m);

	if (!err)
		err = verdicts_scan(r->verdicts, m->reader, (struct imei){0}, (struct imei){IMEI_MAX}, 1u << VERDICT_BLACK, black_items, m);
	if (!err)
		err = classify_scan(r->class->classify, IMEI_MAX + 1, black_malformed, m);
	return err ? err : black_locked(m);
}

/* ---- grey: one pass over the triplets ---- */

struct grey {
	struct reg_list_make *m;
	uint64_t imei;                /* the one whose rows come now */
	bool any;
	struct reg_list_state state;
	struct reg_list_subscribers s;
};

static enum ceir_err next_imei(struct grey *g, uint64_t imei)
{
	enum ceir_err err = g->any && g->s.told ? reg_list_subscribers_end(&g->s) : CEIR_OK;

	g->any = true;
	g->imei = imei;
	g->s.told = false;
	if (err)
		return err;
	reg_list_look(g->m, imei, &g->state);
	return reg_list_is_grey(&g->state) ? reg_list_subscribers_begin(&g->s, g->m, &g->state, false) : CEIR_OK;
}

static enum ceir_err grey_rows(void *ctx, const struct triplet *rows, size_t n)
{
	struct grey *g = ctx;
	enum ceir_err err = CEIR_OK;

	for (size_t i = 0; i < n && !err; i++) {
		if (!g->any || rows[i].imei != g->imei)
			err = next_imei(g, rows[i].imei);
		if (!err && g->s.told)
			err = reg_list_subscriber(&g->s, &rows[i]);
	}
	return err;
}

static enum ceir_err make_grey(struct reg_list_make *m)
{
	struct grey g = {.m = m};
	enum ceir_err err = triplets_scan(m->view, 0, UINT64_MAX, grey_rows, &g);

	return err || !g.any || !g.s.told ? err : reg_list_subscribers_end(&g.s);
}

/* ---- exceptions ---- */

/* One that stands there as a listing's is not said twice. */
static enum ceir_err genuine_pair(void *ctx, uint64_t imei, const struct policy_class *record)
{
	struct reg_list_make *m = ctx;
	struct reg_list_state s;
	bool locked, unlocked;
	enum ceir_err err;

	if (!record->genuine_imsi)
		return CEIR_OK;
	reg_list_look(m, imei, &s);
	if (!reg_list_has_genuine(&s))
		return CEIR_OK;
	err = reg_list_pairs(m, imei, &locked, &unlocked);
	return err || reg_list_listed(m, s.record.genuine_imsi, s.record.genuine_msisdn, m->n_pairs) ? err : reg_list_put_genuine(m, &s);
}

static enum ceir_err put_pairs(struct reg_list_make *m, uint64_t imei)
{
	bool locked, unlocked;
	enum ceir_err err = reg_list_pairs(m, imei, &locked, &unlocked);

	for (size_t i = 0; i < m->n_pairs && !err; i++) {
		const struct reg_list_pair *p = &m->pairs[i];

		if (p->in_force && !reg_list_listed(m, p->imsi, p->msisdn, i) && reg_list_own(m, p->imsi, p->msisdn, 0))
			err = reg_list_put(m, imei, p->imsi, p->msisdn, 0, NULL);
	}
	return err;
}

static enum ceir_err make_exceptions(struct reg_list_make *m)
{
	struct reg_keys paired = {0};
	enum ceir_err err = reg_list_paired(m, &paired);

	for (size_t i = 0; i < paired.n && !err; i++)
		err = put_pairs(m, paired.imeis[i]);
	free(paired.imeis);
	return err ? err : classify_scan(m->job->r->class->classify, 0, genuine_pair, m);
}

/* ---- white ---- */

static enum ceir_err white_items(void *ctx, const struct verdicts_item *items, size_t n)
{
	struct reg_list_make *m = ctx;
	enum ceir_err err = CEIR_OK;

	for (size_t i = 0; i < n && !err; i++)
		if (items[i].verdict.colour == VERDICT_WHITE || reg_tables_golden(m->job->r, m->tables, items[i].imei.n))
			err = reg_list_put(m, items[i].imei.n, 0, 0, 0, NULL);
	return err;
}

static enum ceir_err make_white(struct reg_list_make *m)
{
	struct registry *r = m->job->r;
	unsigned golden = m->tables->n_golden ? 1u << VERDICT_GREY | 1u << VERDICT_BLACK : 0;

	return verdicts_scan(r->verdicts, m->reader, (struct imei){0}, (struct imei){IMEI_MAX}, 1u << VERDICT_WHITE | golden, white_items, m);
}

/* ---- all ---- */

static enum ceir_err make(struct reg_list_make *m)
{
	static enum ceir_err (*const whole[REG_LISTS])(struct reg_list_make *) = {[REG_LIST_BLACK] = make_black, [REG_LIST_GREY] = make_grey,
		[REG_LIST_EXCEPTIONS] = make_exceptions, [REG_LIST_WHITE] = make_white};

	return m->job->from < 0 ? whole[m->job->kind](m) : reg_list_delta(m);
}

static enum ceir_err open_make(struct reg_list_make *m, const char *path)
{
	const struct reg_list_job *job = m->job;
	struct list_head head = {.name = reg_list_name(job->kind), .op = job->code, .from = job->from < 0 ? 0 : job->from, .to = job->to,
		.created_us = job->now_us, .columns = columns[job->kind] + (job->from < 0 ? 1 : 0), .crlf = job->dirbs};

	m->tables = reg_class_tables_take(job->r);
	m->policy = reg_policy(job->r);
	m->view = triplets_view_new(job->r->triplets);
	m->db = store_reader(job->r->store);
	m->reader = verdicts_reader_new(job->r->verdicts);
	if (!m->view || !m->reader)
		return CEIR_ENOMEM;
	if (!m->db)
		return CEIR_ESTORE;
	return path ? list_writer_new(path, job->format, job->packing, &head, &m->writer) : CEIR_OK;
}

static void close_make(struct reg_list_make *m)
{
	struct registry *r = m->job->r;

	list_writer_drop(m->writer);
	if (m->view)
		triplets_view_free(m->view);
	store_reader_done(r->store, m->db);
	verdicts_reader_free(m->reader);
	reg_tables_give(m->tables);
	free(m->pairs);
}

enum ceir_err reg_list_make(const struct reg_list_job *job, const char *path, struct list_info *info)
{
	struct reg_list_make m = {.job = job};
	enum ceir_err err = open_make(&m, path);

	if (!err && !(err = make(&m))) {
		err = list_writer_finish(m.writer, info);
		m.writer = NULL;
	}
	close_make(&m);
	return err;
}

enum ceir_err reg_list_any(const struct reg_list_job *job, bool *any)
{
	struct reg_list_make m = {.job = job};
	enum ceir_err err = open_make(&m, NULL);

	if (!err)
		err = make(&m);
	if (err == CEIR_EEXIST && m.any)
		err = CEIR_OK;
	if (!err)
		*any = m.any;
	close_make(&m);
	return err;
}

/*
 * registry_class_write.c - from what the classification found to the register: changes in the log, the verdict table behind them.
 *
 * An IMEI that the database has a row of is derived by reg_derive() like after any command; its record, which is not yet where
 * reg_class_facts() looks for it, is handed to it by the thread that derives. All others get a change in bulk and no row: the log
 * is their place.
 *
 * What goes into the log of one IMEI, beside the change that reg_derive() makes of a row:
 *   its verdict differs (no row)        a change of it; with the record when it is in no file yet (logged)
 *   it has a row                        scope RECORD with the record: a crash before the switch to the run's file must not leave a
 *   verdict
 *                                       without what it was derived from
 *   only the record differs             scope RECORD with the record when logged; else without it where lists show it: dates and
 *   reasons of grey
 *                                       and black ones
 *
 * classify_is_newer() need not be asked: touches and runs are made and written by one thread, one after the other. What commands do to
 * rows meanwhile is seen here, because the verdict table says which IMEI has a row now, and put right after the switch
 * (registry_class_run.c).
 */
#include <stdlib.h>
#include <string.h>

#include "registry/registry_class.h"

static _Thread_local const struct classify_change *deriving;
static _Thread_local const struct policy *deriving_policy;

const struct classify_change *reg_class_deriving(const struct policy **policy)
{
	*policy = deriving_policy;
	return deriving;
}

enum ceir_err reg_class_judge(struct exec *x, const struct policy *policy, const struct classify_change *c, uint16_t *before,
	uint16_t *after)
{
	struct store_imei row;
	struct policy_facts facts;
	bool fresh;

	deriving = c;
	deriving_policy = policy;
	enum ceir_err err = reg_judge(x, (struct imei){c->imei}, &row, &fresh, &facts);
	deriving = NULL;
	if (err)
		return err;
	*before = fresh ? c->before : row.verdict;
	*after = verdict_pack(policy_verdict(&facts));
	return CEIR_OK;
}

struct write {
	struct exec x;
	struct reg_reply reply;
	const struct policy *policy;
	const struct classify_change *changes;
	size_t n;
	bool logged;
	struct store_change *out;     /* n: in bulk */
	uint16_t *set;                /* n: verdict for the table; NONE: leave it */
	bool *note;                   /* n: the record is in no file that counts */
	int64_t last;
};

#define NONE 0xffff

static struct store_class record_of(const struct policy_class *c)
{
	return (struct store_class){.mask = c->mask, .since_day = c->since_day, .block_day = c->block_day, .resolved_day = c->resolved_day,
		.genuine_imsi = c->genuine_imsi, .genuine_msisdn = c->genuine_msisdn, .was_mask = c->was_mask};
}

/* What the table says now: commits before this job are all in it, since the job is committed alone. */
static struct verdict current(const struct registry *r, uint64_t imei)
{
	struct verdict v = {0};

	if (imei <= IMEI_MAX)
		verdicts_get_entry(r->verdicts, (struct imei){imei}, &v);
	return v;
}

/* Derives an IMEI that has a row; *verdict is what it has now. */
static enum ceir_err derive(struct write *w, const struct classify_change *c, uint16_t *verdict)
{
	const struct reg_publication *newest = w->x.publications;

	deriving = c;
	deriving_policy = w->policy;
	enum ceir_err err = reg_derive(&w->x, (struct imei){c->imei});
	deriving = NULL;
	if (!err && w->x.publications != newest)
		*verdict = verdict_pack(w->x.publications->verdict);
	return err;
}

static bool on_a_list(uint16_t verdict)
{
	unsigned colour = verdict_unpack(verdict).colour;

	return colour == VERDICT_GREY || colour == VERDICT_BLACK;
}

/* One change: derived here, or put into *out for the bulk. *n: how many stand there. */
static enum ceir_err take(struct write *w, size_t i, size_t *n)
{
	const struct classify_change *c = &w->changes[i];
	struct verdict now = current(w->x.r, c->imei);
	struct store_change *o = &w->out[*n];
	bool row = c->derive || now.row;
	uint16_t before = c->imei > IMEI_MAX ? c->before : verdict_pack(now), after = row ? before : c->after;
	enum ceir_err err = row ? derive(w, c, &after) : CEIR_OK;

	w->note[i] = w->logged || row;
	*o = (struct store_change){.imei = {c->imei}, .before = row ? after : before, .verdict = after, .has_record = w->note[i],
		.record = record_of(&c->record), .at_s = w->x.now_us / SECOND_US, .transaction = w->x.transaction};
	w->set[i] = row || c->imei > IMEI_MAX || after == before ? NONE : after;
	if (o->verdict == o->before)
		o->scope = STORE_SCOPE_RECORD;
	*n += o->scope == STORE_SCOPE_IMEI || w->note[i] || on_a_list(after);
	return err;
}

static enum ceir_err run(struct store_conn *db, void *arg)
{
	struct write *w = arg;
	size_t n = 0;
	int64_t first;
	enum ceir_err err = CEIR_OK;

	w->x.db = db;
	w->x.publications = NULL;
	if (!w->x.transaction)
		w->x.transaction = store_audit_next(db) - 1;
	for (size_t i = 0; i < w->n && !err; i++)
		err = take(w, i, &n);
	if (!err && n)
		err = store_change_bulk(db, w->out, n, &first);
	w->last = store_change_next(db) - 1;
	return err;
}

/* As reg_publish(): a table that cannot follow the database would answer wrong verdicts. */
static void done(void *arg)
{
	struct write *w = arg;
	struct registry *r = w->x.r;

	for (size_t i = 0; i < w->n; i++) {
		const struct classify_change *c = &w->changes[i];
		enum ceir_err err = w->note[i] ? classify_note(r->class->classify, c->imei, &c->record) : CEIR_OK;

		if (!err && w->set[i] != NONE)
			err = verdicts_set(r->verdicts, (struct imei){c->imei}, verdict_unpack(w->set[i]));
		CEIR_ASSERT(!err);
	}
	reg_publish(r, w->x.publications);
	verdicts_reclaim(r->verdicts);
}

static enum ceir_err write_part(struct registry *r, struct write *w)
{
	struct store_job job = {.run = run, .done = done, .arg = w, .bulk = true};
	int64_t now = clock_real_us(), newest = atomic_load_explicit(&r->last_trid_us, memory_order_relaxed), transaction = w->x.transaction;
	struct arena *arena = arena_new(64u << 20);
	enum ceir_err err;

	w->x = (struct exec){.r = r, .arena = arena, .reply = &w->reply, .now_us = now > newest ? now : newest, .transaction = transaction};
	err = arena ? store_run(r->store, &job) : CEIR_ENOMEM;
	w->x.transaction = transaction;
	arena_free(arena);
	return err;
}

/* How many of these go into one job: a row costs a thousand times what the others cost, and commands wait meanwhile. */
static size_t part_of(const struct classify_change *changes, size_t n)
{
	size_t rows = 0, i = 0;

	while (i < n && rows < REG_CLASS_ROWS)
		rows += changes[i++].derive;
	return i;
}

enum ceir_err reg_class_write(struct registry *r, const struct policy *policy, const struct classify_change *changes, size_t n, bool logged,
	int64_t transaction, int64_t *last)
{
	struct write w = {.policy = policy, .logged = logged, .reply = {.code = REG_DONE}, .x = {.transaction = transaction}};
	enum ceir_err err;

	w.out = calloc(n + 1, sizeof *w.out);
	w.set = calloc(n + 1, sizeof *w.set);
	w.note = calloc(n + 1, sizeof *w.note);
	err = w.out && w.set && w.note ? CEIR_OK : CEIR_ENOMEM;
	while (n && !err) {
		w.changes = changes;
		w.n = part_of(changes, n);
		err = write_part(r, &w);
		if (!err)
			*last = w.last;
		changes += w.n;
		n -= w.n;
	}
	free(w.out);
	free(w.set);
	free(w.note);
	return err;
}

/* ---- rows of the register, derived with the records that count now ---- */

struct rows {
	const uint64_t *imeis;
	size_t n;
	int64_t last;
};

static enum ceir_err derive_rows(struct exec *x)
{
	struct rows *d = x->arg;
	enum ceir_err err = CEIR_OK;

	for (size_t i = 0; i < d->n && !err; i++)
		err = reg_derive(x, (struct imei){d->imeis[i]});
	d->last = store_change_next(x->db) - 1;
	return err;
}

enum ceir_err reg_class_derive(struct registry *r, const uint64_t *imeis, size_t n, int64_t *last)
{
	enum ceir_err err = CEIR_OK;

	for (size_t k; n && !err; imeis += k, n -= k) {
		struct arena *arena = arena_new(64u << 20);
		struct rows d = {imeis, k = n < REG_CLASS_ROWS ? n : REG_CLASS_ROWS, 0};

		err = arena ? reg_write(r, arena, derive_rows, &d, true) : CEIR_ENOMEM;
		if (!err)
			*last = d.last;
		arena_free(arena);
	}
	return err;
}

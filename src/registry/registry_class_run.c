/*
 * registry_class_run.c - full runs of the classification. registry_class_policy.c: policies tried and put in force.
 *
 * A run's changes go into the register some hundred thousand at a time; only then does the database name the new file of records, in
 * one transaction with the policy if that is new. Killed between, the server starts with the old records and a table that holds the
 * verdicts written so far, and the run at its start finds what is left. While the changes of a policy that is not in force yet are
 * written, the database says so (class.pending): then rows of the register are derived anew at the next start, under the policy
 * that is.
 */
#include "registry/registry_class_run.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define ROOM "classify"
#define CHUNK 262144              /* changes in one transaction, rows of the register aside */
#define GUARD_FROM 1000           /* IMEIs: fewer are no country, and a share of them says nothing */

static bool watched(void *ctx, uint64_t imei)
{
	const struct reg_run *run = ctx;

	return reg_tables_watch(run->tables, imei, run->now_us, NULL) != NULL;
}

static enum ceir_err last_change(struct registry *r, int64_t *seq)
{
	struct store_conn *db = store_reader(r->store);
	enum ceir_err err = db ? store_change_last(db, seq) : CEIR_ESTORE;

	store_reader_done(r->store, db);
	return err;
}

/* ---- what the changes come to, those of rows of the register as well ---- */

static void count_change(struct reg_run *w, uint16_t before, uint16_t after)
{
	if (before == after)
		return;
	w->changes++;
	w->to[verdict_unpack(after).colour]++;
}

static enum ceir_err count_rows(struct reg_run *w, struct exec *x, struct classify_change *changes)
{
	enum ceir_err err = CEIR_OK;
	size_t n = 0;

	while (!err && !(err = classify_run_next(w->run, changes, REG_CLASS_ROWS, &n)) && n) {
		for (size_t i = 0; i < n && !err; i++) {
			uint16_t before = 0, after = 0;

			if (!changes[i].derive)
				continue;
			arena_reset(x->arena);
			err = reg_class_judge(x, w->policy, &changes[i], &before, &after);
			if (!err)
				count_change(w, before, after);
		}
	}
	classify_run_rewind(w->run);
	return err;
}

/* The run decides IMEIs without a row; of the others it only says that they must be looked at. */
static enum ceir_err count(struct reg_run *w)
{
	struct reg_reply reply = {.code = REG_DONE};
	struct exec x = {.r = w->r, .reply = &reply, .now_us = w->now_us};
	struct classify_change *changes = NULL;
	enum ceir_err err = CEIR_OK;

	w->changes = w->result->changes;
	memcpy(w->to, w->result->to, sizeof w->to);
	if (!w->result->derive)
		return CEIR_OK;
	changes = calloc(REG_CLASS_ROWS, sizeof *changes);
	x.arena = arena_new(4 << 20);
	x.db = store_reader(w->r->store);
	err = !changes || !x.arena ? CEIR_ENOMEM : !x.db ? CEIR_ESTORE : CEIR_OK;
	if (!err)
		err = count_rows(w, &x, changes);
	store_reader_done(w->r->store, x.db);
	arena_free(x.arena);
	free(changes);
	return err;
}

enum ceir_err reg_run_begin(struct reg_run *w, bool dry)
{
	struct registry *r = w->r;
	struct policy_tables pt;
	struct classify_env env;
	enum ceir_err err = last_change(r, &w->seq);

	w->now_us = clock_real_us();
	w->tables = reg_class_tables_take(r);
	w->view = triplets_view_new(r->triplets);
	w->others = triplets_view_new(r->triplets);
	w->over = w->others ? classify_over_new(w->others, true) : NULL;
	if (err || !w->view || !w->over)
		return err ? err : CEIR_ENOMEM;
	pt = (struct policy_tables){.tacs = w->tables->tacs, .n_tacs = w->tables->n_tacs, .operators = w->tables->operators,
		.n_operators = w->tables->n_operators};
	classify_tables_over(w->over, &pt);
	env = (struct classify_env){.policy = w->policy, .tables = &pt, .verdicts = r->verdicts, .view = w->view,
		.now_s = w->now_us / SECOND_US, .watched = w->tables->n_watches ? watched : NULL, .ctx = w};
	snprintf(w->file, sizeof w->file, "class-%u.seg", ++r->class->file_number);
	err = classify_run_new(r->class->classify, &env, r->settings.threads ? r->settings.threads : 2, w->file, dry, &r->class->cancel, &w->run);
	if (!err)
		err = classify_over_error(w->over);
	if (!err)
		w->result = classify_run_result(w->run);
	return err ? err : count(w);
}

void reg_run_end(struct reg_run *w)
{
	classify_run_free(w->run);
	classify_over_free(w->over);
	if (w->others)
		triplets_view_free(w->others);
	if (w->view)
		triplets_view_free(w->view);
	reg_tables_give(w->tables);
	policy_free(w->fresh);
}

/* ---- the guard ---- */

/* All IMEIs with a verdict. */
uint64_t reg_run_population(const struct reg_run *w)
{
	uint64_t entries, bytes;

	verdicts_stat(w->r->verdicts, &entries, &bytes);
	return entries > w->result->imeis ? entries : w->result->imeis;
}

/* A policy may not change too many in any way, a run by itself not turn too many black. */
static bool guarded(const struct reg_run *w)
{
	uint64_t all = reg_run_population(w), n = w->wish ? w->changes : w->to[VERDICT_BLACK];

	return all >= GUARD_FROM && n * 1000 > all * policy_params(w->policy)->guard_share && !(w->wish && w->wish->force);
}

enum ceir_err reg_run_notice(struct exec *x, const struct reg_run_notice *m)
{
	struct str args[4];

	for (size_t i = 0; i < m->n; i++)
		args[i] = reg_print_u64(x, m->numbers[i]);
	return reg_message_to_role(x, REG_ROLE_ADMIN, m->kind, args, m->n);
}

static enum ceir_err put_told(struct exec *x)
{
	return reg_run_notice(x, x->arg);
}

static enum ceir_err tell(struct registry *r, struct reg_run_notice m)
{
	struct arena *arena = arena_new(1 << 20);
	enum ceir_err err = arena ? reg_write(r, arena, put_told, &m, false) : CEIR_ENOMEM;

	arena_free(arena);
	return err;
}

static enum ceir_err refuse_run(const struct reg_run *w)
{
	uint64_t all = reg_run_population(w);

	if (w->wish) {
		log_warn(ROOM, "policy %" PRId64 " was not put in force: %" PRIu64 " of %" PRIu64 " IMEIs would change", w->wish->version, w->changes,
			all);
		return tell(w->r, (struct reg_run_notice){REG_MESSAGE_POLICY_GUARDED, {(uint64_t)w->wish->version, w->changes, all}, 3});
	}
	log_warn(ROOM, "stopped by the guard: %" PRIu64 " of %" PRIu64 " IMEIs would become black", w->to[VERDICT_BLACK], all);
	return tell(w->r, (struct reg_run_notice){REG_MESSAGE_RUN_GUARDED, {w->to[VERDICT_BLACK], all}, 2});
}

/* ---- writing ---- */

static void audit_of_run(const struct reg_run *w, struct store_audit *a, char name[120])
{
	snprintf(name, 120, "policy %" PRId64 ": %" PRIu64 " of %" PRIu64 " IMEIs change", policy_version(w->policy),
		w->changes, w->result->imeis);
	*a = (struct store_audit){.verb = STR("classify"), .object = STR("policy"), .name = str_of(name), .address = STR("ceird"),
		.code = REG_DONE};
	crypto_generichash(a->request, sizeof a->request, (const uint8_t *)name, strlen(name), NULL, 0);
	memcpy(a->response, a->request, sizeof a->response);
}

static enum ceir_err put_number(struct exec *x, const char *name, int64_t n)
{
	struct str s = arena_printf(x->arena, "%" PRId64, n);

	return s.p ? store_meta_set(x->db, name, s) : CEIR_ENOMEM;
}

/* The run is a transaction of its own: its changes name it. */
static enum ceir_err put_audit(struct exec *x)
{
	struct reg_run *w = x->arg;
	struct store_audit a;
	char name[120];

	audit_of_run(w, &a, name);
	a.at_us = reg_trid_us(x->r);
	w->transaction = store_audit_next(x->db);
	enum ceir_err err = w->wish ? put_number(x, "class.pending", w->wish->version) : CEIR_OK;
	return err ? err : store_audit_append(x->db, &a);
}

static enum ceir_err write_changes(struct reg_run *w)
{
	struct classify_change *changes = calloc(CHUNK, sizeof *changes);
	struct arena *arena = arena_new(1 << 20);
	size_t n = 0;
	enum ceir_err err = changes && arena ? CEIR_OK : CEIR_ENOMEM;

	if (!err && (w->result->changes || w->result->derive))
		err = reg_write(w->r, arena, put_audit, w, true);
	while (!err && !(err = classify_run_next(w->run, changes, CHUNK, &n)) && n)
		err = reg_class_write(w->r, w->policy, changes, n, false, w->transaction, &w->last);
	free(changes);
	arena_free(arena);
	return err;
}

static enum ceir_err put_state(struct exec *x)
{
	struct reg_run *w = x->arg;
	struct reg_run_notice m = {REG_MESSAGE_POLICY_ACTIVE, {w->wish ? (uint64_t)w->wish->version : 0, w->changes}, 2};
	enum ceir_err err = store_meta_set(x->db, "class.file", str_of(w->file));

	if (!err)
		err = put_number(x, "class.seq", w->seq);
	if (!err)
		err = put_number(x, "class.day", date_of_us(w->now_us));
	if (!err)
		err = put_number(x, "class.pending", 0);
	if (!err && w->wish)
		err = reg_run_policy(x, w);
	return err || !w->wish ? err : reg_run_notice(x, &m);
}

/* After the commit, on the writer's thread: records and policy change hands together. */
static void switch_state(void *arg)
{
	struct reg_run *w = arg;
	struct reg_class *c = w->r->class;
	enum ceir_err err = classify_switch(c->classify, w->run);

	if (!err && w->fresh)
		err = reg_class_policy_set(c, w->fresh);
	w->fresh = NULL;
	CEIR_ASSERT(!err); /* memory: the server starts again from the disk */
	atomic_store(&c->day, date_of_us(w->now_us));
}

static enum ceir_err write_run(struct reg_run *w)
{
	struct arena *arena = arena_new(1 << 20);
	enum ceir_err err = arena ? write_changes(w) : CEIR_ENOMEM;

	if (!err)
		err = reg_write_done(w->r, arena, put_state, switch_state, w);
	arena_free(arena);
	return err;
}

/* ---- after the switch ---- */

struct others {
	const struct reg_run *w;
	struct reg_keys rows;
};

/* What commands changed since the run began. Its own changes bear its number, and were derived with its records. */
static enum ceir_err other_change(void *ctx, const struct store_change *c)
{
	struct others *o = ctx;

	if (c->transaction == o->w->transaction || c->scope == STORE_SCOPE_TAC || c->imei.n > IMEI_MAX)
		return CEIR_OK;
	return reg_keys_add(&o->rows, c->imei.n);
}

static enum ceir_err record_of_row(void *ctx, uint64_t imei, const struct policy_class *record)
{
	struct others *o = ctx;
	struct verdict v = {0};

	(void)record;
	if (imei > IMEI_MAX)
		return CEIR_OK;
	verdicts_enter(o->w->r->class->reader);
	verdicts_get_entry(o->w->r->verdicts, (struct imei){imei}, &v);
	verdicts_leave(o->w->r->class->reader);
	return v.row ? reg_keys_add(&o->rows, imei) : CEIR_OK;
}

/*
 * Rows that commands derived while the changes were written were derived with the old records. After a policy that did not come to
 * its end, all rows that have a record.
 */
static enum ceir_err derive_others(struct reg_run *w)
{
	struct reg_class *c = w->r->class;
	struct others o = {.w = w};
	struct store_conn *db = store_reader(w->r->store);
	enum ceir_err err = db ? store_change_scan(db, w->seq, 0, other_change, &o) : CEIR_ESTORE;

	store_reader_done(w->r->store, db);
	if (!err && c->rederive)
		err = classify_scan(c->classify, 0, record_of_row, &o);
	reg_class_sort(w->r, &o.rows, false);
	if (!err)
		err = reg_class_derive(w->r, o.rows.imeis, o.rows.n, &w->last);
	c->rederive = err != CEIR_OK;
	free(o.rows.imeis);
	return err;
}

/* ---- notices ---- */

struct reminder {
	const struct reg_run *w;
	int32_t from;             /* days behind this one, up to today */
	uint64_t imei;
};

#define FOUND CEIR_EEXIST

static enum ceir_err find_notice(void *ctx, uint64_t imei, const struct policy_class *record)
{
	struct reminder *d = ctx;

	if (!reg_list_notice(policy_params(d->w->policy), record, d->from, date_of_us(d->w->now_us)))
		return CEIR_OK;
	d->imei = imei;
	return FOUND;
}

static enum ceir_err put_reminder(struct exec *x)
{
	struct reminder *d = x->arg;
	struct verdict v = {.colour = VERDICT_GREY, .reason = VERDICT_MALFORMED};
	int64_t seq;

	if (d->imei <= IMEI_MAX)
		verdicts_get_entry(x->r->verdicts, (struct imei){d->imei}, &v);
	struct store_change change = {.scope = STORE_SCOPE_SUBSCRIBER, .imei = {d->imei}, .verdict = verdict_pack(v), .before = verdict_pack(v),
		.at_s = x->now_us / SECOND_US, .transaction = x->transaction};
	return store_change_append(x->db, &change, &seq);
}

/*
 * Lists go from change to change, and say the notices of the days between them. On a day without any change the first IMEI that has
 * one is told again, so that there is a list of that day.
 */
static enum ceir_err remind(struct reg_run *w, int32_t day_before)
{
	struct reminder d = {.w = w, .from = day_before};
	struct arena *arena;
	enum ceir_err err;

	if (!day_before || day_before >= date_of_us(w->now_us))
		return CEIR_OK;
	err = classify_scan(w->r->class->classify, 0, find_notice, &d);
	if (err != FOUND)
		return err;
	arena = arena_new(1 << 16);
	err = arena ? reg_write(w->r, arena, put_reminder, &d, true) : CEIR_ENOMEM;
	arena_free(arena);
	return err;
}

/* ---- a run ---- */

static void report(const struct reg_run *w)
{
	const struct classify_result *s = w->result;

	log_info(ROOM, "policy %" PRId64 ": %" PRIu64 " triplets of %" PRIu64 " IMEIs in %" PRId64 " ms, %" PRIu64
		" changes, written after %" PRId64 " ms; white %" PRIu64 ", grey %" PRIu64 ", black %" PRIu64, policy_version(w->policy), s->triplets, s->imeis, s->us / 1000, w->changes,
		(clock_real_us() - w->now_us) / 1000, s->colours[VERDICT_WHITE], s->colours[VERDICT_GREY], s->colours[VERDICT_BLACK]);
}

static uint32_t blocking_of(const struct policy *p)
{
	const struct policy_condition_text *t;
	uint32_t mask = 0;

	for (size_t i = 0; (t = policy_condition(p, i)); i++)
		mask |= (uint32_t)(t->name.n && t->blocking) << i;
	return mask;
}

/* Looks, asks the guard, writes. */
static enum ceir_err look_and_write(struct reg_run *w)
{
	struct reg_class *c = w->r->class;
	int32_t day_before = atomic_load(&c->day);
	uint32_t blocking = blocking_of(reg_policy(w->r)) ^ blocking_of(w->policy);
	enum ceir_err err = reg_run_begin(w, false);

	if (err)
		return err;
	if (guarded(w)) {
		atomic_store(&c->day, date_of_us(w->now_us)); /* tried again tomorrow, not all day long */
		return refuse_run(w);
	}
	err = write_run(w);
	if (!err)
		err = derive_others(w);
	if (!err && blocking)
		err = reg_class_reasons(w->r, blocking);
	if (err)
		return err;
	report(w);
	atomic_store(&c->classified_us, clock_real_us());
	err = remind(w, day_before);
	reg_lists_due(w->r, w->last);
	return err;
}

enum ceir_err reg_run_work(struct reg_run *w)
{
	enum ceir_err err = look_and_write(w);

	/* What was written of a policy that is not in force is taken back by the next run. */
	if (err && w->wish && w->transaction && w->fresh)
		w->r->class->rederive = true;
	reg_run_end(w);
	return err;
}

enum ceir_err reg_class_run(struct registry *r)
{
	struct reg_run w = {.r = r, .policy = reg_policy(r)};

	return reg_run_work(&w);
}

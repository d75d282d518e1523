/*
 * registry_class_open.c - the classification as a start finds it: policy, tables, records, and the verdicts that come from the
 * triplets.
 *
 * The records' file is of the last full run whose changes are all in the log; the log says what came after it. The table gets the
 * verdicts of the records as that run saw them (its policy, its day), then what the log says since: so it holds exactly the verdict
 * that the last change of each IMEI says, and the next run finds every difference, none twice.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "registry/registry_class.h"

static enum ceir_err meta_number(struct store_conn *db, struct arena *arena, const char *name, int64_t *n)
{
	struct str s;
	uint64_t u = 0;
	enum ceir_err err = store_meta_get(db, name, arena, &s);

	if (err == CEIR_ENOENT)
		return CEIR_OK;
	if (!err && str_u64(s, INT64_MAX, &u))
		err = CEIR_ECORRUPT;
	*n = (int64_t)u;
	return err;
}

enum ceir_err reg_class_state_load(struct store_conn *db, struct reg_class_state *out)
{
	struct arena *arena = arena_new(1 << 16);
	struct str s;
	int64_t day = 0, clean = 0;
	enum ceir_err err = arena ? store_meta_get(db, "class.file", arena, &s) : CEIR_ENOMEM;

	*out = (struct reg_class_state){.seq = 0};
	if (!err && s.n < sizeof out->file)
		memcpy(out->file, s.p, s.n);
	else if (!err)
		err = CEIR_ECORRUPT;
	if (!err || err == CEIR_ENOENT)
		err = meta_number(db, arena, "class.seq", &out->seq);
	if (!err)
		err = meta_number(db, arena, "class.day", &day);
	if (!err)
		err = meta_number(db, arena, "class.pending", &out->pending);
	if (!err)
		err = meta_number(db, arena, "class.clean", &clean);
	out->day = (int32_t)day;
	out->clean = clean;
	arena_free(arena);
	return err;
}

/* ---- policy ---- */

struct found {
	struct policy *policy;
};

static enum ceir_err compile(void *ctx, const struct store_val *row)
{
	struct found *f = ctx;

	return reg_policy_load(row, &f->policy);
}

static enum ceir_err open_policy(struct store_conn *db, struct reg_class *c)
{
	struct store_filter is = {POLICY_ROW_STATUS, STORE_EQ, store_text(STR("active"))};
	struct store_query q = {.table = &STORE_POLICY, .filters = &is, .n_filters = 1, .limit = 1};
	struct found f = {NULL};
	enum ceir_err err = store_select(db, &q, compile, &f);

	if (!err && !f.policy)
		err = CEIR_ECORRUPT;
	if (err) {
		log_error("registry", "no policy is in force: %s", ceir_err_text(err));
		policy_free(f.policy);
		return err;
	}
	return reg_class_policy_set(c, f.policy);
}

/* ---- verdicts ---- */

struct load {
	struct registry *r;
	const struct policy *policy;
	int32_t day;
};

/* The verdict of an IMEI that the register has no row of, from its record. */
static enum ceir_err load_record(void *ctx, uint64_t imei, const struct policy_class *record)
{
	struct load *l = ctx;
	struct policy_facts facts = {.registration = POLICY_NOT_REGISTERED};
	struct verdict v;

	if (imei > IMEI_MAX || (verdicts_get_entry(l->r->verdicts, (struct imei){imei}, &v), v.row))
		return CEIR_OK;
	policy_class_facts(l->policy, record, l->day, &facts);
	return verdicts_load(l->r->verdicts, (struct imei){imei}, policy_verdict(&facts));
}

static struct policy_class record_of(const struct store_change *c)
{
	return (struct policy_class){.mask = c->record.mask, .since_day = c->record.since_day, .block_day = c->record.block_day,
		.resolved_day = c->record.resolved_day, .genuine_imsi = c->record.genuine_imsi, .genuine_msisdn = c->record.genuine_msisdn,
		.was_mask = c->record.was_mask};
}

/* What the log says since. Rows of the register are loaded as they are; theirs are passed over. */
static enum ceir_err load_change(void *ctx, const struct store_change *c)
{
	struct load *l = ctx;
	struct policy_class record = record_of(c);
	struct verdict v = {0};
	enum ceir_err err = c->has_record ? classify_note(l->r->class->classify, c->imei.n, &record) : CEIR_OK;

	if (err || c->scope != STORE_SCOPE_IMEI || c->imei.n > IMEI_MAX)
		return err;
	verdicts_get_entry(l->r->verdicts, c->imei, &v);
	return v.row ? CEIR_OK : verdicts_set(l->r->verdicts, c->imei, verdict_unpack(c->verdict));
}

static enum ceir_err load_verdicts(struct registry *r, struct store_conn *db, const struct reg_class_state *state)
{
	struct load l = {r, reg_policy(r), state->day};
	enum ceir_err err = classify_scan(r->class->classify, 0, load_record, &l);

	return err ? err : store_change_scan(db, state->seq, 0, load_change, &l);
}

/* ---- all of it ---- */

static enum ceir_err make_class(struct registry *r)
{
	struct reg_class *c = calloc(1, sizeof *c);

	if (!c)
		return CEIR_ENOMEM;
	pthread_mutex_init(&c->lock, NULL);
	pthread_mutex_init(&c->tables_lock, NULL);
	thread_cond_init(&c->wake);
	r->class = c;
	return CEIR_OK;
}

static enum ceir_err open_records(struct registry *r, struct store_conn *db, bool readonly, struct reg_class_state *state)
{
	char dir[4096];
	enum ceir_err err = (size_t)snprintf(dir, sizeof dir, "%s/class", r->settings.dir) < sizeof dir ? CEIR_OK : CEIR_ERANGE;

	if (!err)
		err = reg_class_state_load(db, state);
	if (!err)
		err = open_policy(db, r->class);
	if (err)
		return err;
	return readonly ? classify_open_readonly(dir, state->file, &r->class->classify) : classify_open(dir, state->file, &r->class->classify);
}

static enum ceir_err open_parts(struct registry *r, struct store_conn *db)
{
	struct reg_class *c = r->class;
	struct reg_class_state state;
	enum ceir_err err = open_records(r, db, false, &state);

	if (!err)
		err = reg_tables_load(db, &c->tables);
	if (err)
		return err;
	atomic_store(&c->day, state.day);
	c->file_number = state.file[0] ? (unsigned)strtoul(state.file + sizeof "class-" - 1, NULL, 10) : 0;
	/* What was touched before a crash is known to nobody else. */
	c->run_due = c->watches_due = true;
	c->all_grey = !state.clean;
	c->rederive = state.pending != 0;
	return load_verdicts(r, db, &state);
}

enum ceir_err reg_class_open(struct registry *r)
{
	struct store_conn *db;
	enum ceir_err err = make_class(r);

	if (err)
		return err;
	r->class->reader = verdicts_reader_new(r->verdicts);
	r->class->touch_reader = verdicts_reader_new(r->verdicts);
	r->class->touched = (struct reg_keys){calloc(REG_TOUCHED_MAX, sizeof(uint64_t)), 0, REG_TOUCHED_MAX};
	r->class->batch = (struct reg_keys){calloc(REG_TOUCHED_MAX, sizeof(uint64_t)), 0, REG_TOUCHED_MAX};
	if (!r->class->reader || !r->class->touch_reader || !r->class->touched.imeis || !r->class->batch.imeis)
		return CEIR_ENOMEM;
	db = store_reader(r->store);
	err = db ? open_parts(r, db) : CEIR_ESTORE;
	store_reader_done(r->store, db);
	return err;
}

static enum ceir_err note_change(void *ctx, const struct store_change *c)
{
	struct policy_class record = record_of(c);

	return c->has_record ? classify_note(((struct registry *)ctx)->class->classify, c->imei.n, &record) : CEIR_OK;
}

enum ceir_err reg_class_open_readonly(struct registry *r, struct store_conn *db, int32_t *day)
{
	struct reg_class_state state;
	enum ceir_err err = make_class(r);

	if (!err)
		err = open_records(r, db, true, &state);
	if (!err)
		err = store_change_scan(db, state.seq, 0, note_change, r);
	if (!err)
		*day = state.day;
	return err;
}

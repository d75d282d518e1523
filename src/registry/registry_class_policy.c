/* registry_class_policy.c - policies: a draft is tried, or put in force by a full run under it. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "registry/registry_class_run.h"

/* ---- a policy in force ---- */

/* The policy in force becomes the old one. */
static enum ceir_err retire(void *ctx, const struct store_val *row)
{
	*(int64_t *)ctx = row[POLICY_ROW_ID].i;
	return CEIR_OK;
}

enum ceir_err reg_run_policy(struct exec *x, const struct reg_run *w)
{
	struct store_filter f = {POLICY_ROW_STATUS, STORE_EQ, store_text(STR("active"))};
	struct store_query q = {.table = &STORE_POLICY, .filters = &f, .n_filters = 1, .limit = 1};
	struct store_val row[POLICY_ROW_N];
	int64_t old = 0;
	enum ceir_err err = store_select(x->db, &q, retire, &old);

	row[POLICY_ROW_STATUS] = store_text(STR("retired"));
	if (!err && old)
		err = store_update(x->db, &STORE_POLICY, old, 1u << POLICY_ROW_STATUS, row);
	row[POLICY_ROW_STATUS] = store_text(STR("active"));
	row[POLICY_ROW_ACTIVE_AT] = store_int(x->now_us);
	return err ? err : store_update(x->db, &STORE_POLICY, w->wish->version, 1u << POLICY_ROW_STATUS | 1u << POLICY_ROW_ACTIVE_AT, row);
}

/* ---- a policy tried ---- */

static enum ceir_err put_dry_run(struct exec *x)
{
	const struct reg_run *w = x->arg;
	const struct classify_result *s = w->result;
	char date[TIME_RFC3339_MAX];
	struct store_val row[POLICY_ROW_N];
	struct reg_run_notice m = {REG_MESSAGE_POLICY_TRIED, {(uint64_t)w->wish->version, w->changes, s->imeis, w->to[VERDICT_BLACK]}, 4};

	time_rfc3339(w->now_us, date);
	struct str text = arena_printf(x->arena, "{\"date\":\"%s\",\"imeis\":%" PRIu64 ",\"changes\":%" PRIu64 ",\"toWhite\":%" PRIu64
		",\"toGrey\":%" PRIu64 ",\"toBlack\":%" PRIu64 ",\"toUnknown\":%" PRIu64 "}", date, s->imeis, w->changes, w->to[VERDICT_WHITE], w->to[VERDICT_GREY],
		w->to[VERDICT_BLACK], w->to[VERDICT_UNKNOWN]);
	if (!text.p)
		return CEIR_ENOMEM;
	row[POLICY_ROW_DRY_RUN] = store_text(text);
	enum ceir_err err = store_update(x->db, &STORE_POLICY, w->wish->version, 1u << POLICY_ROW_DRY_RUN, row);
	return err ? err : reg_run_notice(x, &m);
}

static enum ceir_err try_policy(struct reg_run *w)
{
	struct arena *arena = arena_new(1 << 20);
	enum ceir_err err = arena ? reg_run_begin(w, true) : CEIR_ENOMEM;

	if (!err)
		err = reg_write(w->r, arena, put_dry_run, w, false);
	reg_run_end(w);
	arena_free(arena);
	return err;
}

/* The draft as it stands in the database; CEIR_ENOENT: it was deleted, or is in force already. */
static enum ceir_err load_wish(struct registry *r, const struct reg_wish *wish, struct policy **out)
{
	struct store_val row[POLICY_ROW_N];
	struct arena *arena = arena_new(1 << 20);
	struct store_conn *db = store_reader(r->store);
	enum ceir_err err = arena && db ? store_get(db, &STORE_POLICY, POLICY_ROW_ID, store_int(wish->version), arena, row) : CEIR_ESTORE;

	if (!err && !reg_val_is(row[POLICY_ROW_STATUS], "draft"))
		err = CEIR_ENOENT;
	if (!err)
		err = reg_policy_load(row, out);
	store_reader_done(r->store, db);
	arena_free(arena);
	return err;
}

enum ceir_err reg_class_fulfil(struct registry *r, const struct reg_wish *wish)
{
	struct reg_run w = {.r = r, .wish = wish};
	enum ceir_err err = load_wish(r, wish, &w.fresh);

	if (err)
		return err == CEIR_ENOENT ? CEIR_OK : err;
	w.policy = w.fresh;
	return wish->dry ? try_policy(&w) : reg_run_work(&w);
}

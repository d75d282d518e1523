/* classify_touch.c - the classification of a few IMEIs that were just seen. */
#include "classify/classify_internal.h"

/* What stays the same over the IMEIs of one call. */
struct touch {
	const struct classify *c;
	struct class_rules rules;
	struct verdicts_reader *reader;
	struct policy_gather *gather;
	uint64_t rows; /* of the IMEI at hand */
	struct triplet last;
};

static enum ceir_err on_row(void *ctx, const struct triplet *row)
{
	struct touch *t = ctx;
	policy_gather_add(t->gather, row, 1);
	t->rows++;
	t->last = (struct triplet){.imei = row->imei, .imsi = row->imsi, .msisdn = row->msisdn, .op = row->op}; /* its key */
	return CEIR_OK;
}

static void look_up(struct touch *t, uint64_t imei, struct verdict *entry, struct verdict *tac)
{
	*entry = *tac = (struct verdict){0};
	if (imei > IMEI_MAX)
		return;
	const struct imei key = {imei};
	verdicts_enter(t->reader);
	verdicts_get_apart(t->rules.env->verdicts, &key, 1, entry, tac);
	verdicts_leave(t->reader);
}

/* *changed: *change is to be reported. */
static enum ceir_err touch_one(struct touch *t, uint64_t imei, struct classify_change *change, bool *changed)
{
	const struct classify_env *env = t->rules.env;
	struct verdict entry, tac;
	struct policy_known known;
	struct policy_class old;
	struct policy_matched m;
	bool keep;
	unsigned colour;
	*changed = false;
	enum ceir_err err = class_get(t->c, imei, &old);
	bool had = err == CEIR_OK;
	if (err && err != CEIR_ENOENT)
		return err;
	look_up(t, imei, &entry, &tac);
	class_known(&t->rules, imei, entry, tac, &known);
	policy_gather_begin(t->gather, imei, &known, env->now_s);
	t->rows = 0;
	err = triplets_by_imei(env->view, imei, NULL, POLICY_GATHER_MAX, on_row, t);
	if (!err && t->rows >= POLICY_GATHER_MAX) {
		if (had && (old.mask & ~POLICY_AMNESTY))
			return CEIR_OK; /* the run goes through all of them */
		struct triplet after = t->last;
		err = triplets_by_imei(env->view, imei, &after, 0, on_row, t);
	}
	if (err || t->rows == 0)
		return err;
	policy_gather_end(t->gather, &m);
	*changed = class_decide(&t->rules, imei, entry, had ? &old : NULL, &m, change, &keep, &colour);
	return CEIR_OK;
}

enum ceir_err classify_touch(struct classify *c, const struct classify_env *env, const uint64_t *imeis, size_t n,
	struct classify_change *changes, size_t *n_changes)
{
	struct touch t = {.c = c, .rules = {.env = env, .today = date_of_us(env->now_s * 1000000), .touch = true}};
	struct classify_change change;
	bool changed;
	size_t found = 0;
	enum ceir_err err = CEIR_OK;
	t.rules.since = t.rules.today;
	t.reader = verdicts_reader_new(env->verdicts);
	t.gather = policy_gather_new(env->policy, env->tables);
	if (!t.reader || !t.gather)
		err = CEIR_ENOMEM;
	for (size_t i = 0; !err && i < n; i++) {
		err = touch_one(&t, imeis[i], &change, &changed);
		if (!err && changed)
			changes[found++] = change;
	}
	if (!err)
		*n_changes = found;
	verdicts_reader_free(t.reader);
	policy_gather_free(t.gather);
	return err;
}

/*
 * registry_class_touch.c - IMEIs that were just seen with a subscriber they were not seen with before: their conditions, and what
 * the lists of operators must hear of although the verdict stays.
 */
#include <stdlib.h>
#include <string.h>

#include "registry/registry_class.h"

#define TOUCH_BATCH 8192
#define KEEP_BATCH 256
#define LOCKED_BATCH 4096 /* looked up while the lock is held */
#define GREY_BATCH 262144 /* changes in one transaction */
#define MALFORMED_GREY (VERDICT_GREY | VERDICT_MALFORMED << 2) /* packed; what is no IMEI has no entry to copy it from */

/* ---- keys that wait ---- */

static int by_number(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

/* Do lists name its subscribers: those who are told (grey), the genuine pair of a clone that may be black? */
static bool names_subscribers(struct verdict entry)
{
	return entry.colour == VERDICT_GREY || entry.reason == VERDICT_CLONE;
}

/* Between enter and leave of a reader. What is no IMEI has no entry: a record in which something matches will do. */
static bool is_grey(const struct registry *r, uint64_t imei, struct verdict *v)
{
	struct policy_class record;

	*v = (struct verdict){0};
	if (imei <= IMEI_MAX) {
		verdicts_get_entry(r->verdicts, (struct imei){imei}, v);
		return names_subscribers(*v);
	}
	*v = verdict_unpack(MALFORMED_GREY);
	return classify_get(r->class->classify, imei, &record) && record.mask && !record.resolved_day;
}

/* What is no IMEI stays: there is little of it. */
static size_t keep_grey(const struct registry *r, struct verdicts_reader *reader, uint64_t *imeis, size_t n)
{
	struct imei keys[KEEP_BATCH];
	struct verdict entries[KEEP_BATCH], tacs[KEEP_BATCH];
	size_t kept = 0;

	for (size_t at = 0, k; at < n; at += k) {
		k = n - at < KEEP_BATCH ? n - at : KEEP_BATCH;
		for (size_t i = 0; i < k; i++)
			keys[i].n = imeis[at + i] <= IMEI_MAX ? imeis[at + i] : IMEI_MAX;
		verdicts_enter(reader);
		verdicts_get_apart(r->verdicts, keys, k, entries, tacs);
		verdicts_leave(reader);
		for (size_t i = 0; i < k; i++)
			if (imeis[at + i] > IMEI_MAX || names_subscribers(entries[i]))
				imeis[kept++] = imeis[at + i];
	}
	return kept;
}

size_t reg_class_grey(struct registry *r, uint64_t *imeis, size_t n)
{
	struct reg_class *c = r->class;
	size_t kept = 0;

	for (size_t at = 0, k; at < n; at += k) {
		k = n - at < LOCKED_BATCH ? n - at : LOCKED_BATCH;
		pthread_mutex_lock(&c->lock);
		size_t grey = keep_grey(r, c->touch_reader, imeis + at, k);
		pthread_mutex_unlock(&c->lock);
		memmove(imeis + kept, imeis + at, grey * sizeof *imeis);
		kept += grey;
	}
	return kept;
}

bool reg_class_any(const struct registry *r)
{
	uint64_t entries, bytes;

	verdicts_stat(r->verdicts, &entries, &bytes);
	return entries > 0;
}

static void sort_unique(struct reg_keys *k)
{
	size_t kept = 0;

	if (k->n)
		qsort(k->imeis, k->n, sizeof *k->imeis, by_number);
	for (size_t i = 0; i < k->n; i++)
		if (!kept || k->imeis[kept - 1] != k->imeis[i])
			k->imeis[kept++] = k->imeis[i];
	k->n = kept;
}

void reg_class_sort(struct registry *r, struct reg_keys *k, bool grey)
{
	sort_unique(k);
	if (grey)
		k->n = keep_grey(r, r->class->reader, k->imeis, k->n);
}

/* Room for n more. */
static bool grow(struct reg_keys *k, size_t n)
{
	size_t max, bytes;

	if (n <= k->max - k->n)
		return true;
	if (!size_add(k->n, n, &max) || !size_mul(max, 2 * sizeof *k->imeis, &bytes))
		return false;
	uint64_t *more = realloc(k->imeis, bytes);
	if (!more)
		return false;
	k->imeis = more;
	k->max = 2 * max;
	return true;
}

enum ceir_err reg_keys_add(struct reg_keys *k, uint64_t imei)
{
	if (!grow(k, 1))
		return CEIR_ENOMEM;
	k->imeis[k->n++] = imei;
	return CEIR_OK;
}

void reg_class_keep(struct registry *r, const uint64_t *imeis, size_t n)
{
	struct reg_class *c = r->class;
	struct reg_keys *k = &c->touched;

	if (n > k->max - k->n) {
		c->run_due = true;
		sort_unique(k);
		k->n = keep_grey(r, c->touch_reader, k->imeis, k->n);
	}
	if (n > k->max - k->n && !grow(k, n)) {
		c->all_grey = true;
		return;
	}
	if (n)
		memcpy(k->imeis + k->n, imeis, n * sizeof *imeis);
	k->n += c->run_due ? keep_grey(r, c->touch_reader, k->imeis + k->n, n) : n;
}

/* ---- new subscribers ---- */

/*
 * Grey IMEIs (only_grey false: all of these) with a new subscriber whose verdict stays: the operators' lists get a row more.
 * Without those that are changed anyhow.
 */
static size_t add_subscribers(struct registry *r, const uint64_t *imeis, size_t n, const struct classify_change *changes, size_t n_changes,
	bool only_grey, struct store_change *out)
{
	size_t k = 0, found = 0;

	for (size_t i = 0; i < n; i++) {
		struct verdict v;

		while (k < n_changes && changes[k].imei < imeis[i])
			k++;
		if (k < n_changes && changes[k].imei == imeis[i])
			continue;
		verdicts_enter(r->class->reader);
		bool grey = is_grey(r, imeis[i], &v);
		verdicts_leave(r->class->reader);
		if (grey || !only_grey)
			out[found++] = (struct store_change){.scope = STORE_SCOPE_SUBSCRIBER, .imei = {imeis[i]}, .verdict = verdict_pack(v),
				.before = verdict_pack(v)};
	}
	return found;
}

struct subscribers {
	struct store_change *changes;
	size_t n;
	int64_t last;
};

static enum ceir_err put_subscribers(struct exec *x)
{
	struct subscribers *s = x->arg;
	int64_t first;

	for (size_t i = 0; i < s->n; i++) {
		s->changes[i].at_s = x->now_us / SECOND_US;
		s->changes[i].transaction = x->transaction;
	}
	enum ceir_err err = store_change_bulk(x->db, s->changes, s->n, &first);
	s->last = store_change_next(x->db) - 1;
	return err;
}

static enum ceir_err write_subscribers(struct registry *r, struct subscribers *s)
{
	struct arena *arena = s->n ? arena_new(1 << 20) : NULL;
	enum ceir_err err = !s->n ? CEIR_OK : arena ? reg_write(r, arena, put_subscribers, s, true) : CEIR_ENOMEM;

	if (!err && s->n)
		reg_lists_due(r, s->last);
	s->n = 0;
	arena_free(arena);
	return err;
}

enum ceir_err reg_class_subscribers(struct registry *r, const uint64_t *imeis, size_t n, bool only_grey)
{
	struct subscribers s = {.changes = n ? calloc(TOUCH_BATCH, sizeof *s.changes) : NULL};
	enum ceir_err err = !n || s.changes ? CEIR_OK : CEIR_ENOMEM;

	for (size_t k; n && !err; imeis += k, n -= k) {
		k = n < TOUCH_BATCH ? n : TOUCH_BATCH;
		s.n = add_subscribers(r, imeis, k, NULL, 0, only_grey, s.changes);
		err = write_subscribers(r, &s);
	}
	free(s.changes);
	return err;
}

/* ---- all grey ones ---- */

struct all_grey {
	struct registry *r;
	enum store_scope scope;
	uint32_t mask;
	struct subscribers s;
};

static enum ceir_err add_change(struct all_grey *a, uint64_t imei, uint16_t before, uint16_t verdict)
{
	a->s.changes[a->s.n++] = (struct store_change){.scope = a->scope, .imei = {imei}, .verdict = verdict, .before = before};
	return a->s.n < GREY_BATCH ? CEIR_OK : write_subscribers(a->r, &a->s);
}

static enum ceir_err grey_items(void *ctx, const struct verdicts_item *items, size_t n)
{
	enum ceir_err err = CEIR_OK;

	for (size_t i = 0; i < n && !err; i++)
		if (names_subscribers(items[i].verdict))
			err = add_change(ctx, items[i].imei.n, verdict_pack(items[i].verdict), verdict_pack(items[i].verdict));
	return err;
}

static enum ceir_err grey_malformed(void *ctx, uint64_t imei, const struct policy_class *record)
{
	return record->mask && !record->resolved_day ? add_change(ctx, imei, MALFORMED_GREY, MALFORMED_GREY) : CEIR_OK;
}

enum ceir_err reg_class_all_grey(struct registry *r)
{
	struct all_grey a = {.r = r, .scope = STORE_SCOPE_SUBSCRIBER, .s = {.changes = calloc(GREY_BATCH, sizeof *a.s.changes)}};
	enum ceir_err err = a.s.changes ? CEIR_OK : CEIR_ENOMEM;

	if (!err)
		err = verdicts_scan(r->verdicts, r->class->reader, (struct imei){0}, (struct imei){IMEI_MAX}, 1u << VERDICT_GREY | 1u << VERDICT_BLACK,
			grey_items, &a);
	if (!err)
		err = classify_scan(r->class->classify, IMEI_MAX + 1, grey_malformed, &a);
	if (!err)
		err = write_subscribers(r, &a.s);
	free(a.s.changes);
	return err;
}

/* ---- reasons ---- */

static enum ceir_err add_reasons(void *ctx, uint64_t imei, const struct policy_class *record)
{
	struct all_grey *a = ctx;
	struct verdict v = verdict_unpack(MALFORMED_GREY);

	if (!(record->mask & a->mask))
		return CEIR_OK;
	if (imei <= IMEI_MAX) {
		verdicts_enter(a->r->class->reader);
		verdicts_get_entry(a->r->verdicts, (struct imei){imei}, &v);
		verdicts_leave(a->r->class->reader);
	}
	return v.colour == VERDICT_GREY || v.colour == VERDICT_BLACK ? add_change(a, imei, verdict_pack(v), verdict_pack(v)) : CEIR_OK;
}

enum ceir_err reg_class_reasons(struct registry *r, uint32_t mask)
{
	struct all_grey a = {.r = r, .scope = STORE_SCOPE_RECORD, .mask = mask, .s = {.changes = calloc(GREY_BATCH, sizeof *a.s.changes)}};
	enum ceir_err err = a.s.changes ? CEIR_OK : CEIR_ENOMEM;

	if (!err)
		err = classify_scan(r->class->classify, 0, add_reasons, &a);
	if (!err)
		err = write_subscribers(r, &a.s);
	free(a.s.changes);
	return err;
}

/* ---- golden ---- */

#define NOBODY (UINT64_C(1) << 62 | UINT64_C(31) << 54) /* a malformed IMEI of 31 digits, which triplet_malformed_key() makes of nothing */

struct golden_left {
	struct all_grey a;
	const struct reg_tables *old, *fresh;
};

/* It was spared as one that is white; now its verdict counts. */
static enum ceir_err golden_left(void *ctx, const struct verdicts_item *items, size_t n)
{
	struct golden_left *g = ctx;
	struct registry *r = g->a.r;
	enum ceir_err err = CEIR_OK;

	for (size_t i = 0; i < n && !err; i++) {
		struct verdict was = items[i].verdict;

		if (reg_tables_golden(r, g->fresh, items[i].imei.n) || !reg_spare_golden(r, g->old, items[i].imei, &was))
			continue;
		err = add_change(&g->a, items[i].imei.n, verdict_pack(was), verdict_pack(items[i].verdict));
	}
	return err;
}

enum ceir_err reg_class_golden_changed(struct registry *r, const struct reg_tables *old, const struct reg_tables *fresh)
{
	struct golden_left g = {.a = {.r = r, .scope = STORE_SCOPE_SUBSCRIBER, .s = {.changes = calloc(GREY_BATCH, sizeof *g.a.s.changes)}},
		.old = old, .fresh = fresh};
	enum ceir_err err = g.a.s.changes ? CEIR_OK : CEIR_ENOMEM;

	if (!err)
		err = verdicts_scan(r->verdicts, r->class->reader, (struct imei){0}, (struct imei){IMEI_MAX}, 1u << VERDICT_GREY | 1u << VERDICT_BLACK,
			golden_left, &g);
	/* The log does not name who became golden. That somebody did makes it longer all the same, or no list would be made. */
	if (!err)
		err = add_change(&g.a, NOBODY, 0, 0);
	if (!err)
		err = write_subscribers(r, &g.a.s);
	free(g.a.s.changes);
	return err;
}

/* ---- conditions ---- */

struct touch {
	struct registry *r;
	struct reg_tables *tables;
	int64_t now_us;
};

static bool watched(void *ctx, uint64_t imei)
{
	const struct touch *t = ctx;

	return reg_tables_watch(t->tables, imei, t->now_us, NULL) != NULL;
}

static enum ceir_err write_touched(struct registry *r, const struct policy *policy, const uint64_t *imeis, size_t n,
	const struct classify_change *changes, size_t n_changes)
{
	struct subscribers s = {.changes = calloc(n + 1, sizeof *s.changes)};
	int64_t last = 0;
	enum ceir_err err = s.changes ? CEIR_OK : CEIR_ENOMEM;

	if (!err) {
		s.n = add_subscribers(r, imeis, n, changes, n_changes, true, s.changes);
		err = reg_class_write(r, policy, changes, n_changes, true, 0, &last);
	}
	if (!err && last)
		reg_lists_due(r, last);
	if (!err)
		err = write_subscribers(r, &s);
	free(s.changes);
	return err;
}

static enum ceir_err look_at(struct touch *t, const struct policy *policy, struct triplets_view *view, struct classify_over *over,
	const uint64_t *imeis, size_t n)
{
	struct registry *r = t->r;
	struct classify_change *changes = calloc(n, sizeof *changes);
	struct policy_tables pt = {.tacs = t->tables->tacs, .n_tacs = t->tables->n_tacs, .operators = t->tables->operators,
		.n_operators = t->tables->n_operators};
	struct classify_env env = {.policy = policy, .tables = &pt, .verdicts = r->verdicts, .view = view, .now_s = t->now_us / SECOND_US,
		.watched = t->tables->n_watches ? watched : NULL, .ctx = t};
	size_t n_changes = 0;
	enum ceir_err err = CEIR_ENOMEM;

	classify_tables_over(over, &pt);
	if (changes)
		err = classify_touch(r->class->classify, &env, imeis, n, changes, &n_changes);
	if (!err)
		err = classify_over_error(over);
	if (!err)
		err = write_touched(r, policy, imeis, n, changes, n_changes);
	free(changes);
	return err;
}

static enum ceir_err touch_batch(struct registry *r, const uint64_t *imeis, size_t n)
{
	struct touch t = {r, reg_class_tables_take(r), clock_real_us()};
	struct triplets_view *view = triplets_view_new(r->triplets), *others = triplets_view_new(r->triplets);
	struct classify_over *over = others ? classify_over_new(others, false) : NULL;
	enum ceir_err err = view && over ? look_at(&t, reg_policy(r), view, over, imeis, n) : CEIR_ENOMEM;

	classify_over_free(over);
	if (others)
		triplets_view_free(others);
	if (view)
		triplets_view_free(view);
	reg_tables_give(t.tables);
	return err;
}

enum ceir_err reg_class_touch(struct registry *r, const uint64_t *imeis, size_t n)
{
	enum ceir_err err = CEIR_OK;

	for (size_t i = 0; i < n && !err; i += TOUCH_BATCH)
		err = touch_batch(r, imeis + i, n - i < TOUCH_BATCH ? n - i : TOUCH_BATCH);
	return err;
}

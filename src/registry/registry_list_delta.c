/*
 * registry_list_delta.c - what changed in a list from one sequence number of the change log to another.
 *
 * The changes between that concern the list are put together per IMEI: its verdict before the first of them, and every colour it
 * had since. So any two numbers can be asked for. Memory is bounded: when too many IMEIs are concerned they are gone through in
 * several passes, each taking those of one share of the hash. Rows of one pass are in ascending order.
 *
 * A row may be told to a receiver that has it already, or taken from one that does not have it (a subscriber seen anew, say); it
 * then says nothing new. What has changed is never left out: a list that was as of the first number and had every row put in or
 * replaced (added, changed) or taken out (removed) by its key is the list as of the second. The key is the IMEI, with IMSI and
 * MSISDN where the list has them.
 */
#include <stdlib.h>

#include "registry/registry_list.h"

#define PASSES_MORE 4             /* so many times as many passes when they were too few */
#define GOLDEN_LATE_S 3600        /* a golden IMEI may have been told for so long before the tables followed; generous */

size_t reg_list_pass = 1000000;

/* One IMEI, or one TAC (its first IMEI). */
struct item {
	uint64_t imei;
	uint16_t before, after;
	uint8_t used, tac, colours;   /* colours: bit per enum verdict_colour it had, before the first change and after each */
	bool verdict, record;         /* changes of the verdict, of the record came by */
	bool pair, clone, clone_left; /* at any time: bound to subscribers; a clone; and then no longer */
};

struct gathering {
	struct reg_list_make *m;
	struct item *items;           /* mask + 1, a power of two; twice reg_list_pass or more */
	size_t mask, n;
	uint64_t pass, passes;
	bool full;                    /* more than reg_list_pass: the passes are too few */
};

/* ---- gathering ---- */

static uint64_t hash_of(uint64_t imei, bool tac)
{
	return (imei * 2 + tac + 1) * UINT64_C(0x9e3779b97f4a7c15);
}

static void add_change(struct item *it, const struct store_change *c)
{
	struct verdict before = verdict_unpack(c->before), after = verdict_unpack(c->verdict);

	it->after = c->verdict;
	it->colours |= (uint8_t)(1u << before.colour | 1u << after.colour);
	it->verdict |= c->scope == STORE_SCOPE_IMEI;
	it->record |= c->scope == STORE_SCOPE_RECORD;
	it->pair |= before.pair || after.pair;
	it->clone |= before.reason == VERDICT_CLONE || after.reason == VERDICT_CLONE;
	it->clone_left |= before.reason == VERDICT_CLONE && after.reason != VERDICT_CLONE;
}

/*
 * Can this change make a difference to the list? A country that is classified for the first time changes every IMEI, and most of
 * them from unknown to white. What is left out neither begins nor ends in the list's colour, so nothing that is asked of an item is
 * another for it.
 */
static bool concerns(const struct reg_list_make *m, const struct store_change *c)
{
	enum reg_list_kind kind = m->job->kind;
	static const unsigned colours[REG_LISTS] = {[REG_LIST_BLACK] = VERDICT_BLACK, [REG_LIST_GREY] = VERDICT_GREY, [REG_LIST_WHITE] = VERDICT_WHITE};
	struct verdict before = verdict_unpack(c->before), after = verdict_unpack(c->verdict);
	bool bound = before.pair || after.pair || before.reason == VERDICT_CLONE || after.reason == VERDICT_CLONE;

	/* A golden IMEI is in the white list whatever colour it has. */
	if (c->scope != STORE_SCOPE_IMEI || (kind == REG_LIST_WHITE && m->tables->n_golden))
		return true;
	return kind == REG_LIST_EXCEPTIONS ? bound : bound || before.colour == colours[kind] || after.colour == colours[kind];
}

static enum ceir_err gather(void *ctx, const struct store_change *c)
{
	struct gathering *g = ctx;
	bool tac = c->scope == STORE_SCOPE_TAC;
	uint64_t h = hash_of(c->imei.n, tac);
	size_t i = (size_t)(h >> 24) & g->mask;

	/* A share is a range of the hash: cut finer, the shares that are done stay those that come first. */
	if ((h >> 32) * g->passes >> 32 != g->pass || !concerns(g->m, c))
		return CEIR_OK;
	while (g->items[i].used && (g->items[i].imei != c->imei.n || g->items[i].tac != tac))
		i = (i + 1) & g->mask;
	struct item *it = &g->items[i];
	if (!it->used) {
		if (g->n == reg_list_pass) {
			g->full = true;
			return CEIR_ELIMIT;
		}
		*it = (struct item){.imei = c->imei.n, .before = c->before, .used = 1, .tac = tac};
		g->n++;
	}
	add_change(it, c);
	return CEIR_OK;
}

static int by_imei(const void *a, const void *b)
{
	const struct item *x = a, *y = b;

	return x->imei != y->imei ? (x->imei < y->imei ? -1 : 1) : y->tac - x->tac;
}

static bool was(const struct item *it, unsigned colour)
{
	return verdict_unpack(it->before).colour == colour;
}

static bool ever(const struct item *it, unsigned colour)
{
	return it->colours >> colour & 1;
}

/* ---- golden ---- */

/* Golden for so long that the receiver cannot have it: a row that takes it out would only show whom the register spares. */
static bool golden_of_old(const struct reg_list_make *m, const struct reg_list_state *s)
{
	return s->golden && m->job->behind > 0 && s->golden->since_us < (m->job->from_s - GOLDEN_LATE_S) * SECOND_US;
}

/* ---- black and white: one row for an IMEI ---- */

static enum ceir_err put_removed(struct reg_list_make *m, uint64_t imei)
{
	m->change = "removed";
	return reg_list_put(m, imei, 0, 0, 0, "");
}

static enum ceir_err black_item(struct reg_list_make *m, const struct item *it)
{
	struct reg_list_state s;
	bool locked = false, unlocked = false;
	enum ceir_err err = CEIR_OK;

	reg_list_look(m, it->imei, &s);
	m->change = was(it, VERDICT_BLACK) ? "changed" : "added";
	if (reg_list_is_black(&s))
		return was(it, VERDICT_BLACK) && !it->verdict && !it->record ? CEIR_OK : reg_list_put_black(m, &s);
	if (it->pair || s.v.pair)
		err = reg_list_pairs(m, it->imei, &locked, &unlocked);
	if (err || (locked && !s.golden))
		return err ? err : reg_list_put_locked(m, it->imei);
	return ever(it, VERDICT_BLACK) || unlocked || locked ? put_removed(m, it->imei) : CEIR_OK;
}

static enum ceir_err tac_item(struct reg_list_make *m, const struct item *it)
{
	struct tac tac = imei_tac((struct imei){it->imei});
	struct verdict now = verdict_unpack(it->after);
	bool is = now.colour == VERDICT_BLACK;

	if (m->job->kind != REG_LIST_BLACK || (!is && !ever(it, VERDICT_BLACK)))
		return CEIR_OK;
	m->change = is ? (was(it, VERDICT_BLACK) ? "changed" : "added") : "removed";
	return reg_list_put_tac(m, tac, is ? verdict_reason_name(now.reason) : NULL);
}

static enum ceir_err white_item(struct reg_list_make *m, const struct item *it)
{
	struct reg_list_state s;

	reg_list_look(m, it->imei, &s);
	/* A golden one stood there in whatever colour. */
	if (!reg_list_is_white(&s))
		return ever(it, VERDICT_WHITE) || s.golden ? put_removed(m, it->imei) : CEIR_OK;
	m->change = "added";
	return was(it, VERDICT_WHITE) && !it->verdict ? CEIR_OK : reg_list_put(m, it->imei, 0, 0, 0, NULL);
}

/* ---- grey and exceptions: a row for each subscriber ---- */

static enum ceir_err grey_item(struct reg_list_make *m, const struct item *it)
{
	struct reg_list_state s;

	reg_list_look(m, it->imei, &s);
	if (!reg_list_is_grey(&s) && !ever(it, VERDICT_GREY))
		return CEIR_OK;
	m->change = was(it, VERDICT_GREY) && (it->verdict || it->record) ? "changed" : "added";
	return reg_list_subscribers(m, &s, ever(it, VERDICT_GREY));
}

/* A pair that was genuine, or whose number is another operator's now, is one of its subscribers; which one, nobody knows any more. */
struct former {
	struct reg_list_make *m;
	const struct reg_list_state *state;
	bool all;                     /* another pair was genuine; else it still is, and only its operator may be another */
	uint64_t imsi, msisdn;
};

static enum ceir_err put_former(void *ctx, const struct triplet *t)
{
	struct former *f = ctx;
	const struct policy_class *r = &f->state->record;
	bool own = reg_list_own(f->m, t->imsi, t->msisdn, t->op);
	bool genuine = reg_list_has_genuine(f->state) && r->genuine_imsi == t->imsi && r->genuine_msisdn == t->msisdn;

	if ((genuine ? own : !f->all) || (f->imsi == t->imsi && f->msisdn == t->msisdn) || reg_list_listed(f->m, t->imsi, t->msisdn, f->m->n_pairs)
		|| !(own || reg_list_once_own(f->m, t)))
		return CEIR_OK;
	f->imsi = t->imsi;
	f->msisdn = t->msisdn;
	return reg_list_put(f->m, t->imei, t->imsi, t->msisdn, 0, NULL);
}

static bool is_genuine(const struct reg_list_state *s, const struct reg_list_pair *p)
{
	return reg_list_has_genuine(s) && p->imsi == s->record.genuine_imsi && p->msisdn == s->record.genuine_msisdn;
}

static enum ceir_err listed_pairs(struct reg_list_make *m, const struct reg_list_state *s)
{
	enum ceir_err err = CEIR_OK;

	for (size_t i = 0; i < m->n_pairs && !err; i++) {
		const struct reg_list_pair *p = &m->pairs[i];

		if (!reg_list_own(m, p->imsi, p->msisdn, 0) || reg_list_listed(m, p->imsi, p->msisdn, p->in_force ? i : m->n_pairs)
			|| (!p->in_force && is_genuine(s, p)))
			continue;
		m->change = p->in_force ? "added" : "removed";
		err = reg_list_put(m, s->imei, p->imsi, p->msisdn, 0, NULL);
	}
	return err;
}

static enum ceir_err exceptions_item(struct reg_list_make *m, const struct item *it)
{
	struct reg_list_state s;
	struct former f = {.m = m, .state = &s};
	bool locked, unlocked;
	enum ceir_err err;

	reg_list_look(m, it->imei, &s);
	if (!it->pair && !s.v.pair)
		return CEIR_OK;
	err = reg_list_pairs(m, it->imei, &locked, &unlocked);
	if (!err)
		err = listed_pairs(m, &s);
	m->change = "removed";
	f.all = it->clone_left || !reg_list_has_genuine(&s);
	if (!err && it->clone)
		err = triplets_by_imei(m->view, it->imei, NULL, 0, put_former, &f);
	m->change = "added";
	if (err || !reg_list_has_genuine(&s) || reg_list_listed(m, s.record.genuine_imsi, s.record.genuine_msisdn, m->n_pairs))
		return err;
	return reg_list_put_genuine(m, &s);
}

static enum ceir_err put_item(struct reg_list_make *m, const struct item *it)
{
	static enum ceir_err (*const put[REG_LISTS])(struct reg_list_make *, const struct item *) = {[REG_LIST_BLACK] = black_item,
		[REG_LIST_GREY] = grey_item, [REG_LIST_EXCEPTIONS] = exceptions_item, [REG_LIST_WHITE] = white_item};
	struct reg_list_state s = {.golden = NULL};

	if (it->tac)
		return tac_item(m, it);
	if (m->tables->n_golden && (m->job->kind == REG_LIST_BLACK || m->job->kind == REG_LIST_GREY)) {
		s.golden = reg_tables_golden(m->job->r, m->tables, it->imei);
		if (golden_of_old(m, &s))
			return CEIR_OK;
	}
	return put[m->job->kind](m, it);
}

/* ---- IMEIs that became golden: nothing in the log names them ---- */

static enum ceir_err new_golden(struct reg_list_make *m, uint64_t imei)
{
	struct reg_list_state s;

	reg_list_look(m, imei, &s);
	if (!s.golden || golden_of_old(m, &s))
		return CEIR_OK;
	if (m->job->kind == REG_LIST_BLACK)
		return s.v.colour == VERDICT_BLACK ? put_removed(m, imei) : CEIR_OK;
	m->change = "added";
	if (m->job->kind == REG_LIST_WHITE)
		return reg_list_put(m, imei, 0, 0, 0, NULL);
	return s.v.colour == VERDICT_GREY ? reg_list_subscribers(m, &s, true) : CEIR_OK;
}

static enum ceir_err golden_items(void *ctx, const struct verdicts_item *items, size_t n)
{
	enum ceir_err err = CEIR_OK;

	for (size_t i = 0; i < n && !err; i++)
		err = new_golden(ctx, items[i].imei.n);
	return err;
}

static bool any_new_golden(const struct reg_list_make *m)
{
	for (size_t i = 0; i < m->tables->n_golden; i++) {
		struct reg_list_state s = {.golden = &m->tables->golden[i]};

		if (!golden_of_old(m, &s))
			return true;
	}
	return false;
}

/* Those that stand in the black list because they are locked. */
static enum ceir_err golden_locked(struct reg_list_make *m)
{
	struct reg_keys paired = {0};
	enum ceir_err err = reg_list_paired(m, &paired);

	for (size_t i = 0; i < paired.n && !err; i++) {
		struct reg_list_state s;

		reg_list_look(m, paired.imeis[i], &s);
		if (s.golden && !golden_of_old(m, &s))
			err = put_removed(m, s.imei);
	}
	free(paired.imeis);
	return err;
}

static enum ceir_err spare_golden(struct reg_list_make *m)
{
	enum ceir_err err;

	if (m->job->kind == REG_LIST_EXCEPTIONS || !any_new_golden(m))
		return CEIR_OK;
	err = verdicts_scan(m->job->r->verdicts, m->reader, (struct imei){0}, (struct imei){IMEI_MAX}, 1u << VERDICT_GREY | 1u << VERDICT_BLACK,
		golden_items, m);
	return err || m->job->kind != REG_LIST_BLACK ? err : golden_locked(m);
}

/* ---- notices: so many days before the block (grey) ---- */

static int32_t day_of(int64_t s)
{
	return date_of_us(s * SECOND_US);
}

static enum ceir_err notice(void *ctx, uint64_t imei, const struct policy_class *record)
{
	struct reg_list_make *m = ctx;
	struct reg_list_state s;

	if (!reg_list_notice(policy_params(m->policy), record, day_of(m->job->from_s), day_of(m->job->to_s)))
		return CEIR_OK;
	reg_list_look(m, imei, &s);
	m->change = "notice";
	return reg_list_is_grey(&s) ? reg_list_subscribers(m, &s, false) : CEIR_OK;
}

/* ---- all ---- */

static enum ceir_err one_pass(struct gathering *g)
{
	struct reg_list_make *m = g->m;
	size_t kept = 0;
	enum ceir_err err;

	for (size_t i = 0; i <= g->mask; i++)
		g->items[i].used = 0;
	g->n = 0;
	g->full = false;
	err = store_change_scan(m->db, m->job->behind, m->job->to, gather, g);
	for (size_t i = 0; !err && i <= g->mask; i++)
		if (g->items[i].used)
			g->items[kept++] = g->items[i];
	if (kept)
		qsort(g->items, kept, sizeof *g->items, by_imei);
	for (size_t i = 0; !err && i < kept; i++)
		err = put_item(m, &g->items[i]);
	return err;
}

static enum ceir_err changed(struct reg_list_make *m)
{
	uint64_t changes = (uint64_t)(m->job->to - m->job->behind);
	struct gathering g = {.m = m, .passes = 1};
	size_t size = 1024;
	enum ceir_err err = CEIR_OK;

	/* At least twice what one pass holds, so that look-ups stay short. */
	while (size < 2 * (changes < reg_list_pass ? changes : reg_list_pass) + 2)
		size *= 2;
	g.mask = size - 1;
	g.items = calloc(size, sizeof *g.items);
	if (!g.items)
		return CEIR_ENOMEM;
	while (g.pass < g.passes && !err) {
		err = one_pass(&g);
		if (g.full) {
			err = CEIR_OK;
			g.pass *= PASSES_MORE;
			g.passes *= PASSES_MORE;
			continue;
		}
		g.pass++;
	}
	free(g.items);
	return err;
}

enum ceir_err reg_list_delta(struct reg_list_make *m)
{
	enum ceir_err err = m->job->behind < m->job->to ? changed(m) : CEIR_OK;

	if (!err)
		err = spare_golden(m);
	if (!err && m->job->kind == REG_LIST_GREY && day_of(m->job->from_s) < day_of(m->job->to_s))
		err = classify_scan(m->job->r->class->classify, 0, notice, m);
	return err;
}

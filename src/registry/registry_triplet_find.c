/*
 * registry_triplet_find.c - one page of triplets. An IMEI can have a million subscribers, so its triplets are read in pages too; those
 * of one subscriber are few, and are all looked at.
 */
#include <stdlib.h>
#include <string.h>

#include "registry/registry_triplet.h"

#define STEP 4096
#define LOOK_MAX 65536 /* triplets looked at for one page */

struct page {
	struct triplet_question *q;
	struct triplet_found *out;
	uint64_t group;
	bool has_after;
	struct triplet after;       /* of this group: only rows behind it */
	uint32_t looked;            /* in this page */
	uint32_t got;               /* in this call */
	struct triplet last;        /* key of the last row looked at */
};

/* Whatever a row points to belongs to the store until the next. */
static enum ceir_err copy_row(struct page *p, const struct triplet *t, struct triplet_row *out)
{
	struct arena *a = p->q->x->arena;
	struct triplet_episode *episodes = arena_array(a, t->n_episodes, sizeof *episodes);

	*out = (struct triplet_row){p->group, *t};
	if (!episodes)
		return CEIR_ENOMEM;
	if (t->n_episodes)
		memcpy(episodes, t->episodes, t->n_episodes * sizeof *episodes);
	out->t.episodes = episodes;
	out->t.cell = t->cell.n ? arena_str(a, t->cell) : (struct str){"", 0};
	return out->t.cell.p ? CEIR_OK : CEIR_ENOMEM;
}

static bool full(const struct page *p)
{
	return p->out->n > p->q->limit;
}

static bool wanted(const struct page *p, const struct triplet *t)
{
	return triplet_counts(p->q, t) && triplet_in_period(p->q, t) && !(p->has_after && triplet_order(t, &p->after) <= 0);
}

/* ---- triplets of one IMEI: in order, a step at a time ---- */

static enum ceir_err add_in_order(void *ctx, const struct triplet *t)
{
	struct page *p = ctx;

	p->got++;
	if (full(p))
		return CEIR_OK;
	p->looked++;
	p->last = (struct triplet){.imei = t->imei, .imsi = t->imsi, .msisdn = t->msisdn, .op = t->op};
	return wanted(p, t) ? copy_row(p, t, &p->out->rows[p->out->n++]) : CEIR_OK;
}

static enum ceir_err rows_of_imei(struct page *p, uint64_t imei)
{
	struct triplet from = p->after;
	bool has_from = p->has_after;

	for (;;) {
		p->got = 0;
		enum ceir_err err = triplets_by_imei(p->q->view, imei, has_from ? &from : NULL, STEP, add_in_order, p);
		if (err || p->got < STEP || full(p))
			return err;
		from = p->last;
		has_from = true;
		if (p->looked >= LOOK_MAX) {
			p->out->stopped = true;
			p->out->last = (struct triplet_row){p->group, p->last};
			return CEIR_OK;
		}
	}
}

/* ---- triplets of one subscriber: in any order, the first limit + 1 are kept ---- */

static enum ceir_err add_sorted(void *ctx, const struct triplet *t)
{
	struct page *p = ctx;
	struct triplet_found *out = p->out;
	struct triplet_row row;

	if (++p->got > TRIPLET_EXPAND_MAX)
		return CEIR_ELIMIT;
	if (!wanted(p, t))
		return CEIR_OK;
	/* Rows of the groups before stay where they are. */
	size_t at = out->n;
	while (at > 0 && out->rows[at - 1].group == p->group && triplet_order(&out->rows[at - 1].t, t) > 0)
		at--;
	if (at > p->q->limit)
		return CEIR_OK;
	enum ceir_err err = copy_row(p, t, &row);
	if (err)
		return err;
	size_t keep = full(p) ? out->n - 1 : out->n;
	memmove(&out->rows[at + 1], &out->rows[at], (keep - at) * sizeof row);
	out->rows[at] = row;
	out->n = keep + 1;
	return CEIR_OK;
}

static enum ceir_err rows_of(struct page *p, enum triplet_what what, uint64_t key)
{
	p->got = 0;
	switch (what) {
	case TRIPLET_IMEI:
		return rows_of_imei(p, key);
	case TRIPLET_IMSI:
		return triplets_by_imsi(p->q->view, key, TRIPLET_EXPAND_MAX + 1, add_sorted, p);
	default:
		return triplets_by_msisdn(p->q->view, key, TRIPLET_EXPAND_MAX + 1, add_sorted, p);
	}
}

/* ---- expanding ---- */

struct gather {
	const struct triplet_question *q;
	uint64_t *keys;
	size_t n, looked;
};

static enum ceir_err note_key(void *ctx, const struct triplet *t)
{
	struct gather *g = ctx;
	uint64_t key = g->q->of == TRIPLET_IMEI ? t->imei : g->q->of == TRIPLET_IMSI ? t->imsi : t->msisdn;

	if (++g->looked > TRIPLET_EXPAND_MAX)
		return CEIR_ELIMIT;
	/* Without a number there is nothing to look for. */
	if (triplet_counts(g->q, t) && triplet_in_period(g->q, t) && !(g->q->of == TRIPLET_MSISDN && !key))
		g->keys[g->n++] = key;
	return CEIR_OK;
}

static int by_key(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

/* The identities that stand in the triplets of what is asked for: ascending, each once. */
static enum ceir_err expand(const struct triplet_question *q, struct gather *g)
{
	uint32_t most = TRIPLET_EXPAND_MAX + 1;
	size_t n = 0;
	enum ceir_err err;

	*g = (struct gather){.q = q, .keys = arena_array(q->x->arena, most, sizeof *g->keys)};
	if (!g->keys)
		return CEIR_ENOMEM;
	if (q->by == TRIPLET_IMEI)
		err = triplets_by_imei(q->view, q->key, NULL, most, note_key, g);
	else if (q->by == TRIPLET_IMSI)
		err = triplets_by_imsi(q->view, q->key, most, note_key, g);
	else
		err = triplets_by_msisdn(q->view, q->key, most, note_key, g);
	if (err)
		return err;
	qsort(g->keys, g->n, sizeof *g->keys, by_key);
	for (size_t i = 0; i < g->n; i++)
		if (!i || g->keys[i] != g->keys[i - 1])
			g->keys[n++] = g->keys[i];
	g->n = n;
	return CEIR_OK;
}

enum ceir_err triplet_find(struct triplet_question *q, const struct triplet_row *after, struct triplet_found *out)
{
	struct page p = {.q = q, .out = out};
	struct gather g;
	enum ceir_err err = CEIR_OK;

	*out = (struct triplet_found){.rows = arena_array(q->x->arena, (size_t)q->limit + 2, sizeof *out->rows)};
	if (!out->rows)
		return CEIR_ENOMEM;
	if (q->of == q->by) {
		g = (struct gather){.keys = &q->key, .n = 1};
	} else {
		err = expand(q, &g);
	}
	for (size_t i = 0; i < g.n && !err && !full(&p) && !out->stopped; i++) {
		p.group = g.keys[i];
		if (after && p.group < after->group)
			continue;
		p.has_after = after && p.group == after->group;
		if (p.has_after)
			p.after = after->t;
		err = rows_of(&p, q->of, p.group);
	}
	return err;
}

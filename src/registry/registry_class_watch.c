/* registry_class_watch.c - watched IMEIs that a network sees: a message to who watches, at most one an hour for each watch. */
#include "registry/registry_class.h"

#define AGAIN_S 3600
#define AHEAD_S 3

/* One watch waits once, with the latest time. */
void reg_class_hit(struct reg_class *c, struct reg_hit hit)
{
	for (size_t i = 0; i < c->n_hits; i++) {
		if (c->hits[i].row != hit.row)
			continue;
		if (c->hits[i].at_s < hit.at_s)
			c->hits[i].at_s = hit.at_s;
		return;
	}
	if (c->n_hits < REG_HITS_MAX)
		c->hits[c->n_hits++] = hit;
}

/* Every account that watches it. */
static void seen(struct reg_class *c, const struct reg_tables *t, uint64_t imei, int64_t at_s, int64_t now_us)
{
	for (const struct reg_watch *w = NULL; (w = reg_tables_watch(t, imei, now_us, w));) {
		pthread_mutex_lock(&c->lock);
		reg_class_hit(c, (struct reg_hit){w->row, at_s});
		pthread_cond_signal(&c->wake);
		pthread_mutex_unlock(&c->lock);
	}
}

void reg_class_seen(struct registry *r, const struct sighting *rows, size_t n)
{
	struct reg_tables *t = reg_class_tables_take(r);
	int64_t now_us = t->n_watches ? clock_real_us() : 0;

	for (size_t i = 0; i < n && t->n_watches; i++)
		seen(r->class, t, rows[i].imei, rows[i].at_s, now_us);
	reg_tables_give(t);
}

/* ---- after a start ---- */

static enum ceir_err latest(void *ctx, const struct triplet *t)
{
	uint32_t *last_s = ctx;

	if (t->last_s > *last_s)
		*last_s = t->last_s;
	return CEIR_OK;
}

enum ceir_err reg_class_watches(struct registry *r)
{
	struct reg_tables *t = reg_class_tables_take(r);
	struct triplets_view *view = triplets_view_new(r->triplets);
	int64_t now_us = clock_real_us();
	enum ceir_err err = view ? CEIR_OK : CEIR_ENOMEM;

	for (size_t i = 0; i < t->n_watches && !err; i++) {
		uint32_t last_s = 0;

		err = triplets_by_imei(view, t->watches[i].imei, NULL, 0, latest, &last_s);
		/*
		 * A sighting says whole seconds, and after a start the times of commands run ahead of the clock. What was told already is left
		 * out by tell_one().
		 */
		if (!err && last_s && (last_s + AHEAD_S) * SECOND_US > t->watches[i].since_us)
			seen(r->class, t, t->watches[i].imei, last_s, now_us);
	}
	if (view)
		triplets_view_free(view);
	reg_tables_give(t);
	return err;
}

/* ---- telling ---- */

struct tell {
	const struct reg_hit *hits;
	size_t n;
};

static enum ceir_err tell_one(struct exec *x, const struct reg_hit *hit)
{
	struct store_val w[WATCH_N];
	enum ceir_err err = store_get(x->db, &STORE_WATCH, WATCH_ID, store_int(hit->row), x->arena, w);

	if (err)
		return err == CEIR_ENOENT ? CEIR_OK : err;
	if (!reg_val_is(w[WATCH_STATUS], "active")
		|| (!w[WATCH_LAST_SEEN].null && hit->at_s * SECOND_US < w[WATCH_LAST_SEEN].i + AGAIN_S * SECOND_US))
		return CEIR_OK;
	struct str args[] = {reg_print_imei(x, (struct imei){(uint64_t)w[WATCH_IMEI].i}), reg_print_time(x, hit->at_s * SECOND_US),
		w[WATCH_CODE].s};
	w[WATCH_LAST_SEEN] = store_int(hit->at_s * SECOND_US);
	err = store_update(x->db, &STORE_WATCH, hit->row, 1u << WATCH_LAST_SEEN, w);
	return err ? err : reg_message_to(x, w[WATCH_CR_ID].s, REG_MESSAGE_WATCH_SEEN, args, CEIR_COUNT(args));
}

static enum ceir_err tell_all(struct exec *x)
{
	const struct tell *t = x->arg;
	enum ceir_err err = CEIR_OK;

	for (size_t i = 0; i < t->n && !err; i++)
		err = tell_one(x, &t->hits[i]);
	return err;
}

enum ceir_err reg_class_tell(struct registry *r, const struct reg_hit *hits, size_t n)
{
	struct tell t = {hits, n};
	struct arena *arena = n ? arena_new(4 << 20) : NULL;
	enum ceir_err err = !n ? CEIR_OK : arena ? reg_write(r, arena, tell_all, &t, false) : CEIR_ENOMEM;

	arena_free(arena);
	return err;
}

/*
 * triplets_remember.c - rows of a group of batches become a run in memory; which of them are new is found out on the way. Leader only.
 *
 * A row brings its pairs when no segment has it: segments never lose a triplet, and the pairs of one that is only in memory are there
 * too. What stands in memory within the gap needs no look at the disk at all.
 */
#include "triplets/triplets_internal.h"

#include <stdlib.h>

#define SMALL 200           /* fewer are sorted without scratch memory */
#define AHEAD 4             /* rows: how long before it is looked up a row's block is fetched; its piece of the index as long before that */
#define JOIN_PART 8         /* runs of more rows than this part of a generation are left as they are */

static int row_order(const void *a, const void *b)
{
	return row_cmp(a, b);
}

static enum ceir_err sort_rows(struct row *rows, size_t n)
{
	static const unsigned words[] = {0, 1, 2, 3};

	if (n <= SMALL) {
		qsort(rows, n, sizeof(*rows), row_order);
		return CEIR_OK;
	}
	void *scratch = malloc(n * sizeof(*rows));
	if (!scratch)
		return CEIR_ENOMEM;
	enum ceir_err err = sort_records(rows, scratch, n, sizeof(*rows), words, 4, 1);
	free(scratch);
	return err;
}

/* How a row was found. */
struct found {
	bool stored, memory, returned;
};

/* One key, joined from the batches. maybe: runs in memory may have its IMEI. */
static enum ceir_err look(struct triplets *t, struct triplets_view *v, const struct row *joined, bool maybe, struct found *f)
{
	struct row known = {0};
	struct row key = *joined;

	*f = (struct found){0};
	/* In memory, and not long ago: then it is neither new nor back. */
	for (size_t i = maybe ? v->version->n_runs : 0; i-- > 0;) {
		const struct memory *m = v->version->runs[i];
		if (!memory_may_have(m, key.key[0]))
			continue;
		size_t at = memory_seek(m, key.key, TRIPLETS_KEYS);
		if (at == m->n || row_cmp(&m->rows[at], &key) != 0)
			continue;
		f->memory = true;
		if (key.episode_s <= m->rows[at].last_s || key.episode_s - m->rows[at].last_s <= t->gap_s)
			return CEIR_OK;
	}
	enum ceir_err err = view_probe(v, key.key, &f->stored, &f->memory, &known);
	if (!err && (f->stored || f->memory))
		f->returned = key.episode_s > known.last_s && key.episode_s - known.last_s > t->gap_s;
	return err;
}

struct joining {
	char *extra; /* of joined rows */
	size_t n, cap;
};

/* The bytes are the combiner's: kept. Room: see remember(). */
static void keep_extra(struct joining *j, struct row *row)
{
	CEIR_ASSERT(row->extra.n <= j->cap - j->n);
	if (row->extra.n == 0)
		return;
	memcpy(j->extra + j->n, row->extra.p, row->extra.n);
	row->extra.p = j->extra + j->n;
	j->n += row->extra.n;
}

/* Row i is looked up now; what the disk has of some rows behind it comes into the cache meanwhile. */
static void hint_ahead(const struct triplets_view *v, const struct row *rows, size_t i, size_t n)
{
	if (i + 2 * AHEAD < n)
		view_hint(v, rows[i + 2 * AHEAD].key[0], true);
	if (i + AHEAD < n)
		view_hint(v, rows[i + AHEAD].key[0], false);
}

/*
 * Joins rows of equal keys in place, and tells which are fresh. *n becomes the number of distinct ones. fresh[i], before: memory may have
 * the IMEI of row i.
 */
static enum ceir_err join_rows(struct triplets *t, struct triplets_view *v, struct row *rows, bool *fresh, size_t *n, struct joining *j,
	const struct touched_rows *touched)
{
	struct combiner c;
	size_t out = 0;
	enum ceir_err err = CEIR_OK;

	combiner_init(&c, t->gap_s, 0);
	for (size_t i = 0, end; i < *n && !err; i = end) {
		struct row joined;
		struct found f = {0};
		hint_ahead(v, rows, i, *n);
		bool is_maybe = fresh[i];
		for (end = i + 1; end < *n && row_cmp(&rows[i], &rows[end]) == 0;)
			end++;
		err = combine_rows(&c, rows + i, end - i, &joined);
		if (!err)
			err = look(t, v, &joined, is_maybe, &f);
		if (err == CEIR_ECORRUPT || err == CEIR_EIO) {
			/* A damaged block (the log names it) must not keep sightings out: the row counts as new. */
			f = (struct found){0};
			err = CEIR_OK;
		}
		bool is_new = !f.stored && !f.memory;
		for (size_t k = i; k < end && touched && (is_new || f.returned); k++)
			touched->touch(touched->ctx, &rows[k]);
		if (end - i > 1)
			keep_extra(j, &joined);
		fresh[out] = is_new;
		rows[out++] = joined;
	}
	*n = out;
	combiner_free(&c);
	return err;
}

/* Joins the new run with those of like size before it, as long as the result is not large. Takes `add` over. */
static enum ceir_err install(struct triplets *t, struct memory *add)
{
	struct combiner c;
	size_t n_old = 0;
	struct version *v = triplets_version(t);

	combiner_init(&c, t->gap_s, 0);
	while (n_old < v->n_runs) {
		const struct memory *last = v->runs[v->n_runs - 1 - n_old];
		bool crowded = v->n_runs - n_old > VERSION_RUNS_MAX / 2;
		if (last->generation != add->generation)
			break;
		if (!crowded && (last->n > 2 * add->n || last->n + add->n > t->memory_rows_max / JOIN_PART))
			break;
		struct memory *joined = memory_join(last, add, &c);
		if (!joined)
			break; /* no memory for it: more runs, that is all */
		memory_unref(add);
		add = joined;
		n_old++;
	}
	combiner_free(&c);
	version_unref(v);
	return triplets_install_memory(t, n_old, add);
}

enum ceir_err triplets_remember(struct triplets *t, struct row *rows, size_t n, const struct touched_rows *touched)
{
	struct joining j = {0};
	enum ceir_err err = n ? sort_rows(rows, n) : CEIR_OK;

	if (err || n == 0)
		return err;
	for (size_t i = 0; i < n; i++)
		j.cap += rows[i].extra.n + 12; /* a joined row has at most a length byte and an episode more for each */
	j.extra = malloc(j.cap);
	bool *fresh = calloc(n, sizeof(*fresh));
	struct triplets_view *v = triplets_view_new(t);
	struct memory *m = NULL;
	if (!j.extra || !fresh || !v)
		err = CEIR_ENOMEM;
	for (size_t i = 0; !err && i < v->version->n_runs; i++)
		memory_may_have_rows(v->version->runs[i], rows, n, fresh);
	if (!err)
		err = join_rows(t, v, rows, fresh, &n, &j, touched);
	if (!err) {
		m = memory_new(rows, fresh, n, t->generation);
		err = m ? CEIR_OK : CEIR_ENOMEM;
	}
	triplets_view_free(v);
	if (!err)
		err = install(t, m);
	free(fresh);
	free(j.extra);
	return err;
}

/*
 * triplets_sight.c - sightings in real time. Callers queue; one of them leads: it writes the batches of all that wait as records of
 * the journal, syncs once, puts the rows into memory and wakes the others. What the journal has is idempotent, so that it does no
 * harm when a batch is there that was refused in the end.
 */
#include "triplets/triplets_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#define GROUP_ROWS 65536   /* of one leader's turn, at least one batch */
#define GROUP_REQUESTS 512
#define BATCH_ROWS_MAX (4u << 20) /* in one call: a record of the journal stays below JOURNAL_PAYLOAD_MAX */

struct sight_request {
	uint8_t op;
	uint64_t batch;
	const struct sighting *rows;
	const struct str *cells;
	size_t n;
	bool done;
	bool wants_touched;
	enum ceir_err err;
	uint64_t *touched;
	size_t n_touched, cap_touched;
	struct sight_request *next;
};

struct group {
	struct sight_request *v[GROUP_REQUESTS];
	size_t n, rows;
};

/* ---- rows -------------------------------------------------------------------------------------------------------- */

static size_t group_cells(const struct group *g)
{
	size_t bytes = 0;

	for (size_t i = 0; i < g->n; i++)
		for (size_t k = 0; g->v[i]->cells && k < g->v[i]->n; k++)
			bytes += 1 + (g->v[i]->cells[k].n > TRIPLET_CELL_MAX ? TRIPLET_CELL_MAX : g->v[i]->cells[k].n);
	return bytes;
}

/* All rows of the batches that are taken; the tag is the request's place in the group. */
static size_t group_fill(const struct group *g, struct row *rows, char *cells)
{
	size_t n = 0;

	for (size_t i = 0; i < g->n; i++) {
		const struct sight_request *r = g->v[i];
		for (size_t k = 0; r->err == CEIR_OK && k < r->n; k++) {
			const struct sighting *s = &r->rows[k];
			struct str extra = {cells, r->cells ? extra_of_cell(r->cells[k], cells) : 0};
			cells += extra.n;
			rows[n++] = (struct row){.key = {s->imei, s->imsi, s->msisdn, r->op}, .first_s = s->at_s, .episode_s = s->at_s,
				.last_s = s->at_s, .mark = (uint16_t)(s->event | s->rat << 8), .tag = (uint16_t)i, .extra = extra};
		}
	}
	return n;
}

static void touch(void *ctx, const struct row *row)
{
	const struct group *g = ctx;
	struct sight_request *r = g->v[row->tag];

	if (!r->wants_touched || (r->n_touched && r->touched[r->n_touched - 1] == row->key[0]))
		return;
	if (r->n_touched == r->cap_touched) {
		size_t cap = r->cap_touched ? r->cap_touched * 2 : 16;
		uint64_t *v = realloc(r->touched, cap * sizeof(*v));
		if (!v) {
			r->err = CEIR_ENOMEM;
			return;
		}
		r->touched = v;
		r->cap_touched = cap;
	}
	r->touched[r->n_touched++] = row->key[0];
}

/* ---- journal ----------------------------------------------------------------------------------------------------- */

static enum ceir_err write_at(int fd, const char *p, size_t n, uint64_t at)
{
	while (n > 0) {
		ssize_t done = pwrite(fd, p, n, (off_t)at);
		if (done < 0 && errno == EINTR)
			continue;
		if (done < 0)
			return ceir_err_of_errno(errno);
		p += done;
		n -= (size_t)done;
		at += (uint64_t)done;
	}
	return CEIR_OK;
}

static enum ceir_err write_journal(struct triplets *t, const struct group *g)
{
	struct buf b = BUF_INIT(0);
	enum ceir_err err = CEIR_OK;

	for (size_t i = 0; i < g->n; i++)
		if (g->v[i]->err == CEIR_OK)
			journal_put(&b, g->v[i]->op, g->v[i]->batch, g->v[i]->rows, g->v[i]->cells, g->v[i]->n);
	if (b.failed)
		err = CEIR_ENOMEM;
	if (!err && b.n)
		err = write_at(t->journal_fd, b.p, b.n, t->journal_at);
	if (!err && b.n && fdatasync(t->journal_fd) != 0)
		err = ceir_err_of_errno(errno);
	if (err) {
		/* The next record goes to the same place; a half one must not stand behind it. */
		log_error(ROOM, "%s: the journal %llu cannot be written: %s", t->dir, (unsigned long long)t->journal_file, ceir_err_text(err));
		if (ftruncate(t->journal_fd, (off_t)t->journal_at) != 0)
			log_error(ROOM, "%s: nor cut off", t->dir);
	} else {
		t->journal_at += b.n;
		pthread_mutex_lock(&t->lock);
		t->journal_bytes += b.n;
		pthread_mutex_unlock(&t->lock);
	}
	buf_free(&b);
	return err;
}

/* ---- a full generation is frozen --------------------------------------------------------------------------------- */

static size_t active_rows(struct triplets *t)
{
	size_t rows = 0;

	for (size_t i = 0; i < t->version->n_runs; i++)
		if (t->version->runs[i]->generation == t->generation)
			rows += t->version->runs[i]->n;
	return rows;
}

static enum ceir_err edit_journal(void *ctx, struct manifest *m)
{
	return manifest_add_journal(m, *(const uint64_t *)ctx);
}

/* A new journal and a new generation. The frozen one is free. Leader only. */
static enum ceir_err freeze(struct triplets *t)
{
	struct buf batches = BUF_INIT(BATCHES_FILE_MAX);
	uint64_t file = triplets_new_file(t);
	char path[TRIPLETS_PATH_MAX];
	int fd = -1;

	batches_print(t->batches, &batches);
	enum ceir_err err = batches.failed ? CEIR_ENOMEM : journal_create(t, file, &fd);
	if (!err)
		err = triplets_switch(t, &(struct change){.edit = edit_journal, .ctx = &file});
	if (err) {
		buf_free(&batches);
		if (fd >= 0) {
			(void)close(fd);
			file_path(t->dir, file, "journal", path);
			(void)unlink(path);
		}
		return err;
	}
	(void)close(t->journal_fd);
	t->journal_fd = fd;
	t->journal_file = file;
	t->journal_at = JOURNAL_HEADER;
	pthread_mutex_lock(&t->lock);
	buf_free(&t->frozen_batches);
	t->frozen_batches = batches;
	t->frozen_journals = file;
	t->frozen = true;
	t->generation++;
	t->journal_bytes = JOURNAL_HEADER;
	pthread_cond_broadcast(&t->flush_wanted);
	pthread_mutex_unlock(&t->lock);
	return CEIR_OK;
}

/*
 * Sees to it that the present generation has room: freezes a full one. Waits while the one before is being written, and gives up
 * when that cannot be written (a full disk).
 */
static enum ceir_err make_room(struct triplets *t)
{
	enum ceir_err err = CEIR_OK;

	pthread_mutex_lock(&t->lock);
	bool full = active_rows(t) >= t->memory_rows_max;
	while (full && t->frozen && !t->flush_err)
		pthread_cond_wait(&t->flush_done, &t->lock);
	if (full && t->frozen)
		err = t->flush_err;
	pthread_mutex_unlock(&t->lock);
	return full && !err ? freeze(t) : err;
}

/* ---- leading ----------------------------------------------------------------------------------------------------- */

/* A number taken before, or in this group already. */
static bool is_repeated(struct triplets *t, const struct group *g, size_t i)
{
	const struct sight_request *r = g->v[i];

	if (r->batch == 0)
		return false;
	for (size_t k = 0; k < i; k++)
		if (g->v[k]->err == CEIR_OK && g->v[k]->batch == r->batch && g->v[k]->op == r->op)
			return true;
	return batches_has(t->batches, r->op, r->batch);
}

static enum ceir_err remember_group(struct triplets *t, struct group *g)
{
	struct row *rows = malloc((g->rows ? g->rows : 1) * sizeof(*rows));
	char *cells = malloc(group_cells(g) + 1);
	enum ceir_err err = rows && cells ? CEIR_OK : CEIR_ENOMEM;

	if (!err) {
		size_t n = group_fill(g, rows, cells);
		err = triplets_remember(t, rows, n, &(struct touched_rows){touch, g});
		atomic_fetch_add_explicit(&t->sightings, n, memory_order_relaxed);
	}
	free(rows);
	free(cells);
	return err;
}

static void commit(struct triplets *t, struct group *g)
{
	enum ceir_err err = make_room(t);

	for (size_t i = 0; i < g->n; i++)
		if (is_repeated(t, g, i))
			g->v[i]->err = CEIR_EEXIST;
	if (!err)
		err = write_journal(t, g);
	if (!err)
		err = remember_group(t, g);
	for (size_t i = 0; i < g->n; i++) {
		struct sight_request *r = g->v[i];
		/* A number that was taken before is told even when nothing could be written now. */
		if (r->err == CEIR_EEXIST && (!err || batches_has(t->batches, r->op, r->batch)))
			continue;
		if (err)
			r->err = err;
		else if (r->batch && batches_add(t->batches, r->op, r->batch))
			r->err = CEIR_ENOMEM;
	}
}

/* The requests at the head of the queue. sight_lock is held. */
static void take_group(struct triplets *t, struct group *g)
{
	g->n = g->rows = 0;
	while (t->queue && g->n < GROUP_REQUESTS && (g->n == 0 || g->rows + t->queue->n <= GROUP_ROWS)) {
		g->v[g->n++] = t->queue;
		g->rows += t->queue->n;
		t->queue = t->queue->next;
	}
	if (!t->queue)
		t->queue_end = &t->queue;
}

static void lead(struct triplets *t)
{
	struct group g;

	t->leading = true;
	take_group(t, &g);
	pthread_mutex_unlock(&t->sight_lock);
	commit(t, &g);
	pthread_mutex_lock(&t->sight_lock);
	for (size_t i = 0; i < g.n; i++)
		g.v[i]->done = true;
	t->leading = false;
	pthread_cond_broadcast(&t->sight_done);
}

enum ceir_err triplets_sight(struct triplets *t, uint8_t op, uint64_t batch, const struct sighting *rows, const struct str *cells, size_t n,
	triplets_touched touched, void *ctx)
{
	struct sight_request r = {.op = op, .batch = batch, .rows = rows, .cells = cells, .n = n, .wants_touched = touched != NULL};

	if (op == 0 || n > BATCH_ROWS_MAX)
		return CEIR_ERANGE;
	for (size_t i = 0; i < n; i++)
		if (rows[i].imei == UINT64_MAX || rows[i].imsi == UINT64_MAX || rows[i].msisdn == UINT64_MAX)
			return CEIR_EINVAL; /* keys that mean "the end" here */
	pthread_mutex_lock(&t->sight_lock);
	*t->queue_end = &r;
	t->queue_end = &r.next;
	while (!r.done) {
		if (t->leading)
			pthread_cond_wait(&t->sight_done, &t->sight_lock);
		else
			lead(t);
	}
	pthread_mutex_unlock(&t->sight_lock);
	if (r.n_touched && r.err == CEIR_OK)
		touched(ctx, r.touched, r.n_touched);
	free(r.touched);
	return r.err;
}

/* Waits until nothing is frozen. What could not be written before is tried again at once. */
static enum ceir_err wait_for_flusher(struct triplets *t)
{
	pthread_mutex_lock(&t->lock);
	if (t->frozen && t->flush_err) {
		t->flush_err = CEIR_OK;
		pthread_cond_broadcast(&t->flush_wanted);
	}
	while (t->frozen && !t->flush_err)
		pthread_cond_wait(&t->flush_done, &t->lock);
	enum ceir_err err = t->frozen ? t->flush_err : CEIR_OK;
	pthread_mutex_unlock(&t->lock);
	return err;
}

enum ceir_err triplets_flush(struct triplets *t)
{
	pthread_mutex_lock(&t->sight_lock);
	while (t->leading)
		pthread_cond_wait(&t->sight_done, &t->sight_lock);
	t->leading = true;
	pthread_mutex_unlock(&t->sight_lock);

	enum ceir_err err = wait_for_flusher(t);
	pthread_mutex_lock(&t->lock);
	bool some = active_rows(t) > 0;
	pthread_mutex_unlock(&t->lock);
	if (!err && some)
		err = freeze(t);

	pthread_mutex_lock(&t->sight_lock);
	t->leading = false;
	pthread_cond_broadcast(&t->sight_done);
	pthread_mutex_unlock(&t->sight_lock);
	return err ? err : wait_for_flusher(t);
}

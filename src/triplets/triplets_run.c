/*
 * triplets_run.c - staging a delivery: rows are gathered, sorted, joined and written as runs, which are segments in the form of the
 * first tree that nobody sees yet. While one buffer is sorted and written, the next is filled.
 *
 * Memory: a buffer begins small and doubles; all intakes together keep to intake_bytes_max, and one that gets no more writes the
 * run that it has. A delivery of ten rows costs some kilobytes and no thread.
 */
#include "triplets/triplets_internal.h"

#include <stdlib.h>
#include <unistd.h>

#define FIRST_BYTES ((size_t)32 << 10)
#define PLAIN_BYTES sizeof(struct sighting)

/* With a cell: where it begins in the buffer's cells; 0: none. */
struct located {
	struct sighting s;
	uint64_t cell;
};

struct buffer {
	char *records;   /* struct sighting, or struct located */
	size_t bytes;    /* of memory */
	size_t n, size;  /* records, and bytes of one */
	struct buf cells; /* each as in a row's extra bytes */
};

static size_t capacity(const struct buffer *b)
{
	return b->bytes / b->size;
}

struct run {
	uint64_t file, rows;
};

struct triplets_intake {
	struct triplets *t;
	uint8_t op;
	uint32_t min_s, max_s;
	uint64_t rows;
	size_t charged;        /* of t->intake_bytes */
	struct buffer filling;

	/* From here on, under lock as soon as there is a thread. */
	pthread_mutex_t lock;
	pthread_cond_t changed;
	struct buffer sorting; /* of the thread while full is set */
	bool full, stop;
	enum ceir_err err;
	char *scratch;
	size_t scratch_bytes;
	struct run *runs;
	size_t n_runs;
	pthread_t thread;
	bool has_thread;
};

/*
 * Whether it may have that many bytes more: a half of what is left, so that the next one gets something too. A sixteenth of all
 * is for everybody: below that a large delivery would be cut in too many runs.
 */
static bool charge(struct triplets_intake *in, size_t bytes)
{
	uint64_t max = in->t->intake_bytes_max;
	uint64_t used = atomic_fetch_add_explicit(&in->t->intake_bytes, bytes, memory_order_relaxed);

	if (in->charged + bytes > max / 16 && (used > max || bytes > (max - used) / 2)) {
		atomic_fetch_sub_explicit(&in->t->intake_bytes, bytes, memory_order_relaxed);
		return false;
	}
	in->charged += bytes;
	return true;
}

enum ceir_err triplets_intake_new(struct triplets *t, uint8_t op, struct triplets_intake **out)
{
	if (op == 0)
		return CEIR_ERANGE;
	struct triplets_intake *in = calloc(1, sizeof(*in));
	if (!in)
		return CEIR_ENOMEM;
	in->t = t;
	in->op = op;
	in->min_s = UINT32_MAX;
	in->filling.size = in->sorting.size = PLAIN_BYTES;
	pthread_mutex_init(&in->lock, NULL);
	pthread_cond_init(&in->changed, NULL);
	*out = in;
	return CEIR_OK;
}

/* ---- one run ----------------------------------------------------------------------------------------------------- */

static const struct sighting *record(const struct buffer *b, size_t i)
{
	return (const struct sighting *)(const void *)(b->records + i * b->size);
}

static void record_row(const struct buffer *b, size_t i, uint8_t op, struct row *row)
{
	const struct sighting *s = record(b, i);

	*row = (struct row){.key = {s->imei, s->imsi, s->msisdn, op}, .first_s = s->at_s, .episode_s = s->at_s, .last_s = s->at_s,
		.mark = (uint16_t)(s->event | s->rat << 8)};
	if (b->size == PLAIN_BYTES)
		return;
	uint64_t at = ((const struct located *)(const void *)s)->cell;
	if (at)
		row->extra = (struct str){b->cells.p + at, (size_t)(unsigned char)b->cells.p[at] + 1};
}

static bool same_triplet(const struct sighting *a, const struct sighting *b)
{
	return a->imei == b->imei && a->imsi == b->imsi && a->msisdn == b->msisdn;
}

/* Records are sorted. Rows of one triplet are joined a few at a time. */
static enum ceir_err write_rows(const struct buffer *b, uint8_t op, struct combiner *c, struct sink *s)
{
	struct row rows[8];
	char extra[SEGMENT_EXTRA_MAX];
	enum ceir_err err = CEIR_OK;

	for (size_t i = 0; i < b->n && !err;) {
		const struct sighting *first = record(b, i);
		size_t n = 1;
		record_row(b, i++, op, &rows[0]);
		while (i < b->n && same_triplet(first, record(b, i)) && !err) {
			record_row(b, i++, op, &rows[n++]);
			if (n < CEIR_COUNT(rows))
				continue;
			err = combine_rows(c, rows, n, &rows[0]);
			/* The next call of combine_rows() overwrites the combiner's bytes. */
			if (!err && rows[0].extra.n) {
				memcpy(extra, rows[0].extra.p, rows[0].extra.n);
				rows[0].extra.p = extra;
			}
			n = 1;
		}
		if (!err && n > 1)
			err = combine_rows(c, rows, n, &rows[0]);
		if (!err)
			err = sink_row(s, &rows[0]);
	}
	return err;
}

static enum ceir_err add_run(struct triplets_intake *in, uint64_t file, uint64_t rows)
{
	struct run *runs = realloc(in->runs, (in->n_runs + 1) * sizeof(*runs));

	if (!runs) {
		char path[TRIPLETS_PATH_MAX];
		file_path(in->t->dir, file, "seg", path);
		(void)unlink(path);
		return CEIR_ENOMEM;
	}
	in->runs = runs;
	in->runs[in->n_runs++] = (struct run){file, rows};
	return CEIR_OK;
}

/* Sorts b and writes it; b is empty afterwards. Without the lock: full is set, or there is no thread. */
static enum ceir_err write_run(struct triplets_intake *in, struct buffer *b, unsigned threads)
{
	static const unsigned words[] = {0, 1, 2};
	struct combiner c;
	uint64_t file, rows;
	struct sink *s = sink_new(in->t, TREE_TRIPLETS);
	enum ceir_err err = s ? CEIR_OK : CEIR_ENOMEM;

	if (s)
		s->is_run = true;
	combiner_init(&c, in->t->gap_s, 0);
	if (!err && in->scratch_bytes < b->n * b->size) {
		free(in->scratch);
		in->scratch = malloc(b->bytes);
		in->scratch_bytes = in->scratch ? b->bytes : 0;
		err = in->scratch ? CEIR_OK : CEIR_ENOMEM;
	}
	if (!err)
		err = sort_records(b->records, in->scratch, b->n, b->size, words, 3, threads);
	if (!err)
		err = write_rows(b, in->op, &c, s);
	if (!err)
		err = sink_close(s, &file, &rows);
	if (!err && file)
		err = add_run(in, file, rows);
	sink_free(s);
	combiner_free(&c);
	b->n = 0;
	buf_clear(&b->cells);
	return err;
}

static void *sorter_thread(void *arg)
{
	struct triplets_intake *in = arg;

	pthread_mutex_lock(&in->lock);
	for (;;) {
		while (!in->full && !in->stop)
			pthread_cond_wait(&in->changed, &in->lock);
		if (!in->full)
			break;
		pthread_mutex_unlock(&in->lock);
		enum ceir_err err = write_run(in, &in->sorting, 1);
		pthread_mutex_lock(&in->lock);
		if (err && !in->err)
			in->err = err;
		in->full = false;
		pthread_cond_broadcast(&in->changed);
	}
	pthread_mutex_unlock(&in->lock);
	return NULL;
}

/* ---- filling ----------------------------------------------------------------------------------------------------- */

/* Gives the full buffer to the thread, as soon as that is free, and takes the one that it has emptied. */
static enum ceir_err hand_over(struct triplets_intake *in)
{
	enum ceir_err err;

	if (in->filling.n == 0)
		return CEIR_OK;
	if (!in->has_thread) {
		err = thread_start("ceir-intake", sorter_thread, in, &in->thread);
		if (err)
			return err;
		in->has_thread = true;
	}
	pthread_mutex_lock(&in->lock);
	while (in->full)
		pthread_cond_wait(&in->changed, &in->lock);
	err = in->err;
	if (!err) {
		struct buffer empty = in->sorting;
		in->sorting = in->filling;
		in->filling = empty;
		in->filling.size = in->sorting.size;
		in->full = true;
		pthread_cond_broadcast(&in->changed);
	}
	pthread_mutex_unlock(&in->lock);
	return err;
}

/* Room for one more record at least. Bytes are charged for both buffers and the room for sorting. */
static enum ceir_err make_room(struct triplets_intake *in)
{
	struct buffer *b = &in->filling;

	if (b->n < capacity(b))
		return CEIR_OK;
	size_t bytes = b->bytes ? b->bytes * 2 : FIRST_BYTES;
	/* The second buffer was paid for together with the first; an empty one was handed over for it. */
	if (in->has_thread && b->bytes == 0)
		bytes = in->sorting.bytes;
	if (b->bytes == 0 || (!in->has_thread && charge(in, 3 * (bytes - b->bytes)))) {
		char *records = realloc(b->records, bytes);
		if (!records)
			return CEIR_ENOMEM;
		b->records = records;
		b->bytes = bytes;
		return CEIR_OK;
	}
	enum ceir_err err = hand_over(in);
	return err || b->n < capacity(b) ? err : make_room(in);
}

/* From now on records have cells; those that are there go first. */
static enum ceir_err begin_cells(struct triplets_intake *in)
{
	enum ceir_err err = hand_over(in);

	if (err)
		return err;
	in->filling.size = sizeof(struct located);
	return CEIR_OK;
}

static enum ceir_err put_cell(struct buffer *b, struct str cell, uint64_t *at)
{
	char bytes[TRIPLET_CELL_MAX + 1];
	size_t n = extra_of_cell(cell, bytes);

	*at = 0;
	if (n == 0)
		return CEIR_OK;
	if (b->cells.n == 0)
		buf_char(&b->cells, '\0'); /* so that no cell is at 0 */
	*at = b->cells.n;
	buf_put(&b->cells, bytes, n);
	return b->cells.failed ? CEIR_ENOMEM : CEIR_OK;
}

static enum ceir_err put_located(struct buffer *b, const struct sighting *rows, const struct str *cells, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		struct located *to = (struct located *)(void *)(b->records + b->n * b->size);
		to->s = rows[i];
		to->cell = 0;
		enum ceir_err err = cells ? put_cell(b, cells[i], &to->cell) : CEIR_OK;
		if (err)
			return err;
		b->n++;
	}
	return CEIR_OK;
}

static bool look_at(struct triplets_intake *in, const struct sighting *rows, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (rows[i].imei == UINT64_MAX || rows[i].imsi == UINT64_MAX || rows[i].msisdn == UINT64_MAX)
			return false;
		in->min_s = rows[i].at_s < in->min_s ? rows[i].at_s : in->min_s;
		in->max_s = rows[i].at_s > in->max_s ? rows[i].at_s : in->max_s;
	}
	return true;
}

enum ceir_err triplets_intake_add(struct triplets_intake *in, const struct sighting *rows, const struct str *cells, size_t n)
{
	enum ceir_err err = CEIR_OK;

	if (!look_at(in, rows, n))
		return CEIR_EINVAL; /* keys that mean "the end" here */
	in->rows += n;
	if (cells && in->filling.size == PLAIN_BYTES)
		err = begin_cells(in);
	while (n > 0 && !err) {
		struct buffer *b = &in->filling;
		err = make_room(in);
		if (err)
			return err;
		size_t some = capacity(b) - b->n < n ? capacity(b) - b->n : n;
		if (b->size == PLAIN_BYTES) {
			memcpy(b->records + b->n * b->size, rows, some * sizeof(*rows));
			b->n += some;
		} else {
			err = put_located(b, rows, cells, some);
		}
		rows += some;
		cells = cells ? cells + some : NULL;
		n -= some;
	}
	return err;
}

/* ---- the end ----------------------------------------------------------------------------------------------------- */

static void stop_thread(struct triplets_intake *in)
{
	if (!in->has_thread)
		return;
	pthread_mutex_lock(&in->lock);
	in->stop = true;
	pthread_cond_broadcast(&in->changed);
	pthread_mutex_unlock(&in->lock);
	(void)pthread_join(in->thread, NULL);
	in->has_thread = false;
}

static void intake_free(struct triplets_intake *in, bool remove_runs)
{
	for (size_t i = 0; remove_runs && i < in->n_runs; i++) {
		char path[TRIPLETS_PATH_MAX];
		file_path(in->t->dir, in->runs[i].file, "seg", path);
		(void)unlink(path);
	}
	atomic_fetch_sub_explicit(&in->t->intake_bytes, in->charged, memory_order_relaxed);
	free(in->filling.records);
	free(in->sorting.records);
	buf_free(&in->filling.cells);
	buf_free(&in->sorting.cells);
	free(in->scratch);
	free(in->runs);
	pthread_mutex_destroy(&in->lock);
	pthread_cond_destroy(&in->changed);
	free(in);
}

void triplets_intake_drop(struct triplets_intake *in)
{
	if (!in)
		return;
	stop_thread(in);
	intake_free(in, true);
}

struct staging {
	struct triplets_intake *in;
	uint64_t id;
};

static enum ceir_err edit_stage(void *ctx, struct manifest *m)
{
	struct staging *g = ctx;
	struct triplets_intake *in = g->in;
	struct manifest_staged s = {.op = in->op, .rows = in->rows, .min_s = in->min_s, .max_s = in->max_s, .n_files = in->n_runs};

	s.id = g->id = m->next_delivery++;
	s.files = calloc(in->n_runs ? in->n_runs : 1, sizeof(*s.files));
	if (!s.files)
		return CEIR_ENOMEM;
	for (size_t i = 0; i < in->n_runs; i++)
		s.files[i] = in->runs[i].file;
	return manifest_add_staged(m, &s);
}

enum ceir_err triplets_intake_stage(struct triplets_intake *in, uint64_t *id)
{
	struct triplets *t = in->t;
	struct staging g = {in, 0};

	stop_thread(in);
	enum ceir_err err = in->err;
	if (!err && in->filling.n)
		err = write_run(in, &in->filling, t->settings.threads);
	if (!err)
		err = triplets_switch(t, &(struct change){.edit = edit_stage, .ctx = &g});
	if (!err)
		*id = g.id;
	intake_free(in, err != CEIR_OK);
	return err;
}

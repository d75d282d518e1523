/* triplets_sink.c - rows and pairs on their way to disk. What is not finished leaves no file. */
#include "triplets/triplets_internal.h"

#include <stdlib.h>
#include <unistd.h>

struct sink *sink_new(struct triplets *t, unsigned tree)
{
	struct sink *s = malloc(sizeof(*s));

	if (!s)
		return NULL;
	s->t = t;
	s->tree = tree;
	s->file = 0;
	s->is_run = false;
	s->writer = NULL;
	s->n = s->n_bytes = 0;
	s->has_extra = false;
	return s;
}

void sink_free(struct sink *s)
{
	if (!s)
		return;
	segment_writer_drop(s->writer);
	free(s);
}

enum ceir_err sink_flush(struct sink *s)
{
	struct segment_rows rows = {.n = s->n, .extra = s->has_extra ? s->extra : NULL};
	enum ceir_err err = CEIR_OK;

	if (s->n == 0)
		return CEIR_OK;
	if (!s->writer) {
		char path[TRIPLETS_PATH_MAX];
		s->file = triplets_new_file(s->t);
		file_path(s->t->dir, s->file, "seg", path);
		struct segment_schema schema = triplets_schemas[s->tree];
		schema.filter = schema.filter && !s->is_run; /* nothing is looked up in a run */
		err = segment_writer_new(path, &schema, &s->writer);
	}
	for (unsigned c = 0; c < triplets_schemas[s->tree].columns; c++)
		rows.col[c] = s->col[c];
	if (!err)
		err = segment_writer_add(s->writer, &rows);
	s->n = s->n_bytes = 0;
	s->has_extra = false;
	return err;
}

/* The bytes are copied: what they point to may be gone before the buffer is full. */
static void take_extra(struct sink *s, struct str extra)
{
	if (extra.n && !s->has_extra) {
		s->has_extra = true;
		for (size_t i = 0; i < s->n; i++)
			s->extra[i] = (struct str){NULL, 0};
	}
	if (!s->has_extra)
		return;
	if (extra.n)
		memcpy(s->bytes + s->n_bytes, extra.p, extra.n);
	s->extra[s->n] = (struct str){s->bytes + s->n_bytes, extra.n};
	s->n_bytes += extra.n;
}

enum ceir_err sink_row(struct sink *s, const struct row *row)
{
	if (row->extra.n > SINK_EXTRA - s->n_bytes) {
		enum ceir_err err = sink_flush(s);
		if (err)
			return err;
	}
	take_extra(s, row->extra);
	size_t i = s->n;
	for (unsigned c = 0; c < TRIPLETS_KEYS; c++)
		s->col[c][i] = row->key[c];
	s->col[COL_FIRST][i] = row->first_s;
	s->col[COL_LENGTH][i] = row->last_s - row->episode_s;
	s->col[COL_OFFSET][i] = row->episode_s - row->first_s;
	s->col[COL_MARK][i] = row->mark;
	return ++s->n == SINK_ROWS ? sink_flush(s) : CEIR_OK;
}

enum ceir_err sink_close(struct sink *s, uint64_t *file, uint64_t *rows)
{
	struct segment_info info;
	enum ceir_err err = sink_flush(s);
	struct segment_writer *w = s->writer;

	*file = 0;
	*rows = 0;
	if (err || !w)
		return err;
	s->writer = NULL;
	err = segment_writer_finish(w, &info);
	if (err)
		return err;
	*file = s->file;
	*rows = info.rows;
	return CEIR_OK;
}

enum ceir_err sink_finish(struct sink *s, uint64_t group, struct parts *out)
{
	struct part *part = NULL;
	uint64_t file, rows;
	enum ceir_err err = sink_close(s, &file, &rows);

	if (err || file == 0)
		return err;
	err = part_open(s->t->dir, s->tree, file, group ? group : file, &part);
	if (err) {
		char path[TRIPLETS_PATH_MAX];
		file_path(s->t->dir, file, "seg", path);
		(void)unlink(path);
		return err;
	}
	err = parts_add(out, part_ref(part));
	if (err)
		atomic_store_explicit(&part->dead, true, memory_order_relaxed);
	part_unref(part);
	return err;
}

/* ---- pairs ------------------------------------------------------------------------------------------------------- */

#define SORTER_FIRST 1024

void pair_sorter_init(struct pair_sorter *p, struct triplets *t, unsigned tree, size_t max_bytes)
{
	*p = (struct pair_sorter){.t = t, .tree = tree, .max = max_bytes / (2 * sizeof(*p->v))};
	if (p->max < SORTER_FIRST)
		p->max = SORTER_FIRST;
}

void pair_sorter_free(struct pair_sorter *p)
{
	free(p->v);
	free(p->scratch);
	p->v = p->scratch = NULL;
}

static enum ceir_err sorter_grow(struct pair_sorter *p)
{
	size_t cap = p->cap ? p->cap * 2 : SORTER_FIRST;

	if (cap > p->max)
		cap = p->max;
	void *v = realloc(p->v, cap * sizeof(*p->v));
	if (!v)
		return CEIR_ENOMEM;
	p->v = v;
	p->cap = cap;
	return CEIR_OK;
}

static enum ceir_err sorter_write(struct pair_sorter *p, struct sink *s)
{
	static const unsigned words[] = {0, 1};

	free(p->scratch);
	p->scratch = malloc(p->cap * sizeof(*p->v));
	if (!p->scratch)
		return CEIR_ENOMEM;
	enum ceir_err err = sort_records(p->v, p->scratch, p->n, sizeof(*p->v), words, 2, 1);
	free(p->scratch);
	p->scratch = NULL;
	for (size_t i = 0; i < p->n && !err; i++)
		if (i == 0 || p->v[i][0] != p->v[i - 1][0] || p->v[i][1] != p->v[i - 1][1])
			err = sink_pair(s, p->v[i]);
	return err;
}

enum ceir_err pair_sorter_finish(struct pair_sorter *p, struct parts *out)
{
	if (p->n == 0)
		return CEIR_OK;
	struct sink *s = sink_new(p->t, p->tree);
	if (!s)
		return CEIR_ENOMEM;
	enum ceir_err err = sorter_write(p, s);
	if (!err)
		err = sink_finish(s, 0, out);
	sink_free(s);
	p->n = 0;
	return err;
}

enum ceir_err pair_sorter_add(struct pair_sorter *p, uint64_t a, uint64_t b, struct parts *out)
{
	enum ceir_err err = CEIR_OK;

	if (p->n && p->v[p->n - 1][0] == a && p->v[p->n - 1][1] == b)
		return CEIR_OK;
	if (p->n == p->cap)
		err = p->cap < p->max ? sorter_grow(p) : pair_sorter_finish(p, out);
	if (err)
		return err;
	p->v[p->n][0] = a;
	p->v[p->n++][1] = b;
	return CEIR_OK;
}

/* ---- touched IMEIs ----------------------------------------------------------------------------------------------- */

#define TOUCHED_MEMORY ((size_t)64 << 10)

void touched_init(struct touched *x, struct triplets *t)
{
	*x = (struct touched){.t = t, .last = UINT64_MAX, .fd = -1};
}

void touched_free(struct touched *x)
{
	free(x->v);
	if (x->fd >= 0)
		(void)close(x->fd);
	x->v = NULL;
	x->fd = -1;
}

static enum ceir_err touched_spill(struct touched *x)
{
	if (x->fd < 0) {
		char path[TRIPLETS_PATH_MAX];
		file_path(x->t->dir, triplets_new_file(x->t), "tmp", path);
		FILE *f = fopen(path, "w+xe");
		if (!f)
			return CEIR_EIO;
		x->fd = dup(fileno(f));
		(void)fclose(f);
		(void)unlink(path);
		if (x->fd < 0)
			return CEIR_EIO;
	}
	enum ceir_err err = fd_write_all(x->fd, x->v, x->n * sizeof(*x->v));
	x->spilled += x->n;
	x->n = 0;
	return err;
}

enum ceir_err touched_add(struct touched *x, uint64_t imei)
{
	if (imei == x->last)
		return CEIR_OK;
	if (x->n == x->cap && x->cap < TOUCHED_MEMORY) {
		size_t cap = x->cap ? x->cap * 2 : 64;
		uint64_t *v = realloc(x->v, cap * sizeof(*v));
		if (!v)
			return CEIR_ENOMEM;
		x->v = v;
		x->cap = cap;
	} else if (x->n == x->cap) {
		enum ceir_err err = touched_spill(x);
		if (err)
			return err;
	}
	x->last = x->v[x->n++] = imei;
	return CEIR_OK;
}

enum ceir_err touched_report(struct touched *x, triplets_touched call, void *ctx)
{
	enum ceir_err err = CEIR_OK;

	if (x->fd >= 0) {
		err = touched_spill(x);
		if (!err && lseek(x->fd, 0, SEEK_SET) != 0)
			err = CEIR_EIO;
		while (!err && x->spilled) {
			size_t n = x->spilled < x->cap ? (size_t)x->spilled : x->cap, have = 0;
			while (have < n * sizeof(*x->v)) {
				ssize_t got = read(x->fd, (char *)x->v + have, n * sizeof(*x->v) - have);
				if (got <= 0)
					return CEIR_EIO;
				have += (size_t)got;
			}
			call(ctx, x->v, n);
			x->spilled -= n;
		}
		return err;
	}
	if (x->n)
		call(ctx, x->v, x->n);
	return CEIR_OK;
}

/* segment_rows.h - rows for the tests of segments: made at random, kept as plain columns, found by walking. */
#ifndef SEGMENT_ROWS_H
#define SEGMENT_ROWS_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "segment/segment.h"

static uint64_t random_state = 0x9e3779b97f4a7c15u;

static inline uint64_t random64(void)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return random_state * UINT64_C(0x2545f4914f6cdd1d);
}

static inline uint64_t random_below(uint64_t n)
{
	return random64() % n;
}

struct model {
	struct segment_schema schema;
	size_t n;
	uint64_t *col[SEGMENT_COLUMNS];
	struct str *extra; /* NULL: none */
};

enum column_shape { SAME, NARROW, WIDE, FEW, PARTS, OUTLIERS, ANYTHING, EDGES, COLUMN_SHAPES };

/* One value of a column; a, b: numbers drawn once for the column. */
static inline uint64_t column_value(enum column_shape shape, uint64_t a, uint64_t b)
{
	switch (shape) {
	case SAME:
		return a;
	case NARROW:
		return a + random64() % (b % 5000 + 1);
	case WIDE:
		return a + (random64() >> b % 64);
	case FEW:
		return a * (1 + random_below(b % 50 + 1));
	case PARTS: /* a type and a serial number */
		return (35000000 + random_below(b % 300 + 1) * 104729) * 1000000 + random_below(1000000);
	case OUTLIERS:
		return random_below(60) ? 255010000000000 + random_below(1000000) : random_below(2) ? random_below(1000) : random64();
	case EDGES:
		return (const uint64_t[]){0, 1, UINT64_MAX, UINT64_C(1) << 63, UINT64_MAX - 1}[random_below(5)];
	default:
		return random64();
	}
}

static unsigned model_keys; /* for model_compare() */

static int model_compare(const void *a, const void *b)
{
	const uint64_t *x = a, *y = b;
	for (unsigned k = 0; k < model_keys; k++)
		if (x[k] != y[k])
			return x[k] < y[k] ? -1 : 1;
	return 0;
}

static void model_extra(struct model *m)
{
	m->extra = calloc(m->n + 1, sizeof *m->extra);
	for (size_t i = 0; i < m->n; i++) {
		if (random_below(20))
			continue;
		const size_t n = (const size_t[]){1, 2, 127, 128, 200, SEGMENT_EXTRA_MAX}[random_below(random_below(20) ? 3 : 6)];
		char *bytes = malloc(n);
		memset(bytes, (int)random_below(256), n);
		m->extra[i] = (struct str){bytes, n};
	}
}

/* At most n rows of such a schema; shapes drawn at random. */
static inline void model_make(struct model *m, const struct segment_schema *schema, size_t n)
{
	uint64_t(*rows)[SEGMENT_COLUMNS] = calloc(n + 1, sizeof *rows);
	*m = (struct model){.schema = *schema};
	for (unsigned c = 0; c < schema->columns; c++) {
		const enum column_shape shape = (enum column_shape)random_below(COLUMN_SHAPES);
		const uint64_t a = random64() >> random_below(64), b = random64();
		for (size_t i = 0; i < n; i++)
			rows[i][c] = column_value(shape, a, b);
		m->col[c] = malloc((n + 1) * sizeof(uint64_t));
	}
	model_keys = schema->keys;
	qsort(rows, n, sizeof *rows, model_compare);
	for (size_t i = 0; i < n; i++) {
		if (i > 0 && model_compare(rows[i - 1], rows[i]) == 0)
			continue;
		for (unsigned c = 0; c < schema->columns; c++)
			m->col[c][m->n] = rows[i][c];
		m->n++;
	}
	free(rows);
	if (schema->extra)
		model_extra(m);
}

static inline void model_free(struct model *m)
{
	for (size_t i = 0; m->extra && i < m->n; i++)
		free((void *)(uintptr_t)m->extra[i].p);
	free(m->extra);
	for (unsigned c = 0; c < SEGMENT_COLUMNS; c++)
		free(m->col[c]);
}

/* Writes the rows in steps of at most `step` rows. */
static inline enum ceir_err model_write(const struct model *m, const char *path, size_t step, struct segment_info *info)
{
	struct segment_writer *w;
	(void)unlink(path);
	enum ceir_err err = segment_writer_new(path, &m->schema, &w);
	if (err)
		return err;
	for (size_t i = 0; i < m->n;) {
		const size_t want = 1 + random_below(step), n = m->n - i < want ? m->n - i : want;
		struct segment_rows rows = {.n = n, .extra = m->extra ? m->extra + i : NULL};
		for (unsigned c = 0; c < m->schema.columns; c++)
			rows.col[c] = m->col[c] + i;
		err = segment_writer_add(w, &rows);
		if (err) {
			segment_writer_drop(w);
			return err;
		}
		i += n;
	}
	return segment_writer_finish(w, info);
}

/* The first row not below the key, found in the plain columns. */
static inline size_t model_find(const struct model *m, const uint64_t *key, unsigned n_key)
{
	size_t from = 0, n = m->n;
	while (n > 0) {
		const size_t half = n / 2;
		int order = 0;
		for (unsigned k = 0; k < n_key && order == 0; k++)
			order = m->col[k][from + half] < key[k] ? -1 : m->col[k][from + half] > key[k];
		if (order < 0) {
			from += half + 1;
			n -= half + 1;
		} else {
			n = half;
		}
	}
	return from;
}

#endif

/* Segments written and read again: every row, every seek, against plain columns in memory. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "segment_rows.h"
#include "test_amount.h"

#include "segment/segment_internal.h"

static char path[64];

static struct segment *open_model(const struct model *m, const struct segment_info *written)
{
	struct segment *s = NULL;
	struct segment_info info;
	assert_int_equal(segment_open(path, &m->schema, &s), CEIR_OK);
	segment_get_info(s, &info);
	assert_int_equal(info.rows, m->n);
	assert_memory_equal(&info, written, sizeof info);
	for (unsigned k = 0; k < m->schema.keys && m->n > 0; k++) {
		assert_int_equal(info.first[k], m->col[k][0]);
		assert_int_equal(info.last[k], m->col[k][m->n - 1]);
	}
	return s;
}

static void same_row(const struct model *m, size_t row, const struct segment_cursor *c, unsigned at)
{
	for (unsigned k = 0; k < m->schema.columns; k++)
		assert_int_equal(c->col[k][at], m->col[k][row]);
	const struct str expected = m->extra ? m->extra[row] : (struct str){NULL, 0};
	const struct str got = c->has_extra ? c->extra[at] : (struct str){NULL, 0};
	assert_true(str_eq(got, expected));
}

static void scan(const struct model *m, const struct segment *s)
{
	struct segment_cursor c = {.segment = NULL};
	size_t row = 0;
	enum ceir_err err;
	for (err = segment_seek(&c, s, NULL, 0); !err && c.n > 0; err = segment_next(&c)) {
		assert_int_equal(c.at, 0);
		assert_true(c.n == SEGMENT_BLOCK || row + c.n == m->n);
		for (unsigned i = 0; i < c.n; i++)
			same_row(m, row++, &c, i);
	}
	assert_int_equal(err, CEIR_OK);
	assert_int_equal(row, m->n);
	assert_int_equal(segment_next(&c), CEIR_OK);
	assert_int_equal(c.n, 0);
}

static void seek(const struct model *m, const struct segment *s, struct segment_cursor *c, const uint64_t *key, unsigned n_key)
{
	const size_t row = model_find(m, key, n_key);
	assert_int_equal(segment_seek(c, s, key, n_key), CEIR_OK);
	if (row == m->n) {
		assert_int_equal(c->n, 0);
		return;
	}
	assert_true(c->n > 0 && c->at < c->n);
	assert_int_equal(c->block * SEGMENT_BLOCK + c->at, row);
	same_row(m, row, c, c->at);
}

/* Keys that are there, keys beside them, and any others; with one cursor, that keeps its block. */
static void seeks(const struct model *m, const struct segment *s, unsigned count)
{
	struct segment_cursor c = {.segment = NULL};
	uint64_t key[SEGMENT_COLUMNS];
	for (unsigned i = 0; i < count; i++) {
		const unsigned n_key = (unsigned)random_below(m->schema.keys + 1);
		const size_t row = m->n ? random_below(m->n) : 0;
		for (unsigned k = 0; k < n_key; k++)
			key[k] = m->n && random_below(30) ? m->col[k][row] : random64() >> random_below(64);
		if (n_key > 0 && random_below(2))
			key[random_below(n_key)] += random_below(2) ? 1 : UINT64_MAX;
		seek(m, s, &c, key, n_key);
		if (random_below(10) == 0 && c.n > 0)
			assert_int_equal(segment_next(&c), CEIR_OK);
	}
}

/* The row, and all behind it that begin with key[0], over as many blocks as they fill; no more may be looked at. */
static void find(const struct model *m, const struct segment *s, struct segment_cursor *c, const uint64_t *key, unsigned n_key)
{
	size_t row = model_find(m, key, n_key);
	unsigned left = 3 * SEGMENT_BLOCK;
	assert_int_equal(segment_find(c, s, key, n_key), CEIR_OK);
	if (row == m->n || m->col[0][row] != key[0]) {
		assert_int_equal(c->at, c->n);
		return;
	}
	assert_true(c->at < c->n);
	for (unsigned at = c->at; row < m->n && m->col[0][row] == key[0] && left > 0; row++, at++, left--) {
		if (at == c->n) {
			assert_int_equal(segment_next(c), CEIR_OK);
			at = 0;
		}
		assert_true(at < c->n);
		assert_int_equal(c->block * SEGMENT_BLOCK + at, row);
		same_row(m, row, c, at);
	}
	/* The first column is good all over the block. */
	for (unsigned at = 0; at < c->n; at++)
		assert_int_equal(c->col[0][at], m->col[0][c->block * SEGMENT_BLOCK + at]);
}

/* Finds and seeks in turns with one cursor: what the one leaves decoded only in part the other must not take for whole. */
static void finds(const struct model *m, const struct segment *s, unsigned count)
{
	struct segment_cursor c;
	uint64_t key[SEGMENT_COLUMNS];
	memset(&c, 0xa5, sizeof c);
	c.segment = NULL;
	for (unsigned i = 0; i < count; i++) {
		const unsigned n_key = 1 + (unsigned)random_below(m->schema.keys);
		const size_t row = m->n ? random_below(m->n) : 0;
		for (unsigned k = 0; k < n_key; k++)
			key[k] = m->n && random_below(30) ? m->col[k][row] : random64() >> random_below(64);
		if (random_below(3) == 0)
			key[random_below(n_key)] += random_below(2) ? 1 : UINT64_MAX;
		segment_hint(s, key[0]);
		if (random_below(4))
			find(m, s, &c, key, n_key);
		else
			seek(m, s, &c, key, n_key);
		if (random_below(10) == 0 && c.n > 0)
			assert_int_equal(segment_next(&c), CEIR_OK);
	}
}

/* The first and the last row of each block (of some, where there are many and time is short), by each prefix, and what is just beside them. */
static void finds_at_edges(const struct model *m, const struct segment *s)
{
	struct segment_cursor c = {.segment = NULL};
	uint64_t key[SEGMENT_COLUMNS];
	for (size_t row = 0; row < m->n; row += row % SEGMENT_BLOCK == 0 && row + SEGMENT_BLOCK <= m->n ? SEGMENT_BLOCK - 1 : 1) {
		if (row % SEGMENT_BLOCK != 0 && row % SEGMENT_BLOCK != SEGMENT_BLOCK - 1 && row + 1 != m->n)
			continue;
		if (m->n > 10000 && row / SEGMENT_BLOCK % TEST_AMOUNT(1, 8) != 0 && row + 1 != m->n)
			continue;
		for (unsigned n_key = 1; n_key <= m->schema.keys; n_key++)
			for (unsigned beside = 0; beside < 3; beside++) {
				for (unsigned k = 0; k < n_key; k++)
					key[k] = m->col[k][row];
				key[n_key - 1] += beside == 2 ? UINT64_MAX : beside;
				find(m, s, &c, key, n_key);
			}
	}
}

static void nothing_to_report(void *ctx, const char *line)
{
	(void)ctx;
	fail_msg("%s", line);
}

static void splits(const struct model *m, const struct segment *s)
{
	uint64_t bounds[8] = {0};
	for (unsigned parts = 1; parts <= 8; parts++) {
		size_t before = 0;
		segment_split(s, parts, bounds);
		for (unsigned i = 0; i + 1 < parts; i++) {
			const size_t row = m->n ? model_find(m, &bounds[i], 1) : 0;
			assert_true(row >= before);
			before = row;
			/* Where no first column stands twice, parts are as large as each other but for two blocks. */
			const size_t fair = m->n * (i + 1) / parts;
			if (m->schema.keys == 1)
				assert_true(row <= fair + 2 * SEGMENT_BLOCK && fair <= row + 2 * SEGMENT_BLOCK);
		}
	}
}

/* All that is there may be there; of what is not, few, if there is a filter. */
static void filter_answers(const struct model *m, const struct segment *s)
{
	unsigned wrong = 0, asked = 0;
	assert_int_equal(s->filter_lines > 0, m->schema.filter && m->n > 0);
	for (size_t row = 0; row < m->n; row++)
		assert_true(segment_may_have(s, m->col[0][row]));
	for (unsigned i = 0; i < 2000; i++) {
		const uint64_t v = random64();
		const size_t row = m->n ? model_find(m, &v, 1) : 0;
		if (row < m->n && m->col[0][row] == v)
			continue;
		asked++;
		wrong += segment_may_have(s, v);
	}
	assert_true(s->filter_lines ? wrong <= asked / 12 : wrong == asked);
}

static void round_trip(const struct model *m, size_t step, unsigned n_seeks)
{
	struct segment_info written;
	assert_int_equal(model_write(m, path, step, &written), CEIR_OK);
	struct segment *s = open_model(m, &written);
	scan(m, s);
	seeks(m, s, n_seeks);
	finds(m, s, n_seeks);
	finds_at_edges(m, s);
	splits(m, s);
	filter_answers(m, s);
	assert_int_equal(segment_verify(s, nothing_to_report, NULL), CEIR_OK);
	segment_close(s);
}

static void random_schema(struct segment_schema *schema)
{
	schema->kind = (uint32_t)random64();
	schema->columns = 1 + (unsigned)random_below(SEGMENT_COLUMNS);
	schema->keys = 1 + (unsigned)random_below(schema->columns);
	schema->extra = random_below(2);
	schema->filter = random_below(2);
}

static void random_rows(void **state)
{
	(void)state;
	static const size_t counts[] = {0, 1, 2, 7, 8, 9, 127, 128, 129, 256, 384, 1000, 5000};
	for (unsigned i = 0; i < TEST_AMOUNT(260, 104); i++) {
		struct segment_schema schema;
		struct model m;
		random_schema(&schema);
		model_make(&m, &schema, counts[i % CEIR_COUNT(counts)]);
		round_trip(&m, 1 + random_below(600), 300);
		model_free(&m);
	}
}

/* Enough rows for dictionaries and for several groups of blocks. */
static void many_rows(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 8; i++) {
		struct segment_schema schema = {.kind = 7, .columns = 5, .keys = 1 + i % 3, .extra = i == 3, .filter = i > 4};
		struct model m;
		model_make(&m, &schema, TEST_AMOUNT(150000, 80000));
		round_trip(&m, 20000, TEST_AMOUNT(5000, 500));
		model_free(&m);
	}
}

/*
 * The pair file of a country: IMEIs unsorted behind IMSIs. The type codes get a dictionary, and it pays; what is no IMEI, one in two thousand,
 * neither widens the others nor fills the dictionary.
 */
static void dictionary_pays(void **state)
{
	(void)state;
	struct segment_schema schema = {.kind = 1, .columns = 2, .keys = 2};
	const size_t n = 300000;
	struct model m = {.schema = schema, .n = n};
	struct segment_info info;
	m.col[0] = malloc(n * sizeof(uint64_t));
	m.col[1] = malloc(n * sizeof(uint64_t));
	for (size_t i = 0; i < n; i++) {
		m.col[0][i] = 255010000000000 + i * 5 + random_below(5);
		m.col[1][i] = random_below(2000) ? (35000000 + random_below(200) * 104729) * 1000000 + random_below(1000000)
						: random64() | UINT64_C(1) << 60;
	}
	round_trip(&m, 5000, 2000);
	assert_int_equal(model_write(&m, path, 5000, &info), CEIR_OK);
	struct segment *s = open_model(&m, &info);
	/* Type codes cut in at most 16 pieces, and none of the noise. */
	assert_true(s->form[1].entries >= 200 && s->form[1].entries <= 200 * 17);
	/* 4 bits, 8 + 20 and one for being cut, and little else; without a dictionary 4 + 46. */
	assert_true(info.bytes < n * 38 / 8);
	segment_close(s);
	model_free(&m);
}

/* A filter holds so many values; one more, and there is none. Rows that begin alike are one value. */
static void filter_has_an_end(void **state)
{
	(void)state;
	const struct segment_schema schema = {.kind = 1, .columns = 2, .keys = 2, .filter = true};
	uint64_t first[4096], second[4096];
	const struct segment_rows rows = {.n = CEIR_COUNT(first), .col = {first, second}};
	for (unsigned more = 0; more < 2; more++) {
		struct segment_writer *w;
		struct segment_info info;
		struct segment *s;
		(void)unlink(path);
		assert_int_equal(segment_writer_new(path, &schema, &w), CEIR_OK);
		const uint64_t n = SEGMENT_FILTER_MAX + more; /* values, the last one many times */
		for (uint64_t at = 0; at < n + 4096; at += 4096) {
			for (uint64_t i = 0; i < 4096; i++) {
				first[i] = at + i < n ? at + i : n - 1;
				second[i] = at + i;
			}
			assert_int_equal(segment_writer_add(w, &rows), CEIR_OK);
		}
		assert_int_equal(segment_writer_finish(w, &info), CEIR_OK);
		assert_int_equal(segment_open(path, &schema, &s), CEIR_OK);
		assert_int_equal(s->filter_lines, more ? 0 : SEGMENT_FILTER_LINES_MAX);
		assert_true(segment_may_have(s, 0) && segment_may_have(s, n - 1));
		segment_close(s);
	}
}

/* The index is searched for what is below the first key, beside every key, and at the very end of numbers. */
static void index_at_edges(void **state)
{
	(void)state;
	static const uint64_t counts[] = {1, 15, 16, 17, 255, 256, 257, 4095, 4096, 4097};
	for (unsigned i = 0; i < CEIR_COUNT(counts); i++) {
		const uint64_t blocks = counts[i];
		uint8_t *const keys = malloc(blocks * 8), *const start = calloc(blocks, 4);
		struct segment s = {.blocks = blocks, .first = keys, .start = start};
		for (uint64_t b = 0; b < blocks; b++) /* in threes; the last one is the highest number there is */
			store64(keys + b * 8, b + 1 < blocks ? 10 + b / 3 * 10 : UINT64_MAX);
		assert_int_equal(index_build(&s), CEIR_OK);
		for (uint64_t v = 0; v < blocks / 3 * 10 + 30; v++) {
			const uint64_t below = v <= 10 ? 0 : (v - 1) / 10 * 3, with = v < 10 ? 0 : v / 10 * 3, rising = blocks - 1;
			assert_int_equal(blocks_below(&s, v, false), below < rising ? below : rising);
			assert_int_equal(blocks_below(&s, v, true), with < rising ? with : rising);
		}
		assert_int_equal(blocks_below(&s, UINT64_MAX, false), blocks - 1);
		assert_int_equal(blocks_below(&s, UINT64_MAX, true), blocks);
		index_free(&s);
		free(keys);
		free(start);
	}
}

/* Values that come late, and more of them than a dictionary holds. */
static void dictionary_overflows(void **state)
{
	(void)state;
	struct segment_schema schema = {.kind = 1, .columns = 2, .keys = 1};
	const size_t n = 400000;
	struct model m = {.schema = schema, .n = n};
	m.col[0] = malloc(n * sizeof(uint64_t));
	m.col[1] = malloc(n * sizeof(uint64_t));
	for (size_t i = 0; i < n; i++) {
		m.col[0][i] = i;
		m.col[1][i] = (i < 100000 ? random_below(100) : i / 4) << 44 | (random64() & 0xffff);
	}
	round_trip(&m, 5000, 2000);
	model_free(&m);
}

/* An IMEI with very many subscribers, and one of its subscribers with very many numbers: thousands of blocks begin alike. */
static void hot_keys(void **state)
{
	(void)state;
	struct segment_schema schema = {.kind = 1, .columns = 4, .keys = 3};
	const size_t n = 200000;
	struct model m = {.schema = schema, .n = n};
	for (unsigned c = 0; c < 4; c++)
		m.col[c] = malloc(n * sizeof(uint64_t));
	for (size_t i = 0; i < n; i++) {
		m.col[0][i] = i < 1000 ? i : i < 190000 ? 5000 : i;
		m.col[1][i] = i < 50000 ? i : i < 120000 ? 50000 : 50000 + i / 3;
		m.col[2][i] = i * 10;
		m.col[3][i] = i % 3;
	}
	round_trip(&m, 7777, TEST_AMOUNT(20000, 2000));
	struct segment *s;
	struct segment_cursor c = {.segment = NULL};
	assert_int_equal(segment_open(path, &schema, &s), CEIR_OK);
	for (size_t i = 0; i < n; i += TEST_AMOUNT(997, 9970))
		for (unsigned n_key = 1; n_key <= 3; n_key++) {
			const uint64_t key[3] = {m.col[0][i], m.col[1][i], m.col[2][i] + i % 2};
			c.segment = NULL;
			seek(&m, s, &c, key, n_key);
			c.segment = NULL;
			find(&m, s, &c, key, n_key);
		}
	segment_close(s);
	model_free(&m);
}

/* A cursor goes from one segment to another, also to one that stands where a closed one stood. */
static void one_cursor_many_segments(void **state)
{
	(void)state;
	struct segment_schema schema = {.kind = 1, .columns = 1, .keys = 1};
	struct segment_cursor c = {.segment = NULL};
	const uint64_t key = 0;
	for (uint64_t i = 0; i < 20; i++) {
		struct model m = {.schema = schema, .n = 1, .col = {&i}};
		struct segment_info info;
		struct segment *s;
		assert_int_equal(model_write(&m, path, 1, &info), CEIR_OK);
		assert_int_equal(segment_open(path, &schema, &s), CEIR_OK);
		find(&m, s, &c, &i, 1);
		seek(&m, s, &c, &key, 1);
		find(&m, s, &c, &i, 1);
		segment_close(s);
	}
}

/* ---- what a writer refuses ------------------------------------------------------------------------------------------- */

static enum ceir_err add_two(const struct segment_schema *schema, const uint64_t a[3], const uint64_t b[3], bool together)
{
	struct segment_writer *w;
	enum ceir_err err;
	uint64_t col[3][2];
	struct segment_rows rows = {.n = together ? 2 : 1};
	for (unsigned c = 0; c < 3; c++) {
		col[c][0] = a[c];
		col[c][1] = b[c];
		rows.col[c] = col[c];
	}
	(void)unlink(path);
	assert_int_equal(segment_writer_new(path, schema, &w), CEIR_OK);
	err = segment_writer_add(w, &rows);
	if (!together) {
		assert_int_equal(err, CEIR_OK);
		for (unsigned c = 0; c < 3; c++)
			rows.col[c] = col[c] + 1;
		err = segment_writer_add(w, &rows);
	}
	if (err) { /* it stays refused, and leaves nothing */
		struct segment_info info;
		rows.n = 1;
		assert_int_equal(segment_writer_add(w, &rows), err);
		assert_int_equal(segment_writer_finish(w, &info), err);
		assert_int_equal(access(path, F_OK), -1);
	} else {
		segment_writer_drop(w);
		assert_int_equal(access(path, F_OK), -1);
	}
	return err;
}

static void unsorted_is_refused(void **state)
{
	(void)state;
	const struct segment_schema two = {.kind = 1, .columns = 3, .keys = 2};
	for (int together = 0; together < 2; together++) {
		assert_int_equal(add_two(&two, (uint64_t[]){1, 5, 9}, (uint64_t[]){1, 6, 0}, together), CEIR_OK);
		assert_int_equal(add_two(&two, (uint64_t[]){1, 5, 9}, (uint64_t[]){2, 0, 0}, together), CEIR_OK);
		assert_int_equal(add_two(&two, (uint64_t[]){0, 0, 0}, (uint64_t[]){0, 1, 0}, together), CEIR_OK);
		assert_int_equal(add_two(&two, (uint64_t[]){1, 5, 9}, (uint64_t[]){1, 5, 10}, together), CEIR_EINVAL);
		assert_int_equal(add_two(&two, (uint64_t[]){1, 5, 9}, (uint64_t[]){1, 4, 9}, together), CEIR_EINVAL);
		assert_int_equal(add_two(&two, (uint64_t[]){1, 5, 9}, (uint64_t[]){0, 6, 9}, together), CEIR_EINVAL);
		assert_int_equal(add_two(&two, (uint64_t[]){0, 0, 0}, (uint64_t[]){0, 0, 0}, together), CEIR_EINVAL);
	}
}

static void own_bytes_are_limited(void **state)
{
	(void)state;
	struct segment_schema schema = {.kind = 1, .columns = 1, .keys = 1};
	static char bytes[SEGMENT_EXTRA_MAX + 1];
	const uint64_t v = 1;
	for (unsigned i = 0; i < 4; i++) {
		struct str extra = {bytes, i == 0 ? 1 : i == 1 ? 0 : SEGMENT_EXTRA_MAX + i - 2};
		struct segment_rows rows = {.n = 1, .col = {&v}, .extra = &extra};
		struct segment_writer *w;
		schema.extra = i >= 2;
		(void)unlink(path);
		assert_int_equal(segment_writer_new(path, &schema, &w), CEIR_OK);
		assert_int_equal(segment_writer_add(w, &rows), i == 0 || i == 3 ? CEIR_EINVAL : CEIR_OK);
		segment_writer_drop(w);
	}
	segment_writer_drop(NULL);
}

static void files_are_not_overwritten(void **state)
{
	(void)state;
	struct segment_schema schema = {.kind = 1, .columns = 1, .keys = 1};
	struct segment_writer *w, *second;
	struct segment_info info;
	struct segment *s;
	(void)unlink(path);
	assert_int_equal(segment_open(path, &schema, &s), CEIR_ENOENT);
	assert_int_equal(segment_writer_new(path, &schema, &w), CEIR_OK);
	assert_int_equal(segment_writer_new(path, &schema, &second), CEIR_EEXIST);
	assert_int_equal(segment_writer_finish(w, &info), CEIR_OK);
	assert_int_equal(info.rows, 0);
	assert_int_equal(segment_open(path, &schema, &s), CEIR_OK);
	segment_close(s);
	segment_close(NULL);
	assert_int_equal(segment_writer_new("/nowhere/at/all", &schema, &w), CEIR_ENOENT);
}

/* ---- many readers ---------------------------------------------------------------------------------------------------- */

static struct {
	const struct model *m;
	const struct segment *s;
} shared;

static void *reader(void *arg)
{
	struct segment_cursor c = {.segment = NULL};
	uint64_t *bad = arg;
	for (size_t i = 0; i < TEST_AMOUNT(20000, 2000); i++) {
		const size_t row = (i * 7919 + (size_t)arg) % shared.m->n;
		const uint64_t key[2] = {shared.m->col[0][row], shared.m->col[1][row]};
		const enum ceir_err err = i % 3 ? segment_find(&c, shared.s, key, 2) : segment_seek(&c, shared.s, key, 2);
		if (err || c.at == c.n || c.col[2][c.at] != shared.m->col[2][row])
			++*bad;
	}
	return NULL;
}

static void many_readers(void **state)
{
	(void)state;
	struct segment_schema schema = {.kind = 1, .columns = 3, .keys = 2};
	struct model m;
	struct segment_info info;
	pthread_t thread[4];
	uint64_t bad[4] = {0};
	model_make(&m, &schema, 30000);
	assert_int_equal(model_write(&m, path, 1000, &info), CEIR_OK);
	struct segment *s = open_model(&m, &info);
	shared.m = &m;
	shared.s = s;
	for (unsigned i = 0; i < 4; i++)
		assert_int_equal(thread_start("reader", reader, &bad[i], &thread[i]), CEIR_OK);
	for (unsigned i = 0; i < 4; i++)
		assert_int_equal(pthread_join(thread[i], NULL), 0);
	assert_int_equal(bad[0] + bad[1] + bad[2] + bad[3], 0);
	segment_close(s);
	model_free(&m);
}

/* Every width, every count, at the edge of what may be read and written. */
static void packing(void **state)
{
	(void)state;
	for (unsigned w = 0; w <= 64; w++)
		for (unsigned n = 1; n <= SEGMENT_BLOCK; n += 1 + n / 9) {
			const unsigned whole = (n + 7) / 8 * 8;
			uint64_t in[SEGMENT_BLOCK] = {0}, out[SEGMENT_BLOCK];
			uint8_t *packed = malloc(packed_bytes(whole, w) + 8), *exact = malloc(packed_bytes(n, w) + PACK_SLACK);
			for (unsigned i = 0; i < n; i++)
				in[i] = (i == 0 ? UINT64_MAX : random64()) & low_bits(w);
			segment_pack(in, n, w, packed);
			memcpy(exact, packed, packed_bytes(n, w));
			memset(exact + packed_bytes(n, w), 0xa5, PACK_SLACK);
			segment_unpack(exact, n, w, 12345, out);
			for (unsigned i = 0; i < n; i++)
				assert_int_equal(out[i] - 12345, in[i]);
			free(packed);
			free(exact);
		}
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(packing), cmocka_unit_test(random_rows), cmocka_unit_test(many_rows),
		cmocka_unit_test(filter_has_an_end), cmocka_unit_test(index_at_edges),
		cmocka_unit_test(dictionary_pays), cmocka_unit_test(dictionary_overflows), cmocka_unit_test(hot_keys),
		cmocka_unit_test(one_cursor_many_segments), cmocka_unit_test(unsorted_is_refused), cmocka_unit_test(own_bytes_are_limited),
		cmocka_unit_test(files_are_not_overwritten), cmocka_unit_test(many_readers)};
	snprintf(path, sizeof path, "/tmp/ceir-segment-rows-%d", (int)getpid());
	const int failed = cmocka_run_group_tests(tests, NULL, NULL);
	(void)unlink(path);
	return failed;
}

/* Segments that have suffered: every byte flipped, every length cut off, and bytes whose CRCs somebody has put right. */
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/resource.h>

#include <cmocka.h>

#include "segment_rows.h"
#include "segment_reseal.h"
#include "test_amount.h"

static char path[64];

static void count_line(void *ctx, const char *line)
{
	assert_true(strlen(line) > 10);
	++*(unsigned *)ctx;
}

/* A small file with everything in it: deltas, offsets, exceptions, a constant, own bytes, a block that is not full, a filter. */
static void file_make(struct model *m, struct buf *file)
{
	const struct segment_schema schema = {.kind = 9, .columns = 4, .keys = 2, .extra = true, .filter = true};
	const size_t n = 300;
	struct segment_info info;
	*m = (struct model){.schema = schema, .n = n};
	for (unsigned c = 0; c < 4; c++)
		m->col[c] = malloc(n * sizeof(uint64_t));
	for (size_t i = 0; i < n; i++) {
		m->col[0][i] = i / 2 * 3;
		m->col[1][i] = i * 17;
		m->col[2][i] = i % 50 ? 1000 + i % 7 : UINT64_MAX - i;
		m->col[3][i] = 77;
	}
	m->extra = calloc(n, sizeof *m->extra);
	for (size_t i = 5; i < n; i += 90)
		m->extra[i] = (struct str){strdup("cell"), 4};
	assert_int_equal(model_write(m, path, 100, &info), CEIR_OK);
	*file = (struct buf)BUF_INIT(0);
	assert_int_equal(file_read(path, 1 << 20, file), CEIR_OK);
}

/* Whether opening or verifying finds something wrong. bytes: exactly n on the heap, so that no read beyond goes unnoticed. */
static bool is_found(const char *bytes, size_t n, const struct segment_schema *schema)
{
	char *copy = malloc(n ? n : 1);
	struct segment *s;
	unsigned lines = 0;
	memcpy(copy, bytes, n);
	enum ceir_err err = segment_open_bytes(copy, n, "damaged", schema, &s);
	if (!err) {
		err = segment_verify(s, count_line, &lines);
		assert_int_equal(err != CEIR_OK, lines > 0);
		segment_close(s);
	}
	free(copy);
	assert_true(err == CEIR_OK || err == CEIR_ECORRUPT);
	return err != CEIR_OK;
}

static void every_byte_counts(void **state)
{
	(void)state;
	struct model m;
	struct buf file;
	file_make(&m, &file);
	assert_false(is_found(file.p, file.n, &m.schema));
	for (size_t i = 0; i < file.n; i++) {
		const char was = file.p[i];
		for (int bit = 0; bit < 8; bit++) {
			file.p[i] = (char)(was ^ 1 << bit);
			if (!is_found(file.p, file.n, &m.schema))
				fail_msg("bit %d of byte %zu", bit, i);
		}
		file.p[i] = (char)~was;
		assert_true(is_found(file.p, file.n, &m.schema));
		file.p[i] = was;
	}
	buf_free(&file);
	model_free(&m);
}

static void every_length_counts(void **state)
{
	(void)state;
	struct model m;
	struct buf file;
	struct segment *s;
	file_make(&m, &file);
	for (size_t n = 0; n < file.n; n++)
		assert_true(is_found(file.p, n, &m.schema));
	buf_char(&file, 0);
	assert_true(is_found(file.p, file.n, &m.schema));
	/* The same through the path: empty, cut off, a folder. */
	assert_int_equal(truncate(path, (off_t)file.n - 2), 0);
	assert_int_equal(segment_open(path, &m.schema, &s), CEIR_ECORRUPT);
	assert_int_equal(truncate(path, 0), 0);
	assert_int_equal(segment_open(path, &m.schema, &s), CEIR_ECORRUPT);
	assert_int_equal(segment_open("/tmp", &m.schema, &s), CEIR_ECORRUPT);
	buf_free(&file);
	model_free(&m);
}

static void another_schema_is_refused(void **state)
{
	(void)state;
	struct model m;
	struct buf file;
	struct segment *s;
	file_make(&m, &file);
	for (unsigned i = 0; i < 4; i++) {
		struct segment_schema other = m.schema;
		other.kind += i == 0;
		other.columns += i == 1;
		other.keys += i == 2;
		other.extra ^= i == 3;
		assert_int_equal(segment_open(path, &other, &s), CEIR_ECORRUPT);
	}
	buf_free(&file);
	model_free(&m);
}

/* A block that is damaged does not keep the others from being read; the one that is asked for it says so. */
static void good_blocks_are_served(void **state)
{
	(void)state;
	struct model m;
	struct buf file;
	struct segment *s;
	struct segment_cursor c = {.segment = NULL};
	unsigned lines = 0;
	file_make(&m, &file);
	assert_int_equal(segment_open(path, &m.schema, &s), CEIR_OK);
	const uint64_t middle = segment_start(s, 1) + 20;
	segment_close(s);
	file.p[middle] ^= 4;
	assert_int_equal(segment_open_bytes(file.p, file.n, "damaged", &m.schema, &s), CEIR_OK);
	for (size_t row = 0; row < m.n; row++) {
		const uint64_t key[2] = {m.col[0][row], m.col[1][row]};
		const bool bad = row / SEGMENT_BLOCK == 1;
		assert_int_equal(segment_seek(&c, s, key, 2), bad ? CEIR_ECORRUPT : CEIR_OK);
		assert_int_equal(c.n, bad ? 0 : row / SEGMENT_BLOCK == 2 ? 44 : 128);
	}
	for (size_t row = 0; row < m.n; row++) {
		const uint64_t key[2] = {m.col[0][row], m.col[1][row]};
		const bool bad = row / SEGMENT_BLOCK == 1;
		assert_int_equal(segment_find(&c, s, key, 2), bad ? CEIR_ECORRUPT : CEIR_OK);
		assert_true(bad ? c.n == 0 && c.at == 0 : c.at == row % SEGMENT_BLOCK);
	}
	assert_int_equal(segment_verify(s, count_line, &lines), CEIR_ECORRUPT);
	assert_int_equal(lines, 1);
	segment_close(s);
	buf_free(&file);
	model_free(&m);
}

/* What can be done with an open segment, whatever is in it; nothing is asked of the answers. */
static void use(const char *bytes, size_t n, const struct segment_schema *schema)
{
	struct segment *s;
	struct segment_cursor c = {.segment = NULL};
	unsigned lines = 0;
	uint64_t bounds[3], key[SEGMENT_COLUMNS] = {0}, sum = 0;
	if (segment_open_bytes(bytes, n, "hostile", schema, &s))
		return;
	segment_split(s, 4, bounds);
	for (unsigned i = 0; i < 20; i++) {
		key[0] = random_below(500);
		key[1] = random_below(6000);
		segment_hint(s, key[0]);
		const enum ceir_err err = i % 2 && i % 3 ? segment_find(&c, s, key, i % 3) : segment_seek(&c, s, key, i % 3);
		if (err || c.at == c.n)
			continue;
		sum += c.col[schema->columns - 1][c.at] & 1;
		for (unsigned r = 0; r < c.n && c.has_extra; r++)
			for (size_t k = 0; k < c.extra[r].n; k++)
				sum += (uint8_t)c.extra[r].p[k];
	}
	assert_true(sum < UINT64_MAX);
	const bool found = segment_verify(s, count_line, &lines) != CEIR_OK;
	assert_int_equal(found, lines > 0);
	segment_close(s);
}

static void honest_crcs_of_dishonest_bytes(void **state)
{
	(void)state;
	struct model m;
	struct buf file;
	file_make(&m, &file);
	for (unsigned i = 0; i < TEST_AMOUNT(60000, 10000); i++) {
		char *copy = malloc(file.n);
		memcpy(copy, file.p, file.n);
		for (unsigned k = 0; k <= random_below(3); k++) {
			const size_t at = random_below(file.n);
			copy[at] = random_below(3) ? (char)random64() : (char)(copy[at] ^ 1 << random_below(8));
		}
		reseal((uint8_t *)copy, file.n);
		use(copy, file.n, &m.schema);
		free(copy);
	}
	buf_free(&file);
	model_free(&m);
}

/* Any one byte wrong in a block, also in what a find would not decode: none of its rows is given. */
static void finds_believe_no_damaged_block(void **state)
{
	(void)state;
	struct model m;
	struct buf file;
	struct segment *s;
	file_make(&m, &file);
	assert_int_equal(segment_open_bytes(file.p, file.n, "sound", &m.schema, &s), CEIR_OK);
	const uint64_t begin = segment_start(s, 1), end = segment_start(s, 2);
	segment_close(s);
	for (uint64_t at = begin; at < end; at++) {
		struct segment_cursor c = {.segment = NULL};
		const uint64_t key[2] = {m.col[0][200], m.col[1][200]};
		file.p[at] = (char)(file.p[at] ^ 1 << at % 8);
		assert_int_equal(segment_open_bytes(file.p, file.n, "damaged", &m.schema, &s), CEIR_OK);
		assert_int_equal(segment_find(&c, s, key, 2), CEIR_ECORRUPT);
		assert_true(c.n == 0 && c.at == 0);
		segment_close(s);
		file.p[at] = (char)(file.p[at] ^ 1 << at % 8);
	}
	buf_free(&file);
	model_free(&m);
}

/*
 * What a find has checked once it does not check again while the file is open; whoever reads in order, and verify, do. A block that was
 * damaged when it was first asked for stays so.
 */
static void finds_check_once(void **state)
{
	(void)state;
	struct model m;
	struct buf file;
	struct segment *s;
	unsigned lines = 0;
	file_make(&m, &file);
	assert_int_equal(segment_open_bytes(file.p, file.n, "sound", &m.schema, &s), CEIR_OK);
	struct segment_cursor a = {.segment = NULL}, b = {.segment = NULL}, d = {.segment = NULL}, e = {.segment = NULL};
	const uint64_t key[2] = {m.col[0][200], m.col[1][200]}, other[2] = {m.col[0][10], m.col[1][10]};
	assert_int_equal(segment_find(&a, s, key, 2), CEIR_OK);
	/* The CRC itself, so that only a check can notice. */
	file.p[segment_start(s, 0)] ^= 1;
	file.p[segment_start(s, 1)] ^= 1;
	assert_int_equal(segment_find(&b, s, key, 2), CEIR_OK);
	assert_true(b.at < b.n && b.col[3][b.at] == 77);
	assert_int_equal(segment_seek(&d, s, key, 2), CEIR_ECORRUPT);
	for (unsigned i = 0; i < 2; i++)
		assert_int_equal(segment_find(&e, s, other, 2), CEIR_ECORRUPT);
	assert_int_equal(segment_verify(s, count_line, &lines), CEIR_ECORRUPT);
	assert_int_equal(lines, 2);
	segment_close(s);
	buf_free(&file);
	model_free(&m);
}

/* A filter that does not have what the rows have would hide them: verify says so. A filter where none can be is refused. */
static void filters_are_verified(void **state)
{
	(void)state;
	struct model m;
	struct buf file;
	struct segment *s;
	file_make(&m, &file);
	assert_int_equal(segment_open_bytes(file.p, file.n, "sound", &m.schema, &s), CEIR_OK);
	assert_int_equal(s->filter_lines, 3); /* 150 values of a byte each */
	const size_t at = (size_t)(s->filter - s->map);
	segment_close(s);
	for (size_t i = 0; i < 3 * SEGMENT_FILTER_LINE; i++)
		for (unsigned bit = 0; bit < 8; bit++) {
			if (!((uint8_t)file.p[at + i] >> bit & 1))
				continue;
			file.p[at + i] = (char)(file.p[at + i] ^ 1 << bit);
			reseal((uint8_t *)file.p, file.n);
			assert_true(is_found(file.p, file.n, &m.schema));
			file.p[at + i] = (char)(file.p[at + i] ^ 1 << bit);
		}
	reseal((uint8_t *)file.p, file.n);
	assert_false(is_found(file.p, file.n, &m.schema));
	file.p[8] = SEGMENT_VERSION;
	reseal((uint8_t *)file.p, file.n);
	assert_int_equal(segment_open_bytes(file.p, file.n, "version 1", &m.schema, &s), CEIR_ECORRUPT);
	buf_free(&file);
	model_free(&m);
}

/* The same of numbers that are added eight at a time. */
static void falling_small_deltas_are_refused(void **state)
{
	(void)state;
	uint8_t bytes[64 + PACK_SLACK] = {SEGMENT_DELTAS, 8, 0};
	uint64_t out[SEGMENT_BLOCK], sum = 0;
	for (unsigned i = 1; i < 20; i++)
		sum += bytes[2 + i] = (uint8_t)(i * 13);
	for (unsigned i = 0; i < 3; i++) { /* up to 2^64 - 1; one more; the first one is not 0 */
		const struct column_form form = {.base = i == 2 ? 5 : UINT64_MAX - sum + i};
		bytes[2] = i == 2;
		const uint8_t *end = column_decode(&form, true, bytes, bytes + 22, 20, out);
		if (i > 0) {
			assert_null(end);
			continue;
		}
		assert_ptr_equal(end, bytes + 22);
		uint64_t row = form.base;
		for (unsigned r = 0; r < 20; r++)
			assert_int_equal(out[r], row += bytes[2 + r]);
		assert_int_equal(row, UINT64_MAX);
	}
}

/* Deltas that go past 2^64 would be rows out of order in the column that is searched. */
static void falling_deltas_are_refused(void **state)
{
	(void)state;
	uint8_t bytes[64 + PACK_SLACK] = {SEGMENT_DELTAS, 64};
	uint64_t out[SEGMENT_BLOCK];
	const struct column_form form = {.base = 1000};
	for (unsigned i = 0; i < 3; i++) { /* numbers 0, 5, x */
		store64(bytes + 2, 0);
		store64(bytes + 10, 5);
		store64(bytes + 18, i == 0 ? 7 : i == 1 ? UINT64_MAX - 1005 : UINT64_MAX - 1004);
		const uint8_t *end = column_decode(&form, true, bytes, bytes + 26, 3, out);
		if (i < 2)
			assert_ptr_equal(end, bytes + 26);
		else
			assert_null(end);
	}
}

/* Rows out of order, and keys that are not those of the footer, with all CRCs right: verify says so. */
static void order_is_verified(void **state)
{
	(void)state;
	struct model m;
	struct buf file;
	file_make(&m, &file);
	uint8_t *f = (uint8_t *)file.p + file.n - SEGMENT_FOOTER_BYTES;
	store64(f + FOOTER_LAST + 8, 1);
	reseal((uint8_t *)file.p, file.n);
	assert_true(is_found(file.p, file.n, &m.schema));
	store64(f + FOOTER_LAST + 8, m.col[1][m.n - 1]);
	store64(f + FOOTER_FIRST + 8, 1);
	reseal((uint8_t *)file.p, file.n);
	assert_true(is_found(file.p, file.n, &m.schema));
	store64(f + FOOTER_FIRST + 8, 0);
	reseal((uint8_t *)file.p, file.n);
	assert_false(is_found(file.p, file.n, &m.schema));
	/* Where the second column of the first block is packed: it begins behind a head, a base and a width. */
	struct segment *s;
	assert_int_equal(segment_open_bytes(file.p, file.n, "sound", &m.schema, &s), CEIR_OK);
	uint64_t out[SEGMENT_BLOCK];
	const uint8_t *begin = s->map + segment_start(s, 0) + SEGMENT_BLOCK_HEAD_BYTES;
	const uint8_t *second = column_decode(&(struct column_form){0}, true, begin, s->map + segment_start(s, 1), SEGMENT_BLOCK, out);
	assert_non_null(second);
	segment_close(s);
	uint8_t *third_row = (uint8_t *)(uintptr_t)second + (*second >> 4) + 2 + 3;
	*third_row ^= 0xff;
	reseal((uint8_t *)file.p, file.n);
	assert_true(is_found(file.p, file.n, &m.schema));
	buf_free(&file);
	model_free(&m);
}

/* No more space: the error comes back, and no file is left. */
static void writing_fails(void **state)
{
	(void)state;
	struct segment_schema schema = {.kind = 1, .columns = 3, .keys = 1};
	struct rlimit before, tight;
	struct segment_info info;
	struct segment_writer *w;
	enum ceir_err err = CEIR_OK;
	uint64_t col[3][4096];
	struct segment_rows rows = {.n = 4096, .col = {col[0], col[1], col[2]}};

	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
	tight = before;
	for (unsigned when = 0; when < 2; when++) { /* while rows are added; only at the end */
		tight.rlim_cur = when ? 1000 : 3 << 20;
		assert_int_equal(setrlimit(RLIMIT_FSIZE, &tight), 0);
		(void)unlink(path);
		assert_int_equal(segment_writer_new(path, &schema, &w), CEIR_OK);
		for (uint64_t i = 0; !err && i < (when ? 1 : 200); i++) {
			for (uint64_t r = 0; r < 4096; r++) {
				col[0][r] = i * 4096 + r;
				col[1][r] = random64();
				col[2][r] = random64();
			}
			err = segment_writer_add(w, &rows);
		}
		assert_int_equal(err != CEIR_OK, when == 0);
		err = segment_writer_finish(w, &info);
		assert_int_equal(err, ceir_err_of_errno(EFBIG));
		assert_int_equal(access(path, F_OK), -1);
		err = CEIR_OK;
	}
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(every_byte_counts), cmocka_unit_test(every_length_counts),
		cmocka_unit_test(another_schema_is_refused), cmocka_unit_test(good_blocks_are_served),
		cmocka_unit_test(finds_believe_no_damaged_block), cmocka_unit_test(falling_deltas_are_refused),
		cmocka_unit_test(finds_check_once), cmocka_unit_test(filters_are_verified), cmocka_unit_test(falling_small_deltas_are_refused),
		cmocka_unit_test(honest_crcs_of_dishonest_bytes), cmocka_unit_test(order_is_verified), cmocka_unit_test(writing_fails)};
	/* Thousands of lines about damage that is meant. */
	FILE *nowhere = fopen("/dev/null", "w");
	log_setup(nowhere, false, LOG_ERROR_);
	snprintf(path, sizeof path, "/tmp/ceir-segment-damage-%d", (int)getpid());
	const int failed = cmocka_run_group_tests(tests, NULL, NULL);
	(void)unlink(path);
	fclose(nowhere);
	return failed;
}

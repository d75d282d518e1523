/* sort_records(): against qsort for every size of record and many shapes of keys, on one thread and on several. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "segment/segment.h"

#include "test_amount.h"

static uint64_t random_state = 0x9e3779b97f4a7c15u;

static uint64_t random64(void)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return random_state * UINT64_C(0x2545f4914f6cdd1d);
}

static uint64_t random_below(uint64_t n)
{
	return random64() % n;
}

/* What qsort's compare looks at; the last word of a record is its place before, so qsort is stable too. */
static struct {
	size_t size;
	const unsigned *words;
	unsigned n_words;
} order;

static uint64_t word_of(const void *record, size_t word)
{
	uint64_t v;
	memcpy(&v, (const char *)record + word * 8, sizeof v);
	return v;
}

static int compare(const void *a, const void *b)
{
	for (unsigned k = 0; k < order.n_words; k++) {
		const uint64_t x = word_of(a, order.words[k]), y = word_of(b, order.words[k]);
		if (x != y)
			return x < y ? -1 : 1;
	}
	const uint64_t x = word_of(a, order.size / 8 - 1), y = word_of(b, order.size / 8 - 1);
	return x < y ? -1 : x > y;
}

enum shape { RANDOM, FEW_BITS, ALL_EQUAL, ASCENDING, DESCENDING, HOT, CLUSTERS, FAR_AWAY, POWERS, EXTREMES, TWO_VALUES, NESTED, SHAPES };

static uint64_t key(enum shape shape, size_t i, size_t n, unsigned word)
{
	switch (shape) {
	case RANDOM:
		return random64();
	case FEW_BITS:
		return random_below(1000) << 20 | 7;
	case ALL_EQUAL:
		return UINT64_C(0x123456789abcdef0);
	case ASCENDING:
		return i * 3;
	case DESCENDING:
		return (n - i) * 1000003;
	case HOT: /* nine of ten have the same key */
		return word == 0 && random_below(10) ? 350000000000000 : random_below(UINT64_C(1) << 47);
	case CLUSTERS: /* as IMEIs: few high parts, one of them frequent */
		return (random_below(3) ? 35123456 : 35000000 + random_below(100) * 7919) * 1000000 + random_below(1000000);
	case FAR_AWAY: /* one in a thousand at the other end of the world: one digit for all others, were it not cut off */
		return random_below(1000) ? 1000 + random_below(100000) : random64() | UINT64_C(1) << 63;
	case POWERS: /* each bit halves what is left: the worst for dealing by ranges */
		return UINT64_C(1) << random_below(64);
	case EXTREMES:
		return (const uint64_t[]){0, 1, UINT64_MAX, UINT64_MAX - 1, UINT64_C(1) << 63}[random_below(5)];
	case TWO_VALUES:
		return random_below(2);
	default: /* NESTED: ranges in ranges */
		return random64() >> random_below(64);
	}
}

static void sort_one(enum shape shape, size_t n, size_t size, const unsigned *words, unsigned n_words, unsigned threads)
{
	/* Exactly as large as they are said to be. */
	char *records = malloc(n ? n * size : 1), *scratch = malloc(n ? n * size : 1), *expected = malloc(n ? n * size : 1);
	assert_true(records && scratch && expected);
	for (size_t i = 0; i < n; i++)
		for (size_t word = 0; word < size / 8; word++) {
			const uint64_t v = word == size / 8 - 1 ? i : key(shape, i, n, (unsigned)word);
			memcpy(records + i * size + word * 8, &v, sizeof v);
		}
	memcpy(expected, records, n * size);
	order.size = size;
	order.words = words;
	order.n_words = n_words;
	qsort(expected, n, size, compare);
	assert_int_equal(sort_records(records, scratch, n, size, words, n_words, threads), CEIR_OK);
	assert_memory_equal(records, expected, n * size);
	free(records);
	free(scratch);
	free(expected);
}

static void every_size_and_shape(void **state)
{
	(void)state;
	static const unsigned words[] = {0, 1, 2, 3};
	static const size_t counts[] = {0, 1, 2, 24, 25, 100, 1000, 5000};
	for (size_t size = 16; size <= 64; size += 8)
		for (enum shape shape = 0; shape < SHAPES; shape++)
			for (size_t i = 0; i < CEIR_COUNT(counts); i++) {
				const unsigned most = (unsigned)(size / 8 - 1);
				sort_one(shape, counts[i], size, words, most < 4 ? most : 4, 1);
			}
}

/* Words need not be in the order of the record, nor all of them. */
static void words_in_any_order(void **state)
{
	(void)state;
	static const unsigned words[][3] = {{2, 0, 1}, {1, 1, 0}, {2, 1, 0}, {0, 2, 1}};
	for (size_t i = 0; i < CEIR_COUNT(words); i++)
		for (enum shape shape = 0; shape < SHAPES; shape++)
			for (unsigned n_words = 1; n_words <= 3; n_words++)
				sort_one(shape, 3000, 32, words[i], n_words, 1 + n_words % 2);
}

/* Large enough to be dealt out by all threads, more than once where keys cluster. */
static void threads(void **state)
{
	(void)state;
	static const unsigned words[] = {0, 1, 2};
	for (enum shape shape = 0; shape < SHAPES; shape++)
		for (unsigned n = 2; n <= 3; n++)
			sort_one(shape, TEST_AMOUNT(300000, 140000) + n, 32, words, shape == ALL_EQUAL ? 1 : 3, n);
	sort_one(CLUSTERS, 70000, 24, words, 2, 100);
}

/* Of this thread: what others do on the machine does not count. */
static int64_t cpu_us(void)
{
	struct timespec t;
	assert_int_equal(clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t), 0);
	return t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

/* A million records that differ only in the last word, and keys made to be dealt badly: no slower than the others, by far. */
static void nothing_is_quadratic(void **state)
{
	(void)state;
	static const unsigned words[] = {0, 1, 2};
	const size_t n = 1000000;
	uint64_t(*records)[4] = malloc(n * sizeof *records), (*scratch)[4] = malloc(n * sizeof *scratch);
	assert_true(records && scratch);
	int64_t took_us[2];
	for (int hard = 0; hard < 2; hard++) {
		for (size_t i = 0; i < n; i++) {
			records[i][0] = hard ? UINT64_C(1) << 63 >> random_below(64) : random64();
			records[i][1] = hard ? UINT64_C(1) << 63 >> random_below(64) : random64();
			records[i][2] = random64();
			records[i][3] = i;
		}
		const int64_t begin_us = cpu_us();
		assert_int_equal(sort_records(records, scratch, n, sizeof *records, words, 3, 1), CEIR_OK);
		took_us[hard] = cpu_us() - begin_us;
	}
	for (size_t i = 1; i < n; i++)
		assert_true(records[i - 1][0] < records[i][0] ||
			    (records[i - 1][0] == records[i][0] && records[i - 1][1] <= records[i][1]));
	assert_true(took_us[1] < took_us[0] * 30);
	free(records);
	free(scratch);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(every_size_and_shape), cmocka_unit_test(words_in_any_order),
		cmocka_unit_test(threads), cmocka_unit_test(nothing_is_quadratic)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

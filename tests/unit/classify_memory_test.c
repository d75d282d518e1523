/*
 * The parts of the classification that no run shows by itself: records in memory, the order of what parts produce, what is
 * asked of other IMEIs.
 */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "classify/classify_internal.h"
#include "classify_world.h"

static uint64_t mixed(uint64_t x)
{
	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
	x = (x ^ x >> 27) * 0x94d049bb133111ebu;
	return x ^ x >> 31;
}

/* A hundred thousand, each put twice; then sorted and merged over others. */
static void a_map_and_lists_of_it(void **state)
{
	(void)state;
	enum { N = 100000 };
	struct class_map *m = class_map_new();
	struct class_list newer = {0}, older = {0}, both;
	assert_non_null(m);
	assert_null(class_map_find(NULL, 1));
	for (uint32_t i = 0; i < 2 * N; i++) {
		const struct policy_class record = {.mask = i, .since_day = -(int32_t)i};
		assert_int_equal(class_map_put(m, mixed(i % N) >> 1, &record), CEIR_OK);
	}
	assert_int_equal(class_map_count(m), N);
	for (uint32_t i = 0; i < N; i++) {
		const struct class_item *item = class_map_find(m, mixed(i) >> 1);
		assert_non_null(item);
		assert_int_equal(item->record.mask, N + i);
		assert_null(class_map_find(m, mixed(i + N) >> 1));
	}
	assert_int_equal(class_list_add_map(&newer, m, UINT64_MAX / 4), CEIR_OK);
	assert_in_range(newer.n, N / 2 - 1000, N / 2 + 1000);
	assert_int_equal(class_list_sort(&newer), CEIR_OK);
	for (size_t i = 0; i < newer.n; i++) {
		assert_true(newer.items[i].imei >= (i ? newer.items[i - 1].imei + 1 : UINT64_MAX / 4));
		assert_int_equal(class_list_seek(&newer, newer.items[i].imei), i);
		assert_int_equal(class_list_seek(&newer, newer.items[i].imei + 1), i + 1);
	}
	older.items = calloc(2, sizeof *older.items);
	assert_non_null(older.items);
	older.n = 2;
	older.items[1].imei = newer.items[newer.n - 1].imei; /* one that newer has, one that it has not */
	assert_int_equal(class_list_merge(&newer, &older, &both), CEIR_OK);
	assert_int_equal(both.n, newer.n + 1);
	assert_int_equal(both.items[0].imei, 0);
	assert_int_equal(both.items[both.n - 1].record.mask, newer.items[newer.n - 1].record.mask);
	class_list_free(&both);
	class_list_free(&newer);
	class_list_free(&older);
	class_map_free(m);
	class_map_free(NULL);
}

/* ---- order ------------------------------------------------------------------------------------------------------------ */

#define PARTS 40u
#define THREADS 4u

static struct class_output *output;

/* Part p has p % 5 chunks of some hundred; every third change has a pair. */
static enum ceir_err produce(unsigned part)
{
	uint64_t imei = (uint64_t)part * 1000000;
	for (unsigned i = 0; i < part % 5; i++) {
		struct class_chunk *c = class_output_chunk(output);
		if (!c)
			return CEIR_ENOMEM;
		for (unsigned k = 0; k < 100 + part; k++, imei += 7) {
			struct classify_change change = {.imei = imei, .before = (uint16_t)(imei % 1000), .after = (uint16_t)part, .derive = k % 2};
			change.record = (struct policy_class){.mask = POLICY_AMNESTY | k, .was_mask = i, .since_day = -(int32_t)k,
				.block_day = INT32_MAX, .resolved_day = INT32_MIN};
			if (k % 3 == 0)
				change.record.genuine_imsi = imei + 1;
			class_chunk_add_change(c, &change);
			c->items[c->n_items++] = (struct class_item){imei, change.record};
		}
		enum ceir_err err = class_output_push(output, part, c);
		if (err)
			return err;
	}
	return class_output_end(output, part);
}

static void *produce_parts(void *arg)
{
	unsigned part;
	enum ceir_err err = CEIR_OK;
	while (!err && class_output_take(output, &part)) {
		if (part % 7 == 0)
			usleep(3000); /* so that those behind it must keep theirs, and wait */
		err = produce(part);
	}
	if (err)
		class_output_fail(output, err);
	return arg;
}

static void produce_all(void)
{
	pthread_t threads[THREADS];
	for (unsigned i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, produce_parts, NULL), 0);
	for (unsigned i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
}

static void compare_output(const char *dir)
{
	struct classify_change change;
	struct class_file *file;
	struct class_reader reader;
	struct policy_class record;
	const struct class_list none = {0};
	size_t n;
	assert_int_equal(class_output_finish(output, -3, 99), CEIR_OK);
	assert_int_equal(class_file_open(dir, "x.seg", &file), CEIR_OK);
	assert_int_equal(file->made_day, -3);
	assert_int_equal(file->policy_version, 99);
	assert_int_equal(class_reader_begin(&reader, file, &none, 0), CEIR_OK);
	for (unsigned part = 0; part < PARTS; part++) {
		for (unsigned k = 0; k < part % 5 * (100 + part); k++) {
			uint64_t imei = (uint64_t)part * 1000000 + k * 7;
			assert_int_equal(class_output_next(output, &change, 1, &n), CEIR_OK);
			assert_int_equal(n, 1);
			assert_int_equal(change.imei, imei);
			assert_int_equal(change.before, imei % 1000);
			assert_int_equal(change.after, part);
			assert_int_equal(change.derive, k % (100 + part) % 2);
			assert_int_equal(change.record.mask, POLICY_AMNESTY | k % (100 + part));
			assert_int_equal(change.record.was_mask, k / (100 + part));
			assert_int_equal(change.record.genuine_imsi, k % (100 + part) % 3 ? 0 : imei + 1);
			assert_int_equal(class_reader_peek(&reader), imei);
			assert_int_equal(class_reader_take(&reader, &record), CEIR_OK);
			assert_true(world_same_record(&record, &change.record));
		}
	}
	assert_int_equal(class_output_next(output, &change, 1, &n), CEIR_OK);
	assert_int_equal(n, 0);
	assert_int_equal(class_reader_peek(&reader), UINT64_MAX);
	class_file_unref(file);
}

/* With room for many chunks, and with none: then only the head goes on. */
static void parts_come_out_in_order(void **state)
{
	(void)state;
	char dir[] = "/tmp/classify-output-XXXXXX", path[64];
	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof path, "%s/x.seg", dir);
	for (size_t budget = 0; budget <= 20 * sizeof(struct class_chunk); budget += 5 * sizeof(struct class_chunk)) {
		assert_int_equal(class_output_new(dir, path, PARTS, budget, &output), CEIR_OK);
		produce_all();
		compare_output(dir);
		assert_int_equal(access(path, F_OK), 0);
		class_output_free(output);
		assert_int_not_equal(access(path, F_OK), 0);
	}
	assert_int_equal(class_output_new(dir, path, PARTS, 0, &output), CEIR_OK);
	class_output_fail(output, CEIR_ENOSPC);
	class_output_fail(output, CEIR_EIO);
	produce_all();
	assert_int_equal(class_output_finish(output, 0, 0), CEIR_ENOSPC);
	class_output_free(output);
	assert_int_equal(rmdir(dir), 0);
	assert_int_equal(class_output_new(dir, path, PARTS, 0, &output), CEIR_ENOENT);
}

/* ---- other IMEIs ------------------------------------------------------------------------------------------------------- */

static uint64_t imsi_key(uint64_t n)
{
	return triplet_imsi_key((struct imsi){255010000000000 + n, 15});
}

static uint64_t msisdn_key(uint64_t n)
{
	return triplet_msisdn_key((struct msisdn){380500000000 + n, 12});
}

#define HOUR 3600u
#define T0 (WORLD_DAY * 86400u)

static void see(struct world *w, uint64_t imei, uint64_t imsi, uint64_t msisdn, uint32_t at_s)
{
	const struct sighting row = {.imei = imei, .imsi = imsi_key(imsi), .msisdn = msisdn_key(msisdn), .at_s = at_s};
	assert_int_equal(triplets_sight(w->store, 1, 0, &row, NULL, 1, NULL, NULL), CEIR_OK);
}

/* limit: of marks in a list; with fewer than there are it is given up. */
static void ask(struct world *w, bool prepared, size_t limit)
{
	struct triplets_view *view = triplets_view_new(w->store);
	struct classify_over *o = classify_over_new(view, prepared);
	struct policy_tables t = {0};
	assert_true(view && o);
	class_over_limit(o, limit);
	classify_tables_over(o, &t);
	/* One SIM through six phones, the last two today. */
	assert_int_equal(t.imeis_of_imsi(t.ctx, imsi_key(1), 0, 100), 6);
	assert_int_equal(t.imeis_of_imsi(t.ctx, imsi_key(1), 0, 6), 6);
	assert_int_equal(t.imeis_of_imsi(t.ctx, imsi_key(1), T0 + 86400, 5), 5);
	assert_int_equal(t.imeis_of_imsi(t.ctx, imsi_key(1), T0 + 2 * 86400, 5), 4);
	assert_int_equal(t.imeis_of_imsi(t.ctx, imsi_key(1), 0, 4), 4);
	assert_int_equal(t.imeis_of_imsi(t.ctx, imsi_key(1), T0 + 4 * 86400, 6), 2);
	assert_int_equal(t.imeis_of_imsi(t.ctx, imsi_key(1), T0 + 4 * 86400, 100), prepared && limit ? 6 : 2); /* far below anyway */
	assert_int_equal(t.imeis_of_imsi(t.ctx, imsi_key(1), 0, 0), 0);
	assert_int_equal(t.imeis_of_imsi(t.ctx, imsi_key(2), 0, 1), 1);
	assert_true(t.imeis_of_imsi(t.ctx, imsi_key(2), 0, 3) < 3);
	assert_true(t.imeis_of_imsi(t.ctx, imsi_key(999), 0, 3) < 3);
	/* 10: SIM, then phone an hour later. 11: a new phone only. 12: a new SIM only. 13: both, a month apart. 14: both at once. */
	assert_true(t.swapped(t.ctx, msisdn_key(10), 2 * HOUR, 0));
	assert_false(t.swapped(t.ctx, msisdn_key(10), HOUR / 2, 0));
	assert_false(t.swapped(t.ctx, msisdn_key(10), 2 * HOUR, T0 + 86400));
	assert_false(t.swapped(t.ctx, msisdn_key(11), 1000 * HOUR, 0));
	assert_false(t.swapped(t.ctx, msisdn_key(12), 1000 * HOUR, 0));
	assert_false(t.swapped(t.ctx, msisdn_key(13), 48 * HOUR, 0));
	assert_true(t.swapped(t.ctx, msisdn_key(14), 0, T0 + 5 * HOUR));
	assert_false(t.swapped(t.ctx, msisdn_key(999), 48 * HOUR, 0));
	assert_int_equal(classify_over_error(o), CEIR_OK);
	classify_over_free(o);
	triplets_view_free(view);
}

static void what_is_asked_of_other_imeis(void **state)
{
	(void)state;
	struct world *w = malloc(sizeof *w);
	assert_non_null(w);
	world_new(w, 3);
	for (uint32_t i = 0; i < 6; i++)
		see(w, 1000 + i, 1, 1, T0 + i * 86400);
	see(w, 2000, 2, 2, T0);
	see(w, 3000, 10, 10, T0);
	see(w, 3000, 110, 10, T0 + 5 * HOUR);
	see(w, 3001, 110, 10, T0 + 6 * HOUR);
	see(w, 3100, 11, 11, T0);
	see(w, 3101, 11, 11, T0 + HOUR);
	see(w, 3200, 12, 12, T0);
	see(w, 3200, 112, 12, T0 + HOUR);
	see(w, 3300, 13, 13, T0);
	see(w, 3300, 113, 13, T0 + HOUR);
	see(w, 3301, 113, 13, T0 + 720 * HOUR);
	see(w, 3400, 14, 14, T0);
	see(w, 3401, 114, 14, T0 + 5 * HOUR);
	ask(w, false, 1000);
	ask(w, true, 1000);
	ask(w, true, 1);
	ask(w, true, 0);
	classify_over_free(NULL);
	world_free(w);
	free(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_map_and_lists_of_it),
		cmocka_unit_test(parts_come_out_in_order),
		cmocka_unit_test(what_is_asked_of_other_imeis),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

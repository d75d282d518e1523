/*
 * The classification against a naive one: a small country over many days, with touches between runs, dry runs, changes of
 * policy, crashes, and what is noted while a run goes on. Then the corners one by one.
 */
#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "classify_world.h"
#include "test_amount.h"

static struct classify_change expected[WORLD_CHANGES], found[WORLD_CHANGES];

static void same_change(const struct classify_change *a, const struct classify_change *b)
{
	assert_int_equal(a->imei, b->imei);
	assert_int_equal(a->derive, b->derive);
	assert_int_equal(a->before, b->before);
	assert_int_equal(a->after, b->after);
	assert_true(world_same_record(&a->record, &b->record));
}

static void same_changes(size_t n_expected, size_t n_found)
{
	for (size_t i = 0; i < n_expected && i < n_found; i++)
		same_change(&expected[i], &found[i]);
	assert_int_equal(n_expected, n_found);
}

static void new_name(struct world *w, char name[32])
{
	snprintf(name, 32, "class-%u.seg", ++w->files);
}

/* The changes of a run, some at a time, and that they add up. */
static size_t read_changes(struct world *w, struct classify_run *r)
{
	const struct classify_result *result = classify_run_result(r);
	size_t n = 0, got;
	uint64_t differ = 0, derive = 0, to[4] = {0}, from[4] = {0};
	do {
		assert_int_equal(classify_run_next(r, found + n, 1 + world_random(w, 3000), &got), CEIR_OK);
		n += got;
	} while (got);
	for (size_t i = 0; i < n; i++) {
		derive += found[i].derive;
		if (found[i].derive || found[i].before == found[i].after)
			continue;
		differ++;
		to[found[i].after & 3]++;
		from[found[i].before & 3]++;
	}
	assert_int_equal(result->changes, differ);
	assert_int_equal(result->derive, derive);
	assert_memory_equal(result->to, to, sizeof to);
	assert_memory_equal(result->from, from, sizeof from);
	return n;
}

struct counting {
	uint64_t rows, imeis, last;
};

static enum ceir_err count_rows(void *ctx, const struct triplet *rows, size_t n)
{
	struct counting *c = ctx;
	for (size_t i = 0; i < n; i++) {
		c->imeis += c->rows == 0 || rows[i].imei != c->last;
		c->last = rows[i].imei;
		c->rows++;
	}
	return CEIR_OK;
}

/* Runs, compares with the naive classification; the caller frees the run. */
static struct classify_run *run_and_compare(struct world *w, struct world_env *e, bool dry, const char *name, size_t *n)
{
	struct classify_run *r = NULL;
	size_t n_expected = 0;
	for (uint32_t i = 0; i < WORLD_DEVICES; i++)
		n_expected += world_expect(w, e, &w->device[i], true, &expected[n_expected]);
	assert_int_equal(classify_run_new(w->c, &e->env, 1 + world_random(w, 3), name, dry, NULL, &r), CEIR_OK);
	*n = read_changes(w, r);
	same_changes(n_expected, *n);
	struct counting c = {0};
	assert_int_equal(triplets_scan(e->own, 0, UINT64_MAX, count_rows, &c), CEIR_OK);
	const struct classify_result *result = classify_run_result(r);
	assert_int_equal(result->triplets, c.rows);
	assert_true(result->imeis >= c.imeis);
	assert_int_equal(result->colours[0] + result->colours[1] + result->colours[2] + result->colours[3], result->imeis);
	return r;
}

static void touch_and_compare(struct world *w, const struct policy *p, const uint64_t *imeis, size_t n)
{
	struct world_env e;
	size_t n_expected = 0, n_found = 0;
	world_env_new(w, p, false, &e);
	for (size_t i = 0; i < n; i++)
		n_expected += world_expect(w, &e, world_find(w, imeis[i]), false, &expected[n_expected]);
	assert_int_equal(classify_touch(w->c, &e.env, imeis, n, found, &n_found), CEIR_OK);
	same_changes(n_expected, n_found);
	for (size_t i = 0; i < n_found; i++)
		world_apply(w, p, &found[i], true);
	world_env_free(&e);
}

static void dry_run(struct world *w)
{
	struct world_env e;
	size_t n;
	world_env_new(w, w->policies[1], true, &e);
	classify_run_free(run_and_compare(w, &e, true, "", &n));
	world_env_free(&e);
}

/* crash: after the changes are in the log, before the switch. */
static void full_run(struct world *w, const struct policy *p, bool crash)
{
	struct world_env e;
	uint64_t seen[100];
	char name[32];
	size_t n;
	new_name(w, name);
	world_env_new(w, p, true, &e);
	struct classify_run *r = run_and_compare(w, &e, false, name, &n);
	world_env_free(&e);
	struct classify_change *changes = malloc(n * sizeof *changes + 1);
	assert_non_null(changes);
	memcpy(changes, found, n * sizeof *changes);
	size_t before = w->n_log;
	touch_and_compare(w, p, seen, world_see(w, 100, seen)); /* while the run goes on, as it were */
	size_t during = w->n_log - before;
	for (size_t i = 0; i < n; i++) {
		bool is_newer = classify_is_newer(w->c, changes[i].imei);
		bool was_touched = false;
		for (size_t k = before; k < before + during; k++)
			was_touched |= w->log[k].imei == changes[i].imei;
		assert_int_equal(is_newer, was_touched);
		if (!is_newer)
			world_apply(w, p, &changes[i], false);
	}
	free(changes);
	if (crash) {
		classify_run_free(r);
		world_restart(w);
		return;
	}
	assert_int_equal(classify_switch(w->c, r), CEIR_OK);
	assert_int_equal(classify_switch(w->c, r), CEIR_ESTATE);
	memcpy(w->name, name, sizeof name);
	w->file_day = w->day;
	w->file_policy = policy_version(p);
	memmove(w->log, w->log + before, during * sizeof *w->log); /* noted since the run began: not in the file */
	w->n_log = during;
	classify_run_free(r);
}

static void days_of_a_country(uint64_t seed, unsigned days)
{
	struct world *w = malloc(sizeof *w);
	uint64_t seen[300];
	assert_non_null(w);
	world_new(w, seed);
	for (unsigned day = 0; day < days; day++) {
		const struct policy *p = w->policies[day > days * 2 / 3];
		w->day += 1 + (world_random(w, 6) == 0) * 4;
		size_t n = world_see(w, 50 + world_random(w, 250), seen);
		if (world_random(w, 3))
			touch_and_compare(w, p, seen, n);
		for (unsigned i = world_random(w, 30); i > 0; i--)
			world_register(w, &w->device[world_random(w, WORLD_DEVICES)]);
		if (world_random(w, 4) == 0)
			dry_run(w);
		if (day % 2 || world_random(w, 4) == 0)
			full_run(w, p, world_random(w, 4) == 0);
		if (world_random(w, 6) == 0)
			world_restart(w);
		world_check(w);
	}
	world_free(w);
	free(w);
}

static void many_days_are_what_naive_says(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= TEST_AMOUNT(3, 1); seed++)
		days_of_a_country(seed, 30);
}

/* ---- the corners ------------------------------------------------------------------------------------------------------ */

static size_t files_in(const char *dir)
{
	size_t n = 0;
	DIR *d = opendir(dir);
	assert_non_null(d);
	for (struct dirent *e; (e = readdir(d)) != NULL;)
		n += e->d_name[0] != '.';
	closedir(d);
	return n;
}

static struct world *new_country(uint64_t seed)
{
	struct world *w = malloc(sizeof *w);
	uint64_t seen[500];
	assert_non_null(w);
	world_new(w, seed);
	for (unsigned i = 0; i < 6; i++)
		world_see(w, 500, seen);
	return w;
}

static void drop_country(struct world *w)
{
	world_free(w);
	free(w);
}

/* A dry run, one that is thrown away, and one that is stopped leave nothing behind, in the folder or in memory. */
static void what_is_not_switched_leaves_no_trace(void **state)
{
	(void)state;
	struct world *w = new_country(7);
	struct world_env e;
	struct classify_run *r, *other;
	size_t n;
	uint64_t in_file, in_memory;
	_Atomic bool stop = true;
	world_env_new(w, w->policies[0], true, &e);
	r = run_and_compare(w, &e, true, "", &n);
	assert_true(n > 1000);
	assert_int_equal(files_in(w->records), 0);
	assert_int_equal(classify_switch(w->c, r), CEIR_ESTATE);
	assert_int_equal(classify_run_new(w->c, &e.env, 2, "class-1.seg", false, NULL, &other), CEIR_ESTATE);
	classify_run_free(r);
	r = run_and_compare(w, &e, false, "class-1.seg", &n);
	assert_int_equal(files_in(w->records), 1);
	classify_run_free(r);
	assert_int_equal(files_in(w->records), 0);
	assert_int_equal(classify_run_new(w->c, &e.env, 2, "class-1.seg", false, &stop, &r), CEIR_ETIMEOUT);
	assert_int_equal(files_in(w->records), 0);
	assert_int_equal(classify_run_new(w->c, &e.env, 2, "../class-1.seg", false, NULL, &r), CEIR_EINVAL);
	assert_int_equal(classify_run_new(w->c, &e.env, 0, "class-1.seg", false, NULL, &r), CEIR_EINVAL);
	classify_count(w->c, &in_file, &in_memory);
	assert_int_equal(in_file + in_memory, 0);
	world_check(w);
	world_env_free(&e);
	drop_country(w);
}

/* The whole life of a date: told, kept whatever else is found, come, and no other. */
static void a_date_does_not_move(void **state)
{
	(void)state;
	struct world *w = new_country(8);
	struct policy_class first[WORLD_DEVICES], now;
	uint64_t seen[300];
	full_run(w, w->policies[0], false);
	world_check(w);
	for (uint32_t i = 0; i < WORLD_DEVICES; i++)
		first[i] = w->device[i].record;
	unsigned black = 0;
	for (unsigned day = 0; day < 20; day++) {
		w->day++;
		touch_and_compare(w, w->policies[0], seen, world_see(w, 300, seen));
		full_run(w, w->policies[0], day % 5 == 4);
	}
	for (uint32_t i = 0; i < WORLD_DEVICES; i++) {
		if (first[i].block_day == 0 || w->device[i].record.block_day == 0)
			continue; /* a clone whose copies went away */
		assert_true(classify_get(w->c, w->device[i].imei, &now));
		assert_int_equal(now.since_day, first[i].since_day);
		assert_int_equal(now.block_day, first[i].block_day);
		black += w->device[i].entry.colour == VERDICT_BLACK;
	}
	assert_true(black > 500);
	drop_country(w);
}

/* Records of IMEIs that nobody sees any more are kept, and their day comes. */
static void records_outlive_triplets(void **state)
{
	(void)state;
	struct world *w = malloc(sizeof *w);
	assert_non_null(w);
	world_new(w, 9);
	for (uint32_t i = 0; i < WORLD_DEVICES; i += 2) {
		struct classify_change c = {.imei = w->device[i].imei, .record = {.mask = 4, .since_day = w->day, .block_day = w->day + 3}};
		c.after = verdict_pack((struct verdict){.colour = VERDICT_GREY, .reason = VERDICT_UNREGISTERED_SEEN});
		world_apply(w, w->policies[0], &c, true);
	}
	full_run(w, w->policies[0], false);
	world_check(w);
	w->day += 3;
	full_run(w, w->policies[0], false);
	world_check(w);
	unsigned black = 0;
	for (uint32_t i = 0; i < WORLD_DEVICES; i++) {
		const struct world_device *d = &w->device[i];
		if (!d->has_record || !(d->record.mask >> 2 & 1) || d->record.block_day > w->day || triplet_is_malformed(d->imei))
			continue; /* one of the few that were seen again meanwhile */
		assert_int_equal(d->entry.colour, VERDICT_BLACK);
		black++;
	}
	assert_true(black > 1000);
	assert_int_equal(files_in(w->records), 1);
	drop_country(w);
}

/* With a million subscribers a touch reads no more than POLICY_GATHER_MAX of them once it is known, and the run all. */
static void an_imei_with_very_many_subscribers(void **state)
{
	(void)state;
	struct world *w = new_country(10);
	struct sighting rows[500];
	uint64_t hot = w->device[1].imei;
	for (uint32_t n = 0; n < POLICY_GATHER_MAX + 1000; n += 500) {
		for (uint32_t i = 0; i < 500; i++)
			rows[i] = (struct sighting){.imei = hot, .imsi = triplet_imsi_key((struct imsi){255020000000000 + n + i, 15}),
				.at_s = (uint32_t)w->day * 86400u};
		assert_int_equal(triplets_sight(w->store, 1, 0, rows, NULL, 500, NULL, NULL), CEIR_OK);
	}
	touch_and_compare(w, w->policies[0], &hot, 1);
	assert_true(w->device[1].has_record);
	assert_true(w->device[1].record.mask >> 3 & 1);
	struct world_env e;
	size_t n = 1;
	w->day += 40;
	world_env_new(w, w->policies[0], false, &e);
	assert_int_equal(classify_touch(w->c, &e.env, &hot, 1, found, &n), CEIR_OK);
	assert_int_equal(n, 0);
	world_env_free(&e);
	full_run(w, w->policies[0], false);
	assert_false(w->device[1].record.mask >> 3 & 1);
	world_check(w);
	drop_country(w);
}

static void ignore_line(void *ctx, const char *line)
{
	assert_non_null(line);
	++*(unsigned *)ctx;
}

static void flip(const char *path, long at)
{
	FILE *f = fopen(path, "r+");
	assert_non_null(f);
	assert_int_equal(fseek(f, at, SEEK_SET), 0);
	int c = fgetc(f);
	assert_int_equal(fseek(f, at, SEEK_SET), 0);
	assert_int_not_equal(fputc(c ^ 0x10, f), EOF);
	assert_int_equal(fclose(f), 0);
}

static void a_damaged_file_is_found(void **state)
{
	(void)state;
	struct world *w = new_country(11);
	struct world_env e;
	struct classify_run *r;
	struct classify *other;
	struct stat st;
	char path[200];
	unsigned lines = 0;
	full_run(w, w->policies[0], false);
	snprintf(path, sizeof path, "%s/%s", w->records, w->name);
	assert_int_equal(classify_verify(w->records, w->name, ignore_line, &lines), CEIR_OK);
	assert_int_equal(classify_verify(w->records, "", ignore_line, &lines), CEIR_OK);
	assert_int_equal(lines, 0);
	flip(path, 80); /* in the first block */
	assert_int_equal(classify_verify(w->records, w->name, ignore_line, &lines), CEIR_ECORRUPT);
	assert_true(lines > 0);
	world_env_new(w, w->policies[0], true, &e);
	assert_int_equal(classify_run_new(w->c, &e.env, 2, "class-99.seg", false, NULL, &r), CEIR_ECORRUPT);
	world_env_free(&e);
	assert_int_equal(files_in(w->records), 1);
	unsigned unread = 0;
	for (uint32_t i = 0; i < WORLD_DEVICES; i++) {
		struct policy_class record;
		bool got = classify_get(w->c, w->device[i].imei, &record);
		unread += w->device[i].has_record && !got;
		assert_true(!got || w->device[i].has_record);
	}
	assert_in_range(unread, 1, 128);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(truncate(path, st.st_size / 2), 0);
	assert_int_equal(classify_open(w->records, w->name, &other), CEIR_ECORRUPT);
	lines = 0;
	assert_int_equal(classify_verify(w->records, w->name, ignore_line, &lines), CEIR_ECORRUPT);
	assert_true(lines > 0);
	assert_int_equal(classify_open(w->records, "class-77.seg", &other), CEIR_ENOENT);
	assert_int_equal(classify_open(w->records, "../x.seg", &other), CEIR_EINVAL);
	drop_country(w);
}

static void leftovers_go_at_the_start(void **state)
{
	(void)state;
	struct world *w = new_country(12);
	char path[200];
	const char *const names[] = {"class-50.seg", "changes-abcdef.tmp", "notes.txt"};
	full_run(w, w->policies[0], false);
	for (unsigned i = 0; i < 3; i++) {
		snprintf(path, sizeof path, "%s/%s", w->records, names[i]);
		FILE *f = fopen(path, "w");
		assert_non_null(f);
		assert_int_equal(fclose(f), 0);
	}
	world_restart(w);
	assert_int_equal(files_in(w->records), 2);
	world_check(w);
	drop_country(w);
}

static void an_empty_country(void **state)
{
	(void)state;
	struct world *w = malloc(sizeof *w);
	assert_non_null(w);
	world_new(w, 13);
	size_t n = 1;
	struct world_env e;
	world_env_new(w, w->policies[0], true, &e);
	uint64_t imei = w->device[0].imei;
	assert_int_equal(classify_touch(w->c, &e.env, &imei, 1, found, &n), CEIR_OK);
	assert_int_equal(n, 0);
	assert_int_equal(classify_touch(w->c, &e.env, NULL, 0, NULL, &n), CEIR_OK);
	struct classify_run *r;
	assert_int_equal(classify_run_new(w->c, &e.env, 2, "class-1.seg", false, NULL, &r), CEIR_OK);
	assert_int_equal(classify_run_result(r)->imeis, 0);
	assert_int_equal(classify_switch(w->c, r), CEIR_OK);
	classify_run_free(r);
	classify_run_free(NULL);
	world_env_free(&e);
	world_check(w);
	assert_int_equal(classify_note(w->c, UINT64_MAX, &(struct policy_class){.mask = 1}), CEIR_EINVAL);
	drop_country(w);
	classify_close(NULL);
}

int main(void)
{
	FILE *nowhere = fopen("/dev/null", "w"); /* faults are made on purpose, and named once for each look */
	if (nowhere)
		log_setup(nowhere, false, LOG_ERROR_);
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_empty_country),
		cmocka_unit_test(many_days_are_what_naive_says),
		cmocka_unit_test(what_is_not_switched_leaves_no_trace),
		cmocka_unit_test(a_date_does_not_move),
		cmocka_unit_test(records_outlive_triplets),
		cmocka_unit_test(an_imei_with_very_many_subscribers),
		cmocka_unit_test(a_damaged_file_is_found),
		cmocka_unit_test(leftovers_go_at_the_start),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

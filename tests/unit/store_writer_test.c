/*
 * The one writer with many submitters: groups, order, the failing job among good ones, the log's size, and what is left after
 * an exit that nobody cleaned up behind.
 */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "store/store.h"

#include "test_folder.h"

#define SUBMITTERS 8
#define JOBS 200

static char dir[48], path[72];
static struct store *store;

static int make(void **state)
{
	(void)state;
	log_setup(stderr, false, LOG_ERROR_);
	assert_true(test_folder(dir, sizeof dir, "ceir-writer"));
	snprintf(path, sizeof path, "%s/ceir.db", dir);
	assert_int_equal(store_create(path), CEIR_OK);
	assert_int_equal(store_open(path, 1 << 20, &store), CEIR_OK);
	return 0;
}

static int destroy(void **state)
{
	char command[80];

	(void)state;
	store_close(store);
	snprintf(command, sizeof command, "rm -r %s", dir);
	return system(command);
}

static enum ceir_err append(struct store_conn *c, struct str name)
{
	struct store_audit a = {.at_us = store_audit_next(c), .verb = STR("test"), .name = name, .code = 1000};

	return store_audit_append(c, &a);
}

static void fail_line(void *ctx, const char *line)
{
	(void)ctx;
	fail_msg("%s", line);
}

static int64_t audited(void)
{
	struct store_conn *c = store_reader(store);
	uint8_t hash[STORE_HASH];
	int64_t seq, at;

	assert_non_null(c);
	assert_int_equal(store_audit_verify(c, fail_line, NULL), CEIR_OK);
	assert_int_equal(store_audit_head(c, &seq, &at, hash), CEIR_OK);
	store_reader_done(store, c);
	return seq;
}

/* ---- many submitters ---- */

struct work {
	struct store_job job;
	unsigned submitter, number;
	int64_t seq;           /* as run() saw it */
	bool fails, done;
	_Atomic int settled;
};

static unsigned last_done[SUBMITTERS]; /* the writer's thread only */
static _Atomic unsigned out_of_order;

static enum ceir_err run(struct store_conn *c, void *arg)
{
	struct work *w = arg;

	w->seq = store_audit_next(c);
	enum ceir_err err = append(c, STR("good"));
	return w->fails ? CEIR_ESTATE : err;
}

static void done(void *arg)
{
	struct work *w = arg;

	if (w->number && w->number <= last_done[w->submitter])
		out_of_order++;
	last_done[w->submitter] = w->number;
	w->done = true;
}

static void settled(void *arg, enum ceir_err result)
{
	struct work *w = arg;

	atomic_fetch_add(&w->settled, result ? 100 : 1);
}

static void *submit_many(void *arg)
{
	unsigned me = *(unsigned *)arg;
	struct store_waiter *waiter = store_waiter_new();
	struct work *works = calloc(JOBS, sizeof *works);
	enum ceir_err expected = CEIR_OK;

	assert_true(waiter && works);
	for (unsigned i = 0; i < JOBS; i++) {
		struct work *w = &works[i];

		*w = (struct work){.submitter = me, .number = i, .fails = me == 3 && i % 50 == 49};
		w->job = (struct store_job){.run = run, .done = done, .settled = settled, .arg = w, .waiter = waiter, .bulk = me == 4 && i % 20 == 0,
			.relaxed = me == 5};
		expected = w->fails ? CEIR_ESTATE : expected;
		store_submit(store, &w->job);
		if (i % 25 == 24) {
			enum ceir_err err = store_wait(waiter);

			assert_int_equal(err, expected);
			expected = CEIR_OK;
			assert_int_equal(store_wait(waiter), CEIR_OK); /* told once */
		}
	}
	for (unsigned i = 0; i < JOBS; i++) {
		assert_int_equal(works[i].settled, works[i].fails ? 100 : 1);
		assert_int_equal(works[i].done, !works[i].fails);
		assert_int_equal(works[i].job.result, works[i].fails ? CEIR_ESTATE : CEIR_OK);
	}
	store_waiter_free(waiter);
	free(works);
	return NULL;
}

static void many_submitters(void **state)
{
	pthread_t threads[SUBMITTERS];
	unsigned ids[SUBMITTERS];
	struct store_stats stats;

	(void)state;
	memset(last_done, 0, sizeof last_done);
	for (unsigned i = 0; i < SUBMITTERS; i++) {
		ids[i] = i;
		assert_int_equal(pthread_create(&threads[i], NULL, submit_many, &ids[i]), 0);
	}
	for (unsigned i = 0; i < SUBMITTERS; i++)
		pthread_join(threads[i], NULL);
	/* The failing ones left nothing, the others all: and they were committed in groups. */
	assert_int_equal(audited(), SUBMITTERS * JOBS - 4);
	store_stats(store, &stats);
	assert_int_equal(stats.jobs, SUBMITTERS * JOBS - 4);
	assert_true(stats.commits < stats.jobs);
	/* Bulk jobs stand behind short ones, so submitter 4 may see its own out of order; nobody else. */
	assert_true(out_of_order <= JOBS / 20);
}

/* ---- one bad job among good ones ---- */

static enum ceir_err hold(struct store_conn *c, void *arg)
{
	(void)c;
	usleep(*(unsigned *)arg);
	return CEIR_OK;
}

static void a_failing_job_harms_nobody_else(void **state)
{
	unsigned us = 100000;
	struct store_waiter *waiter = store_waiter_new(), *waiter_of_bad = store_waiter_new();
	struct store_job first = {.run = hold, .arg = &us, .waiter = waiter};
	struct work works[5] = {0};

	(void)state;
	/* While the first is held, the others become one group. */
	store_submit(store, &first);
	for (unsigned i = 0; i < 5; i++) {
		works[i] = (struct work){.number = i, .fails = i == 2, .submitter = 7};
		works[i].job = (struct store_job){.run = run, .done = done, .settled = settled, .arg = &works[i],
			.waiter = i == 2 ? waiter_of_bad : waiter};
		store_submit(store, &works[i].job);
	}
	assert_int_equal(store_wait(waiter), CEIR_OK);
	assert_int_equal(store_wait(waiter_of_bad), CEIR_ESTATE);
	assert_int_equal(audited(), 4);
	static const int64_t seqs[] = {1, 2, 3, 3, 4}; /* the bad one's number went to the next */
	for (unsigned i = 0; i < 5; i++)
		assert_int_equal(works[i].seq, seqs[i]);
	assert_false(works[2].done);
	store_waiter_free(waiter);
	store_waiter_free(waiter_of_bad);
}

/* ---- the log ---- */

static enum ceir_err write_megabyte(struct store_conn *c, void *arg)
{
	static char bytes[1 << 20];
	struct store_part p = {.application = 1, .number = *(int64_t *)arg, .first_line = *(int64_t *)arg, .rows = 1, .data = {bytes, sizeof bytes}};

	return store_part_insert(c, &p);
}

static int64_t log_size(void)
{
	char wal[80];
	struct stat st;

	snprintf(wal, sizeof wal, "%s-wal", path);
	return stat(wal, &st) ? 0 : (int64_t)st.st_size;
}

static void the_log_stays_bounded(void **state)
{
	int64_t largest = 0;

	(void)state;
	for (int64_t i = 1; i <= 300; i++) {
		struct store_job job = {.run = write_megabyte, .arg = &i, .bulk = true};

		assert_int_equal(store_run(store, &job), CEIR_OK);
		largest = log_size() > largest ? log_size() : largest;
	}
	/* 32 MiB start a checkpoint; what is written while it runs comes on top. */
	if (largest >= 200 << 20)
		fail_msg("the write-ahead log grew to %lld bytes", (long long)largest);
}

static void a_reader_in_the_past_does_not_stop_the_writer(void **state)
{
	struct store_conn *c = store_reader(store);
	int64_t n = 0;

	(void)state;
	assert_int_equal(store_snapshot_begin(c), CEIR_OK);
	for (int64_t i = 1; i <= 60; i++) {
		struct store_job job = {.run = write_megabyte, .arg = &i, .bulk = true};

		assert_int_equal(store_run(store, &job), CEIR_OK);
	}
	assert_int_equal(store_part_find(c, 1, 1, &n), CEIR_ENOENT);
	store_snapshot_end(c);
	assert_int_equal(store_part_find(c, 1, 1, &n), CEIR_OK);
	store_reader_done(store, c);
}

/* ---- an exit in the middle ---- */

static enum ceir_err exit_inside(struct store_conn *c, void *arg)
{
	(void)arg;
	if (append(c, STR("half")))
		_exit(2);
	_exit(0);
}

static void die(void)
{
	struct store *s;

	if (store_open(path, 1 << 20, &s))
		_exit(3);
	struct work w = {0};
	w.job = (struct store_job){.run = run, .done = done, .settled = settled, .arg = &w};
	if (store_run(s, &w.job))
		_exit(4);
	struct store_job job = {.run = exit_inside};
	_exit(store_run(s, &job) ? 5 : 6);
}

static void an_exit_in_the_middle(void **state)
{
	(void)state;
	store_close(store);
	for (int64_t i = 1; i <= 5; i++) {
		int status;
		pid_t pid = fork();

		if (pid == 0)
			die();
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_true(WIFEXITED(status));
		assert_int_equal(WEXITSTATUS(status), 0);
		/* What was answered is there, what was not is not, and the chain goes on. */
		assert_int_equal(store_open(path, 1 << 20, &store), CEIR_OK);
		assert_int_equal(audited(), i);
		if (i < 5)
			store_close(store);
	}
}

/* ---- closing ---- */

static void what_was_submitted_is_done_at_close(void **state)
{
	struct work works[100] = {0};

	(void)state;
	for (unsigned i = 0; i < 100; i++) {
		works[i].submitter = 6;
		works[i].number = i;
		works[i].job = (struct store_job){.run = run, .done = done, .settled = settled, .arg = &works[i], .bulk = i % 10 == 0};
		store_submit(store, &works[i].job);
	}
	store_close(store);
	for (unsigned i = 0; i < 100; i++)
		assert_int_equal(works[i].settled, 1);
	assert_int_equal(store_open(path, 1 << 20, &store), CEIR_OK);
	assert_int_equal(audited(), 100);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, make, destroy)
	const struct CMUnitTest tests[] = {TEST(an_exit_in_the_middle), TEST(many_submitters), TEST(a_failing_job_harms_nobody_else),
		TEST(the_log_stays_bounded), TEST(a_reader_in_the_past_does_not_stop_the_writer), TEST(what_was_submitted_is_done_at_close)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

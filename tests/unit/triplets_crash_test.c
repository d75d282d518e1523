/*
 * Kill -9 at random moments, a hundred times and more: a child loads, applies, takes sightings and merges, and tells what was
 * acknowledged; after each kill everything acknowledged must be there exactly once, what was in flight whole or not at all, and
 * triplets_verify() silent. CEIR_SEED repeats the choices (not the moments); CEIR_KILLS makes it longer.
 */
#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "test_amount.h"
#include "triplets_world.h"

#define KILLS 100u
#define LIMIT_US (TEST_AMOUNT(40, 12) * 1000000ll) /* no new child after that long */
#define MEMORY_BYTES (256u << 10)
#define OPS 60000u                 /* deliveries and batches in all */
#define ROWS 300u                  /* at most in one */

enum state { NOTHING, STAGING, STAGED, APPLYING, APPLIED, SIGHTING, SIGHTED };

struct event {
	uint32_t k, state;
	uint64_t id;
};

static struct {
	char *dir;
	uint64_t seed, choices;
	uint8_t state[OPS];
	uint64_t id[OPS];
	uint32_t next;                 /* the lowest k that was not begun */
} all;

/* ---- rows of delivery or batch k: no other has them -------------------------------------------------------------- */

static unsigned rows_of(uint32_t k)
{
	uint64_t seed = all.seed + k;

	return 1 + (unsigned)(world_random(&seed) % (k % 7 ? 40 : ROWS));
}

static struct sighting row_of(uint32_t k, unsigned i)
{
	uint64_t n = (uint64_t)k * ROWS + i;

	return (struct sighting){.imei = 35000000000000u + n * 7919 % 5000 * 1000,
		.imsi = triplet_imsi_key((struct imsi){255010000000000u + n, 15}),
		.msisdn = triplet_msisdn_key((struct msisdn){380500000000u + n, 12}), .at_s = WORLD_BEGIN_S + k, .event = TRIPLET_CALL};
}

static size_t fill(uint32_t k, struct sighting rows[ROWS])
{
	size_t n = rows_of(k);

	for (unsigned i = 0; i < n; i++)
		rows[i] = row_of(k, i);
	return n;
}

/* ---- the child --------------------------------------------------------------------------------------------------- */

static int pipe_fd;
static struct triplets *store;
static _Atomic uint32_t next_k;

/* The test must not go on when the child's world is wrong: it ends, and the parent sees how. */
#define MUST(x) ((x) ? (void)0 : (fprintf(stderr, "child: %s\n", #x), _exit(3)))

static void tell(uint32_t k, enum state state, uint64_t id)
{
	struct event e = {k, state, id};

	MUST(write(pipe_fd, &e, sizeof(e)) == sizeof(e));
}

static void deliver(uint32_t k)
{
	struct sighting rows[ROWS];
	struct triplets_intake *in;
	size_t n = fill(k, rows);
	uint64_t id;

	tell(k, STAGING, 0);
	MUST(triplets_intake_new(store, 1, &in) == CEIR_OK);
	MUST(triplets_intake_add(in, rows, NULL, n) == CEIR_OK);
	MUST(triplets_intake_stage(in, &id) == CEIR_OK);
	tell(k, STAGED, id);
	all.id[k] = id;
}

static void apply(uint32_t k)
{
	struct triplets_counts c;

	tell(k, APPLYING, all.id[k]);
	MUST(triplets_apply(store, all.id[k], k % 5 == 0, NULL, NULL, &c) == CEIR_OK);
	MUST(c.distinct == rows_of(k) && c.fresh == c.distinct);
	tell(k, APPLIED, all.id[k]);
}

static void *deliver_thread(void *arg)
{
	(void)arg;
	for (uint32_t k = 0; k < OPS; k++)
		if (all.state[k] == STAGED)
			apply(k);
	for (uint32_t last = OPS;;) {
		uint32_t k = next_k++;
		MUST(k < OPS);
		deliver(k);
		if (last != OPS)
			apply(last);
		last = k;
	}
}

static void *sight_thread(void *arg)
{
	struct sighting rows[ROWS];

	(void)arg;
	for (;;) {
		uint32_t k = next_k++;
		MUST(k < OPS);
		size_t n = fill(k, rows);
		tell(k, SIGHTING, 0);
		MUST(triplets_sight(store, 1, k + 1, rows, NULL, n, NULL, NULL) == CEIR_OK);
		tell(k, SIGHTED, 0);
	}
}

static void child(void)
{
	struct triplets_settings s = world_settings(all.dir, MEMORY_BYTES);
	pthread_t threads[3];

	world_quiet_us(1000);
	MUST(triplets_open(&s, &store) == CEIR_OK);
	next_k = all.next;
	MUST(thread_start("deliver", deliver_thread, NULL, &threads[0]) == CEIR_OK);
	MUST(thread_start("sight", sight_thread, NULL, &threads[1]) == CEIR_OK);
	MUST(thread_start("sight", sight_thread, NULL, &threads[2]) == CEIR_OK);
	for (unsigned i = 0; i < 1000; i++) {
		(void)usleep(60000);
		MUST(triplets_compact(store) == CEIR_OK);
	}
	_exit(4);
}

/* ---- the parent -------------------------------------------------------------------------------------------------- */

static void learn(const struct event *e)
{
	assert_true(e->k < OPS);
	all.state[e->k] = (uint8_t)e->state;
	if (e->id)
		all.id[e->k] = e->id;
	if (e->k >= all.next)
		all.next = e->k + 1;
}

/* Reads what the child tells until then; true: until it is closed. */
static bool listen_until(int fd, int64_t until_us)
{
	for (;;) {
		struct event e;
		int64_t left_us = until_us - clock_mono_us();
		struct pollfd p = {.fd = fd, .events = POLLIN};
		if (left_us <= 0)
			return false;
		int ready = poll(&p, 1, (int)(left_us / 1000) + 1);
		if (ready <= 0)
			continue;
		ssize_t n = read(fd, &e, sizeof(e));
		if (n == 0)
			return true;
		assert_int_equal(n, sizeof(e));
		learn(&e);
	}
}

static void run_child(unsigned alive_us)
{
	int fds[2], status;

	assert_int_equal(pipe(fds), 0);
	pid_t pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		(void)close(fds[0]);
		pipe_fd = fds[1];
		child();
	}
	(void)close(fds[1]);
	bool ended = listen_until(fds[0], clock_mono_us() + alive_us);
	(void)kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(!ended || WIFSIGNALED(status)); /* its own end would be an error of the store */
	assert_true(WIFSIGNALED(status));
	assert_true(listen_until(fds[0], INT64_MAX / 2));
	(void)close(fds[0]);
}

struct seen {
	struct sighting must;
	unsigned right, wrong;
};

static enum ceir_err see(void *ctx, const struct triplet *t)
{
	struct seen *s = ctx;
	bool same = t->imei == s->must.imei && t->imsi == s->must.imsi && t->msisdn == s->must.msisdn && t->op == 1 &&
		    t->first_s == s->must.at_s && t->last_s == s->must.at_s && t->n_episodes == 0 && t->event == TRIPLET_CALL;

	s->right += same;
	s->wrong += !same;
	return CEIR_OK;
}

/* How many of the rows of k are there; each at most once, by each key. */
static unsigned count_rows(struct triplets_view *v, uint32_t k)
{
	unsigned n = rows_of(k), there = 0;

	for (unsigned i = 0; i < n; i++) {
		struct seen a = {.must = row_of(k, i)}, b = a;
		assert_int_equal(triplets_by_imsi(v, a.must.imsi, 0, see, &a), CEIR_OK);
		assert_int_equal(triplets_by_msisdn(v, b.must.msisdn, 0, see, &b), CEIR_OK);
		assert_true(a.right <= 1 && a.wrong == 0);
		assert_true(b.right == a.right && b.wrong == 0);
		there += a.right;
	}
	return there;
}

static bool is_staged(struct triplets *t, uint64_t id)
{
	uint64_t ids[64];
	size_t n = triplets_staged(t, ids, 64);

	assert_true(n <= 64);
	for (size_t i = 0; i < n; i++)
		if (ids[i] == id)
			return true;
	return false;
}

static void check_applying(struct triplets *t, struct triplets_view *v, uint32_t k)
{
	struct triplets_counts c;

	if (is_staged(t, all.id[k])) {
		assert_int_equal(count_rows(v, k), 0);
		all.state[k] = STAGED;
		return;
	}
	assert_int_equal(count_rows(v, k), rows_of(k));
	assert_int_equal(triplets_apply(t, all.id[k], false, NULL, NULL, &c), CEIR_EEXIST);
	assert_int_equal(c.fresh, rows_of(k));
	all.state[k] = APPLIED;
}

/* The caller does what a client does: it sends the batch again. */
static void check_sighting(struct triplets *t, struct triplets_view *v, uint32_t k)
{
	struct sighting rows[ROWS];
	size_t n = fill(k, rows);
	unsigned there = count_rows(v, k);

	assert_true(there == 0 || there == n);
	assert_int_equal(triplets_sight(t, 1, k + 1, rows, NULL, n, NULL, NULL), there ? CEIR_EEXIST : CEIR_OK);
	all.state[k] = SIGHTED;
}

static void check_op(struct triplets *t, struct triplets_view *v, uint32_t k)
{
	switch ((enum state)all.state[k]) {
	case NOTHING:
	case STAGING:
		assert_int_equal(count_rows(v, k), 0);
		all.state[k] = NOTHING;
		break;
	case STAGED:
		assert_true(is_staged(t, all.id[k]));
		assert_int_equal(count_rows(v, k), 0);
		break;
	case APPLYING:
		check_applying(t, v, k);
		break;
	case SIGHTING:
		check_sighting(t, v, k);
		break;
	case APPLIED:
	case SIGHTED:
		assert_int_equal(count_rows(v, k), rows_of(k));
		break;
	}
}

/* Staged without its acknowledgement having arrived: nobody knows it, so it is thrown away. */
static void discard_unknown(struct triplets *t)
{
	uint64_t ids[64];
	size_t n = triplets_staged(t, ids, 64);

	for (size_t i = 0; i < n && i < 64; i++) {
		bool known = false;
		for (uint32_t k = 0; k < all.next && !known; k++)
			known = (all.state[k] == STAGED || all.state[k] == APPLYING) && all.id[k] == ids[i];
		if (!known)
			assert_int_equal(triplets_discard(t, ids[i]), CEIR_OK);
	}
}

/*
 * What was begun from there on, and some of what was before. What is over is looked at only here and there, for there is more of it the faster
 * the machine is; from 0, in the end, all is looked at.
 */
static void check_store(uint32_t from)
{
	struct triplets_settings s = world_settings(all.dir, MEMORY_BYTES);
	struct triplets *t;

	world_verify(all.dir);
	assert_int_equal(triplets_open(&s, &t), CEIR_OK);
	struct triplets_view *v = triplets_view_new(t);
	assert_non_null(v);
	discard_unknown(t);
	for (uint32_t k = from; k < all.next; k++)
		if (from == 0 || k % 4 == 0 || (all.state[k] != APPLIED && all.state[k] != SIGHTED))
			check_op(t, v, k);
	for (unsigned i = 0; i < 200 && from; i++)
		check_op(t, v, (uint32_t)(world_random(&all.choices) % from));
	triplets_view_free(v);
	triplets_close(t);
}

static void test_crash(void **state)
{
	const char *text = getenv("CEIR_KILLS");
	unsigned kills = text ? (unsigned)strtoul(text, NULL, 10) : KILLS, done = 0;
	int64_t begin_us = clock_mono_us();

	(void)state;
	all.seed = world_seed();
	all.choices = all.seed + 1;
	uint64_t moments = all.seed;
	all.dir = world_folder();
	/* A slow machine (a sanitizer, say) does fewer, but never none. */
	for (; done < kills && (done < 10 || text || clock_mono_us() - begin_us < LIMIT_US); done++) {
		uint32_t from = all.next;
		run_child(3000 + (unsigned)(world_random(&moments) % 120000));
		check_store(from);
	}
	check_store(0);
	printf("%u kills, %u deliveries and batches\n", done, all.next);
	world_remove(all.dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_crash)};

	(void)signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}

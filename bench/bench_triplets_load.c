/*
 * bench_triplets_load.c - engine-load: the triplet store by itself, without a server, fed with whole deliveries.
 *
 * A delivery of each operator, lines in no order, staged by `callers` threads at once, then applied one after the other. What it
 * takes to compute the triplets is left out of all figures. The counts of each delivery must be those of the population, or the run
 * fails.
 */
#include "bench_triplets.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define CHUNK 65536u /* rows of one triplets_intake_add() */
#define QUIET_US 500000
#define QUIET_CPU_S 0.03
#define SETTLE_MAX_US 60000000

enum ceir_err bt_store_open(const struct bt_options *o, struct triplets **out)
{
	const struct triplets_settings s = {
		.dir = o->dir, .gap_days = 30, .keep_episode_days = 0, .memory_bytes = o->memory_bytes, .threads = o->threads};

	return bt_failed(o->dir, triplets_open(&s, out));
}

double bt_store_settle(void)
{
	int64_t begun_us = clock_mono_us(), quiet_us = begun_us;
	struct bench_usage before, now;

	if (bench_usage_read(getpid(), &before))
		return 0;
	while (clock_mono_us() - begun_us < SETTLE_MAX_US) {
		nanosleep(&(struct timespec){.tv_nsec = QUIET_US * 1000}, NULL);
		if (bench_usage_read(getpid(), &now) || now.cpu_s - before.cpu_s < QUIET_CPU_S)
			break;
		before = now;
		quiet_us = clock_mono_us();
	}
	return (double)(quiet_us - begun_us) / 1e6;
}

/* Bytes and rows of each tree, as MANIFEST has them (triplets_format.h). */
static enum ceir_err tree_sizes(const char *dir, uint64_t bytes[3], uint64_t rows[3])
{
	struct buf text = BUF_INIT(256u << 20);
	char path[PATH_MAX];
	struct str rest, line;
	enum ceir_err err;

	memset(bytes, 0, 3 * sizeof *bytes);
	memset(rows, 0, 3 * sizeof *rows);
	snprintf(path, sizeof path, "%s/MANIFEST", dir);
	if ((err = file_read(path, text.max - 1, &text)) == CEIR_OK) {
		buf_char(&text, '\0');
		rest = (struct str){text.p, text.n - 1};
		while (str_cut(&rest, '\n', &line)) {
			unsigned long long tree, n_rows, n_bytes;

			if (sscanf(line.p, "segment %llu %*u %*u %llu %llu", &tree, &n_rows, &n_bytes) == 3 && tree < 3) {
				rows[tree] += n_rows;
				bytes[tree] += n_bytes;
			}
		}
	}
	buf_free(&text);
	return bt_failed(path, err);
}

/* ---- staging -------------------------------------------------------------------------------------------------------------- */

struct stager {
	const struct bt_options *o;
	const struct population *p;
	struct triplets *t;
	unsigned number, delivery;
	uint64_t ids[TRIPLET_OPERATORS + 1];
	double add_s, stage_s, computing_s; /* time of the clock */
	double computing_cpu_s;
	pthread_t thread;
	enum ceir_err err;
};

static double seconds(int64_t from_us)
{
	return (double)(clock_mono_us() - from_us) / 1e6;
}

/* The next rows of an operator; how many there were. */
static size_t compute(struct stager *s, unsigned op, uint64_t *position, struct sighting *rows)
{
	int64_t begun_us = clock_mono_us();
	double cpu_s = bt_thread_cpu_s();
	size_t n = 0;

	while (n < CHUNK && *position < s->o->triplets) {
		uint64_t i = population_index(s->p, (*position)++);
		struct population_triplet t;

		if (population_operator(s->p, i) != op)
			continue;
		population_get(s->p, i, &t);
		n += triplet_sighting(&t, bt_noon_s(s->o, s->delivery), &rows[n]);
	}
	s->computing_s += seconds(begun_us);
	s->computing_cpu_s += bt_thread_cpu_s() - cpu_s;
	return n;
}

static enum ceir_err stage_one(struct stager *s, unsigned op, struct sighting *rows)
{
	struct triplets_intake *in = NULL;
	uint64_t position = 0;
	enum ceir_err err = triplets_intake_new(s->t, (uint8_t)op, &in);
	size_t n;

	while (!err && (n = compute(s, op, &position, rows)) > 0) {
		int64_t begun_us = clock_mono_us();
		err = triplets_intake_add(in, rows, NULL, n);
		s->add_s += seconds(begun_us);
	}
	if (err) {
		triplets_intake_drop(in);
		return bt_failed("triplets_intake_add", err);
	}
	int64_t begun_us = clock_mono_us();
	err = triplets_intake_stage(in, &s->ids[op]);
	s->stage_s += seconds(begun_us);
	return bt_failed("triplets_intake_stage", err);
}

/* Every callers-th operator is this thread's. */
static void *stager_run(void *arg)
{
	struct stager *s = arg;
	struct sighting *rows = malloc(CHUNK * sizeof *rows);

	s->err = rows ? CEIR_OK : CEIR_ENOMEM;
	for (unsigned op = s->number + 1; op <= s->o->operators && !s->err; op += s->o->callers)
		s->err = stage_one(s, op, rows);
	free(rows);
	return NULL;
}

/* ---- a delivery of all operators -------------------------------------------------------------------------------------------- */

struct load {
	const struct bt_options *o;
	const struct population *now, *before;
	struct triplets *t;
	unsigned delivery;
	uint64_t ids[TRIPLET_OPERATORS + 1];
	double add_s, stage_s, apply_s; /* of the slowest thread */
	double computing_cpu_s;
	uint64_t staged_bytes, rows, touched;
};

static enum ceir_err stage_all(struct load *l)
{
	struct stager s[TRIPLET_OPERATORS];
	enum ceir_err err = CEIR_OK;
	unsigned n;
	double slowest_s = 0;

	for (n = 0; n < l->o->callers && n < l->o->operators && !err; n++) {
		s[n] = (struct stager){.o = l->o, .p = l->now, .t = l->t, .number = n, .delivery = l->delivery};
		err = thread_start("bench-stage", stager_run, &s[n], &s[n].thread);
	}
	if (err)
		n--;
	for (unsigned i = 0; i < n; i++) {
		pthread_join(s[i].thread, NULL);
		err = err ? err : s[i].err;
		for (unsigned op = 1; op <= l->o->operators; op++)
			l->ids[op] = s[i].ids[op] ? s[i].ids[op] : l->ids[op];
		l->computing_cpu_s += s[i].computing_cpu_s;
		if (s[i].add_s + s[i].stage_s < slowest_s)
			continue;
		slowest_s = s[i].add_s + s[i].stage_s;
		l->add_s = s[i].add_s;
		l->stage_s = s[i].stage_s;
	}
	return err;
}

static void count_touched(void *ctx, const uint64_t *imeis, size_t n)
{
	struct load *l = ctx;

	(void)imeis;
	l->touched += n;
}

static bool counts_agree(const struct load *l, unsigned op, const struct bt_expected *e, const struct triplets_counts *c)
{
	bool good = c->rows == e->distinct && c->distinct == e->distinct && c->fresh == e->fresh && c->again == e->again &&
		    c->returned == 0 && c->gone == e->gone;

	if (!good)
		fprintf(stderr,
			"bench_triplets: delivery %u of operator %u: rows %llu, distinct %llu, fresh %llu, again %llu, returned "
			"%llu, gone %llu; expected "
			"%llu %llu %llu %llu 0 %llu\n",
			l->delivery, op, (unsigned long long)c->rows, (unsigned long long)c->distinct, (unsigned long long)c->fresh,
			(unsigned long long)c->again, (unsigned long long)c->returned, (unsigned long long)c->gone,
			(unsigned long long)e->distinct, (unsigned long long)e->distinct, (unsigned long long)e->fresh,
			(unsigned long long)e->again, (unsigned long long)e->gone);
	return good;
}

/* All operators' at once, as the server applies what waits. */
static enum ceir_err apply_all(struct load *l, const struct bt_expected expected[TRIPLET_OPERATORS + 1])
{
	struct triplets_item items[TRIPLET_OPERATORS] = {0};
	int64_t begun_us = clock_mono_us();
	enum ceir_err err;

	for (unsigned op = 1; op <= l->o->operators; op++)
		items[op - 1] = (struct triplets_item){.id = l->ids[op], .full = true};
	err = bt_failed("triplets_apply_many", triplets_apply_many(l->t, items, l->o->operators, count_touched, l));
	l->apply_s += seconds(begun_us);
	for (unsigned op = 1; op <= l->o->operators && !err; op++) {
		err = items[op - 1].err;
		l->rows += items[op - 1].counts.rows;
		if (!err && !counts_agree(l, op, &expected[op], &items[op - 1].counts))
			err = CEIR_ECORRUPT;
		if (!err)
			err = bt_failed("triplets_forget", triplets_forget(l->t, l->ids[op]));
	}
	return err;
}

static void load_report(struct load *l, struct bench_result *r)
{
	const struct bt_options *o = l->o;

	bt_param_country(r, o);
	bench_param(r, "delivery", l->delivery);
	bench_param(r, "threads", o->threads);
	bench_param(r, "callers", o->callers);
	bench_param(r, "memory_bytes", o->memory_bytes);
	bench_param_real(r, "add_s", l->add_s);
	bench_param_real(r, "stage_s", l->stage_s);
	bench_param_real(r, "apply_s", l->apply_s);
	bench_param_real(r, "computing_cpu_s", l->computing_cpu_s);
	bench_param(r, "touched", l->touched);
	r->name = "engine-load";
	r->unit = "triplets";
	r->operations = l->rows;
	r->seconds = l->add_s + l->stage_s + l->apply_s;
	r->verified = l->rows;
	/* What the store took, without what computing the triplets took. */
	r->server_after.cpu_s -= l->computing_cpu_s;
	r->self_after.cpu_s -= l->computing_cpu_s;
	bench_result_print(r);
}

static enum ceir_err load_delivery(const struct bt_options *o, struct triplets *t, unsigned delivery, const struct population *now,
	const struct population *before)
{
	struct load l = {.o = o, .now = now, .before = before, .t = t, .delivery = delivery};
	struct bt_expected expected[TRIPLET_OPERATORS + 1];
	struct bench_result r = {.params = BUF_INIT(0)};
	enum ceir_err err;

	bt_expect(now, before, o, delivery, expected);
	if ((err = bt_usage_begin(o, &r)) != CEIR_OK)
		return err;
	err = stage_all(&l);
	if (!err)
		err = apply_all(&l, expected);
	if (!err)
		err = bt_usage_end(o, &r);
	if (!err)
		load_report(&l, &r);
	buf_free(&r.params);
	return err;
}

/* ---- what lies on the disk ----------------------------------------------------------------------------------------------------
 */

static enum ceir_err size_report(const struct bt_options *o, struct triplets *t, const char *when, double took_s, double cpu_s)
{
	static const char *const names[] = {"imei_tree", "imsi_tree", "msisdn_tree"};
	struct bench_result r = {.name = "engine-size", .unit = "triplets", .params = BUF_INIT(0)};
	uint64_t bytes[3], rows[3], sum = 0;
	struct triplets_stats stats;
	char key[32];
	enum ceir_err err = tree_sizes(o->dir, bytes, rows);

	if (err || (err = bt_usage_end(o, &r)) != CEIR_OK)
		return err;
	triplets_get_stats(t, &stats);
	bt_param_country(&r, o);
	bt_param_text(&r, "when", when);
	for (unsigned i = 0; i < 3; i++) {
		snprintf(key, sizeof key, "%s_bytes", names[i]);
		bench_param(&r, key, bytes[i]);
		snprintf(key, sizeof key, "%s_rows", names[i]);
		bench_param(&r, key, rows[i]);
		snprintf(key, sizeof key, "%s_segments", names[i]);
		bench_param(&r, key, stats.segments[i]);
		sum += bytes[i];
	}
	bench_param_real(&r, "bytes_per_triplet", rows[0] ? (double)sum / (double)rows[0] : 0);
	bench_param(&r, "merges", stats.merges);
	r.self_before.cpu_s = r.self_after.cpu_s - cpu_s;
	r.server_before = r.self_before;
	r.server_after = r.self_after;
	r.operations = rows[0];
	r.seconds = took_s;
	bench_result_print(&r);
	return CEIR_OK;
}

/* Waits for the merging thread, and says what that took and what lies there then. */
static enum ceir_err settle(const struct bt_options *o, struct triplets *t, const char *when)
{
	struct bench_usage before, after;
	enum ceir_err err = bench_usage_read(getpid(), &before);
	double took_s = bt_store_settle();

	if (!err)
		err = bench_usage_read(getpid(), &after);
	return err ? err : size_report(o, t, when, took_s, after.cpu_s - before.cpu_s);
}

static enum ceir_err compact(const struct bt_options *o, struct triplets *t)
{
	struct bench_usage before, after;
	enum ceir_err err = bench_usage_read(getpid(), &before);
	int64_t begun_us = clock_mono_us();

	if (!err)
		err = bt_failed("triplets_compact", triplets_compact(t));
	double took_s = seconds(begun_us);
	if (!err)
		err = bench_usage_read(getpid(), &after);
	return err ? err : size_report(o, t, "compacted", took_s, after.cpu_s - before.cpu_s);
}

enum ceir_err bt_engine_load(const struct bt_options *o)
{
	struct population *first = NULL, *second = NULL;
	struct triplets *t = NULL;
	enum ceir_err err = bt_country(o, 0, &first);

	if (!err)
		err = bt_country(o, 1, &second);
	if (!err)
		err = bt_store_open(o, &t);
	if (!err)
		err = load_delivery(o, t, 1, first, NULL);
	if (!err)
		err = settle(o, t, "first");
	if (!err && o->change > 0)
		err = load_delivery(o, t, 2, second, first);
	if (!err && o->change > 0)
		err = settle(o, t, "second");
	if (!err && o->compact)
		err = compact(o, t);
	triplets_close(t);
	population_free(first);
	population_free(second);
	return err;
}

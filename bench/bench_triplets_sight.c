/*
 * bench_triplets_sight.c - engine-sight: sightings in real time, on top of a store that engine-load made. Each caller sends one
 * batch after the other; callers that come together share a sync. At the end one new triplet in a thousand is looked up.
 */
#include "bench_triplets.h"

#include <stdlib.h>

struct caller {
	const struct bt_options *o;
	const struct population *p;
	struct triplets *t;
	unsigned number;
	int64_t begin_us, end_us;
	pthread_t thread;

	uint64_t fresh; /* new triplets sent */
	uint64_t rows, touched;
	double computing_s;
	struct bench_hist hist; /* of calls */
	enum ceir_err err;
};

static void count_touched(void *ctx, const uint64_t *imeis, size_t n)
{
	(void)imeis;
	*(uint64_t *)ctx += n;
}

static unsigned operator_of(const struct caller *c)
{
	return 1 + c->number % c->o->operators;
}

/* Number of a caller's n-th new triplet. */
static uint64_t new_number(const struct caller *c, uint64_t n)
{
	return c->o->first + n * c->o->callers + c->number;
}

static void compute(struct caller *c, uint64_t *random, struct sighting *rows)
{
	uint32_t at_s = bt_noon_s(c->o, 3);

	for (unsigned i = 0; i < c->o->batch; i++) {
		struct population_triplet t;
		if (bench_random(random) % 100 < c->o->known)
			bt_random_taken(c->p, c->o, operator_of(c), random, &t);
		else
			bt_new_triplet(c->p, c->o, operator_of(c), new_number(c, c->fresh++), &t);
		(void)triplet_sighting(&t, at_s, &rows[i]);
	}
}

static void *caller_run(void *arg)
{
	struct caller *c = arg;
	struct sighting *rows = malloc(c->o->batch * sizeof *rows);
	uint64_t random = c->o->seed * 77 + c->number + c->o->first;
	int64_t now_us;

	c->err = rows ? CEIR_OK : CEIR_ENOMEM;
	while (!c->err && (now_us = clock_mono_us()) < c->end_us) {
		double cpu_s = bt_thread_cpu_s();
		compute(c, &random, rows);
		bool measured = now_us >= c->begin_us;
		c->computing_s += measured ? bt_thread_cpu_s() - cpu_s : 0;
		int64_t begun_us = clock_mono_us();
		c->err = triplets_sight(c->t, (uint8_t)operator_of(c), 0, rows, NULL, c->o->batch, count_touched, &c->touched);
		if (!measured)
			continue;
		bench_hist_add(&c->hist, (uint64_t)(clock_mono_us() - begun_us));
		c->rows += c->o->batch;
	}
	free(rows);
	return NULL;
}

static enum ceir_err take_row(void *ctx, const struct triplet *row)
{
	struct population_triplet *wanted = ctx;

	if (row->imei == wanted->imei.n && row->imsi == triplet_imsi_key(wanted->imsi) &&
		row->msisdn == triplet_msisdn_key(wanted->msisdn))
		wanted->changed = false;
	return CEIR_OK;
}

/* One new triplet in a thousand must be found by its IMSI. */
static enum ceir_err check(const struct caller *c, uint64_t *verified)
{
	struct triplets_view *v = triplets_view_new(c->t);
	enum ceir_err err = v ? CEIR_OK : CEIR_ENOMEM;

	for (uint64_t n = 0; n < c->fresh && !err; n += 1000) {
		struct population_triplet t;
		bt_new_triplet(c->p, c->o, operator_of(c), new_number(c, n), &t);
		err = triplets_by_imsi(v, triplet_imsi_key(t.imsi), 0, take_row, &t);
		if (!err && t.changed)
			err = bt_failed("a sighting that was taken is not there", CEIR_ECORRUPT);
		++*verified;
	}
	triplets_view_free(v);
	return err;
}

static void sight_report(const struct bt_options *o, struct caller *callers, struct bench_result *r)
{
	double computing_s = 0;
	uint64_t touched = 0;

	for (unsigned i = 0; i < o->callers; i++) {
		if (i > 0)
			bench_hist_merge(&callers[0].hist, &callers[i].hist);
		r->operations += callers[i].rows;
		computing_s += callers[i].computing_s;
		touched += callers[i].touched;
	}
	bt_param_country(r, o);
	bench_param(r, "batch", o->batch);
	bench_param(r, "callers", o->callers);
	bench_param(r, "known_percent", o->known);
	bench_param(r, "touched", touched);
	bench_param_real(r, "computing_cpu_s", computing_s);
	r->name = "engine-sight";
	r->unit = "sightings";
	r->seconds = (double)o->seconds;
	r->latency = &callers[0].hist;
	r->server_after.cpu_s -= computing_s;
	r->self_after.cpu_s -= computing_s;
	bench_result_print(r);
}

static enum ceir_err sight_run(const struct bt_options *o, struct triplets *t, const struct population *p, struct caller *callers)
{
	struct bench_result r = {.params = BUF_INIT(0)};
	int64_t begin_us = clock_mono_us() + 1000000, end_us = begin_us + (int64_t)o->seconds * 1000000;
	enum ceir_err err = CEIR_OK, look;
	unsigned started = 0;

	for (; started < o->callers && !err; started += !err) {
		callers[started] =
			(struct caller){.o = o, .p = p, .t = t, .number = started, .begin_us = begin_us, .end_us = end_us};
		err = thread_start("bench-sight", caller_run, &callers[started], &callers[started].thread);
	}
	bt_sleep_until(begin_us);
	look = bt_usage_begin(o, &r);
	bt_sleep_until(end_us);
	look = look ? look : bt_usage_end(o, &r);
	for (unsigned i = 0; i < started; i++) {
		pthread_join(callers[i].thread, NULL);
		err = err ? err : callers[i].err;
	}
	err = err ? err : look;
	for (unsigned i = 0; i < started && !err; i++)
		err = check(&callers[i], &r.verified);
	if (!err)
		sight_report(o, callers, &r);
	buf_free(&r.params);
	return bt_failed("sightings", err);
}

enum ceir_err bt_engine_sight(const struct bt_options *o)
{
	struct caller *callers = calloc(o->callers, sizeof *callers);
	struct population *p = NULL;
	struct triplets *t = NULL;
	enum ceir_err err = callers ? bt_country(o, o->change > 0, &p) : CEIR_ENOMEM;

	if (!err)
		err = bt_store_open(o, &t);
	if (!err)
		err = sight_run(o, t, p, callers);
	triplets_close(t);
	population_free(p);
	free(callers);
	return err;
}

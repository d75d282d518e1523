/*
 * bench_triplets_read.c - engine-lookup and engine-scan: a store that engine-load made, read.
 *
 * What is looked up is computed before the clock starts. Every answer must hold the triplet that was drawn; one in a thousand is
 * compared with the population in full.
 */
#include "bench_triplets.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#define QUESTIONS (1u << 20)
#define SAMPLE 16u /* one call in so many is timed by itself */
#define FULL_CHECKS 1000u
#define WARM_UP_US 1000000

enum by { BY_IMEI, BY_IMSI, BY_MSISDN, BYS };
static const char *const by_names[BYS] = {"imei", "imsi", "msisdn"};

struct question {
	uint64_t key;
	uint64_t imei, imsi, msisdn;
	uint32_t first_s, last_s;
	uint8_t op;
};

struct reader {
	const struct bt_options *o;
	struct triplets *t;
	const struct question *questions;
	enum by by;
	bool misses;
	uint64_t offset; /* into the questions */
	pthread_t thread;
	int64_t begin_us, end_us;

	/* Results. */
	uint64_t n, rows, found, verified, wrong;
	struct bench_hist hist; /* nanoseconds */
	enum ceir_err err;
};

/* ---- questions ------------------------------------------------------------------------------------------------------------ */

static uint64_t key_of(enum by by, const struct question *q)
{
	return by == BY_IMEI ? q->imei : by == BY_IMSI ? q->imsi : q->msisdn;
}

/* A key like those of the country, but drawn from all numbers there could be: hardly any is there. */
static uint64_t key_missed(const struct population *p, enum by by, struct population_triplet *t, uint64_t *random)
{
	uint64_t n = bench_random(random), block = 1;

	if (by == BY_IMEI)
		return imei_make(population_tac(p, (uint32_t)(n % TRIPLET_TACS)), (uint32_t)((n >> 20) % IMEI_SERIALS)).n;
	for (unsigned digits = by == BY_IMSI ? 10 : t->msisdn.digits > 5 ? t->msisdn.digits - 5u : 0; digits > 0; digits--)
		block *= 10;
	if (by == BY_IMSI) {
		t->imsi.n = t->imsi.n / block * block + n % block;
		return triplet_imsi_key(t->imsi);
	}
	t->msisdn.n = t->msisdn.n / block * block + n % block;
	return triplet_msisdn_key(t->msisdn);
}

static void questions_fill(const struct bt_options *o, const struct population *p, enum by by, bool misses, struct question *q)
{
	uint64_t random = o->seed * 31 + by * 2 + misses;

	for (size_t i = 0; i < QUESTIONS; i++) {
		struct population_triplet t;
		bt_random_taken(p, o, 0, &random, &t);
		q[i] = (struct question){
			.imei = t.imei.n, .imsi = triplet_imsi_key(t.imsi), .msisdn = triplet_msisdn_key(t.msisdn), .op = t.op};
		q[i].first_s = bt_noon_s(o, t.changed ? 2 : 1);
		q[i].last_s = bt_noon_s(o, o->change > 0 ? 2 : 1);
		q[i].key = misses ? key_missed(p, by, &t, &random) : key_of(by, &q[i]);
	}
}

/* ---- look-ups ------------------------------------------------------------------------------------------------------------- */

struct answer {
	const struct question *q;
	uint64_t rows;
	bool found, full;
};

static enum ceir_err take_row(void *ctx, const struct triplet *row)
{
	struct answer *a = ctx;
	const struct question *q = a->q;

	a->rows++;
	if (row->imei == q->imei && row->imsi == q->imsi && row->msisdn == q->msisdn) {
		a->found = true;
		a->full = row->op == q->op && row->first_s == q->first_s && row->last_s == q->last_s && row->n_episodes == 0;
	}
	return CEIR_OK;
}

static enum ceir_err look_up(struct triplets_view *v, enum by by, const struct question *q, struct answer *a)
{
	*a = (struct answer){.q = q};
	if (by == BY_IMEI)
		return triplets_by_imei(v, q->key, NULL, 0, take_row, a);
	if (by == BY_IMSI)
		return triplets_by_imsi(v, q->key, 0, take_row, a);
	return triplets_by_msisdn(v, q->key, 0, take_row, a);
}

static int64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * INT64_C(1000000000) + t.tv_nsec;
}

static void check_answer(struct reader *r, const struct answer *a)
{
	bool full = r->n % FULL_CHECKS == 0, good = r->misses || (a->found && (!full || a->full));

	r->rows += a->rows;
	r->found += a->rows > 0;
	r->verified += full;
	if (!good && r->wrong++ == 0)
		fprintf(stderr, "bench_triplets: look-up by %s of %llu: %s\n", by_names[r->by], (unsigned long long)a->q->key,
			a->found ? "other dates or operator" : "not found");
}

static enum ceir_err reader_batch(struct reader *r, struct triplets_view *v, bool measured)
{
	enum ceir_err err = CEIR_OK;
	struct answer a;

	for (unsigned i = 0; i < 256 && !err; i++) {
		const struct question *q = &r->questions[(r->offset + r->n) % QUESTIONS];
		int64_t begun_ns = i % SAMPLE == 0 ? now_ns() : 0;

		err = look_up(v, r->by, q, &a);
		if (begun_ns && measured)
			bench_hist_add(&r->hist, (uint64_t)(now_ns() - begun_ns));
		check_answer(r, &a);
		r->n++;
	}
	return err;
}

static void *reader_run(void *arg)
{
	struct reader *r = arg;
	struct triplets_view *v = triplets_view_new(r->t);
	int64_t now_us;

	r->err = v ? CEIR_OK : CEIR_ENOMEM;
	while (!r->err && clock_mono_us() < r->begin_us)
		r->err = reader_batch(r, v, false);
	r->n = r->rows = r->found = 0;
	while (!r->err && (now_us = clock_mono_us()) < r->end_us)
		r->err = reader_batch(r, v, true);
	triplets_view_free(v);
	return NULL;
}

static void lookup_report(const struct bt_options *o, struct reader *readers, struct bench_result *r)
{
	struct reader *sum = &readers[0];

	for (unsigned i = 1; i < o->callers; i++) {
		bench_hist_merge(&sum->hist, &readers[i].hist);
		sum->n += readers[i].n;
		sum->rows += readers[i].rows;
		sum->found += readers[i].found;
		sum->verified += readers[i].verified;
		sum->wrong += readers[i].wrong;
	}
	bt_param_country(r, o);
	bt_param_text(r, "by", by_names[sum->by]);
	bt_param_text(r, "drawn", sum->misses ? "missing" : "existing");
	bench_param(r, "callers", o->callers);
	bench_param_real(r, "found", sum->n ? (double)sum->found / (double)sum->n : 0);
	bench_param_real(r, "rows_each", sum->n ? (double)sum->rows / (double)sum->n : 0);
	bench_param(r, "p50_ns", bench_hist_quantile(&sum->hist, 0.50));
	bench_param(r, "p99_ns", bench_hist_quantile(&sum->hist, 0.99));
	bench_param(r, "p999_ns", bench_hist_quantile(&sum->hist, 0.999));
	bench_param(r, "max_ns", sum->hist.max_us);
	r->name = "engine-lookup";
	r->unit = "look-ups";
	r->operations = sum->n;
	r->seconds = (double)o->seconds;
	r->verified = sum->verified;
	r->refused = sum->wrong;
	bench_param_real(r, "rate_per_cpu_s", (double)sum->n / (r->self_after.cpu_s - r->self_before.cpu_s + 1e-9));
	bench_result_print(r);
}

static enum ceir_err lookup_kind(const struct bt_options *o, struct triplets *t, const struct question *q, enum by by, bool misses)
{
	struct bench_result r = {.params = BUF_INIT(0)};
	struct reader *readers = calloc(o->callers, sizeof *readers);
	int64_t begin_us = clock_mono_us() + WARM_UP_US;
	enum ceir_err err = readers ? CEIR_OK : CEIR_ENOMEM;
	unsigned started = 0;

	for (; started < o->callers && !err; started += !err) {
		readers[started] =
			(struct reader){.o = o, .t = t, .questions = q, .by = by, .misses = misses, .begin_us = begin_us};
		readers[started].end_us = begin_us + (int64_t)o->seconds * 1000000;
		readers[started].offset = (uint64_t)started * (QUESTIONS / o->callers);
		err = thread_start("bench-read", reader_run, &readers[started], &readers[started].thread);
	}
	bt_sleep_until(begin_us);
	enum ceir_err look = bt_usage_begin(o, &r);
	bt_sleep_until(begin_us + (int64_t)o->seconds * 1000000);
	look = look ? look : bt_usage_end(o, &r);
	for (unsigned i = 0; i < started; i++) {
		pthread_join(readers[i].thread, NULL);
		err = err ? err : readers[i].err;
	}
	err = err ? err : look;
	if (!err)
		lookup_report(o, readers, &r);
	if (!err && r.refused)
		err = CEIR_ECORRUPT;
	buf_free(&r.params);
	free(readers);
	return bt_failed("look-up", err);
}

enum ceir_err bt_engine_lookup(const struct bt_options *o)
{
	struct question *q = malloc(QUESTIONS * sizeof *q);
	struct population *p = NULL;
	struct triplets *t = NULL;
	enum ceir_err err = q ? bt_country(o, o->change > 0, &p) : CEIR_ENOMEM;

	if (!err)
		err = bt_store_open(o, &t);
	if (!err)
		(void)bt_store_settle();
	for (unsigned k = 0; k < 2 * BYS && !err; k++) {
		questions_fill(o, p, (enum by)(k / 2), k % 2, q);
		err = lookup_kind(o, t, q, (enum by)(k / 2), k % 2);
	}
	triplets_close(t);
	population_free(p);
	free(q);
	return err;
}

/* ---- scans ---------------------------------------------------------------------------------------------------------------- */

struct scanner {
	struct triplets_view *view;
	unsigned tree; /* 0: triplets */
	uint64_t from, to;
	uint64_t rows, imeis, last, sum;
	pthread_t thread;
	enum ceir_err err;
};

/* As little as a reader can do, but it looks at every row. */
static enum ceir_err take_rows(void *ctx, const struct triplet *rows, size_t n)
{
	struct scanner *s = ctx;

	for (size_t i = 0; i < n; i++) {
		s->imeis += rows[i].imei != s->last;
		s->last = rows[i].imei;
		s->sum += rows[i].imsi ^ rows[i].last_s;
	}
	s->rows += n;
	return CEIR_OK;
}

static enum ceir_err take_pairs(void *ctx, const uint64_t *first, const uint64_t *second, size_t n)
{
	struct scanner *s = ctx;

	for (size_t i = 0; i < n; i++)
		s->sum += first[i] ^ second[i];
	s->rows += n;
	return CEIR_OK;
}

static void *scanner_run(void *arg)
{
	struct scanner *s = arg;

	s->last = UINT64_MAX;
	if (s->tree == 0)
		s->err = triplets_scan(s->view, s->from, s->to, take_rows, s);
	else
		s->err = triplets_scan_pairs(s->view, (enum triplets_tree)s->tree, s->from, s->to, take_pairs, s);
	return NULL;
}

static enum ceir_err scan(const struct bt_options *o, struct triplets_view *v, unsigned tree, unsigned threads)
{
	static const char *const names[] = {"triplets", "imsi-imei", "msisdn-imsi"};
	struct bench_result r = {.name = "engine-scan", .unit = tree ? "pairs" : "triplets", .params = BUF_INIT(0)};
	struct scanner s[16] = {0};
	uint64_t bounds[17] = {0}, imeis = 0;
	enum ceir_err err = bt_usage_begin(o, &r), join = CEIR_OK;
	int64_t begun_us = clock_mono_us();
	unsigned started = 0;

	if (tree == 0)
		triplets_split(v, threads, bounds);
	else
		bounds[1] = UINT64_MAX;
	for (; started < threads && !err; started += !err) {
		s[started] = (struct scanner){.view = v, .tree = tree, .from = bounds[started], .to = bounds[started + 1] - 1};
		err = thread_start("bench-scan", scanner_run, &s[started], &s[started].thread);
	}
	for (unsigned i = 0; i < started; i++) {
		pthread_join(s[i].thread, NULL);
		join = join ? join : s[i].err;
		r.operations += s[i].rows;
		imeis += s[i].imeis;
	}
	r.seconds = (double)(clock_mono_us() - begun_us) / 1e6;
	err = err ? err : join ? join : bt_usage_end(o, &r);
	bt_param_country(&r, o);
	bt_param_text(&r, "tree", names[tree]);
	bench_param(&r, "threads", threads);
	if (tree == 0)
		bench_param(&r, "imeis", imeis);
	if (!err)
		bench_result_print(&r);
	buf_free(&r.params);
	return bt_failed("scan", err);
}

/* How many triplets there must be: all of both deliveries. */
static uint64_t all_distinct(const struct bt_options *o, const struct population *first, const struct population *second)
{
	struct bt_expected expected[TRIPLET_OPERATORS + 1];
	uint64_t n = 0;

	for (unsigned delivery = 1; delivery <= (o->change > 0 ? 2u : 1u); delivery++) {
		bt_expect(delivery == 1 ? first : second, first, o, delivery, expected);
		for (unsigned op = 1; op <= o->operators; op++)
			n += expected[op].fresh;
	}
	return n;
}

static enum ceir_err count_rows(void *ctx, const struct triplet *rows, size_t n)
{
	(void)rows;
	*(uint64_t *)ctx += n;
	return CEIR_OK;
}

static enum ceir_err check_count(const struct bt_options *o, struct triplets_view *v)
{
	struct population *first = NULL, *second = NULL;
	uint64_t n = 0, expected = 0;
	enum ceir_err err = bt_country(o, 0, &first);

	if (!err)
		err = bt_country(o, 1, &second);
	if (!err)
		expected = all_distinct(o, first, second);
	if (!err)
		err = triplets_scan(v, 0, UINT64_MAX, count_rows, &n);
	if (!err && n != expected) {
		fprintf(stderr, "bench_triplets: %llu triplets are stored, expected %llu\n", (unsigned long long)n,
			(unsigned long long)expected);
		err = CEIR_ECORRUPT;
	}
	population_free(first);
	population_free(second);
	return err;
}

enum ceir_err bt_engine_scan(const struct bt_options *o)
{
	struct triplets_view *v = NULL;
	struct triplets *t = NULL;
	enum ceir_err err = bt_store_open(o, &t);

	if (!err)
		(void)bt_store_settle();
	if (!err && !(v = triplets_view_new(t)))
		err = CEIR_ENOMEM;
	if (!err)
		err = check_count(o, v); /* and warms the page cache up */
	for (unsigned threads = 1; threads <= o->callers && !err; threads++)
		err = scan(o, v, 0, threads);
	for (unsigned tree = 1; tree <= 2 && !err; tree++)
		err = scan(o, v, tree, 1);
	triplets_view_free(v);
	triplets_close(t);
	return err;
}

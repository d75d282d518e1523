/*
 * bench_triplets_stream.c - stream: sightings as JSON or CSV over HTTPS, `batch` in one request, on several connections of all operators.
 *
 * With a rate the requests have a timetable, and latency counts from the moment one was due, so that a server that stalls is
 * charged for those that would have come meanwhile. Without, the next goes out when an answer comes. Every answer must say that the
 * whole batch was taken.
 */
#include "bench_triplets_http.h"

#include <stdlib.h>
#include <string.h>

#define WARM_UP_US 1000000

struct connection {
	const struct bt_options *o;
	const struct population *p;
	unsigned number;
	struct bt_http *http;
	int64_t begin_us, end_us, due_us, period_us; /* period 0: no timetable */
	pthread_t thread;
	uint64_t random, fresh, sent;

	/* Of the measured time. */
	struct bench_hist hist;
	uint64_t rows, bytes_sent, bytes_received;
	int64_t done_us; /* the last answer */
	enum ceir_err err;
};

static unsigned operator_of(const struct connection *c)
{
	return 1 + c->number % c->o->operators;
}

/* ---- bodies ----------------------------------------------------------------------------------------------------------------- */

static char *put_digits(char *at, uint64_t n, unsigned digits)
{
	for (unsigned i = digits; i-- > 0; n /= 10)
		at[i] = (char)('0' + n % 10);
	return at + digits;
}

static char *put(char *at, const char *text, size_t n)
{
	memcpy(at, text, n);
	return at + n;
}
#define PUT(at, literal) put(at, literal, sizeof literal - 1)

#define ITEM_BYTES 96 /* room for one */

static char *put_item(char *at, const struct population_triplet *t)
{
	at = PUT(at, "{\"imei\":\"");
	at = put_digits(at, t->imei.n, 14);
	at = PUT(at, "\",\"imsi\":\"");
	at = put_digits(at, t->imsi.n, t->imsi.digits);
	at = PUT(at, "\",\"msisdn\":\"");
	at = put_digits(at, t->msisdn.n, t->msisdn.digits);
	return PUT(at, "\"},");
}

static char *put_line(char *at, const struct population_triplet *t)
{
	at = put_digits(at, t->imei.n, 14);
	*at++ = ',';
	at = put_digits(at, t->imsi.n, t->imsi.digits);
	*at++ = ',';
	at = put_digits(at, t->msisdn.n, t->msisdn.digits);
	*at++ = '\n';
	return at;
}

static enum ceir_err body(struct connection *c, struct buf *out)
{
	const struct bt_options *o = c->o;

	buf_clear(out);
	char *begin = buf_reserve(out, (size_t)o->batch * ITEM_BYTES + 2), *at = begin;
	if (!begin)
		return CEIR_ENOMEM;
	if (!o->csv)
		*at++ = '[';
	for (unsigned i = 0; i < o->batch; i++) {
		struct population_triplet t;
		if (bench_random(&c->random) % 100 < o->known)
			bt_random_taken(c->p, o, operator_of(c), &c->random, &t);
		else
			bt_new_triplet(c->p, o, operator_of(c), o->first + c->fresh++ * o->connections + c->number, &t);
		at = o->csv ? put_line(at, &t) : put_item(at, &t);
	}
	if (!o->csv)
		at[-1] = ']';
	out->n = (size_t)(at - begin);
	return CEIR_OK;
}

/* ---- a connection ----------------------------------------------------------------------------------------------------------- */

static enum ceir_err send_one(struct connection *c, struct str text)
{
	int64_t begun_us = c->period_us ? c->due_us : clock_mono_us();
	struct bt_answer a;
	uint64_t taken = 0;
	char cltrid[64];

	snprintf(cltrid, sizeof cltrid, "bench-%lld-%u-%llu", (long long)c->end_us, c->number, (unsigned long long)c->sent++);
	enum ceir_err err = bt_http_post(c->http, "/v1/sightings", c->o->csv ? "text/csv" : "application/json", cltrid, text, &a);
	if (!err)
		err = bt_http_expect(&a, 200, "sightings");
	if (!err && (!bt_json_number(a.body, "sightings", &taken) || taken != c->o->batch)) {
		fprintf(stderr, "bench_triplets: sightings: %.*s\n", (int)a.body.n, a.body.p);
		err = CEIR_ECORRUPT;
	}
	if (err || begun_us < c->begin_us)
		return err;
	c->done_us = clock_mono_us();
	bench_hist_add(&c->hist, (uint64_t)(c->done_us - begun_us));
	c->rows += taken;
	c->bytes_sent += text.n;
	c->bytes_received += a.body.n;
	return CEIR_OK;
}

static void *connection_run(void *arg)
{
	struct connection *c = arg;
	struct buf text = BUF_INIT(0);

	/* The next body is ready when its time comes. */
	while (!c->err && (c->period_us ? c->due_us : clock_mono_us()) < c->end_us) {
		c->err = body(c, &text);
		if (c->period_us)
			bt_sleep_until(c->due_us);
		if (!c->err)
			c->err = send_one(c, buf_view(&text));
		c->due_us += c->period_us;
	}
	buf_free(&text);
	return NULL;
}

/* ---- all of them --------------------------------------------------------------------------------------------------------------
 */

static enum ceir_err connections_open(const struct bt_options *o, const struct population *p, struct connection *connections)
{
	enum ceir_err err = CEIR_OK;

	for (unsigned i = 0; i < o->connections && !err; i++) {
		struct connection *c = &connections[i];
		char account[BT_ACCOUNT_MAX];
		*c = (struct connection){.o = o, .p = p, .number = i, .random = o->seed * 4099 + i + o->first};
		c->period_us = o->rate ? (int64_t)(UINT64_C(1000000) * o->batch * o->connections / o->rate) : 0;
		bt_account(operator_of(c), account);
		err = bt_http_open(o, account, &c->http);
	}
	return err;
}

static enum ceir_err measure(
	const struct bt_options *o, struct connection *connections, struct bench_result *r, uint64_t *anon_peak)
{
	int64_t begin_us = clock_mono_us() + WARM_UP_US, end_us = begin_us + (int64_t)o->seconds * 1000000, now_us;
	enum ceir_err err = CEIR_OK, look;
	unsigned started = 0;

	for (; started < o->connections && !err; started += !err) {
		struct connection *c = &connections[started];
		c->begin_us = begin_us;
		c->end_us = end_us;
		/* The timetables are spread evenly. */
		c->due_us = begin_us - WARM_UP_US + c->period_us * started / o->connections;
		err = thread_start("bench-stream", connection_run, c, &c->thread);
	}
	bt_sleep_until(begin_us);
	look = bt_usage_begin(o, r);
	while ((now_us = clock_mono_us()) < end_us) {
		uint64_t bytes = bt_anon_bytes(o->server);
		*anon_peak = bytes > *anon_peak ? bytes : *anon_peak;
		bt_sleep_until(now_us + 200000 < end_us ? now_us + 200000 : end_us);
	}
	for (unsigned i = 0; i < started; i++) {
		pthread_join(connections[i].thread, NULL);
		err = err ? err : connections[i].err;
	}
	look = look ? look : bt_usage_end(o, r);
	return err ? err : look;
}

static void report(const struct bt_options *o, struct connection *connections, struct bench_result *r, uint64_t anon_peak)
{
	/* A server that cannot keep up with the timetable answers long after its end. */
	int64_t end_us = connections[0].end_us;

	for (unsigned i = 0; i < o->connections; i++) {
		end_us = connections[i].done_us > end_us ? connections[i].done_us : end_us;
		if (i > 0)
			bench_hist_merge(&connections[0].hist, &connections[i].hist);
		r->operations += connections[i].rows;
		r->bytes_sent += connections[i].bytes_sent;
		r->bytes_received += connections[i].bytes_received;
	}
	bt_param_country(r, o);
	bench_param(r, "batch", o->batch);
	bench_param(r, "connections", o->connections);
	bench_param(r, "known_percent", o->known);
	bench_param(r, "csv", o->csv);
	if (o->rate)
		bench_param(r, "offered_rate", o->rate);
	bench_param(r, "server_anonymous_peak_bytes", anon_peak);
	r->name = "stream";
	r->unit = "sightings";
	r->seconds = (double)(end_us - connections[0].begin_us) / 1e6;
	r->verified = r->operations;
	r->latency = &connections[0].hist;
	bench_result_print(r);
}

enum ceir_err bt_stream(const struct bt_options *o)
{
	struct connection *connections = calloc(o->connections, sizeof *connections);
	struct bench_result r = {.params = BUF_INIT(0)};
	struct population *p = NULL;
	uint64_t anon_peak = 0;
	enum ceir_err err = connections ? bt_country(o, o->change > 0, &p) : CEIR_ENOMEM;

	if (!err)
		err = connections_open(o, p, connections);
	if (!err)
		err = measure(o, connections, &r, &anon_peak);
	if (!err)
		report(o, connections, &r, anon_peak);
	for (unsigned i = 0; connections && i < o->connections; i++)
		bt_http_close(connections[i].http);
	buf_free(&r.params);
	population_free(p);
	free(connections);
	return bt_failed("stream", err);
}

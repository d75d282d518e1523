/*
 * bench_triplets_deliver.c - deliver: the country's deliveries over HTTPS, from the first byte sent until lists are made.
 *
 * Each operator sends its own lines, as CSV with a date, on a connection of its own; `callers` of them send at once. Then each
 * delivery is asked for until it is applied and classified, and the outboxes are looked at until their last file is there. Counts
 * that are not those of the population end the run with an error.
 */
#include "bench_triplets_http.h"

#include <dirent.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define PIECE_BYTES ((size_t)128 << 10)
#define POLL_NS 50000000
#define APPLY_MAX_US (INT64_C(1800) * 1000000)
#define LISTS_MAX_US (INT64_C(60) * 1000000)
#define LISTS_QUIET_US (INT64_C(13) * 1000000) /* lists.interval_s is 10 */

/* Of one operator. Moments are of clock_mono_us(), 0: not yet. */
struct delivery {
	unsigned op;
	char id[64];
	int64_t begun_us, sent_us, durable_us, applied_us, classified_us;
	uint64_t bytes;
};

struct sender {
	const struct bt_options *o;
	const struct population *p;
	unsigned number;
	struct delivery *deliveries; /* all operators' */
	pthread_t thread;
	enum ceir_err err;
};

struct run {
	const struct bt_options *o;
	struct delivery deliveries[TRIPLET_OPERATORS + 1];
	struct bt_expected expected[TRIPLET_OPERATORS + 1];
	int64_t begun_us, sent_us, durable_us, applied_us, classified_us, listed_us;
	uint64_t anon_peak; /* bytes of the server's own memory, without files that are mapped */
	uint64_t lists;     /* files made */
};

/* ---- sending ---------------------------------------------------------------------------------------------------------------- */

static enum ceir_err send_body(struct sender *s, struct bt_http *h, struct delivery *d)
{
	struct triplet_style style = {.forms = true};
	struct buf out = BUF_INIT(0);
	enum ceir_err err = CEIR_OK;

	date_print(s->o->day + (int32_t)s->o->delivery - 1, style.date);
	buf_c(&out, triplet_header(&style));
	for (uint64_t position = 0; position < s->o->triplets && !err; position++) {
		uint64_t i = population_index(s->p, position);
		struct population_triplet t;

		if (population_operator(s->p, i) == d->op) {
			char *at = buf_reserve(&out, TRIPLET_LINE_BYTES);
			if (!at)
				return CEIR_ENOMEM;
			population_get(s->p, i, &t);
			out.n += triplet_line(&t, &style, at);
		}
		if (out.n >= PIECE_BYTES || (position + 1 == s->o->triplets && out.n > 0)) {
			err = bt_http_piece(h, buf_view(&out));
			d->bytes += out.n;
			buf_clear(&out);
		}
	}
	buf_free(&out);
	return err;
}

static enum ceir_err send_one(struct sender *s, unsigned op)
{
	struct delivery *d = &s->deliveries[op];
	struct bt_http *h = NULL;
	char account[BT_ACCOUNT_MAX];
	struct bt_answer a;
	struct str id;
	enum ceir_err err;

	bt_account(op, account);
	d->op = op;
	err = bt_http_open(s->o, account, &h);
	d->begun_us = clock_mono_us();
	if (!err)
		err = bt_http_begin(h, "/v1/deliveries?kind=full", "text/csv");
	if (!err)
		err = send_body(s, h, d);
	d->sent_us = clock_mono_us();
	if (!err)
		err = bt_http_end(h, &a);
	d->durable_us = clock_mono_us();
	if (!err)
		err = bt_http_expect(&a, 202, "the delivery");
	if (!err && (!bt_json_text(a.body, "id", &id) || id.n >= sizeof d->id))
		err = bt_failed("id of the delivery", CEIR_EINVAL);
	if (!err)
		snprintf(d->id, sizeof d->id, "%.*s", (int)id.n, id.p);
	bt_http_close(h);
	return err;
}

static void *sender_run(void *arg)
{
	struct sender *s = arg;

	for (unsigned op = s->number + 1; op <= s->o->operators && !s->err; op += s->o->callers)
		s->err = send_one(s, op);
	return NULL;
}

/* ---- watching --------------------------------------------------------------------------------------------------------------- */

static void watch_memory(struct run *r)
{
	uint64_t bytes = bt_anon_bytes(r->o->server);

	if (bytes > r->anon_peak)
		r->anon_peak = bytes;
}

static void pause_ns(long ns)
{
	nanosleep(&(struct timespec){.tv_nsec = ns}, NULL);
}

static bool count_is(const struct delivery *d, struct str json, const char *name, uint64_t expected)
{
	uint64_t value = UINT64_MAX;

	if (bt_json_number(json, name, &value) && value == expected)
		return true;
	fprintf(stderr, "bench_triplets: delivery %s of operator %u: %s is %lld, expected %llu\n", d->id, d->op, name,
		(long long)value, (unsigned long long)expected);
	return false;
}

static bool counts_agree(const struct delivery *d, const struct bt_expected *e, struct str json)
{
	bool good = count_is(d, json, "lines", e->lines);

	good &= count_is(d, json, "taken", e->distinct);
	good &= count_is(d, json, "refused", e->refused);
	good &= count_is(d, json, "malformed", e->malformed);
	good &= count_is(d, json, "new", e->fresh);
	good &= count_is(d, json, "again", e->again);
	good &= count_is(d, json, "returned", 0);
	return count_is(d, json, "gone", e->gone) && good;
}

/* One look at one delivery. */
static enum ceir_err look(struct run *r, struct bt_http *h, struct delivery *d)
{
	struct str status, moment;
	struct bt_answer a;
	char path[128];
	enum ceir_err err;

	snprintf(path, sizeof path, "/v1/deliveries/%s", d->id);
	if ((err = bt_http_get(h, path, &a)) != CEIR_OK || (err = bt_http_expect(&a, 200, path)) != CEIR_OK)
		return err;
	if (!bt_json_text(a.body, "status", &status))
		return CEIR_EINVAL;
	if (str_eq_c(status, "held") || str_eq_c(status, "refused")) {
		fprintf(stderr, "bench_triplets: %.*s\n", (int)a.body.n, a.body.p);
		return CEIR_ESTATE;
	}
	if (!d->applied_us && str_eq_c(status, "applied")) {
		d->applied_us = clock_mono_us();
		if (!counts_agree(d, &r->expected[d->op], a.body))
			return CEIR_ECORRUPT;
	}
	if (d->applied_us && bt_json_text(a.body, "classified", &moment))
		d->classified_us = clock_mono_us();
	return CEIR_OK;
}

/* Until all are classified. */
static enum ceir_err follow(struct run *r)
{
	struct bt_http *h[TRIPLET_OPERATORS + 1] = {NULL};
	int64_t until_us = clock_mono_us() + APPLY_MAX_US;
	char account[BT_ACCOUNT_MAX];
	unsigned left = r->o->operators;
	enum ceir_err err = CEIR_OK;

	for (unsigned op = 1; op <= r->o->operators && !err; op++) {
		bt_account(op, account);
		err = bt_http_open(r->o, account, &h[op]);
	}
	while (!err && left > 0) {
		if (clock_mono_us() > until_us)
			err = bt_failed("waiting for the classification", CEIR_ETIMEOUT);
		for (unsigned op = 1; op <= r->o->operators && !err; op++) {
			if (r->deliveries[op].classified_us)
				continue;
			err = look(r, h[op], &r->deliveries[op]);
			left -= r->deliveries[op].classified_us != 0;
		}
		watch_memory(r);
		pause_ns(POLL_NS);
	}
	for (unsigned op = 1; op <= r->o->operators; op++)
		bt_http_close(h[op]);
	return err;
}

/* Of all outboxes: the moment of the newest file since begun, by the clock that files have; 0: none. */
static int64_t newest_list(const struct run *r, int64_t begun_real_us, uint64_t *files)
{
	int64_t newest_us = 0;

	*files = 0;
	for (unsigned op = 1; op <= r->o->operators; op++) {
		char dir[PATH_MAX - 300], path[PATH_MAX];
		struct dirent *entry;
		struct stat st;

		snprintf(dir, sizeof dir, "%s/outbox/OP%u", r->o->dir, op);
		DIR *d = opendir(dir);
		while (d && (entry = readdir(d))) {
			size_t n = strlen(entry->d_name);
			snprintf(path, sizeof path, "%s/%s", dir, entry->d_name);
			if (n < 4 || strcmp(entry->d_name + n - 4, ".sig") != 0 || stat(path, &st) != 0)
				continue;
			int64_t us = st.st_mtim.tv_sec * INT64_C(1000000) + st.st_mtim.tv_nsec / 1000;
			*files += us >= begun_real_us;
			newest_us = us > newest_us ? us : newest_us;
		}
		if (d)
			closedir(d);
	}
	return newest_us >= begun_real_us ? newest_us : 0;
}

/* The last file of lists is there when the server has been quiet for longer than it waits between two makings. */
static void follow_lists(struct run *r, int64_t begun_real_us)
{
	int64_t until_us = clock_mono_us() + LISTS_MAX_US, quiet_us = clock_mono_us(), newest_us;
	double cpu_s = 0;

	while (clock_mono_us() < until_us && clock_mono_us() - quiet_us < LISTS_QUIET_US) {
		struct bench_usage u;
		pause_ns(4 * POLL_NS);
		if (bench_usage_read(r->o->server, &u) == CEIR_OK && u.cpu_s - cpu_s > 0.02)
			quiet_us = clock_mono_us();
		cpu_s = u.cpu_s;
		watch_memory(r);
	}
	newest_us = newest_list(r, begun_real_us, &r->lists);
	if (newest_us)
		r->listed_us = newest_us - clock_real_us() + clock_mono_us();
}

/* ---- all of it -------------------------------------------------------------------------------------------------------------- */

static enum ceir_err send_all(struct run *r, const struct population *p)
{
	struct sender s[TRIPLET_OPERATORS] = {0};
	unsigned n = r->o->callers < r->o->operators ? r->o->callers : r->o->operators, started = 0;
	enum ceir_err err = CEIR_OK;

	for (; started < n && !err; started += !err) {
		s[started] = (struct sender){.o = r->o, .p = p, .number = started, .deliveries = r->deliveries};
		err = thread_start("bench-deliver", sender_run, &s[started], &s[started].thread);
	}
	for (unsigned i = 0; i < started; i++) {
		pthread_join(s[i].thread, NULL);
		err = err ? err : s[i].err;
	}
	return err;
}

static double after(int64_t from_us, int64_t us)
{
	return us ? (double)(us - from_us) / 1e6 : 0;
}

static void report(struct run *r, struct bench_result *result)
{
	uint64_t lines = 0;

	for (unsigned op = 1; op <= r->o->operators; op++) {
		const struct delivery *d = &r->deliveries[op];
		lines += r->expected[op].lines;
		result->bytes_sent += d->bytes;
		r->begun_us = op == 1 || d->begun_us < r->begun_us ? d->begun_us : r->begun_us;
		r->sent_us = d->sent_us > r->sent_us ? d->sent_us : r->sent_us;
		r->durable_us = d->durable_us > r->durable_us ? d->durable_us : r->durable_us;
		r->applied_us = d->applied_us > r->applied_us ? d->applied_us : r->applied_us;
		r->classified_us = d->classified_us > r->classified_us ? d->classified_us : r->classified_us;
	}
	bt_param_country(result, r->o);
	bench_param(result, "delivery", r->o->delivery);
	bench_param(result, "connections", r->o->callers);
	bench_param_real(result, "upload_s", after(r->begun_us, r->sent_us));
	bench_param_real(result, "durable_s", after(r->begun_us, r->durable_us));
	bench_param_real(result, "applied_s", after(r->begun_us, r->applied_us));
	bench_param_real(result, "classified_s", after(r->begun_us, r->classified_us));
	bench_param_real(result, "listed_s", after(r->begun_us, r->listed_us));
	bench_param_real(result, "last_byte_to_applied_s", after(r->sent_us, r->applied_us));
	bench_param_real(result, "last_byte_to_classified_s", after(r->sent_us, r->classified_us));
	bench_param_real(result, "last_byte_to_listed_s", after(r->sent_us, r->listed_us));
	bench_param(result, "list_files", r->lists);
	bench_param(result, "server_anonymous_peak_bytes", r->anon_peak);
	result->name = "deliver";
	result->unit = "lines";
	result->operations = lines;
	result->seconds = after(r->begun_us, r->applied_us);
	result->verified = lines;
	bench_result_print(result);
}

enum ceir_err bt_deliver(const struct bt_options *o)
{
	struct run *r = calloc(1, sizeof *r);
	struct population *now = NULL, *before = NULL;
	struct bench_result result = {.params = BUF_INIT(0)};
	int64_t begun_real_us = clock_real_us();
	enum ceir_err err = r ? bt_country(o, o->delivery == 2, &now) : CEIR_ENOMEM;

	if (!err)
		err = bt_country(o, 0, &before);
	if (!err) {
		r->o = o;
		bt_expect(now, before, o, o->delivery, r->expected);
		err = bt_usage_begin(o, &result);
	}
	if (!err)
		err = send_all(r, now);
	if (!err)
		err = follow(r);
	if (!err)
		follow_lists(r, begun_real_us);
	if (!err)
		err = bt_usage_end(o, &result);
	if (!err)
		report(r, &result);
	buf_free(&result.params);
	population_free(now);
	population_free(before);
	free(r);
	return bt_failed("deliver", err);
}

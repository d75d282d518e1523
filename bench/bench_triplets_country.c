/* bench_triplets_country.c - the country that bench_triplets delivers, what must come of it, and what its measurements share. */
#include "bench_triplets.h"

#include <string.h>
#include <time.h>
#include <unistd.h>

#define DAY_S 86400u

enum ceir_err bt_failed(const char *what, enum ceir_err err)
{
	if (err)
		fprintf(stderr, "bench_triplets: %s: %s\n", what, ceir_err_text(err));
	return err;
}

/* ---- the country ---------------------------------------------------------------------------------------------------------- */

enum ceir_err bt_country(const struct bt_options *o, unsigned after, struct population **out)
{
	const struct population_settings s = {.triplets = o->triplets,
		.seed = o->seed,
		.operators = o->operators,
		.change = after ? o->change : 0,
		.noise = o->noise};

	*out = population_new(&s);
	return *out ? CEIR_OK : bt_failed("the country", CEIR_ENOMEM);
}

uint32_t bt_noon_s(const struct bt_options *o, unsigned delivery)
{
	return ((uint32_t)o->day + delivery - 1) * DAY_S + DAY_S / 2;
}

void bt_expect(const struct population *now, const struct population *before, const struct bt_options *o, unsigned delivery,
	struct bt_expected expected[TRIPLET_OPERATORS + 1])
{
	memset(expected, 0, (TRIPLET_OPERATORS + 1) * sizeof *expected);
	for (uint64_t i = 0; i < o->triplets; i++) {
		struct population_triplet t;

		population_get(now, i, &t);
		struct bt_expected *e = &expected[t.op];
		e->lines++;
		if (t.kind == POPULATION_BAD && population_bad_refused(t.bad)) {
			e->refused++;
			continue;
		}
		e->malformed += t.kind == POPULATION_BAD;
		e->distinct++;
		if (delivery == 1 || t.changed)
			e->fresh++;
		else
			e->again++;
		if (delivery == 2 && t.changed)
			expected[population_operator(before, i)].gone++;
	}
}

void bt_random_taken(
	const struct population *p, const struct bt_options *o, unsigned op, uint64_t *random, struct population_triplet *out)
{
	do {
		uint64_t i = bench_random(random) % o->triplets;
		out->kind = POPULATION_BAD;
		if (op == 0 || population_operator(p, i) == op)
			population_get(p, i, out);
	} while (out->kind == POPULATION_BAD);
}

/* The IMSI's last ten digits are a number that the population scatters over all of them: MCC and MNC stay, those are others. */
void bt_new_triplet(const struct population *p, const struct bt_options *o, unsigned op, uint64_t n, struct population_triplet *out)
{
	uint64_t random = n + 1, ten = UINT64_C(10000000000);

	bt_random_taken(p, o, op, &random, out);
	out->imsi.n = out->imsi.n / ten * ten + (n * UINT64_C(7919) + 17) % ten;
	out->changed = true;
}

/* ---- measuring ------------------------------------------------------------------------------------------------------------ */

double bt_thread_cpu_s(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

uint64_t bt_anon_bytes(pid_t pid)
{
	struct buf text = BUF_INIT(1 << 16);
	unsigned long long kib = 0;
	char path[64];
	const char *at;

	snprintf(path, sizeof path, "/proc/%ld/status", (long)pid);
	if (pid > 0 && file_read(path, text.max - 1, &text) == CEIR_OK) {
		buf_char(&text, '\0');
		if (!text.failed && (at = strstr(text.p, "RssAnon:")) && sscanf(at, "RssAnon: %llu", &kib) != 1)
			kib = 0;
	}
	buf_free(&text);
	return kib * 1024;
}

void bt_sleep_until(int64_t mono_us)
{
	for (int64_t left; (left = mono_us - clock_mono_us()) > 0;)
		nanosleep(&(struct timespec){.tv_sec = left / 1000000, .tv_nsec = left % 1000000 * 1000}, NULL);
}

/* Without a server the store is in this process. */
static pid_t measured(const struct bt_options *o)
{
	return o->server ? o->server : getpid();
}

enum ceir_err bt_usage_begin(const struct bt_options *o, struct bench_result *r)
{
	enum ceir_err err = bench_usage_read(measured(o), &r->server_before);

	return err ? err : bench_usage_read(getpid(), &r->self_before);
}

enum ceir_err bt_usage_end(const struct bt_options *o, struct bench_result *r)
{
	enum ceir_err err = bench_usage_read(measured(o), &r->server_after);

	return err ? err : bench_usage_read(getpid(), &r->self_after);
}

void bt_param_country(struct bench_result *r, const struct bt_options *o)
{
	bench_param(r, "triplets", o->triplets);
	bench_param(r, "operators", o->operators);
	bench_param(r, "seed", o->seed);
}

void bt_param_text(struct bench_result *r, const char *key, const char *text)
{
	buf_c(&r->params, r->params.n ? ", " : "");
	buf_json(&r->params, str_of(key));
	buf_c(&r->params, ": ");
	buf_json(&r->params, str_of(text));
}

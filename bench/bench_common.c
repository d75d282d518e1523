/*
 * bench_common.c - latencies, the costs of a process, and the JSON line of a result.
 */
#include "bench.h"

#include <string.h>
#include <unistd.h>

/* ---- latencies ------------------------------------------------------------------------------------------------------- */

/*
 * Bucket of a value: below 2 * BENCH_SUB the value itself; above, the power of two it lies in and the next six bits. One
 * formula serves both, because shift is 0 for the small ones.
 */
static unsigned hist_bucket(uint64_t us)
{
	unsigned shift = us < 2 * BENCH_SUB ? 0 : 57u - (unsigned)__builtin_clzll(us);
	unsigned bucket = shift * BENCH_SUB + (unsigned)(us >> shift);

	return bucket < BENCH_BUCKETS ? bucket : BENCH_BUCKETS - 1;
}

static uint64_t hist_upper(unsigned bucket)
{
	unsigned shift = bucket < 2 * BENCH_SUB ? 0 : bucket / BENCH_SUB - 1;

	return (((uint64_t)bucket - shift * BENCH_SUB + 1) << shift) - 1;
}

void bench_hist_add(struct bench_hist *h, uint64_t us)
{
	h->n++;
	h->count[hist_bucket(us)]++;
	if (us > h->max_us)
		h->max_us = us;
}

void bench_hist_merge(struct bench_hist *into, const struct bench_hist *h)
{
	into->n += h->n;
	if (h->max_us > into->max_us)
		into->max_us = h->max_us;
	for (size_t i = 0; i < BENCH_BUCKETS; i++)
		into->count[i] += h->count[i];
}

uint64_t bench_hist_quantile(const struct bench_hist *h, double q)
{
	uint64_t seen = 0, wanted = (uint64_t)(q * (double)h->n);

	for (unsigned i = 0; i < BENCH_BUCKETS; i++) {
		seen += h->count[i];
		if (seen > wanted)
			return hist_upper(i) < h->max_us ? hist_upper(i) : h->max_us;
	}
	return h->max_us;
}

/* ---- processes -------------------------------------------------------------------------------------------------------- */

static uint64_t status_kib(const char *status, const char *key)
{
	const char *at = strstr(status, key);
	unsigned long long kib = 0;

	return at && sscanf(at + strlen(key), " %llu", &kib) == 1 ? kib * 1024 : 0;
}

static enum ceir_err proc_read(pid_t pid, const char *name, struct buf *out)
{
	char path[64];

	buf_clear(out);
	snprintf(path, sizeof path, "/proc/%ld/%s", (long)pid, name);
	enum ceir_err err = file_read(path, 1 << 16, out);
	if (err == CEIR_OK)
		buf_char(out, '\0');
	return err == CEIR_OK && out->failed ? CEIR_ENOMEM : err;
}

enum ceir_err bench_usage_read(pid_t pid, struct bench_usage *u)
{
	struct buf text = BUF_INIT(1 << 17);
	unsigned long user = 0, system = 0;
	enum ceir_err err;

	*u = (struct bench_usage){0};
	if (pid == 0)
		return CEIR_OK;
	if ((err = proc_read(pid, "stat", &text)) == CEIR_OK) {
		/* proc(5): fields 14 and 15; the name in field 2 may hold anything, so count from its closing bracket. */
		const char *rest = strrchr(text.p, ')');
		if (!rest || sscanf(rest, ") %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &user, &system) != 2)
			err = CEIR_EINVAL;
	}
	if (err == CEIR_OK && (err = proc_read(pid, "status", &text)) == CEIR_OK) {
		u->cpu_s = (double)(user + system) / (double)sysconf(_SC_CLK_TCK);
		u->rss_peak_bytes = status_kib(text.p, "VmHWM:");
		u->rss_bytes = status_kib(text.p, "VmRSS:");
	}
	buf_free(&text);
	return err;
}

/* ---- results ------------------------------------------------------------------------------------------------------------ */

static void param_key(struct bench_result *r, const char *key)
{
	if (r->params.n)
		buf_c(&r->params, ", ");
	buf_json(&r->params, str_of(key));
	buf_c(&r->params, ": ");
}

void bench_param(struct bench_result *r, const char *key, uint64_t value)
{
	param_key(r, key);
	buf_u64(&r->params, value);
}

void bench_param_real(struct bench_result *r, const char *key, double value)
{
	param_key(r, key);
	buf_printf(&r->params, "%.3f", value);
}

static void result_costs(struct buf *out, const struct bench_result *r)
{
	buf_printf(out, ", \"server_cpu_s\": %.2f, \"server_rss_bytes\": %llu, \"server_rss_peak_bytes\": %llu",
		r->server_after.cpu_s - r->server_before.cpu_s, (unsigned long long)r->server_after.rss_bytes,
		(unsigned long long)r->server_after.rss_peak_bytes);
	if (r->operations)
		buf_printf(out, ", \"server_cpu_us_per_operation\": %.2f",
			(r->server_after.cpu_s - r->server_before.cpu_s) * 1e6 / (double)r->operations);
	buf_printf(out, ", \"generator_cpu_s\": %.2f, \"generator_rss_peak_bytes\": %llu",
		r->self_after.cpu_s - r->self_before.cpu_s, (unsigned long long)r->self_after.rss_peak_bytes);
}

void bench_result_print(struct bench_result *r)
{
	struct buf out = BUF_INIT(0);

	buf_c(&out, "{\"name\": ");
	buf_json(&out, str_of(r->name));
	buf_printf(
		&out, ", \"version\": \"" CEIR_VERSION "\", \"params\": {%.*s}", (int)r->params.n, r->params.n ? r->params.p : "");
	buf_printf(&out, ", \"operations\": %llu, \"unit\": \"%s\", \"seconds\": %.3f, \"rate\": %.1f",
		(unsigned long long)r->operations, r->unit, r->seconds, r->seconds > 0 ? (double)r->operations / r->seconds : 0.0);
	if (r->latency)
		buf_printf(&out, ", \"latency_us\": {\"p50\": %llu, \"p99\": %llu, \"max\": %llu}",
			(unsigned long long)bench_hist_quantile(r->latency, 0.50),
			(unsigned long long)bench_hist_quantile(r->latency, 0.99), (unsigned long long)r->latency->max_us);
	buf_printf(&out, ", \"bytes_sent\": %llu, \"bytes_received\": %llu, \"refused\": %llu, \"verified\": %llu",
		(unsigned long long)r->bytes_sent, (unsigned long long)r->bytes_received, (unsigned long long)r->refused,
		(unsigned long long)r->verified);
	result_costs(&out, r);
	buf_c(&out, "}\n");
	if (!out.failed)
		fwrite(out.p, 1, out.n, stdout);
	fflush(stdout);
	buf_free(&out);
	buf_free(&r->params);
}

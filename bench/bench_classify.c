/*
 * bench_classify.c - a full run of the classification by itself: the first over a country, one when nothing changed, one a day
 * later; and the scan of the verdict table that lists are made from.
 *
 *   bench_classify DIR [TRIPLETS [THREADS]]      default 50,000,000 and 2; a JSON line for each figure
 *
 * DIR must be empty; about 2 GB are written into it.
 *
 * 1.3 triplets an IMEI, 5,000 TACs of which the i-th has about 1 / (i + 100) of the first's devices, six of ten registered, 0.5
 * % with eight subscribers. The default policy, with what it asks of other IMEIs.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "classify/classify.h"

#define TACS 5000u
#define BATCH 65536u
#define NOW_S 1750000000

static uint64_t mixed(uint64_t x)
{
	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
	x = (x ^ x >> 27) * 0x94d049bb133111ebu;
	return x ^ x >> 31;
}

struct country {
	char path[2][200];
	struct triplets *store;
	struct verdicts *verdicts;
	struct policy *policy;
	struct policy_tac tacs[TACS];
	uint64_t imeis, triplets;
	struct triplets_intake *in;
	struct sighting batch[BATCH];
	size_t n;
};

static void die(const char *what, enum ceir_err err)
{
	fprintf(stderr, "bench_classify: %s: %s\n", what, ceir_err_text(err));
	exit(1);
}

static void must(const char *what, enum ceir_err err)
{
	if (err)
		die(what, err);
}

static void flush(struct country *c)
{
	must("add", triplets_intake_add(c->in, c->batch, NULL, c->n));
	c->n = 0;
}

static void add_device(struct country *c, struct imei imei)
{
	const struct verdict white = {.colour = VERDICT_WHITE, .reason = VERDICT_REGISTERED, .registered = true, .row = true};
	uint64_t r = mixed(imei.n), subscriber = c->imeis++;
	unsigned sims = r % 1000 < 5 ? 8 : r % 1000 < 270 ? 2 : 1;
	if (r / 1000 % 10 < 6)
		must("verdict", verdicts_load(c->verdicts, imei, white));
	for (unsigned i = 0; i < sims; i++) {
		uint64_t n = i == 0 ? subscriber : mixed(subscriber * 8 + i) % 40000000;
		c->batch[c->n++] = (struct sighting){
			.imei = imei.n,
			.imsi = triplet_imsi_key((struct imsi){255010000000000 + n, 15}),
			.msisdn = triplet_msisdn_key((struct msisdn){380500000000 + n, 12}),
			.at_s = NOW_S - (uint32_t)(mixed(subscriber + i) % (100 * 86400)),
		};
		c->triplets++;
		if (c->n == BATCH)
			flush(c);
	}
}

static void fill(struct country *c, uint64_t triplets)
{
	double weight = 0, scale;
	for (uint32_t i = 0; i < TACS; i++)
		weight += 1.0 / (i + 100);
	scale = (double)triplets / 1.3 / weight;
	must("intake", triplets_intake_new(c->store, 1, &c->in));
	for (uint32_t i = 0; i < TACS; i++) {
		double share = scale / (i + 100);
		uint32_t devices = share < IMEI_SERIALS / 2 ? (uint32_t)share + 1 : IMEI_SERIALS / 2;
		c->tacs[i] = (struct policy_tac){.tac = 10000000u + i * 17, .allocated = true};
		for (uint32_t d = 0; d < devices; d++) {
			uint32_t gap = IMEI_SERIALS / devices;
			add_device(c, imei_make((struct tac){c->tacs[i].tac}, d * gap + (uint32_t)(mixed(d * UINT64_C(5003) + i) % gap)));
		}
	}
	flush(c);
	uint64_t id;
	struct triplets_counts counts;
	must("stage", triplets_intake_stage(c->in, &id));
	must("apply", triplets_apply(c->store, id, false, NULL, NULL, &counts));
}

/* As the door does: the verdict table follows, then the new file counts. */
static uint64_t apply(struct country *c, struct classify_run *r)
{
	static struct classify_change changes[4096];
	uint64_t sum = 0;
	size_t n;
	do {
		must("next", classify_run_next(r, changes, CEIR_COUNT(changes), &n));
		for (size_t i = 0; i < n; i++)
			if (!changes[i].derive && changes[i].imei <= IMEI_MAX)
				must("set", verdicts_set(c->verdicts, (struct imei){changes[i].imei}, verdict_unpack(changes[i].after)));
		sum += n;
	} while (n);
	return sum;
}

/* Of all threads: what the run costs, whatever else the machine does meanwhile. */
static double cpu_seconds(void)
{
	struct timespec t;
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void run(struct country *c, struct classify *k, const char *what, unsigned threads, unsigned number, int64_t now_s)
{
	struct policy_tables tables = {.tacs = c->tacs, .n_tacs = TACS};
	struct triplets_view *own = triplets_view_new(c->store), *others = triplets_view_new(c->store);
	struct classify_over *over = classify_over_new(others, true);
	struct classify_run *r;
	char name[32];
	if (!own || !others || !over)
		die("view", CEIR_ENOMEM);
	classify_tables_over(over, &tables);
	const struct classify_env env = {.policy = c->policy, .tables = &tables, .verdicts = c->verdicts, .view = own, .now_s = now_s};
	snprintf(name, sizeof name, "class-%u.seg", number);
	double cpu = cpu_seconds();
	must("run", classify_run_new(k, &env, threads, name, false, NULL, &r));
	cpu = cpu_seconds() - cpu;
	const struct classify_result *result = classify_run_result(r);
	int64_t start = clock_mono_us();
	uint64_t changes = apply(c, r);
	double seconds = (double)result->us / 1e6;
	printf("{\"bench\":\"classify_%s\",\"threads\":%u,\"triplets\":%llu,\"imeis\":%llu,\"changes\":%llu,\"seconds\":%.3f,"
	       "\"cpu_seconds\":%.3f,\"triplets_per_s\":%.0f,\"apply_seconds\":%.3f}\n",
		what, threads, (unsigned long long)result->triplets, (unsigned long long)result->imeis, (unsigned long long)changes,
		seconds, cpu, (double)result->triplets / seconds, (double)(clock_mono_us() - start) / 1e6);
	must("switch", classify_switch(k, r));
	classify_run_free(r);
	classify_over_free(over);
	triplets_view_free(own);
	triplets_view_free(others);
}

static enum ceir_err count_items(void *ctx, const struct verdicts_item *items, size_t n)
{
	uint64_t *sum = ctx;
	sum[0] += n;
	sum[1] ^= items[n - 1].imei.n;
	return CEIR_OK;
}

static void scan_verdicts(struct country *c)
{
	struct verdicts_reader *r = verdicts_reader_new(c->verdicts);
	uint64_t sum[2] = {0};
	int64_t start = clock_mono_us();
	if (!r)
		die("reader", CEIR_ENOMEM);
	must("scan", verdicts_scan(c->verdicts, r, (struct imei){0}, (struct imei){IMEI_MAX}, 15, count_items, sum));
	double seconds = (double)(clock_mono_us() - start) / 1e6;
	printf("{\"bench\":\"verdicts_scan\",\"entries\":%llu,\"seconds\":%.3f,\"entries_per_s\":%.0f}\n",
		(unsigned long long)sum[0], seconds, (double)sum[0] / seconds);
	verdicts_reader_free(r);
}

static void make_policy(struct country *c)
{
	struct policy_params params;
	size_t n = 0;
	char why[200] = "";
	policy_defaults(&params);
	while (POLICY_DEFAULT_CONDITIONS[n].name.p)
		n++;
	if (policy_new(1, &params, POLICY_DEFAULT_CONDITIONS, n, why, sizeof why, &c->policy)) {
		fprintf(stderr, "bench_classify: %s\n", why);
		exit(1);
	}
}

int main(int argc, char **argv)
{
	uint64_t triplets = argc > 2 ? strtoull(argv[2], NULL, 10) : 50000000;
	unsigned threads = argc > 3 ? (unsigned)strtoul(argv[3], NULL, 10) : 2;
	if (argc < 2 || threads == 0 || triplets == 0) {
		fprintf(stderr, "usage: bench_classify DIR [TRIPLETS [THREADS]]\n");
		return 2;
	}
	static struct country c;
	struct classify *k;
	snprintf(c.path[0], sizeof c.path[0], "%s/triplets", argv[1]);
	snprintf(c.path[1], sizeof c.path[1], "%s/records", argv[1]);
	const struct triplets_settings settings = {.dir = c.path[0], .gap_days = 30, .memory_bytes = 512u << 20, .threads = threads};
	must("open", triplets_open(&settings, &c.store));
	c.verdicts = verdicts_new();
	if (!c.verdicts)
		die("verdicts", CEIR_ENOMEM);
	make_policy(&c);
	fill(&c, triplets);
	must("classify", classify_open(c.path[1], "", &k));
	run(&c, k, "first", threads, 1, NOW_S);
	run(&c, k, "same", threads, 2, NOW_S + 60);
	run(&c, k, "next_day", threads, 3, NOW_S + 86400);
	scan_verdicts(&c);
	classify_close(k);
	triplets_close(c.store);
	verdicts_free(c.verdicts);
	policy_free(c.policy);
	return 0;
}

/*
 * bench_verdicts.c - the verdict table by itself: memory per entry, speed of loading, of setting and of looking up.
 *
 *   bench_verdicts [ENTRIES [TACS]]      default 50,000,000 in 3,000; a JSON line for each figure
 *
 * TACs have very different numbers of devices, as in a real country: the i-th about 1 / (i + 100) of the first. Beside the
 * look-ups stand two limits of the machine, measured in the same run over an array of the same size: independent random
 * reads, and reads of which each needs the result of the one before.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "verdicts/verdicts.h"

#define SAMPLES (1u << 22)
#define LOADERS 2

static uint64_t mixed(uint64_t x)
{
	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
	x = (x ^ x >> 27) * 0x94d049bb133111ebu;
	return x ^ x >> 31;
}

struct load {
	struct verdicts *table;
	uint32_t first, last;    /* TACs */
	const uint32_t *devices; /* of each TAC */
	const uint64_t *before;  /* entries of the TACs before */
	uint64_t every;          /* each so many entries one is kept as a sample */
	struct imei *samples;
	enum ceir_err err;
};

static struct tac tac_of(uint32_t i)
{
	return (struct tac){10000000u + i * 29};
}

/* Ascending IMEIs; serial numbers lie scattered over the TAC's range. */
static void *load_run(void *arg)
{
	struct load *l = arg;
	const struct verdict v = {.colour = VERDICT_WHITE, .reason = VERDICT_REGISTERED, .registered = true};
	for (uint32_t i = l->first; i < l->last; i++) {
		uint64_t gap = IMEI_SERIALS / l->devices[i];
		for (uint32_t d = 0; d < l->devices[i]; d++) {
			uint64_t n = l->before[i] + d;
			struct imei imei = imei_make(tac_of(i), (uint32_t)(d * gap + mixed(n) % gap));
			l->err = verdicts_load(l->table, imei, v);
			if (l->err)
				return NULL;
			if (n % l->every == 0 && n / l->every < SAMPLES)
				l->samples[n / l->every] = imei;
		}
	}
	return NULL;
}

/* Devices of each TAC, in all `entries`; returns how many there really are. */
static uint64_t share_out(uint64_t entries, uint32_t tacs, uint32_t *devices, uint64_t *before)
{
	double weight = 0, scale;
	for (uint32_t i = 0; i < tacs; i++)
		weight += 1.0 / (i + 100);
	scale = (double)entries / weight;
	uint64_t sum = 0;
	for (uint32_t i = 0; i < tacs; i++) {
		double n = scale / (i + 100);
		devices[i] = n < IMEI_SERIALS ? (uint32_t)n + 1 : IMEI_SERIALS;
		before[i] = sum;
		sum += devices[i];
	}
	return sum;
}

static double seconds_since(int64_t start_us)
{
	return (double)(clock_mono_us() - start_us) / 1e6;
}

/* Two threads, each its part of the TACs with about half of the entries. */
static enum ceir_err load_all(struct load *whole, uint32_t tacs, uint64_t entries, unsigned threads)
{
	struct load parts[LOADERS];
	pthread_t ids[LOADERS];
	uint32_t middle = 0;
	while (threads > 1 && whole->before[middle] < entries / 2)
		middle++;
	int64_t start = clock_mono_us();
	for (unsigned i = 0; i < threads; i++) {
		parts[i] = *whole;
		parts[i].first = i == 0 ? 0 : middle;
		parts[i].last = i + 1 == threads ? tacs : middle;
		if (pthread_create(&ids[i], NULL, load_run, &parts[i]))
			return CEIR_ENOMEM;
	}
	enum ceir_err err = CEIR_OK;
	for (unsigned i = 0; i < threads; i++) {
		pthread_join(ids[i], NULL);
		if (parts[i].err)
			err = parts[i].err;
	}
	double s = seconds_since(start);
	uint64_t have, bytes;
	verdicts_stat(whole->table, &have, &bytes);
	printf("{\"bench\":\"verdicts_load\",\"threads\":%u,\"entries\":%llu,\"seconds\":%.3f,\"entries_per_s\":%.0f}\n", threads,
		(unsigned long long)have, s, (double)have / s);
	printf("{\"bench\":\"verdicts_memory\",\"tacs\":%u,\"entries\":%llu,\"bytes\":%llu,\"bytes_per_entry\":%.2f}\n", tacs,
		(unsigned long long)have, (unsigned long long)bytes, (double)bytes / (double)have);
	return err;
}

static void shuffle(struct imei *a, uint32_t n)
{
	for (uint32_t i = n - 1; i > 0; i--) {
		uint32_t j = (uint32_t)(mixed(i) % (i + 1));
		struct imei x = a[i];
		a[i] = a[j];
		a[j] = x;
	}
}

/* mask 0: reads do not wait for each other. Two copies, since an operand of 0 would still be waited for. */
static inline uint64_t read_run(const uint32_t *array, size_t words, uint32_t n, uint64_t mask)
{
	uint64_t sum = 0;
	for (uint32_t i = 0; i < n; i++)
		sum += array[(mixed(i + (mask & sum)) >> 32) * words >> 32] >> 31;
	return sum;
}

/* In visits of a thousand; returns how many were found. mask as in read_run(). */
static inline uint64_t look_up_run(
	struct verdicts *t, struct verdicts_reader *r, const struct imei *samples, uint32_t n, uint64_t mask, uint64_t add)
{
	uint64_t found = 0, after = 0;
	for (uint32_t i = 0; i < n; i++) {
		struct verdict v;
		if (i % 1000 == 0)
			verdicts_enter(r);
		found += verdicts_get(t, (struct imei){samples[i].n + add + after}, &v);
		after = mask & v.reason >> 7; /* always 0, which the compiler cannot know */
		if (i % 1000 == 999 || i + 1 == n)
			verdicts_leave(r);
	}
	return found;
}

/* chained: the next look-up cannot begin before the answer of the last is known. */
static void look_up(struct verdicts *t, const struct imei *samples, uint32_t n, bool chained, bool missing)
{
	struct verdicts_reader *r = verdicts_reader_new(t);
	if (!r)
		return;
	int64_t start = clock_mono_us();
	uint64_t found = chained ? look_up_run(t, r, samples, n, 1, missing) : look_up_run(t, r, samples, n, 0, missing);
	double s = seconds_since(start);
	verdicts_reader_free(r);
	printf("{\"bench\":\"verdicts_get\",\"keys\":\"%s\",\"chained\":%s,\"lookups\":%u,\"found\":%llu,\"ns_per_lookup\":%.1f}\n",
		missing ? "neighbours" : "present", chained ? "true" : "false", n, (unsigned long long)found, s * 1e9 / n);
}

static void look_up_many(struct verdicts *t, const struct imei *samples, uint32_t n)
{
	static struct verdict out[1000];
	struct verdicts_reader *r = verdicts_reader_new(t);
	if (!r)
		return;
	int64_t start = clock_mono_us();
	for (uint32_t i = 0; i < n; i += CEIR_COUNT(out)) {
		verdicts_enter(r);
		verdicts_get_many(t, samples + i, n - i < CEIR_COUNT(out) ? n - i : CEIR_COUNT(out), out);
		verdicts_leave(r);
	}
	double s = seconds_since(start);
	verdicts_reader_free(r);
	printf("{\"bench\":\"verdicts_get_many\",\"batch\":%zu,\"lookups\":%u,\"ns_per_lookup\":%.1f}\n", CEIR_COUNT(out), n,
		s * 1e9 / n);
}

/* The machine's limit: reads of one word anywhere in an array as large as the table. */
static void memory_limit(uint64_t bytes, uint32_t n, bool chained)
{
	size_t words = (size_t)(bytes / sizeof(uint32_t));
	uint32_t *array = malloc(words * sizeof *array);
	if (!array)
		return;
	memset(array, 0x80, words * sizeof *array); /* not 0: pages of zeros may all be the same page */
	int64_t start = clock_mono_us();
	volatile uint64_t sum = chained ? read_run(array, words, n, UINT64_MAX) : read_run(array, words, n, 0);
	double s = seconds_since(start);
	(void)sum;
	free(array);
	printf("{\"bench\":\"memory_random_read\",\"chained\":%s,\"bytes\":%llu,\"ns_per_read\":%.1f}\n",
		chained ? "true" : "false", (unsigned long long)bytes, s * 1e9 / n);
}

/* The writer's way: replacing entries anywhere, and reclaiming as after a commit of 1000. */
static enum ceir_err set_again(struct verdicts *t, const struct imei *samples, uint32_t n)
{
	const struct verdict v = {.colour = VERDICT_BLACK, .reason = VERDICT_STOLEN, .registered = true};
	int64_t start = clock_mono_us();
	for (uint32_t i = 0; i < n; i++) {
		enum ceir_err err = verdicts_set(t, samples[i], v);
		if (err)
			return err;
		if (i % 1000 == 999)
			verdicts_reclaim(t);
	}
	printf("{\"bench\":\"verdicts_set\",\"ns_per_set\":%.1f}\n", seconds_since(start) * 1e9 / n);
	return CEIR_OK;
}

static enum ceir_err bench_table(struct load *whole, uint32_t tacs, uint64_t entries, unsigned threads, bool last)
{
	whole->table = verdicts_new();
	if (!whole->table)
		return CEIR_ENOMEM;
	enum ceir_err err = load_all(whole, tacs, entries, threads);
	if (!err && last) {
		uint64_t have, bytes;
		uint32_t n = entries / whole->every < SAMPLES ? (uint32_t)(entries / whole->every) : SAMPLES;
		verdicts_stat(whole->table, &have, &bytes);
		shuffle(whole->samples, n);
		for (int chained = 0; chained < 2; chained++) {
			look_up(whole->table, whole->samples, n, chained, false);
			look_up(whole->table, whole->samples, n, chained, true);
			memory_limit(bytes, n, chained);
		}
		look_up_many(whole->table, whole->samples, n);
		err = set_again(whole->table, whole->samples, n);
	}
	verdicts_free(whole->table);
	return err;
}

int main(int argc, char **argv)
{
	uint64_t entries = argc > 1 ? strtoull(argv[1], NULL, 10) : 50000000u;
	uint32_t tacs = argc > 2 ? (uint32_t)strtoul(argv[2], NULL, 10) : 3000;
	if (entries == 0 || tacs == 0 || tacs > 1000000 || entries > (uint64_t)tacs * IMEI_SERIALS) {
		fprintf(stderr, "usage: bench_verdicts [ENTRIES [TACS]]\n");
		return 2;
	}
	uint32_t *devices = calloc(tacs, sizeof *devices);
	uint64_t *before = calloc(tacs, sizeof *before);
	struct imei *samples = calloc(SAMPLES, sizeof *samples);
	enum ceir_err err = CEIR_ENOMEM;
	if (devices && before && samples) {
		uint64_t real = share_out(entries, tacs, devices, before);
		struct load whole = {.last = tacs, .devices = devices, .before = before, .samples = samples};
		whole.every = real / SAMPLES ? real / SAMPLES : 1;
		err = bench_table(&whole, tacs, real, 1, false);
		if (!err)
			err = bench_table(&whole, tacs, real, LOADERS, true);
	}
	if (err)
		fprintf(stderr, "bench_verdicts: %s\n", ceir_err_text(err));
	free(devices);
	free(before);
	free(samples);
	return err ? 1 : 0;
}

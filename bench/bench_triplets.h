/* bench_triplets.h - what the files of bench_triplets share: which country, which store or server, and the JSON lines. */
#ifndef CEIR_BENCH_TRIPLETS_H
#define CEIR_BENCH_TRIPLETS_H

#include "bench.h"
#include "triplet_line.h"
#include "triplet_population.h"
#include "triplets/triplets.h"

struct bt_options {
	const char *dir; /* engine: the store's folder; else the server's data folder: keys/ has the certificates */
	const char *host, *port;
	pid_t server; /* 0: not measured */
	uint64_t triplets, seed;
	unsigned operators;
	bool noise;
	double change;         /* share that is new in the second delivery; 0: there is none */
	int32_t day;           /* of the first delivery, days since 1970; the second comes a day later */
	unsigned delivery;     /* deliver, planted: the first or the second */
	uint64_t memory_bytes; /* engine */
	unsigned threads;      /* engine: of the store; */
	unsigned callers;      /* and of those who call it */
	unsigned seconds;      /* each measurement lasts */
	unsigned batch;        /* sightings in one call or request */
	unsigned known;        /* percent of the sightings whose triplet is known */
	unsigned connections;  /* stream */
	bool csv;              /* stream: bodies are CSV, not JSON */
	uint64_t rate;         /* stream: sightings a second by a timetable; 0: as fast as answers come */
	const char *epp_port;  /* planted */
	bool compact;          /* engine-load: everything into one segment a tree at the end */
	uint64_t first;        /* stream, engine-sight: number of the first new triplet, so that two runs have different ones */
};

/* ---- the country (bench_triplets_country.c) --------------------------------------------------------------------------- */

/* Of the first delivery (after: 0) or of the second (1). Says so when there is no memory. */
enum ceir_err bt_country(const struct bt_options *o, unsigned after, struct population **out) CEIR_MUST_USE;
/* Noon of the day of that delivery: what a date without time becomes. */
uint32_t bt_noon_s(const struct bt_options *o, unsigned delivery);

/* What a delivery of an operator must come to. */
struct bt_expected {
	uint64_t lines, refused, malformed;
	uint64_t distinct; /* lines that are taken: all differ */
	uint64_t fresh, again, gone;
};
/* delivery 1 or 2; the second after the first. before: the country of the first, may be NULL when delivery is 1. */
void bt_expect(const struct population *now, const struct population *before, const struct bt_options *o, unsigned delivery,
	struct bt_expected expected[TRIPLET_OPERATORS + 1]);

/* A random triplet that a delivery of operator op (0: of any) has. */
void bt_random_taken(
	const struct population *p, const struct bt_options *o, unsigned op, uint64_t *random, struct population_triplet *out);
/* A triplet of operator op that no delivery has, number n, on a phone of the country. */
void bt_new_triplet(
	const struct population *p, const struct bt_options *o, unsigned op, uint64_t n, struct population_triplet *out);

/* ---- JSON lines --------------------------------------------------------------------------------------------------------- */

/* Parameters that say which country. */
void bt_param_country(struct bench_result *r, const struct bt_options *o);
/* "key": "text" into params. */
void bt_param_text(struct bench_result *r, const char *key, const char *text);
double bt_thread_cpu_s(void);
void bt_sleep_until(int64_t mono_us);
/* Processes before, after; printed by bench_result_print. */
enum ceir_err bt_usage_begin(const struct bt_options *o, struct bench_result *r) CEIR_MUST_USE;
enum ceir_err bt_usage_end(const struct bt_options *o, struct bench_result *r) CEIR_MUST_USE;
/* Memory of a process that is its own: without files that are mapped. 0 for pid 0. */
uint64_t bt_anon_bytes(pid_t pid);
/* "bench_triplets: WHAT: ERROR" on standard error; gives err back. */
enum ceir_err bt_failed(const char *what, enum ceir_err err);

/* ---- the engine, without a server (bench_triplets_load.c, bench_triplets_read.c, bench_triplets_sight.c) ------------------- */

enum ceir_err bt_store_open(const struct bt_options *o, struct triplets **out) CEIR_MUST_USE;
/* Until nothing runs in the background any more; how long that took, at most a minute. */
double bt_store_settle(void);

enum ceir_err bt_engine_load(const struct bt_options *o) CEIR_MUST_USE;
enum ceir_err bt_engine_lookup(const struct bt_options *o) CEIR_MUST_USE;
enum ceir_err bt_engine_scan(const struct bt_options *o) CEIR_MUST_USE;
enum ceir_err bt_engine_sight(const struct bt_options *o) CEIR_MUST_USE;

/* ---- a server (bench_triplets_deliver.c, bench_triplets_stream.c, bench_triplets_planted.c) --------------------------------- */

enum ceir_err bt_deliver(const struct bt_options *o) CEIR_MUST_USE;
enum ceir_err bt_stream(const struct bt_options *o) CEIR_MUST_USE;
enum ceir_err bt_planted(const struct bt_options *o) CEIR_MUST_USE;

#endif

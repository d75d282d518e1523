/*
 * bench.h - what the load generator's files share. The generator runs beside the server on the same few cores, so it must
 * cost little: frames are rendered once and only digits are patched, answers are found by their frame header and looked at
 * fully only now and then.
 */
#ifndef CEIR_BENCH_H
#define CEIR_BENCH_H

#include <sys/types.h>

#include "base/base.h"
#include "ident/ident.h"
#include "tls/tls.h"

/* ---- options (bench_epp.c) ------------------------------------------------------------------------------------------- */

struct bench_options {
	const char *dir; /* data folder of the server: keys/ has the certificates */
	const char *host, *port;
	pid_t server; /* 0: not measured */
	uint64_t seed;
	unsigned sessions;
	unsigned depth;        /* commands under way in one session */
	unsigned names;        /* in one check */
	unsigned seconds;      /* measured, after one second of warming up */
	uint64_t rate;         /* commands a second over all sessions; 0: as fast as answers come */
	uint64_t devices;      /* registered so far: what checks draw from */
	uint64_t first;        /* listing: number of the first IMEI; application: of the first device */
	uint64_t rows;         /* IMEIs in one application */
	unsigned per_command;  /* of them in one command */
	unsigned applications; /* one after the other */
	unsigned tacs;         /* setup: type allocation codes to enter */
	uint64_t start_s;      /* of this run, since 1970 */
};

/* ---- latencies (bench_common.c) -------------------------------------------------------------------------------------- */

/* Exact below 128 us, above in steps of 1/64 of the value. One thread adds; merge when it has ended. */
#define BENCH_SUB 64u
#define BENCH_BUCKETS (BENCH_SUB * 36u)
struct bench_hist {
	uint64_t n, max_us;
	uint64_t count[BENCH_BUCKETS];
};
void bench_hist_add(struct bench_hist *h, uint64_t us);
void bench_hist_merge(struct bench_hist *into, const struct bench_hist *h);
/* Upper end of the bucket in which the q-th part (0..1) of the values ends; 0 when there are none. */
uint64_t bench_hist_quantile(const struct bench_hist *h, double q);

/* ---- processes -------------------------------------------------------------------------------------------------------- */

struct bench_usage {
	double cpu_s; /* user and system, since the process began */
	uint64_t rss_bytes, rss_peak_bytes;
};
/* Of a process by /proc; zeros for pid 0. */
enum ceir_err bench_usage_read(pid_t pid, struct bench_usage *u) CEIR_MUST_USE;

/* ---- results: one JSON object a line on standard output ---------------------------------------------------------------- */

struct bench_result {
	const char *name;
	struct buf params; /* inside of a JSON object */
	uint64_t operations;
	const char *unit; /* of operations: "commands", "names", "imeis" */
	double seconds;
	const struct bench_hist *latency;    /* of commands */
	uint64_t bytes_sent, bytes_received; /* EPP, before encryption */
	uint64_t refused;                    /* answers with another code than expected */
	uint64_t verified;                   /* answers checked in full */
	struct bench_usage server_before, server_after, self_before, self_after;
};
/* Appends "key": value to params. */
void bench_param(struct bench_result *r, const char *key, uint64_t value);
void bench_param_real(struct bench_result *r, const char *key, double value);
/* Prints the line and frees params. */
void bench_result_print(struct bench_result *r);

/* ---- the population (bench_population.c) -------------------------------------------------------------------------------- */

/*
 * Device k is registered when k < options.devices. A TAC has BENCH_TAC_DEVICES of them, scattered over its million serial
 * numbers and entered in scattered order, as boxes arrive at a customs office; its other serial numbers are strangers.
 */
#define BENCH_TAC_DEVICES 200000u
#define BENCH_TAC_STRANGERS (IMEI_SERIALS - BENCH_TAC_DEVICES)
struct tac bench_tac(uint64_t i);
struct imei bench_device(uint64_t k);
struct imei bench_stranger(uint64_t k);

uint64_t bench_random(uint64_t *state); /* splitmix64 */

enum bench_kind { BENCH_REGISTERED, BENCH_STRANGER, BENCH_INVALID };
/* Next name of a check: 80 % registered, 15 % strangers of even number, 5 % with a wrong check digit. 15 characters, no NUL. */
enum bench_kind bench_name(uint64_t *random, uint64_t devices, char out[IMEI_DIGITS]);

/* ---- frames (bench_frames.c) --------------------------------------------------------------------------------------------- */

/* One command with its RFC 5734 header. The holes are patched in place. */
struct bench_frame {
	struct buf bytes;
	size_t cltrid;       /* offset of BENCH_CLTRID characters */
	size_t name, stride; /* offset of the first IMEI, distance to the next */
	size_t names;
};
#define BENCH_CLTRID 24 /* "b" second of the start "-" session "-" number: never twice in one register */
enum ceir_err bench_frame_check(struct bench_frame *f, size_t names) CEIR_MUST_USE;
enum ceir_err bench_frame_listing(struct bench_frame *f) CEIR_MUST_USE;
enum ceir_err bench_frame_rows(struct bench_frame *f, struct str application, size_t rows) CEIR_MUST_USE;
void bench_frame_free(struct bench_frame *f);
/* The clTRID of command `number` of session `session` of the run that started then. */
void bench_cltrid(char out[BENCH_CLTRID], uint64_t start_s, unsigned session, uint64_t number);
/* A whole command from its inner XML, for everything that is not under load. */
void bench_frame_plain(struct buf *out, const char *inner, const char *cltrid);

/* ---- sessions (bench_session.c) ------------------------------------------------------------------------------------------ */

struct bench_session;

/* keys/account.crt and .key, logged in. What fails is said on standard error. */
enum ceir_err bench_session_open(const struct bench_options *o, const char *account, struct bench_session **out) CEIR_MUST_USE;
void bench_session_close(struct bench_session *s); /* NULL is allowed */
/* Frames, header included, any number of them in one write. */
enum ceir_err bench_session_send(struct bench_session *s, struct str frames) CEIR_MUST_USE;
/* The next answer without its header; good until the next call. timeout_ms 0: for ever. CEIR_ETIMEOUT: none yet. */
enum ceir_err bench_session_receive(struct bench_session *s, struct str *xml, unsigned timeout_ms) CEIR_MUST_USE;
/* A whole answer lies in the buffer. */
bool bench_session_ready(const struct bench_session *s);
/* One command and its answer; CEIR_EINVAL, said on standard error, unless its code is `code`. */
enum ceir_err bench_session_ask(struct bench_session *s, const char *inner, unsigned code, struct str *xml) CEIR_MUST_USE;

bool bench_has(struct str xml, const char *text);
bool bench_answer_is(struct str xml, unsigned code);
/* Content of the first element of that local name; false when there is none. */
bool bench_element(struct str xml, const char *name, struct str *out);

/* Accounts of the bench's register. It lives for minutes on the loopback interface, so the password is no secret. */
#define BENCH_PASSWORD "Bench-2026-load"
#define BENCH_PERMIT "BENCH/001"

/* ---- modes ----------------------------------------------------------------------------------------------------------------- */

enum ceir_err bench_setup(const struct bench_options *o) CEIR_MUST_USE; /* accounts, papers, TACs */
enum ceir_err bench_check(const struct bench_options *o) CEIR_MUST_USE;
enum ceir_err bench_listing(const struct bench_options *o) CEIR_MUST_USE;
enum ceir_err bench_application(const struct bench_options *o) CEIR_MUST_USE;

#endif

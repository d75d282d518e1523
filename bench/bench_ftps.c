/*
 * bench_ftps.c - the register's FTPS by a client that is not ours (libcurl): one large file, or a hundred sessions at once, each of which logs in,
 * uploads a file of some IMEIs to be checked, waits until its answer is there, and downloads it.
 *
 * Latencies of a session's parts:
 *   login    from connecting to being logged in with protected data channels; the server hashes the password with Argon2id
 *   upload   from asking for the data channel to 226, when the file is in the queue and durable
 *   answer   from 226 to having read the whole answer. It is asked for by its size every 50 ms, on the same session
 */
#include "bench_files.h"

#include <curl/curl.h>
#include <getopt.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define POLL_NS 50000000
#define GIVE_UP_US 120000000ll
#define SESSIONS_MAX 1000
#define LOGIN_TRIES 3
#define STACK_BYTES ((size_t)256 << 10)

static const char usage_text[] =
	"Usage: bench_ftps MODE --port PORT --ca FILE [OPTION]...\n"
	"\n"
	"  drop       uploads a file and waits for its answer in the folder. --file, --name, --home, --rows, --account\n"
	"  sessions   many at once. --sessions, --rounds, --rows (of each file), --devices\n"
	"\n"
	"  --account NAME   (bench-importer); sessions: the part before the number, bench-pos for bench-pos1 .. (bench-pos)\n"
	"  --file FILE      what is uploaded\n"
	"  --name NAME      its name in in/\n"
	"  --home DIR       DIR/files/ACCOUNT/ftp\n"
	"  --rows N         (1000000; sessions: 20)\n"
	"  --sessions N     (100)\n"
	"  --rounds N       each session so often, one after the other (3)\n"
	"  --devices N      that are registered (1000000)\n"
	"  --pid PID        of the server\n";

struct options {
	const char *port, *ca, *account, *file, *name, *home;
	uint64_t rows, sessions, rounds, devices, server;
};

/* ---- a client ------------------------------------------------------------------------------------------------------------------- */

static size_t keep(char *bytes, size_t one, size_t n, void *ctx)
{
	struct buf *b = ctx;

	(void)one;
	buf_put(b, bytes, n);
	return b->failed ? 0 : n;
}

/* From the front of a slice. */
static size_t give(char *to, size_t one, size_t n, void *ctx)
{
	struct str *rest = ctx;

	(void)one;
	if (n > rest->n)
		n = rest->n;
	if (n)
		memcpy(to, rest->p, n);
	*rest = (struct str){rest->p + n, rest->n - n};
	return n;
}

/* The password is the bench's own (bench.h). */
static CURL *client(const struct options *o, const char *account, struct buf *received)
{
	CURL *c = curl_easy_init();

	if (!c)
		return NULL;
	curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(c, CURLOPT_USE_SSL, (long)CURLUSESSL_ALL);
	curl_easy_setopt(c, CURLOPT_CAINFO, o->ca);
	curl_easy_setopt(c, CURLOPT_CAPATH, NULL); /* Debian's: reading all of it would cost more than the rest of a session */
	curl_easy_setopt(c, CURLOPT_USERNAME, account);
	curl_easy_setopt(c, CURLOPT_PASSWORD, BENCH_PASSWORD);
	curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, keep);
	curl_easy_setopt(c, CURLOPT_WRITEDATA, received);
	curl_easy_setopt(c, CURLOPT_TIMEOUT, 600L);
	return c;
}

static void aim(CURL *c, const struct options *o, const char *path)
{
	char url[512];

	snprintf(url, sizeof url, "ftp://localhost:%s/%s", o->port, path);
	curl_easy_setopt(c, CURLOPT_URL, url);
}

static enum ceir_err go(CURL *c, const char *what)
{
	CURLcode code = curl_easy_perform(c);

	if (code == CURLE_OK)
		return CEIR_OK;
	fprintf(stderr, "bench_ftps: %s: %s\n", what, curl_easy_strerror(code));
	return CEIR_EIO;
}

/* ---- one large file ---------------------------------------------------------------------------------------------------------------- */

static enum ceir_err put_ftps(const struct bf_drop *d)
{
	const struct options *o = d->ctx;
	struct buf received = BUF_INIT(0);
	char path[256];
	FILE *file = fopen(d->file, "rb");
	CURL *c = file ? client(o, o->account, &received) : NULL;
	enum ceir_err err = c ? CEIR_OK : CEIR_EIO;

	if (!err) {
		snprintf(path, sizeof path, "in/%s", d->name);
		aim(c, o, path);
		curl_easy_setopt(c, CURLOPT_UPLOAD, 1L);
		curl_easy_setopt(c, CURLOPT_UPLOAD_BUFFERSIZE, 1L << 18);
		curl_easy_setopt(c, CURLOPT_READDATA, file);
		err = go(c, d->name);
	}
	if (c)
		curl_easy_cleanup(c);
	if (file)
		fclose(file);
	buf_free(&received);
	return err;
}

static enum ceir_err mode_drop(struct options *o)
{
	const struct bf_drop d = {.file = o->file, .name = o->name, .home = o->home, .way = "ftps", .rows = o->rows, .server = (pid_t)o->server,
		.put = put_ftps, .ctx = o};

	return bf_drop(&d);
}

/* ---- many sessions ------------------------------------------------------------------------------------------------------------------- */

struct session {
	const struct options *o;
	pthread_barrier_t *gate;
	pthread_t thread;
	unsigned number;
	uint64_t done, logins_again;
	uint64_t bytes_sent, bytes_received;
	struct bench_hist login, upload, answer, whole;
	enum ceir_err err;
};

/* A file of registered devices, drawn by the number of the session. */
static void put_check(const struct session *s, uint64_t round, struct buf *out)
{
	uint64_t random = s->number * 1000003u + round;
	char imei[IMEI_DIGITS + 1];

	buf_clear(out);
	buf_c(out, "imei\n");
	for (uint64_t i = 0; i < s->o->rows; i++) {
		imei_print(bench_device(bench_random(&random) % s->o->devices), imei);
		buf_c(out, imei);
		buf_char(out, '\n');
	}
}

static enum ceir_err upload(struct session *s, CURL *c, const char *name, struct buf *file)
{
	struct str rest = buf_view(file);
	char path[128];
	enum ceir_err err;

	snprintf(path, sizeof path, "in/%s", name);
	aim(c, s->o, path);
	curl_easy_setopt(c, CURLOPT_UPLOAD, 1L);
	curl_easy_setopt(c, CURLOPT_READFUNCTION, give);
	curl_easy_setopt(c, CURLOPT_READDATA, &rest);
	err = go(c, path);
	curl_easy_setopt(c, CURLOPT_UPLOAD, 0L);
	s->bytes_sent += file->n;
	return err;
}

/* Until SIZE knows the file. */
static enum ceir_err wait_answer(CURL *c, const char *path)
{
	int64_t give_up_us = clock_mono_us() + GIVE_UP_US;
	curl_off_t bytes = -1;

	curl_easy_setopt(c, CURLOPT_NOBODY, 1L);
	for (;;) {
		CURLcode code = curl_easy_perform(c);

		if (code == CURLE_OK && curl_easy_getinfo(c, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &bytes) == CURLE_OK && bytes > 0)
			break;
		if ((code != CURLE_OK && code != CURLE_REMOTE_FILE_NOT_FOUND) || clock_mono_us() > give_up_us) {
			fprintf(stderr, "bench_ftps: %s: %s\n", path, code == CURLE_OK ? "no answer" : curl_easy_strerror(code));
			return CEIR_ETIMEOUT;
		}
		nanosleep(&(struct timespec){.tv_nsec = POLL_NS}, NULL);
	}
	curl_easy_setopt(c, CURLOPT_NOBODY, 0L);
	curl_easy_setopt(c, CURLOPT_HTTPGET, 1L);
	return CEIR_OK;
}

static enum ceir_err download(struct session *s, CURL *c, const char *name, struct buf *received)
{
	char path[128];
	uint64_t rows, good;
	enum ceir_err err;

	snprintf(path, sizeof path, "out/%s.answer.csv", name);
	aim(c, s->o, path);
	if ((err = wait_answer(c, path)))
		return err;
	buf_clear(received);
	if ((err = go(c, path)))
		return err;
	s->bytes_received += received->n;
	good = bf_answer_count(buf_view(received), "1000", &rows);
	if (rows == s->o->rows && good == rows && bf_answer_count(buf_view(received), "white", &rows) == good)
		return CEIR_OK;
	fprintf(stderr, "bench_ftps: %s is not the answer that was expected:\n%.*s\n", path, (int)(received->n < 2000 ? received->n : 2000),
		received->p);
	return CEIR_EINVAL;
}

/*
 * A login that has waited 20 seconds for its turn is refused (docs/ftps.md): on a machine that others keep busy a hundred at once may. It is tried
 * again, as a person would, and told in the line; its time is that of both.
 */
static enum ceir_err log_in(struct session *s, CURL *c)
{
	CURLcode code;

	aim(c, s->o, "");
	curl_easy_setopt(c, CURLOPT_NOBODY, 1L);
	for (unsigned tries = 0; (code = curl_easy_perform(c)) == CURLE_LOGIN_DENIED && tries < LOGIN_TRIES; tries++)
		s->logins_again++;
	curl_easy_setopt(c, CURLOPT_NOBODY, 0L);
	if (code != CURLE_OK)
		fprintf(stderr, "bench_ftps: login: %s\n", curl_easy_strerror(code));
	return code == CURLE_OK ? CEIR_OK : CEIR_EIO;
}

static enum ceir_err one(struct session *s, CURL *c, uint64_t round, struct buf *file, struct buf *received)
{
	char name[64];
	int64_t begun_us = clock_mono_us(), at_us = begun_us, now_us;
	enum ceir_err err;

	snprintf(name, sizeof name, "check-%u-%llu.csv", s->number, (unsigned long long)round);
	put_check(s, round, file);
	err = log_in(s, c);
	bench_hist_add(&s->login, (uint64_t)((now_us = clock_mono_us()) - at_us));
	at_us = now_us;
	if (err || (err = upload(s, c, name, file)))
		return err;
	bench_hist_add(&s->upload, (uint64_t)((now_us = clock_mono_us()) - at_us));
	at_us = now_us;
	if ((err = download(s, c, name, received)))
		return err;
	now_us = clock_mono_us();
	bench_hist_add(&s->answer, (uint64_t)(now_us - at_us));
	bench_hist_add(&s->whole, (uint64_t)(now_us - begun_us));
	return CEIR_OK;
}

static void *session_main(void *arg)
{
	struct session *s = arg;
	struct buf file = BUF_INIT(0), received = BUF_INIT(0);
	char account[64];

	snprintf(account, sizeof account, "%s%u", s->o->account, s->number);
	pthread_barrier_wait(s->gate);
	for (uint64_t round = 0; round < s->o->rounds && !s->err; round++) {
		CURL *c = client(s->o, account, &received);

		s->err = c ? one(s, c, round, &file, &received) : CEIR_ENOMEM;
		s->done += !s->err;
		curl_easy_cleanup(c);
	}
	buf_free(&file);
	buf_free(&received);
	return NULL;
}

static void param_hist(struct bench_result *r, const char *name, const struct bench_hist *h)
{
	char key[32];

	snprintf(key, sizeof key, "%s_p50_ms", name);
	bench_param_real(r, key, (double)bench_hist_quantile(h, 0.5) / 1e3);
	snprintf(key, sizeof key, "%s_p99_ms", name);
	bench_param_real(r, key, (double)bench_hist_quantile(h, 0.99) / 1e3);
}

static enum ceir_err report(const struct options *o, struct session *all, struct bench_result *r)
{
	struct session *sum = calloc(1, sizeof *sum);
	enum ceir_err err = sum ? CEIR_OK : CEIR_ENOMEM;
	uint64_t logins_again = 0;

	for (uint64_t i = 0; sum && i < o->sessions; i++) {
		const struct session *s = &all[i];

		bench_hist_merge(&sum->login, &s->login);
		bench_hist_merge(&sum->upload, &s->upload);
		bench_hist_merge(&sum->answer, &s->answer);
		bench_hist_merge(&sum->whole, &s->whole);
		r->operations += s->done;
		logins_again += s->logins_again;
		r->bytes_sent += s->bytes_sent;
		r->bytes_received += s->bytes_received;
		if (s->err)
			r->refused++;
		err = err ? err : s->err;
	}
	if (sum) {
		r->verified = r->operations;
		r->latency = &sum->whole;
		bench_param(r, "sessions", o->sessions);
		bench_param(r, "rounds", o->rounds);
		bench_param(r, "rows", o->rows);
		bench_param(r, "logins_again", logins_again);
		param_hist(r, "login", &sum->login);
		param_hist(r, "upload", &sum->upload);
		param_hist(r, "answer", &sum->answer);
		bench_result_print(r);
	}
	free(sum);
	return err;
}

/* Threads that run: fewer than asked for when the system has no more, which is an error. */
static enum ceir_err sessions_run(const struct options *o, struct session *all)
{
	pthread_barrier_t gate;
	pthread_attr_t attr;
	uint64_t n = 0;
	int failed = 0;

	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, STACK_BYTES);
	pthread_barrier_init(&gate, NULL, (unsigned)o->sessions);
	for (; n < o->sessions && !failed; n++) {
		all[n] = (struct session){.o = o, .gate = &gate, .number = (unsigned)n + 1};
		failed = pthread_create(&all[n].thread, &attr, session_main, &all[n]);
	}
	if (failed) {
		fprintf(stderr, "bench_ftps: no thread: %s\n", strerror(failed));
		exit(1); /* the others wait at the gate for one that will not come */
	}
	for (uint64_t i = 0; i < n; i++)
		pthread_join(all[i].thread, NULL);
	pthread_barrier_destroy(&gate);
	pthread_attr_destroy(&attr);
	return CEIR_OK;
}

static enum ceir_err mode_sessions(struct options *o)
{
	struct bench_result r = {.name = "ftps-sessions", .params = BUF_INIT(0), .unit = "sessions"};
	struct session *all = calloc(o->sessions, sizeof *all);
	enum ceir_err err = all ? bench_usage_read((pid_t)o->server, &r.server_before) : CEIR_ENOMEM;

	if (!err)
		err = bench_usage_read(getpid(), &r.self_before);
	if (!err) {
		int64_t begun_us = clock_mono_us();

		err = sessions_run(o, all);
		r.seconds = (double)(clock_mono_us() - begun_us) / 1e6;
	}
	if (!err)
		err = bench_usage_read((pid_t)o->server, &r.server_after);
	if (!err)
		err = bench_usage_read(getpid(), &r.self_after);
	if (!err)
		err = report(o, all, &r);
	free(all);
	return err;
}

/* ---- command line ----------------------------------------------------------------------------------------------------------------------- */

static bool number(const char *text, uint64_t max, uint64_t *value)
{
	return str_u64(str_of(text), max, value) == CEIR_OK && *value > 0;
}

static bool options_parse(struct options *o, int argc, char **argv)
{
	static const struct option options[] = {{"port", 1, NULL, 'p'}, {"ca", 1, NULL, 'c'}, {"account", 1, NULL, 'a'}, {"file", 1, NULL, 'f'},
		{"name", 1, NULL, 'n'}, {"home", 1, NULL, 'H'}, {"rows", 1, NULL, 'r'}, {"sessions", 1, NULL, 's'}, {"rounds", 1, NULL, 'R'},
		{"devices", 1, NULL, 'd'}, {"pid", 1, NULL, 'P'}, {0}};
	bool good = true;
	int code;

	while (good && (code = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (code) {
		case 'p': o->port = optarg; break;
		case 'c': o->ca = optarg; break;
		case 'a': o->account = optarg; break;
		case 'f': o->file = optarg; break;
		case 'n': o->name = optarg; break;
		case 'H': o->home = optarg; break;
		case 'r': good = number(optarg, 100000000, &o->rows); break;
		case 's': good = number(optarg, SESSIONS_MAX, &o->sessions); break;
		case 'R': good = number(optarg, 1000, &o->rounds); break;
		case 'd': good = number(optarg, 100000000, &o->devices); break;
		case 'P': good = number(optarg, INT32_MAX, &o->server); break;
		default: good = false;
		}
	}
	return good && optind + 1 == argc && o->port && o->ca;
}

int main(int argc, char **argv)
{
	struct options o = {.sessions = 100, .rounds = 3, .devices = 1000000};
	enum ceir_err err = CEIR_EINVAL;

	if (argc > 1 && strcmp(argv[1], "--help") == 0) {
		fputs(usage_text, stdout);
		return 0;
	}
	if (!options_parse(&o, argc, argv)) {
		fputs(usage_text, stderr);
		return 2;
	}
	curl_global_init(CURL_GLOBAL_ALL);
	if (strcmp(argv[optind], "drop") == 0 && o.file && o.name && o.home) {
		o.account = o.account ? o.account : "bench-importer";
		o.rows = o.rows ? o.rows : 1000000;
		err = mode_drop(&o);
	} else if (strcmp(argv[optind], "sessions") == 0) {
		o.account = o.account ? o.account : "bench-pos";
		o.rows = o.rows ? o.rows : 20;
		err = mode_sessions(&o);
	} else {
		fputs(usage_text, stderr);
		return 2;
	}
	curl_global_cleanup();
	if (err)
		fprintf(stderr, "bench_ftps: %s: %s\n", argv[optind], ceir_err_text(err));
	return err ? 1 : 0;
}

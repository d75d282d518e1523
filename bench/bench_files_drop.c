/*
 * bench_files_drop.c - a file put into an account's folder, until its answer is there. Two times count: how long putting it takes, and from
 * then on how long the answer does. The answer is looked for every 5 ms by its name in out/, which it has when it is whole and durable.
 */
#include "bench_files.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define POLL_NS 5000000
#define GIVE_UP_US 600000000ll
#define COPY_BYTES ((size_t)256 << 10)
#define ANSWER_MAX ((size_t)4 << 30)

/* ---- the folder ---------------------------------------------------------------------------------------------------------------- */

static enum ceir_err copy(int from, int to)
{
	static char bytes[COPY_BYTES];
	enum ceir_err err = CEIR_OK;
	ssize_t n;

	while (!err && (n = read(from, bytes, sizeof bytes)) != 0)
		err = n < 0 ? ceir_err_of_errno(errno) : fd_write_all(to, bytes, (size_t)n);
	return !err && fsync(to) != 0 ? ceir_err_of_errno(errno) : err;
}

enum ceir_err bf_put_folder(const struct bf_drop *d)
{
	char part[PATH_MAX], path[PATH_MAX];
	int from, to;
	enum ceir_err err;

	if (snprintf(part, sizeof part, "%s/in/%s.part", d->home, d->name) >= (int)sizeof part)
		return CEIR_ERANGE;
	snprintf(path, sizeof path, "%s/in/%s", d->home, d->name);
	from = open(d->file, O_RDONLY | O_CLOEXEC);
	to = open(part, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0640);
	err = from < 0 || to < 0 ? ceir_err_of_errno(errno) : copy(from, to);
	if (from >= 0)
		close(from);
	if (to >= 0)
		close(to);
	return err || rename(part, path) == 0 ? err : ceir_err_of_errno(errno);
}

/* ---- the answer ---------------------------------------------------------------------------------------------------------------- */

uint64_t bf_answer_count(struct str answer, const char *code, uint64_t *rows)
{
	char field[16];
	size_t n = (size_t)snprintf(field, sizeof field, ",%s,", code);
	uint64_t found = 0;
	struct str line;
	bool named = false;

	*rows = 0;
	while (answer.n && str_cut(&answer, '\n', &line)) {
		if (named && line.n) {
			++*rows;
			found += memmem(line.p, line.n, field, n) != NULL;
		}
		named = true;
	}
	return found;
}

static bool there(const char *path)
{
	return access(path, F_OK) == 0;
}

/* *taken_us: when the file had gone from in/, by then at the latest. */
static enum ceir_err wait_answer(const struct bf_drop *d, const char *answer, int64_t *taken_us)
{
	char in[PATH_MAX];
	int64_t give_up_us = clock_mono_us() + GIVE_UP_US;

	snprintf(in, sizeof in, "%s/in/%s", d->home, d->name);
	*taken_us = 0;
	while (!there(answer)) {
		if (!*taken_us && !there(in))
			*taken_us = clock_mono_us();
		if (clock_mono_us() > give_up_us) {
			fprintf(stderr, "%s: no answer after ten minutes\n", answer);
			return CEIR_ETIMEOUT;
		}
		nanosleep(&(struct timespec){.tv_nsec = POLL_NS}, NULL);
	}
	if (!*taken_us)
		*taken_us = clock_mono_us();
	return CEIR_OK;
}

static enum ceir_err check_answer(const struct bf_drop *d, const char *path, struct bench_result *r)
{
	struct buf bytes = BUF_INIT(0);
	enum ceir_err err = file_read(path, ANSWER_MAX, &bytes);
	uint64_t rows = 0;

	if (!err) {
		r->bytes_received = bytes.n;
		r->verified = bf_answer_count(buf_view(&bytes), "1000", &rows);
		r->refused = rows - r->verified;
		if (rows != d->rows || r->refused)
			err = CEIR_EINVAL;
	}
	if (err)
		fprintf(stderr, "%s: %llu rows, %llu of them with code 1000, not %llu\n", path, (unsigned long long)rows,
			(unsigned long long)r->verified, (unsigned long long)d->rows);
	buf_free(&bytes);
	return err;
}

static void report(const struct bf_drop *d, struct bench_result *r, int64_t begun_us, int64_t put_us, int64_t taken_us, int64_t done_us)
{
	bench_param(r, "rows", d->rows);
	bench_param_real(r, "put_s", (double)(put_us - begun_us) / 1e6);
	bench_param_real(r, "put_mb_s", (double)r->bytes_sent / (double)(put_us - begun_us));
	bench_param_real(r, "taken_to_answer_s", (double)(done_us - (taken_us < put_us ? put_us : taken_us)) / 1e6);
	r->seconds = (double)(done_us - put_us) / 1e6;
	bench_result_print(r);
}

enum ceir_err bf_drop(const struct bf_drop *d)
{
	struct bench_result r = {.name = strcmp(d->way, "ftps") == 0 ? "drop-ftps" : "drop-folder", .params = BUF_INIT(0), .operations = d->rows,
		.unit = "rows"};
	char answer[PATH_MAX];
	struct stat st;
	int64_t begun_us, put_us, taken_us;
	enum ceir_err err;

	if (stat(d->file, &st) != 0)
		return ceir_err_of_errno(errno);
	r.bytes_sent = (uint64_t)st.st_size;
	snprintf(answer, sizeof answer, "%s/out/%s.answer.csv", d->home, d->name);
	if ((err = bench_usage_read(d->server, &r.server_before)) || (err = bench_usage_read(getpid(), &r.self_before)))
		return err;
	begun_us = clock_mono_us();
	if ((err = d->put(d)))
		return err;
	put_us = clock_mono_us();
	if ((err = wait_answer(d, answer, &taken_us)))
		return err;
	int64_t done_us = clock_mono_us();
	if ((err = bench_usage_read(d->server, &r.server_after)) || (err = bench_usage_read(getpid(), &r.self_after)) ||
		(err = check_answer(d, answer, &r))) {
		buf_free(&r.params);
		return err;
	}
	report(d, &r, begun_us, put_us, taken_us, done_us);
	return CEIR_OK;
}

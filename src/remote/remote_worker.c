/*
 * remote_worker.c - one remote: its thread, which does what there is to do and waits, and what came of each try.
 *
 * A failure holds up its own way (lists, answers, fetch). One that came before the login was over holds up all of them, as one: the others would only
 * say the same once more.
 */
#include "remote/remote_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sodium.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define LOOK_US 500000              /* for news, when nothing else is to be done */
#define HASH_STEP (256u << 10)
#define DEBIAN_CA "/etc/ssl/certs/ca-certificates.crt"

bool remote_stopping(const struct remote_worker *w)
{
	return w->stop || w->m->stopping;
}

/* ---- what went wrong ---- */

enum ceir_err remote_fail(struct remote_worker *w, enum ceir_err err, const char *format, ...)
{
	char text[REMOTE_WHY];
	va_list ap;

	va_start(ap, format);
	vsnprintf(text, sizeof text, format, ap);
	va_end(ap);
	remote_line(str_of(text), w->why, sizeof w->why);
	return err;
}

enum ceir_err remote_fail_ftp(struct remote_worker *w, enum ceir_err err)
{
	return err == CEIR_ECLOSED ? err : remote_fail(w, err, "%s", remote_ftp_error(w->ftp));
}

void remote_keep(const struct remote_worker *w, struct remote_kept *kept, enum ceir_err err)
{
	if (kept->err)
		return;
	kept->err = err;
	snprintf(kept->file, sizeof kept->file, "%s", w->file);
	snprintf(kept->why, sizeof kept->why, "%s", w->why);
}

enum ceir_err remote_kept(struct remote_worker *w, const struct remote_kept *kept)
{
	if (kept->err) {
		snprintf(w->file, sizeof w->file, "%s", kept->file);
		snprintf(w->why, sizeof w->why, "%s", kept->why);
	}
	return kept->err;
}

void remote_name_set(struct remote_worker *w, struct str name)
{
	snprintf(w->file, sizeof w->file, "%.*s", (int)name.n, name.n ? name.p : "");
}

enum ceir_err remote_note(struct remote_worker *w, const struct reg_remote_event *e)
{
	enum ceir_err err = reg_remote_note(w->m->r, w->c.id, e);

	if (err == CEIR_ENOENT) {
		w->gone = true;
		return CEIR_ECLOSED;
	}
	return err ? remote_fail(w, err, "it cannot be recorded: %s", ceir_err_text(err)) : CEIR_OK;
}

static void note_failure(struct remote_worker *w, enum reg_remote_way way)
{
	struct reg_remote_event e = {.way = way, .file = str_of(w->file), .error = w->why};
	char code[256];

	remote_line(w->c.code, code, sizeof code);
	log_warn(REMOTE_ROOM, "%s: %s%s%s", code, w->file, w->file[0] ? ": " : "", w->why);
	enum ceir_err err = remote_note(w, &e);
	if (err && err != CEIR_ECLOSED)
		log_error(REMOTE_ROOM, "%s: a failure cannot be recorded: %s", code, ceir_err_text(err));
}

static int64_t retry_at(const struct remote_worker *w, unsigned failures)
{
	return clock_mono_us() + remote_retry_us(failures, w->m->s.retry_s ? w->m->s.retry_s : 5, randombytes_random());
}

static void settle(struct remote_worker *w, enum reg_remote_way way, enum ceir_err err)
{
	enum remote_reached reached = remote_ftp_reached(w->ftp);

	if (reached == REMOTE_LOGGED_IN)
		w->down = 0;
	if (!err) {
		w->failures[way] = 0;
		return;
	}
	if (err == CEIR_ECLOSED || remote_stopping(w))
		return;
	if (!w->why[0])
		(void)remote_fail(w, err, "%s", ceir_err_text(err));
	note_failure(w, way);
	if (reached == REMOTE_NO_LOGIN)
		w->up_again_us = retry_at(w, ++w->down);
	else
		w->not_before_us[way] = retry_at(w, ++w->failures[way]);
}

/* local: done without the server. */
static void try(struct remote_worker *w, enum reg_remote_way way, bool local, enum ceir_err (*step)(struct remote_worker *))
{
	int64_t now = clock_mono_us();

	if (remote_stopping(w) || w->gone || now < w->not_before_us[way] || (!local && w->down && now < w->up_again_us))
		return;
	w->file[0] = w->why[0] = '\0';
	remote_ftp_begin(w->ftp);
	settle(w, way, step(w));
}

/* ---- the folder ---- */

static enum ceir_err make_folder(const char *path)
{
	return mkdir(path, 0700) && errno != EEXIST ? ceir_err_of_errno(errno) : CEIR_OK;
}

static int open_folder(const struct remote_worker *w, const char *name)
{
	char path[PATH_MAX + 8];

	snprintf(path, sizeof path, "%s/%s", w->dir, name);
	if (make_folder(path))
		return -1;
	return open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
}

/* The remote's own authority, or none of an earlier setting. */
static enum ceir_err write_ca(struct remote_worker *w)
{
	enum ceir_err err = CEIR_OK;

	if (w->ca.n)
		err = file_write(w->capath, w->ca, 0600);
	else if (unlink(w->capath) && errno != ENOENT)
		err = ceir_err_of_errno(errno);
	return err;
}

static void read_boot(struct remote_worker *w)
{
	struct buf b = BUF_INIT(256);

	if (file_read("/proc/sys/kernel/random/boot_id", 255, &b))
		buf_clear(&b);
	struct str id = str_trim(buf_view(&b));
	/* Without it nothing is gone on with in another process. */
	if (id.n && id.n < sizeof w->boot)
		snprintf(w->boot, sizeof w->boot, "%.*s", (int)id.n, id.p);
	else
		snprintf(w->boot, sizeof w->boot, "%ld.%" PRId64, (long)getpid(), clock_mono_us());
	buf_free(&b);
}

static enum ceir_err prepare(struct remote_worker *w)
{
	enum ceir_err err = make_folder(w->dir);

	if (!err && w->out < 0)
		w->out = open_folder(w, "out");
	if (!err && w->in < 0)
		w->in = open_folder(w, "in");
	if (!err && (w->out < 0 || w->in < 0))
		err = ceir_err_of_errno(errno);
	if (!err)
		err = write_ca(w);
	if (err)
		return remote_fail(w, err, "%s cannot be made: %s", w->dir, ceir_err_text(err));
	read_boot(w);
	remote_spool_clean(w);
	w->prepared = true;
	return CEIR_OK;
}

/* ---- the unfinished file ---- */

static void print_begun(const struct remote_worker *w, struct buf *out, struct str name, uint64_t size, int64_t mtime_s)
{
	buf_printf(out, "%s %" PRId64 " %" PRIu64 " %" PRId64 " %.*s\n", w->boot, w->c.changed_us, size, mtime_s, (int)name.n, name.p);
}

/* One for each way: while one's transfer waits to be tried again, another's goes on. */
static void begun_path(const struct remote_worker *w, enum reg_remote_way way, char out[PATH_MAX + 16])
{
	static const char *const names[REMOTE_WAYS] = {[REG_REMOTE_LIST] = "list", [REG_REMOTE_ANSWER] = "answer", [REG_REMOTE_FETCH] = "fetch"};

	snprintf(out, PATH_MAX + 16, "%s/begun.%s", w->dir, names[way]);
}

bool remote_begun(struct remote_worker *w, enum reg_remote_way way, struct str name, uint64_t size, int64_t mtime_s)
{
	struct buf there = BUF_INIT(4096), want = BUF_INIT(4096);
	char path[PATH_MAX + 16];

	begun_path(w, way, path);
	print_begun(w, &want, name, size, mtime_s);
	bool same = !want.failed && !file_read(path, 4095, &there) && str_eq(buf_view(&there), buf_view(&want));
	buf_free(&there);
	buf_free(&want);
	return same;
}

/* Written over: half of it is nothing that could be asked for. */
enum ceir_err remote_begin(struct remote_worker *w, enum reg_remote_way way, struct str name, uint64_t size, int64_t mtime_s)
{
	struct buf text = BUF_INIT(4096);
	char path[PATH_MAX + 16];

	begun_path(w, way, path);
	print_begun(w, &text, name, size, mtime_s);
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
	enum ceir_err err = text.failed ? CEIR_ENOMEM : fd < 0 ? ceir_err_of_errno(errno) : fd_write_all(fd, text.p, text.n);
	if (fd >= 0 && close(fd) && !err)
		err = ceir_err_of_errno(errno);
	buf_free(&text);
	return err ? remote_fail(w, err, "%s cannot be written: %s", path, ceir_err_text(err)) : CEIR_OK;
}

void remote_begun_forget(struct remote_worker *w, enum reg_remote_way way)
{
	char path[PATH_MAX + 16];

	begun_path(w, way, path);
	unlink(path);
}

enum ceir_err remote_hash(struct remote_worker *w, int fd, uint64_t size, uint8_t out[32])
{
	crypto_hash_sha256_state h;
	uint8_t *step = malloc(HASH_STEP);
	uint64_t at = 0;
	enum ceir_err err = step ? CEIR_OK : CEIR_ENOMEM;

	crypto_hash_sha256_init(&h);
	while (!err && at < size) {
		ssize_t got = pread(fd, step, size - at < HASH_STEP ? (size_t)(size - at) : HASH_STEP, (off_t)at);

		if (got < 0 && errno == EINTR)
			continue;
		if (remote_stopping(w))
			err = CEIR_ECLOSED;
		else if (got <= 0)
			err = got < 0 ? ceir_err_of_errno(errno) : CEIR_ESTATE;
		else {
			crypto_hash_sha256_update(&h, step, (unsigned long long)got);
			at += (uint64_t)got;
		}
	}
	crypto_hash_sha256_final(&h, out);
	free(step);
	return err;
}

/* ---- the thread ---- */

static void wait_for_more(struct remote_worker *w)
{
	struct timespec until;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_nsec += LOOK_US * 1000L;
	if (until.tv_nsec >= 1000000000L) {
		until.tv_sec++;
		until.tv_nsec -= 1000000000L;
	}
	pthread_mutex_lock(&w->m->lock);
	while (!remote_stopping(w) && pthread_cond_timedwait(&w->m->wake, &w->m->lock, &until) != ETIMEDOUT)
		;
	pthread_mutex_unlock(&w->m->lock);
}

static void *run(void *arg)
{
	struct remote_worker *w = arg;

	while (!remote_stopping(w) && !w->gone) {
		if (!w->prepared)
			try(w, REG_REMOTE_LIST, true, prepare);
		if (w->prepared) {
			if (w->pending)
				try(w, REG_REMOTE_FETCH, true, remote_fetch_pending);
			try(w, REG_REMOTE_LIST, false, remote_push_lists);
			try(w, REG_REMOTE_ANSWER, false, remote_push_answers);
			try(w, REG_REMOTE_FETCH, false, remote_fetch);
		}
		wait_for_more(w);
	}
	pthread_mutex_lock(&w->m->lock);
	w->ended = true;
	pthread_cond_broadcast(&w->m->wake);
	pthread_mutex_unlock(&w->m->lock);
	return NULL;
}

/* ---- life ---- */

static bool copy(struct arena *a, struct str *s)
{
	*s = arena_str(a, *s);
	return s->p;
}

/* All but the password, which only libcurl needs. */
static bool copy_texts(struct remote_worker *w)
{
	struct reg_remote *c = &w->c;

	w->ca = c->ca;
	c->password = c->ca = STR("");
	return copy(w->arena, &c->code) && copy(w->arena, &c->account) && copy(w->arena, &c->op) && copy(w->arena, &c->host) && copy(w->arena, &c->user)
		&& copy(w->arena, &c->lists_to) && copy(w->arena, &c->answers_to) && copy(w->arena, &c->fetch_from) && copy(w->arena, &w->ca);
}

static enum ceir_err open_ftp(struct remote_worker *w, const struct reg_remote *c)
{
	const char *system = w->m->s.ca && w->m->s.ca[0] ? w->m->s.ca : DEBIAN_CA;
	struct remote_ftp_server server = {.host = c->host, .user = c->user, .password = c->password, .port = c->port, .implicit = c->implicit,
		.ca = c->ca.n ? w->capath : system, .timeout_s = w->m->s.timeout_s};

	return remote_ftp_new(&server, &w->ftp);
}

static struct remote_worker *worker_new(struct remotes *m, const struct reg_remote *c)
{
	struct remote_worker *w = calloc(1, sizeof *w);

	if (!w)
		return NULL;
	*w = (struct remote_worker){.m = m, .arena = arena_new(1 << 20), .c = *c, .out = -1, .in = -1, .pending = true};
	int n = snprintf(w->dir, sizeof w->dir, "%s/%" PRId64, m->dir, c->id);
	int k = snprintf(w->capath, sizeof w->capath, "%s/%" PRId64 "/ca.pem", m->dir, c->id);
	if (n < 0 || k < 0 || (size_t)k >= sizeof w->capath || !w->arena || !copy_texts(w)) {
		remote_worker_free(w);
		return NULL;
	}
	return w;
}

enum ceir_err remote_worker_start(struct remotes *m, const struct reg_remote *c, struct remote_worker **out)
{
	struct remote_worker *w = worker_new(m, c);
	enum ceir_err err = w ? open_ftp(w, c) : CEIR_ENOMEM;

	if (!err)
		err = thread_start("remote", run, w, &w->thread);
	if (err) {
		remote_worker_free(w);
		return err;
	}
	w->running = true;
	*out = w;
	return CEIR_OK;
}

void remote_worker_stop(struct remote_worker *w)
{
	w->stop = true;
	remote_ftp_stop(w->ftp);
	pthread_mutex_lock(&w->m->lock);
	pthread_cond_broadcast(&w->m->wake);
	pthread_mutex_unlock(&w->m->lock);
	reg_list_wake(w->m->r);
}

void remote_worker_free(struct remote_worker *w)
{
	if (!w)
		return;
	if (w->running)
		pthread_join(w->thread, NULL);
	remote_ftp_free(w->ftp);
	remote_looks_free(w->answers);
	remote_looks_free(w->looks);
	if (w->out >= 0)
		close(w->out);
	if (w->in >= 0)
		close(w->in);
	arena_free(w->arena);
	free(w);
}

/* remote.c - who is served: every two seconds the register is asked which remotes there are. Each has a thread; one whose settings changed gets a new one. */
#include "remote/remote_internal.h"

#include <curl/curl.h>
#include <errno.h>
#include <sodium.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#define LOOK_S 2
#define FRESH_US 500000

uint64_t remotes_change_seq(struct remotes *m)
{
	struct reg_stats stats;
	int64_t now = clock_mono_us();

	pthread_mutex_lock(&m->lock);
	bool fresh = m->change_at_us && now - m->change_at_us < FRESH_US;
	uint64_t seq = m->change_seq;
	pthread_mutex_unlock(&m->lock);
	if (fresh)
		return seq;
	registry_stats(m->r, &stats);
	pthread_mutex_lock(&m->lock);
	m->change_seq = stats.change_seq;
	m->change_at_us = now;
	pthread_mutex_unlock(&m->lock);
	return stats.change_seq;
}

/* ---- a look at the register ---- */

struct look {
	struct remotes *m;
	size_t n, too_many;
};

static void start_one(struct remotes *m, const struct reg_remote *c)
{
	struct remote_worker *w;
	enum ceir_err err = remote_worker_start(m, c, &w);

	if (err) {
		/* The register lets nothing in that could not be used: memory, then. */
		log_error(REMOTE_ROOM, "remote %lld cannot be served now: %s", (long long)c->id, ceir_err_text(err));
		return;
	}
	w->seen = true;
	w->next = m->workers;
	m->workers = w;
}

static void look_at(void *ctx, const struct reg_remote *c)
{
	struct look *l = ctx;
	struct remote_worker *w = l->m->workers;

	while (w && w->c.id != c->id)
		w = w->next;
	if (++l->n > l->m->s.max) {
		l->too_many++; /* one that is served is stopped when those before it are more by now */
	} else if (w) {
		w->seen = true;
		if (w->c.changed_us != c->changed_us && !w->stop)
			remote_worker_stop(w); /* started anew when it has ended */
	} else {
		start_one(l->m, c);
	}
	sodium_memzero((char *)c->password.p, c->password.n);
}

static void reap(struct remotes *m)
{
	for (struct remote_worker **p = &m->workers; *p;) {
		struct remote_worker *w = *p;

		pthread_mutex_lock(&m->lock);
		bool ended = w->ended;
		pthread_mutex_unlock(&m->lock);
		if (!ended) {
			p = &w->next;
			continue;
		}
		*p = w->next;
		remote_worker_free(w);
	}
}

static void look_at_all(struct remotes *m)
{
	struct arena *arena = arena_new(64 << 20);
	struct look l = {.m = m};

	reap(m);
	for (struct remote_worker *w = m->workers; w; w = w->next)
		w->seen = false;
	enum ceir_err err = arena ? reg_remotes_active(m->r, arena, look_at, &l) : CEIR_ENOMEM;
	arena_free(arena);
	if (err) {
		log_error(REMOTE_ROOM, "the remotes cannot be read: %s", ceir_err_text(err));
		return;
	}
	for (struct remote_worker *w = m->workers; w; w = w->next)
		if (!w->seen && !w->stop)
			remote_worker_stop(w);
	if (l.too_many != m->too_many && l.too_many)
		log_warn(REMOTE_ROOM, "%zu remotes are not served: remote.max is %u", l.too_many, m->s.max);
	m->too_many = l.too_many;
}

/* A worker that has stopped ends the waiting: its successor need not wait. */
static bool has_ended(const struct remotes *m)
{
	for (const struct remote_worker *w = m->workers; w; w = w->next)
		if (w->ended)
			return true;
	return false;
}

static void *supervise(void *arg)
{
	struct remotes *m = arg;

	while (!m->stopping) {
		struct timespec until;

		look_at_all(m);
		clock_gettime(CLOCK_MONOTONIC, &until);
		until.tv_sec += LOOK_S;
		pthread_mutex_lock(&m->lock);
		while (!m->stopping && !has_ended(m) && pthread_cond_timedwait(&m->wake, &m->lock, &until) != ETIMEDOUT)
			;
		pthread_mutex_unlock(&m->lock);
	}
	return NULL;
}

/* ---- life ---- */

static enum ceir_err start(struct remotes *m)
{
	int n = snprintf(m->dir, sizeof m->dir, "%s/remote", m->s.dir);

	if (n < 0 || (size_t)n >= sizeof m->dir)
		return CEIR_ERANGE;
	if (mkdir(m->dir, 0700) && errno != EEXIST)
		return ceir_err_of_errno(errno);
	if (curl_global_init(CURL_GLOBAL_DEFAULT))
		return CEIR_ENOMEM;
	enum ceir_err err = thread_start("remotes", supervise, m, &m->supervisor);
	m->running = !err;
	return err;
}

enum ceir_err remotes_new(const struct remote_settings *s, struct registry *r, struct files *files, struct remotes **out)
{
	struct remotes *m = calloc(1, sizeof *m);

	if (!m)
		return CEIR_ENOMEM;
	*m = (struct remotes){.s = *s, .r = r, .files = files};
	m->s.max = s->max ? s->max : 64;
	m->s.timeout_s = s->timeout_s ? s->timeout_s : 60;
	pthread_mutex_init(&m->lock, NULL);
	thread_cond_init(&m->wake);
	enum ceir_err err = start(m);
	if (err) {
		remotes_free(m);
		return err;
	}
	*out = m;
	return CEIR_OK;
}

void remotes_stop(struct remotes *m)
{
	pthread_mutex_lock(&m->lock);
	m->stopping = true;
	pthread_cond_broadcast(&m->wake);
	pthread_mutex_unlock(&m->lock);
	if (m->running)
		pthread_join(m->supervisor, NULL);
	m->running = false;
	for (struct remote_worker *w = m->workers; w; w = w->next)
		remote_worker_stop(w);
	while (m->workers) {
		struct remote_worker *w = m->workers;

		m->workers = w->next;
		remote_worker_free(w);
	}
}

void remotes_free(struct remotes *m)
{
	if (!m)
		return;
	pthread_mutex_destroy(&m->lock);
	pthread_cond_destroy(&m->wake);
	free(m);
	curl_global_cleanup();
}

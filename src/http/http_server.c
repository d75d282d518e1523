/*
 * http_server.c - libmicrohttpd set up, watched and stopped.
 *
 * It gives every connection a thread, so that requests are straight-line code that may wait: for the disk, for a list to be made, for
 * gigabytes to arrive. TLS is ours: http_connection.c puts the credentials in force on each new session, so a reload needs no new
 * listener. What libmicrohttpd lacks, the watch adds: a deadline for a request's head that single bytes do not move.
 */
#include "http/http_internal.h"

#include <errno.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "http/http_listen.h"

#define PEM_MAX ((size_t)1 << 20)
#define MEMORY_BYTES ((size_t)128 << 10) /* of a connection: request head, and four TLS records of a body */
#define STOP_S 10u                       /* for requests under way */

/* Sanitizers put more on the stack than the code does. */
#define STACK_BYTES ((size_t)(CEIR_SANITIZED ? 2048 : 512) << 10)

/* ---- watching ----------------------------------------------------------------------------------------------------- */

/* A thread that waits for bytes wakes from this and finds the end. */
static void cut_overdue(struct http_server *s)
{
	int64_t now = clock_mono_us();

	for (struct http_connection *c = s->connections; c; c = c->next) {
		if (c->deadline_us == 0 || c->deadline_us > now)
			continue;
		log_debug(HTTP_ROOM, "%s: closed: nothing complete came in time", c->address);
		c->deadline_us = 0;
		shutdown(c->fd, SHUT_RDWR);
	}
}

static void *watch_run(void *arg)
{
	struct http_server *s = arg;

	pthread_mutex_lock(&s->lock);
	while (!s->ended) {
		struct timespec until;

		cut_overdue(s);
		clock_gettime(CLOCK_MONOTONIC, &until);
		until.tv_sec++;
		pthread_cond_timedwait(&s->changed, &s->lock, &until);
	}
	pthread_mutex_unlock(&s->lock);
	return NULL;
}

/* ---- setting up --------------------------------------------------------------------------------------------------- */

/* What libmicrohttpd has to tell is for whoever looks closely; faults of requests are the client's. */
__attribute__((format(printf, 2, 0))) static void mhd_log(void *cls, const char *format, va_list ap)
{
	char text[256];

	(void)cls;
	vsnprintf(text, sizeof text, format, ap);
	text[strcspn(text, "\n")] = '\0';
	log_debug(HTTP_ROOM, "libmicrohttpd: %s", text);
}

/*
 * libmicrohttpd will not begin without a certificate of its own; no session ever uses it. It reads the texts here and keeps none of the
 * key's bytes.
 */
static enum ceir_err daemon_start(struct http_server *s, const char *cert, const char *key)
{
	const struct http_settings *set = &s->settings;
	struct MHD_OptionItem options[] = {
		{MHD_OPTION_LISTEN_SOCKET, s->fd, NULL},
		{MHD_OPTION_HTTPS_MEM_CERT, 0, (void *)(uintptr_t)cert},
		{MHD_OPTION_HTTPS_MEM_KEY, 0, (void *)(uintptr_t)key},
		{MHD_OPTION_CONNECTION_LIMIT, (intptr_t)set->max_connections, NULL},
		{MHD_OPTION_PER_IP_CONNECTION_LIMIT, (intptr_t)set->max_connections_address, NULL},
		{MHD_OPTION_CONNECTION_TIMEOUT, (intptr_t)set->idle_timeout_s, NULL},
		{MHD_OPTION_CONNECTION_MEMORY_LIMIT, (intptr_t)MEMORY_BYTES, NULL},
		{MHD_OPTION_CONNECTION_MEMORY_INCREMENT, (intptr_t)(32 << 10), NULL},
		{MHD_OPTION_THREAD_STACK_SIZE, (intptr_t)STACK_BYTES, NULL},
		{MHD_OPTION_STRICT_FOR_CLIENT, 1, NULL},
		{MHD_OPTION_NOTIFY_CONNECTION, (intptr_t)http_connection_notice, s},
		{MHD_OPTION_URI_LOG_CALLBACK, (intptr_t)http_request_new, s},
		{MHD_OPTION_NOTIFY_COMPLETED, (intptr_t)http_request_done, s},
		{MHD_OPTION_SIGPIPE_HANDLED_BY_APP, 1, NULL},
		{MHD_OPTION_END, 0, NULL},
	};

	s->daemon = MHD_start_daemon(MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_THREAD_PER_CONNECTION | MHD_USE_POLL | MHD_USE_TLS |
					     MHD_USE_ITC | MHD_USE_ERROR_LOG,
		0, NULL, NULL, http_request_handle, s, MHD_OPTION_EXTERNAL_LOGGER, mhd_log, s, MHD_OPTION_ARRAY, options, MHD_OPTION_END);
	if (!s->daemon) {
		log_error(HTTP_ROOM, "libmicrohttpd does not begin");
		return CEIR_EIO;
	}
	s->fd = -1; /* it closes the socket */
	return CEIR_OK;
}

static enum ceir_err daemon_new(struct http_server *s)
{
	struct buf cert = BUF_INIT(PEM_MAX), key = BUF_INIT(PEM_MAX);
	enum ceir_err err = file_read(s->settings.cert, PEM_MAX - 1, &cert);

	if (!err)
		err = file_read(s->settings.key, PEM_MAX - 1, &key);
	buf_char(&cert, '\0');
	buf_char(&key, '\0');
	if (!err)
		err = cert.failed || key.failed ? CEIR_ENOMEM : daemon_start(s, cert.p, key.p);
	if (key.p)
		sodium_memzero(key.p, key.cap);
	buf_free(&key);
	buf_free(&cert);
	return err;
}

enum ceir_err http_server_new(const struct http_settings *settings, struct registry *r, struct http_server **out)
{
	struct http_server *s = calloc(1, sizeof *s);
	enum ceir_err err;

	if (!s)
		return CEIR_ENOMEM;
	s->settings = *settings;
	s->registry = r;
	if (!s->settings.max_waiting)
		s->settings.max_waiting = settings->max_connections / 2;
	s->fd = -1;
	pthread_mutex_init(&s->lock, NULL);
	thread_cond_init(&s->changed);
	err = sodium_init() < 0 ? CEIR_EIO : CEIR_OK;
	if (!err) {
		randombytes_buf(s->key, sizeof s->key);
		err = tls_server_new(settings->cert, settings->key, settings->ca, &s->tls);
	}
	if (!err)
		err = http_listen(settings->listen, &s->fd, s->address, sizeof s->address);
	if (!err)
		err = thread_start("http-watch", watch_run, s, &s->watch);
	s->watching = !err && s->fd >= 0;
	if (!err)
		err = daemon_new(s);
	if (err) {
		http_server_stop(s);
		http_server_free(s);
		return err;
	}
	*out = s;
	return CEIR_OK;
}

const char *http_server_address(const struct http_server *s)
{
	return s->address;
}

enum ceir_err http_server_reload(struct http_server *s)
{
	return tls_server_reload(s->tls);
}

/* ---- stopping ----------------------------------------------------------------------------------------------------- */

void http_connections_cut(struct http_server *s, bool hard)
{
	for (struct http_connection *c = s->connections; c; c = c->next)
		if (hard || !c->busy)
			shutdown(c->fd, SHUT_RDWR);
}

/* Until no request is under way, or the time is over. */
static void wait_for_requests(struct http_server *s)
{
	struct timespec until;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += STOP_S;
	pthread_mutex_lock(&s->lock);
	http_connections_cut(s, false);
	while (s->n_busy > 0)
		if (pthread_cond_timedwait(&s->changed, &s->lock, &until) == ETIMEDOUT)
			break;
	if (s->n_busy > 0)
		log_warn(HTTP_ROOM, "stopping: %u requests are cut off", s->n_busy);
	http_connections_cut(s, true);
	pthread_mutex_unlock(&s->lock);
}

void http_server_stop(struct http_server *s)
{
	MHD_socket fd = MHD_INVALID_SOCKET;

	atomic_store(&s->stopping, true);
	reg_list_wake(s->registry);
	if (s->daemon) {
		fd = MHD_quiesce_daemon(s->daemon);
		wait_for_requests(s);
		MHD_stop_daemon(s->daemon); /* joins the threads: every command has ended */
		s->daemon = NULL;
	}
	if (fd != MHD_INVALID_SOCKET)
		close(fd);
	if (s->watching) {
		pthread_mutex_lock(&s->lock);
		s->ended = true;
		pthread_cond_broadcast(&s->changed);
		pthread_mutex_unlock(&s->lock);
		pthread_join(s->watch, NULL);
		s->watching = false;
	}
}

void http_server_free(struct http_server *s)
{
	if (!s)
		return;
	CEIR_ASSERT(!s->daemon && !s->watching && s->n_connections == 0);
	if (s->fd >= 0)
		close(s->fd);
	tls_server_free(s->tls);
	pthread_cond_destroy(&s->changed);
	pthread_mutex_destroy(&s->lock);
	sodium_memzero(s->key, sizeof s->key);
	free(s);
}

/*
 * http_connection.c - the life of a connection, as far as it is ours: its TLS credentials, its place in the server's list, its
 * deadline, its session at the door.
 */
#include "http/http_internal.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "http/http_listen.h"

#define LINGER_US INT64_C(2000000)

/* ---- waiting ------------------------------------------------------------------------------------------------------ */

void http_connection_await(struct http_connection *c, bool busy, unsigned deadline_s)
{
	struct http_server *s = c->server;

	pthread_mutex_lock(&s->lock);
	s->n_busy += busy && !c->busy;
	s->n_busy -= !busy && c->busy;
	c->busy = busy;
	c->deadline_us = deadline_s ? clock_mono_us() + deadline_s * INT64_C(1000000) : 0;
	/* Idle while the server stops: nobody would close it but we. */
	if (!busy && atomic_load_explicit(&s->stopping, memory_order_relaxed)) {
		shutdown(c->fd, SHUT_RDWR);
		pthread_cond_broadcast(&s->changed);
	}
	pthread_mutex_unlock(&s->lock);
}

void http_connection_linger(struct http_connection *c)
{
	int64_t until = clock_mono_us() + LINGER_US;
	char bytes[16384];

	for (int64_t left; (left = until - clock_mono_us()) > 0;) {
		struct pollfd p = {.fd = c->fd, .events = POLLIN};

		if (poll(&p, 1, (int)(left / 1000) + 1) <= 0 || recv(c->fd, bytes, sizeof bytes, MSG_DONTWAIT) <= 0)
			return;
	}
}

/* ---- beginning and end -------------------------------------------------------------------------------------------- */

static void link_in(struct http_connection *c)
{
	struct http_server *s = c->server;

	pthread_mutex_lock(&s->lock);
	c->deadline_us = clock_mono_us() + s->settings.idle_timeout_s * INT64_C(1000000);
	c->next = s->connections;
	if (c->next)
		c->next->prev = c;
	s->connections = c;
	s->n_connections++;
	pthread_mutex_unlock(&s->lock);
}

static void unlink_from(struct http_connection *c)
{
	struct http_server *s = c->server;

	pthread_mutex_lock(&s->lock);
	if (c->prev)
		c->prev->next = c->next;
	else
		s->connections = c->next;
	if (c->next)
		c->next->prev = c->prev;
	s->n_connections--;
	s->n_busy -= c->busy;
	pthread_cond_broadcast(&s->changed);
	pthread_mutex_unlock(&s->lock);
}

static void begin(struct http_server *s, struct MHD_Connection *mhd, void **context)
{
	const union MHD_ConnectionInfo *fd = MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_CONNECTION_FD);
	const union MHD_ConnectionInfo *tls = MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_GNUTLS_SESSION);
	const union MHD_ConnectionInfo *address = MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
	struct http_connection *c = calloc(1, sizeof *c);
	enum ceir_err err = c && fd && tls && address ? CEIR_OK : CEIR_ENOMEM;
	int one = 1;

	if (!err)
		err = tls_server_equip(s->tls, tls->tls_session, &c->credentials);
	if (err) {
		/* Without our rules on it the session must not go on; there is no way to refuse but this. */
		log_error(HTTP_ROOM, "a connection is closed: %s", ceir_err_text(err));
		if (fd)
			shutdown(fd->connect_fd, SHUT_RDWR);
		free(c);
		return;
	}
	c->server = s;
	c->fd = fd->connect_fd;
	(void)setsockopt(c->fd, SOL_SOCKET, SO_KEEPALIVE, &one, sizeof one);
	http_address_print(address->client_addr,
		address->client_addr->sa_family == AF_INET6 ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in), c->address,
		sizeof c->address);
	link_in(c);
	*context = c;
}

/* Called when the connection's thread has ended, before the descriptor is closed. */
static void end(struct http_connection *c)
{
	unlink_from(c);
	reg_session_free(c->door);
	tls_credentials_release(c->credentials);
	memset(c->credential, 0, sizeof c->credential);
	free(c);
}

void http_connection_notice(void *cls, struct MHD_Connection *mhd, void **context, enum MHD_ConnectionNotificationCode what)
{
	if (what == MHD_CONNECTION_NOTIFY_STARTED)
		begin(cls, mhd, context);
	else if (*context)
		end(*context);
}

/*
 * http_wait.c - a request that waits for something new in a list (long polling). It keeps its connection's thread and nothing else: the door
 * is asked when the waiting is over, and then answers like any other request.
 */
#include "http/http_internal.h"

#include <poll.h>

/* The client has closed, or the network says that it is gone. */
static bool is_gone(const struct http_connection *c)
{
	struct pollfd p = {.fd = c->fd, .events = POLLRDHUP};

	return poll(&p, 1, 0) > 0 && (p.revents & (POLLRDHUP | POLLHUP | POLLERR));
}

static bool enough(void *face)
{
	const struct http_request *r = face;

	return atomic_load(&r->server->stopping) || is_gone(r->connection);
}

/* One of those who may wait, or no longer. false: there are enough of them. */
static bool enter(struct http_server *s)
{
	pthread_mutex_lock(&s->lock);
	bool may = s->n_waiting < s->settings.max_waiting;
	s->n_waiting += may;
	pthread_mutex_unlock(&s->lock);
	return may;
}

static void leave(struct http_server *s)
{
	pthread_mutex_lock(&s->lock);
	s->n_waiting--;
	pthread_mutex_unlock(&s->lock);
}

bool http_wait(struct http_request *r)
{
	if (!enter(r->server)) {
		r->answer.retry = true;
		return true;
	}
	enum ceir_err err = reg_list_wait(r->connection->door, &r->command, r->wait_s * INT64_C(1000000), enough, r);
	leave(r->server);
	return !(err == CEIR_ECLOSED && is_gone(r->connection));
}

/*
 * epp_server.c - listening, accepting, limits, stopping. One thread accepts; each connection gets a thread of its own, so
 * that commands are straight-line code (epp_session.c).
 */
#include "epp/epp_session.h"
#include "epp/epp_schema.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#define ROOM "epp"
#define BACKLOG 512
#define TELLING_MAX 8u /* connections over the limit that are told so at once; more are just closed */
#define RETRY_MS 100   /* after accept() failed for want of descriptors or memory */
#define STOP_LOG_S 5u  /* how often a slow stop says what it waits for */

/* Sanitizers put more on the stack than the code does. */
#define STACK_BYTES ((size_t)(CEIR_SANITIZED ? 2048 : 256) << 10) /* libxml2 does not recurse, GnuTLS and SQLite need some tens of KiB */

/* ---- listening --------------------------------------------------------------------------------------------------- */

/* "127.0.0.1:700", "[::1]:700", "name:700". The two parts go into host and port, 256 and 16 bytes. */
static enum ceir_err listen_split(const char *text, char host[256], char port[16])
{
	const char *colon = strrchr(text, ':');
	struct str h, digits = str_of(colon ? colon + 1 : "");
	uint64_t number;

	if (!colon || str_u64(digits, 65535, &number) != CEIR_OK)
		return CEIR_EINVAL;
	h = (struct str){text, (size_t)(colon - text)};
	if (h.n >= 2 && h.p[0] == '[' && h.p[h.n - 1] == ']')
		h = (struct str){h.p + 1, h.n - 2};
	if (h.n == 0 || h.n >= 256 || digits.n >= 16)
		return CEIR_EINVAL;
	memcpy(host, h.p, h.n);
	host[h.n] = '\0';
	memcpy(port, digits.p, digits.n + 1);
	return CEIR_OK;
}

static void address_print(const struct sockaddr *address, socklen_t n, char *out, size_t size)
{
	char host[INET6_ADDRSTRLEN + 16] = "?", port[8] = "?";

	(void)getnameinfo(address, n, host, sizeof host, port, sizeof port, NI_NUMERICHOST | NI_NUMERICSERV);
	snprintf(out, size, address->sa_family == AF_INET6 ? "[%s]:%s" : "%s:%s", host, port);
}

static enum ceir_err listen_bind(struct epp_server *s, const struct addrinfo *a)
{
	struct sockaddr_storage bound;
	socklen_t n = sizeof bound;
	int one = 1;

	s->fd = socket(a->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (s->fd < 0)
		return ceir_err_of_errno(errno);
	setsockopt(s->fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
	if (a->ai_family == AF_INET6)
		setsockopt(s->fd, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof one);
	if (bind(s->fd, a->ai_addr, a->ai_addrlen) != 0 || listen(s->fd, BACKLOG) != 0 ||
		getsockname(s->fd, (struct sockaddr *)&bound, &n) != 0) {
		log_error(ROOM, "%s: %s", s->settings.listen, strerror(errno));
		return ceir_err_of_errno(errno);
	}
	address_print((struct sockaddr *)&bound, n, s->address, sizeof s->address);
	return CEIR_OK;
}

static enum ceir_err server_listen(struct epp_server *s)
{
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE | AI_NUMERICSERV}, *found = NULL;
	char host[256], port[16];
	enum ceir_err err = listen_split(s->settings.listen, host, port);
	int failed;

	if (err != CEIR_OK) {
		log_error(ROOM, "%s is not ADDRESS:PORT", s->settings.listen);
		return err;
	}
	failed = getaddrinfo(host, port, &hints, &found);
	if (failed) {
		log_error(ROOM, "%s: %s", s->settings.listen, gai_strerror(failed));
		return CEIR_EINVAL;
	}
	err = listen_bind(s, found);
	freeaddrinfo(found);
	return err;
}

enum ceir_err epp_server_new(
	const struct epp_settings *settings, struct registry *r, struct tls_server *tls, struct epp_server **out)
{
	struct epp_server *s = calloc(1, sizeof *s);
	enum ceir_err err = CEIR_ENOMEM;

	if (!s)
		return CEIR_ENOMEM;
	s->settings = *settings;
	s->registry = r;
	s->tls = tls;
	s->fd = -1;
	pthread_mutex_init(&s->lock, NULL);
	pthread_cond_init(&s->changed, NULL);
	s->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (s->wake < 0 || !epp_schema() || (err = server_listen(s)) != CEIR_OK) {
		epp_server_free(s);
		return err;
	}
	*out = s;
	return CEIR_OK;
}

const char *epp_server_address(const struct epp_server *s)
{
	return s->address;
}

void epp_server_free(struct epp_server *s)
{
	if (!s)
		return;
	CEIR_ASSERT(s->n_sessions == 0);
	if (s->fd >= 0)
		close(s->fd);
	if (s->wake >= 0)
		close(s->wake);
	pthread_cond_destroy(&s->changed);
	pthread_mutex_destroy(&s->lock);
	free(s);
}

/* ---- sessions ---------------------------------------------------------------------------------------------------- */

static void session_link(struct epp_server *server, struct epp_session *s)
{
	s->next = server->sessions;
	if (s->next)
		s->next->prev = s;
	server->sessions = s;
	server->n_sessions++;
}

/* Signals under the lock: after it the server may be freed, and must not be touched. */
static void session_forget(struct epp_session *s)
{
	struct epp_server *server = s->server;

	pthread_mutex_lock(&server->lock);
	if (s->prev)
		s->prev->next = s->next;
	else
		server->sessions = s->next;
	if (s->next)
		s->next->prev = s->prev;
	free(s);
	server->n_sessions--;
	pthread_cond_signal(&server->changed);
	pthread_mutex_unlock(&server->lock);
}

static void *session_thread(void *arg)
{
	pthread_setname_np(pthread_self(), "epp-session");
	epp_session_run(arg);
	session_forget(arg);
	return NULL;
}

/* All signals are blocked in the accepting thread, and so in those it makes. */
static bool session_start(struct epp_session *s)
{
	pthread_attr_t attributes;
	pthread_t thread;
	int failed;

	if (pthread_attr_init(&attributes) != 0)
		return false;
	pthread_attr_setstacksize(&attributes, STACK_BYTES);
	pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
	failed = pthread_create(&thread, &attributes, session_thread, s);
	pthread_attr_destroy(&attributes);
	return failed == 0;
}

static struct in6_addr host_of(const struct sockaddr_storage *address)
{
	struct in6_addr host = IN6ADDR_ANY_INIT;

	if (address->ss_family == AF_INET6)
		return ((const struct sockaddr_in6 *)address)->sin6_addr;
	host.s6_addr[10] = host.s6_addr[11] = 0xFF;
	memcpy(&host.s6_addr[12], &((const struct sockaddr_in *)address)->sin_addr, 4);
	return host;
}

/* One too many, of all or of one address: told so while few are, else not even that. false: close at once. */
static bool session_admit(struct epp_server *server, struct epp_session *s)
{
	unsigned same = 0, telling = 0;
	bool admitted = true;

	pthread_mutex_lock(&server->lock);
	for (const struct epp_session *o = server->sessions; o; o = o->next) {
		telling += o->refused;
		same += !o->refused && memcmp(&o->host, &s->host, sizeof s->host) == 0;
	}
	s->refused = server->n_sessions - telling >= server->settings.max_sessions || same >= server->settings.max_sessions_address;
	if (s->refused && telling >= TELLING_MAX)
		admitted = false;
	else
		session_link(server, s);
	pthread_mutex_unlock(&server->lock);
	return admitted;
}

static void server_take(struct epp_server *server, int fd, const struct sockaddr_storage *address, socklen_t n)
{
	struct epp_session *s = calloc(1, sizeof *s);
	int one = 1;

	if (!s) {
		log_error(ROOM, "memory is out: a connection is closed");
		close(fd);
		return;
	}
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
	setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &one, sizeof one);
	s->server = server;
	s->fd = fd;
	s->host = host_of(address);
	address_print((const struct sockaddr *)address, n, s->address, sizeof s->address);
	if (!session_admit(server, s)) {
		log_warn(ROOM, "%s: closed: too many sessions", s->address);
		close(fd);
		free(s);
	} else if (!session_start(s)) {
		log_error(ROOM, "%s: closed: no more threads", s->address);
		close(fd);
		session_forget(s);
	}
}

static void *server_accept(void *arg)
{
	struct epp_server *s = arg;

	while (!atomic_load(&s->stopping)) {
		struct pollfd fds[] = {{.fd = s->wake, .events = POLLIN}, {.fd = s->fd, .events = POLLIN}};
		struct sockaddr_storage address;
		socklen_t n = sizeof address;
		int fd;

		if (poll(fds, CEIR_COUNT(fds), -1) < 0 || !fds[1].revents)
			continue;
		fd = accept4(s->fd, (struct sockaddr *)&address, &n, SOCK_CLOEXEC);
		if (fd >= 0) {
			server_take(s, fd, &address, n);
		} else if (errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS) {
			log_error(ROOM, "a connection cannot be taken: %s", strerror(errno));
			poll(fds, 1, RETRY_MS);
		}
	}
	return NULL;
}

enum ceir_err epp_server_start(struct epp_server *s)
{
	enum ceir_err err = thread_start("epp-accept", server_accept, s, &s->acceptor);

	s->started = err == CEIR_OK;
	return err;
}

/* ---- stopping ---------------------------------------------------------------------------------------------------- */

/* hard: also those that cannot send their last answer. */
static void server_wake_sessions(struct epp_server *s, bool hard)
{
	for (struct epp_session *o = s->sessions; o; o = o->next) {
		if (o->tls && hard)
			tls_shutdown(o->tls);
		else if (o->tls)
			tls_shutdown_read(o->tls);
		else if (o->fd >= 0)
			shutdown(o->fd, SHUT_RDWR);
	}
}

void epp_server_stop(struct epp_server *s)
{
	const uint64_t one = 1;
	unsigned waited_s = 0;

	atomic_store(&s->stopping, true);
	if (s->started) {
		while (write(s->wake, &one, sizeof one) < 0 && errno == EINTR)
			;
		pthread_join(s->acceptor, NULL);
		s->started = false;
	}
	pthread_mutex_lock(&s->lock);
	server_wake_sessions(s, false);
	while (s->n_sessions > 0) {
		struct timespec until;

		clock_gettime(CLOCK_REALTIME, &until);
		until.tv_sec += STOP_LOG_S;
		if (pthread_cond_timedwait(&s->changed, &s->lock, &until) != ETIMEDOUT)
			continue;
		waited_s += STOP_LOG_S;
		log_warn(ROOM, "stopping: %u sessions still work after %u s", s->n_sessions, waited_s);
		if (waited_s >= s->settings.frame_timeout_s)
			server_wake_sessions(s, true);
	}
	pthread_mutex_unlock(&s->lock);
}

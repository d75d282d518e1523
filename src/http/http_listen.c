/*
 * http_listen.c - the listening socket.
 */
#include "http/http_listen.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define ROOM "http"
#define BACKLOG 512

/* The two parts of "HOST:PORT", "[HOST]:PORT" go into host and port, 256 and 16 bytes. */
static enum ceir_err split(const char *text, char host[256], char port[16])
{
	const char *colon = strrchr(text, ':');
	struct str h, digits = str_of(colon ? colon + 1 : "");
	uint64_t number;

	if (!colon || digits.n >= 16 || str_u64(digits, 65535, &number) != CEIR_OK)
		return CEIR_EINVAL;
	h = (struct str){text, (size_t)(colon - text)};
	if (h.n >= 2 && h.p[0] == '[' && h.p[h.n - 1] == ']')
		h = (struct str){h.p + 1, h.n - 2};
	if (h.n == 0 || h.n >= 256)
		return CEIR_EINVAL;
	memcpy(host, h.p, h.n);
	host[h.n] = '\0';
	memcpy(port, digits.p, digits.n + 1);
	return CEIR_OK;
}

void http_address_print(const struct sockaddr *address, socklen_t n, char *out, size_t size)
{
	char host[INET6_ADDRSTRLEN + 16] = "?", port[8] = "?";

	(void)getnameinfo(address, n, host, sizeof host, port, sizeof port, NI_NUMERICHOST | NI_NUMERICSERV);
	snprintf(out, size, address->sa_family == AF_INET6 ? "[%s]:%s" : "%s:%s", host, port);
}

static enum ceir_err listen_on(const char *text, const struct addrinfo *a, int *fd, char *address, size_t size)
{
	struct sockaddr_storage bound;
	socklen_t n = sizeof bound;
	int one = 1, s = socket(a->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (s < 0)
		return ceir_err_of_errno(errno);
	setsockopt(s, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
	if (a->ai_family == AF_INET6)
		setsockopt(s, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof one);
	if (bind(s, a->ai_addr, a->ai_addrlen) != 0 || listen(s, BACKLOG) != 0 || getsockname(s, (struct sockaddr *)&bound, &n) != 0) {
		int fault = errno;

		log_error(ROOM, "%s: %s", text, strerror(fault));
		close(s);
		return fault == EADDRINUSE ? CEIR_EEXIST : ceir_err_of_errno(fault);
	}
	http_address_print((struct sockaddr *)&bound, n, address, size);
	*fd = s;
	return CEIR_OK;
}

enum ceir_err http_listen(const char *text, int *fd, char *address, size_t size)
{
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE | AI_NUMERICSERV}, *found = NULL;
	char host[256], port[16];
	enum ceir_err err = split(text, host, port);
	int failed;

	if (err != CEIR_OK) {
		log_error(ROOM, "%s is not ADDRESS:PORT", text);
		return err;
	}
	failed = getaddrinfo(host, port, &hints, &found);
	if (failed) {
		log_error(ROOM, "%s: %s", text, gai_strerror(failed));
		return CEIR_EINVAL;
	}
	err = listen_on(text, found, fd, address, size);
	freeaddrinfo(found);
	return err;
}

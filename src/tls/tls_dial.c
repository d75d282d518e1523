/*
 * tls_dial.c - a name and a port to a connected socket, for clients.
 */
#include "tls/tls.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* Waits until a connect that is under way is decided. */
static enum ceir_err connect_wait(int fd, int64_t deadline_us)
{
	struct pollfd p = {.fd = fd, .events = POLLOUT};
	int fault = 0;
	socklen_t size = sizeof(fault);

	for (;;) {
		int64_t left_ms = (deadline_us - clock_mono_us()) / 1000;
		if (deadline_us && left_ms <= 0)
			return CEIR_ETIMEOUT;
		int n = poll(&p, 1, deadline_us ? (int)left_ms : -1);
		if (n > 0)
			break;
		if (n < 0 && errno != EINTR)
			return CEIR_EIO;
	}
	if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &fault, &size) != 0)
		return CEIR_EIO;
	errno = fault;
	return fault ? CEIR_EIO : CEIR_OK;
}

static enum ceir_err connect_one(const struct addrinfo *a, int64_t deadline_us, int *out)
{
	enum ceir_err err = CEIR_OK;
	int fd = socket(a->ai_family, a->ai_socktype | SOCK_NONBLOCK | SOCK_CLOEXEC, a->ai_protocol);

	if (fd < 0)
		return CEIR_EIO;
	if (connect(fd, a->ai_addr, a->ai_addrlen) != 0)
		err = errno == EINPROGRESS || errno == EINTR ? connect_wait(fd, deadline_us) : CEIR_EIO;
	if (err) {
		int fault = errno;
		close(fd);
		errno = fault;
		return err;
	}
	*out = fd;
	return CEIR_OK;
}

enum ceir_err tls_dial(const char *host, const char *port, unsigned timeout_ms, int *fd, char *why, size_t why_size)
{
	const struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_flags = AI_ADDRCONFIG};
	int64_t deadline_us = timeout_ms ? clock_mono_us() + (int64_t)timeout_ms * 1000 : 0;
	struct addrinfo *list = NULL;
	enum ceir_err err = CEIR_ENOENT;
	int ret = getaddrinfo(host, port, &hints, &list);

	if (ret != 0) {
		snprintf(why, why_size, "%s port %s: %s", host, port, gai_strerror(ret));
		return CEIR_ENOENT;
	}
	for (const struct addrinfo *a = list; a; a = a->ai_next) {
		err = connect_one(a, deadline_us, fd);
		if (!err)
			break;
		snprintf(why, why_size, "%s port %s: %s", host, port, err == CEIR_EIO ? strerror(errno) : ceir_err_text(err));
	}
	freeaddrinfo(list);
	return err;
}

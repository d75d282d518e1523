/* ftps_socket.c - addresses, and the sockets pure-ftpd asks us by. */
#include "ftps/ftps_internal.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define BACKLOG 1024
#define ANSWER_MS 2000

enum ceir_err ftps_socket_listen(const char *path, int *out)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	size_t n = strlen(path);
	int fd;

	if (n >= sizeof a.sun_path) {
		log_error(FTPS_ROOM, "%s is too long for a socket's name (%zu bytes); use a data folder with a shorter path", path, sizeof a.sun_path - 1);
		return CEIR_ERANGE;
	}
	memcpy(a.sun_path, path, n + 1);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return ceir_err_of_errno(errno);
	(void)unlink(path);
	/* Nobody else can come between: the folder is ours alone, and umask is 077. */
	if (bind(fd, (struct sockaddr *)&a, sizeof a) != 0 || chmod(path, 0600) != 0 || listen(fd, BACKLOG) != 0) {
		log_error(FTPS_ROOM, "%s: %s", path, strerror(errno));
		close(fd);
		return CEIR_EIO;
	}
	*out = fd;
	return CEIR_OK;
}

/* Whether the address is ours to listen on; *port gets the number of a free port when it was 0. */
static enum ceir_err try_bind(const struct addrinfo *a, unsigned *port)
{
	struct sockaddr_storage bound;
	socklen_t n = sizeof bound;
	const int one = 1;
	enum ceir_err err = CEIR_OK;
	int fd = socket(a->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return ceir_err_of_errno(errno);
	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one) != 0 || bind(fd, a->ai_addr, a->ai_addrlen) != 0 ||
		getsockname(fd, (struct sockaddr *)&bound, &n) != 0)
		err = ceir_err_of_errno(errno);
	else if (bound.ss_family == AF_INET6)
		*port = ntohs(((const struct sockaddr_in6 *)&bound)->sin6_port);
	else
		*port = ntohs(((const struct sockaddr_in *)&bound)->sin_port);
	close(fd);
	return err;
}

enum ceir_err ftps_socket_resolve(const char *text, char host[64], unsigned *port)
{
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE | AI_NUMERICSERV}, *found = NULL;
	const char *colon = strrchr(text, ':');
	char name[256], number[8];
	struct str h = {text, colon ? (size_t)(colon - text) : 0};
	uint64_t value;
	enum ceir_err err;

	if (h.n >= 2 && h.p[0] == '[' && h.p[h.n - 1] == ']')
		h = (struct str){h.p + 1, h.n - 2};
	if (!colon || h.n == 0 || h.n >= sizeof name || str_u64(str_of(colon + 1), 65535, &value) != CEIR_OK) {
		log_error(FTPS_ROOM, "ftps.listen: %s is not ADDRESS:PORT", text);
		return CEIR_EINVAL;
	}
	snprintf(name, sizeof name, "%.*s", (int)h.n, h.p);
	snprintf(number, sizeof number, "%u", (unsigned)value);
	int failed = getaddrinfo(name, number, &hints, &found);
	if (failed) {
		log_error(FTPS_ROOM, "ftps.listen: %s: %s", text, gai_strerror(failed));
		return CEIR_EINVAL;
	}
	err = try_bind(found, port);
	if (err)
		log_error(FTPS_ROOM, "cannot listen on %s (ftps.listen): %s", text, strerror(errno));
	else if (getnameinfo(found->ai_addr, found->ai_addrlen, host, 64, NULL, 0, NI_NUMERICHOST) != 0)
		err = CEIR_EINVAL;
	freeaddrinfo(found);
	return err;
}

bool ftps_socket_answers(const char *host, unsigned port)
{
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV}, *found = NULL;
	char number[8], greeting[4];
	bool answers = false;
	int fd;

	snprintf(number, sizeof number, "%u", port);
	/* What listens everywhere is asked at home. */
	host = strcmp(host, "0.0.0.0") == 0 ? "127.0.0.1" : strcmp(host, "::") == 0 ? "::1" : host;
	if (getaddrinfo(host, number, &hints, &found) != 0)
		return false;
	fd = socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd >= 0 && connect(fd, found->ai_addr, found->ai_addrlen) == 0) {
		struct pollfd p = {.fd = fd, .events = POLLIN};

		answers = poll(&p, 1, ANSWER_MS) == 1 && recv(fd, greeting, sizeof greeting, 0) == sizeof greeting && memcmp(greeting, "220", 3) == 0;
	}
	if (fd >= 0)
		close(fd);
	freeaddrinfo(found);
	return answers;
}

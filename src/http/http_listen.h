/* http_listen.h - the listening socket, and addresses as text. */
#ifndef CEIR_HTTP_LISTEN_H
#define CEIR_HTTP_LISTEN_H

#include <sys/socket.h>

#include "base/base.h"

/*
 * text: "127.0.0.1:7743", "[::1]:0". *fd is the caller's, non-blocking; address gets the real one. CEIR_EINVAL, CEIR_EEXIST (in use),
 * CEIR_EIO.
 */
enum ceir_err http_listen(const char *text, int *fd, char *address, size_t size) CEIR_MUST_USE;
/* "127.0.0.1:40123", "[::1]:40123". */
void http_address_print(const struct sockaddr *address, socklen_t n, char *out, size_t size);

#endif

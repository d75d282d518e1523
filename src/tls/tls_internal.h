/*
 * tls_internal.h - shared by the files of this room only.
 */
#ifndef CEIR_TLS_INTERNAL_H
#define CEIR_TLS_INTERNAL_H

#include <gnutls/gnutls.h>
#include <stdatomic.h>

#include "tls/tls.h"

/*
 * One set of loaded credentials. Never changed once loaded; connections and the listener each hold a reference, so that a
 * reload cannot pull them away from under a handshake.
 */
struct tls_credentials {
	atomic_uint refs;
	gnutls_certificate_credentials_t x509;
};

/* The set in force, with one reference for the caller. */
struct tls_credentials *tls_server_credentials(struct tls_server *s);
struct tls_credentials *tls_client_credentials(struct tls_client *c);

/* Our error for one of GnuTLS's. */
enum ceir_err tls_err_of(int gnutls_error);

/* The parsed list of protocol versions, key exchanges and ciphers, made once. NULL: memory. */
gnutls_priority_t tls_priorities(void);

#endif

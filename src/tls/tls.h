/*
 * tls.h - GnuTLS in one place: credentials, sessions, and the private certificate authority that `ceird init` makes.
 */
#ifndef CEIR_TLS_H
#define CEIR_TLS_H

#include "base/base.h"

struct tls_server; /* credentials of a listener; shared by threads; reload replaces them atomically */
struct tls_client; /* credentials of a client */
struct tls;        /* one connection; one thread */

/*
 * PEM files. ca: who may sign client certificates. A client certificate is asked for; when one comes it must be signed by
 * ca and valid now, else the handshake fails; coming without one is allowed (the door decides by role). TLS 1.2 and 1.3 only.
 */
enum ceir_err tls_server_new(const char *cert, const char *key, const char *ca, struct tls_server **out) CEIR_MUST_USE;
/* Reads the files again (SIGHUP); on error the old credentials stay. Existing connections are not touched. */
enum ceir_err tls_server_reload(struct tls_server *s) CEIR_MUST_USE;
void tls_server_free(struct tls_server *s);

/* cert and key may be NULL (no client certificate). The server must be signed by ca and be named `host` or an IP in it. */
enum ceir_err tls_client_new(const char *ca, const char *cert, const char *key, struct tls_client **out) CEIR_MUST_USE;
void tls_client_free(struct tls_client *c);

/*
 * A client's socket: every address of the name in the resolver's order, all within one time limit (0: none). *fd is the caller's and
 * non-blocking; why gets the reason of a failure. CEIR_ENOENT: no such name.
 */
enum ceir_err tls_dial(const char *host, const char *port, unsigned timeout_ms, int *fd, char *why, size_t why_size) CEIR_MUST_USE;

/*
 * Handshake over a connected socket within timeout_ms. The connection owns fd from then on, also on error.
 * why (may be NULL) gets GnuTLS's reason, at most why_size bytes.
 */
enum ceir_err tls_accept(struct tls_server *s, int fd, unsigned timeout_ms, struct tls **out, char *why, size_t why_size)
	CEIR_MUST_USE;
enum ceir_err tls_connect(struct tls_client *c, int fd, const char *host, unsigned timeout_ms, struct tls **out, char *why,
	size_t why_size) CEIR_MUST_USE;

/*
 * Reads what is there, at least one byte, at most n; waits at most timeout_ms in all (0: for ever). CEIR_ETIMEOUT,
 * CEIR_ECLOSED (orderly or not), CEIR_ETLS.
 */
enum ceir_err tls_read(struct tls *t, void *bytes, size_t n, size_t *got, unsigned timeout_ms) CEIR_MUST_USE;
bool tls_pending(const struct tls *t); /* decrypted bytes wait: tls_read will not block */
/* All bytes, within timeout_ms in all: a peer that does not read cannot hold the thread. */
enum ceir_err tls_write(struct tls *t, const void *bytes, size_t n, unsigned timeout_ms) CEIR_MUST_USE;
/* Another thread may call it: wakes a blocked read or write, which then fails with CEIR_ECLOSED. */
void tls_shutdown(struct tls *t);
/* Another thread may call it: wakes a blocked read, which fails with CEIR_ECLOSED as all later ones; writing still works. */
void tls_shutdown_read(struct tls *t);
/* Why the last call on this connection failed, English; empty when none did. The connection's thread only. */
const char *tls_reason(const struct tls *t);
/* close_notify (not waited for), close, free. NULL is allowed. */
void tls_close(struct tls *t);

/* SHA-256 of the peer's certificate (DER); false when it sent none. */
bool tls_peer_sha256(const struct tls *t, uint8_t out[32]);
/* true when the peer's certificate is valid at this moment (a long session may outlive it); true when it sent none. */
bool tls_peer_valid_now(const struct tls *t);

/* ---- sessions that a library makes and drives itself: libmicrohttpd ------------------------------------------------ */

struct gnutls_session_int; /* gnutls_session_t points to one */
struct tls_credentials;

/*
 * Before the handshake of a server's session: the credentials in force, the protocol versions and ciphers of all our sessions, and the
 * same look at a client's certificate. *hold keeps the credentials alive; give it back when the session is gone. Any thread.
 */
enum ceir_err tls_server_equip(struct tls_server *s, struct gnutls_session_int *session, struct tls_credentials **hold) CEIR_MUST_USE;
void tls_credentials_release(struct tls_credentials *c); /* NULL is allowed */

struct tls_peer {
	bool has_certificate;
	uint8_t sha256[32];     /* of its DER */
	int64_t from_s, until_s; /* its validity, seconds since 1970 */
};
/* After the handshake: who is at the other end. */
enum ceir_err tls_session_peer(struct gnutls_session_int *session, struct tls_peer *out) CEIR_MUST_USE;

/* ---- the private CA ----------------------------------------------------------------------------------------------- */

/* Self-signed CA (EC P-256, 10 years): dir/ca.crt and dir/ca.key (0600). */
enum ceir_err tls_ca_create(const char *dir, const char *common_name) CEIR_MUST_USE;
enum tls_use { TLS_USE_SERVER, TLS_USE_CLIENT };
/*
 * Key and certificate signed by dir/ca.*: dir/name.crt and dir/name.key (0600), valid for `days`. names: DNS names or IP
 * addresses for the subject alternative name (server), n may be 0. CEIR_EEXIST when the files are there. sha256 may be NULL.
 */
enum ceir_err tls_ca_issue(const char *dir, const char *name, enum tls_use use, const char *const *names, size_t n, unsigned days,
	uint8_t sha256[32]) CEIR_MUST_USE;
/* Fingerprint of the first certificate of a PEM file. */
enum ceir_err tls_cert_sha256(const char *pem_path, uint8_t out[32]) CEIR_MUST_USE;

#endif

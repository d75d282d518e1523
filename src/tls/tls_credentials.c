/*
 * tls_credentials.c - what a listener or a client proves itself with and whom it trusts; loading, sharing, replacing.
 */
#include "tls/tls_internal.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

/*
 * TLS 1.3 and 1.2 (RFC 9325): forward secrecy and authenticated encryption only, so no CBC, no RSA key exchange and nothing
 * with SHA-1. The server's order decides.
 */
#define PRIORITIES                                                                                                                 \
	"SECURE128:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2"                                                                            \
	":-CIPHER-ALL:+AES-256-GCM:+CHACHA20-POLY1305:+AES-128-GCM:-MAC-ALL:+AEAD"                                                 \
	":-KX-ALL:+ECDHE-ECDSA:+ECDHE-RSA:-GROUP-ALL:+GROUP-X25519:+GROUP-SECP256R1:+GROUP-SECP384R1"                              \
	":%SERVER_PRECEDENCE:%SAFE_RENEGOTIATION"

struct tls_server {
	char *cert, *key, *ca; /* paths, read again by reload */
	pthread_mutex_t lock;  /* of `current` */
	struct tls_credentials *current;
};

struct tls_client {
	struct tls_credentials *current;
};

static pthread_once_t priorities_once = PTHREAD_ONCE_INIT;
static gnutls_priority_t priorities;

static void priorities_make(void)
{
	const char *bad_at = NULL;
	int ret = gnutls_priority_init(&priorities, PRIORITIES, &bad_at);

	if (ret != GNUTLS_E_SUCCESS) {
		priorities = NULL;
		log_error("tls", "priority string refused: %s at \"%s\"", gnutls_strerror(ret), bad_at ? bad_at : "");
	}
}

gnutls_priority_t tls_priorities(void)
{
	pthread_once(&priorities_once, priorities_make);
	return priorities;
}

enum ceir_err tls_err_of(int gnutls_error)
{
	switch (gnutls_error) {
	case GNUTLS_E_SUCCESS:
		return CEIR_OK;
	case GNUTLS_E_MEMORY_ERROR:
		return CEIR_ENOMEM;
	case GNUTLS_E_FILE_ERROR:
		return CEIR_EIO;
	default:
		return CEIR_ETLS;
	}
}

void tls_credentials_release(struct tls_credentials *c)
{
	/* acq_rel: whoever drops the last reference must see all that the others did with it. */
	if (!c || atomic_fetch_sub_explicit(&c->refs, 1, memory_order_acq_rel) != 1)
		return;
	if (c->x509)
		gnutls_certificate_free_credentials(c->x509);
	free(c);
}

/* A further reference; the caller holds one, so relaxed order is enough. */
static struct tls_credentials *credentials_share(struct tls_credentials *c)
{
	atomic_fetch_add_explicit(&c->refs, 1, memory_order_relaxed);
	return c;
}

/* cert NULL: no certificate of our own. */
static enum ceir_err credentials_load(const char *cert, const char *key, const char *ca, struct tls_credentials **out)
{
	struct tls_credentials *c = calloc(1, sizeof(*c));
	const char *file = ca;
	int ret;

	if (!c)
		return CEIR_ENOMEM;
	atomic_init(&c->refs, 1);
	ret = gnutls_certificate_allocate_credentials(&c->x509);
	if (ret == GNUTLS_E_SUCCESS) {
		ret = gnutls_certificate_set_x509_trust_file(c->x509, ca, GNUTLS_X509_FMT_PEM);
		/* The count of certificates; a file without any would let nobody in and say nothing. */
		ret = ret > 0 ? GNUTLS_E_SUCCESS : ret == 0 ? GNUTLS_E_NO_CERTIFICATE_FOUND : ret;
	}
	if (ret == GNUTLS_E_SUCCESS && cert) {
		file = cert;
		ret = gnutls_certificate_set_x509_key_file2(c->x509, cert, key, GNUTLS_X509_FMT_PEM, NULL, 0);
		ret = ret > 0 ? GNUTLS_E_SUCCESS : ret;
	}
	if (ret != GNUTLS_E_SUCCESS) {
		log_error("tls", "%s: %s", file, gnutls_strerror(ret));
		tls_credentials_release(c);
		return tls_err_of(ret);
	}
	*out = c;
	return CEIR_OK;
}

enum ceir_err tls_server_new(const char *cert, const char *key, const char *ca, struct tls_server **out)
{
	enum ceir_err err = CEIR_ENOMEM;
	struct tls_server *s = calloc(1, sizeof(*s));

	if (!s)
		return CEIR_ENOMEM;
	pthread_mutex_init(&s->lock, NULL);
	s->cert = strdup(cert);
	s->key = strdup(key);
	s->ca = strdup(ca);
	if (s->cert && s->key && s->ca && tls_priorities())
		err = credentials_load(cert, key, ca, &s->current);
	if (err) {
		tls_server_free(s);
		return err;
	}
	*out = s;
	return CEIR_OK;
}

enum ceir_err tls_server_reload(struct tls_server *s)
{
	struct tls_credentials *fresh = NULL, *old;
	enum ceir_err err = credentials_load(s->cert, s->key, s->ca, &fresh);

	if (err)
		return err;
	pthread_mutex_lock(&s->lock);
	old = s->current;
	s->current = fresh;
	pthread_mutex_unlock(&s->lock);
	tls_credentials_release(old);
	return CEIR_OK;
}

void tls_server_free(struct tls_server *s)
{
	if (!s)
		return;
	tls_credentials_release(s->current);
	pthread_mutex_destroy(&s->lock);
	free(s->cert);
	free(s->key);
	free(s->ca);
	free(s);
}

struct tls_credentials *tls_server_credentials(struct tls_server *s)
{
	pthread_mutex_lock(&s->lock);
	struct tls_credentials *c = credentials_share(s->current);
	pthread_mutex_unlock(&s->lock);
	return c;
}

enum ceir_err tls_client_new(const char *ca, const char *cert, const char *key, struct tls_client **out)
{
	enum ceir_err err = CEIR_ENOMEM;
	struct tls_client *c;

	if (!cert != !key)
		return CEIR_EINVAL;
	c = calloc(1, sizeof(*c));
	if (c && tls_priorities())
		err = credentials_load(cert, key, ca, &c->current);
	if (err) {
		free(c);
		return err;
	}
	*out = c;
	return CEIR_OK;
}

void tls_client_free(struct tls_client *c)
{
	if (!c)
		return;
	tls_credentials_release(c->current);
	free(c);
}

struct tls_credentials *tls_client_credentials(struct tls_client *c)
{
	return credentials_share(c->current);
}

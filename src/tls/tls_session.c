/*
 * tls_session.c - one connection: handshake, reading, writing, ending.
 *
 * GnuTLS reads and writes through two buffers of ours, for three reasons. Time limits hold for a whole call, however the peer
 * drips its bytes. A record costs no system call of its own: many are sent, and received, together. And what must be sent
 * before waiting (a handshake flight, an alert) is known in one place: the buffer goes out before any wait for input.
 */
#include "tls/tls_internal.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <gnutls/x509.h>
#include <limits.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define IN_BYTES 32768u   /* two full records */
#define OUT_BYTES 131072u /* as much is encrypted before it is sent */
#define RECORD_HEADER 5u  /* RFC 8446 5.1: type, version, length */
#define LINGER_MS 250u    /* how long a closing server throws away what the peer still sends */
#define FOREVER INT64_MAX

struct tls {
	int fd; /* not changed from handshake to close */
	bool server;
	atomic_bool stopped;      /* by tls_shutdown: no reading, no writing */
	atomic_bool read_stopped; /* by tls_shutdown or tls_shutdown_read */

	/* The rest belongs to the connection's thread. */
	gnutls_session_t session;
	struct tls_credentials *credentials;
	const char *host;       /* client, during the handshake: whom the server must be */
	unsigned verify_status; /* what was wrong with the peer's certificate */
	bool has_peer;
	uint8_t peer_sha256[32];
	time_t peer_from, peer_until;

	int64_t deadline_us;  /* of the running call, monotonic */
	unsigned fills;       /* times the running call has taken bytes off the socket */
	bool no_wait;         /* only what is in `in` may be used */
	enum ceir_err io_err; /* why the socket failed during the running call */
	char reason[192];

	size_t in_at, in_n;
	struct buf out;
	size_t out_at; /* of out, already sent */
	uint8_t in[IN_BYTES];
};

/* ---- the socket ----------------------------------------------------------------------------------------------------- */

static enum ceir_err wait_for(struct tls *t, short events)
{
	struct pollfd p = {.fd = t->fd, .events = events};

	for (;;) {
		int64_t left_ms = INT_MAX;
		if (t->deadline_us != FOREVER) {
			int64_t left_us = t->deadline_us - clock_mono_us();
			if (left_us <= 0)
				return CEIR_ETIMEOUT;
			left_ms = (left_us + 999) / 1000;
		}
		int n = poll(&p, 1, t->deadline_us == FOREVER ? -1 : left_ms > INT_MAX ? INT_MAX : (int)left_ms);
		if (n > 0)
			return CEIR_OK;
		if (n < 0 && errno != EINTR)
			return CEIR_EIO;
	}
}

/* Sends all of `out`. What a time limit leaves unsent stays there. */
static enum ceir_err flush(struct tls *t)
{
	while (t->out_at < t->out.n) {
		if (atomic_load_explicit(&t->stopped, memory_order_relaxed))
			return CEIR_ECLOSED;
		ssize_t n = send(t->fd, t->out.p + t->out_at, t->out.n - t->out_at, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n >= 0) {
			t->out_at += (size_t)n;
		} else if (errno == EAGAIN || errno == EWOULDBLOCK) {
			enum ceir_err err = wait_for(t, POLLOUT);
			if (err)
				return err;
		} else if (errno != EINTR) {
			return CEIR_ECLOSED;
		}
	}
	buf_clear(&t->out);
	t->out_at = 0;
	return CEIR_OK;
}

/*
 * Takes what the socket has. The first time in a call bytes that are there are taken whatever the time, later the limit is
 * looked at before: a peer that always has one more byte ready cannot stretch a call.
 */
static enum ceir_err fill(struct tls *t)
{
	if (t->fills++ > 0 && clock_mono_us() > t->deadline_us)
		return CEIR_ETIMEOUT;
	for (;;) {
		if (atomic_load_explicit(&t->read_stopped, memory_order_relaxed))
			return CEIR_ECLOSED;
		ssize_t n = recv(t->fd, t->in, sizeof(t->in), MSG_DONTWAIT);
		if (n > 0) {
			t->in_at = 0;
			t->in_n = (size_t)n;
			return CEIR_OK;
		}
		if (n == 0)
			return CEIR_ECLOSED;
		if (errno == EAGAIN || errno == EWOULDBLOCK) {
			enum ceir_err err = wait_for(t, POLLIN);
			if (err)
				return err;
		} else if (errno != EINTR) {
			return CEIR_ECLOSED;
		}
	}
}

/*
 * GnuTLS wants bytes. Whatever is wrong it is told EAGAIN, which leaves the session usable: after a time limit, or when the
 * peer sends no more, one can still say goodbye. io_err says what it really was.
 */
static ssize_t pull(gnutls_transport_ptr_t ptr, void *bytes, size_t n)
{
	struct tls *t = ptr;

	if (t->in_at == t->in_n) {
		if (t->no_wait) {
			gnutls_transport_set_errno(t->session, EAGAIN);
			return -1;
		}
		enum ceir_err err = flush(t);
		if (!err)
			err = fill(t);
		if (err) {
			t->io_err = err;
			gnutls_transport_set_errno(t->session, EAGAIN);
			return -1;
		}
	}
	if (n > t->in_n - t->in_at)
		n = t->in_n - t->in_at;
	memcpy(bytes, t->in + t->in_at, n);
	t->in_at += n;
	return (ssize_t)n;
}

/* GnuTLS has bytes to send: kept until there are many, or until somebody waits for the answer. */
static ssize_t push(gnutls_transport_ptr_t ptr, const void *bytes, size_t n)
{
	struct tls *t = ptr;
	enum ceir_err err = CEIR_OK;

	if (t->out.n >= OUT_BYTES)
		err = flush(t);
	if (!err) {
		buf_put(&t->out, bytes, n);
		if (t->out.failed)
			err = CEIR_ENOMEM;
	}
	if (err) {
		t->io_err = err;
		gnutls_transport_set_errno(t->session, ECONNRESET);
		return -1;
	}
	return (ssize_t)n;
}

static void call_begin(struct tls *t, unsigned timeout_ms)
{
	t->deadline_us = timeout_ms ? clock_mono_us() + (int64_t)timeout_ms * 1000 : FOREVER;
	t->fills = 0;
	t->no_wait = false;
	t->io_err = CEIR_OK;
}

/* ---- errors --------------------------------------------------------------------------------------------------------- */

/* Turns a GnuTLS error of the running call into ours and keeps the reason. */
static enum ceir_err call_failed(struct tls *t, int ret)
{
	enum ceir_err err = t->io_err ? t->io_err : tls_err_of(ret);

	if (t->io_err)
		snprintf(t->reason, sizeof(t->reason), "%s", ceir_err_text(err));
	else if (ret == GNUTLS_E_FATAL_ALERT_RECEIVED)
		snprintf(t->reason, sizeof(t->reason), "the peer refused: %s", gnutls_alert_get_name(gnutls_alert_get(t->session)));
	else
		snprintf(t->reason, sizeof(t->reason), "%s", gnutls_strerror(ret));
	return err;
}

/* A certificate that did not verify: says why, and gives the alert that tells the peer (RFC 8446 6.2). */
static gnutls_alert_description_t certificate_refused(struct tls *t)
{
	gnutls_datum_t text;

	if (gnutls_certificate_verification_status_print(t->verify_status, GNUTLS_CRT_X509, &text, 0) == GNUTLS_E_SUCCESS) {
		snprintf(t->reason, sizeof(t->reason), "%s", (const char *)text.data);
		gnutls_free(text.data);
	}
	if (t->verify_status & GNUTLS_CERT_EXPIRED)
		return GNUTLS_A_CERTIFICATE_EXPIRED;
	if (t->verify_status & GNUTLS_CERT_SIGNER_NOT_FOUND)
		return GNUTLS_A_UNKNOWN_CA;
	return GNUTLS_A_BAD_CERTIFICATE;
}

/* ---- handshake ------------------------------------------------------------------------------------------------------ */

/* Called by GnuTLS inside the handshake. Anything but 0 ends it. */
static int verify_peer(gnutls_session_t session)
{
	struct tls *t = gnutls_session_get_ptr(session);
	gnutls_typed_vdata_st what[2] = {{.type = GNUTLS_DT_KEY_PURPOSE_OID,
		.data = (unsigned char *)(uintptr_t)(t->server ? GNUTLS_KP_TLS_WWW_CLIENT : GNUTLS_KP_TLS_WWW_SERVER)}};
	unsigned n = 1, count = 0;

	if (!gnutls_certificate_get_peers(session, &count) || count == 0)
		return t->server ? 0 : GNUTLS_E_NO_CERTIFICATE_FOUND;
	if (t->host) {
		what[n].type = GNUTLS_DT_DNS_HOSTNAME; /* matches IP addresses of the certificate, too */
		what[n].data = (unsigned char *)(uintptr_t)t->host;
		n++;
	}
	int ret = gnutls_certificate_verify_peers(session, what, n, &t->verify_status);
	if (ret < 0)
		return ret;
	return t->verify_status ? GNUTLS_E_CERTIFICATE_VERIFICATION_ERROR : 0;
}

/* Fingerprint and validity of the peer's certificate, kept for the life of the connection. */
static int remember_peer(struct tls *t)
{
	unsigned count = 0;
	size_t size = sizeof(t->peer_sha256);
	gnutls_x509_crt_t crt;
	const gnutls_datum_t *der = gnutls_certificate_get_peers(t->session, &count);

	if (!der || count == 0)
		return GNUTLS_E_SUCCESS;
	int ret = gnutls_x509_crt_init(&crt);
	if (ret != GNUTLS_E_SUCCESS)
		return ret;
	ret = gnutls_x509_crt_import(crt, der, GNUTLS_X509_FMT_DER);
	if (ret == GNUTLS_E_SUCCESS)
		ret = gnutls_fingerprint(GNUTLS_DIG_SHA256, der, t->peer_sha256, &size);
	t->peer_from = gnutls_x509_crt_get_activation_time(crt);
	t->peer_until = gnutls_x509_crt_get_expiration_time(crt);
	gnutls_x509_crt_deinit(crt);
	t->has_peer = ret == GNUTLS_E_SUCCESS;
	return ret;
}

static enum ceir_err handshake(struct tls *t, unsigned timeout_ms)
{
	enum ceir_err err;
	int ret;

	call_begin(t, timeout_ms);
	do
		ret = gnutls_handshake(t->session);
	while (ret < 0 && !t->io_err && !gnutls_error_is_fatal(ret));
	if (ret == GNUTLS_E_SUCCESS)
		ret = remember_peer(t);
	if (ret == GNUTLS_E_SUCCESS) {
		err = flush(t);
		if (err)
			snprintf(t->reason, sizeof(t->reason), "%s", ceir_err_text(err));
		return err;
	}
	err = call_failed(t, ret);
	/* The alert is pushed here and sent by tls_close. */
	if (t->verify_status)
		gnutls_alert_send(t->session, GNUTLS_AL_FATAL, certificate_refused(t));
	else if (!t->io_err)
		gnutls_alert_send_appropriate(t->session, ret);
	return err;
}

static int session_setup(struct tls *t)
{
	/* No tickets: a session that came back without a handshake would have skipped the look at its certificate. */
	unsigned flags = (t->server ? GNUTLS_SERVER : GNUTLS_CLIENT) | GNUTLS_NO_SIGNAL | GNUTLS_NO_TICKETS;
	struct in6_addr address;
	int ret = gnutls_init(&t->session, flags);

	if (ret != GNUTLS_E_SUCCESS) {
		t->session = NULL;
		return ret;
	}
	gnutls_session_set_ptr(t->session, t);
	gnutls_transport_set_ptr(t->session, t);
	gnutls_transport_set_pull_function(t->session, pull);
	gnutls_transport_set_push_function(t->session, push);
	gnutls_session_set_verify_function(t->session, verify_peer);
	if (t->server)
		gnutls_certificate_server_set_request(t->session, GNUTLS_CERT_REQUEST);
	ret = gnutls_priority_set(t->session, tls_priorities());
	if (ret == GNUTLS_E_SUCCESS)
		ret = gnutls_credentials_set(t->session, GNUTLS_CRD_CERTIFICATE, t->credentials->x509);
	/* RFC 6066 3: a literal address is not a server name. */
	if (ret == GNUTLS_E_SUCCESS && t->host && inet_pton(AF_INET, t->host, &address) != 1 &&
		inet_pton(AF_INET6, t->host, &address) != 1)
		ret = gnutls_server_name_set(t->session, GNUTLS_NAME_DNS, t->host, strlen(t->host));
	return ret;
}

/* Both ends of a connection begin alike. Takes over fd and the reference to the credentials. */
static enum ceir_err session_start(struct tls_credentials *credentials, int fd, const char *host, unsigned timeout_ms,
	struct tls **out, char *why, size_t why_size)
{
	const int one = 1;
	enum ceir_err err;
	struct tls *t = calloc(1, sizeof(*t));

	if (why && why_size)
		why[0] = '\0';
	if (!t) {
		tls_credentials_release(credentials);
		close(fd);
		return CEIR_ENOMEM;
	}
	t->fd = fd;
	t->server = host == NULL;
	t->host = host;
	t->credentials = credentials;
	atomic_init(&t->stopped, false);
	atomic_init(&t->read_stopped, false);
	/* Fails for socket pairs of tests; nothing is lost but speed. */
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	int ret = session_setup(t);
	err = ret == GNUTLS_E_SUCCESS ? handshake(t, timeout_ms) : call_failed(t, ret);
	t->host = NULL;
	if (err) {
		if (why && why_size)
			snprintf(why, why_size, "%s", t->reason);
		tls_close(t);
		return err;
	}
	*out = t;
	return CEIR_OK;
}

enum ceir_err tls_accept(struct tls_server *s, int fd, unsigned timeout_ms, struct tls **out, char *why, size_t why_size)
{
	return session_start(tls_server_credentials(s), fd, NULL, timeout_ms, out, why, why_size);
}

enum ceir_err tls_connect(
	struct tls_client *c, int fd, const char *host, unsigned timeout_ms, struct tls **out, char *why, size_t why_size)
{
	CEIR_ASSERT(host);
	return session_start(tls_client_credentials(c), fd, host, timeout_ms, out, why, why_size);
}

/* ---- reading and writing --------------------------------------------------------------------------------------------- */

/* A whole record waits in `in`. */
static bool record_waits(const struct tls *t)
{
	size_t n = t->in_n - t->in_at;
	const uint8_t *p = t->in + t->in_at;

	return n >= RECORD_HEADER && n - RECORD_HEADER >= ((size_t)p[3] << 8 | p[4]);
}

/*
 * Waits for the first record only, then takes along what lies complete in the buffer: the reader of pipelined commands gets
 * them in one piece.
 */
enum ceir_err tls_read(struct tls *t, void *bytes, size_t n, size_t *got, unsigned timeout_ms)
{
	size_t done = 0;

	CEIR_ASSERT(n > 0);
	call_begin(t, timeout_ms);
	while (done < n && (done == 0 || gnutls_record_check_pending(t->session) || record_waits(t))) {
		t->no_wait = done > 0;
		ssize_t ret = gnutls_record_recv(t->session, (char *)bytes + done, n - done);
		if (ret > 0) {
			done += (size_t)ret;
			continue;
		}
		if (done > 0)
			break; /* what was wrong comes back with the next call */
		if (ret == 0) {
			snprintf(t->reason, sizeof(t->reason), "%s", ceir_err_text(CEIR_ECLOSED));
			return CEIR_ECLOSED;
		}
		/* TLS 1.3 sends key updates and the like between the data; RFC 5746 renegotiation is not offered. */
		if (!t->io_err && ret != GNUTLS_E_REHANDSHAKE && !gnutls_error_is_fatal((int)ret))
			continue;
		if (ret == GNUTLS_E_REHANDSHAKE)
			gnutls_alert_send(t->session, GNUTLS_AL_WARNING, GNUTLS_A_NO_RENEGOTIATION);
		return call_failed(t, (int)ret);
	}
	*got = done;
	return CEIR_OK;
}

bool tls_pending(const struct tls *t)
{
	return gnutls_record_check_pending(t->session) > 0;
}

enum ceir_err tls_write(struct tls *t, const void *bytes, size_t n, unsigned timeout_ms)
{
	enum ceir_err err;
	size_t done = 0;

	call_begin(t, timeout_ms);
	while (done < n) {
		ssize_t ret = gnutls_record_send(t->session, (const char *)bytes + done, n - done);
		if (ret >= 0)
			done += (size_t)ret;
		else if (t->io_err || gnutls_error_is_fatal((int)ret))
			return call_failed(t, (int)ret);
	}
	err = flush(t);
	if (err)
		snprintf(t->reason, sizeof(t->reason), "%s", ceir_err_text(err));
	return err;
}

/* ---- ending ----------------------------------------------------------------------------------------------------------- */

/*
 * Both may run beside the connection's thread: they touch the two flags and the descriptor, which stays the same until
 * tls_close. Relaxed order is enough, the system call that wakes the sleeper orders the rest.
 */
void tls_shutdown(struct tls *t)
{
	atomic_store_explicit(&t->stopped, true, memory_order_relaxed);
	atomic_store_explicit(&t->read_stopped, true, memory_order_relaxed);
	shutdown(t->fd, SHUT_RDWR);
}

void tls_shutdown_read(struct tls *t)
{
	atomic_store_explicit(&t->read_stopped, true, memory_order_relaxed);
	shutdown(t->fd, SHUT_RD);
}

const char *tls_reason(const struct tls *t)
{
	return t->reason;
}

/*
 * Closing a socket with unread bytes resets the connection, and a reset takes our last words from the peer's hands. So the
 * server throws away what still comes, for a short time, until the peer closes too.
 */
static void linger(struct tls *t)
{
	shutdown(t->fd, SHUT_WR);
	t->deadline_us = clock_mono_us() + LINGER_MS * 1000;
	while (clock_mono_us() < t->deadline_us) {
		ssize_t n = recv(t->fd, t->in, sizeof(t->in), MSG_DONTWAIT);
		if (n == 0 || (n < 0 && errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR))
			return;
		if (n < 0 && wait_for(t, POLLIN))
			return;
	}
}

void tls_close(struct tls *t)
{
	if (!t)
		return;
	bool stopped = atomic_load_explicit(&t->stopped, memory_order_relaxed);
	if (t->session) {
		call_begin(t, 1); /* as much as the socket takes at once */
		if (!stopped) {
			gnutls_bye(t->session, GNUTLS_SHUT_WR);
			if (!flush(t) && t->server)
				linger(t);
		}
		gnutls_deinit(t->session);
	}
	close(t->fd);
	tls_credentials_release(t->credentials);
	buf_free(&t->out);
	free(t);
}

/* ---- the peer ---------------------------------------------------------------------------------------------------------- */

bool tls_peer_sha256(const struct tls *t, uint8_t out[32])
{
	if (t->has_peer)
		memcpy(out, t->peer_sha256, sizeof(t->peer_sha256));
	return t->has_peer;
}

bool tls_peer_valid_now(const struct tls *t)
{
	time_t now = time(NULL);

	return !t->has_peer || (now >= t->peer_from && now <= t->peer_until);
}

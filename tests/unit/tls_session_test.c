/*
 * tls_session_test.c - both ends of a connection over a socket pair, in two threads: who is let in, who is not, what a time limit
 * means, what ends a connection. Certificates are made by tls_ca.c in a temporary folder.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <fcntl.h>
#include <ftw.h>
#include <gnutls/gnutls.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tls/tls.h"

#define TIMEOUT_MS 5000u

static char dir[] = "/tmp/ceir-tls-XXXXXX", other_dir[] = "/tmp/ceir-tls-other-XXXXXX";
static struct tls_server *server;

static const char *path(const char *in, const char *name)
{
	static char paths[8][128];
	static unsigned turn;
	char *p = paths[turn++ % 8];

	snprintf(p, sizeof(paths[0]), "%s/%s", in, name);
	return p;
}

static int remove_one(const char *name, const struct stat *st, int type, struct FTW *where)
{
	(void)st;
	(void)type;
	(void)where;
	return remove(name);
}

static int make_world(void **state)
{
	static const char *const names[] = {"localhost", "127.0.0.1", "::1"};

	(void)state;
	log_setup(stderr, false, LOG_ERROR_);
	if (!mkdtemp(dir) || !mkdtemp(other_dir))
		return -1;
	assert_int_equal(tls_ca_create(dir, "ceir test"), CEIR_OK);
	assert_int_equal(tls_ca_create(other_dir, "ceir test"), CEIR_OK);
	assert_int_equal(tls_ca_issue(dir, "server", TLS_USE_SERVER, names, 3, 1, NULL), CEIR_OK);
	assert_int_equal(tls_ca_issue(dir, "client", TLS_USE_CLIENT, NULL, 0, 1, NULL), CEIR_OK);
	assert_int_equal(tls_ca_issue(dir, "expired", TLS_USE_CLIENT, NULL, 0, 0, NULL), CEIR_OK);
	assert_int_equal(tls_ca_issue(other_dir, "client", TLS_USE_CLIENT, NULL, 0, 1, NULL), CEIR_OK);
	assert_int_equal(tls_server_new(path(dir, "server.crt"), path(dir, "server.key"), path(dir, "ca.crt"), &server), CEIR_OK);
	sleep(1); /* the certificate that lives for no time has expired then */
	return 0;
}

static int remove_world(void **state)
{
	(void)state;
	tls_server_free(server);
	nftw(dir, remove_one, 8, FTW_DEPTH | FTW_PHYS);
	nftw(other_dir, remove_one, 8, FTW_DEPTH | FTW_PHYS);
	return 0;
}

/* ---- the two ends ----------------------------------------------------------------------------------------------------- */

/* The server's end: accepts, then echoes until the peer closes. */
struct echo {
	pthread_t thread;
	int fd;
	unsigned timeout_ms;
	enum ceir_err accepted, ended;
	bool has_peer, valid_now;
	uint8_t peer[32];
	char why[256];
};

static void *echo_run(void *arg)
{
	struct echo *e = arg;
	struct tls *t;
	char bytes[20000];
	size_t got;

	e->accepted = tls_accept(server, e->fd, e->timeout_ms, &t, e->why, sizeof(e->why));
	if (e->accepted)
		return NULL;
	e->has_peer = tls_peer_sha256(t, e->peer);
	e->valid_now = tls_peer_valid_now(t);
	while (!(e->ended = tls_read(t, bytes, sizeof(bytes), &got, TIMEOUT_MS)))
		if ((e->ended = tls_write(t, bytes, got, TIMEOUT_MS)))
			break;
	tls_close(t);
	return NULL;
}

/* Starts the server's end; returns the client's descriptor. */
static int echo_start(struct echo *e)
{
	int fds[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
	*e = (struct echo){.fd = fds[0], .timeout_ms = TIMEOUT_MS};
	assert_int_equal(pthread_create(&e->thread, NULL, echo_run, e), 0);
	return fds[1];
}

static void echo_end(struct echo *e)
{
	assert_int_equal(pthread_join(e->thread, NULL), 0);
}

/* Connects with the named key of a folder (NULL: none) and says "ping"; the error of whatever failed. */
static enum ceir_err ping(int fd, const char *in, const char *name, const char *host, char why[256])
{
	char crt[64], key[64], answer[5] = "";
	struct tls_client *c = NULL;
	struct tls *t = NULL;
	size_t got = 0;

	snprintf(crt, sizeof(crt), "%s.crt", name ? name : "");
	snprintf(key, sizeof(key), "%s.key", name ? name : "");
	assert_int_equal(
		tls_client_new(path(dir, "ca.crt"), name ? path(in, crt) : NULL, name ? path(in, key) : NULL, &c), CEIR_OK);
	enum ceir_err err = tls_connect(c, fd, host, TIMEOUT_MS, &t, why, 256);
	if (!err)
		err = tls_write(t, "ping", 4, TIMEOUT_MS);
	if (!err)
		err = tls_read(t, answer, 4, &got, TIMEOUT_MS);
	if (!err)
		assert_string_equal(answer, "ping");
	else if (t)
		snprintf(why, 256, "%s", tls_reason(t));
	tls_close(t);
	tls_client_free(c);
	return err;
}

static void a_good_certificate_is_known_by_its_fingerprint(void **state)
{
	struct echo e;
	char why[256];
	uint8_t expected[32];

	(void)state;
	assert_int_equal(ping(echo_start(&e), dir, "client", "localhost", why), CEIR_OK);
	echo_end(&e);
	assert_int_equal(e.accepted, CEIR_OK);
	assert_int_equal(e.ended, CEIR_ECLOSED);
	assert_true(e.has_peer && e.valid_now);
	assert_int_equal(tls_cert_sha256(path(dir, "client.crt"), expected), CEIR_OK);
	assert_memory_equal(e.peer, expected, sizeof(expected));
}

static void a_client_without_certificate_is_let_in(void **state)
{
	struct echo e;
	char why[256];

	(void)state;
	assert_int_equal(ping(echo_start(&e), dir, NULL, "127.0.0.1", why), CEIR_OK);
	echo_end(&e);
	assert_int_equal(e.accepted, CEIR_OK);
	assert_false(e.has_peer);
	assert_true(e.valid_now);
}

static void a_certificate_of_another_authority_is_refused(void **state)
{
	struct echo e;
	char why[256];

	(void)state;
	assert_int_not_equal(ping(echo_start(&e), other_dir, "client", "localhost", why), CEIR_OK);
	assert_non_null(strstr(why, "refused"));
	echo_end(&e);
	assert_int_equal(e.accepted, CEIR_ETLS);
	assert_true(e.why[0]);
}

static void an_expired_certificate_is_refused_and_the_client_is_told(void **state)
{
	struct echo e;
	char why[256];

	(void)state;
	assert_int_equal(ping(echo_start(&e), dir, "expired", "localhost", why), CEIR_ETLS);
	assert_non_null(strstr(why, "expired"));
	echo_end(&e);
	assert_int_equal(e.accepted, CEIR_ETLS);
	assert_non_null(strstr(e.why, "expired"));
}

static void a_server_certificate_is_no_client_certificate(void **state)
{
	struct echo e;
	char why[256];

	(void)state;
	assert_int_not_equal(ping(echo_start(&e), dir, "server", "localhost", why), CEIR_OK);
	echo_end(&e);
	assert_int_equal(e.accepted, CEIR_ETLS);
}

static void a_server_of_another_name_is_refused_by_the_client(void **state)
{
	struct echo e;
	char why[256];

	(void)state;
	assert_int_equal(ping(echo_start(&e), dir, "client", "register.example", why), CEIR_ETLS);
	echo_end(&e);
	assert_int_equal(e.accepted, CEIR_ETLS);
}

static void an_address_that_is_not_in_the_certificate_is_refused(void **state)
{
	struct echo e;
	char why[256];

	(void)state;
	assert_int_equal(ping(echo_start(&e), dir, "client", "127.0.0.2", why), CEIR_ETLS);
	echo_end(&e);
	assert_int_equal(ping(echo_start(&e), dir, "client", "::1", why), CEIR_OK);
	echo_end(&e);
}

/* ---- protocol versions and strangers ------------------------------------------------------------------------------------ */

/* A client of GnuTLS's own making, with a priority string of its choice. */
static int foreign_handshake(int fd, const char *priorities)
{
	gnutls_session_t s;
	gnutls_certificate_credentials_t c;
	int ret;

	assert_int_equal(gnutls_certificate_allocate_credentials(&c), 0);
	assert_int_equal(gnutls_init(&s, GNUTLS_CLIENT | GNUTLS_NO_SIGNAL), 0);
	assert_int_equal(gnutls_priority_set_direct(s, priorities, NULL), 0);
	gnutls_credentials_set(s, GNUTLS_CRD_CERTIFICATE, c);
	gnutls_transport_set_int(s, fd);
	do
		ret = gnutls_handshake(s);
	while (ret < 0 && !gnutls_error_is_fatal(ret));
	gnutls_deinit(s);
	gnutls_certificate_free_credentials(c);
	close(fd);
	return ret;
}

static void old_versions_and_weak_ciphers_are_refused(void **state)
{
	static const char *const refused[] = {"NORMAL:-VERS-ALL:+VERS-TLS1.1", "NORMAL:-VERS-ALL:+VERS-TLS1.0",
		"NORMAL:-VERS-ALL:+VERS-TLS1.2:-CIPHER-ALL:+AES-128-CBC", "NORMAL:-VERS-ALL:+VERS-TLS1.2:-KX-ALL:+RSA"};
	static const char *const taken[] = {"NORMAL:-VERS-ALL:+VERS-TLS1.2", "NORMAL:-VERS-ALL:+VERS-TLS1.3"};
	struct echo e;

	(void)state;
	for (size_t i = 0; i < CEIR_COUNT(refused); i++) {
		assert_true(foreign_handshake(echo_start(&e), refused[i]) < 0);
		echo_end(&e);
		assert_int_equal(e.accepted, CEIR_ETLS);
	}
	for (size_t i = 0; i < CEIR_COUNT(taken); i++) {
		assert_int_equal(foreign_handshake(echo_start(&e), taken[i]), 0);
		echo_end(&e);
		assert_int_equal(e.accepted, CEIR_OK);
	}
}

static void plain_text_is_refused(void **state)
{
	struct echo e;
	static const char hello[] = "GET / HTTP/1.1\r\nHost: register.example\r\n\r\n";
	int fd = echo_start(&e);

	(void)state;
	assert_int_equal(write(fd, hello, sizeof(hello) - 1), sizeof(hello) - 1);
	shutdown(fd, SHUT_WR);
	echo_end(&e);
	close(fd);
	assert_int_equal(e.accepted, CEIR_ETLS);
	assert_true(e.why[0]);
}

static void a_peer_that_says_nothing_cannot_hold_the_handshake(void **state)
{
	struct echo e = {.timeout_ms = 100};
	int fds[2];

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
	e.fd = fds[0];
	int64_t begin = clock_mono_us();
	echo_run(&e);
	assert_int_equal(e.accepted, CEIR_ETIMEOUT);
	assert_in_range(clock_mono_us() - begin, 100000, 20000000);
	close(fds[1]);
}

/* One byte of a handshake at a time, for half a minute: each comes in time, the whole does not. */
static void *drip_run(void *arg)
{
	static const unsigned char record[] = {0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3};
	int fd = *(int *)arg;

	for (size_t i = 0; i < 3000; i++) {
		unsigned char c = i < sizeof(record) ? record[i] : 0;
		if (send(fd, &c, 1, MSG_NOSIGNAL) != 1)
			break;
		usleep(10000);
	}
	return NULL;
}

static void a_peer_that_drips_bytes_cannot_hold_the_handshake(void **state)
{
	struct echo e = {.timeout_ms = 200};
	pthread_t drip;
	int fds[2];

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
	e.fd = fds[0];
	assert_int_equal(pthread_create(&drip, NULL, drip_run, &fds[1]), 0);
	int64_t begin = clock_mono_us();
	echo_run(&e);
	assert_int_equal(e.accepted, CEIR_ETIMEOUT);
	assert_true(clock_mono_us() - begin < 15000000);
	pthread_join(drip, NULL);
	close(fds[1]);
}

/* ---- a connection's life ------------------------------------------------------------------------------------------------- */

/* Two connected ends in this process; the server's handshake runs in a thread of its own. */
struct pair {
	struct tls *server, *client;
	struct tls_client *credentials;
	int fd;
};

static void *accept_run(void *arg)
{
	struct pair *p = arg;

	assert_int_equal(tls_accept(server, p->fd, TIMEOUT_MS, &p->server, NULL, 0), CEIR_OK);
	return NULL;
}

static void pair_open(struct pair *p)
{
	pthread_t thread;
	int fds[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
	p->fd = fds[0];
	assert_int_equal(tls_client_new(path(dir, "ca.crt"), NULL, NULL, &p->credentials), CEIR_OK);
	assert_int_equal(pthread_create(&thread, NULL, accept_run, p), 0);
	assert_int_equal(tls_connect(p->credentials, fds[1], "localhost", TIMEOUT_MS, &p->client, NULL, 0), CEIR_OK);
	pthread_join(thread, NULL);
}

static void pair_close(struct pair *p)
{
	tls_close(p->client);
	tls_close(p->server);
	tls_client_free(p->credentials);
}

static void many_small_writes_come_in_one_read(void **state)
{
	struct pair p;
	char bytes[4096];
	size_t got;

	(void)state;
	pair_open(&p);
	for (int i = 0; i < 50; i++)
		assert_int_equal(tls_write(p.client, "0123456789", 10, TIMEOUT_MS), CEIR_OK);
	assert_int_equal(tls_read(p.server, bytes, sizeof(bytes), &got, TIMEOUT_MS), CEIR_OK);
	assert_int_equal(got, 500);
	assert_false(tls_pending(p.server));
	assert_int_equal(tls_write(p.client, "0123456789", 10, TIMEOUT_MS), CEIR_OK);
	assert_int_equal(tls_read(p.server, bytes, 4, &got, TIMEOUT_MS), CEIR_OK);
	assert_int_equal(got, 4);
	assert_true(tls_pending(p.server));
	assert_int_equal(tls_read(p.server, bytes, sizeof(bytes), &got, TIMEOUT_MS), CEIR_OK);
	assert_int_equal(got, 6);
	pair_close(&p);
}

static void after_a_time_limit_one_can_still_say_goodbye(void **state)
{
	struct pair p;
	char bytes[16];
	size_t got;

	(void)state;
	pair_open(&p);
	assert_int_equal(tls_read(p.server, bytes, sizeof(bytes), &got, 50), CEIR_ETIMEOUT);
	assert_int_equal(tls_write(p.server, "bye", 3, TIMEOUT_MS), CEIR_OK);
	assert_int_equal(tls_read(p.client, bytes, sizeof(bytes), &got, TIMEOUT_MS), CEIR_OK);
	assert_int_equal(got, 3);
	pair_close(&p);
}

static void a_peer_that_does_not_read_cannot_hold_a_write(void **state)
{
	struct pair p;
	size_t n = 16u << 20;
	char *bytes = calloc(1, n);

	(void)state;
	assert_non_null(bytes);
	pair_open(&p);
	int64_t begin = clock_mono_us();
	assert_int_equal(tls_write(p.server, bytes, n, 100), CEIR_ETIMEOUT);
	assert_true(clock_mono_us() - begin < 20000000);
	pair_close(&p);
	free(bytes);
}

static void *big_write_run(void *arg)
{
	struct pair *p = arg;
	size_t n = 5u << 20;
	char *bytes = malloc(n);

	for (size_t i = 0; bytes && i < n; i++)
		bytes[i] = (char)(i * 31 >> 3);
	assert_int_equal(tls_write(p->client, bytes, n, TIMEOUT_MS), CEIR_OK);
	free(bytes);
	return NULL;
}

static void big_data_arrives_whole(void **state)
{
	struct pair p;
	pthread_t thread;
	char bytes[65536];
	size_t got, at = 0;

	(void)state;
	pair_open(&p);
	assert_int_equal(pthread_create(&thread, NULL, big_write_run, &p), 0);
	while (at < (5u << 20)) {
		assert_int_equal(tls_read(p.server, bytes, sizeof(bytes), &got, TIMEOUT_MS), CEIR_OK);
		for (size_t i = 0; i < got; i++, at++)
			if (bytes[i] != (char)(at * 31 >> 3))
				fail_msg("byte %zu differs", at);
	}
	pthread_join(thread, NULL);
	pair_close(&p);
}

struct waker {
	struct tls *t;
	void (*wake)(struct tls *t);
};

static void *wake_run(void *arg)
{
	struct waker *w = arg;

	usleep(50000);
	w->wake(w->t);
	return NULL;
}

static void another_thread_ends_a_blocked_read(void **state)
{
	struct pair p;
	struct waker w = {.wake = tls_shutdown};
	pthread_t thread;
	char c;
	size_t got;

	(void)state;
	pair_open(&p);
	w.t = p.server;
	assert_int_equal(pthread_create(&thread, NULL, wake_run, &w), 0);
	assert_int_equal(tls_read(p.server, &c, 1, &got, 0), CEIR_ECLOSED);
	assert_int_equal(tls_write(p.server, "x", 1, 0), CEIR_ECLOSED);
	pthread_join(thread, NULL);
	assert_int_equal(tls_read(p.client, &c, 1, &got, TIMEOUT_MS), CEIR_ECLOSED);
	pair_close(&p);
}

static void another_thread_ends_a_blocked_write(void **state)
{
	struct pair p;
	struct waker w = {.wake = tls_shutdown};
	pthread_t thread;
	size_t n = 16u << 20;
	char *bytes = calloc(1, n);

	(void)state;
	assert_non_null(bytes);
	pair_open(&p);
	w.t = p.server;
	assert_int_equal(pthread_create(&thread, NULL, wake_run, &w), 0);
	assert_int_equal(tls_write(p.server, bytes, n, 0), CEIR_ECLOSED);
	pthread_join(thread, NULL);
	pair_close(&p);
	free(bytes);
}

static void reading_ends_and_writing_goes_on(void **state)
{
	struct pair p;
	struct waker w = {.wake = tls_shutdown_read};
	pthread_t thread;
	char bytes[8];
	size_t got;

	(void)state;
	pair_open(&p);
	w.t = p.server;
	assert_int_equal(pthread_create(&thread, NULL, wake_run, &w), 0);
	assert_int_equal(tls_read(p.server, bytes, 1, &got, 0), CEIR_ECLOSED);
	pthread_join(thread, NULL);
	assert_int_equal(tls_write(p.server, "2500", 4, TIMEOUT_MS), CEIR_OK);
	assert_int_equal(tls_read(p.client, bytes, sizeof(bytes), &got, TIMEOUT_MS), CEIR_OK);
	assert_int_equal(got, 4);
	pair_close(&p);
}

/* ---- last words over TCP ------------------------------------------------------------------------------------------------- */

static void *linger_run(void *arg)
{
	struct tls *t;
	char byte;
	size_t got;

	assert_int_equal(tls_accept(server, *(int *)arg, TIMEOUT_MS, &t, NULL, 0), CEIR_OK);
	assert_int_equal(tls_read(t, &byte, 1, &got, TIMEOUT_MS), CEIR_OK);
	assert_int_equal(tls_write(t, "why", 3, TIMEOUT_MS), CEIR_OK);
	tls_close(t); /* much of what the client sent was never read */
	return NULL;
}

static void the_last_words_arrive_though_input_was_left_unread(void **state)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t size = sizeof(a);
	static char junk[100000];
	struct tls_client *c;
	struct tls *t;
	pthread_t thread;
	char bytes[8];
	size_t got;
	int listener = socket(AF_INET, SOCK_STREAM, 0), fd = socket(AF_INET, SOCK_STREAM, 0), accepted;

	(void)state;
	assert_int_equal(bind(listener, (struct sockaddr *)&a, sizeof(a)), 0);
	assert_int_equal(listen(listener, 1), 0);
	assert_int_equal(getsockname(listener, (struct sockaddr *)&a, &size), 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&a, sizeof(a)), 0);
	accepted = accept(listener, NULL, NULL);
	assert_int_equal(pthread_create(&thread, NULL, linger_run, &accepted), 0);
	assert_int_equal(tls_client_new(path(dir, "ca.crt"), NULL, NULL, &c), CEIR_OK);
	assert_int_equal(tls_connect(c, fd, "localhost", TIMEOUT_MS, &t, NULL, 0), CEIR_OK);
	assert_int_equal(tls_write(t, junk, sizeof(junk), TIMEOUT_MS), CEIR_OK);
	usleep(100000); /* the server has written and is closing */
	assert_int_equal(tls_read(t, bytes, sizeof(bytes), &got, TIMEOUT_MS), CEIR_OK);
	assert_int_equal(got, 3);
	tls_close(t);
	pthread_join(thread, NULL);
	tls_client_free(c);
	close(listener);
}

/* ---- credentials ---------------------------------------------------------------------------------------------------------- */

static void *reload_run(void *arg)
{
	for (int i = 0; i < 20; i++)
		assert_int_equal(tls_server_reload(server), CEIR_OK);
	return arg;
}

static void reload_beside_handshakes_harms_none(void **state)
{
	pthread_t thread;
	struct echo e;
	char why[256];

	(void)state;
	assert_int_equal(pthread_create(&thread, NULL, reload_run, NULL), 0);
	for (int i = 0; i < 5; i++) {
		assert_int_equal(ping(echo_start(&e), dir, "client", "localhost", why), CEIR_OK);
		echo_end(&e);
	}
	pthread_join(thread, NULL);
}

static void a_reload_that_fails_keeps_the_old_credentials(void **state)
{
	struct echo e;
	char why[256], aside[128];

	(void)state;
	snprintf(aside, sizeof(aside), "%s", path(dir, "aside"));
	assert_int_equal(rename(path(dir, "server.key"), aside), 0);
	assert_int_not_equal(tls_server_reload(server), CEIR_OK);
	assert_int_equal(rename(aside, path(dir, "server.key")), 0);
	assert_int_equal(ping(echo_start(&e), dir, "client", "localhost", why), CEIR_OK);
	echo_end(&e);
}

static void a_key_that_does_not_fit_is_refused(void **state)
{
	struct tls_server *s;

	(void)state;
	assert_int_equal(tls_server_new(path(dir, "server.crt"), path(dir, "client.key"), path(dir, "ca.crt"), &s), CEIR_ETLS);
	assert_int_not_equal(
		tls_server_new(path(dir, "server.crt"), path(dir, "server.key"), path(dir, "server.key"), &s), CEIR_OK);
}

static void keys_are_private_and_never_overwritten(void **state)
{
	struct stat st;

	(void)state;
	assert_int_equal(stat(path(dir, "ca.key"), &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_int_equal(stat(path(dir, "client.key"), &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_int_equal(tls_ca_create(dir, "ceir test"), CEIR_EEXIST);
	assert_int_equal(tls_ca_issue(dir, "client", TLS_USE_CLIENT, NULL, 0, 1, NULL), CEIR_EEXIST);
	assert_int_equal(tls_ca_issue(dir, "../client", TLS_USE_CLIENT, NULL, 0, 1, NULL), CEIR_EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_good_certificate_is_known_by_its_fingerprint),
		cmocka_unit_test(a_client_without_certificate_is_let_in),
		cmocka_unit_test(a_certificate_of_another_authority_is_refused),
		cmocka_unit_test(an_expired_certificate_is_refused_and_the_client_is_told),
		cmocka_unit_test(a_server_certificate_is_no_client_certificate),
		cmocka_unit_test(a_server_of_another_name_is_refused_by_the_client),
		cmocka_unit_test(an_address_that_is_not_in_the_certificate_is_refused),
		cmocka_unit_test(old_versions_and_weak_ciphers_are_refused),
		cmocka_unit_test(plain_text_is_refused),
		cmocka_unit_test(a_peer_that_says_nothing_cannot_hold_the_handshake),
		cmocka_unit_test(a_peer_that_drips_bytes_cannot_hold_the_handshake),
		cmocka_unit_test(many_small_writes_come_in_one_read),
		cmocka_unit_test(after_a_time_limit_one_can_still_say_goodbye),
		cmocka_unit_test(a_peer_that_does_not_read_cannot_hold_a_write),
		cmocka_unit_test(big_data_arrives_whole),
		cmocka_unit_test(another_thread_ends_a_blocked_read),
		cmocka_unit_test(another_thread_ends_a_blocked_write),
		cmocka_unit_test(reading_ends_and_writing_goes_on),
		cmocka_unit_test(the_last_words_arrive_though_input_was_left_unread),
		cmocka_unit_test(reload_beside_handshakes_harms_none),
		cmocka_unit_test(a_reload_that_fails_keeps_the_old_credentials),
		cmocka_unit_test(a_key_that_does_not_fit_is_refused),
		cmocka_unit_test(keys_are_private_and_never_overwritten),
	};
	return cmocka_run_group_tests(tests, make_world, remove_world);
}

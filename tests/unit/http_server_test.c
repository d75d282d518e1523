/*
 * http_server_test.c - connections: who asks, limits, certificates read again, stopping.
 */
#include "http_world.h"

#include <ftw.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- who asks ----------------------------------------------------------------------------------------------------- */

static void test_a_certificate_logs_in_once(void **state)
{
	struct http_server *server = server_new();
	struct tls *t = client_new(server, with_certificate);

	(void)state;
	expect(ask(t, "GET /v1/imeis/352106050544203", "Client-Transaction-Id: ABC-1\r\n", ""), 200,
		"{\"imei\":\"352106050544203\",\"colour\":\"grey\"");
	assert_string_equal(seen()->who, "certificate");
	assert_string_equal(seen()->cltrid, "ABC-1");
	assert_string_equal(seen()->request, "GET /v1/imeis/352106050544203\r\nClient-Transaction-Id: ABC-1\r\n\r\n");
	struct answer *a = ask(t, "GET /v1/imeis/352106050544203", "Client-Transaction-Id: ABC-2\r\n", "");
	expect(a, 200, "grey");
	assert_string_equal(header(a, "Client-Transaction-Id"), "ABC-2");
	assert_string_equal(header(a, "Server-Transaction-Id"), "TEST-2");
	assert_string_equal(header(a, "Content-Type"), "application/json");
	assert_int_equal(atomic_load(&logins), 1);
	assert_int_equal(atomic_load(&sessions_open), 1);
	tls_close(t);
	wait_until(&sessions_open, 0);
	server_end(server);
}

static void test_a_password_logs_in_once_and_others_anew(void **state)
{
	struct http_server *server = server_new();
	struct tls *t = client_new(server, without_certificate);

	(void)state;
	expect(ask(t, "GET /v1/lists", BASIC_GOOD, ""), 200, "{\"items\":[]}");
	expect(ask(t, "GET /v1/lists", BASIC_GOOD, ""), 200, "items");
	assert_int_equal(atomic_load(&logins), 1);
	assert_string_equal(seen()->who, "op1");
	expect(ask(t, "GET /v1/lists", BASIC_OTHER, ""), 200, "items");
	assert_string_equal(seen()->who, "op2");
	assert_int_equal(atomic_load(&logins), 2);
	assert_int_equal(atomic_load(&sessions_open), 1);
	/* Each request says who asks: one that says nothing is nobody's. */
	struct answer *a = ask(t, "GET /v1/lists", "", "");
	expect(a, 401, "\"type\":\"about:blank\"");
	assert_string_equal(header(a, "WWW-Authenticate"), "Basic realm=\"ceir\", charset=\"UTF-8\"");
	assert_string_equal(header(a, "Content-Type"), "application/problem+json");
	assert_int_equal(atomic_load(&executed), 5);
	tls_close(t);
	server_end(server);
}

static void test_wrong_passwords_end_the_connection(void **state)
{
	struct http_server *server = server_new();
	struct tls *t = client_new(server, without_certificate);
	struct answer *a;

	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		a = ask(t, "GET /v1/lists", BASIC_WRONG, "");
		expect(a, 401, "\"code\":2200,\"svTRID\":\"TEST-");
		assert_string_equal(header(a, "Connection"), "");
	}
	a = ask(t, "GET /v1/lists", BASIC_WRONG, "");
	expect(a, 401, "\"code\":2501");
	assert_string_equal(header(a, "Connection"), "close");
	expect_closed(t);
	assert_int_equal(atomic_load(&sessions_made), 1);
	t = client_new(server, without_certificate);
	expect(ask(t, "GET /v1/lists", "Authorization: Basic %%%\r\n", ""), 401, "Basic");
	expect(ask(t, "GET /v1/lists", "Authorization: Bearer b3AxOmdvb2Q=\r\n", ""), 401, "Basic");
	assert_int_equal(atomic_load(&logins), 3);
	expect(ask(t, "GET /v1/lists", BASIC_GOOD, ""), 200, "items");
	tls_close(t);
	server_end(server);
}

static void test_a_session_that_the_register_ended_is_closed(void **state)
{
	struct http_server *server = server_new();
	struct tls *t = client_new(server, with_certificate);

	(void)state;
	atomic_store(&ends, true);
	struct answer *a = ask(t, "GET /v1/lists", "", "");
	expect(a, 200, "items");
	assert_string_equal(header(a, "Connection"), "close");
	expect_closed(t);
	server_end(server);
}

static void test_passwords_can_be_switched_off(void **state)
{
	(void)state;
	settings.basic = false;
	struct http_server *server = server_new();
	struct tls *t = client_new(server, without_certificate);
	struct answer *a = ask(t, "GET /v1/lists", BASIC_GOOD, "");

	expect(a, 403, "certificate");
	assert_string_equal(header(a, "WWW-Authenticate"), "");
	expect(ask(t, "GET /v1/lists", "", ""), 403, "certificate");
	assert_int_equal(atomic_load(&executed), 0);
	tls_close(t);
	t = client_new(server, with_certificate);
	expect(ask(t, "GET /v1/lists", "", ""), 200, "items");
	tls_close(t);
	server_end(server);
}

/* Another authority's certificate is no certificate: the handshake fails, with a word why. */
static void test_a_foreign_certificate_is_refused(void **state)
{
	char other[] = "/tmp/ceir-http-other-XXXXXX", ca[64], cert[64], key[64], why[200] = "", byte[1];
	struct http_server *server = server_new();
	struct tls_client *foreign;
	struct tls *t = NULL;
	size_t got;

	(void)state;
	assert_non_null(mkdtemp(other));
	snprintf(ca, sizeof ca, "%s/ca.crt", dir);
	snprintf(cert, sizeof cert, "%s/client.crt", other);
	snprintf(key, sizeof key, "%s/client.key", other);
	/* By its name it is ours, or the client would not even show its certificate. */
	assert_int_equal(tls_ca_create(other, "ceir test"), CEIR_OK);
	assert_int_equal(tls_ca_issue(other, "client", TLS_USE_CLIENT, NULL, 0, 1, NULL), CEIR_OK);
	assert_int_equal(tls_client_new(ca, cert, key, &foreign), CEIR_OK);
	/* TLS 1.3: the client has finished before the server looks. */
	if (tls_connect(foreign, plain_connect(server), "127.0.0.1", TIMEOUT_MS, &t, why, sizeof why) == CEIR_OK) {
		assert_int_not_equal(tls_read(t, byte, 1, &got, TIMEOUT_MS), CEIR_OK);
		snprintf(why, sizeof why, "%s", tls_reason(t));
		tls_close(t);
	}
	if (!strstr(why, "the peer refused"))
		fail_msg("%s", why);
	assert_int_equal(atomic_load(&sessions_made), 0);
	tls_client_free(foreign);
	nftw(other, remove_one, 8, FTW_DEPTH | FTW_PHYS);
	server_end(server);
}

/* ---- limits, reloading, stopping ---------------------------------------------------------------------------------- */

static void test_connections_of_one_address_are_limited(void **state)
{
	char byte[1];
	size_t got;

	(void)state;
	settings.max_connections_address = 2;
	struct http_server *server = server_new();
	struct tls *a = client_new(server, with_certificate), *b = client_new(server, with_certificate), *c;

	expect(ask(a, "GET /v1/lists", "", ""), 200, "items");
	expect(ask(b, "GET /v1/lists", "", ""), 200, "items");
	if (tls_connect(with_certificate, plain_connect(server), "127.0.0.1", TIMEOUT_MS, &c, NULL, 0) == CEIR_OK) {
		assert_int_not_equal(tls_read(c, byte, 1, &got, TIMEOUT_MS), CEIR_OK);
		tls_close(c);
	}
	tls_close(a);
	wait_until(&sessions_open, 1);
	usleep(50000);
	a = client_new(server, with_certificate);
	expect(ask(a, "GET /v1/lists", "", ""), 200, "items");
	tls_close(a);
	tls_close(b);
	server_end(server);
}

/* One byte a while moves no deadline. */
static void test_a_head_that_drips_is_closed(void **state)
{
	int64_t began = clock_mono_us();
	size_t got;
	char byte[1];

	(void)state;
	settings.idle_timeout_s = 1;
	struct http_server *server = server_new();
	struct tls *t = client_new(server, with_certificate), *u = client_new(server, with_certificate);

	send_text(u, "PUT /v1/lists/black/ack HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{");
	send_text(t, "GET /v1/lists HTTP/1.1\r\nHost: x\r\nX: ");
	while (clock_mono_us() - began < 10000000 && tls_write(t, "x", 1, TIMEOUT_MS) == CEIR_OK && tls_write(u, " ", 1, TIMEOUT_MS) == CEIR_OK)
		usleep(100000);
	assert_true(clock_mono_us() - began < 8000000);
	assert_int_not_equal(tls_read(t, byte, 1, &got, TIMEOUT_MS), CEIR_OK);
	assert_int_not_equal(tls_read(u, byte, 1, &got, TIMEOUT_MS), CEIR_OK);
	tls_close(t);
	tls_close(u);
	server_end(server);
}

/* A command that takes longer than a client may be idle is answered all the same. */
static void test_the_doors_time_is_not_idleness(void **state)
{
	(void)state;
	settings.idle_timeout_s = 1;
	struct http_server *server = server_new();
	struct tls *t = client_new(server, with_certificate);

	atomic_store(&holds, true);
	send_text(t, "GET /v1/imeis/352106050544203 HTTP/1.1\r\nHost: x\r\n\r\n");
	wait_until(&waiting, 1);
	usleep(2500000);
	atomic_store(&holds, false);
	expect(receive(t, false), 200, "grey");
	tls_close(t);
	server_end(server);
}

static void test_certificates_are_read_again(void **state)
{
	static const char *const names[] = {"127.0.0.1"};
	char cert[128], key[128];
	uint8_t old[32], now[32], fresh[32];

	(void)state;
	assert_int_equal(tls_ca_issue(dir, "second", TLS_USE_SERVER, names, 1, 1, fresh), CEIR_OK);
	assert_int_equal(tls_ca_issue(dir, "third", TLS_USE_SERVER, names, 1, 1, NULL), CEIR_OK);
	snprintf(cert, sizeof cert, "%s", path("third.crt"));
	snprintf(key, sizeof key, "%s", path("third.key"));
	settings.cert = cert;
	settings.key = key;
	struct http_server *server = server_new();
	struct tls *t = client_new(server, with_certificate), *u;

	expect(ask(t, "GET /v1/lists", "", ""), 200, "items");
	assert_true(tls_peer_sha256(t, old));
	assert_int_equal(rename(path("second.crt"), cert), 0);
	assert_int_not_equal(http_server_reload(server), CEIR_OK); /* certificate and key do not fit together */
	u = client_new(server, with_certificate);
	assert_true(tls_peer_sha256(u, now));
	assert_memory_equal(now, old, 32);
	tls_close(u);
	assert_int_equal(rename(path("second.key"), key), 0);
	assert_int_equal(http_server_reload(server), CEIR_OK);
	u = client_new(server, with_certificate);
	assert_true(tls_peer_sha256(u, now));
	assert_memory_equal(now, fresh, 32);
	expect(ask(u, "GET /v1/lists", "", ""), 200, "items");
	expect(ask(t, "GET /v1/lists", "", ""), 200, "items"); /* the old connection goes on */
	tls_close(t);
	tls_close(u);
	server_end(server);
}

static void *stop_it(void *arg)
{
	http_server_stop(arg);
	return NULL;
}

static void test_stopping_finishes_what_runs(void **state)
{
	struct http_server *server = server_new();
	struct tls *busy = client_new(server, with_certificate), *idle = client_new(server, with_certificate);
	pthread_t stopper;

	(void)state;
	expect(ask(idle, "GET /v1/lists", "", ""), 200, "items");
	atomic_store(&holds, true);
	send_text(busy, "GET /v1/imeis/352106050544203 HTTP/1.1\r\nHost: x\r\n\r\n");
	wait_until(&waiting, 1);
	assert_int_equal(pthread_create(&stopper, NULL, stop_it, server), 0);
	expect_closed(idle);
	usleep(100000);
	atomic_store(&holds, false);
	struct answer *a = receive(busy, false);
	expect(a, 200, "grey");
	assert_string_equal(header(a, "Connection"), "close");
	expect_closed(busy);
	pthread_join(stopper, NULL);
	assert_int_equal(atomic_load(&sessions_open), 0);
	http_server_free(server);
}

/* ---- waiting for lists -------------------------------------------------------------------------------------------- */

#define ASK_DELTA "GET /v1/lists/grey?since=5&wait=60 HTTP/1.1\r\nHost: x\r\n\r\n"

static void test_a_wait_ends_with_something_new(void **state)
{
	(void)state;
	settings.idle_timeout_s = 1; /* is not the time of who waits for us */
	struct http_server *server = server_new();
	struct tls *t = client_new(server, with_certificate);
	unsigned asked;

	expect(ask(t, "GET /v1/lists/grey?since=5", "", ""), 200, "imei");
	asked = atomic_load(&executed);
	send_text(t, ASK_DELTA);
	wait_until(&list_waiting, 1);
	usleep(1200000);
	/* The door hears of it when the wait is over: once. */
	assert_int_equal(atomic_load(&executed), asked);
	assert_int_equal(atomic_load(&list_waiting), 1);
	atomic_store(&news, true);
	struct answer *a = receive(t, false);
	expect(a, 200, "imei");
	assert_string_equal(header(a, "Retry-After"), "");
	assert_int_equal(atomic_load(&executed), asked + 1);
	assert_int_equal(atomic_load(&waited_ms), 60000);
	assert_int_equal(seen()->list.since, 5);
	tls_close(t);
	server_end(server);
}

static void test_a_wait_ends_in_time(void **state)
{
	struct http_server *server = server_new();
	struct tls *t = client_new(server, with_certificate);
	struct answer *a;

	(void)state;
	a = ask(t, "GET /v1/lists/grey?since=5&wait=1", "", "");
	expect(a, 200, "imei");
	assert_string_equal(header(a, "Preference-Applied"), "");
	assert_int_equal(atomic_load(&waited_ms), 1000);
	atomic_store(&news, true);
	a = ask(t, "GET /v1/lists/grey?since=5", "Prefer: respond-async, wait=30\r\n", "");
	expect(a, 200, "imei");
	assert_string_equal(header(a, "Preference-Applied"), "wait=30");
	assert_int_equal(atomic_load(&waited_ms), 30000);
	assert_int_equal(atomic_load(&list_waits), 2);
	/* Nothing to wait for. */
	expect(ask(t, "GET /v1/lists/grey", "Prefer: wait=30\r\n", ""), 200, "imei");
	expect(ask(t, "GET /v1/lists/grey?since=5", "Prefer: wait=soon\r\n", ""), 200, "imei");
	expect(ask(t, "GET /v1/lists/grey?wait=30", "", ""), 400, "\"code\":2003");
	expect(ask(t, "GET /v1/lists/grey?since=5&wait=61", "Prefer: wait=3\r\n", ""), 400, "\"field\":\"wait\",\"value\":\"61\"");
	expect(ask(t, "GET /v1/lists/grey?since=5&wait=0", "", ""), 400, "\"field\":\"wait\"");
	expect(ask(t, "GET /v1/lists/grey?since=5&wait=1s", "", ""), 400, "\"field\":\"wait\"");
	assert_int_equal(atomic_load(&list_waits), 2);
	tls_close(t);
	server_end(server);
}

/* More than may wait are answered as though they did not want to. */
static void test_those_who_wait_are_limited(void **state)
{
	(void)state;
	settings.max_waiting = 1;
	struct http_server *server = server_new();
	struct tls *t = client_new(server, with_certificate), *u = client_new(server, with_certificate);

	send_text(t, ASK_DELTA);
	wait_until(&list_waiting, 1);
	struct answer *a = ask(u, "GET /v1/lists/grey?since=5&wait=60", "", "");
	expect(a, 200, "imei");
	/* This list has rows: there is no need to come later. */
	assert_string_equal(header(a, "Ceir-Rows"), "2");
	assert_string_equal(header(a, "Retry-After"), "");
	list_is_empty = true;
	a = ask(u, "GET /v1/lists/grey?since=5", "Prefer: wait=60\r\n", "");
	expect(a, 200, "");
	assert_string_equal(header(a, "Retry-After"), "5");
	assert_string_equal(header(a, "Preference-Applied"), "");
	assert_int_equal(atomic_load(&list_waits), 1);
	atomic_store(&news, true);
	expect(receive(t, false), 200, "");
	/* The place is free again. */
	expect(ask(u, "GET /v1/lists/grey?since=5&wait=60", "", ""), 200, "");
	assert_int_equal(atomic_load(&list_waits), 2);
	tls_close(t);
	tls_close(u);
	server_end(server);
	list_is_empty = false;
}

static void test_who_goes_away_does_not_wait_on(void **state)
{
	struct http_server *server = server_new();
	struct tls *t = client_new(server, with_certificate);

	(void)state;
	send_text(t, ASK_DELTA);
	wait_until(&list_waiting, 1);
	unsigned asked = atomic_load(&executed);
	tls_close(t);
	wait_until(&sessions_open, 0);
	assert_int_equal(atomic_load(&list_waiting), 0);
	assert_int_equal(atomic_load(&executed), asked);
	server_end(server);
}

static void test_stopping_ends_waits(void **state)
{
	struct http_server *server = server_new();
	struct tls *t = client_new(server, with_certificate);
	pthread_t stopper;

	(void)state;
	send_text(t, ASK_DELTA);
	wait_until(&list_waiting, 1);
	assert_int_equal(pthread_create(&stopper, NULL, stop_it, server), 0);
	struct answer *a = receive(t, false);
	expect(a, 200, "imei");
	assert_string_equal(header(a, "Connection"), "close");
	expect_closed(t);
	pthread_join(stopper, NULL);
	http_server_free(server);
}

static void test_addresses(void **state)
{
	struct http_server *server = server_new(), *other;
	char taken[80];

	(void)state;
	log_set_level(LOG_ERROR_ - 1);
	snprintf(taken, sizeof taken, "%s", http_server_address(server));
	settings.listen = taken;
	assert_int_equal(http_server_new(&settings, NULL, &other), CEIR_EEXIST);
	settings.listen = "nonsense";
	assert_int_equal(http_server_new(&settings, NULL, &other), CEIR_EINVAL);
	settings.listen = "127.0.0.1:99999";
	assert_int_equal(http_server_new(&settings, NULL, &other), CEIR_EINVAL);
	settings.listen = "127.0.0.1:0";
	settings.key = settings.ca;
	assert_int_equal(http_server_new(&settings, NULL, &other), CEIR_ETLS);
	log_set_level(LOG_ERROR_);
	server_end(server);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_a_certificate_logs_in_once),
		TEST(test_a_password_logs_in_once_and_others_anew),
		TEST(test_wrong_passwords_end_the_connection),
		TEST(test_a_session_that_the_register_ended_is_closed),
		TEST(test_passwords_can_be_switched_off),
		TEST(test_a_foreign_certificate_is_refused),
		TEST(test_connections_of_one_address_are_limited),
		TEST(test_a_head_that_drips_is_closed),
		TEST(test_the_doors_time_is_not_idleness),
		TEST(test_certificates_are_read_again),
		TEST(test_stopping_finishes_what_runs),
		TEST(test_a_wait_ends_with_something_new),
		TEST(test_a_wait_ends_in_time),
		TEST(test_those_who_wait_are_limited),
		TEST(test_who_goes_away_does_not_wait_on),
		TEST(test_stopping_ends_waits),
		TEST(test_addresses),
	};

	return cmocka_run_group_tests_name("http_server", tests, make_world, remove_world);
}

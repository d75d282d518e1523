/*
 * http_requests_test.c - requests: paths, parameters, bodies, deliveries, lists, answers.
 */
#include "http_world.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* ---- strange requests --------------------------------------------------------------------------------------------- */

static void test_paths_and_methods(void **state)
{
	struct http_server *server = server_new();
	struct tls *t = client_new(server, with_certificate);
	struct answer *a;

	(void)state;
	expect(ask(t, "GET /", "", ""), 404, "\"title\":\"Not found\"");
	expect(ask(t, "GET /v1/lists/pink", "", ""), 404, "404");
	expect(ask(t, "GET /v2/lists", "", ""), 404, "404");
	expect(ask(t, "GET /v1/lists/black/ack/x", "", ""), 404, "404");
	expect(ask(t, "GET /v1/%zz", "", ""), 400, "400");
	a = ask(t, "DELETE /v1/deliveries", "", "");
	expect(a, 405, "405");
	assert_string_equal(header(a, "Allow"), "GET, HEAD, POST");
	a = ask(t, "GET /v1/sightings", "", "");
	expect(a, 405, "405");
	assert_string_equal(header(a, "Allow"), "POST");
	a = ask(t, "POST /v1/lists/black/ack", "Content-Length: 0\r\n", "");
	expect(a, 405, "405");
	assert_string_equal(header(a, "Allow"), "GET, HEAD, PUT");
	/* None of these is a command, nor was anybody asked who it is. */
	assert_int_equal(atomic_load(&executed), 0);
	expect(ask(t, "HEAD /v1/lists", "", ""), 200, "");
	tls_close(t);
	server_end(server);
}

static void test_bad_queries_are_refused_commands(void **state)
{
	struct http_server *server = server_new();
	struct tls *t = client_new(server, with_certificate);

	(void)state;
	expect(ask(t, "GET /v1/deliveries?limt=5", "", ""), 400, "\"field\":\"query\",\"value\":\"limt\"");
	expect(ask(t, "GET /v1/deliveries?limit=0", "", ""), 400, "\"code\":2004");
	expect(ask(t, "GET /v1/deliveries?limit=x", "", ""), 400, "\"field\":\"limit\",\"value\":\"x\"");
	expect(ask(t, "GET /v1/deliveries?limit=5&limit=6", "", ""), 400, "twice");
	expect(ask(t, "GET /v1/lists/black?since=-1", "", ""), 400, "\"field\":\"since\"");
	expect(ask(t, "GET /v1/lists/black?format=pdf", "", ""), 400, "\"field\":\"format\"");
	expect(ask(t, "GET /v1/lists/black", "Accept: image/png\r\n", ""), 406, "\"field\":\"Accept\"");
	expect(ask(t, "POST /v1/deliveries?kind=big", "Content-Length: 3\r\n", "a,b"), 400, "\"field\":\"kind\"");
	expect(ask(t, "POST /v1/deliveries", "Content-Length: 3\r\n", "a,b"), 400, "\"code\":2003");
	expect(ask(t, "GET /v1/lists", "Client-Transaction-Id: x\r\n", ""), 400, "\"field\":\"Client-Transaction-Id\"");
	expect(ask(t, "GET /v1/imeis/12", "", ""), 400, "\"field\":\"imei\",\"value\":\"12\"");
	assert_int_equal(atomic_load(&executed), 12);
	assert_int_equal(atomic_load(&deliveries), 0);
	expect(ask(t, "GET /v1/deliveries?limit=5&cursor=a%2Bb", "", ""), 200, "items");
	assert_int_equal(seen()->limit, 5);
	tls_close(t);
	server_end(server);
}

static void test_bodies_that_are_not_taken(void **state)
{
	struct http_server *server = server_new();
	struct tls *t = client_new(server, with_certificate);
	struct answer *a;

	(void)state;
	a = ask(t, "POST /v1/deliveries?kind=full", "Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 3\r\n", "a,b");
	expect(a, 415, "\"field\":\"Content-Type\"");
	a = ask(t, "POST /v1/deliveries?kind=full", "Content-Encoding: br\r\nContent-Length: 3\r\n", "a,b");
	expect(a, 415, "\"field\":\"Content-Encoding\"");
	assert_string_equal(header(a, "Accept-Encoding"), "gzip, zstd, identity");
	expect(ask(t, "POST /v1/sightings", "Content-Type: text/xml\r\nContent-Length: 2\r\n", "{}"), 415, "application/json or text/csv");
	expect(ask(t, "PUT /v1/lists/black/ack", "Content-Type: text/csv\r\nContent-Length: 2\r\n", "{}"), 415, "application/json");
	expect(ask(t, "POST /v1/sightings", "Content-Length: 0\r\n", ""), 400, "\"field\":\"body\"");
	expect(ask(t, "PUT /v1/lists/black/ack", "Content-Length: 2\r\n", "{}"), 400, "\"field\":\"body\"");
	expect(ask(t, "GET /v1/lists", "Content-Length: 2\r\n", "{}"), 400, "no body");
	expect(ask(t, "POST /v1/sightings", "Content-Type: application/json\r\nContent-Length: 4097\r\nExpect: 100-continue\r\n", ""), 413,
		"too large");
	expect_closed(t);
	/* A body without a length is counted while it comes. */
	t = client_new(server, with_certificate);
	send_text(t, "POST /v1/sightings HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n");
	char chunk[1100] = "400\r\n";
	memset(chunk + 5, ' ', 1024);
	memcpy(chunk + 1029, "\r\n", 3);
	for (unsigned i = 0; i < 6; i++)
		send_text(t, chunk);
	send_text(t, "0\r\n\r\n");
	expect(receive(t, false), 413, "too large");
	assert_int_equal(atomic_load(&deliveries), 0);
	tls_close(t);
	server_end(server);
}

static void test_small_bodies_reach_the_door(void **state)
{
	struct http_server *server = server_new();
	struct tls *t = client_new(server, with_certificate);

	(void)state;
	expect(ask(t, "POST /v1/sightings", "Content-Type: application/json\r\nContent-Length: 5\r\n", "[{ }]"), 200, "{}");
	assert_string_equal(seen()->object, "triplet");
	assert_string_equal(seen()->body, "[{ }]");
	assert_non_null(strstr(seen()->request, "POST /v1/sightings\r\nClient-Transaction-Id: HTTP-"));
	assert_non_null(strstr(seen()->request, "\r\n\r\n[{ }]"));
	expect(ask(t, "PUT /v1/lists/grey/ack", "Content-Length: 10\r\n", "{\"seq\": 9}"), 200, "{}");
	assert_int_equal(seen()->verb, REG_UPDATE);
	assert_string_equal(seen()->object, "list");
	assert_string_equal(seen()->key, "id=grey;");
	assert_string_equal(seen()->set, "ackSeq=9;");
	expect(ask(t, "GET /v1/lists/grey/ack", "", ""), 200, "{}");
	assert_int_equal(seen()->verb, REG_INFO);
	assert_false(seen()->has_list);
	tls_close(t);
	server_end(server);
}

/* ---- deliveries --------------------------------------------------------------------------------------------------- */

static void test_a_delivery_arrives_whole(void **state)
{
	struct http_server *server = server_new();
	struct tls *t = client_new(server, with_certificate);
	struct answer *a;

	(void)state;
	a = ask(t, "POST /v1/deliveries?kind=full&id=day%201",
		"Content-Type: text/csv\r\nContent-Disposition: attachment; filename=\"subs.csv\"\r\nContent-Length: 4\r\n", "abcd");
	expect(a, 202, "{\"id\":\"DEL-1\"}");
	assert_string_equal(header(a, "Location"), "/v1/deliveries/DEL-1");
	assert_true(seen()->full);
	assert_int_equal(seen()->bytes, 4);
	assert_int_equal(seen()->sum, 'a' + 'b' + 'c' + 'd');
	assert_string_equal(seen()->id, "day 1");
	assert_string_equal(seen()->set, "kind=full;clientID=day 1;fileName=subs.csv;");
	/* Chunked, and large. */
	static char chunk[65536 + 16];
	size_t n = (size_t)snprintf(chunk, sizeof chunk, "10000\r\n");
	memset(chunk + n, 'x', 65536);
	memcpy(chunk + n + 65536, "\r\n", 2);
	send_text(t, "POST /v1/deliveries?kind=delta HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nContent-Encoding: zstd\r\n\r\n");
	for (unsigned i = 0; i < 128; i++)
		assert_int_equal(tls_write(t, chunk, n + 65538, TIMEOUT_MS), CEIR_OK);
	send_text(t, "0\r\n\r\n");
	expect(receive(t, false), 202, "DEL-1");
	assert_false(seen()->full);
	assert_true(seen()->bytes == 128 * 65536);
	assert_true(seen()->sum == UINT64_C(128) * 65536 * 'x');
	assert_int_equal(atomic_load(&dropped), 0);
	tls_close(t);
	server_end(server);
}

static void test_a_client_that_goes_away_leaves_nothing(void **state)
{
	struct http_server *server = server_new();
	struct tls *t = client_new(server, with_certificate);

	(void)state;
	send_text(t, "POST /v1/deliveries?kind=full HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\nabc");
	wait_until(&deliveries, 1);
	unsigned before = atomic_load(&executed);
	tls_close(t);
	wait_until(&dropped, 1);
	wait_until(&sessions_open, 0);
	assert_int_equal(atomic_load(&executed), before);
	server_end(server);
}

/* Refused before the body comes, for a client that waits to be told; for one that does not, after it. */
static void test_refused_deliveries(void **state)
{
	struct http_server *server = server_new();
	struct tls *t = client_new(server, with_certificate);
	struct answer *a;

	(void)state;
	atomic_store(&begin_err, CEIR_EPERM);
	expect(ask(t, "POST /v1/deliveries?kind=full", "Content-Length: 3\r\n", "abc"), 403, "\"code\":2201");
	atomic_store(&begin_err, CEIR_ELIMIT);
	a = ask(t, "POST /v1/deliveries?kind=full", "Content-Length: 3\r\n", "abc");
	expect(a, 429, "later");
	assert_string_equal(header(a, "Retry-After"), "5");
	atomic_store(&begin_err, CEIR_EINVAL);
	expect(ask(t, "POST /v1/deliveries?kind=full&id=x", "Content-Length: 3\r\n", "abc"), 400, "\"field\":\"id\"");
	atomic_store(&begin_err, CEIR_ENOSPC);
	expect(ask(t, "POST /v1/deliveries?kind=full", "Content-Length: 3\r\n", "abc"), 500, "\"code\":2400");
	atomic_store(&begin_err, CEIR_ELIMIT);
	a = ask(t, "POST /v1/deliveries?kind=full", "Content-Length: 30000000\r\nExpect: 100-continue\r\n", "");
	expect(a, 429, "later");
	assert_string_equal(header(a, "Connection"), "close");
	expect_closed(t);
	server_end(server);
}

static void test_a_body_that_is_no_delivery_is_thrown_away(void **state)
{
	struct http_server *server = server_new();
	struct tls *t = client_new(server, with_certificate);

	(void)state;
	send_text(t, "POST /v1/deliveries?kind=full HTTP/1.1\r\nHost: x\r\nContent-Length: 6\r\n\r\n!ab");
	wait_until(&deliveries, 1);
	usleep(20000);
	send_text(t, "cde");
	expect(receive(t, false), 400, "\"code\":2001");
	assert_int_equal(atomic_load(&dropped), 0); /* the door had it */
	send_text(t, "POST /v1/deliveries?kind=full HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\n?ab");
	expect(receive(t, false), 500, "\"code\":2400");
	assert_int_equal(atomic_load(&dropped), 1);
	tls_close(t);
	server_end(server);
}

/* ---- lists -------------------------------------------------------------------------------------------------------- */

static void test_lists_are_files(void **state)
{
	struct http_server *server = server_new();
	struct tls *t = client_new(server, with_certificate);
	struct answer *a = ask(t, "GET /v1/lists/black?since=5", "Accept-Encoding: gzip;q=0.5, zstd\r\n", "");

	(void)state;
	expect(a, 200, "imei\n1\n2\n");
	assert_int_equal(a->n_body, 9);
	assert_string_equal(header(a, "Content-Type"), "text/csv; charset=utf-8");
	assert_string_equal(header(a, "Content-Encoding"), "zstd");
	assert_string_equal(header(a, "ETag"), "\"" DIGEST "\"");
	assert_string_equal(header(a, "Repr-Digest"), "sha-256=:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=:");
	assert_string_equal(header(a, "Ceir-Sequence-From"), "5");
	assert_string_equal(header(a, "Ceir-Sequence-To"), "9");
	assert_string_equal(header(a, "Ceir-Signature"), "0123abcd");
	assert_string_equal(header(a, "Vary"), "Accept, Accept-Encoding");
	assert_string_equal(header(a, "Content-Disposition"), "attachment; filename=\"black.csv\"");
	assert_true(seen()->has_list && seen()->list.delta && seen()->list.since == 5 && seen()->list.packing == REG_ZSTD);
	assert_int_equal(seen()->list.format, REG_LIST_CSV);
	expect(ask(t, "GET /v1/lists/white", "Accept: application/xml, text/csv;q=0.5\r\nAccept-Encoding: zstd;q=0, gzip\r\n", ""), 200, "imei");
	assert_true(!seen()->list.delta && seen()->list.packing == REG_GZIP && seen()->list.format == REG_LIST_XML);
	assert_string_equal(seen()->key, "id=white;");
	expect(ask(t, "GET /v1/lists/white?format=csv&operator=UA-MNO-1", "Accept: application/xml\r\n", ""), 200, "imei");
	assert_string_equal(seen()->key, "id=white;operator=UA-MNO-1;");
	assert_true(seen()->list.packing == REG_PLAIN && seen()->list.format == REG_LIST_CSV);
	tls_close(t);
	server_end(server);
}

static void test_a_list_that_is_known_is_not_sent_again(void **state)
{
	struct http_server *server = server_new();
	struct tls *t = client_new(server, with_certificate);
	struct answer *a = ask(t, "GET /v1/lists/black", "If-None-Match: \"x\", \"" DIGEST "\"\r\n", "");

	(void)state;
	assert_int_equal(a->status, 304);
	assert_int_equal(a->n_body, 0);
	assert_string_equal(header(a, "ETag"), "\"" DIGEST "\"");
	expect(ask(t, "GET /v1/lists/black", "If-None-Match: \"x\"\r\n", ""), 200, "imei");
	a = ask(t, "HEAD /v1/lists/black", "", "");
	assert_int_equal(a->status, 200);
	assert_string_equal(header(a, "Content-Length"), "9");
	expect(ask(t, "GET /v1/deliveries/DEL-1/rejects", "", ""), 200, "imei");
	assert_true(seen()->want_file);
	a = ask(t, "GET /v1/deliveries/NONE/rejects", "", "");
	assert_int_equal(a->status, 204);
	tls_close(t);
	server_end(server);
}

/* The door may render twice, and a settle may fail: no descriptor is lost, no answer escapes. */
static void test_answers_that_may_not_leave(void **state)
{
	int before = dup(0), after;
	struct http_server *server = server_new();
	struct tls *t = client_new(server, with_certificate);

	(void)state;
	expect(ask(t, "GET /v1/lists", "", ""), 200, "items");
	atomic_store(&answers_twice, true);
	expect(ask(t, "GET /v1/lists/black", "", ""), 200, "imei");
	expect(ask(t, "GET /v1/lists", "", ""), 200, "items");
	atomic_store(&settle_fails, true);
	struct answer *a = ask(t, "GET /v1/lists/black", "", "");
	expect(a, 500, "\"status\":500");
	assert_null(strstr(a->body, "imei"));
	expect(ask(t, "GET /v1/imeis/352106050544203", "", ""), 500, "\"status\":500");
	tls_close(t);
	server_end(server);
	assert_int_equal(close(before), 0);
	after = dup(0);
	assert_int_equal(before, after);
	close(after);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_paths_and_methods),
		TEST(test_bad_queries_are_refused_commands),
		TEST(test_bodies_that_are_not_taken),
		TEST(test_small_bodies_reach_the_door),
		TEST(test_a_delivery_arrives_whole),
		TEST(test_a_client_that_goes_away_leaves_nothing),
		TEST(test_refused_deliveries),
		TEST(test_a_body_that_is_no_delivery_is_thrown_away),
		TEST(test_lists_are_files),
		TEST(test_a_list_that_is_known_is_not_sent_again),
		TEST(test_answers_that_may_not_leave),
	};

	return cmocka_run_group_tests_name("http_requests", tests, make_world, remove_world);
}

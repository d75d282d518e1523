/*
 * epp_server_test.c - the server with a door that does what the test wants: answers twice, fails to settle, takes its time. Real
 * TLS, real sockets, real threads; what the true door makes of commands is not asked here.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <ftw.h>
#include <netdb.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "epp/epp.h"

#define TIMEOUT_MS 10000u
#define EPP(inner) "<epp xmlns='urn:ietf:params:xml:ns:epp-1.0'>" inner "</epp>"
#define LOGIN                                                                                                                      \
	EPP("<command><login><clID>lea1</clID><pw>secret-1</pw><options><version>1.0</version><lang>en</lang></options><svcs>"     \
	    "<objURI>urn:ietf:params:xml:ns:imei-1.0</objURI></svcs></login><clTRID>LOGIN</clTRID></command>")

static char dir[] = "/tmp/ceir-epp-XXXXXX";
static struct tls_server *tls_of_server;
static struct tls_client *tls_of_client;

/* ---- a door made for the tests ----------------------------------------------------------------------------------- */

static atomic_bool settle_fails, settle_fails_with_reads, answers_twice, holds; /* holds: poll waits until this becomes false */
static atomic_uint executed, sessions_open, in_poll;

struct reg_session {
	enum reg_role role;
	bool ended;
	unsigned reads; /* since the last settle */
};

struct reg_session *reg_session_new(struct registry *r, const struct reg_client *client)
{
	(void)r;
	assert_true(client->has_certificate);
	atomic_fetch_add(&sessions_open, 1);
	return calloc(1, sizeof(struct reg_session));
}

void reg_session_free(struct reg_session *s)
{
	atomic_fetch_sub(&sessions_open, 1);
	free(s);
}

size_t reg_session_lang(const struct reg_session *s)
{
	(void)s;
	return 0;
}

enum reg_role reg_session_role(const struct reg_session *s)
{
	return s->role;
}

bool reg_session_ended(const struct reg_session *s)
{
	return s->ended;
}

enum ceir_err reg_settle(struct reg_session *s)
{
	bool fails = atomic_load(&settle_fails) || (atomic_load(&settle_fails_with_reads) && s->reads > 0);

	s->reads = 0;
	return fails ? CEIR_ENOSPC : CEIR_OK;
}

void reg_execute(
	struct reg_session *s, const struct reg_command *c, struct arena *arena, reg_render render, void *face, struct buf *out)
{
	struct reg_reply reply = {.code = c->refused              ? c->refused
					  : c->verb == REG_LOGOUT ? REG_BYE
								  : REG_DONE,
		.details = c->refused_details};
	size_t from = out->n;

	(void)arena;
	snprintf(reply.svtrid, sizeof reply.svtrid, "TEST-%u", atomic_fetch_add(&executed, 1));
	if (c->verb == REG_POLL && !c->refused) {
		atomic_fetch_add(&in_poll, 1);
		while (atomic_load(&holds))
			usleep(1000);
	}
	s->reads += c->verb != REG_LOGIN && !c->poll_ack;
	if (c->verb == REG_LOGIN && !c->refused)
		s->role = REG_ROLE_LEA;
	s->ended = reply.code == REG_BYE;
	render(face, c, &reply, out);
	if (atomic_load(&answers_twice)) {
		out->n = from;
		render(face, c, &reply, out);
	}
}

/* ---- the tests' world -------------------------------------------------------------------------------------------- */

static int remove_one(const char *name, const struct stat *st, int type, struct FTW *where)
{
	(void)st;
	(void)type;
	(void)where;
	return remove(name);
}

static const char *path(const char *name)
{
	static char paths[8][128];
	static unsigned turn;
	char *p = paths[turn++ % 8];

	snprintf(p, sizeof paths[0], "%s/%s", dir, name);
	return p;
}

static int make_world(void **state)
{
	static const char *const names[] = {"localhost", "127.0.0.1", "::1"};

	(void)state;
	log_setup(stderr, false, LOG_ERROR_);
	if (!mkdtemp(dir) || tls_ca_create(dir, "ceir test") || tls_ca_issue(dir, "server", TLS_USE_SERVER, names, 3, 1, NULL) ||
		tls_ca_issue(dir, "client", TLS_USE_CLIENT, NULL, 0, 1, NULL))
		return -1;
	if (tls_server_new(path("server.crt"), path("server.key"), path("ca.crt"), &tls_of_server))
		return -1;
	return tls_client_new(path("ca.crt"), path("client.crt"), path("client.key"), &tls_of_client) ? -1 : 0;
}

static int remove_world(void **state)
{
	(void)state;
	tls_client_free(tls_of_client);
	tls_server_free(tls_of_server);
	return nftw(dir, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

static struct epp_server *server_with(const char *listen, unsigned max_sessions, unsigned max_address, unsigned frame_timeout_s)
{
	const struct epp_settings settings = {.listen = listen,
		.server_id = "test",
		.max_frame_bytes = 65536,
		.max_sessions = max_sessions,
		.max_sessions_address = max_address,
		.idle_timeout_s = 60,
		.frame_timeout_s = frame_timeout_s,
		.session_lifetime_s = 600,
		.max_depth = 32,
		.max_names = 1000};
	struct epp_server *server;

	atomic_store(&settle_fails, false);
	atomic_store(&settle_fails_with_reads, false);
	atomic_store(&answers_twice, false);
	atomic_store(&holds, false);
	atomic_store(&in_poll, 0);
	assert_int_equal(epp_server_new(&settings, NULL, tls_of_server, &server), CEIR_OK);
	assert_int_equal(epp_server_start(server), CEIR_OK);
	return server;
}

static struct epp_server *server_new(void)
{
	return server_with("127.0.0.1:0", 20, 20, 10);
}

static void server_end(struct epp_server *server)
{
	epp_server_stop(server);
	assert_int_equal(atomic_load(&sessions_open), 0);
	epp_server_free(server);
}

static const char *port_of(const struct epp_server *server)
{
	return strrchr(epp_server_address(server), ':') + 1;
}

static struct epp_client *client_new(const struct epp_server *server)
{
	struct epp_client *c;
	char why[200];
	const char *host = epp_server_address(server)[0] == '[' ? "::1" : "127.0.0.1";

	if (epp_client_connect(tls_of_client, host, port_of(server), TIMEOUT_MS, &c, why, sizeof why) != CEIR_OK)
		fail_msg("%s: %s", epp_server_address(server), why);
	return c;
}

static void send_xml(struct epp_client *c, const char *xml)
{
	assert_int_equal(epp_client_send(c, str_of(xml)), CEIR_OK);
}

/* The next answer has this text in it. */
static void expect(struct epp_client *c, const char *part)
{
	struct str xml;

	assert_int_equal(epp_client_receive(c, &xml), CEIR_OK);
	if (!memmem(xml.p, xml.n, part, strlen(part)))
		fail_msg("\"%s\" is not in %.*s", part, (int)xml.n, xml.p);
}

static void expect_end(struct epp_client *c)
{
	struct str xml;

	assert_int_equal(epp_client_receive(c, &xml), CEIR_ECLOSED);
	epp_client_close(c);
}

static int plain_connect(const struct epp_server *server)
{
	struct sockaddr_in a = {.sin_family = AF_INET,
		.sin_port = htons((uint16_t)atoi(port_of(server))),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&a, sizeof a), 0);
	return fd;
}

static void wait_for(atomic_uint *value, unsigned at_least)
{
	for (unsigned i = 0; i < TIMEOUT_MS && atomic_load(value) < at_least; i++)
		usleep(1000);
	assert_true(atomic_load(value) >= at_least);
}

/* A connection whose bytes are made by hand, behind TLS; the greeting is read. */
static struct tls *tls_by_hand(const struct epp_server *server)
{
	char bytes[4096];
	struct tls *t;
	size_t got;

	assert_int_equal(tls_connect(tls_of_client, plain_connect(server), "127.0.0.1", TIMEOUT_MS, &t, NULL, 0), CEIR_OK);
	assert_int_equal(tls_read(t, bytes, sizeof bytes, &got, TIMEOUT_MS), CEIR_OK);
	return t;
}

/* All bytes until the end. */
static size_t read_all(struct tls *t, char *bytes, size_t size)
{
	size_t n = 0, got;

	while (n < size && tls_read(t, bytes + n, size - n, &got, TIMEOUT_MS) == CEIR_OK)
		n += got;
	return n;
}

static void put_frame(struct buf *b, const char *xml)
{
	uint32_t header = htonl((uint32_t)strlen(xml) + 4);

	buf_put(b, &header, 4);
	buf_c(b, xml);
}

/* ---- commands ---------------------------------------------------------------------------------------------------- */

static void test_conversation(void **state)
{
	static const char *const addresses[] = {"127.0.0.1:0", "[::1]:0", "localhost:0"};

	(void)state;
	for (size_t i = 0; i < CEIR_COUNT(addresses); i++) {
		struct epp_server *server = server_with(addresses[i], 20, 20, 10);
		struct epp_client *c = client_new(server);
		struct str greeting = epp_client_greeting(c);

		assert_non_null(memmem(greeting.p, greeting.n, "<svID>test</svID>", 17));
		send_xml(c, EPP("<command><poll op='req'/><clTRID>EARLY</clTRID></command>"));
		expect(c, "code=\"2002\"");
		send_xml(c, LOGIN);
		expect(c, "<clTRID>LOGIN</clTRID>");
		send_xml(c, EPP("<hello/>"));
		expect(c, "<greeting>");
		send_xml(c, "nonsense");
		expect(c, "code=\"2001\"");
		send_xml(c, EPP("<command><logout/><clTRID>BYE</clTRID></command>"));
		expect(c, "code=\"1500\"");
		expect_end(c);
		server_end(server);
	}
}

static void test_pipelining(void **state)
{
	struct epp_server *server = server_new();
	struct epp_client *c = client_new(server);
	char xml[160];

	(void)state;
	atomic_store(&answers_twice, true);
	send_xml(c, LOGIN);
	for (unsigned i = 0; i < 500; i++) {
		snprintf(xml, sizeof xml, EPP("<command><poll op='req'/><clTRID>PIPE-%u</clTRID></command>"), i);
		send_xml(c, xml);
	}
	expect(c, "LOGIN");
	for (unsigned i = 0; i < 500; i++) {
		snprintf(xml, sizeof xml, "<clTRID>PIPE-%u</clTRID>", i);
		expect(c, xml);
	}
	epp_client_close(c);
	server_end(server);
}

/* None of the answers may leave: each command gets 2400 with its own identifiers, in order, and the session goes on. */
static void test_settle_fails(void **state)
{
	struct epp_server *server = server_new();
	struct epp_client *c = client_new(server);

	(void)state;
	send_xml(c, LOGIN);
	expect(c, "code=\"1000\"");
	atomic_store(&answers_twice, true);
	atomic_store(&settle_fails, true);
	send_xml(c, EPP("<command><poll op='req'/><clTRID>FIRST</clTRID></command>"));
	send_xml(c, EPP("<hello/>"));
	send_xml(c, EPP("<command><shred/></command>"));
	send_xml(c, EPP("<command><poll op='req'/><clTRID>&lt;LAST&gt;</clTRID></command>"));
	expect(c, "<result code=\"2400\"><msg lang=\"en\">Command failed</msg></result><trID><clTRID>FIRST</clTRID><svTRID>TEST-");
	expect(c, "<greeting>");
	expect(c, "<result code=\"2400\"><msg lang=\"en\">Command failed</msg></result><trID><svTRID>TEST-");
	expect(c, "<clTRID>&lt;LAST&gt;</clTRID><svTRID>TEST-");
	atomic_store(&settle_fails, false);
	send_xml(c, EPP("<command><poll op='req'/><clTRID>AGAIN</clTRID></command>"));
	expect(c, "code=\"1000\"");
	epp_client_close(c);
	server_end(server);
}

/* A change is on disk when the door returns: its answer is true whatever becomes of its neighbours. */
static void test_settle_fails_beside_a_change(void **state)
{
	struct epp_server *server = server_new();
	struct tls *t = tls_by_hand(server);
	struct buf frames = BUF_INIT(0);
	char bytes[8192];
	const char *first, *change, *last;
	size_t n;

	(void)state;
	atomic_store(&settle_fails_with_reads, true);
	put_frame(&frames, LOGIN);
	put_frame(&frames, EPP("<command><poll op='req'/><clTRID>FIRST</clTRID></command>"));
	put_frame(&frames, EPP("<command><poll op='ack' msgID='1'/><clTRID>CHANGE</clTRID></command>"));
	put_frame(&frames, EPP("<command><poll op='req'/><clTRID>LAST</clTRID></command>"));
	put_frame(&frames, EPP("<command><logout/><clTRID>BYE</clTRID></command>"));
	assert_int_equal(tls_write(t, frames.p, frames.n, TIMEOUT_MS), CEIR_OK);
	n = read_all(t, bytes, sizeof bytes - 1);
	bytes[n] = '\0';
	for (size_t i = 0; i < n; i++) /* of the headers */
		bytes[i] = bytes[i] ? bytes[i] : ' ';
	first = strstr(bytes, "2400");
	change = strstr(
		bytes, "<result code=\"1000\"><msg lang=\"en\">Command completed successfully</msg></result><trID><clTRID>CHANGE");
	assert_true(first && change && first < change);
	last = strstr(change, "2400");
	assert_true(last && strstr(last, "LAST"));
	tls_close(t);
	buf_free(&frames);
	server_end(server);
}

/* ---- limits ------------------------------------------------------------------------------------------------------ */

static void test_too_many(void **state)
{
	(void)state;
	for (unsigned by_address = 0; by_address < 2; by_address++) {
		struct epp_server *server = server_with("127.0.0.1:0", by_address ? 20 : 2, by_address ? 2 : 20, 10);
		struct epp_client *a = client_new(server), *b = client_new(server), *c = client_new(server), *d;
		struct str told = epp_client_greeting(c);

		assert_non_null(memmem(told.p, told.n, "code=\"2502\"", 11));
		expect_end(c);
		epp_client_close(a);
		/* There is room again as soon as the server has seen it. */
		for (unsigned i = 0; i < 1000; i++) {
			d = client_new(server);
			told = epp_client_greeting(d);
			if (memmem(told.p, told.n, "<greeting>", 10))
				break;
			epp_client_close(d);
			usleep(5000);
		}
		send_xml(d, LOGIN);
		expect(d, "code=\"1000\"");
		epp_client_close(b);
		epp_client_close(d);
		server_end(server);
	}
}

static void test_bad_lengths(void **state)
{
	static const uint32_t lengths[] = {0, 1, 4, 65537, 0x7FFFFFFF, 0xFFFFFFFF};
	struct epp_server *server = server_new();

	(void)state;
	for (size_t i = 0; i < CEIR_COUNT(lengths); i++) {
		uint32_t header = htonl(lengths[i]);
		struct tls *t = tls_by_hand(server);
		char bytes[4096];
		size_t n;

		assert_int_equal(tls_write(t, &header, 4, TIMEOUT_MS), CEIR_OK);
		n = read_all(t, bytes, sizeof bytes);
		assert_non_null(memmem(bytes, n, "code=\"2500\"", 11)); /* nobody is logged in: told why in a frame */
		tls_close(t);
	}
	server_end(server);
}

static void test_slow_frame(void **state)
{
	struct epp_server *server = server_with("127.0.0.1:0", 20, 20, 1);
	struct tls *t = tls_by_hand(server);
	int64_t begun = clock_mono_us();
	char bytes[4096];
	size_t n;

	(void)state;
	assert_int_equal(tls_write(t, "\0\0\1", 3, TIMEOUT_MS), CEIR_OK);
	n = read_all(t, bytes, sizeof bytes);
	assert_true(clock_mono_us() - begun >= 900000);
	assert_non_null(memmem(bytes, n, "code=\"2500\"", 11));
	tls_close(t);
	server_end(server);
}

/* ---- stopping ---------------------------------------------------------------------------------------------------- */

static void *stop_server(void *server)
{
	epp_server_stop(server);
	return NULL;
}

/* The running command is finished and answered; one that waits behind it is told 2500; then the end, whatever else waits. */
static void test_stop(void **state)
{
	struct epp_server *server = server_new();
	struct epp_client *idle = client_new(server);
	struct tls *busy = tls_by_hand(server);
	struct buf frames = BUF_INIT(0);
	pthread_t stopper;
	char bytes[8192];
	const char *first, *second;
	size_t n;

	(void)state;
	atomic_store(&holds, true);
	put_frame(&frames, LOGIN);
	put_frame(&frames, EPP("<command><poll op='req'/><clTRID>RUNNING</clTRID></command>"));
	put_frame(&frames, EPP("<command><poll op='req'/><clTRID>WAITING</clTRID></command>"));
	put_frame(&frames, EPP("<command><poll op='req'/><clTRID>NEVER</clTRID></command>"));
	assert_int_equal(tls_write(busy, frames.p, frames.n, TIMEOUT_MS), CEIR_OK);
	wait_for(&in_poll, 1);
	assert_int_equal(pthread_create(&stopper, NULL, stop_server, server), 0);
	expect_end(idle);
	atomic_store(&holds, false);
	n = read_all(busy, bytes, sizeof bytes);
	pthread_join(stopper, NULL);
	first = memmem(bytes, n, "<clTRID>RUNNING</clTRID>", 24);
	second = memmem(bytes, n, "<result code=\"2500\">", 20);
	assert_true(first && second && first < second);
	assert_non_null(memmem(second, n - (size_t)(second - bytes), "<clTRID>WAITING</clTRID>", 24));
	assert_null(memmem(bytes, n, "NEVER", 5));
	assert_int_equal(atomic_load(&sessions_open), 0);
	tls_close(busy);
	buf_free(&frames);
	epp_server_free(server);
}

/* Neither a peer that never began TLS nor one in the middle of a frame delays it. */
static void test_stop_does_not_wait(void **state)
{
	struct epp_server *server = server_with("127.0.0.1:0", 20, 20, 60);
	int64_t begun = clock_mono_us();
	int silent = plain_connect(server);
	struct tls *t = tls_by_hand(server);

	(void)state;
	assert_int_equal(tls_write(t, "\0\0\1\0<", 5, TIMEOUT_MS), CEIR_OK);
	server_end(server);
	assert_true(clock_mono_us() - begun < 20 * INT64_C(1000000));
	tls_close(t);
	close(silent);
}

static void *talk(void *server)
{
	for (unsigned i = 0; i < 5; i++) {
		struct epp_client *c = client_new(server);

		send_xml(c, LOGIN);
		expect(c, "code=\"1000\"");
		for (unsigned k = 0; k < 20; k++) {
			send_xml(c, EPP("<command><poll op='req'/><clTRID>TALK</clTRID></command>"));
			expect(c, "<clTRID>TALK</clTRID>");
		}
		epp_client_close(c);
	}
	return NULL;
}

static void test_many_threads(void **state)
{
	struct epp_server *server = server_with("127.0.0.1:0", 100, 100, 30);
	pthread_t threads[6];

	(void)state;
	for (size_t i = 0; i < CEIR_COUNT(threads); i++)
		assert_int_equal(pthread_create(&threads[i], NULL, talk, server), 0);
	for (size_t i = 0; i < CEIR_COUNT(threads); i++)
		pthread_join(threads[i], NULL);
	wait_for(&executed, 1);
	server_end(server);
}

static void test_bad_addresses(void **state)
{
	static const char *const bad[] = {
		"", "127.0.0.1", ":700", "127.0.0.1:", "127.0.0.1:65536", "127.0.0.1:x", "[::1]", "256.1.1.1:0"};
	struct epp_settings settings = {.server_id = "test", .max_frame_bytes = 65536};

	(void)state;
	log_set_level(LOG_ERROR_);
	for (size_t i = 0; i < CEIR_COUNT(bad); i++) {
		struct epp_server *server;

		settings.listen = bad[i];
		assert_int_not_equal(epp_server_new(&settings, NULL, tls_of_server, &server), CEIR_OK);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_conversation),
		cmocka_unit_test(test_pipelining),
		cmocka_unit_test(test_settle_fails),
		cmocka_unit_test(test_settle_fails_beside_a_change),
		cmocka_unit_test(test_too_many),
		cmocka_unit_test(test_bad_lengths),
		cmocka_unit_test(test_slow_frame),
		cmocka_unit_test(test_stop),
		cmocka_unit_test(test_stop_does_not_wait),
		cmocka_unit_test(test_many_threads),
		cmocka_unit_test(test_bad_addresses),
	};

	return cmocka_run_group_tests(tests, make_world, remove_world);
}

/*
 * http_world.h - for tests of the HTTP face: a server with a door that does what the test wants, and a client. Real TLS, real sockets, real
 * threads; what the true door makes of commands is not asked here.
 */
#ifndef CEIR_HTTP_WORLD_H
#define CEIR_HTTP_WORLD_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <stdatomic.h>

#include "http/http.h"
#include "tls/tls.h"

#define TIMEOUT_MS 10000u
#define BASIC_GOOD "Authorization: Basic b3AxOmdvb2Q=\r\n"  /* op1:good */
#define BASIC_OTHER "Authorization: Basic b3AyOmdvb2Q=\r\n" /* op2:good */
#define BASIC_WRONG "Authorization: Basic b3AxOmJhZA==\r\n" /* op1:bad */
#define DIGEST "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855" /* of every list */

/* ---- the door ----------------------------------------------------------------------------------------------------- */

/* What it is to do; server_new() clears all. holds: an IMEI's check waits until this becomes false. */
/* news: lists have something new. */
extern atomic_bool settle_fails, answers_twice, holds, ends, news;
extern atomic_int begin_err; /* of reg_delivery_begin() */
/* What it has counted since server_new(). */
extern atomic_uint sessions_open, sessions_made, logins, executed, waiting, dropped, deliveries, list_waits, list_waiting;
/* list_waits: waits for a list that have begun; list_waiting: that are going on. */
extern atomic_bool list_is_empty; /* lists have no rows */
extern atomic_int waited_ms; /* how long the last of them was to be */
/* The last command that was no login, and what came of the last delivery. */
struct http_seen {
	char request[4096], cltrid[80], object[20], who[80], key[80], set[200], body[200], name[80], id[80];
	enum reg_verb verb;
	bool full, want_file;
	struct reg_list_request list;
	bool has_list;
	uint32_t limit;
	uint64_t bytes, sum;
};
/* As it is now, for when the answer is there; good until the next call. The test's thread only. */
const struct http_seen *seen(void);

/* ---- the world: certificates in `dir`, two clients ------------------------------------------------------------------ */

extern char dir[];
extern struct tls_client *with_certificate, *without_certificate;
extern struct http_settings settings; /* usual_settings() sets it before each test */

int make_world(void **state);
int remove_world(void **state);
int usual_settings(void **state);
#define TEST(f) cmocka_unit_test_setup(f, usual_settings)
struct stat;
struct FTW;
int remove_one(const char *name, const struct stat *st, int type, struct FTW *where); /* for nftw() */
const char *path(const char *name); /* dir/name; the last eight are good */

struct http_server *server_new(void);
void server_end(struct http_server *server); /* no session may be left */

/* ---- the client ----------------------------------------------------------------------------------------------------- */

struct answer {
	int status; /* 0: the connection closed */
	char head[4096], body[8192];
	size_t n_body;
};

int plain_connect(const struct http_server *server);
struct tls *client_new(const struct http_server *server, struct tls_client *as);
void send_text(struct tls *t, const char *text);
/* The next response; bodies by Content-Length. Good until the next call. */
struct answer *receive(struct tls *t, bool head_only);
/* line: "GET /v1/lists"; headers: lines with CRLF. */
struct answer *ask(struct tls *t, const char *line, const char *headers, const char *body);
/* Value of a header, "" when it is not there. Good until the next call. */
const char *header(const struct answer *a, const char *name);
/* The status, and this text in the body. */
void expect(const struct answer *a, int status, const char *part);
void expect_closed(struct tls *t); /* by the server; closes our end, too */
void wait_until(atomic_uint *value, unsigned want);

#endif

/*
 * http_login.c - who asks. A connection has one session at the door, logged in by its first request and kept, so that a password
 * costs its Argon2 once. Of a password a keyed hash is remembered, no more: a request with the same credentials goes on, one with
 * others logs in anew.
 */
#include "http/http_internal.h"

#include <sodium.h>
#include <string.h>
#include <time.h>

#define LOGIN_ARENA ((size_t)1 << 20)
#define LOGIN_ANSWER ((size_t)1 << 20)

/* What the door said to a login. */
struct verdict_of_login {
	enum reg_code code;
	char svtrid[REG_SVTRID_MAX];
	size_t lang;
};

static void login_render(void *face, const struct reg_command *c, const struct reg_reply *reply, struct buf *out)
{
	struct verdict_of_login *v = face;

	(void)c;
	v->code = reply->code;
	memcpy(v->svtrid, reply->svtrid, sizeof v->svtrid);
	if (reply->code < 2000)
		buf_c(out, "{}");
	else
		http_json_problem(out, v->lang, http_status_of(reply->code), reply);
}

/* The handshake is over: who is at the other end. */
static enum ceir_err meet(struct http_request *r)
{
	struct http_connection *c = r->connection;
	const union MHD_ConnectionInfo *tls = MHD_get_connection_info(r->mhd, MHD_CONNECTION_INFO_GNUTLS_SESSION);
	enum ceir_err err = tls ? tls_session_peer(tls->tls_session, &c->peer) : CEIR_ETLS;

	c->met = !err;
	return err;
}

static enum ceir_err door_new(struct http_connection *c)
{
	struct reg_client client = {.has_certificate = c->peer.has_certificate};

	memcpy(client.address, c->address, sizeof client.address);
	memcpy(client.certificate_sha256, c->peer.sha256, sizeof client.certificate_sha256);
	reg_session_free(c->door);
	c->who = HTTP_NOBODY;
	c->door = reg_session_new(c->server->registry, &client);
	return c->door ? CEIR_OK : CEIR_ENOMEM;
}

/* Executes the login; a refusal becomes the answer of the request. */
static bool login(struct http_request *r, const struct reg_login *who, struct str proof)
{
	struct http_connection *c = r->connection;
	struct verdict_of_login v = {.lang = r->lang};
	struct reg_command command = {.verb = REG_LOGIN, .cltrid = r->command.cltrid, .request = proof, .secret = proof.n > 0, .login = who};
	struct arena *arena = arena_new(LOGIN_ARENA);
	struct buf out = BUF_INIT(LOGIN_ANSWER);
	enum ceir_err err = arena ? CEIR_OK : CEIR_ENOMEM;

	/* A session that is logged in cannot log in again; one whose login failed counts the failures. */
	if (!err && (!c->door || c->who != HTTP_NOBODY || reg_session_ended(c->door)))
		err = door_new(c);
	if (!err) {
		reg_execute(c->door, &command, arena, login_render, &v, &out);
		err = reg_settle(c->door);
		r->answer.close = reg_session_ended(c->door);
	}
	if (err || out.failed) {
		log_error(HTTP_ROOM, "%s: a login is not answered: %s", c->address, ceir_err_text(err ? err : CEIR_ENOMEM));
		http_problem(r, 500, NULL);
	} else if (v.code >= 2000) {
		r->answer.status = http_status_of(v.code);
		r->answer.code = v.code;
		r->answer.challenge = r->answer.status == 401;
		memcpy(r->answer.svtrid, v.svtrid, sizeof v.svtrid);
		r->answer.content_type = "application/problem+json";
		buf_str(&r->out, buf_view(&out));
	}
	buf_free(&out);
	arena_free(arena);
	return !err && v.code && v.code < 2000;
}

static void refuse(struct http_request *r, unsigned status, const char *reason)
{
	http_problem(r, status, reason);
	r->answer.challenge = status == 401;
}

static bool by_certificate(struct http_request *r)
{
	const struct reg_login who = {.lang = r->lang, .http = true, .by_certificate = true};
	struct http_connection *c = r->connection;

	if (c->who == HTTP_CERTIFICATE)
		return true;
	if (!c->peer.has_certificate) {
		refuse(r, r->server->settings.basic ? 401 : 403, N_("A client certificate, or a name and password, is needed"));
		return false;
	}
	if (!login(r, &who, STR("")))
		return false;
	c->who = HTTP_CERTIFICATE;
	return true;
}

static bool by_password(struct http_request *r, struct str header)
{
	struct http_connection *c = r->connection;
	uint8_t hash[HTTP_KEY_BYTES];
	struct buf decoded = BUF_INIT(0);
	struct reg_login who = {.lang = r->lang, .http = true};
	bool in = false;

	crypto_generichash(hash, sizeof hash, (const uint8_t *)header.p, header.n, r->server->key, sizeof r->server->key);
	if (c->who == HTTP_PASSWORD && sodium_memcmp(hash, c->credential, sizeof hash) == 0)
		return true;
	if (http_basic_parse(header, &decoded, &who.clid, &who.pw)) {
		refuse(r, 401, N_("Expected HTTP Basic credentials (RFC 7617)"));
	} else if (login(r, &who, header)) {
		memcpy(c->credential, hash, sizeof hash);
		c->who = HTTP_PASSWORD;
		in = true;
	}
	if (decoded.p)
		sodium_memzero(decoded.p, decoded.cap);
	buf_free(&decoded);
	return in;
}

bool http_login(struct http_request *r)
{
	struct http_connection *c = r->connection;
	struct str header = http_header(r, "Authorization");
	int64_t now = (int64_t)time(NULL);

	if (!c->met && meet(r)) {
		http_problem(r, 500, NULL);
		r->answer.close = true;
		return false;
	}
	if (c->peer.has_certificate && (now < c->peer.from_s || now > c->peer.until_s)) {
		refuse(r, 401, N_("The client's certificate has expired"));
		r->answer.close = true;
		return false;
	}
	/* A session that the register has ended is none. */
	if (c->door && c->who != HTTP_NOBODY && reg_session_ended(c->door) && door_new(c)) {
		http_problem(r, 500, NULL);
		return false;
	}
	if (header.n && !r->server->settings.basic) {
		refuse(r, 403, N_("Passwords are not taken here; a client certificate is needed"));
		return false;
	}
	return header.n ? by_password(r, header) : by_certificate(r);
}

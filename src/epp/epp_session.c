/*
 * epp_session.c - the life of one connection: handshake, greeting, commands, end. Straight-line code on its own thread.
 *
 * Pipelining: all frames that are there are executed one after the other, their answers gathered, and sent together after
 * one reg_settle(), which makes their audit rows durable. Until then no answer leaves. When that fails, none of them may ever
 * leave, and each command is answered 2400 instead. A command that changes the register is durable when it returns, and 2400
 * would be a lie: its answer shares its fate with no other, it leaves alone.
 */
#include "epp/epp_session.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ROOM "epp"
#define HEADER_BYTES 4u /* RFC 5734 4: total length, big-endian, itself included */
#define READ_BYTES 32768u
#define KEEP_BYTES 65536u                /* buffers larger than this are given back when empty */
#define BATCH_COMMANDS 64u               /* answers go out at the latest after so many commands ... */
#define BATCH_BYTES (256u << 10)         /* ... or bytes */
#define ANSWER_BYTES ((size_t)256 << 20) /* of a batch; more is an error of ours */
#define ARENA_BYTES ((size_t)256 << 20)  /* of a command and its reply */

/* What is kept of an answered command until its answer may leave. */
struct epp_answer {
	size_t at; /* where in `out` its answer begins */
	bool greeting;
	uint16_t cltrid_n;
	char cltrid[64 * 4]; /* 64 characters of at most 4 bytes */
	char svtrid[REG_SVTRID_MAX];
};

/* The first reason is the true one. */
static void session_end(struct epp_session *s, enum reg_code code, const char *why)
{
	if (s->why)
		return;
	s->ending = code;
	s->why = why;
}

/* ---- answers ----------------------------------------------------------------------------------------------------- */

/* The door may render an answer again, over one it has taken back: what was kept of that goes too. */
static void session_drop_taken_back(struct epp_session *s, size_t from)
{
	struct epp_answer last;

	while (s->batch.n >= sizeof last) {
		memcpy(&last, s->batch.p + s->batch.n - sizeof last, sizeof last);
		if (last.at < from)
			return;
		s->batch.n -= sizeof last;
	}
}

/* Called by the door, perhaps on its writer's thread, while this session's thread waits in reg_execute(). */
static void session_render(void *face, const struct reg_command *c, const struct reg_reply *reply, struct buf *out)
{
	struct epp_session *s = face;
	struct epp_answer a = {.at = out->n, .greeting = c->verb == REG_HELLO && reply->code == REG_DONE};
	/* A login is answered in the language it asks for, before the session has it. */
	size_t lang = c->login ? c->login->lang : reg_session_lang(s->door);

	session_drop_taken_back(s, out->n);
	if (c->cltrid.n > 0 && c->cltrid.n <= sizeof a.cltrid) {
		memcpy(a.cltrid, c->cltrid.p, c->cltrid.n);
		a.cltrid_n = (uint16_t)c->cltrid.n;
	}
	memcpy(a.svtrid, reply->svtrid, sizeof a.svtrid);
	buf_put(&s->batch, &a, sizeof a);
	/* A message may be about an object whose service the client did not ask for: then it gets the text alone. */
	if (c->verb == REG_POLL && reply->object && !(s->services.objects & REG_BIT(epp_object_bit(reply->object)))) {
		struct reg_reply bare = *reply;

		bare.data = REG_DATA_NONE;
		epp_render(s->server->settings.server_id, lang, c, &bare, out);
		return;
	}
	epp_render(s->server->settings.server_id, lang, c, reply, out);
}

/* The answers that may not leave are replaced: 2400 for each command, in their order. */
static void session_fail_batch(struct epp_session *s)
{
	const char *id = s->server->settings.server_id;

	buf_clear(&s->out);
	for (size_t at = 0; at + sizeof(struct epp_answer) <= s->batch.n; at += sizeof(struct epp_answer)) {
		struct epp_answer a;
		struct reg_command c = {.verb = REG_VERBS};
		struct reg_reply reply = {.code = REG_FAILED};

		memcpy(&a, s->batch.p + at, sizeof a);
		c.cltrid = (struct str){a.cltrid, a.cltrid_n};
		memcpy(reply.svtrid, a.svtrid, sizeof reply.svtrid);
		if (a.greeting) {
			c.verb = REG_HELLO;
			reply.code = REG_DONE;
		}
		epp_render(id, reg_session_lang(s->door), &c, &reply, &s->out);
	}
}

/* Makes the batch durable and sends it. */
static void session_flush(struct epp_session *s)
{
	enum ceir_err err;

	if (s->out.n == 0 && !s->out.failed)
		return;
	err = reg_settle(s->door);
	if (err != CEIR_OK || s->out.failed) {
		log_error(ROOM, "%s: answers withheld, their commands are told 2400: %s", s->address,
			err != CEIR_OK ? ceir_err_text(err) : "an answer is too large");
		session_fail_batch(s);
	}
	if (s->out.failed)
		session_end(s, REG_FAILED_CLOSING, "memory is out");
	else if ((err = tls_write(s->tls, s->out.p, s->out.n, s->server->settings.frame_timeout_s * 1000)) == CEIR_ETIMEOUT)
		session_end(s, REG_FAILED_CLOSING, "the client does not read its answers");
	else if (err != CEIR_OK)
		session_end(s, REG_FAILED_CLOSING, "answers cannot be sent");
	buf_clear(&s->out);
	buf_clear(&s->batch);
	if (s->out.cap > KEEP_BYTES)
		buf_free(&s->out);
}

/* Something to say although no command asks for it. Through the door like any other, so it stands in the audit log. */
static void session_tell(struct epp_session *s, enum reg_code code, const char *reason)
{
	struct reg_detail detail = {.element = "epp", .value = STR(""), .reason = reason};
	struct reg_command c = {.verb = REG_VERBS,
		.cltrid = STR(""),
		.request = STR(""),
		.refused = code,
		.refused_details = reason ? &detail : NULL};

	arena_reset(s->arena);
	reg_execute(s->door, &c, s->arena, session_render, s, &s->out);
	session_flush(s);
}

/* ---- commands ---------------------------------------------------------------------------------------------------- */

/* Whether the session must end at its next command, whatever that is. */
static void session_look_for_end(struct epp_session *s)
{
	if (atomic_load_explicit(&s->server->stopping, memory_order_relaxed))
		session_end(s, REG_FAILED_CLOSING, "the server stops");
	else if (clock_mono_us() >= s->end_us)
		session_end(s, REG_FAILED_CLOSING, "the session has lived as long as it may");
	else if (!tls_peer_valid_now(s->tls))
		session_end(s, REG_AUTH_CLOSING, "the client's certificate has expired");
}

static bool changes_something(const struct reg_command *c)
{
	bool transform = (c->verb >= REG_CREATE && c->verb <= REG_RENEW) || (c->verb == REG_TRANSFER && c->op != REG_OP_QUERY);

	return !c->refused && (transform || c->verb == REG_LOGIN || (c->verb == REG_POLL && c->poll_ack));
}

static void session_execute(struct epp_session *s, struct str xml)
{
	bool before = reg_session_role(s->door) == REG_ROLE_NONE;
	struct epp_services asked;
	struct reg_command c;

	arena_reset(s->arena);
	if (epp_parse(s->parser, xml, before ? NULL : &s->services, s->arena, &c, &asked) != CEIR_OK) {
		c.refused = REG_FAILED;
		c.refused_details = NULL;
	}
	session_look_for_end(s);
	if (s->ending) {
		c.refused = s->ending;
		c.refused_details = NULL;
		s->told = true;
	}
	if (changes_something(&c))
		session_flush(s);
	if (s->why && !s->told) /* nobody is left to hear the answer */
		return;
	reg_execute(s->door, &c, s->arena, session_render, s, &s->out);
	if (changes_something(&c))
		session_flush(s);
	if (before && reg_session_role(s->door) != REG_ROLE_NONE)
		s->services = asked;
	if (reg_session_ended(s->door))
		session_end(s, REG_BYE, c.verb == REG_LOGOUT && !c.refused ? "logout" : "the register ends the session");
}

/* The length of the frame that begins at in_at, 0 while its header is not there. */
static uint32_t session_frame_length(const struct epp_session *s)
{
	const uint8_t *p = (const uint8_t *)s->in.p + s->in_at;

	if (s->in.n - s->in_at < HEADER_BYTES)
		return 0;
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

/* The next complete frame; false when there is none, or none can ever come. */
static bool session_next_frame(struct epp_session *s, struct str *xml)
{
	uint32_t length = session_frame_length(s);

	if (s->in.n - s->in_at < HEADER_BYTES)
		return false;
	if (length <= HEADER_BYTES || length > s->server->settings.max_frame_bytes) {
		log_info(ROOM, "%s: a frame of %u bytes is announced, %u are allowed", s->address, length,
			s->server->settings.max_frame_bytes);
		session_end(s, REG_FAILED_CLOSING, "the length of the frame is not allowed");
		return false;
	}
	if (s->in.n - s->in_at < length)
		return false;
	*xml = (struct str){s->in.p + s->in_at + HEADER_BYTES, length - HEADER_BYTES};
	s->in_at += length;
	s->frame_us = clock_mono_us();
	return true;
}

/* What has been executed is dropped from the front; an empty buffer does not stay large. */
static void session_compact(struct epp_session *s)
{
	s->in.n -= s->in_at;
	if (s->in.n > 0 && s->in_at > 0)
		memmove(s->in.p, s->in.p + s->in_at, s->in.n);
	s->in_at = 0;
	if (s->in.n == 0 && s->in.cap > KEEP_BYTES)
		buf_free(&s->in);
}

static void session_drain(struct epp_session *s)
{
	struct str xml;
	unsigned n = 0;

	while (!s->why && session_next_frame(s, &xml)) {
		session_execute(s, xml);
		if (++n % BATCH_COMMANDS == 0 || s->out.n > BATCH_BYTES)
			session_flush(s);
	}
	session_flush(s);
	session_compact(s);
}

/* ---- reading ----------------------------------------------------------------------------------------------------- */

/* Until when the client may keep us waiting, and what it is told in the log when it does. */
static int64_t session_deadline(const struct epp_session *s, const char **why)
{
	const struct epp_settings *set = &s->server->settings;
	bool inside = s->in.n > 0;
	int64_t until = inside ? s->frame_us + set->frame_timeout_s * INT64_C(1000000)
			       : s->heard_us + set->idle_timeout_s * INT64_C(1000000);

	*why = inside ? "a frame was begun and not completed in time" : "nothing was received for too long";
	if (until < s->end_us)
		return until;
	*why = "the session has lived as long as it may";
	return s->end_us;
}

static void session_receive(struct epp_session *s)
{
	const char *why;
	int64_t left_ms = (session_deadline(s, &why) - clock_mono_us() + 999) / 1000;
	char *to = buf_reserve(&s->in, READ_BYTES);
	enum ceir_err err = CEIR_ETIMEOUT;
	size_t got = 0;

	if (!to) {
		session_end(s, REG_FAILED_CLOSING, "memory is out");
		return;
	}
	if (left_ms > 0)
		err = tls_read(s->tls, to, READ_BYTES, &got, left_ms > INT32_MAX ? INT32_MAX : (unsigned)left_ms);
	if (err == CEIR_OK) {
		s->heard_us = clock_mono_us();
		if (s->in.n == 0)
			s->frame_us = s->heard_us;
		s->in.n += got;
	} else if (err == CEIR_ETIMEOUT) {
		session_end(s, REG_FAILED_CLOSING, why);
	} else if (atomic_load_explicit(&s->server->stopping, memory_order_relaxed)) {
		session_end(s, REG_FAILED_CLOSING, "the server stops");
	} else {
		session_end(s, REG_BYE, err == CEIR_ECLOSED ? "the client closed" : tls_reason(s->tls));
	}
}

/*
 * Stopping: a command that has arrived is answered 2500. Anything else that ends a session before login is told in a frame as
 * well as in the log, for a client that cannot log in knows no better place to look.
 */
static void session_say_why(struct epp_session *s)
{
	struct str xml;

	if (s->told || s->ending != REG_FAILED_CLOSING)
		return;
	if (atomic_load_explicit(&s->server->stopping, memory_order_relaxed)) {
		if (session_next_frame(s, &xml))
			session_execute(s, xml);
		session_flush(s);
	} else if (reg_session_role(s->door) == REG_ROLE_NONE) {
		session_tell(s, REG_FAILED_CLOSING, NULL);
	}
}

/* ---- life -------------------------------------------------------------------------------------------------------- */

static bool session_handshake(struct epp_session *s)
{
	struct epp_server *server = s->server;
	char why[160] = "";
	struct tls *tls = NULL;
	int fd = s->fd, spare = dup(fd);
	enum ceir_err err;

	pthread_mutex_lock(&server->lock);
	s->fd = spare;
	if (spare >= 0 && atomic_load(&server->stopping))
		shutdown(spare, SHUT_RDWR);
	pthread_mutex_unlock(&server->lock);
	err = tls_accept(server->tls, fd, server->settings.frame_timeout_s * 1000, &tls, why, sizeof why);
	pthread_mutex_lock(&server->lock);
	if (spare >= 0)
		close(spare);
	s->fd = -1;
	s->tls = tls;
	if (tls && atomic_load(&server->stopping))
		tls_shutdown_read(tls);
	pthread_mutex_unlock(&server->lock);
	if (err != CEIR_OK)
		log_info(ROOM, "%s: closed: TLS handshake failed: %s", s->address, why[0] ? why : ceir_err_text(err));
	return err == CEIR_OK;
}

static bool session_open(struct epp_session *s)
{
	const struct epp_settings *set = &s->server->settings;
	struct reg_client client = {.has_certificate = false};
	int64_t now = clock_mono_us();

	memcpy(client.address, s->address, sizeof client.address);
	client.has_certificate = tls_peer_sha256(s->tls, client.certificate_sha256);
	s->door = reg_session_new(s->server->registry, &client);
	s->parser = epp_parser_new(set->max_depth, set->max_names);
	s->arena = arena_new(ARENA_BYTES);
	s->out = (struct buf)BUF_INIT(ANSWER_BYTES);
	s->heard_us = s->frame_us = now;
	s->end_us = now + set->session_lifetime_s * INT64_C(1000000);
	return s->door && s->parser && s->arena;
}

/* RFC 5730 2.4: the server speaks first. No command asked for it, so the door has nothing to do with it. */
static void session_greet(struct epp_session *s)
{
	const struct reg_command c = {.verb = REG_HELLO};
	const struct reg_reply reply = {.code = REG_DONE};

	epp_render(s->server->settings.server_id, 0, &c, &reply, &s->out);
	session_flush(s);
}

static void session_serve(struct epp_session *s)
{
	if (s->refused) {
		session_end(s, REG_LIMIT_CLOSING, "too many sessions");
		session_tell(s, REG_LIMIT_CLOSING, NULL);
		return;
	}
	session_greet(s);
	while (!s->why) {
		session_receive(s);
		session_drain(s);
	}
	session_say_why(s);
}

static void session_close(struct epp_session *s)
{
	struct tls *tls = s->tls;

	pthread_mutex_lock(&s->server->lock);
	s->tls = NULL; /* epp_server_stop() must not touch it any more */
	pthread_mutex_unlock(&s->server->lock);
	tls_close(tls);
	reg_session_free(s->door);
	epp_parser_free(s->parser);
	arena_free(s->arena);
	buf_free(&s->in);
	buf_free(&s->out);
	buf_free(&s->batch);
}

void epp_session_run(struct epp_session *s)
{
	if (!session_handshake(s))
		return;
	if (session_open(s))
		session_serve(s);
	else
		session_end(s, REG_FAILED_CLOSING, "memory is out");
	log_info(ROOM, "%s: closed: %s", s->address, s->why);
	session_close(s);
}

/*
 * epp.h - the EPP face: RFC 5730 over RFC 5734. The server that speaks it, and the client side for ceirctl, the benches and
 * later the desk. Holds no rule of the register.
 */
#ifndef CEIR_EPP_H
#define CEIR_EPP_H

#include "base/base.h"
#include "registry/registry.h"
#include "tls/tls.h"

/* ---- server ------------------------------------------------------------------------------------------------------ */

struct epp_settings {
	const char *listen;            /* "127.0.0.1:7700", "[::1]:700"; port 0 takes a free one */
	const char *server_id;         /* svID */
	uint32_t max_frame_bytes;      /* RFC 5734 length, header included */
	unsigned max_sessions;         /* connections at once; one more is told 2502 and closed */
	unsigned max_sessions_address; /* of one address */
	unsigned idle_timeout_s;       /* nothing received for so long */
	unsigned frame_timeout_s;      /* a frame begun must be complete; also for TLS handshake and for a slow reader */
	unsigned session_lifetime_s;
	unsigned max_depth; /* XML nesting */
	unsigned max_names; /* in one check; rows in one application command */
};

struct epp_server;

/* Loads the schemas (embedded in the program), binds, listens; no connection is taken yet. The registry is borrowed. */
enum ceir_err epp_server_new(
	const struct epp_settings *s, struct registry *r, struct tls_server *tls, struct epp_server **out) CEIR_MUST_USE;
/* "127.0.0.1:7700", with the real port. */
const char *epp_server_address(const struct epp_server *s);
/* Starts the accepting thread. */
enum ceir_err epp_server_start(struct epp_server *s) CEIR_MUST_USE;
/* Takes no more connections, lets running commands finish and be answered, answers 2500 where one is pending, closes the others, waits for all threads. */
void epp_server_stop(struct epp_server *s);
void epp_server_free(struct epp_server *s);

/*
 * Object and extension services: what the greeting offers, what a login announced. Bit numbers: the place in reg_objects[],
 * and of the extensions the order of the greeting.
 */
struct epp_services {
	uint32_t objects;
	uint32_t extensions;
};
size_t epp_object_bit(const struct reg_object *object); /* object: one of reg_objects[] */

/*
 * One frame's XML through parsing, checks and schema: what is given to the door. What is wrong with the frame stands in
 * out->refused and out->refused_details, and is no error of this function; a verb that could not be read is REG_VERBS. The
 * command and all it points to live in the arena, in xml or in the parser, there until the next call.
 *
 * announced: what the session's login announced; NULL: nobody is logged in, only hello and login are taken. asked (may be
 * NULL): of a login, what it announces; valid once the door has let it in.
 */
struct epp_parser;
struct epp_parser *epp_parser_new(unsigned max_depth, unsigned max_names); /* one thread; NULL: memory or schema */
void epp_parser_free(struct epp_parser *p);                                /* NULL is allowed */
/* CEIR_ENOMEM is the only error. */
enum ceir_err epp_parse(struct epp_parser *p, struct str xml, const struct epp_services *announced, struct arena *arena,
	struct reg_command *out, struct epp_services *asked) CEIR_MUST_USE;

/*
 * A reply as one RFC 5734 frame, header included, appended to out; out->failed when it does not fit. lang: of the session.
 * A hello that was not refused is answered by the greeting. Any thread. How the door's fields become elements: each in the
 * order given, in the object's namespace; of REG_DATA_PENDING a field named paResult becomes an attribute of the first, and
 * the fields of a group named paTRID stand in the EPP namespace (RFC 5731 3.3).
 */
void epp_render(const char *server_id, size_t lang, const struct reg_command *c, const struct reg_reply *reply, struct buf *out);

/* ---- client ------------------------------------------------------------------------------------------------------ */

struct epp_client;

/* Connects, reads the greeting (kept, see below). why gets the reason of a failure. */
enum ceir_err epp_client_connect(struct tls_client *tls, const char *host, const char *port, unsigned timeout_ms,
	struct epp_client **out, char *why, size_t why_size) CEIR_MUST_USE;
struct str epp_client_greeting(const struct epp_client *c);
/* One document as one frame; may be called again before the answer is read (pipelining). */
enum ceir_err epp_client_send(struct epp_client *c, struct str xml) CEIR_MUST_USE;
/* The next document; the view is good until the next receive. */
enum ceir_err epp_client_receive(struct epp_client *c, struct str *xml) CEIR_MUST_USE;
void epp_client_close(struct epp_client *c);

#endif

/*
 * http_request.c - one request, from its first line to its answer.
 *
 * libmicrohttpd calls http_request_handle() when the head is there, for each piece of the body, and at the end. Who asks and what is asked
 * is settled with the head, so that a refusal can be sent before gigabytes are; the door is asked at the end. An answer to a request whose
 * body is still on its way can only be given with the head: later the rest of the body is taken and thrown away first.
 */
#include "http/http_internal.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ARENA_BYTES ((size_t)64 << 20)
#define ANSWER_BYTES ((size_t)64 << 20) /* rendered; lists are files and not in it */
#define SWALLOW_BYTES ((uint64_t)1 << 20) /* a body up to this size is awaited before a refusal */
#define TOUCH_US 1000000

/* ---- headers ------------------------------------------------------------------------------------------------------ */

struct str http_header(const struct http_request *r, const char *name)
{
	return str_trim(str_of(MHD_lookup_connection_value(r->mhd, MHD_HEADER_KIND, name)));
}

void http_refuse(struct http_request *r, unsigned status, enum reg_code code, const char *element, struct str value, const char *reason)
{
	if (r->command.refused)
		return;
	if (value.n > 255)
		value.n = 255;
	while (value.n && !str_is_utf8(value))
		value.n--; /* a cut may have split a character; what is shown is always UTF-8 */
	r->detail = (struct reg_detail){.element = element, .value = value.p ? value : STR(""), .reason = reason};
	r->command.refused = code;
	r->command.refused_details = reason ? &r->detail : NULL;
	r->refused_status = status;
}

/* A transform needs a client transaction id; a client that gives none gets one it can find in the answer. */
static void take_cltrid(struct http_request *r)
{
	struct str given = http_header(r, "Client-Transaction-Id");
	uint8_t bytes[12];
	char hex[2 * sizeof bytes + 1];

	if (given.n && !http_cltrid_good(given))
		http_refuse(r, 0, REG_VALUE, "Client-Transaction-Id", given,
			N_("Expected 3 to 64 printable characters of ASCII, no space at the ends"));
	if (given.n && http_cltrid_good(given)) {
		r->command.cltrid = given;
		return;
	}
	randombytes_buf(bytes, sizeof bytes);
	hex_print(bytes, sizeof bytes, hex);
	r->command.cltrid = arena_printf(r->arena, "HTTP-%s", hex);
}

/* What the body may be packed with: the reader of deliveries looks for itself, small bodies are never packed. */
static void take_coding(struct http_request *r)
{
	struct str coding = http_header(r, "Content-Encoding");
	const struct str known[] = {STR("identity"), STR("gzip"), STR("x-gzip"), STR("zstd")};
	size_t n = r->route->body == HTTP_DELIVERY ? CEIR_COUNT(known) : 1;

	for (size_t i = 0; i < n; i++)
		if (coding.n == 0 || (coding.n == known[i].n && http_weight(coding, known[i]) > 0))
			return;
	http_refuse(r, 415, REG_UNIMPL_OPTION, "Content-Encoding", coding,
		r->route->body == HTTP_DELIVERY ? N_("Expected no coding, gzip or zstd") : N_("Expected no coding"));
}

static void take_type(struct http_request *r)
{
	static const struct {
		const char *types[7], *expected;
	} bodies[] = {
		[HTTP_JSON] = {{"application/json"}, N_("Expected application/json")},
		[HTTP_SIGHTINGS] = {{"application/json", "text/csv"}, N_("Expected application/json or text/csv")},
		[HTTP_DELIVERY] = {{"text/csv", "text/plain", "application/octet-stream", "application/gzip", "application/x-gzip",
					   "application/zstd"},
			N_("Expected text/csv, application/gzip, application/zstd or application/octet-stream")},
	};
	struct str type = http_token(http_header(r, "Content-Type"));

	if (type.n == 0)
		return;
	for (const char *const *t = bodies[r->route->body].types; *t; t++)
		if (strlen(*t) == type.n && http_weight(str_of(*t), type) > 0)
			return;
	http_refuse(r, 415, REG_UNIMPL_OPTION, "Content-Type", type, bodies[r->route->body].expected);
}

static bool is_small(const struct http_request *r)
{
	return r->route->body == HTTP_JSON || r->route->body == HTTP_SIGHTINGS;
}

static uint64_t content_length(const struct http_request *r)
{
	struct str text = http_header(r, "Content-Length");
	uint64_t n;

	if (text.n == 0)
		return http_header(r, "Transfer-Encoding").n ? UINT64_MAX : 0;
	return str_u64(text, UINT64_MAX, &n) ? UINT64_MAX : n;
}

static void take_body_headers(struct http_request *r)
{
	uint64_t n = content_length(r);

	if (r->route->body == HTTP_NO_BODY)
		return;
	take_coding(r);
	take_type(r);
	if (is_small(r) && n != UINT64_MAX && n > r->server->settings.max_body_bytes)
		http_refuse(r, 413, REG_RANGE, "Content-Length", http_header(r, "Content-Length"), N_("The body is too large"));
}

/* Parameters that the route does not know, and those given twice. */
static void check_parameters(struct http_request *r)
{
	for (size_t i = 0; i < r->target.n_parameters; i++) {
		const struct http_parameter *p = &r->target.parameters[i];
		const char *const *known = r->route->parameters;

		while (*known && !str_eq_c(p->name, *known))
			known++;
		if (!*known)
			http_refuse(r, 0, REG_SYNTAX, "query", p->name, N_("This parameter is not known here"));
		else if (http_parameter_find(&r->target, *known) != p)
			http_refuse(r, 0, REG_SYNTAX, *known, p->value, N_("This parameter is given twice"));
	}
}

/* ---- the head ----------------------------------------------------------------------------------------------------- */

/*
 * Whether the answer is to leave before the body has come. libmicrohttpd then closes the connection, so it waits for small bodies, unless
 * the client itself waits to be told.
 */
static bool is_urgent(const struct http_request *r)
{
	return content_length(r) > SWALLOW_BYTES || (content_length(r) > 0 && http_header(r, "Expect").n > 0);
}

/* The answer is there without the door. */
static enum MHD_Result answer(struct http_request *r)
{
	r->early = is_urgent(r);
	return r->early ? http_send(r) : MHD_YES;
}

/* Asks the door. */
static void execute(struct http_request *r)
{
	struct reg_command *c = &r->command;
	enum ceir_err err;

	buf_str(&r->head, buf_view(&r->body));
	if (r->head.failed || c->cltrid.p == NULL)
		http_refuse(r, 0, REG_FAILED, NULL, STR(""), NULL);
	c->request = buf_view(&r->head);
	if (c->refused) {
		reg_delivery_drop(r->delivery);
	} else {
		c->delivery = r->delivery; /* the door's from here on */
	}
	r->delivery = NULL;
	reg_execute(r->connection->door, c, r->arena, http_render, r, &r->out);
	err = reg_settle(r->connection->door);
	if (err || r->out.failed) {
		log_error(HTTP_ROOM, "%s: an answer is withheld: %s", r->connection->address,
			err ? ceir_err_text(err) : "it is too large, or memory is out");
		http_problem(r, 500, NULL);
	}
	if (reg_session_ended(r->connection->door))
		r->answer.close = true;
}

/* The head, in a form that does not depend on the order of headers; for the digest of the audit log. */
static void put_head(struct http_request *r)
{
	buf_printf(&r->head, "%s ", r->method);
	buf_c(&r->head, r->target_text);
	buf_c(&r->head, "\r\nClient-Transaction-Id: ");
	buf_str(&r->head, r->command.cltrid);
	buf_c(&r->head, "\r\n\r\n");
}

/* What can be settled before the body comes. */
static enum MHD_Result begin(struct http_request *r)
{
	const char *allow = NULL;
	bool said = http_language(http_header(r, "Accept-Language"), &r->lang);
	enum ceir_err err = http_target_parse(str_of(r->target_text), r->arena, &r->target);

	if (atomic_load_explicit(&r->server->stopping, memory_order_relaxed)) {
		http_problem(r, 503, N_("The server stops"));
		return answer(r);
	}
	if (err) {
		http_problem(r, err == CEIR_ENOMEM ? 500 : 400, N_("The target of the request cannot be read"));
		return answer(r);
	}
	r->route = http_route_find(r->method, &r->target, r->parts, &allow);
	if (!r->route) {
		http_problem(r, allow ? 405 : 404, NULL);
		r->answer.allow = allow;
		return answer(r);
	}
	take_cltrid(r);
	if (!http_login(r))
		return answer(r);
	reg_session_speak(r->connection->door, said ? r->lang : REG_LANG_OF_ACCOUNT);
	r->lang = reg_session_lang(r->connection->door);
	put_head(r);
	check_parameters(r);
	take_body_headers(r);
	if (!r->command.refused)
		r->route->prepare(r);
	if (!r->command.refused || !is_urgent(r))
		return MHD_YES;
	execute(r);
	return answer(r);
}

/* ---- the body ----------------------------------------------------------------------------------------------------- */

static void take_delivery(struct http_request *r, struct str bytes)
{
	enum ceir_err err;

	if (!r->delivery || r->broken)
		return;
	err = reg_delivery_feed(r->delivery, bytes);
	if (err == CEIR_EINVAL) {
		r->broken = true;
	} else if (err) {
		log_error(HTTP_ROOM, "%s: a delivery cannot be taken: %s", r->connection->address, ceir_err_text(err));
		reg_delivery_drop(r->delivery);
		r->delivery = NULL;
		http_refuse(r, 0, REG_FAILED, NULL, STR(""), NULL);
	}
}

static void take_body(struct http_request *r, struct str bytes)
{
	int64_t began = clock_mono_us();

	if (r->answer.status || r->command.refused)
		return;
	if (r->route->body == HTTP_DELIVERY) {
		take_delivery(r, bytes);
	} else if (is_small(r)) {
		buf_str(&r->body, bytes);
		if (r->body.failed)
			http_refuse(r, 413, REG_RANGE, "body", STR(""), N_("The body is too large"));
	} else {
		http_refuse(r, 0, REG_SYNTAX, "body", STR(""), N_("This request has no body"));
	}
	/* The time we took is not the client's idleness. */
	if (clock_mono_us() - began > TOUCH_US) {
		(void)MHD_set_connection_option(r->mhd, MHD_CONNECTION_OPTION_TIMEOUT, 0u);
		(void)MHD_set_connection_option(r->mhd, MHD_CONNECTION_OPTION_TIMEOUT, r->server->settings.idle_timeout_s);
	}
}

static enum MHD_Result finish(struct http_request *r)
{
	http_connection_await(r->connection, true, 0);
	if (r->answer.status)
		return http_send(r);
	if (!r->command.refused && r->route->complete)
		r->route->complete(r);
	if (r->wait_s && !r->command.refused && !http_wait(r))
		return MHD_NO;
	execute(r);
	return http_send(r);
}

/* ---- what libmicrohttpd calls ------------------------------------------------------------------------------------- */

void *http_request_new(void *cls, const char *target, struct MHD_Connection *mhd)
{
	struct http_request *r = calloc(1, sizeof *r);

	(void)mhd;
	if (!r)
		return NULL;
	r->server = cls;
	r->target_text = strdup(target ? target : "");
	r->arena = arena_new(ARENA_BYTES);
	r->out = (struct buf)BUF_INIT(ANSWER_BYTES);
	r->body = (struct buf)BUF_INIT(r->server->settings.max_body_bytes);
	r->answer.file.fd = -1;
	if (!r->target_text || !r->arena) {
		free(r->target_text);
		arena_free(r->arena);
		free(r);
		return NULL;
	}
	return r;
}

/* Small bodies must come in time, like heads; of deliveries only each piece must. */
static void await_body(struct http_request *r)
{
	bool delivery = r->route && r->route->body == HTTP_DELIVERY;

	http_connection_await(r->connection, true, delivery || r->answered ? 0 : r->server->settings.idle_timeout_s);
}

enum MHD_Result http_request_handle(void *cls, struct MHD_Connection *mhd, const char *url, const char *method, const char *version,
	const char *bytes, size_t *n, void **context)
{
	const union MHD_ConnectionInfo *info = MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
	struct http_request *r = *context;
	enum MHD_Result result;

	(void)cls;
	(void)url;
	(void)version;
	if (!r || !info || !info->socket_context)
		return MHD_NO;
	if (!r->begun) {
		r->begun = true;
		r->mhd = mhd;
		r->method = method;
		r->connection = info->socket_context;
		http_connection_await(r->connection, true, 0);
		result = begin(r);
		await_body(r);
		return result;
	}
	if (*n > 0) {
		take_body(r, (struct str){bytes, *n});
		*n = 0;
		return MHD_YES;
	}
	return r->answered ? MHD_YES : finish(r);
}

void http_request_done(void *cls, struct MHD_Connection *mhd, void **context, enum MHD_RequestTerminationCode how)
{
	struct http_request *r = *context;

	(void)cls;
	(void)mhd;
	if (!r)
		return;
	*context = NULL;
	reg_delivery_drop(r->delivery); /* the client went away */
	if (r->answer.file.fd >= 0)
		close(r->answer.file.fd);
	if (r->connection && how == MHD_REQUEST_TERMINATED_COMPLETED_OK && r->early)
		http_connection_linger(r->connection);
	if (r->connection)
		http_connection_await(r->connection, false, r->server->settings.idle_timeout_s);
	free(r->target_text);
	arena_free(r->arena);
	buf_free(&r->head);
	buf_free(&r->body);
	buf_free(&r->out);
	free(r);
}

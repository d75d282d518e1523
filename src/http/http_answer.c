/*
 * http_answer.c - from the door's reply to the response: status, headers, body.
 */
#include "http/http_internal.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define RETRY_S "5"
#define JSON "application/json"
#define PROBLEM "application/problem+json"

/* ---- rendering: called by the door -------------------------------------------------------------------------------- */

unsigned http_status_of(enum reg_code code)
{
	static const struct {
		enum reg_code code;
		unsigned status;
	} table[] = {{REG_DONE, 200}, {REG_PENDING, 202}, {REG_UNIMPL_COMMAND, 501}, {REG_UNIMPL_OBJECT, 501}, {REG_BILLING, 409},
		{REG_NOT_RENEWABLE, 409}, {REG_NOT_TRANSFERABLE, 409}, {REG_AUTHENTICATION, 401}, {REG_AUTHORIZATION, 403},
		{REG_AUTHINFO, 403}, {REG_PENDING_TRANSFER, 409}, {REG_NO_PENDING_TRANSFER, 409}, {REG_EXISTS, 409}, {REG_NOT_FOUND, 404},
		{REG_STATUS, 409}, {REG_ASSOCIATION, 409}, {REG_POLICY, 422}, {REG_DATA_POLICY, 403}, {REG_FAILED, 500},
		{REG_FAILED_CLOSING, 503}, {REG_AUTH_CLOSING, 401}, {REG_LIMIT_CLOSING, 429}};

	for (size_t i = 0; i < CEIR_COUNT(table); i++)
		if (table[i].code == code)
			return table[i].status;
	return code < 2000 ? 200 : code < 2200 ? 400 : 500;
}

/* A file that the door has given is ours from then on, even when the door renders the reply again without it. */
static void take_file(struct http_answer *a, const struct reg_file *file)
{
	if (a->file.fd >= 0 && (!file || file->fd != a->file.fd))
		close(a->file.fd);
	a->file.fd = -1;
	if (file)
		a->file = *file;
}

static void render_location(struct http_answer *a, const struct reg_command *c, const struct reg_reply *reply)
{
	a->location[0] = '\0';
	if (c->verb != REG_CREATE || strcmp(c->object->name, "delivery") != 0 || !reply->fields)
		return;
	/* The key is the first field of every object, and of every answer. Ids are the door's own: letters, digits, dashes. */
	struct str id = reply->fields->text;
	snprintf(a->location, sizeof a->location, "/v1/deliveries/%.*s", (int)(id.n < 64 ? id.n : 64), id.p);
}

/* What the body of a file answer is to the audit log: its digest and size, not its bytes. */
static void render_file(const struct reg_file *f, struct buf *out)
{
	buf_c(out, "{\"name\":");
	buf_json(out, str_of(f->name));
	buf_printf(out, ",\"bytes\":%llu,\"rows\":%llu,\"from\":%lld,\"to\":%lld,\"digest\":\"%s\"}", (unsigned long long)f->bytes,
		(unsigned long long)f->rows, (long long)f->from, (long long)f->to, f->digest);
}

static void render_data(struct http_request *r, const struct reg_reply *reply, struct buf *out)
{
	switch (reply->data) {
	case REG_DATA_QUERY:
		http_json_page(out, reply->page);
		break;
	case REG_DATA_CHECK:
		http_json_checks(out, r->lang, reply->checks, reply->n_checks);
		break;
	default:
		http_json_fields(out, r->lang, reply->fields, reply->details);
	}
}

/* An IMEI that cannot be one is no resource with a colour; EPP answers such a name with a reason in place of a verdict. */
static bool is_no_imei(const struct reg_reply *reply)
{
	return reply->data == REG_DATA_CHECK && reply->n_checks == 1 && !reply->checks[0].has_verdict;
}

static void render_no_imei(struct http_request *r, const struct reg_reply *reply, struct buf *out)
{
	const struct reg_check_item *item = &reply->checks[0];
	const struct reg_detail detail = {
		.element = "imei", .value = item->name, .reason = item->reason ? item->reason : reg_type_expects(REG_IMEI)};
	struct reg_reply problem = {.code = REG_VALUE, .details = &detail};

	memcpy(problem.svtrid, reply->svtrid, sizeof problem.svtrid);
	r->answer.status = http_status_of(REG_VALUE);
	r->answer.content_type = PROBLEM;
	http_json_problem(out, r->lang, r->answer.status, &problem);
}

void http_render(void *face, const struct reg_command *c, const struct reg_reply *reply, struct buf *out)
{
	struct http_request *r = face;
	struct http_answer *a = &r->answer;

	take_file(a, reply->file);
	if (reply->code >= 2000)
		take_file(a, NULL);
	a->code = reply->code;
	memcpy(a->svtrid, reply->svtrid, sizeof a->svtrid);
	a->status = c->refused && r->refused_status ? r->refused_status : http_status_of(reply->code);
	a->content_type = JSON;
	a->challenge = a->status == 401;
	a->location[0] = '\0';
	if (reply->code >= 2000) {
		a->content_type = PROBLEM;
		http_json_problem(out, r->lang, a->status, reply);
	} else if (is_no_imei(reply)) {
		render_no_imei(r, reply, out);
	} else if (a->file.fd >= 0) {
		render_file(&a->file, out);
	} else {
		if (c->want_file)
			a->status = 204;
		render_location(a, c, reply);
		render_data(r, reply, out);
	}
}

void http_problem(struct http_request *r, unsigned status, const char *reason)
{
	const struct reg_detail detail = {.element = "request", .value = STR(""), .reason = reason};
	struct reg_reply reply = {.details = reason ? &detail : NULL};

	take_file(&r->answer, NULL);
	r->answer.status = status;
	r->answer.content_type = PROBLEM;
	r->answer.location[0] = '\0';
	memcpy(reply.svtrid, r->answer.svtrid, sizeof reply.svtrid);
	buf_clear(&r->out);
	http_json_problem(&r->out, r->lang, status, &reply);
}

/* ---- headers ------------------------------------------------------------------------------------------------------ */

static void put_header(struct MHD_Response *m, const char *name, const char *value)
{
	/* It fails for want of memory only; a response without a header is better than none. */
	if (value[0] && MHD_add_response_header(m, name, value) != MHD_YES)
		log_warn(HTTP_ROOM, "header %s is left out: memory is out", name);
}

/* RFC 9530: the digest is of the bytes as they are sent. */
static void put_digest(struct MHD_Response *m, const struct reg_file *f)
{
	uint8_t sha256[32];
	char base64[sodium_base64_ENCODED_LEN(sizeof sha256, sodium_base64_VARIANT_ORIGINAL)], value[128];

	if (hex_parse(str_of(f->digest), sha256, sizeof sha256))
		return;
	sodium_bin2base64(base64, sizeof base64, sha256, sizeof sha256, sodium_base64_VARIANT_ORIGINAL);
	snprintf(value, sizeof value, "sha-256=:%s:", base64);
	put_header(m, "Repr-Digest", value);
}

static void put_file_headers(struct http_request *r, struct MHD_Response *m)
{
	static const char *const packings[] = {[REG_PLAIN] = "", [REG_GZIP] = "gzip", [REG_ZSTD] = "zstd"};
	const struct reg_file *f = &r->answer.file;
	char text[160];

	put_header(m, "Cache-Control", "private, no-cache");
	snprintf(text, sizeof text, "\"%s\"", f->digest);
	put_header(m, "ETag", f->digest[0] ? text : "");
	put_digest(m, f);
	put_header(m, "Ceir-Signature", f->signature);
	if (!r->command.list)
		return;
	put_header(m, "Vary", "Accept, Accept-Encoding");
	put_header(m, "Content-Encoding", packings[r->list.packing]);
	snprintf(text, sizeof text, "%lld", (long long)f->from);
	put_header(m, "Ceir-Sequence-From", text);
	snprintf(text, sizeof text, "%lld", (long long)f->to);
	put_header(m, "Ceir-Sequence-To", text);
	snprintf(text, sizeof text, "%llu", (unsigned long long)f->rows);
	put_header(m, "Ceir-Rows", text);
}

/* The name is the door's, but a header is a header: what could end a quoted string is left out. */
static void put_disposition(struct MHD_Response *m, const struct reg_file *f)
{
	char text[128];
	size_t n = (size_t)snprintf(text, sizeof text, "attachment; filename=\"");

	for (const char *p = f->name; *p && n < sizeof text - 2; p++)
		if ((unsigned char)*p > 0x1F && (unsigned char)*p < 0x7F && *p != '"' && *p != '\\')
			text[n++] = *p;
	text[n++] = '"';
	text[n] = '\0';
	put_header(m, "Content-Disposition", f->name[0] ? text : "");
}

static void put_headers(struct http_request *r, struct MHD_Response *m)
{
	const struct http_answer *a = &r->answer;
	char cltrid[65] = "";

	if (r->command.cltrid.n && r->command.cltrid.n < sizeof cltrid)
		memcpy(cltrid, r->command.cltrid.p, r->command.cltrid.n);
	put_header(m, "Client-Transaction-Id", cltrid);
	put_header(m, "Server-Transaction-Id", a->svtrid);
	put_header(m, "X-Content-Type-Options", "nosniff");
	if (a->challenge && r->server->settings.basic)
		put_header(m, "WWW-Authenticate", "Basic realm=\"ceir\", charset=\"UTF-8\"");
	if (a->location[0])
		put_header(m, "Location", a->location);
	if (a->allow)
		put_header(m, "Allow", a->allow);
	if (a->status == 415 && r->route)
		put_header(m, "Accept-Encoding", r->route->body == HTTP_DELIVERY ? "gzip, zstd, identity" : "identity");
	if (r->preferred && !a->retry && a->status < 300) {
		char applied[32];

		snprintf(applied, sizeof applied, "wait=%u", r->wait_s);
		put_header(m, "Preference-Applied", applied);
	}
	if (a->status == 429 || a->status == 503 || (a->retry && a->file.rows == 0))
		put_header(m, "Retry-After", RETRY_S);
	if (a->close || r->early || atomic_load_explicit(&r->server->stopping, memory_order_relaxed))
		put_header(m, "Connection", "close");
}

/* ---- sending ------------------------------------------------------------------------------------------------------ */

/* The descriptor is the response's from here on, also when there is none. */
static struct MHD_Response *response_of_file(struct http_request *r)
{
	struct http_answer *a = &r->answer;
	struct MHD_Response *m;

	if (a->file.digest[0] && http_tag_listed(http_header(r, "If-None-Match"), str_of(a->file.digest))) {
		a->status = 304;
		m = MHD_create_response_from_buffer(0, (void *)(uintptr_t) "", MHD_RESPMEM_PERSISTENT);
		close(a->file.fd);
	} else {
		m = MHD_create_response_from_fd64(a->file.bytes, a->file.fd);
		if (!m)
			close(a->file.fd);
	}
	if (m) {
		put_file_headers(r, m);
		put_disposition(m, &a->file);
		put_header(m, "Content-Type", a->file.media_type);
	}
	a->file.fd = -1;
	return m;
}

/* The rendered text goes to the response without a copy. */
static struct MHD_Response *response_of_text(struct http_request *r)
{
	bool empty = r->answer.status == 204 || r->out.n == 0;
	struct MHD_Response *m = empty ? MHD_create_response_from_buffer(0, (void *)(uintptr_t) "", MHD_RESPMEM_PERSISTENT)
				       : MHD_create_response_from_buffer(r->out.n, r->out.p, MHD_RESPMEM_MUST_FREE);

	if (!m)
		return NULL;
	if (!empty) {
		put_header(m, "Content-Type", r->answer.content_type);
		r->out = (struct buf)BUF_INIT(r->out.max);
	}
	put_header(m, "Cache-Control", "no-store");
	return m;
}

enum MHD_Result http_send(struct http_request *r)
{
	struct MHD_Response *m = r->answer.file.fd >= 0 ? response_of_file(r) : response_of_text(r);
	enum MHD_Result queued;

	if (!m) {
		log_error(HTTP_ROOM, "%s: a request is not answered: memory is out", r->connection->address);
		return MHD_NO;
	}
	put_headers(r, m);
	log_debug(HTTP_ROOM, "%s: %s %s: %u, %s", r->connection->address, r->method, r->route ? r->route->pattern : "(no such resource)",
		r->answer.status, r->answer.svtrid);
	queued = MHD_queue_response(r->mhd, r->answer.status, m);
	MHD_destroy_response(m);
	r->answered = queued == MHD_YES;
	return queued;
}

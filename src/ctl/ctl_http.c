/*
 * ctl_http.c - see ctl_http.h.
 */
#include "ctl/ctl_http.h"

#include <string.h>

#include "ctl/ctl_answer.h"
#include "ctl/ctl_xml.h"
#include "tls/tls.h"

#define TIMEOUT_S 60u                     /* default of --timeout */
#define READ_BYTES ((size_t)256 << 10)
#define HEAD_MAX ((size_t)64 << 10)
#define JSON_MAX ((size_t)64 << 20)
#define CONTINUE_MS 2000u                 /* RFC 9110 10.1.1: a server need not say 100; then one goes on */

/* ---- opening and closing ------------------------------------------------------------------------------------------------ */

static void base64_put(struct buf *b, struct str s)
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

	for (size_t i = 0; i < s.n; i += 3) {
		uint32_t bits = 0;

		for (size_t k = 0; k < 3; k++)
			bits = bits << 8 | (i + k < s.n ? (unsigned char)s.p[i + k] : 0u);
		for (size_t k = 0; k < 4; k++)
			buf_char(b, i + k <= s.n ? digits[bits >> (18 - 6 * k) & 63] : '=');
	}
}

/* RFC 7617. Whoever has a certificate needs no password. */
static enum ctl_exit authorize(struct ctl_http *h, const struct ctl_target *t)
{
	struct buf pair = BUF_INIT(0), pw = BUF_INIT(0);
	const char *file = t->password_file[0] ? t->password_file : "-";
	enum ceir_err err;

	if (t->cert[0] || !t->may_login)
		return CTL_OK;
	err = ctl_secret_read(file, "password", &pw);
	if (err) {
		ctl_complain("password of %s from %s: %s", t->user, t->password_file[0] ? file : "standard input", ceir_err_text(err));
	} else {
		buf_reserve(&pair, strlen(t->user) + 1 + pw.n);
		buf_c(&pair, t->user);
		buf_char(&pair, ':');
		buf_str(&pair, buf_view(&pw));
		buf_reserve(&h->authorization, 64 + 2 * pair.n);
		buf_c(&h->authorization, "Authorization: Basic ");
		base64_put(&h->authorization, buf_view(&pair));
		buf_c(&h->authorization, "\r\n");
	}
	if (pw.p)
		explicit_bzero(pw.p, pw.cap);
	if (pair.p)
		explicit_bzero(pair.p, pair.cap);
	buf_free(&pw);
	buf_free(&pair);
	return err ? CTL_USAGE : CTL_OK;
}

static enum ctl_exit connect_to(struct ctl_http *h, const struct ctl_target *t)
{
	char why[256] = "";
	int fd;
	enum ceir_err err = tls_dial(t->host, t->port, h->timeout_ms, &fd, why, sizeof(why));

	if (!err)
		err = tls_connect(h->credentials, fd, t->host, h->timeout_ms, &h->tls, why, sizeof(why));
	if (err)
		ctl_complain("%s port %s: %s", t->host, t->port, why[0] ? why : ceir_err_text(err));
	snprintf(h->host, sizeof(h->host), "%s", t->host);
	return err ? CTL_CONNECTION : CTL_OK;
}

enum ctl_exit ctl_http_open(struct ctl_http *h, struct ctl *c)
{
	struct ctl_target t;
	char why[256];
	uint64_t timeout_s = TIMEOUT_S;
	enum ctl_exit result;

	*h = (struct ctl_http){.lang = c->args.lang ? c->args.lang : "en"};
	h->head_bytes.max = HEAD_MAX;
	if (ctl_target_find_http(&c->args, &t, why, sizeof(why))) {
		ctl_complain("%s", why);
		return CTL_USAGE;
	}
	if (c->args.timeout && str_u64(str_of(c->args.timeout), 86400, &timeout_s)) {
		ctl_complain("--timeout wants seconds, 0 to 86400 (0: wait for ever)");
		return CTL_USAGE;
	}
	h->timeout_ms = (unsigned)timeout_s * 1000;
	enum ceir_err err = tls_client_new(t.ca, t.cert[0] ? t.cert : NULL, t.key[0] ? t.key : NULL, &h->credentials);
	if (err) {
		ctl_complain("cannot use the certificates (%s, %s): %s", t.ca, t.cert[0] ? t.cert : "none of ours", ceir_err_text(err));
		return CTL_USAGE;
	}
	result = authorize(h, &t);
	if (result == CTL_OK)
		result = connect_to(h, &t);
	if (result != CTL_OK)
		ctl_http_close(h);
	return result;
}

void ctl_http_close(struct ctl_http *h)
{
	tls_close(h->tls);
	tls_client_free(h->credentials);
	if (h->authorization.p)
		explicit_bzero(h->authorization.p, h->authorization.cap);
	buf_free(&h->authorization);
	buf_free(&h->in);
	buf_free(&h->head_bytes);
	h->tls = NULL;
	h->credentials = NULL;
}

/* ---- bytes ---------------------------------------------------------------------------------------------------------------- */

static enum ctl_exit broke(struct ctl_http *h, enum ceir_err err)
{
	ctl_complain("the connection broke: %s", *tls_reason(h->tls) ? tls_reason(h->tls) : ceir_err_text(err));
	return CTL_CONNECTION;
}

/* More bytes behind those that are there. */
static enum ceir_err fill(struct ctl_http *h, unsigned timeout_ms)
{
	size_t got = 0;
	char *to;

	if (h->at > 0) {
		h->in.n -= h->at;
		memmove(h->in.p, h->in.p + h->at, h->in.n);
		h->at = 0;
	}
	to = buf_reserve(&h->in, READ_BYTES);
	if (!to)
		return CEIR_ENOMEM;
	enum ceir_err err = tls_read(h->tls, to, READ_BYTES, &got, timeout_ms);
	h->in.n += got;
	return err;
}

static struct str unread(const struct ctl_http *h)
{
	return (struct str){h->in.p ? h->in.p + h->at : "", h->in.n - h->at};
}

/* ---- asking --------------------------------------------------------------------------------------------------------------- */

static enum ctl_exit send_head(struct ctl_http *h, const char *method, const char *target, const char *headers)
{
	struct buf b = BUF_INIT(0);
	char cltrid[CTL_CLTRID_MAX];
	bool literal = strchr(h->host, ':') != NULL;
	enum ceir_err err;

	ctl_cltrid_make(cltrid);
	buf_reserve(&b, 4096 + h->authorization.n);
	buf_printf(&b, "%s ", method);
	buf_c(&b, target);
	buf_printf(&b, " HTTP/1.1\r\nHost: %s%s%s\r\nUser-Agent: ceirctl/" CEIR_VERSION "\r\nAccept-Language: ", literal ? "[" : "",
		h->host, literal ? "]" : "");
	for (const char *p = h->lang; *p; p++) /* whatever was typed, it ends no line */
		buf_char(&b, (unsigned char)*p < 0x20 ? '?' : *p);
	buf_printf(&b, "\r\nClient-Transaction-Id: %s\r\n", cltrid);
	buf_str(&b, buf_view(&h->authorization));
	buf_c(&b, headers);
	buf_c(&b, "\r\n");
	err = b.failed ? CEIR_ENOMEM : tls_write(h->tls, b.p, b.n, h->timeout_ms);
	if (b.p)
		explicit_bzero(b.p, b.cap);
	buf_free(&b);
	return err ? broke(h, err) : CTL_OK;
}

/* One head into h->head; interim ones too. CEIR_ETIMEOUT: nothing came. */
static enum ceir_err read_head(struct ctl_http *h, unsigned timeout_ms)
{
	struct ctl_http_head head;
	size_t used;
	enum ceir_err err;

	while ((err = ctl_http_head_parse(unread(h), &head, &used)) == CEIR_ENOENT) {
		if (unread(h).n > HEAD_MAX)
			return CEIR_EINVAL;
		if ((err = fill(h, timeout_ms)))
			return err;
	}
	if (err)
		return err;
	/* Its own copy: the buffer moves on. */
	buf_clear(&h->head_bytes);
	buf_put(&h->head_bytes, unread(h).p, used);
	if (h->head_bytes.failed)
		return CEIR_ENOMEM;
	h->at += used;
	return ctl_http_head_parse(buf_view(&h->head_bytes), &h->head, &used);
}

static enum ctl_exit head_failed(struct ctl_http *h, enum ceir_err err)
{
	if (err != CEIR_EINVAL)
		return broke(h, err);
	ctl_complain("the answer is not HTTP");
	return CTL_CONNECTION;
}

/* The final answer's head. */
static enum ctl_exit await_head(struct ctl_http *h)
{
	enum ceir_err err;

	do {
		err = read_head(h, h->timeout_ms);
		if (err)
			return head_failed(h, err);
	} while (h->head.status < 200);
	h->left = h->head.chunked ? 0 : h->head.length;
	h->chunk_first = true;
	h->body_ended = !h->head.chunked && h->head.length == 0;
	return CTL_OK;
}

enum ctl_exit ctl_http_ask(struct ctl_http *h, const char *method, const char *target, const char *headers)
{
	enum ctl_exit result = send_head(h, method, target, headers);

	return result == CTL_OK ? await_head(h) : result;
}

enum ctl_exit ctl_http_begin(struct ctl_http *h, const char *method, const char *target, const char *headers, bool *go)
{
	struct buf all = BUF_INIT(0);
	enum ctl_exit result = CTL_CONNECTION;
	enum ceir_err err;

	buf_c(&all, "Transfer-Encoding: chunked\r\nExpect: 100-continue\r\n");
	buf_c(&all, headers);
	buf_char(&all, '\0');
	if (!all.failed)
		result = send_head(h, method, target, all.p);
	buf_free(&all);
	if (result != CTL_OK)
		return result;
	err = read_head(h, CONTINUE_MS);
	*go = err == CEIR_ETIMEOUT || (!err && h->head.status < 200);
	if (err && err != CEIR_ETIMEOUT)
		return head_failed(h, err);
	h->left = h->head.chunked ? 0 : h->head.length;
	h->chunk_first = true;
	h->body_ended = !h->head.chunked && h->head.length == 0;
	return CTL_OK;
}

enum ctl_exit ctl_http_put(struct ctl_http *h, struct str bytes)
{
	char size[32];
	int n = snprintf(size, sizeof(size), "%zx\r\n", bytes.n);
	enum ceir_err err;

	if (bytes.n == 0) /* would be the end */
		return CTL_OK;
	err = tls_write(h->tls, size, (size_t)n, h->timeout_ms);
	if (!err)
		err = tls_write(h->tls, bytes.p, bytes.n, h->timeout_ms);
	if (!err)
		err = tls_write(h->tls, "\r\n", 2, h->timeout_ms);
	return err ? broke(h, err) : CTL_OK;
}

enum ctl_exit ctl_http_end(struct ctl_http *h)
{
	enum ceir_err err = tls_write(h->tls, "0\r\n\r\n", 5, h->timeout_ms);

	return err ? broke(h, err) : await_head(h);
}

/* ---- the answer's body ------------------------------------------------------------------------------------------------------ */

/* The next chunk's size line, the end of the chunk before it, and the trailers behind the last. */
static enum ctl_exit next_chunk(struct ctl_http *h)
{
	size_t used, skip = h->chunk_first ? 0 : 2;
	enum ceir_err err;

	while (unread(h).n < skip ||
		(err = ctl_http_chunk_parse((struct str){unread(h).p + skip, unread(h).n - skip}, &h->left, &used)) == CEIR_ENOENT)
		if ((err = fill(h, h->timeout_ms)))
			return broke(h, err);
	if (err)
		return head_failed(h, err);
	h->at += skip + used;
	h->chunk_first = false;
	if (h->left > 0)
		return CTL_OK;
	/* Trailers, of which we want none, end with an empty line. */
	for (;;) {
		struct str rest = unread(h), line;
		const char *end = rest.n ? memchr(rest.p, '\n', rest.n) : NULL;
		if (!end) {
			if (rest.n > HEAD_MAX)
				return head_failed(h, CEIR_EINVAL);
			if ((err = fill(h, h->timeout_ms)))
				return broke(h, err);
			continue;
		}
		line = str_trim((struct str){rest.p, (size_t)(end - rest.p)});
		h->at += (size_t)(end + 1 - rest.p);
		if (line.n == 0) {
			h->body_ended = true;
			return CTL_OK;
		}
	}
}

enum ctl_exit ctl_http_body(struct ctl_http *h, struct str *bytes)
{
	enum ctl_exit result;
	enum ceir_err err;

	*bytes = STR("");
	if (!h->body_ended && h->head.chunked && h->left == 0 && (result = next_chunk(h)) != CTL_OK)
		return result;
	if (h->body_ended)
		return CTL_OK;
	if (unread(h).n == 0 && (err = fill(h, h->timeout_ms))) {
		if (err != CEIR_ECLOSED || h->head.length != UINT64_MAX || h->head.chunked)
			return broke(h, err);
		h->body_ended = true;
		return CTL_OK;
	}
	*bytes = unread(h);
	if (bytes->n > h->left)
		bytes->n = (size_t)h->left;
	h->at += bytes->n;
	if (h->left != UINT64_MAX)
		h->left -= bytes->n;
	h->body_ended = h->left == 0 && !h->head.chunked;
	return CTL_OK;
}

enum ctl_exit ctl_http_json(struct ctl_http *h, json_t **json)
{
	struct buf body = BUF_INIT(JSON_MAX);
	json_error_t error;
	struct str piece;
	enum ctl_exit result;

	do {
		result = ctl_http_body(h, &piece);
		if (result == CTL_OK)
			buf_str(&body, piece);
	} while (result == CTL_OK && piece.n > 0 && !body.failed);
	if (result == CTL_OK) {
		*json = body.failed ? NULL : json_loadb(body.p ? body.p : "", body.n, JSON_REJECT_DUPLICATES, &error);
		if (!*json) {
			ctl_complain("the answer (status %u) is not JSON", h->head.status);
			result = CTL_CONNECTION;
		}
	}
	buf_free(&body);
	return result;
}

/* ---- problems ----------------------------------------------------------------------------------------------------------------- */

static const char *text_of(const json_t *o, const char *key)
{
	const char *s = json_string_value(json_object_get(o, key));

	return s ? s : "";
}

static void print_problem(const json_t *problem, unsigned status)
{
	size_t i;
	json_t *e;

	fprintf(stderr, "%u ", status);
	if (json_is_integer(json_object_get(problem, "code")))
		fprintf(stderr, "(%lld) ", (long long)json_integer_value(json_object_get(problem, "code")));
	ctl_print_text(stderr, text_of(problem, "title"));
	if (!json_object_get(problem, "errors") && text_of(problem, "detail")[0]) {
		fputs(": ", stderr);
		ctl_print_text(stderr, text_of(problem, "detail"));
	}
	fputc('\n', stderr);
	json_array_foreach(json_object_get(problem, "errors"), i, e)
	{
		fputs("  ", stderr);
		ctl_print_text(stderr, text_of(e, "field"));
		fputs(" \"", stderr);
		ctl_print_text(stderr, text_of(e, "value"));
		fputs("\": ", stderr);
		ctl_print_text(stderr, text_of(e, "reason"));
		fputc('\n', stderr);
	}
}

enum ctl_exit ctl_http_problem(struct ctl_http *h, const struct ctl *c)
{
	struct str type = ctl_http_header(&h->head, "Content-Type");
	json_t *problem = NULL;
	enum ctl_exit result;

	if (!str_eq_c(type, "application/problem+json")) {
		ctl_complain("the server answered with status %u", h->head.status);
		return CTL_REFUSED;
	}
	result = ctl_http_json(h, &problem);
	if (result != CTL_OK)
		return result;
	if (c->args.json)
		ctl_print_json(problem);
	else
		print_problem(problem, h->head.status);
	json_decref(problem);
	return CTL_REFUSED;
}

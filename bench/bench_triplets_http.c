/* bench_triplets_http.c - HTTP/1.1 over TLS, as much of it as the bench needs: one request at a time, answers with a length or in
 * chunks. */
#include "bench_triplets_http.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define WAIT_MS 300000u /* an answer that takes longer is a fault of the server */
#define READ_BYTES 65536u

struct bt_http {
	struct tls_client *credentials;
	struct tls *tls;
	char host[128];
	struct buf out, in, body;
	size_t at; /* of in: the first byte not used */
};

void bt_account(unsigned op, char out[BT_ACCOUNT_MAX])
{
	snprintf(out, BT_ACCOUNT_MAX, "bench-op%u", op);
}

/* ---- beginning and end ------------------------------------------------------------------------------------------------------ */

enum ceir_err bt_http_open(const struct bt_options *o, const char *account, struct bt_http **out)
{
	char ca[PATH_MAX], cert[PATH_MAX], key[PATH_MAX], why[256] = "";
	struct bt_http *h = calloc(1, sizeof *h);
	enum ceir_err err = h ? CEIR_OK : CEIR_ENOMEM;
	int fd = -1;

	snprintf(ca, sizeof ca, "%s/keys/ca.crt", o->dir);
	snprintf(cert, sizeof cert, "%s/keys/%s.crt", o->dir, account);
	snprintf(key, sizeof key, "%s/keys/%s.key", o->dir, account);
	if (!err)
		snprintf(h->host, sizeof h->host, "%s:%s", o->host, o->port);
	if (!err)
		err = bt_failed(cert, tls_client_new(ca, cert, key, &h->credentials));
	if (!err)
		err = bt_failed("connect", tls_dial(o->host, o->port, 10000, &fd, why, sizeof why));
	if (!err)
		err = bt_failed("TLS", tls_connect(h->credentials, fd, o->host, 10000, &h->tls, why, sizeof why));
	if (err && why[0])
		fprintf(stderr, "bench_triplets: %s\n", why);
	if (err)
		bt_http_close(h);
	else
		*out = h;
	return err;
}

void bt_http_close(struct bt_http *h)
{
	if (!h)
		return;
	tls_close(h->tls);
	if (h->credentials)
		tls_client_free(h->credentials);
	buf_free(&h->out);
	buf_free(&h->in);
	buf_free(&h->body);
	free(h);
}

/* ---- reading ---------------------------------------------------------------------------------------------------------------- */

static enum ceir_err more(struct bt_http *h)
{
	char *space = buf_reserve(&h->in, READ_BYTES);
	size_t got;
	enum ceir_err err = space ? tls_read(h->tls, space, READ_BYTES, &got, WAIT_MS) : CEIR_ENOMEM;

	if (!err)
		h->in.n += got;
	return err;
}

/* A line without its CR LF; good until more is read. */
static enum ceir_err line(struct bt_http *h, struct str *out)
{
	size_t looked = 0;

	for (;;) {
		const char *from = h->in.p + h->at,
			   *end = h->in.n > h->at + looked ? memchr(from + looked, '\n', h->in.n - h->at - looked) : NULL;
		if (end) {
			*out = (struct str){from, (size_t)(end - from)};
			h->at += out->n + 1;
			if (out->n && out->p[out->n - 1] == '\r')
				out->n--;
			return CEIR_OK;
		}
		looked = h->in.n - h->at;
		enum ceir_err err = more(h);
		if (err)
			return err;
	}
}

static enum ceir_err take(struct bt_http *h, size_t n)
{
	while (h->in.n - h->at < n) {
		enum ceir_err err = more(h);
		if (err)
			return err;
	}
	buf_put(&h->body, h->in.p + h->at, n);
	h->at += n;
	return h->body.failed ? CEIR_ENOMEM : CEIR_OK;
}

static enum ceir_err take_chunks(struct bt_http *h)
{
	for (;;) {
		struct str head;
		enum ceir_err err = line(h, &head);
		if (err)
			return err;
		size_t n = strtoul(head.p, NULL, 16); /* a CR or LF stands behind the digits */
		if (n > 0)
			err = take(h, n);
		if (!err)
			err = line(h, &head);
		if (err || n == 0)
			return err;
		/* What is used is dropped, or a large list would stand in memory twice. */
		memmove(h->in.p, h->in.p + h->at, h->in.n - h->at);
		h->in.n -= h->at;
		h->at = 0;
	}
}

static bool header_is(struct str text, const char *name, struct str *value)
{
	size_t n = strlen(name);

	if (text.n <= n || strncasecmp(text.p, name, n) != 0 || text.p[n] != ':')
		return false;
	*value = str_trim((struct str){text.p + n + 1, text.n - n - 1});
	return true;
}

static enum ceir_err receive(struct bt_http *h, struct bt_answer *a)
{
	struct str text, value;
	uint64_t length = 0, status;
	bool chunked = false;
	enum ceir_err err;

	buf_clear(&h->body);
	buf_clear(&h->in);
	h->at = 0;
	if ((err = line(h, &text)) != CEIR_OK)
		return err;
	if (text.n < 12 || str_u64((struct str){text.p + 9, 3}, 999, &status) != CEIR_OK)
		return CEIR_EINVAL;
	while ((err = line(h, &text)) == CEIR_OK && text.n > 0) {
		if (header_is(text, "Content-Length", &value) && (err = str_u64(value, SIZE_MAX, &length)) != CEIR_OK)
			return err;
		if (header_is(text, "Transfer-Encoding", &value))
			chunked = str_eq_c(value, "chunked");
	}
	if (!err)
		err = chunked ? take_chunks(h) : take(h, (size_t)length);
	*a = (struct bt_answer){(unsigned)status, buf_view(&h->body)};
	return err;
}

enum ceir_err bt_http_expect(const struct bt_answer *a, unsigned status, const char *what)
{
	if (a->status == status)
		return CEIR_OK;
	fprintf(stderr, "bench_triplets: %s: expected status %u, not %u: %.*s\n", what, status, a->status,
		(int)(a->body.n < 2048 ? a->body.n : 2048), a->body.p ? a->body.p : "");
	return CEIR_EINVAL;
}

/* ---- requests ---------------------------------------------------------------------------------------------------------------- */

static void head(struct bt_http *h, const char *method, const char *path)
{
	buf_clear(&h->out);
	buf_printf(&h->out, "%s %s HTTP/1.1\r\nHost: %s\r\n", method, path, h->host);
}

static enum ceir_err flush(struct bt_http *h)
{
	return h->out.failed ? CEIR_ENOMEM : tls_write(h->tls, h->out.p, h->out.n, WAIT_MS);
}

enum ceir_err bt_http_get(struct bt_http *h, const char *path, struct bt_answer *a)
{
	head(h, "GET", path);
	buf_c(&h->out, "\r\n");
	enum ceir_err err = flush(h);
	return bt_failed(path, err ? err : receive(h, a));
}

enum ceir_err bt_http_post(
	struct bt_http *h, const char *path, const char *type, const char *cltrid, struct str body, struct bt_answer *a)
{
	head(h, "POST", path);
	buf_printf(&h->out, "Content-Type: %s\r\nContent-Length: %zu\r\n", type, body.n);
	if (cltrid)
		buf_printf(&h->out, "Client-Transaction-Id: %s\r\n", cltrid);
	buf_c(&h->out, "\r\n");
	buf_str(&h->out, body);
	enum ceir_err err = flush(h);
	return bt_failed(path, err ? err : receive(h, a));
}

enum ceir_err bt_http_begin(struct bt_http *h, const char *path, const char *type)
{
	head(h, "POST", path);
	buf_printf(&h->out, "Content-Type: %s\r\nTransfer-Encoding: chunked\r\n\r\n", type);
	return bt_failed(path, flush(h));
}

enum ceir_err bt_http_piece(struct bt_http *h, struct str piece)
{
	char size[24];
	int n = snprintf(size, sizeof size, "%zx\r\n", piece.n);

	buf_clear(&h->out);
	buf_put(&h->out, size, (size_t)n);
	buf_str(&h->out, piece);
	buf_c(&h->out, "\r\n");
	return bt_failed("sending", flush(h));
}

enum ceir_err bt_http_end(struct bt_http *h, struct bt_answer *a)
{
	buf_clear(&h->out);
	buf_c(&h->out, "0\r\n\r\n");
	enum ceir_err err = flush(h);
	return bt_failed("the answer", err ? err : receive(h, a));
}

/* ---- JSON -------------------------------------------------------------------------------------------------------------------- */

static bool member(struct str json, const char *name, struct str *rest)
{
	char key[64];
	int n = snprintf(key, sizeof key, "\"%s\":", name);
	const char *at = json.n ? memmem(json.p, json.n, key, (size_t)n) : NULL;

	if (!at)
		return false;
	*rest = (struct str){at + n, json.n - (size_t)(at + n - json.p)};
	return true;
}

bool bt_json_number(struct str json, const char *name, uint64_t *value)
{
	struct str rest;
	size_t n = 0;

	if (!member(json, name, &rest))
		return false;
	while (n < rest.n && rest.p[n] >= '0' && rest.p[n] <= '9')
		n++;
	return str_u64((struct str){rest.p, n}, UINT64_MAX, value) == CEIR_OK;
}

bool bt_json_text(struct str json, const char *name, struct str *value)
{
	struct str rest;

	if (!member(json, name, &rest) || rest.n < 2 || rest.p[0] != '"')
		return false;
	const char *end = memchr(rest.p + 1, '"', rest.n - 1);
	if (!end)
		return false;
	*value = (struct str){rest.p + 1, (size_t)(end - rest.p - 1)};
	return true;
}

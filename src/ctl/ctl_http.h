/*
 * ctl_http.h - a minimal client of HTTP/1.1 over TLS (RFC 9112): one connection, one request after another, bodies streamed both ways.
 */
#ifndef CEIR_CTL_HTTP_H
#define CEIR_CTL_HTTP_H

#include "base/base.h"
#include "ctl/ctl_internal.h"

/* The head of a response. */
struct ctl_http_head {
	unsigned status;
	struct str headers;    /* lines, each with its CRLF */
	uint64_t length;       /* of the body; UINT64_MAX: until the connection closes */
	bool chunked, close;
};

/*
 * Pure: the head at the beginning of bytes. *used: its length with the empty line. CEIR_ENOENT: not complete yet; CEIR_EINVAL: not HTTP/1.
 */
enum ceir_err ctl_http_head_parse(struct str bytes, struct ctl_http_head *out, size_t *used) CEIR_MUST_USE;
/* The value of the first header of that name, empty: none. Upper and lower case are one. */
struct str ctl_http_header(const struct ctl_http_head *h, const char *name);
/* Pure: the size line of a chunk (RFC 9112 7.1), with its CRLF. Errors as above. */
enum ceir_err ctl_http_chunk_parse(struct str bytes, uint64_t *size, size_t *used) CEIR_MUST_USE;

struct ctl_http {
	struct tls_client *credentials;
	struct tls *tls;
	unsigned timeout_ms;
	char host[256];
	struct buf authorization; /* header line, or empty */
	const char *lang;
	struct buf in;            /* received, from `at` on not yet used */
	size_t at;
	struct buf head_bytes;    /* of the response in hand */
	struct ctl_http_head head;
	uint64_t left;            /* of the body, or of the chunk */
	bool chunk_first, body_ended;
};

/* Finds the server, connects; who we are goes along with each request. Complains. */
enum ctl_exit ctl_http_open(struct ctl_http *h, struct ctl *c);
void ctl_http_close(struct ctl_http *h);

/*
 * All complain, and give CTL_CONNECTION when the connection broke. headers: lines with CRLF, or "".
 * Without a body. Then the answer.
 */
enum ctl_exit ctl_http_ask(struct ctl_http *h, const char *method, const char *target, const char *headers);
/*
 * With a body in chunks: the head is sent, and the server asked whether it wants to go on (Expect: 100-continue). *go: it does; else its
 * answer is in hand already.
 */
enum ctl_exit ctl_http_begin(struct ctl_http *h, const char *method, const char *target, const char *headers, bool *go);
enum ctl_exit ctl_http_put(struct ctl_http *h, struct str bytes);
enum ctl_exit ctl_http_end(struct ctl_http *h);
/* More of the body of the answer in hand; empty at its end. Good until the next call. */
enum ctl_exit ctl_http_body(struct ctl_http *h, struct str *bytes);
/* The whole body as JSON, up to some megabytes. */
enum ctl_exit ctl_http_json(struct ctl_http *h, json_t **json);
/* Shows an answer that is a problem (RFC 9457), or any other with a status of 400 and above. CTL_REFUSED. */
enum ctl_exit ctl_http_problem(struct ctl_http *h, const struct ctl *c);

/* Appends text as a value of a query, percent-encoded. */
void ctl_http_encode(struct buf *b, struct str text);

#endif

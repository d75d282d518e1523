/*
 * ctl_http_head.c - the pure part of ctl_http.h: heads, chunks, percent encoding.
 */
#include "ctl/ctl_http.h"

#include <string.h>
#include <strings.h>

#define CHUNK_LINE_MAX 1024u /* with extensions, which mean nothing to us */

/* Cuts a line with its end off *s. false: there is no whole one. */
static bool line_cut(struct str *s, struct str *line)
{
	const char *end = s->n ? memchr(s->p, '\n', s->n) : NULL;

	if (!end)
		return false;
	*line = (struct str){s->p, (size_t)(end - s->p)};
	if (line->n && line->p[line->n - 1] == '\r')
		line->n--;
	*s = (struct str){end + 1, s->n - (size_t)(end + 1 - s->p)};
	return true;
}

struct str ctl_http_header(const struct ctl_http_head *h, const char *name)
{
	struct str rest = h->headers, line, key;
	size_t n = strlen(name);

	while (line_cut(&rest, &line))
		if (str_cut(&line, ':', &key) && key.n == n && strncasecmp(key.p, name, n) == 0)
			return str_trim(line);
	return STR("");
}

/* "HTTP/1.1 200 OK" */
static enum ceir_err status_parse(struct str line, unsigned *status)
{
	uint64_t n;

	if (line.n < 12 || !str_starts(line, STR("HTTP/1.")) || line.p[8] != ' ' || (line.n > 12 && line.p[12] != ' '))
		return CEIR_EINVAL;
	if (str_u64((struct str){line.p + 9, 3}, 999, &n) || n < 100)
		return CEIR_EINVAL;
	*status = (unsigned)n;
	return CEIR_OK;
}

/* RFC 9112 6.3. */
static enum ceir_err length_find(struct ctl_http_head *h)
{
	struct str length = ctl_http_header(h, "Content-Length"), coding = ctl_http_header(h, "Transfer-Encoding");
	struct str connection = ctl_http_header(h, "Connection");

	h->close = connection.n == 5 && strncasecmp(connection.p, "close", 5) == 0;
	h->chunked = coding.n == 7 && strncasecmp(coding.p, "chunked", 7) == 0;
	if (h->status < 200 || h->status == 204 || h->status == 304) {
		h->chunked = false;
		h->length = 0;
		return CEIR_OK;
	}
	h->length = UINT64_MAX;
	if (coding.n)
		return h->chunked ? CEIR_OK : CEIR_EINVAL;
	h->close = h->close || length.n == 0;
	return length.n && str_u64(length, UINT64_MAX - 1, &h->length) ? CEIR_EINVAL : CEIR_OK;
}

enum ceir_err ctl_http_head_parse(struct str bytes, struct ctl_http_head *out, size_t *used)
{
	struct str rest = bytes, line;
	struct ctl_http_head h = {.status = 0};
	enum ceir_err err;

	if (!line_cut(&rest, &line))
		return CEIR_ENOENT;
	if ((err = status_parse(line, &h.status)))
		return err;
	h.headers = rest;
	do {
		if (!line_cut(&rest, &line))
			return CEIR_ENOENT;
	} while (line.n > 0);
	*used = (size_t)(rest.p - bytes.p);
	/* The empty line stays out. */
	h.headers.n = (size_t)(line.p - h.headers.p);
	err = length_find(&h);
	if (!err)
		*out = h;
	return err;
}

enum ceir_err ctl_http_chunk_parse(struct str bytes, uint64_t *size, size_t *used)
{
	static const char hex[] = "0123456789abcdef";
	struct str rest = bytes, line, digits = STR("");
	uint64_t n = 0;

	if (!line_cut(&rest, &line))
		return bytes.n > CHUNK_LINE_MAX ? CEIR_EINVAL : CEIR_ENOENT;
	(void)str_cut(&line, ';', &digits);
	digits = str_trim(digits);
	if (digits.n == 0 || digits.n > 15)
		return CEIR_EINVAL;
	for (size_t i = 0; i < digits.n; i++) {
		char digit = digits.p[i] >= 'A' && digits.p[i] <= 'F' ? (char)(digits.p[i] + 32) : digits.p[i];
		const char *at = memchr(hex, digit, sizeof(hex) - 1);
		if (!at)
			return CEIR_EINVAL;
		n = n << 4 | (uint64_t)(at - hex);
	}
	*size = n;
	*used = (size_t)(rest.p - bytes.p);
	return CEIR_OK;
}

void ctl_http_encode(struct buf *b, struct str text)
{
	for (size_t i = 0; i < text.n; i++) {
		unsigned char c = (unsigned char)text.p[i];

		if ((c >= '0' && c <= '9') || ((c | 32) >= 'a' && (c | 32) <= 'z') || (c && strchr("-._~", c)))
			buf_char(b, (char)c);
		else
			buf_printf(b, "%%%02X", c);
	}
}

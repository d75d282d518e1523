/*
 * epp_client.c - the client's end of RFC 5734: connect, frames out, frames in. Knows nothing of what is in a frame.
 *
 * Frames given to epp_client_send are kept until there are many or until an answer is waited for, so that a client with many
 * commands under way fills whole TLS records. The time limit of the connect holds for each later send and receive, too.
 */
#include "epp/epp.h"

#include <stdlib.h>
#include <string.h>

#define HEADER_BYTES 4u       /* RFC 5734 4: total length, itself included, big-endian */
#define FRAME_MAX (64u << 20) /* longest frame we take */
#define READ_BYTES 65536u
#define SEND_BYTES 131072u /* so much waiting is sent without being asked */

struct epp_client {
	struct tls *tls;
	unsigned timeout_ms;
	struct buf greeting;
	struct buf in, out;
	size_t at; /* of in: where the next frame begins */
};

/* ---- connecting ------------------------------------------------------------------------------------------------------- */

enum ceir_err epp_client_connect(struct tls_client *tls, const char *host, const char *port, unsigned timeout_ms,
	struct epp_client **out, char *why, size_t why_size)
{
	struct epp_client *c = calloc(1, sizeof(*c));
	struct str greeting;
	int fd;

	if (!c)
		return CEIR_ENOMEM;
	c->timeout_ms = timeout_ms;
	c->in.max = FRAME_MAX + READ_BYTES;
	enum ceir_err err = tls_dial(host, port, timeout_ms, &fd, why, why_size);
	if (!err)
		err = tls_connect(tls, fd, host, timeout_ms, &c->tls, why, why_size);
	if (!err) {
		err = epp_client_receive(c, &greeting);
		if (err) /* TLS 1.3 lets the client in before the server has judged its certificate */
			snprintf(why, why_size, "no greeting: %s", *tls_reason(c->tls) ? tls_reason(c->tls) : ceir_err_text(err));
	}
	if (!err) {
		buf_str(&c->greeting, greeting);
		if (c->greeting.failed)
			err = CEIR_ENOMEM;
	}
	if (err) {
		epp_client_close(c);
		return err;
	}
	*out = c;
	return CEIR_OK;
}

struct str epp_client_greeting(const struct epp_client *c)
{
	return buf_view(&c->greeting);
}

/* ---- frames ----------------------------------------------------------------------------------------------------------- */

static enum ceir_err flush(struct epp_client *c)
{
	if (c->out.n == 0)
		return CEIR_OK;
	enum ceir_err err = tls_write(c->tls, c->out.p, c->out.n, c->timeout_ms);
	buf_clear(&c->out);
	return err;
}

enum ceir_err epp_client_send(struct epp_client *c, struct str xml)
{
	if (xml.n > UINT32_MAX - HEADER_BYTES)
		return CEIR_ELIMIT;
	uint32_t n = (uint32_t)(xml.n + HEADER_BYTES);
	const uint8_t header[HEADER_BYTES] = {(uint8_t)(n >> 24), (uint8_t)(n >> 16), (uint8_t)(n >> 8), (uint8_t)n};
	size_t before = c->out.n;

	buf_put(&c->out, header, sizeof(header));
	buf_str(&c->out, xml);
	if (c->out.failed) {
		c->out.n = before; /* never half a frame */
		c->out.failed = false;
		return CEIR_ENOMEM;
	}
	return c->out.n >= SEND_BYTES ? flush(c) : CEIR_OK;
}

/* A complete frame at `at`: its length, 0 when more bytes are needed. */
static enum ceir_err frame_length(const struct epp_client *c, size_t *length)
{
	size_t have = c->in.n - c->at;

	*length = 0;
	if (have < HEADER_BYTES)
		return CEIR_OK;
	const uint8_t *p = (const uint8_t *)c->in.p + c->at;
	uint32_t n = (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
	if (n <= HEADER_BYTES)
		return CEIR_EINVAL;
	if (n > FRAME_MAX)
		return CEIR_ELIMIT;
	if (have >= n)
		*length = n;
	return CEIR_OK;
}

/* What is left of the buffer moves to its front; then more is read behind it. */
static enum ceir_err read_more(struct epp_client *c, int64_t deadline_us)
{
	size_t got;
	unsigned left_ms = 0;

	if (c->at > 0) {
		memmove(c->in.p, c->in.p + c->at, c->in.n - c->at);
		c->in.n -= c->at;
		c->at = 0;
	}
	if (deadline_us) {
		int64_t left_us = deadline_us - clock_mono_us();
		if (left_us <= 0)
			return CEIR_ETIMEOUT;
		left_ms = (unsigned)((left_us + 999) / 1000);
	}
	char *to = buf_reserve(&c->in, READ_BYTES);
	if (!to)
		return CEIR_ENOMEM;
	enum ceir_err err = tls_read(c->tls, to, READ_BYTES, &got, left_ms);
	if (!err)
		c->in.n += got;
	return err;
}

enum ceir_err epp_client_receive(struct epp_client *c, struct str *xml)
{
	int64_t deadline_us = c->timeout_ms ? clock_mono_us() + (int64_t)c->timeout_ms * 1000 : 0;
	size_t length;
	enum ceir_err err = frame_length(c, &length);

	if (!err && length == 0)
		err = flush(c);
	while (!err && length == 0) {
		err = read_more(c, deadline_us);
		if (!err)
			err = frame_length(c, &length);
	}
	if (err)
		return err;
	*xml = (struct str){c->in.p + c->at + HEADER_BYTES, length - HEADER_BYTES};
	c->at += length;
	return CEIR_OK;
}

void epp_client_close(struct epp_client *c)
{
	if (!c)
		return;
	if (c->tls)
		(void)!flush(c); /* a last logout may still be waiting */
	tls_close(c->tls);
	buf_free(&c->greeting);
	buf_free(&c->in);
	buf_free(&c->out);
	free(c);
}

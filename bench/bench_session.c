/*
 * bench_session.c - an EPP client that can send many frames in one write, which the ordinary client (src/epp) does not need.
 */
#include "bench.h"

#include <errno.h>
#include <limits.h>
#include <netdb.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define HEADER 4u
#define READ_BYTES 65536u
#define WAIT_MS 120000u /* an answer that takes longer is a fault of the server */

struct bench_session {
	struct tls_client *credentials;
	struct tls *tls;
	struct buf in;
	size_t at;      /* of in: the first byte not given out */
	uint64_t asked; /* by bench_session_ask */
	struct buf out;
};

/* ---- reading and writing ---------------------------------------------------------------------------------------------- */

/* Length of the frame at s->at, header included; 0: not all of it is there. */
static size_t frame_length(const struct bench_session *s)
{
	const unsigned char *p = (const unsigned char *)s->in.p + s->at;
	size_t n;

	if (s->in.n - s->at < HEADER)
		return 0;
	n = (size_t)p[0] << 24 | (size_t)p[1] << 16 | (size_t)p[2] << 8 | p[3];
	return s->in.n - s->at >= n ? n : 0;
}

bool bench_session_ready(const struct bench_session *s)
{
	return frame_length(s) > 0;
}

enum ceir_err bench_session_send(struct bench_session *s, struct str frames)
{
	return tls_write(s->tls, frames.p, frames.n, WAIT_MS);
}

enum ceir_err bench_session_receive(struct bench_session *s, struct str *xml, unsigned timeout_ms)
{
	size_t n, got;

	while ((n = frame_length(s)) == 0) {
		if (s->at > 0) {
			memmove(s->in.p, s->in.p + s->at, s->in.n - s->at);
			s->in.n -= s->at;
			s->at = 0;
		}
		char *space = buf_reserve(&s->in, READ_BYTES);
		if (!space)
			return CEIR_ENOMEM;
		enum ceir_err err = tls_read(s->tls, space, READ_BYTES, &got, timeout_ms);
		if (err != CEIR_OK)
			return err;
		s->in.n += got;
	}
	if (n < HEADER)
		return CEIR_EINVAL;
	*xml = (struct str){s->in.p + s->at + HEADER, n - HEADER};
	s->at += n;
	return CEIR_OK;
}

/* ---- looking at answers -------------------------------------------------------------------------------------------------- */

bool bench_has(struct str xml, const char *text)
{
	return xml.n > 0 && memmem(xml.p, xml.n, text, strlen(text)) != NULL;
}

bool bench_answer_is(struct str xml, unsigned code)
{
	char attribute[20];

	snprintf(attribute, sizeof attribute, "code=\"%u\"", code);
	xml.n = xml.n < 512 ? xml.n : 512; /* the result comes first (RFC 5730 2.6) */
	return bench_has(xml, attribute);
}

bool bench_element(struct str xml, const char *name, struct str *out)
{
	const char *end = xml.p + xml.n;
	size_t n = strlen(name);

	/* Before the name stands "<" or a prefix, so it is never at the very beginning. */
	for (const char *at = xml.p + 1; at < end && (at = memmem(at, (size_t)(end - at), name, n)); at += n) {
		if ((at[-1] != '<' && at[-1] != ':') || at + n >= end || at[n] != '>')
			continue;
		const char *text = at + n + 1, *close = memchr(text, '<', (size_t)(end - text));
		if (!close)
			return false;
		*out = (struct str){text, (size_t)(close - text)};
		return true;
	}
	return false;
}

enum ceir_err bench_session_ask(struct bench_session *s, const char *inner, unsigned code, struct str *xml)
{
	char cltrid[32];
	enum ceir_err err;

	snprintf(cltrid, sizeof cltrid, "bench-%llu", (unsigned long long)++s->asked);
	bench_frame_plain(&s->out, inner, cltrid);
	if (s->out.failed)
		return CEIR_ENOMEM;
	if ((err = bench_session_send(s, buf_view(&s->out))) == CEIR_OK)
		err = bench_session_receive(s, xml, WAIT_MS);
	if (err != CEIR_OK) {
		fprintf(stderr, "bench_epp: no answer to %.200s: %s\n", inner, ceir_err_text(err));
		return err;
	}
	if (bench_answer_is(*xml, code))
		return CEIR_OK;
	fprintf(stderr, "bench_epp: expected %u to %.400s, not %.*s\n", code, inner, (int)(xml->n < 4096 ? xml->n : 4096), xml->p);
	return CEIR_EINVAL;
}

/* ---- beginning and end ----------------------------------------------------------------------------------------------------- */

static int dial(const char *host, const char *port)
{
	const struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
	struct addrinfo *list;
	int fd = -1;

	if (getaddrinfo(host, port, &hints, &list) != 0)
		return -1;
	for (const struct addrinfo *a = list; a && fd < 0; a = a->ai_next) {
		fd = socket(a->ai_family, a->ai_socktype | SOCK_CLOEXEC, a->ai_protocol);
		if (fd >= 0 && connect(fd, a->ai_addr, a->ai_addrlen) != 0) {
			close(fd);
			fd = -1;
		}
	}
	freeaddrinfo(list);
	return fd;
}

static enum ceir_err session_connect(struct bench_session *s, const struct bench_options *o, const char *account)
{
	char ca[PATH_MAX], cert[PATH_MAX], key[PATH_MAX], why[256] = "";
	enum ceir_err err;
	int fd;

	snprintf(ca, sizeof ca, "%s/keys/ca.crt", o->dir);
	snprintf(cert, sizeof cert, "%s/keys/%s.crt", o->dir, account);
	snprintf(key, sizeof key, "%s/keys/%s.key", o->dir, account);
	if ((err = tls_client_new(ca, cert, key, &s->credentials)) != CEIR_OK) {
		fprintf(stderr, "bench_epp: cannot use %s and %s: %s\n", cert, ca, ceir_err_text(err));
		return err;
	}
	if ((fd = dial(o->host, o->port)) < 0) {
		fprintf(stderr, "bench_epp: cannot connect to %s port %s: %s\n", o->host, o->port, strerror(errno));
		return CEIR_EIO;
	}
	if ((err = tls_connect(s->credentials, fd, o->host, WAIT_MS, &s->tls, why, sizeof why)) != CEIR_OK)
		fprintf(stderr, "bench_epp: TLS with %s port %s: %s\n", o->host, o->port, why);
	return err;
}

static enum ceir_err read_password(const struct bench_options *o, const char *account, struct buf *out)
{
	char path[PATH_MAX];

	/* Only the account that `ceird init` made has a file; the others were made by the bench. */
	if (strcmp(account, "admin") != 0) {
		buf_c(out, BENCH_PASSWORD);
		return out->failed ? CEIR_ENOMEM : CEIR_OK;
	}
	snprintf(path, sizeof path, "%s/keys/admin.password", o->dir);
	return file_read(path, 256, out);
}

static enum ceir_err session_login(struct bench_session *s, const struct bench_options *o, const char *account)
{
	struct buf login = BUF_INIT(4096), password = BUF_INIT(256);
	struct str greeting, pw, answer;
	enum ceir_err err;

	if ((err = bench_session_receive(s, &greeting, WAIT_MS)) != CEIR_OK ||
		(err = read_password(o, account, &password)) != CEIR_OK)
		goto out;
	pw = str_trim(buf_view(&password));
	buf_printf(&login, "<login><clID>%s</clID><pw>%.*s</pw><options><version>1.0</version><lang>en</lang></options><svcs>",
		account, (int)pw.n, pw.p);
	buf_c(&login, "<objURI>urn:ietf:params:xml:ns:imei-1.0</objURI>");
	static const char *const objects[] = {"importer", "permit", "certificate", "tac", "application", "listing", "account", "verdict"};
	for (size_t i = 0; i < CEIR_COUNT(objects); i++)
		buf_printf(&login, "<objURI>urn:ceir:params:xml:ns:%s-1.0</objURI>", objects[i]);
	buf_put(&login, "</svcs></login>", sizeof "</svcs></login>"); /* with its NUL */
	err = login.failed ? CEIR_ENOMEM : bench_session_ask(s, login.p, 1000, &answer);
out:
	buf_free(&login);
	buf_free(&password);
	return err;
}

enum ceir_err bench_session_open(const struct bench_options *o, const char *account, struct bench_session **out)
{
	struct bench_session *s = calloc(1, sizeof *s);
	enum ceir_err err;

	if (!s)
		return CEIR_ENOMEM;
	if ((err = session_connect(s, o, account)) != CEIR_OK || (err = session_login(s, o, account)) != CEIR_OK) {
		bench_session_close(s);
		return err;
	}
	*out = s;
	return CEIR_OK;
}

void bench_session_close(struct bench_session *s)
{
	if (!s)
		return;
	tls_close(s->tls);
	if (s->credentials)
		tls_client_free(s->credentials);
	buf_free(&s->in);
	buf_free(&s->out);
	free(s);
}

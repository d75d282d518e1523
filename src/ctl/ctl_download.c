/*
 * ctl_download.c - see ctl_download.h; and `list get`.
 */
#include "ctl/ctl_download.h"

#include <errno.h>
#include <fcntl.h>
#include <gnutls/crypto.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ctl/ctl_answer.h"

#define SHA256_BYTES 32u

/* ---- a file ----------------------------------------------------------------------------------------------------------------- */

struct download {
	int fd;
	const char *file;      /* NULL: standard output */
	char part[PATH_MAX];   /* its name while it is not whole */
	gnutls_hash_hd_t hash;
};

static enum ctl_exit download_begin(struct download *d, const char *file)
{
	*d = (struct download){.fd = STDOUT_FILENO, .file = file && strcmp(file, "-") != 0 ? file : NULL};
	if (d->file) {
		if (snprintf(d->part, sizeof(d->part), "%s.part", d->file) >= (int)sizeof(d->part)) {
			ctl_complain("%s: the name is too long", d->file);
			return CTL_USAGE;
		}
		d->fd = open(d->part, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
		if (d->fd < 0) {
			ctl_complain("%s: %s", d->part, strerror(errno));
			return CTL_USAGE;
		}
	}
	if (gnutls_hash_init(&d->hash, GNUTLS_DIG_SHA256) == 0)
		return CTL_OK;
	ctl_complain("%s", ceir_err_text(CEIR_ENOMEM));
	return CTL_USAGE;
}

/* Gives the file its name, or takes it away. */
static enum ctl_exit download_end(struct download *d, enum ctl_exit result)
{
	if (d->hash)
		gnutls_hash_deinit(d->hash, NULL);
	if (!d->file || d->fd < 0)
		return result;
	if (result == CTL_OK && fsync(d->fd) != 0) {
		ctl_complain("%s: %s", d->part, strerror(errno));
		result = CTL_USAGE;
	}
	close(d->fd);
	if (result == CTL_OK && rename(d->part, d->file) != 0) {
		ctl_complain("%s: %s", d->file, strerror(errno));
		result = CTL_USAGE;
	}
	if (result != CTL_OK)
		unlink(d->part);
	return result;
}

static enum ctl_exit copy(struct ctl_http *h, struct download *d, struct ctl_progress *progress)
{
	uint64_t bytes = 0;
	struct str piece;

	for (;;) {
		enum ctl_exit result = ctl_http_body(h, &piece);

		if (result != CTL_OK || piece.n == 0)
			return result;
		gnutls_hash(d->hash, piece.p, piece.n);
		if (fd_write_all(d->fd, piece.p, piece.n)) {
			ctl_complain("%s: %s", d->file ? d->part : "standard output", strerror(errno));
			return CTL_USAGE;
		}
		bytes += piece.n;
		ctl_progress_bytes(progress, bytes);
	}
}

/* "sha-256=:BASE64:" */
static enum ctl_exit compare(struct ctl_http *h, struct download *d)
{
	struct str header = ctl_http_header(&h->head, "Repr-Digest");
	const struct str prefix = STR("sha-256=:");
	gnutls_datum_t base64, wanted = {NULL, 0};
	uint8_t got[SHA256_BYTES];
	bool same;

	gnutls_hash_output(d->hash, got);
	if (!str_starts(header, prefix) || header.p[header.n - 1] != ':' || header.n <= prefix.n)
		return CTL_OK;
	base64 = (gnutls_datum_t){(unsigned char *)(uintptr_t)(header.p + prefix.n), (unsigned)(header.n - prefix.n - 1)};
	if (gnutls_base64_decode2(&base64, &wanted) < 0)
		wanted = (gnutls_datum_t){NULL, 0};
	same = wanted.size == sizeof(got) && memcmp(wanted.data, got, sizeof(got)) == 0;
	gnutls_free(wanted.data);
	if (!same)
		ctl_complain("what arrived is not what was sent: the SHA-256 differs");
	return same ? CTL_OK : CTL_CONNECTION;
}

enum ctl_exit ctl_download(struct ctl_http *h, const struct ctl *c, const char *what, const char *file)
{
	struct ctl_progress progress;
	struct download d;
	enum ctl_exit result;

	if (h->head.status >= 400)
		return ctl_http_problem(h, c);
	result = download_begin(&d, file);
	if (result == CTL_OK) {
		ctl_progress_begin(&progress, c, what, h->head.length == UINT64_MAX ? 0 : h->head.length);
		result = copy(h, &d, &progress);
		ctl_progress_end(&progress);
	}
	if (result == CTL_OK)
		result = compare(h, &d);
	return download_end(&d, result);
}

/* ---- list get ----------------------------------------------------------------------------------------------------------------- */

/* A parameter of the query, when its option was given. */
static void put_parameter(struct buf *b, const char *name, const char *value)
{
	if (!value)
		return;
	buf_char(b, memchr(b->p, '?', b->n) ? '&' : '?');
	buf_c(b, name);
	buf_char(b, '=');
	ctl_http_encode(b, str_of(value));
}

/* What a list is, beside its bytes: from its headers. */
static json_t *describe(const struct ctl_http *h, const char *list)
{
	static const struct {
		const char *header, *key;
		bool number;
	} from[] = {{"Ceir-Sequence-From", "from", true}, {"Ceir-Sequence-To", "to", true}, {"Ceir-Rows", "rows", true},
		{"Content-Length", "bytes", true}, {"ETag", "digest", false}, {"Ceir-Signature", "signature", false}};
	json_t *o = json_pack("{s:s}", "list", list);

	for (size_t i = 0; o && i < CEIR_COUNT(from); i++) {
		struct str value = ctl_http_header(&h->head, from[i].header);
		uint64_t n;

		if (value.n >= 2 && value.p[0] == '"')
			value = (struct str){value.p + 1, value.n - 2};
		if (from[i].number && str_u64(value, INT64_MAX, &n) == CEIR_OK)
			json_object_set_new(o, from[i].key, json_integer((json_int_t)n));
		else if (!from[i].number && value.n)
			json_object_set_new(o, from[i].key, json_stringn(value.p, value.n));
	}
	return o;
}

/* Onto standard output goes either the list or what is to be said of it. */
static void tell(const struct ctl *c, const json_t *about, bool to_stdout)
{
	if (c->args.json && !to_stdout)
		ctl_print_json(about);
	else if (!c->args.quiet)
		ctl_print_fields(stderr, about);
}

static enum ctl_exit list_get(struct ctl *c, const char *target, const char *headers, const char *file)
{
	struct ctl_http http;
	enum ctl_exit result = ctl_http_open(&http, c);
	json_t *about = NULL;

	if (result != CTL_OK)
		return result;
	result = ctl_http_ask(&http, "GET", target, headers);
	if (result == CTL_OK && http.head.status < 400)
		about = describe(&http, c->args.words[2]);
	if (result == CTL_OK)
		result = ctl_download(&http, c, "list", file);
	if (result == CTL_OK && about)
		tell(c, about, !file || strcmp(file, "-") == 0);
	json_decref(about);
	ctl_http_close(&http);
	return result;
}

enum ctl_exit ctl_command_list_get(struct ctl *c)
{
	const char *since = ctl_args_value(&c->args, "since"), *format = ctl_args_value(&c->args, "format");
	const char *operator = ctl_args_value(&c->args, "operator"), *packing = ctl_args_value(&c->args, "packing");
	const char *file = ctl_args_value(&c->args, "output"), *layout = ctl_args_value(&c->args, "layout");
	struct buf target = BUF_INIT(0), headers = BUF_INIT(0);
	enum ctl_exit result;

	if (c->args.n_words != 3 || (packing && strcmp(packing, "gzip") != 0 && strcmp(packing, "zstd") != 0)) {
		ctl_complain("list get black|grey|exceptions|white [--since N] [--format csv|xml] [--packing gzip|zstd] [--operator NAME] "
			     "[--layout dirbs] [-o FILE]");
		return CTL_USAGE;
	}
	buf_c(&target, "/v1/lists/");
	ctl_http_encode(&target, str_of(c->args.words[2]));
	put_parameter(&target, "since", since);
	put_parameter(&target, "format", format);
	put_parameter(&target, "operator", operator);
	put_parameter(&target, "layout", layout);
	buf_char(&target, '\0');
	buf_printf(&headers, "Accept-Encoding: %s\r\n", packing ? packing : "identity");
	buf_char(&headers, '\0');
	result = ctl_options_end(c);
	if (result == CTL_OK)
		result = target.failed || headers.failed ? CTL_USAGE : list_get(c, target.p, headers.p, file);
	buf_free(&target);
	buf_free(&headers);
	return result;
}

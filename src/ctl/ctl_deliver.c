/*
 * ctl_deliver.c - `deliver`: a file of triplets to the register over HTTPS, streamed, and what became of it; `delivery rejects`.
 */
#include "ctl/ctl_http.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ctl/ctl_answer.h"
#include "ctl/ctl_download.h"

#define CHUNK_BYTES ((size_t)256 << 10)
#define POLL_US 500000

struct deliver {
	struct ctl *c;
	const char *file, *kind, *id, *rejects;
	bool wait;
	int fd;
	uint64_t size; /* 0: not known */
	struct ctl_http http;
};

/* ---- sending -------------------------------------------------------------------------------------------------------------- */

/* The name without its folders, and without what could end a quoted string. */
static void put_file_name(struct buf *b, const char *file)
{
	const char *slash = strrchr(file, '/');

	buf_c(b, "Content-Disposition: attachment; filename=\"");
	for (const char *p = slash ? slash + 1 : file; *p; p++)
		buf_char(b, (unsigned char)*p < 0x20 || *p == '"' || *p == '\\' || *p == 0x7F ? '_' : *p);
	buf_c(b, "\"\r\n");
}

static bool ends_with(const char *text, const char *end)
{
	size_t n = strlen(text), m = strlen(end);

	return n >= m && strcmp(text + n - m, end) == 0;
}

static void put_headers(const struct deliver *d, struct buf *b)
{
	buf_printf(b, "Content-Type: %s\r\n",
		ends_with(d->file, ".gz")    ? "application/gzip"
		: ends_with(d->file, ".zst") ? "application/zstd"
					     : "text/csv");
	if (strcmp(d->file, "-") != 0)
		put_file_name(b, d->file);
	buf_char(b, '\0');
}

static void put_target(const struct deliver *d, struct buf *b)
{
	buf_printf(b, "/v1/deliveries?kind=%s", d->kind);
	if (d->id) {
		buf_c(b, "&id=");
		ctl_http_encode(b, str_of(d->id));
	}
	buf_char(b, '\0');
}

/* The file, piece by piece. */
static enum ctl_exit send_body(struct deliver *d)
{
	char *chunk = malloc(CHUNK_BYTES);
	struct ctl_progress progress;
	enum ctl_exit result = chunk ? CTL_OK : CTL_USAGE;
	uint64_t sent = 0;
	ssize_t n = 1;

	ctl_progress_begin(&progress, d->c, "delivering", d->size);
	while (result == CTL_OK && n > 0) {
		n = read(d->fd, chunk, CHUNK_BYTES);
		if (n < 0 && errno == EINTR) {
			n = 1;
			continue;
		}
		if (n < 0) {
			ctl_complain("%s: %s; nothing is delivered", d->file, strerror(errno));
			result = CTL_USAGE; /* the connection closes without the last chunk: the server takes none of it */
		} else if (n > 0) {
			result = ctl_http_put(&d->http, (struct str){chunk, (size_t)n});
			sent += (uint64_t)n;
			ctl_progress_bytes(&progress, sent);
		}
	}
	ctl_progress_end(&progress);
	free(chunk);
	return result;
}

static enum ctl_exit send_delivery(struct deliver *d)
{
	struct buf target = BUF_INIT(0), headers = BUF_INIT(0);
	enum ctl_exit result = CTL_USAGE;
	bool go = false;

	put_target(d, &target);
	put_headers(d, &headers);
	if (!target.failed && !headers.failed)
		result = ctl_http_begin(&d->http, "POST", target.p, headers.p, &go);
	buf_free(&target);
	buf_free(&headers);
	if (result != CTL_OK || !go)
		return result;
	result = send_body(d);
	return result == CTL_OK ? ctl_http_end(&d->http) : result;
}

/* ---- what became of it ------------------------------------------------------------------------------------------------------ */

static const char *text_of(const json_t *o, const char *key)
{
	const char *s = json_string_value(json_object_get(o, key));

	return s ? s : "";
}

/* A delivery that the server still works on. */
static bool is_under_way(const json_t *state)
{
	const char *status = text_of(state, "status");

	return strcmp(status, "received") == 0 || strcmp(status, "released") == 0;
}

static enum ctl_exit ask_state(struct deliver *d, const char *id, json_t **state)
{
	struct buf target = BUF_INIT(0);
	enum ctl_exit result = CTL_USAGE;

	buf_c(&target, "/v1/deliveries/");
	ctl_http_encode(&target, str_of(id));
	buf_char(&target, '\0');
	if (!target.failed)
		result = ctl_http_ask(&d->http, "GET", target.p, "");
	buf_free(&target);
	if (result == CTL_OK && d->http.head.status >= 400)
		result = ctl_http_problem(&d->http, d->c);
	else if (result == CTL_OK)
		result = ctl_http_json(&d->http, state);
	return result;
}

/* Asks until it is applied, held or refused. */
static enum ctl_exit wait_for(struct deliver *d, json_t **state)
{
	enum ctl_exit result = CTL_OK;

	while (result == CTL_OK && is_under_way(*state)) {
		json_t *fresh = NULL;

		usleep(POLL_US);
		result = ask_state(d, text_of(*state, "id"), &fresh);
		if (fresh) {
			json_decref(*state);
			*state = fresh;
		}
	}
	return result;
}

/* Lines that were left out, and a delivery that did not get through, are worth an exit status. */
static enum ctl_exit judge(const struct deliver *d, const json_t *state)
{
	const char *status = text_of(state, "status");
	long long refused = (long long)json_integer_value(json_object_get(state, "refused"));

	if (d->c->args.json)
		ctl_print_json(state);
	else
		ctl_print_fields(stdout, state);
	if (strcmp(status, "held") == 0)
		ctl_complain("the delivery waits for a decision of the register");
	if (refused > 0 && !d->rejects && !d->c->args.quiet)
		ctl_complain("%lld lines were not taken; see: ceirctl delivery rejects %s", refused, text_of(state, "id"));
	return refused > 0 || strcmp(status, "held") == 0 || strcmp(status, "refused") == 0 ? CTL_REFUSED : CTL_OK;
}

static enum ctl_exit fetch_rejects(struct ctl_http *h, struct ctl *c, const char *id, const char *file)
{
	struct buf target = BUF_INIT(0);
	enum ctl_exit result = CTL_USAGE;

	buf_c(&target, "/v1/deliveries/");
	ctl_http_encode(&target, str_of(id));
	buf_c(&target, "/rejects");
	buf_char(&target, '\0');
	if (!target.failed)
		result = ctl_http_ask(h, "GET", target.p, "");
	buf_free(&target);
	return result == CTL_OK ? ctl_download(h, c, "rejects", file) : result;
}

static enum ctl_exit deliver(struct deliver *d)
{
	enum ctl_exit result = send_delivery(d), last;
	json_t *state = NULL;

	if (result == CTL_OK && d->http.head.status >= 400)
		result = ctl_http_problem(&d->http, d->c);
	else if (result == CTL_OK)
		result = ctl_http_json(&d->http, &state);
	if (result == CTL_OK && d->wait)
		result = wait_for(d, &state);
	if (result == CTL_OK)
		result = judge(d, state);
	if (state && d->rejects) {
		last = fetch_rejects(&d->http, d->c, text_of(state, "id"), d->rejects);
		result = last == CTL_OK ? result : last;
	}
	json_decref(state);
	return result;
}

/* ---- the commands ------------------------------------------------------------------------------------------------------------- */

static enum ctl_exit open_file(struct deliver *d)
{
	struct stat st;

	d->fd = strcmp(d->file, "-") == 0 ? dup(STDIN_FILENO) : open(d->file, O_RDONLY | O_CLOEXEC);
	if (d->fd < 0) {
		ctl_complain("%s: %s", d->file, strerror(errno));
		return CTL_USAGE;
	}
	if (fstat(d->fd, &st) == 0 && S_ISREG(st.st_mode))
		d->size = (uint64_t)st.st_size;
	return CTL_OK;
}

enum ctl_exit ctl_command_deliver(struct ctl *c)
{
	struct deliver d = {.c = c, .fd = -1};
	enum ctl_exit result;

	d.kind = ctl_args_value(&c->args, "kind");
	d.id = ctl_args_value(&c->args, "id");
	d.rejects = ctl_args_value(&c->args, "rejects");
	d.wait = ctl_args_flag(&c->args, "wait");
	d.file = c->args.n_words == 2 ? c->args.words[1] : NULL;
	if (!d.file || !d.kind || (strcmp(d.kind, "full") != 0 && strcmp(d.kind, "delta") != 0)) {
		ctl_complain("deliver FILE|- --kind full|delta [--id ID] [--wait] [--rejects FILE]");
		return CTL_USAGE;
	}
	result = ctl_options_end(c);
	if (result == CTL_OK)
		result = open_file(&d);
	if (result == CTL_OK && (result = ctl_http_open(&d.http, c)) == CTL_OK) {
		result = deliver(&d);
		ctl_http_close(&d.http);
	}
	if (d.fd >= 0)
		close(d.fd);
	return result;
}

enum ctl_exit ctl_command_rejects(struct ctl *c)
{
	const char *file = ctl_args_value(&c->args, "output");
	struct ctl_http http;
	enum ctl_exit result;

	if (c->args.n_words != 3) {
		ctl_complain("delivery rejects ID [-o FILE]");
		return CTL_USAGE;
	}
	result = ctl_options_end(c);
	if (result == CTL_OK)
		result = ctl_http_open(&http, c);
	if (result != CTL_OK)
		return result;
	result = fetch_rejects(&http, c, c->args.words[2], file);
	ctl_http_close(&http);
	return result;
}

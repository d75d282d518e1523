/*
 * ctl_lists.c - check, query and raw documents: many documents, or many answers.
 */
#include "ctl/ctl_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ctl/ctl_answer.h"
#include "ctl/ctl_request.h"
#include "ctl/ctl_split.h"

#define CHECK_NAMES 5000u  /* in one command; the server takes 10,000 unless configured otherwise */
#define NAME_MAX_BYTES 64u /* ceir-common-1.0.xsd nameType */
/*
 * Raw documents sent ahead of their answers. So many bytes fit into the buffers of any socket: when the server waits for us
 * to read, we are never waiting for it to do so.
 */
#define RAW_AHEAD_BYTES 65536u
#define READ_BYTES 65536u

/* ---- check --------------------------------------------------------------------------------------------------------------- */

/* The worse of two outcomes of one run; a broken connection is the worst. */
static enum ctl_exit worse(enum ctl_exit a, enum ctl_exit b)
{
	return a > b ? a : b;
}

static enum ctl_exit check_names(struct ctl *c, const struct reg_object *o, const struct str *names, size_t n)
{
	struct buf xml = BUF_INIT(0);

	ctl_request_check(&xml, o, names, n);
	enum ctl_exit result = ctl_transact(&c->session, &xml);
	buf_free(&xml);
	return result;
}

/* One name a line from standard input, as many as there are. */
static enum ctl_exit check_lines(struct ctl *c, const struct reg_object *o)
{
	struct arena *arena = arena_new(0);
	struct str *names = calloc(CHECK_NAMES, sizeof(*names));
	enum ctl_exit result = arena && names ? CTL_OK : CTL_USAGE;
	char *line = NULL;
	size_t size = 0, n = 0;
	unsigned long long number = 0;
	ssize_t got;

	while (result != CTL_CONNECTION && arena && names && (got = getline(&line, &size, stdin)) >= 0) {
		struct str name = str_trim((struct str){line, (size_t)got});
		number++;
		if (name.n > NAME_MAX_BYTES || !str_is_utf8(name)) {
			ctl_complain("line %llu: no name: longer than %u bytes or not UTF-8", number, NAME_MAX_BYTES);
			result = worse(result, CTL_REFUSED);
		} else if (name.n > 0) {
			names[n] = arena_str(arena, name);
			n += names[n].p != NULL;
		}
		if (n == CHECK_NAMES) {
			result = worse(result, check_names(c, o, names, n));
			arena_reset(arena);
			n = 0;
		}
	}
	if (n > 0 && result != CTL_CONNECTION)
		result = worse(result, check_names(c, o, names, n));
	free(line);
	free(names);
	arena_free(arena);
	return result;
}

enum ctl_exit ctl_command_check(struct ctl *c, const struct reg_object *o)
{
	size_t n = c->args.n_words > 2 ? c->args.n_words - 2 : 0;
	bool from_input = n == 1 && strcmp(c->args.words[2], "-") == 0;
	struct str *names = calloc(n + 1, sizeof(*names));
	enum ctl_exit result = n && names ? ctl_options_end(c) : CTL_USAGE;

	if (n == 0)
		ctl_complain("%s check wants names, or - to read them from standard input", o->name);
	if (result == CTL_OK)
		result = ctl_open(c);
	if (result != CTL_OK) {
		free(names);
		return result;
	}
	for (size_t i = 0; i < n; i++)
		names[i] = str_of(c->args.words[2 + i]);
	if (from_input)
		result = check_lines(c, o);
	for (size_t i = 0; !from_input && i < n && result != CTL_CONNECTION; i += CHECK_NAMES)
		result = worse(result, check_names(c, o, names + i, n - i < CHECK_NAMES ? n - i : CHECK_NAMES));
	ctl_session_close(&c->session);
	free(names);
	return result;
}

/* ---- query --------------------------------------------------------------------------------------------------------------- */

static void print_page(const struct ctl *c, const json_t *answer, bool first)
{
	const json_t *page = json_object_get(answer, "query"), *count = json_object_get(page, "count");

	if (c->args.json) {
		ctl_print_json(answer);
		return;
	}
	ctl_print_table(stdout, json_object_get(page, "items"), first);
	if (count)
		printf("%s%lld\n", json_is_true(json_object_get(page, "atLeast")) ? "at least " : "count: ",
			(long long)json_integer_value(count));
}

/* One page; *cursor becomes that of the next, empty when there is none. */
static enum ctl_exit query_page(struct ctl *c, const struct buf *xml, struct buf *cursor, bool first)
{
	json_t *answer = NULL;
	enum ctl_exit result = ctl_send(&c->session, xml);

	buf_clear(cursor);
	if (result == CTL_OK)
		result = ctl_receive(&c->session, &answer);
	if (result == CTL_OK && !ctl_answer_good(answer)) {
		result = ctl_show(&c->session, answer);
	} else if (result == CTL_OK) {
		const char *next = json_string_value(json_object_get(json_object_get(answer, "query"), "next"));
		buf_c(cursor, next ? next : "");
		print_page(c, answer, first);
	}
	json_decref(answer);
	return result;
}

enum ctl_exit ctl_command_query(struct ctl *c, const struct reg_object *o)
{
	struct buf xml = BUF_INIT(0), cursor = BUF_INIT(0);
	bool all = ctl_args_flag(&c->args, "all"), first = true;
	char why[256] = "";
	enum ctl_exit result = CTL_USAGE;

	if (c->args.n_words > 2)
		ctl_complain("query takes no names; --filter '%s = %s' finds one", o->fields->name, c->args.words[2]);
	else if (ctl_request_query(&xml, o, &c->args, buf_view(&cursor), why, sizeof(why)))
		ctl_complain("%s", why);
	else
		result = ctl_options_end(c);
	if (result == CTL_OK)
		result = ctl_open(c);
	if (result == CTL_OK) {
		while ((result = query_page(c, &xml, &cursor, first)) == CTL_OK && all && cursor.n > 0) {
			buf_clear(&xml);
			(void)!ctl_request_query(&xml, o, &c->args, buf_view(&cursor), why, sizeof(why)); /* went well before */
			first = false;
		}
		if (result == CTL_OK && cursor.n > 0 && !c->args.json)
			fprintf(stderr, "more: --cursor '%.*s', or --all\n", (int)cursor.n, cursor.p);
		ctl_session_close(&c->session);
	}
	buf_free(&xml);
	buf_free(&cursor);
	return result;
}

/* ---- raw documents --------------------------------------------------------------------------------------------------------- */

struct raw {
	struct ctl *c;
	unsigned due;       /* answers */
	size_t ahead_bytes; /* of documents that are not all answered */
	enum ctl_exit result;
};

/* The oldest answer that is due, as it came, and a line end. */
static void raw_answer(struct raw *r)
{
	struct str xml;
	json_t *json = NULL;
	enum ceir_err err = epp_client_receive(r->c->session.epp, &xml);

	if (err) {
		ctl_complain("waiting for an answer: %s", ceir_err_text(err));
		r->c->session.logged_in = false;
		r->result = CTL_CONNECTION;
		return;
	}
	r->due--;
	fwrite(xml.p, 1, xml.n, stdout);
	if (xml.n == 0 || xml.p[xml.n - 1] != '\n')
		fputc('\n', stdout);
	if (ctl_answer_parse(xml, &json) || !ctl_answer_good(json))
		r->result = worse(r->result, CTL_REFUSED);
	if (ctl_answer_code(json) == REG_BYE)
		r->c->session.logged_in = false; /* the documents held a logout */
	json_decref(json);
}

static void raw_answers(struct raw *r)
{
	while (r->due > 0 && r->result != CTL_CONNECTION)
		raw_answer(r);
	r->ahead_bytes = 0;
	fflush(stdout);
}

static void raw_send(struct raw *r, struct str document)
{
	if (r->due > 0 && r->ahead_bytes + document.n > RAW_AHEAD_BYTES)
		raw_answers(r);
	if (r->result == CTL_CONNECTION)
		return;
	enum ceir_err err = epp_client_send(r->c->session.epp, document);
	if (err) {
		ctl_complain("sending: %s", ceir_err_text(err));
		r->c->session.logged_in = false;
		r->result = CTL_CONNECTION;
		return;
	}
	r->ahead_bytes += document.n;
	r->due++;
}

/*
 * Documents are answered as soon as nothing more is to be read at the moment, so that a person or a program at the other end
 * of a pipe can hold a conversation.
 */
static enum ctl_exit raw_run(struct ctl *c, bool single)
{
	struct ctl_split split = {.whole = single};
	struct raw r = {.c = c};
	struct str document;
	char *bytes = malloc(READ_BYTES);
	ssize_t n = 0;

	while (bytes && r.result != CTL_CONNECTION &&
		((n = read(STDIN_FILENO, bytes, READ_BYTES)) > 0 || (n < 0 && errno == EINTR))) {
		ctl_split_put(&split, bytes, n > 0 ? (size_t)n : 0);
		while (r.result != CTL_CONNECTION && ctl_split_next(&split, &document))
			raw_send(&r, document);
		raw_answers(&r);
	}
	if (!bytes || n < 0 || split.in.failed) {
		ctl_complain("standard input: %s", n < 0 ? strerror(errno) : ceir_err_text(CEIR_ENOMEM));
		r.result = worse(r.result, CTL_USAGE);
	} else if (r.result != CTL_CONNECTION && ctl_split_rest(&split, &document)) {
		raw_send(&r, document);
	}
	raw_answers(&r);
	ctl_split_free(&split);
	free(bytes);
	return r.result;
}

enum ctl_exit ctl_command_raw(struct ctl *c)
{
	bool single = ctl_args_flag(&c->args, "single");
	enum ctl_exit result = c->args.n_words > 1 ? CTL_USAGE : ctl_options_end(c);

	if (c->args.n_words > 1)
		ctl_complain("epp reads documents from standard input and takes no words");
	if (result == CTL_OK)
		result = ctl_open(c);
	if (result != CTL_OK)
		return result;
	result = raw_run(c, single);
	ctl_session_close(&c->session);
	return result;
}

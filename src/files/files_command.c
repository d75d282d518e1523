/* files_command.c - sessions of this face, and what became of a command. */
#include "files/files_internal.h"

#include <string.h>
#include <unistd.h>

#define ARENA_BYTES ((size_t)64 << 20)
#define TEXT_BYTES 4096

enum ceir_err files_session_open(struct files *f, const struct files_account *a, struct files_session *out)
{
	struct reg_client client = {.has_certificate = false};

	snprintf(client.address, sizeof client.address, "files/%.50s", a->folder);
	*out = (struct files_session){.text = BUF_INIT(TEXT_BYTES)};
	enum ceir_err err = reg_session_of(f->r, str_of(a->clid), &client, f->s.lang, &out->s);
	if (!err && !(out->arena = arena_new(ARENA_BYTES))) {
		reg_session_free(out->s);
		err = CEIR_ENOMEM;
	}
	if (err)
		out->s = NULL;
	else
		out->lang = reg_session_lang(out->s);
	return err;
}

void files_session_close(struct files_session *s)
{
	if (s->s)
		reg_session_free(s->s);
	arena_free(s->arena);
	buf_free(&s->out);
	buf_free(&s->text);
	*s = (struct files_session){.s = NULL};
}

/* ---- texts ---- */

void files_put_line(struct buf *out, struct str s)
{
	for (size_t i = 0; i < s.n; i++)
		buf_char(out, (unsigned char)s.p[i] < 0x20 || s.p[i] == 0x7f ? ' ' : s.p[i]);
}

static void put_detail(struct files_session *s, const char *element, struct str value, const char *english)
{
	struct buf line = BUF_INIT(TEXT_BYTES);

	i18n_format(&line, s->lang, english, &value, 1);
	if (element)
		buf_printf(&s->text, "%s: ", element);
	files_put_line(&s->text, buf_view(&line));
	if (value.n && !strstr(english, "{0}")) {
		buf_c(&s->text, " (");
		files_put_line(&s->text, value);
		buf_char(&s->text, ')');
	}
	buf_free(&line);
}

static void note_text(struct files_session *s, unsigned code, const struct reg_detail *d)
{
	const char *text = reg_code_text(code);

	buf_clear(&s->text);
	s->element[0] = '\0';
	if (d)
		snprintf(s->element, sizeof s->element, "%s", d->element);
	else
		buf_c(&s->text, i18n_text(s->lang, text ? text : "?"));
	for (; d; d = d->next) {
		put_detail(s, d->element, d->value, d->reason);
		if (d->next)
			buf_c(&s->text, "; ");
	}
}

void files_say(struct files_session *s, unsigned code, const char *element, const char *english, struct str value)
{
	s->code = code;
	s->svtrid[0] = '\0';
	snprintf(s->element, sizeof s->element, "%s", element ? element : "");
	buf_clear(&s->text);
	put_detail(s, element, value, english);
}

static void put_nodes(struct buf *out, const struct reg_node *n, const char *before)
{
	for (; n; n = n->next) {
		if (n->child) {
			for (const struct reg_node *c = n->child; c; c = c->next)
				buf_printf(out, "%s%s.%s=%.*s\n", before, n->field->name, c->field->name, (int)c->text.n, c->text.p);
		} else {
			buf_printf(out, "%s%s=%.*s\n", before, n->field->name, (int)n->text.n, n->text.n ? n->text.p : "");
		}
	}
}

struct str files_request(struct arena *a, const struct reg_command *c)
{
	struct buf b = BUF_INIT(64 << 20);
	struct str out = {NULL, 0};

	buf_printf(&b, "%s %s\n", reg_verb_name(c->verb), c->object->name);
	put_nodes(&b, c->key, "");
	put_nodes(&b, c->set, "");
	put_nodes(&b, c->add, "+");
	for (size_t i = 0; i < c->n_names; i++)
		buf_printf(&b, "%.*s\n", (int)c->names[i].n, c->names[i].p);
	for (size_t i = 0; i < c->n_devices; i++)
		for (unsigned k = 0; k < c->devices[i].n; k++) {
			buf_str(&b, c->devices[i].imeis[k]);
			buf_char(&b, k + 1 < c->devices[i].n ? ' ' : '\n');
		}
	if (!b.failed)
		out = arena_str(a, buf_view(&b));
	buf_free(&b);
	return out;
}

/* ---- executing ---- */

static void render(void *face, const struct reg_command *c, const struct reg_reply *reply, struct buf *out)
{
	struct files_session *s = face;

	(void)c;
	s->code = reply->code;
	snprintf(s->svtrid, sizeof s->svtrid, "%s", reply->svtrid);
	note_text(s, reply->code, reply->details);
	if (s->take)
		s->take(s->ctx, reply);
	/* What the audit row digests: what stands in the answer. */
	buf_printf(out, "%u %s %s\n", (unsigned)reply->code, reply->svtrid, c->cltrid.n ? "" : "-");
	buf_str(out, buf_view(&s->text));
}

enum ceir_err files_execute(struct files_session *s, struct reg_command *c)
{
	if (!c->request.p)
		c->request = files_request(s->arena, c);
	if (!c->request.p)
		return CEIR_ENOMEM;
	buf_clear(&s->out);
	reg_execute(s->s, c, s->arena, render, s, &s->out);
	/* The door says 2400 of what it cannot do now without a word of why; of what it will never do it says what. */
	if (reg_settle(s->s) || (s->code == REG_FAILED && !s->element[0]))
		return CEIR_ESTATE;
	return reg_session_ended(s->s) || s->code == REG_AUTH_CLOSING ? CEIR_ECLOSED : CEIR_OK;
}

/* ---- what was done before ---- */

struct before {
	struct arena *arena;
	bool done;
	unsigned code;
	char svtrid[REG_SVTRID_MAX];
	struct str name;
};

static void take_before(void *ctx, const struct reg_reply *reply)
{
	struct before *b = ctx;

	for (size_t i = 0; reply->page && i < reply->page->n_items; i++) {
		uint64_t code = 0;
		struct str id = STR(""), name = STR("");

		for (const struct reg_node *n = reply->page->items[i]; n; n = n->next) {
			if (strcmp(n->field->name, "code") == 0 && str_u64(n->text, 9999, &code))
				code = 0;
			else if (strcmp(n->field->name, "id") == 0)
				id = n->text;
			else if (strcmp(n->field->name, "name") == 0)
				name = n->text;
		}
		if (code < 1000 || code >= 2000)
			continue;
		b->done = true;
		b->code = (unsigned)code;
		snprintf(b->svtrid, sizeof b->svtrid, "%.*s", (int)id.n, id.p);
		b->name = arena_str(b->arena, name);
	}
}

enum ceir_err files_done_before(struct files_session *s, const struct files_job *j, const char *cltrid, bool *done, struct str *name)
{
	char since[TIME_RFC3339_MAX];
	struct reg_filter filters[] = {{STR("clTRID"), REG_EQ, str_of(cltrid)}, {STR("account"), REG_EQ, str_of(j->a->clid)},
		{STR("date"), REG_GE, str_of(since)}};
	struct reg_query q = {.filters = filters, .n_filters = CEIR_COUNT(filters)};
	struct reg_command c = {.verb = REG_QUERY, .object = reg_object_by_name(STR("transaction")), .query = &q};
	struct before b = {.arena = s->arena};

	time_rfc3339((int64_t)strtoull(j->seq, NULL, 16), since);
	filters[2].value = str_of(since);
	c.request = arena_printf(s->arena, "query transaction\nclTRID=%s\n", cltrid);
	s->take = take_before;
	s->ctx = &b;
	enum ceir_err err = files_execute(s, &c);
	s->take = NULL;
	*done = !err && b.done;
	if (!*done)
		return err;
	s->code = b.code;
	snprintf(s->svtrid, sizeof s->svtrid, "%s", b.svtrid);
	note_text(s, b.code, NULL);
	if (name)
		*name = b.name;
	return CEIR_OK;
}

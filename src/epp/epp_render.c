/*
 * epp_render.c - from the door's reply to the bytes of a frame. Written straight into the buffer: no DOM, no copies. Keeps no
 * state, so it may run on any thread.
 */
#include "epp/epp.h"
#include "epp/epp_schema.h"

#include <string.h>

#define HEADER_BYTES 4u /* RFC 5734 4 */

/* Literals are copied with a length the compiler knows. */
#define PUT(out, literal) buf_put(out, literal, sizeof(literal) - 1)

/* ---- text -------------------------------------------------------------------------------------------------------- */

/* Bytes that go out as they are: ASCII but controls and what XML needs; both kinds of quotes, so it serves attributes too. */
/* clang-format off */
static const bool plain[256] = {
	['\t'] = true, ['\n'] = true, [' '] = true, ['!'] = true, ['#'] = true, ['$'] = true, ['%'] = true, ['('] = true, [')'] = true,
	['*'] = true, ['+'] = true, [','] = true, ['-'] = true, ['.'] = true, ['/'] = true, ['0' ... '9'] = true, [':'] = true,
	[';'] = true, ['='] = true, ['?' ... 'Z'] = true, ['['] = true, ['\\'] = true, [']'] = true, ['^' ... '~'] = true,
};
/* clang-format on */

/*
 * Length of the well-formed UTF-8 character (RFC 3629) at p, if XML 1.0 allows it, else 0. What comes in has been checked long
 * before; but an answer that is not XML would be worse than a replacement character.
 */
static size_t character_length(const unsigned char *p, size_t n)
{
	size_t length = p[0] >= 0xF0 ? 4 : p[0] >= 0xE0 ? 3 : 2;
	uint32_t c;

	if (p[0] < 0xC2 || p[0] > 0xF4 || n < length)
		return 0;
	c = p[0] & (0xFFu >> (length + 1));
	for (size_t i = 1; i < length; i++) {
		if ((p[i] & 0xC0u) != 0x80u)
			return 0;
		c = c << 6 | (p[i] & 0x3Fu);
	}
	if ((length == 3 && (c < 0x800 || (c >= 0xD800 && c < 0xE000) || c >= 0xFFFE)) ||
		(length == 4 && (c < 0x10000 || c > 0x10FFFF)))
		return 0;
	return length;
}

static size_t put_special(struct buf *out, const unsigned char *p, size_t n)
{
	size_t length;

	switch (p[0]) {
	case '<':
		PUT(out, "&lt;");
		return 1;
	case '>':
		PUT(out, "&gt;");
		return 1;
	case '&':
		PUT(out, "&amp;");
		return 1;
	case '"':
		PUT(out, "&quot;");
		return 1;
	case '\'':
		PUT(out, "&#39;");
		return 1;
	case '\r':
		PUT(out, "&#13;");
		return 1;
	default:
		length = character_length(p, n);
		if (length)
			buf_put(out, p, length);
		else
			PUT(out, "\xEF\xBF\xBD"); /* U+FFFD */
		return length ? length : 1;
	}
}

static void put_text(struct buf *out, struct str s)
{
	const unsigned char *p = (const unsigned char *)s.p, *end = p + s.n;

	while (p < end) {
		const unsigned char *from = p;

		while (p < end && plain[*p])
			p++;
		buf_put(out, from, (size_t)(p - from));
		if (p < end)
			p += put_special(out, p, (size_t)(end - p));
	}
}

/* normalizedString: what stands for a line break in our own texts must not be one. */
static void put_lang_text(struct buf *out, size_t lang, const char *english)
{
	put_text(out, str_of(i18n_text(lang, english)));
}

static void put_lang(struct buf *out, size_t lang)
{
	PUT(out, " lang=\"");
	buf_c(out, i18n_tag(lang));
	PUT(out, "\"");
}

static void put_time(struct buf *out, int64_t us)
{
	char text[TIME_RFC3339_MAX];

	time_rfc3339(us, text);
	buf_c(out, text);
}

/* <prefix:name or </prefix:name, without the end. */
static void put_tag(struct buf *out, const char *before, const char *prefix, const char *name)
{
	buf_c(out, before);
	buf_c(out, prefix);
	PUT(out, ":");
	buf_c(out, name);
}

static void put_end(struct buf *out, const char *prefix, const char *name)
{
	put_tag(out, "</", prefix, name);
	PUT(out, ">");
}

/* <prefix:name xmlns:prefix="uri"> */
static void put_start_ns(struct buf *out, const char *prefix, const char *name, const char *uri)
{
	put_tag(out, "<", prefix, name);
	PUT(out, " xmlns:");
	buf_c(out, prefix);
	PUT(out, "=\"");
	put_text(out, str_of(uri));
	PUT(out, "\">");
}

/* ---- result ------------------------------------------------------------------------------------------------------ */

static const char *prefix_of(const char *uri)
{
	const struct reg_object *object = reg_object_by_uri(str_of(uri));

	if (object)
		return object->name;
	if (strcmp(uri, EPP_URI) == 0)
		return "epp";
	if (strcmp(uri, EPP_QUERY_URI) == 0)
		return "query";
	return strcmp(uri, EPP_LOGINSEC_URI) == 0 ? "loginSec" : "x";
}

/*
 * RFC 5730 2.6: <value> holds the one element at fault, with a namespace declaration of its own. An element of no namespace
 * gets no prefix: the default namespace of the response is undone for it.
 */
static void put_detail(struct buf *out, size_t lang, const struct reg_detail *d)
{
	const char *uri = d->uri ? d->uri : EPP_URI;

	PUT(out, "<extValue><value>");
	if (uri[0] == '\0') {
		PUT(out, "<");
		buf_c(out, d->element);
		PUT(out, " xmlns=\"\">");
		put_text(out, d->value);
		PUT(out, "</");
		buf_c(out, d->element);
		PUT(out, ">");
	} else {
		put_start_ns(out, prefix_of(uri), d->element, uri);
		put_text(out, d->value);
		put_end(out, prefix_of(uri), d->element);
	}
	PUT(out, "</value><reason");
	put_lang(out, lang);
	PUT(out, ">");
	put_lang_text(out, lang, d->reason);
	PUT(out, "</reason></extValue>");
}

static void put_result(struct buf *out, size_t lang, const struct reg_reply *r)
{
	const char *text = reg_code_text(r->code);

	PUT(out, "<result code=\"");
	buf_u64(out, r->code);
	PUT(out, "\"><msg");
	put_lang(out, lang);
	PUT(out, ">");
	put_lang_text(out, lang, text ? text : "?");
	PUT(out, "</msg>");
	for (const struct reg_detail *d = r->details; d; d = d->next)
		put_detail(out, lang, d);
	PUT(out, "</result>");
}

/* RFC 5730 2.9.2.3. After the last ack nothing is left to tell. */
static void put_queue(struct buf *out, size_t lang, const struct reg_message *m)
{
	struct buf text = BUF_INIT(0);

	if (!m->english && m->count == 0)
		return;
	PUT(out, "<msgQ count=\"");
	buf_u64(out, m->count);
	PUT(out, "\" id=\"");
	put_text(out, m->id);
	if (!m->english) {
		PUT(out, "\"/>");
		return;
	}
	PUT(out, "\"><qDate>");
	put_time(out, m->at_us);
	PUT(out, "</qDate><msg");
	put_lang(out, lang);
	PUT(out, ">");
	i18n_format(&text, lang, m->english, m->args, m->n_args);
	put_text(out, buf_view(&text));
	out->failed |= text.failed;
	buf_free(&text);
	PUT(out, "</msg></msgQ>");
}

/* ---- data -------------------------------------------------------------------------------------------------------- */

static bool is_named(const struct reg_node *n, const char *name)
{
	return strcmp(n->field->name, name) == 0;
}

static void put_leaf(struct buf *out, const char *prefix, const struct reg_node *n)
{
	put_tag(out, "<", prefix, n->field->name);
	PUT(out, ">");
	put_text(out, n->text);
	put_end(out, prefix, n->field->name);
}

/* Groups hold values only. Those of paTRID are of the EPP namespace, which has no prefix in our frames. */
static void put_group(struct buf *out, const char *prefix, const struct reg_node *group)
{
	bool transaction = is_named(group, "paTRID");

	put_tag(out, "<", prefix, group->field->name);
	PUT(out, ">");
	for (const struct reg_node *n = group->child; n; n = n->next) {
		if (transaction) {
			PUT(out, "<");
			buf_c(out, n->field->name);
			PUT(out, ">");
			put_text(out, n->text);
			PUT(out, "</");
			buf_c(out, n->field->name);
			PUT(out, ">");
		} else {
			put_leaf(out, prefix, n);
		}
	}
	put_end(out, prefix, group->field->name);
}

static void put_fields(struct buf *out, const char *prefix, const struct reg_node *fields)
{
	for (const struct reg_node *n = fields; n; n = n->next) {
		if (n->field->type == REG_SECRET)
			continue;
		if (n->field->type == REG_GROUP)
			put_group(out, prefix, n);
		else
			put_leaf(out, prefix, n);
	}
}

static void put_reason(struct buf *out, const char *prefix, size_t lang, const char *text)
{
	put_tag(out, "<", prefix, "reason");
	if (lang)
		put_lang(out, lang);
	PUT(out, ">");
	put_text(out, str_of(text));
	put_end(out, prefix, "reason");
}

/* Thousands of names share a few reasons: the translation of the last is kept. */
struct translated {
	size_t lang;
	const char *english, *text;
};

static const char *translate(struct translated *t, const char *english)
{
	if (t->english != english) {
		t->english = english;
		t->text = i18n_text(t->lang, english);
	}
	return t->text;
}

static void put_state(struct buf *out, const char *prefix, struct verdict v)
{
	put_tag(out, "<", prefix, "state reason=\"");
	buf_c(out, verdict_reason_name(v.reason));
	PUT(out, "\">");
	buf_c(out, verdict_colour_name(v.colour));
	put_end(out, prefix, "state");
}

/* What follows a name is the same for most of thousands: written once, copied until it differs. */
struct tail {
	struct buf bytes;
	const char *reason;
	bool has_verdict;
	struct verdict verdict;
};

static bool tail_fits(const struct tail *t, const struct reg_check_item *item)
{
	return t->bytes.n > 0 && t->reason == item->reason && t->has_verdict == item->has_verdict &&
	       (!t->has_verdict || (t->verdict.colour == item->verdict.colour && t->verdict.reason == item->verdict.reason));
}

static void tail_write(struct tail *t, const struct reg_object *object, size_t lang, const struct reg_check_item *item)
{
	struct buf *out = &t->bytes;

	t->reason = item->reason;
	t->has_verdict = item->has_verdict;
	t->verdict = item->verdict;
	buf_clear(out);
	put_end(out, object->name, object->fields->name);
	if (item->reason)
		put_reason(out, object->name, lang, i18n_text(lang, item->reason));
	if (item->has_verdict)
		put_state(out, object->name, item->verdict);
	put_end(out, object->name, "cd");
}

static void put_checks(struct buf *out, size_t lang, const struct reg_reply *r)
{
	const char *prefix = r->object->name;
	struct tail tail = {.bytes = BUF_INIT(0)};
	struct buf open = BUF_INIT(0);

	buf_printf(&open, "<%s:cd><%s:%s avail=\"", prefix, prefix, r->object->fields->name);
	put_start_ns(out, prefix, "chkData", r->object->uri);
	for (size_t i = 0; i < r->n_checks; i++) {
		const struct reg_check_item *item = &r->checks[i];

		if (!tail_fits(&tail, item))
			tail_write(&tail, r->object, lang, item);
		buf_put(out, open.p, open.n);
		buf_put(out, item->avail ? "1\">" : "0\">", 3);
		put_text(out, item->name);
		buf_put(out, tail.bytes.p, tail.bytes.n);
	}
	put_end(out, prefix, "chkData");
	out->failed |= open.failed || tail.bytes.failed;
	buf_free(&open);
	buf_free(&tail.bytes);
}

static void put_rows(struct buf *out, size_t lang, const char *prefix, const struct reg_reply *r)
{
	struct translated reason = {.lang = lang};

	for (size_t i = 0; i < r->n_rows; i++) {
		const struct reg_row *row = &r->rows[i];

		put_tag(out, "<", prefix, "row line=\"");
		buf_u64(out, row->line);
		if (!row->first_of_device)
			PUT(out, "\" first=\"0");
		PUT(out, "\" result=\"");
		buf_c(out, row->result);
		if (row->code) {
			PUT(out, "\" code=\"");
			buf_c(out, row->code);
		}
		PUT(out, "\">");
		put_tag(out, "<", prefix, "imei>");
		put_text(out, row->imei);
		put_end(out, prefix, "imei");
		if (row->reason)
			put_reason(out, prefix, lang, translate(&reason, row->reason));
		put_end(out, prefix, "row");
	}
}

/* RFC 5731 3.3: the outcome is an attribute of the object's name. */
static void put_pending(struct buf *out, const struct reg_reply *r)
{
	const char *prefix = r->object->name;
	const struct reg_node *result = r->fields;

	while (result && !is_named(result, "paResult"))
		result = result->next;
	put_start_ns(out, prefix, "panData", r->object->uri);
	for (const struct reg_node *n = r->fields; n; n = n->next) {
		if (n == result)
			continue;
		if (n->field->type == REG_GROUP) {
			put_group(out, prefix, n);
			continue;
		}
		put_tag(out, "<", prefix, n->field->name);
		if (n == r->fields && result) {
			PUT(out, " paResult=\"");
			put_text(out, result->text);
			PUT(out, "\"");
		}
		PUT(out, ">");
		put_text(out, n->text);
		put_end(out, prefix, n->field->name);
	}
	put_end(out, prefix, "panData");
}

static void put_page(struct buf *out, const struct reg_page *page)
{
	const char *prefix = page->object->name;

	put_start_ns(out, "query", "queData", EPP_QUERY_URI);
	for (size_t i = 0; i < page->n_items; i++) {
		PUT(out, "<query:item>");
		put_start_ns(out, prefix, "infData", page->object->uri);
		put_fields(out, prefix, page->items[i]);
		put_end(out, prefix, "infData");
		PUT(out, "</query:item>");
	}
	if (page->next.n > 0) {
		PUT(out, "<query:next>");
		put_text(out, page->next);
		PUT(out, "</query:next>");
	}
	if (page->has_count) {
		PUT(out, "<query:count");
		if (page->count_is_floor)
			PUT(out, " atLeast=\"1\"");
		PUT(out, ">");
		buf_u64(out, page->count);
		PUT(out, "</query:count>");
	}
	PUT(out, "</query:queData>");
}

static void put_data(struct buf *out, size_t lang, const struct reg_reply *r)
{
	static const char *const names[] = {[REG_DATA_INFO] = "infData",
		[REG_DATA_CREATE] = "creData",
		[REG_DATA_RENEW] = "renData",
		[REG_DATA_TRANSFER] = "trnData"};

	PUT(out, "<resData>");
	if (r->data == REG_DATA_CHECK) {
		put_checks(out, lang, r);
	} else if (r->data == REG_DATA_QUERY) {
		put_page(out, r->page);
	} else if (r->data == REG_DATA_PENDING) {
		put_pending(out, r);
	} else {
		put_start_ns(out, r->object->name, names[r->data], r->object->uri);
		put_fields(out, r->object->name, r->fields);
		if (r->data == REG_DATA_INFO)
			put_rows(out, lang, r->object->name, r);
		put_end(out, r->object->name, names[r->data]);
	}
	PUT(out, "</resData>");
}

/* ---- frames ------------------------------------------------------------------------------------------------------ */

/* RFC 5730 2.4. Data collection policy: the register keeps what the law demands, for administration, for itself. */
static void put_greeting(struct buf *out, const char *server_id)
{
	PUT(out, "<greeting><svID>");
	put_text(out, str_of(server_id));
	PUT(out, "</svID><svDate>");
	put_time(out, clock_real_us());
	PUT(out, "</svDate><svcMenu><version>1.0</version>");
	for (size_t i = 0; i < i18n_count(); i++) {
		PUT(out, "<lang>");
		buf_c(out, i18n_tag(i));
		PUT(out, "</lang>");
	}
	for (size_t i = 0; reg_objects[i]; i++) {
		PUT(out, "<objURI>");
		buf_c(out, reg_objects[i]->uri);
		PUT(out, "</objURI>");
	}
	PUT(out, "<svcExtension>");
	for (size_t i = 0; i < EPP_EXTENSIONS; i++) {
		PUT(out, "<extURI>");
		buf_c(out, epp_extension_uris[i]);
		PUT(out, "</extURI>");
	}
	PUT(out, "</svcExtension></svcMenu><dcp><access><personalAndOther/></access><statement><purpose><admin/><prov/></purpose>"
		 "<recipient><ours/></recipient><retention><legal/></retention></statement></dcp></greeting>");
}

static void put_response(struct buf *out, size_t lang, const struct reg_command *c, const struct reg_reply *r)
{
	PUT(out, "<response>");
	put_result(out, lang, r);
	if (r->message)
		put_queue(out, lang, r->message);
	if (r->data != REG_DATA_NONE)
		put_data(out, lang, r);
	PUT(out, "<trID>");
	if (c->cltrid.n > 0) {
		PUT(out, "<clTRID>");
		put_text(out, c->cltrid);
		PUT(out, "</clTRID>");
	}
	PUT(out, "<svTRID>");
	put_text(out, str_of(r->svtrid));
	PUT(out, "</svTRID></trID></response>");
}

void epp_render(const char *server_id, size_t lang, const struct reg_command *c, const struct reg_reply *reply, struct buf *out)
{
	size_t start = out->n, length;

	PUT(out, "\0\0\0\0<?xml version=\"1.0\" encoding=\"UTF-8\" standalone=\"no\"?>\n<epp xmlns=\"" EPP_URI "\">");
	if (c->verb == REG_HELLO && reply->code == REG_DONE)
		put_greeting(out, server_id);
	else
		put_response(out, lang, c, reply);
	PUT(out, "</epp>\n");
	length = out->n - start;
	if (out->failed || length > UINT32_MAX) {
		out->failed = true;
		return;
	}
	for (unsigned i = 0; i < HEADER_BYTES; i++)
		out->p[start + i] = (char)(length >> (8 * (HEADER_BYTES - 1 - i)) & 0xFF);
}

/*
 * http_json.c - replies of the door as JSON (RFC 8259) and problems (RFC 9457). Pure.
 */
#include "http/http_internal.h"

#include <string.h>

#define EXACT_MAX ((UINT64_C(1) << 53) - 1) /* larger numbers are not exact in every reader (RFC 8259 6) */
#define DEPTH_MAX 8u                         /* of groups; the tables have two */

static void put_name(struct buf *out, bool *first, const char *name)
{
	if (!*first)
		buf_char(out, ',');
	*first = false;
	buf_json(out, str_of(name));
	buf_char(out, ':');
}

static void put_text(struct buf *out, bool *first, const char *name, struct str text)
{
	put_name(out, first, name);
	buf_json(out, text);
}

static void put_fields(struct buf *out, const struct reg_node *fields, unsigned depth);
static void put_members(struct buf *out, bool *first, const struct reg_node *fields, unsigned depth);

static void put_value(struct buf *out, const struct reg_node *n, unsigned depth)
{
	uint64_t number;

	if (n->field->type == REG_GROUP)
		put_fields(out, n->child, depth + 1);
	else if (n->field->type == REG_UINT && str_u64(n->text, EXACT_MAX, &number) == CEIR_OK)
		buf_u64(out, number);
	else
		buf_json(out, n->text);
}

static bool is_many(const struct reg_node *n)
{
	return n->field->flags & REG_MANY;
}

/* Values of a field that may repeat stand together, where the first of them is. */
static void put_many(struct buf *out, const struct reg_node *first, unsigned depth)
{
	buf_char(out, '[');
	for (const struct reg_node *n = first; n; n = n->next) {
		if (n->field != first->field)
			continue;
		if (n != first)
			buf_char(out, ',');
		put_value(out, n, depth);
	}
	buf_char(out, ']');
}

static bool stands_before(const struct reg_node *fields, const struct reg_node *n)
{
	for (; fields != n; fields = fields->next)
		if (fields->field == n->field)
			return true;
	return false;
}

static void put_errors(struct buf *out, size_t lang, const struct reg_detail *details)
{
	bool first_error = true;

	for (const struct reg_detail *d = details; d; d = d->next) {
		bool first = true;

		buf_c(out, first_error ? "\"errors\":[{" : ",{");
		first_error = false;
		put_text(out, &first, "field", str_of(d->element));
		put_text(out, &first, "value", d->value);
		put_text(out, &first, "reason", str_of(i18n_text(lang, d->reason)));
		buf_char(out, '}');
	}
	if (!first_error)
		buf_char(out, ']');
}

static void put_fields(struct buf *out, const struct reg_node *fields, unsigned depth)
{
	bool first = true;

	CEIR_ASSERT(depth < DEPTH_MAX);
	buf_char(out, '{');
	put_members(out, &first, fields, depth);
	buf_char(out, '}');
}

static void put_members(struct buf *out, bool *first, const struct reg_node *fields, unsigned depth)
{
	for (const struct reg_node *n = fields; n; n = n->next) {
		/* The door puts values of one field in a row: a look at the neighbour mostly settles it. */
		if (is_many(n) && stands_before(fields, n))
			continue;
		put_name(out, first, n->field->name);
		if (is_many(n))
			put_many(out, n, depth);
		else
			put_value(out, n, depth);
	}
}

void http_json_fields(struct buf *out, size_t lang, const struct reg_node *fields, const struct reg_detail *details)
{
	bool first = true;

	buf_char(out, '{');
	put_members(out, &first, fields, 0);
	if (details && !first)
		buf_char(out, ',');
	put_errors(out, lang, details);
	buf_char(out, '}');
}

void http_json_page(struct buf *out, const struct reg_page *page)
{
	buf_c(out, "{\"items\":[");
	for (size_t i = 0; i < page->n_items; i++) {
		if (i)
			buf_char(out, ',');
		put_fields(out, page->items[i], 0);
	}
	buf_char(out, ']');
	if (page->has_count) {
		buf_c(out, ",\"count\":");
		buf_u64(out, page->count);
	}
	if (page->next.n) {
		buf_c(out, ",\"next\":");
		buf_json(out, page->next);
	}
	buf_char(out, '}');
}

/* One IMEI is one object; this face asks for no more. */
void http_json_checks(struct buf *out, size_t lang, const struct reg_check_item *checks, size_t n)
{
	bool first = true;

	buf_char(out, '{');
	for (size_t i = 0; i < n && i < 1; i++) {
		const struct verdict *v = &checks[i].verdict;

		put_text(out, &first, "imei", checks[i].name);
		if (!checks[i].has_verdict)
			continue;
		put_text(out, &first, "colour", str_of(verdict_colour_name(v->colour)));
		put_text(out, &first, "reason", str_of(verdict_reason_name(v->reason)));
		put_text(out, &first, "text", str_of(i18n_text(lang, verdict_reason_text(v->reason))));
		put_name(out, &first, "registered");
		buf_c(out, v->registered ? "true" : "false");
		put_name(out, &first, "pair");
		buf_c(out, v->pair ? "true" : "false");
	}
	buf_char(out, '}');
}

/* ---- problems ----------------------------------------------------------------------------------------------------- */

const char *http_status_text(unsigned status)
{
	static const struct {
		unsigned status;
		const char *text;
	} texts[] = {{400, N_("Bad request")}, {401, N_("Not authenticated")}, {403, N_("Forbidden")}, {404, N_("Not found")},
		{405, N_("This method is not allowed here")}, {406, N_("Not acceptable")}, {409, N_("Conflict")},
		{413, N_("The body is too large")}, {415, N_("Unsupported media type")}, {422, N_("Cannot be processed")},
		{429, N_("Too many requests")}, {500, N_("Internal error")}, {501, N_("Not implemented")}, {503, N_("Not available now")}};

	for (size_t i = 0; i < CEIR_COUNT(texts); i++)
		if (texts[i].status == status)
			return texts[i].text;
	return "?";
}

void http_json_problem(struct buf *out, size_t lang, unsigned status, const struct reg_reply *reply)
{
	const char *text = reply->code ? reg_code_text(reply->code) : NULL;
	bool first = true;

	buf_char(out, '{');
	put_name(out, &first, "type");
	if (reply->code)
		buf_printf(out, "\"urn:ceir:problem:%u\"", (unsigned)reply->code);
	else
		buf_c(out, "\"about:blank\"");
	put_text(out, &first, "title", str_of(i18n_text(lang, text ? text : http_status_text(status))));
	put_name(out, &first, "status");
	buf_u64(out, status);
	if (reply->details && reply->details->reason)
		put_text(out, &first, "detail", str_of(i18n_text(lang, reply->details->reason)));
	if (reply->code) {
		put_name(out, &first, "code");
		buf_u64(out, (uint64_t)reply->code);
	}
	if (reply->svtrid[0])
		put_text(out, &first, "svTRID", str_of(reply->svtrid));
	if (reply->code && reply->details) {
		buf_char(out, ',');
		put_errors(out, lang, reply->details);
	}
	buf_c(out, "}");
}

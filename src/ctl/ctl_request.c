/*
 * ctl_request.c - see ctl_request.h.
 *
 * A field "model" is the option --model; in update it also has --add-model and --rem-model when it may repeat. A secret comes
 * from a file (--pw-file), a fingerprint may come from a certificate (--certificate-file), a text of several lines from its file
 * (--ca-file). A group is one option with its fields as name=value pairs.
 */
#include "ctl/ctl_request.h"

#include <string.h>

#include "ctl/ctl_session.h"
#include "ctl/ctl_xml.h"
#include "tls/tls.h"

/* What the building of one document needs. */
struct build {
	struct buf *b;
	const struct reg_object *o;
	struct ctl_args *a;
	struct arena *arena;
	char *why;
	size_t why_size;
};

/* ---- fields ----------------------------------------------------------------------------------------------------------- */

static enum ceir_err put_group(struct build *x, const struct reg_field *group, const char *text)
{
	struct str rest = str_of(text), name, value;
	struct str *values = NULL;
	size_t n = 0;
	enum ceir_err err;

	while (group->fields[n].name)
		n++;
	values = arena_array(x->arena, n, sizeof(*values));
	if (!values)
		return CEIR_ENOMEM;
	while (!(err = ctl_args_pair(&rest, x->arena, &name, &value))) {
		const struct reg_field *f = reg_field_find(group->fields, name);
		if (!f || f->flags & REG_SERVER) {
			snprintf(x->why, x->why_size, "--%s has no \"%.*s\"", group->name, (int)name.n, name.p);
			return CEIR_EINVAL;
		}
		values[f - group->fields] = value.p ? value : STR("");
	}
	if (err != CEIR_ENOENT) {
		snprintf(x->why, x->why_size, "--%s wants name=value,name=value...: \"%s\"", group->name, text);
		return CEIR_EINVAL;
	}
	ctl_xml_open(x->b, x->o->name, group->name);
	for (size_t i = 0; i < n; i++)
		if (values[i].p)
			ctl_xml_element(x->b, x->o->name, group->fields[i].name, values[i]);
	ctl_xml_close(x->b, x->o->name, group->name);
	return CEIR_OK;
}

static enum ceir_err put_field(struct build *x, const struct reg_field *f, const char *value)
{
	if (f->type == REG_GROUP)
		return put_group(x, f, value);
	if (!str_is_utf8(str_of(value))) {
		snprintf(x->why, x->why_size, "--%s is not UTF-8", f->name);
		return CEIR_EINVAL;
	}
	ctl_xml_element(x->b, x->o->name, f->name, str_of(value));
	return CEIR_OK;
}

static enum ceir_err put_secret(struct build *x, const struct reg_field *f, const char *file)
{
	struct buf secret = BUF_INIT(0);
	enum ceir_err err = ctl_secret_read(file, f->name, &secret);

	if (err)
		snprintf(x->why, x->why_size, "--%s-file %s: %s", f->name, file, ceir_err_text(err));
	else
		ctl_xml_element(x->b, x->o->name, f->name, buf_view(&secret));
	if (secret.p)
		explicit_bzero(secret.p, secret.cap);
	buf_free(&secret);
	return err ? CEIR_EINVAL : CEIR_OK;
}

static enum ceir_err put_fingerprint(struct build *x, const struct reg_field *f, const char *file)
{
	uint8_t sha256[32];
	char hex[2 * sizeof(sha256) + 1];
	enum ceir_err err = tls_cert_sha256(file, sha256);

	if (err) {
		snprintf(x->why, x->why_size, "--%s-file %s: %s", f->name, file, ceir_err_text(err));
		return CEIR_EINVAL;
	}
	for (size_t i = 0; i < sizeof(sha256); i++)
		snprintf(hex + 2 * i, 3, "%02x", sha256[i]);
	ctl_xml_element(x->b, x->o->name, f->name, str_of(hex));
	return CEIR_OK;
}

static enum ceir_err put_lines(struct build *x, const struct reg_field *f, const char *file)
{
	struct buf text = BUF_INIT(0);
	/* As the server counts, in characters: of four bytes at most. */
	enum ceir_err err = file_read(file, 4 * (size_t)f->max, &text);

	if (!err && !str_is_utf8(buf_view(&text)))
		err = CEIR_EINVAL;
	if (err)
		snprintf(x->why, x->why_size, "--%s-file %s: %s", f->name, file, ceir_err_text(err));
	else
		ctl_xml_element(x->b, x->o->name, f->name, buf_view(&text));
	buf_free(&text);
	return err ? CEIR_EINVAL : CEIR_OK;
}

void ctl_field_option(const struct reg_object *o, const struct reg_field *f, const char *prefix, char out[CTL_OPTION_MAX])
{
	bool taken = !*prefix && ctl_args_is_global(f->name);

	snprintf(out, CTL_OPTION_MAX, "%s%s%s%s", prefix, taken ? o->name : "", taken ? "-" : "", f->name);
}

bool ctl_field_has_file(const struct reg_field *f)
{
	return f->type == REG_SECRET || f->type == REG_HEX32 || f->flags & REG_LINES;
}

static enum ceir_err put_file(struct build *x, const struct reg_field *f, const char *file)
{
	return f->type == REG_SECRET ? put_secret(x, f, file) : f->type == REG_HEX32 ? put_fingerprint(x, f, file) : put_lines(x, f, file);
}

/* All options of one field; prefix "", "add-" or "rem-". *n counts what was written. */
static enum ceir_err put_options(struct build *x, const struct reg_field *f, const char *prefix, size_t *n)
{
	char option[CTL_OPTION_MAX], column[CTL_OPTION_MAX], from_file[CTL_OPTION_MAX];
	const char *value;
	enum ceir_err err = CEIR_OK;
	size_t at = 0;

	ctl_field_option(x->o, f, prefix, option);
	snprintf(column, sizeof(column), "%s%s", prefix, f->name);
	snprintf(from_file, sizeof(from_file), "%s%s-file", prefix, f->name);
	if (f->type != REG_SECRET)
		for (; !err && (value = ctl_args_next(x->a, option, &at)); (*n)++)
			err = put_field(x, f, value);
	/* The columns of an import are called as the fields. */
	at = 0;
	if (f->type != REG_SECRET && strcmp(column, option) != 0)
		for (; !err && (value = ctl_args_next(x->a, column, &at)); (*n)++)
			err = put_field(x, f, value);
	at = 0;
	if (ctl_field_has_file(f))
		for (; !err && (value = ctl_args_next(x->a, from_file, &at)); (*n)++)
			err = put_file(x, f, value);
	if (!err && *n > 1 && !(f->flags & REG_MANY)) {
		snprintf(x->why, x->why_size, "--%s may be given once only", option);
		err = CEIR_EINVAL;
	}
	return err;
}

/*
 * Rows of an application: --imei N for each device, --imei N,N for one with several IMEIs. They are not fields, for a file of
 * them is what is usual (`application submit`).
 */
static void put_devices(struct build *x, const char *option, size_t *n)
{
	struct str rest, one;
	const char *value;
	size_t at = 0;

	if (strcmp(x->o->name, "application") != 0)
		return;
	for (; (value = ctl_args_next(x->a, option, &at)); (*n)++) {
		bool several = strchr(value, ',') != NULL;
		if (several)
			ctl_xml_open(x->b, x->o->name, "device");
		for (rest = str_of(value); str_cut(&rest, ',', &one);)
			ctl_xml_element(x->b, x->o->name, "imei", str_trim(one));
		if (several)
			ctl_xml_close(x->b, x->o->name, "device");
	}
}

/* Whether a field may stand in chg, and in add and rem, of update. */
static bool is_for_change(const struct reg_field *f)
{
	return !(f->flags & (REG_SERVER | REG_FIXED | REG_KEY)) && (!(f->flags & REG_MANY) || f->type == REG_GROUP);
}

static bool is_for_lists(const struct reg_field *f)
{
	return f->flags & REG_MANY && !(f->flags & (REG_SERVER | REG_FIXED));
}

/* ---- verbs ------------------------------------------------------------------------------------------------------------- */

static enum ceir_err put_create(struct build *x)
{
	enum ceir_err err = CEIR_OK;
	size_t n;

	/* The key is written already, or it is the server's. */
	for (const struct reg_field *f = x->o->fields + 1; !err && f->name; f++) {
		n = 0;
		if (!(f->flags & REG_SERVER))
			err = put_options(x, f, "", &n);
	}
	put_devices(x, "imei", &n);
	return err;
}

/* <add>, <rem> or <chg>; left out when there is nothing in it. */
static enum ceir_err put_part(
	struct build *x, const char *part, const char *prefix, bool (*fits)(const struct reg_field *f), size_t *total)
{
	size_t before = x->b->n, written = 0;
	enum ceir_err err = CEIR_OK;

	ctl_xml_open(x->b, x->o->name, part);
	for (const struct reg_field *f = x->o->fields; !err && f->name; f++) {
		size_t n = 0;
		if (fits(f))
			err = put_options(x, f, prefix, &n);
		written += n;
	}
	if (strcmp(part, "add") == 0)
		put_devices(x, "add-imei", &written);
	ctl_xml_close(x->b, x->o->name, part);
	if (written == 0 && !x->b->failed)
		x->b->n = before;
	*total += written;
	return err;
}

static enum ceir_err put_update(struct build *x)
{
	size_t n = 0;
	enum ceir_err err = put_part(x, "add", "add-", is_for_lists, &n);

	if (!err)
		err = put_part(x, "rem", "rem-", is_for_lists, &n);
	if (!err)
		err = put_part(x, "chg", "", is_for_change, &n);
	if (!err && n == 0) {
		snprintf(x->why, x->why_size, "nothing to change: see `ceirctl %s update --help`", x->o->name);
		err = CEIR_EINVAL;
	}
	return err;
}

/* RFC 5731 3.2.3: the date that the client believes in stands beside the new one. */
static enum ceir_err put_renew(struct build *x)
{
	const char *current = ctl_args_value(x->a, "curExDate"), *until = ctl_args_value(x->a, "exDate");

	if (!current || !until) {
		snprintf(x->why, x->why_size, "renew wants --curExDate (the date it has) and --exDate (the new one)");
		return CEIR_EINVAL;
	}
	ctl_xml_element(x->b, x->o->name, "curExDate", str_of(current));
	ctl_xml_element(x->b, x->o->name, "exDate", str_of(until));
	return CEIR_OK;
}

/* The lists are an operator's; who is none says whose. */
static void put_whose(struct build *x)
{
	const char *operator = strcmp(x->o->name, "list") == 0 ? ctl_args_value(x->a, "operator") : NULL;

	if (operator)
		ctl_xml_element(x->b, x->o->name, "operator", str_of(operator));
}

/* A listing is ended, on a ground of its own. */
static void put_ground(struct build *x)
{
	const char *ground = strcmp(x->o->name, "listing") == 0 ? ctl_args_value(x->a, "ground") : NULL;

	if (ground)
		ctl_xml_element(x->b, x->o->name, "ground", str_of(ground));
}

bool ctl_request_can(const struct reg_object *o, enum reg_verb verb)
{
	bool body = verb == REG_CREATE && (strcmp(o->name, "delivery") == 0 || strcmp(o->name, "triplet") == 0);

	return o->may[verb] && !body;
}

enum ceir_err ctl_request_object(struct buf *b, const struct reg_object *o, enum reg_verb verb, const char *key, struct ctl_args *a,
	struct arena *arena, char *why, size_t why_size)
{
	struct build x = {.b = b, .o = o, .a = a, .arena = arena, .why = why, .why_size = why_size};
	enum ceir_err err = CEIR_OK;

	ctl_frame_begin(b);
	ctl_verb_begin(b, reg_verb_name(verb), "", o->name, o->uri);
	if (key)
		ctl_xml_element(b, o->name, o->fields->name, str_of(key));
	switch (verb) {
	case REG_CREATE:
		err = put_create(&x);
		break;
	case REG_UPDATE:
		err = put_update(&x);
		break;
	case REG_RENEW:
		err = put_renew(&x);
		break;
	case REG_INFO:
		put_whose(&x);
		break;
	case REG_DELETE:
		put_ground(&x);
		break;
	default:
		break;
	}
	ctl_verb_end(b, reg_verb_name(verb), o->name);
	ctl_frame_end(b);
	return err;
}

void ctl_request_check(struct buf *b, const struct reg_object *o, const struct str *names, size_t n)
{
	ctl_frame_begin(b);
	ctl_verb_begin(b, "check", "", o->name, o->uri);
	for (size_t i = 0; i < n; i++)
		ctl_xml_element(b, o->name, o->fields->name, names[i]);
	ctl_verb_end(b, "check", o->name);
	ctl_frame_end(b);
}

void ctl_request_transfer(struct buf *b, const struct reg_object *o, const char *key, const char *op)
{
	struct buf attribute = BUF_INIT(0);

	buf_c(&attribute, " op=\"");
	ctl_xml_text(&attribute, str_of(op));
	buf_put(&attribute, "\"", 2); /* with its NUL */
	ctl_frame_begin(b);
	ctl_verb_begin(b, "transfer", attribute.failed ? "" : attribute.p, o->name, o->uri);
	ctl_xml_element(b, o->name, o->fields->name, str_of(key));
	ctl_verb_end(b, "transfer", o->name);
	ctl_frame_end(b);
	b->failed = b->failed || attribute.failed;
	buf_free(&attribute);
}

void ctl_request_rows(struct buf *b, const struct reg_object *o, const char *key, uint64_t after, unsigned rows)
{
	ctl_frame_begin(b);
	buf_printf(b, "<info><%s:info xmlns:%s=\"%s\" after=\"%llu\" rows=\"%u\">", o->name, o->name, o->uri,
		(unsigned long long)after, rows);
	ctl_xml_element(b, o->name, o->fields->name, str_of(key));
	ctl_verb_end(b, "info", o->name);
	ctl_frame_end(b);
}

void ctl_request_poll(struct buf *b, const char *ack_id)
{
	ctl_frame_begin(b);
	if (ack_id) {
		buf_c(b, "<poll op=\"ack\" msgID=\"");
		ctl_xml_text(b, str_of(ack_id));
		buf_c(b, "\"/>");
	} else {
		buf_c(b, "<poll op=\"req\"/>");
	}
	ctl_frame_end(b);
}

void ctl_request_hello(struct buf *b)
{
	buf_c(b, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<epp xmlns=\"" CTL_EPP_URI "\"><hello/></epp>");
}

/* ---- query: a protocol extension of its own (schemas/query-1.0.xsd) ------------------------------------------------------ */

static enum ceir_err put_filters(struct buf *b, struct ctl_args *a, char *why, size_t why_size)
{
	struct str field, value;
	const char *text, *op;
	size_t at = 0;

	while ((text = ctl_args_next(a, "filter", &at))) {
		if (ctl_args_filter(str_of(text), &field, &op, &value)) {
			snprintf(why, why_size, "--filter wants 'field = value' (or != < <= > >=, ^ for \"begins with\"): \"%s\"",
				text);
			return CEIR_EINVAL;
		}
		buf_c(b, "<query:filter field=\"");
		ctl_xml_text(b, field);
		buf_printf(b, "\" op=\"%s\">", op);
		ctl_xml_text(b, value);
		buf_c(b, "</query:filter>");
	}
	return CEIR_OK;
}

/* What pages are sorted by when only the direction was said: the key where that can be, as without any wish. */
static const char *sort_default(const struct reg_object *o)
{
	for (const struct reg_field *f = o->fields; f->name; f++)
		if (f->flags & REG_SORT)
			return f->name;
	return o->fields->name;
}

enum ceir_err ctl_request_query(
	struct buf *b, const struct reg_object *o, struct ctl_args *a, struct str cursor, char *why, size_t why_size)
{
	const char *sort = ctl_args_value(a, "sort"), *limit = ctl_args_value(a, "limit"), *given = ctl_args_value(a, "cursor");
	bool descending = ctl_args_flag(a, "desc"), count = ctl_args_flag(a, "count"), only = ctl_args_flag(a, "count-only");
	char id[CTL_CLTRID_MAX];
	enum ceir_err err;

	buf_c(b, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<epp xmlns=\"" CTL_EPP_URI "\"><extension>");
	buf_printf(b, "<query:command xmlns:query=\"" CTL_QUERY_URI "\"><query:query object=\"%s\">", o->uri);
	err = put_filters(b, a, why, why_size);
	if (sort || descending) {
		buf_printf(b, "<query:sort order=\"%s\">", descending ? "desc" : "asc");
		ctl_xml_text(b, str_of(sort ? sort : sort_default(o)));
		buf_c(b, "</query:sort>");
	}
	if (limit)
		ctl_xml_element(b, "query", "limit", str_of(limit));
	if (cursor.n || given)
		ctl_xml_element(b, "query", "cursor", cursor.n ? cursor : str_of(given));
	if (count || only)
		buf_printf(b, "<query:count only=\"%d\"/>", only);
	buf_c(b, "</query:query>");
	ctl_cltrid_make(id);
	ctl_xml_element(b, "query", "clTRID", str_of(id));
	buf_c(b, "</query:command></extension></epp>");
	return err;
}

const struct reg_field *ctl_group_field(const struct reg_object *o, struct str name, const struct reg_field **group)
{
	for (const struct reg_field *f = o->fields; f->name; f++) {
		const struct reg_field *inner = f->fields && !(f->flags & REG_SERVER) ? reg_field_find(f->fields, name) : NULL;
		if (inner) {
			*group = f;
			return inner;
		}
	}
	return NULL;
}

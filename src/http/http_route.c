/*
 * http_route.c - the resources: which paths and methods there are, and how each becomes a command of the door.
 */
#include "http/http_internal.h"

#include <string.h>

#define LIMIT_MAX 1000u

/* ---- building commands -------------------------------------------------------------------------------------------- */

static void command(struct http_request *r, enum reg_verb verb, const char *object)
{
	r->command.verb = verb;
	r->command.object = reg_object_by_name(str_of(object));
	CEIR_ASSERT(r->command.object);
}

/* One value in front of a list of the command's. */
static void put_value(struct http_request *r, struct reg_node **list, const char *field, struct str text)
{
	struct reg_node *n = arena_alloc(r->arena, sizeof *n);

	if (!n) {
		http_refuse(r, 0, REG_FAILED, NULL, STR(""), NULL);
		return;
	}
	n->field = reg_field_find(r->command.object->fields, str_of(field));
	CEIR_ASSERT(n->field);
	n->text = text;
	n->next = *list;
	*list = n;
}

/* The value of a query's parameter; empty when it is not there. */
static struct str parameter(const struct http_request *r, const char *name)
{
	const struct http_parameter *p = http_parameter_find(&r->target, name);

	return p ? p->value : STR("");
}

/* false: it is not there, or refused. */
static bool number(struct http_request *r, const char *name, uint64_t min, uint64_t max, uint64_t *n)
{
	const struct http_parameter *p = http_parameter_find(&r->target, name);

	if (!p)
		return false;
	enum ceir_err err = str_u64(p->value, max, n);
	if (!err && *n < min)
		err = CEIR_ERANGE;
	if (err)
		http_refuse(r, 0, err == CEIR_ERANGE ? REG_RANGE : REG_VALUE, name, p->value,
			N_("Expected a whole number in the allowed range"));
	return !err;
}

/* ---- deliveries --------------------------------------------------------------------------------------------------- */

/* The name that a client gives its file: Content-Disposition: attachment; filename="..." */
static struct str file_name(const struct http_request *r)
{
	struct str header = http_header(r, "Content-Disposition"), part, name;

	while (str_cut(&header, ';', &part)) {
		part = str_trim(part);
		if (!str_cut(&part, '=', &name) || !str_eq_c(str_trim(name), "filename"))
			continue;
		part = str_trim(part);
		if (part.n >= 2 && part.p[0] == '"' && part.p[part.n - 1] == '"')
			part = (struct str){part.p + 1, part.n - 2};
		return part;
	}
	return STR("");
}

static void delivery_begin(struct http_request *r, const struct reg_delivery_start *start)
{
	enum ceir_err err = reg_delivery_begin(r->connection->door, start, &r->delivery);

	switch (err) {
	case CEIR_OK:
	case CEIR_EPERM: /* the door says no itself, and audits it */
		return;
	case CEIR_ELIMIT:
		http_refuse(r, 429, REG_POLICY, "delivery", STR(""), N_("Too many deliveries are being received; try again later"));
		return;
	case CEIR_EINVAL:
		http_refuse(r, 0, REG_VALUE, start->id.n ? "id" : "filename", start->id.n ? start->id : start->name,
			N_("Expected 1 to 64 printable characters, no space at the ends"));
		return;
	default:
		log_error(HTTP_ROOM, "%s: a delivery cannot be taken: %s", r->connection->address, ceir_err_text(err));
		http_refuse(r, 0, REG_FAILED, NULL, STR(""), NULL);
	}
}

static void delivery_create(struct http_request *r)
{
	struct str kind = parameter(r, "kind");
	const struct http_parameter *id = http_parameter_find(&r->target, "id");
	struct reg_delivery_start start = {.full = str_eq_c(kind, "full"), .name = file_name(r)};

	command(r, REG_CREATE, "delivery");
	if (!start.full && !str_eq_c(kind, "delta")) {
		http_refuse(r, 0, kind.n ? REG_VALUE : REG_MISSING, "kind", kind, N_("Expected kind=full or kind=delta"));
		return;
	}
	if (id && id->value.n == 0) {
		http_refuse(r, 0, REG_VALUE, "id", id->value, N_("Expected 1 to 64 printable characters, no space at the ends"));
		return;
	}
	if (start.name.n)
		put_value(r, &r->command.set, "fileName", start.name);
	if (id) {
		start.id = id->value;
		put_value(r, &r->command.set, "clientID", id->value);
	}
	put_value(r, &r->command.set, "kind", kind);
	if (!r->command.refused)
		delivery_begin(r, &start);
}

static void page(struct http_request *r)
{
	uint64_t limit = 0;

	r->command.query = &r->query;
	if (number(r, "limit", 1, LIMIT_MAX, &limit))
		r->query.limit = (uint32_t)limit;
	r->query.cursor = parameter(r, "cursor");
}

/* Newest first: who looks at the list wants to know how the last ones went. */
static void delivery_query(struct http_request *r)
{
	command(r, REG_QUERY, "delivery");
	page(r);
	r->query.sort = STR("id");
	r->query.descending = true;
}

static void delivery_info(struct http_request *r)
{
	command(r, REG_INFO, "delivery");
	put_value(r, &r->command.key, "id", r->parts[0]);
}

static void delivery_rejects(struct http_request *r)
{
	delivery_info(r);
	r->command.want_file = true;
}

/* ---- sightings ---------------------------------------------------------------------------------------------------- */

static void sightings_create(struct http_request *r)
{
	command(r, REG_CREATE, "triplet");
	r->command.body_is_csv = str_eq_c(http_token(http_header(r, "Content-Type")), "text/csv");
}

static void sightings_complete(struct http_request *r)
{
	r->command.body = buf_view(&r->body);
	if (r->command.body.n == 0)
		http_refuse(r, 0, REG_MISSING, "body", STR(""), N_("Expected sightings as JSON or CSV"));
}

/* ---- lists -------------------------------------------------------------------------------------------------------- */

static void list_query(struct http_request *r)
{
	command(r, REG_QUERY, "list");
	page(r);
}

/* What the query says; else what Accept prefers; else CSV. */
static void take_format(struct http_request *r)
{
	const struct http_parameter *format = http_parameter_find(&r->target, "format");
	struct str accept = http_header(r, "Accept");
	int csv = accept.n ? http_weight(accept, STR("text/csv")) : 1, xml = accept.n ? http_weight(accept, STR("application/xml")) : 0;

	if (format && !str_eq_c(format->value, "csv") && !str_eq_c(format->value, "xml"))
		http_refuse(r, 0, REG_VALUE, "format", format->value, N_("Expected format=csv or format=xml"));
	else if (format)
		r->list.format = str_eq_c(format->value, "xml") ? REG_LIST_XML : REG_LIST_CSV;
	else if (csv <= 0 && xml <= 0)
		http_refuse(r, 406, REG_UNIMPL_OPTION, "Accept", accept, N_("There are text/csv and application/xml"));
	else
		r->list.format = xml > csv ? REG_LIST_XML : REG_LIST_CSV;
}

/* RFC 9110 12.5.3: what is not named is not wanted. */
static void take_packing(struct http_request *r)
{
	struct str accept = http_header(r, "Accept-Encoding");
	int zstd = http_weight(accept, STR("zstd")), gzip = http_weight(accept, STR("gzip"));

	if (zstd > 0 && zstd >= gzip)
		r->list.packing = REG_ZSTD;
	else if (gzip > 0)
		r->list.packing = REG_GZIP;
}

/* Which list: the key first. An operator's own; whoever is none says whose. */
static void list_key(struct http_request *r, enum reg_verb verb)
{
	const struct http_parameter *whose = http_parameter_find(&r->target, "operator");

	command(r, verb, "list");
	if (whose)
		put_value(r, &r->command.key, "operator", whose->value);
	put_value(r, &r->command.key, "id", r->parts[0]);
}

/* What the query says must be right; what is only preferred counts as far as it can. */
static void take_wait(struct http_request *r)
{
	uint64_t seconds;

	if (number(r, "wait", 1, HTTP_WAIT_S, &seconds)) {
		r->wait_s = (unsigned)seconds;
		if (!http_parameter_find(&r->target, "since"))
			http_refuse(r, 0, REG_MISSING, "since", STR(""), N_("Who waits says since which sequence number"));
	} else if (r->list.delta && !http_parameter_find(&r->target, "wait")) {
		r->wait_s = http_prefer_wait(http_header(r, "Prefer"), HTTP_WAIT_S);
		r->preferred = r->wait_s > 0;
	}
}

static void take_layout(struct http_request *r)
{
	const struct http_parameter *layout = http_parameter_find(&r->target, "layout");

	if (layout && !str_eq_c(layout->value, "ceir") && !str_eq_c(layout->value, "dirbs"))
		http_refuse(r, 0, REG_VALUE, "layout", layout->value, N_("Expected layout=ceir or layout=dirbs"));
	r->list.dirbs = layout && str_eq_c(layout->value, "dirbs");
}

static void list_info(struct http_request *r)
{
	uint64_t since = 0;

	list_key(r, REG_INFO);
	r->list.delta = number(r, "since", 0, INT64_MAX, &since);
	r->list.since = (int64_t)since;
	take_wait(r);
	take_layout(r);
	take_format(r);
	take_packing(r);
	r->command.list = &r->list;
}

/* How far the list is, and how far the operator says it has come. */
static void list_state(struct http_request *r)
{
	list_key(r, REG_INFO);
}

static void list_ack(struct http_request *r)
{
	list_key(r, REG_UPDATE);
}

static void list_ack_complete(struct http_request *r)
{
	const char *why;
	uint64_t seq = 0;

	if (http_ack_parse(buf_view(&r->body), &seq, &why))
		http_refuse(r, 0, REG_SYNTAX, "body", buf_view(&r->body), why);
	struct str text = arena_printf(r->arena, "%llu", (unsigned long long)seq);
	if (!text.p)
		http_refuse(r, 0, REG_FAILED, NULL, STR(""), NULL);
	else
		put_value(r, &r->command.set, "ackSeq", text);
}

/* ---- IMEIs -------------------------------------------------------------------------------------------------------- */

static void imei_check(struct http_request *r)
{
	command(r, REG_CHECK, "imei");
	r->name = r->parts[0];
	r->command.names = &r->name;
	r->command.n_names = 1;
}

/* ---- the table ---------------------------------------------------------------------------------------------------- */

static const struct http_route routes[] = {
	{"POST", "/v1/deliveries", {"kind", "id"}, HTTP_DELIVERY, delivery_create, NULL},
	{"GET", "/v1/deliveries", {"limit", "cursor"}, HTTP_NO_BODY, delivery_query, NULL},
	{"GET", "/v1/deliveries/{}", {NULL}, HTTP_NO_BODY, delivery_info, NULL},
	{"GET", "/v1/deliveries/{}/rejects", {NULL}, HTTP_NO_BODY, delivery_rejects, NULL},
	{"POST", "/v1/sightings", {NULL}, HTTP_SIGHTINGS, sightings_create, sightings_complete},
	{"GET", "/v1/lists", {"limit", "cursor"}, HTTP_NO_BODY, list_query, NULL},
	{"GET", "/v1/lists/{list}", {"since", "wait", "format", "operator", "layout"}, HTTP_NO_BODY, list_info, NULL},
	{"GET", "/v1/lists/{list}/ack", {"operator"}, HTTP_NO_BODY, list_state, NULL},
	{"PUT", "/v1/lists/{list}/ack", {NULL}, HTTP_JSON, list_ack, list_ack_complete},
	{"GET", "/v1/imeis/{}", {NULL}, HTTP_NO_BODY, imei_check, NULL},
};

static bool is_list(struct str name)
{
	for (unsigned i = 0; i < REG_LISTS; i++)
		if (str_eq_c(name, reg_list_name(i)))
			return true;
	return false;
}

static bool pattern_matches(const char *pattern, const struct http_target *t, struct str parts[HTTP_SEGMENTS])
{
	struct str rest = str_of(pattern + 1), word;
	size_t i = 0, n = 0;

	while (str_cut(&rest, '/', &word)) {
		if (i == t->n_segments)
			return false;
		struct str segment = t->segments[i++];
		bool any = str_eq_c(word, "{}"), list = str_eq_c(word, "{list}");

		if ((list && !is_list(segment)) || (!any && !list && !str_eq(word, segment)))
			return false;
		if (any || list)
			parts[n++] = segment;
	}
	return i == t->n_segments;
}

const struct http_route *http_route_find(
	const char *method, const struct http_target *t, struct str parts[HTTP_SEGMENTS], const char **allow)
{
	bool get = false, post = false, put = false;

	if (strcmp(method, "HEAD") == 0)
		method = "GET";
	for (size_t i = 0; i < CEIR_COUNT(routes); i++) {
		if (!pattern_matches(routes[i].pattern, t, parts))
			continue;
		if (strcmp(method, routes[i].method) == 0)
			return &routes[i];
		get = get || strcmp(routes[i].method, "GET") == 0;
		post = post || strcmp(routes[i].method, "POST") == 0;
		put = put || strcmp(routes[i].method, "PUT") == 0;
	}
	*allow = get && post ? "GET, HEAD, POST"
		 : get && put ? "GET, HEAD, PUT"
		 : get        ? "GET, HEAD"
		 : post       ? "POST"
		 : put        ? "PUT"
			      : NULL;
	return NULL;
}

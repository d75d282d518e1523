/* epp_command.c - a valid frame becomes the door's command. The nodes are walked by hand: XPath costs more than validation. */
#include "epp/epp_parse.h"

#include <string.h>

/* Not in the object's table: renew names the present date to be safe against repetition (RFC 5731 3.2.3). */
static const struct reg_field CUR_EX_DATE = {.name = "curExDate", .type = REG_DATE, .column = -1};

static void *fill_alloc(struct epp_parser *p, size_t n)
{
	void *bytes = arena_alloc(p->arena, n);

	p->no_memory |= !bytes;
	return bytes;
}

/* ---- fields ------------------------------------------------------------------------------------------------------ */

static struct reg_node *fill_node(struct epp_parser *p, xmlNodePtr node, const struct reg_field *field)
{
	struct reg_node *n = fill_alloc(p, sizeof(*n));

	if (n) {
		n->field = field;
		n->text = field->type == REG_GROUP ? STR("") : epp_xml_text(p, node);
	}
	return n;
}

/* Siblings from `first` on, except rows of devices, which stand in c->devices. */
static struct reg_node *fill_fields(struct epp_parser *p, xmlNodePtr first, const struct reg_field *fields)
{
	struct reg_node *list = NULL, **end = &list;

	for (xmlNodePtr node = first; node && !p->no_memory; node = epp_xml_next(node)) {
		const struct reg_field *field = reg_field_find(fields, epp_xml_name(node));

		if (!field && str_eq_c(epp_xml_name(node), CUR_EX_DATE.name))
			field = &CUR_EX_DATE;
		if (!field) /* application:device, application:imei: the schema allows no others (epp_schema_test.c) */
			continue;
		if (!(*end = fill_node(p, node, field)))
			break;
		if (field->type == REG_GROUP) /* groups hold no groups, so this calls itself once */
			(*end)->child = fill_fields(p, epp_xml_first(node), field->fields);
		end = &(*end)->next;
	}
	return list;
}

/* ---- commands with an object ------------------------------------------------------------------------------------- */

static void fill_check(struct epp_parser *p, struct reg_command *c)
{
	c->names = p->names;
	c->n_names = p->n_names;
}

static void fill_number(struct str text, uint64_t max, uint64_t *value)
{
	*value = 0;
	if (text.n > 0 && text.p[0] == '+') /* xsd:unsignedLong allows it */
		text = (struct str){text.p + 1, text.n - 1};
	if (text.p && str_u64(text, max, value) != CEIR_OK)
		*value = 0; /* the schema has been asked: only "-0" comes here */
}

static void fill_info(struct epp_parser *p, xmlNodePtr object, struct reg_command *c)
{
	uint64_t rows;

	fill_number(epp_xml_attribute(p, object, "after"), UINT64_MAX, &c->after);
	fill_number(epp_xml_attribute(p, object, "rows"), UINT32_MAX, &rows);
	c->rows = (uint32_t)rows;
	/* Of an operator's list: whose. */
	if (c->key)
		c->key->next = fill_fields(p, epp_xml_next(epp_xml_first(object)), c->object->fields);
}

static void fill_update(struct epp_parser *p, xmlNodePtr object, struct reg_command *c)
{
	xmlNodePtr key = epp_xml_first(object);

	if (!epp_xml_next(key))
		epp_refuse_at(p, c, REG_MISSING, object, N_("Nothing to change was given"));
	for (xmlNodePtr node = epp_xml_next(key); node; node = epp_xml_next(node)) {
		struct reg_node *fields = fill_fields(p, epp_xml_first(node), c->object->fields);
		struct str name = epp_xml_name(node);

		if (str_eq_c(name, "add"))
			c->add = fields;
		else if (str_eq_c(name, "rem"))
			c->rem = fields;
		else
			c->set = fields;
	}
}

/* RFC 5730 2.9.3.4; the schema has seen that it is one of these. */
static enum reg_transfer_op fill_op(struct str op)
{
	static const char *const names[] = {[REG_OP_QUERY] = "query",
		[REG_OP_REQUEST] = "request",
		[REG_OP_APPROVE] = "approve",
		[REG_OP_REJECT] = "reject",
		[REG_OP_CANCEL] = "cancel"};
	unsigned i = 0;

	while (i < REG_OP_CANCEL && !str_eq_c(op, names[i]))
		i++;
	return (enum reg_transfer_op)i;
}

static void fill_object(struct epp_parser *p, xmlNodePtr verb, struct reg_command *c)
{
	xmlNodePtr object = epp_xml_first(verb), key = epp_xml_first(object);

	c->devices = p->devices;
	c->n_devices = p->n_devices;
	if (c->verb == REG_CHECK) {
		fill_check(p, c);
	} else if (c->verb == REG_CREATE) {
		c->set = fill_fields(p, key, c->object->fields);
	} else {
		c->key = fill_node(p, key, c->object->fields);
		if (c->verb == REG_INFO)
			fill_info(p, object, c);
		else if (c->verb == REG_UPDATE)
			fill_update(p, object, c);
		else if (c->verb == REG_DELETE || c->verb == REG_RENEW)
			c->set = fill_fields(p, epp_xml_next(key), c->object->fields);
		else if (c->verb == REG_TRANSFER)
			c->op = fill_op(epp_xml_attribute(p, verb, "op"));
	}
}

/* ---- query ------------------------------------------------------------------------------------------------------- */

static enum reg_compare fill_compare(struct str op)
{
	static const char *const names[] = {[REG_EQ] = "eq",
		[REG_NE] = "ne",
		[REG_LT] = "lt",
		[REG_LE] = "le",
		[REG_GT] = "gt",
		[REG_GE] = "ge",
		[REG_PREFIX] = "prefix"};

	for (unsigned i = 0; i < CEIR_COUNT(names); i++)
		if (str_eq_c(op, names[i]))
			return (enum reg_compare)i;
	return REG_EQ; /* not given */
}

static void fill_query_part(struct epp_parser *p, xmlNodePtr node, struct reg_query *q, struct reg_filter *filters)
{
	struct str name = epp_xml_name(node), text = epp_xml_text(p, node);
	uint64_t limit;

	if (str_eq_c(name, "filter")) {
		filters[q->n_filters++] = (struct reg_filter){
			epp_xml_attribute(p, node, "field"), fill_compare(epp_xml_attribute(p, node, "op")), text};
	} else if (str_eq_c(name, "sort")) {
		q->sort = text;
		q->descending = str_eq_c(epp_xml_attribute(p, node, "order"), "desc");
	} else if (str_eq_c(name, "limit")) {
		fill_number(text, UINT32_MAX, &limit);
		q->limit = (uint32_t)limit;
	} else if (str_eq_c(name, "cursor")) {
		q->cursor = text;
	} else {
		struct str only = epp_xml_attribute(p, node, "only");
		q->count = true;
		q->count_only = str_eq_c(only, "1") || str_eq_c(only, "true");
	}
}

static void fill_query(struct epp_parser *p, xmlNodePtr query, struct reg_command *c)
{
	struct reg_query *q = fill_alloc(p, sizeof(*q));
	struct reg_filter *filters;
	size_t n = 0;

	for (xmlNodePtr node = epp_xml_first(query); node; node = epp_xml_next(node))
		n++;
	filters = arena_array(p->arena, n, sizeof(*filters));
	p->no_memory |= !filters;
	if (p->no_memory)
		return;
	*q = (struct reg_query){.filters = filters};
	for (xmlNodePtr node = epp_xml_first(query); node; node = epp_xml_next(node))
		fill_query_part(p, node, q, filters);
	c->query = q;
}

/* ---- session ----------------------------------------------------------------------------------------------------- */

static xmlNodePtr child_find(xmlNodePtr node, const char *uri, const char *name)
{
	for (node = node ? epp_xml_first(node) : NULL; node; node = epp_xml_next(node))
		if (epp_xml_is(node, uri, name))
			return node;
	return NULL;
}

/*
 * RFC 8807 3: a password longer than RFC 5730 allows stands in loginSec, and where it should stand is this text.
 * Of pw and newPW alike; node may be NULL (no newPW).
 */
static struct str fill_password(struct epp_parser *p, xmlNodePtr node, xmlNodePtr login_sec, struct reg_command *c)
{
	struct str text = node ? epp_xml_text(p, node) : (struct str){NULL, 0};
	xmlNodePtr longer;

	if (!str_eq_c(text, "[LOGIN-SECURITY]"))
		return text;
	longer = child_find(login_sec, EPP_LOGINSEC_URI, (const char *)node->name);
	if (longer)
		return epp_xml_text(p, longer);
	epp_refuse_at(p, c, REG_MISSING, node, N_("The password must stand in loginSec"));
	return text;
}

static void fill_login(struct epp_parser *p, xmlNodePtr verb, struct reg_command *c)
{
	struct reg_login *login = fill_alloc(p, sizeof(*login));
	xmlNodePtr extension = child_find(verb->parent, EPP_URI, "extension");
	xmlNodePtr login_sec = child_find(extension, EPP_LOGINSEC_URI, "loginSec");
	xmlNodePtr lang = child_find(child_find(verb, EPP_URI, "options"), EPP_URI, "lang");

	if (!login)
		return;
	login->clid = epp_xml_text(p, epp_xml_first(verb));
	login->pw = fill_password(p, child_find(verb, EPP_URI, "pw"), login_sec, c);
	login->newpw = fill_password(p, child_find(verb, EPP_URI, "newPW"), login_sec, c);
	if (i18n_find(epp_xml_text(p, lang), &login->lang) != CEIR_OK)
		login->lang = 0; /* epp_check() has found it before */
	c->login = login;
}

/* The schema knows msgID, but not that an ack cannot do without. */
static void fill_poll(struct epp_parser *p, xmlNodePtr verb, struct reg_command *c)
{
	c->poll_ack = str_eq_c(epp_xml_attribute(p, verb, "op"), "ack");
	if (!c->poll_ack)
		return;
	c->msgid = epp_xml_attribute(p, verb, "msgID");
	if (!c->msgid.p || c->msgid.n == 0)
		epp_refuse_at(p, c, REG_MISSING, verb, N_("An ack needs the msgID"));
}

/* hello and logout are of any type in the schema, but the text of RFC 5730 2.3 and 2.9.1.2 says: empty. */
static void fill_empty(struct epp_parser *p, xmlNodePtr verb, struct reg_command *c)
{
	if (epp_xml_first(verb))
		epp_refuse_at(p, c, REG_SYNTAX, epp_xml_first(verb), N_("This element or attribute is not expected here"));
	else if (verb->properties || epp_xml_text(p, verb).n > 0)
		epp_refuse_at(p, c, REG_SYNTAX, verb, N_("This element must be empty"));
}

void epp_command_fill(struct epp_parser *p, xmlNodePtr verb, struct reg_command *c)
{
	switch (c->verb) {
	case REG_HELLO:
	case REG_LOGOUT:
		fill_empty(p, verb, c);
		break;
	case REG_LOGIN:
		fill_login(p, verb, c);
		break;
	case REG_POLL:
		fill_poll(p, verb, c);
		break;
	case REG_QUERY:
		fill_query(p, verb, c);
		break;
	default:
		fill_object(p, verb, c);
	}
}

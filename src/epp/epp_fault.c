/*
 * epp_fault.c - from what the schema found to the result codes of RFC 5730 section 3.
 *
 * A required element or attribute that is missing is 2003, a value of the wrong form or length 2005, one outside its range or
 * set 2004, everything else 2001. The first fault gives the code; more faults of the same code are told with it.
 */
#include "epp/epp_parse.h"

#include <libxml/xmlerror.h>
#include <string.h>

#define VALUE_BYTES 255u /* reg_detail */

static const char MISSING[] = N_("A required element or attribute is missing");
static const char UNEXPECTED[] = N_("This element or attribute is not expected here");

/* The longest beginning of at most VALUE_BYTES that does not cut a character. */
static struct str value_cut(struct str s)
{
	if (s.n <= VALUE_BYTES)
		return s;
	s.n = VALUE_BYTES;
	while (s.n > 0 && ((unsigned char)s.p[s.n] & 0xC0u) == 0x80u)
		s.n--;
	return s;
}

const struct reg_detail *epp_fault_detail(
	struct epp_parser *p, const char *uri, const char *element, struct str value, const char *reason)
{
	struct reg_detail *d = arena_alloc(p->arena, sizeof(*d));
	struct str copy = arena_str(p->arena, value_cut(value));

	if (!d || !copy.p || !element) {
		p->no_memory = true;
		return NULL;
	}
	*d = (struct reg_detail){.uri = uri, .element = element, .value = copy, .reason = reason};
	return d;
}

static bool is_secret(xmlNodePtr node)
{
	return strcmp((const char *)node->name, "pw") == 0 || strcmp((const char *)node->name, "newPW") == 0;
}

const struct reg_detail *epp_fault_at(struct epp_parser *p, xmlNodePtr node, const char *reason)
{
	struct str value = is_secret(node) || epp_xml_first(node) ? STR("") : epp_xml_text(p, node);

	return epp_fault_detail(p, epp_xml_uri(node), (const char *)node->name, value, reason);
}

void epp_refuse(struct reg_command *c, enum reg_code code, const struct reg_detail *detail)
{
	if (c->refused)
		return;
	c->refused = code;
	c->refused_details = detail;
}

void epp_refuse_at(struct epp_parser *p, struct reg_command *c, enum reg_code code, xmlNodePtr node, const char *reason)
{
	epp_refuse(c, code, epp_fault_at(p, node, reason));
}

/* ---- what is missing --------------------------------------------------------------------------------------------- */

/* Elements of the envelope and of query that cannot be left out where they may stand. */
static bool envelope_needs(struct str name)
{
	static const char *const needed[] = {"clID", "pw", "options", "svcs", "version", "lang", "objURI", "extURI", "query"};

	for (size_t i = 0; i < CEIR_COUNT(needed); i++)
		if (str_eq_c(name, needed[i]))
			return true;
	return false;
}

/* Members of a group: in create and add all that are needed, elsewhere (chg, rem) what names it. */
static bool group_needs(const struct reg_object *o, xmlNodePtr group, struct str name)
{
	const struct reg_field *g = reg_field_find(o->fields, epp_xml_name(group));
	const struct reg_field *f = g && g->fields ? reg_field_find(g->fields, name) : NULL;
	struct str where = group->parent ? epp_xml_name(group->parent) : STR("");

	if (!f)
		return str_eq_c(epp_xml_name(group), "device");
	return f->flags & (str_eq_c(where, "create") || str_eq_c(where, "add") ? REG_NEEDED : REG_KEY);
}

/* Whether an element that the schema expected inside parent must be there. The schema itself tells only what may be. */
static bool is_needed(xmlNodePtr parent, struct str uri, struct str name)
{
	const struct reg_object *o = reg_object_by_uri(uri);
	struct str where = epp_xml_name(parent);
	const struct reg_field *f;
	static const char *const by_key[] = {"check", "info", "update", "delete", "renew", "transfer"};

	if (!o)
		return envelope_needs(name);
	if (str_eq_c(where, "create"))
		return (f = reg_field_find(o->fields, name)) && f->flags & REG_NEEDED;
	for (size_t i = 0; i < CEIR_COUNT(by_key); i++)
		if (str_eq_c(where, by_key[i]))
			return str_eq_c(name, o->fields->name) || str_eq_c(where, "renew");
	return group_needs(o, parent, name);
}

static bool has_child(xmlNodePtr parent, struct str uri, struct str name)
{
	for (xmlNodePtr n = epp_xml_first(parent); n; n = epp_xml_next(n))
		if (str_eq(epp_xml_name(n), name) && str_eq_c(uri, epp_xml_uri(n)))
			return true;
	return false;
}

/*
 * libxml2 tells what it expected only in its message: "... Expected is one of ( {uri}a, {uri}b )." The next of the list.
 */
static bool expected_next(struct str *list, struct str *uri, struct str *name)
{
	const char *open, *close;
	size_t n = 0;

	if (!list->n || !(open = memchr(list->p, '{', list->n)))
		return false;
	if (!(close = memchr(open, '}', list->n - (size_t)(open - list->p))))
		return false;
	*uri = (struct str){open + 1, (size_t)(close - open - 1)};
	*list = (struct str){close + 1, list->n - (size_t)(close + 1 - list->p)};
	while (n < list->n && !strchr(", )", list->p[n]))
		n++;
	*name = (struct str){list->p, n};
	return true;
}

/* The first expected element that is needed in parent and not there: *uri and *name. */
static bool missing_find(xmlNodePtr parent, const char *message, struct str *uri, struct str *name)
{
	const char *expected = strstr(message, "Expected is");
	struct str list = str_of(expected ? expected : "");

	while (expected_next(&list, uri, name))
		if (is_needed(parent, *uri, *name) && !has_child(parent, *uri, *name))
			return true;
	return false;
}

/* ---- the schema's findings --------------------------------------------------------------------------------------- */

static void fault_add(struct epp_parser *p, enum reg_code code, const struct reg_detail *detail)
{
	if (p->n_faults < EPP_FAULTS && (p->n_faults == 0 || p->faults[0].code == code))
		p->faults[p->n_faults++] = (struct epp_fault){code, detail};
}

/* Either something needed was left out before this element (or before the end), or the element has no place here. */
static void fault_content(struct epp_parser *p, xmlNodePtr node, const char *message)
{
	bool ended = strstr(message, "Missing child element") != NULL;
	xmlNodePtr parent = ended ? node : node->parent;
	struct str uri, name;

	if (parent && parent->type == XML_ELEMENT_NODE && missing_find(parent, message, &uri, &name)) {
		struct str u = arena_str(p->arena, uri), n = arena_str(p->arena, name);
		fault_add(p, REG_MISSING, epp_fault_detail(p, u.p, n.p, STR(""), MISSING));
	} else if (ended) {
		fault_add(p, REG_MISSING, epp_fault_at(p, node, MISSING));
	} else {
		fault_add(p, REG_SYNTAX, epp_fault_at(p, node, UNEXPECTED));
	}
}

static enum reg_code fault_code(int schema_error, const char **reason)
{
	switch (schema_error) {
	case XML_SCHEMAV_CVC_COMPLEX_TYPE_4:
		*reason = MISSING;
		return REG_MISSING;
	case XML_SCHEMAV_CVC_LENGTH_VALID:
	case XML_SCHEMAV_CVC_MINLENGTH_VALID:
	case XML_SCHEMAV_CVC_MAXLENGTH_VALID:
		*reason = N_("The value is too short or too long");
		return REG_VALUE;
	case XML_SCHEMAV_CVC_PATTERN_VALID:
	case XML_SCHEMAV_CVC_DATATYPE_VALID_1_2_1:
	case XML_SCHEMAV_CVC_DATATYPE_VALID_1_2_2:
	case XML_SCHEMAV_CVC_DATATYPE_VALID_1_2_3:
		*reason = N_("The value does not have the form that is expected");
		return REG_VALUE;
	case XML_SCHEMAV_CVC_ENUMERATION_VALID:
	case XML_SCHEMAV_CVC_MININCLUSIVE_VALID:
	case XML_SCHEMAV_CVC_MAXINCLUSIVE_VALID:
		*reason = N_("The value is outside the allowed range or set");
		return REG_RANGE;
	default:
		*reason = UNEXPECTED;
		return REG_SYNTAX;
	}
}

/* What should have been there, when the element is a field of an object: says more than the schema can. */
static const char *expected_text(xmlNodePtr node)
{
	const struct reg_object *o = reg_object_by_uri(str_of(epp_xml_uri(node)));
	const struct reg_field *f = o ? reg_field_find(o->fields, epp_xml_name(node)) : NULL;

	if (o && !f && node->parent && node->parent->type == XML_ELEMENT_NODE) {
		const struct reg_field *group = reg_field_find(o->fields, epp_xml_name(node->parent));
		f = group && group->fields ? reg_field_find(group->fields, epp_xml_name(node)) : NULL;
	}
	return f ? reg_type_expects(f->type) : NULL;
}

/* libxml2 calls this for every fault it finds. */
static void fault_found(void *ctx, xmlErrorPtr error)
{
	struct epp_parser *p = ctx;
	xmlNodePtr node = error->node;
	const char *reason;
	enum reg_code code;

	if (node && node->type == XML_ATTRIBUTE_NODE)
		node = node->parent;
	if (!node || node->type != XML_ELEMENT_NODE)
		node = xmlDocGetRootElement(p->doc);
	if (node == p->fault_node)
		return;
	p->fault_node = node;
	if (error->code == XML_SCHEMAV_ELEMENT_CONTENT && error->message) {
		fault_content(p, node, error->message);
		return;
	}
	code = fault_code(error->code, &reason);
	if ((code == REG_VALUE || code == REG_RANGE) && expected_text(node))
		reason = expected_text(node);
	fault_add(p, code, epp_fault_at(p, node, reason));
}

void epp_fault_validate(struct epp_parser *p)
{
	int result;

	p->n_faults = 0;
	p->fault_node = NULL;
	xmlSchemaSetValidStructuredErrors(p->valid, fault_found, p);
	result = xmlSchemaValidateDoc(p->valid, p->doc);
	if (result < 0)
		p->no_memory = true;
	else if (result > 0 && p->n_faults == 0) /* never valid by our failing to say why */
		fault_add(p, REG_SYNTAX, epp_fault_at(p, xmlDocGetRootElement(p->doc), UNEXPECTED));
}

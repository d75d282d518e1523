/*
 * ctl_answer.c - EPP response to JSON. The server is a stranger, too: no DTD, no entities, no network.
 */
#include "ctl/ctl_answer.h"

#include <libxml/parser.h>
#include <limits.h>
#include <string.h>

#include "ctl/ctl_xml.h"

/* What an object's data elements are called (RFC 5731 and others), and the verb they answer. */
static const struct {
	const char *element, *key;
} DATA_KEYS[] = {{"chkData", "check"}, {"infData", "info"}, {"creData", "create"}, {"renData", "renew"}, {"trnData", "transfer"},
	{"panData", "pending"}, {"queData", "query"}};

/* Elements beside the objects' fields that may repeat: always arrays. */
static const char *const LISTS[] = {"cd", "row", "objURI", "extURI", "lang"};

/* Attributes that are true or false. */
static const char *const TRUTHS[] = {"avail", "paResult", "atLeast", "first"};
/* Attributes that are numbers. */
static const char *const NUMBERS[] = {"count", "line"};
/* Attributes that say something about the thing that the element names: they become its siblings. */
static const char *const SIBLINGS[] = {"avail", "paResult", "atLeast"};

static const char *name_of(const xmlNode *n)
{
	return (const char *)n->name;
}

static bool is_element(const xmlNode *n, const char *name)
{
	return n->type == XML_ELEMENT_NODE && strcmp(name_of(n), name) == 0;
}

static xmlNode *child_of(const xmlNode *n, const char *name)
{
	for (xmlNode *c = n ? n->children : NULL; c; c = c->next)
		if (is_element(c, name))
			return c;
	return NULL;
}

static bool has_elements(const xmlNode *n)
{
	for (const xmlNode *c = n->children; c; c = c->next)
		if (c->type == XML_ELEMENT_NODE)
			return true;
	return false;
}

static void put_text(json_t *object, const char *key, xmlNode *n)
{
	xmlChar *text = n ? xmlNodeGetContent(n) : NULL;

	if (text)
		json_object_set_new(object, key, json_string((const char *)text));
	xmlFree(text);
}

static json_t *text_value(const char *text, const struct reg_field *f)
{
	uint64_t number;

	if (f && f->type == REG_UINT && str_u64(str_of(text), INT64_MAX, &number) == CEIR_OK)
		return json_integer((json_int_t)number);
	return json_string(text);
}

static bool is_in(const char *name, const char *const *names, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (strcmp(name, names[i]) == 0)
			return true;
	return false;
}
#define IS_IN(name, names) is_in(name, names, CEIR_COUNT(names))

static json_t *attribute_value(const char *key, const char *value)
{
	uint64_t number;

	if (IS_IN(key, TRUTHS))
		return json_boolean(strcmp(value, "1") == 0 || strcmp(value, "true") == 0);
	if (IS_IN(key, NUMBERS) && str_u64(str_of(value), INT64_MAX, &number) == CEIR_OK)
		return json_integer((json_int_t)number);
	return json_string(value);
}

/* Into `own`, but those of SIBLINGS into `siblings`. The language of a text is that of the session. */
static void put_attributes(json_t *own, json_t *siblings, xmlNode *n)
{
	for (xmlAttr *a = n->properties; a; a = a->next) {
		const char *key = (const char *)a->name;
		xmlChar *text = xmlNodeListGetString(n->doc, a->children, 1);

		if (strcmp(key, "lang") != 0)
			json_object_set_new(
				IS_IN(key, SIBLINGS) ? siblings : own, key, attribute_value(key, text ? (const char *)text : ""));
		xmlFree(text);
	}
}

static bool is_list(const char *name, const struct reg_field *f)
{
	if (f)
		return f->flags & REG_MANY;
	return IS_IN(name, LISTS);
}

/* What repeats becomes an array, also where the table does not know it. */
static void put_value(json_t *object, const char *name, json_t *value, bool list)
{
	json_t *there = json_object_get(object, name);

	if (!there && list) {
		json_object_set_new(object, name, there = json_array());
	} else if (there && !json_is_array(there)) {
		json_t *array = json_array();
		json_array_append(array, there);
		json_object_set_new(object, name, there = array);
	}
	if (there)
		json_array_append_new(there, value);
	else
		json_object_set_new(object, name, value);
}

/* Text, or a group with "value" when it has attributes of its own; <imei:state reason="..">black</> is a group, too. */
static void put_leaf(json_t *object, xmlNode *n, const struct reg_field *f)
{
	const char *name = name_of(n);
	xmlChar *text = xmlNodeGetContent(n);
	json_t *own = json_object(), *value = text_value(text ? (const char *)text : "", f && f->type != REG_GROUP ? f : NULL);

	if (f && f->type == REG_GROUP)
		json_object_set(own, f->fields->name, value);
	put_value(object, name, json_incref(value), is_list(name, f));
	put_attributes(own, object, n);
	if (json_object_size(own) > 0) {
		if (!json_object_get(own, "value") && !(f && f->type == REG_GROUP))
			json_object_set(own, "value", value);
		json_object_set(object, name, own);
	}
	json_decref(own);
	json_decref(value);
	xmlFree(text);
}

/* Depth is bounded by libxml2 (256 elements). */
static void put_children(json_t *object, xmlNode *parent, const struct reg_field *fields)
{
	for (xmlNode *c = parent->children; c; c = c->next) {
		if (c->type != XML_ELEMENT_NODE)
			continue;
		const struct reg_field *f = fields ? reg_field_find(fields, str_of(name_of(c))) : NULL;
		if (!has_elements(c)) {
			put_leaf(object, c, f);
			continue;
		}
		json_t *inner = json_object();
		put_attributes(inner, inner, c);
		put_children(inner, c, f && f->fields ? f->fields : fields);
		put_value(object, name_of(c), inner, is_list(name_of(c), f));
	}
}

static const struct reg_object *object_of(const xmlNode *n)
{
	return n && n->ns ? reg_object_by_uri(str_of((const char *)n->ns->href)) : NULL;
}

/* {"items": [...], "next": "...", "count": n}: each item is the infData of an object. */
static void put_page(json_t *page, xmlNode *data)
{
	json_t *items = json_array();

	json_object_set_new(page, "items", items);
	for (xmlNode *c = data->children; c; c = c->next) {
		if (is_element(c, "item")) {
			xmlNode *inf = child_of(c, "infData");
			json_t *item = json_object();
			if (inf)
				put_children(item, inf, object_of(inf) ? object_of(inf)->fields : NULL);
			json_array_append_new(items, item);
		} else if (c->type == XML_ELEMENT_NODE) {
			static const struct reg_field number = {.type = REG_UINT};
			put_leaf(page, c, is_element(c, "count") ? &number : NULL);
		}
	}
}

/* <resData> or <extension>: each child is the data of one object or extension. */
static void put_data(json_t *json, xmlNode *data)
{
	for (xmlNode *c = data ? data->children : NULL; c; c = c->next) {
		if (c->type != XML_ELEMENT_NODE)
			continue;
		const struct reg_object *o = object_of(c);
		const char *key = name_of(c);
		json_t *inner = json_object();

		for (size_t i = 0; i < CEIR_COUNT(DATA_KEYS); i++)
			if (strcmp(key, DATA_KEYS[i].element) == 0)
				key = DATA_KEYS[i].key;
		if (o)
			json_object_set_new(json, "object", json_string(o->name));
		put_attributes(inner, inner, c);
		if (is_element(c, "queData"))
			put_page(inner, c);
		else
			put_children(inner, c, o ? o->fields : NULL);
		/* A check has nothing but its list. */
		json_t *list = json_object_get(inner, "cd");
		json_object_set(json, key, list ? list : inner);
		json_decref(inner);
	}
}

/* <value> and <extValue>: which element, what it held, why it was refused. */
static void put_errors(json_t *errors, xmlNode *result)
{
	for (xmlNode *c = result->children; c; c = c->next) {
		if (!is_element(c, "value") && !is_element(c, "extValue"))
			continue;
		json_t *e = json_object();
		xmlNode *holder = is_element(c, "value") ? c : child_of(c, "value");
		for (xmlNode *v = holder ? holder->children : NULL; v; v = v->next) {
			if (v->type != XML_ELEMENT_NODE)
				continue;
			const struct reg_object *o = object_of(v);
			json_object_set_new(e, "element", o ? json_sprintf("%s:%s", o->name, name_of(v)) : json_string(name_of(v)));
			put_text(e, "value", v);
		}
		put_text(e, "reason", child_of(c, "reason"));
		json_array_append_new(errors, e);
	}
}

static void put_result(json_t *json, xmlNode *result)
{
	xmlNode *msg = child_of(result, "msg");
	xmlChar *code = xmlGetNoNsProp(result, (const xmlChar *)"code");
	xmlChar *lang = msg ? xmlGetNoNsProp(msg, (const xmlChar *)"lang") : NULL;
	json_t *errors = json_array();
	uint64_t number = 0;

	if (code && str_u64(str_of((const char *)code), 9999, &number) == CEIR_OK)
		json_object_set_new(json, "code", json_integer((json_int_t)number));
	put_text(json, "msg", msg);
	json_object_set_new(json, "lang", json_string(lang ? (const char *)lang : "en"));
	put_errors(errors, result);
	if (json_array_size(errors) > 0)
		json_object_set(json, "errors", errors);
	json_decref(errors);
	xmlFree(code);
	xmlFree(lang);
}

static void put_queue(json_t *json, xmlNode *queue)
{
	if (!queue)
		return;
	json_t *q = json_object();
	put_attributes(q, q, queue);
	put_text(q, "date", child_of(queue, "qDate"));
	put_text(q, "msg", child_of(queue, "msg"));
	json_object_set_new(json, "queue", q);
}

static json_t *response_json(xmlNode *response)
{
	json_t *json = json_object();
	xmlNode *result = child_of(response, "result"), *ids = child_of(response, "trID");

	put_result(json, result);
	put_queue(json, child_of(response, "msgQ"));
	put_data(json, child_of(response, "resData"));
	put_data(json, child_of(response, "extension"));
	if (child_of(ids, "clTRID"))
		put_text(json, "clTRID", child_of(ids, "clTRID"));
	put_text(json, "svTRID", child_of(ids, "svTRID"));
	return json;
}

static json_t *greeting_json(xmlNode *greeting)
{
	json_t *json = json_object(), *menu = json_object();

	put_text(json, "svID", child_of(greeting, "svID"));
	put_text(json, "svDate", child_of(greeting, "svDate"));
	if (child_of(greeting, "svcMenu")) {
		put_children(menu, child_of(greeting, "svcMenu"), NULL);
		json_object_update(json, menu);
	}
	json_decref(menu);
	return json;
}

/* Called when a DOCTYPE begins: EPP has none. */
static void refuse_doctype(void *ctx, const xmlChar *name, const xmlChar *external, const xmlChar *system)
{
	xmlParserCtxt *parser = ctx;

	(void)name;
	(void)external;
	(void)system;
	xmlStopParser(parser);
	parser->wellFormed = 0; /* stopping alone leaves it set */
}

static xmlDoc *document_parse(struct str xml)
{
	xmlParserCtxt *parser = xml.n > INT_MAX ? NULL : xmlNewParserCtxt();
	xmlDoc *doc = NULL;

	if (!parser)
		return NULL;
	parser->sax->internalSubset = refuse_doctype;
	doc = xmlCtxtReadMemory(parser, xml.p, (int)xml.n, NULL, NULL,
		XML_PARSE_NONET | XML_PARSE_NOERROR | XML_PARSE_NOWARNING | XML_PARSE_NOCDATA | XML_PARSE_COMPACT);
	xmlFreeParserCtxt(parser);
	return doc;
}

enum ceir_err ctl_answer_parse(struct str xml, json_t **json)
{
	xmlDoc *doc = document_parse(xml);
	xmlNode *root = doc ? xmlDocGetRootElement(doc) : NULL;
	xmlNode *response = child_of(root, "response"), *greeting = child_of(root, "greeting");
	enum ceir_err err = CEIR_OK;

	if (response && child_of(response, "result"))
		*json = response_json(response);
	else if (greeting)
		*json = greeting_json(greeting);
	else
		err = CEIR_EINVAL;
	xmlFreeDoc(doc);
	return err;
}

unsigned ctl_answer_code(const json_t *json)
{
	return (unsigned)json_integer_value(json_object_get(json, "code"));
}

/*
 * epp_schema_test.c - the tables of the door and the schemas say the same: every field stands in every type where it belongs, in
 * order, needed where it is needed, with its choices and its largest value; and the schemas have nothing else.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <libxml/parser.h>
#include <stdlib.h>
#include <string.h>

#include "epp/epp_schema.h"
#include "registry/registry.h"

static const char *source;

static bool is(xmlNodePtr n, const char *name)
{
	return n->type == XML_ELEMENT_NODE && strcmp((const char *)n->name, name) == 0;
}

/* Attribute as a static text; good until the eighth call after. */
static const char *attribute(xmlNodePtr n, const char *name)
{
	static char texts[8][128];
	static unsigned turn;
	char *text = texts[turn++ % 8];
	xmlChar *value = xmlGetNoNsProp(n, (const xmlChar *)name);

	snprintf(text, sizeof texts[0], "%s", value ? (const char *)value : "");
	xmlFree(value);
	return text;
}

static xmlDocPtr schema_open(const char *name)
{
	char path[512];
	xmlDocPtr doc;

	snprintf(path, sizeof path, "%s/schemas/%s-1.0.xsd", source, name);
	doc = xmlReadFile(path, NULL, XML_PARSE_NONET);
	assert_non_null(doc);
	return doc;
}

/* A top-level declaration; NULL: none. */
static xmlNodePtr top_find(xmlDocPtr doc, const char *kind, const char *name)
{
	for (xmlNodePtr n = xmlDocGetRootElement(doc)->children; n; n = n->next)
		if (is(n, kind) && strcmp(attribute(n, "name"), name) == 0)
			return n;
	return NULL;
}

/* ---- one element ------------------------------------------------------------------------------------------------- */

/* The facets of a simple type of this schema: an enumeration's values, the largest number. */
static xmlNodePtr facets_of(xmlDocPtr doc, const char *prefixed)
{
	const char *colon = strchr(prefixed, ':');
	char name[128];
	xmlNodePtr type;

	snprintf(name, sizeof name, "%s", colon ? colon + 1 : "");
	type = top_find(doc, "simpleType", name);
	for (xmlNodePtr n = type ? type->children : NULL; n; n = n->next)
		if (is(n, "restriction"))
			return n->children;
	return NULL;
}

static void assert_choices(xmlDocPtr doc, const struct reg_field *f, const char *type)
{
	const char *const *choice = f->choices;

	for (xmlNodePtr n = facets_of(doc, type); n; n = n->next) {
		if (!is(n, "enumeration"))
			continue;
		assert_non_null(*choice);
		assert_string_equal(attribute(n, "value"), *choice++);
	}
	if (*choice)
		fail_msg("%s: %s is not in the schema", f->name, *choice);
}

/* A number's largest value, a name's or a text's length; whether a text may be empty. */
static void assert_max(xmlDocPtr doc, const struct reg_field *f, const char *type)
{
	char expected[24], found[24] = "none";

	snprintf(expected, sizeof expected, "%llu", (unsigned long long)f->max);
	for (xmlNodePtr n = facets_of(doc, type); n; n = n->next)
		if (is(n, f->type == REG_UINT ? "maxInclusive" : "maxLength"))
			snprintf(found, sizeof found, "%s", attribute(n, "value"));
	assert_string_equal(found, expected);
	if (f->type != REG_TEXT)
		return;
	bool empty = true;
	for (xmlNodePtr n = facets_of(doc, type); n; n = n->next)
		empty = empty && !is(n, "minLength");
	assert_int_equal(empty, (f->flags & REG_CLEARS) != 0);
}

/* Types that all schemas share, by the kind of value. NULL: a type of the schema itself. */
static const char *shared_type(const struct reg_field *f)
{
	static const char *const types[] = {[REG_TEXT] = "ceir:textType",
		[REG_TOKEN] = "ceir:nameType",
		[REG_IMEI] = "ceir:imeiType",
		[REG_TAC] = "ceir:tacType",
		[REG_IMSI] = "ceir:imsiType",
		[REG_MSISDN] = "ceir:msisdnType",
		[REG_DATE] = "ceir:dateType",
		[REG_TIME] = "ceir:timeType",
		[REG_UINT] = "ceir:numberType",
		[REG_PRICE] = "ceir:priceType",
		[REG_CURRENCY] = "ceir:currencyType",
		[REG_COUNTRY] = "ceir:countryType",
		[REG_SECRET] = "ceir:secretType",
		[REG_HEX32] = "ceir:fingerprintType",
		[REG_GROUP] = NULL};

	if (f->type == REG_TOKEN && f->max)
		return f->max == 32 ? "ceir:shortNameType" : f->max == 16 ? "ceir:accountType" : NULL;
	/* What only stands in answers or filters is as long as the register makes it. */
	bool own = f->type == REG_UINT || (f->type == REG_TEXT && !(f->flags & REG_SERVER));
	return own && f->max ? NULL : types[f->type];
}

static void assert_element(xmlDocPtr doc, xmlNodePtr n, const struct reg_field *f, bool needed, bool many)
{
	const char *type = attribute(n, "type");

	if (strcmp(attribute(n, "name"), f->name) != 0)
		fail_msg("element %s where the table has %s", attribute(n, "name"), f->name);
	if ((attribute(n, "minOccurs")[0] == '\0') != needed)
		fail_msg("%s: needed in one, not in the other", f->name);
	if ((strcmp(attribute(n, "maxOccurs"), "unbounded") == 0) != many)
		fail_msg("%s: may repeat in one, not in the other", f->name);
	if (f->type == REG_ENUM) {
		if (strcmp(type, "application:createStatusType") != 0) /* a client cannot create what is done already */
			assert_choices(doc, f, type);
	} else if (f->type != REG_GROUP && !shared_type(f)) {
		assert_max(doc, f, type);
	} else if (f->type != REG_GROUP) {
		assert_string_equal(type, shared_type(f));
	}
}

/* ---- types ------------------------------------------------------------------------------------------------------- */

/* Which fields a type holds, which are needed there, which repeat. */
struct shape {
	unsigned any;    /* fields with one of these flags; 0: all */
	unsigned none;   /* and without any of these */
	unsigned needed; /* flag that makes a field needed; 0: none is */
	bool secrets;
	bool many;
	const char *beside; /* a field that is there although `none` says otherwise */
};

static bool has_shape(const struct reg_field *f, const struct shape *s)
{
	if (f->type == REG_SECRET && !s->secrets)
		return false;
	if (s->beside && strcmp(f->name, s->beside) == 0)
		return true;
	return (!s->any || f->flags & s->any) && !(f->flags & s->none);
}

static xmlNodePtr sequence_of(xmlNodePtr type)
{
	for (xmlNodePtr n = type->children; n; n = n->next)
		if (is(n, "sequence"))
			return n;
	fail_msg("a type without sequence");
	return NULL;
}

static xmlNodePtr next_element(xmlNodePtr n)
{
	while (n && !is(n, "element"))
		n = n->next;
	return n;
}

static void assert_type(xmlDocPtr doc, const char *name, const struct reg_field *fields, const struct shape *s)
{
	xmlNodePtr type = top_find(doc, "complexType", name);
	size_t expected = 0;
	xmlNodePtr n;

	for (const struct reg_field *f = fields; f->name; f++)
		expected += has_shape(f, s);
	if (!type && !expected)
		return;
	if (!type)
		fail_msg("%s is missing", name);
	n = next_element(sequence_of(type)->children);
	for (const struct reg_field *f = fields; f->name; f++) {
		if (!has_shape(f, s))
			continue;
		if (!n)
			fail_msg("%s: %s is missing", name, f->name);
		assert_element(doc, n, f, s->needed & f->flags, s->many && f->flags & REG_MANY);
		n = next_element(n->next);
	}
	/* The rows of an application are in no table: there may be millions. */
	if (n && !(strcmp(name, "infDataType") == 0 && strcmp(attribute(n, "name"), "row") == 0))
		fail_msg("%s: %s is not in the table", name, attribute(n, "name"));
}

static void assert_groups(xmlDocPtr doc, const struct reg_field *fields)
{
	char name[64];

	for (const struct reg_field *f = fields; f->name; f++) {
		if (f->type != REG_GROUP)
			continue;
		if (f->flags & REG_SERVER) {
			snprintf(name, sizeof name, "%sType", f->name);
			assert_type(doc, name, f->fields, &(struct shape){.needed = 0});
			continue;
		}
		snprintf(name, sizeof name, "%sType", f->name);
		assert_type(doc, name, f->fields, &(struct shape){.none = REG_SERVER, .needed = REG_NEEDED});
		snprintf(name, sizeof name, "%sRefType", f->name);
		if (!(f->flags & REG_FIXED)) /* no update names one */
			assert_type(doc, name, f->fields, &(struct shape){.none = REG_SERVER, .needed = REG_KEY});
		snprintf(name, sizeof name, "%sInfType", f->name);
		assert_type(doc, name, f->fields, &(struct shape){.needed = REG_KEY});
	}
}

static void test_fields(void **state)
{
	(void)state;
	for (size_t i = 0; reg_objects[i]; i++) {
		const struct reg_object *o = reg_objects[i];
		xmlDocPtr doc = schema_open(o->name);
		const char *position = strcmp(o->name, "permit") == 0 ? "position" : NULL;

		print_message("%s\n", o->name);
		assert_string_equal(attribute(xmlDocGetRootElement(doc), "targetNamespace"), o->uri);
		assert_type(doc, "infDataType", o->fields, &(struct shape){.needed = REG_KEY, .many = true});
		if (o->may[REG_CREATE])
			assert_type(doc, "createType", o->fields,
				&(struct shape){.none = REG_SERVER, .needed = REG_NEEDED, .secrets = true, .many = true});
		if (o->may[REG_UPDATE]) {
			assert_type(doc, "chgType", o->fields,
				&(struct shape){.none = REG_SERVER | REG_FIXED | REG_KEY | REG_MANY,
					.secrets = true,
					.many = true,
					.beside = position});
			if (strcmp(o->name, "application") != 0)
				assert_type(doc, "addType", o->fields,
					&(struct shape){.any = REG_MANY, .none = REG_FIXED | REG_SERVER, .many = true});
			assert_type(doc, "remType", o->fields,
				&(struct shape){.any = REG_MANY, .none = REG_FIXED | REG_SERVER, .many = true});
		}
		assert_groups(doc, o->fields);
		xmlFreeDoc(doc);
	}
}

static void test_verbs(void **state)
{
	(void)state;
	for (size_t i = 0; reg_objects[i]; i++) {
		xmlDocPtr doc = schema_open(reg_objects[i]->name);

		for (unsigned v = REG_CHECK; v < REG_QUERY; v++)
			if ((top_find(doc, "element", reg_verb_name(v)) != NULL) != (reg_objects[i]->may[v] != 0))
				fail_msg("%s %s: in the table or in the schema, not in both", reg_objects[i]->name,
					reg_verb_name(v));
		assert_non_null(top_find(doc, "element", "infData"));
		xmlFreeDoc(doc);
	}
}

/* Each file of schemas/ is in the program as it stands there, and they compile together. */
static void test_embedded(void **state)
{
	struct buf file = BUF_INIT(0);
	char path[512];

	(void)state;
	for (const struct epp_embedded *e = epp_embedded; e->file; e++) {
		buf_clear(&file);
		snprintf(path, sizeof path, "%s/schemas/%s", source, e->file);
		assert_int_equal(file_read(path, 1 << 20, &file), CEIR_OK);
		assert_true(str_eq(buf_view(&file), e->text));
	}
	buf_free(&file);
	assert_non_null(epp_schema());
}

/* After epp_schema() nothing can be loaded from outside: no file, no schema but ours. Last: it is for the whole process. */
static void test_nothing_else_is_loaded(void **state)
{
	xmlDocPtr doc;

	(void)state;
	assert_non_null(epp_schema());
	xmlSetGenericErrorFunc(NULL, NULL);
	doc = xmlReadFile("/etc/passwd", NULL, XML_PARSE_NOERROR | XML_PARSE_RECOVER);
	assert_null(doc);
	doc = xmlReadMemory("<!DOCTYPE a [<!ENTITY b SYSTEM 'file:///etc/passwd'>]><a>&b;</a>", 65, NULL, NULL,
		XML_PARSE_NOERROR | XML_PARSE_NOENT | XML_PARSE_DTDLOAD | XML_PARSE_RECOVER);
	if (doc) {
		xmlChar *text = xmlNodeGetContent(xmlDocGetRootElement(doc));
		assert_null(strstr((const char *)text, "root"));
		xmlFree(text);
		xmlFreeDoc(doc);
	}
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_fields),
		cmocka_unit_test(test_verbs),
		cmocka_unit_test(test_embedded),
		cmocka_unit_test(test_nothing_else_is_loaded),
	};

	if (argc < 2)
		return 2;
	source = argv[1];
	return cmocka_run_group_tests(tests, NULL, NULL);
}

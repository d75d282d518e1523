/*
 * epp_rows_test.c - the proof for epp_xml.c's short cut: of a row of equal elements only the first is shown to the schema, the
 * others are checked by hand. Here thousands of documents, made of pieces that are right, wrong and odd, go both ways - through
 * epp_parse() and through libxml2 with every element in the DOM - and both must agree: accepted by one, accepted by the
 * other, and with the same values.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <libxml/parser.h>
#include <libxml/xmlschemas.h>
#include <stdlib.h>
#include <string.h>

#include "epp/epp.h"
#include "epp/epp_schema.h"

#define DOCUMENTS 20000u
#define EPP_NS "urn:ietf:params:xml:ns:epp-1.0"

static uint64_t seed = 1;

/* Deterministic: a failure can be repeated. */
static unsigned pick(unsigned n)
{
	seed = seed * 6364136223846793005u + 1442695040888963407u;
	return (unsigned)(seed >> 33) % n;
}

static const char *const texts[] = {"352106050544203", "1", " 1 ", "a  b", "", "  ", "&lt;", "\xD1\x97", "<![CDATA[x]]>",
	"<!-- c -->7", "8<?p?>9", "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
	"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
	"\xD1\x97xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
	"<!-- --> \n xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\t", "<o:x/>", "<o:name>1</o:name>",
	"<o:imei>1</o:imei>"};
static const char *const odd[] = {"<o:x/>", "text", "<o:cd>1</o:cd>", "<o:name a='b'>1</o:name>", "<o:imei a='b'>1</o:imei>",
	"<o:imei xmlns:q='urn:q'>1</o:imei>", "<o:name xmlns:q='urn:q'>1</o:name>", "<name>1</name>", "<o:kind>import</o:kind>",
	"<o:device a='b'><o:imei>1</o:imei></o:device>", "<o:device>x<o:imei>1</o:imei></o:device>", "<o:device><o:x/></o:device>",
	"<o:device><o:imei/><o:name/></o:device>", "<o:device/>", "<o:device><o:imei b='c'>1</o:imei></o:device>",
	"<o:device><o:device/></o:device>", "<p:name xmlns:p='urn:p'>1</p:name>"};
static const char *const between[] = {"", "", "", "\n\t", " ", "<!-- between -->", "<?between?>"};

/* Mostly right: a document that is wrong in many places teaches little. */
static const char *any(const char *const *list, size_t n, size_t good)
{
	return list[pick(12) ? pick((unsigned)good) : pick((unsigned)n)];
}

static void put_leaf(struct buf *b, const char *name)
{
	const char *text = any(texts, CEIR_COUNT(texts), 4);

	buf_printf(b, "<o:%s>%s</o:%s>%s", name, text, name, between[pick(CEIR_COUNT(between))]);
}

static void put_device(struct buf *b)
{
	unsigned n = 1 + pick(3);

	buf_c(b, "<o:device>");
	buf_c(b, between[pick(CEIR_COUNT(between))]);
	while (n-- > 0)
		put_leaf(b, "imei");
	buf_c(b, "</o:device>");
	buf_c(b, between[pick(CEIR_COUNT(between))]);
}

static void put_items(struct buf *b, bool application)
{
	unsigned n = pick(6);

	while (n-- > 0) {
		if (pick(25) == 0)
			buf_c(b, odd[pick(CEIR_COUNT(odd))]);
		else if (!application)
			put_leaf(b, "name");
		else if (pick(2))
			put_device(b);
		else
			put_leaf(b, "imei");
	}
}

static void document(struct buf *b)
{
	unsigned kind = pick(3);
	const char *verb = kind == 0 ? "check" : kind == 1 ? "create" : "update";

	buf_clear(b);
	buf_printf(b, "<epp xmlns='" EPP_NS "'><command><%s><o:%s xmlns:o='%s'>%s", verb, verb,
		kind == 0 ? "urn:ietf:params:xml:ns:imei-1.0" : EPP_APPLICATION_URI, between[pick(CEIR_COUNT(between))]);
	if (kind == 2)
		buf_c(b, "<o:id>A</o:id><o:add>");
	else if (kind == 1)
		buf_c(b, "<o:permit>p</o:permit>");
	put_items(b, kind > 0);
	if (kind == 2)
		buf_c(b, "</o:add>");
	buf_printf(b, "</o:%s></%s></command></epp>", verb, verb);
}

/* ---- the long way ------------------------------------------------------------------------------------------------ */

static void collapse(struct buf *out, const xmlChar *text)
{
	bool gap = false;

	for (; *text; text++) {
		if (strchr(" \t\r\n", *text)) {
			gap = true;
			continue;
		}
		if (gap && out->n > 0 && out->p[out->n - 1] != '|')
			buf_char(out, ' ');
		gap = false;
		buf_char(out, (char)*text);
	}
}

/* All texts of name and imei elements, each behind a bar, devices between brackets. */
static void values(xmlNodePtr n, struct buf *out)
{
	for (; n; n = n->next) {
		bool device = n->type == XML_ELEMENT_NODE && strcmp((const char *)n->name, "device") == 0;

		if (n->type != XML_ELEMENT_NODE)
			continue;
		if (strcmp((const char *)n->name, "name") == 0 || strcmp((const char *)n->name, "imei") == 0) {
			xmlChar *text = xmlNodeGetContent(n);
			bool alone = strcmp((const char *)n->parent->name, "device") != 0 && n->name[0] == 'i';

			buf_c(out, alone ? "[|" : "|");
			collapse(out, text);
			buf_c(out, alone ? "]" : "");
			xmlFree(text);
			continue;
		}
		buf_c(out, device ? "[" : "");
		values(n->children, out);
		buf_c(out, device ? "]" : "");
	}
}

static void silent(void *ctx, xmlErrorPtr error)
{
	(void)ctx;
	(void)error;
}

static bool long_way(xmlSchemaValidCtxtPtr valid, struct str xml, struct buf *out)
{
	xmlDocPtr doc = xmlReadMemory(xml.p, (int)xml.n, NULL, NULL, XML_PARSE_NONET | XML_PARSE_NOCDATA | XML_PARSE_NOERROR);
	bool ok;

	assert_non_null(doc);
	ok = xmlSchemaValidateDoc(valid, doc) == 0;
	if (ok)
		values(xmlDocGetRootElement(doc), out);
	xmlFreeDoc(doc);
	return ok;
}

static void short_way_values(const struct reg_command *c, struct buf *out)
{
	for (size_t i = 0; i < c->n_names; i++) {
		buf_c(out, "|");
		buf_str(out, c->names[i]);
	}
	for (size_t i = 0; i < c->n_devices; i++) {
		buf_c(out, "[");
		for (unsigned k = 0; k < c->devices[i].n; k++) {
			buf_c(out, "|");
			buf_str(out, c->devices[i].imeis[k]);
		}
		buf_c(out, "]");
	}
}

static void test_both_ways_agree(void **state)
{
	static const struct epp_services everything = {UINT32_MAX, UINT32_MAX};
	xmlSchemaValidCtxtPtr valid = xmlSchemaNewValidCtxt(epp_schema());
	struct epp_parser *parser = epp_parser_new(32, 100);
	struct arena *arena = arena_new(1 << 20);
	struct buf xml = BUF_INIT(0), expected = BUF_INIT(0), got = BUF_INIT(0);
	unsigned accepted = 0;

	(void)state;
	assert_true(valid && parser && arena);
	xmlSchemaSetValidStructuredErrors(valid, silent, NULL);
	for (unsigned i = 0; i < DOCUMENTS; i++) {
		struct reg_command c;
		bool ok;

		document(&xml);
		buf_clear(&expected);
		buf_clear(&got);
		arena_reset(arena);
		ok = long_way(valid, buf_view(&xml), &expected);
		assert_int_equal(epp_parse(parser, buf_view(&xml), &everything, arena, &c, NULL), CEIR_OK);
		if (ok != (c.refused == 0))
			fail_msg("%s by the schema, %d here: %.*s", ok ? "accepted" : "refused", c.refused, (int)xml.n, xml.p);
		if (!ok)
			continue;
		accepted++;
		short_way_values(&c, &got);
		if (!str_eq(buf_view(&got), buf_view(&expected)))
			fail_msg("%.*s instead of %.*s: %.*s", (int)got.n, got.p, (int)expected.n, expected.p, (int)xml.n, xml.p);
	}
	print_message("%u documents, %u accepted\n", DOCUMENTS, accepted);
	assert_true(accepted > DOCUMENTS / 5 && accepted < DOCUMENTS - DOCUMENTS / 5);
	buf_free(&xml);
	buf_free(&expected);
	buf_free(&got);
	arena_free(arena);
	epp_parser_free(parser);
	xmlSchemaFreeValidCtxt(valid);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_both_ways_agree)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

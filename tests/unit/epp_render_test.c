/*
 * epp_render_test.c - replies to frames: every kind of answer is made, compared where the bytes matter, and validated against
 * the schemas of ceir and against the official ones of RFC 5730.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <libxml/parser.h>
#include <libxml/xmlschemas.h>
#include <string.h>

#include "epp/epp.h"
#include "epp/epp_schema.h"

static const char *source;
static xmlSchemaPtr official;

/* ---- what an answer is made of ----------------------------------------------------------------------------------- */

static const struct reg_command any_command = {.verb = REG_INFO, .cltrid = {"ABC-12345", 9}};

static struct reg_reply reply_of(enum reg_code code, const char *object)
{
	return (struct reg_reply){
		.code = code, .svtrid = "UKR-20100606215846000001", .object = object ? reg_object_by_name(str_of(object)) : NULL};
}

/* A field of the object with a text; group members by "position/number". Nodes are static: the tests are one after the other. */
static struct reg_node *node(const struct reg_object *o, const char *path, const char *text, struct reg_node *next)
{
	static struct reg_node nodes[256];
	static unsigned turn;
	struct reg_node *n = &nodes[turn++ % CEIR_COUNT(nodes)];
	const char *slash = strchr(path, '/');
	const struct reg_field *f = reg_field_find(o->fields, (struct str){path, slash ? (size_t)(slash - path) : strlen(path)});

	if (slash)
		f = reg_field_find(f->fields, str_of(slash + 1));
	assert_non_null(f);
	*n = (struct reg_node){.field = f, .text = str_of(text), .next = next};
	return n;
}

static void complain(void *ctx, xmlErrorPtr error)
{
	if (error->level >= XML_ERR_ERROR)
		print_message("%s: %s", (const char *)ctx, error->message);
}

static void assert_valid_by(xmlSchemaPtr schema, const char *name, xmlDocPtr doc)
{
	xmlSchemaValidCtxtPtr valid = xmlSchemaNewValidCtxt(schema);

	assert_non_null(valid);
	xmlSchemaSetValidStructuredErrors(valid, complain, (void *)(uintptr_t)name);
	assert_int_equal(xmlSchemaValidateDoc(valid, doc), 0);
	xmlSchemaFreeValidCtxt(valid);
}

/* Header and XML are right. The XML, good until the next call. */
static const char *render(size_t lang, const struct reg_command *c, const struct reg_reply *r)
{
	static struct buf out = BUF_INIT(0);
	uint32_t length;
	xmlDocPtr doc;

	buf_clear(&out);
	buf_c(&out, "before");
	epp_render("ceir", lang, c, r, &out);
	assert_false(out.failed);
	memcpy(&length, out.p + 6, 4);
	assert_int_equal(ntohl(length), out.n - 6);
	buf_char(&out, '\0');
	doc = xmlReadMemory(out.p + 10, (int)(out.n - 11), NULL, NULL, XML_PARSE_NONET);
	if (!doc)
		fail_msg("not XML: %s", out.p + 10);
	assert_valid_by(epp_schema(), "ours", doc);
	assert_valid_by(official, "official", doc);
	xmlFreeDoc(doc);
	return out.p + 10;
}

static void assert_has(const char *xml, const char *part)
{
	assert_non_null(part);
	if (!strstr(xml, part))
		fail_msg("\"%s\" is not in %s", part ? part : "", xml);
}

static void assert_lacks(const char *xml, const char *part)
{
	if (strstr(xml, part))
		fail_msg("\"%s\" is in %s", part, xml);
}

/* ---- greeting and results ---------------------------------------------------------------------------------------- */

static void test_greeting(void **state)
{
	const struct reg_command hello = {.verb = REG_HELLO};
	const struct reg_reply done = reply_of(REG_DONE, NULL), refused = reply_of(REG_SYNTAX, NULL);
	const char *xml = render(0, &hello, &done);

	(void)state;
	assert_has(xml, "<greeting><svID>ceir</svID><svDate>2");
	assert_has(xml, "<version>1.0</version><lang>en</lang><lang>uk</lang><objURI>urn:ietf:params:xml:ns:imei-1.0</objURI>");
	assert_has(xml, "<extURI>" EPP_QUERY_URI "</extURI>");
	assert_has(render(0, &hello, &refused), "<result code=\"2001\">");
}

static void test_every_code(void **state)
{
	static const unsigned codes[] = {1000, 1001, 1300, 1301, 1500, 2000, 2001, 2002, 2003, 2004, 2005, 2100, 2101, 2102, 2103,
		2104, 2105, 2106, 2200, 2201, 2202, 2300, 2301, 2302, 2303, 2304, 2305, 2306, 2307, 2308, 2400, 2500, 2501, 2502};

	(void)state;
	for (size_t i = 0; i < CEIR_COUNT(codes); i++) {
		struct reg_reply r = reply_of((enum reg_code)codes[i], NULL);
		char expected[160];

		snprintf(expected, sizeof expected,
			"<result code=\"%u\"><msg lang=\"en\">%s</msg></result><trID><clTRID>ABC-12345</clTRID>"
			"<svTRID>UKR-20100606215846000001</svTRID></trID>",
			codes[i], reg_code_text(codes[i]));
		assert_has(render(0, &any_command, &r), expected);
		assert_has(render(1, &any_command, &r), "<msg lang=\"uk\">\xD0"); /* a Cyrillic letter: translated */
	}
}

static void test_language(void **state)
{
	const struct reg_reply r = reply_of(REG_DONE, NULL);

	(void)state;
	assert_has(render(1, &any_command, &r), "<msg lang=\"uk\">Команду виконано успішно</msg>");
}

static void test_without_cltrid(void **state)
{
	const struct reg_command c = {.verb = REG_LOGOUT};
	const struct reg_reply r = reply_of(REG_BYE, NULL);

	(void)state;
	assert_has(render(0, &c, &r), "<trID><svTRID>");
}

static void test_details(void **state)
{
	const struct reg_detail none = {.uri = "", .element = "x", .value = STR(""), .reason = "Object exists"};
	const struct reg_detail foreign = {
		.uri = "urn:x?a&b", .element = "y", .value = STR("1"), .reason = "Object exists", .next = &none};
	const struct reg_detail ours = {.uri = "urn:ietf:params:xml:ns:imei-1.0",
		.element = "name",
		.value = STR("<&>\"'"),
		.reason = "Object exists",
		.next = &foreign};
	const struct reg_detail epp = {.uri = NULL,
		.element = "clTRID",
		.value = STR("ab"),
		.reason = "The value is too short or too long",
		.next = &ours};
	struct reg_reply r = reply_of(REG_VALUE, NULL);
	const char *xml;

	(void)state;
	r.details = &epp;
	xml = render(0, &any_command, &r);
	assert_has(xml, "<extValue><value><epp:clTRID xmlns:epp=\"urn:ietf:params:xml:ns:epp-1.0\">ab</epp:clTRID></value>"
			"<reason lang=\"en\">The value is too short or too long</reason></extValue>");
	assert_has(xml,
		"<value><imei:name xmlns:imei=\"urn:ietf:params:xml:ns:imei-1.0\">&lt;&amp;&gt;&quot;&#39;</imei:name></value>");
	assert_has(xml, "<value><x:y xmlns:x=\"urn:x?a&amp;b\">1</x:y></value>");
	assert_has(xml, "<value><x xmlns=\"\"></x></value>");
	assert_has(render(1, &any_command, &r), "<reason lang=\"uk\">Об’єкт існує</reason>");
}

/* Whatever bytes a text holds, the answer is XML. */
static void test_escaping(void **state)
{
	static const struct {
		const char *bytes, *expected;
	} cases[] = {
		{"a\x01z", "a\xEF\xBF\xBDz"},
		{"a\x1Fz", "a\xEF\xBF\xBDz"},
		{"a\tb\nc", "a\tb\nc"},
		{"a\rb", "a&#13;b"},
		{"a\x7Fz", "a\xEF\xBF\xBDz"},
		{"\xD1\x97", "\xD1\x97"},
		{"\xF0\x9F\x98\x80", "\xF0\x9F\x98\x80"},
		{"\xC0\xAF", "\xEF\xBF\xBD\xEF\xBF\xBD"},
		{"\xED\xA0\x80", "\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD"},
		{"\xEF\xBF\xBE", "\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD"},
		{"\xD1", "\xEF\xBF\xBD"},
		{"\xF4\x90\x80\x80", "\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD"},
		{"]]>", "]]&gt;"},
		{"\xE0\x80\x80", "\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD"},
	};

	(void)state;
	for (size_t i = 0; i < CEIR_COUNT(cases); i++) {
		const struct reg_detail d = {.element = "clTRID", .value = str_of(cases[i].bytes), .reason = "Object exists"};
		struct reg_reply r = reply_of(REG_VALUE, NULL);
		char expected[64];

		r.details = &d;
		snprintf(expected, sizeof expected, "epp-1.0\">%s</epp:clTRID>", cases[i].expected);
		assert_has(render(0, &any_command, &r), expected);
	}
}

/* ---- data -------------------------------------------------------------------------------------------------------- */

/* The shape of the customer's sample answer. */
static void test_check(void **state)
{
	static const struct reg_check_item items[] = {
		{STR("352106050544203"), "Object exists", false, true, {VERDICT_WHITE, VERDICT_REGISTERED, true, false, false}},
		{STR("352106150345703"), NULL, true, true, {VERDICT_UNKNOWN, VERDICT_NEVER_HEARD, false, false, false}},
		{STR("352106150345703"), NULL, true, true, {VERDICT_UNKNOWN, VERDICT_NEVER_HEARD, false, false, false}},
		{STR("12<"), "Object is not valid", true, false, {0}},
	};
	struct reg_reply r = reply_of(REG_DONE, "imei");

	(void)state;
	r.data = REG_DATA_CHECK;
	r.checks = items;
	r.n_checks = CEIR_COUNT(items);
	assert_has(render(0, &any_command, &r),
		"<resData><imei:chkData xmlns:imei=\"urn:ietf:params:xml:ns:imei-1.0\">"
		"<imei:cd><imei:name avail=\"0\">352106050544203</imei:name><imei:reason>Object exists</imei:reason>"
		"<imei:state reason=\"registered\">white</imei:state></imei:cd>"
		"<imei:cd><imei:name avail=\"1\">352106150345703</imei:name><imei:state "
		"reason=\"never-heard\">unknown</imei:state></imei:cd>"
		"<imei:cd><imei:name avail=\"1\">352106150345703</imei:name><imei:state "
		"reason=\"never-heard\">unknown</imei:state></imei:cd>"
		"<imei:cd><imei:name avail=\"1\">12&lt;</imei:name><imei:reason>Object is not "
		"valid</imei:reason></imei:cd></imei:chkData></resData>");
	assert_has(render(1, &any_command, &r), "<imei:reason lang=\"uk\">Об’єкт існує</imei:reason>");
}

static void test_info(void **state)
{
	const struct reg_object *o = reg_object_by_name(STR("permit"));
	struct reg_node *position = node(o, "position", "", NULL);
	struct reg_reply r = reply_of(REG_DONE, "permit");

	(void)state;
	position->child = node(
		o, "position/number", "1", node(o, "position/model", "GT-P3100 & co", node(o, "position/price", "4800.00", NULL)));
	r.data = REG_DATA_INFO;
	r.fields = node(o, "id", "CT07-287/062", node(o, "issued", "2015-12-12", position));
	assert_has(render(0, &any_command, &r),
		"<permit:infData xmlns:permit=\"urn:ceir:params:xml:ns:permit-1.0\"><permit:id>CT07-287/062</permit:id>"
		"<permit:issued>2015-12-12</permit:issued><permit:position><permit:number>1</permit:number>"
		"<permit:model>GT-P3100 &amp; "
		"co</permit:model><permit:price>4800.00</permit:price></permit:position></permit:infData>");
}

static void test_secrets_never_leave(void **state)
{
	const struct reg_object *o = reg_object_by_name(STR("account"));
	struct reg_reply r = reply_of(REG_DONE, "account");

	(void)state;
	r.data = REG_DATA_INFO;
	r.fields = node(o, "id", "lea1", node(o, "pw", "Correct.horse-9", NULL));
	assert_lacks(render(0, &any_command, &r), "horse");
}

static void test_rows(void **state)
{
	static const struct reg_row rows[] = {
		{.line = 1, .imei = STR("352106050544203"), .first_of_device = true, .result = "accepted"},
		{.line = 2,
			.imei = STR("x & y"),
			.first_of_device = true,
			.result = "refused",
			.code = "not-digits",
			.reason = "No IMEI was given"},
		{.line = 3,
			.imei = STR(""),
			.first_of_device = false,
			.result = "refused",
			.code = "empty",
			.reason = "No IMEI was given"},
	};
	const struct reg_object *o = reg_object_by_name(STR("application"));
	struct reg_reply r = reply_of(REG_DONE, "application");
	const char *xml;

	(void)state;
	r.data = REG_DATA_INFO;
	r.fields = node(o, "id", "A1", node(o, "status", "done", NULL));
	r.rows = rows;
	r.n_rows = CEIR_COUNT(rows);
	xml = render(0, &any_command, &r);
	assert_has(xml, "<application:row line=\"1\" "
			"result=\"accepted\"><application:imei>352106050544203</application:imei></application:row>");
	assert_has(xml,
		"<application:row line=\"2\" result=\"refused\" code=\"not-digits\"><application:imei>x &amp; y</application:imei>"
		"<application:reason>No IMEI was given</application:reason></application:row>");
	assert_has(xml, "<application:row line=\"3\" first=\"0\" result=\"refused\"");
}

static void test_other_data(void **state)
{
	static const struct reg_field transfer[] = {{.name = "name"}, {.name = "trStatus"}, {.name = "reID"}, {.name = "reDate"}};
	struct reg_node re_date = {.field = &transfer[3], .text = STR("2026-01-01T00:00:00Z")};
	struct reg_node re_id = {.field = &transfer[2], .text = STR("8978140007623"), .next = &re_date};
	struct reg_node status = {.field = &transfer[1], .text = STR("pending"), .next = &re_id};
	struct reg_node name = {.field = &transfer[0], .text = STR("352106050544203"), .next = &status};
	const struct reg_object *listing = reg_object_by_name(STR("listing")), *permit = reg_object_by_name(STR("permit"));
	struct reg_reply r = reply_of(REG_PENDING, "imei");

	(void)state;
	r.data = REG_DATA_TRANSFER;
	r.fields = &name;
	assert_has(render(0, &any_command, &r), "<imei:trStatus>pending</imei:trStatus>");
	r = reply_of(REG_DONE, "listing");
	r.data = REG_DATA_CREATE;
	r.fields = node(listing, "id", "L1", node(listing, "crDate", "2026-01-01T00:00:00.123456Z", NULL));
	assert_has(render(0, &any_command, &r), "<listing:creData xmlns:listing=");
	r = reply_of(REG_DONE, "permit");
	r.data = REG_DATA_RENEW;
	r.fields = node(permit, "id", "p", node(permit, "exDate", "2028-01-01", NULL));
	assert_has(render(0, &any_command, &r), "<permit:renData xmlns:permit=");
}

/* RFC 5731 3.3 */
static void test_pending(void **state)
{
	static const struct reg_field fields[] = {{.name = "id"}, {.name = "paResult"}, {.name = "paTRID", .type = REG_GROUP},
		{.name = "paDate"}, {.name = "clTRID"}, {.name = "svTRID"}};
	struct reg_node sv = {.field = &fields[5], .text = STR("UKR-1")};
	struct reg_node cl = {.field = &fields[4], .text = STR("ABC-1"), .next = &sv};
	struct reg_node date = {.field = &fields[3], .text = STR("2026-01-01T00:00:00Z")};
	struct reg_node trid = {.field = &fields[2], .child = &cl, .next = &date};
	struct reg_node result = {.field = &fields[1], .text = STR("1"), .next = &trid};
	struct reg_node id = {.field = &fields[0], .text = STR("A1"), .next = &result};
	struct reg_reply r = reply_of(REG_MESSAGE, "application");

	(void)state;
	r.data = REG_DATA_PENDING;
	r.fields = &id;
	assert_has(render(0, &any_command, &r),
		"<application:id paResult=\"1\">A1</application:id><application:paTRID><clTRID>ABC-1</clTRID>"
		"<svTRID>UKR-1</svTRID></application:paTRID><application:paDate>");
}

static void test_messages(void **state)
{
	struct reg_message m = {.count = 5,
		.id = STR("12345"),
		.at_us = 0,
		.english = "Application {0} has been processed: {1} accepted, {2} refused",
		.args = {STR("A<1>"), STR("9"), STR("1")},
		.n_args = 3};
	struct reg_reply r = reply_of(REG_MESSAGE, NULL);

	(void)state;
	r.message = &m;
	assert_has(render(0, &any_command, &r),
		"<msgQ count=\"5\" id=\"12345\"><qDate>1970-01-01T00:00:00.000000Z</qDate>"
		"<msg lang=\"en\">Application A&lt;1&gt; has been processed: 9 accepted, 1 refused</msg></msgQ>");
	assert_has(render(1, &any_command, &r), "<msg lang=\"uk\">Заяву A&lt;1&gt; опрацьовано");
	m.english = NULL;
	r.code = REG_DONE;
	assert_has(render(0, &any_command, &r), "<msgQ count=\"5\" id=\"12345\"/>");
	m.count = 0;
	assert_lacks(render(0, &any_command, &r), "msgQ");
}

static void test_query(void **state)
{
	const struct reg_object *o = reg_object_by_name(STR("listing"));
	struct reg_node *items[] = {node(o, "id", "L1", node(o, "colour", "black", NULL)), node(o, "id", "L2", NULL)};
	struct reg_page page = {.object = o,
		.items = items,
		.n_items = 2,
		.next = STR("c<1"),
		.has_count = true,
		.count_is_floor = true,
		.count = 1000000};
	struct reg_reply r = reply_of(REG_DONE, "listing");

	(void)state;
	r.data = REG_DATA_QUERY;
	r.page = &page;
	assert_has(render(0, &any_command, &r), "<query:queData xmlns:query=\"" EPP_QUERY_URI "\"><query:item><listing:infData "
						"xmlns:listing=\"urn:ceir:params:xml:ns:listing-1.0\"><listing:id>L1</"
						"listing:id><listing:colour>black</listing:colour></listing:infData>"
						"</query:item><query:item>");
	assert_has(render(0, &any_command, &r),
		"<query:next>c&lt;1</query:next><query:count atLeast=\"1\">1000000</query:count></query:queData>");
	page = (struct reg_page){.object = o};
	assert_has(render(0, &any_command, &r), "<query:queData xmlns:query=\"" EPP_QUERY_URI "\"></query:queData>");
}

/* An answer that does not fit sets `failed`, so that nobody sends half of it. */
static void test_no_room(void **state)
{
	struct reg_reply r = reply_of(REG_DONE, NULL);
	size_t whole = strlen(render(0, &any_command, &r)) + 4;

	(void)state;
	for (size_t max = 1; max < whole; max++) {
		struct buf small = BUF_INIT(max);

		epp_render("ceir", 0, &any_command, &r, &small);
		assert_true(small.failed);
		buf_free(&small);
	}
}

/* ---- the tests' world -------------------------------------------------------------------------------------------- */

/* The official schemas are read before ours, for afterwards libxml2 opens no file in this process. */
static int load_official(void **state)
{
	static const char *const ours[] = {
		"imei", "importer", "permit", "certificate", "tac", "application", "listing", "account", "transaction", "query"};
	struct buf driver = BUF_INIT(0);
	xmlSchemaParserCtxtPtr ctxt;

	(void)state;
	buf_c(&driver, "<schema xmlns=\"http://www.w3.org/2001/XMLSchema\">");
	buf_printf(&driver,
		"<import namespace=\"urn:ietf:params:xml:ns:eppcom-1.0\" "
		"schemaLocation=\"%s/tests/integration/xsd/eppcom-1.0.xsd\"/>",
		source);
	buf_printf(&driver,
		"<import namespace=\"urn:ietf:params:xml:ns:epp-1.0\" schemaLocation=\"%s/tests/integration/xsd/epp-1.0.xsd\"/>",
		source);
	for (size_t i = 0; i < CEIR_COUNT(ours); i++)
		buf_printf(&driver, "<import namespace=\"urn:%s:params:xml:ns:%s-1.0\" schemaLocation=\"%s/schemas/%s-1.0.xsd\"/>",
			i ? "ceir" : "ietf", ours[i], source, ours[i]);
	buf_c(&driver, "</schema>");
	ctxt = xmlSchemaNewMemParserCtxt(driver.p, (int)driver.n);
	xmlSchemaSetParserStructuredErrors(ctxt, complain, (void *)(uintptr_t) "schemas");
	official = xmlSchemaParse(ctxt);
	xmlSchemaFreeParserCtxt(ctxt);
	buf_free(&driver);
	return official && epp_schema() ? 0 : -1;
}

static int free_official(void **state)
{
	(void)state;
	xmlSchemaFree(official);
	return 0;
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_greeting),
		cmocka_unit_test(test_every_code),
		cmocka_unit_test(test_language),
		cmocka_unit_test(test_without_cltrid),
		cmocka_unit_test(test_details),
		cmocka_unit_test(test_escaping),
		cmocka_unit_test(test_check),
		cmocka_unit_test(test_info),
		cmocka_unit_test(test_secrets_never_leave),
		cmocka_unit_test(test_rows),
		cmocka_unit_test(test_other_data),
		cmocka_unit_test(test_pending),
		cmocka_unit_test(test_messages),
		cmocka_unit_test(test_query),
		cmocka_unit_test(test_no_room),
	};

	if (argc != 3)
		return 2;
	source = argv[1];
	if (i18n_load(argv[2]) != CEIR_OK)
		return 2;
	return cmocka_run_group_tests(tests, load_official, free_official);
}

/*
 * ctl_answer_test.c - responses to JSON; rows of a CSV file to devices.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "ctl/ctl_answer.h"
#include "ctl/ctl_application.h"

#define EPP(body) "<?xml version=\"1.0\"?><epp xmlns=\"urn:ietf:params:xml:ns:epp-1.0\">" body "</epp>"
#define IDS "<trID><clTRID>A-1</clTRID><svTRID>UKR-1</svTRID></trID>"
#define DONE "<result code=\"1000\"><msg lang=\"uk\">Команду виконано успішно</msg></result>"

/* The JSON of a document as one line, compared as text: order and types count. */
static void expect(const char *xml, const char *text)
{
	json_t *json = NULL;

	assert_int_equal(ctl_answer_parse(str_of(xml), &json), CEIR_OK);
	char *dump = json_dumps(json, JSON_COMPACT);
	assert_string_equal(dump, text);
	free(dump);
	json_decref(json);
}

static void a_check_becomes_a_list(void **state)
{
	(void)state;
	expect(EPP("<response>" DONE "<resData><i:chkData xmlns:i=\"urn:ietf:params:xml:ns:imei-1.0\">"
		   "<i:cd><i:name avail=\"0\">352106050544203</i:name><i:reason lang=\"en\">Object exists</i:reason>"
		   "<i:state reason=\"stolen\">black</i:state></i:cd><i:cd><i:name "
		   "avail=\"1\">1</i:name></i:cd></i:chkData></resData>" IDS "</response>"),
		"{\"code\":1000,\"msg\":\"Команду виконано успішно\",\"lang\":\"uk\",\"object\":\"imei\",\"check\":["
		"{\"name\":\"352106050544203\",\"avail\":false,\"reason\":\"Object "
		"exists\",\"state\":{\"colour\":\"black\",\"reason\":\"stolen\"}},"
		"{\"name\":\"1\",\"avail\":true}],\"clTRID\":\"A-1\",\"svTRID\":\"UKR-1\"}");
}

static void fields_have_the_types_of_the_table(void **state)
{
	(void)state;
	expect(EPP("<response>" DONE
		   "<resData><permit:infData xmlns:permit=\"urn:ceir:params:xml:ns:permit-1.0\"><permit:id>P</permit:id>"
		   "<permit:position><permit:number>1</permit:number><permit:price>4800.00</permit:price></permit:position></"
		   "permit:infData></resData>" IDS "</response>"),
		"{\"code\":1000,\"msg\":\"Команду виконано "
		"успішно\",\"lang\":\"uk\",\"object\":\"permit\",\"info\":{\"id\":\"P\",\"position\":["
		"{\"number\":1,\"price\":\"4800.00\"}]},\"clTRID\":\"A-1\",\"svTRID\":\"UKR-1\"}");
}

static void a_page_of_a_query(void **state)
{
	(void)state;
	expect(EPP("<response>" DONE "<resData><q:queData xmlns:q=\"urn:ceir:params:xml:ns:query-1.0\"><q:item><t:infData "
		   "xmlns:t=\"urn:ceir:params:xml:ns:tac-1.0\"><t:id>35210605</t:id><t:sims>1</t:sims></t:infData></"
		   "q:item><q:next>c</q:next>"
		   "<q:count atLeast=\"1\">1000000</q:count></q:queData></resData><trID><svTRID>U</svTRID></trID></response>"),
		"{\"code\":1000,\"msg\":\"Команду виконано "
		"успішно\",\"lang\":\"uk\",\"query\":{\"items\":[{\"id\":\"35210605\",\"sims\":1}],"
		"\"next\":\"c\",\"count\":1000000,\"atLeast\":true},\"svTRID\":\"U\"}");
}

static void rows_of_an_application(void **state)
{
	(void)state;
	expect(EPP("<response>" DONE
		   "<resData><a:infData xmlns:a=\"urn:ceir:params:xml:ns:application-1.0\"><a:id>A</a:id><a:rows>1</a:rows>"
		   "<a:row line=\"1\" result=\"refused\" code=\"luhn\"><a:imei>1</a:imei><a:reason "
		   "lang=\"en\">Wrong</a:reason></a:row></a:infData>"
		   "</resData>" IDS "</response>"),
		"{\"code\":1000,\"msg\":\"Команду виконано "
		"успішно\",\"lang\":\"uk\",\"object\":\"application\",\"info\":{\"id\":\"A\",\"rows\":1,"
		"\"row\":[{\"line\":1,\"result\":\"refused\",\"code\":\"luhn\",\"imei\":\"1\",\"reason\":\"Wrong\"}]},\"clTRID\":"
		"\"A-1\",\"svTRID\":\"UKR-1\"}");
}

static void a_refusal_says_what_and_why(void **state)
{
	(void)state;
	expect(EPP("<response><result code=\"2005\"><msg>Parameter value syntax error</msg><extValue><value><i:name "
		   "xmlns:i=\"urn:ietf:params:xml:ns:imei-1.0\">12</i:name></value><reason>not 15 "
		   "digits</reason></extValue></result>" IDS "</response>"),
		"{\"code\":2005,\"msg\":\"Parameter value syntax "
		"error\",\"lang\":\"en\",\"errors\":[{\"element\":\"imei:name\",\"value\":\"12\","
		"\"reason\":\"not 15 digits\"}],\"clTRID\":\"A-1\",\"svTRID\":\"UKR-1\"}");
}

static void a_message_of_the_queue(void **state)
{
	(void)state;
	expect(EPP("<response><result code=\"1301\"><msg>m</msg></result><msgQ count=\"2\" "
		   "id=\"7\"><qDate>2026-11-25T00:00:00Z</qDate><msg>done</msg>"
		   "</msgQ><resData><a:panData xmlns:a=\"urn:ceir:params:xml:ns:application-1.0\"><a:id "
		   "paResult=\"1\">A</a:id></a:panData></resData>" IDS "</response>"),
		"{\"code\":1301,\"msg\":\"m\",\"lang\":\"en\",\"queue\":{\"count\":2,\"id\":\"7\",\"date\":\"2026-11-25T00:00:"
		"00Z\",\"msg\":\"done\"},"
		"\"object\":\"application\",\"pending\":{\"id\":\"A\",\"paResult\":true},\"clTRID\":\"A-1\",\"svTRID\":\"UKR-1\"}");
}

static void what_is_not_epp_is_refused(void **state)
{
	static const char *const bad[] = {"", "<epp", "<epp/>", "<response><result code=\"1000\"/></response>",
		"<!DOCTYPE epp [<!ENTITY a \"aaaa\">]><epp><response><result code=\"1000\"><msg>&a;</msg></result></response></epp>",
		"<!DOCTYPE epp SYSTEM \"file:///etc/passwd\"><epp><response><result code=\"1000\"/></response></epp>"};
	json_t *json;

	(void)state;
	for (size_t i = 0; i < CEIR_COUNT(bad); i++)
		assert_int_equal(ctl_answer_parse(str_of(bad[i]), &json), CEIR_EINVAL);
}

/* ---- rows ---------------------------------------------------------------------------------------------------------------- */

#define ROW(...)                                                                                                                   \
	(&(struct csv_row){.line = 1,                                                                                              \
		.fields = (const struct str[]){__VA_ARGS__},                                                                       \
		.count = sizeof((const struct str[]){__VA_ARGS__}) / sizeof(struct str)})

static void a_header_names_the_columns(void **state)
{
	struct ctl_columns c;

	(void)state;
	ctl_columns_find(ROW(STR("box"), STR("IMEI ")), &c);
	assert_true(c.headed && c.n == 1 && c.at[0] == 1);
	ctl_columns_find(ROW(STR("imei2"), STR("x"), STR("imei1")), &c);
	assert_true(c.headed && c.n == 2 && c.at[0] == 2 && c.at[1] == 0);
	ctl_columns_find(ROW(STR("352106050544203")), &c);
	assert_false(c.headed);
}

static void a_row_becomes_a_device(void **state)
{
	struct ctl_columns headed, bare;
	struct str imeis[CTL_DEVICE_IMEIS];
	struct buf b = BUF_INIT(0);
	unsigned n;

	(void)state;
	ctl_columns_find(ROW(STR("box"), STR("imei1"), STR("imei2")), &headed);
	ctl_columns_find(ROW(STR("1")), &bare);
	assert_null(ctl_row_device(&headed, ROW(STR("b"), STR(" 352106050544203 "), STR("")), imeis, &n));
	assert_int_equal(n, 1);
	ctl_device_put(&b, imeis, n);
	assert_null(ctl_row_device(&bare, ROW(STR("1"), STR("no <IMEI>")), imeis, &n));
	ctl_device_put(&b, imeis, n);
	assert_true(
		str_eq_c(buf_view(&b), "<imei>352106050544203</imei><device><imei>1</imei><imei>no &lt;IMEI&gt;</imei></device>"));
	buf_free(&b);
}

static void rows_that_cannot_be_sent_say_why(void **state)
{
	static const char long_text[] = "01234567890123456789012345678901234567890123456789012345678901234";
	struct ctl_columns headed, bare;
	struct str imeis[CTL_DEVICE_IMEIS];
	unsigned n;

	(void)state;
	ctl_columns_find(ROW(STR("imei")), &headed);
	ctl_columns_find(ROW(STR("1")), &bare);
	assert_non_null(ctl_row_device(&headed, ROW(STR("")), imeis, &n));
	assert_non_null(ctl_row_device(&bare, ROW(STR(long_text)), imeis, &n));
	assert_non_null(ctl_row_device(&bare,
		ROW(STR("1\x01"
			"2")),
		imeis, &n));
	assert_non_null(ctl_row_device(&bare,
		ROW(STR("1\xEF\xBF\xBF"
			"2")),
		imeis, &n));
	assert_non_null(ctl_row_device(&bare, ROW(STR("1"), STR("2"), STR("3"), STR("4"), STR("5"), STR("6")), imeis, &n));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_check_becomes_a_list),
		cmocka_unit_test(fields_have_the_types_of_the_table),
		cmocka_unit_test(a_page_of_a_query),
		cmocka_unit_test(rows_of_an_application),
		cmocka_unit_test(a_refusal_says_what_and_why),
		cmocka_unit_test(a_message_of_the_queue),
		cmocka_unit_test(what_is_not_epp_is_refused),
		cmocka_unit_test(a_header_names_the_columns),
		cmocka_unit_test(a_row_becomes_a_device),
		cmocka_unit_test(rows_that_cannot_be_sent_say_why),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

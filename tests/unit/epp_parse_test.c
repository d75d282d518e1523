/*
 * epp_parse_test.c - one frame in, one command or one refusal out. The tables below are the conformance checklist: each faulty
 * frame with the code RFC 5730 section 3 gives it and the element that is named.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "epp/epp.h"

#define EPP_NS "urn:ietf:params:xml:ns:epp-1.0"
#define IMEI_NS "urn:ietf:params:xml:ns:imei-1.0"
#define CEIR_NS(name) "urn:ceir:params:xml:ns:" name "-1.0"

#define EPP(inner) "<epp xmlns='" EPP_NS "'>" inner "</epp>"
#define COMMAND(inner) EPP("<command>" inner "<clTRID>ABC-12345</clTRID></command>")
#define OBJECT(verb, name, ns, inner)                                                                                              \
	"<" verb "><" name ":" verb " xmlns:" name "='" ns "'>" inner "</" name ":" verb "></" verb ">"
#define IMEI(verb, inner) COMMAND(OBJECT(verb, "imei", IMEI_NS, inner))
#define CEIR(verb, name, inner) COMMAND(OBJECT(verb, name, CEIR_NS(name), inner))
#define QUERY(attributes, inner)                                                                                                   \
	EPP("<extension><query:command xmlns:query='" CEIR_NS(                                                                     \
		"query") "'><query:query" attributes ">" inner "</query:query>"                                                    \
			 "<query:clTRID>ABC-12345</query:clTRID></query:command></extension>")
#define NAME "<imei:name>352106050544203</imei:name>"
#define LOGIN(options, services)                                                                                                   \
	"<login><clID>lea1</clID><pw>secret-1</pw><options>" options "</options><svcs>" services "</svcs></login>"
#define OPTIONS "<version>1.0</version><lang>en</lang>"
#define SERVICES "<objURI>" IMEI_NS "</objURI>"

#define DEPTH 32u
#define NAMES 10000u

static const struct epp_services everything = {UINT32_MAX, UINT32_MAX};
static const struct epp_services imei_only = {1, 0}; /* imei is the first of reg_objects[] */

struct fixture {
	struct epp_parser *parser;
	struct arena *arena;
	struct reg_command c;
	struct epp_services asked;
};

static int make(void **state)
{
	struct fixture *f = calloc(1, sizeof *f);

	if (!f)
		return -1;
	f->parser = epp_parser_new(DEPTH, NAMES);
	f->arena = arena_new(64 << 20);
	*state = f;
	return f->parser && f->arena ? 0 : -1;
}

static int destroy(void **state)
{
	struct fixture *f = *state;

	epp_parser_free(f->parser);
	arena_free(f->arena);
	free(f);
	return 0;
}

static const struct reg_command *parse_bytes(struct fixture *f, struct str xml, const struct epp_services *announced)
{
	arena_reset(f->arena);
	assert_int_equal(epp_parse(f->parser, xml, announced, f->arena, &f->c, &f->asked), CEIR_OK);
	return &f->c;
}

static const struct reg_command *parse(struct fixture *f, const char *xml)
{
	const struct reg_command *c = parse_bytes(f, str_of(xml), &everything);

	if (c->refused)
		print_message("%s\nrefused: %d %s\n", xml, c->refused, c->refused_details ? c->refused_details->reason : "");
	assert_int_equal(c->refused, 0);
	return c;
}

static void assert_str(struct str s, const char *expected)
{
	if (!str_eq_c(s, expected))
		fail_msg("\"%.*s\" instead of \"%s\"", (int)s.n, s.p, expected);
}

/* ---- refusals ---------------------------------------------------------------------------------------------------- */

struct refusal {
	const char *xml;
	enum reg_code code;
	const char *element; /* named in the first detail */
};

static void assert_refused(struct fixture *f, const struct refusal *r, const struct epp_services *announced)
{
	const struct reg_command *c = parse_bytes(f, str_of(r->xml), announced);

	if (c->refused != r->code)
		fail_msg("%d instead of %d (%s) for %.400s", c->refused, r->code,
			c->refused_details ? c->refused_details->reason : "-", r->xml);
	if (!c->refused)
		return;
	assert_non_null(c->refused_details);
	assert_non_null(c->refused_details->reason);
	if (r->element && strcmp(c->refused_details->element, r->element) != 0)
		fail_msg("%s named instead of %s for %s", c->refused_details->element, r->element, r->xml);
}

static void all_refused(struct fixture *f, const struct refusal *list, size_t n, const struct epp_services *announced)
{
	for (size_t i = 0; i < n; i++) {
		assert_refused(f, &list[i], announced);
		/* The session goes on: the next frame is not disturbed. */
		assert_str(parse(f, IMEI("check", NAME))->names[0], "352106050544203");
	}
}

#define ALL_REFUSED(f, list, announced) all_refused(f, list, CEIR_COUNT(list), announced)

static void test_not_well_formed(void **state)
{
	static const struct refusal list[] = {
		{"x", REG_SYNTAX, "epp"},
		{"<", REG_SYNTAX, "epp"},
		{"<epp>", REG_SYNTAX, "epp"},
		{EPP("") "x", REG_SYNTAX, "epp"},
		{EPP("<hello/>") EPP("<hello/>"), REG_SYNTAX, "epp"},
		{EPP("<a b=c/>"), REG_SYNTAX, "epp"},
		{EPP("<a b='1' b='2'/>"), REG_SYNTAX, "epp"},
		{EPP("&nbsp;"), REG_SYNTAX, "epp"},
		{EPP("&#0;"), REG_SYNTAX, "epp"},
		{EPP("<p:x/>"), REG_SYNTAX, NULL},
		{EPP("\x01"), REG_SYNTAX, "epp"},
		{EPP("\xC0\xAF"), REG_SYNTAX, "epp"},
		{EPP("\xED\xA0\x80"), REG_SYNTAX, "epp"},
		{EPP("\xFF"), REG_SYNTAX, "epp"},
		{"<?xml version='1.0' encoding='no-such'?>" EPP("<hello/>"), REG_SYNTAX, "epp"},
		{"<?xml version='1.0' encoding='ISO-8859-1'?>" EPP("<hello/>"), REG_SYNTAX, "epp"},
		{"<?xml version='1.0' encoding='UTF-16'?>" EPP("<hello/>"), REG_SYNTAX, "epp"},
	};

	ALL_REFUSED(*state, list, &everything);
	assert_refused(*state, &(struct refusal){"", REG_SYNTAX, "epp"}, NULL);
}

static void test_doctype(void **state)
{
	static const struct refusal list[] = {
		{"<!DOCTYPE epp>" IMEI("check", NAME), REG_SYNTAX, "epp"},
		{"<!DOCTYPE epp SYSTEM 'epp.dtd'>" IMEI("check", NAME), REG_SYNTAX, "epp"},
		{"<!DOCTYPE epp PUBLIC 'a' 'http://127.0.0.1:1/b'>" IMEI("check", NAME), REG_SYNTAX, "epp"},
		{"<!DOCTYPE epp [<!ENTITY a 'b'>]>" IMEI("check", "<imei:name>&a;</imei:name>"), REG_SYNTAX, "epp"},
		{"<!DOCTYPE epp [<!ENTITY a SYSTEM 'file:///etc/passwd'>]>" IMEI("check", "<imei:name>&a;</imei:name>"), REG_SYNTAX,
			"epp"},
		{"<!DOCTYPE epp [<!ENTITY % a SYSTEM 'file:///etc/passwd'> %a;]>" EPP("<hello/>"), REG_SYNTAX, "epp"},
		{"<!DOCTYPE epp [<!ENTITY a 'ha'><!ENTITY b '&a;&a;&a;&a;&a;&a;&a;&a;'><!ENTITY c '&b;&b;&b;&b;&b;&b;&b;&b;'>"
		 "<!ENTITY d '&c;&c;&c;&c;&c;&c;&c;&c;'><!ENTITY e '&d;&d;&d;&d;&d;&d;&d;&d;'>]>" EPP("<command>&e;</command>"),
			REG_SYNTAX, "epp"},
	};

	for (size_t i = 0; i < CEIR_COUNT(list); i++) {
		assert_refused(*state, &list[i], &everything);
		assert_string_equal(
			((struct fixture *)*state)->c.refused_details->reason, "A document type declaration is not allowed");
	}
}

static void test_root_and_verb(void **state)
{
	static const struct refusal list[] = {
		{"<epp/>", REG_SYNTAX, "epp"},
		{"<epp xmlns='urn:x'/>", REG_SYNTAX, "epp"},
		{"<hello xmlns='" EPP_NS "'/>", REG_SYNTAX, "hello"},
		{EPP(""), REG_SYNTAX, "epp"},
		{EPP("text"), REG_SYNTAX, "epp"},
		{EPP("<greeting/>"), REG_SYNTAX, "greeting"},
		{EPP("<response/>"), REG_SYNTAX, "response"},
		{EPP("<command/>"), REG_SYNTAX, "command"},
		{EPP("<command xmlns=''/>"), REG_SYNTAX, "command"},
		{EPP("<extension/>"), REG_SYNTAX, "extension"},
		{COMMAND(""), REG_SYNTAX, "command"},
		{COMMAND("<shred/>"), REG_UNKNOWN_COMMAND, "shred"},
		{COMMAND("<hello/>"), REG_UNKNOWN_COMMAND, "hello"},
		{COMMAND("<query/>"), REG_UNKNOWN_COMMAND, "query"},
		{COMMAND("<imei:check xmlns:imei='" IMEI_NS "'/>"), REG_UNKNOWN_COMMAND, "check"},
		{EPP("<hello/><hello/>"), REG_SYNTAX, "hello"},
		{EPP("<hello><x/></hello>"), REG_SYNTAX, "x"},
		{EPP("<hello>x</hello>"), REG_SYNTAX, "hello"},
		{EPP("<hello a='b'/>"), REG_SYNTAX, "hello"},
		{COMMAND("<logout><x/></logout>"), REG_SYNTAX, NULL},
		{COMMAND("<logout>x</logout>"), REG_SYNTAX, "logout"},
		{COMMAND("words" OBJECT("check", "imei", IMEI_NS, NAME)), REG_SYNTAX, NULL},
		{EPP("<command><clTRID>ABC-12345</clTRID><logout/></command>"), REG_SYNTAX, NULL},
		{COMMAND("<logout/><logout/>"), REG_SYNTAX, "logout"},
	};

	ALL_REFUSED(*state, list, &everything);
}

static void test_before_login(void **state)
{
	static const struct refusal list[] = {
		{IMEI("check", NAME), REG_USE, "check"},
		{COMMAND("<logout/>"), REG_USE, "logout"},
		{COMMAND("<poll op='req'/>"), REG_USE, "poll"},
		{COMMAND("<poll/>"), REG_USE, "poll"},
		{QUERY(" object='" IMEI_NS "'", ""), REG_USE, NULL},
		{COMMAND("<check><d:check xmlns:d='urn:x'/></check>"), REG_USE, "check"},
		{COMMAND("<shred/>"), REG_UNKNOWN_COMMAND, "shred"},
		{"<epp", REG_SYNTAX, "epp"},
		{EPP("<hello/>"), (enum reg_code)0, NULL},
		{COMMAND(LOGIN(OPTIONS, SERVICES)), (enum reg_code)0, NULL},
	};

	ALL_REFUSED(*state, list, NULL);
	assert_refused(*state, &(struct refusal){COMMAND(LOGIN(OPTIONS, SERVICES)), REG_USE, "login"}, &everything);
	assert_refused(*state, &(struct refusal){EPP("<hello/>"), (enum reg_code)0, NULL}, &everything);
}

static void test_objects_and_extensions(void **state)
{
	static const struct refusal list[] = {
		{COMMAND("<check><d:check xmlns:d='urn:ietf:params:xml:ns:domain-1.0'/></check>"), REG_UNIMPL_OBJECT, "check"},
		{COMMAND("<check><check/></check>"), REG_UNIMPL_OBJECT, "check"},
		{COMMAND("<check/>"), REG_MISSING, "check"},
		{CEIR("check", "application", "<application:id>A</application:id>"), REG_UNIMPL_COMMAND, "check"},
		{IMEI("renew", NAME), REG_UNIMPL_COMMAND, "renew"},
		{CEIR("create", "transaction", "<transaction:id>A</transaction:id>"), REG_UNIMPL_COMMAND, "create"},
		{COMMAND("<transfer><tac:transfer xmlns:tac='" CEIR_NS("tac") "'/></transfer>"), REG_UNIMPL_COMMAND, "transfer"},
		{COMMAND("<check><imei:info xmlns:imei='" IMEI_NS "'>" NAME "</imei:info></check>"), REG_SYNTAX, "info"},
		{COMMAND("<create><imei:chkData xmlns:imei='" IMEI_NS "'/></create>"), REG_SYNTAX, "chkData"},
		{COMMAND(OBJECT("check", "imei", IMEI_NS,
			 NAME) "<extension><s:x xmlns:s='urn:ietf:params:xml:ns:secDNS-1.1'/></extension>"),
			REG_UNIMPL_EXTENSION, "x"},
		{COMMAND(OBJECT("check", "imei", IMEI_NS,
			 NAME) "<extension><l:loginSec xmlns:l='urn:ietf:params:xml:ns:epp:loginSec-1.0'/></extension>"),
			REG_UNIMPL_EXTENSION, "loginSec"},
		{EPP("<extension><x:command xmlns:x='urn:x'/></extension>"), REG_UNIMPL_EXTENSION, "command"},
		{EPP("<extension><q:shred xmlns:q='" CEIR_NS("query") "'/></extension>"), REG_UNKNOWN_COMMAND, "shred"},
		{QUERY(" object='urn:x'", ""), REG_UNIMPL_OBJECT, "query"},
		{QUERY("", ""), REG_MISSING, "query"},
	};
	static const struct refusal unannounced[] = {
		{CEIR("info", "permit", "<permit:id>x</permit:id>"), REG_USE, "info"},
		{QUERY(" object='" IMEI_NS "'", ""), REG_USE, "command"},
	};

	ALL_REFUSED(*state, list, &everything);
	ALL_REFUSED(*state, unannounced, &imei_only);
	assert_refused(*state, &(struct refusal){IMEI("check", NAME), (enum reg_code)0, NULL}, &imei_only);
}

static void test_login_refused(void **state)
{
#define VERSION(v) "<version>" v "</version><lang>en</lang>"
#define PASSWORDS(inner) "<login><clID>lea1</clID>" inner "<options>" OPTIONS "</options><svcs>" SERVICES "</svcs></login>"
	static const struct refusal list[] = {
		{COMMAND(LOGIN(VERSION("2.0"), SERVICES)), REG_VERSION, "version"},
		{COMMAND(LOGIN(VERSION("1.1"), SERVICES)), REG_VERSION, "version"},
		{COMMAND(LOGIN("<version>1.0</version><lang>fr</lang>", SERVICES)), REG_UNIMPL_OPTION, "lang"},
		{COMMAND(LOGIN(OPTIONS, "<objURI>urn:x</objURI>")), REG_UNIMPL_OBJECT, "objURI"},
		{COMMAND(LOGIN(OPTIONS, SERVICES "<svcExtension><extURI>urn:x</extURI></svcExtension>")), REG_UNIMPL_EXTENSION,
			"extURI"},
		{COMMAND(LOGIN(OPTIONS, "")), REG_MISSING, "objURI"},
		{COMMAND(LOGIN("<lang>en</lang>", SERVICES)), REG_MISSING, "version"},
		{COMMAND(LOGIN("<version>1.0</version>", SERVICES)), REG_MISSING, "lang"},
		{COMMAND("<login/>"), REG_MISSING, "clID"},
		{COMMAND("<login><pw>secret-1</pw></login>"), REG_MISSING, "clID"},
		{COMMAND("<login><clID>lea1</clID></login>"), REG_MISSING, "pw"},
		{COMMAND("<login><clID>lea1</clID><pw>secret-1</pw></login>"), REG_MISSING, "options"},
		{COMMAND("<login><clID>lea1</clID><options/><svcs/></login>"), REG_MISSING, "pw"},
		{COMMAND("<login><clID>lea1</clID><pw>secret-1</pw><options>" OPTIONS "</options></login>"), REG_MISSING, "svcs"},
		{COMMAND("<login><clID>ab</clID><pw>secret-1</pw><options>" OPTIONS "</options><svcs>" SERVICES "</svcs></login>"),
			REG_VALUE, "clID"},
		{COMMAND(PASSWORDS("<pw>12345</pw>")), REG_VALUE, "pw"},
		{COMMAND(PASSWORDS("<pw>12345678901234567</pw>")), REG_VALUE, "pw"},
		{COMMAND(PASSWORDS("<pw>secret-1</pw><newPW>12345</newPW>")), REG_VALUE, "newPW"},
		{COMMAND(PASSWORDS("<pw>[LOGIN-SECURITY]</pw>")), REG_MISSING, "pw"},
		{COMMAND(LOGIN(OPTIONS,
			 SERVICES) "<extension><l:loginSec xmlns:l='urn:ietf:params:xml:ns:epp:loginSec-1.0'/></extension>"),
			REG_USE, "loginSec"},
	};
	struct fixture *f = *state;

	for (size_t i = 0; i < CEIR_COUNT(list); i++) {
		assert_refused(f, &list[i], NULL);
		assert_true(f->c.secret);
		for (const struct reg_detail *d = f->c.refused_details; d; d = d->next)
			if (strstr(d->element, "pw") || strstr(d->element, "PW"))
				assert_int_equal(d->value.n, 0); /* never a password in an answer */
	}
}

static void test_schema_codes(void **state)
{
#define TAC(inner) CEIR("create", "tac", inner)
#define LISTING(inner) CEIR("create", "listing", inner)
#define POSITION_OF(price)                                                                                                         \
	"<permit:position><permit:number>1</permit:number><permit:certificate>c</permit:certificate><permit:manufacturer>m</"      \
	"permit:manufacturer>"                                                                                                     \
	"<permit:model>m</permit:model><permit:country>KR</permit:country><permit:quantity>1</"                                    \
	"permit:quantity><permit:price>" price "</permit:price><permit:currency>UAH</permit:currency></permit:position>"
#define PERMIT_OF(issued, price)                                                                                                   \
	CEIR("create", "permit",                                                                                                   \
		"<permit:id>p</permit:id><permit:importer>i</permit:importer><permit:issued>" issued                               \
		"</permit:issued><permit:exDate>2027-01-01</permit:exDate>" POSITION_OF(price))
	static const struct refusal list[] = {
		{IMEI("info", ""), REG_MISSING, "name"},
		{IMEI("check", ""), REG_MISSING, "name"},
		{IMEI("info", "<imei:name/>"), REG_VALUE, "name"},
		{IMEI("info", "<imei:name>12345</imei:name>"), REG_VALUE, "name"},
		{IMEI("info", "<imei:name>35210605054420A</imei:name>"), REG_VALUE, "name"},
		{IMEI("info", NAME NAME), REG_SYNTAX, "name"},
		{IMEI("info", "<imei:number/>"), REG_MISSING, "name"},
		{IMEI("check", "<imei:name nonsense='1'>a</imei:name>"), REG_SYNTAX, "name"},
		{IMEI("check", NAME "<imei:name nonsense='1'>a</imei:name>"), REG_SYNTAX, "name"},
		{IMEI("check", NAME "<imei:name/>"), REG_VALUE, "name"},
		{IMEI("check", NAME "<imei:name><imei:name>a</imei:name></imei:name>"), REG_SYNTAX, "name"},
		{IMEI("check", NAME "words" NAME), REG_SYNTAX, NULL},
		{IMEI("check", NAME "<imei:x/>"), REG_SYNTAX, "x"},
		{TAC("<tac:id>01332700</tac:id><tac:model>m</tac:model>"), REG_MISSING, "manufacturer"},
		{TAC("<tac:manufacturer>m</tac:manufacturer><tac:model>m</tac:model>"), REG_MISSING, "id"},
		{TAC("<tac:id>01332700</tac:id><tac:manufacturer>m</tac:manufacturer>"), REG_MISSING, "model"},
		{TAC("<tac:id>01332700</tac:id><tac:manufacturer>m</tac:manufacturer><tac:model>m</tac:model><tac:weight>1</"
		     "tac:weight>"),
			REG_SYNTAX, "weight"},
		{TAC("<tac:id>0133270X</tac:id><tac:manufacturer>m</tac:manufacturer><tac:model>m</tac:model>"), REG_VALUE, "id"},
		{TAC("<tac:id>01332700</tac:id><tac:manufacturer>m</tac:manufacturer><tac:model>m</tac:model><tac:sims>6</"
		     "tac:sims>"),
			REG_RANGE, "sims"},
		{TAC("<tac:id>01332700</tac:id><tac:manufacturer>m</tac:manufacturer><tac:model>m</tac:model><tac:sims>x</"
		     "tac:sims>"),
			REG_VALUE, "sims"},
		{LISTING("<listing:imei>352106050544203</listing:imei><listing:colour>red</listing:colour>"), REG_RANGE, "colour"},
		{LISTING("<listing:imei>352106050544203</listing:imei><listing:reason>stolen</listing:reason>"), REG_MISSING,
			"colour"},
		{LISTING("<listing:imei>352106050544203</listing:imei><listing:colour>black</"
			 "listing:colour><listing:reason>stolen</listing:reason>"),
			REG_MISSING, "ground"},
		{PERMIT_OF("2015-02-30", "1"), REG_VALUE, "issued"},
		{PERMIT_OF("2015-02-28Z", "1"), REG_VALUE, "issued"},
		{PERMIT_OF("1815-02-28", "1"), REG_RANGE, "issued"},
		{PERMIT_OF("2015-12-12", "1.00000"), REG_VALUE, "price"},
		{PERMIT_OF("2015-12-12", "1000000000000"), REG_RANGE, "price"},
		{PERMIT_OF("2015-12-12", "-1"), REG_VALUE, "price"},
		{PERMIT_OF("2015-12-12", "99999999999999999999999999999999999999"), REG_VALUE, "price"},
		{CEIR("create", "permit",
			 "<permit:id>p</permit:id><permit:importer>i</permit:importer><permit:issued>2015-12-12</permit:issued>"
			 "<permit:exDate>2027-01-01</permit:exDate>"),
			REG_MISSING, "position"},
		{CEIR("update", "permit",
			 "<permit:id>p</permit:id><permit:add><permit:position><permit:number>1</permit:number></permit:position></"
			 "permit:add>"),
			REG_MISSING, "certificate"},
		{CEIR("update", "permit", "<permit:id>p</permit:id><permit:chg><permit:position/></permit:chg>"), REG_MISSING,
			"number"},
		{CEIR("update", "permit", "<permit:id>p</permit:id><permit:chg><permit:importer>x</permit:importer></permit:chg>"),
			REG_SYNTAX, "importer"},
		{CEIR("update", "permit", "<permit:id>p</permit:id>"), REG_MISSING, "update"},
		{CEIR("renew", "permit", "<permit:id>p</permit:id><permit:exDate>2028-01-01</permit:exDate>"), REG_MISSING,
			"curExDate"},
		{CEIR("create", "application", "<application:kind>import</application:kind><application:device/>"), REG_MISSING,
			"imei"},
		{CEIR("create", "application", "<application:status>done</application:status>"), REG_RANGE, "status"},
		{QUERY(" object='" IMEI_NS "'", "<query:filter>x</query:filter>"), REG_MISSING, "filter"},
		{QUERY(" object='" IMEI_NS "'", "<query:filter field='name' op='like'>x</query:filter>"), REG_RANGE, "filter"},
		{QUERY(" object='" IMEI_NS "'", "<query:limit>0</query:limit>"), REG_RANGE, "limit"},
		{QUERY(" object='" IMEI_NS "'", "<query:limit>1001</query:limit>"), REG_RANGE, "limit"},
		{QUERY(" object='" IMEI_NS "'", "<query:limit>many</query:limit>"), REG_VALUE, "limit"},
		{COMMAND("<poll op='pull'/>"), REG_RANGE, "poll"},
		{COMMAND("<poll/>"), REG_MISSING, "poll"},
		{COMMAND("<poll op='ack'/>"), REG_MISSING, "poll"},
		{COMMAND("<poll op='ack' msgID=' '/>"), REG_MISSING, "poll"},
		{COMMAND("<poll op='req'><x/></poll>"), REG_SYNTAX, NULL},
		{IMEI("transfer", NAME), REG_MISSING, "transfer"},
		{COMMAND("<transfer op='steal'><imei:transfer xmlns:imei='" IMEI_NS "'>" NAME "</imei:transfer></transfer>"),
			REG_RANGE, "transfer"},
	};

	ALL_REFUSED(*state, list, &everything);
}

/* ---- clTRID ------------------------------------------------------------------------------------------------------ */

static void test_cltrid(void **state)
{
#define CLTRID(text) EPP("<command>" OBJECT("check", "imei", IMEI_NS, NAME) "<clTRID>" text "</clTRID></command>")
#define X16 "xxxxxxxxxxxxxxxx"
#define I32                                                                                                                        \
	"\xD1\x97\xD1\x97\xD1\x97\xD1\x97\xD1\x97\xD1\x97\xD1\x97\xD1\x97\xD1\x97\xD1\x97\xD1\x97\xD1\x97\xD1\x97\xD1\x97\xD1\x97" \
	"\xD1\x97"                                                                                                                 \
	"\xD1\x97\xD1\x97\xD1\x97\xD1\x97\xD1\x97\xD1\x97\xD1\x97\xD1\x97\xD1\x97\xD1\x97\xD1\x97\xD1\x97\xD1\x97\xD1\x97\xD1\x97" \
	"\xD1\x97"
	static const struct refusal bad[] = {
		{CLTRID(""), REG_VALUE, "clTRID"},
		{CLTRID("ab"), REG_VALUE, "clTRID"},
		{CLTRID(" ab "), REG_VALUE, "clTRID"},
		{CLTRID(X16 X16 X16 X16 "x"), REG_VALUE, "clTRID"},
	};
	struct fixture *f = *state;

	for (size_t i = 0; i < CEIR_COUNT(bad); i++) {
		assert_refused(f, &bad[i], &everything);
		assert_int_equal(f->c.cltrid.n, 0); /* an answer that echoed it would not be valid */
	}
	assert_str(parse(f, CLTRID("abc"))->cltrid, "abc");
	assert_str(parse(f, CLTRID(X16 X16 X16 X16))->cltrid, X16 X16 X16 X16);
	assert_str(parse(f, CLTRID(I32 I32))->cltrid, I32 I32); /* 64 characters, 128 bytes */
	assert_str(parse(f, CLTRID("\n a \t b<!-- -->c "))->cltrid, "a bc");
	assert_str(parse(f, CLTRID("&lt;&amp;&#x457;"))->cltrid, "<&\xD1\x97");
	assert_int_equal(parse(f, EPP("<command>" OBJECT("check", "imei", IMEI_NS, NAME) "</command>"))->cltrid.n, 0);
	assert_str(parse(f, QUERY(" object='" IMEI_NS "'", ""))->cltrid, "ABC-12345");
}

/* Whatever is wrong: a clTRID that could be read comes back. */
static void test_cltrid_of_refused(void **state)
{
	static const char *const frames[] = {
		COMMAND("<shred/>"),
		COMMAND("<logout><x/></logout>"),
		COMMAND("<check><d:check xmlns:d='urn:x'/></check>"),
		IMEI("check", "<imei:x/>"),
		"<epp xmlns='" EPP_NS "'><command><logout/><clTRID>ABC-12345</clTRID></command></broken>",
		"<epp xmlns='" EPP_NS "'><command><logout/><clTRID>ABC-12345</clTRID>",
	};
	struct fixture *f = *state;

	for (size_t i = 0; i < CEIR_COUNT(frames); i++) {
		const struct reg_command *c = parse_bytes(f, str_of(frames[i]), &everything);

		assert_int_not_equal(c->refused, 0);
		assert_str(c->cltrid, "ABC-12345");
	}
	/* Cut inside it: what there is of it is not it. */
	assert_int_equal(parse_bytes(f, STR("<epp xmlns='" EPP_NS "'><command><logout/><clTRID>ABC-12"), &everything)->cltrid.n, 0);
	/* One that is not where it belongs is none. */
	assert_int_equal(parse_bytes(f, STR(EPP("<clTRID>ABC-12345</clTRID>")), &everything)->cltrid.n, 0);
}

/* ---- encodings and notation -------------------------------------------------------------------------------------- */

static struct str utf16(struct buf *out, const char *ascii, bool big)
{
	buf_clear(out);
	buf_put(out, big ? "\xFE\xFF" : "\xFF\xFE", 2);
	for (; *ascii; ascii++) {
		char unit[2] = {big ? '\0' : *ascii, big ? *ascii : '\0'};
		buf_put(out, unit, 2);
	}
	return buf_view(out);
}

static void test_encodings(void **state)
{
	static const char frame[] = "<?xml version='1.0' encoding='UTF-16'?>" IMEI("check", NAME NAME NAME);
	struct fixture *f = *state;
	struct buf wide = BUF_INIT(0);

	for (int big = 0; big < 2; big++) {
		const struct reg_command *c = parse_bytes(f, utf16(&wide, frame, big), &everything);

		assert_int_equal(c->refused, 0);
		assert_int_equal(c->n_names, 3);
		assert_str(c->names[2], "352106050544203");
		assert_str(c->cltrid, "ABC-12345");
	}
	parse(f, "\xEF\xBB\xBF" IMEI("check", NAME));
	parse(f, "\xEF\xBB\xBF<?xml version='1.0' encoding='utf-8'?>" IMEI("check", NAME));
	/* Half a character at the end. */
	wide.n--;
	assert_int_equal(parse_bytes(f, buf_view(&wide), &everything)->refused, REG_SYNTAX);
	buf_free(&wide);
}

static void test_prefixes(void **state)
{
	static const char *const frames[] = {
		"<epp xmlns='" EPP_NS "'><command><check><check xmlns='" IMEI_NS
		"'><name>1</name><name>2</name><name>3</name></check></check></command></epp>",
		"<a:epp xmlns:a='" EPP_NS "' xmlns:b='" IMEI_NS
		"'><a:command><a:check><b:check><b:name>1</b:name><b:name>2</b:name><b:name>3</b:name>"
		"</b:check></a:check></a:command></a:epp>",
		"<epp xmlns='" EPP_NS "' xmlns:b='" IMEI_NS "' xmlns:c='" IMEI_NS
		"'><command><check><b:check><c:name>1</c:name><b:name>2</b:name>"
		"<c:name>3</c:name></b:check></check></command></epp>",
		"<epp xmlns='" EPP_NS "'><command><check><check xmlns='" IMEI_NS "'><name>1</name><x:name xmlns:x='" IMEI_NS
		"'>2</x:name><name>3</name>"
		"</check></check></command></epp>",
		"<?xml version='1.0'?><!-- a --><?pi b?><epp xmlns='" EPP_NS
		"'><!-- c -->\n<command>\n<check>\n<check xmlns='" IMEI_NS "'>\n<!-- d -->"
		"<name> 1\n</name><!-- e --><name><![CDATA[2]]></name><name><!-- f -->3<?pi "
		"g?></name></check></check></command></epp><!-- h -->",
		"<epp xmlns='" EPP_NS "' xmlns:xsi='http://www.w3.org/2001/XMLSchema-instance' xsi:schemaLocation='" EPP_NS
		" http://127.0.0.1:1/epp.xsd'>"
		"<command><check><check xmlns='" IMEI_NS
		"'><name>1</name><name>2</name><name>3</name></check></check></command></epp>",
	};
	struct fixture *f = *state;

	for (size_t i = 0; i < CEIR_COUNT(frames); i++) {
		const struct reg_command *c = parse(f, frames[i]);

		assert_int_equal(c->n_names, 3);
		assert_str(c->names[0], "1");
		assert_str(c->names[1], "2");
		assert_str(c->names[2], "3");
	}
}

/* ---- sizes ------------------------------------------------------------------------------------------------------- */

static void repeat(struct buf *b, const char *text, size_t n)
{
	while (n-- > 0)
		buf_c(b, text);
}

static void test_limits(void **state)
{
	static const size_t depths[] = {DEPTH, 300, 100000};
	struct fixture *f = *state;
	struct buf b = BUF_INIT(0);

	for (size_t i = 0; i < CEIR_COUNT(depths); i++) {
		buf_clear(&b);
		buf_c(&b, "<epp xmlns='" EPP_NS "'>");
		repeat(&b, "<a>", depths[i]);
		assert_int_equal(parse_bytes(f, buf_view(&b), &everything)->refused, REG_SYNTAX);
		assert_string_equal(f->c.refused_details->reason, "Elements are nested too deep");
	}
	buf_clear(&b);
	buf_c(&b, "<epp xmlns='" EPP_NS "'><command ");
	for (unsigned i = 0; i < 20000; i++)
		buf_printf(&b, "a%u='' ", i);
	buf_c(&b, "/></epp>");
	assert_int_equal(parse_bytes(f, buf_view(&b), &everything)->refused, REG_SYNTAX);
	assert_string_equal(f->c.refused_details->reason, "Too many attributes");
	/* A peer that leaves ever new names does not make the parser grow for ever; the parser is the same afterwards. */
	for (unsigned round = 0; round < 3; round++) {
		buf_clear(&b);
		buf_c(&b, "<epp xmlns='" EPP_NS "'>");
		for (unsigned i = 0; i < 3000; i++)
			buf_printf(&b, "<n%u-%u/>", round, i);
		buf_c(&b, "</epp>");
		assert_int_equal(parse_bytes(f, buf_view(&b), &everything)->refused, REG_SYNTAX);
		parse(f, IMEI("check", NAME NAME));
	}
	buf_free(&b);
}

static void test_many_names(void **state)
{
	struct fixture *f = *state;
	struct buf b = BUF_INIT(0);

	for (unsigned extra = 0; extra < 2; extra++) {
		buf_clear(&b);
		buf_c(&b, "<epp xmlns='" EPP_NS "'><command><check><i:check xmlns:i='" IMEI_NS "'>\n");
		for (unsigned i = 0; i < NAMES + extra; i++)
			buf_printf(&b, "\t<i:name>%u</i:name>\n", i);
		buf_c(&b, "</i:check></check><clTRID>MANY</clTRID></command></epp>");
		assert_int_equal(parse_bytes(f, buf_view(&b), &everything)->refused, extra ? REG_POLICY : 0);
		assert_str(f->c.cltrid, "MANY");
		if (extra)
			continue;
		assert_int_equal(f->c.n_names, NAMES);
		for (unsigned i = 0; i < NAMES; i++) {
			uint64_t value;
			assert_int_equal(str_u64(f->c.names[i], NAMES, &value), CEIR_OK);
			assert_int_equal(value, i);
		}
	}
	buf_free(&b);
}

static void test_a_long_value_is_cut_at_a_character(void **state)
{
	struct fixture *f = *state;
	struct buf b = BUF_INIT(0);

	for (size_t n = 250; n < 260; n++) {
		buf_clear(&b);
		buf_c(&b, "<epp xmlns='" EPP_NS "'><command><info><i:info xmlns:i='" IMEI_NS "'><i:name>");
		repeat(&b, "0", n);
		repeat(&b, "\xD1\x97", 10);
		buf_c(&b, "</i:name></i:info></info></command></epp>");
		assert_int_equal(parse_bytes(f, buf_view(&b), &everything)->refused, REG_VALUE);
		assert_true(f->c.refused_details->value.n <= 255 && f->c.refused_details->value.n >= 254);
		assert_true(str_is_utf8(f->c.refused_details->value));
	}
	buf_free(&b);
}

/* ---- commands ---------------------------------------------------------------------------------------------------- */

static const struct reg_node *assert_field(const struct reg_node *n, const char *name, const char *text)
{
	assert_non_null(n);
	assert_string_equal(n->field->name, name);
	if (text)
		assert_str(n->text, text);
	return n->next;
}

/* The customer's own sample. */
static void test_sample(void **state)
{
	const struct reg_command *c =
		parse(*state, "<?xml version=\"1.0\" encoding=\"UTF-8\" standalone=\"no\"?>\n"
			      "<epp xmlns=\"urn:ietf:params:xml:ns:epp-1.0\">\n  <command>\n    <check>\n"
			      "      <imei:check xmlns:imei=\"urn:ietf:params:xml:ns:imei-1.0\">\n        "
			      "<imei:name>352106050544203</imei:name>\n"
			      "        <imei:name>352106150345703</imei:name>\n      </imei:check>\n    </check>\n"
			      "    <clTRID>USER-1275850648</clTRID>\n  </command>\n</epp>\n");

	assert_int_equal(c->verb, REG_CHECK);
	assert_string_equal(c->object->name, "imei");
	assert_int_equal(c->n_names, 2);
	assert_str(c->names[0], "352106050544203");
	assert_str(c->names[1], "352106150345703");
	assert_str(c->cltrid, "USER-1275850648");
	assert_false(c->secret);
}

static void test_login(void **state)
{
	struct fixture *f = *state;
	const struct reg_command *c = parse_bytes(f,
		STR(COMMAND(LOGIN(OPTIONS, SERVICES "<objURI>" CEIR_NS("importer") "</objURI><svcExtension><extURI>" CEIR_NS(
						   "query") "</extURI></svcExtension>"))),
		NULL);

	assert_int_equal(c->refused, 0);
	assert_int_equal(c->verb, REG_LOGIN);
	assert_true(c->secret);
	assert_str(c->login->clid, "lea1");
	assert_str(c->login->pw, "secret-1");
	assert_null(c->login->newpw.p);
	assert_int_equal(f->asked.objects, 3);
	assert_int_equal(f->asked.extensions, 1);
}

/* RFC 8807 */
static void test_login_security(void **state)
{
	struct fixture *f = *state;
	const struct reg_command *c = parse_bytes(f,
		STR(COMMAND(
			"<login><clID>lea1</clID><pw>[LOGIN-SECURITY]</pw><newPW>[LOGIN-SECURITY]</newPW>"
			"<options>" OPTIONS "</options><svcs>" SERVICES
			"<svcExtension><extURI>urn:ietf:params:xml:ns:epp:loginSec-1.0</extURI></svcExtension></svcs>"
			"</login><extension><l:loginSec "
			"xmlns:l='urn:ietf:params:xml:ns:epp:loginSec-1.0'><l:userAgent><l:app>a</l:app></l:userAgent>"
			"<l:pw>a much longer password</l:pw><l:newPW>an even longer password</l:newPW></l:loginSec></extension>")),
		NULL);

	assert_int_equal(c->refused, 0);
	assert_str(c->login->pw, "a much longer password");
	assert_str(c->login->newpw, "an even longer password");
}

static void test_update(void **state)
{
	const struct reg_command *c =
		parse(*state, CEIR("update", "permit",
				      "<permit:id> p  1 </permit:id><permit:add>" POSITION_OF(
					      "4800.00") "</permit:add><permit:rem><permit:position><permit:number>7</"
							 "permit:number></permit:position></permit:rem><permit:chg>"
							 "<permit:status>revoked</permit:status><permit:position><permit:number>2</"
							 "permit:number><permit:quantity>5</permit:quantity>"
							 "</permit:position></permit:chg>"));
	const struct reg_node *n;

	assert_null(assert_field(c->key, "id", "p 1"));
	assert_null(assert_field(c->add, "position", NULL));
	n = assert_field(c->add->child, "number", "1");
	n = assert_field(n, "certificate", "c");
	n = assert_field(n->next->next->next, "quantity", "1");
	assert_field(n, "price", "4800.00");
	assert_null(assert_field(c->rem, "position", NULL));
	assert_null(assert_field(c->rem->child, "number", "7"));
	n = assert_field(c->set, "status", "revoked");
	assert_null(assert_field(n, "position", NULL));
	assert_null(assert_field(assert_field(n->child, "number", "2"), "quantity", "5"));
}

static void test_other_verbs(void **state)
{
	struct fixture *f = *state;
	const struct reg_command *c =
		parse(f, CEIR("renew", "certificate",
				 "<certificate:id>c</certificate:id>"
				 "<certificate:curExDate>2027-01-01</certificate:curExDate><certificate:exDate>2028-01-01</"
				 "certificate:exDate>"));

	assert_field(c->key, "id", "c");
	assert_null(assert_field(assert_field(c->set, "curExDate", "2027-01-01"), "exDate", "2028-01-01"));
	c = parse(f, CEIR("delete", "listing", "<listing:id>L1</listing:id><listing:ground>found &amp; returned</listing:ground>"));
	assert_field(c->key, "id", "L1");
	assert_field(c->set, "ground", "found & returned");
	c = parse(f, COMMAND("<transfer op='reject'><imei:transfer xmlns:imei='" IMEI_NS "'>" NAME "</imei:transfer></transfer>"));
	assert_int_equal(c->op, REG_OP_REJECT);
	assert_field(c->key, "name", "352106050544203");
	c = parse(f, COMMAND("<poll op='ack' msgID='12345'/>"));
	assert_true(c->poll_ack);
	assert_str(c->msgid, "12345");
	assert_false(parse(f, COMMAND("<poll op='req'/>"))->poll_ack);
	assert_int_equal(parse(f, COMMAND("<logout/>"))->verb, REG_LOGOUT);
	assert_int_equal(parse(f, EPP("<hello/>"))->verb, REG_HELLO);
	c = parse(f, COMMAND("<info><a:info xmlns:a='" CEIR_NS(
			     "application") "' after='100' rows='50'><a:id>A1</a:id></a:info></info>"));
	assert_int_equal(c->after, 100);
	assert_int_equal(c->rows, 50);
	assert_true(parse(f, CEIR("update", "account",
				     "<account:id>lea1</account:id><account:chg><account:pw>secret-1</account:pw></account:chg>"))
			    ->secret);
	assert_false(parse(f, CEIR("info", "account", "<account:id>lea1</account:id>"))->secret);
	/* So is whatever else brings a password. */
	assert_true(parse(f, CEIR("update", "remote",
				     "<remote:id>mno</remote:id><remote:chg><remote:pw>secret-1</remote:pw></remote:chg>"))
			    ->secret);
	assert_false(parse(f, CEIR("info", "remote", "<remote:id>mno</remote:id>"))->secret);
	c = parse(f, CEIR("update", "remote",
		     "<remote:id>mno</remote:id><remote:chg><remote:ca>a\n  b</remote:ca><remote:listsTo/></remote:chg>"));
	assert_str(c->set->text, "a b");
	assert_str(c->set->next->text, "");
}

static void test_query(void **state)
{
	const struct reg_command *c =
		parse(*state, QUERY(" object='" CEIR_NS("listing") "'",
				      "<query:filter field='colour'>black</query:filter>"
				      "<query:filter field='crDate' op='ge'>2026-01-01T00:00:00Z</query:filter><query:sort "
				      "order='desc'>crDate</query:sort>"
				      "<query:limit>50</query:limit><query:cursor>c1</query:cursor><query:count only='1'/>"));
	const struct reg_query *q = c->query;

	assert_int_equal(c->verb, REG_QUERY);
	assert_string_equal(c->object->name, "listing");
	assert_int_equal(q->n_filters, 2);
	assert_str(q->filters[0].field, "colour");
	assert_int_equal(q->filters[0].op, REG_EQ);
	assert_str(q->filters[0].value, "black");
	assert_int_equal(q->filters[1].op, REG_GE);
	assert_str(q->sort, "crDate");
	assert_true(q->descending);
	assert_int_equal(q->limit, 50);
	assert_str(q->cursor, "c1");
	assert_true(q->count && q->count_only);
}

static void test_application(void **state)
{
	const struct reg_command *c =
		parse(*state, CEIR("create", "application",
				      "<application:kind>import</application:kind><application:permit>p</application:permit>"
				      "<application:position>1</application:position><application:imei>1</"
				      "application:imei><application:imei> not an  IMEI </application:imei>"
				      "<application:device><application:imei>2</application:imei><application:imei>3</"
				      "application:imei></application:device>"
				      "<application:device>\n<application:imei>4</application:imei>\n<application:imei>5</"
				      "application:imei>\n<application:imei/></application:device>"
				      "<application:imei>6</application:imei>"));
	static const struct {
		unsigned n;
		const char *imeis[3];
	} expected[] = {{1, {"1"}}, {1, {"not an IMEI"}}, {2, {"2", "3"}}, {3, {"4", "5", ""}}, {1, {"6"}}};
	const struct reg_node *n = assert_field(c->set, "kind", "import");

	assert_null(assert_field(assert_field(n, "permit", "p"), "position", "1"));
	assert_int_equal(c->n_devices, CEIR_COUNT(expected));
	for (size_t i = 0; i < CEIR_COUNT(expected); i++) {
		assert_int_equal(c->devices[i].n, expected[i].n);
		for (unsigned k = 0; k < expected[i].n; k++)
			assert_str(c->devices[i].imeis[k], expected[i].imeis[k]);
	}
	c = parse(*state,
		CEIR("update", "application",
			"<application:id>A1</application:id><application:add><application:imei>1</application:imei>"
			"<application:imei>2</application:imei></application:add><application:chg><application:status>submitted</"
			"application:status></application:chg>"));
	assert_int_equal(c->n_devices, 2);
	assert_null(c->add);
	assert_field(c->set, "status", "submitted");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_not_well_formed),
		cmocka_unit_test(test_doctype),
		cmocka_unit_test(test_root_and_verb),
		cmocka_unit_test(test_before_login),
		cmocka_unit_test(test_objects_and_extensions),
		cmocka_unit_test(test_login_refused),
		cmocka_unit_test(test_schema_codes),
		cmocka_unit_test(test_cltrid),
		cmocka_unit_test(test_cltrid_of_refused),
		cmocka_unit_test(test_encodings),
		cmocka_unit_test(test_prefixes),
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_many_names),
		cmocka_unit_test(test_a_long_value_is_cut_at_a_character),
		cmocka_unit_test(test_sample),
		cmocka_unit_test(test_login),
		cmocka_unit_test(test_login_security),
		cmocka_unit_test(test_update),
		cmocka_unit_test(test_other_verbs),
		cmocka_unit_test(test_query),
		cmocka_unit_test(test_application),
	};

	return cmocka_run_group_tests(tests, make, destroy);
}

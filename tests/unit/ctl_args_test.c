/*
 * ctl_args_test.c - the command line, and what is made of it: options, groups, filters, addresses, documents.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ctl/ctl_args.h"
#include "ctl/ctl_request.h"
#include "ctl/ctl_session.h"

static struct ctl_args args;
static char why[256];

/* Parses words ending with NULL. */
static enum ceir_err parse(const char *first, ...)
{
	static char *argv[32];
	static char program[] = "ceirctl";
	va_list ap;
	int argc = 0;

	ctl_args_free(&args);
	argv[argc++] = program;
	va_start(ap, first);
	for (const char *w = first; w; w = va_arg(ap, const char *))
		argv[argc++] = (char *)(uintptr_t)w;
	va_end(ap);
	memset(why, 0, sizeof(why));
	return ctl_args_parse(argc, argv, &args, why, sizeof(why));
}

static int forget(void **state)
{
	(void)state;
	ctl_args_free(&args);
	return 0;
}

static void global_options_stand_anywhere(void **state)
{
	(void)state;
	assert_int_equal(parse("--dir", "var", "imei", "check", "1", "--json", "--user=lea", "2", NULL), CEIR_OK);
	assert_string_equal(args.dir, "var");
	assert_string_equal(args.user, "lea");
	assert_true(args.json);
	assert_int_equal(args.n_words, 4);
	assert_string_equal(args.words[3], "2");
	assert_int_equal(args.n_options, 0);
}

static void options_of_commands_are_kept_in_order(void **state)
{
	size_t at = 0;

	(void)state;
	assert_int_equal(parse("x", "--filter", "a=1", "--desc", "--filter=b=2", "--limit", "5", NULL), CEIR_OK);
	assert_string_equal(ctl_args_next(&args, "filter", &at), "a=1");
	assert_string_equal(ctl_args_next(&args, "filter", &at), "b=2");
	assert_null(ctl_args_next(&args, "filter", &at));
	assert_true(ctl_args_flag(&args, "desc"));
	assert_false(ctl_args_flag(&args, "all"));
	assert_string_equal(ctl_args_unknown(&args)->name, "limit");
	assert_string_equal(ctl_args_value(&args, "limit"), "5");
	assert_null(ctl_args_unknown(&args));
}

static void words_behind_two_dashes_are_words(void **state)
{
	(void)state;
	assert_int_equal(parse("imei", "check", "--", "--json", "-", NULL), CEIR_OK);
	assert_int_equal(args.n_words, 4);
	assert_false(args.json);
}

static void a_wrong_command_line_says_why(void **state)
{
	(void)state;
	assert_int_equal(parse("imei", "--ground", NULL), CEIR_EINVAL);
	assert_non_null(strstr(why, "--ground"));
	assert_int_equal(parse("--json=yes", NULL), CEIR_EINVAL);
	assert_non_null(strstr(why, "--json"));
	assert_int_equal(parse("--=x", NULL), CEIR_EINVAL);
}

static void pairs_may_hold_commas_and_quotes(void **state)
{
	struct arena *arena = arena_new(0);
	struct str text = STR("number=1,model=\"a, \"\"b\"\"\",price=4800.00,empty="), name, value;

	(void)state;
	assert_int_equal(ctl_args_pair(&text, arena, &name, &value), CEIR_OK);
	assert_true(str_eq_c(name, "number") && str_eq_c(value, "1"));
	assert_int_equal(ctl_args_pair(&text, arena, &name, &value), CEIR_OK);
	assert_true(str_eq_c(name, "model") && str_eq_c(value, "a, \"b\""));
	assert_int_equal(ctl_args_pair(&text, arena, &name, &value), CEIR_OK);
	assert_true(str_eq_c(value, "4800.00"));
	assert_int_equal(ctl_args_pair(&text, arena, &name, &value), CEIR_OK);
	assert_true(str_eq_c(name, "empty") && value.n == 0);
	assert_int_equal(ctl_args_pair(&text, arena, &name, &value), CEIR_ENOENT);
	static const char *const bad[] = {"number", "=1", "a=\"x", "a=\"x\"y"};
	for (size_t i = 0; i < CEIR_COUNT(bad); i++) {
		text = str_of(bad[i]);
		assert_int_equal(ctl_args_pair(&text, arena, &name, &value), CEIR_EINVAL);
	}
	arena_free(arena);
}

static void filters_have_a_sign(void **state)
{
	static const struct {
		const char *text, *field, *op, *value;
	} good[] = {{"status = valid", "status", "eq", "valid"},
		{"crDate>=2026-01-01T00:00:00Z", "crDate", "ge", "2026-01-01T00:00:00Z"}, {"name^352", "name", "prefix", "352"},
		{"a!=b", "a", "ne", "b"}, {"a<b=c", "a", "lt", "b=c"}, {"a<=b", "a", "le", "b"}};
	struct str field, value;
	const char *op;

	(void)state;
	for (size_t i = 0; i < CEIR_COUNT(good); i++) {
		assert_int_equal(ctl_args_filter(str_of(good[i].text), &field, &op, &value), CEIR_OK);
		assert_true(str_eq_c(field, good[i].field) && str_eq_c(value, good[i].value));
		assert_string_equal(op, good[i].op);
	}
	assert_int_equal(ctl_args_filter(STR("status valid"), &field, &op, &value), CEIR_EINVAL);
	assert_int_equal(ctl_args_filter(STR("=valid"), &field, &op, &value), CEIR_EINVAL);
	assert_int_equal(ctl_args_filter(STR("a!b"), &field, &op, &value), CEIR_EINVAL);
}

static void addresses_are_split(void **state)
{
	static const struct {
		const char *text, *host, *port;
	} good[] = {{"127.0.0.1:7700", "127.0.0.1", "7700"}, {"[::1]:700", "::1", "700"}, {"0.0.0.0:700", "127.0.0.1", "700"},
		{"[::]:700", "::1", "700"}, {"register.example:700", "register.example", "700"}};
	char host[64], port[8];

	(void)state;
	for (size_t i = 0; i < CEIR_COUNT(good); i++) {
		assert_int_equal(ctl_address_split(str_of(good[i].text), host, sizeof(host), port, sizeof(port)), CEIR_OK);
		assert_string_equal(host, good[i].host);
		assert_string_equal(port, good[i].port);
	}
	assert_int_equal(ctl_address_split(STR("7700"), host, sizeof(host), port, sizeof(port)), CEIR_EINVAL);
	assert_int_equal(ctl_address_split(STR("h:"), host, sizeof(host), port, sizeof(port)), CEIR_EINVAL);
}

static void a_data_folder_says_where_and_who(void **state)
{
	char dir[] = "/tmp/ceir-ctl-XXXXXX", path[64];
	struct ctl_target t;

	(void)state;
	assert_non_null(mkdtemp(dir));
	assert_int_equal(parse("--dir", dir, NULL), CEIR_OK);
	assert_int_not_equal(ctl_target_find(&args, &t, why, sizeof(why)), CEIR_OK);
	snprintf(path, sizeof(path), "%s/ceir.conf", dir);
	assert_int_equal(
		file_write(path, STR("# listen = 1\n[tls]\nlisten = 2:2\n[epp]\n listen =  127.0.0.1:7711 \n"), 0600), CEIR_OK);
	assert_int_equal(parse("--dir", dir, "--ca", "ca.crt", "--port", "99", NULL), CEIR_OK);
	assert_int_equal(ctl_target_find(&args, &t, why, sizeof(why)), CEIR_OK);
	assert_string_equal(t.host, "127.0.0.1");
	assert_string_equal(t.port, "99"); /* what was printed by `ready` wins */
	assert_string_equal(t.user, "admin");
	assert_true(t.may_login);
	assert_string_equal(t.cert, "");
	assert_int_equal(parse("--dir", dir, "--ca", "ca.crt", "--no-login", NULL), CEIR_OK);
	assert_int_equal(ctl_target_find(&args, &t, why, sizeof(why)), CEIR_OK);
	assert_string_equal(t.port, "7711");
	assert_false(t.may_login);
	/* The HTTP service has a section of its own. */
	assert_int_equal(ctl_target_find_http(&args, &t, why, sizeof(why)), CEIR_OK);
	assert_string_equal(t.port, "7743");
	assert_int_equal(file_write(path, STR("[epp]\nlisten = 1:1\n[http]\nlisten = [::]:7799\n"), 0600), CEIR_OK);
	assert_int_equal(ctl_target_find_http(&args, &t, why, sizeof(why)), CEIR_OK);
	assert_string_equal(t.host, "::1");
	assert_string_equal(t.port, "7799");
	unlink(path);
	rmdir(dir);
}

static void a_file_for_the_answer_has_a_short_name(void **state)
{
	(void)state;
	assert_int_equal(parse("list", "get", "black", "-o", "black.csv", NULL), CEIR_OK);
	assert_int_equal(args.n_words, 3);
	assert_string_equal(ctl_args_value(&args, "output"), "black.csv");
	assert_int_equal(parse("list", "get", "black", "-o", NULL), CEIR_EINVAL);
	assert_int_equal(parse("--", "-o", NULL), CEIR_OK);
	assert_string_equal(args.words[0], "-o");
}

static void only_the_first_line_of_a_file_is_the_password(void **state)
{
	char path[] = "/tmp/ceir-ctl-pw-XXXXXX";
	struct buf pw = BUF_INIT(0);
	int fd = mkstemp(path);

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(write(fd, "sec ret\r\nmore\n", 14), 14);
	close(fd);
	assert_int_equal(ctl_secret_read(path, "password", &pw), CEIR_OK);
	assert_true(str_eq_c(buf_view(&pw), "sec ret"));
	buf_free(&pw);
	unlink(path);
	assert_int_not_equal(ctl_secret_read(path, "password", &pw), CEIR_OK);
	buf_free(&pw);
}

/* ---- documents ----------------------------------------------------------------------------------------------------------- */

static struct buf document;

/* The document of an object's command, from <command> to clTRID. */
static enum ceir_err build(const char *object, enum reg_verb verb, const char *key)
{
	struct arena *arena = arena_new(0);

	buf_clear(&document);
	enum ceir_err err =
		ctl_request_object(&document, reg_object_by_name(str_of(object)), verb, key, &args, arena, why, sizeof(why));
	buf_char(&document, '\0');
	arena_free(arena);
	return err;
}

#define ASSERT_HOLDS(part) assert_non_null(strstr(document.p, part))

static void fields_come_in_the_order_of_the_schema(void **state)
{
	(void)state;
	assert_int_equal(parse("permit", "create", "P<1>", "--position", "country=KR,number=1,model=\"A & B\"", "--exDate",
				 "2027-01-01", "--importer", "89", NULL),
		CEIR_OK);
	assert_int_equal(build("permit", REG_CREATE, "P<1>"), CEIR_OK);
	ASSERT_HOLDS("<create><permit:create xmlns:permit=\"urn:ceir:params:xml:ns:permit-1.0\"><permit:id>P&lt;1&gt;</permit:id>"
		     "<permit:importer>89</permit:importer><permit:exDate>2027-01-01</"
		     "permit:exDate><permit:position><permit:number>1</permit:number>"
		     "<permit:model>A &amp; "
		     "B</permit:model><permit:country>KR</permit:country></permit:position></permit:create></create><clTRID>CTL-");
	assert_null(ctl_args_unknown(&args));
}

static void updates_have_their_three_parts(void **state)
{
	(void)state;
	assert_int_equal(parse("certificate", "update", "C", "--rem-tac", "35210605", "--add-tac", "35210606", "--add-tac",
				 "35210607", "--model", "X", NULL),
		CEIR_OK);
	assert_int_equal(build("certificate", REG_UPDATE, "C"), CEIR_OK);
	ASSERT_HOLDS(
		"<certificate:id>C</certificate:id><certificate:add><certificate:tac>35210606</"
		"certificate:tac><certificate:tac>35210607"
		"</certificate:tac></certificate:add><certificate:rem><certificate:tac>35210605</certificate:tac></certificate:rem>"
		"<certificate:chg><certificate:model>X</certificate:model></certificate:chg></certificate:update>");
	assert_int_equal(parse("listing", "update", "L", "--stage", "confirmed", NULL), CEIR_OK);
	assert_int_equal(build("listing", REG_UPDATE, "L"), CEIR_OK);
	ASSERT_HOLDS("<listing:id>L</listing:id><listing:chg><listing:stage>confirmed</listing:stage></listing:chg>");
	assert_int_equal(parse("listing", "update", "L", NULL), CEIR_OK);
	assert_int_equal(build("listing", REG_UPDATE, "L"), CEIR_EINVAL);
}

/* --host is where ceirctl connects to; a remote's own host has the object's name before it. */
static void fields_called_as_global_options_have_another_name(void **state)
{
	(void)state;
	assert_int_equal(parse("remote", "create", "R", "--host", "127.0.0.1", "--user", "admin", "--remote-host", "ftp.example.org", "--remote-user", "ceir",
				 "--listsTo", "in", NULL),
		CEIR_OK);
	assert_string_equal(args.host, "127.0.0.1");
	assert_string_equal(args.user, "admin");
	assert_int_equal(build("remote", REG_CREATE, "R"), CEIR_OK);
	ASSERT_HOLDS("<remote:id>R</remote:id><remote:host>ftp.example.org</remote:host><remote:user>ceir</remote:user>"
		     "<remote:listsTo>in</remote:listsTo></remote:create>");
	assert_null(ctl_args_unknown(&args));
	assert_int_equal(parse("remote", "update", "R", "--fetchFrom", "", NULL), CEIR_OK);
	assert_int_equal(build("remote", REG_UPDATE, "R"), CEIR_OK);
	ASSERT_HOLDS("<remote:chg><remote:fetchFrom></remote:fetchFrom></remote:chg>");
	assert_true(ctl_args_is_global("ca") && ctl_args_is_global("json"));
	assert_false(ctl_args_is_global("ca-file") || ctl_args_is_global("model"));
}

static void other_verbs_take_what_they_need(void **state)
{
	(void)state;
	assert_int_equal(parse("permit", "renew", "P", "--exDate", "2028-01-01", "--curExDate", "2027-01-01", NULL), CEIR_OK);
	assert_int_equal(build("permit", REG_RENEW, "P"), CEIR_OK);
	ASSERT_HOLDS("<permit:curExDate>2027-01-01</permit:curExDate><permit:exDate>2028-01-01</permit:exDate>");
	assert_int_equal(parse("permit", "renew", "P", "--exDate", "2028-01-01", NULL), CEIR_OK);
	assert_int_equal(build("permit", REG_RENEW, "P"), CEIR_EINVAL);
	assert_int_equal(parse("listing", "end", "L", "--ground", "found", NULL), CEIR_OK);
	assert_int_equal(build("listing", REG_DELETE, "L"), CEIR_OK);
	ASSERT_HOLDS("<listing:id>L</listing:id><listing:ground>found</listing:ground></listing:delete></delete>");
	assert_int_equal(parse("application", "create", "--kind", "personal", "--imei", "1", "--imei", "2,3", NULL), CEIR_OK);
	assert_int_equal(build("application", REG_CREATE, NULL), CEIR_OK);
	ASSERT_HOLDS("<application:kind>personal</application:kind><application:imei>1</"
		     "application:imei><application:device><application:imei>2"
		     "</application:imei><application:imei>3</application:imei></application:device></application:create>");
}

static void what_the_table_does_not_have_is_refused(void **state)
{
	(void)state;
	assert_int_equal(parse("permit", "create", "P", "--position", "colour=red", NULL), CEIR_OK);
	assert_int_equal(build("permit", REG_CREATE, "P"), CEIR_EINVAL);
	assert_int_equal(parse("permit", "create", "P", "--importer", "1", "--importer", "2", NULL), CEIR_OK);
	assert_int_equal(build("permit", REG_CREATE, "P"), CEIR_EINVAL);
	assert_int_equal(parse("permit", "create", "P", "--crID", "me", NULL), CEIR_OK);
	assert_int_equal(build("permit", REG_CREATE, "P"), CEIR_OK);
	assert_non_null(ctl_args_unknown(&args));
	/* a password on the command line would be seen by every user of the machine */
	assert_int_equal(parse("account", "create", "a", "--pw", "secret", NULL), CEIR_OK);
	assert_int_equal(build("account", REG_CREATE, "a"), CEIR_OK);
	assert_non_null(ctl_args_unknown(&args));
	assert_int_equal(parse("importer", "create", "1", "--name", "\xFF", NULL), CEIR_OK);
	assert_int_equal(build("importer", REG_CREATE, "1"), CEIR_EINVAL);
}

static void queries_are_an_extension(void **state)
{
	const struct reg_object *o = reg_object_by_name(STR("permit"));

	(void)state;
	assert_int_equal(parse("permit", "query", "--filter", "status=valid", "--filter", "issued >= 2026-01-01", "--desc",
				 "--limit", "10", "--count", NULL),
		CEIR_OK);
	buf_clear(&document);
	assert_int_equal(ctl_request_query(&document, o, &args, STR("c&c"), why, sizeof(why)), CEIR_OK);
	buf_char(&document, '\0');
	ASSERT_HOLDS("<extension><query:command xmlns:query=\"urn:ceir:params:xml:ns:query-1.0\"><query:query "
		     "object=\"urn:ceir:params:xml:ns:permit-1.0\">"
		     "<query:filter field=\"status\" op=\"eq\">valid</query:filter><query:filter field=\"issued\" "
		     "op=\"ge\">2026-01-01</query:filter>"
		     "<query:sort order=\"desc\">id</query:sort><query:limit>10</query:limit><query:cursor>c&amp;c</query:cursor>"
		     "<query:count only=\"0\"/></query:query><query:clTRID>CTL-");
	buf_free(&document);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(global_options_stand_anywhere),
		cmocka_unit_test(options_of_commands_are_kept_in_order),
		cmocka_unit_test(words_behind_two_dashes_are_words),
		cmocka_unit_test(a_wrong_command_line_says_why),
		cmocka_unit_test(pairs_may_hold_commas_and_quotes),
		cmocka_unit_test(filters_have_a_sign),
		cmocka_unit_test(addresses_are_split),
		cmocka_unit_test(a_data_folder_says_where_and_who),
		cmocka_unit_test(a_file_for_the_answer_has_a_short_name),
		cmocka_unit_test(only_the_first_line_of_a_file_is_the_password),
		cmocka_unit_test(fields_come_in_the_order_of_the_schema),
		cmocka_unit_test(updates_have_their_three_parts),
		cmocka_unit_test(fields_called_as_global_options_have_another_name),
		cmocka_unit_test(other_verbs_take_what_they_need),
		cmocka_unit_test(what_the_table_does_not_have_is_refused),
		cmocka_unit_test(queries_are_an_extension),
	};
	return cmocka_run_group_tests(tests, NULL, forget);
}

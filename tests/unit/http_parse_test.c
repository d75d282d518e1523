/*
 * http_parse_test.c - targets, credentials, lists with weights, small bodies; replies as JSON.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <string.h>

#include "http/http_internal.h"

static struct arena *arena;

static int make_arena(void **state)
{
	(void)state;
	arena = arena_new(1 << 20);
	return arena ? 0 : -1;
}

static int free_arena(void **state)
{
	(void)state;
	arena_free(arena);
	return 0;
}

static void assert_str(struct str got, const char *want)
{
	if (!str_eq_c(got, want))
		fail_msg("\"%.*s\" is not \"%s\"", (int)got.n, got.p, want);
}

/* ---- targets ------------------------------------------------------------------------------------------------------ */

static void test_paths_are_cut_and_decoded(void **state)
{
	struct http_target t;

	(void)state;
	assert_int_equal(http_target_parse(STR("/v1/deliveries/A%2Fb-%D0%B0/rejects"), arena, &t), CEIR_OK);
	assert_int_equal(t.n_segments, 4);
	assert_str(t.segments[0], "v1");
	assert_str(t.segments[2], "A/b-\xD0\xB0");
	assert_str(t.segments[3], "rejects");
	assert_int_equal(t.n_parameters, 0);
	assert_int_equal(http_target_parse(STR("/v1/lists/"), arena, &t), CEIR_OK);
	assert_int_equal(t.n_segments, 2);
	assert_int_equal(http_target_parse(STR("/"), arena, &t), CEIR_OK);
	assert_int_equal(t.n_segments, 0);
	/* "+" is a space in queries alone. */
	assert_int_equal(http_target_parse(STR("/a+b?c+d=e%2Bf+g"), arena, &t), CEIR_OK);
	assert_str(t.segments[0], "a+b");
	assert_str(t.parameters[0].name, "c d");
	assert_str(t.parameters[0].value, "e+f g");
}

static void test_absolute_form_is_taken(void **state)
{
	struct http_target t;

	(void)state;
	assert_int_equal(http_target_parse(STR("https://ceir.example:7743/v1/lists?limit=1"), arena, &t), CEIR_OK);
	assert_int_equal(t.n_segments, 2);
	assert_str(http_parameter_find(&t, "limit")->value, "1");
	assert_int_equal(http_target_parse(STR("HTTPS://ceir.example"), arena, &t), CEIR_OK);
	assert_int_equal(t.n_segments, 0);
}

static void test_queries(void **state)
{
	struct http_target t;

	(void)state;
	assert_int_equal(http_target_parse(STR("/x?kind=full&id=&flag&&kind=delta"), arena, &t), CEIR_OK);
	assert_int_equal(t.n_parameters, 4);
	assert_str(http_parameter_find(&t, "kind")->value, "full");
	assert_str(http_parameter_find(&t, "id")->value, "");
	assert_str(http_parameter_find(&t, "flag")->value, "");
	assert_null(http_parameter_find(&t, "Kind"));
	assert_str(t.parameters[3].value, "delta");
}

static void test_bad_targets(void **state)
{
	static const struct str bad[] = {{"", 0}, STR("*"), STR("v1/lists"), STR("//v1"), STR("/v1//lists"), STR("/%"), STR("/%4"), STR("/%4g"),
		STR("/%00"), STR("/a%0Ab"), STR("/%7F"), STR("/%FF"), STR("/%C0%AF"), STR("/x?a=%zz"), STR("/x?%=1"), STR("/x?a=\x01"),
		STR("/1/2/3/4/5/6/7/8/9"), STR("/x?1&2&3&4&5&6&7&8&9&10&11&12&13&14&15&16&17"), STR("?a=b"), STR("/a\0b")};
	struct http_target t;
	char text[2000];

	(void)state;
	for (size_t i = 0; i < CEIR_COUNT(bad); i++)
		if (http_target_parse(bad[i], arena, &t) != CEIR_EINVAL)
			fail_msg("\"%.*s\" is taken", (int)bad[i].n, bad[i].p);
	memset(text, 'a', sizeof text);
	text[0] = '/';
	assert_int_equal(http_target_parse((struct str){text, HTTP_VALUE_BYTES + 1}, arena, &t), CEIR_OK);
	assert_int_equal(http_target_parse((struct str){text, HTTP_VALUE_BYTES + 2}, arena, &t), CEIR_EINVAL);
}

/* ---- credentials -------------------------------------------------------------------------------------------------- */

static enum ceir_err basic(const char *header, char user[64], char password[64])
{
	struct buf decoded = BUF_INIT(0);
	struct str u, p;
	enum ceir_err err = http_basic_parse(str_of(header), &decoded, &u, &p);

	if (!err) {
		snprintf(user, 64, "%.*s", (int)u.n, u.p);
		snprintf(password, 64, "%.*s", (int)p.n, p.p);
	}
	buf_free(&decoded);
	return err;
}

static void test_basic_credentials(void **state)
{
	char user[64], password[64];

	(void)state;
	/* RFC 7617 2 and 2.1. */
	assert_int_equal(basic("Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==", user, password), CEIR_OK);
	assert_string_equal(user, "Aladdin");
	assert_string_equal(password, "open sesame");
	assert_int_equal(basic("basic   dGVzdDoxMjPCow==  ", user, password), CEIR_OK);
	assert_string_equal(user, "test");
	assert_string_equal(password, "123\xC2\xA3");
	assert_int_equal(basic("Basic YTpiOmM=", user, password), CEIR_OK); /* a:b:c */
	assert_string_equal(user, "a");
	assert_string_equal(password, "b:c");
	assert_int_equal(basic("Basic YTo=", user, password), CEIR_OK); /* an empty password is the door's to refuse */
	assert_string_equal(password, "");
}

static void test_bad_credentials(void **state)
{
	static const char *const bad[] = {"Basic", "Basic ", "Basic QWxhZGRpbg==" /* no colon */, "Basic QQ=A", "Basic QWxh=GRp",
		"Basic QWxhZGRpb", "Basic YTpi\xC3", "Basic YTr/" /* not UTF-8 */, "Basic YTpiOmN=" /* bits left over */, "Basic ====", "Basic YTo===="};
	char user[64], password[64], text[3000] = "Basic ";
	static const char *const other[] = {"", "Bearer YTpi", "Digest username=\"a\"", "Basi YTpi"};

	(void)state;
	for (size_t i = 0; i < CEIR_COUNT(bad); i++)
		if (basic(bad[i], user, password) != CEIR_EINVAL)
			fail_msg("\"%s\" is taken", bad[i]);
	for (size_t i = 0; i < CEIR_COUNT(other); i++)
		assert_int_equal(basic(other[i], user, password), CEIR_ENOENT);
	memset(text + 6, 'A', HTTP_VALUE_BYTES + 4);
	assert_int_equal(basic(text, user, password), CEIR_EINVAL);
}

/* ---- lists -------------------------------------------------------------------------------------------------------- */

static void test_weights(void **state)
{
	(void)state;
	assert_int_equal(http_weight(STR("gzip, zstd;q=0.5"), STR("zstd")), 500);
	assert_int_equal(http_weight(STR("gzip, zstd;q=0.5"), STR("gzip")), 1000);
	assert_int_equal(http_weight(STR("gzip"), STR("zstd")), -1);
	assert_int_equal(http_weight(STR("*;q=0.3, GZIP;Q=0"), STR("gzip")), 0);
	assert_int_equal(http_weight(STR("*;q=0.3, gzip;q=0"), STR("zstd")), 300);
	assert_int_equal(http_weight(STR("text/*;q=0.2, */*;q=0.1, text/csv;q=0.123"), STR("text/csv")), 123);
	assert_int_equal(http_weight(STR("text/*;q=0.2, */*;q=0.1"), STR("text/csv")), 200);
	assert_int_equal(http_weight(STR("text/*;q=0.2, */*;q=0.1"), STR("application/xml")), 100);
	assert_int_equal(http_weight(STR(""), STR("gzip")), -1);
	assert_int_equal(http_weight(STR("gzip;q=2"), STR("gzip")), -1);
	assert_int_equal(http_weight(STR("gzip;q=1.001"), STR("gzip")), -1);
	assert_int_equal(http_weight(STR("gzip;q=0.1234"), STR("gzip")), -1);
	assert_int_equal(http_weight(STR("gzip;q=, zstd;q=x"), STR("gzip")), -1);
	assert_int_equal(http_weight(STR(" , ;q=1,,gzip ; level=3 ; q=0.7"), STR("gzip")), 700);
	assert_int_equal(http_weight(STR("gzip;q=1.000"), STR("gzip")), 1000);
}

static void test_tags(void **state)
{
	(void)state;
	assert_true(http_tag_listed(STR("\"abc\""), STR("abc")));
	assert_true(http_tag_listed(STR("\"x\", W/\"abc\""), STR("abc")));
	assert_true(http_tag_listed(STR("*"), STR("abc")));
	assert_false(http_tag_listed(STR("abc"), STR("abc")));
	assert_false(http_tag_listed(STR("\"ab\",\"abcd\""), STR("abc")));
	assert_false(http_tag_listed(STR(""), STR("abc")));
	assert_false(http_tag_listed(STR("\""), STR("")));
}

static void test_tokens_and_languages(void **state)
{
	size_t lang = 7;

	(void)state;
	assert_str(http_token(STR("text/csv; charset=utf-8")), "text/csv");
	assert_str(http_token(STR(" gzip ")), "gzip");
	assert_str(http_token(STR("")), "");
	/* No catalogue is loaded: English is what there is. */
	assert_true(http_language(STR("uk, en;q=0.5"), &lang));
	assert_int_equal(lang, 0);
	lang = 7;
	assert_false(http_language(STR("uk, en;q=0"), &lang));
	assert_false(http_language(STR(""), &lang));
	assert_int_equal(lang, 7);
}

static void test_client_transaction_ids(void **state)
{
	char text[65];

	(void)state;
	memset(text, 'x', sizeof text);
	assert_true(http_cltrid_good(STR("a-1")));
	assert_true(http_cltrid_good((struct str){text, 64}));
	assert_false(http_cltrid_good((struct str){text, 65}));
	assert_false(http_cltrid_good(STR("ab")));
	assert_false(http_cltrid_good(STR(" abc")));
	assert_false(http_cltrid_good(STR("abc ")));
	assert_false(http_cltrid_good(STR("a\tb")));
	assert_false(http_cltrid_good(STR("abc\xC3\xA9")));
}

/* ---- bodies ------------------------------------------------------------------------------------------------------- */

static void test_ack(void **state)
{
	static const char *const bad[] = {"", "{}", "[]", "5", "{\"seq\":-1}", "{\"seq\":1.5}", "{\"seq\":\"1\"}", "{\"seq\":1,\"x\":2}",
		"{\"seq\":1,\"seq\":2}", "{\"seq\":1}x", "{\"seq\":9223372036854775808}", "{\"seq\":null}", "{\"seq\":1"};
	const char *why = NULL;
	uint64_t seq = 7;

	(void)state;
	for (size_t i = 0; i < CEIR_COUNT(bad); i++) {
		if (http_ack_parse(str_of(bad[i]), &seq, &why) != CEIR_EINVAL)
			fail_msg("%s is taken", bad[i]);
		assert_non_null(why);
		assert_int_equal(seq, 7);
	}
	assert_int_equal(http_ack_parse(STR("{\"seq\":9223372036854775807}"), &seq, &why), CEIR_OK);
	assert_true(seq == INT64_MAX);
	assert_int_equal(http_ack_parse(STR(" {\n\"seq\" : 0 }\n"), &seq, &why), CEIR_OK);
	assert_int_equal(seq, 0);
}

/* ---- replies ------------------------------------------------------------------------------------------------------ */

static const struct reg_field sub_fields[] = {{.name = "n", .type = REG_UINT}, {.name = "t", .type = REG_TEXT}, {.name = NULL}};
static const struct reg_field fields[] = {{.name = "id", .type = REG_TOKEN}, {.name = "count", .type = REG_UINT},
	{.name = "hold", .type = REG_TEXT, .flags = REG_MANY}, {.name = "part", .type = REG_GROUP, .flags = REG_MANY, .fields = sub_fields},
	{.name = "one", .type = REG_GROUP, .fields = sub_fields}, {.name = NULL}};

static void expect_json(const struct reg_node *nodes, const char *want)
{
	struct buf out = BUF_INIT(0);

	http_json_fields(&out, 0, nodes, NULL);
	assert_false(out.failed);
	assert_str(buf_view(&out), want);
	buf_free(&out);
}

static void test_preferred_waits(void **state)
{
	static const struct {
		const char *list;
		unsigned wait;
	} cases[] = {{"wait=30", 30}, {"respond-async, wait=10", 10}, {"WAIT = \"7\" ; x=y , wait=8", 7}, {"wait=61", 60}, {"wait=99999999999999999999", 60},
		{"", 0}, {"wait", 0}, {"wait=", 0}, {"wait=0", 0}, {"wait=-1", 0}, {"wait=1.5", 0}, {"await=3", 0}, {"wait=\"", 0}, {",,=;", 0}};

	(void)state;
	for (size_t i = 0; i < CEIR_COUNT(cases); i++)
		if (http_prefer_wait(str_of(cases[i].list), 60) != cases[i].wait)
			fail_msg("%s: %u", cases[i].list, http_prefer_wait(str_of(cases[i].list), 60));
}

static void test_fields_as_json(void **state)
{
	struct reg_node n2 = {.field = &sub_fields[0], .text = STR("2")}, n1 = {.field = &sub_fields[0], .text = STR("1")};
	struct reg_node t1 = {.field = &sub_fields[1], .text = STR("\"q\"\n"), .next = &n1};
	struct reg_node nodes[] = {{.field = &fields[0], .text = STR("0012")}, {.field = &fields[1], .text = STR("9007199254740991")},
		{.field = &fields[2], .text = STR("a")}, {.field = &fields[3], .child = &t1}, {.field = &fields[2], .text = STR("b")},
		{.field = &fields[3], .child = &n2}, {.field = &fields[4], .child = &n2}};

	(void)state;
	for (size_t i = 0; i + 1 < CEIR_COUNT(nodes); i++)
		nodes[i].next = &nodes[i + 1];
	expect_json(nodes, "{\"id\":\"0012\",\"count\":9007199254740991,\"hold\":[\"a\",\"b\"],\"part\":[{\"t\":\"\\\"q\\\"\\n\",\"n\":1},{\"n\":2}],"
			   "\"one\":{\"n\":2}}");
	expect_json(NULL, "{}");
	struct reg_node large = {.field = &fields[1], .text = STR("9007199254740992")};
	expect_json(&large, "{\"count\":\"9007199254740992\"}");
	struct reg_node one = {.field = &fields[2], .text = STR("x")};
	expect_json(&one, "{\"hold\":[\"x\"]}");
	/* What was not taken of a body that was. */
	const struct reg_detail detail = {.element = "sighting", .value = STR("1 imei"), .reason = "R"};
	struct buf out = BUF_INIT(0);
	http_json_fields(&out, 0, &one, &detail);
	assert_str(buf_view(&out), "{\"hold\":[\"x\"],\"errors\":[{\"field\":\"sighting\",\"value\":\"1 imei\",\"reason\":\"R\"}]}");
	buf_clear(&out);
	http_json_fields(&out, 0, NULL, &detail);
	assert_str(buf_view(&out), "{\"errors\":[{\"field\":\"sighting\",\"value\":\"1 imei\",\"reason\":\"R\"}]}");
	buf_free(&out);
}

static void test_pages_as_json(void **state)
{
	struct reg_node a = {.field = &fields[0], .text = STR("a")}, b = {.field = &fields[0], .text = STR("b")};
	struct reg_node *items[] = {&a, &b};
	struct reg_page page = {.items = items, .n_items = 2, .next = STR("c+/="), .has_count = true, .count = 5};
	struct buf out = BUF_INIT(0);

	(void)state;
	http_json_page(&out, &page);
	assert_str(buf_view(&out), "{\"items\":[{\"id\":\"a\"},{\"id\":\"b\"}],\"count\":5,\"next\":\"c+/=\"}");
	buf_clear(&out);
	page = (struct reg_page){.n_items = 0};
	http_json_page(&out, &page);
	assert_str(buf_view(&out), "{\"items\":[]}");
	buf_free(&out);
}

static void test_problems_as_json(void **state)
{
	const struct reg_detail second = {.element = "id", .value = STR("x"), .reason = "R2"},
				first = {.element = "kind", .value = STR("\xFF"), .reason = "R1", .next = &second};
	struct reg_reply reply = {.code = REG_VALUE, .details = &first, .svtrid = "T-1"};
	struct buf out = BUF_INIT(0);

	(void)state;
	http_json_problem(&out, 0, 400, &reply);
	assert_str(buf_view(&out), "{\"type\":\"urn:ceir:problem:2005\",\"title\":\"Parameter value syntax error\",\"status\":400,\"detail\":\"R1\","
				   "\"code\":2005,\"svTRID\":\"T-1\",\"errors\":[{\"field\":\"kind\",\"value\":\"\xEF\xBF\xBD\",\"reason\":\"R1\"},"
				   "{\"field\":\"id\",\"value\":\"x\",\"reason\":\"R2\"}]}");
	buf_clear(&out);
	reply = (struct reg_reply){.code = 0};
	http_json_problem(&out, 0, 404, &reply);
	assert_str(buf_view(&out), "{\"type\":\"about:blank\",\"title\":\"Not found\",\"status\":404}");
	buf_free(&out);
}

static void test_checks_as_json(void **state)
{
	struct reg_check_item item = {.name = STR("352106050544203"),
		.has_verdict = true,
		.verdict = {.colour = VERDICT_BLACK, .reason = VERDICT_STOLEN, .registered = true}};
	struct buf out = BUF_INIT(0);

	(void)state;
	http_json_checks(&out, 0, &item, 1);
	buf_char(&out, '\0');
	assert_non_null(strstr(out.p, "{\"imei\":\"352106050544203\",\"colour\":\"black\",\"reason\":\"stolen\",\"text\":\""));
	assert_non_null(strstr(out.p, "\"registered\":true,\"pair\":false}"));
	buf_free(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_paths_are_cut_and_decoded),
		cmocka_unit_test(test_absolute_form_is_taken),
		cmocka_unit_test(test_queries),
		cmocka_unit_test(test_bad_targets),
		cmocka_unit_test(test_basic_credentials),
		cmocka_unit_test(test_bad_credentials),
		cmocka_unit_test(test_weights),
		cmocka_unit_test(test_tags),
		cmocka_unit_test(test_tokens_and_languages),
		cmocka_unit_test(test_client_transaction_ids),
		cmocka_unit_test(test_ack),
		cmocka_unit_test(test_preferred_waits),
		cmocka_unit_test(test_fields_as_json),
		cmocka_unit_test(test_pages_as_json),
		cmocka_unit_test(test_problems_as_json),
		cmocka_unit_test(test_checks_as_json),
	};

	return cmocka_run_group_tests_name("http_parse", tests, make_arena, free_arena);
}

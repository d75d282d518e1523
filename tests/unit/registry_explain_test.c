/* verdict info: why an IMEI has its verdict, in the language of who asks; dates, conditions, the transaction that made it so. */
#include "registry_country.h"

static struct country c;
static const char *po;

static const char *field(const char *name)
{
	return value(c.lea, name);
}

static bool explained(const struct face *f, const char *text)
{
	for (const struct reg_node *n = f->reply.fields; n; n = n->next)
		if (strcmp(n->field->name, "explanation") == 0 && strstr(n->text.p, text))
			return true;
	return false;
}

static void assert_explained(const struct face *f, const char *text)
{
	if (explained(f, text))
		return;
	for (const struct reg_node *n = f->reply.fields; n; n = n->next)
		if (n->text.p)
			print_message("%s: %s\n", n->field->name, n->text.p);
	fail_msg("nothing says: %s", text);
}

static void ask(const char *imei)
{
	assert_int_equal(info(c.lea, "verdict", imei), REG_DONE);
}

static void what_nobody_has_heard_of(void **state)
{
	(void)state;
	ask(imei_text(TAC_B, 1));
	assert_string_equal(field("colour"), "unknown");
	assert_string_equal(field("reason"), "never-heard");
	assert_string_equal(field("policy"), "1");
	assert_null(field("since"));
	assert_null(field("firstSeen"));
	assert_null(field("noticed"));
	assert_explained(c.lea, "nothing is held against it");
	assert_int_equal(info(c.lea, "verdict", "35210605054420x"), REG_VALUE);
	assert_int_equal(info(c.lea, "verdict", "352106050544209"), REG_VALUE);
}

static void a_phone_that_was_only_seen(void **state)
{
	const char *imei = imei_text(TAC_B, 2);

	(void)state;
	see(c.a, imei, "255010000000001", "380500000001");
	see(c.b, imei, "255030000000002", "380630000002");
	country_settle(&c);
	ask(imei);
	assert_string_equal(field("colour"), "grey");
	assert_string_equal(field("reason"), "unregistered-seen");
	assert_string_equal(field("subscribers"), "2");
	assert_non_null(field("firstSeen"));
	assert_non_null(field("lastSeen"));
	/* It has no row of its own: the day, not the change. */
	assert_null(field("change"));
	assert_non_null(strstr(field("since"), "T00:00:00"));
	assert_memory_equal(field("since"), field("noticed"), 10);
	assert_explained(c.lea, "was seen on a network but is not registered");
	assert_explained(c.lea, "90 days from today");
	assert_explained(c.lea, "Version 1 of the country's policy");
	/* By its 14 digits, as lists write it, too. */
	ask(key14(imei));
	assert_string_equal(field("id"), imei);
	/* No name of a subscriber is in it. */
	for (const struct reg_node *n = c.lea->reply.fields; n; n = n->next)
		if (n->text.p) {
			assert_null(strstr(n->text.p, "25501000"));
			assert_null(strstr(n->text.p, "38050000"));
		}
}

static void a_stolen_phone_names_the_transaction(void **state)
{
	const char *imei = imei_text(TAC_B, 3);
	char set[200], svtrid[REG_SVTRID_MAX];

	(void)state;
	see(c.a, imei, "255010000000003", "380500000003");
	country_settle(&c);
	snprintf(set, sizeof set, "imei=%s; colour=black; reason=stolen; ground=case", imei);
	assert_int_equal(create(c.lea, "listing", set), REG_DONE);
	snprintf(svtrid, sizeof svtrid, "%s", c.lea->reply.svtrid);
	ask(imei);
	assert_string_equal(field("reason"), "stolen");
	assert_string_equal(field("transaction"), svtrid);
	assert_non_null(field("change"));
	assert_explained(c.lea, "The device was reported stolen");
	assert_explained(c.lea, "was seen on a network but is not registered");
	assert_explained(c.lea, "The device is blocked");
}

static void who_may_ask(void **state)
{
	static const char *const offices[] = {"customs", "lea", "tax", "nra", "admin"};
	const char *imei = imei_text(TAC_B, 4);
	struct face *importer = face_login(&c.w, "importer1"), *pos = face_login(&c.w, "pos");

	(void)state;
	see(c.a, imei, "255010000000004", "380500000004");
	country_settle(&c);
	for (size_t i = 0; i < CEIR_COUNT(offices); i++) {
		struct face *f = face_login(&c.w, offices[i]);

		assert_int_equal(info(f, "verdict", imei), REG_DONE);
		/* How many have used it is not the business of customs and tax. */
		assert_true((value(f, "subscribers") != NULL) == (i == 1 || i > 2));
		face_free(f);
	}
	assert_int_equal(info(importer, "verdict", imei), REG_AUTHORIZATION);
	assert_int_equal(info(pos, "verdict", imei), REG_AUTHORIZATION);
	assert_int_equal(info(c.a, "verdict", imei), REG_AUTHORIZATION);
	face_free(importer);
	face_free(pos);
}

static void in_the_language_of_the_session(void **state)
{
	const char *imei = imei_text(TAC_B, 5);
	struct face *f = face_new(&c.w, "lea");
	struct reg_login l = {.clid = STR("lea"), .pw = STR(PASSWORD)};
	struct reg_command cmd = {.verb = REG_LOGIN, .login = &l, .secret = true};

	(void)state;
	assert_int_equal(i18n_load(po), CEIR_OK);
	assert_int_equal(i18n_find(STR("uk"), &l.lang), CEIR_OK);
	assert_int_equal(face_do(f, &cmd), REG_DONE);
	see(c.a, imei, "255010000000005", "380500000005");
	country_settle(&c);
	assert_int_equal(info(f, "verdict", imei), REG_DONE);
	assert_false(explained(f, "network"));
	assert_true(explained(f, i18n_text(l.lang, "The device was seen on a network but is not registered")));
	assert_string_equal(value(f, "colour"), "grey");
	face_free(f);
}

static void a_matter_that_is_settled_has_no_date(void **state)
{
	const char *imei = imei_text(TAC, 6);
	struct face *importer = face_login(&c.w, "importer1");
	char set[200];

	(void)state;
	see(c.a, imei, "255010000000006", "380500000006");
	country_settle(&c);
	ask(imei);
	assert_non_null(field("block"));
	snprintf(set, sizeof set, "name=%s; permit=" PERMIT "; position=1", imei);
	assert_int_equal(create(importer, "imei", set), REG_DONE);
	face_free(importer);
	country_run(&c);
	ask(imei);
	assert_string_equal(field("colour"), "white");
	assert_string_equal(field("reason"), "registered");
	assert_null(field("block"));
	assert_null(field("condition.name"));
	assert_explained(c.lea, "No condition has applied since");
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		COUNTRY_TEST(what_nobody_has_heard_of, c),
		COUNTRY_TEST(a_phone_that_was_only_seen, c),
		COUNTRY_TEST(a_stolen_phone_names_the_transaction, c),
		COUNTRY_TEST(who_may_ask, c),
		COUNTRY_TEST(in_the_language_of_the_session, c),
		COUNTRY_TEST(a_matter_that_is_settled_has_no_date, c),
	};

	if (argc < 2)
		return 2;
	po = argv[1];
	return cmocka_run_group_tests(tests, NULL, NULL);
}

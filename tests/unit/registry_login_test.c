/* Logging in, staying logged in, being thrown out; and the ids of transactions. */
#include "registry_world.h"

static struct world w;
static struct face *admin;

static int make(void **state)
{
	(void)state;
	world_open(&w);
	world_settle(&w);
	admin = face_login(&w, "admin");
	return 0;
}

static int destroy(void **state)
{
	(void)state;
	face_free(admin);
	assert_int_equal(world_verify(&w, STR(""), true), 0);
	world_close(&w);
	return 0;
}

static void account(const char *id, const char *role)
{
	char set[256], hex[65];
	uint8_t fp[32];

	world_fingerprint(id, fp);
	hex_print(fp, sizeof fp, hex);
	snprintf(set, sizeof set, "id=%s; role=%s; pw=" PASSWORD "; certificate=%s", id, role, hex);
	assert_int_equal(create(admin, "account", set), REG_DONE);
}

static void refusals_are_all_the_same(void **state)
{
	static const char *const tries[][3] = {{"lea", "lea", "wrong password"}, {"lea", "nobody", PASSWORD}, {"lea", "tax", PASSWORD},
		{NULL, "lea", PASSWORD}, {"tax", "lea", PASSWORD}, {"nobody", "lea", PASSWORD}, {"lea", "", ""}};

	(void)state;
	for (size_t i = 0; i < CEIR_COUNT(tries); i++) {
		struct face *f = face_new(&w, tries[i][0]);

		assert_int_equal(login(f, tries[i][1], tries[i][2], NULL), REG_AUTHENTICATION);
		assert_null(f->reply.details);
		assert_int_equal(reg_session_role(f->s), REG_ROLE_NONE);
		face_free(f);
	}
	/* The public's role has no certificate, and with a stranger's it is not the public. */
	struct face *f = face_new(&w, NULL);
	assert_int_equal(login(f, "pos", PASSWORD, NULL), REG_DONE);
	face_free(f);
	f = face_new(&w, "lea");
	assert_int_equal(login(f, "pos", PASSWORD, NULL), REG_AUTHENTICATION);
	face_free(f);
}

static void too_many_failures_close_the_connection(void **state)
{
	struct face *f = face_new(&w, "tax");

	(void)state;
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(login(f, "nobody", "whatever-1", NULL), REG_AUTHENTICATION);
	assert_false(reg_session_ended(f->s));
	assert_int_equal(login(f, "nobody", "whatever-1", NULL), REG_AUTH_CLOSING);
	assert_true(reg_session_ended(f->s));
	face_free(f);
}

static void lockout(void **state)
{
	struct face *f, *stranger;

	(void)state;
	account("locky", "tax");
	/* A stranger without the certificate cannot lock it. */
	for (unsigned i = 0; i < 5; i++) {
		stranger = face_new(&w, "lea");
		assert_int_equal(login(stranger, "locky", "wrong-one-1", NULL), REG_AUTHENTICATION);
		face_free(stranger);
	}
	f = face_login(&w, "locky");
	face_free(f);
	for (unsigned i = 0; i < 4; i++) {
		f = face_new(&w, "locky");
		assert_int_equal(login(f, "locky", "wrong-one-1", NULL), REG_AUTHENTICATION);
		face_free(f);
	}
	f = face_new(&w, "locky");
	assert_int_equal(login(f, "locky", PASSWORD, NULL), REG_AUTHENTICATION);
	assert_int_equal(info(admin, "account", "locky"), REG_DONE);
	assert_non_null(value(admin, "lockedUntil"));
	assert_int_equal(update(admin, "account", "locky", "status=active", NULL, NULL), REG_DONE);
	assert_int_equal(login(f, "locky", PASSWORD, NULL), REG_DONE);
	face_free(f);
}

static void new_password(void **state)
{
	struct face *f = face_new(&w, "changer");
	char longest[130];

	(void)state;
	account("changer", "tax");
	memset(longest, 'x', 129);
	longest[129] = '\0';
	/* What an admin may not set, its owner may not either. */
	assert_int_equal(login(f, "changer", PASSWORD, "short"), REG_RANGE);
	assert_int_equal(login(f, "changer", PASSWORD, longest), REG_RANGE);
	assert_int_equal(login(f, "changer", PASSWORD, "\xff\xff\xff\xff\xff\xff"), REG_RANGE);
	assert_int_equal(login(f, "changer", "wrong-one-1", "brand new 99"), REG_AUTHENTICATION);
	assert_int_equal(login(f, "changer", PASSWORD, "brand new 99"), REG_DONE);
	face_free(f);
	f = face_new(&w, "changer");
	assert_int_equal(login(f, "changer", PASSWORD, NULL), REG_AUTHENTICATION);
	assert_int_equal(login(f, "changer", "brand new 99", NULL), REG_DONE);
	/* And by admin, which throws nobody out. */
	assert_int_equal(update(admin, "account", "changer", "pw=short", NULL, NULL), REG_RANGE);
	assert_int_equal(update(admin, "account", "changer", "pw=another-one-7", NULL, NULL), REG_DONE);
	assert_int_equal(info(f, "tac", TAC), REG_DONE);
	face_free(f);
	f = face_new(&w, "changer");
	assert_int_equal(login(f, "changer", "another-one-7", NULL), REG_DONE);
	face_free(f);
}

static void sessions_of_an_account(void **state)
{
	struct face *f[5];

	(void)state;
	for (unsigned i = 0; i < 4; i++)
		f[i] = face_login(&w, "nra");
	f[4] = face_new(&w, "nra");
	assert_int_equal(login(f[4], "nra", PASSWORD, NULL), REG_LIMIT_CLOSING);
	assert_true(reg_session_ended(f[4]->s));
	assert_int_equal(reg_session_role(f[4]->s), REG_ROLE_NONE);
	face_free(f[4]);
	face_free(f[0]);
	f[4] = face_login(&w, "nra");
	struct reg_command out = {.verb = REG_LOGOUT};
	assert_int_equal(face_do(f[1], &out), REG_BYE);
	assert_true(reg_session_ended(f[1]->s));
	for (unsigned i = 1; i < 5; i++)
		face_free(f[i]);
}

/* What an admin takes away takes effect at the next command of a session that is there. */
static void thrown_out(void **state)
{
	char hex[65];
	uint8_t fp[32];

	(void)state;
	account("gone1", "lea");
	account("gone2", "lea");
	account("gone3", "lea");
	struct face *f[] = {face_login(&w, "gone1"), face_login(&w, "gone2"), face_login(&w, "gone3")};
	world_fingerprint("gone1", fp);
	hex_print(fp, sizeof fp, hex);
	char rem[100];
	snprintf(rem, sizeof rem, "certificate=%s", hex);
	assert_int_equal(update(admin, "account", "gone1", NULL, NULL, rem), REG_DONE);
	assert_int_equal(update(admin, "account", "gone2", "status=suspended", NULL, NULL), REG_DONE);
	assert_int_equal(remove_(admin, "account", "gone3", NULL), REG_DONE);
	for (unsigned i = 0; i < 3; i++) {
		assert_int_equal(create(f[i], "listing", "imei=" SCREEN_IMEI "; colour=black; reason=lost; ground=g"), REG_AUTH_CLOSING);
		assert_true(reg_session_ended(f[i]->s));
		face_free(f[i]);
	}
	assert_int_equal(info(admin, "tac", TAC), REG_DONE);
	/* Closed is for ever, and nobody closes himself. */
	assert_int_equal(update(admin, "account", "gone3", "status=active", NULL, NULL), REG_STATUS);
	assert_int_equal(create(admin, "account", "id=gone3; role=lea; pw=secret-99"), REG_EXISTS);
	assert_int_equal(remove_(admin, "account", "admin", NULL), REG_POLICY);
	assert_int_equal(update(admin, "account", "admin", "status=closed", NULL, NULL), REG_POLICY);
	assert_int_equal(update(admin, "account", "admin", "status=suspended", NULL, NULL), REG_POLICY);
}

static void parties(void **state)
{
	(void)state;
	assert_int_equal(create(admin, "account", "id=abc1; role=importer; pw=secret-99"), REG_MISSING);
	assert_int_equal(create(admin, "account", "id=abc1; role=importer; pw=secret-99; importer=none"), REG_NOT_FOUND);
	assert_int_equal(create(admin, "account", "id=abc1; role=lea; pw=secret-99; importer=" IMPORTER), REG_POLICY);
	assert_int_equal(create(admin, "account", "id=abc1; role=operator; pw=secret-99"), REG_MISSING);
	assert_int_equal(create(admin, "account", "id=ab; role=lea; pw=secret-99"), REG_RANGE);
	assert_int_equal(create(admin, "account", "id=abc1; role=lea; pw=short"), REG_RANGE);
	assert_null(admin->reply.details->value.n ? admin->reply.details->value.p : NULL); /* never shown back */
	assert_int_equal(create(admin, "account", "id=abc1; role=lea; pw=secret-99; certificate=zz"), REG_VALUE);
	assert_int_equal(info(admin, "account", "abc1"), REG_NOT_FOUND);
}

/* ---- transactions ---- */

static void ids_rise_for_ever(void **state)
{
	char last[REG_SVTRID_MAX] = "", svtrid[REG_SVTRID_MAX];

	(void)state;
	for (unsigned start = 0; start < 3; start++) {
		for (unsigned i = 0; i < 50; i++) {
			unsigned code = i % 3 ? info(admin, "tac", TAC) : create(admin, "tac", "id=1");
			assert_true(code == REG_DONE || code == REG_AUTHORIZATION);
			memcpy(svtrid, admin->reply.svtrid, sizeof svtrid);
			assert_true(strncmp(svtrid, "UKR-20", 6) == 0 && strlen(svtrid) == 24);
			assert_true(strcmp(svtrid, last) > 0);
			memcpy(last, svtrid, sizeof last);
		}
		face_free(admin);
		world_stop(&w);
		/* Also when the clock was set back meanwhile: the log was written a day ahead. The chain is repaired below. */
		world_start(&w);
		admin = face_login(&w, "admin");
	}
}

/* A command that came long ago and was written last must not set the ids back. */
static void ids_do_not_fall_behind_an_old_row(void **state)
{
	(void)state;
	face_free(admin);
	world_stop(&w);
	int64_t old = world_sql(&w, "SELECT at FROM audit ORDER BY seq LIMIT 1");
	int64_t seq = world_sql(&w, "SELECT max(seq) FROM audit"), at = world_sql(&w, "SELECT at FROM audit ORDER BY seq DESC LIMIT 1");
	char sql[128];
	int64_t future = at + 3600 * INT64_C(1000000);

	snprintf(sql, sizeof sql, "UPDATE audit SET at = %lld WHERE seq = %lld", (long long)future, (long long)seq - 1);
	int64_t before = world_sql(&w, "SELECT at FROM audit WHERE seq = (SELECT max(seq) - 1 FROM audit)");
	world_sql(&w, sql);
	snprintf(sql, sizeof sql, "UPDATE audit SET at = %lld WHERE seq = %lld", (long long)old, (long long)seq);
	world_sql(&w, sql);
	world_start(&w);
	admin = face_login(&w, "admin");
	char time[TIME_RFC3339_MAX];
	time_rfc3339(future, time);
	char digits[24];
	snprintf(digits, sizeof digits, "UKR-%.4s%.2s%.2s%.2s", time, time + 5, time + 8, time + 11);
	assert_true(strncmp(admin->reply.svtrid, digits, strlen(digits)) >= 0);
	snprintf(sql, sizeof sql, "UPDATE audit SET at = %lld WHERE seq = %lld", (long long)at, (long long)seq);
	world_sql(&w, sql);
	snprintf(sql, sizeof sql, "UPDATE audit SET at = %lld WHERE seq = %lld", (long long)before, (long long)seq - 1);
	world_sql(&w, sql);
}

static void what_stands_in_the_log(void **state)
{
	struct face *f = face_login(&w, "lea");
	struct reg_command c = {.verb = REG_INFO, .object = reg_object_by_name(STR("tac")), .cltrid = STR("\xd0\x96\xd0\x96\xd0\x96-1"),
		.request = STR("<epp>abc</epp>")};
	struct reg_node key = {.field = c.object->fields, .text = STR(TAC)};

	(void)state;
	c.key = &key;
	assert_int_equal(face_do(f, &c), REG_DONE);
	assert_int_equal(world_sql(&w, "SELECT count(*) FROM audit WHERE cltrid = 'ЖЖЖ-1' AND verb = 'info' AND object = 'tac' AND name = '" TAC
		"' AND account = 'lea' AND role = 'lea' AND code = 1000 AND address = '127.0.0.1:4711' AND length(certificate) = 32"), 1);
	/* The face's own refusals as well. */
	struct reg_detail d = {.element = "epp", .reason = "x"};
	struct reg_command bad = {.verb = REG_VERBS, .refused = REG_SYNTAX, .refused_details = &d, .cltrid = STR("BAD-1"), .request = STR("<")};
	assert_int_equal(face_do(f, &bad), REG_SYNTAX);
	assert_int_equal(world_sql(&w, "SELECT code FROM audit WHERE cltrid = 'BAD-1'"), REG_SYNTAX);
	/* 64 characters of two bytes are kept whole. */
	char text[129];
	for (unsigned i = 0; i < 64; i++)
		memcpy(text + 2 * i, "\xd0\x96", 3);
	c.cltrid = str_of(text);
	assert_int_equal(face_do(f, &c), REG_DONE);
	assert_int_equal(world_sql(&w, "SELECT length(cltrid) FROM audit ORDER BY seq DESC LIMIT 1"), 64);
	face_free(f);
	assert_int_equal(create(admin, "account", "id=stats1; role=lea; pw=secret-99"), REG_DONE);
	struct reg_stats stats;
	registry_stats(w.r, &stats);
	assert_int_equal(stats.audit_seq, world_sql(&w, "SELECT max(seq) FROM audit"));
	assert_int_equal(stats.change_seq, world_sql(&w, "SELECT count(*) FROM change"));
	assert_true(stats.commands > stats.refused && stats.refused > 0 && stats.transforms > 0);
}

/* ---- over FTPS ---- */

static unsigned password_login(struct face *f, const char *clid, const char *pw, bool ftps)
{
	struct reg_command c = {.verb = REG_LOGIN, .secret = true};
	struct reg_login l = {.clid = str_of(clid), .pw = str_of(pw), .ftps = ftps};

	c.login = &l;
	return face_do(f, &c);
}

/* Without a certificate, but only as the account says; the failures count and lock as they do everywhere. */
static void ftps_lets_in_only_accounts_that_say_so(void **state)
{
	struct face *f = face_new(&w, NULL);

	(void)state;
	account("ftps1", "lea");
	assert_int_equal(password_login(f, "ftps1", PASSWORD, true), REG_AUTHENTICATION);
	/* What it does not let in cannot be locked from there either. */
	assert_int_equal(world_sql(&w, "SELECT fails FROM account WHERE code = 'ftps1'"), 0);
	assert_int_equal(update(admin, "account", "ftps1", "ftps=yes", NULL, NULL), REG_DONE);
	assert_int_equal(password_login(f, "ftps1", PASSWORD, true), REG_DONE);
	assert_int_equal(world_sql(&w, "SELECT count(*) FROM audit WHERE verb = 'login' AND account = 'ftps1' AND code = 1000"), 1);
	face_free(f);
	/* EPP still asks for the certificate. */
	f = face_new(&w, NULL);
	assert_int_equal(password_login(f, "ftps1", PASSWORD, false), REG_AUTHENTICATION);
	face_free(f);
	for (int i = 0; i < 4; i++) {
		f = face_new(&w, NULL);
		assert_int_equal(password_login(f, "ftps1", "wrong-one", true), REG_AUTHENTICATION);
		face_free(f);
	}
	f = face_new(&w, "ftps1");
	assert_int_equal(password_login(f, "ftps1", PASSWORD, false), REG_AUTHENTICATION); /* locked */
	face_free(f);
	assert_int_equal(update(admin, "account", "ftps1", "status=active; ftps=no", NULL, NULL), REG_DONE);
	f = face_new(&w, NULL);
	assert_int_equal(password_login(f, "ftps1", PASSWORD, true), REG_AUTHENTICATION);
	face_free(f);
}

/* ---- over HTTP ---- */

static unsigned http_login(struct face *f, const char *clid, const char *pw)
{
	struct reg_command c = {.verb = REG_LOGIN, .secret = true};
	struct reg_login l = {.clid = str_of(clid), .pw = str_of(pw), .http = true, .by_certificate = !clid};

	c.login = &l;
	return face_do(f, &c);
}

static void a_certificate_is_enough_over_http(void **state)
{
	struct face *f = face_new(&w, "lea");

	(void)state;
	assert_int_equal(http_login(f, NULL, NULL), REG_DONE);
	assert_int_equal(reg_session_role(f->s), REG_ROLE_LEA);
	assert_int_equal(world_sql(&w, "SELECT count(*) FROM audit WHERE verb = 'login' AND account = 'lea' AND name = 'lea' AND seq = (SELECT max(seq) FROM audit)"), 1);
	face_free(f);
	f = face_new(&w, "nobody");
	assert_int_equal(http_login(f, NULL, NULL), REG_AUTHENTICATION);
	face_free(f);
	f = face_new(&w, NULL);
	assert_int_equal(http_login(f, NULL, NULL), REG_AUTHENTICATION);
	face_free(f);
	/* Suspended, it is nobody's. */
	account("http1", "lea");
	f = face_new(&w, "http1");
	assert_int_equal(http_login(f, NULL, NULL), REG_DONE);
	assert_int_equal(update(admin, "account", "http1", "status=suspended", NULL, NULL), REG_DONE);
	assert_int_equal(check(f, "tac", TAC), REG_AUTH_CLOSING);
	face_free(f);
	f = face_new(&w, "http1");
	assert_int_equal(http_login(f, NULL, NULL), REG_AUTHENTICATION);
	face_free(f);
	/* Of two active accounts nobody said which. */
	char set[256], hex[65];
	uint8_t fp[32];
	world_fingerprint("http1", fp);
	hex_print(fp, sizeof fp, hex);
	for (int i = 2; i < 4; i++) {
		snprintf(set, sizeof set, "id=http%d; role=lea; pw=" PASSWORD "; certificate=%s", i, hex);
		assert_int_equal(create(admin, "account", set), REG_DONE);
		f = face_new(&w, "http1");
		assert_int_equal(http_login(f, NULL, NULL), i == 2 ? REG_DONE : REG_AUTHENTICATION);
		face_free(f);
	}
}

/* An operator whose systems have no certificate: name and password, over HTTP only, and only while it has none. */
static void an_operators_password_is_enough_over_http(void **state)
{
	char hex[65], add[128];
	uint8_t fp[32];

	(void)state;
	assert_int_equal(create(admin, "account", "id=feed1; role=operator; operator=25501; pw=" PASSWORD), REG_DONE);
	struct face *f = face_new(&w, NULL);
	assert_int_equal(http_login(f, "feed1", "wrong password"), REG_AUTHENTICATION);
	assert_int_equal(login(f, "feed1", PASSWORD, NULL), REG_AUTHENTICATION);
	assert_int_equal(http_login(f, "operator", PASSWORD), REG_AUTHENTICATION);
	face_free(f);
	f = face_new(&w, NULL);
	assert_int_equal(http_login(f, "lea", PASSWORD), REG_AUTHENTICATION);
	assert_int_equal(http_login(f, "feed1", PASSWORD), REG_DONE);
	/* Another account's change makes it be looked at again; it stays. */
	assert_int_equal(update(admin, "account", "tax", "status=active", NULL, NULL), REG_DONE);
	assert_int_equal(check(f, "tac", TAC), REG_DONE);
	/* With a certificate of its own the password is not enough any more. */
	world_fingerprint("feed1", fp);
	hex_print(fp, sizeof fp, hex);
	snprintf(add, sizeof add, "certificate=%s", hex);
	assert_int_equal(update(admin, "account", "feed1", NULL, add, NULL), REG_DONE);
	assert_int_equal(check(f, "tac", TAC), REG_AUTH_CLOSING);
	face_free(f);
	f = face_new(&w, NULL);
	assert_int_equal(http_login(f, "feed1", PASSWORD), REG_AUTHENTICATION);
	face_free(f);
	f = face_new(&w, "feed1");
	assert_int_equal(http_login(f, "feed1", PASSWORD), REG_DONE);
	face_free(f);
}

/* The language of what is answered where no session has said one. */
static void languages_of_accounts(void **state)
{
	static const struct {
		const char *tag, *kept;
		unsigned code;
	} tags[] = {{"lang=uk", "uk", REG_DONE}, {"lang=en", "en", REG_DONE}, {"lang=UK-ua", "uk", REG_DONE}, {"lang=ua", "uk", REG_DONE},
		{"lang=fr", "uk", REG_RANGE}, {"lang=de-1996", "uk", REG_RANGE}, {"lang=u_k", "uk", REG_VALUE}, {"lang=uk-", "uk", REG_VALUE},
		{"lang=1k", "uk", REG_VALUE}, {"lang=ukrainian", "uk", REG_VALUE}, {"lang=a--b", "uk", REG_VALUE}, {"lang=українська", "uk", REG_VALUE}};
	struct reg_client client = {.address = "files/polyglot"};
	struct reg_session *s;
	size_t uk;

	(void)state;
	assert_int_equal(i18n_find(STR("uk"), &uk), CEIR_OK);
	account("polyglot", "lea");
	assert_int_equal(reg_account_lang(w.r, STR("polyglot"), 7), 7);
	assert_int_equal(reg_account_lang(w.r, STR("nobody"), 7), 7);
	for (size_t i = 0; i < CEIR_COUNT(tags); i++) {
		assert_int_equal(update(admin, "account", "polyglot", tags[i].tag, NULL, NULL), tags[i].code);
		if (tags[i].code >= 2000)
			assert_string_equal(admin->reply.details->element, "lang");
		assert_int_equal(info(admin, "account", "polyglot"), REG_DONE);
		assert_string_equal(value(admin, "lang"), tags[i].kept);
	}
	assert_int_equal(create(admin, "account", "id=french; role=tax; pw=" PASSWORD "; lang=fr"), REG_RANGE);
	assert_int_equal(create(admin, "account", "id=briton; role=tax; pw=" PASSWORD "; lang=en"), REG_DONE);
	assert_int_equal(reg_account_lang(w.r, STR("briton"), uk), 0);
	assert_int_equal(reg_account_lang(w.r, STR("polyglot"), 0), uk);

	/* A session of the folder speaks it; one whose account has none, what the face says. */
	assert_int_equal(reg_session_of(w.r, STR("polyglot"), &client, 0, &s), CEIR_OK);
	assert_int_equal(reg_session_lang(s), uk);
	reg_session_free(s);
	assert_int_equal(reg_session_of(w.r, STR("tax"), &client, uk, &s), CEIR_OK);
	assert_int_equal(reg_session_lang(s), uk);
	reg_session_free(s);

	/* A login that says a language has it; then any, or the account's, which an admin may change meanwhile. */
	struct face *f = face_login(&w, "polyglot");
	assert_int_equal(reg_session_lang(f->s), 0);
	reg_session_speak(f->s, REG_LANG_OF_ACCOUNT);
	assert_int_equal(reg_session_lang(f->s), uk);
	assert_int_equal(update(admin, "account", "polyglot", "lang=en", NULL, NULL), REG_DONE);
	assert_int_equal(info(f, "tac", TAC), REG_DONE);
	reg_session_speak(f->s, REG_LANG_OF_ACCOUNT);
	assert_int_equal(reg_session_lang(f->s), 0);
	reg_session_speak(f->s, uk);
	assert_int_equal(reg_session_lang(f->s), uk);
	face_free(f);
	f = face_login(&w, "tax");
	reg_session_speak(f->s, REG_LANG_OF_ACCOUNT);
	assert_int_equal(reg_session_lang(f->s), 0);
	face_free(f);
	/* A catalogue that is gone. */
	world_sql(&w, "UPDATE account SET lang = 'xx' WHERE code = 'polyglot'");
	assert_int_equal(reg_account_lang(w.r, STR("polyglot"), 7), 7);
}

int main(int argc, char **argv)
{
	if (argc != 2 || i18n_load(argv[1]) != CEIR_OK)
		return 2;
	const struct CMUnitTest tests[] = {cmocka_unit_test(refusals_are_all_the_same), cmocka_unit_test(too_many_failures_close_the_connection),
		cmocka_unit_test(lockout), cmocka_unit_test(new_password), cmocka_unit_test(sessions_of_an_account), cmocka_unit_test(thrown_out),
		cmocka_unit_test(parties), cmocka_unit_test(ids_rise_for_ever), cmocka_unit_test(what_stands_in_the_log),
		cmocka_unit_test(ftps_lets_in_only_accounts_that_say_so), cmocka_unit_test(a_certificate_is_enough_over_http), cmocka_unit_test(an_operators_password_is_enough_over_http),
		cmocka_unit_test(languages_of_accounts), cmocka_unit_test(ids_do_not_fall_behind_an_old_row)};

	return cmocka_run_group_tests(tests, make, destroy);
}

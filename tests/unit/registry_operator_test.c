/* Operators and their networks, whose numbers are, golden IMEIs, watches. */
#include "registry_world.h"

#include <sodium.h>
#include <time.h>

static struct world w;
static struct face *admin, *nra, *lea, *operator;

static int make(void **state)
{
	(void)state;
	world_open(&w);
	world_settle(&w);
	admin = face_login(&w, "admin");
	nra = face_login(&w, "nra");
	lea = face_login(&w, "lea");
	operator = face_login(&w, "operator");
	return 0;
}

static int destroy(void **state)
{
	(void)state;
	face_free(admin);
	face_free(nra);
	face_free(lea);
	face_free(operator);
	assert_int_equal(world_verify(&w, STR(""), true), 0);
	world_close(&w);
	return 0;
}

/* The n-th value of a field that repeats. */
static const char *nth(const struct face *f, const char *name, unsigned n)
{
	for (const struct reg_node *node = f->reply.fields; node; node = node->next)
		if (strcmp(node->field->name, name) == 0 && n-- == 0)
			return node->text.p;
	return NULL;
}

static void detail_is(const struct face *f, const char *element)
{
	assert_non_null(f->reply.details);
	assert_string_equal(f->reply.details->element, element);
}

/* ---- operators ---- */

static void operators(void **state)
{
	(void)state;
	assert_int_equal(check(admin, "operator", "MNO-2"), REG_DONE);
	assert_true(admin->reply.checks[0].avail);
	assert_int_equal(create(admin, "operator", "id=MNO-2; name=Dnipro Cellular; plmn=25502; plmn=255003"), REG_DONE);
	assert_string_equal(value(admin, "id"), "MNO-2");
	assert_int_equal(check(admin, "operator", "MNO-2"), REG_DONE);
	assert_false(admin->reply.checks[0].avail);
	assert_int_equal(info(operator, "operator", "MNO-2"), REG_DONE);
	assert_string_equal(value(operator, "number"), "2");
	assert_string_equal(value(operator, "status"), "active");
	assert_string_equal(nth(operator, "plmn", 0), "255003");
	assert_string_equal(nth(operator, "plmn", 1), "25502");
	assert_null(nth(operator, "plmn", 2));
	assert_string_equal(value(operator, "crID"), "admin");
	assert_int_equal(update(admin, "operator", "MNO-2", "name=Dnipro; status=suspended", "plmn=25504", "plmn=25502"), REG_DONE);
	assert_int_equal(info(admin, "operator", "MNO-2"), REG_DONE);
	assert_string_equal(value(admin, "name"), "Dnipro");
	assert_string_equal(value(admin, "status"), "suspended");
	assert_string_equal(nth(admin, "plmn", 1), "25504");
	/* Its number stands in the triplets: it is suspended, not deleted. */
	assert_int_equal(remove_(admin, "operator", "MNO-2", NULL), REG_UNIMPL_COMMAND);
}

static void operators_refused(void **state)
{
	static const struct {
		const char *set, *element;
		unsigned code;
	} cases[] = {{"name=x", "id", REG_MISSING}, {"id=X", "name", REG_MISSING}, {"id=25501; name=x", "id", REG_EXISTS},
		{"id=X; name=x; plmn=25501", "plmn", REG_EXISTS}, {"id=X; name=x; plmn=2550", "plmn", REG_VALUE},
		{"id=X; name=x; plmn=2550101", "plmn", REG_VALUE}, {"id=X; name=x; plmn=2550x", "plmn", REG_VALUE},
		{"id=X; name=x; plmn=26001; plmn=26001", "plmn", REG_EXISTS}, {"id=X; name=x; number=7", "number", REG_POLICY},
		{"id=X; name=x; status=closed", "status", REG_RANGE}};

	(void)state;
	for (size_t i = 0; i < CEIR_COUNT(cases); i++) {
		assert_int_equal(create(admin, "operator", cases[i].set), cases[i].code);
		detail_is(admin, cases[i].element);
	}
	assert_int_equal(info(admin, "operator", "X"), REG_NOT_FOUND);
	assert_int_equal(update(admin, "operator", "25501", NULL, NULL, "plmn=99999"), REG_NOT_FOUND);
	assert_int_equal(update(admin, "operator", "25501", NULL, "plmn=12", NULL), REG_VALUE);
	assert_int_equal(update(admin, "operator", "25501", "id=Y", NULL, NULL), REG_POLICY);
	/* Another's network is not one's own to give away. */
	assert_int_equal(create(admin, "operator", "id=MNO-3; name=x; plmn=25530"), REG_DONE);
	assert_int_equal(update(admin, "operator", "25501", NULL, NULL, "plmn=25530"), REG_NOT_FOUND);
	assert_int_equal(world_sql(&w, "SELECT count(*) FROM operator_plmn WHERE plmn = '26001'"), 0);
}

static void an_account_names_an_operator_that_exists(void **state)
{
	(void)state;
	assert_int_equal(create(admin, "account", "id=op9; role=operator; operator=nobody; pw=secret-99"), REG_NOT_FOUND);
	detail_is(admin, "operator");
	assert_int_equal(create(admin, "account", "id=op9; role=operator; operator=25501; pw=secret-99"), REG_DONE);
}

/* ---- portability ---- */

static void numbers(void **state)
{
	char id[32];

	(void)state;
	assert_int_equal(create(nra, "portability", "from=380501234567; operator=25501"), REG_DONE);
	snprintf(id, sizeof id, "%s", value(nra, "id"));
	assert_int_equal(info(nra, "portability", id), REG_DONE);
	assert_string_equal(value(nra, "from"), "380501234567");
	assert_string_equal(value(nra, "to"), "380501234567");
	assert_string_equal(value(nra, "operator"), "25501");
	assert_int_equal(create(admin, "portability", "from=+380500000000; to=380509999999; operator=25501; since=2026-01-01"), REG_DONE);
	struct reg_filter f = {STR("from"), REG_EQ, STR("+380501234567")};
	struct reg_query q = {.filters = &f, .n_filters = 1};
	assert_int_equal(query(nra, "portability", &q), REG_DONE);
	assert_int_equal(nra->reply.page->n_items, 1);
	f = (struct reg_filter){STR("from"), REG_LT, STR("380501234567")};
	assert_int_equal(query(nra, "portability", &q), REG_DONE);
	assert_int_equal(nra->reply.page->n_items, 1);
	assert_string_equal(value_of(nra->reply.page->items[0], "since"), "2026-01-01");
	/* The same range is one entry; a range inside another is what portability is. */
	assert_int_equal(create(nra, "portability", "from=380501234567; to=380501234567; operator=25501"), REG_EXISTS);
	assert_int_equal(remove_(nra, "portability", id, NULL), REG_DONE);
	assert_int_equal(info(nra, "portability", id), REG_NOT_FOUND);
	assert_int_equal(create(nra, "portability", "from=380501234567; operator=25501"), REG_DONE);
}

static void numbers_refused(void **state)
{
	static const struct {
		const char *set, *element;
		unsigned code;
	} cases[] = {{"operator=25501", "from", REG_MISSING}, {"from=380671234567", "operator", REG_MISSING},
		{"from=380671234567; operator=nobody", "operator", REG_NOT_FOUND}, {"from=1234; operator=25501", "from", REG_RANGE},
		{"from=38067123456a; operator=25501", "from", REG_VALUE}, {"from=0671234567; operator=25501", "from", REG_VALUE},
		{"from=380671234567; to=38067123456; operator=25501", "to", REG_RANGE},
		{"from=380671234567; to=380671234566; operator=25501", "to", REG_RANGE},
		{"from=380671234567; operator=25501; since=2026-02-30", "since", REG_VALUE}};

	(void)state;
	int64_t before = world_sql(&w, "SELECT count(*) FROM portability");
	for (size_t i = 0; i < CEIR_COUNT(cases); i++) {
		assert_int_equal(create(nra, "portability", cases[i].set), cases[i].code);
		detail_is(nra, cases[i].element);
	}
	assert_int_equal(world_sql(&w, "SELECT count(*) FROM portability"), before);
	assert_int_equal(remove_(nra, "portability", "N1", NULL), REG_NOT_FOUND);
}

/* ---- golden ---- */

static bool on_the_list(const char *imei)
{
	assert_int_equal(check(admin, "golden", imei), REG_DONE);
	return !admin->reply.checks[0].avail;
}

static void golden(void **state)
{
	const char *imei = imei_text(TAC, 9001);
	char set[64], sql[300];

	(void)state;
	snprintf(set, sizeof set, "id=%s", imei);
	assert_false(on_the_list(imei));
	assert_int_equal(create(admin, "golden", set), REG_DONE);
	assert_true(on_the_list(imei));
	assert_false(on_the_list(imei_text(TAC, 9002)));
	assert_int_equal(create(admin, "golden", set), REG_EXISTS);
	assert_int_equal(create(admin, "golden", "id=352106050544204"), REG_VALUE);
	assert_int_equal(create(admin, "golden", NULL), REG_MISSING);
	assert_int_equal(remove_(admin, "golden", imei_text(TAC, 9002), NULL), REG_NOT_FOUND);
	/* Whom, neither the table nor the audit log says. */
	assert_int_equal(world_sql(&w, "SELECT count(*) FROM golden WHERE length(hash) = 16"), 1);
	assert_int_equal(world_sql(&w, "SELECT count(*) FROM audit WHERE object = 'golden' AND name <> 'golden'"), 0);
	assert_true(world_sql(&w, "SELECT count(*) FROM audit WHERE object = 'golden'") >= 8);
	snprintf(sql, sizeof sql, "SELECT (SELECT count(*) FROM audit WHERE name LIKE '%%%.14s%%')"
		" + (SELECT count(*) FROM imei WHERE imei = %.14s)"
		" + (SELECT count(*) FROM change WHERE imei = %.14s)", imei, imei, imei);
	assert_int_equal(world_sql(&w, sql), 0);
	/* It is there after a restart: the key is derived anew. */
	face_free(admin);
	face_free(nra);
	face_free(lea);
	face_free(operator);
	world_stop(&w);
	world_start(&w);
	admin = face_login(&w, "admin");
	nra = face_login(&w, "nra");
	lea = face_login(&w, "lea");
	operator = face_login(&w, "operator");
	assert_true(on_the_list(imei));
	assert_int_equal(remove_(admin, "golden", imei, NULL), REG_DONE);
	assert_false(on_the_list(imei));
}

/* The digests of a golden command could be guessed at, an IMEI after the other, if they were not keyed. */
static void golden_digests_are_keyed(void **state)
{
	struct str names[] = {STR("352106050544203")};
	struct reg_command c = {.verb = REG_CHECK, .object = reg_object_by_name(STR("golden")), .names = names, .n_names = 1,
		.request = STR("<check/>")};
	uint8_t hash[32];
	char hex[65], sql[200];

	(void)state;
	arena_reset(admin->arena);
	assert_int_equal(face_do(admin, &c), REG_DONE);
	crypto_generichash(hash, 32, (const uint8_t *)"<check/>", 8, NULL, 0);
	hex_print(hash, 32, hex);
	snprintf(sql, sizeof sql, "SELECT count(*) FROM audit WHERE request = x'%s'", hex);
	assert_int_equal(world_sql(&w, sql), 0);
	crypto_generichash(hash, 32, (const uint8_t *)admin->out.p, admin->out.n, NULL, 0);
	hex_print(hash, 32, hex);
	snprintf(sql, sizeof sql, "SELECT count(*) FROM audit WHERE response = x'%s'", hex);
	assert_int_equal(world_sql(&w, sql), 0);
	/* Any other object's are not. */
	c.object = reg_object_by_name(STR("tac"));
	c.cltrid = (struct str){NULL, 0};
	arena_reset(admin->arena);
	assert_int_equal(face_do(admin, &c), REG_DONE);
	crypto_generichash(hash, 32, (const uint8_t *)admin->out.p, admin->out.n, NULL, 0);
	hex_print(hash, 32, hex);
	snprintf(sql, sizeof sql, "SELECT count(*) FROM audit WHERE response = x'%s'", hex);
	assert_int_equal(world_sql(&w, sql), 1);
}

/* ---- watches ---- */

static void watches(void **state)
{
	char set[200], id[32];
	const char *imei = imei_text(TAC, 9100);

	(void)state;
	snprintf(set, sizeof set, "imei=%s; ground=case 7; until=2099-01-01T00:00:00Z", imei);
	assert_int_equal(create(lea, "watch", set), REG_DONE);
	snprintf(id, sizeof id, "%s", value(lea, "id"));
	assert_int_equal(id[0], 'W');
	assert_int_equal(info(lea, "watch", id), REG_DONE);
	assert_string_equal(value(lea, "imei"), imei);
	assert_string_equal(value(lea, "status"), "active");
	assert_string_equal(value(lea, "ground"), "case 7");
	assert_null(value(lea, "lastSeen"));
	assert_int_equal(update(lea, "watch", id, "ground=case 8; until=2098-01-01T00:00:00Z", NULL, NULL), REG_DONE);
	assert_int_equal(update(lea, "watch", id, "until=2020-01-01T00:00:00Z", NULL, NULL), REG_RANGE);
	assert_int_equal(update(lea, "watch", id, "imei=352106050544203", NULL, NULL), REG_POLICY);
	struct reg_filter f = {STR("imei"), REG_EQ, str_of(imei)};
	struct reg_query q = {.filters = &f, .n_filters = 1};
	assert_int_equal(query(lea, "watch", &q), REG_DONE);
	assert_int_equal(lea->reply.page->n_items, 1);
	assert_int_equal(remove_(lea, "watch", id, NULL), REG_DONE);
	assert_int_equal(info(lea, "watch", id), REG_DONE);
	assert_string_equal(value(lea, "status"), "ended");
	assert_string_equal(value(lea, "ground"), "case 8");
	assert_int_equal(remove_(lea, "watch", id, NULL), REG_STATUS);
	assert_int_equal(update(lea, "watch", id, "ground=again", NULL, NULL), REG_STATUS);
	/* A watch changes no verdict. */
	assert_verdict(lea, imei, "unknown", "never-heard");
}

static void watches_refused(void **state)
{
	static const struct {
		const char *set, *element;
		unsigned code;
	} cases[] = {{"ground=g", "imei", REG_MISSING}, {"imei=352106050544203", "ground", REG_MISSING},
		{"imei=352106050544204; ground=g", "imei", REG_VALUE}, {"imei=352106050544203; ground=g; until=2020-01-01T00:00:00Z", "until", REG_RANGE},
		{"imei=352106050544203; ground=g; until=tomorrow", "until", REG_VALUE},
		{"imei=352106050544203; ground=g; status=ended", "status", REG_POLICY}};

	(void)state;
	int64_t before = world_sql(&w, "SELECT count(*) FROM watch");
	for (size_t i = 0; i < CEIR_COUNT(cases); i++) {
		assert_int_equal(create(lea, "watch", cases[i].set), cases[i].code);
		detail_is(lea, cases[i].element);
	}
	assert_int_equal(world_sql(&w, "SELECT count(*) FROM watch"), before);
}

/* The clock ends a watch. */
static void watches_end(void **state)
{
	char set[200], id[32], until[TIME_RFC3339_MAX];

	(void)state;
	/* Each start sets the register's time a second ahead. */
	time_rfc3339(clock_real_us() + 3000000, until);
	snprintf(set, sizeof set, "imei=%s; ground=case 9; until=%s", imei_text(TAC, 9101), until);
	assert_int_equal(create(lea, "watch", set), REG_DONE);
	snprintf(id, sizeof id, "%s", value(lea, "id"));
	for (int i = 0; i < 600; i++) {
		assert_int_equal(info(lea, "watch", id), REG_DONE);
		if (strcmp(value(lea, "status"), "ended") == 0)
			break;
		nanosleep(&(struct timespec){0, 10000000}, NULL);
	}
	assert_string_equal(value(lea, "status"), "ended");
	assert_string_equal(value(lea, "upID"), "ceir");
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(operators), cmocka_unit_test(operators_refused),
		cmocka_unit_test(an_account_names_an_operator_that_exists), cmocka_unit_test(numbers), cmocka_unit_test(numbers_refused),
		cmocka_unit_test(golden), cmocka_unit_test(golden_digests_are_keyed), cmocka_unit_test(watches), cmocka_unit_test(watches_refused),
		cmocka_unit_test(watches_end)};

	return cmocka_run_group_tests(tests, make, destroy);
}

/* The policy as an object: drafts over the version in force, what does not compile, bits of conditions, what may be changed. */
#include "registry_world.h"

#include <time.h>

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

/* The n-th group or value of a name. */
static const struct reg_node *nth(const char *name, unsigned n)
{
	for (const struct reg_node *node = admin->reply.fields; node; node = node->next)
		if (strcmp(node->field->name, name) == 0 && n-- == 0)
			return node;
	return NULL;
}

static const struct reg_node *condition(const char *name)
{
	for (unsigned i = 0; nth("condition", i); i++)
		if (strcmp(value_of(nth("condition", i)->child, "name"), name) == 0)
			return nth("condition", i);
	return NULL;
}

static char version[32];

static const char *draft(const char *set)
{
	if (create(admin, "policy", set) != REG_DONE)
		fail_msg("%s: %u %s", set, admin->reply.code, admin->reply.details ? admin->reply.details->reason : "");
	snprintf(version, sizeof version, "%s", value(admin, "id"));
	return version;
}

static int64_t number(const char *text)
{
	return strtoll(text, NULL, 10);
}

static int64_t bit_of(const char *id, const char *name)
{
	char sql[300];

	snprintf(sql, sizeof sql, "SELECT j.key FROM policy p, json_each(p.conditions) j WHERE p.code = '%s'"
		" AND j.value ->> 'name' = '%s'", id, name);
	return world_sql(&w, sql);
}

static void the_first_version(void **state)
{
	(void)state;
	assert_int_equal(info(admin, "policy", "1"), REG_DONE);
	assert_string_equal(value(admin, "status"), "active");
	assert_string_equal(value(admin, "mode"), "permissive");
	assert_string_equal(value(admin, "graceDays"), "90");
	assert_string_equal(nth("noticeDays", 0)->text.p, "75");
	assert_string_equal(nth("noticeDays", 3)->text.p, "1");
	assert_string_equal(value(admin, "homeMCC"), "255");
	assert_string_equal(value(admin, "countryCode"), "380");
	assert_null(value(admin, "amnestyFrom"));
	assert_non_null(condition("malformed"));
	assert_string_equal(value_of(condition("malformed")->child, "blocking"), "yes");
	assert_string_equal(value_of(condition("sim-box")->child, "blocking"), "no");
}

static void a_draft_is_over_the_version_in_force(void **state)
{
	(void)state;
	draft("ground=new rules; mode=restrictive; graceDays=60; noticeDays=30; noticeDays=7; homeMCC=255; homeMCC=259; amnestyFrom=2026-01-01;"
		"amnestyUntil=2026-06-30; guardShare=250");
	assert_int_equal(number(version), 2);
	assert_int_equal(info(admin, "policy", version), REG_DONE);
	assert_string_equal(value(admin, "status"), "draft");
	assert_string_equal(value(admin, "ground"), "new rules");
	assert_string_equal(value(admin, "mode"), "restrictive");
	assert_string_equal(value(admin, "graceDays"), "60");
	assert_string_equal(nth("noticeDays", 1)->text.p, "7");
	assert_null(nth("noticeDays", 2));
	assert_string_equal(nth("homeMCC", 1)->text.p, "259");
	assert_string_equal(value(admin, "amnestyFrom"), "2026-01-01");
	assert_string_equal(value(admin, "amnestyUntil"), "2026-06-30");
	assert_string_equal(value(admin, "guardShare"), "250");
	/* What was not given is as in version 1. */
	assert_string_equal(value(admin, "gateSize"), "750");
	assert_non_null(condition("clone"));
	assert_null(value(admin, "force"));
	struct reg_query q = {.limit = 10};
	assert_int_equal(query(admin, "policy", &q), REG_DONE);
	assert_string_equal(value_of(admin->reply.page->items[1], "mode"), "restrictive");
	assert_string_equal(value_of(admin->reply.page->items[1], "condition.name"), "malformed");
}

#define CONDITION(name, rule) "condition{name=" name "; rule=" rule "}"

static void conditions_replace_the_list(void **state)
{
	(void)state;
	draft("ground=g; graceDays=45; condition{name=mine; rule=malformed or test-tac; blocking=yes; sticky=yes; graceDays=10};"
		"condition{name=barred; rule=barred}");
	assert_int_equal(info(admin, "policy", version), REG_DONE);
	assert_null(condition("clone"));
	const struct reg_node *c = condition("mine");
	assert_string_equal(value_of(c->child, "rule"), "malformed or test-tac");
	assert_string_equal(value_of(c->child, "graceDays"), "10");
	assert_string_equal(value_of(c->child, "sticky"), "yes");
	c = condition("barred");
	assert_string_equal(value_of(c->child, "graceDays"), "45");
	assert_string_equal(value_of(c->child, "blocking"), "no");
}

/* Records and changes hold bits: a name keeps its own, and two versions that may follow each other share none under two names. */
static void bits_are_stable(void **state)
{
	char a[32], b[32];

	(void)state;
	snprintf(a, sizeof a, "%s", draft("ground=a; " CONDITION("new-a", "stolen") "; " CONDITION("clone", "clone-threshold(imsis=9)")));
	snprintf(b, sizeof b, "%s", draft("ground=b; " CONDITION("new-b", "watched") "; " CONDITION("new-a", "barred") "; "
		CONDITION("malformed", "malformed")));
	assert_int_equal(bit_of(a, "clone"), bit_of("1", "clone"));
	assert_int_equal(bit_of(b, "malformed"), bit_of("1", "malformed"));
	assert_int_equal(bit_of(b, "new-a"), bit_of(a, "new-a"));
	assert_int_not_equal(bit_of(a, "new-a"), bit_of(b, "new-b"));
	char sql[200];
	snprintf(sql, sizeof sql, "SELECT json_array_length(conditions) FROM policy WHERE code = '%s'", a);
	assert_true(bit_of(a, "new-a") >= 9 && world_sql(&w, sql) == bit_of(a, "new-a") + 1);
}

static void refused(void **state)
{
	static const struct {
		const char *set, *element;
		unsigned code;
	} cases[] = {
		{"mode=restrictive", "ground", REG_MISSING},
		{"ground=g; status=active", "status", REG_POLICY},
		{"ground=g; status=gone", "status", REG_RANGE},
		{"ground=g; force=yes", "force", REG_POLICY},
		{"ground=g; active=2026-01-01T00:00:00Z", "active", REG_POLICY},
		{"ground=g; mode=strict", "mode", REG_RANGE},
		{"ground=g; graceDays=4000", "graceDays", REG_RANGE},
		{"ground=g; graceDays=ten", "graceDays", REG_VALUE},
		{"ground=g; lookbackDays=0", "lookbackDays", REG_RANGE},
		{"ground=g; guardShare=1001", "guardShare", REG_RANGE},
		{"ground=g; noticeDays=5; noticeDays=10", "noticeDays", REG_RANGE},
		{"ground=g; noticeDays=9; noticeDays=8; noticeDays=7; noticeDays=6; noticeDays=5", "noticeDays", REG_RANGE},
		{"ground=g; homeMCC=25", "homeMCC", REG_VALUE},
		{"ground=g; homeMCC=25x", "homeMCC", REG_VALUE},
		{"ground=g; homeMCC=255; homeMCC=255; homeMCC=255; homeMCC=255; homeMCC=255; homeMCC=255; homeMCC=255; homeMCC=255; homeMCC=255",
			"homeMCC", REG_RANGE},
		{"ground=g; countryCode=012", "countryCode", REG_RANGE},
		{"ground=g; amnestyFrom=2026-02-01; amnestyUntil=2026-01-01", "amnestyUntil", REG_RANGE},
		{"ground=g; amnestyFrom=2026-02-30", "amnestyFrom", REG_VALUE},
		{"ground=g; condition{name=x}", "rule", REG_MISSING},
		{"ground=g; condition{rule=malformed}", "name", REG_MISSING},
		{"ground=g; condition{name=x; rule=nonsense}", "condition", REG_VALUE},
		{"ground=g; condition{name=X Y; rule=malformed}", "condition", REG_VALUE},
		{"ground=g; condition{name=x; rule=malformed; graceDays=4000}", "graceDays", REG_RANGE},
		{"ground=g; condition{name=x; rule=malformed; blocking=perhaps}", "blocking", REG_RANGE},
		{"ground=g; condition{name=x; rule=malformed}; condition{name=x; rule=barred}", "name", REG_EXISTS},
	};

	(void)state;
	int64_t before = world_sql(&w, "SELECT count(*) FROM policy");
	for (size_t i = 0; i < CEIR_COUNT(cases); i++) {
		unsigned code = create(admin, "policy", cases[i].set);

		if (code != cases[i].code || !admin->reply.details || strcmp(admin->reply.details->element, cases[i].element) != 0)
			fail_msg("%s: %u %s", cases[i].set, code, admin->reply.details ? admin->reply.details->element : "");
	}
	assert_int_equal(world_sql(&w, "SELECT count(*) FROM policy"), before);
}

static void too_many_conditions(void **state)
{
	char set[4096] = "ground=g; graceDays=0";

	(void)state;
	for (int i = 0; i < 25; i++)
		snprintf(set + strlen(set), sizeof set - strlen(set), "; condition{name=c%d; rule=malformed}", i);
	assert_int_equal(create(admin, "policy", set), REG_RANGE);
	assert_string_equal(admin->reply.details->element, "condition");
	/* Twenty-four new ones beside those of the version in force: no bits are left. */
	*strrchr(set, ';') = '\0';
	*strrchr(set, ';') = '\0';
	strcat(set, "}");
	assert_int_equal(create(admin, "policy", set), REG_POLICY);
}

static void drafts_are_deleted(void **state)
{
	char id[32];

	(void)state;
	snprintf(id, sizeof id, "%s", draft("ground=to be deleted"));
	assert_int_equal(remove_(admin, "policy", id, NULL), REG_DONE);
	assert_int_equal(info(admin, "policy", id), REG_NOT_FOUND);
	/* Its number is not given again: the audit log speaks of it. */
	assert_int_equal(number(draft("ground=another")), number(id) + 1);
	assert_int_equal(remove_(admin, "policy", "1", NULL), REG_STATUS);
	assert_int_equal(remove_(admin, "policy", "999", NULL), REG_NOT_FOUND);
}

static void updates(void **state)
{
	char id[32];

	(void)state;
	snprintf(id, sizeof id, "%s", draft("ground=first words"));
	assert_int_equal(update(admin, "policy", id, "ground=better words", NULL, NULL), REG_DONE);
	assert_int_equal(info(admin, "policy", id), REG_DONE);
	assert_string_equal(value(admin, "ground"), "better words");
	assert_string_equal(value(admin, "status"), "draft");
	assert_int_equal(update(admin, "policy", id, "graceDays=5", NULL, NULL), REG_POLICY);
	assert_int_equal(update(admin, "policy", id, "force=yes", NULL, NULL), REG_POLICY);
	assert_int_equal(update(admin, "policy", id, "status=retired", NULL, NULL), REG_STATUS);
	assert_int_equal(update(admin, "policy", "1", "status=draft", NULL, NULL), REG_STATUS);
	assert_int_equal(update(admin, "policy", "999", "status=active", NULL, NULL), REG_NOT_FOUND);
}

static void wait_status(const char *id, const char *status)
{
	for (int i = 0; i < 1000; i++) {
		assert_int_equal(info(admin, "policy", id), REG_DONE);
		if (strcmp(value(admin, "status"), status) == 0)
			return;
		nanosleep(&(struct timespec){0, 10000000}, NULL);
	}
	fail_msg("policy %s is %s", id, value(admin, "status"));
}

/* In force, with all that hangs on it: tried first, answered as pending, the one before retires. */
static void put_in_force(void **state)
{
	char id[32];

	(void)state;
	snprintf(id, sizeof id, "%s", draft("ground=stricter; graceDays=30"));
	for (int i = 0; i < 1000; i++) {
		assert_int_equal(info(admin, "policy", id), REG_DONE);
		if (value(admin, "dryRun.changes"))
			break;
		nanosleep(&(struct timespec){0, 10000000}, NULL);
	}
	assert_string_equal(value(admin, "dryRun.changes"), "0");
	assert_int_equal(update(admin, "policy", id, "status=active; force=no", NULL, NULL), REG_PENDING);
	wait_status(id, "active");
	assert_non_null(value(admin, "active"));
	wait_status("1", "retired");
	assert_int_equal(update(admin, "policy", "1", "status=active", NULL, NULL), REG_STATUS);
	assert_int_equal(remove_(admin, "policy", id, NULL), REG_STATUS);
	/* The next draft begins with it. */
	draft("ground=on");
	assert_int_equal(info(admin, "policy", version), REG_DONE);
	assert_string_equal(value(admin, "graceDays"), "30");
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(the_first_version), cmocka_unit_test(a_draft_is_over_the_version_in_force),
		cmocka_unit_test(conditions_replace_the_list), cmocka_unit_test(bits_are_stable), cmocka_unit_test(refused),
		cmocka_unit_test(too_many_conditions), cmocka_unit_test(drafts_are_deleted), cmocka_unit_test(updates), cmocka_unit_test(put_in_force)};

	return cmocka_run_group_tests(tests, make, destroy);
}

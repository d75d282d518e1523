/* The query extension on every object: filters, order, pages, counts, and cursors that nobody issued. */
#include "registry_world.h"

static struct world w;
static struct face *faces[REG_ROLES];
static const char *const accounts[REG_ROLES] = {NULL, "importer1", "customs", "lea", "tax", "nra", "admin", "operator", "pos"};

static int make(void **state)
{
	(void)state;
	world_open(&w);
	world_settle(&w);
	for (unsigned role = 1; role < REG_ROLES; role++)
		faces[role] = face_login(&w, accounts[role]);
	struct face *customs = faces[REG_ROLE_CUSTOMS], *importer = faces[REG_ROLE_IMPORTER], *lea = faces[REG_ROLE_LEA];
	char last[64] = "";

	for (unsigned i = 0; i < 25; i++) {
		char set[200];

		snprintf(set, sizeof set, "id=Q%02u; name=%s %u; country=%s", i, i % 2 ? "\xd0\x9f\xd1\x80\xd0\xb8\xd0\xb2\xd1\x96\xd1\x82" : "Firm", i / 5,
			i % 3 ? "UA" : "PL");
		assert_int_equal(create(customs, "importer", set), REG_DONE);
		snprintf(set, sizeof set, "imei=%s; colour=black; reason=lost; ground=g%u", imei_text(TAC, 900 + i), i);
		assert_int_equal(create(lea, "listing", set), REG_DONE);
		assert_int_equal(apply(importer, NULL, "permit=" PERMIT "; position=1", imei_text(TAC, 800 + i)), REG_PENDING);
		snprintf(last, sizeof last, "%s", value(importer, "id"));
		snprintf(set, sizeof set, "id=MNO%02u; name=Operator %u; plmn=26%03u", i, i, i);
		assert_int_equal(create(faces[REG_ROLE_ADMIN], "operator", set), REG_DONE);
		snprintf(set, sizeof set, "from=38067%07u; operator=MNO%02u", 1000 - i, i);
		assert_int_equal(create(faces[REG_ROLE_NRA], "portability", set), REG_DONE);
		snprintf(set, sizeof set, "imei=%s; ground=g%u", imei_text(TAC, 900 + i), i);
		assert_int_equal(create(lea, "watch", set), REG_DONE);
		snprintf(set, sizeof set, "ground=g%u; graceDays=%u", i, i + 1);
		assert_int_equal(create(faces[REG_ROLE_ADMIN], "policy", set), REG_DONE);
	}
	/* Devices are registered behind the answers, in the order of the applications. */
	wait_done(importer, last);
	return 0;
}

static int destroy(void **state)
{
	(void)state;
	for (unsigned role = 1; role < REG_ROLES; role++)
		face_free(faces[role]);
	assert_int_equal(world_verify(&w, STR(""), true), 0);
	world_close(&w);
	return 0;
}

/* Triplets are no rows of a table, and are asked for in a way of their own. */
static bool has_own_way(const struct reg_object *o)
{
	return strcmp(o->name, "triplet") == 0;
}

/* All pages of this size; how many items. Each key once, in order. */
static unsigned walk(struct face *f, const char *object, struct reg_query q, uint32_t limit)
{
	char cursor[3000] = "", last[300] = "";
	const char *key = reg_object_by_name(str_of(object))->fields[0].name;
	unsigned items = 0, pages = 0;

	q.limit = limit;
	do {
		q.cursor = str_of(cursor);
		assert_int_equal(query(f, object, &q), REG_DONE);
		const struct reg_page *page = f->reply.page;
		for (size_t i = 0; i < page->n_items; i++, items++) {
			const char *name = value_of(page->items[i], key);

			if (!q.sort.n && last[0] && (q.descending ? strcmp(name, last) >= 0 : strcmp(name, last) <= 0))
				fail_msg("%s: %s behind %s", object, name, last);
			snprintf(last, sizeof last, "%s", name);
		}
		assert_true(page->n_items <= limit && page->next.n < sizeof cursor);
		snprintf(cursor, sizeof cursor, "%.*s", (int)page->next.n, page->next.p ? page->next.p : "");
		assert_true(pages++ < 2000);
	} while (cursor[0]);
	return items;
}

static struct reg_query with(const struct reg_filter *f, size_t n)
{
	return (struct reg_query){.filters = f, .n_filters = n};
}

static void every_object_in_pages(void **state)
{
	(void)state;
	for (size_t i = 0; reg_objects[i]; i++)
		for (unsigned role = 1; role < REG_ROLES; role++) {
			const char *name = reg_objects[i]->name;
			bool imei = strcmp(name, "imei") == 0;

			if (!(reg_objects[i]->may[REG_QUERY] & REG_BIT(role)) || (imei && role == REG_ROLE_IMPORTER) || has_own_way(reg_objects[i]))
				continue;
			/* The audit log grows while it is read, so it is walked downwards. */
			struct reg_query q = {.descending = strcmp(name, "transaction") == 0};
			unsigned by7 = walk(faces[role], name, q, 7), by100 = walk(faces[role], name, q, 100);
			if (strcmp(name, "transaction") != 0)
				assert_int_equal(by7, by100);
			q.descending = !q.descending;
			if (strcmp(name, "transaction") != 0)
				assert_int_equal(walk(faces[role], name, q, 3), by7);
			if (imei)
				continue;
			q.count = q.count_only = true;
			assert_int_equal(query(faces[role], name, &q), REG_DONE);
			assert_true(faces[role]->reply.page->has_count && faces[role]->reply.page->n_items == 0);
			if (strcmp(name, "transaction") != 0)
				assert_int_equal(faces[role]->reply.page->count, by7);
		}
}

static void every_sort_and_filter(void **state)
{
	struct face *admin = faces[REG_ROLE_ADMIN];

	(void)state;
	for (size_t i = 0; reg_objects[i]; i++)
		for (const struct reg_field *f = reg_objects[i]->fields; f->name; f++) {
			struct reg_filter filter = {str_of(f->name), REG_EQ, STR("35210605")};
			struct reg_query q = {.sort = str_of(f->name)};
			bool imei = strcmp(reg_objects[i]->name, "imei") == 0;

			if (!(reg_objects[i]->may[REG_QUERY] & REG_BIT(REG_ROLE_ADMIN)) || has_own_way(reg_objects[i]))
				continue;
			assert_int_equal(query(admin, reg_objects[i]->name, &q), f->flags & REG_SORT ? REG_DONE : REG_RANGE);
			if (f->flags & REG_SORT) {
				unsigned n = walk(admin, reg_objects[i]->name, q, 4);
				q.descending = true;
				if (strcmp(reg_objects[i]->name, "transaction") != 0)
					assert_int_equal(walk(admin, reg_objects[i]->name, q, 5), n);
			}
			q = with(&filter, 1);
			for (filter.op = REG_EQ; filter.op <= REG_PREFIX; filter.op++) {
				unsigned code = query(admin, reg_objects[i]->name, &q);

				if (!(f->flags & REG_FILTER) || f->type == REG_SECRET)
					assert_int_equal(code, REG_RANGE);
				else if (code != REG_DONE && code != REG_RANGE && code != REG_VALUE && !(imei && code == REG_NOT_FOUND))
					fail_msg("%s %s: %u", reg_objects[i]->name, f->name, code);
			}
		}
}

static void filters(void **state)
{
	struct face *customs = faces[REG_ROLE_CUSTOMS];

	(void)state;
	/* Cyrillic beginnings: nothing that merely sorts behind them. */
	struct reg_filter f[2] = {{STR("name"), REG_PREFIX, STR("\xd0\x9f\xd1\x80\xd0\xb8\xd0\xb2")}, {STR("country"), REG_EQ, STR("PL")}};
	assert_int_equal(walk(customs, "importer", with(f, 1), 5), 12);
	f[0].value = STR("\xd0\x9f");
	assert_int_equal(walk(customs, "importer", with(f, 1), 50), 12);
	f[0].value = STR("\xd0\x9e");
	assert_int_equal(walk(customs, "importer", with(f, 1), 50), 0);
	f[0].value = STR("Firm");
	assert_int_equal(walk(customs, "importer", with(f, 1), 5), 13);
	assert_int_equal(walk(customs, "importer", with(f, 2), 5), 5);
	f[0].value = STR("Firm 1");
	assert_int_equal(walk(customs, "importer", with(f, 1), 5), 2);
	f[0] = (struct reg_filter){STR("id"), REG_GE, STR("Q10")};
	f[1] = (struct reg_filter){STR("id"), REG_LT, STR("Q20")};
	assert_int_equal(walk(customs, "importer", with(f, 2), 3), 10);
	f[0] = (struct reg_filter){STR("name"), REG_EQ, STR("' OR 1=1 --")};
	assert_int_equal(walk(customs, "importer", with(f, 1), 3), 0);
	/* Numbers by their leading digits. */
	f[0] = (struct reg_filter){STR("id"), REG_PREFIX, STR("352106")};
	assert_int_equal(walk(faces[REG_ROLE_NRA], "tac", with(f, 1), 3), 2);
	f[0] = (struct reg_filter){STR("id"), REG_PREFIX, STR("0")};
	assert_int_equal(walk(faces[REG_ROLE_NRA], "tac", with(f, 1), 3), 1);
	f[0] = (struct reg_filter){STR("imei"), REG_PREFIX, STR("35210605000911")};
	assert_int_equal(walk(faces[REG_ROLE_LEA], "listing", with(f, 1), 3), 1);
	/* Too many. */
	struct reg_filter many[40];
	for (unsigned i = 0; i < CEIR_COUNT(many); i++)
		many[i] = (struct reg_filter){STR("name"), REG_NE, STR("x")};
	struct reg_query q = with(many, CEIR_COUNT(many));
	assert_int_equal(query(customs, "importer", &q), REG_RANGE);
	q = with(many, 16);
	assert_int_equal(query(customs, "importer", &q), REG_DONE);
}

static void own_rows_only(void **state)
{
	struct face *importer = faces[REG_ROLE_IMPORTER], *lea = faces[REG_ROLE_LEA];
	struct reg_filter f = {STR("importer"), REG_EQ, STR(IMPORTER2)};
	struct reg_query q = with(&f, 1);

	(void)state;
	assert_int_equal(walk(importer, "permit", (struct reg_query){0}, 10), 1);
	assert_int_equal(walk(importer, "permit", q, 10), 0);
	assert_int_equal(walk(importer, "application", (struct reg_query){0}, 10), 25);
	assert_int_equal(walk(importer, "application", q, 10), 0);
	assert_int_equal(walk(faces[REG_ROLE_POS], "application", (struct reg_query){0}, 10), 0);
	f = (struct reg_filter){STR("account"), REG_EQ, STR("admin")};
	assert_int_equal(walk(lea, "transaction", q, 10), 0);
	q.count = true;
	assert_int_equal(query(lea, "transaction", &q), REG_DONE);
	assert_int_equal(lea->reply.page->count, 0);
	/* Of the devices, those of its own applications, in the order they were applied for. */
	assert_int_equal(walk(importer, "imei", (struct reg_query){0}, 7), 25);
	assert_int_equal(walk(importer, "imei", (struct reg_query){0}, 1000), 25);
	q = (struct reg_query){.count = true};
	assert_int_equal(query(importer, "imei", &q), REG_UNIMPL_OPTION);
}

static void imeis(void **state)
{
	struct face *customs = faces[REG_ROLE_CUSTOMS];
	struct reg_filter f[2] = {{STR("name"), REG_PREFIX, STR(TAC "0009")}, {STR("name"), REG_GE, {NULL, 0}}};

	(void)state;
	assert_int_equal(walk(customs, "imei", with(f, 1), 7), 25);
	f[1].value = str_of(imei_text(TAC, 910));
	assert_int_equal(walk(customs, "imei", with(f, 2), 7), 15);
	f[1].op = REG_GT;
	assert_int_equal(walk(customs, "imei", with(f, 2), 7), 14);
	f[1].op = REG_LT;
	assert_int_equal(walk(customs, "imei", with(f, 2), 7), 10);
	f[1].op = REG_EQ;
	assert_int_equal(walk(customs, "imei", with(f, 2), 7), 1);
	f[1].op = REG_NE;
	struct reg_query q = with(f, 2);
	assert_int_equal(query(customs, "imei", &q), REG_RANGE);
	q = with(f, 1);
	q.count = true;
	assert_int_equal(query(customs, "imei", &q), REG_DONE);
	assert_int_equal(customs->reply.page->count, 25);
	f[0] = (struct reg_filter){STR("application"), REG_EQ, STR("A0")};
	q = with(f, 1);
	assert_int_equal(query(customs, "imei", &q), REG_NOT_FOUND);
}

/* A cursor is only a place: whatever it says, it is a page of the same query or refused. */
static void hostile_cursors(void **state)
{
	static const char *const cursors[] = {"", "i", "t", "i:", "t:", ":", "x1:1", "i1", "i1:", "i:1", "i1:x", "ix:1", "i-:1", "i-1:-1",
		"i9223372036854775807:9223372036854775807", "i9223372036854775808:1", "i-9223372036854775808:1", "i1:1:1", "t00:1", "t0:1", "tzz:1",
		"tff:1", "t27204f5220313d31:1", "i1:1' OR 1=1", "999999999999999", "352106050544203", "-1", "18446744073709551615", "\xff\xfe:1"};

	(void)state;
	for (size_t i = 0; reg_objects[i]; i++)
		for (unsigned role = 1; role < REG_ROLES; role++)
			for (size_t k = 0; k < CEIR_COUNT(cursors) && reg_objects[i]->may[REG_QUERY] & REG_BIT(role); k++) {
				struct reg_query q = {.cursor = str_of(cursors[k]), .descending = k % 2, .limit = 1000};
				unsigned code = query(faces[role], reg_objects[i]->name, &q);

				if (has_own_way(reg_objects[i]))
					continue;
				if (code != REG_DONE && code != REG_VALUE)
					fail_msg("%s %s: %u", reg_objects[i]->name, cursors[k], code);
				if (code == REG_DONE && role == REG_ROLE_IMPORTER && strcmp(reg_objects[i]->name, "permit") == 0)
					for (size_t n = 0; n < faces[role]->reply.page->n_items; n++)
						assert_string_equal(value_of(faces[role]->reply.page->items[n], "importer"), IMPORTER);
			}
	char *longest = malloc(200001);
	memset(longest, '0', 200000);
	longest[0] = 't';
	memcpy(longest + 199998, ":1", 3);
	struct reg_query q = {.cursor = str_of(longest)};
	unsigned code = query(faces[REG_ROLE_ADMIN], "importer", &q);
	assert_true(code == REG_DONE || code == REG_VALUE);
	free(longest);
}

static void limits(void **state)
{
	struct face *admin = faces[REG_ROLE_ADMIN];
	struct reg_query q = {.limit = UINT32_MAX};

	(void)state;
	assert_int_equal(query(admin, "importer", &q), REG_DONE);
	assert_int_equal(admin->reply.page->n_items, 27);
	assert_int_equal(admin->reply.page->next.n, 0);
	q = (struct reg_query){.limit = 27};
	assert_int_equal(query(admin, "importer", &q), REG_DONE);
	assert_int_equal(admin->reply.page->next.n, 0); /* exactly the last */
	q.limit = 26;
	assert_int_equal(query(admin, "importer", &q), REG_DONE);
	assert_true(admin->reply.page->next.n > 0);
}

/* An answer that does not fit is a failure, and stands in the log as one; what was in the buffer before stays. */
static void too_large_an_answer(void **state)
{
	struct face *admin = faces[REG_ROLE_ADMIN];
	struct reg_command c = {.verb = REG_INFO, .object = reg_object_by_name(STR("tac")), .cltrid = STR("LARGE-1"), .request = STR("x")};
	struct reg_node key = {.field = c.object->fields, .text = STR(TAC)};

	(void)state;
	c.key = &key;
	buf_free(&admin->out);
	admin->out = (struct buf)BUF_INIT(20);
	(void)face_do(admin, &c);
	/* Not even the failure fits: the buffer says so, and the log says 2400. */
	assert_true(admin->out.failed);
	assert_int_equal(world_sql(&w, "SELECT code FROM audit WHERE cltrid = 'LARGE-1'"), REG_FAILED);
	buf_free(&admin->out);
	admin->out = (struct buf)BUF_INIT(0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(every_object_in_pages), cmocka_unit_test(every_sort_and_filter),
		cmocka_unit_test(filters), cmocka_unit_test(own_rows_only), cmocka_unit_test(imeis), cmocka_unit_test(hostile_cursors),
		cmocka_unit_test(limits), cmocka_unit_test(too_large_an_answer)};

	return cmocka_run_group_tests(tests, make, destroy);
}

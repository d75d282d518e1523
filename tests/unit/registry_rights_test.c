/* Who may do what, cell by cell of the door's table, and what each may see. */
#include "registry_world.h"

static struct world w;
static struct face *faces[REG_ROLES]; /* by role; 0: nobody */

static const char *const accounts[REG_ROLES] = {NULL, "importer1", "customs", "lea", "tax", "nra", "admin", "operator", "pos"};

static int make(void **state)
{
	(void)state;
	world_open(&w);
	world_settle(&w);
	faces[0] = face_new(&w, "customs");
	for (unsigned role = 1; role < REG_ROLES; role++)
		faces[role] = face_login(&w, accounts[role]);
	return 0;
}

static int destroy(void **state)
{
	(void)state;
	for (unsigned role = 0; role < REG_ROLES; role++)
		face_free(faces[role]);
	assert_int_equal(world_verify(&w, STR(""), true), 0);
	world_close(&w);
	return 0;
}

static unsigned attempt(struct face *f, const struct reg_object *o, enum reg_verb verb)
{
	static const struct reg_query all = {0};
	static const struct str name = STR("nobody");
	struct reg_command c = {.verb = verb, .object = o, .query = &all, .names = &name, .n_names = 1};
	struct reg_node key = {.field = o->fields, .text = STR("nobody")};

	arena_reset(f->arena);
	if (verb != REG_CHECK && verb != REG_CREATE && verb != REG_QUERY)
		c.key = &key;
	return face_do(f, &c);
}

static void every_cell(void **state)
{
	unsigned cells = 0;

	(void)state;
	for (size_t i = 0; reg_objects[i]; i++)
		for (enum reg_verb verb = REG_CHECK; verb < REG_VERBS; verb++)
			for (unsigned role = 0; role < REG_ROLES; role++) {
				const struct reg_object *o = reg_objects[i];
				unsigned code = attempt(faces[role], o, verb), may = o->may[verb];
				unsigned expected = role == 0 ? REG_USE : !may ? REG_UNIMPL_COMMAND : !(may & REG_BIT(role)) ? REG_AUTHORIZATION : 0;
				bool reads = verb == REG_CHECK || verb == REG_QUERY;

				if (expected ? code != expected : code == REG_USE || code == REG_UNIMPL_COMMAND || code == REG_FAILED)
					fail_msg("%s %s by %s: %u", o->name, reg_verb_name(verb), reg_role_name(role), code);
				/* What may be done does something: a query answers with a page, a check with an item. */
				if (!expected && reads && code == REG_DONE)
					assert_int_equal(faces[role]->reply.data, verb == REG_CHECK ? REG_DATA_CHECK : REG_DATA_QUERY);
				/* A personal import without anything is staged, and waits for its rows. */
				bool staged = strcmp(o->name, "application") == 0 && verb == REG_CREATE && role != REG_ROLE_IMPORTER;
				if (!expected && !reads && !staged && code < 2000)
					fail_msg("%s %s of nothing by %s: %u", o->name, reg_verb_name(verb), reg_role_name(role), code);
				cells++;
			}
	assert_int_equal(cells, 19 * 8 * 9);
}

static void nobody_does_nothing(void **state)
{
	(void)state;
	assert_int_equal(poll(faces[0], NULL), REG_USE);
	assert_int_equal(poll(faces[0], "1"), REG_USE);
	struct reg_command out = {.verb = REG_LOGOUT}, hello = {.verb = REG_HELLO};
	assert_int_equal(face_do(faces[0], &out), REG_USE);
	assert_int_equal(face_do(faces[0], &hello), REG_DONE);
	assert_int_equal(login(faces[REG_ROLE_LEA], "lea", PASSWORD, NULL), REG_USE); /* twice */
	assert_false(reg_session_ended(faces[REG_ROLE_LEA]->s));
}

static void transforms_need_a_cltrid(void **state)
{
	struct face *nra = faces[REG_ROLE_NRA];

	(void)state;
	nra->no_cltrid = true;
	assert_int_equal(create(nra, "tac", "id=35999901; manufacturer=a; model=b"), REG_MISSING);
	assert_int_equal(info(nra, "tac", TAC), REG_DONE);
	nra->no_cltrid = false;
	assert_int_equal(info(nra, "tac", "35999901"), REG_NOT_FOUND);
}

/* The schemas of the faces say it too, but the door does not rely on it. */
static void server_fields_cannot_be_set(void **state)
{
	struct face *customs = faces[REG_ROLE_CUSTOMS], *admin = faces[REG_ROLE_ADMIN], *pos = faces[REG_ROLE_POS];
	struct face *importer = faces[REG_ROLE_IMPORTER];

	(void)state;
	assert_int_equal(create(customs, "importer", "id=X1; name=x; crID=lea"), REG_POLICY);
	assert_int_equal(update(customs, "importer", IMPORTER, "id=other", NULL, NULL), REG_POLICY);
	assert_int_equal(update(customs, "permit", PERMIT, "importer=" IMPORTER2, NULL, NULL), REG_POLICY);
	assert_int_equal(update(customs, "permit", PERMIT, "exDate=2099-01-01", NULL, NULL), REG_POLICY);
	assert_int_equal(update(customs, "permit", PERMIT, "position{number=1; used=0}", NULL, NULL), REG_POLICY);
	assert_int_equal(update(admin, "account", "lea", "role=admin", NULL, NULL), REG_POLICY);
	assert_int_equal(create(admin, "account", "id=abc; role=lea; pw=secret-99; lockedUntil=2030-01-01T00:00:00Z"), REG_POLICY);
	assert_int_equal(apply(pos, NULL, "importer=" IMPORTER, SCREEN_IMEI), REG_POLICY);
	assert_int_equal(apply(importer, NULL, "importer=" IMPORTER2 "; permit=P2; position=1", SCREEN_IMEI), REG_POLICY);
	struct face *lea = faces[REG_ROLE_LEA];
	assert_int_equal(create(lea, "listing", "imei=352106050544203; colour=grey; reason=lost; ground=g; status=ended"), REG_POLICY);
}

static void see_prices(unsigned role, bool yes)
{
	assert_int_equal(info(faces[role], "permit", PERMIT), REG_DONE);
	assert_int_equal(value(faces[role], "position.price") != NULL, yes);
	assert_int_equal(value(faces[role], "position.currency") != NULL, yes);
}

static void fields_seen(void **state)
{
	struct face *lea = faces[REG_ROLE_LEA], *importer = faces[REG_ROLE_IMPORTER];
	const char *imei = imei_text(TAC, 100);
	char set[200];

	(void)state;
	see_prices(REG_ROLE_CUSTOMS, true);
	see_prices(REG_ROLE_TAX, true);
	see_prices(REG_ROLE_IMPORTER, true);
	see_prices(REG_ROLE_ADMIN, true);
	see_prices(REG_ROLE_LEA, false);
	/* A subscriber's numbers: police and admin. */
	snprintf(set, sizeof set, "imei=%s; colour=black; reason=stolen; ground=case 1; pair=except; imsi=255011234567890", imei);
	assert_int_equal(create(lea, "listing", set), REG_DONE);
	char id[32];
	snprintf(id, sizeof id, "%s", value(lea, "id"));
	for (unsigned role = 1; role < REG_ROLES; role++)
		if (reg_object_by_name(STR("listing"))->may[REG_INFO] & REG_BIT(role)) {
			assert_int_equal(info(faces[role], "listing", id), REG_DONE);
			assert_int_equal(value(faces[role], "imsi") != NULL, role == REG_ROLE_LEA || role == REG_ROLE_ADMIN);
		}
	/* A device: everybody's verdict, an office's papers. */
	snprintf(set, sizeof set, "name=%s; permit=" PERMIT "; position=1; tag{type=serial; value=SN1}", imei_text(TAC, 101));
	assert_int_equal(create(importer, "imei", set), REG_DONE);
	for (unsigned role = 1; role < REG_ROLES; role++) {
		struct face *f = faces[role];
		bool public = role == REG_ROLE_OPERATOR || role == REG_ROLE_POS;

		assert_int_equal(info(f, "imei", imei_text(TAC, 101)), REG_DONE);
		assert_string_equal(value(f, "state.colour"), "white");
		assert_string_equal(value(f, "model"), "GT-P3100");
		assert_int_equal(value(f, "importer") == NULL, public);
		assert_int_equal(value(f, "tag.value") == NULL, public);
		assert_int_equal(value(f, "application") == NULL, public);
		assert_int_equal(value(f, "price") != NULL, role == REG_ROLE_IMPORTER || role == REG_ROLE_CUSTOMS || role == REG_ROLE_TAX
			|| role == REG_ROLE_ADMIN);
	}
	/* No password, nor anything made of it. */
	assert_int_equal(info(faces[REG_ROLE_ADMIN], "account", "lea"), REG_DONE);
	assert_null(value(faces[REG_ROLE_ADMIN], "pw"));
}

static void somebody_elses(void **state)
{
	struct face *importer = faces[REG_ROLE_IMPORTER], *lea = faces[REG_ROLE_LEA];

	(void)state;
	assert_int_equal(info(importer, "importer", IMPORTER), REG_DONE);
	assert_int_equal(info(importer, "importer", IMPORTER2), REG_AUTHORIZATION);
	assert_int_equal(info(importer, "permit", "P2"), REG_AUTHORIZATION);
	assert_int_equal(info(importer, "account", "importer2"), REG_AUTHORIZATION);
	assert_int_equal(info(lea, "account", "lea"), REG_DONE);
	assert_int_equal(info(lea, "account", "admin"), REG_AUTHORIZATION);
	assert_int_equal(info(lea, "account", "nobody"), REG_NOT_FOUND);
	/* A transaction: one's own, and admin's. */
	char own[REG_SVTRID_MAX], other[REG_SVTRID_MAX];
	info(lea, "tac", TAC);
	memcpy(own, lea->reply.svtrid, sizeof own);
	info(importer, "tac", TAC);
	memcpy(other, importer->reply.svtrid, sizeof other);
	assert_int_equal(info(lea, "transaction", own), REG_DONE);
	assert_string_equal(value(lea, "id"), own);
	assert_string_equal(value(lea, "name"), TAC);
	assert_int_equal(info(lea, "transaction", other), REG_AUTHORIZATION);
	assert_int_equal(info(faces[REG_ROLE_ADMIN], "transaction", other), REG_DONE);
	static const char *const names[] = {"", "UKR-", "UKR-20260101000000000000", "UKR-20269901000000000000", "XXX-20260101000000000000",
		"UKR-2026010100000000000x", "UKR-20260101000000000000-and-more"};
	for (size_t i = 0; i < CEIR_COUNT(names); i++)
		assert_int_equal(info(lea, "transaction", names[i]), REG_NOT_FOUND);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(every_cell), cmocka_unit_test(nobody_does_nothing),
		cmocka_unit_test(transforms_need_a_cltrid), cmocka_unit_test(server_fields_cannot_be_set), cmocka_unit_test(fields_seen),
		cmocka_unit_test(somebody_elses)};

	return cmocka_run_group_tests(tests, make, destroy);
}

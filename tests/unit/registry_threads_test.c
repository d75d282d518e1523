/*
 * The door with many sessions at once: the last unit of a position, a device that everybody wants, accounts that change under
 * their sessions, checks while verdicts change. Meant for ThreadSanitizer as much as for the asserts.
 */
#include "registry_world.h"

#include <pthread.h>
#include <stdatomic.h>
#include <time.h>

#define SESSIONS 6
#define UNITS 10

static struct world w;
static _Atomic unsigned good, refused;

static int make(void **state)
{
	(void)state;
	world_open(&w);
	w.settings.max_sessions_account = SESSIONS + 2;
	world_stop(&w);
	world_start(&w);
	world_settle(&w);
	return 0;
}

static int destroy(void **state)
{
	(void)state;
	assert_int_equal(world_verify(&w, STR(""), true), 0);
	world_close(&w);
	return 0;
}

static void run_all(void *(*run)(void *))
{
	pthread_t threads[SESSIONS];
	unsigned ids[SESSIONS];

	good = refused = 0;
	for (unsigned i = 0; i < SESSIONS; i++) {
		ids[i] = i;
		assert_int_equal(pthread_create(&threads[i], NULL, run, &ids[i]), 0);
	}
	for (unsigned i = 0; i < SESSIONS; i++)
		pthread_join(threads[i], NULL);
}

/* ---- quantities ---- */

static void *race_for_units(void *arg)
{
	unsigned me = *(unsigned *)arg;
	struct face *f = face_login(&w, "importer1");
	char set[128], id[32];

	for (uint32_t i = 0; i < 5; i++) {
		uint32_t serial = me * 100 + i;

		if (me % 2) {
			snprintf(set, sizeof set, "name=%s; permit=RACE; position=1", imei_text(TAC, serial));
			unsigned code = create(f, "imei", set);
			good += code == REG_DONE;
			refused += code == REG_POLICY;
		} else {
			assert_int_equal(apply(f, NULL, "permit=RACE; position=1", imei_text(TAC, serial)), REG_PENDING);
			snprintf(id, sizeof id, "%s", value(f, "id"));
			wait_done(f, id);
			assert_int_equal(results(f, id, 0, 1), REG_DONE);
			good += strcmp(f->reply.rows[0].result, "accepted") == 0;
			refused += f->reply.rows[0].code && strcmp(f->reply.rows[0].code, "quantity") == 0;
		}
	}
	face_free(f);
	return NULL;
}

static void the_last_units(void **state)
{
	struct face *customs = face_login(&w, "customs");

	(void)state;
	assert_int_equal(create(customs, "permit", "id=RACE; importer=" IMPORTER "; issued=2015-12-12; exDate=2035-12-11; position{number=1;"
		"certificate=" CERTIFICATE "; manufacturer=Samsung; model=GT-P3100; country=KR; quantity=10; price=1; currency=UAH}"), REG_DONE);
	run_all(race_for_units);
	assert_int_equal(good, UNITS);
	assert_int_equal(refused, SESSIONS * 5 - UNITS);
	assert_int_equal(info(customs, "permit", "RACE"), REG_DONE);
	assert_string_equal(value(customs, "position.used"), "10");
	face_free(customs);
}

/* ---- one device ---- */

static void *race_for_a_device(void *arg)
{
	unsigned me = *(unsigned *)arg;
	struct face *f = face_login(&w, me % 2 ? "importer1" : "importer2");
	char set[128];

	for (uint32_t i = 0; i < 20; i++) {
		snprintf(set, sizeof set, "name=%s; permit=%s; position=1", imei_text(TAC, 7000 + i), me % 2 ? PERMIT : "P2");
		unsigned code = create(f, "imei", set);
		good += code == REG_DONE;
		refused += code == REG_EXISTS;
	}
	face_free(f);
	return NULL;
}

static void one_device_one_owner(void **state)
{
	(void)state;
	run_all(race_for_a_device);
	assert_int_equal(good, 20);
	assert_int_equal(refused, SESSIONS * 20 - 20);
}

/* ---- everything at once ---- */

static void *mixed(void *arg)
{
	unsigned me = *(unsigned *)arg;
	static const char *const who[] = {"lea", "nra", "customs", "pos", "operator", "admin"};
	struct face *f = NULL;
	struct reg_query all = {.limit = 5};
	char id[32], set[200];

	for (uint32_t i = 0; i < 60; i++) {
		/* Sessions come and go. */
		if (i % 15 == 0) {
			face_free(f);
			f = face_login(&w, who[me]);
		}
		assert_int_equal(check(f, "imei", imei_text(TAC, 8000 + i % 7)), REG_DONE);
		switch (me) {
		case 0:
			snprintf(set, sizeof set, "imei=%s; colour=black; reason=stolen; ground=g", imei_text(TAC, 8000 + i % 7));
			assert_int_equal(create(f, "listing", set), REG_DONE);
			snprintf(id, sizeof id, "%s", value(f, "id"));
			assert_verdict(f, imei_text(TAC, 8000 + i % 7), "black", "stolen"); /* one's own change is seen */
			assert_int_equal(remove_(f, "listing", id, "ground=found"), REG_DONE);
			break;
		case 1:
			assert_int_equal(update(f, "certificate", CERTIFICATE, i % 2 ? "status=valid" : "status=revoked", NULL, NULL), REG_DONE);
			break;
		case 2:
			assert_int_equal(query(f, "listing", &all), REG_DONE);
			assert_int_equal(update(f, "importer", IMPORTER2, i % 2 ? "status=active" : "status=revoked", NULL, NULL), REG_DONE);
			break;
		case 5:
			assert_int_equal(update(f, "account", "tax", "pw=yet-another-1", NULL, NULL), REG_DONE);
			assert_int_equal(query(f, "transaction", &all), REG_DONE);
			break;
		default:
			assert_int_equal(info(f, "tac", TAC), REG_DONE);
		}
	}
	face_free(f);
	return NULL;
}

static void everything_at_once(void **state)
{
	(void)state;
	run_all(mixed);
	struct face *f = face_login(&w, "customs");
	/* The certificate's last word was "valid", the importer's "active". */
	wait_verdict(f, imei_text(TAC, 7000), "white", "registered");
	for (unsigned i = 0; i < 20; i++)
		wait_verdict(f, imei_text(TAC, 7000 + i), "white", "registered");
	/* The last ripples change nothing any more, but verify compares verdicts only when they are through. */
	for (unsigned i = 0; i < 2000 && world_sql(&w, "SELECT count(*) FROM ripple"); i++)
		nanosleep(&(struct timespec){0, 5000000}, NULL);
	assert_int_equal(world_verify(&w, STR(""), true), 0);
	face_free(f);
}

/* ---- the limit of sessions ---- */

static void *log_in(void *arg)
{
	struct face *f = face_new(&w, "tax");

	(void)arg;
	unsigned code = login(f, "tax", "yet-another-1", NULL);
	good += code == REG_DONE;
	refused += code == REG_LIMIT_CLOSING;
	while (good + refused < SESSIONS)
		;
	face_free(f);
	return NULL;
}

static void sessions_of_one_account(void **state)
{
	(void)state;
	world_stop(&w);
	w.settings.max_sessions_account = 2;
	world_start(&w);
	run_all(log_in);
	assert_int_equal(good, 2);
	assert_int_equal(refused, SESSIONS - 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(the_last_units), cmocka_unit_test(one_device_one_owner),
		cmocka_unit_test(everything_at_once), cmocka_unit_test(sessions_of_one_account)};

	return cmocka_run_group_tests(tests, make, destroy);
}

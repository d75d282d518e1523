/* Listings: authorities, stages, times kept by the clock, several of one IMEI, barred TACs, pairs; and what they mean for a verdict. */
#include "registry_world.h"

#include <time.h>

static struct world w;
static struct face *lea, *nra, *pos, *importer, *admin;
static uint32_t serial = 1000;

static const struct login_of faces[] = {{&lea, "lea"}, {&nra, "nra"}, {&pos, "pos"}, {&importer, "importer1"}, {&admin, "admin"}};

static int make(void **state)
{
	(void)state;
	world_open(&w);
	world_settle(&w);
	faces_login(&w, faces, CEIR_COUNT(faces));
	return 0;
}

static int destroy(void **state)
{
	(void)state;
	faces_free(faces, CEIR_COUNT(faces));
	assert_int_equal(world_verify(&w, STR(""), true), 0);
	world_close(&w);
	return 0;
}

static void fresh(char out[16])
{
	strcpy(out, imei_text(TAC, serial++));
}

/* A listing of an IMEI; its code in id. */
static unsigned list(struct face *f, const char *imei, const char *more, char id[32])
{
	char set[256];

	snprintf(set, sizeof set, "%s=%s; ground=case 7; %s", strlen(imei) == 8 ? "tac" : "imei", imei, more);
	unsigned code = create(f, "listing", set);
	if (id && code == REG_DONE)
		snprintf(id, 32, "%s", value(f, "id"));
	return code;
}

static unsigned end(struct face *f, const char *id)
{
	return remove_(f, "listing", id, "ground=found");
}

static void from_now(int ms, char out[TIME_RFC3339_MAX])
{
	time_rfc3339(clock_real_us() + ms * 1000, out);
}

static void authorities(void **state)
{
	char a[16], id[32];

	(void)state;
	fresh(a);
	assert_int_equal(list(lea, a, "colour=white; reason=evidence", NULL), REG_AUTHORIZATION);
	assert_int_equal(list(nra, a, "colour=black; reason=stolen", NULL), REG_AUTHORIZATION);
	assert_int_equal(list(lea, "35999999", "colour=black; reason=barred", NULL), REG_AUTHORIZATION);
	assert_int_equal(list(nra, "35999999", "colour=grey; reason=barred", NULL), REG_AUTHORIZATION);
	assert_int_equal(list(nra, "35999999", "colour=white; reason=evidence", NULL), REG_AUTHORIZATION);
	assert_int_equal(create(lea, "listing", "colour=black; reason=lost; ground=g"), REG_MISSING);
	assert_int_equal(create(lea, "listing", "imei=" SCREEN_IMEI "; tac=" TAC "; colour=black; reason=lost; ground=g"), REG_POLICY);
	assert_int_equal(create(lea, "listing", "imei=" SCREEN_IMEI "; colour=black; reason=lost"), REG_MISSING);
	assert_int_equal(create(lea, "listing", "imei=" SCREEN_IMEI "; colour=red; reason=lost; ground=g"), REG_RANGE);
	assert_int_equal(create(lea, "listing", "imei=352106050544204; colour=grey; reason=lost; ground=g"), REG_VALUE);
	assert_int_equal(list(lea, a, "colour=grey; reason=fraud", id), REG_DONE);
	assert_verdict(pos, a, "grey", "listed-grey");
	assert_int_equal(end(nra, id), REG_AUTHORIZATION);
	assert_int_equal(update(nra, "listing", id, "ground=x", NULL, NULL), REG_AUTHORIZATION);
	assert_int_equal(remove_(lea, "listing", id, NULL), REG_MISSING);
	assert_int_equal(end(lea, id), REG_DONE);
	assert_verdict(pos, a, "unknown", "never-heard");
	assert_int_equal(end(lea, id), REG_STATUS);
	assert_int_equal(info(lea, "listing", id), REG_DONE); /* never deleted */
	assert_string_equal(value(lea, "status"), "ended");
	assert_string_equal(value(lea, "endGround"), "found");
	assert_string_equal(value(lea, "endID"), "lea");
	assert_int_equal(info(lea, "listing", "L0"), REG_NOT_FOUND);
}

static void several_of_one_imei(void **state)
{
	char a[16], lost[32], stolen[32], grey[32], white[32], set[128];

	(void)state;
	fresh(a);
	assert_int_equal(list(lea, a, "colour=black; reason=lost", lost), REG_DONE);
	assert_int_equal(list(lea, a, "colour=black; reason=stolen", stolen), REG_DONE);
	assert_int_equal(list(lea, a, "colour=grey; reason=other", grey), REG_DONE);
	assert_int_equal(list(nra, a, "colour=white; reason=evidence", white), REG_DONE);
	assert_verdict(pos, a, "black", "stolen");
	assert_int_equal(end(lea, stolen), REG_DONE);
	assert_verdict(pos, a, "black", "lost");
	assert_int_equal(end(lea, lost), REG_DONE);
	assert_verdict(pos, a, "white", "listed-white");
	assert_int_equal(end(nra, white), REG_DONE);
	assert_verdict(pos, a, "grey", "listed-grey");
	assert_int_equal(end(lea, grey), REG_DONE);
	assert_verdict(pos, a, "unknown", "never-heard");
	/* A row that says "unknown" is there now; the IMEI can still be registered. */
	assert_int_equal(info(lea, "imei", a), REG_DONE);
	assert_string_equal(value(lea, "state.colour"), "unknown");
	snprintf(set, sizeof set, "name=%s; permit=" PERMIT "; position=1", a);
	assert_int_equal(create(importer, "imei", set), REG_DONE);
	assert_verdict(pos, a, "white", "registered");
	/* Grey on a registered device tracks; the same reason twice, one ended. */
	assert_int_equal(list(lea, a, "colour=black; reason=stolen", stolen), REG_DONE);
	assert_int_equal(list(lea, a, "colour=black; reason=stolen", lost), REG_DONE);
	assert_int_equal(end(lea, stolen), REG_DONE);
	assert_verdict(pos, a, "black", "stolen");
	assert_int_equal(end(lea, lost), REG_DONE);
	assert_verdict(pos, a, "white", "registered");
	/* A listed IMEI that is no importer's device is nobody's own. */
	fresh(a);
	assert_int_equal(list(lea, a, "colour=grey; reason=other", NULL), REG_DONE);
	assert_int_equal(info(importer, "imei", a), REG_AUTHORIZATION);
	assert_int_equal(remove_(importer, "imei", a, NULL), REG_NOT_FOUND);
}

static void stages(void **state)
{
	char a[16], id[32];

	(void)state;
	fresh(a);
	assert_int_equal(list(lea, a, "colour=black; reason=stolen; stage=provisional", id), REG_DONE);
	assert_int_equal(update(lea, "listing", id, "stage=confirmed", NULL, NULL), REG_DONE);
	assert_int_equal(update(lea, "listing", id, "stage=provisional", NULL, NULL), REG_STATUS);
	assert_int_equal(update(lea, "listing", id, "colour=grey", NULL, NULL), REG_POLICY);
	assert_int_equal(update(lea, "listing", id, "imei=" SCREEN_IMEI, NULL, NULL), REG_POLICY);
	assert_verdict(pos, a, "black", "stolen");
	assert_int_equal(update(lea, "listing", id, "stage=recovered", NULL, NULL), REG_DONE);
	assert_verdict(pos, a, "unknown", "never-heard");
	assert_int_equal(update(lea, "listing", id, "ground=again", NULL, NULL), REG_STATUS);
}

static void times(void **state)
{
	char a[16], id[32], since[TIME_RFC3339_MAX], until[TIME_RFC3339_MAX], more[160];

	(void)state;
	fresh(a);
	from_now(-60000, until);
	snprintf(more, sizeof more, "colour=black; reason=lost; until=%s", until);
	assert_int_equal(list(lea, a, more, NULL), REG_RANGE);
	assert_int_equal(list(lea, a, "colour=black; reason=lost; since=2030-01-01T00:00:00Z; until=2029-01-01T00:00:00Z", NULL), REG_RANGE);
	assert_int_equal(list(lea, a, "colour=black; reason=lost; since=2030-13-01T00:00:00Z", NULL), REG_VALUE);
	/* Comes into force by itself, and ends by itself. (In its first second a register is a second ahead: see load_last_trid().) */
	from_now(1800, since);
	from_now(3600, until);
	snprintf(more, sizeof more, "colour=black; reason=lost; since=%s; until=%s", since, until);
	assert_int_equal(list(lea, a, more, id), REG_DONE);
	assert_int_equal(info(lea, "listing", id), REG_DONE);
	assert_string_equal(value(lea, "status"), "scheduled");
	assert_verdict(pos, a, "unknown", "never-heard");
	wait_verdict(pos, a, "black", "lost");
	assert_int_equal(info(lea, "listing", id), REG_DONE);
	assert_string_equal(value(lea, "status"), "inForce");
	wait_verdict(pos, a, "unknown", "never-heard");
	assert_int_equal(info(lea, "listing", id), REG_DONE);
	assert_string_equal(value(lea, "status"), "ended");
	assert_string_equal(value(lea, "endGround"), "expired");
	assert_string_equal(value(lea, "endID"), "ceir");
	/* What the clock did names the command that ordered it. */
	char sql[160];
	snprintf(sql, sizeof sql, "SELECT count(*) FROM change WHERE tx = %s AND imei = %.14s", id + 1, a);
	assert_int_equal(world_sql(&w, sql), 2);
	/* A scheduled one can be ended before, and one in force shortened. */
	assert_int_equal(list(lea, a, "colour=black; reason=lost; since=2090-01-01T00:00:00Z", id), REG_DONE);
	assert_int_equal(end(lea, id), REG_DONE);
	assert_int_equal(list(lea, a, "colour=black; reason=lost", id), REG_DONE);
	from_now(1300, until);
	snprintf(more, sizeof more, "until=%s", until);
	assert_int_equal(update(lea, "listing", id, more, NULL, NULL), REG_DONE);
	wait_verdict(pos, a, "unknown", "never-heard");
}

/* The clock stood still while the register was stopped: what became due is done at the start. */
static void due_while_stopped(void **state)
{
	char a[16], b[16], more[160], at[TIME_RFC3339_MAX];

	(void)state;
	fresh(a);
	fresh(b);
	from_now(1300, at);
	snprintf(more, sizeof more, "colour=black; reason=lost; until=%s", at);
	assert_int_equal(list(lea, a, more, NULL), REG_DONE);
	snprintf(more, sizeof more, "colour=black; reason=lost; since=%s", at);
	assert_int_equal(list(lea, b, more, NULL), REG_DONE);
	faces_free(faces, CEIR_COUNT(faces));
	world_stop(&w);
	nanosleep(&(struct timespec){1, 400000000}, NULL);
	world_start(&w);
	faces_login(&w, faces, CEIR_COUNT(faces));
	wait_verdict(pos, a, "unknown", "never-heard");
	wait_verdict(pos, b, "black", "lost");
}

#define BARRED "35210699"

static void barred_tacs(void **state)
{
	char a[16], b[16], first[32], second[32], set[128];

	(void)state;
	strcpy(a, imei_text(BARRED, 1));
	strcpy(b, imei_text(BARRED, 2));
	snprintf(set, sizeof set, "name=%s; permit=" PERMIT "; position=1", a);
	assert_int_equal(create(importer, "imei", set), REG_DONE);
	assert_int_equal(list(nra, BARRED, "colour=black; reason=barred", first), REG_DONE);
	assert_int_equal(list(nra, BARRED, "colour=black; reason=court", second), REG_DONE);
	for (unsigned i = 0; i < 2; i++) {
		assert_verdict(pos, a, "black", "barred-tac");
		assert_verdict(pos, b, "black", "barred-tac");
		/* Nothing of it can be registered, before a restart and after. */
		snprintf(set, sizeof set, "name=%s; permit=" PERMIT "; position=1", b);
		assert_int_equal(create(importer, "imei", set), REG_POLICY);
		assert_int_equal(info(importer, "imei", a), REG_DONE);
		assert_string_equal(value(importer, "state.reason"), "barred-tac");
		assert_string_equal(value(importer, "status"), "registered");
		faces_free(faces, CEIR_COUNT(faces));
		world_stop(&w);
		world_start(&w);
		faces_login(&w, faces, CEIR_COUNT(faces));
	}
	/* A theft is the nearer reason. */
	assert_int_equal(list(lea, b, "colour=black; reason=stolen", NULL), REG_DONE);
	assert_verdict(pos, b, "black", "stolen");
	assert_int_equal(end(nra, first), REG_DONE);
	assert_verdict(pos, a, "black", "barred-tac"); /* one of two */
	assert_int_equal(end(nra, second), REG_DONE);
	assert_verdict(pos, a, "white", "registered");
	assert_verdict(pos, b, "black", "stolen");
	assert_int_equal(world_verify(&w, STR(""), true), 0);
	/* A register whose barring was taken out of the change log, or out of the listings, does not verify. */
	assert_int_equal(list(nra, BARRED, "colour=black; reason=barred", first), REG_DONE);
	snprintf(set, sizeof set, "UPDATE listing SET status = 'ended' WHERE code = '%s'", first);
	world_sql(&w, set);
	assert_true(world_verify(&w, STR(""), false) > 0);
	snprintf(set, sizeof set, "UPDATE listing SET status = 'inForce' WHERE code = '%s'", first);
	world_sql(&w, set);
	assert_int_equal(world_verify(&w, STR(""), true), 0);
	assert_int_equal(end(nra, first), REG_DONE);
}

static void pairs(void **state)
{
	char a[16], id[32];

	(void)state;
	fresh(a);
	assert_int_equal(list(lea, a, "colour=black; reason=stolen; imsi=255011234567890", NULL), REG_MISSING);
	assert_int_equal(list(lea, a, "colour=black; reason=stolen; pair=only", NULL), REG_MISSING);
	assert_int_equal(list(lea, a, "colour=black; reason=stolen; pair=only; imsi=25501", NULL), REG_RANGE);
	assert_int_equal(list(lea, a, "colour=black; reason=stolen; pair=only; msisdn=38067x", NULL), REG_VALUE);
	assert_int_equal(list(lea, a, "colour=black; reason=stolen; pair=except; imsi=255011234567890", id), REG_DONE);
	/* The IMEI alone is not black; but whoever asks is told that the subscriber matters. */
	assert_verdict(pos, a, "unknown", "never-heard");
	assert_true(pos->reply.checks->verdict.pair);
	assert_int_equal(end(lea, id), REG_DONE);
	assert_int_equal(check(pos, "imei", a), REG_DONE);
	assert_false(pos->reply.checks->verdict.pair);
}

/* A number from the changes of an IMEI. */
static int64_t of_changes(const char *what, const char *imei, const char *and)
{
	char sql[200];

	snprintf(sql, sizeof sql, "SELECT %s FROM change WHERE imei = %.14s AND %s", what, imei, and);
	return world_sql(&w, sql);
}

/* Lists of exceptions follow the change log: a pair that comes or goes is a change even where the verdict for everybody else stays. */
static void every_pair_is_a_change(void **state)
{
	char a[16], one[32], two[32], set[128], later[TIME_RFC3339_MAX];

	(void)state;
	fresh(a);
	assert_int_equal(list(lea, a, "colour=black; reason=stolen; pair=except; imsi=255011234567890", one), REG_DONE);
	assert_int_equal(of_changes("count(*)", a, "scope IS NULL"), 1);
	assert_int_equal(list(lea, a, "colour=black; reason=stolen; pair=except; imsi=255011234567891", two), REG_DONE);
	assert_int_equal(of_changes("count(*)", a, "scope = 2 AND before = verdict"), 1);
	/* One that begins later is none yet; a ground that is corrected neither. */
	from_now(600000, later);
	snprintf(set, sizeof set, "colour=black; reason=stolen; pair=except; imsi=255011234567892; since=%s", later);
	assert_int_equal(list(lea, a, set, NULL), REG_DONE);
	assert_int_equal(update(lea, "listing", two, "ground=case 8", NULL, NULL), REG_DONE);
	assert_int_equal(of_changes("count(*)", a, "1"), 2);
	assert_int_equal(remove_(lea, "listing", two, "ground=gone"), REG_DONE);
	assert_int_equal(of_changes("count(*)", a, "scope = 2"), 2);
	/* The last one takes the pair bit away with it: that is a change of the verdict. */
	assert_int_equal(remove_(lea, "listing", one, "ground=gone"), REG_DONE);
	assert_int_equal(of_changes("count(*)", a, "scope = 2"), 2);
	assert_int_equal(of_changes("count(*)", a, "scope IS NULL"), 2);
}

static void a_change_says_what_was_before(void **state)
{
	char a[16], grey[32];

	(void)state;
	fresh(a);
	assert_int_equal(list(lea, a, "colour=grey; reason=other", grey), REG_DONE);
	assert_int_equal(list(lea, a, "colour=black; reason=stolen", NULL), REG_DONE);
	assert_int_equal(of_changes("count(*)", a, "before IS NULL AND verdict & 3 = 2"), 1);
	assert_int_equal(of_changes("count(*)", a, "before & 3 = 2 AND verdict & 3 = 3"), 1);
	assert_int_equal(world_sql(&w, "SELECT count(*) FROM change c WHERE scope IS NULL AND coalesce(before, 0) <> coalesce((SELECT verdict FROM"
		" change p WHERE p.imei = c.imei AND p.scope IS NULL AND p.seq < c.seq ORDER BY seq DESC LIMIT 1), 0)"), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(authorities), cmocka_unit_test(several_of_one_imei), cmocka_unit_test(stages),
		cmocka_unit_test(times), cmocka_unit_test(due_while_stopped), cmocka_unit_test(barred_tacs), cmocka_unit_test(pairs),
		cmocka_unit_test(every_pair_is_a_change), cmocka_unit_test(a_change_says_what_was_before)};

	return cmocka_run_group_tests(tests, make, destroy);
}

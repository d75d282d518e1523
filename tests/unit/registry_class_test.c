/*
 * The classification through the door: what networks see changes verdicts, dates are fixed and pass, clones keep their genuine
 * pair, watches are told, policies are tried and guarded, and a start finds everything as it was.
 */
#include "registry_country.h"

#include <time.h>

static struct country c;

/* ---- helpers ---- */

static void assert_field(struct face *f, const char *path, const char *expected)
{
	const char *got = value(f, path);

	if (expected ? !got || strcmp(got, expected) != 0 : got != NULL)
		fail_msg("%s is %s, not %s", path, got ? got : "(none)", expected ? expected : "(none)");
}

static const char *date_in(int days)
{
	static char text[4][DATE_MAX];
	static unsigned next;
	char *out = text[next++ % 4];

	date_print(date_of_us(clock_real_us()) + days, out);
	return out;
}

/* n subscribers of one operator with one phone. */
static void crowd(struct face *f, const char *imei, unsigned from, unsigned n)
{
	for (unsigned i = from; i < from + n; i++) {
		char imsi[20], msisdn[20];

		snprintf(imsi, sizeof imsi, "25501%010u", i);
		snprintf(msisdn, sizeof msisdn, "38050%07u", i);
		see(f, imei, imsi, msisdn);
	}
	country_settle(&c);
}

static void grey(const char *imei, unsigned subscriber)
{
	crowd(c.a, imei, subscriber, 1);
	assert_verdict(c.a, imei, "grey", "unregistered-seen");
}

static int64_t last_change(const char *imei, const char *column)
{
	char sql[200];

	snprintf(sql, sizeof sql, "SELECT %s FROM change WHERE imei = %.14s AND scope IS NULL ORDER BY seq DESC LIMIT 1", column, imei);
	return world_sql(&c.w, sql);
}

static unsigned colour_of(int64_t packed)
{
	return verdict_unpack((uint16_t)packed).colour;
}

static void registered(const char *imei)
{
	struct face *importer = face_login(&c.w, "importer1");
	char set[256];

	snprintf(set, sizeof set, "name=%s; permit=" PERMIT "; position=1", imei);
	assert_int_equal(create(importer, "imei", set), REG_DONE);
	face_free(importer);
}

/* ---- grey, then black ---- */

static void a_phone_nobody_registered_is_grey_with_a_date(void **state)
{
	const char *imei = imei_text(TAC_B, 1);

	(void)state;
	assert_verdict(c.a, imei, "unknown", "never-heard");
	grey(imei, 1);
	assert_int_equal(info(c.lea, "verdict", imei), REG_DONE);
	assert_field(c.lea, "colour", "grey");
	assert_field(c.lea, "reason", "unregistered-seen");
	assert_field(c.lea, "noticed", date_in(0));
	assert_field(c.lea, "block", date_in(90));
	assert_field(c.lea, "condition.name", "not-registered");
	country_restart(&c);
	assert_verdict(c.a, imei, "grey", "unregistered-seen");
	country_days(&c, 30);
	assert_int_equal(info(c.lea, "verdict", imei), REG_DONE);
	assert_field(c.lea, "block", date_in(60));
	/* Seen again: the date does not move. */
	crowd(c.a, imei, 1, 2);
	assert_int_equal(info(c.lea, "verdict", imei), REG_DONE);
	assert_field(c.lea, "block", date_in(60));
	country_days(&c, 60);
	assert_verdict(c.a, imei, "black", "unregistered-seen");
	country_restart(&c);
	assert_verdict(c.a, imei, "black", "unregistered-seen");
	assert_int_equal(info(c.lea, "verdict", imei), REG_DONE);
	char since[40];
	snprintf(since, sizeof since, "%sT00:00:00.000000Z", date_in(0));
	assert_field(c.lea, "since", since);
}

static void a_start_finds_what_the_log_says(void **state)
{
	const char *imei = imei_text(TAC_B, 1), *other = imei_text(TAC_B, 2);

	(void)state;
	grey(imei, 1);
	country_run(&c); /* into the file */
	grey(other, 2);  /* in the log only */
	country_logout(&c);
	world_stop(&c.w);
	world_start(&c.w);
	/* Before its first run the table is there already. */
	country_login(&c);
	assert_verdict(c.a, imei, "grey", "unregistered-seen");
	assert_verdict(c.a, other, "grey", "unregistered-seen");
	country_settle(&c);
	int64_t n = world_sql(&c.w, "SELECT count(*) FROM change WHERE scope IS NULL");
	country_run(&c);
	assert_int_equal(world_sql(&c.w, "SELECT count(*) FROM change WHERE scope IS NULL"), n);
}

/* ---- rows and triplets together ---- */

static void registering_a_grey_phone_makes_it_white_and_the_log_says_what_it_was(void **state)
{
	const char *imei = imei_text(TAC, 7);

	(void)state;
	grey(imei, 7);
	registered(imei);
	assert_verdict(c.a, imei, "white", "registered");
	assert_int_equal(colour_of(last_change(imei, "before")), VERDICT_GREY);
	assert_int_equal(colour_of(last_change(imei, "verdict")), VERDICT_WHITE);
	country_run(&c);
	country_restart(&c);
	assert_verdict(c.a, imei, "white", "registered");
}

static void a_listing_that_ends_gives_way_to_the_triplets(void **state)
{
	const char *imei = imei_text(TAC_B, 9);
	char set[200], id[64];

	(void)state;
	grey(imei, 9);
	snprintf(set, sizeof set, "imei=%s; colour=black; reason=stolen; ground=case 1", imei);
	assert_int_equal(create(c.lea, "listing", set), REG_DONE);
	snprintf(id, sizeof id, "%s", value(c.lea, "id"));
	assert_verdict(c.a, imei, "black", "stolen");
	assert_int_equal(colour_of(last_change(imei, "before")), VERDICT_GREY);
	crowd(c.b, imei, 10, 1);
	assert_verdict(c.a, imei, "black", "stolen");
	assert_int_equal(remove_(c.lea, "listing", id, "ground=found"), REG_DONE);
	assert_verdict(c.a, imei, "grey", "unregistered-seen");
	country_days(&c, 91);
	assert_verdict(c.a, imei, "black", "unregistered-seen");
}

static void a_listing_that_says_the_same_counts_when_the_triplets_are_silent(void **state)
{
	const char *imei = imei_text(TAC_B, 11);
	char set[200];

	(void)state;
	crowd(c.a, imei, 100, 6);
	assert_verdict(c.a, imei, "grey", "clone");
	snprintf(set, sizeof set, "imei=%s; colour=grey; reason=fraud; ground=case 2", imei);
	assert_int_equal(create(c.lea, "listing", set), REG_DONE);
	assert_verdict(c.a, imei, "grey", "clone");
	assert_int_equal(world_sql(&c.w, "SELECT count(*) FROM imei WHERE imei > 0"), 1);
	/* No clone any more, and registered: the listing alone speaks. */
	activate(&c, draft(&c, "ground=none; condition{name=malformed; rule=malformed; graceDays=90; blocking=yes}"));
	assert_verdict(c.a, imei, "grey", "listed-grey");
}

/* ---- clones ---- */

static void a_clone_is_caught_and_its_genuine_pair_kept(void **state)
{
	const char *imei = imei_text(TAC, 20);
	int64_t now = clock_real_us() / SECOND_US;
	struct list *l;
	char row[128];

	(void)state;
	registered(imei);
	/* The genuine phone is used for long. */
	for (int day = 20; day >= 0; day -= 5)
		assert_int_equal(see_at(c.a, imei, "255010000000500", "380500000500", now - day * 86400LL), REG_DONE);
	country_settle(&c);
	assert_verdict(c.a, imei, "white", "registered");
	crowd(c.a, imei, 600, 3);
	assert_verdict(c.a, imei, "white", "registered");
	crowd(c.a, imei, 603, 1);
	assert_verdict(c.a, imei, "grey", "clone");
	l = list_get(c.a, "exceptions", -1);
	snprintf(row, sizeof row, "%s,255010000000500,380500000500", key14(imei));
	assert_int_equal(l->n, 1);
	assert_string_equal(l->rows[0], row);
	list_free(l);
	l = list_get(c.a, "grey", -1);
	assert_int_equal(l->n, 4);
	assert_null(list_row(l, row));
	list_free(l);
	country_restart(&c);
	assert_verdict(c.a, imei, "grey", "clone");
	/* Its copies are gone for long enough: the record is resolved by the run. */
	for (int i = 0; i < 4; i++) {
		country_days(&c, 10);
		see(c.a, imei, "255010000000500", "380500000500");
	}
	country_settle(&c);
	country_run(&c);
	assert_verdict(c.a, imei, "white", "registered");
	l = list_get(c.a, "exceptions", -1);
	assert_int_equal(l->n, 0);
	list_free(l);
}

/* ---- malformed ---- */

static void what_is_no_imei_is_kept_and_told(void **state)
{
	struct list *l;

	(void)state;
	see(c.a, "12345", "255010000000700", "380500000700");
	see(c.a, "00000000000000", "255010000000701", "380500000701");
	country_settle(&c);
	l = list_get(c.a, "grey", -1);
	assert_non_null(list_row(l, "12345,255010000000700,380500000700,"));
	assert_non_null(list_row(l, "00000000000000,255010000000701,380500000701,"));
	assert_int_equal(l->n, 2);
	list_free(l);
	assert_int_equal(info(c.lea, "verdict", "12345"), REG_DONE);
	assert_field(c.lea, "colour", "grey");
	assert_field(c.lea, "reason", "malformed");
	country_restart(&c);
	assert_int_equal(info(c.lea, "verdict", "12345"), REG_DONE);
	assert_field(c.lea, "block", date_in(90));
	country_days(&c, 90);
	l = list_get(c.a, "black", -1);
	assert_non_null(list_row(l, "12345,"));
	assert_non_null(list_row(l, "00000000000000,"));
	list_free(l);
	l = list_get(c.a, "grey", -1);
	assert_int_equal(l->n, 0);
	list_free(l);
}

/* ---- watches ---- */

static void wait_message(struct face *f, const char *english)
{
	for (int i = 0; i < 2000; i++) {
		if (poll(f, NULL) == REG_MESSAGE) {
			if (!strstr(f->reply.message->english, english))
				fail_msg("%s, not %s", f->reply.message->english, english);
			return;
		}
		nanosleep(&(struct timespec){0, 5000000}, NULL);
	}
	fail_msg("no message: %s", english);
}

static void ack(struct face *f)
{
	char id[64];

	snprintf(id, sizeof id, "%.*s", (int)f->reply.message->id.n, f->reply.message->id.p);
	unsigned code = poll(f, id);
	assert_true(code == REG_DONE || code == REG_NO_MESSAGES);
}

static void who_watches_is_told_once_an_hour(void **state)
{
	const char *imei = imei_text(TAC, 30);
	char set[200];
	int64_t now = clock_real_us() / SECOND_US;

	(void)state;
	registered(imei);
	snprintf(set, sizeof set, "imei=%s; ground=case 3", imei);
	assert_int_equal(create(c.lea, "watch", set), REG_DONE);
	country_settle(&c);
	assert_int_equal(poll(c.lea, NULL), REG_NO_MESSAGES);
	see(c.a, imei, "255010000000800", "380500000800");
	wait_message(c.lea, "seen");
	ack(c.lea);
	see(c.b, imei, "255030000000801", "380500000801");
	country_settle(&c);
	assert_int_equal(poll(c.lea, NULL), REG_NO_MESSAGES);
	/* It changes no verdict. */
	assert_verdict(c.a, imei, "white", "registered");
	assert_int_equal(see_at(c.a, imei, "255010000000800", "380500000800", now + 3700), REG_DONE);
	wait_message(c.lea, "seen");
	ack(c.lea);
	/* Killed before it was told: the next start tells it. */
	country_days(&c, 1);
	country_logout(&c);
	world_stop(&c.w);
	world_sql(&c.w, "UPDATE watch SET last_seen = last_seen - 7200 * 1000000");
	world_start(&c.w);
	country_login(&c);
	wait_message(c.lea, "seen");
	ack(c.lea);
	country_settle(&c);
	country_run(&c);
	assert_int_equal(poll(c.lea, NULL), REG_NO_MESSAGES);
}

/* ---- golden ---- */

static void a_golden_phone_is_spared_and_nobody_sees_it(void **state)
{
	const char *imei = imei_text(TAC_B, 40), *spare = imei_text(TAC_B, 41);
	char set[100];
	struct list *l;

	(void)state;
	grey(imei, 900);
	grey(spare, 901);
	snprintf(set, sizeof set, "id=%s", imei);
	assert_int_equal(create(c.admin, "golden", set), REG_DONE);
	country_settle(&c);
	assert_verdict(c.a, imei, "white", "listed-white");
	assert_int_equal(info(c.lea, "verdict", imei), REG_DONE);
	assert_field(c.lea, "colour", "white");
	assert_field(c.lea, "reason", "listed-white");
	assert_field(c.lea, "noticed", NULL);
	assert_field(c.lea, "block", NULL);
	assert_field(c.lea, "condition.name", NULL);
	for (const struct reg_node *n = c.lea->reply.fields; n; n = n->next)
		if (n->text.p)
			assert_null(strstr(n->text.p, "IMEI is never blocked"));
	assert_int_equal(info(c.lea, "imei", imei), REG_DONE);
	assert_field(c.lea, "state.colour", "white");
	assert_field(c.lea, "state.since", NULL);
	l = list_get(c.a, "grey", -1);
	assert_int_equal(l->n, 1);
	assert_non_null(list_row(l, key14(spare)));
	list_free(l);
	country_days(&c, 91);
	assert_verdict(c.a, imei, "white", "listed-white");
	assert_verdict(c.a, spare, "black", "unregistered-seen");
	l = list_get(c.a, "black", -1);
	assert_int_equal(l->n, 1);
	list_free(l);
	assert_int_equal(remove_(c.admin, "golden", imei, NULL), REG_DONE);
	country_settle(&c);
	assert_verdict(c.a, imei, "black", "unregistered-seen");
}

/* ---- imei:info of what only networks know ---- */

static void imei_info_of_a_phone_that_was_only_seen(void **state)
{
	const char *imei = imei_text(TAC_B, 50);
	struct face *importer = face_login(&c.w, "importer1"), *pos = face_login(&c.w, "pos");

	(void)state;
	assert_int_equal(info(c.lea, "imei", imei), REG_NOT_FOUND);
	grey(imei, 950);
	assert_int_equal(info(c.lea, "imei", imei), REG_DONE);
	assert_field(c.lea, "name", imei);
	assert_field(c.lea, "state.colour", "grey");
	assert_field(c.lea, "state.reason", "unregistered-seen");
	assert_non_null(value(c.lea, "state.since"));
	assert_int_equal(info(c.a, "imei", imei), REG_DONE);
	assert_int_equal(info(pos, "imei", imei), REG_DONE);
	assert_int_equal(info(importer, "imei", imei), REG_NOT_FOUND);
	face_free(importer);
	face_free(pos);
}

/* ---- policy ---- */

static char *many(unsigned n)
{
	char *text = calloc(n + 1, 64), *end = text;

	end += sprintf(end, "imei,imsi,msisdn\n");
	for (unsigned i = 0; i < n; i++)
		end += sprintf(end, "%s,25501%010u,38050%07u\n", imei_text(TAC_B, 1000 + i), 5000 + i, 5000 + i);
	return text;
}

#define STRICT "ground=test; condition{name=malformed; rule=malformed; graceDays=90; blocking=yes};" \
	"condition{name=not-registered; rule=not-registered; graceDays=0; blocking=yes}"

static void a_policy_is_tried_guarded_and_forced(void **state)
{
	char *csv = many(1200);
	char id[32];

	(void)state;
	deliver(&c, c.a, true, csv);
	free(csv);
	assert_verdict(c.a, imei_text(TAC_B, 1000), "grey", "unregistered-seen");
	snprintf(id, sizeof id, "%s", draft(&c, "ground=test; condition{name=malformed; rule=malformed; graceDays=90; blocking=yes}"));
	country_settle(&c);
	wait_message(c.admin, "was tried");
	assert_string_equal(c.admin->reply.message->args[1].p, "1200");
	ack(c.admin);
	assert_int_equal(info(c.admin, "policy", id), REG_DONE);
	assert_field(c.admin, "status", "draft");
	assert_field(c.admin, "dryRun.imeis", "1200");
	assert_field(c.admin, "dryRun.changes", "1200");
	assert_field(c.admin, "dryRun.toUnknown", "1200");
	assert_field(c.admin, "dryRun.toBlack", "0");
	/* More than a tenth: not without being told twice. */
	assert_int_equal(update(c.admin, "policy", id, "status=active", NULL, NULL) / 1000, 1);
	country_settle(&c);
	wait_message(c.admin, "not put in force");
	ack(c.admin);
	assert_int_equal(info(c.admin, "policy", id), REG_DONE);
	assert_field(c.admin, "status", "draft");
	assert_verdict(c.a, imei_text(TAC_B, 1000), "grey", "unregistered-seen");
	activate(&c, id);
	assert_verdict(c.a, imei_text(TAC_B, 1000), "unknown", "never-heard");
	assert_verdict(c.a, imei_text(TAC_B, 2199), "unknown", "never-heard");
	wait_message(c.admin, "in force");
	ack(c.admin);
	country_restart(&c);
	assert_verdict(c.a, imei_text(TAC_B, 1000), "unknown", "never-heard");
}

/* Rows of the register that the run names and that stay what they are do not count. */
static void rows_that_stay_what_they_are_do_not_count_for_the_guard(void **state)
{
	const char *imei = imei_text(TAC, 60);
	char id[32];

	(void)state;
	registered(imei);
	crowd(c.a, imei, 1000, 6);
	assert_verdict(c.a, imei, "grey", "clone");
	snprintf(id, sizeof id, "%s", draft(&c, "ground=test; lookbackDays=100"));
	country_settle(&c);
	assert_int_equal(info(c.admin, "policy", id), REG_DONE);
	assert_field(c.admin, "dryRun.changes", "0");
	snprintf(id, sizeof id, "%s", draft(&c, STRICT));
	country_settle(&c);
	assert_int_equal(info(c.admin, "policy", id), REG_DONE);
	assert_field(c.admin, "dryRun.changes", "1");
	assert_field(c.admin, "dryRun.toWhite", "1");
	activate(&c, id);
	assert_verdict(c.a, imei, "white", "registered");
}

static void the_guard_stops_a_run_that_would_block_many(void **state)
{
	char *csv = many(1200);

	(void)state;
	deliver(&c, c.a, true, csv);
	free(csv);
	country_days(&c, 90);
	assert_verdict(c.a, imei_text(TAC_B, 1000), "grey", "unregistered-seen");
	wait_message(c.admin, "was stopped");
	/* Until it is told otherwise, or the next day. */
	assert_verdict(c.a, imei_text(TAC_B, 2199), "grey", "unregistered-seen");
}

static void an_amnesty_whitens_what_is_in_use(void **state)
{
	const char *imei = imei_text(TAC_B, 70), *clone_imei = imei_text(TAC_B, 71), *late = imei_text(TAC_B, 72);
	char set[400];

	(void)state;
	grey(imei, 1100);
	crowd(c.a, clone_imei, 1200, 6);
	snprintf(set, sizeof set, "ground=launch; amnestyFrom=%s; amnestyUntil=%s", date_in(0), date_in(10));
	activate(&c, draft(&c, set));
	assert_verdict(c.a, imei, "white", "amnesty");
	assert_verdict(c.a, clone_imei, "grey", "clone");
	country_days(&c, 20);
	assert_verdict(c.a, imei, "white", "amnesty");
	crowd(c.a, late, 1300, 1);
	assert_verdict(c.a, late, "grey", "unregistered-seen");
	country_restart(&c);
	country_days(&c, 91);
	assert_verdict(c.a, imei, "white", "amnesty");
	assert_verdict(c.a, late, "black", "unregistered-seen");
}

/* A start after a kill between the changes of a policy and the policy itself: the rows go back. */
static void a_policy_half_in_force_is_taken_back(void **state)
{
	const char *imei = imei_text(TAC, 80);

	(void)state;
	registered(imei);
	crowd(c.a, imei, 1400, 6);
	assert_verdict(c.a, imei, "grey", "clone");
	country_run(&c);
	country_logout(&c);
	world_stop(&c.w);
	/* As if the changes of a policy without clones had been written, and nothing more. */
	char sql[400];
	uint16_t white = verdict_pack((struct verdict){.colour = VERDICT_WHITE, .reason = VERDICT_REGISTERED, .registered = true});
	snprintf(sql, sizeof sql, "INSERT INTO change(seq, imei, verdict, at, tx, before) SELECT max(seq) + 1, %.14s, %u, 1, 1, 0 FROM change;"
		"UPDATE imei SET verdict = %u, chg = (SELECT max(seq) FROM change) WHERE imei = %.14s;"
		"INSERT OR REPLACE INTO meta VALUES ('class.pending', '2');", imei, white, white, imei);
	world_sql(&c.w, sql);
	world_start(&c.w);
	country_login(&c);
	country_settle(&c);
	assert_verdict(c.a, imei, "grey", "clone");
	assert_int_equal(world_sql(&c.w, "SELECT value FROM meta WHERE name = 'class.pending'"), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		COUNTRY_TEST(a_phone_nobody_registered_is_grey_with_a_date, c),
		COUNTRY_TEST(a_start_finds_what_the_log_says, c),
		COUNTRY_TEST(registering_a_grey_phone_makes_it_white_and_the_log_says_what_it_was, c),
		COUNTRY_TEST(a_listing_that_ends_gives_way_to_the_triplets, c),
		COUNTRY_TEST(a_listing_that_says_the_same_counts_when_the_triplets_are_silent, c),
		COUNTRY_TEST(a_clone_is_caught_and_its_genuine_pair_kept, c),
		COUNTRY_TEST(what_is_no_imei_is_kept_and_told, c),
		COUNTRY_TEST(who_watches_is_told_once_an_hour, c),
		COUNTRY_TEST(a_golden_phone_is_spared_and_nobody_sees_it, c),
		COUNTRY_TEST(imei_info_of_a_phone_that_was_only_seen, c),
		COUNTRY_TEST(a_policy_is_tried_guarded_and_forced, c),
		COUNTRY_TEST(rows_that_stay_what_they_are_do_not_count_for_the_guard, c),
		COUNTRY_TEST(the_guard_stops_a_run_that_would_block_many, c),
		COUNTRY_TEST(an_amnesty_whitens_what_is_in_use, c),
		COUNTRY_TEST(a_policy_half_in_force_is_taken_back, c),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Lists for operators: what stands in them and for whom, whole and as deltas, signed, packed and found again. */
#include "registry_country.h"

#include <gnutls/crypto.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "registry/registry_list.h"

static struct country c;

static void assert_dirbs(struct face *f, const char *name, size_t n, const char *row)
{
	static const struct reg_list_request dirbs = {.dirbs = true};
	struct list *l = list_get_as(f, name, &dirbs);

	if (l->n != n || (row && !list_row(l, row))) {
		for (size_t i = 0; i < l->n; i++)
			print_message("%s\n", l->rows[i]);
		fail_msg("%s for DIRBS has %zu rows, not %zu with %s", name, l->n, n, row ? row : "");
	}
	assert_non_null(strstr(l->name, "-dirbs-full-"));
	list_free(l);
}

static const char *row3(const char *imei, const char *imsi, const char *msisdn)
{
	static char rows[4][128];
	static unsigned next;
	char *out = rows[next++ % 4];

	snprintf(out, 128, "%s,%s,%s", key14(imei), imsi, msisdn);
	return out;
}

static const char *with(const char *change, const char *row)
{
	static char rows[4][160];
	static unsigned next;
	char *out = rows[next++ % 4];

	snprintf(out, 160, "%s,%s", change, row);
	return out;
}

/* ---- whose ---- */

static void each_operator_gets_its_own_subscribers(void **state)
{
	const char *imei = imei_text(TAC_B, 1);

	(void)state;
	see(c.a, imei, "255010000000001", "380500000001");
	see(c.b, imei, "255030000000002", "380630000002");
	/* Seen by the other one: still its home's. */
	see(c.b, imei, "255010000000003", "380500000003");
	/* A foreigner belongs to who saw it. */
	see(c.b, imei, "260010000000004", "48601000004");
	country_settle(&c);
	assert_list_rows(c.a, "grey", -1, 2, row3(imei, "255010000000001", "380500000001"));
	assert_list_rows(c.a, "grey", -1, 2, row3(imei, "255010000000003", "380500000003"));
	assert_list_rows(c.b, "grey", -1, 2, row3(imei, "255030000000002", "380630000002"));
	assert_list_rows(c.b, "grey", -1, 2, row3(imei, "260010000000004", "48601000004"));
	/* Its number was ported to the other operator. */
	int64_t seq = country_last(&c);
	assert_int_equal(create(c.nra, "portability", "from=380500000001; to=380500000001; operator=" OPERATOR_B), REG_DONE);
	country_settle(&c);
	assert_list_rows(c.a, "grey", -1, 1, row3(imei, "255010000000003", "380500000003"));
	assert_list_rows(c.b, "grey", -1, 3, row3(imei, "255010000000001", "380500000001"));
	assert_list_rows(c.a, "grey", seq, 2, with("removed", row3(imei, "255010000000001", "380500000001")));
	assert_list_rows(c.b, "grey", seq, 4, with("added", row3(imei, "255010000000001", "380500000001")));
	assert_list_rows(c.b, "grey", seq, 4, with("removed", row3(imei, "255010000000003", "380500000003")));
}

/* ---- locks, exceptions, barred TACs ---- */

static void locks_and_exceptions(void **state)
{
	const char *locked = imei_text(TAC_B, 10), *kept = imei_text(TAC_B, 11);
	char set[300], lock[64], keep[64], stolen[64];
	int64_t seq = country_last(&c);

	(void)state;
	snprintf(set, sizeof set, "imei=%s; colour=black; reason=court; ground=c1; pair=except; imsi=255010000000010", locked);
	new_listing(c.lea, set, lock);
	snprintf(set, sizeof set, "imei=%s; colour=black; reason=stolen; ground=c2", kept);
	new_listing(c.lea, set, stolen);
	snprintf(set, sizeof set, "imei=%s; colour=white; reason=evidence; ground=c3; pair=only; msisdn=380630000011", kept);
	/* The number block of the other operator. */
	assert_int_equal(create(c.nra, "portability", "from=380630000000; to=380639999999; operator=" OPERATOR_B), REG_DONE);
	country_settle(&c);
	new_listing(c.nra, set, keep);
	country_settle(&c);
	assert_list_rows(c.a, "black", -1, 2, key14(locked));
	assert_list_rows(c.b, "black", -1, 2, key14(kept));
	assert_list_rows(c.a, "exceptions", -1, 1, row3(locked, "255010000000010", ""));
	assert_list_rows(c.b, "exceptions", -1, 1, row3(kept, "", "380630000011"));
	/* To DIRBS' importers an exception is a pair of IMEI and IMSI. */
	assert_dirbs(c.a, "exceptions", 1, row3(locked, "255010000000010", "\r"));
	assert_dirbs(c.b, "exceptions", 0, NULL);
	assert_list_rows(c.a, "black", seq, 2, with("added", key14(locked)));
	assert_list_rows(c.b, "exceptions", seq, 1, with("added", row3(kept, "", "380630000011")));
	seq = country_last(&c);
	assert_int_equal(remove_(c.lea, "listing", lock, "ground=over"), REG_DONE);
	assert_int_equal(remove_(c.nra, "listing", keep, "ground=over"), REG_DONE);
	assert_list_rows(c.a, "black", -1, 1, key14(kept));
	assert_list_rows(c.a, "black", seq, 2, with("removed", key14(locked)));
	assert_list_rows(c.a, "exceptions", -1, 0, NULL);
	assert_list_rows(c.a, "exceptions", seq, 1, with("removed", row3(locked, "255010000000010", "")));
	assert_list_rows(c.b, "exceptions", seq, 1, with("removed", row3(kept, "", "380630000011")));
	assert_int_equal(remove_(c.lea, "listing", stolen, "ground=over"), REG_DONE);
	assert_list_rows(c.a, "black", seq, 2, with("removed", key14(kept)));
}

static void a_barred_tac_is_one_row(void **state)
{
	char id[64], stolen[64], set[128], row[128], day[DATE_MAX];
	int64_t seq = country_last(&c);

	(void)state;
	see(c.a, imei_text(TAC_B, 20), "255010000000020", "380500000020");
	country_settle(&c);
	new_listing(c.nra, "tac=" TAC_B "; colour=black; reason=barred; ground=d1", id);
	assert_verdict(c.a, imei_text(TAC_B, 20), "black", "barred-tac");
	assert_int_equal(info(c.lea, "verdict", imei_text(TAC_B, 20)), REG_DONE);
	assert_string_equal(value(c.lea, "reason"), "barred-tac");
	assert_string_equal(value(c.lea, "explanation"), "The device is blocked");
	assert_list_rows(c.a, "black", -1, 1, TAC_B ",,barred-tac");
	assert_list_rows(c.a, "black", seq, 1, "added," TAC_B ",,barred-tac");
	/* What its IMEIs are of themselves stays in the other lists: black comes first. */
	assert_list_rows(c.a, "grey", -1, 1, key14(imei_text(TAC_B, 20)));

	/* DIRBS knows no TACs in a list: those of its IMEIs that were seen, each once, and no longer grey. */
	snprintf(set, sizeof set, "imei=%s; colour=black; reason=stolen; ground=s1", imei_text(TAC_B, 21));
	new_listing(c.lea, set, stolen);
	see(c.a, imei_text(TAC_B, 21), "255010000000021", "380500000021");
	see(c.a, imei_text(TAC, 22), "255010000000022", "380500000022");
	see(c.a, imei_text(TAC, 23), "255010000000023", "");
	country_settle(&c);
	date_print(date_of_us(clock_real_us()), day);
	snprintf(row, sizeof row, "%.14s,%.4s%.2s%.2s,barred-tac\r", imei_text(TAC_B, 20), day, day + 5, day + 8);
	assert_dirbs(c.a, "black", 2, row);
	snprintf(row, sizeof row, "%.14s,%.4s%.2s%.2s,stolen\r", imei_text(TAC_B, 21), day, day + 5, day + 8);
	assert_dirbs(c.a, "black", 2, row);
	/* Who has no number cannot be told. */
	assert_list_rows(c.a, "grey", -1, 3, key14(imei_text(TAC, 23)));
	assert_dirbs(c.a, "grey", 1, row3(imei_text(TAC, 22), "255010000000022", "380500000022,2"));
	static const struct reg_list_request no[] = {{.dirbs = true, .delta = true}, {.dirbs = true, .format = REG_LIST_XML}, {.dirbs = true}};
	for (size_t i = 0; i < CEIR_COUNT(no); i++)
		assert_int_equal(list_ask(c.a, i == 2 ? "white" : "black", &no[i]), REG_UNIMPL_OPTION);
	assert_int_equal(remove_(c.lea, "listing", stolen, "ground=over"), REG_DONE);

	seq = country_last(&c);
	assert_int_equal(remove_(c.nra, "listing", id, "ground=over"), REG_DONE);
	assert_list_rows(c.a, "black", seq, 1, "removed," TAC_B ",,");
}

/* ---- what a run and a delivery bring ---- */

static void a_full_delivery_tells_new_subscribers_of_grey_phones(void **state)
{
	const char *imei = imei_text(TAC_B, 30);
	char csv[512];

	(void)state;
	see(c.a, imei, "255010000000030", "380500000030");
	country_settle(&c);
	int64_t seq = country_last(&c);
	snprintf(csv, sizeof csv, "imei,imsi,msisdn\n%s,255010000000030,380500000030\n%s,255010000000031,380500000031\n", imei, imei);
	deliver(&c, c.a, true, csv);
	assert_list_rows(c.a, "grey", -1, 2, row3(imei, "255010000000031", "380500000031"));
	struct list *l = list_get(c.a, "grey", seq);
	assert_non_null(list_row(l, with("added", row3(imei, "255010000000031", "380500000031"))));
	list_free(l);
}

/* Who was new when the server was killed is not known any more. */
static void after_a_kill_every_grey_phone_is_told_again(void **state)
{
	const char *imei = imei_text(TAC_B, 32);

	(void)state;
	see(c.a, imei, "255010000000032", "380500000032");
	see(c.a, "4711", "255010000000033", "380500000033");
	country_settle(&c);
	int64_t seq = country_last(&c);
	country_restart(&c);
	assert_int_equal(country_last(&c), seq);
	country_logout(&c);
	world_stop(&c.w);
	world_sql(&c.w, "UPDATE meta SET value = '0' WHERE name = 'class.clean'");
	world_start(&c.w);
	country_login(&c);
	country_settle(&c);
	assert_list_rows(c.a, "grey", seq, 2, with("added", row3(imei, "255010000000032", "380500000032")));
	assert_list_rows(c.a, "grey", seq, 2, "added,4711,255010000000033,380500000033,");
}

static void notices_come_before_the_block(void **state)
{
	const char *imei = imei_text(TAC_B, 35);
	static const struct {
		int days;
		bool notice;
	} steps[] = {{14, false}, {1, true}, {1, false}, {24, true}, {24, false}, {1, true}, {24, true}};

	(void)state;
	see(c.a, imei, "255010000000035", "380500000035");
	country_settle(&c);
	for (size_t i = 0; i < CEIR_COUNT(steps); i++) {
		int64_t seq = country_last(&c);

		country_days(&c, steps[i].days);
		struct list *l = list_get(c.a, "grey", seq);
		if (steps[i].notice != (list_row(l, with("notice", row3(imei, "255010000000035", "380500000035"))) != NULL))
			fail_msg("step %zu: %zu rows", i, l->n);
		/* Not once more when asked from there on. */
		seq = l->to;
		list_free(l);
		assert_list_rows(c.a, "grey", seq, 0, NULL);
	}
}

/* ---- golden ---- */

static void who_becomes_golden_leaves_the_lists_and_is_not_mentioned_again(void **state)
{
	const char *imei = imei_text(TAC_B, 40);
	char set[100];

	(void)state;
	see(c.a, imei, "255010000000040", "380500000040");
	country_settle(&c);
	int64_t seq = country_last(&c);
	snprintf(set, sizeof set, "id=%s", imei);
	assert_int_equal(create(c.admin, "golden", set), REG_DONE);
	country_settle(&c);
	/* Outboxes are served when the log grows: nothing else has happened here. */
	assert_true(country_last(&c) > seq);
	assert_list_rows(c.a, "grey", seq, 1, with("removed", row3(imei, "255010000000040", "380500000040")));
	see(c.a, imei_text(TAC_B, 41), "255010000000041", "380500000041");
	country_days(&c, 2);
	see(c.a, imei_text(TAC_B, 43), "255010000000043", "380500000043");
	country_settle(&c);
	seq = country_last(&c);
	see(c.a, imei, "255010000000042", "380500000042");
	country_settle(&c);
	assert_list_rows(c.a, "grey", seq, 0, NULL);

	/* Golden no longer: the grey list has it again, and what is told of it is in the next delta. */
	seq = country_last(&c);
	assert_int_equal(remove_(c.admin, "golden", imei, NULL), REG_DONE);
	country_settle(&c);
	struct list *l = list_get(c.a, "grey", seq);
	assert_int_equal(l->n, 2);
	assert_non_null(list_row(l, with("added", row3(imei, "255010000000040", "380500000040"))));
	assert_non_null(list_row(l, with("added", row3(imei, "255010000000042", "380500000042"))));
	list_free(l);
}

/* ---- files ---- */

static void verify_signature(const struct list *l, const char *code, const char *name)
{
	char path[128], line[512];
	uint8_t pub[crypto_sign_PUBLICKEYBYTES], sig[crypto_sign_BYTES];
	struct buf b = BUF_INIT(1024);
	size_t n;

	snprintf(path, sizeof path, "%s/keys/audit-sign.pub", c.w.dir);
	assert_int_equal(file_read(path, 1024, &b), CEIR_OK);
	assert_int_equal(sodium_hex2bin(pub, sizeof pub, b.p, 64, NULL, &n, NULL), 0);
	buf_free(&b);
	assert_int_equal(sodium_hex2bin(sig, sizeof sig, l->signature, 128, NULL, &n, NULL), 0);
	int length = snprintf(line, sizeof line, "ceir-list-1 %s %s %lld %lld %zu %llu %s\n", code, name, (long long)l->from, (long long)l->to,
		l->n,
		(unsigned long long)l->bytes, l->digest);
	if (crypto_sign_verify_detached(sig, (const uint8_t *)line, (unsigned long long)length, pub))
		fail_msg("not signed: %s", line);
	line[20] ^= 1;
	assert_int_not_equal(crypto_sign_verify_detached(sig, (const uint8_t *)line, (unsigned long long)length, pub), 0);
}

static void a_list_is_signed_and_found_again(void **state)
{
	(void)state;
	see(c.a, imei_text(TAC_B, 50), "255010000000050", "380500000050");
	country_settle(&c);
	struct list *l = list_get(c.a, "grey", -1), *again = list_get(c.a, "grey", -1), *delta = list_get(c.a, "grey", 0);

	verify_signature(l, OPERATOR_A, "grey");
	verify_signature(delta, OPERATOR_A, "grey");
	assert_string_equal(l->digest, again->digest);
	assert_string_equal(l->name, again->name);
	assert_int_equal(world_sql(&c.w, "SELECT count(*) FROM list_file WHERE list = 'grey' AND name LIKE 'grey-full-%'"), 1);
	/* Each stands in the audit log, and its row names the transaction by its time. */
	assert_int_equal(world_sql(&c.w, "SELECT count(*) FROM list_file f JOIN audit a ON a.at = f.tx"),
		world_sql(&c.w, "SELECT count(*) FROM list_file"));
	/* A file that somebody cut off is made again. */
	char path[256];
	snprintf(path, sizeof path, "%s/lists/" OPERATOR_A "/%s", c.w.dir, l->name);
	assert_int_equal(truncate(path, 10), 0);
	struct list *made = list_get(c.a, "grey", -1);
	assert_same_list(l, made, "made again");
	list_free(l);
	list_free(again);
	list_free(delta);
	list_free(made);
}

static void rights_and_bad_requests(void **state)
{
	struct reg_list_request whole = {.delta = false}, future = {.delta = true, .since = INT64_C(1) << 40};

	(void)state;
	assert_int_equal(list_ask(c.a, "purple", &whole), REG_NOT_FOUND);
	assert_int_equal(list_ask(c.a, "grey", &future), REG_RANGE);
	assert_int_equal(list_ask(c.lea, "grey", &whole), REG_AUTHORIZATION);
	assert_int_equal(list_ask(c.admin, "grey", &whole), REG_MISSING);
}

static void what_is_applied_is_acknowledged(void **state)
{
	char set[64];

	(void)state;
	see(c.a, imei_text(TAC_B, 60), "255010000000060", "380500000060");
	country_settle(&c);
	int64_t seq = country_last(&c);
	assert_int_equal(list_ask(c.a, "grey", NULL), REG_DONE);
	snprintf(set, sizeof set, "%lld", (long long)seq);
	assert_string_equal(value(c.a, "lag"), set);
	assert_null(value(c.a, "ackSeq"));
	snprintf(set, sizeof set, "ackSeq=%lld", (long long)seq + 1);
	assert_int_equal(update(c.a, "list", "grey", set, NULL, NULL), REG_RANGE);
	snprintf(set, sizeof set, "ackSeq=%lld", (long long)seq);
	assert_int_equal(update(c.a, "list", "grey", set, NULL, NULL), REG_DONE);
	assert_int_equal(list_ask(c.a, "grey", NULL), REG_DONE);
	assert_string_equal(value(c.a, "lag"), "0");
	assert_int_equal(update(c.a, "list", "grey", "ackSeq=0", NULL, NULL), REG_RANGE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		COUNTRY_TEST(each_operator_gets_its_own_subscribers, c),
		COUNTRY_TEST(locks_and_exceptions, c),
		COUNTRY_TEST(a_barred_tac_is_one_row, c),
		COUNTRY_TEST(a_full_delivery_tells_new_subscribers_of_grey_phones, c),
		COUNTRY_TEST(after_a_kill_every_grey_phone_is_told_again, c),
		COUNTRY_TEST(notices_come_before_the_block, c),
		COUNTRY_TEST(who_becomes_golden_leaves_the_lists_and_is_not_mentioned_again, c),
		COUNTRY_TEST(a_list_is_signed_and_found_again, c),
		COUNTRY_TEST(rights_and_bad_requests, c),
		COUNTRY_TEST(what_is_applied_is_acknowledged, c),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* What `verify` notices of a register that somebody with the sqlite3 shell was at; and the signed head of the audit log. */
#include "registry_world.h"

#include <unistd.h>

static struct world w;

static int make(void **state)
{
	struct face *importer, *lea;

	(void)state;
	world_open(&w);
	world_settle(&w);
	importer = face_login(&w, "importer1");
	lea = face_login(&w, "lea");
	assert_int_equal(create(importer, "imei", "name=" SCREEN_IMEI "; permit=" PERMIT "; position=1"), REG_DONE);
	assert_int_equal(create(lea, "listing", "imei=352106050544211; colour=black; reason=stolen; ground=g"), REG_DONE);
	face_free(importer);
	face_free(lea);
	world_stop(&w);
	return 0;
}

static int destroy(void **state)
{
	(void)state;
	world_start(&w); /* whatever was done to it, it opens */
	world_close(&w);
	return 0;
}

static struct str head(struct buf *b)
{
	buf_clear(b);
	assert_int_equal(registry_audit_head(&w.settings, b), CEIR_OK);
	return buf_view(b);
}

static void sound(void **state)
{
	struct buf b = BUF_INIT(0);

	(void)state;
	assert_int_equal(world_verify(&w, STR(""), true), 0);
	assert_int_equal(world_verify(&w, head(&b), true), 0);
	buf_free(&b);
}

static void noticed(const char *act, const char *undo)
{
	world_sql(&w, act);
	if (world_verify(&w, STR(""), false) == 0)
		fail_msg("not noticed: %s", act);
	world_sql(&w, undo);
	assert_int_equal(world_verify(&w, STR(""), true), 0);
}

static void tampering(void **state)
{
	(void)state;
	/* A verdict, and a verdict with its change: then only the rules tell. */
	noticed("UPDATE imei SET verdict = 5 WHERE imei = 35210605054420", "UPDATE imei SET verdict = (SELECT verdict FROM change WHERE seq = chg)");
	world_sql(&w, "CREATE TABLE old AS SELECT * FROM change");
	noticed("UPDATE imei SET verdict = 11; UPDATE change SET verdict = 11",
		"UPDATE change SET verdict = (SELECT verdict FROM old WHERE old.seq = change.seq);"
		"UPDATE imei SET verdict = (SELECT verdict FROM change WHERE seq = chg)");
	noticed("DELETE FROM change WHERE seq = 1", "INSERT INTO change SELECT * FROM old WHERE seq = 1");
	noticed("DELETE FROM change WHERE seq = 2", "INSERT INTO change SELECT * FROM old WHERE seq = 2");
	noticed("UPDATE listing SET status = 'ended'", "UPDATE listing SET status = 'inForce'");
	noticed("UPDATE listing SET colour = 'grey'", "UPDATE listing SET colour = 'black'");
	noticed("UPDATE permit SET status = 'revoked'", "UPDATE permit SET status = 'valid'");
	noticed("UPDATE imei SET state = 1 WHERE application IS NOT NULL", "UPDATE imei SET state = NULL");
	noticed("UPDATE imei SET application = 4711 WHERE application IS NOT NULL",
		"UPDATE imei SET application = (SELECT id FROM application) WHERE application IS NOT NULL");
	noticed("UPDATE position SET used = 5000", "UPDATE position SET used = 1");
	noticed("UPDATE audit SET code = 1000 WHERE seq = 3; UPDATE audit SET code = 1001 WHERE seq = 3", "UPDATE audit SET code = 1000 WHERE seq = 3");
	world_sql(&w, "DROP TABLE old");
}

static void a_tail_that_is_cut_off_shows_against_a_head(void **state)
{
	struct buf b = BUF_INIT(0);
	struct str h = head(&b);

	(void)state;
	/* The last row is of a session's end or a listing: no change names it. */
	world_sql(&w, "CREATE TABLE old AS SELECT * FROM audit ORDER BY seq DESC LIMIT 1; DELETE FROM audit WHERE seq = (SELECT max(seq) FROM audit)");
	assert_true(world_verify(&w, h, false) > 0);
	world_sql(&w, "INSERT INTO audit SELECT * FROM old; DROP TABLE old");
	assert_int_equal(world_verify(&w, h, true), 0);
	/* The head stays good while the log grows. */
	world_start(&w);
	struct face *f = face_login(&w, "tax");
	assert_int_equal(info(f, "tac", TAC), REG_DONE);
	face_free(f);
	assert_int_equal(world_verify(&w, h, true), 0);
	world_stop(&w);
	assert_int_equal(world_verify(&w, h, true), 0);
	buf_free(&b);
}

static void heads_that_were_altered(void **state)
{
	struct buf b = BUF_INIT(0);
	struct str h = head(&b);
	char *copy = malloc(h.n + 64);
	static const char *const not_heads[] = {"{}", "nonsense", "[]", "{\"seq\":\"x\"}", "{\"seq\":1,\"hash\":\"00\"}", " "};

	(void)state;
	assert_true(h.n && h.p[h.n - 1] == '\n');
	/* Every character but the last newline counts. */
	for (size_t i = 0; i + 1 < h.n; i++) {
		memcpy(copy, h.p, h.n);
		copy[i] = copy[i] == '0' ? '1' : '0';
		if (world_verify(&w, (struct str){copy, h.n}, false) == 0)
			fail_msg("byte %zu of the head does not count: %.*s", i, (int)h.n, copy);
	}
	for (size_t n = 1; n + 1 < h.n; n++) {
		memcpy(copy, h.p, n);
		assert_true(world_verify(&w, (struct str){copy, n}, false) > 0);
	}
	/* Nothing may hide behind the signature. */
	int n = snprintf(copy, h.n + 64, "%.*s,\"note\":1}\n", (int)h.n - 2, h.p);
	assert_true(world_verify(&w, (struct str){copy, (size_t)n}, false) > 0);
	for (size_t i = 0; i < CEIR_COUNT(not_heads); i++)
		assert_true(world_verify(&w, str_of(not_heads[i]), false) > 0);
	free(copy);
	buf_free(&b);
}

static void a_head_of_another_register(void **state)
{
	struct world other;
	struct buf b = BUF_INIT(0);

	(void)state;
	world_open(&other);
	world_stop(&other);
	assert_int_equal(registry_audit_head(&other.settings, &b), CEIR_OK);
	assert_true(world_verify(&w, buf_view(&b), false) > 0);
	buf_free(&b);
	world_start(&other);
	world_close(&other);
}

static void missing_parts(void **state)
{
	char path[128], moved[160];
	struct buf b = BUF_INIT(0);

	(void)state;
	log_setup(fopen("/dev/null", "w"), false, LOG_ERROR_);
	head(&b);
	snprintf(path, sizeof path, "%s/keys/audit-sign.pub", w.dir);
	snprintf(moved, sizeof moved, "%s.away", path);
	assert_int_equal(rename(path, moved), 0);
	assert_true(world_verify(&w, buf_view(&b), false) > 0);
	assert_int_equal(rename(moved, path), 0);
	snprintf(path, sizeof path, "%s/keys/audit.key", w.dir);
	snprintf(moved, sizeof moved, "%s.away", path);
	assert_int_equal(rename(path, moved), 0);
	assert_int_not_equal(registry_open(&w.settings, &w.r), CEIR_OK);
	assert_int_equal(rename(moved, path), 0);
	snprintf(path, sizeof path, "%s/ceir.db", w.dir);
	snprintf(moved, sizeof moved, "%s.away", path);
	assert_int_equal(rename(path, moved), 0);
	assert_true(world_verify(&w, STR(""), false) > 0);
	assert_int_not_equal(access(path, F_OK), 0);
	assert_int_equal(rename(moved, path), 0);
	log_setup(stderr, false, LOG_WARN_);
	buf_free(&b);
}

int main(void)
{
#define TEST(name) cmocka_unit_test(name)
	const struct CMUnitTest tests[] = {TEST(sound), TEST(tampering), TEST(a_tail_that_is_cut_off_shows_against_a_head),
		TEST(heads_that_were_altered), TEST(a_head_of_another_register), TEST(missing_parts)};

	return cmocka_run_group_tests(tests, make, destroy);
}

/* ftps_home_test.c - an account's folder before a session: rights, the quota's count, what a crash left. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "ftps/ftps_internal.h"

static char base[64], home[96];
static struct ftps_owner owner;

static char *at(const char *name)
{
	static char path[4][512];
	static unsigned turn;
	char *p = path[turn++ % 4];

	snprintf(p, sizeof path[0], "%s/%s", home, name);
	return p;
}

static void put(const char *name, size_t n, unsigned mode)
{
	FILE *f = fopen(at(name), "w");

	assert_non_null(f);
	for (size_t i = 0; i < n; i++)
		fputc('x', f);
	assert_int_equal(fclose(f), 0);
	assert_int_equal(chmod(at(name), mode), 0);
}

static struct stat of(const char *name)
{
	struct stat st;

	assert_int_equal(lstat(at(name), &st), 0);
	return st;
}

static int make(void **state)
{
	(void)state;
	strcpy(base, "/tmp/ceir-ftps-XXXXXX");
	assert_non_null(mkdtemp(base));
	snprintf(home, sizeof home, "%s/ftp", base);
	owner = (struct ftps_owner){.uid = getuid(), .gid = getgid(), .root = getuid() == 0};
	if (owner.root)
		owner.uid = owner.gid = 65534;
	umask(077);
	for (const char *const *p = (const char *const[]){"", "in", "out", "out/lists", NULL}; *p; p++)
		assert_int_equal(mkdir(at(*p), 0700), 0);
	return 0;
}

static int destroy(void **state)
{
	char command[128];

	(void)state;
	snprintf(command, sizeof command, "rm -rf %s", base);
	return system(command);
}

static void quota_is(const char *text)
{
	struct buf b = BUF_INIT(100);

	assert_int_equal(file_read(at(".ftpquota"), 100, &b), CEIR_OK);
	assert_true(str_eq_c(buf_view(&b), text));
	buf_free(&b);
}

static void counts_what_lies_there(void **state)
{
	(void)state;
	assert_int_equal(ftps_home_prepare(home, &owner), CEIR_OK);
	quota_is("0 0\n");
	put("in/a", 1000, 0600);
	put("in/b", 23, 0400);
	put("out/answer", 500, 0600);
	put("in/.hidden", 500, 0600);
	assert_int_equal(ftps_home_count(home, &owner), CEIR_OK);
	quota_is("2 1023\n");
	assert_int_equal(unlink(at("in/a")), 0);
	assert_int_equal(ftps_home_prepare(home, &owner), CEIR_OK);
	quota_is("1 23\n");
	assert_int_equal(of(".ftpquota").st_uid, owner.uid);
	assert_int_equal(of(".ftpquota").st_mode & 0777, 0600);
}

/* The count is never written through a link that somebody put there. */
static void follows_no_link(void **state)
{
	(void)state;
	put("victim", 3, 0600);
	assert_int_equal(symlink(at("victim"), at(".ftpquota")), 0);
	assert_int_not_equal(ftps_home_count(home, &owner), CEIR_OK);
	assert_int_equal(of("victim").st_size, 3);
	assert_int_equal(unlink(at(".ftpquota")), 0);
	assert_int_equal(rmdir(at("in")), 0);
	assert_int_equal(symlink("/etc", at("in")), 0);
	assert_int_not_equal(ftps_home_prepare(home, &owner), CEIR_OK);
}

static void rights_for_the_sessions_user(void **state)
{
	(void)state;
	if (!owner.root)
		skip();
	put("in/left", 1, 0600);
	put("out/answer", 1, 0600);
	put("out/lists/black", 1, 0600);
	assert_int_equal(symlink("/etc/passwd", at("out/link")), 0);
	for (int i = 0; i < 2; i++) { /* again changes nothing */
		assert_int_equal(ftps_home_prepare(home, &owner), CEIR_OK);
		assert_true(of("").st_uid == 0 && (of("").st_mode & 07777) == 0755);
		assert_true(of("in").st_uid == owner.uid && (of("in").st_mode & 07777) == 0700);
		assert_true(of("in/left").st_uid == owner.uid);
		assert_true(of("out").st_uid == 0 && of("out").st_gid == owner.gid && (of("out").st_mode & 07777) == 02750);
		assert_true(of("out/lists").st_gid == owner.gid && (of("out/lists").st_mode & 07777) == 02750);
		assert_true(of("out/answer").st_uid == 0 && of("out/answer").st_gid == owner.gid && (of("out/answer").st_mode & 07777) == 0640);
		assert_true(of("out/lists/black").st_gid == owner.gid && (of("out/lists/black").st_mode & 07777) == 0640);
	}
	struct stat st;
	assert_true(stat("/etc/passwd", &st) == 0 && st.st_gid == 0);
}

static void note(void *ctx, const char *name)
{
	strcat(ctx, name);
	assert_int_equal(unlink(at(name[0] == 'd' ? "in/done" : "in/done too")), 0);
}

static void what_a_crash_left(void **state)
{
	char found[64] = "";

	(void)state;
	assert_int_equal(ftps_home_complete(home, note, found), CEIR_OK);
	assert_string_equal(found, "");
	put("in/part", 10, 0600);
	put("in/done", 10, 0400);
	put("in/.dot", 10, 0400);
	put("in/other", 10, 0440);
	assert_int_equal(symlink("done", at("in/link")), 0);
	assert_int_equal(ftps_home_complete(home, note, found), CEIR_OK);
	assert_string_equal(found, "done");
}

int main(void)
{
#define TEST(t) cmocka_unit_test_setup_teardown(t, make, destroy)
	const struct CMUnitTest tests[] = {TEST(counts_what_lies_there), TEST(follows_no_link), TEST(rights_for_the_sessions_user), TEST(what_a_crash_left)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

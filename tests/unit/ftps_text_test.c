/* ftps_text_test.c - what pure-ftpd writes, as it writes it, and as a stranger would like it to be read. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "ftps/ftps_text.h"

#define QUESTION \
	"account:customs1\npassword:Correct:horse 9\nlocalhost:127.0.0.1\nlocalport:2121\npeer:192.0.2.7\nsni_name:\nencrypted:1\nend\n"

static void a_question(void **state)
{
	struct ftps_request q;

	(void)state;
	assert_int_equal(ftps_request_parse(STR(QUESTION), &q), CEIR_OK);
	assert_true(str_eq_c(q.account, "customs1"));
	assert_true(str_eq_c(q.password, "Correct:horse 9"));
	assert_true(str_eq_c(q.peer, "192.0.2.7"));
	assert_true(q.encrypted);
	/* An empty name and password are for the door to refuse. */
	assert_int_equal(ftps_request_parse(STR("account:\npassword:\npeer:::1\nencrypted:0\nend\n"), &q), CEIR_OK);
	assert_true(q.account.n == 0 && q.password.n == 0 && str_eq_c(q.peer, "::1"));
	assert_false(q.encrypted);
	assert_int_equal(ftps_request_parse(STR("account:a\npassword:b\npeer:c\nencrypted:11\nend\n"), &q), CEIR_OK);
	assert_false(q.encrypted);
	assert_int_equal(ftps_request_parse(STR("account:a\npassword:b\npeer:c\nend\n"), &q), CEIR_OK);
	assert_false(q.encrypted);
}

static void no_question(void **state)
{
	static const char *const texts[] = {"", "end\n", "\nend\n", "account:a\npassword:b\npeer:c\nencrypted:1\n", "account:a\npassword:b\nend\n",
		"account:a\npeer:c\nend\n", "password:b\npeer:c\nend\n", "account:a\npassword:b\npeer:c\naccount:root\nend\n",
		"account:a\npassword:b\npeer:c\nencrypted:0\nencrypted:1\nend\n", "account:a\npassword:b\npeer:c\nwhat\nend\n",
		"account:a\npassword:b\npeer:c\nend\naccount:b\nend\n", "account:a\npassword:b\npeer:c\n\nend\n"};
	struct ftps_request q;

	(void)state;
	for (size_t i = 0; i < CEIR_COUNT(texts); i++)
		assert_int_equal(ftps_request_parse(str_of(texts[i]), &q), CEIR_EINVAL);
	for (size_t n = 0; n < sizeof QUESTION - 1; n++) {
		assert_false(ftps_request_complete((struct str){QUESTION, n}));
		assert_int_equal(ftps_request_parse((struct str){QUESTION, n}, &q), CEIR_EINVAL);
	}
}

static void answers(void **state)
{
	struct ftps_welcome w = {.uid = 65534, .gid = 65533, .dir = "/var/lib/ceir/files/a/ftp", .quota_files = 7, .quota_mib = 10240};
	struct buf out = BUF_INIT(0);

	(void)state;
	ftps_answer_print(&out, &w);
	assert_true(str_eq_c(buf_view(&out), "auth_ok:1\nuid:65534\ngid:65533\ndir:/var/lib/ceir/files/a/ftp\nslow_tilde_expansion:1\n"
		"user_quota_files:7\nuser_quota_size:10737418240\nend\n"));
	buf_clear(&out);
	ftps_answer_print(&out, NULL);
	assert_true(str_eq_c(buf_view(&out), "auth_ok:-1\nend\n"));
	buf_free(&out);
}

#define LINE(account, path) "127.0.0.1 - " account " [25/Nov/2026:09:23:30 -0000] \"PUT " path "\" 200 3000000"

static void an_upload(void **state)
{
	static const struct {
		const char *line, *account, *path;
	} cases[] = {
		{LINE("customs1", "/d/in/full.csv"), "customs1", "/d/in/full.csv"},
		{LINE("a b", "/d/in/a%20b%22%5d%20PUT"), "a b", "/d/in/a b\"] PUT"},
		/* Whatever an account is called, it is the whole of it. */
		{LINE("x [25/Nov", "/d/in/f"), "x [25/Nov", "/d/in/f"},
		{LINE("x - y", "/d/in/f"), "x - y", "/d/in/f"},
		{LINE("a", "/d/in/%D0%BC"), "a", "/d/in/\xD0\xBC"},
		{LINE("a", "/%41"), "a", "/A"},
	};
	char path[PATH_MAX];
	struct str account;

	(void)state;
	for (size_t i = 0; i < CEIR_COUNT(cases); i++) {
		assert_int_equal(ftps_upload_parse(str_of(cases[i].line), &account, path), CEIR_OK);
		assert_true(str_eq_c(account, cases[i].account));
		assert_string_equal(path, cases[i].path);
	}
}

static void no_upload(void **state)
{
	static const char *const lines[] = {"", " - ", "127.0.0.1 - a", "127.0.0.1 - a [x] \"GET /d/in/f\" 200 1", "127.0.0.1 - [x] \"PUT /f\" 200 1",
		LINE("a", ""), LINE("a", "relative"), LINE("a", "/%"), LINE("a", "/%4"), LINE("a", "/%4g"), LINE("a", "/%00"), "127.0.0.1 - a [x] \"PUT /f",
		"127.0.0.1 - a [x] \"PUT /f\""};
	static char longest[2 * PATH_MAX] = "h - a [d] \"PUT /";
	char path[PATH_MAX];
	struct str account;

	(void)state;
	for (size_t i = 0; i < CEIR_COUNT(lines); i++)
		assert_int_equal(ftps_upload_parse(str_of(lines[i]), &account, path), CEIR_EINVAL);
	memset(longest + strlen(longest), 'x', PATH_MAX);
	strcat(longest, "\" 200 1");
	assert_int_equal(ftps_upload_parse(str_of(longest), &account, path), CEIR_ERANGE);
}

static void only_files_of_in(void **state)
{
	static const char *const others[] = {"/d/a/out/f", "/d/a/f", "/d/a/in", "/d/a/in/", "/d/a/in/.f", "/d/a/in/..", "/d/a/in/b/f", "/d/a/in//f",
		"/d/ab/in/f", "/d/b/in/f", "/d/a", "", "/d/a/inn/f"};

	(void)state;
	assert_string_equal(ftps_upload_name("/d/a/in/f", "/d/a"), "f");
	assert_string_equal(ftps_upload_name("/d/a//in/f.csv", "/d/a"), "f.csv");
	for (size_t i = 0; i < CEIR_COUNT(others); i++)
		assert_null(ftps_upload_name(others[i], "/d/a"));
}

static void ports(void **state)
{
	static const char *const wrong[] = {"", "-", "40110", "40110-", "-40110", "40110-x", "40110 - 40111", "40110-65536"};
	static const char *const outside[] = {"1023-2000", "40110-40110", "40111-40110"};
	unsigned first = 0, last = 0;

	(void)state;
	assert_int_equal(ftps_ports_parse(STR("1024-65535"), &first, &last), CEIR_OK);
	assert_true(first == 1024 && last == 65535);
	for (size_t i = 0; i < CEIR_COUNT(wrong); i++)
		assert_int_equal(ftps_ports_parse(str_of(wrong[i]), &first, &last), CEIR_EINVAL);
	for (size_t i = 0; i < CEIR_COUNT(outside); i++)
		assert_int_equal(ftps_ports_parse(str_of(outside[i]), &first, &last), CEIR_ERANGE);
}

static void levels(void **state)
{
	struct str line = STR("<6>text");

	(void)state;
	assert_int_equal(ftps_log_level(&line), LOG_DEBUG_);
	assert_true(str_eq_c(line, "text"));
	line = STR("<3>text");
	assert_int_equal(ftps_log_level(&line), LOG_INFO_);
	line = STR("<0>");
	assert_int_equal(ftps_log_level(&line), LOG_WARN_);
	assert_int_equal(line.n, 0);
	for (size_t n = 0; n < 3; n++) {
		line = (struct str){"<6>", n};
		assert_int_equal(ftps_log_level(&line), LOG_WARN_);
		assert_int_equal(line.n, n);
	}
	line = STR("<9>text");
	assert_int_equal(ftps_log_level(&line), LOG_WARN_);
	assert_true(str_eq_c(line, "<9>text"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(a_question), cmocka_unit_test(no_question), cmocka_unit_test(answers),
		cmocka_unit_test(an_upload), cmocka_unit_test(no_upload), cmocka_unit_test(only_files_of_in), cmocka_unit_test(ports),
		cmocka_unit_test(levels)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

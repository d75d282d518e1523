/* ceir.conf: defaults, file, -o, and errors that name the line. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/base.h"

static const struct setting table[] = {
	{"epp.listen", SETTING_TEXT, "127.0.0.1:7700", 0, 0, "Address and port."},
	{"epp.limit", SETTING_INT, "10", -5, 100, "How many.\nMore is slower."},
	{"epp.strict", SETTING_BOOL, "yes", 0, 0, "Whether."},
	{"log.format", SETTING_TEXT, "", 0, 0, "text or json."},
	{.key = NULL},
};

static void defaults_hold(void **state)
{
	struct config *c = config_new(table);

	(void)state;
	assert_string_equal(config_text(c, "epp.listen"), "127.0.0.1:7700");
	assert_int_equal(config_int(c, "epp.limit"), 10);
	assert_true(config_bool(c, "epp.strict"));
	assert_string_equal(config_text(c, "log.format"), "");
	config_free(c);
	config_free(NULL);
}

static void a_file_is_read(void **state)
{
	struct config *c = config_new(table);
	char why[200] = "";
	enum ceir_err err = config_parse(c,
		STR("\xef\xbb\xbf# comment\r\n"
		    "; comment\r\n"
		    "\r\n"
		    "[ epp ]\r\n"
		    "  listen =  [::1]:700 # not a comment  \r\n"
		    "limit=-5\r\n"
		    "strict = off\r\n"
		    "[log]\n"
		    "format = a = b"),
		"ceir.conf", why, sizeof(why));

	(void)state;
	assert_string_equal(why, "");
	assert_int_equal(err, CEIR_OK);
	assert_string_equal(config_text(c, "epp.listen"), "[::1]:700 # not a comment");
	assert_int_equal(config_int(c, "epp.limit"), -5);
	assert_false(config_bool(c, "epp.strict"));
	assert_string_equal(config_text(c, "log.format"), "a = b");
	/* A second file may set the same keys. */
	assert_int_equal(config_parse(c, STR("[epp]\nlimit = 100"), "b", why, sizeof(why)), CEIR_OK);
	assert_int_equal(config_int(c, "epp.limit"), 100);
	config_free(c);
}

static void errors_name_the_line(void **state)
{
	static const struct {
		struct str text;
		const char *why;
	} cases[] = {
		{STR("\n\nlisten = x"), "f:3: expected a [section] before the first key"},
		{STR("[epp]\nlimit = ten"), "f:2: epp.limit expects a number from -5 to 100, not \"ten\""},
		{STR("[epp]\nlimit ="), "f:2: epp.limit expects a number from -5 to 100, not \"\""},
		{STR("[epp]\nlimit = 101"), "f:2: epp.limit expects a number from -5 to 100, not \"101\""},
		{STR("[epp]\nlimit = -6"), "f:2: epp.limit expects a number from -5 to 100, not \"-6\""},
		{STR("[epp]\nlimit = --1"), "f:2: epp.limit expects a number from -5 to 100, not \"--1\""},
		{STR("[epp]\nlimit = 99999999999999999999"),
			"f:2: epp.limit expects a number from -5 to 100, not \"99999999999999999999\""},
		{STR("[epp]\nstrict = maybe"), "f:2: epp.strict expects yes or no, not \"maybe\""},
		{STR("[epp]\nlimt = 1"), "f:2: section [epp] has no key \"limt\""},
		{STR("[epp]\n= 1"), "f:2: section [epp] has no key \"\""},
		{STR("[epp]\nformat = 1"), "f:2: section [epp] has no key \"format\""},
		{STR("[epp]\nlimit = 1\n\nlimit = 1"), "f:4: epp.limit is set a second time"},
		{STR("[epp]\nlimit = 1\n[log]\n[epp]\nlimit = 1"), "f:5: epp.limit is set a second time"},
		{STR("[ep]\n"), "f:1: there is no section [ep]"},
		{STR("[]\n"), "f:1: there is no section []"},
		{STR("[epp.listen]\n"), "f:1: there is no section [epp.listen]"},
		{STR("[epp\n"), "f:1: expected ] at the end of a section's line"},
		{STR("["), "f:1: expected ] at the end of a section's line"},
		{STR("[epp]\nlisten"), "f:2: expected key = value, [section] or a comment"},
		{STR("[epp]\nlisten = \xff"), "f:2: expected UTF-8 text without NUL bytes"},
		{STR("[epp]\n#\0"), "f:2: expected UTF-8 text without NUL bytes"},
	};

	(void)state;
	for (size_t i = 0; i < CEIR_COUNT(cases); i++) {
		struct config *c = config_new(table);
		char why[200] = "";

		assert_int_equal(config_parse(c, cases[i].text, "f", why, sizeof(why)), CEIR_EINVAL);
		assert_string_equal(why, cases[i].why);
		config_free(c);
	}
}

static void an_error_fits_its_buffer(void **state)
{
	struct config *c = config_new(table);
	struct buf text = BUF_INIT(0);
	char why[16];

	(void)state;
	buf_c(&text, "[epp]\nlimit = ");
	for (int i = 0; i < 100000; i++)
		buf_char(&text, '9');
	memset(why, 'x', sizeof(why));
	assert_int_equal(config_parse(c, buf_view(&text), "f", why, sizeof(why)), CEIR_EINVAL);
	assert_int_equal(strlen(why), 15);
	buf_free(&text);
	config_free(c);
}

static void one_setting_by_hand(void **state)
{
	struct config *c = config_new(table);
	char why[200];

	(void)state;
	assert_int_equal(config_set(c, STR("epp.listen=0.0.0.0:1"), why, sizeof(why)), CEIR_OK);
	assert_string_equal(config_text(c, "epp.listen"), "0.0.0.0:1");
	assert_int_equal(config_set(c, STR("epp.listen="), why, sizeof(why)), CEIR_OK);
	assert_string_equal(config_text(c, "epp.listen"), "");
	assert_int_equal(config_set(c, STR("epp.limit=7"), why, sizeof(why)), CEIR_OK);
	assert_int_equal(config_set(c, STR("epp.limit=x"), why, sizeof(why)), CEIR_EINVAL);
	assert_string_equal(why, "epp.limit expects a number from -5 to 100, not \"x\"");
	assert_int_equal(config_int(c, "epp.limit"), 7);
	assert_int_equal(config_set(c, STR("epp.limt=7"), why, sizeof(why)), CEIR_EINVAL);
	assert_string_equal(why, "there is no setting \"epp.limt\"");
	assert_int_equal(config_set(c, STR("=7"), why, sizeof(why)), CEIR_EINVAL);
	assert_int_equal(config_set(c, STR("epp.limit"), why, sizeof(why)), CEIR_EINVAL);
	assert_string_equal(why, "expected section.key=value, not \"epp.limit\"");
	assert_int_equal(config_set(c, STR(""), why, sizeof(why)), CEIR_EINVAL);
	config_free(c);
}

static void the_printed_file_is_read_back(void **state)
{
	struct buf out = BUF_INIT(0);
	struct config *c = config_new(table);
	char why[200] = "", path[] = "/tmp/ceir-base-config-XXXXXX";
	int fd = mkstemp(path);

	(void)state;
	config_print(table, &out);
	assert_true(str_eq_c(buf_view(&out), "[epp]\n# Address and port.\nlisten = 127.0.0.1:7700\n\n"
					     "# How many.\n# More is slower.\nlimit = 10\n\n# Whether.\nstrict = yes\n\n"
					     "[log]\n# text or json.\nformat =\n"));
	assert_true(fd >= 0);
	assert_int_equal(fd_write_all(fd, out.p, out.n), CEIR_OK);
	assert_int_equal(config_load(c, path, why, sizeof(why)), CEIR_OK);
	assert_int_equal(config_int(c, "epp.limit"), 10);
	for (int i = 0; i < (1 << 20) / (int)out.n + 1; i++)
		assert_int_equal(fd_write_all(fd, out.p, out.n), CEIR_OK);
	assert_int_equal(config_load(c, path, why, sizeof(why)), CEIR_ELIMIT);
	assert_non_null(strstr(why, "larger than 1 MiB"));
	close(fd);
	unlink(path);
	assert_int_equal(config_load(c, path, why, sizeof(why)), CEIR_ENOENT);
	assert_non_null(strstr(why, path));
	buf_free(&out);
	config_free(c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(defaults_hold),
		cmocka_unit_test(a_file_is_read),
		cmocka_unit_test(errors_name_the_line),
		cmocka_unit_test(an_error_fits_its_buffer),
		cmocka_unit_test(one_setting_by_hand),
		cmocka_unit_test(the_printed_file_is_read_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

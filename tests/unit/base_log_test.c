/* The log: its two forms, escaping, levels, lines of threads; and whole files. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/base.h"

static char folder[] = "/tmp/ceir-base-log-XXXXXX";

static void path_in(char out[256], const char *name)
{
	snprintf(out, 256, "%s/%s", folder, name);
}

/* Everything written to the file, as C text. */
static char *contents(FILE *f)
{
	static char text[1 << 20];
	ssize_t n = pread(fileno(f), text, sizeof(text) - 1, 0);

	assert_true(n >= 0);
	text[n] = '\0';
	return text;
}

static void text_lines(void **state)
{
	FILE *f = tmpfile();
	char *text;

	(void)state;
	log_setup(f, false, LOG_INFO_);
	log_info("epp", "session %d\nforged line\x1b[2J", 5);
	log_debug("epp", "not written");
	log_set_level(LOG_DEBUG_);
	log_debug("store", "\xd1\x96 \xff \xc2\x9b \\ \"");
	text = contents(f);
	assert_non_null(strstr(text, "Z info epp: session 5\\u000aforged line\\u001b[2J\n"));
	assert_null(strstr(text, "not written"));
	assert_non_null(strstr(text, "Z debug store: \xd1\x96 \\ufffd \\u009b \\ \"\n"));
	fclose(f);
}

static void json_lines(void **state)
{
	FILE *f = tmpfile();
	char *text;

	(void)state;
	log_setup(f, true, LOG_WARN_);
	log_info("epp", "not written");
	log_error("tls", "said \"%s\"\n", "a\\b");
	text = contents(f);
	assert_int_equal(strncmp(text, "{\"time\":\"2", 10), 0);
	assert_non_null(strstr(text, "Z\",\"level\":\"error\",\"room\":\"tls\",\"message\":\"said \\\"a\\\\b\\\"\\u000a\"}\n"));
	assert_ptr_equal(strchr(text, '\n'), text + strlen(text) - 1);
	fclose(f);
}

static void a_long_message_is_cut(void **state)
{
	FILE *f = tmpfile();
	char message[20000], *text;

	(void)state;
	memset(message, 1, sizeof(message) - 1);
	message[sizeof(message) - 1] = '\0';
	log_setup(f, true, LOG_INFO_);
	log_info("epp", "%s", message);
	text = contents(f);
	assert_true(strlen(text) > 4 && strlen(text) < 13000);
	assert_string_equal(text + strlen(text) - 6, "...\"}\n");
	fclose(f);
}

static void *write_lines(void *arg)
{
	for (int i = 0; i < 200; i++)
		log_info("thread", "%s %0200d", (const char *)arg, i);
	return NULL;
}

static void lines_of_threads_do_not_mix(void **state)
{
	char path[256], *line, *rest, *text;
	pthread_t threads[4];
	FILE *f;
	int lines = 0;

	(void)state;
	path_in(path, "log");
	f = fopen(path, "a+");
	assert_non_null(f);
	log_setup(f, false, LOG_INFO_);
	for (int i = 0; i < 4; i++)
		assert_int_equal(thread_start("log", write_lines, (void *)(uintptr_t) "word", &threads[i]), CEIR_OK);
	for (int i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
	text = contents(f);
	for (line = strtok_r(text, "\n", &rest); line != NULL; line = strtok_r(NULL, "\n", &rest), lines++) {
		assert_int_equal(strlen(line), 27 + strlen(" info thread: word ") + 200);
		assert_non_null(strstr(line, " info thread: word 0"));
	}
	assert_int_equal(lines, 800);
	fclose(f);
	unlink(path);
}

static void levels_have_names(void **state)
{
	enum log_level level = LOG_ERROR_;

	(void)state;
	assert_int_equal(log_level_parse(STR("debug"), &level), CEIR_OK);
	assert_int_equal(level, LOG_DEBUG_);
	assert_int_equal(log_level_parse(STR("warn"), &level), CEIR_OK);
	assert_int_equal(level, LOG_WARN_);
	assert_int_equal(log_level_parse(STR("Warn"), &level), CEIR_EINVAL);
	assert_int_equal(log_level_parse(STR(""), &level), CEIR_EINVAL);
	assert_int_equal(level, LOG_WARN_);
}

static void files_are_replaced_whole(void **state)
{
	char path[256], tmp[256];
	struct buf b = BUF_INIT(0);
	struct stat st;

	(void)state;
	path_in(path, "file");
	path_in(tmp, "file.tmp");
	assert_int_equal(file_read(path, 100, &b), CEIR_ENOENT);
	umask(077);
	assert_int_equal(file_write(path, STR("first"), 0644), CEIR_OK);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0644);
	/* What a crash left behind, a link to somewhere else even, is not written through. */
	assert_int_equal(symlink(path, tmp), 0);
	assert_int_equal(file_write(path, STR("second"), 0600), CEIR_OK);
	assert_int_equal(lstat(path, &st), 0);
	assert_true(S_ISREG(st.st_mode));
	assert_int_equal(st.st_mode & 0777, 0600);
	assert_int_not_equal(access(tmp, F_OK), 0);

	buf_c(&b, "<");
	assert_int_equal(file_read(path, 5, &b), CEIR_ELIMIT);
	assert_int_equal(file_read(path, 6, &b), CEIR_OK);
	assert_true(str_eq_c(buf_view(&b), "<second"));
	assert_int_equal(file_read(folder, 100, &b), CEIR_EIO); /* a folder */
	assert_int_equal(file_write("/nonexistent-folder/x", STR(""), 0600), CEIR_ENOENT);
	buf_free(&b);
	b = (struct buf)BUF_INIT(3);
	assert_int_equal(file_read(path, 100, &b), CEIR_ENOMEM);
	assert_int_equal(b.n, 0);
	buf_free(&b);
	unlink(path);
}

static void a_full_disk_is_told(void **state)
{
	FILE *f = fopen("/dev/full", "w");

	(void)state;
	if (f == NULL)
		skip();
	assert_int_equal(fd_write_all(fileno(f), "x", 1), CEIR_ENOSPC);
	assert_int_equal(fd_write_all(fileno(f), NULL, 0), CEIR_OK);
	assert_int_equal(fd_write_all(-1, "x", 1), CEIR_EIO);
	fclose(f);
}

static int make_folder(void **state)
{
	(void)state;
	return mkdtemp(folder) == NULL;
}

static int remove_folder(void **state)
{
	(void)state;
	log_setup(stderr, false, LOG_INFO_);
	return rmdir(folder);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(text_lines),
		cmocka_unit_test(json_lines),
		cmocka_unit_test(a_long_message_is_cut),
		cmocka_unit_test(lines_of_threads_do_not_mix),
		cmocka_unit_test(levels_have_names),
		cmocka_unit_test(files_are_replaced_whole),
		cmocka_unit_test(a_full_disk_is_told),
	};

	return cmocka_run_group_tests(tests, make_folder, remove_folder);
}

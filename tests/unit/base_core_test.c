/* Errors, slices, hexadecimal, arenas, buffers, threads. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "base/base.h"

static void every_error_has_a_text(void **state)
{
	(void)state;
	for (int e = CEIR_OK; e >= CEIR_ESTORE; e--) {
		assert_non_null(ceir_err_text((enum ceir_err)e));
		assert_string_not_equal(ceir_err_text((enum ceir_err)e), "unknown error");
	}
	assert_string_equal(ceir_err_text((enum ceir_err) - 1000), "unknown error");
	assert_string_equal(ceir_err_text((enum ceir_err)7), "unknown error");
	assert_int_equal(ceir_err_of_errno(0), CEIR_OK);
	assert_int_equal(ceir_err_of_errno(ENOSPC), CEIR_ENOSPC);
	assert_int_equal(ceir_err_of_errno(ENOENT), CEIR_ENOENT);
	assert_int_equal(ceir_err_of_errno(EACCES), CEIR_EPERM);
	assert_int_equal(ceir_err_of_errno(ENXIO), CEIR_EIO);
}

static void slices_compare(void **state)
{
	struct str none = {NULL, 0};

	(void)state;
	assert_true(str_eq(none, STR("")));
	assert_true(str_eq(none, str_of(NULL)));
	assert_true(str_eq_c(STR("abc"), "abc"));
	assert_false(str_eq(STR("abc"), STR("ab")));
	assert_false(str_eq(STR("a\0c"), STR("a\0d")));
	assert_true(str_starts(STR("abc"), STR("ab")));
	assert_true(str_starts(none, none));
	assert_false(str_starts(STR("ab"), STR("abc")));
	assert_int_equal(str_cmp(none, STR("")), 0);
	assert_true(str_cmp(STR("a"), STR("b")) < 0);
	assert_true(str_cmp(STR("ab"), STR("a")) > 0);
	assert_true(str_cmp(STR("a"), STR("\xff")) < 0);
	assert_true(str_eq_secret(STR("secret"), STR("secret")));
	assert_true(str_eq_secret(none, none));
	assert_false(str_eq_secret(STR("secret"), STR("secreu")));
	assert_false(str_eq_secret(STR("secret"), STR("secre")));
	assert_false(str_eq_secret(STR("\x01"), STR("\x81")));
}

static void slices_are_cut(void **state)
{
	struct str s = STR("a,,b,"), head;

	(void)state;
	assert_true(str_eq_c(str_trim(STR(" \t\r\n x y \n")), "x y"));
	assert_int_equal(str_trim(STR(" \t ")).n, 0);
	assert_int_equal(str_trim((struct str){NULL, 0}).n, 0);
	assert_true(str_cut(&s, ',', &head) && str_eq_c(head, "a"));
	assert_true(str_cut(&s, ',', &head) && str_eq_c(head, ""));
	assert_true(str_cut(&s, ',', &head) && str_eq_c(head, "b"));
	assert_false(str_cut(&s, ',', &head));
	s = STR("whole");
	assert_true(str_cut(&s, ',', &head) && str_eq_c(head, "whole"));
	assert_false(str_cut(&s, ',', &head));
}

static void numbers_are_checked(void **state)
{
	uint64_t v = 7;

	(void)state;
	assert_int_equal(str_u64(STR("18446744073709551615"), UINT64_MAX, &v), CEIR_OK);
	assert_true(v == UINT64_MAX);
	assert_int_equal(str_u64(STR("0000000000000000000000000042"), 42, &v), CEIR_OK);
	assert_int_equal(v, 42);
	assert_int_equal(str_u64(STR("43"), 42, &v), CEIR_ERANGE);
	assert_int_equal(str_u64(STR("18446744073709551616"), UINT64_MAX, &v), CEIR_ERANGE);
	assert_int_equal(str_u64(STR("99999999999999999999999999"), UINT64_MAX, &v), CEIR_ERANGE);
	assert_int_equal(str_u64(STR("99999999999999999999999999x"), UINT64_MAX, &v), CEIR_EINVAL);
	assert_int_equal(str_u64(STR(""), 9, &v), CEIR_EINVAL);
	assert_int_equal(str_u64(STR("-1"), 9, &v), CEIR_EINVAL);
	assert_int_equal(str_u64(STR("+1"), 9, &v), CEIR_EINVAL);
	assert_int_equal(str_u64(STR(" 1"), 9, &v), CEIR_EINVAL);
	assert_int_equal(str_u64(STR("1\0"), 9, &v), CEIR_EINVAL);
	assert_int_equal(v, 42);
}

static void utf8_is_checked(void **state)
{
	static const struct {
		struct str text;
		bool good;
	} cases[] = {
		{{"", 0}, true},
		{{"plain ascii, longer than eight", 30}, true},
		{{"\xd0\x86\xd0\x9c\xd0\x95\xd0\x86", 8}, true},
		{{"\xe2\x82\xac", 3}, true},
		{{"\xf0\x9f\x93\xb1", 4}, true},
		{{"\xf4\x8f\xbf\xbf", 4}, true},  /* U+10FFFF */
		{{"\xf4\x90\x80\x80", 4}, false}, /* above it */
		{{"\xed\x9f\xbf", 3}, true},      /* U+D7FF */
		{{"\xed\xa0\x80", 3}, false},     /* surrogate */
		{{"\xc0\x80", 2}, false},         /* overlong */
		{{"\xc1\xbf", 2}, false},
		{{"\xe0\x9f\xbf", 3}, false},
		{{"\xf0\x8f\xbf\xbf", 4}, false},
		{{"\xf5\x80\x80\x80", 4}, false},
		{{"\x80", 1}, false},
		{{"\xd0", 1}, false}, /* cut */
		{{"\xe2\x82", 2}, false},
		{{"\xf0\x9f\x93", 3}, false},
		{{"\xe2\x82\x28", 3}, false},
		{{"12345678\0", 9}, false},
		{{"1234\0"
		  "56789",
			 10},
			false},
		{{"1234567\xff", 8}, false},
		{{"\xc4\xb0"
		  "12345678\xc4",
			 11},
			false},
	};

	(void)state;
	for (size_t i = 0; i < CEIR_COUNT(cases); i++)
		assert_int_equal(str_is_utf8(cases[i].text), cases[i].good);
	assert_int_equal(str_utf8_len((struct str){NULL, 0}), 0);
	assert_int_equal(str_utf8_len(STR("\xe2\x82\xac...")), 3);
}

static void hex_goes_both_ways(void **state)
{
	unsigned char bytes[4] = {0, 0x7f, 0xab, 0xff}, back[4] = {1, 1, 1, 1};
	char text[9];

	(void)state;
	hex_print(bytes, 4, text);
	assert_string_equal(text, "007fabff");
	assert_int_equal(hex_parse(STR("007FabFf"), back, 4), CEIR_OK);
	assert_memory_equal(bytes, back, 4);
	assert_int_equal(hex_parse(STR("007FabF"), back, 4), CEIR_EINVAL);
	assert_int_equal(hex_parse(STR("007FabFff0"), back, 4), CEIR_EINVAL);
	assert_int_equal(hex_parse(STR("0g7FabFf"), back, 4), CEIR_EINVAL);
	assert_memory_equal(bytes, back, 4);
	assert_int_equal(hex_parse(STR(""), back, 0), CEIR_OK);
}

static void arena_stays_within_its_limit(void **state)
{
	struct arena *a = arena_new(1000);
	size_t got = 0;

	(void)state;
	assert_non_null(a);
	while (arena_alloc(a, 10) != NULL)
		got += 10;
	assert_in_range(got, 500, 1000);
	arena_reset(a);
	assert_non_null(arena_alloc(a, 1000));
	assert_null(arena_alloc(a, 1));
	arena_free(a);

	a = arena_new(1 << 20);
	assert_null(arena_alloc(a, (1 << 20) + 1));
	assert_null(arena_alloc(a, SIZE_MAX));
	assert_null(arena_array(a, SIZE_MAX / 2, 3));
	assert_non_null(arena_alloc(a, 1 << 19));
	assert_null(arena_alloc(a, 1 << 20));
	arena_free(a);
	arena_free(NULL);
}

static void arena_memory_is_zero_and_aligned(void **state)
{
	struct arena *a = arena_new(0);

	(void)state;
	for (int round = 0; round < 3; round++) {
		for (size_t n = 0; n < 3000; n += 7) {
			unsigned char *p = arena_alloc(a, n);

			assert_non_null(p);
			assert_int_equal((uintptr_t)p % _Alignof(max_align_t), 0);
			for (size_t i = 0; i < n; i++)
				assert_int_equal(p[i], 0);
			memset(p, 0xaa, n);
		}
		arena_reset(a);
	}
	arena_free(a);
}

static void arena_keeps_text(void **state)
{
	struct arena *a = arena_new(100000);
	struct str s = arena_str(a, STR("one")), empty = arena_str(a, (struct str){NULL, 0});
	char long_text[2000];

	(void)state;
	memset(long_text, 'x', sizeof(long_text));
	assert_string_equal(s.p, "one");
	assert_non_null(empty.p);
	assert_int_equal(empty.n, 0);
	s = arena_printf(a, "%d-%s", 5, "five");
	assert_string_equal(s.p, "5-five");
	assert_int_equal(s.n, 6);
	s = arena_printf(a, "<%.*s>", (int)sizeof(long_text), long_text);
	assert_int_equal(s.n, sizeof(long_text) + 2);
	assert_int_equal(strlen(s.p), s.n);
	assert_int_equal(s.p[s.n - 1], '>');
	while (arena_alloc(a, 1000) != NULL)
		;
	s = arena_printf(a, "<%.*s>", (int)sizeof(long_text), long_text);
	assert_null(s.p);
	s = arena_str(a, (struct str){long_text, sizeof(long_text)});
	assert_null(s.p);
	arena_free(a);
}

static void buf_appends(void **state)
{
	struct buf b = BUF_INIT(0);
	char long_text[1000];

	(void)state;
	memset(long_text, 'y', sizeof(long_text));
	buf_str(&b, (struct str){NULL, 0});
	buf_c(&b, "a");
	buf_char(&b, 'b');
	buf_u64(&b, 0);
	buf_u64(&b, UINT64_MAX);
	buf_printf(&b, "%s", "c");
	assert_true(str_eq_c(buf_view(&b), "ab018446744073709551615c"));
	buf_printf(&b, "%.*s", (int)sizeof(long_text), long_text);
	assert_int_equal(b.n, 24 + sizeof(long_text));
	assert_false(b.failed);
	buf_free(&b);
	assert_null(b.p);
	buf_c(&b, "again");
	assert_true(str_eq_c(buf_view(&b), "again"));
	buf_free(&b);
}

static void buf_overflow_sticks(void **state)
{
	struct buf b = BUF_INIT(8);

	(void)state;
	buf_c(&b, "12345678");
	assert_false(b.failed);
	buf_char(&b, '9');
	assert_true(b.failed);
	assert_true(str_eq_c(buf_view(&b), "12345678"));
	buf_clear(&b);
	assert_false(b.failed);
	buf_c(&b, "1234567");
	buf_c(&b, "89");
	buf_c(&b, "8"); /* would fit, but what was before it is missing */
	assert_true(b.failed);
	assert_int_equal(b.n, 7);
	assert_null(buf_reserve(&b, SIZE_MAX));
	buf_clear(&b);
	assert_null(buf_reserve(&b, SIZE_MAX));
	assert_true(b.failed);
	buf_free(&b);
	assert_int_equal(b.max, 8);
}

static void json_is_escaped(void **state)
{
	struct buf b = BUF_INIT(0);

	(void)state;
	buf_json(&b, (struct str){NULL, 0});
	buf_json(&b, STR("a\"b\\c\n\r\t\b\f\x01\x7f\xd1\x96"));
	buf_json(&b, STR("\xff"
			 "x\xe2\x82"));
	buf_json(&b, STR("\0"));
	assert_true(str_eq_c(buf_view(&b), "\"\"\"a\\\"b\\\\c\\n\\r\\t\\b\\f\\u0001\\u007f\xd1\x96\""
					   "\"\xef\xbf\xbdx\xef\xbf\xbd\xef\xbf\xbd\"\"\\u0000\""));
	buf_free(&b);
}

static void *see_thread(void *arg)
{
	char *name = arg;
	sigset_t blocked;

	pthread_sigmask(SIG_SETMASK, NULL, &blocked);
	if (pthread_getname_np(pthread_self(), name, 16) != 0)
		return NULL;
	return sigismember(&blocked, SIGTERM) && sigismember(&blocked, SIGHUP) ? name : NULL;
}

static void threads_have_names_and_no_signals(void **state)
{
	pthread_t t;
	char name[16] = "";
	void *result;
	sigset_t blocked;

	(void)state;
	assert_int_equal(thread_start("a-name-that-is-too-long", see_thread, name, &t), CEIR_OK);
	assert_int_equal(pthread_join(t, &result), 0);
	assert_ptr_equal(result, name);
	assert_string_equal(name, "a-name-that-is-");
	pthread_sigmask(SIG_SETMASK, NULL, &blocked);
	assert_false(sigismember(&blocked, SIGTERM));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_error_has_a_text),
		cmocka_unit_test(slices_compare),
		cmocka_unit_test(slices_are_cut),
		cmocka_unit_test(numbers_are_checked),
		cmocka_unit_test(utf8_is_checked),
		cmocka_unit_test(hex_goes_both_ways),
		cmocka_unit_test(arena_stays_within_its_limit),
		cmocka_unit_test(arena_memory_is_zero_and_aligned),
		cmocka_unit_test(arena_keeps_text),
		cmocka_unit_test(buf_appends),
		cmocka_unit_test(buf_overflow_sticks),
		cmocka_unit_test(json_is_escaped),
		cmocka_unit_test(threads_have_names_and_no_signals),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

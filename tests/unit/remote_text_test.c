/* remote_text_test.c - names, addresses, listings and marks of the FTPS client, as they should be and as a stranger would like them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "remote/remote_text.h"

#define S(literal) STR(literal)

static void names(void **state)
{
	static const struct str good[] = {S("a"), S("permit-2026-11.csv"), S("a b"), S("~x"), S("-rf"), S("%2F"), S("a;type=i"), S("x\\y"), S("*"), S("\"'$"),
		S("\xD0\xB7\xD0\xB2\xD1\x96\xD1\x82.csv"), S("a.."), S("\xC2\xA0z")};
	static const struct str bad[] = {S(""), S("."), S(".."), S(".hidden"), S("a/b"), S("/"), S("a\nb"), S("a\rb"), S("a\tb"), S("\x1b[31m"), S("a\x7f"),
		S("a\0b"), S("\xff"), S("a\xC2"), S("\xC2\x85z"), S("\xC2\x9Bz"), S("\xED\xA0\x80")};
	char longest[REMOTE_NAME];

	(void)state;
	for (size_t i = 0; i < CEIR_COUNT(good); i++)
		assert_true(remote_name_good(good[i]));
	for (size_t i = 0; i < CEIR_COUNT(bad); i++)
		assert_false(remote_name_good(bad[i]));
	memset(longest, 'x', sizeof longest);
	assert_true(remote_name_good((struct str){longest, REMOTE_NAME - 1}));
	assert_false(remote_name_good((struct str){longest, REMOTE_NAME}));
	assert_true(remote_name_unfinished(S("a.part")) && remote_name_unfinished(S("a.TMP")) && remote_name_unfinished(S(".part")));
	assert_false(remote_name_unfinished(S("a.party")) || remote_name_unfinished(S("part")) || remote_name_unfinished(S("")));
}

static void addresses(void **state)
{
	static const struct {
		bool implicit;
		struct str host, folder, name;
		const char *url;         /* NULL: refused */
	} cases[] = {
		{false, S("ftp.example.org"), S("/lists"), S("a.csv"), "ftp://ftp.example.org:21/%2Flists/a.csv"},
		{true, S("192.0.2.7"), S("lists/black"), S("a.csv"), "ftps://192.0.2.7:21/lists/black/a.csv"},
		{false, S("2001:db8::1"), S(""), S("a"), "ftp://[2001:db8::1]:21/a"},
		{false, S("h"), S("/"), S("a"), "ftp://h:21/%2Fa"},
		{false, S("h"), S("//a//b/"), S(""), "ftp://h:21/%2Fa/b/"},
		{false, S("h"), S(""), S(""), "ftp://h:21/"},
		{false, S("h"), S("x y"), S("50% #1?;type=a&\\'\"@:[]"), "ftp://h:21/x%20y/50%25%20%231%3F%3Btype%3Da%26%5C%27%22%40%3A%5B%5D"},
		{false, S("h"), S("a"), S("\xD1\x96"), "ftp://h:21/a/%D1%96"},
		{false, S(""), S("a"), S("b"), NULL},
		{false, S("h/x"), S("a"), S("b"), NULL},
		{false, S("u@h"), S("a"), S("b"), NULL},
		{false, S("h\r\nDELE x"), S("a"), S("b"), NULL},
		{false, S("h"), S("a\r\nDELE x"), S("b"), NULL},
		{false, S("h"), S("a"), S("b\nDELE x"), NULL},
		{false, S("h"), S("a"), S("b\0c"), NULL},
		{false, S("h"), S("a"), S("b/c"), NULL},
	};

	(void)state;
	for (size_t i = 0; i < CEIR_COUNT(cases); i++) {
		struct buf out = BUF_INIT(0);
		enum ceir_err err = remote_url(&out, cases[i].implicit, cases[i].host, 21, cases[i].folder, cases[i].name);

		assert_int_equal(err, cases[i].url ? CEIR_OK : CEIR_EINVAL);
		if (cases[i].url)
			assert_true(str_eq_c(buf_view(&out), cases[i].url));
		buf_free(&out);
	}
}

static void listings(void **state)
{
	struct arena *arena = arena_new(0);
	struct remote_names n;

	(void)state;
	assert_int_equal(remote_listing_parse(S("b.csv\r\na.csv\nb.csv\r\n../x\r\n\r\n.z\na/b\n\xff\nc d"), arena, &n), CEIR_OK);
	assert_int_equal(n.n, 3);
	assert_int_equal(n.skipped, 4);
	assert_true(str_eq_c(n.v[0], "a.csv") && str_eq_c(n.v[1], "b.csv") && str_eq_c(n.v[2], "c d"));
	assert_true(remote_names_has(&n, S("b.csv")));
	assert_false(remote_names_has(&n, S("b")) || remote_names_has(&n, S("../x")));
	assert_int_equal(remote_listing_parse(S(""), arena, &n), CEIR_OK);
	assert_int_equal(n.n + n.skipped, 0);
	assert_false(remote_names_has(&n, S("a")));
	arena_free(arena);
}

static void a_listing_has_an_end(void **state)
{
	struct arena *arena = arena_new(0);
	struct buf text = BUF_INIT(0);
	struct remote_names n;

	(void)state;
	for (unsigned i = 0; i < REMOTE_NAMES; i++)
		buf_printf(&text, "f%u\r\n", i);
	assert_int_equal(remote_listing_parse(buf_view(&text), arena, &n), CEIR_OK);
	assert_int_equal(n.n, REMOTE_NAMES);
	buf_c(&text, "/\r\n"); /* is no name */
	assert_int_equal(remote_listing_parse(buf_view(&text), arena, &n), CEIR_OK);
	buf_c(&text, "g\r\n");
	assert_int_equal(remote_listing_parse(buf_view(&text), arena, &n), CEIR_ELIMIT);
	buf_free(&text);
	arena_free(arena);
}

#define HEX "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"
#define MARK "list grey\nfrom 3\nto 17\nsha256 " HEX "\noperator UA-MNO-1\n"

static void marks(void **state)
{
	static const char *const bad[] = {"", "list grey\n", "list green\nfrom 3\nto 17\nsha256 " HEX "\noperator X\n",
		"list grey\nfrom 3\nto 17\nsha256 " HEX "\noperator X",
		"list grey\nfrom 03\nto 17\nsha256 " HEX "\noperator X\n", "list grey\nfrom -2\nto 17\nsha256 " HEX "\noperator X\n",
		"list grey\nfrom 18\nto 17\nsha256 " HEX "\noperator X\n", "list grey\nfrom -1\nto -1\nsha256 " HEX "\noperator X\n",
		"list grey\nfrom 3\nto 17\nsha256 " HEX "0\noperator X\n", "list grey\nfrom 3\nto 17\nsha256 " HEX "\noperator \n",
		"list grey\nfrom 3\nto 99999999999999999999\nsha256 " HEX "\noperator X\n", MARK "\n", "from 3\nlist grey\nto 17\nsha256 " HEX "\noperator X\n"};
	struct remote_mark m;
	struct buf out = BUF_INIT(REMOTE_MARK_BYTES);

	(void)state;
	assert_int_equal(remote_mark_parse(S(MARK), &m), CEIR_OK);
	assert_true(m.list == REG_LIST_GREY && m.from == 3 && m.to == 17 && str_eq_c(m.op, "UA-MNO-1") && m.sha256[31] == 0xff);
	remote_mark_print(&out, &m);
	assert_true(str_eq_c(buf_view(&out), MARK));
	m.from = -1;
	buf_clear(&out);
	remote_mark_print(&out, &m);
	assert_int_equal(remote_mark_parse(buf_view(&out), &m), CEIR_OK);
	assert_int_equal(m.from, -1);
	for (size_t i = 0; i < CEIR_COUNT(bad); i++)
		assert_int_equal(remote_mark_parse(str_of(bad[i]), &m), CEIR_EINVAL);
	for (size_t n = 0; n < sizeof MARK - 1; n++)
		assert_int_equal(remote_mark_parse((struct str){MARK, n}, &m), CEIR_EINVAL);
	buf_free(&out);
}

static void trying_again(void **state)
{
	static const int64_t s[] = {5, 5, 10, 20, 40, 80, 160, 320, 640, 900, 900};

	(void)state;
	for (unsigned n = 1; n < CEIR_COUNT(s); n++) {
		assert_int_equal(remote_retry_us(n, 5, 0), s[n] * 800000);
		assert_int_equal(remote_retry_us(n, 5, 200000), s[n] * 1000000);
		assert_int_equal(remote_retry_us(n, 5, 400000), s[n] * 1200000);
		assert_int_equal(remote_retry_us(n, 5, 400001), s[n] * 800000);
		int64_t any = remote_retry_us(n, 5, UINT32_MAX);
		assert_true(any >= s[n] * 800000 && any <= s[n] * 1200000);
	}
	assert_int_equal(remote_retry_us(UINT32_MAX, 5, 200000), 900 * INT64_C(1000000));
	assert_int_equal(remote_retry_us(1, 0, 200000), 1000000);
	assert_int_equal(remote_retry_us(1, 4000, 200000), 900 * INT64_C(1000000));
}

static void lines(void **state)
{
	char out[16];

	(void)state;
	remote_line(S("a\r\nb\x1b\xff\xD0\x96\xC2\x9B"), out, sizeof out);
	assert_string_equal(out, "a  b ?\xD0\x96 ");
	remote_line(S("123456789012345678"), out, sizeof out);
	assert_string_equal(out, "123456789012345");
	/* No half character at the end. */
	remote_line(S("12345678901234\xD0\x96"), out, sizeof out);
	assert_string_equal(out, "12345678901234");
	remote_line(S(""), out, sizeof out);
	assert_string_equal(out, "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(names), cmocka_unit_test(addresses), cmocka_unit_test(listings),
		cmocka_unit_test(a_listing_has_an_end), cmocka_unit_test(marks), cmocka_unit_test(trying_again), cmocka_unit_test(lines)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

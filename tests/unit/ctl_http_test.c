/*
 * ctl_http_test.c - what ceirctl makes of an HTTP server's bytes: heads, chunks, encoding.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <string.h>

#include "ctl/ctl_http.h"

static void assert_str(struct str got, const char *want)
{
	if (!str_eq_c(got, want))
		fail_msg("\"%.*s\" is not \"%s\"", (int)got.n, got.p, want);
}

static void test_heads(void **state)
{
	const char *text = "HTTP/1.1 200 OK\r\nContent-Length: 12\r\nETag:  \"x\" \r\nConnection: Close\r\n\r\nbody";
	struct ctl_http_head h;
	size_t used = 0;

	(void)state;
	assert_int_equal(ctl_http_head_parse(str_of(text), &h, &used), CEIR_OK);
	assert_int_equal(h.status, 200);
	assert_int_equal(h.length, 12);
	assert_false(h.chunked);
	assert_true(h.close);
	assert_int_equal(used, strlen(text) - 4);
	assert_str(ctl_http_header(&h, "etag"), "\"x\"");
	assert_str(ctl_http_header(&h, "ETa"), "");
	/* Every shorter piece is not complete. */
	for (size_t n = 0; n < used; n++)
		assert_int_equal(ctl_http_head_parse((struct str){text, n}, &h, &used), CEIR_ENOENT);
	assert_int_equal(ctl_http_head_parse(STR("HTTP/1.1 202 Accepted\r\nTransfer-Encoding: Chunked\r\n\r\n"), &h, &used), CEIR_OK);
	assert_true(h.chunked && !h.close);
	/* RFC 9112 6.3: no body, whatever a length says; no length: until the end. */
	assert_int_equal(ctl_http_head_parse(STR("HTTP/1.1 304 \r\nContent-Length: 5\r\n\r\n"), &h, &used), CEIR_OK);
	assert_true(h.length == 0 && !h.close);
	assert_int_equal(ctl_http_head_parse(STR("HTTP/1.0 200 OK\n\n"), &h, &used), CEIR_OK);
	assert_true(h.length == UINT64_MAX && h.close);
	assert_int_equal(ctl_http_head_parse(STR("HTTP/1.1 100 Continue\r\n\r\n"), &h, &used), CEIR_OK);
	assert_int_equal(h.status, 100);
}

static void test_bad_heads(void **state)
{
	static const char *const bad[] = {"HTTP/2 200 OK\r\n\r\n", "HTTP/1.1 20 OK\r\n\r\n", "HTTP/1.1 2000 OK\r\n\r\n", "HTTP/1.1 099 X\r\n\r\n",
		"\r\n\r\n", "SSH-2.0-x\r\n", "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n", "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length: 18446744073709551615\r\n\r\n"};
	struct ctl_http_head h;
	size_t used;

	(void)state;
	for (size_t i = 0; i < CEIR_COUNT(bad); i++)
		if (ctl_http_head_parse(str_of(bad[i]), &h, &used) != CEIR_EINVAL)
			fail_msg("%s is taken", bad[i]);
}

static void test_chunks(void **state)
{
	static const char *const bad[] = {"\r\n", "g\r\n", "-1\r\n", ";x\r\n", "1234567890123456\r\n"};
	char long_line[1100];
	uint64_t size;
	size_t used;

	(void)state;
	assert_int_equal(ctl_http_chunk_parse(STR("1aF\r\nxyz"), &size, &used), CEIR_OK);
	assert_int_equal(size, 0x1AF);
	assert_int_equal(used, 5);
	assert_int_equal(ctl_http_chunk_parse(STR("0 ; name=value\r\n"), &size, &used), CEIR_OK);
	assert_int_equal(size, 0);
	assert_int_equal(ctl_http_chunk_parse(STR("1a"), &size, &used), CEIR_ENOENT);
	assert_int_equal(ctl_http_chunk_parse(STR(""), &size, &used), CEIR_ENOENT);
	for (size_t i = 0; i < CEIR_COUNT(bad); i++)
		if (ctl_http_chunk_parse(str_of(bad[i]), &size, &used) != CEIR_EINVAL)
			fail_msg("%s is taken", bad[i]);
	memset(long_line, '1', sizeof long_line);
	assert_int_equal(ctl_http_chunk_parse((struct str){long_line, sizeof long_line}, &size, &used), CEIR_EINVAL);
}

static void test_encoding(void **state)
{
	struct buf b = BUF_INIT(0);

	(void)state;
	ctl_http_encode(&b, (struct str){"aZ9-._~ /?&=%+\xD0\xB0\0", 17});
	assert_str(buf_view(&b), "aZ9-._~%20%2F%3F%26%3D%25%2B%D0%B0%00");
	buf_free(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_heads),
		cmocka_unit_test(test_bad_heads),
		cmocka_unit_test(test_chunks),
		cmocka_unit_test(test_encoding),
	};

	return cmocka_run_group_tests_name("ctl_http", tests, NULL, NULL);
}

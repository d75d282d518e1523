/* Unpacking of streams: every packing, cut into pieces of every size, damaged, cut off, and made to burst. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "exchange/exchange.h"
#include "test_packing.h"

static enum ceir_err collect(void *ctx, struct str bytes)
{
	buf_str(ctx, bytes);
	return CEIR_OK;
}

/* The error, and what came out until then. */
static enum ceir_err unpack_all(struct str in, size_t piece, unsigned ratio, struct buf *out)
{
	struct unpack *u = unpack_new(ratio);
	enum ceir_err err = CEIR_OK, again;

	assert_non_null(u);
	while (err == CEIR_OK && in.n > 0) {
		size_t n = piece < in.n ? piece : in.n;
		char *copy = malloc(n); /* of this size, so that ASan sees a read behind it */

		assert_non_null(copy);
		memcpy(copy, in.p, n);
		err = unpack_feed(u, (struct str){copy, n}, collect, out);
		free(copy);
		in = (struct str){in.p + n, in.n - n};
	}
	again = unpack_finish(u, collect, out);
	if (err != CEIR_OK)
		assert_int_equal(again, err); /* a broken stream stays broken */
	unpack_free(u);
	return again;
}

static void expect(struct str in, struct str expected, enum ceir_err expected_err)
{
	for (size_t piece = 1; piece <= in.n + 1; piece += piece < 20 ? 1 : in.n) {
		struct buf out = BUF_INIT(0);

		assert_int_equal(unpack_all(in, piece, 0, &out), expected_err);
		if (expected_err == CEIR_OK) {
			assert_int_equal(out.n, expected.n);
			assert_true(str_eq(buf_view(&out), expected));
		}
		buf_free(&out);
	}
}

/* Lines as operators send them; does not pack away to nothing. */
static void fill(struct buf *b, size_t lines)
{
	uint64_t x = 88172645463325252u;

	for (size_t i = 0; i < lines; i++) {
		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		buf_printf(b, "35%012llu,25501%010llu,380501234567\n", (unsigned long long)(x % 1000000000000u),
			(unsigned long long)(x >> 32));
	}
}

static void plain_goes_through(void **state)
{
	(void)state;
	expect(STR(""), STR(""), CEIR_OK);
	expect(STR("a"), STR("a"), CEIR_OK);
	expect(STR("imei,imsi\n"), STR("imei,imsi\n"), CEIR_OK);
	/* Beginnings of a packing that is none. */
	expect(STR("\x1f"), STR("\x1f"), CEIR_OK);
	expect(STR("\x1f\x8b"), STR("\x1f\x8b"), CEIR_OK);
	expect(STR("\x1f\x8b\x07zzz"), STR("\x1f\x8b\x07zzz"), CEIR_OK);
	expect(STR("\x28\xb5\x2f"), STR("\x28\xb5\x2f"), CEIR_OK);
	expect(STR("\x28\xb5\x2fzzzzzz"), STR("\x28\xb5\x2fzzzzzz"), CEIR_OK);
	expect(STR("P*M!"), STR("P*M!"), CEIR_OK);
}

static void packed_comes_out(void **state)
{
	struct buf text = BUF_INIT(0), packed = BUF_INIT(0);

	(void)state;
	for (size_t lines = 0; lines <= 5000; lines = lines * 17 + 1) {
		buf_clear(&text);
		fill(&text, lines);
		buf_clear(&packed);
		test_gzip(&packed, buf_view(&text));
		expect(buf_view(&packed), buf_view(&text), CEIR_OK);
		buf_clear(&packed);
		test_zstd(&packed, buf_view(&text));
		expect(buf_view(&packed), buf_view(&text), CEIR_OK);
	}
	buf_free(&text);
	buf_free(&packed);
}

static void members_and_frames_follow_each_other(void **state)
{
	static const char skipped[] = "\x5a\x2a\x4d\x18\x03\x00\x00\x00xyz";
	struct buf packed = BUF_INIT(0);

	(void)state;
	test_gzip(&packed, STR("one,"));
	test_gzip(&packed, STR(""));
	test_gzip(&packed, STR("two"));
	expect(buf_view(&packed), STR("one,two"), CEIR_OK);
	buf_put(&packed, "\0\0\0\0\0", 5);
	expect(buf_view(&packed), STR("one,two"), CEIR_OK);
	test_gzip(&packed, STR("three"));
	expect(buf_view(&packed), STR(""), CEIR_EINVAL); /* not behind padding */

	buf_clear(&packed);
	buf_put(&packed, skipped, sizeof(skipped) - 1);
	test_zstd(&packed, STR("one,"));
	buf_put(&packed, skipped, sizeof(skipped) - 1);
	test_zstd(&packed, STR("two"));
	expect(buf_view(&packed), STR("one,two"), CEIR_OK);
	buf_free(&packed);
}

static void damage_is_noticed(void **state)
{
	struct buf text = BUF_INIT(0), packed = BUF_INIT(0);

	(void)state;
	fill(&text, 300);
	for (int kind = 0; kind < 2; kind++) {
		buf_clear(&packed);
		if (kind == 0)
			test_gzip(&packed, buf_view(&text));
		else
			test_zstd(&packed, buf_view(&text));
		for (size_t n = 4; n < packed.n; n += n < 40 || n + 40 > packed.n ? 1 : 97)
			expect((struct str){packed.p, n}, STR(""), CEIR_EINVAL); /* cut off */
		buf_c(&packed, "garbage");
		expect(buf_view(&packed), STR(""), CEIR_EINVAL);
		packed.n -= 7;
		if (kind == 0) { /* ZSTD_compress() writes no checksum, gzip always does */
			packed.p[packed.n - 6] ^= 1;
			expect(buf_view(&packed), STR(""), CEIR_EINVAL);
		}
	}
	expect(STR("\x1f\x8b\x08\xff\xff\xff\xff\xff\xff\xff\xff"), STR(""), CEIR_EINVAL);
	buf_free(&text);
	buf_free(&packed);
}

static void a_bomb_is_stopped(void **state)
{
	struct buf zeros = BUF_INIT(0), packed = BUF_INIT(0), out = BUF_INIT(0);

	(void)state;
	memset(buf_reserve(&zeros, 20 << 20), 'a', 20 << 20);
	zeros.n = 20 << 20;
	for (int kind = 0; kind < 2; kind++) {
		buf_clear(&packed);
		if (kind == 0)
			test_gzip(&packed, buf_view(&zeros));
		else
			test_zstd(&packed, buf_view(&zeros));
		buf_clear(&out);
		assert_int_equal(unpack_all(buf_view(&packed), 1000, 100, &out), CEIR_ELIMIT);
		assert_true(out.n < 5 << 20);
		buf_clear(&out);
		assert_int_equal(unpack_all(buf_view(&packed), 1000, 0, &out), CEIR_OK);
		assert_int_equal(out.n, 20 << 20);
		/* The first MiB is never too much. */
		buf_clear(&packed);
		if (kind == 0)
			test_gzip(&packed, (struct str){zeros.p, 1 << 20});
		else
			test_zstd(&packed, (struct str){zeros.p, 1 << 20});
		buf_clear(&out);
		assert_int_equal(unpack_all(buf_view(&packed), 1000, 1, &out), CEIR_OK);
	}
	buf_free(&zeros);
	buf_free(&packed);
	buf_free(&out);
}

/* A frame that asks for a window of 2 GiB (RFC 8878 3.1.1.1.2) and holds nothing. */
static void a_huge_window_is_refused(void **state)
{
	(void)state;
	expect(STR("\x28\xb5\x2f\xfd\x00\xa8\x01\x00\x00"), STR(""), CEIR_ELIMIT);
	expect(STR("\x28\xb5\x2f\xfd\x00\x88\x01\x00\x00"), STR(""), CEIR_OK); /* 128 MiB */
}

struct counted {
	unsigned calls, fail_at;
};

static enum ceir_err failing(void *ctx, struct str bytes)
{
	struct counted *c = ctx;

	(void)bytes;
	return ++c->calls == c->fail_at ? CEIR_ENOSPC : CEIR_OK;
}

static void an_error_of_the_taker_stops_it(void **state)
{
	struct buf text = BUF_INIT(0), packed = BUF_INIT(0);

	(void)state;
	fill(&text, 20000);
	for (int kind = 0; kind < 3; kind++) {
		struct counted c = {.fail_at = kind == 2 ? 1 : 3};
		struct unpack *u = unpack_new(0);

		buf_clear(&packed);
		if (kind == 0)
			test_gzip(&packed, buf_view(&text));
		else if (kind == 1)
			test_zstd(&packed, buf_view(&text));
		else
			buf_c(&packed, "plain text");
		assert_int_equal(unpack_feed(u, buf_view(&packed), failing, &c), CEIR_ENOSPC);
		assert_int_equal(unpack_feed(u, STR("more"), failing, &c), CEIR_ENOSPC);
		assert_int_equal(unpack_finish(u, failing, &c), CEIR_ENOSPC);
		assert_int_equal(c.calls, c.fail_at);
		unpack_free(u);
	}
	unpack_free(NULL);
	buf_free(&text);
	buf_free(&packed);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(plain_goes_through),
		cmocka_unit_test(packed_comes_out),
		cmocka_unit_test(members_and_frames_follow_each_other),
		cmocka_unit_test(damage_is_noticed),
		cmocka_unit_test(a_bomb_is_stopped),
		cmocka_unit_test(a_huge_window_is_refused),
		cmocka_unit_test(an_error_of_the_taker_stops_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

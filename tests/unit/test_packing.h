/* test_packing.h - packed by the libraries themselves: one gzip member, one zstd frame, appended. */
#ifndef CEIR_TEST_PACKING_H
#define CEIR_TEST_PACKING_H

#include <zlib.h>
#include <zstd.h>

#include "base/base.h"

static inline void test_gzip(struct buf *out, struct str s)
{
	z_stream z = {0};
	size_t room = s.n + s.n / 8 + 1000;
	char *at = buf_reserve(out, room);

	assert_non_null(at);
	assert_int_equal(deflateInit2(&z, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY), Z_OK);
	z.next_in = (Bytef *)(uintptr_t)s.p;
	z.avail_in = (uInt)s.n;
	z.next_out = (Bytef *)at;
	z.avail_out = (uInt)room;
	assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
	out->n += z.total_out;
	deflateEnd(&z);
}

static inline void test_zstd(struct buf *out, struct str s)
{
	size_t room = ZSTD_compressBound(s.n);
	char *at = buf_reserve(out, room);
	size_t n = ZSTD_compress(at, room, s.p, s.n, 3);

	assert_non_null(at);
	assert_false(ZSTD_isError(n));
	out->n += n;
}

#endif

/*
 * Unpacking: what comes out, and whether it is whole, does not depend on where the stream is cut, and never is more than the ratio
 * allows. The first byte is the size of the pieces.
 */
#include <stdlib.h>
#include <string.h>

#include "exchange/exchange.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define RATIO 50
#define FREE_BYTES ((size_t)1 << 20)
#define CHUNK_BYTES ((size_t)64 << 10)

static enum ceir_err collect(void *ctx, struct str bytes)
{
	buf_str(ctx, bytes);
	return CEIR_OK;
}

static enum ceir_err unpack_all(struct str in, size_t piece, struct buf *out)
{
	struct unpack *u = unpack_new(RATIO);
	size_t most = FREE_BYTES + RATIO * in.n + CHUNK_BYTES + RATIO;
	enum ceir_err err = CEIR_OK;

	CEIR_ASSERT(u != NULL);
	while (err == CEIR_OK && in.n > 0) {
		size_t n = piece < in.n ? piece : in.n;
		char *copy = malloc(n); /* of its size: a read behind it is seen */

		CEIR_ASSERT(copy != NULL);
		memcpy(copy, in.p, n);
		err = unpack_feed(u, (struct str){copy, n}, collect, out);
		free(copy);
		in = (struct str){in.p + n, in.n - n};
	}
	err = unpack_finish(u, collect, out);
	CEIR_ASSERT(err == CEIR_OK || err == CEIR_EINVAL || err == CEIR_ELIMIT);
	CEIR_ASSERT(out->n <= most && !out->failed);
	unpack_free(u);
	return err;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct buf whole = BUF_INIT(0), pieces = BUF_INIT(0);
	struct str in;
	enum ceir_err a, b;

	if (size == 0)
		return 0;
	in = (struct str){(const char *)data + 1, size - 1};
	a = unpack_all(in, SIZE_MAX, &whole);
	b = unpack_all(in, (size_t)data[0] + 1, &pieces);
	/* The ratio is looked at whenever something comes out, which is more often with small pieces. */
	CEIR_ASSERT((a == CEIR_OK) == (b == CEIR_OK) || a == CEIR_ELIMIT || b == CEIR_ELIMIT);
	CEIR_ASSERT(a != CEIR_OK || b != CEIR_OK || str_eq(buf_view(&whole), buf_view(&pieces)));
	buf_free(&whole);
	buf_free(&pieces);
	return 0;
}

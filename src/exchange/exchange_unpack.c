/*
 * exchange_unpack.c - gzip, zstd or plain, told apart by the first bytes, in constant memory.
 *
 * gzip (RFC 1952): members stand one behind the other; zeros behind the last one are passed over, as gzip(1) does (tapes and
 * some file transfers pad). zstd (RFC 8878): frames likewise, with a window of at most 2^27 bytes, which is what `zstd --ultra`
 * needs and all that a stranger may make us allocate.
 */
#include "exchange/exchange.h"

#include <stdlib.h>
#include <string.h>
#define ZLIB_CONST /* input is not written to */
#include <zlib.h>
#include <zstd.h>
#include <zstd_errors.h>

#define CHUNK_BYTES ((size_t)64 << 10)
#define WINDOW_LOG 27
#define FREE_BYTES ((uint64_t)1 << 20) /* output that is not measured */
#define MAGIC_BYTES 4
#define GZIP_MAGIC_BYTES 3
#define GZIP_WINDOW_BITS (15 + 16) /* the largest window; a gzip header, not one of zlib */

enum packing { PACKING_UNKNOWN, PACKING_PLAIN, PACKING_GZIP, PACKING_ZSTD };

struct unpack {
	enum packing packing;
	enum ceir_err failed; /* once: for ever */
	bool between;         /* no member or frame is under way */
	bool padding;         /* gzip: zeros have begun; only zeros may follow */
	unsigned max_ratio;
	uint64_t in, out;       /* bytes so far */
	char head[MAGIC_BYTES]; /* while the packing is unknown */
	size_t head_n;
	z_stream z;
	ZSTD_DStream *zstd;
	char chunk[CHUNK_BYTES];
};

/* First bytes of each packing; a zstd stream may also begin with a frame to skip, whose first byte is 0x50..0x5f. */
static const unsigned char gzip_magic[GZIP_MAGIC_BYTES] = {0x1f, 0x8b, 8};
static const unsigned char zstd_magic[MAGIC_BYTES] = {0x28, 0xb5, 0x2f, 0xfd};
static const unsigned char skip_magic[MAGIC_BYTES] = {0x50, 0x2a, 0x4d, 0x18};

struct unpack *unpack_new(unsigned max_ratio)
{
	struct unpack *u = calloc(1, sizeof(*u));

	if (u != NULL)
		u->max_ratio = max_ratio;
	return u;
}

void unpack_free(struct unpack *u)
{
	if (u == NULL)
		return;
	if (u->packing == PACKING_GZIP)
		inflateEnd(&u->z);
	ZSTD_freeDStream(u->zstd);
	free(u);
}

/* The head is, or may still become, that magic. */
static bool magic_fits(const struct unpack *u, const unsigned char *magic, size_t n)
{
	if (u->head_n < n)
		n = u->head_n;
	return memcmp(u->head, magic, n) == 0;
}

static bool skip_fits(const struct unpack *u)
{
	return u->head_n == 0 ||
	       (((unsigned char)u->head[0] & 0xf0u) == skip_magic[0] && memcmp(u->head + 1, skip_magic + 1, u->head_n - 1) == 0);
}

/* PACKING_UNKNOWN: more bytes must be seen. */
static enum packing packing_of(const struct unpack *u, bool last)
{
	if (magic_fits(u, gzip_magic, sizeof(gzip_magic)) && u->head_n > 0)
		return u->head_n >= sizeof(gzip_magic) ? PACKING_GZIP : last ? PACKING_PLAIN : PACKING_UNKNOWN;
	if ((magic_fits(u, zstd_magic, sizeof(zstd_magic)) || skip_fits(u)) && u->head_n > 0)
		return u->head_n >= MAGIC_BYTES ? PACKING_ZSTD : last ? PACKING_PLAIN : PACKING_UNKNOWN;
	return u->head_n > 0 || last ? PACKING_PLAIN : PACKING_UNKNOWN;
}

static enum ceir_err packing_begin(struct unpack *u, enum packing packing)
{
	if (packing == PACKING_GZIP) {
		if (inflateInit2(&u->z, GZIP_WINDOW_BITS) != Z_OK)
			return CEIR_ENOMEM;
	} else if (packing == PACKING_ZSTD) {
		u->zstd = ZSTD_createDStream();
		if (u->zstd == NULL || ZSTD_isError(ZSTD_initDStream(u->zstd)) ||
			ZSTD_isError(ZSTD_DCtx_setParameter(u->zstd, ZSTD_d_windowLogMax, WINDOW_LOG)))
			return CEIR_ENOMEM;
	}
	u->between = true;
	u->packing = packing;
	return CEIR_OK;
}

/* Hands n bytes of the chunk on, unless there are too many for what came in. */
static enum ceir_err chunk_out(struct unpack *u, size_t n, unpack_out out, void *ctx)
{
	u->out += n;
	if (u->max_ratio > 0 && u->out > FREE_BYTES && (u->out - FREE_BYTES) / u->max_ratio > u->in)
		return CEIR_ELIMIT;
	return n == 0 ? CEIR_OK : out(ctx, (struct str){u->chunk, n});
}

/* Passes over padding. false: something else than zeros behind zeros. */
static bool padding_skip(struct unpack *u, struct str *bytes)
{
	while (bytes->n > 0 && bytes->p[0] == '\0') {
		u->padding = true;
		u->in++;
		*bytes = (struct str){bytes->p + 1, bytes->n - 1};
	}
	return bytes->n == 0 || !u->padding;
}

/* One call of inflate: takes what it can of *bytes, *full tells whether there is more to come without further input. */
static enum ceir_err gzip_step(struct unpack *u, struct str *bytes, bool *full, unpack_out out, void *ctx)
{
	uInt n = bytes->n > CHUNK_BYTES ? (uInt)CHUNK_BYTES : (uInt)bytes->n;
	enum ceir_err err;
	int result;

	if (u->between && inflateReset(&u->z) != Z_OK)
		return CEIR_EINVAL;
	u->between = false;
	u->z.next_in = (const Bytef *)bytes->p;
	u->z.avail_in = n;
	u->z.next_out = (Bytef *)u->chunk;
	u->z.avail_out = (uInt)CHUNK_BYTES;
	result = inflate(&u->z, Z_NO_FLUSH);
	n -= u->z.avail_in;
	u->in += n;
	*bytes = (struct str){bytes->p + n, bytes->n - n};
	if (result != Z_OK && result != Z_STREAM_END && result != Z_BUF_ERROR)
		return result == Z_MEM_ERROR ? CEIR_ENOMEM : CEIR_EINVAL;
	u->between = result == Z_STREAM_END;
	*full = u->z.avail_out == 0 && !u->between;
	err = chunk_out(u, CHUNK_BYTES - u->z.avail_out, out, ctx);
	u->z.next_in = NULL; /* the caller's memory */
	return err;
}

static enum ceir_err gzip_feed(struct unpack *u, struct str bytes, unpack_out out, void *ctx)
{
	enum ceir_err err = CEIR_OK;
	bool full = false;

	while (err == CEIR_OK && (bytes.n > 0 || full)) {
		if (u->between && !padding_skip(u, &bytes))
			err = CEIR_EINVAL;
		else if (bytes.n > 0 || full)
			err = gzip_step(u, &bytes, &full, out, ctx);
	}
	return err;
}

static enum ceir_err zstd_error(size_t code)
{
	switch (ZSTD_getErrorCode(code)) {
	case ZSTD_error_memory_allocation:
		return CEIR_ENOMEM;
	case ZSTD_error_frameParameter_windowTooLarge:
		return CEIR_ELIMIT;
	default:
		return CEIR_EINVAL;
	}
}

static enum ceir_err zstd_feed(struct unpack *u, struct str bytes, unpack_out out, void *ctx)
{
	ZSTD_inBuffer in = {bytes.p, bytes.n, 0};
	enum ceir_err err = CEIR_OK;
	bool full = false;

	while (err == CEIR_OK && (in.pos < in.size || full)) {
		ZSTD_outBuffer chunk = {u->chunk, CHUNK_BYTES, 0};
		size_t before = in.pos, result = ZSTD_decompressStream(u->zstd, &chunk, &in);

		if (ZSTD_isError(result))
			return zstd_error(result);
		u->in += in.pos - before;
		u->between = result == 0;
		full = chunk.pos == chunk.size && !u->between;
		err = chunk_out(u, chunk.pos, out, ctx);
	}
	return err;
}

static enum ceir_err body_feed(struct unpack *u, struct str bytes, unpack_out out, void *ctx)
{
	if (bytes.n == 0)
		return CEIR_OK;
	if (u->packing == PACKING_GZIP)
		return gzip_feed(u, bytes, out, ctx);
	if (u->packing == PACKING_ZSTD)
		return zstd_feed(u, bytes, out, ctx);
	return out(ctx, bytes);
}

/* Looks at the first bytes; once they tell, they are fed too. */
static enum ceir_err head_feed(struct unpack *u, struct str *bytes, bool last, unpack_out out, void *ctx)
{
	enum packing packing = PACKING_UNKNOWN;
	enum ceir_err err;

	while (packing == PACKING_UNKNOWN && bytes->n > 0) {
		u->head[u->head_n++] = bytes->p[0];
		*bytes = (struct str){bytes->p + 1, bytes->n - 1};
		packing = packing_of(u, false);
	}
	if (packing == PACKING_UNKNOWN && last)
		packing = packing_of(u, true);
	if (packing == PACKING_UNKNOWN)
		return CEIR_OK;
	err = packing_begin(u, packing);
	return err == CEIR_OK ? body_feed(u, (struct str){u->head, u->head_n}, out, ctx) : err;
}

enum ceir_err unpack_feed(struct unpack *u, struct str bytes, unpack_out out, void *ctx)
{
	if (u->failed == CEIR_OK && u->packing == PACKING_UNKNOWN)
		u->failed = head_feed(u, &bytes, false, out, ctx);
	if (u->failed == CEIR_OK && u->packing != PACKING_UNKNOWN)
		u->failed = body_feed(u, bytes, out, ctx);
	return u->failed;
}

enum ceir_err unpack_finish(struct unpack *u, unpack_out out, void *ctx)
{
	struct str none = {NULL, 0};

	if (u->failed == CEIR_OK && u->packing == PACKING_UNKNOWN)
		u->failed = head_feed(u, &none, true, out, ctx);
	if (u->failed == CEIR_OK && !u->between)
		u->failed = CEIR_EINVAL; /* cut off */
	return u->failed;
}

/*
 * Blocks of the change log: how many changes the row says, then what stands packed behind the compression. Whatever is taken is written and
 * read again as the same.
 */
#include <stdlib.h>
#include <string.h>
#include <zstd.h>

#include "store/store_change.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* In a frame as the register writes it, with a checksum. */
static bool unpack(struct store_block *b, const uint8_t *raw, size_t n, char *frame, size_t frame_max)
{
	ZSTD_CCtx *c = ZSTD_createCCtx();

	CEIR_ASSERT(c && !ZSTD_isError(ZSTD_CCtx_setParameter(c, ZSTD_c_checksumFlag, 1)));
	size_t packed = ZSTD_compress2(c, frame, frame_max, raw, n);
	CEIR_ASSERT(!ZSTD_isError(packed));
	ZSTD_freeCCtx(c);
	return store_block_unpack(b, (struct str){frame, packed});
}

/* The block's own head in front of the bytes that are tried. */
static bool unpack_tail(struct store_block *b, const uint8_t *data, size_t size, char *frame, size_t frame_max)
{
	uint8_t raw[4096 + 16], *p = raw;

	*p++ = (uint8_t)b->first;
	for (uint64_t n = (uint64_t)b->n; ; n >>= 7) {
		*p++ = (uint8_t)((n & 0x7f) | (n >= 0x80 ? 0x80 : 0));
		if (n < 0x80)
			break;
	}
	if (size > 4096)
		size = 4096;
	memcpy(p, data, size);
	return unpack(b, raw, (size_t)(p - raw) + size, frame, frame_max);
}

static bool same(const struct store_change *a, const struct store_change *b)
{
	return a->seq == b->seq && a->scope == b->scope && a->imei.n == b->imei.n && a->verdict == b->verdict && a->before == b->before
		&& a->has_record == b->has_record && a->record.mask == b->record.mask && a->record.since_day == b->record.since_day
		&& a->record.block_day == b->record.block_day && a->record.resolved_day == b->record.resolved_day
		&& a->record.genuine_imsi == b->record.genuine_imsi && a->record.genuine_msisdn == b->record.genuine_msisdn && a->record.was_mask == b->record.was_mask;
}

static void round_trip(struct store_block *b, char *frame, size_t frame_max)
{
	struct store_change *first = calloc((size_t)b->n, sizeof *first);
	uint8_t *raw = malloc(STORE_BLOCK_BYTES);

	CEIR_ASSERT(first && raw);
	memcpy(first, b->changes, (size_t)b->n * sizeof *first);
	size_t n = store_block_pack(first, (size_t)b->n, b->first, raw);
	CEIR_ASSERT(n <= STORE_BLOCK_BYTES && unpack(b, raw, n, frame, frame_max));
	for (int64_t i = 0; i < b->n; i++)
		CEIR_ASSERT(same(&first[i], &b->changes[i]));
	free(raw);
	free(first);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	size_t frame_max = ZSTD_compressBound(STORE_BLOCK_BYTES);
	char *frame = malloc(frame_max);
	struct store_block b;

	CEIR_ASSERT(frame && !store_block_new(&b));
	if (size >= 2) {
		b.first = 7;
		b.n = 1 + data[0] % 64 + (data[1] == 255 ? STORE_BLOCK_CHANGES - 64 : 0);
		b.at_s = 1700000000;
		b.tx = 3;
		if (unpack_tail(&b, data + 2, size - 2, frame, frame_max))
			round_trip(&b, frame, frame_max);
		/* The bytes as they are: no frame at all, most of the time. */
		store_block_unpack(&b, (struct str){(const char *)data, size});
	}
	store_block_free(&b);
	free(frame);
	return 0;
}

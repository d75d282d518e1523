/*
 * segment_reseal.h - makes the CRCs of damaged bytes right again, so that a test or the fuzz target gets past them to what reads the
 * numbers: what somebody could write who knows the format.
 */
#ifndef SEGMENT_RESEAL_H
#define SEGMENT_RESEAL_H

#include "segment/segment_internal.h"

static inline void reseal_blocks(uint8_t *p, uint64_t blocks, uint64_t index)
{
	const uint8_t *group = p + index, *start = group + (blocks + SEGMENT_GROUP - 1) / SEGMENT_GROUP * SEGMENT_GROUP_BYTES + blocks * 8;
	uint64_t end = index;
	for (uint64_t b = blocks; b-- > 0;) {
		uint64_t at;
		uint8_t number[8];
		if (__builtin_add_overflow(load64(group + b / SEGMENT_GROUP * SEGMENT_GROUP_BYTES), load32(start + b * 4), &at))
			return;
		if (at < SEGMENT_HEADER_BYTES || at > end || end - at < SEGMENT_BLOCK_HEAD_BYTES)
			return;
		store64(number, b);
		store32(p + at, crc32c(crc32c(0, number, 8), p + at + 4, (size_t)(end - at - 4)));
		end = at;
	}
}

static inline void reseal(uint8_t *p, size_t n)
{
	if (n < SEGMENT_HEADER_BYTES + SEGMENT_FOOTER_BYTES)
		return;
	uint8_t *f = p + n - SEGMENT_FOOTER_BYTES;
	const uint64_t index = load64(f + FOOTER_INDEX), blocks = load64(f + FOOTER_BLOCKS), room = n - SEGMENT_FOOTER_BYTES;
	memcpy(p, SEGMENT_MAGIC, 8);
	store32(p + 8, p[8] == SEGMENT_VERSION_FILTER ? SEGMENT_VERSION_FILTER : SEGMENT_VERSION);
	store32(p + SEGMENT_HEADER_CRC, crc32c(0, p, SEGMENT_HEADER_CRC));
	if (index >= SEGMENT_HEADER_BYTES && index <= room) {
		if (blocks <= (room - index) / (8 + 4 + SEGMENT_GROUP_BYTES))
			reseal_blocks(p, blocks, index);
		store32(f + FOOTER_INDEX_CRC, crc32c(0, p + index, (size_t)(room - index)));
	}
	store64(f + FOOTER_BYTES, n);
	store32(f + FOOTER_HEADER_CRC, load32(p + SEGMENT_HEADER_CRC));
	store32(f + SEGMENT_FOOTER_CRC, crc32c(0, f, SEGMENT_FOOTER_CRC));
	memcpy(f + FOOTER_MAGIC, SEGMENT_END_MAGIC, 8);
}

#endif

/* segment_crc32c.c - CRC32C (Castagnoli, reflected polynomial 0x82f63b78; RFC 3720 12.1): by instruction, or eight tables. */
#include "segment/segment_internal.h"

#define POLYNOMIAL 0x82f63b78u

static uint32_t table[8][256];
static pthread_once_t table_once = PTHREAD_ONCE_INIT;

static void table_fill(void)
{
	for (uint32_t i = 0; i < 256; i++) {
		uint32_t crc = i;
		for (int bit = 0; bit < 8; bit++)
			crc = crc >> 1 ^ (crc & 1 ? POLYNOMIAL : 0);
		table[0][i] = crc;
	}
	for (uint32_t i = 0; i < 256; i++)
		for (int t = 1; t < 8; t++)
			table[t][i] = table[t - 1][i] >> 8 ^ table[0][table[t - 1][i] & 0xff];
}

uint32_t crc32c_portable(uint32_t crc, const void *bytes, size_t n)
{
	const uint8_t *p = bytes;

	pthread_once(&table_once, table_fill);
	crc = ~crc;
	for (; n >= 8; n -= 8, p += 8) {
		uint64_t v = load64(p) ^ crc;
		crc = table[7][v & 0xff] ^ table[6][v >> 8 & 0xff] ^ table[5][v >> 16 & 0xff] ^ table[4][v >> 24 & 0xff] ^
		      table[3][v >> 32 & 0xff] ^ table[2][v >> 40 & 0xff] ^ table[1][v >> 48 & 0xff] ^ table[0][v >> 56];
	}
	for (; n > 0; n--, p++)
		crc = crc >> 8 ^ table[0][(crc ^ *p) & 0xff];
	return ~crc;
}

#ifdef __x86_64__
#include <nmmintrin.h>

/*
 * The instruction gives its result after three cycles, but one can begin in each: three stretches side by side take a third of the time.
 * The CRC of a stretch is then moved over the one behind it, as if that were zeros; being linear, by a table for each of its bytes.
 */
#define STRETCH 128u /* bytes */
static uint32_t moved[4][256];
static pthread_once_t moved_once = PTHREAD_ONCE_INIT;

__attribute__((target("sse4.2"))) static void moved_fill(void)
{
	for (unsigned k = 0; k < 4; k++)
		for (uint32_t i = 0; i < 256; i++) {
			uint64_t c = i << 8 * k;
			for (unsigned n = 0; n < STRETCH; n += 8)
				c = _mm_crc32_u64(c, 0);
			moved[k][i] = (uint32_t)c;
		}
}

static uint32_t move_on(uint64_t c)
{
	return moved[0][c & 0xff] ^ moved[1][c >> 8 & 0xff] ^ moved[2][c >> 16 & 0xff] ^ moved[3][c >> 24 & 0xff];
}

__attribute__((target("sse4.2"))) static uint32_t crc32c_sse42(uint32_t crc, const void *bytes, size_t n)
{
	const uint8_t *p = bytes;
	uint64_t c = ~crc;

	if (n >= 3 * STRETCH)
		pthread_once(&moved_once, moved_fill);
	for (; n >= 3 * STRETCH; n -= 3 * STRETCH, p += 3 * STRETCH) {
		uint64_t d = 0, e = 0;
		for (unsigned i = 0; i < STRETCH; i += 8) {
			c = _mm_crc32_u64(c, load64(p + i));
			d = _mm_crc32_u64(d, load64(p + STRETCH + i));
			e = _mm_crc32_u64(e, load64(p + 2 * STRETCH + i));
		}
		c = move_on(move_on(c) ^ d) ^ e;
	}
	for (; n >= 8; n -= 8, p += 8)
		c = _mm_crc32_u64(c, load64(p));
	for (; n > 0; n--, p++)
		c = _mm_crc32_u8((uint32_t)c, *p);
	return ~(uint32_t)c;
}
#endif

uint32_t crc32c(uint32_t crc, const void *bytes, size_t n)
{
#ifdef __x86_64__
	if (__builtin_cpu_supports("sse4.2"))
		return crc32c_sse42(crc, bytes, n);
#endif
	return crc32c_portable(crc, bytes, n);
}

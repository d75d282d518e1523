/*
 * exchange_delivery_digits.h - decimal digits of a plain line, 64 characters and eight digits at a time. Private to src/exchange;
 * src/ident does the same for one text by itself. Here the text stands in a line with more behind it, so loads may reach behind a
 * field (never behind the piece: the caller keeps a margin), and no step depends on how long the fields are.
 */
#ifndef CEIR_EXCHANGE_DELIVERY_DIGITS_H
#define CEIR_EXCHANGE_DELIVERY_DIGITS_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#ifdef __SSE2__
#include <emmintrin.h>
#endif

#define LINE_EIGHT(byte) (UINT64_C(0x0101010101010101) * (byte))

/* Eight characters, the first in the lowest byte on every machine. */
static inline uint64_t line_load(const char *p)
{
	uint64_t w;

	memcpy(&w, p, sizeof(w));
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
	w = __builtin_bswap64(w);
#endif
	return w;
}

/* Bit i: p[i] is not one of 0-9, i in 0..7. The eight top bits are gathered by one multiplication. */
static inline uint64_t line_others_8(const char *p)
{
	uint64_t w = line_load(p), low = w & LINE_EIGHT(0x7f);
	/* In each byte, without carry into the next: the top bit when below '0' (no carry of + 0x50), above '9', or already set. */
	uint64_t others = (~(low + LINE_EIGHT(0x50)) | (low + LINE_EIGHT(0x46)) | w) & LINE_EIGHT(0x80);

	return (others >> 7) * UINT64_C(0x0102040810204080) >> 56;
}

static inline uint64_t line_others_words(const char *p)
{
	uint64_t mask = 0;

	for (unsigned i = 0; i < 8; i++)
		mask |= line_others_8(p + 8 * i) << 8 * i;
	return mask;
}

/* Bit i: p[i] is not one of 0-9, i in 0..63. */
static inline uint64_t line_others(const char *p)
{
#ifdef __SSE2__
	uint64_t mask = 0;

	for (unsigned i = 0; i < 4; i++) {
		/* '0'..'9' and no other become 118..127, the largest signed bytes. */
		__m128i x = _mm_add_epi8(_mm_loadu_si128((const __m128i *)(const void *)(p + 16 * i)), _mm_set1_epi8(127 - '9'));
		unsigned digits = (unsigned)_mm_movemask_epi8(_mm_cmpgt_epi8(x, _mm_set1_epi8(127 - 10)));

		mask |= (uint64_t)digits << 16 * i;
	}
	return ~mask;
#else
	return line_others_words(p);
#endif
}

/* Bit i: p[i] is not one of 0-9, i in 0..15. */
static inline uint32_t line_others_16(const char *p)
{
#ifdef __SSE2__
	__m128i x = _mm_add_epi8(_mm_loadu_si128((const __m128i *)(const void *)p), _mm_set1_epi8(127 - '9'));

	return (uint32_t)_mm_movemask_epi8(_mm_cmpgt_epi8(x, _mm_set1_epi8(127 - 10))) ^ 0xffff;
#else
	return (uint32_t)(line_others_8(p) | line_others_8(p + 8) << 8);
#endif
}

/* Number of eight digits without their '0's, the first in the lowest byte. */
static inline uint32_t line_number_8(uint64_t digits)
{
	digits = digits * 10 + (digits >> 8);
	digits &= UINT64_C(0x00ff00ff00ff00ff);
	digits = (digits * 100 + (digits >> 16)) & UINT64_C(0x0000ffff0000ffff);
	return (uint32_t)(digits * 10000 + (digits >> 32));
}

/* Digits 9 to n of a number of n, 9 <= n <= 16, at the end of a word of eight, zeros before them. Reads 16 characters. */
static inline uint64_t line_tail(const char *p, unsigned n)
{
	return (line_load(p + 8) - LINE_EIGHT('0')) << 8 * (16 - n);
}

static inline uint64_t line_head(const char *p)
{
	return line_load(p) - LINE_EIGHT('0');
}

/*
 * Luhn sum (3GPP TS 23.003 annex B) of eight digits: each second one, those in the odd bytes or those in the even ones, counts the
 * digits of its double.
 */
static inline uint32_t line_luhn_8(uint64_t digits, bool odd)
{
	uint64_t low = digits & UINT64_C(0x00ff00ff00ff00ff), high = digits >> 8 & UINT64_C(0x00ff00ff00ff00ff);
	uint64_t twice = (odd ? high : low) * 2, once = odd ? low : high;
	uint64_t over = (twice + UINT64_C(0x0006000600060006)) >> 4 & UINT64_C(0x0001000100010001); /* the double has two digits */

	return (uint32_t)((once + twice - over * 9) * UINT64_C(0x0001000100010001) >> 48);
}

#endif

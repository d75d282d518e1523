/*
 * ident_digits.h - decimal digits, eight at a time. Private to src/ident.
 *
 * Eight characters are loaded into one 64-bit word, the first in the lowest byte. With the '0's subtracted, three
 * multiply-and-shift steps join neighbours: 8 digits -> 4 pairs -> 2 fours -> 1 number. No branch depends on the digits, so
 * a million identifiers a second cost no mispredicted jumps.
 */
#ifndef CEIR_IDENT_DIGITS_H
#define CEIR_IDENT_DIGITS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define DIGITS_EIGHT(byte) (0x0101010101010101u * (byte))

/* Eight characters at p, the first in the lowest byte on every machine. */
static inline uint64_t digits_load(const char *p)
{
	uint64_t w;

	memcpy(&w, p, sizeof(w));
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
	w = __builtin_bswap64(w);
#endif
	return w;
}

/* All eight are '0'..'9': the upper half-byte is 3, and stays 3 when 6 is added ('9' + 6 = 0x3f, ':' + 6 = 0x40). */
static inline bool digits_all(uint64_t w)
{
	return ((w & DIGITS_EIGHT(0xf0u)) | ((w + DIGITS_EIGHT(0x06u)) & DIGITS_EIGHT(0xf0u)) >> 4) == DIGITS_EIGHT(0x33u);
}

/* Number of the eight digits; digits_all(w) must hold. */
static inline uint32_t digits_number(uint64_t w)
{
	w -= DIGITS_EIGHT('0');
	w = (w * 10 + (w >> 8)) & 0x00ff00ff00ff00ffu;
	w = (w * 100 + (w >> 16)) & 0x0000ffff0000ffffu;
	return (uint32_t)(w * 10000 + (w >> 32));
}

/*
 * Luhn sum of the eight digits (TS 23.003 annex B): each second digit counts the digits of its double. double_first: the
 * digits in bytes 0, 2, 4, 6 are doubled, else those in bytes 1, 3, 5, 7. digits_all(w) must hold.
 */
static inline uint32_t digits_luhn(uint64_t w, bool double_first)
{
	uint64_t bytes = w - DIGITS_EIGHT('0');
	uint64_t low = bytes & 0x00ff00ff00ff00ffu, high = bytes >> 8 & 0x00ff00ff00ff00ffu;
	uint64_t twice = (double_first ? low : high) * 2;
	uint64_t once = double_first ? high : low;
	uint64_t over = (twice + 0x0006000600060006u) >> 4 & 0x0001000100010001u; /* 1 where the double has two digits */

	return (uint32_t)((once + twice - over * 9) * 0x0001000100010001u >> 48);
}

/* Number of n digits, n <= 16. false: another character, or n is 0; *number is then undefined. */
bool digits_parse(const char *p, size_t n, uint64_t *number);
/* Number as exactly n digits, leading zeros included, and a NUL. */
void digits_print(uint64_t number, size_t n, char *out);

#endif

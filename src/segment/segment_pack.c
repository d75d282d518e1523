/*
 * segment_pack.c - numbers of w bits, one behind the other, low bits first.
 *
 * Eight numbers of w bits are w whole bytes. With w a constant every shift and every offset is one too, so there is one function
 * a width, made by macro; none has a branch or a loop but the one over groups of eight.
 */
#include "segment/segment_internal.h"

/* Number j of a group: into acc, which is stored when it is full. */
#define PACK(j)                                                                                                                     \
	do {                                                                                                                        \
		const unsigned fill = (j) * w % 64;                                                                                 \
		acc |= in[j] << fill;                                                                                               \
		if (fill + w >= 64) {                                                                                               \
			store64(o, acc);                                                                                            \
			o += 8;                                                                                                     \
			acc = fill ? in[j] >> ((64 - fill) % 64) : 0;                                                               \
		}                                                                                                                   \
	} while (0)

static inline __attribute__((always_inline)) void pack(const uint64_t *in, unsigned groups, uint8_t *out, const unsigned w)
{
	for (unsigned g = 0; g < groups; g++, in += 8, out += w) {
		uint8_t *o = out;
		uint64_t acc = 0;
		PACK(0u);
		PACK(1u);
		PACK(2u);
		PACK(3u);
		PACK(4u);
		PACK(5u);
		PACK(6u);
		PACK(7u);
		if (w % 8)
			store64(o, acc); /* the bytes too many are written over by the next group */
	}
}

/* Number j of a group: eight bytes from where it begins, and one more when it does not end there. */
#define UNPACK(j)                                                                                                                   \
	do {                                                                                                                        \
		const unsigned at = (j) * w / 8, skip = (j) * w % 8;                                                                \
		uint64_t v = load64(in + at) >> skip;                                                                               \
		if (skip + w > 64)                                                                                                  \
			v |= (uint64_t)in[at + 8] << ((64 - skip) % 64);                                                            \
		out[j] = (v & mask) + base;                                                                                         \
	} while (0)

static inline __attribute__((always_inline)) void unpack(const uint8_t *in, unsigned groups, uint64_t base, uint64_t *out, const unsigned w)
{
	const uint64_t mask = low_bits(w);
	for (unsigned g = 0; g < groups; g++, in += w, out += 8) {
		UNPACK(0u);
		UNPACK(1u);
		UNPACK(2u);
		UNPACK(3u);
		UNPACK(4u);
		UNPACK(5u);
		UNPACK(6u);
		UNPACK(7u);
	}
}

#define WIDTHS(f)                                                                                                                   \
	f(1) f(2) f(3) f(4) f(5) f(6) f(7) f(8) f(9) f(10) f(11) f(12) f(13) f(14) f(15) f(16) f(17) f(18) f(19) f(20) f(21) f(22)  \
	f(23) f(24) f(25) f(26) f(27) f(28) f(29) f(30) f(31) f(32) f(33) f(34) f(35) f(36) f(37) f(38) f(39) f(40) f(41) f(42)     \
	f(43) f(44) f(45) f(46) f(47) f(48) f(49) f(50) f(51) f(52) f(53) f(54) f(55) f(56) f(57) f(58) f(59) f(60) f(61) f(62)     \
	f(63) f(64)

#define PACK_FUNCTION(w)                                                                                                            \
	static void pack_##w(const uint64_t *in, unsigned groups, uint8_t *out)                                                     \
	{                                                                                                                           \
		pack(in, groups, out, w);                                                                                           \
	}
#define UNPACK_FUNCTION(w)                                                                                                          \
	static void unpack_##w(const uint8_t *in, unsigned groups, uint64_t base, uint64_t *out)                                    \
	{                                                                                                                           \
		unpack(in, groups, base, out, w);                                                                                   \
	}
WIDTHS(PACK_FUNCTION)
WIDTHS(UNPACK_FUNCTION)

#define PACK_NAME(w) pack_##w,
#define UNPACK_NAME(w) unpack_##w,
static void (*const pack_of[])(const uint64_t *, unsigned, uint8_t *) = {NULL, WIDTHS(PACK_NAME)};
static void (*const unpack_of[])(const uint8_t *, unsigned, uint64_t, uint64_t *) = {NULL, WIDTHS(UNPACK_NAME)};

void segment_pack(const uint64_t *in, unsigned n, unsigned w, uint8_t *out)
{
	CEIR_ASSERT(w <= 64);
	if (w > 0)
		pack_of[w](in, (n + 7) / 8, out);
}

void segment_unpack(const uint8_t *in, unsigned n, unsigned w, uint64_t base, uint64_t *out)
{
	CEIR_ASSERT(w <= 64);
	if (w > 0) {
		unpack_of[w](in, (n + 7) / 8, base, out);
		return;
	}
	for (unsigned i = 0; i < n; i++)
		out[i] = base;
}

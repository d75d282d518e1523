/*
 * bench_population.c - which IMEIs exist in the bench's world. Pure arithmetic, so that millions need no table.
 */
#include "bench.h"

#include <string.h>

#define FIRST_TAC 35900000u
/* Odd and not a multiple of 5, so i -> i * SCATTER + OFFSET mod IMEI_SERIALS meets every serial number once. */
#define SCATTER 618033u
#define OFFSET 271828u

struct tac bench_tac(uint64_t i)
{
	return (struct tac){FIRST_TAC + (uint32_t)i};
}

static struct imei scattered(uint64_t tac, uint64_t i)
{
	return imei_make(bench_tac(tac), (uint32_t)((i * SCATTER + OFFSET) % IMEI_SERIALS));
}

struct imei bench_device(uint64_t k)
{
	return scattered(k / BENCH_TAC_DEVICES, k % BENCH_TAC_DEVICES);
}

struct imei bench_stranger(uint64_t k)
{
	return scattered(k / BENCH_TAC_STRANGERS, BENCH_TAC_DEVICES + k % BENCH_TAC_STRANGERS);
}

uint64_t bench_random(uint64_t *state)
{
	uint64_t z = *state += 0x9e3779b97f4a7c15ull;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ z >> 27) * 0x94d049bb133111ebull;
	return z ^ z >> 31;
}

enum bench_kind bench_name(uint64_t *random, uint64_t devices, char out[IMEI_DIGITS])
{
	uint64_t r = bench_random(random), tacs = (devices + BENCH_TAC_DEVICES - 1) / BENCH_TAC_DEVICES;
	unsigned dice = (unsigned)(r % 100);
	char digits[IMEI_DIGITS + 1];
	enum bench_kind kind = dice < 80 ? BENCH_REGISTERED : dice < 95 ? BENCH_STRANGER : BENCH_INVALID;

	r >>= 8; /* what chose the kind does not choose the number */
	if (devices == 0 && kind == BENCH_REGISTERED)
		kind = BENCH_STRANGER;
	imei_print(kind == BENCH_REGISTERED ? bench_device(r % devices)
					    : bench_stranger(2 * (r % ((tacs ? tacs : 1) * BENCH_TAC_STRANGERS / 2))),
		digits);
	if (kind == BENCH_INVALID)
		digits[IMEI_DIGITS - 1] = (char)('0' + (digits[IMEI_DIGITS - 1] - '0' + 1) % 10);
	memcpy(out, digits, IMEI_DIGITS);
	return kind;
}

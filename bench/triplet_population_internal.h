/* triplet_population_internal.h - what the two files of the population share: its shape, and how it is spread. */
#ifndef CEIR_TRIPLET_POPULATION_INTERNAL_H
#define CEIR_TRIPLET_POPULATION_INTERNAL_H

#include "triplet_population.h"

#define MSINS UINT64_C(10000000000) /* MSIN: ten digits */
#define CLONE_SIZES 36u             /* 5..40 IMSIs, */
#define CLONE_GROUP 810u            /* which is so many lines for one clone of each size */
#define GUIDE_BITS 16
#define SLOTS 10u /* operators by the last digit of the subscriber's number */

struct population {
	struct population_settings s;
	struct population_layout layout;
	uint64_t end[POPULATION_KINDS];     /* index behind the last of each kind */
	uint64_t first_clone, first_roamer; /* devices */
	uint64_t step, phone_step;          /* scatter devices over positions, further triplets over phones */
	uint64_t back;                      /* step * back is 1 modulo the number of devices */
	uint64_t msin_add, number_add, serial_add;
	uint8_t of_ten[TRIPLET_OPERATORS + 1]; /* subscribers of an operator among ten, */
	uint8_t before[SLOTS];                 /* and how many of them before the one with that last digit */
	unsigned number_digits;                /* of a subscriber's number in its block: 7 or 8 */
	uint64_t numbers;                      /* of a block, those kept for SIM boxes left out */
	uint32_t tac_add;
	uint16_t clone_of[CLONE_GROUP]; /* line of a group of clones -> which clone of the group */
	uint16_t clone_line[CLONE_SIZES + 1];
	uint32_t bits_low, bits_high; /* of the network that shuffles the lines */
	uint64_t keys[4];
	unsigned guide_shift;
	uint16_t guide[(1u << GUIDE_BITS) + 1]; /* position -> a TAC at or before its own */
	uint64_t tac_first[TRIPLET_TACS + 1];   /* first position of each TAC */
};

struct population_blocks {
	unsigned n;
	unsigned mnc;
	uint16_t codes[8];
};

/* MNC under MCC 255 and number blocks under +380, one row an operator. */
extern const struct population_blocks population_operators[TRIPLET_OPERATORS];
/* Who has which subscribers, by number of operators and last digit of the subscriber's number. */
extern const uint8_t population_slots[TRIPLET_OPERATORS + 1][SLOTS];

/* One round of splitmix64. */
static inline uint64_t population_mixed(uint64_t x)
{
	x += UINT64_C(0x9e3779b97f4a7c15);
	x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
	return x ^ x >> 31;
}

/* IMSIs of the c-th clone of a group, c below CLONE_SIZES. */
unsigned population_clone_size(unsigned c);

#endif

/* triplet_population_layout.c - settings into the shape of a country: how many lines of each kind, devices of each TAC, numbers of
 * each block. */
#include "triplet_population_internal.h"

#include <stdlib.h>

#define TAC_MOST 900000u /* devices of one TAC */
#define TAC_EVEN 100u    /* how even: device shares are 1 / (t + TAC_EVEN) */
#define CLONE_FIRST 5u

/* Who has which subscribers, by number of operators and last digit; and how many of ten. */
const uint8_t population_slots[TRIPLET_OPERATORS + 1][SLOTS] = {
	{0},
	{1, 1, 1, 1, 1, 1, 1, 1, 1, 1},
	{1, 2, 1, 1, 2, 1, 2, 1, 1, 2},
	{1, 2, 1, 3, 2, 1, 2, 1, 3, 1},
	{1, 2, 1, 3, 2, 1, 4, 1, 3, 2},
};

/* MNC under MCC 255 and number blocks under +380, one row an operator. */
const struct population_blocks population_operators[TRIPLET_OPERATORS] = {
	{4, 1, {50, 66, 95, 99}},
	{6, 3, {67, 68, 96, 97, 98, 77}},
	{3, 6, {63, 73, 93}},
	{3, 7, {91, 92, 94}},
};

unsigned population_clone_size(unsigned c)
{
	return CLONE_FIRST + c * 7 % CLONE_SIZES;
}

static void clones_init(struct population *p)
{
	uint16_t line = 0;

	for (uint16_t c = 0; c < CLONE_SIZES; c++) {
		p->clone_line[c] = line;
		for (unsigned k = 0; k < population_clone_size(c); k++)
			p->clone_of[line++] = c;
	}
	p->clone_line[CLONE_SIZES] = line;
	CEIR_ASSERT(line == CLONE_GROUP);
}

static void sections_init(struct population *p)
{
	struct population_layout *l = &p->layout;
	uint64_t n = p->s.triplets, rest, end = 0;

	if (p->s.noise) {
		l->boxes = n < 20000 ? 0 : (n + 99999) / 100000;
		l->lines[POPULATION_SIMBOX] = l->boxes * TRIPLET_BOX_IMSIS;
		l->lines[POPULATION_FOREIGN] = n / 100;
		l->lines[POPULATION_UNALLOCATED] = n / 1000;
		l->lines[POPULATION_TEST] = n / 10000;
		l->lines[POPULATION_BAD] = n / 500;
	}
	rest = n - l->lines[POPULATION_SIMBOX] - l->lines[POPULATION_FOREIGN] - l->lines[POPULATION_UNALLOCATED] -
	       l->lines[POPULATION_TEST] - l->lines[POPULATION_BAD];
	/* Of x devices 0.995 x have 1.3 lines and 0.005 x have 22.5. */
	if (p->s.noise)
		l->clones = (uint64_t)((double)rest * 0.005 / (0.995 * 1.3 + 0.005 * 22.5));
	l->lines[POPULATION_CLONE] = l->clones / CLONE_SIZES * CLONE_GROUP + p->clone_line[l->clones % CLONE_SIZES];
	rest -= l->lines[POPULATION_CLONE];
	l->lines[POPULATION_PLAIN] = rest < 20 ? rest : (rest * 10 + 12) / 13;
	l->lines[POPULATION_SECOND] = rest - l->lines[POPULATION_PLAIN];
	for (unsigned k = 0; k < POPULATION_KINDS; k++)
		p->end[k] = end += l->lines[k];
	p->first_clone = l->lines[POPULATION_PLAIN];
	p->first_roamer = p->first_clone + l->clones;
	l->devices = p->first_roamer + l->lines[POPULATION_FOREIGN];
	l->changed = (uint64_t)((double)n * p->s.change + 0.5);
	if (l->changed > l->lines[POPULATION_PLAIN])
		l->changed = l->lines[POPULATION_PLAIN];
}

/* Devices of each TAC; none has more than TAC_MOST, so what the first ones cannot take goes to the others. */
static void tacs_init(struct population *p)
{
	double weight = 0, left = (double)p->layout.devices;
	uint64_t sum = 0;
	unsigned t = 0;

	for (unsigned i = 0; i < TRIPLET_TACS; i++)
		weight += 1.0 / (i + TAC_EVEN);
	for (unsigned i = 0; i < TRIPLET_TACS; i++) {
		double share = left / weight / (i + TAC_EVEN);
		uint64_t n = share < TAC_MOST ? (uint64_t)(share + 0.5) : TAC_MOST;

		if (n > p->layout.devices - sum || i + 1 == TRIPLET_TACS)
			n = p->layout.devices - sum;
		p->tac_first[i] = sum;
		sum += n;
		left -= (double)n;
		weight -= 1.0 / (i + TAC_EVEN);
	}
	p->tac_first[TRIPLET_TACS] = sum;
	CEIR_ASSERT(sum == p->layout.devices && sum - p->tac_first[TRIPLET_TACS - 1] <= IMEI_SERIALS);
	while (p->layout.devices >> p->guide_shift >= 1u << GUIDE_BITS)
		p->guide_shift++;
	for (unsigned g = 0; g <= 1u << GUIDE_BITS; g++) {
		while (t + 1 < TRIPLET_TACS && p->tac_first[t + 1] <= (uint64_t)g << p->guide_shift)
			t++;
		p->guide[g] = (uint16_t)t;
	}
}

static uint64_t gcd(uint64_t a, uint64_t b)
{
	while (b != 0) {
		uint64_t r = a % b;

		a = b;
		b = r;
	}
	return a;
}

/* Near the golden section of n, and prime to it. */
static uint64_t step_for(uint64_t n)
{
	uint64_t step = (uint64_t)((double)n * 0.6180339887) + 1;

	while (gcd(step, n) != 1)
		step++;
	return step;
}

/* x with a * x = 1 modulo m, by Euclid's steps backwards; a and m are prime to each other. */
static uint64_t inverse(uint64_t a, uint64_t m)
{
	int64_t x = 1, next = 0;
	uint64_t r = a % m, s = m;

	while (s != 0) {
		int64_t quotient = (int64_t)(r / s), other = x - quotient * next;
		uint64_t rest = r % s;

		x = next;
		next = other;
		r = s;
		s = rest;
	}
	return x < 0 ? (uint64_t)(x + (int64_t)m) : (uint64_t)x % m;
}

/* Seven digits in a block of MSISDNs are enough, or eight must be. */
static void numbers_init(struct population *p)
{
	uint64_t subscribers = p->s.triplets + p->layout.changed;

	for (unsigned i = 0; i < SLOTS; i++)
		p->before[i] = p->of_ten[population_slots[p->s.operators][i]]++;
	p->number_digits = 7;
	for (unsigned op = 0; op < p->s.operators; op++)
		if ((subscribers / SLOTS + 1) * p->of_ten[op + 1] / population_operators[op].n >= 8900000)
			p->number_digits = 8;
	p->numbers = p->number_digits == 7 ? 9000000 : 90000000;
}

static void shuffle_init(struct population *p)
{
	uint32_t bits = 2;

	while (bits < 40 && UINT64_C(1) << bits < p->s.triplets)
		bits++;
	p->bits_low = bits / 2;
	p->bits_high = bits - p->bits_low;
	for (unsigned i = 0; i < CEIR_COUNT(p->keys); i++)
		p->keys[i] = population_mixed(p->s.seed * 16 + i) | 1;
}

struct population *population_new(const struct population_settings *s)
{
	struct population *p = calloc(1, sizeof(*p));

	CEIR_ASSERT(s->triplets >= 1 && s->triplets <= 1000000000 && s->operators >= 1 && s->operators <= TRIPLET_OPERATORS);
	CEIR_ASSERT(s->change >= 0 && s->change <= 0.5);
	if (p == NULL)
		return NULL;
	p->s = *s;
	clones_init(p);
	sections_init(p);
	tacs_init(p);
	numbers_init(p);
	shuffle_init(p);
	p->msin_add = population_mixed(s->seed ^ 1) % MSINS;
	p->number_add = population_mixed(s->seed ^ 2) % p->numbers;
	p->serial_add = population_mixed(s->seed ^ 3) % IMEI_SERIALS;
	p->tac_add = (uint32_t)(population_mixed(s->seed ^ 4) % 1000000);
	p->step = step_for(p->layout.devices);
	p->back = inverse(p->step, p->layout.devices);
	p->phone_step = step_for(p->layout.lines[POPULATION_PLAIN]);
	return p;
}

void population_free(struct population *p)
{
	free(p);
}

void population_get_layout(const struct population *p, struct population_layout *out)
{
	*out = p->layout;
}

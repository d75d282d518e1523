/*
 * triplet_population.c - which triplet has which number.
 *
 * Indexes stand in sections, one for each kind. The subscriber of line i is subscriber i, so no two lines share one (but for SIMs
 * that moved); subscribers after a change are numbered from `triplets` on. Every "scatter" below is x -> x * a + b mod m with a
 * prime to m: each value once, in no visible order.
 */
#include "triplet_population_internal.h"

#define MSIN_STEP UINT64_C(6180339887) /* odd, not divisible by 5 */
#define SERIAL_STEP UINT64_C(618033)   /* likewise */
#define NUMBER_STEP UINT64_C(6180341)  /* not divisible by 2, 3, 5 */
#define BLOCK_ADD UINT64_C(1234567)    /* so that blocks do not look alike */
#define ROW_NUMBERS 1000u              /* MSISDNs kept for one SIM box */
#define TAC_ADD 7919u                  /* so that TACs do not begin alike */

static const struct {
	uint32_t plmn; /* MCC and MNC, five digits */
	uint16_t code; /* country code, two digits */
} abroad[] = {{26001, 48}, {26202, 49}, {28601, 90}, {22210, 39}, {23415, 44}, {22610, 40}};

static const uint8_t bodies[16] = {35, 86, 35, 1, 35, 86, 35, 99, 35, 86, 35, 86, 1, 35, 91, 86};

bool population_bad_refused(enum population_bad bad)
{
	return bad == BAD_IMEI_EMPTY || bad >= BAD_IMEI_EXPONENT;
}

/* ---- order ------------------------------------------------------------------------------------------------------------ */

/* A Feistel network over 2^bits, walked on until it falls below `triplets`: a bijection, whatever the round function is. */
uint64_t population_index(const struct population *p, uint64_t position)
{
	const uint64_t low_mask = (UINT64_C(1) << p->bits_low) - 1, high_mask = (UINT64_C(1) << p->bits_high) - 1;
	uint64_t x = position;

	do {
		uint64_t low = x & low_mask, high = x >> p->bits_low;

		high ^= ((low + 1) * p->keys[0] >> 32) & high_mask;
		low ^= ((high + 1) * p->keys[1] >> 32) & low_mask;
		high ^= ((low + 1) * p->keys[2] >> 32) & high_mask;
		low ^= ((high + 1) * p->keys[3] >> 32) & low_mask;
		x = high << p->bits_low | low;
	} while (x >= p->s.triplets);
	return x;
}

/* ---- devices ---------------------------------------------------------------------------------------------------------- */

static uint32_t scattered_serial(const struct population *p, uint64_t i)
{
	return (uint32_t)((i * SERIAL_STEP + p->serial_add) % IMEI_SERIALS);
}

struct tac population_tac(const struct population *p, uint32_t number)
{
	return (struct tac){
		bodies[number % CEIR_COUNT(bodies)] * 1000000u + (uint32_t)((number * SERIAL_STEP + p->tac_add) % 1000000u)};
}

struct imei population_device(const struct population *p, uint64_t device)
{
	uint64_t position = device * p->step % p->layout.devices;
	uint32_t t = p->guide[position >> p->guide_shift];

	while (position >= p->tac_first[t + 1])
		t++;
	return imei_make(population_tac(p, t), (scattered_serial(p, position - p->tac_first[t]) + t * TAC_ADD) % IMEI_SERIALS);
}

uint64_t population_device_at(const struct population *p, uint64_t position)
{
	return (uint64_t)((unsigned __int128)position * p->back % p->layout.devices);
}

bool population_is_registered(const struct population *p, uint64_t device, double share)
{
	return device < p->first_roamer && (double)(population_mixed(device ^ p->keys[0]) >> 11) < share * 9007199254740992.0;
}

struct imei population_clone(const struct population *p, uint64_t clone, unsigned *imsis)
{
	*imsis = population_clone_size((unsigned)(clone % CLONE_SIZES));
	return population_device(p, p->first_clone + clone);
}

static struct imei box_imei(const struct population *p, uint64_t box, uint64_t modem)
{
	return imei_make(population_tac(p, TRIPLET_TACS + (uint32_t)(box % TRIPLET_MODEM_TACS)),
		scattered_serial(p, box / TRIPLET_MODEM_TACS * TRIPLET_BOX_IMEIS + modem));
}

/* ---- subscribers ------------------------------------------------------------------------------------------------------ */

static uint8_t operator_of(const struct population *p, uint64_t subscriber)
{
	return population_slots[p->s.operators][subscriber % SLOTS];
}

static uint64_t msin(const struct population *p, uint64_t subscriber)
{
	return (subscriber * MSIN_STEP + p->msin_add) % MSINS;
}

static struct imsi home_imsi(const struct population *p, uint8_t op, uint64_t subscriber)
{
	return (struct imsi){(25500 + population_operators[op - 1].mnc) * MSINS + msin(p, subscriber), 15};
}

static struct msisdn block_number(const struct population *p, uint8_t op, uint64_t block, uint64_t number)
{
	uint64_t code = 38000 + population_operators[op - 1].codes[block];

	return (struct msisdn){code * (p->number_digits == 7 ? 10000000 : 100000000) + number, (uint8_t)(5 + p->number_digits)};
}

static struct msisdn home_msisdn(const struct population *p, uint64_t subscriber)
{
	uint8_t op = operator_of(p, subscriber);
	uint64_t rank = subscriber / SLOTS * p->of_ten[op] + p->before[subscriber % SLOTS];
	uint64_t block = rank % population_operators[op - 1].n, nth = rank / population_operators[op - 1].n;

	return block_number(p, op, block, (nth * NUMBER_STEP + block * BLOCK_ADD + p->number_add) % p->numbers);
}

static struct msisdn box_msisdn(const struct population *p, uint64_t box, uint64_t row)
{
	uint8_t op = (uint8_t)(1 + box % p->s.operators);
	uint64_t nth = box / p->s.operators, blocks = population_operators[op - 1].n;

	return block_number(p, op, nth % blocks, p->numbers + nth / blocks * ROW_NUMBERS + row);
}

void population_box(
	const struct population *p, uint64_t box, struct imei imeis[TRIPLET_BOX_IMEIS], uint8_t *op, struct msisdn *first)
{
	for (uint64_t i = 0; i < TRIPLET_BOX_IMEIS; i++)
		imeis[i] = box_imei(p, box, i);
	*op = (uint8_t)(1 + box % p->s.operators);
	*first = box_msisdn(p, box, 0);
}

static void home_subscriber(const struct population *p, uint64_t subscriber, struct population_triplet *out)
{
	out->op = operator_of(p, subscriber);
	out->imsi = home_imsi(p, out->op, subscriber);
	out->msisdn = home_msisdn(p, subscriber);
}

/* ---- triplets --------------------------------------------------------------------------------------------------------- */

static enum population_kind kind_of(const struct population *p, uint64_t i)
{
	unsigned k = 0;

	while (i >= p->end[k])
		k++;
	return (enum population_kind)k;
}

/* Plain triplet i is one of those that a change replaces; *nth is then its number among them. */
static bool is_changed(const struct population *p, uint64_t i, uint64_t *nth)
{
	uint64_t of = p->layout.lines[POPULATION_PLAIN], c = p->layout.changed;

	*nth = i * c / of;
	return i * c % of + c >= of;
}

static void plain(const struct population *p, uint64_t i, struct population_triplet *out)
{
	uint64_t nth;

	home_subscriber(p, i, out);
	out->imei = population_device(p, i);
	if (p->layout.changed == 0 || !is_changed(p, i, &nth))
		return;
	out->changed = true;
	if (nth % 2 == 0)
		home_subscriber(p, p->s.triplets + nth, out);
	else
		out->imsi = home_imsi(p, out->op, p->s.triplets + nth);
}

/*
 * The e-th further triplet: four fifths each on a phone of its own, the rest on such phones a third time. Half of the former have a
 * SIM that was in another phone.
 */
static uint64_t second_subscriber(const struct population *p, uint64_t i, uint64_t e, uint64_t *device)
{
	uint64_t phones = p->layout.lines[POPULATION_PLAIN], once = p->layout.lines[POPULATION_SECOND] / 5 * 4;

	*device = (e < once ? e : (e - once) * 3) % phones * p->phone_step % phones;
	if (e >= once || e % 2 == 0 || phones < 2)
		return i;
	return (*device + 1 + population_mixed(e ^ p->keys[1]) % (phones - 1)) % phones;
}

static uint64_t subscriber_of(const struct population *p, enum population_kind kind, uint64_t i, uint64_t *device)
{
	return kind == POPULATION_SECOND ? second_subscriber(p, i, i - p->end[POPULATION_PLAIN], device) : i;
}

static void simbox(const struct population *p, uint64_t i, uint64_t n, struct population_triplet *out)
{
	uint64_t box = n / TRIPLET_BOX_IMSIS, row = n % TRIPLET_BOX_IMSIS;

	out->op = (uint8_t)(1 + box % p->s.operators);
	out->imei = box_imei(p, box, row % TRIPLET_BOX_IMEIS);
	out->imsi = home_imsi(p, out->op, i);
	out->msisdn = box_msisdn(p, box, row);
}

static void roamer(const struct population *p, uint64_t i, uint64_t n, struct population_triplet *out)
{
	uint64_t country = n % CEIR_COUNT(abroad), number = msin(p, i);

	out->op = operator_of(p, i);
	out->imei = population_device(p, p->first_roamer + n);
	out->imsi = (struct imsi){abroad[country].plmn * MSINS + number, 15};
	out->msisdn = (struct msisdn){abroad[country].code * MSINS + number, 12};
}

/* IMEIs outside the register's world, and those of lines that are no good: of so many TACs, from that one on. */
static struct imei outside(const struct population *p, uint32_t first_tac, uint32_t tacs, uint64_t n)
{
	return imei_make(population_tac(p, first_tac + (uint32_t)(n % tacs)), scattered_serial(p, n / tacs));
}

void population_get(const struct population *p, uint64_t i, struct population_triplet *out)
{
	enum population_kind kind = kind_of(p, i);
	uint64_t n = i - (kind > 0 ? p->end[kind - 1] : 0), device = i;

	out->kind = kind;
	out->changed = false;
	if (kind == POPULATION_PLAIN) {
		plain(p, i, out);
		return;
	}
	if (kind == POPULATION_SIMBOX) {
		simbox(p, i, n, out);
		return;
	}
	if (kind == POPULATION_FOREIGN) {
		roamer(p, i, n, out);
		return;
	}
	home_subscriber(p, subscriber_of(p, kind, i, &device), out);
	if (kind == POPULATION_SECOND) {
		out->imei = population_device(p, device);
	} else if (kind == POPULATION_CLONE) {
		out->imei = population_device(p, p->first_clone + n / CLONE_GROUP * CLONE_SIZES + p->clone_of[n % CLONE_GROUP]);
	} else if (kind == POPULATION_UNALLOCATED) {
		out->imei = outside(p, TRIPLET_TACS + TRIPLET_MODEM_TACS, TRIPLET_STRANGE_TACS, n);
	} else if (kind == POPULATION_TEST) {
		out->imei = imei_make((struct tac){100000 + (uint32_t)(n % 50)}, scattered_serial(p, n / 50));
	} else {
		out->bad = (enum population_bad)(n % TRIPLET_BADS);
		out->imei = outside(p, 0, TRIPLET_TACS, n);
	}
}

uint8_t population_operator(const struct population *p, uint64_t i)
{
	enum population_kind kind = kind_of(p, i);
	uint64_t device, nth;

	if (kind == POPULATION_SIMBOX)
		return (uint8_t)(1 + (i - p->end[POPULATION_SIMBOX - 1]) / TRIPLET_BOX_IMSIS % p->s.operators);
	if (kind == POPULATION_PLAIN && p->layout.changed > 0 && is_changed(p, i, &nth) && nth % 2 == 0)
		return operator_of(p, p->s.triplets + nth);
	return operator_of(p, subscriber_of(p, kind, i, &device));
}

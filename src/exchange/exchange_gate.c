/* exchange_gate.c - does a delivery as a whole look wrong? Pure arithmetic over what the reader counted. */
#include "exchange/exchange.h"

/* part / whole > thousandths / 1000, without overflow: a whole number is above y when it is above y rounded down. */
static bool above(uint64_t part, uint64_t whole, unsigned thousandths)
{
	return part > whole / 1000 * thousandths + whole % 1000 * thousandths / 1000;
}

/* part / whole < thousandths / 1000: below y when below y rounded up. */
static bool below(uint64_t part, uint64_t whole, unsigned thousandths)
{
	return part < whole / 1000 * thousandths + (whole % 1000 * thousandths + 999) / 1000;
}

static uint64_t minus(uint64_t a, uint64_t b)
{
	return a > b ? a - b : 0;
}

static uint64_t largest(uint64_t a, uint64_t b, uint64_t c)
{
	uint64_t m = a > b ? a : b;

	return m > c ? m : c;
}

unsigned delivery_gate_check(const struct delivery_gate *g, const struct delivery_counts *c, uint64_t usual)
{
	/* Lines that were refused for another reason than an empty field cannot be worse than unclean, nor better. */
	uint64_t broken = minus(minus(c->refused, c->imei_empty), c->imsi_empty);
	unsigned bits = 0;

	if (usual > 0 && below(c->lines, usual, g->size))
		bits |= DELIVERY_HOLD_SIZE;
	if (c->lines == 0 || c->lines < g->min_lines)
		return bits;
	if (above(largest(c->imei_empty, c->imsi_empty, c->msisdn_empty), c->lines, g->empty))
		bits |= DELIVERY_HOLD_EMPTY;
	if (above(largest(c->imei_unclean, c->imsi_unclean, broken), c->lines, g->unclean))
		bits |= DELIVERY_HOLD_UNCLEAN;
	if (above(c->imsi_foreign, minus(c->lines, c->imsi_empty), g->foreign) ||
		above(c->msisdn_foreign, minus(c->lines, c->msisdn_empty), g->foreign))
		bits |= DELIVERY_HOLD_FOREIGN;
	/* RBI 01 is common, and none begins with 1: an IMEI that does has lost its zero. */
	if (above(c->imei_13, c->lines, g->leading_zero) ||
		(c->imei_one > c->imei_zero && above(c->imei_one, c->lines, g->leading_zero)))
		bits |= DELIVERY_HOLD_ZEROS;
	return bits;
}

const char *delivery_hold_text(unsigned bit)
{
	switch (bit) {
	case DELIVERY_HOLD_EMPTY:
		return N_("Too many lines have an empty IMEI, IMSI or MSISDN");
	case DELIVERY_HOLD_UNCLEAN:
		return N_("Too many lines have an IMEI or IMSI that is not well formed, or cannot be read");
	case DELIVERY_HOLD_FOREIGN:
		return N_("Too many IMSIs or MSISDNs are of other countries");
	case DELIVERY_HOLD_SIZE:
		return N_("The delivery is much smaller than the full deliveries before it");
	case DELIVERY_HOLD_ZEROS:
		return N_("IMEIs seem to have lost their leading zero");
	default:
		return NULL;
	}
}

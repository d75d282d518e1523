/* ident_imei.c - IMEI, IMEISV and TAC (3GPP TS 23.003 clause 6, annex B; GSMA TS.06), and MEID. */
#include "ident/ident.h"
#include "ident/ident_digits.h"

static const char *const fault_texts[IMEI_FAULTS] = {
	[IMEI_GOOD] = N_("the IMEI is well formed"),
	[IMEI_EMPTY] = N_("the IMEI is empty"),
	[IMEI_NOT_DIGITS] = N_("the IMEI contains a character that is not a digit"),
	[IMEI_TOO_SHORT] = N_("the IMEI has too few digits"),
	[IMEI_TOO_LONG] = N_("the IMEI has too many digits"),
	[IMEI_BAD_LUHN] = N_("the check digit of the IMEI is wrong"),
	[IMEI_ALL_SAME] = N_("all digits of the IMEI are the same"),
};

const char *imei_fault_text(enum imei_fault fault)
{
	CEIR_ASSERT((unsigned)fault < IMEI_FAULTS);
	return fault_texts[fault];
}

/*
 * What two neighbouring digits "ab" add to the Luhn sum when b is the doubled one: a + digits of 2 b. In an IMEI the
 * doubled digits are the second, fourth ... fourteenth, so seven pairs are the whole sum.
 */
#define LUHN_TEN(a) (a), (a) + 2, (a) + 4, (a) + 6, (a) + 8, (a) + 1, (a) + 3, (a) + 5, (a) + 7, (a) + 9
static const uint8_t luhn_pair[100] = {LUHN_TEN(0), LUHN_TEN(1), LUHN_TEN(2), LUHN_TEN(3), LUHN_TEN(4), LUHN_TEN(5), LUHN_TEN(6),
	LUHN_TEN(7), LUHN_TEN(8), LUHN_TEN(9)};

unsigned imei_check_digit(struct imei imei)
{
	uint32_t serial = imei_serial(imei), tac = imei_tac(imei).n;
	unsigned sum = 0u + luhn_pair[serial % 100] + luhn_pair[serial / 100 % 100] + luhn_pair[serial / 10000] +
		       luhn_pair[tac % 100] + luhn_pair[tac / 100 % 100] + luhn_pair[tac / 10000 % 100] + luhn_pair[tac / 1000000];

	return (10 - sum % 10) % 10;
}

/* 14 equal characters at p. */
static bool all_same(const char *p)
{
	uint64_t same = DIGITS_EIGHT((uint64_t)(unsigned char)p[0]);

	return digits_load(p) == same && digits_load(p + 6) == same;
}

/* Why a text of a length that no IMEI has, or with another character, is refused. */
static enum imei_fault why_not(struct str s, size_t shortest)
{
	if (s.n == 0)
		return IMEI_EMPTY;
	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] < '0' || s.p[i] > '9')
			return IMEI_NOT_DIGITS;
	return s.n < shortest ? IMEI_TOO_SHORT : IMEI_TOO_LONG;
}

enum imei_fault imei_parse(struct str s, struct imei *imei)
{
	uint64_t head, tail, above;

	if (s.n != IMEI_DIGITS)
		return why_not(s, IMEI_DIGITS);
	/* Digits 1-8 and 8-15; the eighth is in both words and is counted once. */
	head = digits_load(s.p);
	tail = digits_load(s.p + 7);
	if (!digits_all(head) || !digits_all(tail))
		return IMEI_NOT_DIGITS;
	if (all_same(s.p))
		return IMEI_ALL_SAME;
	/* In tail the eighth digit, written as '0', and the 10th, 12th and 14th are the doubled ones. */
	if ((digits_luhn(head, false) + digits_luhn((tail & ~(uint64_t)0xff) | '0', true)) % 10 != 0)
		return IMEI_BAD_LUHN;
	above = digits_number(head);
	imei->n = above * IMEI_SERIALS + digits_number((tail & ~(uint64_t)0xff) | '0') / 10;
	return IMEI_GOOD;
}

enum imei_fault imei_parse_network(struct str s, struct imei *imei, enum imei_form *form, unsigned *svn)
{
	struct imei parsed;
	uint64_t number;
	enum imei_form written = IMEI_FORM_14;
	unsigned version = 0;

	if (s.n < 14 || s.n > 16)
		return why_not(s, 14);
	if (!digits_parse(s.p, s.n, &number))
		return IMEI_NOT_DIGITS;
	if (all_same(s.p))
		return IMEI_ALL_SAME;
	if (s.n == 15) {
		unsigned last = (unsigned)(number % 10);

		parsed.n = number / 10;
		written = last == imei_check_digit(parsed) ? IMEI_FORM_15_LUHN
			  : last == 0                      ? IMEI_FORM_15_SPARE
							   : IMEI_FORM_15_SUSPECT;
	} else if (s.n == 16) {
		parsed.n = number / 100;
		version = (unsigned)(number % 100);
		written = IMEI_FORM_16;
	} else {
		parsed.n = number;
	}
	*imei = parsed;
	if (form != NULL)
		*form = written;
	if (svn != NULL)
		*svn = version;
	return IMEI_GOOD;
}

void imei_print(struct imei imei, char out[IMEI_DIGITS + 1])
{
	CEIR_ASSERT(imei.n <= IMEI_MAX);
	digits_print(imei.n * 10 + imei_check_digit(imei), IMEI_DIGITS, out);
}

struct tac imei_tac(struct imei imei)
{
	CEIR_ASSERT(imei.n <= IMEI_MAX);
	return (struct tac){(uint32_t)(imei.n / IMEI_SERIALS)};
}

uint32_t imei_serial(struct imei imei)
{
	return (uint32_t)(imei.n % IMEI_SERIALS);
}

struct imei imei_make(struct tac tac, uint32_t serial)
{
	CEIR_ASSERT(tac.n < 100000000u && serial < IMEI_SERIALS);
	return (struct imei){(uint64_t)tac.n * IMEI_SERIALS + serial};
}

enum ceir_err tac_parse(struct str s, struct tac *tac)
{
	uint64_t w;

	if (s.n != TAC_DIGITS)
		return CEIR_EINVAL;
	w = digits_load(s.p);
	if (!digits_all(w))
		return CEIR_EINVAL;
	tac->n = digits_number(w);
	return CEIR_OK;
}

void tac_print(struct tac tac, char out[TAC_DIGITS + 1])
{
	CEIR_ASSERT(tac.n < 100000000u);
	digits_print(tac.n, TAC_DIGITS, out);
}

unsigned tac_rbi(struct tac tac)
{
	return tac.n / 1000000;
}

bool tac_is_test(struct tac tac)
{
	unsigned rbi = tac_rbi(tac);

	return rbi <= 9 && rbi != 1;
}

bool meid_is_valid(struct str s)
{
	unsigned char bytes[7];

	if (s.n != 14 || hex_parse(s, bytes, sizeof(bytes)) != CEIR_OK)
		return false;
	return bytes[0] >= 0xa0;
}

/* triplet_line.c - lines at tens of millions a second: eight digits are one word. */
#include "triplet_line.h"

#include <string.h>

/* Eight digits of a number below 10^8, the first in the lowest byte: four by four, two by two, one by one. */
static inline uint64_t eight_digits(uint64_t n)
{
	uint64_t fours = n / 10000 | (n % 10000) << 32;
	uint64_t hundreds = (fours * 10486 >> 20) & UINT64_C(0x0000007f0000007f);
	uint64_t twos = hundreds | (fours - hundreds * 100) << 16;
	uint64_t tens = (twos * 103 >> 10) & UINT64_C(0x000f000f000f000f);

	return (tens | (twos - tens * 10) << 8) | UINT64_C(0x3030303030303030);
}

static inline void put_word(char *out, uint64_t w)
{
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
	w = __builtin_bswap64(w);
#endif
	memcpy(out, &w, sizeof(w));
}

/* A number as 9 to 16 digits; what stands in the bytes behind them is lost. */
static inline char *put_number(char *out, uint64_t n, unsigned digits)
{
	put_word(out, eight_digits(n / 100000000) >> 8 * (16 - digits));
	put_word(out + digits - 8, eight_digits(n % 100000000));
	return out + digits;
}

static char *put_text(char *out, const char *text)
{
	size_t n = strlen(text);

	memcpy(out, text, n);
	return out + n;
}

static char *put_imei(char *out, const struct population_triplet *t, bool forms)
{
	if (!forms || t->op == 1)
		return put_number(out, t->imei.n, 14);
	if (t->op == 2)
		return put_number(out, t->imei.n * 10 + imei_check_digit(t->imei), 15);
	if (t->op == 3)
		return put_number(out, t->imei.n * 100 + t->imsi.n % 20, 16); /* software version */
	return put_number(out, t->imei.n * 10, 15);
}

static char *put_bad_imei(char *out, const struct population_triplet *t)
{
	switch (t->bad) {
	case BAD_IMEI_EMPTY:
		return out;
	case BAD_IMEI_SHORT:
		return put_number(out, t->imei.n % UINT64_C(10000000000000), 13);
	case BAD_IMEI_LETTERS:
		out = put_number(out, t->imei.n, 14);
		out[-3] = 'X';
		return out;
	case BAD_IMEI_ZEROS:
		return put_text(out, "000000000000000");
	case BAD_IMEI_SAME:
		return put_text(out, "99999999999999");
	case BAD_IMEI_EXPONENT:
		return put_text(out, "3.52106E+14");
	default:
		return put_number(out, t->imei.n, 14);
	}
}

/* As far as the MSISDN. */
static char *put_bad(char *out, const struct population_triplet *t)
{
	out = put_bad_imei(out, t);
	*out++ = ',';
	if (t->bad == BAD_IMSI_SHORT)
		out = put_number(out, t->imsi.n % UINT64_C(10000000000000), 13);
	else if (t->bad != BAD_IMSI_EMPTY)
		out = put_number(out, t->imsi.n, t->imsi.digits);
	if (t->bad == BAD_COLUMNS)
		return put_text(out, ",,,,");
	*out++ = ',';
	return t->bad == BAD_MSISDN_LETTERS ? put_text(out, "unknown") : put_number(out, t->msisdn.n, t->msisdn.digits);
}

const char *triplet_header(const struct triplet_style *style)
{
	return style->date[0] != '\0' ? "imei,imsi,msisdn,date\n" : "imei,imsi,msisdn\n";
}

size_t triplet_line(const struct population_triplet *t, const struct triplet_style *style, char *out)
{
	char *at = out;

	if (t->kind == POPULATION_BAD) {
		at = put_bad(at, t);
	} else {
		at = put_imei(at, t, style->forms);
		*at++ = ',';
		at = put_number(at, t->imsi.n, t->imsi.digits);
		*at++ = ',';
		at = put_number(at, t->msisdn.n, t->msisdn.digits);
	}
	if (style->date[0] != '\0') {
		*at++ = ',';
		memcpy(at, style->date, DATE_MAX - 1);
		at += DATE_MAX - 1;
	}
	*at++ = '\n';
	return (size_t)(at - out);
}

bool triplet_sighting(const struct population_triplet *t, uint32_t at_s, struct sighting *out)
{
	char line[TRIPLET_LINE_BYTES];

	*out = (struct sighting){t->imei.n, triplet_imsi_key(t->imsi), triplet_msisdn_key(t->msisdn), at_s, 0, 0, 0};
	if (t->kind != POPULATION_BAD)
		return true;
	if (population_bad_refused(t->bad))
		return false;
	if (t->bad == BAD_IMEI_ZEROS)
		out->imei = 0;
	else if (t->bad == BAD_IMEI_SAME)
		out->imei = 99999999999999;
	else
		out->imei = triplet_malformed_key((struct str){line, (size_t)(put_bad_imei(line, t) - line)});
	return true;
}

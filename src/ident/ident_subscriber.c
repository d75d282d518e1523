/* ident_subscriber.c - IMSI (ITU-T E.212) and MSISDN (ITU-T E.164): digits whose leading zeros count. */
#include "ident/ident.h"
#include "ident/ident_digits.h"

#define IMSI_SHORTEST 14
#define MSISDN_SHORTEST 5
#define LONGEST 15

static enum ceir_err digits_within(struct str s, size_t shortest, uint64_t *number)
{
	if (s.n >= shortest && s.n <= LONGEST)
		return digits_parse(s.p, s.n, number) ? CEIR_OK : CEIR_EINVAL;
	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] < '0' || s.p[i] > '9')
			return CEIR_EINVAL;
	return CEIR_ERANGE;
}

enum ceir_err imsi_parse(struct str s, struct imsi *imsi)
{
	uint64_t number;
	enum ceir_err err = digits_within(s, IMSI_SHORTEST, &number);

	if (err == CEIR_OK)
		*imsi = (struct imsi){number, (uint8_t)s.n};
	return err;
}

enum ceir_err msisdn_parse(struct str s, struct msisdn *msisdn)
{
	uint64_t number;
	enum ceir_err err;

	if (s.n > 0 && s.p[0] == '+')
		s = (struct str){s.p + 1, s.n - 1};
	err = digits_within(s, MSISDN_SHORTEST, &number);
	if (err == CEIR_OK)
		*msisdn = (struct msisdn){number, (uint8_t)s.n};
	return err;
}

void imsi_print(struct imsi imsi, char out[16])
{
	CEIR_ASSERT(imsi.digits <= LONGEST);
	digits_print(imsi.n, imsi.digits, out);
}

void msisdn_print(struct msisdn msisdn, char out[16])
{
	CEIR_ASSERT(msisdn.digits <= LONGEST);
	digits_print(msisdn.n, msisdn.digits, out);
}

/* Identifiers: whatever the text, a parser that takes it gives a number that prints as that text again. */
#include <stdlib.h>
#include <string.h>

#include "ident/ident.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str s = {(const char *)data, size};
	struct imei imei, network;
	struct imsi imsi;
	struct msisdn msisdn;
	struct tac tac;
	enum imei_form form;
	unsigned svn;
	char text[IMEI_DIGITS + 1];

	if (imei_parse(s, &imei) == IMEI_GOOD) {
		imei_print(imei, text);
		CEIR_ASSERT(str_eq_c(s, text));
		CEIR_ASSERT(imei_parse_network(s, &network, &form, &svn) == IMEI_GOOD && network.n == imei.n &&
			    form == IMEI_FORM_15_LUHN);
		CEIR_ASSERT(imei_make(imei_tac(imei), imei_serial(imei)).n == imei.n);
	}
	if (imei_parse_network(s, &network, &form, &svn) == IMEI_GOOD) {
		imei_print(network, text);
		CEIR_ASSERT(memcmp(text, s.p, 14) == 0 && svn <= 99);
	}
	if (imsi_parse(s, &imsi) == CEIR_OK) {
		imsi_print(imsi, text);
		CEIR_ASSERT(str_eq_c(s, text));
	}
	if (msisdn_parse(s, &msisdn) == CEIR_OK) {
		msisdn_print(msisdn, text);
		CEIR_ASSERT(str_eq_c(s.p[0] == '+' ? (struct str){s.p + 1, s.n - 1} : s, text));
	}
	if (tac_parse(s, &tac) == CEIR_OK) {
		tac_print(tac, text);
		CEIR_ASSERT(str_eq_c(s, text));
	}
	(void)meid_is_valid(s);
	return 0;
}

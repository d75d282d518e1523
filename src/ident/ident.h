/*
 * ident.h - the identifiers of a mobile network: IMEI, TAC, IMSI, MSISDN. Pure functions, no allocation, any thread.
 *
 * Sources: 3GPP TS 23.003 clause 6 (IMEI, IMEISV) and annex B (Luhn), GSMA TS.06 (TAC allocation, RBI, test TACs),
 * ITU-T E.212 (IMSI, at most 15 digits), ITU-T E.164 (MSISDN, at most 15 digits).
 */
#ifndef CEIR_IDENT_H
#define CEIR_IDENT_H

#include "base/base.h"

/* The 14 significant digits (TAC 8 + serial 6) as a number 0..99999999999999: the key everywhere. */
struct imei {
	uint64_t n;
};
struct tac {
	uint32_t n; /* 0..99999999 */
};
/* Digits and how many: leading zeros count in both (E.212, E.164). */
struct imsi {
	uint64_t n;
	uint8_t digits;
};
struct msisdn {
	uint64_t n;
	uint8_t digits;
};

#define IMEI_SERIALS 1000000u       /* serial numbers under one TAC */
#define IMEI_DIGITS 15              /* with the check digit */
#define IMEI_MAX 99999999999999ull
#define TAC_DIGITS 8

/* Why a text is not an IMEI; each has an English text for messages. */
enum imei_fault {
	IMEI_GOOD = 0,
	IMEI_EMPTY,
	IMEI_NOT_DIGITS,   /* another character than 0-9 */
	IMEI_TOO_SHORT,
	IMEI_TOO_LONG,
	IMEI_BAD_LUHN,     /* 15 digits, wrong check digit */
	IMEI_ALL_SAME,     /* every one of the 14 digits the same (all zeros passes Luhn, and is no phone) */
	IMEI_FAULTS
};
const char *imei_fault_text(enum imei_fault fault); /* marked for translation with N_ */

/* How a network wrote the IMEI it reported. */
enum imei_form {
	IMEI_FORM_14,         /* without check digit */
	IMEI_FORM_15_LUHN,
	IMEI_FORM_15_SPARE,   /* last digit 0: spare (TS 23.003 6.2.1) */
	IMEI_FORM_15_SUSPECT, /* last digit neither 0 nor the check digit: taken, counted as suspicious */
	IMEI_FORM_16,         /* IMEISV */
};

/* Luhn check digit 0..9 of the 14 digits (TS 23.003 annex B). */
unsigned imei_check_digit(struct imei imei);
/* As typed or registered: exactly 15 digits with the right check digit, not all the same. */
enum imei_fault imei_parse(struct str s, struct imei *imei);
/* As seen by a network: 14, 15 or 16 digits. *form and *svn (0..99, IMEISV only, else 0) may be NULL. */
enum imei_fault imei_parse_network(struct str s, struct imei *imei, enum imei_form *form, unsigned *svn);
/* 15 digits and a NUL. */
void imei_print(struct imei imei, char out[IMEI_DIGITS + 1]);

struct tac imei_tac(struct imei imei);
uint32_t imei_serial(struct imei imei);           /* 0..999999 */
struct imei imei_make(struct tac tac, uint32_t serial);
/* Exactly 8 digits. CEIR_EINVAL otherwise. */
enum ceir_err tac_parse(struct str s, struct tac *tac) CEIR_MUST_USE;
void tac_print(struct tac tac, char out[TAC_DIGITS + 1]);
/* Reporting Body Identifier, the first two digits. */
unsigned tac_rbi(struct tac tac);
/* Test TAC: RBI 00 and 02..09 (GSMA TS.06; 01 is PTCRB's real range). */
bool tac_is_test(struct tac tac);

/* 14 or 15 digits; CEIR_EINVAL another character, CEIR_ERANGE another length. */
enum ceir_err imsi_parse(struct str s, struct imsi *imsi) CEIR_MUST_USE;
/* 5 to 15 digits, one leading "+" allowed. */
enum ceir_err msisdn_parse(struct str s, struct msisdn *msisdn) CEIR_MUST_USE;
void imsi_print(struct imsi imsi, char out[16]);
void msisdn_print(struct msisdn msisdn, char out[16]);

/* MEID: 14 hexadecimal digits whose first is A..F (3GPP2 S.R0048). */
bool meid_is_valid(struct str s);

#endif

/*
 * policy_tables.c - what the tables say of a TAC and of an IMSI, and the words in which tables are written.
 */
#include <string.h>

#include "policy/policy_internal.h"

/* Names of policy_tac_type(), then what the GSMA's TAC table calls the same. The number is stored: it never changes. */
static const struct {
	const char *name;
	uint8_t type;
} types[] = {
	{"handset", 1},
	{"smartphone", 2},
	{"modem", 3},
	{"tablet", 4},
	{"iot", 5},
	{"wearable", 6},
	{"router", 7},
	{"other", 8},
	{"mobile phone/feature phone", 1},
	{"feature phone", 1},
	{"mobile phone", 1},
	{"handheld", 1},
	{"portable(include pda)", 1},
	{"dongle", 3},
	{"connected computer", 8},
	{"e-book", 8},
	{"vehicle", 8},
	{"module", 5},
	{"iot device", 5},
	{"wlan router", 7},
	{"device for the automatic processing of data (apd)", 8},
};

static char small(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c + ('a' - 'A')) : c;
}

static bool same_word(struct str s, const char *word)
{
	size_t n = strlen(word);
	if (s.n != n)
		return false;
	for (size_t i = 0; i < n; i++)
		if (small(s.p[i]) != word[i])
			return false;
	return true;
}

uint8_t policy_tac_type(struct str name)
{
	name = str_trim(name);
	for (size_t i = 0; i < CEIR_COUNT(types); i++)
		if (same_word(name, types[i].name))
			return types[i].type;
	return 0;
}

/* Words that begin so name a technology: "GSM900", "LTE FDD BAND 3", "5G NR". The first that fits counts. */
static const struct {
	const char *prefix;
	uint8_t rat;
} technologies[] = {
	{"gsm", TRIPLET_GSM},
	{"gprs", TRIPLET_GSM},
	{"edge", TRIPLET_GSM},
	{"egprs", TRIPLET_GSM},
	{"2g", TRIPLET_GSM},
	{"umts", TRIPLET_UMTS},
	{"wcdma", TRIPLET_UMTS},
	{"hsdpa", TRIPLET_UMTS},
	{"hsupa", TRIPLET_UMTS},
	{"hspa", TRIPLET_UMTS},
	{"td-scdma", TRIPLET_UMTS},
	{"3g", TRIPLET_UMTS},
	{"utra", TRIPLET_UMTS},
	{"lte", TRIPLET_LTE},
	{"4g", TRIPLET_LTE},
	{"e-utra", TRIPLET_LTE},
	{"eutra", TRIPLET_LTE},
	{"nr", TRIPLET_NR},
	{"5g", TRIPLET_NR},
	{"cdma", TRIPLET_CDMA},
	{"evdo", TRIPLET_CDMA},
	{"ev-do", TRIPLET_CDMA},
	{"nb-iot", TRIPLET_NBIOT},
	{"nbiot", TRIPLET_NBIOT},
	{"nb1", TRIPLET_NBIOT},
	{"nb2", TRIPLET_NBIOT},
	{"cat-nb", TRIPLET_NBIOT},
};

static bool begins(struct str s, const char *prefix)
{
	size_t n = strlen(prefix);
	return s.n >= n && same_word((struct str){s.p, n}, prefix);
}

static bool in_word(char c)
{
	c = small(c);
	return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-';
}

uint8_t policy_rats(struct str text)
{
	unsigned rats = 0;
	for (size_t i = 0; i < text.n;) {
		struct str word = {text.p + i, 0};
		while (i < text.n && in_word(text.p[i])) {
			word.n++;
			i++;
		}
		for (size_t t = 0; word.n && t < CEIR_COUNT(technologies); t++) {
			if (begins(word, technologies[t].prefix)) {
				rats |= 1u << technologies[t].rat;
				break;
			}
		}
		while (i < text.n && !in_word(text.p[i]))
			i++;
	}
	return (uint8_t)rats;
}

const struct policy_tac *policy_find_tac(const struct policy_tables *t, uint64_t imei)
{
	if (imei > IMEI_MAX)
		return NULL;
	uint32_t tac = (uint32_t)(imei / IMEI_SERIALS);
	size_t low = 0, n = t->n_tacs;
	while (n) {
		size_t half = n / 2;
		if (t->tacs[low + half].tac < tac) {
			low += half + 1;
			n -= half + 1;
		} else {
			n = half;
		}
	}
	return low < t->n_tacs && t->tacs[low].tac == tac ? &t->tacs[low] : NULL;
}

/* The first `digits` (at most 6) of an IMSI; UINT32_MAX when it has none. */
static uint32_t leading(uint64_t imsi_key, unsigned digits)
{
	static const uint64_t tens[] = {1, 10, 100, 1000, 10000, 100000, 1000000, 10000000, 100000000, 1000000000, 10000000000,
		100000000000, 1000000000000, 10000000000000, 100000000000000, 1000000000000000};
	struct imsi imsi = triplet_imsi(imsi_key);
	if (imsi.digits < digits || imsi.digits > 15)
		return UINT32_MAX;
	return (uint32_t)(imsi.n / tens[imsi.digits - digits]);
}

unsigned policy_mcc(uint64_t imsi_key)
{
	/* Nearly all have 15 digits: a division by a constant is a multiplication. */
	if (imsi_key >> 50 == 0)
		return (unsigned)(imsi_key / UINT64_C(1000000000000));
	return leading(imsi_key, 3);
}

bool policy_is_home(const struct policy *p, uint64_t imsi_key)
{
	unsigned mcc = policy_mcc(imsi_key);
	return mcc < 1000 && p->home[mcc / 64] >> mcc % 64 & 1;
}

uint8_t policy_operator_of_imsi(const struct policy_tables *t, uint64_t imsi_key)
{
	uint8_t op = 0;
	uint32_t five = leading(imsi_key, 5), six = leading(imsi_key, 6);
	for (size_t i = 0; i < t->n_operators; i++) {
		const struct policy_operator *o = &t->operators[i];
		if (o->digits == 6 && o->mccmnc == six)
			return o->op;
		if (o->digits == 5 && o->mccmnc == five)
			op = o->op;
	}
	return op;
}

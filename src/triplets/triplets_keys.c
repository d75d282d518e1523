/* triplets_keys.c - keys of texts that are no IMEI, and the names of events and radio access technologies. */
#include "triplets/triplets.h"

#include <string.h>
#include <strings.h>

/*
 * Keys above IMEI_MAX: bit 62 set: digits, how many in bits 54..58, the number below (16 digits need 54 bits). Bit 63 set: a
 * hash in the low 60 bits. Neither can be all ones, which marks the end of a source.
 */
#define KEY_DIGITS (UINT64_C(1) << 62)
#define KEY_HASH (UINT64_C(1) << 63)
#define HASH_MASK ((UINT64_C(1) << 60) - 1)
#define NUMBER_BITS 54
#define MALFORMED_DIGITS_MAX 16

/* FNV-1a, then mixed: stands on disk, so it never changes. */
static uint64_t text_hash(struct str text)
{
	uint64_t h = UINT64_C(0xcbf29ce484222325);

	for (size_t i = 0; i < text.n; i++)
		h = (h ^ (unsigned char)text.p[i]) * UINT64_C(0x100000001b3);
	h ^= h >> 32;
	h *= UINT64_C(0x9e3779b97f4a7c15);
	return (h ^ h >> 29) & HASH_MASK;
}

uint64_t triplet_malformed_key(struct str text)
{
	uint64_t n = 0;

	if (text.n > 0 && text.n <= MALFORMED_DIGITS_MAX && str_u64(text, UINT64_MAX, &n) == CEIR_OK)
		return KEY_DIGITS | (uint64_t)text.n << NUMBER_BITS | n;
	return KEY_HASH | text_hash(text);
}

/* 14 digits, from both ends of their middle at the same time: whole lists print tens of millions of them. */
static void print_imei(uint64_t n, char out[TRIPLET_IMEI_TEXT])
{
	uint32_t high = (uint32_t)(n / 10000000), low = (uint32_t)(n % 10000000);

	for (unsigned i = 7; i-- > 0;) {
		out[i] = (char)('0' + high % 10);
		out[i + 7] = (char)('0' + low % 10);
		high /= 10;
		low /= 10;
	}
	out[14] = '\0';
}

void triplet_imei_print(uint64_t imei_key, char out[TRIPLET_IMEI_TEXT])
{
	unsigned digits = (unsigned)(imei_key >> NUMBER_BITS & 31);
	unsigned long long n = imei_key & ((UINT64_C(1) << NUMBER_BITS) - 1);

	if (!triplet_is_malformed(imei_key))
		print_imei(imei_key, out);
	else if (imei_key & KEY_HASH || digits > MALFORMED_DIGITS_MAX)
		(void)snprintf(out, TRIPLET_IMEI_TEXT, "#%015llx", (unsigned long long)(imei_key & HASH_MASK));
	else
		(void)snprintf(out, TRIPLET_IMEI_TEXT, "%0*llu", (int)digits, n);
}

static enum ceir_err hash_parse(struct str s, uint64_t *imei_key)
{
	char padded[16];
	unsigned char bytes[8];
	uint64_t h = 0;

	padded[0] = '0';
	memcpy(padded + 1, s.p + 1, 15);
	enum ceir_err err = hex_parse((struct str){padded, sizeof(padded)}, bytes, sizeof(bytes));
	if (err)
		return err;
	for (unsigned i = 0; i < sizeof(bytes); i++)
		h = h << 8 | bytes[i];
	*imei_key = KEY_HASH | h;
	return CEIR_OK;
}

enum ceir_err triplet_imei_parse(struct str s, uint64_t *imei_key)
{
	uint64_t n = 0;
	struct imei imei;

	if (s.n == 16 && s.p[0] == '#')
		return hash_parse(s, imei_key);
	if (s.n == 0 || s.n > MALFORMED_DIGITS_MAX || str_u64(s, UINT64_MAX, &n) != CEIR_OK)
		return CEIR_EINVAL;
	enum imei_fault fault = s.n == 15 ? imei_parse(s, &imei) : imei_parse_network(s, &imei, NULL, NULL);
	/* A mistyped check digit is an error, not the name of a malformed IMEI; so are 16 digits with a good IMEI in them. */
	if (fault == IMEI_BAD_LUHN && imei_parse_network(s, &imei, NULL, NULL) == IMEI_GOOD)
		return CEIR_EINVAL;
	if (fault == IMEI_GOOD && s.n == 16)
		return CEIR_EINVAL;
	*imei_key = fault == IMEI_GOOD ? imei.n : triplet_malformed_key(s);
	return CEIR_OK;
}

static const char *const event_names[TRIPLET_EVENTS] = {
	[TRIPLET_EVENT_NONE] = "",
	[TRIPLET_ATTACH] = "attach",
	[TRIPLET_CALL] = "call",
	[TRIPLET_SMS] = "sms",
	[TRIPLET_DATA] = "data",
	[TRIPLET_LOCATION] = "location",
	[TRIPLET_DETACH] = "detach",
	[TRIPLET_CHECK] = "check",
};

/*
 * Codes of DIRBS are those of the RAT Type of 3GPP TS 29.274 8.17 (001 UTRAN, 002 GERAN, 003 WLAN, 004 GAN, 005 HSPA
 * Evolution, 006 E-UTRAN, 007 virtual) and of TS 29.061 16.4.7 (101 IEEE 802.16e, 102 eHRPD, 103 HRPD, 104 1xRTT,
 * 105 UMB). Those that are no radio of a mobile phone are known words that say nothing.
 */
static const struct {
	const char *name;
	uint8_t rat;
} rat_names[] = {
	{"gsm", TRIPLET_GSM}, {"umts", TRIPLET_UMTS}, {"lte", TRIPLET_LTE}, {"nr", TRIPLET_NR}, {"cdma", TRIPLET_CDMA},
	{"nb-iot", TRIPLET_NBIOT}, {"nbiot", TRIPLET_NBIOT}, {"2g", TRIPLET_GSM}, {"3g", TRIPLET_UMTS}, {"4g", TRIPLET_LTE}, {"5g", TRIPLET_NR},
	{"001", TRIPLET_UMTS}, {"002", TRIPLET_GSM}, {"003", TRIPLET_RAT_NONE}, {"004", TRIPLET_RAT_NONE}, {"005", TRIPLET_UMTS},
	{"006", TRIPLET_LTE}, {"007", TRIPLET_RAT_NONE},
	{"101", TRIPLET_RAT_NONE}, {"102", TRIPLET_CDMA}, {"103", TRIPLET_CDMA}, {"104", TRIPLET_CDMA}, {"105", TRIPLET_CDMA},
};

const char *triplet_event_name(unsigned event)
{
	return event < TRIPLET_EVENTS ? event_names[event] : NULL;
}

static bool same_word(struct str s, const char *name)
{
	return s.n == strlen(name) && strncasecmp(s.p, name, s.n) == 0;
}

enum ceir_err triplet_event_find(struct str name, uint8_t *event)
{
	for (uint8_t i = 1; i < TRIPLET_EVENTS; i++)
		if (same_word(name, event_names[i])) {
			*event = i;
			return CEIR_OK;
		}
	return CEIR_ENOENT;
}

const char *triplet_rat_name(unsigned rat)
{
	static const char *const names[TRIPLET_RATS] = {"", "gsm", "umts", "lte", "nr", "cdma", "nb-iot"};

	return rat < TRIPLET_RATS ? names[rat] : NULL;
}

enum ceir_err triplet_rat_find(struct str name, uint8_t *rat)
{
	if (name.n == 0)
		return CEIR_ENOENT;
	for (size_t i = 0; i < CEIR_COUNT(rat_names); i++)
		if (same_word(name, rat_names[i].name)) {
			*rat = rat_names[i].rat;
			return CEIR_OK;
		}
	return CEIR_ENOENT;
}

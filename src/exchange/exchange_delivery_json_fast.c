/*
 * exchange_delivery_json_fast.c - the fast way: items that look like the one before.
 *
 * An item is PART imei PART imsi PART msisdn PART, where the parts are, byte for byte, those of an item that was judged good, and the
 * numbers stood in texts. Digits for digits keep it the same JSON, with the same members and the same time; so only the numbers
 * are to be looked at. Whatever is unusual is left to the general way.
 */
#include "exchange/exchange_delivery_json.h"

#include <string.h>

/* Behind the parts: 16 characters are looked at where each number begins, and the last one may have a plus before it. */
#define MARGIN (3 * 16 + 1 + 16)

void json_memo_set(
	struct json_memo *m, struct str item, size_t objects, const struct str *fields, const struct delivery_judged *judged)
{
	const struct str *imei = &fields[COLUMN_IMEI], *imsi = &fields[COLUMN_IMSI], *msisdn = &fields[COLUMN_MSISDN];
	const char *from[4] = {item.p, imei->p + imei->n, imsi->p + imsi->n, msisdn->p + msisdn->n};
	const char *to[4] = {imei->p, imsi->p, msisdn->p, item.p + item.n};

	m->ready = false;
	m->all_n = 0;
	for (unsigned i = 0; i < 4; i++) {
		if (from[i] > to[i] || to[i] - from[i] > JSON_MEMO_BYTES)
			return;
		m->n[i] = (size_t)(to[i] - from[i]);
		m->all_n += m->n[i];
		memcpy(m->part[i], from[i], m->n[i]);
	}
	m->objects = objects;
	m->at_s = judged->row.at_s;
	m->event = judged->row.event;
	m->rat = judged->row.rat;
	m->said_time = judged->said_time;
	m->ready = true;
}

/* Digits at p, 16 at most. */
static inline unsigned digits(const char *p)
{
	return (unsigned)__builtin_ctzll(line_others_16(p) | 1u << 16);
}

const char *json_fast(const struct json_memo *m, const struct delivery_home *home, const char *p, const char *end, struct take_run *run,
	struct sighting *row)
{
	const char *imei, *imsi, *msisdn;
	unsigned imei_n, imsi_n, msisdn_n;
	uint64_t code_mask, code;
	bool plus;

	if ((size_t)(end - p) < m->all_n + MARGIN || memcmp(p, m->part[0], m->n[0]) != 0)
		return NULL;
	imei = p + m->n[0];
	imei_n = digits(imei);
	if (imei_n - 14 > 2 || memcmp(imei + imei_n, m->part[1], m->n[1]) != 0)
		return NULL;
	imsi = imei + imei_n + m->n[1];
	imsi_n = digits(imsi);
	if (imsi_n - 14 > 1 || memcmp(imsi + imsi_n, m->part[2], m->n[2]) != 0)
		return NULL;
	msisdn = imsi + imsi_n + m->n[2];
	plus = *msisdn == '+';
	msisdn += plus;
	msisdn_n = digits(msisdn);
	if ((msisdn_n - 9 > 6 && (msisdn_n != 0 || plus)) || memcmp(msisdn + msisdn_n, m->part[3], m->n[3]) != 0)
		return NULL;
	if (!take_imei(imei, imei_n, run, &row->imei))
		return NULL;
	code = take_code_word(home, &code_mask);
	take_imsi(home, imsi, imsi_n, run, &row->imsi);
	take_msisdn(code, code_mask, msisdn, msisdn_n, run, &row->msisdn);
	row->at_s = m->at_s;
	row->event = m->event;
	row->rat = m->rat;
	row->reserved = 0;
	return msisdn + msisdn_n + m->n[3];
}

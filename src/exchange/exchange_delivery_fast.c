/*
 * exchange_delivery_fast.c - the fast way: lines that look like the one before.
 *
 * A line is PREFIX imei S imsi S msisdn SUFFIX, where prefix and suffix (with the line's end) are, byte for byte, those of a line
 * that was judged good, and S is the separator. One look at the 64 characters behind the prefix finds where the three numbers end;
 * then each is two words of eight digits. Whatever is unusual - another length, a quote, an IMEI of one digit repeated - is left to
 * the general way.
 */
#include "exchange/exchange_delivery_take.h"

#include <string.h>

/* How far behind the beginning of a line may be read: prefix, 64 characters looked at, a number that begins in them, suffix. */
#define MARGIN (DELIVERY_MEMO_BYTES + 64 + 16 + DELIVERY_MEMO_BYTES)

/* The line at p; how long it is with its end, 0 when it is not plain. Numbers go into *row. */
static inline size_t take_line(
	const struct delivery_reader *r, const char *p, uint64_t code, uint64_t code_mask, struct take_run *run, struct sighting *row)
{
	const struct delivery_memo *memo = &r->memo;
	const char *q = p + memo->prefix_n;
	uint64_t others;
	unsigned imei, imsi, imsi_at, msisdn, msisdn_at;

	if (memo->prefix_n > 0 && !take_same(p, memo->prefix, memo->prefix_n))
		return 0;
	/* The last bit: there is always one to be found; that it is a separator is looked at. */
	others = line_others(q) | UINT64_C(1) << 63;
	imei = (unsigned)__builtin_ctzll(others);
	others &= others - 1;
	imsi_at = imei + 1;
	if (imei - 14 > 2 || q[imei] != r->separator || others == 0)
		return 0;
	imsi = (unsigned)__builtin_ctzll(others) - imsi_at;
	others &= others - 1;
	msisdn_at = imsi_at + imsi + 1;
	if (imsi - 14 > 1 || q[msisdn_at - 1] != r->separator || others == 0)
		return 0;
	if (q[msisdn_at] == '+') {
		msisdn_at++;
		others &= others - 1;
		if (others == 0)
			return 0;
	}
	msisdn = (unsigned)__builtin_ctzll(others) - msisdn_at;
	if ((msisdn - 9 > 6 && (msisdn != 0 || q[msisdn_at - 1] == '+')) ||
		!take_same(q + msisdn_at + msisdn, memo->suffix, memo->suffix_n))
		return 0;
	if (!take_imei(q, imei, run, &row->imei))
		return 0;
	take_imsi(&r->judge.home, q + imsi_at, imsi, run, &row->imsi);
	take_msisdn(code, code_mask, q + msisdn_at, msisdn, run, &row->msisdn);
	return memo->prefix_n + msisdn_at + msisdn + memo->suffix_n;
}

const char *delivery_fast(struct delivery_reader *r, const char *p, const char *end)
{
	uint64_t code_mask, code = take_code_word(&r->judge.home, &code_mask);
	struct delivery_batch *b = &r->batch;
	struct take_run run = {0};
	size_t first = b->n, n = b->n;

	if (!r->memo.ready)
		return p;
	while (n < DELIVERY_BATCH && end - p >= MARGIN) {
		struct sighting *row = &b->rows[n];
		size_t length = take_line(r, p, code, code_mask, &run, row);

		if (length == 0)
			break;
		row->at_s = r->memo.at_s;
		row->event = r->memo.event;
		row->rat = r->memo.rat;
		row->reserved = 0;
		p += length;
		n++;
	}
	for (size_t i = first; b->any_cell && i < n; i++)
		b->cells[i] = (struct str){"", 0};
	b->n = n;
	r->line += n - first;
	take_count(&r->judge.counts, &run, n - first, r->memo.said_time, r->memo.at_s);
	return p;
}

void delivery_memo_set(
	struct delivery_reader *r, const char *text, size_t n, const struct str *fields, const struct delivery_judged *judged)
{
	const struct str *imei = &fields[COLUMN_IMEI], *imsi = &fields[COLUMN_IMSI], *msisdn = &fields[COLUMN_MSISDN];
	struct delivery_memo *memo = &r->memo;
	size_t prefix_n, suffix_n;

	if (judged->fault != DELIVERY_GOOD || judged->cell.n > 0 || msisdn->n == 0 || imei->p + imei->n + 1 != imsi->p ||
		imsi->p + imsi->n + 1 != msisdn->p)
		return;
	prefix_n = (size_t)(imei->p - text);
	suffix_n = n - (size_t)(msisdn->p + msisdn->n - text) + 1;
	if (prefix_n > DELIVERY_MEMO_BYTES || suffix_n > DELIVERY_MEMO_BYTES)
		return;
	memcpy(memo->prefix, text, prefix_n);
	memcpy(memo->suffix, msisdn->p + msisdn->n, suffix_n - 1);
	memo->suffix[suffix_n - 1] = '\n';
	memo->prefix_n = prefix_n;
	memo->suffix_n = suffix_n;
	memo->at_s = judged->row.at_s;
	memo->event = judged->row.event;
	memo->rat = judged->row.rat;
	memo->said_time = judged->said_time;
	memo->ready = true;
}

/*
 * exchange_delivery_take.h - the three numbers of a plain row, whose lengths are known, straight into keys. Shared by the fast ways of
 * CSV and JSON; private to src/exchange. Keys and counts are those that delivery_judge_row() gives for the same digits.
 */
#ifndef CEIR_EXCHANGE_DELIVERY_TAKE_H
#define CEIR_EXCHANGE_DELIVERY_TAKE_H

#include "exchange/exchange_delivery.h"
#include "exchange/exchange_delivery_digits.h"

/* Counts of a run of plain rows, all of which are taken. */
struct take_run {
	uint64_t suspicious, zero, one, imsi_foreign, msisdn_foreign, msisdn_empty;
};

/* A number of n digits, 9..16. */
static inline uint64_t take_number(uint64_t head, uint64_t tail, unsigned n)
{
	static const uint64_t powers[] = {0, 10, 100, 1000, 10000, 100000, 1000000, 10000000, 100000000};

	return line_number_8(head) * powers[n - 8] + line_number_8(tail);
}

/* false: all its digits may be the same. n is 14..16. */
static inline bool take_imei(const char *p, unsigned n, struct take_run *run, uint64_t *key)
{
	uint64_t head = line_head(p), tail;

	if (head == LINE_EIGHT(head & 0xff))
		return false;
	/* The 14 digits only; a 15th is looked at by itself. */
	tail = line_tail(p, 14);
	*key = line_number_8(head) * UINT64_C(1000000) + line_number_8(tail);
	if (n == 15) {
		/* In head the 2nd, 4th.. digits are doubled; in tail, two zeros before them, the 10th.. are: odd bytes both. */
		uint32_t last = (uint32_t)(unsigned char)p[14] - (uint32_t)'0';
		uint32_t sum = line_luhn_8(head, true) + line_luhn_8(tail, true) + last;

		run->suspicious += (last != 0) & (sum % 10 != 0);
	}
	run->zero += (head & 0xff) == 0;
	run->one += (head & 0xff) == 1;
	return true;
}

/* n is 14 or 15. */
static inline void take_imsi(const struct delivery_home *home, const char *p, unsigned n, struct take_run *run, uint64_t *key)
{
	uint64_t head = line_head(p), tail = line_tail(p, n);

	run->imsi_foreign += !home->all & !home->mcc[line_number_8(head) / 100000];
	*key = take_number(head, tail, n) | (uint64_t)(15 - n) << 50;
}

/* n is 0 or 9..15. */
static inline void take_msisdn(uint64_t code, uint64_t code_mask, const char *p, unsigned n, struct take_run *run, uint64_t *key)
{
	uint64_t head = line_head(p), tail;

	if (n == 0) {
		run->msisdn_empty++;
		*key = 0;
		return;
	}
	tail = line_tail(p, n);
	run->msisdn_foreign += (head & code_mask) != code;
	*key = take_number(head, tail, n) | (uint64_t)n << 50;
}

/* The digits of the country code as they stand in the head of an MSISDN. */
static inline uint64_t take_code_word(const struct delivery_home *home, uint64_t *mask)
{
	char text[8] = "00000000";

	memcpy(text, home->code, home->code_n);
	*mask = home->code_n == 0 ? 0 : UINT64_MAX >> 8 * (8 - home->code_n);
	return line_head(text) & *mask;
}

/* So many rows, all of the same time. said_time: they said it themselves. */
static inline void take_count(struct delivery_counts *c, const struct take_run *run, uint64_t rows, bool said_time, uint32_t at_s)
{
	if (rows == 0)
		return;
	c->lines += rows;
	c->taken += rows;
	c->suspicious += run->suspicious;
	c->imei_zero += run->zero;
	c->imei_one += run->one;
	c->imsi_foreign += run->imsi_foreign;
	c->msisdn_foreign += run->msisdn_foreign;
	c->msisdn_empty += run->msisdn_empty;
	if (said_time)
		delivery_count_time(c, at_s, rows);
}

static inline bool take_same(const char *p, const char *text, size_t n)
{
	return n == 1 ? *p == *text : memcmp(p, text, n) == 0;
}

#endif

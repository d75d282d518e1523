/* exchange_delivery_row.c - what a row of a delivery means, field by field, and handing rows over in batches. */
#include "exchange/exchange_delivery.h"

#include <string.h>

#define DAY_S 86400

/* ---- home ------------------------------------------------------------------------------------------------------------- */

void delivery_judge_init(struct delivery_judge *j, const struct delivery_format *f)
{
	struct str list = str_of(f->home_mcc), code = str_trim(str_of(f->country_code)), mcc;
	uint64_t number;

	memset(j, 0, sizeof(*j));
	j->format = *f;
	j->home.all = true;
	while (str_cut(&list, ',', &mcc)) {
		if (str_u64(str_trim(mcc), 999, &number) != CEIR_OK)
			continue;
		j->home.mcc[number] = true;
		j->home.all = false;
	}
	if (code.n > 0 && code.p[0] == '+')
		code = (struct str){code.p + 1, code.n - 1};
	if (code.n < sizeof(j->home.code)) {
		memcpy(j->home.code, code.p == NULL ? "" : code.p, code.n);
		j->home.code_n = (uint8_t)code.n;
	}
}

static bool imsi_is_foreign(const struct delivery_home *h, struct imsi imsi)
{
	return !h->all && !h->mcc[imsi.n / (imsi.digits == 15 ? UINT64_C(1000000000000) : UINT64_C(100000000000))];
}

static bool msisdn_is_foreign(const struct delivery_home *h, struct str digits)
{
	return digits.n < h->code_n || memcmp(digits.p, h->code, h->code_n) != 0;
}

/* ---- fields ------------------------------------------------------------------------------------------------------------ */

static size_t count_digits(struct str s)
{
	size_t n = 0;

	while (n < s.n && s.p[n] >= '0' && s.p[n] <= '9')
		n++;
	return n;
}

static struct str behind(struct str s, size_t n)
{
	return (struct str){s.p + n, s.n - n};
}

/* 3.52106E+14, with a point or a comma or none: what spreadsheets show of a number of 15 digits. */
static bool is_exponent(struct str s)
{
	size_t n = count_digits(s);

	if (n == 0 || n == s.n)
		return false;
	s = behind(s, n);
	if (s.p[0] == '.' || s.p[0] == ',')
		s = behind(s, 1 + count_digits(behind(s, 1)));
	if (s.n == 0 || (s.p[0] != 'E' && s.p[0] != 'e'))
		return false;
	s = behind(s, 1);
	if (s.n > 0 && (s.p[0] == '+' || s.p[0] == '-'))
		s = behind(s, 1);
	return s.n > 0 && count_digits(s) == s.n;
}

static enum delivery_fault judge_imei(struct delivery_counts *c, struct str s, uint64_t *key)
{
	enum imei_form form;
	struct imei imei;
	enum imei_fault fault = imei_parse_network(s, &imei, &form, NULL);
	bool of_digits = s.n >= 14 && s.n <= 16 && fault != IMEI_NOT_DIGITS;

	if (fault == IMEI_EMPTY) {
		c->imei_empty++;
		return DELIVERY_IMEI_EMPTY;
	}
	c->imei_unclean += !of_digits;
	c->imei_zero += of_digits && s.p[0] == '0';
	c->imei_one += of_digits && s.p[0] == '1';
	c->imei_13 += s.n == 13 && count_digits(s) == 13;
	if (fault == IMEI_GOOD) {
		*key = imei.n;
		return form == IMEI_FORM_15_SUSPECT ? DELIVERY_IMEI_SUSPICIOUS : DELIVERY_GOOD;
	}
	if (is_exponent(s))
		return DELIVERY_EXPONENT;
	/* The same digit 14 times has a key like any IMEI, so that policy can recognise it. */
	if (fault == IMEI_ALL_SAME)
		*key = (uint64_t)(s.p[0] - '0') * UINT64_C(11111111111111);
	else
		*key = triplet_malformed_key(s);
	return DELIVERY_IMEI_MALFORMED;
}

static enum delivery_fault judge_imsi(struct delivery_judge *j, struct str s, uint64_t *key)
{
	struct imsi imsi;

	if (s.n == 0) {
		j->counts.imsi_empty++;
		return DELIVERY_IMSI_EMPTY;
	}
	if (imsi_parse(s, &imsi) != CEIR_OK) {
		j->counts.imsi_unclean++;
		return DELIVERY_IMSI_BAD;
	}
	j->counts.imsi_foreign += imsi_is_foreign(&j->home, imsi);
	*key = triplet_imsi_key(imsi);
	return DELIVERY_GOOD;
}

static enum delivery_fault judge_msisdn(struct delivery_judge *j, struct str s, uint64_t *key)
{
	struct msisdn msisdn;

	*key = 0;
	if (s.n == 0) {
		j->counts.msisdn_empty++;
		return DELIVERY_GOOD;
	}
	if (msisdn_parse(s, &msisdn) != CEIR_OK)
		return DELIVERY_MSISDN_BAD;
	j->counts.msisdn_foreign += msisdn_is_foreign(&j->home, s.p[0] == '+' ? behind(s, 1) : s);
	*key = triplet_msisdn_key(msisdn);
	return DELIVERY_GOOD;
}

/* yyyymmdd, or seconds or milliseconds since 1970: 8, 9-10 and 12-13 digits, of which none can be taken for another. */
static enum ceir_err time_of_digits(struct str s, int64_t *at_s)
{
	char date[DATE_MAX];
	int32_t days;
	uint64_t number;
	enum ceir_err err;

	if (s.n == 8) {
		snprintf(date, sizeof(date), "%.4s-%.2s-%.2s", s.p, s.p + 4, s.p + 6);
		err = date_parse(str_of(date), &days);
		*at_s = err == CEIR_OK ? (int64_t)days * DAY_S : 0;
		return err;
	}
	if (s.n < 9 || s.n == 11 || s.n > 13 || str_u64(s, UINT64_MAX, &number) != CEIR_OK)
		return CEIR_EINVAL;
	*at_s = (int64_t)(s.n < 11 ? number : number / 1000);
	return CEIR_OK;
}

static enum ceir_err time_of_text(struct str s, int64_t *at_s)
{
	char text[DELIVERY_TIME_BYTES];
	int32_t days;
	int64_t us;
	enum ceir_err err;

	if (count_digits(s) == s.n)
		return time_of_digits(s, at_s);
	if (s.n == DATE_MAX - 1) {
		err = date_parse(s, &days);
		*at_s = err == CEIR_OK ? (int64_t)days * DAY_S : 0;
		return err;
	}
	memcpy(text, s.p, s.n);
	if (s.n > 10 && text[10] == ' ')
		text[10] = 'T'; /* RFC 3339 5.6 lets applications write a space there */
	err = time_parse((struct str){text, s.n}, &us);
	*at_s = err == CEIR_OK ? us / 1000000 : 0;
	return err;
}

static enum delivery_fault judge_time(struct delivery_judge *j, struct str s, uint32_t *at_s)
{
	int64_t at;

	if (s.n >= DELIVERY_TIME_BYTES)
		return DELIVERY_TIME_BAD;
	if (j->time_n != s.n || memcmp(j->time_text, s.p, s.n) != 0) {
		memcpy(j->time_text, s.p, s.n);
		j->time_n = s.n;
		j->time_s = 0;
		if (time_of_text(s, &at) != CEIR_OK || at <= 0 || at > UINT32_MAX)
			j->time_fault = DELIVERY_TIME_BAD;
		else if (at > j->format.now_s + DAY_S)
			j->time_fault = DELIVERY_TIME_FUTURE;
		else
			j->time_fault = DELIVERY_GOOD;
		if (j->time_fault == DELIVERY_GOOD)
			j->time_s = (uint32_t)at;
	}
	*at_s = j->time_s;
	return j->time_fault;
}

static enum delivery_fault judge_event(struct str s, uint8_t *event)
{
	*event = TRIPLET_EVENT_NONE;
	return s.n == 0 || triplet_event_find(s, event) == CEIR_OK ? DELIVERY_GOOD : DELIVERY_EVENT_BAD;
}

static enum delivery_fault judge_rat(struct str s, uint8_t *rat)
{
	*rat = TRIPLET_RAT_NONE;
	return s.n == 0 || triplet_rat_find(s, rat) == CEIR_OK ? DELIVERY_GOOD : DELIVERY_RAT_BAD;
}

static enum delivery_fault judge_cell(struct str s, struct str *cell)
{
	*cell = (struct str){"", 0};
	if (s.n > TRIPLET_CELL_MAX)
		return DELIVERY_CELL_BAD;
	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] < ' ' || s.p[i] > '~')
			return DELIVERY_CELL_BAD;
	*cell = s;
	return DELIVERY_GOOD;
}

/* ---- rows --------------------------------------------------------------------------------------------------------------- */

void delivery_count_time(struct delivery_counts *c, uint32_t at_s, uint64_t lines)
{
	c->times += lines;
	if (c->first_s == 0 || at_s < c->first_s)
		c->first_s = at_s;
	if (at_s > c->last_s)
		c->last_s = at_s;
}

/* The first fault that refuses; else the first that informs. A suspicious IMEI is counted only. */
static enum delivery_fault first_fault(const enum delivery_fault *faults, enum delivery_column *column)
{
	enum delivery_fault found = DELIVERY_GOOD;

	*column = COLUMN_NONE;
	for (unsigned i = 0; i < DELIVERY_COLUMN_COUNT; i++) {
		bool refuses = delivery_fault_refuses(faults[i]);

		if (faults[i] == DELIVERY_GOOD || faults[i] == DELIVERY_IMEI_SUSPICIOUS || (found != DELIVERY_GOOD && !refuses))
			continue;
		found = faults[i];
		*column = (enum delivery_column)i;
		if (refuses)
			break;
	}
	return found;
}

void delivery_judge_row(struct delivery_judge *j, const struct str *fields, struct delivery_judged *out)
{
	enum delivery_fault faults[DELIVERY_COLUMN_COUNT];
	struct sighting *row = &out->row;

	memset(row, 0, sizeof(*row));
	row->at_s = j->format.default_s;
	out->said_time = fields[COLUMN_TIME].n > 0;
	faults[COLUMN_IMEI] = judge_imei(&j->counts, fields[COLUMN_IMEI], &row->imei);
	faults[COLUMN_IMSI] = judge_imsi(j, fields[COLUMN_IMSI], &row->imsi);
	faults[COLUMN_MSISDN] = judge_msisdn(j, fields[COLUMN_MSISDN], &row->msisdn);
	faults[COLUMN_TIME] = out->said_time ? judge_time(j, fields[COLUMN_TIME], &row->at_s) : DELIVERY_GOOD;
	faults[COLUMN_EVENT] = judge_event(fields[COLUMN_EVENT], &row->event);
	faults[COLUMN_RAT] = judge_rat(fields[COLUMN_RAT], &row->rat);
	faults[COLUMN_CELL] = judge_cell(fields[COLUMN_CELL], &out->cell);
	out->fault = first_fault(faults, &out->column);
	out->taken = !delivery_fault_refuses(out->fault);
	if (!out->taken) {
		delivery_judge_refuse(j);
		return;
	}
	j->counts.lines++;
	j->counts.taken++;
	j->counts.malformed += faults[COLUMN_IMEI] == DELIVERY_IMEI_MALFORMED;
	j->counts.suspicious += faults[COLUMN_IMEI] == DELIVERY_IMEI_SUSPICIOUS;
	if (out->said_time)
		delivery_count_time(&j->counts, row->at_s, 1);
}

void delivery_judge_refuse(struct delivery_judge *j)
{
	j->counts.lines++;
	j->counts.refused++;
}

/* ---- batches ------------------------------------------------------------------------------------------------------------ */

/* The text of a cell is the caller's and goes away; cells of rows before the first that has one are empty. */
static void batch_cell(struct delivery_batch *b, struct str cell)
{
	if (!b->any_cell) {
		for (size_t i = 0; i < b->n; i++)
			b->cells[i] = (struct str){"", 0};
		b->any_cell = true;
	}
	memcpy(b->text[b->n], cell.p, cell.n);
	b->cells[b->n] = (struct str){b->text[b->n], cell.n};
}

enum ceir_err delivery_batch_add(struct delivery_batch *b, const struct sighting *row, struct str cell)
{
	CEIR_ASSERT(b->n < DELIVERY_BATCH);
	b->rows[b->n] = *row;
	if (cell.n > 0)
		batch_cell(b, cell);
	else if (b->any_cell)
		b->cells[b->n] = (struct str){"", 0};
	b->n++;
	return b->n == DELIVERY_BATCH ? delivery_batch_flush(b) : CEIR_OK;
}

enum ceir_err delivery_batch_flush(struct delivery_batch *b)
{
	enum ceir_err err = CEIR_OK;

	if (b->n > 0)
		err = b->sink.rows(b->sink.ctx, b->rows, b->any_cell ? b->cells : NULL, b->n);
	b->n = 0;
	b->any_cell = false;
	return err;
}

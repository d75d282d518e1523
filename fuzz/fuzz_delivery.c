/*
 * Deliveries: what is read does not depend on where the file is cut, the counts add up, every key is one that the triplet store
 * takes, and the report of the rejects is CSV that reads. The first byte: 0, the rest is JSON; else the size of the pieces.
 */
#include <stdlib.h>
#include <string.h>

#include "exchange/exchange.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct delivery_format format = {.now_s = 1795564800, .default_s = 1, .home_mcc = "255", .country_code = "380"};
#define MOST 100

struct seen {
	struct buf rows, rejects;
	uint64_t n, reported;
};

static enum ceir_err take_rows(void *ctx, const struct sighting *rows, const struct str *cells, size_t n)
{
	struct seen *s = ctx;

	CEIR_ASSERT(n > 0);
	for (size_t i = 0; i < n; i++) {
		struct imsi imsi = triplet_imsi(rows[i].imsi);
		struct msisdn msisdn = triplet_msisdn(rows[i].msisdn);

		CEIR_ASSERT(imsi.digits == 14 || imsi.digits == 15);
		CEIR_ASSERT(rows[i].msisdn == 0 || (msisdn.digits >= 5 && msisdn.digits <= 15));
		CEIR_ASSERT(rows[i].imei != UINT64_MAX && rows[i].at_s > 0 && rows[i].event < TRIPLET_EVENTS &&
			    rows[i].rat < TRIPLET_RATS);
		CEIR_ASSERT(cells == NULL || cells[i].n <= TRIPLET_CELL_MAX);
		buf_put(&s->rows, &rows[i], sizeof(rows[i]));
		if (cells != NULL)
			buf_str(&s->rows, cells[i]);
	}
	s->n += n;
	return CEIR_OK;
}

static enum ceir_err take_reject(void *ctx, const struct delivery_reject *reject)
{
	struct seen *s = ctx;

	CEIR_ASSERT(reject->line > 0 && reject->fault > DELIVERY_GOOD && reject->fault < DELIVERY_FAULTS && reject->raw.n <= 1024);
	delivery_reject_print(&s->rejects, 0, reject);
	s->reported++;
	return CEIR_OK;
}

static void counts_check(const struct delivery_counts *c, const struct seen *s, enum ceir_err err)
{
	CEIR_ASSERT(c->lines == c->taken + c->refused && c->malformed + c->suspicious <= c->taken && c->times <= c->taken);
	CEIR_ASSERT(c->refused <= s->reported && s->reported <= c->lines);
	CEIR_ASSERT(err != CEIR_OK || c->taken == s->n);
	CEIR_ASSERT((c->times == 0) == (c->first_s == 0) && c->first_s <= c->last_s);
}

static enum ceir_err read_csv(struct str file, size_t piece, struct seen *seen, struct delivery_counts *counts)
{
	const struct delivery_sink sink = {.ctx = seen, .rows = take_rows, .reject = take_reject};
	struct delivery_reader *r = delivery_reader_new(&format, &sink);
	enum ceir_err err = CEIR_OK;

	CEIR_ASSERT(r != NULL);
	while (err == CEIR_OK && file.n > 0) {
		size_t n = piece < file.n ? piece : file.n;
		char *copy = malloc(n); /* of its size: a read behind it is seen */

		CEIR_ASSERT(copy != NULL);
		memcpy(copy, file.p, n);
		err = delivery_reader_feed(r, (struct str){copy, n});
		free(copy);
		file = (struct str){file.p + n, file.n - n};
	}
	if (err == CEIR_OK)
		err = delivery_reader_finish(r);
	CEIR_ASSERT((err == CEIR_EINVAL) == (delivery_reader_why(r) != NULL));
	delivery_reader_counts(r, counts);
	counts_check(counts, seen, err);
	delivery_reader_free(r);
	return err;
}

static void read_json(struct str body)
{
	struct seen seen = {.rows = BUF_INIT(0), .rejects = BUF_INIT(0)};
	const struct delivery_sink sink = {.ctx = &seen, .rows = take_rows, .reject = take_reject};
	struct delivery_counts counts;
	const char *why;
	enum ceir_err err = delivery_json(body, &format, &sink, MOST, &counts, &why);

	CEIR_ASSERT((err == CEIR_EINVAL) == (why != NULL));
	CEIR_ASSERT(err == CEIR_OK || err == CEIR_EINVAL || err == CEIR_ELIMIT);
	CEIR_ASSERT(counts.lines <= MOST);
	/* What was handed over before an error is thrown away, and not counted. */
	if (err == CEIR_OK)
		counts_check(&counts, &seen, err);
	CEIR_ASSERT(err == CEIR_OK || counts.lines + counts.taken + counts.refused == 0);
	buf_free(&seen.rows);
	buf_free(&seen.rejects);
}

/* Five fields in each row, whatever the rejected line was. */
static void report_check(struct str report)
{
	struct csv_reader *r = csv_new(&(struct csv_limits){.separator = ',', .line_bytes = 1 << 20, .record_lines = 2000});
	struct csv_row row;
	enum csv_step step;

	CEIR_ASSERT(r != NULL);
	csv_feed(r, report);
	csv_finish(r);
	while ((step = csv_next(r, &row)) != CSV_END)
		CEIR_ASSERT(step == CSV_ROW && row.count == 5);
	csv_free(r);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct seen whole = {.rows = BUF_INIT(0), .rejects = BUF_INIT(0)}, pieces = {.rows = BUF_INIT(0), .rejects = BUF_INIT(0)};
	struct delivery_counts of_whole, of_pieces;
	struct str file;

	if (size == 0)
		return 0;
	file = (struct str){(const char *)data + 1, size - 1};
	if (data[0] == 0) {
		read_json(file);
		return 0;
	}
	CEIR_ASSERT(read_csv(file, SIZE_MAX, &whole, &of_whole) == read_csv(file, data[0], &pieces, &of_pieces));
	CEIR_ASSERT(str_eq(buf_view(&whole.rows), buf_view(&pieces.rows)));
	CEIR_ASSERT(str_eq(buf_view(&whole.rejects), buf_view(&pieces.rejects)));
	CEIR_ASSERT(memcmp(&of_whole, &of_pieces, sizeof(of_whole)) == 0);
	report_check(buf_view(&whole.rejects));
	buf_free(&whole.rows);
	buf_free(&whole.rejects);
	buf_free(&pieces.rows);
	buf_free(&pieces.rejects);
	return 0;
}

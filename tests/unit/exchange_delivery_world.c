/* exchange_delivery_world.c - see exchange_delivery_world.h. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "exchange/exchange_delivery.h"
#include "exchange_delivery_world.h"

const struct delivery_format world_format = {.now_s = NOW_S, .default_s = DEFAULT_S, .home_mcc = "255, 256", .country_code = "380"};

static void show_row(struct buf *out, const struct sighting *row, struct str cell)
{
	char imei[TRIPLET_IMEI_TEXT], imsi[16], msisdn[16] = "";

	triplet_imei_print(row->imei, imei);
	if (imei[0] == '#')
		imei[1] = '\0'; /* a hash says nothing to a reader */
	imsi_print(triplet_imsi(row->imsi), imsi);
	if (row->msisdn != 0)
		msisdn_print(triplet_msisdn(row->msisdn), msisdn);
	buf_printf(out, "%s/%s/%s", imei, imsi, msisdn);
	if (row->at_s != DEFAULT_S)
		buf_printf(out, "@%u", row->at_s);
	if (row->event != 0)
		buf_printf(out, ",%s", triplet_event_name(row->event));
	if (row->rat != 0)
		buf_printf(out, ",%s", triplet_rat_name(row->rat));
	if (cell.n > 0)
		buf_printf(out, ",[%.*s]", (int)cell.n, cell.p);
	buf_char(out, ' ');
}

static enum ceir_err take_rows(void *ctx, const struct sighting *rows, const struct str *cells, size_t n)
{
	struct seen *s = ctx;
	bool any = false;

	assert_true(n > 0 && n <= DELIVERY_BATCH);
	if (n > s->most)
		s->most = n;
	for (size_t i = 0; i < n; i++) {
		assert_int_equal(rows[i].reserved, 0);
		if (!s->quiet)
			show_row(&s->text, &rows[i], cells == NULL ? (struct str){"", 0} : cells[i]);
		any |= cells != NULL && cells[i].n > 0;
		if (s->rows != NULL) {
			assert_true(s->n + i < s->room);
			s->rows[s->n + i] = rows[i];
		}
	}
	assert_true(cells == NULL || any);
	s->n += n;
	return s->rows_err;
}

static enum ceir_err take_reject(void *ctx, const struct delivery_reject *r)
{
	struct seen *s = ctx;

	assert_true(r->raw.n <= 1024);
	buf_printf(&s->text, "!%lu:%.*s:%s! ", (unsigned long)r->line, (int)r->field.n, r->field.p, delivery_fault_code(r->fault));
	buf_str(&s->raw, r->raw);
	buf_char(&s->raw, '\n');
	s->rejects++;
	return s->reject_err;
}

struct delivery_sink world_sink(struct seen *s)
{
	return (struct delivery_sink){.ctx = s, .rows = take_rows, .reject = take_reject};
}

/* Each piece is on the heap and of its size, so that ASan sees a read behind it. */
enum ceir_err world_read(struct str file, size_t piece, struct seen *seen, struct delivery_counts *counts, const char **why)
{
	struct delivery_sink sink = world_sink(seen);
	struct delivery_reader *r = delivery_reader_new(&world_format, &sink);
	enum ceir_err err = CEIR_OK;

	assert_non_null(r);
	while (err == CEIR_OK && file.n > 0) {
		size_t n = piece < file.n ? piece : file.n;
		char *copy = malloc(n);

		assert_non_null(copy);
		memcpy(copy, file.p, n);
		err = delivery_reader_feed(r, (struct str){copy, n});
		free(copy);
		file = (struct str){file.p + n, file.n - n};
	}
	if (err == CEIR_OK)
		err = delivery_reader_finish(r);
	else
		assert_int_equal(delivery_reader_finish(r), err);
	delivery_reader_counts(r, counts);
	*why = delivery_reader_why(r);
	assert_int_equal(*why != NULL, err == CEIR_EINVAL);
	assert_int_equal(counts->lines, counts->taken + counts->refused);
	if (err == CEIR_OK)
		assert_int_equal(counts->taken, seen->n);
	delivery_reader_free(r);
	return err;
}

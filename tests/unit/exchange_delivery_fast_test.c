/*
 * The fast way through a delivery is judged by the functions of ident, and by the general way, which alone is taken when pieces are
 * of one byte.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "exchange/exchange_delivery.h"
#include "exchange/exchange_delivery_digits.h"
#include "exchange_delivery_world.h"

static uint64_t random_state = 88172645463325252u;

static uint64_t random_below(uint64_t n)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return (random_state >> 11) % n;
}

static void masks_of_digits(void **state)
{
	char text[64];

	(void)state;
	for (int round = 0; round < 20000; round++) {
		uint64_t expected = 0;

		for (size_t i = 0; i < sizeof(text); i++) {
			text[i] = random_below(2) == 0 ? (char)random_below(256) : (char)('/' + (int)random_below(12));
			expected |= (uint64_t)(text[i] < '0' || text[i] > '9') << i;
		}
		assert_true(line_others(text) == expected);
		assert_true(line_others_words(text) == expected);
	}
	for (int c = 0; c < 256; c++) {
		memset(text, c, sizeof(text));
		assert_true(line_others(text) == (c >= '0' && c <= '9' ? 0 : UINT64_MAX));
		assert_true(line_others_words(text) == line_others(text));
	}
}

static void put_digits(struct buf *out, size_t n)
{
	bool same = random_below(10) == 0; /* one digit repeated, or nearly */
	char digit = (char)('0' + (int)random_below(10));

	for (size_t i = 0; i < n; i++)
		buf_char(out, same && random_below(40) != 0 ? digit : (char)('0' + (int)random_below(10)));
}

/* Mostly right; now and then another length, another character, or nothing. */
static void put_number(struct buf *out, size_t shortest, size_t longest)
{
	size_t before = out->n;

	if (random_below(30) == 0)
		return;
	if (random_below(20) == 0)
		put_digits(out, random_below(20));
	else
		put_digits(out, shortest + random_below(longest - shortest + 1));
	if (random_below(30) == 0 && out->n > before)
		out->p[before + random_below(out->n - before)] = (char)random_below(256);
}

static void put_line(struct buf *out, const char *prefix, const char *suffix)
{
	if (random_below(50) == 0)
		prefix = random_below(2) == 0 ? " " : "\"";
	buf_c(out, prefix);
	put_number(out, 14, 16);
	buf_char(out, random_below(40) == 0 ? '.' : ',');
	if (random_below(3) > 0)
		buf_c(out, "255"), put_number(out, 11, 12);
	else
		put_number(out, 14, 15);
	buf_char(out, random_below(40) == 0 ? '.' : ',');
	if (random_below(5) == 0)
		buf_char(out, '+');
	if (random_below(3) > 0)
		buf_c(out, "380"), put_number(out, 6, 12);
	else
		put_number(out, 5, 15);
	buf_c(out, suffix);
	buf_c(out, random_below(20) == 0 ? "\r\n" : "\n");
}

/* One reading must equal the other: rows, reports and counts. */
static void both_ways(struct str file, size_t lines)
{
	struct seen seen[2];
	struct delivery_counts counts[2];
	const char *why[2];

	for (int way = 0; way < 2; way++) {
		seen[way] = (struct seen){.text = BUF_INIT(0),
			.raw = BUF_INIT(0),
			.quiet = true,
			.room = lines,
			.rows = calloc(lines, sizeof(struct sighting))};
		assert_non_null(seen[way].rows);
		assert_int_equal(world_read(file, way == 0 ? SIZE_MAX : 1, &seen[way], &counts[way], &why[way]), CEIR_OK);
	}
	assert_int_equal(seen[0].n, seen[1].n);
	for (size_t i = 0; i < seen[0].n; i++)
		assert_memory_equal(&seen[0].rows[i], &seen[1].rows[i], sizeof(struct sighting));
	assert_true(str_eq(buf_view(&seen[0].text), buf_view(&seen[1].text)));
	assert_true(str_eq(buf_view(&seen[0].raw), buf_view(&seen[1].raw)));
	assert_memory_equal(&counts[0], &counts[1], sizeof(counts[0]));
	for (int way = 0; way < 2; way++) {
		free(seen[way].rows);
		buf_free(&seen[way].text);
		buf_free(&seen[way].raw);
	}
}

static void the_fast_way_equals_the_general_one(void **state)
{
	static const char *const shapes[][3] = {
		{"imei,imsi,msisdn\n", "", ""},
		{"date,imei,imsi,msisdn,rat\n", "20261124,", ",006"},
		{"imei,imsi,msisdn,time,event,cell\n", "", ",2026-11-24T10:00:00Z,call,"},
		{"imei,imsi,msisdn,time,event,cell\n", "", ",,,255-01-7"},
		{"x,imei,imsi,msisdn\n", "this is a text that is longer than what is remembered of a line,", ""},
		{"imsi,imei,msisdn\n", "", ""},
	};
	struct buf file = BUF_INIT(0);

	(void)state;
	for (int round = 0; round < 30; round++) {
		const char *const *shape = shapes[(size_t)round % CEIR_COUNT(shapes)];

		buf_clear(&file);
		buf_c(&file, shape[0]);
		for (int i = 0; i < 5000; i++)
			put_line(&file, shape[1], shape[2]);
		both_ways(buf_view(&file), 5000);
	}
	buf_free(&file);
}

/* Well-formed texts of every length through the fast way, against ident. */
static void the_fast_way_agrees_with_ident(void **state)
{
	enum { LINES = 100000 };
	struct buf file = BUF_INIT(0);
	struct seen seen = {.text = BUF_INIT(0),
		.raw = BUF_INIT(0),
		.quiet = true,
		.room = LINES + 1,
		.rows = calloc(LINES + 1, sizeof(struct sighting))};
	struct delivery_counts c, expected = {.lines = LINES, .taken = LINES};
	struct str rest, line, imei, imsi, msisdn;
	const char *why;
	size_t i = 0;

	(void)state;
	for (int k = 0; k < LINES; k++) {
		buf_c(&file, "7"), put_digits(&file, 13 + random_below(3));
		buf_c(&file, random_below(2) == 0 ? ",255" : ",381"), put_digits(&file, 10 + random_below(3));
		buf_c(&file, random_below(2) == 0 ? ",380" : ",381"), put_digits(&file, 9 + random_below(4));
		buf_char(&file, '\n');
	}
	assert_int_equal(world_read(buf_view(&file), 50000, &seen, &c, &why), CEIR_OK);
	rest = buf_view(&file);
	while (str_cut(&rest, '\n', &line)) {
		struct imei parsed;
		struct imsi subscriber;
		struct msisdn number;
		enum imei_form form = IMEI_FORM_14;

		assert_true(str_cut(&line, ',', &imei) && str_cut(&line, ',', &imsi));
		msisdn = line;
		if (imsi_parse(imsi, &subscriber) != CEIR_OK || msisdn_parse(msisdn, &number) != CEIR_OK) {
			expected.taken--, expected.refused++;
			continue;
		}
		if (imei_parse_network(imei, &parsed, &form, NULL) == IMEI_ALL_SAME)
			parsed.n = 77777777777777, expected.malformed++;
		assert_int_equal(seen.rows[i].imei, parsed.n);
		assert_int_equal(seen.rows[i].imsi, triplet_imsi_key(subscriber));
		assert_int_equal(seen.rows[i].msisdn, triplet_msisdn_key(number));
		assert_int_equal(seen.rows[i].at_s, DEFAULT_S);
		expected.suspicious += form == IMEI_FORM_15_SUSPECT;
		expected.imsi_foreign += !str_starts(imsi, STR("255")) && !str_starts(imsi, STR("256"));
		expected.msisdn_foreign += !str_starts(msisdn, STR("380"));
		i++;
	}
	assert_int_equal(i, seen.n);
	assert_int_equal(c.taken, expected.taken);
	assert_int_equal(c.refused, expected.refused);
	assert_int_equal(c.malformed, expected.malformed);
	assert_int_equal(c.suspicious, expected.suspicious);
	assert_true(c.imsi_foreign >= expected.imsi_foreign); /* refused ones count too */
	assert_true(c.msisdn_foreign >= expected.msisdn_foreign && expected.msisdn_foreign > 1000);
	assert_true(expected.suspicious > 10000 && expected.taken > LINES / 2 && seen.most == DELIVERY_BATCH);
	free(seen.rows);
	buf_free(&seen.text);
	buf_free(&seen.raw);
	buf_free(&file);
}

/* The fast way is really taken: with lines enough behind it, the reader stops where a line is not like the one before. */
static void plain_lines_go_the_fast_way(void **state)
{
	struct seen seen = {.text = BUF_INIT(0), .raw = BUF_INIT(0), .quiet = true};
	struct delivery_sink sink = world_sink(&seen);
	struct delivery_reader *r = delivery_reader_new(&world_format, &sink);
	struct buf file = BUF_INIT(0);
	const char *stop;
	size_t line = sizeof(LINE_A "\n") - 1;

	(void)state;
	for (int i = 0; i < 100; i++)
		buf_c(&file, i == 50 ? A " 255011234567890,380501234567\n" : LINE_A "\n");
	assert_non_null(r);
	assert_ptr_equal(delivery_fast(r, file.p, file.p + file.n), file.p); /* it knows nothing yet */
	assert_int_equal(delivery_reader_feed(r, STR(LINE_A "\n" LINE_A "\n")), CEIR_OK);
	stop = delivery_fast(r, file.p, file.p + file.n);
	assert_int_equal(stop - file.p, 50 * line);
	assert_int_equal(r->batch.n, 52);
	stop = delivery_fast(r, file.p + 51 * line, file.p + file.n);
	assert_in_range(file.p + file.n - stop, 1, 300);
	delivery_reader_free(r);
	buf_free(&file);
}

/* Prefix and suffix as long as can be remembered, in pieces that end anywhere in a line: nothing behind a piece is read (ASan). */
static void no_piece_is_read_beyond_its_end(void **state)
{
	struct buf file = BUF_INIT(0);
	struct delivery_counts c;
	const char *why;

	(void)state;
	buf_c(&file, "x,imei,imsi,msisdn,y\n");
	for (int i = 0; i < 50; i++)
		buf_printf(&file, "%047d,3521060505442012,255011234567890,+380501234567890,%046d\n", 1, 2);
	for (size_t piece = 100; piece < 450; piece++) {
		struct seen seen = {.text = BUF_INIT(0), .raw = BUF_INIT(0), .quiet = true};

		assert_int_equal(world_read(buf_view(&file), piece, &seen, &c, &why), CEIR_OK);
		assert_int_equal(c.taken, 50);
		buf_free(&seen.text);
		buf_free(&seen.raw);
	}
	buf_free(&file);
}

static void longer_texts_are_not_remembered(void **state)
{
	(void)state;
	for (int longer = 0; longer < 3; longer++) {
		struct seen seen = {.text = BUF_INIT(0), .raw = BUF_INIT(0), .quiet = true};
		struct delivery_sink sink = world_sink(&seen);
		struct delivery_reader *r = delivery_reader_new(&world_format, &sink);
		struct buf file = BUF_INIT(0);

		assert_non_null(r);
		buf_printf(
			&file, "x,imei,imsi,msisdn,y\n%0*d," LINE_A ",%0*d\n", longer == 1 ? 48 : 47, 1, longer == 2 ? 47 : 46, 2);
		assert_int_equal(delivery_reader_feed(r, buf_view(&file)), CEIR_OK);
		assert_int_equal(r->memo.ready, longer == 0);
		delivery_reader_free(r);
		buf_free(&file);
		buf_free(&seen.text);
		buf_free(&seen.raw);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(masks_of_digits),
		cmocka_unit_test(the_fast_way_equals_the_general_one),
		cmocka_unit_test(the_fast_way_agrees_with_ident),
		cmocka_unit_test(plain_lines_go_the_fast_way),
		cmocka_unit_test(no_piece_is_read_beyond_its_end),
		cmocka_unit_test(longer_texts_are_not_remembered),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

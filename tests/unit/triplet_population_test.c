/*
 * The bench's country: every triplet once, what is planted is there, a change changes what it says, and the delivery reader finds
 * in the lines what was put into them. Figures of the benchmark mean nothing when these fail.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "exchange/exchange.h"
#include "triplet_line.h"

#define N 60000u

static const struct population_settings country = {.triplets = N, .seed = 7, .operators = 4, .noise = true};

static struct population *made(const struct population_settings *s, struct population_layout *layout)
{
	struct population *p = population_new(s);

	assert_non_null(p);
	population_get_layout(p, layout);
	return p;
}

static int by_key(const void *a, const void *b)
{
	const struct sighting *x = a, *y = b;

	if (x->imei != y->imei)
		return x->imei < y->imei ? -1 : 1;
	if (x->imsi != y->imsi)
		return x->imsi < y->imsi ? -1 : 1;
	return x->msisdn < y->msisdn ? -1 : x->msisdn > y->msisdn;
}

/* All that are taken, sorted. */
static struct sighting *all_of(const struct population *p, uint64_t *n)
{
	struct sighting *rows = calloc(N, sizeof(*rows));

	assert_non_null(rows);
	*n = 0;
	for (uint64_t i = 0; i < N; i++) {
		struct population_triplet t;

		population_get(p, i, &t);
		assert_int_equal(t.op, population_operator(p, i));
		if (triplet_sighting(&t, 1, &rows[*n]))
			++*n;
	}
	qsort(rows, *n, sizeof(*rows), by_key);
	return rows;
}

static void every_size_has_every_line_once(void **state)
{
	static const uint64_t sizes[] = {1, 2, 3, 19, 20, 100, 999, 5000, N};

	(void)state;
	for (size_t k = 0; k < CEIR_COUNT(sizes); k++) {
		struct population_settings s = {
			.triplets = sizes[k], .seed = k, .operators = (unsigned)(1 + k % 4), .noise = k % 2 == 0};
		struct population_layout layout;
		struct population *p = made(&s, &layout);
		unsigned char *met = calloc(1, sizes[k]);
		uint64_t sum = 0;

		assert_non_null(met);
		for (unsigned kind = 0; kind < POPULATION_KINDS; kind++)
			sum += layout.lines[kind];
		assert_int_equal(sum, sizes[k]);
		for (uint64_t i = 0; i < sizes[k]; i++) {
			uint64_t at = population_index(p, i);

			assert_true(at < sizes[k] && met[at] == 0);
			met[at] = 1;
		}
		free(met);
		population_free(p);
	}
}

static void triplets_are_distinct(void **state)
{
	struct population_layout layout;
	struct population *p = made(&country, &layout);
	uint64_t n;
	struct sighting *rows = all_of(p, &n);

	(void)state;
	assert_int_equal(n, N - layout.lines[POPULATION_BAD] * 6 / TRIPLET_BADS);
	for (uint64_t i = 1; i < n; i++)
		assert_true(by_key(&rows[i - 1], &rows[i]) < 0);
	free(rows);
	population_free(p);
}

/* Rows of that IMEI, which stand side by side. */
static uint64_t rows_of(const struct sighting *rows, uint64_t n, uint64_t imei)
{
	uint64_t count = 0;

	for (uint64_t i = 0; i < n; i++)
		count += rows[i].imei == imei;
	return count;
}

static void what_is_planted_is_there(void **state)
{
	struct population_layout layout;
	struct population *p = made(&country, &layout);
	uint64_t n, many = 0, run = 0;
	struct sighting *rows = all_of(p, &n);

	(void)state;
	assert_true(layout.clones > 200 && layout.boxes == 1);
	for (uint64_t c = 0; c < layout.clones; c++) {
		unsigned imsis;
		struct imei imei = population_clone(p, c, &imsis);

		assert_in_range(imsis, 5, 40);
		assert_int_equal(rows_of(rows, n, imei.n), imsis);
	}
	for (uint64_t b = 0; b < layout.boxes; b++) {
		struct imei imeis[TRIPLET_BOX_IMEIS];
		struct msisdn first;
		uint8_t op;

		population_box(p, b, imeis, &op, &first);
		for (unsigned i = 0; i < TRIPLET_BOX_IMEIS; i++)
			assert_int_equal(rows_of(rows, n, imeis[i].n), TRIPLET_BOX_IMSIS / TRIPLET_BOX_IMEIS);
		for (uint64_t i = 0, met = 0; i < n; i++) {
			uint64_t number = triplet_msisdn(rows[i].msisdn).n;

			met += number >= first.n && number < first.n + TRIPLET_BOX_IMSIS;
			assert_true(i + 1 < n || met == TRIPLET_BOX_IMSIS);
		}
	}
	/* Nobody else looks like a clone, but for the IMEIs that are none. */
	for (uint64_t i = 0; i < n; i++) {
		run = i > 0 && rows[i].imei == rows[i - 1].imei ? run + 1 : 1;
		many += run == 5 && !triplet_is_malformed(rows[i].imei) && rows[i].imei != 0 && rows[i].imei != 99999999999999;
	}
	assert_int_equal(many, layout.clones + layout.boxes * TRIPLET_BOX_IMEIS);
	free(rows);
	population_free(p);
}

static void a_change_changes_its_share(void **state)
{
	struct population_settings after = country;
	struct population_layout layout;
	struct population *p, *q;
	uint64_t changed = 0, swapped = 0;

	(void)state;
	after.change = 0.005;
	p = made(&country, &layout);
	q = made(&after, &layout);
	assert_int_equal(layout.changed, N * 5 / 1000);
	for (uint64_t i = 0; i < N; i++) {
		struct population_triplet a, b;

		assert_int_equal(population_index(p, i), population_index(q, i));
		population_get(p, i, &a);
		population_get(q, i, &b);
		assert_int_equal(a.imei.n, b.imei.n);
		assert_int_equal(a.imsi.n != b.imsi.n, b.changed);
		assert_true(b.changed || a.msisdn.n == b.msisdn.n);
		changed += b.changed;
		swapped += b.changed && a.msisdn.n == b.msisdn.n;
		assert_int_equal(b.op, population_operator(q, i));
	}
	assert_int_equal(changed, layout.changed);
	assert_int_equal(swapped, layout.changed / 2);
	population_free(p);
	population_free(q);
}

static void devices_are_models_side_by_side(void **state)
{
	struct population_layout layout;
	struct population *p = made(&country, &layout);
	uint64_t registered = 0, tacs = 0, last = 0;

	(void)state;
	for (uint64_t position = 0; position < layout.devices; position++) {
		uint64_t device = population_device_at(p, position);
		struct imei imei = population_device(p, device);
		uint64_t tac = imei_tac(imei).n;

		assert_true(device < layout.devices && imei.n <= IMEI_MAX);
		tacs += tac != last;
		last = tac;
		registered += population_is_registered(p, device, 0.9);
		assert_false(population_is_registered(p, device, 0));
	}
	assert_in_range(tacs, 4000, TRIPLET_TACS);
	assert_in_range(registered * 1000 / layout.devices, 880, 900); /* roamers are not */
	population_free(p);
}

struct seen {
	struct sighting *rows;
	uint64_t n;
};

static enum ceir_err take_rows(void *ctx, const struct sighting *rows, const struct str *cells, size_t n)
{
	struct seen *s = ctx;

	assert_null(cells);
	memcpy(s->rows + s->n, rows, n * sizeof(*rows));
	s->n += n;
	return CEIR_OK;
}

static enum ceir_err take_reject(void *ctx, const struct delivery_reject *reject)
{
	(void)ctx, (void)reject;
	return CEIR_OK;
}

/* Lines through the reader are the sightings that triplet_sighting() says. */
static void lines_read_as_what_they_are(void **state)
{
	const struct delivery_format f = {.now_s = 1795564800, .default_s = 1, .home_mcc = "255", .country_code = "380"};

	(void)state;
	for (int kind = 0; kind < 3; kind++) {
		struct triplet_style style = {.forms = kind == 1};
		struct seen seen = {.rows = calloc(N, sizeof(struct sighting))};
		const struct delivery_sink sink = {.ctx = &seen, .rows = take_rows, .reject = take_reject};
		struct delivery_reader *r = delivery_reader_new(&f, &sink);
		struct population_layout layout;
		struct population *p = made(&country, &layout);
		struct delivery_counts c;
		struct sighting expected;
		uint64_t n = 0;

		assert_true(seen.rows != NULL && r != NULL);
		if (kind == 2)
			strcpy(style.date, "2026-11-24");
		assert_int_equal(delivery_reader_feed(r, str_of(triplet_header(&style))), CEIR_OK);
		for (uint64_t i = 0; i < N; i++) {
			struct population_triplet t;
			char line[TRIPLET_LINE_BYTES];

			population_get(p, i, &t);
			assert_int_equal(delivery_reader_feed(r, (struct str){line, triplet_line(&t, &style, line)}), CEIR_OK);
		}
		assert_int_equal(delivery_reader_finish(r), CEIR_OK);
		delivery_reader_counts(r, &c);
		assert_int_equal(c.lines, N);
		assert_int_equal(c.refused, layout.lines[POPULATION_BAD] * 6 / TRIPLET_BADS);
		assert_int_equal(c.malformed, layout.lines[POPULATION_BAD] * 4 / TRIPLET_BADS);
		assert_int_equal(c.suspicious, 0);
		assert_in_range(c.imsi_foreign, layout.lines[POPULATION_FOREIGN], layout.lines[POPULATION_FOREIGN]);
		for (uint64_t i = 0; i < N; i++) {
			struct population_triplet t;

			population_get(p, i, &t);
			if (triplet_sighting(&t, kind == 2 ? 1795478400 : 1, &expected))
				assert_memory_equal(&seen.rows[n++], &expected, sizeof(expected));
		}
		assert_int_equal(n, seen.n);
		free(seen.rows);
		delivery_reader_free(r);
		population_free(p);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_size_has_every_line_once),
		cmocka_unit_test(triplets_are_distinct),
		cmocka_unit_test(what_is_planted_is_there),
		cmocka_unit_test(a_change_changes_its_share),
		cmocka_unit_test(devices_are_models_side_by_side),
		cmocka_unit_test(lines_read_as_what_they_are),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

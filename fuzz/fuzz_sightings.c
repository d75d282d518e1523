/*
 * Sightings in JSON: what a library makes of a body, the reader of src/exchange makes of it too - the same rows, the same counts, the
 * same words about what is wrong.
 */
#include <stdlib.h>
#include <string.h>

#include "../tests/unit/exchange_delivery_reference.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct delivery_format format = {.now_s = 1795564800, .default_s = 1, .home_mcc = "255", .country_code = "380"};
#define MOST 10

struct seen {
	struct buf rows;
	uint64_t faults; /* of rejects, in their order */
};

static enum ceir_err take_rows(void *ctx, const struct sighting *rows, const struct str *cells, size_t n)
{
	struct seen *s = ctx;

	for (size_t i = 0; i < n; i++) {
		buf_put(&s->rows, &rows[i], sizeof(rows[i]));
		if (cells != NULL)
			buf_str(&s->rows, cells[i]);
		buf_char(&s->rows, ';');
	}
	return CEIR_OK;
}

static enum ceir_err take_reject(void *ctx, const struct delivery_reject *reject)
{
	struct seen *s = ctx;

	CEIR_ASSERT(reject->line > 0 && reject->line <= MOST && reject->fault > DELIVERY_GOOD && reject->fault < DELIVERY_FAULTS &&
		    reject->raw.n <= 1024);
	s->faults = s->faults * 1000003 + reject->line * DELIVERY_FAULTS + reject->fault;
	return CEIR_OK;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct seen seen = {.rows = BUF_INIT(0)}, expected = {.rows = BUF_INIT(0)};
	const struct delivery_sink sink = {.ctx = &seen, .rows = take_rows, .reject = take_reject},
				   expected_sink = {.ctx = &expected, .rows = take_rows, .reject = take_reject};
	struct delivery_counts counts, expected_counts;
	const char *why, *expected_why;
	struct str body = {(const char *)data, size};
	bool rewritten;
	enum ceir_err err = delivery_json(body, &format, &sink, MOST, &counts, &why);

	CEIR_ASSERT(err == reference_json(body, &format, &expected_sink, MOST, &expected_counts, &expected_why, &rewritten));
	CEIR_ASSERT((err == CEIR_EINVAL) == (why != NULL) && (why == NULL || strcmp(why, expected_why) == 0));
	if (err == CEIR_OK && !rewritten) {
		CEIR_ASSERT(memcmp(&counts, &expected_counts, sizeof(counts)) == 0);
		CEIR_ASSERT(str_eq(buf_view(&seen.rows), buf_view(&expected.rows)) && seen.faults == expected.faults);
	}
	buf_free(&seen.rows);
	buf_free(&expected.rows);
	return 0;
}

/* segment_verify.c - reads all of a segment and says what is wrong with it. */
#include "segment/segment_internal.h"

#include <stdlib.h>

struct verify {
	const struct segment *s;
	void (*report)(void *ctx, const char *line);
	void *ctx;
	bool bad;
	bool has_last;                  /* last is of a block that could be read */
	uint64_t last[SEGMENT_COLUMNS]; /* keys of the row before */
};

static CEIR_PRINTF(3, 4) void fault(struct verify *v, uint64_t block, const char *format, ...)
{
	char line[512];
	va_list args;
	const int n = snprintf(line, sizeof line, "%s: block %llu, at byte %llu: ", v->s->name, (unsigned long long)block,
		(unsigned long long)segment_start(v->s, block));
	if (n > 0 && (size_t)n < sizeof line) {
		va_start(args, format);
		vsnprintf(line + n, sizeof line - (size_t)n, format, args);
		va_end(args);
	}
	v->bad = true;
	v->report(v->ctx, line);
}

/* <0, 0, >0: keys of row i against those of a row elsewhere. */
static int row_compare(const struct segment_cursor *c, unsigned i, const uint64_t *key, unsigned keys)
{
	for (unsigned k = 0; k < keys; k++)
		if (c->col[k][i] != key[k])
			return c->col[k][i] < key[k] ? -1 : 1;
	return 0;
}

static void row_keys(const struct segment_cursor *c, unsigned i, unsigned keys, uint64_t *key)
{
	for (unsigned k = 0; k < keys; k++)
		key[k] = c->col[k][i];
}

static void block_verify(struct verify *v, struct segment_cursor *c, uint64_t block)
{
	const struct segment *s = v->s;
	const unsigned keys = s->schema.keys;
	const char *why = segment_decode(s, block, c);

	if (why) {
		v->has_last = false;
		fault(v, block, "%s", why);
		return;
	}
	for (unsigned i = 0; i < c->n; i++) {
		if (v->has_last && row_compare(c, i, v->last, keys) <= 0) {
			fault(v, block, "row %u is not behind the row before it", i);
			break;
		}
		row_keys(c, i, keys, v->last);
		v->has_last = true;
	}
	for (unsigned i = 0; i < c->n; i++)
		if (!segment_may_have(s, c->col[0][i])) {
			fault(v, block, "row %u is missing in the filter", i);
			break;
		}
	if (block == 0 && row_compare(c, 0, s->info.first, keys) != 0)
		fault(v, block, "the first row is not the one the footer names");
	if (block + 1 == s->blocks && row_compare(c, c->n - 1, s->info.last, keys) != 0)
		fault(v, block, "the last row is not the one the footer names");
	if (block + 1 < s->blocks && c->col[0][c->n - 1] > segment_first(s, block + 1))
		fault(v, block, "the last row is behind the first one of the next block in the index");
}

enum ceir_err segment_verify(const struct segment *s, void (*report)(void *ctx, const char *line), void *ctx)
{
	struct verify v = {.s = s, .report = report, .ctx = ctx};
	struct segment_cursor *c = malloc(sizeof *c);

	if (!c)
		return CEIR_ENOMEM;
	for (uint64_t block = 0; block < s->blocks; block++)
		block_verify(&v, c, block);
	free(c);
	return v.bad ? CEIR_ECORRUPT : CEIR_OK;
}

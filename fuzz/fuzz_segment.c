/*
 * Segments: any bytes as a file, once as they are and once with their CRCs put right. Whatever opens can be searched, walked and verified
 * without reading outside the bytes; and what verify finds sound is sorted and found again.
 */
#include <stdlib.h>
#include <string.h>

#include "../tests/unit/segment_reseal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerInitialize(int *argc, char ***argv);

/* Lines about damage would be all the output there is. */
int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	FILE *nowhere = fopen("/dev/null", "w");
	CEIR_ASSERT(nowhere);
	log_setup(nowhere, false, LOG_ERROR_);
	return 0;
}

static void count_line(void *ctx, const char *line)
{
	CEIR_ASSERT(strlen(line) > 0);
	++*(size_t *)ctx;
}

/* The way of look-ups, which decodes a block only in part. Row i of the decoded block `at` is to be found by its first n_key columns. */
static void look_up(const struct segment *s, struct segment_cursor *found, const struct segment_cursor *at, unsigned i, unsigned n_key,
	bool sound)
{
	uint64_t key[SEGMENT_COLUMNS], differ = 0;
	size_t bytes = 0;

	for (unsigned k = 0; k < n_key; k++)
		key[k] = at->col[k][i];
	CEIR_ASSERT(!sound || segment_may_have(s, key[0]));
	segment_hint_index(s, key[0]);
	segment_hint(s, key[0]);
	const enum ceir_err err = segment_find(found, s, key, n_key);
	CEIR_ASSERT(!sound || (!err && found->at < found->n));
	if (err || found->at == found->n)
		return;
	CEIR_ASSERT(found->col[0][found->at] == key[0]);
	for (unsigned k = 0; k < s->schema.columns; k++)
		differ |= found->col[k][found->at] ^ at->col[k][i];
	if (sound && n_key == s->schema.keys)
		CEIR_ASSERT(differ == 0 && found->block == at->block && found->at == i);
	for (size_t k = 0; found->has_extra && k < found->extra[found->at].n; k++)
		bytes += (uint8_t)found->extra[found->at].p[k];
	CEIR_ASSERT(bytes < SIZE_MAX);
}

/* Walks all rows; sound: each must be found by its key. */
static void walk(const struct segment *s, bool sound)
{
	struct segment_cursor c = {.segment = NULL}, found = {.segment = NULL}, other = {.segment = NULL};
	uint64_t key[SEGMENT_COLUMNS];
	size_t bytes = 0;
	enum ceir_err err;

	for (err = segment_seek(&c, s, NULL, 0); !err && c.n > 0; err = segment_next(&c))
		for (unsigned i = 0; i < c.n; i++) {
			for (size_t k = 0; c.has_extra && k < c.extra[i].n; k++)
				bytes += (uint8_t)c.extra[i].p[k];
			for (unsigned k = 0; k < s->schema.keys; k++)
				key[k] = c.col[k][i];
			const enum ceir_err seek_err = segment_seek(&found, s, key, 1 + i % s->schema.keys);
			CEIR_ASSERT(!sound || !seek_err);
			if (sound && 1 + i % s->schema.keys == s->schema.keys)
				CEIR_ASSERT(found.n > 0 && found.block == c.block && found.at == i);
			look_up(s, i % 2 ? &found : &other, &c, i, 1 + i % s->schema.keys, sound);
		}
	CEIR_ASSERT(!sound || !err);
	CEIR_ASSERT(bytes < SIZE_MAX);
}

static void use(const uint8_t *bytes, size_t n)
{
	struct segment_schema schema = {.kind = load32(bytes + 12), .columns = bytes[16], .keys = bytes[17], .extra = bytes[18] & 1};
	struct segment *s;
	uint64_t bounds[4];
	size_t lines = 0;

	if (schema.columns < 1 || schema.columns > SEGMENT_COLUMNS || schema.keys < 1 || schema.keys > schema.columns)
		return;
	if (segment_open_bytes(bytes, n, "fuzz", &schema, &s))
		return;
	segment_split(s, 5, bounds);
	const bool sound = segment_verify(s, count_line, &lines) == CEIR_OK;
	CEIR_ASSERT(sound == (lines == 0));
	walk(s, sound);
	segment_close(s);
}

/* Any numbers as a column: what is written is read again. */
static void column(const uint8_t *data, size_t size)
{
	uint64_t v[SEGMENT_BLOCK], again[SEGMENT_BLOCK];
	uint8_t out[COLUMN_BYTES_MAX + PACK_SLACK];
	const unsigned n = size / 8 < SEGMENT_BLOCK ? (unsigned)(size / 8) : SEGMENT_BLOCK;
	for (unsigned middle = 0; n > 0 && middle < 4; middle++) {
		struct column_coder coder = {.first = middle == 3, .middle_won = middle == 1};
		for (unsigned i = 0; i < n; i++) /* once as they are, then rising */
			v[i] = load64(data + (size_t)i * 8) + (middle >= 2 && i > 0 ? v[i - 1] : 0);
		for (unsigned i = 1; middle >= 2 && i < n; i++)
			if (v[i] < v[i - 1])
				return;
		const size_t bytes = column_encode(&coder, v, n, middle >= 2, out);
		const struct column_form form = {.base = middle == 3 ? v[0] : coder.base};
		CEIR_ASSERT(bytes <= COLUMN_BYTES_MAX);
		CEIR_ASSERT(column_decode(&form, middle == 3, out, out + bytes, n, again) == out + bytes);
		CEIR_ASSERT(memcmp(v, again, n * sizeof *v) == 0);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	column(data, size);
	if (size < SEGMENT_HEADER_BYTES)
		return 0;
	use(data, size);
	uint8_t *copy = malloc(size);
	CEIR_ASSERT(copy);
	memcpy(copy, data, size);
	reseal(copy, size);
	use(copy, size);
	free(copy);
	return 0;
}

/*
 * The triplet store's own files: MANIFEST, journal, numbers of batches, and the extra bytes of a row. The first byte says which;
 * CRCs are put right here, else nothing would ever get behind them.
 */
#include <stdlib.h>

#include "triplets/triplets_internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What is read is printed, and what is printed is read and printed the same. */
static void try_manifest(struct str text)
{
	struct buf b = BUF_INIT(0), once = BUF_INIT(0), twice = BUF_INIT(0);
	struct manifest m, copy;
	const char *why;
	size_t line;

	CEIR_ASSERT(manifest_parse(text, &m, &why, &line) != CEIR_OK || text.n > 0);
	manifest_clear(&m);
	buf_str(&b, text);
	buf_printf(&b, "crc %08x\n", (unsigned)crc32c(0, text.p, text.n));
	if (!b.failed && manifest_parse(buf_view(&b), &m, &why, &line) == CEIR_OK) {
		manifest_print(&m, &once);
		manifest_clear(&m);
		CEIR_ASSERT(manifest_parse(buf_view(&once), &m, &why, &line) == CEIR_OK);
		CEIR_ASSERT(manifest_copy(&copy, &m) == CEIR_OK);
		manifest_print(&copy, &twice);
		CEIR_ASSERT(str_eq(buf_view(&once), buf_view(&twice)));
		manifest_clear(&copy);
		manifest_clear(&m);
	}
	buf_free(&b);
	buf_free(&once);
	buf_free(&twice);
}

static void read_record(struct str bytes)
{
	struct journal_batch b;
	struct sighting s;
	struct str cell;
	size_t n;

	if (journal_get(bytes, &b, &n) != CEIR_OK)
		return;
	CEIR_ASSERT(n <= bytes.n);
	while (b.n) {
		journal_row(&b, &s, &cell);
		CEIR_ASSERT(cell.n <= TRIPLET_CELL_MAX);
	}
	CEIR_ASSERT(b.bytes == 0);
}

static void try_journal(struct str payload)
{
	char head[JOURNAL_RECORD];
	struct buf b = BUF_INIT(0);

	read_record(payload);
	CEIR_ASSERT(journal_resync(payload, 0) <= payload.n);
	put_u32(head, (uint32_t)payload.n);
	put_u32(head + 4, crc32c(0, payload.p, payload.n));
	buf_put(&b, head, sizeof(head));
	buf_str(&b, payload);
	if (!b.failed)
		read_record(buf_view(&b));
	buf_free(&b);
}

static void try_batches(struct str s)
{
	struct batches *batches = batches_new();
	struct buf b = BUF_INIT(0);
	char crc[4];

	buf_put(&b, BATCHES_MAGIC, 8);
	buf_str(&b, s);
	put_u32(crc, b.failed ? 0 : crc32c(0, b.p, b.n));
	buf_put(&b, crc, sizeof(crc));
	if (batches && !b.failed)
		(void)!batches_parse(buf_view(&b), batches);
	batches_free(batches);
	buf_free(&b);
}

static void try_extra(struct str s)
{
	struct triplet_episode episodes[TRIPLETS_EPISODES_MAX];
	struct combiner c;
	struct row rows[2] = {{.first_s = 1, .episode_s = 2000000000, .last_s = 2000000000, .extra = s},
		{.first_s = 7, .episode_s = 1000000000, .last_s = 2100000000}};
	struct str cell;

	if (s.n > SEGMENT_EXTRA_MAX)
		return;
	unsigned n = extra_get(s, rows[0].episode_s, &cell, episodes);
	for (unsigned i = 0; i < n; i++)
		CEIR_ASSERT(episodes[i].from_s <= episodes[i].to_s && (i == 0 || episodes[i - 1].to_s <= episodes[i].from_s));
	combiner_init(&c, 86400, 0);
	CEIR_ASSERT(combine_rows(&c, rows, 2, &rows[0]) == CEIR_OK);
	CEIR_ASSERT(rows[0].extra.n <= SEGMENT_EXTRA_MAX && rows[0].first_s <= rows[0].episode_s && rows[0].episode_s <= rows[0].last_s);
	combiner_free(&c);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size == 0)
		return 0;
	struct str rest = {(const char *)data + 1, size - 1};
	switch (data[0] & 3) {
	case 0:
		try_manifest(rest);
		break;
	case 1:
		try_journal(rest);
		break;
	case 2:
		try_batches(rest);
		break;
	default:
		try_extra(rest);
		break;
	}
	return 0;
}

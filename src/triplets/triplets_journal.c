/* triplets_journal.c - records of the journal as bytes. The form is in triplets_format.h. */
#include "triplets/triplets_format.h"

#define KIND_BATCH 1

static char *put_row(char *p, const struct sighting *s)
{
	put_u64(p, s->imei);
	put_u64(p + 8, s->imsi);
	put_u64(p + 16, s->msisdn);
	put_u32(p + 24, s->at_s);
	p[28] = (char)s->event;
	p[29] = (char)s->rat;
	return p + JOURNAL_ROW;
}

void journal_put(struct buf *out, uint8_t op, uint64_t batch, const struct sighting *rows, const struct str *cells, size_t n)
{
	size_t at = out->n;
	char *p = buf_reserve(out, JOURNAL_RECORD + JOURNAL_PAYLOAD + n * (JOURNAL_ROW + 1 + TRIPLET_CELL_MAX));

	if (!p)
		return;
	char *payload = p += JOURNAL_RECORD;
	p[0] = KIND_BATCH;
	p[1] = (char)op;
	p[2] = cells ? JOURNAL_CELLS : 0;
	p[3] = 0;
	put_u32(p + 4, (uint32_t)n);
	put_u64(p + 8, batch);
	p += JOURNAL_PAYLOAD;
	for (size_t i = 0; i < n; i++) {
		p = put_row(p, &rows[i]);
		if (!cells)
			continue;
		size_t cell = cells[i].n > TRIPLET_CELL_MAX ? TRIPLET_CELL_MAX : cells[i].n;
		*p++ = (char)cell;
		if (cell)
			memcpy(p, cells[i].p, cell);
		p += cell;
	}
	put_u32(out->p + at, (uint32_t)(p - payload));
	put_u32(out->p + at + 4, crc32c(0, payload, (size_t)(p - payload)));
	out->n = (size_t)(p - out->p);
}

/* n rows, each whole, and nothing behind. */
static bool rows_are_whole(const struct journal_batch *b)
{
	size_t at = 0;

	if (!b->cells)
		return b->bytes == (size_t)b->n * JOURNAL_ROW;
	for (uint32_t i = 0; i < b->n; i++) {
		if (b->bytes - at < JOURNAL_ROW + 1)
			return false;
		at += JOURNAL_ROW;
		size_t cell = (unsigned char)b->rows[at++];
		if (cell > TRIPLET_CELL_MAX || b->bytes - at < cell)
			return false;
		at += cell;
	}
	return at == b->bytes;
}

enum ceir_err journal_get(struct str p, struct journal_batch *b, size_t *size)
{
	if (p.n < JOURNAL_RECORD)
		return CEIR_ENOENT;
	uint32_t n = get_u32(p.p), crc = get_u32(p.p + 4);
	if (n < JOURNAL_PAYLOAD || n > JOURNAL_PAYLOAD_MAX)
		return CEIR_ECORRUPT;
	if (p.n - JOURNAL_RECORD < n)
		return CEIR_ENOENT;
	const char *payload = p.p + JOURNAL_RECORD;
	if (crc32c(0, payload, n) != crc || payload[0] != KIND_BATCH || payload[1] == 0)
		return CEIR_ECORRUPT;
	*b = (struct journal_batch){.op = (uint8_t)payload[1], .cells = ((unsigned char)payload[2] & JOURNAL_CELLS) != 0,
		.n = get_u32(payload + 4), .batch = get_u64(payload + 8), .rows = payload + JOURNAL_PAYLOAD, .bytes = n - JOURNAL_PAYLOAD};
	*size = (size_t)n + JOURNAL_RECORD;
	return rows_are_whole(b) ? CEIR_OK : CEIR_ECORRUPT;
}

void journal_row(struct journal_batch *b, struct sighting *s, struct str *cell)
{
	const char *p = b->rows;
	size_t used = JOURNAL_ROW;

	*s = (struct sighting){.imei = get_u64(p), .imsi = get_u64(p + 8), .msisdn = get_u64(p + 16), .at_s = get_u32(p + 24),
		.event = (uint8_t)p[28], .rat = (uint8_t)p[29]};
	*cell = (struct str){NULL, 0};
	if (b->cells) {
		*cell = (struct str){p + used + 1, (unsigned char)p[used]};
		used += 1 + cell->n;
	}
	b->rows += used;
	b->bytes -= used;
	b->n--;
}

size_t journal_resync(struct str bytes, size_t from)
{
	struct journal_batch b;
	size_t size;

	for (; from < bytes.n && bytes.n - from >= JOURNAL_RECORD + JOURNAL_PAYLOAD; from++) {
		/* The CRC is computed only where kind and length could be right. */
		if (bytes.p[from + JOURNAL_RECORD] == KIND_BATCH && journal_get((struct str){bytes.p + from, bytes.n - from}, &b, &size) == CEIR_OK)
			return from;
	}
	return bytes.n;
}

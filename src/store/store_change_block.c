/*
 * store_change_block.c - the form of what stands in the change log; pure functions.
 *
 * Changes that come alone are rows of the table `change`. A record (struct store_class) stands in its column as
 *   mask, since_day, block_day, resolved_day, genuine_imsi, genuine_msisdn, was_mask
 * each a varint: seven bits a byte, the lowest first, the top bit says that more follow; days are zigzag (0, -1, 1, -2 ...).
 *
 * A classification changes millions at once. They are rows of the table `change_block`, some ten thousand in each, all of one
 * moment and one transaction, under the number of the first. Its data is one zstd frame, whose header says the size of the content
 * and whose end holds a checksum of it (RFC 8878 3.1.1), around
 *   varint  first and n once more, so that a block in another's place is noticed
 *   imei    n varints: zigzag of the difference to the IMEI before, the first to 0
 *   kind    runs until n are told: varint kind, varint how many in a row have it. A kind is
 *           bits 0..1 scope, bit 2 has a record, bits 3..18 verdict, bits 19..34 verdict before
 *   record  of each that has one, in order, as above
 * That is some two bytes a change in the order of IMEIs, with their records.
 *
 * Rows and blocks share the numbers: none is in both, and together they are 1..last.
 */
#include <stdlib.h>
#include <string.h>
#include <zstd.h>

#include "store/store_change.h"

#define VERDICT_BITS 16

/* ---- varints ---- */

static uint8_t *put_varint(uint8_t *p, uint64_t v)
{
	for (; v >= 0x80; v >>= 7)
		*p++ = (uint8_t)(v | 0x80);
	*p++ = (uint8_t)v;
	return p;
}

static uint64_t zigzag(int64_t i)
{
	return (uint64_t)i << 1 ^ (uint64_t)(i >> 63);
}

static int64_t unzigzag(uint64_t v)
{
	return (int64_t)(v >> 1) ^ -(int64_t)(v & 1);
}

static uint64_t get_varint(struct store_packed *r)
{
	uint64_t v = 0;

	for (unsigned shift = 0; shift < 64; shift += 7) {
		if (r->bad || r->p == r->end)
			break;
		uint8_t byte = *r->p++;

		v |= (uint64_t)(byte & 0x7f) << shift;
		if (!(byte & 0x80))
			return v;
	}
	r->bad = true;
	return 0;
}

uint8_t *store_class_put(uint8_t *p, const struct store_class *c)
{
	p = put_varint(p, c->mask);
	p = put_varint(p, zigzag(c->since_day));
	p = put_varint(p, zigzag(c->block_day));
	p = put_varint(p, zigzag(c->resolved_day));
	p = put_varint(p, c->genuine_imsi);
	p = put_varint(p, c->genuine_msisdn);
	return put_varint(p, c->was_mask);
}

void store_class_get(struct store_packed *r, struct store_class *c)
{
	uint64_t mask = get_varint(r);
	int64_t days[3];

	for (size_t i = 0; i < CEIR_COUNT(days); i++)
		days[i] = unzigzag(get_varint(r));
	for (size_t i = 0; i < CEIR_COUNT(days); i++)
		r->bad |= days[i] < INT32_MIN || days[i] > INT32_MAX;
	r->bad |= mask > UINT32_MAX;
	/* One after the other: the order within an initializer is nobody's promise. */
	uint64_t imsi = get_varint(r), msisdn = get_varint(r), was = get_varint(r);
	r->bad |= was > UINT32_MAX;
	*c = (struct store_class){(uint32_t)mask, (int32_t)days[0], (int32_t)days[1], (int32_t)days[2], imsi, msisdn, (uint32_t)was};
}

/* ---- blocks ---- */

static uint64_t kind_of(const struct store_change *c)
{
	return (uint64_t)c->scope | (uint64_t)c->has_record << 2 | (uint64_t)c->verdict << 3 | (uint64_t)c->before << (3 + VERDICT_BITS);
}

size_t store_block_pack(const struct store_change *changes, size_t n, int64_t first, uint8_t *out)
{
	uint8_t *p = put_varint(put_varint(out, (uint64_t)first), n);
	uint64_t before = 0;

	for (size_t i = 0; i < n; i++) {
		p = put_varint(p, zigzag((int64_t)(changes[i].imei.n - before)));
		before = changes[i].imei.n;
	}
	for (size_t i = 0, run; i < n; i += run) {
		for (run = 1; i + run < n && kind_of(&changes[i + run]) == kind_of(&changes[i]); run++)
			;
		p = put_varint(put_varint(p, kind_of(&changes[i])), run);
	}
	for (size_t i = 0; i < n; i++)
		if (changes[i].has_record)
			p = store_class_put(p, &changes[i].record);
	return (size_t)(p - out);
}

enum ceir_err store_block_new(struct store_block *b)
{
	*b = (struct store_block){.changes = malloc(STORE_BLOCK_CHANGES * sizeof *b->changes), .raw = malloc(STORE_BLOCK_BYTES)};
	return b->changes && b->raw ? CEIR_OK : CEIR_ENOMEM;
}

void store_block_free(struct store_block *b)
{
	free(b->changes);
	free(b->raw);
}

/* The kinds and records; the numbers and IMEIs are there. */
static void unpack_kinds(struct store_packed *r, struct store_block *b)
{
	for (int64_t i = 0; i < b->n && !r->bad;) {
		uint64_t kind = get_varint(r), run = get_varint(r);

		r->bad |= kind >> (3 + 2 * VERDICT_BITS) || run == 0 || run > (uint64_t)(b->n - i);
		for (; !r->bad && run; run--, i++) {
			b->changes[i].scope = (enum store_scope)(kind & 3);
			b->changes[i].has_record = kind >> 2 & 1;
			b->changes[i].verdict = (uint16_t)(kind >> 3);
			b->changes[i].before = (uint16_t)(kind >> (3 + VERDICT_BITS));
		}
	}
	for (int64_t i = 0; i < b->n && !r->bad; i++) {
		memset(&b->changes[i].record, 0, sizeof b->changes[i].record);
		if (b->changes[i].has_record)
			store_class_get(r, &b->changes[i].record);
	}
}

bool store_block_unpack(struct store_block *b, struct str data)
{
	unsigned long long size = ZSTD_getFrameContentSize(data.p, data.n);
	size_t got;

	if (b->n < 1 || b->n > STORE_BLOCK_CHANGES || b->first < 1 || b->first > INT64_MAX - b->n || size == ZSTD_CONTENTSIZE_ERROR
		|| size == ZSTD_CONTENTSIZE_UNKNOWN || size > STORE_BLOCK_BYTES)
		return false;
	got = ZSTD_decompress(b->raw, STORE_BLOCK_BYTES, data.p, data.n);
	if (ZSTD_isError(got) || got != size)
		return false;
	struct store_packed r = {b->raw, b->raw + got, false};
	if (get_varint(&r) != (uint64_t)b->first || get_varint(&r) != (uint64_t)b->n)
		return false;
	uint64_t imei = 0;
	for (int64_t i = 0; i < b->n; i++) {
		imei += (uint64_t)unzigzag(get_varint(&r));
		b->changes[i].seq = b->first + i;
		b->changes[i].imei.n = imei;
		b->changes[i].at_s = b->at_s;
		b->changes[i].transaction = b->tx;
	}
	unpack_kinds(&r, b);
	return !r.bad && r.p == r.end;
}

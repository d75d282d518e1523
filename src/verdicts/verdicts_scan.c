/*
 * verdicts_scan.c - the table in the order of IMEIs, while the writer goes on.
 *
 * Groups are never freed or moved, so the list of TACs needs no epoch; only the words of a group do, and they are copied out
 * in one visit. The order of a hash table is none, so the words of a TAC are sorted by their serial numbers: 20 bits, two
 * passes of counting.
 */
#include "verdicts/verdicts_internal.h"

#include <stdlib.h>
#include <string.h>

#define BATCH 512u
#define HALF_BITS 10u
#define HALF (1u << HALF_BITS)
#define FEW 48u /* up to so many are sorted by insertion */

struct group_list {
	const struct verdicts_group **at;
	size_t n;
};

static int by_tac(const void *a, const void *b)
{
	uint32_t x = (*(const struct verdicts_group *const *)a)->tac, y = (*(const struct verdicts_group *const *)b)->tac;
	return (x > y) - (x < y);
}

/* Groups with low <= TAC <= high, ascending; those that are made meanwhile need not be among them. */
static enum ceir_err list_groups(const struct verdicts *t, uint32_t low, uint32_t high, struct group_list *out)
{
	const struct verdicts_chunk *first = atomic_load_explicit(&t->chunks, memory_order_acquire);
	size_t chunks = 0, bytes;
	for (const struct verdicts_chunk *c = first; c; c = c->next)
		chunks++;
	out->n = 0;
	out->at = NULL;
	if (chunks == 0)
		return CEIR_OK;
	if (!size_mul(chunks, VERDICTS_CHUNK_GROUPS * sizeof *out->at, &bytes))
		return CEIR_ENOMEM;
	out->at = malloc(bytes);
	if (!out->at)
		return CEIR_ENOMEM;
	for (const struct verdicts_chunk *c = first; c; c = c->next) {
		uint32_t used = atomic_load_explicit(&c->used, memory_order_acquire);
		for (uint32_t i = 0; i < used; i++)
			if (c->group[i].tac >= low && c->group[i].tac <= high)
				out->at[out->n++] = &c->group[i];
	}
	qsort(out->at, out->n, sizeof *out->at, by_tac);
	return CEIR_OK;
}

/* One pass of a radix sort by HALF_BITS bits from `shift` on. */
static void sort_pass(const uint32_t *from, uint32_t *to, size_t n, unsigned shift)
{
	uint32_t start[HALF] = {0}, sum = 0;
	for (size_t i = 0; i < n; i++)
		start[from[i] >> shift & (HALF - 1)]++;
	for (unsigned b = 0; b < HALF; b++) {
		uint32_t count = start[b];
		start[b] = sum;
		sum += count;
	}
	for (size_t i = 0; i < n; i++)
		to[start[from[i] >> shift & (HALF - 1)]++] = from[i];
}

/* By serial number, which stands in the upper 20 bits. */
static void sort_words(uint32_t *words, uint32_t *scratch, size_t n)
{
	if (n > FEW) {
		sort_pass(words, scratch, n, 12);
		sort_pass(scratch, words, n, 12 + HALF_BITS);
		return;
	}
	for (size_t i = 1; i < n; i++) {
		uint32_t word = words[i];
		size_t at = i;
		for (; at > 0 && words[at - 1] > word; at--)
			words[at] = words[at - 1];
		words[at] = word;
	}
}

struct scan {
	verdicts_items items;
	void *ctx;
	uint32_t *words, *scratch; /* IMEI_SERIALS each */
	size_t n;
	struct verdicts_item batch[BATCH];
};

static enum ceir_err scan_flush(struct scan *s)
{
	size_t n = s->n;
	s->n = 0;
	return n ? s->items(s->ctx, s->batch, n) : CEIR_OK;
}

static enum ceir_err scan_hand_over(struct scan *s, uint32_t tac, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		s->batch[s->n++] = (struct verdicts_item){imei_make((struct tac){tac}, s->words[i] >> 12), verdicts_entry(s->words[i])};
		if (s->n == BATCH) {
			enum ceir_err err = scan_flush(s);
			if (err)
				return err;
		}
	}
	return CEIR_OK;
}

static enum ceir_err scan_groups(struct scan *s, struct verdicts_reader *r, const struct group_list *list, struct imei from, struct imei to,
	unsigned colours)
{
	for (size_t i = 0; i < list->n; i++) {
		const struct verdicts_group *g = list->at[i];
		uint32_t low = g->tac == imei_tac(from).n ? imei_serial(from) : 0;
		uint32_t high = g->tac == imei_tac(to).n ? imei_serial(to) : IMEI_SERIALS - 1;
		bool sorted;
		verdicts_enter(r);
		size_t n = verdicts_group_copy(g, low, high, colours, s->words, &sorted);
		verdicts_leave(r);
		if (!sorted)
			sort_words(s->words, s->scratch, n);
		enum ceir_err err = scan_hand_over(s, g->tac, n);
		if (err)
			return err;
	}
	return scan_flush(s);
}

enum ceir_err verdicts_scan(const struct verdicts *t, struct verdicts_reader *r, struct imei from, struct imei to, unsigned colours,
	verdicts_items items, void *ctx)
{
	struct group_list list = {0};
	if (to.n > IMEI_MAX)
		to.n = IMEI_MAX;
	if (from.n > to.n)
		return CEIR_OK;
	/* One more word than there can be: verdicts_group_copy() writes before it looks. */
	struct scan *s = malloc(sizeof *s);
	uint32_t *words = malloc((IMEI_SERIALS + 1) * sizeof *words), *scratch = malloc(IMEI_SERIALS * sizeof *scratch);
	enum ceir_err err = s && words && scratch ? list_groups(t, imei_tac(from).n, imei_tac(to).n, &list) : CEIR_ENOMEM;
	if (!err) {
		s->items = items;
		s->ctx = ctx;
		s->words = words;
		s->scratch = scratch;
		s->n = 0;
		err = scan_groups(s, r, &list, from, to, colours);
	}
	free(list.at);
	free(scratch);
	free(words);
	free(s);
	return err;
}

enum ceir_err verdicts_scan_tacs(const struct verdicts *t, struct verdicts_reader *r, verdicts_tac_item item, void *ctx)
{
	(void)r; /* nothing that can be given back is looked at */
	struct group_list list;
	enum ceir_err err = list_groups(t, 0, UINT32_MAX, &list);
	for (size_t i = 0; !err && i < list.n; i++) {
		uint16_t packed = atomic_load_explicit(&list.at[i]->tac_verdict, memory_order_relaxed);
		if (packed)
			err = item(ctx, (struct tac){list.at[i]->tac}, verdict_unpack(packed));
	}
	free(list.at);
	return err;
}

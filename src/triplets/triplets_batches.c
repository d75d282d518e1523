/*
 * triplets_batches.c - the numbers of the batches last taken of each operator: a ring, and a hash table of what is in it. Both
 * grow with what there is, so that an operator with ten batches costs a few hundred bytes.
 */
#include "triplets/triplets_format.h"

#include <stdlib.h>

struct ring {
	uint64_t *numbers; /* oldest at `oldest` */
	uint32_t n, cap, oldest;
	uint32_t *slots;   /* index into numbers + 1; 0: empty. 2 * cap of them */
};

struct batches {
	struct ring ops[TRIPLETS_OPS];
};

struct batches *batches_new(void)
{
	return calloc(1, sizeof(struct batches));
}

void batches_free(struct batches *b)
{
	for (unsigned op = 0; b && op < TRIPLETS_OPS; op++) {
		free(b->ops[op].numbers);
		free(b->ops[op].slots);
	}
	free(b);
}

static uint32_t home(const struct ring *r, uint64_t number)
{
	return (uint32_t)(number * UINT64_C(0x9e3779b97f4a7c15) >> 32) & (2 * r->cap - 1);
}

/* The slot of the number, or the empty one where it would be. */
static uint32_t find(const struct ring *r, uint64_t number)
{
	uint32_t at = home(r, number);

	while (r->slots[at] && r->numbers[r->slots[at] - 1] != number)
		at = (at + 1) & (2 * r->cap - 1);
	return at;
}

bool batches_has(const struct batches *b, uint8_t op, uint64_t number)
{
	const struct ring *r = &b->ops[op];

	return r->cap && r->slots[find(r, number)];
}

/* Empties a slot and moves up those behind it that would no longer be found. */
static void forget(struct ring *r, uint64_t number)
{
	uint32_t mask = 2 * r->cap - 1, hole = find(r, number);

	r->slots[hole] = 0;
	for (uint32_t at = (hole + 1) & mask; r->slots[at]; at = (at + 1) & mask) {
		uint32_t from = home(r, r->numbers[r->slots[at] - 1]);
		if (((at - from) & mask) < ((at - hole) & mask))
			continue;
		r->slots[hole] = r->slots[at];
		r->slots[at] = 0;
		hole = at;
	}
}

static enum ceir_err ring_grow(struct ring *r)
{
	struct ring more = {.n = r->n, .cap = r->cap ? r->cap * 2 : 16};

	more.numbers = calloc(more.cap, sizeof(*more.numbers));
	more.slots = calloc(2 * (size_t)more.cap, sizeof(*more.slots));
	if (!more.numbers || !more.slots) {
		free(more.numbers);
		free(more.slots);
		return CEIR_ENOMEM;
	}
	for (uint32_t i = 0; i < r->n; i++) {
		more.numbers[i] = r->numbers[(r->oldest + i) & (r->cap - 1)];
		more.slots[find(&more, more.numbers[i])] = i + 1;
	}
	free(r->numbers);
	free(r->slots);
	*r = more;
	return CEIR_OK;
}

enum ceir_err batches_add(struct batches *b, uint8_t op, uint64_t number)
{
	struct ring *r = &b->ops[op];

	if (batches_has(b, op, number))
		return CEIR_OK;
	if (r->n == r->cap && r->cap < TRIPLETS_BATCHES && ring_grow(r))
		return CEIR_ENOMEM;
	uint32_t at = (r->oldest + r->n) & (r->cap - 1);
	if (r->n == r->cap) {
		forget(r, r->numbers[at]);
		r->oldest = (r->oldest + 1) & (r->cap - 1);
	} else {
		r->n++;
	}
	r->numbers[at] = number;
	/* find() must not meet the number before it has a slot: the slot it returns is empty. */
	r->slots[find(r, number)] = at + 1;
	return CEIR_OK;
}

void batches_print(const struct batches *b, struct buf *out)
{
	size_t begin = out->n;
	char v[8];

	buf_put(out, BATCHES_MAGIC, 8);
	for (unsigned op = 0; op < TRIPLETS_OPS; op++) {
		const struct ring *r = &b->ops[op];
		if (r->n == 0)
			continue;
		put_u32(v, op);
		put_u32(v + 4, r->n);
		buf_put(out, v, 8);
		for (uint32_t i = 0; i < r->n; i++) {
			put_u64(v, r->numbers[(r->oldest + i) & (r->cap - 1)]);
			buf_put(out, v, 8);
		}
	}
	if (out->failed)
		return;
	put_u32(v, crc32c(0, out->p + begin, out->n - begin));
	buf_put(out, v, 4);
}

enum ceir_err batches_parse(struct str s, struct batches *b)
{
	if (s.n < 12 || memcmp(s.p, BATCHES_MAGIC, 8) != 0 || crc32c(0, s.p, s.n - 4) != get_u32(s.p + s.n - 4))
		return CEIR_ECORRUPT;
	s = (struct str){s.p + 8, s.n - 12};
	while (s.n) {
		uint32_t op, n;
		if (s.n < 8)
			return CEIR_ECORRUPT;
		op = get_u32(s.p);
		n = get_u32(s.p + 4);
		s = (struct str){s.p + 8, s.n - 8};
		if (op >= TRIPLETS_OPS || n > TRIPLETS_BATCHES || s.n / 8 < n)
			return CEIR_ECORRUPT;
		for (uint32_t i = 0; i < n; i++) {
			if (batches_add(b, (uint8_t)op, get_u64(s.p + 8 * (size_t)i)))
				return CEIR_ENOMEM;
		}
		s = (struct str){s.p + 8 * (size_t)n, s.n - 8 * (size_t)n};
	}
	return CEIR_OK;
}

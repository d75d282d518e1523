/*
 * base_arena.c - memory of one request, given back all at once.
 *
 * A chain of blocks, newest first. The first block lies behind the arena's own struct, so a small request costs one
 * malloc and, after arena_reset, none. `held` is the sum of all block sizes and never passes `limit`.
 */
#include "base/base.h"

#include <stdalign.h>
#include <stdlib.h>
#include <string.h>

#define FIRST_BLOCK_BYTES ((size_t)16 << 10)
#define LARGEST_STEP_BYTES ((size_t)1 << 20)
#define ALIGNMENT alignof(max_align_t)

struct block {
	struct block *older;
	size_t size, used;
	alignas(max_align_t) char bytes[];
};

struct arena {
	size_t limit; /* SIZE_MAX: none */
	size_t held;
	struct block *newest;
	struct block *first;
};

static struct block *block_new(size_t size, struct block *older)
{
	size_t total;
	struct block *b;

	if (!size_add(sizeof(*b), size, &total))
		return NULL;
	b = malloc(total);
	if (b == NULL)
		return NULL;
	*b = (struct block){.older = older, .size = size};
	return b;
}

struct arena *arena_new(size_t limit_bytes)
{
	struct arena *a = malloc(sizeof(*a));

	if (a == NULL)
		return NULL;
	*a = (struct arena){.limit = limit_bytes == 0 ? SIZE_MAX : limit_bytes};
	a->held = a->limit < FIRST_BLOCK_BYTES ? a->limit : FIRST_BLOCK_BYTES;
	a->first = a->newest = block_new(a->held, NULL);
	if (a->first == NULL) {
		free(a);
		return NULL;
	}
	return a;
}

static void free_later_blocks(struct arena *a)
{
	while (a->newest != a->first) {
		struct block *b = a->newest;

		a->newest = b->older;
		free(b);
	}
	a->held = a->first->size;
}

void arena_free(struct arena *a)
{
	if (a == NULL)
		return;
	free_later_blocks(a);
	free(a->first);
	free(a);
}

void arena_reset(struct arena *a)
{
	free_later_blocks(a);
	a->first->used = 0;
}

/* A new block for n bytes: twice the last one, so that a large request needs few; less when the limit is near. */
static struct block *arena_grow(struct arena *a, size_t n)
{
	size_t room = a->limit - a->held;
	size_t size = a->newest->size < LARGEST_STEP_BYTES / 2 ? a->newest->size * 2 : LARGEST_STEP_BYTES;
	struct block *b;

	if (n > room)
		return NULL;
	if (size < n)
		size = n;
	if (size > room)
		size = room;
	b = block_new(size, a->newest);
	if (b == NULL)
		return NULL;
	a->newest = b;
	a->held += size;
	return b;
}

void *arena_alloc(struct arena *a, size_t n)
{
	struct block *b = a->newest;
	size_t start = (b->used + ALIGNMENT - 1) & ~(ALIGNMENT - 1);

	if (start > b->size || n > b->size - start) {
		b = arena_grow(a, n);
		if (b == NULL)
			return NULL;
		start = 0;
	}
	b->used = start + n;
	return memset(b->bytes + start, 0, n);
}

void *arena_array(struct arena *a, size_t count, size_t size)
{
	size_t n;

	return size_mul(count, size, &n) ? arena_alloc(a, n) : NULL;
}

struct str arena_str(struct arena *a, struct str s)
{
	size_t total;
	char *copy = size_add(s.n, 1, &total) ? arena_alloc(a, total) : NULL;

	if (copy == NULL)
		return (struct str){NULL, 0};
	if (s.n > 0)
		memcpy(copy, s.p, s.n);
	return (struct str){copy, s.n};
}

struct str arena_printf(struct arena *a, const char *format, ...)
{
	char small[256];
	va_list args;
	int n;
	char *text;

	va_start(args, format);
	n = vsnprintf(small, sizeof(small), format, args);
	va_end(args);
	if (n < 0)
		return (struct str){NULL, 0};
	if ((size_t)n < sizeof(small))
		return arena_str(a, (struct str){small, (size_t)n});
	text = arena_alloc(a, (size_t)n + 1);
	if (text == NULL)
		return (struct str){NULL, 0};
	va_start(args, format);
	(void)vsnprintf(text, (size_t)n + 1, format, args);
	va_end(args);
	return (struct str){text, (size_t)n};
}

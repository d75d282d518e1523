/*
 * verdicts_table.c - the words of one TAC: searching, setting, growing. The form is described in verdicts_internal.h.
 *
 * Memory order. A word says all there is to say about an IMEI and leads to nothing else, so words are read and written
 * relaxed: a reader gets the word of before or of after. Who must see an entry because something happened before (an answer
 * that was sent) learns of that through a lock, which orders the word too. The address of an array does lead somewhere, to
 * zeros and copied words; it is published and read seq_cst, for which verdicts_epoch.c gives the second reason.
 */
#include "verdicts/verdicts_internal.h"

#include <stdlib.h>
#include <string.h>

#define CLASS_BITS ((uintptr_t)31)
#define CLASS_DENSE 31u
#define DENSE_BYTES (IMEI_SERIALS * sizeof(uint16_t))

static uint32_t class_words(unsigned class)
{
	if (class == 0)
		return VERDICTS_FEW;
	return (class & 1 ? 16u : 24u) << (class - 1) / 2;
}

static size_t class_bytes(unsigned class)
{
	return class == CLASS_DENSE ? DENSE_BYTES : class_words(class) * sizeof(uint32_t);
}

static uint32_t class_limit(unsigned class)
{
	return class_words(class) / 8 * 7;
}

static _Atomic uint32_t *words_of(uintptr_t tagged)
{
	return (_Atomic uint32_t *)(tagged & ~CLASS_BITS);
}

static _Atomic uint16_t *dense_of(uintptr_t tagged)
{
	return (_Atomic uint16_t *)(tagged & ~CLASS_BITS);
}

/* Where the search for a serial begins in an array of n words. */
static uint32_t words_home(uint32_t n, uint32_t seed, uint32_t serial)
{
	return (uint32_t)((uint64_t)verdicts_mix(seed, serial) * n >> 32);
}

/* Where the serial's word is, or the empty place where it would be. There always is an empty place. */
static _Atomic uint32_t *words_seek(uintptr_t tagged, uint32_t seed, uint32_t serial)
{
	_Atomic uint32_t *words = words_of(tagged);
	uint32_t n = class_words(tagged & CLASS_BITS);
	for (uint32_t at = words_home(n, seed, serial);;) {
		uint32_t word = atomic_load_explicit(&words[at], memory_order_relaxed);
		if (word == 0 || word >> 12 == serial)
			return &words[at];
		at = at + 1 == n ? 0 : at + 1;
	}
}

void verdicts_group_init(struct verdicts_group *g, uint32_t tac)
{
	g->tac = tac;
	atomic_init(&g->words, (uintptr_t)g->few);
}

void verdicts_group_clear(struct verdicts_group *g)
{
	uintptr_t tagged = atomic_load_explicit(&g->words, memory_order_relaxed);
	if (tagged & CLASS_BITS)
		free(words_of(tagged));
}

uint32_t verdicts_group_find(const struct verdicts_group *g, uint32_t seed, uint32_t serial)
{
	uintptr_t tagged = atomic_load_explicit(&g->words, memory_order_seq_cst);
	if ((tagged & CLASS_BITS) == CLASS_DENSE)
		return atomic_load_explicit(&dense_of(tagged)[serial], memory_order_relaxed);
	/* Read again: between words_seek() and now the place may have been filled, with another serial number too. */
	uint32_t word = atomic_load_explicit(words_seek(tagged, seed, serial), memory_order_relaxed);
	return word >> 12 == serial ? word & 0xfffu : 0;
}

void verdicts_group_prefetch(const struct verdicts_group *g, uint32_t seed, uint32_t serial)
{
	uintptr_t tagged = atomic_load_explicit(&g->words, memory_order_seq_cst);
	unsigned class = tagged & CLASS_BITS;
	if (class == CLASS_DENSE)
		__builtin_prefetch(&dense_of(tagged)[serial]);
	else
		__builtin_prefetch(&words_of(tagged)[words_home(class_words(class), seed, serial)]);
}

static bool copy_wanted(uint32_t word, uint32_t low, uint32_t high, unsigned colours)
{
	/* An entry that was set back to nothing is none. */
	return (word & (VERDICTS_ROW | VERDICTS_MASK)) != 0 && word >> 12 >= low && word >> 12 <= high && (colours >> (word & 3) & 1) != 0;
}

size_t verdicts_group_copy(const struct verdicts_group *g, uint32_t low, uint32_t high, unsigned colours, uint32_t *out, bool *sorted)
{
	uintptr_t tagged = atomic_load_explicit(&g->words, memory_order_seq_cst);
	size_t n = 0;
	*sorted = (tagged & CLASS_BITS) == CLASS_DENSE;
	if (*sorted) {
		for (uint32_t serial = low; serial <= high; serial++) {
			uint32_t word = serial << 12 | atomic_load_explicit(&dense_of(tagged)[serial], memory_order_relaxed);
			out[n] = word;
			n += copy_wanted(word, low, high, colours);
		}
		return n;
	}
	const _Atomic uint32_t *words = words_of(tagged);
	for (uint32_t i = 0, end = class_words(tagged & CLASS_BITS); i < end; i++) {
		uint32_t word = atomic_load_explicit(&words[i], memory_order_relaxed);
		out[n] = word;
		n += copy_wanted(word, low, high, colours);
	}
	return n;
}

/* Copies all entries of an array into a larger one that nobody else sees yet. */
static void words_copy(uintptr_t from, uintptr_t to, uint32_t seed)
{
	_Atomic uint32_t *words = words_of(from);
	uint32_t n = class_words(from & CLASS_BITS);
	bool dense = (to & CLASS_BITS) == CLASS_DENSE;
	for (uint32_t i = 0; i < n; i++) {
		uint32_t word = atomic_load_explicit(&words[i], memory_order_relaxed);
		if (word == 0)
			continue;
		if (dense)
			atomic_store_explicit(&dense_of(to)[word >> 12], (uint16_t)(word & 0xfffu), memory_order_relaxed);
		else
			atomic_store_explicit(words_seek(to, seed, word >> 12), word, memory_order_relaxed);
	}
}

static enum ceir_err group_grow(struct verdicts *t, struct verdicts_group *g, bool retire)
{
	uintptr_t old = atomic_load_explicit(&g->words, memory_order_relaxed);
	unsigned class = old & CLASS_BITS;
	unsigned next = class + 1;
	if (retire && verdicts_epoch_reserve(t))
		return CEIR_ENOMEM;
	void *memory = verdicts_alloc(t, class_bytes(next));
	if (!memory)
		return CEIR_ENOMEM;
	uintptr_t grown = (uintptr_t)memory | next;
	words_copy(old, grown, t->seed);
	atomic_store_explicit(&g->words, grown, memory_order_seq_cst);
	if (class == 0)
		return CEIR_OK; /* it lay in the group, which stays */
	if (retire) {
		verdicts_epoch_retire(t, words_of(old), class_bytes(class));
	} else {
		verdicts_uncount(t, class_bytes(class));
		free(words_of(old));
	}
	return CEIR_OK;
}

static void dense_put(struct verdicts_group *g, uintptr_t tagged, uint32_t serial, uint16_t bits)
{
	_Atomic uint16_t *place = &dense_of(tagged)[serial];
	if (atomic_load_explicit(place, memory_order_relaxed) == 0) {
		if (bits == 0)
			return;
		atomic_store_explicit(&g->count, atomic_load_explicit(&g->count, memory_order_relaxed) + 1, memory_order_relaxed);
	}
	atomic_store_explicit(place, (uint16_t)(VERDICTS_PRESENT | bits), memory_order_relaxed);
}

enum ceir_err verdicts_group_put(struct verdicts *t, struct verdicts_group *g, uint32_t serial, uint16_t bits, bool retire)
{
	uint32_t word = serial << 12 | VERDICTS_PRESENT | bits;
	uint32_t count = atomic_load_explicit(&g->count, memory_order_relaxed);
	for (;;) {
		uintptr_t tagged = atomic_load_explicit(&g->words, memory_order_relaxed);
		unsigned class = tagged & CLASS_BITS;
		if (class == CLASS_DENSE) {
			dense_put(g, tagged, serial, bits);
			return CEIR_OK;
		}
		_Atomic uint32_t *place = words_seek(tagged, t->seed, serial);
		if (atomic_load_explicit(place, memory_order_relaxed) != 0) {
			atomic_store_explicit(place, word, memory_order_relaxed);
			return CEIR_OK;
		}
		if (bits == 0)
			return CEIR_OK; /* the same as no entry, which it is already */
		if (count < class_limit(class)) {
			atomic_store_explicit(place, word, memory_order_relaxed);
			atomic_store_explicit(&g->count, count + 1, memory_order_relaxed);
			return CEIR_OK;
		}
		enum ceir_err err = group_grow(t, g, retire);
		if (err)
			return err;
	}
}

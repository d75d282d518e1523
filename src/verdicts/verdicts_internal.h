/*
 * verdicts_internal.h - what the files of this room share. Nobody else includes it.
 *
 * IMEI -> directory (hash by TAC) -> group (one per TAC, never moves, never freed before the end) -> words of the group.
 */
#ifndef CEIR_VERDICTS_INTERNAL_H
#define CEIR_VERDICTS_INTERNAL_H

#include <pthread.h>
#include <stdalign.h>
#include <stdatomic.h>

#include "verdicts/verdicts.h"

/* Two processors that write different things must not share this many bytes. */
#define VERDICTS_CACHE_LINE 64

/* A stored verdict: 10 bits of verdict_pack(), whether the database has a row of it, and a bit that no empty place has. */
#define VERDICTS_PRESENT 0x800u
#define VERDICTS_ROW 0x400u
#define VERDICTS_MASK 0x3ffu

/* Words inside the group itself: most TACs ever heard of have a handful of entries. */
#define VERDICTS_FEW 8

/*
 * The words of one TAC. `words` is the address of an array with its size class in the low five bits, so that a reader gets
 * both with one load (growing by half, not twice, each step keeps an entry at 4.6 to 7 bytes):
 *   class 0       uint32_t[8], inside the group
 *   class 1..30   uint32_t[16], [24], [32], [48], ... [393216]: open addressing, at most 7/8 full
 *   class 31      uint16_t[1000000], indexed by serial number: smaller than the next array of words would be
 * A word is serial << 12 | VERDICTS_PRESENT | VERDICTS_ROW or 0 | packed verdict; an element of class 31 is the same without the
 * serial; 0 is an empty place. Nothing is ever taken out of an array, so a search ends at the first empty word.
 */
struct verdicts_group {
	alignas(VERDICTS_CACHE_LINE) _Atomic uintptr_t words;
	_Atomic uint32_t count;         /* entries; written by the group's writer only */
	uint32_t tac;
	_Atomic uint16_t tac_verdict;   /* packed verdict of the whole TAC; 0: none */
	alignas(32) _Atomic uint32_t few[VERDICTS_FEW];
};

/* Memory that readers may still look at. */
struct verdicts_retired {
	void *memory;
	size_t bytes;
	uint64_t epoch;
};

struct verdicts_reader {
	alignas(VERDICTS_CACHE_LINE) _Atomic uint64_t epoch; /* 0: outside */
	struct verdicts *table;
	struct verdicts_reader *next, *before; /* under readers_lock */
};

struct verdicts_directory;

#define VERDICTS_CHUNK_GROUPS 255u
/* Groups come by the chunk; `used` is stored (release) after the group is complete. Nothing is freed before the end. */
struct verdicts_chunk {
	struct verdicts_chunk *next;
	_Atomic uint32_t used;
	struct verdicts_group group[VERDICTS_CHUNK_GROUPS];
};

struct verdicts {
	uint32_t seed;                                  /* of the hashes; constant */
	struct verdicts_directory *_Atomic directory;
	struct verdicts_chunk *_Atomic chunks;          /* newest first */
	_Atomic uint64_t bytes;                         /* of all memory held, statistics only */
	pthread_mutex_t grow_lock;                      /* new groups: taken by loaders and by the writer */

	alignas(VERDICTS_CACHE_LINE) _Atomic uint64_t epoch; /* from 1, moved by the writer; read by verdicts_enter() */
	alignas(VERDICTS_CACHE_LINE) struct verdicts_retired *retired; /* in order of epoch; writer, or loader with grow_lock */
	size_t n_retired, cap_retired;
	pthread_mutex_t readers_lock;                   /* the list of readers, not what they do */
	struct verdicts_reader *readers;
};

/* Spreads 32 bits over 32 bits. The seed keeps strangers from choosing IMEIs that all fall into one place. */
static inline uint32_t verdicts_mix(uint32_t seed, uint32_t x)
{
	x ^= seed;
	x = (x ^ x >> 16) * 0x85ebca6bu;
	x = (x ^ x >> 13) * 0xc2b2ae35u;
	return x ^ x >> 16;
}

/* VERDICTS_ROW and the packed verdict, as an entry holds them. */
static inline struct verdict verdicts_entry(uint32_t bits)
{
	/* As verdict_unpack(), here so that fifty million of them cost no calls. */
	return (struct verdict){.colour = bits & 3, .reason = bits >> 2 & 63, .registered = bits >> 8 & 1, .pair = bits >> 9 & 1,
		.row = (bits & VERDICTS_ROW) != 0};
}

/* verdicts_table.c: the words of one group. */
void verdicts_group_init(struct verdicts_group *g, uint32_t tac);
void verdicts_group_clear(struct verdicts_group *g);
/* VERDICTS_PRESENT, VERDICTS_ROW and the packed verdict, or 0. Any thread. */
uint32_t verdicts_group_find(const struct verdicts_group *g, uint32_t seed, uint32_t serial);
/* Asks the processor to fetch what verdicts_group_find() will read first. Any thread. */
void verdicts_group_prefetch(const struct verdicts_group *g, uint32_t seed, uint32_t serial);
/*
 * Words of the entries with low <= serial <= high whose colour is in `colours`, at most IMEI_SERIALS of them, into out; returns
 * how many. *sorted: whether they ascend. Any thread.
 */
size_t verdicts_group_copy(const struct verdicts_group *g, uint32_t low, uint32_t high, unsigned colours, uint32_t *out, bool *sorted);
/*
 * The group's writer. bits: VERDICTS_ROW and the packed verdict. retire: readers may be at work, so an outgrown array goes through
 * verdicts_epoch_retire().
 */
enum ceir_err verdicts_group_put(struct verdicts *t, struct verdicts_group *g, uint32_t serial, uint16_t bits, bool retire)
	CEIR_MUST_USE;

/* verdicts_epoch.c: when memory may be given back. */
/* Makes sure that the next verdicts_epoch_retire() cannot fail. */
enum ceir_err verdicts_epoch_reserve(struct verdicts *t) CEIR_MUST_USE;
/* memory can no longer be reached from the table; freed when no reader can hold it. */
void verdicts_epoch_retire(struct verdicts *t, void *memory, size_t bytes);
void verdicts_epoch_clear(struct verdicts *t);

/* Zeroed memory at a cache line's start, counted in t->bytes; free with free() after verdicts_uncount(). NULL: none left. */
void *verdicts_alloc(struct verdicts *t, size_t bytes);
void verdicts_uncount(struct verdicts *t, size_t bytes);

#endif

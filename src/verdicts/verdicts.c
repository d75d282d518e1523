/*
 * verdicts.c - the table as a whole: the directory of TACs, and the functions of verdicts.h.
 *
 * The directory is an open-addressing hash of (TAC, group), at most half full, replaced by one of twice the size when it
 * grows. Groups never move, so a loader may go on with a group while another replaces the directory.
 */
#include "verdicts/verdicts_internal.h"

#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#define TACS 100000000u
#define DIRECTORY_FIRST 1024u

/* key: TAC + 1, 0 in an empty slot. Stored (release) after group, which never changes again. */
struct verdicts_slot {
	_Atomic uint32_t key;
	struct verdicts_group *group;
};

struct verdicts_directory {
	uint32_t slots, used; /* slots: a power of two */
	struct verdicts_slot slot[];
};

void *verdicts_alloc(struct verdicts *t, size_t bytes)
{
	void *memory;
	if (posix_memalign(&memory, VERDICTS_CACHE_LINE, bytes))
		return NULL;
	memset(memory, 0, bytes);
	atomic_fetch_add_explicit(&t->bytes, bytes, memory_order_relaxed);
	return memory;
}

void verdicts_uncount(struct verdicts *t, size_t bytes)
{
	atomic_fetch_sub_explicit(&t->bytes, bytes, memory_order_relaxed);
}

static size_t directory_bytes(uint32_t slots)
{
	return sizeof(struct verdicts_directory) + (size_t)slots * sizeof(struct verdicts_slot);
}

static struct verdicts_directory *directory_new(struct verdicts *t, uint32_t slots)
{
	struct verdicts_directory *d = verdicts_alloc(t, directory_bytes(slots));
	if (d)
		d->slots = slots;
	return d;
}

/* The slot of a TAC, or the empty one where it would be. */
static struct verdicts_slot *directory_seek(struct verdicts_directory *d, uint32_t seed, uint32_t tac, uint32_t *key)
{
	for (uint32_t at = verdicts_mix(seed, tac);; at++) {
		struct verdicts_slot *slot = &d->slot[at & (d->slots - 1)];
		*key = atomic_load_explicit(&slot->key, memory_order_acquire);
		if (*key == 0 || *key == tac + 1)
			return slot;
	}
}

/* NULL: nothing is known of this TAC. Any thread. */
static struct verdicts_group *group_find(const struct verdicts *t, uint32_t tac)
{
	struct verdicts_directory *d = atomic_load_explicit(&t->directory, memory_order_seq_cst);
	uint32_t key;
	struct verdicts_slot *slot = directory_seek(d, t->seed, tac, &key);
	return key ? slot->group : NULL;
}

static void directory_put(struct verdicts_directory *d, uint32_t seed, struct verdicts_group *g)
{
	uint32_t key;
	struct verdicts_slot *slot = directory_seek(d, seed, g->tac, &key);
	slot->group = g;
	atomic_store_explicit(&slot->key, g->tac + 1, memory_order_release);
	d->used++;
}

/* A directory with room for one more TAC; grow_lock is held. */
static struct verdicts_directory *directory_room(struct verdicts *t)
{
	struct verdicts_directory *d = atomic_load_explicit(&t->directory, memory_order_relaxed);
	if (d->used < d->slots / 2)
		return d;
	if (verdicts_epoch_reserve(t))
		return NULL;
	struct verdicts_directory *grown = directory_new(t, d->slots * 2); /* at most 2^28 slots: there are 10^8 TACs */
	if (!grown)
		return NULL;
	for (uint32_t i = 0; i < d->slots; i++)
		if (atomic_load_explicit(&d->slot[i].key, memory_order_relaxed))
			directory_put(grown, t->seed, d->slot[i].group);
	atomic_store_explicit(&t->directory, grown, memory_order_seq_cst);
	verdicts_epoch_retire(t, d, directory_bytes(d->slots));
	return grown;
}

/* A group that stands in no directory yet; grow_lock is held. */
static struct verdicts_group *chunk_take(struct verdicts *t, uint32_t tac)
{
	struct verdicts_chunk *c = atomic_load_explicit(&t->chunks, memory_order_relaxed);
	if (!c || atomic_load_explicit(&c->used, memory_order_relaxed) == VERDICTS_CHUNK_GROUPS) {
		struct verdicts_chunk *fresh = verdicts_alloc(t, sizeof *fresh);
		if (!fresh)
			return NULL;
		fresh->next = c;
		atomic_store_explicit(&t->chunks, fresh, memory_order_release);
		c = fresh;
	}
	uint32_t used = atomic_load_explicit(&c->used, memory_order_relaxed);
	verdicts_group_init(&c->group[used], tac);
	atomic_store_explicit(&c->used, used + 1, memory_order_release);
	return &c->group[used];
}

/* The group of a TAC, made when there is none. NULL: memory. The writer, or a loader. */
static struct verdicts_group *group_get(struct verdicts *t, uint32_t tac)
{
	CEIR_ASSERT(tac < TACS);
	struct verdicts_group *g = group_find(t, tac);
	if (g)
		return g;
	pthread_mutex_lock(&t->grow_lock);
	struct verdicts_directory *d = directory_room(t);
	if (d) {
		g = chunk_take(t, tac);
		if (g)
			directory_put(d, t->seed, g);
	}
	pthread_mutex_unlock(&t->grow_lock);
	return g;
}

struct verdicts *verdicts_new(void)
{
	void *memory;
	if (posix_memalign(&memory, VERDICTS_CACHE_LINE, sizeof(struct verdicts)))
		return NULL;
	struct verdicts *t = memory;
	memset(t, 0, sizeof *t);
	atomic_init(&t->bytes, sizeof *t);
	atomic_init(&t->epoch, 1);
	/* Without the kernel's random numbers the table works as well; the hash is only easier to guess. */
	if (getrandom(&t->seed, sizeof t->seed, GRND_NONBLOCK) != sizeof t->seed)
		t->seed = (uint32_t)clock_mono_us();
	struct verdicts_directory *d = directory_new(t, DIRECTORY_FIRST);
	if (!d) {
		free(t);
		return NULL;
	}
	atomic_init(&t->directory, d);
	pthread_mutex_init(&t->grow_lock, NULL);
	pthread_mutex_init(&t->readers_lock, NULL);
	return t;
}

void verdicts_free(struct verdicts *t)
{
	if (!t)
		return;
	verdicts_epoch_clear(t);
	struct verdicts_chunk *next;
	for (struct verdicts_chunk *c = atomic_load(&t->chunks); c; c = next) {
		next = c->next;
		uint32_t used = atomic_load(&c->used);
		for (uint32_t i = 0; i < used; i++)
			verdicts_group_clear(&c->group[i]);
		free(c);
	}
	free(atomic_load(&t->directory));
	pthread_mutex_destroy(&t->grow_lock);
	pthread_mutex_destroy(&t->readers_lock);
	free(t);
}

/* The rule of verdicts.h: golden, or black by itself, stands before the verdict of the whole TAC. */
static struct verdict entry_or_tac(struct verdict entry, struct verdict tac)
{
	if (entry.reason == VERDICT_GOLDEN || entry.colour == VERDICT_BLACK)
		return entry;
	tac.registered = entry.registered;
	tac.pair = entry.pair;
	tac.row = entry.row;
	return tac;
}

/* The bits of an entry in a group; 0: none, or one that says nothing. */
static uint32_t entry_bits(const struct verdicts *t, const struct verdicts_group *g, struct imei imei)
{
	return g ? verdicts_group_find(g, t->seed, imei_serial(imei)) & (VERDICTS_ROW | VERDICTS_MASK) : 0;
}

static uint16_t tac_bits(const struct verdicts_group *g)
{
	return g ? atomic_load_explicit(&g->tac_verdict, memory_order_relaxed) : 0;
}

bool verdicts_get(const struct verdicts *t, struct imei imei, struct verdict *v)
{
	const struct verdicts_group *g = group_find(t, imei_tac(imei).n);
	uint32_t entry = entry_bits(t, g, imei);
	uint16_t tac = tac_bits(g);
	*v = verdicts_entry(entry);
	if (tac)
		*v = entry_or_tac(*v, verdict_unpack(tac));
	return (entry & VERDICTS_MASK) || tac;
}

void verdicts_get_many(const struct verdicts *t, const struct imei *imeis, size_t n, struct verdict *out)
{
	/* As many as a processor has fetches under way, and a few more. */
	enum { AHEAD = 16 };
	for (size_t done = 0; done < n;) {
		size_t end = n - done > AHEAD ? done + AHEAD : n;
		for (size_t i = done; i < end; i++) {
			const struct verdicts_group *g = group_find(t, imei_tac(imeis[i]).n);
			if (g)
				verdicts_group_prefetch(g, t->seed, imei_serial(imeis[i]));
		}
		for (; done < end; done++)
			verdicts_get(t, imeis[done], &out[done]);
	}
}

bool verdicts_get_entry(const struct verdicts *t, struct imei imei, struct verdict *v)
{
	uint32_t entry = entry_bits(t, group_find(t, imei_tac(imei).n), imei);
	*v = verdicts_entry(entry);
	return (entry & VERDICTS_MASK) != 0;
}

void verdicts_get_apart(const struct verdicts *t, const struct imei *imeis, size_t n, struct verdict *entries, struct verdict *tacs)
{
	enum { AHEAD = 16 };
	const struct verdicts_group *g[AHEAD], *last = NULL;
	uint32_t tac = UINT32_MAX; /* of `last` */
	for (size_t done = 0; done < n;) {
		size_t m = n - done > AHEAD ? AHEAD : n - done;
		for (size_t i = 0; i < m; i++) {
			uint32_t of = imei_tac(imeis[done + i]).n;
			if (of != tac)
				last = group_find(t, tac = of);
			g[i] = last;
			if (last)
				verdicts_group_prefetch(last, t->seed, imei_serial(imeis[done + i]));
		}
		for (size_t i = 0; i < m; i++, done++) {
			entries[done] = verdicts_entry(entry_bits(t, g[i], imeis[done]));
			tacs[done] = verdicts_entry(tac_bits(g[i])); /* never has a row */
		}
	}
}

static enum ceir_err entry_set(struct verdicts *t, struct imei imei, struct verdict v, bool retire)
{
	uint16_t bits = (uint16_t)(verdict_pack(v) | (v.row ? VERDICTS_ROW : 0));
	struct verdicts_group *g = bits ? group_get(t, imei_tac(imei).n) : group_find(t, imei_tac(imei).n);
	if (!g)
		return bits ? CEIR_ENOMEM : CEIR_OK;
	return verdicts_group_put(t, g, imei_serial(imei), bits, retire);
}

enum ceir_err verdicts_set(struct verdicts *t, struct imei imei, struct verdict v)
{
	return entry_set(t, imei, v, true);
}

enum ceir_err verdicts_load(struct verdicts *t, struct imei imei, struct verdict v)
{
	return entry_set(t, imei, v, false);
}

enum ceir_err verdicts_set_tac(struct verdicts *t, struct tac tac, struct verdict v)
{
	bool remove = v.colour == VERDICT_UNKNOWN;
	struct verdicts_group *g = remove ? group_find(t, tac.n) : group_get(t, tac.n);
	if (!g)
		return remove ? CEIR_OK : CEIR_ENOMEM;
	atomic_store_explicit(&g->tac_verdict, remove ? 0 : verdict_pack(v), memory_order_relaxed);
	return CEIR_OK;
}

void verdicts_stat(const struct verdicts *t, uint64_t *entries, uint64_t *bytes)
{
	uint64_t sum = 0;
	for (const struct verdicts_chunk *c = atomic_load_explicit(&t->chunks, memory_order_acquire); c; c = c->next) {
		uint32_t used = atomic_load_explicit(&c->used, memory_order_acquire);
		for (uint32_t i = 0; i < used; i++)
			sum += atomic_load_explicit(&c->group[i].count, memory_order_relaxed);
	}
	*entries = sum;
	*bytes = atomic_load_explicit(&t->bytes, memory_order_relaxed);
}

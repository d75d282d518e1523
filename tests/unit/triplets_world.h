/*
 * triplets_world.h - what the tests of the triplet store share: a folder that goes away, random numbers that can be repeated, and a
 * naive model of the store: of each triplet of a small world the hours in which it was seen.
 */
#ifndef CEIR_TRIPLETS_WORLD_H
#define CEIR_TRIPLETS_WORLD_H

#include "triplets/triplets.h"

#define WORLD_TRIPLETS 4096u
#define WORLD_HOURS 2400u             /* a hundred days */
#define WORLD_GAP_DAYS 2u
#define WORLD_BEGIN_S 1700000000u
#define WORLD_DAY_S 86400u

struct known {
	struct sighting id;               /* keys */
	uint8_t op;
	bool seen;
	uint64_t hours[(WORLD_HOURS + 63) / 64];
	uint8_t event, rat;               /* of the last sighting */
	char cell[TRIPLET_CELL_MAX + 1];
};

struct world {
	uint64_t seed;
	struct known v[WORLD_TRIPLETS];   /* in the order of the store */
	struct {
		bool known;
		uint32_t min_s, max_s;
	} full[4];
};

/* Seed from the environment (CEIR_SEED) or the clock; printed, so that a run can be repeated. */
uint64_t world_seed(void);
uint64_t world_random(uint64_t *seed);
struct world *world_new(uint64_t seed);
/* A sighting of triplet n at an hour. */
struct sighting world_sighting(const struct world *w, unsigned n, unsigned hour, uint8_t event, uint8_t rat);
void world_see(struct world *w, unsigned n, unsigned hour, uint8_t event, uint8_t rat, struct str cell);
/* What the store must know of a triplet. episodes has room for WORLD_HOURS. false: nothing. */
bool world_expect(const struct known *k, struct triplet *t, struct triplet_episode *episodes);
bool triplets_equal(const struct triplet *a, const struct triplet *b);
/* Prints both when they differ. */
void world_same(const struct triplet *is, const struct triplet *must);

/* A fresh folder under TMPDIR; the returned text is the caller's. */
char *world_folder(void);
void world_remove(char *folder); /* with all files, and the text */
struct triplets_settings world_settings(const char *dir, uint64_t memory_bytes);
/* Stores that are opened from now on count as quiet after so long: see triplets_merge.c. */
void world_quiet_us(int64_t us);
/* triplets_verify() has nothing to say. */
void world_verify(const char *dir);

#endif

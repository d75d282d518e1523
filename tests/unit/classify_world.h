/*
 * classify_world.h - a small country for the tests of src/classify: devices, triplets, a verdict table, policies, and a naive
 * classification.
 */
#ifndef CLASSIFY_WORLD_H
#define CLASSIFY_WORLD_H

#include "classify/classify.h"

#define WORLD_DEVICES 3000u
#define WORLD_CHANGES (2 * WORLD_DEVICES)
#define WORLD_DAY 20000 /* the first day */

/* What a register would know of one IMEI, kept the naive way. */
struct world_device {
	uint64_t imei;
	bool has_record;
	struct policy_class record;
	struct verdict entry;
	bool registered;       /* with a row */
	uint8_t black_reason;  /* a listing, with a row */
};

struct world {
	char dir[64], records[80];
	struct triplets *store;
	struct verdicts *verdicts;
	struct policy *policies[2];
	struct policy_tables tables; /* without the questions about other IMEIs */
	struct classify *c;
	struct world_device device[WORLD_DEVICES]; /* ascending */
	int32_t day, file_day;       /* today; when the file was made */
	int64_t file_policy;         /* 0: there is no file */
	unsigned files;
	char name[32];
	/* The change log since the file was made. */
	struct classify_change *log;
	size_t n_log;
	uint64_t random;
};

uint32_t world_random(struct world *w, uint32_t below);
void world_new(struct world *w, uint64_t seed);
void world_free(struct world *w);
struct world_device *world_find(struct world *w, uint64_t imei); /* NULL: none */
bool world_watched(void *ctx, uint64_t imei);
/* n sightings of today of random devices, into the store; *imeis (room for n), ascending, each once. Returns how many. */
size_t world_see(struct world *w, size_t n, uint64_t *imeis);
/* The register writes a row: a registration or a listing. */
void world_register(struct world *w, struct world_device *d);

/* An environment of today: take, use, give back. */
struct world_env {
	struct classify_env env;
	struct policy_tables tables;
	struct triplets_view *own, *others;
	struct classify_over *over;
	struct policy_gather *gather; /* of the naive classification; it is large */
};
void world_env_new(struct world *w, const struct policy *p, bool prepared, struct world_env *out);
void world_env_free(struct world_env *e);

/*
 * The naive classification of one device: what should be reported of it. false: nothing. run: as of a run, else as of a touch.
 * Does not change the device.
 */
bool world_expect(struct world *w, struct world_env *e, const struct world_device *d, bool run, struct classify_change *out);
/* What the door does with a change: the register, the verdict table, the log; and classify_note() when `note`. */
void world_apply(struct world *w, const struct policy *p, const struct classify_change *change, bool note);
/* A crash and a new start: the file of records of before, and the log read again. */
void world_restart(struct world *w);
/* Everything that is known is what it should be. */
void world_check(struct world *w);
bool world_same_record(const struct policy_class *a, const struct policy_class *b);

#endif

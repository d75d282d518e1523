/* triplets_world.c - see the header. */
#include "triplets/triplets_internal.h"
#include "triplets_world.h"

#include <dirent.h>
#include <setjmp.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define IMEIS 150u
#define IMSIS 120u
#define MSISDNS 100u

uint64_t world_seed(void)
{
	const char *text = getenv("CEIR_SEED");
	uint64_t seed = text ? strtoull(text, NULL, 10) : (uint64_t)clock_real_us();

	printf("CEIR_SEED=%llu\n", (unsigned long long)seed);
	return seed;
}

uint64_t world_random(uint64_t *seed)
{
	uint64_t x = *seed += UINT64_C(0x9e3779b97f4a7c15);

	x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
	return x ^ x >> 31;
}

static int known_cmp(const void *a, const void *b)
{
	const struct known *x = a, *y = b;

	if (x->id.imei != y->id.imei)
		return x->id.imei < y->id.imei ? -1 : 1;
	if (x->id.imsi != y->id.imsi)
		return x->id.imsi < y->id.imsi ? -1 : 1;
	if (x->id.msisdn != y->id.msisdn)
		return x->id.msisdn < y->id.msisdn ? -1 : 1;
	return x->op < y->op ? -1 : x->op > y->op;
}

static void make_known(struct known *k, uint64_t *seed)
{
	uint64_t r = world_random(seed), imei = r % IMEIS * (r % IMEIS) * 37 % IMEIS, msisdn = r >> 24 & 0xff;

	k->id.imei = 35000000000000u + imei * 1000003u;
	if (imei % 20 == 19)
		k->id.imei = triplet_malformed_key(imei % 40 == 19 ? STR("12345") : STR("A0000012345678"));
	k->id.imsi = triplet_imsi_key((struct imsi){(r >> 8) % IMSIS + 255010000000000u, 15});
	k->id.msisdn = msisdn % 10 == 0 ? 0 : triplet_msisdn_key((struct msisdn){msisdn % MSISDNS + 380500000000u, 12});
	k->op = (uint8_t)(1 + (r >> 40) % 3);
}

struct world *world_new(uint64_t seed)
{
	struct world *w = calloc(1, sizeof(*w));
	unsigned n = 0;

	assert_non_null(w);
	w->seed = seed;
	while (n < WORLD_TRIPLETS) {
		for (unsigned i = n; i < WORLD_TRIPLETS; i++)
			make_known(&w->v[i], &w->seed);
		qsort(w->v, WORLD_TRIPLETS, sizeof(*w->v), known_cmp);
		n = 1;
		for (unsigned i = 1; i < WORLD_TRIPLETS; i++)
			if (known_cmp(&w->v[n - 1], &w->v[i]) != 0)
				w->v[n++] = w->v[i];
	}
	return w;
}

struct sighting world_sighting(const struct world *w, unsigned n, unsigned hour, uint8_t event, uint8_t rat)
{
	struct sighting s = w->v[n].id;

	s.at_s = WORLD_BEGIN_S + hour * 3600;
	s.event = event;
	s.rat = rat;
	return s;
}

static int last_hour(const struct known *k)
{
	for (int i = (int)CEIR_COUNT(k->hours) - 1; i >= 0; i--)
		if (k->hours[i])
			return i * 64 + 63 - __builtin_clzll(k->hours[i]);
	return -1;
}

void world_see(struct world *w, unsigned n, unsigned hour, uint8_t event, uint8_t rat, struct str cell)
{
	struct known *k = &w->v[n];
	int last = last_hour(k), mark = event | rat << 8, old = k->event | k->rat << 8;
	struct str had = str_of(k->cell);

	k->seen = true;
	k->hours[hour / 64] |= UINT64_C(1) << hour % 64;
	if ((int)hour < last || ((int)hour == last && (mark < old || (mark == old && str_cmp(cell, had) <= 0))))
		return;
	k->event = event;
	k->rat = rat;
	memset(k->cell, 0, sizeof(k->cell));
	if (cell.n)
		memcpy(k->cell, cell.p, cell.n);
}

bool world_expect(const struct known *k, struct triplet *t, struct triplet_episode *episodes)
{
	size_t n = 0;

	if (!k->seen)
		return false;
	for (unsigned h = 0; h < WORLD_HOURS; h++) {
		uint32_t at_s = WORLD_BEGIN_S + h * 3600;
		if (k->hours[h / 64] == 0)
			h |= 63; /* none of these 64 */
		if (!(k->hours[h / 64] >> h % 64 & 1))
			continue;
		if (n && at_s - episodes[n - 1].to_s <= WORLD_GAP_DAYS * WORLD_DAY_S)
			episodes[n - 1].to_s = at_s;
		else
			episodes[n++] = (struct triplet_episode){at_s, at_s};
	}
	*t = (struct triplet){.imei = k->id.imei, .imsi = k->id.imsi, .msisdn = k->id.msisdn, .op = k->op, .first_s = episodes[0].from_s,
		.last_s = episodes[n - 1].to_s, .episode_s = episodes[n - 1].from_s, .event = k->event, .rat = k->rat,
		.n_episodes = (uint16_t)(n - 1), .episodes = episodes, .cell = str_of(k->cell)};
	return true;
}

bool triplets_equal(const struct triplet *a, const struct triplet *b)
{
	return a->imei == b->imei && a->imsi == b->imsi && a->msisdn == b->msisdn && a->op == b->op && a->first_s == b->first_s &&
	       a->last_s == b->last_s && a->episode_s == b->episode_s && a->event == b->event && a->rat == b->rat && str_eq(a->cell, b->cell) &&
	       a->n_episodes == b->n_episodes &&
	       (a->n_episodes == 0 || memcmp(a->episodes, b->episodes, a->n_episodes * sizeof(*a->episodes)) == 0);
}

static void print_triplet(const char *what, const struct triplet *t)
{
	fprintf(stderr, "%s: %llu %llu %llu %u first %u last %u episode %u n %u event %u rat %u cell %.*s\n", what, (unsigned long long)t->imei,
		(unsigned long long)t->imsi, (unsigned long long)t->msisdn, t->op, t->first_s, t->last_s, t->episode_s, t->n_episodes, t->event,
		t->rat, (int)t->cell.n, t->cell.p);
	for (unsigned i = 0; i < t->n_episodes; i++)
		fprintf(stderr, "   %u..%u\n", t->episodes[i].from_s, t->episodes[i].to_s);
}

void world_same(const struct triplet *is, const struct triplet *must)
{
	if (triplets_equal(is, must))
		return;
	print_triplet("is  ", is);
	print_triplet("must", must);
	fail();
}

/* ---- folders ----------------------------------------------------------------------------------------------------- */

char *world_folder(void)
{
	const char *tmp = getenv("TMPDIR");
	size_t size = strlen(tmp ? tmp : "/tmp") + sizeof("/triplets-XXXXXX");
	char *path = malloc(size);

	assert_non_null(path);
	(void)snprintf(path, size, "%s/triplets-XXXXXX", tmp ? tmp : "/tmp");
	assert_non_null(mkdtemp(path));
	return path;
}

void world_remove(char *folder)
{
	DIR *d = opendir(folder);
	struct dirent *e;

	while (d && (e = readdir(d)) != NULL)
		(void)unlinkat(dirfd(d), e->d_name, 0);
	if (d)
		(void)closedir(d);
	(void)rmdir(folder);
	free(folder);
}

struct triplets_settings world_settings(const char *dir, uint64_t memory_bytes)
{
	return (struct triplets_settings){.dir = dir, .gap_days = WORLD_GAP_DAYS, .memory_bytes = memory_bytes, .threads = 2};
}

void world_quiet_us(int64_t us)
{
	triplets_quiet.us = us;
}

static void print_line(void *ctx, const char *line)
{
	(void)ctx;
	fprintf(stderr, "verify: %s\n", line);
}

void world_verify(const char *dir)
{
	assert_int_equal(triplets_verify(dir, print_line, NULL), CEIR_OK);
}

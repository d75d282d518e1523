/*
 * Damage: bytes flipped, files cut off and deleted, one file after another. It is found and the file is named - by
 * triplets_open(), by triplets_verify() or by the look-up that meets it -, nothing crashes, and what is not damaged is served.
 * And a full disk: what could not be written leaves everything as it was.
 */
#include <dirent.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "triplets_world.h"

#define ROWS 3000u
#define MEMORY_BYTES (64u << 20)
#define FILES_MAX 40u

struct triplets_fixture {
	uint64_t seed;
	char *good, *bad; /* folders */
	unsigned served;  /* damaged stores that could be opened */
};

static struct sighting row_of(unsigned i)
{
	return (struct sighting){.imei = 35000000000000u + i * 7919u, .imsi = triplet_imsi_key((struct imsi){255010000000000u + i * 31u, 15}),
		.msisdn = triplet_msisdn_key((struct msisdn){380500000000u + i * 17u, 12}), .at_s = WORLD_BEGIN_S + i};
}

static uint64_t stage(struct triplets *t, unsigned from, unsigned to)
{
	struct triplets_intake *in;
	uint64_t id;

	assert_int_equal(triplets_intake_new(t, 1, &in), CEIR_OK);
	for (unsigned i = from; i < to; i++) {
		struct sighting s = row_of(i);
		assert_int_equal(triplets_intake_add(in, &s, NULL, 1), CEIR_OK);
	}
	assert_int_equal(triplets_intake_stage(in, &id), CEIR_OK);
	return id;
}

static void sight(struct triplets *t, unsigned from, unsigned to, uint64_t batch)
{
	struct sighting s[ROWS];

	for (unsigned i = from; i < to; i++)
		s[i - from] = row_of(i);
	assert_int_equal(triplets_sight(t, 1, batch, s, NULL, to - from, NULL, NULL), CEIR_OK);
}

static struct triplets *open_store(const char *dir)
{
	struct triplets_settings s = world_settings(dir, MEMORY_BYTES);
	struct triplets *t;

	assert_int_equal(triplets_open(&s, &t), CEIR_OK);
	return t;
}

/* A store with every kind of file. Rows 0..2999 can be looked up; 3000..3099 are staged. */
static void build(const char *dir)
{
	struct triplets *t = open_store(dir);
	struct triplets_counts c;

	assert_int_equal(triplets_apply(t, stage(t, 0, 2000), true, NULL, NULL, &c), CEIR_OK);
	assert_int_equal(c.fresh, 2000);
	sight(t, 2000, 2500, 1);
	assert_int_equal(triplets_compact(t), CEIR_OK);
	for (unsigned i = 0; i < 5; i++)
		sight(t, 2500 + i * 100, 2600 + i * 100, 2 + i);
	(void)stage(t, 3000, 3100);
	triplets_close(t);
	world_verify(dir);
}

/* ---- files ------------------------------------------------------------------------------------------------------- */

static void path_of(const char *dir, const char *name, char out[4096])
{
	(void)snprintf(out, 4096, "%s/%s", dir, name);
}

static void copy_all(const char *from, const char *to)
{
	DIR *d = opendir(to);
	struct dirent *e;
	char path[4096];

	assert_non_null(d);
	while ((e = readdir(d)) != NULL)
		(void)unlinkat(dirfd(d), e->d_name, 0);
	(void)closedir(d);
	d = opendir(from);
	assert_non_null(d);
	while ((e = readdir(d)) != NULL) {
		struct buf b = BUF_INIT(0);
		if (e->d_name[0] == '.')
			continue;
		path_of(from, e->d_name, path);
		assert_int_equal(file_read(path, SIZE_MAX, &b), CEIR_OK);
		path_of(to, e->d_name, path);
		int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
		assert_true(fd >= 0);
		assert_int_equal(fd_write_all(fd, b.p, b.n), CEIR_OK);
		(void)close(fd);
		buf_free(&b);
	}
	(void)closedir(d);
}

enum damage { FLIP, CUT, EMPTY, DELETE, DAMAGES };

static void damage(const char *dir, const char *name, enum damage what, uint64_t *seed)
{
	char path[4096];
	struct stat st;
	unsigned char c;

	path_of(dir, name, path);
	assert_int_equal(stat(path, &st), 0);
	if (what == DELETE) {
		assert_int_equal(unlink(path), 0);
		return;
	}
	if (what == CUT || what == EMPTY) {
		assert_int_equal(truncate(path, what == EMPTY ? 0 : (off_t)(world_random(seed) % (uint64_t)st.st_size)), 0);
		return;
	}
	/* In the last record of a journal a flipped bit looks like one that a crash left half written; so not there. */
	off_t end = strstr(name, ".journal") ? st.st_size * 3 / 4 : st.st_size;
	off_t at = (off_t)(world_random(seed) % (uint64_t)end);
	int fd = open(path, O_RDWR);
	assert_true(fd >= 0);
	assert_int_equal(pread(fd, &c, 1, at), 1);
	c ^= (unsigned char)(1u << world_random(seed) % 8);
	assert_int_equal(pwrite(fd, &c, 1, at), 1);
	(void)close(fd);
}

/* ---- what is said about it --------------------------------------------------------------------------------------- */

struct heard {
	const char *name;
	bool named;
};

static void hear(void *ctx, const char *line)
{
	struct heard *h = ctx;

	h->named = h->named || strstr(line, h->name);
}

static enum ceir_err count_row(void *ctx, const struct triplet *t)
{
	unsigned *n = ctx;

	assert_int_equal(t->first_s, t->last_s);
	++*n;
	return CEIR_OK;
}

/* Looks everything up; nothing may be wrong, some may be missing where the look-up says so. Returns how many are right. */
static unsigned look_up_all(struct triplets *t, unsigned *errors)
{
	struct triplets_view *v = triplets_view_new(t);
	unsigned right = 0;

	assert_non_null(v);
	for (unsigned i = 0; i < ROWS; i++) {
		struct sighting s = row_of(i);
		unsigned n[3] = {0};
		enum ceir_err err[3] = {triplets_by_imei(v, s.imei, NULL, 0, count_row, &n[0]), triplets_by_imsi(v, s.imsi, 0, count_row, &n[1]),
			triplets_by_msisdn(v, s.msisdn, 0, count_row, &n[2])};
		for (unsigned k = 0; k < 3; k++) {
			assert_true(err[k] == CEIR_OK || err[k] == CEIR_ECORRUPT);
			assert_true(n[k] <= 1);
			*errors += err[k] != CEIR_OK;
			right += n[k];
		}
	}
	triplets_view_free(v);
	return right;
}

static bool text_has(FILE *log, const char *name)
{
	char line[4096];
	bool has = false;

	rewind(log);
	while (fgets(line, sizeof(line), log))
		has = has || strstr(line, name);
	return has;
}

static void check_damaged(struct triplets_fixture *f, const char *name, enum damage what)
{
	struct triplets_settings s = world_settings(f->bad, MEMORY_BYTES);
	struct heard h = {.name = name};
	struct triplets *t = NULL;
	unsigned errors = 0;
	FILE *log = tmpfile();

	assert_non_null(log);
	log_setup(log, false, LOG_DEBUG_);
	enum ceir_err found = triplets_verify(f->bad, hear, &h);
	assert_true(found == CEIR_OK || found == CEIR_ECORRUPT);
	assert_true(found == CEIR_OK || h.named);
	enum ceir_err err = triplets_open(&s, &t);
	assert_true(err == CEIR_OK || err == CEIR_ECORRUPT);
	if (err == CEIR_OK) {
		unsigned right = look_up_all(t, &errors);
		f->served++;
		/* A flipped byte costs one block, or one batch. */
		if (what == FLIP)
			assert_true(right >= 3 * (ROWS - 256));
		if (right < 3 * ROWS && !strstr(name, ".journal"))
			assert_true(errors > 0);
		triplets_close(t);
	}
	bool said = h.named || text_has(log, name);
	/* A journal that ends behind a whole record is a good one. */
	if (!said && !(strstr(name, ".journal") && what == CUT)) {
		fprintf(stderr, "nobody named %s, damage %d\n", name, what);
		fail();
	}
	log_setup(stderr, false, LOG_WARN_);
	(void)fclose(log);
}

static void test_damage(void **state)
{
	struct triplets_fixture *f = *state;
	char names[FILES_MAX][64];
	unsigned n = 0, kinds[4] = {0};
	DIR *d = opendir(f->good);
	struct dirent *e;

	assert_non_null(d);
	while ((e = readdir(d)) != NULL && n < FILES_MAX)
		if (e->d_name[0] != '.' && strcmp(e->d_name, "LOCK") != 0)
			(void)snprintf(names[n++], sizeof(names[0]), "%.63s", e->d_name);
	(void)closedir(d);
	for (unsigned i = 0; i < n; i++) {
		static const char *const suffixes[] = {".seg", ".journal", ".batches", "MANIFEST"};
		for (unsigned k = 0; k < 4; k++)
			kinds[k] += strstr(names[i], suffixes[k]) != NULL;
		for (unsigned what = 0; what < DAMAGES; what++)
			for (unsigned times = 0; times < (what <= CUT ? 6 : 1); times++) {
				copy_all(f->good, f->bad);
				damage(f->bad, names[i], (enum damage)what, &f->seed);
				check_damaged(f, names[i], (enum damage)what);
			}
	}
	printf("%u files, %u damaged stores served\n", n, f->served);
	assert_true(f->served >= 4 * 3); /* most flipped bytes are in blocks, which costs a store no more than that block */
	assert_int_equal(kinds[0], 4);
	assert_int_equal(kinds[1], 1);
	assert_int_equal(kinds[2], 1);
	assert_int_equal(kinds[3], 1);
}

/* Files of a crash go at open; strangers stay. */
static void test_leftovers(void **state)
{
	struct triplets_fixture *f = *state;
	char path[4096];
	static const char *const strays[] = {"0000000900.seg", "0000000901.journal", "0000000902.batches", "MANIFEST.tmp", "0000000903.tmp"};

	copy_all(f->good, f->bad);
	for (unsigned i = 0; i < CEIR_COUNT(strays); i++) {
		path_of(f->bad, strays[i], path);
		assert_int_equal(file_write(path, STR("left by a crash"), 0600), CEIR_OK);
	}
	path_of(f->bad, "somebody's notes", path);
	assert_int_equal(file_write(path, STR("not ours"), 0600), CEIR_OK);
	struct triplets *t = open_store(f->bad);
	for (unsigned i = 0; i < CEIR_COUNT(strays); i++) {
		path_of(f->bad, strays[i], path);
		assert_int_not_equal(access(path, F_OK), 0);
	}
	path_of(f->bad, "somebody's notes", path);
	assert_int_equal(access(path, F_OK), 0);
	uint64_t id = stage(t, 0, 10);
	assert_int_equal(triplets_discard(t, id), CEIR_OK);
	triplets_close(t);
	world_verify(f->bad);
}

static void test_second_process_is_refused(void **state)
{
	struct triplets_fixture *f = *state;
	struct triplets_settings s = world_settings(f->good, MEMORY_BYTES);
	struct triplets *t = open_store(f->good), *other;

	log_setup(stderr, false, LOG_ERROR_);
	assert_int_equal(triplets_open(&s, &other), CEIR_ESTATE);
	triplets_close(t);
}

/* No file may grow beyond a few kilobytes: what is larger fails as on a full disk. */
static void limit_files(rlim_t bytes)
{
	struct rlimit r;

	assert_int_equal(getrlimit(RLIMIT_FSIZE, &r), 0);
	r.rlim_cur = bytes;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &r), 0);
}

static void test_full_disk(void **state)
{
	struct triplets_fixture *f = *state;
	struct triplets_intake *in;
	struct triplets_counts c;
	struct sighting s[ROWS];
	unsigned errors = 0;
	uint64_t ids[4], id;

	copy_all(f->good, f->bad);
	struct triplets *t = open_store(f->bad);
	(void)signal(SIGXFSZ, SIG_IGN);
	for (unsigned i = 0; i < ROWS; i++)
		s[i] = row_of(10000 + i);
	id = stage(t, 10000, 13000);
	limit_files(2048);
	assert_int_equal(triplets_intake_new(t, 2, &in), CEIR_OK);
	assert_int_equal(triplets_intake_add(in, s, NULL, ROWS), CEIR_OK);
	assert_int_not_equal(triplets_intake_stage(in, &ids[0]), CEIR_OK);
	assert_int_not_equal(triplets_apply(t, id, false, NULL, NULL, &c), CEIR_OK);
	assert_int_not_equal(triplets_sight(t, 1, 77, s, NULL, ROWS, NULL, NULL), CEIR_OK);
	assert_int_not_equal(triplets_compact(t), CEIR_OK);
	assert_int_equal(triplets_staged(t, ids, 4), 2);
	assert_int_equal(look_up_all(t, &errors), 3 * ROWS);
	assert_int_equal(errors, 0);
	limit_files(RLIM_INFINITY);
	world_verify(f->bad);
	assert_int_equal(triplets_sight(t, 1, 77, s, NULL, ROWS, NULL, NULL), CEIR_OK);
	assert_int_equal(triplets_apply(t, id, false, NULL, NULL, &c), CEIR_OK);
	assert_int_equal(c.again, ROWS);
	assert_int_equal(triplets_compact(t), CEIR_OK);
	triplets_close(t);
	world_verify(f->bad);
	t = open_store(f->bad); /* and no file is left over that open would have to remove: nothing to see, but it must not fail */
	assert_int_equal(triplets_sight(t, 1, 77, s, NULL, ROWS, NULL, NULL), CEIR_EEXIST);
	assert_int_equal(look_up_all(t, &errors), 3 * ROWS);
	triplets_close(t);
}

static int setup(void **state)
{
	static struct triplets_fixture f;

	f.seed = world_seed();
	f.good = world_folder();
	f.bad = world_folder();
	build(f.good);
	*state = &f;
	return 0;
}

static int teardown(void **state)
{
	struct triplets_fixture *f = *state;

	world_remove(f->good);
	world_remove(f->bad);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_damage), cmocka_unit_test(test_leftovers),
		cmocka_unit_test(test_second_process_is_refused), cmocka_unit_test(test_full_disk)};

	log_setup(stderr, false, LOG_WARN_);
	return cmocka_run_group_tests(tests, setup, teardown);
}

/* triplets_open.c - opening and closing: MANIFEST read, its files opened, leftovers removed, journals replayed, threads started. */
#include "triplets/triplets_internal.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define DAY_S 86400u
#define ROW_BYTES 104u       /* of memory for a sighting: the row, its pairs, the filter */
#define MEMORY_ROWS_MIN 256u
#define INTAKE_BYTES_MIN ((uint64_t)96 << 10)
#define NAME_DIGITS 10

uint32_t triplets_forget_before_s(const struct triplets *t)
{
	uint64_t now_s = (uint64_t)(clock_real_us() / 1000000), keep_s = (uint64_t)t->settings.keep_episode_days * DAY_S;

	return keep_s && keep_s < now_s ? (uint32_t)(now_s - keep_s) : 0;
}

/* ---- the folder -------------------------------------------------------------------------------------------------- */

static enum ceir_err lock_folder(struct triplets *t)
{
	char path[TRIPLETS_PATH_MAX];

	if (mkdir(t->dir, 0700) != 0 && errno != EEXIST)
		return ceir_err_of_errno(errno);
	folder_path(t->dir, "LOCK", path);
	t->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (t->lock_fd < 0)
		return ceir_err_of_errno(errno);
	if (flock(t->lock_fd, LOCK_EX | LOCK_NB) == 0)
		return CEIR_OK;
	log_error(ROOM, "%s is open in another process", t->dir);
	return CEIR_ESTATE;
}

enum file_kind { FILE_OTHER, FILE_SEGMENT, FILE_JOURNAL, FILE_BATCHES, FILE_LEFTOVER };

/* What a file of the folder is by its name. */
static enum file_kind file_kind(const char *name, uint64_t *file)
{
	static const struct {
		const char *suffix;
		enum file_kind kind;
	} kinds[] = {{".seg", FILE_SEGMENT}, {".journal", FILE_JOURNAL}, {".batches", FILE_BATCHES}, {".tmp", FILE_LEFTOVER},
		{".batches.tmp", FILE_LEFTOVER}};

	*file = 0;
	if (strcmp(name, "MANIFEST.tmp") == 0)
		return FILE_LEFTOVER;
	if (strlen(name) < NAME_DIGITS || str_u64((struct str){name, NAME_DIGITS}, UINT64_MAX, file) != CEIR_OK)
		return FILE_OTHER;
	for (size_t i = 0; i < CEIR_COUNT(kinds); i++)
		if (strcmp(name + NAME_DIGITS, kinds[i].suffix) == 0)
			return kinds[i].kind;
	return FILE_OTHER;
}

static bool is_named(const struct manifest *m, enum file_kind kind, uint64_t file)
{
	if (kind == FILE_BATCHES)
		return m->batches == file;
	for (size_t i = 0; kind == FILE_JOURNAL && i < m->n_journals; i++)
		if (m->journals[i] == file)
			return true;
	for (size_t i = 0; kind == FILE_SEGMENT && i < m->n_segments; i++)
		if (m->segments[i].file == file)
			return true;
	for (size_t i = 0; kind == FILE_SEGMENT && i < m->n_staged; i++)
		for (size_t k = 0; k < m->staged[i].n_files; k++)
			if (m->staged[i].files[k] == file)
				return true;
	return false;
}

/*
 * Removes what MANIFEST does not name; and sees to it that no number in use is given again. *strangers: files of a store that
 * are there, whether named or not.
 */
static enum ceir_err tidy_folder(struct triplets *t, bool remove, size_t *strangers)
{
	DIR *d = opendir(t->dir);
	struct dirent *e;
	uint64_t next = t->manifest.next_file;

	*strangers = 0;
	if (!d)
		return ceir_err_of_errno(errno);
	while ((e = readdir(d)) != NULL) {
		uint64_t file;
		enum file_kind kind = file_kind(e->d_name, &file);
		if (kind == FILE_OTHER)
			continue;
		*strangers += kind != FILE_LEFTOVER;
		next = file >= next ? file + 1 : next;
		if (remove && !is_named(&t->manifest, kind, file) && unlinkat(dirfd(d), e->d_name, 0) != 0)
			log_warn(ROOM, "%s/%s: a leftover that cannot be removed: %s", t->dir, e->d_name, ceir_err_text(ceir_err_of_errno(errno)));
	}
	(void)closedir(d);
	atomic_store_explicit(&t->next_file, next, memory_order_relaxed);
	return CEIR_OK;
}

/* ---- MANIFEST ---------------------------------------------------------------------------------------------------- */

/* A new store gets its MANIFEST before any other file: files without one are a store that has lost it. */
static enum ceir_err begin_manifest(struct triplets *t)
{
	size_t strangers;

	t->manifest = (struct manifest){.next_file = 1, .next_delivery = 1};
	enum ceir_err err = tidy_folder(t, false, &strangers);
	if (err)
		return err;
	if (strangers) {
		log_error(ROOM, "%s/MANIFEST: missing, and there are %zu files of a store", t->dir, strangers);
		return CEIR_ECORRUPT;
	}
	return triplets_switch(t, &(struct change){0});
}

static enum ceir_err read_manifest(struct triplets *t)
{
	char path[TRIPLETS_PATH_MAX];
	struct buf b = BUF_INIT(MANIFEST_MAX);
	const char *why;
	size_t line;

	folder_path(t->dir, "MANIFEST", path);
	enum ceir_err err = file_read(path, MANIFEST_MAX, &b);
	if (err == CEIR_ENOENT)
		return begin_manifest(t);
	if (!err) {
		err = manifest_parse(buf_view(&b), &t->manifest, &why, &line);
		if (err)
			log_error(ROOM, "%s: line %zu: %s", path, line, why);
	}
	buf_free(&b);
	return err;
}

/* Opens a segment that MANIFEST names; whatever is wrong with it makes the store damaged. */
static enum ceir_err open_named(struct triplets *t, unsigned tree, uint64_t file, uint64_t group, struct part **p)
{
	char path[TRIPLETS_PATH_MAX];
	enum ceir_err err = part_open(t->dir, tree, file, group, p);

	if (err == CEIR_ENOENT) {
		file_path(t->dir, file, "seg", path);
		log_error(ROOM, "%s: missing, MANIFEST names it", path);
		err = CEIR_ECORRUPT;
	}
	return err;
}

static enum ceir_err open_segments(struct triplets *t)
{
	enum ceir_err err = CEIR_OK;

	for (size_t i = 0; i < t->manifest.n_segments && !err; i++) {
		const struct manifest_segment *s = &t->manifest.segments[i];
		struct part *p = NULL;
		err = open_named(t, s->tree, s->file, s->group, &p);
		if (!err && (p->info.rows != s->rows || p->info.bytes != s->bytes)) {
			log_error(ROOM, "%s: not the file that MANIFEST names: %" PRIu64 " rows, %" PRIu64 " bytes", p->path, p->info.rows, p->info.bytes);
			err = CEIR_ECORRUPT;
		}
		if (!err)
			err = parts_add(&t->version->trees[s->tree], part_ref(p));
		part_unref(p);
	}
	for (size_t i = 0; i < t->manifest.n_staged && !err; i++)
		for (size_t k = 0; k < t->manifest.staged[i].n_files && !err; k++) {
			struct part *p = NULL;
			err = open_named(t, TREE_TRIPLETS, t->manifest.staged[i].files[k], 0, &p);
			part_unref(p);
		}
	return err;
}

/* ---- the whole --------------------------------------------------------------------------------------------------- */

static void init_locks(struct triplets *t)
{
	pthread_mutex_init(&t->apply_lock, NULL);
	for (unsigned tree = 0; tree < TREES; tree++)
		pthread_mutex_init(&t->merge_lock[tree], NULL);
	pthread_mutex_init(&t->manifest_lock, NULL);
	pthread_mutex_init(&t->lock, NULL);
	thread_cond_init(&t->flush_wanted);
	thread_cond_init(&t->flush_done);
	thread_cond_init(&t->merge_wanted);
	pthread_mutex_init(&t->sight_lock, NULL);
	thread_cond_init(&t->sight_done);
}

static void destroy_locks(struct triplets *t)
{
	pthread_mutex_destroy(&t->apply_lock);
	for (unsigned tree = 0; tree < TREES; tree++)
		pthread_mutex_destroy(&t->merge_lock[tree]);
	pthread_mutex_destroy(&t->manifest_lock);
	pthread_mutex_destroy(&t->lock);
	pthread_cond_destroy(&t->flush_wanted);
	pthread_cond_destroy(&t->flush_done);
	pthread_cond_destroy(&t->merge_wanted);
	pthread_mutex_destroy(&t->sight_lock);
	pthread_cond_destroy(&t->sight_done);
}

/* Half of the memory is for sorting, a quarter for each of the two generations of sightings. */
static void share_memory(struct triplets *t)
{
	uint64_t bytes = t->settings.memory_bytes;

	t->intake_bytes_max = bytes / 2 > INTAKE_BYTES_MIN ? bytes / 2 : INTAKE_BYTES_MIN;
	t->sorter_bytes = (size_t)(bytes / 2);
	t->memory_rows_max = (size_t)(bytes / 4 / ROW_BYTES);
	if (t->memory_rows_max < MEMORY_ROWS_MIN)
		t->memory_rows_max = MEMORY_ROWS_MIN;
}

static enum ceir_err make(const struct triplets_settings *s, struct triplets **out)
{
	struct triplets *t = calloc(1, sizeof(*t));

	if (!t)
		return CEIR_ENOMEM;
	(void)snprintf(t->dir, sizeof(t->dir), "%s", s->dir);
	t->settings = *s;
	t->settings.dir = t->dir;
	t->gap_s = s->gap_days * DAY_S;
	t->quiet = triplets_quiet;
	share_memory(t);
	t->lock_fd = t->journal_fd = -1;
	t->queue_end = &t->queue;
	t->generation = 1;
	t->version = calloc(1, sizeof(*t->version));
	t->batches = batches_new();
	init_locks(t);
	*out = t;
	if (!t->version || !t->batches)
		return CEIR_ENOMEM;
	atomic_init(&t->version->refs, 1);
	return CEIR_OK;
}

static enum ceir_err start_threads(struct triplets *t)
{
	enum ceir_err err = thread_start("ceir-flush", flusher_run, t, &t->flusher);

	t->has_flusher = !err;
	if (!err)
		err = thread_start("ceir-merge", merger_run, t, &t->merger);
	t->has_merger = !err;
	if (!err)
		triplets_wake_merger(t);
	return err;
}

enum ceir_err triplets_open(const struct triplets_settings *s, struct triplets **out)
{
	struct triplets *t = NULL;
	size_t strangers;

	if (!s->dir || strlen(s->dir) > TRIPLETS_PATH_MAX - 64 || s->gap_days < 1 || s->gap_days > 3650 || s->threads < 1 || s->threads > 16)
		return CEIR_ERANGE;
	enum ceir_err err = make(s, &t);
	if (!err)
		err = lock_folder(t);
	if (!err)
		err = read_manifest(t);
	if (!err)
		err = open_segments(t);
	if (!err)
		err = tidy_folder(t, true, &strangers);
	if (!err)
		err = triplets_replay(t);
	if (!err)
		err = start_threads(t);
	if (err) {
		triplets_close(t);
		return err;
	}
	*out = t;
	return CEIR_OK;
}

static void stop_threads(struct triplets *t)
{
	pthread_mutex_lock(&t->lock);
	t->stop = true;
	pthread_cond_broadcast(&t->flush_wanted);
	pthread_cond_broadcast(&t->merge_wanted);
	pthread_mutex_unlock(&t->lock);
	/* A merge that runs gives up: what it was to replace is all there. */
	for (unsigned tree = 0; tree < TREES; tree++)
		atomic_fetch_add_explicit(&t->cancel[tree], 1, memory_order_relaxed);
	if (t->has_flusher)
		(void)pthread_join(t->flusher, NULL);
	if (t->has_merger)
		(void)pthread_join(t->merger, NULL);
}

void triplets_close(struct triplets *t)
{
	if (!t)
		return;
	stop_threads(t);
	version_unref(t->version);
	manifest_clear(&t->manifest);
	batches_free(t->batches);
	buf_free(&t->frozen_batches);
	if (t->journal_fd >= 0)
		(void)close(t->journal_fd);
	if (t->lock_fd >= 0)
		(void)close(t->lock_fd);
	destroy_locks(t);
	free(t);
}

void triplets_get_stats(struct triplets *t, struct triplets_stats *out)
{
	struct version *v = triplets_version(t);

	*out = (struct triplets_stats){.sightings = atomic_load_explicit(&t->sightings, memory_order_relaxed),
		.merges = atomic_load_explicit(&t->merges, memory_order_relaxed), .staged = triplets_staged(t, NULL, 0)};
	for (unsigned tree = 0; tree < TREES; tree++) {
		out->segments[tree] = v->trees[tree].n;
		for (size_t i = 0; i < v->trees[tree].n; i++) {
			out->bytes += v->trees[tree].v[i]->info.bytes;
			out->triplets += tree == TREE_TRIPLETS ? v->trees[tree].v[i]->info.rows : 0;
		}
	}
	for (size_t i = 0; i < v->n_runs; i++) {
		out->memory_rows += v->runs[i]->n;
		out->memory_bytes += v->runs[i]->bytes;
	}
	out->triplets += out->memory_rows;
	pthread_mutex_lock(&t->lock);
	out->journal_bytes = t->journal_bytes;
	pthread_mutex_unlock(&t->lock);
	version_unref(v);
}

/* classify.c - the records of all IMEIs, of file and memory: open, get, note, switch. */
#include "classify/classify_internal.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static bool ends_in(const char *name, const char *end)
{
	size_t n = strlen(name), m = strlen(end);
	return n >= m && strcmp(name + n - m, end) == 0;
}

/* Files of runs that were not switched to, or that were replaced just before a crash. */
static enum ceir_err tidy_dir(const char *dir, const char *keep)
{
	DIR *d = opendir(dir);
	if (!d)
		return ceir_err_of_errno(errno);
	for (struct dirent *e; (e = readdir(d)) != NULL;)
		if (strcmp(e->d_name, keep) != 0 && (ends_in(e->d_name, ".seg") || ends_in(e->d_name, ".tmp")) &&
			unlinkat(dirfd(d), e->d_name, 0))
			log_warn("classify", "%s/%s: left over and cannot be removed: %s", dir, e->d_name, strerror(errno));
	closedir(d);
	return CEIR_OK;
}

static void lock_init(pthread_rwlock_t *lock)
{
	pthread_rwlockattr_t attr;
	pthread_rwlockattr_init(&attr);
	pthread_rwlockattr_setkind_np(&attr, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
	pthread_rwlock_init(lock, &attr);
	pthread_rwlockattr_destroy(&attr);
}

static enum ceir_err open_dir(const char *dir, const char *name, bool readonly, struct classify **out)
{
	struct classify *c = calloc(1, sizeof *c);
	if (!c)
		return CEIR_ENOMEM;
	enum ceir_err err = CEIR_ENOMEM;
	lock_init(&c->lock);
	c->dir = strdup(dir);
	c->live = class_map_new();
	if (!c->dir || !c->live)
		goto out;
	err = !readonly && mkdir(dir, 0700) && errno != EEXIST ? ceir_err_of_errno(errno) : CEIR_OK;
	if (!err && name[0])
		err = class_file_open(dir, name, &c->file);
	if (!err && !readonly)
		err = tidy_dir(dir, name);
out:
	if (err) {
		log_error("classify", "records in %s cannot be opened: %s", dir, ceir_err_text(err));
		classify_close(c);
	} else {
		*out = c;
	}
	return err;
}

enum ceir_err classify_open(const char *dir, const char *name, struct classify **out)
{
	return open_dir(dir, name, false, out);
}

enum ceir_err classify_open_readonly(const char *dir, const char *name, struct classify **out)
{
	return open_dir(dir, name, true, out);
}

void classify_close(struct classify *c)
{
	if (!c)
		return;
	CEIR_ASSERT(!c->running);
	class_file_unref(c->file);
	class_map_free(c->live);
	class_map_free(c->pending);
	class_list_free(&c->frozen);
	pthread_rwlock_destroy(&c->lock);
	free(c->dir);
	free(c);
}

static void read_lock(const struct classify *c)
{
	/* A look-up changes nothing that can be seen, so its classify is const; the lock itself is not. */
	pthread_rwlock_rdlock((pthread_rwlock_t *)&c->lock);
}

static void read_unlock(const struct classify *c)
{
	pthread_rwlock_unlock((pthread_rwlock_t *)&c->lock);
}

/* In memory, newest first; NULL: not there. Under the lock. */
static const struct policy_class *memory_find(const struct classify *c, uint64_t imei)
{
	const struct class_item *item = class_map_find(c->live, imei);
	if (!item)
		item = class_map_find(c->pending, imei);
	if (item)
		return &item->record;
	size_t at = class_list_seek(&c->frozen, imei);
	return at < c->frozen.n && c->frozen.items[at].imei == imei ? &c->frozen.items[at].record : NULL;
}

enum ceir_err class_get(const struct classify *c, uint64_t imei, struct policy_class *out)
{
	enum ceir_err err = CEIR_OK;
	struct class_file *file = NULL;
	read_lock(c);
	const struct policy_class *found = memory_find(c, imei);
	if (found) {
		*out = *found;
	} else {
		file = c->file;
		class_file_ref(file);
		err = CEIR_ENOENT;
	}
	read_unlock(c);
	if (file)
		err = class_file_get(file, imei, out); /* may have to wait for the disk: not under the lock */
	class_file_unref(file);
	return err;
}

bool classify_get(const struct classify *c, uint64_t imei, struct policy_class *out)
{
	return class_get(c, imei, out) == CEIR_OK; /* of a damaged block the segment itself logs file and place */
}

enum ceir_err classify_note(struct classify *c, uint64_t imei, const struct policy_class *record)
{
	if (imei == UINT64_MAX)
		return CEIR_EINVAL;
	pthread_rwlock_wrlock(&c->lock);
	enum ceir_err err = class_map_put(c->live, imei, record);
	pthread_rwlock_unlock(&c->lock);
	return err;
}

bool classify_is_newer(const struct classify *c, uint64_t imei)
{
	read_lock(c);
	bool newer = c->running && class_map_find(c->live, imei);
	read_unlock(c);
	return newer;
}

void classify_count(const struct classify *c, uint64_t *in_file, uint64_t *in_memory)
{
	read_lock(c);
	*in_file = c->file ? c->file->records : 0;
	*in_memory = class_map_count(c->live) + class_map_count(c->pending) + c->frozen.n;
	read_unlock(c);
}

/* ---- what a run sees ------------------------------------------------------------------------------------------------ */

/*
 * Makes frozen = pending over frozen, without holding up anybody: neither changes meanwhile. When memory is out pending stays,
 * and is looked at, until it works.
 */
static enum ceir_err settle_pending(struct classify *c)
{
	struct class_list sorted = {0}, merged = {0}, old;
	if (!c->pending)
		return CEIR_OK;
	enum ceir_err err = class_list_add_map(&sorted, c->pending, 0);
	if (!err)
		err = class_list_sort(&sorted);
	if (!err)
		err = class_list_merge(&sorted, &c->frozen, &merged);
	class_list_free(&sorted);
	if (err)
		return err;
	pthread_rwlock_wrlock(&c->lock);
	struct class_map *settled = c->pending;
	old = c->frozen;
	c->frozen = merged;
	c->pending = NULL;
	pthread_rwlock_unlock(&c->lock);
	class_map_free(settled);
	class_list_free(&old);
	return CEIR_OK;
}

enum ceir_err class_freeze(struct classify *c)
{
	pthread_rwlock_wrlock(&c->lock);
	bool busy = c->running;
	c->running = true;
	pthread_rwlock_unlock(&c->lock);
	if (busy)
		return CEIR_ESTATE;
	enum ceir_err err = settle_pending(c); /* left by one that had no memory */
	struct class_map *fresh = err ? NULL : class_map_new();
	if (fresh) {
		pthread_rwlock_wrlock(&c->lock);
		c->pending = c->live;
		c->live = fresh;
		pthread_rwlock_unlock(&c->lock);
		err = settle_pending(c);
	} else if (!err) {
		err = CEIR_ENOMEM;
	}
	if (err)
		class_thaw(c);
	return err;
}

void class_thaw(struct classify *c)
{
	pthread_rwlock_wrlock(&c->lock);
	c->running = false;
	pthread_rwlock_unlock(&c->lock);
}

/* ---- going through all ---------------------------------------------------------------------------------------------- */

/* The file and a sorted copy of what memory has, as of one moment. */
static enum ceir_err snapshot(const struct classify *c, uint64_t from, struct class_file **file, struct class_list *memory)
{
	struct class_list live = {0}, pending = {0}, both = {0}, frozen;
	read_lock(c);
	size_t at = class_list_seek(&c->frozen, from);
	frozen = (struct class_list){malloc((c->frozen.n - at) * sizeof *frozen.items + 1), c->frozen.n - at};
	enum ceir_err err = frozen.items ? CEIR_OK : CEIR_ENOMEM;
	if (!err && frozen.n)
		memcpy(frozen.items, c->frozen.items + at, frozen.n * sizeof *frozen.items);
	if (!err)
		err = class_list_add_map(&live, c->live, from);
	if (!err)
		err = class_list_add_map(&pending, c->pending, from);
	*file = c->file;
	class_file_ref(*file);
	read_unlock(c);
	if (!err)
		err = class_list_sort(&live);
	if (!err)
		err = class_list_sort(&pending);
	if (!err)
		err = class_list_merge(&pending, &frozen, &both);
	if (!err)
		err = class_list_merge(&live, &both, memory);
	class_list_free(&live);
	class_list_free(&pending);
	class_list_free(&both);
	class_list_free(&frozen);
	return err;
}

enum ceir_err classify_scan(const struct classify *c, uint64_t from, classify_record record, void *ctx)
{
	struct class_file *file;
	struct class_list memory = {0};
	struct class_reader reader;
	struct policy_class found;
	enum ceir_err err = snapshot(c, from, &file, &memory);
	if (!err)
		err = class_reader_begin(&reader, file, &memory, from);
	for (uint64_t imei; !err && (imei = class_reader_peek(&reader)) != UINT64_MAX;) {
		err = class_reader_take(&reader, &found);
		if (!err)
			err = record(ctx, imei, &found);
	}
	class_list_free(&memory);
	class_file_unref(file);
	return err;
}

/* triplets_version.c - parts, versions, and putting one in the place of another. See the picture in triplets_internal.h. */
#include "triplets/triplets_internal.h"

#include <inttypes.h>
#include <stdlib.h>
#include <unistd.h>

void file_path(const char *dir, uint64_t file, const char *kind, char out[TRIPLETS_PATH_MAX])
{
	int n = snprintf(out, TRIPLETS_PATH_MAX, "%s/%010" PRIu64 ".%s", dir, file, kind);

	CEIR_ASSERT(n > 0 && n < TRIPLETS_PATH_MAX); /* triplets_open() sees to that */
}

void folder_path(const char *dir, const char *name, char out[TRIPLETS_PATH_MAX])
{
	int n = snprintf(out, TRIPLETS_PATH_MAX, "%s/%s", dir, name);

	CEIR_ASSERT(n > 0 && n < TRIPLETS_PATH_MAX);
}

/* ---- parts ------------------------------------------------------------------------------------------------------- */

enum ceir_err part_open(const char *dir, unsigned tree, uint64_t file, uint64_t group, struct part **out)
{
	struct part *p = calloc(1, sizeof(*p));

	if (!p)
		return CEIR_ENOMEM;
	atomic_init(&p->refs, 1);
	atomic_init(&p->dead, false);
	p->tree = tree;
	p->file = file;
	p->group = group;
	file_path(dir, file, "seg", p->path);
	enum ceir_err err = segment_open(p->path, &triplets_schemas[tree], &p->segment);
	if (err) {
		free(p);
		return err;
	}
	segment_get_info(p->segment, &p->info);
	*out = p;
	return CEIR_OK;
}

struct part *part_ref(struct part *p)
{
	atomic_fetch_add_explicit(&p->refs, 1, memory_order_relaxed);
	return p;
}

void part_unref(struct part *p)
{
	if (!p || atomic_fetch_sub_explicit(&p->refs, 1, memory_order_acq_rel) != 1)
		return;
	segment_close(p->segment);
	if (atomic_load_explicit(&p->dead, memory_order_relaxed))
		(void)unlink(p->path);
	free(p);
}

enum ceir_err parts_add(struct parts *p, struct part *part)
{
	if (p->n == p->cap) {
		size_t cap = p->cap ? p->cap * 2 : 8;
		struct part **v = realloc(p->v, cap * sizeof(struct part *));
		if (!v) {
			part_unref(part);
			return CEIR_ENOMEM;
		}
		p->v = v;
		p->cap = cap;
	}
	p->v[p->n++] = part;
	return CEIR_OK;
}

void parts_clear(struct parts *p)
{
	for (size_t i = 0; i < p->n; i++)
		part_unref(p->v[i]);
	free(p->v);
	*p = (struct parts){0};
}

void parts_kill(struct parts *p)
{
	for (size_t i = 0; i < p->n; i++)
		atomic_store_explicit(&p->v[i]->dead, true, memory_order_relaxed);
	parts_clear(p);
}

static bool parts_has(const struct parts *p, uint64_t file)
{
	for (size_t i = 0; p && i < p->n; i++)
		if (p->v[i]->file == file)
			return true;
	return false;
}

/* ---- versions ---------------------------------------------------------------------------------------------------- */

struct version *version_ref(struct version *v)
{
	atomic_fetch_add_explicit(&v->refs, 1, memory_order_relaxed);
	return v;
}

void version_unref(struct version *v)
{
	if (!v || atomic_fetch_sub_explicit(&v->refs, 1, memory_order_acq_rel) != 1)
		return;
	for (unsigned tree = 0; tree < TREES; tree++)
		parts_clear(&v->trees[tree]);
	for (size_t i = 0; i < v->n_runs; i++)
		memory_unref(v->runs[i]);
	free(v);
}

/* Parts of old without `remove`, with `add`; no runs yet. NULL: memory. */
static struct version *version_new(const struct version *old, const struct parts *add, const struct parts *remove)
{
	struct version *v = calloc(1, sizeof(*v));
	enum ceir_err err = CEIR_OK;

	if (!v)
		return NULL;
	atomic_init(&v->refs, 1);
	for (unsigned tree = 0; old && tree < TREES; tree++)
		for (size_t i = 0; i < old->trees[tree].n && !err; i++)
			if (!parts_has(remove, old->trees[tree].v[i]->file))
				err = parts_add(&v->trees[tree], part_ref(old->trees[tree].v[i]));
	for (size_t i = 0; add && i < add->n && !err; i++)
		err = parts_add(&v->trees[add->v[i]->tree], part_ref(add->v[i]));
	if (!err)
		return v;
	version_unref(v);
	return NULL;
}

struct version *triplets_version(struct triplets *t)
{
	pthread_mutex_lock(&t->lock);
	struct version *v = version_ref(t->version);
	pthread_mutex_unlock(&t->lock);
	return v;
}

/* The runs of the present version that stay. t->lock is held. */
static void take_runs(struct triplets *t, struct version *v, bool frozen)
{
	for (size_t i = 0; i < t->version->n_runs; i++) {
		struct memory *m = t->version->runs[i];
		if (frozen && m->generation != t->generation)
			continue;
		atomic_fetch_add_explicit(&m->refs, 1, memory_order_relaxed);
		v->runs[v->n_runs++] = m;
	}
}

/* ---- MANIFEST ---------------------------------------------------------------------------------------------------- */

uint64_t triplets_new_file(struct triplets *t)
{
	return atomic_fetch_add_explicit(&t->next_file, 1, memory_order_relaxed);
}

static enum ceir_err edit_manifest(struct triplets *t, const struct change *c, struct manifest *m)
{
	enum ceir_err err = manifest_copy(m, &t->manifest);

	if (err)
		return err;
	for (size_t i = 0; c->remove && i < c->remove->n; i++)
		manifest_remove_segment(m, c->remove->v[i]->file);
	for (size_t i = 0; c->add && i < c->add->n && !err; i++) {
		const struct part *p = c->add->v[i];
		struct manifest_segment s = {p->tree, p->file, p->group, p->info.rows, p->info.bytes};
		err = manifest_add_segment(m, &s);
	}
	if (!err && c->edit)
		err = c->edit(c->ctx, m);
	m->next_file = atomic_load_explicit(&t->next_file, memory_order_relaxed);
	if (err)
		manifest_clear(m);
	return err;
}

/*
 * Writes MANIFEST. When that fails behind the rename (syncing the folder) the new one is there all the same: then it counts,
 * since the old one cannot be had back and names files that are about to go.
 */
static enum ceir_err write_manifest(struct triplets *t, const struct manifest *m)
{
	struct buf text = BUF_INIT(MANIFEST_MAX), there = BUF_INIT(MANIFEST_MAX);
	char path[TRIPLETS_PATH_MAX];

	folder_path(t->dir, "MANIFEST", path);
	manifest_print(m, &text);
	enum ceir_err err = text.failed ? CEIR_ENOMEM : file_write(path, buf_view(&text), 0600);
	if (err && !text.failed && file_read(path, MANIFEST_MAX, &there) == CEIR_OK && str_eq(buf_view(&text), buf_view(&there))) {
		log_warn(ROOM, "%s: written, but syncing its folder failed: %s", path, ceir_err_text(err));
		err = CEIR_OK;
	}
	if (err)
		log_error(ROOM, "%s cannot be written: %s", path, ceir_err_text(err));
	buf_free(&text);
	buf_free(&there);
	return err;
}

enum ceir_err triplets_switch(struct triplets *t, const struct change *c)
{
	struct manifest m;
	struct version *fresh = NULL, *old = NULL;

	pthread_mutex_lock(&t->manifest_lock);
	enum ceir_err err = edit_manifest(t, c, &m);
	if (err)
		goto out;
	/* Parts change only here, under manifest_lock; runs may change meanwhile, and are taken over at the end. */
	struct version *now = triplets_version(t);
	fresh = version_new(now, c->add, c->remove);
	version_unref(now);
	err = fresh ? write_manifest(t, &m) : CEIR_ENOMEM;
	if (err) {
		manifest_clear(&m);
		goto out;
	}
	manifest_clear(&t->manifest);
	t->manifest = m;
	for (size_t i = 0; c->remove && i < c->remove->n; i++)
		atomic_store_explicit(&c->remove->v[i]->dead, true, memory_order_relaxed);
	pthread_mutex_lock(&t->lock);
	take_runs(t, fresh, c->frozen);
	old = t->version;
	t->version = fresh;
	fresh = NULL;
	pthread_mutex_unlock(&t->lock);
out:
	pthread_mutex_unlock(&t->manifest_lock);
	version_unref(fresh);
	version_unref(old);
	return err;
}

enum ceir_err triplets_install_memory(struct triplets *t, size_t n_old, struct memory *add)
{
	enum ceir_err err = CEIR_OK;
	struct version *old = NULL;

	pthread_mutex_lock(&t->lock);
	struct version *v = version_new(t->version, NULL, NULL);
	if (v && t->version->n_runs - n_old < VERSION_RUNS_MAX) {
		take_runs(t, v, false);
		for (size_t i = 0; i < n_old; i++)
			memory_unref(v->runs[--v->n_runs]); /* the old version holds it still: nothing is freed under the lock */
		v->runs[v->n_runs++] = add;
		old = t->version;
		t->version = v;
	} else {
		err = CEIR_ENOMEM;
	}
	pthread_mutex_unlock(&t->lock);
	if (err) {
		version_unref(v);
		memory_unref(add);
	}
	version_unref(old);
	return err;
}

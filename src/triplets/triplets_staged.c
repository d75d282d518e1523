/* triplets_staged.c - what is staged: listed, thrown away; what is applied: forgotten, or, of a full delivery, told. */
#include "triplets/triplets_internal.h"

#include <stdlib.h>
#include <unistd.h>

struct taking {
	uint64_t id;
	uint64_t *files; /* of what was thrown away: the caller's to free */
	size_t n_files;
};

static enum ceir_err edit_discard(void *ctx, struct manifest *m)
{
	struct taking *d = ctx;
	struct manifest_staged *s = manifest_find_staged(m, d->id);

	if (!s)
		return CEIR_ENOENT;
	d->files = s->files;
	d->n_files = s->n_files;
	s->files = NULL;
	s->n_files = 0;
	manifest_remove_staged(m, d->id);
	return CEIR_OK;
}

enum ceir_err triplets_discard(struct triplets *t, uint64_t id)
{
	struct taking d = {.id = id};

	pthread_mutex_lock(&t->apply_lock); /* not while it is being applied */
	enum ceir_err err = triplets_switch(t, &(struct change){.edit = edit_discard, .ctx = &d});
	pthread_mutex_unlock(&t->apply_lock);
	for (size_t i = 0; i < d.n_files && !err; i++) {
		char path[TRIPLETS_PATH_MAX];
		file_path(t->dir, d.files[i], "seg", path);
		(void)unlink(path);
	}
	free(d.files);
	return err;
}

static enum ceir_err edit_forget(void *ctx, struct manifest *m)
{
	uint64_t id = *(const uint64_t *)ctx;

	if (!manifest_find_applied(m, id))
		return CEIR_ENOENT;
	manifest_remove_applied(m, id);
	return CEIR_OK;
}

enum ceir_err triplets_forget(struct triplets *t, uint64_t id)
{
	return triplets_switch(t, &(struct change){.edit = edit_forget, .ctx = &id});
}

size_t triplets_staged(struct triplets *t, uint64_t *ids, size_t max)
{
	pthread_mutex_lock(&t->manifest_lock);
	size_t n = t->manifest.n_staged;
	for (size_t i = 0; i < n && i < max; i++)
		ids[i] = t->manifest.staged[i].id; /* staged in the order of their numbers */
	pthread_mutex_unlock(&t->manifest_lock);
	return n;
}

bool triplets_last_full(struct triplets *t, uint8_t op, uint32_t *first_s, uint32_t *last_s)
{
	pthread_mutex_lock(&t->manifest_lock);
	struct manifest_full full = t->manifest.full[op];
	pthread_mutex_unlock(&t->manifest_lock);
	if (!full.known)
		return false;
	*first_s = full.min_s;
	*last_s = full.max_s;
	return true;
}

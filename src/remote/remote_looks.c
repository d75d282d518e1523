/* remote_looks.c - files as they were at the last look: whether one has changed since, what is done with, and what is gone. */
#include "remote/remote_internal.h"

#include <string.h>

#define LOOKS_BYTES ((size_t)16 << 20)

struct remote_looks *remote_looks_new(void)
{
	struct remote_looks *l = calloc(1, sizeof *l);

	if (l && !(l->arena = arena_new(LOOKS_BYTES))) {
		free(l);
		l = NULL;
	}
	return l;
}

void remote_looks_free(struct remote_looks *l)
{
	if (!l)
		return;
	arena_free(l->arena);
	free(l->v);
	free(l);
}

enum ceir_err remote_looks_add(struct remote_looks *l, const struct remote_look *look)
{
	size_t bytes, max = l->max ? 2 * l->max : 64;

	if (l->n == l->max) {
		struct remote_look *more = size_mul(max, sizeof *more, &bytes) ? realloc(l->v, bytes) : NULL;

		if (!more)
			return CEIR_ENOMEM;
		l->v = more;
		l->max = max;
	}
	struct remote_look copy = *look;
	copy.name = arena_str(l->arena, look->name);
	if (!copy.name.p)
		return CEIR_ENOMEM;
	l->v[l->n++] = copy;
	return CEIR_OK;
}

static int by_name(const void *a, const void *b)
{
	return str_cmp(((const struct remote_look *)a)->name, ((const struct remote_look *)b)->name);
}

void remote_looks_sort(struct remote_looks *l)
{
	if (l->n)
		qsort(l->v, l->n, sizeof *l->v, by_name);
}

struct remote_look *remote_looks_find(const struct remote_looks *l, struct str name)
{
	struct remote_look key = {.name = name};

	return l && l->n ? bsearch(&key, l->v, l->n, sizeof *l->v, by_name) : NULL;
}

static bool all_there(const struct remote_looks *before, const struct remote_looks *l)
{
	for (size_t i = 0; i < before->n; i++)
		if (!remote_looks_find(l, before->v[i].name))
			return false;
	return true;
}

enum ceir_err remote_looks_forget(struct remote_worker *w, enum reg_remote_way way, const struct remote_looks *before, const struct remote_looks *l)
{
	struct str *names;
	size_t bytes;

	if (before && all_there(before, l))
		return CEIR_OK;
	names = size_mul(l->n ? l->n : 1, sizeof *names, &bytes) ? malloc(bytes) : NULL;
	if (!names)
		return CEIR_ENOMEM;
	for (size_t i = 0; i < l->n; i++)
		names[i] = l->v[i].name;
	enum ceir_err err = reg_remote_forget(w->m->r, w->c.id, way, names, l->n);
	free(names);
	return err;
}

/* ctl_dirbs_list.c - a list in order, and two of them beside each other. */
#include "ctl/ctl_dirbs.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- rows ---- */

struct str dirbs_columns(struct str row, unsigned n)
{
	for (size_t i = 0; n && i < row.n; i++)
		if (row.p[i] == ',' && --n == 0)
			return (struct str){row.p, i + 1};
	return (struct str){row.p, 0};
}

static struct str row_at(const struct dirbs_list *l, uint64_t at)
{
	const char *end = memchr(l->map + at, '\n', l->size - at);

	return (struct str){l->map + at, (size_t)(end - (l->map + at)) + 1}; /* every line has an end: index_rows() */
}

struct str dirbs_list_row(const struct dirbs_list *l, size_t i)
{
	return row_at(l, l->at[i]);
}

/* With its comma, so that keys have the order of rows. Of an exception the key is the whole row: no comma closes it. */
static struct str key_of(struct str row, unsigned keys)
{
	struct str key = dirbs_columns(row, keys);

	return key.n ? key : str_trim(row);
}

static int by_key(const void *a, const void *b, void *list)
{
	const struct dirbs_list *l = list;

	return str_cmp(key_of(row_at(l, *(const uint64_t *)a), l->keys), key_of(row_at(l, *(const uint64_t *)b), l->keys));
}

/* ---- opening ---- */

static bool has_columns(struct str row, unsigned keys)
{
	return dirbs_columns(row, keys).n || dirbs_columns(row, keys - 1).n || keys == 1;
}

static enum ceir_err index_rows(struct dirbs_list *l)
{
	size_t lines = 0, bytes;
	bool sorted = true;

	if (!l->size || l->map[l->size - 1] != '\n')
		return CEIR_EINVAL;
	l->head = row_at(l, 0).n;
	for (size_t i = l->head; i < l->size; i++)
		lines += l->map[i] == '\n';
	if (!size_mul(lines + 1, sizeof *l->at, &bytes) || !(l->at = malloc(bytes)))
		return CEIR_ENOMEM;
	for (size_t at = l->head; at < l->size;) {
		struct str row = row_at(l, at);

		if (!has_columns(row, l->keys))
			return CEIR_EINVAL;
		l->at[l->n++] = at;
		at += row.n;
		sorted = sorted && (l->n < 2 || by_key(&l->at[l->n - 2], &l->at[l->n - 1], l) <= 0);
	}
	if (!sorted)
		qsort_r(l->at, l->n, sizeof *l->at, by_key, l);
	return CEIR_OK;
}

enum ceir_err dirbs_list_open(const char *path, unsigned keys, struct dirbs_list *out)
{
	struct stat st;
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	enum ceir_err err = CEIR_OK;

	*out = (struct dirbs_list){.keys = keys};
	if (fd < 0)
		return errno == ENOENT ? CEIR_OK : ceir_err_of_errno(errno);
	if (fstat(fd, &st))
		err = ceir_err_of_errno(errno);
	else if (st.st_size > 0) {
		void *map = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);

		if (map == MAP_FAILED)
			err = ceir_err_of_errno(errno);
		else
			*out = (struct dirbs_list){.map = map, .size = (size_t)st.st_size, .keys = keys};
	}
	close(fd);
	if (!err)
		err = index_rows(out);
	if (err)
		dirbs_list_close(out);
	return err;
}

void dirbs_list_close(struct dirbs_list *l)
{
	if (l->map)
		munmap(l->map, l->size);
	free(l->at);
	*l = (struct dirbs_list){.keys = l->keys};
}

/* ---- looking ---- */

bool dirbs_list_has(const struct dirbs_list *l, struct str prefix)
{
	size_t from = 0, to = l->n;

	while (from < to) {
		size_t middle = from + (to - from) / 2;
		struct str row = dirbs_list_row(l, middle);

		if (str_starts(row, prefix))
			return true;
		if (str_cmp(row, prefix) < 0)
			from = middle + 1;
		else
			to = middle;
	}
	return false;
}

/* The next row behind i that has another key. */
static size_t behind(const struct dirbs_list *l, size_t i)
{
	struct str key = key_of(dirbs_list_row(l, i), l->keys);

	for (i++; i < l->n && str_eq(key, key_of(dirbs_list_row(l, i), l->keys)); i++)
		;
	return i;
}

enum ceir_err dirbs_compare(const struct dirbs_list *from, const struct dirbs_list *to, dirbs_difference difference, void *ctx)
{
	size_t i = 0, k = 0;
	enum ceir_err err = CEIR_OK;

	while (!err && (i < from->n || k < to->n)) {
		struct str was = i < from->n ? dirbs_list_row(from, i) : STR(""), is = k < to->n ? dirbs_list_row(to, k) : STR("");
		int order = i == from->n ? 1 : k == to->n ? -1 : str_cmp(key_of(was, from->keys), key_of(is, to->keys));

		if (order < 0)
			err = difference(ctx, DIRBS_REMOVED, was);
		else if (order > 0)
			err = difference(ctx, DIRBS_ADDED, is);
		else if (!str_eq(was, is))
			err = difference(ctx, DIRBS_CHANGED, is);
		i = order <= 0 ? behind(from, i) : i;
		k = order >= 0 ? behind(to, k) : k;
	}
	return err;
}

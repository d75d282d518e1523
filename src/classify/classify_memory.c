/* classify_memory.c - records in memory: a hash of what was noted, and sorted lists made of it. */
#include "classify/classify_internal.h"

#include <stdlib.h>
#include <string.h>

#define SLOTS_FIRST 1024u
#define ITEMS_MAX ((size_t)1 << 31)

/* slots: 0 is empty, else the item's index + 1; at most 3/4 full. */
struct class_map {
	struct class_item *items;
	size_t n, cap;
	uint32_t *slots;
	size_t n_slots; /* a power of two */
};

struct class_map *class_map_new(void)
{
	struct class_map *m = calloc(1, sizeof *m);
	if (!m)
		return NULL;
	m->n_slots = SLOTS_FIRST;
	m->slots = calloc(m->n_slots, sizeof *m->slots);
	if (m->slots)
		return m;
	free(m);
	return NULL;
}

void class_map_free(struct class_map *m)
{
	if (!m)
		return;
	free(m->items);
	free(m->slots);
	free(m);
}

size_t class_map_count(const struct class_map *m)
{
	return m ? m->n : 0;
}

/* The slot of an IMEI, or the empty one where it would be. IMEIs come from networks, so their bits are mixed well. */
static size_t map_seek(const struct class_map *m, uint64_t imei)
{
	uint64_t h = imei;
	h = (h ^ h >> 32) * 0x9e3779b97f4a7c15u;
	h = (h ^ h >> 29) * 0xbf58476d1ce4e5b9u;
	for (size_t at = (size_t)(h >> 20);; at++) {
		at &= m->n_slots - 1;
		if (m->slots[at] == 0 || m->items[m->slots[at] - 1].imei == imei)
			return at;
	}
}

const struct class_item *class_map_find(const struct class_map *m, uint64_t imei)
{
	if (!m)
		return NULL;
	uint32_t slot = m->slots[map_seek(m, imei)];
	return slot ? &m->items[slot - 1] : NULL;
}

static enum ceir_err map_grow_items(struct class_map *m)
{
	size_t cap = m->cap ? m->cap + m->cap / 2 : SLOTS_FIRST, bytes;
	if (cap > ITEMS_MAX || !size_mul(cap, sizeof *m->items, &bytes))
		return CEIR_ENOMEM;
	struct class_item *items = realloc(m->items, bytes);
	if (!items)
		return CEIR_ENOMEM;
	m->items = items;
	m->cap = cap;
	return CEIR_OK;
}

static enum ceir_err map_grow_slots(struct class_map *m)
{
	uint32_t *slots = calloc(2 * m->n_slots, sizeof *slots);
	if (!slots)
		return CEIR_ENOMEM;
	free(m->slots);
	m->slots = slots;
	m->n_slots *= 2;
	for (size_t i = 0; i < m->n; i++)
		m->slots[map_seek(m, m->items[i].imei)] = (uint32_t)i + 1;
	return CEIR_OK;
}

enum ceir_err class_map_put(struct class_map *m, uint64_t imei, const struct policy_class *record)
{
	size_t at = map_seek(m, imei);
	if (m->slots[at]) {
		m->items[m->slots[at] - 1].record = *record;
		return CEIR_OK;
	}
	if (m->n == m->cap && map_grow_items(m))
		return CEIR_ENOMEM;
	if (m->n >= m->n_slots / 4 * 3) {
		if (map_grow_slots(m))
			return CEIR_ENOMEM;
		at = map_seek(m, imei);
	}
	m->items[m->n] = (struct class_item){imei, *record};
	m->slots[at] = (uint32_t)++m->n;
	return CEIR_OK;
}

enum ceir_err class_list_add_map(struct class_list *l, const struct class_map *m, uint64_t from)
{
	if (!m || m->n == 0)
		return CEIR_OK;
	size_t n, bytes;
	if (!size_add(l->n, m->n, &n) || !size_mul(n, sizeof *l->items, &bytes))
		return CEIR_ENOMEM;
	struct class_item *items = realloc(l->items, bytes);
	if (!items)
		return CEIR_ENOMEM;
	l->items = items;
	for (size_t i = 0; i < m->n; i++)
		if (m->items[i].imei >= from)
			items[l->n++] = m->items[i];
	return CEIR_OK;
}

enum ceir_err class_list_sort(struct class_list *l)
{
	static const unsigned by_imei[] = {0};
	if (l->n < 2)
		return CEIR_OK;
	void *scratch = malloc(l->n * sizeof *l->items); /* as many bytes as items has */
	if (!scratch)
		return CEIR_ENOMEM;
	enum ceir_err err = sort_records(l->items, scratch, l->n, sizeof *l->items, by_imei, 1, 1);
	free(scratch);
	return err;
}

size_t class_list_seek(const struct class_list *l, uint64_t imei)
{
	size_t low = 0, high = l->n;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (l->items[middle].imei < imei)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

enum ceir_err class_list_merge(const struct class_list *newer, const struct class_list *older, struct class_list *out)
{
	size_t n, bytes, i = 0, j = 0;
	out->items = NULL;
	out->n = 0;
	if (!size_add(newer->n, older->n, &n) || !size_mul(n, sizeof *out->items, &bytes))
		return CEIR_ENOMEM;
	if (n == 0)
		return CEIR_OK;
	out->items = malloc(bytes);
	if (!out->items)
		return CEIR_ENOMEM;
	while (i < newer->n || j < older->n) {
		bool take_newer = i < newer->n && (j == older->n || newer->items[i].imei <= older->items[j].imei);
		if (take_newer && j < older->n && newer->items[i].imei == older->items[j].imei)
			j++;
		out->items[out->n++] = take_newer ? newer->items[i++] : older->items[j++];
	}
	return CEIR_OK;
}

void class_list_free(struct class_list *l)
{
	free(l->items);
	*l = (struct class_list){0};
}

/*
 * triplets_row.c - rows of one triplet joined, and the extra bytes of a row.
 *
 * A row is a set of intervals: its earlier episodes and the last one, episode_s..last_s. Rows are joined by taking all intervals
 * together and joining those that are not further apart than the gap; first_s is the lowest; event, RAT and cell are those of the
 * latest sighting, and of two at the same second the higher, so that the order in which rows are joined does not matter.
 */
#include "triplets/triplets_internal.h"

#include <stdlib.h>

const struct segment_schema triplets_schemas[TREES] = {
	[TREE_TRIPLETS] = {.kind = 0x31505254u, .columns = COLS, .keys = TRIPLETS_KEYS, .extra = true, .filter = true},
	[TREE_IMSI] = {.kind = 0x32505254u, .columns = 2, .keys = 2, .extra = false, .filter = true},
	[TREE_MSISDN] = {.kind = 0x33505254u, .columns = 2, .keys = 2, .extra = false, .filter = true},
};

void combiner_init(struct combiner *c, uint32_t gap_s, uint32_t forget_s)
{
	c->gap_s = gap_s;
	c->forget_s = forget_s;
	c->v = NULL;
	c->n = c->cap = 0;
}

void combiner_free(struct combiner *c)
{
	free(c->v);
	c->v = NULL;
	c->n = c->cap = 0;
}

size_t extra_of_cell(struct str cell, char *out)
{
	size_t n = cell.n > TRIPLET_CELL_MAX ? TRIPLET_CELL_MAX : cell.n;

	if (n == 0)
		return 0;
	out[0] = (char)n;
	memcpy(out + 1, cell.p, n);
	return n + 1;
}

static size_t put_number(char *p, uint32_t v)
{
	size_t n = 0;

	for (; v >= 0x80; v >>= 7)
		p[n++] = (char)((v & 0x7f) | 0x80);
	p[n++] = (char)v;
	return n;
}

/* false: no whole number of 32 bits there. */
static bool get_number(struct str *s, uint32_t *v)
{
	uint64_t x = 0;

	for (unsigned shift = 0; shift <= 28; shift += 7) {
		if (s->n == 0)
			return false;
		unsigned char c = (unsigned char)s->p[0];
		s->p++;
		s->n--;
		x |= (uint64_t)(c & 0x7f) << shift;
		if (!(c & 0x80)) {
			*v = (uint32_t)x;
			return x <= UINT32_MAX;
		}
	}
	return false;
}

static struct str extra_cell(struct str *extra)
{
	struct str cell = {NULL, 0};

	if (extra->n == 0)
		return cell;
	size_t n = (unsigned char)extra->p[0];
	if (n > TRIPLET_CELL_MAX || n >= extra->n)
		n = 0;
	cell = (struct str){extra->p + 1, n};
	extra->p += n + 1;
	extra->n -= n + 1;
	return cell;
}

unsigned extra_get(struct str extra, uint32_t episode_s, struct str *cell, struct triplet_episode *episodes)
{
	unsigned n = 0;
	uint32_t before = episode_s, absent, length;

	*cell = extra_cell(&extra);
	while (n < TRIPLETS_EPISODES_MAX && get_number(&extra, &absent) && get_number(&extra, &length)) {
		if (absent > before || length > before - absent)
			break;
		episodes[n].to_s = before - absent;
		before = episodes[n].from_s = episodes[n].to_s - length;
		n++;
	}
	for (unsigned i = 0; i < n / 2; i++) {
		struct triplet_episode e = episodes[i];
		episodes[i] = episodes[n - 1 - i];
		episodes[n - 1 - i] = e;
	}
	return n;
}

unsigned row_triplet(const struct row *row, struct triplet_episode *episodes, struct triplet *t)
{
	*t = (struct triplet){.imei = row->key[0], .imsi = row->key[1], .msisdn = row->key[2], .op = (uint8_t)row->key[3],
		.first_s = row->first_s, .last_s = row->last_s, .episode_s = row->episode_s,
		.event = (uint8_t)(row->mark & 0xff), .rat = (uint8_t)(row->mark >> 8)};
	if (row->extra.n == 0)
		return 0;
	unsigned n = extra_get(row->extra, row->episode_s, &t->cell, episodes);
	t->n_episodes = (uint16_t)n;
	t->episodes = n ? episodes : NULL;
	return n;
}

/* The interval goes to its place by from_s: there are few of them. */
static enum ceir_err put_interval(struct combiner *c, uint32_t from_s, uint32_t to_s)
{
	if (c->n == c->cap) {
		size_t cap = c->cap ? c->cap * 2 : 16;
		struct triplet_episode *v = realloc(c->v, cap * sizeof(*v));
		if (!v)
			return CEIR_ENOMEM;
		c->v = v;
		c->cap = cap;
	}
	size_t i = c->n++;
	for (; i > 0 && c->v[i - 1].from_s > from_s; i--)
		c->v[i] = c->v[i - 1];
	c->v[i] = (struct triplet_episode){from_s, to_s};
	return CEIR_OK;
}

static enum ceir_err put_row(struct combiner *c, const struct row *row)
{
	struct triplet_episode episodes[TRIPLETS_EPISODES_MAX];
	struct str cell;
	enum ceir_err err = CEIR_OK;
	unsigned n = row->extra.n ? extra_get(row->extra, row->episode_s, &cell, episodes) : 0;

	for (unsigned i = 0; i < n && !err; i++)
		err = put_interval(c, episodes[i].from_s, episodes[i].to_s);
	return err ? err : put_interval(c, row->episode_s, row->last_s);
}

static void join_intervals(struct combiner *c)
{
	size_t n = 0;

	for (size_t i = 1; i < c->n; i++) {
		struct triplet_episode *last = &c->v[n], *e = &c->v[i];
		if (e->from_s <= last->to_s || e->from_s - last->to_s <= c->gap_s)
			last->to_s = e->to_s > last->to_s ? e->to_s : last->to_s;
		else
			c->v[++n] = *e;
	}
	c->n = n + 1;
}

/* Event, RAT and cell of the later sighting; at the same second the higher ones. */
static bool is_later(const struct row *a, struct str cell_a, const struct row *b, struct str cell_b)
{
	if (a->last_s != b->last_s)
		return a->last_s > b->last_s;
	if (a->mark != b->mark)
		return a->mark > b->mark;
	return str_cmp(cell_a, cell_b) > 0;
}

static struct str encode_extra(struct combiner *c, struct str cell)
{
	size_t n = c->n - 1, skip = n > TRIPLETS_EPISODES_MAX ? n - TRIPLETS_EPISODES_MAX : 0, at = 1;
	uint32_t before = c->v[n].from_s;

	while (skip < n && c->v[skip].to_s < c->forget_s)
		skip++;
	if (cell.n == 0 && n == skip)
		return (struct str){NULL, 0};
	c->extra[0] = (char)cell.n;
	if (cell.n)
		memmove(c->extra + 1, cell.p, cell.n);
	at += cell.n;
	while (n-- > skip) {
		at += put_number(c->extra + at, before - c->v[n].to_s);
		at += put_number(c->extra + at, c->v[n].to_s - c->v[n].from_s);
		before = c->v[n].from_s;
	}
	return (struct str){c->extra, at};
}

/* Two rows without extra bytes whose intervals touch: by far the most frequent case. */
static bool join_simple(const struct combiner *c, const struct row *a, const struct row *b, struct row *out)
{
	if (a->extra.n || b->extra.n)
		return false;
	const struct row *late = a->episode_s > b->episode_s ? a : b, *early = late == a ? b : a;
	if (late->episode_s > early->last_s && late->episode_s - early->last_s > c->gap_s)
		return false;
	struct row joined = *a;
	const struct row *last = is_later(a, (struct str){NULL, 0}, b, (struct str){NULL, 0}) ? a : b;
	joined.first_s = a->first_s < b->first_s ? a->first_s : b->first_s;
	joined.episode_s = early->episode_s;
	joined.last_s = last->last_s;
	joined.mark = last->mark;
	*out = joined;
	return true;
}

enum ceir_err combine_rows(struct combiner *c, const struct row *rows, size_t n, struct row *out)
{
	struct str last_cell = {NULL, 0};
	const struct row *last = NULL;
	struct row joined = rows[0];

	if (n == 1 && (rows[0].extra.n == 0 || c->forget_s == 0)) {
		*out = rows[0];
		return CEIR_OK;
	}
	if (n == 2 && join_simple(c, &rows[0], &rows[1], out))
		return CEIR_OK;
	c->n = 0;
	for (size_t i = 0; i < n; i++) {
		struct str extra = rows[i].extra, cell = extra_cell(&extra);
		enum ceir_err err = put_row(c, &rows[i]);
		if (err)
			return err;
		if (!last || is_later(&rows[i], cell, last, last_cell)) {
			last = &rows[i];
			last_cell = cell;
		}
		if (rows[i].first_s < joined.first_s)
			joined.first_s = rows[i].first_s;
	}
	join_intervals(c);
	joined.mark = last->mark;
	joined.last_s = c->v[c->n - 1].to_s;
	joined.episode_s = c->v[c->n - 1].from_s;
	joined.extra = encode_extra(c, last_cell);
	*out = joined;
	return CEIR_OK;
}

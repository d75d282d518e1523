/*
 * The triplet store against a naive model: random deliveries, sightings, look-ups by every key, scans, restarts and merges, about a
 * million rows and look-ups in all. Memory is so small that runs, generations and merges come all the time. CEIR_SEED repeats a run;
 * CEIR_STEPS makes it longer.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "test_amount.h"
#include "triplets_world.h"

#define STEPS TEST_AMOUNT(2000u, 150u)
#define MEMORY_BYTES (256u << 10)
#define ROWS_MAX 3000u
#define STAGED_MAX 4u

struct planned {
	uint64_t id;
	uint8_t op;
	bool applied;
	size_t n;
	struct {
		unsigned triplet, hour;
		uint8_t event, rat, cell;
	} rows[ROWS_MAX];
	struct triplets_counts counts; /* when applied */
};

struct model {
	struct world *w;
	uint64_t seed;
	char *dir;
	struct triplets *t;
	struct planned *staged[STAGED_MAX];
	uint64_t batch, rows, lookups;
	uint8_t batch_op[1u << 16];
};

static const char *const cells[] = {"", "255-01-17", "255-03-0815-4711", "0123456789012345678901234567890"};

static unsigned pick(struct model *m, unsigned n)
{
	return (unsigned)(world_random(&m->seed) % n);
}

static void open_store(struct model *m)
{
	struct triplets_settings s = world_settings(m->dir, MEMORY_BYTES);

	world_quiet_us(pick(m, 2) ? 300 : 5000000);
	assert_int_equal(triplets_open(&s, &m->t), CEIR_OK);
}

/* ---- deliveries -------------------------------------------------------------------------------------------------- */

static unsigned triplet_of(struct model *m, uint8_t op)
{
	unsigned n;

	do
		n = pick(m, WORLD_TRIPLETS);
	while (m->w->v[n].op != op);
	return n;
}

static void plan(struct model *m, struct planned *p)
{
	unsigned at = pick(m, WORLD_HOURS), spread = 1 + pick(m, 3) * 200;

	memset(p, 0, sizeof(*p));
	p->op = (uint8_t)(1 + pick(m, 3));
	p->n = pick(m, 8) == 0 ? 0 : pick(m, 2) ? pick(m, 300) : pick(m, ROWS_MAX);
	for (size_t i = 0; i < p->n; i++) {
		p->rows[i].triplet = triplet_of(m, p->op);
		p->rows[i].hour = (at + pick(m, spread)) % WORLD_HOURS;
		p->rows[i].event = (uint8_t)pick(m, TRIPLET_EVENTS);
		p->rows[i].rat = (uint8_t)pick(m, TRIPLET_RATS);
		p->rows[i].cell = (uint8_t)(pick(m, 4) ? 0 : pick(m, CEIR_COUNT(cells)));
	}
}

static void stage(struct model *m, struct planned *p)
{
	struct triplets_intake *in;
	bool with_cells = pick(m, 2);

	assert_int_equal(triplets_intake_new(m->t, p->op, &in), CEIR_OK);
	for (size_t i = 0; i < p->n;) {
		struct sighting s[64];
		struct str c[64];
		size_t n = 0;
		for (; n < 64 && i < p->n; n++, i++) {
			s[n] = world_sighting(m->w, p->rows[i].triplet, p->rows[i].hour, p->rows[i].event, p->rows[i].rat);
			if (!with_cells)
				p->rows[i].cell = 0;
			c[n] = str_of(cells[p->rows[i].cell]);
		}
		/* The first part may come without cells. */
		bool none = true;
		for (size_t k = 0; k < n; k++)
			none = none && c[k].n == 0;
		assert_int_equal(triplets_intake_add(in, s, none ? NULL : c, n), CEIR_OK);
	}
	if (pick(m, 10) == 0) {
		triplets_intake_drop(in);
		free(p);
		return;
	}
	assert_int_equal(triplets_intake_stage(in, &p->id), CEIR_OK);
	m->rows += p->n;
	for (unsigned i = 0; i < STAGED_MAX; i++)
		if (!m->staged[i]) {
			m->staged[i] = p;
			return;
		}
	assert_int_equal(triplets_discard(m->t, p->id), CEIR_OK);
	assert_int_equal(triplets_discard(m->t, p->id), CEIR_ENOENT);
	free(p);
}

struct touch_log {
	bool imeis[WORLD_TRIPLETS]; /* index of a triplet that has that IMEI, the first */
	uint64_t last;
	struct model *m;
};

static unsigned first_of(const struct world *w, uint64_t imei)
{
	unsigned from = 0, n = WORLD_TRIPLETS;

	while (n > 0) {
		if (w->v[from + n / 2].id.imei < imei) {
			from += n / 2 + 1;
			n -= n / 2 + 1;
		} else {
			n /= 2;
		}
	}
	return from;
}

static void log_touched(void *ctx, const uint64_t *imeis, size_t n)
{
	struct touch_log *l = ctx;

	for (size_t i = 0; i < n; i++) {
		if (i)
			assert_true(imeis[i] > imeis[i - 1]);
		l->imeis[first_of(l->m->w, imeis[i])] = true;
	}
}

/* What the delivery must come to; and the model learns it. */
static void expect_apply(struct model *m, const struct planned *p, bool full, struct triplets_counts *c, struct touch_log *l)
{
	static struct triplet_episode episodes[WORLD_HOURS], other[WORLD_HOURS];
	static struct world delivered;
	struct world *w = m->w, *d = &delivered;
	uint32_t min_s = UINT32_MAX, max_s = 0;
	struct triplet known, fresh;

	for (unsigned n = 0; n < WORLD_TRIPLETS; n++) {
		if (d->v[n].seen)
			memset(d->v[n].hours, 0, sizeof(d->v[n].hours));
		d->v[n].seen = false;
		d->v[n].id = w->v[n].id;
		d->v[n].op = w->v[n].op;
	}
	*c = (struct triplets_counts){.rows = p->n};
	for (size_t i = 0; i < p->n; i++) {
		world_see(d, p->rows[i].triplet, p->rows[i].hour, p->rows[i].event, p->rows[i].rat, str_of(cells[p->rows[i].cell]));
		uint32_t at_s = WORLD_BEGIN_S + p->rows[i].hour * 3600;
		min_s = at_s < min_s ? at_s : min_s;
		max_s = at_s > max_s ? at_s : max_s;
	}
	for (unsigned n = 0; n < WORLD_TRIPLETS; n++) {
		if (!d->v[n].seen && !full)
			continue;
		bool had = world_expect(&w->v[n], &known, episodes);
		bool has = world_expect(&d->v[n], &fresh, other);
		bool returned = had && has && fresh.episode_s > known.last_s && fresh.episode_s - known.last_s > WORLD_GAP_DAYS * WORLD_DAY_S;
		c->distinct += has;
		c->fresh += has && !had;
		c->again += has && had;
		c->returned += returned;
		c->gone += full && had && !has && w->v[n].op == p->op && w->full[p->op].known && known.first_s <= w->full[p->op].max_s &&
			   known.last_s >= w->full[p->op].min_s;
		if (has && (!had || returned))
			l->imeis[first_of(w, fresh.imei)] = true;
	}
	for (size_t i = 0; i < p->n; i++)
		world_see(w, p->rows[i].triplet, p->rows[i].hour, p->rows[i].event, p->rows[i].rat, str_of(cells[p->rows[i].cell]));
	if (full && p->n) {
		w->full[p->op].known = true;
		w->full[p->op].min_s = min_s;
		w->full[p->op].max_s = max_s;
	}
}

static void apply(struct model *m)
{
	unsigned i = pick(m, STAGED_MAX);
	struct planned *p = m->staged[i];
	struct triplets_counts counts = {0}, must;
	static struct touch_log is, want;

	if (!p)
		return;
	if (p->applied) {
		assert_int_equal(triplets_apply(m->t, p->id, false, NULL, NULL, &counts), CEIR_EEXIST);
		assert_memory_equal(&counts, &p->counts, sizeof(counts));
		assert_int_equal(triplets_forget(m->t, p->id), CEIR_OK);
		assert_int_equal(triplets_apply(m->t, p->id, false, NULL, NULL, &counts), CEIR_ENOENT);
		assert_int_equal(triplets_forget(m->t, p->id), CEIR_ENOENT);
		free(p);
		m->staged[i] = NULL;
		return;
	}
	bool full = pick(m, 3) == 0;
	memset(&is, 0, sizeof(is));
	memset(&want, 0, sizeof(want));
	is.m = want.m = m;
	assert_int_equal(triplets_apply(m->t, p->id, full, log_touched, &is, &counts), CEIR_OK);
	expect_apply(m, p, full, &must, &want);
	assert_int_equal(counts.rows, must.rows);
	assert_int_equal(counts.distinct, must.distinct);
	assert_int_equal(counts.fresh, must.fresh);
	assert_int_equal(counts.again, must.again);
	assert_int_equal(counts.returned, must.returned);
	assert_int_equal(counts.gone, must.gone);
	assert_memory_equal(is.imeis, want.imeis, sizeof(is.imeis));
	p->applied = true;
	p->counts = counts;
}

/* ---- sightings --------------------------------------------------------------------------------------------------- */

static void sight(struct model *m)
{
	struct planned *p = calloc(1, sizeof(*p));
	static struct sighting s[ROWS_MAX];
	static struct str c[ROWS_MAX];
	static struct touch_log is, want;
	struct triplets_counts must;
	bool with_cells = pick(m, 2);

	assert_non_null(p);
	plan(m, p);
	for (size_t i = 0; i < p->n; i++) {
		s[i] = world_sighting(m->w, p->rows[i].triplet, p->rows[i].hour, p->rows[i].event, p->rows[i].rat);
		if (!with_cells)
			p->rows[i].cell = 0;
		c[i] = str_of(cells[p->rows[i].cell]);
	}
	memset(&is, 0, sizeof(is));
	memset(&want, 0, sizeof(want));
	is.m = want.m = m;
	m->batch_op[++m->batch & 0xffff] = p->op;
	assert_int_equal(triplets_sight(m->t, p->op, m->batch, s, with_cells ? c : NULL, p->n, log_touched, &is), CEIR_OK);
	expect_apply(m, p, false, &must, &want);
	assert_memory_equal(is.imeis, want.imeis, sizeof(is.imeis));
	uint64_t old = m->batch > 40 && pick(m, 4) == 0 ? m->batch - pick(m, 40) : 0;
	if (old) /* taken before: changes nothing, whatever is in it */
		assert_int_equal(triplets_sight(m->t, m->batch_op[old & 0xffff], old, s, NULL, p->n / 2, NULL, NULL), CEIR_EEXIST);
	m->rows += p->n;
	free(p);
}

/* ---- look-ups ---------------------------------------------------------------------------------------------------- */

struct check {
	const struct world *w;
	int which;          /* 0 IMEI, 1 IMSI, 2 MSISDN, 3 all between from and to */
	uint64_t key, to;
	unsigned at, given; /* the next triplet of the model that may come */
	struct triplet last;
};

static bool is_wanted(const struct check *c, const struct known *k)
{
	if (!k->seen)
		return false;
	if (c->which == 3)
		return k->id.imei >= c->key && k->id.imei <= c->to;
	return c->key == (c->which == 0 ? k->id.imei : c->which == 1 ? k->id.imsi : k->id.msisdn);
}

static void skip_to_wanted(struct check *c)
{
	while (c->at < WORLD_TRIPLETS && !is_wanted(c, &c->w->v[c->at]))
		c->at++;
}

static enum ceir_err check_row(void *ctx, const struct triplet *t)
{
	static struct triplet_episode episodes[WORLD_HOURS];
	struct check *c = ctx;
	struct triplet must;

	skip_to_wanted(c);
	assert_true(c->at < WORLD_TRIPLETS);
	assert_true(world_expect(&c->w->v[c->at++], &must, episodes));
	world_same(t, &must);
	c->given++;
	c->last = *t;
	return CEIR_OK;
}

static enum ceir_err check_rows(void *ctx, const struct triplet *rows, size_t n)
{
	for (size_t i = 0; i < n; i++)
		assert_int_equal(check_row(ctx, &rows[i]), CEIR_OK);
	return CEIR_OK;
}

static void no_more(struct check *c)
{
	skip_to_wanted(c);
	assert_int_equal(c->at, WORLD_TRIPLETS);
}

static void look_up(const struct world *w, struct triplets_view *v, unsigned which, const struct known *k)
{
	struct check c = {.w = w, .which = (int)which};

	if (which == 0) {
		c.key = k->id.imei;
		assert_int_equal(triplets_by_imei(v, c.key, NULL, 0, check_row, &c), CEIR_OK);
	} else if (which == 1) {
		c.key = k->id.imsi;
		assert_int_equal(triplets_by_imsi(v, c.key, 0, check_row, &c), CEIR_OK);
	} else {
		c.key = k->id.msisdn;
		if (c.key == 0)
			return;
		assert_int_equal(triplets_by_msisdn(v, c.key, 0, check_row, &c), CEIR_OK);
	}
	no_more(&c);
}

static void page(struct model *m, struct triplets_view *v, const struct known *k)
{
	struct check c = {.w = m->w, .which = 0, .key = k->id.imei};
	uint32_t limit = 1 + pick(m, 20);
	unsigned before;

	assert_int_equal(triplets_by_imei(v, c.key, NULL, limit, check_row, &c), CEIR_OK);
	do {
		struct triplet last = c.last;
		before = c.given;
		if (before)
			assert_int_equal(triplets_by_imei(v, c.key, &last, limit, check_row, &c), CEIR_OK);
	} while (c.given == before + limit);
	no_more(&c);
}

static void look_ups(struct model *m)
{
	struct triplets_view *v = triplets_view_new(m->t);

	assert_non_null(v);
	for (unsigned i = 0; i < 40; i++, m->lookups++) {
		const struct known *k = &m->w->v[pick(m, WORLD_TRIPLETS)];
		if (i % 8 == 7)
			page(m, v, k);
		else
			look_up(m->w, v, pick(m, 3), k);
	}
	triplets_view_free(v);
}

struct pair_check {
	uint64_t (*v)[2];
	size_t n, at;
};

static int pair_cmp(const void *a, const void *b)
{
	const uint64_t *x = a, *y = b;

	if (x[0] != y[0])
		return x[0] < y[0] ? -1 : 1;
	return x[1] < y[1] ? -1 : x[1] > y[1];
}

static enum ceir_err check_pairs(void *ctx, const uint64_t *first, const uint64_t *second, size_t n)
{
	struct pair_check *c = ctx;

	for (size_t i = 0; i < n; i++) {
		assert_true(c->at < c->n);
		assert_int_equal(first[i], c->v[c->at][0]);
		assert_int_equal(second[i], c->v[c->at++][1]);
		while (c->at < c->n && pair_cmp(c->v[c->at], c->v[c->at - 1]) == 0)
			c->at++;
	}
	return CEIR_OK;
}

static void scan_pairs(struct model *m, struct triplets_view *v, enum triplets_tree tree)
{
	static uint64_t pairs[WORLD_TRIPLETS][2];
	struct pair_check c = {.v = pairs};
	uint64_t from = 0, to = UINT64_MAX;

	if (pick(m, 2)) {
		const struct sighting *s = &m->w->v[pick(m, WORLD_TRIPLETS)].id;
		from = tree == TRIPLETS_IMSI_IMEI ? s->imsi : s->msisdn;
		to = from + pick(m, 60);
	}
	for (unsigned i = 0; i < WORLD_TRIPLETS; i++) {
		const struct known *k = &m->w->v[i];
		uint64_t first = tree == TRIPLETS_IMSI_IMEI ? k->id.imsi : k->id.msisdn;
		if (!k->seen || first < from || first > to || first == 0)
			continue;
		pairs[c.n][0] = first;
		pairs[c.n++][1] = tree == TRIPLETS_IMSI_IMEI ? k->id.imei : k->id.imsi;
	}
	qsort(pairs, c.n, sizeof(*pairs), pair_cmp);
	assert_int_equal(triplets_scan_pairs(v, tree, from, to, check_pairs, &c), CEIR_OK);
	assert_int_equal(c.at, c.n);
}

static void scan(struct model *m)
{
	struct triplets_view *v = triplets_view_new(m->t);
	uint64_t bounds[9];
	unsigned parts = 1 + pick(m, 8);
	struct check c = {.w = m->w, .which = 3, .to = UINT64_MAX};

	assert_non_null(v);
	triplets_split(v, parts, bounds);
	for (unsigned i = 0; i < parts; i++) {
		assert_true(bounds[i] <= bounds[i + 1]);
		if (bounds[i] < bounds[i + 1])
			assert_int_equal(triplets_scan(v, bounds[i], bounds[i + 1] - 1, check_rows, &c), CEIR_OK);
	}
	no_more(&c);
	uint64_t a = m->w->v[pick(m, WORLD_TRIPLETS)].id.imei, b = m->w->v[pick(m, WORLD_TRIPLETS)].id.imei;
	c = (struct check){.w = m->w, .which = 3, .key = a < b ? a : b, .to = a < b ? b : a};
	assert_int_equal(triplets_scan(v, c.key, c.to, check_rows, &c), CEIR_OK);
	no_more(&c);
	scan_pairs(m, v, TRIPLETS_IMSI_IMEI);
	scan_pairs(m, v, TRIPLETS_MSISDN_IMSI);
	triplets_view_free(v);
}

/* ---- the whole --------------------------------------------------------------------------------------------------- */

/* A view that is held while the store changes, and the world of its time. */
struct held {
	struct triplets_view *v;
	struct world *w;
};

static void hold(struct model *m, struct held *h)
{
	h->v = triplets_view_new(m->t);
	h->w = malloc(sizeof(*h->w));
	assert_non_null(h->v);
	assert_non_null(h->w);
	memcpy(h->w, m->w, sizeof(*h->w));
}

static void release(struct model *m, struct held *h)
{
	struct check c = {.w = h->w, .which = 3, .to = UINT64_MAX};

	if (!h->v)
		return;
	for (unsigned i = 0; i < 20; i++)
		look_up(h->w, h->v, pick(m, 3), &m->w->v[pick(m, WORLD_TRIPLETS)]);
	assert_int_equal(triplets_scan(h->v, 0, UINT64_MAX, check_rows, &c), CEIR_OK);
	no_more(&c);
	triplets_view_free(h->v);
	free(h->w);
	*h = (struct held){0};
}

static void step(struct model *m, struct held *h)
{
	unsigned what = pick(m, 100);

	if (what < 25) {
		struct planned *p = malloc(sizeof(*p));
		assert_non_null(p);
		plan(m, p);
		stage(m, p);
	} else if (what < 50) {
		apply(m);
	} else if (what < 75) {
		sight(m);
	} else if (what < 95) {
		look_ups(m);
	} else if (what < 97) {
		scan(m);
	} else if (what < 98) {
		if (h->v)
			release(m, h);
		else
			hold(m, h);
	} else if (what < 99) {
		release(m, h);
		triplets_close(m->t);
		if (pick(m, 3) == 0)
			world_verify(m->dir);
		open_store(m);
	} else if (pick(m, 3) == 0) {
		struct triplets_stats s;
		assert_int_equal(triplets_compact(m->t), CEIR_OK);
		triplets_get_stats(m->t, &s);
		assert_true(s.segments[0] <= 1 && s.segments[1] <= 1 && s.segments[2] <= 1);
		assert_int_equal(s.memory_rows, 0);
	}
}

static void test_model(void **state)
{
	static struct model m;
	const char *text = getenv("CEIR_STEPS");
	unsigned steps = text ? (unsigned)strtoul(text, NULL, 10) : STEPS;
	struct held h = {0};

	(void)state;
	m.seed = world_seed();
	m.dir = world_folder();
	m.w = world_new(m.seed);
	open_store(&m);
	for (unsigned i = 0; i < steps; i++)
		step(&m, &h);
	release(&m, &h);
	scan(&m);
	struct triplets_stats st;
	triplets_get_stats(m.t, &st);
	printf("%llu segments, %llu merges since the last start\n", (unsigned long long)(st.segments[0] + st.segments[1] + st.segments[2]),
		(unsigned long long)st.merges);
	triplets_close(m.t);
	world_verify(m.dir);
	printf("%llu rows, %llu look-ups\n", (unsigned long long)m.rows, (unsigned long long)m.lookups);
	for (unsigned i = 0; i < STAGED_MAX; i++)
		free(m.staged[i]);
	free(m.w);
	world_remove(m.dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_model)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/*
 * classify_over.c - what conditions ask of other IMEIs (rotation, sim-swap), answered from the triplets.
 *
 * Nearly every IMSI was seen with a few IMEIs and nearly every MSISDN with one IMSI, and a look into the store costs
 * microseconds. When prepared, one scan of the pairs marks the others: a list of them, ascending as the pairs are, with how
 * many there are of each, and a bitmap small enough for the processor's cache that tells for most of the rest that they are
 * not in the list. Should the list become too long it is given up, and whatever has its bit is looked at.
 */
#include "classify/classify_internal.h"

#include <stdlib.h>
#include <string.h>

#define IMEIS_MARKED 4u        /* IMSIs of so many IMEIs are marked */
#define IMSIS_MARKED 2u        /* MSISDNs of so many IMSIs */
#define KEYS_MAX ((size_t)8 << 20) /* 64 MB a list */
#define BITS_OF_KEY 16u
#define BITS_MAX 27u           /* 16 MB a bitmap */
#define COUNT_SHIFT 56u        /* keys of IMSIs and MSISDNs have 54 bits */
#define COUNT_MAX 255u
#define KEY_MASK ((UINT64_C(1) << COUNT_SHIFT) - 1)
#define SWAP_ROWS 128u         /* triplets of one MSISDN that are compared; a person has a handful */

struct marks {
	uint64_t *words;           /* bit of each key's hash */
	unsigned bits;             /* of a hash */
	uint64_t *keys;            /* count << COUNT_SHIFT | key, by key; NULL: there were too many */
	size_t n, cap, max;
};

struct classify_over {
	pthread_mutex_t lock;      /* of the view, which serves one thread, and of what makes the marks */
	struct triplets_view *view;
	bool wanted;               /* marks; constant */
	_Atomic bool ready;        /* set (release) when the marks are made: from then on they are read without the lock */
	struct marks imsis, msisdns;
	enum ceir_err err;
};

/* ---- marks ----------------------------------------------------------------------------------------------------------- */

static uint64_t hash_of(uint64_t key)
{
	key = (key ^ key >> 32) * 0x9e3779b97f4a7c15u;
	return (key ^ key >> 29) * 0xbf58476d1ce4e5b9u;
}

static void set_bit(struct marks *m, uint64_t key)
{
	uint64_t bit = hash_of(key) >> (64 - m->bits);
	m->words[bit / 64] |= UINT64_C(1) << bit % 64;
}

/* How many a marked key has; COUNT_MAX: it must be looked at. 0: fewer than are marked. */
static unsigned marks_find(const struct marks *m, uint64_t key)
{
	uint64_t bit = hash_of(key) >> (64 - m->bits);
	if (!(m->words[bit / 64] >> bit % 64 & 1))
		return 0;
	if (!m->keys)
		return COUNT_MAX;
	size_t low = 0, high = m->n;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if ((m->keys[middle] & KEY_MASK) < key)
			low = middle + 1;
		else
			high = middle;
	}
	return low < m->n && (m->keys[low] & KEY_MASK) == key ? (unsigned)(m->keys[low] >> COUNT_SHIFT) : 0;
}

/* The bitmap of the keys of the list. */
static enum ceir_err marks_make_bitmap(struct marks *m)
{
	m->bits = 16;
	while (m->bits < BITS_MAX && UINT64_C(1) << m->bits < m->n * BITS_OF_KEY)
		m->bits++;
	m->words = calloc((UINT64_C(1) << m->bits) / 64, sizeof *m->words);
	if (!m->words)
		return CEIR_ENOMEM;
	for (size_t i = 0; i < m->n; i++)
		set_bit(m, m->keys[i] & KEY_MASK);
	return CEIR_OK;
}

static enum ceir_err marks_add(struct marks *m, uint64_t key, unsigned count)
{
	if (m->words) { /* the list was given up */
		set_bit(m, key);
		return CEIR_OK;
	}
	if (m->n == m->max) {
		enum ceir_err err = marks_make_bitmap(m);
		if (err)
			return err;
		free(m->keys);
		m->keys = NULL;
		set_bit(m, key);
		return CEIR_OK;
	}
	if (m->n == m->cap) {
		size_t cap = m->cap ? 2 * m->cap : 1024;
		uint64_t *keys = realloc(m->keys, cap * sizeof *keys);
		if (!keys)
			return CEIR_ENOMEM;
		m->keys = keys;
		m->cap = cap;
	}
	m->keys[m->n++] = (uint64_t)count << COUNT_SHIFT | key;
	return CEIR_OK;
}

/* One tree, on a thread of its own or not. */
struct marking {
	struct triplets_view *view;
	enum triplets_tree tree;
	struct marks *marks;
	unsigned wanted;
	uint64_t key;
	unsigned seen;             /* of key */
	enum ceir_err err;
};

static enum ceir_err marking_end_key(struct marking *m)
{
	return m->seen >= m->wanted ? marks_add(m->marks, m->key, m->seen < COUNT_MAX ? m->seen : COUNT_MAX) : CEIR_OK;
}

static enum ceir_err mark_pairs(void *ctx, const uint64_t *first, const uint64_t *second, size_t n)
{
	struct marking *m = ctx;
	(void)second; /* each pair comes once: counting them is enough */
	for (size_t i = 0; i < n; i++) {
		if (first[i] == m->key) {
			m->seen++;
			continue;
		}
		enum ceir_err err = marking_end_key(m);
		if (err)
			return err;
		m->key = first[i];
		m->seen = 1;
	}
	return CEIR_OK;
}

static void *mark_tree(void *arg)
{
	struct marking *m = arg;
	m->err = triplets_scan_pairs(m->view, m->tree, 0, UINT64_MAX, mark_pairs, m);
	if (!m->err)
		m->err = marking_end_key(m);
	if (!m->err && !m->marks->words) {
		if (!m->marks->keys)
			m->marks->keys = malloc(sizeof *m->marks->keys); /* an empty list, not one that was given up */
		m->err = m->marks->keys ? marks_make_bitmap(m->marks) : CEIR_ENOMEM;
	}
	return NULL;
}

struct classify_over *classify_over_new(struct triplets_view *view, bool prepared)
{
	struct classify_over *o = calloc(1, sizeof *o);
	if (!o)
		return NULL;
	pthread_mutex_init(&o->lock, NULL);
	o->view = view;
	o->wanted = prepared;
	class_over_limit(o, KEYS_MAX);
	return o;
}

void class_over_limit(struct classify_over *o, size_t keys)
{
	o->imsis.max = o->msisdns.max = keys;
}

static void marks_free(struct marks *m)
{
	free(m->words);
	free(m->keys);
}

void classify_over_free(struct classify_over *o)
{
	if (!o)
		return;
	pthread_mutex_destroy(&o->lock);
	marks_free(&o->imsis);
	marks_free(&o->msisdns);
	free(o);
}

enum ceir_err classify_over_error(struct classify_over *o)
{
	pthread_mutex_lock(&o->lock);
	enum ceir_err err = o->err;
	pthread_mutex_unlock(&o->lock);
	return err;
}

/* Under the lock. */
static void note_error(struct classify_over *o, enum ceir_err err)
{
	if (!err || o->err)
		return;
	o->err = err;
	log_error("classify", "triplets of other IMEIs cannot be looked at, conditions that ask for them do not match: %s",
		ceir_err_text(err));
}

static bool is_ready(struct classify_over *o)
{
	return atomic_load_explicit(&o->ready, memory_order_acquire);
}

/* Both trees at once: those who ask wait for it. Scans of one view may share it. */
static enum ceir_err make_marks(struct classify_over *o)
{
	struct marking imsis = {.view = o->view, .tree = TRIPLETS_IMSI_IMEI, .marks = &o->imsis, .wanted = IMEIS_MARKED};
	struct marking msisdns = {.view = o->view, .tree = TRIPLETS_MSISDN_IMSI, .marks = &o->msisdns, .wanted = IMSIS_MARKED};
	pthread_t thread;
	bool started = thread_start("marks", mark_tree, &msisdns, &thread) == CEIR_OK;
	mark_tree(&imsis);
	if (started)
		pthread_join(thread, NULL);
	else
		mark_tree(&msisdns);
	return imsis.err ? imsis.err : msisdns.err;
}

/* Under the lock, before an answer. false: there is none to be had. */
static bool prepare(struct classify_over *o)
{
	if (o->wanted && !is_ready(o) && !o->err) {
		enum ceir_err err = make_marks(o);
		atomic_store_explicit(&o->ready, !err, memory_order_release);
		note_error(o, err);
	}
	return !o->err;
}

/* ---- IMEIs of one IMSI ---------------------------------------------------------------------------------------------- */

struct imeis {
	uint64_t last;
	uint32_t from_s;
	unsigned n, max;
};

static enum ceir_err count_imei(void *ctx, const struct triplet *row)
{
	struct imeis *c = ctx;
	if (row->last_s < c->from_s || row->imei == c->last)
		return CEIR_OK;
	c->last = row->imei;
	return ++c->n >= c->max ? CEIR_ECLOSED : CEIR_OK; /* enough */
}

/*
 * Is it known without a look that there are fewer than max? *n is then how many there ever were (of an IMSI that is not marked: at
 * most), which is good enough: below max.
 */
static bool fewer_imeis(struct classify_over *o, uint64_t imsi, unsigned max, unsigned *n)
{
	if (max < IMEIS_MARKED || !is_ready(o))
		return false;
	unsigned count = marks_find(&o->imsis, imsi);
	*n = count ? count : IMEIS_MARKED - 1;
	return *n < max && *n < COUNT_MAX;
}

static unsigned imeis_of_imsi(void *ctx, uint64_t imsi, uint32_t from_s, unsigned max)
{
	struct classify_over *o = ctx;
	struct imeis c = {.last = UINT64_MAX, .from_s = from_s, .max = max};
	if (max == 0 || fewer_imeis(o, imsi, max, &c.n))
		return c.n;
	c.n = 0;
	pthread_mutex_lock(&o->lock);
	if (prepare(o) && !fewer_imeis(o, imsi, max, &c.n)) {
		c.n = 0;
		enum ceir_err err = triplets_by_imsi(o->view, imsi, CLASSIFY_LOOK_ROWS, count_imei, &c);
		if (err != CEIR_ECLOSED)
			note_error(o, err);
	}
	pthread_mutex_unlock(&o->lock);
	return c.n;
}

/* ---- swaps of one MSISDN -------------------------------------------------------------------------------------------- */

struct swap_rows {
	unsigned n;
	struct {
		uint64_t imei, imsi;
		uint32_t first_s;
	} row[SWAP_ROWS];
};

static enum ceir_err keep_row(void *ctx, const struct triplet *row)
{
	struct swap_rows *s = ctx;
	if (s->n == SWAP_ROWS)
		return CEIR_ECLOSED;
	s->row[s->n].imei = row->imei;
	s->row[s->n].imsi = row->imsi;
	s->row[s->n++].first_s = row->first_s;
	return CEIR_OK;
}

/*
 * Since when the MSISDN has the IMSI and the IMEI of row i, and whether it had others before. A swap is a new IMSI and a new
 * IMEI, used with each other, that came within within_s of each other.
 */
static bool row_is_swap(const struct swap_rows *s, unsigned i, uint32_t within_s, uint32_t from_s)
{
	uint32_t imsi_s = UINT32_MAX, imei_s = UINT32_MAX;
	bool other_imsi = false, other_imei = false;
	for (unsigned k = 0; k < s->n; k++) {
		if (s->row[k].imsi == s->row[i].imsi && s->row[k].first_s < imsi_s)
			imsi_s = s->row[k].first_s;
		if (s->row[k].imei == s->row[i].imei && s->row[k].first_s < imei_s)
			imei_s = s->row[k].first_s;
	}
	for (unsigned k = 0; k < s->n; k++) {
		other_imsi |= s->row[k].imsi != s->row[i].imsi && s->row[k].first_s < imsi_s;
		other_imei |= s->row[k].imei != s->row[i].imei && s->row[k].first_s < imei_s;
	}
	uint32_t later = imsi_s > imei_s ? imsi_s : imei_s, earlier = imsi_s > imei_s ? imei_s : imsi_s;
	return other_imsi && other_imei && later - earlier <= within_s && later >= from_s;
}

static bool swapped(void *ctx, uint64_t msisdn, uint32_t within_s, uint32_t from_s)
{
	struct classify_over *o = ctx;
	struct swap_rows s;
	s.n = 0;
	if (is_ready(o) && !marks_find(&o->msisdns, msisdn))
		return false;
	pthread_mutex_lock(&o->lock);
	if (prepare(o) && (!is_ready(o) || marks_find(&o->msisdns, msisdn))) {
		enum ceir_err err = triplets_by_msisdn(o->view, msisdn, CLASSIFY_LOOK_ROWS, keep_row, &s);
		if (err != CEIR_ECLOSED)
			note_error(o, err);
	}
	pthread_mutex_unlock(&o->lock);
	for (unsigned i = 0; i < s.n; i++)
		if (row_is_swap(&s, i, within_s, from_s))
			return true;
	return false;
}

void classify_tables_over(struct classify_over *o, struct policy_tables *tables)
{
	tables->imeis_of_imsi = imeis_of_imsi;
	tables->swapped = swapped;
	tables->ctx = o;
}

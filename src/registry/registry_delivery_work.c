/*
 * registry_delivery_work.c - deliveries are applied: one thread takes those received and released in the order of their numbers.
 *
 * The steps, and what a crash between them leaves: (1) the row says received, the triplet store has it staged; (2) the store applies
 * it and remembers that; (3) the row says applied, with counts; (4) the store may forget; (5) the classification is told. A crash
 * before (3): it is applied again and the store answers with the counts of then. Before (4): forgotten at the next start. Before
 * (5): told at the next start.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "registry/registry_delivery.h"

#define ROOM "delivery"
#define WORK_ARENA (16u << 20)
#define GATHER_MS 10000u
#define GATHER_STEP_MS 50u
#define HOLD_S 60
#define WAIT_MS 60000
#define RETRY_MS 5000
#define STAGED_MAX 4096
#define TELL_LAST 256          /* deliveries looked at after a start: were they forgotten, and classified? */
#define RUN_ROWS 100000        /* from here on the whole country is classified, not the IMEIs touched */

/* ---- waiting ---- */

static void until(struct timespec *t, unsigned ms)
{
	clock_gettime(CLOCK_MONOTONIC, t);
	t->tv_sec += ms / 1000;
	t->tv_nsec += (long)(ms % 1000) * 1000000;
	if (t->tv_nsec >= 1000000000) {
		t->tv_sec++;
		t->tv_nsec -= 1000000000;
	}
}

bool intake_wait(struct reg_intake *in, unsigned ms, bool for_work)
{
	struct timespec t;

	until(&t, ms);
	pthread_mutex_lock(&in->lock);
	while (!in->stop && !(for_work && in->due))
		if (pthread_cond_timedwait(&in->wake, &in->lock, &t))
			break;
	if (for_work)
		in->due = false;
	bool go_on = !in->stop;
	pthread_mutex_unlock(&in->lock);
	return go_on;
}

void reg_intake_wake(struct registry *r)
{
	struct reg_intake *in = r->intake;

	pthread_mutex_lock(&in->lock);
	in->due = true;
	pthread_cond_broadcast(&in->wake);
	pthread_mutex_unlock(&in->lock);
}

/* ---- finding ---- */

struct found {
	struct arena *arena;
	struct store_val row[DELIVERY_N];
	bool any;
};

static enum ceir_err keep(void *ctx, const struct store_val *row)
{
	struct found *f = ctx;

	f->any = true;
	for (int i = 0; i < DELIVERY_N; i++) {
		f->row[i] = row[i];
		if (row[i].type != STORE_INT && !row[i].null && !(f->row[i].s = arena_str(f->arena, row[i].s)).p)
			return CEIR_ENOMEM;
	}
	return CEIR_OK;
}

static enum ceir_err first_of(struct store_conn *db, const char *status, int64_t behind, struct found *f)
{
	struct store_filter is[] = {{DELIVERY_STATUS, STORE_EQ, store_text(str_of(status))}, {DELIVERY_ID, STORE_GT, store_int(behind)}};
	struct store_query q = {.table = &STORE_DELIVERY, .filters = is, .n_filters = 2, .limit = 1};

	return store_select(db, &q, keep, f);
}

/* The delivery with the lowest number behind that one that waits to be applied. */
static enum ceir_err find_next(struct reg_intake *in, struct arena *arena, int64_t behind, struct found *f)
{
	struct found released = {.arena = arena};
	struct store_conn *db = store_reader(in->r->store);
	enum ceir_err err = db ? first_of(db, "received", behind, f) : CEIR_ESTORE;

	if (!err)
		err = first_of(db, "released", behind, &released);
	store_reader_done(in->r->store, db);
	if (!err && released.any && (!f->any || released.row[DELIVERY_ID].i < f->row[DELIVERY_ID].i))
		*f = released;
	return err;
}

/* Deliveries that are applied together: the merge of one large delivery serves all that wait. Each of another operator. */
struct batch {
	struct found found[TRIPLETS_APPLY_MAX];
	struct triplets_item items[TRIPLETS_APPLY_MAX];
	size_t n;
};

static bool has_operator(const struct batch *b, struct str code)
{
	for (size_t i = 0; i < b->n; i++)
		if (str_eq(b->found[i].row[DELIVERY_OPERATOR].s, code))
			return true;
	return false;
}

/* In the order in which they came; of one operator only the first, the next one comes after it. */
static enum ceir_err find_batch(struct reg_intake *in, struct arena *arena, struct batch *b)
{
	int64_t behind = in->behind;
	enum ceir_err err = CEIR_OK;

	for (b->n = 0; b->n < TRIPLETS_APPLY_MAX && !err;) {
		struct found *f = &b->found[b->n];

		*f = (struct found){.arena = arena};
		err = find_next(in, arena, behind, f);
		if (err || !f->any)
			break;
		behind = f->row[DELIVERY_ID].i;
		if (!has_operator(b, f->row[DELIVERY_OPERATOR].s))
			b->n++;
	}
	return err;
}

/* ---- applying ---- */

struct applied {
	int64_t id;
	struct triplets_counts counts;
	bool lost;
};

static enum ceir_err set_usual(struct exec *x, const struct store_val *delivery)
{
	struct store_val row[OPERATOR_N];
	enum ceir_err err;

	if (!reg_find(x, &STORE_OPERATOR, delivery[DELIVERY_OPERATOR].s, row, &err))
		return err;
	row[OPERATOR_USUAL] = delivery[DELIVERY_LINES];
	return store_update(x->db, &STORE_OPERATOR, row[OPERATOR_ID].i, 1u << OPERATOR_USUAL, row);
}

static enum ceir_err record(struct exec *x)
{
	const struct applied *a = x->arg;
	struct store_val row[DELIVERY_N];
	uint32_t mask = 1u << DELIVERY_STATUS;
	enum ceir_err err = store_get(x->db, &STORE_DELIVERY, DELIVERY_ID, store_int(a->id), x->arena, row);

	if (err)
		return err;
	x->transaction = row[DELIVERY_TX].i;
	if (a->lost) {
		/* Cannot happen but by a hand in the folder; waiting for ever would not bring it back. */
		row[DELIVERY_STATUS] = store_text(STR("refused"));
		row[DELIVERY_GROUND] = store_text(STR("The staged data is gone; deliver again under another id"));
		return store_update(x->db, &STORE_DELIVERY, a->id, mask | 1u << DELIVERY_GROUND, row);
	}
	row[DELIVERY_STATUS] = store_text(STR("applied"));
	row[DELIVERY_FRESH] = store_int((int64_t)a->counts.fresh);
	row[DELIVERY_AGAIN] = store_int((int64_t)a->counts.again);
	row[DELIVERY_RETURNED] = store_int((int64_t)a->counts.returned);
	row[DELIVERY_GONE] = store_int((int64_t)a->counts.gone);
	row[DELIVERY_APPLIED_AT] = store_int(x->now_us);
	mask |= 1u << DELIVERY_FRESH | 1u << DELIVERY_AGAIN | 1u << DELIVERY_RETURNED | 1u << DELIVERY_GONE | 1u << DELIVERY_APPLIED_AT;
	err = store_update(x->db, &STORE_DELIVERY, a->id, mask, row);
	return err || !reg_val_is(row[DELIVERY_KIND], "full") ? err : set_usual(x, row);
}

/* What a delivery touched, kept until it can be seen: the classification would look too early. */
struct touched {
	struct registry *r;
	uint64_t *imeis;
	size_t n, cap;
	bool run;              /* the whole country is looked at: only those that are grey now, for the lists */
	bool lost;             /* memory was out: all are looked at */
};

static void note_touched(void *ctx, const uint64_t *imeis, size_t n)
{
	struct touched *t = ctx;

	if (n > t->cap - t->n) {
		size_t cap = t->cap + n > 2 * t->cap ? t->cap + n : 2 * t->cap;
		uint64_t *more = t->lost ? NULL : realloc(t->imeis, cap * sizeof *more);

		t->lost = !more;
		if (!more)
			return;
		t->imeis = more;
		t->cap = cap;
	}
	memcpy(t->imeis + t->n, imeis, n * sizeof *imeis);
	t->n += t->run ? reg_class_grey(t->r, t->imeis + t->n, n) : n;
}

/* So much that the whole country is looked at anew, whatever it touches? */
static bool is_large(struct registry *r, const struct store_val *row)
{
	uint64_t rows = (uint64_t)row[DELIVERY_TAKEN].i;
	struct triplets_stats st;

	triplets_get_stats(r->triplets, &st);
	return reg_val_is(row[DELIVERY_KIND], "full") || rows > RUN_ROWS || rows > st.triplets / 100;
}

static int by_key(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

/* The row says applied: the store may forget, the classification begins. */
static void tell(struct registry *r, const struct store_val *row, struct touched *t, bool run)
{
	enum ceir_err err = triplets_forget(r->triplets, delivery_staged(row));

	if (err && err != CEIR_ENOENT)
		log_warn(ROOM, "delivery %.*s is remembered as applied until the next start: %s", (int)row[DELIVERY_CODE].s.n,
			row[DELIVERY_CODE].s.p, ceir_err_text(err));
	if (t->n) {
		/* Ascending in each part only. */
		qsort(t->imeis, t->n, sizeof *t->imeis, by_key);
		reg_class_touched(r, t->imeis, t->n);
	}
	reg_class_delivered(r, row[DELIVERY_ID].i, run);
}

static void complain(struct reg_intake *in, const struct store_val *row, enum ceir_err err)
{
	if (in->logged_id == row[DELIVERY_ID].i && in->logged_err == err)
		return;
	in->logged_id = row[DELIVERY_ID].i;
	in->logged_err = err;
	log_error(ROOM, "delivery %.*s cannot be applied now: %s; it is tried again", (int)row[DELIVERY_CODE].s.n, row[DELIVERY_CODE].s.p,
		ceir_err_text(err));
}

/* One of them, after they were applied. run: the whole country is looked at. */
static enum ceir_err finish(struct reg_intake *in, struct arena *arena, const struct store_val *row, const struct triplets_item *item,
	struct touched *t, bool run, int64_t begun)
{
	struct applied a = {.id = row[DELIVERY_ID].i, .counts = item->counts, .lost = item->err == CEIR_ENOENT};
	enum ceir_err err = item->err;

	if (a.lost)
		log_error(ROOM, "the staged data of delivery %.*s is gone", (int)row[DELIVERY_CODE].s.n, row[DELIVERY_CODE].s.p);
	if (!err || err == CEIR_EEXIST || a.lost)
		err = reg_write(in->r, arena, record, &a, false);
	if (err || a.lost)
		return err;
	/* Applied before a crash: which IMEIs it touched is not known any more. */
	tell(in->r, row, t, run || item->err == CEIR_EEXIST);
	t->n = 0; /* told once, whichever of them touched them */
	log_info(ROOM, "%.*s of %.*s: %" PRIu64 " triplets, %" PRIu64 " new, %" PRIu64 " gone, applied in %" PRId64 " ms",
		(int)row[DELIVERY_CODE].s.n, row[DELIVERY_CODE].s.p, (int)row[DELIVERY_OPERATOR].s.n, row[DELIVERY_OPERATOR].s.p,
		a.counts.distinct, a.counts.fresh, a.counts.gone, (clock_mono_us() - begun) / 1000);
	return CEIR_OK;
}

static void apply(struct reg_intake *in, struct arena *arena, struct batch *b)
{
	struct touched t = {.r = in->r};
	int64_t begun = clock_mono_us();
	bool run = false;
	enum ceir_err err;

	for (size_t i = 0; i < b->n; i++) {
		const struct store_val *row = b->found[i].row;

		b->items[i] = (struct triplets_item){.id = delivery_staged(row), .full = reg_val_is(row[DELIVERY_KIND], "full")};
		run = run || is_large(in->r, row);
	}
	t.run = run;
	err = triplets_apply_many(in->r->triplets, b->items, b->n, run && !reg_class_any(in->r) ? NULL : note_touched, &t);
	run = run || t.lost;
	for (size_t i = 0; i < b->n; i++) {
		enum ceir_err own = b->items[i].err || !err ? finish(in, arena, b->found[i].row, &b->items[i], &t, run, begun) : err;

		if (!own)
			continue;
		/* What keeps all of them out is said once. */
		if (!err || i == 0)
			complain(in, b->found[i].row, own);
		/* One that is damaged does not hold up those behind it. */
		in->behind = b->found[i].row[DELIVERY_ID].i;
	}
	free(t.imeis);
}

/* ---- throwing away ---- */

/* Staged deliveries whose row says refused. at_start: those without a row too: nobody is receiving now. */
static enum ceir_err discard_refused(struct reg_intake *in, struct arena *arena, bool at_start)
{
	uint64_t *ids = arena_array(arena, STAGED_MAX, sizeof *ids);
	size_t n = ids ? triplets_staged(in->r->triplets, ids, STAGED_MAX) : 0;
	struct store_conn *db = ids ? store_reader(in->r->store) : NULL;
	struct store_val row[DELIVERY_N];
	enum ceir_err err = !ids ? CEIR_ENOMEM : db ? CEIR_OK : CEIR_ESTORE;

	for (size_t i = 0; i < n && i < STAGED_MAX && !err; i++) {
		struct str text = arena_printf(arena, "%" PRIu64, ids[i]);
		bool away;

		err = text.p ? store_get(db, &STORE_DELIVERY, DELIVERY_STAGED, store_text(text), arena, row) : CEIR_ENOMEM;
		away = err == CEIR_ENOENT ? at_start : !err && reg_val_is(row[DELIVERY_STATUS], "refused");
		err = err == CEIR_ENOENT ? CEIR_OK : err;
		if (away)
			err = triplets_discard(in->r->triplets, ids[i]);
	}
	store_reader_done(in->r->store, db);
	return err;
}

/* ---- the thread ---- */

static bool is_receiving(struct reg_intake *in)
{
	unsigned n = 0;

	pthread_mutex_lock(&in->lock);
	for (unsigned op = 0; op < DELIVERY_OPERATORS; op++)
		n += in->receiving[op];
	pthread_mutex_unlock(&in->lock);
	return n > 0;
}

/* Operators deliver their bases at the same hour. A moment's patience for those that are just coming in saves a merge of the whole store. */
static enum ceir_err gather_batch(struct reg_intake *in, struct arena *arena, struct batch *b)
{
	enum ceir_err err = find_batch(in, arena, b);
	bool large = false;

	for (size_t i = 0; i < b->n && !err; i++)
		large = large || is_large(in->r, b->found[i].row);
	if (err || !large || !is_receiving(in))
		return err;
	for (unsigned ms = 0; ms < GATHER_MS && is_receiving(in); ms += GATHER_STEP_MS)
		if (!intake_wait(in, GATHER_STEP_MS, false))
			break;
	return find_batch(in, arena, b);
}

/* A run between two deliveries would take the processors from the second and be out of date with it; but verdicts do not wait for ever. */
static void hold_runs(struct reg_intake *in, bool more)
{
	int64_t now_us = clock_mono_us();

	if (!more)
		in->held_us = 0;
	else if (!in->held_us)
		in->held_us = now_us;
	reg_class_hold(in->r, more && now_us - in->held_us < HOLD_S * SECOND_US);
}

/* What waits now. *busy: there was something; look again at once. */
static enum ceir_err work_round(struct reg_intake *in, struct arena *arena, bool *busy)
{
	struct batch *b = arena_alloc(arena, sizeof *b);
	enum ceir_err err = b ? discard_refused(in, arena, false) : CEIR_ENOMEM;

	if (!err)
		err = gather_batch(in, arena, b);
	*busy = !err && b->n;
	hold_runs(in, *busy);
	if (*busy)
		apply(in, arena, b);
	return err;
}

static void *work_thread(void *arg)
{
	struct reg_intake *in = arg;

	for (bool go_on = true; go_on;) {
		bool busy = false;

		arena_reset(in->arena);
		enum ceir_err err = work_round(in, in->arena, &busy);
		if (err)
			log_error(ROOM, "%s; it is tried again", ceir_err_text(err));
		bool again = err || in->behind;
		if (!busy)
			in->behind = 0;
		go_on = busy ? intake_wait(in, 0, false) : intake_wait(in, again ? RETRY_MS : WAIT_MS, !again);
	}
	return NULL;
}

/* ---- open, close ---- */

/* Applied, but the classification may not have heard of it, or not finished with it. */
static enum ceir_err tell_again(void *ctx, const struct store_val *row)
{
	struct registry *r = ctx;
	enum ceir_err err = triplets_forget(r->triplets, delivery_staged(row));

	if (err && err != CEIR_ENOENT)
		log_warn(ROOM, "an applied delivery is remembered until the next start: %s", ceir_err_text(err));
	if (row[DELIVERY_CLASSIFIED_AT].null)
		reg_class_delivered(r, row[DELIVERY_ID].i, true);
	return CEIR_OK;
}

/* What cannot be tidied up now (the disk is full) is no reason not to start. */
static void tidy(struct reg_intake *in)
{
	struct store_filter f = {DELIVERY_STATUS, STORE_EQ, store_text(STR("applied"))};
	struct store_query q = {.table = &STORE_DELIVERY, .filters = &f, .n_filters = 1, .sort = DELIVERY_APPLIED_AT, .descending = true,
		.limit = TELL_LAST};
	enum ceir_err err = discard_refused(in, in->arena, true);
	struct store_conn *db = store_reader(in->r->store);

	if (err)
		log_warn(ROOM, "staged deliveries that nobody waits for stay until the next start: %s", ceir_err_text(err));
	err = db ? delivery_report_tidy(in->r, db, in->arena) : CEIR_ESTORE;
	if (err)
		log_warn(ROOM, "reports keep their temporary names until the next start: %s", ceir_err_text(err));
	err = db ? store_select(db, &q, tell_again, in->r) : CEIR_ESTORE;
	if (err)
		log_error(ROOM, "the last deliveries cannot be looked at: %s", ceir_err_text(err));
	store_reader_done(in->r->store, db);
}

static enum ceir_err make_folder(const struct registry *r, const char *name)
{
	char path[DELIVERY_PATH];
	int n = snprintf(path, sizeof path, "%s/%s", r->settings.dir, name);

	if (n < 0 || n >= (int)sizeof path)
		return CEIR_ERANGE;
	return mkdir(path, 0700) && errno != EEXIST ? ceir_err_of_errno(errno) : CEIR_OK;
}

static enum ceir_err start(struct reg_intake *in)
{
	enum ceir_err err = make_folder(in->r, "deliveries");

	if (!err)
		err = make_folder(in->r, "inbox");
	if (err) {
		log_error(ROOM, "the folders deliveries and inbox of %s cannot be made: %s", in->r->settings.dir, ceir_err_text(err));
		return err;
	}
	tidy(in);
	inbox_open(in);
	err = thread_start("deliveries", work_thread, in, &in->worker);
	in->worker_on = !err;
	if (!err) {
		err = thread_start("inbox", inbox_thread, in, &in->inbox);
		in->inbox_on = !err;
	}
	return err;
}

enum ceir_err reg_intake_open(struct registry *r)
{
	struct reg_intake *in = calloc(1, sizeof *in);

	if (!in)
		return CEIR_ENOMEM;
	in->r = r;
	pthread_mutex_init(&in->lock, NULL);
	thread_cond_init(&in->wake);
	r->intake = in;
	in->arena = arena_new(WORK_ARENA);
	enum ceir_err err = in->arena ? start(in) : CEIR_ENOMEM;
	if (err)
		reg_intake_close(r);
	return err;
}

void reg_intake_close(struct registry *r)
{
	struct reg_intake *in = r->intake;

	if (!in)
		return;
	pthread_mutex_lock(&in->lock);
	in->stop = true;
	pthread_cond_broadcast(&in->wake);
	pthread_mutex_unlock(&in->lock);
	if (in->inbox_on)
		pthread_join(in->inbox, NULL);
	if (in->worker_on)
		pthread_join(in->worker, NULL);
	pthread_mutex_destroy(&in->lock);
	pthread_cond_destroy(&in->wake);
	arena_free(in->arena);
	free(in);
	r->intake = NULL;
}

/* ---- numbers ---- */

void reg_intake_stats(const struct registry *r, struct reg_stats *out)
{
	static const char *const waiting[] = {"received", "held", "released"};
	struct store_conn *db = store_reader(r->store);
	struct triplets_stats st;
	uint64_t n;

	triplets_get_stats(r->triplets, &st);
	out->triplets = st.triplets;
	out->triplet_bytes = st.bytes;
	out->sightings = st.sightings;
	for (size_t i = 0; db && i < CEIR_COUNT(waiting); i++) {
		struct store_filter f = {DELIVERY_STATUS, STORE_EQ, store_text(str_of(waiting[i]))};
		struct store_query q = {.table = &STORE_DELIVERY, .filters = &f, .n_filters = 1};

		out->deliveries_waiting += store_count(db, &q, UINT32_MAX, &n) ? 0 : n;
	}
	store_reader_done(r->store, db);
}

/*
 * registry_work.c - what happens without a command of its own: applications are decided, changes of papers ripple to the
 * verdicts of their devices, listings come into force and expire. One thread; each step is one transaction of the writer, so a
 * kill at any moment loses at most the step that was not committed, and the next start goes on behind the last one.
 */
#include <stdlib.h>
#include <string.h>

#include "registry/registry_internal.h"

#define PART_ARENA (64u << 20)
#define RIPPLE_STEP 4096 /* devices whose verdict is derived anew in one transaction */

/* ---- the set of IMEIs of one application, to find duplicates ---- */

struct imei_set {
	uint64_t *slots; /* key + 1; 0 empty */
	size_t mask;
};

static enum ceir_err set_init(struct imei_set *s, uint64_t rows)
{
	size_t n = 64;

	while (n < rows * 2)
		n *= 2;
	s->slots = calloc(n, sizeof *s->slots);
	s->mask = n - 1;
	return s->slots ? CEIR_OK : CEIR_ENOMEM;
}

/* False: it was there. */
static bool set_add(struct imei_set *s, uint64_t key)
{
	size_t i = (size_t)((key + 1) * UINT64_C(0x9e3779b97f4a7c15) >> 20) & s->mask;

	for (; s->slots[i]; i = (i + 1) & s->mask)
		if (s->slots[i] == key + 1)
			return false;
	s->slots[i] = key + 1;
	return true;
}

/* ---- one part of an application ---- */

struct part_work {
	int64_t application;
	struct store_part part;
	const bool *dup;      /* of each row */
	bool last;            /* the application is done with it */
	bool gone;            /* out: the application is no longer submitted */
};

struct decided {
	struct imei keys[POLICY_DEVICE_IMEIS];
	unsigned n;
};

static int by_key(const void *a, const void *b)
{
	uint64_t x = ((const struct decided *)a)->keys[0].n, y = ((const struct decided *)b)->keys[0].n;

	return x < y ? -1 : x > y;
}

/* Decides every row of the part. devices: those accepted, in line order. */
static enum ceir_err decide(struct exec *x, const struct part_work *w, struct reg_papers *papers, uint8_t *results, struct decided *devices,
	size_t *n_devices)
{
	struct reg_row_raw raw[POLICY_DEVICE_IMEIS + 2];
	struct str imeis[POLICY_DEVICE_IMEIS + 1];
	int64_t i = 0, rows = w->part.rows;
	enum ceir_err err = CEIR_OK;

	for (*n_devices = 0; i < rows && !err;) {
		unsigned n = 0, all = 0;
		bool good;

		/* The rows of one device; more than five are counted, and all refused. */
		while (i + all < rows && !err) {
			unsigned at = n <= POLICY_DEVICE_IMEIS ? n : POLICY_DEVICE_IMEIS + 1;

			err = reg_rows_decode(w->part.data, rows, i + all, &raw[at]);
			if (err || (all && raw[at].first))
				break;
			if (n <= POLICY_DEVICE_IMEIS) {
				imeis[n] = raw[n].imei;
				n++;
			}
			all++;
		}
		if (err)
			break;
		struct decided *d = &devices[*n_devices];
		err = reg_intake(x, papers, imeis, w->dup + i, n, results + i, d->keys, &good);
		for (unsigned k = n; k < all; k++)
			results[i + k] = POLICY_REFUSED_TOO_MANY_IMEIS;
		d->n = n;
		*n_devices += good;
		i += all;
	}
	return err;
}

static enum ceir_err finish_application(struct exec *x, struct store_val *app)
{
	struct str args[] = {app[APPLICATION_CODE].s, reg_print_u64(x, (uint64_t)app[APPLICATION_ACCEPTED].i),
		reg_print_u64(x, (uint64_t)app[APPLICATION_REFUSED].i)};

	app[APPLICATION_STATUS] = store_text(STR("done"));
	app[APPLICATION_DONE_AT] = store_int(x->now_us);
	return reg_message_to(x, app[APPLICATION_CR_ID].s, REG_MESSAGE_APPLICATION_DONE, args, 3);
}

static enum ceir_err write_part(struct exec *x, const struct part_work *w, struct store_val *app, struct reg_papers *papers,
	const uint8_t *results, struct decided *devices, size_t n)
{
	uint32_t mask = 1u << APPLICATION_ACCEPTED | 1u << APPLICATION_REFUSED | 1u << APPLICATION_NEXT_PART | 1u << APPLICATION_STATUS
		| 1u << APPLICATION_DONE_AT;
	int64_t accepted = 0;
	enum ceir_err err = CEIR_OK;

	/* In the order of the table's keys: neighbours land on the same page. */
	qsort(devices, n, sizeof *devices, by_key);
	for (size_t i = 0; i < n && !err; i++) {
		err = reg_register(x, w->application, devices[i].keys, devices[i].n);
		accepted += devices[i].n;
	}
	if (!err && n && !papers->personal)
		err = store_add(x->db, &STORE_POSITION, papers->position[POSITION_ID].i, POSITION_USED, (int64_t)n, POSITION_QUANTITY);
	if (!err)
		err = store_part_results(x->db, w->application, w->part.number, (struct str){(const char *)results, (size_t)w->part.rows});
	app[APPLICATION_ACCEPTED].i += accepted;
	app[APPLICATION_REFUSED].i += w->part.rows - accepted;
	app[APPLICATION_NEXT_PART] = store_int(w->part.first_line + w->part.rows - 1);
	if (!err && w->last)
		err = finish_application(x, app);
	return err ? err : store_update(x->db, &STORE_APPLICATION, w->application, mask, app);
}

static enum ceir_err process_part(struct exec *x)
{
	struct part_work *w = x->arg;
	struct store_val app[APPLICATION_N];
	struct reg_papers papers;
	size_t n = 0;
	uint8_t *results = arena_alloc(x->arena, (size_t)w->part.rows);
	struct decided *devices = arena_array(x->arena, (size_t)w->part.rows + 1, sizeof *devices);
	enum ceir_err err = results && devices ? CEIR_OK : CEIR_ENOMEM;

	if (!err)
		err = store_get(x->db, &STORE_APPLICATION, APPLICATION_ID, store_int(w->application), x->arena, app);
	if (err)
		return err;
	w->gone = !reg_val_is(app[APPLICATION_STATUS], "submitted");
	if (w->gone)
		return CEIR_OK;
	x->transaction = app[APPLICATION_TX].i;
	err = reg_papers_load(x, app, &papers);
	if (!err)
		err = decide(x, w, &papers, results, devices, &n);
	return err ? err : write_part(x, w, app, &papers, results, devices, n);
}

/* ---- one application ---- */

struct application_work {
	struct registry *r;
	int64_t id, rows, done; /* done: last line with a result */
	struct imei_set seen;
};

/* Marks which rows of a part stood before in the application. */
static enum ceir_err mark_duplicates(struct application_work *w, const struct store_part *part, bool *dup)
{
	struct reg_row_raw raw;
	struct imei imei;

	for (int64_t i = 0; i < part->rows; i++) {
		enum ceir_err err = reg_rows_decode(part->data, part->rows, i, &raw);

		if (err)
			return err;
		dup[i] = imei_parse(raw.imei, &imei) == IMEI_GOOD && !set_add(&w->seen, imei.n);
	}
	return CEIR_OK;
}

static enum ceir_err load_part(struct registry *r, int64_t application, int64_t line, struct arena *arena, struct store_part *part)
{
	struct store_conn *db = store_reader(r->store);
	int64_t number;

	if (!db)
		return CEIR_ESTORE;
	enum ceir_err err = store_part_find(db, application, line, &number);
	if (!err)
		err = store_part_get(db, application, number, arena, part);
	store_reader_done(r->store, db);
	return err == CEIR_ENOENT ? CEIR_ECORRUPT : err;
}

static enum ceir_err next_part(struct application_work *w, int64_t *line, struct arena *arena, bool *gone)
{
	struct part_work p = {.application = w->id};
	enum ceir_err err = load_part(w->r, w->id, *line, arena, &p.part);

	if (err)
		return err;
	bool *dup = arena_array(arena, (size_t)p.part.rows, sizeof *dup);
	if (!dup)
		return CEIR_ENOMEM;
	err = mark_duplicates(w, &p.part, dup);
	*line = p.part.first_line + p.part.rows;
	/* After a restart the parts before are only read, for the duplicates. */
	if (err || p.part.first_line <= w->done)
		return err;
	p.dup = dup;
	p.last = *line > w->rows;
	err = reg_write(w->r, arena, process_part, &p, true);
	*gone = p.gone;
	return err;
}

static bool stopping(struct registry *r)
{
	pthread_mutex_lock(&r->work_lock);
	bool stop = r->stop;
	pthread_mutex_unlock(&r->work_lock);
	return stop;
}

static enum ceir_err process_application(struct registry *r, const struct store_val *app)
{
	struct application_work w = {.r = r, .id = app[APPLICATION_ID].i, .rows = app[APPLICATION_ROWS].i, .done = app[APPLICATION_NEXT_PART].i};
	struct arena *arena = arena_new(PART_ARENA);
	enum ceir_err err = arena ? set_init(&w.seen, (uint64_t)w.rows) : CEIR_ENOMEM;
	bool gone = false;

	for (int64_t line = 1; !err && !gone && line <= w.rows && !stopping(r);) {
		arena_reset(arena);
		err = next_part(&w, &line, arena, &gone);
	}
	arena_free(arena);
	free(w.seen.slots);
	return err;
}

/* ---- looking for work ---- */

struct found {
	struct arena *arena;
	struct store_val row[APPLICATION_N];
	bool any;
};

static enum ceir_err keep_application(void *ctx, const struct store_val *row)
{
	struct found *f = ctx;

	for (int i = 0; i < APPLICATION_N; i++) {
		f->row[i] = row[i];
		if (row[i].type != STORE_INT && !row[i].null)
			f->row[i].s = arena_str(f->arena, row[i].s);
	}
	f->any = true;
	return CEIR_OK;
}

/* The first application that waits, behind `behind`. */
static enum ceir_err find_submitted(struct store_conn *db, int64_t behind, struct found *f)
{
	struct store_filter is[] = {{APPLICATION_STATUS, STORE_EQ, store_text(STR("submitted"))}, {APPLICATION_ID, STORE_GT, store_int(behind)}};
	struct store_query q = {.table = &STORE_APPLICATION, .filters = is, .n_filters = 2, .limit = 1};

	return store_select(db, &q, keep_application, f);
}

static enum ceir_err next_application(struct registry *r, struct arena *arena, bool *any)
{
	struct found f = {.arena = arena};
	struct store_conn *db = store_reader(r->store);
	enum ceir_err err = db ? find_submitted(db, r->stuck, &f) : CEIR_ESTORE;

	store_reader_done(r->store, db);
	*any = !err && f.any;
	if (*any)
		err = process_application(r, f.row);
	/* One that cannot be decided (damaged rows) does not hold up those behind it; it is tried again when they are done. */
	r->stuck = *any ? (err ? f.row[APPLICATION_ID].i : r->stuck) : 0;
	if (*any && err)
		log_error("registry", "application %.*s cannot be decided now: %s", (int)f.row[APPLICATION_CODE].s.n, f.row[APPLICATION_CODE].s.p,
			ceir_err_text(err));
	return err;
}

/* ---- ripples ---- */

enum ceir_err reg_ripple(struct exec *x, enum reg_ripple_kind kind, struct str code)
{
	struct store_ripple r = {.code = code, .kind = kind, .transaction = x->transaction};

	x->wake_worker = true;
	return store_ripple_put(x->db, &r);
}

/* Does this application hang on the paper of the ripple? */
static enum ceir_err concerns(struct exec *x, const struct store_ripple *r, const struct store_val *app, bool *yes)
{
	struct store_val permit[PERMIT_N], position[POSITION_N];
	enum ceir_err err;

	*yes = false;
	if (r->kind != REG_RIPPLE_CERTIFICATE) {
		struct store_val v = app[r->kind == REG_RIPPLE_IMPORTER ? APPLICATION_IMPORTER : APPLICATION_PERMIT];

		*yes = !v.null && str_eq(v.s, r->code);
		return CEIR_OK;
	}
	if (app[APPLICATION_PERMIT].null)
		return CEIR_OK;
	if (!reg_find(x, &STORE_PERMIT, app[APPLICATION_PERMIT].s, permit, &err))
		return err;
	err = reg_position(x, permit[PERMIT_ID].i, app[APPLICATION_POSITION].i, position);
	*yes = !err && str_eq(position[POSITION_CERTIFICATE].s, r->code);
	return err == CEIR_ENOENT ? CEIR_OK : err;
}

/* The application at or behind id. */
static enum ceir_err application_from(struct exec *x, int64_t id, struct found *f)
{
	struct store_filter from = {APPLICATION_ID, STORE_GE, store_int(id)};
	struct store_query q = {.table = &STORE_APPLICATION, .filters = &from, .n_filters = 1, .limit = 1};

	*f = (struct found){.arena = x->arena};
	return store_select(x->db, &q, keep_application, f);
}

/*
 * Derives the devices of up to RIPPLE_STEP rows behind line `done` anew. *next: the last line looked at. A device that moved
 * to another application since is that one's; deriving it twice does no harm.
 */
static enum ceir_err derive_rows(struct exec *x, const struct store_val *app, int64_t done, int64_t *next)
{
	struct store_part part = {0};
	struct reg_row_raw raw;
	struct imei imei;
	int64_t line = done + 1, number, last = app[APPLICATION_ROWS].i;
	enum ceir_err err = CEIR_OK;

	for (int n = 0; n < RIPPLE_STEP && line <= last && !err; n++, line++) {
		if (!part.rows || line >= part.first_line + part.rows) {
			err = store_part_find(x->db, app[APPLICATION_ID].i, line, &number);
			if (!err)
				err = store_part_get(x->db, app[APPLICATION_ID].i, number, x->arena, &part);
		}
		int64_t i = line - part.first_line;
		if (err || i >= (int64_t)part.results.n || part.results.p[i] != POLICY_ACCEPTED)
			continue;
		err = reg_rows_decode(part.data, part.rows, i, &raw);
		if (!err && imei_parse(raw.imei, &imei) == IMEI_GOOD)
			err = reg_derive(x, imei);
	}
	*next = line - 1;
	return err;
}

static enum ceir_err step_ripple(struct exec *x)
{
	struct store_ripple r;
	struct found f;
	int64_t line;
	bool yes;
	enum ceir_err err = store_ripple_first(x->db, x->arena, &r);

	if (err)
		return err;
	err = application_from(x, r.application, &f);
	if (err || !f.any)
		return err ? err : store_ripple_done(x->db, r.id);
	int64_t id = f.row[APPLICATION_ID].i;
	x->transaction = r.transaction;
	if (id != r.application)
		r.part = 0;
	err = concerns(x, &r, f.row, &yes);
	if (err || !yes)
		return err ? err : store_ripple_step(x->db, r.id, id + 1, 0);
	err = derive_rows(x, f.row, r.part, &line);
	if (err)
		return err;
	return line >= f.row[APPLICATION_ROWS].i ? store_ripple_step(x->db, r.id, id + 1, 0) : store_ripple_step(x->db, r.id, id, line);
}

/* ---- the thread ---- */

static enum ceir_err clock_work(struct registry *r, struct arena *arena, bool *any)
{
	struct store_conn *db = store_reader(r->store);
	bool listings = false, watches = false;
	enum ceir_err err = db ? reg_listing_due(db, clock_real_us(), &listings) : CEIR_ESTORE;

	if (!err)
		err = reg_watch_due(db, clock_real_us(), &watches);
	store_reader_done(r->store, db);
	*any = !err && (listings || watches);
	if (!err && listings)
		err = reg_write(r, arena, reg_listing_tick, NULL, false);
	if (!err && watches)
		err = reg_write(r, arena, reg_watch_tick, NULL, false);
	return err;
}

/* Writes only when there is a ripple: the writer is not woken every second for nothing. */
static enum ceir_err ripple_work(struct registry *r, struct arena *arena, bool *any)
{
	struct store_ripple ripple;
	struct store_conn *db = store_reader(r->store);
	enum ceir_err err = db ? store_ripple_first(db, arena, &ripple) : CEIR_ESTORE;

	store_reader_done(r->store, db);
	*any = err == CEIR_OK;
	return *any ? reg_write(r, arena, step_ripple, NULL, true) : err == CEIR_ENOENT ? CEIR_OK : err;
}

/* One round of everything that can be done now. *busy: something was done, look again at once. */
static enum ceir_err work_round(struct registry *r, struct arena *arena, bool *busy)
{
	bool listings = false, ripples = false, applications = false;
	enum ceir_err err;

	arena_reset(arena);
	err = clock_work(r, arena, &listings);
	if (!err)
		err = ripple_work(r, arena, &ripples);
	if (!err)
		err = next_application(r, arena, &applications);
	*busy = listings || ripples || applications;
	return err;
}

static void wait_for_work(struct registry *r, bool failed)
{
	struct timespec until;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec++;
	pthread_mutex_lock(&r->work_lock);
	/* After a failure (disk full) a second passes whatever happens; it is tried again for ever. */
	while (!r->stop && (failed || !r->work_waiting))
		if (pthread_cond_timedwait(&r->work, &r->work_lock, &until))
			break;
	r->work_waiting = false;
	pthread_mutex_unlock(&r->work_lock);
}

static void *work_thread(void *arg)
{
	struct registry *r = arg;
	struct arena *arena = NULL;

	while (!stopping(r)) {
		bool busy = false;

		arena = arena ? arena : arena_new(PART_ARENA);
		enum ceir_err err = arena ? work_round(r, arena, &busy) : CEIR_ENOMEM;
		if (err)
			log_error("registry", "background work: %s; it is tried again", ceir_err_text(err));
		if (!busy || err)
			wait_for_work(r, err != CEIR_OK);
	}
	arena_free(arena);
	return NULL;
}

enum ceir_err reg_work_start(struct registry *r)
{
	return pthread_create(&r->worker, NULL, work_thread, r) ? CEIR_ENOMEM : CEIR_OK;
}

void reg_work_wake(struct registry *r)
{
	pthread_mutex_lock(&r->work_lock);
	r->work_waiting = true;
	pthread_cond_signal(&r->work);
	pthread_mutex_unlock(&r->work_lock);
}

void reg_work_stop(struct registry *r)
{
	pthread_mutex_lock(&r->work_lock);
	r->stop = true;
	pthread_cond_signal(&r->work);
	pthread_mutex_unlock(&r->work_lock);
	pthread_join(r->worker, NULL);
}

/*
 * registry_class.c - the policy in force and the classification: opened at start, then followed by a thread of its own.
 *
 * The thread does one thing at a time: a wish (a policy tried or put in force), a full run (after a large delivery, at midnight UTC
 * when dates of blocks pass, at the start because a crash may have lost what was touched), or the few IMEIs that were just seen.
 */
#include "registry/registry_class.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define ROOM "classify"
#define GATHER_MS 50              /* sightings of that time are looked at together */
#define WAIT_MS 10000
#define OVERLAY_MAX 2000000       /* records in memory, then a run makes a new file */

/* ---- policy and tables ---- */

enum ceir_err reg_class_policy_set(struct reg_class *c, struct policy *p)
{
	struct reg_policy *r = calloc(1, sizeof *r);

	if (!r) {
		policy_free(p);
		return CEIR_ENOMEM;
	}
	r->policy = p;
	pthread_mutex_lock(&c->lock);
	r->older = c->policies;
	c->policies = r;
	pthread_mutex_unlock(&c->lock);
	return CEIR_OK;
}

const struct policy *reg_policy(struct registry *r)
{
	pthread_mutex_lock(&r->class->lock);
	const struct policy *p = r->class->policies->policy;
	pthread_mutex_unlock(&r->class->lock);
	return p;
}

struct reg_tables *reg_class_tables_take(struct registry *r)
{
	pthread_mutex_lock(&r->class->tables_lock);
	struct reg_tables *t = r->class->tables;
	atomic_fetch_add(&t->uses, 1);
	pthread_mutex_unlock(&r->class->tables_lock);
	return t;
}

uint8_t reg_class_home(struct registry *r, uint64_t imsi_key, uint64_t msisdn_key)
{
	struct reg_tables *t = reg_class_tables_take(r);
	uint8_t op = reg_tables_home(t, imsi_key, msisdn_key);

	reg_tables_give(t);
	return op;
}

bool reg_class_golden(struct registry *r, uint64_t imei_key)
{
	struct reg_tables *t = reg_class_tables_take(r);
	bool golden = reg_tables_golden(r, t, imei_key) != NULL;

	reg_tables_give(t);
	return golden;
}

bool reg_spare_golden(const struct registry *r, const struct reg_tables *t, struct imei imei, struct verdict *v)
{
	if ((v->colour != VERDICT_GREY && v->colour != VERDICT_BLACK) || !reg_tables_golden(r, t, imei.n))
		return false;
	*v = (struct verdict){.colour = VERDICT_WHITE, .reason = v->registered ? VERDICT_REGISTERED : VERDICT_LISTED_WHITE,
		.registered = v->registered};
	return true;
}

void reg_class_tables_changed(struct registry *r)
{
	pthread_mutex_lock(&r->class->lock);
	r->class->tables_stale = true;
	pthread_cond_signal(&r->class->wake);
	pthread_mutex_unlock(&r->class->lock);
}

/* ---- facts of one IMEI ---- */

void reg_class_facts(struct exec *x, struct imei imei, struct policy_facts *facts)
{
	struct registry *r = x->r;
	const struct policy *policy;
	const struct classify_change *now = reg_class_deriving(&policy);
	struct policy_class record;
	int32_t today = date_of_us(x->now_us);

	if (now && now->imei == imei.n) {
		policy_class_facts(policy, &now->record, today, facts);
		return;
	}
	if (!classify_get(r->class->classify, imei.n, &record))
		return;
	policy_class_facts(reg_policy(r), &record, today, facts);
}

/* ---- what others tell us ---- */

void reg_class_touched(struct registry *r, const uint64_t *imeis, size_t n)
{
	struct reg_class *c = r->class;

	if (!n)
		return;
	pthread_mutex_lock(&c->lock);
	reg_class_keep(r, imeis, n);
	pthread_cond_signal(&c->wake);
	pthread_mutex_unlock(&c->lock);
}

void reg_class_delivered(struct registry *r, int64_t delivery, bool run)
{
	struct reg_class *c = r->class;

	pthread_mutex_lock(&c->lock);
	c->run_due = c->run_due || run;
	if (c->n_delivered < REG_DELIVERED_MAX)
		c->delivered[c->n_delivered++] = delivery;
	pthread_cond_signal(&c->wake);
	pthread_mutex_unlock(&c->lock);
}

void reg_class_hold(struct registry *r, bool hold)
{
	struct reg_class *c = r->class;

	pthread_mutex_lock(&c->lock);
	c->hold = hold;
	pthread_cond_signal(&c->wake);
	pthread_mutex_unlock(&c->lock);
}

void reg_class_policy(struct registry *r, int64_t version, bool dry, bool force)
{
	struct reg_class *c = r->class;
	struct reg_wish *w = calloc(1, sizeof *w), **at;

	/* The draft stays what it is; it can be asked for again. */
	if (!w) {
		log_error(ROOM, "policy %" PRId64 ": %s", version, ceir_err_text(CEIR_ENOMEM));
		return;
	}
	*w = (struct reg_wish){.version = version, .dry = dry, .force = force};
	pthread_mutex_lock(&c->lock);
	for (at = &c->wishes; *at; at = &(*at)->next)
		;
	*at = w;
	pthread_cond_signal(&c->wake);
	pthread_mutex_unlock(&c->lock);
}

/* ---- deliveries that are classified ---- */

struct classified {
	const int64_t *ids;
	size_t n;
};

static enum ceir_err put_classified(struct exec *x)
{
	const struct classified *c = x->arg;
	struct store_val row[DELIVERY_N];
	enum ceir_err err = CEIR_OK;

	row[DELIVERY_CLASSIFIED_AT] = store_int(x->now_us);
	for (size_t i = 0; i < c->n && !err; i++)
		err = store_update(x->db, &STORE_DELIVERY, c->ids[i], 1u << DELIVERY_CLASSIFIED_AT, row);
	return err;
}

static enum ceir_err mark_classified(struct registry *r, const int64_t *ids, size_t n)
{
	struct classified c = {ids, n};
	struct arena *arena = n ? arena_new(1 << 20) : NULL;
	enum ceir_err err = n ? (arena ? reg_write(r, arena, put_classified, &c, false) : CEIR_ENOMEM) : CEIR_OK;

	arena_free(arena);
	return err;
}

/* ---- the thread ---- */

/* What is to be done next, taken out under the lock. */
struct task {
	struct reg_wish *wish;
	bool run, all_grey;
	size_t n_delivered, n_hits;
	struct reg_hit hits[REG_HITS_MAX];
	int64_t delivered[REG_DELIVERED_MAX];
};

static bool idle(const struct reg_class *c)
{
	return !c->stop && !c->wishes && (c->hold || (!c->run_due && !c->n_delivered)) && !c->touched.n && !c->all_grey && !c->tables_stale && !c->n_hits;
}

static bool run_is_due(const struct reg_class *c)
{
	int32_t day = atomic_load(&c->day);

	if (c->hold)
		return false;
	return c->run_due || (day && day != date_of_us(clock_real_us())) || (c->run_at_us && c->run_at_us <= clock_mono_us());
}

static void add_ms(struct timespec *t, int64_t ms)
{
	t->tv_sec += ms / 1000;
	t->tv_nsec += (long)(ms % 1000) * 1000000L;
	if (t->tv_nsec >= 1000000000L) {
		t->tv_sec++;
		t->tv_nsec -= 1000000000L;
	}
}

static void pause_ms(struct reg_class *c, unsigned ms)
{
	struct timespec until;

	clock_gettime(CLOCK_MONOTONIC, &until);
	add_ms(&until, ms);
	while (!c->stop && pthread_cond_timedwait(&c->wake, &c->lock, &until) != ETIMEDOUT)
		;
}

/* Until there is something to do, the day may have changed, or the tables' run has its time. */
static void wait_for_work(struct reg_class *c)
{
	int64_t ms = c->run_at_us && !c->hold ? (c->run_at_us - clock_mono_us()) / 1000 + 1 : WAIT_MS;
	struct timespec until;

	clock_gettime(CLOCK_MONOTONIC, &until);
	add_ms(&until, ms < 0 ? 0 : ms > WAIT_MS ? WAIT_MS : ms);
	while (idle(c) && pthread_cond_timedwait(&c->wake, &c->lock, &until) != ETIMEDOUT)
		;
}

/* Under the lock. A wish comes alone; a run or a touch takes all that waits: what was touched before it begins is in its view. */
static void take_out(struct reg_class *c, struct task *t)
{
	t->n_hits = c->n_hits;
	memcpy(t->hits, c->hits, c->n_hits * sizeof *c->hits);
	c->n_hits = 0;
	t->wish = c->wishes;
	t->run = t->all_grey = false;
	t->n_delivered = 0;
	if (t->wish) {
		c->wishes = t->wish->next;
		return;
	}
	t->run = run_is_due(c);
	t->all_grey = c->all_grey;
	c->all_grey = false;
	struct reg_keys empty = c->batch;
	c->batch = c->touched;
	c->touched = (struct reg_keys){empty.imeis, 0, empty.max};
	if (c->hold)
		return;
	c->run_due = false;
	t->n_delivered = c->n_delivered;
	memcpy(t->delivered, c->delivered, c->n_delivered * sizeof *c->delivered);
	c->n_delivered = 0;
}

/* False: the server stops. Sightings that wait are seen to first, unless they wait for a run. */
static bool next_task(struct reg_class *c, bool failed, struct task *t)
{
	pthread_mutex_lock(&c->lock);
	c->busy = false;
	if (failed)
		pause_ms(c, 1000);
	wait_for_work(c);
	if (c->touched.n && !c->run_due && !c->wishes)
		pause_ms(c, GATHER_MS);
	bool go = !c->stop || (c->touched.n && !c->run_due && !c->wishes && !failed);
	t->wish = NULL;
	if (go)
		take_out(c, t);
	c->busy = go;
	pthread_mutex_unlock(&c->lock);
	return go;
}

static enum ceir_err do_run(struct registry *r)
{
	struct reg_class *c = r->class;
	enum ceir_err err;

	/* Those that turn grey by the run are told by it. */
	reg_class_sort(r, &c->batch, true);
	c->run_at_us = 0;
	err = reg_class_run(r);
	if (!err)
		err = reg_class_subscribers(r, c->batch.imeis, c->batch.n, true);
	return err;
}

static enum ceir_err do_touched(struct registry *r)
{
	struct reg_class *c = r->class;
	uint64_t in_file, in_memory;

	reg_class_sort(r, &c->batch, false);
	enum ceir_err err = reg_class_touch(r, c->batch.imeis, c->batch.n);
	classify_count(c->classify, &in_file, &in_memory);
	return !err && in_memory > OVERLAY_MAX ? reg_class_run(r) : err;
}

static enum ceir_err do_task(struct registry *r, struct task *t)
{
	enum ceir_err err = reg_class_renew(r);

	if (!err)
		err = reg_class_tell(r, t->hits, t->n_hits);
	if (err)
		return err;
	t->n_hits = 0;
	if (t->wish)
		return reg_class_fulfil(r, t->wish);
	err = t->run ? do_run(r) : do_touched(r);
	/* A delivery was looked through while it came in; who began to watch since then is told now that it can be looked up. */
	r->class->watches_due = r->class->watches_due || t->n_delivered;
	if (!err && r->class->watches_due)
		err = reg_class_watches(r);
	r->class->watches_due = r->class->watches_due && err;
	if (!err && t->all_grey)
		err = reg_class_all_grey(r);
	return err ? err : mark_classified(r, t->delivered, t->n_delivered);
}

/* What could not be done is done by the next full run: nothing that was seen is forgotten. */
static void again(struct registry *r, const struct task *t)
{
	struct reg_class *c = r->class;

	pthread_mutex_lock(&c->lock);
	for (size_t i = 0; i < t->n_hits; i++)
		reg_class_hit(c, t->hits[i]);
	if (!t->wish) {
		c->run_due = true;
		c->all_grey = c->all_grey || t->all_grey;
		reg_class_keep(r, c->batch.imeis, c->batch.n);
		for (size_t i = 0; i < t->n_delivered && c->n_delivered < REG_DELIVERED_MAX; i++)
			c->delivered[c->n_delivered++] = t->delivered[i];
	}
	/* A policy that was left half in force is taken back. */
	c->run_due = c->run_due || c->rederive;
	pthread_mutex_unlock(&c->lock);
}

static void complain(const struct reg_class *c, const struct task *t, enum ceir_err err)
{
	if (atomic_load(&c->cancel))
		return;
	if (t->wish)
		log_error(ROOM, "policy %" PRId64 " could not be tried: %s; ask again", t->wish->version, ceir_err_text(err));
	else
		log_error(ROOM, "%s; a full run is tried in a second", ceir_err_text(err));
}

static void *class_thread(void *arg)
{
	struct registry *r = arg;
	struct reg_class *c = r->class;
	struct task *t = calloc(1, sizeof *t);
	bool failed = false;

	CEIR_ASSERT(t);
	while (next_task(c, failed, t)) {
		enum ceir_err err = do_task(r, t);

		failed = err != CEIR_OK;
		if (failed) {
			complain(c, t, err);
			again(r, t);
		}
		c->batch.n = 0;
		free(t->wish);
	}
	free(t);
	return NULL;
}

bool reg_class_idle(struct registry *r)
{
	struct reg_class *c = r->class;

	pthread_mutex_lock(&c->lock);
	bool nothing = idle(c) && !c->busy && !run_is_due(c);
	pthread_mutex_unlock(&c->lock);
	return nothing;
}

/* ---- start and stop ---- */

static enum ceir_err put_clean(struct exec *x)
{
	return store_meta_set(x->db, "class.clean", *(const bool *)x->arg ? STR("1") : STR("0"));
}

/*
 * Which subscribers were new when the server was killed is written nowhere: that would cost a commit for each sighting. So it notes
 * that it has begun, and that it ended with nothing left to tell; when it did not, every grey IMEI is told again.
 */
static enum ceir_err note_clean(struct registry *r, bool clean)
{
	struct arena *arena = arena_new(1 << 16);
	enum ceir_err err = arena ? reg_write(r, arena, put_clean, &clean, false) : CEIR_ENOMEM;

	arena_free(arena);
	return err;
}

enum ceir_err reg_class_start(struct registry *r)
{
	enum ceir_err err = note_clean(r, false);

	if (!err)
		err = thread_start("classify", class_thread, r, &r->class->thread);
	r->class->running = !err;
	return err;
}

void reg_class_stop(struct registry *r)
{
	struct reg_class *c = r->class;

	if (!c || !c->running)
		return;
	atomic_store(&c->cancel, true);
	pthread_mutex_lock(&c->lock);
	c->stop = true;
	pthread_cond_signal(&c->wake);
	pthread_mutex_unlock(&c->lock);
	pthread_join(c->thread, NULL);
	c->running = false;
	bool clean = !c->touched.n && !c->all_grey && !c->run_due && !c->n_delivered;
	if (clean && note_clean(r, true))
		log_warn(ROOM, "that everything is told could not be written down; the next start tells it again");
}

void reg_class_close(struct registry *r)
{
	struct reg_class *c = r->class;

	if (!c)
		return;
	while (c->wishes) {
		struct reg_wish *w = c->wishes;

		c->wishes = w->next;
		free(w);
	}
	while (c->policies) {
		struct reg_policy *p = c->policies;

		c->policies = p->older;
		policy_free(p->policy);
		free(p);
	}
	reg_tables_give(c->tables);
	classify_close(c->classify);
	verdicts_reader_free(c->reader);
	pthread_mutex_destroy(&c->lock);
	pthread_mutex_destroy(&c->tables_lock);
	pthread_cond_destroy(&c->wake);
	verdicts_reader_free(c->touch_reader);
	free(c->touched.imeis);
	free(c->batch.imeis);
	free(c);
	r->class = NULL;
}

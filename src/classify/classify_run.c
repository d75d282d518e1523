/*
 * classify_run.c - the country, on all cores: triplets in the order of IMEIs beside the old records and the verdict table.
 *
 * The IMEIs are cut into parts of about as many triplets; each thread takes one after the other. Within a part rows come some
 * hundred at a time: first the verdicts of all their IMEIs are looked up together (the memory is fetched at the same time),
 * then IMEI after IMEI is decided. Records of IMEIs that no triplet names come in between, in order.
 */
#include "classify/classify_internal.h"

#include <stdlib.h>
#include <string.h>

#define PARTS_PER_THREAD 32u /* small parts: what waits for its turn is little, and threads end together */
#define THREADS_MAX 64u
#define BUDGET_BYTES ((size_t)128 << 20)
#define BATCH 512u
#define ASK_IN_A_ROW 1000u

struct classify_run {
	struct classify *c;
	struct class_rules rules;
	struct class_file *old;
	char *name;
	bool dry, switched;
	const _Atomic bool *stop;
	struct class_output *output;
	uint64_t *bounds;       /* of parts; parts + 1 */
	unsigned parts;
	struct classify_result result;
};

/* One thread's. */
struct run_worker {
	struct classify_run *run;
	pthread_t thread;
	bool started;
	unsigned part;
	struct verdicts_reader *reader;
	struct policy_gather *gather;
	struct class_chunk *chunk;
	struct class_reader old;
	struct classify_result result;
	unsigned possible;      /* IMEIs of the part in a row for which something was possible */
	/* The IMEI whose triplets are coming. */
	bool open, gathering;
	uint64_t imei;
	struct verdict entry;
	uint32_t first_s, last_s; /* when it is not gathered */
	/* IMEIs of the rows at hand, and what the verdict table says of them. */
	uint64_t keys[BATCH];
	struct imei imeis[BATCH];
	struct verdict entries[BATCH], tacs[BATCH];
};

/* ---- one IMEI ------------------------------------------------------------------------------------------------------- */

static void count_decided(struct classify_result *r, const struct classify_change *change, bool changed, unsigned colour)
{
	r->imeis++;
	r->colours[colour]++;
	for (uint32_t mask = change->record.mask & ~POLICY_AMNESTY; mask; mask &= mask - 1)
		r->matched[__builtin_ctz(mask)]++;
	if (!changed)
		return;
	if (change->derive) {
		r->derive++;
	} else if (change->before != change->after) {
		r->changes++;
		r->to[change->after & 3]++; /* bits 0-1 of a packed verdict are its colour */
		r->from[change->before & 3]++;
	}
}

static enum ceir_err decide(struct run_worker *w, uint64_t imei, struct verdict entry, const struct policy_class *old,
	const struct policy_matched *m)
{
	struct classify_run *run = w->run;
	struct classify_change change;
	bool keep;
	unsigned colour;
	bool changed = class_decide(&run->rules, imei, entry, old, m, &change, &keep, &colour);
	count_decided(&w->result, &change, changed, colour);
	if (keep && !run->dry)
		w->chunk->items[w->chunk->n_items++] = (struct class_item){imei, change.record};
	if (changed)
		class_chunk_add_change(w->chunk, &change);
	if (w->chunk->n_items < CLASS_CHUNK && w->chunk->n_changes < CLASS_CHUNK)
		return CEIR_OK;
	enum ceir_err err = class_output_push(run->output, w->part, w->chunk);
	w->chunk = class_output_chunk(run->output);
	return err ? err : w->chunk ? CEIR_OK : CEIR_ENOMEM;
}

/* Records below imei, that no triplet names any longer. */
static enum ceir_err carry_over(struct run_worker *w, uint64_t imei)
{
	struct policy_class old;
	enum ceir_err err = CEIR_OK;
	for (uint64_t key; !err && (key = class_reader_peek(&w->old)) < imei;) {
		struct verdict entry = {0};
		if (key <= IMEI_MAX) {
			verdicts_enter(w->reader);
			verdicts_get_entry(w->run->rules.env->verdicts, (struct imei){key}, &entry);
			verdicts_leave(w->reader);
		}
		err = class_reader_take(&w->old, &old);
		if (!err)
			err = decide(w, key, entry, &old, NULL);
	}
	return err;
}

static enum ceir_err close_imei(struct run_worker *w)
{
	struct policy_matched m = {.first_s = w->first_s, .last_s = w->last_s};
	struct policy_class old;
	if (!w->open)
		return CEIR_OK;
	w->open = false;
	if (w->gathering)
		policy_gather_end(w->gather, &m);
	enum ceir_err err = carry_over(w, w->imei);
	if (err)
		return err;
	bool had = class_reader_peek(&w->old) == w->imei;
	if (had)
		err = class_reader_take(&w->old, &old);
	return err ? err : decide(w, w->imei, w->entry, had ? &old : NULL, &m);
}

/*
 * May its triplets be left alone? Under most policies they never may; when that was the answer long enough the question is no
 * longer asked in this part, and gathering finds out by itself.
 */
static bool may_match(struct run_worker *w, const struct policy_known *known)
{
	const struct classify_env *env = w->run->rules.env;
	if (w->possible >= ASK_IN_A_ROW)
		return true;
	bool may = policy_may_match(env->policy, env->tables, w->imei, known) != 0;
	w->possible = may ? w->possible + 1 : 0;
	return may;
}

static void open_imei(struct run_worker *w, size_t at)
{
	const struct class_rules *rules = &w->run->rules;
	const struct classify_env *env = rules->env;
	struct policy_known known;
	w->open = true;
	w->imei = w->keys[at];
	w->entry = w->entries[at];
	w->first_s = UINT32_MAX;
	w->last_s = 0;
	class_known(rules, w->imei, w->entry, w->tacs[at], &known);
	w->gathering = may_match(w, &known);
	if (w->gathering)
		policy_gather_begin(w->gather, w->imei, &known, env->now_s);
}

/* More of the open IMEI. */
static void add_rows(struct run_worker *w, const struct triplet *rows, size_t n)
{
	if (w->gathering) {
		policy_gather_add(w->gather, rows, n);
		return;
	}
	for (size_t i = 0; i < n; i++) {
		if (rows[i].first_s < w->first_s)
			w->first_s = rows[i].first_s;
		if (rows[i].last_s > w->last_s)
			w->last_s = rows[i].last_s;
	}
}

/* ---- rows as they come ---------------------------------------------------------------------------------------------- */

/* The verdicts of w->keys. A malformed key has none; it is asked for as the highest IMEI, which is thrown away. */
static void look_up(struct run_worker *w, size_t n)
{
	for (size_t i = 0; i < n; i++)
		w->imeis[i].n = w->keys[i] <= IMEI_MAX ? w->keys[i] : IMEI_MAX;
	verdicts_enter(w->reader);
	verdicts_get_apart(w->run->rules.env->verdicts, w->imeis, n, w->entries, w->tacs);
	verdicts_leave(w->reader);
	for (size_t i = n; i > 0 && w->keys[i - 1] > IMEI_MAX; i--)
		w->entries[i - 1] = w->tacs[i - 1] = (struct verdict){0};
}

static bool must_stop(struct run_worker *w)
{
	const _Atomic bool *stop = w->run->stop;
	if (stop && atomic_load_explicit(stop, memory_order_relaxed))
		class_output_fail(w->run->output, CEIR_ETIMEOUT);
	return class_output_failed(w->run->output);
}

/* At most BATCH rows. */
static enum ceir_err take_rows(struct run_worker *w, const struct triplet *rows, size_t n)
{
	size_t at = 0, keys = 0;
	while (at < n && w->open && rows[at].imei == w->imei)
		at++;
	if (at)
		add_rows(w, rows, at);
	for (size_t i = at; i < n; i++)
		if (keys == 0 || rows[i].imei != w->keys[keys - 1])
			w->keys[keys++] = rows[i].imei;
	if (keys)
		look_up(w, keys);
	for (size_t k = 0; k < keys; k++) {
		enum ceir_err err = close_imei(w);
		if (err)
			return err;
		open_imei(w, k);
		size_t end = at;
		while (end < n && rows[end].imei == w->imei)
			end++;
		add_rows(w, rows + at, end - at);
		at = end;
	}
	return CEIR_OK;
}

static enum ceir_err on_rows(void *ctx, const struct triplet *rows, size_t n)
{
	struct run_worker *w = ctx;
	if (must_stop(w))
		return CEIR_ETIMEOUT; /* the output knows why */
	w->result.triplets += n;
	for (size_t done = 0; done < n;) {
		size_t m = n - done < BATCH ? n - done : BATCH;
		enum ceir_err err = take_rows(w, rows + done, m);
		if (err)
			return err;
		done += m;
	}
	return CEIR_OK;
}

/* ---- parts and threads ---------------------------------------------------------------------------------------------- */

static enum ceir_err run_part(struct run_worker *w)
{
	struct classify_run *run = w->run;
	uint64_t from = run->bounds[w->part], to = run->bounds[w->part + 1];
	w->possible = 0;
	if (from < to) {
		enum ceir_err err = class_reader_begin(&w->old, run->old, &run->c->frozen, from);
		if (!err)
			err = triplets_scan(run->rules.env->view, from, to - 1, on_rows, w);
		if (!err)
			err = close_imei(w);
		if (!err)
			err = carry_over(w, to);
		if (!err) {
			err = class_output_push(run->output, w->part, w->chunk);
			w->chunk = class_output_chunk(run->output);
			if (!err && !w->chunk)
				err = CEIR_ENOMEM;
		}
		if (err)
			return err;
	}
	return class_output_end(run->output, w->part);
}

static void *run_thread(void *arg)
{
	struct run_worker *w = arg;
	struct classify_run *run = w->run;
	enum ceir_err err = CEIR_OK;
	w->reader = verdicts_reader_new(run->rules.env->verdicts);
	w->gather = policy_gather_new(run->rules.env->policy, run->rules.env->tables);
	w->chunk = class_output_chunk(run->output);
	if (!w->reader || !w->gather || !w->chunk)
		err = CEIR_ENOMEM;
	while (!err && class_output_take(run->output, &w->part))
		err = must_stop(w) ? CEIR_ETIMEOUT : run_part(w);
	if (err)
		class_output_fail(run->output, err);
	verdicts_reader_free(w->reader);
	policy_gather_free(w->gather);
	free(w->chunk);
	return NULL;
}

static void add_result(struct classify_result *sum, const struct classify_result *r)
{
	sum->imeis += r->imeis;
	sum->triplets += r->triplets;
	sum->changes += r->changes;
	sum->derive += r->derive;
	for (unsigned i = 0; i < 4; i++) {
		sum->to[i] += r->to[i];
		sum->from[i] += r->from[i];
		sum->colours[i] += r->colours[i];
	}
	for (unsigned i = 0; i < POLICY_CONDITIONS; i++)
		sum->matched[i] += r->matched[i];
}

/* The calling thread is one of them; what cannot be started is done by the others. */
static enum ceir_err run_threads(struct classify_run *run, unsigned threads)
{
	struct run_worker *workers = calloc(threads, sizeof *workers);
	if (!workers)
		return CEIR_ENOMEM;
	for (unsigned i = 0; i < threads; i++)
		workers[i].run = run;
	for (unsigned i = 1; i < threads; i++)
		workers[i].started = thread_start("classify", run_thread, &workers[i], &workers[i].thread) == CEIR_OK;
	run_thread(&workers[0]);
	for (unsigned i = 1; i < threads; i++)
		if (workers[i].started)
			pthread_join(workers[i].thread, NULL);
	for (unsigned i = 0; i < threads; i++)
		add_result(&run->result, &workers[i].result);
	free(workers);
	return class_output_finish(run->output, run->rules.today, policy_version(run->rules.env->policy));
}

/* All keys there can be, the last bound UINT64_MAX, which is no key: records may lie outside the triplets. */
static enum ceir_err cut_into_parts(struct classify_run *run, unsigned threads)
{
	run->parts = threads * PARTS_PER_THREAD;
	run->bounds = calloc(run->parts + 1, sizeof *run->bounds);
	if (!run->bounds)
		return CEIR_ENOMEM;
	triplets_split(run->rules.env->view, run->parts, run->bounds);
	run->bounds[0] = 0;
	run->bounds[run->parts] = UINT64_MAX;
	return CEIR_OK;
}

static void set_rules(struct classify_run *run, const struct classify_env *env)
{
	run->rules = (struct class_rules){
		.env = env,
		.today = date_of_us(env->now_s * 1000000),
		.since = run->old ? run->old->made_day : INT32_MIN,
		.rederive = run->old && run->old->policy_version != policy_version(env->policy),
	};
}

static struct classify_run *run_alloc(struct classify *c, const char *name, bool dry, const _Atomic bool *stop)
{
	struct classify_run *run = calloc(1, sizeof *run);
	char *copy = strdup(name);
	if (!run || !copy) {
		free(run);
		free(copy);
		return NULL;
	}
	run->c = c;
	run->name = copy;
	run->dry = dry;
	run->stop = stop;
	return run;
}

enum ceir_err classify_run_new(struct classify *c, const struct classify_env *env, unsigned threads, const char *name, bool dry,
	const _Atomic bool *stop, struct classify_run **out)
{
	int64_t start = clock_mono_us();
	if (threads < 1 || threads > THREADS_MAX || (!dry && !class_name_is_good(name)))
		return CEIR_EINVAL;
	enum ceir_err err = class_freeze(c);
	if (err)
		return err;
	struct classify_run *run = run_alloc(c, name, dry, stop);
	char *path = dry ? NULL : class_path(c->dir, name);
	if (!run) {
		class_thaw(c);
		free(path);
		return CEIR_ENOMEM;
	}
	run->old = c->file; /* only a switch replaces it, and that needs this run */
	class_file_ref(run->old);
	set_rules(run, env);
	err = !dry && !path ? CEIR_ENOMEM : cut_into_parts(run, threads);
	if (!err)
		err = class_output_new(c->dir, path, run->parts, BUDGET_BYTES, &run->output);
	if (!err)
		err = run_threads(run, threads);
	free(path);
	run->rules.env = NULL; /* the caller's again */
	run->result.us = clock_mono_us() - start;
	if (err)
		classify_run_free(run);
	else
		*out = run;
	return err;
}

const struct classify_result *classify_run_result(const struct classify_run *r)
{
	return &r->result;
}

enum ceir_err classify_run_next(struct classify_run *r, struct classify_change *changes, size_t max, size_t *n)
{
	return class_output_next(r->output, changes, max, n);
}

void classify_run_rewind(struct classify_run *r)
{
	class_output_rewind(r->output);
}

void classify_run_free(struct classify_run *r)
{
	if (!r)
		return;
	class_output_free(r->output);
	class_file_unref(r->old);
	class_thaw(r->c);
	free(r->bounds);
	free(r->name);
	free(r);
}

enum ceir_err classify_switch(struct classify *c, struct classify_run *r)
{
	struct class_file *file, *old;
	if (r->c != c || r->dry || r->switched)
		return CEIR_ESTATE;
	enum ceir_err err = class_file_open(c->dir, r->name, &file);
	if (err)
		return err;
	pthread_rwlock_wrlock(&c->lock);
	old = c->file;
	struct class_list seen = c->frozen;
	c->file = file;
	c->frozen = (struct class_list){0};
	pthread_rwlock_unlock(&c->lock);
	r->switched = true;
	class_output_keep_file(r->output);
	class_list_free(&seen);
	char *path = old ? class_path(c->dir, old->name) : NULL;
	if (path)
		class_remove(path);
	free(path);
	class_file_unref(old);
	return CEIR_OK;
}

/*
 * registry_list_outbox.c - lists by themselves: DIR/outbox/OPERATOR/ holds NAME and NAME.sig, of each list the whole once and then
 * deltas, one after the other without a gap, whenever something changed.
 *
 * The steps of one file, and what a crash between them leaves: (1) .NAME.tmp is complete and synced; (2) so is .NAME.sig; (3) one
 * transaction: the row of evidence with its audit row, the poll message to the operator, and outbox.OPERATOR.LIST = "sequence
 * number, NAME"; (4) .NAME.sig becomes NAME.sig, (5) .NAME.tmp becomes NAME. Before (3): nothing was made, the next file takes its
 * place, and what is left is removed at the next start. After it: it is shown at the next start.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "registry/registry_list.h"

#define ROOM "lists"
#define OPERATORS 255
#define LOOK_MS 1000              /* the change log is looked at so often when nobody says that it has changed */

/* ---- how far an outbox is ---- */

struct mark {
	const char *code;
	enum reg_list_kind kind;
	int64_t seq;                  /* -1: there is no file yet */
	char name[REG_LIST_NAME];     /* of the last one */
};

static void mark_name(const struct mark *m, char out[REG_FOLDER_NAME + 32])
{
	snprintf(out, REG_FOLDER_NAME + 32, "outbox.%s.%s", m->code, reg_list_name(m->kind));
}

static enum ceir_err parse_mark(struct str s, struct mark *m)
{
	struct str number;
	uint64_t n;

	if (!str_cut(&s, ' ', &number) || str_u64(number, INT64_MAX, &n) || s.n >= sizeof m->name)
		return CEIR_ECORRUPT;
	m->seq = (int64_t)n;
	memcpy(m->name, s.p, s.n);
	m->name[s.n] = '\0';
	return CEIR_OK;
}

static enum ceir_err load_mark(struct registry *r, struct mark *m)
{
	struct arena *arena = arena_new(1 << 16);
	struct store_conn *db = store_reader(r->store);
	char name[REG_FOLDER_NAME + 32];
	struct str s;
	enum ceir_err err = arena && db ? CEIR_OK : CEIR_ENOMEM;

	mark_name(m, name);
	m->seq = -1;
	if (!err)
		err = store_meta_get(db, name, arena, &s);
	if (!err)
		err = parse_mark(s, m);
	store_reader_done(r->store, db);
	arena_free(arena);
	return err == CEIR_ENOENT ? CEIR_OK : err;
}

static enum ceir_err put_mark(struct exec *x, const struct mark *m)
{
	char name[REG_FOLDER_NAME + 32];
	struct str text = arena_printf(x->arena, "%" PRId64 " %s", m->seq, m->name);

	mark_name(m, name);
	return text.p ? store_meta_set(x->db, name, text) : CEIR_ENOMEM;
}

/* ---- one file ---- */

struct served {
	struct reg_list_file f;
	struct mark mark;
};

static enum ceir_err put_audit(struct exec *x, const struct served *s, int64_t at_us)
{
	const struct reg_list_file *f = &s->f;
	struct str name = arena_printf(x->arena, "%s %s %" PRIu64 " rows sha256 %.16s", f->job->code, f->name, f->info.rows, f->digest);
	struct store_audit a = {.at_us = at_us, .verb = STR("create"), .object = STR("list"), .name = name, .address = STR("ceird"),
		.code = REG_DONE};

	if (!name.p)
		return CEIR_ENOMEM;
	crypto_generichash(a.request, sizeof a.request, (const uint8_t *)name.p, name.n, NULL, 0);
	memcpy(a.response, f->info.sha256, sizeof a.response);
	return store_audit_append(x->db, &a);
}

static enum ceir_err put_served(struct exec *x)
{
	const struct served *s = x->arg;
	const struct reg_list_job *job = s->f.job;
	struct str args[] = {str_of(reg_list_name(job->kind)), reg_print_u64(x, job->from < 0 ? 0 : (uint64_t)job->from),
		reg_print_u64(x, (uint64_t)job->to)};
	struct str name = arena_printf(x->arena, "outbox/%s", s->f.name);
	int64_t at_us = reg_trid_us(x->r);
	enum ceir_err err = name.p ? put_audit(x, s, at_us) : CEIR_ENOMEM;

	if (!err)
		err = reg_list_file_record(x, &s->f, name.p, at_us);
	if (!err)
		err = put_mark(x, &s->mark);
	return err ? err : reg_message_to_operator(x, str_of(job->code), REG_MESSAGE_LIST_READY, args, CEIR_COUNT(args));
}

void reg_list_signature_print(struct buf *out, struct str op, enum reg_list_kind list, const struct reg_file *f)
{
	buf_c(out, "{\"operator\":");
	buf_json(out, op);
	buf_printf(out, ",\"list\":\"%s\",\"from\":%" PRId64 ",\"to\":%" PRId64 ",\"rows\":%" PRIu64 ",\"bytes\":%" PRIu64
		",\"sha256\":\"%s\",\"signature\":\"%s\"}\n", reg_list_name(list), f->from, f->to, f->rows, f->bytes, f->digest, f->signature);
}

/* .NAME.sig: what was signed, as one JSON object. */
static enum ceir_err write_signature(const char *dir, const struct reg_list_file *f)
{
	const struct reg_list_job *job = f->job;
	struct reg_file file = {.from = job->from < 0 ? 0 : job->from, .to = job->to, .rows = f->info.rows, .bytes = f->info.bytes};
	struct buf b = BUF_INIT(4096);
	char path[REG_LIST_PATH + 128];
	enum ceir_err err;

	memcpy(file.digest, f->digest, sizeof file.digest);
	memcpy(file.signature, f->signature, sizeof file.signature);
	reg_list_signature_print(&b, str_of(job->code), job->kind, &file);
	snprintf(path, sizeof path, "%s/.%s.sig", dir, f->name);
	err = b.failed ? CEIR_ENOMEM : file_write(path, buf_view(&b), 0600);
	buf_free(&b);
	return err;
}

static void drop(const char *dir, const char *name)
{
	char path[REG_LIST_PATH + 128];

	snprintf(path, sizeof path, "%s/.%s.tmp", dir, name);
	unlink(path);
	snprintf(path, sizeof path, "%s/.%s.sig", dir, name);
	unlink(path);
}

/* A file that is recorded gets its name. */
static enum ceir_err show(const char *dir, const char *name)
{
	char from[REG_LIST_PATH + 128], to[REG_LIST_PATH + 128];

	snprintf(from, sizeof from, "%s/.%s.sig", dir, name);
	snprintf(to, sizeof to, "%s/%s.sig", dir, name);
	if (rename(from, to) && errno != ENOENT) /* it may stand there since before a crash */
		return ceir_err_of_errno(errno);
	return reg_list_file_show(dir, name);
}

/* Who waits for this list looks again. */
static void tell(struct reg_lists *l, uint8_t op, enum reg_list_kind kind)
{
	pthread_mutex_lock(&l->lock);
	l->made[op][kind]++;
	pthread_cond_broadcast(&l->news);
	pthread_mutex_unlock(&l->lock);
}

/* A delta that says nothing is not kept; the next one then begins where this one would have. */
static enum ceir_err serve_list(struct registry *r, const struct reg_list_job *job)
{
	struct served s = {.f = {.job = job}, .mark = {.code = job->code, .kind = job->kind, .seq = job->to}};
	struct arena *arena = arena_new(1 << 16);
	char dir[REG_LIST_PATH], prefix[32];
	enum ceir_err err = arena ? reg_list_folder(r, "outbox", job->code, dir) : CEIR_ENOMEM;

	if (!err)
		err = reg_list_file_make(dir, &s.f);
	if (err || (job->from >= 0 && !s.f.info.rows)) {
		if (!err) {
			drop(dir, s.f.name);
			r->lists->behind[job->op][job->kind] = job->to;
		}
		arena_free(arena);
		return err;
	}
	snprintf(s.mark.name, sizeof s.mark.name, "%s", s.f.name);
	err = write_signature(dir, &s.f);
	if (!err)
		err = reg_write(r, arena, put_served, &s, false);
	if (!err)
		err = show(dir, s.f.name);
	snprintf(prefix, sizeof prefix, "%s-", reg_list_name(job->kind));
	if (!err) {
		reg_list_tidy(dir, prefix, r->settings.outbox_keep);
		tell(r->lists, job->op, job->kind);
	}
	arena_free(arena);
	return err;
}

/* The last file that was recorded is shown, if a crash, or a disk that was full, came between. */
static enum ceir_err show_last(struct registry *r, const struct mark *m)
{
	char dir[REG_LIST_PATH], tmp[REG_LIST_PATH + 128];
	enum ceir_err err = m->seq < 0 ? CEIR_OK : reg_list_folder(r, "outbox", m->code, dir);

	if (err || m->seq < 0)
		return err;
	snprintf(tmp, sizeof tmp, "%s/.%s.tmp", dir, m->name);
	return access(tmp, F_OK) ? CEIR_OK : show(dir, m->name);
}

/* After a start: what was recorded is shown, what is half made removed. */
static enum ceir_err clean(struct registry *r, const char *code)
{
	char dir[REG_LIST_PATH];
	enum ceir_err err = CEIR_OK;

	for (unsigned k = 0; k < REG_LISTS && !err; k++) {
		struct mark mark = {.code = code, .kind = k};

		err = load_mark(r, &mark);
		if (!err)
			err = show_last(r, &mark);
	}
	if (!err)
		err = reg_list_folder(r, "outbox", code, dir);
	if (!err)
		reg_list_clean(dir);
	if (!err)
		err = reg_list_folder(r, "lists", code, dir);
	if (err)
		return err;
	pthread_mutex_lock(&r->lists->making);
	reg_list_clean(dir);
	pthread_mutex_unlock(&r->lists->making);
	return CEIR_OK;
}

/* ---- all operators ---- */

static enum ceir_err serve_operator(struct registry *r, const char *code, uint8_t op, int64_t upto)
{
	bool white = policy_params(reg_policy(r))->restrictive; /* who runs permissive has no use for it */
	enum ceir_err err = r->lists->done < 0 ? clean(r, code) : CEIR_OK;

	for (unsigned k = 0; k < REG_LISTS && !err; k++) {
		struct reg_list_job job = {.r = r, .op = op, .kind = k, .to = upto, .now_us = clock_real_us(), .format = LIST_CSV, .packing = LIST_ZSTD};
		struct mark mark = {.code = code, .kind = k};

		if (k == REG_LIST_WHITE && !white) {
			tell(r->lists, op, k); /* whether there is anything for who asks for it all the same, he finds out himself */
			continue;
		}
		snprintf(job.code, sizeof job.code, "%s", code);
		err = load_mark(r, &mark);
		if (!err)
			err = show_last(r, &mark);
		job.from = mark.seq;
		job.behind = r->lists->behind[op][k];
		if (!err && mark.seq < upto)
			err = serve_list(r, &job);
	}
	return err;
}

static enum ceir_err serve_all(struct registry *r, int64_t upto)
{
	struct reg_tables *t = reg_class_tables_take(r);
	int64_t begin = clock_mono_us();
	enum ceir_err err = CEIR_OK, first = CEIR_OK;
	unsigned n = 0;

	/* One operator's trouble is not the others'. */
	for (unsigned op = 1; op <= OPERATORS; op++) {
		if (!t->operator_codes[op][0])
			continue;
		err = serve_operator(r, t->operator_codes[op], (uint8_t)op, upto);
		first = first ? first : err;
		n++;
	}
	reg_tables_give(t);
	if (!first && n)
		log_info(ROOM, "outboxes of %u operators hold the changes up to %" PRId64 ", made in %" PRId64 " ms", n, upto,
			(clock_mono_us() - begin) / 1000);
	return first;
}

/* ---- the thread ---- */

/* False: the server stops. until_due: no longer than LOOK_MS, and not when something has changed. */
static bool wait_for(struct reg_lists *l, int64_t ms, bool until_due)
{
	struct timespec until;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += ms / 1000;
	until.tv_nsec += (long)(ms % 1000) * 1000000L;
	if (until.tv_nsec >= 1000000000L) {
		until.tv_sec++;
		until.tv_nsec -= 1000000000L;
	}
	pthread_mutex_lock(&l->lock);
	while (!l->stop && !(until_due && l->due) && pthread_cond_timedwait(&l->wake, &l->lock, &until) != ETIMEDOUT)
		;
	if (until_due)
		l->due = false;
	bool go = !l->stop;
	pthread_mutex_unlock(&l->lock);
	return go;
}

static unsigned count_operators(struct registry *r)
{
	struct reg_tables *t = reg_class_tables_take(r);
	unsigned n = 0;

	for (unsigned op = 1; op <= OPERATORS; op++)
		n += t->operator_codes[op][0] != '\0';
	reg_tables_give(t);
	return n;
}

/* *served: there was something to do. */
static enum ceir_err serve(struct registry *r, bool *served)
{
	struct reg_lists *l = r->lists;
	struct store_conn *db = store_reader(r->store);
	int64_t upto;
	enum ceir_err err = db ? store_change_last(db, &upto) : CEIR_ESTORE;

	store_reader_done(r->store, db);
	unsigned operators = count_operators(r);
	*served = !err && (upto > l->done || operators != l->operators);
	if (!*served)
		return err;
	err = reg_list_settled(r, &upto);
	if (!err)
		err = serve_all(r, upto);
	if (err)
		return err;
	l->done = upto;
	l->operators = operators;
	return CEIR_OK;
}

static void *lists_thread(void *arg)
{
	struct registry *r = arg;
	int64_t interval_ms = r->settings.lists_s * 1000LL;
	bool go = true;

	while (go) {
		bool served = false;
		enum ceir_err err = serve(r, &served);

		if (err)
			log_error(ROOM, "lists cannot be made: %s; it is tried again", ceir_err_text(err));
		if (err || served)
			go = wait_for(r->lists, err && interval_ms < 10000 ? 10000 : interval_ms, false);
		if (go)
			go = wait_for(r->lists, LOOK_MS, true);
	}
	return NULL;
}

void reg_lists_due(struct registry *r, int64_t seq)
{
	struct reg_lists *l = r->lists;

	(void)seq;
	if (!l)
		return;
	pthread_mutex_lock(&l->lock);
	l->due = true;
	pthread_cond_signal(&l->wake);
	pthread_mutex_unlock(&l->lock);
}

/* ---- open, close ---- */

enum ceir_err reg_lists_open(struct registry *r)
{
	struct reg_lists *l = calloc(1, sizeof *l);
	enum ceir_err err;

	if (!l)
		return CEIR_ENOMEM;
	pthread_mutex_init(&l->making, NULL);
	pthread_mutex_init(&l->lock, NULL);
	thread_cond_init(&l->wake);
	thread_cond_init(&l->news);
	l->done = -1;
	r->lists = l;
	err = reg_key_read(&r->settings, "keys/audit-sign.key", l->sign, sizeof l->sign);
	if (!err && r->settings.lists_s)
		err = thread_start("lists", lists_thread, r, &l->thread);
	l->running = !err && r->settings.lists_s;
	return err;
}

void reg_lists_close(struct registry *r)
{
	struct reg_lists *l = r->lists;

	if (!l)
		return;
	pthread_mutex_lock(&l->lock);
	l->stop = true;
	pthread_cond_signal(&l->wake);
	pthread_mutex_unlock(&l->lock);
	if (l->running)
		pthread_join(l->thread, NULL);
	sodium_memzero(l->sign, sizeof l->sign);
	pthread_mutex_destroy(&l->making);
	pthread_mutex_destroy(&l->lock);
	pthread_cond_destroy(&l->wake);
	pthread_cond_destroy(&l->news);
	free(l);
	r->lists = NULL;
}

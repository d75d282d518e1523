/*
 * store_writer.c - the one writer: a thread that takes the submitted jobs, executes them in one transaction, commits, and
 * tells the submitters. While a commit waits for the disk the next jobs gather, so the group grows with the load and a
 * commit is paid once for all of them.
 *
 * A group that holds relaxed jobs only is written to the log without waiting for the disk (synchronous=NORMAL); the second
 * thread syncs the log STORE_RELAXED_MS later, unless a commit of another kind has done so before.
 *
 * WAL checkpoints: the second thread copies the write-ahead log into the database (PASSIVE, it never blocks the writer); when
 * little is left the writer does the rest between two groups, because only then the log can begin again at its start.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "store/store_internal.h"

#define GROUP_MAX 2048        /* jobs in one commit */
#define WAL_PAGES 8192        /* 32 MiB of log start a checkpoint */
#define WAL_REST 512          /* pages the writer itself copies */
#define READERS_MAX 8         /* reading connections; two cores do not gain from more */

struct store_waiter {
	pthread_mutex_t lock;
	pthread_cond_t settled;
	unsigned open;             /* submitted, not settled; under lock */
	enum ceir_err first_error; /* since the last wait; under lock */
};

struct store {
	char *path;
	struct store_conn *writer;   /* the writer's thread */
	bool relaxed;                /* the writer's connection is at synchronous=NORMAL; the writer's thread */
	pthread_t thread, checkpointer;

	pthread_mutex_t lock;        /* the queues, stop, wal_pages */
	pthread_cond_t work, checkpoint;
	struct store_job *head, **tail, *bulk_head, **bulk_tail;
	bool stop, stop_checkpointer, finish_checkpoint;
	bool unsynced;               /* relaxed commits since the log was synced */
	int wal_pages;

	pthread_mutex_t readers_lock;
	pthread_cond_t reader_free;
	struct store_conn *readers;  /* free ones */
	unsigned n_readers;          /* open ones */

	_Atomic uint64_t commits, jobs;
};

/* ---- waiting ---- */

struct store_waiter *store_waiter_new(void)
{
	struct store_waiter *w = calloc(1, sizeof *w);

	if (w) {
		pthread_mutex_init(&w->lock, NULL);
		pthread_cond_init(&w->settled, NULL);
	}
	return w;
}

void store_waiter_free(struct store_waiter *w)
{
	if (!w)
		return;
	CEIR_ASSERT(w->open == 0);
	pthread_cond_destroy(&w->settled);
	pthread_mutex_destroy(&w->lock);
	free(w);
}

enum ceir_err store_wait(struct store_waiter *w)
{
	pthread_mutex_lock(&w->lock);
	while (w->open)
		pthread_cond_wait(&w->settled, &w->lock);
	enum ceir_err err = w->first_error;
	w->first_error = CEIR_OK;
	pthread_mutex_unlock(&w->lock);
	return err;
}

static void settle(struct store_job *job, enum ceir_err result)
{
	struct store_waiter *w = job->waiter;

	job->result = result;
	if (job->settled)
		job->settled(job->arg, result); /* the job may be gone now */
	if (!w)
		return;
	pthread_mutex_lock(&w->lock);
	if (result && !w->first_error)
		w->first_error = result;
	if (--w->open == 0)
		pthread_cond_signal(&w->settled);
	pthread_mutex_unlock(&w->lock);
}

void store_submit(struct store *s, struct store_job *job)
{
	if (job->waiter) {
		pthread_mutex_lock(&job->waiter->lock);
		job->waiter->open++;
		pthread_mutex_unlock(&job->waiter->lock);
	}
	job->next = NULL;
	pthread_mutex_lock(&s->lock);
	struct store_job ***tail = job->bulk ? &s->bulk_tail : &s->tail;
	**tail = job;
	*tail = &job->next;
	pthread_cond_signal(&s->work);
	pthread_mutex_unlock(&s->lock);
}

enum ceir_err store_run(struct store *s, struct store_job *job)
{
	job->waiter = store_waiter_new();
	if (!job->waiter)
		return CEIR_ENOMEM;
	store_submit(s, job);
	enum ceir_err err = store_wait(job->waiter);
	store_waiter_free(job->waiter);
	job->waiter = NULL;
	return err;
}

/* ---- groups ---- */

/* Takes back what the open transaction did, in the database and in the heads of the logs. */
static void roll_back(struct store_conn *c)
{
	/* SQLite rolls back by itself on some errors (disk full). */
	if (!sqlite3_get_autocommit(c->db))
		(void)store_exec(c, "ROLLBACK");
	/* The heads are read again; should even that fail, no row can be appended until it succeeds. */
	if (store_heads_load(c))
		c->audit_seq = -1;
}

/* Whether the next commit waits for the disk; can be set between transactions only. */
static enum ceir_err set_relaxed(struct store *s, const struct store_job *group)
{
	bool relaxed = true;

	for (; group; group = group->next)
		relaxed &= group->relaxed;
	pthread_mutex_lock(&s->lock);
	if (relaxed && !s->unsynced) {
		s->unsynced = true;
		pthread_cond_signal(&s->checkpoint);
	}
	pthread_mutex_unlock(&s->lock);
	if (relaxed == s->relaxed)
		return CEIR_OK;
	enum ceir_err err = store_exec(s->writer, relaxed ? "PRAGMA synchronous = NORMAL" : "PRAGMA synchronous = FULL");
	s->relaxed = err ? s->relaxed : relaxed;
	return err;
}

/* All jobs in one transaction. On error nothing of any of them remains. */
static enum ceir_err commit_group(struct store *st, struct store_job *group)
{
	struct store_conn *c = st->writer;
	enum ceir_err err = c->audit_seq < 0 ? store_heads_load(c) : CEIR_OK;
	sqlite3_stmt *begin = store_sql(c, "BEGIN IMMEDIATE"), *commit = store_sql(c, "COMMIT");

	if (!err)
		err = set_relaxed(st, group);
	if (err)
		return err;
	if (!begin || !commit)
		return CEIR_ESTORE;
	err = store_step(c, begin, "begin");
	for (struct store_job *job = group; job && !err; job = job->next)
		err = job->run(c, job->arg);
	if (!err)
		err = store_step(c, commit, "commit");
	if (err) {
		roll_back(c);
	} else if (!st->relaxed) {
		/* A commit that waits for the disk takes the ones before with it: they are in the same file. */
		pthread_mutex_lock(&st->lock);
		st->unsynced = false;
		pthread_mutex_unlock(&st->lock);
	}
	return err;
}

static void publish(struct store *s, struct store_job *group)
{
	struct store_job *next;
	uint64_t n = 0;

	for (struct store_job *job = group; job; job = job->next, n++)
		if (job->done)
			job->done(job->arg);
	atomic_fetch_add_explicit(&s->jobs, n, memory_order_relaxed);
	atomic_fetch_add_explicit(&s->commits, 1, memory_order_relaxed);
	for (struct store_job *job = group; job; job = next) {
		next = job->next;
		settle(job, CEIR_OK);
	}
}

static void execute(struct store *s, struct store_job *group)
{
	struct store_job *next;
	enum ceir_err err = commit_group(s, group);

	if (!err) {
		publish(s, group);
		return;
	}
	/* Somebody in the group failed: alone, each of the others can still succeed. */
	for (struct store_job *job = group; job; job = next) {
		bool alone = job == group && !job->next;
		next = job->next;
		job->next = NULL;
		if (!alone)
			err = commit_group(s, job);
		if (err)
			settle(job, err);
		else
			publish(s, job);
	}
}

/* ---- checkpoints ---- */

static void note_wal(struct store *s, int pages)
{
	pthread_mutex_lock(&s->lock);
	s->wal_pages = pages;
	if (pages > WAL_PAGES)
		pthread_cond_signal(&s->checkpoint);
	pthread_mutex_unlock(&s->lock);
}

static int on_commit(void *ctx, sqlite3 *db, const char *name, int pages)
{
	(void)db;
	(void)name;
	note_wal(ctx, pages);
	return SQLITE_OK;
}

static enum ceir_err checkpoint(struct store_conn *c, int *rest)
{
	int log = 0, copied = 0;
	enum ceir_err err = store_fail(c, sqlite3_wal_checkpoint_v2(c->db, NULL, SQLITE_CHECKPOINT_PASSIVE, &log, &copied), "checkpoint");

	*rest = log - copied;
	return err;
}

/* SQLite takes no locks on the log file, so a descriptor of our own may be opened and closed. */
static enum ceir_err sync_log(const char *path)
{
	char wal[4096];
	int fd;

	if ((size_t)snprintf(wal, sizeof wal, "%s-wal", path) >= sizeof wal || (fd = open(wal, O_RDONLY | O_CLOEXEC)) < 0)
		return CEIR_EIO;
	int rc = fdatasync(fd);
	close(fd);
	return rc ? ceir_err_of_errno(errno) : CEIR_OK;
}

/* One piece of the second thread's work, without the lock. */
static enum ceir_err maintain(struct store *s, struct store_conn *c, bool sync, bool copy, int *rest)
{
	enum ceir_err err = CEIR_OK;

	if (sync && sync_log(s->path)) {
		log_error("store", "the write-ahead log could not be synced");
		err = CEIR_EIO;
	}
	return copy ? checkpoint(c, rest) : err;
}

/* Waits for something to do: until there is log to copy, or relaxed commits have waited long enough. Under the lock. */
static void wait_for_maintenance(struct store *s, bool can_copy)
{
	struct timespec until;

	while (!s->stop_checkpointer && !s->unsynced && !(can_copy && s->wal_pages > WAL_PAGES && !s->finish_checkpoint))
		pthread_cond_wait(&s->checkpoint, &s->lock);
	if (s->stop_checkpointer || !s->unsynced)
		return;
	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_nsec += STORE_RELAXED_MS * 1000000L;
	until.tv_sec += until.tv_nsec / 1000000000L;
	until.tv_nsec %= 1000000000L;
	while (!s->stop_checkpointer && pthread_cond_timedwait(&s->checkpoint, &s->lock, &until) == 0)
		;
}

static void *checkpoint_thread(void *arg)
{
	struct store *s = arg;
	struct store_conn *c = NULL;
	int rest_before = INT_MAX;

	/* A connection that has read nothing yet does not know that there is a log, and would copy nothing. */
	if (store_conn_open(s->path, SQLITE_OPEN_READWRITE, &c) || store_exec(c, "SELECT count(*) FROM sqlite_schema"))
		log_error("store", "no connection for checkpoints: the write-ahead log will grow");
	pthread_mutex_lock(&s->lock);
	while (!s->stop_checkpointer) {
		wait_for_maintenance(s, c != NULL);
		bool sync = s->unsynced, copy = c && s->wal_pages > WAL_PAGES && !s->finish_checkpoint;
		s->unsynced = false;
		pthread_mutex_unlock(&s->lock);
		int rest = 0;
		enum ceir_err err = maintain(s, c, sync, copy, &rest);
		pthread_mutex_lock(&s->lock);
		if (err || (copy && rest > WAL_REST && rest >= rest_before))
			s->wal_pages = 0; /* logged, or a reader holds the log back: the next commit asks again */
		else if (copy && rest <= WAL_REST)
			s->finish_checkpoint = true; /* the writer does the rest before its next group */
		rest_before = copy && rest > WAL_REST ? rest : INT_MAX;
	}
	pthread_mutex_unlock(&s->lock);
	store_conn_close(c);
	return NULL;
}

static void finish_checkpoint(struct store *s)
{
	int rest;

	/* Should a reader hold back the end of the log, the next pass gets it; a failure is in the log. */
	(void)checkpoint(s->writer, &rest);
	pthread_mutex_lock(&s->lock);
	s->finish_checkpoint = false;
	s->wal_pages = 0;
	pthread_mutex_unlock(&s->lock);
}

/* ---- the thread ---- */

/* Takes at most GROUP_MAX short jobs off the queue; under the lock. */
static struct store_job *take(struct store *s)
{
	struct store_job *group = s->head, *last = group;

	for (int n = 1; last && last->next && n < GROUP_MAX; n++)
		last = last->next;
	if (last) {
		s->head = last->next;
		last->next = NULL;
		if (!s->head)
			s->tail = &s->head;
	}
	return group;
}

static struct store_job *take_bulk(struct store *s)
{
	struct store_job *job = s->bulk_head;

	if (job) {
		s->bulk_head = job->next;
		job->next = NULL;
		if (!s->bulk_head)
			s->bulk_tail = &s->bulk_head;
	}
	return job;
}

static void *writer_thread(void *arg)
{
	struct store *s = arg;

	pthread_mutex_lock(&s->lock);
	for (;;) {
		while (!s->head && !s->bulk_head && !s->stop)
			pthread_cond_wait(&s->work, &s->lock);
		if (!s->head && !s->bulk_head)
			break;
		struct store_job *group = take(s), *bulk = take_bulk(s);
		bool finish = s->finish_checkpoint;
		pthread_mutex_unlock(&s->lock);
		if (group)
			execute(s, group);
		if (bulk)
			execute(s, bulk);
		if (finish)
			finish_checkpoint(s);
		pthread_mutex_lock(&s->lock);
	}
	pthread_mutex_unlock(&s->lock);
	return NULL;
}

/* ---- open, close ---- */

enum ceir_err store_create(const char *path)
{
	struct store_conn *c = NULL;
	struct buf sql = BUF_INIT(65536);
	enum ceir_err err = access(path, F_OK) ? store_conn_open(path, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, &c) : CEIR_EEXIST;

	if (err)
		return err;
	buf_printf(&sql, "PRAGMA page_size = 4096; PRAGMA journal_mode = WAL; BEGIN; PRAGMA application_id = %d; PRAGMA user_version = %d;",
		STORE_APPLICATION_ID, STORE_VERSION);
	for (size_t i = 0; store_tables[i]; i++)
		store_put_ddl(&sql, store_tables[i]);
	buf_c(&sql, store_extra_ddl);
	buf_c(&sql, store_extra_ddl2);
	buf_c(&sql, "COMMIT");
	buf_char(&sql, '\0');
	err = sql.failed ? CEIR_ENOMEM : store_exec(c, sql.p);
	buf_free(&sql);
	store_conn_close(c);
	return err;
}

/* Is it a register, and of the version this program writes? migrate: an older one is brought up to it. */
static enum ceir_err check_version(struct store_conn *c, const char *path, bool migrate)
{
	sqlite3_stmt *s = store_sql(c, "SELECT a.application_id, v.user_version FROM pragma_application_id a, pragma_user_version v");

	if (!s)
		return CEIR_ECORRUPT;
	int rc = sqlite3_step(s);
	int64_t id = sqlite3_column_int64(s, 0), version = sqlite3_column_int64(s, 1);
	sqlite3_reset(s);
	if (rc != SQLITE_ROW)
		return store_fail(c, rc, path);
	if (migrate && id == STORE_APPLICATION_ID && version >= 1 && version < STORE_VERSION)
		return store_migrate(c, version);
	if (id != STORE_APPLICATION_ID || version != STORE_VERSION) {
		log_error("store", "%s is not a register of version %d (application id %lld, version %lld)", path, STORE_VERSION,
			(long long)id, (long long)version);
		return CEIR_ECORRUPT;
	}
	return CEIR_OK;
}

static enum ceir_err open_writer(struct store *s, int64_t cache_bytes)
{
	char pragma[160];
	enum ceir_err err = store_conn_open(s->path, SQLITE_OPEN_READWRITE, &s->writer);

	if (!err)
		err = check_version(s->writer, s->path, true);
	if (err)
		return err;
	snprintf(pragma, sizeof pragma, "PRAGMA synchronous = FULL; PRAGMA cache_size = -%lld; PRAGMA journal_size_limit = 134217728",
		(long long)(cache_bytes / 1024));
	err = store_exec(s->writer, pragma);
	if (!err)
		err = store_heads_load(s->writer);
	sqlite3_wal_hook(s->writer->db, on_commit, s);
	return err;
}

static void free_store(struct store *s)
{
	while (s->readers) {
		struct store_conn *c = s->readers;
		s->readers = c->next;
		store_conn_close(c);
	}
	store_conn_close(s->writer);
	pthread_cond_destroy(&s->work);
	pthread_cond_destroy(&s->checkpoint);
	pthread_cond_destroy(&s->reader_free);
	pthread_mutex_destroy(&s->lock);
	pthread_mutex_destroy(&s->readers_lock);
	free(s->path);
	free(s);
}

enum ceir_err store_open(const char *path, int64_t cache_bytes, struct store **out)
{
	struct store *s = calloc(1, sizeof *s);

	if (!s)
		return CEIR_ENOMEM;
	s->tail = &s->head;
	s->bulk_tail = &s->bulk_head;
	pthread_mutex_init(&s->lock, NULL);
	pthread_mutex_init(&s->readers_lock, NULL);
	pthread_cond_init(&s->work, NULL);
	thread_cond_init(&s->checkpoint);
	pthread_cond_init(&s->reader_free, NULL);
	s->path = strdup(path);
	enum ceir_err err = s->path ? open_writer(s, cache_bytes) : CEIR_ENOMEM;
	if (err)
		goto fail;
	if (pthread_create(&s->checkpointer, NULL, checkpoint_thread, s)) {
		err = CEIR_ENOMEM;
		goto fail;
	}
	if (pthread_create(&s->thread, NULL, writer_thread, s)) {
		pthread_mutex_lock(&s->lock);
		s->stop_checkpointer = true;
		pthread_cond_signal(&s->checkpoint);
		pthread_mutex_unlock(&s->lock);
		pthread_join(s->checkpointer, NULL);
		err = CEIR_ENOMEM;
		goto fail;
	}
	*out = s;
	return CEIR_OK;
fail:
	free_store(s);
	return err;
}

void store_close(struct store *s)
{
	if (!s)
		return;
	pthread_mutex_lock(&s->lock);
	s->stop = true;
	pthread_cond_signal(&s->work);
	pthread_mutex_unlock(&s->lock);
	pthread_join(s->thread, NULL);
	pthread_mutex_lock(&s->lock);
	s->stop_checkpointer = true;
	pthread_cond_signal(&s->checkpoint);
	pthread_mutex_unlock(&s->lock);
	pthread_join(s->checkpointer, NULL);
	free_store(s);
}

void store_stats(const struct store *s, struct store_stats *out)
{
	out->commits = atomic_load_explicit(&s->commits, memory_order_relaxed);
	out->jobs = atomic_load_explicit(&s->jobs, memory_order_relaxed);
}

/* ---- readers ---- */

enum ceir_err store_open_readonly(const char *path, struct store_conn **out)
{
	struct store_conn *c = NULL;
	enum ceir_err err = store_conn_open(path, SQLITE_OPEN_READWRITE, &c);

	/* Opened for writing because the log's shared memory must be; query_only keeps the promise. */
	if (!err)
		err = store_exec(c, "PRAGMA query_only = 1");
	if (!err)
		err = check_version(c, path, false);
	if (err)
		store_conn_close(c);
	else
		*out = c;
	return err;
}

void store_close_readonly(struct store_conn *c)
{
	store_conn_close(c);
}

/* How many this thread holds. Who holds one already does not wait for another: all who hold one might, and none would be given back. */
static _Thread_local int readers_held;

struct store_conn *store_reader(struct store *s)
{
	struct store_conn *c = NULL;
	bool open = false;

	pthread_mutex_lock(&s->readers_lock);
	while (!s->readers && s->n_readers >= READERS_MAX && readers_held <= 0)
		pthread_cond_wait(&s->reader_free, &s->readers_lock);
	if (s->readers) {
		c = s->readers;
		s->readers = c->next;
	} else {
		s->n_readers++;
		open = true;
	}
	pthread_mutex_unlock(&s->readers_lock);
	if (open && store_open_readonly(s->path, &c)) {
		pthread_mutex_lock(&s->readers_lock);
		s->n_readers--;
		pthread_cond_signal(&s->reader_free);
		pthread_mutex_unlock(&s->readers_lock);
		return NULL;
	}
	readers_held++;
	return c;
}

void store_reader_done(struct store *s, struct store_conn *c)
{
	if (!c)
		return;
	readers_held--;
	pthread_mutex_lock(&s->readers_lock);
	bool keep = s->n_readers <= READERS_MAX;
	if (keep) {
		c->next = s->readers;
		s->readers = c;
	} else {
		s->n_readers--;
	}
	pthread_cond_signal(&s->reader_free);
	pthread_mutex_unlock(&s->readers_lock);
	if (!keep)
		store_conn_close(c);
}

/*
 * registry_list_file.c - list files: made, signed, recorded, found again.
 *
 *   DIR/lists/OPERATOR/   what was asked for over HTTP; kept until newer ones take its place
 *   DIR/outbox/OPERATOR/  registry_list_outbox.c
 *
 * A file appears under its name when it is complete and synced; a row of list_file says who got what, with digest: evidence.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "registry/registry_list.h"

#define PATH REG_LIST_PATH

/* ---- names and folders ---- */

enum ceir_err reg_list_folder(const struct registry *r, const char *folder, const char *code, char out[PATH])
{
	char name[REG_FOLDER_NAME];

	reg_folder_name(str_of(code), name);
	if ((size_t)snprintf(out, PATH, "%s/%s", r->settings.dir, folder) >= PATH)
		return CEIR_ERANGE;
	if (mkdir(out, 0700) && errno != EEXIST)
		return ceir_err_of_errno(errno);
	if ((size_t)snprintf(out, PATH, "%s/%s/%s", r->settings.dir, folder, name) >= PATH)
		return CEIR_ERANGE;
	return mkdir(out, 0700) && errno != EEXIST ? ceir_err_of_errno(errno) : CEIR_OK;
}

void reg_list_file_name(const struct reg_list_job *job, char out[REG_LIST_NAME])
{
	static const char *const formats[] = {"csv", "xml"}, *const packings[] = {"", ".gz", ".zst"};

	if (job->from < 0)
		snprintf(out, REG_LIST_NAME, "%s-%sfull-%" PRId64 ".%s%s", reg_list_name(job->kind), job->dirbs ? "dirbs-" : "", job->to,
			formats[job->format], packings[job->packing]);
	else
		snprintf(out, REG_LIST_NAME, "%s-delta-%" PRId64 "-%" PRId64 ".%s%s", reg_list_name(job->kind), job->from, job->to,
			formats[job->format], packings[job->packing]);
}

/* ---- making ---- */

/* The line is described in docs/formats.md. */
static void sign(struct reg_list_file *f)
{
	const struct reg_list_job *job = f->job;
	uint8_t sig[crypto_sign_BYTES];
	char line[512];
	int n = snprintf(line, sizeof line, "ceir-list-1 %s %s %" PRId64 " %" PRId64 " %" PRIu64 " %" PRIu64 " %s\n", job->code,
		reg_list_name(job->kind), job->from < 0 ? 0 : job->from, job->to, f->info.rows, f->info.bytes, f->digest);

	crypto_sign_detached(sig, NULL, (const uint8_t *)line, (unsigned long long)n, job->r->lists->sign);
	hex_print(sig, sizeof sig, f->signature);
}

static void tmp_path(const char *dir, const char *name, char out[PATH + 128])
{
	snprintf(out, PATH + 128, "%s/.%s.tmp", dir, name);
}

enum ceir_err reg_list_change_time(struct store_conn *db, int64_t seq, int64_t *at_s)
{
	struct store_change change;
	enum ceir_err err = seq > 0 ? store_change_get(db, seq, &change) : CEIR_ENOENT;

	*at_s = err ? 0 : change.at_s;
	return err == CEIR_ENOENT ? CEIR_OK : err;
}

/* When the changes at both ends of what is looked at were made. */
static enum ceir_err set_times(struct reg_list_job *job)
{
	struct store_conn *db = store_reader(job->r->store);
	enum ceir_err err;

	if (job->behind < job->from)
		job->behind = job->from;
	err = db ? reg_list_change_time(db, job->behind, &job->from_s) : CEIR_ESTORE;

	if (!err)
		err = reg_list_change_time(db, job->to, &job->to_s);
	store_reader_done(job->r->store, db);
	return err;
}

/* Under `making`. */
static enum ceir_err make(const char *dir, struct reg_list_file *f)
{
	struct reg_list_job job = *f->job;
	char tmp[PATH + 128];
	enum ceir_err err = set_times(&job);

	reg_list_file_name(&job, f->name);
	tmp_path(dir, f->name, tmp);
	unlink(tmp);
	if (!err)
		err = reg_list_make(&job, tmp, &f->info);
	if (!err)
		err = file_sync_dir(dir);
	if (err) {
		unlink(tmp);
		return err;
	}
	hex_print(f->info.sha256, sizeof f->info.sha256, f->digest);
	sign(f);
	return CEIR_OK;
}

enum ceir_err reg_list_file_make(const char *dir, struct reg_list_file *f)
{
	struct reg_lists *l = f->job->r->lists;

	pthread_mutex_lock(&l->making);
	enum ceir_err err = make(dir, f);
	pthread_mutex_unlock(&l->making);
	return err;
}

enum ceir_err reg_list_file_any(const struct reg_list_job *asked, bool *any)
{
	struct reg_lists *l = asked->r->lists;
	struct reg_list_job job = *asked;

	pthread_mutex_lock(&l->making);
	enum ceir_err err = set_times(&job);
	if (!err)
		err = reg_list_any(&job, any);
	pthread_mutex_unlock(&l->making);
	return err;
}

enum ceir_err reg_list_file_show(const char *dir, const char *name)
{
	char tmp[PATH + 128], path[PATH + 128];

	tmp_path(dir, name, tmp);
	snprintf(path, sizeof path, "%s/%s", dir, name);
	return rename(tmp, path) ? ceir_err_of_errno(errno) : file_sync_dir(dir);
}

enum ceir_err reg_list_file_record(struct exec *x, const struct reg_list_file *f, const char *name, int64_t tx)
{
	const struct reg_list_job *job = f->job;
	struct store_val row[LIST_FILE_N];

	for (int i = 0; i < LIST_FILE_N; i++)
		row[i] = store_null();
	row[LIST_FILE_OPERATOR] = store_text(str_of(job->code));
	row[LIST_FILE_LIST] = store_text(str_of(reg_list_name(job->kind)));
	row[LIST_FILE_FROM] = store_int(job->from < 0 ? 0 : job->from);
	row[LIST_FILE_TO] = store_int(job->to);
	row[LIST_FILE_NAME] = store_text(str_of(name));
	row[LIST_FILE_ROWS] = store_int((int64_t)f->info.rows);
	row[LIST_FILE_BYTES] = store_int((int64_t)f->info.bytes);
	row[LIST_FILE_DIGEST] = store_blob(f->info.sha256, sizeof f->info.sha256);
	row[LIST_FILE_AT] = store_int(x->now_us);
	row[LIST_FILE_TX] = store_int(tx);
	return store_insert(x->db, &STORE_LIST_FILE, row, NULL);
}

/* ---- on request ---- */

struct request {
	struct reg_list_file *f;
	int64_t tx;
	bool found;
};

static enum ceir_err put_file(struct exec *x)
{
	const struct request *q = x->arg;

	return reg_list_file_record(x, q->f, q->f->name, q->tx);
}

static enum ceir_err take_made(void *ctx, const struct store_val *row)
{
	struct request *q = ctx;
	struct reg_list_file *f = q->f;

	if (row[LIST_FILE_DIGEST].s.n != sizeof f->info.sha256)
		return CEIR_ECORRUPT;
	f->info.rows = (uint64_t)row[LIST_FILE_ROWS].i;
	f->info.bytes = (uint64_t)row[LIST_FILE_BYTES].i;
	memcpy(f->info.sha256, row[LIST_FILE_DIGEST].s.p, sizeof f->info.sha256);
	hex_print(f->info.sha256, sizeof f->info.sha256, f->digest);
	q->found = true;
	return CEIR_OK;
}

/* Was this very file made before? Its row stands in the database, and the file is as long as it says. *fd -1: no. */
static enum ceir_err find_made(const char *dir, struct request *q, int *fd)
{
	struct registry *r = q->f->job->r;
	struct store_filter f[] = {{LIST_FILE_NAME, STORE_EQ, store_text(str_of(q->f->name))},
		{LIST_FILE_OPERATOR, STORE_EQ, store_text(str_of(q->f->job->code))}};
	struct store_query query = {.table = &STORE_LIST_FILE, .filters = f, .n_filters = 2, .descending = true, .limit = 1};
	struct store_conn *db;
	char path[PATH + 128];
	struct stat st;

	snprintf(path, sizeof path, "%s/%s", dir, q->f->name);
	*fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (*fd < 0)
		return errno == ENOENT ? CEIR_OK : ceir_err_of_errno(errno);
	db = store_reader(r->store);
	enum ceir_err err = db ? store_select(db, &query, take_made, q) : CEIR_ESTORE;
	store_reader_done(r->store, db);
	if (!err && q->found && !fstat(*fd, &st) && (uint64_t)st.st_size == q->f->info.bytes) {
		sign(q->f);
		return CEIR_OK;
	}
	close(*fd);
	*fd = -1;
	return err;
}

/* Shown, then recorded: killed between, it is made again for who asks next. */
static enum ceir_err make_on_request(const char *dir, struct request *q, int *fd)
{
	struct arena *arena = arena_new(1 << 16);
	char path[PATH + 128];
	enum ceir_err err = arena ? make(dir, q->f) : CEIR_ENOMEM;

	if (!err)
		err = reg_list_file_show(dir, q->f->name);
	if (!err)
		err = reg_write(q->f->job->r, arena, put_file, q, false);
	arena_free(arena);
	if (err)
		return err;
	snprintf(path, sizeof path, "%s/%s", dir, q->f->name);
	*fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	return *fd < 0 ? ceir_err_of_errno(errno) : CEIR_OK;
}

enum ceir_err reg_list_file_get(struct registry *r, const char *dir, struct reg_list_file *f, int64_t tx, int *fd)
{
	struct request q = {.f = f, .tx = tx};

	reg_list_file_name(f->job, f->name);
	pthread_mutex_lock(&r->lists->making);
	enum ceir_err err = find_made(dir, &q, fd);
	if (!err && *fd < 0)
		err = make_on_request(dir, &q, fd);
	pthread_mutex_unlock(&r->lists->making);
	return err;
}

/* ---- the last number ---- */

static enum ceir_err take_last(struct exec *x)
{
	*(int64_t *)x->arg = store_change_next(x->db) - 1;
	return CEIR_OK;
}

/* A job of its own comes after all that were committed before it, and after what they published. */
enum ceir_err reg_list_settled(struct registry *r, int64_t *seq)
{
	struct arena *arena = arena_new(1 << 16);
	enum ceir_err err = arena ? reg_write(r, arena, take_last, seq, true) : CEIR_ENOMEM;

	arena_free(arena);
	return err;
}

/* ---- tidying up ---- */

struct dated {
	char name[256];
	struct timespec at;
};

static int newest_first(const void *a, const void *b)
{
	const struct dated *x = a, *y = b;

	if (x->at.tv_sec != y->at.tv_sec)
		return x->at.tv_sec < y->at.tv_sec ? 1 : -1;
	if (x->at.tv_nsec != y->at.tv_nsec)
		return x->at.tv_nsec < y->at.tv_nsec ? 1 : -1;
	return strverscmp(y->name, x->name);
}

static size_t list_dir(const char *dir, const char *prefix, struct dated **out)
{
	DIR *d = opendir(dir);
	size_t n = 0, max = 0;
	const struct dirent *e;

	while (d && (e = readdir(d))) {
		struct stat st;
		size_t bytes;

		if (strncmp(e->d_name, prefix, strlen(prefix)) != 0 || (prefix[0] != '.' && strstr(e->d_name, ".sig"))
			|| fstatat(dirfd(d), e->d_name, &st, AT_SYMLINK_NOFOLLOW))
			continue;
		if (n == max) {
			max = max ? 2 * max : 64;
			struct dated *more = size_mul(max, sizeof *more, &bytes) ? realloc(*out, bytes) : NULL;

			if (!more)
				break; /* the others go next time */
			*out = more;
		}
		snprintf((*out)[n].name, sizeof (*out)[n].name, "%s", e->d_name);
		(*out)[n++].at = st.st_mtim;
	}
	if (d)
		closedir(d);
	return n;
}

void reg_list_tidy(const char *dir, const char *prefix, unsigned keep)
{
	struct dated *files = NULL;
	size_t n = list_dir(dir, prefix, &files);
	char path[PATH + 300];

	if (n)
		qsort(files, n, sizeof *files, newest_first);
	for (size_t i = keep ? keep : 1; i < n; i++) {
		snprintf(path, sizeof path, "%s/%s", dir, files[i].name);
		unlink(path);
		snprintf(path, sizeof path, "%s/%s.sig", dir, files[i].name);
		unlink(path);
	}
	free(files);
}

void reg_list_clean(const char *dir)
{
	struct dated *files = NULL;
	size_t n = list_dir(dir, ".", &files);
	char path[PATH + 300];

	for (size_t i = 0; i < n; i++) {
		snprintf(path, sizeof path, "%s/%s", dir, files[i].name);
		if (strcmp(files[i].name, ".") != 0 && strcmp(files[i].name, "..") != 0)
			unlink(path);
	}
	free(files);
}

/*
 * files.c - the face's life: accounts with their folders, threads that do files.
 *
 * Each account's files are done one at a time, in the order in which they came: a permit and the application under it may be sent one
 * behind the other. Different accounts' files are done at once, as many as there are threads.
 */
#include "files/files_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define LATER_FIRST_US 1000000LL /* what cannot be done now is tried again, and later less often */
#define LATER_MOST_US (15 * 1000000LL)
#define LOOK_S 1

/* ---- folders ---- */

static int open_at(int at, const char *name)
{
	return openat(at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
}

/* Step by step, so that no link on the way is followed. */
int files_open_folder(const struct files *f, const struct files_account *a, const char *which)
{
	struct str rest = str_of(which), step;
	int at = open_at(f->root, a->folder);

	while (at >= 0 && str_cut(&rest, '/', &step)) {
		char name[32];

		snprintf(name, sizeof name, "%.*s", (int)step.n, step.p);
		int next = open_at(at, name);
		int keep = errno;
		close(at);
		errno = keep;
		at = next;
	}
	return at;
}

static bool make_folders(const struct files *f, const char *folder)
{
	static const char *const folders[] = {"", "/ftp", "/ftp/in", "/ftp/out", "/ftp/out/lists", "/queue"};
	char path[REG_FOLDER_NAME + 32];

	for (size_t i = 0; i < CEIR_COUNT(folders); i++) {
		snprintf(path, sizeof path, "%s%s", folder, folders[i]);
		if (mkdirat(f->root, path, 0700) && errno != EEXIST) {
			log_error(FILES_ROOM, "cannot make %s/files/%s: %s", f->s.dir, path, strerror(errno));
			return false;
		}
	}
	return true;
}

static struct files_account *find_locked(struct files *f, struct str clid)
{
	struct files_account *a = f->accounts;

	while (a && !str_eq_c(clid, a->clid))
		a = a->next;
	return a;
}

static struct files_account *account_new(struct files *f, struct str clid, struct str op)
{
	struct files_account *a = calloc(1, sizeof *a);

	if (!a)
		return NULL;
	snprintf(a->clid, sizeof a->clid, "%.*s", (int)clid.n, clid.p);
	snprintf(a->op, sizeof a->op, "%.*s", (int)op.n, op.n ? op.p : "");
	reg_folder_name(clid, a->folder);
	if (!make_folders(f, a->folder)) {
		free(a);
		return NULL;
	}
	int queue = files_open_folder(f, a, "queue");
	if (queue >= 0) {
		files_queue_clean(queue);
		close(queue);
	}
	return a;
}

struct files_account *files_account_find(struct files *f, struct str clid, struct str op)
{
	if (!clid.n || clid.n >= sizeof f->accounts->clid)
		return NULL;
	pthread_mutex_lock(&f->lock);
	struct files_account *a = find_locked(f, clid);
	if (!a) {
		a = account_new(f, clid, op);
		if (a) {
			a->next = f->accounts;
			f->accounts = a;
		}
	} else if (op.n && !a->op[0]) {
		snprintf(a->op, sizeof a->op, "%.*s", (int)op.n, op.p);
	}
	if (a)
		a->active = a->seen = true;
	pthread_mutex_unlock(&f->lock);
	return a;
}

enum ceir_err files_home(struct files *f, struct str clid, char out[PATH_MAX])
{
	const struct files_account *a = files_account_find(f, clid, STR(""));
	int n = a ? snprintf(out, PATH_MAX, "%s/files/%s/ftp", f->s.dir, a->folder) : -1;

	return !a ? CEIR_EIO : n < 0 || n >= PATH_MAX ? CEIR_ERANGE : CEIR_OK;
}

void files_wake(struct files *f)
{
	pthread_mutex_lock(&f->lock);
	pthread_cond_broadcast(&f->wake);
	pthread_mutex_unlock(&f->lock);
}

/* ---- threads ---- */

static bool has_file(const struct files *f, const struct files_account *a)
{
	char seq[FILES_SEQ];
	int queue = files_open_folder(f, a, "queue");
	bool has = queue >= 0 && files_queue_first(queue, seq) == CEIR_OK;

	if (queue >= 0)
		close(queue);
	return has;
}

/* An account that has a file to be done, marked busy. Behind the one served last, so that each comes to its turn. */
static struct files_account *choose_locked(struct files *f)
{
	int64_t now = clock_mono_us();

	for (struct files_account **p = &f->accounts; *p; p = &(*p)->next) {
		struct files_account *a = *p, **end = &f->accounts;

		if (a->busy || !a->active || now < a->not_before_us || !has_file(f, a))
			continue;
		a->busy = true;
		*p = a->next;
		a->next = NULL;
		while (*end)
			end = &(*end)->next;
		*end = a;
		return a;
	}
	return NULL;
}

static void put_off_locked(struct files_account *a, bool failed)
{
	int64_t longer = a->later_us ? 2 * a->later_us : LATER_FIRST_US;

	a->later_us = !failed ? 0 : longer < LATER_MOST_US ? longer : LATER_MOST_US;
	a->not_before_us = failed ? clock_mono_us() + a->later_us : 0;
}

static void wait_locked(struct files *f)
{
	struct timespec until;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += LOOK_S;
	pthread_cond_timedwait(&f->wake, &f->lock, &until);
}

static void *run(void *arg)
{
	struct files *f = arg;

	pthread_mutex_lock(&f->lock);
	while (!f->stopping) {
		struct files_account *a = choose_locked(f);

		if (!a) {
			wait_locked(f);
			continue;
		}
		pthread_mutex_unlock(&f->lock);
		enum ceir_err err = files_do(f, a);
		pthread_mutex_lock(&f->lock);
		a->busy = false;
		put_off_locked(a, err && err != CEIR_ENOENT);
	}
	pthread_mutex_unlock(&f->lock);
	return NULL;
}

/* ---- life ---- */

static enum ceir_err open_root(struct files *f)
{
	char path[PATH_MAX];
	int n = snprintf(path, sizeof path, "%s/files", f->s.dir);

	if (n < 0 || n >= (int)sizeof path)
		return CEIR_ERANGE;
	if (mkdir(path, 0700) && errno != EEXIST)
		return ceir_err_of_errno(errno);
	f->root = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return f->root < 0 ? ceir_err_of_errno(errno) : CEIR_OK;
}

static void note_account(void *ctx, struct str clid, struct str op)
{
	(void)files_account_find(ctx, clid, op);
}

static enum ceir_err start(struct files *f)
{
	enum ceir_err err = open_root(f);

	if (!err)
		err = reg_accounts_active(f->r, note_account, f);
	for (unsigned i = 0; i < f->s.threads && !err; i++) {
		err = thread_start("files", run, f, &f->threads[i]);
		f->n_threads += !err;
	}
	if (!err) {
		err = thread_start("files-scan", files_scan_run, f, &f->scanner);
		f->scans = !err;
	}
	return err;
}

enum ceir_err files_new(const struct files_settings *s, struct registry *r, struct files **out)
{
	struct files *f = calloc(1, sizeof *f);

	if (!f)
		return CEIR_ENOMEM;
	f->s = *s;
	f->s.threads = s->threads > CEIR_COUNT(f->threads) ? CEIR_COUNT(f->threads) : s->threads;
	f->s.keep_days = s->keep_days ? s->keep_days : 30;
	f->s.max_bytes = s->max_bytes ? s->max_bytes : 16ull << 30;
	f->s.max_files = s->max_files ? s->max_files : 1000;
	f->s.ends_percent = s->ends_percent ? s->ends_percent : 10;
	f->r = r;
	f->root = -1;
	pthread_mutex_init(&f->lock, NULL);
	thread_cond_init(&f->wake);
	enum ceir_err err = start(f);
	if (err) {
		files_stop(f);
		files_free(f);
		return err;
	}
	*out = f;
	return CEIR_OK;
}

void files_stop(struct files *f)
{
	f->stopping = true;
	files_wake(f);
	for (unsigned i = 0; i < f->n_threads; i++)
		pthread_join(f->threads[i], NULL);
	if (f->scans)
		pthread_join(f->scanner, NULL);
	f->n_threads = 0;
	f->scans = false;
}

void files_free(struct files *f)
{
	if (!f)
		return;
	while (f->accounts) {
		struct files_account *a = f->accounts;

		f->accounts = a->next;
		still_free(a->still);
		free(a);
	}
	if (f->root >= 0)
		close(f->root);
	pthread_cond_destroy(&f->wake);
	pthread_mutex_destroy(&f->lock);
	free(f);
}

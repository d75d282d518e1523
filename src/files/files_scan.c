/*
 * files_scan.c - once a second: accounts that are new, what lies still in in/, an operator's lists; once an hour: answers that are old.
 *
 * in/ is looked at for whoever shares the folder by other means than the FTPS server of this program, which says itself what is complete. A
 * file is when its size and time have been the same for files.still_s seconds; names that end in .part or .tmp or begin with a point are left alone.
 */
#include "files/files_internal.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define SCAN_S 1
#define PRUNE_US (3600 * 1000000LL)
#define SEEN_MAX 1024      /* files that wait in one in/; the others are looked at when these are taken */

struct seen {
	ino_t ino;
	off_t size;
	struct timespec mtime;
	int64_t since_us;
	bool here;
};
struct files_still {
	struct seen seen[SEEN_MAX];
	size_t n;
};

void files_still_free(struct files_still *s)
{
	free(s);
}

static DIR *list_of(int fd)
{
	int copy = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = copy < 0 ? NULL : fdopendir(copy);

	if (!d && copy >= 0)
		close(copy);
	return d;
}

/* ---- in/ ---- */

static bool ends_with(const char *name, const char *end)
{
	size_t n = strlen(name), m = strlen(end);

	return n >= m && strcasecmp(name + n - m, end) == 0;
}

static bool is_still(struct files_still *l, const struct stat *st, unsigned still_s)
{
	int64_t now = clock_mono_us();
	struct seen *s = NULL;

	for (size_t i = 0; i < l->n && !s; i++)
		if (l->seen[i].ino == st->st_ino)
			s = &l->seen[i];
	if (!s && l->n == SEEN_MAX)
		return false;
	if (!s) {
		s = &l->seen[l->n++];
		*s = (struct seen){.ino = st->st_ino, .size = -1};
	}
	s->here = true;
	if (s->size != st->st_size || s->mtime.tv_sec != st->st_mtim.tv_sec || s->mtime.tv_nsec != st->st_mtim.tv_nsec) {
		s->size = st->st_size;
		s->mtime = st->st_mtim;
		s->since_us = now;
	}
	return now - s->since_us >= still_s * 1000000LL;
}

static void forget_gone(struct files_still *l)
{
	size_t n = 0;

	for (size_t i = 0; i < l->n; i++)
		if (l->seen[i].here) {
			l->seen[n] = l->seen[i];
			l->seen[n++].here = false;
		}
	l->n = n;
}

static void look_in(struct files *f, struct files_account *a)
{
	int in = files_open_folder(f, a, "ftp/in");
	DIR *d = in < 0 ? NULL : list_of(in);
	const struct dirent *e;
	struct stat st;

	if (!a->still)
		a->still = calloc(1, sizeof *a->still);
	while (d && a->still && (e = readdir(d)) && !f->stopping) {
		if (e->d_name[0] == '.' || ends_with(e->d_name, ".part") || ends_with(e->d_name, ".tmp"))
			continue;
		if (fstatat(in, e->d_name, &st, AT_SYMLINK_NOFOLLOW) || !S_ISREG(st.st_mode) || !is_still(a->still, &st, f->s.still_s))
			continue;
		enum ceir_err err = files_uploaded(f, str_of(a->clid), e->d_name);
		if (err && err != CEIR_ELIMIT && err != CEIR_ENOENT && err != CEIR_EINVAL)
			log_warn(FILES_ROOM, "%s: a file of in/ cannot be taken: %s", a->clid, ceir_err_text(err));
	}
	if (a->still)
		forget_gone(a->still);
	if (d)
		closedir(d);
	if (in >= 0)
		close(in);
}

/* ---- an operator's lists ---- */

/* As all in out/: the folder's group reads it, that of the FTPS server's sessions where there is one. Not 0: errno. */
static int share(int lists, const char *name)
{
	struct stat st;

	if (fstat(lists, &st) || fchownat(lists, name, (uid_t)-1, st.st_gid, AT_SYMLINK_NOFOLLOW))
		return -1;
	return fchmodat(lists, name, 0640, 0);
}

/* Every file of the outbox has its link; rename(2) of the outbox gives each file its name once and for all, so the inode tells. */
static void link_new(int outbox, int lists)
{
	DIR *d = list_of(outbox);
	const struct dirent *e;
	struct stat from, to;

	while (d && (e = readdir(d))) {
		if (e->d_name[0] == '.' || fstatat(outbox, e->d_name, &from, AT_SYMLINK_NOFOLLOW) || !S_ISREG(from.st_mode))
			continue;
		if (fstatat(lists, e->d_name, &to, AT_SYMLINK_NOFOLLOW) == 0) {
			if (to.st_ino == from.st_ino || unlinkat(lists, e->d_name, 0))
				continue;
		}
		if (linkat(outbox, e->d_name, lists, e->d_name, 0) ? errno != ENOENT && errno != EEXIST : share(lists, e->d_name))
			log_warn(FILES_ROOM, "a list cannot be linked to: %s", strerror(errno));
	}
	if (d)
		closedir(d);
}

static void unlink_gone(int outbox, int lists)
{
	DIR *d = list_of(lists);
	const struct dirent *e;
	struct stat st;

	while (d && (e = readdir(d)))
		if (e->d_name[0] != '.' && fstatat(lists, e->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(st.st_mode)
			&& fstatat(outbox, e->d_name, &st, AT_SYMLINK_NOFOLLOW) && errno == ENOENT && unlinkat(lists, e->d_name, 0))
			log_warn(FILES_ROOM, "a list that is gone cannot be removed: %s", strerror(errno));
	if (d)
		closedir(d);
}

static void link_lists(const struct files *f, const struct files_account *a)
{
	char folder[REG_FOLDER_NAME], path[PATH_MAX];

	reg_folder_name(str_of(a->op), folder);
	int n = snprintf(path, sizeof path, "%s/outbox/%s", f->s.dir, folder);
	int outbox = n < 0 || n >= (int)sizeof path ? -1 : open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	int lists = outbox < 0 ? -1 : files_open_folder(f, a, "ftp/out/lists");
	if (lists >= 0) {
		link_new(outbox, lists);
		unlink_gone(outbox, lists);
		close(lists);
	}
	if (outbox >= 0)
		close(outbox);
}

/* ---- old answers ---- */

static void prune(const struct files *f, const struct files_account *a)
{
	int out = files_open_folder(f, a, "ftp/out");
	DIR *d = out < 0 ? NULL : list_of(out);
	const struct dirent *e;
	struct stat st;
	int64_t before_s = clock_real_us() / 1000000 - (int64_t)f->s.keep_days * 86400;

	while (d && (e = readdir(d)))
		if (!fstatat(out, e->d_name, &st, AT_SYMLINK_NOFOLLOW) && S_ISREG(st.st_mode) && st.st_ctim.tv_sec < before_s
			&& unlinkat(out, e->d_name, 0))
			log_warn(FILES_ROOM, "%s: an old answer cannot be removed: %s", a->clid, strerror(errno));
	if (d)
		closedir(d);
	if (out >= 0)
		close(out);
}

/* ---- the thread ---- */

static void note_account(void *ctx, struct str clid, struct str op)
{
	(void)files_account_find(ctx, clid, op);
}

static void look_at_accounts(struct files *f)
{
	pthread_mutex_lock(&f->lock);
	for (struct files_account *a = f->accounts; a; a = a->next)
		a->seen = false;
	pthread_mutex_unlock(&f->lock);
	enum ceir_err err = reg_accounts_active(f->r, note_account, f);
	if (err) {
		log_warn(FILES_ROOM, "the accounts cannot be read: %s", ceir_err_text(err));
		return;
	}
	pthread_mutex_lock(&f->lock);
	for (struct files_account *a = f->accounts; a; a = a->next)
		a->active = a->seen;
	pthread_mutex_unlock(&f->lock);
}

/* The list changes its order while files are done: a copy is gone through. */
static size_t copy_accounts(struct files *f, struct files_account ***out)
{
	size_t n = 0, i = 0;

	pthread_mutex_lock(&f->lock);
	for (const struct files_account *a = f->accounts; a; a = a->next)
		n++;
	*out = calloc(n ? n : 1, sizeof **out);
	for (struct files_account *a = f->accounts; a && *out; a = a->next)
		if (a->active)
			(*out)[i++] = a;
	pthread_mutex_unlock(&f->lock);
	return i;
}

static void look_at_all(struct files *f, bool old_too)
{
	struct files_account **list;
	size_t n = copy_accounts(f, &list);

	for (size_t i = 0; i < n && !f->stopping; i++) {
		if (f->s.scan_in)
			look_in(f, list[i]);
		if (list[i]->op[0])
			link_lists(f, list[i]);
		if (old_too)
			prune(f, list[i]);
	}
	free(list);
}

void *files_scan_run(void *arg)
{
	struct files *f = arg;
	int64_t pruned_us = 0;

	while (!f->stopping) {
		struct timespec until;
		int64_t now = clock_mono_us();
		bool old_too = now - pruned_us > PRUNE_US;

		look_at_accounts(f);
		look_at_all(f, old_too);
		if (old_too)
			pruned_us = now;
		clock_gettime(CLOCK_MONOTONIC, &until);
		until.tv_sec += SCAN_S;
		pthread_mutex_lock(&f->lock);
		/* Woken by whatever was uploaded, too: the time is waited out all the same. */
		while (!f->stopping && pthread_cond_timedwait(&f->wake, &f->lock, &until) == 0)
			;
		pthread_mutex_unlock(&f->lock);
	}
	return NULL;
}

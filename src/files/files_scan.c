/*
 * files_scan.c - once a second: accounts that are new, what lies still in in/, an operator's lists; once an hour: answers that are old.
 *
 * in/ is looked at for whoever shares the folder by other means than the FTPS server of this program, which says itself what is complete. A
 * file is when its size and time have been the same for files.still_s seconds and nobody has it open for writing; names that end in .part or .tmp or
 * begin with a point are left alone.
 */
#include "files/files_internal.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define SCAN_S 1
#define SECOND_US 1000000LL
#define PRUNE_US (3600 * SECOND_US)
#define SEEN_MAX 1024      /* files that wait in one in/; the others are looked at when these are taken */

static DIR *list_of(int fd)
{
	int copy = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = copy < 0 ? NULL : fdopendir(copy);

	if (!d && copy >= 0)
		close(copy);
	return d;
}

/* ---- in/ ---- */

static void look_in(struct files *f, struct files_account *a)
{
	enum ceir_err first = CEIR_OK;
	int in = files_open_folder(f, a, "ftp/in");
	DIR *d = in < 0 ? NULL : list_of(in);
	const struct dirent *e;
	struct stat st;

	if (!a->still)
		a->still = still_new(SEEN_MAX);
	while (d && a->still && (e = readdir(d)) && !f->stopping) {
		if (file_name_unfinished(e->d_name) || fstatat(in, e->d_name, &st, AT_SYMLINK_NOFOLLOW) || !S_ISREG(st.st_mode))
			continue;
		if (!still_look(a->still, &st, f->s.still_s * SECOND_US, clock_mono_us()) || file_has_writer(in, e->d_name))
			continue;
		enum ceir_err err = files_uploaded(f, str_of(a->clid), e->d_name);
		if (!first && err != CEIR_ELIMIT && err != CEIR_ENOENT && err != CEIR_EINVAL)
			first = err;
	}
	/* Once, not every second as long as the disk is full. */
	if (first && first != a->in_err)
		log_warn(FILES_ROOM, "%s: a file of in/ cannot be taken now: %s; it is tried again", a->clid, ceir_err_text(first));
	a->in_err = first;
	if (a->still)
		still_end(a->still);
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
	int64_t before_s = clock_real_us() / SECOND_US - (int64_t)f->s.keep_days * 86400;

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

/*
 * ftps_home.c - an account's folder as a session finds it.
 *
 * As root: HOME is root's and can be entered; in/ is the session user's; out/ and the folders in it are root's, of the session user's group,
 * which may read (set-group-ID, so that what is written there later has the group). Not root: everything is ours, and that sessions write in in/
 * alone is ftps_preload.c's to see to.
 *
 * HOME/.ftpquota is pure-ftpd's: "FILES BYTES\n", read and written under a lock of the whole file (fcntl).
 */
#include "ftps/ftps_internal.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define COMPLETE_MODE 0400u /* as ftps_preload.c gives it */
#define OUT_DEPTH 2         /* out/, out/lists/ */

static int open_folder(int at, const char *name)
{
	return openat(at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
}

typedef enum ceir_err (*each_file)(void *ctx, int dir, const char *name, const struct stat *st);

/* Every entry but those with a point first. fd is taken over. What vanishes meanwhile is not there. */
static enum ceir_err folder_each(int fd, each_file each, void *ctx)
{
	DIR *d = fd >= 0 ? fdopendir(fd) : NULL;
	enum ceir_err err = CEIR_OK;
	const struct dirent *e;
	struct stat st;

	if (!d) {
		err = ceir_err_of_errno(errno);
		if (fd >= 0)
			close(fd);
		return err;
	}
	while (!err && (e = readdir(d)))
		if (e->d_name[0] != '.' && fstatat(dirfd(d), e->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0)
			err = each(ctx, dirfd(d), e->d_name, &st);
	closedir(d);
	return err;
}

/* ---- rights ---- */

struct giving {
	const struct ftps_owner *o;
	unsigned depth;
};

/* A file of in/ from a time when sessions were another user. */
static enum ceir_err give_in(void *ctx, int dir, const char *name, const struct stat *st)
{
	const struct ftps_owner *o = ((struct giving *)ctx)->o;

	if (st->st_uid != o->uid && fchownat(dir, name, o->uid, o->gid, AT_SYMLINK_NOFOLLOW) != 0 && errno != ENOENT)
		return ceir_err_of_errno(errno);
	return CEIR_OK;
}

static enum ceir_err give_out(int fd, struct giving *g);

static enum ceir_err give_out_entry(void *ctx, int dir, const char *name, const struct stat *st)
{
	struct giving *g = ctx;
	enum ceir_err err = CEIR_OK;
	int fd;

	if (S_ISDIR(st->st_mode) && g->depth < OUT_DEPTH) {
		fd = open_folder(dir, name);
		if (fd < 0)
			return errno == ENOENT ? CEIR_OK : ceir_err_of_errno(errno);
		g->depth++;
		err = give_out(fd, g);
		g->depth--;
		return err;
	}
	if (!S_ISREG(st->st_mode) || (st->st_gid == g->o->gid && (st->st_mode & 0777) == 0640))
		return CEIR_OK;
	fd = openat(dir, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT ? CEIR_OK : ceir_err_of_errno(errno);
	if (fchown(fd, (uid_t)-1, g->o->gid) != 0 || fchmod(fd, 0640) != 0)
		err = ceir_err_of_errno(errno);
	close(fd);
	return err;
}

/* Two folders deep at most. fd is taken over. */
static enum ceir_err give_out(int fd, struct giving *g)
{
	if (fchown(fd, (uid_t)-1, g->o->gid) != 0 || fchmod(fd, 02750) != 0) {
		enum ceir_err err = ceir_err_of_errno(errno);

		close(fd);
		return err;
	}
	return folder_each(fd, give_out_entry, g);
}

static enum ceir_err give(int home, const struct ftps_owner *o)
{
	struct giving g = {.o = o, .depth = 1};
	enum ceir_err err = CEIR_OK;
	int in = open_folder(home, "in"), out = open_folder(home, "out");

	if (in < 0 || out < 0 || fchmod(home, 0755) != 0 || fchown(in, o->uid, o->gid) != 0 || fchmod(in, 0700) != 0)
		err = ceir_err_of_errno(errno);
	if (!err) {
		err = folder_each(in, give_in, &g);
		in = -1;
	}
	if (!err) {
		err = give_out(out, &g);
		out = -1;
	}
	if (in >= 0)
		close(in);
	if (out >= 0)
		close(out);
	return err;
}

/* ---- the quota's count ---- */

struct count {
	uint64_t files, bytes;
};

static enum ceir_err count_one(void *ctx, int dir, const char *name, const struct stat *st)
{
	struct count *c = ctx;

	(void)dir;
	(void)name;
	c->files++;
	c->bytes += S_ISREG(st->st_mode) && st->st_size > 0 ? (uint64_t)st->st_size : 0;
	return CEIR_OK;
}

static enum ceir_err count_write(int home, const struct ftps_owner *o, const struct count *c)
{
	struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
	char text[64];
	int n = snprintf(text, sizeof text, "%llu %llu\n", (unsigned long long)c->files, (unsigned long long)c->bytes);
	int fd = openat(home, ".ftpquota", O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600), failed;
	enum ceir_err err = CEIR_OK;

	if (fd < 0)
		return ceir_err_of_errno(errno);
	do
		failed = fcntl(fd, F_SETLKW, &lock);
	while (failed && errno == EINTR);
	if (failed || (o->root && (fchown(fd, o->uid, o->gid) != 0 || fchmod(fd, 0600) != 0)) || ftruncate(fd, 0) != 0)
		err = ceir_err_of_errno(errno);
	else
		err = fd_write_all(fd, text, (size_t)n);
	close(fd);
	return err;
}

static enum ceir_err count(int home, const struct ftps_owner *o)
{
	struct count c = {0, 0};
	enum ceir_err err = folder_each(open_folder(home, "in"), count_one, &c);

	return err ? err : count_write(home, o, &c);
}

/* ---- what is complete ---- */

struct names {
	struct buf *names;               /* each with a NUL */
};

static enum ceir_err keep_complete(void *ctx, int dir, const char *name, const struct stat *st)
{
	struct names *n = ctx;

	(void)dir;
	if (S_ISREG(st->st_mode) && (st->st_mode & 07777) == COMPLETE_MODE)
		buf_put(n->names, name, strlen(name) + 1);
	return n->names->failed ? CEIR_ENOMEM : CEIR_OK;
}

/* The folder is read to its end first: what is found is taken out of it. */
enum ceir_err ftps_home_complete(const char *home, void (*found)(void *ctx, const char *name), void *ctx)
{
	struct buf text = BUF_INIT((size_t)16 << 20);
	struct names n = {&text};
	int fd = open_folder(AT_FDCWD, home);
	enum ceir_err err = fd < 0 ? ceir_err_of_errno(errno) : folder_each(open_folder(fd, "in"), keep_complete, &n);

	for (size_t at = 0; !err && at < text.n; at += strlen(text.p + at) + 1)
		found(ctx, text.p + at);
	if (fd >= 0)
		close(fd);
	buf_free(&text);
	return err;
}

enum ceir_err ftps_home_count(const char *home, const struct ftps_owner *o)
{
	int fd = open_folder(AT_FDCWD, home);
	enum ceir_err err = fd < 0 ? ceir_err_of_errno(errno) : count(fd, o);

	if (fd >= 0)
		close(fd);
	return err;
}

enum ceir_err ftps_home_prepare(const char *home, const struct ftps_owner *o)
{
	int fd = open_folder(AT_FDCWD, home);
	enum ceir_err err = fd < 0 ? ceir_err_of_errno(errno) : o->root ? give(fd, o) : CEIR_OK;

	if (!err)
		err = count(fd, o);
	if (fd >= 0)
		close(fd);
	return err;
}

/* base_still.c - files that strangers put into a folder: which of them are complete. */
#include "base/base.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#define FIRST_CAP 16

/* What a file was like when it was last looked at. A name may come to mean another file, an inode does not. */
struct seen {
	dev_t dev;
	ino_t ino;
	off_t size;
	struct timespec mtime;
	int64_t since_us;      /* so has it been since then */
	int64_t not_before_us; /* put off until then */
	bool here;             /* in this look at all */
};

struct still {
	size_t max, n, cap;
	struct seen *seen;
};

struct still *still_new(size_t max)
{
	struct still *s = calloc(1, sizeof *s);

	if (s)
		s->max = max;
	return s;
}

void still_free(struct still *s)
{
	if (!s)
		return;
	free(s->seen);
	free(s);
}

static struct seen *find(const struct still *s, const struct stat *st)
{
	for (size_t i = 0; i < s->n; i++)
		if (s->seen[i].ino == st->st_ino && s->seen[i].dev == st->st_dev)
			return &s->seen[i];
	return NULL;
}

/* NULL: no room, or memory is out. */
static struct seen *add(struct still *s, const struct stat *st)
{
	if (s->n == s->cap) {
		size_t cap = s->cap ? 2 * s->cap : FIRST_CAP, bytes;
		struct seen *more;

		if (cap > s->max)
			cap = s->max;
		if (cap == s->n || !size_mul(cap, sizeof *more, &bytes) || !(more = realloc(s->seen, bytes)))
			return NULL;
		s->seen = more;
		s->cap = cap;
	}
	s->seen[s->n] = (struct seen){.dev = st->st_dev, .ino = st->st_ino, .size = -1};
	return &s->seen[s->n++];
}

bool still_look(struct still *s, const struct stat *st, int64_t for_us, int64_t now_us)
{
	struct seen *f = find(s, st);

	if (!f && !(f = add(s, st)))
		return false;
	f->here = true;
	if (f->size != st->st_size || f->mtime.tv_sec != st->st_mtim.tv_sec || f->mtime.tv_nsec != st->st_mtim.tv_nsec) {
		f->size = st->st_size;
		f->mtime = st->st_mtim;
		f->since_us = now_us;
	}
	return now_us - f->since_us >= for_us && now_us >= f->not_before_us;
}

void still_again(struct still *s, const struct stat *st)
{
	struct seen *f = find(s, st);

	if (f)
		f->size = -1;
}

void still_put_off(struct still *s, const struct stat *st, int64_t until_us)
{
	struct seen *f = find(s, st);

	if (f)
		f->not_before_us = until_us;
}

void still_end(struct still *s)
{
	size_t n = 0;

	for (size_t i = 0; i < s->n; i++)
		if (s->seen[i].here) {
			s->seen[n] = s->seen[i];
			s->seen[n++].here = false;
		}
	s->n = n;
}

/* ---- who is not done yet ---- */

static bool ends_with(const char *name, const char *end)
{
	size_t n = strlen(name), m = strlen(end);

	return n >= m && strcasecmp(name + n - m, end) == 0;
}

bool file_name_unfinished(const char *name)
{
	return name[0] == '.' || ends_with(name, ".part") || ends_with(name, ".tmp");
}

/* These give a lease when the server has given them one, and say the same EAGAIN when it has not. */
static bool lease_says_nothing(int fd)
{
	struct statfs fs;

	if (fstatfs(fd, &fs))
		return true;
	/* f_type is signed and as wide as the machine wills. */
	switch ((uint32_t)fs.f_type) {
	case NFS_SUPER_MAGIC:
	case SMB_SUPER_MAGIC:
	case CIFS_SUPER_MAGIC:
	case SMB2_SUPER_MAGIC:
		return true;
	default:
		return false;
	}
}

bool file_has_writer(int dir, const char *name)
{
	int fd = openat(dir, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	bool has = false;

	/* Somebody has a lease of their own (a file server, for its client), and is being asked to give it back. */
	if (fd < 0)
		return errno == EWOULDBLOCK;
	/*
	 * A read lease is refused with EAGAIN while anybody has the file open for writing (fcntl(2)). Whoever opens it in the moment in which we
	 * have it makes the kernel send us a signal: not SIGIO, which would end the process, but one that nobody minds.
	 */
	if (fcntl(fd, F_SETSIG, SIGURG) == 0) {
		if (fcntl(fd, F_SETLEASE, F_RDLCK) == 0)
			(void)fcntl(fd, F_SETLEASE, F_UNLCK);
		else
			has = errno == EAGAIN && !lease_says_nothing(fd);
	}
	close(fd);
	return has;
}

/*
 * remote_fetch.c - from there to here: a file is taken when it has not changed between two looks.
 *
 * The steps of one file, and what a crash leaves after each (M: in DIR/remote/ID/in; F: over there). "Known": noted in the register with this size and time.
 *
 *   step                           left                                     then
 *   1  M/NAME.part being written   part of it, and "begun.fetch" says of what     gone on with from its size (REST); anew in another run of the kernel
 *   2  M/NAME.part whole, synced   the same                                 looked at once more, renamed
 *   3  M/NAME                      whole, not known                         noted, then as 4. Its time is that of F, so that it can be noted
 *   4  noted: known                M/NAME and F/NAME                        put into the queue. What is known is not fetched again
 *   5  in the account's queue      F/NAME, known                            deleted over there, unless it is to stay
 *   6  F/NAME deleted              known, and no longer listed              forgotten after the next listing
 *
 * Before 3 nothing has happened yet; from 4 on it is never fetched again; between, M/NAME is the only one that can be taken. The queue takes it by one rename
 * (files_queue.c): M/NAME is there or it is in the queue, exactly once. A file that was changed over there while it was fetched (2) is not taken but looked
 * at anew; and it is not deleted when its size or time is not the one that was fetched.
 *
 * What another look must find the same is remembered by the thread alone: after a start the first look remembers and the second takes.
 */
#include "remote/remote_internal.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define LATER_US (5 * 1000000LL)    /* the queue is full: look again */
#define STILL_S 30u                 /* between two looks at a file that is new, at most: a long interval is not waited out twice */

static const char *code_of(const struct remote_worker *w, char out[80])
{
	remote_line(w->c.code, out, 80);
	return out;
}

/* ---- what is here: steps 3 to 5 ---- */

static enum ceir_err hash_file(struct remote_worker *w, const char *name, uint64_t size, uint8_t sha256[32])
{
	int fd = openat(w->in, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	enum ceir_err err = fd < 0 ? ceir_err_of_errno(errno) : remote_hash(w, fd, size, sha256);

	if (fd >= 0)
		close(fd);
	return err;
}

static enum ceir_err note_fetched(struct remote_worker *w, const char *name, const struct stat *st)
{
	struct reg_remote_event e = {.way = REG_REMOTE_FETCH, .file = str_of(name), .bytes = (uint64_t)st->st_size, .mtime_s = st->st_mtim.tv_sec};
	bool known;
	enum ceir_err err = reg_remote_known(w->m->r, w->c.id, REG_REMOTE_FETCH, e.file, e.bytes, e.mtime_s, &known);

	if (err || known)
		return err;
	err = hash_file(w, name, e.bytes, e.sha256);
	return err ? err : remote_note(w, &e);
}

/* CEIR_ELIMIT: the queue is full. */
static enum ceir_err settle(struct remote_worker *w, const char *name)
{
	char path[PATH_MAX + REMOTE_NAME + 8], code[80];
	struct stat st;

	remote_name_set(w, str_of(name));
	if (fstatat(w->in, name, &st, AT_SYMLINK_NOFOLLOW))
		return remote_fail(w, ceir_err_of_errno(errno), "%s/in/%s: %s", w->dir, name, strerror(errno));
	enum ceir_err err = note_fetched(w, name, &st);
	if (err)
		return err;
	snprintf(path, sizeof path, "%s/in/%s", w->dir, name);
	err = files_put(w->m->files, w->c.account, name, path);
	if (err == CEIR_ELIMIT)
		w->pending = true;
	else if (err)
		(void)remote_fail(w, err, "it cannot be put into the account's queue: %s", ceir_err_text(err));
	else
		log_info(REMOTE_ROOM, "%s: %s is fetched, %lld bytes", code_of(w, code), name, (long long)st.st_size);
	return err;
}

/* In the order of their names; one a call of readdir, as each goes away. */
static bool next_pending(struct remote_worker *w, char name[REMOTE_NAME])
{
	int fd = openat(w->in, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	const struct dirent *e;

	name[0] = '\0';
	if (!d && fd >= 0)
		close(fd);
	while (d && (e = readdir(d)))
		if (remote_name_good(str_of(e->d_name)) && !remote_name_unfinished(str_of(e->d_name)) && (!name[0] || strcmp(e->d_name, name) < 0))
			snprintf(name, REMOTE_NAME, "%.*s", REMOTE_NAME - 1, e->d_name);
	if (d)
		closedir(d);
	return name[0];
}

enum ceir_err remote_fetch_pending(struct remote_worker *w)
{
	char name[REMOTE_NAME];
	enum ceir_err err = CEIR_OK;

	if (!w->m->files || clock_mono_us() < w->pending_us)
		return CEIR_OK;
	w->pending = false;
	while (!err && !remote_stopping(w) && next_pending(w, name))
		err = settle(w, name);
	if (!err)
		return CEIR_OK;
	w->pending = true;
	w->pending_us = clock_mono_us() + LATER_US;
	return err == CEIR_ELIMIT ? CEIR_OK : err;
}

/* ---- fetching: steps 1 and 2 ---- */

/* *fd: at *offset, behind what is here of this very file. */
static enum ceir_err open_part(struct remote_worker *w, const char *part, const struct remote_look *look, int *fd, uint64_t *offset)
{
	struct stat st;
	bool ours = remote_begun(w, REG_REMOTE_FETCH, look->name, look->size, look->mtime_s);
	enum ceir_err err = ours ? CEIR_OK : remote_begin(w, REG_REMOTE_FETCH, look->name, look->size, look->mtime_s);

	*offset = 0;
	if (err)
		return err;
	*fd = openat(w->in, part, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (*fd >= 0 && ours && !fstat(*fd, &st) && (uint64_t)st.st_size <= look->size)
		*offset = (uint64_t)st.st_size;
	if (*fd < 0 || ftruncate(*fd, (off_t)*offset) || lseek(*fd, (off_t)*offset, SEEK_SET) < 0) {
		err = ceir_err_of_errno(errno);
		return remote_fail(w, err, "%s/in/%s cannot be written: %s", w->dir, part, ceir_err_text(err));
	}
	return CEIR_OK;
}

static enum ceir_err get_from(struct remote_worker *w, const struct remote_look *look, int fd, uint64_t offset)
{
	if (offset == look->size && offset)
		return CEIR_OK;
	enum ceir_err err = remote_ftp_get(w->ftp, w->c.fetch_from, look->name, offset, look->size, fd);
	/* A server that cannot begin in the middle. */
	if (err == CEIR_EPERM && offset && !ftruncate(fd, 0) && lseek(fd, 0, SEEK_SET) == 0)
		err = remote_ftp_get(w->ftp, w->c.fetch_from, look->name, 0, look->size, fd);
	return err;
}

/* Is it over there what it was? */
static enum ceir_err is_same(struct remote_worker *w, const struct remote_look *look, bool *same)
{
	struct remote_stat st;
	enum ceir_err err = remote_ftp_stat(w->ftp, w->c.fetch_from, look->name, &st);

	*same = !err && st.size == look->size && st.mtime_s == look->mtime_s;
	return err == CEIR_ENOENT ? CEIR_OK : err;
}

static enum ceir_err finish_part(struct remote_worker *w, int fd, const char *part, const struct remote_look *look)
{
	struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, {.tv_sec = look->mtime_s}};
	struct stat st;

	if (futimens(fd, times) || fsync(fd) || fstat(fd, &st))
		return ceir_err_of_errno(errno);
	if (st.st_mtim.tv_sec != look->mtime_s)
		return remote_fail(w, CEIR_ERANGE, "the file system of %s cannot keep its time", w->dir);
	if (renameat(w->in, part, w->in, w->file) || fsync(w->in))
		return ceir_err_of_errno(errno);
	remote_begun_forget(w, REG_REMOTE_FETCH);
	return CEIR_OK;
}

static void drop_part(struct remote_worker *w, const char *part)
{
	unlinkat(w->in, part, 0);
	remote_begun_forget(w, REG_REMOTE_FETCH);
}

/* All of it, and what it was told to be. 550 says that it is gone, and as well that it may not be read. */
static enum ceir_err get(struct remote_worker *w, const struct remote_look *look, int fd, uint64_t offset, bool *same)
{
	enum ceir_err err = get_from(w, look, fd, offset), e;
	char why[REMOTE_WHY];

	if (err && err != CEIR_ENOENT)
		return remote_fail_ftp(w, err);
	snprintf(why, sizeof why, "%s", remote_ftp_error(w->ftp));
	if ((e = is_same(w, look, same)))
		return remote_fail_ftp(w, e);
	return err && *same ? remote_fail(w, CEIR_EPERM, "%s", why) : CEIR_OK;
}

/* *taken: it is in in/, whole. Not: it has changed, or is gone. */
static enum ceir_err fetch_one(struct remote_worker *w, const struct remote_look *look, bool *taken)
{
	char part[REMOTE_NAME + 8];
	uint64_t offset;
	bool same = false;
	int fd = -1;

	*taken = false;
	remote_name_set(w, look->name);
	snprintf(part, sizeof part, "%s.part", w->file);
	enum ceir_err err = open_part(w, part, look, &fd, &offset);
	if (!err)
		err = get(w, look, fd, offset, &same);
	if (!err && same) {
		err = finish_part(w, fd, part, look);
		*taken = !err;
	} else if (!err || err == CEIR_ELIMIT || err == CEIR_ENOSPC || err == CEIR_EPERM) {
		drop_part(w, part); /* it has become another; or gives the disk back */
	}
	if (fd >= 0)
		close(fd);
	return err;
}

/* ---- a look ---- */

struct round {
	struct remote_worker *w;
	struct remote_looks *now;
	bool whole;                     /* the listing */
	struct remote_kept kept;        /* a failure that keeps no other file from being fetched */
};

/* It is known: what was fetched and no more has to lie there. *gone: it does not. */
static enum ceir_err remove_there(struct round *r, const struct remote_look *look, bool *gone)
{
	struct remote_worker *w = r->w;
	bool same = false;
	char why[REMOTE_WHY];

	remote_name_set(w, look->name);
	enum ceir_err err = remote_ftp_delete(w->ftp, w->c.fetch_from, look->name);
	snprintf(why, sizeof why, "%s", remote_ftp_error(w->ftp));
	if (err == CEIR_ENOENT) { /* which says as well that it may not be done */
		err = is_same(w, look, &same);
		if (!err && same)
			err = CEIR_EPERM;
		else if (err)
			return remote_fail_ftp(w, err);
	}
	*gone = !err;
	if (err != CEIR_EPERM)
		return err ? remote_fail_ftp(w, err) : CEIR_OK;
	(void)remote_fail(w, err, "%s", why);
	remote_keep(w, &r->kept, err);
	return CEIR_OK;
}

/* Refused once, as long as it stays what it is. */
static void refuse_large(struct round *r, struct remote_look *look)
{
	struct remote_worker *w = r->w;
	const struct remote_look *before = remote_looks_find(w->looks, look->name);

	look->told = before && before->told && before->size == look->size && before->mtime_s == look->mtime_s;
	if (look->told)
		return;
	look->told = true;
	remote_name_set(w, look->name);
	(void)remote_fail(w, CEIR_ELIMIT, "it has %" PRIu64 " bytes, and an account's queue holds %" PRIu64 " (files.max_bytes)", look->size, w->m->s.max_bytes);
	remote_keep(w, &r->kept, CEIR_ELIMIT);
}

static bool is_still(const struct remote_worker *w, const struct remote_look *look)
{
	const struct remote_look *before = remote_looks_find(w->looks, look->name);

	return before && before->size == look->size && before->mtime_s == look->mtime_s;
}

/* It has not changed since the look before. */
static enum ceir_err take(struct round *r, struct remote_look *look)
{
	struct remote_worker *w = r->w;

	if (w->m->s.max_bytes && look->size > w->m->s.max_bytes) {
		refuse_large(r, look);
		return CEIR_OK;
	}
	char name[REMOTE_NAME];
	enum ceir_err err = fetch_one(w, look, &look->done);
	if (err == CEIR_EPERM) {
		remote_keep(w, &r->kept, err);
		return CEIR_OK;
	}
	snprintf(name, sizeof name, "%.*s", (int)look->name.n, look->name.p);
	return err || !look->done ? err : settle(w, name);
}

/* look is filled in. *gone: it has been deleted. */
static enum ceir_err look_at(struct round *r, struct remote_look *look, bool *gone)
{
	struct remote_worker *w = r->w;
	struct remote_stat st;

	remote_name_set(w, look->name);
	enum ceir_err err = remote_ftp_stat(w->ftp, w->c.fetch_from, look->name, &st);
	/* Gone since the listing, or not to be had now, or a folder, of which most servers say so. What it was is not forgotten before it is not listed. */
	if (err == CEIR_ENOENT)
		return CEIR_OK;
	if (err)
		return remote_fail_ftp(w, err);
	if (st.mtime_s < 0)
		return remote_fail(w, CEIR_ESTATE, "the server does not say when it was changed (MDTM)");
	look->size = st.size;
	look->mtime_s = st.mtime_s;
	err = reg_remote_known(w->m->r, w->c.id, REG_REMOTE_FETCH, look->name, look->size, look->mtime_s, &look->done);
	if (!err && !look->done && is_still(w, look))
		err = take(r, look);
	return err || !look->done || w->c.keep ? err : remove_there(r, look, gone);
}

/* A failure in the middle: of the others what was known before. */
static enum ceir_err look_at_names(struct round *r, const struct remote_names *names)
{
	struct remote_worker *w = r->w;
	enum ceir_err err = CEIR_OK, e = CEIR_OK;

	for (size_t i = 0; i < names->n && !e; i++) {
		struct remote_look look = {.name = names->v[i], .mtime_s = -1};
		const struct remote_look *before = remote_looks_find(w->looks, look.name);
		bool gone = false;

		if (remote_name_unfinished(look.name))
			continue;
		if (!err && !remote_stopping(w))
			err = look_at(r, &look, &gone);
		else if (before)
			look = *before;
		if (!gone)
			e = remote_looks_add(r->now, &look);
	}
	return err ? err : e;
}

static enum ceir_err list_names(struct round *r, struct buf *text, struct arena *arena, struct remote_names *names)
{
	struct remote_worker *w = r->w;
	char code[80];
	enum ceir_err err = remote_ftp_list(w->ftp, w->c.fetch_from, text, &r->whole);

	if (err == CEIR_ELIMIT)
		return remote_fail(w, err, "the listing of the folder is longer than %u bytes", REMOTE_LISTING_BYTES);
	if (err)
		return remote_fail_ftp(w, err);
	err = remote_listing_parse(buf_view(text), arena, names);
	if (err == CEIR_ELIMIT)
		return remote_fail(w, err, "there are more than %u files in the folder", REMOTE_NAMES);
	if (!err && names->skipped && names->skipped != w->skipped)
		log_warn(REMOTE_ROOM, "%s: %zu names in the folder are not taken: hidden ones, or with characters or a length that no file may have here",
			code_of(w, code), names->skipped);
	w->skipped = err ? w->skipped : names->skipped;
	return err;
}

/* Of what is no longer listed the register knows nothing any more. */
static enum ceir_err finish(struct round *r, enum ceir_err err)
{
	struct remote_worker *w = r->w;

	w->forget = w->forget || err || !w->looks || !r->whole;
	if (!err && r->whole && !remote_stopping(w)) {
		err = remote_looks_forget(w, REG_REMOTE_FETCH, w->forget ? NULL : w->looks, r->now);
		w->forget = err;
	}
	remote_looks_free(w->looks);
	w->looks = r->now;
	for (size_t i = 0; i < r->now->n; i++)
		if (!r->now->v[i].done && !r->now->v[i].told && r->now->v[i].mtime_s >= 0 && w->c.interval_s > STILL_S)
			w->next_look_us = clock_mono_us() + STILL_S * INT64_C(1000000);
	return err ? err : remote_kept(w, &r->kept);
}

static enum ceir_err look(struct remote_worker *w)
{
	struct round r = {.w = w, .now = remote_looks_new()};
	struct buf text = BUF_INIT(REMOTE_LISTING_BYTES);
	struct arena *arena = arena_new(1 << 20);
	struct remote_names names;
	enum ceir_err err = r.now && arena ? list_names(&r, &text, arena, &names) : CEIR_ENOMEM;

	if (err) {
		remote_looks_free(r.now);
	} else {
		err = look_at_names(&r, &names);
		remote_looks_sort(r.now);
		err = finish(&r, err);
	}
	arena_free(arena);
	buf_free(&text);
	return err;
}

enum ceir_err remote_fetch(struct remote_worker *w)
{
	int64_t now = clock_mono_us();

	/* While the queue is full nothing more is brought to it. */
	if (!w->m->files || !w->c.fetch_from.n || w->pending || now < w->next_look_us)
		return CEIR_OK;
	w->next_look_us = now + w->c.interval_s * INT64_C(1000000);
	enum ceir_err err = look(w);
	if (err == CEIR_ELIMIT && w->pending) {
		w->pending_us = clock_mono_us() + LATER_US;
		return CEIR_OK;
	}
	if (err)
		w->next_look_us = 0;
	return err;
}

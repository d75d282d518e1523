/*
 * remote_push.c - from here to there: list files out of DIR/remote/ID/out, answers out of the account's out/.
 *
 * A list, and what a crash, ours or the server's, leaves after each step (M: in DIR/remote/ID/out; F: over there):
 *
 *   step                         left                                      then
 *   1  M/NAME linked             a file without NAME.mark                  removed at the start; the list is made again
 *   2  M/NAME.sig written        the same                                  the same
 *   3  M/NAME.mark written       all of it, begun at no time               pushed from the start
 *   4  F/NAME.sig stored         the same, and a signature of nothing      the same; the signature is written over
 *   5  F/NAME.part being stored  part of it, and "begun.list" says of what      gone on with from its size (APPE); anew in another run of the kernel
 *   6  F/NAME.part whole         the same                                  its size says so: renamed
 *   7  F/NAME renamed            the register does not know                pushed once more: the same bytes under the same name
 *   8  noted in the register     M/NAME.mark with an old "from"            removed; "from" of what is pushed is always where the register stands
 *   9  M/NAME.mark, NAME, .sig removed   up to two files without NAME.mark  removed at the start
 *
 * So of each list the files over there follow one another without a gap, and the next one is made when the one before is noted. An answer is pushed
 * by the steps 5 to 8, from where it lies.
 */
#include "remote/remote_internal.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define SIG_BYTES 4096u

static DIR *list_of(int folder)
{
	int fd = openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);

	if (!d && fd >= 0)
		close(fd);
	return d;
}

/* ---- one file ---- */

struct push {
	struct remote_worker *w;
	enum reg_remote_way way;
	struct str folder, name, part;
	uint64_t size;
	int64_t mtime_s;
	int fd;
};

/* How much of it is over there already; when it is not ours, all is stored anew. */
static enum ceir_err find_part(const struct push *p, uint64_t *offset)
{
	struct remote_stat st;

	*offset = 0;
	if (!remote_begun(p->w, p->way, p->name, p->size, p->mtime_s))
		return remote_begin(p->w, p->way, p->name, p->size, p->mtime_s);
	enum ceir_err err = remote_ftp_stat(p->w->ftp, p->folder, p->part, &st);
	if (!err && st.size <= p->size)
		*offset = st.size;
	/* A server that refuses SIZE gets it whole. */
	return err == CEIR_ENOENT || err == CEIR_EPERM || err == CEIR_ESTATE ? CEIR_OK : err;
}

static enum ceir_err store(const struct push *p)
{
	uint64_t offset;
	enum ceir_err err = find_part(p, &offset);

	if (err || (offset && offset == p->size))
		return err;
	err = remote_ftp_put(p->w->ftp, p->folder, p->part, offset, p->size, p->fd);
	if (err == CEIR_EPERM && offset)
		err = remote_ftp_put(p->w->ftp, p->folder, p->part, 0, p->size, p->fd);
	return err;
}

/* "226" is not enough: a session that we thought was dead may have written into it meanwhile, and a disk may have been full. */
static enum ceir_err check_part(const struct push *p)
{
	struct remote_stat st;
	enum ceir_err err = remote_ftp_stat(p->w->ftp, p->folder, p->part, &st);

	if (err == CEIR_ESTATE || err == CEIR_EPERM)
		return CEIR_OK;
	if (err)
		return remote_fail_ftp(p->w, err);
	if (st.size == p->size)
		return CEIR_OK;
	remote_begun_forget(p->w, p->way);
	return remote_fail(p->w, CEIR_EIO, "%" PRIu64 " bytes were sent, and over there it has %" PRIu64, p->size, st.size);
}

static enum ceir_err rename_part(const struct push *p)
{
	enum ceir_err err = remote_ftp_rename(p->w->ftp, p->folder, p->part, p->name);

	if (err)
		(void)remote_fail_ftp(p->w, err);
	/* A server that does not put one file in the place of another. */
	if (err == CEIR_EPERM && !remote_ftp_delete(p->w->ftp, p->folder, p->name)) {
		err = remote_ftp_rename(p->w->ftp, p->folder, p->part, p->name);
		if (err)
			(void)remote_fail_ftp(p->w, err);
	}
	return err;
}

/* NAME.part, then NAME. */
static enum ceir_err push(struct push *p)
{
	char part[REMOTE_NAME + 8];

	snprintf(part, sizeof part, "%.*s.part", (int)p->name.n, p->name.p);
	p->part = str_of(part);
	enum ceir_err err = store(p);
	if (err)
		return remote_fail_ftp(p->w, err);
	err = check_part(p);
	if (!err)
		err = rename_part(p);
	if (!err)
		remote_begun_forget(p->w, p->way);
	return err;
}

/* ---- lists: what lies in out/ ---- */

static void drop_one(struct remote_worker *w, struct str name, const char *ending)
{
	char path[REMOTE_NAME + 8];

	snprintf(path, sizeof path, "%.*s%s", (int)name.n, name.p, ending);
	if (unlinkat(w->out, path, 0) && errno != ENOENT)
		log_warn(REMOTE_ROOM, "%s/out/%s cannot be removed: %s", w->dir, path, strerror(errno));
}

static void spool_drop(struct remote_worker *w, struct str name)
{
	drop_one(w, name, ".mark");
	drop_one(w, name, "");
	drop_one(w, name, ".sig");
}

static bool has_ending(const char *name, const char *ending, struct str *stem)
{
	size_t n = strlen(name), m = strlen(ending);

	if (n <= m || strcmp(name + n - m, ending) != 0)
		return false;
	*stem = (struct str){name, n - m};
	return true;
}

static bool has_mark(const struct remote_worker *w, const char *name)
{
	char mark[NAME_MAX + 8];
	struct str stem = str_of(name);

	(void)has_ending(name, ".sig", &stem);
	snprintf(mark, sizeof mark, "%.*s.mark", (int)stem.n, stem.p);
	return faccessat(w->out, mark, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

void remote_spool_clean(struct remote_worker *w)
{
	DIR *d = list_of(w->out);
	const struct dirent *e;
	struct str stem;

	while (d && (e = readdir(d))) {
		if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0 || has_ending(e->d_name, ".mark", &stem) || has_mark(w, e->d_name))
			continue;
		if (unlinkat(w->out, e->d_name, 0))
			log_warn(REMOTE_ROOM, "%s/out/%s cannot be removed: %s", w->dir, e->d_name, strerror(errno));
	}
	if (d)
		closedir(d);
}

/* Any of them. False: there is none. */
static bool spool_first(struct remote_worker *w, char name[REMOTE_NAME])
{
	DIR *d = list_of(w->out);
	const struct dirent *e;
	struct str stem;
	bool found = false;

	while (d && !found && (e = readdir(d)))
		if (has_ending(e->d_name, ".mark", &stem)) {
			/* Only ours are here, and they are short. */
			snprintf(name, REMOTE_NAME, "%.*s", (int)(stem.n < REMOTE_NAME ? stem.n : REMOTE_NAME - 1), stem.p);
			found = true;
		}
	if (d)
		closedir(d);
	return found;
}

static enum ceir_err read_beside(struct remote_worker *w, const char *name, const char *ending, size_t max, struct buf *out)
{
	char path[PATH_MAX + REMOTE_NAME + 16];

	snprintf(path, sizeof path, "%s/out/%s%s", w->dir, name, ending);
	return file_read(path, max, out);
}

/* Is it what comes next over there, and wanted as it was when it was made? */
static enum ceir_err is_next(struct remote_worker *w, const struct remote_mark *m, bool *next)
{
	int64_t has;
	enum ceir_err err = reg_remote_has(w->m->r, w->c.id, m->list, &has);

	*next = !err && m->from == has && (w->c.lists & REG_BIT(m->list)) && w->c.lists_to.n && str_eq(m->op, w->c.op);
	return err;
}

/* NAME.sig is small: stored as it is, and where the server lets nothing be written over, in the place of the one that is there. */
static enum ceir_err push_signature(struct remote_worker *w, const char *name)
{
	char sig[REMOTE_NAME + 8];
	struct stat st;

	snprintf(sig, sizeof sig, "%s.sig", name);
	int fd = openat(w->out, sig, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st)) {
		enum ceir_err e = ceir_err_of_errno(errno);

		if (fd >= 0)
			close(fd);
		return remote_fail(w, e, "%s/out/%s cannot be read: %s", w->dir, sig, ceir_err_text(e));
	}
	enum ceir_err err = remote_ftp_put(w->ftp, w->c.lists_to, str_of(sig), 0, (uint64_t)st.st_size, fd);
	if (err == CEIR_EPERM && !remote_ftp_delete(w->ftp, w->c.lists_to, str_of(sig)))
		err = remote_ftp_put(w->ftp, w->c.lists_to, str_of(sig), 0, (uint64_t)st.st_size, fd);
	close(fd);
	return err ? remote_fail_ftp(w, err) : CEIR_OK;
}

static enum ceir_err push_list(struct remote_worker *w, const char *name, const struct remote_mark *m)
{
	struct push p = {.w = w, .way = REG_REMOTE_LIST, .folder = w->c.lists_to, .name = str_of(name)};
	struct stat st;
	enum ceir_err err = push_signature(w, name);

	if (err)
		return err;
	p.fd = openat(w->out, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	if (p.fd < 0 || fstat(p.fd, &st)) {
		err = ceir_err_of_errno(errno);
		(void)remote_fail(w, err, "%s/out/%s cannot be read: %s", w->dir, name, ceir_err_text(err));
	} else {
		p.size = (uint64_t)st.st_size;
		err = push(&p);
	}
	if (p.fd >= 0)
		close(p.fd);
	if (err)
		return err;
	struct reg_remote_event e = {.way = REG_REMOTE_LIST, .file = p.name, .bytes = p.size, .list = m->list, .to = m->to};
	memcpy(e.sha256, m->sha256, sizeof e.sha256);
	err = remote_note(w, &e);
	if (!err)
		log_info(REMOTE_ROOM, "%.*s: %s is there, %" PRIu64 " bytes", (int)w->c.code.n, w->c.code.p, name, p.size);
	return err;
}

static enum ceir_err push_spooled(struct remote_worker *w, const char *name)
{
	struct buf text = BUF_INIT(REMOTE_MARK_BYTES);
	struct remote_mark mark;
	bool next = false;
	enum ceir_err err = read_beside(w, name, ".mark", REMOTE_MARK_BYTES, &text);

	if (!err && !remote_mark_parse(buf_view(&text), &mark))
		err = is_next(w, &mark, &next);
	remote_name_set(w, str_of(name));
	if (!err && next)
		err = push_list(w, name, &mark);
	if (!err)
		spool_drop(w, str_of(name));
	buf_free(&text);
	return err;
}

/* ---- lists: what is new ---- */

/*
 * A look that finds nothing costs the reading of what was changed since the mark: after it, ten times as long is waited as it took, and nothing is
 * looked for while nothing changes.
 */
static enum ceir_err look_for_list(struct remote_worker *w, enum reg_list_kind list)
{
	struct remote_list *l = &w->lists[list];
	int64_t begin = clock_mono_us();
	uint64_t seq;
	char name[REMOTE_NAME];

	if (begin < l->not_before_us)
		return CEIR_OK;
	seq = remotes_change_seq(w->m);
	if (l->looked && l->looked_seq == seq)
		return CEIR_OK;
	enum ceir_err err = remote_list_make(w, list, name);
	if (!err && name[0])
		err = push_spooled(w, name);
	if (err)
		return err;
	int64_t now = clock_mono_us(), every_s = w->m->s.lists_s ? w->m->s.lists_s : w->c.interval_s;

	l->looked = true;
	l->looked_seq = seq;
	/* Where others' outboxes are filled so often, so is this. */
	l->not_before_us = name[0] || !w->m->s.lists_s ? begin + every_s * 1000000 : now + 10 * (now - begin);
	return CEIR_OK;
}

enum ceir_err remote_push_lists(struct remote_worker *w)
{
	char name[REMOTE_NAME];
	enum ceir_err err = CEIR_OK;

	while (!w->spool_empty && !err && !remote_stopping(w)) {
		w->spool_empty = !spool_first(w, name);
		if (!w->spool_empty)
			err = push_spooled(w, name);
	}
	if (err || !w->c.op.n || !w->c.lists_to.n)
		return err;
	for (unsigned k = 0; k < REG_LISTS && !err && !remote_stopping(w); k++) {
		w->file[0] = '\0';
		if (w->c.lists & REG_BIT(k))
			err = look_for_list(w, k);
	}
	/* Whatever failed may lie in out/ by now. */
	if (err)
		w->spool_empty = false;
	return err;
}

/* ---- answers ---- */

static int open_answers(struct remote_worker *w)
{
	char home[PATH_MAX], path[PATH_MAX + 8];

	if (files_home(w->m->files, w->c.account, home))
		return -1;
	snprintf(path, sizeof path, "%s/out", home);
	return open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
}

static enum ceir_err push_answer(struct remote_worker *w, int out, struct remote_look *look)
{
	struct push p = {.w = w, .way = REG_REMOTE_ANSWER, .folder = w->c.answers_to, .name = look->name, .size = look->size, .mtime_s = look->mtime_s};
	struct reg_remote_event e = {.way = REG_REMOTE_ANSWER, .file = look->name, .bytes = look->size, .mtime_s = look->mtime_s};
	enum ceir_err err;

	p.fd = openat(out, w->file, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	if (p.fd < 0)
		return errno == ENOENT ? CEIR_OK : remote_fail(w, ceir_err_of_errno(errno), "it cannot be read: %s", strerror(errno));
	err = remote_hash(w, p.fd, p.size, e.sha256);
	if (!err)
		err = push(&p);
	close(p.fd);
	if (!err)
		err = remote_note(w, &e);
	if (!err)
		log_info(REMOTE_ROOM, "%.*s: %s is there, %" PRIu64 " bytes", (int)w->c.code.n, w->c.code.p, w->file, p.size);
	look->done = !err;
	return err;
}

/* What of it is new. One that the server does not want does not hold up the others. */
static enum ceir_err push_new(struct remote_worker *w, int out, struct remote_looks *l)
{
	struct remote_kept kept = {.err = CEIR_OK};
	enum ceir_err err = CEIR_OK;

	for (size_t i = 0; i < l->n && !err && !remote_stopping(w); i++) {
		struct remote_look *look = &l->v[i];
		const struct remote_look *before = remote_looks_find(w->answers, look->name);

		look->done = before && before->done && before->size == look->size && before->mtime_s == look->mtime_s;
		if (!look->done)
			err = reg_remote_known(w->m->r, w->c.id, REG_REMOTE_ANSWER, look->name, look->size, look->mtime_s, &look->done);
		if (err || look->done)
			continue;
		remote_name_set(w, look->name);
		err = push_answer(w, out, look);
		if (err == CEIR_EPERM) {
			remote_keep(w, &kept, err);
			err = CEIR_OK;
		}
	}
	return err ? err : remote_kept(w, &kept);
}

static enum ceir_err read_answers(int out, struct remote_looks *l)
{
	DIR *d = list_of(out);
	const struct dirent *e;
	struct stat st;
	enum ceir_err err = d ? CEIR_OK : ceir_err_of_errno(errno);

	while (d && !err && (e = readdir(d))) {
		if (!remote_name_good(str_of(e->d_name)) || fstatat(out, e->d_name, &st, AT_SYMLINK_NOFOLLOW) || !S_ISREG(st.st_mode))
			continue;
		struct remote_look look = {.name = str_of(e->d_name), .size = (uint64_t)st.st_size, .mtime_s = st.st_mtim.tv_sec};
		err = remote_looks_add(l, &look);
	}
	if (d)
		closedir(d);
	remote_looks_sort(l);
	return err;
}

static enum ceir_err look_at_answers(struct remote_worker *w, int out)
{
	struct remote_looks *l = remote_looks_new();
	enum ceir_err err = l ? read_answers(out, l) : CEIR_ENOMEM;

	if (!err)
		err = remote_looks_forget(w, REG_REMOTE_ANSWER, w->answers, l);
	if (!err)
		err = push_new(w, out, l);
	if (err) {
		remote_looks_free(l);
		return err;
	}
	remote_looks_free(w->answers);
	w->answers = l;
	return CEIR_OK;
}

/* When the folder changed last, if that is long enough ago that the next change will have another time; else 0. */
static int64_t settled_ns(const struct stat *st)
{
	int64_t ns = st->st_mtim.tv_sec * INT64_C(1000000000) + st->st_mtim.tv_nsec;

	return ns + 2 * INT64_C(1000000000) < clock_real_us() * 1000 ? ns : 0;
}

enum ceir_err remote_push_answers(struct remote_worker *w)
{
	struct stat st;

	if (!w->m->files || !w->c.answers_to.n)
		return CEIR_OK;
	int out = open_answers(w);
	if (out < 0 || fstat(out, &st)) {
		enum ceir_err e = ceir_err_of_errno(errno);

		if (out >= 0)
			close(out);
		return remote_fail(w, e, "the account's folder out/ cannot be read: %s", ceir_err_text(e));
	}
	int64_t ns = settled_ns(&st);
	enum ceir_err err = ns && ns == w->answers_dir_ns ? CEIR_OK : look_at_answers(w, out);
	close(out);
	w->answers_dir_ns = err || remote_stopping(w) ? 0 : ns;
	return err;
}

/*
 * files_queue.c - from in/ (or wherever it was fetched to) into the queue, and out of it.
 *
 * A file of the queue is SEQ.data; SEQ.name holds the name under which it came; SEQ.journal (files_rows.c) what has been answered; SEQ.ends
 * (files_full.c) what is to be ended. SEQ.name is durable before the rename that makes SEQ.data of in/NAME, and is removed after SEQ.data: a crash
 * leaves the file in in/ or in the queue, and at most the others without their SEQ.data, which are removed at the next start.
 */
#include "files/files_internal.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define SEQ_DIGITS (FILES_SEQ - 1)

static enum ceir_err failed(void)
{
	return ceir_err_of_errno(errno);
}

/* "0123456789abcdef.data" */
static bool is_entry(const char *name, const char *ending)
{
	return strspn(name, "0123456789abcdef") == SEQ_DIGITS && strcmp(name + SEQ_DIGITS, ending) == 0;
}

static void entry_name(const char *seq, const char *ending, char out[32])
{
	snprintf(out, 32, "%.16s%s", seq, ending);
}

static DIR *open_list(int folder)
{
	int fd = openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);

	if (!d && fd >= 0)
		close(fd);
	return d;
}

enum ceir_err files_queue_first(int queue, char seq[FILES_SEQ])
{
	DIR *d = open_list(queue);
	const struct dirent *e;

	if (!d)
		return failed();
	seq[0] = '\0';
	while ((e = readdir(d)))
		if (is_entry(e->d_name, ".data") && (!seq[0] || strncmp(e->d_name, seq, SEQ_DIGITS) < 0))
			snprintf(seq, FILES_SEQ, "%.16s", e->d_name);
	closedir(d);
	return seq[0] ? CEIR_OK : CEIR_ENOENT;
}

void files_queue_name(int queue, const char *seq, char name[FILES_NAME])
{
	char entry[32];
	ssize_t n = -1;

	entry_name(seq, ".name", entry);
	int fd = openat(queue, entry, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	if (fd >= 0) {
		n = read(fd, name, FILES_NAME - 1);
		close(fd);
	}
	name[n < 0 ? 0 : n] = '\0';
}

static enum ceir_err remove_entry(int queue, const char *seq, const char *ending)
{
	char entry[32];

	entry_name(seq, ending, entry);
	return unlinkat(queue, entry, 0) && errno != ENOENT ? failed() : CEIR_OK;
}

enum ceir_err files_queue_done(int queue, const char *seq)
{
	enum ceir_err err = remove_entry(queue, seq, ".data");

	/* The others only when nobody can take up the file again. */
	if (!err && fsync(queue))
		err = failed();
	if (!err)
		err = remove_entry(queue, seq, ".journal");
	if (!err)
		err = remove_entry(queue, seq, ".ends");
	return err ? err : remove_entry(queue, seq, ".name");
}

void files_queue_clean(int queue)
{
	DIR *d = open_list(queue);
	const struct dirent *e;
	char data[32];
	struct stat st;

	while (d && (e = readdir(d))) {
		if (!is_entry(e->d_name, ".name") && !is_entry(e->d_name, ".journal") && !is_entry(e->d_name, ".ends"))
			continue;
		entry_name(e->d_name, ".data", data);
		if (fstatat(queue, data, &st, AT_SYMLINK_NOFOLLOW) && errno == ENOENT && unlinkat(queue, e->d_name, 0))
			log_warn(FILES_ROOM, "a left-over of the queue cannot be removed: %s", strerror(errno));
	}
	if (d)
		closedir(d);
}

/* ---- taking ---- */

static enum ceir_err check_room(const struct files *f, int queue, off_t size)
{
	DIR *d = open_list(queue);
	const struct dirent *e;
	uint64_t bytes = (uint64_t)size;
	unsigned n = 1;
	struct stat st;

	if (!d)
		return failed();
	while ((e = readdir(d)))
		if (is_entry(e->d_name, ".data") && !fstatat(queue, e->d_name, &st, AT_SYMLINK_NOFOLLOW)) {
			bytes += (uint64_t)st.st_size;
			n++;
		}
	closedir(d);
	return n > f->s.max_files || bytes > f->s.max_bytes ? CEIR_ELIMIT : CEIR_OK;
}

static void next_seq(struct files *f, char seq[FILES_SEQ])
{
	uint64_t now = (uint64_t)clock_real_us();

	pthread_mutex_lock(&f->lock);
	f->last_seq = now > f->last_seq ? now : f->last_seq + 1;
	snprintf(seq, FILES_SEQ, "%016" PRIx64, f->last_seq);
	pthread_mutex_unlock(&f->lock);
}

static enum ceir_err write_name(int queue, const char *seq, const char *name)
{
	char entry[32];

	entry_name(seq, ".name", entry);
	int fd = openat(queue, entry, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return failed();
	enum ceir_err err = fd_write_all(fd, name, strlen(name));
	if (!err && fsync(fd))
		err = failed();
	if (close(fd) && !err)
		err = failed();
	return err;
}

static bool is_taken(int folder, const char *name, struct stat *st)
{
	return fstatat(folder, name, st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(st->st_mode) && st->st_nlink == 1;
}

static enum ceir_err move(int in, const char *name, int queue, const char *seq)
{
	char entry[32];
	struct stat st;

	entry_name(seq, ".data", entry);
	if (renameat2(in, name, queue, entry, RENAME_NOREPLACE))
		return failed();
	/* What stood there may have been changed for something else since it was looked at. */
	if (!is_taken(queue, entry, &st)) {
		if (renameat2(queue, entry, in, name, RENAME_NOREPLACE) && unlinkat(queue, entry, 0))
			log_error(FILES_ROOM, "%s in a queue is no file and cannot be removed: %s", entry, strerror(errno));
		return CEIR_EINVAL;
	}
	return fsync(queue) || fsync(in) ? failed() : CEIR_OK;
}

/* entry of the folder in is what is to be called name. */
static enum ceir_err take(struct files *f, int in, const char *entry, int queue, const char *name)
{
	char seq[FILES_SEQ];
	struct stat st;

	if (fstatat(in, entry, &st, AT_SYMLINK_NOFOLLOW))
		return failed();
	if (!is_taken(in, entry, &st))
		return CEIR_EINVAL;
	enum ceir_err err = check_room(f, queue, st.st_size);
	if (err)
		return err;
	next_seq(f, seq);
	err = write_name(queue, seq, name);
	if (!err)
		err = move(in, entry, queue, seq);
	if (err && remove_entry(queue, seq, ".name"))
		log_warn(FILES_ROOM, "a left-over of the queue cannot be removed; the next start does");
	return err;
}

static bool is_name(const char *name)
{
	return name[0] && name[0] != '.' && !strchr(name, '/') && strlen(name) < FILES_NAME;
}

enum ceir_err files_uploaded(struct files *f, struct str clid, const char *name)
{
	if (!is_name(name))
		return CEIR_EINVAL;
	struct files_account *a = files_account_find(f, clid, STR(""));
	if (!a)
		return CEIR_EIO;
	int in = files_open_folder(f, a, "ftp/in"), queue = in < 0 ? -1 : files_open_folder(f, a, "queue");
	enum ceir_err err = queue < 0 ? failed() : take(f, in, name, queue, name);
	if (in >= 0)
		close(in);
	if (queue >= 0)
		close(queue);
	if (!err)
		files_wake(f);
	return err;
}

enum ceir_err files_put(struct files *f, struct str clid, const char *name, const char *path)
{
	const char *slash = strrchr(path, '/');
	char folder[PATH_MAX];

	if (!is_name(name) || !slash || slash == path || !slash[1] || (size_t)(slash - path) >= sizeof folder)
		return CEIR_EINVAL;
	snprintf(folder, sizeof folder, "%.*s", (int)(slash - path), path);
	struct files_account *a = files_account_find(f, clid, STR(""));
	if (!a)
		return CEIR_EIO;
	int from = open(folder, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC), queue = from < 0 ? -1 : files_open_folder(f, a, "queue");
	enum ceir_err err = queue < 0 ? failed() : take(f, from, slash + 1, queue, name);
	if (from >= 0)
		close(from);
	if (queue >= 0)
		close(queue);
	if (!err)
		files_wake(f);
	return err;
}

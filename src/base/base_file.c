/* base_file.c - whole files in and out, surviving interrupts, short writes and power cuts. */
#include "base/base.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define READ_STEP_BYTES (16 << 10)

enum ceir_err fd_write_all(int fd, const void *bytes, size_t n)
{
	const char *p = bytes;

	while (n > 0) {
		ssize_t done = write(fd, p, n);

		if (done < 0) {
			if (errno == EINTR)
				continue;
			return ceir_err_of_errno(errno);
		}
		p += done;
		n -= (size_t)done;
	}
	return CEIR_OK;
}

static enum ceir_err read_to_end(int fd, size_t max, struct buf *out)
{
	char step[READ_STEP_BYTES];
	size_t left = max;

	for (;;) {
		ssize_t got = read(fd, step, sizeof(step));

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return ceir_err_of_errno(errno);
		if (got == 0)
			return CEIR_OK;
		if ((size_t)got > left)
			return CEIR_ELIMIT;
		left -= (size_t)got;
		buf_put(out, step, (size_t)got);
		if (out->failed)
			return CEIR_ENOMEM;
	}
}

enum ceir_err file_read(const char *path, size_t max, struct buf *out)
{
	size_t start = out->n;
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	enum ceir_err err;

	if (fd < 0)
		return ceir_err_of_errno(errno);
	err = read_to_end(fd, max, out);
	close(fd);
	if (err != CEIR_OK)
		out->n = start;
	return err;
}

static enum ceir_err write_and_sync(int fd, struct str bytes, unsigned mode)
{
	enum ceir_err err = fd_write_all(fd, bytes.p, bytes.n);

	if (err != CEIR_OK)
		return err;
	/* The umask took bits off the mode given to open. */
	if (fchmod(fd, (mode_t)mode) != 0 || fsync(fd) != 0)
		return ceir_err_of_errno(errno);
	return CEIR_OK;
}

enum ceir_err file_sync_dir(const char *dir)
{
	int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	enum ceir_err err = CEIR_OK;

	if (fd < 0)
		return ceir_err_of_errno(errno);
	if (fsync(fd) != 0)
		err = ceir_err_of_errno(errno);
	close(fd);
	return err;
}

static enum ceir_err sync_parent(const char *path)
{
	char dir[PATH_MAX];
	const char *slash = strrchr(path, '/');
	size_t n = slash == NULL ? 0 : (size_t)(slash - path);

	if (slash == NULL)
		return file_sync_dir(".");
	if (n == 0)
		return file_sync_dir("/");
	if (n >= sizeof(dir))
		return CEIR_ERANGE;
	memcpy(dir, path, n);
	dir[n] = '\0';
	return file_sync_dir(dir);
}

enum ceir_err file_write(const char *path, struct str bytes, unsigned mode)
{
	char tmp[PATH_MAX];
	int n = snprintf(tmp, sizeof(tmp), "%s.tmp", path);
	enum ceir_err err;
	int fd;

	if (n < 0 || (size_t)n >= sizeof(tmp))
		return CEIR_ERANGE;
	/* O_EXCL: never write through a link or a file somebody left there, nor with its wider mode. */
	if (unlink(tmp) != 0 && errno != ENOENT)
		return ceir_err_of_errno(errno);
	fd = open(tmp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, (mode_t)mode);
	if (fd < 0)
		return ceir_err_of_errno(errno);
	err = write_and_sync(fd, bytes, mode);
	/* close() can report a write that failed late (NFS, quota). */
	if (close(fd) != 0 && err == CEIR_OK)
		err = ceir_err_of_errno(errno);
	if (err == CEIR_OK && rename(tmp, path) != 0)
		err = ceir_err_of_errno(errno);
	if (err != CEIR_OK) {
		(void)unlink(tmp);
		return err;
	}
	return sync_parent(path);
}

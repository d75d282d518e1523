/* registry_delivery_report.c - the file that says which lines of a delivery were not taken as they came, and why. */
#include "registry/registry_delivery.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#define ROOM "delivery"
#define LINES_MAX 1000000                    /* more are counted only, and the last line says how many */
#define BYTES_MAX (UINT64_C(256) << 20)
#define WRITE_BYTES (256u << 10)

static enum ceir_err path_of(const struct registry *r, char out[DELIVERY_PATH], const char *format, ...) CEIR_PRINTF(3, 4);
static enum ceir_err path_of(const struct registry *r, char out[DELIVERY_PATH], const char *format, ...)
{
	int n = snprintf(out, DELIVERY_PATH, "%s/deliveries/", r->settings.dir), m;
	va_list ap;

	if (n < 0 || n >= DELIVERY_PATH)
		return CEIR_ERANGE;
	va_start(ap, format);
	m = vsnprintf(out + n, DELIVERY_PATH - (size_t)n, format, ap);
	va_end(ap);
	return m < 0 || m >= DELIVERY_PATH - n ? CEIR_ERANGE : CEIR_OK;
}

void delivery_report_init(struct delivery_report *p, struct registry *r, size_t lang)
{
	*p = (struct delivery_report){.r = r, .lang = lang, .fd = -1, .buf = BUF_INIT(4 * WRITE_BYTES)};
}

static enum ceir_err create_file(struct delivery_report *p)
{
	enum ceir_err err = path_of(p->r, p->path, "tmp-%" PRIu64 ".csv", atomic_fetch_add(&p->r->intake->reports, 1));

	if (err)
		return err;
	p->fd = open(p->path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (p->fd < 0)
		return ceir_err_of_errno(errno);
	delivery_reject_print(&p->buf, p->lang, NULL);
	return CEIR_OK;
}

static enum ceir_err write_out(struct delivery_report *p)
{
	if (p->buf.failed)
		return CEIR_ENOMEM;
	enum ceir_err err = fd_write_all(p->fd, p->buf.p, p->buf.n);
	p->bytes += p->buf.n;
	buf_clear(&p->buf);
	return err;
}

enum ceir_err delivery_report_add(struct delivery_report *p, const struct delivery_reject *reject)
{
	enum ceir_err err = p->fd < 0 ? create_file(p) : CEIR_OK;

	if (err)
		return err;
	if (p->lines == LINES_MAX || p->bytes > BYTES_MAX) {
		p->left_out++;
		return CEIR_OK;
	}
	p->lines++;
	delivery_reject_print(&p->buf, p->lang, reject);
	return p->buf.n >= WRITE_BYTES || p->buf.failed ? write_out(p) : CEIR_OK;
}

/* Nothing is dropped in silence. */
static void say_left_out(struct delivery_report *p)
{
	struct buf text = BUF_INIT(1024);
	char number[24];
	int n = snprintf(number, sizeof number, "%" PRIu64, p->left_out);
	struct str arg = {number, (size_t)n};

	i18n_format(&text, p->lang, N_("{0} further lines were not taken as they came; this report does not name them"), &arg, 1);
	const struct str fields[] = {STR(""), STR(""), STR("not-listed"), buf_view(&text), STR("")};
	csv_put_row(&p->buf, fields, CEIR_COUNT(fields), ',', CSV_VERBATIM);
	buf_free(&text);
}

static enum ceir_err rename_to(struct delivery_report *p, const char *to)
{
	if (rename(p->path, to))
		return ceir_err_of_errno(errno);
	memcpy(p->path, to, strlen(to) + 1);
	return CEIR_OK;
}

static enum ceir_err sync_folder(const struct registry *r)
{
	char dir[DELIVERY_PATH];
	enum ceir_err err = path_of(r, dir, "%s", "");

	return err ? err : file_sync_dir(dir);
}

enum ceir_err delivery_report_finish(struct delivery_report *p, uint64_t staged)
{
	char to[DELIVERY_PATH];

	if (p->fd < 0)
		return CEIR_OK;
	if (p->left_out)
		say_left_out(p);
	enum ceir_err err = write_out(p);
	if (!err && fsync(p->fd))
		err = ceir_err_of_errno(errno);
	if (close(p->fd) && !err)
		err = ceir_err_of_errno(errno);
	p->fd = -1;
	if (!err)
		err = path_of(p->r, to, "tmp-S%" PRIu64 ".csv", staged);
	if (!err)
		err = rename_to(p, to);
	return err ? err : sync_folder(p->r);
}

void delivery_report_name(struct delivery_report *p, struct str code)
{
	char to[DELIVERY_PATH];

	if (!p->path[0])
		return;
	enum ceir_err err = path_of(p->r, to, "%.*s.csv", (int)code.n, code.p);
	if (!err)
		err = rename_to(p, to);
	if (err)
		log_warn(ROOM, "the report of %.*s keeps its temporary name: %s", (int)code.n, code.p, ceir_err_text(err));
	p->path[0] = '\0';
}

void delivery_report_free(struct delivery_report *p)
{
	if (p->fd >= 0)
		close(p->fd);
	if (p->path[0] && unlink(p->path) && errno != ENOENT)
		log_warn(ROOM, "%s cannot be removed: %s", p->path, strerror(errno));
	buf_free(&p->buf);
}

enum ceir_err delivery_report_open(const struct registry *r, struct str code, uint64_t staged, int *fd)
{
	char path[DELIVERY_PATH];
	enum ceir_err err = path_of(r, path, "%.*s.csv", (int)code.n, code.p);

	if (err)
		return err;
	*fd = open(path, O_RDONLY | O_CLOEXEC);
	/* Between the commit and its naming. */
	if (*fd < 0 && errno == ENOENT && staged) {
		err = path_of(r, path, "tmp-S%" PRIu64 ".csv", staged);
		*fd = err ? -1 : open(path, O_RDONLY | O_CLOEXEC);
	}
	return err ? err : *fd < 0 ? ceir_err_of_errno(errno) : CEIR_OK;
}

/* ---- after a start ---- */

static enum ceir_err tidy_one(struct registry *r, struct store_conn *db, struct arena *arena, const char *name)
{
	static const char staged[] = "tmp-S";
	char from[DELIVERY_PATH], to[DELIVERY_PATH];
	struct store_val row[DELIVERY_N];
	struct str id = {name + sizeof staged - 1, strcspn(name + sizeof staged - 1, ".")};
	enum ceir_err err = path_of(r, from, "%s", name);

	if (err)
		return err;
	if (strncmp(name, staged, sizeof staged - 1) == 0) {
		err = store_get(db, &STORE_DELIVERY, DELIVERY_STAGED, store_text(id), arena, row);
		if (!err)
			err = path_of(r, to, "%.*s.csv", (int)row[DELIVERY_CODE].s.n, row[DELIVERY_CODE].s.p);
		if (err != CEIR_ENOENT)
			return err ? err : rename(from, to) ? ceir_err_of_errno(errno) : CEIR_OK;
	}
	return unlink(from) ? ceir_err_of_errno(errno) : CEIR_OK;
}

enum ceir_err delivery_report_tidy(struct registry *r, struct store_conn *db, struct arena *arena)
{
	char dir[DELIVERY_PATH];
	enum ceir_err err = path_of(r, dir, "%s", "");
	DIR *d = err ? NULL : opendir(dir);
	const struct dirent *e;

	if (!d)
		return err ? err : ceir_err_of_errno(errno);
	while (!err && (e = readdir(d)))
		if (strncmp(e->d_name, "tmp-", 4) == 0)
			err = tidy_one(r, db, arena, e->d_name);
	closedir(d);
	return err;
}

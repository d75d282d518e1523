/*
 * files_journal.c - SEQ.journal: a line with the beginning of the file's clTRIDs, then CSV lines FIRST,ROWS,CODE,SVTRID,REJECT,TEXT.
 *
 * Every line but the last of a journal that a crash cut off ends in CRLF; no field holds a line break. What is behind the last line end
 * is cut off when it is opened again.
 */
#include "files/files_journal.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#include "exchange/exchange.h"

#define FIELDS 6
#define STEP_BYTES (1u << 16)
#define FLUSH_BYTES (1u << 18)

struct files_journal {
	int fd;
	struct buf out;                /* not yet written */
	struct csv_reader *reader;     /* NULL: not begun to read */
	char *step;
	off_t at;
	bool head_seen;
};

/* ---- reading ---- */

static enum ceir_err feed(struct files_journal *l)
{
	ssize_t n;

	do
		n = pread(l->fd, l->step, STEP_BYTES, l->at);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return ceir_err_of_errno(errno);
	l->at += n;
	if (n)
		csv_feed(l->reader, (struct str){l->step, (size_t)n});
	else
		csv_finish(l->reader);
	return CEIR_OK;
}

static enum ceir_err parse(const struct csv_row *row, struct files_entry *e)
{
	uint64_t code;

	if (row->count != FIELDS || str_u64(row->fields[0], UINT64_MAX, &e->first) || str_u64(row->fields[1], UINT64_MAX, &e->n)
		|| str_u64(row->fields[2], 9999, &code))
		return CEIR_ECORRUPT;
	e->code = (unsigned)code;
	e->svtrid = row->fields[3];
	e->reject = row->fields[4];
	e->text = row->fields[5];
	return CEIR_OK;
}

static enum ceir_err begin_reading(struct files_journal *l)
{
	csv_free(l->reader);
	l->reader = csv_new(&(struct csv_limits){.separator = ','});
	l->at = 0;
	l->head_seen = false;
	return l->reader ? CEIR_OK : CEIR_ENOMEM;
}

enum ceir_err files_journal_next(struct files_journal *l, struct files_entry *e)
{
	enum ceir_err err = l->reader ? CEIR_OK : begin_reading(l);
	struct csv_row row;

	while (!err) {
		enum csv_step step = csv_next(l->reader, &row);

		if (step == CSV_END)
			return CEIR_ENOENT;
		if (step == CSV_MORE)
			err = feed(l);
		else if (step == CSV_BAD_ROW)
			err = CEIR_ECORRUPT;
		else if (l->head_seen)
			return parse(&row, e);
		else
			l->head_seen = true;
	}
	return err;
}

/* ---- opening ---- */

/* Cuts off what is behind the last line end. *size: what is left. */
static enum ceir_err cut_torn(int fd, off_t *size)
{
	char tail[8192];
	off_t end = lseek(fd, 0, SEEK_END);

	*size = 0;
	while (end > 0) {
		size_t n = end < (off_t)sizeof tail ? (size_t)end : sizeof tail;

		if (pread(fd, tail, n, end - (off_t)n) != (ssize_t)n)
			return CEIR_EIO;
		const char *last = memrchr(tail, '\n', n);
		end -= (off_t)n;
		if (last) {
			*size = end + (last - tail) + 1;
			break;
		}
	}
	return ftruncate(fd, *size) ? ceir_err_of_errno(errno) : CEIR_OK;
}

static enum ceir_err write_head(const struct files_job *j, struct files_journal *l)
{
	buf_printf(&l->out, "%s\r\n", j->trid);
	enum ceir_err err = files_journal_sync(l);
	return err || !fsync(j->queue) ? err : ceir_err_of_errno(errno);
}

static enum ceir_err read_head(struct files_job *j, int fd)
{
	char head[FILES_TRID + 2];
	ssize_t n = pread(fd, head, sizeof head - 1, 0);

	if (n <= 0)
		return CEIR_EIO;
	head[n] = '\0';
	head[strcspn(head, "\r")] = '\0';
	j->changed = strcmp(head, j->trid) != 0;
	snprintf(j->trid, sizeof j->trid, "%.*s", (int)sizeof j->trid - 1, head);
	return CEIR_OK;
}

static enum ceir_err count_rows(struct files_journal *l, uint64_t *rows)
{
	struct files_entry e;
	enum ceir_err err;

	while (!(err = files_journal_next(l, &e))) {
		if (e.first != *rows + 1 || e.n > UINT64_MAX - *rows)
			return CEIR_ECORRUPT;
		*rows += e.n;
	}
	csv_free(l->reader);
	l->reader = NULL;
	return err == CEIR_ENOENT ? CEIR_OK : err;
}

static enum ceir_err open_it(struct files_job *j, struct files_journal *l, uint64_t *rows, bool *made)
{
	char entry[32];
	off_t size = 0;

	snprintf(entry, sizeof entry, "%.16s.journal", j->seq);
	l->fd = openat(j->queue, entry, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
	enum ceir_err err = l->fd < 0 ? ceir_err_of_errno(errno) : cut_torn(l->fd, &size);
	if (!err && lseek(l->fd, size, SEEK_SET) < 0)
		err = ceir_err_of_errno(errno);
	if (err)
		return err;
	*made = size == 0;
	if (*made)
		return write_head(j, l);
	err = read_head(j, l->fd);
	return err ? err : count_rows(l, rows);
}

enum ceir_err files_journal_open(struct files_job *j, struct files_journal **out, uint64_t *rows, bool *made)
{
	struct files_journal *l = calloc(1, sizeof *l);

	*rows = 0;
	if (!l)
		return CEIR_ENOMEM;
	l->fd = -1;
	l->step = malloc(STEP_BYTES);
	enum ceir_err err = l->step ? open_it(j, l, rows, made) : CEIR_ENOMEM;
	if (err)
		files_journal_close(l);
	else
		*out = l;
	return err;
}

void files_journal_close(struct files_journal *l)
{
	if (!l)
		return;
	csv_free(l->reader);
	if (l->fd >= 0)
		close(l->fd);
	buf_free(&l->out);
	free(l->step);
	free(l);
}

/* ---- writing ---- */

static enum ceir_err flush(struct files_journal *l)
{
	enum ceir_err err = l->out.failed ? CEIR_ENOMEM : fd_write_all(l->fd, l->out.p, l->out.n);

	buf_clear(&l->out);
	return err;
}

enum ceir_err files_journal_put(struct files_journal *l, const struct files_entry *e)
{
	char first[24], n[24], code[16];

	snprintf(first, sizeof first, "%" PRIu64, e->first);
	snprintf(n, sizeof n, "%" PRIu64, e->n);
	snprintf(code, sizeof code, "%u", e->code);
	struct str fields[FIELDS] = {str_of(first), str_of(n), str_of(code), e->svtrid, e->reject, e->text};
	csv_put_row(&l->out, fields, FIELDS, ',', CSV_VERBATIM);
	return l->out.n > FLUSH_BYTES ? flush(l) : CEIR_OK;
}

enum ceir_err files_journal_sync(struct files_journal *l)
{
	enum ceir_err err = flush(l);

	return err || !fdatasync(l->fd) ? err : ceir_err_of_errno(errno);
}

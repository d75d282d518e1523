/*
 * ctl_csv.c - see ctl_csv.h.
 *
 * Rejects file: CSV, UTF-8, CRLF. Columns: line (of the source, from 1), reason (English), text (the row as it was read;
 * in text that is not UTF-8 each foreign byte becomes "?").
 */
#include "ctl/ctl_csv.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ctl/ctl_session.h"

#define CHUNK_BYTES 65536u
#define TOLD_MAX 20u /* lines told on stderr; a file may have a million */

enum ceir_err ctl_csv_open(struct ctl_csv *f, const char *name, const char *rejects)
{
	struct stat st;

	*f = (struct ctl_csv){.name = name, .fd = strcmp(name, "-") == 0 ? dup(STDIN_FILENO) : open(name, O_RDONLY | O_CLOEXEC)};
	if (f->fd < 0) {
		ctl_complain("%s: %s", name, strerror(errno));
		return CEIR_EIO;
	}
	if (fstat(f->fd, &st) == 0 && S_ISREG(st.st_mode))
		f->size = (uint64_t)st.st_size;
	f->reader = csv_new(NULL);
	f->chunk = malloc(CHUNK_BYTES);
	if (rejects && !(f->rejects = fopen(rejects, "we")))
		ctl_complain("%s: %s", rejects, strerror(errno));
	if (!f->reader || !f->chunk || (rejects && !f->rejects)) {
		ctl_csv_close(f);
		return CEIR_EIO;
	}
	if (f->rejects)
		fputs("line,reason,text\r\n", f->rejects);
	return CEIR_OK;
}

/* The next bytes into the reader; false when the file could not be read. */
static bool feed(struct ctl_csv *f)
{
	ssize_t n;

	do
		n = read(f->fd, f->chunk, CHUNK_BYTES);
	while (n < 0 && errno == EINTR);
	if (n < 0) {
		ctl_complain("%s: %s", f->name, strerror(errno));
		f->broken = true;
		return false;
	}
	if (n == 0)
		csv_finish(f->reader);
	else
		csv_feed(f->reader, (struct str){f->chunk, (size_t)n});
	f->bytes += (uint64_t)n;
	return true;
}

bool ctl_csv_next(struct ctl_csv *f, struct csv_row *row)
{
	while (!f->ended && !f->broken) {
		switch (csv_next(f->reader, row)) {
		case CSV_ROW:
			return true;
		case CSV_BAD_ROW:
			ctl_csv_reject(f, row, csv_fault_text(row->fault));
			break;
		case CSV_MORE:
			if (!feed(f))
				return false;
			break;
		case CSV_END:
			f->ended = true;
			break;
		}
	}
	return false;
}

/* A bad row as it came; the fields of a good one joined again. */
static void row_text(const struct csv_row *row, struct buf *out)
{
	if (row->fault != CSV_GOOD)
		buf_str(out, row->raw);
	for (size_t i = 0; row->fault == CSV_GOOD && i < row->count; i++) {
		buf_c(out, i ? "," : "");
		csv_put_field(out, row->fields[i], ',', CSV_VERBATIM);
	}
}

/* Anything to well-formed UTF-8 without control characters. */
static void clean(struct buf *text)
{
	bool utf8 = str_is_utf8(buf_view(text));

	for (size_t i = 0; i < text->n; i++)
		if ((unsigned char)text->p[i] < 0x20 || (!utf8 && (unsigned char)text->p[i] >= 0x80))
			text->p[i] = '?';
}

void ctl_csv_reject(struct ctl_csv *f, const struct csv_row *row, const char *reason)
{
	struct buf text = BUF_INIT(0), line = BUF_INIT(0);

	if (++f->bad <= TOLD_MAX) {
		if (row->fault != CSV_GOOD && row->field)
			fprintf(stderr, "%s line %llu field %zu: %s\n", f->name, (unsigned long long)row->line, row->field, reason);
		else
			fprintf(stderr, "%s line %llu: %s\n", f->name, (unsigned long long)row->line, reason);
	} else if (f->bad == TOLD_MAX + 1) {
		fprintf(stderr, "%s: further lines are left out, too%s\n", f->name,
			f->rejects ? "" : " (--rejects FILE lists them all)");
	}
	if (!f->rejects)
		return;
	row_text(row, &text);
	clean(&text);
	buf_u64(&line, row->line);
	buf_char(&line, ',');
	csv_put_field(&line, str_of(reason), ',', CSV_VERBATIM);
	buf_char(&line, ',');
	csv_put_field(&line, buf_view(&text), ',', CSV_NO_FORMULAS);
	buf_c(&line, "\r\n");
	fwrite(line.p, 1, line.n, f->rejects);
	buf_free(&text);
	buf_free(&line);
}

void ctl_csv_close(struct ctl_csv *f)
{
	csv_free(f->reader);
	free(f->chunk);
	if (f->rejects && (ferror(f->rejects) | fclose(f->rejects)) != 0)
		ctl_complain("the file of rejects could not be written: %s", strerror(errno));
	if (f->fd >= 0)
		close(f->fd);
}

/*
 * exchange_table_write_xlsx.c - a table as a workbook of one sheet (ECMA-376), by libxlsxwriter in its mode of constant memory.
 *
 * Every cell is a text in a format of texts ("@"), so that an IMEI keeps its 15 digits and its zeros, also when somebody edits it. The first row
 * is bold and stays in sight.
 *
 * The library puts the sheet together in temporary files of its own and writes to a path; both are nameless files in the scratch folder here,
 * reached through /proc/self/fd. It does not look at every result of writing to its temporary files: a disk that is full would give a workbook that
 * lacks rows and says nothing. So what it wrote is read back, rows are counted and ends looked at, before a byte of it goes to the caller.
 */
#include "exchange/exchange_table_write.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xlsxwriter.h>
#include <zip.h>

#define ROWS_MAX 1048576u        /* of a sheet, with the names */
#define CELL_UNITS_MAX 32767u    /* of UTF-16 */
#define SHEET_NAME_MAX 31
#define COLUMN_WIDTH 20.0        /* characters: a date and time */
#define CHUNK ((size_t)64 << 10)
#define ZIP64_FROM ((off_t)3 << 30)
#define SHEET "xl/worksheets/sheet1.xml"

struct table_xlsx {
	size_t n;
	int fd;                  /* nameless: where the library writes to */
	char path[32], dir[32];  /* names of fd and of the scratch folder */
	lxw_workbook *book;      /* NULL: closed */
	lxw_worksheet *sheet;
	lxw_format *text;
	uint64_t rows;           /* with the names */
	uint64_t rows_given;     /* that have a cell: others are not in the file */
	struct buf cell;
};

/* ---- the library ---- */

static enum ceir_err err_of(lxw_error e)
{
	switch (e) {
	case LXW_NO_ERROR:
		return CEIR_OK;
	case LXW_ERROR_MEMORY_MALLOC_FAILED:
		return CEIR_ENOMEM;
	case LXW_ERROR_MAX_STRING_LENGTH_EXCEEDED:
	case LXW_ERROR_WORKSHEET_INDEX_OUT_OF_RANGE:
		return CEIR_ERANGE;
	default: /* it says what it was doing, not what went wrong */
		return errno ? ceir_err_of_errno(errno) : CEIR_EIO;
	}
}

/* A file without a name in the folder; -1 and errno. */
static int scratch_open(int folder)
{
	static const char name[] = ".ceir-table-XXXXXX";
	char path[64], *made;
	int fd = openat(folder, ".", O_RDWR | O_TMPFILE | O_CLOEXEC, 0600);

	if (fd >= 0 || (errno != EOPNOTSUPP && errno != EISDIR && errno != EINVAL))
		return fd;
	/* A file system that has no nameless files. */
	snprintf(path, sizeof path, "/proc/self/fd/%d/%s", folder, name);
	made = path;
	fd = mkostemp(made, O_CLOEXEC);
	if (fd >= 0)
		unlink(made);
	return fd;
}

/* UTF-16 units of well-formed UTF-8: what Excel counts. */
static size_t units_of(struct str s)
{
	size_t n = 0;

	for (size_t i = 0; i < s.n; i++) {
		unsigned char c = (unsigned char)s.p[i];

		n += (c & 0xC0) != 0x80;
		n += c >= 0xF0;
	}
	return n;
}

static enum ceir_err put_cell(struct table_xlsx *x, size_t column, struct str text, lxw_format *format)
{
	buf_clear(&x->cell);
	table_put_text(&x->cell, text, false);
	if (units_of(buf_view(&x->cell)) > CELL_UNITS_MAX)
		return CEIR_ERANGE;
	buf_char(&x->cell, '\0');
	if (x->cell.failed)
		return CEIR_ENOMEM;
	errno = 0;
	return err_of(worksheet_write_string(x->sheet, (lxw_row_t)x->rows, (lxw_col_t)column, x->cell.p, format));
}

static enum ceir_err put_names(struct table_xlsx *x, const char *const *names)
{
	lxw_format *bold = workbook_add_format(x->book);
	enum ceir_err err = CEIR_OK;
	char range[] = "A1:XFD1048576";

	x->text = workbook_add_format(x->book);
	if (!bold || !x->text)
		return CEIR_ENOMEM;
	format_set_bold(bold);
	format_set_num_format_index(bold, 0x31);
	format_set_num_format_index(x->text, 0x31); /* "@" */
	worksheet_freeze_panes(x->sheet, 1, 0);
	/* Digits as text are what is wanted: no green corner on every IMEI. */
	(void)worksheet_ignore_errors(x->sheet, LXW_IGNORE_NUMBER_STORED_AS_TEXT, range);
	err = err_of(worksheet_set_column(x->sheet, 0, (lxw_col_t)(x->n - 1), COLUMN_WIDTH, x->text));
	for (size_t i = 0; !err && i < x->n; i++)
		err = put_cell(x, i, str_of(names[i]), bold);
	x->rows = x->rows_given = 1;
	return err;
}

enum ceir_err table_xlsx_new(const char *name, const char *const *names, size_t n, int scratch_fd, struct table_xlsx **out)
{
	struct table_xlsx *x = calloc(1, sizeof *x);
	lxw_workbook_options options = {.constant_memory = LXW_TRUE};
	char sheet[SHEET_NAME_MAX + 1];
	enum ceir_err err;

	if (!x)
		return CEIR_ENOMEM;
	x->n = n;
	x->cell = (struct buf)BUF_INIT(0);
	x->fd = scratch_open(scratch_fd);
	if (x->fd < 0) {
		err = ceir_err_of_errno(errno);
		table_xlsx_free(x);
		return err;
	}
	snprintf(x->path, sizeof x->path, "/proc/self/fd/%d", x->fd);
	snprintf(x->dir, sizeof x->dir, "/proc/self/fd/%d", scratch_fd);
	snprintf(sheet, sizeof sheet, "%s", name);
	options.tmpdir = x->dir;
	errno = 0;
	x->book = workbook_new_opt(x->path, &options);
	x->sheet = x->book ? workbook_add_worksheet(x->book, sheet) : NULL;
	err = x->sheet ? put_names(x, names) : errno ? ceir_err_of_errno(errno) : CEIR_ENOMEM;
	if (err) {
		table_xlsx_free(x);
		return err;
	}
	*out = x;
	return CEIR_OK;
}

/* All cells are looked at before the first is written: a row is in the file as a whole or not at all. */
static enum ceir_err row_check(const struct table_xlsx *x, const struct str *cells)
{
	if (x->rows == ROWS_MAX)
		return CEIR_ERANGE;
	for (size_t i = 0; i < x->n; i++)
		if (cells[i].n > CELL_UNITS_MAX && units_of(cells[i]) > CELL_UNITS_MAX)
			return CEIR_ERANGE;
	return CEIR_OK;
}

enum ceir_err table_xlsx_row(struct table_xlsx *x, const struct str *cells)
{
	enum ceir_err err = row_check(x, cells);
	bool given = false;

	if (err)
		return err;
	for (size_t i = 0; !err && i < x->n; i++) {
		if (cells[i].n)
			err = put_cell(x, i, cells[i], x->text);
		given = given || cells[i].n;
	}
	x->rows++;
	x->rows_given += given;
	/* Rows before this one are on their way to the disk; the library does not ask whether they arrived. */
	if (!err && ferror(x->sheet->optimize_tmpfile))
		err = errno ? ceir_err_of_errno(errno) : CEIR_EIO;
	return err;
}

/* ---- what the library wrote ---- */

/* How many rows there are; text between tags has no "<". Bytes at the end of a chunk that may begin a row come back with the next. */
struct scan {
	uint64_t rows;
	char bytes[CHUNK];
	size_t n;                /* kept of the chunk before */
};

#define ROW_TAG "<row "
#define SHEET_END "</worksheet>"

static void scan_rows(struct scan *s)
{
	const char *p = s->bytes, *end = s->bytes + s->n, *tag;

	while (p < end && (tag = memmem(p, (size_t)(end - p), ROW_TAG, sizeof ROW_TAG - 1))) {
		s->rows++;
		p = tag + sizeof ROW_TAG - 1;
	}
	/* The end of the sheet is kept as well, for whoever looks at it; a row that was counted is not among what is kept. */
	size_t keep = (size_t)(end - p) < sizeof SHEET_END - 1 ? (size_t)(end - p) : sizeof SHEET_END - 1;
	memmove(s->bytes, end - keep, keep);
	s->n = keep;
}

/* Reads a part to its end, by which its CRC is compared. False: it is not whole. */
static bool part_is_whole(zip_t *zip, zip_uint64_t index, struct scan *s)
{
	const char *name = zip_get_name(zip, index, 0);
	zip_file_t *part = name ? zip_fopen_index(zip, index, 0) : NULL;
	bool sheet = name && strcmp(name, SHEET) == 0;
	zip_int64_t got = part ? 0 : -1;
	uint64_t rows = s->rows;
	char last = '\0';

	s->n = 0;
	while (part && (got = zip_fread(part, s->bytes + s->n, CHUNK - s->n)) > 0) {
		s->n += (size_t)got;
		for (size_t i = s->n; i > 0 && i > s->n - (size_t)got; i--)
			if (s->bytes[i - 1] != '\n') {
				last = s->bytes[i - 1];
				break;
			}
		scan_rows(s);
	}
	if (part)
		zip_fclose(part);
	if (!sheet) {
		s->rows = rows;
		return got == 0 && last == '>';
	}
	return got == 0 && s->n == sizeof SHEET_END - 1 && memcmp(s->bytes, SHEET_END, s->n) == 0;
}

static enum ceir_err verify(const struct table_xlsx *x)
{
	struct scan *s = malloc(sizeof *s);
	int fd = dup(x->fd), why;
	zip_t *zip = fd >= 0 && s ? zip_fdopen(fd, 0, &why) : NULL;
	enum ceir_err err = s ? CEIR_EIO : CEIR_ENOMEM;

	if (zip) {
		zip_int64_t parts = zip_get_num_entries(zip, 0);
		bool whole = parts > 0;

		s->rows = 0;
		for (zip_int64_t i = 0; whole && i < parts; i++)
			whole = part_is_whole(zip, (zip_uint64_t)i, s);
		err = whole && s->rows == x->rows_given ? CEIR_OK : CEIR_EIO;
		zip_discard(zip); /* and fd */
	} else if (fd >= 0) {
		close(fd);
	}
	free(s);
	return err;
}

static enum ceir_err copy(const struct table_xlsx *x, int to)
{
	char *bytes = malloc(CHUNK);
	enum ceir_err err = bytes ? CEIR_OK : CEIR_ENOMEM;
	off_t at = 0;
	ssize_t n;

	while (!err && (n = pread(x->fd, bytes, CHUNK, at)) != 0) {
		if (n > 0)
			err = fd_write_all(to, bytes, (size_t)n);
		else if (errno != EINTR)
			err = ceir_err_of_errno(errno);
		at += n > 0 ? n : 0;
	}
	free(bytes);
	return err;
}

/*
 * Only where a plain archive could not hold the sheet: some versions of Excel offer to repair one of the other kind. The last row is not in the
 * file yet.
 */
static bool needs_zip64(const struct table_xlsx *x)
{
	struct stat st;

	return fstat(fileno(x->sheet->optimize_tmpfile), &st) != 0 || st.st_size > ZIP64_FROM;
}

enum ceir_err table_xlsx_finish(struct table_xlsx *x, int fd)
{
	lxw_workbook *book = x->book;
	enum ceir_err err;

	x->book = NULL; /* closing frees it, whatever the outcome */
	book->options.use_zip64 = needs_zip64(x);
	errno = 0;
	err = err_of(workbook_close(book));
	if (!err)
		err = verify(x);
	return err ? err : copy(x, fd);
}

void table_xlsx_free(struct table_xlsx *x)
{
	if (!x)
		return;
	if (x->book && x->sheet && x->sheet->optimize_tmpfile)
		fclose(x->sheet->optimize_tmpfile); /* the library closes it only when it writes the workbook */
	if (x->book)
		lxw_workbook_free(x->book);
	if (x->fd >= 0)
		close(x->fd);
	buf_free(&x->cell);
	free(x);
}

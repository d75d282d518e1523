/*
 * exchange_table_read.c - tables of any form: what a file is, what it is packed in, and its rows as struct table_row.
 *
 * Packings are opened one after the other, each into a nameless temporary file that is looked at like the first; at most two. The rows of every form
 * pass through judge(), so that a fault is the same fault wherever it stands.
 */
#include "exchange/exchange_table_read.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "exchange/exchange.h"

#define ROWS_DEFAULT 100000000u
#define UNPACKED_DEFAULT ((uint64_t)64 << 30)
#define RATIO_DEFAULT 1000
#define MEMORY_DEFAULT 1024
#define CPU_DEFAULT 600
#define LAYERS_MAX 2
#define HEAD_BYTES 4096
#define CHUNK_BYTES ((size_t)64 << 10)

enum kind { KIND_TEXT, KIND_XML, KIND_PACKED, KIND_SHEET, KIND_EMPTY, KIND_BINARY };

struct table_reader {
	struct table_limits limits;
	int temporary;               /* the unpacked file; -1: the caller's is read */
	enum table_form form;
	enum table_why why;
	enum ceir_err err;           /* the first: the reader stays there */

	struct table_csv *csv;       /* one of these three */
	struct table_xml *xml;
	struct table_child child;
	struct table_stream stream;  /* of the latter two */

	struct table_cell cells[TABLE_COLUMNS_MAX];
	struct str names[TABLE_COLUMNS_MAX];
	struct buf names_text;
	size_t columns;
	bool named;
	uint64_t rows;
};

static const struct {
	const char *code, *text;
} faults[TABLE_FAULTS] = {
	[TABLE_GOOD] = {"good", N_("the row is well formed")},
	[TABLE_FAULT_LINE] = {"line", N_("the line cannot be read: it is too long, is not text, or a quotation mark is not closed")},
	[TABLE_FAULT_COLUMNS] = {"columns", N_("the row has cells that belong to no column")},
	[TABLE_FAULT_CELL] = {"cell", N_("the cell is too long, or holds an error instead of a value")},
	[TABLE_FAULT_PRECISION] = {"precision", N_("the number has more than 15 digits, and the spreadsheet has rounded it; enter it as text")},
	[TABLE_FAULT_EXPONENT] = {"exponent", N_("a spreadsheet has shortened the number to the form 3.52106E+14; enter it as text")},
};

const char *table_fault_code(unsigned fault)
{
	return fault < TABLE_FAULTS ? faults[fault].code : NULL;
}

const char *table_fault_text(unsigned fault)
{
	return fault < TABLE_FAULTS ? faults[fault].text : NULL;
}

struct table_limits table_limits_of(const struct table_limits *limits)
{
	struct table_limits l = limits != NULL ? *limits : (struct table_limits){.scratch_fd = -1};

	l.rows = l.rows ? l.rows : ROWS_DEFAULT;
	l.unpacked_bytes = l.unpacked_bytes ? l.unpacked_bytes : UNPACKED_DEFAULT;
	l.ratio = l.ratio ? l.ratio : RATIO_DEFAULT;
	l.memory_mib = l.memory_mib ? l.memory_mib : MEMORY_DEFAULT;
	l.cpu_s = l.cpu_s ? l.cpu_s : CPU_DEFAULT;
	return l;
}

/* ---- temporary files ---- */

/* For file systems that know no nameless files (some NFS): one with a name that is taken away at once. */
static int temporary_named(int scratch_fd)
{
	char name[32];
	uint64_t random;
	int fd;

	do {
		if (getrandom(&random, sizeof(random), 0) != sizeof(random))
			return -1;
		snprintf(name, sizeof(name), ".table-%016llx", (unsigned long long)random);
		fd = openat(scratch_fd, name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	} while (fd < 0 && errno == EEXIST);
	if (fd >= 0)
		unlinkat(scratch_fd, name, 0);
	return fd;
}

enum ceir_err table_temporary(int scratch_fd, int *fd)
{
	*fd = openat(scratch_fd, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	if (*fd < 0 && (errno == EOPNOTSUPP || errno == EISDIR || errno == EINVAL || errno == ENOENT))
		*fd = temporary_named(scratch_fd);
	return *fd < 0 ? ceir_err_of_errno(errno) : CEIR_OK;
}

/* ---- what a file is ---- */

/* Bytes that no text has; a few may be there by accident, and cost their line only. */
static bool is_binary(struct str head)
{
	size_t odd = 0;

	for (size_t i = 0; i < head.n; i++) {
		unsigned char c = (unsigned char)head.p[i];

		odd += c < 0x20 && c != '\t' && c != '\n' && c != '\r' && c != '\f';
	}
	return odd > head.n / 50;
}

static enum kind kind_of(struct str head)
{
	struct str text = head;

	if (head.n == 0)
		return KIND_EMPTY;
	if (str_starts(head, STR("\x1f\x8b\x08")) || str_starts(head, STR("\x28\xb5\x2f\xfd")))
		return KIND_PACKED;
	if (str_starts(head, STR("PK\x03\x04")) || str_starts(head, STR("PK\x05\x06")) || str_starts(head, STR("\xd0\xcf\x11\xe0")))
		return KIND_SHEET;
	if (str_starts(head, STR("\xff\xfe<\0")) || str_starts(head, STR("\xfe\xff\0<")))
		return KIND_XML;
	if (str_starts(head, STR("\xff\xfe")) || str_starts(head, STR("\xfe\xff")))
		return KIND_TEXT;
	if (str_starts(head, STR("%PDF-")) || is_binary(head))
		return KIND_BINARY;
	if (str_starts(text, STR("\xef\xbb\xbf")))
		text = (struct str){text.p + 3, text.n - 3};
	text = str_trim(text);
	return str_starts(text, STR("<")) ? KIND_XML : KIND_TEXT;
}

static enum ceir_err look(int fd, enum kind *kind)
{
	char head[HEAD_BYTES];
	ssize_t n;

	do
		n = pread(fd, head, sizeof(head), 0);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return ceir_err_of_errno(errno);
	*kind = kind_of((struct str){head, (size_t)n});
	return CEIR_OK;
}

/* ---- packings ---- */

static enum ceir_err fail(struct table_reader *t, enum table_why why)
{
	t->why = why;
	return table_why_err(why);
}

struct sink {
	int fd;
	uint64_t left;               /* bytes that may still come */
	bool large;
};

static enum ceir_err sink_out(void *ctx, struct str bytes)
{
	struct sink *s = ctx;

	if (bytes.n > s->left) {
		s->large = true;
		return CEIR_ELIMIT;
	}
	s->left -= bytes.n;
	return fd_write_all(s->fd, bytes.p, bytes.n);
}

static enum ceir_err unpack_file(int from, struct unpack *u, struct sink *to)
{
	char *chunk = malloc(CHUNK_BYTES);
	enum ceir_err err = chunk == NULL ? CEIR_ENOMEM : CEIR_OK;
	off_t at = 0;
	ssize_t n = 1;

	while (!err && n > 0) {
		n = pread(from, chunk, CHUNK_BYTES, at);
		if (n < 0 && errno == EINTR) {
			n = 1;
			continue;
		}
		if (n < 0)
			err = ceir_err_of_errno(errno);
		else if (n > 0)
			err = unpack_feed(u, (struct str){chunk, (size_t)n}, sink_out, to);
		else
			err = unpack_finish(u, sink_out, to);
		at += n;
	}
	free(chunk);
	return err;
}

static enum ceir_err unpack_stream(struct table_reader *t, int from, int to)
{
	struct sink sink = {to, t->limits.unpacked_bytes, false};
	struct unpack *u = unpack_new(t->limits.ratio);
	enum ceir_err err = u == NULL ? CEIR_ENOMEM : unpack_file(from, u, &sink);

	unpack_free(u);
	if (err == CEIR_EINVAL)
		return fail(t, TABLE_WHY_DAMAGED);
	return err == CEIR_ELIMIT ? fail(t, sink.large ? TABLE_WHY_LARGE : TABLE_WHY_BOMB) : err;
}

/* The child has said that an archive of one file comes. */
static enum ceir_err unpack_archive(struct table_reader *t, int to)
{
	struct sink sink = {to, t->limits.unpacked_bytes, false};
	struct table_frame frame = {0};
	enum ceir_err err = CEIR_OK;

	while (!err && frame.type != TABLE_FRAME_END) {
		err = table_stream_next(&t->stream, &frame, &t->why);
		if (!err && frame.type == TABLE_FRAME_DATA)
			err = sink_out(&sink, frame.body);
		else if (!err && frame.type != TABLE_FRAME_END)
			err = fail(t, TABLE_WHY_SHEET);
	}
	return sink.large ? fail(t, TABLE_WHY_LARGE) : err;
}

static void sources_end(struct table_reader *t)
{
	table_csv_free(t->csv);
	table_xml_free(t->xml);
	table_child_end(&t->child);
	buf_free(&t->stream.frames);
	t->csv = NULL;
	t->xml = NULL;
	t->stream = (struct table_stream){0};
}

/* Starts the child; its first frame. */
static enum ceir_err child_begin(struct table_reader *t, int fd, unsigned *form)
{
	struct table_frame frame;
	enum ceir_err err = table_child_start(fd, &t->limits, &t->child);

	if (err)
		return err;
	t->stream = (struct table_stream){.more = table_child_more, .ctx = &t->child};
	err = table_stream_next(&t->stream, &frame, &t->why);
	if (err)
		return err;
	if (frame.type != TABLE_FRAME_FORM)
		return fail(t, TABLE_WHY_SHEET);
	*form = (unsigned char)frame.body.p[0];
	return *form == TABLE_XLS || *form == TABLE_XLSX || *form == TABLE_FORM_PACKED ? CEIR_OK : fail(t, TABLE_WHY_SHEET);
}

/* ---- opening ---- */

static enum ceir_err begin_csv(struct table_reader *t, int fd)
{
	t->form = TABLE_CSV;
	return table_csv_new(fd, &t->csv);
}

static enum ceir_err begin_xml(struct table_reader *t, int fd)
{
	t->form = TABLE_XML;
	t->stream = (struct table_stream){.more = table_xml_more};
	return table_xml_new(fd, &t->xml);
}

/* Opens one layer: either a source stands (*done) or t->temporary is what was in it. */
static enum ceir_err layer_open(struct table_reader *t, int fd, unsigned layer, bool *done)
{
	unsigned form = TABLE_FORM_PACKED;
	enum ceir_err err;
	enum kind kind;
	int to = -1;

	err = look(fd, &kind);
	*done = kind == KIND_TEXT || kind == KIND_XML;
	if (err || kind == KIND_EMPTY || kind == KIND_BINARY)
		return err ? err : fail(t, kind == KIND_EMPTY ? TABLE_WHY_EMPTY : TABLE_WHY_BINARY);
	if (*done)
		return kind == KIND_XML ? begin_xml(t, fd) : begin_csv(t, fd);
	if (kind == KIND_SHEET)
		err = child_begin(t, fd, &form);
	*done = form != TABLE_FORM_PACKED;
	if (err || *done) {
		t->form = (enum table_form)form;
		return err;
	}
	if (layer == LAYERS_MAX)
		return fail(t, TABLE_WHY_LAYERS);
	err = table_temporary(t->limits.scratch_fd, &to);
	if (!err)
		err = kind == KIND_SHEET ? unpack_archive(t, to) : unpack_stream(t, fd, to);
	sources_end(t);
	if (t->temporary >= 0)
		close(t->temporary);
	t->temporary = to;
	return err;
}

static enum ceir_err names_read(struct table_reader *t);

static enum ceir_err reader_open(struct table_reader *t, int fd)
{
	enum ceir_err err = CEIR_OK;
	bool done = false;
	struct stat st;

	if (fstat(fd, &st) != 0)
		return ceir_err_of_errno(errno);
	if (!S_ISREG(st.st_mode))
		return fail(t, TABLE_WHY_BINARY);
	for (unsigned layer = 0; !err && !done; layer++)
		err = layer_open(t, t->temporary >= 0 ? t->temporary : fd, layer, &done);
	if (!err && t->xml != NULL)
		t->stream.ctx = t->xml;
	if (!err && t->child.pid != 0)
		t->stream.ctx = &t->child;
	return err ? err : names_read(t);
}

enum ceir_err table_open(int fd, const struct table_limits *limits, struct table_reader **out)
{
	struct table_reader *t = calloc(1, sizeof(*t));
	enum ceir_err err;

	*out = NULL;
	if (t == NULL)
		return CEIR_ENOMEM;
	t->limits = table_limits_of(limits);
	t->temporary = -1;
	err = t->err = reader_open(t, fd);
	if (err && table_why_err(t->why) != err) {
		table_close(t);
		return err == CEIR_EINVAL || err == CEIR_ELIMIT ? CEIR_EIO : err;
	}
	*out = t;
	return err;
}

void table_close(struct table_reader *t)
{
	if (t == NULL)
		return;
	sources_end(t);
	if (t->temporary >= 0)
		close(t->temporary);
	buf_free(&t->names_text);
	free(t);
}

enum table_form table_form_of(const struct table_reader *t)
{
	return t->form;
}

bool table_is_cp1251(const struct table_reader *t)
{
	return t->csv != NULL && table_csv_is_cp1251(t->csv);
}

size_t table_columns(const struct table_reader *t, const struct str **names)
{
	*names = t->names;
	return t->columns;
}

const char *table_why(const struct table_reader *t)
{
	return table_why_text(t->why);
}

/* ---- rows ---- */

enum ceir_err table_stream_next(struct table_stream *s, struct table_frame *frame, enum table_why *why)
{
	enum ceir_err err;

	for (;;) {
		struct str rest = s->frames.n > 0 ? (struct str){s->frames.p + s->at, s->frames.n - s->at} : (struct str){NULL, 0};

		err = rest.n == 0 ? CEIR_ENOENT : table_frame_take(&rest, frame);
		s->at = s->frames.n - rest.n;
		if (err == CEIR_EINVAL)
			*why = TABLE_WHY_SHEET;
		if (!err && frame->type == TABLE_FRAME_FAIL) {
			*why = (enum table_why)(unsigned char)frame->body.p[0];
			return table_why_err(*why);
		}
		if (err != CEIR_ENOENT)
			return err;
		if (rest.n > 0 && s->at > 0)
			memmove(s->frames.p, rest.p, rest.n);
		s->frames.n = rest.n;
		s->at = 0;
		err = s->more(s->ctx, &s->frames, why);
		if (err == CEIR_ENOENT) {
			*why = *why == TABLE_WHY_NONE ? TABLE_WHY_SHEET : *why; /* without an end it is cut off */
			return table_why_err(*why);
		}
		if (err)
			return err;
	}
}

static enum ceir_err stream_row(struct table_reader *t, struct table_row *row)
{
	struct table_frame frame;
	enum ceir_err err = table_stream_next(&t->stream, &frame, &t->why);

	if (!err && frame.type == TABLE_FRAME_END)
		return CEIR_ENOENT;
	if (!err && (frame.type != TABLE_FRAME_ROW || table_frame_row(frame.body, t->cells, row) != CEIR_OK))
		return fail(t, TABLE_WHY_SHEET);
	return err;
}

static enum ceir_err row_read(struct table_reader *t, struct table_row *row)
{
	if (t->csv != NULL)
		return table_csv_next(t->csv, t->named, t->cells, row, &t->why);
	return stream_row(t, row);
}

/* The first row: copied, because it must outlive the next ones. */
static enum ceir_err names_read(struct table_reader *t)
{
	struct table_row row;
	enum ceir_err err = row_read(t, &row);
	size_t at = 0;

	if (err)
		return err == CEIR_ENOENT ? fail(t, TABLE_WHY_EMPTY) : err;
	if (row.n == 0)
		return fail(t, TABLE_WHY_HEADER);
	for (size_t i = 0; i < row.n; i++)
		buf_str(&t->names_text, t->cells[i].text);
	if (t->names_text.failed)
		return CEIR_ENOMEM;
	for (size_t i = 0; i < row.n; i++) {
		t->names[i] = (struct str){t->names_text.p + at, t->cells[i].text.n};
		at += t->cells[i].text.n;
	}
	t->columns = row.n;
	t->named = true;
	return CEIR_OK;
}

static size_t digits(struct str s, size_t i)
{
	size_t from = i;

	while (i < s.n && s.p[i] >= '0' && s.p[i] <= '9')
		i++;
	return i - from;
}

/* 3.52106E+14, with a comma in some countries. The sign and two digits are how spreadsheets write it, and no model or brand. */
static bool is_exponent(struct str s)
{
	size_t i = digits(s, 0), n;

	if (i != 1 || s.n < 5)
		return false;
	if (s.p[i] == '.' || s.p[i] == ',') {
		n = digits(s, i + 1);
		if (n == 0)
			return false;
		i += 1 + n;
	}
	if (i + 4 > s.n || (s.p[i] != 'E' && s.p[i] != 'e') || s.p[i + 1] != '+')
		return false;
	n = digits(s, i + 2);
	return n >= 2 && i + 2 + n == s.n;
}

/* What holds for rows of every form. */
static void judge(struct table_reader *t, struct table_row *row)
{
	if (row->fault == TABLE_GOOD && row->n > t->columns)
		row->fault = TABLE_FAULT_COLUMNS;
	for (size_t i = 0; row->fault == TABLE_GOOD && i < row->n; i++) {
		if (t->cells[i].type == TABLE_TEXT && is_exponent(t->cells[i].text)) {
			row->fault = TABLE_FAULT_EXPONENT;
			row->column = i + 1;
		}
	}
	for (size_t i = row->n; i < t->columns; i++)
		t->cells[i] = (struct table_cell){{NULL, 0}, TABLE_EMPTY};
	if (row->column > t->columns)
		row->column = 0;
	row->n = t->columns;
	row->cells = t->cells;
}

enum ceir_err table_next(struct table_reader *t, struct table_row *row)
{
	*row = (struct table_row){0};
	if (!t->err)
		t->err = row_read(t, row);
	if (!t->err && t->rows == t->limits.rows)
		t->err = fail(t, TABLE_WHY_ROWS);
	if (t->err)
		return t->err;
	t->rows++;
	judge(t, row);
	return CEIR_OK;
}

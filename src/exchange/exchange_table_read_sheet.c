/*
 * exchange_table_read_sheet.c - a spreadsheet or an archive to frames: which it is, archives of one file, and the grid of cells that both kinds of
 * spreadsheet fill.
 */
#include "exchange/exchange_table_sheet.h"

#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define CHUNK_BYTES ((size_t)48 << 10)
#define FREE_BYTES ((uint64_t)1 << 20) /* output that is not measured against what came in */
#define HEAD_BYTES 8

static const unsigned char ole_magic[HEAD_BYTES] = {0xd0, 0xcf, 0x11, 0xe0, 0xa1, 0xb1, 0x1a, 0xe1};

/* ---- grid ---- */

void table_grid_row(struct table_grid *g, uint64_t number)
{
	g->row = number;
	g->next = 0;
	table_encode_row(g->e, number);
}

void table_grid_cell(struct table_grid *g, size_t column, enum table_cell_type type, struct str text)
{
	text = str_trim(text);
	if (column < g->next) {
		g->why = TABLE_WHY_SHEET; /* the same cell twice, or going back */
		return;
	}
	g->next = column + 1;
	if (text.n == 0)
		return;
	if (column < TABLE_COLUMNS_MAX)
		table_encode_cell(g->e, column, type, text);
	else if (g->named)
		table_encode_fault(g->e, TABLE_FAULT_COLUMNS, 0);
	else
		g->why = TABLE_WHY_WIDE;
}

/* column counted from 0; those behind the last one allowed are told as the row's. */
static size_t shown(size_t column)
{
	return column < TABLE_COLUMNS_MAX ? column + 1 : 0;
}

void table_grid_number(struct table_grid *g, size_t column, double v)
{
	char text[TABLE_NUMBER_BYTES];
	enum table_fault fault = table_number_text(v, text);

	table_grid_cell(g, column, TABLE_NUMBER, str_of(text));
	if (fault != TABLE_GOOD)
		table_encode_fault(g->e, fault, shown(column));
}

void table_grid_row_end(struct table_grid *g)
{
	g->named = g->named || g->e->cells > 0;
	table_encode_row_end(g->e);
}

/* ---- archives ---- */

zip_int64_t table_zip_read(struct table_zip *z, zip_file_t *f, void *to, size_t n)
{
	zip_int64_t got;

	if (z->why != TABLE_WHY_NONE)
		return -1;
	got = zip_fread(f, to, n);
	if (got < 0) {
		z->why = zip_error_code_zip(zip_file_get_error(f)) == ZIP_ER_MEMORY ? TABLE_WHY_MEMORY : TABLE_WHY_ZIP;
		return -1;
	}
	z->unpacked += (uint64_t)got;
	if (z->unpacked > z->limits->unpacked_bytes)
		z->why = TABLE_WHY_LARGE;
	else if (z->unpacked > FREE_BYTES && (z->unpacked - FREE_BYTES) / z->limits->ratio > z->packed)
		z->why = TABLE_WHY_BOMB;
	return z->why == TABLE_WHY_NONE ? got : -1;
}

zip_file_t *table_zip_open(struct table_zip *z, zip_uint64_t index)
{
	zip_file_t *f;
	zip_stat_t st;

	zip_stat_init(&st);
	if (zip_stat_index(z->zip, index, 0, &st) == 0 && (st.valid & ZIP_STAT_ENCRYPTION_METHOD) && st.encryption_method != ZIP_EM_NONE) {
		z->why = TABLE_WHY_PASSWORD;
		return NULL;
	}
	f = zip_fopen_index(z->zip, index, 0);
	if (f == NULL)
		z->why = TABLE_WHY_ZIP;
	return f;
}

static bool ends_with(struct str s, struct str tail)
{
	return s.n >= tail.n && memcmp(s.p + s.n - tail.n, tail.p, tail.n) == 0;
}

/* Folders, and what macOS and Windows put beside a file. */
static bool is_junk(struct str name)
{
	return ends_with(name, STR("/")) || str_starts(name, STR("__MACOSX/")) || ends_with(name, STR(".DS_Store")) || ends_with(name, STR("Thumbs.db"));
}

/* The one file of an archive; TABLE_WHY_NONE and *index, or why there is none. */
static enum table_why single_file(zip_t *zip, zip_uint64_t *index)
{
	zip_int64_t n = zip_get_num_entries(zip, 0);
	size_t files = 0;

	if (zip_name_locate(zip, "mimetype", 0) == 0 && zip_name_locate(zip, "content.xml", 0) >= 0)
		return TABLE_WHY_ODS;
	for (zip_int64_t i = 0; i < n && files < 2; i++) {
		const char *name = zip_get_name(zip, (zip_uint64_t)i, ZIP_FL_ENC_RAW);

		if (name == NULL)
			return TABLE_WHY_ZIP;
		if (is_junk(str_of(name)))
			continue;
		*index = (zip_uint64_t)i;
		files++;
	}
	return files == 0 ? TABLE_WHY_ZIP_EMPTY : files > 1 ? TABLE_WHY_ZIP_MANY : TABLE_WHY_NONE;
}

static enum table_why unpack_single(struct table_zip *z, struct table_encoder *e)
{
	char chunk[CHUNK_BYTES];
	zip_uint64_t index = 0;
	enum table_why why = single_file(z->zip, &index);
	zip_file_t *f = why == TABLE_WHY_NONE ? table_zip_open(z, index) : NULL;
	zip_int64_t n;

	if (why != TABLE_WHY_NONE)
		return why;
	if (f == NULL)
		return z->why;
	table_encode_form(e, TABLE_FORM_PACKED);
	while (!e->err && (n = table_zip_read(z, f, chunk, sizeof(chunk))) > 0)
		table_encode_data(e, (struct str){chunk, (size_t)n});
	zip_fclose(f);
	return z->why;
}

static enum table_why run_zip(int fd, const struct table_sheet_limits *limits, struct table_encoder *e)
{
	struct table_zip z = {.limits = limits};
	enum table_why why;
	struct stat st;
	int own = dup(fd), code = 0;

	if (own < 0 || fstat(fd, &st) != 0) {
		if (own >= 0)
			close(own);
		return TABLE_WHY_ZIP;
	}
	z.packed = (uint64_t)st.st_size;
	z.zip = zip_fdopen(own, 0, &code);
	if (z.zip == NULL) {
		close(own);
		return code == ZIP_ER_MEMORY ? TABLE_WHY_MEMORY : TABLE_WHY_ZIP;
	}
	why = zip_name_locate(z.zip, "[Content_Types].xml", 0) >= 0 ? table_sheet_xlsx(&z, e) : unpack_single(&z, e);
	zip_discard(z.zip);
	return why;
}

enum ceir_err table_sheet_run(int fd, const struct table_sheet_limits *limits, table_frames_out out, void *ctx)
{
	struct table_encoder e = {.frames = BUF_INIT(TABLE_FRAME_MAX * 2), .out = out, .ctx = ctx};
	char head[HEAD_BYTES];
	enum ceir_err err;
	enum table_why why;

	if (pread(fd, head, sizeof(head), 0) == HEAD_BYTES && memcmp(head, ole_magic, HEAD_BYTES) == 0)
		why = table_sheet_xls(fd, &e);
	else
		why = run_zip(fd, limits, &e);
	err = table_encode_end(&e, why);
	buf_free(&e.frames);
	return err;
}

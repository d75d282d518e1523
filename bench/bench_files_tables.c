/*
 * bench_files_tables.c - tables by themselves: written with table_writer_, read with table_next(), in every form and packing; and beside each
 * workbook what its bytes cost at least: unpacked by libzip, then parsed by libxml2 into nothing.
 *
 * Each figure is taken in a process of its own, so that its memory is only its own. Whoever reads a spreadsheet or archive has a child (ceir-table);
 * "in process" is the same parser without it, which no program does: the difference is what being careful costs.
 */
#include "bench_files.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <zlib.h>
#include <zstd.h>

#include "exchange/exchange.h"
#include "exchange/exchange_table_sheet.h"

#define PIECE_BYTES ((size_t)64 << 10)
#define FILE_MAX_BYTES ((size_t)4 << 30)

struct outcome {
	uint64_t operations;
	const char *unit;
	uint64_t bytes;        /* that went in, or came out */
	double seconds;
};

struct job {
	const char *dir, *helper, *file; /* file: in dir */
	const char *name;                /* of the line */
	const char *how;
	uint64_t rows;
	enum table_form form;
	enum ceir_err (*run)(const struct job *j, struct outcome *out);
};

/* ---- what the rows should be ------------------------------------------------------------------------------------------------ */

struct sum {
	uint64_t rows, imeis;
};

/* The last eight digits: cheap, and enough to notice a row that is not what it was. */
static void sum_add(struct sum *s, struct str imei)
{
	uint64_t part = 0;

	if (imei.n == IMEI_DIGITS)
		memcpy(&part, imei.p + IMEI_DIGITS - sizeof part, sizeof part);
	s->imeis += part;
	s->rows++;
}

static enum ceir_err sum_check(const struct job *j, const struct sum *got)
{
	struct sum expected = {0};
	char imei[IMEI_DIGITS + 1];

	for (uint64_t i = 0; i < j->rows; i++) {
		imei_print(bench_device(i), imei);
		sum_add(&expected, (struct str){imei, IMEI_DIGITS});
	}
	if (got->rows == expected.rows && got->imeis == expected.imeis)
		return CEIR_OK;
	fprintf(stderr, "bench_files: %s: %llu rows, not the %llu that were written\n", j->file, (unsigned long long)got->rows,
		(unsigned long long)expected.rows);
	return CEIR_EINVAL;
}

/* ---- files -------------------------------------------------------------------------------------------------------------------- */

static void path_of(const struct job *j, const char *name, char out[PATH_MAX])
{
	snprintf(out, PATH_MAX, "%s/%s", j->dir, name);
}

static int file_open(const struct job *j, const char *name, int flags)
{
	char path[PATH_MAX];
	int fd;

	path_of(j, name, path);
	fd = open(path, flags | O_CLOEXEC, 0600);
	if (fd < 0)
		fprintf(stderr, "bench_files: %s: %s\n", path, strerror(errno));
	return fd;
}

static uint64_t size_of(int fd)
{
	struct stat st;

	return fstat(fd, &st) == 0 ? (uint64_t)st.st_size : 0;
}

static double seconds_since(int64_t begun_us)
{
	return (double)(clock_mono_us() - begun_us) / 1e6;
}

/* ---- writing: rows of an application's answer, until they are on disk ------------------------------------------------------------ */

static enum ceir_err write_rows(struct table_writer *w, uint64_t rows)
{
	char imei[IMEI_DIGITS + 1];
	struct str cells[] = {{imei, IMEI_DIGITS}, str_of(BENCH_PERMIT), STR("1"), STR("1000"), STR("Command completed successfully"),
		STR("UKR-20261125092740517204")};
	enum ceir_err err = CEIR_OK;

	for (uint64_t i = 0; i < rows && !err; i++) {
		imei_print(bench_device(i), imei);
		err = table_writer_row(w, cells);
	}
	return err;
}

static enum ceir_err run_write(const struct job *j, struct outcome *out)
{
	static const char *const names[] = {"imei", "permit", "position", "code", "message", "svTRID"};
	int fd = file_open(j, j->file, O_WRONLY | O_CREAT | O_TRUNC), folder = open(j->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct table_writer *w;
	int64_t begun_us = clock_mono_us();
	enum ceir_err err = fd < 0 ? CEIR_EIO : table_writer_new(fd, j->form, "application", names, CEIR_COUNT(names), false, folder, &w);

	if (!err && (err = write_rows(w, j->rows)))
		table_writer_drop(w);
	else if (!err)
		err = table_writer_finish(w);
	if (!err && fsync(fd) != 0)
		err = CEIR_EIO;
	*out = (struct outcome){j->rows, "rows", fd < 0 ? 0 : size_of(fd), seconds_since(begun_us)};
	if (fd >= 0)
		close(fd);
	close(folder);
	return err;
}

/* ---- reading -------------------------------------------------------------------------------------------------------------------- */

static enum ceir_err read_rows(const struct job *j, struct table_reader *t)
{
	struct sum sum = {0};
	struct table_row row;
	enum ceir_err err;

	while ((err = table_next(t, &row)) == CEIR_OK)
		if (!row.fault && row.n > 0)
			sum_add(&sum, row.cells[0].text);
	if (err != CEIR_ENOENT) {
		fprintf(stderr, "bench_files: %s: %s\n", j->file, table_why(t));
		return err;
	}
	return sum_check(j, &sum);
}

static enum ceir_err run_read(const struct job *j, struct outcome *out)
{
	int fd = file_open(j, j->file, O_RDONLY), folder = open(j->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	const struct table_limits limits = {.helper = j->helper, .scratch_fd = folder};
	struct table_reader *t = NULL;
	int64_t begun_us = clock_mono_us();
	enum ceir_err err = fd < 0 ? CEIR_EIO : table_open(fd, &limits, &t);

	if (!err)
		err = read_rows(j, t);
	table_close(t);
	*out = (struct outcome){j->rows, "rows", fd < 0 ? 0 : size_of(fd), seconds_since(begun_us)};
	if (fd >= 0)
		close(fd);
	close(folder);
	return err;
}

/* ---- the parser of spreadsheets without its child --------------------------------------------------------------------------------- */

struct decode {
	struct sum sum;
	bool named;
};

static enum ceir_err take_frames(void *ctx, struct str frames)
{
	struct decode *d = ctx;
	struct table_cell cells[TABLE_COLUMNS_MAX];
	struct table_frame frame;
	struct table_row row;
	enum ceir_err err;

	while ((err = table_frame_take(&frames, &frame)) == CEIR_OK) {
		if (frame.type == TABLE_FRAME_FAIL)
			return CEIR_EINVAL;
		if (frame.type != TABLE_FRAME_ROW)
			continue;
		if ((err = table_frame_row(frame.body, cells, &row)))
			return err;
		if (d->named)
			sum_add(&d->sum, cells[0].text);
		d->named = true;
	}
	return err == CEIR_ENOENT && frames.n == 0 ? CEIR_OK : CEIR_EINVAL;
}

static const struct table_sheet_limits no_limits = {.unpacked_bytes = UINT64_MAX, .ratio = UINT_MAX, .text_bytes = (size_t)2 << 30};

static enum ceir_err run_in_process(const struct job *j, struct outcome *out)
{
	int fd = file_open(j, j->file, O_RDONLY);
	struct decode d = {.named = false};
	int64_t begun_us = clock_mono_us();
	enum ceir_err err = fd < 0 ? CEIR_EIO : table_sheet_run(fd, &no_limits, take_frames, &d);

	*out = (struct outcome){j->rows, "rows", fd < 0 ? 0 : size_of(fd), seconds_since(begun_us)};
	if (!err)
		err = sum_check(j, &d.sum);
	if (fd >= 0)
		close(fd);
	return err;
}

/* ---- limits of a workbook: its parts unpacked, and parsed ----------------------------------------------------------------------------- */

static int part_read(void *part, char *to, int n)
{
	return (int)zip_fread(part, to, (zip_uint64_t)n);
}

static int part_close(void *part)
{
	(void)part;
	return 0;
}

static void on_start(void *ctx, const xmlChar *name, const xmlChar *prefix, const xmlChar *uri, int namespaces_n, const xmlChar **namespaces, int n,
	int defaulted, const xmlChar **attributes)
{
	(void)ctx, (void)name, (void)prefix, (void)uri, (void)namespaces_n, (void)namespaces, (void)n, (void)defaulted, (void)attributes;
}

static bool part_parse(zip_file_t *part)
{
	xmlSAXHandler sax = {.initialized = XML_SAX2_MAGIC, .startElementNs = on_start};
	xmlParserCtxtPtr xml = xmlCreateIOParserCtxt(&sax, NULL, part_read, part_close, part, XML_CHAR_ENCODING_NONE);
	bool good = xml && xmlParseDocument(xml) == 0;

	if (xml)
		xmlFreeParserCtxt(xml);
	return good;
}

static bool part_unpack(zip_file_t *part, uint64_t *bytes)
{
	char piece[PIECE_BYTES];
	zip_int64_t n;

	while ((n = zip_fread(part, piece, sizeof piece)) > 0)
		*bytes += (uint64_t)n;
	return n == 0;
}

static enum ceir_err run_parts(const struct job *j, struct outcome *out, bool parse)
{
	char path[PATH_MAX];
	int why;
	bool good = true;
	uint64_t bytes = 0;

	path_of(j, j->file, path);
	int64_t begun_us = clock_mono_us();
	zip_t *zip = zip_open(path, ZIP_RDONLY, &why);
	zip_int64_t n = zip ? zip_get_num_entries(zip, 0) : 0;
	for (zip_int64_t i = 0; i < n && good; i++) {
		zip_file_t *part = zip_fopen_index(zip, (zip_uint64_t)i, 0);

		good = part && (parse ? part_parse(part) : part_unpack(part, &bytes));
		if (part)
			zip_fclose(part);
	}
	if (zip)
		zip_discard(zip);
	*out = (struct outcome){j->rows, "rows", bytes, seconds_since(begun_us)};
	return good && n > 0 ? CEIR_OK : CEIR_EINVAL;
}

static enum ceir_err run_unzip(const struct job *j, struct outcome *out)
{
	return run_parts(j, out, false);
}

static enum ceir_err run_unzip_parse(const struct job *j, struct outcome *out)
{
	return run_parts(j, out, true);
}

/* ---- packings ------------------------------------------------------------------------------------------------------------------------- */

static enum ceir_err count_bytes(void *ctx, struct str bytes)
{
	uint64_t *n = ctx;

	*n += bytes.n;
	return CEIR_OK;
}

/* unpack_feed() alone: bytes that come out. */
static enum ceir_err run_unpack(const struct job *j, struct outcome *out)
{
	char piece[PIECE_BYTES];
	int fd = file_open(j, j->file, O_RDONLY);
	struct unpack *u = unpack_new(0);
	uint64_t bytes = 0;
	int64_t begun_us = clock_mono_us();
	enum ceir_err err = fd < 0 ? CEIR_EIO : u ? CEIR_OK : CEIR_ENOMEM;
	ssize_t n = 0;

	while (!err && (n = read(fd, piece, sizeof piece)) > 0)
		err = unpack_feed(u, (struct str){piece, (size_t)n}, count_bytes, &bytes);
	if (!err)
		err = n < 0 ? CEIR_EIO : unpack_finish(u, count_bytes, &bytes);
	*out = (struct outcome){bytes, "bytes", bytes, seconds_since(begun_us)};
	unpack_free(u);
	if (fd >= 0)
		close(fd);
	return err;
}

static enum ceir_err pack_gzip(const char *path, struct str bytes)
{
	gzFile f = gzopen(path, "wb6");
	bool good = f != NULL;

	for (size_t at = 0, n; good && at < bytes.n; at += n) {
		n = bytes.n - at < PIECE_BYTES ? bytes.n - at : PIECE_BYTES;
		good = gzwrite(f, bytes.p + at, (unsigned)n) == (int)n;
	}
	return f && gzclose(f) == Z_OK && good ? CEIR_OK : CEIR_EIO;
}

static enum ceir_err pack_zstd(const char *path, struct str bytes)
{
	size_t room = ZSTD_compressBound(bytes.n);
	char *packed = malloc(room);
	size_t n = packed ? ZSTD_compress(packed, room, bytes.p, bytes.n, 3) : 0;
	enum ceir_err err = !packed || ZSTD_isError(n) ? CEIR_ENOMEM : file_write(path, (struct str){packed, n}, 0600);

	free(packed);
	return err;
}

static enum ceir_err pack_zip(const char *path, struct str bytes)
{
	int why;
	zip_t *zip = zip_open(path, ZIP_CREATE | ZIP_TRUNCATE, &why);
	zip_source_t *source = zip ? zip_source_buffer(zip, bytes.p, bytes.n, 0) : NULL;

	if (source && zip_file_add(zip, "application.csv", source, 0) >= 0 && zip_close(zip) == 0)
		return CEIR_OK;
	zip_discard(zip);
	return CEIR_EIO;
}

static enum ceir_err pack_all(const struct job *j, const char *csv)
{
	char from[PATH_MAX], gzip[PATH_MAX], zstd[PATH_MAX], zip[PATH_MAX];
	struct buf bytes = BUF_INIT(0);
	enum ceir_err err;

	path_of(j, csv, from);
	path_of(j, "read.csv.gz", gzip);
	path_of(j, "read.csv.zst", zstd);
	path_of(j, "read.csv.zip", zip);
	if ((err = file_read(from, FILE_MAX_BYTES, &bytes)) == CEIR_OK && (err = pack_gzip(gzip, buf_view(&bytes))) == CEIR_OK &&
		(err = pack_zstd(zstd, buf_view(&bytes))) == CEIR_OK)
		err = pack_zip(zip, buf_view(&bytes));
	buf_free(&bytes);
	return err;
}

/* ---- one figure, in a process of its own ---------------------------------------------------------------------------------------------- */

static void print(const struct job *j, const struct outcome *o)
{
	struct rusage self, child;
	const double span = o->seconds > 0 ? o->seconds : 1e-6;

	getrusage(RUSAGE_SELF, &self);
	getrusage(RUSAGE_CHILDREN, &child); /* ceir-table, which has ended */
	printf("{\"name\": \"%s\", \"version\": \"" CEIR_VERSION "\", \"params\": {\"file\": \"%s\", \"how\": \"%s\", \"rows\": %llu}, \"operations\": %llu, "
	       "\"unit\": \"%s\", \"seconds\": %.3f, \"rate\": %.1f, \"bytes\": %llu, \"mb_s\": %.1f",
		j->name, j->file, j->how, (unsigned long long)j->rows, (unsigned long long)o->operations, o->unit, o->seconds,
		(double)o->operations / span, (unsigned long long)o->bytes, (double)o->bytes / span / 1e6);
	printf(", \"cpu_s\": %.2f, \"rss_peak_bytes\": %llu, \"child_cpu_s\": %.2f, \"child_rss_peak_bytes\": %llu}\n",
		(double)(self.ru_utime.tv_sec + self.ru_stime.tv_sec) + (double)(self.ru_utime.tv_usec + self.ru_stime.tv_usec) / 1e6,
		(unsigned long long)self.ru_maxrss * 1024,
		(double)(child.ru_utime.tv_sec + child.ru_stime.tv_sec) + (double)(child.ru_utime.tv_usec + child.ru_stime.tv_usec) / 1e6,
		(unsigned long long)child.ru_maxrss * 1024);
	fflush(stdout);
}

static int job_main(const struct job *j)
{
	struct outcome outcome;
	enum ceir_err err = j->run(j, &outcome);

	if (err) {
		fprintf(stderr, "bench_files: %s %s, %s: %s\n", j->name, j->file, j->how, ceir_err_text(err));
		return 1;
	}
	if (strcmp(j->name, "make") != 0)
		print(j, &outcome);
	return 0;
}

static enum ceir_err job_do(const struct job *j)
{
	int status;
	pid_t pid = fork();

	if (pid == 0)
		_exit(job_main(j));
	return pid > 0 && waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == 0 ? CEIR_OK : CEIR_EINVAL;
}

/* Files to be read; their memory is not that of a figure. */
static enum ceir_err run_make(const struct job *j, struct outcome *out)
{
	static const struct {
		const char *file;
		enum bf_cells cells;
	} files[] = {{"read.csv", BF_SHARED}, {"read.xml", BF_SHARED}, {"shared.xlsx", BF_SHARED}, {"inline.xlsx", BF_INLINE}, {"numbers.xlsx", BF_NUMBERS}};
	char path[PATH_MAX];
	enum ceir_err err = CEIR_OK;

	*out = (struct outcome){0};
	for (size_t i = 0; i < CEIR_COUNT(files) && !err; i++) {
		path_of(j, files[i].file, path);
		err = bf_make(path, files[i].cells, 0, j->rows);
	}
	path_of(j, "read.xls", path);
	if (!err)
		err = bf_make_xls(path, 0, j->rows < BF_XLS_ROWS ? j->rows : BF_XLS_ROWS);
	return err ? err : pack_all(j, "read.csv");
}

enum ceir_err bf_tables(const char *dir, const char *helper, uint64_t rows)
{
	const uint64_t few = rows < BF_XLS_ROWS ? rows : BF_XLS_ROWS;
	const struct job jobs[] = {
		{.name = "table-write", .file = "write.csv", .how = "fsync", .form = TABLE_CSV, .run = run_write},
		{.name = "table-write", .file = "write.xml", .how = "fsync", .form = TABLE_XML, .run = run_write},
		{.name = "table-write", .file = "write.xlsx", .how = "fsync", .form = TABLE_XLSX, .run = run_write},
		{.name = "make", .file = "read.csv", .how = "", .run = run_make},
		{.name = "table-read", .file = "read.csv", .how = "in process", .run = run_read},
		{.name = "table-read", .file = "read.xml", .how = "in process", .run = run_read},
		{.name = "table-read", .file = "shared.xlsx", .how = "ceir-table", .run = run_read},
		{.name = "table-read", .file = "inline.xlsx", .how = "ceir-table", .run = run_read},
		{.name = "table-read", .file = "numbers.xlsx", .how = "ceir-table", .run = run_read},
		{.name = "table-read", .file = "write.xlsx", .how = "ceir-table", .run = run_read},
		{.name = "table-read", .file = "read.xls", .how = "ceir-table", .run = run_read},
		{.name = "table-read", .file = "read.csv.gz", .how = "in process", .run = run_read},
		{.name = "table-read", .file = "read.csv.zst", .how = "in process", .run = run_read},
		{.name = "table-read", .file = "read.csv.zip", .how = "ceir-table", .run = run_read},
		{.name = "table-read", .file = "shared.xlsx", .how = "in process", .run = run_in_process},
		{.name = "table-read", .file = "inline.xlsx", .how = "in process", .run = run_in_process},
		{.name = "table-read", .file = "numbers.xlsx", .how = "in process", .run = run_in_process},
		{.name = "table-read", .file = "read.xls", .how = "in process", .run = run_in_process},
		{.name = "table-limit", .file = "shared.xlsx", .how = "unzip", .run = run_unzip},
		{.name = "table-limit", .file = "shared.xlsx", .how = "unzip, libxml2", .run = run_unzip_parse},
		{.name = "table-limit", .file = "inline.xlsx", .how = "unzip", .run = run_unzip},
		{.name = "table-limit", .file = "inline.xlsx", .how = "unzip, libxml2", .run = run_unzip_parse},
		{.name = "table-unpack", .file = "read.csv.gz", .how = "in process", .run = run_unpack},
		{.name = "table-unpack", .file = "read.csv.zst", .how = "in process", .run = run_unpack},
	};
	enum ceir_err err = CEIR_OK;

	for (size_t i = 0; i < CEIR_COUNT(jobs) && !err; i++) {
		struct job j = jobs[i];

		j.dir = dir;
		j.helper = helper;
		j.rows = strcmp(j.file, "read.xls") == 0 ? few : rows;
		err = job_do(&j);
	}
	return err;
}

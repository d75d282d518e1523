/*
 * ctl_export.c - `export OBJECT`: all that a query finds, as a table: CSV, XLSX or XML records, in constant memory.
 *
 * Pages of the query come one after another, each asked for with the cursor of the one before, and go into the table as they come. A file has its
 * name only when it is whole.
 *
 * `export tac --layout gsma` is the table of TACs as the GSMA gives it out and gsma_tac files are read (docs/files.md): "|" between the cells.
 *
 * Columns are fields of the object: all that are no group and no secret, in the order of the table of objects, or those of --columns, where
 * "group.field" is a field of a group. What repeats is joined by spaces.
 */
#include "ctl/ctl_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ctl/ctl_answer.h"
#include "ctl/ctl_request.h"
#include "exchange/exchange.h"
#include "exchange/exchange_table.h"

#define PAGE_ROWS "1000" /* the server gives no more (docs/epp.md, Query) */
#define COLUMN_NAME_MAX 80

struct column {
	const struct reg_field *field;
	const struct reg_field *inner; /* of a group; NULL: the field itself */
	char name[COLUMN_NAME_MAX];
};

struct export {
	struct ctl *c;
	const struct reg_object *o;
	struct column columns[TABLE_COLUMNS_MAX];
	const char *names[TABLE_COLUMNS_MAX];
	size_t n;
	enum table_form form;
	bool gsma;                /* --layout gsma: the lines are ours, not the table's */
	struct buf lines;
	const char *file;         /* NULL: standard output */
	bool overwrite;
	char folder[PATH_MAX];    /* of the file */
	char part[PATH_MAX];      /* its name while it is not whole */
	int fd, folder_fd;        /* -1: none */
	struct table_writer *table;
	struct ctl_option *options; /* of the query */
	size_t n_options;
	struct buf cells;         /* of the row */
	uint64_t rows;
	struct ctl_progress progress;
};

/* ---- columns -------------------------------------------------------------------------------------------------------------- */

static bool column_add(struct export *x, const struct reg_field *f, const struct reg_field *inner)
{
	struct column *column = &x->columns[x->n];

	for (size_t i = 0; i < x->n; i++)
		if (x->columns[i].field == f && x->columns[i].inner == inner) {
			ctl_complain("--columns names %s twice", x->columns[i].name);
			return false;
		}
	if (x->n == TABLE_COLUMNS_MAX) {
		ctl_complain("a table has at most %d columns", TABLE_COLUMNS_MAX);
		return false;
	}
	*column = (struct column){.field = f, .inner = inner};
	snprintf(column->name, sizeof(column->name), "%s%s%s", f->name, inner ? "." : "", inner ? inner->name : "");
	x->names[x->n++] = column->name;
	return true;
}

static void column_unknown(const struct export *x, struct str name, const struct reg_field *group)
{
	ctl_complain("%s has no column \"%.*s\"; `ceirctl export %s --help` names them", x->o->name, (int)name.n, name.p, x->o->name);
	if (group)
		ctl_complain("%s is a group: name a field of it, as %s.%s", group->name, group->name, group->fields->name);
}

/* "name", or "group.name". */
static bool column_find(struct export *x, struct str name)
{
	struct str inner_name = name, outer = {NULL, 0};
	const struct reg_field *f, *inner = NULL;

	(void)str_cut(&inner_name, '.', &outer);
	f = reg_field_find(x->o->fields, outer);
	if (f && outer.n < name.n)
		inner = f->type == REG_GROUP ? reg_field_find(f->fields, inner_name) : NULL;
	if (!f || f->type == REG_SECRET || (f->type == REG_GROUP || outer.n < name.n) != (inner != NULL)) {
		column_unknown(x, name, f && f->type == REG_GROUP ? f : NULL);
		return false;
	}
	return column_add(x, f, inner);
}

static bool columns_choose(struct export *x, const char *wanted)
{
	struct str rest = str_of(wanted), name;
	bool good = true;

	for (const struct reg_field *f = x->o->fields; !wanted && good && f->name; f++)
		if (f->type != REG_GROUP && f->type != REG_SECRET)
			good = column_add(x, f, NULL);
	while (good && str_cut(&rest, ',', &name))
		good = column_find(x, str_trim(name));
	if (good && x->n == 0) {
		ctl_complain("--columns names none");
		good = false;
	}
	return good;
}

/* ---- the layout of the GSMA ------------------------------------------------------------------------------------------------- */

/* The first six are those that every such file has. */
static const char *const gsma_fields[] = {"id", "manufacturer", "model", "rat", "allocated", "type", "brand"};
static const char *const gsma_names[] = {"tac", "manufacturer", "model_name", "bands", "allocation_date", "device_type", "brand_name"};
#define GSMA_DATE 4
#define GSMA_FLUSH 65536u

/* 2015-01-05 becomes 05-Jan-2015. */
static struct str gsma_date(struct str s, char out[16])
{
	static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
	int32_t days;

	if (date_parse(s, &days))
		return s;
	snprintf(out, 16, "%.2s-%.3s-%.4s", s.p + 8, months + 3 * ((s.p[5] - '0') * 10 + s.p[6] - '0' - 1), s.p);
	return str_of(out);
}

static enum ceir_err gsma_flush(struct export *x)
{
	enum ceir_err err = x->lines.failed ? CEIR_ENOMEM : fd_write_all(x->fd, x->lines.p, x->lines.n);

	buf_clear(&x->lines);
	return err;
}

static enum ceir_err gsma_row(struct export *x, const struct str *cells)
{
	csv_put_row(&x->lines, cells, x->n, '|', CSV_VERBATIM);
	return x->lines.n > GSMA_FLUSH || x->lines.failed ? gsma_flush(x) : CEIR_OK;
}

static enum ceir_err gsma_begin(struct export *x)
{
	struct str names[CEIR_COUNT(gsma_names)];

	for (size_t i = 0; i < CEIR_COUNT(gsma_names); i++)
		names[i] = str_of(gsma_names[i]);
	return gsma_row(x, names);
}

static bool gsma_choose(struct export *x, const char *layout, const char *format, const char *columns)
{
	x->gsma = layout != NULL;
	if (!layout)
		return columns_choose(x, columns);
	if (strcmp(layout, "gsma") != 0 || strcmp(x->o->name, "tac") != 0 || columns || (format && strcmp(format, "csv") != 0)) {
		ctl_complain("--layout gsma is of `export tac`, and says the columns and the format");
		return false;
	}
	bool good = true;
	for (size_t i = 0; good && i < CEIR_COUNT(gsma_fields); i++)
		good = column_find(x, str_of(gsma_fields[i]));
	return good;
}

/* ---- rows ----------------------------------------------------------------------------------------------------------------- */

static void put_scalar(struct buf *b, const json_t *v)
{
	if (json_is_string(v))
		buf_put(b, json_string_value(v), json_string_length(v));
	else if (json_is_integer(v))
		buf_u64(b, (uint64_t)json_integer_value(v));
	else if (json_is_boolean(v))
		buf_c(b, json_is_true(v) ? "yes" : "no");
}

/* Values of a column joined by spaces. An element with attributes holds its text as "value". */
static void put_cell(struct buf *b, const json_t *v, const struct reg_field *inner)
{
	size_t n = json_is_array(v) ? json_array_size(v) : v ? 1 : 0, begin = b->n;

	for (size_t i = 0; i < n; i++) {
		const json_t *e = json_is_array(v) ? json_array_get(v, i) : v;
		size_t before;

		if (json_is_object(e))
			e = json_object_get(e, inner ? inner->name : "value");
		before = b->n;
		if (b->n > begin)
			buf_char(b, ' ');
		put_scalar(b, e);
		if (b->n == before + 1 && b->p[before] == ' ')
			b->n = before; /* nothing: no space either */
	}
}

static enum ctl_exit table_failed(const struct export *x, enum ceir_err err)
{
	if (err == CEIR_ERANGE)
		ctl_complain("row %llu does not fit: a sheet holds 1,048,575 rows, a cell 32,767 characters; take --format csv or xml",
			(unsigned long long)x->rows + 1);
	else
		ctl_complain("%s: %s", x->file ? x->part : "standard output", ceir_err_text(err));
	return CTL_USAGE;
}

static enum ctl_exit row_put(struct export *x, const json_t *item)
{
	struct str cells[TABLE_COLUMNS_MAX];
	size_t ends[TABLE_COLUMNS_MAX];
	char date[16];

	buf_clear(&x->cells);
	for (size_t i = 0; i < x->n; i++) {
		put_cell(&x->cells, json_object_get(item, x->columns[i].field->name), x->columns[i].inner);
		ends[i] = x->cells.n;
	}
	for (size_t i = 0; i < x->n; i++) { /* only now: the buffer has stopped moving */
		size_t begin = i ? ends[i - 1] : 0;
		cells[i] = (struct str){x->cells.p + begin, ends[i] - begin};
	}
	if (x->gsma)
		cells[GSMA_DATE] = gsma_date(cells[GSMA_DATE], date);
	enum ceir_err err = x->cells.failed ? CEIR_ENOMEM : x->gsma ? gsma_row(x, cells) : table_writer_row(x->table, cells);
	if (err)
		return table_failed(x, err);
	x->rows++;
	return CTL_OK;
}

/* ---- pages ---------------------------------------------------------------------------------------------------------------- */

static enum ctl_exit page_put(struct export *x, const json_t *page)
{
	const json_t *items = json_object_get(page, "items"), *count = json_object_get(page, "count");
	enum ctl_exit result = CTL_OK;

	if (count) /* the bar is one of rows here */
		x->progress.total_bytes = (uint64_t)json_integer_value(count);
	for (size_t i = 0; result == CTL_OK && i < json_array_size(items); i++)
		result = row_put(x, json_array_get(items, i));
	ctl_progress_show(&x->progress, x->rows, x->rows);
	return result;
}

/* One page; *cursor becomes that of the next, empty when there is none. */
static enum ctl_exit page_take(struct export *x, const struct buf *xml, struct buf *cursor)
{
	json_t *answer = NULL;
	enum ctl_exit result = ctl_send(&x->c->session, xml);

	if (result == CTL_OK)
		result = ctl_receive(&x->c->session, &answer);
	if (result == CTL_OK && !ctl_answer_good(answer)) {
		ctl_progress_end(&x->progress);
		if (x->file)
			result = ctl_show(&x->c->session, answer);
		else
			ctl_print_answer(answer); /* to standard error: the table is on standard output */
		result = CTL_REFUSED;
	} else if (result == CTL_OK) {
		const json_t *page = json_object_get(answer, "query");
		const char *next = json_string_value(json_object_get(page, "next"));

		if (next && str_eq_c(buf_view(cursor), next)) {
			ctl_complain("the server gives the same page again: \"%s\"", next);
			result = CTL_CONNECTION;
		}
		buf_clear(cursor);
		buf_c(cursor, next ? next : "");
		if (result == CTL_OK && cursor->failed) { /* without it what comes now would seem to be the last page */
			ctl_complain("%s", ceir_err_text(CEIR_ENOMEM));
			result = CTL_USAGE;
		}
		if (result == CTL_OK)
			result = page_put(x, page);
	}
	json_decref(answer);
	return result;
}

/* The request of a page. Only the first asks how many there are, and only when somebody looks. */
static bool request(struct export *x, struct buf *xml, struct str cursor, bool count)
{
	struct ctl_args args = x->c->args;
	char why[256] = "";

	args.options = x->options;
	args.n_options = x->n_options - !count;
	buf_clear(xml);
	if (!ctl_request_query(xml, x->o, &args, cursor, why, sizeof(why)))
		return true;
	ctl_complain("%s", why);
	return false;
}

static enum ctl_exit pages_take(struct export *x, struct buf *xml)
{
	struct buf cursor = BUF_INIT(0);
	enum ctl_exit result = page_take(x, xml, &cursor);

	while (result == CTL_OK && cursor.n > 0)
		result = request(x, xml, buf_view(&cursor), false) ? page_take(x, xml, &cursor) : CTL_USAGE;
	buf_free(&cursor);
	return result;
}

/* ---- the file ------------------------------------------------------------------------------------------------------------- */

/* What can be said before anything is asked of the server. */
static bool file_check(struct export *x)
{
	const char *slash = strrchr(x->file, '/');
	int n = slash ? (int)(slash - x->file) : 0;
	struct stat st;

	if (snprintf(x->part, sizeof(x->part), "%s.part", x->file) >= (int)sizeof(x->part)) {
		ctl_complain("%s: the name is too long", x->file);
		return false;
	}
	snprintf(x->folder, sizeof(x->folder), "%.*s", slash && n == 0 ? 1 : n, slash ? x->file : "");
	if (!slash)
		snprintf(x->folder, sizeof(x->folder), ".");
	if (lstat(x->file, &st) != 0)
		return true;
	if (!S_ISREG(st.st_mode))
		ctl_complain("%s is there and is not a regular file", x->file);
	else if (!x->overwrite)
		ctl_complain("%s is there already; --overwrite replaces it", x->file);
	return S_ISREG(st.st_mode) && x->overwrite;
}

static enum ctl_exit file_open(struct export *x)
{
	x->fd = STDOUT_FILENO;
	if (!x->file)
		return CTL_OK;
	x->folder_fd = open(x->folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	x->fd = x->folder_fd < 0 ? -1 : open(x->part, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (x->fd >= 0)
		return CTL_OK;
	ctl_complain("%s: %s", x->folder_fd < 0 ? x->folder : x->part, strerror(errno));
	return CTL_USAGE;
}

/* Under its name, unless somebody else has made a file of that name since. */
static int file_rename(const struct export *x)
{
	if (x->overwrite || renameat2(AT_FDCWD, x->part, AT_FDCWD, x->file, RENAME_NOREPLACE) == 0)
		return x->overwrite ? rename(x->part, x->file) : 0;
	if (errno != EINVAL && errno != ENOSYS)
		return -1;
	return link(x->part, x->file) || unlink(x->part) ? -1 : 0; /* a file system without that */
}

/* Ends the table; gives the file its name, or takes it away. */
static enum ctl_exit file_end(struct export *x, enum ctl_exit result)
{
	enum ceir_err err = CEIR_OK;

	if (result == CTL_OK)
		err = x->gsma ? gsma_flush(x) : table_writer_finish(x->table);
	else
		table_writer_drop(x->table);
	if (err)
		result = table_failed(x, err);
	if (!x->file || x->fd < 0)
		return result;
	if (result == CTL_OK && (fsync(x->fd) != 0 || file_rename(x) != 0)) {
		ctl_complain("%s: %s", x->file, strerror(errno));
		result = CTL_USAGE;
	}
	close(x->fd);
	if (result != CTL_OK) {
		unlink(x->part);
	} else if ((err = file_sync_dir(x->folder))) {
		ctl_complain("%s: %s", x->folder, ceir_err_text(err));
		result = CTL_USAGE;
	}
	return result;
}

/* ---- the command ---------------------------------------------------------------------------------------------------------- */

/* --format, else the ending of the file's name, else CSV. */
static bool form_choose(struct export *x, const char *format)
{
	const char *dot = x->file ? strrchr(x->file, '.') : NULL;
	const char *name = format ? format : dot ? dot + 1 : "";

	x->form = TABLE_FORMS;
	for (unsigned f = 0; f < TABLE_FORMS; f++)
		if (f != TABLE_XLS && strcmp(name, table_form_name(f)) == 0)
			x->form = (enum table_form)f;
	if (x->form == TABLE_FORMS && format) {
		ctl_complain("--format wants csv, xlsx or xml, not \"%s\"", format);
		return false;
	}
	if (x->form == TABLE_FORMS)
		x->form = TABLE_CSV;
	if (x->form == TABLE_XLSX && !x->file) {
		ctl_complain("a workbook wants a file: --out FILE.xlsx");
		return false;
	}
	return true;
}

/* Filters and order as given, the longest pages, and last whether to count. */
static bool options_choose(struct export *x)
{
	static const char *const names[] = {"filter", "sort", "desc"};
	struct ctl_args *a = &x->c->args;

	x->options = calloc(a->n_options + 2, sizeof(*x->options));
	if (!x->options)
		return false;
	for (size_t i = 0; i < CEIR_COUNT(names); i++) {
		const char *value;
		size_t at = 0;

		while ((value = ctl_args_next(a, names[i], &at)))
			x->options[x->n_options++] = (struct ctl_option){.name = names[i], .name_n = strlen(names[i]), .value = value};
	}
	x->options[x->n_options++] = (struct ctl_option){.name = "limit", .name_n = 5, .value = PAGE_ROWS};
	x->options[x->n_options++] = (struct ctl_option){.name = "count", .name_n = 5, .value = ""};
	return true;
}

/* Reads the command line. False: something is wrong with it, and that was said. */
static bool prepare(struct export *x)
{
	struct ctl_args *a = &x->c->args;
	const char *format = ctl_args_value(a, "format"), *out = ctl_args_value(a, "out"), *output = ctl_args_value(a, "output");
	const char *columns = ctl_args_value(a, "columns"), *layout = ctl_args_value(a, "layout");

	x->file = out ? out : output; /* -o, as of other commands */
	if (x->file && strcmp(x->file, "-") == 0)
		x->file = NULL;
	x->overwrite = ctl_args_flag(a, "overwrite");
	return options_choose(x) && ctl_options_end(x->c) == CTL_OK && form_choose(x, layout ? "csv" : format) && gsma_choose(x, layout, format, columns) &&
		(!x->file || file_check(x));
}

static void tell(const struct export *x)
{
	struct ctl *c = x->c;

	if (c->args.json && x->file) {
		json_t *about = json_pack("{s:s, s:I, s:s, s:s}", "object", x->o->name, "rows", (json_int_t)x->rows, "format",
			table_form_name(x->form), "file", x->file);
		ctl_print_json(about);
		json_decref(about);
	} else if (!c->args.quiet) {
		fprintf(stderr, "%s: %llu rows\n", x->o->name, (unsigned long long)x->rows);
	}
}

/* The first page's request is in hand: opens the file and the table, and fills them. */
static enum ctl_exit run(struct export *x, struct buf *xml)
{
	enum ctl_exit result = file_open(x);
	enum ceir_err err = CEIR_OK;

	if (result == CTL_OK)
		err = x->gsma ? gsma_begin(x) : table_writer_new(x->fd, x->form, x->o->name, x->names, x->n, false, x->folder_fd, &x->table);
	if (err)
		result = table_failed(x, err);
	if (result == CTL_OK)
		result = pages_take(x, xml);
	ctl_progress_end(&x->progress);
	return file_end(x, result);
}

static enum ctl_exit export_object(struct export *x)
{
	struct buf xml = BUF_INIT(0);
	/* A table that scrolls over the same terminal is progress enough. */
	bool shown = !x->c->args.quiet && isatty(STDERR_FILENO) && (x->file || !isatty(STDOUT_FILENO));
	enum ctl_exit result = request(x, &xml, STR(""), shown) ? ctl_open(x->c) : CTL_USAGE;

	if (result == CTL_OK) {
		ctl_progress_begin(&x->progress, shown ? x->c : &(struct ctl){.args.quiet = true}, "exporting", 0);
		result = run(x, &xml);
		ctl_session_close(&x->c->session);
	}
	if (result == CTL_OK)
		tell(x);
	buf_free(&xml);
	return result;
}

enum ctl_exit ctl_command_export(struct ctl *c)
{
	static struct export x; /* too large for some stacks; the program runs one command */
	const struct reg_object *o = c->args.n_words == 2 ? reg_object_by_name(str_of(c->args.words[1])) : NULL;
	enum ctl_exit result = CTL_USAGE;

	x = (struct export){.c = c, .o = o, .fd = -1, .folder_fd = -1, .cells = BUF_INIT(0), .lines = BUF_INIT(0)};
	if (!o)
		ctl_complain(c->args.n_words == 2 ? "no object \"%s\"; try --help" : "export wants the name of one object; try --help",
			c->args.n_words == 2 ? c->args.words[1] : "");
	else if (!ctl_request_can(o, REG_QUERY))
		ctl_complain("%s cannot be exported: it has no query; `ceirctl %s --help` shows what it has", o->name, o->name);
	else if (prepare(&x))
		result = export_object(&x);
	if (x.folder_fd >= 0)
		close(x.folder_fd);
	free(x.options);
	buf_free(&x.cells);
	buf_free(&x.lines);
	return result;
}

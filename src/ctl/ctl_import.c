/*
 * ctl_import.c - `OBJECT import FILE.csv`: an object for each row, many creates under way at once.
 *
 * The first row names the columns: a field of the object; a field that may repeat, also with an "s" behind it, whose cells
 * then hold several values between spaces; a field of the object's group ("number", "quantity": a permit's positions), where
 * rows one after another with the same key become one object with a group for each; or FIELD-file, as the option of that name. Columns that
 * only the server fills (crDate: a table that `export` wrote has them) are passed over, and named on stderr.
 * Options of the command line hold for every object. Each row becomes the options of a create, so that both ways in are one.
 */
#include "ctl/ctl_internal.h"

#include <string.h>

#include "ctl/ctl_answer.h"
#include "ctl/ctl_csv.h"
#include "ctl/ctl_request.h"

#define AHEAD 64u        /* creates without answer; each a few hundred bytes */
#define OPTIONS_MAX 512u /* of one object */
#define COLUMNS_MAX 64u
#define OBJECT_ARENA (4u << 20)

enum column_kind { COLUMN_PLAIN, COLUMN_SPLIT, COLUMN_GROUP, COLUMN_PASSED };

struct column {
	enum column_kind kind;
	const struct reg_field *field;
	const struct reg_field *group; /* COLUMN_GROUP: whose field it is */
	char name[72];                 /* of the option */
};

/* What a create that is under way came from. */
struct sent {
	uint64_t line;
	char key[65];
};

struct import {
	struct ctl *c;
	const struct reg_object *o;
	struct ctl_csv csv;
	struct column columns[COLUMNS_MAX];
	size_t n_columns, key_column;
	bool has_key;
	struct arena *arena; /* of the object being read */
	struct ctl_option options[OPTIONS_MAX];
	size_t n_options;
	struct sent next; /* the object being read; key "" and line 0: none */
	struct sent queue[AHEAD];
	size_t first, ahead;
	uint64_t done, refused;
	struct ctl_progress progress;
};

/* ---- columns -------------------------------------------------------------------------------------------------------------- */

static bool column_find(const struct reg_object *o, struct str name, struct column *out)
{
	struct str bare = name;

	memset(out, 0, sizeof(*out));
	name = str_trim(name);
	bare = name;
	if (name.n >= sizeof(out->name))
		return false;
	if (name.n > 5 && str_eq_c((struct str){name.p + name.n - 5, 5}, "-file"))
		bare.n -= 5;
	out->field = reg_field_find(o->fields, bare);
	if (!out->field && name.n > 1 && name.p[name.n - 1] == 's') {
		bare = (struct str){name.p, name.n - 1};
		out->field = reg_field_find(o->fields, bare);
		if (out->field && !(out->field->flags & REG_MANY))
			return false;
		name = bare;
	}
	if (!out->field)
		out->field = ctl_group_field(o, name, &out->group);
	if (!out->field || out->field->type == REG_GROUP)
		return false;
	out->kind = out->field->flags & REG_SERVER ? COLUMN_PASSED : out->group ? COLUMN_GROUP : out->field->flags & REG_MANY ? COLUMN_SPLIT : COLUMN_PLAIN;
	snprintf(out->name, sizeof(out->name), "%.*s", (int)name.n, name.p);
	return true;
}

static void columns_tell(const struct import *x, size_t passed)
{
	if (x->c->args.quiet)
		return;
	fprintf(stderr, "%s: the server fills these itself; they are passed over:", x->csv.name);
	for (size_t i = 0, n = 0; i < x->n_columns && n < passed; i++)
		if (x->columns[i].kind == COLUMN_PASSED) {
			fprintf(stderr, " %s", x->columns[i].name);
			n++;
		}
	fputc('\n', stderr);
}

static enum ctl_exit columns_find(struct import *x, const struct csv_row *header)
{
	size_t passed = 0;

	if (header->count > COLUMNS_MAX) {
		ctl_complain("%s: more than %u columns", x->csv.name, COLUMNS_MAX);
		return CTL_USAGE;
	}
	for (size_t i = 0; i < header->count; i++) {
		if (!column_find(x->o, header->fields[i], &x->columns[i])) {
			ctl_complain("%s: %s has no field \"%.*s\" that can be given", x->csv.name, x->o->name,
				(int)header->fields[i].n, header->fields[i].p);
			return CTL_USAGE;
		}
		passed += x->columns[i].kind == COLUMN_PASSED;
		if (x->columns[i].field == x->o->fields && x->columns[i].kind != COLUMN_PASSED) {
			x->key_column = i;
			x->has_key = true;
		}
	}
	x->n_columns = header->count;
	if (passed)
		columns_tell(x, passed);
	if (!x->has_key && !(x->o->fields->flags & REG_SERVER)) {
		ctl_complain("%s: no column \"%s\"", x->csv.name, x->o->fields->name);
		return CTL_USAGE;
	}
	return CTL_OK;
}

/* ---- rows to options ------------------------------------------------------------------------------------------------------- */

static bool option_add(struct import *x, const char *name, struct str value)
{
	struct str copy = arena_str(x->arena, value);

	if (!copy.p || x->n_options == OPTIONS_MAX)
		return false;
	x->options[x->n_options++] = (struct ctl_option){.name = name, .name_n = strlen(name), .value = copy.p};
	return true;
}

static bool option_add_split(struct import *x, const char *name, struct str cell)
{
	struct str part;

	while (str_cut(&cell, ' ', &part))
		if (str_trim(part).n && !option_add(x, name, str_trim(part)))
			return false;
	return true;
}

/* The group's cells as name="value" pairs. */
static bool option_add_group(struct import *x, const struct csv_row *row)
{
	const struct reg_field *group = NULL;
	struct buf pairs = BUF_INIT(0);
	bool good = true;

	for (size_t i = 0; i < x->n_columns && i < row->count; i++) {
		if (x->columns[i].kind != COLUMN_GROUP || str_trim(row->fields[i]).n == 0)
			continue;
		group = x->columns[i].group;
		buf_printf(&pairs, "%s%s=\"", pairs.n ? "," : "", x->columns[i].name);
		for (size_t k = 0; k < row->fields[i].n; k++) {
			buf_char(&pairs, row->fields[i].p[k]);
			if (row->fields[i].p[k] == '"')
				buf_char(&pairs, '"');
		}
		buf_char(&pairs, '"');
	}
	if (group)
		good = !pairs.failed && option_add(x, group->name, buf_view(&pairs));
	buf_free(&pairs);
	return good;
}

/* A further row of the object that is being read only brings a further group. */
static bool row_to_options(struct import *x, const struct csv_row *row, bool further)
{
	for (size_t i = 0; !further && i < x->n_columns && i < row->count; i++) {
		const struct column *column = &x->columns[i];
		struct str cell = str_trim(row->fields[i]);
		if (cell.n == 0 || column->kind == COLUMN_GROUP || column->kind == COLUMN_PASSED || (x->has_key && i == x->key_column))
			continue;
		if (column->kind == COLUMN_SPLIT ? !option_add_split(x, column->name, cell) : !option_add(x, column->name, cell))
			return false;
	}
	return option_add_group(x, row);
}

/* ---- sending ---------------------------------------------------------------------------------------------------------------- */

static enum ctl_exit answer_take(struct import *x)
{
	json_t *answer = NULL;
	enum ctl_exit result = ctl_receive(&x->c->session, &answer);
	const struct sent *from = &x->queue[x->first];

	if (result == CTL_OK && ctl_answer_good(answer)) {
		x->done++;
	} else if (result == CTL_OK) {
		x->refused++;
		fprintf(stderr, "%s line %llu, %s %s:\n", x->csv.name, (unsigned long long)from->line, x->o->name, from->key);
		ctl_show(&x->c->session, answer);
	}
	x->first = (x->first + 1) % AHEAD;
	x->ahead--;
	json_decref(answer);
	return result;
}

/* The object that was read, if there is one, goes out. */
static enum ctl_exit object_send(struct import *x)
{
	struct ctl_args args = x->c->args;
	struct buf xml = BUF_INIT(0);
	char why[256] = "";
	enum ctl_exit result = CTL_OK;

	if (x->next.line == 0)
		return CTL_OK;
	if (x->ahead == AHEAD)
		result = answer_take(x);
	if (result != CTL_OK)
		return result;
	args.options = x->options;
	args.n_options = x->n_options;
	enum ceir_err err =
		ctl_request_object(&xml, x->o, REG_CREATE, x->has_key ? x->next.key : NULL, &args, x->arena, why, sizeof(why));
	if (err) {
		ctl_complain("%s line %llu: %s", x->csv.name, (unsigned long long)x->next.line, why[0] ? why : ceir_err_text(err));
		x->csv.bad++;
	} else {
		result = ctl_send(&x->c->session, &xml);
		x->queue[(x->first + x->ahead) % AHEAD] = x->next;
		x->ahead += result == CTL_OK;
	}
	if (xml.p)
		explicit_bzero(xml.p, xml.cap);
	buf_free(&xml);
	return result;
}

/* Starts a new object: the options of the command line, then those of its rows. */
static void object_begin(struct import *x, const struct csv_row *row, struct str key)
{
	arena_reset(x->arena);
	x->n_options = 0;
	for (size_t i = 0; i < x->c->args.n_options && i < OPTIONS_MAX; i++)
		x->options[x->n_options++] = x->c->args.options[i];
	x->next = (struct sent){.line = row->line};
	snprintf(x->next.key, sizeof(x->next.key), "%.*s", (int)key.n, key.p);
}

static enum ctl_exit row_take(struct import *x, const struct csv_row *row)
{
	struct str key = x->has_key && x->key_column < row->count ? str_trim(row->fields[x->key_column]) : STR("");
	bool has_groups = false;
	enum ctl_exit result = CTL_OK;

	if (x->has_key && (key.n == 0 || key.n >= sizeof(x->next.key))) {
		ctl_csv_reject(&x->csv, row, key.n ? "the name is too long" : "no name");
		return CTL_OK;
	}
	for (size_t i = 0; i < x->n_columns; i++)
		has_groups = has_groups || x->columns[i].kind == COLUMN_GROUP;
	bool further = has_groups && x->next.line && x->has_key && str_eq_c(key, x->next.key);
	if (!further) {
		result = object_send(x);
		object_begin(x, row, key);
	}
	if (!row_to_options(x, row, further))
		ctl_csv_reject(&x->csv, row, "too much for one object");
	ctl_progress_show(&x->progress, x->csv.bytes, x->done + x->refused);
	return result;
}

static enum ctl_exit rows_take(struct import *x)
{
	struct csv_row row;
	enum ctl_exit result = CTL_OK;

	if (!ctl_csv_next(&x->csv, &row)) {
		ctl_complain("%s: no line with the names of the columns", x->csv.name);
		return CTL_USAGE;
	}
	result = columns_find(x, &row);
	if (result == CTL_OK)
		result = ctl_open(x->c);
	if (result != CTL_OK)
		return result;
	ctl_progress_begin(&x->progress, x->c, "importing", x->csv.size);
	while (result == CTL_OK && ctl_csv_next(&x->csv, &row))
		result = row_take(x, &row);
	if (result == CTL_OK)
		result = object_send(x);
	while (result == CTL_OK && x->ahead > 0)
		result = answer_take(x);
	ctl_progress_end(&x->progress);
	ctl_session_close(&x->c->session);
	return result != CTL_OK ? result : x->csv.broken ? CTL_USAGE : CTL_OK;
}

/* Options that a create of this object has are understood; others are refused before anything is sent. */
static enum ctl_exit options_check(struct import *x)
{
	char name[CTL_OPTION_MAX];

	for (const struct reg_field *f = x->o->fields; f->name; f++) {
		if (f->flags & REG_SERVER)
			continue;
		ctl_field_option(x->o, f, "", name);
		(void)ctl_args_value(&x->c->args, name);
		snprintf(name, sizeof(name), "%s-file", f->name);
		if (ctl_field_has_file(f))
			(void)ctl_args_value(&x->c->args, name);
	}
	return ctl_options_end(x->c);
}

enum ctl_exit ctl_command_import(struct ctl *c, const struct reg_object *o)
{
	static struct import x; /* too large for some stacks; the program runs one command */
	const char *rejects = ctl_args_value(&c->args, "rejects");
	enum ctl_exit result;

	x = (struct import){.c = c, .o = o};
	if (c->args.n_words != 3) {
		ctl_complain("%s import wants one FILE.csv, or - for standard input", o->name);
		return CTL_USAGE;
	}
	result = options_check(&x);
	if (result != CTL_OK || ctl_csv_open(&x.csv, c->args.words[2], rejects))
		return CTL_USAGE;
	x.arena = arena_new(OBJECT_ARENA);
	result = x.arena ? rows_take(&x) : CTL_USAGE;
	if (!c->args.quiet && result != CTL_USAGE)
		fprintf(stderr, "%s: %llu made, %llu refused, %llu lines left out\n", o->name, (unsigned long long)x.done,
			(unsigned long long)x.refused, (unsigned long long)x.csv.bad);
	if (result == CTL_OK && x.refused + x.csv.bad > 0)
		result = CTL_REFUSED;
	arena_free(x.arena);
	ctl_csv_close(&x.csv);
	return result;
}

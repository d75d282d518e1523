/* files_check.c - a file of IMEIs whose colours are asked for. Nothing changes, so it is simply done again after a crash. */
#include "files/files_internal.h"

#include <string.h>

#include "ident/ident.h"

#define BATCH 1000u            /* rows of one command */
#define BATCH_ARENA ((size_t)256 << 20)

/* A row that waits for its answer. */
struct asked {
	struct table_row row;          /* copied */
	struct str imei;
	const char *fault, *reject;    /* fault NULL: asked for */
	struct reg_check_item item;
};

struct check {
	struct files_job *job;
	struct files_session session;
	struct files_answer *answer;
	struct arena *arena;           /* of a batch */
	struct asked *rows;
	struct str *names;
	size_t n, n_names;
};

static enum ceir_err copy_row(struct arena *arena, const struct table_row *row, struct table_row *out)
{
	struct table_cell *cells = arena_array(arena, row->n, sizeof *cells);

	*out = *row;
	for (size_t i = 0; cells && i < row->n; i++) {
		cells[i].type = row->cells[i].type;
		cells[i].text = arena_str(arena, row->cells[i].text);
		if (!cells[i].text.p)
			return CEIR_ENOMEM;
	}
	out->cells = cells;
	return cells ? CEIR_OK : CEIR_ENOMEM;
}

static enum ceir_err take_row(struct check *k, const struct table_row *row)
{
	struct asked *a = &k->rows[k->n++];
	struct str imeis[FILES_DEVICE_IMEIS];
	struct imei imei;
	unsigned n = 0;

	*a = (struct asked){.fault = row->fault ? table_fault_text(row->fault) : NULL, .reject = row->fault ? table_fault_code(row->fault) : NULL};
	enum ceir_err err = copy_row(k->arena, row, &a->row);
	if (err || row->fault)
		return err;
	err = files_row_imeis(&k->job->plan, row, k->arena, imeis, &n);
	if (err == CEIR_ENOMEM)
		return err;
	a->imei = n ? imeis[0] : STR("");
	enum imei_fault fault = n > 1 ? IMEI_TOO_LONG : imei_parse(a->imei, &imei);
	if (fault) {
		a->fault = imei_fault_text(fault);
		a->reject = "imei";
		return CEIR_OK;
	}
	k->names[k->n_names++] = a->imei;
	return CEIR_OK;
}

static void take_items(void *ctx, const struct reg_reply *reply)
{
	struct check *k = ctx;

	for (size_t i = 0, at = 0; i < k->n && at < reply->n_checks; i++)
		if (!k->rows[i].fault)
			k->rows[i].item = reply->checks[at++];
}

static enum ceir_err answer_row(struct check *k, const struct asked *a)
{
	const struct files_session *s = &k->session;
	struct str more[2] = {STR(""), STR("")};

	if (a->fault)
		return files_answer_row(k->answer, &a->row, more, REG_VALUE, str_of(i18n_text(s->lang, a->fault)), STR(""), a->reject);
	if (s->code < 2000 && a->item.has_verdict) {
		more[0] = str_of(verdict_colour_name(a->item.verdict.colour));
		more[1] = str_of(i18n_text(s->lang, verdict_reason_text(a->item.verdict.reason)));
	}
	return files_answer_row(k->answer, &a->row, more, s->code, buf_view(&s->text), str_of(s->svtrid), s->code < 2000 ? NULL : "");
}

static enum ceir_err flush(struct check *k)
{
	struct reg_command c = {.verb = REG_CHECK, .object = k->job->plan.object, .names = k->names, .n_names = k->n_names};
	enum ceir_err err = CEIR_OK;

	arena_reset(k->session.arena);
	k->session.take = take_items;
	k->session.ctx = k;
	if (k->n_names)
		err = files_execute(&k->session, &c);
	for (size_t i = 0; i < k->n && !err; i++)
		err = answer_row(k, &k->rows[i]);
	k->n = k->n_names = 0;
	arena_reset(k->arena);
	return err;
}

static enum ceir_err check_all(struct check *k)
{
	struct table_row row;
	enum ceir_err err = CEIR_OK, end = CEIR_OK;

	while (!err && !(end = table_next(k->job->table, &row))) {
		err = files_stopping(k->job) ? CEIR_ECLOSED : take_row(k, &row);
		/* Hostile rows may be megabytes: then fewer of them are asked for at once. */
		if (err == CEIR_ENOMEM && --k->n) {
			err = flush(k);
			err = err ? err : take_row(k, &row);
		}
		if (!err && k->n == BATCH)
			err = flush(k);
	}
	if (!err)
		err = flush(k);
	if (!err && (end == CEIR_EINVAL || end == CEIR_ELIMIT))
		return files_answer_broken(k->answer, table_why(k->job->table));
	return err || end == CEIR_ENOENT ? err : end;
}

enum ceir_err files_do_check(struct files_job *j)
{
	static const char *const more[] = {"colour", "reason"};
	struct check k = {.job = j};
	enum ceir_err err = files_table_open(j);

	if (err)
		return err;
	err = files_session_open(j->f, j->a, &k.session);
	k.arena = arena_new(BATCH_ARENA);
	k.rows = calloc(BATCH, sizeof *k.rows);
	k.names = calloc(BATCH, sizeof *k.names);
	if (!err && (!k.arena || !k.rows || !k.names))
		err = CEIR_ENOMEM;
	if (!err)
		err = files_answer_new(j, more, CEIR_COUNT(more), &k.answer);
	if (!err)
		err = check_all(&k);
	if (!err)
		err = files_answer_finish(k.answer);
	else
		files_answer_drop(k.answer);
	files_session_close(&k.session);
	arena_free(k.arena);
	free(k.rows);
	free(k.names);
	return err;
}

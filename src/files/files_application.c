/*
 * files_application.c - a file of IMEIs as one application: created, filled by updates of 10,000 IMEIs, submitted, waited for, answered with a row
 * for each device.
 *
 * It needs no journal, because the application is one: after a crash it is found by the clTRID of its create, and says how many rows it has
 * and how far it is. The file is read twice, and both readings judge each row alike; the second meets the results in the order of the first.
 */
#include "files/files_internal.h"

#include <inttypes.h>
#include <string.h>
#include <time.h>

#define PART_IMEIS 10000u
#define PART_ARENA ((size_t)8 << 20) /* a part of ordinary IMEIs takes one megabyte; of hostile cells there are fewer in a part */
#define RESULT_ROWS 10000u     /* the door's most in one answer */
#define WAIT_FIRST_MS 10
#define WAIT_MOST_MS 500
#define FIELDS_MAX 8

struct application {
	struct files_job *job;
	struct files_session session;
	struct arena *fields_arena;    /* of the first good row's fields */
	struct reg_node *fields;       /* what all rows must say */
	bool has_fields;
	/* The present part. */
	struct arena *arena;
	struct reg_device *devices;
	size_t n;
	uint64_t imeis;                /* of it */
	uint64_t sent;                 /* IMEIs in parts before it */
	unsigned parts;
	/* The application. */
	char id[65];                   /* empty: not made */
	char status[32];
	uint64_t rows;                 /* that it had when it was found again */
	/* Refused as a whole: every row is answered so. */
	unsigned code;
	struct buf text;
	char svtrid[REG_SVTRID_MAX];
	/* Results. */
	const struct reg_row *results;
	size_t n_results, at;
	uint64_t after;
};

/* ---- rows ---- */

struct verdict_of_row {
	struct str imeis[FILES_DEVICE_IMEIS];
	unsigned n;
	const char *reject, *english;  /* english NULL: good */
};

static void bad(struct verdict_of_row *v, const char *reject, const char *english)
{
	v->reject = reject;
	v->english = english;
}

static const struct reg_node *field_of(const struct application *p, const struct reg_field *f)
{
	const struct reg_node *n = p->fields;

	while (n && n->field != f)
		n = n->next;
	return n;
}

static bool same_fields(const struct application *p, const struct table_row *row)
{
	const struct files_plan *plan = &p->job->plan;

	for (size_t i = 0; i < plan->n && i < row->n; i++) {
		const struct reg_node *n = plan->targets[i].kind == FILES_FIELD ? field_of(p, plan->targets[i].field) : NULL;

		if (plan->targets[i].kind == FILES_FIELD && !str_eq(row->cells[i].text, n ? n->text : STR("")))
			return false;
	}
	return true;
}

static enum ceir_err keep_fields(struct application *p, const struct table_row *row)
{
	const struct files_plan *plan = &p->job->plan;
	struct reg_node **end = &p->fields;

	for (size_t i = 0; i < plan->n && i < row->n; i++) {
		if (plan->targets[i].kind != FILES_FIELD || !row->cells[i].text.n)
			continue;
		struct reg_node *n = arena_alloc(p->fields_arena, sizeof *n);
		if (!n)
			return CEIR_ENOMEM;
		n->field = plan->targets[i].field;
		n->text = arena_str(p->fields_arena, row->cells[i].text);
		if (!n->text.p)
			return CEIR_ENOMEM;
		*end = n;
		end = &n->next;
	}
	p->has_fields = true;
	return CEIR_OK;
}

/* The same in both readings. Texts in the arena. */
static enum ceir_err judge(struct application *p, const struct table_row *row, struct arena *arena, struct verdict_of_row *v)
{
	*v = (struct verdict_of_row){.n = 0};
	if (row->fault) {
		bad(v, table_fault_code(row->fault), table_fault_text(row->fault));
		return CEIR_OK;
	}
	enum ceir_err err = files_row_imeis(&p->job->plan, row, arena, v->imeis, &v->n);
	if (err == CEIR_ENOMEM)
		return err;
	if (err == CEIR_EINVAL)
		bad(v, "imei", N_("The row has no IMEI"));
	else if (err)
		bad(v, "imei", N_("A device has at most five IMEIs"));
	else if (!p->has_fields)
		return keep_fields(p, row);
	else if (!same_fields(p, row))
		bad(v, "fields", N_("All rows of a file are one application: permit, position, kind and reference must be the same in all"));
	return CEIR_OK;
}

/* ---- commands ---- */

static struct reg_node *node(struct arena *a, const struct reg_object *o, const char *field, struct str text)
{
	struct reg_node *n = arena_alloc(a, sizeof *n);

	if (n) {
		n->field = reg_field_find(o->fields, str_of(field));
		n->text = text;
	}
	return n;
}

static struct reg_command begin(struct application *p, enum reg_verb verb, char trid[FILES_TRID + 24], const char *what)
{
	struct reg_command c = {.verb = verb, .object = p->job->plan.object};

	snprintf(trid, FILES_TRID + 24, "%s-%s", p->job->trid, what);
	c.cltrid = str_of(trid);
	arena_reset(p->session.arena);
	if (p->id[0])
		c.key = node(p->session.arena, c.object, "id", str_of(p->id));
	return c;
}

static void note_refusal(struct application *p)
{
	p->code = p->session.code;
	memcpy(p->svtrid, p->session.svtrid, sizeof p->svtrid);
	buf_clear(&p->text);
	buf_str(&p->text, buf_view(&p->session.text));
}

static void take_state(void *ctx, const struct reg_reply *reply)
{
	struct application *p = ctx;

	for (const struct reg_node *n = reply->fields; n; n = n->next) {
		if (strcmp(n->field->name, "id") == 0)
			snprintf(p->id, sizeof p->id, "%.*s", (int)n->text.n, n->text.p);
		else if (strcmp(n->field->name, "status") == 0)
			snprintf(p->status, sizeof p->status, "%.*s", (int)n->text.n, n->text.p);
		else if (strcmp(n->field->name, "rows") == 0 && str_u64(n->text, UINT64_MAX, &p->rows))
			p->rows = 0;
	}
	p->results = reply->rows;
	p->n_results = reply->n_rows;
}

static enum ceir_err execute(struct application *p, struct reg_command *c)
{
	p->session.take = take_state;
	p->session.ctx = p;
	enum ceir_err err = files_execute(&p->session, c);
	p->session.take = NULL;
	return err;
}

static enum ceir_err look(struct application *p, uint32_t rows)
{
	char trid[FILES_TRID + 24];
	struct reg_command c = begin(p, REG_INFO, trid, "i");

	c.after = p->after;
	c.rows = rows;
	enum ceir_err err = execute(p, &c);
	return err || p->session.code < 2000 ? err : CEIR_ESTATE;
}

/* Found again after a crash, or made. Refused: p->code. */
static enum ceir_err make(struct application *p)
{
	char trid[FILES_TRID + 24];
	struct reg_command c = begin(p, REG_CREATE, trid, "c");
	struct reg_node *staged = node(p->session.arena, c.object, "status", STR("staged"));
	struct str name = STR("");
	bool done;
	enum ceir_err err = staged ? files_done_before(&p->session, p->job, trid, &done, &name) : CEIR_ENOMEM;

	if (err)
		return err;
	if (done) {
		snprintf(p->id, sizeof p->id, "%.*s", (int)name.n, name.p ? name.p : "");
		return look(p, 0);
	}
	staged->next = p->fields;
	c.set = staged;
	err = execute(p, &c);
	if (!err && p->session.code >= 2000)
		note_refusal(p);
	snprintf(p->status, sizeof p->status, "staged");
	return err;
}

static enum ceir_err send_part(struct application *p)
{
	char trid[FILES_TRID + 24], what[16];
	uint64_t imeis = p->imeis, before = p->sent;
	enum ceir_err err = CEIR_OK;

	if (!p->id[0] && !p->code)
		err = make(p);
	p->sent += imeis;
	p->imeis = 0;
	if (err || p->code || strcmp(p->status, "staged") != 0)
		return err;
	snprintf(what, sizeof what, "p%u", p->parts++);
	/* Each part came as a whole or not at all. */
	if (before + imeis <= p->rows)
		return CEIR_OK;
	struct reg_command c = begin(p, REG_UPDATE, trid, what);
	c.devices = p->devices;
	c.n_devices = p->n;
	err = execute(p, &c);
	if (!err && p->session.code >= 2000)
		note_refusal(p);
	return err;
}

static enum ceir_err end_part(struct application *p)
{
	enum ceir_err err = p->n ? send_part(p) : CEIR_OK;

	p->n = 0;
	arena_reset(p->arena);
	return err;
}

static enum ceir_err add_device(struct application *p, const struct verdict_of_row *v)
{
	struct str *imeis = arena_array(p->arena, v->n, sizeof *imeis);

	if (!imeis)
		return CEIR_ENOMEM;
	memcpy(imeis, v->imeis, v->n * sizeof *imeis);
	p->devices[p->n++] = (struct reg_device){.imeis = imeis, .n = v->n};
	p->imeis += v->n;
	return p->imeis + FILES_DEVICE_IMEIS > PART_IMEIS ? end_part(p) : CEIR_OK;
}

static enum ceir_err send_all(struct application *p)
{
	struct table_row row;
	enum ceir_err err = CEIR_OK, end = CEIR_OK;

	while (!err && !(end = table_next(p->job->table, &row))) {
		struct verdict_of_row v;

		err = files_stopping(p->job) ? CEIR_ECLOSED : judge(p, &row, p->arena, &v);
		if (err == CEIR_ENOMEM) {
			err = end_part(p);
			err = err ? err : judge(p, &row, p->arena, &v);
		}
		if (!err && !v.english)
			err = add_device(p, &v);
	}
	if (!err && end != CEIR_ENOENT && end != CEIR_EINVAL && end != CEIR_ELIMIT)
		return end;
	return err ? err : end_part(p);
}

/* ---- decided ---- */

static enum ceir_err change_status(struct application *p, const char *what, const char *status)
{
	char trid[FILES_TRID + 24];
	struct reg_command c = begin(p, REG_UPDATE, trid, what);
	bool done = false;
	enum ceir_err err = files_done_before(&p->session, p->job, trid, &done, NULL);

	if (err || done)
		return err;
	c.set = node(p->session.arena, c.object, "status", str_of(status));
	return c.set ? execute(p, &c) : CEIR_ENOMEM;
}

static enum ceir_err submit(struct application *p)
{
	enum ceir_err err = change_status(p, "s", "submitted");

	if (!err && p->session.code >= 2000)
		note_refusal(p);
	else if (!err)
		memcpy(p->svtrid, p->session.svtrid, sizeof p->svtrid);
	return err;
}

/* A personal import stays "pending" until a person decides: that is its answer. */
static enum ceir_err wait_decided(struct application *p)
{
	long ms = WAIT_FIRST_MS;
	enum ceir_err err;

	while (!(err = look(p, 0)) && strcmp(p->status, "submitted") == 0) {
		if (files_stopping(p->job))
			return CEIR_ECLOSED;
		nanosleep(&(struct timespec){.tv_nsec = ms * 1000000}, NULL);
		ms = ms * 2 > WAIT_MOST_MS ? WAIT_MOST_MS : ms * 2;
	}
	return err;
}

/* What was refused half-way is not left behind staged. */
static enum ceir_err withdraw(struct application *p)
{
	enum ceir_err err = p->id[0] && strcmp(p->status, "staged") == 0 ? change_status(p, "w", "withdrawn") : CEIR_OK;

	return err == CEIR_ESTATE ? err : CEIR_OK;
}

/* ---- the answer ---- */

static enum ceir_err next_result(struct application *p, const struct reg_row **out)
{
	if (p->at == p->n_results) {
		enum ceir_err err = look(p, RESULT_ROWS);

		if (err)
			return err;
		p->at = 0;
		if (!p->n_results)
			return CEIR_ECORRUPT;
		p->after = p->results[p->n_results - 1].line;
	}
	*out = &p->results[p->at++];
	return CEIR_OK;
}

/* All IMEIs of a device share its fate; the reason is that of the first that is not acceptable. */
static enum ceir_err answer_device(struct application *p, struct files_answer *a, const struct table_row *row, unsigned n)
{
	const struct reg_row *why = NULL, *r = NULL;
	char reject[64] = "";
	struct buf text = BUF_INIT(4096);
	size_t lang = p->session.lang;
	unsigned code = REG_DONE;
	enum ceir_err err = CEIR_OK;

	for (unsigned i = 0; i < n && !err; i++) {
		err = next_result(p, &r);
		if (err)
			break;
		if (strcmp(r->result, "pending") == 0)
			code = REG_PENDING;
		if (!why && r->reason) {
			why = r;
			code = REG_POLICY;
			snprintf(reject, sizeof reject, "%s", r->code ? r->code : "");
			files_put_line(&text, str_of(i18n_text(lang, r->reason)));
			buf_c(&text, " (");
			files_put_line(&text, r->imei);
			buf_c(&text, ")");
		}
	}
	if (!text.n)
		buf_c(&text, i18n_text(lang, reg_code_text(code)));
	if (!err)
		err = files_answer_row(a, row, NULL, code, buf_view(&text), str_of(p->svtrid), why ? reject : NULL);
	buf_free(&text);
	return err;
}

static enum ceir_err answer_row(struct application *p, struct files_answer *a, const struct table_row *row)
{
	struct verdict_of_row v;
	enum ceir_err err = judge(p, row, p->arena, &v);

	if (err)
		return err;
	if (v.english)
		err = files_answer_row(a, row, NULL, REG_VALUE, str_of(i18n_text(p->session.lang, v.english)), STR(""), v.reject);
	else if (p->code)
		err = files_answer_row(a, row, NULL, p->code, buf_view(&p->text), str_of(p->svtrid), "");
	else
		err = answer_device(p, a, row, v.n);
	arena_reset(p->arena);
	return err;
}

static enum ceir_err answer_rows(struct application *p, struct files_answer *a)
{
	struct table_row row;
	enum ceir_err err;

	arena_reset(p->arena);
	while (!(err = table_next(p->job->table, &row))) {
		err = files_stopping(p->job) ? CEIR_ECLOSED : answer_row(p, a, &row);
		if (err)
			return err;
	}
	if (err == CEIR_EINVAL || err == CEIR_ELIMIT)
		return files_answer_broken(a, table_why(p->job->table));
	return err == CEIR_ENOENT ? CEIR_OK : err;
}

static enum ceir_err answer(struct application *p)
{
	struct files_answer *a;
	enum ceir_err err = files_table_open(p->job);

	if (!err)
		err = files_answer_new(p->job, NULL, 0, &a);
	if (err)
		return err;
	p->after = 0;
	p->at = p->n_results = 0;
	err = answer_rows(p, a);
	if (!err)
		return files_answer_finish(a);
	files_answer_drop(a);
	return err;
}

static enum ceir_err do_it(struct application *p)
{
	enum ceir_err err = send_all(p);

	if (!err && p->id[0] && !p->code)
		err = submit(p);
	if (!err && p->code)
		err = withdraw(p);
	else if (!err && p->id[0])
		err = wait_decided(p);
	return err ? err : answer(p);
}

enum ceir_err files_do_application(struct files_job *j)
{
	struct application p = {.job = j, .text = BUF_INIT(4096)};
	enum ceir_err err = files_table_open(j);

	if (err)
		return err;
	err = files_session_open(j->f, j->a, &p.session);
	p.fields_arena = arena_new(1 << 20);
	p.arena = arena_new(PART_ARENA);
	p.devices = calloc(PART_IMEIS, sizeof *p.devices);
	if (!err && (!p.fields_arena || !p.arena || !p.devices))
		err = CEIR_ENOMEM;
	if (!err)
		err = do_it(&p);
	files_session_close(&p.session);
	arena_free(p.fields_arena);
	arena_free(p.arena);
	free(p.devices);
	buf_free(&p.text);
	return err;
}

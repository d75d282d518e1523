/*
 * files_rows.c - a file whose rows are commands, many under way at once, each done exactly once whatever happens.
 *
 * One thread reads the file and gives its records to workers, each with a session of its own, so that the register commits many of them
 * together. A record's subject decides which worker gets it: records of one subject are done in the order of the file. Answers go to
 * the journal in the order of the file. Then the answer file is made of the upload and the journal.
 *
 * After a crash the rows that the journal answers are passed over. Behind them at most LOOK_UP records can have been done whose answers
 * are not in the journal: no record is begun that is further ahead of what is synced. Those ask the audit log first whether a command with
 * their clTRID has succeeded, and if so answer what it was answered. Those that were refused are done again: they had changed nothing.
 *
 * Of a whole list (files_full.h) rows that say what is there already change nothing, and behind the rows come those that are to be ended, numbered on:
 * each a command like a row's.
 */
#include "files/files_full.h"
#include "files/files_journal.h"

#include <inttypes.h>
#include <string.h>

#define WORKERS 16u
#define RING 128u               /* records between the first not in the journal and the last read */
#define LOOK_UP (2 * RING)      /* RING ahead of the journal, which is synced every RING */
#define UNIT_ARENA ((size_t)1 << 20)
#define STEPS_MAX 2

struct unit {
	struct files_record record;
	struct arena *arena;
	struct str key;                 /* by which further rows belong to it */
	uint64_t first, n;              /* rows */
	bool look_up, done;
	bool too_large;                 /* for its arena: a hostile row, or thousands of positions; refused as a whole */
	unsigned code;
	char svtrid[REG_SVTRID_MAX];
	const char *reject;             /* code of the reason; NULL: as the command's code says */
	const struct files_present *present; /* of a whole list: what is listed already; NULL: nothing */
	const struct files_ending *ending; /* no row: this is to be ended */
	struct buf text;
	struct unit *next;              /* of the worker's queue */
};

struct rows;
struct worker {
	struct rows *rows;
	struct files_session session;
	pthread_t thread;
	pthread_cond_t wake;
	struct unit *queue, **end;
	bool started;
	struct worker *instead;         /* the account has no more sessions: that one does its records */
};

struct rows {
	struct files_job *job;
	struct files_journal *journal;
	struct files_full *full;        /* NULL: the file is no whole list */
	uint64_t answered;              /* rows that the journal had at the start */
	uint64_t looked_up;             /* records that have asked the log so far */
	bool begun_before;
	struct unit ring[RING];
	uint64_t head, tail;            /* units given out and drained, in all */
	uint64_t unsynced;
	struct worker workers[WORKERS];
	pthread_mutex_t lock;           /* guards queues, done, err, ending */
	pthread_cond_t drained;
	enum ceir_err err;              /* of a worker */
	bool ending;
};

/* ---- one record, in a worker's thread ---- */

struct found {
	struct arena *arena;
	struct str keys[2];
	size_t n;
};

static void take_found(void *ctx, const struct reg_reply *reply)
{
	struct found *f = ctx;

	f->n = 0;
	for (size_t i = 0; reply->page && i < reply->page->n_items && f->n < CEIR_COUNT(f->keys); i++)
		if (reply->page->items[i])
			f->keys[f->n++] = arena_str(f->arena, reply->page->items[i]->text);
}

static const char *fixed_value(const struct files_type *t, const char *field)
{
	for (const struct files_fixed *f = t->fixed; f->field; f++)
		if (strcmp(f->field, field) == 0)
			return f->value;
	return NULL;
}

/* What of the object's fields can be filtered by, and is known, narrows the search: an authority's own, not ended, of the type's reason. */
static size_t make_filters(const struct files_plan *p, const struct unit *u, enum reg_role role, struct reg_filter *out)
{
	static const char *const fields[] = {"status", "role", "reason"};
	const char *values[] = {"ended", reg_role_name(role), fixed_value(p->type, "reason")};
	size_t n = 0;

	out[n++] = (struct reg_filter){str_of(p->type->find), REG_EQ, u->record.find};
	for (size_t i = 0; i < CEIR_COUNT(fields); i++) {
		const struct reg_field *f = reg_field_find(p->object->fields, str_of(fields[i]));

		if (f && f->flags & REG_FILTER && values[i])
			out[n++] = (struct reg_filter){str_of(f->name), i == 0 ? REG_NE : REG_EQ, str_of(values[i])};
	}
	return n;
}

/* The one object that an update or delete without an id means. *key NULL: refused. */
static enum ceir_err find_key(struct worker *w, struct unit *u, struct reg_node **key)
{
	const struct files_plan *p = &w->rows->job->plan;
	struct reg_filter filters[4];
	struct reg_query q = {.filters = filters, .limit = 2};
	struct reg_command c = {.verb = REG_QUERY, .object = p->object, .query = &q};
	struct found found = {.arena = w->session.arena};

	*key = NULL;
	if (!p->type->find || !u->record.find.n) {
		files_say(&w->session, REG_MISSING, p->object->fields->name, N_("This element is required"), STR(""));
		return CEIR_OK;
	}
	q.n_filters = make_filters(p, u, reg_session_role(w->session.s), filters);
	c.request = arena_printf(w->session.arena, "query %s\n%s=%.*s\n", p->object->name, p->type->find, (int)u->record.find.n, u->record.find.p);
	w->session.take = take_found;
	w->session.ctx = &found;
	enum ceir_err err = files_execute(&w->session, &c);
	w->session.take = NULL;
	if (err || w->session.code >= 2000)
		return err;
	if (found.n != 1) {
		files_say(&w->session, found.n ? REG_ASSOCIATION : REG_NOT_FOUND, p->type->find,
			found.n ? N_("There are several; say which by its id") : N_("There is none that could be meant"), u->record.find);
		return CEIR_OK;
	}
	*key = arena_alloc(w->session.arena, sizeof **key);
	if (!*key || !found.keys[0].p)
		return CEIR_ENOMEM;
	(*key)->field = p->object->fields;
	(*key)->text = found.keys[0];
	return CEIR_OK;
}

/* One command of a record. step: 0, 1. What the session says after it is the answer. */
static enum ceir_err execute(struct worker *w, struct unit *u, unsigned step, enum reg_verb verb)
{
	const struct files_job *j = w->rows->job;
	struct reg_command c = {.verb = verb, .object = j->plan.object};
	char trid[FILES_TRID + 24];
	bool done = false;
	enum ceir_err err = CEIR_OK;

	snprintf(trid, sizeof trid, "%s-%" PRIu64 "%c", j->trid, u->first, (char)('a' + step));
	c.cltrid = str_of(trid);
	if (u->look_up)
		err = files_done_before(&w->session, j, trid, &done, NULL);
	if (err || done)
		return err;
	c.key = u->record.key;
	if (verb != REG_CREATE && !c.key) {
		err = find_key(w, u, &c.key);
		if (err || !c.key)
			return err;
	}
	c.set = u->record.set;
	if (verb == REG_UPDATE)
		files_record_split(&u->record, &c.set, &c.add);
	return files_execute(&w->session, &c);
}

/* What is there already is updated: but for its key and what never changes. */
static void make_update(const struct files_plan *p, struct unit *u)
{
	struct reg_node **at = &u->record.set;

	while (*at) {
		struct reg_node *n = *at;

		if (n->field != p->object->fields && !(n->field->flags & REG_FIXED)) {
			at = &n->next;
			continue;
		}
		*at = n->next;
		n->next = NULL;
		if (n->field == p->object->fields)
			u->record.key = n;
	}
	u->record.end = at;
}

/* Ends what there is; the ground of the new one says why. */
static enum ceir_err end_present(struct worker *w, struct unit *u, unsigned step)
{
	struct reg_node *all = u->record.set, *ground = all, only;

	while (ground && strcmp(ground->field->name, "ground") != 0)
		ground = ground->next;
	if (ground) {
		only = *ground;
		only.next = NULL;
	}
	u->record.set = ground ? &only : NULL;
	enum reg_verb verb = u->record.verb;
	u->record.verb = REG_DELETE;
	enum ceir_err err = execute(w, u, step, REG_DELETE);
	u->record.set = all;
	u->record.verb = verb;
	return err;
}

/* ---- of a whole list ---- */

/* Steps: 'a' makes what was not listed; 'c' ends, 'd' makes anew what was listed otherwise. A crash may leave it ended: then it is made by 'a'. */
enum { MAKE = 0, END = 2, MAKE_ANEW = 3 };

static enum ceir_err was_made(struct worker *w, const struct unit *u, bool *made)
{
	static const unsigned steps[] = {MAKE_ANEW, MAKE};
	const struct files_job *j = w->rows->job;
	char trid[FILES_TRID + 24];
	enum ceir_err err = CEIR_OK;

	*made = false;
	for (size_t i = 0; i < CEIR_COUNT(steps) && u->look_up && !err && !*made; i++) {
		snprintf(trid, sizeof trid, "%s-%" PRIu64 "%c", j->trid, u->first, (char)('a' + steps[i]));
		err = files_done_before(&w->session, j, trid, made, NULL);
	}
	return err;
}

static enum ceir_err make_key(struct worker *w, struct unit *u, const char *id)
{
	struct reg_node *key = arena_alloc(u->arena, sizeof *key);

	if (!key)
		return CEIR_ENOMEM;
	key->field = w->rows->job->plan.object->fields;
	key->text = str_of(id);
	u->record.key = key;
	return CEIR_OK;
}

static enum ceir_err do_listed(struct worker *w, struct unit *u)
{
	bool made;
	enum ceir_err err = was_made(w, u, &made);

	if (err || made)
		return err;
	if (!u->present)
		return execute(w, u, MAKE, REG_CREATE);
	if (files_full_same(u->present, &u->record)) {
		files_say(&w->session, REG_DONE, NULL, N_("It is listed already, and stays so"), STR(""));
		return CEIR_OK;
	}
	err = make_key(w, u, u->present->id);
	if (!err)
		err = end_present(w, u, END);
	u->record.key = NULL;
	return err || w->session.code >= 2000 ? err : execute(w, u, MAKE_ANEW, REG_CREATE);
}

static enum ceir_err do_ending(struct worker *w, struct unit *u)
{
	const struct files_job *j = w->rows->job;
	struct reg_node *ground = arena_alloc(u->arena, sizeof *ground);

	if (!ground)
		return CEIR_ENOMEM;
	ground->field = reg_field_find(j->plan.object->fields, STR("ground"));
	ground->text = arena_printf(u->arena, "%s does not name it", j->shown);
	u->record = (struct files_record){.verb = REG_DELETE, .set = ground};
	enum ceir_err err = ground->text.p ? make_key(w, u, u->ending->id) : CEIR_ENOMEM;
	if (!err)
		err = execute(w, u, END, REG_DELETE);
	if (!err && w->session.code < 2000) {
		buf_clear(&w->session.text);
		buf_c(&w->session.text, i18n_text(w->session.lang, N_("Ended: the whole list no longer names it")));
	}
	return err;
}

static enum ceir_err do_record(struct worker *w, struct unit *u)
{
	const struct files_plan *p = &w->rows->job->plan;
	enum ceir_err err;

	if (u->ending)
		return do_ending(w, u);

	if (u->record.fault) {
		files_say(&w->session, REG_VALUE, u->record.fault_element, u->record.fault, u->record.fault_value);
		return CEIR_OK;
	}
	if (w->rows->full)
		return do_listed(w, u);
	if (u->record.verb == REG_UPDATE && p->type->replace) {
		err = end_present(w, u, 0);
		u->record.key = NULL;
		return err || w->session.code >= 2000 ? err : execute(w, u, 1, REG_CREATE);
	}
	err = execute(w, u, 0, u->record.verb);
	if (err || !p->type->put || u->record.verb != REG_CREATE || w->session.code != REG_EXISTS)
		return err;
	make_update(p, u);
	return execute(w, u, 1, REG_UPDATE);
}

static void keep_answer(const struct files_session *s, struct unit *u)
{
	u->code = s->code;
	memcpy(u->svtrid, s->svtrid, sizeof u->svtrid);
	buf_clear(&u->text);
	buf_str(&u->text, buf_view(&s->text));
}

static void *work(void *arg)
{
	struct worker *w = arg;
	struct rows *r = w->rows;

	pthread_mutex_lock(&r->lock);
	for (;;) {
		while (!w->queue && !r->ending)
			pthread_cond_wait(&w->wake, &r->lock);
		struct unit *u = w->queue;
		if (!u || r->err)
			break;
		w->queue = u->next;
		if (!w->queue)
			w->end = &w->queue;
		pthread_mutex_unlock(&r->lock);
		arena_reset(w->session.arena);
		enum ceir_err err = files_stopping(r->job) ? CEIR_ECLOSED : do_record(w, u);
		if (!err)
			keep_answer(&w->session, u);
		pthread_mutex_lock(&r->lock);
		u->done = !err;
		if (err && !r->err)
			r->err = err;
		pthread_cond_signal(&r->drained);
	}
	pthread_mutex_unlock(&r->lock);
	return NULL;
}

/* ---- giving out, in the reading thread ---- */

static enum ceir_err start_worker(struct rows *r, unsigned i)
{
	struct worker *w = &r->workers[i];
	enum ceir_err err = files_session_open(r->job->f, r->job->a, &w->session);

	if (err == CEIR_ELIMIT && r->workers[0].started) {
		w->instead = &r->workers[0];
		return CEIR_OK;
	}
	if (err)
		return err;
	w->rows = r;
	w->end = &w->queue;
	pthread_cond_init(&w->wake, NULL);
	err = thread_start("files-work", work, w, &w->thread);
	w->started = !err;
	if (err) {
		files_session_close(&w->session);
		pthread_cond_destroy(&w->wake);
	}
	return err;
}

static enum ceir_err give(struct rows *r, struct unit *u)
{
	unsigned i = (unsigned)(u->record.order % WORKERS);
	enum ceir_err err = r->workers[0].started ? CEIR_OK : start_worker(r, 0);

	if (!err && !r->workers[i].started && !r->workers[i].instead)
		err = start_worker(r, i);
	if (err)
		return err;
	struct worker *w = r->workers[i].instead ? r->workers[i].instead : &r->workers[i];
	u->next = NULL;
	pthread_mutex_lock(&r->lock);
	*w->end = u;
	w->end = &u->next;
	pthread_cond_signal(&w->wake);
	pthread_mutex_unlock(&r->lock);
	return CEIR_OK;
}

static enum ceir_err put_unit(struct rows *r, const struct unit *u)
{
	struct files_entry e = {.first = u->first, .n = u->n, .code = u->code, .svtrid = str_of(u->svtrid), .reject = str_of(u->reject ? u->reject : ""),
		.text = buf_view(&u->text)};
	enum ceir_err err = files_journal_put(r->journal, &e);

	if (!err && ++r->unsynced == RING) {
		err = files_journal_sync(r->journal);
		r->unsynced = 0;
	}
	return err;
}

/* Answers in the order of the file into the journal, until at most `leave` records are under way. */
static enum ceir_err drain(struct rows *r, uint64_t leave)
{
	enum ceir_err err = CEIR_OK;

	while (!err && r->tail < r->head) {
		const struct unit *u = &r->ring[r->tail % RING];

		pthread_mutex_lock(&r->lock);
		while (!u->done && !r->err && r->head - r->tail > leave)
			pthread_cond_wait(&r->drained, &r->lock);
		bool done = u->done;
		err = done ? CEIR_OK : r->err;
		pthread_mutex_unlock(&r->lock);
		if (!done)
			return err;
		err = put_unit(r, u);
		r->tail++;
	}
	return err;
}

static enum ceir_err begin_unit(struct rows *r, uint64_t first, struct unit **out)
{
	enum ceir_err err = drain(r, RING - 1);
	struct unit *u = &r->ring[r->head % RING];

	if (err)
		return err;
	if (!u->arena && !(u->arena = arena_new(UNIT_ARENA)))
		return CEIR_ENOMEM;
	arena_reset(u->arena);
	u->first = first;
	u->n = 1;
	u->done = u->too_large = false;
	u->code = 0;
	u->svtrid[0] = '\0';
	u->reject = NULL;
	u->present = NULL;
	u->ending = NULL;
	u->key = STR("");
	buf_clear(&u->text);
	u->look_up = r->begun_before && r->looked_up < LOOK_UP;
	r->looked_up++;
	r->head++;
	*out = u;
	return CEIR_OK;
}

/* Answered without a command. */
static void settle(struct rows *r, struct unit *u, const char *reject, const char *english)
{
	u->code = REG_VALUE;
	u->reject = reject;
	files_put_line(&u->text, str_of(i18n_text(r->job->lang, english)));
	pthread_mutex_lock(&r->lock);
	u->done = true;
	pthread_mutex_unlock(&r->lock);
}

/* "stolen_list-kyiv.csv row 12": for whoever reads the register. One space between words, as texts of the register have. */
static struct str source_of(const struct files_job *j, uint64_t row, char out[FILES_NAME + 32])
{
	size_t n = 0;

	for (const char *p = j->shown; *p; p++)
		if (*p != ' ' || (n && out[n - 1] != ' '))
			out[n++] = *p;
	n += (size_t)snprintf(out + n, FILES_NAME + 32 - n, " row %" PRIu64, row);
	return (struct str){out, n};
}

/* ---- rows to records ---- */

struct reading {
	struct rows *r;
	struct unit *open;              /* a record that further rows may belong to */
	uint64_t row;
};

static enum ceir_err close_unit(struct rows *r, struct unit *u)
{
	if (!u->too_large)
		return give(r, u);
	settle(r, u, "size", N_("The record is too large"));
	return CEIR_OK;
}

static enum ceir_err close_open(struct reading *g)
{
	struct unit *u = g->open;

	g->open = NULL;
	return u ? close_unit(g->r, u) : CEIR_OK;
}

static enum ceir_err take_row(struct reading *g, const struct table_row *row)
{
	const struct files_plan *p = &g->r->job->plan;
	struct str key = row->fault || !p->has_groups ? STR("") : files_row_key(p, row);
	char source[FILES_NAME + 32];
	struct unit *u = g->open;
	bool further = u && key.n && str_eq(key, u->key);
	enum ceir_err err = further ? CEIR_OK : close_open(g);

	if (!err && !further)
		err = begin_unit(g->r, g->row, &u);
	if (err)
		return err;
	if (row->fault) {
		settle(g->r, u, table_fault_code(row->fault), table_fault_text(row->fault));
		return CEIR_OK;
	}
	if (further)
		u->n++;
	else
		u->key = arena_str(u->arena, key);
	/* Further rows of what is too large belong to it all the same: no half of a permit is made. */
	u->too_large |= !u->key.p || files_record_add(p, row, !further, source_of(g->r->job, g->row, source), u->arena, &u->record);
	if (further)
		return CEIR_OK;
	if (g->r->full && !u->too_large && !u->record.fault)
		u->present = files_full_find(g->r->full, u->record.find);
	if (!u->key.p || !key.n)
		return close_unit(g->r, u);
	g->open = u;
	return CEIR_OK;
}

/* Behind the last row, numbered on. */
static enum ceir_err give_endings(struct reading *g)
{
	struct rows *r = g->r;
	const struct files_ending *e;
	struct unit *u;
	enum ceir_err err = CEIR_OK;

	for (size_t i = 0; r->full && !err && (e = files_full_ending(r->full, i)); i++) {
		if (files_stopping(r->job))
			return CEIR_ECLOSED;
		if (++g->row <= r->answered)
			continue;
		err = begin_unit(r, g->row, &u);
		if (err)
			return err;
		u->ending = e;
		u->record = (struct files_record){.verb = REG_DELETE, .order = g->row};
		err = give(r, u);
	}
	return err;
}

static enum ceir_err read_all(struct rows *r)
{
	struct reading g = {.r = r};
	struct table_row row;
	enum ceir_err err = CEIR_OK, end = CEIR_OK;

	while (!err && !(end = table_next(r->job->table, &row))) {
		if (files_stopping(r->job))
			err = CEIR_ECLOSED;
		else if (++g.row > r->answered)
			err = take_row(&g, &row);
	}
	/* What cannot be read any more is said in the answer; what came before is done. */
	if (!err && end != CEIR_ENOENT && end != CEIR_EINVAL && end != CEIR_ELIMIT)
		err = end;
	if (!err)
		err = close_open(&g);
	if (!err)
		err = give_endings(&g);
	if (!err)
		err = drain(r, 0);
	return err ? err : files_journal_sync(r->journal);
}

static void end_workers(struct rows *r, enum ceir_err err)
{
	pthread_mutex_lock(&r->lock);
	r->ending = true;
	if (err && !r->err)
		r->err = err;
	for (unsigned i = 0; i < WORKERS; i++)
		if (r->workers[i].started)
			pthread_cond_signal(&r->workers[i].wake);
	pthread_mutex_unlock(&r->lock);
	for (unsigned i = 0; i < WORKERS; i++) {
		struct worker *w = &r->workers[i];

		if (!w->started)
			continue;
		pthread_join(w->thread, NULL);
		pthread_cond_destroy(&w->wake);
		files_session_close(&w->session);
	}
	for (unsigned i = 0; i < RING; i++) {
		arena_free(r->ring[i].arena);
		buf_free(&r->ring[i].text);
	}
}

/* ---- the answer ---- */

static enum ceir_err answer_row(struct files_answer *a, const struct table_row *row, const struct files_entry *e)
{
	char reject[64];

	snprintf(reject, sizeof reject, "%.*s", (int)e->reject.n, e->reject.n ? e->reject.p : "");
	return files_answer_row(a, row, NULL, e->code, e->text, e->svtrid, e->code >= 2000 ? reject : NULL);
}

/* What was ended, in the columns of the file, and why nothing was. Refused or not, it is no row that could be sent again. */
static enum ceir_err answer_endings(struct files_job *j, struct files_journal *l, const struct files_full *full, struct files_answer *a)
{
	struct table_cell cells[TABLE_COLUMNS_MAX] = {{.text = STR("")}};
	struct table_row row = {.cells = cells, .n = j->plan.n};
	struct buf why = BUF_INIT(4096);
	const struct files_ending *ending;
	struct files_entry e;
	enum ceir_err err = CEIR_OK;

	for (size_t i = 0; !err && (ending = files_full_ending(full, i)); i++) {
		for (size_t k = 0; k < j->plan.n; k++) {
			const struct reg_field *f = j->plan.targets[k].field;

			cells[k].text = f == j->plan.object->fields ? str_of(ending->id)
				: f && strcmp(f->name, j->type->find) == 0 ? str_of(ending->find) : STR("");
		}
		err = files_journal_next(l, &e);
		if (!err)
			err = files_answer_row(a, &row, NULL, e.code, e.text, e.svtrid, NULL);
	}
	unsigned code = err ? 0 : files_full_why(full, j->lang, &why);
	if (code)
		err = files_answer_row(a, NULL, NULL, code, buf_view(&why), STR(""), NULL);
	buf_free(&why);
	return err == CEIR_ENOENT ? CEIR_ECORRUPT : err;
}

static enum ceir_err answer_rows(struct files_job *j, struct files_journal *l, const struct files_full *full, struct files_answer *a)
{
	struct files_entry e = {.first = 0, .n = 0};
	struct table_row row;
	uint64_t n = 0;
	enum ceir_err err;

	while (!(err = table_next(j->table, &row))) {
		if (++n >= e.first + e.n)
			err = files_journal_next(l, &e);
		if (err)
			return err == CEIR_ENOENT ? CEIR_ECORRUPT : err;
		err = answer_row(a, &row, &e);
		if (err)
			return err;
	}
	if (err == CEIR_EINVAL || err == CEIR_ELIMIT)
		err = files_answer_broken(a, table_why(j->table));
	else if (err == CEIR_ENOENT)
		err = CEIR_OK;
	return err || !full ? err : answer_endings(j, l, full, a);
}

static enum ceir_err answer(struct files_job *j, struct files_journal *l, const struct files_full *full)
{
	struct files_answer *a;
	enum ceir_err err = files_table_open(j);

	if (!err)
		err = files_answer_new(j, NULL, 0, &a);
	if (err)
		return err;
	err = answer_rows(j, l, full, a);
	if (!err)
		return files_answer_finish(a);
	files_answer_drop(a);
	return err;
}

static enum ceir_err do_all(struct files_job *j, struct files_journal *l, struct files_full *full, uint64_t answered, bool begun_before)
{
	struct rows *r = calloc(1, sizeof *r);

	if (!r)
		return CEIR_ENOMEM;
	r->job = j;
	r->journal = l;
	r->full = full;
	r->answered = answered;
	r->begun_before = begun_before;
	pthread_mutex_init(&r->lock, NULL);
	pthread_cond_init(&r->drained, NULL);
	enum ceir_err err = read_all(r);
	end_workers(r, err);
	pthread_cond_destroy(&r->drained);
	pthread_mutex_destroy(&r->lock);
	free(r);
	return err;
}

/* CEIR_EINVAL: what says that it is the whole list cannot be one; refused. */
static enum ceir_err open_full(struct files_job *j, struct files_full **full)
{
	bool force;

	if (j->type->whole == FILES_WHOLE_NOT || !files_name_is_full(str_of(j->name), j->type, &force))
		return CEIR_OK;
	const char *why = j->type->whole == FILES_WHOLE_REFUSED ? N_("Of {0} there are no whole lists: send what comes and goes")
		: j->plan.has_action ? N_("The name says that this is the whole list: it has no column \"{0}\"") : NULL;
	if (!why)
		return files_full_open(j, full);
	enum ceir_err err = files_refuse(j, REG_SYNTAX, why, j->plan.has_action && j->type->whole == FILES_WHOLE ? STR("change_type") : str_of(j->type->name));
	return err ? err : CEIR_EINVAL;
}

enum ceir_err files_do_rows(struct files_job *j)
{
	struct files_journal *l = NULL;
	struct files_full *full = NULL;
	uint64_t answered;
	bool made = true;
	enum ceir_err err = files_table_open(j);

	if (!err)
		err = open_full(j, &full);
	if (!err)
		err = files_journal_open(j, &l, &answered, &made);
	if (!err)
		err = do_all(j, l, full, answered, !made);
	if (!err)
		err = answer(j, l, full);
	files_journal_close(l);
	files_full_close(full);
	return err;
}

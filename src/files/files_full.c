/*
 * files_full.c - see files_full.h.
 *
 * SEQ.ends is text: "ceir-ends-1 WHY A B", then a line "ID SUBJECT" for each that is to be ended, then "end". WHY: `ends`; `guard`: A of B would have been
 * ended, too many for a mistake to be unlikely; `unread`: row A names nobody that can be read, so that nobody knows who is no longer named. A file that does
 * not end so is of a crash before anything was done: it is made anew.
 */
#include "files/files_full.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#include "ident/ident.h"

#define HEAD "ceir-ends-1 "
#define ENDS_MAX ((size_t)1 << 30)
#define PAGE 1000u
#define ARENA_BYTES ((size_t)1 << 20)

enum why { ENDS, GUARD, UNREAD };
static const char *const why_names[] = {"ends", "guard", "unread"};

struct files_full {
	struct files_job *job;
	struct files_present *present; /* ascending by subject */
	size_t n_present, max_present;
	struct files_ending *endings;
	size_t n_endings, max_endings;
	uint64_t *named;               /* subjects of the file, ascending; while it is decided */
	size_t n_named, max_named;
	enum why why;
	uint64_t a, b;
};

/* Room for one more. */
static bool grow(void **items, size_t n, size_t *max, size_t size)
{
	size_t more = *max ? 2 * *max : 1024, bytes;

	if (n < *max)
		return true;
	void *p = size_mul(more, size, &bytes) ? realloc(*items, bytes) : NULL;
	if (!p)
		return false;
	*items = p;
	*max = more;
	return true;
}

static bool is_of_tacs(const struct files_type *t)
{
	return strcmp(t->find, "tac") == 0;
}

static bool subject_of(const struct files_type *t, struct str find, uint64_t *out)
{
	struct imei imei = {0};
	struct tac tac = {0};

	if (is_of_tacs(t) ? tac_parse(find, &tac) != CEIR_OK : imei_parse(find, &imei) != IMEI_GOOD)
		return false;
	*out = is_of_tacs(t) ? tac.n : imei.n;
	return true;
}

/* ---- what is there ---- */

struct looking {
	struct files_full *f;
	size_t before;                 /* present before the page, which may be rendered twice */
	char cursor[512];
	bool failed;                   /* memory, or a cursor that does not fit */
};

static struct str text_of(const struct reg_node *list, const char *name)
{
	for (; list; list = list->next)
		if (strcmp(list->field->name, name) == 0)
			return list->text;
	return STR("");
}

/* "stolen_list-kyiv.csv row 12": made by a file of this type, and nobody has given it another ground since. */
static bool is_of_type(const struct files_type *t, struct str ground)
{
	size_t digits = 0;
	const struct str between = STR(" row ");

	while (digits < ground.n && ground.p[ground.n - digits - 1] >= '0' && ground.p[ground.n - digits - 1] <= '9')
		digits++;
	if (!digits || ground.n < digits + between.n)
		return false;
	struct str name = {ground.p, ground.n - digits - between.n};
	return memcmp(ground.p + name.n, between.p, between.n) == 0 && files_type_of(name) == t;
}

static bool keep_item(struct files_full *f, const struct reg_node *item)
{
	struct files_present p = {.since_us = 0};
	struct str colour = text_of(item, "colour"), stage = text_of(item, "stage"), id = item ? item->text : STR("");

	if (!is_of_type(f->job->type, text_of(item, "ground")) || !subject_of(f->job->type, text_of(item, f->job->type->find), &p.subject))
		return true;
	if (id.n >= sizeof p.id || !grow((void **)&f->present, f->n_present, &f->max_present, sizeof p))
		return false;
	memcpy(p.id, id.p, id.n);
	p.colour = colour.n ? colour.p[0] : '\0';
	p.stage = stage.n ? stage.p[0] : '\0';
	if (time_parse(text_of(item, "since"), &p.since_us))
		p.since_us = 0;
	f->present[f->n_present++] = p;
	return true;
}

static void take_page(void *ctx, const struct reg_reply *reply)
{
	struct looking *l = ctx;
	const struct reg_page *page = reply->page;

	l->cursor[0] = '\0';
	l->f->n_present = l->before;
	for (size_t i = 0; page && i < page->n_items && !l->failed; i++)
		l->failed = !keep_item(l->f, page->items[i]);
	if (!page || !page->next.n)
		return;
	l->failed |= page->next.n >= sizeof l->cursor;
	if (!l->failed) {
		memcpy(l->cursor, page->next.p, page->next.n);
		l->cursor[page->next.n] = '\0';
	}
}

static int by_subject(const void *a, const void *b)
{
	const struct files_present *x = a, *y = b;

	return x->subject != y->subject ? (x->subject < y->subject ? -1 : 1) : strcmp(x->id, y->id);
}

/* All that the account has made and that is not ended; a role that may not ask is told so at its rows. */
static enum ceir_err look(struct files_full *f)
{
	const struct reg_object *o = f->job->plan.object;
	struct reg_filter filters[] = {{STR("crID"), REG_EQ, str_of(f->job->a->clid)}, {STR("status"), REG_NE, STR("ended")}};
	struct looking l = {.f = f};
	struct files_session s;
	enum ceir_err err = files_session_open(f->job->f, f->job->a, &s);

	if (err)
		return err;
	s.take = take_page;
	s.ctx = &l;
	do {
		struct reg_query q = {.filters = filters, .n_filters = CEIR_COUNT(filters), .limit = PAGE};
		struct reg_command c = {.verb = REG_QUERY, .object = o, .query = &q};

		arena_reset(s.arena);
		l.before = f->n_present;
		q.cursor = arena_str(s.arena, str_of(l.cursor));
		c.request = arena_printf(s.arena, "query %s\ncrID=%s\n", o->name, f->job->a->clid);
		err = files_stopping(f->job) ? CEIR_ECLOSED : q.cursor.p && c.request.p ? files_execute(&s, &c) : CEIR_ENOMEM;
	} while (!err && !l.failed && s.code < 2000 && l.cursor[0]);
	files_session_close(&s);
	if (f->n_present)
		qsort(f->present, f->n_present, sizeof *f->present, by_subject);
	return err ? err : l.failed ? CEIR_ENOMEM : CEIR_OK;
}

const struct files_present *files_full_find(const struct files_full *f, struct str find)
{
	uint64_t subject;
	size_t from = 0, to = f->n_present;

	if (!subject_of(f->job->type, find, &subject))
		return NULL;
	while (from < to) {
		size_t middle = from + (to - from) / 2;

		if (f->present[middle].subject < subject)
			from = middle + 1;
		else
			to = middle;
	}
	return from < f->n_present && f->present[from].subject == subject ? &f->present[from] : NULL;
}

/* A row that gives no day does not say another one. */
bool files_full_same(const struct files_present *p, const struct files_record *r)
{
	struct str colour = text_of(r->set, "colour"), stage = text_of(r->set, "stage"), since = text_of(r->set, "since");
	int64_t since_us;

	if ((colour.n && colour.p[0] != p->colour) || (stage.n ? stage.p[0] : '\0') != p->stage)
		return false;
	return !since.n || (!time_parse(since, &since_us) && since_us == p->since_us);
}

/* ---- who is named ---- */

static int by_number(const void *a, const void *b)
{
	const uint64_t *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

/* What names nobody leaves open who is meant. A row that only says that somebody is not, or not yet, listed does not name him. */
static enum ceir_err name_row(struct files_full *f, const struct table_row *row, struct arena *arena, bool *read)
{
	struct files_record r;
	uint64_t subject;

	arena_reset(arena);
	*read = !row->fault;
	if (row->fault)
		return CEIR_OK;
	enum ceir_err err = files_record_add(&f->job->plan, row, true, STR("x"), arena, &r);
	if (err)
		return err;
	*read = subject_of(f->job->type, r.find, &subject);
	if (!*read || r.fault)
		return CEIR_OK;
	if (!grow((void **)&f->named, f->n_named, &f->max_named, sizeof *f->named))
		return CEIR_ENOMEM;
	f->named[f->n_named++] = subject;
	return CEIR_OK;
}

static enum ceir_err name_rows(struct files_full *f)
{
	struct arena *arena = arena_new(ARENA_BYTES);
	struct table_row row;
	uint64_t n = 0;
	bool read = true;
	enum ceir_err err = arena ? CEIR_OK : CEIR_ENOMEM, end = CEIR_OK;

	while (!err && read && !(end = table_next(f->job->table, &row))) {
		n++;
		err = files_stopping(f->job) ? CEIR_ECLOSED : name_row(f, &row, arena, &read);
	}
	arena_free(arena);
	if (err)
		return err;
	if (end && end != CEIR_ENOENT && end != CEIR_EINVAL && end != CEIR_ELIMIT)
		return end;
	/* Unreadable from there on: the row behind the last one. */
	if (!read || (end && end != CEIR_ENOENT)) {
		f->why = UNREAD;
		f->a = read ? n + 1 : n;
	}
	if (f->n_named)
		qsort(f->named, f->n_named, sizeof *f->named, by_number);
	return CEIR_OK;
}

static bool is_named(const struct files_full *f, uint64_t subject)
{
	return f->n_named && bsearch(&subject, f->named, f->n_named, sizeof *f->named, by_number);
}

/* ---- what is ended ---- */

static enum ceir_err add_ending(struct files_full *f, const char *id, const char *find)
{
	if (!grow((void **)&f->endings, f->n_endings, &f->max_endings, sizeof *f->endings))
		return CEIR_ENOMEM;
	struct files_ending *e = &f->endings[f->n_endings++];
	snprintf(e->id, sizeof e->id, "%s", id);
	snprintf(e->find, sizeof e->find, "%s", find);
	return CEIR_OK;
}

static enum ceir_err add_present(struct files_full *f, const struct files_present *p)
{
	char find[IMEI_DIGITS + 1];

	if (is_of_tacs(f->job->type))
		tac_print((struct tac){(uint32_t)p->subject}, find);
	else
		imei_print((struct imei){p->subject}, find);
	return add_ending(f, p->id, find);
}

static enum ceir_err decide(struct files_full *f)
{
	uint64_t percent = f->job->f->s.ends_percent, some = f->n_present * percent / 100;
	bool force = false;
	enum ceir_err err = name_rows(f);

	(void)files_name_is_full(str_of(f->job->name), f->job->type, &force);
	for (size_t i = 0; i < f->n_present && !err && f->why == ENDS; i++)
		if (!is_named(f, f->present[i].subject))
			err = add_present(f, &f->present[i]);
	/* One may always go. */
	if (!err && !force && f->n_endings > (some ? some : 1)) {
		f->why = GUARD;
		f->a = f->n_endings;
		f->b = f->n_present;
		f->n_endings = 0;
	}
	free(f->named);
	f->named = NULL;
	return err;
}

/* ---- SEQ.ends ---- */

static enum ceir_err write_ends(const struct files_full *f)
{
	struct buf b = BUF_INIT(ENDS_MAX);
	char entry[32];

	buf_printf(&b, HEAD "%s %" PRIu64 " %" PRIu64 "\n", why_names[f->why], f->a, f->b);
	for (size_t i = 0; i < f->n_endings; i++)
		buf_printf(&b, "%s %s\n", f->endings[i].id, f->endings[i].find);
	buf_c(&b, "end\n");
	snprintf(entry, sizeof entry, "%.16s.ends", f->job->seq);
	int fd = openat(f->job->queue, entry, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
	enum ceir_err err = fd < 0 ? ceir_err_of_errno(errno) : b.failed ? CEIR_ENOMEM : fd_write_all(fd, b.p, b.n);
	if (!err && (fsync(fd) || fsync(f->job->queue)))
		err = ceir_err_of_errno(errno);
	if (fd >= 0)
		close(fd);
	buf_free(&b);
	return err;
}

static enum ceir_err read_all(int fd, struct buf *out)
{
	ssize_t n;

	do {
		char *p = buf_reserve(out, 65536);

		if (!p)
			return CEIR_ENOMEM;
		n = read(fd, p, 65536);
		out->n += n > 0 ? (size_t)n : 0;
	} while (n > 0 || (n < 0 && errno == EINTR));
	return n < 0 ? ceir_err_of_errno(errno) : CEIR_OK;
}

static bool parse_head(struct files_full *f, struct str line)
{
	struct str word = STR(""), a = STR("");

	if (!str_starts(line, STR(HEAD)))
		return false;
	line.p += strlen(HEAD);
	line.n -= strlen(HEAD);
	if (!str_cut(&line, ' ', &word) || !str_cut(&line, ' ', &a) || str_u64(a, UINT64_MAX, &f->a) || str_u64(line, UINT64_MAX, &f->b))
		return false;
	for (unsigned i = 0; i < CEIR_COUNT(why_names); i++)
		if (str_eq_c(word, why_names[i])) {
			f->why = (enum why)i;
			return true;
		}
	return false;
}

/* CEIR_ENOENT: there is none that is whole. */
static enum ceir_err parse_ends(struct files_full *f, struct str text)
{
	struct str line = STR(""), id = STR("");
	enum ceir_err err = CEIR_OK;
	const struct str last = STR("\nend\n");

	if (text.n < last.n || memcmp(text.p + text.n - last.n, last.p, last.n) != 0 || !str_cut(&text, '\n', &line))
		return CEIR_ENOENT;
	if (!parse_head(f, line))
		return CEIR_ECORRUPT;
	while (!err && str_cut(&text, '\n', &line)) {
		struct files_ending e;

		if (str_eq_c(line, "end"))
			break;
		if (!str_cut(&line, ' ', &id) || id.n >= sizeof e.id || line.n >= sizeof e.find)
			return CEIR_ECORRUPT;
		snprintf(e.id, sizeof e.id, "%.*s", (int)id.n, id.p);
		snprintf(e.find, sizeof e.find, "%.*s", (int)line.n, line.p);
		err = add_ending(f, e.id, e.find);
	}
	return err;
}

static enum ceir_err read_ends(struct files_full *f)
{
	struct buf text = BUF_INIT(ENDS_MAX);
	char entry[32];

	snprintf(entry, sizeof entry, "%.16s.ends", f->job->seq);
	int fd = openat(f->job->queue, entry, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT ? CEIR_ENOENT : ceir_err_of_errno(errno);
	enum ceir_err err = read_all(fd, &text);
	if (!err)
		err = parse_ends(f, buf_view(&text));
	close(fd);
	buf_free(&text);
	return err;
}

/* ---- all ---- */

enum ceir_err files_full_open(struct files_job *j, struct files_full **out)
{
	struct files_full *f = calloc(1, sizeof *f);
	enum ceir_err err = f ? CEIR_OK : CEIR_ENOMEM;

	if (!err) {
		f->job = j;
		err = look(f);
	}
	if (!err)
		err = read_ends(f);
	if (err == CEIR_ENOENT) {
		err = decide(f);
		if (!err)
			err = write_ends(f);
		if (!err)
			err = files_table_open(j);
	}
	if (err)
		files_full_close(f);
	else
		*out = f;
	return err;
}

void files_full_close(struct files_full *f)
{
	if (!f)
		return;
	free(f->present);
	free(f->endings);
	free(f->named);
	free(f);
}

const struct files_ending *files_full_ending(const struct files_full *f, size_t i)
{
	return i < f->n_endings ? &f->endings[i] : NULL;
}

unsigned files_full_why(const struct files_full *f, size_t lang, struct buf *out)
{
	char a[24], b[24];

	snprintf(a, sizeof a, "%" PRIu64, f->a);
	snprintf(b, sizeof b, "%" PRIu64, f->b);
	const struct str args[] = {str_of(a), str_of(b)};
	if (f->why == GUARD)
		i18n_format(out, lang, N_("Nothing was ended: {0} of {1} that are listed are no longer named, too many to be sure. If that is meant, send the file again as TYPE-full-force"), args, 2);
	else if (f->why == UNREAD)
		i18n_format(out, lang, N_("Nothing was ended: row {0} cannot be read, so who is no longer named cannot be known"), args, 1);
	return f->why == GUARD ? REG_POLICY : f->why == UNREAD ? REG_VALUE : 0;
}

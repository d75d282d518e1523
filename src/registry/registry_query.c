/*
 * registry_query.c - the query extension: filter, sort, page by cursor, count; on every object. Columns and their types come
 * from the objects' tables. IMEIs have a way of their own: by key, or by the application that registered them.
 *
 * A cursor is "i" or "t", the value of the sort column of the last item (a number, or text in hex), a colon and its row id. It
 * is not secret and not trusted: whatever it says, the same rights apply.
 */
#include <inttypes.h>
#include <string.h>

#include "registry/registry_internal.h"

#define LIMIT_DEFAULT 100
#define LIMIT_MAX 1000
#define COUNT_MAX 1000000
#define FILTERS_MAX 16
#define SEARCH_ROWS 20000 /* of an application, for one page */

static enum ceir_err refuse_filter(struct exec *x, struct str field, const char *reason)
{
	return reg_refuse(x, REG_RANGE, "filter", field, reason);
}

static uint32_t limit_of(const struct exec *x)
{
	uint32_t n = x->c->query->limit;

	return n == 0 ? LIMIT_DEFAULT : n > LIMIT_MAX ? LIMIT_MAX : n;
}

/* ---- filters ---- */

/* The smallest text behind every text that begins with the prefix; .p NULL when there is none. */
static struct str prefix_end(struct exec *x, struct str prefix)
{
	struct str end = arena_str(x->arena, prefix);

	for (size_t n = end.n; n > 0 && end.p; n--)
		if ((uint8_t)end.p[n - 1] < 0xff) {
			/* Compared as bytes, so it need not be well-formed text: behind 0xd0 0x96 comes 0xd0 0x97. */
			((char *)(uintptr_t)end.p)[n - 1]++;
			return (struct str){end.p, n};
		}
	return (struct str){NULL, 0};
}

static bool add_filter(struct exec *x, struct store_query *q, struct store_filter *out, int column, enum store_op op, struct store_val v)
{
	if (q->n_filters == FILTERS_MAX) {
		if (refuse_filter(x, STR(""), N_("A query has at most so many filters: 16")))
			x->reply->code = REG_FAILED;
		return false;
	}
	out[q->n_filters++] = (struct store_filter){column, op, v};
	return true;
}

/* Leading digits of a TAC or IMEI as a range of numbers. digits: how many the whole has. */
static bool digit_range(struct str prefix, unsigned digits, int64_t *low, int64_t *high)
{
	uint64_t n, scale = 1;

	if (!prefix.n || prefix.n > digits || str_u64(prefix, INT64_MAX, &n))
		return false;
	for (size_t i = prefix.n; i < digits; i++)
		scale *= 10;
	*low = (int64_t)(n * scale);
	*high = (int64_t)(n * scale + scale - 1);
	return true;
}

static bool prefix_filter(struct exec *x, struct store_query *q, struct store_filter *out, const struct reg_field *f, struct str value)
{
	int64_t low, high;

	if (f->type == REG_TAC || f->type == REG_IMEI) {
		if (digit_range(value, f->type == REG_TAC ? TAC_DIGITS : IMEI_DIGITS - 1, &low, &high))
			return add_filter(x, q, out, f->column, STORE_GE, store_int(low)) && add_filter(x, q, out, f->column, STORE_LE, store_int(high));
	} else if ((f->type == REG_TEXT || f->type == REG_TOKEN) && value.n && str_is_utf8(value)) {
		struct str end = prefix_end(x, value);

		return add_filter(x, q, out, f->column, STORE_GE, store_text(value))
			&& (!end.p || add_filter(x, q, out, f->column, STORE_LT, store_text(end)));
	}
	if (refuse_filter(x, value, N_("This field cannot be searched by its beginning")))
		x->reply->code = REG_FAILED;
	return false;
}

static bool one_filter(struct exec *x, struct store_query *q, struct store_filter *out, const struct reg_filter *filter)
{
	static const enum store_op ops[] = {[REG_EQ] = STORE_EQ, [REG_NE] = STORE_NE, [REG_LT] = STORE_LT, [REG_LE] = STORE_LE,
		[REG_GT] = STORE_GT, [REG_GE] = STORE_GE};
	const struct reg_field *f = reg_field_find(x->c->object->fields, filter->field);
	struct store_val v;

	if (!f || !(f->flags & REG_FILTER) || !reg_sees(x, f)) {
		if (refuse_filter(x, filter->field, N_("The object cannot be filtered by this field")))
			x->reply->code = REG_FAILED;
		return false;
	}
	if (filter->op == REG_PREFIX)
		return prefix_filter(x, q, out, f, filter->value);
	if (!reg_parse(x, f, filter->value, &v))
		return false;
	/* Phone numbers of ranges are kept as numbers; what was parsed is one. */
	if (f->type == REG_MSISDN && q->table->columns[f->column].type == STORE_INT) {
		struct msisdn msisdn;
		enum ceir_err err = msisdn_parse(filter->value, &msisdn);

		CEIR_ASSERT(!err);
		v = store_int((int64_t)msisdn.n);
	}
	return add_filter(x, q, out, f->column, ops[filter->op], v);
}

/* What a role of .own may reach, as one more condition. */
static bool own_filter(struct exec *x, struct store_query *q, struct store_filter *out)
{
	const struct reg_object *o = x->c->object;
	const struct reg_who *who = &x->s->who;

	if (!(o->own[REG_QUERY] & REG_BIT(who->role)))
		return true;
	if (strcmp(o->name, "permit") == 0)
		return add_filter(x, q, out, PERMIT_IMPORTER, STORE_EQ, store_text(str_of(who->importer)));
	if (strcmp(o->name, "application") == 0 && who->role == REG_ROLE_IMPORTER)
		return add_filter(x, q, out, APPLICATION_IMPORTER, STORE_EQ, store_text(str_of(who->importer)));
	if (strcmp(o->name, "application") == 0)
		return add_filter(x, q, out, APPLICATION_CR_ID, STORE_EQ, store_text(str_of(who->clid)));
	if (strcmp(o->name, "delivery") == 0)
		return add_filter(x, q, out, DELIVERY_OPERATOR, STORE_EQ, store_text(str_of(who->operator)));
	if (strcmp(o->name, "list") == 0)
		return add_filter(x, q, out, LIST_FILE_OPERATOR, STORE_EQ, store_text(str_of(who->operator)));
	if (strcmp(o->name, "remote") == 0)
		return add_filter(x, q, out, REMOTE_ACCOUNT, STORE_EQ, store_text(str_of(who->clid)));
	CEIR_ASSERT(strcmp(o->name, "transaction") == 0);
	return add_filter(x, q, out, AUDIT_ACCOUNT, STORE_EQ, store_text(str_of(who->clid)));
}

/* ---- order and cursor ---- */

static bool choose_sort(struct exec *x, struct store_query *q)
{
	const struct reg_field *f = x->c->object->fields;

	if (x->c->query->sort.n)
		f = reg_field_find(x->c->object->fields, x->c->query->sort);
	if (!f || (x->c->query->sort.n && !(f->flags & REG_SORT))) {
		if (reg_refuse(x, REG_RANGE, "sort", x->c->query->sort, N_("The object cannot be sorted by this field")))
			x->reply->code = REG_FAILED;
		return false;
	}
	q->sort = f->column;
	q->descending = x->c->query->descending;
	return true;
}

static struct str print_cursor(struct exec *x, struct store_val v, int64_t id)
{
	char hex[2 * 1024 + 1];

	if (v.type == STORE_INT)
		return arena_printf(x->arena, "i%" PRId64 ":%" PRId64, v.i, id);
	if (v.s.n > 1024)
		v.s.n = 1024; /* no key or name is that long */
	sodium_bin2hex(hex, sizeof hex, (const uint8_t *)v.s.p, v.s.n);
	return arena_printf(x->arena, "t%s:%" PRId64, hex, id);
}

/* Signed decimal. */
static bool parse_signed(struct str s, int64_t *out)
{
	bool minus = s.n && s.p[0] == '-';
	uint64_t n;

	if (minus)
		s = (struct str){s.p + 1, s.n - 1};
	if (str_u64(s, INT64_MAX, &n))
		return false;
	*out = minus ? -(int64_t)n : (int64_t)n;
	return true;
}

static bool parse_cursor(struct exec *x, struct store_query *q)
{
	struct str c = x->c->query->cursor, value;
	size_t n = 0;

	if (!c.n)
		return true;
	char kind = c.p[0];
	struct str rest = {c.p + 1, c.n - 1};
	q->after = true;
	bool good = (kind == 'i') == (q->table->columns[q->sort].type == STORE_INT) && str_cut(&rest, ':', &value)
		&& parse_signed(rest, &q->after_id);
	if (good && kind == 'i') {
		good = parse_signed(value, &q->after_value.i);
		q->after_value.type = STORE_INT;
	} else if (good) {
		uint8_t *bytes = arena_alloc(x->arena, value.n / 2 + 1);

		good = bytes && sodium_hex2bin(bytes, value.n / 2 + 1, value.p, value.n, NULL, &n, NULL) == 0;
		q->after_value = store_text((struct str){(const char *)bytes, n});
	}
	if (!good && reg_refuse(x, REG_VALUE, "cursor", c, N_("This is not a cursor of this query")))
		x->reply->code = REG_FAILED;
	return good;
}

/* ---- rows ---- */

struct collect {
	struct exec *x;
	struct reg_page *page;
	int sort;
	uint32_t limit;
	struct store_val last;
	int64_t last_id;
	bool more;
};

static enum ceir_err collect_row(void *ctx, const struct store_val *row)
{
	struct collect *c = ctx;
	struct reg_node *nodes;

	if (c->page->n_items == c->limit) {
		c->more = true;
		return CEIR_OK;
	}
	enum ceir_err err = reg_object_nodes(c->x, c->x->c->object, row, &nodes);
	if (err)
		return err;
	c->page->items[c->page->n_items++] = nodes;
	c->last = row[c->sort];
	c->last_id = row[0].i;
	if (c->last.type != STORE_INT) {
		c->last.s = arena_str(c->x->arena, c->last.s);
		if (!c->last.s.p)
			return CEIR_ENOMEM;
	}
	return CEIR_OK;
}

static enum ceir_err count_rows(struct exec *x, const struct store_query *q, struct reg_page *page)
{
	if (!x->c->query->count && !x->c->query->count_only)
		return CEIR_OK;
	page->has_count = true;
	enum ceir_err err = store_count(x->db, q, COUNT_MAX, &page->count);
	page->count_is_floor = page->count == COUNT_MAX;
	return err;
}

static enum ceir_err query_table(struct exec *x, struct reg_page *page)
{
	struct store_filter filters[FILTERS_MAX];
	struct store_query q = {.table = reg_object_table(x->c->object), .filters = filters, .limit = limit_of(x) + 1};

	if (!own_filter(x, &q, filters) || !choose_sort(x, &q) || !parse_cursor(x, &q))
		return CEIR_OK;
	for (size_t i = 0; i < x->c->query->n_filters; i++)
		if (!one_filter(x, &q, filters, &x->c->query->filters[i]))
			return CEIR_OK;
	struct collect c = {.x = x, .page = page, .sort = q.sort, .limit = limit_of(x)};
	enum ceir_err err = count_rows(x, &q, page);
	if (!err && !x->c->query->count_only)
		err = store_select(x->db, &q, collect_row, &c);
	if (!err && c.more) {
		page->next = print_cursor(x, c.last, c.last_id);
		err = page->next.p ? CEIR_OK : CEIR_ENOMEM;
	}
	return err;
}

/* ---- IMEIs ---- */

struct imei_range {
	struct imei low, high;
	const struct reg_filter *application;
};

/* What the filters leave of all IMEIs. False: refused. */
static bool imei_filters(struct exec *x, struct imei_range *r)
{
	*r = (struct imei_range){.high = {IMEI_MAX}};
	for (size_t i = 0; i < x->c->query->n_filters; i++) {
		const struct reg_filter *f = &x->c->query->filters[i];
		struct imei imei;
		int64_t low, high;
		bool name = str_eq_c(f->field, "name"), good = false;

		if (str_eq_c(f->field, "application") && f->op == REG_EQ) {
			r->application = f;
			good = true;
		} else if (name && f->op == REG_PREFIX && digit_range(f->value, IMEI_DIGITS - 1, &low, &high)) {
			r->low.n = (uint64_t)low > r->low.n ? (uint64_t)low : r->low.n;
			r->high.n = (uint64_t)high < r->high.n ? (uint64_t)high : r->high.n;
			good = true;
		} else if (name && f->op != REG_NE && f->op != REG_PREFIX && imei_parse(f->value, &imei) == IMEI_GOOD) {
			uint64_t from = f->op == REG_GT ? imei.n + 1 : f->op == REG_GE || f->op == REG_EQ ? imei.n : 0;
			uint64_t to = f->op == REG_LT ? (imei.n ? imei.n - 1 : 0) : f->op == REG_LE || f->op == REG_EQ ? imei.n : IMEI_MAX;

			r->low.n = from > r->low.n ? from : r->low.n;
			r->high.n = to < r->high.n ? to : r->high.n;
			good = true;
		}
		if (!good) {
			if (refuse_filter(x, f->field, N_("IMEIs are filtered by name (compared or by prefix) or by application (equal)")))
				x->reply->code = REG_FAILED;
			return false;
		}
	}
	return true;
}

struct imeis {
	struct imei *list;
	size_t n;
};

static enum ceir_err keep_imei(void *ctx, const struct store_imei *row)
{
	struct imeis *l = ctx;

	l->list[l->n++] = row->imei;
	return CEIR_OK;
}

static enum ceir_err show_imeis(struct exec *x, struct reg_page *page, const struct imeis *l)
{
	bool importer = x->s->who.role == REG_ROLE_IMPORTER, own;
	struct device *before = NULL;
	enum ceir_err err = CEIR_OK;

	/* Of an importer's application those devices that it handed over, or that somebody else registered since, are not its own. */
	for (size_t i = 0; i < l->n && !err; i++) {
		err = reg_imei_nodes(x, l->list[i], &before, &page->items[page->n_items], &own);
		page->n_items += !err && (own || !importer);
	}
	return err;
}

static bool wants_count(const struct exec *x)
{
	return x->c->query->count || x->c->query->count_only;
}

static void set_count(struct reg_page *page, uint64_t count)
{
	page->has_count = true;
	page->count = count;
	page->count_is_floor = count == COUNT_MAX;
}

static enum ceir_err refuse_cursor(struct exec *x)
{
	return reg_refuse(x, REG_VALUE, "cursor", x->c->query->cursor, N_("This is not a cursor of this query"));
}

/* By key; the cursor is the last IMEI shown. */
static enum ceir_err query_range(struct exec *x, struct reg_page *page, struct imei_range *r)
{
	bool down = x->c->query->descending;
	uint32_t limit = limit_of(x);
	uint64_t count = 0;
	struct imei cursor;
	struct imeis l = {.list = arena_array(x->arena, limit, sizeof *l.list)};
	enum ceir_err err = l.list ? CEIR_OK : CEIR_ENOMEM;

	if (!err && wants_count(x)) {
		err = store_imei_count(x->db, r->low, r->high, COUNT_MAX, &count);
		set_count(page, count);
	}
	if (err || x->c->query->count_only)
		return err;
	if (x->c->query->cursor.n) {
		if (imei_parse(x->c->query->cursor, &cursor) != IMEI_GOOD)
			return refuse_cursor(x);
		if (down)
			r->high.n = cursor.n && cursor.n - 1 < r->high.n ? cursor.n - 1 : r->high.n;
		else
			r->low.n = cursor.n + 1 > r->low.n ? cursor.n + 1 : r->low.n;
	}
	err = store_imei_scan(x->db, r->low, r->high, down, limit, keep_imei, &l);
	if (!err)
		err = show_imeis(x, page, &l);
	if (!err && l.n == limit)
		page->next = reg_print_imei(x, l.list[l.n - 1]);
	return err;
}

/*
 * Accepted rows of an application behind *line, in its own order, until the list is full or *budget rows were looked at. *line:
 * the last one looked at.
 */
static enum ceir_err collect_accepted(struct exec *x, const struct store_val *app, const struct imei_range *r, int64_t *line,
	int64_t *budget, struct imeis *l)
{
	struct store_part part = {0};
	struct reg_row_raw raw;
	enum ceir_err err = CEIR_OK;

	for (int64_t at = *line + 1; !err && at <= app[APPLICATION_ROWS].i && l->n < limit_of(x) && *budget > 0; at++, --*budget) {
		int64_t number;

		if (!part.rows || at >= part.first_line + part.rows) {
			err = store_part_find(x->db, app[APPLICATION_ID].i, at, &number);
			if (!err)
				err = store_part_get(x->db, app[APPLICATION_ID].i, number, x->arena, &part);
		}
		int64_t i = at - part.first_line;
		*line = at;
		if (err || i >= (int64_t)part.results.n || part.results.p[i] != POLICY_ACCEPTED)
			continue;
		err = reg_rows_decode(part.data, part.rows, i, &raw);
		if (!err && imei_parse(raw.imei, &l->list[l->n]) == IMEI_GOOD && l->list[l->n].n >= r->low.n && l->list[l->n].n <= r->high.n)
			l->n++;
	}
	return err;
}

struct next_application {
	struct exec *x;
	struct store_val *app;
	bool found;
};

static enum ceir_err keep_application(void *ctx, const struct store_val *row)
{
	struct next_application *n = ctx;

	for (int i = 0; i < APPLICATION_N; i++)
		n->app[i] = row[i].type == STORE_INT || row[i].null ? row[i] : store_null();
	n->found = true;
	return CEIR_OK;
}

/* The first application at or behind id that the query covers: the one it names, or any of the importer's own. */
static enum ceir_err next_application(struct exec *x, const struct store_val *named, int64_t id, struct store_val *app, bool *found)
{
	struct store_filter f[] = {{APPLICATION_ID, STORE_GE, store_int(id)}, {APPLICATION_IMPORTER, STORE_EQ, store_text(str_of(x->s->who.importer))}};
	struct store_query q = {.table = &STORE_APPLICATION, .filters = f, .n_filters = 2, .limit = 1};
	struct next_application n = {x, app, false};
	enum ceir_err err = CEIR_OK;

	if (named) {
		n.found = id <= named[APPLICATION_ID].i;
		memcpy(app, named, APPLICATION_N * sizeof *app);
	} else {
		err = store_select(x->db, &q, keep_application, &n);
	}
	*found = n.found;
	return err;
}

/*
 * Devices in the order in which they were applied for. named NULL: of all applications of the importer. The cursor is the
 * application's row id, a colon, the last line looked at. A page can be short, even empty, before the last: an application of a
 * million refused rows is not searched at once.
 */
static enum ceir_err query_applications(struct exec *x, struct reg_page *page, const struct imei_range *r, const struct store_val *named)
{
	struct store_val app[APPLICATION_N];
	struct str id_text, rest = x->c->query->cursor;
	struct imeis l = {.list = arena_array(x->arena, limit_of(x), sizeof *l.list)};
	int64_t id = 0, line = 0, budget = SEARCH_ROWS;
	bool found = true;
	enum ceir_err err = l.list ? CEIR_OK : CEIR_ENOMEM;

	if (rest.n && (!str_cut(&rest, ':', &id_text) || !parse_signed(id_text, &id) || !parse_signed(rest, &line) || line < 0 || line == INT64_MAX))
		return refuse_cursor(x);
	while (!err && l.n < limit_of(x) && budget > 0) {
		err = next_application(x, named, id, app, &found);
		if (err || !found)
			break;
		line = app[APPLICATION_ID].i == id ? line : 0;
		id = app[APPLICATION_ID].i;
		err = collect_accepted(x, app, r, &line, &budget, &l);
		if (line >= app[APPLICATION_ROWS].i) {
			id++;
			line = 0;
		}
		budget--; /* an application without rows costs something too */
	}
	if (!err)
		err = show_imeis(x, page, &l);
	if (!err && found)
		err = next_application(x, named, id, app, &found);
	if (!err && found)
		page->next = arena_printf(x->arena, "%" PRId64 ":%" PRId64, id, line);
	return err;
}

/* The application that a filter names, when this session may see it. */
static bool load_named(struct exec *x, struct str name, struct store_val *app, enum ceir_err *err)
{
	if (!reg_find(x, &STORE_APPLICATION, name, app, err))
		*err = *err ? *err : reg_refuse(x, REG_NOT_FOUND, "filter", name, N_("There is no such object"));
	else if (x->s->who.role == REG_ROLE_IMPORTER && !reg_val_is(app[APPLICATION_IMPORTER], x->s->who.importer))
		*err = reg_refuse(x, REG_AUTHORIZATION, "filter", name, N_("The object belongs to somebody else"));
	return !*err && !reg_refused(x);
}

/* How many IMEIs an application registered is known; more than that would mean to go through them all. */
static enum ceir_err count_application(struct exec *x, struct reg_page *page, const struct store_val *named)
{
	if (!named || x->c->query->n_filters > 1)
		return reg_refuse(x, REG_UNIMPL_OPTION, "count", STR(""), N_("IMEIs are counted by key, or of one application"));
	set_count(page, (uint64_t)named[APPLICATION_ACCEPTED].i);
	return CEIR_OK;
}

static enum ceir_err query_imei(struct exec *x, struct reg_page *page)
{
	struct store_val app[APPLICATION_N];
	struct imei_range r;
	enum ceir_err err = CEIR_OK;

	if (x->c->query->sort.n && !str_eq_c(x->c->query->sort, "name"))
		return reg_refuse(x, REG_RANGE, "sort", x->c->query->sort, N_("The object cannot be sorted by this field"));
	if (!imei_filters(x, &r))
		return CEIR_OK;
	if (!r.application && x->s->who.role != REG_ROLE_IMPORTER)
		return query_range(x, page, &r);
	if (r.application && !load_named(x, r.application->value, app, &err))
		return err;
	const struct store_val *named = r.application ? app : NULL;
	if (wants_count(x))
		err = count_application(x, page, named);
	return err || reg_refused(x) || x->c->query->count_only ? err : query_applications(x, page, &r, named);
}

enum ceir_err reg_query_run(struct exec *x)
{
	struct reg_page *page = arena_alloc(x->arena, sizeof *page);

	if (!page)
		return CEIR_ENOMEM;
	/* What has no table has a handler of its own, or is an IMEI. */
	CEIR_ASSERT(reg_object_table(x->c->object) || strcmp(x->c->object->name, "imei") == 0);
	page->object = x->c->object;
	page->items = arena_array(x->arena, limit_of(x), sizeof *page->items);
	if (!page->items)
		return CEIR_ENOMEM;
	enum ceir_err err = reg_object_table(x->c->object) ? query_table(x, page) : query_imei(x, page);
	if (!err && !reg_refused(x)) {
		x->reply->data = REG_DATA_QUERY;
		x->reply->object = x->c->object;
		x->reply->page = page;
	}
	return err;
}

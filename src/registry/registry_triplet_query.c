/*
 * registry_triplet_query.c - questions to the triplet store: by IMEI, IMSI or MSISDN, with the case they are asked for. Each is a
 * transaction whose name in the audit log says what was looked for and why: whoever looks at a subscriber can be asked.
 *
 * Filters: one of imei, imsi, msisdn; case (law enforcement, admin: needed); from and to (there at any time between); of: expands to all
 * triplets of every imei, imsi or msisdn that stands in a matching triplet. An operator sees the rows it delivered and nothing that
 * follows from those of others.
 *
 * A cursor is the key of the last row looked at, hexadecimal numbers: group-imei-imsi-msisdn-operator. It is not trusted: whatever it says,
 * the same rights apply.
 */
#include <inttypes.h>
#include <string.h>

#include "registry/registry_triplet.h"

#define LIMIT_DEFAULT 100
#define LIMIT_MAX 1000
#define CASE_MIN 3
#define CASE_MAX 64
#define CASE_BYTES 160 /* so that the name in the audit log holds it and what was looked for */

const char *triplet_what_name(enum triplet_what what)
{
	static const char *const names[TRIPLET_WHATS] = {"imei", "imsi", "msisdn"};

	return names[what];
}

bool triplet_in_period(const struct triplet_question *q, const struct triplet *t)
{
	if (!q->has_period || (t->episode_s <= q->to_s && t->last_s >= q->from_s))
		return true;
	for (unsigned i = t->n_episodes; i-- > 0;)
		if (t->episodes[i].from_s <= q->to_s && t->episodes[i].to_s >= q->from_s)
			return true;
	return false;
}

int triplet_order(const struct triplet *a, const struct triplet *b)
{
	const uint64_t x[] = {a->imei, a->imsi, a->msisdn, a->op}, y[] = {b->imei, b->imsi, b->msisdn, b->op};

	for (size_t i = 0; i < CEIR_COUNT(x); i++)
		if (x[i] != y[i])
			return x[i] < y[i] ? -1 : 1;
	return 0;
}

/* ---- the question ---- */

static bool refuse(struct exec *x, enum reg_code code, const char *element, struct str value, const char *reason)
{
	if (reg_refuse(x, code, element, value, reason))
		x->reply->code = REG_FAILED;
	return false;
}

/* An IMEI as written on the phone, as a network writes it, or as an answer shows what is none. */
static bool parse_imei(struct str s, uint64_t *key)
{
	struct imei imei;

	if (s.n == 16 && imei_parse_network(s, &imei, NULL, NULL) == IMEI_GOOD) {
		*key = imei.n;
		return true;
	}
	return !triplet_imei_parse(s, key);
}

static bool parse_identity(struct exec *x, enum triplet_what what, struct str s, uint64_t *key)
{
	struct imsi imsi;
	struct msisdn msisdn;

	if (what == TRIPLET_IMEI)
		return parse_imei(s, key)
			|| refuse(x, REG_VALUE, "imei", s, N_("Expected an IMEI: 14 digits, 15 with the check digit, or what stands in an answer"));
	if (what == TRIPLET_IMSI && imsi_parse(s, &imsi))
		return refuse(x, REG_VALUE, "imsi", s, reg_type_expects(REG_IMSI));
	if (what == TRIPLET_MSISDN && msisdn_parse(s, &msisdn))
		return refuse(x, REG_VALUE, "msisdn", s, reg_type_expects(REG_MSISDN));
	*key = what == TRIPLET_IMSI ? triplet_imsi_key(imsi) : triplet_msisdn_key(msisdn);
	return true;
}

/* Seconds since 1970; before and after what a sighting can have, the border. */
static bool parse_time(struct exec *x, const char *name, struct str s, uint32_t *out)
{
	int64_t us;

	if (time_parse(s, &us))
		return refuse(x, REG_VALUE, name, s, reg_type_expects(REG_TIME));
	int64_t sec = us / SECOND_US;
	*out = sec < 0 ? 0 : sec > UINT32_MAX ? UINT32_MAX : (uint32_t)sec;
	return true;
}

static bool parse_what(struct exec *x, struct str s, enum triplet_what *what)
{
	for (unsigned i = 0; i < TRIPLET_WHATS; i++)
		if (str_eq_c(s, triplet_what_name(i))) {
			*what = i;
			return true;
		}
	return refuse(x, REG_RANGE, "of", s, reg_type_expects(REG_ENUM));
}

static bool parse_case(struct exec *x, struct str s, struct str *out)
{
	const struct reg_field *f = reg_field_find(x->c->object->fields, STR("case"));
	struct store_val v;

	if (!reg_parse(x, f, s, &v))
		return false;
	if (str_trim(s).n < CASE_MIN || s.n > CASE_BYTES)
		return refuse(x, REG_RANGE, "case", s, N_("Expected the number of a case: 3 to 64 characters"));
	*out = s;
	return true;
}

/* One filter. seen: bit per name that stood before. */
static bool one_filter(struct triplet_question *q, const struct reg_filter *f, unsigned *asked)
{
	struct exec *x = q->x;
	bool from = str_eq_c(f->field, "from");

	if (f->op != REG_EQ)
		return refuse(x, REG_RANGE, "filter", f->field, N_("Triplets are found by equal values only"));
	for (unsigned i = 0; i < TRIPLET_WHATS; i++)
		if (str_eq_c(f->field, triplet_what_name(i))) {
			q->by = i;
			q->text = f->value;
			++*asked;
			return parse_identity(x, i, f->value, &q->key);
		}
	if (str_eq_c(f->field, "case"))
		return parse_case(x, f->value, &q->case_number);
	if (from || str_eq_c(f->field, "to")) {
		q->has_period = true;
		return parse_time(x, from ? "from" : "to", f->value, from ? &q->from_s : &q->to_s);
	}
	if (str_eq_c(f->field, "of"))
		return parse_what(x, f->value, &q->of);
	return refuse(x, REG_RANGE, "filter", f->field, N_("The object cannot be filtered by this field"));
}

/* Before anything else can be refused: who looked for whom stands in the audit log. */
static bool name_it(struct triplet_question *q)
{
	struct exec *x = q->x;

	x->audit_name = q->case_number.n ? arena_printf(x->arena, "case %.*s, %s %.*s", (int)q->case_number.n, q->case_number.p,
		triplet_what_name(q->by), (int)(q->text.n < 64 ? q->text.n : 64), q->text.p) : arena_printf(x->arena, "%s %.*s",
		triplet_what_name(q->by), (int)(q->text.n < 64 ? q->text.n : 64), q->text.p);
	if (!x->audit_name.p)
		x->reply->code = REG_FAILED;
	return x->audit_name.p;
}

static bool parse_question(struct triplet_question *q)
{
	struct exec *x = q->x;
	const struct reg_query *c = x->c->query;
	bool operator = x->s->who.role == REG_ROLE_OPERATOR, good = true;
	unsigned asked = 0;

	q->of = TRIPLET_WHATS;
	q->to_s = UINT32_MAX;
	q->limit = c->limit == 0 ? LIMIT_DEFAULT : c->limit > LIMIT_MAX ? LIMIT_MAX : c->limit;
	for (size_t i = 0; i < c->n_filters && good; i++)
		good = one_filter(q, &c->filters[i], &asked);
	if (asked && !name_it(q))
		return false;
	if (!good)
		return false;
	if (asked != 1)
		return refuse(x, REG_MISSING, "filter", STR(""), N_("Exactly one of imei, imsi and msisdn says what is looked for"));
	if (!operator && !q->case_number.n)
		return refuse(x, REG_MISSING, "case", STR(""), N_("A look at subscribers needs the number of the case"));
	if (c->count || c->count_only)
		return refuse(x, REG_UNIMPL_OPTION, "count", STR(""), N_("Triplets are not counted"));
	if (c->sort.n || c->descending)
		return refuse(x, REG_RANGE, "sort", c->sort, N_("The object cannot be sorted by this field"));
	if (q->of == TRIPLET_WHATS)
		q->of = q->by;
	return true;
}

/* ---- what is known around it ---- */

static enum ceir_err note_operator(void *ctx, const struct store_val *row)
{
	struct triplet_question *q = ctx;
	int64_t number = row[OPERATOR_ID].i;
	struct str code = row[OPERATOR_CODE].s;

	if (number < 1 || number >= DELIVERY_OPERATORS || code.n >= sizeof q->operators[0])
		return CEIR_OK;
	memcpy(q->operators[number], code.p, code.n);
	if (q->x->s->who.role == REG_ROLE_OPERATOR && str_eq_c(code, q->x->s->who.operator))
		q->op = (uint8_t)number;
	return CEIR_OK;
}

static enum ceir_err load_surroundings(struct triplet_question *q)
{
	struct store_query all = {.table = &STORE_OPERATOR};
	enum ceir_err err = store_select(q->x->db, &all, note_operator, q);

	q->gap_s = policy_params(reg_policy(q->x->r))->gap_days * 86400u;
	for (unsigned i = 1; i < DELIVERY_OPERATORS; i++) {
		uint32_t last_s;

		if (q->operators[i][0])
			triplets_last_full(q->x->r->triplets, (uint8_t)i, &q->last_full_s[i], &last_s);
	}
	/* An operator that the register does not know any more has nothing to see. */
	if (!err && q->x->s->who.role == REG_ROLE_OPERATOR && !q->op)
		err = reg_refuse(q->x, REG_AUTHORIZATION, "operator", str_of(q->x->s->who.operator), N_("There is no such active operator"));
	q->view = err || reg_refused(q->x) ? NULL : triplets_view_new(q->x->r->triplets);
	return err || reg_refused(q->x) || q->view ? err : CEIR_ENOMEM;
}

/* ---- pages ---- */

static struct str print_cursor(struct exec *x, const struct triplet_row *row)
{
	return arena_printf(x->arena, "%" PRIx64 "-%" PRIx64 "-%" PRIx64 "-%" PRIx64 "-%x", row->group, row->t.imei, row->t.imsi, row->t.msisdn,
		(unsigned)row->t.op);
}

static bool parse_hex(struct str s, uint64_t *out)
{
	*out = 0;
	for (size_t i = 0; i < s.n; i++) {
		char c = s.p[i];
		unsigned digit = c >= '0' && c <= '9' ? (unsigned)(c - '0') : c >= 'a' && c <= 'f' ? (unsigned)(c - 'a') + 10 : 16;

		if (digit > 15)
			return false;
		*out = *out << 4 | digit;
	}
	return s.n >= 1 && s.n <= 16;
}

static bool parse_cursor(struct exec *x, struct triplet_row *out)
{
	struct str rest = x->c->query->cursor, part;
	uint64_t v[5];
	size_t n = 0;
	bool good = true;

	while (good && n < CEIR_COUNT(v) && str_cut(&rest, '-', &part))
		good = parse_hex(part, &v[n++]);
	if (!good || n != CEIR_COUNT(v) || rest.n || v[4] > 255)
		return refuse(x, REG_VALUE, "cursor", x->c->query->cursor, N_("This is not a cursor of this query"));
	*out = (struct triplet_row){.group = v[0], .t = {.imei = v[1], .imsi = v[2], .msisdn = v[3], .op = (uint8_t)v[4]}};
	return true;
}

static enum ceir_err make_page(struct triplet_question *q, const struct triplet_found *found)
{
	struct exec *x = q->x;
	struct reg_page *page = arena_alloc(x->arena, sizeof *page);
	enum ceir_err err = CEIR_OK;

	if (!page || !(page->items = arena_array(x->arena, q->limit, sizeof *page->items)))
		return CEIR_ENOMEM;
	page->object = x->c->object;
	while (!err && page->n_items < found->n && page->n_items < q->limit) {
		err = triplet_show(q, &found->rows[page->n_items].t, &page->items[page->n_items]);
		page->n_items += !err;
	}
	if (!err && (found->n > q->limit || found->stopped)) {
		page->next = print_cursor(x, found->n > q->limit ? &found->rows[q->limit - 1] : &found->last);
		err = page->next.p ? CEIR_OK : CEIR_ENOMEM;
	}
	x->reply->data = REG_DATA_QUERY;
	x->reply->object = x->c->object;
	x->reply->page = page;
	return err;
}

enum ceir_err reg_triplet_query(struct exec *x)
{
	struct triplet_question *q = arena_alloc(x->arena, sizeof *q);
	struct triplet_found found = {.n = 0};
	struct triplet_row after;

	if (!q)
		return CEIR_ENOMEM;
	q->x = x;
	if (!parse_question(q) || (x->c->query->cursor.n && !parse_cursor(x, &after)))
		return CEIR_OK;
	enum ceir_err err = load_surroundings(q);
	if (err || reg_refused(x))
		return err;
	err = triplet_find(q, x->c->query->cursor.n ? &after : NULL, &found);
	if (err == CEIR_ELIMIT)
		err = reg_refuse(x, REG_DATA_POLICY, "of", q->text, N_("Too many triplets to expand; look at them one by one"));
	else if (!err)
		err = make_page(q, &found);
	triplets_view_free(q->view);
	return err;
}

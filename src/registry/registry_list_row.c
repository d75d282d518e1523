/* registry_list_row.c - what one IMEI is in the lists, and its rows: shared by whole lists and deltas, so that both say the same. */
#include <stdlib.h>
#include <string.h>

#include "registry/registry_list.h"

#define DAY_S 86400LL

/* ---- one IMEI ---- */

/* Is the verdict one of the classification's, so that its record says reasons and dates? */
static bool by_record(const struct reg_list_state *s)
{
	return s->has_record && (s->v.reason == VERDICT_MALFORMED || s->v.reason == VERDICT_TAC_UNALLOCATED || s->v.reason == VERDICT_CLONE
		|| s->v.reason == VERDICT_CONDITION || s->v.reason == VERDICT_UNREGISTERED_SEEN);
}

void reg_list_look(struct reg_list_make *m, uint64_t imei, struct reg_list_state *s)
{
	struct policy_facts facts = {.registration = POLICY_NOT_REGISTERED};
	struct registry *r = m->job->r;

	*s = (struct reg_list_state){.imei = imei};
	if (imei <= IMEI_MAX) {
		verdicts_enter(m->reader);
		verdicts_get_entry(r->verdicts, (struct imei){imei}, &s->v);
		s->own_black = s->v.colour == VERDICT_BLACK;
		if (m->job->dirbs)
			verdicts_get(r->verdicts, (struct imei){imei}, &s->v);
		verdicts_leave(m->reader);
	}
	if (imei > IMEI_MAX || s->v.colour == VERDICT_GREY || s->v.colour == VERDICT_BLACK)
		s->has_record = classify_get(r->class->classify, imei, &s->record);
	/* What is no IMEI has no entry: its verdict is that of the day of the last run, when its change was logged. */
	if (imei > IMEI_MAX && s->has_record) {
		policy_class_facts(m->policy, &s->record, atomic_load(&r->class->day), &facts);
		s->v = policy_verdict(&facts);
	}
	s->golden = reg_tables_golden(r, m->tables, imei);
}

bool reg_list_is_black(const struct reg_list_state *s)
{
	return s->v.colour == VERDICT_BLACK && !s->golden;
}

bool reg_list_is_grey(const struct reg_list_state *s)
{
	return s->v.colour == VERDICT_GREY && !s->golden;
}

bool reg_list_is_white(const struct reg_list_state *s)
{
	return s->imei <= IMEI_MAX && (s->v.colour == VERDICT_WHITE || (s->golden && s->v.colour != VERDICT_UNKNOWN));
}

/* Where a listing or a barred TAC decides, the genuine phone is meant as well. */
bool reg_list_has_genuine(const struct reg_list_state *s)
{
	return s->v.reason == VERDICT_CLONE && s->has_record && s->record.genuine_imsi && !s->record.resolved_day;
}

/* ---- rows ---- */

/* Who only asks whether there is any row need not see the second one. */
static enum ceir_err put_row(struct reg_list_make *m, const struct str *fields)
{
	m->any = true;
	return m->writer ? list_writer_row(m->writer, fields) : CEIR_EEXIST;
}

/* 2026-11-25 becomes 20261125. */
static void without_hyphens(char date[DATE_MAX])
{
	char *to = date;

	for (const char *p = date; *p; p++)
		if (*p != '-')
			*to++ = *p;
	*to = '\0';
}

enum ceir_err reg_list_put(struct reg_list_make *m, uint64_t imei, uint64_t imsi, uint64_t msisdn, int32_t day, const char *reasons)
{
	char a[TRIPLET_IMEI_TEXT], b[16] = "", c[16] = "", d[DATE_MAX] = "";
	struct str fields[7];
	size_t n = 0;
	enum reg_list_kind kind = m->job->kind;

	if (m->job->dirbs && ((kind == REG_LIST_GREY && (!imsi || !msisdn || !day)) || (kind == REG_LIST_EXCEPTIONS && !imsi)))
		return CEIR_OK;
	triplet_imei_print(imei, a);
	if (imsi)
		imsi_print(triplet_imsi(imsi), b);
	if (msisdn)
		msisdn_print(triplet_msisdn(msisdn), c);
	if (day)
		date_print(day, d);
	if (day && m->job->dirbs)
		without_hyphens(d);
	if (m->change)
		fields[n++] = str_of(m->change);
	fields[n++] = imei <= IMEI_MAX ? (struct str){a, IMEI_DIGITS - 1} : str_of(a);
	if (kind == REG_LIST_GREY || kind == REG_LIST_EXCEPTIONS) {
		fields[n++] = str_of(b);
		fields[n++] = str_of(c);
	}
	if (kind == REG_LIST_BLACK || kind == REG_LIST_GREY) {
		fields[n++] = str_of(d);
		fields[n++] = str_of(reasons);
	}
	return put_row(m, fields);
}

/* "clone|clone|not-registered": the verdict's reason and the blocking conditions that match. */
static void print_reasons(const struct reg_list_make *m, const struct reg_list_state *s, char *out, size_t size)
{
	const struct policy_condition_text *c;
	size_t n = (size_t)snprintf(out, size, "%s", verdict_reason_name(s->v.reason));

	for (size_t i = 0; by_record(s) && (c = policy_condition(m->policy, i)); i++)
		if ((s->record.mask & 1u << i) && c->blocking && n + 1 + c->name.n < size)
			n += (size_t)snprintf(out + n, size - n, "|%.*s", (int)c->name.n, c->name.p);
}

/* When a row of the register became what it is: day of its last change. */
static int32_t change_day(struct reg_list_make *m, uint64_t imei)
{
	struct store_imei row;
	struct store_change change;

	if (imei > IMEI_MAX || store_imei_get(m->db, (struct imei){imei}, &row) || !row.change || store_change_get(m->db, row.change, &change))
		return 0;
	return date_of_us(change.at_s * SECOND_US);
}

enum ceir_err reg_list_put_black(struct reg_list_make *m, const struct reg_list_state *s)
{
	char reasons[256];

	print_reasons(m, s, reasons, sizeof reasons);
	return reg_list_put(m, s->imei, 0, 0, by_record(s) ? s->record.block_day : change_day(m, s->imei), reasons);
}

enum ceir_err reg_list_put_locked(struct reg_list_make *m, uint64_t imei)
{
	return reg_list_put(m, imei, 0, 0, change_day(m, imei), "locked");
}

enum ceir_err reg_list_put_tac(struct reg_list_make *m, struct tac tac, const char *reason)
{
	char digits[TAC_DIGITS + 1];
	struct str fields[4];
	size_t n = 0;

	tac_print(tac, digits);
	if (m->change)
		fields[n++] = str_of(m->change);
	fields[n++] = str_of(digits);
	fields[n++] = (struct str){NULL, 0};
	fields[n++] = reason ? str_of(reason) : (struct str){NULL, 0};
	return put_row(m, fields);
}

/* ---- whose ---- */

bool reg_list_own(const struct reg_list_make *m, uint64_t imsi, uint64_t msisdn, uint8_t seen_by)
{
	uint8_t home = reg_tables_home(m->tables, imsi, msisdn);

	return home ? home == m->job->op : !seen_by || seen_by == m->job->op;
}

bool reg_list_once_own(const struct reg_list_make *m, const struct triplet *t)
{
	return t->op == m->job->op || reg_tables_home(m->tables, t->imsi, 0) == m->job->op;
}

static enum ceir_err found(void *ctx, const struct triplet *t)
{
	*(struct triplet *)ctx = *t;
	return CEIR_OK;
}

/* A pair of nobody's is for the operators that saw it. */
enum ceir_err reg_list_put_genuine(struct reg_list_make *m, const struct reg_list_state *s)
{
	uint64_t imsi = s->record.genuine_imsi, msisdn = s->record.genuine_msisdn;
	struct triplet before = {.imei = s->imei, .imsi = imsi, .msisdn = msisdn, .op = (uint8_t)(m->job->op - 1)}, next = {0};
	enum ceir_err err = CEIR_OK;

	if (reg_tables_home(m->tables, imsi, msisdn))
		return reg_list_own(m, imsi, msisdn, 0) ? reg_list_put(m, s->imei, imsi, msisdn, 0, NULL) : CEIR_OK;
	err = triplets_by_imei(m->view, s->imei, &before, 1, found, &next);
	/* Its triplet of this operator, if there is one, comes next. */
	if (err || next.imsi != imsi || next.msisdn != msisdn || next.op != m->job->op)
		return err;
	return reg_list_put(m, s->imei, imsi, msisdn, 0, NULL);
}

/* ---- listings bound to a subscriber ---- */

/* White only for him, or black except for him, which locks the IMEI to him. The other forms are no exception. */
static enum ceir_err add_pair(void *ctx, const struct store_val *row)
{
	struct reg_list_make *m = ctx;
	bool lock = reg_val_is(row[LISTING_COLOUR], "black") && reg_val_is(row[LISTING_PAIR], "except");
	struct reg_list_pair p = {.in_force = reg_val_is(row[LISTING_STATUS], "inForce"), .lock = lock};
	struct imsi i;
	struct msisdn s;
	size_t bytes;

	if (row[LISTING_PAIR].null || reg_val_is(row[LISTING_STATUS], "scheduled")
		|| (!lock && !(reg_val_is(row[LISTING_COLOUR], "white") && reg_val_is(row[LISTING_PAIR], "only"))))
		return CEIR_OK;
	if (!row[LISTING_IMSI].null && !imsi_parse(row[LISTING_IMSI].s, &i))
		p.imsi = triplet_imsi_key(i);
	if (!row[LISTING_MSISDN].null && !msisdn_parse(row[LISTING_MSISDN].s, &s))
		p.msisdn = triplet_msisdn_key(s);
	if (m->n_pairs == m->max_pairs) {
		size_t max = m->max_pairs ? 2 * m->max_pairs : 16;
		struct reg_list_pair *more = size_mul(max, sizeof *more, &bytes) ? realloc(m->pairs, bytes) : NULL;

		if (!more)
			return CEIR_ENOMEM;
		m->pairs = more;
		m->max_pairs = max;
	}
	m->pairs[m->n_pairs++] = p;
	return CEIR_OK;
}

enum ceir_err reg_list_pairs(struct reg_list_make *m, uint64_t imei, bool *locked, bool *unlocked)
{
	struct store_filter of = {LISTING_IMEI, STORE_EQ, store_int((int64_t)imei)};
	struct store_query q = {.table = &STORE_LISTING, .filters = &of, .n_filters = 1, .keep = true};

	m->n_pairs = 0;
	*locked = *unlocked = false;
	enum ceir_err err = imei <= IMEI_MAX ? store_select(m->db, &q, add_pair, m) : CEIR_OK;
	for (size_t i = 0; i < m->n_pairs; i++) {
		*locked |= m->pairs[i].lock && m->pairs[i].in_force;
		*unlocked |= m->pairs[i].lock && !m->pairs[i].in_force;
	}
	return err;
}

bool reg_list_excepted(const struct reg_list_make *m, uint64_t imsi, uint64_t msisdn)
{
	for (size_t i = 0; i < m->n_pairs; i++)
		if (m->pairs[i].in_force && (!m->pairs[i].imsi || m->pairs[i].imsi == imsi) && (!m->pairs[i].msisdn || m->pairs[i].msisdn == msisdn))
			return true;
	return false;
}

bool reg_list_listed(const struct reg_list_make *m, uint64_t imsi, uint64_t msisdn, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (m->pairs[i].in_force && m->pairs[i].imsi == imsi && m->pairs[i].msisdn == msisdn)
			return true;
	return false;
}

static enum ceir_err note_imei(void *ctx, const struct store_val *row)
{
	return row[LISTING_IMEI].null ? CEIR_OK : reg_keys_add(ctx, (uint64_t)row[LISTING_IMEI].i);
}

enum ceir_err reg_list_paired(struct reg_list_make *m, struct reg_keys *out)
{
	static const struct str pairs[] = {{"only", 4}, {"except", 6}};
	enum ceir_err err = CEIR_OK;

	for (size_t i = 0; i < CEIR_COUNT(pairs) && !err; i++) {
		struct store_filter f[] = {{LISTING_STATUS, STORE_EQ, store_text(STR("inForce"))}, {LISTING_PAIR, STORE_EQ, store_text(pairs[i])}};
		struct store_query q = {.table = &STORE_LISTING, .filters = f, .n_filters = 2};

		err = store_select(m->db, &q, note_imei, out);
	}
	reg_class_sort(m->job->r, out, false);
	return err;
}

/* ---- subscribers of a grey IMEI ---- */

/*
 * Who used it in the time before it became grey is told, and whoever uses it since. The time does not move with the calendar, so
 * that nobody leaves the list unless something changes.
 */
static int64_t told_since(struct reg_list_make *m, const struct reg_list_state *s)
{
	int32_t day = by_record(s) ? s->record.since_day : change_day(m, s->imei);

	return (day - (int64_t)policy_params(m->policy)->lookback_days) * DAY_S;
}

enum ceir_err reg_list_subscribers_begin(struct reg_list_subscribers *s, struct reg_list_make *m, const struct reg_list_state *state,
	bool removals)
{
	bool locked, unlocked;
	enum ceir_err err = CEIR_OK;

	*s = (struct reg_list_subscribers){.m = m, .state = state, .told = reg_list_is_grey(state), .removals = removals};
	if (!s->told)
		return CEIR_OK;
	s->from_s = told_since(m, state);
	print_reasons(m, state, s->reasons, sizeof s->reasons);
	s->paired = state->v.pair;
	if (s->paired)
		err = reg_list_pairs(m, state->imei, &locked, &unlocked);
	return err;
}

static bool is_excepted(const struct reg_list_subscribers *s)
{
	const struct policy_class *r = &s->state->record;

	if (s->paired && reg_list_excepted(s->m, s->imsi, s->msisdn))
		return true;
	return reg_list_has_genuine(s->state) && r->genuine_imsi == s->imsi && (!r->genuine_msisdn || r->genuine_msisdn == s->msisdn);
}

static enum ceir_err put_subscriber(struct reg_list_subscribers *s)
{
	struct reg_list_make *m = s->m;
	const char *change = m->change;
	enum ceir_err err = CEIR_OK;

	if (!s->open)
		return CEIR_OK;
	s->open = false;
	if (s->told && s->member && !is_excepted(s))
		return reg_list_put(m, s->state->imei, s->imsi, s->msisdn, by_record(s->state) ? s->state->record.block_day : 0, s->reasons);
	if (!s->removals || !s->ours)
		return CEIR_OK;
	m->change = "removed";
	err = reg_list_put(m, s->state->imei, s->imsi, s->msisdn, 0, "");
	m->change = change;
	return err;
}

enum ceir_err reg_list_subscriber(void *subscribers, const struct triplet *t)
{
	struct reg_list_subscribers *s = subscribers;
	enum ceir_err err = CEIR_OK;

	if (!s->open || s->imsi != t->imsi || s->msisdn != t->msisdn) {
		err = put_subscriber(s);
		s->open = true;
		s->member = s->ours = false;
		s->imsi = t->imsi;
		s->msisdn = t->msisdn;
	}
	bool own = reg_list_own(s->m, t->imsi, t->msisdn, t->op);
	s->member |= own && t->last_s >= s->from_s;
	s->ours |= own || reg_list_once_own(s->m, t);
	return err;
}

enum ceir_err reg_list_subscribers_end(struct reg_list_subscribers *s)
{
	return put_subscriber(s);
}

enum ceir_err reg_list_subscribers(struct reg_list_make *m, const struct reg_list_state *state, bool removals)
{
	struct reg_list_subscribers s;
	enum ceir_err err = reg_list_subscribers_begin(&s, m, state, removals);

	if (!err)
		err = triplets_by_imei(m->view, state->imei, NULL, 0, reg_list_subscriber, &s);
	return err ? err : reg_list_subscribers_end(&s);
}

/* ---- notices ---- */

bool reg_list_notice(const struct policy_params *p, const struct policy_class *record, int32_t from, int32_t to)
{
	if (!record->block_day || record->resolved_day)
		return false;
	for (size_t i = 0; i < CEIR_COUNT(p->notice_days); i++) {
		int32_t day = record->block_day - (int32_t)p->notice_days[i];

		/* On the first day it is told as added. */
		if (p->notice_days[i] && day > from && day <= to && day > record->since_day)
			return true;
	}
	return false;
}

/*
 * registry_delivery_create.c - the create command of a delivery: what was received becomes a row, once.
 *
 * The heavy part (the end of the body, staging) is done in the session's thread before the job; the job itself looks whether the
 * same delivery is in the register already, and writes the row. A delivery is the same when its operator gave it the same id, or
 * when kind and SHA-256 of its bytes are those of a delivery of the last 30 days. A full one is that only as long as no other full one
 * came after it: an operator whose base went back to what it was says so with the same bytes.
 */
#include <inttypes.h>
#include <string.h>

#include "registry/registry_delivery.h"

#define SAME_DAYS 30
#define DAY_US (86400 * SECOND_US)

/* ---- before the job ---- */

/* Nothing of it could be taken: the first lines and what is wrong with them. */
static enum ceir_err refuse_body(struct exec *x, const struct reg_delivery *d)
{
	enum ceir_err err = CEIR_OK;

	for (unsigned i = d->n_shown; i-- > 0 && !err;) {
		const struct delivery_shown *s = &d->shown[i];
		struct str shown = arena_printf(x->arena, "%" PRIu64 ": %.*s", s->line, (int)s->n_raw, s->raw);

		err = shown.p ? reg_refuse(x, REG_VALUE, "line", shown, delivery_fault_text(s->fault)) : CEIR_ENOMEM;
	}
	return err ? err : reg_refuse(x, REG_VALUE, "delivery", d->name, d->why);
}

/* CEIR_EPERM: suspended since. */
static enum ceir_err load_operator(struct exec *x, struct store_val *row)
{
	struct store_conn *db = store_reader(x->r->store);
	enum ceir_err err = db ? delivery_operator(db, x->s->who.operator, x->arena, row) : CEIR_ESTORE;

	store_reader_done(x->r->store, db);
	return err;
}

enum ceir_err reg_delivery_prepare(struct exec *x)
{
	struct reg_delivery *d = x->c->delivery;
	struct store_val row[OPERATOR_N];
	enum ceir_err err = load_operator(x, row);

	if (err == CEIR_EPERM)
		return reg_refuse(x, REG_AUTHORIZATION, "operator", str_of(x->s->who.operator), N_("There is no such active operator"));
	if (err)
		return err;
	if (!d)
		return reg_refuse(x, REG_MISSING, "delivery", STR(""), N_("A delivery comes as a file: over HTTPS or through the inbox"));
	x->audit_name = d->id.n ? d->id : d->name;
	err = delivery_complete(d, (uint64_t)row[OPERATOR_USUAL].i);
	return err == CEIR_EINVAL && d->why ? refuse_body(x, d) : err;
}

/* ---- is it here already? ---- */

struct search {
	struct exec *x;
	const struct reg_delivery *d;
	struct store_val row[DELIVERY_N];
	bool found, other;              /* other: the same client's id, but something else */
};

static enum ceir_err keep(struct search *s, const struct store_val *row)
{
	s->found = true;
	for (int i = 0; i < DELIVERY_N; i++) {
		s->row[i] = row[i];
		if (row[i].type != STORE_INT && !row[i].null)
			s->row[i].s = arena_str(s->x->arena, row[i].s);
		if (row[i].type != STORE_INT && !row[i].null && !s->row[i].s.p)
			return CEIR_ENOMEM;
	}
	return CEIR_OK;
}

static bool same_bytes(const struct search *s, const struct store_val *row)
{
	return row[DELIVERY_DIGEST].s.n == DIGEST && memcmp(row[DELIVERY_DIGEST].s.p, s->d->digest, DIGEST) == 0
		&& reg_val_is(row[DELIVERY_KIND], s->d->full ? "full" : "delta");
}

static enum ceir_err by_client_id(void *ctx, const struct store_val *row)
{
	struct search *s = ctx;

	s->other = !same_bytes(s, row);
	return keep(s, row);
}

static enum ceir_err by_digest(void *ctx, const struct store_val *row)
{
	struct search *s = ctx;

	return same_bytes(s, row) && !reg_val_is(row[DELIVERY_STATUS], "refused") && row[DELIVERY_CR_AT].i > s->x->now_us - SAME_DAYS * DAY_US
		? keep(s, row) : CEIR_OK;
}

static enum ceir_err any_row(void *ctx, const struct store_val *row)
{
	(void)row;
	*(bool *)ctx = true;
	return CEIR_OK;
}

/* Another full delivery came after it, so that the same bytes say something new. */
static enum ceir_err is_outdated(struct exec *x, const struct store_val *row, bool *yes)
{
	struct store_filter f[] = {{DELIVERY_OPERATOR, STORE_EQ, row[DELIVERY_OPERATOR]}, {DELIVERY_KIND, STORE_EQ, store_text(STR("full"))},
		{DELIVERY_STATUS, STORE_NE, store_text(STR("refused"))}, {DELIVERY_ID, STORE_GT, row[DELIVERY_ID]}};
	struct store_query q = {.table = &STORE_DELIVERY, .filters = f, .n_filters = CEIR_COUNT(f), .limit = 1};

	*yes = false;
	return reg_val_is(row[DELIVERY_KIND], "full") ? store_select(x->db, &q, any_row, yes) : CEIR_OK;
}

static enum ceir_err search(struct exec *x, const struct reg_delivery *d, struct search *s)
{
	struct store_filter f[] = {{DELIVERY_OPERATOR, STORE_EQ, store_text(str_of(d->operator_code))},
		{DELIVERY_CLIENT_ID, STORE_EQ, store_text(d->id)}};
	struct store_query q = {.table = &STORE_DELIVERY, .filters = f, .n_filters = CEIR_COUNT(f)};
	bool outdated;

	*s = (struct search){.x = x, .d = d};
	enum ceir_err err = d->id.n ? store_select(x->db, &q, by_client_id, s) : CEIR_OK;
	if (err || s->found)
		return err;
	f[1] = (struct store_filter){DELIVERY_DIGEST, STORE_EQ, store_blob(d->digest, DIGEST)};
	err = store_select(x->db, &q, by_digest, s); /* the newest is kept */
	if (err || !s->found)
		return err;
	err = is_outdated(x, s->row, &outdated);
	s->found = !outdated;
	return err;
}

/* ---- the job ---- */

static struct str hold_codes(struct exec *x, unsigned hold)
{
	struct str s = {NULL, 0};

	for (unsigned bit = 1; bit <= hold; bit <<= 1)
		if (hold & bit)
			s = s.p ? arena_printf(x->arena, "%.*s,%s", (int)s.n, s.p, delivery_hold_code(bit)) : str_of(delivery_hold_code(bit));
	return s;
}

static enum ceir_err tell_admins(struct exec *x, const struct store_val *row)
{
	struct str args[] = {row[DELIVERY_CODE].s, row[DELIVERY_OPERATOR].s, row[DELIVERY_HOLD].s};

	return reg_message_to_role(x, REG_ROLE_ADMIN, REG_MESSAGE_DELIVERY_HELD, args, CEIR_COUNT(args));
}

static void fill_row(struct exec *x, const struct reg_delivery *d, struct store_val *row)
{
	const struct delivery_counts *c = &d->counts;
	uint32_t mask = 0;

	for (int i = 0; i < DELIVERY_N; i++)
		row[i] = store_null();
	row[DELIVERY_ID] = store_int(x->transaction);
	row[DELIVERY_CODE] = store_text(d->code);
	row[DELIVERY_OPERATOR] = store_text(str_of(d->operator_code));
	row[DELIVERY_KIND] = store_text(d->full ? STR("full") : STR("delta"));
	row[DELIVERY_CLIENT_ID] = d->id.n ? store_text(d->id) : store_null();
	row[DELIVERY_NAME] = d->name.n ? store_text(d->name) : store_null();
	row[DELIVERY_STATUS] = store_text(d->hold ? STR("held") : STR("received"));
	row[DELIVERY_STAGED] = store_text(reg_print_u64(x, d->staged));
	row[DELIVERY_DIGEST] = store_blob(d->digest, DIGEST);
	row[DELIVERY_BYTES] = store_int((int64_t)d->bytes);
	row[DELIVERY_LINES] = store_int((int64_t)c->lines);
	row[DELIVERY_TAKEN] = store_int((int64_t)c->taken);
	row[DELIVERY_REFUSED] = store_int((int64_t)c->refused);
	row[DELIVERY_MALFORMED] = store_int((int64_t)c->malformed);
	row[DELIVERY_SUSPICIOUS] = store_int((int64_t)c->suspicious);
	row[DELIVERY_HOLD] = store_text(hold_codes(x, d->hold));
	row[DELIVERY_RECEIVED_AT] = store_int(d->begun_us);
	row[DELIVERY_TX] = store_int(x->transaction);
	reg_stamp(x, row, DELIVERY_CR_ID, &mask);
}

/* The whole row as answer, so that the face can say at once what was taken. */
static enum ceir_err show(struct exec *x, const struct store_val *row)
{
	x->reply->data = REG_DATA_CREATE;
	x->reply->object = x->c->object;
	x->audit_name = row[DELIVERY_CODE].s;
	return reg_object_nodes(x, x->c->object, row, &x->reply->fields);
}

enum ceir_err reg_delivery_create(struct exec *x)
{
	struct reg_delivery *d = x->c->delivery;
	struct store_val row[DELIVERY_N];
	struct search s;

	/* May run a second time. */
	d->created = false;
	enum ceir_err err = search(x, d, &s);
	if (err)
		return err;
	if (s.found && s.other)
		return reg_refuse(x, REG_EXISTS, "clientID", d->id, N_("Another delivery has this id; a corrected one needs an id of its own"));
	if (s.found)
		return show(x, s.row);
	d->code = arena_printf(x->arena, "D%lld", (long long)x->transaction);
	fill_row(x, d, row);
	if (!d->code.p || !row[DELIVERY_STAGED].s.p || (d->hold && !row[DELIVERY_HOLD].s.p))
		return CEIR_ENOMEM;
	err = store_insert(x->db, &STORE_DELIVERY, row, NULL);
	if (!err && d->hold)
		err = tell_admins(x, row);
	if (err)
		return err;
	d->created = x->wake_intake = true;
	x->reply->code = REG_PENDING;
	return show(x, row);
}

/* ---- after it ---- */

void reg_delivery_finish(struct exec *x)
{
	struct reg_delivery *d = x->c->delivery;

	if (!d)
		return;
	if (d->created && !reg_refused(x)) {
		delivery_report_name(&d->report, d->code);
		d->staged = 0; /* the row's now */
	}
	reg_delivery_drop(d);
}

/*
 * registry_listing.c - listings: dated, reasoned statements of an authority about an IMEI or a whole TAC. Never deleted, only
 * ended. A listing whose time begins or ends later is brought into force or ended by the clock (registry_work.c).
 */
#include <string.h>

#include "registry/registry_internal.h"

/* What each authority keeps: police grey and black phones; the regulator white ones by recorded decision, and barred TACs. */
static bool authority(enum reg_role role, bool tac, const char *colour)
{
	bool white = strcmp(colour, "white") == 0;

	if (role == REG_ROLE_LEA)
		return !tac && !white;
	return role == REG_ROLE_NRA && (tac ? strcmp(colour, "black") == 0 : white);
}

static enum ceir_err check_subject(struct exec *x, const struct store_val *l)
{
	bool pair = !l[LISTING_PAIR].null, subscriber = !l[LISTING_IMSI].null || !l[LISTING_MSISDN].null;

	if (l[LISTING_IMEI].null && l[LISTING_TAC].null)
		return reg_refuse(x, REG_MISSING, "imei", STR(""), N_("An IMEI or a TAC is required"));
	if (!l[LISTING_IMEI].null && !l[LISTING_TAC].null)
		return reg_refuse(x, REG_POLICY, "tac", STR(""), N_("A listing is of an IMEI or of a TAC, not of both"));
	if (!authority(x->s->who.role, !l[LISTING_TAC].null, l[LISTING_COLOUR].s.p))
		return reg_refuse(x, REG_AUTHORIZATION, "colour", l[LISTING_COLOUR].s, N_("Your authority does not keep this list"));
	if (pair && (!subscriber || !l[LISTING_TAC].null))
		return reg_refuse(x, REG_MISSING, "imsi", STR(""), N_("A pair is of an IMEI and an IMSI or MSISDN"));
	if (!pair && subscriber)
		return reg_refuse(x, REG_MISSING, "pair", STR(""), N_("Say whether the listing holds only for, or except for, this subscriber"));
	return CEIR_OK;
}

static enum ceir_err check_times(struct exec *x, struct store_val *l)
{
	struct reg_node *until = reg_node_find(x->c->set, "until");

	if (l[LISTING_SINCE].null)
		l[LISTING_SINCE] = store_int(x->now_us);
	if (!l[LISTING_UNTIL].null && (l[LISTING_UNTIL].i <= l[LISTING_SINCE].i || l[LISTING_UNTIL].i <= x->now_us))
		return reg_refuse(x, REG_RANGE, "until", until ? until->text : STR(""), N_("The end must lie in the future and behind the beginning"));
	bool later = l[LISTING_SINCE].i > x->now_us;
	l[LISTING_STATUS] = store_text(later ? STR("scheduled") : STR("inForce"));
	l[LISTING_NEXT_AT] = later ? l[LISTING_SINCE] : l[LISTING_UNTIL];
	return CEIR_OK;
}

/* A pair came or went, but the verdict for everybody else is as it was: the lists of exceptions must hear of it. */
static enum ceir_err note_pair(struct exec *x, struct imei imei)
{
	struct store_imei row;
	int64_t seq;
	enum ceir_err err = store_imei_get(x->db, imei, &row);

	if (err)
		return err == CEIR_ENOENT ? CEIR_ECORRUPT : err;
	struct store_change change = {.scope = STORE_SCOPE_SUBSCRIBER, .imei = imei, .verdict = row.verdict, .before = row.verdict,
		.at_s = x->now_us / SECOND_US, .transaction = x->transaction};
	return store_change_append(x->db, &change, &seq);
}

/*
 * The verdicts that a listing touches. tac_before: reason that barred the TAC before the row was written; turned: it has just come
 * into force, or ended.
 */
static enum ceir_err apply(struct exec *x, const struct store_val *l, uint8_t tac_before, bool turned)
{
	int64_t next = store_change_next(x->db);

	if (!l[LISTING_TAC].null)
		return reg_derive_tac(x, l[LISTING_TAC].i, tac_before);
	struct imei imei = {(uint64_t)l[LISTING_IMEI].i};
	enum ceir_err err = reg_derive(x, imei);
	if (err || !turned || l[LISTING_PAIR].null || store_change_next(x->db) != next)
		return err;
	return note_pair(x, imei);
}

static enum ceir_err tac_reason(struct exec *x, const struct store_val *l, uint8_t *reason)
{
	*reason = 0;
	return l[LISTING_TAC].null ? CEIR_OK : reg_tac_black(x, l[LISTING_TAC].i, reason);
}

enum ceir_err reg_listing_create(struct exec *x)
{
	struct store_val l[LISTING_N];
	uint32_t mask = 0;
	uint8_t before;
	enum ceir_err err;

	for (int i = 0; i < LISTING_N; i++)
		l[i] = store_null();
	if (!reg_row(x, x->c->object->fields, x->c->set, true, l, &mask))
		return CEIR_OK;
	err = check_subject(x, l);
	if (!err && !reg_refused(x))
		err = check_times(x, l);
	if (err || reg_refused(x))
		return err;
	l[LISTING_ID] = store_int(x->transaction);
	struct str code = arena_printf(x->arena, "L%lld", (long long)x->transaction);
	l[LISTING_CODE] = store_text(code);
	l[LISTING_ROLE] = store_text(str_of(reg_role_name(x->s->who.role)));
	reg_stamp(x, l, LISTING_CR_ID, &mask);
	err = tac_reason(x, l, &before);
	if (!err)
		err = store_insert(x->db, &STORE_LISTING, l, NULL);
	if (!err && reg_val_is(l[LISTING_STATUS], "inForce"))
		err = apply(x, l, before, true);
	return err ? err : reg_created(x, code);
}

/* A listing in force or scheduled, of this session's own authority. */
static bool load_live(struct exec *x, struct store_val *l, enum ceir_err *err)
{
	if (!reg_load(x, &STORE_LISTING, l, err))
		return false;
	if (!reg_val_is(l[LISTING_ROLE], reg_role_name(x->s->who.role)))
		*err = reg_refuse(x, REG_AUTHORIZATION, "id", x->c->key->text, N_("The listing is of another authority"));
	else if (reg_val_is(l[LISTING_STATUS], "ended"))
		*err = reg_refuse(x, REG_STATUS, "id", x->c->key->text, N_("The listing has ended"));
	return !*err && !reg_refused(x);
}

static void end(struct exec *x, struct store_val *l, struct str ground, uint32_t *mask)
{
	l[LISTING_STATUS] = store_text(STR("ended"));
	l[LISTING_NEXT_AT] = store_null();
	l[LISTING_END_GROUND] = store_text(ground);
	*mask |= 1u << LISTING_STATUS | 1u << LISTING_NEXT_AT | 1u << LISTING_END_GROUND;
	reg_stamp(x, l, LISTING_END_ID, mask);
}

static enum ceir_err write_listing(struct exec *x, const struct store_val *l, uint32_t mask, bool was_in_force)
{
	uint8_t before;
	enum ceir_err err = tac_reason(x, l, &before);

	if (!err)
		err = store_update(x->db, &STORE_LISTING, l[LISTING_ID].i, mask, l);
	return err ? err : apply(x, l, before, was_in_force != reg_val_is(l[LISTING_STATUS], "inForce"));
}

enum ceir_err reg_listing_end(struct exec *x)
{
	struct store_val l[LISTING_N], ground;
	struct reg_node *n = reg_node_find(x->c->set, "ground");
	uint32_t mask = 0;
	enum ceir_err err;

	if (!load_live(x, l, &err))
		return err;
	if (!n)
		return reg_refuse(x, REG_MISSING, "ground", STR(""), N_("This element is required"));
	if (!reg_parse(x, n->field, n->text, &ground))
		return CEIR_OK;
	bool in_force = reg_val_is(l[LISTING_STATUS], "inForce");
	end(x, l, ground.s, &mask);
	return write_listing(x, l, mask, in_force);
}

/* Stages go forward only; a phone that is recovered is no longer listed. */
static enum ceir_err check_stage(struct exec *x, struct store_val before, struct store_val *l, uint32_t *mask)
{
	static const char *const order[] = {"provisional", "confirmed", "recovered"};
	int from = -1, to = -1;

	for (int i = 0; i < (int)CEIR_COUNT(order); i++) {
		from = reg_val_is(before, order[i]) ? i : from;
		to = reg_val_is(l[LISTING_STAGE], order[i]) ? i : to;
	}
	if (to < from)
		return reg_refuse(x, REG_STATUS, "stage", l[LISTING_STAGE].s, N_("A stage cannot be taken back"));
	if (to == 2)
		end(x, l, STR("recovered"), mask);
	return CEIR_OK;
}

enum ceir_err reg_listing_update(struct exec *x)
{
	struct store_val l[LISTING_N], stage;
	struct reg_node *until = reg_node_find(x->c->set, "until");
	uint32_t mask = 0;
	enum ceir_err err;

	if (!load_live(x, l, &err))
		return err;
	stage = l[LISTING_STAGE];
	bool in_force = reg_val_is(l[LISTING_STATUS], "inForce");
	if (!reg_row(x, x->c->object->fields, x->c->set, false, l, &mask))
		return CEIR_OK;
	mask &= 1u << LISTING_GROUND | 1u << LISTING_UNTIL | 1u << LISTING_STAGE;
	if (until) {
		err = check_times(x, l);
		mask |= 1u << LISTING_STATUS | 1u << LISTING_NEXT_AT;
	}
	if (!err && !reg_refused(x))
		err = check_stage(x, stage, l, &mask);
	if (err || reg_refused(x))
		return err;
	reg_stamp(x, l, LISTING_UP_ID, &mask);
	return write_listing(x, l, mask, in_force);
}

/* ---- the clock ---- */

struct due {
	struct exec *x;
	int64_t ids[64];
	size_t n;
};

static enum ceir_err note_due(void *ctx, const struct store_val *row)
{
	struct due *d = ctx;

	d->ids[d->n++] = row[LISTING_ID].i;
	return CEIR_OK;
}

static enum ceir_err tick(struct exec *x, int64_t id)
{
	struct store_val l[LISTING_N];
	uint32_t mask = 1u << LISTING_STATUS | 1u << LISTING_NEXT_AT;
	enum ceir_err err = store_get(x->db, &STORE_LISTING, LISTING_ID, store_int(id), x->arena, l);

	if (err)
		return err;
	/* What changes now was ordered by the command that made the listing, whose number it bears. */
	x->transaction = id;
	bool in_force = reg_val_is(l[LISTING_STATUS], "inForce");
	if (!l[LISTING_UNTIL].null && l[LISTING_UNTIL].i <= x->now_us) {
		end(x, l, STR("expired"), &mask);
	} else {
		l[LISTING_STATUS] = store_text(STR("inForce"));
		l[LISTING_NEXT_AT] = l[LISTING_UNTIL];
	}
	return write_listing(x, l, mask, in_force);
}

enum ceir_err reg_listing_due(struct store_conn *db, int64_t now_us, bool *any)
{
	struct store_filter f = {LISTING_NEXT_AT, STORE_LE, store_int(now_us)};
	struct store_query q = {.table = &STORE_LISTING, .filters = &f, .n_filters = 1, .limit = 1, .sort = LISTING_NEXT_AT, .keep = true};
	struct due d = {0};
	enum ceir_err err = store_select(db, &q, note_due, &d);

	*any = d.n > 0;
	return err;
}

enum ceir_err reg_listing_tick(struct exec *x)
{
	struct store_filter f = {LISTING_NEXT_AT, STORE_LE, store_int(x->now_us)};
	struct store_query q = {.table = &STORE_LISTING, .filters = &f, .n_filters = 1, .limit = 64, .sort = LISTING_NEXT_AT};
	struct due d = {.x = x};
	enum ceir_err err = store_select(x->db, &q, note_due, &d);

	for (size_t i = 0; i < d.n && !err; i++)
		err = tick(x, d.ids[i]);
	return err;
}

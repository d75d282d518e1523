/*
 * registry_verdict.c - from what the register holds to a verdict, and from a new verdict to a change. The rule itself is
 * policy_verdict(); here its facts are gathered.
 */
#include <string.h>

#include "registry/registry_internal.h"

enum ceir_err reg_registration(struct exec *x, int64_t application, enum policy_registration *out)
{
	struct store_val app[APPLICATION_N], importer[IMPORTER_N], permit[PERMIT_N], position[POSITION_N], certificate[CERTIFICATE_N];
	enum ceir_err err = store_get(x->db, &STORE_APPLICATION, APPLICATION_ID, store_int(application), x->arena, app);

	if (err)
		return err == CEIR_ENOENT ? CEIR_ECORRUPT : err;
	*out = POLICY_REGISTERED;
	if (!app[APPLICATION_IMPORTER].null) {
		if (!reg_find(x, &STORE_IMPORTER, app[APPLICATION_IMPORTER].s, importer, &err))
			return err ? err : CEIR_ECORRUPT;
		if (reg_val_is(importer[IMPORTER_STATUS], "revoked"))
			*out = POLICY_IMPORTER_REVOKED;
	}
	if (app[APPLICATION_PERMIT].null || *out != POLICY_REGISTERED)
		return CEIR_OK;
	if (!reg_find(x, &STORE_PERMIT, app[APPLICATION_PERMIT].s, permit, &err))
		return err ? err : CEIR_ECORRUPT;
	if (reg_val_is(permit[PERMIT_STATUS], "revoked")) {
		*out = POLICY_PERMIT_REVOKED;
		return CEIR_OK;
	}
	/* A position that devices were registered under is not removed (registry_paper.c). */
	err = reg_position(x, permit[PERMIT_ID].i, app[APPLICATION_POSITION].i, position);
	if (err)
		return err == CEIR_ENOENT ? CEIR_ECORRUPT : err;
	if (!reg_find(x, &STORE_CERTIFICATE, position[POSITION_CERTIFICATE].s, certificate, &err))
		return err ? err : CEIR_ECORRUPT;
	if (reg_val_is(certificate[CERTIFICATE_STATUS], "revoked"))
		*out = POLICY_CERTIFICATE_REVOKED;
	return CEIR_OK;
}

/* The strongest reason of a colour: the lowest number, so that stolen stands before all others. */
static void stronger(uint8_t *reason, unsigned r)
{
	if (*reason == 0 || r < *reason)
		*reason = (uint8_t)r;
}

static enum ceir_err add_listing(void *ctx, const struct store_val *row)
{
	struct policy_facts *facts = ctx;
	unsigned reason;

	if (!reg_val_is(row[LISTING_STATUS], "inForce"))
		return CEIR_OK;
	if (!row[LISTING_PAIR].null) {
		facts->pair = true;
		return CEIR_OK;
	}
	if (policy_listing_reason_find(row[LISTING_REASON].s, &reason))
		return CEIR_ECORRUPT;
	if (reg_val_is(row[LISTING_COLOUR], "black"))
		stronger(&facts->black_reason, reason);
	else if (reg_val_is(row[LISTING_COLOUR], "grey"))
		stronger(&facts->grey_reason, reason);
	else
		stronger(&facts->white_reason, reason);
	return CEIR_OK;
}

enum ceir_err reg_facts(struct exec *x, struct imei imei, const struct store_imei *row, enum policy_registration registration,
	struct policy_facts *facts)
{
	struct store_filter of = {LISTING_IMEI, STORE_EQ, store_int((int64_t)imei.n)};
	struct store_query q = {.table = &STORE_LISTING, .filters = &of, .n_filters = 1, .keep = true};

	memset(facts, 0, sizeof *facts);
	if (row && row->application)
		facts->registration = row->withdrawn ? POLICY_WITHDRAWN : registration;
	enum ceir_err err = store_select(x->db, &q, add_listing, facts);
	if (!err)
		reg_class_facts(x, imei, facts);
	return err;
}

static enum ceir_err publish_later(struct exec *x, struct imei imei, struct verdict v, bool whole_tac)
{
	struct reg_publication *p = arena_alloc(x->arena, sizeof *p);

	if (!p)
		return CEIR_ENOMEM;
	*p = (struct reg_publication){.imei = imei, .verdict = v, .whole_tac = whole_tac, .next = x->publications};
	x->publications = p;
	return CEIR_OK;
}

/* Of an IMEI that the register has no row of: what the triplets say, which is in the table on the writer's thread. */
static uint16_t unlisted_verdict(const struct exec *x, struct imei imei)
{
	struct verdict v;

	return verdicts_get_entry(x->r->verdicts, imei, &v) ? verdict_pack(v) : 0;
}

enum ceir_err reg_put_verdict(struct exec *x, struct store_imei *row, struct verdict v, bool fresh)
{
	struct store_change change = {.imei = row->imei, .verdict = verdict_pack(v),
		.before = fresh ? unlisted_verdict(x, row->imei) : row->verdict, .at_s = x->now_us / SECOND_US, .transaction = x->transaction};
	enum ceir_err err;

	/* The row first: a fresh one may meet one that is there (CEIR_EEXIST), and then no change may be left behind. */
	row->verdict = change.verdict;
	row->change = store_change_next(x->db);
	err = fresh ? store_imei_insert(x->db, row) : store_imei_update(x->db, row);
	if (!err)
		err = store_change_append(x->db, &change, &row->change);
	v.row = true;
	return err ? err : publish_later(x, row->imei, v, false);
}

enum ceir_err reg_judge(struct exec *x, struct imei imei, struct store_imei *row, bool *fresh, struct policy_facts *facts)
{
	enum policy_registration registration = POLICY_NOT_REGISTERED;
	enum ceir_err err = store_imei_get(x->db, imei, row);

	*fresh = err == CEIR_ENOENT;
	if (err && !*fresh)
		return err;
	err = CEIR_OK;
	if (*fresh)
		memset(row, 0, sizeof *row);
	row->imei = imei;
	if (row->application)
		err = reg_registration(x, row->application, &registration);
	return err ? err : reg_facts(x, imei, row, registration, facts);
}

enum ceir_err reg_derive(struct exec *x, struct imei imei)
{
	struct store_imei row;
	struct policy_facts facts;
	bool fresh;
	enum ceir_err err = reg_judge(x, imei, &row, &fresh, &facts);

	if (err)
		return err;
	struct verdict v = policy_verdict(&facts);
	/*
	 * Where nothing but the triplets speaks there is no row: the classification decides it. A listing makes one even when the verdict stays
	 * what the triplets say, so that it is here that it is decided from now on.
	 */
	bool listed = facts.black_reason || facts.grey_reason || facts.white_reason || facts.pair;
	if (fresh ? !listed : verdict_pack(v) == row.verdict)
		return CEIR_OK;
	return reg_put_verdict(x, &row, v, fresh);
}

enum ceir_err reg_tac_black(struct exec *x, int64_t tac, uint8_t *reason)
{
	struct store_filter of = {LISTING_TAC, STORE_EQ, store_int(tac)};
	struct store_query q = {.table = &STORE_LISTING, .filters = &of, .n_filters = 1};
	struct policy_facts facts = {0};
	enum ceir_err err = store_select(x->db, &q, add_listing, &facts);

	*reason = facts.black_reason;
	return err;
}

enum ceir_err reg_derive_tac(struct exec *x, int64_t tac, uint8_t reason_before)
{
	struct imei first = imei_make((struct tac){(uint32_t)tac}, 0);
	uint8_t reason;
	int64_t seq;
	enum ceir_err err = reg_tac_black(x, tac, &reason);
	struct verdict before = policy_tac_verdict(reason_before), now = policy_tac_verdict(reason);

	if (err || verdict_pack(before) == verdict_pack(now))
		return err;
	struct store_change change = {.scope = STORE_SCOPE_TAC, .imei = first, .verdict = verdict_pack(now),
		.before = verdict_pack(before), .at_s = x->now_us / SECOND_US, .transaction = x->transaction};
	err = store_change_append(x->db, &change, &seq);
	return err ? err : publish_later(x, first, now, true);
}

/*
 * The commit is on disk; a table that cannot follow it would answer wrong verdicts, so a lack of memory stops the server (it
 * starts again from the disk).
 */
void reg_publish(struct registry *r, struct reg_publication *newest)
{
	/* Oldest first: an IMEI that changed twice must end with the later verdict. */
	struct reg_publication *oldest = NULL, *next;

	for (struct reg_publication *p = newest; p; p = next) {
		next = p->next;
		p->next = oldest;
		oldest = p;
	}
	for (const struct reg_publication *p = oldest; p; p = p->next) {
		enum ceir_err err = p->whole_tac ? verdicts_set_tac(r->verdicts, imei_tac(p->imei), p->verdict)
			: verdicts_set(r->verdicts, p->imei, p->verdict);

		CEIR_ASSERT(!err);
	}
	if (oldest)
		verdicts_reclaim(r->verdicts);
}

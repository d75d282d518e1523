/*
 * registry_intake.c - may this device be registered? Gathers, for each IMEI of an application, the facts that policy_row()
 * judges, and registers what was accepted. Runs on the writer's thread only, in jobs that are committed alone (store_job.bulk):
 * so the verdict table holds every commit before, and asking it costs a tenth of asking the database.
 */
#include <string.h>

#include "registry/registry_internal.h"

#define TAC_SLOTS 1024 /* TACs looked up for one application are kept; an import has a few */

struct reg_tac_facts {
	bool known;             /* the slot is filled */
	uint32_t tac;
	bool test, unknown, withdrawn, not_covered, mismatch;
	struct str manufacturer, model;
};

enum ceir_err reg_papers_load(struct exec *x, const struct store_val *app, struct reg_papers *p)
{
	struct store_val importer[IMPORTER_N], permit[PERMIT_N];
	int32_t today = date_of_us(x->now_us);
	enum ceir_err err;

	memset(p, 0, sizeof *p);
	p->tacs = arena_array(x->arena, TAC_SLOTS, sizeof *p->tacs);
	if (!p->tacs)
		return CEIR_ENOMEM;
	p->left = INT64_MAX;
	p->personal = app[APPLICATION_PERMIT].null;
	if (!app[APPLICATION_IMPORTER].null) {
		if (!reg_find(x, &STORE_IMPORTER, app[APPLICATION_IMPORTER].s, importer, &err))
			return err ? err : CEIR_ECORRUPT;
		p->importer_inactive = !reg_val_is(importer[IMPORTER_STATUS], "active");
	}
	if (p->personal)
		return CEIR_OK;
	if (!reg_find(x, &STORE_PERMIT, app[APPLICATION_PERMIT].s, permit, &err))
		return err ? err : CEIR_ECORRUPT;
	p->permit = policy_paper_on(reg_val_is(permit[PERMIT_STATUS], "revoked"), (int32_t)permit[PERMIT_ISSUED].i, (int32_t)permit[PERMIT_EX].i,
		today);
	err = reg_position(x, permit[PERMIT_ID].i, app[APPLICATION_POSITION].i, p->position);
	p->position_missing = err == CEIR_ENOENT;
	if (err)
		return p->position_missing ? CEIR_OK : err;
	p->left = p->position[POSITION_QUANTITY].i - p->position[POSITION_USED].i;
	if (!reg_find(x, &STORE_CERTIFICATE, p->position[POSITION_CERTIFICATE].s, p->certificate_row, &err))
		return err ? err : CEIR_ECORRUPT;
	const struct store_val *c = p->certificate_row;
	p->certificate = policy_paper_on(reg_val_is(c[CERTIFICATE_STATUS], "revoked"), (int32_t)c[CERTIFICATE_ISSUED].i,
		(int32_t)c[CERTIFICATE_EX].i, today);
	return CEIR_OK;
}

static enum ceir_err found_tac(void *ctx, const struct store_val *row)
{
	(void)row;
	*(bool *)ctx = true;
	return CEIR_OK;
}

/* The certificate lists the TAC, or lists none and is for the TAC's model. */
static enum ceir_err covered(struct exec *x, const struct reg_papers *p, struct reg_tac_facts *t)
{
	const struct store_val *c = p->certificate_row;
	struct store_filter f[] = {{CERTIFICATE_TAC_CERTIFICATE, STORE_EQ, c[CERTIFICATE_ID]}, {CERTIFICATE_TAC_TAC, STORE_EQ, store_int(t->tac)}};
	struct store_query q = {.table = &STORE_CERTIFICATE_TAC, .filters = f, .n_filters = 2, .limit = 1};
	bool listed = false;
	enum ceir_err err = store_select(x->db, &q, found_tac, &listed);

	t->not_covered = !listed && !policy_model_agrees(t->manufacturer, t->model, c[CERTIFICATE_MANUFACTURER].s, c[CERTIFICATE_MODEL].s);
	return err;
}

static enum ceir_err load_tac(struct exec *x, const struct reg_papers *p, struct tac tac, struct reg_tac_facts *t)
{
	struct store_val row[TAC_N];
	enum ceir_err err = store_get(x->db, &STORE_TAC, TAC_CODE, store_int(tac.n), x->arena, row);

	if (err && err != CEIR_ENOENT)
		return err;
	*t = (struct reg_tac_facts){.known = true, .tac = tac.n, .test = tac_is_test(tac), .unknown = err == CEIR_ENOENT};
	if (t->unknown)
		return CEIR_OK;
	t->withdrawn = !reg_val_is(row[TAC_STATUS], "allocated");
	t->manufacturer = row[TAC_MANUFACTURER].s;
	t->model = row[TAC_MODEL].s;
	if (p->personal || p->position_missing)
		return CEIR_OK;
	t->mismatch = !policy_model_agrees(t->manufacturer, t->model, p->position[POSITION_MANUFACTURER].s, p->position[POSITION_MODEL].s);
	return covered(x, p, t);
}

/* A direct-mapped cache: a collision is looked up again. */
static enum ceir_err tac_facts(struct exec *x, struct reg_papers *p, struct tac tac, struct reg_tac_facts **out)
{
	struct reg_tac_facts *t = &p->tacs[(tac.n * 2654435761u) >> 22];

	*out = t;
	return t->known && t->tac == tac.n ? CEIR_OK : load_tac(x, p, tac, t);
}

_Static_assert(TAC_SLOTS == 1 << (32 - 22), "the hash gives ten bits");

static enum ceir_err row_facts(struct exec *x, struct reg_papers *p, struct imei imei, struct policy_row_facts *f, struct reg_tac_facts *tac)
{
	struct reg_tac_facts *t;
	struct verdict v;
	enum ceir_err err = tac_facts(x, p, imei_tac(imei), &t);

	if (err)
		return err;
	*tac = *t;
	f->test_tac = t->test;
	f->tac_unknown = t->unknown;
	f->tac_withdrawn = t->withdrawn;
	f->tac_not_covered = t->not_covered;
	f->model_mismatch = t->mismatch;
	verdicts_get(x->r->verdicts, imei, &v);
	f->blacklisted = v.colour == VERDICT_BLACK;
	f->registered = v.registered;
	return CEIR_OK;
}

enum ceir_err reg_intake(struct exec *x, struct reg_papers *p, const struct str *imeis, const bool *dup, unsigned n, uint8_t *results,
	struct imei *keys, bool *good)
{
	struct policy_row_facts facts[POLICY_DEVICE_IMEIS];
	struct reg_tac_facts tacs[POLICY_DEVICE_IMEIS];
	bool mixed = false, bad = n > POLICY_DEVICE_IMEIS;
	unsigned k = bad ? POLICY_DEVICE_IMEIS : n;

	memset(facts, 0, sizeof facts);
	memset(tacs, 0, sizeof tacs);
	for (unsigned i = 0; i < k; i++) {
		facts[i].fault = imei_parse(imeis[i], &keys[i]);
		facts[i].duplicate = dup && dup[i];
		facts[i].too_many_imeis = bad;
		facts[i].importer_inactive = p->importer_inactive;
		facts[i].permit = p->permit;
		facts[i].position_missing = p->position_missing;
		facts[i].certificate = p->certificate;
		if (!facts[i].fault) {
			enum ceir_err err = row_facts(x, p, keys[i], &facts[i], &tacs[i]);
			if (err)
				return err;
		}
		if (i && tacs[0].known && tacs[i].known && !tacs[0].unknown && !tacs[i].unknown)
			mixed |= !policy_model_agrees(tacs[0].manufacturer, tacs[0].model, tacs[i].manufacturer, tacs[i].model);
	}
	*good = !bad;
	for (unsigned i = 0; i < k; i++) {
		facts[i].device_mixed = mixed;
		results[i] = (uint8_t)policy_row(&facts[i]);
		*good &= results[i] == POLICY_ACCEPTED;
	}
	/* One bad IMEI refuses the device; a good device needs a unit. */
	for (unsigned i = 0; i < k; i++) {
		facts[i].partner_refused = !*good;
		facts[i].quantity_exceeded = *good && p->left <= 0;
		results[i] = (uint8_t)policy_row(&facts[i]);
	}
	for (unsigned i = k; i < n; i++)
		results[i] = POLICY_REFUSED_TOO_MANY_IMEIS;
	*good &= p->left > 0;
	if (*good)
		p->left--;
	return CEIR_OK;
}

/*
 * An IMEI that the register has no row of. seen: the triplets say something of it, so its facts are gathered; else its verdict is
 * known without asking. CEIR_EEXIST: there is a row after all.
 */
static enum ceir_err register_fresh(struct exec *x, int64_t application, struct imei imei, uint64_t device, bool seen)
{
	struct policy_facts facts = {.registration = POLICY_REGISTERED};
	struct store_imei row = {.imei = imei, .application = application, .device = device};
	enum ceir_err err = seen ? reg_facts(x, imei, &row, POLICY_REGISTERED, &facts) : CEIR_OK;

	return err ? err : reg_put_verdict(x, &row, policy_verdict(&facts), true);
}

/* One that stands on a list, or was registered and withdrawn before. */
static enum ceir_err register_known(struct exec *x, int64_t application, struct imei imei, uint64_t device)
{
	struct policy_facts facts;
	struct store_imei row;
	enum ceir_err err = store_imei_get(x->db, imei, &row);

	if (err)
		return err;
	row.application = application;
	row.device = device;
	row.owner = 0;
	row.withdrawn = false;
	err = reg_facts(x, imei, &row, POLICY_REGISTERED, &facts);
	return err ? err : reg_put_verdict(x, &row, policy_verdict(&facts), false);
}

enum ceir_err reg_register(struct exec *x, int64_t application, const struct imei *keys, unsigned n)
{
	uint64_t device = n > 1 ? keys[0].n : 0;
	enum ceir_err err = CEIR_OK;

	for (unsigned i = 0; i < n && !err; i++) {
		struct verdict v;
		bool seen = verdicts_get_entry(x->r->verdicts, keys[i], &v);

		err = v.row ? CEIR_EEXIST : register_fresh(x, application, keys[i], device, seen);
		if (err == CEIR_EEXIST)
			err = register_known(x, application, keys[i], device);
	}
	return err;
}

/*
 * registry_explain.c - verdict info: why an IMEI has its verdict. Facts of the register and of the classification, the rule that
 * decided, since when, under which version of the policy; in the language of who asks.
 */
#include <string.h>

#include "registry/registry_class.h"

struct explain {
	struct exec *x;
	uint64_t imei;
	struct verdict verdict;
	struct store_imei row;
	bool has_row, has_record, golden;
	struct policy_class record;
	struct policy_facts facts;
	uint32_t first_s, last_s;
	uint64_t subscribers, last_imsi;
	struct reg_list l;
};

static const struct reg_field *fields(void)
{
	return reg_object_by_name(STR("verdict"))->fields;
}

static enum ceir_err add(struct explain *e, const char *name, struct str text)
{
	return reg_list_add(e->x, &e->l, fields(), name, text);
}

static struct str day(struct explain *e, int32_t days)
{
	char text[DATE_MAX];

	date_print(days, text);
	return arena_str(e->x->arena, str_of(text));
}

/* ---- gathering ---- */

static enum ceir_err see(void *ctx, const struct triplet *t)
{
	struct explain *e = ctx;

	if (!e->first_s || t->first_s < e->first_s)
		e->first_s = t->first_s;
	if (t->last_s > e->last_s)
		e->last_s = t->last_s;
	e->subscribers += t->imsi != e->last_imsi;
	e->last_imsi = t->imsi;
	return CEIR_OK;
}

static enum ceir_err gather_triplets(struct explain *e)
{
	struct triplets_view *view = triplets_view_new(e->x->r->triplets);
	enum ceir_err err = view ? triplets_by_imei(view, e->imei, NULL, POLICY_GATHER_MAX, see, e) : CEIR_ENOMEM;

	if (view)
		triplets_view_free(view);
	return err;
}

/* What is shown of a golden IMEI is what would be shown of one that somebody had put on the white list. */
static void hide_golden(struct explain *e)
{
	bool registered = e->verdict.reason == VERDICT_REGISTERED;

	e->has_record = false;
	e->record = (struct policy_class){.mask = 0};
	e->facts = (struct policy_facts){.registration = registered ? POLICY_REGISTERED : POLICY_NOT_REGISTERED,
		.white_reason = registered ? 0 : POLICY_REASON_EVIDENCE};
}

static enum ceir_err gather(struct explain *e)
{
	struct exec *x = e->x;
	bool fresh;
	enum ceir_err err = gather_triplets(e);

	e->has_record = classify_get(x->r->class->classify, e->imei, &e->record);
	if (err || e->imei > IMEI_MAX) {
		reg_class_facts(x, (struct imei){e->imei}, &e->facts);
		e->verdict = policy_verdict(&e->facts);
		return err;
	}
	err = reg_judge(x, (struct imei){e->imei}, &e->row, &fresh, &e->facts);
	e->has_row = !fresh;
	verdicts_enter(x->s->reader);
	verdicts_get(x->r->verdicts, (struct imei){e->imei}, &e->verdict);
	verdicts_leave(x->s->reader);
	struct reg_tables *t = reg_class_tables_take(x->r);
	e->golden = reg_spare_golden(x->r, t, (struct imei){e->imei}, &e->verdict);
	reg_tables_give(t);
	if (e->golden)
		hide_golden(e);
	return err;
}

/* ---- since when ---- */

/* Of an IMEI without a row, whose changes are found in the log by nobody: the record's dates. */
static int32_t record_day(struct verdict v, const struct policy_class *record)
{
	return v.colour == VERDICT_BLACK ? record->block_day : v.colour == VERDICT_GREY ? record->since_day : record->resolved_day;
}

enum ceir_err reg_told_verdict(struct exec *x, struct imei imei, const struct store_imei *row, struct verdict *v, struct str *since)
{
	struct reg_tables *t = reg_class_tables_take(x->r);
	struct policy_class record;
	struct store_change change;
	struct verdict entry;

	verdicts_enter(x->s->reader);
	verdicts_get_entry(x->r->verdicts, imei, &entry);
	verdicts_get(x->r->verdicts, imei, v);
	verdicts_leave(x->s->reader);
	/* The time is that of the IMEI's own change, when that is what counts. */
	bool own = v->reason == entry.reason && !reg_spare_golden(x->r, t, imei, v);
	reg_tables_give(t);
	*since = (struct str){NULL, 0};
	if (!own)
		return CEIR_OK;
	if (row) {
		enum ceir_err err = store_change_get(x->db, row->change, &change);

		if (!err)
			*since = reg_print_time(x, change.at_s * SECOND_US);
		return err;
	}
	if (classify_get(x->r->class->classify, imei.n, &record) && record_day(*v, &record))
		*since = reg_print_time(x, record_day(*v, &record) * 86400LL * SECOND_US);
	return CEIR_OK;
}

/* ---- answering ---- */

static enum ceir_err add_since(struct explain *e)
{
	struct store_change change;
	char svtrid[REG_SVTRID_MAX];
	struct store_val audit[AUDIT_N];
	enum ceir_err err;

	if (e->golden || e->verdict.reason == VERDICT_BARRED_TAC)
		return CEIR_OK;
	if (!e->has_row) {
		int32_t days = e->has_record ? record_day(e->verdict, &e->record) : 0;

		return days ? add(e, "since", reg_print_time(e->x, days * 86400LL * SECOND_US)) : CEIR_OK;
	}
	err = store_change_get(e->x->db, e->row.change, &change);
	if (!err)
		err = add(e, "since", reg_print_time(e->x, change.at_s * SECOND_US));
	if (!err)
		err = add(e, "change", reg_print_u64(e->x, (uint64_t)change.seq));
	if (!err)
		err = store_get(e->x->db, &STORE_AUDIT, AUDIT_SEQ, store_int(change.transaction), e->x->arena, audit);
	if (err)
		return err == CEIR_ENOENT ? CEIR_OK : err;
	reg_svtrid(e->x->r, audit[AUDIT_AT].i, svtrid);
	return add(e, "transaction", arena_str(e->x->arena, str_of(svtrid)));
}

static enum ceir_err add_seen(struct explain *e)
{
	enum ceir_err err = CEIR_OK;

	if (!e->last_s)
		return CEIR_OK;
	err = add(e, "firstSeen", reg_print_time(e->x, e->first_s * SECOND_US));
	if (!err)
		err = add(e, "lastSeen", reg_print_time(e->x, e->last_s * SECOND_US));
	return err ? err : add(e, "subscribers", reg_print_u64(e->x, e->subscribers));
}

static enum ceir_err add_conditions(struct explain *e, const struct policy *policy)
{
	const struct reg_field *group = reg_field_find(fields(), STR("condition"));
	const struct policy_condition_text *c;
	enum ceir_err err = CEIR_OK;

	if (e->record.since_day)
		err = add(e, "noticed", day(e, e->record.since_day));
	/* What is resolved keeps its date as a memory only. */
	if (!err && e->record.block_day && !e->record.resolved_day)
		err = add(e, "block", day(e, e->record.block_day));
	for (size_t i = 0; !err && (c = policy_condition(policy, i)); i++) {
		struct reg_list child;

		if (!(e->record.mask & 1u << i))
			continue;
		reg_list_init(&child);
		err = reg_list_add(e->x, &child, group->fields, "name", arena_str(e->x->arena, c->name));
		if (!err)
			err = reg_list_add(e->x, &child, group->fields, "blocking", c->blocking ? STR("yes") : STR("no"));
		if (!err)
			err = reg_list_group(e->x, &e->l, fields(), "condition", child.head);
	}
	return err;
}

static enum ceir_err add_reason(struct explain *e, const struct policy_reason *r)
{
	struct buf b = BUF_INIT(4096);
	struct str args[CEIR_COUNT(r->args)];

	for (unsigned k = 0; k < r->n_args; k++)
		args[k] = str_of(r->args[k]);
	i18n_format(&b, e->x->s->lang, r->english, args, r->n_args);
	struct str text = b.failed ? (struct str){NULL, 0} : arena_str(e->x->arena, buf_view(&b));
	buf_free(&b);
	return text.p ? add(e, "explanation", text) : CEIR_ENOMEM;
}

/* A barred TAC stands above all that is known of the IMEI itself. */
static size_t explain_tac(const struct policy *policy, struct policy_reason *out)
{
	out[0] = (struct policy_reason){.english = N_("The device is blocked")};
	out[1] = (struct policy_reason){.english = verdict_reason_text(VERDICT_BARRED_TAC)};
	out[2] = (struct policy_reason){.english = N_("Version {0} of the country's policy was applied"), .n_args = 1};
	snprintf(out[2].args[0], sizeof out[2].args[0], "%lld", (long long)policy_version(policy));
	return 3;
}

static enum ceir_err add_explanation(struct explain *e, const struct policy *policy)
{
	struct policy_reason reasons[POLICY_REASONS];
	size_t n = e->verdict.reason == VERDICT_BARRED_TAC ? explain_tac(policy, reasons)
		: policy_explain(policy, &e->facts, e->has_record ? &e->record : NULL, date_of_us(e->x->now_us), reasons);
	enum ceir_err err = CEIR_OK;

	for (size_t i = 0; i < n && !err; i++)
		err = add_reason(e, &reasons[i]);
	return err;
}

static enum ceir_err answer(struct explain *e, const struct policy *policy)
{
	char imei[TRIPLET_IMEI_TEXT];
	enum ceir_err err;

	triplet_imei_print(e->imei, imei);
	reg_list_init(&e->l);
	err = add(e, "id", e->imei <= IMEI_MAX ? reg_print_imei(e->x, (struct imei){e->imei}) : arena_str(e->x->arena, str_of(imei)));
	if (!err)
		err = add(e, "colour", str_of(verdict_colour_name(e->verdict.colour)));
	if (!err)
		err = add(e, "reason", str_of(verdict_reason_name(e->verdict.reason)));
	if (!err)
		err = add_since(e);
	if (!err)
		err = add(e, "policy", reg_print_u64(e->x, (uint64_t)policy_version(policy)));
	if (!err)
		err = add_seen(e);
	if (!err && e->has_record)
		err = add_conditions(e, policy);
	return err ? err : add_explanation(e, policy);
}

enum ceir_err reg_verdict_info(struct exec *x)
{
	struct explain e = {.x = x};

	if (triplet_imei_parse(x->c->key->text, &e.imei))
		return reg_refuse(x, REG_VALUE, "id", x->c->key->text, N_("Expected an IMEI of 14 or 15 digits, or what a list shows in its place"));
	enum ceir_err err = gather(&e);
	if (!err)
		err = answer(&e, reg_policy(x->r));
	if (err)
		return err;
	x->reply->data = REG_DATA_INFO;
	x->reply->object = x->c->object;
	x->reply->fields = e.l.head;
	return CEIR_OK;
}

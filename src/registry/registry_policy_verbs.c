/* registry_policy_verbs.c - create, update, delete of a version of the policy. */
#include <string.h>

#include "registry/registry_policy.h"

static void refuse(struct exec *x, enum reg_code code, const char *element, struct str value, const char *reason)
{
	if (reg_refuse(x, code, element, value, reason))
		x->reply->code = REG_FAILED;
}

/* ---- what a command gives, over what there was ---- */

static bool is_yes(struct store_val v)
{
	return reg_val_is(v, "yes");
}

/* The value of a field of the group; null when it is not given. False: refused. */
static bool group_value(struct exec *x, const struct reg_node *group, const char *name, struct store_val *v)
{
	struct reg_node *n = reg_node_find(group->child, name);

	*v = store_null();
	return !n || reg_parse(x, n->field, n->text, v);
}

static bool take_condition(struct exec *x, const struct reg_node *group, struct reg_draft *d)
{
	struct store_val name, rule, grace, blocking, sticky, none[1];
	uint32_t mask = 0;

	if (d->n == POLICY_CONDITIONS) {
		refuse(x, REG_RANGE, "condition", STR(""), N_("A policy has at most 24 conditions"));
		return false;
	}
	if (!reg_row(x, group->field->fields, group->child, true, none, &mask) || !group_value(x, group, "name", &name)
		|| !group_value(x, group, "rule", &rule) || !group_value(x, group, "graceDays", &grace)
		|| !group_value(x, group, "blocking", &blocking) || !group_value(x, group, "sticky", &sticky))
		return false;
	for (size_t i = 0; i < d->n; i++)
		if (str_eq(d->c[i].name, name.s)) {
			refuse(x, REG_EXISTS, "name", name.s, N_("Another condition has this name"));
			return false;
		}
	d->c[d->n++] = (struct policy_condition_text){.name = name.s, .rule = rule.s,
		.grace_days = grace.null ? d->params.grace_days : (uint32_t)grace.i, .blocking = is_yes(blocking), .sticky = is_yes(sticky)};
	return true;
}

/* Groups given replace the whole list. */
static bool take_conditions(struct exec *x, struct reg_draft *d)
{
	bool good = true;

	if (reg_node_find(x->c->set, "condition"))
		d->n = 0;
	for (const struct reg_node *n = x->c->set; n && good; n = n->next)
		if (n->field->type == REG_GROUP)
			good = take_condition(x, n, d);
	return good;
}

static bool take_notice(struct exec *x, struct reg_draft *d, size_t *n, const struct reg_node *node, int64_t days)
{
	if (*n == CEIR_COUNT(d->params.notice_days)) {
		refuse(x, REG_RANGE, node->field->name, node->text, N_("At most four notices are given before a block"));
		return false;
	}
	d->params.notice_days[(*n)++] = (uint32_t)days;
	return true;
}

static bool take_mcc(struct exec *x, struct reg_draft *d, const struct reg_node *node)
{
	char *home = d->params.home_mcc;
	size_t n = strlen(home);
	uint64_t mcc;

	if (node->text.n != 3 || str_u64(node->text, 999, &mcc)) {
		refuse(x, REG_VALUE, node->field->name, node->text, N_("Expected a country code of mobile networks: 3 digits"));
		return false;
	}
	if (n + 1 + 3 + 1 > sizeof d->params.home_mcc) {
		refuse(x, REG_RANGE, node->field->name, node->text, N_("A policy has at most 7 country codes of mobile networks"));
		return false;
	}
	snprintf(home + n, sizeof d->params.home_mcc - n, "%s%.3s", n ? "," : "", node->text.p);
	return true;
}

/* A field that stands in params. Lists are empty when the first of theirs comes. */
static bool take_param(struct exec *x, struct reg_draft *d, size_t *notices, const struct reg_node *node)
{
	const char *name = node->field->name;
	struct store_val v;

	if (!reg_parse(x, node->field, node->text, &v))
		return false;
	if (strcmp(name, "mode") == 0)
		d->params.restrictive = reg_val_is(v, "restrictive");
	else if (strcmp(name, "noticeDays") == 0)
		return take_notice(x, d, notices, node, v.i);
	else if (strcmp(name, "homeMCC") == 0)
		return take_mcc(x, d, node);
	else if (strcmp(name, "countryCode") == 0)
		snprintf(d->params.country_code, sizeof d->params.country_code, "%.*s", (int)v.s.n, v.s.p);
	for (const struct reg_policy_number *n = reg_policy_numbers; n->field; n++)
		if (strcmp(name, n->field) == 0)
			reg_policy_number_set(&d->params, n, v.i);
	return true;
}

static bool take_params(struct exec *x, struct reg_draft *d)
{
	size_t notices = 0;
	bool good = true;

	if (reg_node_find(x->c->set, "noticeDays"))
		memset(d->params.notice_days, 0, sizeof d->params.notice_days);
	if (reg_node_find(x->c->set, "homeMCC"))
		d->params.home_mcc[0] = '\0';
	for (const struct reg_node *n = x->c->set; n && good; n = n->next)
		if (n->field->column < 0 && n->field->type != REG_GROUP)
			good = take_param(x, d, &notices, n);
	return good;
}

/* ---- create ---- */

struct base {
	struct arena *arena;
	struct reg_draft *d;
	bool found;
};

static enum ceir_err keep_base(void *ctx, const struct store_val *row)
{
	struct base *b = ctx;

	b->found = true;
	return reg_policy_read(b->arena, row, b->d);
}

/* The version in force is what a draft begins with. */
static enum ceir_err load_base(struct exec *x, struct reg_draft *d)
{
	struct store_filter f = {POLICY_ROW_STATUS, STORE_EQ, store_text(STR("active"))};
	struct store_query q = {.table = &STORE_POLICY, .filters = &f, .n_filters = 1, .limit = 1};
	struct base b = {x->arena, d, false};
	enum ceir_err err = store_select(x->db, &q, keep_base, &b);

	if (!err && !b.found)
		reg_policy_defaults(d);
	return err;
}

/* Which field policy_new() complains of: its name stands first. */
static const char *field_of(const char *why)
{
	static const struct {
		const char *why, *field;
	} others[] = {{"notice_days", "noticeDays"}, {"home_mcc", "homeMCC"}, {"country_code", "countryCode"},
		{"amnesty", "amnestyUntil"}};

	for (const struct reg_policy_number *n = reg_policy_numbers; n->field; n++)
		if (str_starts(str_of(why), str_of(n->why)))
			return n->field;
	for (size_t i = 0; i < CEIR_COUNT(others); i++)
		if (str_starts(str_of(why), str_of(others[i].why)))
			return others[i].field;
	return "condition";
}

/* Does it compile? The reason is the compiler's, in English. */
static enum ceir_err check_draft(struct exec *x, int64_t version, const struct reg_draft *d)
{
	struct policy *p;
	char why[256];
	enum ceir_err err = policy_new(version, &d->params, d->c, d->n, why, sizeof why, &p);

	if (!err)
		policy_free(p);
	if (err != CEIR_EINVAL)
		return err;
	struct str reason = arena_str(x->arena, str_of(why));
	if (!reason.p)
		return CEIR_ENOMEM;
	const char *field = field_of(why);
	const struct reg_node *n = reg_node_find(x->c->set, field);
	return reg_refuse(x, strcmp(field, "condition") == 0 ? REG_VALUE : REG_RANGE, field, n && n->text.p ? n->text : STR(""), reason.p);
}

/* A number that no version had, deleted drafts included. */
static enum ceir_err next_version(struct exec *x, int64_t *version, struct str *code)
{
	struct str last = STR("0");
	uint64_t n;
	enum ceir_err err = store_meta_get(x->db, REG_POLICY_LAST, x->arena, &last);

	if (err && err != CEIR_ENOENT)
		return err;
	if (str_u64(last, INT32_MAX, &n))
		return CEIR_ECORRUPT;
	*version = (int64_t)n + 1;
	*code = reg_print_u64(x, n + 1);
	return code->p ? store_meta_set(x->db, REG_POLICY_LAST, *code) : CEIR_ENOMEM;
}

static bool take_draft(struct exec *x, struct reg_draft *d, struct store_val *row)
{
	uint32_t mask = 0;

	for (int i = 0; i < POLICY_ROW_N; i++)
		row[i] = store_null();
	if (!reg_row(x, x->c->object->fields, x->c->set, true, row, &mask))
		return false;
	if (!row[POLICY_ROW_STATUS].null && !reg_val_is(row[POLICY_ROW_STATUS], "draft")) {
		refuse(x, REG_POLICY, "status", row[POLICY_ROW_STATUS].s, N_("A policy begins as a draft"));
		return false;
	}
	if (reg_node_find(x->c->set, "force")) {
		refuse(x, REG_POLICY, "force", STR(""), N_("Only putting a policy in force can be forced"));
		return false;
	}
	return take_params(x, d) && take_conditions(x, d);
}

enum ceir_err reg_policy_create(struct exec *x)
{
	struct reg_draft d;
	struct store_val row[POLICY_ROW_N];
	struct str code;
	int64_t version;
	uint32_t mask = 0;
	enum ceir_err err = load_base(x, &d);

	if (err || !take_draft(x, &d, row))
		return err;
	err = reg_policy_assign(x, &d);
	if (err == CEIR_ERANGE)
		return reg_refuse(x, REG_POLICY, "condition", STR(""),
			N_("The policy in force and the drafts have more than 24 conditions: delete drafts"));
	if (!err)
		err = next_version(x, &version, &code);
	if (!err)
		err = check_draft(x, version, &d);
	if (err || reg_refused(x))
		return err;
	row[POLICY_ROW_ID] = store_int(version);
	row[POLICY_ROW_CODE] = store_text(code);
	row[POLICY_ROW_STATUS] = store_text(STR("draft"));
	reg_stamp(x, row, POLICY_ROW_CR_ID, &mask);
	err = reg_policy_write(x->arena, &d, row);
	if (!err)
		err = store_insert(x->db, &STORE_POLICY, row, NULL);
	x->policy_version = version;
	x->policy_dry = true;
	x->policy_force = false;
	return err ? err : reg_created(x, code);
}

/* ---- update, delete ---- */

/* Whether the command puts the version in force. False: refused. */
static bool check_status(struct exec *x, const struct store_val *before, const struct store_val *row, bool *activate)
{
	struct reg_node *status = reg_node_find(x->c->set, "status"), *force = reg_node_find(x->c->set, "force");
	struct store_val v = store_null();

	*activate = false;
	if (force && !reg_parse(x, force->field, force->text, &v))
		return false;
	if (!status && force) {
		refuse(x, REG_POLICY, "force", force->text, N_("Only putting a policy in force can be forced"));
		return false;
	}
	if (!status || reg_val_is(row[POLICY_ROW_STATUS], before[POLICY_ROW_STATUS].s.p))
		return true;
	if (!reg_val_is(row[POLICY_ROW_STATUS], "active") || !reg_val_is(before[POLICY_ROW_STATUS], "draft")) {
		refuse(x, REG_STATUS, "status", status->text, N_("Only a draft can be put in force; the version before it retires then"));
		return false;
	}
	x->policy_force = is_yes(v);
	*activate = true;
	return true;
}

/* Putting in force is a classification of the country: answered 1001, done in the background, and told by a message. */
enum ceir_err reg_policy_update(struct exec *x)
{
	struct store_val before[POLICY_ROW_N], row[POLICY_ROW_N];
	uint32_t mask = 0;
	bool activate;
	enum ceir_err err;

	if (!reg_load(x, &STORE_POLICY, before, &err))
		return err;
	memcpy(row, before, sizeof row);
	if (!reg_row(x, x->c->object->fields, x->c->set, false, row, &mask) || !check_status(x, before, row, &activate))
		return CEIR_OK;
	mask &= ~(1u << POLICY_ROW_STATUS);
	reg_stamp(x, row, POLICY_ROW_UP_ID, &mask);
	if (activate) {
		x->policy_version = row[POLICY_ROW_ID].i;
		x->policy_dry = false;
		x->reply->code = REG_PENDING;
	}
	return store_update(x->db, &STORE_POLICY, row[POLICY_ROW_ID].i, mask, row);
}

/* What was in force stays: verdicts were derived by it. */
enum ceir_err reg_policy_delete(struct exec *x)
{
	struct store_val row[POLICY_ROW_N];
	enum ceir_err err;

	if (!reg_load(x, &STORE_POLICY, row, &err))
		return err;
	if (!reg_val_is(row[POLICY_ROW_STATUS], "draft"))
		return reg_refuse(x, REG_STATUS, "id", x->c->key->text, N_("Only a draft can be deleted"));
	return store_delete(x->db, &STORE_POLICY, row[POLICY_ROW_ID].i);
}

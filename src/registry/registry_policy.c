/*
 * registry_policy.c - the policy of the country as an object: a version is made as a draft, tried, and put in force, never changed. What
 * the rules mean is policy.h's.
 *
 * In the database params is a JSON object of the fields that are no columns, under their names: numbers, "mode", arrays "noticeDays"
 * and "homeMCC", dates as text; a field that a version does not know has its default. conditions is an array: the condition of each
 * bit, {"name", "rule", "graceDays", "blocking", "sticky"}, or null for a bit that none has. The records of the classification hold
 * bits, so a condition keeps its bit from version to version (registry_policy_bits.c). dry_run is an object of the fields of the
 * group dryRun.
 */
#include <inttypes.h>
#include <jansson.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "registry/registry_policy.h"

/* ---- parameters ---- */

#define NUMBER(field, member) {field, #member, offsetof(struct policy_params, member), false}
#define DAY(field, member) {field, #member, offsetof(struct policy_params, member), true}
const struct reg_policy_number reg_policy_numbers[] = {NUMBER("graceDays", grace_days), NUMBER("lookbackDays", lookback_days),
	NUMBER("gapDays", gap_days), NUMBER("keepEpisodeDays", keep_episode_days), NUMBER("roamerDays", roamer_days),
	DAY("amnestyFrom", amnesty_from), DAY("amnestyUntil", amnesty_until), NUMBER("guardShare", guard_share), NUMBER("gateEmpty", gate_empty),
	NUMBER("gateUnclean", gate_unclean), NUMBER("gateForeign", gate_foreign), NUMBER("gateSize", gate_size), NUMBER("gateZeros", gate_zeros),
	{NULL, NULL, 0, false}};

/* All of them are 32 bits; days are int32_t, and none is negative. */
void reg_policy_number_set(struct policy_params *p, const struct reg_policy_number *n, int64_t value)
{
	uint32_t v = (uint32_t)value;

	memcpy((char *)p + n->at, &v, sizeof v);
}

static uint32_t number_get(const struct policy_params *p, const struct reg_policy_number *n)
{
	uint32_t v;

	memcpy(&v, (const char *)p + n->at, sizeof v);
	return v;
}

static void put_numbers(struct buf *b, const struct policy_params *p)
{
	char day[DATE_MAX];

	for (const struct reg_policy_number *n = reg_policy_numbers; n->field; n++) {
		uint32_t v = number_get(p, n);

		if (!n->day) {
			buf_printf(b, ",\"%s\":%u", n->field, v);
		} else if (v) {
			date_print((int32_t)v, day);
			buf_printf(b, ",\"%s\":\"%s\"", n->field, day);
		}
	}
}

static void put_params(struct buf *b, const struct policy_params *p)
{
	struct str rest = str_of(p->home_mcc), mcc;
	const char *glue = "";

	buf_printf(b, "{\"mode\":\"%s\"", p->restrictive ? "restrictive" : "permissive");
	put_numbers(b, p);
	buf_c(b, ",\"noticeDays\":[");
	for (size_t i = 0; i < CEIR_COUNT(p->notice_days) && p->notice_days[i]; i++)
		buf_printf(b, "%s%u", i ? "," : "", p->notice_days[i]);
	buf_c(b, "],\"homeMCC\":[");
	for (; str_cut(&rest, ',', &mcc); glue = ",") {
		buf_c(b, glue);
		buf_json(b, mcc);
	}
	buf_c(b, "],\"countryCode\":");
	buf_json(b, str_of(p->country_code));
	buf_c(b, "}");
}

static bool read_numbers(const json_t *o, struct policy_params *p)
{
	int32_t day;

	for (const struct reg_policy_number *n = reg_policy_numbers; n->field; n++) {
		const json_t *v = json_object_get(o, n->field);

		if (!v)
			continue;
		if (n->day && (!json_is_string(v) || date_parse(str_of(json_string_value(v)), &day)))
			return false;
		reg_policy_number_set(p, n, n->day ? day : json_integer_value(v));
	}
	return true;
}

/* Appends an MCC to the list; false: no room. */
static bool add_mcc(struct policy_params *p, struct str mcc)
{
	size_t n = strlen(p->home_mcc);

	if (!mcc.n || n + mcc.n + 2 > sizeof p->home_mcc)
		return false;
	if (n)
		p->home_mcc[n++] = ',';
	memcpy(p->home_mcc + n, mcc.p, mcc.n);
	p->home_mcc[n + mcc.n] = '\0';
	return true;
}

static bool read_lists(const json_t *o, struct policy_params *p)
{
	const json_t *notices = json_object_get(o, "noticeDays"), *home = json_object_get(o, "homeMCC");
	bool good = json_array_size(notices) <= CEIR_COUNT(p->notice_days);

	if (notices)
		memset(p->notice_days, 0, sizeof p->notice_days);
	for (size_t i = 0; good && i < json_array_size(notices); i++)
		p->notice_days[i] = (uint32_t)json_integer_value(json_array_get(notices, i));
	if (home)
		p->home_mcc[0] = '\0';
	for (size_t i = 0; good && i < json_array_size(home); i++)
		good = add_mcc(p, str_of(json_string_value(json_array_get(home, i))));
	return good;
}

static bool params_read(const json_t *o, struct policy_params *p)
{
	const char *mode = json_string_value(json_object_get(o, "mode")), *cc = json_string_value(json_object_get(o, "countryCode"));

	policy_defaults(p);
	if (!json_is_object(o))
		return false;
	if (mode)
		p->restrictive = strcmp(mode, "restrictive") == 0;
	if (cc && strlen(cc) < sizeof p->country_code)
		strcpy(p->country_code, cc);
	return read_numbers(o, p) && read_lists(o, p);
}

/* ---- conditions ---- */

static void put_conditions(struct buf *b, const struct policy_condition_text *c, size_t n)
{
	buf_c(b, "[");
	for (size_t i = 0; i < n; i++) {
		buf_c(b, i ? "," : "");
		if (!c[i].name.n) {
			buf_c(b, "null");
			continue;
		}
		buf_c(b, "{\"name\":");
		buf_json(b, c[i].name);
		buf_c(b, ",\"rule\":");
		buf_json(b, c[i].rule);
		buf_printf(b, ",\"graceDays\":%u,\"blocking\":%s,\"sticky\":%s}", c[i].grace_days, c[i].blocking ? "true" : "false",
			c[i].sticky ? "true" : "false");
	}
	buf_c(b, "]");
}

/* Texts stay those of the JSON. */
static bool conditions_read(const json_t *array, struct policy_condition_text *c, size_t *n)
{
	*n = json_array_size(array);
	if (!json_is_array(array) || *n > POLICY_CONDITIONS)
		return false;
	for (size_t i = 0; i < *n; i++) {
		const json_t *o = json_array_get(array, i);

		c[i] = (struct policy_condition_text){.name = {NULL, 0}};
		if (json_is_null(o))
			continue;
		c[i] = (struct policy_condition_text){.name = str_of(json_string_value(json_object_get(o, "name"))),
			.rule = str_of(json_string_value(json_object_get(o, "rule"))),
			.grace_days = (uint32_t)json_integer_value(json_object_get(o, "graceDays")),
			.blocking = json_is_true(json_object_get(o, "blocking")), .sticky = json_is_true(json_object_get(o, "sticky"))};
		if (!c[i].name.n)
			return false;
	}
	return true;
}

/* ---- stored versions ---- */

struct stored {
	json_t *params, *conditions;
	struct policy_params p;
	struct policy_condition_text c[POLICY_CONDITIONS];
	size_t n;
};

static json_t *parse(struct store_val v)
{
	return v.null ? NULL : json_loadb(v.s.p, v.s.n, JSON_REJECT_DUPLICATES, NULL);
}

static void stored_free(struct stored *s)
{
	json_decref(s->params);
	json_decref(s->conditions);
}

/* Free it whatever comes back. */
static enum ceir_err stored_read(const struct store_val *row, struct stored *s)
{
	*s = (struct stored){.params = parse(row[POLICY_ROW_PARAMS]), .conditions = parse(row[POLICY_ROW_CONDITIONS])};
	if (s->params && s->conditions && params_read(s->params, &s->p) && conditions_read(s->conditions, s->c, &s->n))
		return CEIR_OK;
	log_error("registry", "policy %" PRId64 " cannot be read from the database", row[POLICY_ROW_ID].i);
	return CEIR_ECORRUPT;
}

enum ceir_err reg_policy_load(const struct store_val *row, struct policy **out)
{
	struct stored s;
	char why[200];
	enum ceir_err err = stored_read(row, &s);

	if (!err)
		err = policy_new(row[POLICY_ROW_ID].i, &s.p, s.c, s.n, why, sizeof why, out);
	if (err == CEIR_EINVAL) {
		log_error("registry", "policy %" PRId64 ": %s", row[POLICY_ROW_ID].i, why);
		err = CEIR_ECORRUPT;
	}
	stored_free(&s);
	return err;
}

enum ceir_err reg_policy_read(struct arena *a, const struct store_val *row, struct reg_draft *d)
{
	struct stored s;
	enum ceir_err err = stored_read(row, &s);

	d->params = s.p;
	d->n = s.n;
	for (size_t i = 0; i < s.n && !err; i++) {
		d->c[i] = s.c[i];
		d->c[i].name = arena_str(a, s.c[i].name);
		d->c[i].rule = arena_str(a, s.c[i].rule);
		err = d->c[i].name.p && d->c[i].rule.p ? CEIR_OK : CEIR_ENOMEM;
	}
	stored_free(&s);
	return err;
}

void reg_policy_defaults(struct reg_draft *d)
{
	policy_defaults(&d->params);
	for (d->n = 0; POLICY_DEFAULT_CONDITIONS[d->n].name.n; d->n++)
		d->c[d->n] = POLICY_DEFAULT_CONDITIONS[d->n];
}

/* The buffer's text in the arena; empties it. */
static enum ceir_err keep_text(struct arena *a, struct buf *b, struct store_val *v)
{
	struct str s = b->failed ? (struct str){NULL, 0} : arena_str(a, buf_view(b));

	buf_clear(b);
	*v = store_text(s);
	return s.p ? CEIR_OK : CEIR_ENOMEM;
}

enum ceir_err reg_policy_write(struct arena *a, const struct reg_draft *d, struct store_val *row)
{
	struct buf b = BUF_INIT(1 << 20);
	enum ceir_err err;

	put_params(&b, &d->params);
	err = keep_text(a, &b, &row[POLICY_ROW_PARAMS]);
	put_conditions(&b, d->c, d->n);
	if (!err)
		err = keep_text(a, &b, &row[POLICY_ROW_CONDITIONS]);
	buf_free(&b);
	return err;
}

enum ceir_err reg_policy_first(struct store_conn *c, int64_t now_us)
{
	struct store_query all = {.table = &STORE_POLICY};
	struct arena *a = arena_new(1 << 20);
	struct store_val row[POLICY_ROW_N];
	struct reg_draft d;
	uint64_t count;
	enum ceir_err err = a ? store_count(c, &all, 1, &count) : CEIR_ENOMEM;

	if (err || count)
		goto out;
	for (int i = 0; i < POLICY_ROW_N; i++)
		row[i] = store_null();
	reg_policy_defaults(&d);
	row[POLICY_ROW_ID] = store_int(1);
	row[POLICY_ROW_CODE] = store_text(STR("1"));
	row[POLICY_ROW_STATUS] = store_text(STR("active"));
	row[POLICY_ROW_GROUND] = store_text(STR("as installed"));
	row[POLICY_ROW_ACTIVE_AT] = row[POLICY_ROW_CR_AT] = store_int(now_us);
	row[POLICY_ROW_CR_ID] = store_text(STR("ceir"));
	err = reg_policy_write(a, &d, row);
	if (!err)
		err = store_insert(c, &STORE_POLICY, row, NULL);
	if (!err)
		err = store_meta_set(c, REG_POLICY_LAST, STR("1"));
out:
	arena_free(a);
	return err;
}

/* ---- shown ---- */

/* One JSON value as text; .p NULL when there is none. */
static struct str value_text(struct exec *x, const json_t *v)
{
	if (json_is_integer(v))
		return arena_printf(x->arena, "%" JSON_INTEGER_FORMAT, json_integer_value(v));
	if (json_is_boolean(v))
		return json_is_true(v) ? STR("yes") : STR("no");
	return json_is_string(v) ? arena_str(x->arena, str_of(json_string_value(v))) : (struct str){NULL, 0};
}

static enum ceir_err add_group(struct exec *x, struct reg_list *l, const struct reg_field *f, const json_t *o)
{
	struct reg_list group;
	enum ceir_err err = CEIR_OK;

	if (!json_is_object(o))
		return CEIR_OK;
	reg_list_init(&group);
	for (const struct reg_field *g = f->fields; g->name && !err; g++)
		err = reg_list_add(x, &group, f->fields, g->name, value_text(x, json_object_get(o, g->name)));
	return err ? err : reg_list_group(x, l, x->c->object->fields, f->name, group.head);
}

/* A field that is no column. */
static enum ceir_err add_field(struct exec *x, struct reg_list *l, const struct reg_field *f, const json_t *v)
{
	enum ceir_err err = CEIR_OK;

	for (size_t i = 0; json_is_array(v) && i < json_array_size(v) && !err; i++) {
		const json_t *e = json_array_get(v, i);

		err = f->type == REG_GROUP ? add_group(x, l, f, e) : reg_list_add(x, l, x->c->object->fields, f->name, value_text(x, e));
	}
	if (json_is_array(v))
		return err;
	return f->type == REG_GROUP ? add_group(x, l, f, v) : reg_list_add(x, l, x->c->object->fields, f->name, value_text(x, v));
}

enum ceir_err reg_policy_nodes(struct exec *x, const struct store_val *row, struct reg_node **out)
{
	json_t *params = parse(row[POLICY_ROW_PARAMS]), *conditions = parse(row[POLICY_ROW_CONDITIONS]), *dry_run = parse(row[POLICY_ROW_DRY_RUN]);
	struct reg_list l;
	enum ceir_err err = params && conditions ? CEIR_OK : CEIR_ECORRUPT;

	reg_list_init(&l);
	for (const struct reg_field *f = x->c->object->fields; f->name && !err; f++) {
		if (f->column >= 0)
			err = reg_list_add(x, &l, x->c->object->fields, f->name, reg_print(x, f, row[f->column]));
		else if (strcmp(f->name, "condition") == 0)
			err = add_field(x, &l, f, conditions);
		else if (strcmp(f->name, "dryRun") == 0)
			err = add_field(x, &l, f, dry_run);
		else
			err = add_field(x, &l, f, json_object_get(params, f->name));
	}
	json_decref(params);
	json_decref(conditions);
	json_decref(dry_run);
	*out = l.head;
	return err;
}

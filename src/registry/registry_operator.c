/*
 * registry_operator.c - mobile operators with their networks (PLMN: MCC and MNC, ITU-T E.212), and whose subscribers' numbers are:
 * blocks of numbers and ported ones. An operator is never deleted: its number stands in the triplets for ever.
 */
#include <string.h>

#include "registry/registry_internal.h"

#define OPERATORS_MAX 255 /* a byte in the triplet store */

static void all_null(struct store_val *row, int n)
{
	for (int i = 0; i < n; i++)
		row[i] = store_null();
}

/* ---- networks ---- */

static bool is_plmn(struct str s)
{
	uint64_t n;

	return (s.n == 5 || s.n == 6) && str_u64(s, 999999, &n) == CEIR_OK;
}

static enum ceir_err refuse_plmn(struct exec *x, enum reg_code code, const struct reg_node *n, const char *reason)
{
	return reg_refuse(x, code, "plmn", n->text, reason);
}

static enum ceir_err add_plmn(struct exec *x, int64_t operator, struct reg_node *n)
{
	struct store_val row[OPERATOR_PLMN_N] = {store_null(), store_text(n->text), store_int(operator)};

	if (!is_plmn(n->text))
		return refuse_plmn(x, REG_VALUE, n, N_("Expected MCC and MNC of a network: 5 or 6 digits"));
	enum ceir_err err = store_insert(x->db, &STORE_OPERATOR_PLMN, row, NULL);
	return err != CEIR_EEXIST ? err : refuse_plmn(x, REG_EXISTS, n, N_("An operator has this network already"));
}

static enum ceir_err remove_plmn(struct exec *x, int64_t operator, struct reg_node *n)
{
	struct store_val row[OPERATOR_PLMN_N];
	enum ceir_err err;

	if (reg_find(x, &STORE_OPERATOR_PLMN, n->text, row, &err) && row[OPERATOR_PLMN_OPERATOR].i == operator)
		return store_delete(x->db, &STORE_OPERATOR_PLMN, row[OPERATOR_PLMN_ID].i);
	return err ? err : refuse_plmn(x, REG_NOT_FOUND, n, N_("The operator has no such network"));
}

static enum ceir_err each_plmn(struct exec *x, int64_t operator, struct reg_node *list,
	enum ceir_err (*what)(struct exec *, int64_t, struct reg_node *))
{
	enum ceir_err err = CEIR_OK;

	for (struct reg_node *n = list; n && !err && !reg_refused(x); n = n->next)
		if (strcmp(n->field->name, "plmn") == 0)
			err = what(x, operator, n);
	return err;
}

/* ---- operators ---- */

enum ceir_err reg_operator_create(struct exec *x)
{
	struct store_query all = {.table = &STORE_OPERATOR};
	struct store_val row[OPERATOR_N];
	uint32_t mask = 0;
	uint64_t count;
	int64_t id;

	all_null(row, OPERATOR_N);
	if (!reg_row(x, x->c->object->fields, x->c->set, true, row, &mask))
		return CEIR_OK;
	enum ceir_err err = store_count(x->db, &all, OPERATORS_MAX, &count);
	if (err)
		return err;
	if (count == OPERATORS_MAX)
		return reg_refuse(x, REG_POLICY, "id", row[OPERATOR_CODE].s, N_("A register has at most 255 operators"));
	if (row[OPERATOR_STATUS].null)
		row[OPERATOR_STATUS] = store_text(STR("active"));
	row[OPERATOR_USUAL] = store_int(0);
	reg_stamp(x, row, OPERATOR_CR_ID, &mask);
	err = reg_insert(x, &STORE_OPERATOR, row, &id);
	if (!err && !reg_refused(x))
		err = each_plmn(x, id, x->c->set, add_plmn);
	x->tables_changed = true;
	return err || reg_refused(x) ? err : reg_created(x, row[OPERATOR_CODE].s);
}

enum ceir_err reg_operator_update(struct exec *x)
{
	struct store_val row[OPERATOR_N];
	uint32_t mask = 0;
	enum ceir_err err;

	if (!reg_load(x, &STORE_OPERATOR, row, &err))
		return err;
	if (!reg_row(x, x->c->object->fields, x->c->set, false, row, &mask))
		return CEIR_OK;
	err = each_plmn(x, row[OPERATOR_ID].i, x->c->rem, remove_plmn);
	if (!err)
		err = each_plmn(x, row[OPERATOR_ID].i, x->c->add, add_plmn);
	reg_stamp(x, row, OPERATOR_UP_ID, &mask);
	x->tables_changed = true;
	return err || reg_refused(x) ? err : store_update(x->db, &STORE_OPERATOR, row[OPERATOR_ID].i, mask, row);
}

/* ---- portability ---- */

/* A number of a range: E.164, which begins with a country code and so never with 0. False: refused. */
static bool number(struct exec *x, const char *name, struct msisdn *out)
{
	struct reg_node *n = reg_node_find(x->c->set, name);
	struct store_val v;

	if (!reg_parse(x, n->field, n->text, &v))
		return false;
	enum ceir_err err = msisdn_parse(n->text, out);
	CEIR_ASSERT(!err);
	uint64_t least = 1;
	for (unsigned i = 1; i < out->digits; i++)
		least *= 10;
	if (out->n >= least)
		return true;
	if (reg_refuse(x, REG_VALUE, name, n->text, N_("Expected a number that begins with the country code")))
		x->reply->code = REG_FAILED;
	return false;
}

static bool same_range(struct exec *x, const struct store_val *row, enum ceir_err *err)
{
	struct store_filter f[] = {{PORTABILITY_FROM, STORE_EQ, row[PORTABILITY_FROM]}, {PORTABILITY_TO, STORE_EQ, row[PORTABILITY_TO]}};
	struct store_query q = {.table = &STORE_PORTABILITY, .filters = f, .n_filters = CEIR_COUNT(f)};
	uint64_t count = 0;

	*err = store_count(x->db, &q, 1, &count);
	return !*err && count;
}

static enum ceir_err check_range(struct exec *x, struct store_val *row)
{
	struct reg_node *last = reg_node_find(x->c->set, "to");
	struct store_val operator[OPERATOR_N];
	struct msisdn from, to;
	enum ceir_err err;

	if (!number(x, "from", &from))
		return CEIR_OK;
	to = from;
	if (last && !number(x, "to", &to))
		return CEIR_OK;
	if (to.digits != from.digits || to.n < from.n)
		return reg_refuse(x, REG_RANGE, "to", last->text, N_("The last number of a range has as many digits as the first and is not smaller"));
	if (!reg_find(x, &STORE_OPERATOR, row[PORTABILITY_OPERATOR].s, operator, &err))
		return err ? err : reg_refuse(x, REG_NOT_FOUND, "operator", row[PORTABILITY_OPERATOR].s, N_("There is no such operator"));
	row[PORTABILITY_FROM] = store_int((int64_t)from.n);
	row[PORTABILITY_TO] = store_int((int64_t)to.n);
	if (same_range(x, row, &err))
		return reg_refuse(x, REG_EXISTS, "from", reg_node_find(x->c->set, "from")->text, N_("This range of numbers is in the table already"));
	return err;
}

enum ceir_err reg_portability_create(struct exec *x)
{
	struct store_val row[PORTABILITY_N];
	uint32_t mask = 0;
	enum ceir_err err;

	all_null(row, PORTABILITY_N);
	if (!reg_row(x, x->c->object->fields, x->c->set, true, row, &mask))
		return CEIR_OK;
	err = check_range(x, row);
	if (err || reg_refused(x))
		return err;
	row[PORTABILITY_ID] = store_int(x->transaction);
	struct str code = arena_printf(x->arena, "N%lld", (long long)x->transaction);
	row[PORTABILITY_CODE] = store_text(code);
	reg_stamp(x, row, PORTABILITY_CR_ID, &mask);
	err = code.p ? store_insert(x->db, &STORE_PORTABILITY, row, NULL) : CEIR_ENOMEM;
	x->tables_changed = true;
	return err ? err : reg_created(x, code);
}

/* Numbers that were ported on: the old entry goes, the audit log keeps who and when. */
enum ceir_err reg_portability_delete(struct exec *x)
{
	struct store_val row[PORTABILITY_N];
	enum ceir_err err;

	if (!reg_load(x, &STORE_PORTABILITY, row, &err))
		return err;
	x->tables_changed = true;
	return store_delete(x->db, &STORE_PORTABILITY, row[PORTABILITY_ID].i);
}

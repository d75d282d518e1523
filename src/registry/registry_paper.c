/*
 * registry_paper.c - importers, permits, certificates and TACs: what customs and the regulator keep. Their verbs are the same
 * pattern: load, check, write the row and its list, and where a paper loses or regains its force, let it ripple to the devices.
 */
#include <string.h>

#include "registry/registry_internal.h"

const struct store_table *reg_object_table(const struct reg_object *o)
{
	static const struct {
		const char *name;
		const struct store_table *table;
	} tables[] = {{"importer", &STORE_IMPORTER}, {"permit", &STORE_PERMIT}, {"certificate", &STORE_CERTIFICATE}, {"tac", &STORE_TAC},
		{"application", &STORE_APPLICATION}, {"listing", &STORE_LISTING}, {"account", &STORE_ACCOUNT}, {"transaction", &STORE_AUDIT},
		{"operator", &STORE_OPERATOR}, {"portability", &STORE_PORTABILITY}, {"delivery", &STORE_DELIVERY}, {"policy", &STORE_POLICY},
		{"watch", &STORE_WATCH}, {"list", &STORE_LIST_FILE}, {"remote", &STORE_REMOTE}};

	for (size_t i = 0; i < CEIR_COUNT(tables); i++)
		if (strcmp(o->name, tables[i].name) == 0)
			return tables[i].table;
	return NULL;
}

/* ---- reading ---- */

enum ceir_err reg_check_paper(struct exec *x)
{
	const struct reg_object *o = x->c->object;
	struct reg_check_item *items = arena_array(x->arena, x->c->n_names, sizeof *items);
	struct store_val key, row[STORE_MAX_COLUMNS];
	struct reg_reply probe = {.code = REG_DONE}, *real = x->reply;

	if (!items)
		return CEIR_ENOMEM;
	for (size_t i = 0; i < x->c->n_names; i++) {
		items[i].name = x->c->names[i];
		x->reply = &probe; /* a bad name is an answer here, not a refusal */
		bool good = reg_parse(x, &o->fields[0], x->c->names[i], &key);
		x->reply = real;
		enum ceir_err err = good ? store_get(x->db, reg_object_table(o), 1, key, x->arena, row) : CEIR_ENOENT;
		if (err && err != CEIR_ENOENT)
			return err;
		items[i].avail = good && err == CEIR_ENOENT;
		items[i].reason = !good ? N_("Object is not valid") : items[i].avail ? NULL : N_("Object exists");
	}
	x->reply->data = REG_DATA_CHECK;
	x->reply->object = o;
	x->reply->checks = items;
	x->reply->n_checks = x->c->n_names;
	return CEIR_OK;
}

/* A list that hangs on a row: positions, covered TACs, fingerprints. */
struct children {
	struct exec *x;
	struct reg_list *out;
	const struct reg_field *fields;
	const char *name;              /* the list's field */
	int column;                    /* of plain values; -1: groups */
};

static enum ceir_err add_child(void *ctx, const struct store_val *row)
{
	struct children *ch = ctx;
	struct exec *x = ch->x;
	const struct reg_field *f = reg_field_find(ch->fields, str_of(ch->name));
	struct reg_list group;

	if (ch->column >= 0) {
		struct str text = reg_print(x, f, row[ch->column]);

		return text.p ? reg_list_add(x, ch->out, ch->fields, ch->name, text) : CEIR_ENOMEM;
	}
	reg_list_init(&group);
	enum ceir_err err = reg_row_nodes(x, f->fields, row, &group);
	return err ? err : reg_list_group(x, ch->out, ch->fields, ch->name, group.head);
}

static enum ceir_err add_children(struct exec *x, struct reg_list *out, const struct reg_object *o, const struct reg_field *f,
	const struct store_val *row)
{
	static const struct {
		const char *object, *field;
		const struct store_table *table;
		int parent, column;
	} lists[] = {{"permit", "position", &STORE_POSITION, POSITION_PERMIT, -1},
		{"certificate", "tac", &STORE_CERTIFICATE_TAC, CERTIFICATE_TAC_CERTIFICATE, CERTIFICATE_TAC_TAC},
		{"account", "certificate", &STORE_ACCOUNT_CERT, ACCOUNT_CERT_ACCOUNT, ACCOUNT_CERT_SHA256},
		{"operator", "plmn", &STORE_OPERATOR_PLMN, OPERATOR_PLMN_OPERATOR, OPERATOR_PLMN_PLMN}};

	for (size_t i = 0; i < CEIR_COUNT(lists); i++)
		if (strcmp(o->name, lists[i].object) == 0) {
			struct children ch = {x, out, o->fields, lists[i].field, lists[i].column};
			struct store_filter of = {lists[i].parent, STORE_EQ, store_int(row[0].i)};
			struct store_query q = {.table = lists[i].table, .filters = &of, .n_filters = 1, .sort = 1};

			return store_select(x->db, &q, add_child, &ch);
		}
	if (strcmp(o->name, "remote") == 0)
		return reg_remote_nodes(x, f, out, row);
	return strcmp(o->name, "delivery") == 0 ? reg_delivery_holds(x, out, row) : CEIR_OK;
}

/* The fields before a list come before it, those behind it after: the order of the schema. */
enum ceir_err reg_object_nodes(struct exec *x, const struct reg_object *o, const struct store_val *row, struct reg_node **out)
{
	struct reg_list l;
	enum ceir_err err = CEIR_OK;

	if (strcmp(o->name, "policy") == 0)
		return reg_policy_nodes(x, row, out);
	reg_list_init(&l);
	for (const struct reg_field *f = o->fields; f->name && !err; f++) {
		if (f->flags & REG_MANY) {
			err = add_children(x, &l, o, f, row);
		} else if (f->column >= 0 && !row[f->column].null && reg_sees(x, f)) {
			char trid[REG_SVTRID_MAX];
			struct str text = reg_print(x, f, row[f->column]);

			/* The name of a transaction is its svTRID, which is made of the time. */
			if (f == o->fields && strcmp(o->name, "transaction") == 0) {
				reg_svtrid(x->r, row[f->column].i, trid);
				text = arena_str(x->arena, str_of(trid));
			}
			err = text.p ? reg_list_add(x, &l, o->fields, f->name, text) : CEIR_ENOMEM;
		}
	}
	*out = l.head;
	return err;
}

/* May this session see this row? Roles of .own reach their own only. */
static bool is_own(const struct exec *x, const struct reg_object *o, const struct store_val *row)
{
	const struct reg_who *who = &x->s->who;

	if (!(o->own[x->c->verb] & REG_BIT(who->role)))
		return true;
	if (strcmp(o->name, "importer") == 0)
		return reg_val_is(row[IMPORTER_CODE], who->importer);
	if (strcmp(o->name, "permit") == 0)
		return reg_val_is(row[PERMIT_IMPORTER], who->importer);
	if (strcmp(o->name, "account") == 0)
		return reg_val_is(row[ACCOUNT_CODE], who->clid);
	if (strcmp(o->name, "remote") == 0)
		return reg_val_is(row[REMOTE_ACCOUNT], who->clid);
	return strcmp(o->name, "transaction") == 0 && reg_val_is(row[AUDIT_ACCOUNT], who->clid);
}

/* A transaction is named by its svTRID: the time is in it. */
static bool load_transaction(struct exec *x, struct store_val *row, enum ceir_err *err)
{
	struct str name = x->c->key ? x->c->key->text : STR("");
	size_t prefix = strlen(x->r->settings.svtrid_prefix) + 1;
	char text[TIME_RFC3339_MAX], trid[REG_SVTRID_MAX];
	int64_t us;

	*err = CEIR_OK;
	if (name.n == prefix + 20) {
		const char *d = name.p + prefix;

		snprintf(text, sizeof text, "%.4s-%.2s-%.2sT%.2s:%.2s:%.2s.%.6sZ", d, d + 4, d + 6, d + 8, d + 10, d + 12, d + 14);
		if (!time_parse(str_of(text), &us)) {
			reg_svtrid(x->r, us, trid);
			*err = str_eq_c(name, trid) ? store_get(x->db, &STORE_AUDIT, AUDIT_AT, store_int(us), x->arena, row) : CEIR_ENOENT;
			if (*err != CEIR_ENOENT)
				return *err == CEIR_OK;
		}
	}
	*err = reg_refuse(x, REG_NOT_FOUND, "id", name, N_("There is no such object"));
	return false;
}

enum ceir_err reg_info_paper(struct exec *x)
{
	const struct reg_object *o = x->c->object;
	struct store_val row[STORE_MAX_COLUMNS];
	enum ceir_err err;
	bool found = reg_object_table(o) == &STORE_AUDIT ? load_transaction(x, row, &err) : reg_load(x, reg_object_table(o), row, &err);

	if (!found)
		return err;
	if (!is_own(x, o, row))
		return reg_refuse(x, REG_AUTHORIZATION, x->c->key->field->name, x->c->key->text, N_("The object belongs to somebody else"));
	x->reply->data = REG_DATA_INFO;
	x->reply->object = o;
	return reg_object_nodes(x, o, row, &x->reply->fields);
}

/* ---- shared by the writing verbs ---- */

static enum ceir_err any_row(void *ctx, const struct store_val *row)
{
	(void)row;
	*(bool *)ctx = true;
	return CEIR_OK;
}

/* Is there any row with this value? */
static enum ceir_err exists(struct exec *x, const struct store_table *t, int column, struct store_val v, bool *found)
{
	struct store_filter f = {column, STORE_EQ, v};
	struct store_query q = {.table = t, .filters = &f, .n_filters = 1, .limit = 1};

	*found = false;
	return store_select(x->db, &q, any_row, found);
}

static enum ceir_err refuse_linked(struct exec *x)
{
	return reg_refuse(x, REG_ASSOCIATION, x->c->key->field->name, x->c->key->text, N_("Other objects refer to this object"));
}

/* Deletes the loaded row unless `found` says that something refers to it. */
static enum ceir_err delete_unless(struct exec *x, const struct store_table *t, int64_t id, bool found)
{
	return found ? refuse_linked(x) : store_delete(x->db, t, id);
}

static void all_null(struct store_val *row, int n)
{
	for (int i = 0; i < n; i++)
		row[i] = store_null();
}

/* Sets a default where the command gave nothing. */
static void preset(struct store_val *row, int column, const char *text)
{
	if (row[column].null)
		row[column] = store_text(str_of(text));
}

/* exDate must lie behind issued. */
static enum ceir_err check_dates(struct exec *x, int64_t issued, int64_t ex)
{
	const struct reg_node *n = reg_node_find(x->c->set, "exDate");

	if (ex >= issued)
		return CEIR_OK;
	return reg_refuse(x, REG_RANGE, "exDate", n ? n->text : STR(""), N_("The end lies before the beginning"));
}

/* ---- importer ---- */

enum ceir_err reg_importer_create(struct exec *x)
{
	struct store_val row[IMPORTER_N];
	uint32_t mask = 0;

	all_null(row, IMPORTER_N);
	if (!reg_row(x, x->c->object->fields, x->c->set, true, row, &mask))
		return CEIR_OK;
	preset(row, IMPORTER_STATUS, "active");
	reg_stamp(x, row, IMPORTER_CR_ID, &mask);
	enum ceir_err err = reg_insert(x, &STORE_IMPORTER, row, NULL);
	return err || reg_refused(x) ? err : reg_created(x, row[IMPORTER_CODE].s);
}

enum ceir_err reg_importer_update(struct exec *x)
{
	struct store_val row[IMPORTER_N];
	uint32_t mask = 0;
	enum ceir_err err;

	if (!reg_load(x, &STORE_IMPORTER, row, &err))
		return err;
	bool revoked = reg_val_is(row[IMPORTER_STATUS], "revoked");
	if (!reg_row(x, x->c->object->fields, x->c->set, false, row, &mask))
		return CEIR_OK;
	reg_stamp(x, row, IMPORTER_UP_ID, &mask);
	err = store_update(x->db, &STORE_IMPORTER, row[IMPORTER_ID].i, mask, row);
	if (!err && revoked != reg_val_is(row[IMPORTER_STATUS], "revoked"))
		err = reg_ripple(x, REG_RIPPLE_IMPORTER, row[IMPORTER_CODE].s);
	return err;
}

enum ceir_err reg_importer_delete(struct exec *x)
{
	struct store_val row[IMPORTER_N];
	bool permits, accounts = false, applications = false;
	enum ceir_err err;

	if (!reg_load(x, &STORE_IMPORTER, row, &err))
		return err;
	err = exists(x, &STORE_PERMIT, PERMIT_IMPORTER, row[IMPORTER_CODE], &permits);
	if (!err)
		err = exists(x, &STORE_ACCOUNT, ACCOUNT_IMPORTER, row[IMPORTER_CODE], &accounts);
	if (!err)
		err = exists(x, &STORE_APPLICATION, APPLICATION_IMPORTER, row[IMPORTER_CODE], &applications);
	return err ? err : delete_unless(x, &STORE_IMPORTER, row[IMPORTER_ID].i, permits || accounts || applications);
}

/* ---- permit ---- */

struct first_row {
	struct exec *x;
	struct store_val *row;
	int n;
	bool found;
};

static enum ceir_err keep_row(void *ctx, const struct store_val *row)
{
	struct first_row *f = ctx;

	for (int i = 0; i < f->n; i++) {
		f->row[i] = row[i];
		if (!row[i].null && row[i].type != STORE_INT) {
			f->row[i].s = arena_str(f->x->arena, row[i].s);
			if (!f->row[i].s.p)
				return CEIR_ENOMEM;
		}
	}
	f->found = true;
	return CEIR_OK;
}

enum ceir_err reg_position(struct exec *x, int64_t permit, int64_t number, struct store_val *row)
{
	struct store_filter f[] = {{POSITION_PERMIT, STORE_EQ, store_int(permit)}, {POSITION_NUMBER, STORE_EQ, store_int(number)}};
	struct store_query q = {.table = &STORE_POSITION, .filters = f, .n_filters = 2, .limit = 1, .keep = true};
	struct first_row first = {x, row, POSITION_N, false};
	enum ceir_err err = store_select(x->db, &q, keep_row, &first);

	return err ? err : first.found ? CEIR_OK : CEIR_ENOENT;
}

/* The certificate that a position names must exist. */
static enum ceir_err check_certificate(struct exec *x, struct str code)
{
	struct store_val row[CERTIFICATE_N];
	enum ceir_err err;

	if (reg_find(x, &STORE_CERTIFICATE, code, row, &err) || err)
		return err;
	return reg_refuse(x, REG_NOT_FOUND, "certificate", code, N_("There is no such certificate"));
}

static enum ceir_err add_position(struct exec *x, int64_t permit, struct reg_node *group)
{
	struct store_val row[POSITION_N];
	uint32_t mask = 0;
	enum ceir_err err;

	all_null(row, POSITION_N);
	if (!reg_row(x, group->field->fields, group->child, true, row, &mask))
		return CEIR_OK;
	err = check_certificate(x, row[POSITION_CERTIFICATE].s);
	if (err || reg_refused(x))
		return err;
	row[POSITION_PERMIT] = store_int(permit);
	row[POSITION_USED] = store_int(0);
	err = store_insert(x->db, &STORE_POSITION, row, NULL);
	if (err != CEIR_EEXIST)
		return err;
	return reg_refuse(x, REG_EXISTS, "number", reg_node_find(group->child, "number")->text, N_("The permit has a position of this number"));
}

/* The position that a group names by its number; false: refused or *err. */
static bool load_position(struct exec *x, int64_t permit, struct reg_node *group, struct store_val *row, enum ceir_err *err)
{
	struct reg_node *n = reg_node_find(group->child, "number");
	struct store_val number;

	*err = CEIR_OK;
	if (!n) {
		*err = reg_refuse(x, REG_MISSING, "number", STR(""), N_("This element is required"));
		return false;
	}
	if (!reg_parse(x, n->field, n->text, &number))
		return false;
	*err = reg_position(x, permit, number.i, row);
	if (*err == CEIR_ENOENT)
		*err = reg_refuse(x, REG_NOT_FOUND, "number", n->text, N_("The permit has no such position"));
	return !*err && !reg_refused(x);
}

/* Correction of a position: its quantity cannot fall below what is used, and the model is fixed once devices stand on it. */
static enum ceir_err change_position(struct exec *x, int64_t permit, struct reg_node *group)
{
	struct store_val row[POSITION_N];
	uint32_t mask = 0, model = 1u << POSITION_CERTIFICATE | 1u << POSITION_MANUFACTURER | 1u << POSITION_MODEL;
	enum ceir_err err;

	if (!load_position(x, permit, group, row, &err))
		return err;
	int64_t used = row[POSITION_USED].i;
	if (!reg_row(x, group->field->fields, group->child, false, row, &mask))
		return CEIR_OK;
	struct str number = reg_node_find(group->child, "number")->text;
	if (used && (mask & model))
		return reg_refuse(x, REG_ASSOCIATION, "number", number, N_("Devices are registered under this position: its model and certificate stay"));
	if (row[POSITION_QUANTITY].i < used)
		return reg_refuse(x, REG_POLICY, "quantity", reg_node_find(group->child, "quantity")->text,
			N_("More devices than this are registered under the position already"));
	if (mask & 1u << POSITION_CERTIFICATE) {
		err = check_certificate(x, row[POSITION_CERTIFICATE].s);
		if (err || reg_refused(x))
			return err;
	}
	return store_update(x->db, &STORE_POSITION, row[POSITION_ID].i, mask & ~(1u << POSITION_NUMBER), row);
}

/*
 * Did any application under this position come so far that devices may have been registered? Those withdrawn since gave their
 * units back, but their history still names the position.
 */
static enum ceir_err position_was_used(struct exec *x, int64_t number, bool *used)
{
	static const char *const statuses[] = {"submitted", "done"};
	enum ceir_err err = CEIR_OK;

	*used = false;
	for (size_t i = 0; i < CEIR_COUNT(statuses) && !err && !*used; i++) {
		struct store_filter f[] = {{APPLICATION_PERMIT, STORE_EQ, store_text(x->c->key->text)},
			{APPLICATION_POSITION, STORE_EQ, store_int(number)}, {APPLICATION_STATUS, STORE_EQ, store_text(str_of(statuses[i]))}};
		struct store_query q = {.table = &STORE_APPLICATION, .filters = f, .n_filters = 3, .limit = 1};

		err = store_select(x->db, &q, any_row, used);
	}
	return err;
}

static enum ceir_err remove_position(struct exec *x, int64_t permit, struct reg_node *group)
{
	struct store_val row[POSITION_N];
	bool used;
	enum ceir_err err;

	if (!load_position(x, permit, group, row, &err))
		return err;
	err = position_was_used(x, row[POSITION_NUMBER].i, &used);
	if (!err && used)
		return reg_refuse(x, REG_ASSOCIATION, "number", reg_node_find(group->child, "number")->text,
			N_("Devices are registered under this position"));
	return err ? err : store_delete(x->db, &STORE_POSITION, row[POSITION_ID].i);
}

static enum ceir_err each_position(struct exec *x, int64_t permit, struct reg_node *list,
	enum ceir_err (*what)(struct exec *, int64_t, struct reg_node *))
{
	enum ceir_err err = CEIR_OK;

	for (struct reg_node *n = list; n && !err && !reg_refused(x); n = n->next)
		if (n->field->type == REG_GROUP)
			err = what(x, permit, n);
	return err;
}

enum ceir_err reg_permit_create(struct exec *x)
{
	struct store_val row[PERMIT_N], importer[IMPORTER_N];
	uint32_t mask = 0;
	int64_t id;
	enum ceir_err err;

	all_null(row, PERMIT_N);
	if (!reg_row(x, x->c->object->fields, x->c->set, true, row, &mask))
		return CEIR_OK;
	err = check_dates(x, row[PERMIT_ISSUED].i, row[PERMIT_EX].i);
	if (err || reg_refused(x))
		return err;
	if (!reg_find(x, &STORE_IMPORTER, row[PERMIT_IMPORTER].s, importer, &err))
		return err ? err : reg_refuse(x, REG_NOT_FOUND, "importer", row[PERMIT_IMPORTER].s, N_("There is no such importer"));
	if (!reg_val_is(importer[IMPORTER_STATUS], "active"))
		return reg_refuse(x, REG_STATUS, "importer", row[PERMIT_IMPORTER].s, N_("The importer is not active"));
	preset(row, PERMIT_STATUS, "valid");
	reg_stamp(x, row, PERMIT_CR_ID, &mask);
	err = reg_insert(x, &STORE_PERMIT, row, &id);
	if (!err && !reg_refused(x))
		err = each_position(x, id, x->c->set, add_position);
	return err || reg_refused(x) ? err : reg_created(x, row[PERMIT_CODE].s);
}

enum ceir_err reg_permit_update(struct exec *x)
{
	struct store_val row[PERMIT_N];
	uint32_t mask = 0;
	enum ceir_err err;

	if (!reg_load(x, &STORE_PERMIT, row, &err))
		return err;
	bool revoked = reg_val_is(row[PERMIT_STATUS], "revoked");
	if (!reg_row(x, x->c->object->fields, x->c->set, false, row, &mask))
		return CEIR_OK;
	err = each_position(x, row[PERMIT_ID].i, x->c->rem, remove_position);
	if (!err)
		err = each_position(x, row[PERMIT_ID].i, x->c->add, add_position);
	if (!err)
		err = each_position(x, row[PERMIT_ID].i, x->c->set, change_position);
	reg_stamp(x, row, PERMIT_UP_ID, &mask);
	if (!err && !reg_refused(x))
		err = store_update(x->db, &STORE_PERMIT, row[PERMIT_ID].i, mask, row);
	if (!err && !reg_refused(x) && revoked != reg_val_is(row[PERMIT_STATUS], "revoked"))
		err = reg_ripple(x, REG_RIPPLE_PERMIT, row[PERMIT_CODE].s);
	return err;
}

struct doomed {
	struct exec *x;
	int64_t ids[256];
	size_t n;
};

static enum ceir_err doom(void *ctx, const struct store_val *row)
{
	struct doomed *d = ctx;

	d->ids[d->n++] = row[0].i;
	return CEIR_OK;
}

enum ceir_err reg_delete_list(struct exec *x, const struct store_table *t, int parent, int64_t id)
{
	struct store_filter f = {parent, STORE_EQ, store_int(id)};
	struct store_query q = {.table = t, .filters = &f, .n_filters = 1, .limit = 256};
	struct doomed d = {.x = x};
	enum ceir_err err;

	do {
		d.n = 0;
		err = store_select(x->db, &q, doom, &d);
		for (size_t i = 0; i < d.n && !err; i++)
			err = store_delete(x->db, t, d.ids[i]);
	} while (d.n && !err);
	return err;
}

enum ceir_err reg_permit_delete(struct exec *x)
{
	struct store_val row[PERMIT_N];
	bool found;
	enum ceir_err err;

	if (!reg_load(x, &STORE_PERMIT, row, &err))
		return err;
	err = exists(x, &STORE_APPLICATION, APPLICATION_PERMIT, row[PERMIT_CODE], &found);
	if (!err && !found)
		err = reg_delete_list(x, &STORE_POSITION, POSITION_PERMIT, row[PERMIT_ID].i);
	return err ? err : delete_unless(x, &STORE_PERMIT, row[PERMIT_ID].i, found);
}

/* ---- certificate ---- */

static enum ceir_err add_tac(struct exec *x, int64_t certificate, struct reg_node *n)
{
	struct store_val row[CERTIFICATE_TAC_N] = {store_null(), store_null(), store_int(certificate)};

	if (!reg_parse(x, n->field, n->text, &row[CERTIFICATE_TAC_TAC]))
		return CEIR_OK;
	enum ceir_err err = store_insert(x->db, &STORE_CERTIFICATE_TAC, row, NULL);
	return err != CEIR_EEXIST ? err : reg_refuse(x, REG_EXISTS, "tac", n->text, N_("The certificate covers this TAC already"));
}

static enum ceir_err remove_tac(struct exec *x, int64_t certificate, struct reg_node *n)
{
	struct store_val tac;
	struct doomed d = {.x = x};

	if (!reg_parse(x, n->field, n->text, &tac))
		return CEIR_OK;
	struct store_filter f[] = {{CERTIFICATE_TAC_CERTIFICATE, STORE_EQ, store_int(certificate)}, {CERTIFICATE_TAC_TAC, STORE_EQ, tac}};
	struct store_query q = {.table = &STORE_CERTIFICATE_TAC, .filters = f, .n_filters = 2, .limit = 1};
	enum ceir_err err = store_select(x->db, &q, doom, &d);
	if (err)
		return err;
	return d.n ? store_delete(x->db, &STORE_CERTIFICATE_TAC, d.ids[0])
		: reg_refuse(x, REG_NOT_FOUND, "tac", n->text, N_("The certificate does not cover this TAC"));
}

static enum ceir_err each_tac(struct exec *x, int64_t certificate, struct reg_node *list,
	enum ceir_err (*what)(struct exec *, int64_t, struct reg_node *))
{
	enum ceir_err err = CEIR_OK;

	for (struct reg_node *n = list; n && !err && !reg_refused(x); n = n->next)
		if (strcmp(n->field->name, "tac") == 0)
			err = what(x, certificate, n);
	return err;
}

enum ceir_err reg_certificate_create(struct exec *x)
{
	struct store_val row[CERTIFICATE_N];
	uint32_t mask = 0;
	int64_t id;

	all_null(row, CERTIFICATE_N);
	if (!reg_row(x, x->c->object->fields, x->c->set, true, row, &mask))
		return CEIR_OK;
	enum ceir_err err = check_dates(x, row[CERTIFICATE_ISSUED].i, row[CERTIFICATE_EX].i);
	if (err || reg_refused(x))
		return err;
	preset(row, CERTIFICATE_STATUS, "valid");
	reg_stamp(x, row, CERTIFICATE_CR_ID, &mask);
	err = reg_insert(x, &STORE_CERTIFICATE, row, &id);
	if (!err && !reg_refused(x))
		err = each_tac(x, id, x->c->set, add_tac);
	return err || reg_refused(x) ? err : reg_created(x, row[CERTIFICATE_CODE].s);
}

enum ceir_err reg_certificate_update(struct exec *x)
{
	struct store_val row[CERTIFICATE_N];
	uint32_t mask = 0;
	enum ceir_err err;

	if (!reg_load(x, &STORE_CERTIFICATE, row, &err))
		return err;
	bool revoked = reg_val_is(row[CERTIFICATE_STATUS], "revoked");
	if (!reg_row(x, x->c->object->fields, x->c->set, false, row, &mask))
		return CEIR_OK;
	err = each_tac(x, row[CERTIFICATE_ID].i, x->c->rem, remove_tac);
	if (!err)
		err = each_tac(x, row[CERTIFICATE_ID].i, x->c->add, add_tac);
	reg_stamp(x, row, CERTIFICATE_UP_ID, &mask);
	if (!err && !reg_refused(x))
		err = store_update(x->db, &STORE_CERTIFICATE, row[CERTIFICATE_ID].i, mask, row);
	if (!err && !reg_refused(x) && revoked != reg_val_is(row[CERTIFICATE_STATUS], "revoked"))
		err = reg_ripple(x, REG_RIPPLE_CERTIFICATE, row[CERTIFICATE_CODE].s);
	return err;
}

enum ceir_err reg_certificate_delete(struct exec *x)
{
	struct store_val row[CERTIFICATE_N];
	bool found;
	enum ceir_err err;

	if (!reg_load(x, &STORE_CERTIFICATE, row, &err))
		return err;
	err = exists(x, &STORE_POSITION, POSITION_CERTIFICATE, row[CERTIFICATE_CODE], &found);
	if (!err && !found)
		err = reg_delete_list(x, &STORE_CERTIFICATE_TAC, CERTIFICATE_TAC_CERTIFICATE, row[CERTIFICATE_ID].i);
	return err ? err : delete_unless(x, &STORE_CERTIFICATE, row[CERTIFICATE_ID].i, found);
}

/* ---- renew of permits and certificates ---- */

/*
 * The present end must be named (RFC 5731 3.2.3: a repeated command must not renew twice), the new one lies behind it. Devices
 * registered before an end stay registered, so nothing ripples.
 */
enum ceir_err reg_paper_renew(struct exec *x)
{
	bool permit = reg_object_table(x->c->object) == &STORE_PERMIT;
	const struct store_table *t = permit ? &STORE_PERMIT : &STORE_CERTIFICATE;
	int ex = permit ? PERMIT_EX : CERTIFICATE_EX, status = permit ? PERMIT_STATUS : CERTIFICATE_STATUS;
	struct reg_node *cur = reg_node_find(x->c->set, "curExDate"), *end = reg_node_find(x->c->set, "exDate");
	struct store_val row[STORE_MAX_COLUMNS], cur_v, end_v;
	uint32_t mask = 1u << ex;
	struct reg_list l;
	enum ceir_err err;

	if (!reg_load(x, t, row, &err))
		return err;
	if (!cur || !end)
		return reg_refuse(x, REG_MISSING, cur ? "exDate" : "curExDate", STR(""), N_("This element is required"));
	if (!reg_parse(x, cur->field, cur->text, &cur_v) || !reg_parse(x, end->field, end->text, &end_v))
		return CEIR_OK;
	if (!reg_val_is(row[status], "valid"))
		return reg_refuse(x, REG_NOT_RENEWABLE, x->c->key->field->name, x->c->key->text, N_("What is revoked cannot be renewed"));
	if (cur_v.i != row[ex].i)
		return reg_refuse(x, REG_POLICY, "curExDate", cur->text, N_("This is not the present end date"));
	if (end_v.i <= row[ex].i)
		return reg_refuse(x, REG_RANGE, "exDate", end->text, N_("The new end must lie behind the present one"));
	row[ex] = end_v;
	reg_stamp(x, row, permit ? PERMIT_UP_ID : CERTIFICATE_UP_ID, &mask);
	err = store_update(x->db, t, row[0].i, mask, row);
	reg_list_init(&l);
	if (!err)
		err = reg_list_add(x, &l, x->c->object->fields, "id", x->c->key->text);
	if (!err)
		err = reg_list_add(x, &l, x->c->object->fields, "exDate", end->text);
	x->reply->data = REG_DATA_RENEW;
	x->reply->object = x->c->object;
	x->reply->fields = l.head;
	return err;
}

/* ---- TAC ---- */

enum ceir_err reg_tac_create(struct exec *x)
{
	struct store_val row[TAC_N];
	uint32_t mask = 0;

	all_null(row, TAC_N);
	if (!reg_row(x, x->c->object->fields, x->c->set, true, row, &mask))
		return CEIR_OK;
	preset(row, TAC_STATUS, "allocated");
	reg_stamp(x, row, TAC_CR_ID, &mask);
	x->tables_changed = true;
	enum ceir_err err = reg_insert(x, &STORE_TAC, row, NULL);
	return err || reg_refused(x) ? err : reg_created(x, reg_node_find(x->c->set, "id")->text);
}

enum ceir_err reg_tac_update(struct exec *x)
{
	struct store_val row[TAC_N];
	uint32_t mask = 0;
	enum ceir_err err;

	if (!reg_load(x, &STORE_TAC, row, &err))
		return err;
	if (!reg_row(x, x->c->object->fields, x->c->set, false, row, &mask))
		return CEIR_OK;
	reg_stamp(x, row, TAC_UP_ID, &mask);
	x->tables_changed = true;
	return store_update(x->db, &STORE_TAC, row[TAC_ID].i, mask, row);
}

static enum ceir_err any_imei(void *ctx, const struct store_imei *row)
{
	(void)row;
	*(bool *)ctx = true;
	return CEIR_OK;
}

enum ceir_err reg_tac_delete(struct exec *x)
{
	struct store_val row[TAC_N];
	struct imei low, high;
	struct tac tac;
	bool found;
	enum ceir_err err;

	if (!reg_load(x, &STORE_TAC, row, &err))
		return err;
	err = exists(x, &STORE_CERTIFICATE_TAC, CERTIFICATE_TAC_TAC, row[TAC_CODE], &found);
	if (err || found)
		return err ? err : refuse_linked(x);
	tac.n = (uint32_t)row[TAC_CODE].i;
	low = imei_make(tac, 0);
	high = imei_make(tac, IMEI_SERIALS - 1);
	x->tables_changed = true;
	err = store_imei_scan(x->db, low, high, false, 1, any_imei, &found);
	return err ? err : delete_unless(x, &STORE_TAC, row[TAC_ID].i, found);
}

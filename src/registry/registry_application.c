/* registry_application.c - applications: taking rows in, submitting, confirming, withdrawing, and showing their results. */
#include <string.h>

#include "registry/registry_internal.h"

#define PERSONAL_DEVICES 2 /* of one personal import */

static bool is(const struct exec *x, enum reg_role role)
{
	return x->s->who.role == role;
}

/* The importer's own, the point of sale's own; customs and others reach all. */
static bool own_application(const struct exec *x, const struct store_val *app)
{
	if (is(x, REG_ROLE_IMPORTER))
		return reg_val_is(app[APPLICATION_IMPORTER], x->s->who.importer);
	return !is(x, REG_ROLE_POS) || reg_val_is(app[APPLICATION_CR_ID], x->s->who.clid);
}

static bool load_own(struct exec *x, struct store_val *app, enum ceir_err *err)
{
	if (!reg_load(x, &STORE_APPLICATION, app, err))
		return false;
	if (own_application(x, app))
		return true;
	*err = reg_refuse(x, REG_AUTHORIZATION, "id", x->c->key->text, N_("The object belongs to somebody else"));
	return false;
}

/* ---- papers of a new application ---- */

static enum ceir_err check_import(struct exec *x, struct store_val *app)
{
	struct store_val permit[PERMIT_N], position[POSITION_N];
	enum ceir_err err;

	if (app[APPLICATION_PERMIT].null || app[APPLICATION_POSITION].null)
		return reg_refuse(x, REG_MISSING, app[APPLICATION_PERMIT].null ? "permit" : "position", STR(""), N_("This element is required"));
	bool found = reg_find(x, &STORE_PERMIT, app[APPLICATION_PERMIT].s, permit, &err);
	if (err)
		return err;
	/* Another importer's permit is as if it did not exist: its number alone is commercial knowledge. */
	if (!found || !reg_val_is(permit[PERMIT_IMPORTER], x->s->who.importer))
		return reg_refuse(x, REG_NOT_FOUND, "permit", app[APPLICATION_PERMIT].s, N_("You have no such permit"));
	err = reg_position(x, permit[PERMIT_ID].i, app[APPLICATION_POSITION].i, position);
	if (err == CEIR_ENOENT)
		return reg_refuse(x, REG_NOT_FOUND, "position", reg_print_u64(x, (uint64_t)app[APPLICATION_POSITION].i),
			N_("The permit has no such position"));
	app[APPLICATION_IMPORTER] = store_text(str_of(x->s->who.importer));
	return err;
}

static enum ceir_err check_personal(struct exec *x, struct store_val *app)
{
	if (is(x, REG_ROLE_IMPORTER))
		return reg_refuse(x, REG_AUTHORIZATION, "kind", STR("personal"), N_("Importers apply under a permit"));
	if (!app[APPLICATION_PERMIT].null || !app[APPLICATION_POSITION].null)
		return reg_refuse(x, REG_POLICY, "permit", app[APPLICATION_PERMIT].s, N_("A personal import has no permit"));
	if (x->c->n_devices > PERSONAL_DEVICES)
		return reg_refuse(x, REG_POLICY, "device", STR(""), N_("Too many devices for a personal import"));
	return CEIR_OK;
}

/* Rows go on behind those that are there. */
static enum ceir_err add_rows(struct exec *x, struct store_val *app)
{
	struct store_part part = {.application = app[APPLICATION_ID].i, .first_line = app[APPLICATION_ROWS].i + 1};
	enum ceir_err err;

	if (!x->c->n_devices)
		return CEIR_OK;
	err = reg_rows_encode(x->arena, x->c->devices, x->c->n_devices, &part.data, &part.rows);
	if (err)
		return err;
	for (size_t i = 0; i < x->c->n_devices; i++)
		if (!x->c->devices[i].n)
			return reg_refuse(x, REG_MISSING, "imei", STR(""), N_("This element is required"));
	if ((uint64_t)(app[APPLICATION_ROWS].i + part.rows) > x->r->settings.max_application_rows)
		return reg_refuse(x, REG_POLICY, "device", STR(""), N_("The application would become larger than the server takes"));
	/* Parts are numbered by their first line: unique, ascending, nothing to count. */
	part.number = part.first_line;
	app[APPLICATION_ROWS].i += part.rows;
	app[APPLICATION_DEVICES].i += (int64_t)x->c->n_devices;
	return store_part_insert(x->db, &part);
}

/* Puts an application in the queue of the worker. */
static void submit(struct exec *x, struct store_val *app)
{
	app[APPLICATION_STATUS] = store_text(STR("submitted"));
	app[APPLICATION_SUBMITTED_AT] = store_int(x->now_us);
	app[APPLICATION_TX] = store_int(x->transaction);
	x->reply->code = REG_PENDING;
	x->wake_worker = true;
}

/* A personal import waits for customs, who learn of it. */
static enum ceir_err tell_customs(struct exec *x, const struct store_val *app)
{
	struct str args[] = {app[APPLICATION_CODE].s};

	return reg_message_to_role(x, REG_ROLE_CUSTOMS, REG_MESSAGE_APPLICATION_PENDING, args, 1);
}

static enum ceir_err first_status(struct exec *x, struct store_val *app)
{
	/* Without a word about it: what has rows is submitted, what has none waits for them. */
	if (app[APPLICATION_STATUS].null && !x->c->n_devices)
		app[APPLICATION_STATUS] = store_text(STR("staged"));
	bool staged = reg_val_is(app[APPLICATION_STATUS], "staged");
	if (!app[APPLICATION_STATUS].null && !staged && !reg_val_is(app[APPLICATION_STATUS], "submitted"))
		return reg_refuse(x, REG_RANGE, "status", app[APPLICATION_STATUS].s, N_("A new application is staged or submitted"));
	if (staged)
		return CEIR_OK;
	if (!x->c->n_devices)
		return reg_refuse(x, REG_MISSING, "device", STR(""), N_("This element is required"));
	if (reg_val_is(app[APPLICATION_KIND], "personal") && !is(x, REG_ROLE_CUSTOMS)) {
		app[APPLICATION_STATUS] = store_text(STR("pending"));
		x->reply->code = REG_PENDING;
	} else {
		submit(x, app);
	}
	return CEIR_OK;
}

enum ceir_err reg_application_create(struct exec *x)
{
	struct store_val app[APPLICATION_N];
	uint32_t mask = 0;
	enum ceir_err err;

	for (int i = 0; i < APPLICATION_N; i++)
		app[i] = store_null();
	if (!reg_row(x, x->c->object->fields, x->c->set, true, app, &mask))
		return CEIR_OK;
	if (app[APPLICATION_KIND].null)
		app[APPLICATION_KIND] = store_text(is(x, REG_ROLE_IMPORTER) ? STR("import") : STR("personal"));
	if (reg_val_is(app[APPLICATION_KIND], "import") && !is(x, REG_ROLE_IMPORTER))
		return reg_refuse(x, REG_AUTHORIZATION, "kind", STR("import"), N_("Only importers apply under a permit"));
	err = reg_val_is(app[APPLICATION_KIND], "import") ? check_import(x, app) : check_personal(x, app);
	if (!err && !reg_refused(x))
		err = first_status(x, app);
	if (err || reg_refused(x))
		return err;
	app[APPLICATION_ID] = store_int(x->transaction);
	struct str code = arena_printf(x->arena, "A%lld", (long long)x->transaction);
	app[APPLICATION_CODE] = store_text(code);
	for (int i = APPLICATION_ROWS; i <= APPLICATION_NEXT_PART; i++)
		app[i] = store_int(0);
	if (app[APPLICATION_TX].null)
		app[APPLICATION_TX] = store_int(0);
	reg_stamp(x, app, APPLICATION_CR_ID, &mask);
	err = add_rows(x, app);
	if (!err && !reg_refused(x))
		err = store_insert(x->db, &STORE_APPLICATION, app, NULL);
	if (!err && !reg_refused(x) && reg_val_is(app[APPLICATION_STATUS], "pending"))
		err = tell_customs(x, app);
	return err || reg_refused(x) ? err : reg_created(x, code);
}

/* ---- update: more rows, a new status ---- */

static enum ceir_err withdraw(struct exec *x, struct store_val *app)
{
	if (!reg_val_is(app[APPLICATION_STATUS], "staged") && !reg_val_is(app[APPLICATION_STATUS], "pending"))
		return reg_refuse(x, REG_STATUS, "status", app[APPLICATION_STATUS].s, N_("Only what is not yet submitted can be withdrawn"));
	app[APPLICATION_STATUS] = store_text(STR("withdrawn"));
	return CEIR_OK;
}

/* staged -> submitted (or pending, of a personal import), pending -> submitted by customs, either -> withdrawn. */
static enum ceir_err change_status(struct exec *x, struct store_val *app, struct str to)
{
	bool personal = reg_val_is(app[APPLICATION_KIND], "personal"), staged = reg_val_is(app[APPLICATION_STATUS], "staged");

	if (str_eq_c(to, "withdrawn"))
		return withdraw(x, app);
	if (!str_eq_c(to, "submitted"))
		return reg_refuse(x, REG_RANGE, "status", to, N_("The status can become submitted or withdrawn"));
	if (!staged && !reg_val_is(app[APPLICATION_STATUS], "pending"))
		return reg_refuse(x, REG_STATUS, "status", app[APPLICATION_STATUS].s, N_("The application was submitted before"));
	if (app[APPLICATION_ROWS].i == 0)
		return reg_refuse(x, REG_STATUS, "device", STR(""), N_("The application has no rows"));
	if (!personal || is(x, REG_ROLE_CUSTOMS)) {
		submit(x, app);
	} else if (staged) {
		app[APPLICATION_STATUS] = store_text(STR("pending"));
		x->reply->code = REG_PENDING;
		return tell_customs(x, app);
	} else {
		return reg_refuse(x, REG_AUTHORIZATION, "status", to, N_("Customs confirm a personal import"));
	}
	return CEIR_OK;
}

/* Of another's application customs may only decide on a personal import. */
static bool may_touch(struct exec *x, const struct store_val *app)
{
	return !is(x, REG_ROLE_CUSTOMS) || reg_val_is(app[APPLICATION_KIND], "personal");
}

enum ceir_err reg_application_update(struct exec *x)
{
	struct store_val app[APPLICATION_N];
	struct reg_node *status = reg_node_find(x->c->set, "status"), *reference = reg_node_find(x->c->set, "reference");
	uint32_t mask = 0;
	enum ceir_err err;

	if (!load_own(x, app, &err))
		return err;
	if (!may_touch(x, app))
		return reg_refuse(x, REG_AUTHORIZATION, "id", x->c->key->text, N_("The object belongs to somebody else"));
	if (x->c->n_devices && !reg_val_is(app[APPLICATION_STATUS], "staged"))
		return reg_refuse(x, REG_STATUS, "status", app[APPLICATION_STATUS].s, N_("Rows can be added while the application is staged"));
	if (reference && !reg_parse(x, reference->field, reference->text, &app[APPLICATION_REFERENCE]))
		return CEIR_OK;
	err = add_rows(x, app);
	if (!err && !reg_refused(x) && reg_val_is(app[APPLICATION_KIND], "personal") && app[APPLICATION_DEVICES].i > PERSONAL_DEVICES)
		err = reg_refuse(x, REG_POLICY, "device", STR(""), N_("Too many devices for a personal import"));
	if (!err && !reg_refused(x) && status)
		err = change_status(x, app, status->text);
	if (err || reg_refused(x))
		return err;
	reg_stamp(x, app, APPLICATION_UP_ID, &mask);
	mask |= 1u << APPLICATION_ROWS | 1u << APPLICATION_DEVICES | 1u << APPLICATION_STATUS | 1u << APPLICATION_SUBMITTED_AT
		| 1u << APPLICATION_TX | 1u << APPLICATION_REFERENCE;
	return store_update(x->db, &STORE_APPLICATION, app[APPLICATION_ID].i, mask, app);
}

enum ceir_err reg_application_delete(struct exec *x)
{
	struct store_val app[APPLICATION_N];
	uint32_t mask = 1u << APPLICATION_STATUS;
	enum ceir_err err;

	if (!load_own(x, app, &err))
		return err;
	if (!may_touch(x, app))
		return reg_refuse(x, REG_AUTHORIZATION, "id", x->c->key->text, N_("The object belongs to somebody else"));
	err = withdraw(x, app);
	if (err || reg_refused(x))
		return err;
	reg_stamp(x, app, APPLICATION_UP_ID, &mask);
	return store_update(x->db, &STORE_APPLICATION, app[APPLICATION_ID].i, mask, app);
}

/* ---- info and results ---- */

static enum ceir_err show_row(struct exec *x, const struct store_part *part, int64_t i, struct reg_row *out)
{
	struct reg_row_raw raw;
	unsigned result = i < (int64_t)part->results.n ? (uint8_t)part->results.p[i] : POLICY_PENDING;
	enum ceir_err err = reg_rows_decode(part->data, part->rows, i, &raw);

	if (err)
		return err;
	*out = (struct reg_row){.line = (uint64_t)(part->first_line + i), .imei = arena_str(x->arena, raw.imei), .first_of_device = raw.first,
		.result = result == POLICY_PENDING ? "pending" : result == POLICY_ACCEPTED ? "accepted" : "refused",
		.code = policy_result_code(result), .reason = policy_result_text(result)};
	return out->imei.p ? CEIR_OK : CEIR_ENOMEM;
}

/* Rows behind line c->after, from as many parts as needed. */
static enum ceir_err result_rows(struct exec *x, const struct store_val *app)
{
	int64_t line = (int64_t)x->c->after + 1, last = app[APPLICATION_ROWS].i, number;
	size_t want = x->c->rows > 10000 ? 10000 : x->c->rows, n = 0;
	struct reg_row *rows = arena_array(x->arena, want, sizeof *rows);
	struct store_part part = {0};
	enum ceir_err err = rows ? CEIR_OK : CEIR_ENOMEM;

	if (x->c->after > INT64_MAX - 1)
		want = 0;
	while (!err && n < want && line <= last) {
		if (!part.rows || line >= part.first_line + part.rows) {
			err = store_part_find(x->db, app[APPLICATION_ID].i, line, &number);
			if (!err)
				err = store_part_get(x->db, app[APPLICATION_ID].i, number, x->arena, &part);
			if (err)
				break;
		}
		err = show_row(x, &part, line++ - part.first_line, &rows[n++]);
	}
	x->reply->rows = rows;
	x->reply->n_rows = n;
	return err == CEIR_ENOENT ? CEIR_ECORRUPT : err;
}

enum ceir_err reg_application_info(struct exec *x)
{
	struct store_val app[APPLICATION_N];
	enum ceir_err err;

	if (!load_own(x, app, &err))
		return err;
	x->reply->data = REG_DATA_INFO;
	x->reply->object = x->c->object;
	err = reg_object_nodes(x, x->c->object, app, &x->reply->fields);
	return err || !x->c->rows ? err : result_rows(x, app);
}

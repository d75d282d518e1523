/* registry_imei.c - devices: check, info, registration of one device, tags, withdrawal, transfer between importers. */
#include <string.h>

#include "registry/registry_class.h"

/* ---- check ---- */

static void judge(struct reg_check_item *item, const struct verdict *v)
{
	item->has_verdict = true;
	item->verdict = *v;
	item->avail = !v->registered && v->colour != VERDICT_BLACK;
	item->reason = v->registered ? N_("Object exists") : item->avail ? NULL : N_("Object is on a black list");
}

#define BATCH 64

/* One batch of names: parse all, then look all up together (the table overlaps their cache misses). */
static void check_batch(struct exec *x, const struct reg_tables *t, const struct str *names, size_t n, struct reg_check_item *items)
{
	struct imei imeis[BATCH] = {{0}};
	struct verdict verdicts[BATCH];
	size_t of[BATCH], good = 0;

	for (size_t i = 0; i < n; i++) {
		items[i].name = names[i];
		if (imei_parse(names[i], &imeis[good]) == IMEI_GOOD) {
			of[good++] = i;
			continue;
		}
		/* The customer's protocol answers so: what is no IMEI is "available", with the reason. */
		items[i].avail = true;
		items[i].reason = N_("Object is not valid");
	}
	verdicts_get_many(x->r->verdicts, imeis, good, verdicts);
	for (size_t i = 0; i < good; i++) {
		reg_spare_golden(x->r, t, imeis[i], &verdicts[i]);
		judge(&items[of[i]], &verdicts[i]);
	}
}

enum ceir_err reg_imei_check(struct exec *x)
{
	struct reg_check_item *items = arena_array(x->arena, x->c->n_names, sizeof *items);

	if (!items)
		return CEIR_ENOMEM;
	struct reg_tables *t = reg_class_tables_take(x->r);
	verdicts_enter(x->s->reader);
	for (size_t i = 0; i < x->c->n_names; i += BATCH)
		check_batch(x, t, x->c->names + i, x->c->n_names - i < BATCH ? x->c->n_names - i : BATCH, items + i);
	verdicts_leave(x->s->reader);
	reg_tables_give(t);
	x->reply->data = REG_DATA_CHECK;
	x->reply->object = x->c->object;
	x->reply->checks = items;
	x->reply->n_checks = x->c->n_names;
	return CEIR_OK;
}

/* ---- info ---- */

static const struct reg_field *imei_fields(void)
{
	return reg_object_by_name(STR("imei"))->fields;
}

/* What is gathered to show one device. */
struct device {
	struct exec *x;
	struct imei imei;
	struct store_imei row;
	bool has_row;                                   /* else the triplets alone speak of it */
	bool registered;                                /* an application registered it, withdrawn or not */
	enum policy_registration registration;
	struct store_val app[APPLICATION_N], importer[IMPORTER_N], permit[PERMIT_N], position[POSITION_N], certificate[CERTIFICATE_N], tac[TAC_N];
	bool has_importer, has_position, has_tac;
	struct reg_list l;
	enum ceir_err err;
};

/* Texts of papers are in the arena of the command, so that the next device of the same answer can have them as they are. */
static void take_papers(struct device *d, const struct device *before)
{
	d->registration = before->registration;
	memcpy(d->app, before->app, sizeof d->app);
	memcpy(d->importer, before->importer, sizeof d->importer);
	memcpy(d->permit, before->permit, sizeof d->permit);
	memcpy(d->position, before->position, sizeof d->position);
	memcpy(d->certificate, before->certificate, sizeof d->certificate);
	d->has_importer = before->has_importer;
	d->has_position = before->has_position;
}

static bool same_papers(const struct device *d, const struct device *before)
{
	return before->registered && before->row.application == d->row.application && before->row.owner == d->row.owner
		&& before->row.withdrawn == d->row.withdrawn;
}

static void load_papers(struct device *d)
{
	struct exec *x = d->x;

	d->err = store_get(x->db, &STORE_APPLICATION, APPLICATION_ID, store_int(d->row.application), x->arena, d->app);
	if (!d->err)
		d->err = reg_registration(x, d->row.application, &d->registration);
	if (d->err)
		return;
	if (d->row.withdrawn)
		d->registration = POLICY_WITHDRAWN;
	if (d->row.owner) {
		d->err = store_get(x->db, &STORE_IMPORTER, IMPORTER_ID, store_int(d->row.owner), x->arena, d->importer);
		d->has_importer = !d->err;
	} else if (!d->app[APPLICATION_IMPORTER].null) {
		d->has_importer = reg_find(x, &STORE_IMPORTER, d->app[APPLICATION_IMPORTER].s, d->importer, &d->err);
	}
	if (d->err || d->app[APPLICATION_PERMIT].null || !reg_find(x, &STORE_PERMIT, d->app[APPLICATION_PERMIT].s, d->permit, &d->err))
		return;
	d->err = reg_position(x, d->permit[PERMIT_ID].i, d->app[APPLICATION_POSITION].i, d->position);
	if (!d->err)
		d->has_position = reg_find(x, &STORE_CERTIFICATE, d->position[POSITION_CERTIFICATE].s, d->certificate, &d->err);
}

static void load_tac(struct device *d, const struct device *before)
{
	if (before && before->has_tac && imei_tac(before->imei).n == imei_tac(d->imei).n) {
		memcpy(d->tac, before->tac, sizeof d->tac);
		d->has_tac = true;
		return;
	}
	enum ceir_err err = store_get(d->x->db, &STORE_TAC, TAC_CODE, store_int(imei_tac(d->imei).n), d->x->arena, d->tac);
	d->has_tac = err == CEIR_OK;
	if (err && err != CEIR_ENOENT)
		d->err = err;
}

static void load_device(struct device *d, const struct device *before)
{
	struct exec *x = d->x;

	d->err = store_imei_get(x->db, d->imei, &d->row);
	d->has_row = !d->err;
	if (d->err)
		return;
	d->registered = d->row.application != 0;
	load_tac(d, before);
	if (!d->err && d->registered && before && same_papers(d, before))
		take_papers(d, before);
	else if (!d->err && d->registered)
		load_papers(d);
}

static void put(struct device *d, const char *name, struct str text)
{
	if (!d->err)
		d->err = reg_list_add(d->x, &d->l, imei_fields(), name, text);
}

/* A column of a paper under the name it has in imei:infData. */
static void put_col(struct device *d, const char *name, struct store_val v)
{
	const struct reg_field *f = reg_field_find(imei_fields(), str_of(name));

	if (!d->err && !v.null) {
		struct str text = reg_print(d->x, f, v);

		d->err = text.p ? reg_list_add(d->x, &d->l, imei_fields(), name, text) : CEIR_ENOMEM;
	}
}

static void put_partners(struct device *d)
{
	struct imei imeis[POLICY_DEVICE_IMEIS];
	size_t n = 0;

	if (d->row.device && !d->err)
		d->err = store_imei_device(d->x->db, d->row.device, d->row.application, imeis, CEIR_COUNT(imeis), &n);
	for (size_t i = 0; i < n; i++)
		if (imeis[i].n != d->imei.n)
			put(d, "imei", reg_print_imei(d->x, imeis[i]));
}

/* The verdict as everybody is told it, and when it became so. */
static void put_state(struct device *d)
{
	const struct reg_field *fields = reg_field_find(imei_fields(), STR("state"))->fields;
	struct verdict v;
	struct str since = {NULL, 0};
	struct reg_list group;

	reg_list_init(&group);
	if (!d->err)
		d->err = reg_told_verdict(d->x, d->imei, d->has_row ? &d->row : NULL, &v, &since);
	if (!d->err)
		d->err = reg_list_add(d->x, &group, fields, "colour", str_of(verdict_colour_name(v.colour)));
	if (!d->err)
		d->err = reg_list_add(d->x, &group, fields, "reason", str_of(verdict_reason_name(v.reason)));
	if (!d->err)
		d->err = reg_list_add(d->x, &group, fields, "since", since);
	if (!d->err)
		d->err = reg_list_group(d->x, &d->l, imei_fields(), "state", group.head);
}

static void put_status(struct device *d)
{
	static const char *const names[] = {[POLICY_REGISTERED] = "registered", [POLICY_WITHDRAWN] = "withdrawn",
		[POLICY_IMPORTER_REVOKED] = "importerRevoked", [POLICY_PERMIT_REVOKED] = "permitRevoked",
		[POLICY_CERTIFICATE_REVOKED] = "certificateRevoked"};

	if (d->registered)
		put(d, "status", str_of(names[d->registration]));
	if (d->has_importer) {
		put_col(d, "importer", d->importer[IMPORTER_CODE]);
		put_col(d, "importerName", d->importer[IMPORTER_NAME]);
	}
}

/* The papers of an import are the business of the importer that made it: who took the device over later does not see them. */
static bool sees_papers(const struct device *d)
{
	const struct reg_who *who = &d->x->s->who;

	return who->role != REG_ROLE_IMPORTER || reg_val_is(d->app[APPLICATION_IMPORTER], who->importer);
}

static void put_position(struct device *d)
{
	bool papers = sees_papers(d);

	if (!d->has_position) {
		if (d->has_tac) {
			put_col(d, "manufacturer", d->tac[TAC_MANUFACTURER]);
			put_col(d, "model", d->tac[TAC_MODEL]);
		}
		return;
	}
	if (papers) {
		put_col(d, "permit", d->permit[PERMIT_CODE]);
		put_col(d, "permitIssued", d->permit[PERMIT_ISSUED]);
	}
	put_col(d, "certificate", d->certificate[CERTIFICATE_CODE]);
	put_col(d, "certificateIssued", d->certificate[CERTIFICATE_ISSUED]);
	if (papers)
		put_col(d, "position", d->position[POSITION_NUMBER]);
	put_col(d, "manufacturer", d->position[POSITION_MANUFACTURER]);
	put_col(d, "model", d->position[POSITION_MODEL]);
	put_col(d, "country", d->position[POSITION_COUNTRY]);
	if (papers) {
		put_col(d, "price", d->position[POSITION_PRICE]);
		put_col(d, "currency", d->position[POSITION_CURRENCY]);
	}
}

static enum ceir_err add_tag(void *ctx, const struct store_val *row)
{
	struct device *d = ctx;
	struct reg_list group;

	reg_list_init(&group);
	enum ceir_err err = reg_row_nodes(d->x, reg_field_find(imei_fields(), STR("tag"))->fields, row, &group);
	return err ? err : reg_list_group(d->x, &d->l, imei_fields(), "tag", group.head);
}

static void put_tags(struct device *d)
{
	struct store_filter f = {TAG_IMEI, STORE_EQ, store_int((int64_t)d->imei.n)};
	struct store_query q = {.table = &STORE_TAG, .filters = &f, .n_filters = 1, .keep = true};

	if (!d->err)
		d->err = store_select(d->x->db, &q, add_tag, d);
}

/* Is the importer of this session the owner, or was it when the registration was withdrawn? */
static bool owns(const struct device *d)
{
	return d->has_importer && reg_val_is(d->importer[IMPORTER_CODE], d->x->s->who.importer);
}

/* The register has no row, but networks have seen it: there is a verdict. That is no importer's business. */
static bool was_seen(struct exec *x, struct imei imei)
{
	struct verdict v;

	verdicts_enter(x->s->reader);
	bool seen = verdicts_get_entry(x->r->verdicts, imei, &v);
	verdicts_leave(x->s->reader);
	return seen;
}

enum ceir_err reg_imei_nodes(struct exec *x, struct imei imei, struct device **before, struct reg_node **out, bool *own)
{
	struct device *d = arena_alloc(x->arena, sizeof *d);

	if (!d)
		return CEIR_ENOMEM;
	d->x = x;
	d->imei = imei;
	reg_list_init(&d->l);
	load_device(d, *before);
	if (d->err == CEIR_ENOENT && x->s->who.role != REG_ROLE_IMPORTER && was_seen(x, imei))
		d->err = CEIR_OK;
	if (d->err)
		return d->err;
	*own = owns(d);
	put(d, "name", reg_print_imei(x, imei));
	put_partners(d);
	put_state(d);
	put_status(d);
	put_position(d);
	if (d->registered) {
		if (sees_papers(d))
			put_col(d, "application", d->app[APPLICATION_CODE]);
		put_tags(d);
		if (sees_papers(d))
			put_col(d, "crID", d->app[APPLICATION_CR_ID]);
		put_col(d, "crDate", d->app[APPLICATION_SUBMITTED_AT]);
	}
	*out = d->l.head;
	if (!d->err)
		*before = d;
	return d->err;
}

/* The command's key as an IMEI; false: refused or *err. */
static bool key_imei(struct exec *x, struct imei *imei, enum ceir_err *err)
{
	struct store_val v;

	*err = CEIR_OK;
	if (!x->c->key) {
		*err = reg_refuse(x, REG_MISSING, "name", STR(""), N_("This element is required"));
		return false;
	}
	if (!reg_parse(x, x->c->key->field, x->c->key->text, &v))
		return false;
	imei->n = (uint64_t)v.i;
	return true;
}

enum ceir_err reg_imei_info(struct exec *x)
{
	struct imei imei;
	struct device *before = NULL;
	struct reg_node *nodes;
	bool own;
	enum ceir_err err;

	if (!key_imei(x, &imei, &err))
		return err;
	err = reg_imei_nodes(x, imei, &before, &nodes, &own);
	if (err == CEIR_ENOENT)
		return reg_refuse(x, REG_NOT_FOUND, "name", x->c->key->text, N_("There is no such object"));
	if (err)
		return err;
	if (x->s->who.role == REG_ROLE_IMPORTER && !own)
		return reg_refuse(x, REG_AUTHORIZATION, "name", x->c->key->text, N_("The object belongs to somebody else"));
	x->reply->data = REG_DATA_INFO;
	x->reply->object = x->c->object;
	x->reply->fields = nodes;
	return CEIR_OK;
}

/* ---- create: an application of one device, decided at once ---- */

static size_t collect_imeis(struct exec *x, struct str *imeis, size_t max)
{
	size_t n = 0;

	for (struct reg_node *node = x->c->set; node; node = node->next)
		if ((strcmp(node->field->name, "name") == 0 || strcmp(node->field->name, "imei") == 0) && n < max)
			imeis[n++] = node->text;
	return n;
}

static enum ceir_err refuse_rows(struct exec *x, const struct str *imeis, const uint8_t *results, size_t n)
{
	enum ceir_err err = CEIR_OK;

	for (size_t i = n; i-- > 0 && !err;) {
		enum reg_code code = results[i] == POLICY_REFUSED_REGISTERED ? REG_EXISTS
			: results[i] >= POLICY_REFUSED_EMPTY && results[i] <= POLICY_REFUSED_ALL_SAME ? REG_VALUE : REG_POLICY;

		if (policy_result_is_refusal(results[i]))
			err = reg_refuse(x, code, i ? "imei" : "name", imeis[i], policy_result_text(results[i]));
	}
	return err;
}

/* The application that stands behind a device registered alone. */
static enum ceir_err write_application(struct exec *x, struct store_val *app, const struct str *imeis, unsigned n)
{
	struct reg_device device = {imeis, n};
	struct store_part part = {.application = x->transaction, .number = 1, .first_line = 1};
	char accepted[POLICY_DEVICE_IMEIS];
	uint32_t mask = 0;

	memset(accepted, POLICY_ACCEPTED, sizeof accepted);
	part.results = (struct str){accepted, n};
	enum ceir_err err = reg_rows_encode(x->arena, &device, 1, &part.data, &part.rows);
	if (err)
		return err;
	app[APPLICATION_ID] = store_int(x->transaction);
	app[APPLICATION_CODE] = store_text(arena_printf(x->arena, "A%lld", (long long)x->transaction));
	app[APPLICATION_STATUS] = store_text(STR("done"));
	app[APPLICATION_ROWS] = app[APPLICATION_ACCEPTED] = app[APPLICATION_NEXT_PART] = store_int(n);
	app[APPLICATION_DEVICES] = store_int(1);
	app[APPLICATION_REFUSED] = store_int(0);
	app[APPLICATION_TX] = store_int(x->transaction);
	app[APPLICATION_SUBMITTED_AT] = app[APPLICATION_DONE_AT] = store_int(x->now_us);
	reg_stamp(x, app, APPLICATION_CR_ID, &mask);
	err = store_insert(x->db, &STORE_APPLICATION, app, NULL);
	return err ? err : store_part_insert(x->db, &part);
}

static enum ceir_err find_papers(struct exec *x, struct store_val *app, struct reg_papers *papers)
{
	struct reg_node *permit = reg_node_find(x->c->set, "permit"), *position = reg_node_find(x->c->set, "position");
	struct store_val row[PERMIT_N];
	enum ceir_err err;

	if (!permit || !position)
		return reg_refuse(x, REG_MISSING, permit ? "position" : "permit", STR(""), N_("This element is required"));
	if (!reg_parse(x, permit->field, permit->text, &app[APPLICATION_PERMIT])
		|| !reg_parse(x, position->field, position->text, &app[APPLICATION_POSITION]))
		return CEIR_OK;
	bool found = reg_find(x, &STORE_PERMIT, permit->text, row, &err);
	if (err)
		return err;
	if (!found || !reg_val_is(row[PERMIT_IMPORTER], x->s->who.importer))
		return reg_refuse(x, REG_NOT_FOUND, "permit", permit->text, N_("You have no such permit"));
	app[APPLICATION_IMPORTER] = store_text(str_of(x->s->who.importer));
	app[APPLICATION_KIND] = store_text(STR("import"));
	err = reg_papers_load(x, app, papers);
	if (!err && papers->position_missing)
		err = reg_refuse(x, REG_NOT_FOUND, "position", position->text, N_("The permit has no such position"));
	return err;
}

static enum ceir_err put_tag(struct exec *x, struct imei imei, struct reg_node *group)
{
	struct store_val row[TAG_N] = {store_null(), store_int((int64_t)imei.n), store_null(), store_null()};
	uint32_t mask = 0;

	if (!reg_row(x, group->field->fields, group->child, true, row, &mask))
		return CEIR_OK;
	if (reg_val_is(row[TAG_TYPE], "meid") && !meid_is_valid(row[TAG_VALUE].s))
		return reg_refuse(x, REG_VALUE, "value", row[TAG_VALUE].s, N_("Expected a MEID: 14 hexadecimal digits, the first A to F"));
	enum ceir_err err = store_insert(x->db, &STORE_TAG, row, NULL);
	/* A device that is registered again has the serial number it had before. */
	if (err == CEIR_EEXIST && x->c->verb == REG_CREATE)
		return CEIR_OK;
	return err != CEIR_EEXIST ? err : reg_refuse(x, REG_EXISTS, "value", row[TAG_VALUE].s, N_("The device has this tag already"));
}

static enum ceir_err put_tags_of(struct exec *x, struct imei imei, struct reg_node *list)
{
	enum ceir_err err = CEIR_OK;

	for (struct reg_node *n = list; n && !err && !reg_refused(x); n = n->next)
		if (strcmp(n->field->name, "tag") == 0)
			err = put_tag(x, imei, n);
	return err;
}

enum ceir_err reg_imei_create(struct exec *x)
{
	struct str imeis[POLICY_DEVICE_IMEIS + 1];
	bool dup[POLICY_DEVICE_IMEIS + 1] = {false}, good;
	uint8_t results[POLICY_DEVICE_IMEIS + 1];
	struct imei keys[POLICY_DEVICE_IMEIS];
	struct store_val app[APPLICATION_N];
	struct reg_papers papers;
	unsigned n = (unsigned)collect_imeis(x, imeis, CEIR_COUNT(imeis));

	for (int i = 0; i < APPLICATION_N; i++)
		app[i] = store_null();
	enum ceir_err err = find_papers(x, app, &papers);
	if (err || reg_refused(x))
		return err;
	if (!n || !reg_node_find(x->c->set, "name"))
		return reg_refuse(x, REG_MISSING, "name", STR(""), N_("This element is required"));
	for (unsigned i = 1; i < n; i++)
		for (unsigned k = 0; k < i; k++)
			dup[i] |= str_eq(imeis[i], imeis[k]);
	err = reg_intake(x, &papers, imeis, dup, n, results, keys, &good);
	if (!err && !good)
		return refuse_rows(x, imeis, results, n);
	if (!err)
		err = write_application(x, app, imeis, n);
	if (!err)
		err = store_add(x->db, &STORE_POSITION, papers.position[POSITION_ID].i, POSITION_USED, 1, POSITION_QUANTITY);
	if (!err)
		err = reg_register(x, x->transaction, keys, n);
	if (!err)
		err = put_tags_of(x, keys[0], x->c->set);
	return err || reg_refused(x) ? err : reg_created(x, imeis[0]);
}

/* ---- update ---- */

/* The device of the command, which must be registered, and the session's own where the role reaches only that. */
static bool load_mine(struct exec *x, struct device *d, enum ceir_err *err)
{
	memset(d, 0, sizeof *d);
	d->x = x;
	if (!key_imei(x, &d->imei, err))
		return false;
	load_device(d, NULL);
	*err = d->err;
	if (*err == CEIR_ENOENT || (!*err && !d->registered))
		*err = reg_refuse(x, REG_NOT_FOUND, "name", x->c->key->text, N_("No device is registered under this IMEI"));
	else if (!*err && x->s->who.role == REG_ROLE_IMPORTER && !owns(d))
		*err = reg_refuse(x, REG_AUTHORIZATION, "name", x->c->key->text, N_("The object belongs to somebody else"));
	else if (!*err && d->row.withdrawn)
		*err = reg_refuse(x, REG_STATUS, "name", x->c->key->text, N_("The registration of this device was withdrawn"));
	return !*err && !reg_refused(x);
}

struct tag_found {
	int64_t id;
	bool found;
};

static enum ceir_err keep_tag(void *ctx, const struct store_val *row)
{
	*(struct tag_found *)ctx = (struct tag_found){row[TAG_ID].i, true};
	return CEIR_OK;
}

static enum ceir_err remove_tag(struct exec *x, struct imei imei, struct reg_node *group)
{
	struct reg_node *type = reg_node_find(group->child, "type"), *value = reg_node_find(group->child, "value");
	struct tag_found t = {0, false};

	if (!type)
		return reg_refuse(x, REG_MISSING, "type", STR(""), N_("This element is required"));
	/* Without a value: the one of that type that comes first. */
	struct store_filter f[] = {{TAG_IMEI, STORE_EQ, store_int((int64_t)imei.n)}, {TAG_TYPE, STORE_EQ, store_text(type->text)},
		{TAG_VALUE, STORE_EQ, store_text(value ? value->text : STR(""))}};
	struct store_query q = {.table = &STORE_TAG, .filters = f, .n_filters = value ? 3 : 2, .limit = 1};
	enum ceir_err err = store_select(x->db, &q, keep_tag, &t);
	if (err)
		return err;
	return t.found ? store_delete(x->db, &STORE_TAG, t.id) : reg_refuse(x, REG_NOT_FOUND, "type", type->text, N_("The device has no such tag"));
}

enum ceir_err reg_imei_update(struct exec *x)
{
	struct device d;
	enum ceir_err err;

	if (!load_mine(x, &d, &err))
		return err;
	for (struct reg_node *n = x->c->rem; n && !err && !reg_refused(x); n = n->next)
		if (strcmp(n->field->name, "tag") == 0)
			err = remove_tag(x, d.imei, n);
	return err || reg_refused(x) ? err : put_tags_of(x, d.imei, x->c->add);
}

/* All IMEIs of the device, or the one. */
static enum ceir_err device_imeis(struct exec *x, const struct store_imei *row, struct imei *imeis, size_t *n)
{
	if (row->device)
		return store_imei_device(x->db, row->device, row->application, imeis, POLICY_DEVICE_IMEIS, n);
	imeis[0] = row->imei;
	*n = 1;
	return CEIR_OK;
}

/* ---- transfer (RFC 5730 2.9.3.4): the gaining importer requests, the losing one decides ---- */

struct pending {
	struct exec *x;
	struct store_val row[TRANSFER_N];
	bool found;
};

static enum ceir_err keep_transfer(void *ctx, const struct store_val *row)
{
	struct pending *p = ctx;

	for (int i = 0; i < TRANSFER_N; i++) {
		p->row[i] = row[i];
		if (row[i].type != STORE_INT && !row[i].null) {
			p->row[i].s = arena_str(p->x->arena, row[i].s);
			if (!p->row[i].s.p)
				return CEIR_ENOMEM;
		}
	}
	p->found = true;
	return CEIR_OK;
}

/* The latest transfer of a device, pending or decided. */
static enum ceir_err last_transfer(struct exec *x, uint64_t device, struct pending *p)
{
	struct store_filter f = {TRANSFER_IMEI, STORE_EQ, store_int((int64_t)device)};
	struct store_query q = {.table = &STORE_TRANSFER, .filters = &f, .n_filters = 1, .descending = true, .limit = 1};

	*p = (struct pending){.x = x};
	return store_select(x->db, &q, keep_transfer, p);
}

/* Writes what became of a pending transfer. */
static enum ceir_err close_transfer(struct exec *x, struct pending *p, struct str outcome)
{
	p->row[TRANSFER_STATUS] = store_text(outcome);
	p->row[TRANSFER_AC_ID] = store_text(str_of(x->s->who.clid));
	p->row[TRANSFER_AC_AT] = store_int(x->now_us);
	return store_update(x->db, &STORE_TRANSFER, p->row[TRANSFER_ID].i,
		1u << TRANSFER_STATUS | 1u << TRANSFER_AC_ID | 1u << TRANSFER_AC_AT, p->row);
}

static enum ceir_err show_transfer(struct exec *x, const struct pending *p)
{
	static const struct reg_field fields[] = {{.name = "name", .type = REG_IMEI}, {.name = "trStatus", .type = REG_TOKEN},
		{.name = "reID", .type = REG_TOKEN}, {.name = "reDate", .type = REG_TIME}, {.name = "acID", .type = REG_TOKEN},
		{.name = "acDate", .type = REG_TIME}, {.name = NULL}};
	static const int columns[] = {TRANSFER_IMEI, TRANSFER_STATUS, TRANSFER_TO, TRANSFER_RE_AT, TRANSFER_FROM, TRANSFER_AC_AT};
	/* Whose the device is, only its holder knows, until it is handed over. */
	bool holder = reg_val_is(p->row[TRANSFER_STATUS], "clientApproved") || reg_val_is(p->row[TRANSFER_FROM], x->s->who.importer);
	struct reg_list l;
	enum ceir_err err = CEIR_OK;

	reg_list_init(&l);
	for (size_t i = 0; i < CEIR_COUNT(columns) && !err; i++)
		if (columns[i] != TRANSFER_FROM || holder)
			err = reg_list_add(x, &l, fields, fields[i].name, i ? reg_print(x, &fields[i], p->row[columns[i]]) : x->c->key->text);
	x->reply->data = REG_DATA_TRANSFER;
	x->reply->object = x->c->object;
	x->reply->fields = l.head;
	return err;
}

static uint64_t device_key(const struct device *d)
{
	return d->row.device ? d->row.device : d->imei.n;
}

static enum ceir_err request(struct exec *x, struct device *d, struct pending *p)
{
	struct store_val owner = d->importer[IMPORTER_CODE], gaining[IMPORTER_N];
	enum ceir_err err;

	if (!reg_find(x, &STORE_IMPORTER, str_of(x->s->who.importer), gaining, &err))
		return err ? err : CEIR_ECORRUPT;
	if (!reg_val_is(gaining[IMPORTER_STATUS], "active"))
		return reg_refuse(x, REG_STATUS, NULL, STR(""), NULL);
	if (!d->has_importer)
		return reg_refuse(x, REG_NOT_TRANSFERABLE, "name", x->c->key->text, N_("The device belongs to no importer"));
	if (owns(d))
		return reg_refuse(x, REG_NOT_TRANSFERABLE, "name", x->c->key->text, N_("The device is yours already"));
	if (p->found && reg_val_is(p->row[TRANSFER_STATUS], "pending"))
		return reg_refuse(x, REG_PENDING_TRANSFER, "name", x->c->key->text, N_("A transfer is pending"));
	*p = (struct pending){.x = x, .found = true, .row = {store_null(), store_int((int64_t)device_key(d)), owner,
		store_text(str_of(x->s->who.importer)), store_text(STR("pending")), store_text(str_of(x->s->who.clid)), store_int(x->now_us),
		store_null(), store_null()}};
	err = store_insert(x->db, &STORE_TRANSFER, p->row, NULL);
	struct str args[] = {x->c->key->text};
	if (!err)
		err = reg_message_to_importer(x, owner.s, REG_MESSAGE_TRANSFER_REQUESTED, args, 1);
	x->reply->code = REG_PENDING;
	return err ? err : show_transfer(x, p);
}

static enum ceir_err hand_over(struct exec *x, struct device *d, struct str to)
{
	struct imei imeis[POLICY_DEVICE_IMEIS];
	struct store_val importer[IMPORTER_N];
	struct store_imei row;
	size_t n;
	enum ceir_err err;

	if (!reg_find(x, &STORE_IMPORTER, to, importer, &err))
		return err ? err : CEIR_ECORRUPT;
	err = device_imeis(x, &d->row, imeis, &n);
	for (size_t i = 0; i < n && !err; i++) {
		err = store_imei_get(x->db, imeis[i], &row);
		row.owner = importer[IMPORTER_ID].i;
		if (!err)
			err = store_imei_update(x->db, &row);
	}
	return err;
}

/* approve and reject by the owner, cancel by who requested. */
static enum ceir_err decide(struct exec *x, struct device *d, struct pending *p)
{
	bool cancel = x->c->op == REG_OP_CANCEL, approve = x->c->op == REG_OP_APPROVE;
	struct str outcome = cancel ? STR("clientCancelled") : approve ? STR("clientApproved") : STR("clientRejected");
	enum ceir_err err;

	if (!p->found || !reg_val_is(p->row[TRANSFER_STATUS], "pending"))
		return reg_refuse(x, REG_NO_PENDING_TRANSFER, "name", x->c->key->text, N_("No transfer is pending"));
	if (!reg_val_is(p->row[cancel ? TRANSFER_TO : TRANSFER_FROM], x->s->who.importer) || (!cancel && !owns(d)))
		return reg_refuse(x, REG_AUTHORIZATION, "name", x->c->key->text, N_("The decision is not yours"));
	err = close_transfer(x, p, outcome);
	if (!err && approve)
		err = hand_over(x, d, p->row[TRANSFER_TO].s);
	struct str args[] = {x->c->key->text, outcome};
	if (!err)
		err = reg_message_to_importer(x, p->row[cancel ? TRANSFER_FROM : TRANSFER_TO].s, REG_MESSAGE_TRANSFER_DECIDED, args, 2);
	return err ? err : show_transfer(x, p);
}

enum ceir_err reg_imei_transfer(struct exec *x)
{
	struct device d = {.x = x};
	struct pending p;
	enum ceir_err err;

	if (!key_imei(x, &d.imei, &err))
		return err;
	load_device(&d, NULL);
	if (d.err == CEIR_ENOENT || (!d.err && (!d.registered || d.row.withdrawn)))
		return reg_refuse(x, REG_NOT_FOUND, "name", x->c->key->text, N_("No device is registered under this IMEI"));
	err = d.err ? d.err : last_transfer(x, device_key(&d), &p);
	if (err)
		return err;
	if (x->c->op == REG_OP_REQUEST)
		return request(x, &d, &p);
	if (x->c->op != REG_OP_QUERY)
		return decide(x, &d, &p);
	bool party = p.found && (reg_val_is(p.row[TRANSFER_FROM], x->s->who.importer) || reg_val_is(p.row[TRANSFER_TO], x->s->who.importer));
	if (!party)
		return reg_refuse(x, p.found ? REG_AUTHORIZATION : REG_NO_PENDING_TRANSFER, "name", x->c->key->text, N_("No transfer of yours"));
	return show_transfer(x, &p);
}

/* ---- delete ---- */

/* What was asked for a device that is withdrawn cannot be granted: it must not lie in wait for the next registration. */
static enum ceir_err cancel_pending(struct exec *x, const struct device *d)
{
	struct str args[] = {x->c->key->text, STR("serverCancelled")};
	struct pending p;
	enum ceir_err err = last_transfer(x, device_key(d), &p);

	if (err || !p.found || !reg_val_is(p.row[TRANSFER_STATUS], "pending"))
		return err;
	err = close_transfer(x, &p, args[1]);
	return err ? err : reg_message_to_importer(x, p.row[TRANSFER_TO].s, REG_MESSAGE_TRANSFER_DECIDED, args, 2);
}

/*
 * Withdraws the registration of the whole device: a device of several IMEIs is one thing. Its unit of the position comes back
 * when the permit's importer still owns it.
 */
enum ceir_err reg_imei_delete(struct exec *x)
{
	struct imei imeis[POLICY_DEVICE_IMEIS];
	struct store_imei row = {0};
	struct device d;
	size_t n;
	enum ceir_err err;

	if (!load_mine(x, &d, &err))
		return err;
	err = device_imeis(x, &d.row, imeis, &n);
	for (size_t i = 0; i < n && !err; i++) {
		err = store_imei_get(x->db, imeis[i], &row);
		row.withdrawn = true;
		if (!err)
			err = store_imei_update(x->db, &row);
		if (!err)
			err = reg_derive(x, imeis[i]);
	}
	if (!err && d.has_position && !d.row.owner)
		err = store_add(x->db, &STORE_POSITION, d.position[POSITION_ID].i, POSITION_USED, -1, POSITION_QUANTITY);
	return err ? err : cancel_pending(x, &d);
}

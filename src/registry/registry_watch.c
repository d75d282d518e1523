/*
 * registry_watch.c - golden: IMEIs that are never blocked, kept under a keyed hash only; and watches: IMEIs that the police wants
 * to hear of when a network sees them. Neither changes a verdict.
 */
#include <string.h>

#include "registry/registry_internal.h"

/* ---- golden ---- */

#define GOLDEN_HASH_BYTES crypto_shorthash_siphashx24_BYTES

void reg_golden_key(struct registry *r)
{
	_Static_assert(sizeof r->digest_key == crypto_kdf_KEYBYTES, "audit.key derives the others");
	crypto_kdf_derive_from_key(r->golden_key, sizeof r->golden_key, 1, "golden__", r->digest_key);
}

void reg_golden_hash(const struct registry *r, uint64_t imei_key, uint8_t hash[16])
{
	uint8_t bytes[8];

	_Static_assert(GOLDEN_HASH_BYTES == 16, "SipHash-2-4-128");
	for (size_t i = 0; i < sizeof bytes; i++)
		bytes[i] = (uint8_t)(imei_key >> 8 * i);
	crypto_shorthash_siphashx24(hash, bytes, sizeof bytes, r->golden_key);
}

/* The row of an IMEI; hash is filled whether there is one or not. */
static bool find_golden(struct exec *x, struct imei imei, uint8_t hash[GOLDEN_HASH_BYTES], struct store_val *row, enum ceir_err *err)
{
	reg_golden_hash(x->r, imei.n, hash);
	*err = store_get(x->db, &STORE_GOLDEN, GOLDEN_HASH, store_blob(hash, GOLDEN_HASH_BYTES), x->arena, row);
	bool found = !*err;
	if (*err == CEIR_ENOENT)
		*err = CEIR_OK;
	return found;
}

enum ceir_err reg_golden_check(struct exec *x)
{
	struct reg_check_item *items = arena_array(x->arena, x->c->n_names, sizeof *items);
	uint8_t hash[GOLDEN_HASH_BYTES];
	struct store_val row[GOLDEN_N];
	struct imei imei;
	enum ceir_err err = items ? CEIR_OK : CEIR_ENOMEM;

	for (size_t i = 0; i < x->c->n_names && !err; i++) {
		items[i].name = x->c->names[i];
		if (imei_parse(x->c->names[i], &imei)) {
			items[i].reason = N_("Object is not valid");
			continue;
		}
		items[i].avail = !find_golden(x, imei, hash, row, &err);
		items[i].reason = items[i].avail ? NULL : N_("Object exists");
	}
	if (err)
		return err;
	x->reply->data = REG_DATA_CHECK;
	x->reply->object = x->c->object;
	x->reply->checks = items;
	x->reply->n_checks = x->c->n_names;
	return CEIR_OK;
}

enum ceir_err reg_golden_create(struct exec *x)
{
	struct reg_node *id = reg_node_find(x->c->set, "id");
	uint8_t hash[GOLDEN_HASH_BYTES];
	struct store_val row[GOLDEN_N], imei;
	uint32_t mask = 0;
	enum ceir_err err;

	if (!id)
		return reg_refuse(x, REG_MISSING, "id", STR(""), N_("This element is required"));
	for (struct reg_node *n = x->c->set; n; n = n->next)
		if (n->field->flags & REG_SERVER)
			return reg_refuse(x, REG_POLICY, n->field->name, n->text, N_("This element cannot be set by this command"));
	if (!reg_parse(x, id->field, id->text, &imei))
		return CEIR_OK;
	if (find_golden(x, (struct imei){(uint64_t)imei.i}, hash, row, &err))
		return reg_refuse(x, REG_EXISTS, "id", id->text, N_("The object exists already"));
	if (err)
		return err;
	row[GOLDEN_ID] = store_null();
	row[GOLDEN_HASH] = store_blob(hash, sizeof hash);
	reg_stamp(x, row, GOLDEN_CR_ID, &mask);
	err = store_insert(x->db, &STORE_GOLDEN, row, NULL);
	x->tables_changed = true;
	return err ? err : reg_created(x, id->text);
}

enum ceir_err reg_golden_delete(struct exec *x)
{
	uint8_t hash[GOLDEN_HASH_BYTES];
	struct store_val row[GOLDEN_N], imei;
	enum ceir_err err;

	if (!x->c->key)
		return reg_refuse(x, REG_MISSING, "id", STR(""), N_("This element is required"));
	if (!reg_parse(x, x->c->key->field, x->c->key->text, &imei))
		return CEIR_OK;
	if (!find_golden(x, (struct imei){(uint64_t)imei.i}, hash, row, &err))
		return err ? err : reg_refuse(x, REG_NOT_FOUND, "id", x->c->key->text, N_("There is no such object"));
	x->tables_changed = true;
	return store_delete(x->db, &STORE_GOLDEN, row[GOLDEN_ID].i);
}

/* ---- watches: every account of the police may keep them; the one that made a watch is told ---- */

static enum ceir_err check_until(struct exec *x, const struct store_val *w)
{
	struct reg_node *until = reg_node_find(x->c->set, "until");

	if (until && w[WATCH_UNTIL].i <= x->now_us)
		return reg_refuse(x, REG_RANGE, "until", until->text, N_("The end must lie in the future"));
	return CEIR_OK;
}

enum ceir_err reg_watch_create(struct exec *x)
{
	struct store_val w[WATCH_N];
	uint32_t mask = 0;

	for (int i = 0; i < WATCH_N; i++)
		w[i] = store_null();
	if (!reg_row(x, x->c->object->fields, x->c->set, true, w, &mask))
		return CEIR_OK;
	enum ceir_err err = check_until(x, w);
	if (err || reg_refused(x))
		return err;
	struct str code = arena_printf(x->arena, "W%lld", (long long)x->transaction);
	w[WATCH_ID] = store_int(x->transaction);
	w[WATCH_CODE] = store_text(code);
	w[WATCH_STATUS] = store_text(STR("active"));
	w[WATCH_ACCOUNT] = store_int(x->s->who.account);
	reg_stamp(x, w, WATCH_CR_ID, &mask);
	err = code.p ? store_insert(x->db, &STORE_WATCH, w, NULL) : CEIR_ENOMEM;
	x->tables_changed = true;
	return err ? err : reg_created(x, code);
}

static bool load_active(struct exec *x, struct store_val *w, enum ceir_err *err)
{
	if (!reg_load(x, &STORE_WATCH, w, err))
		return false;
	if (reg_val_is(w[WATCH_STATUS], "active"))
		return true;
	*err = reg_refuse(x, REG_STATUS, "id", x->c->key->text, N_("The watch has ended"));
	return false;
}

enum ceir_err reg_watch_update(struct exec *x)
{
	struct store_val w[WATCH_N];
	uint32_t mask = 0;
	enum ceir_err err;

	if (!load_active(x, w, &err))
		return err;
	if (!reg_row(x, x->c->object->fields, x->c->set, false, w, &mask))
		return CEIR_OK;
	err = check_until(x, w);
	if (err || reg_refused(x))
		return err;
	reg_stamp(x, w, WATCH_UP_ID, &mask);
	x->tables_changed = true;
	return store_update(x->db, &STORE_WATCH, w[WATCH_ID].i, mask, w);
}

static enum ceir_err end_watch(struct exec *x, struct store_val *w)
{
	uint32_t mask = 1u << WATCH_STATUS;

	w[WATCH_STATUS] = store_text(STR("ended"));
	reg_stamp(x, w, WATCH_UP_ID, &mask);
	x->tables_changed = true;
	return store_update(x->db, &STORE_WATCH, w[WATCH_ID].i, mask, w);
}

/* Never forgotten, only ended: who watched whom on what ground must be told years later. */
enum ceir_err reg_watch_delete(struct exec *x)
{
	struct store_val w[WATCH_N];
	enum ceir_err err;

	return load_active(x, w, &err) ? end_watch(x, w) : err;
}

/* ---- the clock ---- */

struct due {
	int64_t ids[64];
	size_t n;
};

static enum ceir_err note_due(void *ctx, const struct store_val *row)
{
	struct due *d = ctx;

	d->ids[d->n++] = row[WATCH_ID].i;
	return CEIR_OK;
}

static enum ceir_err find_due(struct store_conn *db, int64_t now_us, uint32_t limit, struct due *d)
{
	struct store_filter f[] = {{WATCH_STATUS, STORE_EQ, store_text(STR("active"))}, {WATCH_UNTIL, STORE_LE, store_int(now_us)}};
	struct store_query q = {.table = &STORE_WATCH, .filters = f, .n_filters = CEIR_COUNT(f), .limit = limit, .keep = true};

	d->n = 0;
	return store_select(db, &q, note_due, d);
}

enum ceir_err reg_watch_due(struct store_conn *db, int64_t now_us, bool *any)
{
	struct due d;
	enum ceir_err err = find_due(db, now_us, 1, &d);

	*any = !err && d.n > 0;
	return err;
}

enum ceir_err reg_watch_tick(struct exec *x)
{
	struct store_val w[WATCH_N];
	struct due d;
	enum ceir_err err = find_due(x->db, x->now_us, CEIR_COUNT(d.ids), &d);

	for (size_t i = 0; i < d.n && !err; i++) {
		err = store_get(x->db, &STORE_WATCH, WATCH_ID, store_int(d.ids[i]), x->arena, w);
		if (!err)
			err = end_watch(x, w);
	}
	return err;
}

/*
 * registry_triplet.c - the triplet store is opened, and fed in real time: sightings as a body of JSON or CSV go straight into its journal,
 * in the session's thread.
 *
 * The client's transaction id makes a body repeatable: the same body sent again under the same id changes nothing and is answered
 * the same.
 */
#include <inttypes.h>
#include <string.h>

#include "registry/registry_delivery.h"

#define SHOWN_MAX 20 /* refused items named in the answer */

struct sightings {
	struct exec *x;
	struct sighting *rows;
	struct str *cells;     /* NULL: none has one so far */
	size_t n, max;
	unsigned shown;
	struct reg_detail *details, **tail;
};

static enum ceir_err keep_cells(struct sightings *s, const struct str *cells, size_t n)
{
	if (!s->cells)
		s->cells = arena_array(s->x->arena, s->max, sizeof *s->cells);
	if (!s->cells)
		return CEIR_ENOMEM;
	for (size_t i = 0; i < n; i++) {
		s->cells[s->n + i] = cells[i].n ? arena_str(s->x->arena, cells[i]) : (struct str){NULL, 0};
		if (cells[i].n && !s->cells[s->n + i].p)
			return CEIR_ENOMEM;
	}
	return CEIR_OK;
}

/* All of a body go to the store at once, so that its batch number covers them. */
static enum ceir_err take_rows(void *ctx, const struct sighting *rows, const struct str *cells, size_t n)
{
	struct sightings *s = ctx;

	if (n > s->max - s->n)
		return CEIR_ELIMIT;
	enum ceir_err err = cells ? keep_cells(s, cells, n) : CEIR_OK;
	if (!err)
		memcpy(s->rows + s->n, rows, n * sizeof *rows);
	s->n += err ? 0 : n;
	return err;
}

/* What was not taken as it came: the first of them by number. */
static enum ceir_err take_reject(void *ctx, const struct delivery_reject *reject)
{
	struct sightings *s = ctx;
	struct exec *x = s->x;

	if (s->shown == SHOWN_MAX)
		return CEIR_OK;
	s->shown++;
	struct reg_detail *d = arena_alloc(x->arena, sizeof *d);
	struct str field = {reject->field.p, reject->field.n < 16 ? reject->field.n : 16};
	struct str text = arena_printf(x->arena, "%" PRIu64 " %.*s", reject->line, (int)field.n, field.p);
	if (!d || !text.p)
		return CEIR_ENOMEM;
	*d = (struct reg_detail){.uri = x->c->object->uri, .element = "sighting", .value = text, .reason = delivery_fault_text(reject->fault)};
	*s->tail = d;
	s->tail = (struct reg_detail **)(uintptr_t)&d->next;
	return CEIR_OK;
}

static void touched(void *ctx, const uint64_t *imeis, size_t n)
{
	reg_class_touched(ctx, imeis, n);
}

/*
 * Of transaction id and body; 0 (not checked) when the client gave no id. With the body, so that one id used for two bodies by mistake
 * loses nothing.
 */
static enum ceir_err batch_of(struct exec *x, uint64_t *batch)
{
	static const uint8_t key[crypto_shorthash_KEYBYTES] = "sightings";
	uint64_t body, h;

	_Static_assert(crypto_shorthash_BYTES == sizeof h, "64 bits");
	*batch = 0;
	if (!x->c->cltrid.n)
		return CEIR_OK;
	crypto_shorthash((uint8_t *)&body, (const uint8_t *)x->c->body.p, x->c->body.n, key);
	struct str both = arena_printf(x->arena, "%016" PRIx64 "%.*s", body, (int)x->c->cltrid.n, x->c->cltrid.p);
	if (!both.p)
		return CEIR_ENOMEM;
	crypto_shorthash((uint8_t *)&h, (const uint8_t *)both.p, both.n, key);
	*batch = h ? h : 1;
	return CEIR_OK;
}

static enum ceir_err load_operator(struct exec *x, uint8_t *op)
{
	struct store_val row[OPERATOR_N];
	struct store_conn *db = store_reader(x->r->store);
	enum ceir_err err = db ? delivery_operator(db, x->s->who.operator, x->arena, row) : CEIR_ESTORE;

	store_reader_done(x->r->store, db);
	if (!err)
		*op = (uint8_t)row[OPERATOR_ID].i;
	return err;
}

/* As a delivery would be read. */
static enum ceir_err parse_csv(struct exec *x, const struct delivery_format *f, const struct delivery_sink *sink, size_t max,
	struct delivery_counts *counts, const char **why)
{
	struct delivery_reader *r = delivery_reader_new(f, sink);

	if (!r)
		return CEIR_ENOMEM;
	enum ceir_err err = delivery_reader_feed(r, x->c->body);
	if (!err)
		err = delivery_reader_finish(r);
	delivery_reader_counts(r, counts);
	*why = delivery_reader_why(r);
	delivery_reader_free(r);
	return err ? err : counts->lines > max ? CEIR_ELIMIT : CEIR_OK;
}

static enum ceir_err parse(struct exec *x, struct sightings *s, struct delivery_counts *counts, const char **why)
{
	const struct policy_params *params = policy_params(reg_policy(x->r));
	struct delivery_sink sink = {s, take_rows, take_reject};
	struct delivery_format format = {.now_s = x->now_us / SECOND_US, .default_s = (uint32_t)(x->now_us / SECOND_US),
		.home_mcc = params->home_mcc, .country_code = params->country_code};
	size_t max = x->r->settings.max_sightings;
	/* The shortest that is taken is the line of an IMEI of one character and an IMSI of 14: what the body cannot hold needs no room. */
	s->max = max;
	if (s->max > x->c->body.n / 16 + 1)
		s->max = x->c->body.n / 16 + 1;
	s->rows = arena_array(x->arena, s->max, sizeof *s->rows);
	if (!s->rows)
		return CEIR_ENOMEM;
	return x->c->body_is_csv ? parse_csv(x, &format, &sink, max, counts, why)
				 : delivery_json(x->c->body, &format, &sink, max, counts, why);
}

static enum ceir_err answer(struct exec *x, const struct delivery_counts *c)
{
	const struct reg_field *fields = x->c->object->fields;
	struct reg_list l;

	reg_list_init(&l);
	enum ceir_err err = reg_list_add(x, &l, fields, "sightings", reg_print_u64(x, c->taken));
	if (!err)
		err = reg_list_add(x, &l, fields, "refused", reg_print_u64(x, c->refused));
	if (!err)
		err = reg_list_add(x, &l, fields, "malformed", reg_print_u64(x, c->malformed));
	x->reply->data = REG_DATA_CREATE;
	x->reply->object = x->c->object;
	x->reply->fields = l.head;
	return err;
}

enum ceir_err reg_triplet_create(struct exec *x)
{
	struct sightings s = {.x = x, .tail = NULL};
	struct delivery_counts counts;
	const char *why = NULL;
	uint64_t batch;
	uint8_t op = 0;

	s.tail = &s.details;
	x->audit_name = str_of(x->s->who.operator);
	enum ceir_err err = load_operator(x, &op);
	if (err == CEIR_EPERM)
		return reg_refuse(x, REG_AUTHORIZATION, "operator", str_of(x->s->who.operator), N_("There is no such active operator"));
	if (!err)
		err = parse(x, &s, &counts, &why);
	if (err == CEIR_ELIMIT)
		return reg_refuse(x, REG_POLICY, "sightings", reg_print_u64(x, x->r->settings.max_sightings),
			N_("More sightings in one body than are taken"));
	if (err == CEIR_EINVAL && why)
		return reg_refuse(x, REG_VALUE, "sightings", STR(""), why);
	if (err)
		return err;
	if (!s.n) {
		x->reply->details = s.details;
		x->reply->code = REG_VALUE;
		return s.details ? CEIR_OK : reg_refuse(x, REG_VALUE, "sightings", STR(""), N_("The body holds no sightings"));
	}
	err = batch_of(x, &batch);
	if (!err)
		err = triplets_sight(x->r->triplets, op, batch, s.rows, s.cells, s.n, touched, x->r);
	if (err && err != CEIR_EEXIST)
		return err;
	if (!err)
		reg_class_seen(x->r, s.rows, s.n);
	x->reply->details = s.details;
	return answer(x, &counts);
}

/* ---- the store ---- */

static enum ceir_err take_days(void *ctx, const struct store_val *row)
{
	struct triplets_settings *s = ctx;
	struct policy *p;
	enum ceir_err err = reg_policy_load(row, &p);

	if (err)
		return err;
	s->gap_days = policy_params(p)->gap_days;
	s->keep_episode_days = policy_params(p)->keep_episode_days;
	policy_free(p);
	return CEIR_OK;
}

enum ceir_err reg_triplets_open(struct registry *r)
{
	char dir[DELIVERY_PATH];
	struct triplets_settings s = {.dir = dir, .gap_days = 30, .memory_bytes = r->settings.triplets_memory, .threads = r->settings.threads};
	struct store_filter f = {POLICY_ROW_STATUS, STORE_EQ, store_text(STR("active"))};
	struct store_query q = {.table = &STORE_POLICY, .filters = &f, .n_filters = 1, .sort = POLICY_ROW_ID, .descending = true, .limit = 1};
	int n = snprintf(dir, sizeof dir, "%s/triplets", r->settings.dir);

	if (n < 0 || n >= (int)sizeof dir)
		return CEIR_ERANGE;
	struct store_conn *db = store_reader(r->store);
	enum ceir_err err = db ? store_select(db, &q, take_days, &s) : CEIR_ESTORE;
	store_reader_done(r->store, db);
	s.gap_days = s.gap_days < 1 ? 1 : s.gap_days > 3650 ? 3650 : s.gap_days;
	s.memory_bytes = s.memory_bytes < (64u << 20) ? 64u << 20 : s.memory_bytes;
	s.threads = s.threads < 1 ? 1 : s.threads > 16 ? 16 : s.threads;
	return err ? err : triplets_open(&s, &r->triplets);
}

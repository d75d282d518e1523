/*
 * registry_delivery.c - taking a delivery in: bytes are digested, unpacked, read and handed to the triplet store piece by piece, in
 * constant memory. Nothing is visible and nothing is promised before the create command (registry_delivery_create.c).
 */
#include "registry/registry_delivery.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define ROOM "delivery"
#define RATIO_MAX 200      /* a base of subscribers packs to a tenth; what unpacks to more than this is no delivery */
#define ID_MAX 64          /* characters */
#define NAME_MAX_ 255

/* ---- who may, and what it is called ---- */

enum ceir_err delivery_operator(struct store_conn *db, const char *code, struct arena *a, struct store_val *row)
{
	enum ceir_err err = store_get(db, &STORE_OPERATOR, OPERATOR_CODE, store_text(str_of(code)), a, row);

	if (err == CEIR_ENOENT || (!err && !reg_val_is(row[OPERATOR_STATUS], "active")))
		return CEIR_EPERM;
	return !err && (row[OPERATOR_ID].i < 1 || row[OPERATOR_ID].i >= DELIVERY_OPERATORS) ? CEIR_ECORRUPT : err;
}

static enum ceir_err find_operator(struct registry *r, const char *code, uint8_t *op)
{
	struct arena *a = arena_new(1u << 16);
	struct store_val row[OPERATOR_N];
	struct store_conn *db = a ? store_reader(r->store) : NULL;
	enum ceir_err err = !a ? CEIR_ENOMEM : !db ? CEIR_ESTORE : delivery_operator(db, code, a, row);

	if (!err)
		*op = (uint8_t)row[OPERATOR_ID].i;
	store_reader_done(r->store, db);
	arena_free(a);
	return err;
}

/* Printable text of at most max characters; empty is allowed. */
static bool is_name(struct str s, size_t max)
{
	size_t characters = 0;

	if (!str_is_utf8(s) || str_trim(s).n != s.n)
		return false;
	for (size_t i = 0; i < s.n; i++) {
		if ((uint8_t)s.p[i] < 0x20 || s.p[i] == 0x7f)
			return false;
		characters += ((uint8_t)s.p[i] & 0xc0) != 0x80;
	}
	return characters <= max;
}

static bool claim(struct reg_delivery *d)
{
	struct reg_intake *in = d->r->intake;

	pthread_mutex_lock(&in->lock);
	d->claimed = in->receiving[d->op] < d->r->settings.max_deliveries_operator;
	in->receiving[d->op] += d->claimed;
	pthread_mutex_unlock(&in->lock);
	return d->claimed;
}

static void unclaim(struct reg_delivery *d)
{
	struct reg_intake *in = d->r->intake;

	if (!d->claimed)
		return;
	pthread_mutex_lock(&in->lock);
	in->receiving[d->op]--;
	pthread_mutex_unlock(&in->lock);
}

/* ---- from the reader ---- */

static enum ceir_err take_rows(void *ctx, const struct sighting *rows, const struct str *cells, size_t n)
{
	struct reg_delivery *d = ctx;

	reg_class_seen(d->r, rows, n);
	return triplets_intake_add(d->intake, rows, cells, n);
}

static void copy_cut(char *out, size_t size, size_t *n_out, struct str s)
{
	size_t n = s.n < size ? s.n : size;

	memcpy(out, s.p, n);
	while (n && !str_is_utf8((struct str){out, n}))
		n--;
	*n_out = n;
}

static enum ceir_err take_reject(void *ctx, const struct delivery_reject *reject)
{
	struct reg_delivery *d = ctx;

	if (d->n_shown < DELIVERY_SHOWN && delivery_fault_refuses(reject->fault)) {
		struct delivery_shown *s = &d->shown[d->n_shown++];
		size_t n;

		s->line = reject->line;
		s->fault = reject->fault;
		copy_cut(s->field, sizeof s->field - 1, &n, reject->field);
		s->field[n] = '\0';
		copy_cut(s->raw, sizeof s->raw, &s->n_raw, reject->raw);
	}
	return delivery_report_add(&d->report, reject);
}

/* ---- begin, feed, drop ---- */

static enum ceir_err copy_text(struct str from, struct str *to)
{
	char *p = from.n ? malloc(from.n) : NULL;

	*to = (struct str){p, p ? from.n : 0};
	if (p)
		memcpy(p, from.p, from.n);
	return from.n && !p ? CEIR_ENOMEM : CEIR_OK;
}

static enum ceir_err open_parts(struct reg_delivery *d, const struct reg_delivery_start *start)
{
	int64_t now_s = d->begun_us / SECOND_US;
	struct delivery_sink sink = {d, take_rows, take_reject};

	d->params = policy_params(reg_policy(d->r));
	struct delivery_format format = {.now_s = now_s, .default_s = (uint32_t)(start->at_s ? start->at_s : now_s),
		.home_mcc = d->params->home_mcc, .country_code = d->params->country_code};
	enum ceir_err err = copy_text(start->id, &d->id);
	if (!err)
		err = copy_text(start->name, &d->name);
	if (!err && gnutls_hash_init(&d->hash, GNUTLS_DIG_SHA256))
		err = CEIR_ENOMEM;
	d->unpack = unpack_new(RATIO_MAX);
	d->reader = delivery_reader_new(&format, &sink);
	if (!err && (!d->unpack || !d->reader))
		err = CEIR_ENOMEM;
	return err ? err : triplets_intake_new(d->r->triplets, d->op, &d->intake);
}

enum ceir_err reg_delivery_begin(struct reg_session *s, const struct reg_delivery_start *start, struct reg_delivery **out)
{
	uint8_t op;

	if (s->who.role != REG_ROLE_OPERATOR)
		return CEIR_EPERM;
	if (!is_name(start->id, ID_MAX) || !is_name(start->name, NAME_MAX_) || start->at_s < 0 || start->at_s > UINT32_MAX)
		return CEIR_EINVAL;
	enum ceir_err err = find_operator(s->r, s->who.operator, &op);
	if (err)
		return err;
	struct reg_delivery *d = calloc(1, sizeof *d);
	if (!d)
		return CEIR_ENOMEM;
	d->r = s->r;
	d->op = op;
	d->full = start->full;
	d->begun_us = clock_real_us();
	memcpy(d->operator_code, s->who.operator, sizeof d->operator_code);
	delivery_report_init(&d->report, s->r, s->lang);
	err = claim(d) ? open_parts(d, start) : CEIR_ELIMIT;
	if (err)
		reg_delivery_drop(d);
	else
		*out = d;
	return err;
}

static enum ceir_err take_unpacked(void *ctx, struct str bytes)
{
	struct reg_delivery *d = ctx;
	enum ceir_err err = delivery_reader_feed(d->reader, bytes);

	if (err == CEIR_EINVAL)
		d->why = delivery_reader_why(d->reader);
	return err;
}

/* What the first error means to whoever sent the body. */
static enum ceir_err note(struct reg_delivery *d, enum ceir_err err)
{
	if (err == CEIR_ELIMIT)
		d->why = N_("The body unpacks to far more than a delivery does");
	else if (err == CEIR_EINVAL && !d->why)
		d->why = N_("The body is damaged: it cannot be unpacked");
	d->err = err == CEIR_ELIMIT ? CEIR_EINVAL : err;
	return d->err;
}

enum ceir_err reg_delivery_feed(struct reg_delivery *d, struct str bytes)
{
	if (d->err || !bytes.n)
		return d->err;
	if (gnutls_hash(d->hash, bytes.p, bytes.n))
		return note(d, CEIR_EIO);
	d->bytes += bytes.n;
	return note(d, unpack_feed(d->unpack, bytes, take_unpacked, d));
}

void reg_delivery_drop(struct reg_delivery *d)
{
	if (!d)
		return;
	if (d->hash)
		gnutls_hash_deinit(d->hash, NULL);
	unpack_free(d->unpack);
	delivery_reader_free(d->reader);
	triplets_intake_drop(d->intake);
	if (d->staged) {
		enum ceir_err err = triplets_discard(d->r->triplets, d->staged);

		if (err)
			log_warn(ROOM, "staged delivery %" PRIu64 " stays until the next start: %s", d->staged, ceir_err_text(err));
	}
	delivery_report_free(&d->report);
	unclaim(d);
	free((char *)(uintptr_t)d->id.p);
	free((char *)(uintptr_t)d->name.p);
	free(d);
}

/* ---- the end of the body ---- */

static enum ceir_err read_rest(struct reg_delivery *d)
{
	enum ceir_err err = unpack_finish(d->unpack, take_unpacked, d);

	if (!err) {
		err = delivery_reader_finish(d->reader);
		if (err == CEIR_EINVAL)
			d->why = delivery_reader_why(d->reader);
	}
	delivery_reader_counts(d->reader, &d->counts);
	if (!err && !d->counts.taken) {
		d->why = d->counts.lines ? N_("No line of the delivery could be taken") : N_("The delivery has no lines");
		err = CEIR_EINVAL;
	}
	return note(d, err);
}

enum ceir_err delivery_complete(struct reg_delivery *d, uint64_t usual)
{
	const struct policy_params *p = d->params;
	struct delivery_gate gate = {.empty = p->gate_empty, .unclean = p->gate_unclean, .foreign = p->gate_foreign, .size = p->gate_size,
		.leading_zero = p->gate_zeros, .min_lines = 1000};

	if (d->err || read_rest(d))
		return d->err;
	gnutls_hash_deinit(d->hash, d->digest);
	d->hash = NULL;
	d->hold = delivery_gate_check(&gate, &d->counts, d->full ? usual : 0);
	/* The intake is gone whatever the outcome. */
	struct triplets_intake *intake = d->intake;
	d->intake = NULL;
	enum ceir_err err = triplets_intake_stage(intake, &d->staged);
	return note(d, err ? err : delivery_report_finish(&d->report, d->staged));
}

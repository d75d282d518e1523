/*
 * registry_triplet_show.c - one triplet as an answer shows it, with what has changed about it:
 *   new             first seen in the period asked for; without one, within the days after which an absence counts
 *   returned        seen again after such an absence (in the period)
 *   number-changed  the IMSI was with another number before
 *   sim-swapped     the number was with another IMSI before
 *   device-changed  the IMSI was in another device before
 *   gone            not seen since its operator's last full delivery began, or for longer than an absence
 * To an operator only its own triplets count as "before".
 */
#include <inttypes.h>
#include <string.h>

#include "registry/registry_triplet.h"

#define EPISODES_MAX 100     /* shown, the latest; with the usual gap of 30 days that is more than eight years */
#define BEFORE_MAX 1024      /* triplets of a subscriber looked at for what was before */

/* ---- what was before ---- */

struct before {
	const struct triplet_question *q;
	const struct triplet *t;
	bool other_msisdn, other_imsi, other_imei;
};

static enum ceir_err compare(void *ctx, const struct triplet *o)
{
	struct before *b = ctx;

	if (!triplet_counts(b->q, o) || o->first_s >= b->t->first_s)
		return CEIR_OK;
	if (o->imsi == b->t->imsi) {
		b->other_imei |= o->imei != b->t->imei;
		b->other_msisdn |= o->msisdn && b->t->msisdn && o->msisdn != b->t->msisdn;
	} else if (o->msisdn && o->msisdn == b->t->msisdn) {
		b->other_imsi = true;
	}
	return CEIR_OK;
}

static enum ceir_err look_before(struct before *b)
{
	enum ceir_err err = triplets_by_imsi(b->q->view, b->t->imsi, BEFORE_MAX, compare, b);

	return err || !b->t->msisdn ? err : triplets_by_msisdn(b->q->view, b->t->msisdn, BEFORE_MAX, compare, b);
}

/* ---- fields ---- */

static struct str print_seconds(struct exec *x, uint32_t s)
{
	return reg_print_time(x, (int64_t)s * SECOND_US);
}

static enum ceir_err add_episode(struct exec *x, const struct reg_field *fields, struct reg_list *out, uint32_t from_s, uint32_t to_s)
{
	const struct reg_field *f = reg_field_find(fields, STR("episode"));
	struct reg_list l;

	reg_list_init(&l);
	enum ceir_err err = reg_list_add(x, &l, f->fields, "from", print_seconds(x, from_s));
	if (!err)
		err = reg_list_add(x, &l, f->fields, "to", print_seconds(x, to_s));
	return err ? err : reg_list_group(x, out, fields, "episode", l.head);
}

static enum ceir_err add_episodes(struct exec *x, const struct reg_field *fields, struct reg_list *out, const struct triplet *t)
{
	unsigned i = t->n_episodes > EPISODES_MAX - 1 ? t->n_episodes - (EPISODES_MAX - 1u) : 0;
	enum ceir_err err = CEIR_OK;

	for (; i < t->n_episodes && !err; i++)
		err = add_episode(x, fields, out, t->episodes[i].from_s, t->episodes[i].to_s);
	return err ? err : add_episode(x, fields, out, t->episode_s, t->last_s);
}

static enum ceir_err add_changes(struct triplet_question *q, const struct reg_field *fields, struct reg_list *out, const struct triplet *t)
{
	struct before b = {.q = q, .t = t};
	int64_t now_s = q->x->now_us / SECOND_US, recent = now_s - q->gap_s;
	enum ceir_err err = look_before(&b);
	const struct {
		bool is;
		const char *name;
	} changes[] = {
		{q->has_period ? t->first_s >= q->from_s && t->first_s <= q->to_s : t->first_s >= recent, "new"},
		{t->n_episodes && (!q->has_period || (t->episode_s >= q->from_s && t->episode_s <= q->to_s)), "returned"},
		{b.other_msisdn, "number-changed"},
		{b.other_imsi, "sim-swapped"},
		{b.other_imei, "device-changed"},
		{t->last_s < recent || t->last_s < q->last_full_s[t->op], "gone"},
	};

	for (size_t i = 0; i < CEIR_COUNT(changes) && !err; i++)
		if (changes[i].is)
			err = reg_list_add(q->x, out, fields, "change", str_of(changes[i].name));
	return err;
}

static struct str code_of(const struct triplet_question *q, uint8_t op)
{
	return op && q->operators[op][0] ? str_of(q->operators[op]) : (struct str){NULL, 0};
}

static struct str name_or_none(const char *name)
{
	return name && name[0] ? str_of(name) : (struct str){NULL, 0};
}

enum ceir_err triplet_show(struct triplet_question *q, const struct triplet *t, struct reg_node **out)
{
	struct exec *x = q->x;
	const struct reg_field *fields = x->c->object->fields;
	char imei[TRIPLET_IMEI_TEXT], imsi[16], msisdn[16];
	struct reg_list l;
	enum ceir_err err = CEIR_OK;

	triplet_imei_print(t->imei, imei);
	imsi_print(triplet_imsi(t->imsi), imsi);
	if (t->msisdn)
		msisdn_print(triplet_msisdn(t->msisdn), msisdn);
	const struct {
		const char *name;
		struct str text;
	} plain[] = {
		{"imei", triplet_is_malformed(t->imei) ? arena_str(x->arena, str_of(imei)) : reg_print_imei(x, (struct imei){t->imei})},
		{"imsi", arena_str(x->arena, str_of(imsi))},
		{"msisdn", t->msisdn ? arena_str(x->arena, str_of(msisdn)) : (struct str){NULL, 0}},
		{"operator", code_of(q, t->op)},
		{"homeOperator", code_of(q, reg_class_home(x->r, t->imsi, t->msisdn))},
		{"first", print_seconds(x, t->first_s)},
		{"last", print_seconds(x, t->last_s)},
		{"event", name_or_none(triplet_event_name(t->event))},
		{"rat", name_or_none(triplet_rat_name(t->rat))},
		{"cell", t->cell.n ? t->cell : (struct str){NULL, 0}},
	};

	reg_list_init(&l);
	for (size_t i = 0; i < CEIR_COUNT(plain) && !err; i++)
		err = reg_list_add(x, &l, fields, plain[i].name, plain[i].text);
	if (!err)
		err = add_episodes(x, fields, &l, t);
	if (!err)
		err = add_changes(q, fields, &l, t);
	*out = l.head;
	return err;
}

/*
 * registry_policy_bits.c - which bit a condition has. Records of the classification, and changes in the log, speak of conditions by
 * bits; so a name keeps its bit for as long as it lives, and no two versions that may be in force one after the other give one bit
 * to two names.
 */
#include <string.h>

#include "registry/registry_policy.h"

#define USES_MAX 1024 /* different pairs of name and bit in all versions */

struct use {
	struct str name;
	size_t bit;
	bool live;            /* in the version in force, or in a draft */
};

struct uses {
	struct arena *arena;
	struct use *list;     /* of the newest version first */
	size_t n;
};

static enum ceir_err note_use(struct uses *u, struct str name, size_t bit, bool live)
{
	for (size_t i = 0; i < u->n; i++)
		if (u->list[i].bit == bit && str_eq(u->list[i].name, name)) {
			u->list[i].live |= live;
			return CEIR_OK;
		}
	if (u->n == USES_MAX)
		return CEIR_ELIMIT;
	u->list[u->n++] = (struct use){name, bit, live};
	return CEIR_OK;
}

static enum ceir_err note_version(void *ctx, const struct store_val *row)
{
	struct uses *u = ctx;
	struct reg_draft d;
	enum ceir_err err = reg_policy_read(u->arena, row, &d);

	for (size_t i = 0; i < d.n && !err; i++)
		if (d.c[i].name.n)
			err = note_use(u, d.c[i].name, i, !reg_val_is(row[POLICY_ROW_STATUS], "retired"));
	return err;
}

/* May a condition of this name have the bit? */
static bool is_free(const struct uses *u, struct str name, size_t bit)
{
	for (size_t i = 0; i < u->n; i++)
		if (u->list[i].bit == bit && u->list[i].live && !str_eq(u->list[i].name, name))
			return false;
	return true;
}

static bool was_used(const struct uses *u, size_t bit)
{
	for (size_t i = 0; i < u->n; i++)
		if (u->list[i].bit == bit)
			return true;
	return false;
}

#define NO_BIT POLICY_CONDITIONS

/* The bit it had last. */
static size_t kept_bit(const struct uses *u, struct str name, const bool *taken)
{
	for (size_t i = 0; i < u->n; i++)
		if (str_eq(u->list[i].name, name) && !taken[u->list[i].bit] && is_free(u, name, u->list[i].bit))
			return u->list[i].bit;
	return NO_BIT;
}

/* One that no version ever had; else one that no version has that could be in force. */
static size_t new_bit(const struct uses *u, struct str name, const bool *taken)
{
	for (size_t bit = 0; bit < POLICY_CONDITIONS; bit++)
		if (!taken[bit] && !was_used(u, bit))
			return bit;
	for (size_t bit = 0; bit < POLICY_CONDITIONS; bit++)
		if (!taken[bit] && is_free(u, name, bit))
			return bit;
	return NO_BIT;
}

enum ceir_err reg_policy_assign(struct exec *x, struct reg_draft *d)
{
	struct store_query all = {.table = &STORE_POLICY, .descending = true};
	struct uses u = {x->arena, arena_array(x->arena, USES_MAX, sizeof *u.list), 0};
	struct policy_condition_text placed[POLICY_CONDITIONS] = {{.grace_days = 0}};
	bool taken[POLICY_CONDITIONS + 1] = {false}, done[POLICY_CONDITIONS] = {false};
	size_t end = 0;
	enum ceir_err err = u.list ? store_select(x->db, &all, note_version, &u) : CEIR_ENOMEM;

	if (err)
		return err;
	/* Those that had one before new ones, or these might take theirs. */
	for (int fresh = 0; fresh < 2; fresh++)
		for (size_t i = 0; i < d->n; i++) {
			if (done[i] || !d->c[i].name.n)
				continue;
			size_t bit = fresh ? new_bit(&u, d->c[i].name, taken) : kept_bit(&u, d->c[i].name, taken);
			if (bit == NO_BIT && fresh)
				return CEIR_ERANGE;
			if (bit == NO_BIT)
				continue;
			placed[bit] = d->c[i];
			taken[bit] = done[i] = true;
			end = bit + 1 > end ? bit + 1 : end;
		}
	memcpy(d->c, placed, sizeof placed);
	d->n = end;
	return CEIR_OK;
}

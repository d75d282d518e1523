/* registry_policy.h - what the files of the policy object share. */
#ifndef CEIR_REGISTRY_POLICY_H
#define CEIR_REGISTRY_POLICY_H

#include "registry/registry_internal.h"

/* store_meta: the number of the last version ever made, so that none is given twice. */
#define REG_POLICY_LAST "policy.last"

/* A parameter that is a number or a date: its field, how policy_new() names it, where it stands. Ends with .field NULL. */
struct reg_policy_number {
	const char *field, *why;
	size_t at;
	bool day;
};
extern const struct reg_policy_number reg_policy_numbers[];
void reg_policy_number_set(struct policy_params *p, const struct reg_policy_number *n, int64_t value);

/* A version in the making. c[i] is the condition of bit i; one without a name: the bit is not used. */
struct reg_draft {
	struct policy_params params;
	struct policy_condition_text c[POLICY_CONDITIONS];
	size_t n;
};
void reg_policy_defaults(struct reg_draft *d);
/* From a stored row, texts in the arena. CEIR_ECORRUPT. */
enum ceir_err reg_policy_read(struct arena *a, const struct store_val *row, struct reg_draft *d);
/* Its params and conditions into the row's columns. */
enum ceir_err reg_policy_write(struct arena *a, const struct reg_draft *d, struct store_val *row);
/* registry_policy_bits.c: puts each condition of d at its bit. CEIR_ERANGE: there is none left. */
enum ceir_err reg_policy_assign(struct exec *x, struct reg_draft *d);

#endif

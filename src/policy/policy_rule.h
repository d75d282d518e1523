/*
 * policy_rule.h - the parser of rules, shared by its two files. An object of it lives for one rule.
 */
#ifndef CEIR_POLICY_RULE_H
#define CEIR_POLICY_RULE_H

#include "policy/policy_internal.h"

struct policy_parser {
	struct policy *policy;
	struct str text;
	size_t at; /* next byte of text */
	struct policy_program *program;
	uint32_t kinds; /* bit per enum policy_fact_kind that is asked for */
	bool failed;    /* the first error counts */
	size_t column;
	char *why;
	size_t why_size;
};

/* Notes what was expected at text[at]; returns CEIR_EINVAL. `where` is appended to `what`. */
enum ceir_err policy_rule_expected(struct policy_parser *r, size_t at, const char *what, const char *where) CEIR_MUST_USE;
void policy_rule_space(struct policy_parser *r);
/* Space, and the character c if it comes next. */
bool policy_rule_take(struct policy_parser *r, char c);
/* Space, and then [a-z0-9-]*. */
struct str policy_rule_word(struct policy_parser *r);
/* A fact with its parameters. */
enum ceir_err policy_rule_fact(struct policy_parser *r, struct policy_fact *fact) CEIR_MUST_USE;

#endif

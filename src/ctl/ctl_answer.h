/*
 * ctl_answer.h - a response of the server as a JSON tree, the form all of ceirctl works on; and that tree as text.
 *
 *   {"code": 1000, "msg": "...", "lang": "en", "object": "permit", "info": {...}, "clTRID": "...", "svTRID": "..."}
 *
 * Data stands under the verb's name: "check" (array), "info", "create", "renew", "transfer", "pending", "query". A refusal has
 * "errors": an array of {"element", "value", "reason"}. A poll has "queue": {"count", "id", "date", "msg"}. Fields that may
 * repeat are arrays even when there is one; numbers are JSON numbers where the table of fields says so, all else is text.
 */
#ifndef CEIR_CTL_ANSWER_H
#define CEIR_CTL_ANSWER_H

#include <jansson.h>

#include "base/base.h"
#include "registry/registry.h"

/* CEIR_EINVAL: not a document of EPP. *json is the caller's (json_decref). */
enum ceir_err ctl_answer_parse(struct str xml, json_t **json) CEIR_MUST_USE;
/* Result code; 0 for a greeting. */
unsigned ctl_answer_code(const json_t *json);
static inline bool ctl_answer_good(const json_t *json)
{
	return ctl_answer_code(json) < 2000;
}

/* "field:  value" lines, groups indented. */
void ctl_print_fields(FILE *to, const json_t *object);
/* Array of objects as a table, with a line of headings or without; nothing for an empty one. */
void ctl_print_table(FILE *to, const json_t *array, bool headings);
/* The whole answer for people; what went wrong goes to stderr. */
void ctl_print_answer(const json_t *json);
/* One line of JSON on stdout. */
void ctl_print_json(const json_t *json);
/* Text from outside for a terminal: control characters become '?'. */
void ctl_print_text(FILE *to, const char *text);

#endif

/*
 * ctl_request.h - options of the command line to the XML of a command, by the table of objects and fields.
 */
#ifndef CEIR_CTL_REQUEST_H
#define CEIR_CTL_REQUEST_H

#include "base/base.h"
#include "ctl/ctl_args.h"
#include "registry/registry.h"

/*
 * Each appends a whole document to b. CEIR_EINVAL: the options do not fit, why says which and how. Values are only looked at
 * as far as is needed to build the document: whether they are right is for the server to say.
 */
/* Session and queue. op: NULL for req. */
void ctl_request_poll(struct buf *b, const char *ack_id);
void ctl_request_hello(struct buf *b);
void ctl_request_check(struct buf *b, const struct reg_object *o, const struct str *names, size_t n);
/* info, delete, renew, create, update: key may be NULL where the server names the object. */
enum ceir_err ctl_request_object(struct buf *b, const struct reg_object *o, enum reg_verb verb, const char *key, struct ctl_args *a,
	struct arena *arena, char *why, size_t why_size) CEIR_MUST_USE;
/* op: "request", ... */
void ctl_request_transfer(struct buf *b, const struct reg_object *o, const char *key, const char *op);
/* application:info with result rows. */
void ctl_request_rows(struct buf *b, const struct reg_object *o, const char *key, uint64_t after, unsigned rows);
/* cursor empty: the options' own, or the first page. */
enum ceir_err ctl_request_query(
	struct buf *b, const struct reg_object *o, struct ctl_args *a, struct str cursor, char *why, size_t why_size) CEIR_MUST_USE;

/* Whether a verb of the table is one that a frame can do: what brings a file (a delivery, sightings) goes over HTTPS. */
bool ctl_request_can(const struct reg_object *o, enum reg_verb verb);
/*
 * A field "model" is the option --model, prefix (for lists in update) "add-" or "rem-". Where that is an option of ceirctl itself the object's name
 * stands before it: --remote-host.
 */
#define CTL_OPTION_MAX 64
void ctl_field_option(const struct reg_object *o, const struct reg_field *f, const char *prefix, char out[CTL_OPTION_MAX]);
/* Whether a field has an option --FIELD-file. */
bool ctl_field_has_file(const struct reg_field *f);
/* The only sub-field of all groups of o with that name, and its group; NULL: none. */
const struct reg_field *ctl_group_field(const struct reg_object *o, struct str name, const struct reg_field **group);

#endif

/*
 * ctl_internal.h - the commands of ceirctl, one function each. All complain to stderr themselves and return the exit status.
 */
#ifndef CEIR_CTL_INTERNAL_H
#define CEIR_CTL_INTERNAL_H

#include "ctl/ctl.h"
#include "ctl/ctl_args.h"
#include "ctl/ctl_session.h"
#include "registry/registry.h"

/* One run of the program. */
struct ctl {
	struct ctl_args args;
	struct ctl_session session;
};

/* Complains when an option was given that nobody took. To be called before connecting. */
enum ctl_exit ctl_options_end(struct ctl *c);
/* Finds the server, connects, logs in. */
enum ctl_exit ctl_open(struct ctl *c);

/* ctl_commands.c */
enum ctl_exit ctl_command_object(struct ctl *c, const struct reg_object *o);
enum ctl_exit ctl_command_hello(struct ctl *c);
enum ctl_exit ctl_command_poll(struct ctl *c);
enum ctl_exit ctl_command_password(struct ctl *c);
/* ctl_lists.c: what is not one command and one answer */
enum ctl_exit ctl_command_check(struct ctl *c, const struct reg_object *o);
enum ctl_exit ctl_command_query(struct ctl *c, const struct reg_object *o);
enum ctl_exit ctl_command_raw(struct ctl *c);
/* ctl_application.c, ctl_result.c */
enum ctl_exit ctl_command_submit(struct ctl *c, const struct reg_object *o);
enum ctl_exit ctl_command_result(struct ctl *c, const struct reg_object *o);
/* ctl_import.c */
enum ctl_exit ctl_command_import(struct ctl *c, const struct reg_object *o);
/* ctl_export.c */
enum ctl_exit ctl_command_export(struct ctl *c);
/* ctl_deliver.c, ctl_download.c: over HTTPS */
enum ctl_exit ctl_command_deliver(struct ctl *c);
enum ctl_exit ctl_command_rejects(struct ctl *c);
enum ctl_exit ctl_command_list_get(struct ctl *c);
/* ctl_dirbs.c */
enum ctl_exit ctl_command_lists(struct ctl *c);
/* ctl_help.c */
void ctl_help(FILE *to);
void ctl_help_object(FILE *to, const struct reg_object *o, const char *verb);

/* ---- progress on a terminal (ctl_progress.c) ------------------------------------------------------------------------------ */

struct ctl_progress {
	const char *what;     /* NULL: nothing is shown */
	uint64_t total_bytes; /* 0: not known */
	int64_t begin_us, shown_us;
};

/* Shows only when stderr is a terminal. */
void ctl_progress_begin(struct ctl_progress *p, const struct ctl *c, const char *what, uint64_t total_bytes);
void ctl_progress_show(struct ctl_progress *p, uint64_t bytes, uint64_t rows);
/* The same where there are bytes and no rows. */
void ctl_progress_bytes(struct ctl_progress *p, uint64_t bytes);
/* Clears the line. */
void ctl_progress_end(struct ctl_progress *p);

#endif

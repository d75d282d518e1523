/* registry_class_run.h - one full run, for the files that make it and that try policies with it. */
#ifndef CEIR_REGISTRY_CLASS_RUN_H
#define CEIR_REGISTRY_CLASS_RUN_H

#include "registry/registry_class.h"
#include "registry/registry_list.h"

struct reg_run {
	struct registry *r;
	const struct policy *policy;
	struct reg_tables *tables;
	struct triplets_view *view, *others; /* the second for questions about other IMEIs */
	struct classify_over *over;
	struct classify_run *run;
	const struct classify_result *result;
	uint64_t changes, to[4];  /* verdicts that differ, by colour after; those of rows of the register as well */
	char file[40];
	int64_t seq;              /* of the change log when the run began */
	int64_t transaction, last;
	int64_t now_us;
	const struct reg_wish *wish; /* NULL: none */
	struct policy *fresh;     /* the draft; NULL once it is in force */
};

/* Looks at the country; nothing is written. */
enum ceir_err reg_run_begin(struct reg_run *w, bool dry);
void reg_run_end(struct reg_run *w);
/* All of it, and ends it. */
enum ceir_err reg_run_work(struct reg_run *w);
/* IMEIs with a verdict. */
uint64_t reg_run_population(const struct reg_run *w);
/* In the transaction that names the run's file: its policy is in force. */
enum ceir_err reg_run_policy(struct exec *x, const struct reg_run *w);

struct reg_run_notice {
	enum reg_message_kind kind;
	uint64_t numbers[4];
	size_t n;
};
enum ceir_err reg_run_notice(struct exec *x, const struct reg_run_notice *m);

#endif

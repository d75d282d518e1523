/*
 * ctl_args.h - the command line: words, options, and what is common to all commands.
 */
#ifndef CEIR_CTL_ARGS_H
#define CEIR_CTL_ARGS_H

#include "base/base.h"

/* One --name value of the command, in the order given. Taken: some part of the program has understood it. */
struct ctl_option {
	const char *name; /* without the dashes; not NUL-terminated when --name=value was written */
	size_t name_n;
	const char *value; /* "" for a flag */
	bool taken;
};

/* All texts belong to argv. */
struct ctl_args {
	const char *dir, *host, *port, *ca, *cert, *key, *user, *password_file, *lang, *timeout;
	bool json, help, version, no_login, quiet;
	const char **words; /* object, verb, names */
	size_t n_words;
	struct ctl_option *options;
	size_t n_options;
};

/*
 * Global options may stand anywhere, before or after the words; "--" ends options. CEIR_EINVAL: *why says what is wrong.
 */
enum ceir_err ctl_args_parse(int argc, char *const *argv, struct ctl_args *out, char *why, size_t why_size) CEIR_MUST_USE;
void ctl_args_free(struct ctl_args *a);

/* Is --name an option common to all commands? */
bool ctl_args_is_global(const char *name);
/* Value of the last option of that name, NULL when there is none; marks all of them taken. */
const char *ctl_args_value(struct ctl_args *a, const char *name);
bool ctl_args_flag(struct ctl_args *a, const char *name);
/* The next option of that name from *at on (start with 0), for options that repeat; NULL: no more. */
const char *ctl_args_next(struct ctl_args *a, const char *name, size_t *at);
/* The first option nobody took, NULL: all were understood. */
const struct ctl_option *ctl_args_unknown(const struct ctl_args *a);

/*
 * "number=1,model=\"a, b\",price=4800.00": cuts the next name=value off *text. A value in double quotes may hold commas, and
 * "" for a quote. The value is copied into the arena when it was quoted. CEIR_ENOENT: nothing left; CEIR_EINVAL: bad form.
 */
enum ceir_err ctl_args_pair(struct str *text, struct arena *arena, struct str *name, struct str *value) CEIR_MUST_USE;
/* "seen >= 2026-01-01": field, operator (= != < <= > >= ^) and value. CEIR_EINVAL. */
enum ceir_err ctl_args_filter(struct str text, struct str *field, const char **op, struct str *value) CEIR_MUST_USE;

#endif

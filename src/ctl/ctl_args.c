/*
 * ctl_args.c - see ctl_args.h. Tables say which options are global and which take no value; everything else with two dashes
 * takes one.
 */
#include "ctl/ctl_args.h"

#include <stdlib.h>
#include <string.h>

static const struct {
	const char *name;
	size_t offset;
} GLOBAL_VALUES[] = {
	{"dir", offsetof(struct ctl_args, dir)},
	{"host", offsetof(struct ctl_args, host)},
	{"port", offsetof(struct ctl_args, port)},
	{"ca", offsetof(struct ctl_args, ca)},
	{"cert", offsetof(struct ctl_args, cert)},
	{"key", offsetof(struct ctl_args, key)},
	{"user", offsetof(struct ctl_args, user)},
	{"password-file", offsetof(struct ctl_args, password_file)},
	{"lang", offsetof(struct ctl_args, lang)},
	{"timeout", offsetof(struct ctl_args, timeout)},
};

static const struct {
	const char *name;
	size_t offset;
} GLOBAL_FLAGS[] = {
	{"json", offsetof(struct ctl_args, json)},
	{"help", offsetof(struct ctl_args, help)},
	{"version", offsetof(struct ctl_args, version)},
	{"no-login", offsetof(struct ctl_args, no_login)},
	{"quiet", offsetof(struct ctl_args, quiet)},
};

/* Of single commands; no field of an object may have such a name. */
static const char *const FLAGS[] = {"all", "count", "count-only", "desc", "overwrite", "refused", "wait", "single"};

static bool is_named(const char *name, size_t n, const char *c_string)
{
	return str_eq_c((struct str){name, n}, c_string);
}

/* Where a global option's value goes, NULL: not global. */
static const char **global_value(struct ctl_args *a, const char *name, size_t n)
{
	for (size_t i = 0; i < CEIR_COUNT(GLOBAL_VALUES); i++)
		if (is_named(name, n, GLOBAL_VALUES[i].name))
			return (const char **)(void *)((char *)a + GLOBAL_VALUES[i].offset);
	return NULL;
}

static bool *global_flag(struct ctl_args *a, const char *name, size_t n)
{
	for (size_t i = 0; i < CEIR_COUNT(GLOBAL_FLAGS); i++)
		if (is_named(name, n, GLOBAL_FLAGS[i].name))
			return (bool *)(void *)((char *)a + GLOBAL_FLAGS[i].offset);
	return NULL;
}

bool ctl_args_is_global(const char *name)
{
	struct ctl_args none = {.dir = NULL};

	return global_value(&none, name, strlen(name)) || global_flag(&none, name, strlen(name));
}

static bool is_flag(const char *name, size_t n)
{
	for (size_t i = 0; i < CEIR_COUNT(FLAGS); i++)
		if (is_named(name, n, FLAGS[i]))
			return true;
	return false;
}

/* One --name or --name=value; following: the next argument, NULL at the end. *used: it was the value. */
static enum ceir_err option_parse(
	struct ctl_args *a, const char *text, const char *following, bool *used, char *why, size_t why_size)
{
	const char *equals = strchr(text, '=');
	size_t n = equals ? (size_t)(equals - text) : strlen(text);
	bool *on = global_flag(a, text, n);
	bool flag = on || is_flag(text, n);
	const char *value = equals ? equals + 1 : flag ? "" : following;

	if (n == 0 || (flag && equals) || !value) {
		snprintf(why, why_size,
			n == 0 ? "an option needs a name"
			: flag ? "--%.*s takes no value"
			       : "--%.*s needs a value",
			(int)n, text);
		return CEIR_EINVAL;
	}
	*used = !flag && !equals;
	const char **global = global_value(a, text, n);
	if (on)
		*on = true;
	else if (global)
		*global = value;
	else
		a->options[a->n_options++] = (struct ctl_option){.name = text, .name_n = n, .value = value};
	return CEIR_OK;
}

enum ceir_err ctl_args_parse(int argc, char *const *argv, struct ctl_args *out, char *why, size_t why_size)
{
	struct ctl_args a = {
		.words = calloc((size_t)argc + 1, sizeof(*a.words)), .options = calloc((size_t)argc + 1, sizeof(*a.options))};
	enum ceir_err err = a.words && a.options ? CEIR_OK : CEIR_ENOMEM;
	bool ended = false, used;

	for (int i = 1; !err && i < argc; i++) {
		if (ended || strncmp(argv[i], "--", 2) != 0) {
			if (!ended && strcmp(argv[i], "-h") == 0) {
				a.help = true;
			} else if (!ended && strcmp(argv[i], "-o") == 0) {
				err = option_parse(&a, "output", i + 1 < argc ? argv[i + 1] : NULL, &used, why, why_size);
				i += !err && used;
			} else {
				a.words[a.n_words++] = argv[i];
			}
		} else if (argv[i][2] == '\0') {
			ended = true;
		} else {
			err = option_parse(&a, argv[i] + 2, i + 1 < argc ? argv[i + 1] : NULL, &used, why, why_size);
			i += !err && used;
		}
	}
	if (err) {
		ctl_args_free(&a);
		return err;
	}
	*out = a;
	return CEIR_OK;
}

void ctl_args_free(struct ctl_args *a)
{
	free(a->words);
	free(a->options);
	a->words = NULL;
	a->options = NULL;
}

const char *ctl_args_next(struct ctl_args *a, const char *name, size_t *at)
{
	for (; *at < a->n_options; (*at)++) {
		struct ctl_option *o = &a->options[*at];
		if (is_named(o->name, o->name_n, name)) {
			o->taken = true;
			(*at)++;
			return o->value;
		}
	}
	return NULL;
}

const char *ctl_args_value(struct ctl_args *a, const char *name)
{
	const char *value = NULL, *next;
	size_t at = 0;

	while ((next = ctl_args_next(a, name, &at)))
		value = next;
	return value;
}

bool ctl_args_flag(struct ctl_args *a, const char *name)
{
	return ctl_args_value(a, name) != NULL;
}

const struct ctl_option *ctl_args_unknown(const struct ctl_args *a)
{
	for (size_t i = 0; i < a->n_options; i++)
		if (!a->options[i].taken)
			return &a->options[i];
	return NULL;
}

/* *text begins behind an opening quote: the text up to the closing one, "" for a quote. */
static enum ceir_err quoted(struct str *text, struct arena *arena, struct str *out)
{
	char *copy = arena_alloc(arena, text->n + 1);
	size_t n = 0, i = 0;

	if (!copy)
		return CEIR_ENOMEM;
	for (; i < text->n; i++) {
		if (text->p[i] == '"') {
			if (i + 1 == text->n || text->p[i + 1] != '"')
				break;
			i++;
		}
		copy[n++] = text->p[i];
	}
	if (i == text->n) /* never closed */
		return CEIR_EINVAL;
	i++;
	if (i < text->n && text->p[i] != ',')
		return CEIR_EINVAL;
	i += i < text->n;
	*text = (struct str){text->p + i, text->n - i};
	*out = (struct str){copy, n};
	return CEIR_OK;
}

enum ceir_err ctl_args_pair(struct str *text, struct arena *arena, struct str *name, struct str *value)
{
	const char *equals;

	if (text->n == 0)
		return CEIR_ENOENT;
	equals = memchr(text->p, '=', text->n);
	if (!equals || equals == text->p)
		return CEIR_EINVAL;
	*name = str_trim((struct str){text->p, (size_t)(equals - text->p)});
	*text = (struct str){equals + 1, text->n - (size_t)(equals + 1 - text->p)};
	if (text->n > 0 && text->p[0] == '"') {
		*text = (struct str){text->p + 1, text->n - 1};
		return quoted(text, arena, value);
	}
	if (!str_cut(text, ',', value))
		*value = (struct str){"", 0};
	return CEIR_OK;
}

enum ceir_err ctl_args_filter(struct str text, struct str *field, const char **op, struct str *value)
{
	/* Longer signs first: "<" is the beginning of "<=". */
	static const struct {
		const char *sign, *name;
	} signs[] = {{"!=", "ne"}, {"<=", "le"}, {">=", "ge"}, {"=", "eq"}, {"<", "lt"}, {">", "gt"}, {"^", "prefix"}};

	size_t at = 0;
	while (at < text.n && !strchr("!<>=^", text.p[at]))
		at++;
	for (size_t i = 0; i < CEIR_COUNT(signs); i++) {
		struct str rest = {text.p + at, text.n - at};
		if (!str_starts(rest, str_of(signs[i].sign)))
			continue;
		size_t n = strlen(signs[i].sign);
		*field = str_trim((struct str){text.p, at});
		*op = signs[i].name;
		*value = str_trim((struct str){rest.p + n, rest.n - n});
		return field->n ? CEIR_OK : CEIR_EINVAL;
	}
	return CEIR_EINVAL;
}

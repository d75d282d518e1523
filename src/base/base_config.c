/*
 * base_config.c - ceir.conf: one static table of settings, read by the parser, by `init` and by the documentation.
 *
 *   # comment            ; comment
 *   [section]
 *   name = value         the value is the rest of the line without the spaces around it; it may be empty
 *
 * There is no quoting and no comment behind a value: what stands behind "=" is the value.
 */
#include "base/base.h"

#include <stdlib.h>
#include <string.h>

#define FILE_MAX_BYTES ((size_t)1 << 20)
#define SHOWN_BYTES 60 /* of a stranger's text, in an error */

struct value {
	char *text;
	int64_t number; /* SETTING_INT, and 0 or 1 of SETTING_BOOL */
	bool in_file;   /* set by the file being parsed: once is enough */
};

struct config {
	const struct setting *table;
	size_t count;
	struct value *values; /* one per row of the table */
};

/* What is wrong with a value, without the place; the caller puts that before it. */
struct complaint {
	char text[256];
};

static bool bool_parse(struct str s, int64_t *number)
{
	static const struct {
		const char *word;
		int64_t number;
	} words[] = {{"yes", 1}, {"no", 0}, {"true", 1}, {"false", 0}, {"on", 1}, {"off", 0}};

	for (size_t i = 0; i < CEIR_COUNT(words); i++) {
		if (str_eq_c(s, words[i].word)) {
			*number = words[i].number;
			return true;
		}
	}
	return false;
}

static bool int_parse(struct str s, int64_t min, int64_t max, int64_t *number)
{
	bool negative = s.n > 0 && s.p[0] == '-';
	uint64_t magnitude;
	int64_t n;

	if (negative)
		s = (struct str){s.p + 1, s.n - 1};
	if (str_u64(s, INT64_MAX, &magnitude) != CEIR_OK)
		return false;
	n = negative ? -(int64_t)magnitude : (int64_t)magnitude;
	if (n < min || n > max)
		return false;
	*number = n;
	return true;
}

static int shown(struct str s)
{
	return (int)(s.n < SHOWN_BYTES ? s.n : SHOWN_BYTES);
}

static enum ceir_err value_set(struct config *c, size_t row, struct str text, struct complaint *why)
{
	const struct setting *s = &c->table[row];
	struct value *v = &c->values[row];
	int64_t number = 0;
	char *copy;

	if (s->type == SETTING_INT && !int_parse(text, s->min, s->max, &number)) {
		snprintf(why->text, sizeof(why->text), "%s expects a number from %lld to %lld, not \"%.*s\"", s->key,
			(long long)s->min, (long long)s->max, shown(text), text.n > 0 ? text.p : "");
		return CEIR_EINVAL;
	}
	if (s->type == SETTING_BOOL && !bool_parse(text, &number)) {
		snprintf(why->text, sizeof(why->text), "%s expects yes or no, not \"%.*s\"", s->key, shown(text),
			text.n > 0 ? text.p : "");
		return CEIR_EINVAL;
	}
	copy = strndup(text.n > 0 ? text.p : "", text.n);
	if (copy == NULL) {
		snprintf(why->text, sizeof(why->text), "%s", ceir_err_text(CEIR_ENOMEM));
		return CEIR_ENOMEM;
	}
	free(v->text);
	v->text = copy;
	v->number = number;
	return CEIR_OK;
}

struct config *config_new(const struct setting *table)
{
	struct config *c = calloc(1, sizeof(*c));
	struct complaint why;

	if (c == NULL)
		return NULL;
	c->table = table;
	while (table[c->count].key != NULL)
		c->count++;
	c->values = calloc(c->count + 1, sizeof(*c->values));
	if (c->values == NULL)
		goto fail;
	for (size_t i = 0; i < c->count; i++) {
		enum ceir_err err = value_set(c, i, str_of(table[i].def), &why);

		CEIR_ASSERT(err == CEIR_OK || err == CEIR_ENOMEM); /* a default must pass its own check */
		if (err != CEIR_OK)
			goto fail;
	}
	return c;
fail:
	config_free(c);
	return NULL;
}

void config_free(struct config *c)
{
	if (c == NULL)
		return;
	for (size_t i = 0; c->values != NULL && i < c->count; i++)
		free(c->values[i].text);
	free(c->values);
	free(c);
}

static bool row_find(const struct config *c, struct str key, size_t *row)
{
	for (size_t i = 0; i < c->count; i++) {
		if (str_eq_c(key, c->table[i].key)) {
			*row = i;
			return true;
		}
	}
	return false;
}

/* A key of the table is section "." name. */
static bool key_is(const char *key, struct str section, struct str name)
{
	return str_starts(str_of(key), section) && key[section.n] == '.' && str_eq_c(name, key + section.n + 1);
}

static bool section_exists(const struct config *c, struct str section)
{
	for (size_t i = 0; i < c->count; i++) {
		const char *key = c->table[i].key;

		if (str_starts(str_of(key), section) && key[section.n] == '.')
			return true;
	}
	return false;
}

static enum ceir_err line_section(const struct config *c, struct str line, struct str *section, struct complaint *why)
{
	struct str name;

	if (line.p[line.n - 1] != ']') {
		snprintf(why->text, sizeof(why->text), "expected ] at the end of a section's line");
		return CEIR_EINVAL;
	}
	name = str_trim((struct str){line.p + 1, line.n - 2});
	if (name.n == 0 || !section_exists(c, name)) {
		snprintf(why->text, sizeof(why->text), "there is no section [%.*s]", shown(name), name.p);
		return CEIR_EINVAL;
	}
	*section = name;
	return CEIR_OK;
}

static enum ceir_err line_setting(struct config *c, struct str line, struct str section, struct complaint *why)
{
	struct str rest = line, name;

	if (memchr(line.p, '=', line.n) == NULL) {
		snprintf(why->text, sizeof(why->text), "expected key = value, [section] or a comment");
		return CEIR_EINVAL;
	}
	if (section.n == 0) {
		snprintf(why->text, sizeof(why->text), "expected a [section] before the first key");
		return CEIR_EINVAL;
	}
	(void)str_cut(&rest, '=', &name);
	name = str_trim(name);
	for (size_t i = 0; i < c->count; i++) {
		if (!key_is(c->table[i].key, section, name))
			continue;
		if (c->values[i].in_file) {
			snprintf(why->text, sizeof(why->text), "%s is set a second time", c->table[i].key);
			return CEIR_EINVAL;
		}
		c->values[i].in_file = true;
		return value_set(c, i, str_trim(rest), why);
	}
	snprintf(
		why->text, sizeof(why->text), "section [%.*s] has no key \"%.*s\"", shown(section), section.p, shown(name), name.p);
	return CEIR_EINVAL;
}

static enum ceir_err line_parse(struct config *c, struct str line, struct str *section, struct complaint *why)
{
	if (!str_is_utf8(line)) {
		snprintf(why->text, sizeof(why->text), "expected UTF-8 text without NUL bytes");
		return CEIR_EINVAL;
	}
	line = str_trim(line);
	if (line.n == 0 || line.p[0] == '#' || line.p[0] == ';')
		return CEIR_OK;
	if (line.p[0] == '[')
		return line_section(c, line, section, why);
	return line_setting(c, line, *section, why);
}

enum ceir_err config_parse(struct config *c, struct str text, const char *name, char *why, size_t why_size)
{
	struct str section = {NULL, 0}, line;
	struct complaint complaint;
	unsigned number = 0;

	for (size_t i = 0; i < c->count; i++)
		c->values[i].in_file = false;
	if (str_starts(text, STR("\xef\xbb\xbf"))) /* the byte order mark some editors write */
		text = (struct str){text.p + 3, text.n - 3};
	while (str_cut(&text, '\n', &line)) {
		enum ceir_err err;

		number++;
		err = line_parse(c, line, &section, &complaint);
		if (err != CEIR_OK) {
			snprintf(why, why_size, "%s:%u: %s", name, number, complaint.text);
			return err;
		}
	}
	return CEIR_OK;
}

enum ceir_err config_load(struct config *c, const char *path, char *why, size_t why_size)
{
	struct buf text = BUF_INIT(0);
	enum ceir_err err = file_read(path, FILE_MAX_BYTES, &text);

	if (err != CEIR_OK)
		snprintf(why, why_size, "%s: %s", path, err == CEIR_ELIMIT ? "larger than 1 MiB" : ceir_err_text(err));
	else
		err = config_parse(c, buf_view(&text), path, why, why_size);
	buf_free(&text);
	return err;
}

enum ceir_err config_set(struct config *c, struct str assignment, char *why, size_t why_size)
{
	struct str rest = assignment, key;
	struct complaint complaint;
	enum ceir_err err;
	size_t row;

	if (assignment.n == 0 || memchr(assignment.p, '=', assignment.n) == NULL || !str_is_utf8(assignment)) {
		snprintf(why, why_size, "expected section.key=value, not \"%.*s\"", shown(assignment),
			assignment.n > 0 ? assignment.p : "");
		return CEIR_EINVAL;
	}
	(void)str_cut(&rest, '=', &key);
	key = str_trim(key);
	if (!row_find(c, key, &row)) {
		snprintf(why, why_size, "there is no setting \"%.*s\"", shown(key), key.p);
		return CEIR_EINVAL;
	}
	err = value_set(c, row, str_trim(rest), &complaint);
	if (err != CEIR_OK)
		snprintf(why, why_size, "%s", complaint.text);
	return err;
}

static const struct value *value_get(const struct config *c, const char *key, enum setting_type type)
{
	size_t row = 0;

	CEIR_ASSERT(row_find(c, str_of(key), &row));
	CEIR_ASSERT(c->table[row].type == type);
	return &c->values[row];
}

const char *config_text(const struct config *c, const char *key)
{
	return value_get(c, key, SETTING_TEXT)->text;
}

int64_t config_int(const struct config *c, const char *key)
{
	return value_get(c, key, SETTING_INT)->number;
}

bool config_bool(const struct config *c, const char *key)
{
	return value_get(c, key, SETTING_BOOL)->number != 0;
}

void config_print(const struct setting *table, struct buf *out)
{
	struct str section = {NULL, 0};

	for (const struct setting *s = table; s->key != NULL; s++) {
		struct str name = str_of(s->key), comment = str_of(s->comment), line, this_section;

		(void)str_cut(&name, '.', &this_section);
		if (!str_eq(section, this_section)) {
			section = this_section;
			buf_printf(out, "%s[%.*s]\n", s == table ? "" : "\n", (int)section.n, section.p);
		} else {
			buf_char(out, '\n');
		}
		while (str_cut(&comment, '\n', &line))
			buf_printf(out, "# %.*s\n", (int)line.n, line.p);
		buf_printf(out, "%.*s =%s%s\n", (int)name.n, name.p, s->def[0] == '\0' ? "" : " ", s->def);
	}
}

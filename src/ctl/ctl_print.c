/*
 * ctl_print.c - answers for people: aligned fields, tables; and as JSON lines. Works on the tree of ctl_answer.h.
 */
#include "ctl/ctl_answer.h"

#include <stdlib.h>
#include <string.h>

#define INDENT 2
#define COLUMNS_MAX 32

void ctl_print_text(FILE *to, const char *text)
{
	for (const unsigned char *p = (const unsigned char *)text; *p; p++) {
		/* C0, DEL, and C1 (which UTF-8 writes as C2 80..9F): some terminals obey them. */
		bool c1 = p[0] == 0xC2 && p[1] >= 0x80 && p[1] <= 0x9F;
		fputc(*p < 0x20 || *p == 0x7F || c1 ? '?' : *p, to);
		p += c1;
	}
}

/* Columns a text takes: its characters. Wide scripts are not among a register's data. */
static size_t width_of(const char *text)
{
	size_t n = 0;

	for (; *text; text++)
		n += ((unsigned char)*text & 0xC0) != 0x80;
	return n;
}

static void pad(FILE *to, size_t n)
{
	while (n-- > 0)
		fputc(' ', to);
}

/* A value as one text, in memory of the caller (free). Lists are joined by spaces, groups counted. */
static char *value_text(const json_t *v)
{
	struct buf b = BUF_INIT(0);
	size_t i;
	json_t *e;

	if (json_is_string(v)) {
		buf_c(&b, json_string_value(v));
	} else if (json_is_integer(v)) {
		buf_u64(&b, (uint64_t)json_integer_value(v));
	} else if (json_is_boolean(v)) {
		buf_c(&b, json_is_true(v) ? "yes" : "no");
	} else if (json_is_array(v)) {
		json_array_foreach((json_t *)(uintptr_t)v, i, e)
		{
			if (json_is_object(e)) {
				buf_clear(&b);
				buf_printf(&b, "(%zu)", json_array_size(v));
				break;
			}
			buf_c(&b, i ? " " : "");
			buf_c(&b, json_string_value(e) ? json_string_value(e) : "");
		}
	}
	buf_char(&b, '\0');
	return b.failed ? (buf_free(&b), NULL) : b.p;
}

static void print_line(FILE *to, const char *key, const char *value, size_t indent, size_t width)
{
	pad(to, indent);
	ctl_print_text(to, key);
	fputc(':', to);
	pad(to, width + 2 - width_of(key));
	ctl_print_text(to, value);
	fputc('\n', to);
}

/* Values of a field that repeats, one below the other. */
static void print_list(FILE *to, const char *key, const json_t *list, size_t indent, size_t width)
{
	size_t i;
	json_t *e;

	json_array_foreach((json_t *)(uintptr_t)list, i, e)
	{
		char *text = value_text(e);
		if (i == 0) {
			print_line(to, key, text ? text : "", indent, width);
		} else {
			pad(to, indent + width + 3);
			ctl_print_text(to, text ? text : "");
			fputc('\n', to);
		}
		free(text);
	}
}

static void print_level(FILE *to, const json_t *object, size_t indent);

static void print_group(FILE *to, const char *key, const json_t *group, size_t indent)
{
	pad(to, indent);
	ctl_print_text(to, key);
	fputs(":\n", to);
	print_level(to, group, indent + INDENT);
}

static void print_level(FILE *to, const json_t *object, size_t indent)
{
	json_t *o = (json_t *)(uintptr_t)object, *v, *e;
	const char *key;
	size_t i, width = 0;

	json_object_foreach(o, key, v) width = width_of(key) > width ? width_of(key) : width;
	json_object_foreach(o, key, v)
	{
		if (json_is_object(v)) {
			print_group(to, key, v, indent);
		} else if (json_is_array(v) && json_is_object(json_array_get(v, 0))) {
			json_array_foreach(v, i, e) print_group(to, key, e, indent);
		} else if (json_is_array(v)) {
			print_list(to, key, v, indent, width);
		} else {
			char *text = value_text(v);
			print_line(to, key, text ? text : "", indent, width);
			free(text);
		}
	}
}

void ctl_print_fields(FILE *to, const json_t *object)
{
	print_level(to, object, 0);
}

/* ---- tables ----------------------------------------------------------------------------------------------------------- */

/* A column is a key, or key.key of a group. */
struct column {
	const char *key, *inner;
	size_t width;
};

static const json_t *cell(const struct column *c, const json_t *row)
{
	const json_t *v = json_object_get(row, c->key);
	return c->inner ? json_object_get(v, c->inner) : v;
}

/* "reason", or "state.reason" for a field of a group. */
static char *heading(const struct column *c)
{
	struct buf b = BUF_INIT(0);

	buf_c(&b, c->key);
	buf_c(&b, c->inner ? "." : "");
	buf_c(&b, c->inner ? c->inner : "");
	buf_char(&b, '\0');
	return b.failed ? (buf_free(&b), NULL) : b.p;
}

static size_t width_free(char *text)
{
	size_t width = text ? width_of(text) : 0;

	free(text);
	return width;
}

static void column_add(struct column *columns, size_t *n, const char *key, const char *inner, const json_t *v)
{
	size_t i = 0, width = width_free(value_text(v));

	while (i < *n && (strcmp(columns[i].key, key) != 0 || (inner != NULL) != (columns[i].inner != NULL) ||
				 (inner && strcmp(columns[i].inner, inner) != 0)))
		i++;
	if (i == COLUMNS_MAX)
		return;
	if (i == *n) {
		columns[(*n)++] = (struct column){key, inner, 0};
		columns[i].width = width_free(heading(&columns[i]));
	}
	if (width > columns[i].width)
		columns[i].width = width;
}

/* row NULL: the headings. */
static void print_row(FILE *to, const struct column *columns, size_t n, const json_t *row)
{
	for (size_t i = 0; i < n; i++) {
		const json_t *v = row ? cell(&columns[i], row) : NULL;
		char *text = v ? value_text(v) : row ? NULL : heading(&columns[i]);
		const char *shown = text ? text : "";

		ctl_print_text(to, shown);
		if (i + 1 < n)
			pad(to, columns[i].width + 2 - width_of(shown));
		free(text);
	}
	fputc('\n', to);
}

void ctl_print_table(FILE *to, const json_t *array, bool headings)
{
	struct column columns[COLUMNS_MAX];
	size_t n = 0, i;
	json_t *row, *v, *inner;
	const char *key, *inner_key;

	json_array_foreach((json_t *)(uintptr_t)array, i, row)
	{
		json_object_foreach(row, key, v)
		{
			if (!json_is_object(v)) {
				column_add(columns, &n, key, NULL, v);
				continue;
			}
			json_object_foreach(v, inner_key, inner) column_add(columns, &n, key, inner_key, inner);
		}
	}
	if (n == 0)
		return;
	if (headings)
		print_row(to, columns, n, NULL);
	json_array_foreach((json_t *)(uintptr_t)array, i, row) print_row(to, columns, n, row);
}

/* ---- answers ---------------------------------------------------------------------------------------------------------- */

static const char *text_of(const json_t *object, const char *key)
{
	const char *s = json_string_value(json_object_get(object, key));
	return s ? s : "";
}

static void print_errors(const json_t *json)
{
	size_t i;
	json_t *e;

	fprintf(stderr, "ceirctl: %u ", ctl_answer_code(json));
	ctl_print_text(stderr, text_of(json, "msg"));
	fputc('\n', stderr);
	json_array_foreach(json_object_get(json, "errors"), i, e)
	{
		fputs("  ", stderr);
		ctl_print_text(stderr, text_of(e, "element"));
		if (*text_of(e, "value")) {
			fputs(" \"", stderr);
			ctl_print_text(stderr, text_of(e, "value"));
			fputc('"', stderr);
		}
		fputs(": ", stderr);
		ctl_print_text(stderr, text_of(e, "reason"));
		fputc('\n', stderr);
	}
	fprintf(stderr, "  svTRID: %s\n", text_of(json, "svTRID"));
}

void ctl_print_answer(const json_t *json)
{
	static const char *const kinds[] = {"create", "info", "renew", "transfer", "pending"};
	const json_t *queue = json_object_get(json, "queue");
	bool said = false;

	if (!ctl_answer_good(json)) {
		print_errors(json);
		return;
	}
	if (queue) {
		ctl_print_fields(stdout, queue);
		said = true;
	}
	if (json_object_get(json, "check")) {
		ctl_print_table(stdout, json_object_get(json, "check"), true);
		said = true;
	}
	for (size_t i = 0; i < CEIR_COUNT(kinds); i++) {
		const json_t *v = json_object_get(json, kinds[i]);
		if (v)
			ctl_print_fields(stdout, v);
		said = said || v;
	}
	if (!said) {
		ctl_print_text(stdout, text_of(json, "msg"));
		fputc('\n', stdout);
	}
}

void ctl_print_json(const json_t *json)
{
	json_dumpf(json, stdout, JSON_COMPACT);
	fputc('\n', stdout);
}

/* exchange_csv_write.c - CSV rows out, and columns by name. */
#include "exchange/exchange.h"

#include <string.h>

static bool is_formula(struct str field)
{
	static const char starts[] = {'=', '+', '-', '@', '\t', '\r'};

	return field.n > 0 && memchr(starts, field.p[0], sizeof(starts)) != NULL;
}

static bool needs_quotes(struct str field, char separator)
{
	for (size_t i = 0; i < field.n; i++) {
		char c = field.p[i];

		if (c == separator || c == '"' || c == '\n' || c == '\r')
			return true;
	}
	return false;
}

static void put_quoted(struct buf *out, struct str field, bool apostrophe)
{
	struct str part;

	buf_char(out, '"');
	if (apostrophe)
		buf_char(out, '\'');
	for (;;) {
		const char *quote = field.n > 0 ? memchr(field.p, '"', field.n) : NULL;

		if (quote == NULL)
			break;
		part = (struct str){field.p, (size_t)(quote - field.p) + 1};
		buf_str(out, part);
		buf_char(out, '"');
		field = (struct str){field.p + part.n, field.n - part.n};
	}
	buf_str(out, field);
	buf_char(out, '"');
}

void csv_put_field(struct buf *out, struct str field, char separator, enum csv_style style)
{
	bool apostrophe = style == CSV_NO_FORMULAS && is_formula(field);

	if (needs_quotes(field, separator)) {
		put_quoted(out, field, apostrophe);
		return;
	}
	if (apostrophe)
		buf_char(out, '\'');
	buf_str(out, field);
}

void csv_put_row(struct buf *out, const struct str *fields, size_t count, char separator, enum csv_style style)
{
	/* A row of one empty field would be a blank line, which readers pass over. */
	bool blank = count == 1 && str_trim(fields[0]).n == 0;

	for (size_t i = 0; i < count; i++) {
		if (i > 0)
			buf_char(out, separator);
		if (blank)
			put_quoted(out, fields[i], style == CSV_NO_FORMULAS && is_formula(fields[i]));
		else
			csv_put_field(out, fields[i], separator, style);
	}
	buf_c(out, "\r\n");
}

static char lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

static bool names_equal(struct str a, struct str b)
{
	if (a.n != b.n)
		return false;
	for (size_t i = 0; i < a.n; i++)
		if (lower(a.p[i]) != lower(b.p[i]))
			return false;
	return true;
}

bool csv_header_find(const struct csv_row *header, const char *name, size_t *column)
{
	for (size_t i = 0; i < header->count; i++) {
		if (names_equal(str_trim(header->fields[i]), str_of(name))) {
			*column = i;
			return true;
		}
	}
	return false;
}

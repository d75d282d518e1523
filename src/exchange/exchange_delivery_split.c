/* exchange_delivery_split.c - the general way: a line of a delivery into fields, and what its columns are called. */
#include "exchange/exchange_delivery.h"

#include <string.h>

static const struct {
	const char *name;
	enum delivery_column column;
} names[] = {
	{"imei", COLUMN_IMEI},
	{"imsi", COLUMN_IMSI},
	{"msisdn", COLUMN_MSISDN},
	{"phone", COLUMN_MSISDN},
	{"number", COLUMN_MSISDN},
	{"time", COLUMN_TIME},
	{"date", COLUMN_TIME},
	{"timestamp", COLUMN_TIME},
	{"last_seen", COLUMN_TIME},
	{"event", COLUMN_EVENT},
	{"rat", COLUMN_RAT},
	{"cell", COLUMN_CELL},
	{"location", COLUMN_CELL},
	{"cgi", COLUMN_CELL},
};

struct str delivery_column_name(enum delivery_column column)
{
	for (size_t i = 0; i < CEIR_COUNT(names); i++)
		if (names[i].column == column)
			return str_of(names[i].name);
	return (struct str){"", 0};
}

static bool same_name(struct str s, const char *name)
{
	if (s.n != strlen(name))
		return false;
	for (size_t i = 0; i < s.n; i++)
		if ((s.p[i] >= 'A' && s.p[i] <= 'Z' ? s.p[i] - 'A' + 'a' : s.p[i]) != name[i])
			return false;
	return true;
}

enum delivery_column delivery_column_find(struct str name)
{
	for (size_t i = 0; i < CEIR_COUNT(names); i++)
		if (same_name(name, names[i].name))
			return names[i].column;
	return COLUMN_NONE;
}

char delivery_separator_find(struct str line)
{
	static const char candidates[] = {',', ';', '\t', '|'};
	size_t counts[CEIR_COUNT(candidates)] = {0}, best = 0;
	bool in_quotes = false;

	for (size_t i = 0; i < line.n; i++) {
		in_quotes ^= line.p[i] == '"';
		for (size_t c = 0; c < CEIR_COUNT(candidates) && !in_quotes; c++)
			counts[c] += line.p[i] == candidates[c];
	}
	for (size_t c = 1; c < CEIR_COUNT(candidates); c++)
		if (counts[c] > counts[best])
			best = c;
	return counts[best] > 0 ? candidates[best] : '\0';
}

/* A field that stands in quotes, opened behind *at: "" stands for ". false: never closed, or text behind the closing quote. */
static bool take_quoted(char *text, size_t n, char separator, size_t *at, struct str *field)
{
	size_t from = *at, to = *at, i = *at;

	for (;; i++) {
		if (i == n)
			return false;
		if (text[i] == '"') {
			if (i + 1 == n || text[i + 1] != '"')
				break;
			i++;
		}
		text[to++] = text[i];
	}
	for (i++; i < n && text[i] != separator; i++)
		if (text[i] != ' ' && text[i] != '\t')
			return false;
	*field = str_trim((struct str){text + from, to - from});
	*at = i;
	return true;
}

/* A quote begins the field, after spaces and perhaps the = of a spreadsheet's ="0123"; *at is then behind it. */
static bool opens_quotes(const char *text, size_t n, size_t *at)
{
	size_t i = *at;

	while (i < n && text[i] == ' ')
		i++;
	if (i < n && text[i] == '=')
		i++;
	if (i == n || text[i] != '"')
		return false;
	*at = i + 1;
	return true;
}

enum delivery_fault delivery_split(char *text, size_t n, char separator, struct delivery_line *out)
{
	size_t at = 0;

	for (out->count = 0; out->count < DELIVERY_FIELDS; out->count++) {
		struct str *field = &out->fields[out->count];

		if (opens_quotes(text, n, &at)) {
			if (!take_quoted(text, n, separator, &at, field))
				return DELIVERY_QUOTE;
		} else {
			const char *from = text + at, *to = n > at ? memchr(from, separator, n - at) : NULL;

			if (to == NULL)
				to = text + n;
			*field = str_trim((struct str){from, (size_t)(to - from)});
			at = (size_t)(to - text);
		}
		if (at == n) {
			out->count++;
			return DELIVERY_GOOD;
		}
		at++;
	}
	return DELIVERY_COLUMNS;
}

enum delivery_fault delivery_split_plain(struct str text, char separator, struct delivery_line *out)
{
	const char *from = text.p, *end = text.p + text.n;

	for (out->count = 0; out->count < DELIVERY_FIELDS;) {
		const char *to = memchr(from, separator, (size_t)(end - from));

		if (to == NULL)
			to = end;
		out->fields[out->count++] = str_trim((struct str){from, (size_t)(to - from)});
		if (to == end)
			return DELIVERY_GOOD;
		from = to + 1;
	}
	return DELIVERY_COLUMNS;
}

/*
 * exchange_table_read_number.c - numbers and dates of spreadsheets, which keep both as a double.
 *
 * 15 decimal digits survive a double and a spreadsheet's own rounding; what shows more has been rounded somewhere, and is no identity number any more.
 * 0.30000000000000004 is not meant: what differs from its 15 digits by the noise of computing stands for those 15 digits.
 */
#include "exchange/exchange_table_sheet.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define DIGITS 15
#define NOISE_ULPS 2
#define DECIMALS_MAX 40
#define DAY_S 86400
#define DAYS_1904 1462    /* 1904-01-01 in days of the other system */
#define DAYS_UNIX 25569   /* 1970-01-01 likewise */
#define DAYS_MAX 2958465  /* 9999-12-31 */
#define DAY_NEVER 60      /* 1900-02-29: kept for the sake of Lotus 1-2-3 */

/* Zeros behind the decimal point, and the point itself. */
static void strip_zeros(char *text)
{
	size_t n = strlen(text);

	if (strchr(text, '.') == NULL)
		return;
	while (text[n - 1] == '0')
		n--;
	n -= text[n - 1] == '.';
	text[n] = '\0';
	if (strcmp(text, "-0") == 0)
		memcpy(text, "0", 2);
}

enum table_fault table_number_text(double v, char out[TABLE_NUMBER_BYTES])
{
	char text[TABLE_NUMBER_BYTES] = "#NUM!";
	enum table_fault fault = TABLE_FAULT_CELL;
	double size = fabs(v);
	int decimals;

	if (size >= 1e15 && isfinite(v)) {
		snprintf(text, sizeof(text), size < 1e30 ? "%.0f" : "%.14e", v);
		fault = TABLE_FAULT_PRECISION;
	} else if (isfinite(v)) {
		snprintf(text, sizeof(text), "%.*e", DIGITS - 1, v);
		decimals = DIGITS - 1 - atoi(strchr(text, 'e') + 1);
		decimals = decimals < 0 ? 0 : decimals > DECIMALS_MAX ? DECIMALS_MAX : decimals;
		snprintf(text, sizeof(text), "%.*f", decimals, v);
		strip_zeros(text);
		fault = fabs(strtod(text, NULL) - v) > NOISE_ULPS * (nextafter(size, INFINITY) - size) ? TABLE_FAULT_PRECISION : TABLE_GOOD;
	}
	memcpy(out, text, sizeof(text));
	return fault;
}

/* Digits that are their own text. */
static bool is_plain(struct str s)
{
	if (s.n == 0 || s.n > DIGITS || (s.p[0] == '0' && s.n > 1))
		return false;
	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] < '0' || s.p[i] > '9')
			return false;
	return true;
}

enum table_fault table_number_parse(struct str text, double *value, char out[TABLE_NUMBER_BYTES])
{
	char copy[TABLE_NUMBER_BYTES], *end;
	bool plain;

	text = str_trim(text);
	plain = is_plain(text);
	if (text.n == 0 || text.n >= sizeof(copy) || memchr(text.p, '\0', text.n) != NULL) {
		memcpy(out, "#NUM!", 6);
		return TABLE_FAULT_CELL;
	}
	memcpy(copy, text.p, text.n);
	copy[text.n] = '\0';
	*value = strtod(copy, &end);
	if (plain) {
		memcpy(out, copy, text.n + 1);
		return TABLE_GOOD;
	}
	if (*end != '\0' || strpbrk(copy, "xXpP") != NULL) { /* no hexadecimal */
		memcpy(out, copy, text.n + 1);
		return TABLE_FAULT_CELL;
	}
	return table_number_text(*value, out);
}

enum table_fault table_date_text(double serial, bool from_1904, enum table_cell_type *type, char out[TABLE_NUMBER_BYTES])
{
	char day_text[DATE_MAX];
	long day, s;

	*type = TABLE_DATE;
	table_number_text(serial, out);
	if (!(serial >= 0 && serial < DAYS_MAX + 1.0))
		return TABLE_FAULT_CELL;
	day = (long)floor(serial);
	s = lround((serial - (double)day) * DAY_S);
	if (day == 0 && s > 0 && s < DAY_S) {
		*type = TABLE_TEXT;
		snprintf(out, TABLE_NUMBER_BYTES, "%02ld:%02ld:%02ld", s / 3600, s / 60 % 60, s % 60);
		return TABLE_GOOD;
	}
	day += s / DAY_S;
	s %= DAY_S;
	if (from_1904)
		day += DAYS_1904;
	else if (day == DAY_NEVER)
		return TABLE_FAULT_CELL;
	else if (day < DAY_NEVER)
		day++;
	if (day > DAYS_MAX)
		return TABLE_FAULT_CELL;
	date_print((int32_t)(day - DAYS_UNIX), day_text);
	if (s == 0)
		snprintf(out, TABLE_NUMBER_BYTES, "%s", day_text);
	else
		snprintf(out, TABLE_NUMBER_BYTES, "%sT%02ld:%02ld:%02ldZ", day_text, s / 3600, s / 60 % 60, s % 60);
	return TABLE_GOOD;
}

bool table_format_id_is_date(unsigned id)
{
	return (id >= 14 && id <= 22) || (id >= 27 && id <= 36) || (id >= 45 && id <= 47) || (id >= 50 && id <= 58);
}

/* Behind the closing character; n when there is none. */
static size_t skip_to(struct str s, size_t i, char close)
{
	while (i < s.n && s.p[i] != close)
		i++;
	return i < s.n ? i + 1 : i;
}

/* y, m, d or h in the format's first part, outside of quotes, brackets ([Red], [$-419]) and escapes; [h], [mm] are lengths of time, as numbers are. */
bool table_format_is_date(struct str format)
{
	size_t i = 0;

	while (i < format.n && format.p[i] != ';') {
		char c = format.p[i];

		if (c == '"')
			i = skip_to(format, i + 1, '"');
		else if (c == '[')
			i = skip_to(format, i + 1, ']');
		else if (c == '\\' || c == '_' || c == '*')
			i += 2;
		else if (memchr("yYmMdDhH", c, 8) != NULL)
			return true;
		else
			i++;
	}
	return false;
}

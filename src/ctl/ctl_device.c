/*
 * ctl_device.c - see ctl_application.h.
 */
#include "ctl/ctl_application.h"

#include "ctl/ctl_xml.h"

void ctl_columns_find(const struct csv_row *first, struct ctl_columns *out)
{
	static const char *const names[] = {"imei1", "imei2", "imei3", "imei4", "imei5"};

	*out = (struct ctl_columns){.n = 0};
	if (csv_header_find(first, "imei", &out->at[0]))
		out->n = 1;
	for (size_t i = 0; i < CEIR_COUNT(names); i++)
		if (out->n < CTL_DEVICE_IMEIS && csv_header_find(first, names[i], &out->at[out->n]))
			out->n++;
	out->headed = out->n > 0;
}

/* XML 1.0 has no room for control characters, not even written as references. */
static bool can_be_sent(struct str s)
{
	for (size_t i = 0; i < s.n; i++) {
		unsigned char c = (unsigned char)s.p[i];
		/* EF BF BE and EF BF BF: U+FFFE and U+FFFF. */
		bool nonchar = c == 0xEF && i + 2 < s.n && (unsigned char)s.p[i + 1] == 0xBF && (unsigned char)s.p[i + 2] >= 0xBE;
		if ((c < 0x20 && c != '\t' && c != '\n' && c != '\r') || nonchar)
			return false;
	}
	return true;
}

const char *ctl_row_device(const struct ctl_columns *c, const struct csv_row *row, struct str imeis[CTL_DEVICE_IMEIS], unsigned *n)
{
	size_t count = c->headed ? c->n : row->count;

	*n = 0;
	for (size_t i = 0; i < count; i++) {
		size_t column = c->headed ? c->at[i] : i;
		struct str value = column < row->count ? str_trim(row->fields[column]) : STR("");
		if (value.n == 0)
			continue;
		if (*n == CTL_DEVICE_IMEIS)
			return "more than 5 IMEIs for one device";
		if (value.n > CTL_IMEI_MAX_BYTES)
			return "longer than 64 bytes";
		if (!can_be_sent(value))
			return "a control character, which XML cannot carry";
		imeis[(*n)++] = value;
	}
	return *n ? NULL : "no IMEI in this row";
}

void ctl_device_put(struct buf *b, const struct str *imeis, unsigned n)
{
	if (n > 1)
		buf_c(b, "<device>");
	for (unsigned i = 0; i < n; i++)
		ctl_xml_element(b, NULL, "imei", imeis[i]);
	if (n > 1)
		buf_c(b, "</device>");
}

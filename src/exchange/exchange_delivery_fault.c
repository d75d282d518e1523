/* exchange_delivery_fault.c - faults of deliveries by code and text, and the report of what was not taken as it came. */
#include "exchange/exchange_delivery.h"

static const struct {
	const char *code, *text;
	bool refuses;
} faults[DELIVERY_FAULTS] = {
	[DELIVERY_GOOD] = {"good", N_("the line is well formed"), false},
	[DELIVERY_IMEI_EMPTY] = {"imei-empty", N_("the IMEI is empty"), true},
	[DELIVERY_IMEI_MALFORMED] = {"imei-malformed", N_("this is no IMEI of 14 to 16 digits; the sighting is kept all the same"),
		false},
	[DELIVERY_IMEI_SUSPICIOUS] = {"imei-suspicious", N_("the last digit of the IMEI is neither 0 nor its check digit"), false},
	[DELIVERY_IMSI_EMPTY] = {"imsi-empty", N_("the IMSI is empty"), true},
	[DELIVERY_IMSI_BAD] = {"imsi-bad", N_("expected an IMSI of 14 or 15 digits"), true},
	[DELIVERY_MSISDN_BAD] = {"msisdn-bad", N_("expected an MSISDN of 5 to 15 digits with its country code, or nothing"), true},
	[DELIVERY_TIME_BAD] = {"time-bad",
		N_("expected a date as 2026-11-24 or 20261124, a time as 2026-11-24T18:30:00Z, or seconds since 1970"), true},
	[DELIVERY_TIME_FUTURE] = {"time-future", N_("the time lies more than a day ahead"), true},
	[DELIVERY_EVENT_BAD] = {"event-bad", N_("the event is not known; the sighting is taken without it"), false},
	[DELIVERY_RAT_BAD] = {"rat-bad", N_("the radio access technology is not known; the sighting is taken without it"), false},
	[DELIVERY_CELL_BAD] = {"cell-bad",
		N_("expected at most 31 printable ASCII characters; the sighting is taken without its cell"), false},
	[DELIVERY_COLUMNS] = {"columns", N_("the line has another number of fields than the header or the first line"), true},
	[DELIVERY_QUOTE] = {"quote", N_("a quotation mark is not closed in its line, or text follows the closing one"), true},
	[DELIVERY_TOO_LONG] = {"too-long", N_("the line is longer than 64 KiB"), true},
	[DELIVERY_EXPONENT] = {"imei-exponent",
		N_("a spreadsheet has turned the IMEI into a number such as 3.52106E+14 and its digits are lost; "
		   "format the column as text"),
		true},
};

const char *delivery_fault_code(unsigned fault)
{
	return fault < DELIVERY_FAULTS ? faults[fault].code : NULL;
}

const char *delivery_fault_text(unsigned fault)
{
	return fault < DELIVERY_FAULTS ? faults[fault].text : NULL;
}

bool delivery_fault_refuses(unsigned fault)
{
	return fault < DELIVERY_FAULTS && faults[fault].refuses;
}

/* What is no UTF-8, a NUL included, becomes U+FFFD: the report is text whatever the delivery was. */
static void put_text(struct buf *out, struct str s)
{
	while (s.n > 0) {
		size_t n = str_utf8_len(s);
		size_t step = n > 0 ? n : 1;

		if (n == 0 || s.p[0] == '\0')
			buf_c(out, "\xef\xbf\xbd");
		else
			buf_put(out, s.p, n);
		s = (struct str){s.p + step, s.n - step};
	}
}

void delivery_reject_print(struct buf *out, size_t lang, const struct delivery_reject *reject)
{
	char line[24];
	struct buf raw = BUF_INIT(0);
	struct str fields[5];

	if (reject == NULL) {
		buf_c(out, "line,field,code,reason,original\r\n");
		return;
	}
	CEIR_ASSERT((unsigned)reject->fault < DELIVERY_FAULTS);
	snprintf(line, sizeof(line), "%llu", (unsigned long long)reject->line);
	put_text(&raw, reject->raw);
	fields[0] = str_of(line);
	fields[1] = reject->field;
	fields[2] = str_of(faults[reject->fault].code);
	fields[3] = str_of(i18n_text(lang, faults[reject->fault].text));
	fields[4] = buf_view(&raw);
	csv_put_row(out, fields, CEIR_COUNT(fields), ',', CSV_NO_FORMULAS);
	out->failed |= raw.failed;
	buf_free(&raw);
}

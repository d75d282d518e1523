/*
 * Deliveries in CSV. A file is written here as one string and what the reader made of it as another, in the notation of
 * exchange_delivery_world.h. Each file is read whole and cut into pieces of every small size.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "exchange/exchange_delivery.h"
#include "exchange_delivery_world.h"

/* expected: rows first, then reports, since rows are handed over later. */
static struct delivery_counts expect_n(struct str file, const char *rows, const char *rejects)
{
	struct delivery_counts counts = {0};

	for (size_t piece = 1; piece <= file.n + 1; piece += piece < 20 ? 1 : file.n) {
		struct seen seen = {.text = BUF_INIT(0), .raw = BUF_INIT(0)};
		struct buf all = BUF_INIT(0);
		const char *why;

		assert_int_equal(world_read(file, piece, &seen, &counts, &why), CEIR_OK);
		buf_c(&all, rejects);
		buf_c(&all, *rejects == '\0' ? "" : " ");
		buf_c(&all, rows);
		buf_c(&all, *rows == '\0' ? "" : " ");
		if (!str_eq(buf_view(&seen.text), buf_view(&all)))
			fail_msg("pieces of %zu: got %.*s, expected %.*s", piece, (int)seen.text.n,
				seen.text.n == 0 ? "" : seen.text.p, (int)all.n, all.n == 0 ? "" : all.p);
		buf_free(&all);
		buf_free(&seen.text);
		buf_free(&seen.raw);
	}
	return counts;
}

static struct delivery_counts expect(const char *file, const char *rows, const char *rejects)
{
	return expect_n(str_of(file), rows, rejects);
}

static void expect_unreadable(struct str file, const char *why_part)
{
	for (size_t piece = 1; piece <= file.n + 1; piece += piece < 20 ? 1 : file.n) {
		struct seen seen = {.text = BUF_INIT(0), .raw = BUF_INIT(0)};
		struct delivery_counts counts;
		const char *why;

		assert_int_equal(world_read(file, piece, &seen, &counts, &why), CEIR_EINVAL);
		assert_non_null(strstr(why, why_part));
		buf_free(&seen.text);
		buf_free(&seen.raw);
	}
}

static void plain_lines(void **state)
{
	struct delivery_counts c;

	(void)state;
	expect("", "", "");
	expect("\n\r\n  \n", "", "");
	c = expect(LINE_A "\n", ROW_A, "");
	assert_int_equal(c.lines, 1);
	expect(LINE_A, ROW_A, "");
	expect(LINE_A "\r\n" LINE_A, ROW_A " " ROW_A, "");
	expect("\xef\xbb\xbf" LINE_A "\n", ROW_A, "");
	expect("352106050544203,255011234567890,+380501234567\n3521060505442012,25501123456789,\n", ROW_A " " A "/25501123456789/",
		"");
	expect("\n" LINE_A "\n\n" A ",x,\n", ROW_A, "!4:imsi:imsi-bad!");
	/* Two columns are enough. */
	expect(A ",255011234567890\n", A "/255011234567890/", "");
}

static void separators_and_quotes(void **state)
{
	(void)state;
	expect(A ";255011234567890;380501234567\n", ROW_A, "");
	expect(A "\t255011234567890\t\n" A "\t255011234567890\t380501234567\n", A "/255011234567890/ " ROW_A, "");
	expect(A "|255011234567890|380501234567\n", ROW_A, "");
	expect("sep=;\r\nimei;imsi;msisdn\r\n" A ";255011234567890;380501234567\r\n", ROW_A, "");
	expect("\"" A "\",\"255011234567890\", \"380501234567\" \n", ROW_A, "");
	expect("=\"" A "\",=\"255011234567890\",380501234567\n" LINE_A, ROW_A " " ROW_A, "");
	expect("  " A " , 255011234567890 ,\t380501234567  \n" LINE_A "\n", ROW_A " " ROW_A, "");
	expect("imei,imsi,msisdn,cell\n" LINE_A ",\"a, \"\"b\"\"\"\n", ROW_A ",[a, \"b\"]", "");
	/* A quote that is not closed costs its own line. */
	expect("imei,imsi,msisdn\n\"" LINE_A "\n" LINE_A "\n" A ",\"255011234567890\"x,\n", ROW_A, "!2:imei:quote! !4:imsi:quote!");
}

static void headers(void **state)
{
	(void)state;
	expect("IMSI;Phone;Imei\n255011234567890;380501234567;" A "\n", ROW_A, "");
	expect("date,imei,imsi,msisdn,rat\n20261124," LINE_A ",006\n20261124," LINE_A ",006\n20261123," LINE_A ",002\n",
		ROW_A "@1795478400,lte " ROW_A "@1795478400,lte " ROW_A "@1795392000,gsm", "");
	expect("imei,remark,imsi,number,timestamp,event,location\n" A
	       ",whatever,255011234567890,380501234567,1700000000,Attach,255-01-7\n",
		ROW_A "@1700000000,attach,[255-01-7]", "");
	expect("\"imei\" ,imsi,last_seen,CGI\n" A ",255011234567890,,\n", A "/255011234567890/", "");
	expect("imei,imsi\n", "", "");
	/* A title above the header, or lines that cannot be rows, cost themselves. */
	expect("Subscribers of 24.11.2026\nimei,imsi,msisdn\n" LINE_A "\n", ROW_A, "!1::columns!");
	expect("1\n" LINE_A "\n", ROW_A, "!1::columns!");
	expect("imei,imsi,msisdn\n" LINE_A ",\n" A ",255011234567890\n" LINE_A, ROW_A, "!2::columns! !3::columns!");
	expect_unreadable(STR("msisdn,imei\n1,2\n"), "imsi");
	expect_unreadable(STR("imsi,msisdn\n1,2\n"), "imei");
	expect_unreadable(STR("device,subscriber\n1,2\n"), "imei");
	expect_unreadable(STR("imei,imsi,phone,msisdn\n1,2\n"), "twice");
}

static void what_is_no_text(void **state)
{
	(void)state;
	expect_unreadable(STR("\xff\xfe"
			      "3\0005\0"),
		"UTF-16");
	expect_unreadable(STR("\xfe\xff\0003\0005\n"), "UTF-16");
	expect_unreadable(STR("3\0005\0,\0\n\0"), "not text");
	/* Later on a NUL is a character that is no digit. */
	expect_n(STR(LINE_A "\n" A ",2550112345678\0000,\n" LINE_A), ROW_A " " ROW_A, "!2:imsi:imsi-bad!");
}

static void imeis(void **state)
{
	struct delivery_counts c;

	(void)state;
#define REST ",255011234567890,380501234567\n"
	c = expect(",255011234567890,\n3.52106E+14" REST "3,52106e14" REST, "",
		"!1:imei:imei-empty! !2:imei:imei-exponent! !3::columns!");
	assert_int_equal(c.refused, 3);
	assert_int_equal(c.imei_empty, 1);
	assert_int_equal(c.imei_unclean, 1);
	c = expect("00000000000000" REST "000000000000000" REST "1111111111111117" REST "22222222222222" REST,
		"00000000000000/255011234567890/380501234567 00000000000000/255011234567890/380501234567 "
		"11111111111111/255011234567890/380501234567 22222222222222/255011234567890/380501234567",
		"!1:imei:imei-malformed! !2:imei:imei-malformed! !3:imei:imei-malformed! !4:imei:imei-malformed!");
	assert_int_equal(c.malformed, 4);
	assert_int_equal(c.imei_unclean, 0);
	assert_int_equal(c.imei_zero, 2);
	assert_int_equal(c.imei_one, 1);
	c = expect("3521060505442" REST "0" REST, "3521060505442/255011234567890/380501234567 0/255011234567890/380501234567",
		"!1:imei:imei-malformed! !2:imei:imei-malformed!");
	assert_int_equal(c.imei_13, 1);
	assert_int_equal(c.imei_unclean, 2);
	/* Kept under a key of its own, and seen to be malformed. */
	struct seen seen = {
		.text = BUF_INIT(0), .raw = BUF_INIT(0), .quiet = true, .room = 3, .rows = calloc(3, sizeof(struct sighting))};
	const char *why;
	assert_int_equal(world_read(STR("35-2106-05" REST "n/a" REST "n/a" REST), 100, &seen, &c, &why), CEIR_OK);
	assert_true(triplet_is_malformed(seen.rows[0].imei));
	assert_int_equal(seen.rows[0].imei, triplet_malformed_key(STR("35-2106-05")));
	assert_int_equal(seen.rows[1].imei, seen.rows[2].imei);
	assert_true(str_eq(buf_view(&seen.raw), STR("35-2106-05" REST "n/a" REST "n/a" REST)));
	free(seen.rows);
	buf_free(&seen.text);
	buf_free(&seen.raw);
	/* Neither check digit nor spare: taken, counted, not reported. */
	c = expect("352106050544204" REST "352106050544200" REST "352106050544203" REST, ROW_A " " ROW_A " " ROW_A, "");
	assert_int_equal(c.suspicious, 1);
	assert_int_equal(c.malformed, 0);
}

static void subscribers(void **state)
{
	struct delivery_counts c;

	(void)state;
	c = expect(A ",,\n" A ",2550112345678,\n" A ",2550112345678901,\n" A ",25501123456789x,\n", "",
		"!1:imsi:imsi-empty! !2:imsi:imsi-bad! !3:imsi:imsi-bad! !4:imsi:imsi-bad!");
	assert_int_equal(c.imsi_empty, 1);
	assert_int_equal(c.imsi_unclean, 3);
	assert_int_equal(c.msisdn_empty, 4);
	c = expect(A ",255011234567890,1234\n" A ",255011234567890,1234567890123456\n" A ",255011234567890,++38050\n" A
		     ",255011234567890,12345\n",
		A "/255011234567890/12345", "!1:msisdn:msisdn-bad! !2:msisdn:msisdn-bad! !3:msisdn:msisdn-bad!");
	assert_int_equal(c.msisdn_foreign, 1);
	c = expect(A ",256011234567890,+380501234567\n" A ",257011234567890,+48501234567\n" A ",25701123456789,48501234567\n" A
		     ",25501123456789,38\n",
		A "/256011234567890/380501234567 " A "/257011234567890/48501234567 " A "/25701123456789/48501234567",
		"!4:msisdn:msisdn-bad!");
	assert_int_equal(c.imsi_foreign, 2);
	assert_int_equal(c.msisdn_foreign, 2);
	/* Both are looked at, the first is reported; what refuses goes before what informs. */
	expect("x1,y,\n,255011234567890,1\n", "", "!1:imsi:imsi-bad! !2:imei:imei-empty!");
}

static void times(void **state)
{
	static const struct {
		const char *text;
		uint32_t at_s; /* 0: fault */
		const char *code;
	} cases[] = {
		{"2026-11-24", 1795478400, ""},
		{"20261124", 1795478400, ""},
		{"2026-11-24T18:30:00Z", 1795545000, ""},
		{"2026-11-24T18:30:00.5+02:00", 1795537800, ""},
		{"2026-11-24 18:30:00Z", 1795545000, ""},
		{"1795545000", 1795545000, ""},
		{"1795545000999", 1795545000, ""},
		{"999999999", 999999999, ""},
		{"999999999999", 999999999, ""},
		{"", DEFAULT_S, ""},
		{"2026-11-26", 1795651200, ""},
		{"1795651201", 0, "time-future"},
		{"2026-11-27", 0, "time-future"},
		{"2026-02-29", 0, "time-bad"},
		{"20260229", 0, "time-bad"},
		{"24.11.2026", 0, "time-bad"},
		{"2026-11-24T18:30:00", 0, "time-bad"},
		{"2026-11-24T25:30:00Z", 0, "time-bad"},
		{"1970-01-01", 0, "time-bad"},
		{"1969-12-31", 0, "time-bad"},
		{"99999999", 0, "time-bad"},
		{"12345678901", 0, "time-bad"},
		{"17955450009999", 0, "time-bad"},
		{"0", 0, "time-bad"},
		{"-1795545000", 0, "time-bad"},
		{"2026-11-24T18:30:00.0000000000000000000000000000000000Z", 0, "time-bad"},
	};

	(void)state;
	for (size_t i = 0; i < CEIR_COUNT(cases); i++) {
		struct buf file = BUF_INIT(0), rows = BUF_INIT(0), rejects = BUF_INIT(0);
		struct delivery_counts c;

		/* Twice, since the second one is remembered. */
		buf_printf(&file, "imei,imsi,msisdn,time\n" LINE_A ",%s\n" LINE_A ",%s\n", cases[i].text, cases[i].text);
		for (int k = 0; k < 2; k++) {
			if (cases[i].at_s == 0)
				buf_printf(&rejects, "%s!%d:time:%s!", k == 0 ? "" : " ", k + 2, cases[i].code);
			else if (cases[i].at_s == DEFAULT_S)
				buf_printf(&rows, "%s" ROW_A, k == 0 ? "" : " ");
			else
				buf_printf(&rows, "%s" ROW_A "@%u", k == 0 ? "" : " ", cases[i].at_s);
		}
		buf_char(&rows, '\0');
		buf_char(&rejects, '\0');
		c = expect_n(buf_view(&file), rows.p, rejects.p);
		assert_int_equal(c.times, cases[i].at_s == 0 || cases[i].text[0] == '\0' ? 0 : 2);
		assert_int_equal(c.first_s, c.times == 0 ? 0 : cases[i].at_s);
		assert_int_equal(c.last_s, c.first_s);
		buf_free(&file);
		buf_free(&rows);
		buf_free(&rejects);
	}
	struct delivery_counts c = expect("imei,imsi,time\n" A ",255011234567890,20261124\n" A ",255011234567890,20261122\n",
		A "/255011234567890/@1795478400 " A "/255011234567890/@1795305600", "");
	assert_int_equal(c.first_s, 1795305600);
	assert_int_equal(c.last_s, 1795478400);
}

static void events_rats_and_cells(void **state)
{
	(void)state;
	expect(LINE_A ",2026-11-24,call,4G,255-01-1-2\n" LINE_A ",,,,\n" LINE_A ",,,nr,\n",
		ROW_A "@1795478400,call,lte,[255-01-1-2] " ROW_A " " ROW_A ",nr", "");
	expect(LINE_A ",,dance,,\n" LINE_A ",,,6G,\n" LINE_A ",,sms,,\xd0\xba\n" LINE_A
		      ",,,,12345678901234567890123456789012\n" LINE_A ",,,,1234567890123456789012345678901\n",
		ROW_A " " ROW_A " " ROW_A ",sms " ROW_A " " ROW_A ",[1234567890123456789012345678901]",
		"!1:event:event-bad! !2:rat:rat-bad! !3:cell:cell-bad! !4:cell:cell-bad!");
	/* The first is reported. */
	expect("x,255011234567890,,,dance,6G,\n", "#/255011234567890/", "!1:imei:imei-malformed!");
}

static void long_lines(void **state)
{
	struct buf file = BUF_INIT(0);

	(void)state;
	for (int longer = 0; longer < 2; longer++) {
		size_t pad = DELIVERY_LINE_BYTES - (sizeof(LINE_A) - 1) + (size_t)longer;

		buf_clear(&file);
		buf_c(&file, "imei,imsi,msisdn\n" LINE_A);
		memset(buf_reserve(&file, pad), ' ', pad);
		file.n += pad;
		buf_c(&file, "\n" LINE_A "\n");
		for (int end = 0; end < 2; end++) {
			if (longer)
				expect_n(buf_view(&file), ROW_A, "!2::too-long!");
			else
				expect_n(buf_view(&file), ROW_A " " ROW_A, "");
			file.n -= end == 0 ? 1 : 0; /* then without the last line end */
		}
	}
	/* Megabytes without an end; as the first line too. */
	buf_clear(&file);
	memset(buf_reserve(&file, 3 << 20), '7', 3 << 20);
	file.n = 3 << 20;
	expect_n(buf_view(&file), "", "!1::too-long!");
	buf_c(&file, "\n" LINE_A);
	expect_n(buf_view(&file), ROW_A, "!1::too-long!");
	buf_clear(&file);
	for (int i = 0; i < 65; i++)
		buf_c(&file, i == 0 ? LINE_A "\n" : ",");
	expect_n(buf_view(&file), ROW_A, "!2::columns!");
	buf_free(&file);
}

static void errors_of_the_sink_stop_it(void **state)
{
	struct buf file = BUF_INIT(0);
	struct delivery_counts c;
	const char *why;

	(void)state;
	for (int i = 0; i < 10000; i++)
		buf_c(&file, LINE_A "\n");
	for (int kind = 0; kind < 2; kind++) {
		struct seen seen = {.text = BUF_INIT(0), .raw = BUF_INIT(0), .quiet = true};

		if (kind == 0)
			seen.rows_err = CEIR_ENOSPC;
		else
			seen.reject_err = CEIR_ENOSPC;
		buf_c(&file, "x,y,z\n");
		assert_int_equal(world_read(buf_view(&file), 1000, &seen, &c, &why), CEIR_ENOSPC);
		assert_int_equal(seen.n, kind == 0 ? DELIVERY_BATCH : 2 * DELIVERY_BATCH);
		buf_free(&seen.text);
		buf_free(&seen.raw);
	}
	buf_free(&file);
	delivery_reader_free(NULL);
}

/* ---- reports ---------------------------------------------------------------------------------------------------------------- */

static void every_fault_has_its_texts(void **state)
{
	(void)state;
	for (unsigned f = 0; f < DELIVERY_FAULTS; f++) {
		assert_non_null(delivery_fault_code(f));
		assert_non_null(delivery_fault_text(f));
		for (unsigned g = 0; g < f; g++)
			assert_string_not_equal(delivery_fault_code(f), delivery_fault_code(g));
	}
	assert_null(delivery_fault_code(DELIVERY_FAULTS));
	assert_null(delivery_fault_text(DELIVERY_FAULTS));
	assert_false(delivery_fault_refuses(DELIVERY_FAULTS));
	assert_true(delivery_fault_refuses(DELIVERY_IMSI_BAD));
	assert_false(delivery_fault_refuses(DELIVERY_IMEI_MALFORMED));
}

static void a_report_is_csv_and_text(void **state)
{
	struct delivery_reject reject = {.line = 12,
		.fault = DELIVERY_IMSI_BAD,
		.field = STR("imsi"),
		.raw = STR("=1,\"x\",\xff\0"
			   "7")};
	struct buf out = BUF_INIT(0);

	(void)state;
	delivery_reject_print(&out, 0, NULL);
	delivery_reject_print(&out, 0, &reject);
	reject = (struct delivery_reject){.line = UINT64_MAX, .fault = DELIVERY_TOO_LONG};
	delivery_reject_print(&out, 0, &reject);
	assert_true(str_eq(
		buf_view(&out), STR("line,field,code,reason,original\r\n"
				    "12,imsi,imsi-bad,expected an IMSI of 14 or 15 digits,\"'=1,\"\"x\"\",\xef\xbf\xbd\xef\xbf\xbd"
				    "7\"\r\n"
				    "18446744073709551615,,too-long,the line is longer than 64 KiB,\r\n")));
	buf_free(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(plain_lines),
		cmocka_unit_test(separators_and_quotes),
		cmocka_unit_test(headers),
		cmocka_unit_test(what_is_no_text),
		cmocka_unit_test(imeis),
		cmocka_unit_test(subscribers),
		cmocka_unit_test(times),
		cmocka_unit_test(events_rats_and_cells),
		cmocka_unit_test(long_lines),
		cmocka_unit_test(errors_of_the_sink_stop_it),
		cmocka_unit_test(every_fault_has_its_texts),
		cmocka_unit_test(a_report_is_csv_and_text),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Sightings in real time: JSON in, rows and reports out, in the notation of exchange_delivery_world.h. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "exchange_delivery_reference.h"
#include "exchange_delivery_world.h"
#include "test_amount.h"

static struct delivery_counts expect_json(const char *body, const char *rows, const char *rejects)
{
	struct seen seen = {.text = BUF_INIT(0), .raw = BUF_INIT(0)};
	struct delivery_sink sink = world_sink(&seen);
	struct buf all = BUF_INIT(0);
	struct delivery_counts counts;
	const char *why = "";

	buf_printf(&all, "%s%s%s%s", rejects, *rejects == '\0' ? "" : " ", rows, *rows == '\0' ? "" : " ");
	assert_int_equal(delivery_json(str_of(body), &world_format, &sink, 10, &counts, &why), CEIR_OK);
	assert_null(why);
	if (!str_eq(buf_view(&seen.text), buf_view(&all)))
		fail_msg("got %.*s, expected %.*s", (int)seen.text.n, seen.text.n == 0 ? "" : seen.text.p, (int)all.n,
			all.n == 0 ? "" : all.p);
	assert_int_equal(counts.taken, seen.n);
	assert_int_equal(counts.lines, counts.taken + counts.refused);
	buf_free(&all);
	buf_free(&seen.text);
	buf_free(&seen.raw);
	return counts;
}

static void expect_json_error(struct str body, enum ceir_err err, const char *why_part)
{
	struct seen seen = {.text = BUF_INIT(0), .raw = BUF_INIT(0)};
	struct delivery_sink sink = world_sink(&seen);
	struct delivery_counts counts;
	const char *why = "";

	assert_int_equal(delivery_json(body, &world_format, &sink, 2, &counts, &why), err);
	if (why_part == NULL)
		assert_null(why);
	else
		assert_non_null(strstr(why, why_part));
	assert_int_equal(counts.lines + counts.taken + counts.refused, 0);
	buf_free(&seen.text);
	buf_free(&seen.raw);
}

static void json_sightings(void **state)
{
	struct delivery_counts c;

	(void)state;
	expect_json("[]", "", "");
	expect_json("{\"sightings\": []}", "", "");
	expect_json("[{\"imei\": \"" A "\", \"imsi\": \"255011234567890\", \"msisdn\": \"+380501234567\"}]", ROW_A, "");
	expect_json("{\"sightings\": [{\"imei\": 35210605054420, \"imsi\": 255011234567890, \"msisdn\": 380501234567, \"time\": "
		    "1795545000, "
		    "\"event\": \"call\", \"rat\": \"LTE\", \"cell\": \"255-01-7\", \"other\": [1]}], \"x\": 1}",
		ROW_A "@1795545000,call,lte,[255-01-7]", "");
	expect_json("[{\"imei\": \"" A "\", \"imsi\": \"255011234567890\", \"msisdn\": null, \"time\": \"2026-11-24T18:30:00Z\"}]",
		A "/255011234567890/@1795545000", "");
	c = expect_json("[7, {}, {\"imei\": 3.52106E+14, \"imsi\": \"255011234567890\"}, {\"imei\": \"" A
			"\", \"imsi\": \"1\"}, {\"imei\": \"1\", "
			"\"imsi\": \"255011234567890\"}, {\"imei\": \"" A "\", \"imsi\": true}, {\"imei\": \"" A
			"\", \"imsi\": [255011234567890]}]",
		"1/255011234567890/",
		"!1::columns! !2:imei:imei-empty! !3:imei:imei-exponent! !4:imsi:imsi-bad! !5:imei:imei-malformed! "
		"!6:imsi:imsi-bad! !7:imsi:imsi-bad!");
	assert_int_equal(c.refused, 6);
	assert_int_equal(c.malformed, 1);
}

static void json_that_is_none(void **state)
{
	struct buf deep = BUF_INIT(0);

	(void)state;
	expect_json_error(STR(""), CEIR_EINVAL, "not JSON");
	expect_json_error(STR("[{]"), CEIR_EINVAL, "not JSON");
	expect_json_error(STR("[] []"), CEIR_EINVAL, "not JSON");
	expect_json_error(STR("[{\"imei\": \"1\", \"imei\": \"2\"}]"), CEIR_EINVAL, "not JSON");
	expect_json_error(STR("[{\"imei\": \"1\\u0000\"}]"), CEIR_EINVAL, "not JSON");
	expect_json_error(STR("[{\"imei\": \"1\0\"}]"), CEIR_EINVAL, "not JSON");
	expect_json_error(STR("[]\0"), CEIR_EINVAL, "not JSON");
	expect_json_error(STR("[{\"imei\": \"\xff\"}]"), CEIR_EINVAL, "not JSON");
	expect_json_error(STR("[{\"imei\": 123456789012345678901234567890}]"), CEIR_EINVAL, "not JSON");
	expect_json_error(STR("{}"), CEIR_EINVAL, "array");
	expect_json_error(STR("7"), CEIR_EINVAL, "not JSON");
	expect_json_error(STR("{\"sightings\": {}}"), CEIR_EINVAL, "array");
	expect_json_error(STR("[[[[[]]]]]"), CEIR_EINVAL, "nested");
	for (int i = 0; i < 1000000; i++)
		buf_char(&deep, '[');
	expect_json_error(buf_view(&deep), CEIR_EINVAL, "nested");
	buf_free(&deep);
	/* At most two. */
	expect_json_error(STR("[{},{},{}]"), CEIR_ELIMIT, NULL);
	expect_json_error(STR("[1,2,3]"), CEIR_ELIMIT, NULL);
	expect_json_error(STR("[{},{},{},{}"), CEIR_ELIMIT, NULL);
	/* Brackets in strings are none. */
	expect_json("[{\"imei\": \"[[[[\\\"[[[[\", \"imsi\": \"255011234567890\", \"cell\": \"{{{{{{{{{{{{{{{{{{{{{{\"}]",
		"#/255011234567890/,[{{{{{{{{{{{{{{{{{{{{{{]", "!1:imei:imei-malformed!");
}

/* ---- against a library ------------------------------------------------------------------------------------------------ */

#define MOST 6

/* The body is on the heap and of its size, so that ASan sees a read behind it. true: it was read. */
static bool same_as_reference(struct str body)
{
	struct seen seen = {.text = BUF_INIT(0), .raw = BUF_INIT(0)}, expected = {.text = BUF_INIT(0), .raw = BUF_INIT(0)};
	struct delivery_sink sink = world_sink(&seen), expected_sink = world_sink(&expected);
	struct delivery_counts counts, expected_counts;
	const char *why, *expected_why;
	char *copy = malloc(body.n + (body.n == 0));
	bool rewritten;

	assert_non_null(copy);
	memcpy(copy, body.p, body.n);
	enum ceir_err err = delivery_json((struct str){copy, body.n}, &world_format, &sink, MOST, &counts, &why);
	enum ceir_err expected_err = reference_json(body, &world_format, &expected_sink, MOST, &expected_counts, &expected_why, &rewritten);
	if (err != expected_err || (why == NULL) != (expected_why == NULL) || (why != NULL && strcmp(why, expected_why) != 0))
		fail_msg("%d (%s), expected %d (%s): %.*s", err, why, expected_err, expected_why, (int)body.n, body.p);
	if (!rewritten && err == CEIR_OK && !str_eq(buf_view(&seen.text), buf_view(&expected.text)))
		fail_msg("%.*s, expected %.*s: %.*s", (int)seen.text.n, seen.text.p, (int)expected.text.n, expected.text.p, (int)body.n, body.p);
	if (!rewritten)
		assert_memory_equal(&counts, &expected_counts, sizeof(counts));
	buf_free(&seen.text);
	buf_free(&seen.raw);
	buf_free(&expected.text);
	buf_free(&expected.raw);
	free(copy);
	return err == CEIR_OK;
}

static uint64_t dice_state;

static unsigned dice(unsigned sides)
{
	dice_state = dice_state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return (unsigned)(dice_state >> 33) % sides;
}

#define ANY(list) list[dice(CEIR_COUNT(list))]

static void put_digits(struct buf *out, unsigned least, unsigned most)
{
	unsigned n = least + dice(most - least + 1);

	for (unsigned i = 0; i < n; i++)
		buf_char(out, (char)('0' + (dice(8) == 0 ? 0 : dice(10))));
}

static void put_member(struct buf *out)
{
	static const char *const names[] = {"\"imei\"", "\"imsi\"", "\"msisdn\"", "\"time\"", "\"event\"", "\"rat\"", "\"cell\"", "\"x\"",
		"\"y\"", "\"im\\u0065i\"", "\"sightings\"", "\"\"", "\"\u0436\""};
	static const char *const values[] = {"null", "true", "false", "{}", "[]", "[{}]", "{\"a\":1,\"b\":{}}",
		"{\"a\":1,\"a\":2}", "-0", "0", "-7",
		"9223372036854775807", "9223372036854775808", "-9223372036854775808", "-9223372036854775809", "01", "1.", "1.5", "-2e-3", "1e400",
		"1E-400", ".5", "3.52106E+14", "123456789012345678901", "\"\"", "\"a\\u00e9\\n\"", "\"\\ud83d\\ude00\"", "\"\\ud83d\"", "\"\\ude00\"",
		"\"\\u0000\"", "\"\\x\"", "\"2026-11-24\"", "\"2026-11-24T18:30:00Z\"", "\"2036-11-24\"", "\"attach\"", "\"call\"", "\"lte\"", "\"5g\"",
		"1795545000", "\" 352106050544203\\t\"", "\"\\/\\b\\f\\r\\\"\\\\\"", "\"\xd0\xb6\"", "\"\xed\xa0\x80\"",
		"\"\xc0\x80\"", "nul", "\"\x7f\""};

	buf_c(out, ANY(names));
	buf_c(out, dice(20) == 0 ? " : " : ":");
	buf_c(out, ANY(values));
}

/* Mostly as it should be. */
static void put_item(struct buf *out, bool quoted)
{
	const char *quote = quoted ? "\"" : "";
	bool other = dice(3) == 0;

	buf_c(out, dice(40) == 0 ? " { " : "{");
	if (other && dice(4) == 0) {
		put_member(out);
		buf_char(out, ',');
	}
	buf_printf(out, "\"imei\":%s", quote);
	put_digits(out, dice(10) == 0 ? 0 : 14, dice(10) == 0 ? 18 : 16);
	buf_printf(out, "%s,\"imsi\":%s", quote, quote);
	put_digits(out, 14, dice(10) == 0 ? 16 : 15);
	buf_printf(out, "%s,\"msisdn\":%s%s", quote, quote, dice(6) == 0 ? "+" : "");
	put_digits(out, dice(6) == 0 ? 0 : 8, dice(10) == 0 ? 17 : 15);
	buf_c(out, quote);
	for (unsigned n = other ? dice(3) : 0; n > 0; n--) {
		buf_char(out, ',');
		put_member(out);
	}
	buf_char(out, '}');
}

static void put_document(struct buf *out)
{
	bool wrapped = dice(4) == 0;
	unsigned n = dice(MOST + 2);

	if (wrapped)
		buf_c(out, "{\"sightings\":");
	buf_char(out, '[');
	for (unsigned i = 0; i < n; i++) {
		buf_c(out, i == 0 ? "" : dice(20) == 0 ? " ,\r\n\t" : ",");
		if (dice(30) == 0)
			buf_c(out, "7");
		else
			put_item(out, dice(10) != 0);
	}
	buf_char(out, ']');
	if (wrapped && dice(2) == 0) {
		buf_char(out, ',');
		put_member(out);
	}
	if (wrapped)
		buf_char(out, '}');
}

/* A byte lost, changed, or there twice. */
static void damage(struct buf *b)
{
	static const char bytes[] = "\"\\{}[],:.-+eE09u \x1f\x80\xf4";
	size_t at = b->n == 0 ? 0 : dice((unsigned)b->n);

	if (b->n == 0)
		return;
	switch (dice(4)) {
	case 0:
		memmove(b->p + at, b->p + at + 1, b->n - at - 1);
		b->n--;
		break;
	case 1:
		b->p[at] = bytes[dice(sizeof(bytes))];
		break;
	case 2:
		b->p[at] = (char)('0' + dice(10));
		break;
	default:
		b->n = at;
	}
}

static void all_bodies_are_read_as_by_a_library(void **state)
{
	struct buf body = BUF_INIT(0);
	unsigned good = 0, bodies = TEST_AMOUNT(300000, 30000);

	(void)state;
	dice_state = 1;
	for (unsigned i = 0; i < bodies; i++) {
		buf_clear(&body);
		put_document(&body);
		for (unsigned n = dice(3) == 0 ? 1 + dice(2) : 0; n > 0; n--)
			damage(&body);
		assert_false(body.failed);
		good += same_as_reference(buf_view(&body));
	}
	/* Neither all good nor all bad, or little was compared. */
	assert_in_range(good, bodies / 4, bodies * 9 / 10);
	buf_free(&body);
}

/* A thousand names in an object: one of them twice, or none. */
static void many_members(void **state)
{
	struct buf body = BUF_INIT(0);

	(void)state;
	for (unsigned twice = 0; twice < 2; twice++) {
		buf_clear(&body);
		buf_c(&body, "[{\"x\":{");
		for (unsigned i = 0; i < 1000; i++)
			buf_printf(&body, "%s\"n%u\":%u", i == 0 ? "" : ",", twice && i == 700 ? 3 : i, i);
		buf_c(&body, "}}]");
		assert_int_equal(same_as_reference(buf_view(&body)), !twice);
	}
	buf_free(&body);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(json_sightings),
		cmocka_unit_test(json_that_is_none),
		cmocka_unit_test(all_bodies_are_read_as_by_a_library),
		cmocka_unit_test(many_members),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

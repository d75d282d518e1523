/* Questions to the triplet store through the door, sightings in real time, and who may ask what. */
#include <time.h>

#include "exchange/exchange.h"
#include "registry/registry_internal.h"
#include "registry_world.h"

static struct world w;

#define PHONE_A "352106050000016"
#define PHONE_B "352106050000024"
#define IMSI_1 "255010000000001"
#define IMSI_2 "255010000000002"
#define MSISDN_1 "380501000001"
#define MSISDN_2 "380501000002"
#define CASE "120260000000123"

/* ---- sightings ---- */

static unsigned sight_body(struct face *f, const char *cltrid, const char *body, bool is_csv)
{
	struct reg_command c = {.verb = REG_CREATE, .object = reg_object_by_name(STR("triplet")), .body = str_of(body), .body_is_csv = is_csv,
		.cltrid = str_of(cltrid)};

	arena_reset(f->arena);
	f->no_cltrid = !cltrid;
	unsigned code = face_do(f, &c);
	f->no_cltrid = false;
	return code;
}

static unsigned sight(struct face *f, const char *cltrid, const char *json)
{
	return sight_body(f, cltrid, json, false);
}

static void see(struct face *f, const char *imei, const char *imsi, const char *msisdn, const char *time)
{
	char json[512];

	snprintf(json, sizeof json, "[{\"imei\":\"%s\",\"imsi\":\"%s\",\"msisdn\":\"%s\",\"time\":\"%s\",\"event\":\"attach\","
		"\"rat\":\"lte\",\"cell\":\"255-01-77\"}]", imei, imsi, msisdn, time);
	assert_int_equal(sight(f, NULL, json), REG_DONE);
}

/* ---- questions ---- */

#define ASK_MAX 6
/* "msisdn=380501000001; case=1" and a cursor. */
static unsigned ask_page(struct face *f, const char *text, uint32_t limit, struct str cursor)
{
	static struct reg_filter filters[ASK_MAX];
	struct reg_query q = {.filters = filters, .limit = limit, .cursor = cursor};
	struct str rest = str_of(text), one;

	while (rest.n && str_cut(&rest, ';', &one)) {
		struct reg_filter *filter = &filters[q.n_filters++];

		*filter = (struct reg_filter){.op = REG_EQ};
		assert_true(str_cut(&one, '=', &filter->field));
		filter->field = str_trim(filter->field);
		filter->value = str_trim(one);
	}
	return query(f, "triplet", &q);
}

static unsigned ask(struct face *f, const char *text)
{
	return ask_page(f, text, 0, (struct str){NULL, 0});
}

static size_t found(const struct face *f)
{
	return f->reply.page->n_items;
}

static const char *item(const struct face *f, size_t i, const char *path)
{
	return value_of(f->reply.page->items[i], path);
}

/* Has item i this change? */
static bool changed(const struct face *f, size_t i, const char *change)
{
	for (const struct reg_node *n = f->reply.page->items[i]; n; n = n->next)
		if (strcmp(n->field->name, "change") == 0 && str_eq_c(n->text, change))
			return true;
	return false;
}

/* Index of the row with that IMEI and IMSI; fails when there is none. */
static size_t row_of(const struct face *f, const char *imei, const char *imsi)
{
	for (size_t i = 0; i < found(f); i++)
		if (strcmp(item(f, i, "imei"), imei) == 0 && strcmp(item(f, i, "imsi"), imsi) == 0)
			return i;
	fail_msg("no row of %s and %s", imei, imsi);
	return 0;
}

static void a_sighting_is_found_by_each_key(void **state)
{
	struct face *f = face_login(&w, "operator"), *lea = face_login(&w, "lea");
	static const char *const asks[] = {"imei=" PHONE_A "; case=" CASE, "imei=35210605000001; case=" CASE, "imei=3521060500000199; case=" CASE,
		"imsi=" IMSI_1 "; case=" CASE, "msisdn=" MSISDN_1 "; case=" CASE, "msisdn=+" MSISDN_1 "; case=" CASE};

	(void)state;
	see(f, PHONE_A, IMSI_1, MSISDN_1, "2026-01-10T12:00:00Z");
	for (size_t i = 0; i < CEIR_COUNT(asks); i++) {
		assert_int_equal(ask(lea, asks[i]), REG_DONE);
		assert_int_equal(found(lea), 1);
		assert_string_equal(item(lea, 0, "imei"), PHONE_A);
		assert_string_equal(item(lea, 0, "imsi"), IMSI_1);
		assert_string_equal(item(lea, 0, "msisdn"), MSISDN_1);
		assert_string_equal(item(lea, 0, "operator"), "25501");
		assert_string_equal(item(lea, 0, "homeOperator"), "25501");
		assert_string_equal(item(lea, 0, "first"), "2026-01-10T12:00:00.000000Z");
		assert_string_equal(item(lea, 0, "event"), "attach");
		assert_string_equal(item(lea, 0, "rat"), "lte");
		assert_string_equal(item(lea, 0, "cell"), "255-01-77");
		assert_string_equal(item(lea, 0, "episode.from"), "2026-01-10T12:00:00.000000Z");
		assert_string_equal(item(lea, 0, "episode.to"), "2026-01-10T12:00:00.000000Z");
		assert_int_equal(lea->reply.page->next.n, 0);
	}
	assert_int_equal(ask(lea, "msisdn=380509999999; case=" CASE), REG_DONE);
	assert_int_equal(found(lea), 0);
	face_free(lea);
	face_free(f);
}

static void what_changed_is_said_with_dates(void **state)
{
	struct face *f = face_login(&w, "operator"), *lea = face_login(&w, "lea");

	(void)state;
	/* The number 1 gets another SIM, which gets another phone, then another number; the first comes back after months. */
	see(f, PHONE_A, IMSI_1, MSISDN_1, "2026-01-20T12:00:00Z");
	see(f, PHONE_A, IMSI_2, MSISDN_1, "2026-03-01T12:00:00Z");
	see(f, PHONE_B, IMSI_2, MSISDN_1, "2026-03-02T12:00:00Z");
	see(f, PHONE_B, IMSI_2, MSISDN_2, "2026-03-05T12:00:00Z");
	see(f, PHONE_A, IMSI_1, MSISDN_1, "2026-06-01T12:00:00Z");
	assert_int_equal(ask(lea, "msisdn=" MSISDN_1 "; case=" CASE), REG_DONE);
	assert_int_equal(found(lea), 3);
	size_t first = row_of(lea, PHONE_A, IMSI_1), swapped = row_of(lea, PHONE_A, IMSI_2), moved = row_of(lea, PHONE_B, IMSI_2);
	assert_true(changed(lea, first, "returned"));
	assert_false(changed(lea, first, "sim-swapped"));
	assert_false(changed(lea, first, "device-changed"));
	assert_false(changed(lea, first, "new"));
	assert_true(changed(lea, first, "gone"));
	assert_true(changed(lea, swapped, "sim-swapped"));
	assert_false(changed(lea, swapped, "device-changed"));
	assert_true(changed(lea, moved, "sim-swapped"));
	assert_true(changed(lea, moved, "device-changed"));
	assert_false(changed(lea, moved, "number-changed"));
	assert_int_equal(ask(lea, "msisdn=" MSISDN_2 "; case=" CASE), REG_DONE);
	assert_true(changed(lea, 0, "number-changed"));
	/* In a period: what was new in it, who came back in it, who was there. */
	assert_int_equal(ask(lea, "msisdn=" MSISDN_1 "; case=" CASE "; from=2026-03-01T00:00:00Z; to=2026-03-31T00:00:00Z"), REG_DONE);
	assert_int_equal(found(lea), 2);
	assert_true(changed(lea, 0, "new") && changed(lea, 1, "new"));
	assert_int_equal(ask(lea, "msisdn=" MSISDN_1 "; case=" CASE "; from=2026-01-15T00:00:00Z; to=2026-01-31T00:00:00Z"), REG_DONE);
	assert_int_equal(found(lea), 1);
	assert_false(changed(lea, 0, "new") || changed(lea, 0, "returned"));
	assert_int_equal(ask(lea, "msisdn=" MSISDN_1 "; case=" CASE "; from=2026-05-15T00:00:00Z"), REG_DONE);
	assert_int_equal(found(lea), 1);
	assert_true(changed(lea, 0, "returned"));
	face_free(lea);
	face_free(f);
}

static void questions_expand_to_devices_and_subscribers(void **state)
{
	struct face *lea = face_login(&w, "lea");

	(void)state;
	/* All subscribers of the devices of this number; all devices of the subscribers of this device. */
	assert_int_equal(ask(lea, "msisdn=" MSISDN_2 "; of=imei; case=" CASE), REG_DONE);
	assert_int_equal(found(lea), 2);
	row_of(lea, PHONE_B, IMSI_2);
	assert_int_equal(ask(lea, "imei=" PHONE_A "; of=imsi; case=" CASE), REG_DONE);
	assert_int_equal(found(lea), 4);
	row_of(lea, PHONE_B, IMSI_2);
	assert_int_equal(ask(lea, "imei=" PHONE_A "; of=msisdn; case=" CASE), REG_DONE);
	assert_int_equal(found(lea), 3);
	assert_int_equal(ask(lea, "imsi=" IMSI_2 "; of=imsi; case=" CASE), REG_DONE);
	assert_int_equal(found(lea), 3);
	face_free(lea);
}

static void nothing_is_asked_without_right_and_case(void **state)
{
	struct face *f = face_login(&w, "operator"), *lea = face_login(&w, "lea"), *admin = face_login(&w, "admin");
	struct face *customs = face_login(&w, "customs");
	struct reg_filter like = {STR("imsi"), REG_PREFIX, STR("25501")};
	struct reg_query q = {.filters = &like, .n_filters = 1};

	(void)state;
	assert_int_equal(ask(customs, "msisdn=" MSISDN_1 "; case=" CASE), REG_AUTHORIZATION);
	assert_int_equal(ask(lea, "msisdn=" MSISDN_1), REG_MISSING);
	assert_string_equal(lea->reply.details->element, "case");
	assert_int_equal(ask(admin, "msisdn=" MSISDN_1), REG_MISSING);
	assert_int_equal(ask(lea, "msisdn=" MSISDN_1 "; case=12"), REG_RANGE);
	assert_int_equal(ask(lea, "case=" CASE), REG_MISSING);
	assert_int_equal(ask(lea, "msisdn=" MSISDN_1 "; imsi=" IMSI_1 "; case=" CASE), REG_MISSING);
	assert_int_equal(ask(lea, "operator=25501; case=" CASE), REG_RANGE);
	assert_int_equal(ask(lea, "imsi=12; case=" CASE), REG_VALUE);
	assert_int_equal(ask(lea, "msisdn=x; case=" CASE), REG_VALUE);
	assert_int_equal(ask(lea, "imei=352106050000017; case=" CASE), REG_VALUE);
	assert_int_equal(ask(lea, "imsi=" IMSI_1 "; from=yesterday; case=" CASE), REG_VALUE);
	assert_int_equal(ask(lea, "imsi=" IMSI_1 "; of=cell; case=" CASE), REG_RANGE);
	assert_int_equal(query(lea, "triplet", &q), REG_RANGE);
	assert_int_equal(ask_page(lea, "imsi=" IMSI_1 "; case=" CASE, 0, STR("1-2-3")), REG_VALUE);
	assert_int_equal(ask_page(lea, "imsi=" IMSI_1 "; case=" CASE, 0, STR("1-2-3-4-5-6")), REG_VALUE);
	assert_int_equal(ask_page(lea, "imsi=" IMSI_1 "; case=" CASE, 0, STR("1-2-3-4-zz")), REG_VALUE);
	/* An operator needs no case for its own. */
	assert_int_equal(ask(f, "msisdn=" MSISDN_1), REG_DONE);
	assert_int_equal(found(f), 3);
	face_free(customs);
	face_free(admin);
	face_free(lea);
	face_free(f);
}

/* Who looked at whom, and why: also when the question was refused. */
static void every_look_is_evidence(void **state)
{
	struct face *lea = face_login(&w, "lea");

	(void)state;
	assert_int_equal(ask(lea, "msisdn=" MSISDN_2 "; case=Case 7/2026"), REG_DONE);
	assert_int_equal(world_sql(&w, "SELECT count(*) FROM audit WHERE account = 'lea' AND object = 'triplet' AND verb = 'query' AND code = 1000"
		" AND name = 'case Case 7/2026, msisdn " MSISDN_2 "'"), 1);
	assert_int_equal(ask(lea, "imsi=255017777777777"), REG_MISSING);
	assert_int_equal(world_sql(&w, "SELECT count(*) FROM audit WHERE account = 'lea' AND code = 2003 AND name = 'imsi 255017777777777'"), 1);
	face_free(lea);
}

/* ---- many ---- */

static void rows_of_a_hot_device_come_in_pages(void **state)
{
	struct face *f = face_login(&w, "operator"), *lea = face_login(&w, "lea");
	static char json[64 << 10];
	char cursor[128] = "", last[32] = "", text[128];
	size_t n = 0, rows = 0, pages = 0;

	(void)state;
	n = (size_t)snprintf(json, sizeof json, "{\"sightings\":[");
	for (unsigned i = 0; i < 250; i++)
		n += (size_t)snprintf(json + n, sizeof json - n, "%s{\"imei\":\"352106050000032\",\"imsi\":\"2550155%08u\","
			"\"msisdn\":\"38050%07u\"}", i ? "," : "", i, 5000000 + i);
	snprintf(json + n, sizeof json - n, "]}");
	assert_int_equal(sight(f, "hot", json), REG_DONE);
	assert_string_equal(value(f, "sightings"), "250");
	do {
		assert_int_equal(ask_page(lea, "imei=352106050000032; case=" CASE, 40, str_of(cursor)), REG_DONE);
		assert_true(found(lea) <= 40);
		for (size_t i = 0; i < found(lea); i++) {
			assert_true(strcmp(item(lea, i, "imsi"), last) > 0);
			snprintf(last, sizeof last, "%s", item(lea, i, "imsi"));
		}
		rows += found(lea);
		pages++;
		snprintf(cursor, sizeof cursor, "%.*s", (int)lea->reply.page->next.n, lea->reply.page->next.p);
	} while (cursor[0]);
	assert_int_equal(rows, 250);
	assert_int_equal(pages, 7);
	/* Expanded: the same number of rows, by subscriber. */
	rows = 0;
	do {
		assert_int_equal(ask_page(lea, "imei=352106050000032; of=msisdn; case=" CASE, 60, str_of(cursor)), REG_DONE);
		rows += found(lea);
		snprintf(cursor, sizeof cursor, "%.*s", (int)lea->reply.page->next.n, lea->reply.page->next.p);
	} while (cursor[0]);
	assert_int_equal(rows, 250);
	/* One subscriber through many devices. */
	for (unsigned i = 0; i < 25; i++)
		see(f, imei_text(TAC, 700000 + 37 * (i % 5) + i), "255016666666666", "380506666666", "2026-10-01T00:00:00Z");
	snprintf(text, sizeof text, "imsi=255016666666666; case=" CASE);
	last[0] = '\0';
	rows = 0;
	do {
		assert_int_equal(ask_page(lea, text, 4, str_of(cursor)), REG_DONE);
		for (size_t i = 0; i < found(lea); i++) {
			assert_true(strcmp(item(lea, i, "imei"), last) > 0);
			snprintf(last, sizeof last, "%s", item(lea, i, "imei"));
		}
		rows += found(lea);
		snprintf(cursor, sizeof cursor, "%.*s", (int)lea->reply.page->next.n, lea->reply.page->next.p);
	} while (cursor[0]);
	assert_int_equal(rows, 25);
	face_free(lea);
	face_free(f);
}

/* ---- bodies of sightings ---- */

static void the_same_body_under_the_same_id_counts_once(void **state)
{
	struct face *f = face_login(&w, "operator");
	struct reg_stats before, after;
	const char *json = "[{\"imei\":\"352106050000040\",\"imsi\":\"255018888888888\",\"msisdn\":\"380508888888\","
		"\"time\":\"2026-11-01T00:00:00Z\"}]";

	(void)state;
	registry_stats(w.r, &before);
	assert_int_equal(sight(f, "S-1", json), REG_DONE);
	assert_int_equal(sight(f, "S-1", json), REG_DONE);
	assert_string_equal(value(f, "sightings"), "1");
	registry_stats(w.r, &after);
	assert_int_equal(after.sightings, before.sightings + 1);
	/* The id used for something else loses nothing. */
	assert_int_equal(sight(f, "S-1", "[{\"imei\":\"352106050000040\",\"imsi\":\"255018888888889\"}]"), REG_DONE);
	registry_stats(w.r, &after);
	assert_int_equal(after.sightings, before.sightings + 2);
	/* After a restart too. */
	face_free(f);
	world_stop(&w);
	world_start(&w);
	f = face_login(&w, "operator");
	registry_stats(w.r, &before);
	assert_int_equal(sight(f, "S-1", json), REG_DONE);
	registry_stats(w.r, &after);
	assert_int_equal(after.sightings, before.sightings);
	assert_int_equal(ask(f, "msisdn=380508888888"), REG_DONE);
	assert_int_equal(found(f), 1);
	face_free(f);
}

static void bad_items_are_named_and_the_good_ones_taken(void **state)
{
	struct face *f = face_login(&w, "operator"), *lea = face_login(&w, "lea");
	struct buf b = BUF_INIT(0);

	(void)state;
	assert_int_equal(sight(f, NULL, "[{\"imei\":\"352106050000057\",\"imsi\":\"255019999999999\"},"
		"{\"imei\":\"352106050000057\",\"imsi\":\"1\"},{\"imei\":\"123\",\"imsi\":\"255019999999999\"}]"), REG_DONE);
	assert_string_equal(value(f, "sightings"), "2");
	assert_string_equal(value(f, "refused"), "1");
	assert_string_equal(value(f, "malformed"), "1");
	assert_string_equal(f->reply.details->element, "sighting");
	assert_true(str_starts(f->reply.details->value, STR("2 imsi")));
	/* What is no IMEI is found as it came. */
	assert_int_equal(ask(lea, "imei=123; case=" CASE), REG_DONE);
	assert_int_equal(found(lea), 1);
	assert_string_equal(item(lea, 0, "imei"), "123");
	assert_null(item(lea, 0, "msisdn"));
	/* Nothing good, no JSON, too many. */
	assert_int_equal(sight(f, NULL, "[{\"imei\":\"\",\"imsi\":\"\"}]"), REG_VALUE);
	assert_int_equal(sight(f, NULL, "[]"), REG_VALUE);
	assert_int_equal(sight(f, NULL, "{\"imei\":"), REG_VALUE);
	assert_int_equal(sight(f, NULL, ""), REG_VALUE);
	buf_char(&b, '[');
	for (int i = 0; i < 1001; i++)
		buf_printf(&b, "%s{\"imei\":\"352106050000057\",\"imsi\":\"255019999999999\"}", i ? "," : "");
	buf_c(&b, "]");
	buf_char(&b, '\0');
	assert_int_equal(sight(f, NULL, b.p), REG_POLICY);
	assert_int_equal(sight(lea, NULL, "[{\"imei\":\"352106050000057\",\"imsi\":\"255019999999999\"}]"), REG_AUTHORIZATION);
	buf_free(&b);
	face_free(lea);
	face_free(f);
}

static void csv_is_taken_like_a_delivery(void **state)
{
	struct face *f = face_login(&w, "operator");
	struct reg_stats before, after;
	const char *csv = "msisdn;imsi;imei;cell\r\n380507777771;255017777777771;352106050000065;255-01-9\r\n;1;352106050000065;\r\n"
		"380507777772;255017777777772;352106050000065;255-01-8\r\n";
	struct buf b = BUF_INIT(0);

	(void)state;
	registry_stats(w.r, &before);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(sight_body(f, "CSV-1", csv, true), REG_DONE);
		assert_string_equal(value(f, "sightings"), "2");
		assert_string_equal(value(f, "refused"), "1");
		assert_true(str_starts(f->reply.details->value, STR("3 imsi")));
	}
	registry_stats(w.r, &after);
	assert_int_equal(after.sightings, before.sightings + 2);
	assert_int_equal(ask(f, "msisdn=380507777772"), REG_DONE);
	assert_int_equal(found(f), 1);
	assert_string_equal(item(f, 0, "cell"), "255-01-8");
	/* Nothing, no such columns, JSON; too many, be they good or bad. */
	assert_int_equal(sight_body(f, NULL, "imei,imsi\n", true), REG_VALUE);
	assert_int_equal(sight_body(f, NULL, "imsi,msisdn\n255017777777771,1\n", true), REG_VALUE);
	assert_int_equal(sight_body(f, NULL, "[{\"imei\":\"352106050000065\",\"imsi\":\"255017777777771\"}]", true), REG_VALUE);
	for (int good = 0; good < 2; good++) {
		buf_clear(&b);
		for (int i = 0; i < 1001; i++)
			buf_c(&b, good ? "352106050000065,255017777777771\n" : "1,2\n");
		buf_char(&b, '\0');
		assert_int_equal(sight_body(f, NULL, b.p, true), REG_POLICY);
	}
	buf_free(&b);
	face_free(f);
}

/* ---- two operators ---- */

static void an_operator_learns_nothing_of_another(void **state)
{
	struct face *admin = face_login(&w, "admin"), *f = face_login(&w, "operator"), *g, *lea = face_login(&w, "lea");
	char set[256], hex[65];
	uint8_t fp[32];

	(void)state;
	world_fingerprint("operator9", fp);
	hex_print(fp, sizeof fp, hex);
	assert_int_equal(create(admin, "operator", "id=25509; name=Other; plmn=25509"), REG_DONE);
	snprintf(set, sizeof set, "id=operator9; role=operator; operator=25509; pw=" PASSWORD "; certificate=%s", hex);
	assert_int_equal(create(admin, "account", set), REG_DONE);
	g = face_login(&w, "operator9");
	/* The number moves from one operator to the other. */
	see(f, PHONE_B, "255013333333333", "380503333333", "2026-02-01T00:00:00Z");
	see(g, PHONE_B, "255094444444444", "380503333333", "2026-04-01T00:00:00Z");
	assert_int_equal(ask(g, "msisdn=380503333333"), REG_DONE);
	assert_int_equal(found(g), 1);
	assert_string_equal(item(g, 0, "operator"), "25509");
	assert_false(changed(g, 0, "sim-swapped"));
	assert_int_equal(ask(g, "msisdn=380503333333; of=imei"), REG_DONE);
	assert_int_equal(found(g), 1);
	assert_int_equal(ask(lea, "msisdn=380503333333; case=" CASE), REG_DONE);
	assert_int_equal(found(lea), 2);
	assert_true(changed(lea, row_of(lea, PHONE_B, "255094444444444"), "sim-swapped"));
	assert_int_equal(update(admin, "operator", "25509", "status=suspended", NULL, NULL), REG_DONE);
	assert_int_equal(sight(g, NULL, "[{\"imei\":\"352106050000057\",\"imsi\":\"255019999999999\"}]"), REG_AUTHORIZATION);
	face_free(lea);
	face_free(g);
	face_free(f);
	face_free(admin);
}

static int setup(void **state)
{
	struct imsi imsi;

	(void)state;
	world_open(&w);
	world_settle(&w);
	/* The table of networks follows the operators a moment later. */
	assert_int_equal(imsi_parse(STR(IMSI_1), &imsi), CEIR_OK);
	for (int i = 0; i < 5000 && !reg_class_home(w.r, triplet_imsi_key(imsi), 0); i++)
		nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
	assert_int_not_equal(reg_class_home(w.r, triplet_imsi_key(imsi), 0), 0);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	assert_int_equal(world_verify(&w, STR(""), true), 0);
	world_close(&w);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_sighting_is_found_by_each_key),
		cmocka_unit_test(what_changed_is_said_with_dates),
		cmocka_unit_test(questions_expand_to_devices_and_subscribers),
		cmocka_unit_test(nothing_is_asked_without_right_and_case),
		cmocka_unit_test(every_look_is_evidence),
		cmocka_unit_test(rows_of_a_hot_device_come_in_pages),
		cmocka_unit_test(the_same_body_under_the_same_id_counts_once),
		cmocka_unit_test(bad_items_are_named_and_the_good_ones_taken),
		cmocka_unit_test(csv_is_taken_like_a_delivery),
		cmocka_unit_test(an_operator_learns_nothing_of_another),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}

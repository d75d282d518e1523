/* files_types_test.c - what a name and a column mean, and what becomes of a row. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "files/files_types.h"

static struct arena *arena;
static struct files_plan plan;
static const char *why;
static struct str what;

static int begin(void **state)
{
	(void)state;
	arena = arena_new(0);
	return arena ? 0 : -1;
}

static int end(void **state)
{
	(void)state;
	arena_free(arena);
	return 0;
}

static size_t split(const char *line, struct str *out)
{
	struct str rest = str_of(line), cell;
	size_t n = 0;

	while (rest.p && rest.p <= line + strlen(line) && n < TABLE_COLUMNS_MAX) {
		const char *comma = memchr(rest.p, ',', rest.n);

		cell = (struct str){rest.p, comma ? (size_t)(comma - rest.p) : rest.n};
		out[n++] = cell;
		if (!comma)
			break;
		rest = (struct str){comma + 1, rest.n - cell.n - 1};
	}
	return n;
}

static enum ceir_err make(const char *type, const char *columns)
{
	struct str names[TABLE_COLUMNS_MAX];
	char name[64];

	snprintf(name, sizeof name, "%s-x.csv", type);
	const struct files_type *t = files_type_of(str_of(name));
	assert_non_null(t);
	why = NULL;
	return files_plan_make(t, names, split(columns, names), &plan, &why, &what);
}

static struct files_record record_;

static struct table_row row_of(const char *cells)
{
	struct str texts[TABLE_COLUMNS_MAX];
	size_t n = split(cells, texts);
	struct table_cell *c = arena_array(arena, plan.n, sizeof *c);

	assert_true(n <= plan.n);
	for (size_t i = 0; i < n; i++)
		c[i] = (struct table_cell){.text = texts[i], .type = texts[i].n ? TABLE_TEXT : TABLE_EMPTY};
	return (struct table_row){.line = 1, .cells = c, .n = plan.n};
}

static void add(const char *cells, bool first)
{
	struct table_row row = row_of(cells);

	assert_int_equal(files_record_add(&plan, &row, first, STR("x.csv row 7"), arena, &record_), CEIR_OK);
}

/* "a=1 b{c=2}" */
static void print(struct buf *out, const struct reg_node *n)
{
	for (; n; n = n->next) {
		buf_printf(out, "%s%s", out->n && out->p[out->n - 1] != '{' ? " " : "", n->field->name);
		if (n->field->type == REG_GROUP) {
			buf_char(out, '{');
			print(out, n->child);
			buf_char(out, '}');
		} else {
			buf_printf(out, "=%.*s", (int)n->text.n, n->text.p);
		}
	}
}

static void assert_record(enum reg_verb verb, const char *key, const char *set)
{
	struct buf out = BUF_INIT(0);

	print(&out, record_.set);
	buf_char(&out, '\0');
	assert_string_equal(out.p, set);
	buf_free(&out);
	assert_int_equal(record_.verb, verb);
	assert_string_equal(record_.key ? record_.key->text.p : "", key);
	assert_null(record_.fault);
}

static void test_names(void **state)
{
	static const struct {
		const char *name, *type;
	} names[] = {{"permit-2026-11.xlsx", "permit"}, {"PERMIT.csv", "permit"}, {"stolen_list.csv", "stolen_list"}, {"check_shop.csv", "check"},
		{"tac.csv", "tac"}, {"gsma_tac.txt", "gsma_tac"}, {"barred_list-1.csv", "barred_list"}, {"barred_tac_list.csv", "barred_tac_list"},
		{"full-1.csv.gz", "full"}, {"epp-night.xml", "epp"}, {"permits.csv", NULL}, {"permit", NULL}, {"", NULL}, {"-permit.csv", NULL},
		{"account-1.csv", NULL}, {"policy-1.csv", NULL}, {"golden_list.csv", "golden_list"}, {"golden.csv", "golden"}};

	(void)state;
	for (size_t i = 0; i < CEIR_COUNT(names); i++) {
		const struct files_type *t = files_type_of(str_of(names[i].name));

		assert_string_equal(t ? t->name : "none", names[i].type ? names[i].type : "none");
	}
	assert_null(files_type_of((struct str){"permit\0.csv", 11}));
}

static void test_every_line_of_the_table_names_a_field(void **state)
{
	(void)state;
	for (const struct files_type *t = files_types; t->name; t++) {
		const struct reg_object *o = t->object ? reg_object_by_name(str_of(t->object)) : NULL;

		assert_true(o || !t->object);
		for (const struct files_column *c = t->columns; c && c->name; c++)
			if (c->field)
				assert_non_null(reg_field_find(o->fields, str_of(c->field)));
		for (const struct files_fixed *f = t->fixed; f->field; f++)
			assert_non_null(reg_field_find(o->fields, str_of(f->field)));
		if (t->find)
			assert_true(reg_field_find(o->fields, str_of(t->find))->flags & REG_FILTER);
	}
}

static void test_columns(void **state)
{
	(void)state;
	assert_int_equal(make("tac", "ID,Manufacturer,MODEL,rejectCode,rejectReason,code,message,svTRID"), CEIR_OK);
	assert_int_equal(make("permit", "id,importer,issued,ex_date,Number,certificate,manufacturer,model,country,quantity,price,currency"), CEIR_OK);
	assert_int_equal(make("tac", "id,manufacturer,model,colour"), CEIR_EINVAL);
	assert_string_equal(why, "Records of this type have no column \"{0}\"");
	assert_true(str_eq_c(what, "colour"));
	assert_int_equal(make("tac", "id,model"), CEIR_EINVAL);
	assert_string_equal(why, "The file has no column \"{0}\"");
	assert_true(str_eq_c(what, "manufacturer"));
	assert_int_equal(make("tac", "id,manufacturer,model,model"), CEIR_EINVAL);
	assert_string_equal(why, "The column \"{0}\" stands in the file twice");
	assert_int_equal(make("permit", "id,importer,issued,exDate"), CEIR_EINVAL);
	assert_true(str_eq_c(what, "position"));
	assert_int_equal(make("importer", "id,name,pw"), CEIR_EINVAL);
	assert_int_equal(make("stolen_list", "reporting_date,status"), CEIR_EINVAL);
	assert_true(str_eq_c(what, "imei"));
	assert_int_equal(make("stolen_list", "imei,operator_remark"), CEIR_OK);
	assert_int_equal(make("application", "imei,permit,position,status"), CEIR_EINVAL);
	assert_int_equal(make("check", "shop"), CEIR_EINVAL);
}

static void test_own_record(void **state)
{
	(void)state;
	assert_int_equal(make("certificate", "id,issued,exDate,manufacturer,model,tacs"), CEIR_OK);
	add("C-1,2026-01-01,2030-01-01,Acme,One two, 35210605  35210699 ", true);
	assert_record(REG_CREATE, "", "id=C-1 issued=2026-01-01 exDate=2030-01-01 manufacturer=Acme model=One two tac=35210605 tac=35210699");
	/* Blank cells say nothing. */
	add("C-1,,,,,", true);
	assert_record(REG_CREATE, "", "id=C-1");
}

static void test_positions(void **state)
{
	(void)state;
	assert_int_equal(make("permit", "id,importer,issued,exDate,number,certificate,manufacturer,model,country,quantity,price,currency"), CEIR_OK);
	add("P-1,I,2026-01-01,2030-01-01,1,C,M,A,KR,5,1,UAH", true);
	add("P-1,I,2026-01-01,2030-01-01,2,C,M,B,KR,6,2,UAH", false);
	assert_record(REG_CREATE, "", "id=P-1 importer=I issued=2026-01-01 exDate=2030-01-01 "
		"position{number=1 certificate=C manufacturer=M model=A country=KR quantity=5 price=1 currency=UAH} "
		"position{number=2 certificate=C manufacturer=M model=B country=KR quantity=6 price=2 currency=UAH}");
}

static void test_actions(void **state)
{
	struct reg_node *set, *more;
	uint64_t order;

	(void)state;
	assert_int_equal(make("certificate", "id,model,tac,action"), CEIR_OK);
	add("C-1,Two,35210605,update", true);
	order = record_.order;
	assert_record(REG_UPDATE, "C-1", "model=Two tac=35210605");
	files_record_split(&record_, &set, &more);
	assert_true(set && !set->next && str_eq_c(set->text, "Two"));
	assert_true(more && !more->next && str_eq_c(more->text, "35210605"));
	add("C-1,Two,35210605,DELETE", true);
	assert_record(REG_DELETE, "C-1", "");
	assert_true(record_.order == order);
	add("C-2,,,add", true);
	assert_record(REG_CREATE, "", "id=C-2");
	add("C-2,,,burn", true);
	assert_string_equal(record_.fault, "Expected create (add), update or delete (remove)");
	assert_true(str_eq_c(record_.fault_value, "burn"));

	assert_int_equal(make("listing", "id,imei,colour,reason,ground,action"), CEIR_OK);
	add("L12,,,,found,delete", true);
	assert_record(REG_DELETE, "L12", "ground=found");
	add(",352106050544203,,,found,delete", true);
	assert_record(REG_DELETE, "", "ground=found");
	assert_true(str_eq_c(record_.find, "352106050544203"));
	add("L12,352106050544203,black,stolen,x,", true);
	assert_non_null(record_.fault);
}

static struct str bands_of(const char *text)
{
	struct table_cell cells[] = {{.text = STR("35210605")}, {.text = STR("A")}, {.text = STR("B")}, {.text = str_of(text)}};
	const struct table_row row = {.cells = cells, .n = CEIR_COUNT(cells)};
	struct files_record r;

	assert_int_equal(make("gsma_tac", "tac,manufacturer,model_name,bands"), CEIR_OK);
	assert_int_equal(files_record_add(&plan, &row, true, STR("x"), arena, &r), CEIR_OK);
	for (const struct reg_node *n = r.set; n; n = n->next)
		if (strcmp(n->field->name, "rat") == 0)
			return n->text;
	return STR("none");
}

static void test_bands(void)
{
	struct buf many = BUF_INIT(0);

	assert_true(str_eq_c(bands_of("GSM 1800,GSM 900,WCDMA FDD Band I,LTE FDD BAND 3, lte FDD BAND 7 ,,BLUETOOTH"), "GSM, WCDMA, LTE, BLUETOOTH"));
	assert_true(str_eq_c(bands_of("GSM, WCDMA, LTE"), "GSM, WCDMA, LTE"));
	for (unsigned i = 0; i < 200; i++)
		buf_printf(&many, "B%u x,", i);
	buf_char(&many, '\0');
	assert_in_range(bands_of(many.p).n, 200, 255);
	buf_free(&many);
}

static void test_dirbs(void **state)
{
	(void)state;
	assert_int_equal(make("stolen_list", "imei,reporting_date,status,change_type"), CEIR_OK);
	add("35210605054420,20261124,blacklist,", true);
	assert_record(REG_CREATE, "", "imei=352106050544203 since=2026-11-24T00:00:00Z colour=black reason=stolen stage=confirmed ground=x.csv row 7");
	add("352106050544203,,,add", true);
	assert_record(REG_CREATE, "", "imei=352106050544203 colour=black reason=stolen stage=confirmed ground=x.csv row 7");
	add("352106050544203,,pending_verification,add", true);
	assert_record(REG_CREATE, "", "imei=352106050544203 colour=grey stage=provisional reason=stolen ground=x.csv row 7");
	add("352106050544203,,,remove", true);
	assert_record(REG_DELETE, "", "ground=x.csv row 7");
	/* What is no date, no IMEI, is left for the door to refuse. */
	add("3521060505442,2026112,,", true);
	assert_record(REG_CREATE, "", "imei=3521060505442 since=2026112 colour=black reason=stolen stage=confirmed ground=x.csv row 7");

	assert_int_equal(make("registration_list", "APPROVED_IMEI,make,status"), CEIR_OK);
	add("35210605054420,Acme,whitelist", true);
	assert_record(REG_CREATE, "", "imei=352106050544203 colour=white reason=other ground=x.csv row 7");
	add("35210605054420,Acme,something_else", true);
	assert_non_null(record_.fault);

	assert_int_equal(make("gsma_tac", "TAC,Manufacturer,Model Name,Bands,Allocation Date,Device Type"), CEIR_OK);
	add("35210605,Acme,One,GSM 900,05-Jan-2015,Tablet", true);
	assert_record(REG_CREATE, "", "id=35210605 manufacturer=Acme model=One rat=GSM allocated=2015-01-05 type=Tablet");
	/* The GSMA's files name a model twice; the bands are more than a field holds. */
	assert_int_equal(make("gsma_tac", "TAC,Manufacturer,Marketing Name,Model Name"), CEIR_OK);
	add("35210605,Acme,The One,A-1", true);
	assert_record(REG_CREATE, "", "id=35210605 manufacturer=Acme model=A-1");
	assert_int_equal(make("gsma_tac", "TAC,Manufacturer,Model Name,Marketing Name"), CEIR_OK);
	add("35210605,Acme,A-1,The One", true);
	assert_record(REG_CREATE, "", "id=35210605 manufacturer=Acme model=A-1");
	assert_int_equal(make("gsma_tac", "TAC,Manufacturer,Model Name,Model_Name"), CEIR_EINVAL);
	test_bands();
	assert_int_equal(make("barred_tac_list", "TAC"), CEIR_OK);
	add("35210605", true);
	assert_record(REG_CREATE, "", "tac=35210605 colour=black reason=barred ground=x.csv row 7");
	assert_int_equal(make("pairing_list", "imei,imsi,msisdn"), CEIR_OK);
	add("35210605054420,255011234567890,380501234567", true);
	assert_record(REG_CREATE, "", "imei=352106050544203 imsi=255011234567890 msisdn=380501234567 colour=white reason=other pair=only ground=x.csv row 7");
	assert_int_equal(make("golden_list", "golden_imei,change_type"), CEIR_OK);
	add("35210605054420,remove", true);
	assert_record(REG_DELETE, "352106050544203", "");
	assert_int_equal(make("monitoring_list", "imei"), CEIR_OK);
	add("35210605054420", true);
	assert_record(REG_CREATE, "", "imei=352106050544203 ground=x.csv row 7");
}

static void test_devices(void **state)
{
	struct str imeis[FILES_DEVICE_IMEIS];
	struct table_row row;
	unsigned n;

	(void)state;
	assert_int_equal(make("application", "imei,imei2,permit,position"), CEIR_OK);
	row = row_of("35210605054420,352106050544211 352106050544229,P,1");
	assert_int_equal(files_row_imeis(&plan, &row, arena, imeis, &n), CEIR_OK);
	assert_int_equal(n, 3);
	assert_true(str_eq_c(imeis[0], "352106050544203"));
	row = row_of(",,P,1");
	assert_int_equal(files_row_imeis(&plan, &row, arena, imeis, &n), CEIR_EINVAL);
	row = row_of("1 2 3 4 5 6,,P,1");
	assert_int_equal(files_row_imeis(&plan, &row, arena, imeis, &n), CEIR_ELIMIT);
}

static void test_whole_lists(void **state)
{
	static const struct {
		const char *name;
		bool full, force;
	} names[] = {{"stolen_list-full.csv", true, false}, {"stolen_list_FULL_2026.xlsx", true, false}, {"Stolen_List.full-force-1.csv", true, true},
		{"stolen_list-full-forced.csv", true, false}, {"stolen_list-fullness.csv", false, false}, {"stolen_list-1-full.csv", false, false},
		{"stolen_list.csv", false, false}, {"stolen_list-full", false, false}, {"stolen_list-force-full.csv", false, false}};
	bool force;

	(void)state;
	for (size_t i = 0; i < CEIR_COUNT(names); i++) {
		const struct files_type *t = files_type_of(str_of(names[i].name));

		assert_string_equal(t->name, "stolen_list");
		assert_int_equal(files_name_is_full(str_of(names[i].name), t, &force), names[i].full);
		assert_int_equal(force, names[i].force);
	}
	/* What the register does not show to who made it cannot be compared. */
	assert_int_equal(files_type_of(STR("pairing_list.csv"))->whole, FILES_WHOLE_REFUSED);
	assert_int_equal(files_type_of(STR("golden_list.csv"))->whole, FILES_WHOLE_REFUSED);
	assert_int_equal(files_type_of(STR("permit-full.csv"))->whole, FILES_WHOLE_NOT);
	for (const struct files_type *t = files_types; t->name; t++)
		if (t->whole == FILES_WHOLE)
			assert_true(t->find && t->fixed[0].field);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_whole_lists), cmocka_unit_test(test_names),
		cmocka_unit_test(test_every_line_of_the_table_names_a_field),
		cmocka_unit_test(test_columns),
		cmocka_unit_test(test_own_record),
		cmocka_unit_test(test_positions),
		cmocka_unit_test(test_actions),
		cmocka_unit_test(test_dirbs),
		cmocka_unit_test(test_devices),
	};

	return cmocka_run_group_tests(tests, begin, end);
}

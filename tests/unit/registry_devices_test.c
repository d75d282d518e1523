/*
 * Registration: every reason of refusal, the customer's screen, multi-SIM devices, quantities, withdrawal and registering again,
 * transfers between importers, papers that are revoked, restarts in the middle. One register for all; each test has TACs or
 * serial numbers of its own.
 */
#include "registry_world.h"

static struct world w;
static struct face *importer, *other, *customs, *nra, *lea, *admin, *pos;
static uint32_t serial = 1000;

static const struct login_of faces[] = {{&importer, "importer1"}, {&other, "importer2"}, {&customs, "customs"}, {&nra, "nra"}, {&lea, "lea"}, {&admin, "admin"}, {&pos, "pos"}};

static int make(void **state)
{
	(void)state;
	world_open(&w);
	world_settle(&w);
	faces_login(&w, faces, CEIR_COUNT(faces));
	return 0;
}

static int destroy(void **state)
{
	(void)state;
	faces_free(faces, CEIR_COUNT(faces));
	assert_int_equal(world_verify(&w, STR(""), true), 0);
	world_close(&w);
	return 0;
}

static const char *fresh(void)
{
	return imei_text(TAC, serial++);
}

static const char *keep(char *out, const char *text)
{
	strcpy(out, text);
	return out;
}

#define UNDER "permit=" PERMIT "; position=1"

/* An application of these rows, decided; its code in id. */
static void decided(struct face *f, const char *set, const char *rows, char id[32])
{
	unsigned code = apply(f, NULL, set, rows);

	if (code != REG_PENDING)
		fail_msg("%s: %u", set, code);
	snprintf(id, 32, "%s", value(f, "id"));
	wait_done(f, id);
	assert_int_equal(results(f, id, 0, 10000), REG_DONE);
}

static void refused_as(struct face *f, const char *set, const char *rows, const char *code)
{
	char id[32];

	decided(f, set, rows, id);
	const struct reg_row *last = &f->reply.rows[f->reply.n_rows - 1];
	if (strcmp(code, "accepted") == 0 ? strcmp(last->result, code) != 0 : !last->code || strcmp(last->code, code) != 0)
		fail_msg("%s: %s %s, not %s", rows, last->result, last->code ? last->code : "", code);
	if (last->code)
		assert_non_null(last->reason);
}

static void registered(struct face *f, const char *set, const char *imei)
{
	refused_as(f, set, imei, "accepted");
	assert_int_equal(info(f, "imei", imei), REG_DONE);
	assert_string_equal(value(f, "status"), "registered");
}

/* A permit of its own with one position of this quantity. */
static void permit(const char *id, const char *owner, unsigned quantity, const char *more)
{
	char set[512];

	snprintf(set, sizeof set, "id=%s; importer=%s; issued=2015-12-12; exDate=2035-12-11; %s; position{number=1; certificate=%s;"
		"manufacturer=Samsung; model=GT-P3100; country=KR; quantity=%u; price=4800; currency=UAH}", id, owner, more ? more : "",
		more && strncmp(more, "cert", 4) == 0 ? more : CERTIFICATE, quantity);
	assert_int_equal(create(customs, "permit", set), REG_DONE);
}

/* ---- the customer's screen ---- */

static void the_screen(void **state)
{
	char set[200];

	(void)state;
	snprintf(set, sizeof set, "name=" SCREEN_IMEI "; " UNDER);
	assert_int_equal(create(importer, "imei", set), REG_DONE);
	assert_string_equal(value(importer, "name"), SCREEN_IMEI);
	static const char *const shown[][2] = {{"name", SCREEN_IMEI}, {"state.colour", "white"}, {"state.reason", "registered"},
		{"status", "registered"}, {"importer", IMPORTER}, {"importerName", "Company-Importer-of-mobile-devices"}, {"permit", PERMIT},
		{"permitIssued", "2015-12-12"}, {"certificate", CERTIFICATE}, {"certificateIssued", "2015-12-09"}, {"position", "1"},
		{"manufacturer", "Samsung"}, {"model", "GT-P3100"}, {"country", "KR"}, {"price", "4800.00"}, {"currency", "UAH"},
		{"crID", "importer1"}};
	assert_int_equal(info(importer, "imei", SCREEN_IMEI), REG_DONE);
	for (size_t i = 0; i < CEIR_COUNT(shown); i++)
		assert_string_equal(value(importer, shown[i][0]), shown[i][1]);
	assert_int_equal(check(pos, "imei", SCREEN_IMEI), REG_DONE);
	assert_false(pos->reply.checks->avail);
	assert_string_equal(pos->reply.checks->reason, "Object exists");
	assert_int_equal(check(pos, "imei", fresh()), REG_DONE);
	assert_true(pos->reply.checks->avail);
	assert_int_equal(check(pos, "imei", "352106050544204"), REG_DONE);
	assert_true(pos->reply.checks->avail);
	assert_string_equal(pos->reply.checks->reason, "Object is not valid");
	assert_int_equal(create(importer, "imei", set), REG_EXISTS);
}

/* ---- refusals ---- */

static void refusals_of_the_number(void **state)
{
	char rows[64];

	(void)state;
	refused_as(importer, UNDER, " x", "not-digits");
	refused_as(importer, UNDER, "35210605054420", "too-short");
	refused_as(importer, UNDER, "3521060505442033", "too-long");
	refused_as(importer, UNDER, "352106050544204", "luhn");
	refused_as(importer, UNDER, "000000000000000", "all-same");
	refused_as(importer, UNDER, imei_text("00123456", 1), "test-tac");
	snprintf(rows, sizeof rows, "%s, %s", imei_text(TAC, 1), imei_text(TAC, 1));
	refused_as(importer, UNDER, rows, "duplicate");
	snprintf(rows, sizeof rows, "%s %s", imei_text(TAC, 2), imei_text(TAC, 2));
	refused_as(importer, UNDER, rows, "duplicate");
	char six[200] = "";
	for (unsigned i = 0; i < 6; i++)
		snprintf(six + strlen(six), sizeof six - strlen(six), " %s", fresh());
	refused_as(importer, UNDER, six + 1, "too-many-imeis");
	refused_as(importer, UNDER, imei_text(TAC, 1), "registered"); /* above, the first of the two */
	refused_as(other, "permit=P2; position=1", imei_text(TAC, 1), "registered");
	assert_null(strstr(other->reply.rows->reason, IMPORTER));
	snprintf(rows, sizeof rows, "%s %s", imei_text(TAC, 3), imei_text(TAC, 1));
	refused_as(importer, UNDER, rows, "registered");
	assert_string_equal(importer->reply.rows[0].code, "device-partner");
	assert_int_equal(info(importer, "imei", imei_text(TAC, 3)), REG_NOT_FOUND); /* never half a device */
}

static void refusals_of_the_model(void **state)
{
	char rows[64];

	(void)state;
	refused_as(importer, UNDER, imei_text("35999999", 1), "tac-unknown");
	refused_as(importer, UNDER, imei_text("01124500", 1), "tac-not-covered");
	/* Not named by the certificate, but its model. */
	refused_as(importer, UNDER, imei_text("35210699", 1), "accepted");
	assert_int_equal(update(nra, "certificate", CERTIFICATE, NULL, "tac=01124500", NULL), REG_DONE);
	refused_as(importer, UNDER, imei_text("01124500", 1), "model-mismatch");
	assert_int_equal(update(nra, "certificate", CERTIFICATE, NULL, NULL, "tac=01124500"), REG_DONE);
	assert_int_equal(create(nra, "tac", "id=35210698; manufacturer=Samsung; model=GT-P3100; status=withdrawn"), REG_DONE);
	refused_as(importer, UNDER, imei_text("35210698", 1), "tac-withdrawn");
	snprintf(rows, sizeof rows, "%s %s", imei_text("01124500", 7), fresh());
	refused_as(importer, UNDER, rows, "device-mixed");
}

static void refusals_of_the_papers(void **state)
{
	(void)state;
	permit("R-1", IMPORTER, 9, NULL);
	assert_int_equal(update(customs, "permit", "R-1", "status=revoked", NULL, NULL), REG_DONE);
	refused_as(importer, "permit=R-1; position=1", fresh(), "permit-revoked");
#define POSITION(c) "position{number=1; certificate=" c "; manufacturer=Samsung; model=GT-P3100; country=KR; quantity=9; price=1; currency=UAH}"
	assert_int_equal(create(customs, "permit", "id=R-2; importer=" IMPORTER "; issued=2098-01-01; exDate=2099-01-01;" POSITION(CERTIFICATE)),
		REG_DONE);
	refused_as(importer, "permit=R-2; position=1", fresh(), "permit-not-yet-valid");
	assert_int_equal(create(customs, "permit", "id=R-3; importer=" IMPORTER "; issued=2018-01-01; exDate=2019-01-01;" POSITION(CERTIFICATE)),
		REG_DONE);
	refused_as(importer, "permit=R-3; position=1", fresh(), "permit-expired");
	assert_int_equal(renew(customs, "permit", "R-3", "curExDate=2019-01-02; exDate=2035-01-01"), REG_POLICY);
	assert_int_equal(renew(customs, "permit", "R-3", "curExDate=2019-01-01; exDate=2019-01-01"), REG_RANGE);
	assert_int_equal(renew(customs, "permit", "R-3", "curExDate=2019-01-01; exDate=2035-01-01"), REG_DONE);
	refused_as(importer, "permit=R-3; position=1", fresh(), "accepted");
	static const char *const certificates[][2] = {{"2098-01-01", "2099-01-01"}, {"2018-01-01", "2019-01-01"}, {"2018-01-01", "2035-01-01"}};
	static const char *const codes[] = {"certificate-not-yet-valid", "certificate-expired", "certificate-revoked"};
	for (unsigned i = 0; i < 3; i++) {
		char set[512], under[64];

		snprintf(set, sizeof set, "id=RC-%u; issued=%s; exDate=%s; manufacturer=Samsung; model=GT-P3100; status=%s", i,
			certificates[i][0], certificates[i][1], i == 2 ? "revoked" : "valid");
		assert_int_equal(create(nra, "certificate", set), REG_DONE);
		snprintf(set, sizeof set, "id=RP-%u; importer=" IMPORTER "; issued=2018-01-01; exDate=2035-01-01; position{number=1;"
			"certificate=RC-%u; manufacturer=Samsung; model=GT-P3100; country=KR; quantity=9; price=1; currency=UAH}", i, i);
		assert_int_equal(create(customs, "permit", set), REG_DONE);
		snprintf(under, sizeof under, "permit=RP-%u; position=1", i);
		refused_as(importer, under, fresh(), codes[i]);
	}
	/* The importer itself. */
	permit("R-4", IMPORTER2, 9, NULL);
	assert_int_equal(update(customs, "importer", IMPORTER2, "status=suspended", NULL, NULL), REG_DONE);
	refused_as(other, "permit=R-4; position=1", fresh(), "importer-inactive");
	assert_int_equal(update(customs, "importer", IMPORTER2, "status=active", NULL, NULL), REG_DONE);
	refused_as(other, "permit=R-4; position=1", fresh(), "accepted");
	assert_int_equal(apply(importer, NULL, "permit=R-4; position=1", fresh()), REG_NOT_FOUND); /* somebody else's: as if it were not */
	assert_int_equal(apply(importer, NULL, "permit=R-1; position=2", fresh()), REG_NOT_FOUND);
	assert_int_equal(apply(importer, NULL, "permit=R-1", fresh()), REG_MISSING);
}

static void blacklisted(void **state)
{
	char a[16], set[128];

	(void)state;
	snprintf(set, sizeof set, "imei=%s; colour=black; reason=stolen; ground=case", keep(a, fresh()));
	assert_int_equal(create(lea, "listing", set), REG_DONE);
	refused_as(importer, UNDER, a, "blacklisted");
}

static void quantity(void **state)
{
	char rows[64], a[16];

	(void)state;
	permit("Q-1", IMPORTER, 2, NULL);
	/* Two IMEIs are one device and one unit; a device that is refused takes none. */
	snprintf(rows, sizeof rows, "%s %s", fresh(), fresh());
	refused_as(importer, "permit=Q-1; position=1", rows, "accepted");
	refused_as(importer, "permit=Q-1; position=1", "352106050544204", "luhn");
	registered(importer, "permit=Q-1; position=1", keep(a, fresh()));
	refused_as(importer, "permit=Q-1; position=1", fresh(), "quantity");
	snprintf(rows, sizeof rows, "name=%s; permit=Q-1; position=1", fresh());
	assert_int_equal(create(importer, "imei", rows), REG_POLICY);
	assert_int_equal(info(importer, "permit", "Q-1"), REG_DONE);
	assert_string_equal(value(importer, "position.used"), "2");
	assert_int_equal(update(customs, "permit", "Q-1", "position{number=1; quantity=1}", NULL, NULL), REG_POLICY);
	assert_int_equal(update(customs, "permit", "Q-1", "position{number=1; model=Other}", NULL, NULL), REG_ASSOCIATION);
	/* What is withdrawn gives its unit back. */
	assert_int_equal(remove_(importer, "imei", a, NULL), REG_DONE);
	refused_as(importer, "permit=Q-1; position=1", fresh(), "accepted");
	assert_int_equal(update(customs, "permit", "Q-1", "position{number=1; quantity=3}", NULL, NULL), REG_DONE);
	refused_as(importer, "permit=Q-1; position=1", fresh(), "accepted");
}

/* ---- applications ---- */

static void staged_and_submitted(void **state)
{
	char id[32], rows[64];

	(void)state;
	assert_int_equal(apply(importer, NULL, UNDER "; status=staged; reference=box 7", "352106050544204"), REG_DONE);
	keep(id, value(importer, "id"));
	snprintf(rows, sizeof rows, "%s %s, 1", fresh(), fresh());
	assert_int_equal(apply(importer, id, NULL, rows), REG_DONE);
	assert_int_equal(results(importer, id, 0, 10), REG_DONE);
	assert_int_equal(importer->reply.n_rows, 4);
	assert_string_equal(importer->reply.rows[3].result, "pending");
	assert_int_equal(apply(other, id, NULL, fresh()), REG_AUTHORIZATION);
	assert_int_equal(info(other, "application", id), REG_AUTHORIZATION);
	assert_int_equal(apply(customs, id, NULL, fresh()), REG_AUTHORIZATION);
	assert_int_equal(apply(importer, id, "status=done", ""), REG_RANGE);
	assert_int_equal(apply(importer, id, "status=submitted", ""), REG_PENDING);
	wait_done(importer, id);
	assert_int_equal(apply(importer, id, NULL, fresh()), REG_STATUS);
	assert_int_equal(apply(importer, id, "status=submitted", ""), REG_STATUS);
	assert_int_equal(remove_(importer, "application", id, NULL), REG_STATUS);
	/* Pages. */
	assert_int_equal(results(importer, id, 1, 2), REG_DONE);
	assert_int_equal(importer->reply.n_rows, 2);
	assert_int_equal(importer->reply.rows[0].line, 2);
	assert_string_equal(importer->reply.rows[1].result, "accepted");
	assert_false(importer->reply.rows[1].first_of_device);
	assert_int_equal(results(importer, id, 4, 10), REG_DONE);
	assert_int_equal(importer->reply.n_rows, 0);
	assert_int_equal(results(importer, id, UINT64_MAX, UINT32_MAX), REG_DONE);
	assert_int_equal(importer->reply.n_rows, 0);
	assert_string_equal(value(importer, "accepted"), "2");
	assert_string_equal(value(importer, "refused"), "2");
	/* The message says so, once, to who asked. */
	while (poll(importer, NULL) == REG_MESSAGE && !str_eq_c(importer->reply.message->args[0], id)) {
		char ack[32];
		snprintf(ack, sizeof ack, "%s", importer->reply.message->id.p);
		assert_int_equal(poll(importer, ack), REG_DONE);
	}
	assert_int_equal(importer->reply.code, REG_MESSAGE);
	assert_true(str_eq_c(importer->reply.message->args[1], "2"));
}

static void without_rows(void **state)
{
	static const struct reg_device nothing = {NULL, 0};
	char id[32];

	(void)state;
	assert_int_equal(apply(importer, NULL, UNDER, ""), REG_DONE);
	keep(id, value(importer, "id"));
	assert_int_equal(apply(importer, id, "status=submitted", ""), REG_STATUS);
	/* A device of no IMEI is no row: it would leave an application that is never done. */
	struct reg_node key = {.field = reg_object_by_name(STR("application"))->fields, .text = str_of(id)};
	struct reg_command c = {.verb = REG_UPDATE, .object = reg_object_by_name(STR("application")), .key = &key, .devices = &nothing,
		.n_devices = 1};
	assert_int_equal(face_do(importer, &c), REG_MISSING);
	assert_int_equal(remove_(importer, "application", id, NULL), REG_DONE);
	assert_int_equal(remove_(importer, "application", id, NULL), REG_STATUS);
}

static void personal(void **state)
{
	char a[16], rows[64], id[32];

	(void)state;
	assert_int_equal(apply(pos, NULL, NULL, keep(a, fresh())), REG_PENDING);
	keep(id, value(pos, "id"));
	assert_int_equal(apply(pos, id, "status=submitted", ""), REG_AUTHORIZATION);
	assert_int_equal(apply(importer, NULL, "kind=personal", a), REG_AUTHORIZATION);
	assert_int_equal(apply(pos, NULL, "kind=import; " UNDER, a), REG_AUTHORIZATION);
	assert_int_equal(apply(pos, NULL, UNDER, a), REG_POLICY);
	snprintf(rows, sizeof rows, "%s, %s, %s", fresh(), fresh(), fresh());
	assert_int_equal(apply(pos, NULL, NULL, rows), REG_POLICY);
	assert_verdict(pos, a, "unknown", "never-heard");
	assert_int_equal(apply(customs, id, "status=submitted", ""), REG_PENDING);
	wait_done(customs, id);
	assert_verdict(pos, a, "white", "registered");
	/* Nobody's device can be asked for. */
	assert_int_equal(transfer(importer, REG_OP_REQUEST, a), REG_NOT_TRANSFERABLE);
}

/* A position can be corrected away under a staged application; then its rows are told so. */
static void position_missing(void **state)
{
	char id[32];

	(void)state;
	permit("M-1", IMPORTER, 5, NULL);
	assert_int_equal(update(customs, "permit", "M-1", NULL, "position{number=2; certificate=" CERTIFICATE "; manufacturer=Samsung;"
		"model=GT-P3100; country=KR; quantity=5; price=1; currency=UAH}", NULL), REG_DONE);
	assert_int_equal(apply(importer, NULL, "permit=M-1; position=2; status=staged", fresh()), REG_DONE);
	keep(id, value(importer, "id"));
	assert_int_equal(update(customs, "permit", "M-1", NULL, NULL, "position{number=2}"), REG_DONE);
	assert_int_equal(apply(importer, id, "status=submitted", ""), REG_PENDING);
	wait_done(importer, id);
	assert_int_equal(results(importer, id, 0, 1), REG_DONE);
	assert_string_equal(importer->reply.rows[0].code, "position-missing");
}

/* ---- withdrawal ---- */

static void withdrawn_device_keeps_its_papers(void **state)
{
	char a[16], set[128];

	(void)state;
	permit("W-1", IMPORTER, 1, NULL);
	registered(importer, "permit=W-1; position=1", keep(a, fresh()));
	assert_int_equal(remove_(importer, "imei", a, NULL), REG_DONE);
	assert_verdict(pos, a, "grey", "withdrawn");
	assert_int_equal(remove_(importer, "imei", a, NULL), REG_STATUS);
	assert_int_equal(remove_(other, "imei", a, NULL), REG_AUTHORIZATION);
	/* The unit is free, but the position is part of the history: without it nothing about this IMEI could be decided any more. */
	assert_int_equal(update(customs, "permit", "W-1", NULL, NULL, "position{number=1}"), REG_ASSOCIATION);
	assert_int_equal(remove_(customs, "permit", "W-1", NULL), REG_ASSOCIATION);
	assert_int_equal(info(importer, "imei", a), REG_DONE);
	assert_string_equal(value(importer, "status"), "withdrawn");
	assert_int_equal(info(other, "imei", a), REG_AUTHORIZATION);
	snprintf(set, sizeof set, "imei=%s; colour=black; reason=stolen; ground=case", a);
	assert_int_equal(create(lea, "listing", set), REG_DONE);
	assert_verdict(pos, a, "black", "stolen");
}

static void registered_again_by_another(void **state)
{
	char a[16], set[160];

	(void)state;
	snprintf(set, sizeof set, "name=%s; " UNDER "; tag{type=serial; value=SN-9}", keep(a, fresh()));
	assert_int_equal(create(importer, "imei", set), REG_DONE);
	assert_int_equal(remove_(importer, "imei", a, NULL), REG_DONE);
	snprintf(set, sizeof set, "name=%s; permit=P2; position=1; tag{type=serial; value=SN-9}", a);
	assert_int_equal(create(other, "imei", set), REG_DONE); /* the serial number is still its own */
	assert_int_equal(info(other, "imei", a), REG_DONE);
	assert_string_equal(value(other, "price"), "77.00");
	assert_int_equal(info(importer, "imei", a), REG_AUTHORIZATION);
	assert_int_equal(remove_(importer, "imei", a, NULL), REG_AUTHORIZATION);
}

/* A refusal after the device was written must leave nothing: neither rows nor numbers of changes. */
static void a_bad_tag_refuses_the_device(void **state)
{
	char a[16], set[160];

	(void)state;
	snprintf(set, sizeof set, "name=%s; " UNDER "; tag{type=meid; value=nonsense}", keep(a, fresh()));
	assert_int_equal(create(importer, "imei", set), REG_VALUE);
	assert_int_equal(info(importer, "imei", a), REG_NOT_FOUND);
	assert_verdict(pos, a, "unknown", "never-heard");
	registered(importer, UNDER, a);
	assert_int_equal(world_verify(&w, STR(""), true), 0);
	assert_int_equal(update(importer, "imei", a, NULL, "tag{type=meid; value=A1000012345678}", NULL), REG_DONE);
	assert_int_equal(update(importer, "imei", a, NULL, "tag{type=meid; value=A1000012345678}", NULL), REG_EXISTS);
	assert_int_equal(update(importer, "imei", a, NULL, NULL, "tag{type=serial; value=none}"), REG_NOT_FOUND);
}

/* {A B} withdrawn, then {A C D E F}: B is of no device, and F must not fall off the end. */
static void partners_of_a_former_device(void **state)
{
	char n[6][16], rows[128];

	(void)state;
	for (unsigned i = 0; i < 6; i++)
		keep(n[i], fresh());
	snprintf(rows, sizeof rows, "%s %s", n[0], n[1]);
	refused_as(importer, UNDER, rows, "accepted");
	assert_int_equal(info(importer, "imei", n[0]), REG_DONE);
	assert_string_equal(value(importer, "imei"), n[1]);
	assert_int_equal(remove_(importer, "imei", n[1], NULL), REG_DONE);
	snprintf(rows, sizeof rows, "%s %s %s %s %s", n[0], n[2], n[3], n[4], n[5]);
	refused_as(importer, UNDER, rows, "accepted");
	assert_int_equal(info(importer, "imei", n[0]), REG_DONE);
	unsigned partners = 0;
	for (const struct reg_node *node = importer->reply.fields; node; node = node->next)
		if (strcmp(node->field->name, "imei") == 0) {
			assert_string_not_equal(node->text.p, n[1]);
			partners++;
		}
	assert_int_equal(partners, 4);
	assert_int_equal(remove_(importer, "imei", n[0], NULL), REG_DONE);
	for (unsigned i = 0; i < 6; i++)
		assert_verdict(pos, n[i], "grey", "withdrawn");
}

/* ---- transfers ---- */

static void transferred(void **state)
{
	char a[16], b[16], rows[64];
	static const char *const hidden[] = {"permit", "permitIssued", "position", "price", "currency", "application", "crID"};

	(void)state;
	snprintf(rows, sizeof rows, "%s %s", keep(a, fresh()), keep(b, fresh()));
	refused_as(importer, UNDER, rows, "accepted");
	assert_int_equal(transfer(other, REG_OP_QUERY, a), REG_NO_PENDING_TRANSFER);
	assert_int_equal(transfer(other, REG_OP_REQUEST, b), REG_PENDING);
	/* Who holds it is not told to who asks. */
	assert_string_equal(value(other, "trStatus"), "pending");
	assert_string_equal(value(other, "reID"), IMPORTER2);
	assert_null(value(other, "acID"));
	assert_int_equal(transfer(other, REG_OP_QUERY, a), REG_DONE);
	assert_null(value(other, "acID"));
	assert_int_equal(transfer(other, REG_OP_REQUEST, a), REG_PENDING_TRANSFER);
	assert_int_equal(transfer(other, REG_OP_APPROVE, a), REG_AUTHORIZATION);
	assert_int_equal(transfer(importer, REG_OP_CANCEL, a), REG_AUTHORIZATION);
	assert_int_equal(transfer(importer, REG_OP_REQUEST, a), REG_NOT_TRANSFERABLE);
	assert_int_equal(transfer(importer, REG_OP_REJECT, a), REG_DONE);
	assert_int_equal(transfer(other, REG_OP_QUERY, a), REG_DONE);
	assert_string_equal(value(other, "trStatus"), "clientRejected");
	assert_null(value(other, "acID"));
	assert_int_equal(transfer(other, REG_OP_REQUEST, a), REG_PENDING);
	assert_int_equal(transfer(other, REG_OP_CANCEL, a), REG_DONE);
	assert_int_equal(transfer(importer, REG_OP_APPROVE, a), REG_NO_PENDING_TRANSFER);
	assert_int_equal(transfer(other, REG_OP_REQUEST, a), REG_PENDING);
	assert_int_equal(transfer(importer, REG_OP_APPROVE, b), REG_DONE);
	/* Both IMEIs have moved; the old papers stay the old importer's business. */
	for (unsigned i = 0; i < 2; i++) {
		assert_int_equal(info(other, "imei", i ? b : a), REG_DONE);
		assert_string_equal(value(other, "importer"), IMPORTER2);
		assert_string_equal(value(other, "certificate"), CERTIFICATE);
		for (size_t k = 0; k < CEIR_COUNT(hidden); k++)
			assert_null(value(other, hidden[k]));
		assert_int_equal(info(importer, "imei", i ? b : a), REG_AUTHORIZATION);
		assert_verdict(pos, i ? b : a, "white", "registered");
	}
	assert_int_equal(info(admin, "imei", a), REG_DONE);
	assert_string_equal(value(admin, "permit"), PERMIT);
	/* The unit stays with the position it was imported under. */
	assert_int_equal(remove_(importer, "imei", a, NULL), REG_AUTHORIZATION);
	assert_int_equal(remove_(other, "imei", a, NULL), REG_DONE);
	assert_verdict(pos, b, "grey", "withdrawn");
	/* Who owns devices cannot be deleted. */
	assert_int_equal(remove_(customs, "importer", IMPORTER2, NULL), REG_ASSOCIATION);
}

/* The query of the old importer's application does not show what the new owner made of the device. */
static void handed_over_devices_leave_the_old_list(void **state)
{
	char a[16], b[16], c[16], rows[64], id[32], set[128];

	(void)state;
	snprintf(rows, sizeof rows, "%s, %s, %s", keep(a, fresh()), keep(b, fresh()), keep(c, fresh()));
	decided(importer, UNDER, rows, id);
	assert_int_equal(transfer(other, REG_OP_REQUEST, a), REG_PENDING);
	assert_int_equal(transfer(importer, REG_OP_APPROVE, a), REG_DONE);
	assert_int_equal(remove_(importer, "imei", b, NULL), REG_DONE);
	snprintf(set, sizeof set, "name=%s; permit=P2; position=1", b);
	assert_int_equal(create(other, "imei", set), REG_DONE);
	struct reg_filter filter = {STR("application"), REG_EQ, str_of(id)};
	struct reg_query q = {.filters = &filter, .n_filters = 1};
	assert_int_equal(query(importer, "imei", &q), REG_DONE);
	assert_int_equal(importer->reply.page->n_items, 1);
	assert_string_equal(value_of(importer->reply.page->items[0], "name"), c);
	assert_int_equal(query(customs, "imei", &q), REG_DONE);
	assert_int_equal(customs->reply.page->n_items, 3);
	assert_int_equal(query(other, "imei", &q), REG_AUTHORIZATION);
}

/* A asks B's device; B withdraws it; C registers it: the old request must not give it to A. */
static void a_pending_transfer_ends_with_the_registration(void **state)
{
	char a[16], set[128];

	(void)state;
	registered(importer, UNDER, keep(a, fresh()));
	assert_int_equal(transfer(other, REG_OP_REQUEST, a), REG_PENDING);
	assert_int_equal(remove_(importer, "imei", a, NULL), REG_DONE);
	assert_int_equal(transfer(importer, REG_OP_APPROVE, a), REG_NOT_FOUND);
	snprintf(set, sizeof set, "name=%s; " UNDER, a);
	assert_int_equal(create(importer, "imei", set), REG_DONE);
	assert_int_equal(transfer(other, REG_OP_QUERY, a), REG_DONE);
	assert_string_equal(value(other, "trStatus"), "serverCancelled");
	assert_int_equal(transfer(importer, REG_OP_APPROVE, a), REG_NO_PENDING_TRANSFER);
	assert_int_equal(info(importer, "imei", a), REG_DONE);
}

static void only_active_importers_gain_devices(void **state)
{
	char a[16];

	(void)state;
	registered(importer, UNDER, keep(a, fresh()));
	assert_int_equal(update(customs, "importer", IMPORTER2, "status=suspended", NULL, NULL), REG_DONE);
	assert_int_equal(transfer(other, REG_OP_REQUEST, a), REG_STATUS);
	assert_int_equal(update(customs, "importer", IMPORTER2, "status=active", NULL, NULL), REG_DONE);
	assert_int_equal(transfer(other, REG_OP_REQUEST, a), REG_PENDING);
	assert_int_equal(transfer(other, REG_OP_CANCEL, a), REG_DONE);
}

/* ---- ripples ---- */

static void papers_ripple(void **state)
{
	char n[3][16], rows[64];

	(void)state;
	assert_int_equal(create(nra, "certificate", "id=RIP-C; issued=2015-12-09; exDate=2035-12-08; manufacturer=Samsung; model=GT-P3100"),
		REG_DONE);
	assert_int_equal(create(customs, "permit", "id=RIP-P; importer=" IMPORTER2 "; issued=2015-12-12; exDate=2035-12-11;" POSITION("RIP-C")),
		REG_DONE);
	snprintf(rows, sizeof rows, "%s %s, %s", keep(n[0], fresh()), keep(n[1], fresh()), keep(n[2], fresh()));
	refused_as(other, "permit=RIP-P; position=1", rows, "accepted");
	const struct {
		struct face *who;
		const char *object, *key, *bad, *good, *reason;
	} papers[] = {{customs, "permit", "RIP-P", "status=revoked", "status=valid", "permit-revoked"},
		{nra, "certificate", "RIP-C", "status=revoked", "status=valid", "certificate-revoked"},
		{customs, "importer", IMPORTER2, "status=revoked", "status=active", "importer-revoked"}};
	for (size_t i = 0; i < CEIR_COUNT(papers); i++) {
		assert_int_equal(update(papers[i].who, papers[i].object, papers[i].key, papers[i].bad, NULL, NULL), REG_DONE);
		for (unsigned k = 0; k < 3; k++)
			wait_verdict(pos, n[k], "grey", papers[i].reason);
		assert_int_equal(update(papers[i].who, papers[i].object, papers[i].key, papers[i].good, NULL, NULL), REG_DONE);
		for (unsigned k = 0; k < 3; k++)
			wait_verdict(pos, n[k], "white", "registered");
	}
	/* Still registered while its papers are revoked: nobody can register it anew. */
	assert_int_equal(update(customs, "permit", "RIP-P", "status=revoked", NULL, NULL), REG_DONE);
	wait_verdict(pos, n[0], "grey", "permit-revoked");
	refused_as(importer, UNDER, n[0], "registered");
	assert_int_equal(renew(customs, "permit", "RIP-P", "curExDate=2035-12-11; exDate=2036-12-11"), REG_NOT_RENEWABLE);
	assert_int_equal(remove_(nra, "certificate", "RIP-C", NULL), REG_ASSOCIATION);
	/* Stolen meanwhile: black whatever the papers say. */
	char set[128];
	snprintf(set, sizeof set, "imei=%s; colour=black; reason=stolen; ground=case", n[0]);
	assert_int_equal(create(lea, "listing", set), REG_DONE);
	assert_int_equal(update(customs, "permit", "RIP-P", "status=valid", NULL, NULL), REG_DONE);
	wait_verdict(pos, n[2], "white", "registered");
	assert_verdict(pos, n[0], "black", "stolen");
}

/* ---- restart ---- */

#define MANY 3000

/* An application of many parts; the register is stopped while it is at work, and goes on where it was. */
static void restart_in_the_middle(void **state)
{
	char id[32], *rows = malloc(MANY * 17 + 1);
	uint32_t first = 500000;

	(void)state;
	permit("S-1", IMPORTER, MANY, NULL);
	assert_int_equal(apply(importer, NULL, "permit=S-1; position=1; status=staged", imei_text(TAC, first)), REG_DONE);
	keep(id, value(importer, "id"));
	for (uint32_t part = 0; part < 10; part++) {
		char *p = rows;

		/* The first of each part stood in the part before. */
		for (uint32_t i = 0; i < MANY / 10; i++)
			p += sprintf(p, "%s%s", i ? "," : "", imei_text(TAC, first + part * (MANY / 10) + i));
		assert_int_equal(apply(importer, id, NULL, rows), REG_DONE);
	}
	free(rows);
	assert_int_equal(apply(importer, id, "status=submitted", ""), REG_PENDING);
	for (unsigned i = 0; i < 5; i++) {
		faces_free(faces, CEIR_COUNT(faces));
		world_stop(&w);
		assert_int_equal(world_verify(&w, STR(""), true), 0);
		world_start(&w);
		faces_login(&w, faces, CEIR_COUNT(faces));
	}
	wait_done(importer, id);
	assert_string_equal(value(importer, "rows"), "3001");
	assert_string_equal(value(importer, "accepted"), "3000");
	assert_string_equal(value(importer, "refused"), "1");
	assert_int_equal(results(importer, id, 0, 10), REG_DONE);
	assert_string_equal(importer->reply.rows[1].code, "duplicate");
	assert_int_equal(info(importer, "permit", "S-1"), REG_DONE);
	assert_string_equal(value(importer, "position.used"), "3000");
	for (uint32_t i = 0; i < MANY; i += 100)
		assert_verdict(pos, imei_text(TAC, first + i), "white", "registered");
}

/* ---- many at once ---- */

/* A page shows each device as it is shown alone, whatever papers its neighbours have. */
static void neighbours_in_a_page(void **state)
{
	static const char *const fields[] = {"status", "application", "permit", "price", "importer", "manufacturer", "state.reason"};
	static char shown[4][CEIR_COUNT(fields)][64];
	char imeis[4][16], rows[64], id[32];
	struct reg_filter f = {STR("name"), REG_GE, {NULL, 0}};
	struct reg_query q = {.filters = &f, .n_filters = 1, .limit = 4};

	(void)state;
	for (unsigned i = 0; i < 4; i++)
		keep(imeis[i], fresh());
	permit("N-1", IMPORTER, 4, NULL);
	permit("N-2", IMPORTER, 1, NULL);
	/* The first, the third and the last are of one application; the last is withdrawn. */
	snprintf(rows, sizeof rows, "%s, %s, %s", imeis[0], imeis[2], imeis[3]);
	decided(importer, "permit=N-1; position=1", rows, id);
	decided(importer, "permit=N-2; position=1", imeis[1], id);
	assert_int_equal(remove_(importer, "imei", imeis[3], NULL), REG_DONE);
	f.value = str_of(imeis[0]);
	assert_int_equal(query(customs, "imei", &q), REG_DONE);
	assert_int_equal(customs->reply.page->n_items, 4);
	for (unsigned i = 0; i < 4; i++)
		for (size_t k = 0; k < CEIR_COUNT(fields); k++)
			snprintf(shown[i][k], sizeof shown[i][k], "%s", value_of(customs->reply.page->items[i], fields[k]));
	for (unsigned i = 0; i < 4; i++) {
		assert_int_equal(info(customs, "imei", imeis[i]), REG_DONE);
		for (size_t k = 0; k < CEIR_COUNT(fields); k++)
			assert_string_equal(shown[i][k], value(customs, fields[k]));
	}
	assert_string_equal(shown[0][2], "N-1");
	assert_string_equal(shown[1][2], "N-2");
	assert_string_equal(shown[2][0], "registered");
	assert_string_equal(shown[3][0], "withdrawn");
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(the_screen), cmocka_unit_test(refusals_of_the_number),
		cmocka_unit_test(refusals_of_the_model), cmocka_unit_test(refusals_of_the_papers), cmocka_unit_test(blacklisted),
		cmocka_unit_test(quantity), cmocka_unit_test(staged_and_submitted), cmocka_unit_test(without_rows), cmocka_unit_test(personal),
		cmocka_unit_test(position_missing), cmocka_unit_test(withdrawn_device_keeps_its_papers),
		cmocka_unit_test(registered_again_by_another), cmocka_unit_test(a_bad_tag_refuses_the_device),
		cmocka_unit_test(partners_of_a_former_device), cmocka_unit_test(transferred),
		cmocka_unit_test(handed_over_devices_leave_the_old_list), cmocka_unit_test(a_pending_transfer_ends_with_the_registration),
		cmocka_unit_test(only_active_importers_gain_devices), cmocka_unit_test(papers_ripple), cmocka_unit_test(neighbours_in_a_page), cmocka_unit_test(restart_in_the_middle)};

	return cmocka_run_group_tests(tests, make, destroy);
}

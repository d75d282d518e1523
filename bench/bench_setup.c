/*
 * bench_setup.c - fills an empty register with what a load needs: an account of each role that works on it, one importer with
 * one permit for a hundred million devices, its certificate, and the type allocation codes.
 */
#include "bench.h"

#include <limits.h>
#include <string.h>

#define NS "urn:ceir:params:xml:ns:"
#define IMPORTER "BENCH-IMPORTER"
#define CERTIFICATE "BENCH/CERT"

static enum ceir_err setup_account(const struct bench_options *o, struct bench_session *admin, const char *id, const char *role)
{
	char path[PATH_MAX], inner[2048], fingerprint[65];
	uint8_t sha256[32];
	struct str answer;
	bool importer = strcmp(role, "importer") == 0;
	enum ceir_err err;

	snprintf(path, sizeof path, "%s/keys/%s.crt", o->dir, id);
	if ((err = tls_cert_sha256(path, sha256)) != CEIR_OK) {
		fprintf(stderr, "bench_epp: cannot read %s: %s; `ceird cert DIR %s` makes it\n", path, ceir_err_text(err), id);
		return err;
	}
	for (size_t i = 0; i < sizeof sha256; i++)
		snprintf(fingerprint + 2 * i, 3, "%02x", sha256[i]);
	snprintf(inner, sizeof inner,
		"<create><create xmlns=\"" NS "account-1.0\"><id>%s</id><role>%s</role><pw>" BENCH_PASSWORD "</pw>%s"
		"<certificate>%s</certificate></create></create>",
		id, role, importer ? "<importer>" IMPORTER "</importer>" : "", fingerprint);
	return bench_session_ask(admin, inner, 1000, &answer);
}

/* The importer's account needs the importer, which customs enter; so it comes after the papers. */
static enum ceir_err setup_accounts(const struct bench_options *o, bool importer)
{
	static const char *const roles[][2] = {{"bench-customs", "customs"}, {"bench-nra", "nra"}, {"bench-lea", "lea"}};
	struct bench_session *s = NULL;
	enum ceir_err err = bench_session_open(o, "admin", &s);

	if (importer && err == CEIR_OK)
		err = setup_account(o, s, "bench-importer", "importer");
	for (size_t i = 0; !importer && err == CEIR_OK && i < CEIR_COUNT(roles); i++)
		err = setup_account(o, s, roles[i][0], roles[i][1]);
	bench_session_close(s);
	return err;
}

static enum ceir_err setup_tacs(const struct bench_options *o, struct bench_session *nra)
{
	char inner[1024], tac[TAC_DIGITS + 1];
	struct str answer;
	enum ceir_err err = CEIR_OK;

	for (unsigned i = 0; err == CEIR_OK && i < o->tacs; i++) {
		tac_print(bench_tac(i), tac);
		snprintf(inner, sizeof inner,
			"<create><create xmlns=\"" NS
			"tac-1.0\"><id>%s</id><manufacturer>Bench</manufacturer><model>One</model></create></create>",
			tac);
		err = bench_session_ask(nra, inner, 1000, &answer);
	}
	return err;
}

static enum ceir_err setup_certificate(const struct bench_options *o, struct bench_session *nra)
{
	struct buf inner = BUF_INIT(0);
	char tac[TAC_DIGITS + 1];
	struct str answer;
	enum ceir_err err;

	buf_c(&inner, "<create><create xmlns=\"" NS "certificate-1.0\"><id>" CERTIFICATE "</id><issued>2026-01-01</issued>"
		      "<exDate>2099-12-31</exDate><manufacturer>Bench</manufacturer><model>One</model>");
	for (unsigned i = 0; i < o->tacs; i++) {
		tac_print(bench_tac(i), tac);
		buf_printf(&inner, "<tac>%s</tac>", tac);
	}
	buf_put(&inner, "</create></create>", sizeof "</create></create>"); /* with its NUL */
	err = inner.failed ? CEIR_ENOMEM : bench_session_ask(nra, inner.p, 1000, &answer);
	buf_free(&inner);
	return err;
}

static enum ceir_err setup_nra(const struct bench_options *o)
{
	struct bench_session *s = NULL;
	enum ceir_err err = bench_session_open(o, "bench-nra", &s);

	if (err == CEIR_OK && (err = setup_tacs(o, s)) == CEIR_OK)
		err = setup_certificate(o, s);
	bench_session_close(s);
	return err;
}

static enum ceir_err setup_customs(const struct bench_options *o)
{
	struct bench_session *s = NULL;
	struct str answer;
	enum ceir_err err = bench_session_open(o, "bench-customs", &s);

	if (err == CEIR_OK)
		err = bench_session_ask(s,
			"<create><create xmlns=\"" NS "importer-1.0\"><id>" IMPORTER "</id><name>Bench</name></create></create>",
			1000, &answer);
	if (err == CEIR_OK)
		err = bench_session_ask(s,
			"<create><create xmlns=\"" NS "permit-1.0\"><id>" BENCH_PERMIT "</id><importer>" IMPORTER "</importer>"
			"<issued>2026-01-01</issued><exDate>2099-12-31</exDate><position><number>1</number>"
			"<certificate>" CERTIFICATE
			"</certificate><manufacturer>Bench</manufacturer><model>One</model><country>KR</country>"
			"<quantity>100000000</quantity><price>4800.00</price><currency>UAH</currency></position></create></create>",
			1000, &answer);
	bench_session_close(s);
	return err;
}

enum ceir_err bench_setup(const struct bench_options *o)
{
	enum ceir_err err;

	if ((err = setup_accounts(o, false)) != CEIR_OK || (err = setup_nra(o)) != CEIR_OK || (err = setup_customs(o)) != CEIR_OK)
		return err;
	return setup_accounts(o, true);
}

/*
 * registry_verify.c - does everything agree with itself? The store checks the database, the change log and the audit chain;
 * here every verdict is derived again from the facts and compared, and an exported head is looked for on the chain.
 */
#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "registry/registry_internal.h"

struct verify {
	struct exec x;
	struct reg_reply reply;
	int64_t application;                   /* registration of the last application is kept: neighbours share it */
	enum policy_registration registration;
	store_report report;
	void *ctx;
	unsigned faults;
};

static enum ceir_err check_imei(void *ctx, const struct store_imei *row)
{
	struct verify *v = ctx;
	struct policy_facts facts;
	char line[120], text[IMEI_DIGITS + 1];
	enum ceir_err err = CEIR_OK;

	if (row->application && row->application != v->application) {
		arena_reset(v->x.arena);
		err = reg_registration(&v->x, row->application, &v->registration);
		v->application = row->application;
	}
	if (!err)
		err = reg_facts(&v->x, row->imei, row, v->registration, &facts);
	if (err || verdict_pack(policy_verdict(&facts)) == row->verdict)
		return err;
	imei_print(row->imei, text);
	snprintf(line, sizeof line, "verdict: IMEI %s has %s/%s, the rules say %s/%s", text,
		verdict_colour_name(verdict_unpack(row->verdict).colour), verdict_reason_name(verdict_unpack(row->verdict).reason),
		verdict_colour_name(policy_verdict(&facts).colour), verdict_reason_name(policy_verdict(&facts).reason));
	if (v->faults++ < 20)
		v->report(v->ctx, line);
	return CEIR_OK;
}

/* Barred TACs: what the log says last against the listings in force. */
static enum ceir_err check_tac(void *ctx, const struct store_change *change)
{
	struct verify *v = ctx;
	int64_t tac = imei_tac(change->imei).n;
	char line[120];
	uint8_t reason;
	enum ceir_err err = reg_tac_black(&v->x, tac, &reason);

	if (err || verdict_pack(policy_tac_verdict(reason)) == change->verdict)
		return err;
	snprintf(line, sizeof line, "verdict: TAC %08" PRId64 " is %s, its listings say %s", tac,
		verdict_colour_name(verdict_unpack(change->verdict).colour), verdict_colour_name(policy_tac_verdict(reason).colour));
	if (v->faults++ < 20)
		v->report(v->ctx, line);
	return CEIR_OK;
}

/* While a ripple is under way verdicts are behind the papers; then the check says that it was left out. */
static enum ceir_err check_verdicts(struct store_conn *db, store_report report, void *ctx)
{
	struct store_ripple ripple;
	struct verify v = {.report = report, .ctx = ctx, .reply = {.code = REG_DONE}};
	enum ceir_err err;

	v.x = (struct exec){.db = db, .arena = arena_new(16u << 20), .reply = &v.reply, .now_us = clock_real_us()};
	if (!v.x.arena)
		return CEIR_ENOMEM;
	err = store_change_tacs(db, check_tac, &v);
	if (!err)
		err = store_ripple_first(db, v.x.arena, &ripple);
	if (err == CEIR_ENOENT)
		err = store_imei_scan(db, (struct imei){0}, (struct imei){IMEI_MAX}, false, 0, check_imei, &v);
	else if (!err)
		log_warn("registry", "verify: a change of a paper is still being applied to its devices; their verdicts were not compared");
	arena_free(v.x.arena);
	if (err)
		report(ctx, "verdicts: the check could not be completed (see the log)");
	return err ? err : v.faults ? CEIR_ECORRUPT : CEIR_OK;
}

/* {"seq":..,"time":..,"hash":..,"signature":..} */
static enum ceir_err parse_head(struct str head, int64_t *seq, uint8_t hash[STORE_HASH])
{
	json_t *o = json_loadb(head.p, head.n, JSON_REJECT_DUPLICATES, NULL);
	const char *hex = json_string_value(json_object_get(o, "hash"));
	size_t n = 0;
	bool good = hex && json_is_integer(json_object_get(o, "seq"))
		&& sodium_hex2bin(hash, STORE_HASH, hex, strlen(hex), NULL, &n, NULL) == 0 && n == STORE_HASH;

	if (good)
		*seq = json_integer_value(json_object_get(o, "seq"));
	json_decref(o);
	return good ? CEIR_OK : CEIR_EINVAL;
}

/* The signature is over all that stands before its member, and nothing stands behind it; see registry_audit_head(). */
static bool head_is_signed(const struct reg_settings *s, struct str head)
{
	static const char member[] = ",\"signature\":\"";
	char path[4096];
	struct buf b = BUF_INIT(1024);
	uint8_t pub[crypto_sign_PUBLICKEYBYTES], sig[crypto_sign_BYTES];
	size_t n = 0;
	const char *at = memmem(head.p, head.n, member, sizeof member - 1);
	bool good = false;

	snprintf(path, sizeof path, "%s/keys/audit-sign.pub", s->dir);
	if (at && !file_read(path, 1024, &b)) {
		struct str key = str_trim(buf_view(&b));
		const char *hex = at + sizeof member - 1;
		struct str rest = str_trim((struct str){hex, (size_t)(head.p + head.n - hex)});

		good = sodium_hex2bin(pub, sizeof pub, key.p, key.n, NULL, &n, NULL) == 0 && n == sizeof pub && rest.n == 2 * sizeof sig + 2
			&& memcmp(hex + 2 * sizeof sig, "\"}", 2) == 0 && sodium_hex2bin(sig, sizeof sig, hex, 2 * sizeof sig, NULL, &n, NULL) == 0 && n == sizeof sig
			&& crypto_sign_verify_detached(sig, (const uint8_t *)head.p, (size_t)(at - head.p), pub) == 0;
	}
	buf_free(&b);
	return good;
}

static enum ceir_err check_head(const struct reg_settings *s, struct store_conn *db, struct str head, store_report report, void *ctx)
{
	uint8_t wanted[STORE_HASH], hash[STORE_HASH];
	int64_t seq;
	const char *fault = NULL;

	if (!head.n)
		return CEIR_OK;
	if (parse_head(head, &seq, wanted))
		fault = "audit: this is not an exported head";
	else if (!head_is_signed(s, head))
		fault = "audit: the exported head's signature is not of this register";
	else if (store_audit_hash(db, seq, hash) || memcmp(hash, wanted, STORE_HASH) != 0)
		fault = "audit: the exported head does not lie on the chain: rows were changed or removed since";
	if (fault)
		report(ctx, fault);
	return fault ? CEIR_ECORRUPT : CEIR_OK;
}

enum ceir_err registry_verify(const struct reg_settings *s, struct str head, void (*report)(void *ctx, const char *line), void *ctx)
{
	char path[4096];
	struct store_conn *db = NULL;
	enum ceir_err err, first;

	if (sodium_init() < 0 || (size_t)snprintf(path, sizeof path, "%s/ceir.db", s->dir) >= sizeof path)
		return CEIR_ERANGE;
	err = store_open_readonly(path, &db);
	if (!err)
		err = store_snapshot_begin(db);
	if (err) {
		report(ctx, "database: it cannot be opened (see the log)");
		store_close_readonly(db);
		return CEIR_ECORRUPT;
	}
	/* All of them, whatever one says. */
	first = store_verify(db, report, ctx);
	err = store_audit_verify(db, report, ctx);
	first = first ? first : err;
	err = check_head(s, db, head, report, ctx);
	first = first ? first : err;
	err = check_verdicts(db, report, ctx);
	first = first ? first : err;
	store_snapshot_end(db);
	store_close_readonly(db);
	return first;
}

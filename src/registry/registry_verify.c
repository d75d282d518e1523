/*
 * registry_verify.c - does everything agree with itself? The store checks the database, the change log and the audit chain;
 * here every verdict is derived again from the facts and compared, and an exported head is looked for on the chain.
 */
#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "registry/registry_class.h"

struct verify {
	struct exec x;
	struct reg_reply reply;
	int64_t application;                   /* registration of the last application is kept: neighbours share it */
	enum policy_registration registration;
	store_report report;
	void *ctx;
	unsigned faults;
};

/*
 * As of the day of the last run, or of today: a command may have derived it since midnight, or while the guard holds up the runs. Dates of blocks
 * only ever pass, so no day between can say a third thing.
 */
static enum ceir_err agrees(struct verify *v, const struct store_imei *row, struct policy_facts *facts, bool *yes)
{
	int64_t day_us = v->x.now_us;
	enum ceir_err err = reg_facts(&v->x, row->imei, row, v->registration, facts);

	*yes = !err && verdict_pack(policy_verdict(facts)) == row->verdict;
	if (err || *yes)
		return err;
	v->x.now_us = clock_real_us();
	err = reg_facts(&v->x, row->imei, row, v->registration, facts);
	v->x.now_us = day_us;
	*yes = !err && verdict_pack(policy_verdict(facts)) == row->verdict;
	return err;
}

static enum ceir_err check_imei(void *ctx, const struct store_imei *row)
{
	struct verify *v = ctx;
	struct policy_facts facts;
	bool yes = false;
	char line[120], text[IMEI_DIGITS + 1];
	enum ceir_err err = CEIR_OK;

	if (row->application && row->application != v->application) {
		arena_reset(v->x.arena);
		err = reg_registration(&v->x, row->application, &v->registration);
		v->application = row->application;
	}
	if (!err)
		err = agrees(v, row, &facts, &yes);
	if (err || yes)
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
static enum ceir_err check_imeis(struct verify *v, struct store_conn *db)
{
	struct store_ripple ripple;
	struct reg_class_state state;
	enum ceir_err err = store_change_tacs(db, check_tac, v);

	if (!err)
		err = reg_class_state_load(db, &state);
	if (!err && state.pending) {
		log_warn("registry", "verify: policy %" PRId64 " is being put in force; verdicts were not compared", state.pending);
		return CEIR_OK;
	}
	if (!err)
		err = store_ripple_first(db, v->x.arena, &ripple);
	if (err == CEIR_ENOENT)
		return store_imei_scan(db, (struct imei){0}, (struct imei){IMEI_MAX}, false, 0, check_imei, v);
	if (!err)
		log_warn("registry", "verify: a change of a paper is still being applied to its devices; their verdicts were not compared");
	return err;
}

/* The verdicts against the rules, as of the day when dates of blocks were last looked at; 0: never. */
static enum ceir_err check_verdicts(struct registry *r, int32_t day, struct store_conn *db, store_report report, void *ctx)
{
	struct verify v = {.report = report, .ctx = ctx, .reply = {.code = REG_DONE}};
	enum ceir_err err;

	v.x = (struct exec){.r = r, .db = db, .arena = arena_new(16u << 20), .reply = &v.reply,
		.now_us = day ? day * 86400LL * SECOND_US : clock_real_us()};
	err = v.x.arena ? check_imeis(&v, db) : CEIR_ENOMEM;
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

static enum ceir_err check_triplets(const struct reg_settings *s, store_report report, void *ctx)
{
	char dir[4096];

	if ((size_t)snprintf(dir, sizeof dir, "%s/triplets", s->dir) >= sizeof dir)
		return CEIR_ERANGE;
	return triplets_verify(dir, report, ctx);
}

/* ---- what is looked at: one commit of the database, and the classification's file that it names ---- */

static void keep_line(void *ctx, const char *line)
{
	buf_c(ctx, line);
	buf_char(ctx, '\0');
}

/* What is wrong with the file; nothing when it is gone: that is told after the last try only. CEIR_ENOENT. */
static enum ceir_err check_class(const char *dir, const char *name, store_report report, void *ctx)
{
	struct buf lines = BUF_INIT(1 << 20);
	char path[4200];
	enum ceir_err err = classify_verify(dir, name, keep_line, &lines);

	snprintf(path, sizeof path, "%s/%s", dir, name);
	if (err && access(path, F_OK) != 0)
		err = CEIR_ENOENT;
	for (size_t at = 0; err != CEIR_ENOENT && at < lines.n; at += strlen(lines.p + at) + 1)
		report(ctx, lines.p + at);
	buf_free(&lines);
	return err;
}

/* CEIR_ENOENT: a run of the server has put another file in its place meanwhile. */
static enum ceir_err open_class(struct registry *r, struct store_conn *db, int32_t *day, store_report report, void *ctx)
{
	struct reg_class_state state;
	char dir[4096];
	enum ceir_err err = (size_t)snprintf(dir, sizeof dir, "%s/class", r->settings.dir) < sizeof dir ? CEIR_OK : CEIR_ERANGE;

	if (!err)
		err = reg_class_open_readonly(r, db, day);
	if (!err)
		err = reg_class_state_load(db, &state);
	return err ? err : check_class(dir, state.file, report, ctx);
}

#define TRIES 20

/* The file is read through at once, before a run of a server that goes on can replace it; then it stays open. */
static enum ceir_err begin(struct registry *r, struct store_conn *db, int32_t *day, store_report report, void *ctx)
{
	const struct timespec moment = {.tv_nsec = 100000000};
	enum ceir_err err = CEIR_ENOENT;

	for (int i = 0; i < TRIES && err == CEIR_ENOENT; i++) {
		if (i) {
			reg_class_close(r);
			store_snapshot_end(db);
			nanosleep(&moment, NULL);
		}
		err = store_snapshot_begin(db);
		if (err)
			return err;
		err = open_class(r, db, day, report, ctx);
	}
	return err;
}

enum ceir_err registry_verify(const struct reg_settings *s, struct str head, void (*report)(void *ctx, const char *line), void *ctx)
{
	struct registry r = {.settings = *s};
	struct store_conn *db = NULL;
	char path[4096];
	int32_t day = 0;
	enum ceir_err err, first;

	if (sodium_init() < 0 || (size_t)snprintf(path, sizeof path, "%s/ceir.db", s->dir) >= sizeof path)
		return CEIR_ERANGE;
	err = store_open_readonly(path, &db);
	if (err) {
		report(ctx, "database: it cannot be opened (see the log)");
		store_close_readonly(db);
		return CEIR_ECORRUPT;
	}
	first = begin(&r, db, &day, report, ctx);
	if (first)
		report(ctx, "classification: policy or records cannot be read (see the log)");
	/* All of them, whatever one says. */
	err = store_verify(db, report, ctx);
	first = first ? first : err;
	err = store_audit_verify(db, report, ctx);
	first = first ? first : err;
	err = check_head(s, db, head, report, ctx);
	first = first ? first : err;
	err = r.class && r.class->classify ? check_verdicts(&r, day, db, report, ctx) : CEIR_OK;
	first = first ? first : err;
	err = check_triplets(s, report, ctx);
	first = first ? first : err;
	reg_class_close(&r);
	store_snapshot_end(db);
	store_close_readonly(db);
	return first;
}

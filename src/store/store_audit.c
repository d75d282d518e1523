/*
 * store_audit.c - the audit log as a hash chain.
 *
 * hash(row) = BLAKE2b-256( hash(row before) || seq || at || code || request || response || texts ), where the first row has 32
 * zero bytes before it; seq, at (microseconds) and code are 8 bytes little-endian, request and response the 32 byte digests;
 * texts are account, role, certificate, address, cltrid, verb, object, name, each as a 4 byte little-endian length and its
 * bytes, an absent one as the length 0xffffffff. docs/audit.md tells the same to auditors, with a program of theirs in mind.
 */
#include <inttypes.h>
#include <sodium.h>
#include <string.h>

#include "store/store_internal.h"

static void put_le(crypto_generichash_state *h, uint64_t v, size_t n)
{
	uint8_t b[8];

	for (size_t i = 0; i < n; i++)
		b[i] = (uint8_t)(v >> 8 * i);
	crypto_generichash_update(h, b, n);
}

static void put_text(crypto_generichash_state *h, struct str s)
{
	put_le(h, s.p ? s.n : 0xffffffffu, 4);
	if (s.n)
		crypto_generichash_update(h, (const uint8_t *)s.p, s.n);
}

static void hash_row(const uint8_t before[STORE_HASH], const struct store_audit *a, uint8_t hash[STORE_HASH])
{
	crypto_generichash_state h;

	crypto_generichash_init(&h, NULL, 0, STORE_HASH);
	crypto_generichash_update(&h, before, STORE_HASH);
	put_le(&h, (uint64_t)a->seq, 8);
	put_le(&h, (uint64_t)a->at_us, 8);
	put_le(&h, (uint64_t)a->code, 8);
	crypto_generichash_update(&h, a->request, STORE_HASH);
	crypto_generichash_update(&h, a->response, STORE_HASH);
	put_text(&h, a->account);
	put_text(&h, a->role);
	put_text(&h, (struct str){(const char *)a->certificate, a->certificate ? STORE_HASH : 0});
	put_text(&h, a->address);
	put_text(&h, a->cltrid);
	put_text(&h, a->verb);
	put_text(&h, a->object);
	put_text(&h, a->name);
	crypto_generichash_final(&h, hash, STORE_HASH);
}

int64_t store_audit_next(const struct store_conn *c)
{
	return c->audit_seq + 1;
}

enum ceir_err store_audit_append(struct store_conn *c, struct store_audit *a)
{
	sqlite3_stmt *s = store_sql(c, "INSERT INTO audit VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)");

	if (!s)
		return CEIR_ESTORE;
	a->seq = c->audit_seq + 1;
	hash_row(c->audit_hash, a, a->hash);
	store_bind(s, 1, store_int(a->seq));
	store_bind(s, 2, store_int(a->at_us));
	store_bind(s, 3, store_text(a->account));
	store_bind(s, 4, store_text(a->role));
	store_bind(s, 5, store_blob(a->certificate, STORE_HASH));
	store_bind(s, 6, store_text(a->address));
	store_bind(s, 7, store_text(a->cltrid));
	store_bind(s, 8, store_text(a->verb));
	store_bind(s, 9, store_text(a->object));
	store_bind(s, 10, store_text(a->name));
	store_bind(s, 11, store_int(a->code));
	store_bind(s, 12, store_blob(a->request, STORE_HASH));
	store_bind(s, 13, store_blob(a->response, STORE_HASH));
	store_bind(s, 14, store_blob(a->hash, STORE_HASH));
	enum ceir_err err = store_step(c, s, "audit");
	if (!err) {
		c->audit_seq = a->seq;
		memcpy(c->audit_hash, a->hash, STORE_HASH);
	}
	return err;
}

enum ceir_err store_audit_head(struct store_conn *c, int64_t *seq, int64_t *at_us, uint8_t hash[STORE_HASH])
{
	sqlite3_stmt *s = store_sql(c, "SELECT seq, at, hash FROM audit ORDER BY seq DESC LIMIT 1");

	if (!s)
		return CEIR_ESTORE;
	*seq = *at_us = 0;
	memset(hash, 0, STORE_HASH);
	int rc = sqlite3_step(s);
	if (rc == SQLITE_ROW) {
		*seq = sqlite3_column_int64(s, 0);
		*at_us = sqlite3_column_int64(s, 1);
		if (sqlite3_column_bytes(s, 2) == STORE_HASH)
			memcpy(hash, sqlite3_column_blob(s, 2), STORE_HASH);
	}
	sqlite3_reset(s);
	return store_fail(c, rc, "audit head");
}

enum ceir_err store_audit_hash(struct store_conn *c, int64_t seq, uint8_t hash[STORE_HASH])
{
	sqlite3_stmt *s = store_sql(c, "SELECT hash FROM audit WHERE seq = ?");
	enum ceir_err err;

	if (!s)
		return CEIR_ESTORE;
	store_bind(s, 1, store_int(seq));
	int rc = sqlite3_step(s);
	if (rc != SQLITE_ROW)
		err = rc == SQLITE_DONE ? CEIR_ENOENT : store_fail(c, rc, "audit hash");
	else if (sqlite3_column_bytes(s, 0) != STORE_HASH)
		err = CEIR_ECORRUPT;
	else
		err = (memcpy(hash, sqlite3_column_blob(s, 0), STORE_HASH), CEIR_OK);
	sqlite3_reset(s);
	return err;
}

/* The present row of a SELECT of all columns; a digest of the wrong size reads as zeros, which no hash agrees with. */
static void read_row(sqlite3_stmt *s, struct store_audit *a)
{
	struct str *const texts[] = {&a->account, &a->role, NULL, &a->address, &a->cltrid, &a->verb, &a->object, &a->name};
	struct {
		int column;
		uint8_t *to;
	} const digests[] = {{AUDIT_REQUEST, a->request}, {AUDIT_RESPONSE, a->response}, {AUDIT_HASH, a->hash}};

	memset(a, 0, sizeof *a);
	a->seq = sqlite3_column_int64(s, AUDIT_SEQ);
	a->at_us = sqlite3_column_int64(s, AUDIT_AT);
	a->code = sqlite3_column_int64(s, AUDIT_CODE);
	for (int i = 0; i < (int)CEIR_COUNT(texts); i++)
		if (texts[i])
			*texts[i] = store_column_val(s, AUDIT_ACCOUNT + i, STORE_TEXT).s;
	if (sqlite3_column_bytes(s, AUDIT_CERTIFICATE) == STORE_HASH)
		a->certificate = sqlite3_column_blob(s, AUDIT_CERTIFICATE);
	for (size_t i = 0; i < CEIR_COUNT(digests); i++)
		if (sqlite3_column_bytes(s, digests[i].column) == STORE_HASH)
			memcpy(digests[i].to, sqlite3_column_blob(s, digests[i].column), STORE_HASH);
}

enum ceir_err store_audit_verify(struct store_conn *c, store_report report, void *ctx)
{
	sqlite3_stmt *s = store_sql(c, "SELECT * FROM audit ORDER BY seq");
	uint8_t before[STORE_HASH] = {0}, hash[STORE_HASH];
	int64_t expected = 1;
	struct store_audit a;
	char line[160];
	bool faulty = false;
	int rc;

	if (!s)
		return CEIR_ESTORE;
	while ((rc = sqlite3_step(s)) == SQLITE_ROW) {
		const char *fault = NULL;

		read_row(s, &a);
		hash_row(before, &a, hash);
		if (a.seq != expected)
			fault = "rows are missing before it";
		else if (memcmp(hash, a.hash, STORE_HASH) != 0)
			fault = "its hash does not agree with its content and the row before";
		if (fault) {
			snprintf(line, sizeof line, "audit: row %" PRId64 " (expected %" PRId64 "): %s", a.seq, expected, fault);
			report(ctx, line);
			faulty = true;
		}
		memcpy(before, a.hash, STORE_HASH); /* go on from what is stored: one fault, one line */
		expected = a.seq + 1;
	}
	sqlite3_reset(s);
	enum ceir_err err = store_fail(c, rc, "audit");
	return err ? err : faulty ? CEIR_ECORRUPT : CEIR_OK;
}

enum ceir_err store_heads_load(struct store_conn *c)
{
	int64_t at;
	enum ceir_err err = store_audit_head(c, &c->audit_seq, &at, c->audit_hash);

	return err ? err : store_change_last(c, &c->change_seq);
}

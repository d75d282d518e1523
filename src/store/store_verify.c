/* store_verify.c - does the register agree with itself? What only SQL can see; the registry checks the rules on top. */
#include <string.h>

#include "store/store_internal.h"

struct check {
	const char *sql;   /* selects what is wrong: column 0 a number to name it by */
	const char *fault;
};

#define SHOWN 20 /* lines of one kind of fault; more say nothing new */

static enum ceir_err run_check(struct store_conn *c, const struct check *check, store_report report, void *ctx, bool *faulty)
{
	sqlite3_stmt *s = store_sql(c, check->sql);
	char line[200];
	int rc, n = 0;

	if (!s)
		return CEIR_ESTORE;
	while ((rc = sqlite3_step(s)) == SQLITE_ROW && n < SHOWN) {
		snprintf(line, sizeof line, "%s: %lld", check->fault, (long long)sqlite3_column_int64(s, 0));
		report(ctx, line);
		*faulty = true;
		n++;
	}
	if (n == SHOWN)
		report(ctx, "... and more of this kind");
	sqlite3_reset(s);
	return n == SHOWN ? CEIR_OK : store_fail(c, rc, check->fault);
}

static enum ceir_err integrity(struct store_conn *c, store_report report, void *ctx, bool *faulty)
{
	sqlite3_stmt *s = store_sql(c, "PRAGMA integrity_check(20)");
	char line[240];
	int rc;

	if (!s)
		return CEIR_ECORRUPT;
	while ((rc = sqlite3_step(s)) == SQLITE_ROW) {
		const char *text = (const char *)sqlite3_column_text(s, 0);

		if (text && strcmp(text, "ok") == 0)
			continue;
		snprintf(line, sizeof line, "database: %s", text ? text : "unreadable");
		report(ctx, line);
		*faulty = true;
	}
	sqlite3_reset(s);
	return store_fail(c, rc, "integrity_check");
}

enum ceir_err store_verify(struct store_conn *c, store_report report, void *ctx)
{
	static const struct check checks[] = {
		{"SELECT max(first + n - 1) FROM (SELECT seq AS first, 1 AS n FROM change UNION ALL SELECT first, n FROM change_block)"
			" HAVING max(first + n - 1) <> sum(n) OR min(first) <> 1",
			"change log: sequence numbers have gaps; the last is"},
		{"SELECT b.first FROM change_block b WHERE n < 1"
			" OR EXISTS (SELECT 1 FROM change c WHERE c.seq BETWEEN b.first AND b.first + b.n - 1)"
			" OR EXISTS (SELECT 1 FROM change_block d WHERE d.first > b.first AND d.first < b.first + b.n)",
			"change log: numbers of this block stand in the log twice"},
		{"SELECT i.imei FROM imei i LEFT JOIN change c ON c.seq = i.chg WHERE c.seq IS NULL OR c.imei <> i.imei OR c.verdict <> i.verdict"
			" OR c.scope IS NOT NULL",
			"IMEI whose verdict is not that of its last change"},
		/* An IMEI without a row has its verdict from the triplets alone. */
		{"SELECT c.seq FROM change c JOIN imei i ON i.imei = c.imei WHERE c.scope IS NULL AND i.chg < c.seq",
			"change behind the one its IMEI names as the last"},
		/* Reasons 1 to 11 and bit 8, registered (verdicts.h), come from the register alone, which never forgets a row. */
		{"SELECT c.seq FROM change c LEFT JOIN imei i ON i.imei = c.imei WHERE c.scope IS NULL AND i.imei IS NULL"
			" AND ((c.verdict >> 2 & 63) BETWEEN 1 AND 11 OR c.verdict & 256)",
			"change of an IMEI whose row is missing"},
		{"SELECT tac FROM listing WHERE tac IS NOT NULL AND status = 'inForce' AND colour = 'black' AND pair IS NULL"
			" AND tac * 1000000 NOT IN (SELECT imei FROM change WHERE scope = 1)",
			"barred TAC that the change log does not know"},
		{"SELECT seq FROM (SELECT seq, tx FROM change UNION ALL SELECT first, tx FROM change_block)"
			" WHERE tx > (SELECT coalesce(max(seq), 0) FROM audit)",
			"change whose transaction is missing from the audit log"},
		{"SELECT i.imei FROM imei i LEFT JOIN application a ON a.id = i.application WHERE i.application IS NOT NULL AND a.id IS NULL",
			"IMEI registered by an application that does not exist"},
		{"SELECT i.imei FROM imei i LEFT JOIN importer o ON o.id = i.owner WHERE i.owner IS NOT NULL AND o.id IS NULL",
			"IMEI whose owner does not exist"},
		{"SELECT p.application FROM application_part p LEFT JOIN application a ON a.id = p.application WHERE a.id IS NULL",
			"rows of an application that does not exist"},
		{"SELECT p.id FROM permit p LEFT JOIN importer i ON i.code = p.importer WHERE i.id IS NULL", "permit of an unknown importer"},
		{"SELECT o.id FROM position o LEFT JOIN permit p ON p.id = o.permit WHERE p.id IS NULL", "position of an unknown permit"},
		{"SELECT id FROM position WHERE used > quantity OR used < 0", "position whose quantity is exceeded"},
		{"SELECT o.id FROM position o LEFT JOIN certificate c ON c.code = o.certificate WHERE c.id IS NULL",
			"position of an unknown certificate"},
		{"SELECT p.id FROM operator_plmn p LEFT JOIN operator o ON o.id = p.operator WHERE o.id IS NULL", "network of an unknown operator"},
		{"SELECT a.id FROM account a LEFT JOIN operator o ON o.code = a.operator WHERE a.operator IS NOT NULL AND o.id IS NULL",
			"account of an unknown operator"},
		{"SELECT p.id FROM portability p LEFT JOIN operator o ON o.code = p.operator WHERE o.id IS NULL",
			"portability: numbers of an unknown operator"},
		{"SELECT d.id FROM delivery d LEFT JOIN operator o ON o.code = d.operator WHERE o.id IS NULL", "delivery of an unknown operator"},
		{"SELECT max(id) FROM policy WHERE status = 'active' HAVING count(*) > 1", "more than one policy in force; the last is"},
		{"SELECT w.id FROM watch w LEFT JOIN account a ON a.id = w.account WHERE a.id IS NULL", "watch of an unknown account"},
		{"SELECT r.id FROM remote r LEFT JOIN account a ON a.code = r.account WHERE a.id IS NULL", "remote of an unknown account"},
		{"SELECT f.id FROM remote_file f LEFT JOIN remote r ON r.id = f.remote WHERE r.id IS NULL", "file of an unknown remote"},
		{"SELECT m.id FROM message m LEFT JOIN account a ON a.id = m.account WHERE a.id IS NULL", "message of an unknown account"},
	};
	bool faulty = false;
	enum ceir_err err = integrity(c, report, ctx, &faulty);

	/* A damaged database can stop the other checks: they say so, and the rest still runs. */
	for (size_t i = 0; i < CEIR_COUNT(checks); i++)
		if (run_check(c, &checks[i], report, ctx, &faulty)) {
			report(ctx, "database: a check could not be completed (see the log)");
			faulty = true;
		}
	if (store_change_verify(c, report, ctx, &faulty)) {
		report(ctx, "database: the blocks of the change log could not be read (see the log)");
		faulty = true;
	}
	return err ? err : faulty ? CEIR_ECORRUPT : CEIR_OK;
}

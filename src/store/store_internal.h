/* store_internal.h - what the files of this room share. */
#ifndef CEIR_STORE_INTERNAL_H
#define CEIR_STORE_INTERNAL_H

#include <sqlite3.h>

#include "store/store.h"

#define STORE_APPLICATION_ID 0x43454952 /* "CEIR", PRAGMA application_id */
#define STORE_VERSION 1                 /* PRAGMA user_version */
#define STORE_STATEMENTS 256            /* cached statements of a connection; power of two, never full */

struct store_statement {
	char *sql;
	sqlite3_stmt *stmt;
};

/*
 * One connection. Statements are prepared once and kept; the cache is a fixed open-addressing table because the number of
 * different texts is bounded by the code (queries of strangers are built from columns of tables, and are not cached).
 */
struct store_conn {
	sqlite3 *db;
	struct store_statement cache[STORE_STATEMENTS];
	unsigned cached;
	/* The writer's: heads of the two logs, as of the jobs executed so far in the open transaction. */
	int64_t audit_seq, change_seq;
	uint8_t audit_hash[STORE_HASH];
	struct store_conn *next; /* of the pool */
};

enum ceir_err store_conn_open(const char *path, int flags, struct store_conn **out);
void store_conn_close(struct store_conn *c);
/* SQLite's code as ours; what is not ordinary is logged with what the statement was. */
enum ceir_err store_fail(struct store_conn *c, int rc, const char *what);
enum ceir_err store_exec(struct store_conn *c, const char *sql);
/* A cached, reset statement, or NULL (logged). */
sqlite3_stmt *store_sql(struct store_conn *c, const char *sql);
void store_bind(sqlite3_stmt *s, int i, struct store_val v);
/* Column i of the present row; texts belong to the statement. */
struct store_val store_column_val(sqlite3_stmt *s, int i, enum store_type type);
struct str store_column_str(sqlite3_stmt *s, int i);
/* Executes a statement that returns no row, and resets it. */
enum ceir_err store_step(struct store_conn *c, sqlite3_stmt *s, const char *what);
/* Loads the heads of both logs into the connection. */
enum ceir_err store_heads_load(struct store_conn *c);

/* Every table of the register, in order of creation; ends with NULL. */
extern const struct store_table *const store_tables[];
/* Tables that have functions of their own. */
extern const char store_extra_ddl[];

#endif

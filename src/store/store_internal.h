/* store_internal.h - what the files of this room share. */
#ifndef CEIR_STORE_INTERNAL_H
#define CEIR_STORE_INTERNAL_H

#include <sqlite3.h>

#include "store/store.h"

#define STORE_APPLICATION_ID 0x43454952 /* "CEIR", PRAGMA application_id */
#define STORE_VERSION 4                 /* PRAGMA user_version; 1 had no operators, 2 no FTPS, 3 no remotes: opening brings them up to 4 */
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
/* What 0 means in a struct is NULL in a row: a byte less, and no entry in a partial index. */
static inline struct store_val store_int_or_null(int64_t i) { return i ? store_int(i) : store_null(); }
/* Executes a statement that returns no row, and resets it. */
enum ceir_err store_step(struct store_conn *c, sqlite3_stmt *s, const char *what);
/* Loads the heads of both logs into the connection. */
enum ceir_err store_heads_load(struct store_conn *c);

/* Every table of the register, in order of creation; ends with NULL. */
extern const struct store_table *const store_tables[];
extern const size_t store_tables_v1, store_tables_v2; /* so many of them stood in version 1; in 2 and 3 */
/* Tables that have functions of their own: of version 1 with what came since, and those that came with version 2. */
extern const char store_extra_ddl[], store_extra_ddl2[];
/* The DDL of one table of the list. */
void store_put_ddl(struct buf *sql, const struct store_table *t);
/* Brings a register of version `from`, 1 or later, up to STORE_VERSION, in one transaction. */
enum ceir_err store_migrate(struct store_conn *c, int64_t from);

/* Reads every block of the change log and holds it against the register; a line for each fault. */
enum ceir_err store_change_verify(struct store_conn *c, store_report report, void *ctx, bool *faulty);

#endif

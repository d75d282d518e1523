/* store_meta.c - small facts of the registry under a name, in the same transactions as everything else. */
#include "store/store_internal.h"

enum ceir_err store_meta_get(struct store_conn *c, const char *name, struct arena *a, struct str *value)
{
	sqlite3_stmt *s = store_sql(c, "SELECT value FROM meta WHERE name = ?");

	if (!s)
		return CEIR_ESTORE;
	store_bind(s, 1, store_text(str_of(name)));
	int rc = sqlite3_step(s);
	enum ceir_err err = rc == SQLITE_DONE ? CEIR_ENOENT : store_fail(c, rc, "meta");
	if (!err) {
		struct str copy = arena_str(a, store_column_str(s, 0));

		if (copy.p)
			*value = copy;
		else
			err = CEIR_ENOMEM;
	}
	sqlite3_reset(s);
	return err;
}

enum ceir_err store_meta_set(struct store_conn *c, const char *name, struct str value)
{
	sqlite3_stmt *s = store_sql(c, "INSERT INTO meta(name, value) VALUES (?, ?) ON CONFLICT(name) DO UPDATE SET value = excluded.value");

	if (!s)
		return CEIR_ESTORE;
	store_bind(s, 1, store_text(str_of(name)));
	store_bind(s, 2, store_text(value.p ? value : STR("")));
	return store_step(c, s, "meta");
}

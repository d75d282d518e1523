/* Files of tables made for the tests, and what a reader made of them as one text. */
#ifndef EXCHANGE_TABLE_WORLD_H
#define EXCHANGE_TABLE_WORLD_H

#include "exchange/exchange_table.h"

/* What stands in argv: the source tree and ceir-table. */
extern const char *table_source, *table_helper;
void table_world_args(int argc, char **argv);

/* A nameless file of these bytes, in /tmp. */
int table_file(struct str bytes);
/* A file of the source tree. */
int table_fixture(const char *name);

struct table_entry {
	const char *name;
	struct str bytes;
};
/* A ZIP archive of entries, ended by a NULL name; password may be NULL. */
int table_zip(const struct table_entry *entries, const char *password);
/* A workbook: its parts around that sheet, shared strings and styles, of which either may be NULL. */
int table_xlsx(struct str sheet, const char *strings, const char *styles);

/*
 * FORM: name|name, then a line for each row: NUMBER [FAULT@COLUMN] cells, each text of another type as n<..> d<..> b<..>; at last "why TEXT" when
 * something ended the reading. Closes fd.
 */
void table_dump(int fd, const struct table_limits *limits, struct buf *out);
/* The dump with the default limits is that. */
void table_expect(int fd, const char *expected);
/* Reading ends with that error and with a reason that has these words in it. */
void table_expect_why(int fd, const struct table_limits *limits, enum ceir_err expected, const char *words);
/* The limits, and the helper and a folder in them. */
struct table_limits table_limits_here(struct table_limits l);

#endif

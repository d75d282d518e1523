/*
 * ctl_dirbs.h - lists as DIRBS-Core 16 writes them, and what differs between two of them. A list is a CSV file with a header whose first columns are
 * the key of a row: black: IMEI; notifications and exceptions: IMEI, IMSI, MSISDN.
 */
#ifndef CEIR_CTL_DIRBS_H
#define CEIR_CTL_DIRBS_H

#include "base/base.h"

/* A list in order of its keys. Rows stay in the file, which is mapped; eight bytes of memory for each. */
struct dirbs_list {
	char *map;
	size_t size;
	size_t head;               /* bytes of the header with its line end */
	unsigned keys;             /* columns of the key */
	uint64_t *at;              /* where each row begins */
	size_t n;
};

/* A file that is not there is an empty list. CEIR_EINVAL: no such list: a last line without an end, or a row with too few columns. */
enum ceir_err dirbs_list_open(const char *path, unsigned keys, struct dirbs_list *out) CEIR_MUST_USE;
void dirbs_list_close(struct dirbs_list *l); /* of zeros too */
struct str dirbs_list_row(const struct dirbs_list *l, size_t i);       /* with its line end */
/* Has it a row that begins so? prefix: the first columns, each with its comma. */
bool dirbs_list_has(const struct dirbs_list *l, struct str prefix);

enum dirbs_change { DIRBS_ADDED, DIRBS_REMOVED, DIRBS_CHANGED };
/* row: as it is now; of what was removed as it was. An error ends it. */
typedef enum ceir_err (*dirbs_difference)(void *ctx, enum dirbs_change change, struct str row);
/* What has to be told to whoever has `from` for him to have `to`, ascending. */
enum ceir_err dirbs_compare(const struct dirbs_list *from, const struct dirbs_list *to, dirbs_difference difference, void *ctx) CEIR_MUST_USE;
/* The first n columns of a row, each with its comma; empty: it has not so many. */
struct str dirbs_columns(struct str row, unsigned n);

#endif

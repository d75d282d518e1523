/* files_full.h - files that are the whole list: what an earlier file of the same type and account has listed, and this one no longer names, is ended. */
#ifndef CEIR_FILES_FULL_H
#define CEIR_FILES_FULL_H

#include "files/files_internal.h"

#define FILES_ID 32

/* A listing, or watch, that an earlier file of this type has made for this account and that has not ended. */
struct files_present {
	uint64_t subject;              /* number of the IMEI or TAC */
	char id[FILES_ID];
	int64_t since_us;
	char colour, stage;            /* first letter; '\0': the object has none */
};

/* One that is to be ended. */
struct files_ending {
	char id[FILES_ID], find[24];   /* find: as the register writes it */
};

struct files_full;
/*
 * Looks what is there, and decides what is to be ended, once: the decision is durable in SEQ.ends before anything of the file is done, and after a crash
 * it is what it was. The table stands at its beginning afterwards. CEIR_EINVAL: refused and answered, as files_table_open().
 */
enum ceir_err files_full_open(struct files_job *j, struct files_full **out) CEIR_MUST_USE;
void files_full_close(struct files_full *f); /* NULL is allowed */
/* NULL: it is not there. */
const struct files_present *files_full_find(const struct files_full *f, struct str find);
/* Says the row what there is already? */
bool files_full_same(const struct files_present *p, const struct files_record *r);
const struct files_ending *files_full_ending(const struct files_full *f, size_t i); /* NULL: there are no more */
/* Why nothing is ended although something is no longer named: a line for the answer appended to out; its code, 0: there is nothing to say. */
unsigned files_full_why(const struct files_full *f, size_t lang, struct buf *out);

#endif

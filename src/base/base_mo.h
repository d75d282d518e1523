/* base_mo.h - reader of one GNU gettext catalogue. Private to src/base, its tests and its fuzz target. */
#ifndef CEIR_BASE_MO_H
#define CEIR_BASE_MO_H

#include "base/base.h"

#define MO_FILE_MAX_BYTES ((size_t)4 << 20)

/* Points into the bytes it was opened on; read-only afterwards, any thread. */
struct mo {
	struct str bytes;
	bool swapped; /* written on a machine of the other byte order */
	uint32_t count;
	uint32_t originals, translations; /* offsets of the two tables */
};

/* Checks everything mo_find relies on. CEIR_ECORRUPT: *why (static text) says what is wrong. */
enum ceir_err mo_open(struct str bytes, struct mo *mo, const char **why) CEIR_MUST_USE;
/* Translation of the text, or NULL: not there, or empty. The header ("") is never found. */
const char *mo_find(const struct mo *mo, const char *original);

#endif

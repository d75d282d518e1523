/* store_change.h - the form of the change log, for the two files that write and read it. store_change_block.c says what it is. */
#ifndef CEIR_STORE_CHANGE_H
#define CEIR_STORE_CHANGE_H

#include "store/store_internal.h"

#define STORE_BLOCK_CHANGES 16384
#define STORE_CHANGE_BYTES 80 /* more than any change takes before compression: 10 + 6 + 3 + 5 * 5 + 2 * 10 and the header's part */
#define STORE_BLOCK_BYTES ((size_t)STORE_BLOCK_CHANGES * STORE_CHANGE_BYTES)

/* What is read from the disk. bad stays once set, and then every number is 0. */
struct store_packed {
	const uint8_t *p, *end;
	bool bad;
};

/* Writes a record; returns the byte behind it. Room for STORE_CHANGE_BYTES. */
uint8_t *store_class_put(uint8_t *p, const struct store_class *c);
void store_class_get(struct store_packed *r, struct store_class *c);

/* n changes, 1..STORE_BLOCK_CHANGES, as the content of a block that begins with number first; out has STORE_BLOCK_BYTES. Returns the length. */
size_t store_block_pack(const struct store_change *changes, size_t n, int64_t first, uint8_t *out);

/* One block, unpacked: room for STORE_BLOCK_CHANGES. */
struct store_block {
	int64_t first, n, at_s, tx;
	struct store_change *changes;
	uint8_t *raw;
};
enum ceir_err store_block_new(struct store_block *b) CEIR_MUST_USE; /* free it whatever comes back */
void store_block_free(struct store_block *b);
/* Fills b->changes from the zstd frame; first, n, at_s and tx are set by the caller. false: damaged. */
bool store_block_unpack(struct store_block *b, struct str data);

#endif

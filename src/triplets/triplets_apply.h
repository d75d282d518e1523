/* triplets_apply.h - deliveries while they are applied: what triplets_apply.c and triplets_apply_work.c share. */
#ifndef CEIR_TRIPLETS_APPLY_H
#define CEIR_TRIPLETS_APPLY_H

#include "triplets/triplets_internal.h"

#define APPLY_THREADS_MAX 16

/* One of the deliveries. */
struct apply_one {
	struct manifest_staged staged; /* files: own copy */
	bool full;
	struct manifest_full before;   /* the operator's last full delivery */
	struct triplets_counts counts;
	struct triplets_item *item;
};

struct apply {
	struct triplets *t;
	struct apply_one ones[TRIPLETS_APPLY_MAX];
	size_t n;
	uint8_t of_op[256];            /* which of them, and 1; 0: none. Rows say their operator, and each is of another */
	bool wants_touched;
	struct version *version;
	struct parts runs, add;
	struct touched touched[APPLY_THREADS_MAX];
	unsigned n_touched;
};

/* Merges the runs with all segments of the first tree; merge_lock is held. What comes of it is in a->add, the counts, a->touched. */
enum ceir_err apply_large(struct apply *a) CEIR_MUST_USE;
/* Makes segments of the runs alone, and looks each triplet up. One delivery only. */
enum ceir_err apply_small(struct apply *a) CEIR_MUST_USE;
uint64_t parts_rows(const struct parts *p);

#endif

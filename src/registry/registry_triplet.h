/* registry_triplet.h - what the files about questions to the triplet store share. */
#ifndef CEIR_REGISTRY_TRIPLET_H
#define CEIR_REGISTRY_TRIPLET_H

#include "registry/registry_delivery.h"

/* What an identity is. */
enum triplet_what { TRIPLET_IMEI = 0, TRIPLET_IMSI, TRIPLET_MSISDN, TRIPLET_WHATS };
const char *triplet_what_name(enum triplet_what what); /* "imei" "imsi" "msisdn" */

/* One question, checked. */
struct triplet_question {
	struct exec *x;
	enum triplet_what by, of;       /* of == by: just the triplets that match */
	uint64_t key;                   /* what is asked for */
	struct str text;                /* as it was given */
	struct str case_number;         /* .n 0: none */
	uint8_t op;                     /* only rows of this operator; 0: of all */
	bool has_period;
	uint32_t from_s, to_s;          /* seen in that time, both included */
	uint32_t limit;
	struct triplets_view *view;
	uint32_t gap_s;                 /* an absence longer than this is one */
	char operators[DELIVERY_OPERATORS][33];         /* codes by number; empty: none */
	uint32_t last_full_s[DELIVERY_OPERATORS];       /* the earliest time in its last full delivery; 0: none */
};

/* A row of an answer, with everything it points to. Ordered by its group (what the question was expanded to), then by its key. */
struct triplet_row {
	uint64_t group;
	struct triplet t;
};

static inline bool triplet_counts(const struct triplet_question *q, const struct triplet *t) { return !q->op || t->op == q->op; }
/* Was it there at any time of the period? */
bool triplet_in_period(const struct triplet_question *q, const struct triplet *t);
/* Order of the keys IMEI, IMSI, MSISDN, operator: <0, 0, >0. */
int triplet_order(const struct triplet *a, const struct triplet *b);

/* ---- registry_triplet_find.c ---- */

#define TRIPLET_EXPAND_MAX 65536 /* triplets of the one that is asked for, when a question is expanded */

/*
 * At most limit + 1 rows behind `after` (NULL: from the first) in order; what is left over says that there are more. *stopped: the work for
 * one page was done before the page was full; the last row looked at is in *last. CEIR_ELIMIT: too many to expand.
 */
struct triplet_found {
	struct triplet_row *rows;       /* limit + 1 */
	size_t n;
	bool stopped;
	struct triplet_row last;
};
enum ceir_err triplet_find(struct triplet_question *q, const struct triplet_row *after, struct triplet_found *out) CEIR_MUST_USE;

/* ---- registry_triplet_show.c ---- */

enum ceir_err triplet_show(struct triplet_question *q, const struct triplet *t, struct reg_node **out) CEIR_MUST_USE;

#endif

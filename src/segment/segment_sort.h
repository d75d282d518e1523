/* segment_sort.h - how records are moved; private to the two files of the sort. */
#ifndef CEIR_SEGMENT_SORT_H
#define CEIR_SEGMENT_SORT_H

#include "segment/segment.h"

#define SORT_DIGIT_BITS 11u /* at most: 2048 streams of records being written */
#define SORT_DIGITS (1u << SORT_DIGIT_BITS)

/* What is sorted, the same for all parts of it. */
struct sort_job {
	size_t size;
	const unsigned *words;
	unsigned n_words;
};

/* How a key becomes a digit: 0 for keys up to low, then one more for every 2^shift, the last one for all above. */
struct sort_digit {
	unsigned word; /* of the record */
	unsigned shift;
	unsigned last;
	uint64_t low;
};

/* A part: n records, which stand at `at`; `other` is as much room elsewhere. The first `k` key words are the same in all of them. */
struct sort_part {
	uint8_t *at, *other;
	size_t n;
	unsigned k;
	bool cut;    /* the digit of word k has been fitted to where most keys are: not a second time, so that the range shrinks */
	bool stay;   /* the result belongs at `at`; else at `other` */
};

/* Lowest and highest value of a word in n > 0 records. */
void sort_bounds(const uint8_t *records, size_t n, size_t size, unsigned word, uint64_t *min, uint64_t *max);
/* Adds to count[digit] for each record. */
void sort_count(const uint8_t *records, size_t n, size_t size, const struct sort_digit *d, size_t *count);
/* Copies each record to place[digit] (a number of records), which goes up by one. */
void sort_scatter(const uint8_t *from, uint8_t *to, size_t n, size_t size, const struct sort_digit *d, size_t *place);

/*
 * The digit by which a part is dealt out: its keys are min..max, min < max. Fits it to where most keys are when that is much narrower
 * (some keys far away, as malformed ones are, would else make one digit of all the others), and sets p->cut.
 */
struct sort_digit sort_digit_of(const struct sort_job *job, struct sort_part *p, uint64_t min, uint64_t max);

/* Places in `count` that sort_sequential() needs. */
size_t sort_workspace(const struct sort_job *job);
/* Sorts a part on this thread. count: sort_workspace() places. */
void sort_sequential(const struct sort_job *job, struct sort_part p, size_t *count);

#endif

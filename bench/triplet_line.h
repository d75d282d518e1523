/* triplet_line.h - a triplet of the bench's country as a line of a delivery, or as the sighting that such a line becomes. */
#ifndef CEIR_TRIPLET_LINE_H
#define CEIR_TRIPLET_LINE_H

#include "triplet_population.h"
#include "triplets/triplets.h"

#define TRIPLET_LINE_BYTES 128 /* room for any line, and for what is written behind its end on the way */

struct triplet_style {
	char date[DATE_MAX]; /* in a fourth column; empty: there is none */
	bool forms; /* each operator its own form of an IMEI: 14 digits, 15 with check digit, 16, 15 with a 0; else 14 digits */
};

/* The header of such lines, with its LF. */
const char *triplet_header(const struct triplet_style *style);
/* Writes the line with its LF at out, where there is room for TRIPLET_LINE_BYTES; returns how long it is. */
size_t triplet_line(const struct population_triplet *t, const struct triplet_style *style, char *out);
/* false: the line of this triplet is refused. */
bool triplet_sighting(const struct population_triplet *t, uint32_t at_s, struct sighting *out);

#endif

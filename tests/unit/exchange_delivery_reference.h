/*
 * exchange_delivery_reference.h - the reader of sightings in JSON as anybody would write it, with a library and a tree: what the one of
 * src/exchange is compared with.
 */
#ifndef CEIR_EXCHANGE_DELIVERY_REFERENCE_H
#define CEIR_EXCHANGE_DELIVERY_REFERENCE_H

#include "exchange/exchange.h"

/*
 * As delivery_json(), but the text of a reject and of a member that is an array or an object is written anew, without blanks;
 * *rewritten: there was such a member.
 */
enum ceir_err reference_json(struct str body, const struct delivery_format *f, const struct delivery_sink *sink, size_t max,
	struct delivery_counts *counts, const char **why, bool *rewritten) CEIR_MUST_USE;

#endif

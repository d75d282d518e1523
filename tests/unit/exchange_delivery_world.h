/*
 * exchange_delivery_world.h - what the tests of deliveries share: a sink that writes down what it gets as text. A row is
 * imei/imsi/msisdn@time[,event][,rat][,cell] and a blank, a report !line:column:code! and a blank.
 */
#ifndef CEIR_EXCHANGE_DELIVERY_WORLD_H
#define CEIR_EXCHANGE_DELIVERY_WORLD_H

#include "exchange/exchange.h"

#define DEFAULT_S 1000000000u
#define NOW_S 1795564800 /* 2026-11-25 */

#define A "35210605054420"
#define ROW_A A "/255011234567890/380501234567"
#define LINE_A A ",255011234567890,380501234567"

/* Home: MCC 255 and 256, country code 380. */
extern const struct delivery_format world_format;

struct seen {
	struct buf text;       /* of rows, if wanted, and rejects */
	bool quiet;            /* no text of rows */
	struct sighting *rows; /* NULL: not kept */
	size_t n, room, most;  /* rows; most in one call */
	size_t rejects;
	enum ceir_err rows_err, reject_err;
	struct buf raw; /* of the rejects */
};

struct delivery_sink world_sink(struct seen *s);
/* Reads a file in pieces of that size. *why: NULL, or why it cannot be read. The counts are checked against what was seen. */
enum ceir_err world_read(struct str file, size_t piece, struct seen *seen, struct delivery_counts *counts, const char **why);

#endif

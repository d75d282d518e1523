/*
 * exchange_table_read.h - the parts of the reader of tables: CSV by lines, everything else as frames, from a parser in this process (XML) or in a child.
 * Private to the room.
 */
#ifndef CEIR_EXCHANGE_TABLE_READ_H
#define CEIR_EXCHANGE_TABLE_READ_H

#include <sys/types.h>

#include "exchange/exchange_table_frames.h"

/* The limits with every zero replaced by its default. */
struct table_limits table_limits_of(const struct table_limits *limits);
/* A nameless temporary file in the folder scratch_fd. */
enum ceir_err table_temporary(int scratch_fd, int *fd) CEIR_MUST_USE;

/* ---- CSV ---- */

struct table_csv;
/* Owns nothing but itself. */
enum ceir_err table_csv_new(int fd, struct table_csv **out) CEIR_MUST_USE;
void table_csv_free(struct table_csv *c); /* NULL is allowed */
bool table_csv_is_cp1251(const struct table_csv *c);
/*
 * The next line that is not blank; cells: TABLE_COLUMNS_MAX of them, for row->cells; row->n: the last cell given + 1. named: the names have been read.
 * CEIR_ENOENT: the end. CEIR_EINVAL, CEIR_ELIMIT: *why.
 */
enum ceir_err table_csv_next(struct table_csv *c, bool named, struct table_cell *cells, struct table_row *row, enum table_why *why) CEIR_MUST_USE;

/* ---- frames ---- */

/* More frames for the end of *frames, at least one byte. CEIR_ENOENT: there is none; then *why says what is wrong, unless an end was sent. */
typedef enum ceir_err (*table_more)(void *ctx, struct buf *frames, enum table_why *why);

struct table_stream {
	table_more more;
	void *ctx;
	struct buf frames;
	size_t at;                   /* what is before it has been handed out */
};

/* The next frame; it holds until the next call. TABLE_FRAME_FAIL and what is no frame are errors: CEIR_EINVAL or CEIR_ELIMIT with *why. */
enum ceir_err table_stream_next(struct table_stream *s, struct table_frame *frame, enum table_why *why) CEIR_MUST_USE;

/* ---- parsers that send frames ---- */

struct table_xml;
enum ceir_err table_xml_new(int fd, struct table_xml **out) CEIR_MUST_USE;
void table_xml_free(struct table_xml *x); /* NULL is allowed */
enum ceir_err table_xml_more(void *xml, struct buf *frames, enum table_why *why) CEIR_MUST_USE;

struct table_child {
	pid_t pid;                   /* 0: none */
	int pipe;
	int patience_ms;             /* without a byte: longer than it can work by its limit of processor time */
	bool heard;                  /* something has come of it */
};
/* Starts ceir-table on the file. limits: of table_limits_of(). */
enum ceir_err table_child_start(int fd, const struct table_limits *limits, struct table_child *out) CEIR_MUST_USE;
void table_child_end(struct table_child *c);
enum ceir_err table_child_more(void *child, struct buf *frames, enum table_why *why) CEIR_MUST_USE;

#endif

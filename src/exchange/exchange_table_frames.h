/*
 * exchange_table_frames.h - how rows come from the parser of a table to table_next(), out of another process or of this one. Private to the room
 * and to the program ceir-table.
 *
 * A frame: type (1 byte), length of what follows (4 bytes, little-endian, at most TABLE_FRAME_MAX), then by type
 *   TABLE_FRAME_FORM   1 byte, enum table_form; or TABLE_FORM_PACKED: the bytes of the one file of an archive follow. First, once
 *   TABLE_FRAME_ROW    line (8), fault (1), column of the fault (1; 0: the row), cells (1), then of each cell: column (1, from 0, ascending),
 *                      enum table_cell_type (1), length (2), text (UTF-8)
 *   TABLE_FRAME_DATA   bytes, at least one
 *   TABLE_FRAME_END    none: all has been read
 *   TABLE_FRAME_FAIL   1 byte, enum table_why: nothing follows
 * The first row holds the names of the columns. Whoever decodes trusts nothing: the encoder may be a process that a hostile file has taken over.
 */
#ifndef CEIR_EXCHANGE_TABLE_FRAMES_H
#define CEIR_EXCHANGE_TABLE_FRAMES_H

#include "exchange/exchange_table.h"

#define TABLE_FRAME_HEAD 5
#define TABLE_FRAME_MAX ((size_t)4 << 20)
#define TABLE_FORM_PACKED TABLE_FORMS

#define TABLE_EXIT_UNFIT 3 /* status with which ceir-table ends when it could not take its own rights away: it has read nothing */

enum table_frame_type { TABLE_FRAME_FORM = 1, TABLE_FRAME_ROW, TABLE_FRAME_DATA, TABLE_FRAME_END, TABLE_FRAME_FAIL };

/* Why a file is no table, or cannot be read further. In frames: at most 255. */
enum table_why {
	TABLE_WHY_NONE,
	TABLE_WHY_EMPTY,        /* no byte, or no row */
	TABLE_WHY_BINARY,       /* not text, and no form that is known */
	TABLE_WHY_HEADER,       /* CSV: the line of names is bad */
	TABLE_WHY_DAMAGED,      /* gzip, zstd */
	TABLE_WHY_LAYERS,       /* packed more often than twice */
	TABLE_WHY_SHEET,        /* the parser gave up, or died */
	TABLE_WHY_NO_SHEET,     /* a workbook without sheets */
	TABLE_WHY_PASSWORD,
	TABLE_WHY_ODS,
	TABLE_WHY_OLD,          /* XLS of before 1997 */
	TABLE_WHY_ZIP,          /* damaged, cut off */
	TABLE_WHY_ZIP_EMPTY,
	TABLE_WHY_ZIP_MANY,
	TABLE_WHY_XML,          /* not well formed */
	TABLE_WHY_XML_ROOT,
	TABLE_WHY_XML_DEPTH,
	TABLE_WHY_XML_DOCTYPE,
	TABLE_WHY_LIMITS,       /* from here on limits: CEIR_ELIMIT */
	TABLE_WHY_WIDE = TABLE_WHY_LIMITS,
	TABLE_WHY_ROWS,
	TABLE_WHY_BOMB,
	TABLE_WHY_LARGE,
	TABLE_WHY_MEMORY,
	TABLE_WHY_CPU,
	TABLE_WHYS
};
const char *table_why_text(enum table_why why); /* English sentence, a catalogue key */
enum ceir_err table_why_err(enum table_why why); /* CEIR_OK, CEIR_EINVAL or CEIR_ELIMIT */

/* ---- encoding ---- */

#define TABLE_TEXT_MAX (TABLE_CELL_MAX + 8)
/*
 * Gathers the text of a cell that comes in pieces: at most TABLE_TEXT_MAX bytes, UTF-8 without space at its front. What is longer ends in dots, and is
 * longer than a cell may be even when it is trimmed.
 */
void table_text_add(struct buf *text, const char *p, size_t n);
/* A character: one of Unicode but half a pair. */
void table_text_utf8(struct buf *text, uint32_t c);

/* Frames go out in pieces of some KiB: an error ends the encoder's work. */
typedef enum ceir_err (*table_frames_out)(void *ctx, struct str frames);

struct table_encoder {
	struct buf frames;           /* not yet handed over */
	table_frames_out out;
	void *ctx;
	size_t row, cells;           /* where the row under way begins in frames, and how many cells it has */
	enum table_fault fault;
	size_t column;
	bool open;                   /* a row is under way */
	enum ceir_err err;           /* of out(), or CEIR_ENOMEM: the first */
};

void table_encode_form(struct table_encoder *e, unsigned form);
void table_encode_data(struct table_encoder *e, struct str bytes);
/* One row: begin, its cells in ascending order of columns (0..), end. A row without cells and without fault is left out. */
void table_encode_row(struct table_encoder *e, uint64_t line);
/* Trimmed; what is then empty is no cell. A text that is too long is cut and makes the row bad. type as in enum table_cell_type. */
void table_encode_cell(struct table_encoder *e, size_t column, enum table_cell_type type, struct str text);
/* The first fault of a row counts. column from 1. */
void table_encode_fault(struct table_encoder *e, enum table_fault fault, size_t column);
void table_encode_row_end(struct table_encoder *e);
/* The last frame: END, or FAIL; hands over all. */
enum ceir_err table_encode_end(struct table_encoder *e, enum table_why why) CEIR_MUST_USE;

/* ---- decoding ---- */

struct table_frame {
	enum table_frame_type type;
	struct str body;
};

/* The next whole frame off the front of *in. CEIR_ENOENT: not all of it is there; CEIR_EINVAL: this is no frame. */
enum ceir_err table_frame_take(struct str *in, struct table_frame *out) CEIR_MUST_USE;
/*
 * A row's frame; cells points to TABLE_COLUMNS_MAX of them, all of which are set; texts point into the frame. row->n: the last cell's column + 1.
 * CEIR_EINVAL: not such a frame.
 */
enum ceir_err table_frame_row(struct str body, struct table_cell *cells, struct table_row *row) CEIR_MUST_USE;

#endif

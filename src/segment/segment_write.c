/*
 * segment_write.c - a segment from its first row to its footer.
 *
 * Rows are encoded straight from the caller's columns, 128 at a time; only what is left over between calls is copied. Blocks gather in
 * a buffer that is written when it is full, and the kernel is told to begin with the disk at once, so that the sync at the end
 * has little left to wait for. The index is all that grows: 12 bytes a block; and, up to 8 MiB, what becomes the filter.
 */
#include "segment/segment_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#define ROOM "segment"
#define WRITE_BYTES (2u << 20)
#define EXTRA_AREA_MAX (SEGMENT_BLOCK / 8 + SEGMENT_BLOCK * (2 + SEGMENT_EXTRA_MAX))
#define BLOCK_BYTES_MAX (SEGMENT_BLOCK_HEAD_BYTES + SEGMENT_COLUMNS * COLUMN_BYTES_MAX + EXTRA_AREA_MAX)
#define INDEX_FIRST 1024u /* blocks the index has room for at first */

struct segment_writer {
	int fd;
	char *path;
	struct segment_schema schema;
	enum ceir_err err;              /* the first one; sticks */
	uint8_t *buffer;                /* WRITE_BYTES and a block */
	size_t buffered;
	uint64_t flushed;               /* bytes of the file before the buffer */
	uint64_t rows, blocks, room;
	uint64_t *first;                /* index: of each block; has `room` places, as has start */
	uint32_t *start;
	uint64_t *group;                /* where each group begins */
	uint64_t group_room;
	uint64_t first_key[SEGMENT_COLUMNS], last_key[SEGMENT_COLUMNS];
	uint32_t header_crc, index_crc, filter_lines;
	struct filter_maker filter;
	struct column_coder coder[SEGMENT_COLUMNS];
	unsigned staged;                /* rows that do not fill a block yet */
	uint64_t stage[SEGMENT_COLUMNS][SEGMENT_BLOCK];
	struct str stage_extra[SEGMENT_BLOCK];
	char *extra;                    /* the bytes of staged rows: SEGMENT_EXTRA_MAX each */
};

/* ---- beginning and end of a writer ---------------------------------------------------------------------------------- */

static void writer_free(struct segment_writer *w, bool remove_file)
{
	if (w->fd >= 0)
		close(w->fd);
	if (remove_file && w->fd >= 0)
		(void)unlink(w->path);
	for (unsigned c = 0; c < SEGMENT_COLUMNS; c++) {
		free(w->coder[c].sample);
		dictionary_free(w->coder[c].dictionary);
	}
	filter_drop(&w->filter);
	free(w->path);
	free(w->buffer);
	free(w->first);
	free(w->start);
	free(w->group);
	free(w->extra);
	free(w);
}

static bool schema_ok(const struct segment_schema *s)
{
	return s->columns >= 1 && s->columns <= SEGMENT_COLUMNS && s->keys >= 1 && s->keys <= s->columns;
}

static void header_put(struct segment_writer *w)
{
	uint8_t *h = w->buffer;
	memset(h, 0, SEGMENT_HEADER_BYTES);
	memcpy(h, SEGMENT_MAGIC, 8);
	store32(h + 8, w->schema.filter ? SEGMENT_VERSION_FILTER : SEGMENT_VERSION);
	store32(h + 12, w->schema.kind);
	h[16] = (uint8_t)w->schema.columns;
	h[17] = (uint8_t)w->schema.keys;
	h[18] = w->schema.extra ? SEGMENT_FLAG_EXTRA : 0;
	w->header_crc = crc32c(0, h, SEGMENT_HEADER_CRC);
	store32(h + SEGMENT_HEADER_CRC, w->header_crc);
	w->buffered = SEGMENT_HEADER_BYTES;
}

static bool writer_alloc(struct segment_writer *w, const char *path)
{
	w->path = strdup(path);
	w->buffer = malloc(WRITE_BYTES + BLOCK_BYTES_MAX);
	w->room = INDEX_FIRST;
	w->first = malloc(INDEX_FIRST * sizeof *w->first);
	w->start = malloc(INDEX_FIRST * sizeof *w->start);
	w->group_room = INDEX_FIRST / SEGMENT_GROUP;
	w->group = malloc(w->group_room * sizeof *w->group);
	if (w->schema.extra)
		w->extra = malloc((size_t)SEGMENT_BLOCK * SEGMENT_EXTRA_MAX);
	for (unsigned c = 1; c < w->schema.columns; c++) {
		w->coder[c].sample = malloc(DICTIONARY_SAMPLE * sizeof(uint64_t));
		if (!w->coder[c].sample)
			return false;
	}
	return w->path && w->buffer && w->first && w->start && w->group && (w->extra || !w->schema.extra);
}

enum ceir_err segment_writer_new(const char *path, const struct segment_schema *schema, struct segment_writer **out)
{
	CEIR_ASSERT(schema_ok(schema));
	struct segment_writer *w = calloc(1, sizeof *w);
	if (!w)
		return CEIR_ENOMEM;
	w->fd = -1;
	w->schema = *schema;
	w->coder[0].first = true;
	w->filter.wanted = schema->filter;
	if (!writer_alloc(w, path)) {
		writer_free(w, false);
		return CEIR_ENOMEM;
	}
	w->fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (w->fd < 0) {
		const int errno_open = errno;
		writer_free(w, false);
		return ceir_err_of_errno(errno_open);
	}
	header_put(w);
	*out = w;
	return CEIR_OK;
}

void segment_writer_drop(struct segment_writer *w)
{
	if (w)
		writer_free(w, true);
}

/* ---- bytes out ------------------------------------------------------------------------------------------------------- */

static enum ceir_err flush(struct segment_writer *w)
{
	if (!w->err)
		w->err = fd_write_all(w->fd, w->buffer, w->buffered);
	if (w->err)
		return w->err;
#ifdef SYNC_FILE_RANGE_WRITE
	/* Only a hint: what goes wrong here, fsync will tell. */
	(void)sync_file_range(w->fd, (off_t)w->flushed, (off_t)w->buffered, SYNC_FILE_RANGE_WRITE);
#endif
	w->flushed += w->buffered;
	w->buffered = 0;
	return CEIR_OK;
}

/* The buffer has room for one more block after it. */
static enum ceir_err make_room(struct segment_writer *w)
{
	return w->buffered >= WRITE_BYTES ? flush(w) : w->err;
}

/* A place in the index for the next block, which begins where the buffer ends. */
static enum ceir_err index_add(struct segment_writer *w, uint64_t first)
{
	const uint64_t at = w->flushed + w->buffered, g = w->blocks / SEGMENT_GROUP;

	if (w->blocks == w->room) {
		uint64_t *firsts = realloc(w->first, w->room * 2 * sizeof *firsts);
		w->first = firsts ? firsts : w->first;
		uint32_t *starts = realloc(w->start, w->room * 2 * sizeof *starts);
		w->start = starts ? starts : w->start;
		if (!firsts || !starts)
			return w->err = CEIR_ENOMEM;
		w->room *= 2;
	}
	if (g == w->group_room) {
		uint64_t *groups = realloc(w->group, w->group_room * 2 * sizeof *groups);
		if (!groups)
			return w->err = CEIR_ENOMEM;
		w->group = groups;
		w->group_room *= 2;
	}
	if (w->blocks % SEGMENT_GROUP == 0)
		w->group[g] = at;
	w->first[w->blocks] = first;
	w->start[w->blocks++] = (uint32_t)(at - w->group[g]);
	return CEIR_OK;
}

/* ---- blocks ---------------------------------------------------------------------------------------------------------- */

/* The area of own bytes; false, nothing written, when no row has any. */
static bool extra_write(const struct str *extra, unsigned n, uint8_t **out)
{
	uint8_t bitmap[SEGMENT_BLOCK / 8] = {0}, *p = *out;
	bool any = false;

	for (unsigned i = 0; i < n; i++)
		if (extra[i].n) {
			bitmap[i / 8] |= (uint8_t)(1u << i % 8);
			any = true;
		}
	if (!any)
		return false;
	memcpy(p, bitmap, (n + 7) / 8);
	p += (n + 7) / 8;
	for (unsigned i = 0; i < n; i++) {
		if (extra[i].n >= 0x80)
			*p++ = (uint8_t)(extra[i].n | 0x80);
		if (extra[i].n)
			*p++ = (uint8_t)(extra[i].n >= 0x80 ? extra[i].n >> 7 : extra[i].n);
	}
	for (unsigned i = 0; i < n; i++)
		if (extra[i].n) {
			memcpy(p, extra[i].p, extra[i].n);
			p += extra[i].n;
		}
	*out = p;
	return true;
}

/* The columns have been seen often enough: which of them get a dictionary? */
static enum ceir_err dictionaries_decide(struct segment_writer *w)
{
	for (unsigned c = 1; c < w->schema.columns; c++) {
		struct column_coder *k = &w->coder[c];
		const enum ceir_err err =
			dictionary_choose(k->sample, 8.0 * (double)k->sample_bytes / DICTIONARY_SAMPLE, &k->dictionary);
		k->dictionary_won = true; /* until it turns out otherwise */
		free(k->sample);
		k->sample = NULL;
		if (err)
			return w->err = err;
	}
	return CEIR_OK;
}

/* col[c] + from .. + n - 1 of every column. */
static enum ceir_err block_write(struct segment_writer *w, const uint64_t *const *col, size_t from, const struct str *extra, unsigned n)
{
	if (make_room(w))
		return w->err;
	const uint64_t number = w->blocks;
	if (index_add(w, col[0][from]))
		return w->err;
	uint8_t *const block = w->buffer + w->buffered, *p = block + SEGMENT_BLOCK_HEAD_BYTES;
	bool rising = true; /* as long as the keys before are the same in all rows */
	for (unsigned c = 0; c < w->schema.columns; c++) {
		p += column_encode(&w->coder[c], col[c] + from, n, rising && c < w->schema.keys, p);
		rising = rising && col[c][from] == col[c][from + n - 1];
	}
	block[4] = extra && extra_write(extra, n, &p) ? SEGMENT_FLAG_EXTRA : 0;
	uint8_t le_number[8];
	store64(le_number, number);
	store32(block, crc32c(crc32c(0, le_number, sizeof le_number), block + 4, (size_t)(p - block) - 4));
	w->buffered += (size_t)(p - block);
	if (w->schema.columns > 1 && w->coder[1].sample && w->coder[1].sampled == DICTIONARY_SAMPLE)
		return dictionaries_decide(w);
	return CEIR_OK;
}

static enum ceir_err stage_write(struct segment_writer *w)
{
	const uint64_t *col[SEGMENT_COLUMNS];
	for (unsigned c = 0; c < w->schema.columns; c++)
		col[c] = w->stage[c];
	const unsigned n = w->staged;
	w->staged = 0;
	return n ? block_write(w, col, 0, w->schema.extra ? w->stage_extra : NULL, n) : CEIR_OK;
}

/* Rows from..from+n-1, which fit, for a later block. */
static void stage_add(struct segment_writer *w, const struct segment_rows *rows, size_t from, unsigned n)
{
	for (unsigned c = 0; c < w->schema.columns; c++)
		memcpy(w->stage[c] + w->staged, rows->col[c] + from, n * sizeof(uint64_t));
	for (unsigned i = 0; w->schema.extra && i < n; i++) {
		char *bytes = w->extra + (size_t)(w->staged + i) * SEGMENT_EXTRA_MAX;
		const struct str e = rows->extra ? rows->extra[from + i] : (struct str){NULL, 0};
		if (e.n)
			memcpy(bytes, e.p, e.n);
		w->stage_extra[w->staged + i] = (struct str){bytes, e.n};
	}
	w->staged += n;
}

/* Strictly rising keys, from the last row before on; own bytes only where the schema has them, and not too many. */
static bool rows_ok(const struct segment_writer *w, const struct segment_rows *rows)
{
	const unsigned keys = w->schema.keys;
	uint64_t before = w->last_key[0];

	for (size_t i = 0; i < rows->n; i++) {
		const uint64_t v = rows->col[0][i];
		if (v <= before && (i > 0 || w->rows > 0)) {
			unsigned c = 0;
			uint64_t a, b;
			do {
				a = i > 0 ? rows->col[c][i - 1] : w->last_key[c];
				b = rows->col[c][i];
			} while (a == b && ++c < keys);
			if (a >= b)
				return false;
		}
		before = v;
	}
	for (size_t i = 0; rows->extra && i < rows->n; i++)
		if (rows->extra[i].n > (w->schema.extra ? SEGMENT_EXTRA_MAX : 0))
			return false;
	return true;
}

enum ceir_err segment_writer_add(struct segment_writer *w, const struct segment_rows *rows)
{
	if (w->err || rows->n == 0)
		return w->err;
	if (!rows_ok(w, rows))
		return w->err = CEIR_EINVAL;
	for (unsigned c = 0; c < w->schema.keys; c++) {
		if (w->rows == 0)
			w->first_key[c] = rows->col[c][0];
		w->last_key[c] = rows->col[c][rows->n - 1];
	}
	filter_add(&w->filter, rows->col[0], rows->n);
	for (size_t i = 0; i < rows->n;) {
		const size_t left = rows->n - i;
		unsigned n = SEGMENT_BLOCK;
		if (w->staged == 0 && left >= SEGMENT_BLOCK) {
			if (block_write(w, rows->col, i, rows->extra ? rows->extra + i : NULL, n))
				return w->err;
		} else {
			n = SEGMENT_BLOCK - w->staged;
			n = left < n ? (unsigned)left : n;
			stage_add(w, rows, i, n);
			if (w->staged == SEGMENT_BLOCK && stage_write(w))
				return w->err;
		}
		i += n;
	}
	w->rows += rows->n;
	return CEIR_OK;
}

/* ---- index and footer ------------------------------------------------------------------------------------------------ */

static void index_put64(struct segment_writer *w, uint64_t v)
{
	if (make_room(w))
		return;
	uint8_t *p = w->buffer + w->buffered;
	store64(p, v);
	w->index_crc = crc32c(w->index_crc, p, 8);
	w->buffered += 8;
}

static void index_put32(struct segment_writer *w, uint32_t v)
{
	if (make_room(w))
		return;
	uint8_t *p = w->buffer + w->buffered;
	store32(p, v);
	w->index_crc = crc32c(w->index_crc, p, 4);
	w->buffered += 4;
}

static void filter_put(struct segment_writer *w)
{
	uint8_t *const bytes = filter_make(&w->filter, &w->filter_lines);

	for (size_t i = 0; i < (size_t)w->filter_lines * SEGMENT_FILTER_LINE; i += 8)
		index_put64(w, load64(bytes + i));
	free(bytes);
}

static void index_put(struct segment_writer *w)
{
	for (uint64_t b = 0; b < w->blocks; b += SEGMENT_GROUP) {
		index_put64(w, w->group[b / SEGMENT_GROUP]);
		index_put64(w, w->first[b]);
	}
	for (uint64_t b = 0; b < w->blocks; b++)
		index_put64(w, w->first[b]);
	for (uint64_t b = 0; b < w->blocks; b++)
		index_put32(w, w->start[b]);
	for (unsigned c = 0; c < w->schema.columns; c++) {
		const struct dictionary *d = w->coder[c].dictionary;
		for (uint32_t i = 0; d && i < d->n; i++)
			index_put64(w, d->value[i] << d->shift);
	}
	filter_put(w);
}

static void footer_put(struct segment_writer *w, uint64_t index)
{
	if (make_room(w))
		return;
	uint8_t *f = w->buffer + w->buffered;
	memset(f, 0, SEGMENT_FOOTER_BYTES);
	store64(f + FOOTER_ROWS, w->rows);
	store64(f + FOOTER_BLOCKS, w->blocks);
	store64(f + FOOTER_INDEX, index);
	store64(f + FOOTER_BYTES, w->flushed + w->buffered + SEGMENT_FOOTER_BYTES);
	for (unsigned c = 0; c < SEGMENT_COLUMNS; c++) {
		const struct column_coder *k = &w->coder[c];
		store64(f + FOOTER_FIRST + 8 * c, w->first_key[c]);
		store64(f + FOOTER_LAST + 8 * c, w->last_key[c]);
		store64(f + FOOTER_BASE + 8 * c, k->base);
		store32(f + FOOTER_ENTRIES + 4 * c, k->dictionary ? k->dictionary->n : 0);
		f[FOOTER_SHIFT + c] = k->dictionary && k->dictionary->n ? (uint8_t)k->dictionary->shift : 0;
	}
	store32(f + FOOTER_HEADER_CRC, w->header_crc);
	store32(f + FOOTER_INDEX_CRC, w->index_crc);
	store32(f + FOOTER_FILTER, w->filter_lines);
	store32(f + SEGMENT_FOOTER_CRC, crc32c(0, f, SEGMENT_FOOTER_CRC));
	memcpy(f + FOOTER_MAGIC, SEGMENT_END_MAGIC, 8);
	w->buffered += SEGMENT_FOOTER_BYTES;
}

enum ceir_err segment_writer_finish(struct segment_writer *w, struct segment_info *info)
{
	if (!w->err)
		(void)stage_write(w);
	const uint64_t index = w->flushed + w->buffered;
	index_put(w);
	footer_put(w, index);
	enum ceir_err err = flush(w);
	if (!err && fsync(w->fd) != 0)
		err = ceir_err_of_errno(errno);
	if (!err) {
		*info = (struct segment_info){.rows = w->rows, .bytes = w->flushed};
		memcpy(info->first, w->first_key, sizeof info->first);
		memcpy(info->last, w->last_key, sizeof info->last);
	} else if (err != CEIR_EINVAL) { /* that was told when it was added, and is no operator's problem */
		log_error(ROOM, "cannot write %s: %s", w->path, ceir_err_text(err));
	}
	writer_free(w, err != CEIR_OK);
	return err;
}

/*
 * exchange_list.c - list files: rows to CSV or XML, packed on the way, with the SHA-256 of what is written.
 *
 *   CSV   a header line, then the rows; comma, LF (or CR LF, where the head says so); fields are quoted where they must be
 *   XML   <list xmlns="urn:ceir:params:xml:ns:listfile-1.0" name= operator= from= to= created=> and a <row> for each (schemas/listfile-1.0.xsd);
 *         the column `change` is an attribute of its row
 *
 * Rows gather in a buffer; a full one goes through the packer to the file.
 */
#include <errno.h>
#include <fcntl.h>
#include <gnutls/crypto.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>
#include <zstd.h>

#include "exchange/exchange.h"

#define CHUNK ((size_t)256 << 10)
#define WRITE_BEGIN ((uint64_t)8 << 20) /* written so much, the disk is told to begin */

struct list_writer {
	struct list_head head;
	enum list_format format;
	enum list_packing packing;
	int fd;
	char *path;
	struct buf rows;              /* not yet packed */
	uint8_t *packed;              /* CHUNK */
	z_stream gzip;
	bool gzip_open;
	ZSTD_CCtx *zstd;
	gnutls_hash_hd_t hash;
	bool hash_open;
	struct list_info info;
	uint64_t begun;               /* bytes that the disk was told of */
	enum ceir_err err;            /* the first; what was written is not the list any more */
};

/* ---- to the file ---- */

static enum ceir_err out(struct list_writer *w, const void *bytes, size_t n)
{
	enum ceir_err err = fd_write_all(w->fd, bytes, n);

	if (!err && gnutls_hash(w->hash, bytes, n) < 0)
		err = CEIR_ETLS;
	w->info.bytes += n;
	/* The disk begins while rows are still being made. A hint: whether it works shows only in how long the sync at the end takes. */
	if (w->info.bytes - w->begun >= WRITE_BEGIN) {
		(void)sync_file_range(w->fd, (off_t)w->begun, (off_t)(w->info.bytes - w->begun), SYNC_FILE_RANGE_WRITE);
		w->begun = w->info.bytes;
	}
	return err;
}

static enum ceir_err pack_gzip(struct list_writer *w, bool end)
{
	enum ceir_err err = CEIR_OK;

	w->gzip.next_in = (Bytef *)w->rows.p;
	w->gzip.avail_in = (uInt)w->rows.n;
	do {
		w->gzip.next_out = w->packed;
		w->gzip.avail_out = CHUNK;
		if (deflate(&w->gzip, end ? Z_FINISH : Z_NO_FLUSH) == Z_STREAM_ERROR)
			return CEIR_ESTATE;
		err = out(w, w->packed, CHUNK - w->gzip.avail_out);
	} while (!err && w->gzip.avail_out == 0);
	return err;
}

static enum ceir_err pack_zstd(struct list_writer *w, bool end)
{
	ZSTD_inBuffer in = {w->rows.p, w->rows.n, 0};
	enum ceir_err err = CEIR_OK;
	size_t left;

	do {
		ZSTD_outBuffer to = {w->packed, CHUNK, 0};

		left = ZSTD_compressStream2(w->zstd, &to, &in, end ? ZSTD_e_end : ZSTD_e_continue);
		if (ZSTD_isError(left))
			return CEIR_ENOMEM;
		err = out(w, w->packed, to.pos);
	} while (!err && (end ? left != 0 : in.pos < in.size));
	return err;
}

static enum ceir_err flush(struct list_writer *w, bool end)
{
	enum ceir_err err = w->err ? w->err : w->rows.failed ? CEIR_ENOMEM : CEIR_OK;

	if (!err && w->packing == LIST_GZIP)
		err = pack_gzip(w, end);
	else if (!err && w->packing == LIST_ZSTD)
		err = pack_zstd(w, end);
	else if (!err)
		err = out(w, w->rows.p, w->rows.n);
	buf_clear(&w->rows);
	return w->err = err;
}

/* ---- rows ---- */

/* Copies a field to `to`, where it has room for twice its bytes and two; the end of what is there then. */
static char *put_csv(char *to, struct str s)
{
	char *p = to;
	bool plain = true;

	for (size_t i = 0; i < s.n; i++) {
		char c = s.p[i];

		plain = plain && c != ',' && c != '"' && c != '\n' && c != '\r';
		*p++ = c;
	}
	if (plain)
		return p;
	p = to;
	*p++ = '"';
	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] == '"')
			*p++ = '"';
		*p++ = s.p[i];
	}
	*p++ = '"';
	return p;
}

/* Room is made once for all of it: a white list has tens of millions of rows of one field. */
static void csv_row(struct list_writer *w, const struct str *fields)
{
	size_t room = 2;
	char *begin, *p;

	for (size_t i = 0; w->head.columns[i]; i++)
		room += 2 * fields[i].n + 3; /* they are in memory: no sum of theirs is too large */
	begin = p = buf_reserve(&w->rows, room);
	if (!p)
		return;
	for (size_t i = 0; w->head.columns[i]; i++) {
		if (i)
			*p++ = ',';
		p = put_csv(p, fields[i]);
	}
	if (w->head.crlf)
		*p++ = '\r';
	*p++ = '\n';
	w->rows.n += (size_t)(p - begin);
}

static void put_xml(struct buf *b, struct str s)
{
	for (size_t i = 0; i < s.n; i++) {
		switch (s.p[i]) {
		case '&': buf_c(b, "&amp;"); break;
		case '<': buf_c(b, "&lt;"); break;
		case '>': buf_c(b, "&gt;"); break;
		case '"': buf_c(b, "&quot;"); break;
		default: buf_char(b, s.p[i]);
		}
	}
}

static void xml_row(struct list_writer *w, const struct str *fields)
{
	struct buf *b = &w->rows;
	size_t i = 0;

	buf_c(b, "<row");
	if (w->head.columns[0] && strcmp(w->head.columns[0], "change") == 0) {
		buf_c(b, " change=\"");
		put_xml(b, fields[i++]);
		buf_char(b, '"');
	}
	buf_char(b, '>');
	for (; w->head.columns[i]; i++) {
		if (!fields[i].n)
			continue;
		buf_char(b, '<');
		buf_c(b, w->head.columns[i]);
		buf_char(b, '>');
		put_xml(b, fields[i]);
		buf_c(b, "</");
		buf_c(b, w->head.columns[i]);
		buf_char(b, '>');
	}
	buf_c(b, "</row>\n");
}

enum ceir_err list_writer_row(struct list_writer *w, const struct str *fields)
{
	if (w->format == LIST_XML)
		xml_row(w, fields);
	else
		csv_row(w, fields);
	w->info.rows++;
	return w->rows.n < CHUNK && !w->rows.failed ? CEIR_OK : flush(w, false);
}

/* ---- begin and end ---- */

static void put_head(struct list_writer *w)
{
	const struct list_head *h = &w->head;
	char created[TIME_RFC3339_MAX];

	time_rfc3339(h->created_us, created);
	if (w->format == LIST_XML) {
		buf_printf(&w->rows, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<list xmlns=\"urn:ceir:params:xml:ns:listfile-1.0\" name=\"%s\" operator=\"", h->name);
		put_xml(&w->rows, str_of(h->op));
		buf_printf(&w->rows, "\" from=\"%" PRId64 "\" to=\"%" PRId64 "\" created=\"%s\">\n", h->from, h->to, created);
		return;
	}
	for (size_t i = 0; h->columns[i]; i++)
		buf_printf(&w->rows, "%s%s", i ? "," : "", h->columns[i]);
	buf_c(&w->rows, h->crlf ? "\r\n" : "\n");
}

static enum ceir_err open_packer(struct list_writer *w)
{
	if (w->packing == LIST_GZIP) {
		/* 16: a gzip header, not zlib's own. Fast: lists are made often. */
		if (deflateInit2(&w->gzip, 1, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY) != Z_OK)
			return CEIR_ENOMEM;
		w->gzip_open = true;
	} else if (w->packing == LIST_ZSTD) {
		w->zstd = ZSTD_createCCtx();
		if (!w->zstd || ZSTD_isError(ZSTD_CCtx_setParameter(w->zstd, ZSTD_c_compressionLevel, 1))
			|| ZSTD_isError(ZSTD_CCtx_setParameter(w->zstd, ZSTD_c_checksumFlag, 1)))
			return CEIR_ENOMEM;
	}
	return CEIR_OK;
}

static void free_writer(struct list_writer *w)
{
	if (w->fd >= 0)
		close(w->fd);
	if (w->gzip_open)
		deflateEnd(&w->gzip);
	ZSTD_freeCCtx(w->zstd);
	if (w->hash_open)
		gnutls_hash_deinit(w->hash, NULL);
	buf_free(&w->rows);
	free(w->packed);
	free(w->path);
	free(w);
}

void list_writer_drop(struct list_writer *w)
{
	if (!w)
		return;
	unlink(w->path);
	free_writer(w);
}

enum ceir_err list_writer_new(const char *path, enum list_format format, enum list_packing packing, const struct list_head *head,
	struct list_writer **writer)
{
	struct list_writer *w = calloc(1, sizeof *w);
	enum ceir_err err;

	if (!w)
		return CEIR_ENOMEM;
	w->head = *head;
	w->format = format;
	w->packing = packing;
	w->rows = (struct buf)BUF_INIT(0);
	w->path = strdup(path);
	w->packed = malloc(CHUNK);
	w->fd = w->path && w->packed ? open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600) : -1;
	if (w->fd < 0) {
		err = !w->path || !w->packed ? CEIR_ENOMEM : ceir_err_of_errno(errno);
		free_writer(w); /* a file that is there is not ours to remove */
		return err;
	}
	err = open_packer(w);
	if (!err && gnutls_hash_init(&w->hash, GNUTLS_DIG_SHA256) < 0)
		err = CEIR_ETLS;
	w->hash_open = !err;
	if (err) {
		list_writer_drop(w);
		return err;
	}
	put_head(w);
	*writer = w;
	return CEIR_OK;
}

enum ceir_err list_writer_finish(struct list_writer *w, struct list_info *info)
{
	enum ceir_err err;

	if (w->format == LIST_XML)
		buf_c(&w->rows, "</list>\n");
	err = flush(w, true);
	if (!err && fdatasync(w->fd) != 0)
		err = ceir_err_of_errno(errno);
	if (err) {
		list_writer_drop(w);
		return err;
	}
	gnutls_hash_output(w->hash, w->info.sha256);
	*info = w->info;
	free_writer(w);
	return CEIR_OK;
}

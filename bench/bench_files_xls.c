/*
 * bench_files_xls.c - a workbook of 1997: a compound file ([MS-CFB]) of 512-byte sectors with one stream, the records of BIFF8 ([MS-XLS]).
 * As little as readers need: names of columns and repeated texts in the table of shared strings, IMEIs as numbers.
 *
 *   sector 0..   allocation table (4 bytes for each sector: the next one of its chain)
 *   then         one sector of directory entries, then the stream
 */
#include "bench_files.h"

#include <string.h>

#define SECTOR 512u
#define PER_SECTOR (SECTOR / 4)
#define TABLE_SECTORS_MAX 109u /* those that the header itself names */
#define END_OF_CHAIN 0xfffffffeu
#define IS_TABLE 0xfffffffdu
#define FREE_SECTOR 0xffffffffu

static void put16(struct buf *b, unsigned v)
{
	buf_char(b, (char)v);
	buf_char(b, (char)(v >> 8));
}

static void put32(struct buf *b, uint32_t v)
{
	put16(b, v & 0xffff);
	put16(b, v >> 16);
}

static void put_zeros(struct buf *b, size_t n)
{
	while (n-- > 0)
		buf_char(b, 0);
}

/* ---- records ---- */

static void record(struct buf *b, unsigned type, unsigned bytes)
{
	put16(b, type);
	put16(b, bytes);
}

static void put_bof(struct buf *b, unsigned type)
{
	record(b, 0x0809, 16);
	put16(b, 0x0600);
	put16(b, type);
	put16(b, 0);
	put16(b, 1997);
	put_zeros(b, 8);
}

/* A string of at most 255 characters with its length in 16 bits. */
static void put_text(struct buf *b, const char *text)
{
	put16(b, (unsigned)strlen(text));
	buf_char(b, 0); /* a byte a character */
	buf_c(b, text);
}

static const char *const strings[] = {"imei", "permit", "position", BENCH_PERMIT, "1"};

/* The sheet's own records begin behind these: *at is where its place is to be written. */
static void put_globals(struct buf *b, size_t *at)
{
	unsigned bytes = 8;

	put_bof(b, 0x0005);
	record(b, 0x0042, 2); /* CODEPAGE: UTF-16 */
	put16(b, 1200);
	record(b, 0x00e0, 20); /* XF 0: a cell of general format */
	put_zeros(b, 20);
	record(b, 0x0085, 14); /* BOUNDSHEET */
	*at = b->n;
	put32(b, 0);
	put16(b, 0);
	buf_char(b, 6);
	buf_char(b, 0);
	buf_c(b, "Sheet1");
	for (size_t i = 0; i < CEIR_COUNT(strings); i++)
		bytes += 3 + (unsigned)strlen(strings[i]);
	record(b, 0x00fc, bytes); /* SST */
	put32(b, CEIR_COUNT(strings));
	put32(b, CEIR_COUNT(strings));
	for (size_t i = 0; i < CEIR_COUNT(strings); i++)
		put_text(b, strings[i]);
	record(b, 0x000a, 0); /* EOF */
}

static void put_label(struct buf *b, unsigned row, unsigned column, uint32_t string)
{
	record(b, 0x00fd, 10);
	put16(b, row);
	put16(b, column);
	put16(b, 0);
	put32(b, string);
}

static void put_sheet(struct buf *b, uint64_t first, uint64_t rows)
{
	put_bof(b, 0x0010);
	record(b, 0x0200, 14); /* DIMENSIONS */
	put32(b, 0);
	put32(b, (uint32_t)rows + 1);
	put16(b, 0);
	put16(b, 3);
	put16(b, 0);
	for (unsigned i = 0; i < 3; i++)
		put_label(b, 0, i, i);
	for (unsigned row = 1; row <= rows; row++) {
		struct imei imei = bench_device(first + row - 1);
		char digits[IMEI_DIGITS + 1];
		double v = 0;

		imei_print(imei, digits);
		for (unsigned i = 0; i < IMEI_DIGITS; i++)
			v = v * 10 + (digits[i] - '0'); /* below 2^53: exact */
		record(b, 0x0203, 14); /* NUMBER */
		put16(b, row);
		put16(b, 0);
		put16(b, 0);
		buf_put(b, &v, sizeof v);
		put_label(b, row, 1, 3);
		put_label(b, row, 2, 4);
	}
	record(b, 0x000a, 0);
}

/* ---- the compound file ---- */

static void put_header(struct buf *b, uint32_t table_sectors)
{
	static const unsigned char magic[] = {0xd0, 0xcf, 0x11, 0xe0, 0xa1, 0xb1, 0x1a, 0xe1};

	buf_put(b, magic, sizeof magic);
	put_zeros(b, 16);
	put16(b, 0x3e);
	put16(b, 3);
	put16(b, 0xfffe); /* little-endian */
	put16(b, 9);      /* sectors of 2^9 */
	put16(b, 6);
	put_zeros(b, 10);
	put32(b, table_sectors);
	put32(b, table_sectors); /* where the directory is */
	put32(b, 0);
	put32(b, 4096);
	put32(b, END_OF_CHAIN);
	put32(b, 0);
	put32(b, END_OF_CHAIN);
	put32(b, 0);
	for (uint32_t i = 0; i < TABLE_SECTORS_MAX; i++)
		put32(b, i < table_sectors ? i : FREE_SECTOR);
}

static void put_table(struct buf *b, uint32_t table_sectors, uint32_t stream_sectors)
{
	uint32_t from = table_sectors + 1, all = from + stream_sectors;

	for (uint32_t i = 0; i < table_sectors * PER_SECTOR; i++)
		put32(b, i < table_sectors ? IS_TABLE : i == table_sectors || i + 1 == all ? END_OF_CHAIN : i < all ? i + 1 : FREE_SECTOR);
}

/* 128 bytes. type: 5 root, 2 stream, 0 none. */
static void put_entry(struct buf *b, const char *name, unsigned type, uint32_t child, uint32_t sector, uint32_t bytes)
{
	size_t n = strlen(name);

	for (size_t i = 0; i < 32; i++)
		put16(b, i < n ? (unsigned char)name[i] : 0);
	put16(b, n ? 2 * (unsigned)n + 2 : 0);
	buf_char(b, (char)type);
	buf_char(b, 1);
	put32(b, FREE_SECTOR);
	put32(b, FREE_SECTOR);
	put32(b, child);
	put_zeros(b, 36);
	put32(b, sector);
	put32(b, bytes);
	put32(b, 0);
}

static void put_compound(struct buf *b, struct str stream)
{
	uint32_t sectors = (uint32_t)((stream.n + SECTOR - 1) / SECTOR), table = 1;

	while (table * PER_SECTOR < table + 1 + sectors)
		table++;
	if (table > TABLE_SECTORS_MAX || stream.n < 4096) {
		b->failed = true; /* small streams are kept in another way */
		return;
	}
	put_header(b, table);
	put_table(b, table, sectors);
	put_entry(b, "Root Entry", 5, 1, END_OF_CHAIN, 0);
	put_entry(b, "Workbook", 2, FREE_SECTOR, table + 1, (uint32_t)stream.n);
	put_entry(b, "", 0, FREE_SECTOR, 0, 0);
	put_entry(b, "", 0, FREE_SECTOR, 0, 0);
	buf_str(b, stream);
	put_zeros(b, sectors * (size_t)SECTOR - stream.n);
}

enum ceir_err bf_make_xls(const char *path, uint64_t first, uint64_t rows)
{
	struct buf stream = BUF_INIT(0), file = BUF_INIT(0);
	size_t at;
	enum ceir_err err = rows > BF_XLS_ROWS ? CEIR_ERANGE : CEIR_OK;

	if (err)
		return err;
	put_globals(&stream, &at);
	if (!stream.failed) {
		uint32_t begin = (uint32_t)stream.n;

		for (unsigned i = 0; i < 4; i++)
			stream.p[at + i] = (char)(begin >> 8 * i);
	}
	put_sheet(&stream, first, rows);
	if (!stream.failed)
		put_compound(&file, buf_view(&stream));
	err = stream.failed || file.failed ? CEIR_ENOMEM : file_write(path, buf_view(&file), 0600);
	buf_free(&stream);
	buf_free(&file);
	return err;
}

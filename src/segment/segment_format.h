/*
 * segment_format.h - every byte of a segment file, versions 1 and 2. Private to src/segment.
 *
 * All numbers are little endian, nothing is aligned. A file is: header, blocks, index, footer, nothing between or behind them.
 * Every byte stands under a CRC32C: the header's own, that of each block, that of the index, the footer's own.
 *
 * HEADER, 64 bytes
 *    0   8  magic "CEIRSEG" and a NUL
 *    8   4  version: 1, or 2 when the file may have a filter
 *   12   4  kind: what the rows are (the caller's number)
 *   16   1  columns, 1..10
 *   17   1  keys, 1..columns
 *   18   1  flags: bit 0, rows may have bytes of their own; the others 0
 *   19  41  zeros
 *   60   4  CRC of bytes 0..59
 *
 * BLOCK: 128 rows, the last one what is left (1..128). Where a block begins stands in the index; it ends where the next begins.
 *    0   4  CRC of (number of the block, 8 bytes) and bytes 4.. of the block
 *    4   1  flags: bit 0, the block has an area of own bytes; the others 0
 *    5      the columns, one after the other; then the area of own bytes, if any
 *
 *   A column of n rows:
 *    head      1   bits 0..1 coding (below), bit 2 exceptions follow, bit 3 zero, bits 4..7 B: bytes of the base, 0..8
 *    base      B   z, low byte first; zigzag (z even: z / 2; odd: -(z + 1) / 2) gives what is added, modulo 2^64, to the column's base in
 *                  the footer. The first column has B = 0: its base is the first key of the block in the index.
 *    width     1   w, 0..64; not with SEGMENT_CONSTANT
 *    count     1   e, exceptions, 1..n; only with exceptions
 *    wide      1   x, bits of an exception, 1..64; only with exceptions
 *    packed        n numbers of w bits, the first one in the lowest bits of the first byte; (n w + 7) / 8 bytes
 *    positions e   row of each exception, below n
 *    numbers       e numbers of x bits packed in the same way; (e x + 7) / 8 bytes
 *
 *   The first column is SEGMENT_CONSTANT or SEGMENT_DELTAS.
 *   SEGMENT_CONSTANT    every row is the base. Never with exceptions.
 *   SEGMENT_OFFSETS     a row is base + number; an exception is added as number * 2^w (w + x <= 64).
 *   SEGMENT_DELTAS      a row is the row before + number, the first one base + number, which is 0; exceptions as with offsets.
 *                       Rows never fall: none is past 2^64.
 *   SEGMENT_DICTIONARY  B = 0; the column's shift s and dictionary stand in the index: a row is dictionary[number / 2^s] + number
 *                       mod 2^s; an exception is the row itself.
 *
 *   The area of own bytes:
 *    bitmap   (n + 7) / 8  bit i % 8 of byte i / 8: row i has some
 *    lengths               of each such row, 1..4096, LEB128 (seven bits a byte, low ones first, top bit set: one more follows)
 *    bytes                 of each such row
 *
 * INDEX, of b blocks and g = (b + 511) / 512 groups of blocks
 *   g x 16  of each group: where its first block begins in the file; first column of its first row
 *   b x 8   of each block: first column of its first row, never falling
 *   b x 4   of each block: where it begins, behind the beginning of its group's first block
 *   d x 8   dictionaries of the columns, one after the other: numbers whose low s bits are 0, no order
 *   f x 64  filter (version 2): f lines of 512 bits; bit i of a line is bit i % 8 of byte i / 8. All arithmetic modulo 2^64.
 *           Of each value v of the first column: x = v ^ v >> 32; x = x * 0x9e3779b97f4a7c15; x = x ^ x >> 29;
 *           h = x * 0xbf58476d1ce4e5b9 >> 32; in line h f >> 32 the bits q mod 512, q >> 9 mod 512, q >> 18 mod 512 and q >> 27 mod 512
 *           are set, where q = h * 0x94d049bb133111eb >> 28. Other bits are 0.
 *
 * FOOTER, 352 bytes
 *    0   8  rows
 *    8   8  blocks, (rows + 127) / 128
 *   16   8  where the index begins
 *   24   8  bytes of the file
 *   32  80  keys of the first row (ten columns; those that are no key 0, as all are when there is no row)
 *  112  80  keys of the last row, likewise
 *  192  80  base of each column
 *  272  40  entries in the dictionary of each column, 4 bytes each, at most 65,536
 *  312  10  shift of each column's dictionary, 0..63; 0 when there is none
 *  322   6  zeros
 *  328   4  CRC of the header (bytes 60..63)
 *  332   4  CRC of the index
 *  336   4  lines of the filter, at most 32,768; 0: there is none, as always with version 1
 *  340   4  CRC of bytes 0..339 of the footer
 *  344   8  magic "CEIREND" and a NUL
 */
#ifndef CEIR_SEGMENT_FORMAT_H
#define CEIR_SEGMENT_FORMAT_H

#include <endian.h>
#include <stdint.h>
#include <string.h>

#define SEGMENT_MAGIC "CEIRSEG"
#define SEGMENT_END_MAGIC "CEIREND"
#define SEGMENT_VERSION 1u
#define SEGMENT_VERSION_FILTER 2u
#define SEGMENT_FLAG_EXTRA 1u

#define SEGMENT_HEADER_BYTES 64u
#define SEGMENT_HEADER_CRC 60u
#define SEGMENT_FOOTER_BYTES 352u
#define SEGMENT_FOOTER_CRC 340u

#define SEGMENT_GROUP 512u /* blocks */
#define SEGMENT_GROUP_BYTES 16u
#define SEGMENT_BLOCK_HEAD_BYTES 5u
#define SEGMENT_DICTIONARY_MAX 65536u
#define SEGMENT_FILTER_LINE 64u           /* bytes */
#define SEGMENT_FILTER_BITS 4u            /* set for a value */
#define SEGMENT_FILTER_BITS_EACH 8u       /* there are for a value */
#define SEGMENT_FILTER_MAX (1u << 21)     /* values; of more there is no filter */
#define SEGMENT_FILTER_LINES_MAX (SEGMENT_FILTER_MAX * SEGMENT_FILTER_BITS_EACH / (SEGMENT_FILTER_LINE * 8))

enum segment_coding { SEGMENT_CONSTANT, SEGMENT_OFFSETS, SEGMENT_DELTAS, SEGMENT_DICTIONARY };
#define SEGMENT_HEAD_CODING 3u
#define SEGMENT_HEAD_EXCEPTIONS 4u
#define SEGMENT_HEAD_ZERO 8u
#define SEGMENT_HEAD_BASE_SHIFT 4u

/* Where in the footer. */
enum {
	FOOTER_ROWS = 0,
	FOOTER_BLOCKS = 8,
	FOOTER_INDEX = 16,
	FOOTER_BYTES = 24,
	FOOTER_FIRST = 32,
	FOOTER_LAST = 112,
	FOOTER_BASE = 192,
	FOOTER_ENTRIES = 272,
	FOOTER_SHIFT = 312,
	FOOTER_HEADER_CRC = 328,
	FOOTER_INDEX_CRC = 332,
	FOOTER_FILTER = 336,
	FOOTER_MAGIC = 344,
};

static inline uint64_t load64(const uint8_t *p)
{
	uint64_t v;
	memcpy(&v, p, sizeof v);
	return le64toh(v);
}

static inline uint32_t load32(const uint8_t *p)
{
	uint32_t v;
	memcpy(&v, p, sizeof v);
	return le32toh(v);
}

static inline void store64(uint8_t *p, uint64_t v)
{
	v = htole64(v);
	memcpy(p, &v, sizeof v);
}

static inline void store32(uint8_t *p, uint32_t v)
{
	v = htole32(v);
	memcpy(p, &v, sizeof v);
}

#endif

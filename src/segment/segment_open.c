/*
 * segment_open.c - a segment file from a path to a struct whose every offset can be trusted.
 *
 * Checked here, once: header, footer, the whole index. After that a block's bytes are known to lie in the file, with the footer behind
 * them, so that unpacking may read some bytes too many. A file that somebody cuts off later, while it is mapped, kills the reader
 * with SIGBUS: that is not handled, since segments are never changed.
 */
#include "segment/segment_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define ROOM "segment"
#define BLOCK_BYTES_MIN (SEGMENT_BLOCK_HEAD_BYTES + 1u)

static bool all_zero(const uint8_t *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (p[i])
			return false;
	return true;
}

/* Each gives what is wrong, NULL: nothing. */
static const char *header_check(const struct segment *s)
{
	const uint8_t *h = s->map;
	if (memcmp(h, SEGMENT_MAGIC, 8) != 0)
		return "not a segment";
	if (load32(h + 8) != SEGMENT_VERSION && load32(h + 8) != SEGMENT_VERSION_FILTER)
		return "unknown version of the format";
	if (load32(h + SEGMENT_HEADER_CRC) != crc32c(0, h, SEGMENT_HEADER_CRC))
		return "header is damaged";
	if (load32(h + 12) != s->schema.kind || h[16] != s->schema.columns || h[17] != s->schema.keys ||
		h[18] != (s->schema.extra ? SEGMENT_FLAG_EXTRA : 0) || !all_zero(h + 19, SEGMENT_HEADER_CRC - 19))
		return "a segment of another kind";
	return NULL;
}

/* What the footer says into s; then whether it adds up to the size of the file. */
static const char *footer_check(struct segment *s)
{
	const uint8_t *f = s->map + s->bytes - SEGMENT_FOOTER_BYTES;
	if (memcmp(f + FOOTER_MAGIC, SEGMENT_END_MAGIC, 8) != 0 || load32(f + SEGMENT_FOOTER_CRC) != crc32c(0, f, SEGMENT_FOOTER_CRC))
		return "footer is missing or damaged (cut off?)";
	if (load64(f + FOOTER_BYTES) != s->bytes || load32(f + FOOTER_HEADER_CRC) != load32(s->map + SEGMENT_HEADER_CRC))
		return "footer is another file's";
	s->info.rows = load64(f + FOOTER_ROWS);
	s->info.bytes = s->bytes;
	s->blocks = load64(f + FOOTER_BLOCKS);
	s->index = load64(f + FOOTER_INDEX);
	/* Small enough for the sums below. */
	if (s->index < SEGMENT_HEADER_BYTES || s->index > s->bytes - SEGMENT_FOOTER_BYTES || s->blocks > s->bytes / BLOCK_BYTES_MIN ||
		s->blocks != s->info.rows / SEGMENT_BLOCK + (s->info.rows % SEGMENT_BLOCK != 0))
		return "footer contradicts itself";
	s->groups = (s->blocks + SEGMENT_GROUP - 1) / SEGMENT_GROUP;
	s->group = s->map + s->index;
	uint64_t at = s->groups * SEGMENT_GROUP_BYTES, left = s->bytes - SEGMENT_FOOTER_BYTES - s->index;
	const uint64_t first = at, start = first + s->blocks * 8;
	at = start + s->blocks * 4;
	for (unsigned c = 0; c < SEGMENT_COLUMNS; c++) {
		struct column_form *k = &s->form[c];
		s->info.first[c] = load64(f + FOOTER_FIRST + 8 * c);
		s->info.last[c] = load64(f + FOOTER_LAST + 8 * c);
		k->base = load64(f + FOOTER_BASE + 8 * c);
		k->entries = load32(f + FOOTER_ENTRIES + 4 * c);
		k->shift = f[FOOTER_SHIFT + c];
		if (k->entries > SEGMENT_DICTIONARY_MAX || k->shift > 63 || (k->entries == 0 && k->shift > 0))
			return "footer contradicts itself";
		at += (uint64_t)k->entries * 8;
	}
	s->filter_lines = load32(f + FOOTER_FILTER);
	if (s->filter_lines > (load32(s->map + 8) == SEGMENT_VERSION ? 0 : SEGMENT_FILTER_LINES_MAX))
		return "footer contradicts itself";
	at += (uint64_t)s->filter_lines * SEGMENT_FILTER_LINE;
	if (at != left)
		return "index does not have the size that the footer says";
	s->first = s->group + first;
	s->start = s->group + start;
	const uint8_t *dictionary = s->start + s->blocks * 4;
	for (unsigned c = 0; c < SEGMENT_COLUMNS; c++) {
		s->form[c].dictionary = dictionary;
		dictionary += (size_t)s->form[c].entries * 8;
	}
	s->filter = dictionary;
	return load32(f + FOOTER_INDEX_CRC) == crc32c(0, s->group, left) ? NULL : "index is damaged";
}

static const char *dictionary_check(const struct segment *s)
{
	for (unsigned c = 0; c < SEGMENT_COLUMNS; c++) {
		const struct column_form *k = &s->form[c];
		uint64_t low = 0;
		for (uint32_t i = 0; i < k->entries; i++)
			low |= load64(k->dictionary + (size_t)i * 8);
		if (low & low_bits(k->shift))
			return "a dictionary contradicts itself";
	}
	return NULL;
}

/* Blocks follow one another from the header to the index, and their first keys never fall. */
static const char *index_check(const struct segment *s)
{
	uint64_t end = SEGMENT_HEADER_BYTES, first = s->blocks ? s->info.first[0] : 0;

	for (uint64_t b = 0; b < s->blocks; b++) {
		const uint64_t start = segment_start(s, b), next = segment_first(s, b);
		const uint8_t *group = s->group + b / SEGMENT_GROUP * SEGMENT_GROUP_BYTES;
		if (b % SEGMENT_GROUP == 0 && (load32(s->start + b * 4) != 0 || load64(group + 8) != next))
			return "index contradicts itself";
		if (b == 0 ? start != end || next != first : start < end || next < first)
			return "index is out of order";
		if (start > s->index || s->index - start < BLOCK_BYTES_MIN)
			return "index points behind the blocks";
		end = start + BLOCK_BYTES_MIN;
		first = next;
	}
	if (s->blocks == 0 ? s->index != SEGMENT_HEADER_BYTES : s->info.last[0] < first)
		return "index contradicts the footer";
	return dictionary_check(s);
}

static enum ceir_err segment_new(const uint8_t *map, size_t bytes, const char *name, const struct segment_schema *schema,
	struct segment **out)
{
	static _Atomic uint64_t serials = 1; /* relaxed: only needs to be different each time */
	const char *why = "too short for a segment";
	struct segment *s = calloc(1, sizeof *s);
	if (!s)
		return CEIR_ENOMEM;
	s->name = strdup(name);
	s->map = map;
	s->bytes = bytes;
	s->schema = *schema;
	s->serial = atomic_fetch_add_explicit(&serials, 1, memory_order_relaxed);
	if (!s->name) {
		segment_close(s);
		return CEIR_ENOMEM;
	}
	if (bytes >= SEGMENT_HEADER_BYTES + SEGMENT_FOOTER_BYTES) {
		why = header_check(s);
		why = why ? why : footer_check(s);
		why = why ? why : index_check(s);
	}
	if (why) {
		log_error(ROOM, "%s (%zu bytes): %s", name, bytes, why);
		segment_close(s);
		return CEIR_ECORRUPT;
	}
	if (index_build(s)) {
		segment_close(s);
		return CEIR_ENOMEM;
	}
	*out = s;
	return CEIR_OK;
}

enum ceir_err segment_open_bytes(const void *bytes, size_t n, const char *name, const struct segment_schema *schema, struct segment **out)
{
	return segment_new(bytes, n, name, schema, out);
}

enum ceir_err segment_open(const char *path, const struct segment_schema *schema, struct segment **out)
{
	const int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat st;
	enum ceir_err err = CEIR_OK;
	void *map = NULL;

	if (fd < 0)
		return ceir_err_of_errno(errno);
	if (fstat(fd, &st) != 0)
		err = ceir_err_of_errno(errno);
	else if (!S_ISREG(st.st_mode))
		err = CEIR_ECORRUPT;
	/* An empty file cannot be mapped: nothing is, and it is too short. */
	if (!err && st.st_size > 0) {
		map = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_SHARED, fd, 0);
		if (map == MAP_FAILED)
			err = ceir_err_of_errno(errno);
	}
	close(fd);
	if (err) {
		log_error(ROOM, "cannot open %s: %s", path, ceir_err_text(err));
		return err;
	}
	struct segment *s;
	err = segment_new(map, map ? (size_t)st.st_size : 0, path, schema, &s);
	if (err) {
		if (map)
			(void)munmap(map, (size_t)st.st_size);
		return err;
	}
	s->mapped = true;
	*out = s;
	return CEIR_OK;
}

void segment_close(struct segment *s)
{
	if (!s)
		return;
	if (s->mapped)
		(void)munmap((void *)(uintptr_t)s->map, s->bytes);
	index_free(s);
	free(s->name);
	free(s);
}

void segment_get_info(const struct segment *s, struct segment_info *info)
{
	*info = s->info;
}

/*
 * base_mo.c - the GNU gettext MO format (GNU gettext manual, "The Format of GNU MO Files").
 *
 *   offset  0  uint32  magic 0x950412de, in the byte order of the whole file
 *           4  uint32  revision: major in the upper half (0 or 1), minor in the lower
 *           8  uint32  N, number of texts
 *          12  uint32  offset of the table of originals
 *          16  uint32  offset of the table of translations
 *          20  uint32  size, and 24 offset, of a hash table; not used here
 *   each table: N times { uint32 length without NUL, uint32 offset }
 *
 * The originals are in strictly ascending byte order and every text ends in a NUL that is not counted. A plural entry holds
 * its forms with NULs between them; its first form is the key, as in gettext. The empty original carries the header.
 *
 * A catalogue comes from a translator, not from us: every offset, length, NUL and order is checked once at opening, so
 * that finding needs no check.
 */
#include "base/base_mo.h"

#include <string.h>

#define MAGIC 0x950412deu
#define HEADER_BYTES 28u
#define ROW_BYTES 8u

static uint32_t word(const struct mo *mo, size_t offset)
{
	uint32_t v;

	memcpy(&v, mo->bytes.p + offset, sizeof(v));
	return mo->swapped ? __builtin_bswap32(v) : v;
}

static struct str row(const struct mo *mo, uint32_t table, uint32_t i)
{
	size_t at = table + (size_t)i * ROW_BYTES;

	return (struct str){mo->bytes.p + word(mo, at + 4), word(mo, at)};
}

static bool table_fits(const struct mo *mo, uint32_t table)
{
	return table >= HEADER_BYTES && table <= mo->bytes.n && mo->count <= (mo->bytes.n - table) / ROW_BYTES;
}

/* A text of a table: inside the file, a NUL behind it, each of its forms UTF-8. */
static const char *row_fault(const struct mo *mo, uint32_t table, uint32_t i)
{
	size_t at = table + (size_t)i * ROW_BYTES;
	uint32_t length = word(mo, at), offset = word(mo, at + 4);
	struct str text, form;

	if (offset >= mo->bytes.n || length >= mo->bytes.n - offset)
		return "a text lies outside the file";
	text = (struct str){mo->bytes.p + offset, length};
	if (text.p[length] != '\0')
		return "a text has no NUL at its end";
	while (str_cut(&text, '\0', &form))
		if (!str_is_utf8(form))
			return "a text is not UTF-8";
	return NULL;
}

static const char *rows_fault(const struct mo *mo)
{
	for (uint32_t i = 0; i < mo->count; i++) {
		const char *fault = row_fault(mo, mo->originals, i);

		if (fault == NULL)
			fault = row_fault(mo, mo->translations, i);
		if (fault != NULL)
			return fault;
		if (i > 0 && strcmp(row(mo, mo->originals, i - 1).p, row(mo, mo->originals, i).p) >= 0)
			return "the originals are not in order";
	}
	return NULL;
}

static const char *mo_fault(struct str bytes, struct mo *mo)
{
	uint32_t magic;

	*mo = (struct mo){.bytes = bytes};
	if (bytes.n < HEADER_BYTES)
		return "shorter than a header";
	memcpy(&magic, bytes.p, sizeof(magic));
	mo->swapped = magic != MAGIC;
	if (word(mo, 0) != MAGIC)
		return "not a catalogue (wrong magic number)";
	if (word(mo, 4) >> 16 > 1)
		return "unknown revision of the format";
	mo->count = word(mo, 8);
	mo->originals = word(mo, 12);
	mo->translations = word(mo, 16);
	if (!table_fits(mo, mo->originals) || !table_fits(mo, mo->translations))
		return "a table lies outside the file";
	return rows_fault(mo);
}

enum ceir_err mo_open(struct str bytes, struct mo *mo, const char **why)
{
	const char *fault = mo_fault(bytes, mo);

	if (fault == NULL)
		return CEIR_OK;
	*why = fault;
	return CEIR_ECORRUPT;
}

const char *mo_find(const struct mo *mo, const char *original)
{
	uint32_t low = 0, high = mo->count;

	if (original[0] == '\0')
		return NULL;
	while (low < high) {
		uint32_t middle = low + (high - low) / 2;
		int order = strcmp(original, row(mo, mo->originals, middle).p);

		if (order == 0) {
			const char *found = row(mo, mo->translations, middle).p;

			return found[0] == '\0' ? NULL : found;
		}
		if (order < 0)
			high = middle;
		else
			low = middle + 1;
	}
	return NULL;
}

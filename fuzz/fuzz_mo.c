/* Catalogues: bytes that mo_open accepts can be searched for anything, and what is found is UTF-8. */
#include <stdlib.h>
#include <string.h>

#include "base/base.h"
#include "base/base_mo.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const originals[] = {"", "a", "Command completed successfully", "zebra"};
	const char *why = NULL;
	struct mo mo;

	if (mo_open((struct str){(const char *)data, size}, &mo, &why) != CEIR_OK) {
		CEIR_ASSERT(why != NULL);
		return 0;
	}
	for (size_t i = 0; i < CEIR_COUNT(originals); i++) {
		const char *found = mo_find(&mo, originals[i]);

		CEIR_ASSERT(found == NULL || str_is_utf8(str_of(found)));
	}
	/* Every original of the file itself: the offsets in its table can be followed. */
	for (uint32_t i = 0; i < mo.count; i++) {
		uint32_t offset;

		memcpy(&offset, data + mo.originals + 8 * (size_t)i + 4, sizeof(offset));
		offset = mo.swapped ? __builtin_bswap32(offset) : offset;
		(void)mo_find(&mo, (const char *)data + offset);
	}
	return 0;
}

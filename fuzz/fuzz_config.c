/* ceir.conf: any text is taken or refused with a reason, and never leaves a value outside its range. */
#include <stdlib.h>
#include <string.h>

#include "base/base.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct setting table[] = {
	{"epp.listen", SETTING_TEXT, "127.0.0.1:7700", 0, 0, "Address."},
	{"epp.limit", SETTING_INT, "10", -5, 100, "How many."},
	{"epp.strict", SETTING_BOOL, "yes", 0, 0, "Whether."},
	{"log.format", SETTING_TEXT, "", 0, 0, "Form."},
	{.key = NULL},
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str text = {(const char *)data, size};
	struct config *c = config_new(table);
	char why[120] = "";
	int64_t n;

	CEIR_ASSERT(c != NULL);
	CEIR_ASSERT((config_parse(c, text, "ceir.conf", why, sizeof(why)) == CEIR_OK) == (why[0] == '\0'));
	why[0] = '\0';
	CEIR_ASSERT((config_set(c, text, why, sizeof(why)) == CEIR_OK) == (why[0] == '\0'));
	n = config_int(c, "epp.limit");
	CEIR_ASSERT(n >= -5 && n <= 100);
	CEIR_ASSERT(str_is_utf8(str_of(config_text(c, "epp.listen"))));
	(void)config_bool(c, "epp.strict");
	config_free(c);
	return 0;
}

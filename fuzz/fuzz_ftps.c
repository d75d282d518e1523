/* fuzz_ftps.c - what pure-ftpd passes on of strangers: a question who may come in, a line of the transfer log, a line of its log. */
#include <string.h>

#include "ftps/ftps_text.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

static void question(struct str s)
{
	struct ftps_request q;

	if (ftps_request_parse(s, &q) != CEIR_OK)
		return;
	CEIR_ASSERT(ftps_request_complete(s));
	for (const struct str *const *p = (const struct str *const[]){&q.account, &q.password, &q.peer, NULL}; *p; p++)
		CEIR_ASSERT((*p)->p >= s.p && (*p)->p + (*p)->n <= s.p + s.n && ((*p)->n == 0 || !memchr((*p)->p, '\n', (*p)->n)));
}

static void upload(struct str s)
{
	char path[PATH_MAX];
	struct str account;

	if (ftps_upload_parse(s, &account, path) != CEIR_OK)
		return;
	CEIR_ASSERT(path[0] != '\0' && strlen(path) < PATH_MAX && account.p >= s.p && account.p + account.n <= s.p + s.n);
	const char *name = ftps_upload_name(path, "/d/a");
	CEIR_ASSERT(!name || (name[0] != '\0' && name[0] != '.' && !strchr(name, '/') && strncmp(path, "/d/a/", 5) == 0));
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
	struct str s = {(const char *)bytes, n};
	unsigned first, last;

	question(s);
	upload(s);
	if (ftps_ports_parse(s, &first, &last) == CEIR_OK)
		CEIR_ASSERT(first >= 1024 && first < last && last <= 65535);
	(void)ftps_log_level(&s);
	CEIR_ASSERT(s.n <= n);
	return 0;
}

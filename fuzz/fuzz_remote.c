/*
 * fuzz_remote.c - texts of a remote that go into another machine's commands, or vouch for it. What is taken holds what registry_remote.h promises:
 * no control character and no way up; certificates come out in a form that is taken again, as it is.
 */
#include <stdint.h>
#include <string.h>

#include "registry/registry_remote.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void no_control(struct str s)
{
	for (size_t i = 0; i < s.n; i++)
		CEIR_ASSERT((uint8_t)s.p[i] >= 0x20 && s.p[i] != 0x7f);
}

static void check_pem(struct str text)
{
	struct arena *arena = arena_new(1 << 20);
	struct str pem, again;

	if (arena && !reg_remote_pem(arena, text, 16384, &pem)) {
		CEIR_ASSERT(pem.n && pem.n <= 16384 && pem.p[pem.n - 1] == '\n');
		CEIR_ASSERT(!reg_remote_pem(arena, pem, 16384, &again) && str_eq(pem, again));
	}
	arena_free(arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str s = {(const char *)data, size};

	if (reg_remote_host_good(s)) {
		no_control(s);
		CEIR_ASSERT(s.n <= 253 && !memchr(s.p, ' ', s.n) && !memchr(s.p, '/', s.n) && !memchr(s.p, '@', s.n));
	}
	if (reg_remote_folder_good(s)) {
		no_control(s);
		CEIR_ASSERT(!memmem(s.p, s.n, "/../", 4) && !str_eq_c(s, "..") && !str_starts(s, STR("../")));
		CEIR_ASSERT(reg_remote_folder_same(s, s));
	}
	check_pem(s);
	return 0;
}

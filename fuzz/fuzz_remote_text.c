/* fuzz_remote_text.c - what another's FTPS server lists, and what a disk gives back of a mark: nothing but names that may be files here comes out. */
#include <string.h>
#include <strings.h>

#include "remote/remote_text.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

static void listing(struct str s)
{
	struct arena *arena = arena_new(1 << 20);
	struct remote_names names;

	if (arena && !remote_listing_parse(s, arena, &names)) {
		CEIR_ASSERT(names.n <= REMOTE_NAMES);
		for (size_t i = 0; i < names.n; i++) {
			struct str v = names.v[i];

			CEIR_ASSERT(v.p >= s.p && v.p + v.n <= s.p + s.n && v.n && v.n < REMOTE_NAME && v.p[0] != '.');
			CEIR_ASSERT(!memchr(v.p, '/', v.n) && !memchr(v.p, '\r', v.n) && !memchr(v.p, '\n', v.n) && !memchr(v.p, '\0', v.n) && str_is_utf8(v));
			CEIR_ASSERT(!i || str_cmp(names.v[i - 1], v) < 0);
			CEIR_ASSERT(remote_names_has(&names, v));
		}
	}
	arena_free(arena);
}

static void mark(struct str s)
{
	struct buf out = BUF_INIT(0);
	struct remote_mark m;

	if (!remote_mark_parse(s, &m)) {
		CEIR_ASSERT(m.list < REG_LISTS && m.from >= -1 && m.from <= m.to && m.op.n);
		remote_mark_print(&out, &m);
		/* One form only, but for the case of the digest's digits. */
		CEIR_ASSERT(out.n == s.n && strncasecmp(out.p, s.p, s.n) == 0);
	}
	buf_free(&out);
}

/* A host, a folder and a name make an address of three parts, or none. */
static void address(struct str s)
{
	struct buf out = BUF_INIT(0);
	struct str host, folder;

	if (str_cut(&s, '\n', &host) && str_cut(&s, '\n', &folder) && !remote_url(&out, false, host, 21, folder, s)) {
		for (size_t i = 0; i < out.n; i++)
			CEIR_ASSERT((unsigned char)out.p[i] > 0x20 && (unsigned char)out.p[i] < 0x7f && !strchr("\"#;<>?@\\^`{|}", out.p[i]));
		CEIR_ASSERT(out.n >= 6 && memcmp(out.p, "ftp://", 6) == 0);
	}
	buf_free(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
	struct str s = {(const char *)bytes, n};
	char line[64];

	listing(s);
	mark(s);
	address(s);
	remote_line(s, line, sizeof line);
	CEIR_ASSERT(strlen(line) < sizeof line && str_is_utf8(str_of(line)));
	return 0;
}

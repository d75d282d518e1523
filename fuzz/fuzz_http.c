/*
 * fuzz_http.c - what strangers write: targets, credentials, lists of headers, the body of an ack; and to ceirctl, heads and chunks of
 * answers. The first byte says which.
 */
#include <stdlib.h>
#include <string.h>

#include "ctl/ctl_http.h"
#include "http/http_parse.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

static void target(struct str s)
{
	struct arena *arena = arena_new((size_t)1 << 20);
	struct http_target t;

	CEIR_ASSERT(arena);
	if (http_target_parse(s, arena, &t) == CEIR_OK) {
		CEIR_ASSERT(t.n_segments <= HTTP_SEGMENTS && t.n_parameters <= HTTP_PARAMETERS);
		for (size_t i = 0; i < t.n_segments; i++)
			CEIR_ASSERT(t.segments[i].n > 0 && t.segments[i].n <= HTTP_VALUE_BYTES && str_is_utf8(t.segments[i]));
		for (size_t i = 0; i < t.n_parameters; i++) {
			CEIR_ASSERT(str_is_utf8(t.parameters[i].name) && str_is_utf8(t.parameters[i].value));
			CEIR_ASSERT(memchr(t.parameters[i].value.p, '\n', t.parameters[i].value.n) == NULL);
		}
	}
	arena_free(arena);
}

static void credentials(struct str s)
{
	struct buf decoded = BUF_INIT(0);
	struct str user, password;

	if (http_basic_parse(s, &decoded, &user, &password) == CEIR_OK) {
		CEIR_ASSERT(user.n + password.n + 1 == decoded.n);
		CEIR_ASSERT(user.p == decoded.p && password.p + password.n == decoded.p + decoded.n);
		CEIR_ASSERT(memchr(user.p, ':', user.n) == NULL);
	}
	buf_free(&decoded);
}

static void lists(struct str s)
{
	const struct str tokens[] = {STR("gzip"), STR("text/csv"), STR("")};

	for (size_t i = 0; i < CEIR_COUNT(tokens); i++) {
		int weight = http_weight(s, tokens[i]);

		CEIR_ASSERT(weight >= -1 && weight <= 1000);
	}
	size_t lang = 0;
	CEIR_ASSERT(!http_language(s, &lang) || lang < i18n_count());
	(void)http_tag_listed(s, STR("abc"));
	CEIR_ASSERT(http_token(s).n <= s.n);
	CEIR_ASSERT(http_prefer_wait(s, 60) <= 60 && http_prefer_wait(s, 0) == 0);
	CEIR_ASSERT((http_prefer_wait(s, 60) > 0) == (http_prefer_wait(s, 1) > 0));
	if (http_cltrid_good(s))
		CEIR_ASSERT(str_is_utf8(s) && s.n <= 64);
}

static void ack(struct str s)
{
	const char *why = NULL;
	uint64_t seq = UINT64_MAX;

	if (http_ack_parse(s, &seq, &why) == CEIR_OK)
		CEIR_ASSERT(seq <= INT64_MAX);
	else
		CEIR_ASSERT(why != NULL && seq == UINT64_MAX);
}

static void answer(struct str s)
{
	struct ctl_http_head head;
	uint64_t size;
	size_t used;

	if (ctl_http_head_parse(s, &head, &used) == CEIR_OK) {
		CEIR_ASSERT(used <= s.n && head.status >= 100 && head.status <= 999);
		CEIR_ASSERT(head.headers.p >= s.p && head.headers.p + head.headers.n <= s.p + used);
		CEIR_ASSERT(ctl_http_header(&head, "Content-Length").n <= head.headers.n);
	}
	if (ctl_http_chunk_parse(s, &size, &used) == CEIR_OK)
		CEIR_ASSERT(used <= s.n && size < UINT64_C(1) << 60);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
	/* In memory of its own, so that a read behind the end is seen. */
	char *copy;
	struct str s;

	if (n == 0)
		return 0;
	copy = malloc(n);
	CEIR_ASSERT(copy);
	memcpy(copy, bytes + 1, n - 1);
	s = (struct str){copy, n - 1};
	switch (bytes[0] % 8) {
	case 0:
		target(s);
		break;
	case 1:
		credentials(s);
		break;
	case 2:
		lists(s);
		break;
	case 3:
		ack(s);
		break;
	default:
		answer(s);
	}
	free(copy);
	return 0;
}

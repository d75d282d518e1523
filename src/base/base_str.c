/* base_str.c - slices: compare, cut, check, and hexadecimal. */
#include "base/base.h"

#include <string.h>

struct str str_of(const char *c_string)
{
	return (struct str){c_string, c_string == NULL ? 0 : strlen(c_string)};
}

bool str_eq(struct str a, struct str b)
{
	return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}

bool str_eq_c(struct str a, const char *c_string)
{
	return str_eq(a, str_of(c_string));
}

bool str_starts(struct str s, struct str prefix)
{
	return s.n >= prefix.n && str_eq((struct str){s.p, prefix.n}, prefix);
}

int str_cmp(struct str a, struct str b)
{
	size_t n = a.n < b.n ? a.n : b.n;
	int order = n == 0 ? 0 : memcmp(a.p, b.p, n);

	return order != 0 ? order : (a.n > b.n) - (a.n < b.n);
}

static bool is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

struct str str_trim(struct str s)
{
	while (s.n > 0 && is_space(s.p[0])) {
		s.p++;
		s.n--;
	}
	while (s.n > 0 && is_space(s.p[s.n - 1]))
		s.n--;
	return s;
}

bool str_cut(struct str *s, char sep, struct str *head)
{
	const char *at;

	if (s->n == 0)
		return false;
	at = memchr(s->p, sep, s->n);
	if (at == NULL) {
		*head = *s;
		*s = (struct str){s->p + s->n, 0};
		return true;
	}
	*head = (struct str){s->p, (size_t)(at - s->p)};
	*s = (struct str){at + 1, s->n - head->n - 1};
	return true;
}

enum ceir_err str_u64(struct str s, uint64_t max, uint64_t *value)
{
	uint64_t v = 0;
	bool over = false;

	if (s.n == 0)
		return CEIR_EINVAL;
	/* All characters are looked at even after an overflow: "99...9x" is malformed, not too large. */
	for (size_t i = 0; i < s.n; i++) {
		unsigned digit = (unsigned char)s.p[i] - (unsigned)'0';

		if (digit > 9)
			return CEIR_EINVAL;
		over |= __builtin_mul_overflow(v, 10u, &v);
		over |= __builtin_add_overflow(v, digit, &v);
	}
	if (over || v > max)
		return CEIR_ERANGE;
	*value = v;
	return CEIR_OK;
}

bool str_eq_secret(struct str a, struct str b)
{
	unsigned difference = 0;

	if (a.n != b.n)
		return false;
	for (size_t i = 0; i < a.n; i++) {
		difference |= (unsigned char)a.p[i] ^ (unsigned)(unsigned char)b.p[i];
		/* Keeps the compiler from leaving the loop at the first difference. */
		__asm__ volatile("" : "+r"(difference));
	}
	return difference == 0;
}

static bool is_tail(unsigned char c)
{
	return (c & 0xc0) == 0x80;
}

/* RFC 3629 section 4: the second byte excludes overlong forms, surrogates and what lies above U+10FFFF. */
size_t str_utf8_len(struct str s)
{
	const unsigned char *u = (const unsigned char *)s.p;
	unsigned char low = 0x80, high = 0xbf;
	size_t n;

	if (s.n == 0)
		return 0;
	if (u[0] < 0x80)
		return 1;
	if (u[0] < 0xc2 || u[0] > 0xf4)
		return 0;
	n = u[0] < 0xe0 ? 2 : u[0] < 0xf0 ? 3 : 4;
	if (u[0] == 0xe0)
		low = 0xa0;
	else if (u[0] == 0xed)
		high = 0x9f;
	else if (u[0] == 0xf0)
		low = 0x90;
	else if (u[0] == 0xf4)
		high = 0x8f;
	if (s.n < n || u[1] < low || u[1] > high)
		return 0;
	for (size_t i = 2; i < n; i++)
		if (!is_tail(u[i]))
			return 0;
	return n;
}

/* Bytes at the start of s, in steps of eight, that are all ASCII and none of them NUL. */
static size_t ascii_prefix(struct str s)
{
	const uint64_t ones = 0x0101010101010101u, tops = 0x8080808080808080u;
	size_t i = 0;
	uint64_t w;

	for (; i + 8 <= s.n; i += 8) {
		memcpy(&w, s.p + i, 8);
		/* With no top bit set, w - ones borrows into a top bit only where a byte is zero. */
		if (((w | (w - ones)) & tops) != 0)
			break;
	}
	return i;
}

bool str_is_utf8(struct str s)
{
	while (s.n > 0) {
		size_t n = ascii_prefix(s);

		if (n == 0) {
			n = str_utf8_len(s);
			if (n == 0 || s.p[0] == '\0')
				return false;
		}
		s.p += n;
		s.n -= n;
	}
	return true;
}

void hex_print(const void *bytes, size_t n, char *out)
{
	static const char digits[16] = "0123456789abcdef";
	const unsigned char *u = bytes;

	for (size_t i = 0; i < n; i++) {
		out[2 * i] = digits[u[i] >> 4];
		out[2 * i + 1] = digits[u[i] & 15];
	}
	out[2 * n] = '\0';
}

static int hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

enum ceir_err hex_parse(struct str s, void *bytes, size_t n)
{
	unsigned char *u = bytes;

	if (s.n % 2 != 0 || s.n / 2 != n)
		return CEIR_EINVAL;
	for (size_t i = 0; i < s.n; i++)
		if (hex_value(s.p[i]) < 0)
			return CEIR_EINVAL;
	for (size_t i = 0; i < n; i++)
		u[i] = (unsigned char)(hex_value(s.p[2 * i]) * 16 + hex_value(s.p[2 * i + 1]));
	return CEIR_OK;
}

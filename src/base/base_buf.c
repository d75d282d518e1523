/* base_buf.c - growable output. A failure sticks: after it nothing is appended, so the bytes have no hole in the middle. */
#include "base/base.h"

#include <stdlib.h>
#include <string.h>

#define SMALLEST_BYTES ((size_t)256)

char *buf_reserve(struct buf *b, size_t n)
{
	size_t max = b->max == 0 ? SIZE_MAX : b->max;
	size_t need, cap;
	char *p;

	if (b->failed || !size_add(b->n, n, &need) || need > max) {
		b->failed = true;
		return NULL;
	}
	if (b->p != NULL && need <= b->cap)
		return b->p + b->n;
	cap = b->cap > SIZE_MAX / 2 ? SIZE_MAX : b->cap * 2;
	if (cap < SMALLEST_BYTES)
		cap = SMALLEST_BYTES;
	if (cap < need)
		cap = need;
	if (cap > max)
		cap = max;
	p = realloc(b->p, cap);
	if (p == NULL) {
		b->failed = true;
		return NULL;
	}
	b->p = p;
	b->cap = cap;
	return p + b->n;
}

void buf_put(struct buf *b, const void *bytes, size_t n)
{
	char *at = buf_reserve(b, n);

	if (at == NULL || n == 0)
		return;
	memcpy(at, bytes, n);
	b->n += n;
}

void buf_str(struct buf *b, struct str s)
{
	buf_put(b, s.p, s.n);
}

void buf_c(struct buf *b, const char *c_string)
{
	buf_put(b, c_string, strlen(c_string));
}

void buf_char(struct buf *b, char c)
{
	buf_put(b, &c, 1);
}

void buf_u64(struct buf *b, uint64_t value)
{
	char digits[20]; /* UINT64_MAX has 20 */
	char *p = digits + sizeof(digits);

	do {
		*--p = (char)('0' + value % 10);
		value /= 10;
	} while (value != 0);
	buf_put(b, p, (size_t)(digits + sizeof(digits) - p));
}

void buf_printf(struct buf *b, const char *format, ...)
{
	char small[256];
	va_list args;
	int n;
	char *at;

	va_start(args, format);
	n = vsnprintf(small, sizeof(small), format, args);
	va_end(args);
	if (n < 0) {
		b->failed = true;
		return;
	}
	if ((size_t)n < sizeof(small)) {
		buf_put(b, small, (size_t)n);
		return;
	}
	/* vsnprintf writes a NUL behind the text; it needs the room although it is not counted. */
	at = buf_reserve(b, (size_t)n + 1);
	if (at == NULL)
		return;
	va_start(args, format);
	(void)vsnprintf(at, (size_t)n + 1, format, args);
	va_end(args);
	b->n += (size_t)n;
}

void buf_clear(struct buf *b)
{
	b->n = 0;
	b->failed = false;
}

void buf_free(struct buf *b)
{
	free(b->p);
	*b = (struct buf){.max = b->max};
}

struct str buf_view(const struct buf *b)
{
	return (struct str){b->p, b->n};
}

/* RFC 8259 section 7: what must be escaped. DEL too, for terminals. */
static void json_escape(struct buf *b, unsigned char c)
{
	static const char shorts[] = {['\b'] = 'b', ['\t'] = 't', ['\n'] = 'n', ['\f'] = 'f', ['\r'] = 'r'};

	if (c == '"' || c == '\\')
		buf_put(b, (char[]){'\\', (char)c}, 2);
	else if (c < sizeof(shorts) && shorts[c] != 0)
		buf_put(b, (char[]){'\\', shorts[c]}, 2);
	else
		buf_printf(b, "\\u%04x", c);
}

void buf_json(struct buf *b, struct str s)
{
	size_t done = 0, i = 0;

	buf_char(b, '"');
	while (i < s.n) {
		unsigned char c = (unsigned char)s.p[i];
		size_t n = str_utf8_len((struct str){s.p + i, s.n - i});
		bool plain = n > 0 && c >= 0x20 && c != '"' && c != '\\' && c != 0x7f;

		if (plain) {
			i += n;
			continue;
		}
		buf_put(b, s.p + done, i - done);
		if (n == 0)
			buf_c(b, "\xef\xbf\xbd"); /* U+FFFD */
		else
			json_escape(b, c);
		done = ++i;
	}
	buf_put(b, s.p == NULL ? "" : s.p + done, i - done);
	buf_char(b, '"');
}

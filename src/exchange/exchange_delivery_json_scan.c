/* exchange_delivery_json_scan.c - JSON (RFC 8259) token by token: texts, numbers, and values that nobody asked for. */
#include "exchange/exchange_delivery_json.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define FEW_NAMES 8 /* compared each with each */

void json_open(struct json *j, struct str body)
{
	*j = (struct json){.p = body.p == NULL ? "" : body.p};
	j->end = j->p + body.n;
}

void json_close(struct json *j)
{
	free(j->scratch);
	free(j->names);
}

bool json_fail(struct json *j, enum ceir_err err)
{
	j->err = err;
	return false;
}

char json_next(struct json *j)
{
	while (j->p < j->end && (*j->p == ' ' || *j->p == '\n' || *j->p == '\t' || *j->p == '\r'))
		j->p++;
	return j->p < j->end ? *j->p : '\0';
}

bool json_take(struct json *j, char c)
{
	if (json_next(j) != c || j->p == j->end)
		return false;
	j->p++;
	return true;
}

bool json_expect(struct json *j, char c)
{
	return json_take(j, c) || json_fail(j, CEIR_EINVAL);
}

bool json_more(struct json *j, char closing, bool *more)
{
	*more = json_take(j, ',');
	return *more || json_expect(j, closing);
}

/* ---- texts ---------------------------------------------------------------------------------------------------------------- */

/* The next byte that is a quote, a backslash, a control character or no ASCII; end when there is none. */
static const char *plain_end(const char *p, const char *end)
{
#ifdef __SSE2__
	while (end - p >= 16) {
		__m128i x = _mm_loadu_si128((const __m128i *)(const void *)p);
		/* Bytes from 0x80 are negative. */
		__m128i odd = _mm_or_si128(_mm_cmplt_epi8(x, _mm_set1_epi8(' ')),
			_mm_or_si128(_mm_cmpeq_epi8(x, _mm_set1_epi8('"')), _mm_cmpeq_epi8(x, _mm_set1_epi8('\\'))));
		unsigned mask = (unsigned)_mm_movemask_epi8(odd);

		if (mask != 0)
			return p + __builtin_ctz(mask);
		p += 16;
	}
#endif
	while (p < end && (unsigned char)*p >= ' ' && (unsigned char)*p < 0x80 && *p != '"' && *p != '\\')
		p++;
	return p;
}

/* Like plain_end, well-formed characters beyond ASCII passed over too. */
static const char *text_end(const char *p, const char *end)
{
	for (;;) {
		p = plain_end(p, end);
		if (p == end || (unsigned char)*p < 0x80)
			return p;
		size_t n = str_utf8_len((struct str){p, (size_t)(end - p)});
		if (n == 0)
			return p;
		p += n;
	}
}

/* Four hexadecimal digits at p, which has them; -1: other characters. */
static int32_t hex_four(const char *p, const char *end)
{
	int32_t n = 0;

	if (end - p < 4)
		return -1;
	for (unsigned i = 0; i < 4; i++) {
		char c = p[i];
		int32_t digit = c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;

		if (digit < 0)
			return -1;
		n = n * 16 + digit;
	}
	return n;
}

/* A character from U+0001 on; how many bytes. */
static size_t put_utf8(char *to, uint32_t c)
{
	size_t n = c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
	static const unsigned char first[] = {0, 0, 0xc0, 0xe0, 0xf0};

	for (size_t i = n; i-- > 1; c >>= 6)
		to[i] = (char)(0x80 | (c & 0x3f));
	to[0] = (char)(first[n] | c);
	return n;
}

/* Behind "\u": one escape, or the two of a pair of surrogates (RFC 8259 7). 0: neither; U+0000 is none either. */
static uint32_t unicode(const char **p, const char *end)
{
	int32_t c = hex_four(*p, end), low;

	if (c <= 0 || (c >= 0xdc00 && c <= 0xdfff))
		return 0;
	*p += 4;
	if (c < 0xd800 || c > 0xdfff)
		return (uint32_t)c;
	if (end - *p < 2 || (*p)[0] != '\\' || (*p)[1] != 'u')
		return 0;
	low = hex_four(*p + 2, end);
	if (low < 0xdc00 || low > 0xdfff)
		return 0;
	*p += 6;
	return 0x10000 + ((uint32_t)(c - 0xd800) << 10) + (uint32_t)(low - 0xdc00);
}

/* Behind a backslash; where it ends, NULL: no escape. An escape is at least as long as what it stands for. */
static const char *escape(const char *p, const char *end, char *to, size_t *n)
{
	static const char names[] = "\"\\/bfnrt", values[] = "\"\\/\b\f\n\r\t";
	const char *found;
	uint32_t c;

	if (p == end || *p == '\0')
		return NULL;
	if (*p == 'u') {
		p++;
		c = unicode(&p, end);
		*n = c == 0 ? 0 : put_utf8(to, c);
		return c == 0 ? NULL : p;
	}
	found = strchr(names, *p);
	if (found == NULL)
		return NULL;
	*to = values[found - names];
	*n = 1;
	return p + 1;
}

/* A text with escapes, from `from`; the first backslash is at j->p. */
static bool text_escaped(struct json *j, const char *from, struct str *out)
{
	const char *p = j->p;
	char *to;
	size_t n;

	j->escaped = true;
	/* All texts together are no longer than what is left of the body from the first of them on. */
	if (j->scratch == NULL && (j->scratch = malloc((size_t)(j->end - from))) == NULL)
		return json_fail(j, CEIR_ENOMEM);
	out->p = j->scratch + j->scratch_n;
	to = j->scratch + j->scratch_n;
	for (;;) {
		memcpy(to, from, (size_t)(p - from));
		to += p - from;
		if (p == j->end || (*p != '\\' && *p != '"'))
			return json_fail(j, CEIR_EINVAL);
		if (*p == '"')
			break;
		from = escape(p + 1, j->end, to, &n);
		if (from == NULL)
			return json_fail(j, CEIR_EINVAL);
		to += n;
		p = text_end(from, j->end);
	}
	out->n = (size_t)(to - out->p);
	j->scratch_n += out->n;
	j->p = p + 1;
	return true;
}

/* Behind the opening quote. */
static bool text(struct json *j, struct str *out)
{
	const char *from = j->p, *p = text_end(from, j->end);

	j->p = p;
	if (p < j->end && *p == '\\')
		return text_escaped(j, from, out);
	if (p == j->end || *p != '"')
		return json_fail(j, CEIR_EINVAL);
	*out = (struct str){from, (size_t)(p - from)};
	j->p = p + 1;
	return true;
}

bool json_name(struct json *j, struct str *out)
{
	return json_expect(j, '"') && text(j, out) && json_expect(j, ':');
}

/* ---- numbers and words ------------------------------------------------------------------------------------------------------ */

static const char *digits_end(const char *p, const char *end)
{
	while (p < end && *p >= '0' && *p <= '9')
		p++;
	return p;
}

/* Whole numbers are of 64 bits, with a sign. */
static bool fits(struct str s)
{
	bool negative = s.p[0] == '-';
	int64_t n = 0;

	if (s.n <= 18)
		return true;
	for (size_t i = negative; i < s.n; i++) {
		int digit = s.p[i] - '0';

		if (__builtin_mul_overflow(n, 10, &n) || __builtin_add_overflow(n, negative ? -digit : digit, &n))
			return false;
	}
	return true;
}

static bool number(struct json *j, struct json_value *out)
{
	const char *from = j->p, *digits = from + (*from == '-'), *p = digits_end(digits, j->end), *more;

	out->kind = JSON_KIND_INTEGER;
	if (p == digits || (*digits == '0' && p - digits > 1))
		return json_fail(j, CEIR_EINVAL);
	if (p < j->end && *p == '.') {
		more = ++p;
		p = digits_end(p, j->end);
		if (p == more)
			return json_fail(j, CEIR_EINVAL);
		out->kind = JSON_KIND_REAL;
	}
	if (p < j->end && (*p == 'e' || *p == 'E')) {
		p++;
		p += p < j->end && (*p == '+' || *p == '-');
		more = p;
		p = digits_end(p, j->end);
		if (p == more)
			return json_fail(j, CEIR_EINVAL);
		out->kind = JSON_KIND_REAL;
	}
	out->text = (struct str){from, (size_t)(p - from)};
	/* A document does not end with a number; so strtod does not read beyond it. */
	if (p == j->end || (out->kind == JSON_KIND_INTEGER ? !fits(out->text) : (bool)isinf(strtod(from, NULL))))
		return json_fail(j, CEIR_EINVAL);
	j->p = p;
	return true;
}

static bool word(struct json *j, const char *expected, enum json_kind kind, struct json_value *out)
{
	size_t n = strlen(expected);

	if ((size_t)(j->end - j->p) < n || memcmp(j->p, expected, n) != 0)
		return json_fail(j, CEIR_EINVAL);
	*out = (struct json_value){kind, {j->p, n}};
	j->p += n;
	return true;
}

/* ---- names ------------------------------------------------------------------------------------------------------------------- */

bool json_names_add(struct json *j, struct str name)
{
	if (j->n_names == j->room_names) {
		size_t room = j->room_names == 0 ? 16 : j->room_names * 2;
		struct str *names = realloc(j->names, room * sizeof(*names));

		if (names == NULL)
			return json_fail(j, CEIR_ENOMEM);
		j->names = names;
		j->room_names = room;
	}
	j->names[j->n_names++] = name;
	return true;
}

static int compare_names(const void *a, const void *b)
{
	const struct str *x = a, *y = b;

	if (x->n != y->n)
		return x->n < y->n ? -1 : 1;
	return memcmp(x->p, y->p, x->n);
}

bool json_names_unique(struct json *j, size_t base)
{
	size_t n = j->n_names - base;
	struct str *names = n > 0 ? j->names + base : NULL;
	bool twice = false;

	if (n > FEW_NAMES)
		qsort(names, n, sizeof(*names), compare_names);
	for (size_t i = 1; i < n && !twice; i++)
		for (size_t k = n > FEW_NAMES ? i - 1 : 0; k < i && !twice; k++)
			twice = compare_names(&names[i], &names[k]) == 0;
	j->n_names = base;
	return !twice || json_fail(j, CEIR_EINVAL);
}

/* ---- values -------------------------------------------------------------------------------------------------------------------- */

static bool array(struct json *j, unsigned depth)
{
	struct json_value ignored;
	bool more = true;

	if (json_take(j, ']'))
		return true;
	while (more)
		if (!json_value(j, depth, &ignored) || !json_more(j, ']', &more))
			return false;
	return true;
}

static bool object(struct json *j, unsigned depth)
{
	size_t base = j->n_names;
	struct json_value ignored;
	struct str name;
	bool more = true;

	j->objects++;
	if (json_take(j, '}'))
		return true;
	while (more)
		if (!json_name(j, &name) || !json_names_add(j, name) || !json_value(j, depth, &ignored) || !json_more(j, '}', &more))
			return false;
	return json_names_unique(j, base);
}

/* Calls itself, through array and object, at most JSON_DEPTH deep. */
bool json_value(struct json *j, unsigned depth, struct json_value *out)
{
	char c = json_next(j);
	const char *from = j->p;

	switch (c) {
	case '"':
		j->p++;
		out->kind = JSON_KIND_TEXT;
		return text(j, &out->text);
	case 'n':
		return word(j, "null", JSON_KIND_NULL, out);
	case 't':
		return word(j, "true", JSON_KIND_BOOL, out);
	case 'f':
		return word(j, "false", JSON_KIND_BOOL, out);
	case '[':
	case '{':
		j->p++;
		if (depth == JSON_DEPTH || !(c == '[' ? array(j, depth + 1) : object(j, depth + 1)))
			return json_fail(j, j->err != CEIR_OK ? j->err : CEIR_EINVAL);
		*out = (struct json_value){c == '[' ? JSON_KIND_ARRAY : JSON_KIND_OBJECT, {from, (size_t)(j->p - from)}};
		return true;
	default:
		if (c == '-' || (c >= '0' && c <= '9'))
			return number(j, out);
		return json_fail(j, CEIR_EINVAL);
	}
}

/* remote_text.c - names, addresses, listings and marks. What comes from the other side is a stranger's text: it is checked here before anything else sees it. */
#include "remote/remote_text.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* ---- names ---- */

/* C0, DEL, and C1 as UTF-8 writes it (U+0080..U+009F): what a terminal takes for a command. */
static bool has_control(struct str s)
{
	for (size_t i = 0; i < s.n; i++) {
		unsigned char c = (unsigned char)s.p[i];

		if (c < 0x20 || c == 0x7f || (c == 0xc2 && i + 1 < s.n && (unsigned char)s.p[i + 1] >= 0x80 && (unsigned char)s.p[i + 1] < 0xa0))
			return true;
	}
	return false;
}

bool remote_name_good(struct str name)
{
	return name.n && name.n < REMOTE_NAME && name.p[0] != '.' && !memchr(name.p, '/', name.n) && !has_control(name) && str_is_utf8(name);
}

static bool ends_with(struct str s, const char *end)
{
	size_t n = strlen(end);

	return s.n >= n && strncasecmp(s.p + s.n - n, end, n) == 0;
}

bool remote_name_unfinished(struct str name)
{
	return ends_with(name, ".part") || ends_with(name, ".tmp");
}

/* ---- addresses ---- */

static bool is_plain(unsigned char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '.' || c == '_';
}

static bool is_host(struct str host)
{
	for (size_t i = 0; i < host.n; i++)
		if (!is_plain((unsigned char)host.p[i]) && host.p[i] != ':')
			return false;
	return host.n && host.n < 256;
}

static void put_escaped(struct buf *out, struct str s)
{
	for (size_t i = 0; i < s.n; i++) {
		unsigned char c = (unsigned char)s.p[i];

		if (is_plain(c))
			buf_char(out, (char)c);
		else
			buf_printf(out, "%%%02X", c);
	}
}

/* Of a folder the empty steps of "//" and a slash at the end say nothing. */
static void put_folder(struct buf *out, struct str folder)
{
	struct str step;

	if (folder.n && folder.p[0] == '/')
		buf_c(out, "%2F");
	while (str_cut(&folder, '/', &step)) {
		put_escaped(out, step);
		if (step.n)
			buf_char(out, '/');
	}
}

enum ceir_err remote_url(struct buf *out, bool implicit, struct str host, uint16_t port, struct str folder, struct str name)
{
	bool v6 = host.n && memchr(host.p, ':', host.n);

	if (!is_host(host) || has_control(folder) || has_control(name) || (name.n && memchr(name.p, '/', name.n)))
		return CEIR_EINVAL;
	buf_printf(out, "%s://%s%.*s%s:%u/", implicit ? "ftps" : "ftp", v6 ? "[" : "", (int)host.n, host.p, v6 ? "]" : "", port);
	put_folder(out, folder);
	put_escaped(out, name);
	return out->failed ? CEIR_ENOMEM : CEIR_OK;
}

/* ---- listings ---- */

static int by_name(const void *a, const void *b)
{
	return str_cmp(*(const struct str *)a, *(const struct str *)b);
}

static struct str without_cr(struct str line)
{
	return line.n && line.p[line.n - 1] == '\r' ? (struct str){line.p, line.n - 1} : line;
}

enum ceir_err remote_listing_parse(struct str text, struct arena *arena, struct remote_names *out)
{
	struct remote_names names = {.v = arena_array(arena, REMOTE_NAMES, sizeof *names.v)};
	struct str line;
	size_t n = 0;

	if (!names.v)
		return CEIR_ENOMEM;
	while (str_cut(&text, '\n', &line)) {
		line = without_cr(line);
		if (!remote_name_good(line)) {
			names.skipped += line.n != 0;
			continue;
		}
		if (names.n == REMOTE_NAMES)
			return CEIR_ELIMIT;
		names.v[names.n++] = line;
	}
	qsort(names.v, names.n, sizeof *names.v, by_name);
	for (size_t i = 0; i < names.n; i++)
		if (!n || !str_eq(names.v[n - 1], names.v[i]))
			names.v[n++] = names.v[i];
	names.n = n;
	*out = names;
	return CEIR_OK;
}

bool remote_names_has(const struct remote_names *names, struct str name)
{
	return names->n && bsearch(&name, names->v, names->n, sizeof *names->v, by_name);
}

/* ---- marks ---- */

void remote_mark_print(struct buf *out, const struct remote_mark *mark)
{
	char hex[65];

	hex_print(mark->sha256, sizeof mark->sha256, hex);
	buf_printf(out, "list %s\nfrom %" PRId64 "\nto %" PRId64 "\nsha256 %s\noperator %.*s\n", reg_list_name(mark->list), mark->from, mark->to, hex,
		(int)mark->op.n, mark->op.n ? mark->op.p : "");
}

/* The rest of the next line, which must begin so and have an end. */
static bool line_of(struct str *text, struct str begin, struct str *rest)
{
	const char *end = text->n ? memchr(text->p, '\n', text->n) : NULL;

	if (!end || !str_starts(*text, begin))
		return false;
	*rest = (struct str){text->p + begin.n, (size_t)(end - text->p) - begin.n};
	text->n -= (size_t)(end - text->p) + 1;
	text->p = end + 1;
	return true;
}

static bool list_of(struct str name, enum reg_list_kind *list)
{
	for (unsigned i = 0; i < REG_LISTS; i++)
		if (str_eq_c(name, reg_list_name(i))) {
			*list = i;
			return true;
		}
	return false;
}

/* As printed: no digit too many. */
static bool seq_of(struct str s, int64_t *seq)
{
	uint64_t n;

	if (str_eq_c(s, "-1")) {
		*seq = -1;
		return true;
	}
	if (str_u64(s, INT64_MAX, &n) || (s.n > 1 && s.p[0] == '0'))
		return false;
	*seq = (int64_t)n;
	return true;
}

enum ceir_err remote_mark_parse(struct str text, struct remote_mark *out)
{
	struct remote_mark m;
	struct str list, from, to, sha256;

	if (!line_of(&text, STR("list "), &list) || !line_of(&text, STR("from "), &from) || !line_of(&text, STR("to "), &to)
		|| !line_of(&text, STR("sha256 "), &sha256) || !line_of(&text, STR("operator "), &m.op) || text.n)
		return CEIR_EINVAL;
	if (!list_of(list, &m.list) || !seq_of(from, &m.from) || !seq_of(to, &m.to) || m.to < 0 || m.from > m.to || !m.op.n || !str_is_utf8(m.op)
		|| has_control(m.op) || hex_parse(sha256, m.sha256, sizeof m.sha256))
		return CEIR_EINVAL;
	*out = m;
	return CEIR_OK;
}

/* ---- trying again ---- */

int64_t remote_retry_us(unsigned failures, unsigned first_s, uint32_t chance)
{
	uint64_t s = first_s ? first_s : 1;

	for (unsigned i = 1; i < failures && s < REMOTE_RETRY_MAX_S; i++)
		s *= 2;
	if (s > REMOTE_RETRY_MAX_S)
		s = REMOTE_RETRY_MAX_S;
	/* 0.8 to 1.2 times. */
	return (int64_t)(s * (800000 + chance % 400001));
}

/* ---- texts ---- */

void remote_line(struct str text, char *out, size_t size)
{
	size_t n = 0;

	while (text.n) {
		size_t k = str_utf8_len(text);
		struct str c = {text.p, k ? k : 1};
		const char *p = !k ? "?" : has_control(c) ? " " : c.p;
		size_t m = p == c.p ? c.n : 1;

		if (n + m >= size)
			break;
		memcpy(out + n, p, m);
		n += m;
		text = (struct str){text.p + c.n, text.n - c.n};
	}
	out[n] = '\0';
}

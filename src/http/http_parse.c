/*
 * http_parse.c - see http_parse.h.
 */
#include "http/http_parse.h"

#include <jansson.h>
#include <string.h>
#include <strings.h>

#define BODY_MAX ((size_t)1 << 20) /* of {"seq": N}; the caller's limit may be smaller */

static struct str str_from(struct str s, size_t at)
{
	return (struct str){s.p + at, s.n - at};
}

/* ASCII letters of either case are one (RFC 9110: schemes, codings, types, languages). */
static bool same_word(struct str a, struct str b)
{
	return a.n == b.n && (a.n == 0 || strncasecmp(a.p, b.p, a.n) == 0);
}

/* ---- targets ------------------------------------------------------------------------------------------------------ */

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

static bool is_text(struct str s)
{
	for (size_t i = 0; i < s.n; i++)
		if ((unsigned char)s.p[i] < 0x20 || s.p[i] == 0x7F)
			return false;
	return str_is_utf8(s);
}

/* RFC 3986 2.1, strict: a percent sign that is not followed by two hexadecimal digits is an error. */
static enum ceir_err decode(struct str raw, bool plus_is_space, struct arena *arena, struct str *out)
{
	char *p;
	size_t n = 0;

	if (raw.n > 3 * (size_t)HTTP_VALUE_BYTES)
		return CEIR_EINVAL;
	p = arena_alloc(arena, raw.n + 1);
	if (!p)
		return CEIR_ENOMEM;
	for (size_t i = 0; i < raw.n; i++) {
		if (raw.p[i] == '%') {
			int high = i + 2 < raw.n ? hex_digit(raw.p[i + 1]) : -1, low = i + 2 < raw.n ? hex_digit(raw.p[i + 2]) : -1;

			if (high < 0 || low < 0)
				return CEIR_EINVAL;
			p[n++] = (char)(high << 4 | low);
			i += 2;
		} else {
			p[n++] = plus_is_space && raw.p[i] == '+' ? ' ' : raw.p[i];
		}
	}
	*out = (struct str){p, n};
	return n <= HTTP_VALUE_BYTES && is_text(*out) ? CEIR_OK : CEIR_EINVAL;
}

static enum ceir_err path_parse(struct str path, struct arena *arena, struct http_target *t)
{
	enum ceir_err err = CEIR_OK;
	struct str segment;

	if (path.n == 0 || path.p[0] != '/')
		return CEIR_EINVAL;
	path = str_from(path, 1);
	while (!err && str_cut(&path, '/', &segment)) {
		if (t->n_segments == HTTP_SEGMENTS || segment.n == 0)
			return CEIR_EINVAL;
		err = decode(segment, false, arena, &t->segments[t->n_segments++]);
	}
	return err;
}

static enum ceir_err query_parse(struct str query, struct arena *arena, struct http_target *t)
{
	enum ceir_err err = CEIR_OK;
	struct str pair, name;

	while (!err && str_cut(&query, '&', &pair)) {
		if (pair.n == 0)
			continue;
		if (t->n_parameters == HTTP_PARAMETERS)
			return CEIR_EINVAL;
		struct http_parameter *p = &t->parameters[t->n_parameters++];
		if (!str_cut(&pair, '=', &name))
			return CEIR_EINVAL;
		err = decode(name, true, arena, &p->name);
		if (!err)
			err = decode(pair, true, arena, &p->value);
	}
	return err;
}

/* "https://host:port/path?query": from the path on (RFC 9112 3.2.2). */
static struct str without_authority(struct str target)
{
	const struct str schemes[] = {STR("https://"), STR("http://")};

	for (size_t i = 0; i < CEIR_COUNT(schemes); i++) {
		if (target.n < schemes[i].n || strncasecmp(target.p, schemes[i].p, schemes[i].n) != 0)
			continue;
		struct str rest = str_from(target, schemes[i].n);
		const char *slash = rest.n ? memchr(rest.p, '/', rest.n) : NULL;
		return slash ? str_from(rest, (size_t)(slash - rest.p)) : STR("/");
	}
	return target;
}

enum ceir_err http_target_parse(struct str target, struct arena *arena, struct http_target *out)
{
	struct http_target t = {.n_segments = 0};
	struct str path = STR("");
	enum ceir_err err;

	target = without_authority(target);
	if (!str_cut(&target, '?', &path))
		return CEIR_EINVAL;
	err = path_parse(path, arena, &t);
	if (!err)
		err = query_parse(target, arena, &t);
	if (!err)
		*out = t;
	return err;
}

const struct http_parameter *http_parameter_find(const struct http_target *t, const char *name)
{
	for (size_t i = 0; i < t->n_parameters; i++)
		if (str_eq_c(t->parameters[i].name, name))
			return &t->parameters[i];
	return NULL;
}

/* ---- credentials -------------------------------------------------------------------------------------------------- */

static int base64_digit(char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	return c == '+' ? 62 : c == '/' ? 63 : -1;
}

/* RFC 4648 4, with padding, without anything else; the bits that no byte has room for must be zero. */
static enum ceir_err base64_decode(struct str s, struct buf *out)
{
	size_t digits = s.n;

	if (s.n % 4 != 0)
		return CEIR_EINVAL;
	while (digits > 0 && s.n - digits < 2 && s.p[digits - 1] == '=')
		digits--;
	uint32_t bits = 0;
	for (size_t i = 0; i < digits; i++) {
		int digit = base64_digit(s.p[i]);

		if (digit < 0)
			return CEIR_EINVAL;
		bits = (bits << 6 | (uint32_t)digit) & 0xFFFFFF;
		if (i % 4 != 0)
			buf_char(out, (char)(bits >> (6 - 2 * (i % 4)) & 0xFF));
	}
	if (digits % 4 == 1 || (digits % 4 == 2 && (bits & 15)) || (digits % 4 == 3 && (bits & 3)))
		return CEIR_EINVAL;
	return out->failed ? CEIR_ENOMEM : CEIR_OK;
}

enum ceir_err http_basic_parse(struct str header, struct buf *decoded, struct str *user, struct str *password)
{
	struct str scheme = STR(""), pair;
	size_t from = decoded->n;
	enum ceir_err err;

	header = str_trim(header);
	if (!str_cut(&header, ' ', &scheme) || !same_word(scheme, STR("basic")))
		return CEIR_ENOENT;
	header = str_trim(header);
	if (header.n == 0 || header.n > HTTP_VALUE_BYTES)
		return CEIR_EINVAL;
	/* One piece of memory: a growing buffer would leave copies of the password behind. */
	if (!buf_reserve(decoded, header.n))
		return CEIR_ENOMEM;
	err = base64_decode(header, decoded);
	if (err)
		return err;
	pair = (struct str){decoded->p + from, decoded->n - from};
	const char *colon = memchr(pair.p, ':', pair.n);
	if (!colon || !str_is_utf8(pair))
		return CEIR_EINVAL;
	*user = (struct str){pair.p, (size_t)(colon - pair.p)};
	*password = str_from(pair, user->n + 1);
	return CEIR_OK;
}

/* ---- lists with weights ------------------------------------------------------------------------------------------- */

struct str http_token(struct str value)
{
	struct str token = STR("");

	(void)str_cut(&value, ';', &token);
	return str_trim(token);
}

/* RFC 7240 2: name, perhaps "=" and a token or quoted string, perhaps parameters; of several of a name the first counts. */
unsigned http_prefer_wait(struct str list, unsigned max)
{
	struct str item, name;

	while (str_cut(&list, ',', &item)) {
		struct str value = http_token(item);
		uint64_t n = 0;

		if (!str_cut(&value, '=', &name))
			continue;
		name = str_trim(name);
		if (name.n != 4 || strncasecmp(name.p, "wait", 4) != 0)
			continue;
		value = str_trim(value);
		if (value.n >= 2 && value.p[0] == '"' && value.p[value.n - 1] == '"')
			value = (struct str){value.p + 1, value.n - 2};
		enum ceir_err err = str_u64(value, UINT64_MAX, &n);

		return err == CEIR_ERANGE || (!err && n > max) ? max : err ? 0 : (unsigned)n;
	}
	return 0;
}

/* RFC 9110 12.4.2: 0 to 1 with at most three decimals, in thousandths. CEIR_EINVAL. */
static enum ceir_err weight_parse(struct str s, int *weight)
{
	int w = 0;

	if (s.n == 0 || s.n > 5 || (s.p[0] != '0' && s.p[0] != '1') || (s.n > 1 && s.p[1] != '.'))
		return CEIR_EINVAL;
	for (size_t i = 0, scale = 1000; i < 5; i++) {
		if (i == 1)
			continue;
		if (i < s.n && (s.p[i] < '0' || s.p[i] > '9'))
			return CEIR_EINVAL;
		w += i < s.n ? (s.p[i] - '0') * (int)scale : 0;
		scale /= 10;
	}
	if (w > 1000)
		return CEIR_EINVAL;
	*weight = w;
	return CEIR_OK;
}

/* One item of a list: its token and weight. false: the list is at its end. An item that is not well-formed has weight -1. */
static bool item_next(struct str *list, struct str *token, int *weight)
{
	struct str item, parameter, name;

	if (!str_cut(list, ',', &item))
		return false;
	*token = STR("");
	*weight = 1000;
	if (!str_cut(&item, ';', token))
		return true;
	*token = str_trim(*token);
	while (str_cut(&item, ';', &parameter)) {
		parameter = str_trim(parameter);
		if (!str_cut(&parameter, '=', &name) || !same_word(str_trim(name), STR("q")))
			continue;
		if (weight_parse(str_trim(parameter), weight))
			*weight = -1;
	}
	return true;
}

/* How exactly an item of a list names a token: 3 itself, 2 its type with any subtype, 1 anything, 0 not at all. */
static int match(struct str item, struct str token)
{
	const char *slash = token.n ? memchr(token.p, '/', token.n) : NULL;

	if (token.n && same_word(item, token))
		return 3;
	if (str_eq_c(item, "*") || str_eq_c(item, "*/*"))
		return 1;
	if (!slash || item.n < 3 || !str_eq_c(str_from(item, item.n - 2), "/*"))
		return 0;
	return same_word((struct str){item.p, item.n - 2}, (struct str){token.p, (size_t)(slash - token.p)}) ? 2 : 0;
}

int http_weight(struct str list, struct str token)
{
	struct str item;
	int weight, best = -1, best_match = 0;

	while (item_next(&list, &item, &weight)) {
		int m = weight < 0 ? 0 : match(item, token);

		if (m > best_match) {
			best_match = m;
			best = weight;
		}
	}
	return best;
}

bool http_language(struct str list, size_t *lang)
{
	struct str item;
	int weight, best = 0;
	size_t found;

	while (item_next(&list, &item, &weight)) {
		if (weight <= best || i18n_find(item, &found))
			continue;
		best = weight;
		*lang = found;
	}
	return best > 0;
}

bool http_tag_listed(struct str list, struct str tag)
{
	struct str item;

	while (str_cut(&list, ',', &item)) {
		item = str_trim(item);
		if (str_eq_c(item, "*"))
			return true;
		if (str_starts(item, STR("W/")))
			item = str_from(item, 2);
		if (item.n >= 2 && item.p[0] == '"' && item.p[item.n - 1] == '"' && str_eq((struct str){item.p + 1, item.n - 2}, tag))
			return true;
	}
	return false;
}

/* ---- small bodies ------------------------------------------------------------------------------------------------- */

enum ceir_err http_ack_parse(struct str json, uint64_t *seq, const char **why)
{
	json_error_t error;
	json_t *root, *n;
	enum ceir_err err = CEIR_EINVAL;

	*why = N_("Expected a JSON object with one whole number: {\"seq\": N}");
	if (json.n == 0 || json.n > BODY_MAX)
		return CEIR_EINVAL;
	root = json_loadb(json.p, json.n, JSON_REJECT_DUPLICATES, &error);
	n = json_object_get(root, "seq");
	if (json_is_object(root) && json_object_size(root) == 1 && json_is_integer(n) && json_integer_value(n) >= 0) {
		*seq = (uint64_t)json_integer_value(n);
		err = CEIR_OK;
	}
	json_decref(root);
	return err;
}

bool http_cltrid_good(struct str s)
{
	if (s.n < 3 || s.n > 64 || s.p[0] == ' ' || s.p[s.n - 1] == ' ')
		return false;
	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] < 0x20 || s.p[i] > 0x7E)
			return false;
	return true;
}

/*
 * http_parse.h - what clients write in targets, headers and small bodies: pure functions, for unit tests and the fuzzer.
 */
#ifndef CEIR_HTTP_PARSE_H
#define CEIR_HTTP_PARSE_H

#include "base/base.h"

#define HTTP_SEGMENTS 8u     /* of a path; ours have at most four */
#define HTTP_PARAMETERS 16u  /* of a query */
#define HTTP_VALUE_BYTES 1024u /* of one segment, name or value, decoded */

struct http_parameter {
	struct str name, value;
};

/* A request target, taken apart and decoded. Texts live in the arena; well-formed UTF-8 without control characters. */
struct http_target {
	struct str segments[HTTP_SEGMENTS];
	size_t n_segments;
	struct http_parameter parameters[HTTP_PARAMETERS];
	size_t n_parameters;
};

/*
 * RFC 9112 3.2: origin form, or absolute form, whose authority is not looked at. In queries "+" is a space. A path may end with one slash.
 * CEIR_EINVAL: not a path (also "*"), bad percent encoding, too many parts, a part too long, or not text; CEIR_ENOMEM.
 */
enum ceir_err http_target_parse(struct str target, struct arena *arena, struct http_target *out) CEIR_MUST_USE;
/* NULL: not there. */
const struct http_parameter *http_parameter_find(const struct http_target *t, const char *name);

/*
 * RFC 7617: the value of Authorization. The decoded credentials are appended to buf; user and password point into it. CEIR_ENOENT: another
 * scheme; CEIR_EINVAL: not base64, no colon, not UTF-8, or longer than HTTP_VALUE_BYTES.
 */
enum ceir_err http_basic_parse(struct str header, struct buf *decoded, struct str *user, struct str *password) CEIR_MUST_USE;

/*
 * The weight, in thousandths, that a list of RFC 9110 12.5 (Accept, Accept-Encoding) gives a token; wildcards too: of "text/csv" first
 * itself, then its type with any subtype, then any type at all. -1: the list does not speak of it. What is not well-formed counts
 * for nothing.
 */
int http_weight(struct str list, struct str token);
/* RFC 7240 4.3: the seconds of "wait" in a Prefer header, at most max; 0: none. What is not well-formed is not preferred. */
unsigned http_prefer_wait(struct str list, unsigned max);
/* The first language of Accept-Language, by weight and then by order, that there is. False, *lang untouched: none. */
bool http_language(struct str list, size_t *lang);
/* The media type or token of a header value without its parameters: "text/csv; charset=utf-8" gives "text/csv". */
struct str http_token(struct str value);
/* RFC 9110 13.1.2, weak comparison: the list is "*" or has the tag, with or without W/. tag: without quotes. */
bool http_tag_listed(struct str list, struct str tag);

/* {"seq": N}: nothing else in it. CEIR_EINVAL, and *why is an English sentence, a catalogue key. */
enum ceir_err http_ack_parse(struct str json, uint64_t *seq, const char **why) CEIR_MUST_USE;

/* A client transaction id: 3 to 64 printable ASCII characters, no space at the ends. */
bool http_cltrid_good(struct str s);

#endif

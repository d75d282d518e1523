/*
 * exchange_delivery_json.h - what the files of the reader of sightings in JSON share. Private to src/exchange.
 *
 * No tree is built: values are slices into the body, copied only where they have escapes. What is JSON and what is not is decided as
 * strictly as RFC 8259 allows: well-formed UTF-8, no NUL, no member twice in one object, numbers that a machine can hold, nothing
 * behind the document.
 */
#ifndef CEIR_EXCHANGE_DELIVERY_JSON_H
#define CEIR_EXCHANGE_DELIVERY_JSON_H

#include "exchange/exchange_delivery.h"
#include "exchange/exchange_delivery_take.h"

#define JSON_DEPTH 4 /* {"sightings": [{...}]} has three levels */

/* ---- tokens (exchange_delivery_json_scan.c) ------------------------------------------------------------------------------ */

/* A body that is being read. After a function has said false nothing of it is of use but err. */
struct json {
	const char *p, *end; /* the rest */
	char *scratch;       /* texts without their escapes, at most as long as the body; NULL until there is one */
	size_t scratch_n;
	struct str *names;   /* of members, of all objects that are open: to find one that is there twice */
	size_t n_names, room_names;
	size_t objects;      /* begun so far */
	bool escaped;        /* a text had escapes, since the caller cleared it */
	enum ceir_err err;
};

enum json_kind { JSON_KIND_NONE, JSON_KIND_TEXT, JSON_KIND_INTEGER, JSON_KIND_REAL, JSON_KIND_NULL, JSON_KIND_BOOL, JSON_KIND_ARRAY,
	JSON_KIND_OBJECT };

struct json_value {
	enum json_kind kind;
	struct str text; /* of a text what it says; of others as it stands in the body */
};

/* body must outlive the reader. */
void json_open(struct json *j, struct str body);
void json_close(struct json *j);
/* false, for the caller to return. */
bool json_fail(struct json *j, enum ceir_err err);
/* The next character that is no blank, not taken yet; '\0' at the end. */
char json_next(struct json *j);
/* Takes that character if it is the next one. */
bool json_take(struct json *j, char c);
/* false: it is not. */
bool json_expect(struct json *j, char c);
/* A value of whatever kind, in that many arrays and objects. Of those only the text remains. */
bool json_value(struct json *j, unsigned depth, struct json_value *out);
/* The name of a member, and the colon. */
bool json_name(struct json *j, struct str *out);
/* Behind a member or an element: *more, there is a comma and another one must follow; else closing was taken. */
bool json_more(struct json *j, char closing, bool *more);
/* Remembers a name; names_unique: those behind the first `base` are all different, and are forgotten. */
bool json_names_add(struct json *j, struct str name);
bool json_names_unique(struct json *j, size_t base);

/* ---- items that look like the one before (exchange_delivery_json_fast.c) --------------------------------------------------- */

#define JSON_MEMO_BYTES 160

/* What stood before, between and behind the three numbers of a good item, which were texts without escapes. */
struct json_memo {
	bool ready, said_time;
	uint8_t event, rat;
	uint32_t at_s;
	size_t objects; /* in it, and itself */
	size_t n[4], all_n; /* all_n: of the four parts */
	char part[4][JSON_MEMO_BYTES];
};

/* From the item that stands in `item`. */
void json_memo_set(
	struct json_memo *m, struct str item, size_t objects, const struct str *fields, const struct delivery_judged *judged);
/* The item at p when it looks like the memo; where it ends, NULL when it does not. */
const char *json_fast(const struct json_memo *m, const struct delivery_home *home, const char *p, const char *end, struct take_run *run,
	struct sighting *row);

#endif

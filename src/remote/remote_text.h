/* remote_text.h - names, addresses, listings and marks of the FTPS client, and when it tries again: pure functions. */
#ifndef CEIR_REMOTE_TEXT_H
#define CEIR_REMOTE_TEXT_H

#include "base/base.h"
#include "registry/registry.h"

#define REMOTE_NAME 241                 /* of a file, NUL included: ".part" fits behind it in a folder's entry of 255 bytes */
#define REMOTE_NAMES 10000u             /* in one folder over there */
#define REMOTE_LISTING_BYTES (4u << 20)
#define REMOTE_RETRY_MAX_S 900u
#define REMOTE_MARK_BYTES 1024u

/*
 * May be the name of a file, here and over there: 1..240 bytes of UTF-8 without control characters (C0, DEL, C1) or a slash, that do not begin
 * with a point.
 */
bool remote_name_good(struct str name);
/* Somebody is still writing it, by its name: *.part, *.tmp in either case. */
bool remote_name_unfinished(struct str name);

/*
 * ftp://HOST:PORT/FOLDER/NAME (RFC 1738 3.2), every byte of it that is not a letter, digit, "-", "." or "_" as %XX. A folder that begins with a slash is
 * that of the server's root, else of the login; empty slices name the login's folder, and the folder itself. implicit: ftps. CEIR_EINVAL: host holds
 * what no host name or address does, or folder or name a control character, or name a slash.
 */
enum ceir_err remote_url(struct buf *out, bool implicit, struct str host, uint16_t port, struct str folder, struct str name) CEIR_MUST_USE;

struct remote_names {
	struct str *v;                  /* in the order of str_cmp, each once */
	size_t n;
	size_t skipped;                 /* lines that are no remote_name_good() */
};
/* An answer to NLST: a name a line, ended by LF or CR LF. Slices of the text. CEIR_ELIMIT: more than REMOTE_NAMES; CEIR_ENOMEM. */
enum ceir_err remote_listing_parse(struct str text, struct arena *arena, struct remote_names *out) CEIR_MUST_USE;
bool remote_names_has(const struct remote_names *names, struct str name);

/* What NAME.mark says of a list file that is to be pushed. */
struct remote_mark {
	enum reg_list_kind list;
	int64_t from, to;               /* from -1: the whole list */
	struct str op;
	uint8_t sha256[32];
};
/* Five lines: "list black", "from -1", "to 17", "sha256 HEX", "operator UA-MNO-1". */
void remote_mark_print(struct buf *out, const struct remote_mark *mark);
/* The operator is a slice of the text. CEIR_EINVAL: anything else than what is printed. */
enum ceir_err remote_mark_parse(struct str text, struct remote_mark *out) CEIR_MUST_USE;

/*
 * How long to wait after so many failures in a row (1..): first_s, then twice as long each time up to REMOTE_RETRY_MAX_S, and up to a fifth more or less,
 * as chance says, so that those whom one fault has stopped do not come back all at once.
 */
int64_t remote_retry_us(unsigned failures, unsigned first_s, uint32_t chance);

/* One line for people: control characters become spaces, what is no UTF-8 a question mark; cut at out's size. */
void remote_line(struct str text, char *out, size_t size);

#endif

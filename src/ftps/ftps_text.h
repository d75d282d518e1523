/* ftps_text.h - what pure-ftpd writes to us and we to it, as text: pure functions. */
#ifndef CEIR_FTPS_TEXT_H
#define CEIR_FTPS_TEXT_H

#include <limits.h>
#include <sys/types.h>

#include "base/base.h"

#define FTPS_REQUEST_MAX 4096u /* pure-ftpd's own limit of a question */
#define FTPS_LINE_MAX (3u * PATH_MAX + 1024u)

/* A question of pure-ftpd's external authentication (its README.Authentication-Modules): lines "name:value", then "end". */
struct ftps_request {
	struct str account, password, peer; /* slices of the text */
	bool encrypted;
};

/* The text ends in the line "end". */
bool ftps_request_complete(struct str text);
/* CEIR_EINVAL: account, password or peer is missing or stands there twice, a line has no colon, or something follows the end. */
enum ceir_err ftps_request_parse(struct str text, struct ftps_request *out) CEIR_MUST_USE;

struct ftps_welcome {
	uid_t uid;
	gid_t gid;
	const char *dir;
	unsigned quota_files, quota_mib;
};
/* NULL: not let in. */
void ftps_answer_print(struct buf *out, const struct ftps_welcome *w);

/*
 * A line of the transfer log, without its line feed: HOST - ACCOUNT [DATE] "PUT /PATH" 200 SIZE, PATH with %XX. path must have PATH_MAX bytes.
 * CEIR_EINVAL: another line. CEIR_ERANGE: the path is too long.
 */
enum ceir_err ftps_upload_parse(struct str line, struct str *account, char path[PATH_MAX]) CEIR_MUST_USE;

/* The name of a file directly in HOME/in; NULL when the path is anything else, or the name begins with a point. */
const char *ftps_upload_name(const char *path, const char *home);

/* "40110-40409", 1024..65535 and at least two ports. CEIR_EINVAL, CEIR_ERANGE. */
enum ceir_err ftps_ports_parse(struct str text, unsigned *first, unsigned *last) CEIR_MUST_USE;

/* A line of the daemon's log: "<6>text"; without a number it is about something unexpected. */
enum log_level ftps_log_level(struct str *line);

#endif

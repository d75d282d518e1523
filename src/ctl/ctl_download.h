/*
 * ctl_download.h - an answer of the server into a file, which appears under its name only when it is whole and its digest is right.
 */
#ifndef CEIR_CTL_DOWNLOAD_H
#define CEIR_CTL_DOWNLOAD_H

#include "ctl/ctl_http.h"

/*
 * The head of the answer is in hand; a problem is shown. file NULL or "-": standard output. Compares Repr-Digest (RFC 9530) when there is
 * one: CTL_CONNECTION when the bytes are not those that were sent.
 */
enum ctl_exit ctl_download(struct ctl_http *h, const struct ctl *c, const char *what, const char *file);

#endif

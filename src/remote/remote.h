/*
 * remote.h - the FTPS client: files are exchanged with FTPS servers of others, an operator's EIR above all. What to exchange with whom is in the
 * register (object "remote"); every transfer, and every try that failed, is a transaction of its account.
 *
 *   lists     pushed as soon as there is something new: the whole list once, then deltas without a gap. NAME.sig goes first, NAME is written as
 *             NAME.part and renamed: whoever sees NAME sees all of it
 *   answers   of the account's out/ (files.h), each once, in the same way
 *   fetch     files over there, when they have not changed between two looks, are put into the account's queue, each once
 *
 * FTP over TLS (RFC 4217) by libcurl: TLS 1.2 or later on both channels, the server's certificate and name verified, always. A transfer that broke
 * off is gone on with (REST, APPE) where the server can. What fails is tried again after retry_s, then later each time, up to 15 minutes.
 * A crash at any moment loses no file, and takes no fetched file twice; a pushed one may be sent once more, with the same bytes under the same name.
 *
 * DIR/remote/ID/ holds what is under way. Threads: one for each active remote; functions below from the main thread.
 */
#ifndef CEIR_REMOTE_H
#define CEIR_REMOTE_H

#include "base/base.h"
#include "files/files.h"
#include "registry/registry.h"

struct remote_settings {
	const char *dir;                 /* data folder; DIR/remote is ours */
	const char *ca;                  /* PEM file of who may sign certificates of servers that name no authority of their own; empty: Debian's bundle */
	unsigned max;                    /* remotes served at once; more are in the log [64] */
	unsigned timeout_s;              /* without a byte, or an answer, after which a transfer is given up [60] */
	unsigned retry_s;                /* after a failure, at first [5] */
	unsigned lists_s;                /* reg_settings.lists_s: files of one list are that far apart, at least; 0: a remote's interval_s */
	uint64_t max_bytes;              /* files_settings.max_bytes: no larger file is fetched; 0: any */
};

struct remotes;
/* The settings' texts are kept, not copied. files NULL: nothing is fetched and no answers are pushed. */
enum ceir_err remotes_new(const struct remote_settings *s, struct registry *r, struct files *files, struct remotes **out) CEIR_MUST_USE;
void remotes_stop(struct remotes *m);    /* what is under way is broken off and gone on with at the next start */
void remotes_free(struct remotes *m);    /* NULL is allowed */

#endif

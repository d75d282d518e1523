/*
 * ftps.h - the FTPS face: pure-ftpd, run and watched by ceird, with ceird deciding who comes in and taking what is complete.
 *
 * FTP over TLS as RFC 4217 has it (AUTH TLS; control and data channel always encrypted, TLS 1.2 or later). An account sees its own folder
 * (files.h) as "/": it puts files into in/ and fetches answers from out/. "226" for an upload means: the whole file, to its TLS
 * close_notify, is in the queue and on the disk. An upload that broke off stays in in/ and can be resumed (REST, RFC 3659 5); it is never taken.
 *
 * This face holds no rule: a login is a REG_LOGIN of the door, with its audit row; the files are the file face's.
 *
 * Threads: ftps_server_new, _reload, _stop and _free from the main thread.
 */
#ifndef CEIR_FTPS_H
#define CEIR_FTPS_H

#include "base/base.h"
#include "files/files.h"
#include "registry/registry.h"

struct ftps_settings {
	const char *dir;                 /* data folder; DIR/ftps is ours */
	const char *listen;              /* "127.0.0.1:2121", "[::1]:0" */
	const char *cert, *key;          /* PEM files */
	const char *user;                /* sessions are this user when ceird is root; else they are ceird's own */
	const char *passive_ports;       /* "40110-40409": each session needs two */
	const char *passive_address;     /* IPv4 address told to clients behind NAT; empty: the connection's own */
	const char *daemon;              /* path of pure-ftpd */
	const char *preload;             /* path of ceir-ftps.so; empty: beside the program, else where it was installed */
	unsigned max_clients, max_clients_address;
	unsigned quota_files;            /* files of one account in in/ ... */
	unsigned quota_mib;              /* ... and their size together */
	unsigned idle_timeout_s;
};

struct ftps_server;

/*
 * Everything up to a pure-ftpd that answers. The settings' texts are kept, not copied. Whatever is wrong is in the log, with the setting it
 * is about. CEIR_EINVAL, CEIR_ENOENT (a program or user is missing), CEIR_EPERM (the system does not let us), CEIR_ETIMEOUT.
 */
enum ceir_err ftps_server_new(const struct ftps_settings *s, struct registry *r, struct files *f, struct ftps_server **out) CEIR_MUST_USE;
const char *ftps_server_address(const struct ftps_server *s); /* "127.0.0.1:2121" */
/* The certificate again: new sessions get the new one, those under way go on. On error the old one stays. */
enum ceir_err ftps_server_reload(struct ftps_server *s) CEIR_MUST_USE;
void ftps_server_stop(struct ftps_server *s); /* no session is left when it returns */
void ftps_server_free(struct ftps_server *s); /* NULL is allowed */

#endif

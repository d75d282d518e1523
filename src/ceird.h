/*
 * ceird.h - what the files of the server program share. ceird.c reads the command line and finds the command;
 * ceird_settings.c holds the table of settings; ceird_init.c makes a data folder and certificates; ceird_run.c serves.
 */
#ifndef CEIRD_H
#define CEIRD_H

#include <limits.h>

#include "base/base.h"
#include "epp/epp.h"
#include "files/files.h"
#include "ftps/ftps.h"
#include "http/http.h"
#include "registry/registry.h"
#include "remote/remote.h"

/* Exit statuses: part of the contract with scripts and with systemd. */
enum ceird_exit { CEIRD_DONE = 0, CEIRD_FAILED = 1, CEIRD_USAGE = 2 };

/* The command line, as written. */
struct ceird_args {
	const char *dir;
	const char *name;                /* cert: of the certificate */
	const char *head;                /* verify: file with an exported head, NULL: none */
	unsigned days;                   /* cert: validity */
	bool server;                     /* cert: for the server, not for a client */
	const char *hosts[16];           /* init, cert: names in a server's certificate */
	size_t n_hosts;
	const char *set[64];             /* run: -o section.key=value */
	size_t n_set;
};

/* ---- settings (ceird_settings.c) ----------------------------------------------------------------------------------- */

extern const struct setting CEIRD_SETTINGS[];

/* The settings in the form the rooms want them. The texts belong to config or to this struct. */
struct ceird_settings {
	struct config *config;
	struct reg_settings reg;
	struct epp_settings epp;
	struct http_settings http;
	bool files_enabled;
	struct files_settings files;
	const char *files_lang;          /* tag; looked for when the translations are loaded */
	struct ftps_settings ftps;
	struct remote_settings remote;
	char cert[PATH_MAX], key[PATH_MAX], ca[PATH_MAX];
	const char *locale;              /* empty: look for it */
	bool log_json;
	enum log_level log_level;
	unsigned stats_s;
};

/*
 * Defaults, then dir/ceir.conf (when from_file), then the assignments. On error one line says what to correct is on stderr,
 * *s needs no free, and CEIRD_FAILED (the file) or CEIRD_USAGE (an assignment) is returned; else CEIRD_DONE.
 */
enum ceird_exit ceird_settings_load(struct ceird_settings *s, const struct ceird_args *args, bool from_file) CEIR_MUST_USE;
void ceird_settings_free(struct ceird_settings *s);

/* dir/name in out. CEIR_ERANGE: too long. An absolute name stays what it is. */
enum ceir_err ceird_path(char out[PATH_MAX], const char *dir, const char *name) CEIR_MUST_USE;

/* ---- commands ------------------------------------------------------------------------------------------------------ */

enum ceird_exit ceird_init(const struct ceird_args *args);
enum ceird_exit ceird_cert(const struct ceird_args *args);
enum ceird_exit ceird_run(const struct ceird_args *args);

/* "ceird: ..." on stderr. */
void ceird_complain(const char *format, ...) CEIR_PRINTF(1, 2);

#endif

/*
 * ctl_session.h - from the options to a logged-in EPP session, and commands over it.
 */
#ifndef CEIR_CTL_SESSION_H
#define CEIR_CTL_SESSION_H

#include <jansson.h>

#include "base/base.h"
#include "ctl/ctl.h"
#include "ctl/ctl_args.h"
#include "epp/epp.h"

struct ctl_session {
	struct tls_client *tls;
	struct epp_client *epp;
	bool json; /* answers are printed as JSON lines */
	bool logged_in;
};

/* What the options, the data folder and the environment say about whom to reach and who we are. Paths are absolute or as given. */
struct ctl_target {
	char host[256], port[16];
	char ca[4096], cert[4096], key[4096]; /* cert and key "": none */
	char user[64];                        /* "": none */
	char password_file[4096];             /* "": none */
	bool may_login;                       /* a user is known and --no-login was not given */
};

/* Reads DIR/ceir.conf for the address. why gets what is missing. */
enum ceir_err ctl_target_find(const struct ctl_args *a, struct ctl_target *t, char *why, size_t why_size) CEIR_MUST_USE;
/* The same for the HTTP service. */
enum ceir_err ctl_target_find_http(const struct ctl_args *a, struct ctl_target *t, char *why, size_t why_size) CEIR_MUST_USE;
/* "127.0.0.1:7700", "[::1]:700". A wildcard address becomes the loopback one: we are on the same machine. */
enum ceir_err ctl_address_split(struct str text, char *host, size_t host_size, char *port, size_t port_size) CEIR_MUST_USE;
/* First line of a file; "-": of standard input, without echo when that is a terminal. */
enum ceir_err ctl_secret_read(const char *file, const char *prompt, struct buf *out) CEIR_MUST_USE;

/* Connects and, when t->may_login, logs in; complains to stderr. newpw.p NULL: the password stays. */
enum ctl_exit ctl_session_open(struct ctl_session *s, const struct ctl_args *a, const struct ctl_target *t, struct str newpw);
/* Logs out where a login went before, and closes. */
void ctl_session_close(struct ctl_session *s);

/* One document, no answer yet. Complains and gives CTL_CONNECTION when it cannot. */
enum ctl_exit ctl_send(struct ctl_session *s, const struct buf *xml);
/* The next answer; *json is the caller's. */
enum ctl_exit ctl_receive(struct ctl_session *s, json_t **json);
/* Send, receive, print. CTL_REFUSED when the server said no. */
enum ctl_exit ctl_transact(struct ctl_session *s, const struct buf *xml);
/* Prints an answer in the form asked for; CTL_OK or CTL_REFUSED. */
enum ctl_exit ctl_show(const struct ctl_session *s, const json_t *json);

/* One line "ceirctl: ..." on stderr. */
void ctl_complain(const char *format, ...) CEIR_PRINTF(1, 2);

#endif

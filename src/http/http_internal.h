/* http_internal.h - what the files of the HTTP face share. */
#ifndef CEIR_HTTP_INTERNAL_H
#define CEIR_HTTP_INTERNAL_H

#include <microhttpd.h>
#include <pthread.h>
#include <stdatomic.h>

#include "http/http.h"
#include "http/http_parse.h"
#include "tls/tls.h"

#define HTTP_ROOM "http"
#define HTTP_KEY_BYTES 32

/* ---- one connection (http_connection.c) ---------------------------------------------------------------------------- */

enum http_who { HTTP_NOBODY, HTTP_CERTIFICATE, HTTP_PASSWORD };

/* Its thread owns it, except what is marked. */
struct http_connection {
	struct http_server *server;
	struct http_connection *next, *prev; /* under the server's lock */
	int fd;                              /* libmicrohttpd's; constant, good while the connection is in the server's list */
	char address[64];                    /* numeric, with port; constant */
	struct tls_credentials *credentials; /* what the TLS session uses; constant */
	bool busy;                           /* under the server's lock: a request is handled */
	int64_t deadline_us;                 /* under the server's lock: what is awaited must have come; 0: none */

	bool met;                            /* peer is known */
	struct tls_peer peer;
	struct reg_session *door;            /* NULL: nobody has asked yet */
	enum http_who who;                   /* as whom the session is logged in */
	uint8_t credential[HTTP_KEY_BYTES];  /* HTTP_PASSWORD: keyed hash of what proved it */
};

/* libmicrohttpd's notices; cls is the server. */
void http_connection_notice(void *cls, struct MHD_Connection *mhd, void **context, enum MHD_ConnectionNotificationCode what);
/* What the connection waits for, and until when: a request under way or not, a deadline in s from now or (0) none. */
void http_connection_await(struct http_connection *c, bool busy, unsigned deadline_s);
/* Throws away for a moment what the client still sends: closing with unread bytes would take our last answer from its hands. */
void http_connection_linger(struct http_connection *c);
/* hard: all of them; else those that handle no request. Wakes their threads, which then end. The server's lock is held. */
void http_connections_cut(struct http_server *s, bool hard);

/* ---- one request (http_request.c, http_route.c) --------------------------------------------------------------------- */

/* HTTP_JSON and HTTP_SIGHTINGS (JSON or CSV) are small and kept in memory; a delivery is streamed. */
enum http_body { HTTP_NO_BODY, HTTP_JSON, HTTP_SIGHTINGS, HTTP_DELIVERY };

struct http_request;

struct http_route {
	const char *method;           /* HEAD goes where GET goes */
	const char *pattern;          /* "/v1/deliveries/{}": {} is any one segment */
	const char *parameters[6];    /* of the query, NULL-terminated */
	enum http_body body;
	/* Fills in the command, or refuses. The session is logged in, the body has not come. */
	void (*prepare)(struct http_request *r);
	/* The small body is there. NULL: nothing to do. */
	void (*complete)(struct http_request *r);
};

/* How a reply goes out. Made by http_render(), perhaps on the door's writer thread, while the request's thread waits. */
struct http_answer {
	unsigned status;              /* 0: none yet */
	enum reg_code code;           /* 0: the door was not asked */
	char svtrid[REG_SVTRID_MAX];
	struct reg_file file;         /* fd -1: the body is the rendered text */
	char location[160];           /* empty: none */
	const char *allow;            /* 405: methods; NULL: none */
	const char *content_type;
	bool close;                   /* the connection ends with it */
	bool challenge;               /* 401: tell how to log in */
	bool retry;                   /* not waited for: come again later */
};

struct http_request {
	struct http_server *server;
	struct http_connection *connection;
	struct MHD_Connection *mhd;
	char *target_text;            /* as received */
	const char *method;
	struct arena *arena;          /* of the command and its reply */
	size_t lang;
	const struct http_route *route; /* NULL: no such resource */
	struct http_target target;
	struct str parts[HTTP_SEGMENTS]; /* what stood for {} in the pattern */

	struct reg_command command;
	struct reg_query query;
	struct reg_list_request list;
	unsigned wait_s;              /* to wait for something new in the list; 0: answer at once */
	bool preferred;               /* by Prefer (RFC 7240) */
	struct str name;              /* of a check */
	struct reg_detail detail;     /* of a refusal by this face */
	unsigned refused_status;      /* what HTTP says of it; 0: by the code */
	struct buf head;              /* request line and transaction id, then the small body: what the door makes a digest of */
	struct buf body;              /* small body */
	struct reg_delivery *delivery;
	bool broken;                  /* the delivery cannot be read: the rest is thrown away, the door says why */
	bool begun;                   /* the handler has been called for it */
	bool answered;
	bool early;                   /* answered before the body had come: the rest is thrown away */

	struct http_answer answer;
	struct buf out;               /* rendered reply */
};

/* libmicrohttpd's callbacks; cls is the server. */
void *http_request_new(void *cls, const char *target, struct MHD_Connection *mhd);
enum MHD_Result http_request_handle(void *cls, struct MHD_Connection *mhd, const char *url, const char *method, const char *version,
	const char *bytes, size_t *n, void **context);
void http_request_done(void *cls, struct MHD_Connection *mhd, void **context, enum MHD_RequestTerminationCode how);

/* The value of a header; empty when it is not there. */
struct str http_header(const struct http_request *r, const char *name);
/*
 * The face refuses the command: it is audited and answered like any other, and names what was wrong. The first refusal stays. status: what
 * HTTP has a word for and EPP has not; 0: by the code.
 */
void http_refuse(struct http_request *r, unsigned status, enum reg_code code, const char *element, struct str value, const char *reason);

/* The route of method and path. NULL: none; *allow then says which methods the path has ("GET, HEAD"), NULL: no such path. */
const struct http_route *http_route_find(
	const char *method, const struct http_target *t, struct str parts[HTTP_SEGMENTS], const char **allow);

/* ---- waiting for a list (http_wait.c) ------------------------------------------------------------------------------------ */

#define HTTP_WAIT_S 60u              /* at most */

/*
 * Until the list has something new, r->wait_s are over, or the server stops. When too many wait already: not at all, and the answer says so.
 * false: the client has gone away.
 */
bool http_wait(struct http_request *r);

/* ---- who asks (http_login.c) ------------------------------------------------------------------------------------------ */

/* true: the connection's session is logged in as whom this request says. Else r->answer and r->out say no. */
bool http_login(struct http_request *r);

/* ---- answers (http_answer.c, http_json.c) ------------------------------------------------------------------------------- */

/* reg_render: face is the request. */
void http_render(void *face, const struct reg_command *c, const struct reg_reply *reply, struct buf *out);
/* The HTTP status of a result code of RFC 5730. */
unsigned http_status_of(enum reg_code code);
/* An answer without the door: a problem (RFC 9457) of an HTTP status. reason: English, a catalogue key; NULL: none. */
void http_problem(struct http_request *r, unsigned status, const char *reason);
/* Sends r->answer with r->out. MHD_NO: the connection is to be closed. */
enum MHD_Result http_send(struct http_request *r);

/* Pure: a reply as JSON. Numbers above 2^53 are strings, fields that may repeat are arrays, groups are objects. */
/* details: what was not taken of a request that was; they follow as "errors". */
void http_json_fields(struct buf *out, size_t lang, const struct reg_node *fields, const struct reg_detail *details);
void http_json_page(struct buf *out, const struct reg_page *page);
void http_json_checks(struct buf *out, size_t lang, const struct reg_check_item *checks, size_t n);
void http_json_problem(struct buf *out, size_t lang, unsigned status, const struct reg_reply *reply);
const char *http_status_text(unsigned status);

/* ---- the server (http_server.c) ----------------------------------------------------------------------------------------- */

struct http_server {
	struct http_settings settings;
	struct registry *registry;
	struct tls_server *tls;
	struct MHD_Daemon *daemon;
	int fd;                       /* listening; -1: none, or libmicrohttpd's */
	char address[80];
	uint8_t key[HTTP_KEY_BYTES];  /* of credentials' hashes; new at each start */
	atomic_bool stopping;

	pthread_t watch;              /* closes connections whose deadline has passed */
	bool watching;
	pthread_mutex_t lock;         /* guards what follows, and in connections what says so */
	pthread_cond_t changed;       /* a connection has gone, or the server stops */
	bool ended;                   /* the watch is to end */
	struct http_connection *connections;
	unsigned n_connections, n_busy, n_waiting;
};

#endif

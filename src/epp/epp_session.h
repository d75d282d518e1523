/* epp_session.h - what the server and its sessions know of each other. */
#ifndef CEIR_EPP_SESSION_H
#define CEIR_EPP_SESSION_H

#include "epp/epp.h"

#include <netinet/in.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/socket.h>

/* One connection. Its thread owns it, except what is marked. */
struct epp_session {
	struct epp_server *server;
	struct epp_session *next, *prev; /* under the server's lock */
	struct in6_addr host;            /* IPv4 mapped; constant */
	char address[64];                /* numeric, with port; constant */
	bool refused;                    /* one too many: told so and closed; constant */

	int fd;          /* under the server's lock: a second descriptor to wake the handshake by; -1: none */
	struct tls *tls; /* set and cleared under the server's lock; NULL before the handshake is done */

	struct reg_session *door;
	struct epp_parser *parser;
	struct arena *arena;          /* of one command */
	struct epp_services services; /* announced at login */
	int64_t end_us;               /* of the session's life, monotonic */

	struct buf in; /* received, not yet executed; from in_at on */
	size_t in_at;
	int64_t heard_us; /* when something came last */
	int64_t frame_us; /* since when the frame at in_at is incomplete */

	struct buf out;       /* answers that wait for reg_settle() */
	struct buf batch;     /* what to answer instead when that fails: struct epp_answer */
	enum reg_code ending; /* 0: goes on; else what the next command is told, and then it ends */
	const char *why;      /* English, for the log; NULL: not known yet */
	bool told;            /* the client has had an answer that says it ends */
};

struct epp_server {
	struct epp_settings settings;
	struct registry *registry;
	struct tls_server *tls;
	int fd;   /* listening */
	int wake; /* eventfd: tells the accepting thread to end */
	char address[80];
	pthread_t acceptor;
	bool started;
	atomic_bool stopping; /* also read without the lock: a session looks between two commands */

	pthread_mutex_t lock;   /* guards what follows, and in sessions what says so */
	pthread_cond_t changed; /* a session has ended */
	struct epp_session *sessions;
	unsigned n_sessions; /* those that are told 2502 included */
};

/* The whole life of a connection, on its own thread. Returns when nothing is left but to forget it. */
void epp_session_run(struct epp_session *s);

#endif

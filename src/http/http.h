/*
 * http.h - the HTTP face: deliveries and sightings in, lists out, over TLS (HTTP/1.1, RFC 9110 and 9112), with libmicrohttpd.
 *
 *   POST /v1/deliveries?kind=full|delta[&id=...]   body: CSV, also gzip or zstd; 202 and the delivery's state
 *   GET  /v1/deliveries[?limit=&cursor=]           the operator's own
 *   GET  /v1/deliveries/ID                         its state
 *   GET  /v1/deliveries/ID/rejects                 report of what was not taken as it came, CSV
 *   POST /v1/sightings                             body: JSON or CSV; 200 and counts; under the same transaction id the same body counts once
 *   GET  /v1/lists                                 the list files that were made
 *   GET  /v1/lists/black|grey|exceptions|white[?since=SEQ[&wait=S]][&format=csv|xml][&operator=]   the list, or what changed since SEQ;
 *                                                  with wait the answer waits until something has, or so many seconds
 *   GET  /v1/lists/black|.../ack                   its state: sequence numbers, acknowledged, lag
 *   PUT  /v1/lists/black|.../ack                   body: {"seq": N}
 *   GET  /v1/imeis/IMEI                            colour and reason of one IMEI
 *
 * Each request is one command of the door, with the client's transaction id from the header Client-Transaction-Id and the server's in
 * Server-Transaction-Id. Who asks: a client certificate, or HTTP Basic (RFC 7617) over TLS. Faults are application/problem+json
 * (RFC 9457). This face holds no rule.
 *
 * Threads: functions below from one thread (the main one).
 */
#ifndef CEIR_HTTP_H
#define CEIR_HTTP_H

#include "base/base.h"
#include "registry/registry.h"

struct http_settings {
	const char *listen;              /* "127.0.0.1:7743", "[::1]:7743"; port 0 takes a free one */
	const char *cert, *key, *ca;     /* PEM files */
	unsigned max_connections, max_connections_address;
	unsigned max_waiting;            /* requests that wait for a list at once; 0: half of max_connections */
	unsigned idle_timeout_s;         /* also in which a request's head, and a small body, must be complete */
	uint64_t max_body_bytes;         /* of a small body: JSON, or CSV of sightings */
	bool basic;                      /* passwords are taken; else only certificates */
};

struct http_server;
/*
 * Binds and serves. CEIR_EINVAL: listen is no address; CEIR_EEXIST: it is in use; CEIR_ETLS: the certificates cannot be used. The settings'
 * texts must outlive the server.
 */
enum ceir_err http_server_new(const struct http_settings *s, struct registry *r, struct http_server **out) CEIR_MUST_USE;
const char *http_server_address(const struct http_server *s); /* "127.0.0.1:40123" */
/* Certificates anew, for connections that begin from now on; on an error the old ones stay. */
enum ceir_err http_server_reload(struct http_server *s) CEIR_MUST_USE;
/* No new requests, those under way are finished for some seconds, then cut off. */
void http_server_stop(struct http_server *s);
void http_server_free(struct http_server *s); /* NULL is allowed */

#endif

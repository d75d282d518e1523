/* bench_triplets_http.h - a client for one HTTPS connection that costs little: what is sent is rendered by the caller. */
#ifndef CEIR_BENCH_TRIPLETS_HTTP_H
#define CEIR_BENCH_TRIPLETS_HTTP_H

#include "bench_triplets.h"

struct bt_http;

struct bt_answer {
	unsigned status;
	struct str body; /* good until the next call */
};

/* With keys/ACCOUNT.crt and .key. What fails is said on standard error. */
enum ceir_err bt_http_open(const struct bt_options *o, const char *account, struct bt_http **out) CEIR_MUST_USE;
void bt_http_close(struct bt_http *h); /* NULL is allowed */
enum ceir_err bt_http_get(struct bt_http *h, const char *path, struct bt_answer *a) CEIR_MUST_USE;
/* A body of known length; cltrid may be NULL. */
enum ceir_err bt_http_post(struct bt_http *h, const char *path, const char *type, const char *cltrid, struct str body,
	struct bt_answer *a) CEIR_MUST_USE;
/* A body in chunks: begin, any number of pieces (none empty), end. */
enum ceir_err bt_http_begin(struct bt_http *h, const char *path, const char *type) CEIR_MUST_USE;
enum ceir_err bt_http_piece(struct bt_http *h, struct str piece) CEIR_MUST_USE;
enum ceir_err bt_http_end(struct bt_http *h, struct bt_answer *a) CEIR_MUST_USE;
/* A whole answer whose status is not this: said on standard error, CEIR_EINVAL. */
enum ceir_err bt_http_expect(const struct bt_answer *a, unsigned status, const char *what) CEIR_MUST_USE;

/* The member of that name of the first object that has one: a number, or a text without escapes. false: none. */
bool bt_json_number(struct str json, const char *name, uint64_t *value);
bool bt_json_text(struct str json, const char *name, struct str *value);

/* Account and key of operator op. */
#define BT_ACCOUNT_MAX 24
void bt_account(unsigned op, char out[BT_ACCOUNT_MAX]);

#endif

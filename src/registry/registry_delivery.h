/*
 * registry_delivery.h - what the files about deliveries share: a delivery while it is received, its report, and the room's state.
 *
 * Files below DIR/deliveries (mode 0700):
 *   tmp-N.csv        report of a delivery that is being received
 *   tmp-S<id>.csv    the same, once the delivery is staged under that id in the triplet store and before its row is committed
 *   D<number>.csv    report of the delivery of that name
 * What a crash leaves between the steps is put right at the next start: a row that names the staged id makes tmp-S the
 * delivery's, everything else that begins with tmp- goes.
 */
#ifndef CEIR_REGISTRY_DELIVERY_H
#define CEIR_REGISTRY_DELIVERY_H

#include <gnutls/crypto.h>

#include "exchange/exchange.h"
#include "registry/registry_internal.h"
#include "triplets/triplets.h"

#define DELIVERY_PATH 4096
#define DELIVERY_SHOWN 10                  /* lines named in the answer when nothing of a delivery could be taken */
#define DELIVERY_OPERATORS 256             /* numbers of operators are 1..255 */

/* ---- registry_delivery_report.c ---- */

/* The report of what was not taken as it came, while it grows. No file before the first line. One thread. */
struct delivery_report {
	struct registry *r;
	size_t lang;
	int fd;                            /* -1: no file yet */
	char path[DELIVERY_PATH];
	struct buf buf;
	uint64_t lines, left_out, bytes;
};

void delivery_report_init(struct delivery_report *p, struct registry *r, size_t lang);
enum ceir_err delivery_report_add(struct delivery_report *p, const struct delivery_reject *reject) CEIR_MUST_USE;
/* Writes the rest, syncs, and gives the file the name of the staged delivery, durably. Nothing to do when there is no file. */
enum ceir_err delivery_report_finish(struct delivery_report *p, uint64_t staged) CEIR_MUST_USE;
/* The delivery is in the register under that code. An error is only logged: the next start names the file. */
void delivery_report_name(struct delivery_report *p, struct str code);
/* Removes the file unless it was named, and frees what the report holds. */
void delivery_report_free(struct delivery_report *p);
/* Opens the report of a delivery for reading. CEIR_ENOENT: it has none. */
enum ceir_err delivery_report_open(const struct registry *r, struct str code, uint64_t staged, int *fd) CEIR_MUST_USE;
/* After a start: names and removes what a crash left. */
enum ceir_err delivery_report_tidy(struct registry *r, struct store_conn *db, struct arena *arena) CEIR_MUST_USE;

/* ---- registry_delivery.c ---- */

/* A line that could not be taken, kept to be shown. */
struct delivery_shown {
	uint64_t line;
	enum delivery_fault fault;
	char field[16], raw[96];
	size_t n_raw;
};

struct reg_delivery {
	struct registry *r;
	struct str id, name;               /* our copies; .n 0: none */
	bool full;
	uint8_t op;
	char operator_code[33];
	int64_t begun_us;
	const struct policy_params *params; /* as of the beginning */
	gnutls_hash_hd_t hash;
	uint8_t digest[DIGEST];            /* SHA-256 of the bytes as received */
	uint64_t bytes;
	struct unpack *unpack;
	struct delivery_reader *reader;
	struct triplets_intake *intake;
	struct delivery_report report;
	struct delivery_shown shown[DELIVERY_SHOWN];
	unsigned n_shown;
	enum ceir_err err;                 /* the first; nothing is read after it */
	const char *why;                   /* English, when err is CEIR_EINVAL */
	bool claimed;                      /* counts as one of those its operator may send at once */

	/* After reg_delivery_prepare(). */
	struct delivery_counts counts;
	uint64_t staged;                   /* in the triplet store; 0: not */
	unsigned hold;                     /* bits of enum delivery_hold */
	bool created;                      /* the job wrote a row of it; counts only when the job was committed */
	struct str code;                   /* of the row; in the command's arena */
};

/* The active operator of this code into row[OPERATOR_N]. CEIR_EPERM: there is none, or it is suspended. */
enum ceir_err delivery_operator(struct store_conn *db, const char *code, struct arena *a, struct store_val *row) CEIR_MUST_USE;
/* Reads what is left, judges, stages. Sets d->why and CEIR_EINVAL when the whole is refused. usual: lines of the full deliveries before. */
enum ceir_err delivery_complete(struct reg_delivery *d, uint64_t usual) CEIR_MUST_USE;

/* ---- registry_delivery_info.c ---- */

/* Code of one bit of enum delivery_hold ("size"); NULL: no such bit. Stored: codes never change. */
const char *delivery_hold_code(unsigned bit);
/* The staged id of a delivery's row; 0: none. */
uint64_t delivery_staged(const struct store_val *row);

/* ---- registry_delivery_work.c, registry_inbox.c ---- */

struct reg_intake {
	struct registry *r;
	pthread_mutex_t lock;
	pthread_cond_t wake;
	bool stop, due;                    /* lock */
	unsigned receiving[DELIVERY_OPERATORS]; /* lock; deliveries under way of each operator */
	_Atomic uint64_t reports;          /* for names of temporary files */
	pthread_t worker, inbox;
	bool worker_on, inbox_on;
	/* The worker's alone. */
	struct arena *arena;
	int64_t behind;                    /* the last delivery that could not be applied now; those behind it come first */
	int64_t held_us;                   /* since when full runs wait for deliveries; 0: they do not */
	int64_t logged_id;                 /* what was said of it, once */
	enum ceir_err logged_err;
};

/* False: the registry is closing. Waits for so long, or until it is closing; the worker is woken by work too. */
bool intake_wait(struct reg_intake *in, unsigned ms, bool for_work);
/* Makes the folders of the inbox. One that cannot be made is tried again by the thread. */
void inbox_open(struct reg_intake *in);
void *inbox_thread(void *intake);

#endif

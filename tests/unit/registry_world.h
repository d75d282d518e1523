/*
 * registry_world.h - a register for tests of the door, without any protocol: a face that keeps the reply, commands written as
 * short texts, and a small country of accounts and papers.
 *
 * Fields are written "id=CT-1; importer=8978140007623; position{number=1; model=GT-P3100}"; a value holds no ; { }.
 */
#ifndef CEIR_REGISTRY_WORLD_H
#define CEIR_REGISTRY_WORLD_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <sqlite3.h>

#include "registry/registry.h"

#define PASSWORD "correct horse 9"
#define IMPORTER "8978140007623"
#define IMPORTER2 "1111111111111"
#define PERMIT "CT07-287/062"
#define CERTIFICATE "UAT.888.0162779-18"
#define SCREEN_IMEI "352106050544203"
#define TAC "35210605"

struct world {
	char dir[64];
	struct reg_settings settings;
	struct registry *r;
};

/* One conversation. What it says of the last command is good until the next. */
struct face {
	struct world *w;
	struct reg_session *s;
	struct arena *arena;
	struct buf out;
	struct reg_reply reply;
	unsigned rendered;
	char cltrid[24];
	bool no_cltrid;
};

/* A fresh register with the account "admin"; nothing else. */
void world_open(struct world *w);
/* Accounts of every role (named as the role, importer1, importer2), two importers, the papers of the customer's screen. */
void world_settle(struct world *w);
void world_stop(struct world *w);
void world_start(struct world *w);
/* Stops, and removes the folder. */
void world_close(struct world *w);
/* The database, for looking and for tampering. Executes sql; the first column of its first row, or 0. */
int64_t world_sql(const struct world *w, const char *sql);
/* registry_verify(); how many lines it reported. Each is printed when loud. */
unsigned world_verify(const struct world *w, struct str head, bool loud);
void world_fingerprint(const char *account, uint8_t fp[32]);

struct face *face_new(struct world *w, const char *account); /* connected, not logged in; account NULL: no certificate */
struct face *face_login(struct world *w, const char *account); /* logged in */
void face_free(struct face *f);
/* Several at once, each logged in; n of them. */
struct login_of {
	struct face **f;
	const char *account;
};
void faces_login(struct world *w, const struct login_of *of, size_t n);
void faces_free(const struct login_of *of, size_t n);

/* All return the reply's code. */
unsigned face_do(struct face *f, struct reg_command *c);
unsigned login(struct face *f, const char *clid, const char *pw, const char *newpw);
unsigned create(struct face *f, const char *object, const char *set);
unsigned info(struct face *f, const char *object, const char *key);
unsigned update(struct face *f, const char *object, const char *key, const char *set, const char *add, const char *rem);
unsigned remove_(struct face *f, const char *object, const char *key, const char *set);
unsigned renew(struct face *f, const char *object, const char *key, const char *set);
unsigned transfer(struct face *f, enum reg_transfer_op op, const char *imei);
unsigned check(struct face *f, const char *object, const char *name);
unsigned query(struct face *f, const char *object, const struct reg_query *q);
unsigned poll(struct face *f, const char *ack); /* ack NULL: req */
/* rows: devices "352106050544203 352106050544211, 35210605..." ; key NULL: create. */
unsigned apply(struct face *f, const char *key, const char *set, const char *rows);
unsigned results(struct face *f, const char *key, uint64_t after, uint32_t rows);

/* A field of the last reply, "state.colour", or NULL. The n-th of its name. */
const char *value(const struct face *f, const char *path);
const char *value_of(const struct reg_node *list, const char *path);
/* Waits until the application is done; its code in buffers. */
void wait_done(struct face *f, const char *application);
/* Waits until imei:check answers this colour and reason. */
void wait_verdict(struct face *f, const char *imei, const char *colour, const char *reason);
/* The colour and reason now. */
void assert_verdict(struct face *f, const char *imei, const char *colour, const char *reason);
/* 15 digits of serial number `serial` under a TAC; one of 16 static buffers. */
const char *imei_text(const char *tac, uint32_t serial);

#endif

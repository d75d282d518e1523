/*
 * registry_country.h - a register with two operators, what their networks see, and the lists they get: for tests of the
 * classification and of lists. The clock can be moved on (the linker leads clock_real_us() here).
 */
#ifndef CEIR_REGISTRY_COUNTRY_H
#define CEIR_REGISTRY_COUNTRY_H

#include "registry/registry_list.h"
#include "registry_world.h"

#define OPERATOR_A "25501"
#define OPERATOR_B "25503"
#define TAC_B "01124500"           /* allocated, not registered by anybody */
#define TAC_UNKNOWN "35999999"

struct country {
	struct world w;
	struct face *admin, *lea, *nra, *a, *b; /* a: operator 25501, b: 25503 */
};
void country_open(struct country *c);
void country_close(struct country *c);   /* verifies first */
void country_restart(struct country *c); /* a clean stop */
void country_login(struct country *c);
void country_logout(struct country *c);
/* Adds days to what the register holds for the time; waits until its run of the new day has ended. */
void country_days(struct country *c, int days);
/* Setup and teardown of a test with a country of its own, in C. */
int country_make(void **state);
int country_destroy(void **state);
#define COUNTRY_TEST(test, c) cmocka_unit_test_prestate_setup_teardown(test, country_make, country_destroy, &(c))
/* Until the classification has nothing to do. */
void country_settle(struct country *c);
/* A full run, as if the day had begun. */
void country_run(struct country *c);

/* "IMEI IMSI MSISDN" seen now by this operator's network; text of an IMEI as sent. Does not wait. */
void see(struct face *f, const char *imei, const char *imsi, const char *msisdn);
unsigned see_at(struct face *f, const char *imei, const char *imsi, const char *msisdn, int64_t at_s);
/* A body of CSV; waits until it is applied and classified. */
void deliver(struct country *c, struct face *f, bool full, const char *csv);

/* A policy made from text, put in force, waited for. Returns its id, in a static buffer. */
const char *draft(struct country *c, const char *set);
void activate(struct country *c, const char *id);

/* One list as an operator gets it. since -1: whole. Rows sorted, without the head line. */
struct list {
	char *text, **rows;
	size_t n;
	int64_t from, to;
	uint64_t bytes;
	char digest[65], signature[129], name[96];
};
struct list *list_get(struct face *f, const char *name, int64_t since);
struct list *list_get_as(struct face *f, const char *name, const struct reg_list_request *q);
unsigned list_ask(struct face *f, const char *name, const struct reg_list_request *q);
/* Of CSV text. */
struct list *list_parse(const char *text);
void list_free(struct list *l);
/* A row that begins so; NULL: none. */
const char *list_row(const struct list *l, const char *begin);
/* The IMEI's 14 digits in a static buffer. */
const char *key14(const char *imei);
/* Whole list `from` with the rows of a delta put in and taken out, by key: columns 1 (black, white) or 3. */
struct list *list_apply(const struct list *from, const struct list *delta, const char *name);
/* The change up to which lists go now. */
int64_t country_last(struct country *c);
/* Has n rows, one of which begins so (NULL: whatever they are). */
void assert_list_rows(struct face *f, const char *name, int64_t since, size_t n, const char *row);
/* Made, or the test fails; its id. */
void new_listing(struct face *f, const char *set, char id[64]);
/* Fails, and shows the difference, unless both have the same rows. */
void assert_same_list(const struct list *expected, const struct list *got, const char *what);

#endif

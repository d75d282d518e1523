/*
 * verdicts.h - the verdict of every known IMEI, in memory, read without locks.
 *
 * One writer (the store's writer thread) and any number of readers. 5 to 7 bytes an IMEI: IMEIs of one TAC share a table
 * of 32-bit words (20 bits serial number, 12 bits verdict), so fifty million devices take a few hundred megabytes. The
 * table is a derived thing: the register's database is the truth, this is rebuilt from it at start and follows each commit.
 */
#ifndef CEIR_VERDICTS_H
#define CEIR_VERDICTS_H

#include "base/base.h"
#include "ident/ident.h"

enum verdict_colour { VERDICT_UNKNOWN = 0, VERDICT_WHITE, VERDICT_GREY, VERDICT_BLACK };

/*
 * Why. The numbers are stored in the database and never change their meaning; new ones are added at the end.
 * Names and texts: verdict_reason_name(), verdict_reason_text().
 */
enum verdict_reason {
	VERDICT_NEVER_HEARD = 0,  /* not in the register, never seen */
	VERDICT_REGISTERED,       /* registered device */
	VERDICT_LISTED_WHITE,     /* white listing in force */
	VERDICT_LISTED_GREY,      /* grey listing in force */
	VERDICT_LISTED_BLACK,     /* black listing in force, no nearer reason */
	VERDICT_STOLEN,           /* black listing, reason stolen */
	VERDICT_LOST,             /* black listing, reason lost */
	VERDICT_BARRED_TAC,       /* black listing of the whole TAC */
	VERDICT_WITHDRAWN,        /* registration withdrawn */
	VERDICT_PERMIT_REVOKED,
	VERDICT_CERTIFICATE_REVOKED,
	VERDICT_IMPORTER_REVOKED,
	VERDICT_GOLDEN,           /* never blocked */
	VERDICT_MALFORMED,
	VERDICT_TAC_UNALLOCATED,
	VERDICT_UNREGISTERED_SEEN,/* seen on a network, not registered */
	VERDICT_CLONE,
	VERDICT_AMNESTY,          /* in use before the register began */
	VERDICT_CONDITION,        /* another condition of the policy matches */
	VERDICT_REASONS           /* at most 64 */
};

/* Packed: colour in bits 0-1, reason in 2-7, registered in 8, pair in 9, row in 10 (in memory only: never stored); 11 is zero. */
struct verdict {
	uint8_t colour;     /* enum verdict_colour */
	uint8_t reason;     /* enum verdict_reason */
	bool registered;    /* stands in the register as a device, whatever the colour */
	bool pair;          /* listings bound to an IMSI or MSISDN exist, or it is a clone: the full answer needs the subscriber */
	bool row;           /* the database has a row of this IMEI; else its verdict comes from the triplets alone */
};

/* Packed form, as stored in the database: 12 bits. 0 is "unknown, never heard, not registered": the same as no entry. */
uint16_t verdict_pack(struct verdict v);         /* colour and reason must fit their bits (asserted) */
struct verdict verdict_unpack(uint16_t packed);  /* bits 10 and up are ignored */
const char *verdict_colour_name(unsigned colour); /* "unknown" "white" "grey" "black" */
const char *verdict_reason_name(unsigned reason); /* "registered", "stolen", ... : codes on the wire */
const char *verdict_reason_text(unsigned reason); /* English sentence, marked for translation */

struct verdicts;
struct verdicts_reader;

/* Empty table; NULL when memory is out. */
struct verdicts *verdicts_new(void);
/* No reader may be left. */
void verdicts_free(struct verdicts *t);

/*
 * Any thread, no locks, no allocation: between verdicts_enter() and verdicts_leave() of a reader of its own, or on the
 * writer's thread, which needs neither. Outside of these a growth could take the memory away under the look-up.
 *
 * false and *v = unknown/never heard when the IMEI has no entry and its TAC no verdict of its own. An entry that was set
 * back to that value (its last listing ended, say) is no entry either; `row` is told even then. A verdict of the whole TAC
 * (barred) wins over an entry, of which *v keeps `registered`, `pair` and `row`, unless the entry stands before it: golden,
 * or black by itself - then it is prohibited either way and the entry's own reason is the nearer one.
 *
 * A reader that holds results of several calls gets each as it was at its own call.
 */
bool verdicts_get(const struct verdicts *t, struct imei imei, struct verdict *v);
/*
 * The same for many at once, out[i] for imeis[i]; n may be 0. Several times as fast, since the memory of all is fetched at the
 * same time. Whether an answer was found: it is not all zero.
 */
void verdicts_get_many(const struct verdicts *t, const struct imei *imeis, size_t n, struct verdict *out);
/*
 * The entry alone, without the TAC's verdict: what policy derived for this IMEI. false: none, or all zero but for `row`. Called as
 * verdicts_get().
 */
bool verdicts_get_entry(const struct verdicts *t, struct imei imei, struct verdict *v);
/* For many: entries[i] as of verdicts_get_entry(), tacs[i] of the whole TAC (all zero: none). Ascending IMEIs are fastest. */
void verdicts_get_apart(const struct verdicts *t, const struct imei *imeis, size_t n, struct verdict *entries, struct verdict *tacs);

/*
 * Writer only. Sets or replaces an entry; seen by every verdicts_get() that begins after it returned. CEIR_ENOMEM leaves the
 * table as it was.
 */
enum ceir_err verdicts_set(struct verdicts *t, struct imei imei, struct verdict v) CEIR_MUST_USE;
/* Writer only. A verdict for all IMEIs of a TAC; colour VERDICT_UNKNOWN removes it. */
enum ceir_err verdicts_set_tac(struct verdicts *t, struct tac tac, struct verdict v) CEIR_MUST_USE;

/*
 * Bulk load at start, before there are readers: like verdicts_set, may be called from several threads at once provided
 * that no two threads load the same TAC, and that none of the writer's functions runs meanwhile. Any order; ascending IMEIs
 * load fastest, since the table of one TAC stays in the processor's cache until it is full.
 */
enum ceir_err verdicts_load(struct verdicts *t, struct imei imei, struct verdict v) CEIR_MUST_USE;

/*
 * Entries with from <= IMEI <= to whose colour is in `colours` (bit per enum verdict_colour), ascending, some hundred a call,
 * without the TACs' verdicts. An entry that says nothing but `row` is of colour unknown. Any thread, with a reader of this
 * table that is not entered: it enters and leaves by itself, TAC by TAC, never while items() runs, so items() may wait. Each
 * entry is as it was at some moment of the call; what is set before the call is seen. An error of the callback stops and is
 * returned. CEIR_ENOMEM: it needs 8 MB for a while.
 */
struct verdicts_item {
	struct imei imei;
	struct verdict verdict;
};
typedef enum ceir_err (*verdicts_items)(void *ctx, const struct verdicts_item *items, size_t n);
enum ceir_err verdicts_scan(const struct verdicts *t, struct verdicts_reader *r, struct imei from, struct imei to, unsigned colours,
	verdicts_items items, void *ctx) CEIR_MUST_USE;
/* TACs that have a verdict of their own, ascending. As above; r is not needed for it and may be NULL. */
typedef enum ceir_err (*verdicts_tac_item)(void *ctx, struct tac tac, struct verdict verdict);
enum ceir_err verdicts_scan_tacs(const struct verdicts *t, struct verdicts_reader *r, verdicts_tac_item item, void *ctx) CEIR_MUST_USE;

/* Entries and bytes held; any thread, approximate while the writer works. */
void verdicts_stat(const struct verdicts *t, uint64_t *entries, uint64_t *bytes);
/*
 * Memory that readers may still be using after a growth is given back later; the writer calls this now and then (after
 * each commit). Readers announce themselves through the pair below, around a batch of verdicts_get calls; both are wait-free.
 * A reader belongs to one thread at a time, is not entered twice, and does not stay inside while it waits for anything.
 */
void verdicts_reclaim(struct verdicts *t);
struct verdicts_reader *verdicts_reader_new(struct verdicts *t); /* any thread; NULL: memory */
void verdicts_reader_free(struct verdicts_reader *r);
void verdicts_enter(struct verdicts_reader *r);
void verdicts_leave(struct verdicts_reader *r);

#endif

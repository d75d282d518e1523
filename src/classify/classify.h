/*
 * classify.h - the classification of the country: every IMEI the networks see, put through the conditions of the policy.
 *
 * Keeps one record (struct policy_class) of every IMEI for which a condition ever matched: with the dates a subscriber was
 * told, which never move. The records stand in a segment file, sorted by IMEI, made anew by each full run, and what changed
 * since in memory. THE CHANGE LOG IS THE TRUTH (src/store): each verdict change that comes from here carries its record, so
 * that after a crash the records since the file was made are read from the log again (classify_note).
 *
 * A run reads the triplets in the order of IMEIs (both cores), the records beside them, and the verdict table; what comes out
 * is a new file of records and a list of verdicts that differ. Nothing is changed by a run: the caller (the door) writes the
 * changes through the register's writer and then switches to the new file. An IMEI that the register has a row of (registered,
 * listed) is not decided here but named, so that the door derives it with all its facts.
 *
 * Threads: classify_get from any thread; classify_note and classify_switch from the register's writer's thread only; one run at
 * a time, in any thread; classify_touch from any thread.
 */
#ifndef CEIR_CLASSIFY_H
#define CEIR_CLASSIFY_H

#include "base/base.h"
#include "ident/ident.h"
#include "policy/policy.h"
#include "triplets/triplets.h"
#include "verdicts/verdicts.h"

struct classify;

/*
 * name: of the records' file in dir ("class-17.seg"; names end in .seg), empty: none yet. Other files that end in .seg or .tmp
 * are removed. dir is made when missing (mode 0700). CEIR_ECORRUPT, CEIR_ENOENT: the file is damaged or gone; the log says
 * which. A damaged block is found when it is read.
 */
enum ceir_err classify_open(const char *dir, const char *name, struct classify **out) CEIR_MUST_USE;
/* The same beside a running server: nothing is made or removed, and no run may be begun. */
enum ceir_err classify_open_readonly(const char *dir, const char *name, struct classify **out) CEIR_MUST_USE;
void classify_close(struct classify *c); /* NULL is allowed */

/* The record of an IMEI (key of a triplet). false: none. CEIR_ECORRUPT damage is logged and answers false. */
bool classify_get(const struct classify *c, uint64_t imei, struct policy_class *out);
/* A record that is newer than the file. Replaces. Any key but UINT64_MAX, which is none. CEIR_ENOMEM. */
enum ceir_err classify_note(struct classify *c, uint64_t imei, const struct policy_class *record) CEIR_MUST_USE;
/*
 * Was it noted since the run that is not yet freed began? Then what the run says of it is older than what is known, and the
 * door does not write it. false when there is no run.
 */
bool classify_is_newer(const struct classify *c, uint64_t imei);
/* Records in memory: when many (2 million), it is time for a run. Records in the file. */
void classify_count(const struct classify *c, uint64_t *in_file, uint64_t *in_memory);
/*
 * All records with from <= IMEI, ascending, as they are when the scan begins; of the file and of memory, each IMEI once. The
 * records in memory are copied for it: for going through many, not for a page. record() is called without a lock and may wait.
 * An error stops and is returned. CEIR_ECORRUPT: the file.
 */
typedef enum ceir_err (*classify_record)(void *ctx, uint64_t imei, const struct policy_class *record);
enum ceir_err classify_scan(const struct classify *c, uint64_t from, classify_record record, void *ctx) CEIR_MUST_USE;

/* What a run or a touch looks at. Everything stays the caller's and as it is meanwhile. */
struct classify_env {
	const struct policy *policy;
	const struct policy_tables *tables;
	struct verdicts *verdicts;         /* a reader of its own is entered by the run, in short stretches */
	struct triplets_view *view;
	int64_t now_s;
	/* Is this IMEI on a watch list? NULL: none is. Any thread. */
	bool (*watched)(void *ctx, uint64_t imei);
	void *ctx;
};

/* One verdict that differs. */
struct classify_change {
	uint64_t imei;                 /* above IMEI_MAX: malformed; such have no entry in the verdict table */
	uint16_t before, after;        /* packed verdicts; equal when only the record differs */
	bool derive;                   /* the register has a row: after (== before) is not decided, the door derives it */
	struct policy_class record;    /* all zero: there is none */
};

struct classify_result {
	uint64_t imeis, triplets;      /* looked at; IMEIs that only have a record are counted too */
	uint64_t changes, derive;      /* verdicts that differ; rows to derive */
	uint64_t to[4], from[4];       /* changes by colour after and before (enum verdict_colour); without those to derive */
	uint64_t colours[4];           /* IMEIs seen, by colour after */
	uint64_t matched[POLICY_CONDITIONS]; /* IMEIs for which each condition matches */
	int64_t us;                    /* how long it took */
};

struct classify_run;
/*
 * A full run with `threads` threads; name: of the new file of records. dry: for a policy that is not in force: no file is made.
 * *out holds the changes in a temporary file in dir. IMEIs whose day has come (block_day) change too, and so do those whose
 * record has no triplets any more: of these the record stays as it is, only the date counts. CEIR_ETIMEOUT when *stop becomes
 * true (may be NULL). CEIR_ESTATE: another run was not freed yet. CEIR_EEXIST: the file is there.
 *
 * What `before` is: the entry of the verdict table, without the verdict of its TAC; so a change that was logged but not
 * switched to is not found again. A malformed key has no entry: before is what its old record says by today's policy as of the
 * day of the old file. An IMEI with a row is named (derive) when its record changed, when its block day came since the old
 * file, or, if it has a record, when the policy's version is another than that of the old file; the door may well find that
 * nothing changes.
 */
enum ceir_err classify_run_new(struct classify *c, const struct classify_env *env, unsigned threads, const char *name, bool dry,
	const _Atomic bool *stop, struct classify_run **out) CEIR_MUST_USE;
const struct classify_result *classify_run_result(const struct classify_run *r);
/* The changes in ascending order of IMEIs, at most max, from where the last call stopped; *n 0: no more. */
enum ceir_err classify_run_next(struct classify_run *r, struct classify_change *changes, size_t max, size_t *n) CEIR_MUST_USE;
void classify_run_rewind(struct classify_run *r); /* the next call begins with the first change again */
void classify_run_free(struct classify_run *r); /* and its temporary file; NULL is allowed */
/*
 * From now on the records are those of the run's file; what was noted since the run began is kept in memory. The door has
 * written the name to its database in the same transaction. The old file is removed.
 */
enum ceir_err classify_switch(struct classify *c, struct classify_run *r) CEIR_MUST_USE;

/*
 * The same for a few IMEIs (keys ascending) that were just seen: changes[0..*n_changes-1], room for n. What has no triplets in
 * the view is passed over. Reads all triplets of an IMEI; but of one that has more than POLICY_GATHER_MAX and a record of which
 * something matches, no more than that: it is left as it is until the next run, so that an IMEI with a million subscribers does
 * not cost a million rows at each sighting. A block day that has come is not looked at either where the verdict table cannot
 * tell (malformed keys, rows).
 */
enum ceir_err classify_touch(struct classify *c, const struct classify_env *env, const uint64_t *imeis, size_t n,
	struct classify_change *changes, size_t *n_changes) CEIR_MUST_USE;

/*
 * What policy_tables asks of other IMEIs, answered from triplets. The view is a second one, not that of the env, and used for
 * nothing else meanwhile. Any thread may ask; one at a time is answered. For one answer at most CLASSIFY_LOOK_ROWS triplets are
 * read.
 * prepared: before the first answer all pairs of the store are gone through, so that afterwards only the few IMSIs of very
 * many IMEIs and MSISDNs of several IMSIs cost a look: for a run over the country, not for a touch. IMEIs of an IMSI are then
 * counted over all times where that is fewer than max anyway.
 */
#define CLASSIFY_LOOK_ROWS 10000u
struct classify_over;
struct classify_over *classify_over_new(struct triplets_view *view, bool prepared); /* NULL: memory */
void classify_over_free(struct classify_over *o); /* NULL is allowed */
/* Sets imeis_of_imsi, swapped and ctx of the tables. */
void classify_tables_over(struct classify_over *o, struct policy_tables *tables);
/* The first thing that went wrong; the answers since then were "none". */
enum ceir_err classify_over_error(struct classify_over *o) CEIR_MUST_USE;

/* Every block of the file, and that its records are in order. CEIR_ECORRUPT when faulty. name empty: nothing to check. */
enum ceir_err classify_verify(const char *dir, const char *name, void (*report)(void *ctx, const char *line), void *ctx) CEIR_MUST_USE;

#endif

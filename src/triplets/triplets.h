/*
 * triplets.h - the triplet store: which IMEI was seen with which IMSI and MSISDN, by whom, since when and until when.
 *
 * A triplet is (IMEI, IMSI, MSISDN, operator). Of each the store keeps when it was first and last seen, the episodes between
 * (gone for longer than gap_days, seen again), and what the last sighting said (event, RAT, cell). It answers by IMEI, by IMSI
 * and by MSISDN, and is scanned in the order of IMEIs.
 *
 * On disk: segments (src/segment), never changed once written. Three trees of them: triplets in the order (IMEI, IMSI, MSISDN,
 * operator); pairs (IMSI, IMEI); pairs (MSISDN, IMSI). A look-up by IMSI finds IMEIs and then the triplets; one by MSISDN
 * finds IMSIs first. New sightings stand in a journal (synced before they are acknowledged) and in memory; when there are enough
 * of them they become segments; a background thread merges segments so that there are few. The file MANIFEST, replaced
 * atomically, names all files that count; a backup is a copy of what it names. triplets_format.h has every byte.
 *
 * Invariants: every triplet's (IMSI, IMEI) is in the second tree and its (MSISDN, IMSI), unless it has no MSISDN, in the third.
 * The same triplet in several segments is one: earliest first, latest last, union of its episodes (associative and commutative).
 *
 * Threads: every function may be called from any thread unless it says otherwise; an intake and a view belong to one thread
 * at a time. Readers never wait for writers: a view sees the store as it was when it was taken, however long it is held
 * (the files it needs stay until it is released).
 */
#ifndef CEIR_TRIPLETS_H
#define CEIR_TRIPLETS_H

#include "base/base.h"
#include "ident/ident.h"

/* ---- keys ---------------------------------------------------------------------------------------------------------- */

/*
 * Keys are numbers. An IMEI's is its 14 digits; what a network sent in place of one (too short, letters) has a key above
 * IMEI_MAX: such sightings are kept, and counted. An IMSI's or MSISDN's key holds its digits and how many they are, so that
 * leading zeros count; 0 is "none" (an MSISDN only). Keys of numbers of equal length sort as the numbers do.
 */
static inline uint64_t triplet_imsi_key(struct imsi i) { return i.n | (uint64_t)(15u - i.digits) << 50; }
static inline struct imsi triplet_imsi(uint64_t key)
{
	return (struct imsi){key & ((UINT64_C(1) << 50) - 1), (uint8_t)(15u - (key >> 50))};
}
static inline uint64_t triplet_msisdn_key(struct msisdn m) { return m.digits ? m.n | (uint64_t)m.digits << 50 : 0; }
static inline struct msisdn triplet_msisdn(uint64_t key)
{
	return (struct msisdn){key & ((UINT64_C(1) << 50) - 1), (uint8_t)(key >> 50)};
}
/*
 * Key of a text that is no IMEI: of 1..16 digits, the digits and how many; of anything else a hash of it (the text itself stands
 * in the delivery's report). Always above IMEI_MAX, the same for the same text.
 */
uint64_t triplet_malformed_key(struct str text);
static inline bool triplet_is_malformed(uint64_t imei_key) { return imei_key > IMEI_MAX; }
#define TRIPLET_IMEI_TEXT 20
/* 14 digits, the digits as they came, or "#" and 15 hexadecimal digits of the hash; and a NUL. */
void triplet_imei_print(uint64_t imei_key, char out[TRIPLET_IMEI_TEXT]);
/* What triplet_imei_print() printed, or an IMEI of 15 digits with its check digit. CEIR_EINVAL otherwise. */
enum ceir_err triplet_imei_parse(struct str s, uint64_t *imei_key) CEIR_MUST_USE;

/* ---- rows ---------------------------------------------------------------------------------------------------------- */

#define TRIPLET_CELL_MAX 31

/* What a network did when it saw the triplet. Stored: numbers never change. */
enum triplet_event { TRIPLET_EVENT_NONE = 0, TRIPLET_ATTACH, TRIPLET_CALL, TRIPLET_SMS, TRIPLET_DATA, TRIPLET_LOCATION, TRIPLET_DETACH,
	TRIPLET_CHECK, TRIPLET_EVENTS };
const char *triplet_event_name(unsigned event);                 /* "attach", ...; "" for none; NULL outside the range */
enum ceir_err triplet_event_find(struct str name, uint8_t *event) CEIR_MUST_USE; /* CEIR_ENOENT */
/* Radio access technology. Stored: numbers never change. */
enum triplet_rat { TRIPLET_RAT_NONE = 0, TRIPLET_GSM, TRIPLET_UMTS, TRIPLET_LTE, TRIPLET_NR, TRIPLET_CDMA, TRIPLET_NBIOT, TRIPLET_RATS };
const char *triplet_rat_name(unsigned rat);                     /* "gsm" "umts" "lte" "nr" ... */
/* By name, by generation ("2g" "3g" "4g" "5g"), or by DIRBS code ("001".."007", "101".."105"). CEIR_ENOENT. */
enum ceir_err triplet_rat_find(struct str name, uint8_t *rat) CEIR_MUST_USE;

/* One sighting, as it comes in: 32 bytes. */
struct sighting {
	uint64_t imei, imsi, msisdn; /* keys */
	uint32_t at_s;               /* seconds since 1970 */
	uint8_t event, rat;
	uint16_t reserved;           /* 0 */
};

struct triplet_episode {
	uint32_t from_s, to_s;
};

/* One triplet, as it is known. Pointers are good until the function that gave the row goes on. */
struct triplet {
	uint64_t imei, imsi, msisdn;
	uint32_t first_s, last_s;
	uint8_t op;                  /* number of the operator, 1..255 */
	uint8_t event, rat;          /* of the last sighting */
	uint16_t n_episodes;         /* episodes before the last one, oldest first; the last one ends at last_s */
	const struct triplet_episode *episodes;
	uint32_t episode_s;          /* when the last episode began; first_s when there are none before */
	struct str cell;             /* of the last sighting, empty: not known */
};

/* ---- open, close --------------------------------------------------------------------------------------------------- */

struct triplets;

struct triplets_settings {
	const char *dir;             /* folder of the store; made when missing (mode 0700) */
	uint32_t gap_days;           /* an absence longer than this ends an episode; 1..3650 */
	uint32_t keep_episode_days;  /* episodes that ended before that many days are forgotten when segments are merged; 0: never */
	uint64_t memory_bytes;       /* for sorting and for sightings not yet in segments; at least 64 MiB (less works, for tests) */
	unsigned threads;            /* for merging and applying; 1..16 */
};

/*
 * Opens, replays the journal, starts the merging thread. What a crash left half-done is removed. CEIR_ECORRUPT: the manifest
 * is damaged, or a file it names is missing or cut off; the log names it. A damaged block is found when it is read.
 */
enum ceir_err triplets_open(const struct triplets_settings *s, struct triplets **out) CEIR_MUST_USE;
/* Waits for a merge that runs. No view or intake may be left. NULL is allowed. */
void triplets_close(struct triplets *t);

/* ---- deliveries ---------------------------------------------------------------------------------------------------- */

/*
 * A delivery comes in two steps. First it is staged: sorted and packed on disk, part by part while it is received, in constant
 * memory, invisible. A staged delivery survives a crash and waits as long as need be (for a person's decision, say). Then it
 * is applied: merged, visible. Both steps are durable when they return, and applying is exactly once: the manifest remembers.
 */
struct triplets_intake;
enum ceir_err triplets_intake_new(struct triplets *t, uint8_t op, struct triplets_intake **out) CEIR_MUST_USE;
/* cells: of each row, at most TRIPLET_CELL_MAX bytes (more are cut off); NULL: no cells. Any order, duplicates allowed. */
enum ceir_err triplets_intake_add(struct triplets_intake *in, const struct sighting *rows, const struct str *cells, size_t n) CEIR_MUST_USE;
/* Frees the intake whatever the outcome. *id: of the staged delivery, 1.., rising, never used twice. */
enum ceir_err triplets_intake_stage(struct triplets_intake *in, uint64_t *id) CEIR_MUST_USE;
void triplets_intake_drop(struct triplets_intake *in); /* NULL is allowed */

struct triplets_counts {
	uint64_t rows;       /* sightings of the delivery, duplicates included */
	uint64_t distinct;   /* triplets in it */
	uint64_t fresh;      /* of these, never seen before with this operator */
	uint64_t again;      /* seen before */
	uint64_t returned;   /* of these, after an absence longer than gap_days */
	/*
	 * full: triplets of the operator that stood in the full delivery before and are not in this one. What stood there is told by its
	 * times: seen not before the earliest and not first after the latest sighting of that delivery.
	 */
	uint64_t gone;
};

/*
 * IMEIs that got a new triplet (or one that returned), ascending, each once a call; called from the applying thread any number of
 * times. An error is not looked at: the delivery is applied whatever happens.
 */
typedef void (*triplets_touched)(void *ctx, const uint64_t *imeis, size_t n);

/*
 * full: the operator's whole subscriber base, so that counts.gone can be told. CEIR_ENOENT: no staged delivery of that id (a
 * failed apply leaves it staged). When it was applied before (a crash came between this and the caller's own record), CEIR_EEXIST
 * with the counts of then. touched may be NULL. One at a time; others wait.
 */
enum ceir_err triplets_apply(struct triplets *t, uint64_t id, bool full, triplets_touched touched, void *ctx,
	struct triplets_counts *counts) CEIR_MUST_USE;
/*
 * Several deliveries at once, each of another operator: one merge serves all of them, so four that wait cost little more than one. As many as come (more
 * than TRIPLETS_APPLY_MAX, or a second one of an operator: CEIR_EINVAL, nothing is done). What triplets_apply() would have returned for each is in its err;
 * those that could be applied become visible together. An error that is returned concerns all that have no error of their own.
 */
#define TRIPLETS_APPLY_MAX 16
struct triplets_item {
	uint64_t id;                 /* of the staged delivery */
	bool full;
	enum ceir_err err;
	struct triplets_counts counts;
};
enum ceir_err triplets_apply_many(struct triplets *t, struct triplets_item *items, size_t n, triplets_touched touched, void *ctx) CEIR_MUST_USE;
/* Throws a staged delivery away. CEIR_ENOENT. */
enum ceir_err triplets_discard(struct triplets *t, uint64_t id) CEIR_MUST_USE;
/* The caller has recorded that id is applied: the manifest need not remember it any longer. */
enum ceir_err triplets_forget(struct triplets *t, uint64_t id) CEIR_MUST_USE;
/* Ids of what is staged (not applied), ascending, at most max; returns how many there are. After a start: for tidying up. */
size_t triplets_staged(struct triplets *t, uint64_t *ids, size_t max);

/*
 * Sightings in real time: visible and on disk (journal synced; callers that come together share one sync) when it returns. batch:
 * a number the caller gives; a batch whose number is among the last 65,536 taken of that operator changes nothing and gives
 * CEIR_EEXIST, also after a crash; 0: not checked. touched as above, before the return.
 */
enum ceir_err triplets_sight(struct triplets *t, uint8_t op, uint64_t batch, const struct sighting *rows, const struct str *cells, size_t n,
	triplets_touched touched, void *ctx) CEIR_MUST_USE;

/* ---- reading ------------------------------------------------------------------------------------------------------- */

struct triplets_view;
/* The store as it is now. NULL: memory. */
struct triplets_view *triplets_view_new(struct triplets *t);
void triplets_view_free(struct triplets_view *v);

/* An error stops the look-up and is returned. */
typedef enum ceir_err (*triplets_row)(void *ctx, const struct triplet *row);
/*
 * Triplets of one IMEI in the order (IMSI, MSISDN, operator), at most limit (0: no limit) whose key is behind *after (NULL: from
 * the first): a page of an IMEI with a million subscribers costs what a page costs.
 */
enum ceir_err triplets_by_imei(struct triplets_view *v, uint64_t imei, const struct triplet *after, uint32_t limit, triplets_row row,
	void *ctx) CEIR_MUST_USE;
/* Triplets of one IMSI, of one MSISDN: IMEIs ascending. At most limit (0: no limit). */
enum ceir_err triplets_by_imsi(struct triplets_view *v, uint64_t imsi, uint32_t limit, triplets_row row, void *ctx) CEIR_MUST_USE;
enum ceir_err triplets_by_msisdn(struct triplets_view *v, uint64_t msisdn, uint32_t limit, triplets_row row, void *ctx) CEIR_MUST_USE;
/*
 * All triplets with from <= IMEI <= to in the order (IMEI, IMSI, MSISDN, operator), some hundred rows a call. Several scans of
 * parts may run at once on one view, each in a thread of its own (the only use of a view that may be shared).
 */
typedef enum ceir_err (*triplets_rows)(void *ctx, const struct triplet *rows, size_t n);
enum ceir_err triplets_scan(struct triplets_view *v, uint64_t from, uint64_t to, triplets_rows rows, void *ctx) CEIR_MUST_USE;
/* Cuts the IMEIs into parts of about as many triplets: part i is bounds[i] .. bounds[i+1]-1; bounds has parts + 1 items. */
void triplets_split(struct triplets_view *v, unsigned parts, uint64_t *bounds);

/*
 * All pairs (IMSI, IMEI) or (MSISDN, IMSI) with from <= first <= to, ascending, each once, some hundred a call: for questions about
 * subscribers in the mass (one IMSI through many IMEIs, a number whose IMSI changed). Threads as triplets_scan().
 */
enum triplets_tree { TRIPLETS_IMSI_IMEI = 1, TRIPLETS_MSISDN_IMSI = 2 };
typedef enum ceir_err (*triplets_pairs)(void *ctx, const uint64_t *first, const uint64_t *second, size_t n);
enum ceir_err triplets_scan_pairs(struct triplets_view *v, enum triplets_tree tree, uint64_t from, uint64_t to, triplets_pairs pairs,
	void *ctx) CEIR_MUST_USE;

/*
 * The earliest and latest time in an operator's last full delivery that was applied. false: there was none. What the operator saw before *first_s last
 * was not in it, and is gone.
 */
bool triplets_last_full(struct triplets *t, uint8_t op, uint32_t *first_s, uint32_t *last_s);

struct triplets_stats {
	uint64_t triplets;          /* rows in segments and memory; one in several segments counts as often */
	uint64_t bytes;             /* of the segments */
	uint64_t segments[3];       /* of each tree */
	uint64_t memory_rows, memory_bytes;
	uint64_t journal_bytes;
	uint64_t sightings;         /* taken since start, deliveries included */
	uint64_t merges;            /* since start */
	uint64_t staged;            /* deliveries */
};
void triplets_get_stats(struct triplets *t, struct triplets_stats *out);

/* ---- care ---------------------------------------------------------------------------------------------------------- */

/* Everything into one segment a tree, old episodes forgotten; for tests, and before a backup. Blocks. */
enum ceir_err triplets_compact(struct triplets *t) CEIR_MUST_USE;
/*
 * Checks all files of a folder: manifest, each segment, the invariants above, the journal. The server may run. Each fault is one
 * line to report(). CEIR_ECORRUPT when any. A folder that does not exist is an empty store.
 */
enum ceir_err triplets_verify(const char *dir, void (*report)(void *ctx, const char *line), void *ctx) CEIR_MUST_USE;

#endif

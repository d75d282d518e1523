/*
 * triplets_internal.h - what the files of this room share. Nobody else includes it.
 *
 * How it hangs together:
 *
 *   struct triplets - the store. Its `version` is what can be seen now: segments (struct part) of three trees and sorted runs of
 *   sightings in memory (struct memory). A version never changes; whoever changes the store puts another in its place
 *   (triplets_switch() when MANIFEST changes, triplets_install_memory() when only memory does). Versions, parts and runs are
 *   counted; a part that is not wanted any more unlinks its file with the last reference. A view is a reference to a version.
 *
 *   Everything that reads several sources in order (look-up, scan, apply, flush, merge) is a `struct merge` over `struct source`s.
 *
 * Locks, in the order in which they may be taken (a later one while holding an earlier one, never the other way):
 *   apply_lock      one delivery is applied at a time
 *   merge_lock[3]   who takes segments of a tree away (merging, compacting, applying a large delivery)
 *   leader          (a flag under sight_lock) one thread writes the journal and changes memory
 *   manifest_lock   MANIFEST and the file of the same name; held over fsync
 *   lock            the version, and small state; never held over anything that waits
 */
#ifndef CEIR_TRIPLETS_INTERNAL_H
#define CEIR_TRIPLETS_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>

#include "triplets/triplets_format.h"

#define ROOM "triplets"

/* ---- rows -------------------------------------------------------------------------------------------------------- */

/* One triplet of one source: a cache line. extra as on disk. */
struct row {
	uint64_t key[TRIPLETS_KEYS]; /* IMEI, IMSI, MSISDN, operator */
	uint32_t first_s, episode_s, last_s;
	uint16_t mark;               /* event | RAT << 8 */
	uint16_t tag;                /* the owner's; not part of the triplet */
	struct str extra;
};

static inline int row_cmp(const struct row *a, const struct row *b)
{
	for (unsigned i = 0; i < TRIPLETS_KEYS; i++)
		if (a->key[i] != b->key[i])
			return a->key[i] < b->key[i] ? -1 : 1;
	return 0;
}

/* Joins rows of one key. Owned by one thread. */
struct combiner {
	uint32_t gap_s;
	uint32_t forget_s;         /* episodes that ended before are dropped; 0: none */
	struct triplet_episode *v;
	size_t n, cap;
	char extra[SEGMENT_EXTRA_MAX];
};

void combiner_init(struct combiner *c, uint32_t gap_s, uint32_t forget_s);
void combiner_free(struct combiner *c);
/* *out may be rows[0]. out->extra points into the combiner (until the next call) or into rows. The tag is that of rows[0]. */
enum ceir_err combine_rows(struct combiner *c, const struct row *rows, size_t n, struct row *out) CEIR_MUST_USE;
/* Bytes of a cell alone, 0 when there is none; out has TRIPLET_CELL_MAX + 1. */
size_t extra_of_cell(struct str cell, char *out);
/* Takes extra apart: the cell, and at most TRIPLETS_EPISODES_MAX episodes before the one that began at episode_s, oldest first. */
unsigned extra_get(struct str extra, uint32_t episode_s, struct str *cell, struct triplet_episode *episodes);
/* episodes has room for TRIPLETS_EPISODES_MAX; the triplet points into it and into row->extra. Returns how many were used. */
unsigned row_triplet(const struct row *row, struct triplet_episode *episodes, struct triplet *t);

/* ---- memory ------------------------------------------------------------------------------------------------------ */

/* A sorted run of sightings in memory. Never changes once it is in a version. */
struct memory {
	_Atomic unsigned refs;
	unsigned generation;       /* those of one generation are flushed together */
	size_t n;
	struct row *rows;          /* by key, distinct */
	size_t n_pairs[2];
	uint64_t (*pairs[2])[2];   /* of rows that are in no segment: (IMSI, IMEI) and (MSISDN, IMSI), distinct */
	char *extra;               /* what rows point to */
	size_t extra_bytes;
	uint64_t *filter;          /* three bits of one word by the hash of an IMEI: not all set when no row has it */
	unsigned filter_shift;     /* what is left of a hash is the word */
	size_t bytes;              /* of all of it */
};

/*
 * Copies rows (sorted, distinct). fresh[i] (NULL: all): row i is in no segment, so it brings its pairs.
 * NULL: memory.
 */
struct memory *memory_new(const struct row *rows, const bool *fresh, size_t n, unsigned generation);
/* Both must be of one generation. NULL: memory. */
struct memory *memory_join(const struct memory *a, const struct memory *b, struct combiner *c);
void memory_unref(struct memory *m);
bool memory_may_have(const struct memory *m, uint64_t imei);
/* maybe[i] is set when memory_may_have() of the IMEI of rows[i], else left as it is: many at a time cost a fraction. */
void memory_may_have_rows(const struct memory *m, const struct row *rows, size_t n, bool *maybe);
/* Index of the first row that is not below the key (a prefix counts as the lowest key that begins with it). */
size_t memory_seek(const struct memory *m, const uint64_t *key, unsigned n_key);

/* ---- parts and versions ------------------------------------------------------------------------------------------ */

/* An open segment. */
struct part {
	_Atomic unsigned refs;
	_Atomic bool dead;         /* unlink with the last reference */
	unsigned tree;
	uint64_t file, group;
	struct segment *segment;
	struct segment_info info;
	char path[TRIPLETS_PATH_MAX];
};

enum ceir_err part_open(const char *dir, unsigned tree, uint64_t file, uint64_t group, struct part **out) CEIR_MUST_USE;
struct part *part_ref(struct part *p);
void part_unref(struct part *p); /* NULL is allowed */
void folder_path(const char *dir, const char *name, char out[TRIPLETS_PATH_MAX]);
void file_path(const char *dir, uint64_t file, const char *kind, char out[TRIPLETS_PATH_MAX]);

/* A growing list of parts, each a reference. */
struct parts {
	struct part **v;
	size_t n, cap;
};
enum ceir_err parts_add(struct parts *p, struct part *part) CEIR_MUST_USE; /* takes the reference over, also on an error */
void parts_clear(struct parts *p);
void parts_kill(struct parts *p);  /* marks all dead, then clears */

#define VERSION_RUNS_MAX 128

struct version {
	_Atomic unsigned refs;
	struct parts trees[TREES];
	size_t n_runs;
	struct memory *runs[VERSION_RUNS_MAX];
};

struct version *version_ref(struct version *v);
void version_unref(struct version *v);

/* ---- the store --------------------------------------------------------------------------------------------------- */

struct sight_request;

/* When the store counts as quiet, and how many rows of a tree are then not too many to be written again: see triplets_merge.c. */
struct triplets_quiet {
	int64_t us;
	uint64_t rows;
};
/* Taken over by triplets_open(). Tests change it. */
extern struct triplets_quiet triplets_quiet;

struct triplets {
	/* Constant. */
	char dir[TRIPLETS_PATH_MAX];
	struct triplets_settings settings;
	uint32_t gap_s;
	size_t memory_rows_max;     /* of one generation */
	uint64_t intake_bytes_max;
	size_t sorter_bytes;        /* for pairs while a delivery is applied */
	struct triplets_quiet quiet;
	int lock_fd;

	_Atomic uint64_t next_file;
	_Atomic uint64_t intake_bytes; /* of all open intakes */
	_Atomic uint64_t sightings, merges;

	pthread_mutex_t apply_lock, merge_lock[TREES];
	_Atomic unsigned cancel[TREES]; /* somebody wants merge_lock: a merge in the background gives up */

	pthread_mutex_t manifest_lock;
	struct manifest manifest;      /* under manifest_lock */

	pthread_mutex_t lock;
	struct version *version;       /* under lock, as all below */
	pthread_cond_t flush_wanted, flush_done, merge_wanted;
	bool stop, merge_now;
	int64_t changed_us;            /* of the monotonic clock: when the merger was woken last */
	bool frozen;                   /* a generation waits for the flusher, or is being flushed */
	unsigned generation;           /* the one that takes sightings; the frozen one is one less */
	uint64_t frozen_journals;      /* journals with lower numbers go with the frozen generation */
	struct buf frozen_batches;     /* file content, as of the freezing */
	enum ceir_err flush_err;       /* of the last try */
	uint64_t journal_bytes;

	pthread_mutex_t sight_lock;
	pthread_cond_t sight_done;
	struct sight_request *queue, **queue_end; /* under sight_lock, as the next */
	bool leading;

	/* Of the leader. */
	struct batches *batches;
	int journal_fd;
	uint64_t journal_file, journal_at;

	pthread_t flusher, merger;
	bool has_flusher, has_merger;
	bool is_damaged[TREES];        /* of the merger: found while merging */
};

/* triplets_version.c */
struct version *triplets_version(struct triplets *t); /* a reference to the present one */
/*
 * Changes MANIFEST: edit(ctx) on a copy (NULL: none), parts added (the version takes references of its own), parts removed (their
 * files go with the last reference); frozen: the frozen generation leaves memory. All or nothing.
 */
struct change {
	const struct parts *add, *remove;
	enum ceir_err (*edit)(void *ctx, struct manifest *m);
	void *ctx;
	bool frozen;
};
enum ceir_err triplets_switch(struct triplets *t, const struct change *c) CEIR_MUST_USE;
/* Puts `add` in the place of the n_old last runs. Leader only. Takes the reference to add over, also on an error. */
enum ceir_err triplets_install_memory(struct triplets *t, size_t n_old, struct memory *add) CEIR_MUST_USE;
uint64_t triplets_new_file(struct triplets *t);
void triplets_wake_merger(struct triplets *t);
uint32_t triplets_forget_before_s(const struct triplets *t);

/* ---- sources and merging them ------------------------------------------------------------------------------------ */

enum source_kind { SOURCE_SEGMENT, SOURCE_ROWS, SOURCE_PAIRS };
/* What a source means to whoever merges. */
enum source_rank { RANK_STORED, RANK_MEMORY, RANK_DELIVERY };

struct source {
	uint64_t key[TRIPLETS_KEYS]; /* of the row where it stands; all ones at the end */
	uint64_t to;                 /* highest first key that counts */
	enum source_kind kind;
	enum source_rank rank;
	unsigned keys, at, n;        /* at, n: in the block, for a segment */
	struct segment_cursor *cursor;
	const struct row *row, *row_end;
	const uint64_t (*pair)[2], (*pair_end)[2];
};

/* From the first row that is not below from[0..n_from-1]. The cursor may have been used before, or is {.segment = NULL}. */
enum ceir_err source_segment(struct source *s, const struct part *p, struct segment_cursor *c, const uint64_t *from, unsigned n_from,
	uint64_t to) CEIR_MUST_USE;
/* The same, but only of rows whose first key is from[0], n_from at least 1: cheaper (see segment_find()). */
enum ceir_err source_segment_find(struct source *s, const struct part *p, struct segment_cursor *c, const uint64_t *from,
	unsigned n_from) CEIR_MUST_USE;
void source_rows(struct source *s, const struct memory *m, const uint64_t *from, unsigned n_from, uint64_t to);
void source_pairs(struct source *s, const struct memory *m, unsigned which, const uint64_t *from, unsigned n_from, uint64_t to);
enum ceir_err source_next_block(struct source *s) CEIR_MUST_USE;
void source_set_key(struct source *s);
/* The row where it stands (tree 0 only). Numbers are copied; extra points into the file or into memory. */
void source_get(const struct source *s, struct row *row);

static inline bool source_ended(const struct source *s) { return s->key[0] == UINT64_MAX; }

static inline enum ceir_err source_advance(struct source *s)
{
	if (s->kind == SOURCE_SEGMENT && ++s->at == s->n)
		return source_next_block(s);
	if (s->kind == SOURCE_ROWS)
		s->row++;
	else if (s->kind == SOURCE_PAIRS)
		s->pair++;
	source_set_key(s);
	return CEIR_OK;
}

/* A tournament of sources: node[0] is the index of the one with the lowest key. */
struct merge {
	struct source *sources;
	unsigned n, cap;
	unsigned *node;
	struct row *group;           /* rows of the key taken last */
	unsigned char *rank;         /* of each row in the group */
	unsigned n_group;
};

enum ceir_err merge_init(struct merge *m, unsigned cap) CEIR_MUST_USE; /* room for cap sources */
void merge_free(struct merge *m);
/* After the sources are in m->sources[0..n-1], and again whenever they were changed from outside. */
void merge_start(struct merge *m);
void merge_replay(struct merge *m); /* the winner has advanced */
static inline struct source *merge_top(struct merge *m) { return &m->sources[m->node[0]]; }
static inline bool merge_ended(struct merge *m) { return m->n == 0 || source_ended(merge_top(m)); }
/* Tree 0: takes all rows of the lowest key. Not at the end. */
enum ceir_err merge_take(struct merge *m) CEIR_MUST_USE;
/* The lowest first key of all sources but the winner. */
uint64_t merge_runner_up(const struct merge *m);
/* How many rows of a segment's block, from where the source stands, have a first key below end. */
unsigned source_rows_below(const struct source *s, uint64_t end);
/* Pairs: takes the lowest, once. Not at the end. */
enum ceir_err merge_take_pair(struct merge *m, uint64_t pair[2]) CEIR_MUST_USE;

/* ---- writing ----------------------------------------------------------------------------------------------------- */

#define SINK_ROWS 512
#define SINK_EXTRA (64 << 10)

/* Writes one segment, row by row. */
struct sink {
	struct triplets *t;
	unsigned tree;
	uint64_t file;
	bool is_run;                   /* of a staged delivery; set by whoever made the sink */
	struct segment_writer *writer; /* NULL until the first row */
	size_t n;
	bool has_extra;
	size_t n_bytes;
	uint64_t col[COLS][SINK_ROWS];
	struct str extra[SINK_ROWS];
	char bytes[SINK_EXTRA];
};

struct sink *sink_new(struct triplets *t, unsigned tree);
void sink_free(struct sink *s); /* removes what is not finished; NULL is allowed */
enum ceir_err sink_flush(struct sink *s) CEIR_MUST_USE;
enum ceir_err sink_row(struct sink *s, const struct row *row) CEIR_MUST_USE;
static inline enum ceir_err sink_pair(struct sink *s, const uint64_t pair[2])
{
	s->col[0][s->n] = pair[0];
	s->col[1][s->n] = pair[1];
	return ++s->n == SINK_ROWS ? sink_flush(s) : CEIR_OK;
}
/* Finishes the file and adds it to *out (group 0: its own); nothing when no row was written. Can be used again afterwards. */
enum ceir_err sink_finish(struct sink *s, uint64_t group, struct parts *out) CEIR_MUST_USE;
/* The same without opening it: number and rows of the file. */
enum ceir_err sink_close(struct sink *s, uint64_t *file, uint64_t *rows) CEIR_MUST_USE;

/* Sorts pairs in bounded memory; each full buffer becomes a segment. */
struct pair_sorter {
	struct triplets *t;
	unsigned tree;
	size_t n, cap, max;
	uint64_t (*v)[2], (*scratch)[2];
};
void pair_sorter_init(struct pair_sorter *p, struct triplets *t, unsigned tree, size_t max_bytes);
void pair_sorter_free(struct pair_sorter *p);
enum ceir_err pair_sorter_add(struct pair_sorter *p, uint64_t a, uint64_t b, struct parts *out) CEIR_MUST_USE;
enum ceir_err pair_sorter_finish(struct pair_sorter *p, struct parts *out) CEIR_MUST_USE;

/* IMEIs to be named when all is done: ascending, each once; what does not fit in memory waits in a file without a name. */
struct touched {
	struct triplets *t;
	uint64_t *v;
	size_t n, cap;
	uint64_t last;
	int fd;                     /* -1: none */
	uint64_t spilled;           /* in the file */
};
void touched_init(struct touched *x, struct triplets *t);
void touched_free(struct touched *x);
enum ceir_err touched_add(struct touched *x, uint64_t imei) CEIR_MUST_USE;
enum ceir_err touched_report(struct touched *x, triplets_touched call, void *ctx) CEIR_MUST_USE;

/* ---- merging, flushing, probing ---------------------------------------------------------------------------------- */

/* Merges parts of one tree into one new part. cancel: stop with CEIR_ECLOSED when it is not 0; NULL: never. */
enum ceir_err merge_parts(struct triplets *t, unsigned tree, const struct parts *from, _Atomic unsigned *cancel,
	struct parts *out) CEIR_MUST_USE;
void *merger_run(void *triplets);
void *flusher_run(void *triplets);
/* Freezes what is in memory and waits until it is in segments. */
enum ceir_err triplets_flush(struct triplets *t) CEIR_MUST_USE;

/* triplets_sight.c, for replay: rows of one group into memory, journal not touched. touched: of each row by its tag; NULL: not wanted. */
struct touched_rows {
	void (*touch)(void *ctx, const struct row *row);
	void *ctx;
};
enum ceir_err triplets_remember(struct triplets *t, struct row *rows, size_t n, const struct touched_rows *touched) CEIR_MUST_USE;

/* Journals on disk: triplets_replay.c */
enum ceir_err journal_create(struct triplets *t, uint64_t file, int *fd) CEIR_MUST_USE;
enum ceir_err triplets_replay(struct triplets *t) CEIR_MUST_USE;

/* ---- views ------------------------------------------------------------------------------------------------------- */

struct triplets_view {
	struct triplets *t;
	struct version *version;
	struct segment_cursor **cursors[TREES]; /* one of each part, made when it is needed */
	struct merge rows, pairs, outer;
	struct combiner combiner;
	struct triplet_episode episodes[TRIPLETS_EPISODES_MAX];
	uint64_t (*found)[2];                   /* pairs found by MSISDN */
	size_t n_found, cap_found;
};

/*
 * What is known of exactly this triplet. *stored: it is in segments. *memory, before: whether it may be in memory, else the runs there
 * are not looked at; afterwards: it is. *out: both joined, when either is set; its extra is good until the view is used again. Keys
 * asked for in order are the cheapest.
 */
enum ceir_err view_probe(struct triplets_view *v, const uint64_t key[TRIPLETS_KEYS], bool *stored, bool *memory,
	struct row *out) CEIR_MUST_USE;
/*
 * Begins to fetch what view_probe() of a triplet of this IMEI will read of the blocks, or (index) of the indexes, and does not wait for
 * it. The blocks are found faster when the indexes were fetched before.
 */
void view_hint(const struct triplets_view *v, uint64_t imei, bool index);
enum ceir_err view_cursor(struct triplets_view *v, unsigned tree, size_t i, struct segment_cursor **c) CEIR_MUST_USE;
/* triplets_split() of any parts: of tree 0 in a and b (NULL: none) and of the runs of a version (NULL: none). */
void parts_split(const struct parts *a, const struct parts *b, const struct version *memory, unsigned n, uint64_t *bounds);

#endif

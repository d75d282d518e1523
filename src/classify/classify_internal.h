/*
 * classify_internal.h - what the files of this room share. Nobody else includes it.
 *
 * Where a record may stand, newest first: `live` (noted since the last run began), `pending` (was live when a run began, until it
 * is sorted), `frozen` (sorted; what the run under way has seen), the file. A switch drops frozen together with the old file.
 */
#ifndef CEIR_CLASSIFY_INTERNAL_H
#define CEIR_CLASSIFY_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>

#include "classify/classify.h"
#include "segment/segment.h"

/* A record with its key. */
struct class_item {
	uint64_t imei;
	struct policy_class record;
};
_Static_assert(sizeof(struct class_item) % 8 == 0, "sort_records() sorts these");

/* Ascending by IMEI, each once. */
struct class_list {
	struct class_item *items;
	size_t n;
};

/* ---- classify_memory.c: records in memory --------------------------------------------------------------------------- */

/* Items in the order they came, and a hash of where. Not shared without the lock of struct classify. */
struct class_map;
struct class_map *class_map_new(void); /* NULL: memory */
void class_map_free(struct class_map *m);
enum ceir_err class_map_put(struct class_map *m, uint64_t imei, const struct policy_class *record) CEIR_MUST_USE;
const struct class_item *class_map_find(const struct class_map *m, uint64_t imei); /* NULL: none */
size_t class_map_count(const struct class_map *m);
/* Adds the items with from <= IMEI to the list, unsorted. */
enum ceir_err class_list_add_map(struct class_list *l, const struct class_map *m, uint64_t from) CEIR_MUST_USE;
enum ceir_err class_list_sort(struct class_list *l) CEIR_MUST_USE;
/* First item that is not below imei; n when there is none. */
size_t class_list_seek(const struct class_list *l, uint64_t imei);
/* Both in one; where both have an IMEI, newer's. *out is new, the two stay. */
enum ceir_err class_list_merge(const struct class_list *newer, const struct class_list *older, struct class_list *out) CEIR_MUST_USE;
void class_list_free(struct class_list *l);

/* ---- classify_file.c: records on disk -------------------------------------------------------------------------------- */

/* An open file; shared by reference, unlinked by whoever replaces it. */
struct class_file {
	struct segment *segment;
	_Atomic unsigned refs;
	int32_t made_day;          /* of the run that made it */
	int64_t policy_version;
	uint64_t records;
	char name[];
};
enum ceir_err class_file_open(const char *dir, const char *name, struct class_file **out) CEIR_MUST_USE;
void class_file_ref(struct class_file *f);    /* NULL is allowed in both */
void class_file_unref(struct class_file *f);
/* CEIR_ENOENT: no record. */
enum ceir_err class_file_get(const struct class_file *f, uint64_t imei, struct policy_class *out) CEIR_MUST_USE;
/* A name that may stand in dir: no folder in it, ends in .seg. */
bool class_name_is_good(const char *name);
void class_remove(const char *path); /* a failure is logged; the next start tries again */
char *class_path(const char *dir, const char *name); /* malloc; NULL: memory */

struct class_writer;
enum ceir_err class_writer_new(const char *path, struct class_writer **out) CEIR_MUST_USE;
enum ceir_err class_writer_add(struct class_writer *w, const struct class_item *items, size_t n) CEIR_MUST_USE;
/* With the last row, which says when and by which policy; frees the writer whatever the outcome. */
enum ceir_err class_writer_finish(struct class_writer *w, int32_t made_day, int64_t policy_version) CEIR_MUST_USE;
void class_writer_drop(struct class_writer *w); /* NULL is allowed */

/* ---- classify_file.c too: file and memory as one ascending sequence ----------------------------------------------------- */

/* One thread. Uses file and list, which must outlive it. 12 KiB. */
struct class_reader {
	const struct class_file *file; /* NULL: none, or at its end */
	const struct class_item *mem, *mem_end;
	struct segment_cursor cursor;
};
enum ceir_err class_reader_begin(struct class_reader *r, const struct class_file *file, const struct class_list *memory,
	uint64_t from) CEIR_MUST_USE;
/* UINT64_MAX: the end. */
uint64_t class_reader_peek(const struct class_reader *r);
/* The record that class_reader_peek() named (not at the end), and on to the next. */
enum ceir_err class_reader_take(struct class_reader *r, struct policy_class *out) CEIR_MUST_USE;

/* ---- classify_decide.c: one IMEI -------------------------------------------------------------------------------------- */

struct class_rules {
	const struct classify_env *env;
	int32_t today;
	int32_t since;          /* a block day after this one has come since; the day of the old file */
	bool rederive;          /* the policy is another: rows with a record are derived anew */
	bool touch;             /* of a few just seen: what only the date changes is left to the run */
};
/* What the register says of it, from its entry and the verdict of its TAC. */
void class_known(const struct class_rules *rules, uint64_t imei, struct verdict entry, struct verdict tac, struct policy_known *known);
/*
 * old NULL: no record. m NULL: it has no triplets; the record stays. *keep: change->record is to be kept as its record. Returns
 * whether there is a change to report; *colour: after, for statistics (of a row: before).
 */
bool class_decide(const struct class_rules *rules, uint64_t imei, struct verdict entry, const struct policy_class *old,
	const struct policy_matched *m, struct classify_change *change, bool *keep, unsigned *colour);

/* ---- classify_output.c: what parts produce, put in order ---------------------------------------------------------------- */

#define CLASS_CHUNK 1024u
#define CLASS_CHANGE_BYTES 48u /* of one change, at most */

/* What a part has produced since the last one. */
struct class_chunk {
	struct class_chunk *next;
	size_t n_items, n_changes, change_bytes;
	struct class_item items[CLASS_CHUNK];
	unsigned char changes[CLASS_CHUNK * CLASS_CHANGE_BYTES];
};
struct class_output;
/*
 * dir: for the temporary file. path NULL: no file of records. Chunks of parts that wait for their turn take at most budget
 * bytes, and one each.
 */
enum ceir_err class_output_new(const char *dir, const char *path, unsigned parts, size_t budget_bytes,
	struct class_output **out) CEIR_MUST_USE;
/* Removes the file of records unless class_output_keep_file() was called. NULL is allowed. */
void class_output_free(struct class_output *o);
/* The next part to work on; false: there is none, or something failed. Any thread, like the following. */
bool class_output_take(struct class_output *o, unsigned *part);
/* An empty chunk. NULL: memory. */
struct class_chunk *class_output_chunk(struct class_output *o);
void class_chunk_add_change(struct class_chunk *c, const struct classify_change *change); /* at most CLASS_CHUNK of them */
/* Hands a chunk over, full or not; may wait until it is the part's turn. An error is that of any part. */
enum ceir_err class_output_push(struct class_output *o, unsigned part, struct class_chunk *chunk) CEIR_MUST_USE;
/* Nothing more comes of this part. */
enum ceir_err class_output_end(struct class_output *o, unsigned part) CEIR_MUST_USE;
void class_output_fail(struct class_output *o, enum ceir_err err); /* everybody stops */
bool class_output_failed(struct class_output *o);
/* After all threads: the first error, or everything is on disk. */
enum ceir_err class_output_finish(struct class_output *o, int32_t made_day, int64_t policy_version) CEIR_MUST_USE;
/* The file of records is somebody's now: not removed with the output. */
void class_output_keep_file(struct class_output *o);
enum ceir_err class_output_next(struct class_output *o, struct classify_change *changes, size_t max, size_t *n) CEIR_MUST_USE;
void class_output_rewind(struct class_output *o); /* to the first change */

/* classify_over.c: marks kept in a list, instead of the usual eight million; before the first question. For tests. */
void class_over_limit(struct classify_over *o, size_t keys);

/* ---- classify.c --------------------------------------------------------------------------------------------------------- */

struct classify {
	char *dir;
	/*
	 * Of all below. Readers look up; the register's writer notes and switches; a run takes it for moments. Writers first, so that
	 * looks cannot starve them.
	 */
	pthread_rwlock_t lock;
	struct class_file *file;   /* NULL: none */
	struct class_map *live;
	struct class_map *pending; /* NULL: none; never changes while it is pending */
	struct class_list frozen;  /* never changes while a run is under way, but by that run's beginning */
	bool running;              /* a run was begun and not freed: live holds only what came since */
};

/* Begins a run: everything that was noted is in c->frozen. CEIR_ESTATE: one is under way. */
enum ceir_err class_freeze(struct classify *c) CEIR_MUST_USE;
void class_thaw(struct classify *c);
/* As classify_get(), but an error is told. CEIR_ENOENT: none. */
enum ceir_err class_get(const struct classify *c, uint64_t imei, struct policy_class *out) CEIR_MUST_USE;

#endif

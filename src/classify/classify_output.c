/*
 * classify_output.c - what the parts of a run produce, written in the order of the parts.
 *
 * Parts are taken in order; the lowest that is not yet ended is the head. Whoever works on the head writes its chunks at once;
 * other parts keep theirs in memory until they are the head, and wait when all of them together keep more than the budget. The
 * head never waits, so somebody always goes on. Whoever ends the head writes the parts behind it that have ended, up to one
 * that has not.
 *
 * A change in the temporary file, in the order of the processor's bytes (nobody else ever reads it): imei 8, mask 4, flags 4
 * (was_mask; bit 31 derive, bit 30 the genuine pair follows), before 2, after 2, since_day 4, block_day 4, resolved_day 4,
 * [genuine_imsi 8, genuine_msisdn 8].
 */
#include "classify/classify_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define FLAG_DERIVE (UINT32_C(1) << 31)
#define FLAG_GENUINE (UINT32_C(1) << 30)
#define FIXED_BYTES 32u
#define READ_BYTES (size_t)65536
_Static_assert(POLICY_CONDITIONS <= 30, "two bits above was_mask are flags");
_Static_assert(FIXED_BYTES + 16 == CLASS_CHANGE_BYTES, "a change with its pair");

struct output_part {
	struct class_chunk *first, *last; /* kept until it is the head */
	bool ended;
};

struct class_output {
	pthread_mutex_t lock;           /* of the members up to `part` */
	pthread_cond_t moved;           /* head, or err, or chunks_kept fell */
	unsigned parts, next_part, head;
	size_t chunks_kept, chunks_max; /* of parts that are not the head */
	struct class_chunk *spare;
	enum ceir_err err;
	struct output_part *part;
	/* Of whoever works on the head; of one thread after all have ended. */
	struct class_writer *writer;    /* NULL: no file of records */
	char *path, *dir;               /* path is set while the file must be removed */
	int fd;
	/* class_output_next() */
	off_t read_at;
	size_t have, used;
	unsigned char *bytes;
};

/* Nobody finds it: a crash leaves nothing. */
static enum ceir_err temp_open(const char *dir, int *fd)
{
	*fd = open(dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	if (*fd >= 0)
		return CEIR_OK;
	/* A file system that cannot do that. */
	char *path = class_path(dir, "changes-XXXXXX.tmp");
	if (!path)
		return CEIR_ENOMEM;
	*fd = mkostemps(path, 4, O_CLOEXEC);
	enum ceir_err err = *fd < 0 || unlink(path) ? ceir_err_of_errno(errno) : CEIR_OK;
	free(path);
	return err;
}

enum ceir_err class_output_new(const char *dir, const char *path, unsigned parts, size_t budget_bytes, struct class_output **out)
{
	struct class_output *o = calloc(1, sizeof *o);
	if (!o)
		return CEIR_ENOMEM;
	enum ceir_err err = CEIR_ENOMEM;
	o->fd = -1;
	o->parts = parts;
	o->chunks_max = budget_bytes / sizeof(struct class_chunk);
	pthread_mutex_init(&o->lock, NULL);
	pthread_cond_init(&o->moved, NULL);
	o->part = calloc(parts, sizeof *o->part);
	o->dir = strdup(dir);
	if (!o->part || !o->dir)
		goto out;
	err = temp_open(dir, &o->fd);
	if (!err && path)
		err = class_writer_new(path, &o->writer);
	if (!err && path && !(o->path = strdup(path)))
		err = CEIR_ENOMEM;
out:
	if (err)
		class_output_free(o);
	else
		*out = o;
	return err;
}

static void chunks_free(struct class_chunk *c)
{
	for (struct class_chunk *next; c; c = next) {
		next = c->next;
		free(c);
	}
}

void class_output_free(struct class_output *o)
{
	if (!o)
		return;
	for (unsigned i = 0; o->part && i < o->parts; i++)
		chunks_free(o->part[i].first);
	chunks_free(o->spare);
	class_writer_drop(o->writer);
	if (o->path)
		class_remove(o->path);
	if (o->fd >= 0)
		close(o->fd);
	pthread_mutex_destroy(&o->lock);
	pthread_cond_destroy(&o->moved);
	free(o->part);
	free(o->path);
	free(o->dir);
	free(o->bytes);
	free(o);
}

/* ---- from the parts ------------------------------------------------------------------------------------------------- */

bool class_output_take(struct class_output *o, unsigned *part)
{
	pthread_mutex_lock(&o->lock);
	bool some = !o->err && o->next_part < o->parts;
	if (some)
		*part = o->next_part++;
	pthread_mutex_unlock(&o->lock);
	return some;
}

struct class_chunk *class_output_chunk(struct class_output *o)
{
	pthread_mutex_lock(&o->lock);
	struct class_chunk *c = o->spare;
	if (c)
		o->spare = c->next;
	pthread_mutex_unlock(&o->lock);
	if (!c)
		c = malloc(sizeof *c);
	if (c) {
		c->next = NULL;
		c->n_items = c->n_changes = c->change_bytes = 0;
	}
	return c;
}

static unsigned char *put(unsigned char *at, const void *bytes, size_t n)
{
	memcpy(at, bytes, n);
	return at + n;
}

void class_chunk_add_change(struct class_chunk *c, const struct classify_change *change)
{
	CEIR_ASSERT(c->n_changes < CLASS_CHUNK);
	const struct policy_class *r = &change->record;
	bool genuine = r->genuine_imsi || r->genuine_msisdn;
	uint32_t flags = r->was_mask | (change->derive ? FLAG_DERIVE : 0) | (genuine ? FLAG_GENUINE : 0);
	unsigned char *start = c->changes + c->change_bytes, *at = start;
	at = put(at, &change->imei, 8);
	at = put(at, &r->mask, 4);
	at = put(at, &flags, 4);
	at = put(at, &change->before, 2);
	at = put(at, &change->after, 2);
	at = put(at, &r->since_day, 4);
	at = put(at, &r->block_day, 4);
	at = put(at, &r->resolved_day, 4);
	if (genuine) {
		at = put(at, &r->genuine_imsi, 8);
		at = put(at, &r->genuine_msisdn, 8);
	}
	c->change_bytes += (size_t)(at - start);
	c->n_changes++;
}

static enum ceir_err write_chunk(struct class_output *o, const struct class_chunk *c)
{
	enum ceir_err err = CEIR_OK;
	if (o->writer)
		err = class_writer_add(o->writer, c->items, c->n_items);
	if (!err && c->change_bytes)
		err = fd_write_all(o->fd, c->changes, c->change_bytes);
	return err;
}

/* Under the lock. */
static void fail(struct class_output *o, enum ceir_err err)
{
	if (!o->err)
		o->err = err;
	pthread_cond_broadcast(&o->moved);
}

/*
 * Writes what the head kept. The lock is held on entry and on return, not between. Nobody else touches those chunks: the part
 * is ours, or has ended.
 */
static void write_kept(struct class_output *o, struct output_part *head)
{
	while (head->first && !o->err) {
		struct class_chunk *chunk = head->first;
		head->first = chunk->next;
		pthread_mutex_unlock(&o->lock);
		enum ceir_err err = write_chunk(o, chunk);
		pthread_mutex_lock(&o->lock);
		chunk->next = o->spare;
		o->spare = chunk;
		o->chunks_kept--;
		pthread_cond_broadcast(&o->moved);
		if (err)
			fail(o, err);
	}
}

static void keep(struct class_output *o, struct output_part *part, struct class_chunk *chunk)
{
	chunk->next = NULL;
	if (part->first)
		part->last->next = chunk;
	else
		part->first = chunk;
	part->last = chunk;
	o->chunks_kept++;
}

enum ceir_err class_output_push(struct class_output *o, unsigned part, struct class_chunk *chunk)
{
	pthread_mutex_lock(&o->lock);
	while (!o->err && o->head != part && o->chunks_kept >= o->chunks_max)
		pthread_cond_wait(&o->moved, &o->lock);
	keep(o, &o->part[part], chunk);
	if (o->head == part)
		write_kept(o, &o->part[part]);
	enum ceir_err err = o->err;
	pthread_mutex_unlock(&o->lock);
	return err;
}

enum ceir_err class_output_end(struct class_output *o, unsigned part)
{
	pthread_mutex_lock(&o->lock);
	bool head = o->head == part;
	o->part[part].ended = true;
	while (head && !o->err && o->head < o->parts && o->part[o->head].ended) {
		write_kept(o, &o->part[o->head]);
		if (o->err)
			break;
		o->head++;
		pthread_cond_broadcast(&o->moved);
	}
	enum ceir_err err = o->err;
	pthread_mutex_unlock(&o->lock);
	return err;
}

void class_output_fail(struct class_output *o, enum ceir_err err)
{
	pthread_mutex_lock(&o->lock);
	fail(o, err);
	pthread_mutex_unlock(&o->lock);
}

bool class_output_failed(struct class_output *o)
{
	pthread_mutex_lock(&o->lock);
	bool failed = o->err != CEIR_OK;
	pthread_mutex_unlock(&o->lock);
	return failed;
}

/* ---- afterwards ----------------------------------------------------------------------------------------------------- */

enum ceir_err class_output_finish(struct class_output *o, int32_t made_day, int64_t policy_version)
{
	if (o->err)
		return o->err;
	CEIR_ASSERT(o->head == o->parts && o->chunks_kept == 0);
	chunks_free(o->spare);
	o->spare = NULL;
	if (!o->writer)
		return CEIR_OK;
	enum ceir_err err = class_writer_finish(o->writer, made_day, policy_version);
	o->writer = NULL;
	if (!err)
		err = file_sync_dir(o->dir);
	return err;
}

void class_output_keep_file(struct class_output *o)
{
	free(o->path);
	o->path = NULL;
}

/* Moves what is left to the front and reads on. */
static enum ceir_err read_more(struct class_output *o)
{
	memmove(o->bytes, o->bytes + o->used, o->have - o->used);
	o->have -= o->used;
	o->used = 0;
	ssize_t n;
	do
		n = pread(o->fd, o->bytes + o->have, READ_BYTES - o->have, o->read_at);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return ceir_err_of_errno(errno);
	o->have += (size_t)n;
	o->read_at += n;
	return CEIR_OK;
}

static const unsigned char *get(const unsigned char *at, void *bytes, size_t n)
{
	memcpy(bytes, at, n);
	return at + n;
}

/* Bytes of the change at `at`; 0: it is not there in full. */
static size_t change_get(const unsigned char *at, size_t have, struct classify_change *out)
{
	uint32_t flags;
	const unsigned char *start = at;
	if (have < FIXED_BYTES)
		return 0;
	*out = (struct classify_change){0};
	at = get(at, &out->imei, 8);
	at = get(at, &out->record.mask, 4);
	at = get(at, &flags, 4);
	at = get(at, &out->before, 2);
	at = get(at, &out->after, 2);
	at = get(at, &out->record.since_day, 4);
	at = get(at, &out->record.block_day, 4);
	at = get(at, &out->record.resolved_day, 4);
	out->derive = (flags & FLAG_DERIVE) != 0;
	out->record.was_mask = flags & ~(FLAG_DERIVE | FLAG_GENUINE);
	if (!(flags & FLAG_GENUINE))
		return FIXED_BYTES;
	if (have < CLASS_CHANGE_BYTES)
		return 0;
	at = get(at, &out->record.genuine_imsi, 8);
	at = get(at, &out->record.genuine_msisdn, 8);
	return (size_t)(at - start);
}

void class_output_rewind(struct class_output *o)
{
	o->read_at = 0;
	o->have = o->used = 0;
}

enum ceir_err class_output_next(struct class_output *o, struct classify_change *changes, size_t max, size_t *n)
{
	*n = 0;
	if (!o->bytes && !(o->bytes = malloc(READ_BYTES)))
		return CEIR_ENOMEM;
	while (*n < max) {
		size_t bytes = change_get(o->bytes + o->used, o->have - o->used, &changes[*n]);
		if (bytes) {
			o->used += bytes;
			++*n;
			continue;
		}
		size_t before = o->have - o->used;
		enum ceir_err err = read_more(o);
		if (err)
			return err;
		if (o->have == before)
			return before ? CEIR_ECORRUPT : CEIR_OK; /* half a change, or the end */
	}
	return CEIR_OK;
}

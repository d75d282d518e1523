/* triplets_replay.c - the journals at open: read back into memory, the torn end of the last one cut off. */
#include "triplets/triplets_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define GROUP_ROWS 65536

enum ceir_err journal_create(struct triplets *t, uint64_t file, int *fd)
{
	char path[TRIPLETS_PATH_MAX], head[JOURNAL_HEADER];
	enum ceir_err err;

	file_path(t->dir, file, "journal", path);
	*fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (*fd < 0)
		return ceir_err_of_errno(errno);
	memcpy(head, JOURNAL_MAGIC, 8);
	put_u64(head + 8, file);
	err = fd_write_all(*fd, head, sizeof(head));
	if (!err && fsync(*fd) != 0)
		err = ceir_err_of_errno(errno);
	if (!err)
		err = file_sync_dir(t->dir);
	if (!err)
		return CEIR_OK;
	(void)close(*fd);
	(void)unlink(path);
	*fd = -1;
	return err;
}

/* Rows on their way into memory, some ten thousand at a time. Extra bytes are copies: rows point to them. */
struct replay {
	struct triplets *t;
	struct row *rows;
	char *cells;
	size_t n, n_cells;
};

static enum ceir_err replay_flush(struct replay *r)
{
	enum ceir_err err = triplets_remember(r->t, r->rows, r->n, NULL);

	r->n = r->n_cells = 0;
	return err;
}

static enum ceir_err replay_batch(struct replay *r, struct journal_batch *b)
{
	enum ceir_err err = CEIR_OK;

	if (b->batch)
		err = batches_add(r->t->batches, b->op, b->batch);
	while (b->n && !err) {
		struct sighting s;
		struct str cell;
		char *extra = r->cells + r->n_cells;
		journal_row(b, &s, &cell);
		if (s.imei == UINT64_MAX || s.imsi == UINT64_MAX || s.msisdn == UINT64_MAX)
			continue;
		size_t n = extra_of_cell(cell, extra);
		r->n_cells += n;
		r->rows[r->n++] = (struct row){.key = {s.imei, s.imsi, s.msisdn, b->op}, .first_s = s.at_s, .episode_s = s.at_s,
			.last_s = s.at_s, .mark = (uint16_t)(s.event | s.rat << 8), .extra = {extra, n}};
		if (r->n == GROUP_ROWS)
			err = replay_flush(r);
	}
	return err;
}

/*
 * All whole records. *end: behind the last one. *damaged: some bytes between records are not one: they are passed over, and named.
 */
static enum ceir_err replay_bytes(struct replay *r, const char *path, struct str bytes, size_t *end, bool *damaged)
{
	size_t at = JOURNAL_HEADER;
	enum ceir_err err = CEIR_OK;

	*end = at;
	while (at < bytes.n && !err) {
		struct journal_batch b;
		size_t size;
		if (journal_get((struct str){bytes.p + at, bytes.n - at}, &b, &size) == CEIR_OK) {
			err = replay_batch(r, &b);
			*end = at += size;
			continue;
		}
		size_t next = journal_resync(bytes, at + 1);
		if (next == bytes.n)
			break;
		log_error(ROOM, "%s: bytes %zu to %zu are damaged; the sightings in them are lost", path, at, next - 1);
		*damaged = true;
		at = next;
	}
	return err ? err : replay_flush(r);
}

static enum ceir_err map_file(int fd, const char *path, struct str *bytes)
{
	struct stat st;

	if (fstat(fd, &st) != 0)
		return ceir_err_of_errno(errno);
	*bytes = (struct str){NULL, (size_t)st.st_size};
	if (bytes->n < JOURNAL_HEADER) {
		log_error(ROOM, "%s: cut off: %zu bytes", path, bytes->n);
		return CEIR_ECORRUPT;
	}
	void *p = mmap(NULL, bytes->n, PROT_READ, MAP_PRIVATE, fd, 0);
	if (p == MAP_FAILED)
		return ceir_err_of_errno(errno);
	bytes->p = p;
	return CEIR_OK;
}

/* One journal; last: goes on to be written when it is good. */
static enum ceir_err replay_file(struct replay *r, uint64_t file, bool last)
{
	struct triplets *t = r->t;
	char path[TRIPLETS_PATH_MAX];
	struct str bytes = {NULL, 0};
	bool damaged = false;
	size_t end = JOURNAL_HEADER;

	file_path(t->dir, file, "journal", path);
	int fd = open(path, O_RDWR | O_CLOEXEC);
	enum ceir_err err = fd < 0 ? ceir_err_of_errno(errno) : map_file(fd, path, &bytes);
	if (err == CEIR_ENOENT) {
		log_error(ROOM, "%s: missing, MANIFEST names it", path);
		err = CEIR_ECORRUPT;
	}
	if (!err && (memcmp(bytes.p, JOURNAL_MAGIC, 8) != 0 || get_u64(bytes.p + 8) != file)) {
		log_error(ROOM, "%s: not a journal, or another one", path);
		err = CEIR_ECORRUPT;
	}
	if (!err)
		err = replay_bytes(r, path, bytes, &end, &damaged);
	if (!err && end < bytes.n) {
		log_warn(ROOM, "%s: the last %zu bytes are not a whole record%s", path, bytes.n - end,
			last ? ": left by a crash before they were acknowledged; cut off" : ": damaged");
		damaged = damaged || !last;
	}
	if (bytes.p)
		(void)munmap((void *)(uintptr_t)bytes.p, bytes.n);
	if (!err && last && !damaged) {
		if (end < bytes.n && (ftruncate(fd, (off_t)end) != 0 || fsync(fd) != 0))
			err = ceir_err_of_errno(errno);
		t->journal_fd = fd;
		t->journal_file = file;
		t->journal_at = end;
		t->journal_bytes += end;
		return err;
	}
	t->journal_bytes += bytes.n;
	if (fd >= 0)
		(void)close(fd);
	return err;
}

static enum ceir_err read_batches(struct triplets *t)
{
	char path[TRIPLETS_PATH_MAX];
	struct buf b = BUF_INIT(BATCHES_FILE_MAX);

	if (t->manifest.batches == 0)
		return CEIR_OK;
	file_path(t->dir, t->manifest.batches, "batches", path);
	enum ceir_err err = file_read(path, BATCHES_FILE_MAX, &b);
	if (!err)
		err = batches_parse(buf_view(&b), t->batches);
	if (err == CEIR_ENOENT || err == CEIR_ELIMIT)
		err = CEIR_ECORRUPT;
	if (err)
		log_error(ROOM, "%s: missing or damaged: %s", path, ceir_err_text(err));
	buf_free(&b);
	return err;
}

static enum ceir_err edit_journal(void *ctx, struct manifest *m)
{
	return manifest_add_journal(m, *(const uint64_t *)ctx);
}

enum ceir_err triplets_replay(struct triplets *t)
{
	struct replay r = {.t = t};
	enum ceir_err err = read_batches(t);

	r.rows = malloc(GROUP_ROWS * sizeof(*r.rows));
	r.cells = malloc((size_t)GROUP_ROWS * (TRIPLET_CELL_MAX + 1));
	if (!r.rows || !r.cells)
		err = CEIR_ENOMEM;
	size_t n = t->manifest.n_journals;
	for (size_t i = 0; i < n && !err; i++)
		err = replay_file(&r, t->manifest.journals[i], i + 1 == n);
	free(r.rows);
	free(r.cells);
	if (!err && t->journal_fd < 0) {
		/* The first one of all; or the last one was damaged, and is left as it is. */
		t->journal_file = triplets_new_file(t);
		err = journal_create(t, t->journal_file, &t->journal_fd);
		t->journal_at = JOURNAL_HEADER;
		if (!err)
			err = triplets_switch(t, &(struct change){.edit = edit_journal, .ctx = &t->journal_file});
	}
	return err;
}

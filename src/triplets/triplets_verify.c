/*
 * triplets_verify.c - all files of a store checked: MANIFEST, each segment block by block, the journals, and that every triplet can be
 * found by IMSI and by MSISDN. For that the triplets are read in order, their pairs sorted some million at a time, and each looked up in
 * order in the other trees: every block there is read once for each such portion.
 *
 * The server may run: a file that goes because MANIFEST has changed is not a fault; then all begins anew.
 */
#include "triplets/triplets_internal.h"

#include <inttypes.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define PORTION ((size_t)1 << 20) /* pairs: 16 bytes each, twice, for two trees */
#define TRIES 20
#define LINE_MAX_BYTES 1200
#define REPORTS_MAX 20            /* of one kind in one tree: one damaged block must not give a million lines */

struct verify {
	const char *dir;
	void (*report)(void *ctx, const char *line);
	void *ctx;
	uint64_t faults;
	struct manifest manifest;
	struct parts trees[TREES], staged;
	uint64_t (*pairs[2])[2], (*scratch)[2];
	size_t n_pairs[2], portion;    /* so many at a time */
	uint64_t missing[2];
};

static void fault(struct verify *v, const char *format, ...) CEIR_PRINTF(2, 3);
static void fault(struct verify *v, const char *format, ...)
{
	char line[LINE_MAX_BYTES];
	va_list args;

	va_start(args, format);
	(void)vsnprintf(line, sizeof(line), format, args);
	va_end(args);
	v->faults++;
	if (v->report)
		v->report(v->ctx, line);
}

/* A segment's own fault: its path stands in the line. */
static void segment_fault(void *ctx, const char *line)
{
	struct verify *v = ctx;

	fault(v, "%s", line);
}

/* ---- pairs ------------------------------------------------------------------------------------------------------- */

/* Each cursor stands in its segment; pairs come in order. A segment that cannot be read has been named already. */
static bool has_pair(struct verify *v, unsigned tree, struct segment_cursor *cursors, const uint64_t pair[2])
{
	for (size_t i = 0; i < v->trees[tree].n; i++) {
		const struct part *p = v->trees[tree].v[i];
		struct segment_cursor *c = &cursors[i];
		if (p->info.rows == 0 || pair[0] < p->info.first[0] || pair[0] > p->info.last[0])
			continue;
		if (segment_seek(c, p->segment, pair, 2) == CEIR_OK && c->n && c->col[0][c->at] == pair[0] && c->col[1][c->at] == pair[1])
			return true;
	}
	return false;
}

static enum ceir_err check_portion(struct verify *v, unsigned which)
{
	static const unsigned words[] = {0, 1};
	static const char *const names[] = {"IMSI", "MSISDN"};
	unsigned tree = TREE_IMSI + which;
	uint64_t (*pairs)[2] = v->pairs[which];
	struct segment_cursor *cursors = calloc(v->trees[tree].n ? v->trees[tree].n : 1, sizeof(*cursors));
	enum ceir_err err = cursors ? CEIR_OK : CEIR_ENOMEM;

	if (!err)
		err = sort_records(pairs, v->scratch, v->n_pairs[which], sizeof(*pairs), words, 2, 1);
	for (size_t i = 0; i < v->n_pairs[which] && !err; i++) {
		if ((i && pairs[i][0] == pairs[i - 1][0] && pairs[i][1] == pairs[i - 1][1]) || has_pair(v, tree, cursors, pairs[i]))
			continue;
		/* Keys are subscriber data: the line says how many, not whose. */
		v->missing[which]++;
	}
	if (!err && v->missing[which])
		fault(v, "%s: %" PRIu64 " triplets cannot be found by %s: their pairs are not in tree %u", v->dir, v->missing[which], names[which], tree);
	v->missing[which] = 0;
	v->n_pairs[which] = 0;
	free(cursors);
	return err;
}

static enum ceir_err put_pair(struct verify *v, unsigned which, uint64_t a, uint64_t b)
{
	uint64_t *to = v->pairs[which][v->n_pairs[which]++];

	to[0] = a;
	to[1] = b;
	return v->n_pairs[which] == v->portion ? check_portion(v, which) : CEIR_OK;
}

static bool is_sound(const struct segment_cursor *c, unsigned i)
{
	uint64_t first = c->col[COL_FIRST][i], offset = c->col[COL_OFFSET][i], length = c->col[COL_LENGTH][i];

	return c->col[COL_OP][i] > 0 && c->col[COL_OP][i] < TRIPLETS_OPS && first <= UINT32_MAX && offset <= UINT32_MAX - first &&
	       length <= UINT32_MAX - first - offset && c->col[COL_MARK][i] <= UINT16_MAX;
}

/* Pairs of all triplets of a segment. */
static enum ceir_err check_triplets(struct verify *v, const struct part *p)
{
	static const uint64_t lowest[1] = {0};
	struct segment_cursor *c = calloc(1, sizeof(*c));
	uint64_t unsound = 0;
	enum ceir_err err = c ? CEIR_OK : CEIR_ENOMEM;

	if (!err && segment_seek(c, p->segment, lowest, 1))
		c->n = 0; /* named by segment_verify() */
	while (!err && c->n) {
		for (unsigned i = 0; i < c->n && !err; i++) {
			unsound += !is_sound(c, i);
			err = put_pair(v, 0, c->col[COL_IMSI][i], c->col[COL_IMEI][i]);
			if (!err && c->col[COL_MSISDN][i])
				err = put_pair(v, 1, c->col[COL_MSISDN][i], c->col[COL_IMSI][i]);
		}
		if (!err && segment_next(c))
			break;
	}
	if (unsound)
		fault(v, "%s: %" PRIu64 " rows have values that cannot be", p->path, unsound);
	free(c);
	return err;
}

/* A small store needs no room for a million. */
static size_t portion_of(const struct parts *triplets)
{
	size_t n = 1;

	for (size_t i = 0; i < triplets->n; i++) {
		if (triplets->v[i]->info.rows >= PORTION - n)
			return PORTION;
		n += (size_t)triplets->v[i]->info.rows;
	}
	return n;
}

static enum ceir_err check_invariants(struct verify *v)
{
	enum ceir_err err = CEIR_OK;

	v->portion = portion_of(&v->trees[TREE_TRIPLETS]);
	for (unsigned i = 0; i < 2; i++)
		v->pairs[i] = malloc(v->portion * sizeof(*v->pairs[i]));
	v->scratch = malloc(v->portion * sizeof(*v->scratch));
	if (!v->pairs[0] || !v->pairs[1] || !v->scratch)
		err = CEIR_ENOMEM;
	for (size_t i = 0; i < v->trees[TREE_TRIPLETS].n && !err; i++)
		err = check_triplets(v, v->trees[TREE_TRIPLETS].v[i]);
	for (unsigned i = 0; i < 2 && !err; i++)
		err = check_portion(v, i);
	free(v->pairs[0]);
	free(v->pairs[1]);
	free(v->scratch);
	return err;
}

/* ---- files ------------------------------------------------------------------------------------------------------- */

/* CEIR_ENOENT: no such file; the caller knows what that means. A damaged file is named, and is not among the parts. */
static enum ceir_err open_segment(struct verify *v, const struct manifest_segment *s, bool is_staged)
{
	char path[TRIPLETS_PATH_MAX];
	struct part *p = NULL;
	enum ceir_err err = part_open(v->dir, s->tree, s->file, s->group, &p);

	file_path(v->dir, s->file, "seg", path);
	if (err == CEIR_ENOENT || err == CEIR_ENOMEM)
		return err;
	if (err) {
		fault(v, "%s: cannot be opened: %s", path, ceir_err_text(err));
		return CEIR_OK;
	}
	if (!is_staged && (p->info.rows != s->rows || p->info.bytes != s->bytes))
		fault(v, "%s: not the file that MANIFEST names: %" PRIu64 " rows instead of %" PRIu64, path, p->info.rows, s->rows);
	return parts_add(is_staged ? &v->staged : &v->trees[s->tree], p);
}

/* All of them at once, before any is read: reading takes its time, and a running server merges meanwhile. */
static enum ceir_err open_segments(struct verify *v)
{
	const struct manifest *m = &v->manifest;
	enum ceir_err err = CEIR_OK;

	for (size_t i = 0; i < m->n_segments && !err; i++)
		err = open_segment(v, &m->segments[i], false);
	for (size_t i = 0; i < m->n_staged && !err; i++)
		for (size_t k = 0; k < m->staged[i].n_files && !err; k++)
			err = open_segment(v, &(struct manifest_segment){.tree = TREE_TRIPLETS, .file = m->staged[i].files[k]}, true);
	return err;
}

static enum ceir_err check_segments(struct verify *v, const struct parts *parts)
{
	enum ceir_err err = CEIR_OK;

	for (size_t i = 0; i < parts->n && !err; i++) {
		err = segment_verify(parts->v[i]->segment, segment_fault, v);
		if (err == CEIR_ECORRUPT) /* each fault was named */
			err = CEIR_OK;
	}
	return err;
}

/* Whether the bytes behind the last whole record are a record that is being written, or was when the machine stopped. */
static void check_records(struct verify *v, const char *path, struct str bytes, bool last)
{
	size_t at = JOURNAL_HEADER, size;
	struct journal_batch b;

	while (at < bytes.n) {
		if (journal_get((struct str){bytes.p + at, bytes.n - at}, &b, &size) == CEIR_OK) {
			at += size;
			continue;
		}
		size_t next = journal_resync(bytes, at + 1);
		if (next < bytes.n || !last)
			fault(v, "%s: bytes %zu to %zu are not a whole record", path, at, next - 1);
		at = next;
	}
}

static enum ceir_err check_journal(struct verify *v, uint64_t file, bool last)
{
	char path[TRIPLETS_PATH_MAX];
	struct buf b = BUF_INIT(0);

	file_path(v->dir, file, "journal", path);
	enum ceir_err err = file_read(path, SIZE_MAX, &b);
	if (!err && (b.n < JOURNAL_HEADER || memcmp(b.p, JOURNAL_MAGIC, 8) != 0 || get_u64(b.p + 8) != file))
		fault(v, "%s: not a journal, or another one, or cut off", path);
	else if (!err)
		check_records(v, path, buf_view(&b), last);
	buf_free(&b);
	return err;
}

static enum ceir_err check_batches(struct verify *v)
{
	char path[TRIPLETS_PATH_MAX];
	struct buf b = BUF_INIT(BATCHES_FILE_MAX);
	struct batches *batches = batches_new();

	file_path(v->dir, v->manifest.batches, "batches", path);
	enum ceir_err err = batches ? file_read(path, BATCHES_FILE_MAX, &b) : CEIR_ENOMEM;
	if (!err && batches_parse(buf_view(&b), batches) == CEIR_ECORRUPT)
		fault(v, "%s: damaged", path);
	buf_free(&b);
	batches_free(batches);
	return err;
}

static enum ceir_err check_journals(struct verify *v)
{
	const struct manifest *m = &v->manifest;
	enum ceir_err err = CEIR_OK;

	for (size_t i = 0; i < m->n_journals && !err; i++)
		err = check_journal(v, m->journals[i], i + 1 == m->n_journals);
	if (!err && m->batches)
		err = check_batches(v);
	return err;
}

static enum ceir_err read_manifest(struct verify *v, struct buf *text)
{
	char path[TRIPLETS_PATH_MAX];
	const char *why;
	size_t line;

	folder_path(v->dir, "MANIFEST", path);
	enum ceir_err err = file_read(path, MANIFEST_MAX, text);
	if (err)
		return err;
	err = manifest_parse(buf_view(text), &v->manifest, &why, &line);
	if (err)
		fault(v, "%s: line %zu: %s", path, line, why);
	return err;
}

static bool manifest_changed(struct verify *v, const struct buf *text)
{
	char path[TRIPLETS_PATH_MAX];
	struct buf now = BUF_INIT(MANIFEST_MAX);

	folder_path(v->dir, "MANIFEST", path);
	bool changed = file_read(path, MANIFEST_MAX, &now) == CEIR_OK && !str_eq(buf_view(text), buf_view(&now));
	buf_free(&now);
	return changed;
}

static void close_all(struct verify *v)
{
	for (unsigned tree = 0; tree < TREES; tree++)
		parts_clear(&v->trees[tree]);
	parts_clear(&v->staged);
	manifest_clear(&v->manifest);
}

/* Opens what MANIFEST names, while it is there: an open file stays readable when it is unlinked. Journals are read at once. */
static enum ceir_err open_all(struct verify *v)
{
	for (unsigned try = 0; try < TRIES; try++) {
		struct buf text = BUF_INIT(MANIFEST_MAX);
		close_all(v);
		v->faults = 0;
		enum ceir_err err = read_manifest(v, &text);
		const bool there = !err;
		if (!err)
			err = open_segments(v);
		if (!err)
			err = check_journals(v);
		const bool changed = there && err == CEIR_ENOENT && manifest_changed(v, &text);
		buf_free(&text);
		if (!changed)
			return err;
	}
	log_warn(ROOM, "%s: changes faster than its files can be opened", v->dir);
	return CEIR_ESTATE;
}

/* No MANIFEST: an empty store, unless there are files of one. */
static bool is_empty(const char *dir)
{
	char path[TRIPLETS_PATH_MAX];

	folder_path(dir, "LOCK", path);
	return access(path, F_OK) != 0;
}

/* A file that MANIFEST names and that is not there: which one? */
static void name_missing(struct verify *v)
{
	const struct manifest *m = &v->manifest;
	char path[TRIPLETS_PATH_MAX];

	for (size_t i = 0; i < m->n_segments; i++) {
		file_path(v->dir, m->segments[i].file, "seg", path);
		if (access(path, F_OK) != 0)
			fault(v, "%s: missing, MANIFEST names it", path);
	}
	for (size_t i = 0; i < m->n_staged; i++)
		for (size_t k = 0; k < m->staged[i].n_files; k++) {
			file_path(v->dir, m->staged[i].files[k], "seg", path);
			if (access(path, F_OK) != 0)
				fault(v, "%s: missing, MANIFEST names it", path);
		}
	for (size_t i = 0; i < m->n_journals; i++) {
		file_path(v->dir, m->journals[i], "journal", path);
		if (access(path, F_OK) != 0)
			fault(v, "%s: missing, MANIFEST names it", path);
	}
	file_path(v->dir, m->batches, "batches", path);
	if (m->batches && access(path, F_OK) != 0)
		fault(v, "%s: missing, MANIFEST names it", path);
}

enum ceir_err triplets_verify(const char *dir, void (*report)(void *ctx, const char *line), void *ctx)
{
	struct verify v = {.dir = dir, .report = report, .ctx = ctx};

	if (strlen(dir) > TRIPLETS_PATH_MAX - 64)
		return CEIR_ERANGE;
	enum ceir_err err = open_all(&v);
	if (err == CEIR_ENOENT && v.manifest.next_file == 0) {
		if (is_empty(dir))
			return CEIR_OK;
		fault(&v, "%s/MANIFEST: missing", dir);
	} else if (err == CEIR_ENOENT) {
		name_missing(&v);
		err = CEIR_OK;
	} else if (!err) {
		for (unsigned tree = 0; tree < TREES && !err; tree++)
			err = check_segments(&v, &v.trees[tree]);
		if (!err)
			err = check_segments(&v, &v.staged);
		if (!err)
			err = check_invariants(&v);
	}
	close_all(&v);
	return v.faults ? CEIR_ECORRUPT : err;
}

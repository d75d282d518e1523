/*
 * classify_file.c - the file of records: a segment (src/segment/segment_format.h) of kind "CLS1", eight columns, the first the key.
 *
 *   0 imei            key of the IMEI (triplets.h), ascending
 *   1 mask            conditions that match, bit per condition, below 2^24; and 2^31 when amnesty was granted
 *   2 was_mask        those that matched before, likewise
 *   3 since_day  4 block_day  5 resolved_day    days since 1970 plus 2^31, so that they are not negative
 *   6 genuine_imsi  7 genuine_msisdn            keys, 0: none
 *
 * The last row is the seal: imei 2^64 - 1, mask 1 (the version of this description), since_day the day of the run that made the
 * file, genuine_imsi the number of the policy it went by, the rest as of zero. A file without it was not finished.
 */
#include "classify/classify_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define KIND 0x31534c43u /* "CLS1" as its bytes stand in the file */
#define SEAL UINT64_MAX
#define VERSION 1u

enum { COL_IMEI, COL_MASK, COL_WAS, COL_SINCE, COL_BLOCK, COL_RESOLVED, COL_IMSI, COL_MSISDN, COLS };

static const struct segment_schema schema = {.kind = KIND, .columns = COLS, .keys = 1, .extra = false};

static uint64_t day_up(int32_t day)
{
	return (uint64_t)((int64_t)day - INT32_MIN);
}

static int32_t day_down(uint64_t column)
{
	return (int32_t)((int64_t)column + INT32_MIN);
}

bool class_name_is_good(const char *name)
{
	size_t n = strlen(name);
	return n > 4 && n < 200 && !strchr(name, '/') && strcmp(name + n - 4, ".seg") == 0 && name[0] != '.';
}

char *class_path(const char *dir, const char *name)
{
	size_t n;
	if (!size_add(strlen(dir), strlen(name) + 2, &n))
		return NULL;
	char *path = malloc(n);
	if (path)
		snprintf(path, n, "%s/%s", dir, name);
	return path;
}

void class_remove(const char *path)
{
	if (unlink(path) && errno != ENOENT)
		log_warn("classify", "%s cannot be removed: %s", path, strerror(errno));
}

/* ---- reading -------------------------------------------------------------------------------------------------------- */

static bool mask_is_good(uint64_t mask)
{
	return (mask & ~(uint64_t)POLICY_AMNESTY) >> POLICY_CONDITIONS == 0;
}

/* CEIR_ECORRUPT: no run wrote such a row; its CRC was right, so the writer was wrong. */
static enum ceir_err row_get(const struct segment_cursor *c, unsigned at, struct policy_class *out)
{
	if (!mask_is_good(c->col[COL_MASK][at]) || !mask_is_good(c->col[COL_WAS][at]) || c->col[COL_SINCE][at] > UINT32_MAX ||
		c->col[COL_BLOCK][at] > UINT32_MAX || c->col[COL_RESOLVED][at] > UINT32_MAX)
		return CEIR_ECORRUPT;
	*out = (struct policy_class){
		.mask = (uint32_t)c->col[COL_MASK][at],
		.was_mask = (uint32_t)c->col[COL_WAS][at],
		.since_day = day_down(c->col[COL_SINCE][at]),
		.block_day = day_down(c->col[COL_BLOCK][at]),
		.resolved_day = day_down(c->col[COL_RESOLVED][at]),
		.genuine_imsi = c->col[COL_IMSI][at],
		.genuine_msisdn = c->col[COL_MSISDN][at],
	};
	return CEIR_OK;
}

/* The last row. */
static enum ceir_err file_read_seal(struct class_file *f)
{
	struct segment_cursor c = {.segment = NULL};
	struct segment_info info;
	const uint64_t key = SEAL;
	segment_get_info(f->segment, &info);
	enum ceir_err err = segment_seek(&c, f->segment, &key, 1);
	if (err)
		return err;
	if (c.n == 0 || c.col[COL_IMEI][c.at] != SEAL || c.col[COL_MASK][c.at] != VERSION || c.col[COL_SINCE][c.at] > UINT32_MAX)
		return CEIR_ECORRUPT;
	f->made_day = day_down(c.col[COL_SINCE][c.at]);
	f->policy_version = (int64_t)c.col[COL_IMSI][c.at];
	f->records = info.rows - 1;
	return CEIR_OK;
}

enum ceir_err class_file_open(const char *dir, const char *name, struct class_file **out)
{
	enum ceir_err err = CEIR_ENOMEM;
	if (!class_name_is_good(name))
		return CEIR_EINVAL;
	char *path = class_path(dir, name);
	size_t n = strlen(name) + 1;
	struct class_file *f = calloc(1, sizeof *f + n);
	if (!path || !f)
		goto out;
	memcpy(f->name, name, n);
	atomic_init(&f->refs, 1);
	err = segment_open(path, &schema, &f->segment);
	if (err)
		goto out;
	err = file_read_seal(f);
	if (err)
		log_error("classify", "%s does not end as a file of records must", path);
out:
	if (err && f) {
		segment_close(f->segment);
		free(f);
	} else {
		*out = f;
	}
	free(path);
	return err;
}

void class_file_ref(struct class_file *f)
{
	if (f)
		atomic_fetch_add_explicit(&f->refs, 1, memory_order_relaxed); /* whoever passes it on holds one */
}

void class_file_unref(struct class_file *f)
{
	/* The last one must see that all others are done with the map: release by each, acquire by the last. */
	if (f && atomic_fetch_sub_explicit(&f->refs, 1, memory_order_acq_rel) == 1) {
		segment_close(f->segment);
		free(f);
	}
}

enum ceir_err class_file_get(const struct class_file *f, uint64_t imei, struct policy_class *out)
{
	struct segment_cursor c;
	c.segment = NULL; /* the rest is written before it is read: 12 KiB not cleared */
	c.n = 0;
	enum ceir_err err = segment_seek(&c, f->segment, &imei, 1);
	if (err)
		return err;
	if (c.n == 0 || c.col[COL_IMEI][c.at] != imei || imei == SEAL)
		return CEIR_ENOENT;
	return row_get(&c, c.at, out);
}

enum ceir_err class_reader_begin(struct class_reader *r, const struct class_file *file, const struct class_list *memory, uint64_t from)
{
	size_t at = class_list_seek(memory, from);
	r->file = file;
	r->mem = memory->n ? memory->items + at : NULL;
	r->mem_end = memory->n ? memory->items + memory->n : NULL;
	r->cursor.segment = NULL;
	r->cursor.n = 0;
	if (!file)
		return CEIR_OK;
	enum ceir_err err = segment_seek(&r->cursor, file->segment, &from, 1);
	if (!err && (r->cursor.n == 0 || r->cursor.col[COL_IMEI][r->cursor.at] == SEAL))
		r->file = NULL;
	return err;
}

uint64_t class_reader_peek(const struct class_reader *r)
{
	uint64_t in_file = r->file ? r->cursor.col[COL_IMEI][r->cursor.at] : UINT64_MAX;
	uint64_t in_memory = r->mem != r->mem_end ? r->mem->imei : UINT64_MAX;
	return in_file < in_memory ? in_file : in_memory;
}

enum ceir_err class_reader_take(struct class_reader *r, struct policy_class *out)
{
	uint64_t imei = class_reader_peek(r);
	enum ceir_err err = CEIR_OK;
	if (r->file && r->cursor.col[COL_IMEI][r->cursor.at] == imei) {
		err = row_get(&r->cursor, r->cursor.at, out);
		if (!err && ++r->cursor.at == r->cursor.n)
			err = segment_next(&r->cursor);
		if (err)
			return err;
		if (r->cursor.n == 0 || r->cursor.col[COL_IMEI][r->cursor.at] == SEAL)
			r->file = NULL;
	}
	if (r->mem != r->mem_end && r->mem->imei == imei)
		*out = r->mem++->record;
	return CEIR_OK;
}

/* ---- writing -------------------------------------------------------------------------------------------------------- */

struct class_writer {
	struct segment_writer *segment;
	uint64_t col[COLS][CLASS_CHUNK];
};

enum ceir_err class_writer_new(const char *path, struct class_writer **out)
{
	struct class_writer *w = malloc(sizeof *w);
	if (!w)
		return CEIR_ENOMEM;
	enum ceir_err err = segment_writer_new(path, &schema, &w->segment);
	if (err)
		free(w);
	else
		*out = w;
	return err;
}

static enum ceir_err writer_flush(struct class_writer *w, size_t n)
{
	struct segment_rows rows = {.n = n};
	for (unsigned c = 0; c < COLS; c++)
		rows.col[c] = w->col[c];
	return segment_writer_add(w->segment, &rows);
}

static void writer_set(struct class_writer *w, size_t at, const struct class_item *item)
{
	w->col[COL_IMEI][at] = item->imei;
	w->col[COL_MASK][at] = item->record.mask;
	w->col[COL_WAS][at] = item->record.was_mask;
	w->col[COL_SINCE][at] = day_up(item->record.since_day);
	w->col[COL_BLOCK][at] = day_up(item->record.block_day);
	w->col[COL_RESOLVED][at] = day_up(item->record.resolved_day);
	w->col[COL_IMSI][at] = item->record.genuine_imsi;
	w->col[COL_MSISDN][at] = item->record.genuine_msisdn;
}

enum ceir_err class_writer_add(struct class_writer *w, const struct class_item *items, size_t n)
{
	for (size_t done = 0; done < n;) {
		size_t m = n - done < CLASS_CHUNK ? n - done : CLASS_CHUNK;
		for (size_t i = 0; i < m; i++)
			writer_set(w, i, &items[done + i]);
		enum ceir_err err = writer_flush(w, m);
		if (err)
			return err;
		done += m;
	}
	return CEIR_OK;
}

enum ceir_err class_writer_finish(struct class_writer *w, int32_t made_day, int64_t policy_version)
{
	const struct class_item seal = {SEAL, {.mask = VERSION, .since_day = made_day, .genuine_imsi = (uint64_t)policy_version}};
	struct segment_info info;
	enum ceir_err err = class_writer_add(w, &seal, 1);
	if (err)
		segment_writer_drop(w->segment);
	else
		err = segment_writer_finish(w->segment, &info);
	free(w);
	return err;
}

void class_writer_drop(struct class_writer *w)
{
	if (!w)
		return;
	segment_writer_drop(w->segment);
	free(w);
}

/* ---- checking ------------------------------------------------------------------------------------------------------- */

/* What the segment itself cannot know: values that no run writes. */
static enum ceir_err verify_rows(const struct segment *s, void (*report)(void *ctx, const char *line), void *ctx)
{
	struct segment_cursor c = {.segment = NULL};
	const uint64_t from = 0;
	struct policy_class record;
	char line[120];
	enum ceir_err worst = CEIR_OK, err;
	for (err = segment_seek(&c, s, &from, 1); !err && c.n > 0; err = segment_next(&c)) {
		for (unsigned i = 0; i < c.n; i++) {
			if (c.col[COL_IMEI][i] == SEAL || row_get(&c, i, &record) == CEIR_OK)
				continue;
			snprintf(line, sizeof line, "record of IMEI %llu has values that no classification gives",
				(unsigned long long)c.col[COL_IMEI][i]);
			report(ctx, line);
			worst = CEIR_ECORRUPT;
		}
	}
	return err ? err : worst;
}

enum ceir_err classify_verify(const char *dir, const char *name, void (*report)(void *ctx, const char *line), void *ctx)
{
	struct class_file *f;
	char line[300];
	if (name[0] == '\0')
		return CEIR_OK;
	enum ceir_err err = class_file_open(dir, name, &f);
	if (err) {
		snprintf(line, sizeof line, "records of the classification, %s: %s", name, ceir_err_text(err));
		report(ctx, line);
		return err == CEIR_ENOENT ? CEIR_ECORRUPT : err;
	}
	err = segment_verify(f->segment, report, ctx);
	if (!err)
		err = verify_rows(f->segment, report, ctx);
	class_file_unref(f);
	return err;
}

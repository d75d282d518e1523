/* triplets_manifest.c - MANIFEST as text and in memory. The form is in triplets_format.h. */
#include "triplets/triplets_format.h"

#include <inttypes.h>
#include <stdlib.h>

void manifest_clear(struct manifest *m)
{
	for (size_t i = 0; i < m->n_staged; i++)
		free(m->staged[i].files);
	free(m->journals);
	free(m->segments);
	free(m->staged);
	free(m->applied);
	*m = (struct manifest){0};
}

/* Room for one more of `size` bytes; the array grows at powers of two. */
static bool grow(void **v, size_t n, size_t size)
{
	size_t bytes;

	if (n & (n - 1))
		return true;
	if (!size_mul(n ? n * 2 : 1, size, &bytes))
		return false;
	void *more = realloc(*v, bytes);
	if (more)
		*v = more;
	return more != NULL;
}

enum ceir_err manifest_add_journal(struct manifest *m, uint64_t file)
{
	void *v = m->journals;

	if (!grow(&v, m->n_journals, sizeof(*m->journals)))
		return CEIR_ENOMEM;
	m->journals = v;
	m->journals[m->n_journals++] = file;
	return CEIR_OK;
}

enum ceir_err manifest_add_segment(struct manifest *m, const struct manifest_segment *s)
{
	void *v = m->segments;

	if (!grow(&v, m->n_segments, sizeof(*m->segments)))
		return CEIR_ENOMEM;
	m->segments = v;
	m->segments[m->n_segments++] = *s;
	return CEIR_OK;
}

enum ceir_err manifest_add_staged(struct manifest *m, const struct manifest_staged *s)
{
	void *v = m->staged;

	if (!grow(&v, m->n_staged, sizeof(*m->staged))) {
		free(s->files);
		return CEIR_ENOMEM;
	}
	m->staged = v;
	m->staged[m->n_staged++] = *s;
	return CEIR_OK;
}

enum ceir_err manifest_add_applied(struct manifest *m, const struct manifest_applied *a)
{
	void *v = m->applied;

	if (!grow(&v, m->n_applied, sizeof(*m->applied)))
		return CEIR_ENOMEM;
	m->applied = v;
	m->applied[m->n_applied++] = *a;
	return CEIR_OK;
}

/* Items are taken out keeping the array's capacity what grow() expects: a power of two not below n. */
static void shrink(void **v, size_t n, size_t size)
{
	size_t cap = 1;

	while (cap < n)
		cap *= 2;
	void *less = n ? realloc(*v, cap * size) : NULL;
	if (n && less)
		*v = less;
}

void manifest_remove_journals(struct manifest *m, uint64_t below)
{
	size_t n = 0;
	void *v = m->journals;

	for (size_t i = 0; i < m->n_journals; i++)
		if (m->journals[i] >= below)
			m->journals[n++] = m->journals[i];
	shrink(&v, n, sizeof(*m->journals));
	m->journals = v;
	m->n_journals = n;
}

void manifest_remove_segment(struct manifest *m, uint64_t file)
{
	size_t n = 0;
	void *v = m->segments;

	for (size_t i = 0; i < m->n_segments; i++)
		if (m->segments[i].file != file)
			m->segments[n++] = m->segments[i];
	shrink(&v, n, sizeof(*m->segments));
	m->segments = v;
	m->n_segments = n;
}

struct manifest_staged *manifest_find_staged(const struct manifest *m, uint64_t id)
{
	for (size_t i = 0; i < m->n_staged; i++)
		if (m->staged[i].id == id)
			return &m->staged[i];
	return NULL;
}

void manifest_remove_staged(struct manifest *m, uint64_t id)
{
	size_t n = 0;
	void *v = m->staged;

	for (size_t i = 0; i < m->n_staged; i++)
		if (m->staged[i].id == id)
			free(m->staged[i].files);
		else
			m->staged[n++] = m->staged[i];
	shrink(&v, n, sizeof(*m->staged));
	m->staged = v;
	m->n_staged = n;
}

const struct manifest_applied *manifest_find_applied(const struct manifest *m, uint64_t id)
{
	for (size_t i = 0; i < m->n_applied; i++)
		if (m->applied[i].id == id)
			return &m->applied[i];
	return NULL;
}

void manifest_remove_applied(struct manifest *m, uint64_t id)
{
	size_t n = 0;
	void *v = m->applied;

	for (size_t i = 0; i < m->n_applied; i++)
		if (m->applied[i].id != id)
			m->applied[n++] = m->applied[i];
	shrink(&v, n, sizeof(*m->applied));
	m->applied = v;
	m->n_applied = n;
}

static enum ceir_err copy_lists(struct manifest *to, const struct manifest *from)
{
	enum ceir_err err = CEIR_OK;

	for (size_t i = 0; i < from->n_journals && !err; i++)
		err = manifest_add_journal(to, from->journals[i]);
	for (size_t i = 0; i < from->n_segments && !err; i++)
		err = manifest_add_segment(to, &from->segments[i]);
	for (size_t i = 0; i < from->n_applied && !err; i++)
		err = manifest_add_applied(to, &from->applied[i]);
	for (size_t i = 0; i < from->n_staged && !err; i++) {
		struct manifest_staged s = from->staged[i];
		s.files = calloc(s.n_files ? s.n_files : 1, sizeof(*s.files));
		if (!s.files)
			return CEIR_ENOMEM;
		for (size_t k = 0; k < s.n_files; k++)
			s.files[k] = from->staged[i].files[k];
		err = manifest_add_staged(to, &s);
	}
	return err;
}

enum ceir_err manifest_copy(struct manifest *to, const struct manifest *from)
{
	*to = (struct manifest){.next_file = from->next_file, .next_delivery = from->next_delivery, .batches = from->batches};
	memcpy(to->full, from->full, sizeof(to->full));
	enum ceir_err err = copy_lists(to, from);
	if (err)
		manifest_clear(to);
	return err;
}

static void print_staged(const struct manifest_staged *s, struct buf *out)
{
	buf_printf(out, "staged %" PRIu64 " %u %" PRIu64 " %" PRIu32 " %" PRIu32 " %zu", s->id, s->op, s->rows, s->min_s, s->max_s, s->n_files);
	for (size_t k = 0; k < s->n_files; k++)
		buf_printf(out, " %" PRIu64, s->files[k]);
	buf_char(out, '\n');
}

void manifest_print(const struct manifest *m, struct buf *out)
{
	size_t begin = out->n;

	buf_printf(out, "ceir-triplets 1\nnext %" PRIu64 " %" PRIu64 "\n", m->next_file, m->next_delivery);
	for (size_t i = 0; i < m->n_journals; i++)
		buf_printf(out, "journal %" PRIu64 "\n", m->journals[i]);
	if (m->batches)
		buf_printf(out, "batches %" PRIu64 "\n", m->batches);
	for (unsigned op = 0; op < TRIPLETS_OPS; op++)
		if (m->full[op].known)
			buf_printf(out, "full %u %" PRIu32 " %" PRIu32 "\n", op, m->full[op].min_s, m->full[op].max_s);
	for (size_t i = 0; i < m->n_segments; i++) {
		const struct manifest_segment *s = &m->segments[i];
		buf_printf(out, "segment %u %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 "\n", s->tree, s->file, s->group, s->rows, s->bytes);
	}
	for (size_t i = 0; i < m->n_staged; i++)
		print_staged(&m->staged[i], out);
	for (size_t i = 0; i < m->n_applied; i++) {
		const struct triplets_counts *c = &m->applied[i].counts;
		buf_printf(out, "applied %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 "\n", m->applied[i].id,
			c->rows, c->distinct, c->fresh, c->again, c->returned, c->gone);
	}
	if (!out->failed)
		buf_printf(out, "crc %08" PRIx32 "\n", crc32c(0, out->p + begin, out->n - begin));
}

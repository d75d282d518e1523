/* triplets_manifest_parse.c - reads MANIFEST. Nothing in it is believed before its CRC is right, and not much after. */
#include "triplets/triplets_format.h"

#include <stdlib.h>

#define NUMBERS_MAX 8

/* n numbers with one space between, and nothing behind unless rest is given. */
static bool get_numbers(struct str line, uint64_t *v, size_t n, struct str *rest)
{
	struct str word;

	for (size_t i = 0; i < n; i++)
		if (!str_cut(&line, ' ', &word) || str_u64(word, UINT64_MAX, &v[i]) != CEIR_OK)
			return false;
	if (rest)
		*rest = line;
	return rest || line.n == 0;
}

/* File numbers are below `next`, so that none is ever used again. */
static bool is_file(const struct manifest *m, uint64_t file)
{
	return file > 0 && file < m->next_file;
}

static const char *parse_staged(struct str rest, struct manifest *m)
{
	uint64_t v[6];
	struct manifest_staged s;

	if (!get_numbers(rest, v, 6, &rest) || v[0] == 0 || v[0] >= m->next_delivery || v[1] == 0 || v[1] >= TRIPLETS_OPS ||
		v[3] > UINT32_MAX || v[4] > UINT32_MAX || v[5] > rest.n)
		return "not a staged delivery";
	if (manifest_find_staged(m, v[0]))
		return "a delivery staged twice";
	s = (struct manifest_staged){.id = v[0], .op = (uint8_t)v[1], .rows = v[2], .min_s = (uint32_t)v[3], .max_s = (uint32_t)v[4],
		.n_files = (size_t)v[5]};
	s.files = calloc(s.n_files ? s.n_files : 1, sizeof(*s.files));
	if (!s.files)
		return "out of memory";
	bool good = get_numbers(rest, s.files, s.n_files, NULL);
	for (size_t i = 0; good && i < s.n_files; i++)
		good = is_file(m, s.files[i]);
	if (!good) {
		free(s.files);
		return "a run that cannot be";
	}
	return manifest_add_staged(m, &s) ? "out of memory" : NULL;
}

static const char *parse_segment(struct str rest, struct manifest *m)
{
	uint64_t v[5];

	if (!get_numbers(rest, v, 5, NULL) || v[0] >= TREES || !is_file(m, v[1]))
		return "not a segment";
	struct manifest_segment s = {.tree = (unsigned)v[0], .file = v[1], .group = v[2], .rows = v[3], .bytes = v[4]};
	return manifest_add_segment(m, &s) ? "out of memory" : NULL;
}

static const char *parse_applied(struct str rest, struct manifest *m)
{
	uint64_t v[7];

	if (!get_numbers(rest, v, 7, NULL) || v[0] == 0 || v[0] >= m->next_delivery)
		return "not an applied delivery";
	struct manifest_applied a = {v[0], {v[1], v[2], v[3], v[4], v[5], v[6]}};
	return manifest_add_applied(m, &a) ? "out of memory" : NULL;
}

static const char *parse_line(struct str line, struct manifest *m)
{
	struct str word;
	uint64_t v[NUMBERS_MAX];

	if (!str_cut(&line, ' ', &word))
		return "an empty line";
	if (str_eq_c(word, "segment"))
		return parse_segment(line, m);
	if (str_eq_c(word, "staged"))
		return parse_staged(line, m);
	if (str_eq_c(word, "applied"))
		return parse_applied(line, m);
	if (str_eq_c(word, "journal")) {
		if (!get_numbers(line, v, 1, NULL) || !is_file(m, v[0]) || (m->n_journals && m->journals[m->n_journals - 1] >= v[0]))
			return "not a journal";
		return manifest_add_journal(m, v[0]) ? "out of memory" : NULL;
	}
	if (str_eq_c(word, "batches")) {
		if (!get_numbers(line, v, 1, NULL) || !is_file(m, v[0]))
			return "not a file of batches";
		m->batches = v[0];
		return NULL;
	}
	if (str_eq_c(word, "full")) {
		if (!get_numbers(line, v, 3, NULL) || v[0] >= TRIPLETS_OPS || v[1] > UINT32_MAX || v[2] > UINT32_MAX)
			return "not a full delivery";
		m->full[v[0]] = (struct manifest_full){true, (uint32_t)v[1], (uint32_t)v[2]};
		return NULL;
	}
	return "a word that is not known";
}

/* Cuts the last line, which must be the right CRC of the others, off text. */
static const char *check_crc(struct str *text)
{
	const size_t size = sizeof("crc 01234567\n") - 1;
	char want[sizeof("crc 01234567\n")];

	if (text->n < size)
		return "too short";
	text->n -= size;
	(void)snprintf(want, sizeof(want), "crc %08x\n", (unsigned)crc32c(0, text->p, text->n));
	return memcmp(text->p + text->n, want, size) == 0 ? NULL : "the CRC is wrong: damaged or cut off";
}

static const char *parse_head(struct str *text, struct manifest *m)
{
	struct str line;
	uint64_t v[2];

	if (!str_cut(text, '\n', &line) || !str_eq_c(line, "ceir-triplets 1"))
		return "a form this program does not know";
	if (!str_cut(text, '\n', &line) || !str_starts(line, STR("next ")))
		return "no next numbers";
	if (!get_numbers((struct str){line.p + 5, line.n - 5}, v, 2, NULL) || v[0] == 0 || v[1] == 0)
		return "no next numbers";
	m->next_file = v[0];
	m->next_delivery = v[1];
	return NULL;
}

enum ceir_err manifest_parse(struct str text, struct manifest *m, const char **why, size_t *line)
{
	struct str s;

	*m = (struct manifest){0};
	*line = 0;
	*why = check_crc(&text);
	if (!*why) {
		*line = 1;
		*why = parse_head(&text, m);
	}
	for (*line = *why ? *line : 3; !*why && str_cut(&text, '\n', &s); (*line)++)
		*why = parse_line(s, m);
	if (!*why)
		return CEIR_OK;
	manifest_clear(m);
	return CEIR_ECORRUPT;
}

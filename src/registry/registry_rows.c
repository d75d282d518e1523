/*
 * registry_rows.c - the form of an application's rows in the database.
 *
 * A part's data is one 8 byte little-endian word a row, then a text area. A word:
 *   bit 63      further IMEI of the device of the row before
 *   bit 62      not 15 digits: bits 0..31 offset in the text area, bits 32..39 length (at most 64)
 *   bits 0..49  else the 15 digits as typed, check digit included, as a number
 * So a million IMEIs take eight megabytes and are decoded without parsing; what a person typed wrong is kept to the letter.
 * The results are one byte a row: enum policy_result.
 */
#include <string.h>

#include "registry/registry_internal.h"

#define WORD 8
#define FURTHER (UINT64_C(1) << 63)
#define TEXT_ROW (UINT64_C(1) << 62)
#define DIGITS_MASK ((UINT64_C(1) << 50) - 1)
#define TEXT_MAX 64

static void put_word(char *p, uint64_t w)
{
	for (int i = 0; i < WORD; i++)
		p[i] = (char)(w >> 8 * i);
}

static uint64_t get_word(const char *p)
{
	uint64_t w = 0;

	for (int i = 0; i < WORD; i++)
		w |= (uint64_t)(uint8_t)p[i] << 8 * i;
	return w;
}

/* 15 digits as a number; false: keep the text. */
static bool digits(struct str s, uint64_t *n)
{
	return s.n == IMEI_DIGITS && str_u64(s, 999999999999999u, n) == CEIR_OK;
}

/* Not in the middle of a character: what is shown back must be text. */
static size_t text_size(struct str s)
{
	size_t n = TEXT_MAX;

	if (s.n <= TEXT_MAX)
		return s.n;
	while (n > TEXT_MAX - 4 && ((uint8_t)s.p[n] & 0xc0) == 0x80)
		n--;
	return n;
}

enum ceir_err reg_rows_encode(struct arena *a, const struct reg_device *devices, size_t n, struct str *data, int64_t *rows)
{
	size_t count = 0, texts = 0, at = 0, offset = 0, words, size;
	uint64_t w;

	for (size_t i = 0; i < n; i++)
		for (unsigned k = 0; k < devices[i].n; k++, count++)
			if (!digits(devices[i].imeis[k], &w))
				texts += text_size(devices[i].imeis[k]);
	if (!size_mul(count, WORD, &words) || !size_add(words, texts, &size) || texts > UINT32_MAX)
		return CEIR_ENOMEM;
	char *p = arena_alloc(a, size);
	if (!p)
		return CEIR_ENOMEM;
	for (size_t i = 0; i < n; i++)
		for (unsigned k = 0; k < devices[i].n; k++, at++) {
			struct str s = devices[i].imeis[k];

			if (!digits(s, &w)) {
				w = TEXT_ROW | (uint64_t)text_size(s) << 32 | offset;
				memcpy(p + words + offset, s.n ? s.p : "", text_size(s));
				offset += text_size(s);
			}
			put_word(p + at * WORD, k ? w | FURTHER : w);
		}
	*data = (struct str){p, size};
	*rows = (int64_t)count;
	return CEIR_OK;
}

enum ceir_err reg_rows_decode(struct str data, int64_t rows, int64_t i, struct reg_row_raw *out)
{
	size_t words;

	if (i < 0 || i >= rows || !size_mul((size_t)rows, WORD, &words) || words > data.n)
		return CEIR_ECORRUPT;
	uint64_t w = get_word(data.p + (size_t)i * WORD);
	out->first = !(w & FURTHER);
	if (w & TEXT_ROW) {
		size_t offset = (uint32_t)w, n = (w >> 32) & 0xff;

		if (n > TEXT_MAX || offset > data.n - words || n > data.n - words - offset)
			return CEIR_ECORRUPT;
		out->imei = (struct str){data.p + words + offset, n};
		return CEIR_OK;
	}
	w &= DIGITS_MASK;
	for (int k = IMEI_DIGITS - 1; k >= 0; k--, w /= 10)
		out->buffer[k] = (char)('0' + w % 10);
	out->buffer[IMEI_DIGITS] = '\0';
	out->imei = (struct str){out->buffer, IMEI_DIGITS};
	return w ? CEIR_ECORRUPT : CEIR_OK;
}

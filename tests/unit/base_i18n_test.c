/* Message catalogues, built byte by byte here: good, of the other byte order, and corrupt in every way. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/base.h"
#include "base/base_mo.h"

#define MAX_MO 4096

struct pair {
	const char *original, *translation;
};

static char folder[] = "/tmp/ceir-base-i18n-XXXXXX";

static void put_u32(unsigned char *at, uint32_t v, bool big)
{
	for (int i = 0; i < 4; i++)
		at[i] = (unsigned char)(v >> 8 * (big ? 3 - i : i));
}

/* A catalogue in the given order of pairs; its size. */
static size_t mo_build(unsigned char out[MAX_MO], const struct pair *pairs, uint32_t n, bool big)
{
	uint32_t head[7] = {0x950412de, 0, n, 28, 28 + 8 * n, 0, 28 + 16 * n};
	uint32_t at = 28 + 16 * n;

	memset(out, 0, MAX_MO);
	for (size_t i = 0; i < 7; i++)
		put_u32(out + 4 * i, head[i], big);
	for (uint32_t i = 0; i < 2 * n; i++) {
		const char *text = i < n ? pairs[i].original : pairs[i - n].translation;
		uint32_t length = (uint32_t)strlen(text);

		put_u32(out + 28 + 8 * i, length, big);
		put_u32(out + 32 + 8 * i, at, big);
		memcpy(out + at, text, length + 1);
		at += length + 1;
	}
	return at;
}

static const struct pair good[] = {
	{"", "Content-Type: text/plain; charset=UTF-8\n"},
	{"Command completed successfully", "\xd0\x9a\xd0\xbe\xd0\xbc\xd0\xb0\xd0\xbd\xd0\xb4\xd1\x83 "
					   "\xd0\xb2\xd0\xb8\xd0\xba\xd0\xbe\xd0\xbd\xd0\xb0\xd0\xbd\xd0\xbe"},
	{"IMEI {0} belongs to {1}", "{1}: IMEI {0}"},
	{"empty", ""},
	{"zebra", "\xd0\xb7\xd0\xb5\xd0\xb1\xd1\x80\xd0\xb0"},
};

static const char *fault_of(const unsigned char *bytes, size_t n)
{
	/* On the heap and no larger than it is, so that ASan sees a read behind it. */
	char *copy = malloc(n > 0 ? n : 1);
	const char *why = NULL;
	struct mo mo;
	enum ceir_err err;

	assert_non_null(copy);
	memcpy(copy, bytes, n);
	err = mo_open((struct str){copy, n}, &mo, &why);
	assert_int_equal(err, why == NULL ? CEIR_OK : CEIR_ECORRUPT);
	if (err == CEIR_OK)
		for (size_t i = 0; i < CEIR_COUNT(good); i++)
			(void)mo_find(&mo, good[i].original);
	free(copy);
	return why;
}

static void texts_are_found_in_both_byte_orders(void **state)
{
	unsigned char bytes[MAX_MO];

	(void)state;
	for (int big = 0; big < 2; big++) {
		size_t n = mo_build(bytes, good, CEIR_COUNT(good), big == 1);
		const char *why;
		struct mo mo;

		assert_int_equal(mo_open((struct str){(char *)bytes, n}, &mo, &why), CEIR_OK);
		assert_string_equal(mo_find(&mo, "zebra"), good[4].translation);
		assert_string_equal(mo_find(&mo, "Command completed successfully"), good[1].translation);
		assert_null(mo_find(&mo, ""));
		assert_null(mo_find(&mo, "empty"));
		assert_null(mo_find(&mo, "a"));
		assert_null(mo_find(&mo, "zzz"));
		assert_null(mo_find(&mo, "zebr"));
	}
}

static void corrupt_catalogues_are_refused(void **state)
{
	static const struct pair unordered[] = {{"b", "1"}, {"a", "2"}}, twice[] = {{"a", "1"}, {"a", "2"}},
				 latin[] = {{"a", "\xff"}};
	unsigned char b[MAX_MO];
	size_t n = mo_build(b, good, CEIR_COUNT(good), false);

	(void)state;
	assert_null(fault_of(b, n));
	assert_string_equal(fault_of(b, 0), "shorter than a header");
	assert_string_equal(fault_of(b, 27), "shorter than a header");
	for (size_t cut = 28; cut < n; cut++)
		assert_non_null(fault_of(b, cut));
	b[0] ^= 1;
	assert_string_equal(fault_of(b, n), "not a catalogue (wrong magic number)");
	b[0] ^= 1;
	put_u32(b + 4, 2u << 16, false);
	assert_string_equal(fault_of(b, n), "unknown revision of the format");
	put_u32(b + 4, 0, false);
	put_u32(b + 8, 0x20000000, false); /* times 8 is 0 in 32 bits */
	assert_string_equal(fault_of(b, n), "a table lies outside the file");
	put_u32(b + 8, CEIR_COUNT(good), false);
	put_u32(b + 12, 0xffffffff, false);
	assert_string_equal(fault_of(b, n), "a table lies outside the file");
	put_u32(b + 12, 0, false);
	assert_string_equal(fault_of(b, n), "a table lies outside the file");
	put_u32(b + 12, 28, false);
	put_u32(b + 28 + 8, 0xffffffff, false); /* length of the second original */
	assert_string_equal(fault_of(b, n), "a text lies outside the file");
	put_u32(b + 28 + 8, 3, false);
	assert_string_equal(fault_of(b, n), "a text has no NUL at its end");

	assert_string_equal(fault_of(b, mo_build(b, unordered, 2, false)), "the originals are not in order");
	assert_string_equal(fault_of(b, mo_build(b, twice, 2, false)), "the originals are not in order");
	assert_string_equal(fault_of(b, mo_build(b, latin, 1, false)), "a text is not UTF-8");
	assert_null(fault_of(b, mo_build(b, good, 0, true)));
}

static void any_flipped_byte_is_survived(void **state)
{
	unsigned char b[MAX_MO];
	size_t n = mo_build(b, good, CEIR_COUNT(good), true);

	(void)state;
	for (size_t i = 0; i < n; i++) {
		for (unsigned bit = 1; bit < 256; bit <<= 1) {
			b[i] ^= (unsigned char)bit;
			(void)fault_of(b, n);
			b[i] ^= (unsigned char)bit;
		}
	}
}

static void write_catalogue(const char *language, const struct pair *pairs, uint32_t count)
{
	unsigned char bytes[MAX_MO];
	char path[300];
	size_t n = mo_build(bytes, pairs, count, false);

	snprintf(path, sizeof(path), "%s/%s", folder, language);
	assert_int_equal(mkdir(path, 0700), 0);
	snprintf(path, sizeof(path), "%s/%s/LC_MESSAGES", folder, language);
	assert_int_equal(mkdir(path, 0700), 0);
	snprintf(path, sizeof(path), "%s/%s/LC_MESSAGES/ceir.mo", folder, language);
	assert_int_equal(file_write(path, (struct str){(char *)bytes, n}, 0600), CEIR_OK);
}

static void remove_catalogue(const char *language)
{
	char path[300];

	snprintf(path, sizeof(path), "%s/%s/LC_MESSAGES/ceir.mo", folder, language);
	(void)unlink(path);
	snprintf(path, sizeof(path), "%s/%s/LC_MESSAGES", folder, language);
	assert_int_equal(rmdir(path), 0);
	snprintf(path, sizeof(path), "%s/%s", folder, language);
	assert_int_equal(rmdir(path), 0);
}

static void languages_are_loaded_and_found(void **state)
{
	static const struct pair unordered[] = {{"b", "1"}, {"a", "2"}};
	FILE *log = tmpfile();
	char line[400] = "";
	size_t lang = 99;

	(void)state;
	assert_int_equal(i18n_load("/nonexistent-folder"), CEIR_ENOENT);
	assert_int_equal(i18n_count(), 1);
	write_catalogue("uk", good, CEIR_COUNT(good));
	write_catalogue("pt_BR", good, CEIR_COUNT(good));
	write_catalogue("xx", unordered, 2);
	write_catalogue("sr@latin", good, CEIR_COUNT(good));
	log_setup(log, false, LOG_INFO_);
	assert_int_equal(i18n_load(folder), CEIR_ECORRUPT);
	log_setup(stderr, false, LOG_INFO_);
	assert_true(pread(fileno(log), line, sizeof(line) - 1, 0) > 0);
	assert_non_null(strstr(line, "xx/LC_MESSAGES/ceir.mo is left out: the originals are not in order\n"));
	fclose(log);

	assert_int_equal(i18n_count(), 3);
	assert_string_equal(i18n_tag(0), "en");
	assert_string_equal(i18n_tag(1), "pt-BR");
	assert_string_equal(i18n_tag(2), "uk");
	static const struct {
		const char *tag;
		size_t lang;
	} found[] = {{"en", 0}, {"EN", 0}, {"en-GB", 0}, {"uk", 2}, {"UK", 2}, {"uk-UA", 2}, {"uk_UA", 2}, {"ua", 2}, {"UA", 2},
		{"pt-br", 1}, {"pt", 1}, {"pt-PT", 1}};
	for (size_t i = 0; i < CEIR_COUNT(found); i++) {
		assert_int_equal(i18n_find(str_of(found[i].tag), &lang), CEIR_OK);
		assert_int_equal(lang, found[i].lang);
	}
	lang = 99;
	assert_int_equal(i18n_find(STR("xx"), &lang), CEIR_ENOENT);
	assert_int_equal(i18n_find(STR(""), &lang), CEIR_ENOENT);
	assert_int_equal(i18n_find(STR("-"), &lang), CEIR_ENOENT);
	assert_int_equal(i18n_find(STR("u"), &lang), CEIR_ENOENT);
	assert_int_equal(lang, 99);
}

static void texts_are_translated_and_filled_in(void **state)
{
	const struct str args[] = {STR("352106050544203"), STR("<importer>")};
	struct buf b = BUF_INIT(0);

	(void)state;
	assert_string_equal(i18n_text(2, "zebra"), good[4].translation);
	assert_string_equal(i18n_text(0, "zebra"), "zebra");
	assert_string_equal(i18n_text(2, "empty"), "empty");
	assert_string_equal(i18n_text(2, ""), "");
	assert_string_equal(i18n_text(2, "unknown"), "unknown");
	assert_null(i18n_text(2, NULL));
	i18n_format(&b, 2, "IMEI {0} belongs to {1}", args, 2);
	buf_char(&b, '|');
	i18n_format(&b, 0, "IMEI {0} belongs to {1}", args, 2);
	buf_char(&b, '|');
	i18n_format(&b, 0, "{{0} {2} {x} {12} {", args, 2);
	i18n_format(&b, 0, "{9}", NULL, 0);
	assert_true(str_eq_c(buf_view(&b), "<importer>: IMEI 352106050544203|IMEI 352106050544203 belongs to <importer>|"
					   "{352106050544203 {2} {x} {12} {{9}"));
	buf_free(&b);
}

static int make_folder(void **state)
{
	(void)state;
	return mkdtemp(folder) == NULL;
}

static int remove_folder(void **state)
{
	(void)state;
	remove_catalogue("uk");
	remove_catalogue("pt_BR");
	remove_catalogue("xx");
	remove_catalogue("sr@latin");
	/* Nothing is there any more: gives the memory back. */
	assert_int_equal(i18n_load(folder), CEIR_OK);
	assert_int_equal(i18n_count(), 1);
	return rmdir(folder);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(texts_are_found_in_both_byte_orders),
		cmocka_unit_test(corrupt_catalogues_are_refused),
		cmocka_unit_test(any_flipped_byte_is_survived),
		cmocka_unit_test(languages_are_loaded_and_found),
		cmocka_unit_test(texts_are_translated_and_filled_in),
	};

	return cmocka_run_group_tests(tests, make_folder, remove_folder);
}

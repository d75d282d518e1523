/*
 * base_i18n.c - the catalogues of all languages, side by side: each session has its own language.
 *
 * The list is built by i18n_load before threads start and never changes while they run. English is at index 0; a
 * catalogue "en" may give its texts other words.
 */
#include "base/base.h"
#include "base/base_mo.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#define LANGUAGES_MAX 128
#define TAG_MAX 36 /* RFC 5646 4.4.1: a tag of 35 characters can be expected */

struct language {
	char tag[TAG_MAX];
	struct buf file; /* holds what mo points to */
	struct mo mo;
};

static struct language languages[LANGUAGES_MAX] = {{.tag = "en"}};
static size_t language_count = 1;

static void unload(void)
{
	for (size_t i = 0; i < language_count; i++)
		buf_free(&languages[i].file);
	memset(languages, 0, sizeof(languages));
	strcpy(languages[0].tag, "en");
	language_count = 1;
}

/* "uk_UA" to "uk-UA". Folder names with another form ("uk.UTF-8", "sr@latin") are no tags and are passed over. */
static bool tag_of_folder(const char *name, char tag[TAG_MAX])
{
	size_t n = strlen(name);

	if (n < 2 || n >= TAG_MAX)
		return false;
	for (size_t i = 0; i < n; i++) {
		char c = name[i];
		bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
		bool digit = c >= '0' && c <= '9';

		if (!letter && (i < 2 || (!digit && c != '_' && c != '-')))
			return false;
		tag[i] = c == '_' ? '-' : c;
	}
	tag[n] = '\0';
	return true;
}

static enum ceir_err catalogue_load(const char *path, struct language *l)
{
	const char *why = NULL;
	enum ceir_err err = file_read(path, MO_FILE_MAX_BYTES, &l->file);

	if (err == CEIR_OK)
		err = mo_open(buf_view(&l->file), &l->mo, &why);
	if (err == CEIR_OK)
		return CEIR_OK;
	if (err != CEIR_ENOENT)
		log_warn("i18n", "catalogue %s is left out: %s", path, why != NULL ? why : ceir_err_text(err));
	buf_free(&l->file);
	l->mo = (struct mo){.count = 0};
	return err;
}

/* One folder of the locale directory. CEIR_OK too when there is nothing of ours in it. */
static enum ceir_err folder_load(const char *dir, const char *name)
{
	char path[PATH_MAX], tag[TAG_MAX];
	struct language *l;
	enum ceir_err err;
	int n;

	if (!tag_of_folder(name, tag))
		return CEIR_OK;
	n = snprintf(path, sizeof(path), "%s/%s/LC_MESSAGES/ceir.mo", dir, name);
	if (n < 0 || (size_t)n >= sizeof(path))
		return CEIR_ERANGE;
	if (strcmp(tag, "en") == 0) {
		l = &languages[0];
	} else {
		if (language_count == LANGUAGES_MAX)
			return CEIR_ELIMIT;
		l = &languages[language_count];
	}
	err = catalogue_load(path, l);
	if (err != CEIR_OK)
		return err == CEIR_ENOENT ? CEIR_OK : err;
	if (l != &languages[0]) {
		memcpy(l->tag, tag, sizeof(tag));
		language_count++;
	}
	return CEIR_OK;
}

static int by_tag(const void *a, const void *b)
{
	return strcmp(((const struct language *)a)->tag, ((const struct language *)b)->tag);
}

enum ceir_err i18n_load(const char *dir)
{
	DIR *d = opendir(dir);
	struct dirent *entry;
	enum ceir_err err = CEIR_OK;

	if (d == NULL)
		return ceir_err_of_errno(errno);
	unload();
	while ((entry = readdir(d)) != NULL) {
		enum ceir_err one = folder_load(dir, entry->d_name);

		if (one != CEIR_OK)
			err = one;
	}
	closedir(d);
	/* The order of a folder is chance; a greeting should not be. */
	qsort(languages + 1, language_count - 1, sizeof(languages[0]), by_tag);
	return err;
}

size_t i18n_count(void)
{
	return language_count;
}

const char *i18n_tag(size_t i)
{
	CEIR_ASSERT(i < language_count);
	return languages[i].tag;
}

static char tag_char(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c == '_' ? '-' : c;
}

static bool tag_eq(struct str a, struct str b)
{
	if (a.n != b.n)
		return false;
	for (size_t i = 0; i < a.n; i++)
		if (tag_char(a.p[i]) != tag_char(b.p[i]))
			return false;
	return true;
}

static struct str tag_language(struct str tag)
{
	size_t n = 0;

	while (n < tag.n && tag_char(tag.p[n]) != '-')
		n++;
	return (struct str){tag.p, n};
}

enum ceir_err i18n_find(struct str tag, size_t *lang)
{
	struct str wanted = tag_language(tag);

	for (size_t i = 0; i < language_count; i++) {
		if (tag_eq(tag, str_of(languages[i].tag))) {
			*lang = i;
			return CEIR_OK;
		}
	}
	/* "ua" is the country; people write it for the language. */
	if (tag_eq(wanted, STR("ua")))
		wanted = STR("uk");
	for (size_t i = 0; wanted.n > 0 && i < language_count; i++) {
		if (tag_eq(wanted, tag_language(str_of(languages[i].tag)))) {
			*lang = i;
			return CEIR_OK;
		}
	}
	return CEIR_ENOENT;
}

const char *i18n_text(size_t lang, const char *english)
{
	const char *found;

	CEIR_ASSERT(lang < language_count);
	if (english == NULL || languages[lang].mo.count == 0)
		return english;
	found = mo_find(&languages[lang].mo, english);
	return found != NULL ? found : english;
}

void i18n_format(struct buf *out, size_t lang, const char *english, const struct str *args, size_t n)
{
	const char *p = i18n_text(lang, english);

	for (;;) {
		const char *brace = strchr(p, '{');

		if (brace == NULL)
			break;
		if (brace[1] >= '0' && brace[1] <= '9' && brace[2] == '}' && (size_t)(brace[1] - '0') < n) {
			buf_put(out, p, (size_t)(brace - p));
			buf_str(out, args[brace[1] - '0']);
			p = brace + 3;
		} else {
			buf_put(out, p, (size_t)(brace + 1 - p));
			p = brace + 1;
		}
	}
	buf_c(out, p);
}

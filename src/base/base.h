/*
 * base.h - what any C program wants: errors, slices, buffers, arenas, time, log, files, settings, message catalogues.
 *
 * Lowest room of the tree; includes nothing of ceir. Unless a comment says otherwise a function may be called from any
 * thread, and an object passed by pointer belongs to the calling thread while the call lasts.
 */
#ifndef CEIR_BASE_H
#define CEIR_BASE_H

#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define CEIR_PRINTF(f, a) __attribute__((format(printf, f, a)))
#define CEIR_MUST_USE __attribute__((warn_unused_result))
#define CEIR_COUNT(a) (sizeof(a) / sizeof((a)[0]))

/*
 * Built with a sanitizer (CEIR_SANITIZED), with one of addresses (CEIR_SANITIZED_ADDRESS): 1, else 0. gcc defines macros, clang has features. More stack
 * and memory are used, more system calls are made, and all takes longer.
 */
#ifdef __has_feature
#define CEIR_HAS_FEATURE(name) __has_feature(name)
#else
#define CEIR_HAS_FEATURE(name) 0
#endif
#if defined(__SANITIZE_ADDRESS__) || CEIR_HAS_FEATURE(address_sanitizer)
#define CEIR_SANITIZED_ADDRESS 1
#else
#define CEIR_SANITIZED_ADDRESS 0
#endif
#if CEIR_SANITIZED_ADDRESS || defined(__SANITIZE_THREAD__) || CEIR_HAS_FEATURE(thread_sanitizer) || CEIR_HAS_FEATURE(memory_sanitizer)
#define CEIR_SANITIZED 1
#else
#define CEIR_SANITIZED 0
#endif

/* assert that stays in every build: a broken invariant must stop the server, not reach the register. */
#define CEIR_ASSERT(x) ((x) ? (void)0 : ceir_assert_fail(#x, __FILE__, __LINE__))
_Noreturn void ceir_assert_fail(const char *expression, const char *file, int line);

/* ---- errors ------------------------------------------------------------------------------------------------------ */

/* 0 is success; everything else is negative. One table in base_err.c gives each its text. */
enum ceir_err {
	CEIR_OK = 0,
	CEIR_ENOMEM = -1,    /* allocation failed, or a stated limit was reached */
	CEIR_EIO = -2,       /* the operating system refused a read or write */
	CEIR_ENOSPC = -3,    /* no space left on the device */
	CEIR_EINVAL = -4,    /* a value does not have the form that is expected */
	CEIR_ERANGE = -5,    /* right form, outside the allowed range */
	CEIR_ENOENT = -6,    /* no such object */
	CEIR_EEXIST = -7,    /* the object exists already */
	CEIR_EPERM = -8,     /* not allowed */
	CEIR_ECORRUPT = -9,  /* stored data contradicts itself */
	CEIR_ECLOSED = -10,  /* the peer closed, or the service is shutting down */
	CEIR_ETIMEOUT = -11, /* nothing happened in the time allowed */
	CEIR_ELIMIT = -12,   /* a limit against abuse was reached */
	CEIR_ETLS = -13,     /* TLS handshake, certificate or record failure */
	CEIR_ESTATE = -14,   /* not possible in the present state */
	CEIR_ESTORE = -15,   /* the database refused; the log says what */
};

/* English text of an error for logs and terminals; never NULL, static. */
const char *ceir_err_text(enum ceir_err err);
/* The nearest error for an errno of the operating system; CEIR_EIO when none is nearer. */
enum ceir_err ceir_err_of_errno(int errno_value);

/* ---- slices: text that came from outside -------------------------------------------------------------------------- */

/* A piece of text that is not ours: not NUL-terminated, may hold any byte. p may be NULL only when n is 0. */
struct str {
	const char *p;
	size_t n;
};

#define STR(literal) ((struct str){(literal), sizeof(literal) - 1})

struct str str_of(const char *c_string);          /* NULL gives the empty slice */
bool str_eq(struct str a, struct str b);
bool str_eq_c(struct str a, const char *c_string);
bool str_starts(struct str s, struct str prefix);
int str_cmp(struct str a, struct str b);          /* byte order; <0, 0, >0 */
struct str str_trim(struct str s);                /* without ASCII space, tab, CR, LF at both ends */
bool str_is_utf8(struct str s);                   /* well-formed UTF-8 (RFC 3629), no NUL */
size_t str_utf8_len(struct str s);                /* bytes of the well-formed character s begins with, 1..4; 0: none */
/* Cuts the part before the first `sep` off *s into *head (the separator is dropped); false when *s was empty. */
bool str_cut(struct str *s, char sep, struct str *head);
/* Decimal digits only, no sign. CEIR_EINVAL: empty or another character; CEIR_ERANGE: above max. */
enum ceir_err str_u64(struct str s, uint64_t max, uint64_t *value) CEIR_MUST_USE;
/* Constant-time compare for secrets; the lengths are not secret. */
bool str_eq_secret(struct str a, struct str b);
/* 2 n lower-case hexadecimal digits and a NUL into out. */
void hex_print(const void *bytes, size_t n, char *out);
/* Exactly 2 n hexadecimal digits of either case into n bytes; CEIR_EINVAL otherwise, bytes untouched. */
enum ceir_err hex_parse(struct str s, void *bytes, size_t n) CEIR_MUST_USE;

/* ---- checked sizes ------------------------------------------------------------------------------------------------ */

/* false, *sum untouched, when the result does not fit. */
static inline bool size_add(size_t a, size_t b, size_t *sum) { return !__builtin_add_overflow(a, b, sum); }
static inline bool size_mul(size_t a, size_t b, size_t *product) { return !__builtin_mul_overflow(a, b, product); }

/* ---- arena: everything of one request dies together --------------------------------------------------------------- */

struct arena;

/* An arena that never holds more than limit bytes (0: no limit). NULL when memory is out. Owned by one thread at a time. */
struct arena *arena_new(size_t limit_bytes);
void arena_free(struct arena *a);                 /* NULL is allowed */
void arena_reset(struct arena *a);                /* forget everything, keep the first block for re-use */
/* n zeroed bytes aligned for any type, or NULL when the limit or memory is out. n may be 0. */
void *arena_alloc(struct arena *a, size_t n);
/* Array of count items of size bytes, zeroed, multiplication checked. */
void *arena_array(struct arena *a, size_t count, size_t size);
/* Copy of s in the arena, with a NUL behind it that is not counted. On failure .p is NULL (test `out.p == NULL`). */
struct str arena_str(struct arena *a, struct str s);
struct str arena_printf(struct arena *a, const char *format, ...) CEIR_PRINTF(2, 3);

/* ---- buf: growable output ----------------------------------------------------------------------------------------- */

/*
 * Bytes appended at the end. An append that cannot be done (memory, or more than `max`) sets `failed` and changes
 * nothing, and neither does any append after it, until buf_clear or buf_free; callers may append many times and look at
 * `failed` once. Zero-initialise with BUF_INIT(max).
 */
struct buf {
	char *p;
	size_t n;
	size_t cap;
	size_t max;   /* 0: SIZE_MAX */
	bool failed;
};

#define BUF_INIT(max_bytes) {.p = NULL, .n = 0, .cap = 0, .max = (max_bytes), .failed = false}

void buf_put(struct buf *b, const void *bytes, size_t n);
void buf_str(struct buf *b, struct str s);
void buf_c(struct buf *b, const char *c_string);
void buf_char(struct buf *b, char c);
void buf_u64(struct buf *b, uint64_t value);      /* decimal, faster than buf_printf */
void buf_printf(struct buf *b, const char *format, ...) CEIR_PRINTF(2, 3);
/* Room for n more bytes; returns where to write them (then add to b->n), NULL on failure (b->failed is set). */
char *buf_reserve(struct buf *b, size_t n);
void buf_clear(struct buf *b);                    /* n = 0, failed = false, memory kept */
void buf_free(struct buf *b);                     /* memory returned, usable again */
struct str buf_view(const struct buf *b);
/* JSON string with quotes; invalid UTF-8 becomes U+FFFD. */
void buf_json(struct buf *b, struct str s);

/* ---- time --------------------------------------------------------------------------------------------------------- */

int64_t clock_real_us(void);                      /* microseconds since 1970-01-01T00:00:00Z */
int64_t clock_mono_us(void);                      /* monotonic microseconds, for durations and deadlines */

#define TIME_RFC3339_MAX 32
/* "2026-11-24T23:42:05.123456Z" (RFC 3339, UTC, always six decimals); out has TIME_RFC3339_MAX bytes. Years 0..9999. */
void time_rfc3339(int64_t us, char out[TIME_RFC3339_MAX]);
/*
 * RFC 3339 date-time, any offset, optional fraction (digits behind the sixth are dropped). A leap second, possible only
 * at the end of a UTC month, becomes the second after it. CEIR_EINVAL: another form, or a date that does not exist.
 */
enum ceir_err time_parse(struct str s, int64_t *us) CEIR_MUST_USE;
/*
 * "2015-12-12" (xsd:date without zone, proleptic Gregorian, years 1900..9999) to days since 1970-01-01. CEIR_EINVAL:
 * another form, or a date that does not exist; CEIR_ERANGE: an earlier year.
 */
enum ceir_err date_parse(struct str s, int32_t *days) CEIR_MUST_USE;
#define DATE_MAX 11
void date_print(int32_t days, char out[DATE_MAX]);
int32_t date_of_us(int64_t us);                   /* the UTC day of an instant */

/* ---- log ---------------------------------------------------------------------------------------------------------- */

enum log_level { LOG_ERROR_, LOG_WARN_, LOG_INFO_, LOG_DEBUG_ };

/* Set once at start, before threads; the level may be changed at any time. json: one JSON object a line, else text. */
void log_setup(FILE *to, bool json, enum log_level level);
void log_set_level(enum log_level level);
/* "error" "warn" "info" "debug"; CEIR_EINVAL otherwise. */
enum ceir_err log_level_parse(struct str s, enum log_level *level) CEIR_MUST_USE;
/*
 * One line. room: where ("epp", "store"). The message says what and whose; never a secret, never subscriber data.
 * Control characters are escaped, so a stranger's bytes cannot forge a line.
 */
void log_msg(enum log_level level, const char *room, const char *format, ...) CEIR_PRINTF(3, 4);
#define log_error(room, ...) log_msg(LOG_ERROR_, room, __VA_ARGS__)
#define log_warn(room, ...) log_msg(LOG_WARN_, room, __VA_ARGS__)
#define log_info(room, ...) log_msg(LOG_INFO_, room, __VA_ARGS__)
#define log_debug(room, ...) log_msg(LOG_DEBUG_, room, __VA_ARGS__)

/* ---- files -------------------------------------------------------------------------------------------------------- */

/* Whole file into *out (appended). CEIR_ELIMIT when larger than max bytes. */
enum ceir_err file_read(const char *path, size_t max, struct buf *out) CEIR_MUST_USE;
/* Writes path.tmp, fsync, rename, fsync of the folder: the file has the old or the new content, never half. */
enum ceir_err file_write(const char *path, struct str bytes, unsigned mode) CEIR_MUST_USE;
enum ceir_err file_sync_dir(const char *dir) CEIR_MUST_USE;
/* Every byte, through EINTR and short writes. ENOSPC gives CEIR_ENOSPC. */
enum ceir_err fd_write_all(int fd, const void *bytes, size_t n) CEIR_MUST_USE;

/* ---- files that others put into a folder --------------------------------------------------------------------------- */

struct stat;
struct still;

/* Remembers what at most max files were like. NULL: memory. One thread at a time. */
struct still *still_new(size_t max);
void still_free(struct still *s);                 /* NULL is allowed */
/*
 * A file as it is at now_us (clock_mono_us): has it had this size and time for for_us, and is it not put off? false too when more than max files
 * are looked at: those are for when others are gone.
 */
bool still_look(struct still *s, const struct stat *st, int64_t for_us, int64_t now_us);
void still_again(struct still *s, const struct stat *st); /* it was seen to change: from the next look on anew */
void still_put_off(struct still *s, const struct stat *st, int64_t until_us);
void still_end(struct still *s);                  /* all have been looked at: those that were not are forgotten */
/* By its name somebody is writing it: begins with a point, or ends in .part or .tmp (either case). */
bool file_name_unfinished(const char *name);
/*
 * Has anybody on this machine the file open for writing? Never opens through a link. false as well when nobody can say: file systems without leases,
 * a file of another user when the process has not CAP_LEASE, no such file. Instead of SIGIO the process may get SIGURG, which ends nobody.
 */
bool file_has_writer(int dir, const char *name);

/* ---- threads ------------------------------------------------------------------------------------------------------ */

/*
 * Starts run(arg). The name (cut to 15 bytes) is what a debugger and top show. All signals are blocked in the new
 * thread: they belong to the main thread. CEIR_ENOMEM: the system has no more threads.
 */
enum ceir_err thread_start(const char *name, void *(*run)(void *), void *arg, pthread_t *thread) CEIR_MUST_USE;
/* A condition whose timed waits are by CLOCK_MONOTONIC: a clock that is set does not hold them up. */
void thread_cond_init(pthread_cond_t *cond);

/* ---- settings: ceir.conf ------------------------------------------------------------------------------------------ */

enum setting_type { SETTING_TEXT, SETTING_INT, SETTING_BOOL };

/* One row per setting; the table of a program is static and is read by the parser, by `init` and by the documentation. */
struct setting {
	const char *key;      /* "epp.listen": section and name */
	enum setting_type type;
	const char *def;      /* default, as text */
	int64_t min, max;     /* for SETTING_INT */
	const char *comment;  /* one or more lines for ceir.conf, unit included */
};

struct config;

/* Settings at their defaults. table ends with .key == NULL and must outlive the config. NULL: memory. */
struct config *config_new(const struct setting *table);
void config_free(struct config *c);
/*
 * INI: [section], key = value, # or ; comments, blank lines; UTF-8, at most 1 MiB. Unknown keys, bad numbers and
 * duplicate keys are errors. On error *why (arena-free, at most why_size bytes) says file, line and what was expected.
 */
enum ceir_err config_load(struct config *c, const char *path, char *why, size_t why_size) CEIR_MUST_USE;
/* The same of text in memory; name stands for the file in *why. After an error the settings before it have been taken. */
enum ceir_err config_parse(struct config *c, struct str text, const char *name, char *why, size_t why_size) CEIR_MUST_USE;
/* "section.key=value", as of -o. Same errors. */
enum ceir_err config_set(struct config *c, struct str assignment, char *why, size_t why_size) CEIR_MUST_USE;
/* The key must be in the table with that type (asserted). The text belongs to the config. */
const char *config_text(const struct config *c, const char *key);
int64_t config_int(const struct config *c, const char *key);
bool config_bool(const struct config *c, const char *key);
/* The commented file with every setting at its default, as `ceird init` writes it. */
void config_print(const struct setting *table, struct buf *out);

/* ---- message catalogues ------------------------------------------------------------------------------------------- */

/* Marks a text for xgettext without translating it here. */
#define N_(text) text

/*
 * Loads every DIR/LANG/LC_MESSAGES/ceir.mo (GNU gettext MO format, checked byte by byte: offsets, order, UTF-8). English
 * is always there and needs no file. gettext(3) itself is not used: it takes the language from the process, a session
 * has its own. Call once at start; afterwards all functions below are read-only and safe from any thread. A catalogue that is
 * corrupt is left out with a line in the log, the others are loaded, and CEIR_ECORRUPT is returned. CEIR_ENOENT: no such
 * folder. A second call replaces what the first one loaded.
 */
enum ceir_err i18n_load(const char *dir) CEIR_MUST_USE;
size_t i18n_count(void);                          /* languages, English first */
const char *i18n_tag(size_t i);                   /* BCP 47 tag: "en", "uk" */
/* Index of a language for a tag; case-insensitive, "uk-UA" matches "uk", "ua" is taken for "uk". CEIR_ENOENT. */
enum ceir_err i18n_find(struct str tag, size_t *lang) CEIR_MUST_USE;
/* Translation of an English text, or the text itself. Never NULL when english is not. */
const char *i18n_text(size_t lang, const char *english);
/* Appends the translation with {0}..{9} replaced by args[0..n-1] (raw bytes; the caller escapes what it prints). */
void i18n_format(struct buf *out, size_t lang, const char *english, const struct str *args, size_t n);

#endif

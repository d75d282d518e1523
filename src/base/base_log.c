/*
 * base_log.c - one line per event, one write(2) per line, no allocation.
 *
 *   text  2026-11-24T23:42:05.123456Z info epp: message
 *   json  {"time":"2026-11-24T23:42:05.123456Z","level":"info","room":"epp","message":"message"}
 *
 * A message longer than MESSAGE_MAX ends in "...". What could end a line, move a terminal's cursor or break JSON is
 * written as an escape in both forms, so a line in the log is always a line of ours.
 */
#include "base/base.h"

#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

#define MESSAGE_MAX 2048
#define ESCAPED_MAX 6 /* \u0000 */
#define LINE_MAX_BYTES (MESSAGE_MAX * ESCAPED_MAX + 256)

static const char *const level_names[] = {
	[LOG_ERROR_] = "error",
	[LOG_WARN_] = "warn",
	[LOG_INFO_] = "info",
	[LOG_DEBUG_] = "debug",
};

/* fd and json are set before threads start. The level alone changes later; nothing depends on its order: relaxed. */
static struct {
	int fd;
	bool json;
	_Atomic int level;
} sink = {.fd = STDERR_FILENO, .json = false, .level = LOG_INFO_};

struct line {
	char p[LINE_MAX_BYTES];
	size_t n;
};

void log_setup(FILE *to, bool json, enum log_level level)
{
	sink.fd = fileno(to);
	sink.json = json;
	log_set_level(level);
}

void log_set_level(enum log_level level)
{
	atomic_store_explicit(&sink.level, (int)level, memory_order_relaxed);
}

enum ceir_err log_level_parse(struct str s, enum log_level *level)
{
	for (size_t i = 0; i < CEIR_COUNT(level_names); i++) {
		if (str_eq_c(s, level_names[i])) {
			*level = (enum log_level)i;
			return CEIR_OK;
		}
	}
	return CEIR_EINVAL;
}

static void line_put(struct line *l, const char *p, size_t n)
{
	if (n > sizeof(l->p) - l->n)
		n = sizeof(l->p) - l->n;
	memcpy(l->p + l->n, p, n);
	l->n += n;
}

static void line_c(struct line *l, const char *c_string)
{
	line_put(l, c_string, strlen(c_string));
}

static void line_escape(struct line *l, unsigned code)
{
	char text[8];
	int n = snprintf(text, sizeof(text), "\\u%04x", code);

	line_put(l, text, (size_t)n);
}

static void line_text(struct line *l, struct str s)
{
	while (s.n > 0) {
		unsigned char c = (unsigned char)s.p[0];
		size_t n = str_utf8_len(s);
		/* U+0080..U+009F are control characters too (C2 80..9F). */
		bool c1 = n == 2 && c == 0xc2 && (unsigned char)s.p[1] < 0xa0;

		if (n == 0) {
			line_escape(l, 0xfffd);
			n = 1;
		} else if (c1) {
			line_escape(l, (unsigned char)s.p[1]);
		} else if (c < 0x20 || c == 0x7f) {
			line_escape(l, c);
		} else {
			if (sink.json && (c == '"' || c == '\\'))
				line_put(l, "\\", 1);
			line_put(l, s.p, n);
		}
		s.p += n;
		s.n -= n;
	}
}

void log_msg(enum log_level level, const char *room, const char *format, ...)
{
	struct line l = {.n = 0};
	char message[MESSAGE_MAX], when[TIME_RFC3339_MAX];
	va_list args;
	int n;

	if ((int)level > atomic_load_explicit(&sink.level, memory_order_relaxed))
		return;
	va_start(args, format);
	n = vsnprintf(message, sizeof(message), format, args);
	va_end(args);
	if (n >= (int)sizeof(message))
		memcpy(message + sizeof(message) - 4, "...", 4);
	time_rfc3339(clock_real_us(), when);

	line_c(&l, sink.json ? "{\"time\":\"" : "");
	line_c(&l, when);
	line_c(&l, sink.json ? "\",\"level\":\"" : " ");
	line_c(&l, level_names[level]);
	line_c(&l, sink.json ? "\",\"room\":\"" : " ");
	line_text(&l, str_of(room));
	line_c(&l, sink.json ? "\",\"message\":\"" : ": ");
	line_text(&l, n < 0 ? str_of(format) : str_of(message));
	line_c(&l, sink.json ? "\"}\n" : "\n");
	/* A log that cannot be written has nowhere to complain; the server goes on. */
	if (fd_write_all(sink.fd, l.p, l.n) != CEIR_OK)
		return;
}

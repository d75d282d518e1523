/*
 * ctl_split.c - see ctl_split.h. One state for each kind of markup of XML 1.0; one byte at a time, so that it does not matter
 * how the stream is cut into reads.
 */
#include "ctl/ctl_split.h"

#include <string.h>

enum { TEXT, OPENED, BANG, INSTRUCTION, COMMENT, SECTION, DOCTYPE, START_TAG, END_TAG };

void ctl_split_put(struct ctl_split *s, const void *bytes, size_t n)
{
	if (s->begin > 0) { /* documents that were taken make room */
		memmove(s->in.p, s->in.p + s->begin, s->in.n - s->begin);
		s->in.n -= s->begin;
		s->at -= s->begin;
		s->mark -= s->mark < s->begin ? s->mark : s->begin;
		s->begin = 0;
	}
	buf_put(&s->in, bytes, n);
}

static bool is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* "<?xml " may stand only at the start of a document: comments before it belonged to nothing. */
static bool is_declaration(const struct ctl_split *s)
{
	const char *p = s->in.p + s->mark;

	return s->at - s->mark >= 6 && memcmp(p, "<?xml", 5) == 0 && is_space(p[5]);
}

/* Between markup. Outside of the root element only space may stand, and a byte order mark before it. */
static void step_text(struct ctl_split *s, char c)
{
	if (c == '<') {
		s->state = OPENED;
		s->mark = s->at;
	} else if (s->depth == 0 && is_space(c)) {
		if (s->begin == s->at)
			s->begin++;
	} else if (s->depth == 0 && !(s->at - s->begin < 3 && c == "\xEF\xBB\xBF"[s->at - s->begin])) {
		s->whole = true;
	}
}

/* The character after "<" or "<!" says what it is. */
static void step_opened(struct ctl_split *s, char c)
{
	s->quote = 0;
	s->run = 0;
	s->brackets = 0;
	if (s->state == OPENED) {
		s->state = c == '!' ? BANG : c == '?' ? INSTRUCTION : c == '/' ? END_TAG : START_TAG;
		return;
	}
	s->state = c == '-' ? COMMENT : c == '[' ? SECTION : DOCTYPE;
	if (s->state == COMMENT)
		s->run = -1; /* the second dash of "<!--" does not count towards "-->" */
}

/* Comment, CDATA section, processing instruction: they end with a mark repeated `need` times and ">". */
static void step_until(struct ctl_split *s, char c, char mark, int need)
{
	if (c == '>' && s->run >= need) {
		bool after_bom = s->mark - s->begin == 3 && memcmp(s->in.p + s->begin, "\xEF\xBB\xBF", 3) == 0;
		if (s->state == INSTRUCTION && s->depth == 0 && is_declaration(s) && !after_bom)
			s->begin = s->mark;
		s->state = TEXT;
	} else {
		s->run = c == mark ? s->run + 1 : 0;
	}
}

static void step_doctype(struct ctl_split *s, char c)
{
	if (s->quote) {
		if (c == s->quote)
			s->quote = 0;
	} else if (c == '"' || c == '\'') {
		s->quote = c;
	} else if (c == '[') {
		s->brackets++;
	} else if (c == ']' && s->brackets > 0) {
		s->brackets--;
	} else if (c == '>' && s->brackets == 0) {
		s->state = TEXT;
	}
}

/* true: the root element has ended with this byte. */
static bool step_tag(struct ctl_split *s, char c)
{
	if (s->quote) {
		if (c == s->quote)
			s->quote = 0;
		return false;
	}
	if (s->state == START_TAG && (c == '"' || c == '\'')) {
		s->quote = c;
	} else if (c == '>') {
		if (s->state == START_TAG && s->run == 0)
			s->depth++;
		else if (s->state == END_TAG && s->depth == 0)
			s->whole = true; /* closes what was never opened */
		else if (s->state == END_TAG)
			s->depth--;
		s->state = TEXT;
		return s->depth == 0 && !s->whole;
	}
	s->run = c == '/';
	return false;
}

static bool step(struct ctl_split *s, char c)
{
	switch (s->state) {
	case TEXT:
		step_text(s, c);
		return false;
	case OPENED:
	case BANG:
		step_opened(s, c);
		return false;
	case INSTRUCTION:
		step_until(s, c, '?', 1);
		return false;
	case COMMENT:
		step_until(s, c, '-', 2);
		return false;
	case SECTION:
		step_until(s, c, ']', 2);
		return false;
	case DOCTYPE:
		step_doctype(s, c);
		return false;
	default:
		return step_tag(s, c);
	}
}

bool ctl_split_next(struct ctl_split *s, struct str *document)
{
	while (s->at < s->in.n && !s->whole) {
		bool ended = step(s, s->in.p[s->at]);
		s->at++;
		if (ended) {
			*document = (struct str){s->in.p + s->begin, s->at - s->begin};
			s->begin = s->at;
			return true;
		}
	}
	return false;
}

bool ctl_split_rest(struct ctl_split *s, struct str *document)
{
	struct str rest = {s->in.p, s->in.n};

	if (s->begin > 0)
		rest = (struct str){s->in.p + s->begin, s->in.n - s->begin};
	if (str_trim(rest).n == 0 || (!s->whole && s->state == TEXT && s->depth == 0))
		return false;
	s->begin = s->at = s->in.n;
	*document = rest;
	return true;
}

void ctl_split_free(struct ctl_split *s)
{
	buf_free(&s->in);
}

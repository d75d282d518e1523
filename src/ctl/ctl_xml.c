/*
 * ctl_xml.c - see ctl_xml.h.
 */
#include "ctl/ctl_xml.h"

#include <unistd.h>

void ctl_xml_text(struct buf *b, struct str text)
{
	size_t from = 0;

	for (size_t i = 0; i < text.n; i++) {
		const char *as = NULL;
		switch (text.p[i]) {
		case '&':
			as = "&amp;";
			break;
		case '<':
			as = "&lt;";
			break;
		case '>':
			as = "&gt;";
			break;
		case '"':
			as = "&quot;";
			break;
		case '\r': /* a parser would turn it into a line feed */
			as = "&#13;";
			break;
		default:
			continue;
		}
		buf_put(b, text.p + from, i - from);
		buf_c(b, as);
		from = i + 1;
	}
	if (text.n > from)
		buf_put(b, text.p + from, text.n - from);
}

static void name_put(struct buf *b, const char *prefix, const char *name)
{
	if (prefix) {
		buf_c(b, prefix);
		buf_char(b, ':');
	}
	buf_c(b, name);
}

void ctl_xml_open(struct buf *b, const char *prefix, const char *name)
{
	buf_char(b, '<');
	name_put(b, prefix, name);
	buf_char(b, '>');
}

void ctl_xml_close(struct buf *b, const char *prefix, const char *name)
{
	buf_c(b, "</");
	name_put(b, prefix, name);
	buf_char(b, '>');
}

void ctl_xml_element(struct buf *b, const char *prefix, const char *name, struct str text)
{
	ctl_xml_open(b, prefix, name);
	ctl_xml_text(b, text);
	ctl_xml_close(b, prefix, name);
}

void ctl_cltrid_make(char out[CTL_CLTRID_MAX])
{
	static unsigned serial; /* the program has one thread */
	char now[TIME_RFC3339_MAX];

	time_rfc3339(clock_real_us(), now);
	/* "2026-11-24T23:42:05.123456Z" to "20261124234205" */
	snprintf(out, CTL_CLTRID_MAX, "CTL-%ld-%.4s%.2s%.2s%.2s%.2s%.2s-%u", (long)getpid(), now, now + 5, now + 8, now + 11,
		now + 14, now + 17, ++serial);
}

void ctl_frame_begin(struct buf *b)
{
	buf_c(b, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<epp xmlns=\"" CTL_EPP_URI "\"><command>");
}

void ctl_frame_end(struct buf *b)
{
	char id[CTL_CLTRID_MAX];

	ctl_cltrid_make(id);
	ctl_xml_element(b, NULL, "clTRID", str_of(id));
	buf_c(b, "</command></epp>");
}

void ctl_verb_begin(struct buf *b, const char *verb, const char *attributes, const char *object, const char *uri)
{
	buf_printf(b, "<%s%s><%s:%s xmlns:%s=\"%s\">", verb, attributes, object, verb, object, uri);
}

void ctl_verb_end(struct buf *b, const char *verb, const char *object)
{
	buf_printf(b, "</%s:%s></%s>", object, verb, verb);
}

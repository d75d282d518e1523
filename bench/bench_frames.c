/*
 * bench_frames.c - the commands of the load, rendered once with holes for clTRID and IMEIs.
 */
#include "bench.h"

#include <string.h>

#define PROLOGUE                                                                                                                   \
	"<?xml version=\"1.0\" encoding=\"UTF-8\" standalone=\"no\"?>\n<epp xmlns=\"urn:ietf:params:xml:ns:epp-1.0\"><command>"
#define EPILOGUE "</clTRID></command></epp>"
#define HEADER 4u /* RFC 5734 4: total length, header included, network byte order */

static void frame_begin(struct buf *b)
{
	buf_put(b, "\0\0\0\0", HEADER);
	buf_c(b, PROLOGUE);
}

static void frame_end(struct buf *b, const char *cltrid)
{
	buf_c(b, "<clTRID>");
	buf_c(b, cltrid);
	buf_c(b, EPILOGUE);
	if (b->failed)
		return;
	for (unsigned i = 0; i < HEADER; i++)
		b->p[i] = (char)(unsigned char)(b->n >> (24 - 8 * i));
}

/* Ends a frame that has holes. */
static enum ceir_err frame_close(struct bench_frame *f)
{
	static const char placeholder[] = "b0000000000-000-00000000";

	_Static_assert(sizeof placeholder == BENCH_CLTRID + 1, "clTRID has a fixed width");
	f->cltrid = f->bytes.n + strlen("<clTRID>");
	frame_end(&f->bytes, placeholder);
	if (!f->bytes.failed)
		return CEIR_OK;
	bench_frame_free(f);
	return CEIR_ENOMEM;
}

/* names times before, 15 digits, after. */
static void frame_names(struct bench_frame *f, size_t names, const char *before, const char *after)
{
	f->names = names;
	f->name = f->bytes.n + strlen(before);
	f->stride = strlen(before) + IMEI_DIGITS + strlen(after);
	for (size_t i = 0; i < names; i++) {
		buf_c(&f->bytes, before);
		buf_c(&f->bytes, "000000000000000");
		buf_c(&f->bytes, after);
	}
}

static void frame_init(struct bench_frame *f)
{
	*f = (struct bench_frame){.bytes = BUF_INIT(0)};
	frame_begin(&f->bytes);
}

enum ceir_err bench_frame_check(struct bench_frame *f, size_t names)
{
	frame_init(f);
	buf_c(&f->bytes, "<check><imei:check xmlns:imei=\"urn:ietf:params:xml:ns:imei-1.0\">");
	frame_names(f, names, "<imei:name>", "</imei:name>");
	buf_c(&f->bytes, "</imei:check></check>");
	return frame_close(f);
}

enum ceir_err bench_frame_listing(struct bench_frame *f)
{
	frame_init(f);
	buf_c(&f->bytes, "<create><listing:create xmlns:listing=\"urn:ceir:params:xml:ns:listing-1.0\">");
	frame_names(f, 1, "<listing:imei>", "</listing:imei>");
	buf_c(&f->bytes,
		"<listing:colour>black</listing:colour><listing:reason>stolen</listing:reason>"
		"<listing:ground>Case 12026000000123, Kyiv police, Shevchenko district</listing:ground></listing:create></create>");
	return frame_close(f);
}

enum ceir_err bench_frame_rows(struct bench_frame *f, struct str application, size_t rows)
{
	frame_init(f);
	buf_c(&f->bytes, "<update><update xmlns=\"urn:ceir:params:xml:ns:application-1.0\"><id>");
	buf_str(&f->bytes, application);
	buf_c(&f->bytes, "</id><add>");
	frame_names(f, rows, "<device><imei>", "</imei></device>");
	buf_c(&f->bytes, "</add></update></update>");
	return frame_close(f);
}

void bench_frame_free(struct bench_frame *f)
{
	buf_free(&f->bytes);
}

/* Decimal, right-aligned in n characters. */
static void digits(char *out, unsigned n, uint64_t value)
{
	for (; n > 0; value /= 10)
		out[--n] = (char)('0' + value % 10);
}

void bench_cltrid(char out[BENCH_CLTRID], uint64_t start_s, unsigned session, uint64_t number)
{
	out[0] = 'b';
	digits(out + 1, 10, start_s);
	out[11] = '-';
	digits(out + 12, 3, session);
	out[15] = '-';
	digits(out + 16, 8, number);
}

void bench_frame_plain(struct buf *out, const char *inner, const char *cltrid)
{
	buf_clear(out);
	frame_begin(out);
	buf_c(out, inner);
	frame_end(out, cltrid);
}

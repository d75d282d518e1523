/*
 * ctl_progress.c - one line on the terminal that says how far a long job is.
 */
#include "ctl/ctl_internal.h"

#include <unistd.h>

#define BAR 30u
#define EVERY_US 200000

void ctl_progress_begin(struct ctl_progress *p, const struct ctl *c, const char *what, uint64_t total_bytes)
{
	*p = (struct ctl_progress){.what = !c->args.quiet && isatty(STDERR_FILENO) ? what : NULL,
		.total_bytes = total_bytes,
		.begin_us = clock_mono_us()};
}

/* Is it time? Then the bar, which is empty when nobody knows how much there is, and the seconds since the beginning. */
static bool due(struct ctl_progress *p, uint64_t bytes, char bar[BAR + 1], double *seconds)
{
	int64_t now = clock_mono_us();

	bar[0] = '\0';
	if (!p->what || now - p->shown_us < EVERY_US)
		return false;
	p->shown_us = now;
	if (p->total_bytes) {
		unsigned filled = bytes >= p->total_bytes ? BAR : (unsigned)((double)bytes * BAR / (double)p->total_bytes);
		for (unsigned i = 0; i < BAR; i++)
			bar[i] = i < filled ? '#' : '-';
		bar[BAR] = '\0';
	}
	*seconds = (double)(now - p->begin_us) / 1e6;
	return true;
}

void ctl_progress_show(struct ctl_progress *p, uint64_t bytes, uint64_t rows)
{
	char bar[BAR + 1];
	double seconds;

	if (!due(p, bytes, bar, &seconds))
		return;
	fprintf(stderr, "\r\033[K%s %s %llu rows, %.0f/s", p->what, bar, (unsigned long long)rows,
		seconds > 0 ? (double)rows / seconds : 0.0);
	fflush(stderr);
}

void ctl_progress_bytes(struct ctl_progress *p, uint64_t bytes)
{
	char bar[BAR + 1];
	double seconds;

	if (!due(p, bytes, bar, &seconds))
		return;
	fprintf(stderr, "\r\033[K%s %s %.1f MB, %.1f MB/s", p->what, bar, (double)bytes / 1e6,
		seconds > 0 ? (double)bytes / 1e6 / seconds : 0.0);
	fflush(stderr);
}

void ctl_progress_end(struct ctl_progress *p)
{
	if (p->what)
		fputs("\r\033[K", stderr);
	p->what = NULL;
}

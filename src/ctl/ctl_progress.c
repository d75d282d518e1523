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

void ctl_progress_show(struct ctl_progress *p, uint64_t bytes, uint64_t rows)
{
	int64_t now = clock_mono_us();
	char bar[BAR + 1] = "";

	if (!p->what || now - p->shown_us < EVERY_US)
		return;
	p->shown_us = now;
	if (p->total_bytes) {
		unsigned filled = bytes >= p->total_bytes ? BAR : (unsigned)(bytes * BAR / p->total_bytes);
		for (unsigned i = 0; i < BAR; i++)
			bar[i] = i < filled ? '#' : '-';
		bar[BAR] = '\0';
	}
	double seconds = (double)(now - p->begin_us) / 1e6;
	fprintf(stderr, "\r\033[K%s %s %llu rows, %.0f/s", p->what, bar, (unsigned long long)rows,
		seconds > 0 ? (double)rows / seconds : 0.0);
	fflush(stderr);
}

void ctl_progress_end(struct ctl_progress *p)
{
	if (p->what)
		fputs("\r\033[K", stderr);
	p->what = NULL;
}

/* base_thread.c - threads that can be told apart in a debugger and leave signals to the main thread. */
#include "base/base.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>

#define NAME_BYTES 16 /* Linux: 15 and a NUL */

struct beginning {
	void *(*run)(void *);
	void *arg;
	char name[NAME_BYTES];
};

/* The thread names itself: its starter could be too late, when it has ended already. */
static void *begin(void *arg)
{
	struct beginning b = *(struct beginning *)arg;

	free(arg);
	(void)pthread_setname_np(pthread_self(), b.name);
	return b.run(b.arg);
}

enum ceir_err thread_start(const char *name, void *(*run)(void *), void *arg, pthread_t *thread)
{
	struct beginning *b = malloc(sizeof(*b));
	sigset_t all, before;
	int failed;

	if (b == NULL)
		return CEIR_ENOMEM;
	*b = (struct beginning){.run = run, .arg = arg};
	memcpy(b->name, name, strnlen(name, NAME_BYTES - 1));
	sigfillset(&all);
	/* A thread inherits the mask of its creator: blocked before, so that no signal can slip in. */
	CEIR_ASSERT(pthread_sigmask(SIG_SETMASK, &all, &before) == 0);
	failed = pthread_create(thread, NULL, begin, b);
	CEIR_ASSERT(pthread_sigmask(SIG_SETMASK, &before, NULL) == 0);
	if (failed != 0) {
		free(b);
		return CEIR_ENOMEM;
	}
	return CEIR_OK;
}

void thread_cond_init(pthread_cond_t *cond)
{
	pthread_condattr_t attr;

	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(cond, &attr);
	pthread_condattr_destroy(&attr);
}

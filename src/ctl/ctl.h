/*
 * ctl.h - ceirctl: an EPP client for people and scripts. A program like any client's: it has no right and no knowledge beyond
 * the protocol and the public tables of objects and fields.
 */
#ifndef CEIR_CTL_H
#define CEIR_CTL_H

/* Exit status of the program; part of its contract (docs/ceirctl.md). */
enum ctl_exit {
	CTL_OK = 0,
	CTL_REFUSED = 1,    /* the server answered with a code of 2000 or above, or lines of a file were left out */
	CTL_USAGE = 2,      /* the command line or a local file is wrong; nothing was sent, or no more */
	CTL_CONNECTION = 3, /* no connection, or it broke */
};

/* The whole program. Returns its exit status. */
int ctl_main(int argc, char **argv);

#endif

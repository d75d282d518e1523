/* registry_inbox.h - what the two files about the inbox share; registry_inbox.c says what the inbox is. */
#ifndef CEIR_REGISTRY_INBOX_H
#define CEIR_REGISTRY_INBOX_H

#include <sys/stat.h>

#include "registry/registry_delivery.h"

/* One operator's folder, open while it is looked at. Descriptors, because what is in there is written by strangers. */
struct inbox_box {
	struct registry *r;
	char operator_code[33];
	int fd, done, refused;          /* the folder, done/ and refused/ */
};

enum inbox_outcome {
	INBOX_TAKEN,    /* answered, moved away */
	INBOX_GROWS,    /* it changed while it was read: not complete after all */
	INBOX_LATER,    /* the register cannot take it now (disk full, too many at once, closing) */
};

/* Delivers one file, writes its answer and moves it. st: as it was when it was found complete. */
enum inbox_outcome inbox_file(const struct inbox_box *b, const char *name, const struct stat *st);

#endif

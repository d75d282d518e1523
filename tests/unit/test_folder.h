/*
 * test_folder.h - where a test keeps its files: a new folder below TMPDIR (/tmp when it is not set). A folder in memory makes a test that
 * waits for the disk many times as fast, and proves as much: what the kernel has outlives a kill.
 */
#ifndef CEIR_TEST_FOLDER_H
#define CEIR_TEST_FOLDER_H

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

/* Makes PREFIX-XXXXXX there; its path into out. false: it cannot be made, or does not fit. */
static inline bool test_folder(char *out, size_t size, const char *prefix)
{
	const char *tmp = getenv("TMPDIR");
	int n = snprintf(out, size, "%s/%s-XXXXXX", tmp && tmp[0] ? tmp : "/tmp", prefix);

	return n > 0 && (size_t)n < size && mkdtemp(out);
}

#endif

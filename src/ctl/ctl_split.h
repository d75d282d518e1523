/*
 * ctl_split.h - a stream of XML documents, one after another, into single documents. Not a parser: it knows just enough of
 * XML 1.0 to see where a root element ends, so that what is not well-formed still reaches the server as it was written.
 */
#ifndef CEIR_CTL_SPLIT_H
#define CEIR_CTL_SPLIT_H

#include "base/base.h"

struct ctl_split {
	struct buf in;
	size_t begin; /* of the document being read */
	size_t at;    /* first byte not looked at */
	size_t mark;  /* where the markup that `state` is in began */
	int state;
	char quote;     /* open quotation mark, 0: none */
	int run;        /* dashes, brackets, question mark or slash just before `at` */
	unsigned depth; /* open elements; of brackets while in a DOCTYPE: brackets */
	unsigned brackets;
	bool whole; /* cannot be split: the rest is one document */
};

/* Zeroed memory is a splitter that has seen nothing. */
void ctl_split_put(struct ctl_split *s, const void *bytes, size_t n);
/* Takes the next complete document; the view is good until the next call. false: more bytes are needed. */
bool ctl_split_next(struct ctl_split *s, struct str *document);
/* After the last byte: what is left, an unfinished document or one that could not be split. false: nothing but space and comments.
 */
bool ctl_split_rest(struct ctl_split *s, struct str *document);
void ctl_split_free(struct ctl_split *s);

#endif

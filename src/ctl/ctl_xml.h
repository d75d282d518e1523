/*
 * ctl_xml.h - writing EPP documents into a buf: escaping, the frame around a command, transaction ids.
 */
#ifndef CEIR_CTL_XML_H
#define CEIR_CTL_XML_H

#include "base/base.h"

#define CTL_EPP_URI "urn:ietf:params:xml:ns:epp-1.0"
#define CTL_QUERY_URI "urn:ceir:params:xml:ns:query-1.0"
#define CTL_CLTRID_MAX 64

/* Text as XML character data or attribute value: the five special characters as references, line ends kept. */
void ctl_xml_text(struct buf *b, struct str text);
/* <prefix:name>text</prefix:name>; prefix NULL: none. */
void ctl_xml_element(struct buf *b, const char *prefix, const char *name, struct str text);
void ctl_xml_open(struct buf *b, const char *prefix, const char *name);
void ctl_xml_close(struct buf *b, const char *prefix, const char *name);

/* A fresh "CTL-<pid>-<UTC time>-<n>": unique for this machine. */
void ctl_cltrid_make(char out[CTL_CLTRID_MAX]);

/* The document up to and with <command>. */
void ctl_frame_begin(struct buf *b);
/* clTRID and the end of the document. */
void ctl_frame_end(struct buf *b);
/* <verb><object:verb xmlns:object="uri"> and its end; attributes: text for the EPP element, "" for none. */
void ctl_verb_begin(struct buf *b, const char *verb, const char *attributes, const char *object, const char *uri);
void ctl_verb_end(struct buf *b, const char *verb, const char *object);

#endif

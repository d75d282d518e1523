/*
 * exchange_table_read_xml.c - records as XML (schemas/records-1.0.xsd):
 *
 *   <records xmlns="urn:ceir:params:xml:ns:records-1.0" type="permit"><permit><number>..</number>..</permit>..</records>
 *
 * libxml2's push parser calls back with what it sees; no tree, no DTD, no entities but the five of XML itself, nothing fetched. The elements of the first
 * record that has any are the columns. An element that stands in a record again is joined to the first one with a space: that is how a column holds many.
 */
#include "exchange/exchange_table_read.h"

#include <errno.h>
#include <libxml/SAX2.h>
#include <libxml/parser.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define BLOCK_BYTES ((size_t)64 << 10)
#define NAMESPACE "urn:ceir:params:xml:ns:records-1.0"

enum depth { DEPTH_OUTSIDE, DEPTH_RECORDS, DEPTH_RECORD, DEPTH_FIELD };

struct table_xml {
	int fd;
	off_t at;
	bool ended;
	xmlParserCtxtPtr xml;
	enum table_why why;          /* set: the parser has been stopped */
	struct table_encoder e;
	char *block;

	unsigned depth;
	bool named;                  /* the columns are known */
	char *names[TABLE_COLUMNS_MAX];
	size_t columns;
	struct buf fields[TABLE_COLUMNS_MAX];
	size_t column;               /* of the field under way; TABLE_COLUMNS_MAX: none of ours */
	uint64_t line;               /* of the record */
	enum table_fault fault;
};

static void stop(struct table_xml *x, enum table_why why)
{
	x->why = why;
	xmlStopParser(x->xml);
}

static void on_doctype(void *ctx, const xmlChar *name, const xmlChar *external, const xmlChar *system)
{
	(void)name, (void)external, (void)system;
	stop(ctx, TABLE_WHY_XML_DOCTYPE);
}

static void on_error(void *ctx, xmlErrorPtr error)
{
	(void)ctx, (void)error; /* the context keeps it */
}

/* The column of an element, a new one in the first record; TABLE_COLUMNS_MAX: none. */
static size_t column_of(struct table_xml *x, const char *name)
{
	for (size_t i = 0; i < x->columns; i++)
		if (strcmp(x->names[i], name) == 0)
			return i;
	if (x->named) {
		x->fault = x->fault == TABLE_GOOD ? TABLE_FAULT_COLUMNS : x->fault;
		return TABLE_COLUMNS_MAX;
	}
	if (x->columns == TABLE_COLUMNS_MAX) {
		stop(x, TABLE_WHY_WIDE);
		return TABLE_COLUMNS_MAX;
	}
	x->names[x->columns] = strdup(name);
	if (x->names[x->columns] == NULL) {
		stop(x, TABLE_WHY_MEMORY);
		return TABLE_COLUMNS_MAX;
	}
	return x->columns++;
}

static void record_begin(struct table_xml *x)
{
	int line = xmlSAX2GetLineNumber(x->xml);

	x->line = line > 0 ? (uint64_t)line : 1;
	x->fault = TABLE_GOOD;
	for (size_t i = 0; i < x->columns; i++)
		buf_clear(&x->fields[i]);
}

static void field_begin(struct table_xml *x, const char *name)
{
	struct buf *field;

	x->column = column_of(x, name);
	field = x->column < TABLE_COLUMNS_MAX ? &x->fields[x->column] : NULL;
	if (field != NULL && field->n > 0)
		table_text_add(field, " ", 1);
}

static void on_start(void *ctx, const xmlChar *name, const xmlChar *prefix, const xmlChar *uri, int namespaces_n, const xmlChar **namespaces, int attributes_n,
	int defaulted, const xmlChar **attributes)
{
	struct table_xml *x = ctx;

	(void)prefix, (void)namespaces_n, (void)namespaces, (void)attributes_n, (void)defaulted, (void)attributes;
	switch (x->depth++) {
	case DEPTH_OUTSIDE:
		if (strcmp((const char *)name, "records") != 0 || uri == NULL || strcmp((const char *)uri, NAMESPACE) != 0)
			stop(x, TABLE_WHY_XML_ROOT);
		break;
	case DEPTH_RECORDS:
		record_begin(x);
		break;
	case DEPTH_RECORD:
		field_begin(x, (const char *)name);
		break;
	default:
		stop(x, TABLE_WHY_XML_DEPTH);
		break;
	}
}

static bool is_space(const char *p, size_t n)
{
	return str_trim((struct str){p, n}).n == 0;
}

static void on_characters(void *ctx, const xmlChar *p, int n)
{
	struct table_xml *x = ctx;

	if (x->depth == DEPTH_FIELD && x->column < TABLE_COLUMNS_MAX)
		table_text_add(&x->fields[x->column], (const char *)p, (size_t)n);
	else if (x->depth == DEPTH_RECORD && x->fault == TABLE_GOOD && !is_space((const char *)p, (size_t)n))
		x->fault = TABLE_FAULT_LINE; /* text between the fields */
}

static void put_names(struct table_xml *x)
{
	table_encode_row(&x->e, x->line);
	for (size_t i = 0; i < x->columns; i++)
		table_encode_cell(&x->e, i, TABLE_TEXT, str_of(x->names[i]));
	table_encode_row_end(&x->e);
	x->named = true;
}

static void record_end(struct table_xml *x)
{
	if (x->columns == 0 && x->fault == TABLE_GOOD)
		return;
	if (!x->named)
		put_names(x);
	table_encode_row(&x->e, x->line);
	for (size_t i = 0; i < x->columns; i++) {
		if (x->fields[i].failed)
			x->e.err = CEIR_ENOMEM;
		table_encode_cell(&x->e, i, TABLE_TEXT, buf_view(&x->fields[i]));
	}
	if (x->fault != TABLE_GOOD)
		table_encode_fault(&x->e, x->fault, 0);
	table_encode_row_end(&x->e);
}

static void on_end(void *ctx, const xmlChar *name, const xmlChar *prefix, const xmlChar *uri)
{
	struct table_xml *x = ctx;

	(void)name, (void)prefix, (void)uri;
	if (--x->depth == DEPTH_RECORDS)
		record_end(x);
}

static enum ceir_err frames_out(void *ctx, struct str frames)
{
	struct buf *to = ctx;

	buf_str(to, frames);
	return to->failed ? CEIR_ENOMEM : CEIR_OK;
}

enum ceir_err table_xml_new(int fd, struct table_xml **out)
{
	static const xmlSAXHandler sax = {.initialized = XML_SAX2_MAGIC, .internalSubset = on_doctype, .startElementNs = on_start, .endElementNs = on_end,
		.characters = on_characters, .cdataBlock = on_characters, .serror = on_error};
	struct table_xml *x = calloc(1, sizeof(*x));

	*out = NULL;
	if (x == NULL)
		return CEIR_ENOMEM;
	x->fd = fd;
	x->e.out = frames_out;
	x->block = malloc(BLOCK_BYTES);
	/* The parser copies the handlers; its declaration does not say so. */
	x->xml = xmlCreatePushParserCtxt((xmlSAXHandlerPtr)(uintptr_t)&sax, x, NULL, 0, NULL);
	if (x->block == NULL || x->xml == NULL) {
		table_xml_free(x);
		return CEIR_ENOMEM;
	}
	xmlCtxtUseOptions(x->xml, XML_PARSE_NONET);
	*out = x;
	return CEIR_OK;
}

void table_xml_free(struct table_xml *x)
{
	if (x == NULL)
		return;
	for (size_t i = 0; i < TABLE_COLUMNS_MAX; i++) {
		free(x->names[i]);
		buf_free(&x->fields[i]);
	}
	if (x->xml != NULL && x->xml->myDoc != NULL)
		xmlFreeDoc(x->xml->myDoc);
	xmlFreeParserCtxt(x->xml);
	buf_free(&x->e.frames);
	free(x->block);
	free(x);
}

/* What the file has next, through the parser. */
static enum ceir_err parse_block(struct table_xml *x)
{
	ssize_t n;

	do
		n = pread(x->fd, x->block, BLOCK_BYTES, x->at);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return ceir_err_of_errno(errno);
	x->at += n;
	x->ended = n == 0;
	if (xmlParseChunk(x->xml, x->block, (int)n, x->ended) != 0 && x->why == TABLE_WHY_NONE)
		x->why = x->xml->errNo == XML_ERR_NO_MEMORY ? TABLE_WHY_MEMORY : TABLE_WHY_XML;
	/* Warnings about namespaces are none of ours: only what is not well formed counts. */
	if (x->why == TABLE_WHY_XML && x->xml->wellFormed)
		x->why = TABLE_WHY_NONE;
	return x->e.err;
}

enum ceir_err table_xml_more(void *xml, struct buf *frames, enum table_why *why)
{
	struct table_xml *x = xml;
	size_t before = frames->n;
	enum ceir_err err = CEIR_OK;

	(void)why;
	x->e.ctx = frames;
	while (!err && frames->n == before) {
		if (x->ended || x->why != TABLE_WHY_NONE)
			return table_encode_end(&x->e, x->why);
		err = parse_block(x);
	}
	return err;
}

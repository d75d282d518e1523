/* epp_schema.c - compiles the embedded schemas, and bars libxml2 from every other source. */
#include "epp/epp_schema.h"

#include <libxml/parser.h>
#include <libxml/parserInternals.h>
#include <pthread.h>
#include <string.h>

const char *const epp_extension_uris[EPP_EXTENSIONS] = {
	[EPP_EXT_QUERY] = EPP_QUERY_URI,
	[EPP_EXT_LOGINSEC] = EPP_LOGINSEC_URI,
};

static xmlSchemaPtr schema;

static const struct epp_embedded *embedded_find(const char *url)
{
	const char *slash = url ? strrchr(url, '/') : NULL;
	const char *file = slash ? slash + 1 : url;

	for (const struct epp_embedded *e = epp_embedded; file && e->file; e++)
		if (strcmp(e->file, file) == 0)
			return e;
	return NULL;
}

/*
 * libxml2 asks here for whatever it wants to open: schemas that schemas import, and what a document from outside tries to
 * name (external entities, DTDs). Only the former are ours to give.
 */
static xmlParserInputPtr embedded_load(const char *url, const char *id, xmlParserCtxtPtr ctxt)
{
	const struct epp_embedded *e = embedded_find(url);
	xmlParserInputBufferPtr bytes;
	xmlParserInputPtr input;

	(void)id;
	if (!e)
		return NULL;
	bytes = xmlParserInputBufferCreateMem(e->text.p, (int)e->text.n, XML_CHAR_ENCODING_UTF8);
	if (!bytes)
		return NULL;
	input = xmlNewIOInputStream(ctxt, bytes, XML_CHAR_ENCODING_NONE);
	if (!input) {
		xmlFreeParserInputBuffer(bytes);
		return NULL;
	}
	input->filename = (char *)xmlStrdup((const xmlChar *)e->file);
	return input;
}

static void schema_complain(void *ctx, xmlErrorPtr error)
{
	struct str message = str_trim(str_of(error->message));

	(void)ctx;
	log_error("epp", "schema %s line %d: %.*s", error->file ? error->file : "?", error->line, (int)message.n, message.p);
}

/* A schema of no namespace that imports all the others. */
static void schema_driver(struct buf *out)
{
	buf_c(out, "<schema xmlns=\"http://www.w3.org/2001/XMLSchema\">");
	for (const struct epp_embedded *e = epp_embedded; e->file; e++)
		buf_printf(out, "<import namespace=\"%s\" schemaLocation=\"%s\"/>", e->uri, e->file);
	buf_c(out, "</schema>");
}

static void schema_compile(void)
{
	struct buf driver = BUF_INIT(0);
	xmlSchemaParserCtxtPtr ctxt = NULL;

	xmlInitParser();
	xmlSetExternalEntityLoader(embedded_load);
	schema_driver(&driver);
	if (!driver.failed)
		ctxt = xmlSchemaNewMemParserCtxt(driver.p, (int)driver.n);
	if (ctxt) {
		xmlSchemaSetParserStructuredErrors(ctxt, schema_complain, NULL);
		schema = xmlSchemaParse(ctxt);
		xmlSchemaFreeParserCtxt(ctxt);
	}
	if (!schema)
		log_error("epp", "the XML schemas cannot be compiled");
	buf_free(&driver);
}

xmlSchemaPtr epp_schema(void)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	pthread_once(&once, schema_compile);
	return schema;
}

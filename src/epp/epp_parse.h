/* epp_parse.h - what the files of the parser share: the frame as libxml2 and the hooks leave it, and ways to refuse it. */
#ifndef CEIR_EPP_PARSE_H
#define CEIR_EPP_PARSE_H

#include "epp/epp.h"
#include "epp/epp_schema.h"

#include <libxml/parser.h>

/* Which repeated element a row of equal elements is made of; see epp_xml.c. */
enum epp_row { EPP_ROW_NONE, EPP_ROW_NAME, EPP_ROW_IMEI, EPP_ROW_DEVICE };

/* One fault found by the schema, before it is told to the client. At most so many are told. */
#define EPP_FAULTS 8

struct epp_fault {
	enum reg_code code;
	const struct reg_detail *detail;
};

struct epp_parser {
	unsigned max_depth, max_names;
	xmlParserCtxtPtr ctxt;
	xmlSchemaValidCtxtPtr valid;
	xmlDocPtr doc;   /* of the frame before; what the command points into */
	struct buf text; /* scratch: text of a row's element, normalized text */

	/* The frame at work. */
	struct arena *arena;
	bool no_memory;
	const char *broken; /* why parsing was stopped; NULL: it was not */
	unsigned depth;
	struct str cltrid; /* of the right length; empty: none */

	/* The row of equal elements that is being read past the DOM (epp_xml.c). */
	xmlNodePtr row_parent;                         /* NULL: none */
	const xmlChar *row_name, *row_uri, *imei_name; /* from the parser's dictionary: compared by address */
	enum epp_row row;
	unsigned row_depth;         /* 0: not inside an element of the row; 1: in it; 2..: deeper */
	struct epp_fault row_fault; /* first; .code 0: none */

	/* Their values, in document order; the first of each row stands in the DOM too. */
	struct str *names;
	size_t n_names, names_size;
	struct reg_device *devices;
	size_t n_devices, devices_size;
	struct str *imeis; /* of the device being read */
	size_t n_imeis, imeis_size;
	size_t n_items; /* names and IMEIs, for max_names */

	/* What the schema found. */
	struct epp_fault faults[EPP_FAULTS];
	size_t n_faults;
	xmlNodePtr fault_node; /* of the last fault: libxml2 tells some twice */
};

/* ---- epp_xml.c: bytes to DOM and rows ---------------------------------------------------------------------------- */

enum ceir_err epp_xml_new(struct epp_parser *p);
void epp_xml_free(struct epp_parser *p);
/* p->doc, or NULL: p->broken or ctxt->lastError say why, or p->no_memory is set. */
void epp_xml_read(struct epp_parser *p, struct str xml);
/* When nothing more is asked of p->ctxt about the frame: gives back memory that it made grow. */
void epp_xml_done(struct epp_parser *p, size_t frame_bytes);
/* White space as xsd:token has it; s itself when nothing changes, else a copy in the arena. */
struct str epp_xml_token(struct epp_parser *p, struct str s);
/* Text of an element without children, as xsd:token has it. */
struct str epp_xml_text(struct epp_parser *p, xmlNodePtr node);
/* Value of an attribute of no namespace, as xsd:token has it; .p NULL: none. */
struct str epp_xml_attribute(struct epp_parser *p, xmlNodePtr node, const char *name);
xmlNodePtr epp_xml_first(xmlNodePtr node); /* first child element, NULL: none */
xmlNodePtr epp_xml_next(xmlNodePtr node);  /* next sibling element, NULL: none */
struct str epp_xml_name(xmlNodePtr node);  /* local name */
const char *epp_xml_uri(xmlNodePtr node);  /* namespace, "" for none */
bool epp_xml_is(xmlNodePtr node, const char *uri, const char *name);

/* ---- epp_fault.c: what is wrong with a frame --------------------------------------------------------------------- */

/* A detail in the arena; NULL: memory, noted in p. uri, element and reason are kept, of value what a detail may hold. */
const struct reg_detail *epp_fault_detail(
	struct epp_parser *p, const char *uri, const char *element, struct str value, const char *reason);
/* A detail about an element, with its text unless that may be a secret. */
const struct reg_detail *epp_fault_at(struct epp_parser *p, xmlNodePtr node, const char *reason);
/* Validates the DOM, where of each row only the first element stands; fills p->faults. */
void epp_fault_validate(struct epp_parser *p);
/* Refuses the command. The first refusal stays. */
void epp_refuse(struct reg_command *c, enum reg_code code, const struct reg_detail *detail);
/* What is wrong with an element, and no more. */
void epp_refuse_at(struct epp_parser *p, struct reg_command *c, enum reg_code code, xmlNodePtr node, const char *reason);

/* ---- epp_check.c: what must be told before the schema, which would call all of it a syntax error ----------------- */

/*
 * Verb, session, version, namespaces, extensions. *verb becomes the element of the verb (of a query: query:query) when
 * nothing was refused.
 */
void epp_check(struct epp_parser *p, const struct epp_services *announced, struct reg_command *c, struct epp_services *asked,
	xmlNodePtr *verb);

/* ---- epp_command.c: DOM and rows to the door's command; the frame is valid --------------------------------------- */

/* Fills what the verb needs. Refuses, with checks by hand, what the schema lets pass. */
void epp_command_fill(struct epp_parser *p, xmlNodePtr verb, struct reg_command *c);

#endif

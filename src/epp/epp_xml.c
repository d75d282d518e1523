/*
 * epp_xml.c - bytes to DOM, with libxml2 on a short leash.
 *
 * No DTD, no entity but the five of XML, no file, no network (epp_schema.c bars those for the whole process), a limit to
 * depth and attributes, UTF-8 and UTF-16 only. Comments and processing instructions leave no trace; white space between
 * elements neither.
 *
 * Rows. A check may ask for thousands of names, an application bring tens of thousands of IMEIs: the same element again and
 * again. Of such a row only the first element goes into the DOM, and so to the schema; the others are checked here and kept
 * as plain slices. That is sound because in the schemas a row's element may repeat without limit wherever it may stand, so
 * leaving out all but the first of adjacent equals changes nothing for their siblings, and because what a row's element may
 * hold is so little that the check by hand is a few lines: text of a given length, no attribute, or such elements in a
 * device. An element with an attribute or a namespace declaration of its own never counts as equal: it goes the long way.
 */
#include "epp/epp_parse.h"

#include <libxml/SAX2.h>
#include <libxml/parserInternals.h>
#include <string.h>

/*
 * libxml2 compares every attribute of an element with every other. Attributes are the only place EPP needs '=' for, so
 * counting that byte bounds them without a parser before the parser: no frame of ours has more than some hundred.
 */
#define EQUALS_MAX 4096u
#define DICTIONARY_MAX 2048 /* names a peer may leave in the parser's dictionary before it is thrown away */
#define KEEP_BYTES 65536u   /* scratch and input larger than this are given back after the frame */
#define NAME_CHARACTERS 64u /* nameType and application:imeiType of the schemas */
#define CLTRID_MIN 3u       /* trIDStringType */
#define CLTRID_MAX 64u

static struct epp_parser *parser_of(void *ctx)
{
	return ((xmlParserCtxtPtr)ctx)->_private;
}

/* xmlStopParser alone leaves wellFormed set, and the half-read document would be taken. */
static void xml_break(struct epp_parser *p, const char *reason)
{
	p->broken = p->broken ? p->broken : reason;
	p->ctxt->wellFormed = 0;
	xmlStopParser(p->ctxt);
}

static void xml_out_of_memory(struct epp_parser *p)
{
	p->no_memory = true;
	xml_break(p, "memory");
}

/* ---- text -------------------------------------------------------------------------------------------------------- */

static bool is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static bool is_blank(const xmlChar *text, int n)
{
	for (int i = 0; i < n; i++)
		if (!is_space((char)text[i]))
			return false;
	return true;
}

static bool is_token(struct str s)
{
	for (size_t i = 0; i < s.n; i++)
		if (is_space(s.p[i]) && (s.p[i] != ' ' || s.p[i + 1] == ' ')) /* trimmed: the last is no space */
			return false;
	return true;
}

struct str epp_xml_token(struct epp_parser *p, struct str s)
{
	struct str out;
	char *to;

	s = str_trim(s);
	if (is_token(s))
		return s;
	to = arena_alloc(p->arena, s.n);
	if (!to) {
		p->no_memory = true;
		return STR("");
	}
	out = (struct str){to, 0};
	for (size_t i = 0; i < s.n; i++) {
		if (!is_space(s.p[i]))
			to[out.n++] = s.p[i];
		else if (to[out.n - 1] != ' ')
			to[out.n++] = ' ';
	}
	return out;
}

static size_t characters_of(struct str s)
{
	size_t n = 0;

	for (size_t i = 0; i < s.n; i++)
		n += ((unsigned char)s.p[i] & 0xC0u) != 0x80u;
	return n;
}

static struct str arena_copy(struct epp_parser *p, struct str s)
{
	struct str copy = arena_str(p->arena, s);

	if (!copy.p) {
		p->no_memory = true;
		return STR("");
	}
	return copy;
}

struct str epp_xml_text(struct epp_parser *p, xmlNodePtr node)
{
	xmlNodePtr n = node->children;

	if (!n)
		return STR("");
	if (!n->next && n->type == XML_TEXT_NODE)
		return epp_xml_token(p, str_of((const char *)n->content));
	buf_clear(&p->text);
	for (; n; n = n->next)
		if (n->type == XML_TEXT_NODE && n->content)
			buf_c(&p->text, (const char *)n->content);
	p->no_memory |= p->text.failed;
	return epp_xml_token(p, arena_copy(p, buf_view(&p->text)));
}

struct str epp_xml_attribute(struct epp_parser *p, xmlNodePtr node, const char *name)
{
	xmlChar *value = xmlGetNoNsProp(node, (const xmlChar *)name);
	struct str copy = {NULL, 0};

	if (value)
		copy = epp_xml_token(p, arena_copy(p, str_of((const char *)value)));
	xmlFree(value);
	return copy;
}

/* ---- the tree ---------------------------------------------------------------------------------------------------- */

xmlNodePtr epp_xml_next(xmlNodePtr node)
{
	do
		node = node->next;
	while (node && node->type != XML_ELEMENT_NODE);
	return node;
}

xmlNodePtr epp_xml_first(xmlNodePtr node)
{
	xmlNodePtr child = node->children;

	return child && child->type != XML_ELEMENT_NODE ? epp_xml_next(child) : child;
}

struct str epp_xml_name(xmlNodePtr node)
{
	return str_of((const char *)node->name);
}

const char *epp_xml_uri(xmlNodePtr node)
{
	return node->ns && node->ns->href ? (const char *)node->ns->href : "";
}

bool epp_xml_is(xmlNodePtr node, const char *uri, const char *name)
{
	return strcmp((const char *)node->name, name) == 0 && strcmp(epp_xml_uri(node), uri) == 0;
}

/* ---- rows -------------------------------------------------------------------------------------------------------- */

static void row_fault(struct epp_parser *p, enum reg_code code, const xmlChar *element, struct str value, const char *reason)
{
	struct str uri, name;

	if (p->row_fault.code)
		return;
	uri = arena_copy(p, str_of((const char *)p->row_uri));
	name = arena_copy(p, str_of((const char *)element));
	p->row_fault = (struct epp_fault){code, epp_fault_detail(p, uri.p, name.p, value, reason)};
}

/* Which row, if any, an element in the DOM is the first of. The DOM has its parent already, but not its siblings. */
static enum epp_row row_of(xmlNodePtr node)
{
	xmlNodePtr parent = node->parent;
	const char *uri = epp_xml_uri(node);
	const struct reg_object *object;

	if (!parent || parent->type != XML_ELEMENT_NODE || strcmp(epp_xml_uri(parent), uri) != 0)
		return EPP_ROW_NONE;
	if (epp_xml_is(parent, uri, "check")) {
		object = reg_object_by_uri(str_of(uri));
		return object && epp_xml_is(node, uri, object->fields->name) ? EPP_ROW_NAME : EPP_ROW_NONE;
	}
	if (strcmp(uri, EPP_APPLICATION_URI) != 0 || (!epp_xml_is(parent, uri, "create") && !epp_xml_is(parent, uri, "add")))
		return EPP_ROW_NONE;
	if (epp_xml_is(node, uri, "imei"))
		return EPP_ROW_IMEI;
	return epp_xml_is(node, uri, "device") ? EPP_ROW_DEVICE : EPP_ROW_NONE;
}

/* Room for one more in an array of the arena; the old one stays behind until the frame is done. */
static void *row_grow(struct epp_parser *p, void *array, size_t n, size_t *size, size_t item_bytes)
{
	size_t more = *size ? *size * 2 : 8;
	void *grown;

	if (n < *size)
		return array;
	grown = arena_array(p->arena, more, item_bytes);
	if (!grown) {
		xml_out_of_memory(p);
		return NULL;
	}
	if (n)
		memcpy(grown, array, n * item_bytes);
	*size = more;
	return grown;
}

static void row_push(struct epp_parser *p, struct str **array, size_t *n, size_t *size, struct str value)
{
	struct str *grown = row_grow(p, *array, *n, size, sizeof(**array));

	if (!grown)
		return;
	*array = grown;
	grown[(*n)++] = value;
	if (++p->n_items > p->max_names)
		row_fault(p, REG_POLICY, p->row_name, value, N_("Too many names or rows in one command"));
}

static void row_push_device(struct epp_parser *p)
{
	struct reg_device *grown = row_grow(p, p->devices, p->n_devices, &p->devices_size, sizeof(*grown));
	struct str *imeis = arena_array(p->arena, p->n_imeis, sizeof(*imeis));

	if (!grown || !imeis) {
		xml_out_of_memory(p);
		return;
	}
	if (p->n_imeis)
		memcpy(imeis, p->imeis, p->n_imeis * sizeof(*imeis));
	p->devices = grown;
	grown[p->n_devices++] = (struct reg_device){imeis, (unsigned)p->n_imeis};
	p->n_imeis = 0;
}

/* A text of the row, wherever it came from. Beyond max_names nothing is kept: the command is refused. */
static void row_take_text(struct epp_parser *p, enum epp_row row, struct str text)
{
	if (p->n_items > p->max_names)
		return;
	if (row == EPP_ROW_NAME) {
		row_push(p, &p->names, &p->n_names, &p->names_size, text);
		return;
	}
	row_push(p, &p->imeis, &p->n_imeis, &p->imeis_size, text);
	if (row == EPP_ROW_IMEI)
		row_push_device(p);
}

/* The first of a row stands in the DOM; the others may follow now. */
static void row_take_node(struct epp_parser *p, xmlNodePtr node, enum epp_row row, const xmlChar *name, const xmlChar *uri)
{
	p->row = row;
	p->row_parent = node->parent;
	p->row_name = name;
	p->row_uri = uri;
	if (row != EPP_ROW_DEVICE) {
		row_take_text(p, row, epp_xml_text(p, node));
		return;
	}
	for (xmlNodePtr n = epp_xml_first(node); n; n = epp_xml_next(n))
		row_take_text(p, row, epp_xml_text(p, n));
	row_push_device(p);
}

/* The depth at which a row's element holds text. */
static unsigned row_leaf(const struct epp_parser *p)
{
	return p->row == EPP_ROW_DEVICE ? 2 : 1;
}

static void row_start(struct epp_parser *p, const xmlChar *name, const xmlChar *uri, int extras)
{
	p->row_depth++;
	buf_clear(&p->text);
	if (p->row_depth == 1 || p->row_fault.code)
		return;
	if (p->row_depth > row_leaf(p) || name != p->imei_name || uri != p->row_uri || extras)
		row_fault(p, REG_SYNTAX, name, STR(""), N_("This element or attribute is not expected here"));
}

static void row_end_leaf(struct epp_parser *p, const xmlChar *name)
{
	struct str text = epp_xml_token(p, buf_view(&p->text));
	size_t n = text.n <= NAME_CHARACTERS ? text.n : characters_of(text);

	if (n > NAME_CHARACTERS || (n == 0 && p->row == EPP_ROW_NAME))
		row_fault(p, REG_VALUE, name, text, N_("The value is too short or too long"));
	else
		row_take_text(p, p->row, arena_copy(p, text));
	p->no_memory |= p->text.failed;
}

static void row_end(struct epp_parser *p, const xmlChar *name)
{
	if (p->row_depth == row_leaf(p) && !p->row_fault.code) {
		row_end_leaf(p, name);
	} else if (p->row_depth == 1 && p->row == EPP_ROW_DEVICE && !p->row_fault.code) {
		if (p->n_imeis == 0)
			row_fault(p, REG_MISSING, p->imei_name, STR(""), N_("A required element or attribute is missing"));
		row_push_device(p);
	}
	p->row_depth--;
	if (p->no_memory)
		xml_out_of_memory(p);
}

static void row_text(struct epp_parser *p, const xmlChar *text, int n)
{
	if (p->row_depth == row_leaf(p))
		buf_put(&p->text, text, (size_t)n);
	else if (!is_blank(text, n))
		row_fault(p, REG_SYNTAX, p->row_name, STR(""), N_("Text is not expected here"));
}

/* ---- hooks ------------------------------------------------------------------------------------------------------- */

static void on_document(void *ctx)
{
	struct epp_parser *p = parser_of(ctx);
	xmlCharEncodingHandlerPtr encoder = p->ctxt->input && p->ctxt->input->buf ? p->ctxt->input->buf->encoder : NULL;

	if (encoder && strncmp(encoder->name, "UTF-16", 6) != 0)
		xml_break(p, N_("The encoding must be UTF-8 or UTF-16"));
	else
		xmlSAX2StartDocument(ctx);
}

static void on_doctype(void *ctx, const xmlChar *name, const xmlChar *external, const xmlChar *system)
{
	(void)name;
	(void)external;
	(void)system;
	xml_break(parser_of(ctx), N_("A document type declaration is not allowed"));
}

static void on_start(void *ctx, const xmlChar *name, const xmlChar *prefix, const xmlChar *uri, int n_namespaces,
	const xmlChar **namespaces, int n_attributes, int n_defaulted, const xmlChar **attributes)
{
	struct epp_parser *p = parser_of(ctx);
	int extras = n_namespaces + n_attributes;

	if (++p->depth > p->max_depth) {
		xml_break(p, N_("Elements are nested too deep"));
	} else if (p->row_depth > 0) {
		row_start(p, name, uri, extras);
	} else if (p->row_parent && p->row_parent == p->ctxt->node && name == p->row_name && uri == p->row_uri && !extras) {
		row_start(p, name, uri, 0);
	} else {
		p->row_parent = NULL;
		xmlSAX2StartElementNs(ctx, name, prefix, uri, n_namespaces, namespaces, n_attributes, n_defaulted, attributes);
	}
}

/* RFC 5730 2.9; and query-1.0. Taken when its end is read, so that a frame that breaks later still gets it back. */
static void xml_take_cltrid(struct epp_parser *p, xmlNodePtr node)
{
	xmlNodePtr parent = node->parent;
	struct str text;
	size_t n;

	if (!(p->depth == 3 && epp_xml_is(node, EPP_URI, "clTRID") && epp_xml_is(parent, EPP_URI, "command")) &&
		!(p->depth == 4 && epp_xml_is(node, EPP_QUERY_URI, "clTRID") && epp_xml_is(parent, EPP_QUERY_URI, "command")))
		return;
	text = epp_xml_text(p, node);
	n = characters_of(text);
	if (n >= CLTRID_MIN && n <= CLTRID_MAX)
		p->cltrid = arena_copy(p, text);
}

static void on_end(void *ctx, const xmlChar *name, const xmlChar *prefix, const xmlChar *uri)
{
	struct epp_parser *p = parser_of(ctx);
	xmlNodePtr node = p->ctxt->node;
	enum epp_row row;

	if (p->row_depth > 0) {
		row_end(p, name);
		p->depth--;
		return;
	}
	xmlSAX2EndElementNs(ctx, name, prefix, uri);
	if (node && (p->depth == 3 || p->depth == 4))
		xml_take_cltrid(p, node);
	else if (node && (row = row_of(node)) != EPP_ROW_NONE)
		row_take_node(p, node, row, name, uri);
	p->depth--;
	if (p->no_memory)
		xml_out_of_memory(p);
}

/* Every simple type of the schemas collapses white space, so blanks before text, or between elements, are never needed. */
static void on_text(void *ctx, const xmlChar *text, int n)
{
	struct epp_parser *p = parser_of(ctx);
	xmlNodePtr last = p->ctxt->node ? p->ctxt->node->last : NULL;

	if (p->row_depth > 0)
		row_text(p, text, n);
	else if ((last && last->type == XML_TEXT_NODE) || !is_blank(text, n))
		xmlSAX2Characters(ctx, text, n);
}

/* ---- the parser -------------------------------------------------------------------------------------------------- */

enum ceir_err epp_xml_new(struct epp_parser *p)
{
	xmlSAXHandler *sax;

	p->ctxt = xmlNewParserCtxt();
	if (!p->ctxt)
		return CEIR_ENOMEM;
	p->ctxt->_private = p;
	sax = p->ctxt->sax;
	sax->startDocument = on_document;
	sax->internalSubset = on_doctype;
	sax->externalSubset = NULL;
	sax->startElementNs = on_start;
	sax->endElementNs = on_end;
	sax->characters = sax->ignorableWhitespace = sax->cdataBlock = on_text;
	sax->comment = NULL;
	sax->processingInstruction = NULL;
	sax->warning = NULL;
	sax->error = NULL;
	return CEIR_OK;
}

void epp_xml_free(struct epp_parser *p)
{
	if (p->doc)
		xmlFreeDoc(p->doc);
	p->doc = NULL;
	if (p->ctxt)
		xmlFreeParserCtxt(p->ctxt);
	p->ctxt = NULL;
}

static bool too_many_attributes(struct str xml)
{
	const char *p = xml.p, *end = xml.p + xml.n;
	unsigned n = 0;

	while (p < end && (p = memchr(p, '=', (size_t)(end - p)))) {
		if (++n > EQUALS_MAX)
			return true;
		p++;
	}
	return false;
}

static void xml_begin(struct epp_parser *p)
{
	if (p->doc)
		xmlFreeDoc(p->doc);
	p->doc = NULL;
	p->broken = NULL;
	p->no_memory = false;
	p->depth = 0;
	p->cltrid = STR("");
	p->row_parent = NULL;
	p->row_depth = 0;
	p->row_fault = (struct epp_fault){.code = (enum reg_code)0};
	p->n_names = p->names_size = p->n_devices = p->devices_size = p->n_imeis = p->imeis_size = p->n_items = 0;
	p->imei_name = xmlDictLookup(p->ctxt->dict, (const xmlChar *)"imei", 4);
}

void epp_xml_read(struct epp_parser *p, struct str xml)
{
	if (!p->ctxt && epp_xml_new(p) != CEIR_OK) {
		p->no_memory = true;
		return;
	}
	xml_begin(p);
	if (too_many_attributes(xml)) {
		p->broken = N_("Too many attributes");
		return;
	}
	p->doc = xmlCtxtReadMemory(p->ctxt, xml.p, (int)xml.n, NULL, NULL,
		XML_PARSE_NONET | XML_PARSE_NOERROR | XML_PARSE_NOWARNING | XML_PARSE_COMPACT);
	p->no_memory |= p->ctxt->errNo == XML_ERR_NO_MEMORY;
	/* A prefix that is not declared is no error of XML 1.0, and libxml2 goes on; but no element of EPP can be meant. */
	if (p->doc && !p->ctxt->nsWellFormed) {
		xmlFreeDoc(p->doc);
		p->doc = NULL;
	}
}

void epp_xml_done(struct epp_parser *p, size_t frame_bytes)
{
	if (p->text.cap > KEEP_BYTES)
		buf_free(&p->text);
	if (xmlDictSize(p->ctxt->dict) > DICTIONARY_MAX) {
		xmlFreeParserCtxt(p->ctxt); /* the document keeps its own hold on the dictionary */
		p->ctxt = NULL;
		p->no_memory |= epp_xml_new(p) != CEIR_OK;
	} else if (frame_bytes > KEEP_BYTES) {
		xmlCtxtReset(p->ctxt);
	}
}

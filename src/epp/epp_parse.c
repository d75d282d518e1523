/*
 * epp_parse.c - one frame to one command. The order of the checks decides which result code a faulty frame gets, and is that
 * of docs/epp.md: well-formed, verb, session, version, namespaces, extensions (epp_check.c), schema (epp_fault.c), what the
 * schema cannot say (epp_command.c). Beginners read this file first.
 */
#include "epp/epp_parse.h"

#include <libxml/xmlerror.h>
#include <stdlib.h>
#include <string.h>

struct epp_parser *epp_parser_new(unsigned max_depth, unsigned max_names)
{
	xmlSchemaPtr schema = epp_schema();
	struct epp_parser *p = schema ? calloc(1, sizeof(*p)) : NULL;

	if (!p)
		return NULL;
	p->max_depth = max_depth;
	p->max_names = max_names;
	p->valid = xmlSchemaNewValidCtxt(schema);
	if (!p->valid || epp_xml_new(p) != CEIR_OK) {
		epp_parser_free(p);
		return NULL;
	}
	return p;
}

void epp_parser_free(struct epp_parser *p)
{
	if (!p)
		return;
	epp_xml_free(p);
	if (p->valid)
		xmlSchemaFreeValidCtxt(p->valid);
	buf_free(&p->text);
	free(p);
}

/* Why there is no document, in libxml2's words where it was libxml2 that refused. */
static void parse_refuse_xml(struct epp_parser *p, struct reg_command *c)
{
	const char *reason = p->broken ? p->broken : N_("The document is not well-formed XML");
	xmlErrorPtr error = p->broken || !p->ctxt ? NULL : xmlCtxtGetLastError(p->ctxt);
	struct str value = STR("");

	if (error && error->message) {
		struct str message = str_trim(str_of(error->message));
		value = arena_printf(p->arena, "line %d: %.*s", error->line, (int)message.n, message.p);
		if (!value.p || !str_is_utf8(value))
			value = STR("");
	}
	epp_refuse(c, REG_SYNTAX, epp_fault_detail(p, NULL, "epp", value, reason));
}

/* All faults of the schema make one list. */
static void parse_refuse_faults(struct epp_parser *p, struct reg_command *c)
{
	const struct reg_detail *list = NULL;

	for (size_t i = p->n_faults; i-- > 0;) {
		struct reg_detail *d = arena_alloc(p->arena, sizeof(*d));

		if (!d || !p->faults[i].detail) {
			p->no_memory = true;
			return;
		}
		*d = *p->faults[i].detail;
		d->next = list;
		list = d;
	}
	epp_refuse(c, p->faults[0].code, list);
}

static void parse_document(
	struct epp_parser *p, const struct epp_services *announced, struct reg_command *c, struct epp_services *asked)
{
	xmlNodePtr verb;

	epp_check(p, announced, c, asked, &verb);
	if (c->refused || p->no_memory)
		return;
	epp_fault_validate(p);
	if (p->n_faults > 0)
		parse_refuse_faults(p, c);
	else if (p->row_fault.code)
		epp_refuse(c, p->row_fault.code, p->row_fault.detail);
	else if (!p->no_memory)
		epp_command_fill(p, verb, c);
}

enum ceir_err epp_parse(struct epp_parser *p, struct str xml, const struct epp_services *announced, struct arena *arena,
	struct reg_command *out, struct epp_services *asked)
{
	struct epp_services ignored;

	asked = asked ? asked : &ignored;
	*asked = (struct epp_services){0, 0};
	/* What cannot be read may hold a password as well. */
	*out = (struct reg_command){.verb = REG_VERBS, .request = xml, .secret = true};
	p->arena = arena;
	epp_xml_read(p, xml);
	out->cltrid = p->cltrid;
	if (p->no_memory)
		return CEIR_ENOMEM;
	if (p->doc)
		parse_document(p, announced, out, asked);
	else
		parse_refuse_xml(p, out);
	epp_xml_done(p, xml.n);
	return p->no_memory ? CEIR_ENOMEM : CEIR_OK;
}

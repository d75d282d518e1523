/*
 * epp_check.c - what must be told before the schema is asked: to the schema an unknown verb, object, extension or version is
 * just another syntax error, to a client of EPP they are different things (2000, 2307, 2103, 2100).
 */
#include "epp/epp_parse.h"

#include <string.h>

/* RFC 5730 2.9: the verbs in a command. hello and query stand elsewhere. */
static enum reg_verb verb_find(xmlNodePtr node)
{
	if (strcmp(epp_xml_uri(node), EPP_URI) == 0)
		for (unsigned v = REG_LOGIN; v < REG_QUERY; v++)
			if (str_eq_c(epp_xml_name(node), reg_verb_name(v)))
				return (enum reg_verb)v;
	return REG_VERBS;
}

size_t epp_object_bit(const struct reg_object *object)
{
	size_t i = 0;

	while (reg_objects[i] != object)
		i++;
	return i;
}

static bool extension_find(struct str uri, size_t *bit)
{
	for (*bit = 0; *bit < EPP_EXTENSIONS; ++*bit)
		if (str_eq_c(uri, epp_extension_uris[*bit]))
			return true;
	return false;
}

/* ---- objects and extensions -------------------------------------------------------------------------------------- */

/* c->object from a namespace, if it is one of ours, announced, and has the verb. node: whom to name. */
static void check_object(
	struct epp_parser *p, const struct epp_services *announced, struct reg_command *c, xmlNodePtr node, struct str uri)
{
	const struct reg_object *object = reg_object_by_uri(uri);

	if (!object) {
		epp_refuse_at(p, c, REG_UNIMPL_OBJECT, node, N_("Objects of this namespace are not served here"));
		return;
	}
	c->object = object;
	if (!(announced->objects & REG_BIT(epp_object_bit(object))))
		epp_refuse_at(p, c, REG_USE, node, N_("This namespace was not announced at login"));
	else if (!object->may[c->verb])
		epp_refuse_at(p, c, REG_UNIMPL_COMMAND, node, N_("This object does not have this command"));
}

/* check, info, ...: the one element inside must be the object's, and of the same verb. */
static void check_object_verb(struct epp_parser *p, const struct epp_services *announced, struct reg_command *c, xmlNodePtr verb)
{
	xmlNodePtr node = epp_xml_first(verb);

	if (!node) {
		epp_refuse_at(p, c, REG_MISSING, verb, N_("The object is missing"));
		return;
	}
	check_object(p, announced, c, node, str_of(epp_xml_uri(node)));
	if (!c->refused && !str_eq(epp_xml_name(node), epp_xml_name(verb)))
		epp_refuse_at(p, c, REG_SYNTAX, node, N_("This element or attribute is not expected here"));
}

/* What stands in the extension of a command. loginSec belongs to login, and is announced by that same login. */
static void check_extension(struct epp_parser *p, uint32_t announced, struct reg_command *c, xmlNodePtr extension)
{
	for (xmlNodePtr n = epp_xml_first(extension); n && !c->refused; n = epp_xml_next(n)) {
		size_t bit;
		bool known = extension_find(str_of(epp_xml_uri(n)), &bit);

		if (!known || bit != EPP_EXT_LOGINSEC || c->verb != REG_LOGIN)
			epp_refuse_at(p, c, REG_UNIMPL_EXTENSION, n, N_("This command has no such extension"));
		else if (!(announced & REG_BIT(bit)))
			epp_refuse_at(p, c, REG_USE, n, N_("This namespace was not announced at login"));
	}
}

/* A query: epp/extension/query:command/query:query. */
static void check_query(
	struct epp_parser *p, const struct epp_services *announced, struct reg_command *c, xmlNodePtr command, xmlNodePtr *verb)
{
	struct str object;

	*verb = epp_xml_first(command);
	if (!(announced->extensions & REG_BIT(EPP_EXT_QUERY))) {
		epp_refuse_at(p, c, REG_USE, command, N_("This namespace was not announced at login"));
	} else if (!epp_xml_is(command, EPP_QUERY_URI, "command")) {
		epp_refuse_at(p, c, REG_UNKNOWN_COMMAND, command, N_("There is no such command"));
	} else if (*verb && epp_xml_is(*verb, EPP_QUERY_URI, "query")) {
		object = epp_xml_attribute(p, *verb, "object");
		if (object.p)
			check_object(p, announced, c, *verb, object);
	}
}

/* ---- login ------------------------------------------------------------------------------------------------------- */

static xmlNodePtr child_find(xmlNodePtr node, const char *name)
{
	for (node = node ? epp_xml_first(node) : NULL; node; node = epp_xml_next(node))
		if (epp_xml_is(node, EPP_URI, name))
			return node;
	return NULL;
}

static void check_services(struct epp_parser *p, struct reg_command *c, xmlNodePtr svcs, struct epp_services *asked)
{
	xmlNodePtr extension = child_find(svcs, "svcExtension");
	size_t bit;

	for (xmlNodePtr n = svcs ? epp_xml_first(svcs) : NULL; n; n = epp_xml_next(n)) {
		const struct reg_object *object = reg_object_by_uri(epp_xml_text(p, n));

		if (object)
			asked->objects |= REG_BIT(epp_object_bit(object));
		else if (epp_xml_is(n, EPP_URI, "objURI"))
			epp_refuse_at(p, c, REG_UNIMPL_OBJECT, n, N_("Objects of this namespace are not served here"));
	}
	for (xmlNodePtr n = extension ? epp_xml_first(extension) : NULL; n; n = epp_xml_next(n)) {
		if (extension_find(epp_xml_text(p, n), &bit))
			asked->extensions |= REG_BIT(bit);
		else
			epp_refuse_at(p, c, REG_UNIMPL_EXTENSION, n, N_("This extension is not served here"));
	}
}

static void check_login(struct epp_parser *p, struct reg_command *c, xmlNodePtr login, struct epp_services *asked)
{
	xmlNodePtr options = child_find(login, "options");
	xmlNodePtr version = child_find(options, "version"), lang = child_find(options, "lang");
	size_t index;

	if (version && !str_eq_c(epp_xml_text(p, version), "1.0"))
		epp_refuse_at(p, c, REG_VERSION, version, N_("The protocol version is 1.0"));
	if (lang && i18n_find(epp_xml_text(p, lang), &index) != CEIR_OK)
		epp_refuse_at(p, c, REG_UNIMPL_OPTION, lang, N_("This language is not among those of the greeting"));
	check_services(p, c, child_find(login, "svcs"), asked);
}

/* ---- the frame --------------------------------------------------------------------------------------------------- */

/* RFC 5730 2.1: before login nothing but hello and login; afterwards no login. */
static void check_session(struct epp_parser *p, const struct epp_services *announced, struct reg_command *c, xmlNodePtr verb)
{
	if (c->verb == REG_HELLO)
		return;
	if (!announced && c->verb != REG_LOGIN)
		epp_refuse_at(p, c, REG_USE, verb, N_("Log in first"));
	else if (announced && c->verb == REG_LOGIN)
		epp_refuse_at(p, c, REG_USE, verb, N_("The session is logged in already"));
}

static void check_command(struct epp_parser *p, const struct epp_services *announced, struct reg_command *c,
	struct epp_services *asked, xmlNodePtr command, xmlNodePtr *verb)
{
	xmlNodePtr extension = child_find(command, "extension");

	*verb = epp_xml_first(command);
	if (!*verb || *verb == extension || epp_xml_is(*verb, EPP_URI, "clTRID")) {
		epp_refuse_at(p, c, REG_SYNTAX, command, N_("The command is missing"));
		return;
	}
	c->verb = verb_find(*verb);
	if (c->verb == REG_VERBS) {
		epp_refuse_at(p, c, REG_UNKNOWN_COMMAND, *verb, N_("There is no such command"));
		return;
	}
	c->secret = c->verb == REG_LOGIN;
	check_session(p, announced, c, *verb);
	if (c->refused)
		return;
	if (c->verb == REG_LOGIN)
		check_login(p, c, *verb, asked);
	else if (c->verb > REG_POLL)
		check_object_verb(p, announced, c, *verb);
	if (extension && !c->refused)
		check_extension(p, announced ? announced->extensions : asked->extensions, c, extension);
}

/* The one child of epp decides what the frame is. */
static void check_frame(struct epp_parser *p, const struct epp_services *announced, struct reg_command *c,
	struct epp_services *asked, xmlNodePtr top, xmlNodePtr *verb)
{
	xmlNodePtr inner = epp_xml_first(top);

	if (epp_xml_is(top, EPP_URI, "hello")) {
		c->verb = REG_HELLO;
		c->secret = false;
		*verb = top;
	} else if (epp_xml_is(top, EPP_URI, "command")) {
		check_command(p, announced, c, asked, top, verb);
	} else if (epp_xml_is(top, EPP_URI, "extension") && inner) {
		bool query = strcmp(epp_xml_uri(inner), EPP_QUERY_URI) == 0;

		c->verb = query ? REG_QUERY : REG_VERBS;
		c->secret = !query;
		check_session(p, announced, c, inner);
		if (!query)
			epp_refuse_at(p, c, REG_UNIMPL_EXTENSION, inner, N_("This extension is not served here"));
		else if (!c->refused)
			check_query(p, announced, c, inner, verb);
	} else {
		epp_refuse_at(p, c, REG_SYNTAX, top, N_("A client sends hello, command or extension"));
	}
}

void epp_check(struct epp_parser *p, const struct epp_services *announced, struct reg_command *c, struct epp_services *asked,
	xmlNodePtr *verb)
{
	xmlNodePtr root = xmlDocGetRootElement(p->doc);
	xmlNodePtr top = root ? epp_xml_first(root) : NULL;

	*verb = NULL;
	if (!root || !epp_xml_is(root, EPP_URI, "epp"))
		epp_refuse(c, REG_SYNTAX,
			root ? epp_fault_at(p, root, N_("The root element must be epp, in the namespace of EPP 1.0"))
			     : epp_fault_detail(p, NULL, "epp", STR(""), N_("The document is empty")));
	else if (!top)
		epp_refuse_at(p, c, REG_SYNTAX, root, N_("A client sends hello, command or extension"));
	else
		check_frame(p, announced, c, asked, top, verb);
	/* Until the object is known to be another, a create or update may be one of an account or a remote, with its password. */
	if (c->verb == REG_CREATE || c->verb == REG_UPDATE)
		c->secret = !c->object || reg_object_has_secret(c->object);
}

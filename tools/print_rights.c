/*
 * print_rights.c - prints docs/rights.md from the tables of the door: who may do what with which object, and who sees which
 * field. `ninja -C build rights` writes it; a test compares it with the file in the tree.
 */
#include <stdio.h>
#include <string.h>

#include "registry/registry.h"

static const char *const heads[REG_ROLES] = {"", "importer", "customs", "lea", "tax", "nra", "admin", "operator", "pos"};

static void print_head(const char *first)
{
	printf("| %s |", first);
	for (unsigned role = 1; role < REG_ROLES; role++)
		printf(" %s |", heads[role]);
	printf("\n| --- |");
	for (unsigned role = 1; role < REG_ROLES; role++)
		printf(" --- |");
	printf("\n");
}

static void print_verbs(const struct reg_object *o)
{
	print_head("command");
	for (unsigned verb = REG_CHECK; verb < REG_VERBS; verb++) {
		if (!o->may[verb])
			continue;
		printf("| %s |", reg_verb_name(verb));
		for (unsigned role = 1; role < REG_ROLES; role++)
			printf(" %s |", !(o->may[verb] & REG_BIT(role)) ? "" : o->own[verb] & REG_BIT(role) ? "own" : "yes");
		printf("\n");
	}
	printf("\n");
}

/* Only fields that somebody who may read the object does not see; groups are entered one level deep, as deep as they go. */
static unsigned print_hidden(const struct reg_object *o, const struct reg_field *fields, const char *in, unsigned n)
{
	unsigned readers = o->may[REG_INFO];

	for (const struct reg_field *f = fields; f->name; f++) {
		if (f->type == REG_GROUP && !*in)
			n = print_hidden(o, f->fields, f->name, n);
		if (f->type != REG_SECRET && (!f->see || (f->see & readers) == readers))
			continue;
		if (n++ == 0)
			print_head("field not seen by all of these");
		printf("| %s%s%s |", in, *in ? " / " : "", f->name);
		for (unsigned role = 1; role < REG_ROLES; role++)
			printf(" %s |", f->type != REG_SECRET && (f->see & readers & REG_BIT(role)) ? "sees" : "");
		printf("\n");
	}
	return n;
}

int main(void)
{
	printf("# Who may do what\n\n"
		"Made from the tables of the door (`src/registry/registry_objects.c`) by `ninja -C build rights`; a test keeps the two the same.\n\n"
		"*yes*: the role may. *own*: only with its own objects - its importer's, or those its account made. Empty: refused with 2201,\n"
		"and in the audit log. A command that no line names does not exist for the object (2101). `hello`, `login`, `logout` and `poll`\n"
		"are everybody's. Beyond this table: police (lea) keep grey and black listings of IMEIs, the regulator (nra) white ones and\n"
		"black ones of whole TACs; a listing is changed and ended by the authority that made it; importers apply under a permit,\n"
		"points of sale (pos) for personal imports, which customs confirm. Operators reach what is their operator's; law enforcement and\n"
		"admin name a case for each look at triplets; a watch may be changed and ended by any account of the police.\n");
	for (size_t i = 0; reg_objects[i]; i++) {
		printf("\n## %s\n\n", reg_objects[i]->name);
		print_verbs(reg_objects[i]);
		if (print_hidden(reg_objects[i], reg_objects[i]->fields, "", 0))
			printf("\n");
	}
	return 0;
}

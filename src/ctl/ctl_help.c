/*
 * ctl_help.c - what can be typed, from the table of objects and fields.
 */
#include "ctl/ctl_internal.h"

#include <string.h>

#include "ctl/ctl_request.h"

void ctl_help(FILE *to)
{
	fputs("usage: ceirctl [OPTION]... COMMAND\n"
	      "\n"
	      "Where and who:\n"
	      "  --dir DIR              a data folder of ceird: its address, CA, and the keys of admin (or of --user)\n"
	      "  --host H --port P      the server; the port is 700 unless given, or that of DIR/ceir.conf\n"
	      "  --ca FILE              certificate of who signed the server's (PEM)\n"
	      "  --cert FILE --key FILE our certificate and key (PEM)\n"
	      "  --user U               account to log in as\n"
	      "  --password-file FILE   its first line is the password; - reads standard input (a terminal: without echo)\n"
	      "  --no-login             only connect\n"
	      "  --lang TAG             language of the answers: en, uk, ...\n"
	      "  --timeout S            seconds to wait for each answer [60]; 0: for ever\n"
	      "  --json                 answers as JSON, one a line\n"
	      "  --quiet                no progress, no summaries\n"
	      "  --help, --version\n"
	      "\n"
	      "Commands:\n"
	      "  epp [--single]         EPP documents from standard input, answers as they come\n"
	      "  hello                  the server's greeting\n"
	      "  poll [--all]           the oldest message; all of them, taking each off the queue\n"
	      "  poll ack ID            takes a message off the queue\n"
	      "  password [--new-password-file FILE]\n"
	      "  deliver FILE|- --kind full|delta [--id ID] [--wait] [--rejects FILE]     over HTTPS, port 7743\n"
	      "  delivery rejects ID [-o FILE]                                            over HTTPS\n"
	      "  list get black|grey|exceptions|white [--since N] [--format csv|xml] [--packing gzip|zstd] [-o FILE]   over HTTPS\n"
	      "  lists --layout dirbs --out DIR --operator CODE[=NAME]...   all lists and what changed, as DIRBS-Core writes them; over HTTPS\n"
	      "  application submit FILE.csv --permit P --position N [--reference R] [--wait] [--rejects FILE]\n"
	      "  application result ID [--refused] [--csv FILE]\n"
	      "  export OBJECT [--filter 'FIELD = VALUE']... [--columns A,B] [--format csv|xlsx|xml] [--out FILE] [--overwrite]\n"
	      "  OBJECT VERB ...        `ceirctl OBJECT --help` says more. Objects and their verbs:\n",
		to);
	for (size_t i = 0; reg_objects[i]; i++) {
		fprintf(to, "    %-13s", reg_objects[i]->name);
		for (unsigned v = REG_CHECK; v < REG_VERBS; v++)
			if (ctl_request_can(reg_objects[i], (enum reg_verb)v))
				fprintf(to, " %s", reg_verb_name(v));
		fprintf(to, "%s\n", ctl_request_can(reg_objects[i], REG_CREATE) ? " import" : "");
	}
	fputs("\nExit status: 0 done, 1 refused by the server, 2 wrong usage or local file, 3 no connection.\n", to);
}

static const char *type_text(const struct reg_field *f)
{
	static const char *const texts[] = {[REG_TEXT] = "TEXT",
		[REG_TOKEN] = "NAME",
		[REG_IMEI] = "15 digits",
		[REG_TAC] = "8 digits",
		[REG_IMSI] = "IMSI",
		[REG_MSISDN] = "phone number",
		[REG_DATE] = "YYYY-MM-DD",
		[REG_TIME] = "YYYY-MM-DDThh:mm:ssZ",
		[REG_UINT] = "number",
		[REG_PRICE] = "decimal",
		[REG_CURRENCY] = "ISO 4217",
		[REG_COUNTRY] = "ISO 3166",
		[REG_ENUM] = "",
		[REG_SECRET] = "FILE",
		[REG_HEX32] = "64 hex digits",
		[REG_GROUP] = ""};

	return texts[f->type];
}

static void help_field(FILE *to, const struct reg_object *o, const struct reg_field *f, const char *prefix, bool create)
{
	char option[CTL_OPTION_MAX];

	ctl_field_option(o, f, prefix, option);
	fprintf(to, "  --%s%s %s", option, f->type == REG_SECRET ? "-file" : "", type_text(f));
	for (size_t i = 0; f->choices && f->choices[i]; i++)
		fprintf(to, "%s%s", i ? "|" : "", f->choices[i]);
	for (const struct reg_field *g = f->fields; g && g->name; g++)
		if (!(g->flags & REG_SERVER))
			fprintf(to, "%s%s=..", g == f->fields ? "" : ",", g->name);
	if (f->type != REG_SECRET && ctl_field_has_file(f))
		fprintf(to, ", or --%s%s-file %s", prefix, f->name, f->type == REG_HEX32 ? "PEM" : "FILE");
	fprintf(to, "%s%s\n", f->flags & REG_NEEDED && create ? "  (needed)" : "", f->flags & REG_MANY ? "  (may repeat)" : "");
}

static void help_verb(FILE *to, const struct reg_object *o, enum reg_verb verb)
{
	bool named = !(verb == REG_CREATE && o->fields->flags & REG_SERVER) && verb != REG_QUERY;
	const char *key = o->fields->type == REG_IMEI ? "IMEI" : o->fields->type == REG_TAC ? "TAC" : "ID";

	fprintf(to, "ceirctl %s %s%s%s%s\n", o->name, reg_verb_name(verb), named ? " " : "", named ? key : "",
		verb == REG_CHECK ? "... | -" : "");
	for (const struct reg_field *f = o->fields + 1; f->name; f++) {
		if (verb == REG_CREATE && !(f->flags & REG_SERVER))
			help_field(to, o, f, "", true);
		if (verb != REG_UPDATE || f->flags & (REG_SERVER | REG_FIXED))
			continue;
		if (!(f->flags & REG_MANY) || f->type == REG_GROUP)
			help_field(to, o, f, "", false);
		if (f->flags & REG_MANY) {
			help_field(to, o, f, "add-", false);
			help_field(to, o, f, "rem-", false);
		}
	}
	if (strcmp(o->name, "application") == 0 && (verb == REG_CREATE || verb == REG_UPDATE))
		fprintf(to, "  --%simei IMEI[,IMEI...]  (may repeat; one device each)\n", verb == REG_UPDATE ? "add-" : "");
	if (verb == REG_RENEW)
		fputs("  --curExDate YYYY-MM-DD  --exDate YYYY-MM-DD\n", to);
	if (verb == REG_TRANSFER)
		fputs("  --op query|request|approve|reject|cancel\n", to);
	if (verb == REG_INFO && strcmp(o->name, "list") == 0)
		fputs("  --operator NAME  (who is no operator says whose)\n", to);
	if (verb == REG_DELETE && strcmp(o->name, "listing") == 0)
		fputs("  --ground TEXT\n", to);
	if (verb == REG_QUERY)
		fputs("  --filter 'FIELD = VALUE'  (also != < <= > >=, ^ begins with; may repeat)\n"
		      "  --sort FIELD --desc --limit N --cursor C --count --count-only --all\n",
			to);
}

/* Fields that a query may filter and sort by. */
static void help_query_fields(FILE *to, const struct reg_object *o)
{
	fputs("  filter by:", to);
	for (const struct reg_field *f = o->fields; f->name; f++)
		if (f->flags & REG_FILTER)
			fprintf(to, " %s", f->name);
	fputs("\n  sort by:", to);
	for (const struct reg_field *f = o->fields; f->name; f++)
		if (f->flags & REG_SORT)
			fprintf(to, " %s", f->name);
	fputc('\n', to);
}

static void help_export(FILE *to, const struct reg_object *o)
{
	fprintf(to, "ceirctl export %s\n"
		    "  --filter, --sort, --desc  as of query\n"
		    "  --format csv|xlsx|xml     or by the ending of FILE; csv unless said\n"
		    "  --out FILE                and --overwrite to replace one that is there; else standard output\n"
		    "  --columns A,B             these:",
		o->name);
	for (const struct reg_field *f = o->fields; f->name; f++) {
		if (f->type != REG_GROUP && f->type != REG_SECRET)
			fprintf(to, " %s", f->name);
		for (const struct reg_field *g = f->type == REG_GROUP ? f->fields : NULL; g && g->name; g++)
			fprintf(to, " %s.%s", f->name, g->name);
	}
	fputs("\n                            all without a dot unless said\n", to);
	if (strcmp(o->name, "tac") == 0)
		fputs("  --layout gsma             the columns of the GSMA's table, | between them\n", to);
}

void ctl_help_object(FILE *to, const struct reg_object *o, const char *verb)
{
	for (unsigned v = REG_CHECK; v < REG_VERBS; v++) {
		if (!ctl_request_can(o, (enum reg_verb)v) || (verb && strcmp(verb, reg_verb_name(v)) != 0))
			continue;
		help_verb(to, o, (enum reg_verb)v);
		if (v == REG_QUERY)
			help_query_fields(to, o);
	}
	if (ctl_request_can(o, REG_QUERY) && (!verb || strcmp(verb, "export") == 0))
		help_export(to, o);
	if (strcmp(o->name, "application") == 0 && (!verb || strcmp(verb, "submit") == 0))
		fputs("ceirctl application submit FILE.csv | -  --permit P --position N [--reference R] [--kind K] [--wait] "
		      "[--rejects FILE]\n"
		      "  columns imei, or imei1 to imei5; without a header each row is one device\n",
			to);
	if (strcmp(o->name, "application") == 0 && (!verb || strcmp(verb, "result") == 0))
		fputs("ceirctl application result ID [--refused] [--csv FILE | -]\n", to);
	if (ctl_request_can(o, REG_CREATE) && (!verb || strcmp(verb, "import") == 0))
		fprintf(to,
			"ceirctl %s import FILE.csv | -  [--rejects FILE]\n  one object a row; the first row names the columns\n",
			o->name);
}

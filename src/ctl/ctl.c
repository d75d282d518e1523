/*
 * ctl.c - from argv to a command.
 */
#include "ctl/ctl.h"

#include <libxml/parser.h>
#include <signal.h>
#include <string.h>

#include "ctl/ctl_internal.h"

static enum ctl_exit help(struct ctl *c)
{
	const char *first = c->args.n_words ? c->args.words[0] : "", *second = c->args.n_words > 1 ? c->args.words[1] : NULL;
	bool export = second && strcmp(first, "export") == 0; /* the one verb that stands before its object */
	const struct reg_object *o = reg_object_by_name(str_of(export ? second : first));

	if (o)
		ctl_help_object(stdout, o, export ? first : second);
	else
		ctl_help(stdout);
	return CTL_OK;
}

static enum ctl_exit dispatch(struct ctl *c)
{
	static const struct {
		const char *word;
		enum ctl_exit (*run)(struct ctl *c);
	} commands[] = {{"epp", ctl_command_raw}, {"hello", ctl_command_hello}, {"poll", ctl_command_poll},
		{"password", ctl_command_password}, {"deliver", ctl_command_deliver}, {"export", ctl_command_export},
		{"lists", ctl_command_lists}, {"help", help}};
	const char *word = c->args.n_words ? c->args.words[0] : NULL;

	if (c->args.version) {
		puts("ceirctl " CEIR_VERSION);
		return CTL_OK;
	}
	if (c->args.help)
		return help(c);
	if (!word) {
		ctl_help(stderr);
		return CTL_USAGE;
	}
	for (size_t i = 0; i < CEIR_COUNT(commands); i++)
		if (strcmp(word, commands[i].word) == 0)
			return commands[i].run(c);
	const struct reg_object *o = reg_object_by_name(str_of(word));
	if (o)
		return ctl_command_object(c, o);
	ctl_complain("no command \"%s\"; try --help", word);
	return CTL_USAGE;
}

int ctl_main(int argc, char **argv)
{
	struct ctl c = {0};
	char why[256] = "";
	enum ctl_exit result;

	log_setup(stderr, false, LOG_ERROR_);
	signal(SIGPIPE, SIG_DFL); /* `ceirctl ... | head` ends quietly, whatever the parent had set */
	if (ctl_args_parse(argc, argv, &c.args, why, sizeof(why))) {
		ctl_complain("%s", why[0] ? why : ceir_err_text(CEIR_ENOMEM));
		return CTL_USAGE;
	}
	result = dispatch(&c);
	ctl_args_free(&c.args);
	if ((fflush(stdout) != 0 || ferror(stdout)) && result == CTL_OK) {
		ctl_complain("standard output could not be written");
		result = CTL_USAGE;
	}
	xmlCleanupParser();
	return result;
}

/*
 * ceird.c - the server program: finds the command on the command line and carries it out. The long ones are in ceird_*.c;
 * what a register is and does is in src/registry.
 */
#include "ceird.h"

#include <getopt.h>
#include <sodium.h>
#include <string.h>

static const char usage_text[] =
	"Usage: ceird COMMAND [OPTION]...\n"
	"\n"
	"  init DIR [--host HOST]...      make a data folder: settings, database, keys, account \"admin\"; HOST: a name\n"
	"                                 or address of this server beside localhost, for its certificate\n"
	"  run DIR [-o SECTION.KEY=VALUE] serve it until SIGTERM; SIGHUP reads certificates and log level again\n"
	"  verify DIR [--head FILE]       check database, change log and audit chain (beside a running server, too)\n"
	"  audit-head DIR                 print the signed head of the audit chain, to be kept elsewhere\n"
	"  cert DIR NAME [--days N]       issue keys/NAME.crt and .key from the private CA; prints the fingerprint\n"
	"  cert DIR NAME --server --host HOST... [--days N]\n"
	"                                 the same for a server's name or address\n"
	"  config                         print every setting with its default and meaning\n"
	"  file-types                     print the types of records that files may hold, and their columns\n"
	"\n"
	"  -h, --help   -V, --version\n"
	"\n"
	"Exit status: 0 done, 1 failed or faults found, 2 wrong usage.\n";

static enum ceird_exit command_config(const struct ceird_args *args)
{
	struct buf text = BUF_INIT(1 << 20);
	bool written;

	(void)args;
	config_print(CEIRD_SETTINGS, &text);
	written = !text.failed && fwrite(text.p, 1, text.n, stdout) == text.n && fflush(stdout) == 0;
	buf_free(&text);
	return written ? CEIRD_DONE : CEIRD_FAILED;
}

static enum ceird_exit command_file_types(const struct ceird_args *args)
{
	struct buf text = BUF_INIT(1 << 20);
	bool written;

	(void)args;
	files_types_print(&text);
	written = !text.failed && fwrite(text.p, 1, text.n, stdout) == text.n && fflush(stdout) == 0;
	buf_free(&text);
	return written ? CEIRD_DONE : CEIRD_FAILED;
}

/* Faults go to standard output: they are what was asked for. */
static void verify_report(void *ctx, const char *line)
{
	unsigned long *faults = ctx;

	++*faults;
	printf("%s\n", line);
}

static enum ceird_exit command_verify(const struct ceird_args *args)
{
	struct buf head = BUF_INIT(1 << 16);
	struct ceird_settings s;
	unsigned long faults = 0;
	enum ceird_exit result = ceird_settings_load(&s, args, true);
	enum ceir_err err = CEIR_OK;

	if (result != CEIRD_DONE)
		return result;
	log_setup(stderr, s.log_json, s.log_level);
	if (args->head && (err = file_read(args->head, 1 << 16, &head)) == CEIR_OK && str_trim(buf_view(&head)).n == 0)
		err = CEIR_EINVAL; /* an empty head would compare nothing, and "sound" would say too much */
	if (err != CEIR_OK)
		ceird_complain("cannot read the head %s: %s", args->head, ceir_err_text(err));
	else if ((err = registry_verify(&s.reg, str_trim(buf_view(&head)), verify_report, &faults)) == CEIR_OK)
		printf("%s is sound\n", args->dir);
	else if (faults == 0)
		ceird_complain("cannot verify %s: %s", args->dir, ceir_err_text(err));
	else
		printf("%s: %lu %s\n", args->dir, faults, faults == 1 ? "fault" : "faults");
	buf_free(&head);
	ceird_settings_free(&s);
	return err == CEIR_OK ? CEIRD_DONE : CEIRD_FAILED;
}

static enum ceird_exit command_audit_head(const struct ceird_args *args)
{
	struct buf line = BUF_INIT(1 << 16);
	struct ceird_settings s;
	enum ceird_exit result = ceird_settings_load(&s, args, true);
	enum ceir_err err;

	if (result != CEIRD_DONE)
		return result;
	log_setup(stderr, s.log_json, s.log_level);
	err = registry_audit_head(&s.reg, &line);
	if (err != CEIR_OK || line.failed) {
		ceird_complain("cannot sign the audit head of %s: %s", args->dir,
			ceir_err_text(err != CEIR_OK ? err : CEIR_ENOMEM));
		result = CEIRD_FAILED;
	} else {
		struct str text = str_trim(buf_view(&line));

		printf("%.*s\n", (int)text.n, text.p);
	}
	buf_free(&line);
	ceird_settings_free(&s);
	return result;
}

/* Options a command takes; one that is given to another command is wrong usage, not ignored. */
enum { TAKES_SET = 1, TAKES_HEAD = 2, TAKES_CERT = 4, TAKES_HOST = 8 };

static const struct command {
	const char *name;
	int operands; /* DIR, then NAME */
	unsigned takes;
	enum ceird_exit (*run)(const struct ceird_args *args);
} commands[] = {
	{"init", 1, TAKES_HOST, ceird_init},
	{"run", 1, TAKES_SET, ceird_run},
	{"verify", 1, TAKES_HEAD, command_verify},
	{"audit-head", 1, 0, command_audit_head},
	{"cert", 2, TAKES_CERT | TAKES_HOST, ceird_cert},
	{"config", 0, 0, command_config},
	{"file-types", 0, 0, command_file_types},
};

static const struct command *command_find(const char *name)
{
	for (size_t i = 0; i < CEIR_COUNT(commands); i++)
		if (strcmp(commands[i].name, name) == 0)
			return &commands[i];
	return NULL;
}

enum option_code { OPTION_HEAD = 256, OPTION_DAYS, OPTION_SERVER, OPTION_HOST };

/* One option into args; *used gathers which commands' options were given. false: wrong, and said so. */
static bool args_option(struct ceird_args *args, int code, const char *value, unsigned *used)
{
	uint64_t days;

	switch (code) {
	case 'o':
		*used |= TAKES_SET;
		if (args->n_set == CEIR_COUNT(args->set)) {
			ceird_complain("too many -o; write them to ceir.conf");
			return false;
		}
		args->set[args->n_set++] = value;
		return true;
	case OPTION_HEAD:
		*used |= TAKES_HEAD;
		args->head = value;
		return true;
	case OPTION_DAYS:
		*used |= TAKES_CERT;
		if (str_u64(str_of(value), 3650, &days) != CEIR_OK || days == 0) {
			ceird_complain("--days: expected 1 to 3650, not \"%s\"", value);
			return false;
		}
		args->days = (unsigned)days;
		return true;
	case OPTION_SERVER:
		*used |= TAKES_CERT;
		args->server = true;
		return true;
	case OPTION_HOST:
		*used |= TAKES_HOST;
		if (args->n_hosts == CEIR_COUNT(args->hosts)) {
			ceird_complain("too many --host");
			return false;
		}
		args->hosts[args->n_hosts++] = value;
		return true;
	default:
		return false; /* getopt has said what is wrong */
	}
}

static enum ceird_exit usage_wrong(void)
{
	fprintf(stderr, "Try `ceird --help`.\n");
	return CEIRD_USAGE;
}

/* Operands behind the command's name. */
static enum ceird_exit command_execute(const struct command *c, struct ceird_args *args, unsigned used, char **operands, int n)
{
	if (n != c->operands) {
		ceird_complain("%s: expected %s", c->name, c->operands == 0 ? "no operand" : c->operands == 1 ? "DIR" : "DIR NAME");
		return usage_wrong();
	}
	if (used & ~c->takes) {
		ceird_complain("%s: an option that belongs to another command", c->name);
		return usage_wrong();
	}
	args->dir = n > 0 ? operands[0] : NULL;
	args->name = n > 1 ? operands[1] : NULL;
	if (sodium_init() < 0) {
		ceird_complain("libsodium cannot find a source of random numbers");
		return CEIRD_FAILED;
	}
	return c->run(args);
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{"help", no_argument, NULL, 'h'},
		{"version", no_argument, NULL, 'V'},
		{"head", required_argument, NULL, OPTION_HEAD},
		{"days", required_argument, NULL, OPTION_DAYS},
		{"server", no_argument, NULL, OPTION_SERVER},
		{"host", required_argument, NULL, OPTION_HOST},
		{NULL, 0, NULL, 0},
	};
	struct ceird_args args = {.dir = NULL};
	const struct command *c;
	unsigned used = 0;
	int code;

	while ((code = getopt_long(argc, argv, "ho:V", options, NULL)) != -1) {
		if (code == 'h') {
			fputs(usage_text, stdout);
			return CEIRD_DONE;
		}
		if (code == 'V') {
			puts("ceird " CEIR_VERSION);
			return CEIRD_DONE;
		}
		if (!args_option(&args, code, optarg, &used))
			return (int)usage_wrong();
	}
	if (optind == argc) {
		fputs(usage_text, stderr);
		return CEIRD_USAGE;
	}
	c = command_find(argv[optind]);
	if (!c) {
		ceird_complain("unknown command \"%s\"", argv[optind]);
		return (int)usage_wrong();
	}
	return (int)command_execute(c, &args, used, argv + optind + 1, argc - optind - 1);
}

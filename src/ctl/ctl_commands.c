/*
 * ctl_commands.c - commands that are one document and one answer.
 */
#include "ctl/ctl_internal.h"

#include <string.h>

#include "ctl/ctl_answer.h"
#include "ctl/ctl_request.h"

#define COMMAND_ARENA (1u << 20)

enum ctl_exit ctl_options_end(struct ctl *c)
{
	const struct ctl_option *o = ctl_args_unknown(&c->args);

	if (o)
		ctl_complain("no option --%.*s here; try --help", (int)o->name_n, o->name);
	return o ? CTL_USAGE : CTL_OK;
}

enum ctl_exit ctl_open(struct ctl *c)
{
	struct ctl_target target;
	char why[256];

	if (ctl_target_find(&c->args, &target, why, sizeof(why))) {
		ctl_complain("%s", why);
		return CTL_USAGE;
	}
	return ctl_session_open(&c->session, &c->args, &target, (struct str){NULL, 0});
}

/* Everything that can be wrong here has been found: connect, ask, show. */
static enum ctl_exit run(struct ctl *c, const struct buf *xml)
{
	enum ctl_exit result = ctl_options_end(c);

	if (result == CTL_OK)
		result = ctl_open(c);
	if (result != CTL_OK)
		return result;
	result = ctl_transact(&c->session, xml);
	ctl_session_close(&c->session);
	return result;
}

/* The object's name: the third word, or --id / --name. */
static const char *key_of(struct ctl *c, const struct reg_object *o)
{
	const char *option = ctl_args_value(&c->args, o->fields->name);

	return c->args.n_words > 2 ? c->args.words[2] : option;
}

static enum ctl_exit command_transfer(struct ctl *c, const struct reg_object *o, const char *key)
{
	const char *op = ctl_args_value(&c->args, "op");
	struct buf xml = BUF_INIT(0);

	if (!op) {
		ctl_complain("transfer wants --op query, request, approve, reject or cancel");
		return CTL_USAGE;
	}
	ctl_request_transfer(&xml, o, key, op);
	enum ctl_exit result = run(c, &xml);
	buf_free(&xml);
	return result;
}

static enum ctl_exit command_single(struct ctl *c, const struct reg_object *o, enum reg_verb verb, const char *key)
{
	struct arena *arena = arena_new(COMMAND_ARENA);
	struct buf xml = BUF_INIT(0);
	char why[256] = "";
	enum ctl_exit result = CTL_USAGE;
	enum ceir_err err = arena ? ctl_request_object(&xml, o, verb, key, &c->args, arena, why, sizeof(why)) : CEIR_ENOMEM;

	if (err)
		ctl_complain("%s", why[0] ? why : ceir_err_text(err));
	else
		result = run(c, &xml);
	if (xml.p)
		explicit_bzero(xml.p, xml.cap); /* may hold a password */
	buf_free(&xml);
	arena_free(arena);
	return result;
}

/* A verb of the table that the object has; "end" is what deleting a listing means. */
static bool verb_find(const struct reg_object *o, const char *word, enum reg_verb *verb)
{
	if (strcmp(word, "end") == 0 && strcmp(o->name, "listing") == 0)
		word = "delete";
	for (unsigned v = REG_CHECK; v < REG_VERBS; v++)
		if (ctl_request_can(o, (enum reg_verb)v) && strcmp(word, reg_verb_name(v)) == 0) {
			*verb = (enum reg_verb)v;
			return true;
		}
	return false;
}

enum ctl_exit ctl_command_object(struct ctl *c, const struct reg_object *o)
{
	const char *word = c->args.n_words > 1 ? c->args.words[1] : NULL;
	bool is_application = strcmp(o->name, "application") == 0;
	enum reg_verb verb;

	if (word && strcmp(o->name, "list") == 0 && strcmp(word, "get") == 0)
		return ctl_command_list_get(c);
	if (word && strcmp(o->name, "delivery") == 0 && strcmp(word, "rejects") == 0)
		return ctl_command_rejects(c);
	if (word && is_application && strcmp(word, "submit") == 0)
		return ctl_command_submit(c, o);
	if (word && is_application && strcmp(word, "result") == 0)
		return ctl_command_result(c, o);
	if (word && strcmp(word, "import") == 0 && ctl_request_can(o, REG_CREATE))
		return ctl_command_import(c, o);
	if (!word || !verb_find(o, word, &verb)) {
		ctl_complain(word ? "%s has no verb \"%s\"" : "%s: which verb?", o->name, word);
		ctl_help_object(stderr, o, NULL);
		return CTL_USAGE;
	}
	if (verb == REG_CHECK)
		return ctl_command_check(c, o);
	if (verb == REG_QUERY)
		return ctl_command_query(c, o);
	const char *key = key_of(c, o);
	bool named_by_server = verb == REG_CREATE && o->fields->flags & REG_SERVER;
	if (!key != named_by_server || c->args.n_words > 3) {
		ctl_complain(named_by_server ? "%s %s takes no name: the server gives one" : "%s %s wants one name", o->name, word);
		return CTL_USAGE;
	}
	return verb == REG_TRANSFER ? command_transfer(c, o, key) : command_single(c, o, verb, key);
}

/* ---- of the session ---------------------------------------------------------------------------------------------------- */

/* The greeting came with the connection; hello asks for a fresh one. No login is needed. */
enum ctl_exit ctl_command_hello(struct ctl *c)
{
	struct buf xml = BUF_INIT(0);
	json_t *greeting = NULL;
	enum ctl_exit result;

	c->args.no_login = true;
	result = ctl_options_end(c);
	if (result == CTL_OK)
		result = ctl_open(c);
	if (result != CTL_OK)
		return result;
	ctl_request_hello(&xml);
	result = ctl_send(&c->session, &xml);
	if (result == CTL_OK)
		result = ctl_receive(&c->session, &greeting);
	if (result == CTL_OK && c->args.json)
		ctl_print_json(greeting);
	else if (result == CTL_OK)
		ctl_print_fields(stdout, greeting);
	json_decref(greeting);
	buf_free(&xml);
	ctl_session_close(&c->session);
	return result;
}

/* Shows every message and takes it off the queue, until there is none. */
static enum ctl_exit poll_all(struct ctl *c)
{
	struct buf xml = BUF_INIT(0);
	enum ctl_exit result;
	bool more = true;

	while (more) {
		json_t *message = NULL, *done = NULL;
		buf_clear(&xml);
		ctl_request_poll(&xml, NULL);
		result = ctl_send(&c->session, &xml);
		if (result == CTL_OK)
			result = ctl_receive(&c->session, &message);
		const char *id = json_string_value(json_object_get(json_object_get(message, "queue"), "id"));
		more = result == CTL_OK && ctl_answer_code(message) == REG_MESSAGE && id;
		if (result == CTL_OK && (more || !ctl_answer_good(message)))
			result = ctl_show(&c->session, message);
		if (more) {
			buf_clear(&xml);
			ctl_request_poll(&xml, id);
			fflush(stdout); /* shown before it is gone from the queue */
			result = ctl_send(&c->session, &xml);
			if (result == CTL_OK)
				result = ctl_receive(&c->session, &done);
			if (result == CTL_OK && !ctl_answer_good(done))
				result = ctl_show(&c->session, done);
			more = result == CTL_OK;
		}
		json_decref(message);
		json_decref(done);
	}
	buf_free(&xml);
	return result;
}

enum ctl_exit ctl_command_poll(struct ctl *c)
{
	bool ack = c->args.n_words == 3 && strcmp(c->args.words[1], "ack") == 0, all = ctl_args_flag(&c->args, "all");
	struct buf xml = BUF_INIT(0);
	enum ctl_exit result;

	if ((c->args.n_words > 1 && !ack) || (ack && all)) {
		ctl_complain("poll, poll ack ID, or poll --all");
		return CTL_USAGE;
	}
	if (!all) {
		ctl_request_poll(&xml, ack ? c->args.words[2] : NULL);
		result = run(c, &xml);
		buf_free(&xml);
		return result;
	}
	result = ctl_options_end(c);
	if (result == CTL_OK)
		result = ctl_open(c);
	if (result != CTL_OK)
		return result;
	result = poll_all(c);
	ctl_session_close(&c->session);
	return result;
}

/* RFC 5730 2.9.1.1: a new password is given in the login. */
enum ctl_exit ctl_command_password(struct ctl *c)
{
	const char *file = ctl_args_value(&c->args, "new-password-file");
	struct buf newpw = BUF_INIT(0);
	struct ctl_target target;
	char why[256];
	enum ctl_exit result = ctl_options_end(c);

	if (result != CTL_OK)
		return result;
	if (ctl_target_find(&c->args, &target, why, sizeof(why)) || !target.may_login) {
		ctl_complain("%s", target.may_login ? why : "whose password? give --user, or --dir");
		return CTL_USAGE;
	}
	enum ceir_err err = ctl_secret_read(file ? file : "-", "new password", &newpw);
	if (err) {
		ctl_complain("new password: %s", ceir_err_text(err));
		result = CTL_USAGE;
	} else {
		result = ctl_session_open(&c->session, &c->args, &target, buf_view(&newpw));
	}
	if (result == CTL_OK) {
		fprintf(stderr, "The password of %s is changed.\n", target.user);
		ctl_session_close(&c->session);
	}
	if (newpw.p)
		explicit_bzero(newpw.p, newpw.cap);
	buf_free(&newpw);
	return result;
}

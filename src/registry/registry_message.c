/* registry_message.c - the queue of an account: what happened without a command of its own (RFC 5730 2.9.2.3, poll). */
#include <string.h>

#include "registry/registry_internal.h"

/* Texts by kind, with {0}.. for the arguments. */
static const char *const texts[REG_MESSAGES] = {
	[REG_MESSAGE_APPLICATION_DONE] = N_("Application {0} has been processed: {1} accepted, {2} refused"),
	[REG_MESSAGE_TRANSFER_REQUESTED] = N_("Another importer requests the transfer of device {0}"),
	[REG_MESSAGE_TRANSFER_DECIDED] = N_("The transfer of device {0} was decided: {1}"),
	[REG_MESSAGE_APPLICATION_PENDING] = N_("Personal import {0} waits for confirmation"),
	[REG_MESSAGE_LIST_READY] = N_("List {0} is ready: changes {1} to {2}"),
	[REG_MESSAGE_DELIVERY_HELD] = N_("Delivery {0} of {1} waits for a decision: {2}"),
	[REG_MESSAGE_DELIVERY_DECIDED] = N_("Delivery {0}: {1}"),
	[REG_MESSAGE_WATCH_SEEN] = N_("Watched device {0} was seen on a network at {1}; watch {2}"),
	[REG_MESSAGE_POLICY_TRIED] = N_("Policy {0} was tried: {1} of {2} IMEIs would change, {3} of them to black"),
	[REG_MESSAGE_POLICY_ACTIVE] = N_("Policy {0} is in force: {1} IMEIs have changed"),
	[REG_MESSAGE_POLICY_GUARDED] = N_("Policy {0} was not put in force: {1} of {2} IMEIs would change"),
	[REG_MESSAGE_RUN_GUARDED] = N_("A classification was stopped: {0} of {1} IMEIs would become black; repeat the policy with force"),
	[REG_MESSAGE_REMOTE_FAILS] = N_("Remote {0} of account {1} has failed {2} times in a row: {3}"),
	[REG_MESSAGE_REMOTE_WORKS] = N_("Remote {0} of account {1} works again after {2} failures"),
};

static enum ceir_err put(struct exec *x, int64_t account, enum reg_message_kind kind, const struct str *args, size_t n)
{
	struct store_message m = {.account = account, .at_us = x->now_us, .kind = kind, .n_args = n};

	CEIR_ASSERT(n <= CEIR_COUNT(m.args));
	for (size_t i = 0; i < n; i++)
		m.args[i] = args[i];
	return store_message_put(x->db, &m);
}

enum ceir_err reg_message_to(struct exec *x, struct str clid, enum reg_message_kind kind, const struct str *args, size_t n)
{
	struct store_val row[ACCOUNT_N];
	enum ceir_err err;

	if (!reg_find(x, &STORE_ACCOUNT, clid, row, &err))
		return err;
	return put(x, row[ACCOUNT_ID].i, kind, args, n);
}

struct recipients {
	int64_t ids[64];
	size_t n;
};

static enum ceir_err note(void *ctx, const struct store_val *row)
{
	struct recipients *r = ctx;

	r->ids[r->n++] = row[ACCOUNT_ID].i;
	return CEIR_OK;
}

/* To every active account whose column has this value. */
static enum ceir_err to_accounts(struct exec *x, int column, struct str value, enum reg_message_kind kind, const struct str *args, size_t n)
{
	struct store_filter f[] = {{column, STORE_EQ, store_text(value)}, {ACCOUNT_STATUS, STORE_EQ, store_text(STR("active"))}};
	struct store_query q = {.table = &STORE_ACCOUNT, .filters = f, .n_filters = 2, .limit = 64};
	struct recipients r = {.n = 0};
	enum ceir_err err = store_select(x->db, &q, note, &r);

	for (size_t i = 0; i < r.n && !err; i++)
		err = put(x, r.ids[i], kind, args, n);
	return err;
}

enum ceir_err reg_message_to_importer(struct exec *x, struct str importer, enum reg_message_kind kind, const struct str *args, size_t n)
{
	return to_accounts(x, ACCOUNT_IMPORTER, importer, kind, args, n);
}

enum ceir_err reg_message_to_operator(struct exec *x, struct str operator_code, enum reg_message_kind kind, const struct str *args, size_t n)
{
	return to_accounts(x, ACCOUNT_OPERATOR, operator_code, kind, args, n);
}

enum ceir_err reg_message_to_role(struct exec *x, enum reg_role role, enum reg_message_kind kind, const struct str *args, size_t n)
{
	return to_accounts(x, ACCOUNT_ROLE, str_of(reg_role_name(role)), kind, args, n);
}

/* What came of an application: its name, decided, and when (RFC 5731 3.3). Its rows are fetched by application:info. */
static enum ceir_err show_outcome(struct exec *x, const struct store_message *m)
{
	static const struct reg_field fields[] = {{.name = "id", .type = REG_TOKEN}, {.name = "paResult", .type = REG_TOKEN},
		{.name = "paDate", .type = REG_TIME}, {.name = NULL}};
	struct reg_list l;

	reg_list_init(&l);
	enum ceir_err err = reg_list_add(x, &l, fields, "id", m->args[0]);
	if (!err)
		err = reg_list_add(x, &l, fields, "paResult", STR("1"));
	if (!err)
		err = reg_list_add(x, &l, fields, "paDate", reg_print_time(x, m->at_us));
	x->reply->data = REG_DATA_PENDING;
	x->reply->object = reg_object_by_name(STR("application"));
	x->reply->fields = l.head;
	return err;
}

static enum ceir_err poll_request(struct exec *x, struct reg_message *out)
{
	struct store_message m;
	enum ceir_err err = store_message_first(x->db, x->s->who.account, x->arena, &m, &out->count);

	if (err == CEIR_ENOENT) {
		x->reply->code = REG_NO_MESSAGES;
		return CEIR_OK;
	}
	if (err)
		return err;
	x->reply->code = REG_MESSAGE;
	out->id = reg_print_u64(x, (uint64_t)m.id);
	out->at_us = m.at_us;
	out->english = m.kind > 0 && m.kind < REG_MESSAGES ? texts[m.kind] : "";
	memcpy(out->args, m.args, sizeof out->args);
	out->n_args = m.n_args;
	x->reply->message = out;
	if (!out->id.p)
		return CEIR_ENOMEM;
	return m.kind == REG_MESSAGE_APPLICATION_DONE ? show_outcome(x, &m) : CEIR_OK;
}

static enum ceir_err poll_ack(struct exec *x, struct reg_message *out)
{
	uint64_t id;

	if (str_u64(x->c->msgid, INT64_MAX, &id))
		return reg_refuse(x, REG_NOT_FOUND, "poll", x->c->msgid, N_("There is no such message in the queue"));
	enum ceir_err err = store_message_ack(x->db, x->s->who.account, (int64_t)id, &out->count);
	if (err == CEIR_ENOENT)
		return reg_refuse(x, REG_NOT_FOUND, "poll", x->c->msgid, N_("There is no such message in the queue"));
	/* RFC 5730 2.9.2.3: after the last one the queue is not mentioned any more. */
	if (!err && out->count) {
		out->id = x->c->msgid;
		x->reply->message = out;
	}
	return err;
}

enum ceir_err reg_poll(struct exec *x)
{
	struct reg_message *out = arena_alloc(x->arena, sizeof *out);

	if (!out)
		return CEIR_ENOMEM;
	return x->c->poll_ack ? poll_ack(x, out) : poll_request(x, out);
}

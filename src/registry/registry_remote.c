/*
 * registry_remote.c - remotes: FTPS servers of others, to which ceir pushes lists and answers and from which it fetches files, for one account. Kept
 * by admin; the account of an operator sees its own. What the exchange itself asks and notes is in registry_remote_face.c.
 */
#include <string.h>

#include "registry/registry_remote.h"

#define PORT_EXPLICIT 21          /* RFC 4217 */
#define PORT_IMPLICIT 990
#define INTERVAL_MIN 10
#define INTERVAL_DEFAULT 60

static struct str given(const struct exec *x, const char *name)
{
	struct reg_node *n = reg_node_find(x->c->set, name);

	return n ? n->text : STR("");
}

/* ---- which lists ---- */

unsigned reg_remote_lists(struct store_val names)
{
	struct str rest = names.null ? STR("") : names.s, name;
	unsigned lists = 0;

	while (str_cut(&rest, ' ', &name))
		for (unsigned k = 0; k < REG_LISTS; k++)
			if (str_eq_c(name, reg_list_name(k)))
				lists |= REG_BIT(k);
	return lists;
}

static enum ceir_err put_lists(struct exec *x, unsigned lists, struct store_val *row, uint32_t *mask)
{
	struct str names = STR("");

	for (unsigned k = 0; k < REG_LISTS; k++)
		if (lists & REG_BIT(k))
			names = arena_printf(x->arena, "%.*s%s%s", (int)names.n, names.p, names.n ? " " : "", reg_list_name(k));
	row[REMOTE_LISTS] = names.n ? store_text(names) : store_null();
	*mask |= 1u << REMOTE_LISTS;
	return names.p ? CEIR_OK : CEIR_ENOMEM;
}

/* Puts the lists that are named into the set, or takes them out. */
static enum ceir_err change_lists(struct exec *x, struct reg_node *nodes, bool add, unsigned *lists)
{
	struct store_val v;

	for (struct reg_node *n = nodes; n; n = n->next) {
		if (strcmp(n->field->name, "list") != 0)
			continue;
		if (!reg_parse(x, n->field, n->text, &v))
			return CEIR_OK;
		unsigned bit = reg_remote_lists(v);
		if (add && (*lists & bit))
			return reg_refuse(x, REG_EXISTS, "list", n->text, N_("The remote gets this list already"));
		if (!add && !(*lists & bit))
			return reg_refuse(x, REG_NOT_FOUND, "list", n->text, N_("The remote does not get this list"));
		*lists ^= bit;
	}
	return CEIR_OK;
}

/* What is said of lists, by a create or an update; the usual ones where a remote gets lists and nobody said which. */
static enum ceir_err choose_lists(struct exec *x, struct store_val *row, uint32_t *mask)
{
	struct reg_node *more = x->c->verb == REG_CREATE ? x->c->set : x->c->add;
	unsigned lists = reg_remote_lists(row[REMOTE_LISTS]);
	bool none_yet = !lists;
	enum ceir_err err = change_lists(x, x->c->rem, false, &lists);

	if (!err && !reg_refused(x))
		err = change_lists(x, more, true, &lists);
	if (err || reg_refused(x))
		return err;
	if (row[REMOTE_LISTS_TO].null && reg_node_find(more, "list"))
		return reg_refuse(x, REG_MISSING, "listsTo", STR(""), N_("Lists need a folder to be pushed to"));
	if (!row[REMOTE_LISTS_TO].null && !lists && none_yet)
		lists = REG_BIT(REG_LIST_BLACK) | REG_BIT(REG_LIST_GREY) | REG_BIT(REG_LIST_EXCEPTIONS);
	if (!row[REMOTE_LISTS_TO].null && !lists)
		return reg_refuse(x, REG_POLICY, "list", STR(""), N_("A remote with a folder for lists gets at least one list"));
	return put_lists(x, row[REMOTE_LISTS_TO].null ? 0 : lists, row, mask);
}

/* ---- what a remote must be ---- */

static enum ceir_err check_numbers(struct exec *x, const struct store_val *row)
{
	if (row[REMOTE_PORT].i < 1)
		return reg_refuse(x, REG_RANGE, "port", given(x, "port"), N_("A port is a number from 1 to 65535"));
	if (row[REMOTE_INTERVAL].i < INTERVAL_MIN)
		return reg_refuse(x, REG_RANGE, "interval", given(x, "interval"), N_("The interval is 10 to 86400 seconds"));
	return CEIR_OK;
}

static enum ceir_err check_folders(struct exec *x, const struct store_val *row)
{
	static const struct {
		const char *name;
		int column;
	} folders[] = {{"listsTo", REMOTE_LISTS_TO}, {"answersTo", REMOTE_ANSWERS_TO}, {"fetchFrom", REMOTE_FETCH_FROM}};
	bool any = false;

	for (size_t i = 0; i < CEIR_COUNT(folders); i++) {
		struct store_val v = row[folders[i].column];

		if (!v.null && !reg_remote_folder_good(v.s))
			return reg_refuse(x, REG_VALUE, folders[i].name, v.s, N_("Expected the path of a folder, without \"..\""));
		any |= !v.null;
	}
	if (!any)
		return reg_refuse(x, REG_MISSING, "listsTo", STR(""), N_("A remote needs at least one of listsTo, answersTo and fetchFrom"));
	/* Else ceir would fetch what it has just pushed, and answer it. */
	for (size_t i = 0; i < 2; i++) {
		struct store_val to = row[folders[i].column], from = row[REMOTE_FETCH_FROM];

		if (!to.null && !from.null && reg_remote_folder_same(to.s, from.s))
			return reg_refuse(x, REG_POLICY, "fetchFrom", from.s, N_("Files cannot be fetched from a folder that others are pushed to"));
	}
	return CEIR_OK;
}

static enum ceir_err check_account(struct exec *x, const struct store_val *row)
{
	struct store_val account[ACCOUNT_N];
	enum ceir_err err;

	if (!reg_find(x, &STORE_ACCOUNT, row[REMOTE_ACCOUNT].s, account, &err))
		return err ? err : reg_refuse(x, REG_NOT_FOUND, "account", row[REMOTE_ACCOUNT].s, N_("There is no such account"));
	if (reg_val_is(account[ACCOUNT_STATUS], "closed") && x->c->verb == REG_CREATE)
		return reg_refuse(x, REG_STATUS, "account", row[REMOTE_ACCOUNT].s, N_("The account is closed"));
	if (!row[REMOTE_LISTS_TO].null && account[ACCOUNT_OPERATOR].null)
		return reg_refuse(x, REG_POLICY, "listsTo", row[REMOTE_LISTS_TO].s, N_("Lists are made for operators, and this account is not an operator's"));
	return CEIR_OK;
}

/* Replaces the certificates by their form of a file. What was given is not shown: it may be a private key by mistake. */
static enum ceir_err take_ca(struct exec *x, struct store_val *row)
{
	const struct reg_field *f = reg_field_find(x->c->object->fields, STR("ca"));
	struct str pem;

	if (row[REMOTE_CA].null)
		return CEIR_OK;
	enum ceir_err err = reg_remote_pem(x->arena, row[REMOTE_CA].s, (size_t)f->max, &pem);
	if (err == CEIR_EINVAL)
		return reg_refuse(x, REG_VALUE, "ca", STR(""), N_("Expected one or more certificates in PEM, and nothing else in PEM"));
	if (err == CEIR_ERANGE)
		return reg_refuse(x, REG_RANGE, "ca", STR(""), N_("The certificates are too long: at most 16384 characters in PEM"));
	if (!err)
		row[REMOTE_CA] = store_text(pem);
	return err;
}

static enum ceir_err seal_password(struct exec *x, struct store_val *row)
{
	struct str sealed;

	if (!reg_remote_password_good(row[REMOTE_PW].s))
		return reg_refuse(x, REG_VALUE, "pw", STR(""), N_("A password for another server has no control characters"));
	enum ceir_err err = reg_remote_seal(x->r, row[REMOTE_CODE].s, row[REMOTE_PW].s, x->arena, &sealed);
	if (!err)
		row[REMOTE_PW] = store_blob(sealed.p, sealed.n);
	return err;
}

/* All that holds for every remote, new or changed; the columns of mask were given. */
static enum ceir_err check_remote(struct exec *x, struct store_val *row, uint32_t *mask)
{
	enum ceir_err err = CEIR_OK;

	if (!reg_remote_host_good(row[REMOTE_HOST].s))
		return reg_refuse(x, REG_VALUE, "host", row[REMOTE_HOST].s, N_("Expected a DNS name, an IPv4 or an IPv6 address"));
	err = check_numbers(x, row);
	if (!err && !reg_refused(x))
		err = check_folders(x, row);
	if (!err && !reg_refused(x))
		err = check_account(x, row);
	if (!err && !reg_refused(x))
		err = choose_lists(x, row, mask);
	if (!err && !reg_refused(x) && (*mask & 1u << REMOTE_CA))
		err = take_ca(x, row);
	if (!err && !reg_refused(x) && (*mask & 1u << REMOTE_PW))
		err = seal_password(x, row);
	return err;
}

/* ---- verbs ---- */

static int64_t usual_port(const struct store_val *row)
{
	return reg_val_is(row[REMOTE_TLS], "implicit") ? PORT_IMPLICIT : PORT_EXPLICIT;
}

static void preset(struct store_val *row, int column, struct store_val v)
{
	if (row[column].null)
		row[column] = v;
}

enum ceir_err reg_remote_create(struct exec *x)
{
	struct store_val row[REMOTE_N];
	uint32_t mask = 0;

	for (int i = 0; i < REMOTE_N; i++)
		row[i] = store_null();
	if (!reg_row(x, x->c->object->fields, x->c->set, true, row, &mask))
		return CEIR_OK;
	preset(row, REMOTE_TLS, store_text(STR("explicit")));
	preset(row, REMOTE_PORT, store_int(usual_port(row)));
	preset(row, REMOTE_FORMAT, store_text(STR("csv")));
	preset(row, REMOTE_PACKING, store_text(STR("zstd")));
	preset(row, REMOTE_KEEP, store_text(STR("no")));
	preset(row, REMOTE_INTERVAL, store_int(INTERVAL_DEFAULT));
	preset(row, REMOTE_STATUS, store_text(STR("active")));
	enum ceir_err err = check_remote(x, row, &mask);
	if (err || reg_refused(x))
		return err;
	/* Never used again for another: who exchanges files goes by it. */
	row[REMOTE_ID] = store_int(x->transaction);
	row[REMOTE_FAILURES] = store_int(0);
	reg_stamp(x, row, REMOTE_CR_ID, &mask);
	err = reg_insert(x, &STORE_REMOTE, row, NULL);
	return err || reg_refused(x) ? err : reg_created(x, row[REMOTE_CODE].s);
}

/*
 * Another host, or another authority that vouches for it, gets the password only from somebody who knows it: else whoever may change a remote
 * could have it sent to a machine of his own.
 */
static enum ceir_err check_password_goes_along(struct exec *x, const struct store_val *before, const struct store_val *row, uint32_t mask)
{
	bool host = !str_eq(before[REMOTE_HOST].s, row[REMOTE_HOST].s);
	bool ca = before[REMOTE_CA].null != row[REMOTE_CA].null || (!row[REMOTE_CA].null && !str_eq(before[REMOTE_CA].s, row[REMOTE_CA].s));

	if ((mask & 1u << REMOTE_PW) || (!host && !ca))
		return CEIR_OK;
	return reg_refuse(x, REG_MISSING, "pw", STR(""), N_("Another host, or another authority for it, needs the password in the same command"));
}

/* What was wrong before is not held against the new settings. */
static void begin_again(struct store_val *row, uint32_t *mask)
{
	row[REMOTE_FAILURES] = store_int(0);
	row[REMOTE_ERROR] = store_null();
	*mask |= 1u << REMOTE_FAILURES | 1u << REMOTE_ERROR;
}

enum ceir_err reg_remote_update(struct exec *x)
{
	struct store_val row[REMOTE_N], before[REMOTE_N];
	uint32_t mask = 0;
	enum ceir_err err;

	if (!reg_load(x, &STORE_REMOTE, row, &err))
		return err;
	memcpy(before, row, sizeof before);
	if (!reg_row(x, x->c->object->fields, x->c->set, false, row, &mask))
		return CEIR_OK;
	/* A port that was the usual one goes with the way of TLS. */
	if (!(mask & 1u << REMOTE_PORT) && before[REMOTE_PORT].i == usual_port(before)) {
		row[REMOTE_PORT] = store_int(usual_port(row));
		mask |= 1u << REMOTE_PORT;
	}
	err = check_remote(x, row, &mask);
	if (!err && !reg_refused(x))
		err = check_password_goes_along(x, before, row, mask);
	if (err || reg_refused(x))
		return err;
	begin_again(row, &mask);
	reg_stamp(x, row, REMOTE_UP_ID, &mask);
	return store_update(x->db, &STORE_REMOTE, row[REMOTE_ID].i, mask, row);
}

/* The audit log keeps what went where. */
enum ceir_err reg_remote_delete(struct exec *x)
{
	struct store_val row[REMOTE_N];
	enum ceir_err err;

	if (!reg_load(x, &STORE_REMOTE, row, &err))
		return err;
	err = reg_delete_list(x, &STORE_REMOTE_FILE, REMOTE_FILE_REMOTE, row[REMOTE_ID].i);
	return err ? err : store_delete(x->db, &STORE_REMOTE, row[REMOTE_ID].i);
}

/* ---- reading ---- */

static enum ceir_err add_pushed(struct exec *x, const struct reg_field *f, struct reg_list *out, unsigned list, int64_t seq)
{
	struct reg_list group;

	reg_list_init(&group);
	enum ceir_err err = reg_list_add(x, &group, f->fields, "list", str_of(reg_list_name(list)));
	if (!err)
		err = reg_list_add(x, &group, f->fields, "seq", reg_print_u64(x, (uint64_t)seq));
	return err ? err : reg_list_group(x, out, x->c->object->fields, f->name, group.head);
}

enum ceir_err reg_remote_nodes(struct exec *x, const struct reg_field *f, struct reg_list *out, const struct store_val *row)
{
	unsigned lists = reg_remote_lists(row[REMOTE_LISTS]);
	bool pushed = strcmp(f->name, "pushed") == 0;
	struct reg_remote_file file;
	enum ceir_err err = CEIR_OK;

	for (unsigned k = 0; k < REG_LISTS && !err; k++) {
		struct str name = str_of(reg_list_name(k));

		if (!pushed) {
			if (lists & REG_BIT(k))
				err = reg_list_add(x, out, x->c->object->fields, f->name, name);
			continue;
		}
		err = reg_remote_file_find(x->db, row[REMOTE_ID].i, REMOTE_WAY_LIST, name, &file);
		if (!err && file.id)
			err = add_pushed(x, f, out, k, file.size);
	}
	return err;
}

/* registry_account.c - accounts: who may log in, as what, with which certificates. Kept by admin. Never deleted: closed. */
#include <string.h>

#include "registry/registry_internal.h"

static enum ceir_err add_certificate(struct exec *x, int64_t account, struct reg_node *n)
{
	struct store_val row[ACCOUNT_CERT_N] = {store_null(), store_null(), store_int(account)};

	if (!reg_parse(x, n->field, n->text, &row[ACCOUNT_CERT_SHA256]))
		return CEIR_OK;
	enum ceir_err err = store_insert(x->db, &STORE_ACCOUNT_CERT, row, NULL);
	return err != CEIR_EEXIST ? err : reg_refuse(x, REG_EXISTS, "certificate", n->text, N_("The account has this certificate already"));
}

struct cert_found {
	int64_t id;
	bool found;
};

static enum ceir_err keep_cert(void *ctx, const struct store_val *row)
{
	*(struct cert_found *)ctx = (struct cert_found){row[ACCOUNT_CERT_ID].i, true};
	return CEIR_OK;
}

static enum ceir_err remove_certificate(struct exec *x, int64_t account, struct reg_node *n)
{
	struct store_val sha256;
	struct cert_found c = {0, false};

	if (!reg_parse(x, n->field, n->text, &sha256))
		return CEIR_OK;
	struct store_filter f[] = {{ACCOUNT_CERT_ACCOUNT, STORE_EQ, store_int(account)}, {ACCOUNT_CERT_SHA256, STORE_EQ, sha256}};
	struct store_query q = {.table = &STORE_ACCOUNT_CERT, .filters = f, .n_filters = 2};
	enum ceir_err err = store_select(x->db, &q, keep_cert, &c);
	if (err)
		return err;
	return c.found ? store_delete(x->db, &STORE_ACCOUNT_CERT, c.id)
		: reg_refuse(x, REG_NOT_FOUND, "certificate", n->text, N_("The account has no such certificate"));
}

static enum ceir_err each_certificate(struct exec *x, int64_t account, struct reg_node *list,
	enum ceir_err (*what)(struct exec *, int64_t, struct reg_node *))
{
	enum ceir_err err = CEIR_OK;

	for (struct reg_node *n = list; n && !err && !reg_refused(x); n = n->next)
		if (strcmp(n->field->name, "certificate") == 0)
			err = what(x, account, n);
	return err;
}

/* The hash in place of the password, which was checked by its field's type. Argon2 ran in the session's thread: the writer must not wait for it. */
static void take_hash(struct exec *x, struct store_val *row)
{
	row[ACCOUNT_PW] = store_text(str_of(x->password_hash));
}

/* RFC 5646 2.1, as far as XML Schema's "language" goes: subtags of one to eight letters, behind the first also digits. */
static bool is_tag(struct str tag)
{
	struct str part;

	if (!tag.n || tag.p[tag.n - 1] == '-')
		return false;
	for (size_t i = 0; str_cut(&tag, '-', &part); i++) {
		if (!part.n || part.n > 8)
			return false;
		for (size_t k = 0; k < part.n; k++)
			if (!((part.p[k] | 0x20) >= 'a' && (part.p[k] | 0x20) <= 'z') && !(i && part.p[k] >= '0' && part.p[k] <= '9'))
				return false;
	}
	return true;
}

/* The tag becomes that of the catalogue: "uk-UA" stands as "uk". */
static enum ceir_err take_lang(struct exec *x, struct store_val *row, uint32_t mask)
{
	struct str tag = row[ACCOUNT_LANG].s;
	size_t lang;

	if (!(mask & 1u << ACCOUNT_LANG))
		return CEIR_OK;
	if (!is_tag(tag))
		return reg_refuse(x, REG_VALUE, "lang", tag, N_("Expected the tag of a language, as en or uk"));
	if (i18n_find(tag, &lang))
		return reg_refuse(x, REG_RANGE, "lang", tag, N_("There are no translations into this language; the greeting names those there are"));
	row[ACCOUNT_LANG] = store_text(str_of(i18n_tag(lang)));
	return CEIR_OK;
}

/* Importers' accounts name their importer, operators' their operator; nobody else has either. */
static enum ceir_err check_party(struct exec *x, const struct store_val *row)
{
	struct store_val importer[IMPORTER_N], operator[OPERATOR_N];
	bool is_importer = reg_val_is(row[ACCOUNT_ROLE], "importer"), is_operator = reg_val_is(row[ACCOUNT_ROLE], "operator");
	enum ceir_err err;

	if (is_importer != !row[ACCOUNT_IMPORTER].null)
		return reg_refuse(x, is_importer ? REG_MISSING : REG_POLICY, "importer", STR(""), N_("Accounts of importers, and only they, name an importer"));
	if (is_operator != !row[ACCOUNT_OPERATOR].null)
		return reg_refuse(x, is_operator ? REG_MISSING : REG_POLICY, "operator", STR(""),
			N_("Accounts of operators, and only they, name an operator"));
	if (is_operator && !reg_find(x, &STORE_OPERATOR, row[ACCOUNT_OPERATOR].s, operator, &err))
		return err ? err : reg_refuse(x, REG_NOT_FOUND, "operator", row[ACCOUNT_OPERATOR].s, N_("There is no such operator"));
	if (!is_importer || reg_find(x, &STORE_IMPORTER, row[ACCOUNT_IMPORTER].s, importer, &err))
		return CEIR_OK;
	return err ? err : reg_refuse(x, REG_NOT_FOUND, "importer", row[ACCOUNT_IMPORTER].s, N_("There is no such importer"));
}

enum ceir_err reg_account_create(struct exec *x)
{
	struct store_val row[ACCOUNT_N];
	uint32_t mask = 0;
	int64_t id;

	for (int i = 0; i < ACCOUNT_N; i++)
		row[i] = store_null();
	if (!reg_row(x, x->c->object->fields, x->c->set, true, row, &mask))
		return CEIR_OK;
	if (row[ACCOUNT_CODE].s.n < 3)
		return reg_refuse(x, REG_RANGE, "id", row[ACCOUNT_CODE].s, N_("An account's name has 3 to 16 characters"));
	enum ceir_err err = check_party(x, row);
	if (!err && !reg_refused(x))
		err = take_lang(x, row, mask);
	if (err || reg_refused(x))
		return err;
	take_hash(x, row);
	if (row[ACCOUNT_STATUS].null)
		row[ACCOUNT_STATUS] = store_text(STR("active"));
	row[ACCOUNT_FAILS] = store_int(0);
	reg_stamp(x, row, ACCOUNT_CR_ID, &mask);
	err = reg_insert(x, &STORE_ACCOUNT, row, &id);
	if (!err && !reg_refused(x))
		err = each_certificate(x, id, x->c->set, add_certificate);
	x->accounts_changed = true;
	return err || reg_refused(x) ? err : reg_created(x, row[ACCOUNT_CODE].s);
}

enum ceir_err reg_account_update(struct exec *x)
{
	struct store_val row[ACCOUNT_N];
	uint32_t mask = 0;
	enum ceir_err err;

	if (!reg_load(x, &STORE_ACCOUNT, row, &err))
		return err;
	if (reg_val_is(row[ACCOUNT_STATUS], "closed"))
		return reg_refuse(x, REG_STATUS, "id", x->c->key->text, N_("The account is closed"));
	if (!reg_row(x, x->c->object->fields, x->c->set, false, row, &mask))
		return CEIR_OK;
	/* Else the last admin could leave a register that nobody keeps. */
	if (mask & 1u << ACCOUNT_STATUS && !reg_val_is(row[ACCOUNT_STATUS], "active") && str_eq_c(row[ACCOUNT_CODE].s, x->s->who.clid))
		return reg_refuse(x, REG_POLICY, "status", row[ACCOUNT_STATUS].s, N_("An account cannot close itself"));
	if (mask & 1u << ACCOUNT_PW)
		take_hash(x, row);
	/* Setting an account active, or a new password, lifts a lock. */
	if (mask & (1u << ACCOUNT_PW | 1u << ACCOUNT_STATUS)) {
		row[ACCOUNT_FAILS] = store_int(0);
		row[ACCOUNT_LOCKED_UNTIL] = store_null();
		mask |= 1u << ACCOUNT_FAILS | 1u << ACCOUNT_LOCKED_UNTIL;
	}
	err = take_lang(x, row, mask);
	if (!err && !reg_refused(x))
		err = each_certificate(x, row[ACCOUNT_ID].i, x->c->rem, remove_certificate);
	if (!err)
		err = each_certificate(x, row[ACCOUNT_ID].i, x->c->add, add_certificate);
	reg_stamp(x, row, ACCOUNT_UP_ID, &mask);
	x->accounts_changed = true;
	return err || reg_refused(x) ? err : store_update(x->db, &STORE_ACCOUNT, row[ACCOUNT_ID].i, mask, row);
}

/* The name stays taken for ever: the audit log speaks of it. */
enum ceir_err reg_account_delete(struct exec *x)
{
	struct store_val row[ACCOUNT_N];
	uint32_t mask = 1u << ACCOUNT_STATUS;
	enum ceir_err err;

	if (!reg_load(x, &STORE_ACCOUNT, row, &err))
		return err;
	if (reg_val_is(row[ACCOUNT_STATUS], "closed"))
		return reg_refuse(x, REG_STATUS, "id", x->c->key->text, N_("The account is closed"));
	if (str_eq_c(row[ACCOUNT_CODE].s, x->s->who.clid))
		return reg_refuse(x, REG_POLICY, "id", x->c->key->text, N_("An account cannot close itself"));
	row[ACCOUNT_STATUS] = store_text(STR("closed"));
	reg_stamp(x, row, ACCOUNT_UP_ID, &mask);
	x->accounts_changed = true;
	return store_update(x->db, &STORE_ACCOUNT, row[ACCOUNT_ID].i, mask, row);
}

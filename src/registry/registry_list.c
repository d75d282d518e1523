/* registry_list.c - lists for operators through the door: one made on request, how far it is, and what the operator has applied. */
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "registry/registry_list.h"

/* ---- which operator, which list ---- */

uint8_t reg_list_operator(struct registry *r, struct str code)
{
	struct reg_tables *t = reg_class_tables_take(r);
	unsigned op = 1;

	while (op < 256 && !(t->operator_codes[op][0] && str_eq_c(code, t->operator_codes[op])))
		op++;
	reg_tables_give(t);
	return op < 256 ? (uint8_t)op : 0;
}

/* The operator whose lists are asked for: the account's own, or the one that admin names. False: refused, or *err. */
static bool operator_of(struct exec *x, struct str *code, enum ceir_err *err)
{
	struct reg_node *named = reg_node_find(x->c->key, "operator");

	*err = CEIR_OK;
	if (x->s->who.role == REG_ROLE_OPERATOR) {
		*code = str_of(x->s->who.operator);
		if (named && !str_eq(named->text, *code)) {
			*err = reg_refuse(x, REG_AUTHORIZATION, "operator", named->text, NULL);
			return false;
		}
	} else if (!named) {
		*err = reg_refuse(x, REG_MISSING, "operator", STR(""), N_("Whose list? Name the operator"));
		return false;
	} else {
		*code = named->text;
	}
	if (!code->n || !reg_list_operator(x->r, *code)) {
		*err = reg_refuse(x, REG_NOT_FOUND, "operator", *code, N_("There is no such operator"));
		return false;
	}
	return true;
}

static bool kind_of(struct exec *x, enum reg_list_kind *kind, enum ceir_err *err)
{
	for (unsigned i = 0; i < REG_LISTS; i++) {
		if (str_eq_c(x->c->key->text, reg_list_name(i))) {
			*kind = i;
			return true;
		}
	}
	*err = reg_refuse(x, REG_NOT_FOUND, "id", x->c->key->text, N_("Expected black, grey, exceptions or white"));
	return false;
}

/* ---- acknowledgements ---- */

struct ack {
	int64_t id, seq, at_us;
};

static enum ceir_err take_ack(void *ctx, const struct store_val *row)
{
	*(struct ack *)ctx = (struct ack){row[LIST_ACK_ID].i, row[LIST_ACK_SEQ].i, row[LIST_ACK_AT].i};
	return CEIR_OK;
}

static enum ceir_err find_ack(struct store_conn *db, struct str code, const char *list, struct ack *out)
{
	struct store_filter f[] = {{LIST_ACK_OPERATOR, STORE_EQ, store_text(code)}, {LIST_ACK_LIST, STORE_EQ, store_text(str_of(list))}};
	struct store_query q = {.table = &STORE_LIST_ACK, .filters = f, .n_filters = 2, .limit = 1};

	*out = (struct ack){0};
	return store_select(db, &q, take_ack, out);
}

static enum ceir_err put_ack(struct exec *x, struct str code, const char *list, int64_t seq, const struct ack *before)
{
	struct store_val row[LIST_ACK_N] = {[LIST_ACK_ID] = store_null(), [LIST_ACK_OPERATOR] = store_text(code),
		[LIST_ACK_LIST] = store_text(str_of(list)), [LIST_ACK_SEQ] = store_int(seq), [LIST_ACK_AT] = store_int(x->now_us),
		[LIST_ACK_ACCOUNT] = store_text(str_of(x->s->who.clid))};

	if (before->id)
		return store_update(x->db, &STORE_LIST_ACK, before->id, 1u << LIST_ACK_SEQ | 1u << LIST_ACK_AT | 1u << LIST_ACK_ACCOUNT, row);
	return store_insert(x->db, &STORE_LIST_ACK, row, NULL);
}

enum ceir_err reg_list_update(struct exec *x)
{
	struct reg_node *node = reg_node_find(x->c->set, "ackSeq");
	enum reg_list_kind kind;
	struct str code;
	struct ack ack;
	uint64_t seq;
	enum ceir_err err = CEIR_OK;

	if (!kind_of(x, &kind, &err) || !operator_of(x, &code, &err))
		return err;
	if (!node)
		return reg_refuse(x, REG_MISSING, "ackSeq", STR(""), N_("Up to which sequence number is the list applied?"));
	if (str_u64(node->text, INT64_MAX, &seq) || (int64_t)seq >= store_change_next(x->db))
		return reg_refuse(x, REG_RANGE, "ackSeq", node->text, N_("No list was ever made up to this sequence number"));
	err = find_ack(x->db, code, reg_list_name(kind), &ack);
	if (!err && (int64_t)seq < ack.seq)
		return reg_refuse(x, REG_RANGE, "ackSeq", node->text, N_("A later sequence number was acknowledged before"));
	x->audit_name = arena_printf(x->arena, "%s %.*s %" PRIu64, reg_list_name(kind), (int)code.n, code.p, seq);
	return err ? err : put_ack(x, code, reg_list_name(kind), (int64_t)seq, &ack);
}

/* ---- info ---- */

static enum ceir_err newest(void *ctx, const struct store_val *row)
{
	struct exec *x = ((void **)ctx)[0];
	struct reg_list *l = ((void **)ctx)[1];
	const struct reg_field *f = x->c->object->fields;
	char digest[65];
	enum ceir_err err = reg_list_add(x, l, f, "from", reg_print_u64(x, (uint64_t)row[LIST_FILE_FROM].i));

	if (!err)
		err = reg_list_add(x, l, f, "to", reg_print_u64(x, (uint64_t)row[LIST_FILE_TO].i));
	if (!err)
		err = reg_list_add(x, l, f, "fileName", arena_str(x->arena, row[LIST_FILE_NAME].s));
	if (!err)
		err = reg_list_add(x, l, f, "rows", reg_print_u64(x, (uint64_t)row[LIST_FILE_ROWS].i));
	if (!err)
		err = reg_list_add(x, l, f, "bytes", reg_print_u64(x, (uint64_t)row[LIST_FILE_BYTES].i));
	hex_print(row[LIST_FILE_DIGEST].s.p, row[LIST_FILE_DIGEST].s.n < 32 ? row[LIST_FILE_DIGEST].s.n : 32, digest);
	if (!err)
		err = reg_list_add(x, l, f, "digest", arena_str(x->arena, str_of(digest)));
	return err ? err : reg_list_add(x, l, f, "date", reg_print_time(x, row[LIST_FILE_AT].i));
}

static enum ceir_err info_nodes(struct exec *x, enum reg_list_kind kind, struct str code, int64_t seq)
{
	struct store_filter f[] = {{LIST_FILE_OPERATOR, STORE_EQ, store_text(code)},
		{LIST_FILE_LIST, STORE_EQ, store_text(str_of(reg_list_name(kind)))}};
	struct store_query q = {.table = &STORE_LIST_FILE, .filters = f, .n_filters = 2, .descending = true, .limit = 1};
	const struct reg_field *fields = x->c->object->fields;
	struct reg_list l;
	void *ctx[] = {x, &l};
	struct ack ack;
	enum ceir_err err = find_ack(x->db, code, reg_list_name(kind), &ack);

	reg_list_init(&l);
	if (!err)
		err = reg_list_add(x, &l, fields, "id", str_of(reg_list_name(kind)));
	if (!err)
		err = reg_list_add(x, &l, fields, "operator", arena_str(x->arena, code));
	if (!err)
		err = reg_list_add(x, &l, fields, "seq", reg_print_u64(x, (uint64_t)seq));
	if (!err && ack.id)
		err = reg_list_add(x, &l, fields, "ackSeq", reg_print_u64(x, (uint64_t)ack.seq));
	if (!err && ack.id)
		err = reg_list_add(x, &l, fields, "ackDate", reg_print_time(x, ack.at_us));
	if (!err)
		err = reg_list_add(x, &l, fields, "lag", reg_print_u64(x, (uint64_t)(seq - ack.seq)));
	if (!err)
		err = store_select(x->db, &q, newest, ctx);
	x->reply->data = REG_DATA_INFO;
	x->reply->object = x->c->object;
	x->reply->fields = l.head;
	return err;
}

/* ---- a file as the answer ---- */

static enum ceir_err answer_file(struct exec *x, const struct reg_list_file *m, int fd)
{
	static const char *const media[] = {"text/csv; charset=utf-8", "application/xml"};
	struct reg_file *f = arena_alloc(x->arena, sizeof *f);

	if (!f)
		return CEIR_ENOMEM;
	*f = (struct reg_file){.fd = fd, .bytes = m->info.bytes, .rows = m->info.rows,
		.from = m->job->from < 0 ? 0 : m->job->from, .to = m->job->to};
	snprintf(f->media_type, sizeof f->media_type, "%s", media[m->job->format]);
	snprintf(f->name, sizeof f->name, "%s", m->name);
	memcpy(f->digest, m->digest, sizeof f->digest);
	memcpy(f->signature, m->signature, sizeof f->signature);
	x->reply->file = f;
	return CEIR_OK;
}

static enum ceir_err make_file(struct exec *x, struct reg_list_job *job)
{
	struct reg_list_file m = {.job = job};
	char dir[REG_LIST_PATH], prefix[32];
	int fd = -1;
	enum ceir_err err = reg_list_folder(x->r, "lists", job->code, dir);

	/* In the audit log the row of this command is found by the time of its id. */
	if (!err)
		err = reg_list_file_get(x->r, dir, &m, x->now_us, &fd);
	if (err)
		return err;
	x->audit_name = arena_printf(x->arena, "%s %s %" PRIu64 " rows sha256 %.16s", job->code, m.name, m.info.rows, m.digest);
	err = answer_file(x, &m, fd);
	if (err)
		close(fd);
	snprintf(prefix, sizeof prefix, "%s-", reg_list_name(job->kind));
	reg_list_tidy(dir, prefix, x->r->settings.outbox_keep);
	return err;
}

static enum ceir_err info_file(struct exec *x, enum reg_list_kind kind, struct str code, int64_t seq)
{
	const struct reg_list_request *want = x->c->list;
	struct reg_list_job job = {.r = x->r, .op = reg_list_operator(x->r, code), .kind = kind, .from = want->delta ? want->since : -1, .to = seq,
		.now_us = x->now_us, .format = (enum list_format)want->format, .packing = (enum list_packing)want->packing, .dirbs = want->dirbs};

	snprintf(job.code, sizeof job.code, "%.*s", (int)code.n, code.p);
	if (want->dirbs && (want->delta || want->format != REG_LIST_CSV || kind == REG_LIST_WHITE))
		return reg_refuse(x, REG_UNIMPL_OPTION, "layout", STR("dirbs"), N_("In this layout there are whole lists as CSV: black, grey and exceptions"));
	if (want->delta && (want->since < 0 || want->since > seq))
		return reg_refuse(x, REG_RANGE, "since", reg_print_u64(x, (uint64_t)want->since), N_("There is no such sequence number yet"));
	return make_file(x, &job);
}

/* A list takes seconds, and one is made at a time: whoever waits for his turn keeps no connection to the database from others meanwhile. */
static enum ceir_err make_asked(struct exec *x, enum reg_list_kind kind, struct str code, int64_t *seq)
{
	reg_reader_give(x);
	enum ceir_err err = reg_list_settled(x->r, seq);
	if (!err)
		err = info_file(x, kind, code, *seq);
	enum ceir_err again = reg_reader_take(x);
	return err ? err : again;
}

enum ceir_err reg_list_info(struct exec *x)
{
	enum reg_list_kind kind;
	struct str code;
	int64_t seq;
	enum ceir_err err = CEIR_OK;

	if (!kind_of(x, &kind, &err) || !operator_of(x, &code, &err))
		return err;
	err = x->c->list ? make_asked(x, kind, code, &seq) : store_change_last(x->db, &seq);
	return err || reg_refused(x) ? err : info_nodes(x, kind, code, seq);
}

enum ceir_err reg_list_query(struct exec *x)
{
	return reg_query_run(x);
}

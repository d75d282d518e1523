/* registry_delivery_info.c - deliveries that are in the register: shown, with their report, and decided on when they were held. */
#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "registry/registry_delivery.h"

#define READ_BYTES (64u << 10)

/* ---- the form of a row ---- */

static const struct {
	unsigned bit;
	const char *code;
} holds[] = {{DELIVERY_HOLD_EMPTY, "empty"}, {DELIVERY_HOLD_UNCLEAN, "unclean"}, {DELIVERY_HOLD_FOREIGN, "foreign"},
	{DELIVERY_HOLD_SIZE, "size"}, {DELIVERY_HOLD_ZEROS, "zeros"}};

const char *delivery_hold_code(unsigned bit)
{
	for (size_t i = 0; i < CEIR_COUNT(holds); i++)
		if (holds[i].bit == bit)
			return holds[i].code;
	return NULL;
}

uint64_t delivery_staged(const struct store_val *row)
{
	uint64_t id;

	return row[DELIVERY_STAGED].null || str_u64(row[DELIVERY_STAGED].s, UINT64_MAX, &id) ? 0 : id;
}

enum ceir_err reg_delivery_holds(struct exec *x, struct reg_list *out, const struct store_val *row)
{
	struct str rest = row[DELIVERY_HOLD].null ? (struct str){NULL, 0} : row[DELIVERY_HOLD].s, code;
	size_t lang = x->s ? x->s->lang : 0;
	enum ceir_err err = CEIR_OK;

	while (!err && rest.n && str_cut(&rest, ',', &code))
		for (size_t i = 0; i < CEIR_COUNT(holds) && !err; i++)
			if (str_eq_c(code, holds[i].code))
				err = reg_list_add(x, out, reg_object_by_name(STR("delivery"))->fields, "hold",
					str_of(i18n_text(lang, delivery_hold_text(holds[i].bit))));
	return err;
}

/* ---- info ---- */

static bool load_own(struct exec *x, struct store_val *row, enum ceir_err *err)
{
	if (!reg_load(x, &STORE_DELIVERY, row, err))
		return false;
	if (x->s->who.role != REG_ROLE_OPERATOR || reg_val_is(row[DELIVERY_OPERATOR], x->s->who.operator))
		return true;
	*err = reg_refuse(x, REG_AUTHORIZATION, "id", x->c->key->text, N_("The object belongs to somebody else"));
	return false;
}

/* A delivery that was taken as it came has a report all the same: its header. */
static enum ceir_err empty_report(size_t lang, int *fd)
{
	struct buf b = BUF_INIT(4096);
	enum ceir_err err = CEIR_OK;

	delivery_reject_print(&b, lang, NULL);
	*fd = memfd_create("rejects", MFD_CLOEXEC);
	if (*fd < 0)
		err = ceir_err_of_errno(errno);
	else if (b.failed)
		err = CEIR_ENOMEM;
	else
		err = fd_write_all(*fd, b.p, b.n);
	buf_free(&b);
	if (err && *fd >= 0)
		close(*fd);
	return err;
}

/* Reads by offset, so that whoever gets the file begins at its first byte. Rows: line ends without the header's. */
static enum ceir_err measure(int fd, struct reg_file *f)
{
	uint8_t digest[DIGEST];
	char step[READ_BYTES];
	gnutls_hash_hd_t hash;
	uint64_t lines = 0;
	ssize_t got;

	if (gnutls_hash_init(&hash, GNUTLS_DIG_SHA256))
		return CEIR_ENOMEM;
	for (f->bytes = 0; (got = pread(fd, step, sizeof step, (off_t)f->bytes)) != 0;) {
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0 || gnutls_hash(hash, step, (size_t)got)) {
			gnutls_hash_deinit(hash, NULL);
			return CEIR_EIO;
		}
		f->bytes += (uint64_t)got;
		for (const char *p = step; (p = memchr(p, '\n', (size_t)(step + got - p))); p++)
			lines++;
	}
	gnutls_hash_deinit(hash, digest);
	hex_print(digest, sizeof digest, f->digest);
	f->rows = lines ? lines - 1 : 0;
	return lseek(fd, 0, SEEK_SET) ? CEIR_EIO : CEIR_OK;
}

static enum ceir_err attach_report(struct exec *x, const struct store_val *row)
{
	struct reg_file *f = arena_alloc(x->arena, sizeof *f);
	enum ceir_err err = f ? delivery_report_open(x->r, row[DELIVERY_CODE].s, delivery_staged(row), &f->fd) : CEIR_ENOMEM;

	if (err == CEIR_ENOENT)
		err = empty_report(x->s->lang, &f->fd);
	if (err)
		return err;
	err = measure(f->fd, f);
	if (err) {
		close(f->fd);
		return err;
	}
	snprintf(f->media_type, sizeof f->media_type, "text/csv; charset=utf-8");
	snprintf(f->name, sizeof f->name, "%.*s.rejects.csv", (int)row[DELIVERY_CODE].s.n, row[DELIVERY_CODE].s.p);
	x->reply->file = f;
	return CEIR_OK;
}

enum ceir_err reg_delivery_info(struct exec *x)
{
	struct store_val row[DELIVERY_N];
	enum ceir_err err;

	if (!load_own(x, row, &err))
		return err;
	x->reply->data = REG_DATA_INFO;
	x->reply->object = x->c->object;
	err = reg_object_nodes(x, x->c->object, row, &x->reply->fields);
	return err || !x->c->want_file ? err : attach_report(x, row);
}

/* ---- the decision on one that was held ---- */

static enum ceir_err tell_operator(struct exec *x, const struct store_val *row)
{
	struct str outcome = arena_printf(x->arena, "%.*s: %.*s", (int)row[DELIVERY_STATUS].s.n, row[DELIVERY_STATUS].s.p,
		(int)row[DELIVERY_GROUND].s.n, row[DELIVERY_GROUND].s.p);
	struct str args[] = {row[DELIVERY_CODE].s, outcome};

	if (!outcome.p)
		return CEIR_ENOMEM;
	return reg_message_to_operator(x, row[DELIVERY_OPERATOR].s, REG_MESSAGE_DELIVERY_DECIDED, args, CEIR_COUNT(args));
}

/* Status and ground, and nothing else. False: refused. */
static bool parse_decision(struct exec *x, struct store_val *row, enum ceir_err *err)
{
	uint32_t mask = 0;

	*err = CEIR_OK;
	for (const char *const *name = (const char *const[]){"status", "ground", NULL}; *name; name++)
		if (!reg_node_find(x->c->set, *name)) {
			*err = reg_refuse(x, REG_MISSING, *name, STR(""), N_("This element is required"));
			return false;
		}
	if (x->c->add || x->c->rem) {
		*err = reg_refuse(x, REG_POLICY, "delivery", STR(""), N_("Nothing can be added to a delivery"));
		return false;
	}
	if (!reg_row(x, x->c->object->fields, x->c->set, false, row, &mask))
		return false;
	if (reg_val_is(row[DELIVERY_STATUS], "released") || reg_val_is(row[DELIVERY_STATUS], "refused"))
		return true;
	*err = reg_refuse(x, REG_RANGE, "status", row[DELIVERY_STATUS].s, N_("A delivery can be released or refused"));
	return false;
}

enum ceir_err reg_delivery_update(struct exec *x)
{
	struct store_val row[DELIVERY_N];
	uint32_t mask = 1u << DELIVERY_STATUS | 1u << DELIVERY_GROUND;
	enum ceir_err err;

	if (!reg_load(x, &STORE_DELIVERY, row, &err))
		return err;
	struct store_val before = row[DELIVERY_STATUS];
	if (!parse_decision(x, row, &err))
		return err;
	if (!reg_val_is(before, "held"))
		return reg_refuse(x, REG_STATUS, "status", before.s, N_("Only a delivery that is held can be released or refused"));
	reg_stamp(x, row, DELIVERY_UP_ID, &mask);
	err = store_update(x->db, &STORE_DELIVERY, row[DELIVERY_ID].i, mask, row);
	if (!err)
		err = tell_operator(x, row);
	/* Released: applied. Refused: what was staged of it is thrown away. Both by the worker, after the commit. */
	x->wake_intake = true;
	return err;
}

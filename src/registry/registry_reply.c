/* registry_reply.c - building answers: refusals, lists of values, values as text. */
#include <inttypes.h>
#include <string.h>

#include "registry/registry_internal.h"

enum ceir_err reg_refuse(struct exec *x, enum reg_code code, const char *element, struct str value, const char *reason)
{
	x->reply->code = code;
	if (!element)
		return CEIR_OK;
	struct reg_detail *d = arena_alloc(x->arena, sizeof *d);
	if (!d)
		return CEIR_ENOMEM;
	/* The client transaction id is the protocol's own element, whatever object the command is about. */
	d->uri = x->c && x->c->object && strcmp(element, "clTRID") != 0 ? x->c->object->uri : NULL;
	d->element = element;
	if (value.n > 255)
		value.n = 255;
	/* A cut may have split a character; what is shown is always UTF-8. */
	while (value.n && !str_is_utf8(value))
		value.n--;
	d->value = value;
	d->reason = reason;
	d->next = x->reply->details;
	x->reply->details = d;
	return CEIR_OK;
}

void reg_list_init(struct reg_list *l)
{
	l->head = NULL;
	l->tail = &l->head;
}

static struct reg_node *append(struct exec *x, struct reg_list *l, const struct reg_field *f)
{
	struct reg_node *n = arena_alloc(x->arena, sizeof *n);

	if (n) {
		n->field = f;
		*l->tail = n;
		l->tail = &n->next;
	}
	return n;
}

enum ceir_err reg_list_add(struct exec *x, struct reg_list *l, const struct reg_field *fields, const char *name, struct str text)
{
	const struct reg_field *f = reg_field_find(fields, str_of(name));

	CEIR_ASSERT(f);
	if (!text.p || !reg_sees(x, f))
		return CEIR_OK;
	struct reg_node *n = append(x, l, f);
	if (!n)
		return CEIR_ENOMEM;
	n->text = text;
	return CEIR_OK;
}

enum ceir_err reg_list_group(struct exec *x, struct reg_list *l, const struct reg_field *fields, const char *name, struct reg_node *child)
{
	const struct reg_field *f = reg_field_find(fields, str_of(name));

	CEIR_ASSERT(f);
	if (!reg_sees(x, f))
		return CEIR_OK;
	struct reg_node *n = append(x, l, f);
	if (!n)
		return CEIR_ENOMEM;
	n->child = child;
	return CEIR_OK;
}

bool reg_sees(const struct exec *x, const struct reg_field *f)
{
	enum reg_role role = x->s ? x->s->who.role : REG_ROLE_NONE;

	return f->type != REG_SECRET && (!f->see || (f->see & REG_BIT(role)));
}

struct str reg_print_u64(struct exec *x, uint64_t v)
{
	return arena_printf(x->arena, "%" PRIu64, v);
}

struct str reg_print_time(struct exec *x, int64_t us)
{
	char text[TIME_RFC3339_MAX];

	time_rfc3339(us, text);
	return arena_str(x->arena, str_of(text));
}

struct str reg_print_imei(struct exec *x, struct imei imei)
{
	char text[IMEI_DIGITS + 1];

	imei_print(imei, text);
	return arena_str(x->arena, str_of(text));
}

/* Ten-thousandths; always at least two decimals: 4800.00, 0.0125. */
static struct str print_price(struct exec *x, int64_t v)
{
	uint64_t whole = (uint64_t)v / 10000, part = (uint64_t)v % 10000;

	if (part % 100 == 0)
		return arena_printf(x->arena, "%" PRIu64 ".%02u", whole, (unsigned)(part / 100));
	return arena_printf(x->arena, "%" PRIu64 ".%04u", whole, (unsigned)part);
}

static struct str print_hex(struct exec *x, struct str bytes)
{
	char text[2 * DIGEST + 1];

	if (bytes.n > DIGEST)
		bytes.n = DIGEST;
	sodium_bin2hex(text, sizeof text, (const unsigned char *)bytes.p, bytes.n);
	return arena_str(x->arena, str_of(text));
}

struct str reg_print(struct exec *x, const struct reg_field *f, struct store_val v)
{
	char text[DATE_MAX];

	if (v.null)
		return (struct str){NULL, 0};
	switch (f->type) {
	case REG_DATE:
		date_print((int32_t)v.i, text);
		return arena_str(x->arena, str_of(text));
	case REG_TIME:
		return reg_print_time(x, v.i);
	case REG_PRICE:
		return print_price(x, v.i);
	case REG_TAC:
		return arena_printf(x->arena, "%08" PRId64, v.i);
	case REG_IMEI:
		return reg_print_imei(x, (struct imei){(uint64_t)v.i});
	case REG_HEX32:
		return print_hex(x, v.s);
	default:
		return v.type == STORE_INT ? arena_printf(x->arena, "%" PRId64, v.i) : arena_str(x->arena, v.s);
	}
}

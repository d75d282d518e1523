/* registry_record.c - values of commands into rows of the store, checked by their field's type, and rows back into values. */
#include <string.h>

#include "registry/registry_internal.h"

/* ISO 3166-1 alpha-2. */
static const char countries[] =
	"ADAEAFAGAIALAMAOAQARASATAUAWAXAZBABBBDBEBFBGBHBIBJBLBMBNBOBQBRBSBTBVBWBYBZCACCCDCFCGCHCICKCLCMCNCOCRCUCVCWCXCYCZDEDJDKDM"
	"DODZECEEEGEHERESETFIFJFKFMFOFRGAGBGDGEGFGGGHGIGLGMGNGPGQGRGSGTGUGWGYHKHMHNHRHTHUIDIEILIMINIOIQIRISITJEJMJOJPKEKGKHKIKMKN"
	"KPKRKWKYKZLALBLCLILKLRLSLTLULVLYMAMCMDMEMFMGMHMKMLMMMNMOMPMQMRMSMTMUMVMWMXMYMZNANCNENFNGNINLNONPNRNUNZOMPAPEPFPGPHPKPLPM"
	"PNPRPSPTPWPYQARERORSRURWSASBSCSDSESGSHSISJSKSLSMSNSOSRSSSTSVSXSYSZTCTDTFTGTHTJTKTLTMTNTOTRTTTVTWTZUAUGUMUSUYUZVAVCVEVGVI"
	"VNVUWFWSYEYTZAZMZW";

/* ISO 4217 as of 2025, with those withdrawn since 2020: permits of that time still name them. */
static const char currencies[] =
	"AEDAFNALLAMDANGAOAARSAUDAWGAZNBAMBBDBDTBGNBHDBIFBMDBNDBOBBOVBRLBSDBTNBWPBYNBZDCADCDFCHECHFCHWCLFCLPCNYCOPCOUCRCCUCCUPCVE"
	"CZKDJFDKKDOPDZDEGPERNETBEURFJDFKPGBPGELGHSGIPGMDGNFGTQGYDHKDHNLHRKHTGHUFIDRILSINRIQDIRRISKJMDJODJPYKESKGSKHRKMFKPWKRWKWD"
	"KYDKZTLAKLBPLKRLRDLSLLYDMADMDLMGAMKDMMKMNTMOPMRUMURMVRMWKMXNMXVMYRMZNNADNGNNIONOKNPRNZDOMRPABPENPGKPHPPKRPLNPYGQARRONRSD"
	"RUBRWFSARSBDSCRSDGSEKSGDSHPSLESLLSOSSRDSSPSTNSVCSYPSZLTHBTJSTMTTNDTOPTRYTTDTWDTZSUAHUGXUSDUSNUYIUYUUYWUZSVEDVESVNDVUVWST"
	"XAFXAGXAUXBAXBBXBCXBDXCDXCGXDRXOFXPDXPFXPTXSUXTSXUAXXXYERZARZMWZWGZWL";

/* Is s one of the codes of n letters that stand in list one behind the other? */
static bool listed(struct str s, const char *list, size_t n)
{
	for (; s.n == n && *list; list += n)
		if (memcmp(s.p, list, n) == 0)
			return true;
	return false;
}

/* Characters of well-formed UTF-8. */
static size_t characters(struct str s)
{
	size_t n = 0;

	for (size_t i = 0; i < s.n; i++)
		n += ((uint8_t)s.p[i] & 0xc0) != 0x80;
	return n;
}

/* At most 12 digits before and 4 behind the point, into ten-thousandths. */
static enum ceir_err parse_price(struct str s, int64_t *v)
{
	struct str whole, rest = s;
	uint64_t w = 0, part = 0;
	bool point = memchr(s.p, '.', s.n) != NULL;
	enum ceir_err err;

	if (!s.n || !str_cut(&rest, '.', &whole))
		return CEIR_EINVAL;
	err = str_u64(whole, UINT64_MAX, &w);
	if (err)
		return err;
	if (point) {
		err = rest.n > 4 ? CEIR_ERANGE : str_u64(rest, 9999, &part);
		for (size_t i = rest.n; i < 4 && !err; i++)
			part *= 10;
	}
	if (err || w > 999999999999u)
		return err ? err : CEIR_ERANGE;
	*v = (int64_t)(w * 10000 + part);
	return CEIR_OK;
}

static enum ceir_err parse_text(const struct reg_field *f, struct str s, struct store_val *v)
{
	size_t max = f->max ? f->max : f->type == REG_TEXT ? 255 : 64;

	if (!str_is_utf8(s))
		return CEIR_EINVAL;
	if (s.n == 0 || characters(s) > max)
		return CEIR_ERANGE;
	bool lines = f->flags & REG_LINES;
	for (size_t i = 0; i < s.n; i++)
		if (((uint8_t)s.p[i] < 0x20 || s.p[i] == 0x7f) && !(lines && (s.p[i] == '\n' || s.p[i] == '\r' || s.p[i] == '\t')))
			return CEIR_EINVAL;
	if (f->type == REG_TOKEN && str_trim(s).n != s.n)
		return CEIR_EINVAL;
	*v = store_text(s);
	return CEIR_OK;
}

static enum ceir_err parse_enum(const struct reg_field *f, struct str s, struct store_val *v)
{
	for (size_t i = 0; f->choices[i]; i++)
		if (str_eq_c(s, f->choices[i])) {
			*v = store_text(str_of(f->choices[i]));
			return CEIR_OK;
		}
	return CEIR_ERANGE;
}

static enum ceir_err parse_hex(struct exec *x, struct str s, struct store_val *v)
{
	uint8_t *bytes = arena_alloc(x->arena, DIGEST);
	size_t n = 0;

	if (!bytes)
		return CEIR_ENOMEM;
	if (s.n != 2 * DIGEST || sodium_hex2bin(bytes, DIGEST, s.p, s.n, NULL, &n, NULL) || n != DIGEST)
		return CEIR_EINVAL;
	*v = store_blob(bytes, DIGEST);
	return CEIR_OK;
}

static enum ceir_err parse_number(const struct reg_field *f, struct str s, struct store_val *v)
{
	uint64_t n;
	int32_t days;
	int64_t i = 0;
	struct tac tac;
	struct imei imei;
	enum ceir_err err = CEIR_OK;

	switch (f->type) {
	case REG_UINT:
		err = str_u64(s, f->max ? f->max : INT64_MAX, &n);
		i = err ? 0 : (int64_t)n;
		break;
	case REG_DATE:
		err = date_parse(s, &days);
		i = err ? 0 : days;
		break;
	case REG_TIME:
		err = time_parse(s, &i);
		break;
	case REG_PRICE:
		err = parse_price(s, &i);
		break;
	case REG_TAC:
		err = tac_parse(s, &tac);
		i = err ? 0 : (int64_t)tac.n;
		break;
	default: /* REG_IMEI */
		err = imei_parse(s, &imei) ? CEIR_EINVAL : CEIR_OK;
		i = err ? 0 : (int64_t)imei.n;
		break;
	}
	*v = store_int(i);
	return err;
}

static const char *expectation(enum reg_type type)
{
	const char *text = reg_type_expects(type);

	return text ? text : N_("Expected text without control characters, not empty and not too long");
}

bool reg_parse(struct exec *x, const struct reg_field *f, struct str s, struct store_val *v)
{
	enum ceir_err err;
	struct imsi imsi;
	struct msisdn msisdn;

	switch (f->type) {
	case REG_TEXT: case REG_TOKEN: err = parse_text(f, s, v); break;
	case REG_ENUM: err = parse_enum(f, s, v); break;
	case REG_HEX32: err = parse_hex(x, s, v); break;
	case REG_CURRENCY: err = listed(s, currencies, 3) ? CEIR_OK : CEIR_EINVAL; break;
	case REG_COUNTRY: err = listed(s, countries, 2) ? CEIR_OK : CEIR_EINVAL; break;
	case REG_IMSI: err = imsi_parse(s, &imsi); break;
	case REG_MSISDN: err = msisdn_parse(s, &msisdn); break;
	case REG_SECRET: err = !str_is_utf8(s) ? CEIR_EINVAL : s.n < 6 || s.n > 128 ? CEIR_ERANGE : CEIR_OK; break;
	default: err = parse_number(f, s, v); break;
	}
	if (f->type == REG_CURRENCY || f->type == REG_COUNTRY || f->type == REG_IMSI || f->type == REG_MSISDN || f->type == REG_SECRET)
		*v = store_text(s);
	if (!err)
		return true;
	/* A password is never shown back. */
	struct str shown = f->type == REG_SECRET ? STR("") : s;
	if (reg_refuse(x, err == CEIR_ERANGE ? REG_RANGE : err == CEIR_ENOMEM ? REG_FAILED : REG_VALUE, f->name, shown, expectation(f->type)))
		x->reply->code = REG_FAILED;
	return false;
}

struct reg_node *reg_node_find(struct reg_node *list, const char *name)
{
	for (; list; list = list->next)
		if (strcmp(list->field->name, name) == 0)
			return list;
	return NULL;
}

bool reg_row(struct exec *x, const struct reg_field *fields, struct reg_node *list, bool needed, struct store_val *row, uint32_t *mask)
{
	for (struct reg_node *n = list; n; n = n->next) {
		const struct reg_field *f = n->field;

		/* The faces' schemas say the same; but what the server alone may set is the door's promise. */
		if ((f->flags & REG_SERVER) || (!needed && (f->flags & REG_FIXED))) {
			if (reg_refuse(x, REG_POLICY, f->name, n->text, N_("This element cannot be set by this command")))
				x->reply->code = REG_FAILED;
			return false;
		}
		if (f->type == REG_GROUP || (f->flags & REG_MANY) || f->column < 0)
			continue;
		if ((f->flags & REG_CLEARS) && !n->text.n)
			row[f->column] = store_null();
		else if (!reg_parse(x, f, n->text, &row[f->column]))
			return false;
		*mask |= 1u << f->column;
	}
	for (const struct reg_field *f = fields; needed && f->name; f++)
		if ((f->flags & REG_NEEDED) && !reg_node_find(list, f->name)) {
			if (reg_refuse(x, REG_MISSING, f->name, STR(""), N_("This element is required")))
				x->reply->code = REG_FAILED;
			return false;
		}
	return true;
}

enum ceir_err reg_row_nodes(struct exec *x, const struct reg_field *fields, const struct store_val *row, struct reg_list *out)
{
	enum ceir_err err = CEIR_OK;

	for (const struct reg_field *f = fields; f->name && !err; f++)
		if (f->column >= 0 && f->type != REG_GROUP && !(f->flags & REG_MANY) && !row[f->column].null && reg_sees(x, f)) {
			struct str text = reg_print(x, f, row[f->column]);

			err = text.p ? reg_list_add(x, out, fields, f->name, text) : CEIR_ENOMEM;
		}
	return err;
}

bool reg_find(struct exec *x, const struct store_table *t, struct str code, struct store_val *row, enum ceir_err *err)
{
	*err = store_get(x->db, t, 1, store_text(code), x->arena, row);
	if (*err == CEIR_ENOENT) {
		*err = CEIR_OK;
		return false;
	}
	return *err == CEIR_OK;
}

bool reg_load(struct exec *x, const struct store_table *t, struct store_val *row, enum ceir_err *err)
{
	struct store_val key;

	*err = CEIR_OK;
	if (!x->c->key) {
		*err = reg_refuse(x, REG_MISSING, x->c->object->fields[0].name, STR(""), N_("This element is required"));
		return false;
	}
	if (!reg_parse(x, x->c->key->field, x->c->key->text, &key))
		return false;
	*err = store_get(x->db, t, 1, key, x->arena, row);
	if (*err == CEIR_ENOENT)
		*err = reg_refuse(x, REG_NOT_FOUND, x->c->key->field->name, x->c->key->text, N_("There is no such object"));
	return *err == CEIR_OK && !reg_refused(x);
}

void reg_stamp(struct exec *x, struct store_val *row, int id_column, uint32_t *mask)
{
	row[id_column] = store_text(x->s ? str_of(x->s->who.clid) : STR("ceir"));
	row[id_column + 1] = store_int(x->now_us);
	*mask |= 3u << id_column;
}

bool reg_val_is(struct store_val v, const char *text)
{
	return !v.null && str_eq_c(v.s, text);
}

enum ceir_err reg_insert(struct exec *x, const struct store_table *t, const struct store_val *row, int64_t *id)
{
	enum ceir_err err = store_insert(x->db, t, row, id);

	if (err != CEIR_EEXIST)
		return err;
	struct reg_node *key = x->c->key ? x->c->key : x->c->set;
	return reg_refuse(x, REG_EXISTS, key->field->name, key->text, N_("The object exists already"));
}

enum ceir_err reg_created(struct exec *x, struct str key)
{
	const struct reg_field *fields = x->c->object->fields;
	struct reg_list l;

	reg_list_init(&l);
	enum ceir_err err = reg_list_add(x, &l, fields, fields[0].name, key);
	if (!err)
		err = reg_list_add(x, &l, fields, "crDate", reg_print_time(x, x->now_us));
	x->reply->data = REG_DATA_CREATE;
	x->reply->object = x->c->object;
	x->reply->fields = l.head;
	x->audit_name = key;
	return err;
}

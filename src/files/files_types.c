/*
 * files_types.c - the types of records, as a table. A field of the object is a column under its own name and needs no line; a line says
 * another name, or that a cell is written otherwise.
 *
 * The foreign layouts are those that DIRBS-Core 16 imports, so that whoever kept such files can go on writing them. What it calls a pairing
 * is a white listing for one subscriber; what it calls registered is white by the decision of who sends the list.
 */
#include "files/files_types.h"

#include <string.h>

static const struct files_column native_columns[] = {{"action", NULL, FILES_ACTION}, {"change_type", NULL, FILES_ACTION}, {NULL, NULL, 0}};

static const struct files_column gsma_columns[] = {{"tac", "id", 0}, {"manufacturer", "manufacturer", 0}, {"model_name", "model", 0},
	{"marketing_name", "model", 0}, {"brand_name", "brand", 0}, {"device_type", "type", 0}, {"allocation_date", "allocated", FILES_DAY},
	{"bands", "rat", FILES_BANDS},
	{"change_type", NULL, FILES_ACTION}, {NULL, NULL, 0}};

static const struct files_column stolen_columns[] = {{"imei", "imei", FILES_IMEI14}, {"reporting_date", "since", FILES_SINCE},
	{"status", NULL, FILES_STOLEN}, {"id", "id", 0}, {"ground", "ground", 0}, {"change_type", NULL, FILES_ACTION}, {NULL, NULL, 0}};

static const struct files_column registration_columns[] = {{"approved_imei", "imei", FILES_IMEI14}, {"status", NULL, FILES_REGISTERED},
	{"id", "id", 0}, {"change_type", NULL, FILES_ACTION}, {NULL, NULL, 0}};

static const struct files_column pairing_columns[] = {{"imei", "imei", FILES_IMEI14}, {"imsi", "imsi", 0}, {"msisdn", "msisdn", 0}, {"id", "id", 0},
	{"change_type", NULL, FILES_ACTION}, {NULL, NULL, 0}};

static const struct files_column golden_columns[] = {{"golden_imei", "id", FILES_IMEI14}, {"change_type", NULL, FILES_ACTION}, {NULL, NULL, 0}};

static const struct files_column imei_columns[] = {{"imei", "imei", FILES_IMEI14}, {"id", "id", 0}, {"change_type", NULL, FILES_ACTION},
	{NULL, NULL, 0}};

static const struct files_column barred_tac_columns[] = {{"tac", "tac", 0}, {"id", "id", 0}, {"change_type", NULL, FILES_ACTION}, {NULL, NULL, 0}};

/* clang-format off */
const struct files_type files_types[] = {
	{.name = "importer", .object = "importer", .columns = native_columns},
	{.name = "permit", .object = "permit", .columns = native_columns},
	{.name = "certificate", .object = "certificate", .columns = native_columns},
	{.name = "tac", .object = "tac", .columns = native_columns},
	{.name = "listing", .object = "listing", .columns = native_columns, .find = "imei"},
	{.name = "portability", .object = "portability", .columns = native_columns, .find = "from"},
	{.name = "operator", .object = "operator", .columns = native_columns},
	{.name = "golden", .object = "golden", .columns = native_columns},
	{.name = "watch", .object = "watch", .columns = native_columns, .find = "imei"},
	{.name = "application", .way = FILES_APPLICATION, .object = "application"},
	{.name = "check", .way = FILES_CHECK, .object = "imei", .foreign = true},
	{.name = "full", .way = FILES_DELIVERY, .object = "delivery"},
	{.name = "delta", .way = FILES_DELIVERY, .object = "delivery"},
	{.name = "epp", .way = FILES_EPP},
	{.name = "gsma_tac", .object = "tac", .foreign = true, .put = true, .columns = gsma_columns},
	{.name = "stolen_list", .object = "listing", .foreign = true, .whole = FILES_WHOLE, .replace = true, .find = "imei", .columns = stolen_columns,
		.fixed = {{"colour", "black"}, {"reason", "stolen"}, {"stage", "confirmed"}, {"ground", "@file"}}},
	{.name = "registration_list", .object = "listing", .foreign = true, .whole = FILES_WHOLE, .replace = true, .find = "imei", .columns = registration_columns,
		.fixed = {{"colour", "white"}, {"reason", "other"}, {"ground", "@file"}}},
	{.name = "pairing_list", .object = "listing", .foreign = true, .whole = FILES_WHOLE_REFUSED, .find = "imei", .columns = pairing_columns,
		.fixed = {{"colour", "white"}, {"reason", "other"}, {"pair", "only"}, {"ground", "@file"}}},
	{.name = "golden_list", .object = "golden", .foreign = true, .whole = FILES_WHOLE_REFUSED, .columns = golden_columns},
	{.name = "barred_list", .object = "listing", .foreign = true, .whole = FILES_WHOLE, .find = "imei", .columns = imei_columns,
		.fixed = {{"colour", "black"}, {"reason", "barred"}, {"ground", "@file"}}},
	{.name = "barred_tac_list", .object = "listing", .foreign = true, .whole = FILES_WHOLE, .find = "tac", .columns = barred_tac_columns,
		.fixed = {{"colour", "black"}, {"reason", "barred"}, {"ground", "@file"}}},
	{.name = "monitoring_list", .object = "watch", .foreign = true, .whole = FILES_WHOLE, .find = "imei", .columns = imei_columns, .fixed = {{"ground", "@file"}}},
	{.name = NULL},
};
/* clang-format on */

/* ---- names ---- */

static char lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c + 32) : c;
}

const struct files_type *files_type_of(struct str name)
{
	const struct files_type *best = NULL;

	for (const struct files_type *t = files_types; t->name; t++) {
		size_t n = strlen(t->name);

		if (name.n <= n || !strchr("-_.", name.p[n]) || name.p[n] == '\0' || strncasecmp(name.p, t->name, n) != 0)
			continue;
		if (!best || n > strlen(best->name))
			best = t;
	}
	return best;
}

/* Cuts the first word and the sign behind it off; case does not count. */
static bool next_word(struct str *name, const char *word)
{
	size_t n = strlen(word);

	if (name->n <= n || strncasecmp(name->p, word, n) != 0 || !strchr("-_.", name->p[n]) || name->p[n] == '\0')
		return false;
	name->p += n + 1;
	name->n -= n + 1;
	return true;
}

bool files_name_is_full(struct str name, const struct files_type *t, bool *force)
{
	*force = false;
	if (!next_word(&name, t->name) || !next_word(&name, "full"))
		return false;
	*force = next_word(&name, "force");
	return true;
}

static bool passed_over(char c)
{
	return c == ' ' || c == '_' || c == '-';
}

/* The same word, however it is written: "model_name", "Model Name", "modelName". */
static bool same_name(struct str a, const char *b)
{
	size_t i = 0;

	for (;; i++, b++) {
		while (i < a.n && passed_over(a.p[i]))
			i++;
		while (*b && passed_over(*b))
			b++;
		if (i == a.n || !*b)
			return i == a.n && !*b;
		if (lower(a.p[i]) != lower(*b))
			return false;
	}
}

bool files_column_is_ours(struct str name)
{
	static const char *const ours[] = {"code", "message", "svTRID", "rejectCode", "rejectReason"};

	for (size_t i = 0; i < CEIR_COUNT(ours); i++)
		if (same_name(name, ours[i]))
			return true;
	return false;
}

/* ---- columns ---- */

/* Fields a file may give: what a create takes, and the key, which an update names. The state of an application is the face's to say. */
static bool may_give(const struct files_type *t, const struct reg_field *f)
{
	if (t->way == FILES_APPLICATION && (f->flags & REG_KEY || strcmp(f->name, "status") == 0))
		return false;
	return f->type != REG_SECRET && f->type != REG_GROUP && (!(f->flags & REG_SERVER) || f->flags & REG_KEY);
}

static bool field_has_name(const struct reg_field *f, struct str name)
{
	if (same_name(name, f->name))
		return true;
	bool plural = f->flags & REG_MANY && name.n > 1 && lower(name.p[name.n - 1]) == 's';
	return plural && same_name((struct str){name.p, name.n - 1}, f->name);
}

static bool find_field(const struct files_type *t, const struct reg_object *o, struct str name, struct files_target *out)
{
	for (const struct reg_field *f = o->fields; f->name; f++) {
		if (may_give(t, f) && field_has_name(f, name)) {
			*out = (struct files_target){.kind = FILES_FIELD, .field = f};
			return true;
		}
	}
	for (const struct reg_field *g = o->fields; g->name; g++) {
		if (g->type != REG_GROUP || g->flags & REG_SERVER)
			continue;
		for (const struct reg_field *f = g->fields; f->name; f++)
			if (may_give(t, f) && field_has_name(f, name)) {
				*out = (struct files_target){.kind = FILES_GROUP_FIELD, .field = f, .group = g};
				return true;
			}
	}
	return false;
}

static bool find_device(const struct files_type *t, struct str name, struct files_target *out)
{
	static const char *const names[] = {"imei", "imei1", "imei2", "imei3", "imei4", "imei5", "imeis"};
	size_t n = t->way == FILES_APPLICATION ? CEIR_COUNT(names) : 1;

	for (size_t i = 0; i < n && t->way != FILES_ROWS; i++)
		if (same_name(name, names[i])) {
			*out = (struct files_target){.kind = FILES_DEVICE, .how = FILES_IMEI14};
			return true;
		}
	return false;
}

static bool find_column(const struct files_type *t, const struct reg_object *o, struct str name, struct files_target *out)
{
	for (const struct files_column *c = t->columns; c && c->name; c++) {
		if (!same_name(name, c->name))
			continue;
		*out = (struct files_target){.kind = c->field ? FILES_FIELD : FILES_BY_HOW, .how = c->how, .column = c};
		if (c->field)
			out->field = reg_field_find(o->fields, str_of(c->field));
		return true;
	}
	if (find_device(t, name, out))
		return true;
	return !t->foreign && t->way != FILES_CHECK && find_field(t, o, name, out);
}

static bool is_fixed(const struct files_type *t, const char *field)
{
	for (const struct files_fixed *f = t->fixed; f->field; f++)
		if (strcmp(f->field, field) == 0)
			return true;
	return false;
}

static bool is_given(const struct files_plan *p, const struct reg_field *field)
{
	for (size_t i = 0; i < p->n; i++)
		if (p->targets[i].field == field || (field->type == REG_GROUP && p->targets[i].group == field))
			return true;
	return is_fixed(p->type, field->name);
}

/* A column twice would leave open which of the two holds; of fields that may repeat both do. */
static bool is_twice(const struct files_plan *p, const struct files_target *t)
{
	for (size_t i = 0; i < p->n; i++)
		if (t->field && p->targets[i].field == t->field && p->targets[i].group == t->group && !(t->field->flags & REG_MANY))
			return true;
	return false;
}

/* Two names of one field in a foreign layout ("model_name", "marketing_name"): that which comes first in our table counts. */
static void pass_over_second(struct files_plan *p, struct files_target *t)
{
	for (size_t i = 0; i < p->n; i++) {
		struct files_target *o = &p->targets[i];

		if (!t->column || !o->column || o->column == t->column || !t->field || o->field != t->field)
			continue;
		*(o->column < t->column ? t : o) = (struct files_target){.kind = FILES_IGNORED};
		return;
	}
}

static enum ceir_err check_needed(const struct files_plan *p, const char **why, struct str *what)
{
	bool device = false;

	*why = N_("The file has no column \"{0}\"");
	for (size_t i = 0; i < p->n; i++)
		device |= p->targets[i].kind == FILES_DEVICE;
	*what = STR("imei");
	if (p->type->way != FILES_ROWS)
		return device ? CEIR_OK : CEIR_EINVAL;
	for (const struct reg_field *f = p->object->fields; f->name && !p->has_action; f++) {
		*what = str_of(f->name);
		if (f->flags & REG_NEEDED && !is_given(p, f))
			return CEIR_EINVAL;
	}
	if (p->type->find) {
		const struct reg_field *find = reg_field_find(p->object->fields, str_of(p->type->find));

		/* Listings are of an IMEI or of a TAC. */
		*what = str_of(p->type->find);
		return is_given(p, find) || is_given(p, p->object->fields) || (!p->type->foreign && strcmp(p->object->name, "listing") == 0) ? CEIR_OK : CEIR_EINVAL;
	}
	*what = str_of(p->object->fields->name);
	return is_given(p, p->object->fields) ? CEIR_OK : CEIR_EINVAL;
}

enum ceir_err files_plan_make(const struct files_type *type, const struct str *names, size_t n, struct files_plan *plan, const char **why,
	struct str *what)
{
	*plan = (struct files_plan){.type = type, .object = reg_object_by_name(str_of(type->object))};
	for (size_t i = 0; i < n; i++) {
		struct files_target t = {.kind = FILES_IGNORED};
		struct str name = str_trim(names[i]);
		bool known = find_column(type, plan->object, name, &t);

		*what = name;
		/* "reason" of a listing is its own; "code" and "message" are of no object. */
		if (!known && !files_column_is_ours(name) && !type->foreign && name.n) {
			*why = N_("Records of this type have no column \"{0}\"");
			return CEIR_EINVAL;
		}
		pass_over_second(plan, &t);
		if (is_twice(plan, &t)) {
			*why = N_("The column \"{0}\" stands in the file twice");
			return CEIR_EINVAL;
		}
		plan->has_action |= t.kind == FILES_BY_HOW && t.how == FILES_ACTION;
		plan->has_groups |= t.kind == FILES_GROUP_FIELD;
		plan->targets[plan->n++] = t;
	}
	return check_needed(plan, why, what);
}

/* ---- cells ---- */

static struct str complete_imei(struct str s, struct arena *arena)
{
	struct imei imei;
	uint64_t n;

	if (s.n != IMEI_DIGITS - 1 || str_u64(s, IMEI_MAX, &n))
		return s;
	imei.n = n;
	return arena_printf(arena, "%.*s%u", (int)s.n, s.p, imei_check_digit(imei));
}

static bool all_digits(struct str s)
{
	uint64_t n;

	return s.n && str_u64(s, UINT64_MAX, &n) == CEIR_OK;
}

static unsigned month_of(struct str s)
{
	static const char months[] = "janfebmaraprmayjunjulaugsepoctnovdec";

	for (unsigned i = 0; s.n == 3 && i < 12; i++)
		if (strncasecmp(months + 3 * i, s.p, 3) == 0)
			return i + 1;
	return 0;
}

/* yyyymmdd, or dd-Mon-yyyy as the GSMA writes it. What is neither is left to the door, which says what it expects. */
static struct str plain_date(struct str s, struct arena *arena)
{
	if (s.n == 8 && all_digits(s))
		return arena_printf(arena, "%.4s-%.2s-%.2s", s.p, s.p + 4, s.p + 6);
	if (s.n == 11 && s.p[2] == '-' && s.p[6] == '-' && month_of((struct str){s.p + 3, 3}))
		return arena_printf(arena, "%.4s-%02u-%.2s", s.p + 7, month_of((struct str){s.p + 3, 3}), s.p);
	return s;
}

static bool has_word(const struct buf *words, struct str word)
{
	struct str rest = buf_view(words), one;

	while (str_cut(&rest, ',', &one))
		if (str_trim(one).n == word.n && strncasecmp(str_trim(one).p, word.p, word.n) == 0)
			return true;
	return false;
}

/* The first word of each band, each once; as many as the field holds. What stands for nothing known there is left out. */
static struct str technologies(struct str bands, struct arena *arena)
{
	struct buf words = BUF_INIT(255);
	struct str band, word, out;

	while (str_cut(&bands, ',', &band)) {
		band = str_trim(band);
		if (!str_cut(&band, ' ', &word) || has_word(&words, word) || words.n + word.n + 2 > words.max)
			continue;
		buf_c(&words, words.n ? ", " : "");
		buf_str(&words, word);
	}
	out = words.failed ? (struct str){NULL, 0} : arena_str(arena, buf_view(&words));
	buf_free(&words);
	return out;
}

static struct str convert(enum files_how how, struct str s, struct arena *arena)
{
	int32_t days;

	if (how == FILES_BANDS)
		return technologies(s, arena);

	if (how == FILES_IMEI14)
		return complete_imei(s, arena);
	if (how != FILES_DAY && how != FILES_SINCE)
		return s;
	s = plain_date(s, arena);
	if (how == FILES_SINCE && s.p && date_parse(s, &days) == CEIR_OK)
		return arena_printf(arena, "%.*sT00:00:00Z", (int)s.n, s.p);
	return s;
}

/* ---- records ---- */

struct str files_row_key(const struct files_plan *plan, const struct table_row *row)
{
	for (size_t i = 0; i < plan->n && i < row->n; i++)
		if (plan->targets[i].kind == FILES_FIELD && plan->targets[i].field == plan->object->fields)
			return row->cells[i].text;
	return STR("");
}

static enum ceir_err append(struct reg_node ***end, const struct reg_field *f, struct str text, struct arena *arena, struct reg_node **made)
{
	struct reg_node *n = arena_alloc(arena, sizeof *n);

	if (!n || !text.p)
		return CEIR_ENOMEM;
	n->field = f;
	n->text = text;
	**end = n;
	*end = &n->next;
	if (made)
		*made = n;
	return CEIR_OK;
}

static void fault(struct files_record *r, const char *element, struct str value, const char *text)
{
	if (r->fault)
		return;
	r->fault = text;
	r->fault_element = element;
	r->fault_value = value;
}

/* A cell of a field that may repeat holds several values between spaces, unless they are texts, which hold spaces themselves. */
static enum ceir_err add_field(struct files_record *r, const struct files_target *t, struct str cell, struct arena *arena)
{
	bool splits = t->field->flags & REG_MANY && t->field->type != REG_TEXT;
	enum ceir_err err = CEIR_OK;
	struct str part;

	if (!splits)
		return append(&r->end, t->field, arena_str(arena, convert(t->how, cell, arena)), arena, NULL);
	while (!err && str_cut(&cell, ' ', &part))
		if (str_trim(part).n)
			err = append(&r->end, t->field, arena_str(arena, convert(t->how, str_trim(part), arena)), arena, NULL);
	return err;
}

static void set_action(struct files_record *r, struct str cell)
{
	static const struct {
		const char *word;
		enum reg_verb verb;
	} words[] = {{"create", REG_CREATE}, {"add", REG_CREATE}, {"update", REG_UPDATE}, {"delete", REG_DELETE}, {"remove", REG_DELETE}};

	for (size_t i = 0; i < CEIR_COUNT(words); i++)
		if (same_name(cell, words[i].word)) {
			r->verb = words[i].verb;
			return;
		}
	fault(r, "action", cell, N_("Expected create (add), update or delete (remove)"));
}

/* The DIRBS states of a phone: blank or "blacklist" is confirmed; whatever else it calls it, the matter is not yet decided. */
static enum ceir_err add_by_how(const struct files_plan *p, struct files_record *r, enum files_how how, struct str cell, struct arena *arena)
{
	const struct reg_field *fields = p->object->fields;

	if (how == FILES_ACTION) {
		set_action(r, cell);
	} else if (how == FILES_STOLEN && !same_name(cell, "blacklist")) {
		enum ceir_err err = append(&r->end, reg_field_find(fields, STR("colour")), STR("grey"), arena, NULL);

		return err ? err : append(&r->end, reg_field_find(fields, STR("stage")), STR("provisional"), arena, NULL);
	} else if (how == FILES_REGISTERED && !same_name(cell, "whitelist")) {
		fault(r, "status", cell, N_("Only what is registered for good is taken: expected whitelist, or nothing"));
	}
	return CEIR_OK;
}

/* The group's cells of one row as one group. */
static enum ceir_err add_group(const struct files_plan *p, const struct table_row *row, struct arena *arena, struct files_record *r)
{
	struct reg_node *group = NULL, **end = NULL;
	enum ceir_err err = CEIR_OK;

	for (size_t i = 0; !err && i < p->n && i < row->n; i++) {
		const struct files_target *t = &p->targets[i];

		if (t->kind != FILES_GROUP_FIELD || !row->cells[i].text.n)
			continue;
		if (!group) {
			err = append(&r->end, t->group, STR(""), arena, &group);
			end = group ? &group->child : NULL;
		}
		if (!err)
			err = append(&end, t->field, arena_str(arena, row->cells[i].text), arena, NULL);
	}
	return err;
}

static bool has(const struct reg_node *list, const char *name)
{
	for (; list; list = list->next)
		if (strcmp(list->field->name, name) == 0)
			return true;
	return false;
}

static enum ceir_err add_fixed(const struct files_plan *p, struct str source, struct arena *arena, struct files_record *r)
{
	enum ceir_err err = CEIR_OK;

	for (const struct files_fixed *f = p->type->fixed; f->field && !err; f++) {
		struct str value = strcmp(f->value, "@file") == 0 ? source : str_of(f->value);

		if (!has(r->set, f->field))
			err = append(&r->end, reg_field_find(p->object->fields, str_of(f->field)), arena_str(arena, value), arena, NULL);
	}
	return err;
}

static uint64_t hash_text(uint64_t h, struct str s)
{
	for (size_t i = 0; i < s.n; i++)
		h = (h ^ (uint8_t)s.p[i]) * 1099511628211u; /* FNV-1a; what two different subjects share costs only time */
	return h;
}

/* The subject: key, else what the type finds it by, else everything. */
static void note_subject(const struct files_plan *p, struct files_record *r)
{
	const uint64_t basis = 14695981039346656037u;

	r->order = basis;
	if (r->key) {
		r->order = hash_text(basis, r->key->text);
		return;
	}
	for (const struct reg_node *n = r->set; n; n = n->next) {
		if (n->field == p->object->fields || (p->type->find && strcmp(n->field->name, p->type->find) == 0)) {
			r->order = hash_text(basis, n->text);
			r->find = n->text;
			return;
		}
	}
}

/* An update or delete names its object apart from its fields. */
static void take_key(const struct files_plan *p, struct files_record *r)
{
	struct reg_node **at = &r->set;

	while (*at && (*at)->field != p->object->fields)
		at = &(*at)->next;
	if (!*at || (r->verb == REG_CREATE && !((*at)->field->flags & REG_SERVER)))
		return;
	if (r->verb == REG_CREATE) {
		fault(r, (*at)->field->name, (*at)->text, N_("The server gives this name; leave it out of what is new"));
		return;
	}
	struct reg_node *key = *at;
	*at = key->next;
	if (r->end == &key->next)
		r->end = at;
	key->next = NULL;
	r->key = key;
}

/* Of a delete the door takes the ground only. */
static void keep_ground(struct files_record *r)
{
	struct reg_node *ground = r->set;

	while (ground && strcmp(ground->field->name, "ground") != 0)
		ground = ground->next;
	r->set = ground;
	if (ground)
		ground->next = NULL;
	r->end = ground ? &ground->next : &r->set;
}

enum ceir_err files_record_add(const struct files_plan *plan, const struct table_row *row, bool first, struct str source, struct arena *arena,
	struct files_record *out)
{
	enum ceir_err err = CEIR_OK;

	if (first) {
		*out = (struct files_record){.verb = REG_CREATE};
		out->end = &out->set;
	}
	for (size_t i = 0; first && !err && i < plan->n && i < row->n; i++) {
		const struct files_target *t = &plan->targets[i];

		if (!row->cells[i].text.n)
			continue;
		if (t->kind == FILES_FIELD)
			err = add_field(out, t, row->cells[i].text, arena);
		else if (t->kind == FILES_BY_HOW)
			err = add_by_how(plan, out, t->how, row->cells[i].text, arena);
	}
	if (!err)
		err = add_group(plan, row, arena, out);
	if (err || !first)
		return err;
	/* What is fixed makes a new object; an update says only what the row says. A delete carries why. */
	if (out->verb == REG_CREATE || plan->type->replace || out->verb == REG_DELETE)
		err = add_fixed(plan, source, arena, out);
	take_key(plan, out);
	note_subject(plan, out);
	if (out->verb == REG_DELETE)
		keep_ground(out);
	return err;
}

void files_record_split(struct files_record *r, struct reg_node **set, struct reg_node **add)
{
	struct reg_node *next, **set_end = set, **add_end = add;

	*set = *add = NULL;
	for (struct reg_node *n = r->set; n; n = next) {
		struct reg_node ***end = n->field->flags & REG_MANY ? &add_end : &set_end;

		next = n->next;
		n->next = NULL;
		**end = n;
		*end = &n->next;
	}
}

enum ceir_err files_row_imeis(const struct files_plan *plan, const struct table_row *row, struct arena *arena, struct str imeis[FILES_DEVICE_IMEIS],
	unsigned *n)
{
	struct str part;

	*n = 0;
	for (size_t i = 0; i < plan->n && i < row->n; i++) {
		struct str cell = row->cells[i].text;

		if (plan->targets[i].kind != FILES_DEVICE)
			continue;
		while (str_cut(&cell, ' ', &part)) {
			if (!str_trim(part).n)
				continue;
			if (*n == FILES_DEVICE_IMEIS)
				return CEIR_ELIMIT;
			imeis[*n] = arena_str(arena, complete_imei(str_trim(part), arena));
			if (!imeis[(*n)++].p)
				return CEIR_ENOMEM;
		}
	}
	return *n ? CEIR_OK : CEIR_EINVAL;
}

/* ---- for the documentation ---- */

static void print_native(struct buf *out, const struct files_type *t, const struct reg_object *o)
{
	const char *between = "";

	if (t->way == FILES_APPLICATION) {
		buf_c(out, "`imei`, `imei2`..`imei5`");
		between = ", ";
	}
	for (const struct reg_field *f = o->fields; f->name; f++) {
		if (f->type == REG_GROUP && !(f->flags & REG_SERVER)) {
			for (const struct reg_field *g = f->fields; g->name; g++)
				if (may_give(t, g)) {
					buf_printf(out, "%s`%s`%s", between, g->name, g->flags & REG_NEEDED ? "*" : "");
					between = ", ";
				}
		} else if (may_give(t, f)) {
			buf_printf(out, "%s`%s`%s", between, f->name, f->flags & REG_NEEDED ? "*" : "");
			between = ", ";
		}
	}
	if (t->columns)
		buf_c(out, ", `action`");
}

static void print_columns(struct buf *out, const struct files_type *t, const struct reg_object *o)
{
	if (t->way == FILES_CHECK) {
		buf_c(out, "`imei`*, others come back as they are");
	} else if (t->way == FILES_DELIVERY) {
		buf_c(out, "as of a delivery");
	} else if (t->way == FILES_EPP) {
		buf_c(out, "documents of EPP");
	} else if (!t->foreign) {
		print_native(out, t, o);
	} else {
		for (const struct files_column *c = t->columns; c->name; c++)
			buf_printf(out, "%s`%s`", c == t->columns ? "" : ", ", c->name);
	}
}

void files_types_print(struct buf *out)
{
	buf_c(out, "| type | object | columns | fixed |\n| --- | --- | --- | --- |\n");
	for (const struct files_type *t = files_types; t->name; t++) {
		buf_printf(out, "| `%s`%s | %s | ", t->name, t->whole == FILES_WHOLE ? ", `-full`" : "", t->object ? t->object : "any");
		print_columns(out, t, t->object ? reg_object_by_name(str_of(t->object)) : NULL);
		buf_c(out, " | ");
		for (const struct files_fixed *f = t->fixed; f->field; f++)
			buf_printf(out, "%s%s = %s", f == t->fixed ? "" : ", ", f->field, strcmp(f->value, "@file") == 0 ? "file and row" : f->value);
		buf_c(out, " |\n");
	}
}

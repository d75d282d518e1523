/*
 * The file face's tables: whatever the columns and cells of a file are, the plan stays within its limits, and every record is a command that the
 * door can be given: its fields are those of the object, its texts in the arena. The first line names the type and the columns.
 */
#include <string.h>

#include "files/files_types.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static size_t cells_of(struct str line, struct str *out)
{
	struct str cell;
	size_t n = 0;

	while (n < TABLE_COLUMNS_MAX && str_cut(&line, ',', &cell))
		out[n++] = cell;
	return n;
}

static size_t check_nodes(const struct reg_field *fields, const struct reg_node *n)
{
	size_t count = 0;

	for (; n; n = n->next, count++) {
		CEIR_ASSERT(n->field && n->text.p);
		CEIR_ASSERT(reg_field_find(fields, str_of(n->field->name)) == n->field);
		if (n->child)
			check_nodes(n->field->fields, n->child);
	}
	return count;
}

static void check_record(const struct files_plan *plan, struct files_record *r)
{
	struct reg_node *set, *more;
	size_t n = check_nodes(plan->object->fields, r->set);

	check_nodes(plan->object->fields, r->key);
	CEIR_ASSERT(*r->end == NULL && (!r->key || r->verb != REG_CREATE));
	files_record_split(r, &set, &more);
	CEIR_ASSERT(check_nodes(plan->object->fields, set) + check_nodes(plan->object->fields, more) == n);
}

static void one_row(const struct files_plan *plan, struct str line, struct arena *arena)
{
	struct str texts[TABLE_COLUMNS_MAX], imeis[FILES_DEVICE_IMEIS];
	struct table_cell cells[TABLE_COLUMNS_MAX];
	struct table_row row = {.line = 1, .cells = cells};
	struct files_record r;
	unsigned n;

	row.n = cells_of(line, texts);
	for (size_t i = 0; i < row.n; i++)
		cells[i] = (struct table_cell){.text = str_trim(texts[i]), .type = TABLE_TEXT};
	if (files_row_imeis(plan, &row, arena, imeis, &n) == CEIR_OK)
		CEIR_ASSERT(n > 0 && n <= FILES_DEVICE_IMEIS);
	if (plan->type->way != FILES_ROWS || files_record_add(plan, &row, true, STR("x row 1"), arena, &r))
		return;
	if (files_record_add(plan, &row, false, STR("x row 1"), arena, &r) == CEIR_OK)
		check_record(plan, &r);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str rest = {(const char *)data, size}, line, names[TABLE_COLUMNS_MAX], name = STR(""), what;
	struct arena *arena = arena_new(1 << 20);
	struct files_plan plan;
	const char *why = NULL;

	if (!arena || !str_cut(&rest, '\n', &line) || !str_cut(&line, ',', &name)) {
		arena_free(arena);
		return 0;
	}
	const struct files_type *type = files_type_of(name);
	if (type && type->object) {
		size_t n = cells_of(line, names);

		if (files_plan_make(type, names, n, &plan, &why, &what) == CEIR_OK)
			while (str_cut(&rest, '\n', &line))
				one_row(&plan, line, arena);
		else
			CEIR_ASSERT(why != NULL);
	}
	arena_free(arena);
	return 0;
}

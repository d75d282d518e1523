/*
 * exchange_table_read_xlsx.c - XLSX (ECMA-376 part 1, 18): a ZIP archive of XML parts.
 *
 *   _rels/.rels              names the workbook
 *   xl/workbook.xml          sheets in their order, by relation; which day is day 0
 *   xl/_rels/workbook.xml.rels   relations to parts
 *   xl/styles.xml            which cells are dates
 *   xl/sharedStrings.xml     texts, each once; cells give their number. All are kept in memory
 *   xl/worksheets/...        rows
 *
 * Each is read once, through libxml2's SAX2 interface: no tree is built, and a sheet of a million rows takes no more memory than one of ten.
 */
#include "exchange/exchange_table_sheet.h"

#include <stdlib.h>
#include <string.h>

#define FORMAT_MAX 256
#define STYLES_MAX 65536
#define SHEETS_MAX 256
#define NAME_MAX_BYTES 255

enum relation_type { RELATION_OTHER, RELATION_WORKBOOK, RELATION_SHEET, RELATION_STYLES, RELATION_STRINGS };

enum cell_type { CELL_NUMBER, CELL_SHARED, CELL_TEXT, CELL_BOOL, CELL_ERROR, CELL_DATE };

/* All that is known of the workbook, and the state of the part being read. */
struct book {
	struct table_grid grid;
	struct table_zip *z;
	enum table_why why;              /* set: stop */
	xmlParserCtxtPtr xml;
	zip_file_t *file;                /* the part */
	struct str memory;               /* or it, when file is NULL */
	struct buf text;                 /* of the cell or shared string under way */
	bool collecting;

	char workbook[NAME_MAX_BYTES + 1], sheet[NAME_MAX_BYTES + 1], styles_name[NAME_MAX_BYTES + 1], strings_name[NAME_MAX_BYTES + 1];
	struct buf sheet_ids;            /* r:id, each ended by NUL, in the order of the sheets */
	size_t sheets, best;             /* best: place of the relation taken for the first sheet */
	bool from_1904;

	bool date_formats[FORMAT_MAX];   /* of ids 164.. (custom) */
	struct buf styles;               /* a byte each: dates */
	bool in_formats_of_cells;

	struct buf strings;              /* texts of shared strings, one behind the other */
	struct buf ends;                 /* where each ends: size_t */
	bool phonetic;

	enum cell_type type;
	size_t column, after;            /* after: the column behind the last cell of this row */
	bool date, in_row, in_cell;
};

/* ---- XML ---- */

static void stop(struct book *b, enum table_why why)
{
	if (b->why == TABLE_WHY_NONE)
		b->why = why;
	xmlStopParser(b->xml);
}

static int part_read(void *ctx, char *to, int n)
{
	struct book *b = ctx;
	size_t got;

	if (b->file != NULL)
		return (int)table_zip_read(b->z, b->file, to, (size_t)n);
	got = b->memory.n < (size_t)n ? b->memory.n : (size_t)n;
	if (got > 0)
		memcpy(to, b->memory.p, got);
	if (got > 0)
		b->memory = (struct str){b->memory.p + got, b->memory.n - got};
	return (int)got;
}

static int part_close(void *ctx)
{
	(void)ctx;
	return 0;
}

static void on_doctype(void *ctx, const xmlChar *name, const xmlChar *external, const xmlChar *system)
{
	(void)name, (void)external, (void)system;
	stop(ctx, TABLE_WHY_XML_DOCTYPE);
}

static void on_characters(void *ctx, const xmlChar *p, int n)
{
	struct book *b = ctx;

	if (b->collecting)
		table_text_add(&b->text, (const char *)p, (size_t)n);
}

static void on_error(void *ctx, xmlErrorPtr error)
{
	(void)ctx, (void)error; /* the context keeps it */
}

static bool is(const xmlChar *name, const char *expected)
{
	return strcmp((const char *)name, expected) == 0;
}

/* Value of an attribute by its local name; .p NULL when it has none. */
static struct str attribute(const xmlChar **attributes, int n, const char *name)
{
	for (int i = 0; i < n; i++)
		if (is(attributes[5 * i], name))
			return (struct str){(const char *)attributes[5 * i + 3], (size_t)(attributes[5 * i + 4] - attributes[5 * i + 3])};
	return (struct str){NULL, 0};
}

/* A number of an attribute; fallback when it is none. */
static uint64_t number_of(struct str s, uint64_t fallback)
{
	uint64_t v;

	return str_u64(s, UINT32_MAX, &v) == CEIR_OK ? v : fallback;
}

static void parse(struct book *b, startElementNsSAX2Func start, endElementNsSAX2Func end)
{
	xmlSAXHandler sax = {.initialized = XML_SAX2_MAGIC, .internalSubset = on_doctype, .startElementNs = start, .endElementNs = end,
		.characters = on_characters, .cdataBlock = on_characters, .serror = on_error};
	bool whole;

	b->collecting = false;
	b->xml = xmlCreateIOParserCtxt(&sax, b, part_read, part_close, b, XML_CHAR_ENCODING_NONE);
	if (b->xml == NULL) {
		b->why = TABLE_WHY_MEMORY;
		return;
	}
	xmlCtxtUseOptions(b->xml, XML_PARSE_NONET);
	whole = xmlParseDocument(b->xml) == 0 && b->xml->wellFormed;
	if (b->why == TABLE_WHY_NONE && b->z != NULL)
		b->why = b->z->why;
	if (b->why == TABLE_WHY_NONE && !whole)
		b->why = b->xml->errNo == XML_ERR_NO_MEMORY ? TABLE_WHY_MEMORY : TABLE_WHY_SHEET;
	if (b->xml->myDoc != NULL)
		xmlFreeDoc(b->xml->myDoc);
	xmlFreeParserCtxt(b->xml);
	b->xml = NULL;
}

/* A part of the archive. false: there is none of that name. */
static bool parse_part(struct book *b, const char *name, startElementNsSAX2Func start, endElementNsSAX2Func end)
{
	zip_int64_t index = zip_name_locate(b->z->zip, name, ZIP_FL_NOCASE);

	if (index < 0)
		return false;
	b->file = table_zip_open(b->z, (zip_uint64_t)index);
	if (b->file == NULL) {
		b->why = b->z->why;
		return true;
	}
	parse(b, start, end);
	zip_fclose(b->file);
	b->file = NULL;
	return true;
}

/* ---- relations and workbook ---- */

static void end_nothing(void *ctx, const xmlChar *name, const xmlChar *prefix, const xmlChar *uri)
{
	(void)ctx, (void)name, (void)prefix, (void)uri;
}

static bool ends_with(struct str s, struct str tail)
{
	return s.n >= tail.n && memcmp(s.p + s.n - tail.n, tail.p, tail.n) == 0;
}

static enum relation_type relation_of(struct str type)
{
	if (ends_with(type, STR("/officeDocument")))
		return RELATION_WORKBOOK;
	if (ends_with(type, STR("/worksheet")))
		return RELATION_SHEET;
	if (ends_with(type, STR("/styles")))
		return RELATION_STYLES;
	return ends_with(type, STR("/sharedStrings")) ? RELATION_STRINGS : RELATION_OTHER;
}

/* The part a relation leads to, seen from the folder of `from`. */
static void resolve(const char *from, struct str target, char out[NAME_MAX_BYTES + 1])
{
	const char *slash = strrchr(from, '/');
	size_t folder = slash != NULL ? (size_t)(slash - from) + 1 : 0;

	if (target.n > 0 && target.p[0] == '/') {
		folder = 0;
		target = (struct str){target.p + 1, target.n - 1};
	}
	out[0] = '\0';
	if (target.n == 0 || target.n > NAME_MAX_BYTES || folder + target.n > NAME_MAX_BYTES)
		return;
	memmove(out, from, folder);
	memcpy(out + folder, target.p, target.n);
	out[folder + target.n] = '\0';
}

/* Which sheet of the workbook has that relation; `sheets` when none has. */
static size_t sheet_place(const struct book *b, struct str id)
{
	const char *at = b->sheet_ids.p;

	for (size_t i = 0; i < b->sheets; i++) {
		if (str_eq_c(id, at))
			return i;
		at += strlen(at) + 1;
	}
	return b->sheets;
}

static void start_relation(void *ctx, const xmlChar *name, const xmlChar *prefix, const xmlChar *uri, int namespaces_n, const xmlChar **namespaces, int n, int defaulted,
	const xmlChar **attributes)
{
	struct book *b = ctx;
	struct str target;
	size_t place;

	(void)prefix, (void)uri, (void)namespaces_n, (void)namespaces, (void)defaulted;
	if (!is(name, "Relationship"))
		return;
	target = attribute(attributes, n, "Target");
	switch (relation_of(attribute(attributes, n, "Type"))) {
	case RELATION_WORKBOOK:
		resolve("", target, b->workbook);
		break;
	case RELATION_SHEET:
		place = sheet_place(b, attribute(attributes, n, "Id"));
		if (place < b->best) {
			b->best = place;
			resolve(b->workbook, target, b->sheet);
		}
		break;
	case RELATION_STYLES:
		resolve(b->workbook, target, b->styles_name);
		break;
	case RELATION_STRINGS:
		resolve(b->workbook, target, b->strings_name);
		break;
	case RELATION_OTHER:
		break;
	}
}

static void start_workbook(void *ctx, const xmlChar *name, const xmlChar *prefix, const xmlChar *uri, int namespaces_n, const xmlChar **namespaces, int n, int defaulted,
	const xmlChar **attributes)
{
	struct book *b = ctx;
	struct str s;

	(void)prefix, (void)uri, (void)namespaces_n, (void)namespaces, (void)defaulted;
	if (is(name, "workbookPr")) {
		s = attribute(attributes, n, "date1904");
		b->from_1904 = str_eq_c(s, "1") || str_eq_c(s, "true");
	} else if (is(name, "sheet") && b->sheets < SHEETS_MAX) {
		s = attribute(attributes, n, "id");
		if (s.n == 0 || s.n > NAME_MAX_BYTES)
			return;
		buf_str(&b->sheet_ids, s);
		buf_char(&b->sheet_ids, '\0');
		b->sheets++;
	}
}

/* ---- styles ---- */

static void start_styles(void *ctx, const xmlChar *name, const xmlChar *prefix, const xmlChar *uri, int namespaces_n, const xmlChar **namespaces, int n, int defaulted,
	const xmlChar **attributes)
{
	struct book *b = ctx;
	uint64_t id;

	(void)prefix, (void)uri, (void)namespaces_n, (void)namespaces, (void)defaulted;
	if (is(name, "cellXfs")) {
		b->in_formats_of_cells = true;
	} else if (is(name, "numFmt")) {
		id = number_of(attribute(attributes, n, "numFmtId"), 0);
		if (id >= 164 && id < 164 + FORMAT_MAX)
			b->date_formats[id - 164] = table_format_is_date(attribute(attributes, n, "formatCode"));
	} else if (is(name, "xf") && b->in_formats_of_cells && b->styles.n < STYLES_MAX) {
		id = number_of(attribute(attributes, n, "numFmtId"), 0);
		buf_char(&b->styles, (char)(id >= 164 ? id < 164 + FORMAT_MAX && b->date_formats[id - 164] : table_format_id_is_date((unsigned)id)));
	}
}

static void end_styles(void *ctx, const xmlChar *name, const xmlChar *prefix, const xmlChar *uri)
{
	struct book *b = ctx;

	(void)prefix, (void)uri;
	if (is(name, "cellXfs"))
		b->in_formats_of_cells = false;
}

/* ---- shared strings ---- */

/* Runs of a text (r) follow one another; how it is pronounced (rPh) is no part of it. */
static void start_strings(void *ctx, const xmlChar *name, const xmlChar *prefix, const xmlChar *uri, int namespaces_n, const xmlChar **namespaces, int n, int defaulted,
	const xmlChar **attributes)
{
	struct book *b = ctx;

	(void)prefix, (void)uri, (void)namespaces_n, (void)namespaces, (void)n, (void)defaulted, (void)attributes;
	if (is(name, "si"))
		buf_clear(&b->text);
	else if (is(name, "rPh"))
		b->phonetic = true;
	else if (is(name, "t"))
		b->collecting = !b->phonetic;
}

static void end_strings(void *ctx, const xmlChar *name, const xmlChar *prefix, const xmlChar *uri)
{
	struct book *b = ctx;

	(void)prefix, (void)uri;
	b->collecting = false;
	if (is(name, "rPh")) {
		b->phonetic = false;
	} else if (is(name, "si")) {
		buf_str(&b->strings, buf_view(&b->text));
		buf_put(&b->ends, &b->strings.n, sizeof(b->strings.n));
		if (b->strings.failed || b->ends.failed || b->text.failed)
			stop(b, TABLE_WHY_MEMORY);
	}
}

static bool shared_string(const struct book *b, struct str number, struct str *out)
{
	size_t from = 0, to;
	uint64_t i;

	if (str_u64(str_trim(number), UINT32_MAX, &i) != CEIR_OK || i >= b->ends.n / sizeof(size_t))
		return false;
	memcpy(&to, b->ends.p + i * sizeof(size_t), sizeof(to));
	if (i > 0)
		memcpy(&from, b->ends.p + (i - 1) * sizeof(size_t), sizeof(from));
	*out = to > from ? (struct str){b->strings.p + from, to - from} : (struct str){NULL, 0}; /* of empty strings alone nothing is kept */
	return true;
}

/* ---- sheet ---- */

/* "AB12" to 27. The column behind the last one when there is no reference. false: another form. */
static bool column_of(struct str reference, size_t fallback, size_t *column)
{
	size_t v = 0, i = 0;

	*column = fallback;
	if (reference.n == 0)
		return true;
	for (; i < reference.n && i < 3 && reference.p[i] >= 'A' && reference.p[i] <= 'Z'; i++)
		v = v * 26 + (size_t)(reference.p[i] - 'A') + 1;
	if (i == 0 || i == reference.n || reference.p[i] < '0' || reference.p[i] > '9')
		return false;
	*column = v - 1;
	return true;
}

static enum cell_type type_of(struct str t)
{
	if (t.n == 1)
		return t.p[0] == 's' ? CELL_SHARED : t.p[0] == 'b' ? CELL_BOOL : t.p[0] == 'e' ? CELL_ERROR : t.p[0] == 'd' ? CELL_DATE : CELL_NUMBER;
	return str_eq_c(t, "str") || str_eq_c(t, "inlineStr") ? CELL_TEXT : CELL_NUMBER;
}

static void cell_begin(struct book *b, const xmlChar **attributes, int n)
{
	struct str reference = {NULL, 0}, type = {NULL, 0}, style = {NULL, 0};
	uint64_t s;

	for (int i = 0; i < n; i++) {
		const char *name = (const char *)attributes[5 * i];
		struct str value = {(const char *)attributes[5 * i + 3], (size_t)(attributes[5 * i + 4] - attributes[5 * i + 3])};

		if (name[0] == '\0' || name[1] != '\0')
			continue;
		if (name[0] == 'r')
			reference = value;
		else if (name[0] == 't')
			type = value;
		else if (name[0] == 's')
			style = value;
	}
	if (!b->in_row || b->in_cell || !column_of(reference, b->after, &b->column)) {
		stop(b, TABLE_WHY_SHEET);
		return;
	}
	b->after = b->column + 1;
	b->type = type_of(type);
	s = number_of(style, 0);
	b->date = s < b->styles.n && b->styles.p[s];
	b->in_cell = true;
	b->phonetic = false;
	buf_clear(&b->text);
}

static void put_fault(struct book *b, enum table_fault fault)
{
	table_encode_fault(b->grid.e, fault, b->column < TABLE_COLUMNS_MAX ? b->column + 1 : 0);
}

static void put_number(struct book *b, struct str text)
{
	char out[TABLE_NUMBER_BYTES];
	enum table_cell_type type = TABLE_NUMBER;
	double v = 0;
	enum table_fault fault = table_number_parse(text, &v, out);

	if (b->date && fault != TABLE_FAULT_CELL)
		fault = table_date_text(v, b->from_1904, &type, out);
	table_grid_cell(&b->grid, b->column, type, str_of(out));
	if (fault != TABLE_GOOD)
		put_fault(b, fault);
}

/* ISO 8601 (t="d"): a day, or a day and a time without a zone. */
static void put_iso_date(struct book *b, struct str text)
{
	char out[TIME_RFC3339_MAX];
	int32_t day;
	int64_t us;

	text = str_trim(text);
	if (text.n > 10 && text.p[10] == 'T' && text.n < 26) {
		snprintf(out, sizeof(out), "%.*s%s", (int)text.n, text.p, text.p[text.n - 1] == 'Z' ? "" : "Z");
		if (time_parse(str_of(out), &us) == CEIR_OK) {
			time_rfc3339(us, out);
			memcpy(out + 19, "Z", 2);
			table_grid_cell(&b->grid, b->column, TABLE_DATE, us % 86400000000 == 0 ? (struct str){out, 10} : str_of(out));
			return;
		}
	}
	table_grid_cell(&b->grid, b->column, TABLE_DATE, text);
	if (date_parse(text, &day) != CEIR_OK)
		put_fault(b, TABLE_FAULT_CELL);
}

static void cell_end(struct book *b)
{
	struct str text = str_trim(buf_view(&b->text)), shared;

	b->in_cell = false;
	if (text.n == 0) {
		table_grid_cell(&b->grid, b->column, TABLE_TEXT, text);
		return;
	}
	switch (b->type) {
	case CELL_NUMBER:
		put_number(b, text);
		break;
	case CELL_SHARED:
		if (shared_string(b, text, &shared))
			table_grid_cell(&b->grid, b->column, TABLE_TEXT, shared);
		else
			b->grid.why = TABLE_WHY_SHEET;
		break;
	case CELL_TEXT:
		table_grid_cell(&b->grid, b->column, TABLE_TEXT, text);
		break;
	case CELL_BOOL:
		table_grid_cell(&b->grid, b->column, TABLE_BOOL, str_eq_c(text, "1") || str_eq_c(text, "true") ? STR("yes") : STR("no"));
		break;
	case CELL_ERROR:
		table_grid_cell(&b->grid, b->column, TABLE_TEXT, text);
		put_fault(b, TABLE_FAULT_CELL);
		break;
	case CELL_DATE:
		put_iso_date(b, text);
		break;
	}
}

static void row_begin(struct book *b, const xmlChar **attributes, int n)
{
	if (b->in_row) {
		stop(b, TABLE_WHY_SHEET);
		return;
	}
	b->in_row = true;
	b->after = 0;
	table_grid_row(&b->grid, number_of(attribute(attributes, n, "r"), b->grid.row + 1));
}

static void start_sheet(void *ctx, const xmlChar *name, const xmlChar *prefix, const xmlChar *uri, int namespaces_n, const xmlChar **namespaces, int n, int defaulted,
	const xmlChar **attributes)
{
	struct book *b = ctx;

	(void)prefix, (void)uri, (void)namespaces_n, (void)namespaces, (void)defaulted;
	if (is(name, "c"))
		cell_begin(b, attributes, n);
	else if (is(name, "row"))
		row_begin(b, attributes, n);
	else if (b->in_cell && is(name, "rPh"))
		b->phonetic = true;
	else if (b->in_cell)
		b->collecting = !b->phonetic && (is(name, "v") || is(name, "t"));
}

static void end_sheet(void *ctx, const xmlChar *name, const xmlChar *prefix, const xmlChar *uri)
{
	struct book *b = ctx;

	(void)prefix, (void)uri;
	b->collecting = false;
	if (b->in_cell && is(name, "c")) {
		cell_end(b);
	} else if (b->in_row && is(name, "row")) {
		b->in_row = false;
		table_grid_row_end(&b->grid);
	} else if (is(name, "rPh")) {
		b->phonetic = false;
	}
	if (b->grid.why != TABLE_WHY_NONE || b->grid.e->err || b->text.failed)
		stop(b, b->text.failed ? TABLE_WHY_MEMORY : b->grid.why);
}

/* ---- all of it ---- */

static void book_init(struct book *b, struct table_zip *z, struct table_encoder *e, size_t text_bytes)
{
	*b = (struct book){.grid = {.e = e}, .z = z};
	b->strings.max = b->ends.max = text_bytes;
}

static void book_free(struct book *b)
{
	buf_free(&b->text);
	buf_free(&b->sheet_ids);
	buf_free(&b->styles);
	buf_free(&b->strings);
	buf_free(&b->ends);
}

/* xl/workbook.xml: xl/_rels/workbook.xml.rels. */
static void relations_name(const char *part, char out[NAME_MAX_BYTES + 16])
{
	const char *slash = strrchr(part, '/');
	int folder = slash != NULL ? (int)(slash - part) + 1 : 0;

	snprintf(out, NAME_MAX_BYTES + 16, "%.*s_rels/%s.rels", folder, part, part + folder);
}

static enum table_why read_book(struct book *b)
{
	char relations[NAME_MAX_BYTES + 16];

	if (!parse_part(b, "_rels/.rels", start_relation, end_nothing) || (b->why == TABLE_WHY_NONE && b->workbook[0] == '\0'))
		return TABLE_WHY_NO_SHEET;
	if (b->why == TABLE_WHY_NONE && !parse_part(b, b->workbook, start_workbook, end_nothing))
		return TABLE_WHY_NO_SHEET;
	b->best = b->sheets;
	relations_name(b->workbook, relations);
	if (b->why == TABLE_WHY_NONE && (!parse_part(b, relations, start_relation, end_nothing) || b->sheet[0] == '\0'))
		return b->why == TABLE_WHY_NONE ? TABLE_WHY_NO_SHEET : b->why;
	if (b->why == TABLE_WHY_NONE && b->styles_name[0] != '\0')
		parse_part(b, b->styles_name, start_styles, end_styles);
	if (b->why == TABLE_WHY_NONE && b->strings_name[0] != '\0')
		parse_part(b, b->strings_name, start_strings, end_strings);
	if (b->why == TABLE_WHY_NONE && !parse_part(b, b->sheet, start_sheet, end_sheet))
		return TABLE_WHY_NO_SHEET;
	return b->why;
}

enum table_why table_sheet_xlsx(struct table_zip *z, struct table_encoder *e)
{
	struct book *b = malloc(sizeof(*b));
	enum table_why why;

	if (b == NULL)
		return TABLE_WHY_MEMORY;
	book_init(b, z, e, z->limits->text_bytes);
	table_encode_form(e, TABLE_XLSX);
	why = read_book(b);
	book_free(b);
	free(b);
	return why;
}

enum ceir_err table_sheet_part(enum table_sheet_part part, struct str xml, table_frames_out out, void *ctx)
{
	static const struct {
		startElementNsSAX2Func start;
		endElementNsSAX2Func end;
	} parts[TABLE_PARTS] = {
		[TABLE_PART_SHEET] = {start_sheet, end_sheet},
		[TABLE_PART_STYLES] = {start_styles, end_styles},
		[TABLE_PART_STRINGS] = {start_strings, end_strings},
		[TABLE_PART_WORKBOOK] = {start_workbook, end_nothing},
		[TABLE_PART_RELATIONS] = {start_relation, end_nothing},
	};
	struct table_encoder e = {.frames = BUF_INIT(TABLE_FRAME_MAX * 2), .out = out, .ctx = ctx};
	struct book *b = malloc(sizeof(*b));
	enum ceir_err err;

	if (b == NULL)
		return CEIR_ENOMEM;
	book_init(b, NULL, &e, (size_t)1 << 20);
	/* Something to refer to: two styles, the second one of dates, and one shared string. */
	buf_put(&b->styles, "\0\1", 2);
	buf_c(&b->strings, "shared");
	buf_put(&b->ends, &b->strings.n, sizeof(b->strings.n));
	b->memory = xml;
	table_encode_form(&e, TABLE_XLSX);
	parse(b, parts[part].start, parts[part].end);
	err = table_encode_end(&e, b->why);
	book_free(b);
	free(b);
	buf_free(&e.frames);
	return err;
}

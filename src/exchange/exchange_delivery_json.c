/*
 * exchange_delivery_json.c - sightings in real time: a JSON document (RFC 8259) into rows, item by item as they are read.
 *
 * Whether the body is such a document at all is known at its end only. So rows may have been handed over when an error is returned.
 */
#include "exchange/exchange_delivery_json.h"

#include <stdlib.h>
#include <string.h>

#define NUMBER_BYTES 32

static const char why_json[] = N_("the body is not JSON, or an object has the same member twice");
static const char why_shape[] = N_("expected a JSON array of objects, or an object with an array \"sightings\"");
static const char why_depth[] = N_("the JSON document is nested too deeply");

struct sightings {
	struct json json;
	struct delivery_judge judge;
	struct json_memo memo;
	struct take_run run; /* of items like the memo, */
	uint64_t run_n;      /* so many, that the judge has not counted yet */
	size_t items, max;   /* those beyond max are read, but not taken */
	bool found;          /* the array */
	enum ceir_err sink;  /* what the sink said */
	struct delivery_batch batch;
};

/* ---- an item ------------------------------------------------------------------------------------------------------------- */

static bool sink_said(struct sightings *s, enum ceir_err err)
{
	s->sink = err;
	return err == CEIR_OK || json_fail(&s->json, err);
}

static bool item_report(struct sightings *s, struct str item, enum delivery_fault fault, enum delivery_column column)
{
	struct delivery_reject reject = {.line = s->items, .fault = fault, .field = delivery_column_name(column), .raw = item};

	if (reject.raw.n > DELIVERY_RAW_BYTES)
		reject.raw.n = DELIVERY_RAW_BYTES;
	return sink_said(s, s->batch.sink.reject(s->batch.sink.ctx, &reject));
}

static enum delivery_column column_of(struct str name)
{
	static const struct str names[DELIVERY_COLUMN_COUNT] = {[COLUMN_IMEI] = {"imei", 4}, [COLUMN_IMSI] = {"imsi", 4},
		[COLUMN_MSISDN] = {"msisdn", 6}, [COLUMN_TIME] = {"time", 4}, [COLUMN_EVENT] = {"event", 5}, [COLUMN_RAT] = {"rat", 3},
		[COLUMN_CELL] = {"cell", 4}};

	for (unsigned i = 0; i < DELIVERY_COLUMN_COUNT; i++)
		if (name.n == names[i].n && memcmp(name.p, names[i].p, name.n) == 0)
			return (enum delivery_column)i;
	return COLUMN_NONE;
}

/* Behind the opening brace. Members that are not there have no kind. */
static bool members(struct json *j, unsigned depth, struct json_value *values)
{
	size_t base = j->n_names;
	struct json_value ignored;
	struct str name;
	bool more = true;

	j->objects++;
	if (json_take(j, '}'))
		return true;
	while (more) {
		if (!json_name(j, &name))
			return false;
		enum delivery_column column = column_of(name);
		struct json_value *value = column == COLUMN_NONE ? &ignored : &values[column];

		if (column == COLUMN_NONE ? !json_names_add(j, name) : value->kind != JSON_KIND_NONE && !json_fail(j, CEIR_EINVAL))
			return false;
		if (!json_value(j, depth, value) || !json_more(j, '}', &more))
			return false;
	}
	return json_names_unique(j, base);
}

/*
 * A number is the text that has its digits; a real one looks like what a spreadsheet makes of an IMEI. Other things are as they
 * came.
 */
static struct str member_text(const struct json_value *value, char number[NUMBER_BYTES])
{
	switch (value->kind) {
	case JSON_KIND_NONE:
	case JSON_KIND_NULL:
		return (struct str){"", 0};
	case JSON_KIND_TEXT:
		return str_trim(value->text);
	case JSON_KIND_REAL:
		snprintf(number, NUMBER_BYTES, "%.6E", strtod(value->text.p, NULL));
		return str_of(number);
	case JSON_KIND_INTEGER:
		return str_eq_c(value->text, "-0") ? STR("0") : value->text;
	default:
		return value->text;
	}
}

static void run_count(struct sightings *s)
{
	if (s->run_n == 0)
		return;
	take_count(&s->judge.counts, &s->run, s->run_n, s->memo.said_time, s->memo.at_s);
	s->run = (struct take_run){0};
	s->run_n = 0;
}

/* Whether other digits in the place of its numbers leave it what it is. */
static bool is_plain(const struct json *j, const struct json_value *values, const struct str *fields, const struct delivery_judged *judged)
{
	return judged->fault == DELIVERY_GOOD && judged->cell.n == 0 && !j->escaped && values[COLUMN_IMEI].kind == JSON_KIND_TEXT &&
	       values[COLUMN_IMSI].kind == JSON_KIND_TEXT && values[COLUMN_MSISDN].kind == JSON_KIND_TEXT && fields[COLUMN_MSISDN].n > 0;
}

/* The object from `from` on, of which the members are read. */
static bool object_take(struct sightings *s, const char *from, size_t objects, const struct json_value *values)
{
	struct str item = {from, (size_t)(s->json.p - from)}, fields[DELIVERY_COLUMN_COUNT];
	char numbers[DELIVERY_COLUMN_COUNT][NUMBER_BYTES];
	struct delivery_judged judged;

	for (unsigned i = 0; i < DELIVERY_COLUMN_COUNT; i++)
		fields[i] = member_text(&values[i], numbers[i]);
	delivery_judge_row(&s->judge, fields, &judged);
	if (judged.fault != DELIVERY_GOOD && !item_report(s, item, judged.fault, judged.column))
		return false;
	if (is_plain(&s->json, values, fields, &judged)) {
		run_count(s);
		json_memo_set(&s->memo, item, objects, fields, &judged);
	}
	return !judged.taken || sink_said(s, delivery_batch_add(&s->batch, &judged.row, judged.cell));
}

static bool item_take(struct sightings *s, unsigned depth)
{
	struct json_value values[DELIVERY_COLUMN_COUNT] = {0}, other;
	struct json *j = &s->json;
	bool is_object = json_next(j) == '{';
	const char *from = j->p;
	size_t objects = j->objects;

	j->escaped = false;
	if (++s->items > s->max)
		return json_value(j, depth, &other);
	if (!is_object) {
		if (!json_value(j, depth, &other))
			return false;
		delivery_judge_refuse(&s->judge);
		return item_report(s, other.text, DELIVERY_COLUMNS, COLUMN_NONE);
	}
	j->p++;
	return members(j, depth + 1, values) && object_take(s, from, j->objects - objects, values);
}

/* false: not like the one before. */
static bool item_fast(struct sightings *s)
{
	struct json *j = &s->json;
	struct sighting row;
	const char *end;

	if (!s->memo.ready || s->items >= s->max || s->batch.n + 1 == DELIVERY_BATCH || json_next(j) != '{')
		return false;
	end = json_fast(&s->memo, &s->judge.home, j->p, j->end, &s->run, &row);
	if (end == NULL)
		return false;
	j->p = end;
	j->objects += s->memo.objects;
	s->items++;
	s->run_n++;
	/* There is room for two: nothing is handed over, and nothing can fail. */
	return delivery_batch_add(&s->batch, &row, (struct str){"", 0}) == CEIR_OK;
}

/* ---- the document ---------------------------------------------------------------------------------------------------------- */

/* The array of them, in so many levels. */
static bool items(struct sightings *s, unsigned depth)
{
	bool more = true;

	s->found = true;
	if (!json_expect(&s->json, '['))
		return false;
	if (json_take(&s->json, ']'))
		return true;
	while (more)
		if ((!item_fast(s) && !item_take(s, depth + 1)) || !json_more(&s->json, ']', &more))
			return false;
	return true;
}

/* An object with the array. */
static bool wrapping(struct sightings *s)
{
	struct json *j = &s->json;
	struct json_value ignored;
	struct str name;
	bool more = true;

	j->objects++;
	if (!json_expect(j, '{'))
		return false;
	if (json_take(j, '}'))
		return true;
	while (more) {
		if (!json_name(j, &name) || !json_names_add(j, name))
			return false;
		bool here = str_eq_c(name, "sightings") && json_next(j) == '[';

		if (!(here ? items(s, 1) : json_value(j, 1, &ignored)) || !json_more(j, '}', &more))
			return false;
	}
	return json_names_unique(j, 0);
}

static bool document(struct sightings *s)
{
	struct json *j = &s->json;

	if (!(json_next(j) == '{' ? wrapping(s) : items(s, 0)))
		return false;
	(void)json_next(j);
	return j->p == j->end || json_fail(j, CEIR_EINVAL);
}

static bool too_many(size_t objects, size_t max)
{
	return objects > max && objects - max > 1;
}

/*
 * Of a body that is not JSON: what a look at its brackets alone says of it. Strings are passed over.
 */
static enum ceir_err broken(struct str body, size_t max, const char **why)
{
	size_t depth = 0, objects = 0;
	bool in_string = false;

	for (size_t i = 0; i < body.n; i++) {
		char c = body.p[i];

		if (in_string && c == '\\') {
			i++;
		} else if (c == '"') {
			in_string = !in_string;
		} else if (!in_string && (c == '{' || c == '[')) {
			objects += c == '{';
			if (++depth > JSON_DEPTH) {
				*why = why_depth;
				return CEIR_EINVAL;
			}
		} else if (!in_string && (c == '}' || c == ']') && depth > 0) {
			depth--;
		}
	}
	if (too_many(objects, max))
		return CEIR_ELIMIT;
	*why = why_json;
	return CEIR_EINVAL;
}

static enum ceir_err read_all(struct sightings *s, struct str body, const char **why)
{
	if (!document(s))
		return s->sink != CEIR_OK || s->json.err != CEIR_EINVAL ? s->json.err : broken(body, s->max, why);
	if (too_many(s->json.objects, s->max))
		return CEIR_ELIMIT;
	if (!s->found) {
		*why = why_shape;
		return CEIR_EINVAL;
	}
	return s->items > s->max ? CEIR_ELIMIT : delivery_batch_flush(&s->batch);
}

enum ceir_err delivery_json(struct str body, const struct delivery_format *f, const struct delivery_sink *sink, size_t max,
	struct delivery_counts *counts, const char **why)
{
	/* Not zeroed as a whole: the batch is large, and is written before it is read. */
	struct sightings *s = malloc(sizeof(*s));
	enum ceir_err err;

	*why = NULL;
	memset(counts, 0, sizeof(*counts));
	if (s == NULL)
		return CEIR_ENOMEM;
	json_open(&s->json, body);
	delivery_judge_init(&s->judge, f);
	s->memo.ready = false;
	s->run = (struct take_run){0};
	s->run_n = 0;
	s->items = 0;
	s->max = max;
	s->found = false;
	s->sink = CEIR_OK;
	s->batch.sink = *sink;
	s->batch.n = 0;
	s->batch.any_cell = false;
	err = read_all(s, body, why);
	if (err == CEIR_OK) {
		run_count(s);
		*counts = s->judge.counts;
	}
	json_close(&s->json);
	free(s);
	return err;
}

/* exchange_delivery_reference.c - see exchange_delivery_reference.h. */
#include "exchange_delivery_reference.h"
#include "exchange/exchange_delivery.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#define DEPTH 4 /* {"sightings": [{...}]} has three levels */
#define NUMBER_BYTES 32

static const char why_json[] = ("the body is not JSON, or an object has the same member twice");
static const char why_shape[] = ("expected a JSON array of objects, or an object with an array \"sightings\"");
static const char why_depth[] = ("the JSON document is nested too deeply");

/* Text of one item's member. It may need memory of its own. */
struct member {
	char number[NUMBER_BYTES];
	char *dumped;
};

/*
 * Before anything is allocated: how deep the document goes, and how many objects it has. Strings are passed over; whether it is
 * JSON at all is for the parser to say.
 */
static enum ceir_err measure(struct str body, size_t max, const char **why)
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
			if (++depth > DEPTH) {
				*why = why_depth;
				return CEIR_EINVAL;
			}
		} else if (!in_string && (c == '}' || c == ']') && depth > 0) {
			depth--;
		}
	}
	return objects > max && objects - max > 1 ? CEIR_ELIMIT : CEIR_OK;
}

/* The array of sightings; NULL: another document. */
static json_t *items_of(json_t *root)
{
	json_t *items = json_is_object(root) ? json_object_get(root, "sightings") : root;

	return json_is_array(items) ? items : NULL;
}

/* A number is the text that has its digits; a real one looks like what a spreadsheet makes of an IMEI. Other things are as they
 * came. */
static enum ceir_err member_text(json_t *value, struct member *m, struct str *out)
{
	m->dumped = NULL;
	*out = (struct str){"", 0};
	if (value == NULL || json_is_null(value))
		return CEIR_OK;
	if (json_is_string(value)) {
		*out = str_trim((struct str){json_string_value(value), json_string_length(value)});
	} else if (json_is_integer(value)) {
		snprintf(m->number, sizeof(m->number), "%lld", (long long)json_integer_value(value));
		*out = str_of(m->number);
	} else if (json_is_real(value)) {
		snprintf(m->number, sizeof(m->number), "%.6E", json_real_value(value));
		*out = str_of(m->number);
	} else {
		m->dumped = json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT);
		if (m->dumped == NULL)
			return CEIR_ENOMEM;
		*out = str_of(m->dumped);
	}
	return CEIR_OK;
}

static enum ceir_err item_report(
	json_t *item, const struct delivery_sink *sink, uint64_t number, enum delivery_fault fault, enum delivery_column column)
{
	struct delivery_reject reject = {.line = number, .fault = fault, .field = delivery_column_name(column)};
	char *raw = json_dumps(item, JSON_ENCODE_ANY | JSON_COMPACT | JSON_PRESERVE_ORDER);
	enum ceir_err err;

	if (raw == NULL)
		return CEIR_ENOMEM;
	reject.raw = str_of(raw);
	if (reject.raw.n > DELIVERY_RAW_BYTES)
		reject.raw.n = DELIVERY_RAW_BYTES;
	err = sink->reject(sink->ctx, &reject);
	free(raw);
	return err;
}

static enum ceir_err item_take(struct delivery_judge *j, struct delivery_batch *batch, json_t *item, uint64_t number, bool *rewritten)
{
	struct member members[DELIVERY_COLUMN_COUNT] = {0};
	struct str fields[DELIVERY_COLUMN_COUNT];
	struct delivery_judged judged;
	enum ceir_err err = CEIR_OK;

	if (!json_is_object(item)) {
		delivery_judge_refuse(j);
		return item_report(item, &batch->sink, number, DELIVERY_COLUMNS, COLUMN_NONE);
	}
	for (unsigned i = 0; i < DELIVERY_COLUMN_COUNT && err == CEIR_OK; i++) {
		json_t *value = json_object_get(item, delivery_column_name((enum delivery_column)i).p);

		*rewritten |= json_is_array(value) || json_is_object(value);
		err = member_text(value, &members[i], &fields[i]);
	}
	if (err == CEIR_OK) {
		delivery_judge_row(j, fields, &judged);
		if (judged.fault != DELIVERY_GOOD)
			err = item_report(item, &batch->sink, number, judged.fault, judged.column);
		if (err == CEIR_OK && judged.taken)
			err = delivery_batch_add(batch, &judged.row, judged.cell);
	}
	for (unsigned i = 0; i < DELIVERY_COLUMN_COUNT; i++)
		free(members[i].dumped);
	return err;
}

static enum ceir_err items_take(struct delivery_judge *j, const struct delivery_sink *sink, json_t *items, bool *rewritten)
{
	struct delivery_batch *batch = malloc(sizeof(*batch));
	enum ceir_err err = CEIR_OK;

	if (batch == NULL)
		return CEIR_ENOMEM;
	batch->sink = *sink;
	batch->n = 0;
	batch->any_cell = false;
	for (size_t i = 0; i < json_array_size(items) && err == CEIR_OK; i++)
		err = item_take(j, batch, json_array_get(items, i), i + 1, rewritten);
	if (err == CEIR_OK)
		err = delivery_batch_flush(batch);
	free(batch);
	return err;
}

enum ceir_err reference_json(struct str body, const struct delivery_format *f, const struct delivery_sink *sink, size_t max,
	struct delivery_counts *counts, const char **why, bool *rewritten)
{
	struct delivery_judge judge;
	json_error_t error;
	json_t *root, *items;
	enum ceir_err err;

	*why = NULL;
	*rewritten = false;
	memset(counts, 0, sizeof(*counts));
	err = measure(body, max, why);
	if (err != CEIR_OK)
		return err;
	/* jansson 2.14 overlooks a NUL behind a number. */
	if (body.n > 0 && memchr(body.p, '\0', body.n) != NULL) {
		*why = why_json;
		return CEIR_EINVAL;
	}
	root = json_loadb(body.p == NULL ? "" : body.p, body.n, JSON_REJECT_DUPLICATES, &error);
	if (root == NULL) {
		*why = why_json;
		return json_error_code(&error) == json_error_out_of_memory ? CEIR_ENOMEM : CEIR_EINVAL;
	}
	items = items_of(root);
	if (items == NULL) {
		*why = why_shape;
		err = CEIR_EINVAL;
	} else if (json_array_size(items) > max) {
		err = CEIR_ELIMIT;
	} else {
		delivery_judge_init(&judge, f);
		err = items_take(&judge, sink, items, rewritten);
		*counts = judge.counts;
	}
	json_decref(root);
	return err;
}

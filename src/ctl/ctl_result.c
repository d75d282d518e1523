/*
 * ctl_result.c - `application result`: what became of each IMEI, page by page, as a table, JSON lines or CSV.
 */
#include "ctl/ctl_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "ctl/ctl_answer.h"
#include "ctl/ctl_request.h"
#include "exchange/exchange.h"

#define PAGE_ROWS 5000u /* of one answer; the server gives 10,000 at most */

struct result {
	struct ctl *c;
	FILE *csv; /* NULL: a table */
	bool refused_only;
	bool headed;   /* the table's headings are out */
	uint64_t rows; /* seen */
	struct ctl_progress progress;
};

static const char *text_of(const json_t *row, const char *key)
{
	const char *s = json_string_value(json_object_get(row, key));
	return s ? s : "";
}

/* line,imei,first,result,code,reason - docs/formats.md */
static void print_csv(struct result *r, const json_t *row)
{
	char line[24];
	struct buf out = BUF_INIT(0);

	snprintf(line, sizeof(line), "%lld", (long long)json_integer_value(json_object_get(row, "line")));
	const struct str fields[] = {str_of(line), str_of(text_of(row, "imei")),
		str_of(json_is_false(json_object_get(row, "first")) ? "0" : "1"), str_of(text_of(row, "result")),
		str_of(text_of(row, "code")), str_of(text_of(row, "reason"))};
	csv_put_row(&out, fields, CEIR_COUNT(fields), ',', CSV_NO_FORMULAS);
	fwrite(out.p, 1, out.n, r->csv);
	buf_free(&out);
}

/* Leaves the refused rows of a page, when those are what is wanted. */
static json_t *rows_wanted(const struct result *r, const json_t *rows)
{
	json_t *wanted = json_array(), *row;
	size_t i;

	json_array_foreach((json_t *)(uintptr_t)rows, i,
		row) if (!r->refused_only || strcmp(text_of(row, "result"), "refused") == 0) json_array_append(wanted, row);
	return wanted;
}

static void print_rows(struct result *r, const json_t *rows)
{
	json_t *wanted = rows_wanted(r, rows), *row;
	size_t i;

	if (!r->csv && !r->c->args.json && json_array_size(wanted) > 0) {
		ctl_print_table(stdout, wanted, !r->headed);
		r->headed = true;
	}
	json_array_foreach(wanted, i, row)
	{
		if (r->csv)
			print_csv(r, row);
		else if (r->c->args.json)
			ctl_print_json(row);
	}
	json_decref(wanted);
}

/* One page behind *after, which becomes its last line; *more: there may be another. */
static enum ctl_exit page_take(struct result *r, const struct reg_object *o, const char *id, uint64_t *after, bool *more)
{
	struct buf xml = BUF_INIT(0);
	json_t *answer = NULL;

	ctl_request_rows(&xml, o, id, *after, PAGE_ROWS);
	enum ctl_exit result = ctl_send(&r->c->session, &xml);
	if (result == CTL_OK)
		result = ctl_receive(&r->c->session, &answer);
	if (result == CTL_OK && !ctl_answer_good(answer))
		result = ctl_show(&r->c->session, answer);
	const json_t *rows = json_object_get(json_object_get(answer, "info"), "row");
	size_t n = json_array_size(rows);
	*more = result == CTL_OK && n > 0;
	if (*more) {
		uint64_t last = (uint64_t)json_integer_value(json_object_get(json_array_get(rows, n - 1), "line"));
		*more = last > *after; /* a server that stands still shall not make us loop */
		*after = last;
		r->rows += n;
		print_rows(r, rows);
	}
	json_decref(answer);
	buf_free(&xml);
	return result;
}

static enum ctl_exit csv_open(struct result *r, const char *name)
{
	if (!name)
		return CTL_OK;
	r->csv = strcmp(name, "-") == 0 ? stdout : fopen(name, "we");
	if (!r->csv) {
		ctl_complain("%s: %s", name, strerror(errno));
		return CTL_USAGE;
	}
	fputs("line,imei,first,result,code,reason\r\n", r->csv);
	return CTL_OK;
}

static enum ctl_exit csv_close(struct result *r, enum ctl_exit result)
{
	bool bad = r->csv && (fflush(r->csv) != 0 || ferror(r->csv));

	if (bad)
		ctl_complain("the CSV file could not be written: %s", strerror(errno));
	if (r->csv && r->csv != stdout)
		fclose(r->csv);
	return bad && result == CTL_OK ? CTL_USAGE : result;
}

enum ctl_exit ctl_command_result(struct ctl *c, const struct reg_object *o)
{
	struct result r = {.c = c, .refused_only = ctl_args_flag(&c->args, "refused")};
	const char *csv = ctl_args_value(&c->args, "csv");
	enum ctl_exit result = ctl_options_end(c);
	uint64_t after = 0;
	bool more = true;

	if (c->args.n_words != 3) {
		ctl_complain("application result wants the application's id");
		return CTL_USAGE;
	}
	if (result == CTL_OK)
		result = ctl_open(c);
	if (result != CTL_OK)
		return result;
	result = csv_open(&r, csv);
	ctl_progress_begin(&r.progress, r.csv && r.csv != stdout ? c : &(struct ctl){.args.quiet = true}, "fetching", 0);
	while (result == CTL_OK && more) {
		result = page_take(&r, o, c->args.words[2], &after, &more);
		ctl_progress_show(&r.progress, 0, r.rows);
	}
	ctl_progress_end(&r.progress);
	result = csv_close(&r, result);
	ctl_session_close(&c->session);
	return result;
}

/*
 * List files: what is written can be read with other programs' libraries: CSV, XML by its schema, gzip, zstd; rows, bytes and
 * digest are true.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <fcntl.h>
#include <gnutls/crypto.h>
#include <libxml/parser.h>
#include <libxml/xmlschemas.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>
#include <zstd.h>

#include "exchange/exchange.h"

static const char *source;
static char dir[] = "/tmp/ceir-list-XXXXXX";
static char path[64];

static const char *const whole[] = {"imei", "imsi", "msisdn", "block_date", "reasons", NULL};
static const char *const delta[] = {"change", "imei", "imsi", "msisdn", "block_date", "reasons", NULL};

static struct list_head head_of(const char *const *columns, int64_t from)
{
	return (struct list_head){.name = "grey", .op = "MNO \"A\" & <B>", .from = from, .to = 77,
		.created_us = INT64_C(1790000000123456), .columns = columns};
}

static struct list_writer *begin(enum list_format format, enum list_packing packing, const char *const *columns, int64_t from)
{
	static struct list_head head;
	struct list_writer *w;

	head = head_of(columns, from);
	unlink(path);
	assert_int_equal(list_writer_new(path, format, packing, &head, &w), CEIR_OK);
	return w;
}

static void row(struct list_writer *w, const char *text)
{
	struct str fields[8], rest = str_of(text);
	size_t n = 0;

	while (rest.p && str_cut(&rest, '|', &fields[n]))
		n++;
	while (n < CEIR_COUNT(fields))
		fields[n++] = (struct str){NULL, 0};
	assert_int_equal(list_writer_row(w, fields), CEIR_OK);
}

static struct buf slurp(void)
{
	struct buf b = BUF_INIT(64 << 20);

	assert_int_equal(file_read(path, 64 << 20, &b), CEIR_OK);
	return b;
}

/* The file as it is is as long as info says, and has its digest; unpacked into text. */
static char *finish(struct list_writer *w, enum list_packing packing, struct list_info *info)
{
	uint8_t digest[32];
	size_t room = 64 << 20;
	char *text = calloc(1, room);

	assert_int_equal(list_writer_finish(w, info), CEIR_OK);
	struct buf file = slurp();
	assert_int_equal(info->bytes, file.n);
	assert_int_equal(gnutls_hash_fast(GNUTLS_DIG_SHA256, file.p, file.n, digest), 0);
	assert_memory_equal(digest, info->sha256, 32);
	assert_non_null(text);
	if (packing == LIST_PLAIN) {
		memcpy(text, file.p, file.n);
	} else if (packing == LIST_GZIP) {
		z_stream z = {.next_in = (Bytef *)file.p, .avail_in = (uInt)file.n, .next_out = (Bytef *)text, .avail_out = (uInt)room};

		assert_int_equal(inflateInit2(&z, 15 + 16), Z_OK);
		assert_int_equal(inflate(&z, Z_FINISH), Z_STREAM_END);
		inflateEnd(&z);
	} else {
		size_t n = ZSTD_decompress(text, room - 1, file.p, file.n);

		assert_false(ZSTD_isError(n));
		text[n] = '\0'; /* it may write behind */
	}
	buf_free(&file);
	return text;
}

static void csv_is_read_as_it_was_meant(void **state)
{
	struct list_info info;
	struct list_writer *w = begin(LIST_CSV, LIST_PLAIN, delta, 5);

	(void)state;
	row(w, "added|35210605054420|255010000000001|380500000001|2027-02-23|unregistered-seen|not-registered");
	row(w, "removed|35210605054420|255010000000002");
	row(w, "changed|a,b|\"quoted\"|line\nbreak");
	char *text = finish(w, LIST_PLAIN, &info);
	assert_string_equal(text, "change,imei,imsi,msisdn,block_date,reasons\n"
		"added,35210605054420,255010000000001,380500000001,2027-02-23,unregistered-seen\n"
		"removed,35210605054420,255010000000002,,,\n"
		"changed,\"a,b\",\"\"\"quoted\"\"\",\"line\nbreak\",,\n");
	assert_int_equal(info.rows, 3);
	free(text);
}

static void a_list_without_rows_is_a_head(void **state)
{
	struct list_info info;

	(void)state;
	for (int packing = LIST_PLAIN; packing <= LIST_ZSTD; packing++) {
		char *text = finish(begin(LIST_CSV, (enum list_packing)packing, whole, 0), (enum list_packing)packing, &info);

		assert_string_equal(text, "imei,imsi,msisdn,block_date,reasons\n");
		assert_int_equal(info.rows, 0);
		free(text);
	}
}

/* More than the buffer, so that it goes out in pieces. */
static void packed_and_plain_hold_the_same(void **state)
{
	char *texts[3];
	struct list_info info[3];

	(void)state;
	for (int packing = LIST_PLAIN; packing <= LIST_ZSTD; packing++) {
		struct list_writer *w = begin(LIST_CSV, (enum list_packing)packing, whole, 0);

		for (unsigned i = 0; i < 60000; i++) {
			char line[128];

			snprintf(line, sizeof line, "352106%08u|25501%010u|38050%07u|2027-02-23|clone", i, i * 7919u, i * 31u);
			row(w, line);
		}
		texts[packing] = finish(w, (enum list_packing)packing, &info[packing]);
	}
	assert_int_equal(strlen(texts[0]), info[0].bytes);
	assert_true(info[0].bytes > 3 << 20);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(strlen(texts[0]), strlen(texts[i]));
		assert_memory_equal(texts[0], texts[i], strlen(texts[0]));
		assert_int_equal(info[i].rows, 60000);
		assert_true(i == 0 || info[i].bytes < info[0].bytes / 2);
	}
	for (int i = 0; i < 3; i++)
		free(texts[i]);
}

/* ---- XML ---- */

static bool is_valid(const char *text)
{
	char xsd[512];
	xmlDocPtr doc = xmlReadMemory(text, (int)strlen(text), "list.xml", NULL, XML_PARSE_NONET | XML_PARSE_NOERROR);

	if (!doc)
		return false;
	snprintf(xsd, sizeof xsd, "%s/schemas/listfile-1.0.xsd", source);
	xmlSchemaParserCtxtPtr parser = xmlSchemaNewParserCtxt(xsd);
	xmlSchemaPtr schema = xmlSchemaParse(parser);
	assert_non_null(schema);
	xmlSchemaValidCtxtPtr valid = xmlSchemaNewValidCtxt(schema);
	int result = xmlSchemaValidateDoc(valid, doc);

	xmlSchemaFreeValidCtxt(valid);
	xmlSchemaFree(schema);
	xmlSchemaFreeParserCtxt(parser);
	xmlFreeDoc(doc);
	return result == 0;
}

static void xml_obeys_its_schema(void **state)
{
	struct list_info info;
	struct list_writer *w = begin(LIST_XML, LIST_GZIP, delta, 5);

	(void)state;
	row(w, "added|35210605054420|255010000000001|380500000001|2027-02-23|clone");
	row(w, "removed|35210605054420|255010000000002");
	row(w, "notice|12345|255010000000003||2027-02-23|malformed");
	row(w, "changed|#0123456789abcde|255010000000004");
	row(w, "added|35210605||||barred-tac");
	char *text = finish(w, LIST_GZIP, &info);
	assert_int_equal(info.rows, 5);
	assert_non_null(strstr(text, "operator=\"MNO &quot;A&quot; &amp; &lt;B&gt;\" from=\"5\" to=\"77\" created=\"2026-09-21T"));
	assert_non_null(strstr(text, "<row change=\"removed\"><imei>35210605054420</imei><imsi>255010000000002</imsi></row>"));
	assert_true(is_valid(text));
	/* The schema does look. */
	char *bad = strstr(text, "notice");
	memcpy(bad, "notify", 6);
	assert_false(is_valid(text));
	free(text);
	w = begin(LIST_XML, LIST_PLAIN, whole, 0);
	row(w, "35210605054420|255010000000001|380500000001|2027-02-23|clone");
	text = finish(w, LIST_PLAIN, &info);
	assert_null(strstr(text, "change="));
	assert_true(is_valid(text));
	free(text);
	text = finish(begin(LIST_XML, LIST_ZSTD, whole, 0), LIST_ZSTD, &info);
	assert_true(is_valid(text));
	free(text);
}

static void what_cannot_stand_in_xml_is_escaped(void **state)
{
	struct list_info info;
	struct list_writer *w = begin(LIST_XML, LIST_PLAIN, delta, 5);

	(void)state;
	row(w, "added|a<b>&\"c|||2027-02-23|x");
	char *text = finish(w, LIST_PLAIN, &info);
	assert_non_null(strstr(text, "<imei>a&lt;b&gt;&amp;&quot;c</imei>"));
	assert_true(is_valid(text));
	free(text);
}

/* ---- faults ---- */

static void a_file_that_is_there_is_not_touched(void **state)
{
	struct list_head head = head_of(whole, 0);
	struct list_writer *w = NULL;
	struct buf b;

	(void)state;
	unlink(path);
	assert_int_equal(file_write(path, STR("mine"), 0600), CEIR_OK);
	assert_int_equal(list_writer_new(path, LIST_CSV, LIST_PLAIN, &head, &w), CEIR_EEXIST);
	assert_null(w);
	b = slurp();
	assert_int_equal(b.n, 4);
	buf_free(&b);
}

static void what_is_dropped_leaves_nothing(void **state)
{
	struct list_writer *w = begin(LIST_CSV, LIST_ZSTD, whole, 0);

	(void)state;
	row(w, "1|2|3|4|5");
	list_writer_drop(w);
	assert_int_not_equal(access(path, F_OK), 0);
	list_writer_drop(NULL);
}

/* A file that may not grow is what a full disk is. */
static void a_full_disk_is_told_and_leaves_nothing(void **state)
{
	struct rlimit before, small = {4096, RLIM_INFINITY};
	struct str fields[8] = {STR("352106000000000000000000000000000000")};
	struct list_writer *w = begin(LIST_CSV, LIST_PLAIN, whole, 0);
	struct list_info info;
	enum ceir_err err = CEIR_OK;

	(void)state;
	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
	for (unsigned i = 0; i < 100000 && !err; i++)
		err = list_writer_row(w, fields);
	assert_int_not_equal(err, CEIR_OK);
	/* Whoever goes on does not get a file that looks whole. */
	assert_int_not_equal(list_writer_finish(w, &info), CEIR_OK);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
	assert_int_not_equal(access(path, F_OK), 0);
}

static int make(void **state)
{
	(void)state;
	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof path, "%s/list", dir);
	return 0;
}

static int destroy(void **state)
{
	(void)state;
	unlink(path);
	xmlCleanupParser();
	return rmdir(dir);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(csv_is_read_as_it_was_meant),
		cmocka_unit_test(a_list_without_rows_is_a_head),
		cmocka_unit_test(packed_and_plain_hold_the_same),
		cmocka_unit_test(xml_obeys_its_schema),
		cmocka_unit_test(what_cannot_stand_in_xml_is_escaped),
		cmocka_unit_test(a_file_that_is_there_is_not_touched),
		cmocka_unit_test(what_is_dropped_leaves_nothing),
		cmocka_unit_test(a_full_disk_is_told_and_leaves_nothing),
	};

	if (argc < 2)
		return 2;
	source = argv[1];
	return cmocka_run_group_tests(tests, make, destroy);
}

/*
 * ctl_split_test.c - a stream into documents, however it is cut into reads.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <string.h>

#include "ctl/ctl_split.h"

#define DOCUMENTS_MAX 8

/* Splits text given in pieces of `step` bytes and compares with the expected documents; the last may be unfinished. */
static void expect(const char *text, size_t n, const char *const *documents, size_t count)
{
	const size_t steps[] = {1, 2, 3, 7, 4096};

	for (size_t s = 0; s < CEIR_COUNT(steps); s++) {
		struct ctl_split split = {0};
		struct str d;
		size_t found = 0;
		for (size_t at = 0; at < n; at += steps[s]) {
			ctl_split_put(&split, text + at, n - at < steps[s] ? n - at : steps[s]);
			while (ctl_split_next(&split, &d)) {
				assert_true(found < count);
				assert_int_equal(d.n, strlen(documents[found]));
				assert_memory_equal(d.p, documents[found], d.n);
				found++;
			}
		}
		if (ctl_split_rest(&split, &d)) {
			assert_true(found < count);
			assert_int_equal(d.n, strlen(documents[found]));
			assert_memory_equal(d.p, documents[found], d.n);
			found++;
		}
		assert_int_equal(found, count);
		assert_false(ctl_split_rest(&split, &d));
		ctl_split_free(&split);
	}
}

#define EXPECT(text, ...)                                                                                                          \
	do {                                                                                                                       \
		const char *const documents[] = {__VA_ARGS__};                                                                     \
		expect(text, sizeof(text) - 1, documents, CEIR_COUNT(documents));                                                  \
	} while (0)

static void one_document(void **state)
{
	(void)state;
	EXPECT("<a/>", "<a/>");
	EXPECT("\n  <a>x</a>\n\n", "<a>x</a>");
	EXPECT("<?xml version=\"1.0\"?>\n<a><b/><c>t</c></a>\n", "<?xml version=\"1.0\"?>\n<a><b/><c>t</c></a>");
	EXPECT("\xEF\xBB\xBF<?xml version=\"1.0\"?><a/>", "\xEF\xBB\xBF<?xml version=\"1.0\"?><a/>");
}

static void several_documents(void **state)
{
	(void)state;
	EXPECT("<a/><b></b> <c/>", "<a/>", "<b></b>", "<c/>");
	EXPECT("<?xml version=\"1.0\"?><a/>\n<?xml version=\"1.0\"?><b/>\n", "<?xml version=\"1.0\"?><a/>",
		"<?xml version=\"1.0\"?><b/>");
	EXPECT("<a/>\xEF\xBB\xBF<b/>", "<a/>", "\xEF\xBB\xBF<b/>");
}

static void what_looks_like_an_end_is_none(void **state)
{
	(void)state;
	EXPECT("<a><!-- </a> --></a><b/>", "<a><!-- </a> --></a>", "<b/>");
	EXPECT("<a><!--></a>--></a><b/>", "<a><!--></a>--></a>", "<b/>");
	EXPECT("<a><![CDATA[</a>]]]></a><b/>", "<a><![CDATA[</a>]]]></a>", "<b/>");
	EXPECT("<a b=\"/>\" c='</a>'>x</a><b/>", "<a b=\"/>\" c='</a>'>x</a>", "<b/>");
	EXPECT("<a><?pi </a> ?></a><b/>", "<a><?pi </a> ?></a>", "<b/>");
	EXPECT("<a b='x/'>y</a>", "<a b='x/'>y</a>");
	EXPECT("<!DOCTYPE a [<!ENTITY x \"]><a/>\">]><a/><b/>", "<!DOCTYPE a [<!ENTITY x \"]><a/>\">]><a/>", "<b/>");
}

static void comments_before_a_document_belong_to_it(void **state)
{
	(void)state;
	EXPECT("<!-- one --><a/>", "<!-- one --><a/>");
	/* but not when a declaration follows, which may only stand first */
	EXPECT("<a/><!-- x --><?xml version=\"1.0\"?><b/>", "<a/>", "<?xml version=\"1.0\"?><b/>");
	EXPECT("<a/><!-- the end -->\n", "<a/>");
}

static void what_cannot_be_split_is_sent_whole(void **state)
{
	(void)state;
	EXPECT("<a/>garbage <b/>", "<a/>", "garbage <b/>");
	EXPECT("<a><b></a>", "<a><b></a>");
	EXPECT("</a><b/>", "</a><b/>");
	EXPECT("<a", "<a");
	EXPECT("<a/><b>", "<a/>", "<b>");
}

static void nothing_is_no_document(void **state)
{
	(void)state;
	expect("", 0, NULL, 0);
	expect(" \r\n\t", 4, NULL, 0);
	expect("<!-- -->", 8, NULL, 0);
}

static void utf16_is_one_document(void **state)
{
	static const char text[] = "\xFF\xFE<\0a\0/\0>\0";
	struct ctl_split split = {0};
	struct str d;

	(void)state;
	ctl_split_put(&split, text, sizeof(text) - 1);
	assert_false(ctl_split_next(&split, &d));
	assert_true(ctl_split_rest(&split, &d));
	assert_int_equal(d.n, sizeof(text) - 1);
	ctl_split_free(&split);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_document),
		cmocka_unit_test(several_documents),
		cmocka_unit_test(what_looks_like_an_end_is_none),
		cmocka_unit_test(comments_before_a_document_belong_to_it),
		cmocka_unit_test(what_cannot_be_split_is_sent_whole),
		cmocka_unit_test(nothing_is_no_document),
		cmocka_unit_test(utf16_is_one_document),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

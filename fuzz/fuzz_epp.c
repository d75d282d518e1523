/*
 * fuzz_epp.c - any bytes as a frame, before and after login. Whatever comes: a command or a refusal with a code and a reason, and
 * an answer to it that is XML.
 */
#include <libxml/parser.h>
#include <stdlib.h>
#include <string.h>

#include "epp/epp.h"

#define HEADER_BYTES 4

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

/* An answer as the door would make it; with what the client sent in it wherever an answer repeats that. */
static void answer(const struct reg_command *c)
{
	struct reg_reply reply = {.code = c->refused ? c->refused : REG_DONE, .details = c->refused_details, .svtrid = "FUZZ-1"};
	struct buf out = BUF_INIT(0);
	xmlDocPtr doc;

	epp_render("fuzz", 0, c, &reply, &out);
	CEIR_ASSERT(!out.failed);
	doc = xmlReadMemory(out.p + HEADER_BYTES, (int)(out.n - HEADER_BYTES), NULL, NULL, XML_PARSE_NONET | XML_PARSE_NOERROR);
	CEIR_ASSERT(doc != NULL);
	xmlFreeDoc(doc);
	buf_free(&out);
}

static void parse(struct epp_parser *parser, struct arena *arena, struct str xml, const struct epp_services *announced)
{
	struct epp_services asked;
	struct reg_command c;

	arena_reset(arena);
	CEIR_ASSERT(epp_parse(parser, xml, announced, arena, &c, &asked) == CEIR_OK);
	CEIR_ASSERT(c.cltrid.n == 0 || str_is_utf8(c.cltrid));
	if (c.refused) {
		CEIR_ASSERT(reg_code_text(c.refused) != NULL);
		for (const struct reg_detail *d = c.refused_details; d; d = d->next)
			CEIR_ASSERT(d->element != NULL && d->reason != NULL && d->value.n <= 255 && str_is_utf8(d->value));
	} else {
		CEIR_ASSERT(c.verb < REG_VERBS);
		CEIR_ASSERT((c.verb < REG_CHECK) == (c.object == NULL));
		for (size_t i = 0; i < c.n_names; i++)
			CEIR_ASSERT(c.names[i].n > 0 && str_is_utf8(c.names[i]));
	}
	answer(&c);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
	static const struct epp_services everything = {UINT32_MAX, UINT32_MAX};
	static struct epp_parser *parser;
	static struct arena *arena;
	/* In memory of its own, so that a read behind the end is seen. */
	char *copy = malloc(n ? n : 1);

	if (!parser) {
		parser = epp_parser_new(32, 100);
		arena = arena_new((size_t)64 << 20);
	}
	CEIR_ASSERT(parser && arena && copy);
	if (n)
		memcpy(copy, bytes, n);
	parse(parser, arena, (struct str){copy, n}, NULL);
	parse(parser, arena, (struct str){copy, n}, &everything);
	free(copy);
	return 0;
}

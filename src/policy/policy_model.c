/*
 * policy_model.c - whether two papers name the same model, written by different hands.
 */
#include "policy/policy.h"

static bool is_gap(char c)
{
	return c == ' ' || c == '\t' || c == '-';
}

/* Cuts gaps off the front, then one character off into *c, small; false at the end. */
static bool next_character(struct str *s, char *c)
{
	while (s->n && is_gap(*s->p)) {
		s->p++;
		s->n--;
	}
	if (!s->n)
		return false;
	*c = *s->p >= 'A' && *s->p <= 'Z' ? (char)(*s->p + ('a' - 'A')) : *s->p;
	s->p++;
	s->n--;
	return true;
}

static bool is_blank(struct str s)
{
	char c;
	return !next_character(&s, &c);
}

static bool same_name(struct str a, struct str b)
{
	for (;;) {
		char x = 0, y = 0;
		bool more_a = next_character(&a, &x), more_b = next_character(&b, &y);
		if (more_a != more_b || x != y)
			return false;
		if (!more_a)
			return true;
	}
}

/* The model without the manufacturer before it; as it was when it does not begin so or when nothing would be left. */
static struct str without_manufacturer(struct str model, struct str manufacturer)
{
	struct str rest = model;
	char want, got;
	while (next_character(&manufacturer, &want))
		if (!next_character(&rest, &got) || got != want)
			return model;
	return rest.n && is_gap(*rest.p) && !is_blank(rest) ? rest : model;
}

bool policy_model_agrees(struct str tac_manufacturer, struct str tac_model, struct str pos_manufacturer, struct str pos_model)
{
	if (is_blank(tac_manufacturer) || is_blank(tac_model) || !same_name(tac_manufacturer, pos_manufacturer))
		return false;
	return same_name(without_manufacturer(tac_model, tac_manufacturer), without_manufacturer(pos_model, tac_manufacturer));
}

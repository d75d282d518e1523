/* ident_digits.c - digit strings of any length up to 16. */
#include "ident/ident_digits.h"

static const uint64_t powers[] = {1, 10, 100, 1000, 10000, 100000, 1000000, 10000000, 100000000};

bool digits_parse(const char *p, size_t n, uint64_t *number)
{
	uint64_t first, last;

	if (n >= 8) {
		/* The last eight overlap the first eight when n < 16; the digits counted twice are taken off again. */
		first = digits_load(p);
		last = digits_load(p + n - 8);
		if (!digits_all(first) || !digits_all(last))
			return false;
		*number = digits_number(first) * powers[n - 8] + digits_number(last) % powers[n - 8];
		return true;
	}
	*number = 0;
	for (size_t i = 0; i < n; i++) {
		unsigned digit = (unsigned char)p[i] - (unsigned)'0';

		if (digit > 9)
			return false;
		*number = *number * 10 + digit;
	}
	return n > 0;
}

void digits_print(uint64_t number, size_t n, char *out)
{
	out[n] = '\0';
	while (n > 0) {
		out[--n] = (char)('0' + number % 10);
		number /= 10;
	}
}

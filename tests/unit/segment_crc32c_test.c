/* CRC32C: the examples of RFC 3720 B.4, by the instruction and by table, whole and in pieces. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "segment/segment_internal.h"

static void vector(const uint8_t *bytes, size_t n, uint32_t crc)
{
	assert_int_equal(crc32c(0, bytes, n), crc);
	assert_int_equal(crc32c_portable(0, bytes, n), crc);
	for (size_t cut = 0; cut <= n; cut++) {
		assert_int_equal(crc32c(crc32c(0, bytes, cut), bytes + cut, n - cut), crc);
		assert_int_equal(crc32c_portable(crc32c_portable(0, bytes, cut), bytes + cut, n - cut), crc);
	}
}

static void rfc3720(void **state)
{
	(void)state;
	static const uint8_t read_command[48] = {0x01, 0xc0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x14, 0, 0, 0, 0, 0, 0x04, 0, 0, 0,
		0, 0x14, 0, 0, 0, 0x18, 0x28, 0, 0, 0, 0, 0, 0, 0, 0x02, 0, 0, 0, 0, 0, 0, 0};
	uint8_t bytes[32];

	memset(bytes, 0, sizeof bytes);
	vector(bytes, sizeof bytes, 0x8a9136aa);
	memset(bytes, 0xff, sizeof bytes);
	vector(bytes, sizeof bytes, 0x62a8ab43);
	for (uint8_t i = 0; i < 32; i++)
		bytes[i] = i;
	vector(bytes, sizeof bytes, 0x46dd794e);
	for (uint8_t i = 0; i < 32; i++)
		bytes[i] = (uint8_t)(31 - i);
	vector(bytes, sizeof bytes, 0x113fdb5c);
	vector(read_command, sizeof read_command, 0xd9963a56);
	vector((const uint8_t *)"123456789", 9, 0xe3069283);
	vector(bytes, 0, 0);
}

/* Both ways agree at every length and alignment. */
static void instruction_and_table(void **state)
{
	(void)state;
	uint8_t bytes[1300]; /* three times what is taken in three stretches, and more */
	uint32_t v = 1;
	for (size_t i = 0; i < sizeof bytes; i++)
		bytes[i] = (uint8_t)((v = v * 1664525u + 1013904223u) >> 24);
	for (size_t from = 0; from < 9; from++)
		for (size_t n = 0; from + n <= sizeof bytes; n++)
			assert_int_equal(crc32c((uint32_t)n, bytes + from, n), crc32c_portable((uint32_t)n, bytes + from, n));
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(rfc3720), cmocka_unit_test(instruction_and_table)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

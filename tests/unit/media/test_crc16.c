#include "media/crc16.h"

#include "support/cmocka_all.h"

/* As the polynomial says it, a bit at a time. */
static uint16_t add_bits(uint16_t crc, const unsigned char *bytes, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        crc ^= bytes[i];
        for (unsigned bit = 0; bit < 8; bit++)
            crc = (uint16_t)((crc & 1) != 0 ? crc >> 1 ^ 0xa001 : crc >> 1);
    }
    return crc;
}

static void the_check_value_is_the_known_one(void **state)
{
    (void)state;
    assert_int_equal(crc16_add(0, (const unsigned char *)"123456789", 9), 0xbb3d);
}

static void every_size_and_start_gives_what_single_bits_give(void **state)
{
    (void)state;
    unsigned char bytes[300];
    uint32_t noise = 1;
    for (size_t i = 0; i < sizeof bytes; i++) {
        noise = noise * 1664525 + 1013904223;
        bytes[i] = (unsigned char)(noise >> 24);
    }
    uint16_t crc = 0;
    for (size_t size = 0; size <= sizeof bytes; size++) {
        uint16_t expected = add_bits(crc, bytes, size);
        assert_int_equal(crc16_add(crc, bytes, size), expected);
        crc = expected;
    }
}

static void every_byte_at_every_place_is_right(void **state)
{
    (void)state;
    for (unsigned value = 0; value < 256; value++) {
        for (size_t at = 0; at < 4; at++) {
            unsigned char bytes[4] = {0};
            bytes[at] = (unsigned char)value;
            assert_int_equal(crc16_add(0, bytes, 4), add_bits(0, bytes, 4));
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_check_value_is_the_known_one),
        cmocka_unit_test(every_size_and_start_gives_what_single_bits_give),
        cmocka_unit_test(every_byte_at_every_place_is_right),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

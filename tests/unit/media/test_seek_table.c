#include "media/seek_table.h"

#include "support/cmocka_all.h"

/* Frames of 100 bytes after an Info frame of as many: the table must be a straight line. */
static void fill(struct seek_table *table, uint32_t frames)
{
    seek_table_init(table);
    for (uint32_t i = 0; i < frames; i++)
        seek_table_add(table, 100 + 100 * i);
}

static void any_number_of_frames_fits_and_keeps_its_shape(void **state)
{
    (void)state;
    static const uint32_t counts[] = {100, 511, 512, 513, 1024, 99999, 1000000};
    for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++) {
        struct seek_table table;
        unsigned char toc[INFO_FRAME_TOC_SIZE];
        fill(&table, counts[i]);
        seek_table_format(&table, 100 + 100 * counts[i], toc);
        assert_in_range(table.count, 1, SEEK_TABLE_POINTS);
        for (uint32_t percent = 0; percent < INFO_FRAME_TOC_SIZE; percent++) {
            uint32_t exact = 256 * percent / 100;
            assert_in_range(toc[percent], exact > 3 ? exact - 3 : 0, exact + 3);
        }
    }
}

static void a_single_frame_makes_a_table_too(void **state)
{
    (void)state;
    struct seek_table table;
    unsigned char toc[INFO_FRAME_TOC_SIZE];
    fill(&table, 1);
    seek_table_format(&table, 200, toc);
    assert_int_equal(toc[0], 128);
    assert_int_equal(toc[99], 128);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(any_number_of_frames_fits_and_keeps_its_shape),
        cmocka_unit_test(a_single_frame_makes_a_table_too),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

#include "commands/csv.h"

#include "support/cmocka_all.h"
#include <string.h>

static struct csv csv_of(const char *text)
{
    struct csv csv;
    csv_init(&csv, text, strlen(text));
    return csv;
}

static void assert_row(struct csv *csv, uint64_t line, const char *first, const char *second)
{
    struct csv_row row;
    struct error error = {0};
    assert_int_equal(csv_next(csv, &row, &error), CSV_ROW);
    assert_int_equal(row.line, line);
    assert_int_equal(row.field_count, 2);
    assert_string_equal(row.fields[0], first);
    assert_string_equal(row.fields[1], second);
}

static void assert_bad(struct csv *csv, uint64_t line, const char *expected)
{
    struct csv_row row;
    struct error error = {0};
    assert_int_equal(csv_next(csv, &row, &error), CSV_BAD);
    assert_int_equal(row.line, line);
    assert_non_null(strstr(error.text, expected));
}

static void assert_end(struct csv *csv)
{
    struct csv_row row;
    struct error error = {0};
    assert_int_equal(csv_next(csv, &row, &error), CSV_END);
    assert_int_equal(csv_next(csv, &row, &error), CSV_END);
}

static void plain_rows_end_with_either_line_end_or_none(void **state)
{
    (void)state;
    struct csv csv = csv_of("\xef\xbb\xbf"
                            "a,b\r\nc,\n\n\r\n,d");
    assert_row(&csv, 1, "a", "b");
    assert_row(&csv, 2, "c", "");
    assert_row(&csv, 5, "", "d");
    assert_end(&csv);
    csv = csv_of("");
    assert_end(&csv);
}

static void a_quoted_field_holds_commas_quotes_and_line_ends(void **state)
{
    (void)state;
    struct csv csv = csv_of("\"a,b\",\"say \"\"hi\"\"\"\n\"x\ny\",\"\"\nz, \n");
    assert_row(&csv, 1, "a,b", "say \"hi\"");
    assert_row(&csv, 2, "x\ny", "");
    assert_row(&csv, 4, "z", " ");
    assert_end(&csv);
}

static void a_bad_row_costs_its_first_line_only(void **state)
{
    (void)state;
    struct csv csv = csv_of("a,b\n\"e\"f,g\nc,d\nh\"i,j\n\"never closed,b\nk,l\n");
    assert_row(&csv, 1, "a", "b");
    assert_bad(&csv, 2, "closing quote");
    assert_row(&csv, 3, "c", "d");
    assert_bad(&csv, 4, "inside a field");
    assert_bad(&csv, 5, "never closed");
    assert_row(&csv, 6, "k", "l");
    assert_end(&csv);
}

static void a_row_has_bounds(void **state)
{
    (void)state;
    char text[CSV_ROW_SIZE + 20];
    memset(text, 'x', sizeof text);
    text[CSV_ROW_SIZE - 1] = '\n';
    struct csv csv;
    struct csv_row row;
    struct error error = {0};
    csv_init(&csv, text, sizeof text);
    assert_int_equal(csv_next(&csv, &row, &error), CSV_ROW);
    assert_int_equal(strlen(row.fields[0]), CSV_ROW_SIZE - 1);
    text[CSV_ROW_SIZE - 1] = 'x';
    text[CSV_ROW_SIZE] = '\n';
    csv_init(&csv, text, sizeof text);
    assert_bad(&csv, 1, "more than 4096 bytes");
    assert_int_equal(csv_next(&csv, &row, &error), CSV_ROW);

    csv = csv_of(",,,,,,,,,,,,,,,\n,,,,,,,,,,,,,,,,\n");
    assert_int_equal(csv_next(&csv, &row, &error), CSV_ROW);
    assert_int_equal(row.field_count, CSV_FIELDS_MAX);
    assert_bad(&csv, 2, "more than 16 fields");
}

static void a_nul_byte_is_no_text(void **state)
{
    (void)state;
    struct csv csv;
    csv_init(&csv, "a\0b,c\n\"d\0e\",f\n", 14);
    assert_bad(&csv, 1, "NUL");
    assert_bad(&csv, 2, "NUL");
    assert_end(&csv);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plain_rows_end_with_either_line_end_or_none),
        cmocka_unit_test(a_quoted_field_holds_commas_quotes_and_line_ends),
        cmocka_unit_test(a_bad_row_costs_its_first_line_only),
        cmocka_unit_test(a_row_has_bounds),
        cmocka_unit_test(a_nul_byte_is_no_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

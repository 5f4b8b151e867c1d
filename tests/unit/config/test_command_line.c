#include "config/command_line.h"

#include "support/cmocka_all.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* main's arguments are not const, literals are; nobody writes to them. */
union arguments {
    const char *const *literals;
    char **of_main;
};

#define INVOCATION_OF(...)                                                                         \
    ((struct invocation){                                                                          \
        .program = "tapedeck test",                                                                \
        .argument_count = (int)ARRAY_COUNT(((const char *[]){__VA_ARGS__})),                       \
        .arguments = ((union arguments){.literals = (const char *[]){__VA_ARGS__, NULL}}).of_main, \
    })

static void shared_options_are_taken_out_and_the_rest_stays_in_order(void **state)
{
    (void)state;
    struct error error = {0};
    struct command_line line;
    const struct invocation invocation =
        INVOCATION_OF("add", "--config", "a.ini", "a@example.org", "--set=mail.from=x=y", "--admin",
                      "--set", "data.dir=/x");
    assert_true(command_line_parse(&invocation, &line, &error));
    assert_string_equal(line.config_file, "a.ini");
    assert_int_equal(line.assignment_count, 2);
    assert_string_equal(line.assignments[0], "mail.from=x=y");
    assert_string_equal(line.assignments[1], "data.dir=/x");
    assert_null(line.assignments[2]);
    assert_false(line.wants_help);
    assert_int_equal(line.rest_count, 3);
    assert_string_equal(line.rest[0], "add");
    assert_string_equal(line.rest[1], "a@example.org");
    assert_string_equal(line.rest[2], "--admin");
    assert_null(line.rest[3]);
    command_line_finish(&line);
    command_line_finish(&line);
}

static void nothing_after_a_double_dash_is_ours(void **state)
{
    (void)state;
    struct error error = {0};
    struct command_line line;
    const struct invocation invocation = INVOCATION_OF("--", "--help", "--config");
    assert_true(command_line_parse(&invocation, &line, &error));
    assert_false(line.wants_help);
    assert_null(line.config_file);
    assert_int_equal(line.rest_count, 3);
    assert_string_equal(line.rest[0], "--");
    assert_string_equal(line.rest[2], "--config");
    command_line_finish(&line);
}

static void help_is_found_in_both_spellings(void **state)
{
    (void)state;
    struct error error = {0};
    struct command_line line;
    const struct invocation long_form = INVOCATION_OF("list", "--help");
    assert_true(command_line_parse(&long_form, &line, &error));
    assert_true(line.wants_help);
    assert_int_equal(line.rest_count, 1);
    command_line_finish(&line);
    const struct invocation short_form = INVOCATION_OF("-h");
    assert_true(command_line_parse(&short_form, &line, &error));
    assert_true(line.wants_help);
    command_line_finish(&line);
}

static void names_that_only_begin_like_ours_are_not_ours(void **state)
{
    (void)state;
    struct error error = {0};
    struct command_line line;
    const struct invocation invocation = INVOCATION_OF("--configure", "--settle=1", "-help", "-");
    assert_true(command_line_parse(&invocation, &line, &error));
    assert_int_equal(line.rest_count, 4);
    assert_int_equal(line.assignment_count, 0);
    assert_null(line.config_file);
    command_line_finish(&line);
}

static void assert_refused(struct invocation invocation, const char *expected)
{
    struct error error = {0};
    struct command_line line;
    assert_false(command_line_parse(&invocation, &line, &error));
    assert_int_equal(error.kind, ERROR_BAD_INPUT);
    assert_non_null(strstr(error.text, expected));
}

static void a_missing_value_is_refused(void **state)
{
    (void)state;
    assert_refused(INVOCATION_OF("--config"), "--config needs a value");
    assert_refused(INVOCATION_OF("--config="), "--config needs a value");
    assert_refused(INVOCATION_OF("--set"), "--set needs a value");
    assert_refused(INVOCATION_OF("--set", ""), "--set needs a value");
    assert_refused(INVOCATION_OF("--config=a", "--config=b"), "given twice");
}

static void more_assignments_than_fit_are_refused(void **state)
{
    (void)state;
    char *arguments[COMMAND_LINE_ASSIGNMENTS_MAX + 2];
    char assignment[] = "--set=a.b=c";
    for (size_t i = 0; i < COMMAND_LINE_ASSIGNMENTS_MAX + 1; i++)
        arguments[i] = assignment;
    arguments[COMMAND_LINE_ASSIGNMENTS_MAX + 1] = NULL;
    struct invocation invocation = {.program = "tapedeck test",
                                    .argument_count = COMMAND_LINE_ASSIGNMENTS_MAX + 1,
                                    .arguments = arguments};
    assert_refused(invocation, "more than 64 --set");
    invocation.argument_count--;
    struct error error = {0};
    struct command_line line;
    assert_true(command_line_parse(&invocation, &line, &error));
    assert_int_equal(line.assignment_count, COMMAND_LINE_ASSIGNMENTS_MAX);
    assert_null(line.assignments[COMMAND_LINE_ASSIGNMENTS_MAX]);
    command_line_finish(&line);
}

struct settings {
    const char *colour;
};

static const struct config_option colour_options[] = {
    {
        .name = "test.colour",
        .type = CONFIG_TEXT,
        .field = CONFIG_FIELD(struct settings, colour, const char *),
        .standard = "grey",
        .help = "A colour.",
    },
    {0},
};

static void assert_colour(struct invocation invocation, const char *expected)
{
    static const struct config_option *const tables[] = {colour_options, NULL};
    struct error error = {0};
    struct command_line line;
    CLEANUP(config_closep) struct config *config = NULL;
    struct settings settings = {0};
    invocation.option_tables = tables;
    assert_true(command_line_parse(&invocation, &line, &error));
    assert_true(command_line_open_config(&invocation, &line, &config, &error));
    assert_true(config_load(config, colour_options, &settings, &error));
    assert_string_equal(settings.colour, expected);
    command_line_finish(&line);
}

static void write_colour(char *path, const char *colour)
{
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_true(dprintf(fd, "[test]\ncolour = %s\n", colour) > 0);
    close(fd);
}

static void the_file_is_named_by_the_option_or_else_the_environment(void **state)
{
    (void)state;
    char red[] = "/tmp/test_command_line.XXXXXX";
    char blue[] = "/tmp/test_command_line.XXXXXX";
    write_colour(red, "red");
    write_colour(blue, "blue");
    assert_colour(INVOCATION_OF("list"), "grey");
    setenv("TAPEDECK_CONFIG", red, 1);
    assert_colour(INVOCATION_OF("list"), "red");
    assert_colour(INVOCATION_OF("--config", blue), "blue");
    assert_colour(INVOCATION_OF("--config", blue, "--set", "test.colour=green"), "green");
    setenv("TAPEDECK_CONFIG", "", 1);
    assert_colour(INVOCATION_OF("list"), "grey");
    unsetenv("TAPEDECK_CONFIG");
    unlink(red);
    unlink(blue);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(shared_options_are_taken_out_and_the_rest_stays_in_order),
        cmocka_unit_test(nothing_after_a_double_dash_is_ours),
        cmocka_unit_test(help_is_found_in_both_spellings),
        cmocka_unit_test(names_that_only_begin_like_ours_are_not_ours),
        cmocka_unit_test(a_missing_value_is_refused),
        cmocka_unit_test(more_assignments_than_fit_are_refused),
        cmocka_unit_test(the_file_is_named_by_the_option_or_else_the_environment),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

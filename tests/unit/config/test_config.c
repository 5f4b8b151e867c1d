#include "config/config.h"

#include "base/file.h"
#include "support/cmocka_all.h"
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct settings {
    const char *name;
    const char *password;
    const char *color;
    bool is_fast;
    uint64_t workers;
    int64_t wait_ms;
    uint64_t size_max_bytes;
};

static const char *const colors[] = {"red", "green", NULL};

static bool is_no_color(const char *text, struct error *error)
{
    return strcmp(text, "blue") != 0 || error_set(error, ERROR_BAD_INPUT, "that is a color");
}

static const struct config_option table[] = {
    {
        .name = "paint.name",
        .type = CONFIG_TEXT,
        .field = CONFIG_FIELD(struct settings, name, const char *),
        .standard = "",
        .check = is_no_color,
        .help = "What it is called.",
    },
    {
        .name = "paint.password",
        .type = CONFIG_SECRET,
        .field = CONFIG_FIELD(struct settings, password, const char *),
        .standard = "",
        .help = "Opens the door.",
    },
    {
        .name = "paint.color",
        .type = CONFIG_CHOICE,
        .field = CONFIG_FIELD(struct settings, color, const char *),
        .standard = "red",
        .choices = colors,
        .help = "Of the wall.",
    },
    {
        .name = "work.fast",
        .type = CONFIG_BOOL,
        .field = CONFIG_FIELD(struct settings, is_fast, bool),
        .standard = "off",
        .help = "Or thorough.",
    },
    {
        .name = "work.workers",
        .type = CONFIG_COUNT,
        .field = CONFIG_FIELD(struct settings, workers, uint64_t),
        .standard = "8",
        .least = 1,
        .most = 64,
        .help = "At once.",
    },
    {0},
};

static const struct config_option more_table[] = {
    {
        .name = "work.wait",
        .type = CONFIG_DURATION,
        .field = CONFIG_FIELD(struct settings, wait_ms, int64_t),
        .standard = "30s",
        .least = 1000,
        .most = 3600000,
        .help = "Between two looks.",
    },
    {
        .name = "limits.size_max",
        .type = CONFIG_SIZE,
        .field = CONFIG_FIELD(struct settings, size_max_bytes, uint64_t),
        .standard = "off",
        .help = "Of one bucket.",
    },
    {
        .name = "work.workers",
        .type = CONFIG_COUNT,
        .field = CONFIG_FIELD(struct settings, workers, uint64_t),
        .standard = "8",
        .least = 1,
        .most = 64,
        .help = "At once.",
    },
    {0},
};

static const struct config_option needed_table[] = {
    {
        .name = "paint.uri",
        .type = CONFIG_SECRET,
        .field = CONFIG_FIELD(struct settings, password, const char *),
        .help = "Where it is.",
    },
    {0},
};

static const struct config_option *const tables[] = {table, more_table, needed_table, NULL};

static char folder[] = "/tmp/tapedeck-test-config-XXXXXX";
static char ini_path[FILE_PATH_SIZE];
static char secret_path[FILE_PATH_SIZE];

static int make_folder(void **state)
{
    (void)state;
    return mkdtemp(folder) != NULL && file_path(ini_path, NULL, "%s/tapedeck.ini", folder) &&
                   file_path(secret_path, NULL, "%s/secret", folder)
               ? 0
               : -1;
}

static int remove_folder(void **state)
{
    (void)state;
    unlink(ini_path);
    unlink(secret_path);
    return rmdir(folder);
}

static void write_file(const char *path, const char *text)
{
    assert_true(file_save(path, 0600, text, strlen(text), NULL));
}

/* What an environment and --set give; each NULL for none. */
static bool open_with(const char *ini, const char *variable, const char *assignment,
                      struct config **out_config, struct error *error)
{
    const char *const environment[] = {"HOME=/", variable, NULL};
    const char *const assignments[] = {assignment, NULL};
    if (ini != NULL)
        write_file(ini_path, ini);
    const struct config_sources sources = {
        .file = ini != NULL ? ini_path : NULL,
        .environment = environment,
        .assignments = assignments,
    };
    return config_open(tables, &sources, out_config, error);
}

static struct settings load(const struct config *config)
{
    struct error error = {0};
    struct settings settings = {0};
    assert_true(config_load(config, table, &settings, &error));
    assert_true(config_load(config, more_table, &settings, &error));
    return settings;
}

static struct settings settings_of(const char *ini, const char *variable, const char *assignment,
                                   struct config **out_config)
{
    struct error error = {0};
    bool opened = open_with(ini, variable, assignment, out_config, &error);
    if (!opened)
        print_message("%s\n", error.text);
    assert_true(opened);
    return load(*out_config);
}

static void assert_refused(const char *ini, const char *variable, const char *assignment,
                           const char *reason)
{
    struct error error = {0};
    struct config *config = NULL;
    assert_false(open_with(ini, variable, assignment, &config, &error));
    assert_null(config);
    if (strstr(error.text, reason) == NULL)
        print_message("expected \"%s\" in: %s\n", reason, error.text);
    assert_non_null(strstr(error.text, reason));
}

static void without_sources_there_are_the_defaults(void **state)
{
    (void)state;
    struct error error = {0};
    CLEANUP(config_closep) struct config *config = NULL;
    assert_true(config_open(tables, &(struct config_sources){0}, &config, &error));
    struct settings settings = load(config);
    assert_string_equal(settings.name, "");
    assert_string_equal(settings.password, "");
    assert_string_equal(settings.color, "red");
    assert_false(settings.is_fast);
    assert_int_equal(settings.workers, 8);
    assert_int_equal(settings.wait_ms, 30000);
    assert_int_equal(settings.size_max_bytes, 0);
    assert_false(config_is_given(config, "work.workers"));
}

static void every_type_is_read_from_the_file(void **state)
{
    (void)state;
    CLEANUP(config_closep) struct config *config = NULL;
    struct settings settings = settings_of("# comment\n"
                                           "[paint]\n"
                                           "name = R\xc3\xb6ntgen & Co\n"
                                           "  password=x=y # z\n"
                                           "color = green ; of the door\n"
                                           "[work]\n"
                                           "fast = on\n"
                                           "workers = 64\n"
                                           "wait = 1h\n"
                                           "[limits]\n"
                                           "size_max = 4GiB\n",
                                           NULL, NULL, &config);
    assert_string_equal(settings.name, "R\xc3\xb6ntgen & Co");
    assert_string_equal(settings.password, "x=y # z");
    assert_string_equal(settings.color, "green");
    assert_true(settings.is_fast);
    assert_int_equal(settings.workers, 64);
    assert_int_equal(settings.wait_ms, 3600000);
    assert_true(settings.size_max_bytes == UINT64_C(4) << 30);
    assert_true(config_is_given(config, "work.workers"));
    assert_false(config_is_given(config, "paint.uri"));
}

static void the_environment_beats_the_file_and_set_beats_both(void **state)
{
    (void)state;
    const char ini[] = "[work]\nworkers = 2\n";
    {
        CLEANUP(config_closep) struct config *config = NULL;
        assert_int_equal(settings_of(ini, NULL, NULL, &config).workers, 2);
    }
    {
        CLEANUP(config_closep) struct config *config = NULL;
        assert_int_equal(settings_of(ini, "TAPEDECK_WORK_WORKERS=3", NULL, &config).workers, 3);
    }
    CLEANUP(config_closep) struct config *config = NULL;
    assert_int_equal(settings_of(ini, "TAPEDECK_WORK_WORKERS=3", "work.workers=4", &config).workers,
                     4);
}

static void the_last_assignment_counts(void **state)
{
    (void)state;
    const char *const assignments[] = {"work.workers=4", "work.workers=5", NULL};
    CLEANUP(config_closep) struct config *config = NULL;
    assert_true(
        config_open(tables, &(struct config_sources){.assignments = assignments}, &config, NULL));
    assert_int_equal(load(config).workers, 5);
}

static void unknown_keys_are_refused_with_the_nearest(void **state)
{
    (void)state;
    assert_refused("[work]\nworker = 2\n", NULL, NULL,
                   "line 2: unknown option work.worker; did you mean work.workers?");
    assert_refused(NULL, NULL, "paint.wait=3s", "did you mean work.wait?");
    assert_refused(NULL, NULL, "WORK.FAST=on", "unknown option WORK.FAST");
    assert_refused(NULL, NULL, "something.else=1", "`tapedeck config options` lists all");
    assert_refused(NULL, NULL, "paint.name_file=/x", "unknown option paint.name_file");
    assert_refused(NULL, NULL, "work.workers", "expected section.key=value");
    assert_refused(NULL, NULL, "=4", "expected section.key=value");
}

static void values_are_checked_before_anything_starts(void **state)
{
    (void)state;
    assert_refused(NULL, NULL, "work.workers=0",
                   "work.workers = 0, from --set: expected a whole "
                   "number from 1 to 64");
    assert_refused(NULL, NULL, "work.workers=65", "from 1 to 64");
    assert_refused(NULL, NULL, "work.workers=many", "whole number");
    assert_refused(NULL, "TAPEDECK_WORK_WAIT=30", NULL,
                   "work.wait = 30, from the environment: expected a whole number with its unit");
    assert_refused(NULL, NULL, "work.wait=999ms", "expected a duration from 1s to 1h");
    assert_refused(NULL, NULL, "work.wait=off", "expected a duration from 1s to 1h");
    assert_refused(NULL, NULL, "work.wait=61m", "expected a duration from 1s to 1h");
    assert_refused(NULL, NULL, "work.fast=yes", "expected on or off");
    assert_refused(NULL, NULL, "limits.size_max=4", "with its unit");
    assert_refused(NULL, NULL, "paint.color=blue", "from --set: expected one of red, green");
    assert_refused(NULL, NULL, "paint.name=\xff", "UTF-8");
    assert_refused(NULL, NULL, "paint.name=a\nb", "control characters");
    assert_refused(NULL, NULL, "paint.name=blue", "paint.name = blue, from --set: that is a color");
}

static void a_file_that_is_no_ini_file_is_refused(void **state)
{
    (void)state;
    assert_refused("[work]\nworkers\n", NULL, NULL, "line 2: expected [section], key = value");
    assert_refused("[work\nworkers=1\n", NULL, NULL, "line 1: expected");
    assert_refused("workers = 1\n", NULL, NULL, "before the first [section]");
    assert_refused("[work]\nworkers = 1\nworkers = 2\n", NULL, NULL,
                   "line 3: work.workers is given twice");
    char long_line[400] = "[paint]\npassword = ";
    memset(long_line + strlen(long_line), 'x', 300);
    assert_refused(long_line, NULL, NULL, "line 2 is longer than 190 bytes");

    struct error error = {0};
    struct config *config = NULL;
    assert_false(config_open(tables, &(struct config_sources){.file = "/nowhere/tapedeck.ini"},
                             &config, &error));
    assert_non_null(strstr(error.text, "/nowhere/tapedeck.ini: No such file"));
}

static void a_secret_may_stand_in_a_file(void **state)
{
    (void)state;
    char ini[FILE_PATH_SIZE + 40];
    char variable[FILE_PATH_SIZE + 40];
    write_file(secret_path, "from the file \n");
    snprintf(ini, sizeof ini, "[paint]\npassword_file = %s\n", secret_path);
    snprintf(variable, sizeof variable, "TAPEDECK_PAINT_PASSWORD_FILE=%s", secret_path);
    {
        CLEANUP(config_closep) struct config *config = NULL;
        assert_string_equal(settings_of(ini, NULL, NULL, &config).password, "from the file ");
    }
    {
        CLEANUP(config_closep) struct config *config = NULL;
        assert_string_equal(
            settings_of("[paint]\npassword = weaker\n", variable, NULL, &config).password,
            "from the file ");
    }
    {
        /* Overridden, so it need not exist. */
        CLEANUP(config_closep) struct config *config = NULL;
        assert_string_equal(settings_of("[paint]\npassword_file = /nowhere\n", NULL,
                                        "paint.password=stronger", &config)
                                .password,
                            "stronger");
    }
    assert_refused(NULL, "TAPEDECK_PAINT_PASSWORD_FILE=/nowhere", NULL,
                   "paint.password_file: open /nowhere: No such file");
    snprintf(ini, sizeof ini, "[paint]\npassword_file = %s\npassword = x\n", secret_path);
    assert_refused(ini, NULL, NULL, "given twice");
}

static void a_wrong_secret_is_not_shown(void **state)
{
    (void)state;
    struct error error = {0};
    struct config *config = NULL;
    assert_false(open_with(NULL, NULL, "paint.password=hunter\x01", &config, &error));
    assert_null(strstr(error.text, "hunter"));
    assert_non_null(strstr(error.text, "paint.password, from --set"));
}

static void what_must_be_given_is_asked_for_only_where_it_is_used(void **state)
{
    (void)state;
    struct error error = {0};
    struct settings settings = {0};
    {
        CLEANUP(config_closep) struct config *config = NULL;
        assert_true(open_with(NULL, NULL, NULL, &config, &error));
        assert_false(config_load(config, needed_table, &settings, &error));
        assert_int_equal(error.kind, ERROR_BAD_INPUT);
        assert_non_null(strstr(error.text, "paint.uri must be given"));
        assert_non_null(strstr(error.text, "TAPEDECK_PAINT_URI"));
    }
    CLEANUP(config_closep) struct config *config = NULL;
    assert_true(open_with(NULL, "TAPEDECK_PAINT_URI=x", NULL, &config, &error));
    assert_true(config_load(config, needed_table, &settings, &error));
    assert_string_equal(settings.password, "x");
}

/* Opens with standard error in a pipe; gives what was logged. */
static void open_and_listen(const char *variable, char *out_log, size_t size)
{
    int fds[2];
    assert_int_equal(pipe2(fds, O_CLOEXEC | O_NONBLOCK), 0);
    int saved = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3);
    dup2(fds[1], STDERR_FILENO);
    CLEANUP(config_closep) struct config *config = NULL;
    bool opened = open_with(NULL, variable, NULL, &config, NULL);
    dup2(saved, STDERR_FILENO);
    close(saved);
    ssize_t got = read(fds[0], out_log, size - 1);
    out_log[got > 0 ? got : 0] = '\0';
    close(fds[0]);
    close(fds[1]);
    assert_true(opened);
}

static void an_unknown_variable_is_only_a_warning(void **state)
{
    (void)state;
    char log[1000];
    open_and_listen("TAPEDECK_GATEWAY_SERVICE_HOST=10.0.0.1", log, sizeof log);
    assert_non_null(strstr(log, "level=warning"));
    assert_non_null(strstr(log, "variable=TAPEDECK_GATEWAY_SERVICE_HOST"));
    assert_null(strstr(log, "10.0.0.1"));
    open_and_listen("TAPEDECK_CONFIG=/etc/tapedeck.ini", log, sizeof log);
    assert_string_equal(log, "");
    /* Not a secret, so it has no file. */
    open_and_listen("TAPEDECK_PAINT_NAME_FILE=/x", log, sizeof log);
    assert_non_null(strstr(log, "variable=TAPEDECK_PAINT_NAME_FILE"));
}

static void show_names_sources_and_masks_secrets(void **state)
{
    (void)state;
    CLEANUP(config_closep) struct config *config = NULL;
    char variable[FILE_PATH_SIZE + 40];
    write_file(secret_path, "hunter2");
    snprintf(variable, sizeof variable, "TAPEDECK_PAINT_PASSWORD_FILE=%s", secret_path);
    assert_true(open_with("[work]\nfast = on\n", variable, "work.workers=2", &config, NULL));
    CLEANUP(buffer_finish) struct buffer text = BUFFER_WITH_MAX(10000);
    assert_true(config_show(config, &text, NULL));
    char expected[3 * FILE_PATH_SIZE];
    snprintf(expected, sizeof expected,
             "paint.name =   # from the default\n"
             "paint.password = ********  # from the environment, by %s\n"
             "paint.color = red  # from the default\n"
             "paint.uri =   # from nowhere: it has no default\n"
             "work.fast = on  # from the file %s\n"
             "work.workers = 2  # from --set\n"
             "work.wait = 30s  # from the default\n"
             "limits.size_max = off  # from the default\n",
             secret_path, ini_path);
    assert_string_equal(buffer_text(&text), expected);
}

static void the_reference_lists_every_option_once_by_section(void **state)
{
    (void)state;
    CLEANUP(buffer_finish) struct buffer text = BUFFER_WITH_MAX(10000);
    assert_true(config_reference(tables, CONFIG_REFERENCE_MARKDOWN, &text, NULL));
    const char *body = strstr(buffer_text(&text), "\n## ");
    assert_non_null(body);
    assert_string_equal(body,
                        "\n## paint\n\n"
                        "| option | value | default | meaning |\n|---|---|---|---|\n"
                        "| `paint.name` | text | empty | What it is called. |\n"
                        "| `paint.password` | secret text | empty | Opens the door. |\n"
                        "| `paint.color` | one of red, green | `red` | Of the wall. |\n"
                        "| `paint.uri` | secret text | must be given | Where it is. |\n"
                        "\n## work\n\n"
                        "| option | value | default | meaning |\n|---|---|---|---|\n"
                        "| `work.fast` | on or off | `off` | Or thorough. |\n"
                        "| `work.workers` | whole number from 1 to 64 | `8` | At once. |\n"
                        "| `work.wait` | duration from 1s to 1h | `30s` | Between two looks. |\n"
                        "\n## limits\n\n"
                        "| option | value | default | meaning |\n|---|---|---|---|\n"
                        "| `limits.size_max` | size | `off` | Of one bucket. |\n");
    buffer_clear(&text);
    assert_true(config_reference(tables, CONFIG_REFERENCE_TERMINAL, &text, NULL));
    assert_non_null(strstr(buffer_text(&text), "\n[work]\n  work.fast (off)\n    Or thorough.\n"
                                               "    on or off; TAPEDECK_WORK_FAST\n"));
    assert_non_null(strstr(buffer_text(&text), "TAPEDECK_PAINT_URI or ..._FILE\n"));
}

static void two_options_cannot_share_a_name(void **state)
{
    (void)state;
    struct error error = {0};
    struct config *config = NULL;
    const struct config_option other[] = {
        {.name = "work.workers", .type = CONFIG_COUNT, .standard = "9", .help = "Others."},
        {0},
    };
    const struct config_option *const clashing[] = {table, other, NULL};
    assert_false(config_open(clashing, &(struct config_sources){0}, &config, &error));
    assert_int_equal(error.kind, ERROR_INTERNAL);
    assert_non_null(strstr(error.text, "work.workers"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_sources_there_are_the_defaults),
        cmocka_unit_test(every_type_is_read_from_the_file),
        cmocka_unit_test(the_environment_beats_the_file_and_set_beats_both),
        cmocka_unit_test(the_last_assignment_counts),
        cmocka_unit_test(unknown_keys_are_refused_with_the_nearest),
        cmocka_unit_test(values_are_checked_before_anything_starts),
        cmocka_unit_test(a_file_that_is_no_ini_file_is_refused),
        cmocka_unit_test(a_secret_may_stand_in_a_file),
        cmocka_unit_test(a_wrong_secret_is_not_shown),
        cmocka_unit_test(what_must_be_given_is_asked_for_only_where_it_is_used),
        cmocka_unit_test(an_unknown_variable_is_only_a_warning),
        cmocka_unit_test(show_names_sources_and_masks_secrets),
        cmocka_unit_test(the_reference_lists_every_option_once_by_section),
        cmocka_unit_test(two_options_cannot_share_a_name),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}

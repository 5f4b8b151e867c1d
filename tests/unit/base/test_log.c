#include "base/log.h"

#include "support/cmocka_all.h"
#include <fcntl.h>
#include <pthread.h>
#include <string.h>
#include <unistd.h>

static int pipe_fds[2];
static int saved_stderr;
static char line[8192];

static int catch_stderr(void **state)
{
    (void)state;
    saved_stderr = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3);
    log_open("test", LOG_LEVEL_INFO);
    if (saved_stderr < 0 || pipe2(pipe_fds, O_CLOEXEC | O_NONBLOCK) != 0)
        return -1;
    return dup2(pipe_fds[1], STDERR_FILENO) < 0 ? -1 : 0;
}

static int release_stderr(void **state)
{
    (void)state;
    dup2(saved_stderr, STDERR_FILENO);
    close(saved_stderr);
    close(pipe_fds[0]);
    close(pipe_fds[1]);
    return 0;
}

/* What was logged since the last call, without its time; "" for nothing. */
static const char *logged(void)
{
    ssize_t size = read(pipe_fds[0], line, sizeof line - 1);
    line[size > 0 ? size : 0] = '\0';
    if (size <= 0)
        return line;
    assert_int_equal(strncmp(line, "time=2", 6), 0);
    assert_int_equal(line[24 + 5], ' ');
    return line + 24 + 6;
}

static void fields_follow_the_event(void **state)
{
    (void)state;
    log_info("upload stored", FIELD_TEXT("name", "a.mp4"), FIELD_COUNT("size_bytes", 42),
             FIELD_REAL("seconds", 1.5), FIELD_TEXT("left_out", NULL));
    assert_string_equal(logged(), "level=info service=test event=\"upload stored\" name=a.mp4 "
                                  "size_bytes=42 seconds=1.500\n");
    log_error("alone");
    assert_string_equal(logged(), "level=error service=test event=alone\n");
}

static void what_could_trick_a_reader_is_escaped(void **state)
{
    (void)state;
    log_warning("x", FIELD_TEXT("name", "a\nlevel=error \"\\\x1b[2J\xe2\x80\xae"),
                FIELD_TEXT("empty", ""), FIELD_TEXT("equals", "a=b"));
    assert_string_equal(logged(), "level=warning service=test event=x "
                                  "name=\"a\\nlevel=error \\\"\\\\\\x1b[2J\\xe2\\x80\\xae\" "
                                  "empty=\"\" equals=\"a=b\"\n");
}

static void a_long_line_is_cut_and_still_ends(void **state)
{
    (void)state;
    char name[6000];
    memset(name, 'n', sizeof name - 1);
    name[sizeof name - 1] = '\0';
    log_info("long", FIELD_TEXT("name", name));
    logged();
    assert_int_equal(strlen(line), 4096);
    assert_int_equal(line[4095], '\n');
}

static void levels_below_the_one_asked_for_are_silent(void **state)
{
    (void)state;
    log_debug("unseen");
    assert_string_equal(logged(), "");
    log_open("test", LOG_LEVEL_DEBUG);
    log_debug("seen");
    assert_string_equal(logged(), "level=debug service=test event=seen\n");
    log_open(NULL, LOG_LEVEL_INFO);
    log_info("nameless");
    assert_string_equal(logged(), "level=info event=nameless\n");
    log_open("test", LOG_LEVEL_INFO);
}

static void *log_in_thread(void *context)
{
    (void)context;
    log_info("other thread");
    return NULL;
}

static void the_request_is_on_every_line_of_its_thread(void **state)
{
    (void)state;
    log_request_set("9f \"x");
    assert_string_equal(log_request(), "9f \"x");
    log_info("mine");
    assert_string_equal(logged(), "level=info service=test request=\"9f \\\"x\" event=mine\n");
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, log_in_thread, NULL), 0);
    pthread_join(thread, NULL);
    assert_string_equal(logged(), "level=info service=test event=\"other thread\"\n");
    log_request_set(NULL);
    log_info("none");
    assert_string_equal(logged(), "level=info service=test event=none\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(fields_follow_the_event, catch_stderr, release_stderr),
        cmocka_unit_test_setup_teardown(what_could_trick_a_reader_is_escaped, catch_stderr,
                                        release_stderr),
        cmocka_unit_test_setup_teardown(a_long_line_is_cut_and_still_ends, catch_stderr,
                                        release_stderr),
        cmocka_unit_test_setup_teardown(levels_below_the_one_asked_for_are_silent, catch_stderr,
                                        release_stderr),
        cmocka_unit_test_setup_teardown(the_request_is_on_every_line_of_its_thread, catch_stderr,
                                        release_stderr),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

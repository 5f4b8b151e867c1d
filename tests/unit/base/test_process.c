#include "base/process.h"

#include "base/buffer.h"
#include "base/clock.h"
#include "base/file.h"
#include "support/cmocka_all.h"
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

/* Runs a shell script with its standard output in a pipe; gives what it wrote and how it ended. */
static int run_script(const char *script, struct process_fd *more_fds, size_t more_count,
                      const char *const *environment, struct buffer *out_text)
{
    struct error error = {0};
    int output[2];
    assert_int_equal(pipe2(output, O_CLOEXEC), 0);
    struct process_fd fds[4] = {{.from = output[1], .to = 1}};
    for (size_t i = 0; i < more_count; i++)
        fds[i + 1] = more_fds[i];
    const char *const arguments[] = {"sh", "-c", script, NULL};
    const struct process_options options = {
        .path = "/bin/sh",
        .arguments = arguments,
        .environment = environment,
        .fds = fds,
        .fd_count = more_count + 1,
        .death_signal = SIGKILL,
    };
    pid_t pid = -1;
    assert_true(process_start(&options, &pid, &error));
    close(output[1]);
    char bytes[512];
    for (ssize_t got; (got = read(output[0], bytes, sizeof bytes)) > 0;)
        assert_true(buffer_append(out_text, bytes, (size_t)got, &error));
    close(output[0]);
    int status = -1;
    assert_true(process_wait(pid, -1, &status));
    return status;
}

static void a_child_has_only_the_descriptors_it_is_given(void **state)
{
    (void)state;
    /* Not O_CLOEXEC on purpose: what a careless library might have open. */
    int leak = open("/dev/zero", O_RDONLY);
    assert_true(leak >= 0);
    CLEANUP(buffer_finish) struct buffer text = BUFFER_WITH_MAX(1000);
    int status = run_script("for fd in 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19; do "
                            "[ -e /proc/$$/fd/$fd ] && echo $fd; done; "
                            "readlink /proc/$$/fd/0; exit 3",
                            &(struct process_fd){.from = leak, .to = 7}, 1, NULL, &text);
    close(leak);
    /* The shell may hold its script's standard descriptors at 10 and above: none is ours here. */
    assert_string_equal(buffer_text(&text), "0\n1\n2\n7\n/dev/null\n");
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 3);
}

static void descriptors_may_change_places(void **state)
{
    (void)state;
    int one[2];
    int two[2];
    assert_int_equal(pipe2(one, O_CLOEXEC), 0);
    assert_int_equal(pipe2(two, O_CLOEXEC), 0);
    assert_int_equal(write(one[1], "one\n", 4), 4);
    assert_int_equal(write(two[1], "two\n", 4), 4);
    close(one[1]);
    close(two[1]);
    /* A shell names descriptors below ten only. */
    assert_true(one[0] < 10 && two[0] < 10);
    struct process_fd swapped[] = {{.from = one[0], .to = two[0]}, {.from = two[0], .to = one[0]}};
    CLEANUP(buffer_finish) struct buffer script = BUFFER_WITH_MAX(1000);
    CLEANUP(buffer_finish) struct buffer text = BUFFER_WITH_MAX(1000);
    assert_true(buffer_append_format(&script, NULL, "cat <&%d; cat <&%d", one[0], two[0]));
    run_script(buffer_text(&script), swapped, 2, NULL, &text);
    assert_string_equal(buffer_text(&text), "two\none\n");
    close(one[0]);
    close(two[0]);
}

/* Whatever numbers the copies take on their way, among them those that are still wanted. */
static void descriptors_arrive_at_any_number(void **state)
{
    (void)state;
    CLEANUP(file_closep) int zero = open("/dev/zero", O_RDONLY | O_CLOEXEC);
    CLEANUP(file_closep) int full = open("/dev/full", O_RDONLY | O_CLOEXEC);
    assert_true(zero >= 0 && full >= 0);
    for (int to = 3; to < 20; to++) {
        struct process_fd fds[] = {{.from = zero, .to = to + 1}, {.from = full, .to = to}};
        CLEANUP(buffer_finish) struct buffer script = BUFFER_WITH_MAX(1000);
        CLEANUP(buffer_finish) struct buffer text = BUFFER_WITH_MAX(1000);
        assert_true(buffer_append_format(&script, NULL, "readlink /proc/$$/fd/%d /proc/$$/fd/%d",
                                         to + 1, to));
        run_script(buffer_text(&script), fds, 2, NULL, &text);
        assert_string_equal(buffer_text(&text), "/dev/zero\n/dev/full\n");
    }
}

static void signals_of_the_parent_do_not_reach_into_the_child(void **state)
{
    (void)state;
    sigset_t blocked;
    sigset_t before;
    sigfillset(&blocked);
    pthread_sigmask(SIG_SETMASK, &blocked, &before);
    signal(SIGPIPE, SIG_IGN);
    CLEANUP(buffer_finish) struct buffer text = BUFFER_WITH_MAX(1000);
    run_script("while read name value; do case $name in Sig[BI]*) echo $name $value;; esac; "
               "done < /proc/$$/status",
               NULL, 0, NULL, &text);
    signal(SIGPIPE, SIG_DFL);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    assert_string_equal(buffer_text(&text), "SigBlk: 0000000000000000\nSigIgn: 0000000000000000\n");
}

static void the_environment_is_what_is_given(void **state)
{
    (void)state;
    CLEANUP(buffer_finish) struct buffer text = BUFFER_WITH_MAX(1000);
    const char *const environment[] = {"GIVEN=yes", NULL};
    run_script("echo $GIVEN-$HOME$TMPDIR$USER", NULL, 0, environment, &text);
    assert_string_equal(buffer_text(&text), "yes-\n");
}

static void a_program_that_cannot_be_started_says_why(void **state)
{
    (void)state;
    struct error error = {0};
    pid_t pid = -1;
    const char *const arguments[] = {"x", NULL};
    assert_false(
        process_start(&(struct process_options){.path = "/nowhere/at/all", .arguments = arguments},
                      &pid, &error));
    assert_int_equal(error.kind, ERROR_NOT_FOUND);
    assert_non_null(strstr(error.text, "/nowhere/at/all"));
    assert_false(process_start(
        &(struct process_options){.path = "/etc/passwd", .arguments = arguments}, &pid, &error));
    assert_int_equal(error.kind, ERROR_DENIED);
    /* Also where a descriptor is wanted at the number that the report would come through. */
    CLEANUP(file_closep) int zero = open("/dev/zero", O_RDONLY | O_CLOEXEC);
    for (int to = 3; to < 20; to++) {
        const struct process_fd fd = {.from = zero, .to = to};
        assert_false(process_start(
            &(struct process_options){
                .path = "/nowhere/at/all", .arguments = arguments, .fds = &fd, .fd_count = 1},
            &pid, &error));
    }
    assert_int_equal(pid, -1);
    /* Reaped: no zombie is left. */
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
}

static pid_t start_sleeper(void)
{
    struct error error = {0};
    pid_t pid = -1;
    const char *const arguments[] = {"sleep", "60", NULL};
    const struct process_options options = {
        .path = "/bin/sleep", .arguments = arguments, .death_signal = SIGTERM};
    assert_true(process_start(&options, &pid, &error));
    return pid;
}

static void a_child_can_have_a_session_of_its_own(void **state)
{
    (void)state;
    const char *const arguments[] = {"sleep", "60", NULL};
    struct process_options options = {
        .path = "/bin/sleep", .arguments = arguments, .death_signal = SIGKILL};
    struct error error = {0};
    pid_t pid = -1;
    assert_true(process_start(&options, &pid, &error));
    assert_int_equal(getsid(pid), getsid(0));
    process_kill(pid);
    options.own_session = true;
    assert_true(process_start(&options, &pid, &error));
    assert_int_equal(getsid(pid), pid);
    process_kill(pid);
}

static void a_wait_ends_in_time(void **state)
{
    (void)state;
    pid_t pid = start_sleeper();
    int status = -1;
    int64_t before_ms = clock_boot_ms();
    assert_false(process_wait(pid, 0, &status));
    assert_false(process_wait(pid, 30, &status));
    assert_in_range(clock_boot_ms() - before_ms, 30, 5000);
    assert_int_equal(status, -1);
    kill(pid, SIGINT);
    assert_true(process_wait(pid, 10000, &status));
    assert_true(WIFSIGNALED(status));
    pid = start_sleeper();
    process_kill(pid);
    assert_int_equal(kill(pid, 0), -1);
}

static void *start_and_leave(void *context)
{
    pid_t *out_pid = context;
    *out_pid = start_sleeper();
    return NULL;
}

static void a_child_dies_with_the_thread_that_started_it(void **state)
{
    (void)state;
    pthread_t thread;
    pid_t pid = -1;
    assert_int_equal(pthread_create(&thread, NULL, start_and_leave, &pid), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
    int status = -1;
    assert_true(process_wait(pid, 10000, &status));
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGTERM);
}

static void *start_many(void *context)
{
    (void)context;
    for (int i = 0; i < 10; i++) {
        CLEANUP(buffer_finish) struct buffer text = BUFFER_WITH_MAX(100);
        run_script("echo fine", NULL, 0, NULL, &text);
        assert_string_equal(buffer_text(&text), "fine\n");
    }
    return NULL;
}

/* A pipe's end that leaked into another thread's child would keep run_script's read waiting. */
static void threads_may_start_children_at_once(void **state)
{
    (void)state;
    pthread_t threads[4];
    for (size_t i = 0; i < ARRAY_COUNT(threads); i++)
        assert_int_equal(pthread_create(&threads[i], NULL, start_many, NULL), 0);
    for (size_t i = 0; i < ARRAY_COUNT(threads); i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
}

static void a_status_reads_well(void **state)
{
    (void)state;
    char text[PROCESS_STATUS_SIZE];
    process_describe_status(3 << 8, text);
    assert_string_equal(text, "exit status 3");
    process_describe_status(SIGSEGV, text);
    assert_string_equal(text, "killed by signal 11 (Segmentation fault)");
}

static void a_signal_becomes_readable(void **state)
{
    (void)state;
    struct error error = {0};
    CLEANUP(file_closep) int fd = -1;
    const int signals[] = {SIGUSR1, SIGUSR2, 0};
    assert_true(process_signals_open(signals, &fd, &error));
    struct pollfd readable = {.fd = fd, .events = POLLIN};
    assert_int_equal(poll(&readable, 1, 0), 0);
    kill(getpid(), SIGUSR2);
    assert_int_equal(poll(&readable, 1, 5000), 1);
    struct signalfd_siginfo info;
    assert_int_equal(read(fd, &info, sizeof info), sizeof info);
    assert_int_equal(info.ssi_signo, SIGUSR2);
}

static void nohup_is_heeded_and_the_end_of_children_is_not_lost(void **state)
{
    (void)state;
    struct error error = {0};
    CLEANUP(file_closep) int fd = -1;
    const int signals[] = {SIGHUP, SIGCHLD, 0};
    signal(SIGHUP, SIG_IGN);
    signal(SIGCHLD, SIG_IGN);
    assert_true(process_signals_open(signals, &fd, &error));
    kill(getpid(), SIGHUP);
    CLEANUP(buffer_finish) struct buffer text = BUFFER_WITH_MAX(100);
    int status = run_script("exit 3", NULL, 0, NULL, &text);
    assert_int_equal(WEXITSTATUS(status), 3);
    struct signalfd_siginfo info;
    assert_int_equal(read(fd, &info, sizeof info), sizeof info);
    assert_int_equal(info.ssi_signo, SIGCHLD);
    signal(SIGHUP, SIG_DFL);
}

static void a_program_knows_where_it_lies(void **state)
{
    (void)state;
    struct error error = {0};
    char folder[FILE_PATH_SIZE] = "";
    assert_true(process_program_folder(folder, sizeof folder, &error));
    assert_int_equal(folder[0], '/');
    assert_non_null(strstr(folder, "tests/unit/base"));
    assert_int_not_equal(folder[strlen(folder) - 1], '/');
    assert_false(process_program_folder(folder, 3, &error));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_child_has_only_the_descriptors_it_is_given),
        cmocka_unit_test(descriptors_may_change_places),
        cmocka_unit_test(descriptors_arrive_at_any_number),
        cmocka_unit_test(signals_of_the_parent_do_not_reach_into_the_child),
        cmocka_unit_test(the_environment_is_what_is_given),
        cmocka_unit_test(a_program_that_cannot_be_started_says_why),
        cmocka_unit_test(a_child_can_have_a_session_of_its_own),
        cmocka_unit_test(a_wait_ends_in_time),
        cmocka_unit_test(a_child_dies_with_the_thread_that_started_it),
        cmocka_unit_test(threads_may_start_children_at_once),
        cmocka_unit_test(a_status_reads_well),
        cmocka_unit_test(a_signal_becomes_readable),
        cmocka_unit_test(nohup_is_heeded_and_the_end_of_children_is_not_lost),
        cmocka_unit_test(a_program_knows_where_it_lies),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

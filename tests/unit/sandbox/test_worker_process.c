#include "sandbox/worker_process.h"

#include "base/clock.h"
#include "base/text.h"
#include "model/failure.h"
#include "sandbox/protocol.h"
#include "support/cmocka_all.h"
#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define INPUT_SIZE PROTOCOL_RANGE_SIZE_MAX

/* What the callbacks saw, and what they are to do. */
struct seen {
    uint64_t written;
    unsigned ticks;
    int64_t tick_ms;
    int64_t tick_gap_ms; /* the longest */
    double fraction;
    bool refuses_read, refuses_write, refuses_tick;
    int64_t read_takes_ms;
};

static bool read_at(void *context, uint64_t offset, void *bytes, size_t size, size_t *out_size,
                    struct error *error)
{
    struct seen *seen = context;
    assert_true(offset <= INPUT_SIZE && size <= INPUT_SIZE - offset);
    if (seen->refuses_read)
        return error_set_failure(error, ERROR_UNAVAILABLE, &FAILURE_UNREADABLE_VIDEO, "lost");
    if (seen->read_takes_ms > 0)
        usleep((useconds_t)seen->read_takes_ms * 1000);
    memset(bytes, 'v', size);
    *out_size = size;
    return true;
}

static bool write_at(void *context, uint64_t offset, const void *bytes, size_t size,
                     struct error *error)
{
    struct seen *seen = context;
    assert_true(offset <= seen->written && size > 0 && size <= PROTOCOL_RANGE_SIZE_MAX);
    assert_int_equal(((const char *)bytes)[size - 1], ((const char *)bytes)[0]);
    if (seen->refuses_write)
        return error_set(error, ERROR_TOO_LARGE, "the disk is full");
    if (offset + size > seen->written)
        seen->written = offset + size;
    return true;
}

static bool tick(void *context, const struct worker_progress *progress, struct error *error)
{
    struct seen *seen = context;
    int64_t now_ms = clock_boot_ms();
    if (seen->ticks++ > 0 && now_ms - seen->tick_ms > seen->tick_gap_ms)
        seen->tick_gap_ms = now_ms - seen->tick_ms;
    seen->tick_ms = now_ms;
    assert_true(progress->fraction >= seen->fraction && progress->fraction <= 1);
    seen->fraction = progress->fraction;
    return !seen->refuses_tick || error_set(error, ERROR_CONFLICT, "no longer ours");
}

static const struct worker_job standard_job = {
    .input_size = INPUT_SIZE,
    .output_size_max = 64 * PROTOCOL_RANGE_SIZE_MAX,
    .duration_max_ms = 10000,
    .threads = 1,
    .stall_max_ms = 20000,
    .cancel_fd = -1,
};

static enum worker_end run_in(struct worker_process *process, const char *behaviour,
                              const struct worker_job *job, struct seen *seen,
                              struct worker_result *out_result, struct error *error)
{
    struct conversion_options options = {0};
    text_copy(options.title, sizeof options.title, behaviour);
    if (text_starts_with(behaviour, "prepare") && strcmp(behaviour, "prepare_unasked") != 0)
        options.start_us = 1;
    struct worker_job ours = *job;
    ours.options = &options;
    const struct worker_callbacks callbacks = {
        .context = seen, .read_at = read_at, .write_at = write_at, .tick = tick};
    *error = (struct error){0};
    enum worker_end end = worker_process_run(process, &ours, &callbacks, out_result, error);
    /* Dead and reaped, whatever it did. */
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
    assert_int_equal(errno, ECHILD);
    assert_int_equal(error->kind == ERROR_NONE, end == WORKER_DONE);
    return end;
}

static enum worker_end run(const char *behaviour, const struct worker_job *job, struct seen *seen,
                           struct error *error)
{
    struct worker_process *process = NULL;
    struct worker_result result;
    assert_true(worker_process_open(&process, error));
    enum worker_end end = run_in(process, behaviour, job, seen, &result, error);
    worker_process_close(process);
    return end;
}

static void a_worker_that_keeps_the_rules_is_done(void **state)
{
    (void)state;
    struct error error;
    struct seen seen = {0};
    struct worker_process *process = NULL;
    struct worker_result result;
    assert_true(worker_process_open(&process, &error));
    for (int i = 0; i < 2; i++) { /* one place, one worker after another */
        assert_int_equal(run_in(process, "convert", &standard_job, &seen, &result, &error),
                         WORKER_DONE);
        assert_int_equal(seen.written, 1000);
        assert_int_equal(result.size_bytes, 1000);
        assert_int_equal(result.samples, 44100);
        assert_true(result.duration_seconds > 0.999 && result.duration_seconds < 1.001);
        seen = (struct seen){0};
    }
    worker_process_close(process);
}

static void frames_of_any_size_in_pieces_of_any_size_are_whole_again(void **state)
{
    (void)state;
    struct error error;
    struct seen seen = {0};
    assert_int_equal(run("convert_large", &standard_job, &seen, &error), WORKER_DONE);
    assert_int_equal(seen.written, 40 * PROTOCOL_RANGE_SIZE_MAX);
    seen = (struct seen){0};
    assert_int_equal(run("convert_byte_by_byte", &standard_job, &seen, &error), WORKER_DONE);
    assert_int_equal(seen.written, 4);
}

static void a_worker_may_write_before_it_takes_an_answer(void **state)
{
    (void)state;
    struct error error;
    struct seen seen = {0};
    assert_int_equal(run("convert_before_the_answer", &standard_job, &seen, &error), WORKER_DONE);
    assert_int_equal(seen.written, 8 * PROTOCOL_RANGE_SIZE_MAX);
}

static void a_worker_that_breaks_a_rule_is_broken(void **state)
{
    (void)state;
    static const char *const behaviours[] = {
        "send_unknown_type", "send_too_large_a_frame", "send_empty_write", "write_no_bytes",
        "send_short_read",   "read_past_end",          "write_with_gap",   "write_past_limit",
        "write_after_last",  "claim_wrong_size",       "claim_nothing",    "claim_too_long_sound",
        "go_back_in_time",   "ask_twice_at_once",      "send_a_job",       "send_data",
        "fail_by_itself",    "accuse_the_gateway",
    };
    for (size_t i = 0; i < ARRAY_COUNT(behaviours); i++) {
        struct error error;
        struct seen seen = {0};
        print_message("# %s\n", behaviours[i]);
        assert_int_equal(run(behaviours[i], &standard_job, &seen, &error), WORKER_BROKE);
        assert_ptr_equal(error.failure, &FAILURE_INTERNAL);
        assert_int_equal(error.kind, ERROR_INTERNAL);
        assert_true(seen.written <= standard_job.output_size_max);
    }
}

static void a_worker_that_ends_too_early_is_broken(void **state)
{
    (void)state;
    static const struct {
        const char *behaviour, *said;
    } ends[] = {
        {"crash", "signal 11"},
        {"leave", "exit status 7"},
        {"leave_in_the_middle_of_a_frame", "exit status 0"},
        {"close_and_live_on", "lives on"},
    };
    for (size_t i = 0; i < ARRAY_COUNT(ends); i++) {
        struct error error;
        struct seen seen = {0};
        assert_int_equal(run(ends[i].behaviour, &standard_job, &seen, &error), WORKER_BROKE);
        assert_ptr_equal(error.failure, &FAILURE_INTERNAL);
        assert_non_null(strstr(error.text, ends[i].said));
    }
}

static void a_worker_without_output_has_stalled_however_busy_it_is(void **state)
{
    (void)state;
    static const char *const behaviours[] = {"be_silent", "tell_progress_for_ever", "read_for_ever",
                                             "never_take_the_answer", "prepare_slowly"};
    struct worker_job job = standard_job;
    job.stall_max_ms = 600;
    for (size_t i = 0; i < ARRAY_COUNT(behaviours); i++) {
        struct error error;
        struct seen seen = {0};
        int64_t start_ms = clock_boot_ms();
        print_message("# %s\n", behaviours[i]);
        assert_int_equal(run(behaviours[i], &job, &seen, &error), WORKER_BROKE);
        assert_ptr_equal(error.failure, &FAILURE_TIMED_OUT);
        assert_in_range(clock_boot_ms() - start_ms, 600, 30000);
        assert_in_range(seen.ticks, 2, 20);
    }
}

static void preparing_is_no_stall_while_it_is_faster_than_playing(void **state)
{
    (void)state;
    struct error error;
    struct seen seen = {0};
    struct worker_job job = standard_job;
    job.stall_max_ms = 1200; /* less than all takes, and six times what one step does */
    assert_int_equal(run("prepare_and_convert", &job, &seen, &error), WORKER_DONE);
    assert_int_equal(run("prepare_for_ever", &job, &seen, &error), WORKER_BROKE);
    assert_ptr_equal(error.failure, &FAILURE_INTERNAL);
    assert_non_null(strstr(error.text, "prepared"));
}

static void what_may_be_prepared_has_an_end_also_where_the_sound_has_none(void **state)
{
    (void)state;
    struct error error;
    struct seen seen = {0};
    struct worker_job job = standard_job;
    job.duration_max_ms = 0; /* its MP3 of 16 MiB still holds five hours at most */
    assert_int_equal(run("prepare_too_much", &job, &seen, &error), WORKER_BROKE);
    assert_ptr_equal(error.failure, &FAILURE_INTERNAL);
    assert_non_null(strstr(error.text, "prepared"));
}

static void who_was_asked_for_all_of_the_sound_as_it_is_prepares_nothing(void **state)
{
    (void)state;
    struct error error;
    struct seen seen = {0};
    assert_int_equal(run("prepare_unasked", &standard_job, &seen, &error), WORKER_BROKE);
    assert_non_null(strstr(error.text, "prepared"));
}

static void time_that_our_callbacks_take_is_no_stall(void **state)
{
    (void)state;
    struct error error;
    struct seen seen = {.read_takes_ms = 2000};
    struct worker_job job = standard_job;
    job.stall_max_ms = 1200;
    assert_int_equal(run("convert", &job, &seen, &error), WORKER_DONE);
}

static void stand_still(int number)
{
    (void)number;
    usleep(1500000);
}

static void time_in_which_we_stand_still_is_no_stall(void **state)
{
    (void)state;
    struct error error;
    struct seen seen = {0};
    struct worker_job job = standard_job;
    /* The worker is quicker than that, but its frames come in slowly while we wait for them: the
     * signal's handler keeps us from looking, as a suspended machine would. */
    job.stall_max_ms = 1000;
    signal(SIGALRM, stand_still);
    ualarm(50000, 0);
    enum worker_end end = run("convert_byte_by_byte", &job, &seen, &error);
    signal(SIGALRM, SIG_DFL);
    assert_int_equal(end, WORKER_DONE);
}

static void the_deadline_ends_even_a_worker_that_works(void **state)
{
    (void)state;
    struct error error;
    struct seen seen = {0};
    struct worker_job job = standard_job;
    job.deadline_ms = 2000;
    assert_int_equal(run("write_for_ever", &job, &seen, &error), WORKER_BROKE);
    assert_ptr_equal(error.failure, &FAILURE_TIMED_OUT);
    assert_true(seen.written > 0);
}

static void what_the_input_is_accused_of_is_handed_on_cleaned(void **state)
{
    (void)state;
    struct error error;
    struct seen seen = {0};
    assert_int_equal(run("find_no_audio", &standard_job, &seen, &error), WORKER_REFUSED);
    assert_ptr_equal(error.failure, &FAILURE_NO_AUDIO);
    assert_int_equal(error.kind, ERROR_BAD_INPUT);
    assert_non_null(strstr(error.text, "none"));
    assert_null(strchr(error.text, '\x1b'));
}

static void a_callback_that_fails_ends_the_run_with_its_own_error(void **state)
{
    (void)state;
    struct error error;
    struct seen seen = {.refuses_read = true};
    assert_int_equal(run("convert", &standard_job, &seen, &error), WORKER_CALLBACK);
    assert_ptr_equal(error.failure, &FAILURE_UNREADABLE_VIDEO);
    assert_string_equal(error.text, "lost");
    seen = (struct seen){.refuses_write = true};
    assert_int_equal(run("convert", &standard_job, &seen, &error), WORKER_CALLBACK);
    assert_string_equal(error.text, "the disk is full");
    seen = (struct seen){.refuses_tick = true};
    assert_int_equal(run("be_silent", &standard_job, &seen, &error), WORKER_STOPPED);
    assert_string_equal(error.text, "no longer ours");
}

static void a_readable_cancel_fd_stops_at_once(void **state)
{
    (void)state;
    static const char *const behaviours[] = {"be_silent", "tell_progress_for_ever",
                                             "never_take_the_answer"};
    for (size_t i = 0; i < ARRAY_COUNT(behaviours); i++) {
        struct error error;
        struct seen seen = {0};
        struct worker_job job = standard_job;
        int ends[2];
        assert_int_equal(pipe(ends), 0);
        assert_int_equal(write(ends[1], "x", 1), 1);
        job.cancel_fd = ends[0];
        int64_t start_ms = clock_boot_ms();
        assert_int_equal(run(behaviours[i], &job, &seen, &error), WORKER_STOPPED);
        assert_in_range(clock_boot_ms() - start_ms, 0, 10000);
        char byte;
        assert_int_equal(read(ends[0], &byte, 1), 1); /* it was only looked at */
        close(ends[0]);
        close(ends[1]);
    }
}

static pid_t find_child(void)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/self/task/%d/children", (int)getpid());
    FILE *file = fopen(path, "re");
    if (file == NULL)
        return 0; /* a kernel without this list */
    char line[32] = "";
    char *got = fgets(line, sizeof line, file);
    fclose(file);
    uint64_t pid = 0;
    line[strcspn(line, " ")] = '\0';
    return got != NULL && text_parse_count(line, INT32_MAX, &pid, NULL) ? (pid_t)pid : 0;
}

static void a_waiting_worker_is_used_and_a_dead_one_replaced(void **state)
{
    (void)state;
    struct error error = {0};
    struct seen seen = {0};
    struct worker_process *process = NULL;
    struct worker_result result;
    assert_true(worker_process_open(&process, &error));
    assert_true(worker_process_prepare(process, &error));
    pid_t pid = find_child();
    assert_true(worker_process_prepare(process, &error)); /* there is one */
    assert_int_equal(find_child(), pid);
    if (pid != 0) {
        kill(pid, SIGKILL);
        siginfo_t information;
        waitid(P_PID, (id_t)pid, &information, WEXITED | WNOWAIT);
    }
    assert_int_equal(run_in(process, "convert", &standard_job, &seen, &result, &error),
                     WORKER_DONE);
    assert_true(worker_process_prepare(process, &error));
    worker_process_close(process); /* and ends one that waits */
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
    worker_process_close(NULL);
}

static unsigned count_descriptors(void)
{
    DIR *folder = opendir("/proc/self/fd");
    unsigned count = 0;
    while (readdir(folder) != NULL)
        count++;
    closedir(folder);
    return count;
}

static void no_descriptor_is_left(void **state)
{
    (void)state;
    struct error error;
    struct seen seen = {0};
    unsigned before = count_descriptors();
    run("convert", &standard_job, &seen, &error);
    run("crash", &standard_job, &seen, &error);
    assert_int_equal(count_descriptors(), before);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_worker_that_keeps_the_rules_is_done),
        cmocka_unit_test(frames_of_any_size_in_pieces_of_any_size_are_whole_again),
        cmocka_unit_test(a_worker_may_write_before_it_takes_an_answer),
        cmocka_unit_test(a_worker_that_breaks_a_rule_is_broken),
        cmocka_unit_test(a_worker_that_ends_too_early_is_broken),
        cmocka_unit_test(a_worker_without_output_has_stalled_however_busy_it_is),
        cmocka_unit_test(preparing_is_no_stall_while_it_is_faster_than_playing),
        cmocka_unit_test(what_may_be_prepared_has_an_end_also_where_the_sound_has_none),
        cmocka_unit_test(who_was_asked_for_all_of_the_sound_as_it_is_prepares_nothing),
        cmocka_unit_test(time_that_our_callbacks_take_is_no_stall),
        cmocka_unit_test(time_in_which_we_stand_still_is_no_stall),
        cmocka_unit_test(the_deadline_ends_even_a_worker_that_works),
        cmocka_unit_test(what_the_input_is_accused_of_is_handed_on_cleaned),
        cmocka_unit_test(a_callback_that_fails_ends_the_run_with_its_own_error),
        cmocka_unit_test(a_readable_cancel_fd_stops_at_once),
        cmocka_unit_test(a_waiting_worker_is_used_and_a_dead_one_replaced),
        cmocka_unit_test(no_descriptor_is_left),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* The promises of stores/job_queue/job_queue.h. */

#include "stores/job_queue/job_queue.h"

#include "base/clock.h"
#include "contract.h"
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define WAKE_MS_MAX 50

static const char *backend_name;

static enum job_queue_verdict drop(void *context, const struct job_queue_letter *letter)
{
    (void)context;
    (void)letter;
    return JOB_QUEUE_DROP;
}

/* A broker keeps what the test before has left. */
static void empty(const struct config *config, enum job_queue_name name)
{
    CLEANUP(job_queue_closep) struct job_queue *queue = NULL;
    const struct job_delivery *delivery = NULL;
    assert_true(job_queue_open(config, name, &queue, NULL));
    do {
        assert_true(job_queue_take(queue, 0, -1, &delivery, NULL));
    } while (delivery != NULL && job_queue_ack(queue, NULL));
    assert_true(job_queue_browse_dead(queue, SIZE_MAX, drop, NULL, NULL));
}

static int set_up(void **state)
{
    static struct contract contract;
    contract_init(&contract, "stores.queue", backend_name);
    struct error error = {0};
    if (!job_queue_migrate(contract.config, &error))
        fail_msg("%s", error.text);
    empty(contract.config, JOB_QUEUE_VIDEO);
    empty(contract.config, JOB_QUEUE_MP3);
    *state = &contract;
    return 0;
}

static int tear_down(void **state)
{
    contract_finish(*state);
    return 0;
}

static struct job_queue *open_queue(struct contract *contract, enum job_queue_name name)
{
    struct job_queue *queue = NULL;
    struct error error = {0};
    if (!job_queue_open(contract->config, name, &queue, &error))
        fail_msg("%s", error.text);
    return queue;
}

static bool publish(struct job_queue *queue, const char *body)
{
    const struct job_message message = {
        .body = body, .body_size = strlen(body), .message_id = "66f0aabbccddeeff00112233"};
    return job_queue_publish(queue, &message, 1000, NULL);
}

static const struct job_delivery *take(struct job_queue *queue, int timeout_ms)
{
    const struct job_delivery *delivery = NULL;
    struct error error = {0};
    if (!job_queue_take(queue, timeout_ms, -1, &delivery, &error))
        fail_msg("%s", error.text);
    return delivery;
}

static void messages_arrive_whole_and_in_order(void **state)
{
    CLEANUP(job_queue_closep) struct job_queue *queue = open_queue(*state, JOB_QUEUE_VIDEO);
    assert_true(job_queue_check(queue, NULL));
    const struct job_message message = {.body = "first",
                                        .body_size = 5,
                                        .message_id = "66f0aabbccddeeff00112233",
                                        .traceparent = "00-aa-bb-01"};
    assert_true(job_queue_publish(queue, &message, 1000, NULL));
    assert_true(publish(queue, "second"));
    uint64_t length = 0;
    assert_true(job_queue_length(queue, &length, NULL));
    assert_int_equal(length, 2);

    const struct job_delivery *delivery = take(queue, 0);
    assert_non_null(delivery);
    assert_string_equal(buffer_text(&delivery->body), "first");
    assert_string_equal(delivery->message_id, "66f0aabbccddeeff00112233");
    assert_string_equal(delivery->traceparent, "00-aa-bb-01");
    assert_true(job_queue_ack(queue, NULL));
    assert_string_equal(buffer_text(&take(queue, 0)->body), "second");
    assert_true(job_queue_ack(queue, NULL));
    assert_null(take(queue, 0));
}

static void the_two_queues_do_not_mix(void **state)
{
    CLEANUP(job_queue_closep) struct job_queue *video = open_queue(*state, JOB_QUEUE_VIDEO);
    CLEANUP(job_queue_closep) struct job_queue *mp3 = open_queue(*state, JOB_QUEUE_MP3);
    assert_true(publish(video, "for video"));
    assert_null(take(mp3, 0));
    assert_non_null(take(video, 0));
}

static void what_is_not_acked_comes_back(void **state)
{
    struct job_queue *first = open_queue(*state, JOB_QUEUE_VIDEO);
    CLEANUP(job_queue_closep) struct job_queue *second = open_queue(*state, JOB_QUEUE_VIDEO);
    assert_true(publish(first, "job"));
    assert_non_null(take(first, 0));
    assert_null(take(second, 0)); /* taken, and its taker lives */
    job_queue_close(first);
    assert_non_null(take(second, 0));
    assert_true(job_queue_ack(second, NULL));
    assert_null(take(second, 0));
}

static void what_a_killed_taker_held_comes_back(void **state)
{
    CLEANUP(job_queue_closep) struct job_queue *queue = open_queue(*state, JOB_QUEUE_VIDEO);
    assert_true(publish(queue, "job"));
    int ready[2];
    assert_int_equal(pipe(ready), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        struct job_queue *taker = open_queue(*state, JOB_QUEUE_VIDEO);
        char answer = take(taker, 0) != NULL ? 'y' : 'n';
        if (write(ready[1], &answer, 1) != 1)
            _exit(1);
        pause();
        _exit(1);
    }
    char answer = 0;
    assert_int_equal(read(ready[0], &answer, 1), 1);
    assert_int_equal(answer, 'y');
    assert_null(take(queue, 0));
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    assert_non_null(take(queue, 2000));
    close(ready[0]);
    close(ready[1]);
}

struct publication {
    struct contract *contract;
    int64_t confirmed_ms;
};

static void *publish_later(void *context)
{
    struct publication *publication = context;
    struct job_queue *queue = open_queue(publication->contract, JOB_QUEUE_VIDEO);
    usleep(100 * 1000); /* until the other waits */
    assert_true(publish(queue, "wake up"));
    publication->confirmed_ms = clock_boot_ms(); /* how long that took is no matter of who waits */
    job_queue_close(queue);
    return NULL;
}

static void a_publication_wakes_who_waits(void **state)
{
    CLEANUP(job_queue_closep) struct job_queue *queue = open_queue(*state, JOB_QUEUE_VIDEO);
    int64_t best_ms = INT64_MAX; /* of ten at most: a shared machine stands still at times */
    for (int round = 0; round < 10 && best_ms > WAKE_MS_MAX; round++) {
        struct publication publication = {.contract = *state};
        pthread_t thread;
        assert_int_equal(pthread_create(&thread, NULL, publish_later, &publication), 0);
        const struct job_delivery *delivery = take(queue, 10000);
        int64_t taken_ms = clock_boot_ms();
        pthread_join(thread, NULL);
        assert_non_null(delivery);
        assert_true(job_queue_ack(queue, NULL));
        int64_t waited_ms = taken_ms - publication.confirmed_ms;
        waited_ms = waited_ms > 0 ? waited_ms : 0;
        best_ms = waited_ms < best_ms ? waited_ms : best_ms;
    }
    assert_in_range(best_ms, 0, WAKE_MS_MAX);
}

static void a_wait_ends_when_it_is_interrupted(void **state)
{
    CLEANUP(job_queue_closep) struct job_queue *queue = open_queue(*state, JOB_QUEUE_VIDEO);
    int pipe_fds[2];
    assert_int_equal(pipe(pipe_fds), 0);
    assert_int_equal(write(pipe_fds[1], "x", 1), 1);
    const struct job_delivery *delivery = NULL;
    int64_t start_ms = clock_boot_ms();
    assert_true(job_queue_take(queue, 10000, pipe_fds[0], &delivery, NULL));
    assert_null(delivery);
    assert_in_range(clock_boot_ms() - start_ms, 0, 5000);
    close(pipe_fds[0]);
    close(pipe_fds[1]);
}

static enum job_queue_verdict look_at_letter(void *context, const struct job_queue_letter *letter)
{
    char *seen = context;
    snprintf(seen + strlen(seen), 256 - strlen(seen), "%.*s:%s;", (int)letter->body_size,
             (const char *)letter->body, letter->reason);
    return strcmp(letter->reason, "drop me") == 0 ? JOB_QUEUE_DROP : JOB_QUEUE_KEEP;
}

static void what_is_buried_is_kept_with_its_reason(void **state)
{
    CLEANUP(job_queue_closep) struct job_queue *queue = open_queue(*state, JOB_QUEUE_MP3);
    assert_true(publish(queue, "bad one"));
    assert_true(publish(queue, "bad two"));
    assert_non_null(take(queue, 0));
    assert_true(job_queue_bury(queue, "not JSON", NULL));
    assert_non_null(take(queue, 0));
    assert_true(job_queue_bury(queue, "drop me", NULL));
    assert_null(take(queue, 0));

    char seen[256] = "";
    assert_true(job_queue_browse_dead(queue, 10, look_at_letter, seen, NULL));
    assert_string_equal(seen, "bad one:not JSON;bad two:drop me;");
    seen[0] = '\0';
    assert_true(job_queue_browse_dead(queue, 10, look_at_letter, seen, NULL));
    assert_string_equal(seen, "bad one:not JSON;");
}

static void a_message_too_long_is_refused(void **state)
{
    CLEANUP(job_queue_closep) struct job_queue *queue = open_queue(*state, JOB_QUEUE_VIDEO);
    static char body[MESSAGE_SIZE_MAX + 1];
    struct error error = {0};
    const struct job_message message = {.body = body, .body_size = sizeof body};
    assert_false(job_queue_publish(queue, &message, 1000, &error));
    assert_int_equal(error.kind, ERROR_BAD_INPUT);
}

/* A message that kills whoever takes it must not go round for ever. */
static void what_comes_back_too_often_is_buried(void **state)
{
    CLEANUP(job_queue_closep) struct job_queue *queue = open_queue(*state, JOB_QUEUE_VIDEO);
    assert_true(publish(queue, "poison"));
    int deliveries = 0;
    while (take(queue, 0) != NULL && deliveries < 100)
        deliveries++;
    assert_int_equal(deliveries, 20);
    char seen[256] = "";
    assert_true(job_queue_browse_dead(queue, 10, look_at_letter, seen, NULL));
    assert_true(strncmp(seen, "poison:", 7) == 0);
}

/* Four processes empty one queue: each message goes to exactly one of them. */
static void racing_takers_share_the_messages(void **state)
{
    enum { TAKERS = 4, MESSAGES = 60 };
    struct job_queue *queue = open_queue(*state, JOB_QUEUE_VIDEO);
    for (int i = 0; i < MESSAGES; i++)
        assert_true(publish(queue, "job"));
    job_queue_close(queue);
    pid_t children[TAKERS];
    for (int i = 0; i < TAKERS; i++) {
        children[i] = fork();
        assert_true(children[i] >= 0);
        if (children[i] != 0)
            continue;
        struct job_queue *taker = open_queue(*state, JOB_QUEUE_VIDEO);
        int taken = 0;
        while (take(taker, 100) != NULL) {
            if (!job_queue_ack(taker, NULL))
                _exit(200);
            taken++;
        }
        _exit(taken);
    }
    int taken = 0;
    for (int i = 0; i < TAKERS; i++) {
        int status = 0;
        assert_int_equal(waitpid(children[i], &status, 0), children[i]);
        assert_true(WIFEXITED(status));
        taken += WEXITSTATUS(status);
    }
    assert_int_equal(taken, MESSAGES);
}

int main(int argc, char **argv)
{
    if (argc != 2)
        return 2;
    backend_name = argv[1];
    if (!contract_is_possible(backend_name))
        return 0;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(messages_arrive_whole_and_in_order, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_two_queues_do_not_mix, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_is_not_acked_comes_back, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_a_killed_taker_held_comes_back, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_publication_wakes_who_waits, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_wait_ends_when_it_is_interrupted, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_is_buried_is_kept_with_its_reason, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_message_too_long_is_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_comes_back_too_often_is_buried, set_up, tear_down),
        cmocka_unit_test_setup_teardown(racing_takers_share_the_messages, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

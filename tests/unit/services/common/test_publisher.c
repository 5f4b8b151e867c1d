/* The publisher's thread before a queue that is a script: that it keeps the order and its bounds,
 * and that nobody waits for a queue that does not answer. */

#include "services/common/publisher.h"

#include "base/clock.h"
#include "model/message.h"
#include "support/cmocka_all.h"
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

static struct {
    pthread_mutex_t lock;
    pthread_cond_t changed;

    /* Guarded by lock. */
    bool is_stuck; /* a publication waits until this is false … */
    bool is_down;  /* … and then fails */
    size_t tries, sent;
    int open;       /* handles */
    int timeout_ms; /* that the last try was given */
    struct id last_id;
    char traceparent[CONVERSION_TRACE_SIZE]; /* of the last; "none" where there was none */
    bool is_in_order;
} world = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};

/* ---- The queue ---- */

bool job_queue_open(const struct config *config, enum job_queue_name name,
                    struct job_queue **out_queue, struct error *error)
{
    (void)config;
    (void)name;
    (void)error;
    pthread_mutex_lock(&world.lock);
    world.open++;
    pthread_mutex_unlock(&world.lock);
    *out_queue = (struct job_queue *)&world;
    return true;
}

void job_queue_close(struct job_queue *queue)
{
    pthread_mutex_lock(&world.lock);
    world.open -= queue != NULL;
    pthread_cond_broadcast(&world.changed);
    pthread_mutex_unlock(&world.lock);
}

const char *job_queue_name_text(enum job_queue_name name)
{
    (void)name;
    return "video";
}

static void take_down(const struct job_message *message)
{
    struct message read;
    struct error error = {0};
    if (!message_parse(message->body, message->body_size, &read, &error))
        fail_msg("%s", error.text);
    assert_string_equal(message->message_id, read.conversion_id.text);
    assert_string_equal(read.username, "anna@example.org");
    world.is_in_order =
        world.is_in_order && strcmp(world.last_id.text, read.conversion_id.text) < 0;
    world.last_id = read.conversion_id;
    snprintf(world.traceparent, sizeof world.traceparent, "%s",
             message->traceparent == NULL ? "none" : message->traceparent);
    world.sent++;
}

bool job_queue_publish(struct job_queue *queue, const struct job_message *message, int timeout_ms,
                       struct error *error)
{
    (void)queue;
    pthread_mutex_lock(&world.lock);
    world.tries++;
    world.timeout_ms = timeout_ms;
    pthread_cond_broadcast(&world.changed);
    while (world.is_stuck)
        pthread_cond_wait(&world.changed, &world.lock);
    bool is_down = world.is_down;
    if (!is_down)
        take_down(message);
    pthread_mutex_unlock(&world.lock);
    return !is_down || error_set(error, ERROR_UNAVAILABLE, "no broker");
}

/* ---- The scene ---- */

static void scene_reset(bool is_stuck, bool is_down)
{
    pthread_mutex_lock(&world.lock);
    world.is_stuck = is_stuck;
    world.is_down = is_down;
    world.tries = world.sent = 0;
    world.last_id = (struct id){""};
    world.is_in_order = true;
    pthread_mutex_unlock(&world.lock);
}

static struct publisher *open_publisher(void)
{
    struct publisher *publisher = NULL;
    assert_true(publisher_open(NULL, JOB_QUEUE_VIDEO, &publisher, NULL));
    return publisher;
}

static void send(struct publisher *publisher, int number, const char *traceparent)
{
    struct conversion record = {.owner.email = "anna@example.org"};
    snprintf(record.id.text, sizeof record.id.text, "%024d", number);
    snprintf(record.trace.parent, sizeof record.trace.parent, "%s", traceparent);
    publisher_send(publisher, &record);
}

static void wait_for_try(size_t count)
{
    pthread_mutex_lock(&world.lock);
    while (world.tries < count)
        pthread_cond_wait(&world.changed, &world.lock);
    pthread_mutex_unlock(&world.lock);
}

static void unstick(void)
{
    pthread_mutex_lock(&world.lock);
    world.is_stuck = false;
    pthread_cond_broadcast(&world.changed);
    pthread_mutex_unlock(&world.lock);
}

static void what_is_sent_arrives_in_order(void **state)
{
    (void)state;
    scene_reset(false, false);
    struct publisher *publisher = open_publisher();
    send(publisher, 1, "");
    wait_for_try(1);
    assert_string_equal(world.traceparent, "none");
    for (int i = 2; i <= 50; i++)
        send(publisher, i, "00-aa-bb-01");
    publisher_close(publisher, 10000);
    assert_int_equal(world.sent, 50);
    assert_true(world.is_in_order);
    assert_string_equal(world.traceparent, "00-aa-bb-01");
    assert_in_range(world.timeout_ms, 1, PUBLISHER_TIMEOUT_MS);
}

static void what_does_not_fit_is_left_and_nobody_waits(void **state)
{
    (void)state;
    scene_reset(true, false);
    struct publisher *publisher = open_publisher();
    send(publisher, 1, "");
    wait_for_try(1); /* it is no longer among those that wait */
    for (int i = 2; i <= PUBLISHER_WAITING_MAX + 100; i++)
        send(publisher, i, "");
    assert_int_equal(world.sent, 0);
    unstick();
    publisher_close(publisher, 60000);
    assert_int_equal(world.sent, 1 + PUBLISHER_WAITING_MAX);
    assert_true(world.is_in_order);
}

static void what_fails_is_not_tried_again(void **state)
{
    (void)state;
    scene_reset(false, true);
    struct publisher *publisher = open_publisher();
    for (int i = 1; i <= 3; i++)
        send(publisher, i, "");
    publisher_close(publisher, 10000);
    assert_int_equal(world.tries, 3);
}

static void *unstick_later(void *context)
{
    nanosleep(&(struct timespec){.tv_nsec = 300000000}, NULL);
    unstick();
    return context;
}

static void an_end_waits_for_the_one_that_runs_alone(void **state)
{
    (void)state;
    scene_reset(true, false);
    struct publisher *publisher = open_publisher();
    for (int i = 1; i <= 10; i++)
        send(publisher, i, "");
    wait_for_try(1);
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, unstick_later, NULL), 0);
    publisher_close(publisher, 0);
    pthread_join(thread, NULL);
    assert_int_equal(world.tries, 1);
    assert_int_equal(world.sent, 1);
}

/* Again and again: it may not wait yet when the first minute goes by. */
static void let_it_rest(void)
{
    int open;
    do {
        clock_advance_ms(CLOCK_MINUTE_MS);
        nanosleep(&(struct timespec){.tv_nsec = 20000000}, NULL);
        pthread_mutex_lock(&world.lock);
        open = world.open;
        pthread_mutex_unlock(&world.lock);
    } while (open != 0);
}

static void a_queue_that_nothing_is_sent_to_rests(void **state)
{
    (void)state;
    scene_reset(false, false);
    struct publisher *publisher = open_publisher();
    for (int i = 1; i <= 2; i++) {
        send(publisher, i, "");
        wait_for_try((size_t)i);
        assert_int_equal(world.open, 1);
        let_it_rest();
    }
    publisher_close(publisher, 10000);
    assert_int_equal(world.sent, 2);
    assert_int_equal(world.open, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_sent_arrives_in_order),
        cmocka_unit_test(what_does_not_fit_is_left_and_nobody_waits),
        cmocka_unit_test(what_fails_is_not_tried_again),
        cmocka_unit_test(an_end_waits_for_the_one_that_runs_alone),
        cmocka_unit_test(a_queue_that_nothing_is_sent_to_rests),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

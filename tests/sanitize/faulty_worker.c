/* A worker that makes the mistake which its job's title names, in the place of tapedeck-worker and
 * confined as that is: what the sanitizers have to notice there, or their silence says nothing. */

#include "base/compiler.h"
#include "sandbox/confine.h"
#include "sandbox/worker_channel.h"
#include <limits.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define CHANNEL_FD 3
#define FD_COUNT 4

/* Not known to the compiler, which would warn of the mistakes, or leave them out. */
static volatile size_t some = 16;
static unsigned char *volatile kept;
static int counted;

static void *count(void *context)
{
    (void)context;
    for (size_t i = 0; i < 1000; i++)
        counted++;
    return NULL;
}

static void race(void)
{
    pthread_t threads[2];
    for (size_t i = 0; i < ARRAY_COUNT(threads); i++)
        if (pthread_create(&threads[i], NULL, count, NULL) != 0)
            abort();
    for (size_t i = 0; i < ARRAY_COUNT(threads); i++)
        pthread_join(threads[i], NULL);
}

static void read_past_the_end(void)
{
    kept = calloc(some, 1);
    counted = kept[some];
    free(kept);
}

static void use_what_was_freed(void)
{
    unsigned char *freed = calloc(some, 1);
    kept = freed;
    free(kept);
    counted = kept[some / 2];
}

static void overflow(void)
{
    counted = INT_MAX - (int)some + 1;
    counted += (int)some;
}

static void leak(void)
{
    for (size_t i = 0; i < 10; i++) {
        kept = calloc(some, 1);
        counted += kept[0];
    }
    kept = NULL;
}

static void do_nothing(void)
{
}

static const struct {
    const char *name;
    void (*make)(void);
} mistakes[] = {
    {"none", do_nothing},
    {"race", race},
    {"read past the end", read_past_the_end},
    {"use after free", use_what_was_freed},
    {"overflow", overflow},
    {"leak", leak},
};

int main(void)
{
    struct worker_channel *channel = NULL;
    struct protocol_job job = {0};
    struct error error = {0};
    bool is_closed;
    worker_channel_open(CHANNEL_FD, &channel);
    if (!confine_process(FD_COUNT, &error) ||
        !worker_channel_receive_job(channel, &job, &is_closed, &error))
        return EXIT_FAILURE;
    for (size_t i = 0; i < ARRAY_COUNT(mistakes); i++)
        if (strcmp(job.options.title, mistakes[i].name) == 0)
            mistakes[i].make();
    error_set(&error, ERROR_INTERNAL, "made its mistake");
    bool is_sent = worker_channel_send_failure(channel, &error, NULL);
    worker_channel_close(channel);
    return is_sent ? EXIT_SUCCESS : EXIT_FAILURE;
}

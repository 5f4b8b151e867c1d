#include "net/background.h"

#include "base/clock.h"
#include "base/condition.h"
#include <pthread.h>
#include <stdlib.h>

struct background {
    /* Set by background_open(), then read-only. */
    void (*run)(void *context);
    void *context;
    pthread_t thread;

    pthread_mutex_t lock;
    pthread_cond_t changed;

    /* Guarded by lock. */
    bool is_asked; /* until it is done */
    int64_t asked_ms;
    bool is_closing;
};

static void *work(void *context)
{
    struct background *background = context;
    pthread_mutex_lock(&background->lock);
    for (;;) {
        while (!background->is_asked && !background->is_closing)
            pthread_cond_wait(&background->changed, &background->lock);
        if (background->is_closing)
            break;
        pthread_mutex_unlock(&background->lock);
        background->run(background->context);
        pthread_mutex_lock(&background->lock);
        background->is_asked = false;
        pthread_cond_broadcast(&background->changed);
    }
    pthread_mutex_unlock(&background->lock);
    return NULL;
}

struct background *background_open(void (*run)(void *context), void *context)
{
    struct background *background = calloc(1, sizeof *background);
    if (background == NULL)
        abort();
    background->run = run;
    background->context = context;
    pthread_mutex_init(&background->lock, NULL);
    condition_init(&background->changed);
    if (pthread_create(&background->thread, NULL, work, background) != 0)
        abort();
    return background;
}

void background_ask(struct background *background)
{
    pthread_mutex_lock(&background->lock);
    if (!background->is_asked) {
        background->is_asked = true;
        background->asked_ms = clock_boot_ms();
        pthread_cond_broadcast(&background->changed);
    }
    pthread_mutex_unlock(&background->lock);
}

bool background_wait(struct background *background, int64_t wait_ms)
{
    pthread_mutex_lock(&background->lock);
    int64_t left_ms = background->asked_ms + wait_ms - clock_boot_ms();
    const struct timespec end = condition_deadline(left_ms > 0 ? left_ms : 0);
    int waited = 0;
    while (background->is_asked && waited == 0)
        waited = pthread_cond_timedwait(&background->changed, &background->lock, &end);
    bool is_done = !background->is_asked;
    pthread_mutex_unlock(&background->lock);
    return is_done;
}

void background_close(struct background *background)
{
    if (background == NULL)
        return;
    condition_raise(&background->changed, &background->lock, &background->is_closing);
    pthread_join(background->thread, NULL);
    pthread_cond_destroy(&background->changed);
    pthread_mutex_destroy(&background->lock);
    free(background);
}

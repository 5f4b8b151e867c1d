#include "net/http_pool.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct queue {
    struct http_task *first, *last;
};

struct worker {
    struct http_pool *pool;
    int number;
    pthread_t thread;
    pthread_cond_t wake;

    /* Guarded by the pool's lock. */
    struct queue own;
    bool is_idle;
    bool took_own; /* last time: own and shared tasks take turns */
};

struct http_pool {
    /* Set by http_pool_open(), then read-only. */
    struct http_pool_options options;
    struct worker *workers; /* owned */

    /* Guarded by lock. */
    pthread_mutex_t lock;
    pthread_cond_t opened;
    struct queue shared;
    unsigned opened_count, failed_count;
    struct error open_error; /* of the first thread that could not be opened */
    bool is_closing;
};

static void queue_push(struct queue *queue, struct http_task *task)
{
    task->next = NULL;
    if (queue->last != NULL)
        queue->last->next = task;
    else
        queue->first = task;
    queue->last = task;
}

static struct http_task *queue_take(struct queue *queue)
{
    struct http_task *task = queue->first;
    if (task == NULL)
        return NULL;
    queue->first = task->next;
    if (queue->first == NULL)
        queue->last = NULL;
    return task;
}

static struct http_task *worker_take(struct worker *worker)
{
    struct queue *shared = &worker->pool->shared;
    bool own_first = !worker->took_own;
    struct http_task *task = queue_take(own_first ? &worker->own : shared);
    worker->took_own = own_first == (task != NULL);
    return task != NULL ? task : queue_take(own_first ? shared : &worker->own);
}

static void worker_run(struct worker *worker, void *thread_state)
{
    struct http_pool *pool = worker->pool;
    pthread_mutex_lock(&pool->lock);
    for (;;) {
        struct http_task *task = worker_take(worker);
        if (task != NULL) {
            pthread_mutex_unlock(&pool->lock);
            bool is_again = pool->options.run(task, worker->number, thread_state);
            pthread_mutex_lock(&pool->lock);
            if (is_again)
                queue_push(&worker->own, task);
        } else if (pool->is_closing) {
            break;
        } else {
            worker->is_idle = true;
            pthread_cond_wait(&worker->wake, &pool->lock);
            worker->is_idle = false;
        }
    }
    pthread_mutex_unlock(&pool->lock);
}

static void *worker_main(void *argument)
{
    struct worker *worker = argument;
    struct http_pool *pool = worker->pool;
    char name[16];
    snprintf(name, sizeof name, "http-pool-%d", worker->number);
    pthread_setname_np(pthread_self(), name);

    void *thread_state = NULL;
    struct error error = {0};
    bool is_open = pool->options.thread_open == NULL ||
                   pool->options.thread_open(pool->options.service, &thread_state, &error);
    pthread_mutex_lock(&pool->lock);
    if (is_open) {
        pool->opened_count++;
    } else if (pool->failed_count++ == 0) {
        pool->open_error = error;
    }
    pthread_cond_signal(&pool->opened);
    pthread_mutex_unlock(&pool->lock);
    if (!is_open)
        return NULL;

    worker_run(worker, thread_state);
    if (pool->options.thread_close != NULL)
        pool->options.thread_close(pool->options.service, thread_state);
    return NULL;
}

static void join_and_free(struct http_pool *pool, unsigned started_count)
{
    pthread_mutex_lock(&pool->lock);
    pool->is_closing = true;
    for (unsigned i = 0; i < started_count; i++)
        pthread_cond_signal(&pool->workers[i].wake);
    pthread_mutex_unlock(&pool->lock);

    for (unsigned i = 0; i < started_count; i++)
        pthread_join(pool->workers[i].thread, NULL);
    for (unsigned i = 0; i < pool->options.thread_count; i++)
        pthread_cond_destroy(&pool->workers[i].wake);
    pthread_cond_destroy(&pool->opened);
    pthread_mutex_destroy(&pool->lock);
    free(pool->workers);
    free(pool);
}

bool http_pool_open(const struct http_pool_options *options, struct http_pool **out_pool,
                    struct error *error)
{
    struct http_pool *pool = calloc(1, sizeof *pool);
    struct worker *workers = calloc(options->thread_count, sizeof *workers);
    if (pool == NULL || workers == NULL)
        abort();
    pool->options = *options;
    pool->workers = workers;
    pthread_mutex_init(&pool->lock, NULL);
    pthread_cond_init(&pool->opened, NULL);

    unsigned started_count = 0;
    int failure = 0;
    for (unsigned i = 0; i < options->thread_count; i++) {
        workers[i].pool = pool;
        workers[i].number = (int)i;
        pthread_cond_init(&workers[i].wake, NULL);
        if (failure == 0)
            failure = pthread_create(&workers[i].thread, NULL, worker_main, &workers[i]);
        if (failure == 0)
            started_count++;
    }

    pthread_mutex_lock(&pool->lock);
    while (pool->opened_count + pool->failed_count < started_count)
        pthread_cond_wait(&pool->opened, &pool->lock);
    struct error open_error = pool->open_error;
    bool is_open = failure == 0 && pool->failed_count == 0;
    pthread_mutex_unlock(&pool->lock);

    if (!is_open) {
        join_and_free(pool, started_count);
        if (failure != 0)
            return error_set_errno(error, failure, "start a thread for requests");
        if (error != NULL)
            *error = open_error;
        return false;
    }
    *out_pool = pool;
    return true;
}

static struct worker *find_idle(struct http_pool *pool)
{
    for (unsigned i = 0; i < pool->options.thread_count; i++) {
        if (pool->workers[i].is_idle)
            return &pool->workers[i];
    }
    return NULL;
}

void http_pool_submit(struct http_pool *pool, struct http_task *task, int thread)
{
    pthread_mutex_lock(&pool->lock);
    struct worker *worker;
    if (thread == HTTP_POOL_ANY_THREAD) {
        queue_push(&pool->shared, task);
        worker = find_idle(pool);
    } else {
        worker = &pool->workers[thread];
        queue_push(&worker->own, task);
        if (!worker->is_idle)
            worker = NULL;
    }
    if (worker != NULL) {
        /* Not idle from here on, so that the next task wakes another. */
        worker->is_idle = false;
        pthread_cond_signal(&worker->wake);
    }
    pthread_mutex_unlock(&pool->lock);
}

void http_pool_close(struct http_pool *pool)
{
    if (pool != NULL)
        join_and_free(pool, pool->options.thread_count);
}

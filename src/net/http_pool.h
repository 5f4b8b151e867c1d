#pragma once

/* The bounded pool of threads that the server's handlers run in. Only http_*.c includes this.
 *
 * A task that is new goes to whichever thread is free first; one that was begun goes back to the
 * thread that began it, since what its handler has opened belongs to that thread. */

#include "base/error.h"

#define HTTP_POOL_ANY_THREAD (-1)

/* Embedded in what is to be run; in one queue at a time. */
struct http_task {
    struct http_task *next;
};

struct http_pool;

struct http_pool_options {
    unsigned thread_count;
    void *service;
    bool (*thread_open)(void *service, void **out_thread_state, struct error *error);
    void (*thread_close)(void *service, void *thread_state);
    /* One step of the task. True: there is more to do, after the others that wait. */
    bool (*run)(struct http_task *task, int thread, void *thread_state);
};

/* Fails where a thread or its thread_open does; every thread that was opened is closed then. */
MUST_CHECK bool http_pool_open(const struct http_pool_options *options, struct http_pool **out_pool,
                               struct error *error);
/* `thread` is the one that run() was told, or HTTP_POOL_ANY_THREAD. Never blocks. */
void http_pool_submit(struct http_pool *pool, struct http_task *task, int thread);
/* Runs what is queued, and what that submits, to its end; then closes and joins the threads. */
void http_pool_close(struct http_pool *pool);

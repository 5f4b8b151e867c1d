#pragma once

/* A real server on loopback with handlers that a test can slow down, make refuse and count, and a
 * client that writes the bytes of a request itself. */

#include "net/http_server.h"
#include "support/cmocka_all.h"
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct calls {
    atomic_int begins, ends, aborts, ticks, handles, closes, observed;
    atomic_int threads_opened, threads_closed;
    atomic_int last_status; /* of the last observation */
    atomic_ullong bytes;    /* given to body() */
    atomic_bool is_wrong;   /* bytes out of order, or a call in another thread than the first */
};

/* How the handlers behave from now on. */
struct behaviour {
    atomic_bool refuses;           /* begin() answers 401 */
    atomic_bool blocks_begin;      /* begin() waits until this is false */
    atomic_bool blocks_body;       /* body() waits until this is false */
    atomic_ullong too_large_after; /* body() answers 413 once it had more bytes; 0: never */
    atomic_bool tick_answers;      /* tick() answers 423-like */
};

extern struct calls calls;
extern struct behaviour behaviour;

/* Limits may be changed before http_fixture_open(). */
extern struct http_limits fixture_limits;
extern const char *fixture_listen;
extern struct http_server *fixture_server;

int http_fixture_open(void **state);  /* a cmocka setup */
int http_fixture_close(void **state); /* a cmocka teardown */

/* The byte at that offset of every body that is sent or received. */
char pattern_at(uint64_t offset);
void pattern_fill(char *bytes, size_t size, uint64_t offset);

/* Waits until the condition holds, failing the test after some seconds. */
#define wait_until(condition)                                                                      \
    do {                                                                                           \
        int waited_ms = 0;                                                                         \
        while (!(condition) && waited_ms < 30000) {                                                \
            sleep_ms(2);                                                                           \
            waited_ms += 2;                                                                        \
        }                                                                                          \
        if (!(condition))                                                                          \
            fail_msg("never came true: %s", #condition);                                           \
    } while (0)
void sleep_ms(int milliseconds);

int client_connect(void);
void client_send(int fd, const char *text);
void client_send_bytes(int fd, const void *bytes, size_t size);
/* Sends the pattern; false where the server no longer takes it. */
bool client_send_pattern(int fd, uint64_t offset, uint64_t size);

struct reply {
    int status;
    char head[8192];
    char *body; /* owned */
    size_t body_size;
    bool is_cut; /* the connection ended before the body did */
};

/* Reads one answer, of Content-Length or chunked. `is_head`: without a body. */
struct reply client_read(int fd, bool is_head);
void reply_free(struct reply *reply);
/* The value of a header in the answer, in a static buffer; "" where there is none. */
const char *reply_header(const struct reply *reply, const char *name);
/* True if the peer closes within some seconds without sending more. */
bool client_is_closed(int fd);
/* Sends and reads one answer on a fresh connection. */
struct reply ask(const char *request);

#pragma once

/* What http_*.c share: a request, its answer, and where the two stand between the event loop, which
 * owns the connection, and the pool, which runs the handlers. Nobody else includes this.
 *
 *   event loop (http_server.c)                     pool thread (http_exchange.c)
 *   headers checked, route found ───schedule──►    begin() or handle()
 *   bytes into the free buffer   ───schedule──►    body(); when both buffers wait for it, the
 *                                                  connection is suspended: back-pressure
 *   body complete, or client gone ──schedule──►    end() or abort()
 *   answer sent from the full    ◄───resume────    read() into the free buffer
 *   buffer; none full: suspended
 *
 * At most one pool thread runs a request, always the same one. The event loop never waits for it:
 * what it has to say it writes into the exchange under the lock. A client that goes while a handler
 * runs leaves its request behind with is_over set; the last reference frees it. */

#include "net/http_pool.h"
#include "net/http_route.h"
#include "net/http_server.h"
#include <pthread.h>
#include <stdatomic.h>

#define HTTP_PIECE_SIZE ((size_t)256 << 10)
#define HTTP_REQUEST_ID_SIZE 65
#define HTTP_ADDRESS_TEXT_SIZE 128
#define HTTP_ANSWER_HEADERS_MAX 24

enum http_answer_kind {
    HTTP_ANSWER_NONE,
    HTTP_ANSWER_BYTES, /* `bytes` is owned */
    HTTP_ANSWER_STATIC,
    HTTP_ANSWER_STREAM,
};

struct http_answer {
    enum http_answer_kind kind;
    int status;
    struct {
        char *name, *value; /* owned */
    } headers[HTTP_ANSWER_HEADERS_MAX];
    size_t header_count;
    void *owned_bytes;
    const void *bytes;
    uint64_t length; /* of any kind; HTTP_LENGTH_UNKNOWN for a stream without one */
    const struct http_body_source *source;
    void *source_state;
};

enum http_phase {
    HTTP_PHASE_HEADERS,  /* not yet complete */
    HTTP_PHASE_COLLECT,  /* a small body is being collected */
    HTTP_PHASE_DISCARD,  /* refused, but its small body is read first: the answer waits */
    HTTP_PHASE_BEGIN,    /* begin() is due or runs */
    HTTP_PHASE_OPEN,     /* an upload */
    HTTP_PHASE_HANDLE,   /* handle() is due or runs */
    HTTP_PHASE_ANSWERED, /* or, once it is over, without an answer */
};

/* One of the two buffers of an upload or a download. */
struct http_piece {
    char *bytes; /* owned, from the server's spares; NULL while nothing is in it */
    size_t size;
    size_t sent;  /* of a download */
    bool is_full; /* an upload's: the pool's turn; a download's: the event loop's turn */
};

struct http_connection; /* http_watch.h */
struct http_spares;     /* http_spares.h */
struct http_server;

struct http_request {
    struct http_task task; /* first: the pool's tasks are requests */

    /* Set before the first handler is called, then read-only. */
    struct http_server *server;
    struct http_connection *connection;
    void *transport; /* the connection as the HTTP library knows it */
    const struct http_route *route;
    struct http_target target;
    char *method;              /* owned */
    struct http_pair *headers; /* owned, as is the text that follows the array in memory */
    size_t header_count;
    bool is_head;
    bool has_body;
    bool has_length;
    bool expects_continue;
    uint64_t body_length;
    int64_t started_ms;
    char id[HTTP_REQUEST_ID_SIZE];
    char traceparent[56];
    char remote_address[HTTP_ADDRESS_TEXT_SIZE];
    char *body; /* owned: the small body, of body_received bytes and a NUL */

    /* Of the pool thread that runs the request; of the event loop before the first and after the
     * last run. */
    void *thread_state;
    void *state; /* the handler's own */
    struct http_answer answer;

    /* Of the event loop. */
    bool lingers; /* swallow what the client still sends, after the answer */

    /* Guarded by lock. */
    pthread_mutex_t lock;
    unsigned reference_count;
    enum http_phase phase;
    int thread;        /* that began it, or HTTP_POOL_ANY_THREAD */
    bool is_scheduled; /* in the pool's hands */
    bool is_suspended; /* the connection waits for the pool */
    bool is_receiving; /* the body may come: begin() let it */
    bool is_body_complete;
    uint64_t body_received, body_sent;
    bool was_sent_early; /* the answer went out by itself, in the middle of the body */
    bool is_over; /* answered, or the client went: nothing moves on the connection any more */
    bool is_tick_due;
    bool source_waits; /* read() had nothing: asked again at the watchdog's next look */
    bool source_ended, source_failed, source_closed;
    uint64_t source_offset;
    struct http_piece pieces[2];
    unsigned filling; /* the piece that the next bytes go to */
    unsigned emptying;
};

/* ---- http_request.c: making and reading one ---- */

/* One reference, the event loop's. `uri` may be malformed: http_request_set_headers() tells. */
struct http_request *http_request_create(struct http_server *server);
void http_request_unref(struct http_request *request);
struct http_request *http_request_ref(struct http_request *request);
/* Copies the headers, in order; each value without surrounding space. */
void http_request_set_headers(struct http_request *request, const struct http_pair *headers,
                              size_t count);
/* What RFC 9112 calls malformed or ambiguous, and id, length and the like from what is right.
 * ERROR_BAD_INPUT says what was wrong, in words for the client. */
MUST_CHECK bool http_request_check_headers(struct http_request *request, bool is_http_1_1,
                                           struct error *error);

/* ---- http_answer.c ---- */

/* Frees the bytes and headers. The source must have been closed. */
void http_answer_finish(struct http_answer *answer);

/* ---- http_exchange.c: the pool's side ---- */

/* A step of the request that the task is: what the pool runs. */
bool http_exchange_run(struct http_task *task, int thread, void *thread_state);
/* Gives the request to the pool if there is anything to do; the lock is held. */
void http_exchange_schedule(struct http_request *request);
/* The client is gone, or has got the whole answer. */
void http_exchange_end(struct http_request *request);
/* Bytes of an upload: takes as many as fit into the free pieces. Lock held. */
size_t http_exchange_take_bytes(struct http_request *request, const char *bytes, size_t size);
/* Bytes of the answer's stream: copies at most `size`, none where none are ready. Lock held. */
size_t http_exchange_give_bytes(struct http_request *request, char *bytes, size_t size);

/* ---- http_server.c: what the pool's side asks of the event loop's ---- */

struct http_pool *http_server_pool(struct http_server *server);
struct http_spares *http_server_spares(struct http_server *server);
const struct http_server_options *http_server_settings(const struct http_server *server);
bool http_server_is_draining(const struct http_server *server);
/* The connection goes on; the request's lock is held, is_suspended was set. */
void http_server_resume(struct http_request *request);
/* Writes the answer past the library, since that takes none in the middle of a body. */
void http_server_answer_early(struct http_request *request);

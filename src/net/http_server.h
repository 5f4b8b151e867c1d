#pragma once

/* An HTTP/1.1 server (RFC 9110, RFC 9112) for the services: a constant table of routes, handlers
 * that may block, uploads and downloads of any size in fixed memory.
 *
 * Handlers never run on the event loop but in a bounded pool of threads. All calls for one request
 * (begin, body, tick, end, abort, read, close) come one after another and in the same pool thread,
 * so that a store handle opened by thread_open() may be kept from one call to the next. A handler
 * that blocks delays only the requests that the same thread has already begun.
 *
 * Before a handler is asked, the server has refused what is malformed or ambiguous (duplicate
 * Content-Length, Transfer-Encoding beside it or in HTTP/1.0, a space before the colon, a missing
 * or second Host, control characters: 400), too large headers (431), unknown paths (404) and
 * methods (405 with Allow). Every answer carries X-Request-Id, but for what cannot be parsed at all
 * (no HTTP/1, headers over 64 KiB, broken chunks), which the library answers by itself and then
 * closes; one info line is logged for each request, without its query. */

#include "base/error.h"
#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

struct failure; /* model/failure.h */
struct http_server;
struct http_request; /* borrowed: valid until the handler's last call for it returns */

/* ---- Routes ---- */

enum http_body_kind {
    HTTP_BODY_NONE,   /* a body is 413, if it is longer than nothing */
    HTTP_BODY_SMALL,  /* collected before handle() is called; at most body_size_max, else 413 */
    HTTP_BODY_STREAM, /* handed to `upload` piece by piece */
};

typedef void http_handler(struct http_request *request);

/* The calls for one upload. After a begin() that did not answer, exactly one of end() and abort()
 * is called, once. */
struct http_upload {
    /* The headers are here, of the body nothing has been asked for: a client that sent
     * "Expect: 100-continue" still waits. Answering here refuses the upload (end and abort are
     * then not called); the client gets the answer even while it is sending. */
    http_handler *begin;
    /* The next bytes of the body, in order; up to 256 KiB. While this call is slow, the client is
     * held back. Answering here ends the upload early: abort() follows at once, the rest of the
     * body is swallowed, and the client gets the answer. */
    void (*body)(struct http_request *request, const void *bytes, size_t size);
    /* Called about every tick_interval_ms while the upload is open, whether or not bytes came:
     * those that came were given to body() before. May answer, as body(). May be NULL. */
    http_handler *tick;
    /* The body was complete: answers, and frees the state. */
    http_handler *end;
    /* The body will not be complete: the client went or stalled, the server stops, or body() or
     * tick() answered. Bytes that had arrived were given to body() before, unless it answered,
     * but for up to 64 KiB where the client went while it was held back. Frees the state; an
     * answer given here would reach nobody. */
    http_handler *abort;
};

struct http_route {
    const char *method;   /* "GET"; NULL ends the table */
    const char *path;     /* "/v1/conversions/{id}/video": {name} matches one non-empty segment */
    http_handler *handle; /* NULL for HTTP_BODY_STREAM */
    const struct http_upload *upload; /* for HTTP_BODY_STREAM */
    enum http_body_kind body;
    uint64_t body_size_max; /* of HTTP_BODY_SMALL; of a stream, begin() and body() decide */
    bool serves_head;       /* HEAD calls the same handler; the body of the answer is left out */
    bool is_quiet;          /* its requests are logged as debug: it is asked every few seconds */
};

/* ---- Server ---- */

struct http_limits {
    unsigned connections_max;  /* each needs up to 64 KiB, and 512 KiB while bytes wait in it. Near
                                  it, a new one takes the place of the one that has asked for
                                  nothing for the longest time */
    size_t header_size_max;    /* request line and headers; more is 431; at most 48 KiB */
    int64_t header_timeout_ms; /* from the connection, or the request's first byte, to the last
                                  header */
    int64_t idle_timeout_ms;   /* between two requests on one connection */
    int64_t stall_timeout_ms;  /* a body that moves less than stall_size_min bytes in this time, in
                                  either direction, is cut off; our own slowness never counts */
    uint64_t stall_size_min;
    int64_t tick_interval_ms;  /* of http_upload.tick */
    int64_t look_interval_ms;  /* how often all connections are looked at for the above, and streams
                                  that wait are asked again */
    uint64_t swallow_size_max; /* of a refused upload: read and dropped so that the client sees the
                                  answer; then the connection is cut */
};

#define HTTP_LIMITS_STANDARD                                                                       \
    ((struct http_limits){                                                                         \
        .connections_max = 2000,                                                                   \
        .header_size_max = 16384,                                                                  \
        .header_timeout_ms = 10000,                                                                \
        .idle_timeout_ms = 60000,                                                                  \
        .stall_timeout_ms = 30000,                                                                 \
        .stall_size_min = 4096,                                                                    \
        .tick_interval_ms = 5000,                                                                  \
        .look_interval_ms = 250,                                                                   \
        .swallow_size_max = UINT64_C(1) << 30,                                                     \
    })

/* What is known of a request that has ended; for metrics. */
struct http_observation {
    const char *method;
    const char *route; /* the path in the table; "" where none matched */
    int status;        /* 499: the client went before the answer */
    uint64_t received; /* bytes of the body */
    uint64_t sent;     /* bytes of the answer's body */
    int64_t duration_ms;
};

struct http_server_options {
    const char *listen; /* "127.0.0.1:8080", "[::1]:8080", "unix:/path"; port 0 picks one */
    const struct http_route *routes; /* must outlive the server, as `service` must */
    void *service;                   /* what http_request_service() gives */
    /* Called first and last in each pool thread; both or none. */
    bool (*thread_open)(void *service, void **out_thread_state, struct error *error);
    void (*thread_close)(void *service, void *thread_state);
    /* Called for each request that ended, from any thread; must not block. May be NULL. */
    void (*observe)(void *service, const struct http_observation *observation);
    unsigned thread_count;       /* of the pool; 1 at least */
    unsigned event_thread_count; /* 0: one */
    struct http_limits limits;
    bool is_quiet; /* requests are logged as debug: for probes and scrapes */
};

/* Listens and starts the threads. The signals that the caller wants to handle must be blocked
 * before. ERROR_BAD_INPUT: the address is none; ERROR_UNAVAILABLE or ERROR_DENIED: it cannot be
 * bound, or a thread_open failed. A stale socket file of unix:/path is replaced, one that somebody
 * answers on is not. */
MUST_CHECK bool http_server_open(const struct http_server_options *options,
                                 struct http_server **out_server, struct error *error);

/* The address in the form of `listen`, with the port that was picked. */
const char *http_server_address(const struct http_server *server);
unsigned http_server_connection_count(struct http_server *server);

/* Stops accepting (another process can bind the address at once), lets running requests end for at
 * most timeout_ms, and aborts the rest. Answers say "Connection: close" from here on. True: nothing
 * had to be aborted. */
bool http_server_drain(struct http_server *server, int64_t timeout_ms);

/* Drains without waiting where that was not done, calls the aborts and thread_close that are due,
 * and frees. NULL is fine. */
void http_server_close(struct http_server *server);
void http_server_closep(struct http_server **server);

/* ---- Request: everything is borrowed from it ---- */

void *http_request_service(const struct http_request *request);
void *http_request_thread(const struct http_request *request); /* what thread_open() made */

/* Owned by the handler: freed in handle(), end() or abort(), or by the close of a body source. */
void http_request_set_state(struct http_request *request, void *state);
void *http_request_state(const struct http_request *request);

bool http_request_is_head(const struct http_request *request);
const char *http_request_path(const struct http_request *request);
/* Of a {name} in the route's path: percent-decoded, never empty; not checked to be UTF-8. */
const char *http_request_path_parameter(const struct http_request *request, const char *name);
/* The first of that name, without surrounding space; NULL where there is none. */
const char *http_request_header(const struct http_request *request, const char *name);
/* The last of that name: of a header that proxies add to, the word of the nearest one. */
const char *http_request_last_header(const struct http_request *request, const char *name);
/* Of "Authorization: Bearer" (RFC 6750 §2.1); NULL where there is none. */
const char *http_request_bearer_token(const struct http_request *request);
/* Percent-decoded ("+" is a space), the first of that name; NULL where there is none. A NUL in it
 * was refused; not checked to be UTF-8. */
const char *http_request_query(const struct http_request *request, const char *name);
/* The parameter at the index, in order; false past the last. */
bool http_request_query_at(const struct http_request *request, size_t index, const char **out_name,
                           const char **out_value);
/* The body that was collected for handle(); NUL-terminated. */
const void *http_request_body(const struct http_request *request, size_t *out_size);
/* The declared Content-Length; false where none is (no body, or chunked). */
bool http_request_body_length(const struct http_request *request, uint64_t *out_length);
bool http_request_has_body(const struct http_request *request); /* a length over 0, or chunked */
const char *http_request_remote_address(const struct http_request *request); /* "unix" for those */
const char *http_request_id(const struct http_request *request);
/* The header traceparent where it is well formed (W3C Trace Context, version 00), else "". */
const char *http_request_traceparent(const struct http_request *request);

/* ---- Answer: exactly one for each request. None at all is answered with 500. ---- */

bool http_request_is_answered(const struct http_request *request);

/* Adds a header to the answer to come; both are copied. Content-Length, Connection, Date and
 * X-Request-Id are the server's. A value with control characters is left out and logged. */
void http_answer_header(struct http_request *request, const char *name, const char *value);

void http_answer_empty(struct http_request *request, int status);
/* Copied. */
void http_answer_bytes(struct http_request *request, int status, const char *content_type,
                       const void *bytes, size_t size);
void http_answer_text(struct http_request *request, int status, const char *text); /* text/plain */
/* Bytes that outlive the server, not copied. */
void http_answer_static(struct http_request *request, int status, const char *content_type,
                        const void *bytes, size_t size);
void http_answer_json(struct http_request *request, int status, const json_t *json);

/* RFC 9457 problem+json: the row's status, code, sentence and advice, and the request's id.
 * `detail` is a sentence for the client about this case; NULL: the row's. 401 gets
 * WWW-Authenticate (unless http_answer_header() set one), 429 and 503 Retry-After. */
void http_answer_failure(struct http_request *request, const struct failure *failure,
                         const char *detail);
/* The same for an error: the failure that it carries, else one by its kind. Its text is logged,
 * where the answer is 5xx, and never sent. */
void http_answer_error(struct http_request *request, const struct error *error);

enum http_read {
    HTTP_READ_MORE, /* *out_size bytes; none is the end */
    HTTP_READ_WAIT, /* nothing now: asked again after look_interval_ms, and ended when draining */
    HTTP_READ_FAIL, /* the connection is cut, so that the client sees a short body as such */
};

/* Where the bytes of a long answer come from. */
struct http_body_source {
    /* At most `size` bytes from `offset` on, counted from the answer's first byte. May block.
     * Called ahead of what is sent, by up to two buffers of 256 KiB. */
    enum http_read (*read)(struct http_request *request, void *state, uint64_t offset, void *buffer,
                           size_t size, size_t *out_size);
    /* Exactly once, even if nothing was read (HEAD, the client went). May be NULL. */
    void (*close)(struct http_request *request, void *state);
};

#define HTTP_LENGTH_UNKNOWN UINT64_MAX /* sent chunked, ends where read() says so */

/* Sends exactly `length` bytes of the source; `state` is the source's until close(). */
void http_answer_stream(struct http_request *request, int status, const char *content_type,
                        uint64_t length, const struct http_body_source *source, void *state);

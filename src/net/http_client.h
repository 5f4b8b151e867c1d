#pragma once

/* Requests to the other services, with libcurl: blocking, bounded in time and size.
 *
 * A base URL is "http://host:port", "https://host:port/path" or "unix:/path/of/the.sock". */

#include "base/buffer.h"
#include "base/error.h"
#include <stddef.h>
#include <stdint.h>

struct http_client; /* keeps its connections; one per thread */

struct http_client_options {
    const char *base_url;
    const char *ca_file;        /* NULL or "": the system's */
    int64_t connect_timeout_ms; /* 0: 3 s */
    int64_t timeout_ms;         /* of the whole call; 0: 10 s */
    size_t body_size_max;       /* of an answer; 0: 1 MiB */
};

struct http_client_call {
    const char *method; /* "GET", "POST", … */
    const char *path;   /* "/login" */
    /* "Name: value", NULL-terminated; NULL: none. X-Request-Id of this thread's log is added. */
    const char *const *headers;
    const void *body; /* NULL: none */
    size_t body_size;
};

struct http_client_answer {
    int status;
    char content_type[128]; /* "" where there is none */
    int64_t retry_after_s;  /* 0 where there is none */
    struct buffer body;     /* owned */
};

/* Before any thread uses a client; repeatable. */
void http_client_prepare(void);
/* Is it a base URL? ERROR_BAD_INPUT. */
MUST_CHECK bool http_client_check_url(const char *url, struct error *error);
/* ERROR_BAD_INPUT: the URL is none of the above. */
MUST_CHECK bool http_client_open(const struct http_client_options *options,
                                 struct http_client **out_client, struct error *error);
void http_client_close(struct http_client *client); /* NULL is fine */
void http_client_closep(struct http_client **client);

/* True once an answer came, whatever its status; no redirect is followed. ERROR_UNAVAILABLE: no
 * connection, or none in time; ERROR_TOO_LARGE: more than body_size_max. The answer is to be
 * finished where there is one. */
MUST_CHECK bool http_client_do(struct http_client *client, const struct http_client_call *call,
                               struct http_client_answer *out_answer, struct error *error);
void http_client_answer_finish(struct http_client_answer *answer); /* for CLEANUP */

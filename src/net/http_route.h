#pragma once

/* From a request's target to a row of the table of routes. Pure; only http_*.c includes this. */

#include "base/buffer.h"
#include "base/error.h"
#include "net/http_server.h"

#define HTTP_SEGMENTS_MAX 16
#define HTTP_QUERY_MAX 64

struct http_pair {
    const char *name;
    const char *value;
};

/* A request target taken apart; all text lies in `memory`. */
struct http_target {
    const char *path;                        /* as it was sent, for the log */
    const char *segments[HTTP_SEGMENTS_MAX]; /* percent-decoded; "/" is one empty segment */
    size_t segment_count;
    struct http_pair query[HTTP_QUERY_MAX]; /* percent-decoded, in order */
    size_t query_count;
    char *memory; /* owned */
};

/* Origin form ("/path?query") or absolute form ("http://host/path", whose host is not looked at).
 * ERROR_BAD_INPUT: malformed, a percent sign without two hex digits, %00, a control character, or
 * more parts than the maxima above. */
MUST_CHECK bool http_target_parse(const char *text, struct http_target *out_target,
                                  struct error *error);
void http_target_finish(struct http_target *target);

/* NULL where no row has the path (*out_is_path_known false) or none of those has the method. */
const struct http_route *http_route_find(const struct http_route *routes,
                                         const struct http_target *target, const char *method,
                                         bool *out_is_path_known);
/* The segment of the target that stands where the route's path has {name}; NULL: it has none. */
const char *http_route_parameter(const struct http_route *route, const struct http_target *target,
                                 const char *name);
/* "GET, HEAD, POST": what the rows of this path serve. */
#define HTTP_ALLOW_SIZE 80
void http_route_allow(const struct http_route *routes, const struct http_target *target,
                      char out_allow[HTTP_ALLOW_SIZE]);

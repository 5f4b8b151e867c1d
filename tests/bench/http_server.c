#include "base/log.h"
#include "base/text.h"
#include "net/http_server.h"
#include "net/multipart.h"
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What the http server itself costs: handlers that keep nothing and wait for nothing, beside an
 * nginx that does as little. Prints its address, and serves until it is interrupted:
 *
 *   PUT /discard            swallows the body
 *   POST /form              scans a multipart body, and swallows it
 *   GET /stream?size=N      N bytes by way of a pool thread
 *   GET /small              a few bytes */

struct upload {
    uint64_t size;
    struct multipart *form; /* owned; NULL for /discard */
};

static bool ignore_part(void *context, const struct multipart_part *part)
{
    (void)context, (void)part;
    return true;
}

static bool count_data(void *context, const void *bytes, size_t size)
{
    struct upload *upload = context;
    (void)bytes;
    upload->size += size;
    return true;
}

static bool ignore_end(void *context)
{
    (void)context;
    return true;
}

static const struct multipart_handler form_handler = {ignore_part, count_data, ignore_end};

static void begin(struct http_request *request)
{
    struct error error = {0};
    struct upload *upload = calloc(1, sizeof *upload);
    if (upload == NULL)
        abort();
    if (strcmp(http_request_path(request), "/form") == 0 &&
        !multipart_open(http_request_header(request, "Content-Type"), 4, &form_handler, upload,
                        &upload->form, &error)) {
        free(upload);
        http_answer_error(request, &error);
        return;
    }
    http_request_set_state(request, upload);
}

static void body(struct http_request *request, const void *bytes, size_t size)
{
    struct upload *upload = http_request_state(request);
    struct error error = {0};
    if (upload->form == NULL)
        upload->size += size;
    else if (!multipart_feed(upload->form, bytes, size, &error))
        http_answer_error(request, &error);
}

static void upload_free(struct http_request *request)
{
    struct upload *upload = http_request_state(request);
    multipart_closep(&upload->form);
    free(upload);
}

static void end(struct http_request *request)
{
    const struct upload *upload = http_request_state(request);
    char text[32];
    snprintf(text, sizeof text, "%" PRIu64 "\n", upload->size);
    http_answer_text(request, 201, text);
    upload_free(request);
}

static const struct http_upload upload = {begin, body, NULL, end, upload_free};

/* The bytes stay those of the buffer: what fills it is not what is measured. */
static enum http_read read_anything(struct http_request *request, void *state, uint64_t offset,
                                    void *buffer, size_t size, size_t *out_size)
{
    (void)request, (void)state, (void)offset;
    memset(buffer, 'x', size);
    *out_size = size;
    return HTTP_READ_MORE;
}

static const struct http_body_source anything = {read_anything, NULL};

static void stream(struct http_request *request)
{
    uint64_t size = 0;
    const char *text = http_request_query(request, "size");
    if (text == NULL || !text_parse_count(text, INT64_MAX, &size, NULL))
        http_answer_empty(request, 400);
    else
        http_answer_stream(request, 200, "audio/mpeg", size, &anything, NULL);
}

static void small(struct http_request *request)
{
    http_answer_text(request, 200, "small\n");
}

static const struct http_route routes[] = {
    {.method = "PUT", .path = "/discard", .upload = &upload, .body = HTTP_BODY_STREAM},
    {.method = "POST", .path = "/form", .upload = &upload, .body = HTTP_BODY_STREAM},
    {.method = "GET", .path = "/stream", .handle = stream, .serves_head = true},
    {.method = "GET", .path = "/small", .handle = small, .serves_head = true},
    {0},
};

int main(void)
{
    struct error error = {0};
    struct http_server *server = NULL;
    const struct http_server_options options = {
        .listen = "127.0.0.1:0",
        .routes = routes,
        .thread_count = 2,
        .limits = HTTP_LIMITS_STANDARD,
        .is_quiet = true,
    };
    sigset_t signals;
    int number;
    log_open("bench", LOG_LEVEL_WARNING);
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    sigprocmask(SIG_BLOCK, &signals, NULL);
    if (!http_server_open(&options, &server, &error)) {
        fprintf(stderr, "%s\n", error.text);
        return 1;
    }
    printf("%s\n", http_server_address(server));
    fflush(stdout);
    sigwait(&signals, &number);
    http_server_close(server);
    return 0;
}

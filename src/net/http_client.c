#include "net/http_client.h"

#include "base/log.h"
#include "base/text.h"
#include <curl/curl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define URL_SIZE 1024
#define CONNECT_TIMEOUT_STANDARD_MS 3000
#define TIMEOUT_STANDARD_MS 10000
#define BODY_SIZE_STANDARD ((size_t)1 << 20)

struct http_client {
    CURL *curl; /* owned */
    struct http_client_options options;
    char base_url[URL_SIZE];    /* without a slash at its end */
    char shown_url[URL_SIZE];   /* as it was given, for errors */
    char socket_path[URL_SIZE]; /* "": TCP */
    char *ca_file;              /* owned; NULL: the system's */
};

static pthread_once_t prepared = PTHREAD_ONCE_INIT;

static void prepare(void)
{
    curl_global_init(CURL_GLOBAL_DEFAULT);
}

void http_client_prepare(void)
{
    pthread_once(&prepared, prepare);
}

bool http_client_check_url(const char *url, struct error *error)
{
    static const char *const schemes[] = {"http://", "https://", "unix:/"};
    for (size_t i = 0; i < ARRAY_COUNT(schemes); i++) {
        if (text_starts_with(url, schemes[i]) && url[strlen(schemes[i])] != '\0' &&
            strlen(url) < URL_SIZE)
            return true;
    }
    return error_set(error, ERROR_BAD_INPUT,
                     "\"%.100s\" is no URL: write http://host:port, https://… or unix:/path", url);
}

/* "unix:/path" becomes a socket, and a URL for the Host header. */
static bool take_base_url(struct http_client *client, const char *url, struct error *error)
{
    if (!http_client_check_url(url, error))
        return false;
    if (text_starts_with(url, "unix:/")) {
        text_copy(client->base_url, URL_SIZE, "http://localhost");
        return text_copy(client->socket_path, URL_SIZE, url + strlen("unix:"));
    }
    text_copy(client->base_url, URL_SIZE, url);
    size_t size = strlen(client->base_url);
    if (client->base_url[size - 1] == '/')
        client->base_url[size - 1] = '\0';
    return true;
}

bool http_client_open(const struct http_client_options *options, struct http_client **out_client,
                      struct error *error)
{
    http_client_prepare();
    CLEANUP(http_client_closep) struct http_client *client = calloc(1, sizeof *client);
    if (client == NULL)
        abort();
    client->options = *options;
    if (client->options.connect_timeout_ms == 0)
        client->options.connect_timeout_ms = CONNECT_TIMEOUT_STANDARD_MS;
    if (client->options.timeout_ms == 0)
        client->options.timeout_ms = TIMEOUT_STANDARD_MS;
    if (client->options.body_size_max == 0)
        client->options.body_size_max = BODY_SIZE_STANDARD;
    if (!take_base_url(client, options->base_url, error))
        return false;
    text_copy(client->shown_url, URL_SIZE, options->base_url);
    if (options->ca_file != NULL && options->ca_file[0] != '\0') {
        client->ca_file = strdup(options->ca_file);
        if (client->ca_file == NULL)
            abort();
    }
    client->curl = curl_easy_init();
    if (client->curl == NULL)
        return error_set(error, ERROR_INTERNAL, "start an http client");
    *out_client = client;
    client = NULL;
    return true;
}

void http_client_close(struct http_client *client)
{
    if (client == NULL)
        return;
    curl_easy_cleanup(client->curl);
    free(client->ca_file);
    free(client);
}

void http_client_closep(struct http_client **client)
{
    http_client_close(*client);
}

/* ---- A call ---- */

/* Taking less than was offered ends the call: with CURLE_WRITE_ERROR. */
static size_t on_body(char *bytes, size_t one, size_t size, void *context)
{
    struct buffer *body = context;
    (void)one;
    return buffer_append(body, bytes, size, NULL) ? size : 0;
}

/* The library takes headers that end in the middle for all of them. Trailers come here too. */
static size_t on_header(char *line, size_t one, size_t size, void *context)
{
    bool *has_all_headers = context;
    (void)one;
    if (size >= 5 && memcmp(line, "HTTP/", 5) == 0)
        *has_all_headers = false; /* also those of an interim answer */
    else if (line[0] == '\r' || line[0] == '\n')
        *has_all_headers = true;
    return size;
}

static struct curl_slist *add_header(struct curl_slist *list, const char *header)
{
    struct curl_slist *longer = curl_slist_append(list, header);
    if (longer == NULL)
        abort();
    return longer;
}

static struct curl_slist *make_headers(const struct http_client_call *call)
{
    char request_id[96];
    struct curl_slist *list = add_header(NULL, "Expect:"); /* bodies are small: do not wait */
    for (const char *const *header = call->headers; header != NULL && *header != NULL; header++)
        list = add_header(list, *header);
    if (log_request()[0] != '\0') {
        snprintf(request_id, sizeof request_id, "X-Request-Id: %s", log_request());
        list = add_header(list, request_id);
    }
    return list;
}

static void set_options(struct http_client *client, const struct http_client_call *call,
                        const char *url)
{
    CURL *curl = client->curl;
    curl_easy_reset(curl); /* keeps the connections */
    curl_easy_setopt(curl, CURLOPT_URL, url);
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_PROXY, "");
    curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, (long)client->options.connect_timeout_ms);
    curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, (long)client->options.timeout_ms);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, on_header);
    if (client->socket_path[0] != '\0')
        curl_easy_setopt(curl, CURLOPT_UNIX_SOCKET_PATH, client->socket_path);
    if (client->ca_file != NULL)
        curl_easy_setopt(curl, CURLOPT_CAINFO, client->ca_file);
    if (call->body != NULL) {
        curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)call->body_size);
        curl_easy_setopt(curl, CURLOPT_POSTFIELDS, call->body);
    } else if (strcmp(call->method, "POST") == 0) {
        curl_easy_setopt(curl, CURLOPT_POSTFIELDS, "");
    } else if (strcmp(call->method, "HEAD") == 0) {
        curl_easy_setopt(curl, CURLOPT_NOBODY, 1L);
    }
    curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, call->method);
}

static void take_answer(struct http_client *client, struct http_client_answer *answer)
{
    long status = 0;
    char *content_type = NULL;
    curl_off_t retry_after = 0;
    curl_easy_getinfo(client->curl, CURLINFO_RESPONSE_CODE, &status);
    curl_easy_getinfo(client->curl, CURLINFO_CONTENT_TYPE, &content_type);
    curl_easy_getinfo(client->curl, CURLINFO_RETRY_AFTER, &retry_after);
    answer->status = (int)status;
    answer->retry_after_s = retry_after;
    text_copy(answer->content_type, sizeof answer->content_type,
              content_type != NULL ? content_type : "");
}

bool http_client_do(struct http_client *client, const struct http_client_call *call,
                    struct http_client_answer *out_answer, struct error *error)
{
    char url[2 * URL_SIZE], reason[CURL_ERROR_SIZE] = "";
    struct http_client_answer answer = {.body = BUFFER_WITH_MAX(client->options.body_size_max)};
    int size = snprintf(url, sizeof url, "%s%s", client->base_url, call->path);
    if (size < 0 || (size_t)size >= sizeof url)
        return error_set(error, ERROR_BAD_INPUT, "a URL of %d bytes", size);
    struct curl_slist *headers = make_headers(call);
    set_options(client, call, url);
    curl_easy_setopt(client->curl, CURLOPT_HTTPHEADER, headers);
    bool has_all_headers = false;
    curl_easy_setopt(client->curl, CURLOPT_WRITEDATA, &answer.body);
    curl_easy_setopt(client->curl, CURLOPT_HEADERDATA, &has_all_headers);
    curl_easy_setopt(client->curl, CURLOPT_ERRORBUFFER, reason);
    CURLcode result = curl_easy_perform(client->curl);
    curl_easy_setopt(client->curl, CURLOPT_ERRORBUFFER, NULL);
    curl_slist_free_all(headers);

    if (result == CURLE_OK && !has_all_headers)
        result = CURLE_GOT_NOTHING;
    if (result == CURLE_OK) {
        take_answer(client, &answer);
        *out_answer = answer;
        return true;
    }
    buffer_finish(&answer.body);
    bool is_socket = client->socket_path[0] != '\0';
    if (result == CURLE_COULDNT_CONNECT && is_socket) /* the library names a host and a port */
        return error_set(error, ERROR_UNAVAILABLE, "%s %s: nobody answers there", call->method,
                         client->shown_url);
    if (result == CURLE_WRITE_ERROR)
        return error_set(error, ERROR_TOO_LARGE, "%s %s: an answer of more than %zu bytes",
                         call->method, client->shown_url, client->options.body_size_max);
    return error_set(error, ERROR_UNAVAILABLE, "%s %s: %s", call->method, client->shown_url,
                     reason[0] != '\0' ? reason : curl_easy_strerror(result));
}

void http_client_answer_finish(struct http_client_answer *answer)
{
    buffer_finish(&answer->body);
}

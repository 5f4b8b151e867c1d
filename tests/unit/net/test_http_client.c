#include "net/http_client.h"

#include "base/log.h"
#include "http_fixture.h"
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static struct http_client *open_client(size_t body_size_max)
{
    struct error error = {0};
    struct http_client *client = NULL;
    char url[160];
    const char *address = http_server_address(fixture_server);
    snprintf(url, sizeof url, "%s%s", strncmp(address, "unix:", 5) == 0 ? "" : "http://", address);
    const struct http_client_options options = {
        .base_url = url,
        .timeout_ms = 400,
        .body_size_max = body_size_max,
    };
    assert_true(http_client_open(&options, &client, &error));
    return client;
}

static void calls_are_answered(void **state)
{
    (void)state;
    struct error error = {0};
    struct http_client *client = open_client(0);
    log_request_set("from-the-log");
    for (int i = 0; i < 2; i++) {
        struct http_client_answer answer = {0};
        assert_true(http_client_do(client,
                                   &(struct http_client_call){.method = "GET", .path = "/hello"},
                                   &answer, &error));
        assert_int_equal(answer.status, 200);
        assert_string_equal(buffer_text(&answer.body), "hello");
        assert_string_equal(answer.content_type, "text/plain; charset=utf-8");
        http_client_answer_finish(&answer);
    }
    struct http_client_answer answer = {0};
    const struct http_client_call post = {
        .method = "POST", .path = "/hello", .body = "a\0b", .body_size = 3};
    assert_true(http_client_do(client, &post, &answer, &error));
    assert_int_equal(answer.body.size, 3);
    assert_memory_equal(answer.body.bytes, "a\0b", 3);
    http_client_answer_finish(&answer);
    assert_int_equal(http_server_connection_count(fixture_server), 1); /* kept */
    http_client_close(client);
    log_request_set(NULL);
}

static void headers_and_ids_travel(void **state)
{
    (void)state;
    struct error error = {0};
    struct http_client *client = open_client(0);
    struct http_client_answer answer = {0};
    const struct http_client_call call = {
        .method = "GET",
        .path = "/things/7?q=x",
        .headers = (const char *const[]){"Cookie: session=s", NULL},
    };
    assert_true(http_client_do(client, &call, &answer, &error));
    assert_string_equal(buffer_text(&answer.body), "7|x|s|");
    http_client_answer_finish(&answer);

    log_request_set("from-the-log");
    const struct http_client_call unknown = {.method = "GET", .path = "/nothing"};
    assert_true(http_client_do(client, &unknown, &answer, &error));
    assert_int_equal(answer.status, 404);
    assert_non_null(strstr(buffer_text(&answer.body), "\"request_id\":\"from-the-log\""));
    http_client_answer_finish(&answer);
    log_request_set(NULL);

    const struct http_client_call later = {.method = "GET", .path = "/unavailable"};
    assert_true(http_client_do(client, &later, &answer, &error));
    assert_int_equal(answer.retry_after_s, 5);
    http_client_answer_finish(&answer);
    http_client_close(client);
}

static void a_huge_answer_is_refused(void **state)
{
    (void)state;
    struct error error = {0};
    struct http_client *client = open_client(1000);
    struct http_client_answer answer = {0};
    const struct http_client_call call = {.method = "GET", .path = "/stream?size=1001"};
    assert_false(http_client_do(client, &call, &answer, &error));
    assert_int_equal(error.kind, ERROR_TOO_LARGE);
    const struct http_client_call fits = {.method = "GET", .path = "/stream?size=1000"};
    assert_true(http_client_do(client, &fits, &answer, &error));
    assert_int_equal(answer.body.size, 1000);
    http_client_answer_finish(&answer);
    http_client_close(client);
}

static void a_slow_or_absent_peer_is_unavailable(void **state)
{
    (void)state;
    struct error error = {0};
    struct http_client *client = open_client(0);
    struct http_client_answer answer = {0};
    const struct http_client_call call = {.method = "GET", .path = "/endless"};
    assert_false(http_client_do(client, &call, &answer, &error));
    assert_int_equal(error.kind, ERROR_UNAVAILABLE);
    http_server_drain(fixture_server, 0);
    assert_false(http_client_do(client, &call, &answer, &error));
    assert_int_equal(error.kind, ERROR_UNAVAILABLE);
    http_client_close(client);
}

static void what_is_no_url_is_refused(void **state)
{
    (void)state;
    static const char *const urls[] = {"", "localhost:80", "ftp://a", "file:///etc/passwd",
                                       "unix:x"};
    for (size_t i = 0; i < ARRAY_COUNT(urls); i++) {
        struct error error = {0};
        struct http_client *client = NULL;
        const struct http_client_options options = {.base_url = urls[i]};
        assert_false(http_client_open(&options, &client, &error));
        assert_int_equal(error.kind, ERROR_BAD_INPUT);
    }
}

static int open_tcp(void **state)
{
    fixture_listen = "127.0.0.1:0";
    fixture_limits = HTTP_LIMITS_STANDARD;
    return http_fixture_open(state);
}

static int open_unix(void **state)
{
    static char address[64];
    snprintf(address, sizeof address, "unix:/tmp/test-http-client-%d", getpid());
    fixture_listen = address;
    fixture_limits = HTTP_LIMITS_STANDARD;
    return http_fixture_open(state);
}

#define on_tcp(test) cmocka_unit_test_setup_teardown(test, open_tcp, http_fixture_close)

int main(void)
{
    const struct CMUnitTest tests[] = {
        on_tcp(calls_are_answered),
        on_tcp(headers_and_ids_travel),
        on_tcp(a_huge_answer_is_refused),
        on_tcp(a_slow_or_absent_peer_is_unavailable),
        {"calls_are_answered_on_a_unix_socket", calls_are_answered, open_unix, http_fixture_close,
         NULL},
        cmocka_unit_test(what_is_no_url_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

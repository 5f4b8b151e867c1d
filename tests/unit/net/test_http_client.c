#include "net/http_client.h"

#include "base/log.h"
#include "http_fixture.h"
#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
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
        .headers = (const char *const[]){"X-Told: s", NULL},
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

/* ---- Peers that lie: what one says to each that connects, then closes or drips on ---- */

struct peer {
    const char *answer;
    bool drips; /* a byte now and then, for ever, instead of closing */
    int listen_fd;
    char url[64];
    pthread_t thread;
};

static void *peer_run(void *argument)
{
    const struct peer *peer = argument;
    for (int fd; (fd = accept(peer->listen_fd, NULL, NULL)) >= 0; close(fd)) {
        char request[4096];
        ssize_t size = recv(fd, request, sizeof request, 0);
        while (size > 0) {
            size = send(fd, peer->answer, strlen(peer->answer), MSG_NOSIGNAL);
            if (!peer->drips)
                break;
            sleep_ms(20);
        }
    }
    return NULL;
}

static void peer_open(struct peer *peer)
{
    struct sockaddr_in address = {.sin_family = AF_INET};
    socklen_t size = sizeof address;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    peer->listen_fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(peer->listen_fd, (const struct sockaddr *)&address, size), 0);
    assert_int_equal(listen(peer->listen_fd, 8), 0);
    assert_int_equal(getsockname(peer->listen_fd, (struct sockaddr *)&address, &size), 0);
    snprintf(peer->url, sizeof peer->url, "http://127.0.0.1:%d/", ntohs(address.sin_port));
    assert_int_equal(pthread_create(&peer->thread, NULL, peer_run, peer), 0);
}

static void peer_close(struct peer *peer)
{
    shutdown(peer->listen_fd, SHUT_RDWR);
    pthread_join(peer->thread, NULL);
    close(peer->listen_fd);
}

/* The status, or minus the kind of the error. */
static int ask_peer(struct peer *peer)
{
    struct error error = {0};
    struct http_client *client = NULL;
    struct http_client_answer answer = {0};
    peer_open(peer);
    const struct http_client_options options = {
        .base_url = peer->url, .timeout_ms = 300, .body_size_max = 1000};
    assert_true(http_client_open(&options, &client, &error));
    const struct http_client_call call = {.method = "GET", .path = "/x"};
    int result = -1;
    if (http_client_do(client, &call, &answer, &error)) {
        result = answer.status;
        http_client_answer_finish(&answer);
    } else {
        assert_string_not_equal(error.text, "");
        result = -(int)error.kind;
    }
    http_client_close(client);
    peer_close(peer);
    return result;
}

static void a_peer_that_lies_is_not_believed(void **state)
{
    (void)state;
    static const struct {
        const char *answer;
        int result;
    } rows[] = {
        {"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nwhole", 200},
        {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\nX: y\r\n\r\n", 200},
        {"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\ncut", -ERROR_UNAVAILABLE},
        {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\ncut", -ERROR_UNAVAILABLE},
        {"HTTP/1.1 200 OK\r\nX: ", -ERROR_UNAVAILABLE},
        {"no http at all\r\n\r\n", -ERROR_UNAVAILABLE},
        {"", -ERROR_UNAVAILABLE},
        /* No redirect is followed: the services name each other. */
        {"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n", 302},
    };
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        struct peer peer = {.answer = rows[i].answer};
        int result = ask_peer(&peer);
        if (result != rows[i].result)
            fail_msg("%s\nwas taken as %d", rows[i].answer, result);
    }
}

static void a_peer_that_drips_runs_out_of_time_or_room(void **state)
{
    (void)state;
    struct peer headers = {.answer = "HTTP/1.1 200 OK\r\nX: y\r\n", .drips = true};
    assert_int_equal(ask_peer(&headers), -ERROR_UNAVAILABLE);
    /* The first answer has no end, so that what follows is its body. */
    struct peer body = {.answer = "HTTP/1.1 200 OK\r\n\r\n", .drips = true};
    assert_int_equal(ask_peer(&body), -ERROR_UNAVAILABLE);
    char piece[600] = "HTTP/1.1 200 OK\r\n\r\n";
    memset(piece + strlen(piece), 'b', sizeof piece - strlen(piece) - 1);
    struct peer endless = {.answer = piece, .drips = true};
    assert_int_equal(ask_peer(&endless), -ERROR_TOO_LARGE);
}

/* As after a restart of the peer. */
static void a_kept_connection_that_was_closed_is_made_again(void **state)
{
    (void)state;
    struct error error = {0};
    struct http_client *client = NULL;
    struct peer peer = {.answer = "HTTP/1.1 204 No Content\r\n\r\n"};
    peer_open(&peer);
    const struct http_client_options options = {.base_url = peer.url};
    assert_true(http_client_open(&options, &client, &error));
    const struct http_client_call call = {.method = "GET", .path = "/x"};
    for (int i = 0; i < 3; i++) {
        struct http_client_answer answer = {0};
        assert_true(http_client_do(client, &call, &answer, &error));
        assert_int_equal(answer.status, 204);
        http_client_answer_finish(&answer);
    }
    http_client_close(client);
    peer_close(&peer);
}

static void a_socket_that_nobody_made_is_named(void **state)
{
    (void)state;
    struct error error = {0};
    struct http_client *client = NULL;
    struct http_client_answer answer;
    const struct http_client_options options = {.base_url = "unix:/nowhere/auth"};
    const struct http_client_call call = {.method = "GET", .path = "/x"};
    assert_true(http_client_open(&options, &client, &error));
    assert_false(http_client_do(client, &call, &answer, &error));
    assert_int_equal(error.kind, ERROR_UNAVAILABLE);
    assert_string_equal(error.text, "GET unix:/nowhere/auth: nobody answers there");
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
        cmocka_unit_test(a_peer_that_lies_is_not_believed),
        cmocka_unit_test(a_peer_that_drips_runs_out_of_time_or_room),
        cmocka_unit_test(a_kept_connection_that_was_closed_is_made_again),
        cmocka_unit_test(a_socket_that_nobody_made_is_named),
        cmocka_unit_test(what_is_no_url_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

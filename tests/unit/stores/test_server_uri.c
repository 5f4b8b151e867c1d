#include "stores/shared/server_uri.h"

#include "support/cmocka_all.h"
#include "base/compiler.h"
#include <stdio.h>
#include <string.h>

static void its_parts_are_told_apart(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        struct server_uri uri;
    } rows[] = {
        {"mysqls://ada:pw@db.example:3307/auth",
         {"mysqls", "ada", "pw", "db.example", 3307, "auth"}},
        {"amqps://rabbit", {.scheme = "amqps", .host = "rabbit"}},
        {"amqp://rabbit/", {.scheme = "amqp", .host = "rabbit"}},
        {"amqp://rabbit/%2f", {.scheme = "amqp", .host = "rabbit", .path = "/"}},
        {"amqp://u@rabbit/a/b", {.scheme = "amqp", .user = "u", .host = "rabbit", .path = "a/b"}},
        {"mysql://u:@h/d", {.scheme = "mysql", .user = "u", .host = "h", .path = "d"}},
        {"mysql://u%40x:p%3a%2F%25@h/d", {"mysql", "u@x", "p:/%", "h", 0, "d"}},
        {"mysql://u:p@:s@h/d", {"mysql", "u", "p@:s", "h", 0, "d"}},
        {"mysql://[::1]/d", {.scheme = "mysql", .host = "::1", .path = "d"}},
        {"mysql://u@[2001:db8::1]:65535/d", {"mysql", "u", "", "2001:db8::1", 65535, "d"}},
    };
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        struct server_uri uri;
        struct error error = {0};
        if (!server_uri_parse(rows[i].text, &uri, &error))
            fail_msg("%s: %s", rows[i].text, error.text);
        assert_string_equal(uri.scheme, rows[i].uri.scheme);
        assert_string_equal(uri.user, rows[i].uri.user);
        assert_string_equal(uri.password, rows[i].uri.password);
        assert_string_equal(uri.host, rows[i].uri.host);
        assert_int_equal(uri.port, rows[i].uri.port);
        assert_string_equal(uri.path, rows[i].uri.path);
    }
}

static void what_is_no_uri_is_refused_without_repeating_it(void **state)
{
    (void)state;
    static const char *const rows[] = {
        "",
        "secret@host",
        "://u:secret@host",
        "averyveryverylongscheme://u:secret@host",
        "mysql://",
        "mysql://u:secret@",
        "mysql://u:secret@/d",
        "mysql://u:secret@:3306/d",
        "mysql://u:secret@host:",
        "mysql://u:secret@host:0",
        "mysql://u:secret@host:65536",
        "mysql://u:secret@host:3306x",
        "mysql://u:secret@host:3306:3306",
        "mysql://u:secret@[::1",
        "mysql://u:secret@[::1]3306",
        "mysql://u:secret@[]/d",
        "mysql://u:secret%@host",
        "mysql://u:secret%4@host",
        "mysql://u:secret%zz@host",
        "mysql://u:secret%00@host",
        "mysql://u:secret@host/%0",
        "mysql://u:secret@host/d?ssl=off",
        "mysql://u:secret@host/d#x",
    };
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        struct server_uri uri = {.port = 7};
        struct error error = {0};
        if (server_uri_parse(rows[i], &uri, &error))
            fail_msg("taken: %s", rows[i]);
        assert_int_equal(error.kind, ERROR_BAD_INPUT);
        assert_null(strstr(error.text, "secret"));
        assert_int_equal(uri.port, 7);
    }
}

static void a_part_has_its_longest(void **state)
{
    (void)state;
    char text[SERVER_URI_PART_SIZE + 64];
    char part[SERVER_URI_PART_SIZE + 1];
    struct server_uri uri;
    struct error error = {0};
    memset(part, 'x', sizeof part);
    part[SERVER_URI_PART_SIZE] = '\0';
    snprintf(text, sizeof text, "mysql://u@h/%s", part + 1);
    assert_true(server_uri_parse(text, &uri, &error));
    assert_string_equal(uri.path, part + 1);
    snprintf(text, sizeof text, "mysql://u@h/%s", part);
    assert_false(server_uri_parse(text, &uri, &error));
    snprintf(text, sizeof text, "mysql://%s@h/", part);
    assert_false(server_uri_parse(text, &uri, &error));
}

static void loopback_is_this_machine_alone(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool is_loopback;
    } rows[] = {
        {"mysql://localhost/d", true},      {"mysql://LOCALHOST/d", true},
        {"mysql://127.0.0.1/d", true},      {"mysql://127.9.9.9/d", true},
        {"mysql://[::1]/d", true},          {"mysql://127.0.0.1.example/d", false},
        {"mysql://localhost.com/d", false}, {"mysql://10.0.0.1/d", false},
        {"mysql://[::2]/d", false},         {"mysql://128.0.0.1/d", false},
    };
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        struct server_uri uri;
        assert_true(server_uri_parse(rows[i].text, &uri, NULL));
        assert_int_equal(server_uri_is_loopback(&uri), rows[i].is_loopback);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(its_parts_are_told_apart),
        cmocka_unit_test(what_is_no_uri_is_refused_without_repeating_it),
        cmocka_unit_test(a_part_has_its_longest),
        cmocka_unit_test(loopback_is_this_machine_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

#include "net/http_address.h"

#include "base/file.h"
#include "support/cmocka_all.h"
#include <string.h>
#include <unistd.h>

static void a_reserved_port_can_be_listened_on_again_and_again(void **state)
{
    (void)state;
    struct error error = {0};
    char reserved[HTTP_ADDRESS_SIZE];
    char listening[HTTP_ADDRESS_SIZE];
    CLEANUP(file_closep) int holder = -1;
    assert_true(http_address_reserve("127.0.0.1:0", &holder, reserved, &error));
    assert_null(strstr(reserved, ":0"));
    for (int i = 0; i < 2; i++) {
        int fd = -1;
        assert_true(http_address_listen(reserved, &fd, listening, &error));
        assert_string_equal(listening, reserved);
        close(fd);
    }
}

static void a_port_that_is_listened_on_cannot_be_reserved(void **state)
{
    (void)state;
    struct error error = {0};
    char address[HTTP_ADDRESS_SIZE];
    char again[HTTP_ADDRESS_SIZE];
    CLEANUP(file_closep) int listener = -1;
    int holder = -1;
    assert_true(http_address_listen("127.0.0.1:0", &listener, address, &error));
    assert_false(http_address_reserve(address, &holder, again, &error));
    assert_int_equal(error.kind, ERROR_CONFLICT);
    assert_int_equal(holder, -1);
}

static void of_a_socket_file_nothing_is_held(void **state)
{
    (void)state;
    struct error error = {0};
    char address[HTTP_ADDRESS_SIZE];
    int holder = 7;
    assert_true(http_address_reserve("unix:/nowhere/at/all", &holder, address, &error));
    assert_int_equal(holder, -1);
    assert_string_equal(address, "unix:/nowhere/at/all");
}

static void what_is_no_address_is_refused(void **state)
{
    (void)state;
    struct error error = {0};
    char address[HTTP_ADDRESS_SIZE];
    int fd = -1;
    const char *const bad[] = {"", "127.0.0.1", ":8080", "::1:8080", "127.0.0.1:65536", "a:b"};
    for (size_t i = 0; i < ARRAY_COUNT(bad); i++) {
        assert_false(http_address_reserve(bad[i], &fd, address, &error));
        assert_int_equal(error.kind, ERROR_BAD_INPUT);
        assert_false(http_address_check(bad[i], &error));
        assert_int_equal(error.kind, ERROR_BAD_INPUT);
    }
    assert_false(http_address_check("unix:", &error));
    const char *const good[] = {"127.0.0.1:0", "[::1]:80", "no.such.host:80", "unix:/x"};
    for (size_t i = 0; i < ARRAY_COUNT(good); i++)
        assert_true(http_address_check(good[i], &error));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_reserved_port_can_be_listened_on_again_and_again),
        cmocka_unit_test(a_port_that_is_listened_on_cannot_be_reserved),
        cmocka_unit_test(of_a_socket_file_nothing_is_held),
        cmocka_unit_test(what_is_no_address_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

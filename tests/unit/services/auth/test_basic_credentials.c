#include "services/auth/basic_credentials.h"

#include "support/cmocka_all.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void the_example_of_the_specification_is_read(void **state)
{
    (void)state;
    struct error error = {0};
    struct basic_credentials credentials;
    assert_true(
        basic_credentials_parse("Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==", &credentials, &error));
    assert_string_equal(credentials.email, "Aladdin");
    assert_string_equal(credentials.password, "open sesame");
}

static void a_password_may_have_colons_and_utf8(void **state)
{
    (void)state;
    struct error error = {0};
    struct basic_credentials credentials;
    /* test:123£ (RFC 7617 §2.1) */
    assert_true(basic_credentials_parse("basic  dGVzdDoxMjPCow", &credentials, &error));
    assert_string_equal(credentials.password, "123\xc2\xa3");
    assert_true(basic_credentials_parse("Basic YTpiOmM=", &credentials, &error));
    assert_string_equal(credentials.email, "a");
    assert_string_equal(credentials.password, "b:c");
}

static void what_is_malformed_is_refused_and_leaves_nothing(void **state)
{
    (void)state;
    static const char *const headers[] = {
        "",
        "Basic",
        "Basic ",
        "BasicYTpi",
        "Bearer YTpi",
        "Basic YTpi YTpi",
        "Basic YTpi===",
        "Basic Y!pi",
        "Basic YWI=",       /* no colon */
        "Basic YToAYg==",   /* NUL */
        "Basic YTpiCg==",   /* newline */
        "Basic YTr/",       /* not UTF-8 */
        "Basic YTpiYTpi=A", /* padding inside */
    };
    for (size_t i = 0; i < ARRAY_COUNT(headers); i++) {
        struct error error = {0};
        struct basic_credentials credentials;
        memset(&credentials, 'x', sizeof credentials);
        if (basic_credentials_parse(headers[i], &credentials, &error))
            fail_msg("taken: %s", headers[i]);
        assert_int_equal(error.kind, ERROR_BAD_INPUT);
        assert_string_equal(credentials.password, "");
    }
}

static void what_is_longer_than_any_account_is_refused(void **state)
{
    (void)state;
    struct error error = {0};
    struct basic_credentials credentials;
    /* "aaaa…" in base64 is "YWFh" again and again. */
    static char header[8192] = "Basic YTpi";
    char *at = header + strlen(header);
    for (int i = 0; i < 341; i++, at += 4)
        memcpy(at, "YWFh", 4);
    assert_true(basic_credentials_parse(header, &credentials, &error));
    assert_int_equal(strlen(credentials.password), 1024);
    memcpy(at, "YQ==", 4);
    assert_false(basic_credentials_parse(header, &credentials, &error));
    for (int i = 0; i < 1500; i++, at += 4)
        memcpy(at, "YWFh", 4);
    assert_false(basic_credentials_parse(header, &credentials, &error));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_example_of_the_specification_is_read),
        cmocka_unit_test(a_password_may_have_colons_and_utf8),
        cmocka_unit_test(what_is_malformed_is_refused_and_leaves_nothing),
        cmocka_unit_test(what_is_longer_than_any_account_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

#include "services/common/public_url.h"

#include "support/cmocka_all.h"
#include <stdio.h>
#include <string.h>

/* The option's way into the settings is config's; these are about what it may hold. */
bool config_load(const struct config *config, const struct config_option *table, void *settings,
                 struct error *error)
{
    (void)config;
    (void)table;
    (void)settings;
    return error_set(error, ERROR_INTERNAL, "not asked for here");
}

static void links_begin_with_the_url(void **state)
{
    (void)state;
    struct public_url url;
    struct id id;
    assert_true(id_parse("66f000000000000000000001", &id, NULL));
    char link[PUBLIC_URL_LINK_SIZE];
    assert_true(public_url_parse("https://tapedeck.example", &url, NULL));
    public_url_conversion(&url, &id, link);
    assert_string_equal(link, "https://tapedeck.example/c/66f000000000000000000001");
    assert_true(public_url_parse("http://[::1]:8080/mp3s//", &url, NULL));
    public_url_conversion(&url, &id, link);
    assert_string_equal(link, "http://[::1]:8080/mp3s/c/66f000000000000000000001");
}

static void no_url_is_no_link(void **state)
{
    (void)state;
    struct public_url url;
    struct id id = id_make();
    char link[PUBLIC_URL_LINK_SIZE] = "x";
    assert_true(public_url_parse("", &url, NULL));
    public_url_conversion(&url, &id, link);
    assert_string_equal(link, "");
}

static void what_could_break_out_of_a_mail_is_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "tapedeck.example",
        "ftp://tapedeck.example",
        "https://",
        "https:///path",
        "https://:8080",
        "https://user@tapedeck.example",
        "https://tapedeck.example/?a=b",
        "https://tapedeck.example/#top",
        "https://tapedeck.example/\r\nBcc: x@example.org",
        "https://tapedeck.example/\"onclick=",
        "https://tapedeck example",
        "https://t\xc3\xa4pe.example",
        "javascript:alert(1)",
    };
    for (size_t i = 0; i < ARRAY_COUNT(bad); i++) {
        struct public_url url;
        struct error error = {0};
        assert_false(public_url_parse(bad[i], &url, &error));
        assert_int_equal(error.kind, ERROR_BAD_INPUT);
    }
    char huge[PUBLIC_URL_SIZE + 20];
    memset(huge, 'a', sizeof huge - 1);
    huge[sizeof huge - 1] = '\0';
    memcpy(huge, "https://", 8);
    struct public_url url;
    assert_false(public_url_parse(huge, &url, NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(links_begin_with_the_url),
        cmocka_unit_test(no_url_is_no_link),
        cmocka_unit_test(what_could_break_out_of_a_mail_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

#include "net/multipart.h"

#include "base/buffer.h"
#include "support/cmocka_all.h"
#include <stdlib.h>
#include <string.h>

#define TYPE "multipart/form-data; boundary=XX"

/* What the callbacks were told, as text: "[name|file name|type]data;" */
struct story {
    struct buffer text;
    bool refuses;
};

static bool story_begin(void *context, const struct multipart_part *part)
{
    struct story *story = context;
    return buffer_append_format(&story->text, NULL, "[%s|%s|%s]", part->name,
                                part->has_file_name ? part->file_name : "-", part->content_type);
}

static bool story_data(void *context, const void *bytes, size_t size)
{
    struct story *story = context;
    assert_true(size > 0);
    return !story->refuses && buffer_append(&story->text, bytes, size, NULL);
}

static bool story_end(void *context)
{
    struct story *story = context;
    return buffer_append_text(&story->text, ";", NULL);
}

static const struct multipart_handler handler = {story_begin, story_data, story_end};

/* Feeds the body in two pieces, the first of `first` bytes, each in memory of exactly its size. */
static bool feed_split(const char *type, const char *body, size_t size, size_t first,
                       struct story *story, struct error *error)
{
    CLEANUP(multipart_closep) struct multipart *multipart = NULL;
    if (!multipart_open(type, 4, &handler, story, &multipart, error))
        return false;
    const size_t sizes[] = {first, size - first};
    bool is_fed = true;
    for (size_t i = 0, offset = 0; i < 2 && is_fed; offset += sizes[i], i++) {
        char *piece = malloc(sizes[i] + 1);
        memcpy(piece, body + offset, sizes[i]);
        char *exact = realloc(piece, sizes[i] > 0 ? sizes[i] : 1);
        is_fed = multipart_feed(multipart, exact, sizes[i], error);
        free(exact);
    }
    return is_fed && multipart_finish(multipart, error);
}

static void assert_story(const char *type, const char *body, const char *expected)
{
    size_t size = strlen(body);
    for (size_t first = 0; first <= size; first++) {
        struct error error = {0};
        struct story story = {.text = BUFFER_WITH_MAX(65536)};
        if (!feed_split(type, body, size, first, &story, &error))
            fail_msg("split at %zu: %s", first, error.text);
        assert_string_equal(buffer_text(&story.text), expected);
        buffer_finish(&story.text);
    }
}

static void assert_refused(const char *type, const char *body, size_t size, enum error_kind kind)
{
    for (size_t first = 0; first <= size; first++) {
        struct error error = {0};
        struct story story = {.text = BUFFER_WITH_MAX(65536)};
        if (feed_split(type, body, size, first, &story, &error))
            fail_msg("taken: %s", body);
        if (error.kind != kind)
            fail_msg("%s: %s", body, error.text);
        buffer_finish(&story.text);
    }
}

static void a_form_is_the_same_wherever_it_is_split(void **state)
{
    (void)state;
    assert_story(TYPE,
                 "--XX\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n1\r\n"
                 "--XX\r\nContent-Disposition: form-data; name=\"f\"; filename=\"v.mp4\"\r\n"
                 "Content-Type: video/mp4\r\n\r\nx\r\n--X\r\n-\r\r\n--XY\r\n--\r\n\r\n--XX--\r\n",
                 "[a|-|]1;[f|v.mp4|video/mp4]x\r\n--X\r\n-\r\r\n--XY\r\n--\r\n;");
}

static void preamble_padding_and_epilogue_are_ignored(void **state)
{
    (void)state;
    assert_story("Multipart/Form-Data; charset=x; boundary=\"X X\"",
                 "hello\r\n--X\r\n--X X \t\r\ncontent-disposition:form-data;name=a\r\n\r\n\r\n"
                 "--X X--\r\nanything --X X",
                 "[a|-|];");
}

static void empty_parts_and_forms_are_parts_and_forms(void **state)
{
    (void)state;
    assert_story(TYPE, "--XX--", "");
    assert_story(
        TYPE, "--XX\r\nContent-Disposition: form-data; name=\"\"; filename=\"\"\r\n\r\n\r\n--XX--",
        "[||];");
}

static void assert_file_name(const char *parameters, const char *expected)
{
    struct error error = {0};
    struct story story = {.text = BUFFER_WITH_MAX(65536)};
    struct buffer body = BUFFER_WITH_MAX(65536);
    assert_true(buffer_append_format(
        &body, &error, "--XX\r\nContent-Disposition: form-data; name=f; %s\r\n\r\n\r\n--XX--",
        parameters));
    if (!feed_split(TYPE, buffer_text(&body), body.size, 3, &story, &error))
        fail_msg("%s: %s", parameters, error.text);
    struct buffer wanted = BUFFER_WITH_MAX(65536);
    assert_true(buffer_append_format(&wanted, &error, "[f|%s|];", expected));
    assert_string_equal(buffer_text(&story.text), buffer_text(&wanted));
    buffer_finish(&story.text);
    buffer_finish(&body);
    buffer_finish(&wanted);
}

static void file_names_are_read_as_browsers_write_them(void **state)
{
    (void)state;
    assert_file_name("filename=\"a b.mp4\"", "a b.mp4");
    assert_file_name("filename=plain.mp4", "plain.mp4");
    assert_file_name("filename=\"caf\xc3\xa9.mp4\"", "caf\xc3\xa9.mp4");
    assert_file_name("filename=\"a%22b%0D%0a.mp4\"", "a\"b\r\n.mp4");
    assert_file_name("filename=\"100%25.mp4\"", "100%25.mp4");
    assert_file_name("filename=\"a\\\"b.mp4\"", "a\"b.mp4");
    assert_file_name("filename=\"a;b.mp4\"; x=1", "a;b.mp4");
    assert_file_name("x=\"filename=no;\"; filename=\"yes\"", "yes");
    assert_file_name("filename=\"/etc/a.mp4\"", "a.mp4");
    assert_file_name("filename=\"C:\\dir\\a.mp4\"", "a.mp4");
    assert_file_name("filename=\"x.mp4\"; filename*=UTF-8''caf%C3%A9.mp4", "caf\xc3\xa9.mp4");
    assert_file_name("filename*=utf-8'en'a%20b", "a b");
    assert_file_name("filename=\"x\"; filename*=latin1''%E9", "x");
    assert_file_name("filename=\"x\"; filename*=UTF-8''%zz", "x");
}

#define PART "--XX\r\nContent-Disposition: form-data; name=a\r\n\r\n1\r\n"

static void what_is_malformed_is_refused(void **state)
{
    (void)state;
    static const char *const bodies[] = {
        "",
        "no boundary at all",
        PART "--XX",
        PART "--XX\r\n",
        PART "--XX-",
        "--XX\r\nContent-Disposition: form-data; name=a\r\n\r\nnever ends",
        PART "--XXX--",
        PART "--XX-x",
        PART "--XX\rx",
        "--XX\r\n\r\n1\r\n--XX--",
        "--XX\r\nContent-Type: text/plain\r\n\r\n1\r\n--XX--",
        "--XX\r\nContent-Disposition: form-data\r\n\r\n1\r\n--XX--",
        "--XX\r\nContent-Disposition: attachment; name=a\r\n\r\n1\r\n--XX--",
        "--XX\r\nContent-Disposition: form-data; name=\"a\r\n\r\n1\r\n--XX--",
        "--XX\r\nContent-Disposition: form-data; name=a; filename=\"a\r\n\r\n1\r\n--XX--",
        "--XX\r\nContent-Disposition : form-data; name=a\r\n\r\n1\r\n--XX--",
        "--XX\r\nContent-Disposition: form-data; name=a\r\nno colon\r\n\r\n1\r\n--XX--",
        "--XX\r\nContent-Disposition: form-data; name=a\n\n1\r\n--XX--",
        ("--XX\r\nContent-Disposition: form-data; name=a\r\n"
         "Content-Disposition: form-data; name=b\r\n\r\n1\r\n--XX--"),
    };
    for (size_t i = 0; i < ARRAY_COUNT(bodies); i++)
        assert_refused(TYPE, bodies[i], strlen(bodies[i]), ERROR_BAD_INPUT);
    static const char with_nul[] = "--XX\r\nContent-Disposition: form-data; name=a\0\r\n\r\n--XX--";
    assert_refused(TYPE, with_nul, sizeof with_nul - 1, ERROR_BAD_INPUT);
}

static void bounds_are_held(void **state)
{
    (void)state;
    static const char five[] = PART PART PART PART PART "--XX--";
    assert_refused(TYPE, five, sizeof five - 1, ERROR_TOO_LARGE);
    char headers[MULTIPART_HEADERS_SIZE_MAX + 200];
    memset(headers, 'x', sizeof headers);
    memcpy(headers, "--XX\r\nX: ", 9);
    assert_refused(TYPE, headers, sizeof headers, ERROR_TOO_LARGE);
}

static void the_content_type_needs_a_boundary(void **state)
{
    (void)state;
    static const char *const types[] = {
        "multipart/form-data",
        "multipart/form-data; boundary=",
        "multipart/form-data; boundary=\"\"",
        "multipart/form-data; boundary=\"open",
        "multipart/form-data; boundary=a\xc3\xa9",
        "multipart/form-datax; boundary=XX",
        "multipart/mixed; boundary=XX",
        ("multipart/form-data; boundary="
         "12345678901234567890123456789012345678901234567890123456789012345678901"),
    };
    for (size_t i = 0; i < ARRAY_COUNT(types); i++) {
        struct error error = {0};
        struct multipart *multipart = NULL;
        assert_false(multipart_open(types[i], 1, &handler, NULL, &multipart, &error));
        assert_int_equal(error.kind, ERROR_BAD_INPUT);
    }
    assert_story("multipart/form-data; boundary="
                 "1234567890123456789012345678901234567890123456789012345678901234567890",
                 "--1234567890123456789012345678901234567890123456789012345678901234567890--", "");
}

static void a_handler_can_stop_the_scan(void **state)
{
    (void)state;
    struct error error = {0};
    struct story story = {.text = BUFFER_WITH_MAX(65536), .refuses = true};
    assert_false(feed_split(TYPE, PART "--XX--", sizeof(PART "--XX--") - 1, 0, &story, &error));
    assert_int_equal(error.kind, ERROR_NONE);
    buffer_finish(&story.text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_form_is_the_same_wherever_it_is_split),
        cmocka_unit_test(preamble_padding_and_epilogue_are_ignored),
        cmocka_unit_test(empty_parts_and_forms_are_parts_and_forms),
        cmocka_unit_test(file_names_are_read_as_browsers_write_them),
        cmocka_unit_test(what_is_malformed_is_refused),
        cmocka_unit_test(bounds_are_held),
        cmocka_unit_test(the_content_type_needs_a_boundary),
        cmocka_unit_test(a_handler_can_stop_the_scan),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

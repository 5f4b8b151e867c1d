#include "services/notifier/mail.h"

#include "base/text.h"
#include "services/notifier/mail_text.h"
#include "support/cmocka_all.h"
#include <stdio.h>
#include <string.h>

static struct mail_identity identity(void)
{
    struct mail_identity identity = {0};
    assert_true(mail_address_parse("Tapedeck <tapedeck@mail.example>", &identity.from, NULL));
    assert_true(public_url_parse("https://tapedeck.example", &identity.url, NULL));
    return identity;
}

static struct conversion done_record(void)
{
    struct conversion record = {
        .state = CONVERSION_DONE,
        .owner.email = "anna@example.org",
        .video.name = "talk.mp4",
        .expires_at_ms = INT64_C(1798106400000), /* 2026-12-24 10:00 UTC */
        .mp3 =
            {
                .size_bytes = 19203328,
                .duration_seconds = 1200.1,
                .bitrate_kbps = 128,
                .sample_rate_hz = 44100,
                .channels = 2,
            },
    };
    assert_true(id_parse("66f000000000000000000001", &record.id, NULL));
    assert_true(id_parse("aaaaaaaaaaaaaaaaaaaaaaaa", &record.mp3.id, NULL));
    return record;
}

static struct conversion failed_record(void)
{
    struct conversion record = done_record();
    record.state = CONVERSION_FAILED;
    memset(&record.mp3, 0, sizeof record.mp3);
    text_copy(record.error.code, sizeof record.error.code, FAILURE_NO_AUDIO.code);
    text_copy(record.error.message, sizeof record.error.message, FAILURE_NO_AUDIO.sentence);
    return record;
}

static struct buffer compose(const struct conversion *record)
{
    struct mail_identity who = identity();
    struct buffer mail = BUFFER_WITH_MAX(MAIL_SIZE_MAX);
    assert_true(mail_compose(&who, record, INT64_C(1790000000000), &mail, NULL));
    return mail;
}

/* ---- Addresses ---- */

static void addresses_come_with_and_without_a_name(void **state)
{
    (void)state;
    struct mail_address address;
    assert_true(mail_address_parse("a@example.org", &address, NULL));
    assert_string_equal(address.name, "");
    assert_string_equal(address.address, "a@example.org");
    assert_string_equal(mail_address_domain(&address), "example.org");
    assert_true(mail_address_parse("Tape Deck <o'neil+x@localhost>", &address, NULL));
    assert_string_equal(address.name, "Tape Deck");
    assert_string_equal(address.address, "o'neil+x@localhost");
    assert_true(mail_address_parse("j\xc3\xb6rg@m\xc3\xbcnchen.example", &address, NULL));
}

static void what_is_no_address_is_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",
        "a",
        "@example.org",
        "a@",
        "a@b@c",
        "a b@example.org",
        "a@example.org\r\nBcc: x@example.org",
        "a@example.org, b@example.org",
        "a@exa mple.org",
        "<a@example.org",
        "A <a@example.org> x",
        "A\n <a@example.org>",
        "\"a\"@example.org",
        "a@example.org>",
        "a\xff@example.org",
        "a\xe2\x80\xa8@example.org",
        "A\xc2\x85 <a@example.org>",
        "a(comment)@example.org",
    };
    for (size_t i = 0; i < ARRAY_COUNT(bad); i++) {
        struct mail_address address;
        struct error error = {0};
        if (mail_address_parse(bad[i], &address, &error))
            fail_msg("taken: %s", bad[i]);
        assert_int_equal(error.kind, ERROR_BAD_INPUT);
    }
}

/* ---- Encodings ---- */

static void check_header(const char *value, const char *expected)
{
    struct buffer mail = BUFFER_WITH_MAX(4096);
    assert_true(mail_header_text(&mail, "Subject", value, NULL));
    assert_string_equal(buffer_text(&mail), expected);
    buffer_finish(&mail);
}

static void header_text_is_plain_or_encoded(void **state)
{
    (void)state;
    check_header("talk.mp4", "Subject: talk.mp4\r\n");
    check_header("gr\xc3\xbc\xc3\x9f", "Subject: =?UTF-8?B?Z3LDvMOf?=\r\n");
    check_header("=?x", "Subject: =?UTF-8?B?PT94?=\r\n");
    check_header("a\r\nBcc: b", "Subject: =?UTF-8?B?YQ0KQmNjOiBi?=\r\n");
}

static void long_header_text_is_folded_between_characters(void **state)
{
    (void)state;
    char value[400] = "";
    for (size_t i = 0; i < 66; i++)
        memcpy(value + 3 * i, "\xe2\x82\xac", 4); /* three bytes each */
    struct buffer mail = BUFFER_WITH_MAX(4096);
    assert_true(mail_header_text(&mail, "Subject", value, NULL));
    size_t words = 0;
    for (const char *line = buffer_text(&mail); *line != '\0';) {
        size_t size = strcspn(line, "\r");
        assert_in_range(size, 1, 76);
        if (words > 0)
            assert_int_equal(line[0], ' ');
        words++;
        /* Three bytes are four base64 digits, so that only a split character needs padding. */
        assert_memory_equal(line + size - 2, "?=", 2);
        assert_int_not_equal(line[size - 3], '=');
        line += size + 2;
    }
    assert_int_equal(words, 6);
    buffer_finish(&mail);
}

static void no_line_with_an_encoded_name_is_too_long(void **state)
{
    (void)state;
    struct mail_address address = {
        .name = "Tapedeck \xe2\x80\x93 die T\xc3\xb6ne aus allen Ihren sch\xc3\xb6nen Filmen",
        .address = "tapedeck-and-all-who-answer-its-letters@mail.example.org",
    };
    struct buffer mail = BUFFER_WITH_MAX(4096);
    assert_true(mail_header_address(&mail, "Reply-To", &address, NULL));
    size_t last = 0;
    for (size_t at = 0; at < mail.size; at += strcspn(mail.bytes + at, "\n") + 1) {
        last = at;
        if (strncmp(mail.bytes + at, " <", 2) != 0)
            assert_in_range(strcspn(mail.bytes + at, "\r"), 1, 76);
    }
    assert_string_equal(mail.bytes + last,
                        " <tapedeck-and-all-who-answer-its-letters@mail.example.org>\r\n");
    buffer_finish(&mail);
}

static void check_body(const char *text, const char *expected)
{
    struct buffer mail = BUFFER_WITH_MAX(4096);
    assert_true(mail_quoted_printable(&mail, text, strlen(text), NULL));
    assert_string_equal(buffer_text(&mail), expected);
    buffer_finish(&mail);
}

static void bodies_are_quoted_printable(void **state)
{
    (void)state;
    check_body("a=b\n", "a=3Db\r\n");
    check_body("gr\xc3\xbc\xc3\x9f", "gr=C3=BC=C3=9F");
    check_body("end \nnext ", "end=20\r\nnext=20");
    check_body(".\n", "=2E\r\n");
    check_body("From me\nFrom", "=46rom me\r\nFrom");
    check_body("\r\n", "=0D\r\n");
    check_body("\t", "=09");
}

static void no_body_line_is_too_long(void **state)
{
    (void)state;
    char text[1001];
    for (size_t i = 0; i < 1000; i++)
        text[i] = i % 7 == 0 ? '=' : i % 5 == 0 ? '.' : ' ';
    text[1000] = '\0';
    struct buffer mail = BUFFER_WITH_MAX(8192);
    assert_true(mail_quoted_printable(&mail, text, 1000, NULL));
    for (const char *line = buffer_text(&mail); *line != '\0';) {
        size_t size = strcspn(line, "\r");
        assert_in_range(size, 1, 76);
        assert_int_not_equal(line[0], '.');
        line += size;
        if (*line != '\0')
            line += 2;
    }
    buffer_finish(&mail);
}

/* ---- Templates ---- */

static void lines_without_a_value_are_left_out(void **state)
{
    (void)state;
    struct mail_facts facts = {.mp3_id = "aaaa"};
    struct buffer text = BUFFER_WITH_MAX(4096);
    assert_true(mail_text_write(&text, MAIL_DONE, MAIL_TEXT, &facts, NULL));
    assert_string_equal(
        buffer_text(&text),
        "Hello,\n\nyour MP3 is ready.\n\n"
        "MP3 id:         aaaa\n\n"
        "You will be asked to log in; nobody else can fetch it.\n\n-- \nTapedeck\n");
    buffer_finish(&text);
}

static void html_is_escaped(void **state)
{
    (void)state;
    struct mail_facts facts = {.name = "<img src=x onerror='alert(1)'>&", .link = "https://x/\""};
    struct buffer text = BUFFER_WITH_MAX(16384);
    assert_true(mail_text_write(&text, MAIL_DONE, MAIL_HTML, &facts, NULL));
    assert_null(strstr(buffer_text(&text), "<img"));
    assert_non_null(strstr(buffer_text(&text), "&lt;img src=x"));
    assert_null(strstr(buffer_text(&text), "https://x/\"\""));
    assert_null(strchr(buffer_text(&text), '{'));
    buffer_finish(&text);
}

static void a_value_is_not_a_template(void **state)
{
    (void)state;
    struct mail_facts facts = {.name = "{mp3_id}{", .mp3_id = "aaaa"};
    struct buffer text = BUFFER_WITH_MAX(16384);
    assert_true(mail_text_write(&text, MAIL_DONE, MAIL_TEXT, &facts, NULL));
    assert_non_null(strstr(buffer_text(&text), "Video:          {mp3_id}{\n"));
    buffer_finish(&text);
}

/* ---- The whole ---- */

static void a_done_mail_says_all_that_its_reader_needs(void **state)
{
    (void)state;
    struct conversion record = done_record();
    struct buffer mail = compose(&record);
    static const char *const expected[] = {
        "Date: Mon, 21 Sep 2026 14:13:20 +0000\r\n",
        "From: \"Tapedeck\" <tapedeck@mail.example>\r\n",
        "To: <anna@example.org>\r\n",
        "Message-ID: <66f000000000000000000001.done@mail.example>\r\n",
        "Auto-Submitted: auto-generated\r\n",
        "Subject: Your MP3 is ready: talk.mp4\r\n",
        "https://tapedeck.example/c/66f000000000000000000001",
        "aaaaaaaaaaaaaaaaaaaaaaaa",
        "19.2 MB",
        "20:00",
        "24 December 2026, 10:00 UTC",
        "128 kbit/s, stereo, 44100 Hz",
    };
    for (size_t i = 0; i < ARRAY_COUNT(expected); i++)
        if (strstr(buffer_text(&mail), expected[i]) == NULL)
            fail_msg("missing: %s in\n%s", expected[i], buffer_text(&mail));
    assert_null(strstr(buffer_text(&mail), "broke off"));
    assert_null(strstr(buffer_text(&mail), "Reply-To"));
    buffer_finish(&mail);
}

static void of_a_foreign_mp3_no_end_is_told(void **state)
{
    (void)state;
    struct conversion record = done_record();
    record.foreign = CONVERSION_FOREIGN_MP3; /* its record ends, it does not */
    struct buffer mail = compose(&record);
    assert_non_null(strstr(buffer_text(&mail), "MP3 id:"));
    assert_null(strstr(buffer_text(&mail), "Kept until"));
    buffer_finish(&mail);
}

static void a_failed_mail_says_what_was_wrong_and_what_to_do(void **state)
{
    (void)state;
    struct conversion record = failed_record();
    struct buffer mail = compose(&record);
    assert_non_null(strstr(buffer_text(&mail), "<66f000000000000000000001.failed@mail.example>"));
    assert_non_null(
        strstr(buffer_text(&mail), "Subject: Your video could not be converted: talk.mp4\r\n"));
    assert_non_null(strstr(buffer_text(&mail), "What was wrong:"));
    assert_non_null(strstr(buffer_text(&mail), "What you can do:"));
    buffer_finish(&mail);
}

static void no_name_can_begin_a_header(void **state)
{
    (void)state;
    struct conversion record = done_record();
    text_copy(record.video.name, sizeof record.video.name,
              "x\r\nBcc: evil@example.org\r\n\r\n--=_66f000000000000000000001--\r\n");
    struct buffer mail = compose(&record);
    assert_null(strstr(buffer_text(&mail), "\nBcc:"));
    const char *end = strstr(buffer_text(&mail), "--=_66f000000000000000000001--");
    assert_non_null(end);
    assert_string_equal(end, "--=_66f000000000000000000001--\r\n");
    buffer_finish(&mail);
}

static void every_line_ends_as_mail_wants_it(void **state)
{
    (void)state;
    struct conversion record = done_record();
    memset(record.video.name, 'x', sizeof record.video.name - 1);
    record.mp3.is_truncated = true;
    struct buffer mail = compose(&record);
    assert_non_null(strstr(buffer_text(&mail), "broke"));
    for (size_t i = 0; i < mail.size; i++) {
        if (mail.bytes[i] == '\n')
            assert_true(i > 0 && mail.bytes[i - 1] == '\r');
        if (mail.bytes[i] == '\r')
            assert_int_equal(mail.bytes[i + 1], '\n');
        assert_true((unsigned char)mail.bytes[i] < 0x80);
    }
    buffer_finish(&mail);
}

static void an_owner_that_no_mail_reaches_is_refused(void **state)
{
    (void)state;
    struct conversion record = done_record();
    text_copy(record.owner.email, sizeof record.owner.email, "nobody");
    struct mail_identity who = identity();
    struct buffer mail = BUFFER_WITH_MAX(MAIL_SIZE_MAX);
    struct error error = {0};
    assert_false(mail_compose(&who, &record, 0, &mail, &error));
    assert_int_equal(error.kind, ERROR_BAD_INPUT);
    assert_int_equal(mail.size, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(addresses_come_with_and_without_a_name),
        cmocka_unit_test(what_is_no_address_is_refused),
        cmocka_unit_test(header_text_is_plain_or_encoded),
        cmocka_unit_test(long_header_text_is_folded_between_characters),
        cmocka_unit_test(no_line_with_an_encoded_name_is_too_long),
        cmocka_unit_test(bodies_are_quoted_printable),
        cmocka_unit_test(no_body_line_is_too_long),
        cmocka_unit_test(lines_without_a_value_are_left_out),
        cmocka_unit_test(html_is_escaped),
        cmocka_unit_test(a_value_is_not_a_template),
        cmocka_unit_test(a_done_mail_says_all_that_its_reader_needs),
        cmocka_unit_test(of_a_foreign_mp3_no_end_is_told),
        cmocka_unit_test(a_failed_mail_says_what_was_wrong_and_what_to_do),
        cmocka_unit_test(no_name_can_begin_a_header),
        cmocka_unit_test(every_line_ends_as_mail_wants_it),
        cmocka_unit_test(an_owner_that_no_mail_reaches_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

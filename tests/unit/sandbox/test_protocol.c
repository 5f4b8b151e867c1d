#include "sandbox/protocol.h"

#include "model/failure.h"
#include "support/cmocka_all.h"
#include <stdio.h>
#include <string.h>

static void a_job_survives_the_way_there_and_back(void **state)
{
    (void)state;
    struct error error = {0};
    struct protocol_job job = {
        .options = {.bitrate_kbps = 192, .title = "T\xc3\xa4g"},
        .input_size = PROTOCOL_SIZE_UNKNOWN,
        .output_size_max = UINT32_MAX,
        .duration_max_ms = 12 * 3600 * 1000,
        .threads = 3,
    };
    struct protocol_job back;
    struct buffer payload = BUFFER_WITH_MAX(PROTOCOL_JOB_SIZE_MAX);
    assert_true(protocol_format_job(&job, &payload, &error));
    assert_true(protocol_parse_job(payload.bytes, payload.size, &back, &error));
    assert_true(conversion_options_is_equal(&job.options, &back.options));
    assert_true(back.input_size == PROTOCOL_SIZE_UNKNOWN);
    assert_int_equal(back.output_size_max, UINT32_MAX);
    assert_int_equal(back.duration_max_ms, 12 * 3600 * 1000);
    assert_int_equal(back.threads, 3);
    buffer_finish(&payload);
}

static void jobs_that_are_none_are_refused(void **state)
{
    (void)state;
    static const char *const jobs[] = {
        "",
        "[]",
        "{\"input_size\":1}",
        "{\"options\":{},\"input_size\":1,\"output_size_max\":0,\"duration_max_ms\":0,"
        "\"threads\":1}",
        "{\"options\":{},\"input_size\":-2,\"output_size_max\":1,\"duration_max_ms\":0,"
        "\"threads\":1}",
        "{\"options\":{},\"input_size\":1,\"output_size_max\":1,\"duration_max_ms\":-1,"
        "\"threads\":1}",
        "{\"options\":{},\"input_size\":1,\"output_size_max\":1,\"duration_max_ms\":0,"
        "\"threads\":0}",
        "{\"options\":{},\"input_size\":1,\"output_size_max\":1,\"duration_max_ms\":0,"
        "\"threads\":17}",
        "{\"options\":{\"track\":-1},\"input_size\":1,\"output_size_max\":1,\"duration_max_ms\":0,"
        "\"threads\":1}",
    };
    static const char job_that_is_one[] = "{\"options\":{},\"input_size\":1,\"output_size_max\":1,"
                                          "\"duration_max_ms\":0,\"threads\":16}";
    struct protocol_job one;
    assert_true(protocol_parse_job(job_that_is_one, strlen(job_that_is_one), &one, NULL));
    for (size_t i = 0; i < sizeof jobs / sizeof jobs[0]; i++) {
        struct error error = {0};
        struct protocol_job job;
        assert_false(protocol_parse_job(jobs[i], strlen(jobs[i]), &job, &error));
    }
}

static void headers_are_bounded(void **state)
{
    (void)state;
    struct error error = {0};
    struct protocol_header header;
    unsigned char bytes[PROTOCOL_HEADER_SIZE];
    protocol_format_header(PROTOCOL_WRITE, PROTOCOL_PAYLOAD_SIZE_MAX, bytes);
    assert_true(protocol_parse_header(bytes, &header, &error));
    assert_int_equal(header.type, PROTOCOL_WRITE);
    assert_int_equal(header.size, PROTOCOL_PAYLOAD_SIZE_MAX);

    protocol_format_header(PROTOCOL_WRITE, PROTOCOL_PAYLOAD_SIZE_MAX + 1, bytes);
    assert_false(protocol_parse_header(bytes, &header, &error));
    protocol_format_header((enum protocol_type)0, 0, bytes);
    assert_false(protocol_parse_header(bytes, &header, &error));
    protocol_format_header((enum protocol_type)(PROTOCOL_FAILURE + 1), 0, bytes);
    assert_false(protocol_parse_header(bytes, &header, &error));
    protocol_format_header(PROTOCOL_READ, 12, bytes);
    bytes[2] = 1; /* one of the bytes that are zero */
    assert_false(protocol_parse_header(bytes, &header, &error));
}

static void ranges_are_bounded(void **state)
{
    (void)state;
    struct error error = {0};
    struct protocol_read read = {.offset = 1, .size = PROTOCOL_RANGE_SIZE_MAX}, back;
    unsigned char bytes[13] = {0};
    protocol_format_read(&read, bytes);
    assert_true(protocol_parse_read(bytes, 12, &back, &error));
    assert_int_equal(back.size, PROTOCOL_RANGE_SIZE_MAX);
    assert_false(protocol_parse_read(bytes, 11, &back, &error));
    assert_false(protocol_parse_read(bytes, 13, &back, &error));
    read.size = PROTOCOL_RANGE_SIZE_MAX + 1;
    protocol_format_read(&read, bytes);
    assert_false(protocol_parse_read(bytes, 12, &back, &error));
    read.size = 0;
    protocol_format_read(&read, bytes);
    assert_false(protocol_parse_read(bytes, 12, &back, &error));
}

static void a_write_needs_bytes_and_not_too_many(void **state)
{
    (void)state;
    struct error error = {0};
    static unsigned char bytes[8 + PROTOCOL_RANGE_SIZE_MAX + 1];
    struct protocol_write write;
    protocol_format_write_offset(UINT64_C(0x0102030405060708), bytes);
    assert_true(protocol_parse_write(bytes, 9, &write, &error));
    assert_true(write.offset == UINT64_C(0x0102030405060708));
    assert_int_equal(write.size, 1);
    assert_ptr_equal(write.bytes, bytes + 8);
    assert_false(protocol_parse_write(bytes, 8, &write, &error));
    assert_false(protocol_parse_write(bytes, 0, &write, &error));
    assert_true(protocol_parse_write(bytes, sizeof bytes - 1, &write, &error));
    assert_false(protocol_parse_write(bytes, sizeof bytes, &write, &error));
}

static void a_result_is_one_that_an_mp3_can_have(void **state)
{
    (void)state;
    const struct protocol_result good = {
        .size_bytes = 1000,
        .samples = 2000,
        .frames = 3,
        .input_duration_us = 4,
        .bitrate_kbps = 128,
        .sample_rate_hz = 44100,
        .channels = 2,
        .is_truncated = 1,
    };
    struct protocol_result bad[7], back;
    struct error error = {0};
    unsigned char bytes[48];
    protocol_format_result(&good, bytes);
    assert_true(protocol_parse_result(bytes, 48, &back, &error));
    assert_memory_equal(&back, &good, sizeof good);
    assert_false(protocol_parse_result(bytes, 47, &back, &error));

    for (size_t i = 0; i < 7; i++)
        bad[i] = good;
    bad[0].bitrate_kbps = 0;
    bad[1].bitrate_kbps = 321;
    bad[2].sample_rate_hz = 0;
    bad[3].sample_rate_hz = 96000;
    bad[4].channels = 0;
    bad[5].channels = 3;
    bad[6].is_truncated = 2;
    for (size_t i = 0; i < 7; i++) {
        protocol_format_result(&bad[i], bytes);
        assert_false(protocol_parse_result(bytes, 48, &back, &error));
    }
}

static bool parse_failure(const char *payload, size_t size, struct protocol_failure *out)
{
    struct error error = {0};
    return protocol_parse_failure((const unsigned char *)payload, size, out, &error);
}

static void a_failure_names_a_row_that_is_a_workers(void **state)
{
    (void)state;
    struct protocol_failure failure;
    assert_true(parse_failure("no_audio\0why", 12, &failure));
    assert_ptr_equal(failure.failure, &FAILURE_NO_AUDIO);
    assert_string_equal(failure.text, "why");
    assert_true(parse_failure("no_audio\0\x1b[2Jwhy\nnot", 20, &failure));
    assert_string_equal(failure.text, "[2Jwhynot"); /* nothing that a terminal obeys */

    assert_false(parse_failure("no_audio", 8, &failure));          /* no NUL */
    assert_false(parse_failure("nothing\0why", 11, &failure));     /* no such row */
    assert_false(parse_failure("queue_full\0why", 14, &failure));  /* not a worker's */
    assert_false(parse_failure("invalid_token\0x", 15, &failure)); /* not a worker's */
    assert_false(parse_failure("", 0, &failure));
    static char large[PROTOCOL_CODE_SIZE + PROTOCOL_TEXT_SIZE + 1] = "damaged";
    assert_false(parse_failure(large, sizeof large, &failure));
}

static void a_cause_that_is_not_the_inputs_is_told_as_internal(void **state)
{
    (void)state;
    struct error error = {0};
    struct error causes[3] = {{0}, {0}, {0}};
    static const char *const codes[] = {"internal", "internal", "damaged"};
    error_set(&causes[0], ERROR_UNAVAILABLE, "a bug");
    error_set_failure(&causes[1], ERROR_UNAVAILABLE, &FAILURE_DISK_FULL, "the disk");
    error_set_failure(&causes[2], ERROR_BAD_INPUT, &FAILURE_DAMAGED, "%0230d", 7);
    for (size_t i = 0; i < 3; i++) {
        struct protocol_failure failure;
        struct buffer payload = BUFFER_WITH_MAX(PROTOCOL_CODE_SIZE + PROTOCOL_TEXT_SIZE);
        assert_true(protocol_format_failure(&causes[i], &payload, &error));
        assert_true(parse_failure(payload.bytes, payload.size, &failure));
        assert_string_equal(failure.failure->code, codes[i]);
        buffer_finish(&payload);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_job_survives_the_way_there_and_back),
        cmocka_unit_test(jobs_that_are_none_are_refused),
        cmocka_unit_test(headers_are_bounded),
        cmocka_unit_test(ranges_are_bounded),
        cmocka_unit_test(a_write_needs_bytes_and_not_too_many),
        cmocka_unit_test(a_result_is_one_that_an_mp3_can_have),
        cmocka_unit_test(a_failure_names_a_row_that_is_a_workers),
        cmocka_unit_test(a_cause_that_is_not_the_inputs_is_told_as_internal),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

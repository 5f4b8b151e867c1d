/* Stands in for tapedeck-worker in test_worker_process.c: behaves as the job's title says. */

#include "sandbox/protocol.h"
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define CHANNEL_FD 3

static unsigned char answer[PROTOCOL_FRAME_SIZE_MAX];

static void say(const void *bytes, size_t size)
{
    const char *at = bytes;
    while (size > 0) {
        ssize_t sent = send(CHANNEL_FD, at, size, MSG_NOSIGNAL);
        if (sent <= 0)
            _exit(3);
        at += sent;
        size -= (size_t)sent;
    }
}

static void say_frame(enum protocol_type type, const void *payload, size_t size)
{
    unsigned char header[PROTOCOL_HEADER_SIZE];
    protocol_format_header(type, (uint32_t)size, header);
    say(header, sizeof header);
    say(payload, size);
}

static void hear(void *bytes, size_t size)
{
    if (recv(CHANNEL_FD, bytes, size, MSG_WAITALL) != (ssize_t)size)
        _exit(4);
}

static void ask(uint64_t offset, uint32_t size)
{
    unsigned char payload[12];
    protocol_format_read(&(struct protocol_read){offset, size}, payload);
    say_frame(PROTOCOL_READ, payload, sizeof payload);
}

static size_t hear_answer(void)
{
    struct protocol_header header;
    unsigned char bytes[PROTOCOL_HEADER_SIZE];
    hear(bytes, sizeof bytes);
    if (!protocol_parse_header(bytes, &header, NULL) || header.type != PROTOCOL_DATA)
        _exit(5);
    if (header.size > 0)
        hear(answer, header.size);
    return header.size;
}

static void put(uint64_t offset, size_t size)
{
    static unsigned char payload[8 + PROTOCOL_RANGE_SIZE_MAX];
    protocol_format_write_offset(offset, payload);
    memset(payload + 8, 'm', size);
    say_frame(PROTOCOL_WRITE, payload, 8 + size);
}

static uint64_t prepared_us;

static void tell_progress(uint64_t position_us)
{
    const struct protocol_progress progress = {
        .position_us = position_us,
        .prepared_us = prepared_us,
    };
    unsigned char payload[40];
    protocol_format_progress(&progress, payload);
    say_frame(PROTOCOL_PROGRESS, payload, sizeof payload);
}

static void tell_prepared(uint64_t us)
{
    prepared_us = us;
    tell_progress(0);
}

static void claim(uint64_t size_bytes, uint64_t samples)
{
    const struct protocol_result result = {
        .size_bytes = size_bytes,
        .samples = samples,
        .frames = 1000,
        .bitrate_kbps = 128,
        .sample_rate_hz = 44100,
        .channels = 2,
    };
    unsigned char payload[48];
    protocol_format_result(&result, payload);
    say_frame(PROTOCOL_RESULT, payload, sizeof payload);
}

static void fail(const char *payload, size_t size)
{
    say_frame(PROTOCOL_FAILURE, payload, size);
}

/* ---- Good ones ---- */

static void convert(void)
{
    ask(0, 1000);
    hear_answer();
    put(0, 1000);
    tell_progress(1000000);
    put(10, 400);
    claim(1000, 44100);
}

static void convert_large(void)
{
    for (uint64_t i = 0; i < 40; i++) {
        ask(0, PROTOCOL_RANGE_SIZE_MAX);
        hear_answer();
        put(i * PROTOCOL_RANGE_SIZE_MAX, PROTOCOL_RANGE_SIZE_MAX);
    }
    claim(40 * PROTOCOL_RANGE_SIZE_MAX, 44100);
}

/* More than the socket holds, while what it holds the other way is not taken. */
static void convert_before_the_answer(void)
{
    ask(0, PROTOCOL_RANGE_SIZE_MAX);
    for (uint64_t i = 0; i < 8; i++)
        put(i * PROTOCOL_RANGE_SIZE_MAX, PROTOCOL_RANGE_SIZE_MAX);
    hear_answer();
    claim(8 * PROTOCOL_RANGE_SIZE_MAX, 44100);
}

static void convert_byte_by_byte(void)
{
    unsigned char frame[PROTOCOL_HEADER_SIZE + 8 + 4] = {0};
    protocol_format_header(PROTOCOL_WRITE, 12, frame);
    for (size_t i = 0; i < sizeof frame; i++) {
        say(frame + i, 1);
        usleep(5000);
    }
    claim(4, 1000);
}

static void find_no_audio(void)
{
    fail("no_audio\0\x1b[31mnone", sizeof "no_audio\0\x1b[31mnone" - 1);
}

/* ---- Against the rules ---- */

static void send_unknown_type(void)
{
    say("\x7f\0\0\0\0\0\0\0", 8);
}

static void send_too_large_a_frame(void)
{
    say("\4\0\0\0\xff\xff\xff\xff", 8);
}

static void send_empty_write(void)
{
    say_frame(PROTOCOL_WRITE, "", 0);
}

static void write_no_bytes(void)
{
    put(0, 0);
}

static void send_short_read(void)
{
    say_frame(PROTOCOL_READ, "abc", 3);
}

static void read_past_end(void)
{
    ask(PROTOCOL_RANGE_SIZE_MAX - 1, 2);
}

static void write_with_gap(void)
{
    put(1, 100);
}

static void write_past_limit(void)
{
    for (uint64_t i = 0;; i++)
        put(i * PROTOCOL_RANGE_SIZE_MAX, PROTOCOL_RANGE_SIZE_MAX);
}

static void write_after_last(void)
{
    put(0, 100);
    put(0, 10);
    put(100, 10);
}

static void claim_wrong_size(void)
{
    put(0, 1000);
    claim(1001, 44100);
}

static void claim_nothing(void)
{
    claim(0, 0);
}

static void claim_too_long_sound(void)
{
    put(0, 1000);
    claim(1000, 44100 * 11);
}

static void go_back_in_time(void)
{
    tell_progress(2);
    tell_progress(1);
}

static void ask_twice_at_once(void)
{
    unsigned char frames[2][PROTOCOL_HEADER_SIZE + 12];
    for (size_t i = 0; i < 2; i++) {
        protocol_format_header(PROTOCOL_READ, 12, frames[i]);
        protocol_format_read(&(struct protocol_read){0, 1000}, frames[i] + PROTOCOL_HEADER_SIZE);
    }
    say(frames, sizeof frames);
}

static void send_a_job(void)
{
    say_frame(PROTOCOL_JOB, "{}", 2);
}

static void send_data(void)
{
    say_frame(PROTOCOL_DATA, "abc", 3);
}

static void accuse_the_gateway(void)
{
    fail("queue_full\0why", sizeof "queue_full\0why" - 1);
}

static void fail_by_itself(void)
{
    fail("internal\0a bug", sizeof "internal\0a bug" - 1);
}

/* ---- Ends ---- */

static void crash(void)
{
    signal(SIGSEGV, SIG_DFL); /* before the sanitizers' own handler */
    raise(SIGSEGV);
}

static void leave(void)
{
    _exit(7);
}

static void leave_in_the_middle_of_a_frame(void)
{
    say("\4\0\0\0\x64\0\0\0abc", 11);
    _exit(0);
}

static void close_and_live_on(void)
{
    close(CHANNEL_FD);
    pause();
}

/* ---- No end ---- */

static void be_silent(void)
{
    pause();
}

static void tell_progress_for_ever(void)
{
    for (uint64_t i = 0;; i++)
        tell_progress(i);
}

static void prepare_for_ever(void)
{
    for (uint64_t i = 0;; i++) {
        tell_prepared(i * 10000000);
        usleep(100000);
    }
}

/* As much as it may at first, and then more. */
static void prepare_too_much(void)
{
    tell_prepared(UINT64_C(1000000) * 60 * 60);
    tell_prepared(UINT64_C(1000000) * 60 * 60 * 24 * 366);
}

static void prepare_slowly(void)
{
    for (uint64_t i = 0;; i++) {
        tell_prepared(i);
        usleep(20000);
    }
}

/* Slower than it may stall, faster than it plays; then the MP3. */
static void prepare_and_convert(void)
{
    for (uint64_t i = 0; i < 8; i++) {
        tell_prepared(i * 1000000);
        usleep(200000);
    }
    convert();
}

static void read_for_ever(void)
{
    for (;;) {
        ask(0, 1000);
        hear_answer();
    }
}

static void never_take_the_answer(void)
{
    ask(0, PROTOCOL_RANGE_SIZE_MAX);
    pause();
}

static void write_for_ever(void)
{
    for (uint64_t i = 0;; i++) {
        put(i, 1);
        usleep(20000);
    }
}

static const struct {
    const char *name;
    void (*run)(void);
} behaviours[] = {
    {"convert", convert},
    {"convert_large", convert_large},
    {"convert_before_the_answer", convert_before_the_answer},
    {"convert_byte_by_byte", convert_byte_by_byte},
    {"find_no_audio", find_no_audio},
    {"send_unknown_type", send_unknown_type},
    {"send_too_large_a_frame", send_too_large_a_frame},
    {"send_empty_write", send_empty_write},
    {"write_no_bytes", write_no_bytes},
    {"send_short_read", send_short_read},
    {"read_past_end", read_past_end},
    {"write_with_gap", write_with_gap},
    {"write_past_limit", write_past_limit},
    {"write_after_last", write_after_last},
    {"claim_wrong_size", claim_wrong_size},
    {"claim_nothing", claim_nothing},
    {"claim_too_long_sound", claim_too_long_sound},
    {"go_back_in_time", go_back_in_time},
    {"ask_twice_at_once", ask_twice_at_once},
    {"send_a_job", send_a_job},
    {"send_data", send_data},
    {"accuse_the_gateway", accuse_the_gateway},
    {"fail_by_itself", fail_by_itself},
    {"crash", crash},
    {"leave", leave},
    {"leave_in_the_middle_of_a_frame", leave_in_the_middle_of_a_frame},
    {"close_and_live_on", close_and_live_on},
    {"be_silent", be_silent},
    {"tell_progress_for_ever", tell_progress_for_ever},
    {"prepare_for_ever", prepare_for_ever},
    {"prepare_too_much", prepare_too_much},
    {"prepare_unasked", prepare_for_ever},
    {"prepare_slowly", prepare_slowly},
    {"prepare_and_convert", prepare_and_convert},
    {"read_for_ever", read_for_ever},
    {"never_take_the_answer", never_take_the_answer},
    {"write_for_ever", write_for_ever},
};

int main(void)
{
    unsigned char bytes[PROTOCOL_HEADER_SIZE];
    static char payload[PROTOCOL_JOB_SIZE_MAX];
    struct protocol_header header;
    struct protocol_job job;
    if (recv(CHANNEL_FD, bytes, sizeof bytes, MSG_WAITALL) == 0)
        return EXIT_SUCCESS; /* nobody had a job */
    if (!protocol_parse_header(bytes, &header, NULL) || header.size > sizeof payload)
        return EXIT_FAILURE;
    hear(payload, header.size);
    if (!protocol_parse_job(payload, header.size, &job, NULL))
        return EXIT_FAILURE;
    for (size_t i = 0; i < ARRAY_COUNT(behaviours); i++)
        if (strcmp(job.options.title, behaviours[i].name) == 0)
            behaviours[i].run();
    pause(); /* until it is killed */
    return EXIT_FAILURE;
}

#include "base/id.h"

#include "base/clock.h"
#include <ctype.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

static pthread_once_t process_once = PTHREAD_ONCE_INIT;
static unsigned char process_bytes[5];
static _Atomic uint32_t counter;

void random_fill(void *bytes, size_t size)
{
    unsigned char *at = bytes;
    while (size != 0) {
        ssize_t got = getrandom(at, size, 0);
        if (got < 0)
            abort();
        at += got;
        size -= (size_t)got;
    }
}

static void draw_process_bytes(void)
{
    uint32_t first;
    random_fill(process_bytes, sizeof process_bytes);
    random_fill(&first, sizeof first);
    atomic_store(&counter, first);
}

/* A forked child must not go on with its parent's random bytes and counter. */
static void register_process_bytes(void)
{
    draw_process_bytes();
    if (pthread_atfork(NULL, NULL, draw_process_bytes) != 0)
        abort();
}

struct id id_from_bytes(const unsigned char bytes[ID_BYTES])
{
    static const char digits[] = "0123456789abcdef";
    struct id id = {{0}};
    for (int i = 0; i < ID_BYTES; i++) {
        id.text[2 * i] = digits[bytes[i] >> 4];
        id.text[2 * i + 1] = digits[bytes[i] & 15];
    }
    return id;
}

struct id id_make(void)
{
    pthread_once(&process_once, register_process_bytes);
    uint32_t seconds = (uint32_t)(clock_wall_ms() / 1000);
    uint32_t count = atomic_fetch_add(&counter, 1);
    unsigned char bytes[ID_BYTES] = {
        (unsigned char)(seconds >> 24),
        (unsigned char)(seconds >> 16),
        (unsigned char)(seconds >> 8),
        (unsigned char)seconds,
    };
    memcpy(bytes + 4, process_bytes, sizeof process_bytes);
    bytes[9] = (unsigned char)(count >> 16);
    bytes[10] = (unsigned char)(count >> 8);
    bytes[11] = (unsigned char)count;
    return id_from_bytes(bytes);
}

struct id id_make_random(void)
{
    unsigned char bytes[ID_BYTES];
    random_fill(bytes, sizeof bytes);
    return id_from_bytes(bytes);
}

bool id_parse(const char *text, struct id *out_id, struct error *error)
{
    struct id id = {{0}};
    if (strnlen(text, sizeof id.text) != 2 * ID_BYTES)
        return error_set(error, ERROR_BAD_INPUT, "not an id: 24 hex digits expected");
    for (size_t i = 0; i < 2 * ID_BYTES; i++) {
        if (!isxdigit((unsigned char)text[i]))
            return error_set(error, ERROR_BAD_INPUT, "not an id: 24 hex digits expected");
        id.text[i] = (char)(tolower)((unsigned char)text[i]);
    }
    *out_id = id;
    return true;
}

bool id_is_none(const struct id *id)
{
    return id->text[0] == '\0';
}

bool id_is_equal(const struct id *a, const struct id *b)
{
    return strcmp(a->text, b->text) == 0;
}

int64_t id_made_ms(const struct id *id)
{
    char seconds[9] = {0};
    memcpy(seconds, id->text, 8);
    return (int64_t)strtoull(seconds, NULL, 16) * 1000;
}

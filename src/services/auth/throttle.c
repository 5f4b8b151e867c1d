#include "services/auth/throttle.h"

#include "base/compiler.h"
#include "base/id.h"
#include <arpa/inet.h>
#include <assert.h>
#include <pthread.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#define SETS 2048
#define WAYS 4

struct entry {
    uint64_t key; /* keyed hash; 0: free */
    double level; /* attempts, as of at_ms */
    int64_t at_ms;
    double max; /* what drains away in a window */
};

struct throttle {
    /* Set by throttle_create(), then read-only. */
    uint64_t pair_max;
    unsigned char hash_key[crypto_shorthash_KEYBYTES];

    /* Guarded by lock. */
    pthread_mutex_t lock;
    struct entry sets[SETS][WAYS];
};

enum subject { PAIR, ADDRESS, EMAIL, SUBJECTS };

struct throttle *throttle_create(uint64_t pair_max)
{
    struct throttle *throttle = calloc(1, sizeof *throttle);
    if (throttle == NULL)
        abort();
    throttle->pair_max = pair_max;
    random_fill(throttle->hash_key, sizeof throttle->hash_key);
    pthread_mutex_init(&throttle->lock, NULL);
    return throttle;
}

void throttle_destroy(struct throttle *throttle)
{
    if (throttle == NULL)
        return;
    pthread_mutex_destroy(&throttle->lock);
    free(throttle);
}

static uint64_t hash(const struct throttle *throttle, const void *bytes, size_t size)
{
    uint64_t value = 0;
    static_assert(sizeof value == crypto_shorthash_BYTES, "a hash is a number");
    crypto_shorthash((unsigned char *)&value, bytes, size, throttle->hash_key);
    return value;
}

/* Who has one IPv6 address has the whole network of 64 bits that it lies in (RFC 6177). */
static uint64_t hash_address(const struct throttle *throttle, const char *address)
{
    struct in6_addr v6;
    if (inet_pton(AF_INET6, address, &v6) == 1 && !IN6_IS_ADDR_V4MAPPED(&v6))
        return hash(throttle, &v6, 8);
    return hash(throttle, address, strlen(address));
}

static void make_keys(const struct throttle *throttle, const char *email, const char *address,
                      uint64_t out_keys[SUBJECTS])
{
    const uint64_t parts[] = {hash(throttle, email, strlen(email)),
                              hash_address(throttle, address)};
    out_keys[PAIR] = hash(throttle, parts, sizeof parts);
    out_keys[EMAIL] = parts[0];
    /* An email that reads like an address is another subject. */
    out_keys[ADDRESS] = ~parts[1];
    for (int i = 0; i < SUBJECTS; i++)
        if (out_keys[i] == 0)
            out_keys[i] = 1;
}

static double max_of(const struct throttle *throttle, enum subject subject)
{
    static const unsigned factors[] = {
        [PAIR] = 1, [ADDRESS] = THROTTLE_ADDRESS_FACTOR, [EMAIL] = THROTTLE_EMAIL_FACTOR};
    return (double)throttle->pair_max * factors[subject];
}

static double level_at(const struct entry *entry, int64_t now_ms)
{
    double drained = (double)(now_ms - entry->at_ms) / (double)THROTTLE_WINDOW_MS * entry->max;
    double level = entry->level - drained;
    return entry->key != 0 && level > 0 ? level : 0;
}

static struct entry *find(struct throttle *throttle, uint64_t key)
{
    struct entry *set = throttle->sets[key % SETS];
    for (int i = 0; i < WAYS; i++)
        if (set[i].key == key)
            return &set[i];
    return NULL;
}

static struct entry *find_or_take(struct throttle *throttle, uint64_t key, double max,
                                  int64_t now_ms)
{
    struct entry *found = find(throttle, key);
    if (found != NULL)
        return found;
    struct entry *set = throttle->sets[key % SETS];
    struct entry *least = &set[0];
    for (int i = 1; i < WAYS; i++)
        if (level_at(&set[i], now_ms) < level_at(least, now_ms))
            least = &set[i];
    *least = (struct entry){.key = key, .at_ms = now_ms, .max = max};
    return least;
}

static int64_t wait_of(struct throttle *throttle, enum subject subject, uint64_t key,
                       int64_t now_ms)
{
    const struct entry *entry = find(throttle, key);
    double max = max_of(throttle, subject);
    if (entry == NULL)
        return 0;
    double above = level_at(entry, now_ms) + 1 - max;
    return above > 0 ? (int64_t)(above / max * (double)THROTTLE_WINDOW_MS) + 1 : 0;
}

bool throttle_begin(struct throttle *throttle, const char *email, const char *address,
                    int64_t now_ms, int64_t *out_wait_ms)
{
    uint64_t keys[SUBJECTS];
    make_keys(throttle, email, address, keys);
    int64_t wait_ms = 0;
    pthread_mutex_lock(&throttle->lock);
    for (int i = 0; i < SUBJECTS; i++) {
        int64_t subject_ms = wait_of(throttle, (enum subject)i, keys[i], now_ms);
        wait_ms = subject_ms > wait_ms ? subject_ms : wait_ms;
    }
    for (int i = 0; i < SUBJECTS && wait_ms == 0; i++) {
        double max = max_of(throttle, (enum subject)i);
        struct entry *entry = find_or_take(throttle, keys[i], max, now_ms);
        entry->level = level_at(entry, now_ms) + 1;
        entry->at_ms = now_ms;
    }
    pthread_mutex_unlock(&throttle->lock);
    if (wait_ms == 0)
        return true;
    *out_wait_ms = wait_ms;
    return false;
}

void throttle_take_back(struct throttle *throttle, const char *email, const char *address)
{
    uint64_t keys[SUBJECTS];
    make_keys(throttle, email, address, keys);
    pthread_mutex_lock(&throttle->lock);
    for (int i = 0; i < SUBJECTS; i++) {
        struct entry *entry = find(throttle, keys[i]);
        if (entry != NULL)
            entry->level -= entry->level >= 1 ? 1 : entry->level;
    }
    pthread_mutex_unlock(&throttle->lock);
}

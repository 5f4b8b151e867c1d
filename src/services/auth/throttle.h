#pragma once

/* Slows down the guessing of passwords. Each attempt counts against the pair of email and address,
 * against the address and against the email, and is taken back when it succeeds; what is counted
 * drains away steadily. The email alone has the widest bound, so that a stranger can hardly lock a
 * user out; the pair the narrowest. Of an IPv6 address only the network, its first 64 bits, counts.
 *
 * The table has a fixed size: in a flood the entries with the fewest attempts go first.
 * Thread-safe.
 */

#include <stdbool.h>
#include <stdint.h>

struct throttle;

#define THROTTLE_WINDOW_MS INT64_C(300000) /* in which the bound drains away */
#define THROTTLE_ADDRESS_FACTOR 10         /* times the bound of the pair */
#define THROTTLE_EMAIL_FACTOR 20

struct throttle *throttle_create(uint64_t pair_max);
void throttle_destroy(struct throttle *throttle); /* NULL is fine */

/* False: too many attempts; *out_wait_ms is when the next may be made. */
bool throttle_begin(struct throttle *throttle, const char *email, const char *address,
                    int64_t now_ms, int64_t *out_wait_ms);
/* The attempt that began was right, or was not made after all. */
void throttle_take_back(struct throttle *throttle, const char *email, const char *address);

#pragma once

/* Sends the messages that follow a durable step. Their loss costs latency only (the record's due_at
 * finds what a lost message would have told), so one try each, two seconds at most, and a queue of
 * a thousand: what does not fit is left to the due time. Never blocks the caller. */

#include "base/error.h"
#include "config/config.h"
#include "model/conversion.h"
#include "stores/job_queue/job_queue.h"

struct publisher;

#define PUBLISHER_WAITING_MAX 1000
#define PUBLISHER_TIMEOUT_MS 2000

/* Starts the thread, with a queue handle of its own; the configuration is borrowed until the close.
 */
MUST_CHECK bool publisher_open(const struct config *config, enum job_queue_name queue,
                               struct publisher **out_publisher, struct error *error);
/* The message about the record: video_fid, mp3_fid, username, conversion_id. Thread-safe. */
void publisher_send(struct publisher *publisher, const struct conversion *record);
/* Sends what waits, for at most timeout_ms and the try that runs, then closes. NULL is fine. */
void publisher_close(struct publisher *publisher, int timeout_ms);

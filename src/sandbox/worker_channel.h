#pragma once

/* The worker's end of the protocol. Every call blocks; the other side's end of the socket being
 * closed ends each with ERROR_UNAVAILABLE, and with that the worker.
 *
 * One thread reads, any thread may send. The functions that media_io wants take the channel as
 * their context. */

#include "sandbox/protocol.h"

struct worker_channel;

/* Before the process is confined. */
void worker_channel_open(int fd, struct worker_channel **out_channel); /* fd stays the caller's */
void worker_channel_close(struct worker_channel *channel);             /* NULL is fine */

/* Waits for the first frame; *out_is_closed: nobody will ever send one. */
MUST_CHECK bool worker_channel_receive_job(struct worker_channel *channel,
                                           struct protocol_job *out_job, bool *out_is_closed,
                                           struct error *error);

/* At most PROTOCOL_RANGE_SIZE_MAX; short only at the end, past it nothing. Whoever reads on
 * and on in ranges of that size is read for ahead. */
MUST_CHECK bool worker_channel_read_at(void *channel, uint64_t offset, void *bytes, size_t size,
                                       size_t *out_size, struct error *error);
MUST_CHECK bool worker_channel_write_at(void *channel, uint64_t offset, const void *bytes,
                                        size_t size, struct error *error);
MUST_CHECK bool worker_channel_send_progress(struct worker_channel *channel,
                                             const struct protocol_progress *progress,
                                             struct error *error);
MUST_CHECK bool worker_channel_send_result(struct worker_channel *channel,
                                           const struct protocol_result *result,
                                           struct error *error);
MUST_CHECK bool worker_channel_send_failure(struct worker_channel *channel,
                                            const struct error *cause, struct error *error);

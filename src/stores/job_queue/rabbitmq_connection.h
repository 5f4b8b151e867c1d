#pragma once

/* A connection to the broker that is made by its first use, answers heartbeats whenever it is
 * waited on, and is made anew after it was lost. Only the files rabbitmq*.c include it.
 *
 * The broker may end a channel or the connection at any time. What was under way then fails, and
 * has_ended says that it is worth another try; deliveries of a channel that is gone come back to
 * the queue by themselves. */

#include "stores/job_queue/rabbitmq_settings.h"
#include "stores/job_queue/rabbitmq_tls.h"
#include <amqp.h>
#include <stdint.h>
#include <sys/time.h>

#define RABBITMQ_ANSWER_MS 2000 /* for each question to a broker that is connected */

/* One for each purpose, so that what ends one leaves the others. */
enum rabbitmq_channel {
    RABBITMQ_CONTROL = 1,
    RABBITMQ_TAKE,
    RABBITMQ_PUBLISH,
    RABBITMQ_BROWSE,
    RABBITMQ_CHANNEL_COUNT,
};

struct rabbitmq_connection {
    struct rabbitmq_settings settings;
    const char *name;              /* borrowed; by it an operator knows us */
    amqp_connection_state_t state; /* owned; NULL: the next use connects */
    struct rabbitmq_tls tls;       /* the state's */
    bool is_open[RABBITMQ_CHANNEL_COUNT];
    char blocked[120];      /* why the broker takes no messages; "": it does */
    int64_t served_boot_ms; /* heartbeats were last seen to */
    bool has_ended;         /* the last failure was the broker's end of it */

    /* While it cannot be made: when to try again, and what to say until then. */
    int64_t retry_boot_ms;
    unsigned failures;
    struct error failure;
};

MUST_CHECK bool rabbitmq_connection_init(struct rabbitmq_connection *connection,
                                         const struct config *config, const char *name,
                                         struct error *error);
void rabbitmq_connection_finish(struct rabbitmq_connection *connection); /* a zeroed one is fine */

/* Before every use: connects where it must, within until_boot_ms, and sees to what came in
 * meanwhile. Each question after it is answered by then, or the connection is lost.
 * ERROR_UNAVAILABLE at once while it is too early to try again. */
MUST_CHECK bool rabbitmq_connection_ready(struct rabbitmq_connection *connection,
                                          int64_t until_boot_ms, struct error *error);
/* Without a word: for one that is not trusted any more. */
void rabbitmq_connection_drop(struct rabbitmq_connection *connection);

/* All below need a connection that is ready. */

/* Waits, and sees to what comes in meanwhile. */
MUST_CHECK bool rabbitmq_connection_rest(struct rabbitmq_connection *connection, int64_t ms,
                                         struct error *error);

/* *out_is_new (may be NULL): it was not open, and needs its settings. */
MUST_CHECK bool rabbitmq_channel_open(struct rabbitmq_connection *connection,
                                      enum rabbitmq_channel channel, bool *out_is_new,
                                      struct error *error);
/* What it was given and did not settle goes back to the queue. */
MUST_CHECK bool rabbitmq_channel_close(struct rabbitmq_connection *connection,
                                       enum rabbitmq_channel channel, struct error *error);

/* Did the library's call get its answer? NOT_FOUND, DENIED, CONFLICT: the broker says so, and the
 * channel is closed. */
MUST_CHECK bool rabbitmq_answered(struct rabbitmq_connection *connection,
                                  enum rabbitmq_channel channel, amqp_rpc_reply_t reply,
                                  struct error *error);
/* The same for a call that only sends. */
MUST_CHECK bool rabbitmq_sent(struct rabbitmq_connection *connection, int status,
                              struct error *error);

enum rabbitmq_event {
    RABBITMQ_FRAME,     /* a method of the channel */
    RABBITMQ_OTHER,     /* something else was seen to: look again */
    RABBITMQ_INTERRUPT, /* interrupt_fd is readable */
    RABBITMQ_SILENCE,   /* until until_boot_ms */
};

/* Waits for what comes by the channel. False: the channel or the connection is gone. */
MUST_CHECK bool rabbitmq_next(struct rabbitmq_connection *connection, enum rabbitmq_channel channel,
                              int64_t until_boot_ms, int interrupt_fd, amqp_frame_t *out_frame,
                              enum rabbitmq_event *out_event, struct error *error);

/* After a method that carries a message: calls begin() with its properties, and add() with each
 * piece of its body; both may be NULL. What add() is not told is thrown away. */
struct rabbitmq_sink {
    void (*begin)(void *context, const amqp_basic_properties_t *properties);
    void (*add)(void *context, const void *bytes, size_t size);
    void *context;
};
MUST_CHECK bool rabbitmq_read_content(struct rabbitmq_connection *connection,
                                      enum rabbitmq_channel channel,
                                      const struct rabbitmq_sink *sink, struct error *error);

/* Text from the broker, cut, without what a terminal would obey. */
void rabbitmq_copy_text(char *out_text, size_t size, amqp_bytes_t bytes);

/* ---- rabbitmq_connect.c ---- */

/* One try; only rabbitmq_connection.c calls it. */
MUST_CHECK bool rabbitmq_connect(struct rabbitmq_connection *connection, int64_t until_boot_ms,
                                 struct error *error);
/* At least a millisecond: none would be no limit. */
struct timeval rabbitmq_timeval(int64_t ms);
/* Drops it, and says why; always false. */
bool rabbitmq_lose(struct rabbitmq_connection *connection, enum error_kind kind, const char *reason,
                   struct error *error);

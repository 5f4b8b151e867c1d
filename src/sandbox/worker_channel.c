#include "sandbox/worker_channel.h"

#include <assert.h>
#include <errno.h>
#include <jansson.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/uio.h>

struct worker_channel {
    /* Set by worker_channel_open(), and the size by the job; then read-only. */
    int fd;
    uint64_t input_size;

    /* Held while a frame goes out, so that frames of two threads do not mix. */
    pthread_mutex_t send_lock;

    /* The reading thread's. */
    uint64_t read_end;          /* of what was read last */
    unsigned read_on;           /* how often in a row, in the longest ranges */
    struct protocol_read asked; /* ahead, and not received yet; a size of 0: nothing */
};

void worker_channel_open(int fd, struct worker_channel **out_channel)
{
    struct worker_channel *channel = calloc(1, sizeof *channel);
    if (channel == NULL)
        abort();
    channel->fd = fd;
    channel->input_size = PROTOCOL_SIZE_UNKNOWN;
    pthread_mutex_init(&channel->send_lock, NULL);
    /* For the first object of all, that of the job, jansson would open /dev/urandom. */
    json_object_seed(0);
    *out_channel = channel;
}

void worker_channel_close(struct worker_channel *channel)
{
    if (channel == NULL)
        return;
    pthread_mutex_destroy(&channel->send_lock);
    free(channel);
}

static bool receive(struct worker_channel *channel, void *bytes, size_t size, bool *out_is_closed,
                    struct error *error)
{
    size_t got = 0;
    while (got < size) {
        ssize_t part = recv(channel->fd, (char *)bytes + got, size - got, MSG_WAITALL);
        if (part < 0 && errno == EINTR)
            continue;
        if (part < 0)
            return error_set_errno(error, errno, "receive");
        if (part == 0) {
            *out_is_closed = got == 0;
            return error_set(error, ERROR_UNAVAILABLE, "the other side is gone");
        }
        got += (size_t)part;
    }
    return true;
}

static bool receive_header(struct worker_channel *channel, enum protocol_type type,
                           uint32_t size_max, uint32_t *out_size, bool *out_is_closed,
                           struct error *error)
{
    unsigned char bytes[PROTOCOL_HEADER_SIZE];
    struct protocol_header header;
    if (!receive(channel, bytes, sizeof bytes, out_is_closed, error) ||
        !protocol_parse_header(bytes, &header, error))
        return false;
    if (header.type != type || header.size > size_max)
        return error_set(error, ERROR_BAD_INPUT, "a frame of type %d with %u bytes, not of type %d",
                         (int)header.type, header.size, (int)type);
    *out_size = header.size;
    return true;
}

static bool send_all(struct worker_channel *channel, struct iovec *parts, size_t count,
                     struct error *error)
{
    struct msghdr message = {.msg_iov = parts, .msg_iovlen = count};
    while (message.msg_iovlen > 0) {
        ssize_t sent = sendmsg(channel->fd, &message, MSG_NOSIGNAL);
        if (sent < 0 && errno == EINTR)
            continue;
        if (sent < 0)
            return error_set_errno(error, errno, "send");
        size_t left = (size_t)sent;
        while (message.msg_iovlen > 0 && left >= message.msg_iov->iov_len) {
            left -= message.msg_iov->iov_len;
            message.msg_iov++;
            message.msg_iovlen--;
        }
        if (message.msg_iovlen > 0) {
            message.msg_iov->iov_base = (char *)message.msg_iov->iov_base + left;
            message.msg_iov->iov_len -= left;
        }
    }
    return true;
}

/* iovec has no const, and sendmsg() does not write to what it sends (POSIX). */
static void *without_const(const void *bytes)
{
    union {
        const void *with;
        void *without;
    } pointer = {.with = bytes};
    return pointer.without;
}

/* The payload in two pieces; the second may be empty. */
static bool send_frame(struct worker_channel *channel, enum protocol_type type, const void *head,
                       size_t head_size, const void *bytes, size_t size, struct error *error)
{
    unsigned char header[PROTOCOL_HEADER_SIZE];
    protocol_format_header(type, (uint32_t)(head_size + size), header);
    struct iovec parts[] = {
        {.iov_base = header, .iov_len = sizeof header},
        {.iov_base = without_const(head), .iov_len = head_size},
        {.iov_base = without_const(bytes), .iov_len = size},
    };
    pthread_mutex_lock(&channel->send_lock);
    bool is_sent = send_all(channel, parts, ARRAY_COUNT(parts), error);
    pthread_mutex_unlock(&channel->send_lock);
    return is_sent;
}

bool worker_channel_receive_job(struct worker_channel *channel, struct protocol_job *out_job,
                                bool *out_is_closed, struct error *error)
{
    char payload[PROTOCOL_JOB_SIZE_MAX];
    uint32_t size = 0;
    *out_is_closed = false;
    if (!receive_header(channel, PROTOCOL_JOB, sizeof payload, &size, out_is_closed, error) ||
        !receive(channel, payload, size, out_is_closed, error) ||
        !protocol_parse_job(payload, size, out_job, error))
        return false;
    channel->input_size = out_job->input_size;
    return true;
}

static struct protocol_read range_of(const struct worker_channel *channel, uint64_t offset,
                                     size_t size)
{
    uint64_t left = offset < channel->input_size ? channel->input_size - offset : 0;
    return (struct protocol_read){.offset = offset, .size = (uint32_t)(size < left ? size : left)};
}

static bool ask(struct worker_channel *channel, const struct protocol_read *read,
                struct error *error)
{
    unsigned char payload[12];
    protocol_format_read(read, payload);
    channel->asked = *read;
    return send_frame(channel, PROTOCOL_READ, payload, sizeof payload, NULL, 0, error);
}

/* What was asked for, into `bytes`, or nowhere if that is NULL. */
static bool receive_asked(struct worker_channel *channel, unsigned char *bytes, uint32_t *out_size,
                          struct error *error)
{
    unsigned char unwanted[4096];
    uint32_t size = 0;
    bool is_closed;
    if (!receive_header(channel, PROTOCOL_DATA, channel->asked.size, &size, &is_closed, error))
        return false;
    channel->asked.size = 0;
    *out_size = size;
    if (bytes != NULL)
        return receive(channel, bytes, size, &is_closed, error);
    for (size_t part; size > 0; size -= (uint32_t)part) {
        part = size < sizeof unwanted ? size : sizeof unwanted;
        if (!receive(channel, unwanted, part, &is_closed, error))
            return false;
    }
    return true;
}

static bool drop_asked(struct worker_channel *channel, struct error *error)
{
    uint32_t size;
    return channel->asked.size == 0 || receive_asked(channel, NULL, &size, error);
}

/* Whoever has read on through 4 MiB reads to the end, and wants the next range, which is on its way
 * while this one is looked at. Who takes the sound out of a film, and leaves the pictures, jumps
 * before. Not of a pipe: nobody should wait for it before it has to be. */
#define READ_ON_LEAST 16

static bool ask_ahead(struct worker_channel *channel, struct error *error)
{
    struct protocol_read next = range_of(channel, channel->read_end, PROTOCOL_RANGE_SIZE_MAX);
    return next.size == 0 || channel->input_size == PROTOCOL_SIZE_UNKNOWN ||
           ask(channel, &next, error);
}

bool worker_channel_read_at(void *context, uint64_t offset, void *bytes, size_t size,
                            size_t *out_size, struct error *error)
{
    struct worker_channel *channel = context;
    assert(size <= PROTOCOL_RANGE_SIZE_MAX);
    const struct protocol_read read = range_of(channel, offset, size);
    *out_size = 0;
    if (read.size == 0)
        return true;

    bool reads_on = offset == channel->read_end && size == PROTOCOL_RANGE_SIZE_MAX;
    bool is_asked = channel->asked.offset == read.offset && channel->asked.size == read.size;
    uint32_t got = 0;
    if ((!is_asked && (!drop_asked(channel, error) || !ask(channel, &read, error))) ||
        !receive_asked(channel, bytes, &got, error))
        return false;
    channel->read_end = offset + got;
    channel->read_on = reads_on ? channel->read_on + 1 : 0;
    if (channel->read_on >= READ_ON_LEAST && got == size && !ask_ahead(channel, error))
        return false;
    *out_size = got;
    return true;
}

bool worker_channel_write_at(void *context, uint64_t offset, const void *bytes, size_t size,
                             struct error *error)
{
    struct worker_channel *channel = context;
    assert(size <= PROTOCOL_RANGE_SIZE_MAX);
    unsigned char head[8];
    protocol_format_write_offset(offset, head);
    return send_frame(channel, PROTOCOL_WRITE, head, sizeof head, bytes, size, error);
}

bool worker_channel_send_progress(struct worker_channel *channel,
                                  const struct protocol_progress *progress, struct error *error)
{
    unsigned char payload[40];
    protocol_format_progress(progress, payload);
    return send_frame(channel, PROTOCOL_PROGRESS, payload, sizeof payload, NULL, 0, error);
}

bool worker_channel_send_result(struct worker_channel *channel,
                                const struct protocol_result *result, struct error *error)
{
    unsigned char payload[48];
    protocol_format_result(result, payload);
    /* Whoever closes a socket with something in it breaks off what the other side still sends. */
    return drop_asked(channel, error) &&
           send_frame(channel, PROTOCOL_RESULT, payload, sizeof payload, NULL, 0, error);
}

bool worker_channel_send_failure(struct worker_channel *channel, const struct error *cause,
                                 struct error *error)
{
    struct buffer payload = BUFFER_WITH_MAX(PROTOCOL_CODE_SIZE + PROTOCOL_TEXT_SIZE);
    bool is_sent =
        drop_asked(channel, error) && protocol_format_failure(cause, &payload, error) &&
        send_frame(channel, PROTOCOL_FAILURE, payload.bytes, payload.size, NULL, 0, error);
    buffer_finish(&payload);
    return is_sent;
}

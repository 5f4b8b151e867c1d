#include "net/http_exchange.h"

#include "base/log.h"
#include "model/failure.h"
#include "net/http_spares.h"
#include <stdlib.h>
#include <string.h>

enum action {
    ACTION_NONE,
    ACTION_BEGIN,
    ACTION_BODY,
    ACTION_TICK,
    ACTION_END,
    ACTION_ABORT,
    ACTION_HANDLE,
    ACTION_READ,
    ACTION_CLOSE,
};

/* ---- Pieces ---- */

static void piece_need_bytes(struct http_request *request, struct http_piece *piece)
{
    if (piece->bytes == NULL)
        piece->bytes = http_spares_take(http_server_spares(request->server));
}

static void piece_empty(struct http_request *request, struct http_piece *piece)
{
    http_spares_give(http_server_spares(request->server), piece->bytes);
    *piece = (struct http_piece){0};
}

/* ---- What is to be done next: under the lock ---- */

static bool has_partial_piece(const struct http_request *request)
{
    const struct http_piece *piece = &request->pieces[request->filling];
    return !piece->is_full && piece->size > 0;
}

static void finish_piece(struct http_request *request)
{
    request->pieces[request->filling].is_full = true;
    request->filling ^= 1;
}

/* Full pieces first; what ends the upload, or only ticks, comes after the bytes before it. */
static enum action next_of_upload(struct http_request *request)
{
    if (request->pieces[request->emptying].is_full)
        return ACTION_BODY;
    if (!request->is_over && !request->is_body_complete && !request->is_tick_due)
        return ACTION_NONE;
    if (has_partial_piece(request)) {
        finish_piece(request);
        return ACTION_BODY;
    }
    if (request->is_body_complete && !request->is_over)
        return ACTION_END;
    return request->is_over ? ACTION_ABORT : ACTION_TICK;
}

static enum action next_of_answer(const struct http_request *request)
{
    if (request->answer.kind != HTTP_ANSWER_STREAM || request->source_closed)
        return ACTION_NONE;
    if (request->is_over)
        return ACTION_CLOSE;
    bool can_read = !request->is_head && !request->source_ended && !request->source_failed &&
                    !request->source_waits && !request->pieces[request->filling].is_full;
    return can_read ? ACTION_READ : ACTION_NONE;
}

static enum action next_action(struct http_request *request)
{
    switch (request->phase) {
    case HTTP_PHASE_BEGIN:
        return request->is_over ? ACTION_NONE : ACTION_BEGIN;
    case HTTP_PHASE_HANDLE:
        return request->is_over ? ACTION_NONE : ACTION_HANDLE;
    case HTTP_PHASE_OPEN:
        return next_of_upload(request);
    case HTTP_PHASE_ANSWERED:
        return next_of_answer(request);
    case HTTP_PHASE_HEADERS:
    case HTTP_PHASE_COLLECT:
    case HTTP_PHASE_DISCARD:
        break;
    }
    return ACTION_NONE;
}

void http_exchange_schedule(struct http_request *request)
{
    if (request->is_scheduled || next_action(request) == ACTION_NONE)
        return;
    request->is_scheduled = true;
    request->reference_count++;
    http_pool_submit(http_server_pool(request->server), &request->task, request->thread);
}

void http_exchange_end(struct http_request *request)
{
    pthread_mutex_lock(&request->lock);
    request->is_over = true;
    http_exchange_schedule(request);
    pthread_mutex_unlock(&request->lock);
}

/* ---- Doing it: in the pool thread, without the lock ---- */

static void close_source(struct http_request *request)
{
    const struct http_answer *answer = &request->answer;
    request->source_closed = true;
    if (answer->source->close != NULL)
        answer->source->close(request, answer->source_state);
}

static void answer_instead(struct http_request *request, const char *why)
{
    log_error(why, FIELD_TEXT("route", request->route->path));
    if (request->answer.kind == HTTP_ANSWER_STREAM)
        close_source(request);
    http_answer_finish(&request->answer);
    http_answer_failure(request, &FAILURE_INTERNAL, NULL);
}

static void publish_answer(struct http_request *request)
{
    if (!http_request_is_answered(request))
        answer_instead(request, "handler gave no answer");
    pthread_mutex_lock(&request->lock);
    request->phase = HTTP_PHASE_ANSWERED;
    pthread_mutex_unlock(&request->lock);
}

static void do_begin(struct http_request *request)
{
    request->route->upload->begin(request);
    if (http_request_is_answered(request)) {
        publish_answer(request);
        return;
    }
    pthread_mutex_lock(&request->lock);
    request->phase = HTTP_PHASE_OPEN;
    pthread_mutex_unlock(&request->lock);
}

/* After body() or tick(): an answer there ends the upload. Where the body is complete by now the
 * answer takes the usual way, else it goes out past what the client is still sending. */
static void look_for_early_answer(struct http_request *request)
{
    if (!http_request_is_answered(request))
        return;
    request->route->upload->abort(request);
    if (request->answer.kind != HTTP_ANSWER_BYTES && request->answer.kind != HTTP_ANSWER_STATIC)
        answer_instead(request, "a stream cannot be answered in the middle of an upload");
    pthread_mutex_lock(&request->lock);
    request->phase = HTTP_PHASE_ANSWERED;
    if (!request->is_body_complete && !request->is_over)
        http_server_answer_early(request);
    pthread_mutex_unlock(&request->lock);
}

static void do_body(struct http_request *request)
{
    struct http_piece *piece = &request->pieces[request->emptying];
    request->route->upload->body(request, piece->bytes, piece->size);
    pthread_mutex_lock(&request->lock);
    piece_empty(request, piece);
    request->emptying ^= 1;
    pthread_mutex_unlock(&request->lock);
    look_for_early_answer(request);
}

static void do_tick(struct http_request *request)
{
    if (request->route->upload->tick != NULL)
        request->route->upload->tick(request);
    pthread_mutex_lock(&request->lock);
    request->is_tick_due = false;
    pthread_mutex_unlock(&request->lock);
    look_for_early_answer(request);
}

static void do_abort(struct http_request *request)
{
    request->route->upload->abort(request);
    if (request->answer.kind == HTTP_ANSWER_STREAM)
        close_source(request);
    pthread_mutex_lock(&request->lock);
    request->phase = HTTP_PHASE_ANSWERED;
    pthread_mutex_unlock(&request->lock);
}

static void do_read(struct http_request *request)
{
    const struct http_answer *answer = &request->answer;
    struct http_piece *piece = &request->pieces[request->filling];
    piece_need_bytes(request, piece);
    size_t size = HTTP_PIECE_SIZE, got = 0;
    if (answer->length - request->source_offset < size)
        size = (size_t)(answer->length - request->source_offset);
    enum http_read result = HTTP_READ_MORE;
    if (size > 0)
        result = answer->source->read(request, answer->source_state, request->source_offset,
                                      piece->bytes, size, &got);

    pthread_mutex_lock(&request->lock);
    bool is_draining = http_server_is_draining(request->server);
    if (result == HTTP_READ_WAIT && !is_draining) {
        request->source_waits = true;
    } else if (result == HTTP_READ_MORE && got > 0) {
        piece->size = got;
        piece->sent = 0;
        request->source_offset += got;
        finish_piece(request);
        request->source_ended = request->source_offset == answer->length;
    } else if (result != HTTP_READ_FAIL && answer->length == HTTP_LENGTH_UNKNOWN) {
        request->source_ended = true;
    } else {
        request->source_failed = true; /* also by ending before its length */
    }
    pthread_mutex_unlock(&request->lock);
}

static void do_action(struct http_request *request, enum action action)
{
    switch (action) {
    case ACTION_NONE:
        break;
    case ACTION_BEGIN:
        do_begin(request);
        break;
    case ACTION_BODY:
        do_body(request);
        break;
    case ACTION_TICK:
        do_tick(request);
        break;
    case ACTION_END:
        request->route->upload->end(request);
        publish_answer(request);
        break;
    case ACTION_ABORT:
        do_abort(request);
        break;
    case ACTION_HANDLE:
        request->route->handle(request);
        publish_answer(request);
        break;
    case ACTION_READ:
        do_read(request);
        break;
    case ACTION_CLOSE:
        close_source(request);
        break;
    }
}

bool http_exchange_run(struct http_task *task, int thread, void *thread_state)
{
    struct http_request *request = (struct http_request *)task;
    pthread_mutex_lock(&request->lock);
    request->thread = thread;
    enum action action = next_action(request);
    pthread_mutex_unlock(&request->lock);

    request->thread_state = thread_state;
    log_request_set(request->id);
    do_action(request, action);
    log_request_set(NULL);

    pthread_mutex_lock(&request->lock);
    if (request->is_suspended && !request->source_waits) {
        request->is_suspended = false;
        http_server_resume(request);
    }
    bool is_again = next_action(request) != ACTION_NONE;
    request->is_scheduled = is_again;
    pthread_mutex_unlock(&request->lock);
    if (!is_again)
        http_request_unref(request);
    return is_again;
}

/* ---- Bytes: in the event loop, under the lock ---- */

size_t http_exchange_take_bytes(struct http_request *request, const char *bytes, size_t size)
{
    size_t taken = 0;
    while (taken < size) {
        struct http_piece *piece = &request->pieces[request->filling];
        if (piece->is_full)
            break;
        piece_need_bytes(request, piece);
        size_t count = HTTP_PIECE_SIZE - piece->size;
        if (count > size - taken)
            count = size - taken;
        memcpy(piece->bytes + piece->size, bytes + taken, count);
        piece->size += count;
        taken += count;
        if (piece->size == HTTP_PIECE_SIZE)
            finish_piece(request);
    }
    request->body_received += taken;
    http_exchange_schedule(request);
    return taken;
}

size_t http_exchange_give_bytes(struct http_request *request, char *bytes, size_t size)
{
    size_t given = 0;
    while (given < size) {
        struct http_piece *piece = &request->pieces[request->emptying];
        if (!piece->is_full)
            break;
        size_t count = piece->size - piece->sent;
        if (count > size - given)
            count = size - given;
        memcpy(bytes + given, piece->bytes + piece->sent, count);
        piece->sent += count;
        given += count;
        if (piece->sent == piece->size) {
            piece_empty(request, piece);
            request->emptying ^= 1;
        }
    }
    request->body_sent += given;
    http_exchange_schedule(request);
    return given;
}

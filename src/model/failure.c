#include "model/failure.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

/* Requests. */

const struct failure FAILURE_BAD_REQUEST = {
    .code = "bad_request",
    .http_status = 400,
    .sentence = "The request could not be understood.",
    .advice = "Compare it with the description of this call in docs/http-api.md.",
};

const struct failure FAILURE_EXACTLY_ONE_FILE_REQUIRED = {
    .code = "exactly_one_file_required",
    .http_status = 400,
    .sentence = "exactly 1 file required", /* word for word what the original answers */
    .advice = "Send one video per request, as one file part of multipart/form-data.",
};

const struct failure FAILURE_EMPTY_FILE = {
    .code = "empty_file",
    .http_status = 400,
    .sentence = "The file is empty.",
    .advice = "Check that the right file was chosen and that it has content.",
};

const struct failure FAILURE_FID_REQUIRED = {
    .code = "fid_required",
    .http_status = 400,
    .sentence = "The parameter fid is missing.",
    .advice = "Add ?fid= with the id from the email.",
};

const struct failure FAILURE_MISSING_CREDENTIALS = {
    .code = "missing_credentials",
    .http_status = 401,
    .sentence = "This call needs credentials, and none came with it.",
    .advice = "Log in with POST /login, then send \"Authorization: Bearer\" with the token.",
};

const struct failure FAILURE_INVALID_CREDENTIALS = {
    .code = "invalid_credentials",
    .http_status = 401,
    .sentence = "Email or password is wrong.",
    .advice = "Check both, or ask the operator to set a new password.",
};

const struct failure FAILURE_INVALID_TOKEN = {
    .code = "invalid_token",
    .http_status = 401,
    .sentence = "The token is not valid, or no longer.",
    .advice = "Log in again with POST /login.",
};

const struct failure FAILURE_NOT_ALLOWED = {
    .code = "not_allowed",
    .http_status = 403,
    .sentence = "This account may not do that.",
    .advice = "Ask the operator whether the account is enabled and has the right.",
};

const struct failure FAILURE_NOT_FOUND = {
    .code = "not_found",
    .http_status = 404,
    .sentence = "There is nothing here, or it is not yours.",
    .advice = "Check the address and the id, and which account you are logged in with.",
};

const struct failure FAILURE_METHOD_NOT_ALLOWED = {
    .code = "method_not_allowed",
    .http_status = 405,
    .sentence = "This address does not know that method.",
    .advice = "Use one of those that the header Allow names.",
};

const struct failure FAILURE_NOT_READY = {
    .code = "not_ready",
    .http_status = 409,
    .sentence = "The MP3 is not ready yet.",
    .advice = "Wait for the email, or ask for the conversion's state until it is done.",
    .is_retryable = true,
};

const struct failure FAILURE_CONVERSION_FAILED = {
    .code = "conversion_failed",
    .http_status = 409,
    .sentence = "This conversion failed, so there is no MP3.",
    .advice = "Read the conversion's error: it says why, and what to do.",
};

const struct failure FAILURE_CONVERSION_CANCELLED = {
    .code = "conversion_cancelled",
    .http_status = 409,
    .sentence = "This conversion was cancelled, so there is no MP3.",
    .advice = "Upload the video again if you want it after all.",
};

const struct failure FAILURE_ALREADY_ENDED = {
    .code = "already_ended",
    .http_status = 409,
    .sentence = "That has ended already and cannot be changed any more.",
    .advice = "Ask for the conversion to see how it ended.",
};

const struct failure FAILURE_UPLOAD_TAKEN_OVER = {
    .code = "upload_taken_over",
    .http_status = 409,
    .sentence = "A newer request has taken this upload over.",
    .advice = "Follow the newer one; if that was not you, change your password.",
};

const struct failure FAILURE_GONE = {
    .code = "gone",
    .http_status = 410,
    .sentence = "The MP3 was made, but its bytes are lost.",
    .advice = "Upload the video again; the operator has been told.",
};

const struct failure FAILURE_UPLOAD_TOO_LARGE = {
    .code = "upload_too_large",
    .http_status = 413,
    .sentence = "What was sent is larger than this server takes.",
    .advice = "Send less: of a video, for example, a shorter cut or only its sound.",
};

const struct failure FAILURE_RANGE_NOT_SATISFIABLE = {
    .code = "range_not_satisfiable",
    .http_status = 416,
    .sentence = "The range asked for lies outside the file.",
    .advice = "Content-Range says how long the file is.",
};

const struct failure FAILURE_HEADERS_TOO_LARGE = {
    .code = "headers_too_large",
    .http_status = 431,
    .sentence = "The request's headers are too large.",
    .advice = "Send fewer or shorter ones; a browser may have to forget this site's cookies.",
};

const struct failure FAILURE_UNKNOWN_OPTION = {
    .code = "unknown_option",
    .http_status = 422,
    .sentence = "There is no such option.",
    .advice = "Check its spelling; the options are listed in docs/http-api.md.",
};

const struct failure FAILURE_OPTION_OUT_OF_RANGE = {
    .code = "option_out_of_range",
    .http_status = 422,
    .sentence = "An option has a value that it cannot take.",
    .advice = "Change it to one of the values that are allowed.",
};

const struct failure FAILURE_IDEMPOTENCY_MISMATCH = {
    .code = "idempotency_mismatch",
    .http_status = 422,
    .sentence = "This Idempotency-Key was used before, for a different request.",
    .advice = "Use a new key for each new upload, and the same one only to repeat it unchanged.",
};

const struct failure FAILURE_TOO_MANY_REQUESTS = {
    .code = "too_many_requests",
    .http_status = 429,
    .sentence = "Too many requests in a short time.",
    .advice = "Wait as long as Retry-After says, then try again.",
    .is_retryable = true,
};

const struct failure FAILURE_TOO_MANY_UPLOADS = {
    .code = "too_many_uploads",
    .http_status = 429,
    .sentence = "Too many of your uploads are open at once.",
    .advice = "Let one of them end, then try again.",
    .is_retryable = true,
};

const struct failure FAILURE_DAILY_LIMIT = {
    .code = "daily_limit",
    .http_status = 429,
    .sentence = "You have reached the number of conversions allowed in a day.",
    .advice = "Wait as long as Retry-After says, then try again.",
    .is_retryable = true,
};

const struct failure FAILURE_STORAGE_LIMIT = {
    .code = "storage_limit",
    .http_status = 429,
    .sentence = "Your conversions fill the space that you may use.",
    .advice = "Delete some that you no longer need, or wait until they expire.",
    .is_retryable = true,
};

const struct failure FAILURE_INTERNAL = {
    .code = "internal",
    .http_status = 500,
    .sentence = "Something went wrong on our side.",
    .advice = "Try again; if it happens again, tell the operator the request's id.",
    .is_retryable = true,
};

const struct failure FAILURE_STORE_UNAVAILABLE = {
    .code = "store_unavailable",
    .http_status = 503,
    .sentence = "The server cannot reach its storage at the moment.",
    .advice = "Wait as long as Retry-After says, then try again.",
    .is_retryable = true,
};

const struct failure FAILURE_AUTH_UNAVAILABLE = {
    .code = "auth_unavailable",
    .http_status = 503,
    .sentence = "Logins cannot be checked at the moment.",
    .advice = "Wait as long as Retry-After says, then try again.",
    .is_retryable = true,
};

const struct failure FAILURE_QUEUE_FULL = {
    .code = "queue_full",
    .http_status = 503,
    .sentence = "Too many videos are waiting to be converted.",
    .advice = "Wait as long as Retry-After says, then try again.",
    .is_retryable = true,
};

const struct failure FAILURE_DISK_FULL = {
    .code = "disk_full",
    .http_status = 503,
    .sentence = "The server's disk is full at the moment.",
    .advice = "Wait as long as Retry-After says, then try again.",
    .is_retryable = true,
};

/* Conversions. */

const struct failure FAILURE_NO_AUDIO = {
    .code = "no_audio",
    .sentence = "This video has no sound.",
    .advice = "Check that the right file was chosen, and that it can be heard in a player.",
};

const struct failure FAILURE_NO_SUCH_TRACK = {
    .code = "no_such_track",
    .sentence = "This video does not have the sound track that was asked for.",
    .advice = "Choose another track or language, or leave the option out.",
};

const struct failure FAILURE_EMPTY_RANGE = {
    .code = "empty_range",
    .sentence = "This video has no sound between the start and the end that were asked for.",
    .advice = "Choose another start_seconds or end_seconds, or leave them out.",
};

const struct failure FAILURE_NOT_MEDIA = {
    .code = "not_media",
    .sentence = "This file is not a video or sound file of a kind that we know.",
    .advice = "Check that the right file was chosen, and that it opens in a player.",
};

const struct failure FAILURE_UNSUPPORTED_CODEC = {
    .code = "unsupported_codec",
    .sentence = "The sound of this video is in a format that we cannot read.",
    .advice = "Export the video again with a common sound format such as AAC.",
};

const struct failure FAILURE_DAMAGED = {
    .code = "damaged",
    .sentence = "The file is damaged: no sound could be read from it.",
    .advice = "Copy or export it again from where it came from.",
};

const struct failure FAILURE_UNREADABLE_VIDEO = {
    .code = "unreadable_video",
    .sentence = "The server has lost the uploaded video.",
    .advice = "Upload it again; the operator has been told.",
};

const struct failure FAILURE_TOO_LONG = {
    .code = "too_long",
    .sentence = "The video is longer than this server converts.",
    .advice = "Cut it into shorter parts and upload those.",
};

const struct failure FAILURE_TOO_LARGE = {
    .code = "too_large",
    .sentence = "The video, or the MP3 made from it, is larger than this server allows.",
    .advice = "Cut the video into shorter parts, or ask for a lower bitrate.",
};

const struct failure FAILURE_TIMED_OUT = {
    .code = "timed_out",
    .sentence = "The conversion took too long and was given up.",
    .advice =
        "Upload the video again; if that ends the same way, export it anew or cut it shorter.",
    .is_retryable = true,
};

#define POINTER_TO(NAME) &FAILURE_##NAME,
static const struct failure *const failures[] = {FAILURE_CODES(POINTER_TO)};

const struct failure *failure_find(const char *code)
{
    for (size_t i = 0; i < ARRAY_COUNT(failures); i++)
        if (strcmp(failures[i]->code, code) == 0)
            return failures[i];
    return NULL;
}

bool(error_set_failure)(struct error *error, enum error_kind kind, const struct failure *failure,
                        const char *format, ...)
{
    if (error == NULL)
        return false;
    char text[ERROR_TEXT_SIZE];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    error_set(error, kind, "%s", text);
    error->failure = failure;
    return false;
}

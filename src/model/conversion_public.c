/* What a client is shown of a record. */

#include "model/conversion_document.h"

#include "base/clock.h"
#include "base/json.h"

static void set_time(json_t *object, const char *member, int64_t time_ms)
{
    char text[CLOCK_TEXT_SIZE];
    if (time_ms == 0) {
        json_set_text(object, member, NULL);
        return;
    }
    clock_format_seconds(time_ms, text);
    json_set_text(object, member, text);
}

/* What is not known yet is null. */
static void set_known_integer(json_t *object, const char *member, int64_t integer, bool is_known)
{
    if (is_known)
        json_set_integer(object, member, integer);
    else
        json_set_text(object, member, NULL);
}

static void set_known_duration(json_t *object, const char *member, double seconds)
{
    if (seconds > 0)
        json_set_real(object, member, seconds);
    else
        json_set_text(object, member, NULL);
}

static json_t *public_video(const struct conversion *record)
{
    json_t *video = json_object_make();
    json_set_text(video, "name", record->video.name[0] == '\0' ? NULL : record->video.name);
    set_known_integer(video, "size_bytes", record->video.size_bytes, record->video.size_bytes >= 0);
    json_set_integer(video, "received_bytes", record->received_bytes);
    set_known_duration(video, "duration_seconds", record->video.duration_seconds);
    return video;
}

static json_t *public_mp3(const struct conversion *record)
{
    if (record->state != CONVERSION_DONE)
        return json_null();
    json_t *mp3 = json_object_make();
    json_set_id(mp3, "id", &record->mp3.id);
    set_known_integer(mp3, "size_bytes", record->mp3.size_bytes, record->mp3.size_bytes > 0);
    set_known_duration(mp3, "duration_seconds", record->mp3.duration_seconds);
    set_known_integer(mp3, "bitrate_kbps", record->mp3.bitrate_kbps, record->mp3.bitrate_kbps > 0);
    set_known_integer(mp3, "sample_rate_hz", record->mp3.sample_rate_hz,
                      record->mp3.sample_rate_hz > 0);
    set_known_integer(mp3, "channels", record->mp3.channels, record->mp3.channels > 0);
    if (record->mp3.is_truncated)
        json_set_text(mp3, "warning", "truncated");
    return mp3;
}

static json_t *public_error(const struct conversion *record)
{
    if (record->error.code[0] == '\0')
        return json_null();
    json_t *object = json_object_make();
    json_set_text(object, "code", record->error.code);
    json_set_text(object, "message", record->error.message);
    return object;
}

/* That a dialogue is under way is no news to anybody: shown as pending. */
static json_t *public_notification(const struct conversion *record)
{
    enum conversion_notice state = record->notice.state;
    json_t *notification = json_object_make();
    json_set_text(notification, "state",
                  conversion_notice_name(
                      state == CONVERSION_NOTICE_SENDING ? CONVERSION_NOTICE_PENDING : state));
    if (record->notice.error[0] != '\0')
        json_set_text(notification, "reason", record->notice.error);
    return notification;
}

json_t *conversion_to_public_json(const struct conversion *record)
{
    json_t *json = json_object_make();
    json_set_id(json, "id", &record->id);
    json_set_text(json, "state", conversion_state_name(record->state));
    json_set_real(json, "progress", record->progress);
    set_time(json, "created_at", record->created_at_ms);
    json_set_take(json, "video", public_video(record));
    json_set_take(json, "options", conversion_options_to_json(&record->options));
    json_set_take(json, "mp3", public_mp3(record));
    json_set_integer(json, "attempts", record->claim);
    json_set_take(json, "error", public_error(record));
    json_set_take(json, "notification", public_notification(record));
    set_time(json, "expires_at", record->expires_at_ms);
    json_set_text(json, "owner", record->owner.email);
    return json;
}

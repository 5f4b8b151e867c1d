#include "model/message.h"

#include "base/json.h"
#include "base/text.h"
#include <stdlib.h>
#include <string.h>

static bool check(const struct message *message, struct error *error)
{
    if (id_is_none(&message->video_id) && id_is_none(&message->mp3_id))
        return error_set(error, ERROR_BAD_INPUT, "neither video_fid nor mp3_fid");
    /* Whoever has a record finds the owner there. */
    if (id_is_none(&message->conversion_id) && message->username[0] == '\0')
        return error_set(error, ERROR_BAD_INPUT, "neither conversion_id nor username");
    /* The name becomes a mail's recipient: nothing that could begin another header. */
    if (!text_is_clean(message->username, strlen(message->username)))
        return error_set(error, ERROR_BAD_INPUT, "control characters in username");
    return true;
}

bool message_parse(const void *bytes, size_t size, struct message *out_message, struct error *error)
{
    if (size > MESSAGE_SIZE_MAX)
        return error_set(error, ERROR_BAD_INPUT, "message of %zu bytes, limit %d", size,
                         MESSAGE_SIZE_MAX);
    CLEANUP(json_decrefp) json_t *json = NULL;
    struct message message = {0};
    bool is_read =
        json_parse(bytes, size, &json, error) &&
        json_get_id(json, "video_fid", JSON_OPTIONAL, &message.video_id, error) &&
        json_get_id(json, "mp3_fid", JSON_OPTIONAL, &message.mp3_id, error) &&
        json_get_id(json, "conversion_id", JSON_OPTIONAL, &message.conversion_id, error) &&
        json_get_text(json, "username", JSON_OPTIONAL, message.username, sizeof message.username,
                      error);
    if (!is_read || !check(&message, error))
        return false;
    *out_message = message;
    return true;
}

void message_format(const struct message *message, struct buffer *out_body)
{
    CLEANUP(json_decrefp) json_t *json = json_object_make();
    json_set_id(json, "video_fid", &message->video_id);
    json_set_id(json, "mp3_fid", &message->mp3_id);
    json_set_text(json, "username", message->username);
    json_set_id(json, "conversion_id", &message->conversion_id);
    /* 320 bytes of name, each six when escaped, and three ids always fit MESSAGE_SIZE_MAX. */
    if (!json_format(json, out_body, NULL))
        abort();
}

/* Whether a request with a key that was used before is the same request again. */

#include "services/gateway/upload.h"

#include <string.h>

bool upload_is_repeat(const struct upload_wish *wish, const struct conversion_options *asked,
                      const struct conversion *record)
{
    if (!conversion_options_is_equal(asked, &record->options))
        return false;
    if (wish->has_name && strcmp(wish->name, record->video.name) != 0)
        return false;
    if (!wish->has_length || record->video.size_bytes == CONVERSION_SIZE_UNKNOWN)
        return true;
    uint64_t size = (uint64_t)record->video.size_bytes;
    /* How much of a form is the video is not known yet; less than all of it. */
    return wish->is_form ? wish->length > size : wish->length == size;
}

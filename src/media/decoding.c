#include "media/decoding.h"

#include "model/failure.h"
#include <inttypes.h>

static bool is_too_long(uint64_t samples, uint32_t rate_hz, uint64_t duration_max_ms)
{
    return duration_max_ms != 0 && samples / rate_hz >= duration_max_ms / 1000 &&
           samples * 1000 > duration_max_ms * rate_hz;
}

bool decoding_check_length(const struct media_job *job, uint64_t samples, uint32_t sample_rate_hz,
                           struct error *error)
{
    if (!is_too_long(samples, sample_rate_hz, job->duration_max_ms))
        return true;
    return error_set_failure(error, ERROR_TOO_LARGE, &FAILURE_TOO_LONG,
                             "more than %" PRIu64 " ms of sound", job->duration_max_ms);
}

static bool add_all(const struct decoding *decoding, struct sound_format *format,
                    struct sound_part part, struct error *error)
{
    bool goes_on = true;
    while (part.frame != NULL && goes_on) {
        if (!sound_format_add(format, &part, &goes_on, error) ||
            !decoding_check_length(decoding->job, sound_format_samples(format),
                                   decoding->sample_rate_hz, error))
            return false;
        if (decoding->is_preparation && !excerpt_note_prepared(decoding->excerpt, &part, error))
            return false;
        if (goes_on && !excerpt_read(decoding->excerpt, &part, error))
            return false;
    }
    return true;
}

bool decoding_run(const struct decoding *decoding, const struct sound_part *first,
                  const struct sound_sink *sink, struct error *error)
{
    struct sound_format *format =
        sound_format_create(decoding->sample_rate_hz, decoding->channels, sink);
    bool succeeded = add_all(decoding, format, *first, error);
    sound_format_finish(format);
    /* Resampling takes some sound to begin with: of a few samples nothing may come out. */
    if (succeeded && sound_format_samples(format) == 0)
        succeeded = error_set_failure(error, ERROR_BAD_INPUT, &FAILURE_DAMAGED,
                                      "the sound is too short for its new sample rate");
    sound_format_destroy(format);
    return succeeded;
}

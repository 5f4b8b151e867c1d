#pragma once

/* The part of a file's sound that is wanted, from start_seconds to end_seconds; decoded as often as
 * is needed. Whoever waits for the MP3 is told of what is decoded before that begins. */

#include "media/media.h"
#include "media/sound_format.h"

struct excerpt;
struct source;

/* `job` and `io` are borrowed until excerpt_close(). The failures are those of source_open(). */
MUST_CHECK bool excerpt_open(const struct media_job *job, const struct media_io *io,
                             struct excerpt **out_excerpt, struct error *error);
void excerpt_close(struct excerpt *excerpt); /* NULL is fine */
/* To its beginning; what is read after that is the same again. */
MUST_CHECK bool excerpt_rewind(struct excerpt *excerpt, struct error *error);

/* The next samples, borrowed until the next call; a frame of NULL at the end. FAILURE_EMPTY_RANGE
 * where there are none at all, DAMAGED where nothing could be decoded. */
MUST_CHECK bool excerpt_read(struct excerpt *excerpt, struct sound_part *out_part,
                             struct error *error);
/* The part that was read last is not for the MP3: it was only looked at. */
MUST_CHECK bool excerpt_note_prepared(struct excerpt *excerpt, const struct sound_part *part,
                                      struct error *error);

/* Its length as far as it is known, and once that is counted; 0: unknown. */
uint64_t excerpt_duration_us(const struct excerpt *excerpt);
void excerpt_set_duration_us(struct excerpt *excerpt, uint64_t duration_us);
/* Tells of all that was noted. */
MUST_CHECK bool excerpt_tell_prepared(struct excerpt *excerpt, uint64_t input_position,
                                      struct error *error);

/* How much is decoded before the MP3 begins: what is planned, and what was done. */
void excerpt_plan(struct excerpt *excerpt, uint64_t preparation_us);
uint64_t excerpt_prepared_us(const struct excerpt *excerpt);

/* After the last part: there should have been more. */
bool excerpt_is_truncated(const struct excerpt *excerpt);
/* Borrowed until a rewind. What is read of it directly is not read by excerpt_read() any more. */
struct source *excerpt_source(const struct excerpt *excerpt);

#pragma once

/* The name that a video is shown under, from what a client calls it. Nothing is decided by it.
 * Pure.
 */

#include "model/conversion.h"
#include <stddef.h>

/* The last part of any path in it, without control and bidirectional characters, UTF-8, at most 255
 * bytes with what follows the last dot kept; "video" where nothing is left. */
void video_name_clean(const void *bytes, size_t size, char out_name[CONVERSION_NAME_SIZE]);

/* The name that the MP3 is offered under: the video's with ".mp3" for its ending. No longer than a
 * video's, since file systems keep 255 bytes. */
void video_name_to_mp3(const char *name, char out_name[CONVERSION_NAME_SIZE]);

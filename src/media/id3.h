#pragma once

/* An ID3v2.4 tag (id3.org, "ID3 tag version 2.4.0 - Main Structure" and "- Native Frames"): what
 * players show of an MP3. Pure. */

#include "base/buffer.h"

#define ID3_TEXT_SIZE_MAX 4096   /* bytes of one text; longer ones are cut */
#define ID3_SIZE_MAX (256 << 10) /* what the tag's buffer may hold: some twenty texts */

/* Frames are added to a buffer in any order, then finished: a header in front of them, or nothing
 * where there was none. A frame that does not fit the buffer is left out. Texts are cleaned
 * (text_clean); empty ones are left out. */
void id3_add_text(struct buffer *tag, const char frame_id[5], const char *text);
void id3_add_comment(struct buffer *tag, const char *text);
void id3_finish(struct buffer *tag);

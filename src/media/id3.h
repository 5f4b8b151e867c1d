#pragma once

/* An ID3v2.4 tag (id3.org, "ID3 tag version 2.4.0 - Main Structure" and "- Native Frames"): what
 * players show of an MP3. Pure. */

#include "base/buffer.h"
#include <stdint.h>

#define ID3_TEXT_SIZE_MAX 4096          /* bytes of one text; longer ones are cut */
#define ID3_PICTURE_SIZE_MAX (2U << 20) /* a larger one is left out */
#define ID3_SIZE_MAX (4U << 20)         /* what the tag's buffer may hold */

/* Frames are added to a buffer in any order, then finished: a header in front of them, or nothing
 * where there was none. A frame that does not fit the buffer is left out. Texts are cleaned
 * (text_clean); empty ones are left out. */
void id3_add_text(struct buffer *tag, const char frame_id[5], const char *text);
void id3_add_comment(struct buffer *tag, const char *text);
void id3_add_picture(struct buffer *tag, const char *media_type, const void *bytes, size_t size);
/* The nth chapter from 0; title may be NULL. */
void id3_add_chapter(struct buffer *tag, unsigned index, uint32_t start_ms, uint32_t end_ms,
                     const char *title);
/* The table of contents over chapters 0 to count - 1. */
void id3_add_chapter_list(struct buffer *tag, unsigned count);
void id3_finish(struct buffer *tag);

#pragma once

/* An ID3v2.4 tag (id3.org, "ID3 tag version 2.4.0 - Main Structure" and "- Native Frames", "ID3v2
 * Chapter Frame Addendum" 1.0): what players show of an MP3. Pure. */

#include "base/buffer.h"
#include <stdint.h>

#define ID3_TEXT_SIZE_MAX 4096 /* bytes of one text; longer ones are cut */
#define ID3_CHAPTERS_MAX 255   /* what a table of contents can count */
/* Bytes; longer ones are cut. FFmpeg takes the size of a chapter's title for a plain number, others
 * for one of seven bits a byte: up to 127, with the encoding, it is the same. */
#define ID3_CHAPTER_TITLE_SIZE_MAX 126
#define ID3_PICTURE_SIZE_MAX (1 << 20)
/* What the tag's buffer may hold: some twenty texts, all chapters, a picture. */
#define ID3_SIZE_MAX ((512 << 10) + ID3_PICTURE_SIZE_MAX)

/* Frames are added to a buffer in any order, then finished: a header in front of them, or nothing
 * where there was none. A frame that does not fit the buffer is left out. Texts are cleaned
 * (text_clean_lines); empty ones are left out. */
void id3_add_text(struct buffer *tag, const char frame_id[5], const char *text);
void id3_add_comment(struct buffer *tag, const char *text);

struct id3_chapter {
    uint32_t begin_ms; /* from the start of the sound */
    uint32_t end_ms;
    const char *title; /* "": none */
};
/* At most ID3_CHAPTERS_MAX, in the order given, all of them or none; once a tag. */
void id3_add_chapters(struct buffer *tag, const struct id3_chapter *chapters, size_t count);
/* The front cover. False, and nothing is added: neither a JPEG nor a PNG by its first bytes, which
 * is all that is looked at, or more than ID3_PICTURE_SIZE_MAX. */
bool id3_add_picture(struct buffer *tag, const unsigned char *bytes, size_t size);

void id3_finish(struct buffer *tag);

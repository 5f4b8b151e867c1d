#pragma once

/* Text from outside: bounded copies, numbers with units, UTF-8, escaping. All pure. */

#include "base/buffer.h"
#include "base/error.h"
#include <stddef.h>
#include <stdint.h>

/* Copies as much as fits, never splitting a UTF-8 character; always ends with NUL. False: cut. */
bool text_copy(char *out_text, size_t size, const char *text);
bool text_equals_ignoring_case(const char *a, const char *b); /* ASCII only */
bool text_starts_with(const char *text, const char *prefix);

/* How many bytes must be inserted, removed or replaced to make one name of the other; SIZE_MAX
 * where one is longer than any name (64 bytes). */
size_t text_distance(const char *a, const char *b);
/* The one of the NULL-terminated candidates that a mistyped name was most likely meant to be; NULL
 * where none is near and none begins with it, cut off after three letters at least. */
const char *text_nearest(const char *text, const char *const *candidates);

/* RFC 3629: no overlong forms, no surrogates, nothing past U+10FFFF. */
bool text_is_utf8(const void *bytes, size_t size);
/* For text of people: every byte that is not UTF-8 becomes U+FFFD, control characters (C0, DEL, C1,
 * Unicode's ends of lines, and the bidirectional marks that let a name lie about its end) are left
 * out. */
MUST_CHECK bool text_clean(const void *bytes, size_t size, struct buffer *out_text,
                           struct error *error);
/* The same, of what may be several lines: where a line ends, or a tab stands, words stay apart by a
 * space. */
MUST_CHECK bool text_clean_lines(const void *bytes, size_t size, struct buffer *out_text,
                                 struct error *error);
/* Would it be left as it is? */
bool text_is_clean(const void *bytes, size_t size);

/* The whole text must be the number: no sign, no space, no exponent. ERROR_BAD_INPUT says what was
 * expected. */
MUST_CHECK bool text_parse_count(const char *text, uint64_t most, uint64_t *out_count,
                                 struct error *error);
/* "-16.5": perhaps a minus, digits, perhaps a point and at most six more. In millionths, so that
 * decimals stay what they are. */
MUST_CHECK bool text_parse_decimal(const char *text, int64_t *out_millionths, struct error *error);
/* A number and a unit: ms s m h d ("30s", "250ms"). "0" and "off" are 0. */
MUST_CHECK bool text_parse_duration_ms(const char *text, int64_t *out_ms, struct error *error);
/* A number and a unit: B KiB MiB GiB TiB, or kB MB GB TB. "0" and "off" are 0. */
MUST_CHECK bool text_parse_size(const char *text, uint64_t *out_bytes, struct error *error);

#define TEXT_UNIT_SIZE 32
/* The largest unit that divides it: "30s", "4GiB"; 0 is "off". What the parsers take. */
void text_format_duration_ms(int64_t ms, char out_text[TEXT_UNIT_SIZE]);
void text_format_size(uint64_t bytes, char out_text[TEXT_UNIT_SIZE]);
/* For people: "18.3 MB", "20:00", "1:02:03". */
void text_format_size_for_people(uint64_t bytes, char out_text[TEXT_UNIT_SIZE]);
void text_format_length_for_people(double seconds, char out_text[TEXT_UNIT_SIZE]);

/* & < > " ' as character references. */
MUST_CHECK bool text_escape_html(const char *text, struct buffer *out_text, struct error *error);
/* For a terminal: control characters, as text_clean() knows them, and bytes that are not UTF-8 as
 * \xHH, so that a file's name cannot give orders. */
MUST_CHECK bool text_escape_terminal(const char *text, struct buffer *out_text,
                                     struct error *error);
/* RFC 3986: all but unreserved characters as %XX. */
MUST_CHECK bool text_escape_percent(const char *text, struct buffer *out_text, struct error *error);

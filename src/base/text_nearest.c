#include "base/text.h"

#include <string.h>

#define NAME_SIZE_MAX 64 /* nobody names things longer */
#define STEM_SIZE_MIN 3

static size_t least_of(size_t a, size_t b, size_t c)
{
    size_t least = a < b ? a : b;
    return least < c ? least : c;
}

/* Levenshtein's, one row of its table at a time. */
size_t text_distance(const char *a, const char *b)
{
    size_t a_size = strlen(a);
    size_t b_size = strlen(b);
    if (a_size > NAME_SIZE_MAX || b_size > NAME_SIZE_MAX)
        return SIZE_MAX;
    size_t row[NAME_SIZE_MAX + 1];
    for (size_t j = 0; j <= b_size; j++)
        row[j] = j;
    for (size_t i = 1; i <= a_size; i++) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t j = 1; j <= b_size; j++) {
            size_t above = row[j];
            row[j] = least_of(above + 1, row[j - 1] + 1, diagonal + (a[i - 1] != b[j - 1]));
            diagonal = above;
        }
    }
    return row[b_size];
}

static const char *first_that_begins_with(const char *stem, const char *const *candidates)
{
    if (strlen(stem) < STEM_SIZE_MIN)
        return NULL;
    while (*candidates != NULL && !text_starts_with(*candidates, stem))
        candidates++;
    return *candidates;
}

const char *text_nearest(const char *text, const char *const *candidates)
{
    const char *nearest = NULL;
    size_t nearest_distance = strlen(text) / 3 + 2; /* two mistakes in a short word, then more */
    for (size_t i = 0; candidates[i] != NULL; i++) {
        size_t distance = text_distance(text, candidates[i]);
        /* As many mistakes as letters: then it is just another word. */
        if (distance < nearest_distance && distance < strlen(candidates[i])) {
            nearest = candidates[i];
            nearest_distance = distance;
        }
    }
    return nearest != NULL ? nearest : first_that_begins_with(text, candidates);
}

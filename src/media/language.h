#pragma once

/* Codes of languages: ISO 639's two letters and both kinds of its three, in any case, mean the same
 * ("de", "deu", "GER"). Pure. */

#include <stdbool.h>

/* Country and script after a dash are ignored. An empty code equals nothing. */
bool language_is_equal(const char *a, const char *b);

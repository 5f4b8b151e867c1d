#pragma once

#include "config/config.h"

/* Every table of options in the program, NULL-terminated: what is in none of them is an unknown
 * option, and docs/options.md is written from them. */
extern const struct config_option *const option_tables[];

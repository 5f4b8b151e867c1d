#pragma once

/* What a command tells the person at the terminal, on standard error. */

#include "base/error.h"

/* The line, and its end. What is in it of files and servers gives the terminal no orders. */
void say(const char *format, ...) PRINTF_FORMAT(1, 2);

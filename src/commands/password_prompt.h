#pragma once

/* Passwords, and other lines, from the person at the terminal or the first line of standard input;
 * never from arguments, which every user of the machine can read. */

#include "base/error.h"
#include <stddef.h>

#define PASSWORD_PROMPT_SIZE 1100

/* On a terminal: without echo, twice, until both agree (three times at most). Else the first line
 * of standard input. ERROR_BAD_INPUT: none, too long, or never twice the same. The caller wipes
 * it. */
MUST_CHECK bool password_prompt(const char *email, char out_password[PASSWORD_PROMPT_SIZE],
                                struct error *error);
/* A line in the clear; only where password_prompt_is_terminal(). */
MUST_CHECK bool password_prompt_line(const char *question, char *out_line, size_t size,
                                     struct error *error);
bool password_prompt_is_terminal(void); /* can a person be asked? */

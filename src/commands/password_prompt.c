#include "commands/password_prompt.h"

#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#define TRIES_MAX 3

bool password_prompt_is_terminal(void)
{
    return isatty(STDIN_FILENO) && isatty(STDERR_FILENO);
}

/* A byte at a time, so that what follows the line stays for whoever reads on. `interrupt` is the
 * byte that gives up; NUL: none. */
static bool read_line(char *out_line, size_t size, char interrupt, struct error *error)
{
    size_t length = 0;
    for (;;) {
        char byte;
        ssize_t got = read(STDIN_FILENO, &byte, 1);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return error_set_errno(error, errno, "read standard input");
        if (got == 0 && length == 0)
            return error_set(error, ERROR_BAD_INPUT, "standard input ended before a line");
        if (got == 0 || byte == '\n')
            break;
        if (byte == interrupt && byte != '\0')
            return error_set(error, ERROR_BAD_INPUT, "interrupted");
        if (byte == '\0' || length + 1 == size)
            return error_set(error, ERROR_BAD_INPUT, "a line of at most %zu bytes is expected",
                             size - 1);
        out_line[length++] = byte;
    }
    if (length != 0 && out_line[length - 1] == '\r')
        length--;
    out_line[length] = '\0';
    return true;
}

/* Ctrl-C must not leave a terminal that shows nothing: it is read as a byte that ends the line, and
 * given up on once the echo is back. */
static bool read_without_echo(const char *question, char out_line[PASSWORD_PROMPT_SIZE],
                              struct error *error)
{
    struct termios before;
    if (tcgetattr(STDIN_FILENO, &before) != 0)
        return error_set_errno(error, errno, "terminal");
    struct termios silent = before;
    silent.c_lflag &= ~(tcflag_t)(ECHO | ISIG);
    silent.c_lflag |= ECHONL;
    silent.c_cc[VEOL] = before.c_cc[VINTR];
    if (tcsetattr(STDIN_FILENO, TCSAFLUSH, &silent) != 0)
        return error_set_errno(error, errno, "terminal");
    fputs(question, stderr); /* now: what is typed before would be dropped, or shown */
    bool succeeded = read_line(out_line, PASSWORD_PROMPT_SIZE, (char)before.c_cc[VINTR], error);
    tcsetattr(STDIN_FILENO, TCSAFLUSH, &before);
    return succeeded;
}

static bool ask_twice(const char *email, char out_password[PASSWORD_PROMPT_SIZE],
                      struct error *error)
{
    char question[420];
    char again[PASSWORD_PROMPT_SIZE];
    snprintf(question, sizeof question, "Password for %s: ", email);
    for (int i = 0; i < TRIES_MAX; i++) {
        if (!read_without_echo(question, out_password, error) ||
            !read_without_echo("The same again: ", again, error))
            return false;
        bool is_equal = strcmp(out_password, again) == 0;
        sodium_memzero(again, sizeof again);
        if (is_equal)
            return true;
        fputs("These were two different passwords.\n", stderr);
    }
    return error_set(error, ERROR_BAD_INPUT, "no password was typed twice the same");
}

bool password_prompt(const char *email, char out_password[PASSWORD_PROMPT_SIZE],
                     struct error *error)
{
    if (password_prompt_is_terminal())
        return ask_twice(email, out_password, error);
    if (!read_line(out_password, PASSWORD_PROMPT_SIZE, '\0', error))
        return error_prefix(error, "the password is expected on standard input");
    return true;
}

bool password_prompt_line(const char *question, char *out_line, size_t size, struct error *error)
{
    fputs(question, stderr);
    return read_line(out_line, size, '\0', error);
}

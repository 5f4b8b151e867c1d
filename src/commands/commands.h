#pragma once

/* Every subcommand: one function, one file, one row in main.c. */

struct invocation; /* config/command_line.h */

int convert_run(const struct invocation *invocation);

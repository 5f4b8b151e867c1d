#pragma once

/* Child processes and signals. A child is always exec'd, starts with no descriptor but those it is
 * given and with no signal blocked, caught or ignored, and dies with its parent (PR_SET_PDEATHSIG,
 * checked against the parent's death in between). All of it may be called from threaded programs.
 */

#include "base/error.h"
#include <stddef.h>
#include <sys/types.h>

struct process_fd {
    int from; /* in the parent */
    int to;   /* in the child: 0, 1, 2 or any number; each used once */
};

#define PROCESS_FDS_MAX 16

struct process_options {
    const char *path;               /* of the program, no search */
    const char *const *arguments;   /* NULL-terminated, [0] is the program's name */
    const char *const *environment; /* NULL-terminated; NULL: the parent's */
    const struct process_fd *fds;   /* 0, 1 and 2 are /dev/null where not given */
    size_t fd_count;
    int death_signal; /* sent to the child when its parent's thread ends; 0: none */
    bool own_session; /* Ctrl-C in the terminal reaches the parent only */
};

/* Returns once the child has exec'd, or with the reason why it could not (ERROR_NOT_FOUND,
 * ERROR_DENIED, ERROR_UNAVAILABLE). The parent-death signal follows the *thread* that calls. */
MUST_CHECK bool process_start(const struct process_options *options, pid_t *out_pid,
                              struct error *error);

/* Waits at most timeout_ms for the child to end and reaps it; -1 waits for ever. False: it still
 * runs. *out_status is as of waitpid. */
bool process_wait(pid_t pid, int timeout_ms, int *out_status);
void process_kill(pid_t pid); /* SIGKILL, and reaps it */
/* "exit status 3", "killed by signal 11 (Segmentation fault)". */
#define PROCESS_STATUS_SIZE 80
void process_describe_status(int status, char out_text[PROCESS_STATUS_SIZE]);

/* Blocks these signals in this thread, and so in all threads made from now on, and returns a
 * signalfd that reads them: signals become a readable descriptor. Ends with 0. A SIGHUP that nohup
 * had ignored stays so. */
MUST_CHECK bool process_signals_open(const int *signals, int *out_fd, struct error *error);

/* Where one of these signals has come, ends this process by it, as shells expect of a program that
 * was interrupted; else returns. */
void process_die_of_signal(int signals_fd);

/* Where this process was started without 0, 1 or 2, no file that is opened later gets that number,
 * to be written into by whoever means standard error: reading and writing them goes on failing. The
 * first thing that a program does. */
void process_occupy_standard_fds(void);

/* As many descriptors as the system lets this process have: connections and uploads take some each,
 * and the usual limit of 1024 is for programs that use select(). */
void process_raise_fd_limit(void);

/* The folder that the running program lies in, without the final slash. */
MUST_CHECK bool process_program_folder(char *out_path, size_t size, struct error *error);

/* Loaded before a program, has it see as many cores as TAPEDECK_CORES says: `tapedeck convert`
 * encodes in as many threads as it sees. */

#include <sched.h>
#include <stdlib.h>
#include <string.h>

__attribute__((visibility("default"))) int sched_getaffinity(pid_t pid, size_t size, cpu_set_t *set)
{
    const char *cores = getenv("TAPEDECK_CORES");
    (void)pid;
    memset(set, 0, size);
    for (size_t core = 0; cores != NULL && (int)core < cores[0] - '0'; core++)
        CPU_SET(core, set);
    return 0;
}

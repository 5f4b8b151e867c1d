#pragma once

/* A place right after a durable step, where a test build can die. Release builds have nothing here.
 *
 * In a build with -Dfaults=true, TAPEDECK_FAULT_KILL_AT=n kills the process by SIGKILL at the nth
 * point that it reaches, and TAPEDECK_FAULT_TRACE=FILE appends the name of each point reached, so
 * that a test knows how many there are. */

#ifdef FAULTS
void fault_point(const char *name);
#else
static inline void fault_point(const char *name)
{
    (void)name;
}
#endif

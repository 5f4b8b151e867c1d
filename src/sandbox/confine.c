#include "sandbox/confine.h"

#include <errno.h>
#include <signal.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/resource.h>

/* Sanitizers map terabytes, open files of /proc and trace their own process. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define IS_SANITIZED true
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) ||                         \
    __has_feature(memory_sanitizer)
#define IS_SANITIZED true
#endif
#endif
#ifndef IS_SANITIZED
#define IS_SANITIZED false
#endif

_Static_assert(CONFINE_DATA_SIZE_MAX >=
                   (64 + (CONFINE_ENCODERS_MAX - 1) * 24 + 300) * UINT64_C(1048576),
               "the encoders and an index have room");

static const struct limit {
    const char *name;
    __rlimit_resource_t resource;
    uint64_t most;
    bool is_in_sanitizers_way;
} limits[] = {
    {"data", RLIMIT_DATA, CONFINE_DATA_SIZE_MAX, true},
    {"address space", RLIMIT_AS, CONFINE_ADDRESS_SPACE_MAX, true},
    {"file size", RLIMIT_FSIZE, 0, false},
    {"core", RLIMIT_CORE, 0, false},
    {"locked memory", RLIMIT_MEMLOCK, 0, false},
    {"message queues", RLIMIT_MSGQUEUE, 0, false},
};

static bool set_limit(const char *name, __rlimit_resource_t resource, uint64_t most,
                      struct error *error)
{
    struct rlimit limit;
    /* A harder limit that is there already stays: raising it is not ours to do. */
    if (getrlimit(resource, &limit) == 0 && limit.rlim_max < most)
        most = limit.rlim_max;
    limit = (struct rlimit){.rlim_cur = most, .rlim_max = most};
    if (setrlimit(resource, &limit) != 0)
        return error_set_errno(error, errno, "limit %s", name);
    return true;
}

static bool set_limits(unsigned fd_count, struct error *error)
{
    for (size_t i = 0; i < ARRAY_COUNT(limits); i++) {
        const struct limit *limit = &limits[i];
        if (limit->is_in_sanitizers_way && IS_SANITIZED)
            continue;
        if (!set_limit(limit->name, limit->resource, limit->most, error))
            return false;
    }
    return IS_SANITIZED || set_limit("descriptors", RLIMIT_NOFILE, fd_count, error);
}

bool confine_process(unsigned fd_count, struct error *error)
{
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
        return error_set_errno(error, errno, "no new privileges");
    if (!IS_SANITIZED && prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0)
        return error_set_errno(error, errno, "not dumpable");
    return set_limits(fd_count, error);
}

#pragma once

/* What `serve` decides for its services, beside what it was told itself: where they listen and find
 * each other, and how long each may take to stop. */

#include "base/file.h"
#include "commands/session.h"
#include "commands/serve_ops.h"
#include "commands/supervisor.h"
#include "net/http_server.h"
#include "services/common/public_url.h"

#define SERVE_SERVICE_COUNT 4
#define SERVE_DECISIONS_MAX 4

struct serve_plan {
    struct supervisor_service services[SERVE_SERVICE_COUNT]; /* in the order of their stop */
    struct serve_ops_service ops[SERVE_SERVICE_COUNT];       /* in the same order */
    char public_url[PUBLIC_URL_SIZE];                        /* where the gateway is reached */

    /* What the above points into. */
    char sockets[FILE_PATH_SIZE]; /* the folder of the sockets */
    bool is_runtime_folder;       /* outside data.dir, and removed at the end */
    char decisions[SERVE_DECISIONS_MAX][FILE_PATH_SIZE];
    size_t decision_count;
    struct {
        char ops_listen[FILE_PATH_SIZE];
        char drain_max[64];
    } own[SERVE_SERVICE_COUNT];

    /* Owned; bound but not listened on, so that a service finds its port again after a restart. */
    int gateway_fd;
    int auth_fd;
};

/* `data_folder` is absolute, and its lock the caller's. ERROR_CONFLICT: a port is in use. The
 * session and the data folder must outlive the plan. */
MUST_CHECK bool serve_plan_open(const struct session *session, const char *data_folder,
                                int64_t drain_max_ms, struct serve_plan *out_plan,
                                struct error *error);
void serve_plan_close(struct serve_plan *plan); /* for CLEANUP; what serve_plan_open() failed on */

/* Where auth listens under a `serve` on that folder, unless auth.listen was given. */
MUST_CHECK bool serve_plan_auth_url(const char *data_folder, char out_url[FILE_PATH_SIZE],
                                    struct error *error);

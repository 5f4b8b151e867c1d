#pragma once

/* For those who implement a user store; everybody else includes user_store.h, which says what each
 * function promises. user_store.c checks arguments before it calls these. */

#include "stores/user_store/user_store.h"

struct user_store_backend {
    const char *name; /* value of stores.users */
    bool (*open)(const struct config *config, struct user_store **out_store, struct error *error);
    void (*close)(struct user_store *store); /* also frees it; never given NULL */
    bool (*check)(struct user_store *store, struct error *error);
    bool (*migrate)(const struct config *config, struct error *error);
    bool (*backup)(const struct config *config, const char *folder, struct error *error);
    bool (*now)(struct user_store *store, int64_t *out_now_ms, struct error *error);
    bool (*find_by_email)(struct user_store *store, const char *email, struct user *out_user,
                          struct error *error);
    bool (*find_by_id)(struct user_store *store, const struct id *id, struct user *out_user,
                       struct error *error);
    bool (*insert)(struct user_store *store, const struct user *user, struct error *error);
    /* Leaves user->version as it is: user_store.c raises it. */
    bool (*update)(struct user_store *store, const struct user *user, struct error *error);
    bool (*remove)(struct user_store *store, const struct id *id, int64_t version,
                   struct error *error);
    bool (*list)(struct user_store *store, const char *after_email, size_t limit,
                 struct user *out_users, size_t *out_count, struct error *error);
    bool (*revoked)(struct user_store *store, int64_t since_ms, const struct id *after_id,
                    size_t limit, struct user *out_users, size_t *out_count, struct error *error);
};

/* First member of every backend's own struct. */
struct user_store {
    const struct user_store_backend *backend;
};

extern const struct user_store_backend user_store_mysql, user_store_sqlite;

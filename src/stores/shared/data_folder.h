#pragma once

/* The one folder below which every embedded backend keeps its files. Only its user may look into
 * it: it holds videos, mails and password hashes. */

#include "base/error.h"
#include "base/file.h"
#include "config/config.h"

extern const struct config_option data_folder_options[]; /* data.dir */

/* Borrowed from the config; nothing is looked at. */
MUST_CHECK bool data_folder_get(const struct config *config, const char **out_path,
                                struct error *error);
/* As below, and makes it where it is missing, durably. ERROR_CONFLICT: what is there is somebody
 * else's. */
MUST_CHECK bool data_folder_make(const struct config *config, const char **out_path,
                                 struct error *error);
/* A folder that is there, this user's and can be written to; what any other user would make in it,
 * its own could not read. ERROR_UNAVAILABLE: there is none, or it cannot be written to;
 * ERROR_DENIED: another user's, or everybody's. */
MUST_CHECK bool data_folder_check(const char *path, struct error *error);

/* "tapedeck"; "#999" where that user has no name, as sudo takes it. */
#define DATA_FOLDER_USER_SIZE 64
void data_folder_name_user(uid_t user, char out_name[DATA_FOLDER_USER_SIZE]);

#pragma once

/* The one folder below which every embedded backend keeps its files. Only its user may look into
 * it: it holds videos, mails and password hashes. */

#include "base/error.h"
#include "base/file.h"
#include "config/config.h"

extern const struct config_option data_folder_options[]; /* data.dir */

/* Borrowed from the config. */
MUST_CHECK bool data_folder_get(const struct config *config, const char **out_path,
                                struct error *error);
/* Makes it where it is missing, durably. */
MUST_CHECK bool data_folder_make(const struct config *config, const char **out_path,
                                 struct error *error);

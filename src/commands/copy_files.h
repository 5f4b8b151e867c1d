#pragma once

/* Copies of small files that are replaced, never changed in place: keys and mails. */

#include "base/error.h"
#include <stddef.h>

/* One that is not there is no error: it was removed meanwhile, or never was. *count grows by what
 * was copied. */
MUST_CHECK bool copy_files_one(const char *from, const char *to, size_t *count,
                               struct error *error);
/* Every regular file of the folder, but hidden ones; not what lies deeper. `to` is made. */
MUST_CHECK bool copy_files_folder(const char *from, const char *to, size_t *count,
                                  struct error *error);
void copy_files_remove(const char *folder);  /* and all in it, as far as that goes */
bool copy_files_is_free(const char *folder); /* not there, or empty */

#pragma once

/* `tapedeck converter`: takes queued conversions, has tapedeck-worker turn their videos into MP3s,
 * and cleans up while it is idle. Needs the stores of blobs and records; a queue makes it quick. */

#include "services/common/service.h"

extern const struct service converter_service;
